//! The end of the run: nothing need come after the failure.

use std::time::Duration;

use super::numbers;
use crate::shrink::search::{Edit, Search};

/// Ends the run soon after the first violation, or shortens what follows the last step.
pub(super) fn end(search: &mut Search<'_>) {
    search.edit(|scenario, report| {
        let duration = scenario.run.duration;
        let first = report.violations.first();
        let seen = first.map(|first| Duration::from_micros(first.at_us.saturating_add(1)));
        let last = scenario.last_step().min(duration);
        let quiet = duration - last;
        let parts = (1..8).map(|eighths| last + quiet / 8 * eighths);
        let mut ends: Vec<Duration> = seen
            .into_iter()
            .chain(parts)
            .flat_map(|end| {
                [Duration::from_secs(1), Duration::from_millis(1)]
                    .map(|unit| numbers::up(end, unit))
            })
            .filter(|end| *end < duration)
            .collect();
        ends.sort_unstable();
        ends.dedup();
        ends.into_iter()
            .map(|end| -> Edit { Box::new(move |scenario| scenario.run.duration = end) })
            .collect()
    });
}
