//! The judge: the file's expectations, each with its verdict and the reason.

mod converged;
mod instant;

use std::collections::BTreeSet;

use hublab_strategies::time::micros;
use hublab_strategies::{ChildId, Time};
use serde::{Deserialize, Serialize};

use super::ObserverContext;
use super::findings::Findings;
use crate::model::{Claim, Expectation, Instants, NodeIx, Over, Scenario, Window};
use crate::trace::event::{Event, EventId, Payload};
use crate::trace::text::kind_of;
use converged::Stretch;
use instant::{Views, check_instant};

/// The verdict of an expectation, or of a run as a whole. Those behind [`Self::Fail`] are of runs of
/// campaigns alone, which no report comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It held.
    Pass,
    /// The run ended before it could be judged.
    Inconclusive,
    /// It did not hold.
    Fail,
    /// The run outlived its wall-clock limit, and its worker was killed.
    TimedOut,
    /// The run's worker died: out of memory, or ended by a signal.
    WorkerLost,
    /// The run failed in the campaign but not alone in a fresh process.
    NotReproduced,
    /// A second run had another digest.
    Mismatch,
    /// hublab itself panicked.
    Bug,
}

impl Verdict {
    /// The verdict as a word, as in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
            Self::TimedOut => "timed_out",
            Self::WorkerLost => "worker_lost",
            Self::NotReproduced => "not_reproduced",
            Self::Mismatch => "mismatch",
            Self::Bug => "bug",
        }
    }

    /// True if something failed: not if all held, nor if it could not be judged.
    #[must_use]
    pub fn is_failure(self) -> bool {
        match self {
            Self::Pass | Self::Inconclusive => false,
            Self::Fail
            | Self::TimedOut
            | Self::WorkerLost
            | Self::NotReproduced
            | Self::Mismatch
            | Self::Bug => true,
        }
    }
}

/// The verdict of one expectation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Judgement {
    /// The claim's key: `converged`, `registry`, ...
    pub claim: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why, in words.
    pub detail: String,
    /// The line of the expectation in its file; 0 if it has none.
    pub line: u32,
    /// When it was broken, in microseconds; absent if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_us: Option<u64>,
    /// The event that broke it; absent if it held, or no single event did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// The node whose view broke it; empty if it holds or is not about one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// The child that it is about; empty as above.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub child: String,
    /// The kind of defect, in a word: `absent`, `ghost`, `wrong`, ...; empty as above.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub defect: String,
    /// True if it claims something of a campaign that this run has not shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unseen: bool,
}

/// The verdict of one claim, and what it goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) detail: String,
    pub(super) at: Option<Time>,
    pub(super) event: Option<EventId>,
    pub(super) node: String,
    pub(super) child: String,
    pub(super) defect: String,
    pub(super) unseen: bool,
}

impl Judged {
    pub(crate) fn new(verdict: Verdict, detail: String) -> Self {
        Self {
            verdict,
            detail,
            at: None,
            event: None,
            node: String::new(),
            child: String::new(),
            defect: String::new(),
            unseen: false,
        }
    }

    pub(crate) fn at(self, at: Time) -> Self {
        let at = Some(at);
        Self { at, ..self }
    }

    /// The instant of a verdict that is a failure, in microseconds.
    fn broken_at(&self) -> Option<u64> {
        self.at
            .filter(|_| self.verdict == Verdict::Fail)
            .map(|at| at.0)
    }

    fn of(self, claim: &Claim, line: u32) -> Judgement {
        let at_us = self.broken_at();
        Judgement {
            claim: claim.name().to_owned(),
            verdict: self.verdict,
            detail: self.detail,
            line,
            at_us,
            event: self.event,
            node: self.node,
            child: self.child,
            defect: self.defect,
            unseen: self.unseen,
        }
    }
}

impl Judgement {
    /// Replaces the verdict.
    pub(crate) fn replace(&mut self, judged: Judged) {
        self.at_us = judged.broken_at();
        self.verdict = judged.verdict;
        self.detail = judged.detail;
        self.event = judged.event;
        self.node = judged.node;
        self.defect = judged.defect;
        self.unseen = judged.unseen;
        self.child = judged.child;
    }
}

