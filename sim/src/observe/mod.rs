//! What watches a run: convergence, oracles, and the file's expectations.
//!
//! Observers read the trace, the truth and the registries; they change nothing, and the engine
//! asks them nothing.

pub mod convergence;
pub mod judge;
pub mod timeline;

use hashbrown::HashMap;
use hublab_strategies::name::NameHasher;
use hublab_strategies::registry::Registry;
use hublab_strategies::time::micros;
use hublab_strategies::{ChildId, NodeId, Pid, RowChange, Time};

use crate::engine::{Child, NodeState};
use crate::network::Network;
use crate::oracle::{self, Oracle, Violation};
use crate::scenario::model::{Claim, NodeIx, Scenario};
use crate::trace::event::Event;
use crate::trace::recorder::Recorder;

use convergence::Convergence;
use judge::{Judge, Judgement};
use timeline::{Segment, Timeline};

/// Read access to the world, for oracles and judges.
#[derive(Clone, Copy)]
pub struct World<'a> {
    nodes: &'a [NodeState],
    facts: &'a Facts,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

/// What does not change in a run.
#[derive(Debug)]
pub struct Facts {
    names: Vec<NodeId>,
    index: HashMap<NodeId, NodeIx, NameHasher>,
    /// How long membership may take to agree, in microseconds: discovery + debounce + latency.
    pub membership_bound_us: u64,
}

impl Facts {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let names = scenario.cluster.nodes.clone();
        let latency = Network::new(&scenario.network, &names, 0).latency_bound();
        Self {
            index: (0..)
                .zip(&names)
                .map(|(ix, name)| (name.clone(), ix))
                .collect(),
            names,
            membership_bound_us: micros(scenario.cluster.discovery_interval)
                .saturating_add(micros(scenario.cluster.join_debounce))
                .saturating_add(latency),
        }
    }

    /// The position of a name; `None` if no node of the file has it.
    #[must_use]
    pub fn position(&self, name: &NodeId) -> Option<NodeIx> {
        self.index.get(name).copied()
    }
}

impl<'a> World<'a> {
    pub(crate) fn new(nodes: &'a [NodeState], facts: &'a Facts) -> Self {
        Self { nodes, facts }
    }

    /// How many nodes the file has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether the file has no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What does not change in a run.
    #[must_use]
    pub fn facts(&self) -> &'a Facts {
        self.facts
    }

    /// The name of a node.
    #[must_use]
    pub fn name(&self, node: NodeIx) -> &'a NodeId {
        &self.facts.names[node as usize]
    }

    /// The registry of a node, while it runs: its view.
    #[must_use]
    pub fn registry(&self, node: NodeIx) -> Option<&'a Registry> {
        self.nodes[node as usize]
            .node
            .as_ref()
            .map(|node| node.registry())
    }

    /// The cluster view of a node, while it runs.
    #[must_use]
    pub fn cluster_view(&self, node: NodeIx) -> Option<&'a [NodeId]> {
        self.nodes[node as usize]
            .node
            .as_ref()
            .map(|node| node.cluster_view())
    }

    /// The incarnation of a node: how often it has booted.
    #[must_use]
    pub fn incarnation(&self, node: NodeIx) -> u32 {
        self.nodes[node as usize].incarnation
    }

    /// Whether a node runs; a paused node does.
    #[must_use]
    pub fn is_running(&self, node: NodeIx) -> bool {
        self.nodes[node as usize].is_running()
    }

    /// Whether a node is paused.
    #[must_use]
    pub fn is_paused(&self, node: NodeIx) -> bool {
        self.nodes[node as usize].paused
    }

    /// The child that really runs on a node under an id.
    #[must_use]
    pub fn child(&self, node: NodeIx, child: &ChildId) -> Option<&'a Child> {
        self.nodes[node as usize].children.get(child)
    }

    /// Every child that really runs on a node, in the order of ids.
    pub fn children(&self, node: NodeIx) -> impl Iterator<Item = (&'a ChildId, &'a Child)> {
        self.nodes[node as usize].children.iter()
    }
}

/// Everything that watches one run.
pub struct Observers {
    facts: Facts,
    convergence: Convergence,
    judge: Judge,
    timeline: Timeline,
    oracles: Vec<Box<dyn Oracle>>,
    violations: Vec<Violation>,
    /// Violations that were not kept, for each oracle reports at most [`KEPT`] of them.
    suppressed: u64,
}

/// The most violations that a run keeps per oracle.
const KEPT: usize = 100;

impl std::fmt::Debug for Observers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observers")
            .field("violations", &self.violations.len())
            .finish_non_exhaustive()
    }
}

