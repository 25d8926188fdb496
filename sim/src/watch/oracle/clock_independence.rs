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
use crate::watch::World;

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

    fn step_begins(&mut self, _now: Time) {
        self.convergence.step_begins();
    }

    fn settle(&mut self, now: Time, next: Time, world: &World<'_>, _found: &mut Vec<Violation>) {
        if world.facts().has_clock_steps {
            self.convergence.settle(NAME, now, next, world);
        }
    }

    fn pending(&self, world: &World<'_>) -> Option<String> {
        self.convergence.pending(world)
    }

    fn bound(&self, world: &World<'_>) -> Option<String> {
        self.convergence.bound(world)
    }

    fn finish(&mut self, end: Time, world: &World<'_>) -> Conclusion {
        if world.facts().has_clock_steps {
            self.convergence.conclude(end, world)
        } else {
            Conclusion::Held
        }
    }
}
