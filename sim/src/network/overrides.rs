//! Changes of links: those of the file, and those that steps made since.

use super::LinkKey;
use super::cut::NodeSet;
use crate::model::LinkChange;

/// The changes of links that are in force, in the order in which they apply.
#[derive(Debug)]
pub(crate) struct Overrides {
    nodes: usize,
    changes: Vec<Override>,
    from_file: usize,
}

#[derive(Debug)]
struct Override {
    from: NodeSet,
    to: NodeSet,
    change: LinkChange,
}

impl Overrides {
    /// Those of a file with so many nodes.
    pub(crate) fn new(nodes: usize, links: &[LinkChange]) -> Self {
        let mut overrides = Self {
            nodes,
            changes: Vec::new(),
            from_file: links.len(),
        };
        links.iter().for_each(|change| overrides.push(change));
        overrides
    }

    /// Adds a change, which applies after those before it.
    pub(crate) fn push(&mut self, change: &LinkChange) {
        self.changes.push(Override {
            from: NodeSet::new(self.nodes, &change.from),
            to: NodeSet::new(self.nodes, &change.to),
            change: change.clone(),
        });
    }

    /// Undoes every change that is not the file's. Returns whether there was one.
    pub(crate) fn restore(&mut self) -> bool {
        let is_changed = self.changes.len() > self.from_file;
        self.changes.truncate(self.from_file);
        is_changed
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// All changes.
    pub(crate) fn all(&self) -> impl Iterator<Item = &LinkChange> {
        self.changes.iter().map(|entry| &entry.change)
    }

    /// True if a change is about some channels only.
    pub(crate) fn tell_channels_apart(&self) -> bool {
        self.all().any(|change| !change.channels.is_all())
    }

    /// The changes of a link, of whichever channels. A node's link to itself has none.
    pub(crate) fn of(&self, (from, to): LinkKey) -> impl Iterator<Item = &LinkChange> {
        let changes = self.changes.iter();
        let of_link = changes.filter(move |it| from != to && it.from.has(from) && it.to.has(to));
        of_link.map(|entry| &entry.change)
    }
}
