//! [`Replica`]: what one node knows of one replica's rows. Pure: no clock, no network.

use std::collections::{BTreeMap, BTreeSet};

use crate::fact::Fact;
use crate::name::ChildId;
use crate::owner_log::{NUMBERS, Operation, Ranges, Running, cover, covers};

/// An observed-remove set of rows that one replica added. A row is tagged with the replica's clock at its
/// addition; a tag that was seen and has no row was removed.
///
/// What is sent is one, too: the rows of some tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Replica {
    /// The clocks of the changes that are here with all they did.
    clocks: Ranges,
    /// The tags that were seen, those of removals behind a gap included: the causal context.
    seen: Ranges,
    rows: BTreeMap<u64, Running>,
    /// The tags of each child.
    tags: BTreeMap<ChildId, BTreeSet<u64>>,
    /// The length of the encoding of the rows.
    bytes: u64,
}

impl Replica {
    /// The rows and removals of the changes of some clocks. What is no range, and rows of other tags, do not
    /// count.
    pub(super) fn of(clocks: &[(u64, u64)], removed: &[(u64, u64)], rows: &[Running]) -> Self {
        let mut part = Self::default();
        let is_range = |range: &&(u64, u64)| range.0 < range.1;
        cover(&mut part.clocks, clocks.iter().filter(is_range).copied());
        let all = removed.iter().chain(clocks).filter(is_range);
        cover(&mut part.seen, all.copied());
        for row in rows {
            if covers(&part.seen, row.seq) && !part.rows.contains_key(&row.seq) {
                part.put(row);
            }
        }
        part
    }

    /// The change of the next clock: what it adds, and the tags that it removes.
    pub(super) fn of_change(&self, fact: &Fact) -> Self {
        let clock = self.clock() + 1;
        let removed = self.tags.get(&fact.child).into_iter().flatten();
        let removed: Vec<_> = removed.map(|tag| (tag - 1, *tag)).collect();
        let clocks = [(clock - 1, clock)];
        let operation = Operation::of(fact, clock, self.row(&fact.child));
        Self::of(&clocks, &removed, operation.running().cloned().as_slice())
    }

    /// The clock up to which all changes are here.
    pub(super) fn clock(&self) -> u64 {
        let first = self.clocks.first().filter(|(after, _)| *after == 0);
        first.map_or(0, |(_, until)| *until)
    }

    /// The highest clock that was seen.
    pub(super) fn last(&self) -> u64 {
        self.seen.last().map_or(0, |(_, until)| *until)
    }

    /// The clocks of the changes that are here.
    pub(super) fn clocks(&self) -> &Ranges {
        &self.clocks
    }

    /// The tags that were removed by changes that are here, as far as those that added them are not.
    pub(super) fn removed(&self) -> Ranges {
        let seen = self.seen.iter();
        let removed = seen.filter(|range| !self.clocks.contains(range));
        removed.copied().collect()
    }

    /// The rows, by tag.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Running> {
        self.rows.values()
    }

    /// The children that run, by id.
    pub(super) fn children(&self) -> impl Iterator<Item = &ChildId> {
        self.tags.keys()
    }

    /// The row of a child: that of its last tag.
    pub(super) fn row(&self, child: &ChildId) -> Option<&Running> {
        self.rows.get(self.tags.get(child)?.last()?)
    }

    /// The bytes of the rows as they are encoded, and two numbers for each tag and range.
    pub(super) fn state_bytes(&self) -> u64 {
        self.bytes + NUMBERS * (self.rows.len() + self.seen.len() + self.clocks.len()) as u64
    }

    /// Joins the two: a row stays if both have it, or if one has it and the other has not seen its tag.
    /// Returns the children whose rows may have changed.
    pub(super) fn merge(&mut self, other: &Self) -> BTreeSet<ChildId> {
        let ranges = other.seen.iter();
        let covered = ranges.flat_map(|(after, until)| self.rows.range(after + 1..=*until));
        let gone = covered.filter(|(tag, _)| !other.rows.contains_key(tag));
        let gone: Vec<_> = gone.map(|(tag, _)| *tag).collect();
        let mut changed = BTreeSet::new();
        for tag in gone {
            changed.extend(self.remove(tag));
        }
        for (tag, row) in &other.rows {
            if !covers(&self.seen, *tag) {
                self.put(row);
                changed.insert(row.spec.id().clone());
            }
        }
        cover(&mut self.seen, other.seen.iter().copied());
        cover(&mut self.clocks, other.clocks.iter().copied());
        changed
    }

    fn put(&mut self, row: &Running) {
        self.bytes += row.encoded_len();
        let tags = self.tags.entry(row.spec.id().clone()).or_default();
        tags.insert(row.seq);
        self.rows.insert(row.seq, row.clone());
    }

    fn remove(&mut self, tag: u64) -> Option<ChildId> {
        let row = self.rows.remove(&tag)?;
        self.bytes -= row.encoded_len();
        let child = row.spec.id();
        if let Some(tags) = self.tags.get_mut(child) {
            tags.remove(&tag);
            if tags.is_empty() {
                self.tags.remove(child);
            }
        }
        Some(child.clone())
    }
}
