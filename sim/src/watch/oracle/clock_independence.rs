//! `clock_independence`: if the same run without clock steps converges, this one does.
//!
//! Converges: as in `convergence`, with the same bound. Without clock steps: the resolved scenario
//! with the same seed, each `clock` step changing nothing. That second run is made only if the
//! script has clock steps and this run did not converge; if it does not converge either, the oracle
//! holds, and if it cannot be judged, neither can this one. A run with a job beside it cannot be
//! made again, and is inconclusive.

use hublab_strategies::Time;

use super::convergence::Convergence;
use super::{Conclusion, Oracle, Violation};
use crate::watch::ObserverContext;

/// The oracle's name.
pub const NAME: &str = "clock_independence";

/// Convergence, of runs with clock steps. The run itself (`crate::run`) withdraws what it finds if
/// the other run does not converge either.
#[derive(Debug, Default)]
pub(super) struct ClockIndependence {
    convergence: Convergence,
}

impl Oracle for ClockIndependence {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn step_begins(&mut self, _now: Time) {
        self.convergence.step_begins();
    }

    fn settle(&mut self, now: Time, next: Time, cx: &ObserverContext, _found: &mut Vec<Violation>) {
        if cx.facts().has_clock_steps {
            self.convergence.settle(NAME, now, next, cx);
        }
    }

    fn pending(&self, cx: &ObserverContext) -> Option<String> {
        self.convergence.pending(cx)
    }

    fn bound(&self, cx: &ObserverContext) -> Option<String> {
        self.convergence.bound(cx)
    }

    fn finish(&mut self, end: Time, cx: &ObserverContext) -> Conclusion {
        if cx.facts().has_clock_steps {
            self.convergence.conclude(end, cx)
        } else {
            Conclusion::Held
        }
    }
}
