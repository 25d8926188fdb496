//! [`Synchronization`]: a strategy in the form of the original, as six operations.

use std::time::Duration;

use crate::context::Context;
use crate::message::Message;
use crate::name::NodeId;
use crate::request::{Members, Requests};
use crate::snapshot::Snapshot;
use crate::strategy::EventStrategy;
use crate::time::Time;

/// The six operations of `ProcessHub.Strategy.Synchronization.Base`, under their own names, and what
/// the ports need beside them. Every implementor is an [`EventStrategy`]: the hub's events call the
/// operations.
///
/// | event | operations |
/// | --- | --- |
/// | `start` | `init` |
/// | `propagate` | `propagate` |
/// | `round` | `init_sync` with the view, if `broadcastable_local_data` has data |
/// | `nodes_joining` | `broadcast_local_data` with those data, if it has any |
/// | `handle_message` | `handle_message`, which hands on to `handle_synchronization` or `handle_node_join_data` |
pub trait Synchronization: Send + 'static {
    /// Its messages.
    type Message: Message;
    /// The data of a round, which [`Self::handle_synchronization`] takes.
    type SyncData;
    /// The data for a joiner, which [`Self::handle_node_join_data`] takes.
    type JoinData;

    /// Called once, when the hub starts.
    fn init(&mut self, _cx: &mut Context<'_, Self::Message>) {}

    /// Spreads requests over the cluster.
    fn propagate(
        &mut self,
        cx: &mut Context<'_, Self::Message>,
        requests: Requests,
        members: &Members,
    );

    /// Starts a periodic round; `cluster_nodes` is the cluster view, this node included.
    fn init_sync(&mut self, cx: &mut Context<'_, Self::Message>, cluster_nodes: &[NodeId]);

    /// Applies what a periodic round brought from `remote_node`.
    fn handle_synchronization(
        &mut self,
        cx: &mut Context<'_, Self::Message>,
        remote_data: &Self::SyncData,
        remote_node: &NodeId,
    );

    /// Sends this node's data to nodes about to join the view.
    fn broadcast_local_data(
        &mut self,
        cx: &mut Context<'_, Self::Message>,
        local_data: &Snapshot,
        target_nodes: &[NodeId],
    );

    /// Applies what [`Self::broadcast_local_data`] of `remote_node` sent.
    fn handle_node_join_data(
        &mut self,
        cx: &mut Context<'_, Self::Message>,
        remote_data: &Self::JoinData,
        remote_node: &NodeId,
    );

    /// The guard of rounds and joins: this node's snapshot, or `None` if there shall be none. The
    /// default always has one.
    fn broadcastable_local_data(
        &mut self,
        cx: &mut Context<'_, Self::Message>,
    ) -> Option<Snapshot> {
        Some(cx.local_data())
    }

    /// Hands an arriving message to the operation it is for.
    fn handle_message(
        &mut self,
        cx: &mut Context<'_, Self::Message>,
        from: &NodeId,
        message: &Self::Message,
    );

    /// The time between periodic rounds.
    fn sync_interval(&self) -> Duration;

    /// The strategy's name, a space, and its parameters as text: see
    /// [`EventStrategy::fingerprint`].
    fn fingerprint(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }

    /// The janitor runs: forget private state that expired at or before `now`.
    fn purge(&mut self, _now: Time) {}

    /// The number of references (rounds, propagations) that the strategy remembers.
    fn refs(&self) -> usize {
        0
    }

    /// The bytes of what the strategy keeps beside the registry: see [`EventStrategy::state_bytes`].
    fn state_bytes(&self) -> u64 {
        0
    }
}

impl<S: Synchronization> EventStrategy for S {
    type Message = S::Message;

    fn start(&mut self, cx: &mut Context<'_, S::Message>) {
        self.init(cx);
    }

    fn handle_message(
        &mut self,
        cx: &mut Context<'_, S::Message>,
        from: &NodeId,
        message: &S::Message,
    ) {
        Synchronization::handle_message(self, cx, from, message);
    }

    fn propagate(
        &mut self,
        cx: &mut Context<'_, S::Message>,
        requests: Requests,
        members: &Members,
    ) {
        Synchronization::propagate(self, cx, requests, members);
    }

    fn round(&mut self, cx: &mut Context<'_, S::Message>) {
        if self.broadcastable_local_data(cx).is_some() {
            let view = cx.shared_view();
            self.init_sync(cx, &view);
        }
    }

    fn round_interval(&self) -> Option<Duration> {
        Some(self.sync_interval())
    }

    fn nodes_joining(&mut self, cx: &mut Context<'_, S::Message>, nodes: &[NodeId]) {
        if let Some(data) = self.broadcastable_local_data(cx) {
            self.broadcast_local_data(cx, &data, nodes);
        }
    }

    fn fingerprint(&self) -> String {
        Synchronization::fingerprint(self)
    }

    fn purge(&mut self, now: Time) {
        Synchronization::purge(self, now);
    }

    fn refs(&self) -> usize {
        Synchronization::refs(self)
    }

    fn state_bytes(&self) -> u64 {
        Synchronization::state_bytes(self)
    }
}
