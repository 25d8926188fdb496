//! [`Changed`]: a change of a row, taken apart once for all oracles.

use hublab_strategies::{ChildId, Entry, Row, Time};
use smallvec::SmallVec;

use super::causes::Cause;
use super::history::Life;
use super::{Facts, World};
use crate::model::NodeIx;

/// An entry that came or went.
#[derive(Debug, Clone, Copy)]
pub struct Delta<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// The position of its node; `None` if the file has no such node.
    pub owner: Option<NodeIx>,
    /// The process of its pid, if that node ever ran it, for this child.
    pub life: Option<&'a Life>,
}

/// A change of a row.
#[derive(Debug)]
pub struct Changed<'a> {
    /// When.
    pub at: Time,
    /// Where.
    pub node: NodeIx,
    /// Whose row.
    pub child: &'a ChildId,
    /// The row before; `None` if there was none.
    pub before: Option<&'a Row>,
    /// The row after; `None` if it is gone.
    pub after: Option<&'a Row>,
    /// Entries (node and pid) that are in the row before and not after.
    pub gone: SmallVec<[Delta<'a>; 2]>,
    /// Entries that are in the row after and not before.
    pub come: SmallVec<[Delta<'a>; 2]>,
    /// What made it happen.
    pub cause: Cause,
    /// Whether the child is named in raw requests or `rows`: outside every oracle that compares
    /// with the truth.
    pub is_raw: bool,
}

impl<'a> Changed<'a> {
    /// Whether the metadata of the row's entries changed.
    #[must_use]
    pub fn has_new_metadata(&self) -> bool {
        match (self.before, self.after) {
            (Some(before), Some(after)) => {
                before.metadata != after.metadata || before.entry_metadata != after.entry_metadata
            }
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }

    /// The owners of entries that came, went, or have other metadata now.
    pub(crate) fn touched<'f>(
        &'f self,
        facts: &'f Facts,
    ) -> impl Iterator<Item = NodeIx> + use<'f, 'a> {
        let moved = self.gone.iter().chain(&self.come);
        let changed = self.before.is_some() && self.has_new_metadata();
        let kept = self.after.filter(|_| changed);
        let kept = kept.into_iter().flat_map(|row| &row.entries);
        moved
            .filter_map(|delta| delta.owner)
            .chain(kept.filter_map(|entry| facts.position(&entry.node)))
    }

    /// Takes a change apart.
    pub(crate) fn new(
        (at, node, cause): (Time, NodeIx, Cause),
        child: &'a ChildId,
        before: Option<&'a Row>,
        after: Option<&'a Row>,
        world: &World<'a>,
    ) -> Self {
        let entries = |row: Option<&'a Row>| row.map_or(&[][..], |row| &row.entries);
        let (old, new) = trimmed(entries(before), entries(after));
        let delta = |entry: &'a Entry| world.delta(child, entry);
        Self {
            at,
            node,
            child,
            before,
            after,
            gone: missing(old, new).map(delta).collect(),
            come: missing(new, old).map(delta).collect(),
            cause,
            is_raw: world.facts().is_raw(child),
        }
    }
}

/// Two lists without what they have in common at both ends: most changes are at one.
fn trimmed<'a>(old: &'a [Entry], new: &'a [Entry]) -> (&'a [Entry], &'a [Entry]) {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[head..], &new[head..]);
    let ends = old.iter().rev().zip(new.iter().rev());
    let tail = ends.take_while(|(a, b)| a == b).count();
    (&old[..old.len() - tail], &new[..new.len() - tail])
}

/// What one list has and the other has not.
fn missing<'a>(list: &'a [Entry], other: &'a [Entry]) -> impl Iterator<Item = &'a Entry> {
    list.iter().filter(move |entry| !other.contains(entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hublab_strategies::Pid;

    fn entries(text: &str) -> Vec<Entry> {
        let entry = |word: &str| Entry {
            node: word[..1].into(),
            pid: Some(Pid::new(&word[1..])),
        };
        text.split_whitespace().map(entry).collect()
    }

    fn diff(old: &str, new: &str) -> (Vec<Entry>, Vec<Entry>) {
        let (old, new) = (entries(old), entries(new));
        let (a, b) = trimmed(&old, &new);
        let gone = missing(a, b).cloned().collect();
        (gone, missing(b, a).cloned().collect())
    }

    #[test]
    fn what_moves_neither_comes_nor_goes() {
        for (old, new, gone, come) in [
            ("", "a1", "", "a1"),
            ("a1 b1 c1", "a1 b1", "c1", ""),
            ("a1 b1 c1", "c1 a1 b1", "", ""),
            ("a1 b1 c1", "b2 a1 c1", "b1", "b2"),
            ("a1", "a1 a1", "", "a1"),
            ("a1 b1", "", "a1 b1", ""),
        ] {
            assert_eq!(
                diff(old, new),
                (entries(gone), entries(come)),
                "{old} -> {new}"
            );
        }
    }
}
