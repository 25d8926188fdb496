//! The observers of a run: convergence, oracles, and the file's expectations.
//!
//! [`Observers`] are a fold over the trace. They know the resolved scenario and its events, and
//! nothing else: no engine, no node. So a run, a run of real hubs and a recorded trace are judged
//! by the same code.
//!
//! | module | owns |
//! | --- | --- |
//! | [`context`] | the state of a run so far |
//! | [`convergence`] | which views equal the truth |
//! | [`changed`] | a change of a row, taken apart |
//! | `history`, `causes` | the past, and the inputs that things came of |
//! | [`facts`] | names, times and bounds, which do not change |
//! | [`oracle`] | rules that hold in every run |
//! | [`judge`] | the file's expectations |
//! | [`measure`] | what a run costs, and how long views are stale |
//! | [`findings`], [`timeline`] | the results |

pub(crate) mod causes;
pub mod changed;
pub mod context;
pub mod convergence;
pub mod defect;
pub mod facts;
pub mod findings;
pub(crate) mod history;
pub mod judge;
pub mod measure;
pub mod oracle;
mod rows;
pub mod timeline;

use std::collections::BTreeMap;

use hublab_strategies::time::micros;
use hublab_strategies::{ChildId, Row, Time};
use smallvec::SmallVec;

use crate::model::{NodeIx, Scenario, Window};
use crate::trace::counts::Counts;
use crate::trace::event::{Event, Payload};
use crate::watch::oracle::{Conclusion, NO_CRASH, Oracle, PROGRAM, Violation, broken_claim};

use changed::Changed;
pub use context::ObserverContext;
pub use facts::{Facts, StrategyFacts};
use findings::{ClockTwin, Findings, Inconclusive};
use judge::{Judge, Judgement};
use measure::{Measure, Measured, Windows};
use rows::{Rows, Wanted};
use timeline::{Segment, Timeline};

/// Everything that watches one run: a fold over its trace.
pub struct Observers {
    cx: ObserverContext,
    judge: Judge,
    measure: Option<Box<Measure>>,
    windows: Windows,
    timeline: Timeline,
    counts: Counts,
    oracles: Vec<Box<dyn Oracle>>,
    findings: Findings,
    /// The instant of the last event.
    now: Time,
    /// True if anything has happened since the last step of a node was over.
    is_in_step: bool,
    has_panicked: bool,
}

impl std::fmt::Debug for Observers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observers")
            .field("violations", &self.findings.violations.len())
            .finish_non_exhaustive()
    }
}

/// The results of the observers of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The verdict of each expectation that applied, in file order.
    pub judgements: Vec<Judgement>,
    /// The violations and open verdicts of oracles.
    pub findings: Findings,
    /// Since when every view has equalled the truth.
    pub converged_since: Option<Time>,
    /// The instant of the last step or healing; 0 without any.
    pub last_step: Time,
    /// Rows at the end, over all running nodes.
    pub rows: u64,
    /// The messages, by kind.
    pub counts: Counts,
    /// The timeline, step by step.
    pub timeline: Vec<Segment>,
    /// True if the code of a node panicked.
    pub has_panicked: bool,
    /// Costs and staleness, if they were measured.
    pub measured: Option<Measured>,
    /// The same of each window that an expectation names, if they were measured.
    pub windows: BTreeMap<Window, (Counts, Measured)>,
    /// The verdict of the run without clock steps, once it has been made.
    pub clock_twin: Option<ClockTwin>,
}

impl Observers {
    /// The observers of a resolved scenario under one strategy, with these oracles.
    #[must_use]
    pub fn new(
        scenario: &Scenario,
        strategy: &StrategyFacts,
        oracles: Vec<Box<dyn Oracle>>,
    ) -> Self {
        let judge = Judge::new(scenario, &strategy.name);
        let wanted = if oracles.iter().any(|oracle| oracle.reads_rows()) {
            Wanted::All
        } else {
            Wanted::Only(judge.rows())
        };
        let rows = Rows::new(scenario.cluster.nodes.len(), wanted);
        Self {
            cx: ObserverContext::new(scenario, strategy, rows, !oracles.is_empty()),
            judge,
            measure: None,
            windows: Windows::default(),
            timeline: Timeline::new(),
            counts: Counts::default(),
            oracles,
            findings: Findings::default(),
            now: Time::ZERO,
            is_in_step: false,
            has_panicked: false,
        }
    }

