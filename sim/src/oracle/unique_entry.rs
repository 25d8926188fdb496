//! `unique_entry`: a row names each node at most once.

use hublab_strategies::{Entry, Time};

use super::{Oracle, Violation};
use crate::observe::World;
use crate::trace::event::{Event, Payload};

pub(super) const NAME: &str = "unique_entry";

/// Looks at each row as it changes.
#[derive(Debug, Default)]
pub(super) struct UniqueEntry {
    found: Vec<Violation>,
}

impl Oracle for UniqueEntry {
    fn name(&self) -> &'static str {
        NAME
    }

    fn event(&mut self, event: &Event, world: &World<'_>) {
        let Payload::Row {
            child,
            before,
            after: Some(row),
        } = &event.payload
        else {
            return;
        };
        let repeated = |entries: &[Entry]| {
            entries.iter().enumerate().find_map(|(at, entry)| {
                entries[..at]
                    .iter()
                    .any(|earlier| earlier.node == entry.node)
                    .then(|| entry.node.clone())
            })
        };
        let Some(node) = repeated(&row.entries) else {
            return;
        };
        if before
            .as_ref()
            .is_some_and(|row| repeated(&row.entries).is_some())
        {
            return;
        }
        let at = world.name(event.node);
        let detail = format!("the row of {child} at {at} names {node} more than once");
        self.found
            .push(Violation::new(NAME, event.at, at.as_str(), detail));
    }

    fn step_done(&mut self, _now: Time, _world: &World<'_>, found: &mut Vec<Violation>) {
        found.append(&mut self.found);
    }
}
