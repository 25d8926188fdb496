//! [`Registry`]: what one node believes about who runs where, with the exact rules of docs/protocol.md
//! sections 2 and 3, list order included.
//!
//! It owns the rows, an index by node and an index by expiry, and nothing else: no clock, no
//! network. Every mutation reports the rows that it changed; what changes nothing reports nothing.
//! Nothing here ever scans all rows: not `detach_data`, which asks the index by node, and not the
//! janitor, which asks the index by expiry.

mod index;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use crate::child::{ChildSpec, Entry, EntryMetadata, Metadata, Row, RowChange};
use crate::entries::Entries;
use crate::name::{ChildId, NameHasher, NodeId, Pid};
use crate::names::NodeSet;
use crate::profile::Profile;
use crate::request::{Registration, Unregistration};
use crate::snapshot::{LocalChild, Snapshot};
use crate::time::Time;

use index::NodeIndex;

use rows::{Rows, Slot};

/// Where a mutation reports each row it changed, in the order in which it changed them.
pub type Sink<'a> = &'a mut dyn FnMut(RowChange);

/// A row, borrowed from the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowRef<'a> {
    /// The child's specification; its id is the row's key.
    pub spec: &'a ChildSpec,
    /// Where it runs, in stored order; empty for a tombstone.
    pub entries: &'a Entries,
    /// Its metadata: those of every entry that has none of its own.
    pub metadata: &'a Metadata,
    /// The metadata of single entries.
    pub entry_metadata: &'a EntryMetadata,
    /// When the janitor may remove the row.
    pub expires_at: Option<Time>,
}

impl<'a> RowRef<'a> {
    /// The child's id.
    #[must_use]
    pub fn child(&self) -> &'a ChildId {
        self.spec.id()
    }

    /// The pid that stands first under `node`. `None` if there is no entry, `Some(None)` if the
    /// entry has no pid.
    #[must_use]
    pub fn pid_on(&self, node: &NodeId) -> Option<Option<&'a Pid>> {
        self.entries
            .iter()
            .find(|entry| entry.node == *node)
            .map(|entry| entry.pid.as_ref())
    }

    /// The metadata of a node's entry: its own, or the row's.
    #[must_use]
    pub fn metadata_on(&self, node: &NodeId) -> &'a Metadata {
        self.entry_metadata.get(node).unwrap_or(self.metadata)
    }

    /// An owned copy, which shares what it can.
    #[must_use]
    pub fn to_row(&self) -> Row {
        Row {
            spec: self.spec.clone(),
            entries: self.entries.clone(),
            metadata: self.metadata.clone(),
            entry_metadata: self.entry_metadata.clone(),
            expires_at: self.expires_at,
        }
    }
}

/// The rows of one node.
///
/// A row with no entries (a tombstone, or a row registered with an empty list) counts as absent
/// for every rule but [`Registry::put`]; look-ups show it, so that tests and tools can see it.
///
/// Memory, per (node, row) pair with one entry per row: 48 bytes of row, 10 to 20 of hash table and
/// about 20 of index, and next to no slack in the slab. Metadata of single entries lie apart, by
/// child: rows without them take no room for them.
#[derive(Debug, Default)]
pub struct Registry {
    rows: Rows,
    by_node: NodeIndex,
    /// Of rows with entries that have metadata of their own; only ever asked by child.
    entry_metadata: HashMap<ChildId, EntryMetadata, NameHasher>,
    /// Rows that carry an expiry, soonest first.
    expiries: BTreeSet<(Time, ChildId)>,
    entries: usize,
    empty: usize,
    profile: Profile,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Follows the rules of another profile from here on.
    pub fn set_profile(&mut self, profile: Profile) {
        self.profile = profile;
    }

