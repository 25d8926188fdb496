//! The cross-node requests that `propagate` carries (docs/protocol.md section 2).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::child::{ChildSpec, Metadata};
use crate::contents::Contents;
use crate::entries::Entries;
use crate::message::SizeModel;
use crate::name::{ChildId, NodeId, Pid};
use crate::wire;

/// A list of requests, shared: it is handed to many nodes.
pub type Requests = Arc<[Request]>;

/// One request. The requests of a list are handled concurrently by their receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Put these rows in (`PidsRegister`).
    Register(Vec<Registration>),
    /// Take these nodes out of these rows (`PidsUnregister`). Pids are not compared.
    Unregister(Vec<Unregistration>),
    /// One child has a new pid on one node (`PidUpdate`).
    PidUpdate {
        /// The child.
        child: ChildId,
        /// The node it runs on.
        node: NodeId,
        /// Its new pid.
        pid: Option<Pid>,
    },
}

/// One row of a [`Request::Register`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The child's specification, with its id.
    pub spec: ChildSpec,
    /// Where it runs.
    pub entries: Entries,
    /// Its metadata.
    pub metadata: Metadata,
}

/// One row of a [`Request::Unregister`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unregistration {
    /// The child.
    pub child: ChildId,
    /// The nodes whose entries go.
    pub nodes: Vec<NodeId>,
}

/// The size of a list of requests as part of a message.
#[must_use]
pub(crate) fn requests_size(requests: &Requests) -> SizeModel {
    let mut size = SizeModel {
        row_bytes: wire::encoded_len(requests),
        ..SizeModel::default()
    };
    for request in requests.iter() {
        let (rows, entries) = match request {
            Request::Register(rows) => (rows.len(), rows.iter().map(|row| row.entries.len()).sum()),
            Request::Unregister(rows) => (rows.len(), rows.iter().map(|row| row.nodes.len()).sum()),
            Request::PidUpdate { .. } => (1, 1),
        };
        size.rows += rows as u64;
        size.entries += entries as u64;
    }
    size
}

/// The entries that a list of requests tells of.
#[must_use]
pub(crate) fn requests_contents(requests: &Requests) -> Contents {
    let mut entries = Vec::new();
    for request in requests.iter() {
        match request {
            Request::Register(rows) => entries.extend(rows.iter().flat_map(|row| {
                let nodes = row.entries.iter().map(|entry| &entry.node);
                nodes.map(|node| (row.spec.id(), node))
            })),
            Request::Unregister(rows) => entries.extend(
                rows.iter()
                    .flat_map(|row| row.nodes.iter().map(|node| (&row.child, node))),
            ),
            Request::PidUpdate { child, node, .. } => entries.push((child, node)),
        }
    }
    Contents::of_entries(entries)
}

/// The nodes that a propagation addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Members {
    /// Every member of the process group, the sender too.
    #[default]
    Global,
    /// The sender alone.
    Local,
    /// Every member but the sender.
    External,
    /// These nodes.
    Nodes(Vec<NodeId>),
}

impl Members {
    /// True if the node that propagates is addressed itself.
    #[must_use]
    pub fn include_sender(&self, sender: &NodeId) -> bool {
        match self {
            Self::Global | Self::Local => true,
            Self::External => false,
            Self::Nodes(nodes) => nodes.contains(sender),
        }
    }
}
