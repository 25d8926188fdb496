//! [`HubCore`]: one node of the registry as a state machine.
//!
//! One input in, one atomic step, effects out through [`Runtime`]. The hub owns what every node
//! does whatever its strategy: membership, periodic rounds, the janitor, local children and the
//! clean-up after nodes that left. How registries are kept in step is its strategy's business.

mod adapter;
mod children;
mod input;
mod lifecycle;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use input::{ChildEvent, ChildrenMessage, Command, Envelope, HUB_KINDS, Input};

use crate::child::{Metadata, Row};
use crate::context::Context;
use crate::membership::{Decision, Discovery, Membership, MembershipContext};
use crate::message::Channel;
use crate::name::{ChildId, NodeId, Pid};
use crate::registry::{Registry, Sink};
use crate::request::Unregistration;
use crate::runtime::{DownReason, Event, Runtime, TimerKey};
use crate::state::NodeState;
use crate::strategy::EventStrategy;

use adapter::{MembershipSide, StrategySide};
use children::Children;

/// The runtime of a hub with this strategy and this membership.
type Out<'a, S, M> =
    dyn Runtime<Envelope<<S as EventStrategy>::Message, <M as Membership>::Message>> + 'a;

/// The settings of a hub beside its strategy and its membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubConfig {
    /// The time between two purges of what expired. Default 15 s, `storage_purge_interval`.
    pub janitor_interval: Duration,
    /// The time that an unregistered row stays. Default 30 s.
    pub tombstone_ttl: Duration,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            janitor_interval: Duration::from_secs(15),
            tombstone_ttl: Duration::from_secs(30),
        }
    }
}

/// The size of a hub's state, for checks of boundedness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Rows of the registry, those without entries included.
    pub rows: usize,
    /// Rows without entries.
    pub tombstones: usize,
    /// References that the strategy remembers.
    pub refs: usize,
    /// Bytes that the strategy keeps beside the registry, by its own formula:
    /// [`EventStrategy::state_bytes`].
    pub strategy_bytes: u64,
    /// Starts without an outcome, and joins and downs without a decision.
    pub queue: usize,
}

/// One node: strategy `S`, membership `M`.
#[derive(Debug)]
pub struct HubCore<S, M = Discovery> {
    state: NodeState,
    strategy: S,
    membership: M,
    children: Children,
    janitor_interval: Duration,
    /// Facts stamped in this incarnation.
    facts: u64,
}

impl<S: EventStrategy, M: Membership> HubCore<S, M> {
    /// A node that has not booted: hand it [`Input::Start`]. `incarnation` must be larger at each
    /// boot of the same name.
    #[must_use]
    pub fn new(
        node: NodeId,
        incarnation: u64,
        strategy: S,
        membership: M,
        config: HubConfig,
    ) -> Self {
        Self {
            state: NodeState::new(node, incarnation, config.tombstone_ttl),
            strategy,
            membership,
            children: Children::default(),
            janitor_interval: config.janitor_interval,
            facts: 0,
        }
    }

    /// This node.
    #[must_use]
    pub fn node(&self) -> &NodeId {
        self.state.node()
    }

