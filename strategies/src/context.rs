//! [`Context`]: what a strategy sees of its node, and all it can do there.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::child::{ChildSpec, Entry, Metadata, Row};
use crate::message::Channel;
use crate::name::{ChildId, NodeId, Pid};
use crate::profile::Profile;
use crate::registry::Registry;
use crate::request::{Request, Requests};
use crate::runtime::{Event, Runtime, TimerKey};
use crate::snapshot::Snapshot;
use crate::state::NodeState;
use crate::time::{Time, WallTime};
use crate::view::View;

/// The mark of a request that ends the coordinator of the original: docs/protocol.md section 7.1.
pub const COORDINATOR_CRASHED: &str = "coordinator_crashed";

/// The mark of a snapshot that is not sent, because its node has not hosted a child yet.
pub const SUPPRESSED: &str = "snapshot_suppressed";

/// The last parts of marks that say, in the step that handles a message, that its entries are not taken:
/// `pubsub.stale_stamp` is one. `why` tells them as the reason.
pub const REFUSALS: [&str; 4] = [
    "stale_stamp",
    "invalidated",
    "not_a_member",
    "old_incarnation",
];

/// One node during one step, as its strategy sees it: the registry, the cluster, the clocks, and
/// the ways to change and to send. It exists for the length of a call.
///
/// ```
/// use std::time::Duration;
///
/// use hublab_strategies::{
///     ChildSpec, Context, Entry, LocalChild, Metadata, NodeId, NodeState, Profile, Recorder, Row, Snapshot,
/// };
///
/// let (me, peer) = (NodeId::from("n1"), NodeId::from("n2"));
/// let mut state = NodeState::new(me.clone(), 3, Duration::from_secs(60));
/// state.connect(&peer, 7);
/// let mut runtime = Recorder::<String>::new(1);
/// let mut cx = Context::new(&mut state, &mut runtime);
/// assert_eq!([&me, &peer].map(|node| cx.incarnation_of(node)), [Some(3), Some(7)]);
/// cx.set_profile(Profile::V05E2);
///
/// // A row as it is, and entries of a peer that are not there yet.
/// let spec = ChildSpec::new("web-1", "worker");
/// let child = spec.id().clone();
/// let entry = Entry { node: me.clone(), pid: Some("p1".into()) };
/// cx.put_row(Row {
///     spec: spec.clone(),
///     entries: [entry].into_iter().collect(),
///     metadata: Metadata::default(),
///     entry_metadata: Default::default(),
///     expires_at: None,
/// });
/// let of_peer = LocalChild { spec, pid: Some("p2".into()), metadata: Metadata::default() };
/// cx.add_missing(&peer, &Snapshot::new(vec![of_peer]));
/// let row = cx.registry().get(&child).expect("it was just put");
/// assert_eq!(row.pid_on(&peer), Some(Some(&"p2".into())));
///
/// // The view stays as it was while the context is changed.
/// let view = cx.shared_view();
/// cx.delete_row(&child);
/// assert!(cx.registry().get(&child).is_none());
/// assert_eq!(cx.view(), &**view);
/// ```
pub struct Context<'a, M> {
    state: &'a mut NodeState,
    runtime: &'a mut (dyn Runtime<M> + 'a),
}

impl<'a, M> Context<'a, M> {
    /// A context over a node's state and a runtime. The hub makes one for each call; a test of a
    /// strategy makes its own, over a [`NodeState`] and a [`crate::Recorder`].
    pub fn new(state: &'a mut NodeState, runtime: &'a mut (dyn Runtime<M> + 'a)) -> Self {
        Self { state, runtime }
    }

    /// This node.
    #[must_use]
    pub fn node(&self) -> &NodeId {
        self.state.node()
    }

    /// This node's incarnation: larger at each boot.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.state.incarnation()
    }

