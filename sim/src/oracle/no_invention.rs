//! `no_invention`: every entry in a view was once true at its owner, with that pid.
//!
//! Once true: the owner has run that child under that pid, at this instant or before, in whatever
//! incarnation. Looked at when a step is over, for every entry that came in it. No excuses but the
//! common one: children named in raw requests or `rows` are not looked at.

use hublab_strategies::{ChildId, Pid, Time};

use super::{Oracle, Violation};
use crate::observe::World;
use crate::observe::causes::Cause;
use crate::observe::changed::{Changed, Delta};
use crate::scenario::model::NodeIx;

pub(super) const NAME: &str = "no_invention";

/// Looks at each entry that comes.
#[derive(Debug, Default)]
pub(super) struct NoInvention {
    suspects: Vec<Suspect>,
    found: Vec<Violation>,
}

/// An entry of a pid that its owner had not run when it came.
#[derive(Debug)]
struct Suspect {
    at: Time,
    node: NodeIx,
    cause: Cause,
    child: ChildId,
    owner: NodeIx,
    pid: Pid,
}

impl Oracle for NoInvention {
    fn name(&self) -> &'static str {
        NAME
    }

    fn row(&mut self, changed: &Changed<'_>, world: &World<'_>) {
        for delta in &changed.come {
            if delta.life.is_some() || changed.is_raw {
                continue;
            }
            let place = (changed.at, changed.node, changed.cause);
            match (delta.owner, &delta.entry.pid) {
                (Some(owner), Some(pid)) => self.suspects.push(Suspect {
                    at: changed.at,
                    node: changed.node,
                    cause: changed.cause,
                    child: changed.child.clone(),
                    owner,
                    pid: pid.clone(),
                }),
                (_, _) => {
                    let detail = unfounded(changed, delta, world);
                    self.found
                        .push(Violation::at(NAME, place, "ghost", detail, world));
                }
            }
        }
    }

    fn step_done(&mut self, _now: Time, world: &World<'_>, found: &mut Vec<Violation>) {
        found.append(&mut self.found);
        for suspect in self.suspects.drain(..) {
            let Suspect {
                child, owner, pid, ..
            } = &suspect;
            let life = world.history().life(*owner, pid);
            if life.is_some_and(|life| life.child == *child) {
                continue;
            }
            let (node, owner) = (world.name(suspect.node), world.name(*owner));
            let detail = format!("{node} shows {child} of {owner} as {pid}, which never ran there");
            let place = (suspect.at, suspect.node, suspect.cause);
            found.push(Violation::at(NAME, place, "ghost", detail, world));
        }
    }
}

/// An entry without a pid, or of a node that does not exist.
fn unfounded(changed: &Changed<'_>, delta: &Delta<'_>, world: &World<'_>) -> String {
    let (node, child, owner) = (world.name(changed.node), changed.child, &delta.entry.node);
    match delta.owner {
        None => format!("{node} shows {child} of {owner}, which is not a node of the file"),
        Some(_) => format!("{node} shows {child} of {owner} without a pid"),
    }
}
