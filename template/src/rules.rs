//! An oracle and a metric of this package. Scenario files, `fuzz`, `shrink`, `compare`, `list` and
//! `schema` take them from the catalog, as they take hublab's own.

use hublab::sim::metric::{Better, Metric};
use hublab::sim::watch::oracle::{Oracle, invariant};

/// The name of [`no_empty_pid`] in scenario files.
pub const NO_EMPTY_PID: &str = "no_empty_pid";

/// An oracle: no entry of a registry has an empty pid. For a rule that one look at one node cannot
/// check, implement `Oracle`.
#[must_use]
pub fn no_empty_pid() -> Box<dyn Oracle> {
    invariant(NO_EMPTY_PID, |run, node| {
        let mut rows = run.rows_of(node);
        let broken = rows.find(|row| {
            let mut pids = row.entries.iter().filter_map(|entry| entry.pid.as_ref());
            pids.any(|pid| pid.as_str().is_empty())
        })?;
        Some(format!("{} has an empty pid", broken.spec.id()))
    })
}

/// A metric: bytes per message. `Metric::of_trace` makes one that is counted event by event. As one of
/// two values is better, `compare` can decide by it, too.
pub const BYTES_PER_MESSAGE: Metric = Metric::of_report(
    "bytes_per_message",
    "bytes",
    "sent per message, on average",
    |report| report.messages.bytes.checked_div(report.messages.sent),
)
.better(Better::Low)
.missing_means("nothing was sent");
