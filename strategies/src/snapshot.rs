//! A node's local synchronization data: what it says it hosts.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::child::{ChildSpec, Metadata};
use crate::message::SizeModel;
use crate::name::Pid;
use crate::wire;

/// One child of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalChild {
    /// How to start it, with its id.
    pub spec: ChildSpec,
    /// Its pid on the node that took the snapshot; absent only in hand-made data.
    pub pid: Option<Pid>,
    /// Its metadata.
    pub metadata: Metadata,
}

/// The rows of one node that have an entry for that node: shared, immutable, and aware of the
/// length of its encoding, because gossip ships one snapshot thousands of times.
#[derive(Debug, Clone)]
pub struct Snapshot(Arc<Fields>);

#[derive(Debug)]
struct Fields {
    children: Box<[LocalChild]>,
    encoded_len: OnceLock<u64>,
}

impl Snapshot {
    /// A snapshot of these children, in this order.
    #[must_use]
    pub fn new(children: Vec<LocalChild>) -> Self {
        Self(Arc::new(Fields {
            children: children.into(),
            encoded_len: OnceLock::new(),
        }))
    }

    /// The children, in the order in which they were listed.
    #[must_use]
    pub fn children(&self) -> &[LocalChild] {
        &self.0.children
    }

    /// Whether the node hosts nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.children.is_empty()
    }

    /// The length of the wire encoding in bytes, computed on first use.
    #[must_use]
    pub fn encoded_len(&self) -> u64 {
        *self
            .0
            .encoded_len
            .get_or_init(|| wire::encoded_len(&self.0.children))
    }

    /// Its part in the size of a message: one entry per row.
    #[must_use]
    pub fn size_model(&self) -> SizeModel {
        let rows = self.children().len() as u64;
        SizeModel {
            header_bytes: 0,
            row_bytes: self.encoded_len(),
            rows,
            entries: rows,
        }
    }
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.children == other.0.children
    }
}

impl Eq for Snapshot {}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.children.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::new)
    }
}
