//! The judge: the file's expectations, each with its verdict and the reason.

use std::collections::BTreeSet;

use hublab_strategies::time::micros;
use hublab_strategies::{ChildId, Metadata, NodeId, Pid, Time};
use serde::{Deserialize, Serialize};

use super::World;
use super::convergence::Convergence;
use super::defect::Defect;
use super::findings::Findings;
use crate::model::{Action, After, Claim, Expectation, NodeIx, Scenario, When};
use crate::trace::recorder::{MessageCounts, Recorder};

/// What became of an expectation, or of a whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It held.
    Pass,
    /// The run ended before it could be judged.
    Inconclusive,
    /// It did not hold.
    Fail,
}

/// The verdict of one expectation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The claim's key: `converged`, `registry`, ...
    pub claim: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, in words.
    pub detail: String,
    /// The line of the expectation in its file; 0 if it has none.
    pub line: u32,
}

/// The judge of one run.
#[derive(Debug)]
pub(super) struct Judge {
    cases: Vec<Case>,
}

#[derive(Debug)]
struct Case {
    claim: Claim,
    line: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Converged(Stretch),
    /// The verdict of a claim about one instant, once that is over.
    Instant(Option<(bool, String)>),
    AtEnd,
}

/// A claim of convergence: some stretch without steps must end converged, having become so in
/// time.
#[derive(Debug)]
struct Stretch {
    from: Time,
    deadline: Time,
    observers: Vec<NodeIx>,
    /// Observers out of order at the end of the last instant.
    disordered: usize,
    since: Time,
    /// Since when it had been converged when it held.
    held_since: Option<Time>,
    /// What was wrong when the deadline passed.
    at_deadline: Option<Vec<Defect>>,
}

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
    pub(super) fn new(scenario: &Scenario, strategy: &str) -> Self {
        let cases = applying(scenario, strategy)
            .map(|Expectation { claim, line, .. }| Case {
                claim: claim.clone(),
                line: *line,
                state: State::new(claim, scenario),
            })
            .collect();
        Self { cases }
    }

    pub(super) fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.cases.iter().map(|case| &case.claim)
    }

    pub(super) fn step_begins(&mut self, now: Time) {
        for case in &mut self.cases {
            if let State::Converged(stretch) = &mut case.state {
                stretch.close(now);
            }
        }
    }

    pub(super) fn settle(
        &mut self,
        now: Time,
        next: Time,
        convergence: &Convergence,
        world: &World<'_>,
    ) {
        for case in &mut self.cases {
            match &mut case.state {
                State::Converged(stretch) => stretch.settle(now, next, convergence, world),
                State::Instant(verdict) => {
                    if verdict.is_none() && instant(&case.claim).is_some_and(|at| at < next) {
                        *verdict = Some(check_instant(&case.claim, world));
                    }
                }
                State::AtEnd => {}
            }
        }
    }

    pub(super) fn finish(
        self,
        end: Time,
        convergence: &Convergence,
        world: &World<'_>,
        findings: &Findings,
        recorder: &Recorder,
        rows: u64,
    ) -> Vec<Judgement> {
        let measures = Measures {
            recorder,
            rows,
            converged_since: convergence.converged_since(),
        };
        self.cases
            .into_iter()
            .map(|Case { claim, line, state }| {
                let (verdict, detail) = match state {
                    State::Converged(mut stretch) => {
                        stretch.close(Time(end.0 + 1));
                        stretch.verdict(convergence, world)
                    }
                    State::Instant(Some((held, detail))) => (verdict(held), detail),
                    State::Instant(None) => (
                        Verdict::Inconclusive,
                        "the run ended before that instant".to_owned(),
                    ),
                    State::AtEnd => at_end(&claim, findings, &measures),
                };
                Judgement {
                    claim: claim.name().to_owned(),
                    verdict,
                    detail,
                    line,
                }
            })
            .collect()
    }
}

fn verdict(held: bool) -> Verdict {
    if held { Verdict::Pass } else { Verdict::Fail }
}

impl State {
    fn new(claim: &Claim, scenario: &Scenario) -> Self {
        match claim {
            Claim::Converged {
                within,
                after,
                nodes,
            } => {
                let from = origin(*after, scenario);
                let count = NodeIx::try_from(scenario.cluster.nodes.len()).unwrap_or(NodeIx::MAX);
                Self::Converged(Stretch {
                    from,
                    deadline: from.after(*within),
                    observers: nodes.clone().unwrap_or_else(|| (0..count).collect()),
                    disordered: 0,
                    since: Time::ZERO,
                    held_since: None,
                    at_deadline: None,
                })
            }
            Claim::Registry { .. } | Claim::Entry { .. } => Self::Instant(None),
            Claim::Always(_) | Claim::Violates(_) | Claim::Metric { .. } => Self::AtEnd,
        }
    }
}