    /// Its incarnation.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.state.incarnation()
    }

    /// Its registry.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        self.state.registry()
    }

    /// Its cluster view, in order.
    #[must_use]
    pub fn view(&self) -> &[NodeId] {
        self.state.view()
    }

    /// The peers whose connection is up, by name.
    #[must_use]
    pub fn connected(&self) -> &[NodeId] {
        self.state.connected()
    }

    /// The children running here, by id.
    pub fn children(&self) -> impl Iterator<Item = (&ChildId, &Pid, &Metadata)> {
        self.children.running()
    }

    /// Its strategy.
    #[must_use]
    pub fn strategy(&self) -> &S {
        &self.strategy
    }

    /// The size of its state.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        Sizes {
            rows: self.registry().len(),
            tombstones: self.registry().tombstones(),
            refs: self.strategy.refs(),
            strategy_bytes: self.strategy.state_bytes(),
            queue: self.children.open() + self.membership.pending(),
        }
    }

    /// Takes one input and performs the step it asks for; all effects go to `runtime`, in order.
    pub fn handle(
        &mut self,
        input: Input<'_, S::Message, M::Message>,
        runtime: &mut Out<'_, S, M>,
    ) {
        match input {
            Input::Start => self.start(runtime),
            Input::Message { from, message } => self.handle_message(from, message, runtime),
            Input::Timer(key) => self.handle_timer(key, runtime),
            Input::PeerUp { node, incarnation } => {
                self.state.connect(node, incarnation);
                self.with_strategy(runtime, |strategy, cx| {
                    strategy.peer_up(cx, node, incarnation)
                });
                self.with_membership(runtime, |membership, cx| {
                    membership.peer_up(cx, node, incarnation)
                });
            }
            Input::PeerDown { node, reason } => {
                self.state.disconnect(node);
                self.with_strategy(runtime, |strategy, cx| strategy.peer_down(cx, node, reason));
                self.with_membership(runtime, |membership, cx| {
                    membership.peer_down(cx, node, reason)
                });
            }
            Input::Suspect { node } => {
                self.with_strategy(runtime, |strategy, cx| strategy.suspect(cx, node));
                self.with_membership(runtime, |membership, cx| membership.suspect(cx, node));
            }
            Input::Command(command) => self.command(command, runtime),
            Input::Children(events) => self.handle_children(events, runtime),
        }
    }

    fn start(&mut self, runtime: &mut Out<'_, S, M>) {
        self.with_strategy(runtime, |strategy, cx| strategy.start(cx));
        self.with_membership(runtime, |membership, cx| membership.start(cx));
        self.set_round_timer(runtime);
        runtime.set_timer(TimerKey::Janitor, self.janitor_interval);
    }

    fn set_round_timer(&self, runtime: &mut Out<'_, S, M>) {
        if let Some(interval) = self.strategy.round_interval() {
            runtime.set_timer(TimerKey::Sync, interval);
        }
    }

    fn handle_message(
        &mut self,
        from: &NodeId,
        message: &Envelope<S::Message, M::Message>,
        runtime: &mut Out<'_, S, M>,
    ) {
        match message {
            Envelope::Membership(message) => {
                self.with_membership(runtime, |membership, cx| {
                    membership.handle_message(cx, from, message)
                });
            }
            Envelope::Leave if from == self.node() => {}
            Envelope::Leave => {
                self.with_membership(runtime, |membership, cx| membership.leave(cx, from))
            }
            Envelope::Children(message) => self.handle_children_message(from, message, runtime),
            Envelope::Strategy(message) => {
                self.with_strategy(runtime, |strategy, cx| {
                    strategy.handle_message(cx, from, message)
                });
            }
        }
    }

    fn handle_timer(&mut self, key: TimerKey, runtime: &mut Out<'_, S, M>) {
        match key {
            TimerKey::Discovery | TimerKey::Debounce | TimerKey::Membership(_) => {
                self.with_membership(runtime, |membership, cx| membership.handle_timer(cx, key));
            }
            TimerKey::Sync => {
                self.with_strategy(runtime, |strategy, cx| strategy.round(cx));
                self.set_round_timer(runtime);
            }
            TimerKey::Janitor => {
                let now = runtime.now();
                self.mutate(runtime, |registry, sink| registry.purge(now, sink));
                self.strategy.purge(now);
                runtime.set_timer(TimerKey::Janitor, self.janitor_interval);
            }
            TimerKey::Strategy(key) => {
                self.with_strategy(runtime, |strategy, cx| strategy.handle_timer(cx, key))
            }
        }
    }

    fn command(&mut self, command: Command, runtime: &mut Out<'_, S, M>) {
        match command {
            Command::StartChildren {
                ticket,
                specs,
                metadata,
                targets,
                announce,
            } => {
                self.order_start(ticket, &specs, &metadata, &targets, announce, runtime);
            }
            Command::StopChildren {
                ticket,
                children,
                target,
            } => self.order_stop(ticket, &children, &target, runtime),
            Command::RestartChild(child) => self.restart_child(&child, runtime),
            Command::Propagate { requests, members } => {
                self.with_strategy(runtime, |strategy, cx| {
                    strategy.propagate(cx, requests, &members)
                });
            }
            Command::Sync => self.with_strategy(runtime, |strategy, cx| strategy.round(cx)),
            Command::Broadcast(to) => {
                self.with_strategy(runtime, |strategy, cx| strategy.nodes_joining(cx, &to));
            }
            Command::PutRows(rows) => self.put_rows(rows, runtime),
            Command::SetView(nodes) => {
                self.state.set_view(nodes);
                self.report_view(runtime);
                self.with_strategy(runtime, |strategy, cx| strategy.view_changed(cx));
            }
            Command::Leave => self.leave(runtime),
        }
    }

    fn put_rows(&mut self, rows: Vec<Row>, runtime: &mut Out<'_, S, M>) {
        self.mutate(runtime, |registry, sink| {
            rows.into_iter().for_each(|row| registry.put(row, sink))
        });
    }

    fn leave(&mut self, runtime: &mut Out<'_, S, M>) {
        // For peers that are connected; a paused node that leaves may not know yet that a connection
        // is gone.
        if !self.state.connected().is_empty() {
            runtime.send_connected(self.state.connected(), Channel::REQUESTS, Envelope::Leave);
        }
        self.stop_all_children(runtime);
    }

    fn with_strategy(
        &mut self,
        runtime: &mut Out<'_, S, M>,
        call: impl FnOnce(&mut S, &mut Context<'_, S::Message>),
    ) {
        let mut runtime = StrategySide(runtime);
        call(
            &mut self.strategy,
            &mut Context::new(&mut self.state, &mut runtime),
        );
    }

    fn with_membership(
        &mut self,
        runtime: &mut Out<'_, S, M>,
        call: impl FnOnce(&mut M, &mut MembershipContext<'_, M::Message>),
    ) {
        let mut side = MembershipSide(runtime);
        let mut cx = MembershipContext::new(&self.state, &mut side);
        call(&mut self.membership, &mut cx);
        for decision in cx.into_decisions() {
            match decision {
                Decision::Joins(nodes) => self.join(nodes, runtime),
                Decision::Downs(nodes) => self.remove_members(nodes, runtime),
            }
        }
    }

    fn mutate(
        &mut self,
        runtime: &mut Out<'_, S, M>,
        change: impl FnOnce(&mut Registry, Sink<'_>),
    ) {
        self.state.mutate(change, |event| runtime.emit(event));
    }

    fn report_view(&self, runtime: &mut Out<'_, S, M>) {
        tracing::debug!(node = %self.node(), members = self.view().len(), "cluster view changed");
        runtime.emit(Event::View(self.view().to_vec()));
    }

    /// New members: the strategy is notified before they are in the view.
    fn join(&mut self, mut nodes: Vec<NodeId>, runtime: &mut Out<'_, S, M>) {
        nodes.retain(|node| node != self.state.node() && !self.state.is_member(node));
        if nodes.is_empty() {
            return;
        }
        self.with_strategy(runtime, |strategy, cx| strategy.nodes_joining(cx, &nodes));
        self.state.append_to_view(&nodes);
        self.report_view(runtime);
        for node in &nodes {
            let incarnation = self.state.incarnation_of(node).unwrap_or(0);
            self.with_strategy(runtime, |strategy, cx| {
                strategy.member_up(cx, node, incarnation)
            });
        }
        self.with_strategy(runtime, |strategy, cx| strategy.view_changed(cx));
    }

    /// Members that are gone: out of the view, then one bulk delete of all their entries.
    fn remove_members(
        &mut self,
        mut nodes: Vec<(NodeId, DownReason)>,
        runtime: &mut Out<'_, S, M>,
    ) {
        nodes.retain(|(node, _)| self.state.is_member(node));
        if nodes.is_empty() {
            return;
        }
        self.state
            .remove_from_view(nodes.iter().map(|(node, _)| node));
        self.report_view(runtime);
        let mut rows: BTreeMap<ChildId, Vec<NodeId>> = BTreeMap::new();
        for (node, _) in &nodes {
            for child in self.registry().children_of(node) {
                rows.entry(child.clone()).or_default().push(node.clone());
            }
        }
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(child, nodes)| Unregistration { child, nodes })
            .collect();
        self.unregister_here(&rows, runtime);
        for (node, reason) in &nodes {
            self.with_strategy(runtime, |strategy, cx| {
                strategy.member_down(cx, node, *reason)
            });
        }
        self.with_strategy(runtime, |strategy, cx| strategy.view_changed(cx));
    }

    fn unregister_here(&mut self, rows: &[Unregistration], runtime: &mut Out<'_, S, M>) {
        let expires_at = runtime.now().after(self.state.tombstone_ttl());
        self.mutate(runtime, |registry, sink| {
            registry.unregister(rows, expires_at, sink)
        });
    }
}
