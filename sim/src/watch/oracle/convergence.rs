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
use crate::watch::ObserverContext;
use crate::watch::causes::Origin;
use crate::watch::defect::Defect;

/// The oracle's name.
pub const NAME: &str = "convergence";

/// The most defects that one run reports.
const REPORTED_MAX: usize = 100;

/// Looks at the views from the bound on.
#[derive(Debug, Default)]
pub(super) struct Convergence {
    broken: Vec<Violation>,
}

impl Convergence {
    pub(super) fn settle(&mut self, oracle: &str, now: Time, next: Time, cx: &ObserverContext) {
        if cx.convergence().converged_since().is_some() || !self.broken.is_empty() {
            return;
        }
        let last_step = cx.history().last_step();
        let deadline = Time(last_step.0.saturating_add(quiet::repair(cx)));
        if deadline < next {
            let at = now.max(deadline);
            self.broken = defects(cx)
                .iter()
                .map(|defect| violation(oracle, at, defect, cx))
                .collect();
        }
    }

    pub(super) fn step_begins(&mut self) {
        self.broken.clear();
    }

    pub(super) fn conclude(&mut self, end: Time, cx: &ObserverContext) -> Conclusion {
        if let Some(reason) = quiet::missing(quiet::repair(cx), end, cx) {
            return Conclusion::Inconclusive(reason);
        }
        if self.broken.is_empty() {
            return Conclusion::Held;
        }
        Conclusion::Violated(std::mem::take(&mut self.broken))
    }
}

fn defects(cx: &ObserverContext) -> Vec<Defect> {
    let observers: Vec<NodeIx> = cx.positions().collect();
    cx.convergence().pending(&observers, cx, REPORTED_MAX)
}

pub(super) fn violation(
    oracle: &str,
    at: Time,
    defect: &Defect,
    cx: &ObserverContext,
) -> Violation {
    let history = cx.history();
    let origin = match (defect.owner, &defect.child) {
        (Some(owner), Some(child)) => history.last_change_of(defect.observer, owner, child),
        (_, _) => Origin::default(),
    };
    let node = cx.name(defect.observer);
    Violation::new(oracle, at, node.as_str(), defect.text.clone())
        .with_defect(defect.kind.as_str())
        .with_origin(origin, &history.causes)
}

impl Oracle for Convergence {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn step_begins(&mut self, _now: Time) {
        Self::step_begins(self);
    }

    fn settle(&mut self, now: Time, next: Time, cx: &ObserverContext, _found: &mut Vec<Violation>) {
        Self::settle(self, NAME, now, next, cx);
    }

    fn pending(&self, cx: &ObserverContext) -> Option<String> {
        defects(cx).into_iter().next().map(|defect| defect.text)
    }

    fn bound(&self, cx: &ObserverContext) -> Option<String> {
        Some(quiet::describe(quiet::repair(cx), cx))
    }

    fn finish(&mut self, end: Time, cx: &ObserverContext) -> Conclusion {
        self.conclude(end, cx)
    }
}
