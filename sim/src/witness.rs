//! [`Witness`]: the observers of a run that the engine does not make. Real hubs run elsewhere, in
//! real time; whoever runs them tells the witness what happens, and asks it what the network does to
//! a message. Convergence, oracles and expectations are judged by the code that judges simulated
//! runs, and the report has the same shape.
//!
//! What cannot be told from outside is missing: timers, who caused what, and what became of messages
//! on their way when a connection closed; these count as in flight.

use std::collections::{BTreeMap, BTreeSet};

use hublab_strategies::hub::{Command, Sizes};
use hublab_strategies::membership::Announcement;
use hublab_strategies::registry::Registry;
use hublab_strategies::{
    Channel, ChildId, DownReason, Event as HubEvent, Metadata, NodeId, Pid, Row, RowChange,
    Runtime, Time,
};

use crate::effects::{Effect, Effects, Positions, Wishes};
use crate::engine::{Child, Finished, NodeState, Planned};
use crate::network::Network;
use crate::network::cut::{CutId, Reach};
use crate::network::link::{Draw, Draws};
use crate::node::{Node, NodeInput};
use crate::observe::{Observers, Scene};
use crate::report::Report;
use crate::run;
use crate::scenario::model::{Action, Claim, InFlight, NodeIx, Scenario};
use crate::stream::unit;
use crate::trace::event::{DropReason, Payload, StopReason, WORLD};
use crate::trace::recorder::Recorder;

/// Oracles that go by what cannot be told from outside.
const BLIND: [&str; 1] = ["bounded_state"];

/// Watches one run of real hubs, on a clock that only moves when it is told.
pub struct Witness {
    now: Time,
    scenario: Scenario,
    strategy: String,
    nodes: Vec<NodeState>,
    network: Network,
    observers: Observers,
    recorder: Recorder,
    /// The cuts in force, by the step that made them.
    cuts: BTreeMap<u32, (CutId, Reach, InFlight)>,
    /// Connections as each end knows them.
    up: BTreeSet<(NodeIx, NodeIx)>,
    /// Sent and neither handled nor lost, by kind.
    in_flight: BTreeMap<&'static str, u64>,
}

/// What the network does to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is lost.
    Lost,
    /// It arrives after so many microseconds.
    Arrives {
        /// The delay.
        after: u64,
        /// That of a copy, if there is one.
        again: Option<u64>,
        /// Whether it keeps its place among those of its channel.
        ordered: bool,
    },
}

/// What becomes of a message at the end of its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reception {
    /// It is handled.
    Handled,
    /// It is lost.
    Lost,
    /// It waits until the link is open again.
    Held,
}

/// A registry kept from outside, as [`Node`]s show theirs.
struct Shadow {
    registry: Registry,
    view: Vec<NodeId>,
}

impl Shadow {
    /// Puts a row in; one without entries takes it out.
    fn put(&mut self, row: Row) -> Option<RowChange> {
        let (child, is_gone) = (row.spec.id().clone(), row.is_empty());
        let before = self.registry.get(&child).map(|row| Box::new(row.to_row()));
        let expires_at = is_gone.then_some(Time::ZERO);
        let row = Row { expires_at, ..row };
        let after = (!is_gone).then(|| Box::new(row.clone()));
        self.registry.put(row, &mut |_| {});
        self.registry.purge(Time::ZERO, &mut |_| {});
        (before != after).then_some(RowChange {
            child,
            before,
            after,
        })
    }
}