/// The instant that `after` names.
fn origin(after: After, scenario: &Scenario) -> Time {
    let fixed = |when: When| match when {
        When::Fixed(at) | When::Between(at, _) => Time(micros(at)),
    };
    let steps = scenario
        .steps
        .iter()
        .map(|step| (fixed(step.at), &step.action));
    let healings = steps
        .clone()
        .filter_map(|(at, action)| Some(Time(at.0 + fixed(action.heal_after()?).0)));
    match after {
        After::Time(at) => Time(micros(at)),
        After::LastStep => steps
            .map(|(at, _)| at)
            .chain(healings)
            .max()
            .unwrap_or_default(),
        After::Heal => {
            let heals = steps
                .filter(|(_, action)| matches!(action, Action::Heal))
                .map(|(at, _)| at);
            heals.chain(healings).max().unwrap_or_default()
        }
    }
}

impl Stretch {
    fn settle(&mut self, now: Time, next: Time, convergence: &Convergence, world: &World<'_>) {
        if !convergence.flipped().is_empty() {
            let was = self.disordered;
            self.disordered = self
                .observers
                .iter()
                .filter(|node| !convergence.is_in_order(**node))
                .count();
            if was > 0 && self.disordered == 0 {
                self.since = now;
            }
        }
        if self.at_deadline.is_none()
            && next > self.deadline
            && self.held_since.is_none()
            && self.disordered > 0
        {
            self.at_deadline = Some(convergence.pending(&self.observers, world, NAMED));
        }
    }

    /// A stretch without steps ends just before `end`.
    fn close(&mut self, end: Time) {
        let since = self.since.max(self.from);
        if self.disordered == 0 && since <= self.deadline && since < end {
            self.held_since.get_or_insert(since);
        }
    }

    fn verdict(self, convergence: &Convergence, world: &World<'_>) -> (Verdict, String) {
        if let Some(since) = self.held_since {
            let took = Time(since.since(self.from));
            return (
                Verdict::Pass,
                format!("converged at {since}, {took} after {}", self.from),
            );
        }
        let late = if self.disordered == 0 {
            format!(
                "; converged at {}, {} too late",
                self.since,
                Time(self.since.since(self.deadline))
            )
        } else {
            String::new()
        };
        let pending = self
            .at_deadline
            .unwrap_or_else(|| convergence.pending(&self.observers, world, NAMED));
        (
            Verdict::Fail,
            format!("at {}: {}{late}", self.deadline, list(&pending)),
        )
    }
}

fn list(defects: &[Defect]) -> String {
    if defects.is_empty() {
        "it did not last".to_owned()
    } else {
        let texts: Vec<&str> = defects.iter().map(|defect| defect.text.as_str()).collect();
        texts.join("; ")
    }
}

fn instant(claim: &Claim) -> Option<Time> {
    match claim {
        Claim::Registry { at, .. } | Claim::Entry { at, .. } => Some(*at),
        Claim::Converged { .. } | Claim::Always(_) | Claim::Violates(_) | Claim::Metric { .. } => {
            None
        }
    }
}

/// Judges a claim about the instant that is just over.
fn check_instant(claim: &Claim, world: &World<'_>) -> (bool, String) {
    let found = match claim {
        Claim::Registry { on, has, lacks, .. } => check_registry(*on, has, lacks, world),
        Claim::Entry {
            on,
            child,
            nodes,
            pids,
            metadata,
            first,
            ..
        } => {
            let wanted = WantedEntry {
                nodes: nodes.as_deref(),
                pids: pids.as_deref(),
                metadata: metadata.as_ref(),
                first: first.as_ref(),
            };
            check_entry(*on, child, &wanted, world)
        }
        Claim::Converged { .. } | Claim::Always(_) | Claim::Violates(_) | Claim::Metric { .. } => {
            Vec::new()
        }
    };
    if found.is_empty() {
        (true, "as expected".to_owned())
    } else {
        (false, found.join("; "))
    }
}

fn check_registry(
    on: NodeIx,
    has: &[ChildId],
    lacks: &[ChildId],
    world: &World<'_>,
) -> Vec<String> {
    let name = world.name(on);
    let Some(registry) = world.registry(on) else {
        return vec![format!("{name} is not running")];
    };
    let shows = |child: &ChildId| {
        registry
            .get(child)
            .is_some_and(|row| !row.entries.is_empty())
    };
    let missing = has
        .iter()
        .filter(|child| !shows(child))
        .map(|child| format!("{name} lacks {child}"));
    let extra = lacks
        .iter()
        .filter(|child| shows(child))
        .map(|child| format!("{name} has {child}"));
    missing.chain(extra).take(NAMED).collect()
}

