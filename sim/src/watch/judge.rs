//! The judge: the file's expectations, each with its verdict and the reason.

use std::collections::BTreeSet;

use hublab_strategies::time::micros;
use hublab_strategies::{ChildId, Metadata, NodeId, Pid, Time};
use serde::{Deserialize, Serialize};

use super::World;
use super::convergence::Convergence;
use super::defect::{Defect, Kind};
use super::findings::Findings;
use crate::engine::Child;
use crate::model::{After, Claim, Expectation, NodeIx, Scenario};
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
    /// When it was broken, in microseconds; absent if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_us: Option<u64>,
    /// Whose view broke it; empty if it holds or is not about one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// What is wrong there, in a word: `absent`, `ghost`, `wrong`, ...; empty as above.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub defect: String,
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
    /// What was found wrong at the instant of a claim about one, once that is over.
    Instant(Option<Vec<Fault>>),
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

/// How the kind of a defect begins that was gone by the end of the run, but not in time.
pub const LATE: &str = "late ";

/// How many defects a verdict names.
const NAMED: usize = 3;

/// One thing that is not as a claim has it.
#[derive(Debug)]
struct Fault {
    defect: &'static str,
    text: String,
}

/// What the judge says of a claim, before it is a [`Judgement`].
#[derive(Debug)]
struct Ruling {
    verdict: Verdict,
    detail: String,
    at: Time,
    node: String,
    defect: String,
}

impl Ruling {
    fn new((verdict, detail): (Verdict, String), at: Time) -> Self {
        Self {
            verdict,
            detail,
            at,
            node: String::new(),
            defect: String::new(),
        }
    }

