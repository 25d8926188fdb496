//! The report of a run: versioned data, rendered elsewhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Window;
use crate::statistics::Number;
use crate::trace::counts::{Counts, MessageCounts};
use crate::watch::findings::{ClockTwin, Inconclusive};
use crate::watch::judge::{Judgement, Verdict};
use crate::watch::measure::Measured;
use crate::watch::oracle::Violation;
use crate::watch::timeline::Segment;

/// The version of the report's shape.
pub const SCHEMA: u32 = 1;

/// Result of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The strategy.
    pub strategy: String,
    /// The seed.
    pub seed: u64,
    /// The verdict of the run as a whole.
    pub verdict: Verdict,
    /// BLAKE3 over the events, in hexadecimal; absent if the verdict depended on the wall clock.
    pub digest: Option<String>,
    /// How many events there were.
    pub events: u64,
    /// The instant the run came to, in microseconds.
    pub virtual_us: u64,
    /// How long it took, in microseconds of real time.
    pub wall_us: u64,
    /// Counters of messages, by their fate.
    pub messages: Messages,
    /// Since when views have equalled the truth, in microseconds.
    pub converged_us: Option<u64>,
    /// When the last step of the script took place, the healing of a fault included, in microseconds; 0
    /// without any.
    #[serde(default)]
    pub last_step_us: u64,
    /// Rows at the end, over all running nodes.
    pub rows: u64,
    /// Every metric of the catalog by name; without a value if the run has none. Those of single
    /// kinds of messages are in `messages`.
    #[serde(default)]
    pub metrics: BTreeMap<String, Option<Number>>,
    /// Costs and staleness, if they were measured. Files have them under `metrics`.
    #[serde(skip)]
    pub measured: Option<Measured>,
    /// The same of the windows that expectations of metrics name.
    #[serde(skip)]
    pub windows: BTreeMap<Window, WindowNumbers>,
    /// The verdict of each expectation, in file order.
    pub expectations: Vec<Judgement>,
    /// The findings of oracles.
    pub violations: Vec<Violation>,
    /// Violations beyond the first 100 of an oracle.
    pub violations_suppressed: u64,
    /// Oracles that could not judge, and why.
    #[serde(default)]
    pub inconclusive: Vec<Inconclusive>,
    /// The timeline, step by step.
    pub timeline: Vec<Segment>,
    /// The warnings of the scenario's file, if it was read from one.
    #[serde(default)]
    pub warnings: Vec<Note>,
    /// The command that repeats the run.
    pub replay: String,
    /// True if the run was ended before its time: by its event budget, or by a panic of a node.
    #[serde(default)]
    pub ended_early: bool,
    /// The verdict of the run without clock steps, if `clock_independence` needed it.
    #[serde(default)]
    pub clock_twin: Option<ClockTwin>,
    /// The runtime, of a run of real hubs; absent of simulated ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// The elements of `[run] changes` that name what does not occur in the run, which leaves it inconclusive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet_changes: Vec<String>,
    /// Why the run did not come to its end, or is not the one that was asked for; absent if it did and is, or
    /// a step panicked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a window of a run cost.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct WindowNumbers {
    /// Counters of messages, by their fate within it.
    pub messages: Messages,
    /// How many events there were.
    pub events: u64,
    /// Costs and staleness; propagation is that of the changes that took place in it. What cannot be
    /// cut in time is of the whole run.
    pub measured: Measured,
}

/// The messages of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Messages {
    /// Sent, once per recipient.
    pub sent: u64,
    /// Handled by their receiver, copies too.
    pub delivered: u64,
    /// Lost.
    pub dropped: u64,
    /// Copies that the network made.
    pub duplicated: u64,
    /// On the way at the end: sent + duplicated = delivered + dropped + in flight.
    pub in_flight: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Those lost, by reason; without reasons for which none were.
    #[serde(default)]
    pub dropped_by_reason: BTreeMap<String, u64>,
    /// The same by kind of message.
    pub by_kind: BTreeMap<String, KindCounts>,
}

/// The messages of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindCounts {
    /// Sent, once per recipient.
    pub sent: u64,
    /// Handled by their receiver.
    pub delivered: u64,
    /// Lost.
    pub dropped: u64,
    /// Copies.
    pub duplicated: u64,
    /// On the way at the end.
    pub in_flight: u64,
    /// Bytes sent.
    pub bytes: u64,
}

impl From<&MessageCounts> for KindCounts {
    fn from(counts: &MessageCounts) -> Self {
        Self {
            sent: counts.sent,
            delivered: counts.delivered,
            dropped: counts.dropped,
            duplicated: counts.duplicated,
            in_flight: counts.in_flight(),
            bytes: counts.bytes,
        }
    }
}

impl Messages {
    pub(crate) fn new(counts: &Counts) -> Self {
        let mut total = MessageCounts::default();
        let mut by_kind = BTreeMap::new();
        let dropped = counts.dropped();
        let dropped_by_reason = dropped
            .map(|(reason, count)| (reason.key(), count))
            .collect();
        for (kind, counts) in counts.kinds() {
            total.add(counts);
            by_kind.insert(kind.to_owned(), KindCounts::from(counts));
        }
        Self {
            sent: total.sent,
            delivered: total.delivered,
            dropped: total.dropped,
            duplicated: total.duplicated,
            in_flight: total.in_flight(),
            bytes: total.bytes,
            dropped_by_reason,
            by_kind,
        }
    }
}

/// A warning as data for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Note {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// The kind of warning, like `scenario::unknown_child`.
    pub code: String,
    /// Its text.
    pub message: String,
    /// A hint, if there is one.
    pub help: Option<String>,
}