/// What the observers found in a run.
#[derive(Debug)]
pub struct Outcome {
    /// The verdict of each expectation that applied, in file order.
    pub judgements: Vec<Judgement>,
    /// What oracles found, in order of time.
    pub violations: Vec<Violation>,
    /// Violations beyond the first 100 of an oracle.
    pub suppressed: u64,
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
        let facts = Facts::new(scenario);
        let judge = Judge::new(scenario, strategy);
        let mut oracles = extra;
        for claim in judge.claims() {
            if let Claim::Always(name) | Claim::Violates(name) = claim
                && !oracles.iter().any(|oracle| oracle.name() == name)
                && let Some(oracle) = oracle::by_name(name, &facts)
            {
                oracles.push(oracle);
            }
        }
        let convergence = Convergence::new(facts.names.len());
        let timeline = Timeline::new();
        Self {
            facts,
            convergence,
            judge,
            timeline,
            oracles,
            violations: Vec::new(),
            suppressed: 0,
        }
    }

    pub(crate) fn event(&mut self, event: &Event, nodes: &[NodeState]) {
        self.timeline.event(event);
        let world = World::new(nodes, &self.facts);
        for oracle in &mut self.oracles {
            oracle.event(event, &world);
        }
    }

    pub(crate) fn row_changed(&mut self, now: Time, node: NodeIx, change: &RowChange) {
        self.convergence.row_changed(now, node, change, &self.facts);
    }

    pub(crate) fn child_started(
        &mut self,
        now: Time,
        node: NodeIx,
        child: &ChildId,
        running: &Child,
    ) {
        self.convergence.child_started(now, node, child, running);
    }

    pub(crate) fn child_stopped(&mut self, now: Time, node: NodeIx, child: &ChildId, pid: &Pid) {
        self.convergence.child_stopped(now, node, child, pid);
    }

    /// The rows that a step changed have all been reported: the truth it changed can be compared.
    pub(crate) fn truth_settled(&mut self, nodes: &[NodeState]) {
        self.convergence
            .truth_settled(&World::new(nodes, &self.facts));
    }

    pub(crate) fn node_up(&mut self, node: NodeIx) {
        self.convergence.node_up(node);
    }

    pub(crate) fn node_down(&mut self, node: NodeIx) {
        self.convergence.node_down(node);
    }

    pub(crate) fn pair_changed(&mut self, nodes: [NodeIx; 2], up: bool) {
        self.convergence.pair_changed(nodes, up);
    }

    /// A `view` step is about to overwrite a node's cluster view.
    pub(crate) fn view_overwritten(&mut self, node: NodeIx) {
        for oracle in &mut self.oracles {
            oracle.view_overwritten(node);
        }
    }

    /// A step of the script begins: quiet stretches end here.
    pub(crate) fn step_begins(&mut self, now: Time) {
        self.judge.step_begins(now);
    }

    /// A node's step, with all that follows from it in the same instant, is over.
    pub(crate) fn step_done(&mut self, now: Time, nodes: &[NodeState]) {
        let world = World::new(nodes, &self.facts);
        let mut found = Vec::new();
        for oracle in &mut self.oracles {
            oracle.step_done(now, &world, &mut found);
        }
        self.keep(found);
    }

    /// An instant is over, and nothing happens until `next`.
    pub(crate) fn settle(&mut self, now: Time, next: Time, nodes: &[NodeState]) {
        let world = World::new(nodes, &self.facts);
        self.convergence.settle(now);
        self.timeline.settle(&self.convergence);
        self.judge.settle(now, next, &self.convergence, &world);
        let mut found = Vec::new();
        for oracle in &mut self.oracles {
            oracle.settle(now, next, &world, &mut found);
        }
        self.keep(found);
    }

    /// The node's code panicked.
    pub(crate) fn panicked(&mut self, violation: Violation) {
        self.violations.push(violation);
    }

    #[inline]
    fn keep(&mut self, found: Vec<Violation>) {
        if !found.is_empty() {
            self.keep_some(found);
        }
    }

    fn keep_some(&mut self, found: Vec<Violation>) {
        for violation in found {
            let known = self
                .violations
                .iter()
                .filter(|known| known.oracle == violation.oracle)
                .count();
            if known < KEPT {
                self.violations.push(violation);
            } else {
                self.suppressed += 1;
            }
        }
    }

    pub(crate) fn finish(self, end: Time, nodes: &[NodeState], recorder: &Recorder) -> Outcome {
        let world = World::new(nodes, &self.facts);
        let rows = (0..)
            .take(world.len())
            .filter_map(|node| world.registry(node))
            .map(|registry| (registry.len() - registry.tombstones()) as u64)
            .sum();
        let converged_since = self.convergence.converged_since();
        let judgements = self.judge.finish(
            end,
            &self.convergence,
            &world,
            &self.violations,
            recorder,
            rows,
        );
        Outcome {
            judgements,
            violations: self.violations,
            suppressed: self.suppressed,
            converged_since,
            rows,
            timeline: self.timeline.finish(),
        }
    }
}