    /// The monotonic clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.runtime.now()
    }

    /// The wall clock, in microseconds. It may jump, back too.
    #[must_use]
    pub fn wall_clock(&self) -> WallTime {
        self.runtime.wall_clock()
    }

    /// The cluster view, in its order: `hub_nodes`. It normally holds this node.
    #[must_use]
    pub fn view(&self) -> &[NodeId] {
        self.state.view()
    }

    /// The cluster view, shared, for use while the context is changed.
    #[must_use]
    pub fn shared_view(&self) -> Arc<View> {
        self.state.shared_view()
    }

    /// The process group: the peers whose connection is up, by name, without this node. It is
    /// not the cluster view: a peer may be in one and not in the other.
    #[must_use]
    pub fn connected(&self) -> &[NodeId] {
        self.state.connected()
    }

    /// True if the connection to a peer is up.
    #[must_use]
    pub fn is_connected(&self, node: &NodeId) -> bool {
        self.state.is_connected(node)
    }

    /// The incarnation of a node: this one's own, or that of a peer's connection while it is up.
    #[must_use]
    pub fn incarnation_of(&self, node: &NodeId) -> Option<u64> {
        if node == self.node() {
            return Some(self.incarnation());
        }
        self.state.incarnation_of(node)
    }

    /// True if the cluster view has a node.
    #[must_use]
    pub fn is_member(&self, node: &NodeId) -> bool {
        self.state.is_member(node)
    }

    /// The registry.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        self.state.registry()
    }

    /// Adds the children of a snapshot of `node`: [`Registry::append_data`] of one node.
    pub fn append_data(&mut self, node: &NodeId, data: &Snapshot) {
        self.mutate(|registry, sink| registry.append_data(&[(node, data)], sink));
    }

    /// Adds entries of `node` that are missing, at the end of their rows, and changes nothing else:
    /// [`Registry::add_missing`] of one node.
    pub fn add_missing(&mut self, node: &NodeId, data: &Snapshot) {
        self.mutate(|registry, sink| registry.add_missing(node, data, sink));
    }

    /// Removes the children that a snapshot of `node` no longer lists: [`Registry::detach_data`] of
    /// one node.
    pub fn detach_data(&mut self, node: &NodeId, data: &Snapshot) {
        self.mutate(|registry, sink| registry.detach_data(&[(node, data)], sink));
    }

    /// Handles a list of requests on this node. The original runs them concurrently; here the order
    /// of two or more is drawn from the node's stream.
    pub fn handle_requests(&mut self, requests: &Requests) {
        let mut order: Vec<usize> = (0..requests.len()).collect();
        for last in (1..order.len()).rev() {
            let other = self.below(last + 1);
            order.swap(last, other);
        }
        for at in order {
            self.handle_request(&requests[at]);
        }
    }

    /// Lets the registry follow the rules of another profile, for as long as the node runs.
    pub fn set_profile(&mut self, profile: Profile) {
        self.state.set_profile(profile);
    }

    fn handle_request(&mut self, request: &Request) {
        if let Request::PidUpdate { child, .. } = request
            && self.registry().refuses_pid_update(child)
        {
            // The original's coordinator ends there, and is started anew (anomaly A16).
            self.mark(COORDINATOR_CRASHED);
            return;
        }
        let expiry = self.now().after(self.state.tombstone_ttl());
        self.mutate(|registry, sink| match request {
            Request::Register(rows) => registry.register(rows, sink),
            Request::Unregister(rows) => registry.unregister(rows, expiry, sink),
            Request::PidUpdate { child, node, pid } => {
                registry.pid_update(child, node, pid.as_ref(), sink)
            }
        });
    }

    /// For strategies with rules of their own: [`Registry::upsert`].
    pub fn upsert(
        &mut self,
        spec: &ChildSpec,
        node: &NodeId,
        pid: Option<&Pid>,
        metadata: &Metadata,
    ) {
        let entry = Entry {
            node: node.clone(),
            pid: pid.cloned(),
        };
        self.mutate(|registry, sink| registry.upsert(spec, entry, metadata, sink));
    }

    /// For strategies that keep metadata per entry: [`Registry::upsert_entry`].
    pub fn upsert_entry(
        &mut self,
        spec: &ChildSpec,
        node: &NodeId,
        pid: Option<&Pid>,
        metadata: &Metadata,
    ) {
        let entry = Entry {
            node: node.clone(),
            pid: pid.cloned(),
        };
        self.mutate(|registry, sink| registry.upsert_entry(spec, entry, metadata, sink));
    }

    /// For strategies with rules of their own: [`Registry::remove`].
    pub fn remove(&mut self, child: &ChildId, node: &NodeId) {
        self.mutate(|registry, sink| registry.remove(child, node, sink));
    }

    /// For strategies with rules of their own: [`Registry::put`], a row as it is, entries in their
    /// order, with metadata of their own if they have any.
    pub fn put_row(&mut self, row: Row) {
        self.mutate(|registry, sink| registry.put(row, sink));
    }

    /// For strategies with rules of their own: [`Registry::delete_row`].
    pub fn delete_row(&mut self, child: &ChildId) {
        self.mutate(|registry, sink| registry.delete_row(child, sink));
    }

    fn mutate(&mut self, change: impl FnOnce(&mut Registry, crate::registry::Sink<'_>)) {
        let Self { state, runtime } = self;
        state.mutate(change, |event| runtime.emit(event));
    }

    /// Sends one message to each of these nodes, in this order; nothing if there are none.
    pub fn send(&mut self, to: &[NodeId], channel: Channel, message: M) {
        if !to.is_empty() {
            self.runtime.send(to, channel, message);
        }
    }

    /// Sends one message to those of these nodes whose connection is up, in this order. It never
    /// connects: should a connection be lost that this node still takes for up, nothing is sent.
    pub fn send_connected(&mut self, to: &[NodeId], channel: Channel, message: M) {
        let to: Vec<_> = to
            .iter()
            .filter(|node| self.is_connected(node))
            .cloned()
            .collect();
        if !to.is_empty() {
            self.runtime.send_connected(&to, channel, message);
        }
    }

    /// Sets the strategy's timer `key` to fire once after `delay`, replacing the one of that key.
    pub fn set_timer(&mut self, key: u64, delay: Duration) {
        self.runtime.set_timer(TimerKey::Strategy(key), delay);
    }

    /// Cancels the strategy's timer `key`, if it is set.
    pub fn cancel_timer(&mut self, key: u64) {
        self.runtime.cancel_timer(TimerKey::Strategy(key));
    }

    /// Chooses `count` of these, uniformly and without repetition. If there are no more than
    /// `count`, all are taken, in the order of the list and without a draw.
    #[must_use]
    pub fn choose(&mut self, candidates: &[NodeId], count: usize) -> Vec<NodeId> {
        let mut order: SmallVec<[&NodeId; 128]> = candidates.iter().collect();
        if order.len() > count {
            for place in 0..count {
                let other = place + self.below(order.len() - place);
                order.swap(place, other);
            }
            order.truncate(count);
        }
        order.into_iter().cloned().collect()
    }

    /// The next draw of this node's own stream, uniform over 64 bits.
    #[must_use]
    pub fn random(&mut self) -> u64 {
        self.runtime.random()
    }

    /// A draw below `bound`, which is at least 1. Its bias is under `bound` / 2^64.
    fn below(&mut self, bound: usize) -> usize {
        let scaled = (u128::from(self.runtime.random()) * bound as u128) >> 64;
        usize::try_from(scaled).expect("less than the bound, which is a usize")
    }

    /// Marks a branch worth counting, like `gossip.round_finished`, or why a message is refused: see
    /// [`REFUSALS`]. Nothing depends on it.
    pub fn mark(&mut self, branch: &'static str) {
        self.runtime.emit(Event::Mark(branch));
    }

    /// The snapshot of this node: every row of the registry with an entry of it. It is shared until
    /// a local row changes.
    #[must_use]
    pub fn local_data(&mut self) -> Snapshot {
        self.state.local_data()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::recorder::{Effect, Recorder};

    fn names(nodes: &[&str]) -> Vec<NodeId> {
        nodes.iter().map(|node| NodeId::new(node)).collect()
    }

    fn with_context<T>(
        recorder: &mut Recorder<()>,
        call: impl FnOnce(&mut Context<'_, ()>) -> T,
    ) -> T {
        let mut state = NodeState::new("n1".into(), 1, Duration::from_secs(30));
        call(&mut Context::new(&mut state, recorder))
    }

    #[test]
    fn few_enough_candidates_are_all_taken_in_order_and_without_a_draw() {
        let mut recorder = Recorder::default();
        let all = names(&["b", "a", "c"]);
        assert_eq!(with_context(&mut recorder, |cx| cx.choose(&all, 3)), all);
        assert_eq!(recorder.draws, 0);
    }

    #[test]
    fn every_choice_of_two_of_four_comes_up_and_repeats_nobody() {
        let all = names(&["a", "b", "c", "d"]);
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let chosen = with_context(&mut Recorder::new(seed), |cx| cx.choose(&all, 2));
            assert!(chosen.len() == 2 && chosen[0] != chosen[1]);
            seen.insert(chosen);
        }
        assert_eq!(seen.len(), 12);
    }

    #[test]
    fn the_order_of_several_requests_is_drawn_and_that_of_one_is_not() {
        let put = |child: &str| {
            let (spec, entries, metadata) = (
                ChildSpec::new(child, ""),
                Default::default(),
                Metadata::default(),
            );
            Request::Register(vec![crate::request::Registration {
                spec,
                entries,
                metadata,
            }])
        };
        let order = |recorder: &mut Recorder<()>, requests: Requests| {
            with_context(recorder, |cx| cx.handle_requests(&requests));
            let child = |effect| {
                let Effect::Emit(Event::Row(row)) = effect else {
                    panic!("only rows change: {effect:?}")
                };
                row.child.to_string()
            };
            recorder.take().into_iter().map(child).collect::<String>()
        };
        let mut recorder = Recorder::default();
        assert_eq!(order(&mut recorder, [put("a")].into()), "a");
        assert_eq!(recorder.draws, 0);
        let all = |seed| {
            order(
                &mut Recorder::new(seed),
                [put("a"), put("b"), put("c")].into(),
            )
        };
        let seen: BTreeSet<_> = (0..100).map(all).collect();
        assert_eq!(seen.len(), 6);
    }
}
