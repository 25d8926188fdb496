//! What watches a run: convergence, oracles, and the file's expectations.
//!
//! Observers read the trace, the truth and the registries; they change nothing, and the engine
//! asks them nothing.

pub mod causes;
pub mod changed;
pub mod convergence;
pub mod defect;
pub mod facts;
pub mod findings;
pub mod history;
pub mod judge;
pub mod oracle;
pub mod timeline;
mod world;

use std::collections::BTreeSet;

use hublab_strategies::{ChildId, Pid, RowChange, Time};
use smallvec::SmallVec;

use crate::engine::Child;
use crate::model::{Claim, NodeIx, Scenario};
use crate::trace::event::{Event, Payload};
use crate::trace::recorder::Recorder;
use crate::watch::oracle::{Conclusion, Oracle, Violation};

use changed::Changed;
use convergence::Convergence;
pub use facts::Facts;
use findings::{Findings, Inconclusive};
use history::History;
use judge::{Judge, Judgement};
use timeline::{Segment, Timeline};
pub(crate) use world::Scene;
pub use world::World;

/// What is known of a run so far.
struct Sight {
    facts: Facts,
    history: History,
    convergence: Convergence,
    /// The same without children named in raw requests or `rows`, if there are any and an oracle
    /// asks.
    compared: Option<Convergence>,
}

impl Sight {
    /// The world as the file's expectations see it.
    fn whole<'a>(&'a self, scene: Scene<'a>) -> World<'a> {
        World {
            scene,
            facts: &self.facts,
            history: &self.history,
            convergence: &self.convergence,
        }
    }

    /// The world as oracles see it.
    fn comparable<'a>(&'a self, scene: Scene<'a>) -> World<'a> {
        World {
            convergence: self.compared.as_ref().unwrap_or(&self.convergence),
            ..self.whole(scene)
        }
    }

    fn trackers(&mut self) -> impl Iterator<Item = &mut Convergence> {
        std::iter::once(&mut self.convergence).chain(&mut self.compared)
    }
}

/// Everything that watches one run.
pub struct Observers {
    sight: Sight,
    judge: Judge,
    timeline: Timeline,
    oracles: Vec<Box<dyn Oracle>>,
    findings: Findings,
}

impl std::fmt::Debug for Observers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observers")
            .field("violations", &self.findings.violations.len())
            .finish_non_exhaustive()
    }
}

/// What the observers found in a run.
#[derive(Debug)]
pub struct Outcome {
    /// The verdict of each expectation that applied, in file order.
    pub judgements: Vec<Judgement>,
    /// What the oracles found.
    pub findings: Findings,
    /// Since when every view has equalled the truth.
    pub converged_since: Option<Time>,
    /// Rows at the end, over all running nodes.
    pub rows: u64,
    /// What happened, step by step.
    pub timeline: Vec<Segment>,
}

impl Observers {
    /// The observers of a resolved scenario under one strategy; `extra` oracles watch beside
    /// those that the file's expectations name.
    #[must_use]
    pub fn new(scenario: &Scenario, strategy: &str, extra: Vec<Box<dyn Oracle>>) -> Self {
        let facts = Facts::new(scenario, strategy);
        let judge = Judge::new(scenario, strategy);
        let mut oracles = extra;
        for claim in judge.claims() {
            if let Claim::Always(name) | Claim::Violates(name) = claim
                && !oracles.iter().any(|oracle| oracle.name() == name)
                && let Some(oracle) = oracle::by_name(name)
            {
                oracles.push(oracle);
            }
        }
        let nodes = scenario.cluster.nodes.len();
        let is_compared = !facts.raw().is_empty() && !oracles.is_empty();
        Self {
            sight: Sight {
                history: History::new(nodes),
                convergence: Convergence::new(nodes, BTreeSet::new()),
                compared: is_compared.then(|| Convergence::new(nodes, facts.raw().clone())),
                facts,
            },
            judge,
            timeline: Timeline::new(),
            oracles,
            findings: Findings::default(),
        }
    }

    pub(crate) fn event(&mut self, event: &Event, scene: Scene<'_>) {
        self.timeline.event(event);
        self.sight.history.causes.event(event);
        if self.oracles.is_empty() {
            return;
        }
        self.sight.history.event(event);
        let Payload::Row {
            child,
            before,
            after,
        } = &event.payload
        else {
            let world = self.sight.comparable(scene);
            for oracle in &mut self.oracles {
                oracle.event(event, &world);
            }
            return;
        };
        let cause = self.sight.history.causes.of(event);
        let touched: SmallVec<[NodeIx; 4]> = {
            let world = self.sight.comparable(scene);
            let place = (event.at, event.node, cause);
            let changed = Changed::new(place, child, before.as_deref(), after.as_deref(), &world);
            for oracle in &mut self.oracles {
                oracle.row(&changed, &world);
            }
            changed.touched(&self.sight.facts).collect()
        };
        for owner in touched {
            self.sight
                .history
                .entry_changed(event.node, owner, child, cause);
        }
    }

    pub(crate) fn row_changed(&mut self, now: Time, node: NodeIx, change: &RowChange) {
        self.sight
            .convergence
            .row_changed(now, node, change, &self.sight.facts);
        if let Some(compared) = &mut self.sight.compared {
            compared.row_changed(now, node, change, &self.sight.facts);
        }
    }

