//! `convergence`: in the quiet phase, within the bound, every live view equals the truth it can
//! reach, and stays so.
//!
//! Equals: its (child, node) -> (pid, metadata) are the children of the observer itself and of the
//! running nodes that it is connected to, as in the claim `converged`. The bound:
//! `crash_detected_after` + discovery + 2 x debounce + 2 x sync interval + 8 x latency, more if
//! messages took longer or receivers are busy. A view that is right in time and
//! wrong later violates it as well. Children named in raw requests or `rows` are not looked at.
//!
//! Each entry that is not as it should be is one violation, as of the first instant after the bound
//! at which something was wrong. Its cause is the event that last changed the entry at the observer;
//! it is empty for one that never was there.

use hublab_strategies::Time;

use super::{Conclusion, Oracle, Violation, quiet};
use crate::model::NodeIx;
use crate::watch::World;
use crate::watch::causes::Cause;
use crate::watch::defect::Defect;

/// The oracle's name.
pub const NAME: &str = "convergence";

/// The most defects that one run reports.
const TOLD: usize = 100;

/// Looks at the views from the bound on.
#[derive(Debug, Default)]
pub(super) struct Convergence {
    broken: Vec<Violation>,
}

impl Convergence {
    pub(super) fn settle(&mut self, oracle: &str, now: Time, next: Time, world: &World<'_>) {
        if world.convergence().converged_since().is_some() || !self.broken.is_empty() {
            return;
        }
        let last_step = world.history().last_step();
        let deadline = Time(last_step.0.saturating_add(quiet::repair(world)));
        if deadline < next {
            let at = now.max(deadline);
            self.broken = defects(world)
                .iter()
                .map(|defect| violation(oracle, at, defect, world))
                .collect();
        }
    }

    pub(super) fn step_begins(&mut self) {
        self.broken.clear();
    }

    pub(super) fn conclude(&mut self, end: Time, world: &World<'_>) -> Conclusion {
        if let Some(reason) = quiet::missing(quiet::repair(world), end, world) {
            return Conclusion::Inconclusive(reason);
        }
        if self.broken.is_empty() {
            return Conclusion::Held;
        }
        Conclusion::Violated(std::mem::take(&mut self.broken))
    }
}

fn defects(world: &World<'_>) -> Vec<Defect> {
    let observers: Vec<NodeIx> = world.positions().collect();
    world.convergence().pending(&observers, world, TOLD)
}

pub(super) fn violation(oracle: &str, at: Time, defect: &Defect, world: &World<'_>) -> Violation {
    let history = world.history();
    let cause = match (defect.owner, &defect.child) {
        (Some(owner), Some(child)) => history.last_change_of(defect.observer, owner, child),
        (_, _) => Cause::Unknown,
    };
    let node = world.name(defect.observer);
    Violation::new(oracle, at, node.as_str(), defect.text.clone())
        .with(defect.kind.as_str(), history.causes.text(cause))
}

impl Oracle for Convergence {
    fn name(&self) -> &'static str {
        NAME
    }

    fn step_begins(&mut self, _now: Time) {
        Self::step_begins(self);
    }

    fn settle(&mut self, now: Time, next: Time, world: &World<'_>, _found: &mut Vec<Violation>) {
        Self::settle(self, NAME, now, next, world);
    }

    fn pending(&self, world: &World<'_>) -> Option<String> {
        defects(world).into_iter().next().map(|defect| defect.text)
    }

    fn bound(&self, world: &World<'_>) -> Option<String> {
        Some(quiet::told(quiet::repair(world), world))
    }

    fn finish(&mut self, end: Time, world: &World<'_>) -> Conclusion {
        self.conclude(end, world)
    }
}