    /// The same, measuring costs and staleness, too, of the whole run and of the windows that
    /// expectations name; before the first event.
    #[must_use]
    pub(crate) fn measuring(mut self, strategy: &StrategyFacts) -> Self {
        self.cx.has_history = true;
        let interval = strategy.round_interval.map(micros);
        let measure = |window| Measure::new(&self.cx.facts, interval, window);
        self.measure = Some(Box::new(measure(Window::default())));
        self.windows = Windows::new(self.judge.windows(), measure);
        self
    }

    /// True if they read what messages carry.
    #[must_use]
    pub(crate) fn reads_contents(&self) -> bool {
        self.measure.is_some()
    }

    /// Takes in the next event of the trace.
    pub fn event(&mut self, event: &Event) {
        if event.at > self.now {
            self.end_step();
            self.settle(event.at);
            self.now = event.at;
        } else if event.payload.begins_step() {
            self.end_step();
        }
        self.is_in_step = true;
        self.timeline.event(event);
        self.windows.come_to(event.at, &self.counts);
        self.counts.event(event);
        self.judge.event(event);
        if let Payload::Row {
            child,
            before,
            after,
        } = &event.payload
        {
            self.row(event, child, [before.as_deref(), after.as_deref()]);
            return;
        }
        let is_act = matches!(
            event.payload,
            Payload::Step { .. } | Payload::Injected { .. }
        );
        if is_act {
            self.step_begins(event);
        }
        self.cx.event(event);
        if let Some(measure) = &mut self.measure {
            measure.event(event, &self.cx);
        }
        self.windows.event(event, &self.cx);
        for oracle in &mut self.oracles {
            oracle.event(event, &self.cx);
        }
        if let Payload::Step { index, healing, .. } = event.payload {
            let is_of_network = self.cx.act(event.at, index, healing);
            if let Some(measure) = self.measure.as_mut().filter(|_| is_of_network) {
                measure.acted(event.at, &self.cx);
                self.windows.acted(event.at, &self.cx);
            }
        } else if let Payload::Panicked(message) = &event.payload {
            self.panicked(event, message);
        } else if let Payload::Mark(mark) = &event.payload {
            self.marked(event, mark);
        }
    }

    /// A node has been dropped, and gave back so many bytes: told beside the trace.
    pub(crate) fn state_bytes(&mut self, at: Time, node: NodeIx, bytes: u64) {
        for oracle in &mut self.oracles {
            oracle.state_bytes(at, node, bytes, &self.cx);
        }
    }

    fn row(&mut self, event: &Event, child: &ChildId, rows: [Option<&Row>; 2]) {
        self.cx.note_row(event, child, rows);
        let has_oracles = !self.oracles.is_empty();
        let history = has_oracles.then_some(&self.cx.history);
        let origin = self.cx.history.causes.of(event);
        let place = (event.at, event.node, origin);
        let [before, after] = rows;
        let changed = Changed::new(place, child, before, after, &self.cx.facts, history);
        self.cx.convergence.row(&changed);
        if let Some(compared) = &mut self.cx.compared {
            compared.row(&changed);
        }
        if let Some(measure) = &mut self.measure {
            measure.row(&changed, &self.cx);
        }
        self.windows.row(&changed, &self.cx);
        if !has_oracles {
            return;
        }
        for oracle in &mut self.oracles {
            oracle.row(&changed, &self.cx);
        }
        let touched: SmallVec<[NodeIx; 4]> = changed.touched().collect();
        drop(changed);
        for owner in touched {
            self.cx
                .history
                .entry_changed(event.node, owner, child, origin);
        }
    }

    /// A step of the script, or an injection, begins: quiet stretches end here.
    fn step_begins(&mut self, event: &Event) {
        let now = event.at;
        self.judge.step_begins(event, &self.cx);
        self.cx.step_begins(now);
        for oracle in &mut self.oracles {
            oracle.step_begins(now);
        }
    }