    /// The profile whose rules it follows.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The number of rows, those without entries included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True if there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 0
    }

    /// The number of entries over all rows.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// The number of rows without entries.
    #[must_use]
    pub fn tombstones(&self) -> usize {
        self.empty
    }

    /// The row of a child, with or without entries.
    #[must_use]
    pub fn get(&self, child: &ChildId) -> Option<RowRef<'_>> {
        self.rows
            .find(child)
            .map(|at| self.view(self.rows.slot(at)))
    }

    fn view<'a>(&'a self, slot: &'a Slot) -> RowRef<'a> {
        let row = slot.view();
        RowRef {
            entry_metadata: self.metadata_of(row.child()),
            ..row
        }
    }

    fn metadata_of(&self, child: &ChildId) -> &EntryMetadata {
        if self.entry_metadata.is_empty() {
            return &EntryMetadata::NONE;
        }
        let found = self.entry_metadata.get(child);
        found.unwrap_or(&EntryMetadata::NONE)
    }

    /// All rows in the order of their children's names. Sorts: for tests, tools and reports.
    pub fn rows(&self) -> impl Iterator<Item = RowRef<'_>> {
        let mut rows: Vec<_> = self.rows.iter().map(|slot| self.view(slot)).collect();
        rows.sort_unstable_by(|a, b| a.child().cmp(b.child()));
        rows.into_iter()
    }

    /// The children with an entry of `node`, in the order of their names.
    pub fn children_of(&self, node: &NodeId) -> impl Iterator<Item = &ChildId> {
        self.by_node.rows(node).map(|(child, _)| child)
    }

    /// The snapshot of `node`: every row with an entry of it, in the order of the children's names.
    #[must_use]
    pub fn local_data(&self, node: &NodeId) -> Snapshot {
        let local = |(_, at): (&ChildId, u32)| {
            let row = self.view(self.rows.slot(at));
            let pid = row.pid_on(node)?.cloned();
            Some(LocalChild {
                spec: row.spec.clone(),
                pid,
                metadata: row.metadata_on(node).clone(),
            })
        };
        Snapshot::new(self.by_node.rows(node).filter_map(local).collect())
    }

    /// Bulk insert: the `PidsRegister` of docs/protocol.md section 2.
    ///
    /// An absent row is inserted as given. A present one is left alone if it has the same entries
    /// in any order; else its entries of other nodes stay, in order, the new list follows, and
    /// specification and metadata are replaced.
    pub fn register(&mut self, rows: &[Registration], sink: Sink<'_>) {
        for row in rows {
            let at = self.rows.find(row.spec.id());
            let stored = at.map_or(&[][..], |at| &self.rows.slot(at).entries);
            let is_there = self.is_row(at) && same_entries(stored, &row.entries);
            if is_there {
                continue;
            }
            let mut own = self.metadata_of(row.spec.id()).clone();
            let come = row.entries.iter().map(|entry| self.by_node.entry(entry));
            let is_stored = |entry: &Entry| self.by_node.has(&entry.node, row.spec.id());
            let entries = match at {
                Some(at) if !row.entries.iter().any(is_stored) => {
                    self.rows.slot_mut(at).entries.extended(come)
                }
                _ => {
                    let named = node_set(&row.entries);
                    own.retain(|node| !named.contains(node));
                    let kept = stored.iter().filter(|entry| !named.contains(&entry.node));
                    kept.cloned().chain(come).collect()
                }
            };
            let slot = Slot::new(row.spec.clone(), entries, row.metadata.clone(), None);
            self.write_with(at, slot, own, sink);
        }
    }

    /// Bulk delete: the `PidsUnregister` of docs/protocol.md section 2. Pids are not compared. A row
    /// left without entries stays as a tombstone until `expires_at`; in `v041` it is deleted.
    pub fn unregister(&mut self, rows: &[Unregistration], expires_at: Time, sink: Sink<'_>) {
        for row in rows {
            let Some(at) = self.row(&row.child) else {
                continue;
            };
            let slot = self.rows.slot(at);
            let named = NodeSet::new(row.nodes.iter());
            let entries = without(&slot.entries, |node| named.contains(node));
            if entries.is_empty() && self.profile == Profile::V041 {
                self.delete(&row.child, sink);
                continue;
            }
            let expiry = entries.is_empty().then_some(expires_at);
            self.write(Some(at), slot.with_entries(entries, expiry), sink);
        }
    }

    /// One node's pid of one child changes: the `PidUpdate` of docs/protocol.md section 2. The entry
    /// moves to the front, or is put there if the node had none. An absent row is left absent.
    pub fn pid_update(
        &mut self,
        child: &ChildId,
        node: &NodeId,
        pid: Option<&Pid>,
        sink: Sink<'_>,
    ) {
        if let Some(at) = self.row(child) {
            self.put_in_front(at, node, pid, sink);
        }
    }

    /// True if a pid update of this child would end the coordinator of the original: the row is
    /// absent, in `v041`.
    pub(crate) fn refuses_pid_update(&self, child: &ChildId) -> bool {
        self.profile == Profile::V041 && self.row(child).is_none()
    }

    /// Adds the children that nodes' snapshots list (docs/protocol.md section 3), in the order of
    /// `data`, which should be ascending by node.
    ///
    /// An absent row is inserted. In a present one the node's entry takes the new pid and moves to
    /// the front if the pid differs (no entry counts as no pid); specification and metadata stay, but
    /// are replaced in `v05_e1`. In `v041` they are replaced always, and the entry keeps its place.
    pub fn append_data(&mut self, data: &[(&NodeId, &Snapshot)], sink: Sink<'_>) {
        for (node, snapshot) in data {
            let children = snapshot.children();
            let changed = &children[self.unchanged(node, children)..];
            let ids = || changed.iter().map(|child| child.spec.id());
            let missing = self.rows.make_room(ids());
            if missing == changed.len() && ids().is_sorted_by(|a, b| a < b) {
                self.append_new(node, changed, sink);
            } else {
                for child in changed {
                    self.append_child(node, child, sink);
                }
            }
        }
    }

    /// How many children at the head of a snapshot are stored as it says. Found by walking the
    /// index along the snapshot: in a steady round that is all of them, without a hash look-up.
    fn unchanged(&self, node: &NodeId, children: &[LocalChild]) -> usize {
        let rewrites = self.profile == Profile::V041;
        let same = |(child, (id, at)): &(&LocalChild, (&ChildId, u32))| {
            let row = self.rows.slot(*at).view();
            if rewrites && (child.spec != *row.spec || child.metadata != *row.metadata) {
                return false;
            }
            // Parts that share their memory are equal without being compared.
            (child.spec.is_same(row.spec) || child.spec.id() == *id)
                && row.pid_on(node) == Some(child.pid.as_ref())
        };
        children
            .iter()
            .zip(self.by_node.rows(node))
            .take_while(same)
            .count()
    }

    /// [`Self::append_child`] for different children without a row, which is most of what a node
    /// first hears of another. Counting a reference waits for all memory that was asked for before
    /// it: all references are counted first, then the places are filled at once.
    fn append_new(&mut self, node: &NodeId, children: &[LocalChild], sink: Sink<'_>) {
        let ids: Vec<ChildId> = children
            .iter()
            .map(|child| child.spec.id().clone())
            .collect();
        let slots: Vec<Slot> = children.iter().map(|child| only_on(node, child)).collect();
        let places: Vec<u32> = slots
            .into_iter()
            .map(|slot| self.rows.insert(slot))
            .collect();
        self.by_node.extend(node, ids.into_iter().zip(places));
        self.entries += children.len();
        for child in children {
            sink(RowChange {
                child: child.spec.id().clone(),
                before: None,
                after: Some(Box::new(only_on(node, child).into_row(EntryMetadata::NONE))),
            });
        }
    }

    fn append_child(&mut self, node: &NodeId, child: &LocalChild, sink: Sink<'_>) {
        let at = self.rows.find(child.spec.id());
        match at.filter(|at| self.has_entries(*at)) {
            None => self.write(at, only_on(node, child), sink),
            Some(at) => self.append_to(at, node, child, sink),
        }
    }

    /// [`Self::append_child`] to a row with entries.
    fn append_to(&mut self, at: u32, node: &NodeId, child: &LocalChild, sink: Sink<'_>) {
        let slot = self.rows.slot(at);
        let stored = slot.view().pid_on(node);
        let pid = child.pid.as_ref();
        let is_new = stored.flatten() != pid;
        let entries = match self.profile {
            Profile::V05E2 if is_new => return self.put_in_front(at, node, pid, sink),
            Profile::V05E1 if is_new => in_front(&slot.entries, node, pid),
            Profile::V05E1 | Profile::V05E2 => return,
            Profile::V041 if stored.is_some() => in_place(&slot.entries, node, pid),
            Profile::V041 => in_front(&slot.entries, node, pid),
        };
        let slot = Slot::new(child.spec.clone(), entries, child.metadata.clone(), None);
        self.write(Some(at), slot, sink);
    }

    /// Adds the entries of `node` that are missing, each at the end of its row, and rows that are
    /// absent. Entries that are there stay as they are (docs/protocol.md section 7.1).
    pub fn add_missing(&mut self, node: &NodeId, data: &Snapshot, sink: Sink<'_>) {
        for child in data.children() {
            let Some(at) = self.live(child.spec.id()) else {
                let at = self.rows.find(child.spec.id());
                self.write(at, only_on(node, child), sink);
                continue;
            };
            let slot = self.rows.slot(at);
            if slot.view().pid_on(node).is_none() {
                let come = Entry {
                    node: node.clone(),
                    pid: child.pid.clone(),
                };
                let slot = self.rows.slot_mut(at);
                let entries = slot.entries.extended([come]);
                let slot = slot.with_entries(entries, None);
                self.write(Some(at), slot, sink);
            }
        }
    }

    /// Removes the children that nodes' snapshots no longer list (docs/protocol.md section 3): the
    /// entries of each node of `data` in rows whose child its snapshot lacks. Rows left empty are
    /// deleted.
    ///
    /// Given several nodes it keeps the original's fault (anomaly R3): each removal starts from the
    /// row as it was, so of several removals in one row only that of the last entry counts.
    pub fn detach_data(&mut self, data: &[(&NodeId, &Snapshot)], sink: Sink<'_>) {
        let mut gone: BTreeMap<ChildId, Vec<&NodeId>> = BTreeMap::new();
        for (node, snapshot) in data {
            // The steady case: the snapshot of a well-behaved node is ordered and lists exactly
            // these.
            let children = snapshot.children();
            if children.len() == self.by_node.count(node)
                && children.len() == self.unchanged(node, children)
            {
                continue;
            }
            for child in self.by_node.missing(node, snapshot) {
                gone.entry(child).or_default().push(node);
            }
        }
        for (child, nodes) in gone {
            let Some(at) = self.live(&child) else {
                continue;
            };
            let slot = self.rows.slot(at);
            let Some(last) = slot
                .entries
                .iter()
                .rev()
                .find(|entry| nodes.contains(&&entry.node))
            else {
                continue;
            };
            let entries = without(&slot.entries, |node| *node == last.node);
            if entries.is_empty() {
                self.delete(&child, sink);
            } else {
                self.write(Some(at), slot.with_entries(entries, None), sink);
            }
        }
    }

    /// The janitor: deletes rows whose expiry is at or before `now`, soonest first.
    pub fn purge(&mut self, now: Time, sink: Sink<'_>) {
        while let Some((_, child)) = self.expiries.first().filter(|(at, _)| *at <= now) {
            let child = child.clone();
            self.delete(&child, sink);
        }
    }

    /// Puts a row in as it is, replacing any row of that child.
    pub fn put(&mut self, row: Row, sink: Sink<'_>) {
        let at = self.rows.find(row.spec.id());
        let slot = Slot::new(row.spec, row.entries, row.metadata, row.expires_at);
        self.write_with(at, slot, row.entry_metadata, sink);
    }

    /// For strategies with rules of their own: deletes a row, with or without entries.
    pub fn delete_row(&mut self, child: &ChildId, sink: Sink<'_>) {
        self.delete(child, sink);
    }

    /// For strategies with rules of their own: sets one node's entry, in place if there is one,
    /// else at the end, and replaces specification and metadata of the row.
    pub fn upsert(&mut self, spec: &ChildSpec, entry: Entry, metadata: &Metadata, sink: Sink<'_>) {
        let at = self.rows.find(spec.id());
        let mut own = self.metadata_of(spec.id()).clone();
        own.retain(|node| *node != entry.node);
        let entries = self.with_entry(at, entry);
        let slot = Slot::new(spec.clone(), entries, metadata.clone(), None);
        self.write_with(at, slot, own, sink);
    }

    /// For strategies with rules of their own: as [`Self::upsert`], but the metadata are those of
    /// the entry alone. The row's stay as they are; a new row has these.
    pub fn upsert_entry(
        &mut self,
        spec: &ChildSpec,
        entry: Entry,
        metadata: &Metadata,
        sink: Sink<'_>,
    ) {
        let at = self.live(spec.id());
        let of_row = at.map_or(metadata, |at| self.rows.slot(at).view().metadata);
        let of_row = of_row.clone();
        let mut own = self.metadata_of(spec.id()).clone();
        own.set(&entry.node, metadata.clone());
        let at = at.or_else(|| self.rows.find(spec.id()));
        let entries = self.with_entry(at, entry);
        let slot = Slot::new(spec.clone(), entries, of_row, None);
        self.write_with(at, slot, own, sink);
    }

    /// The entries of a row with this one in place of its node's, or at the end.
    fn with_entry(&mut self, at: Option<u32>, entry: Entry) -> Entries {
        let Some(at) = at else { return entry.into() };
        let stored = &mut self.rows.slot_mut(at).entries;
        let is_it = |stored: &Entry| stored.node == entry.node;
        let Some(place) = stored.iter().position(is_it) else {
            return stored.extended([entry]);
        };
        let mut entries = stored.clone();
        entries.as_mut_slice()[place] = entry;
        entries
    }

    /// For strategies with rules of their own: removes the entries of one node from one row, and
    /// the row with its last entry. It leaves no tombstone.
    pub fn remove(&mut self, child: &ChildId, node: &NodeId, sink: Sink<'_>) {
        let Some(at) = self.live(child) else { return };
        let slot = self.rows.slot(at);
        let entries = without(&slot.entries, |other| other == node);
        if entries.is_empty() {
            self.delete(child, sink);
        } else if entries.len() < slot.entries.len() {
            self.write(Some(at), slot.with_entries(entries, None), sink);
        }
    }

    /// The place of a row that is not absent by the rules of the profile.
    fn row(&self, child: &ChildId) -> Option<u32> {
        self.rows.find(child).filter(|at| self.is_row(Some(*at)))
    }

    fn is_row(&self, at: Option<u32>) -> bool {
        at.is_some_and(|at| self.has_entries(at) || self.profile.keeps_empty_rows())
    }

    /// The place of a row that has entries.
    fn live(&self, child: &ChildId) -> Option<u32> {
        self.rows.find(child).filter(|at| self.has_entries(*at))
    }

    fn has_entries(&self, at: u32) -> bool {
        !self.rows.slot(at).entries.is_empty()
    }

    fn put_in_front(&mut self, at: u32, node: &NodeId, pid: Option<&Pid>, sink: Sink<'_>) {
        let slot = self.rows.slot(at);
        let entries = in_front(&slot.entries, node, pid);
        self.write(Some(at), slot.with_entries(entries, None), sink);
    }

    /// Stores a row; its entries keep the metadata that they have of their own.
    fn write(&mut self, at: Option<u32>, slot: Slot, sink: Sink<'_>) {
        let own = self.metadata_of(slot.spec.id()).clone();
        self.write_with(at, slot, own, sink);
    }

    /// The one way in: stores a row at its place, if its child has one, and the metadata of those of
    /// its entries that have their own, keeps the indices, and reports the change if it is one.
    fn write_with(&mut self, at: Option<u32>, slot: Slot, mut own: EntryMetadata, sink: Sink<'_>) {
        own.retain(|node| slot.entries.iter().any(|entry| entry.node == *node));
        let child = slot.spec.id().clone();
        let mut after = slot.view().to_row();
        let is_same = |at| *self.rows.slot(at) == slot && *self.metadata_of(&child) == own;
        if at.is_some_and(is_same) {
            return;
        }
        let old = self.replace_metadata(&child, own.clone());
        after.entry_metadata = own;
        let (at, before) = match at {
            None => (self.rows.insert(slot), None),
            Some(at) => (at, Some(self.rows.replace(at, slot).into_row(old))),
        };
        self.reindex(&child, at, before.as_ref(), Some(&after));
        sink(RowChange {
            child,
            before: before.map(Box::new),
            after: Some(Box::new(after)),
        });
    }

    /// Stores the metadata of a row's single entries. Returns those that were there.
    fn replace_metadata(&mut self, child: &ChildId, own: EntryMetadata) -> EntryMetadata {
        let old = if own.is_empty() && self.entry_metadata.is_empty() {
            None
        } else if own.is_empty() {
            self.entry_metadata.remove(child)
        } else {
            self.entry_metadata.insert(child.clone(), own)
        };
        old.unwrap_or_default()
    }

    /// The one way out.
    fn delete(&mut self, child: &ChildId, sink: Sink<'_>) {
        let Some((at, slot)) = self.rows.remove(child) else {
            return;
        };
        let old = self.replace_metadata(child, EntryMetadata::NONE);
        let before = Some(slot.into_row(old));
        self.reindex(child, at, before.as_ref(), None);
        sink(RowChange {
            child: child.clone(),
            before: before.map(Box::new),
            after: None,
        });
    }

    fn reindex(&mut self, child: &ChildId, at: u32, before: Option<&Row>, after: Option<&Row>) {
        let (old, new) = (entries_of(before), entries_of(after));
        // Long rows mostly gain or lose an entry: the others are not looked at.
        let (gone, come) = old.difference(new);
        let left = (gone.len() > 1).then(|| node_set(new));
        let is_left = |node: &NodeId| match &left {
            Some(left) => left.contains(node),
            None => new.iter().any(|entry| entry.node == *node),
        };
        for entry in gone.iter().filter(|entry| !is_left(&entry.node)) {
            self.by_node.remove(&entry.node, child);
        }
        for entry in come {
            self.by_node.insert(&entry.node, child, at);
        }
        if let Some(expiry) = before.and_then(|row| row.expires_at) {
            self.expiries.remove(&(expiry, child.clone()));
        }
        if let Some(expiry) = after.and_then(|row| row.expires_at) {
            self.expiries.insert((expiry, child.clone()));
        }
        self.entries = self.entries + new.len() - old.len();
        self.empty = self.empty + usize::from(after.is_some_and(Row::is_empty))
            - usize::from(before.is_some_and(Row::is_empty));
    }
}

