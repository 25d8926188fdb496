//! PubSub with a bug of its own, under its own name.

use std::time::Duration;

use hublab_sim::catalog::Catalog;
use hublab_strategies::pubsub::{JoinData, PubSub, PubSubConfig, PubSubMessage};
use hublab_strategies::strategy::{Claim, ConfigError};
use hublab_strategies::{
    Context, LocalChild, Members, Metadata, NodeId, Requests, Snapshot, Strategy, Synchronization,
};

/// Rounds take out the last child of each snapshot.
const DROPS_LAST: u8 = 0;
/// Rounds add and never remove.
const NEVER_DETACHES: u8 = 1;
/// There are no rounds.
const NO_ROUNDS: u8 = 2;
/// Rounds bring metadata that nobody gave.
const GARBLES_METADATA: u8 = 3;

/// Each bug, with a catalog whose `pubsub` has it.
pub(crate) fn catalogs() -> [(&'static str, Catalog); 4] {
    let empty = Catalog::empty;
    [
        ("drops last", empty().with::<Faulty<DROPS_LAST>>()),
        ("never detaches", empty().with::<Faulty<NEVER_DETACHES>>()),
        ("no rounds", empty().with::<Faulty<NO_ROUNDS>>()),
        (
            "garbles metadata",
            empty().with::<Faulty<GARBLES_METADATA>>(),
        ),
    ]
}

struct Faulty<const BUG: u8>(PubSub);

type Cx<'a> = Context<'a, PubSubMessage>;

impl<const BUG: u8> Faulty<BUG> {
    fn misread(data: &Snapshot) -> Snapshot {
        let mut children: Vec<LocalChild> = data.children().to_vec();
        if BUG == DROPS_LAST {
            children.pop();
        } else if BUG == GARBLES_METADATA {
            for child in &mut children {
                child.metadata = Metadata::from_iter([("garbled", "yes")]);
            }
        }
        Snapshot::new(children)
    }
}

impl<const BUG: u8> Synchronization for Faulty<BUG> {
    type Message = PubSubMessage;
    type SyncData = Snapshot;
    type JoinData = JoinData;

    fn propagate(&mut self, cx: &mut Cx<'_>, requests: Requests, members: &Members) {
        self.0.propagate(cx, requests, members);
    }

    fn init_sync(&mut self, cx: &mut Cx<'_>, cluster_nodes: &[NodeId]) {
        if BUG != NO_ROUNDS {
            self.0.init_sync(cx, cluster_nodes);
        }
    }

    fn handle_synchronization(&mut self, cx: &mut Cx<'_>, data: &Snapshot, from: &NodeId) {
        let misread = Self::misread(data);
        cx.append_data(from, &misread);
        if BUG != NEVER_DETACHES {
            cx.detach_data(from, &misread);
        }
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

impl<const BUG: u8> Strategy for Faulty<BUG> {
    const NAME: &'static str = PubSub::NAME;
    const SUMMARY: &'static str = "PubSub with a bug";
    type Config = PubSubConfig;

    fn new(config: &PubSubConfig) -> Result<Self, ConfigError> {
        PubSub::new(config).map(Self)
    }

    fn claims() -> &'static [Claim] {
        PubSub::claims()
    }
}
