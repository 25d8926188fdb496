//! [`ObserverContext`]: the state of a run so far, for oracles and judges. A fold over its trace.

use std::collections::BTreeMap;

use hublab_strategies::{ChildId, NodeId, Pid, Row, Time};

use super::causes::Causes;
use super::convergence::Convergence;
use super::facts::{Facts, StrategyFacts};
use super::history::History;
use super::rows::Rows;
use crate::model::{Action, Lifecycle, NodeIx, Scenario};
use crate::network::Network;
use crate::network::cut::{CutId, Reach};
use crate::node::Child;
use crate::trace::event::{Event, EventId, NodeSizes, Payload};

/// The state of one node.
#[derive(Debug, Clone, Default)]
struct NodeContext {
    life: Lifecycle,
    incarnation: u64,
    /// Until when it is busy with the messages that have reached it, under a `service_time`.
    busy_until: Time,
    /// Rows with entries.
    rows: u64,
    sizes: Option<NodeSizes>,
}

/// The state of a run so far, as its trace tells it.
///
/// ```
/// use hublab_sim::watch::ObserverContext;
/// use hublab_sim::watch::oracle::{Conclusion, Oracle, OracleEntry, Violation};
/// use hublab_sim::{Catalog, Scenario, Simulation};
/// use hublab_strategies::Time;
///
/// /// At the end, no view has an entry of a node that stopped.
/// struct Gone;
///
/// impl Oracle for Gone {
///     fn name(&self) -> &'static str {
///         "gone"
///     }
///
///     fn reads_rows(&self) -> bool {
///         true
///     }
///
///     fn finish(&mut self, end: Time, cx: &ObserverContext) -> Conclusion {
///         if cx.has_cuts() || cx.loses_messages() {
///             return Conclusion::Inconclusive("nodes cannot notice it for sure".to_owned());
///         }
///         let mut found = Vec::new();
///         for owner in cx.positions().filter(|node| !cx.is_running(*node)) {
///             let observers = cx.positions().filter(|node| cx.is_running(*node));
///             for node in observers.filter(|node| !cx.is_paused(*node) && !cx.is_cut(*node, owner)) {
///                 if !cx.shows_any(node, cx.name(owner)) {
///                     continue;
///                 }
///                 for child in cx.children_shown(node, owner) {
///                     let pid = cx.shown_pid(node, child, owner);
///                     let detail = format!("{child} as {pid:?}, one of {} rows", cx.row_count());
///                     let one = Violation::new("gone", end, cx.name(node).as_str(), detail);
///                     let one = one.with_defect("ghost").with_cause("a stop that was missed".to_owned());
///                     found.push(match cx.last_row_event(node, child) {
///                         Some(event) => one.with_event(event),
///                         None => one,
///                     });
///                 }
///             }
///         }
///         if found.is_empty() { Conclusion::Held } else { Conclusion::Violated(found) }
///     }
/// }
///
/// const GONE: OracleEntry =
///     OracleEntry::liveness("gone", "no view has an entry of a node that stopped", || Box::new(Gone));
/// let catalog = Catalog::default().with_oracle_entry(GONE);
/// let text = r#"
/// schema = 1
/// [run]
/// duration = "60s"
/// [cluster]
/// nodes = 3
/// [[step]]
/// at = "1s"
/// start_children = { on = "n1", ids = ["a"] }
/// [[step]]
/// at = "5s"
/// crash = { nodes = ["n1"] }
/// [[expect]]
/// always = "gone"
/// "#;
/// let scenario = Scenario::read("gone.toml", text.as_bytes(), &catalog).expect("a good file");
/// let report = Simulation::new(&scenario, &catalog).strategy("gossip")?.run()?;
/// assert_eq!(report.verdict, hublab_sim::watch::judge::Verdict::Pass, "{report:#?}");
/// # Ok::<(), hublab_sim::run::RunError>(())
/// ```
pub struct ObserverContext {
    pub(super) facts: Facts,
    pub(super) history: History,
    nodes: Vec<NodeContext>,
    rows: Rows,
    pub(super) convergence: Convergence,
    /// The same without children named in raw requests or `rows`, if there are any and an oracle
    /// asks.
    pub(super) compared: Option<Convergence>,
    /// Links, cuts and connections, as the events so far leave them.
    network: Network,
    actions: Vec<Action>,
    /// The cut that a step made, so that its `heal_after` mends just that one.
    cuts: BTreeMap<u32, CutId>,
    /// True if a node has stopped whose end a cut hides from one that runs.
    hides_an_end: bool,
    /// True if oracles watch.
    has_oracles: bool,
    /// True if the history is kept: for oracles, and for measures.
    pub(super) has_history: bool,
}

