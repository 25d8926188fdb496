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

#[cfg(test)]
mod tests {
    use hublab_strategies::{ChildSpec, Metadata, NodeId, Pid, Row};

    use super::*;
    use crate::catalog::Catalog;
    use crate::observe::Facts;
    use crate::scenario::Scenario;

    fn row(nodes: &[&str]) -> Option<Box<Row>> {
        let entry = |node: &&str| Entry {
            node: NodeId::new(node),
            pid: Some(Pid::new("p")),
        };
        Some(Box::new(Row {
            spec: ChildSpec::new("a", "child"),
            entries: nodes.iter().map(entry).collect(),
            metadata: Metadata::default(),
            expires_at: None,
        }))
    }

    /// What the oracle says of one change of a row.
    fn judge(before: Option<Box<Row>>, after: Option<Box<Row>>) -> Vec<String> {
        let text = b"schema = 1\n[cluster]\nnodes = 2\n";
        let scenario = Scenario::read("two", text, &Catalog::default()).unwrap();
        let facts = Facts::new(&scenario);
        let world = World::new(&[], &facts);
        let mut oracle = UniqueEntry::default();
        let payload = Payload::Row {
            child: "a".into(),
            before,
            after,
        };
        let event = Event {
            id: 1,
            at: Time(7),
            node: 1,
            cause: 0,
            payload,
        };
        oracle.event(&event, &world);
        let mut found = Vec::new();
        oracle.step_done(Time(7), &world, &mut found);
        found
            .into_iter()
            .map(|violation| violation.detail)
            .collect()
    }

    #[test]
    fn a_row_that_names_a_node_twice_is_reported_once() {
        let twice = ["n1", "n2", "n1"];
        let told = "the row of a at n2 names n1 more than once";
        assert_eq!(judge(row(&["n1"]), row(&twice)), [told]);
        assert_eq!(judge(None, row(&twice)), [told]);
        assert!(judge(row(&twice), row(&["n1", "n1"])).is_empty());
        assert!(judge(None, row(&["n1", "n2"])).is_empty());
        assert!(judge(row(&twice), None).is_empty());
    }
}