    /// A ruling that cannot be made, as the run was ended before its time.
    fn open(end: Time) -> Self {
        let detail = format!("the run was ended at {end}, before its time");
        Self::new((Verdict::Inconclusive, detail), end)
    }
}

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
                        *verdict = Some(faults_at_instant(&case.claim, world, convergence));
                    }
                }
                State::AtEnd => {}
            }
        }
    }

    pub(super) fn finish(
        self,
        (end, stopped_early): (Time, bool),
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
                let ruling = match state {
                    State::Converged(mut stretch) => {
                        if !stopped_early {
                            stretch.close(Time(end.0 + 1));
                        }
                        if stopped_early && !stretch.is_decided() {
                            Ruling::open(end)
                        } else {
                            stretch.ruling(convergence, world)
                        }
                    }
                    State::Instant(Some(faults)) => at_instant(&claim, faults, world),
                    State::Instant(None) if stopped_early => Ruling::open(end),
                    State::Instant(None) => {
                        let detail = "the run ended before that instant".to_owned();
                        Ruling::new((Verdict::Inconclusive, detail), end)
                    }
                    State::AtEnd => {
                        let at = broken_at(&claim, findings).unwrap_or(end);
                        let ruling = Ruling::new(at_end(&claim, findings, &measures), at);
                        // A violation that was seen is not unseen by what would have come.
                        let is_final = match &claim {
                            Claim::Always(_) => ruling.verdict == Verdict::Fail,
                            Claim::Violates(_) => ruling.verdict == Verdict::Pass,
                            Claim::Converged { .. }
                            | Claim::Registry { .. }
                            | Claim::Entry { .. }
                            | Claim::Metric { .. } => false,
                        };
                        if stopped_early && !is_final {
                            Ruling::open(end)
                        } else {
                            ruling
                        }
                    }
                };
                let is_broken = ruling.verdict == Verdict::Fail;
                Judgement {
                    claim: claim.name().to_owned(),
                    verdict: ruling.verdict,
                    detail: ruling.detail,
                    line,
                    at_us: is_broken.then_some(ruling.at.0),
                    node: ruling.node,
                    defect: ruling.defect,
                }
            })
            .collect()
    }
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
    Time(micros(match after {
        After::Time(at) => at,
        After::LastStep => scenario.last_step(),
        After::Heal => scenario.last_heal().unwrap_or_default(),
    }))
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

    /// Whether nothing that is still to come can change its verdict.
    fn is_decided(&self) -> bool {
        self.held_since.is_some() || self.at_deadline.is_some()
    }

    fn ruling(self, convergence: &Convergence, world: &World<'_>) -> Ruling {
        if let Some(since) = self.held_since {
            let took = Time(since.since(self.from));
            let detail = format!("converged at {since}, {took} after {}", self.from);
            return Ruling::new((Verdict::Pass, detail), since);
        }
        let is_late = self.disordered == 0;
        let late = if is_late {
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
        let detail = format!("at {}: {}{late}", self.deadline, list(&pending));
        let ruling = Ruling::new((Verdict::Fail, detail), self.deadline);
        match pending.first() {
            Some(first) => Ruling {
                node: world.name(first.observer).to_string(),
                defect: if is_late {
                    format!("{LATE}{}", first.kind.as_str())
                } else {
                    first.kind.as_str().to_owned()
                },
                ..ruling
            },
            None => ruling,
        }
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

/// When the oracle of an `always` was first violated.
fn broken_at(claim: &Claim, findings: &Findings) -> Option<Time> {
    let Claim::Always(oracle) = claim else {
        return None;
    };
    let mut violations = findings.violations.iter();
    let first = violations.find(|violation| violation.oracle == *oracle)?;
    Some(Time(first.at_us))
}

fn instant(claim: &Claim) -> Option<Time> {
    match claim {
        Claim::Registry { at, .. } | Claim::Entry { at, .. } => Some(*at),
        Claim::Converged { .. } | Claim::Always(_) | Claim::Violates(_) | Claim::Metric { .. } => {
            None
        }
    }
}

/// What is wrong with a claim about the instant that is just over.
fn faults_at_instant(claim: &Claim, world: &World<'_>, convergence: &Convergence) -> Vec<Fault> {
    let truth = |on: NodeIx| Truth {
        on,
        world: *world,
        convergence,
    };
    match claim {
        Claim::Registry { on, has, lacks, .. } => check_registry(has, lacks, &truth(*on)),
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
            check_entry(child, &wanted, &truth(*on))
        }
        Claim::Converged { .. } | Claim::Always(_) | Claim::Violates(_) | Claim::Metric { .. } => {
            Vec::new()
        }
    }
}

/// The verdict of a claim about an instant that is over.
fn at_instant(claim: &Claim, faults: Vec<Fault>, world: &World<'_>) -> Ruling {
    let at = instant(claim).unwrap_or_default();
    let Some(first) = faults.first() else {
        return Ruling::new((Verdict::Pass, "as expected".to_owned()), at);
    };
    let defect = first.defect.to_owned();
    let texts: Vec<String> = faults.into_iter().map(|fault| fault.text).collect();
    let node = match claim {
        Claim::Registry { on, .. } | Claim::Entry { on, .. } => world.name(*on).to_string(),
        Claim::Converged { .. } | Claim::Always(_) | Claim::Violates(_) | Claim::Metric { .. } => {
            String::new()
        }
    };
    Ruling {
        node,
        defect,
        ..Ruling::new((Verdict::Fail, texts.join("; ")), at)
    }
}

/// What a node could know to be true: what runs on the nodes that it can reach.
struct Truth<'a> {
    on: NodeIx,
    world: World<'a>,
    convergence: &'a Convergence,
}

/// The defect of a view that is right, where the claim is not.
const PRESENT: &str = "present";
/// The defect of a view that does not show what is not there.
const NOT_RUNNING: &str = "not running";

impl<'a> Truth<'a> {
    /// Every process of a child that the node can reach, with its owner.
    fn processes(&self, child: &ChildId) -> impl Iterator<Item = (NodeIx, &'a Child)> {
        let reached = self
            .world
            .positions()
            .filter(|owner| self.convergence.reaches((self.on, *owner), &self.world));
        reached.filter_map(|owner| Some((owner, self.world.child(owner, child)?)))
    }

    fn runs(&self, child: &ChildId, owner: Option<&NodeId>) -> bool {
        self.processes(child)
            .any(|(node, _)| owner.is_none_or(|owner| self.world.name(node) == owner))
    }

