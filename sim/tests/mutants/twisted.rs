//! Mutants of a strategy: one that is as it was but for a twist.

use std::collections::BTreeMap;
use std::time::Duration;

use hublab_strategies::fact::{Change, Fact};
use hublab_strategies::gossip::{Gossip, GossipMessage, Reference};
use hublab_strategies::owner_broadcast::{OwnerBroadcast, OwnerBroadcastMessage};
use hublab_strategies::pubsub::{JoinData, PubSub, PubSubMessage};
use hublab_strategies::strategy::{Bounds, Claim, Conditions, ConfigError, Limits, Variation};
use hublab_strategies::{
    Channel, Context, DownReason, EventStrategy, Members, NodeId, Requests, Strategy, Time,
};

/// What is other than in `S`; by default, nothing is.
pub(crate) trait Twist<S: EventStrategy>: Default + Send + 'static {
    fn start(&mut self, inner: &mut S, cx: &mut Context<'_, S::Message>) {
        inner.start(cx);
    }

    fn handle_message(
        &mut self,
        inner: &mut S,
        cx: &mut Context<'_, S::Message>,
        from: &NodeId,
        message: &S::Message,
    ) {
        inner.handle_message(cx, from, message);
    }

    fn local_change(&mut self, inner: &mut S, cx: &mut Context<'_, S::Message>, fact: &Fact) {
        inner.local_change(cx, fact);
    }

    fn nodes_joining(&mut self, inner: &mut S, cx: &mut Context<'_, S::Message>, nodes: &[NodeId]) {
        inner.nodes_joining(cx, nodes);
    }

    fn handle_timer(&mut self, inner: &mut S, cx: &mut Context<'_, S::Message>, key: u64) {
        inner.handle_timer(cx, key);
    }
}

/// A strategy with a twist, under the name of the strategy.
pub(crate) struct Twisted<S, T> {
    inner: S,
    twist: T,
}

impl<S: EventStrategy, T: Twist<S>> EventStrategy for Twisted<S, T> {
    type Message = S::Message;

    fn start(&mut self, cx: &mut Context<'_, S::Message>) {
        self.twist.start(&mut self.inner, cx);
    }

    fn handle_message(
        &mut self,
        cx: &mut Context<'_, S::Message>,
        from: &NodeId,
        message: &S::Message,
    ) {
        self.twist
            .handle_message(&mut self.inner, cx, from, message);
    }

    fn local_change(&mut self, cx: &mut Context<'_, S::Message>, fact: &Fact) {
        self.twist.local_change(&mut self.inner, cx, fact);
    }

    fn propagate(
        &mut self,
        cx: &mut Context<'_, S::Message>,
        requests: Requests,
        members: &Members,
    ) {
        self.inner.propagate(cx, requests, members);
    }

    fn round(&mut self, cx: &mut Context<'_, S::Message>) {
        self.inner.round(cx);
    }

    fn round_interval(&self) -> Option<Duration> {
        self.inner.round_interval()
    }

    fn nodes_joining(&mut self, cx: &mut Context<'_, S::Message>, nodes: &[NodeId]) {
        self.twist.nodes_joining(&mut self.inner, cx, nodes);
    }

    fn member_up(&mut self, cx: &mut Context<'_, S::Message>, node: &NodeId, incarnation: u64) {
        self.inner.member_up(cx, node, incarnation);
    }

    fn member_down(&mut self, cx: &mut Context<'_, S::Message>, node: &NodeId, reason: DownReason) {
        self.inner.member_down(cx, node, reason);
    }

    fn view_changed(&mut self, cx: &mut Context<'_, S::Message>) {
        self.inner.view_changed(cx);
    }

    fn peer_up(&mut self, cx: &mut Context<'_, S::Message>, node: &NodeId, incarnation: u64) {
        self.inner.peer_up(cx, node, incarnation);
    }

    fn peer_down(&mut self, cx: &mut Context<'_, S::Message>, node: &NodeId, reason: DownReason) {
        self.inner.peer_down(cx, node, reason);
    }

    fn handle_timer(&mut self, cx: &mut Context<'_, S::Message>, key: u64) {
        self.twist.handle_timer(&mut self.inner, cx, key);
    }

    fn purge(&mut self, now: Time) {
        self.inner.purge(now);
    }

    fn fingerprint(&self) -> String {
        self.inner.fingerprint()
    }

    fn refs(&self) -> usize {
        self.inner.refs()
    }
}

impl<S: Strategy, T: Twist<S>> Strategy for Twisted<S, T> {
    const NAME: &'static str = S::NAME;
    const SUMMARY: &'static str = "a mutant";
    type Config = S::Config;

    fn new(config: &S::Config) -> Result<Self, ConfigError> {
        let inner = S::new(config)?;
        let twist = T::default();
        Ok(Self { inner, twist })
    }

    fn claims() -> &'static [Claim] {
        &[]
    }

    fn limits() -> Limits {
        S::limits()
    }

    fn vary(config: &mut S::Config, by: &Variation) -> &'static [&'static str] {
        S::vary(config, by)
    }

    fn round_period(&self) -> Option<Duration> {
        self.inner.round_period()
    }

    fn bounds(&self, conditions: &Conditions) -> Bounds {
        self.inner.bounds(conditions)
    }
}

/// Sends nothing to a joiner whose name comes before those of all members.
#[derive(Default)]
pub(crate) struct FirstJoinerUnanswered;

impl<S: EventStrategy> Twist<S> for FirstJoinerUnanswered {
    fn nodes_joining(&mut self, inner: &mut S, cx: &mut Context<'_, S::Message>, nodes: &[NodeId]) {
        let is_first = |node: &NodeId| cx.view().iter().all(|member| node < member);
        let answered = nodes.iter().filter(|node| !is_first(node));
        let answered: Vec<NodeId> = answered.cloned().collect();
        inner.nodes_joining(cx, &answered);
    }
}

