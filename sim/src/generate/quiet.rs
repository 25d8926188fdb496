//! The quiet phase: everything heals, and then nothing happens for long enough.

use std::time::Duration;

use crate::observe::facts::Facts;
use crate::scenario::model::Scenario;

/// How long nothing happens at the end of a run: the longest bound of a liveness oracle, which is
/// that of an end that nobody could see, and a fifth more, for queues and for the odd message that
/// takes longer than all others. A run for which that is not enough is inconclusive.
pub(super) fn length(scenario: &Scenario, strategy: &str) -> Duration {
    let facts = Facts::new(scenario, strategy);
    let bound = facts.times.detection().saturating_add(facts.times.repair());
    Duration::from_micros(bound.saturating_add(bound / 5)) + Duration::from_secs(1)
}
