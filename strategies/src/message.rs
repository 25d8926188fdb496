//! The messages that strategies and membership send, and the channels that carry them.

use std::fmt::Debug;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use crate::child::Row;
use crate::contents::Contents;
use crate::name::{ChildId, NodeId};
use crate::wire;

/// A lane of messages between two nodes. On one directed pair and one ordered channel, messages
/// keep their order where the network is `fifo`; channels never wait for one another.
///
/// A strategy or membership may declare more beside the four of the ports; ids are small and
/// distinct within a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel {
    /// The id on the wire and in random streams.
    pub id: u8,
    /// The name in traces.
    pub name: &'static str,
    /// True if a `fifo` network keeps the order of its messages.
    pub ordered: bool,
}

impl Channel {
    /// Requests of every kind, and `hub.leave`.
    pub const REQUESTS: Self = Self {
        id: 0,
        name: "requests",
        ordered: true,
    };
    /// Periodic synchronization.
    pub const SYNC: Self = Self {
        id: 1,
        name: "sync",
        ordered: true,
    };
    /// Join data.
    pub const JOIN: Self = Self {
        id: 2,
        name: "join",
        ordered: true,
    };
    /// Membership: `hub.discovery`.
    pub const CONTROL: Self = Self {
        id: 3,
        name: "control",
        ordered: true,
    };
    /// All of these.
    pub const ALL: [Self; 4] = [Self::REQUESTS, Self::SYNC, Self::JOIN, Self::CONTROL];
}

/// The parts of a message's size, in bytes of the wire encoding, and what they are spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SizeModel {
    /// Bytes of everything that is not rows: references, timestamps, acknowledgements.
    pub header_bytes: u64,
    /// Bytes of rows.
    pub row_bytes: u64,
    /// Rows carried, requests counted as the rows they name.
    pub rows: u64,
    /// (node, pid) entries carried.
    pub entries: u64,
}

impl SizeModel {
    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.header_bytes + self.row_bytes
    }

    /// Adds the parts of another size.
    pub fn add(&mut self, other: Self) {
        self.header_bytes += other.header_bytes;
        self.row_bytes += other.row_bytes;
        self.rows += other.rows;
        self.entries += other.entries;
    }
}

/// A message between nodes.
pub trait Message: Debug + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Every kind that [`Self::kind`] may return.
    const KINDS: &'static [&'static str];

    /// The kind, for counters and traces: `pubsub.sync`. An open set; each message type adds its own.
    fn kind(&self) -> &'static str;

    /// The size of the encoding. The default encodes the message without storing it; override
    /// it where parts know their length already. A test must prove size = encoded length.
    fn size_model(&self) -> SizeModel {
        SizeModel {
            header_bytes: wire::encoded_len(self),
            ..SizeModel::default()
        }
    }

    /// The entries that it tells of, sent by `sender`; `None`, the default, if that is not told. Asked
    /// only where somebody reads the contents of messages, once for each message however many nodes
    /// it goes to. `trace`, `why` and the metric `redundant_rows` know of contents only what this
    /// says.
    fn entries(&self, sender: &NodeId) -> Option<Contents> {
        let _ = sender;
        None
    }

    /// Replaces what equals a part of a row by that part, so that comparing the two reads no text:
    /// `known` finds the row of a child. Called on long messages that arrived, by another thread
    /// than the one that will handle them. Nothing that can be told by `==` may change; the default
    /// does nothing.
    fn share(&mut self, known: &dyn Fn(&ChildId) -> Option<Arc<Row>>) {
        let _ = known;
    }
}
