//! `no_permanent_ghost`: in the quiet phase, entries of nodes that are gone for good are gone from
//! every live view within detection + bound.
//!
//! Gone for good: it has run, it does not when the quiet phase begins, and so never again. Detection
//! is `crash_detected_after` + latency + debounce (nothing is silent in a quiet phase), the bound is
//! that of `convergence`. A ghost that comes back later, and is there at the end, violates it as
//! well. Children named in raw requests or `rows` are not looked at.
//!
//! The cause is the event that last changed the entry at the observer.

use std::collections::BTreeSet;

use hublab_strategies::{ChildId, Time};

use super::{Conclusion, Oracle, Violation, quiet};
use crate::model::NodeIx;
use crate::watch::World;

pub(super) const NAME: &str = "no_permanent_ghost";

/// The most ghosts that one look tells of.
const TOLD: usize = 100;

/// Looks once at the bound, and once at the end.
#[derive(Debug, Default)]
pub(super) struct NoPermanentGhost {
    is_judged: bool,
    found: Vec<Violation>,
    reported: BTreeSet<(NodeIx, NodeIx, ChildId)>,
}

fn bound(world: &World<'_>) -> u64 {
    quiet::repair(world).saturating_add(world.facts().times.crash_detection())
}

/// Every entry of a node that is gone: whose view, which node, which child.
fn ghosts(world: &World<'_>) -> Vec<(NodeIx, NodeIx, ChildId)> {
    let has_gone = |node: &NodeIx| !world.is_running(*node) && world.incarnation(*node) > 0;
    let gone: Vec<NodeIx> = world.positions().filter(has_gone).collect();
    let mut ghosts = Vec::new();
    for observer in world.positions() {
        let Some(registry) = world.registry(observer) else {
            continue;
        };
        for owner in &gone {
            let children = registry.children_of(world.name(*owner));
            let compared = children.filter(|child| !world.facts().is_raw(child));
            ghosts.extend(compared.map(|child| (observer, *owner, child.clone())));
            if ghosts.len() >= TOLD {
                ghosts.truncate(TOLD);
                return ghosts;
            }
        }
    }
    ghosts
}

fn detail((observer, owner, child): &(NodeIx, NodeIx, ChildId), world: &World<'_>) -> String {
    let (observer, name) = (world.name(*observer), world.name(*owner));
    let since = world.history().stopped(*owner).unwrap_or_default();
    format!("{observer} still shows {child} of {name}, which is gone since {since}")
}

impl NoPermanentGhost {
    fn look(&mut self, at: Time, world: &World<'_>) {
        for ghost in ghosts(world) {
            let history = world.history();
            let cause = history.last_change_of(ghost.0, ghost.1, &ghost.2);
            let violation = Violation::at(
                NAME,
                (at, ghost.0, cause),
                "ghost",
                detail(&ghost, world),
                world,
            );
            if self.reported.insert(ghost) {
                self.found.push(violation);
            }
        }
    }
}

impl Oracle for NoPermanentGhost {
    fn name(&self) -> &'static str {
        NAME
    }

    fn step_begins(&mut self, _now: Time) {
        *self = Self::default();
    }

    fn settle(&mut self, now: Time, next: Time, world: &World<'_>, _found: &mut Vec<Violation>) {
        if self.is_judged {
            return;
        }
        let last_step = world.history().last_step();
        let deadline = Time(last_step.0.saturating_add(bound(world)));
        if deadline < next {
            self.is_judged = true;
            self.look(now.max(deadline), world);
        }
    }

    fn pending(&self, world: &World<'_>) -> Option<String> {
        ghosts(world).first().map(|ghost| detail(ghost, world))
    }

    fn bound(&self, world: &World<'_>) -> Option<String> {
        let times = world.facts().times;
        Some(format!(
            "detection {} + {}",
            Time(times.crash_detection()),
            quiet::told(quiet::repair(world), world)
        ))
    }

    fn finish(&mut self, end: Time, world: &World<'_>) -> Conclusion {
        if let Some(reason) = quiet::missing(bound(world), end, world) {
            return Conclusion::Inconclusive(reason);
        }
        self.look(end, world);
        if self.found.is_empty() {
            return Conclusion::Held;
        }
        Conclusion::Violated(std::mem::take(&mut self.found))
    }
}