impl std::fmt::Debug for ObserverContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObserverContext")
            .field("nodes", &self.len())
            .finish_non_exhaustive()
    }
}

impl ObserverContext {
    /// The state before the first event.
    pub(super) fn new(
        scenario: &Scenario,
        strategy: &StrategyFacts,
        rows: Rows,
        has_oracles: bool,
    ) -> Self {
        let facts = Facts::new(scenario, strategy);
        let names = &scenario.cluster.nodes;
        let is_compared = has_oracles && !facts.raw().is_empty();
        let compared = is_compared.then(|| Convergence::new(names.len(), facts.raw().clone()));
        Self {
            history: History::new(names.len()),
            nodes: vec![NodeContext::default(); names.len()],
            rows,
            convergence: Convergence::new(names.len(), Default::default()),
            compared,
            network: Network::new(scenario),
            actions: scenario.steps.iter().map(|it| it.action.clone()).collect(),
            cuts: BTreeMap::new(),
            hides_an_end: false,
            has_oracles,
            has_history: has_oracles,
            facts,
        }
    }

    fn trackers(&mut self) -> impl Iterator<Item = &mut Convergence> {
        std::iter::once(&mut self.convergence).chain(&mut self.compared)
    }

    pub(super) fn step_begins(&mut self, now: Time) {
        self.history.step_begins(now);
    }