    pub(crate) fn child_started(
        &mut self,
        now: Time,
        node: NodeIx,
        child: &ChildId,
        running: &Child,
    ) {
        self.sight
            .trackers()
            .for_each(|tracker| tracker.child_started(now, node, child, running));
    }

    pub(crate) fn child_stopped(&mut self, now: Time, node: NodeIx, child: &ChildId, pid: &Pid) {
        self.sight
            .trackers()
            .for_each(|tracker| tracker.child_stopped(now, node, child, pid));
    }

    /// The rows that a step changed have all been reported: the truth it changed can be compared.
    pub(crate) fn truth_settled(&mut self, scene: Scene<'_>) {
        self.sight
            .convergence
            .truth_settled(scene.nodes, &self.sight.facts);
        if let Some(compared) = &mut self.sight.compared {
            compared.truth_settled(scene.nodes, &self.sight.facts);
        }
    }

    pub(crate) fn node_up(&mut self, node: NodeIx) {
        self.sight
            .trackers()
            .for_each(|tracker| tracker.node_up(node));
    }

    pub(crate) fn node_down(&mut self, node: NodeIx) {
        self.sight
            .trackers()
            .for_each(|tracker| tracker.node_down(node));
    }

    pub(crate) fn pair_changed(&mut self, now: Time, nodes: [NodeIx; 2], up: bool) {
        self.sight
            .trackers()
            .for_each(|tracker| tracker.pair_changed(nodes, up));
        if !self.oracles.is_empty() {
            self.sight.history.pair_changed(now, nodes, up);
        }
    }

    /// A cut was mended.
    pub(crate) fn healed(&mut self, now: Time) {
        self.sight.history.healed(now);
    }

    /// A `view` step is about to overwrite a node's cluster view.
    pub(crate) fn view_overwritten(&mut self, node: NodeIx) {
        for oracle in &mut self.oracles {
            oracle.view_overwritten(node);
        }
    }

    /// A step of the script, or an injection, begins: quiet stretches end here.
    pub(crate) fn step_begins(&mut self, now: Time) {
        self.judge.step_begins(now);
        self.sight.history.step_begins(now);
        for oracle in &mut self.oracles {
            oracle.step_begins(now);
        }
    }

    /// A node's step, with all that follows from it in the same instant, is over.
    pub(crate) fn step_done(&mut self, now: Time, scene: Scene<'_>) {
        self.ask(scene, |oracle, world, found| {
            oracle.step_done(now, world, found)
        });
    }

    /// An instant is over, and nothing happens until `next`.
    pub(crate) fn settle(&mut self, now: Time, next: Time, scene: Scene<'_>) {
        self.sight
            .trackers()
            .for_each(|tracker| tracker.settle(now));
        self.timeline.settle(&self.sight.convergence);
        let world = self.sight.whole(scene);
        self.judge
            .settle(now, next, &self.sight.convergence, &world);
        self.ask(scene, |oracle, world, found| {
            oracle.settle(now, next, world, found)
        });
    }

    fn ask(
        &mut self,
        scene: Scene<'_>,
        mut question: impl FnMut(&mut dyn Oracle, &World<'_>, &mut Vec<Violation>),
    ) {
        if self.oracles.is_empty() {
            return;
        }
        let world = self.sight.comparable(scene);
        let mut found = Vec::new();
        for oracle in &mut self.oracles {
            question(oracle.as_mut(), &world, &mut found);
        }
        if !found.is_empty() {
            self.findings.keep(found);
        }
    }

    /// The node's code panicked while it handled what `cause` names.
    pub(crate) fn panicked(&mut self, mut violation: Violation, event: &Event) {
        violation.cause = self
            .sight
            .history
            .causes
            .text(self.sight.history.causes.of(event));
        self.findings.violations.push(violation);
    }

    /// The run is over; `stopped_early` if something was still to happen.
    pub(crate) fn finish(
        mut self,
        end: Time,
        stopped_early: bool,
        scene: Scene<'_>,
        recorder: &Recorder,
    ) -> Outcome {
        self.conclude(end, stopped_early, scene);
        let world = self.sight.whole(scene);
        let rows = world
            .positions()
            .filter_map(|node| world.registry(node))
            .map(|registry| (registry.len() - registry.tombstones()) as u64)
            .sum();
        let converged_since = self.sight.convergence.converged_since();
        let judgements = self.judge.finish(
            (end, stopped_early),
            &self.sight.convergence,
            &world,
            &self.findings,
            recorder,
            rows,
        );
        Outcome {
            judgements,
            findings: self.findings,
            converged_since,
            rows,
            timeline: self.timeline.finish(),
        }
    }

    /// Asks the oracles that judge at the end.
    fn conclude(&mut self, end: Time, stopped_early: bool, scene: Scene<'_>) {
        let world = self.sight.comparable(scene);
        for oracle in &mut self.oracles {
            let name = oracle.name();
            if let Some(bound) = oracle.bound(&world) {
                self.findings.bounds.push((name, bound));
            }
            let conclusion = oracle.finish(end, &world);
            let open = match conclusion {
                Conclusion::Held => continue,
                Conclusion::Violated(found) if !stopped_early => {
                    self.findings.keep(found);
                    continue;
                }
                Conclusion::Violated(_) => format!("the run was ended at {end}, before its time"),
                Conclusion::Inconclusive(reason) => reason,
            };
            self.findings.inconclusive.push(Inconclusive {
                oracle: name.to_owned(),
                reason: open,
            });
        }
        self.findings
            .violations
            .sort_by_key(|violation| violation.at_us);
    }
}
