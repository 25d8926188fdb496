//! Which changes prevent a failure, ranked by the branches that go on from them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hublab_strategies::Time;
use serde::{Deserialize, Serialize};

use super::Question;
use super::candidate::{Candidate, candidates};
use super::curve::Point;
use super::lab::{Job, Lab};
use crate::model::Change;
use crate::trace::event::{Event, EventId};
use crate::trace::text::{Names, printable};

/// How many changes are tried at most.
const TRIED_MAX: usize = 1_500;
/// How many of those that prevent the failure get branches.
const RANKED_MAX: usize = 24;
/// How many pivots are told.
const PIVOTS_MAX: usize = 16;

/// How an event is changed. The order is that of pivots that are equal otherwise: the smallest change
/// first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Moved before what its node handled before it.
    Earlier,
    /// Moved behind what its node handled after it.
    Later,
    /// A message that arrived is lost.
    Lost,
    /// A message that was lost arrives.
    Arrived,
    /// What a node draws is drawn anew.
    Redrawn,
    /// A message arrives twice.
    Doubled,
}

/// A change that prevents the failure.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Pivot {
    /// What is changed.
    pub change: Change,
    /// How.
    pub kind: Kind,
    /// The event that is changed.
    pub event: Event,
    /// The event that it is moved past.
    pub neighbour: Option<Event>,
    /// After which instant the branches begin, in microseconds.
    pub after_us: u64,
    /// How many branches fail without the change.
    pub fails: u32,
    /// How many branches fail with it.
    pub fails_changed: u32,
    /// How many branches there are of each.
    pub of: u32,
    /// True if the event is a cause of the failure, as the trace has it.
    pub is_cause: bool,
    /// True if it happened where the curve jumps, or if the curve does not jump; otherwise it is a cause.
    pub is_inside: bool,
}

impl Pivot {
    /// By how much the share of branches that fail is smaller with the change.
    #[must_use]
    pub fn difference(&self) -> f64 {
        (f64::from(self.fails) - f64::from(self.fails_changed)) / f64::from(self.of.max(1))
    }

    /// The pivot as a sentence without its end, with `only` where no branch fails with the change: `it fails only if e192 (pubsub.sync from n4 to n1) comes
    /// after e198 (pubsub.requests from n2 to n1)`.
    #[must_use]
    pub fn sentence(&self, names: &Names) -> String {
        let event = Label(&self.event, names);
        let other = self.neighbour.as_ref().map(|other| Label(other, names));
        let fails = if self.fails_changed == 0 {
            "it fails only"
        } else {
            "it fails more often"
        };
        let past = |word: &str| match &other {
            Some(other) => format!("{fails} if {event} comes {word} {other}"),
            None => format!("{fails} with {event} where it is"),
        };
        match self.kind {
            Kind::Earlier => past("after"),
            Kind::Later => past("before"),
            Kind::Lost => format!("{fails} if {event} arrives"),
            Kind::Arrived => format!("{fails} if {event} is lost"),
            Kind::Redrawn => format!(
                "{fails} with what {} chose at {}, when it sent {event}",
                node(names, self.event.node),
                self.event.at
            ),
            Kind::Doubled => format!("{fails} if {event} arrives just once"),
        }
    }
}

fn node(names: &Names, ix: crate::model::NodeIx) -> String {
    printable(names.node(ix).unwrap_or("?")).into_owned()
}

/// An event in a few words.
struct Label<'a>(&'a Event, &'a Names);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(event, names) = self;
        write!(
            f,
            "e{} ({} {})",
            event.id,
            node(names, event.node),
            names.words(event)
        )
    }
}

/// What the search found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) pivots: Vec<Pivot>,
    pub(super) tried: u64,
    pub(super) flips: u64,
}

/// The pivots of a question: inside the jump of its curve, then its causes; all up to the failure if there
/// is no jump, or if nothing in it prevents the failure.
pub(super) fn pivots(
    question: &Question,
    curve: &[Point],
    jump: Option<(Time, Time)>,
    lab: &mut Lab<'_>,
) -> Found {
    let mut found = Found::default();
    search(question, &windows(curve, jump), lab, &mut found);
    if jump.is_some() && !found.pivots.iter().any(|pivot| pivot.is_inside) {
        search(question, &windows(curve, None), lab, &mut found);
    }
    found
}