/// The judge of one run.
#[derive(Debug)]
pub(super) struct Judge {
    cases: Vec<Case>,
    /// The claims of convergence, by their place.
    stretches: Vec<usize>,
    /// The claims about one instant, by it and their place, the last one first.
    instants: Vec<(Time, usize)>,
    /// The places of the claims about several instants that are not decided yet.
    spans: Vec<usize>,
    /// The places of what is to happen, and has not yet.
    awaited: Vec<usize>,
    /// The cluster views of the nodes that claims are about.
    views: Views,
    /// True if anything that a claim can be about has changed since the last instant.
    has_changed: bool,
    /// The end of the run.
    end: Time,
}

#[derive(Debug)]
struct Case {
    claim: Claim,
    line: u32,
    state: CaseState,
}

#[derive(Debug)]
enum CaseState {
    Converged(Stretch),
    /// The verdict of a claim about a state, once it is decided.
    State(Option<Judged>),
    /// When it first happened.
    Sometimes(Option<Time>),
    AtEnd,
}

/// How the kind of a defect begins that was gone by the end of the run, but not in time.
pub const LATE: &str = "late ";

/// How many defects a verdict names.
const NAMED: usize = 3;

/// The expectations that apply to a strategy, in file order.
pub(crate) fn applying<'a>(
    scenario: &'a Scenario,
    strategy: &'a str,
) -> impl Iterator<Item = &'a Expectation> {
    let applies = move |expectation: &&Expectation| {
        let only = expectation.strategy.as_deref();
        only.is_none_or(|only| only == strategy)
    };
    scenario.expectations.iter().filter(applies)
}

impl Judge {
    /// The windows that metrics are claimed of, without the whole run.
    pub(super) fn windows(&self) -> BTreeSet<Window> {
        let windows = self.cases.iter().filter_map(|case| {
            if let Claim::Metric { window, .. } = &case.claim {
                Some(*window)
            } else {
                None
            }
        });
        windows.filter(|window| !window.is_whole()).collect()
    }

    pub(super) fn new(scenario: &Scenario, strategy: &str) -> Self {
        let cases: Vec<Case> = applying(scenario, strategy)
            .map(|Expectation { claim, line, .. }| Case {
                claim: claim.clone(),
                line: *line,
                state: CaseState::new(claim, scenario),
            })
            .collect();
        let places = || cases.iter().enumerate();
        let is_stretch = |case: &Case| matches!(case.state, CaseState::Converged(_));
        let whole = Instants::During(Time::ZERO, Time(micros(scenario.run.duration)));
        let when = |claim: &Claim| {
            let throughout = matches!(claim, Claim::Owners { .. }).then_some(whole);
            claim.when().or(throughout)
        };
        let mut instants: Vec<(Time, usize)> = places()
            .filter_map(|(place, case)| match when(&case.claim)? {
                Instants::At(at) => Some((at, place)),
                Instants::During(..) | Instants::By(_) => None,
            })
            .collect();
        let spans = places().filter(|(_, case)| {
            matches!(
                when(&case.claim),
                Some(Instants::During(..) | Instants::By(_))
            )
        });
        let awaited = places().filter(|(_, case)| matches!(case.state, CaseState::Sometimes(_)));
        let viewed = cases.iter().flat_map(|case| {
            if let Claim::View { on, .. } = &case.claim {
                on.nodes()
            } else {
                &[]
            }
        });
        instants.sort_unstable_by(|a, b| b.cmp(a));
        Self {
            stretches: places()
                .filter(|(_, case)| is_stretch(case))
                .map(|(at, _)| at)
                .collect(),
            instants,
            spans: spans.map(|(place, _)| place).collect(),
            awaited: awaited.map(|(place, _)| place).collect(),
            views: viewed.map(|node| (*node, BTreeSet::new())).collect(),
            has_changed: true,
            end: Time(micros(scenario.run.duration)),
            cases,
        }
    }

