//! What the handles of a hub and its task both hold.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::error::TooLarge;
use super::events::Fanout;
use super::mirror::Mirror;
use super::stats::{Ends, HubStats, Tally};
use super::tcp::{Limits, Secret, SecretsError, TcpTransport};
use super::transport::Transport;
use crate::child::{ChildSpec, Metadata};
use crate::name::NodeId;
use crate::wire;

/// The address of a hub whose transport has none.
const NO_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The largest children that are started.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChildSizes {
    id: usize,
    spec: usize,
    metadata: usize,
}

impl ChildSizes {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            id: limits.child_id_bytes,
            spec: limits.spec_bytes,
            metadata: limits.metadata_bytes,
        }
    }

    /// Checks a child before anybody is asked to start it.
    pub(super) fn check(&self, spec: &ChildSpec, metadata: &Metadata) -> Result<(), TooLarge> {
        let parts = [
            ("id", spec.id().as_str().len() as u64, self.id),
            ("specification", wire::encoded_len(spec), self.spec),
            ("metadata", wire::encoded_len(metadata), self.metadata),
        ];
        for (what, bytes, max) in parts {
            let max = max as u64;
            if bytes > max {
                return Err(TooLarge { what, bytes, max });
            }
        }
        Ok(())
    }
}

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
    /// What children may be as large as.
    pub(super) sizes: ChildSizes,
    transport: Arc<dyn Transport>,
    /// The same transport, if it is the one over TCP.
    tcp: Option<Arc<TcpTransport>>,
}

impl Shared {
    pub(super) fn new(
        hub_id: String,
        node: NodeId,
        incarnation: u64,
        transport: Arc<dyn Transport>,
        tcp: Option<Arc<TcpTransport>>,
        sizes: ChildSizes,
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
            sizes,
            transport,
            tcp,
        }
    }

    /// Replaces the secrets of the transport.
    pub(super) fn set_secrets(&self, secrets: Vec<Secret>) -> Result<(), SecretsError> {
        let tcp = self.tcp.as_ref().ok_or(SecretsError::NotUsed)?;
        tcp.set_secrets(secrets)
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
