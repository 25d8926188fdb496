//! What a report shows, as data: computed here, and drawn by the script of the page.

use hublab_sim::model::NodeIx;
use serde::Serialize;

use super::campaign::Campaign;
use super::comparison::Comparison;
use super::curves::Curves;
use super::record::Recorded;
use crate::cli::blame::Told;

/// The version of the data's shape; page and data are of one program, so this is for other readers.
pub(super) const SCHEMA: u32 = 1;

/// The data of a page.
#[derive(Debug, Serialize)]
pub(super) struct Page<'a> {
    pub(super) schema: u32,
    pub(super) title: &'a str,
    #[serde(flatten)]
    pub(super) content: Content<'a>,
}

/// What a page is about.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content<'a> {
    /// One run, or two beside each other.
    Runs(&'a Runs),
    /// Several runs, in a list.
    List(&'a List),
    Campaign(&'a Campaign),
    Comparison(&'a Comparison),
}

/// Several runs.
#[derive(Debug, Serialize)]
pub(super) struct List {
    pub(super) entries: Vec<Entry>,
    pub(super) runs: Vec<Run>,
}

/// A run of a list.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    pub(super) scenario: String,
    pub(super) strategy: String,
    /// A text, as a script counts to 2^53.
    pub(super) seed: String,
    /// The command that repeats it.
    pub(super) repeat: String,
    /// The place of its run, or why there is none.
    pub(super) run: Option<usize>,
    pub(super) no_run: Option<String>,
}

/// One run, or two with their first difference.
#[derive(Debug, Serialize)]
pub(super) struct Runs {
    pub(super) runs: Vec<Run>,
    /// Of two: where they part; absent if they do not.
    pub(super) difference: Option<Difference>,
}

impl Runs {
    /// One run.
    pub(super) fn of(run: Run) -> Self {
        Self {
            runs: vec![run],
            difference: None,
        }
    }
}

/// Where two runs part.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    pub(super) event: u64,
    pub(super) at_us: u64,
    /// The event of each side in words; none where the trace ends.
    pub(super) lines: [Option<String>; 2],
    /// Other differences: of scenario, strategy, seed, build.
    pub(super) headers: Vec<String>,
}

/// One run.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    pub(super) head: Head,
    pub(super) scenario: String,
    pub(super) nodes: Vec<String>,
    /// The kinds of messages.
    pub(super) kinds: Vec<String>,
    /// The kinds of events.
    pub(super) event_kinds: Vec<&'static str>,
    pub(super) window: WindowData,
    pub(super) findings: Vec<Finding>,
    pub(super) anomalies: Vec<KnownAnomaly>,
    pub(super) steps: Vec<StepMark>,
    pub(super) bars: Vec<Bar>,
    pub(super) stretches: Vec<NodeStretch>,
    pub(super) curves: Curves,
    pub(super) recorded: Recorded,
    /// How likely the failure was over time, and what decided it, if somebody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) blame: Option<Told>,
}

/// What is told first.
#[derive(Debug, Serialize)]
pub(super) struct Head {
    pub(super) verdict: &'static str,
    /// Why, in a sentence.
    pub(super) reason: String,
    pub(super) scenario: String,
    pub(super) summary: Option<String>,
    pub(super) strategy: String,
    pub(super) seed: String,
    pub(super) digest: String,
    pub(super) build: String,
    pub(super) events: u64,
    pub(super) end_us: u64,
    pub(super) converged_us: Option<u64>,
    pub(super) messages: String,
    /// The command that repeats the run.
    pub(super) repeat: String,
    /// What else can be made, and by which command.
    pub(super) commands: Vec<(&'static str, String)>,
}

/// Which events are held in full.
#[derive(Debug, Serialize)]
pub(super) struct WindowData {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) from_us: u64,
    pub(super) to_us: u64,
    /// What is left out, in words; empty if nothing is.
    pub(super) left_out: String,
}

/// Something that was judged.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// `failed`, `documented`, `held` or `open`.
    pub(super) verdict: &'static str,
    /// The oracle or the claim.
    pub(super) what: String,
    pub(super) detail: String,
    pub(super) at_us: Option<u64>,
    pub(super) event: Option<u64>,
    pub(super) node: String,
    pub(super) child: String,
    /// The line of the scenario's file; 0 for none.
    pub(super) line: u32,
    /// The id of the known anomaly that it looks like.
    pub(super) anomaly: Option<&'static str>,
}

/// A known anomaly that the run shows.
#[derive(Debug, Serialize)]
pub(super) struct KnownAnomaly {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) summary: &'static str,
}

/// A step of the script.
#[derive(Debug, Serialize)]
pub(super) struct StepMark {
    pub(super) at_us: u64,
    /// `true` for the end of a fault.
    pub(super) healing: bool,
    /// The action's name.
    pub(super) action: &'static str,
    pub(super) text: String,
}

/// A stretch in which the network is not as it should be.
#[derive(Debug, Serialize)]
pub(super) struct Bar {
    pub(super) from_us: u64,
    pub(super) to_us: u64,
    pub(super) text: &'static str,
}

/// A stretch in which a node is not as it should be: `down`, `paused` or `cut`.
#[derive(Debug, Serialize)]
pub(super) struct NodeStretch {
    pub(super) node: NodeIx,
    pub(super) from_us: u64,
    pub(super) to_us: u64,
    pub(super) what: &'static str,
}