    pub(super) fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.cases.iter().map(|case| &case.claim)
    }

    /// The rows that claims are about.
    pub(super) fn rows(&self) -> BTreeSet<(NodeIx, ChildId)> {
        let mut rows = BTreeSet::new();
        for claim in self.claims() {
            if let Claim::Registry { on, has, lacks, .. } = claim {
                for node in on.nodes() {
                    rows.extend(has.iter().chain(lacks).map(|child| (*node, child.clone())));
                }
            } else if let Claim::Entry { on, child, .. } = claim {
                rows.extend(on.nodes().iter().map(|node| (*node, child.clone())));
            }
        }
        rows
    }

    /// Takes in an event.
    pub(super) fn event(&mut self, event: &Event) {
        if !self.awaited.is_empty() {
            self.await_event(event);
        }
        if self.spans.is_empty() && self.views.is_empty() {
            return;
        }
        if let Payload::View(view) = &event.payload {
            if let Some(known) = self.views.get_mut(&event.node) {
                *known = view.iter().cloned().collect();
            }
        } else if let Payload::Booted { name, .. } = &event.payload
            && let Some(known) = self.views.get_mut(&event.node)
        {
            *known = BTreeSet::from([name.clone()]);
        }
        self.has_changed |= matches!(
            event.payload,
            Payload::Row { .. }
                | Payload::View(_)
                | Payload::Booted { .. }
                | Payload::Stopped(_)
                | Payload::Connected { .. }
                | Payload::Disconnected { .. }
                | Payload::ChildStarted { .. }
                | Payload::ChildStopped { .. }
        );
    }

    fn await_event(&mut self, event: &Event) {
        let of_kind = kind_of(event);
        let special = if let Payload::Mark(name) = &event.payload {
            name.as_ref()
        } else if let Payload::Kind { name, .. } = &event.payload {
            // A kind of message gets its number when it is sent for the first time.
            name.as_str()
        } else {
            ""
        };
        let cases = &mut self.cases;
        self.awaited.retain(|place| {
            let Case { claim, state, .. } = &mut cases[*place];
            let Claim::Sometimes { name, .. } = claim else {
                return false;
            };
            let happened = name == of_kind || name == special;
            if happened {
                *state = CaseState::Sometimes(Some(event.at));
            }
            !happened
        });
    }

    /// Judges the claims about several instants: what is the case now stays so until `next`.
    fn settle_spans(&mut self, now: Time, next: Time, cx: &ObserverContext) {
        let has_changed = std::mem::take(&mut self.has_changed);
        let mut spans = std::mem::take(&mut self.spans);
        spans.retain(|place| {
            let case = &mut self.cases[*place];
            let check = |at: Time| check_instant(&case.claim, at, cx, &self.views);
            let decided = match case.claim.when() {
                Some(Instants::By(last)) => {
                    // It fails only once its time is over.
                    let is_over = next > last;
                    let found = (has_changed || is_over).then(|| check(now.min(last)));
                    let found = found.filter(|found| found.verdict == Verdict::Pass || is_over);
                    found.map(|found| {
                        if found.verdict == Verdict::Pass {
                            found
                        } else {
                            found.at(last)
                        }
                    })
                }
                Some(Instants::At(at)) => Some(check(at)),
                Some(Instants::During(first, last)) => {
                    during(now, next, (first, last), has_changed, check)
                }
                None => during(now, next, (Time::ZERO, self.end), has_changed, check),
            };
            let is_open = decided.is_none();
            case.state = CaseState::State(decided);
            is_open
        });
        self.spans = spans;
    }

    /// A step of the script, or an injection, begins.
    pub(super) fn step_begins(&mut self, event: &Event, cx: &ObserverContext) {
        let mut step = None;
        if let Payload::Step { index, healing, .. } = event.payload {
            step = Some((index, healing));
        }
        for at in &self.stretches {
            if let CaseState::Converged(stretch) = &mut self.cases[*at].state {
                stretch.step_begins(event.at, step, cx);
            }
        }
    }

    pub(super) fn settle(&mut self, now: Time, next: Time, cx: &ObserverContext) {
        for at in &self.stretches {
            if let CaseState::Converged(stretch) = &mut self.cases[*at].state {
                stretch.settle(now, next, cx);
            }
        }
        while let Some((at, place)) = self.instants.pop_if(|(at, _)| *at < next) {
            let case = &mut self.cases[place];
            let judged = check_instant(&case.claim, at, cx, &self.views);
            case.state = CaseState::State(Some(judged));
        }
        if !self.spans.is_empty() {
            self.settle_spans(now, next, cx);
        }
    }

    pub(super) fn finish(
        self,
        cx: &ObserverContext,
        findings: &Findings,
        (end, stopped_early): (Time, bool),
    ) -> Vec<Judgement> {
        let judge = |Case { claim, line, state }| {
            let judged = match state {
                CaseState::Converged(mut stretch) => {
                    if stopped_early && !stretch.is_decided(end) {
                        open(end)
                    } else {
                        stretch.close(Time(end.0.saturating_add(1)), cx);
                        stretch.verdict(end, cx)
                    }
                }
                CaseState::State(Some(judged)) => judged,
                CaseState::State(None) => open(end),
                CaseState::Sometimes(first) => sometimes(&claim, first, (end, stopped_early)),
                CaseState::AtEnd => at_end(&claim, findings, (end, stopped_early)),
            };
            judged.of(&claim, line)
        };
        self.cases.into_iter().map(judge).collect()
    }
}