struct WantedEntry<'a> {
    nodes: Option<&'a [NodeId]>,
    pids: Option<&'a [(NodeId, Pid)]>,
    metadata: Option<&'a Metadata>,
    first: Option<&'a NodeId>,
}

fn check_entry(
    on: NodeIx,
    child: &ChildId,
    wanted: &WantedEntry<'_>,
    world: &World<'_>,
) -> Vec<String> {
    let name = world.name(on);
    let Some(registry) = world.registry(on) else {
        return vec![format!("{name} is not running")];
    };
    let row = registry.get(child);
    let entries = row.as_ref().map_or(&[][..], |row| row.entries);
    let mut found = Vec::new();
    if let Some(nodes) = wanted.nodes {
        let shown: BTreeSet<&NodeId> = entries.iter().map(|entry| &entry.node).collect();
        let expected: BTreeSet<&NodeId> = nodes.iter().collect();
        if shown != expected {
            found.push(format!(
                "{name} shows {child} on {shown:?}, expected {expected:?}"
            ));
        }
    }
    for (node, pid) in wanted.pids.unwrap_or_default() {
        match entries.iter().find(|entry| entry.node == *node) {
            None => found.push(format!("{name} has no entry of {child} on {node}")),
            Some(entry) if entry.pid.as_ref() != Some(pid) => {
                let shown = entry.pid.as_ref().map_or("nil", Pid::as_str);
                found.push(format!(
                    "{name} has pid {shown} for {child} on {node}, expected {pid}"
                ));
            }
            Some(_) => {}
        }
    }
    if let Some(metadata) = wanted.metadata {
        match row.as_ref() {
            None => found.push(format!("{name} has no row of {child}")),
            Some(row) if row.metadata != metadata => {
                found.push(format!(
                    "{name} has metadata {:?} for {child}, expected {metadata:?}",
                    row.metadata
                ));
            }
            Some(_) => {}
        }
    }
    if let Some(first) = wanted.first
        && entries.first().map(|entry| &entry.node) != Some(first)
    {
        let shown = entries
            .first()
            .map_or("nobody", |entry| entry.node.as_str());
        found.push(format!(
            "{shown} stands first for {child} at {name}, expected {first}"
        ));
    }
    found
}

struct Measures<'a> {
    recorder: &'a Recorder,
    rows: u64,
    converged_since: Option<Time>,
}

fn at_end(claim: &Claim, findings: &Findings, measures: &Measures<'_>) -> (Verdict, String) {
    match claim {
        Claim::Always(oracle) => findings.always(oracle),
        Claim::Violates(oracle) => findings.violates(oracle),
        Claim::Metric { name, min, max } => match measure(name, measures) {
            None => (
                Verdict::Fail,
                format!("{name} has no value: the views did not converge"),
            ),
            Some(value) if min.is_some_and(|min| value < min) => (
                Verdict::Fail,
                format!("{name} is {value}, less than {}", min.unwrap_or_default()),
            ),
            Some(value) if max.is_some_and(|max| value > max) => (
                Verdict::Fail,
                format!("{name} is {value}, more than {}", max.unwrap_or_default()),
            ),
            Some(value) => (Verdict::Pass, format!("{name} is {value}")),
        },
        Claim::Converged { .. } | Claim::Registry { .. } | Claim::Entry { .. } => {
            (Verdict::Pass, String::new())
        }
    }
}

fn measure(name: &str, measures: &Measures<'_>) -> Option<u64> {
    match name {
        "events" => return Some(measures.recorder.events()),
        "rows" => return Some(measures.rows),
        "converged_us" => return measures.converged_since.map(|at| at.0),
        _ => {}
    }
    let (metric, kind) = name
        .split_once('.')
        .map_or((name, None), |(metric, kind)| (metric, Some(kind)));
    let mut total = MessageCounts::default();
    for (_, counts) in measures
        .recorder
        .counts()
        .filter(|(name, _)| kind.is_none_or(|kind| kind == *name))
    {
        total.add(counts);
    }
    match metric {
        "messages_sent" => Some(total.sent),
        "messages_delivered" => Some(total.delivered),
        "messages_dropped" => Some(total.dropped),
        "messages_duplicated" => Some(total.duplicated),
        "bytes_sent" => Some(total.bytes),
        _ => None,
    }
}
