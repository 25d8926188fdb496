//! [`Membership`]: who is in the cluster; and [`Discovery`], the way of the original.
//!
//! A membership decides, the hub applies: it broadcasts join data, changes the view, cleans up
//! after nodes that left, and notifies the strategy.

use std::time::Duration;

use hashbrown::HashSet;
use serde::{Deserialize, Serialize};

use crate::message::{Channel, Message, SizeModel};
use crate::name::{NameHasher, NodeId};
use crate::runtime::{DownReason, Runtime, TimerKey};
use crate::state::NodeState;
use crate::time::Time;
use crate::wire;

/// A way to decide who is a member of the cluster.
pub trait Membership: Send + 'static {
    /// Its messages.
    type Message: Message;

    /// The node boots.
    fn start(&mut self, cx: &mut MembershipContext<'_, Self::Message>);

    /// A message of its kind arrived.
    fn handle_message(
        &mut self,
        cx: &mut MembershipContext<'_, Self::Message>,
        from: &NodeId,
        message: &Self::Message,
    );

    /// One of its timers fired: `Discovery`, `Debounce`, or a `Membership`.
    fn handle_timer(&mut self, cx: &mut MembershipContext<'_, Self::Message>, key: TimerKey);

    /// The connection to a peer came up.
    fn peer_up(
        &mut self,
        _cx: &mut MembershipContext<'_, Self::Message>,
        _node: &NodeId,
        _incarnation: u64,
    ) {
    }

    /// The connection to a peer is gone.
    fn peer_down(
        &mut self,
        cx: &mut MembershipContext<'_, Self::Message>,
        node: &NodeId,
        reason: DownReason,
    );

    /// A failure detector has doubts about a peer.
    fn suspect(&mut self, _cx: &mut MembershipContext<'_, Self::Message>, _node: &NodeId) {}

    /// A peer said good-bye.
    fn leave(&mut self, cx: &mut MembershipContext<'_, Self::Message>, node: &NodeId);

    /// The number of joins and downs that wait for a decision.
    fn pending(&self) -> usize {
        0
    }
}

/// A decision of a membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// These enter the view together, in this order.
    Joins(Vec<NodeId>),
    /// These leave the view together, in this order.
    Downs(Vec<(NodeId, DownReason)>),
}

/// A membership's access to its node.
pub struct MembershipContext<'a, M> {
    state: &'a NodeState,
    runtime: &'a mut (dyn Runtime<M> + 'a),
    decisions: Vec<Decision>,
}

impl<'a, M> MembershipContext<'a, M> {
    /// A context over a node's state and a runtime.
    pub fn new(state: &'a NodeState, runtime: &'a mut (dyn Runtime<M> + 'a)) -> Self {
        Self {
            state,
            runtime,
            decisions: Vec::new(),
        }
    }

    /// The decisions, in order.
    #[must_use]
    pub(crate) fn into_decisions(self) -> Vec<Decision> {
        self.decisions
    }

    /// This node.
    #[must_use]
    pub fn node(&self) -> &NodeId {
        self.state.node()
    }

    /// This node's incarnation.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.state.incarnation()
    }

    /// The monotonic clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.runtime.now()
    }

    /// The cluster view.
    #[must_use]
    pub fn view(&self) -> &[NodeId] {
        self.state.view()
    }

    /// True if the view has a node.
    #[must_use]
    pub fn is_member(&self, node: &NodeId) -> bool {
        self.state.is_member(node)
    }

    /// True if the connection to a peer is up.
    #[must_use]
    pub fn is_connected(&self, node: &NodeId) -> bool {
        self.state.is_connected(node)
    }

    /// The next draw of this node's own stream.
    #[must_use]
    pub fn random(&mut self) -> u64 {
        self.runtime.random()
    }

    /// Sends one message to every other node that the runtime can reach.
    pub fn announce(&mut self, channel: Channel, message: M) {
        self.runtime.announce(channel, message);
    }

    /// Sends one message to each of these nodes, in this order; nothing if there are none.
    pub fn send(&mut self, to: &[NodeId], channel: Channel, message: M) {
        if !to.is_empty() {
            self.runtime.send(to, channel, message);
        }
    }

    /// Sets a timer, replacing the one of that key. Only `Discovery`, `Debounce` and `Membership`
    /// come back to the membership.
    pub fn set_timer(&mut self, key: TimerKey, delay: Duration) {
        self.runtime.set_timer(key, delay);
    }

    /// Cancels a timer.
    pub fn cancel_timer(&mut self, key: TimerKey) {
        self.runtime.cancel_timer(key);
    }

    /// Decides. Decisions are applied in order, after the call; empty ones are dropped.
    pub fn decide(&mut self, decision: Decision) {
        let empty = match &decision {
            Decision::Joins(nodes) => nodes.is_empty(),
            Decision::Downs(nodes) => nodes.is_empty(),
        };
        if !empty {
            self.decisions.push(decision);
        }
    }
}