    /// A node's step is over, with all that follows from it in the same instant.
    fn end_step(&mut self) {
        if std::mem::take(&mut self.is_in_step) {
            let now = self.now;
            self.ask(|oracle, cx, found| oracle.step_done(now, cx, found));
        }
    }

    /// The instant is over, and nothing happens until `next`.
    fn settle(&mut self, next: Time) {
        let now = self.now;
        self.cx.settle(now);
        self.timeline.settle(self.cx.views());
        self.judge.settle(now, next, &self.cx);
        self.ask(|oracle, cx, found| oracle.settle(now, next, cx, found));
    }

    fn ask(
        &mut self,
        mut question: impl FnMut(&mut dyn Oracle, &ObserverContext, &mut Vec<Violation>),
    ) {
        if self.oracles.is_empty() {
            return;
        }
        let mut found = Vec::new();
        for oracle in &mut self.oracles {
            question(oracle.as_mut(), &self.cx, &mut found);
        }
        if !found.is_empty() {
            self.findings.keep(found);
        }
    }

    /// The node's code panicked.
    fn panicked(&mut self, event: &Event, message: &str) {
        self.has_panicked = true;
        let name = self.cx.name(event.node);
        let detail = format!("a step of {name} panicked: {message}");
        let causes = self.cx.causes();
        let violation = Violation::new(NO_CRASH, event.at, name.as_str(), detail)
            .with_defect("panic")
            .with_origin(causes.of(event), causes);
        self.findings.violations.push(violation);
    }

    /// A mark, which is a violation if a node's program says with it that something is wrong.
    fn marked(&mut self, event: &Event, mark: &str) {
        if let Some((defect, detail)) = broken_claim(mark) {
            let name = self.cx.name(event.node);
            let causes = self.cx.causes();
            let violation = Violation::new(PROGRAM, event.at, name.as_str(), detail)
                .with_defect(defect)
                .with_origin(causes.of(event), causes);
            self.findings.keep(vec![violation]);
        }
    }

    /// The run is over; `stopped_early` if something was still to happen.
    #[must_use]
    pub fn finish(mut self, end: Time, stopped_early: bool) -> Outcome {
        if !self.has_panicked {
            self.end_step();
        }
        if !stopped_early {
            self.settle(Time(end.0.saturating_add(1)));
        }
        self.conclude(end, stopped_early);
        let judgements = self
            .judge
            .finish(&self.cx, &self.findings, (end, stopped_early));
        let measured = self
            .measure
            .map(|measure| measure.finish(end, self.cx.facts()));
        let windows = self.windows.finish((end, &self.counts), self.cx.facts());
        Outcome {
            judgements,
            findings: self.findings,
            converged_since: self.cx.views().converged_since(),
            last_step: self.timeline.last_step(),
            rows: self.cx.row_count(),
            counts: self.counts,
            timeline: self.timeline.finish(),
            has_panicked: self.has_panicked,
            measured,
            windows,
            clock_twin: None,
        }
    }

    /// Asks the oracles that judge at the end.
    fn conclude(&mut self, end: Time, stopped_early: bool) {
        for oracle in &mut self.oracles {
            let name = oracle.name();
            if let Some(bound) = oracle.bound(&self.cx) {
                self.findings.bounds.push((name, bound));
            }
            let early = || format!("the run was ended at {end}, before its time");
            let open = match oracle.finish(end, &self.cx) {
                Conclusion::Held => continue,
                Conclusion::Violated(found) if !stopped_early => {
                    self.findings.keep(found);
                    continue;
                }
                Conclusion::Violated(_) => early(),
                Conclusion::Inconclusive(_) if stopped_early => early(),
                Conclusion::Inconclusive(reason) => reason,
            };
            let pending = oracle.pending(&self.cx);
            self.findings.inconclusive.push(Inconclusive {
                oracle: name.to_owned(),
                pending: pending.filter(|pending| !open.contains(pending.as_str())),
                reason: open,
            });
        }
        self.findings
            .violations
            .sort_by_key(|violation| violation.at_us);
    }
}