/// Takes in only the join data of the first member that sends any.
#[derive(Default)]
pub(crate) struct OneAnswerTaken {
    taken: Option<NodeId>,
}

impl Twist<PubSub> for OneAnswerTaken {
    fn handle_message(
        &mut self,
        inner: &mut PubSub,
        cx: &mut Context<'_, PubSubMessage>,
        from: &NodeId,
        message: &PubSubMessage,
    ) {
        if let PubSubMessage::Join(_) = message
            && self.taken.get_or_insert_with(|| from.clone()) != from
        {
            return;
        }
        inner.handle_message(cx, from, message);
    }
}

/// Applies join data, and after them those that the same node sent before.
#[derive(Default)]
pub(crate) struct JoinDataSwapped {
    earlier: BTreeMap<NodeId, JoinData>,
}

impl Twist<PubSub> for JoinDataSwapped {
    fn handle_message(
        &mut self,
        inner: &mut PubSub,
        cx: &mut Context<'_, PubSubMessage>,
        from: &NodeId,
        message: &PubSubMessage,
    ) {
        inner.handle_message(cx, from, message);
        if let PubSubMessage::Join(join) = message
            && let Some(earlier) = self.earlier.insert(from.clone(), join.clone())
        {
            let (data, at) = (earlier.data, join.at + 1);
            let again = PubSubMessage::Join(JoinData { data, at });
            inner.handle_message(cx, from, &again);
        }
    }
}

/// Takes its third incarnation, and every later one, for the second.
#[derive(Default)]
pub(crate) struct IncarnationMiscounted;

impl Twist<OwnerBroadcast> for IncarnationMiscounted {
    fn handle_message(
        &mut self,
        inner: &mut OwnerBroadcast,
        cx: &mut Context<'_, OwnerBroadcastMessage>,
        from: &NodeId,
        message: &OwnerBroadcastMessage,
    ) {
        let (incarnation, rows) = (cx.incarnation().min(2), cx.local_data());
        if let OwnerBroadcastMessage::Ask = message {
            let rows = OwnerBroadcastMessage::Rows { incarnation, rows };
            return cx.send(std::slice::from_ref(from), Channel::SYNC, rows);
        }
        inner.handle_message(cx, from, message);
    }

    fn local_change(
        &mut self,
        inner: &mut OwnerBroadcast,
        cx: &mut Context<'_, OwnerBroadcastMessage>,
        fact: &Fact,
    ) {
        let incarnation = fact.incarnation.min(2);
        let fact = Fact {
            incarnation,
            ..fact.clone()
        };
        inner.local_change(cx, &fact);
    }
}

/// Of the changes of one instant, sends only the first.
#[derive(Default)]
pub(crate) struct SecondChangeLost {
    last: Option<Time>,
}

impl Twist<OwnerBroadcast> for SecondChangeLost {
    fn local_change(
        &mut self,
        inner: &mut OwnerBroadcast,
        cx: &mut Context<'_, OwnerBroadcastMessage>,
        fact: &Fact,
    ) {
        let now = cx.now();
        if self.last.replace(now) != Some(now) {
            return inner.local_change(cx, fact);
        }
        // The hub's own rows are those of started and stopped children already.
        let row = cx.registry().get(&fact.child).map(|row| row.to_row());
        if let Change::Restarted { pid } = &fact.change
            && let Some(row) = row
        {
            let me = cx.node().clone();
            cx.upsert_entry(&row.spec, &me, Some(pid), row.metadata_on(&me));
        }
    }
}

/// Remembers a reference for each message, for ever, and does not say so.
#[derive(Default)]
pub(crate) struct LeakUntold {
    references: Vec<Reference>,
}

impl Twist<Gossip> for LeakUntold {
    fn handle_message(
        &mut self,
        inner: &mut Gossip,
        cx: &mut Context<'_, GossipMessage>,
        from: &NodeId,
        message: &GossipMessage,
    ) {
        let reference = match message {
            GossipMessage::Propagate(propagation) => &propagation.reference,
            GossipMessage::Sync(round) | GossipMessage::Join(round) => &round.reference,
        };
        self.references.push(reference.clone());
        inner.handle_message(cx, from, message);
    }
}

/// Ignores new pids once it has been paused.
#[derive(Default)]
pub(crate) struct PidsIgnoredAfterPause {
    ticked: Time,
    has_been_paused: bool,
}

/// The time between two looks at the clock: one that comes late comes after a pause.
const TICK: Duration = Duration::from_millis(20);

impl Twist<OwnerBroadcast> for PidsIgnoredAfterPause {
    fn start(&mut self, inner: &mut OwnerBroadcast, cx: &mut Context<'_, OwnerBroadcastMessage>) {
        inner.start(cx);
        self.ticked = cx.now();
        cx.set_timer(0, TICK);
    }

    fn handle_timer(
        &mut self,
        _inner: &mut OwnerBroadcast,
        cx: &mut Context<'_, OwnerBroadcastMessage>,
        key: u64,
    ) {
        self.has_been_paused |= cx.now() > self.ticked.after(TICK);
        self.ticked = cx.now();
        cx.set_timer(key, TICK);
    }

    fn handle_message(
        &mut self,
        inner: &mut OwnerBroadcast,
        cx: &mut Context<'_, OwnerBroadcastMessage>,
        from: &NodeId,
        message: &OwnerBroadcastMessage,
    ) {
        if let OwnerBroadcastMessage::Change(fact) = message
            && let Change::Restarted { .. } = fact.change
            && self.has_been_paused
        {
            return;
        }
        inner.handle_message(cx, from, message);
    }
}
