//! [`Shadow`]: what a node shows, kept from outside.

use hublab_strategies::hub::{Command, Sizes};
use hublab_strategies::membership::Announcement;
use hublab_strategies::registry::Registry;
use hublab_strategies::{Event, NodeId, Row, RowChange, Runtime, Time};

use crate::node::effects::Effects;
use crate::node::{Node, NodeInput};

/// A registry and a view kept from outside, as [`Node`]s show theirs.
pub(super) struct Shadow {
    registry: Registry,
    view: Vec<NodeId>,
}

impl Shadow {
    /// What a node that just booted shows: no row, and itself.
    pub(super) fn new(name: NodeId) -> Self {
        Self {
            registry: Registry::new(),
            view: vec![name],
        }
    }

    /// Puts a row in; one without entries takes it out.
    fn put(&mut self, row: Row) -> Option<RowChange> {
        let (child, is_gone) = (row.spec.id().clone(), row.is_empty());
        let before = self.registry.get(&child).map(|row| Box::new(row.to_row()));
        let expires_at = is_gone.then_some(Time::ZERO);
        let row = Row { expires_at, ..row };
        let after = (!is_gone).then(|| Box::new(row.clone()));
        self.registry.put(row, &mut |_| {});
        self.registry.purge(Time::ZERO, &mut |_| {});
        (before != after).then_some(RowChange {
            child,
            before,
            after,
        })
    }
}

impl Node for Shadow {
    /// It runs elsewhere: all it can be told is what to show.
    fn handle(&mut self, input: NodeInput<'_>, effects: &mut Effects<'_>) {
        let mut emit = |event| Runtime::<Announcement>::emit(effects, event);
        if let NodeInput::Command(Command::PutRows(rows)) = input {
            for row in rows {
                if let Some(change) = self.put(row) {
                    emit(Event::Row(change));
                }
            }
        } else if let NodeInput::Command(Command::SetView(view)) = input {
            self.view.clone_from(&view);
            emit(Event::View(view));
        }
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn cluster_view(&self) -> &[NodeId] {
        &self.view
    }

    fn sizes(&self) -> Sizes {
        Sizes::default()
    }
}
