//! One line of `results.ndjson`: what became of one run of a campaign.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::signature::Signature;

/// The version of the record's shape.
pub const SCHEMA: u32 = 1;

/// What one run of a campaign came to. Everything but `wall_us` is a function of scenario,
/// strategy, seed and oracles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    /// `generated`, or the path of the scenario file as it was given.
    pub scenario: String,
    /// The strategy.
    pub strategy: String,
    /// The seed.
    pub seed: u64,
    /// What became of it.
    pub verdict: Ending,
    /// BLAKE3 over the events, in hexadecimal; absent if the run did not come to its end.
    pub digest: Option<String>,
    /// How many events there were.
    pub events: u64,
    /// The instant the run came to, in microseconds.
    pub virtual_us: u64,
    /// How long it took, in microseconds of real time.
    pub wall_us: u64,
    /// Since when views have equalled the truth, in microseconds.
    pub converged_us: Option<u64>,
    /// What failed, each signature once.
    pub findings: Vec<Finding>,
    /// What the run exercised: counters by name (`step.crash`, `fault.loss`, `kind.pubsub.sync`,
    /// `mark.gossip.invalidated`, ...).
    pub reach: BTreeMap<String, u64>,
    /// The fault families that the generator had switched on; empty for files.
    pub families: Vec<String>,
    /// Oracles whose claim's condition the scenario meets.
    pub claimed: Vec<String>,
}

/// What became of a run of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Everything held.
    Pass,
    /// It could not be judged: the quiet phase was too short, or the event budget ran out.
    Inconclusive,
    /// An oracle or an expectation failed.
    Fail,
    /// It outlived its wall-clock limit, and its worker was killed.
    TimedOut,
    /// Its worker died: out of memory, or ended by a signal.
    WorkerLost,
    /// It failed in the campaign but not alone in a fresh process.
    NotReproduced,
    /// A second run of it had another digest.
    Mismatch,
}

/// One thing that failed in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub signature: Signature,
    /// When it was first seen in the run, in microseconds; the end for an expectation.
    pub at_us: u64,
    /// Where; empty if on no node.
    pub node: String,
    /// How, in words.
    pub detail: String,
    /// The group it belongs to, once it has been shrunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The anomaly that `classify` names, of the shrunk run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<String>,
}
