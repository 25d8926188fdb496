//! [`Changed`]: a change of a row, taken apart once for all who look at it.

use hublab_strategies::{ChildId, Entries, Entry, Row, Time};
use smallvec::SmallVec;

use super::causes::Origin;
use super::facts::Facts;
use super::history::{History, Life};
use crate::model::NodeIx;

/// An entry that came or went.
#[derive(Debug, Clone, Copy)]
pub struct Delta<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// The position of its node; `None` if the file has no such node.
    pub owner: Option<NodeIx>,
    /// The process of its pid, if that node ever ran it, for this child. Known to oracles only.
    pub life: Option<&'a Life>,
}

/// Entries of a change.
pub type Deltas<'a> = SmallVec<[Delta<'a>; 2]>;

/// A change of a row.
#[derive(Debug)]
pub struct Changed<'a> {
    /// When.
    pub at: Time,
    /// Where.
    pub node: NodeIx,
    /// The child of the row.
    pub child: &'a ChildId,
    /// The row before; `None` if there was none.
    pub before: Option<&'a Row>,
    /// The row after; `None` if it is gone.
    pub after: Option<&'a Row>,
    /// Entries (node and pid) that are in the row before and not after.
    pub gone: Deltas<'a>,
    /// Entries that are in the row after and not before.
    pub come: Deltas<'a>,
    /// Entries that are in both, if the metadata differ.
    pub restated: Deltas<'a>,
    /// The event, and what made it happen.
    pub origin: Origin,
    /// True if the child is named in raw requests or `rows`: outside every oracle that compares
    /// with the truth.
    pub is_raw: bool,
}

impl<'a> Changed<'a> {
    /// True if the metadata of the row's entries changed.
    #[must_use]
    pub(crate) fn has_new_metadata(&self) -> bool {
        match (self.before, self.after) {
            (Some(before), Some(after)) => has_new_metadata(before, after),
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }

    /// The owners of entries that came, went, or have other metadata now.
    pub(crate) fn touched(&self) -> impl Iterator<Item = NodeIx> + use<'_, 'a> {
        let moved = self.gone.iter().chain(&self.come).chain(&self.restated);
        moved.filter_map(|delta| delta.owner)
    }

    /// Takes a change apart. Without a `history`, no [`Delta`] has a life.
    pub(crate) fn new(
        (at, node, origin): (Time, NodeIx, Origin),
        child: &'a ChildId,
        before: Option<&'a Row>,
        after: Option<&'a Row>,
        facts: &'a Facts,
        history: Option<&'a History>,
    ) -> Self {
        let entries = |row: Option<&'a Row>| row.map_or(&Entries::EMPTY, |row| &row.entries);
        let (gone, come) = difference(entries(before), entries(after));
        let delta = |entry: &'a Entry| {
            let owner = facts.position(&entry.node);
            let life = || {
                let (owner, pid) = owner.zip(entry.pid.as_ref())?;
                let life = history?.life(owner, pid)?;
                (life.child == *child).then_some(life)
            };
            Delta {
                entry,
                owner,
                life: life(),
            }
        };
        let restated = match (before, after) {
            (Some(before), Some(after)) if has_new_metadata(before, after) => {
                let is_restated = |entry: &&Entry| {
                    let node = &entry.node;
                    before.metadata_on(node) != after.metadata_on(node) && !come.contains(entry)
                };
                after
                    .entries
                    .iter()
                    .filter(is_restated)
                    .map(delta)
                    .collect()
            }
            (_, _) => Deltas::new(),
        };
        Self {
            at,
            node,
            child,
            before,
            after,
            gone: gone.into_iter().map(delta).collect(),
            come: come.into_iter().map(delta).collect(),
            restated,
            origin,
            is_raw: facts.is_raw(child),
        }
    }
}

fn has_new_metadata(before: &Row, after: &Row) -> bool {
    before.metadata != after.metadata || before.entry_metadata != after.entry_metadata
}

type EntryRefs<'a> = SmallVec<[&'a Entry; 2]>;

/// Up to this many pairs of entries are compared one by one; beyond, the lists are sorted.
const PAIRS_MAX: usize = 256;

/// Returns the entries that only the old list has, and those that only the new one has. An entry
/// that occurs more often in one of them is in that list's difference as often.
fn difference<'a>(old: &'a Entries, new: &'a Entries) -> (EntryRefs<'a>, EntryRefs<'a>) {
    // Most changes are at one end.
    let (old, new) = old.difference(new);
    let (mut gone, mut come) = (EntryRefs::new(), EntryRefs::new());
    if old.len().saturating_mul(new.len()) <= PAIRS_MAX {
        come.extend(new);
        for entry in old {
            match come.iter().position(|other| *other == entry) {
                Some(at) => drop(come.remove(at)),
                None => gone.push(entry),
            }
        }
        return (gone, come);
    }
    let sorted = |list: &'a [Entry]| {
        let mut sorted: Vec<&Entry> = list.iter().collect();
        sorted.sort_unstable();
        sorted.into_iter().peekable()
    };
    let (mut old, mut new) = (sorted(old), sorted(new));
    loop {
        match (old.peek(), new.peek()) {
            (Some(a), Some(b)) if a == b => drop((old.next(), new.next())),
            (Some(a), Some(b)) if a < b => gone.extend(old.next()),
            (Some(_), Some(_)) => come.extend(new.next()),
            (_, _) => break,
        }
    }
    gone.extend(old);
    come.extend(new);
    (gone, come)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hublab_strategies::Pid;

    fn entries(text: &str) -> Entries {
        let entry = |word: &str| Entry {
            node: word[..1].into(),
            pid: Some(Pid::new(&word[1..])),
        };
        text.split_whitespace().map(entry).collect()
    }

    fn diff(old: &Entries, new: &Entries) -> (Entries, Entries) {
        let (gone, come) = difference(old, new);
        let owned = |list: EntryRefs<'_>| list.into_iter().cloned().collect();
        (owned(gone), owned(come))
    }

    #[test]
    fn what_moves_neither_comes_nor_goes() {
        for (old, new, gone, come) in [
            ("", "a1", "", "a1"),
            ("a1 b1 c1", "a1 b1", "c1", ""),
            ("a1 b1 c1", "c1 a1 b1", "", ""),
            ("a1 b1 c1", "b2 a1 c1", "b1", "b2"),
            ("a1", "a1 a1", "", "a1"),
            ("a1 a1 b1", "b1 a1", "a1", ""),
            ("a1 b1", "", "a1 b1", ""),
        ] {
            assert_eq!(
                diff(&entries(old), &entries(new)),
                (entries(gone), entries(come)),
                "{old} -> {new}"
            );
        }
    }

    #[test]
    fn long_lists_are_told_apart_as_short_ones_are() {
        let letters: Vec<char> = ('a'..='z').collect();
        let word = |number: usize| format!("{}{number} ", letters[number % letters.len()]);
        let old: String = (0..40).map(word).collect();
        let new: String = (3..43).rev().map(word).collect();
        let (gone, mut come) = diff(&entries(&old), &entries(&new));
        assert_eq!(gone, entries("a0 b1 c2"));
        come.as_mut_slice().sort();
        let mut expected = entries("o40 p41 q42");
        expected.as_mut_slice().sort();
        assert_eq!(come, expected);
    }
}
