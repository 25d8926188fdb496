//! Entries that messages brought, and those of them that changed something.

use std::collections::BTreeMap;

use hashbrown::HashSet;
use hublab_strategies::name::NameHasher;
use hublab_strategies::{ChildId, Contents, NodeId};

use super::index;
use crate::model::{NodeIx, Window};
use crate::trace::event::{Event, Payload};
use crate::watch::changed::{Changed, Delta};

/// Children; only ever asked by name.
type Children = HashSet<ChildId, NameHasher>;

/// A message that a node handles.
#[derive(Debug)]
struct Handled {
    contents: Contents,
    /// The entries that have not changed yet, of nodes for which that was asked.
    unchanged: BTreeMap<NodeId, Children>,
}

impl Handled {
    /// True if the message lists an entry, the first time that this is asked.
    fn takes(&mut self, child: &ChildId, node: &NodeId) -> bool {
        if !self.unchanged.contains_key(node) {
            let of_node = self
                .contents
                .lists()
                .iter()
                .filter(|list| list.node == *node);
            let children = of_node
                .flat_map(|list| list.children.iter().cloned())
                .collect();
            self.unchanged.insert(node.clone(), children);
        }
        let unchanged = self.unchanged.get_mut(node);
        unchanged.is_some_and(|children| children.remove(child))
    }
}

/// Counts entries where a message is handled: those of a message that is kept for later changed nothing.
#[derive(Debug)]
pub(super) struct Redundancy {
    window: Window,
    /// By node: the message that it handled last, if that counts.
    handled: Vec<Option<Handled>>,
    received: u64,
    changed: u64,
    /// True if a message did not tell its entries.
    is_untold: bool,
}

impl Redundancy {
    pub(super) fn new(nodes: usize, window: Window) -> Self {
        Self {
            window,
            handled: (0..nodes).map(|_| None).collect(),
            received: 0,
            changed: 0,
            is_untold: false,
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        let Payload::Delivered { contents, .. } = &event.payload else {
            return;
        };
        let counts = self.window.contains(event.at);
        self.is_untold |= counts && contents.is_none();
        let contents = contents.as_ref().filter(|it| counts && it.entries() > 0);
        self.received += contents.map_or(0, Contents::entries);
        self.handled[index(event.node)] = contents.map(|contents| Handled {
            contents: contents.clone(),
            unchanged: BTreeMap::new(),
        });
    }

    /// A row has changed by the message that its node handled last.
    pub(super) fn row(&mut self, node: NodeIx, changed: &Changed<'_>) {
        let Some(handled) = &mut self.handled[index(node)] else {
            return;
        };
        let deltas = changed.gone.iter().chain(&changed.come);
        let is_new = |delta: &&Delta<'_>| handled.takes(changed.child, &delta.entry.node);
        self.changed += deltas.chain(&changed.restated).filter(is_new).count() as u64;
    }

    /// Entries that were received, and those of them that changed something; `None` if not all were told.
    pub(super) fn finish(self) -> Option<[u64; 2]> {
        (!self.is_untold).then_some([self.received, self.changed])
    }
}
