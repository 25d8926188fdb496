//! `unique_entry`: at most one entry per child and node in a view.
//!
//! A row names each node at most once. No excuses: children named in raw requests are looked at, too.

use hublab_strategies::{NodeId, Row, Time};

use super::{Oracle, Violation};
use crate::watch::ObserverContext;
use crate::watch::changed::Changed;

pub(super) const NAME: &str = "unique_entry";

/// Up to this many entries that come are looked for one by one.
const FEW: usize = 16;

/// Looks at each row as it changes.
#[derive(Debug, Default)]
pub(super) struct UniqueEntry {
    found: Vec<Violation>,
}

/// How often a row names a node.
fn count(row: &Row, node: &NodeId) -> usize {
    let named = row.entries.iter().filter(|entry| entry.node == *node);
    named.count()
}

impl Oracle for UniqueEntry {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn row(&mut self, changed: &Changed<'_>, cx: &ObserverContext) {
        // A row that only loses entries, or has one, repeats none that was not repeated before.
        let Some(after) = changed.after.filter(|row| row.entries.len() > 1) else {
            return;
        };
        let is_new = |node: &&NodeId| changed.before.is_none_or(|row| count(row, node) < 2);
        // Usually one entry comes. A row that is all new may have many: those are sorted.
        let node = if changed.come.len() <= FEW {
            let mut come = changed.come.iter().map(|delta| &delta.entry.node);
            come.find(|node| count(after, node) > 1 && is_new(node))
        } else {
            let mut nodes: Vec<&NodeId> = after.entries.iter().map(|it| &it.node).collect();
            nodes.sort_unstable();
            let twice = nodes.windows(2).filter(|pair| pair[0] == pair[1]);
            twice.map(|pair| pair[0]).find(is_new)
        };
        let Some(node) = node else { return };
        let (at, child) = (cx.name(changed.node), changed.child);
        let detail = format!("the row of {child} at {at} names {node} more than once");
        let place = (changed.at, changed.node, changed.origin);
        self.found
            .push(Violation::at(NAME, place, "duplicate", detail, cx));
    }

    fn step_done(&mut self, _now: Time, _cx: &ObserverContext, found: &mut Vec<Violation>) {
        found.append(&mut self.found);
    }
}