/// The row of a child that runs on one node.
fn only_on(node: &NodeId, child: &LocalChild) -> Slot {
    let entry = Entry {
        node: node.clone(),
        pid: child.pid.clone(),
    };
    Slot::new(
        child.spec.clone(),
        entry.into(),
        child.metadata.clone(),
        None,
    )
}

/// A list with one entry of a node, at the front.
fn in_front(entries: &[Entry], node: &NodeId, pid: Option<&Pid>) -> Entries {
    let first = Entry {
        node: node.clone(),
        pid: pid.cloned(),
    };
    let others = entries.iter().filter(|entry| entry.node != *node);
    std::iter::once(first).chain(others.cloned()).collect()
}

/// A list with one entry of a node, where its first one stood.
fn in_place(entries: &[Entry], node: &NodeId, pid: Option<&Pid>) -> Entries {
    let mut is_first = true;
    let mut list = Vec::new();
    for entry in entries {
        if entry.node != *node {
            list.push(entry.clone());
        } else if std::mem::take(&mut is_first) {
            list.push(Entry {
                node: node.clone(),
                pid: pid.cloned(),
            });
        }
    }
    list.into()
}

fn entries_of(row: Option<&Row>) -> &Entries {
    row.map_or(&Entries::EMPTY, |row| &row.entries)
}

fn node_set(entries: &[Entry]) -> NodeSet<'_> {
    NodeSet::new(entries.iter().map(|entry| &entry.node))
}

fn without(entries: &[Entry], gone: impl Fn(&NodeId) -> bool) -> Entries {
    entries
        .iter()
        .filter(|entry| !gone(&entry.node))
        .cloned()
        .collect()
}

/// True if two lists hold the same entries, equally often, in any order.
fn same_entries(a: &[Entry], b: &[Entry]) -> bool {
    let sorted = |entries: &[Entry]| {
        let mut list = entries.to_vec();
        list.sort_unstable();
        list
    };
    a.len() == b.len() && (a == b || sorted(a) == sorted(b))
}

#[cfg(test)]
mod tests;