/// The verdict of a claim about every instant of a stretch, if it is decided before `next`.
fn during(
    now: Time,
    next: Time,
    (first, last): (Time, Time),
    has_changed: bool,
    check: impl Fn(Time) -> Judged,
) -> Option<Judged> {
    if next <= first {
        return None;
    }
    if now <= last && (has_changed || now <= first) {
        let found = check(now.max(first));
        if found.verdict != Verdict::Pass {
            return Some(found);
        }
    }
    let held = || Judged::new(Verdict::Pass, format!("as expected from {first} to {last}"));
    (next > last).then(|| held().at(last))
}

/// The verdict on what is to happen at least once.
fn sometimes(claim: &Claim, first: Option<Time>, (end, stopped_early): (Time, bool)) -> Judged {
    let over_campaign = matches!(
        claim,
        Claim::Sometimes {
            over: Over::Campaign,
            ..
        }
    );
    match first {
        Some(at) => Judged::new(Verdict::Pass, format!("first at {at}")).at(at),
        None if over_campaign => {
            let detail = "not in this run; a campaign must show it".to_owned();
            Judged {
                unseen: true,
                ..Judged::new(Verdict::Pass, detail)
            }
        }
        None if stopped_early => open(end),
        None => Judged {
            defect: "never".to_owned(),
            ..Judged::new(Verdict::Fail, "it never happened".to_owned()).at(end)
        },
    }
}

/// The verdict of a claim that a run which was ended early leaves open.
fn open(end: Time) -> Judged {
    let detail = format!("the run was ended at {end}, before its time");
    Judged::new(Verdict::Inconclusive, detail)
}

impl CaseState {
    fn new(claim: &Claim, scenario: &Scenario) -> Self {
        match claim {
            Claim::Converged {
                within,
                after,
                nodes,
                whole,
            } => {
                let nodes = nodes.as_deref();
                Self::Converged(Stretch::new(*within, *after, nodes, *whole, scenario))
            }
            Claim::Registry { .. }
            | Claim::Entry { .. }
            | Claim::View { .. }
            | Claim::Connected { .. }
            | Claim::Owners { .. } => Self::State(None),
            Claim::Sometimes { .. } => Self::Sometimes(None),
            Claim::Always(_) | Claim::Violates(_) | Claim::Metric { .. } => Self::AtEnd,
        }
    }
}

fn at_end(claim: &Claim, findings: &Findings, (end, stopped_early): (Time, bool)) -> Judged {
    match claim {
        Claim::Always(oracle) | Claim::Violates(oracle) => {
            if stopped_early && !findings.has(oracle) {
                open(end)
            } else if let Claim::Always(_) = claim {
                findings.always(oracle)
            } else {
                findings.violates(oracle)
            }
        }
        // Judged once there is a report to measure: `metric::Measures::judge`.
        Claim::Metric { .. } => open(end),
        Claim::Converged { .. }
        | Claim::Registry { .. }
        | Claim::Entry { .. }
        | Claim::View { .. }
        | Claim::Connected { .. }
        | Claim::Owners { .. }
        | Claim::Sometimes { .. } => Judged::new(Verdict::Pass, String::new()),
    }
}