impl Node for Shadow {
    /// It runs elsewhere: all it can be told is what to show.
    fn handle(&mut self, input: NodeInput<'_>, effects: &mut Effects<'_>) {
        let mut emit = |event| Runtime::<Announcement>::emit(effects, event);
        if let NodeInput::Command(Command::PutRows(rows)) = input {
            for row in rows {
                if let Some(change) = self.put(row) {
                    emit(HubEvent::Row(change));
                }
            }
        } else if let NodeInput::Command(Command::SetView(view)) = input {
            self.view.clone_from(&view);
            emit(HubEvent::View(view));
        }
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn cluster_view(&self) -> &[NodeId] {
        &self.view
    }

    fn sizes(&self) -> Sizes {
        Sizes::default()
    }
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// Why a scenario cannot be judged from outside, one reason per line; empty if it can.
#[must_use]
pub fn unwitnessed(scenario: &Scenario) -> Vec<String> {
    let claims = scenario.expectations.iter().map(|it| &it.claim);
    claims
        .filter_map(|claim| match claim {
            Claim::Always(name) | Claim::Violates(name) if BLIND.contains(&name.as_str()) => {
                Some(format!("the oracle `{name}` needs the inside of nodes"))
            }
            Claim::Metric { name, .. } if name == "events" => {
                Some("the metric `events` counts those of a simulated run".to_owned())
            }
            Claim::Always(_)
            | Claim::Violates(_)
            | Claim::Metric { .. }
            | Claim::Converged { .. }
            | Claim::Registry { .. }
            | Claim::Entry { .. } => None,
        })
        .collect()
}

impl Witness {
    /// The witness of a resolved scenario, at time 0, with no node up.
    #[must_use]
    pub fn new(scenario: &Scenario, strategy: &str) -> Self {
        let names = &scenario.cluster.nodes;
        Self {
            now: Time::ZERO,
            strategy: strategy.to_owned(),
            nodes: names.iter().map(|_| NodeState::new()).collect(),
            network: Network::new(&scenario.network, names, scenario.run.seed),
            observers: Observers::new(scenario, strategy, Vec::new()),
            recorder: Recorder::new(Vec::new()),
            cuts: BTreeMap::new(),
            up: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            scenario: scenario.clone(),
        }
    }

    fn record(&mut self, node: NodeIx, payload: Payload) {
        self.recorder.record(self.now, node, 0, payload);
        self.show_last();
    }

    fn show_last(&mut self) {
        if let Some(event) = self.recorder.last() {
            let scene = Scene {
                nodes: &self.nodes,
                network: &self.network,
            };
            self.observers.event(event, scene);
        }
    }

    /// Moves the clock; what is claimed of instants passed over is judged. It never goes back.
    pub fn advance(&mut self, to: Time) {
        if to > self.now {
            let scene = Scene {
                nodes: &self.nodes,
                network: &self.network,
            };
            self.observers.settle(self.now, to, scene);
            self.now = to;
        }
    }

    /// A step of a node, with all that it changed, is over.
    pub fn step_done(&mut self) {
        let scene = Scene {
            nodes: &self.nodes,
            network: &self.network,
        };
        self.observers.truth_settled(scene);
        self.observers.step_done(self.now, scene);
    }

    /// The script acts. Cuts, links and pauses change here; all else happens outside.
    pub fn step(&mut self, entry: Planned) {
        let Some(step) = self.scenario.steps.get(entry.step as usize) else {
            return;
        };
        let action = step.action.clone();
        self.observers.step_begins(self.now);
        let payload = Payload::Step {
            index: entry.step,
            healing: entry.healing,
            action: action.name().into(),
        };
        self.record(WORLD, payload);
        if entry.healing {
            self.note_healing();
            if let Some((cut, ..)) = self.cuts.remove(&entry.step) {
                self.network.mend(cut);
            }
        } else {
            self.act(entry.step, &action);
        }
    }

    fn note_healing(&mut self) {
        if self.network.has_cuts() {
            self.observers.healed(self.now);
        }
    }

    fn act(&mut self, number: u32, action: &Action) {
        let count = self.nodes.len();
        match action {
            Action::Partition {
                groups, in_flight, ..
            } => self.cut(number, Reach::groups(count, groups), *in_flight),
            Action::Cut {
                from,
                to,
                in_flight,
                ..
            } => self.cut(number, Reach::directed(count, from, to), *in_flight),
            Action::Heal => {
                self.note_healing();
                self.network.mend_all();
                self.network.restore_links();
                self.cuts.clear();
            }
            Action::Link(change) => self.network.change_links(change),
            Action::Pause(nodes) => nodes.iter().for_each(|node| self.pause(*node, true)),
            Action::Resume(nodes) => nodes.iter().for_each(|node| self.pause(*node, false)),
            Action::Join(_)
            | Action::Restart(_)
            | Action::Leave(_)
            | Action::Crash(_)
            | Action::Clock { .. }
            | Action::StartChildren { .. }
            | Action::StopChildren { .. }
            | Action::RestartChild { .. }
            | Action::Propagate { .. }
            | Action::Sync(_)
            | Action::Broadcast { .. }
            | Action::Rows { .. }
            | Action::View { .. } => {}
        }
    }

    fn cut(&mut self, number: u32, reach: Reach, in_flight: InFlight) {
        let id = self.network.cut(reach.clone());
        self.cuts.insert(number, (id, reach, in_flight));
    }

    fn pause(&mut self, node: NodeIx, pause: bool) {
        let state = &mut self.nodes[node as usize];
        if state.is_running() && state.paused != pause {
            state.paused = pause;
            let payload = if pause {
                Payload::Paused
            } else {
                Payload::Resumed
            };
            self.record(node, payload);
        }
    }

    /// Whether a node runs.
    #[must_use]
    pub fn is_running(&self, node: NodeIx) -> bool {
        self.nodes[node as usize].is_running()
    }

    /// Whether a node runs in this incarnation.
    #[must_use]
    pub fn runs(&self, node: NodeIx, incarnation: u32) -> bool {
        self.is_running(node) && self.nodes[node as usize].incarnation == incarnation
    }

    /// Whether the way from one node to another is barred: by a cut, or because the sender is
    /// paused. Heartbeats and greetings do not pass then.
    #[must_use]
    pub fn is_silent(&self, from: NodeIx, to: NodeIx) -> bool {
        self.network.is_cut(from, to) || self.nodes[from as usize].paused
    }

    /// A node boots. Answers its incarnation, counted from 1.
    pub fn booted(&mut self, node: NodeIx) -> u32 {
        let name = self.scenario.cluster.nodes[node as usize].clone();
        let state = &mut self.nodes[node as usize];
        state.incarnation += 1;
        state.free_to_send = 0;
        state.free_to_serve = 0;
        state.node = Some(Box::new(Shadow {
            registry: Registry::new(),
            view: vec![name.clone()],
        }));
        let incarnation = state.incarnation;
        self.observers.node_up(node);
        let payload = Payload::Booted {
            name,
            incarnation: incarnation.into(),
        };
        self.record(node, payload);
        incarnation
    }

    /// A node that runs stops, and its children with it.
    pub fn stopped(&mut self, node: NodeIx, reason: StopReason) {
        if !self.is_running(node) {
            return;
        }
        self.record(node, Payload::Stopped(reason));
        let state = &mut self.nodes[node as usize];
        state.node = None;
        state.paused = false;
        state.pids.clear();
        for (child, Child { pid, .. }) in std::mem::take(&mut state.children) {
            self.observers.child_stopped(self.now, node, &child, &pid);
            self.record(node, Payload::ChildStopped { child, pid });
        }
        self.step_done();
        self.observers.node_down(node);
        self.up.retain(|(a, b)| *a != node && *b != node);
        for peer in 0..NodeIx::try_from(self.nodes.len()).unwrap_or(0) {
            self.pair_refreshed(node, peer);
        }
    }

    /// A node learns that a connection came up.
    pub fn peer_up(&mut self, node: NodeIx, peer: NodeIx, incarnation: u64) {
        self.record(node, Payload::PeerUp { peer, incarnation });
        if u64::from(self.nodes[peer as usize].incarnation) == incarnation {
            self.up.insert((node, peer));
            self.pair_refreshed(node, peer);
        }
    }

    /// A node learns that a connection is gone.
    pub fn peer_down(&mut self, node: NodeIx, peer: NodeIx, reason: DownReason) {
        self.record(node, Payload::PeerDown { peer, reason });
        self.up.remove(&(node, peer));
        self.pair_refreshed(node, peer);
    }

    /// A pair counts as connected while both ends know it is.
    fn pair_refreshed(&mut self, a: NodeIx, b: NodeIx) {
        let runs = self.is_running(a) && self.is_running(b);
        let up = runs && self.up.contains(&(a, b)) && self.up.contains(&(b, a));
        if a != b && self.network.is_connected(a, b) != up {
            self.network.set_connected([a, b], up);
            self.observers.pair_changed(self.now, [a, b], up);
        }
    }

    /// A node's cluster view changed.
    pub fn view(&mut self, node: NodeIx, view: Vec<NodeId>) {
        self.tell(node, Command::SetView(view));
    }

    /// A node's row changed to this; one without entries is gone.
    pub fn row(&mut self, node: NodeIx, row: Row) {
        self.tell(node, Command::PutRows(vec![row]));
    }

    /// Has the shadow of a node that runs show something.
    fn tell(&mut self, node: NodeIx, command: Command) {
        let state = &mut self.nodes[node as usize];
        let Some(shadow) = state.node.as_mut() else {
            return;
        };
        let (mut wishes, positions) = (Wishes::default(), Positions::default());
        let stream = &mut state.stream;
        let mut effects = Effects::new(self.now, &state.clock, 0, stream, &positions, &mut wishes);
        shadow.handle(NodeInput::Command(command), &mut effects);
        for effect in wishes.effects {
            let Effect::Emit(event) = effect else {
                continue;
            };
            if let HubEvent::Row(change) = event {
                self.observers.row_changed(self.now, node, &change);
                let payload = Payload::Row {
                    child: change.child,
                    before: change.before,
                    after: change.after,
                };
                self.record(node, payload);
            } else if let HubEvent::View(view) = event {
                self.record(node, Payload::View(view));
            }
        }
    }

    /// A child runs on a node; what ran there under its id no longer does.
    pub fn child_started(&mut self, node: NodeIx, child: &ChildId, pid: Pid, metadata: Metadata) {
        if !self.is_running(node) {
            return;
        }
        self.child_stopped(node, child);
        let running = Child {
            pid: pid.clone(),
            metadata: metadata.clone(),
            since: self.now,
        };
        self.observers
            .child_started(self.now, node, child, &running);
        let children = &mut self.nodes[node as usize].children;
        children.insert(child.clone(), running);
        let payload = Payload::ChildStarted {
            child: child.clone(),
            pid,
            metadata,
        };
        self.record(node, payload);
    }

    /// A child has a new process; it keeps its metadata.
    pub fn child_restarted(&mut self, node: NodeIx, child: &ChildId, pid: Pid) {
        let known = self.nodes[node as usize].children.get(child);
        let metadata = known.map(|it| it.metadata.clone()).unwrap_or_default();
        self.child_started(node, child, pid, metadata);
    }

    /// A child no longer runs on a node.
    pub fn child_stopped(&mut self, node: NodeIx, child: &ChildId) {
        let removed = self.nodes[node as usize].children.remove(child);
        if let Some(Child { pid, .. }) = removed {
            self.observers.child_stopped(self.now, node, child, &pid);
            let child = child.clone();
            self.record(node, Payload::ChildStopped { child, pid });
        }
    }

    fn kind(&mut self, name: &'static str) -> u8 {
        let before = self.recorder.events();
        let kind = self.recorder.kind(self.now, name);
        if self.recorder.events() > before {
            self.show_last();
        }
        kind
    }

    /// A node sends a message.
    pub fn sent(&mut self, from: NodeIx, to: NodeIx, kind: &'static str, bytes: u64) {
        *self.in_flight.entry(kind).or_default() += 1;
        let payload = Payload::Sent {
            to,
            kind: self.kind(kind),
            channel: 0,
            number: 0,
            bytes,
            hops: 1,
            due: None,
        };
        self.record(from, payload);
    }

    fn dropped(&mut self, from: NodeIx, to: NodeIx, kind: &'static str, reason: DropReason) {
        if self.take_off(kind) {
            let payload = Payload::Dropped {
                from,
                kind: self.kind(kind),
                number: 0,
                reason,
            };
            self.record(to, payload);
        }
    }

    /// A message could not be sent: the two are not connected.
    pub fn unsent(&mut self, from: NodeIx, to: NodeIx, kind: &'static str) {
        self.dropped(from, to, kind, DropReason::NotConnected);
    }

    /// One message of a kind is no longer on its way, if one was.
    fn take_off(&mut self, kind: &'static str) -> bool {
        let count = self.in_flight.entry(kind).or_default();
        let was = *count > 0;
        *count = count.saturating_sub(1);
        was
    }

    /// What the network does to a message that is sent now to a connected node.
    pub fn fate(
        &mut self,
        from: NodeIx,
        to: NodeIx,
        channel: Channel,
        kind: &'static str,
        bytes: u64,
    ) -> Fate {
        let link = (from, to);
        if self.network.is_cut(from, to) {
            self.dropped(from, to, kind, DropReason::Cut);
            return Fate::Lost;
        }
        let params = self.network.params(link);
        let number = self.network.lanes_mut(channel.id).next_number(link);
        let draws = Draws::new(self.network.link_key(from, to), channel.id, number);
        let mut leaves = self.departure(from);
        if params.bytes_per_second > 0 {
            let takes = bytes
                .saturating_mul(1_000_000)
                .div_ceil(params.bytes_per_second);
            leaves = self.network.occupy(link, leaves, takes);
        }
        if params.loss > 0.0 && unit(draws.get(Draw::Loss)) < params.loss {
            self.dropped(from, to, kind, DropReason::Loss);
            return Fate::Lost;
        }
        let due = leaves.saturating_add(params.law.sample(draws.get(Draw::Latency)));
        let after = self.served(to, due);
        let again = (params.duplicate > 0.0 && unit(draws.get(Draw::Duplicate)) < params.duplicate)
            .then(|| {
                let copy = leaves.saturating_add(params.law.sample(draws.get(Draw::CopyLatency)));
                self.duplicated(from, to, kind, Time(copy));
                self.served(to, copy)
            });
        Fate::Arrives {
            after,
            again,
            ordered: params.fifo,
        }
    }

    /// When a message leaves a sender who is busy with each for `send_gap`.
    fn departure(&mut self, from: NodeIx) -> u64 {
        let state = &mut self.nodes[from as usize];
        let leaves = state.free_to_send.max(self.now.0);
        state.free_to_send = leaves.saturating_add(self.network.send_gap);
        leaves
    }

    /// How long until a message due then is handled by a receiver who is busy with each for
    /// `service_time`, in the order in which they were sent.
    fn served(&mut self, to: NodeIx, due: u64) -> u64 {
        let takes = self.network.service_time;
        if takes == 0 {
            return due.saturating_sub(self.now.0);
        }
        let state = &mut self.nodes[to as usize];
        let done = due.max(state.free_to_serve).saturating_add(takes);
        state.free_to_serve = done;
        done.saturating_sub(self.now.0)
    }

    fn duplicated(&mut self, from: NodeIx, to: NodeIx, kind: &'static str, due: Time) {
        *self.in_flight.entry(kind).or_default() += 1;
        let payload = Payload::Duplicated {
            to,
            kind: self.kind(kind),
            number: 0,
            due,
        };
        self.record(from, payload);
    }

    /// A message has come to the end of its way.
    pub fn arrived(&mut self, from: NodeIx, to: NodeIx, kind: &'static str) -> Reception {
        let cut = self.cuts.values().rev();
        let mut policy = cut
            .filter(|(_, reach, _)| from != to && reach.holds(from, to))
            .map(|(_, _, in_flight)| *in_flight);
        match policy.next() {
            Some(InFlight::Hold) => return Reception::Held,
            Some(InFlight::Drop) => {
                self.dropped(from, to, kind, DropReason::Cut);
                return Reception::Lost;
            }
            Some(InFlight::Deliver) | None => {}
        }
        if self.take_off(kind) {
            let payload = Payload::Delivered {
                from,
                kind: self.kind(kind),
                number: 0,
            };
            self.record(to, payload);
        }
        Reception::Handled
    }

    /// The run is over: what it came to, if it came to its end; `wall_us` is how long it took.
    #[must_use]
    pub fn finish(mut self, is_whole: bool, wall_us: u64) -> Report {
        let end = Time(hublab_strategies::time::micros(self.scenario.run.duration));
        if is_whole {
            self.advance(Time(end.0 + 1));
            self.now = end;
        }
        let scene = Scene {
            nodes: &self.nodes,
            network: &self.network,
        };
        let outcome = self
            .observers
            .finish(self.now, !is_whole, scene, &self.recorder);
        let finished = Finished {
            now: self.now,
            stopped_early: !is_whole,
            outcome,
            recorder: self.recorder,
        };
        let seed = self.scenario.run.seed;
        let run = run::make(
            &self.scenario,
            &self.strategy,
            seed,
            finished,
            false,
            wall_us,
        );
        Report {
            digest: None,
            ..run.report
        }
    }
}
