//! PubSub with a twist: strategies of tests that are PubSub but for one thing.

use std::marker::PhantomData;
use std::time::Duration;

use hublab_strategies::pubsub::{JoinData, PubSub, PubSubConfig, PubSubMessage};
use hublab_strategies::strategy::{Claim, ConfigError, Variation};
use hublab_strategies::{Context, Members, NodeId, Requests, Snapshot, Strategy, Synchronization};

pub(crate) type Cx<'a> = Context<'a, PubSubMessage>;

/// What is other than in PubSub; by default, nothing is.
pub(crate) trait Twist: Send + 'static {
    const NAME: &'static str;
    const SUMMARY: &'static str;

    fn claims() -> &'static [Claim] {
        &[]
    }

    /// Called when a node is made.
    fn prepare() {}

    /// What a periodic round does.
    fn round(inner: &mut PubSub, cx: &mut Cx<'_>, cluster_nodes: &[NodeId]) {
        inner.init_sync(cx, cluster_nodes);
    }

    /// Applies the rows that a peer's round brings.
    fn synchronize(inner: &mut PubSub, cx: &mut Cx<'_>, data: &Snapshot, from: &NodeId) {
        inner.handle_synchronization(cx, data, from);
    }
}

/// PubSub with that twist.
pub(crate) struct Around<T> {
    inner: PubSub,
    twist: PhantomData<T>,
}

impl<T: Twist> Synchronization for Around<T> {
    type Message = PubSubMessage;
    type SyncData = Snapshot;
    type JoinData = JoinData;

    fn propagate(&mut self, cx: &mut Cx<'_>, requests: Requests, members: &Members) {
        self.inner.propagate(cx, requests, members);
    }

    fn init_sync(&mut self, cx: &mut Cx<'_>, cluster_nodes: &[NodeId]) {
        T::round(&mut self.inner, cx, cluster_nodes);
    }

    fn handle_synchronization(&mut self, cx: &mut Cx<'_>, data: &Snapshot, from: &NodeId) {
        T::synchronize(&mut self.inner, cx, data, from);
    }

    fn broadcast_local_data(&mut self, cx: &mut Cx<'_>, data: &Snapshot, to: &[NodeId]) {
        self.inner.broadcast_local_data(cx, data, to);
    }

    fn handle_node_join_data(&mut self, cx: &mut Cx<'_>, data: &JoinData, from: &NodeId) {
        self.inner.handle_node_join_data(cx, data, from);
    }

    fn broadcastable_local_data(&mut self, cx: &mut Cx<'_>) -> Option<Snapshot> {
        self.inner.broadcastable_local_data(cx)
    }

    fn handle_message(&mut self, cx: &mut Cx<'_>, from: &NodeId, message: &PubSubMessage) {
        match message {
            PubSubMessage::Sync(data) => self.handle_synchronization(cx, data, from),
            PubSubMessage::Requests(_) | PubSubMessage::Join(_) => {
                self.inner.handle_message(cx, from, message);
            }
        }
    }

    fn sync_interval(&self) -> Duration {
        self.inner.sync_interval()
    }
}

impl<T: Twist> Strategy for Around<T> {
    const NAME: &'static str = T::NAME;
    const SUMMARY: &'static str = T::SUMMARY;
    type Config = PubSubConfig;

    fn new(config: &PubSubConfig) -> Result<Self, ConfigError> {
        T::prepare();
        Ok(Self {
            inner: PubSub::new(config)?,
            twist: PhantomData,
        })
    }

    fn claims() -> &'static [Claim] {
        T::claims()
    }

    fn vary(config: &mut PubSubConfig, by: &Variation) -> &'static [&'static str] {
        PubSub::vary(config, by)
    }
}
