//! What the handles of a hub and its task both hold.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::events::Fanout;
use super::mirror::Mirror;
use super::stats::{Ends, HubStats, Tally};
use super::transport::Transport;
use crate::name::NodeId;

/// The address of a hub whose transport has none.
const NO_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Everything that can be asked without waiting for the hub's task.
pub(super) struct Shared {
    pub(super) hub_id: String,
    pub(super) node: NodeId,
    pub(super) incarnation: u64,
    pub(super) address: SocketAddr,
    pub(super) mirror: Mirror,
    pub(super) fanout: Fanout,
    pub(super) tally: Mutex<Tally>,
    pub(super) ends: Ends,
    members: RwLock<Arc<[NodeId]>>,
    transport: Arc<dyn Transport>,
}

impl Shared {
    pub(super) fn new(
        hub_id: String,
        node: NodeId,
        incarnation: u64,
        transport: Arc<dyn Transport>,
    ) -> Self {
        Self {
            hub_id,
            members: RwLock::new([node.clone()].into()),
            node,
            incarnation,
            address: transport.local_addr().unwrap_or(NO_ADDRESS),
            mirror: Mirror::new(),
            fanout: Fanout::default(),
            tally: Mutex::default(),
            ends: Ends::default(),
            transport,
        }
    }

    pub(super) fn set_members(&self, members: Vec<NodeId>) {
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = members.into();
    }

    pub(super) fn members(&self) -> Vec<NodeId> {
        self.members
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .to_vec()
    }

    /// Takes note of where a node may be found.
    pub(super) fn introduce(&self, node: &NodeId, address: &str) {
        self.transport.connect(node, Some(address));
    }

    /// The peers whose connection is up.
    pub(super) fn connected(&self) -> Vec<NodeId> {
        self.transport.connected()
    }

    pub(super) fn stats(&self) -> HubStats {
        let transport = self.transport.counters();
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        HubStats {
            rows: self.mirror.len(),
            sizes: tally.sizes,
            children: tally.children,
            restarts: tally.restarts,
            requests: tally.requests,
            messages: tally.messages.clone(),
            unsent: tally.unsent,
            malformed: tally.malformed,
            reconnects: tally.reconnects,
            transport,
        }
    }
}