    /// What is wrong where a child is not shown.
    fn lack(&self, child: &ChildId, owner: Option<&NodeId>) -> &'static str {
        if self.runs(child, owner) {
            Kind::Absent.as_str()
        } else {
            NOT_RUNNING
        }
    }

    /// What is wrong where a child is shown.
    fn excess(&self, child: &ChildId, owner: Option<&NodeId>) -> &'static str {
        if self.runs(child, owner) {
            PRESENT
        } else {
            Kind::Ghost.as_str()
        }
    }

    /// What is wrong where a process is shown as it should not be.
    fn mistake(
        &self,
        child: &ChildId,
        kind: Kind,
        is_true: impl Fn(NodeIx, &Child) -> bool,
    ) -> &'static str {
        if self
            .processes(child)
            .any(|(node, child)| is_true(node, child))
        {
            PRESENT
        } else {
            kind.as_str()
        }
    }
}

/// A node without a registry has neither what it should nor what it should not.
fn not_running(name: &NodeId) -> Vec<Fault> {
    vec![Fault {
        defect: "not running",
        text: format!("{name} is not running"),
    }]
}

fn check_registry(has: &[ChildId], lacks: &[ChildId], truth: &Truth<'_>) -> Vec<Fault> {
    let name = truth.world.name(truth.on);
    let Some(registry) = truth.world.registry(truth.on) else {
        return not_running(name);
    };
    let shows = |child: &ChildId| {
        registry
            .get(child)
            .is_some_and(|row| !row.entries.is_empty())
    };
    let missing = has.iter().filter(|child| !shows(child)).map(|child| Fault {
        defect: truth.lack(child, None),
        text: format!("{name} lacks {child}"),
    });
    let extra = lacks
        .iter()
        .filter(|child| shows(child))
        .map(|child| Fault {
            defect: truth.excess(child, None),
            text: format!("{name} has {child}"),
        });
    missing.chain(extra).take(NAMED).collect()
}

struct WantedEntry<'a> {
    nodes: Option<&'a [NodeId]>,
    pids: Option<&'a [(NodeId, Pid)]>,
    metadata: Option<&'a Metadata>,
    first: Option<&'a NodeId>,
}

fn check_entry(child: &ChildId, wanted: &WantedEntry<'_>, truth: &Truth<'_>) -> Vec<Fault> {
    let name = truth.world.name(truth.on);
    let Some(registry) = truth.world.registry(truth.on) else {
        return not_running(name);
    };
    let row = registry.get(child);
    let entries = row.as_ref().map_or(&[][..], |row| row.entries);
    let mut found = Vec::new();
    let mut add = |defect, text| found.push(Fault { defect, text });
    if let Some(nodes) = wanted.nodes {
        let shown: BTreeSet<&NodeId> = entries.iter().map(|entry| &entry.node).collect();
        let expected: BTreeSet<&NodeId> = nodes.iter().collect();
        if shown != expected {
            let missing = expected.difference(&shown).next();
            let extra = shown.difference(&expected).next();
            let defect = match missing {
                Some(owner) => truth.lack(child, Some(owner)),
                None => truth.excess(child, extra.copied()),
            };
            let text = format!("{name} shows {child} on {shown:?}, expected {expected:?}");
            add(defect, text);
        }
    }
    for (node, pid) in wanted.pids.unwrap_or_default() {
        match entries.iter().find(|entry| entry.node == *node) {
            None => {
                let text = format!("{name} has no entry of {child} on {node}");
                add(truth.lack(child, Some(node)), text);
            }
            Some(entry) if entry.pid.as_ref() != Some(pid) => {
                let shown = entry.pid.as_ref().map_or("nil", Pid::as_str);
                let text = format!("{name} has pid {shown} for {child} on {node}, expected {pid}");
                let pid = entry.pid.as_ref();
                let is_true = |owner, running: &Child| {
                    truth.world.name(owner) == node && Some(&running.pid) == pid
                };
                add(truth.mistake(child, Kind::Wrong, is_true), text);
            }
            Some(_) => {}
        }
    }
    if let Some(metadata) = wanted.metadata {
        match row.as_ref() {
            None => add(
                truth.lack(child, None),
                format!("{name} has no row of {child}"),
            ),
            Some(row) if row.metadata != metadata => {
                let shown = &row.metadata;
                let text =
                    format!("{name} has metadata {shown:?} for {child}, expected {metadata:?}");
                let is_true = |_, running: &Child| running.metadata == **shown;
                add(truth.mistake(child, Kind::Metadata, is_true), text);
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
        let text = format!("{shown} stands first for {child} at {name}, expected {first}");
        add("wrong order", text);
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
