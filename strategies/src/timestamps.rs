//! [`Timestamps`]: the last data of each node that were applied, the original's `gct`.

use std::collections::BTreeMap;

use crate::name::NodeId;
use crate::time::WallTime;
use crate::wire;

/// Per node, the wall clock reading *of that node* that came with the data last applied. Shared by
/// join data and Gossip's rounds; an entry is never removed, not even with its node (anomaly A7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timestamps(BTreeMap<NodeId, WallTime>);

impl Timestamps {
    /// ```
    /// use hublab_strategies::{NodeId, Timestamps};
    ///
    /// let (mut applied, node) = (Timestamps::default(), NodeId::from("n1"));
    /// applied.set(&node, 7);
    /// assert!(applied.is_newer(&node, 8) && !applied.is_newer(&node, 7));
    /// ```
    ///
    /// True if data of `node` stamped `at` are newer than those applied: strictly, so that
    /// nothing is applied twice.
    #[must_use]
    pub fn is_newer(&self, node: &NodeId, at: WallTime) -> bool {
        self.0.get(node).is_none_or(|applied| *applied < at)
    }

    /// Notes that data of `node` stamped `at` were applied.
    pub fn set(&mut self, node: &NodeId, at: WallTime) {
        self.0.insert(node.clone(), at);
    }

    /// The length of the encoding of all names and times, in bytes. Walks all of them.
    pub(crate) fn encoded_len(&self) -> u64 {
        let lengths = self
            .iter()
            .map(|(node, at)| wire::text_len(node.as_str()) + wire::varint_len(at));
        lengths.sum()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, WallTime)> {
        self.0.iter().map(|(node, at)| (node, *at))
    }
}

impl FromIterator<(NodeId, WallTime)> for Timestamps {
    fn from_iter<I: IntoIterator<Item = (NodeId, WallTime)>>(times: I) -> Self {
        Self(times.into_iter().collect())
    }
}
