//! `unique_entry`: at most one entry per child and node in a view.
//!
//! A row names each node at most once. No excuses: children named in raw requests are looked at, too.

use hublab_strategies::{Entry, NodeId, Row, Time};

use super::{Oracle, Violation};
use crate::watch::World;
use crate::watch::changed::Changed;

pub(super) const NAME: &str = "unique_entry";

/// Looks at each row as it changes.
#[derive(Debug, Default)]
pub(super) struct UniqueEntry {
    found: Vec<Violation>,
}

/// The first node that a row names again.
fn repeated(row: &Row) -> Option<NodeId> {
    let is_repeated = |(at, entry): (usize, &Entry)| {
        let mut earlier = row.entries[..at].iter();
        earlier.any(|earlier| earlier.node == entry.node)
    };
    let mut entries = row.entries.iter().enumerate();
    entries
        .find(|(at, entry)| is_repeated((*at, entry)))
        .map(|(_, entry)| entry.node.clone())
}

impl Oracle for UniqueEntry {
    fn name(&self) -> &'static str {
        NAME
    }

    fn row(&mut self, changed: &Changed<'_>, world: &World<'_>) {
        // What only loses entries, or has one, repeats none that was not repeated before.
        let Some(after) = changed.after.filter(|row| row.entries.len() > 1) else {
            return;
        };
        if changed.come.is_empty() {
            return;
        }
        let Some(node) = repeated(after) else { return };
        if changed.before.is_some_and(|row| repeated(row).is_some()) {
            return;
        }
        let (at, child) = (world.name(changed.node), changed.child);
        let detail = format!("the row of {child} at {at} names {node} more than once");
        let place = (changed.at, changed.node, changed.cause);
        self.found
            .push(Violation::at(NAME, place, "duplicate", detail, world));
    }

    fn step_done(&mut self, _now: Time, _world: &World<'_>, found: &mut Vec<Violation>) {
        found.append(&mut self.found);
    }
}
