//! The messages of Gossip. Every part that many messages repeat is shared and knows its encoded
//! length: one round ships one snapshot thousands of times.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::child::Row;
use crate::contents::{Contents, Listed};
use crate::gossip::acks::Acks;
use crate::message::{Message, SizeModel};
use crate::name::{ChildId, NodeId};
use crate::request::{Requests, requests_contents, requests_size};
use crate::snapshot::Snapshot;
use crate::time::WallTime;
use crate::wire;

/// The messages of Gossip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GossipMessage {
    /// Requests on their way through the cluster.
    Propagate(Propagation),
    /// A periodic round.
    Sync(Round),
    /// A round started for nodes that join.
    Join(Round),
}

/// Requests on their way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Propagation {
    /// Names the propagation.
    pub reference: Reference,
    /// The nodes that handled it, as far as the sender knows.
    pub acks: Acks,
    /// The requests.
    pub requests: SharedRequests,
}

/// A round: the data collected, and who applied them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Names the round.
    pub reference: Reference,
    /// The data of each node known so far.
    pub data: NodesData,
    /// The nodes that applied them, as far as the sender knows.
    pub acks: Acks,
}

impl Message for GossipMessage {
    const KINDS: &'static [&'static str] = &["gossip.propagate", "gossip.sync", "gossip.join"];

    fn kind(&self) -> &'static str {
        match self {
            Self::Propagate(_) => "gossip.propagate",
            Self::Sync(_) => "gossip.sync",
            Self::Join(_) => "gossip.join",
        }
    }

    fn size_model(&self) -> SizeModel {
        let (reference, acks, body) = match self {
            Self::Propagate(message) => (
                &message.reference,
                &message.acks,
                message.requests.size_model(),
            ),
            Self::Sync(round) | Self::Join(round) => {
                (&round.reference, &round.acks, round.data.size_model())
            }
        };
        // One byte names the variant.
        let header_bytes = 1 + reference.encoded_len() + acks.encoded_len() + body.header_bytes;
        SizeModel {
            header_bytes,
            ..body
        }
    }

    fn entries(&self, _sender: &NodeId) -> Option<Contents> {
        Some(match self {
            Self::Propagate(message) => message.requests.contents(),
            Self::Sync(round) | Self::Join(round) => round.data.contents(),
        })
    }

    fn share(&mut self, known: &dyn Fn(&ChildId) -> Option<Arc<Row>>) {
        match self {
            Self::Propagate(_) => {}
            Self::Sync(round) | Self::Join(round) => round.data.share(known),
        }
    }
}

/// The name of a propagation or round: its originator, which boot of it, and a count. It is unique
/// by construction, costs no draw, and is compared count first, which nearly always decides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reference {
    /// Counts the references that the originator made in this incarnation, from 1.
    pub number: u64,
    /// The originator's incarnation.
    pub incarnation: u64,
    /// The originator.
    pub origin: NodeId,
}

impl Reference {
    pub(super) fn encoded_len(&self) -> u64 {
        wire::varint_len(self.number)
            + wire::varint_len(self.incarnation)
            + wire::text_len(self.origin.as_str())
    }
}

/// The data of one node in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimestampedSnapshot {
    /// Its snapshot; `None` if it suppressed it, because it never hosted a child.
    pub data: Option<Snapshot>,
    /// Its wall clock then, in microseconds.
    pub at: WallTime,
}

/// The data of some nodes, at most one per node, ascending by name; shared.
#[derive(Debug, Clone)]
pub struct NodesData(Arc<NodesFields>);

#[derive(Debug)]
struct NodesFields {
    nodes: Box<[(NodeId, TimestampedSnapshot)]>,
    size: OnceLock<SizeModel>,
    contents: OnceLock<Contents>,
}

impl NodesData {
    /// The data of these nodes, in any order; of several for one node the last counts.
    #[must_use]
    pub fn new(mut nodes: Vec<(NodeId, TimestampedSnapshot)>) -> Self {
        if !nodes.is_sorted_by(|(a, _), (b, _)| a < b) {
            nodes.sort_by(|(a, _), (b, _)| a.cmp(b));
            nodes.reverse();
            nodes.dedup_by(|(a, _), (b, _)| a == b);
            nodes.reverse();
        }
        Self(Arc::new(NodesFields {
            nodes: nodes.into(),
            size: OnceLock::new(),
            contents: OnceLock::new(),
        }))
    }