    /// Takes in an event that is no change of a row, but for what a step does to the network.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a fold looks at the events that concern it"
    )]
    pub(super) fn event(&mut self, event: &Event) {
        self.history.causes.event(event);
        if self.has_history {
            self.history.event(event);
        }
        let (node, moment) = (event.node, (event.at, event.id));
        match &event.payload {
            Payload::Booted { incarnation, .. } => {
                self.nodes[node as usize] = NodeContext {
                    life: Lifecycle::Up,
                    incarnation: *incarnation,
                    ..NodeContext::default()
                };
                self.rows.forget(node);
                self.trackers().for_each(|tracker| tracker.node_up(node));
                self.refresh_hidden();
            }
            Payload::Stopped(reason) => {
                self.nodes[node as usize] = NodeContext {
                    life: reason.transition().target(),
                    incarnation: self.nodes[node as usize].incarnation,
                    ..NodeContext::default()
                };
                self.rows.forget(node);
                self.trackers().for_each(|tracker| tracker.node_down(node));
                for peer in self.positions() {
                    if peer != node && self.network.is_connected(node, peer) {
                        self.pair_changed(event.at, [node, peer], false);
                    }
                }
                self.refresh_hidden();
            }
            Payload::Paused => self.nodes[node as usize].life = Lifecycle::Paused,
            Payload::Resumed => self.nodes[node as usize].life = Lifecycle::Up,
            Payload::Connected { peer } => self.pair_changed(event.at, [node, *peer], true),
            Payload::Disconnected { peer } => self.pair_changed(event.at, [node, *peer], false),
            Payload::ChildStarted {
                child,
                pid,
                metadata,
            } => self
                .trackers()
                .for_each(|tracker| tracker.child_started(moment, node, child, pid, metadata)),
            Payload::ChildStopped { child, pid } => self
                .trackers()
                .for_each(|tracker| tracker.child_stopped(moment, node, child, pid)),
            Payload::Queued { until, .. } => self.nodes[node as usize].busy_until = *until,
            Payload::Sizes(sizes) => self.nodes[node as usize].sizes = Some(*sizes),
            _ => {}
        }
    }

    fn pair_changed(&mut self, now: Time, nodes: [NodeIx; 2], up: bool) {
        self.network.set_connected(nodes, up);
        self.trackers()
            .for_each(|tracker| tracker.pair_changed(nodes, up));
        if self.has_history {
            self.history.pair_changed(now, nodes, up);
        }
    }

    /// Takes in a change of a row, but for what the trackers make of it.
    pub(super) fn note_row(&mut self, event: &Event, child: &ChildId, rows: [Option<&Row>; 2]) {
        self.rows.row(event, child, rows[1]);
        let [before, after] = rows.map(|row| row.is_some_and(|row| !row.is_empty()));
        let count = &mut self.nodes[event.node as usize].rows;
        *count = (*count + u64::from(after)).saturating_sub(u64::from(before));
    }

    /// Applies a step to the network, once oracles have seen its event. Returns true if it is about the network.
    pub(super) fn act(&mut self, at: Time, index: u32, healing: bool) -> bool {
        let Some(action) = self.actions.get(index as usize) else {
            return false;
        };
        let count = self.nodes.len();
        if healing {
            let Some(cut) = self.cuts.remove(&index) else {
                return false;
            };
            if self.network.has_cuts() {
                self.history.healed(at);
            }
            self.network.mend(cut);
        } else if let Action::Partition { groups, .. } = action {
            let cut = self.network.cut(Reach::groups(count, groups));
            self.cuts.insert(index, cut);
        } else if let Action::Cut { from, to, .. } = action {
            let cut = self.network.cut(Reach::directed(count, from, to));
            self.cuts.insert(index, cut);
        } else if let Action::Heal = action {
            if self.network.has_cuts() {
                self.history.healed(at);
            }
            self.network.mend_all();
            self.network.restore_links();
        } else if let Action::Link(change) = action {
            self.network.change_links(change);
        } else if let Action::Hold {
            from,
            to,
            channels,
            count,
        } = action
        {
            // Messages are not counted here: a link that may have held enough still counts as one.
            self.network.holds.begin((from, to), *channels, *count);
        } else if let Action::Release { from, to, .. } = action {
            self.network.holds.end((from, to));
        } else {
            return false;
        }
        self.refresh_hidden();
        true
    }

    /// The end of an instant.
    pub(super) fn settle(&mut self, now: Time) {
        self.trackers().for_each(|tracker| tracker.settle(now));
    }

    fn refresh_hidden(&mut self) {
        let has_stopped = |node: &NodeIx| !self.is_running(*node) && self.incarnation(*node) > 0;
        self.hides_an_end = self.has_oracles
            && self.network.has_cuts()
            && self.positions().filter(has_stopped).any(|gone| {
                let mut peers = self.positions().filter(|peer| self.is_running(*peer));
                peers.any(|peer| self.network.is_cut(gone, peer))
            });
    }

    /// How many nodes the file has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True if the file has no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The positions of all nodes.
    pub fn positions(&self) -> impl Iterator<Item = NodeIx> + use<> {
        (0..).take(self.len())
    }

    /// Names, times and bounds, which do not change.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The past; kept only while oracles watch or costs are measured.
    #[must_use]
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// The inputs that nodes handle.
    #[must_use]
    pub(crate) fn causes(&self) -> &Causes {
        &self.history.causes
    }

    /// Which views equal the truth, of all children: what the file's expectations are about.
    pub(super) fn views(&self) -> &Convergence {
        &self.convergence
    }

    /// Which views equal the truth, as oracles see it: children named in raw requests or `rows`
    /// are left out.
    #[must_use]
    pub(crate) fn convergence(&self) -> &Convergence {
        self.compared.as_ref().unwrap_or(&self.convergence)
    }

    /// The name of a node.
    #[must_use]
    pub fn name(&self, node: NodeIx) -> &NodeId {
        self.facts.name(node)
    }

    /// A row that a node shows, while it runs. Kept if [`Oracle::reads_rows`] or a claim asks.
    ///
    /// [`Oracle::reads_rows`]: super::oracle::Oracle::reads_rows
    #[must_use]
    pub fn row_of(&self, node: NodeIx, child: &ChildId) -> Option<&Row> {
        self.rows.get(node, child)
    }

    /// The event that last changed a row, or took it away, in this incarnation of the node. Kept as
    /// [`Self::row_of`] is.
    #[must_use]
    pub fn last_row_event(&self, node: NodeIx, child: &ChildId) -> Option<EventId> {
        self.rows.last_event(node, child)
    }

    /// Every row that a node shows, in the order of ids. Kept if [`Oracle::reads_rows`] asks.
    ///
    /// [`Oracle::reads_rows`]: super::oracle::Oracle::reads_rows
    pub fn rows_of(&self, node: NodeIx) -> impl Iterator<Item = &Row> {
        self.rows.of(node)
    }

    /// Rows with entries, over all running nodes.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.nodes.iter().map(|node| node.rows).sum()
    }

    /// How much a node that runs held when that was last recorded.
    #[must_use]
    pub fn sizes(&self, node: NodeIx) -> Option<NodeSizes> {
        self.nodes[node as usize].sizes
    }

    /// The incarnation of a node: how often it has booted.
    #[must_use]
    pub fn incarnation(&self, node: NodeIx) -> u64 {
        self.nodes[node as usize].incarnation
    }

    /// True if a node runs; a paused node does.
    #[must_use]
    pub fn is_running(&self, node: NodeIx) -> bool {
        self.nodes[node as usize].life.runs()
    }

    /// True if a node is paused.
    #[must_use]
    pub fn is_paused(&self, node: NodeIx) -> bool {
        self.nodes[node as usize].life.is_paused()
    }

    /// True if two running nodes are connected, both of them as they run now.
    #[must_use]
    pub fn is_connected(&self, a: NodeIx, b: NodeIx) -> bool {
        self.is_running(a) && self.is_running(b) && self.network.is_connected(a, b)
    }

    /// True if any link between two nodes is cut.
    #[must_use]
    pub fn is_cut(&self, a: NodeIx, b: NodeIx) -> bool {
        self.network.is_cut(a, b) || self.network.is_cut(b, a)
    }

    /// Until when defects of `owner` at `observer` are excused, as things are; `None` if they are not.
    /// Those of two nodes that run and are not connected are for as long as that lasts, those of a node
    /// that stopped until its end must have been noticed, and what was missed until it must have been
    /// repaired.
    #[must_use]
    pub(crate) fn excused_until(&self, observer: NodeIx, owner: NodeIx) -> Option<Time> {
        if observer == owner {
            return None;
        }
        let times = self.facts.times;
        let mended = self.history.mended(observer, owner);
        let (since, bound) = if self.is_running(owner) {
            if !self.is_connected(observer, owner) {
                return Some(Time(u64::MAX));
            }
            (mended, times.heal())
        } else {
            // It may have been silent before it stopped, and the silence is what is noticed.
            let was_silent = mended.is_some() || self.is_cut(observer, owner);
            let bound = if was_silent {
                times.detection()
            } else {
                times.crash_detection()
            };
            (self.history.stopped(owner).max(mended), bound)
        };
        since.map(|since| Time(since.0.saturating_add(bound)))
    }

    /// True if any cut is in force.
    #[must_use]
    pub fn has_cuts(&self) -> bool {
        self.network.has_cuts()
    }

    /// True if a cut hides the end of a node that stopped from one that runs, which can notice
    /// nothing but silence.
    #[must_use]
    pub(crate) fn hides_an_end(&self) -> bool {
        self.hides_an_end
    }

    /// True if any link between running nodes loses or holds messages, or a limit of their size or number has.
    #[must_use]
    pub fn loses_messages(&self) -> bool {
        self.history.beyond_limit().is_some()
            || self.holding_link().is_some()
            || self.network.may_lose() && self.lossy_link().is_some()
    }

    /// A link between running nodes that holds messages.
    fn holding_link(&self) -> Option<(NodeIx, NodeIx)> {
        let mut links = self.network.holds.links();
        links.find(|(a, b)| self.is_running(*a) && self.is_running(*b))
    }

    fn lossy_link(&self) -> Option<(NodeIx, NodeIx)> {
        self.links().find(|(a, b)| self.network.loses(*a, *b))
    }

    /// Every link between two running nodes.
    fn links(&self) -> impl Iterator<Item = (NodeIx, NodeIx)> {
        let running = || self.positions().filter(|node| self.is_running(*node));
        running().flat_map(move |a| running().map(move |b| (a, b)))
    }

    /// The child that really runs on a node under an id.
    #[must_use]
    pub fn child(&self, node: NodeIx, child: &ChildId) -> Option<&Child> {
        self.convergence.running(node, child)
    }

    /// True if a view has an entry.
    #[must_use]
    pub fn shows(&self, node: NodeIx, child: &ChildId, owner: NodeIx, pid: &Pid) -> bool {
        self.convergence.shows(node, child, owner, pid)
    }

    /// The pid that a view has for a child under an owner; `None` if it has no such entry,
    /// `Some(None)` if the entry has no pid.
    #[must_use]
    pub fn shown_pid(&self, node: NodeIx, child: &ChildId, owner: NodeIx) -> Option<Option<&Pid>> {
        let (pid, _) = self.convergence.shown(node, owner, child)?;
        Some(pid)
    }

    /// The first child that a view has under an owner, by its id.
    #[must_use]
    pub(crate) fn first_shown(&self, node: NodeIx, owner: &NodeId) -> Option<&ChildId> {
        match self.facts.position(owner) {
            Some(owner) => self.convergence.shown_children(node, owner).pop_first(),
            None => self.convergence.foreign_child(node, owner),
        }
    }

    /// True if a view has any entry of an owner.
    #[must_use]
    pub fn shows_any(&self, node: NodeIx, owner: &NodeId) -> bool {
        match self.facts.position(owner) {
            Some(owner) => self.convergence.shows_any(node, owner),
            None => self.convergence.foreign_child(node, owner).is_some(),
        }
    }

    /// The children that a view has under an owner, in the order of their ids.
    pub fn children_shown(&self, node: NodeIx, owner: NodeIx) -> impl Iterator<Item = &ChildId> {
        self.convergence.shown_children(node, owner).into_iter()
    }

    /// How many messages wait for a busy receiver at an instant, unless more arrive by then.
    #[must_use]
    pub(crate) fn backlog(&self, node: NodeIx, at: Time) -> u64 {
        let busy_us = self.nodes[node as usize].busy_until.since(at);
        busy_us.div_ceil(self.facts.service_us_of(node).max(1))
    }

    /// Which fault is still going on, in words: one that no view can be expected to be right under.
    #[must_use]
    pub(crate) fn disturbance(&self) -> Option<String> {
        if let Some(paused) = self.positions().find(|node| self.is_paused(*node)) {
            return Some(format!("{} is paused", self.name(paused)));
        }
        let link = |(a, b): (NodeIx, NodeIx), verb: &str| {
            format!("the link from {} to {} {verb}", self.name(a), self.name(b))
        };
        let cut = |(a, b): &(NodeIx, NodeIx)| self.network.is_cut(*a, *b);
        if self.has_cuts()
            && let Some(found) = self.links().find(cut)
        {
            return Some(link(found, "is cut"));
        }
        if let Some(found) = self.holding_link() {
            return Some(link(found, "holds messages"));
        }
        if let Some(reason) = self.history.beyond_limit() {
            return Some(format!("a message was dropped: {}", reason.as_str()));
        }
        if self.network.may_lose() {
            let found = self.lossy_link();
            return found.map(|found| link(found, "loses messages"));
        }
        None
    }
}
