//! [`Acks`]: lists of acknowledgements, and how the protocol joins them.
//!
//! Every message of a propagation carries such a list, of up to all nodes, and every visit joins two
//! of them. So lists share what they have in common: a list is a few pieces, each immutable and
//! counted, and joining copies only the names that are new to the first list.

use std::sync::Arc;

use hashbrown::HashSet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::name::{NameHasher, NodeId};
use crate::view::{NodeBitSet, View};
use crate::wire;

/// A list of more pieces than this is copied into one.
const MAX_PIECES: usize = 8;

/// The nodes that acknowledged, each once, in the order that the protocol leaves behind; shared.
#[derive(Debug, Clone)]
pub struct Acks(Arc<AckList>);

type Pieces = SmallVec<[Arc<[NodeId]>; MAX_PIECES]>;

#[derive(Debug)]
struct AckList {
    pieces: Pieces,
    len: usize,
    /// Of the names alone.
    names_len: u64,
}

impl Acks {
    /// A list of these nodes; repetitions are dropped.
    #[must_use]
    pub fn new(nodes: Vec<NodeId>) -> Self {
        let mut seen = HashSet::<&NodeId, NameHasher>::default();
        let kept: Vec<NodeId> = nodes
            .iter()
            .filter(|node| seen.insert(*node))
            .cloned()
            .collect();
        let (len, names_len) = (kept.len(), names_len(&kept));
        Self(Arc::new(AckList {
            pieces: Pieces::from_iter([kept.into()]),
            len,
            names_len,
        }))
    }

    /// The nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.0.pieces.iter().flat_map(|piece| piece.iter())
    }

    /// This list, then those of `next` that are not in it; and the nodes of `view` that are in
    /// neither, in the order of the view.
    #[must_use]
    pub fn join(&self, next: &Self, view: &View) -> (Self, Vec<NodeId>) {
        let mut marks = NodeBitSet::of(view);
        for piece in &self.0.pieces {
            marks.extend(piece.iter());
        }
        let mut new: SmallVec<[&NodeId; 128]> = SmallVec::new();
        for piece in &next.0.pieces {
            new.extend(piece.iter().filter(|node| marks.insert(node)));
        }
        let others = marks.others();
        if new.is_empty() {
            return (self.clone(), others);
        }
        (
            self.with_piece(new.into_iter().cloned().collect(), false),
            others,
        )
    }

    /// The same list with a node in front that is not in it.
    #[must_use]
    pub(super) fn with_first(&self, node: &NodeId) -> Self {
        self.with_piece(Arc::new([node.clone()]), true)
    }

    /// The same list with nodes, none of them in it, in front or at the end.
    fn with_piece(&self, nodes: Arc<[NodeId]>, in_front: bool) -> Self {
        let len = self.0.len + nodes.len();
        let names_len = self.0.names_len + names_len(&nodes);
        let mut pieces = self.0.pieces.clone();
        pieces.insert(if in_front { 0 } else { pieces.len() }, nodes);
        if pieces.len() > MAX_PIECES {
            let mut all = Vec::with_capacity(len);
            pieces.iter().for_each(|piece| all.extend_from_slice(piece));
            pieces = Pieces::from_iter([all.into()]);
        }
        Self(Arc::new(AckList {
            pieces,
            len,
            names_len,
        }))
    }

    pub(super) fn encoded_len(&self) -> u64 {
        wire::varint_len(self.0.len as u64) + self.0.names_len
    }
}

fn names_len(nodes: &[NodeId]) -> u64 {
    nodes.iter().map(|node| wire::text_len(node.as_str())).sum()
}

impl PartialEq for Acks {
    fn eq(&self, other: &Self) -> bool {
        self.nodes().eq(other.nodes())
    }
}

impl Eq for Acks {}

impl Serialize for Acks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq;
        let mut list = serializer.serialize_seq(Some(self.0.len))?;
        for node in self.nodes() {
            list.serialize_element(node)?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Acks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::new)
    }
}