    /// The nodes and their data.
    #[must_use]
    pub fn nodes(&self) -> &[(NodeId, TimestampedSnapshot)] {
        &self.0.nodes
    }

    /// The same with another entry for `node`.
    #[must_use]
    pub fn with(&self, node: &NodeId, stamped: TimestampedSnapshot) -> Self {
        let mut nodes = self.nodes().to_vec();
        match nodes.binary_search_by(|(other, _)| other.cmp(node)) {
            Ok(at) => nodes[at].1 = stamped,
            Err(at) => nodes.insert(at, (node.clone(), stamped)),
        }
        Self::new(nodes)
    }

    /// Both, node by node: `newer` replaces an entry of this only with a strictly later timestamp.
    #[must_use]
    pub fn merge(&self, newer: &Self) -> Self {
        let mut merged = Vec::with_capacity(self.nodes().len().max(newer.nodes().len()));
        let mut theirs = newer.nodes().iter().peekable();
        for ours in self.nodes() {
            while let Some(other) = theirs.next_if(|other| other.0 < ours.0) {
                merged.push(other.clone());
            }
            let same = theirs.next_if(|other| other.0 == ours.0);
            merged.push(
                same.filter(|other| other.1.at > ours.1.at)
                    .unwrap_or(ours)
                    .clone(),
            );
        }
        merged.extend(theirs.cloned());
        Self::new(merged)
    }

    /// [`Snapshot::share`] of each.
    fn share(&mut self, known: &dyn Fn(&ChildId) -> Option<Arc<Row>>) {
        let Some(fields) = Arc::get_mut(&mut self.0) else {
            return;
        };
        for (_, stamped) in &mut fields.nodes {
            if let Some(data) = &mut stamped.data {
                data.share(known);
            }
        }
    }

    fn contents(&self) -> Contents {
        let listed = |(node, stamped): &(NodeId, TimestampedSnapshot)| {
            let children = Arc::clone(stamped.data.as_ref()?.names());
            let node = node.clone();
            Some(Listed { node, children })
        };
        let contents = || Contents::new(self.nodes().iter().filter_map(listed).collect());
        self.0.contents.get_or_init(contents).clone()
    }

    pub(super) fn size_model(&self) -> SizeModel {
        *self.0.size.get_or_init(|| {
            let mut size = SizeModel {
                header_bytes: wire::varint_len(self.nodes().len() as u64),
                ..SizeModel::default()
            };
            for (node, stamped) in self.nodes() {
                // One byte says whether there is a snapshot.
                size.header_bytes +=
                    wire::text_len(node.as_str()) + 1 + wire::varint_len(stamped.at);
                if let Some(data) = &stamped.data {
                    size.add(data.size_model());
                }
            }
            size
        })
    }
}

impl PartialEq for NodesData {
    fn eq(&self, other: &Self) -> bool {
        self.nodes() == other.nodes()
    }
}

impl Eq for NodesData {}

impl Serialize for NodesData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.nodes.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NodesData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::new)
    }
}

/// Requests that know their encoded length.
#[derive(Debug, Clone)]
pub struct SharedRequests(Arc<RequestsFields>);

#[derive(Debug)]
struct RequestsFields {
    requests: Requests,
    size: OnceLock<SizeModel>,
    contents: OnceLock<Contents>,
}

impl SharedRequests {
    /// Shares these requests.
    #[must_use]
    pub fn new(requests: Requests) -> Self {
        Self(Arc::new(RequestsFields {
            requests,
            size: OnceLock::new(),
            contents: OnceLock::new(),
        }))
    }

    /// The requests.
    #[must_use]
    pub fn requests(&self) -> &Requests {
        &self.0.requests
    }

    fn size_model(&self) -> SizeModel {
        *self.0.size.get_or_init(|| requests_size(&self.0.requests))
    }

    fn contents(&self) -> Contents {
        let contents = || requests_contents(&self.0.requests);
        self.0.contents.get_or_init(contents).clone()
    }
}

impl PartialEq for SharedRequests {
    fn eq(&self, other: &Self) -> bool {
        self.requests() == other.requests()
    }
}

impl Eq for SharedRequests {}

impl Serialize for SharedRequests {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.requests.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedRequests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Requests::deserialize(deserializer).map(Self::new)
    }
}
