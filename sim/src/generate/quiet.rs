//! The quiet phase: everything heals, and then nothing happens for long enough.

use std::time::Duration;

use crate::catalog::CatalogEntry;
use crate::model::Scenario;
use crate::watch::facts::Facts;

/// How long nothing happens at the end of a run: the longest bound of a liveness oracle, which is
/// that of entries of a node that is gone, and a fifth more, for queues and for the odd message
/// that takes longer than all others. With busy receivers, also the intervals over which queues
/// must not grow. A run for which that is not enough is inconclusive.
pub(super) fn length(scenario: &Scenario, entry: &dyn CatalogEntry) -> Duration {
    /// One more than must be seen, because the first begins with the phase.
    const INTERVALS: u64 = 7;
    let facts = Facts::new(scenario, &entry.facts(scenario));
    let times = facts.times;
    let bound = times.repair().saturating_add(times.crash_detection());
    let load = if facts.service_us > 0 {
        times.sync.saturating_mul(INTERVALS)
    } else {
        0
    };
    let longest = bound.saturating_add(bound / 5).max(load);
    Duration::from_micros(longest) + Duration::from_secs(1)
}
