//! [`Replica`]: what one node knows of what another runs. Pure: no clock, no network.

use std::collections::{BTreeMap, BTreeSet};

use super::message::{Delta, Head};
use crate::name::{ChildId, NodeId};
use crate::owner_log::{Operation, Running};
use crate::wire;

/// The last change of each child of an owner, in one of its incarnations.
///
/// For each child, the last change up to `max` is here, or a later one follows above `max`; removals up
/// to `gc` may be dropped. Rows above `max` are those of an earlier state while a reset goes on: they are
/// shown until it has come to them, and not passed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replica {
    incarnation: u64,
    gc: u64,
    max: u64,
    /// The highest `max` so far. A change up to here that has no entry is out of date.
    seen: u64,
    entries: BTreeMap<ChildId, Operation>,
    /// Which child has the entry of a number.
    order: BTreeMap<u64, ChildId>,
    /// The length of the encoding of the entries.
    bytes: u64,
}

impl Replica {
    /// Knows nothing of that incarnation.
    #[must_use]
    pub fn new(incarnation: u64) -> Self {
        Self {
            incarnation,
            ..Self::default()
        }
    }

    /// Nothing runs after so many changes, and all removals have been dropped.
    pub(super) fn emptied(incarnation: u64, max: u64) -> Self {
        Self {
            gc: max,
            max,
            seen: max,
            ..Self::new(incarnation)
        }
    }

    /// The owner's incarnation.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The number up to which removals have been dropped.
    #[must_use]
    pub fn gc(&self) -> u64 {
        self.gc
    }

    /// The number up to which everything is here.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The children that run, by id.
    pub fn rows(&self) -> impl Iterator<Item = &Running> {
        self.entries.values().filter_map(Operation::running)
    }

    /// A child that runs.
    #[must_use]
    pub fn row(&self, child: &ChildId) -> Option<&Running> {
        self.entries.get(child)?.running()
    }

    /// How far this is.
    #[must_use]
    pub fn head(&self, owner: &NodeId) -> Head {
        Head {
            owner: owner.clone(),
            incarnation: self.incarnation,
            gc: self.gc,
            max: self.max,
        }
    }

    /// The bytes of the entries as they are encoded.
    #[must_use]
    pub(super) fn state_bytes(&self) -> u64 {
        self.bytes
    }

    /// Notes the next change, as the owner.
    pub(super) fn record(&mut self, operation: Operation) {
        self.max = operation.seq();
        self.seen = self.max;
        self.put(operation);
    }

    /// Drops the removals up to `gc`, if everything up to there is known.
    pub fn collect(&mut self, gc: u64) {
        if gc <= self.gc || self.max < gc {
            return;
        }
        self.gc = gc;
        let until_gc = self.order.range(..=gc).map(|(_, child)| child);
        let gone = until_gc.filter(|child| self.row(child).is_none());
        for child in gone.cloned().collect::<Vec<_>>() {
            self.drop_entry(&child);
        }
    }

    /// Drops the removals up to `mark`, as the owner. Where there is none, nobody needs a reset.
    pub(super) fn expire(&mut self, mark: u64) {
        let mut earlier = self.order.range(..=mark).rev();
        if let Some((last, _)) = earlier.find(|(_, child)| self.row(child).is_none()) {
            self.collect(*last);
        }
    }

    /// The number above which a node needs entries that is as far as `theirs` says; `None` if it has all.
    #[must_use]
    pub fn start_for(&self, theirs: &Head) -> Option<u64> {
        if theirs.incarnation > self.incarnation || self.max == 0 {
            return None;
        }
        if theirs.incarnation < self.incarnation {
            return Some(0);
        }
        // A reset goes on with those who have dropped the same removals.
        if theirs.max >= self.max || theirs.max < theirs.gc && self.gc < theirs.gc {
            return None;
        }
        let is_reset = theirs.gc < self.gc && theirs.max < self.gc;
        Some(if is_reset { 0 } else { theirs.max })
    }

    /// The entries above `from` that have room in so many bytes, one at least if `takes_one`, and their
    /// length.
    #[must_use]
    pub fn delta(&self, owner: &NodeId, from: u64, room: u64, takes_one: bool) -> (Delta, u64) {
        let (mut until, mut bytes, mut entries) = (from, 0, Vec::new());
        let mut above = self.order.range(from + 1..=self.max);
        let is_whole = above.all(|(version, child)| {
            let entry = &self.entries[child];
            let len = wire::encoded_len(entry);
            let fits = bytes + len <= room || takes_one && entries.is_empty();
            if fits {
                (until, bytes) = (*version, bytes + len);
                entries.push(entry.clone());
            }
            fits
        });
        let delta = Delta {
            owner: owner.clone(),
            incarnation: self.incarnation,
            gc: self.gc,
            from,
            until: if is_whole { self.max } else { until },
            entries,
        };
        (delta, bytes)
    }

    /// Applies a delta of this incarnation, if it continues what is here or is a reset with a higher gc.
    /// Returns the children whose rows changed.
    pub fn apply(&mut self, delta: &Delta) -> Vec<ChildId> {
        if delta.from == 0 && self.gc < delta.gc && self.max < delta.gc {
            (self.gc, self.max) = (delta.gc, 0);
        }
        // Of removals that the sender dropped, those of rows here must have been seen. And what is left of
        // a reset must come from a state that has them, too.
        let is_complete = if self.max < self.gc {
            delta.gc == self.gc
        } else {
            delta.gc <= self.max
        };
        if !is_complete || delta.from > self.max || delta.until <= self.max {
            return Vec::new();
        }
        let listed: BTreeSet<u64> = delta.entries.iter().map(Operation::seq).collect();
        let covered = self.order.range(self.max + 1..=delta.until);
        let unlisted = covered.filter(|(version, _)| !listed.contains(version));
        let unlisted: Vec<_> = unlisted.map(|(_, child)| child.clone()).collect();
        let mut changed = Vec::new();
        for child in unlisted {
            if self
                .drop_entry(&child)
                .as_ref()
                .and_then(Operation::running)
                .is_some()
            {
                changed.push(child);
            }
        }
        for entry in &delta.entries {
            if entry.seq() > self.seen && entry.seq() <= delta.until {
                changed.extend(self.put(entry.clone()));
            }
        }
        self.max = delta.until;
        self.seen = self.seen.max(self.max);
        changed
    }

    /// Returns the child if its row changed.
    fn put(&mut self, entry: Operation) -> Option<ChildId> {
        let (child, version) = (entry.child().clone(), entry.seq());
        let is_known = |old: &Operation| old.seq() >= version;
        if self.entries.get(&child).is_some_and(is_known) || self.order.contains_key(&version) {
            return None;
        }
        let old = self.drop_entry(&child);
        let is_row =
            entry.running().is_some() || old.as_ref().and_then(Operation::running).is_some();
        // While a reset goes on, a node that has not dropped a removal yet may still send it.
        if version > self.gc || entry.running().is_some() {
            self.bytes += wire::encoded_len(&entry);
            self.order.insert(version, child.clone());
            self.entries.insert(child.clone(), entry);
        }
        is_row.then_some(child)
    }

    fn drop_entry(&mut self, child: &ChildId) -> Option<Operation> {
        let old = self.entries.remove(child)?;
        self.order.remove(&old.seq());
        self.bytes -= wire::encoded_len(&old);
        Some(old)
    }
}
