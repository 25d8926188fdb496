//! `no_invention`: every entry in a view was once true at its owner, with that pid.
//!
//! Once true: the owner has run that child under that pid, at this instant or before, in whatever
//! incarnation. Looked at when a step is over, for every entry that came in it. No excuses but the
//! common one: children named in raw requests or `rows` are not looked at.

use hublab_strategies::{Pid, Time};

use super::suspect::Suspect;
use super::{Oracle, Violation};
use crate::watch::ObserverContext;
use crate::watch::changed::{Changed, Delta};

pub(super) const NAME: &str = "no_invention";

/// Looks at each entry that comes.
#[derive(Debug, Default)]
pub(super) struct NoInvention {
    /// Entries of a pid that its owner had not run when they came.
    suspects: Vec<Suspect<Pid>>,
    found: Vec<Violation>,
}

impl Oracle for NoInvention {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn row(&mut self, changed: &Changed<'_>, cx: &ObserverContext) {
        for delta in &changed.come {
            if delta.life.is_some() || changed.is_raw {
                continue;
            }
            if let (Some(owner), Some(pid)) = (delta.owner, &delta.entry.pid) {
                self.suspects
                    .push(Suspect::new(changed, owner, pid.clone()));
            } else {
                let place = (changed.at, changed.node, changed.origin);
                let detail = unfounded(changed, delta, cx);
                self.found
                    .push(Violation::at(NAME, place, "ghost", detail, cx));
            }
        }
    }

    fn step_done(&mut self, _now: Time, cx: &ObserverContext, found: &mut Vec<Violation>) {
        found.append(&mut self.found);
        for suspect in self.suspects.drain(..) {
            let Suspect {
                node,
                child,
                owner,
                shown: pid,
                ..
            } = &suspect;
            let life = cx.history().life(*owner, pid);
            if life.is_some_and(|life| life.child == *child) {
                continue;
            }
            let (node, owner) = (cx.name(*node), cx.name(*owner));
            let detail = format!("{node} shows {child} of {owner} as {pid}, which never ran there");
            found.push(suspect.violation(NAME, "ghost", detail, cx));
        }
    }
}

/// An entry without a pid, or of a node that does not exist.
fn unfounded(changed: &Changed<'_>, delta: &Delta<'_>, cx: &ObserverContext) -> String {
    let (node, child, owner) = (cx.name(changed.node), changed.child, &delta.entry.node);
    match delta.owner {
        None => format!("{node} shows {child} of {owner}, which is not a node of the file"),
        Some(_) => format!("{node} shows {child} of {owner} without a pid"),
    }
}
