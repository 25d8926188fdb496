//! What the handles of a hub and its task both hold.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::Counters;
use super::children::StopReason;
use super::error::TooLarge;
use super::events::{Fanout, HubEvent};
use super::mirror::Mirror;
use super::stats::{Ends, HubStats, Tally};
use super::tcp::{Limits, Secret, SecretsError, TcpTransport};
use super::transport::Transport;
use crate::child::{ChildSpec, Metadata, Row, RowChange};
use crate::fact::{Change, Fact};
use crate::name::{NodeId, Pid};
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
    carrier: Carrier,
}

/// What carries the messages of a hub, as far as handles ask it.
pub(super) enum Carrier {
    /// The transport, and the same one again if it is the one over TCP.
    Live(Arc<dyn Transport>, Option<Arc<TcpTransport>>),
    /// A simulated run: the peers that the node knows to be connected.
    Run(RwLock<BTreeSet<NodeId>>),
}

impl Carrier {
    fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Live(transport, _) => transport.local_addr(),
            Self::Run(_) => None,
        }
    }
}

impl Shared {
    pub(super) fn new(
        hub_id: String,
        node: NodeId,
        incarnation: u64,
        carrier: Carrier,
        sizes: ChildSizes,
    ) -> Self {
        Self {
            hub_id,
            members: RwLock::new([node.clone()].into()),
            node,
            incarnation,
            address: carrier.local_addr().unwrap_or(NO_ADDRESS),
            mirror: Mirror::new(),
            fanout: Fanout::default(),
            tally: Mutex::default(),
            ends: Ends::default(),
            sizes,
            carrier,
        }
    }

    /// Replaces the secrets of the transport.
    pub(super) fn set_secrets(&self, secrets: Vec<Secret>) -> Result<(), SecretsError> {
        match &self.carrier {
            Carrier::Live(_, Some(tcp)) => tcp.set_secrets(secrets),
            Carrier::Live(_, None) | Carrier::Run(_) => Err(SecretsError::NotUsed),
        }
    }

    fn set_members(&self, members: Vec<NodeId>) {
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
        match &self.carrier {
            Carrier::Live(transport, _) => transport.connect(node, Some(address)),
            // Nodes of a run know one another.
            Carrier::Run(_) => {}
        }
    }

    /// The peers whose connection is up.
    pub(super) fn connected(&self) -> Vec<NodeId> {
        match &self.carrier {
            Carrier::Live(transport, _) => transport.connected(),
            Carrier::Run(peers) => {
                let peers = peers.read().unwrap_or_else(PoisonError::into_inner);
                peers.iter().cloned().collect()
            }
        }
    }

    /// All rows with entries: in no order, but by id in a run.
    pub(super) fn rows(&self) -> Vec<Arc<Row>> {
        let mut rows = self.mirror.rows();
        match &self.carrier {
            Carrier::Live(..) => {}
            Carrier::Run(_) => rows.sort_unstable_by(|a, b| a.spec.id().cmp(b.spec.id())),
        }
        rows
    }

    /// A connection of a run came up or is gone.
    pub(super) fn set_connected(&self, node: &NodeId, is_up: bool) {
        if let Carrier::Run(peers) = &self.carrier {
            let mut peers = peers.write().unwrap_or_else(PoisonError::into_inner);
            if is_up {
                peers.insert(node.clone());
            } else {
                peers.remove(node);
            }
        }
    }

    /// A row of the registry changed: a look-up answers so from now on. Returns what readers are
    /// told, if they are told of it.
    pub(super) fn row_changed(&self, change: RowChange, is_told: bool) -> Option<HubEvent> {
        let RowChange { child, after, .. } = change;
        let after = after.filter(|row| !row.is_empty()).map(Arc::from);
        let before = self.mirror.put(&child, after.as_ref());
        let is_change = before.is_some() || after.is_some();
        (is_told && is_change).then_some(HubEvent::Row {
            child,
            before,
            after,
        })
    }

    /// The cluster view changed. Returns what readers are told.
    pub(super) fn view_changed(&self, nodes: Vec<NodeId>) -> HubEvent {
        self.set_members(nodes.clone());
        HubEvent::Members(nodes)
    }

    /// The children of this node changed; one that stopped, for this reason. Returns what readers are
    /// told.
    pub(super) fn children_changed(
        &self,
        fact: Fact,
        reason: impl FnOnce(&Pid) -> StopReason,
    ) -> HubEvent {
        let child = fact.child;
        match fact.change {
            Change::Started { pid, metadata, .. } => HubEvent::ChildStarted {
                child,
                pid,
                metadata,
            },
            Change::Restarted { pid } => HubEvent::ChildRestarted { child, pid },
            Change::Stopped { pid } => {
                let reason = reason(&pid);
                self.ends.note(&child, reason.clone());
                HubEvent::ChildEnded { child, pid, reason }
            }
        }
    }

    pub(super) fn stats(&self) -> HubStats {
        let transport = match &self.carrier {
            Carrier::Live(transport, _) => transport.counters(),
            Carrier::Run(_) => Counters::default(),
        };
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
