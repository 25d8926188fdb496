//! The index from nodes to the rows that have an entry of them.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::child::Entry;
use crate::name::{ChildId, NameHasher, NodeId};
use crate::snapshot::Snapshot;

/// The children of each node, ordered by name, each with the place of its row. The outer map is
/// only ever asked by name.
#[derive(Debug, Default)]
pub(super) struct NodeIndex(HashMap<NodeId, BTreeMap<ChildId, u32>, NameHasher>);

impl NodeIndex {
    pub(super) fn insert(&mut self, node: &NodeId, child: &ChildId, at: u32) {
        match self.0.get_mut(node) {
            Some(children) => {
                children.insert(child.clone(), at);
            }
            None => {
                self.0
                    .insert(node.clone(), BTreeMap::from([(child.clone(), at)]));
            }
        }
    }

    /// A copy of an entry that shares the name of its node with all others, if there are any: those
    /// that arrive in a message have one each.
    pub(super) fn entry(&self, entry: &Entry) -> Entry {
        let known = self.0.get_key_value(&entry.node);
        Entry {
            node: known.map_or(&entry.node, |(node, _)| node).clone(),
            pid: entry.pid.clone(),
        }
    }

    /// True if the row of a child has an entry of a node.
    pub(super) fn has(&self, node: &NodeId, child: &ChildId) -> bool {
        let children = self.0.get(node);
        children.is_some_and(|children| children.contains_key(child))
    }

    /// Several children of one node, in the order of their names.
    pub(super) fn extend(&mut self, node: &NodeId, children: impl Iterator<Item = (ChildId, u32)>) {
        match self.0.get_mut(node) {
            Some(known) => known.extend(children),
            None => {
                let children: BTreeMap<_, _> = children.collect();
                if !children.is_empty() {
                    self.0.insert(node.clone(), children);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, node: &NodeId, child: &ChildId) {
        let Some(children) = self.0.get_mut(node) else {
            return;
        };
        children.remove(child);
        if children.is_empty() {
            self.0.remove(node);
        }
    }

    /// The children of `node` in the order of their names, and where their rows are.
    pub(super) fn rows(&self, node: &NodeId) -> impl Iterator<Item = (&ChildId, u32)> {
        self.0
            .get(node)
            .into_iter()
            .flatten()
            .map(|(child, at)| (child, *at))
    }

    /// The number of children of `node`.
    pub(super) fn count(&self, node: &NodeId) -> usize {
        self.0.get(node).map_or(0, BTreeMap::len)
    }

    /// The children of `node` that its snapshot lacks, in the order of their names.
    pub(super) fn missing(&self, node: &NodeId, snapshot: &Snapshot) -> Vec<ChildId> {
        let Some(indexed) = self.0.get(node) else {
            return Vec::new();
        };
        let listed = snapshot.children();
        let mut ids: Vec<&ChildId> = listed.iter().map(|child| child.spec.id()).collect();
        if !ids.is_sorted() {
            ids.sort_unstable();
        }
        let mut ids = ids.into_iter().peekable();
        let lacks = |id: &&ChildId| {
            while ids.next_if(|listed| listed < id).is_some() {}
            ids.peek() != Some(id)
        };
        indexed.keys().filter(lacks).cloned().collect()
    }
}