/// Tries what can be changed in these windows.
fn search(question: &Question, windows: &[(Time, Time)], lab: &mut Lab<'_>, found: &mut Found) {
    let mut candidates = candidates(question, windows);
    // Half of what is left is for the branches.
    let room = usize::try_from(lab.left() / 2).unwrap_or(usize::MAX);
    candidates.truncate(room.min(TRIED_MAX));
    let jobs: Vec<Job> = candidates.iter().map(|one| job(one.change)).collect();
    let Some(outcomes) = lab.ask(&jobs) else {
        return;
    };
    let mut flips = Vec::new();
    found.tried = 0;
    for (candidate, outcome) in candidates.into_iter().zip(outcomes) {
        // What changes nothing was no choice.
        found.tried += u64::from(!outcome.same);
        if !outcome.fails && !outcome.same {
            flips.push(candidate);
        }
    }
    found.flips = flips.len() as u64;
    flips.sort_by_key(|one| {
        (
            !one.is_cause,
            one.kind,
            std::cmp::Reverse(one.at),
            one.event,
        )
    });
    flips.truncate(RANKED_MAX);
    found.pivots = ranked(question, flips, lab);
}

/// Where to look: the intervals that rise by at least half of what the steepest does; the whole run if
/// none does.
fn windows(curve: &[Point], jump: Option<(Time, Time)>) -> Vec<(Time, Time)> {
    let Some((from, to)) = jump else {
        let whole = curve.last().map_or(u64::MAX, |point| point.after_us);
        return vec![(Time::ZERO, Time(whole))];
    };
    let rise = |pair: &[Point]| pair[1].fails.saturating_sub(pair[0].fails);
    let pairs = || curve.windows(2);
    let steepest = pairs().find(|pair| pair[0].after_us == from.0 && pair[1].after_us == to.0);
    let least = steepest.map_or(0, rise).div_ceil(2).max(1);
    pairs()
        .filter(|pair| rise(pair) >= least)
        .map(|pair| (Time(pair[0].after_us), Time(pair[1].after_us)))
        .collect()
}

fn job(change: Change) -> Job {
    Job {
        branch: None,
        changes: vec![change],
    }
}

/// Those of which fewer branches fail with the change than without it, one for each event.
fn ranked(question: &Question, flips: Vec<Candidate>, lab: &mut Lab<'_>) -> Vec<Pivot> {
    let mut asked: BTreeMap<Time, u32> = BTreeMap::new();
    let instants: BTreeSet<Time> = flips.iter().map(|one| one.done).collect();
    let plain: Vec<_> = instants
        .iter()
        .map(|at| (Question::since_start(*at), &[][..]))
        .collect();
    let Some(shares) = lab.shares(&plain) else {
        return Vec::new();
    };
    asked.extend(instants.into_iter().zip(shares));
    let changes: Vec<[Change; 1]> = flips.iter().map(|one| [one.change]).collect();
    let changed: Vec<_> = flips
        .iter()
        .zip(&changes)
        .map(|(one, change)| (Question::since_start(one.done), &change[..]))
        .collect();
    let Some(shares) = lab.shares(&changed) else {
        return Vec::new();
    };
    let find = |id: EventId| question.event(id).cloned();
    let mut pivots: Vec<Pivot> = Vec::new();
    for (one, fails_changed) in flips.into_iter().zip(shares) {
        let fails = asked.get(&one.done).copied().unwrap_or_default();
        let Some(mut event) = find(one.event) else {
            continue;
        };
        // A message that was under way when it failed is told by its sending.
        if event.at > question.failed_at()
            && let Some(sent) = find(event.cause)
        {
            event = sent;
        }
        if fails > fails_changed {
            pivots.push(Pivot {
                change: one.change,
                kind: one.kind,
                event,
                neighbour: one.neighbour.and_then(find),
                after_us: one.done.0,
                fails,
                fails_changed,
                of: lab.limits.branches,
                is_cause: one.is_cause,
                is_inside: one.is_inside,
            });
        }
    }
    pivots.sort_by_key(|one| {
        let difference = one.fails - one.fails_changed;
        (
            !one.is_inside,
            std::cmp::Reverse(difference),
            !one.is_cause,
            one.kind,
            std::cmp::Reverse(one.event.at),
            one.event.id,
        )
    });
    let mut seen = BTreeSet::new();
    pivots.retain(|one| seen.insert(one.event.id));
    pivots.truncate(PIVOTS_MAX);
    pivots
}
