//! Which rows have an entry of which node.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::name::{ChildId, NameHasher, NodeId};
use crate::snapshot::Snapshot;

/// The children of each node, ordered by name. The outer map is only ever asked by name.
#[derive(Debug, Default)]
pub(super) struct NodeIndex(HashMap<NodeId, BTreeSet<ChildId>, NameHasher>);

impl NodeIndex {
    pub(super) fn insert(&mut self, node: &NodeId, child: &ChildId) {
        match self.0.get_mut(node) {
            Some(children) => {
                children.insert(child.clone());
            }
            None => {
                self.0.insert(node.clone(), BTreeSet::from([child.clone()]));
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

    pub(super) fn children(&self, node: &NodeId) -> impl Iterator<Item = &ChildId> {
        self.0.get(node).into_iter().flatten()
    }

    /// The children of `node` that its snapshot lacks, in the order of their names.
    pub(super) fn missing(&self, node: &NodeId, snapshot: &Snapshot) -> Vec<ChildId> {
        let Some(indexed) = self.0.get(node) else {
            return Vec::new();
        };
        let listed = snapshot.children();
        // The steady case: the snapshot of a well-behaved node is ordered and lists exactly these.
        if listed.len() == indexed.len()
            && listed
                .iter()
                .zip(indexed)
                .all(|(child, id)| child.spec.id() == id)
        {
            return Vec::new();
        }
        let mut ids: Vec<&ChildId> = listed.iter().map(|child| child.spec.id()).collect();
        if !ids.is_sorted() {
            ids.sort_unstable();
        }
        let mut ids = ids.into_iter().peekable();
        let lacks = |id: &&ChildId| {
            while ids.next_if(|listed| listed < id).is_some() {}
            ids.peek() != Some(id)
        };
        indexed.iter().filter(lacks).cloned().collect()
    }
}
