//! [`Entries`]: the list of a row, shared between the row's states.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::child::Entry;

/// The ordered (node, pid) list of a row. Nothing enforces that a node occurs once.
///
/// Most rows have one entry, which lies in the row. A longer list is shared: a copy counts one
/// reference, and [`Self::extended`] shares what both lists begin with.
#[derive(Clone, Default)]
pub struct Entries(List);

#[derive(Clone, Default)]
enum List {
    #[default]
    Empty,
    One(Entry),
    /// The first entries of a list; those behind them belong to a list that was made of it.
    Shared(Arc<Vec<Entry>>, u32),
}

impl Entries {
    /// No entries.
    pub const EMPTY: Self = Self(List::Empty);

    /// Returns the list with more entries at its end. Costs as much as they do, however long the
    /// list is, unless a copy of it is held elsewhere.
    #[must_use]
    pub fn extended(&mut self, more: impl IntoIterator<Item = Entry>) -> Self {
        if let List::Shared(list, len) = &mut self.0
            && let Some(vec) = Arc::get_mut(list)
        {
            vec.truncate(*len as usize);
            vec.extend(more);
            let len = length(vec);
            return Self(List::Shared(Arc::clone(list), len));
        }
        self.iter().cloned().chain(more).collect()
    }

    /// Appends an entry.
    pub fn push(&mut self, entry: Entry) {
        *self = self.extended([entry]);
    }

    /// Keeps the entries that meet a condition.
    pub fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        if !self.iter().all(&keep) {
            *self = self.iter().filter(|entry| keep(entry)).cloned().collect();
        }
    }

    /// The entries, to be changed in place; copied first if the list is shared.
    pub fn as_mut_slice(&mut self) -> &mut [Entry] {
        match &mut self.0 {
            List::Empty => &mut [],
            List::One(entry) => std::slice::from_mut(entry),
            List::Shared(list, len) => &mut Arc::make_mut(list)[..*len as usize],
        }
    }

    /// How many entries this list and another have in common at the start, and how many behind
    /// those at the end. What lists share is not read.
    #[must_use]
    pub fn common_ends(&self, other: &Self) -> (usize, usize) {
        let head = self.common_start(other);
        let ends = self[head..].iter().rev().zip(other[head..].iter().rev());
        (head, ends.take_while(|(a, b)| a == b).count())
    }

    /// What is between the common ends in this list, and what in another.
    #[must_use]
    pub fn difference<'a>(&'a self, other: &'a Self) -> (&'a [Entry], &'a [Entry]) {
        let (head, tail) = self.common_ends(other);
        let middle = |list: &'a Self| &list[head..list.len() - tail];
        (middle(self), middle(other))
    }

    fn common_start(&self, other: &Self) -> usize {
        if let (List::Shared(a, a_len), List::Shared(b, b_len)) = (&self.0, &other.0)
            && Arc::ptr_eq(a, b)
        {
            return (*a_len).min(*b_len) as usize;
        }
        let pairs = self.iter().zip(other.iter());
        pairs.take_while(|(a, b)| a == b).count()
    }
}

/// # Panics
/// If a row has 2^32 entries: 64 GiB of them.
fn length(list: &[Entry]) -> u32 {
    u32::try_from(list.len()).expect("fewer than 2^32 entries")
}

impl Deref for Entries {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        match &self.0 {
            List::Empty => &[],
            List::One(entry) => std::slice::from_ref(entry),
            List::Shared(list, len) => &list[..*len as usize],
        }
    }
}

impl From<Vec<Entry>> for Entries {
    fn from(mut list: Vec<Entry>) -> Self {
        Self(match list.len() {
            0 => List::Empty,
            1 => list.pop().map_or(List::Empty, List::One),
            _ => {
                let len = length(&list);
                List::Shared(Arc::new(list), len)
            }
        })
    }
}

impl From<Entry> for Entries {
    fn from(entry: Entry) -> Self {
        Self(List::One(entry))
    }
}

impl FromIterator<Entry> for Entries {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut entries = entries.into_iter();
        match (entries.next(), entries.next()) {
            (None, _) => Self::EMPTY,
            (Some(only), None) => only.into(),
            (Some(first), Some(second)) => {
                let mut list = Vec::with_capacity(entries.size_hint().0.saturating_add(2));
                list.extend([first, second]);
                list.extend(entries);
                list.into()
            }
        }
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.common_start(other) == self.len()
    }
}

impl Eq for Entries {}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entries {
    /// Reads it as any list, which reserves no more than bytes may claim.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: usize) -> Entry {
        Entry {
            node: format!("n{number}").into(),
            pid: None,
        }
    }

    fn list(numbers: std::ops::Range<usize>) -> Entries {
        numbers.map(entry).collect()
    }

    #[test]
    fn a_list_and_what_it_was_extended_to_share_their_memory() {
        let mut short = list(0..2);
        let mut long = short.extended([entry(2)]);
        let longer = long.extended([entry(3)]);
        // Two lists hold the memory now: this one is on its own.
        assert_eq!(
            [&short, &long, &longer],
            [&list(0..2), &list(0..3), &list(0..4)]
        );
        let is_shared = |other: &Entries| std::ptr::eq(&raw const short[0], &raw const other[0]);
        assert!(is_shared(&long));
        assert!(!is_shared(&longer));
        assert_eq!(short.common_ends(&long), (2, 0));
    }

    #[test]
    fn a_difference_is_what_lies_between_the_common_ends() {
        for (old, new, ends) in [
            (list(0..0), list(0..2), (0, 0)),
            (list(1..4), list(0..4), (0, 3)),
            (list(0..4), list(0..3), (3, 0)),
            (
                [0, 1, 2].map(entry).into_iter().collect(),
                [0, 2].map(entry).into_iter().collect(),
                (1, 1),
            ),
            // A repetition counts at one end only.
            (
                [0, 0].map(entry).into_iter().collect(),
                entry(0).into(),
                (1, 0),
            ),
        ] {
            assert_eq!(old.common_ends(&new), ends, "{old:?} {new:?}");
            let (gone, come) = old.difference(&new);
            assert_eq!(gone.len() + ends.0 + ends.1, old.len());
            assert_eq!(come.len() + ends.0 + ends.1, new.len());
        }
    }

    #[test]
    fn a_list_that_was_extended_can_be_extended_otherwise() {
        let mut short = list(0..3);
        drop(short.extended([entry(3)]));
        assert_eq!(short.extended([entry(7)])[3], entry(7));
        let held = short.extended([entry(8)]);
        let other = short.extended([entry(9)]);
        assert_eq!((&held[3], &other[3]), (&entry(8), &entry(9)));
        assert_eq!(short, list(0..3));
    }

    #[test]
    fn a_copy_is_changed_alone() {
        for len in [0, 1, 2, 5] {
            let original = list(0..len);
            let mut copy = original.clone();
            for entry in copy.as_mut_slice() {
                entry.pid = Some("p".into());
            }
            copy.push(entry(9));
            assert_eq!(original, list(0..len));
            assert_eq!(copy.len(), len + 1);
            copy.retain(|entry| entry.pid.is_none());
            assert_eq!(copy, entry(9).into());
        }
    }
}
