//! A mutant of low rate: `PubSub` that, once in a thousand rows that a round brings, takes one for
//! absent.

use std::time::Duration;

use hublab_strategies::context::Context;
use hublab_strategies::pubsub::{JoinData, PubSubMessage};
use hublab_strategies::strategy::{Claim, ConfigError};
use hublab_strategies::{
    Members, NodeId, PubSub, PubSubConfig, Requests, Snapshot, Strategy, Synchronization,
};

/// The strategy's name.
pub(crate) const NAME: &str = "leaky";

/// Rows taken in per row lost.
const RATE: u64 = 1_000;

pub(crate) struct Leaky(PubSub);

type Cx<'a> = Context<'a, PubSubMessage>;

impl Leaky {
    fn leaked(cx: &mut Cx<'_>, data: &Snapshot) -> Snapshot {
        let mut children = data.children().to_vec();
        children.retain(|_| !cx.random().is_multiple_of(RATE));
        Snapshot::new(children)
    }
}

impl Synchronization for Leaky {
    type Message = PubSubMessage;
    type SyncData = Snapshot;
    type JoinData = JoinData;

    fn propagate(&mut self, cx: &mut Cx<'_>, requests: Requests, members: &Members) {
        self.0.propagate(cx, requests, members);
    }

    fn init_sync(&mut self, cx: &mut Cx<'_>, cluster_nodes: &[NodeId]) {
        self.0.init_sync(cx, cluster_nodes);
    }

    fn handle_synchronization(&mut self, cx: &mut Cx<'_>, data: &Snapshot, from: &NodeId) {
        let leaked = Self::leaked(cx, data);
        self.0.handle_synchronization(cx, &leaked, from);
    }

    fn broadcast_local_data(&mut self, cx: &mut Cx<'_>, data: &Snapshot, to: &[NodeId]) {
        self.0.broadcast_local_data(cx, data, to);
    }

    fn handle_node_join_data(&mut self, cx: &mut Cx<'_>, data: &JoinData, from: &NodeId) {
        self.0.handle_node_join_data(cx, data, from);
    }

    fn handle_message(&mut self, cx: &mut Cx<'_>, from: &NodeId, message: &PubSubMessage) {
        match message {
            PubSubMessage::Sync(data) => self.handle_synchronization(cx, data, from),
            PubSubMessage::Requests(_) | PubSubMessage::Join(_) => {
                self.0.handle_message(cx, from, message);
            }
        }
    }

    fn sync_interval(&self) -> Duration {
        self.0.sync_interval()
    }
}

impl Strategy for Leaky {
    const NAME: &'static str = NAME;
    const SUMMARY: &'static str = "loses a row now and then";
    type Config = PubSubConfig;

    fn new(config: &PubSubConfig) -> Result<Self, ConfigError> {
        PubSub::new(config).map(Self)
    }

    fn claims() -> &'static [Claim] {
        &[]
    }
}
