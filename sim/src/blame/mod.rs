//! When a failure became likely, and what decided it.
//!
//! A run is made again up to an instant and goes on from there with other draws
//! ([`Branch`](crate::scenario::Branch)): the share of these branches that fail the same way says how much of the failure was
//! settled by then. Over all instants that is the [`curve`](Blame::curve). Where it jumps something was
//! decided. There, and in a failure that was settled from the start up to its instant, each message,
//! timer and choice is changed by itself while every other draw stays ([`Change`](crate::scenario::Change)): what prevents the
//! failure is a candidate. As one changed message can shift what follows by chance, candidates are ranked
//! by the share of branches that fail with the event and without it.
//!
//! | file | owns |
//! | --- | --- |
//! | `question` | the run and the failure that are asked about; one branch or change of it |
//! | `lab` | runs that are made once each, within a budget |
//! | `curve` | the shares over time |
//! | `candidate` | what can be changed, in the order in which it is tried |
//! | `pivot` | which changes prevent the failure, ranked, in words |
//!
//! Nothing here makes runs side by side or looks at a clock: a [`Runner`] does. The result depends on the
//! question and the [`Limits`] alone.

mod candidate;
mod curve;
mod lab;
mod pivot;
mod question;

use hublab_strategies::Time;

pub use curve::Point;
pub use lab::{Job, Limits, Outcome, Runner};
pub use pivot::{Kind, Pivot};
pub use question::{BlameError, Question};

use lab::Lab;

/// The answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Blame {
    /// The share of branches that fail, by the instant after which they begin: ascending.
    pub curve: Vec<Point>,
    /// Between which two points it rises most; `None` if it rises by less than a quarter anywhere.
    pub jump: Option<(Time, Time)>,
    /// The changes that prevent the failure, the most decisive first; at most 16.
    pub pivots: Vec<Pivot>,
    /// How many changes were tried.
    pub tried: u64,
    /// How many of them prevent the failure, if nothing else changes.
    pub flips: u64,
    /// How many runs that took, those known from before included.
    pub runs: u64,
    /// What the answer lacks.
    pub ended: Ended,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is complete.
    Complete,
    /// The runs were used up: what there is was found with those.
    OutOfRuns,
    /// The runner stopped.
    Stopped,
}

/// Answers a question.
pub fn blame(question: &Question, limits: Limits, runner: &mut dyn Runner) -> Blame {
    let mut lab = Lab::new(limits, runner);
    let curve = curve::curve(question, &mut lab);
    let jump = curve::jump(&curve, question.failed_at());
    let found = pivot::pivots(question, &curve, jump, &mut lab);
    Blame {
        jump,
        pivots: found.pivots,
        tried: found.tried,
        flips: found.flips,
        runs: lab.runs(),
        ended: lab.ended(),
        curve,
    }
}
