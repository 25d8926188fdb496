//! A node's local synchronization data: the children that it hosts.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::child::{ChildSpec, Metadata, Row};
use crate::message::SizeModel;
use crate::name::{ChildId, Pid};
use crate::wire;

/// One child of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalChild {
    /// Its specification, with its id.
    pub spec: ChildSpec,
    /// Its pid on the node that took the snapshot; absent only in hand-made data.
    pub pid: Option<Pid>,
    /// Its metadata.
    pub metadata: Metadata,
}

impl LocalChild {
    fn share(&mut self, row: &Row) {
        if self.spec == row.spec {
            self.spec = row.spec.clone();
        }
        let stored = row.entries.iter().map(|entry| &entry.pid);
        if let Some(pid) = stored.into_iter().find(|pid| **pid == self.pid) {
            self.pid = pid.clone();
        }
        if self.metadata == row.metadata {
            self.metadata = row.metadata.clone();
        }
    }
}

/// The rows of one node that have an entry for that node: shared, immutable, and aware of the
/// length of its encoding, because gossip ships one snapshot thousands of times.
#[derive(Debug, Clone)]
pub struct Snapshot(Arc<Fields>);

#[derive(Debug)]
struct Fields {
    children: Box<[LocalChild]>,
    names: OnceLock<Arc<[ChildId]>>,
    encoded_len: OnceLock<u64>,
}

impl Snapshot {
    /// A snapshot of these children, in this order.
    #[must_use]
    pub fn new(children: Vec<LocalChild>) -> Self {
        Self(Arc::new(Fields {
            children: children.into(),
            names: OnceLock::new(),
            encoded_len: OnceLock::new(),
        }))
    }

    /// Replaces what equals a part of a known row by that part, if nobody else holds the snapshot:
    /// see [`crate::Message::share`].
    pub fn share(&mut self, known: impl Fn(&ChildId) -> Option<Arc<Row>>) {
        let Some(fields) = Arc::get_mut(&mut self.0) else {
            return;
        };
        for child in &mut fields.children {
            if let Some(row) = known(child.spec.id()) {
                child.share(&row);
            }
        }
    }

    /// The children, in the order in which they were listed.
    #[must_use]
    pub fn children(&self) -> &[LocalChild] {
        &self.0.children
    }

    /// The names of the children, in the same order; collected on first use.
    #[must_use]
    pub fn names(&self) -> &Arc<[ChildId]> {
        let children = self.children().iter();
        let names = || children.map(|child| child.spec.id().clone()).collect();
        self.0.names.get_or_init(names)
    }

    /// True if the node hosts nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.children.is_empty()
    }

    /// The length of the wire encoding in bytes, computed on first use.
    #[must_use]
    pub fn encoded_len(&self) -> u64 {
        *self
            .0
            .encoded_len
            .get_or_init(|| wire::encoded_len(&self.0.children))
    }

    /// Its part in the size of a message: one entry per row.
    #[must_use]
    pub fn size_model(&self) -> SizeModel {
        let rows = self.children().len() as u64;
        SizeModel {
            header_bytes: 0,
            row_bytes: self.encoded_len(),
            rows,
            entries: rows,
        }
    }
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.children == other.0.children
    }
}

impl Eq for Snapshot {}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.children.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::Entry;

    fn child(id: &str, pid: &str, metadata: &[(&str, &str)]) -> LocalChild {
        LocalChild {
            spec: ChildSpec::new(id, "worker"),
            pid: Some(Pid::new(pid)),
            metadata: metadata.iter().copied().collect(),
        }
    }

    fn row(child: &LocalChild) -> Arc<Row> {
        let entry = |pid: &Option<Pid>| Entry {
            node: "n1".into(),
            pid: pid.clone(),
        };
        Arc::new(Row {
            spec: child.spec.clone(),
            entries: [entry(&None), entry(&child.pid)].into_iter().collect(),
            metadata: child.metadata.clone(),
            entry_metadata: Default::default(),
            expires_at: None,
        })
    }

    /// Where the texts of a child lie.
    fn places(child: &LocalChild) -> [*const u8; 3] {
        let pid = child.pid.as_ref().expect("it has one");
        let value = child.metadata.iter().next().expect("it has one").1;
        [child.spec.id().as_str(), pid.as_str(), value].map(str::as_ptr)
    }

    #[test]
    fn what_is_known_already_is_shared_and_what_differs_stays() {
        let stored = child("a", "p1", &[("k", "v")]);
        let rows = [row(&stored)];
        let known = |id: &ChildId| rows.iter().find(|row| row.spec.id() == id).cloned();
        let shared = |arrived: LocalChild| {
            let (before, mut snapshot) = (arrived.clone(), Snapshot::new(vec![arrived]));
            snapshot.share(known);
            assert_eq!(snapshot.children(), std::slice::from_ref(&before));
            let (old, new) = (places(&before), places(&snapshot.children()[0]));
            let stored = places(&stored);
            let moved = old.iter().zip(new).zip(stored);
            moved
                .map(|((old, new), stored)| {
                    assert!(new == stored || new == *old);
                    new == stored
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(shared(child("a", "p1", &[("k", "v")])), [true, true, true]);
        assert_eq!(shared(child("a", "p2", &[("k", "v")])), [true, false, true]);
        assert_eq!(shared(child("a", "p1", &[("k", "w")])), [true, true, false]);
        assert_eq!(shared(child("b", "p1", &[("k", "v")])), [false; 3]);
    }
}
