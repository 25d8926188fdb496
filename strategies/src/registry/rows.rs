//! The rows themselves: a slab, and a hash table from child to place in it.

use hashbrown::HashTable;

use crate::child::{ChildSpec, EntryMetadata, Metadata, Row};
use crate::entries::Entries;
use crate::name::ChildId;
use crate::registry::RowRef;
use crate::time::Time;

/// A row in 48 bytes: the child's id is that of its specification, and "never" is a time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) spec: ChildSpec,
    pub(super) entries: Entries,
    metadata: Metadata,
    expires_at: Time,
}

/// The expiry of rows that do not expire; also that of a sum that saturates.
const NEVER: Time = Time(u64::MAX);

impl Slot {
    pub(super) fn new(
        spec: ChildSpec,
        entries: Entries,
        metadata: Metadata,
        expires_at: Option<Time>,
    ) -> Self {
        Self {
            spec,
            entries,
            metadata,
            expires_at: expires_at.unwrap_or(NEVER),
        }
    }

    /// The same row with other entries.
    pub(super) fn with_entries(&self, entries: Entries, expires_at: Option<Time>) -> Self {
        Self::new(
            self.spec.clone(),
            entries,
            self.metadata.clone(),
            expires_at,
        )
    }

    fn expiry(&self) -> Option<Time> {
        (self.expires_at != NEVER).then_some(self.expires_at)
    }

    /// The row, taken to have no metadata of single entries.
    pub(super) fn view(&self) -> RowRef<'_> {
        RowRef {
            spec: &self.spec,
            entries: &self.entries,
            metadata: &self.metadata,
            entry_metadata: &EntryMetadata::NONE,
            expires_at: self.expiry(),
        }
    }

    /// The row, with the metadata of its single entries.
    pub(super) fn into_row(self, entry_metadata: EntryMetadata) -> Row {
        let expires_at = self.expiry();
        Row {
            spec: self.spec,
            entries: self.entries,
            metadata: self.metadata,
            entry_metadata,
            expires_at,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Rows {
    slots: Slots,
    free: Vec<u32>,
    table: HashTable<Key>,
}

/// A slot of the table: enough of the child's hash to compare it and to grow without looking
/// at the row, and the row's place.
#[derive(Debug, Clone, Copy)]
struct Key {
    hash: u32,
    at: u32,
}

/// The half of a child's hash that a [`Key`] has room for.
fn half_hash(child: &ChildId) -> u32 {
    (child.text_hash() >> 32) as u32
}

/// A half hash spread over the 64 bits that the table looks at.
fn spread(half: u32) -> u64 {
    u64::from(half).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A slab that grows by chunks and never moves what is in it: a large registry has no slack to
/// speak of and leaves no holes behind, a small one stays small.
#[derive(Debug, Default)]
struct Slots(Vec<Vec<Option<Slot>>>);

/// Rows per chunk.
const CHUNK: usize = 256;

impl Slots {
    fn get(&self, at: u32) -> Option<&Slot> {
        let at = at as usize;
        self.0.get(at / CHUNK)?.get(at % CHUNK)?.as_ref()
    }

    /// # Panics
    /// If there is no such place.
    fn place(&mut self, at: u32) -> &mut Option<Slot> {
        &mut self.0[at as usize / CHUNK][at as usize % CHUNK]
    }

    fn push(&mut self, slot: Slot) -> u32 {
        if self.0.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            let room = if self.0.is_empty() { 0 } else { CHUNK };
            self.0.push(Vec::with_capacity(room));
        }
        let full = (self.0.len() - 1) * CHUNK;
        let chunk = self.0.last_mut().expect("a chunk with room");
        chunk.push(Some(slot));
        u32::try_from(full + chunk.len() - 1).expect("fewer than 2^32 rows")
    }
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.slots.0.iter().map(Vec::capacity).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.0.iter().flatten().flatten()
    }

    /// Makes room for those of these children that have no row, and returns their number: one
    /// look at all of them first, so that memory is asked for their places at once and not one
    /// after the other.
    pub(super) fn make_room<'a>(&mut self, children: impl Iterator<Item = &'a ChildId>) -> usize {
        let missing = children.filter(|child| self.find(child).is_none()).count();
        self.table.reserve(missing, |key| spread(key.hash));
        missing
    }

    pub(super) fn find(&self, child: &ChildId) -> Option<u32> {
        let hash = half_hash(child);
        let is_it = |key: &Key| key.hash == hash && self.slot(key.at).spec.id() == child;
        self.table.find(spread(hash), is_it).map(|key| key.at)
    }

    /// # Panics
    /// If nothing is stored there: a position outlived its row.
    pub(super) fn slot(&self, at: u32) -> &Slot {
        self.slots
            .get(at)
            .expect("a position in the table names a stored row")
    }

    /// # Panics
    /// As [`Self::slot`].
    pub(super) fn slot_mut(&mut self, at: u32) -> &mut Slot {
        let place = self.slots.place(at).as_mut();
        place.expect("a position in the table names a stored row")
    }

    /// Stores another row of the same child. Returns the one that was there.
    ///
    /// # Panics
    /// As [`Self::slot`].
    pub(super) fn replace(&mut self, at: u32, slot: Slot) -> Slot {
        self.slots
            .place(at)
            .replace(slot)
            .expect("a row is replaced by one of the same child")
    }

    /// Stores a row whose child has none yet. Returns its place.
    ///
    /// # Panics
    /// If there are 2^32 rows: over 400 GiB of them.
    pub(super) fn insert(&mut self, slot: Slot) -> u32 {
        let hash = half_hash(slot.spec.id());
        let at = match self.free.pop() {
            Some(at) => {
                *self.slots.place(at) = Some(slot);
                at
            }
            None => self.slots.push(slot),
        };
        let key = Key { hash, at };
        self.table
            .insert_unique(spread(hash), key, |key| spread(key.hash));
        at
    }

    pub(super) fn remove(&mut self, child: &ChildId) -> Option<(u32, Slot)> {
        let (slots, hash) = (&self.slots, half_hash(child));
        let is_it = |key: &Key| {
            key.hash == hash
                && slots
                    .get(key.at)
                    .is_some_and(|slot| slot.spec.id() == child)
        };
        let (Key { at, .. }, _) = self.table.find_entry(spread(hash), is_it).ok()?.remove();
        self.free.push(at);
        Some((at, self.slots.place(at).take()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_takes_48_bytes() {
        assert_eq!(size_of::<Option<Slot>>(), 48);
    }
}
