//! [`Rows`]: the rows of registries that somebody reads, kept up to date with every change.

use std::collections::{BTreeMap, BTreeSet};

use hublab_strategies::{ChildId, Row};

use crate::model::NodeIx;
use crate::trace::event::{Event, EventId};

/// Which rows are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    Only(BTreeSet<(NodeIx, ChildId)>),
}

/// A row, and the event that last changed it.
#[derive(Debug)]
struct Kept {
    row: Option<Row>,
    event: EventId,
}

/// The rows of registries that somebody reads.
#[derive(Debug)]
pub(super) struct Rows {
    wanted: Wanted,
    nodes: Vec<BTreeMap<ChildId, Kept>>,
}

impl Rows {
    pub(super) fn new(nodes: usize, wanted: Wanted) -> Self {
        Self {
            wanted,
            nodes: (0..nodes).map(|_| BTreeMap::new()).collect(),
        }
    }

    /// Takes in a change of a row.
    pub(super) fn row(&mut self, event: &Event, child: &ChildId, after: Option<&Row>) {
        if let Wanted::Only(wanted) = &self.wanted
            && (wanted.is_empty() || !wanted.contains(&(event.node, child.clone())))
        {
            return;
        }
        let kept = Kept {
            row: after.cloned(),
            event: event.id,
        };
        self.nodes[event.node as usize].insert(child.clone(), kept);
    }

    /// Forgets the rows of a node that booted or stopped.
    pub(super) fn forget(&mut self, node: NodeIx) {
        self.nodes[node as usize].clear();
    }

    pub(super) fn get(&self, node: NodeIx, child: &ChildId) -> Option<&Row> {
        self.nodes[node as usize].get(child)?.row.as_ref()
    }

    pub(super) fn last_event(&self, node: NodeIx, child: &ChildId) -> Option<EventId> {
        Some(self.nodes[node as usize].get(child)?.event)
    }

    /// Every row of a node, in the order of ids.
    pub(super) fn of(&self, node: NodeIx) -> impl Iterator<Item = &Row> {
        let kept = self.nodes[node as usize].values();
        kept.filter_map(|kept| kept.row.as_ref())
    }
}
