//! [`Contents`]: the entries that a message tells of.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::{ChildId, NodeId};

/// Children that a message lists under one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The node.
    pub node: NodeId,
    /// The children; messages that list the same snapshot share them.
    pub children: Arc<[ChildId]>,
}

/// The (child, node) entries that a message tells of, those that it takes away among them: what its
/// receiver may come to show, or no longer show, because of it. Shared; a copy costs one reference.
///
/// ```
/// use hublab_strategies::{ChildId, Contents, NodeId};
///
/// let (n1, n2) = (NodeId::from("n1"), NodeId::from("n2"));
/// let [a, b] = ["a", "b"].map(ChildId::from);
/// let contents = Contents::of_entries([(&a, &n1), (&a, &n2), (&b, &n1)]);
/// assert_eq!(contents.entries(), 3);
/// assert_eq!(contents.lists()[0].children[..], [a.clone(), b]);
/// assert_eq!(Contents::NONE.entries(), 0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents(Option<Arc<Fields>>);

#[derive(Debug, PartialEq, Eq)]
struct Fields {
    lists: Box<[Listed]>,
    entries: u64,
}

impl Contents {
    /// Nothing is told of any node.
    pub const NONE: Self = Self(None);

    /// These lists. An empty one tells that its node runs nothing.
    #[must_use]
    pub fn new(lists: Vec<Listed>) -> Self {
        let entries = lists.iter().map(|list| list.children.len() as u64).sum();
        let lists = lists.into_boxed_slice();
        Self((!lists.is_empty()).then(|| Arc::new(Fields { lists, entries })))
    }

    /// The children of one node.
    #[must_use]
    pub fn of_node(node: &NodeId, children: Arc<[ChildId]>) -> Self {
        let node = node.clone();
        Self::new(vec![Listed { node, children }])
    }

    /// Entries one by one: listed by node, in the order of the nodes' names.
    #[must_use]
    pub fn of_entries<'a>(entries: impl IntoIterator<Item = (&'a ChildId, &'a NodeId)>) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.sort_by_key(|(_, node)| *node);
        let of_one = entries.chunk_by(|(_, a), (_, b)| a == b);
        let listed = |of_one: &[(&ChildId, &NodeId)]| Listed {
            node: of_one[0].1.clone(),
            children: of_one.iter().map(|(child, _)| (*child).clone()).collect(),
        };
        Self::new(of_one.map(listed).collect())
    }

    /// The lists.
    #[must_use]
    pub fn lists(&self) -> &[Listed] {
        self.0.as_ref().map_or(&[], |fields| &fields.lists)
    }

    /// How many entries there are.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.0.as_ref().map_or(0, |fields| fields.entries)
    }
}
