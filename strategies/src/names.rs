//! A set of borrowed node names, made for one operation and never iterated.

use hashbrown::HashSet;
use smallvec::SmallVec;

use crate::name::{NameHasher, NodeId};

/// Up to this many names are compared one by one: a row rarely has more.
const FEW: usize = 8;

pub(crate) enum NodeSet<'a> {
    Few(SmallVec<[&'a NodeId; FEW]>),
    Many(HashSet<&'a NodeId, NameHasher>),
}

impl<'a> NodeSet<'a> {
    pub(crate) fn new(nodes: impl ExactSizeIterator<Item = &'a NodeId>) -> Self {
        if nodes.len() <= FEW {
            Self::Few(nodes.collect())
        } else {
            Self::Many(nodes.collect())
        }
    }

    pub(crate) fn contains(&self, node: &NodeId) -> bool {
        match self {
            Self::Few(nodes) => nodes.contains(&node),
            Self::Many(nodes) => nodes.contains(node),
        }
    }
}

/// The names of one list and then of another, each once.
pub(crate) struct Union<'a> {
    seen: HashSet<&'a NodeId, NameHasher>,
    kept: SmallVec<[&'a NodeId; 128]>,
    is_first: bool,
}

impl<'a> Union<'a> {
    pub(crate) fn new(first: &'a [NodeId], second: &'a [NodeId]) -> Self {
        let room = first.len() + second.len();
        let mut seen = HashSet::with_capacity_and_hasher(room, NameHasher::default());
        let mut kept: SmallVec<[&NodeId; 128]> = SmallVec::new();
        kept.extend(first.iter().filter(|node| seen.insert(*node)));
        let repeats = kept.len() < first.len();
        kept.extend(second.iter().filter(|node| seen.insert(*node)));
        let is_first = !repeats && kept.len() == first.len();
        Self {
            seen,
            kept,
            is_first,
        }
    }

    /// The names, in order; `None` if they are those of the first list as it is.
    pub(crate) fn names(&self) -> Option<Vec<NodeId>> {
        (!self.is_first).then(|| self.kept.iter().copied().cloned().collect())
    }

    /// Those of `nodes` that are in neither list, in the order of `nodes`.
    pub(crate) fn others(&self, nodes: &[NodeId]) -> Vec<NodeId> {
        nodes
            .iter()
            .filter(|node| !self.seen.contains(node))
            .cloned()
            .collect()
    }
}
