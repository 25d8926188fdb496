//! [`View`]: the cluster view, made to be asked for names quickly.

use std::ops::Deref;

use hashbrown::HashSet;
use smallvec::{SmallVec, smallvec};

use crate::name::{NameHasher, NodeId};

/// An ordered list of nodes, and where in it each name stands first. It is a list to whoever reads
/// it; the index is for Gossip, which compares lists of names at every message.
#[derive(Debug, Clone, Default)]
pub struct View {
    nodes: Vec<NodeId>,
    /// Open addressing by hash, at most half full: 0 is free, else one more than a position.
    table: Box<[u32]>,
    repeats: bool,
}

impl View {
    /// Where a node stands first.
    #[must_use]
    pub fn position(&self, node: &NodeId) -> Option<usize> {
        if self.table.is_empty() {
            return None;
        }
        self.table[self.slot(node)]
            .checked_sub(1)
            .map(|at| at as usize)
    }

    /// Appends a node, if it is not there.
    pub fn push(&mut self, node: NodeId) {
        if self.table.len() < 2 * (self.nodes.len() + 1) {
            self.index(self.nodes.len() + 1);
        }
        let slot = self.slot(&node);
        if self.table[slot] == 0 {
            self.table[slot] = number(self.nodes.len());
            self.nodes.push(node);
        }
    }

    /// Keeps the nodes that meet a condition.
    pub fn retain(&mut self, keep: impl FnMut(&NodeId) -> bool) {
        self.nodes.retain(keep);
        self.index(self.nodes.len());
    }

    /// Makes the index anew, with room for `room` nodes.
    fn index(&mut self, room: usize) {
        self.table = vec![0; (2 * room).next_power_of_two()].into();
        self.repeats = false;
        for (at, node) in self.nodes.iter().enumerate() {
            let slot = self.slot(node);
            if self.table[slot] == 0 {
                self.table[slot] = number(at);
            } else {
                self.repeats = true;
            }
        }
    }

    /// Where a name is in the table, or where it would be. The table is neither empty nor full.
    fn slot(&self, node: &NodeId) -> usize {
        let mask = self.table.len() - 1;
        let mut slot = usize::try_from(node.text_hash() & mask as u64).expect("less than a length");
        while let Some(at) = self.table[slot].checked_sub(1) {
            if self.nodes[at as usize] == *node {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }
}

fn number(position: usize) -> u32 {
    u32::try_from(position + 1).expect("fewer than 2^32 nodes")
}

impl From<Vec<NodeId>> for View {
    /// Takes the list as it is, repetitions too.
    fn from(nodes: Vec<NodeId>) -> Self {
        let mut view = Self {
            nodes,
            ..Self::default()
        };
        view.index(view.nodes.len());
        view
    }
}

impl Deref for View {
    type Target = [NodeId];

    fn deref(&self) -> &[NodeId] {
        &self.nodes
    }
}

/// A set of names: a bit for each name of a view, and a list of the names outside it.
pub(crate) struct NodeBitSet<'a> {
    view: &'a View,
    bits: SmallVec<[u64; 16]>,
    unknown: HashSet<&'a NodeId, NameHasher>,
    /// The number of bits that are set.
    known: usize,
}

impl<'a> NodeBitSet<'a> {
    /// The empty set.
    pub(crate) fn of(view: &'a View) -> Self {
        let bits = smallvec![0; view.len().div_ceil(64)];
        Self {
            view,
            bits,
            unknown: HashSet::default(),
            known: 0,
        }
    }

    /// Adds names.
    pub(crate) fn extend(&mut self, nodes: impl IntoIterator<Item = &'a NodeId>) {
        for node in nodes {
            self.insert(node);
        }
    }

    /// Adds a name, and returns true if it was new.
    pub(crate) fn insert(&mut self, node: &'a NodeId) -> bool {
        let Some(at) = self.view.position(node) else {
            return self.unknown.insert(node);
        };
        let (word, bit) = (&mut self.bits[at / 64], 1 << (at % 64));
        let new = *word & bit == 0;
        *word |= bit;
        self.known += usize::from(new);
        new
    }

    /// The nodes of the view that are not in the set, in the order of the view.
    pub(crate) fn others(&self) -> Vec<NodeId> {
        if self.known == self.view.len() {
            return Vec::new();
        }
        let is_other = |(at, node): &(usize, &NodeId)| {
            let first = if self.view.repeats {
                self.view.position(node).unwrap_or(*at)
            } else {
                *at
            };
            self.bits[first / 64] & (1 << (first % 64)) == 0
        };
        self.view
            .iter()
            .enumerate()
            .filter(is_other)
            .map(|(_, node)| node.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<NodeId> {
        text.split_whitespace().map(NodeId::new).collect()
    }

    #[test]
    fn a_view_finds_its_nodes_through_every_change() {
        let mut view = View::default();
        assert_eq!(view.position(&NodeId::new("a")), None);
        for node in names("c a b c a") {
            view.push(node);
        }
        assert_eq!(view.to_vec(), names("c a b"));
        view.retain(|node| node.as_str() != "c");
        assert_eq!(view.to_vec(), names("a b"));
        assert_eq!(view.position(&NodeId::new("b")), Some(1));
        assert_eq!(view.position(&NodeId::new("c")), None);
        for number in 0..1_000 {
            view.push(NodeId::from(format!("n{number}")));
        }
        assert!((0..view.len()).all(|at| view.position(&view[at]) == Some(at)));
    }

    #[test]
    fn a_view_with_repetitions_is_kept_as_it_is_and_lists_all_others() {
        let view = View::from(names("a b a c b"));
        let (a, stranger) = (NodeId::new("a"), NodeId::new("z"));
        let mut marks = NodeBitSet::of(&view);
        marks.extend([&a, &stranger]);
        assert_eq!(marks.others(), names("b c b"));
        assert!(!marks.insert(&a) && !marks.insert(&stranger));
    }
}
