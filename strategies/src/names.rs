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
            // One by one: `collect` is made for long lists.
            let mut few = SmallVec::new();
            nodes.for_each(|node| few.push(node));
            Self::Few(few)
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
