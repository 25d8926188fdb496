//! How much memory nodes need, by formulas of lengths.

use hublab_strategies::Row;

use super::index;
use crate::model::NodeIx;
use crate::trace::event::{Event, NodeSizes, Payload};
use crate::watch::changed::Changed;

/// The state of a node.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// The encoding of its rows.
    rows: u64,
    /// The bytes that its strategy keeps beside them, by the last event of its sizes.
    strategy: u64,
}

/// The states of all nodes: rows from change to change, the rest once per virtual second.
#[derive(Debug)]
pub(super) struct States {
    nodes: Vec<State>,
    most: u64,
}

impl States {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            nodes: vec![State::default(); nodes],
            most: 0,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a fold looks at the events that concern it"
    )]
    pub(super) fn event(&mut self, event: &Event) {
        match &event.payload {
            Payload::Stopped(_) => self.nodes[index(event.node)] = State::default(),
            Payload::Sizes(NodeSizes { strategy_bytes, .. }) => {
                self.nodes[index(event.node)].strategy = *strategy_bytes;
                self.look(event.node);
            }
            _ => {}
        }
    }

    /// A row of a node has changed.
    pub(super) fn row(&mut self, node: NodeIx, changed: &Changed<'_>) {
        let rows = &mut self.nodes[index(node)].rows;
        *rows = rows.saturating_add_signed(Row::growth(changed.before, changed.after));
        self.look(node);
    }

    fn look(&mut self, node: NodeIx) {
        let State { rows, strategy } = self.nodes[index(node)];
        self.most = self.most.max(rows.saturating_add(strategy));
    }

    /// The largest state of a node, in bytes.
    pub(super) fn finish(self) -> u64 {
        self.most
    }
}