/// "I am here", sent to everyone in reach at boot and then at each interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The sender's incarnation.
    pub incarnation: u64,
}

impl Message for Announcement {
    const KINDS: &'static [&'static str] = &["hub.discovery"];

    fn kind(&self) -> &'static str {
        "hub.discovery"
    }

    fn size_model(&self) -> SizeModel {
        SizeModel {
            header_bytes: wire::varint_len(self.incarnation),
            ..SizeModel::default()
        }
    }
}

/// Names in the order in which they were first added.
#[derive(Debug)]
struct Pending<T> {
    order: Vec<(NodeId, T)>,
    names: HashSet<NodeId, NameHasher>,
}

impl<T> Pending<T> {
    fn new() -> Self {
        Self {
            order: Vec::new(),
            names: HashSet::default(),
        }
    }

    fn add(&mut self, node: &NodeId, value: T) {
        if self.names.insert(node.clone()) {
            self.order.push((node.clone(), value));
        }
    }

    fn take(&mut self) -> Vec<(NodeId, T)> {
        self.names.clear();
        std::mem::take(&mut self.order)
    }
}

/// The original's membership (docs/protocol.md section 6): nodes announce themselves; joins and downs
/// are collected until a quiet time has passed, checked against the connections, and applied
/// together. A good-bye is applied at once. The quiet time has no cap, as in early 0.5: anomaly M3.
#[derive(Debug)]
pub struct Discovery {
    interval: Duration,
    debounce: Duration,
    joins: Pending<()>,
    downs: Pending<DownReason>,
}

impl Discovery {
    /// `interval` lies between two announcements; `debounce` is the quiet time.
    #[must_use]
    pub fn new(interval: Duration, debounce: Duration) -> Self {
        Self {
            interval,
            debounce,
            joins: Pending::new(),
            downs: Pending::new(),
        }
    }

    fn announce(&self, cx: &mut MembershipContext<'_, Announcement>) {
        let incarnation = cx.incarnation();
        cx.announce(Channel::CONTROL, Announcement { incarnation });
        cx.set_timer(TimerKey::Discovery, self.interval);
    }

    fn flush(&mut self, cx: &mut MembershipContext<'_, Announcement>) {
        let is_new =
            |node: &NodeId| cx.is_connected(node) && !cx.is_member(node) && node != cx.node();
        let joins = self
            .joins
            .take()
            .into_iter()
            .map(|(node, ())| node)
            .filter(is_new)
            .collect();
        let is_gone =
            |(node, _): &(NodeId, DownReason)| !cx.is_connected(node) && cx.is_member(node);
        let downs = self.downs.take().into_iter().filter(is_gone).collect();
        cx.decide(Decision::Joins(joins));
        cx.decide(Decision::Downs(downs));
    }
}

impl Default for Discovery {
    /// 10 s and 500 ms.
    fn default() -> Self {
        Self::new(Duration::from_secs(10), Duration::from_millis(500))
    }
}

impl Membership for Discovery {
    type Message = Announcement;

    fn start(&mut self, cx: &mut MembershipContext<'_, Announcement>) {
        self.announce(cx);
    }

    fn handle_message(
        &mut self,
        cx: &mut MembershipContext<'_, Announcement>,
        from: &NodeId,
        _: &Announcement,
    ) {
        if !cx.is_member(from) && from != cx.node() {
            self.joins.add(from, ());
            cx.set_timer(TimerKey::Debounce, self.debounce);
        }
    }

    fn handle_timer(&mut self, cx: &mut MembershipContext<'_, Announcement>, key: TimerKey) {
        match key {
            TimerKey::Discovery => self.announce(cx),
            TimerKey::Debounce => self.flush(cx),
            // Not ours; the hub does not hand these over, or nobody here sets them.
            TimerKey::Sync
            | TimerKey::Janitor
            | TimerKey::Membership(_)
            | TimerKey::Strategy(_) => {}
        }
    }

    fn peer_down(
        &mut self,
        cx: &mut MembershipContext<'_, Announcement>,
        node: &NodeId,
        reason: DownReason,
    ) {
        self.downs.add(node, reason);
        cx.set_timer(TimerKey::Debounce, self.debounce);
    }

    fn leave(&mut self, cx: &mut MembershipContext<'_, Announcement>, node: &NodeId) {
        if cx.is_member(node) {
            cx.decide(Decision::Downs(vec![(node.clone(), DownReason::Left)]));
        }
    }

    fn pending(&self) -> usize {
        self.joins.order.len() + self.downs.order.len()
    }
}
