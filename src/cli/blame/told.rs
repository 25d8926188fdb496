//! The answer as data, as `--format json` prints it, the directory of `--out` keeps it, and a report draws
//! it.

use hublab_sim::blame::{Blame, Ended, Job, Kind, Pivot, Question};
use hublab_sim::run::failure::Signature;
use hublab_sim::scenario::render_change;
use hublab_sim::trace::EventId;
use serde::{Deserialize, Serialize};

use super::text;

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::cli) struct Told {
    pub(in crate::cli) scenario: String,
    pub(in crate::cli) strategy: String,
    pub(in crate::cli) seed: u64,
    /// Of the run.
    pub(in crate::cli) digest: String,
    failure: Failure,
    curve: Vec<Point>,
    jump: Option<Jump>,
    pivots: Vec<ToldPivot>,
    tried: u64,
    flips: u64,
    runs: u64,
    ended: Ending,
    sentences: Vec<String>,
}

/// What is asked about.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Failure {
    signature: Signature,
    at_us: u64,
    node: String,
    detail: String,
    event: Option<EventId>,
}

/// The branches that begin after an instant.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Point {
    after_us: u64,
    fails: u32,
    of: u32,
    share: f64,
    low: f64,
    high: f64,
}

/// Where it was decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Jump {
    from_us: u64,
    to_us: u64,
}

/// Something without which fewer branches fail.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ToldPivot {
    kind: Kind,
    event: EventId,
    neighbour: Option<EventId>,
    what: String,
    text: String,
    is_cause: bool,
    is_inside: bool,
    after_us: u64,
    fails: u32,
    fails_changed: u32,
    of: u32,
    difference: f64,
    /// The element of `[run] changes` that it is.
    change: String,
}

/// How the search ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ending {
    Complete,
    OutOfRuns,
    Stopped,
}

impl Told {
    pub(in crate::cli) fn new(question: &Question, answer: &Blame, digest: &str) -> Self {
        let failure = question.failure();
        let curve = answer.curve.iter().map(|point| Point {
            after_us: point.after_us,
            fails: point.fails,
            of: point.of,
            share: point.share(),
            low: point.low,
            high: point.high,
        });
        let pivots = answer.pivots.iter();
        Self {
            scenario: question.name().to_owned(),
            strategy: failure.signature.strategy.clone(),
            seed: question.seed(),
            digest: digest.to_owned(),
            failure: Failure {
                signature: failure.signature.clone(),
                at_us: failure.at_us,
                node: failure.node.clone(),
                detail: failure.detail.clone(),
                event: failure.event,
            },
            curve: curve.collect(),
            jump: answer.jump.map(|(from, to)| Jump {
                from_us: from.0,
                to_us: to.0,
            }),
            pivots: pivots.map(|pivot| told_pivot(question, pivot)).collect(),
            tried: answer.tried,
            flips: answer.flips,
            runs: answer.runs,
            ended: match answer.ended {
                Ended::Complete => Ending::Complete,
                Ended::OutOfRuns => Ending::OutOfRuns,
                Ended::Stopped => Ending::Stopped,
            },
            sentences: text::sentences(question, answer),
        }
    }
}

fn told_pivot(question: &Question, pivot: &Pivot) -> ToldPivot {
    let names = question.names();
    ToldPivot {
        kind: pivot.kind,
        event: pivot.event.id,
        neighbour: pivot.neighbour.as_ref().map(|event| event.id),
        what: names.line(&pivot.event),
        text: pivot.sentence(names),
        is_cause: pivot.is_cause,
        is_inside: pivot.is_inside,
        after_us: pivot.after_us,
        fails: pivot.fails,
        fails_changed: pivot.fails_changed,
        of: pivot.of,
        difference: pivot.difference(),
        change: change_text(question, pivot),
    }
}

/// A change as the element of `[run] changes` that it is.
pub(super) fn change_text(question: &Question, pivot: &Pivot) -> String {
    let job = Job {
        branch: None,
        changes: vec![pivot.change],
    };
    render_change(&question.scenario(&job), &pivot.change)
}
