//! The copy of the registry that everyone may read while the hub changes its own.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use equivalent::Equivalent;

use crate::child::Row;
use crate::name::{ChildId, NameHasher, text_hash};

/// The rows that have entries, by child. One task writes; any number of threads read without
/// waiting for it or for one another.
#[derive(Debug)]
pub(super) struct Mirror {
    rows: papaya::HashMap<Key, Arc<Row>, NameHasher>,
}

/// A child's id with its hash beside it, so that growing the table need not visit every name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    hash: u64,
    id: ChildId,
}

impl Key {
    fn new(id: &ChildId) -> Self {
        Self {
            hash: id.text_hash(),
            id: id.clone(),
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// The text of an id, which need not be made into one to be looked up.
struct Text<'a> {
    hash: u64,
    id: &'a str,
}

impl Hash for Text<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Key> for Text<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.hash == key.hash && self.id == key.id.as_str()
    }
}

impl Mirror {
    pub(super) fn new() -> Self {
        Self {
            rows: papaya::HashMap::with_hasher(NameHasher::default()),
        }
    }

    pub(super) fn get(&self, child: &str) -> Option<Arc<Row>> {
        let hash = text_hash(child);
        self.rows.pin().get(&Text { hash, id: child }).cloned()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All rows, in no order. Rows that change meanwhile may be among them before or after.
    pub(super) fn rows(&self) -> Vec<Arc<Row>> {
        self.rows.pin().values().cloned().collect()
    }

    /// Puts a row in, or takes it out if it has no entries. Answers what was there.
    pub(super) fn put(&self, child: &ChildId, row: Option<&Arc<Row>>) -> Option<Arc<Row>> {
        let (rows, key) = (self.rows.pin(), Key::new(child));
        match row {
            Some(row) => rows.insert(key, Arc::clone(row)).cloned(),
            None => rows.remove(&key).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::ChildSpec;

    #[test]
    fn a_row_is_found_by_the_text_of_its_child_until_it_is_taken_out() {
        let mirror = Mirror::new();
        let row = Arc::new(Row {
            spec: ChildSpec::new("a", "worker"),
            entries: Default::default(),
            metadata: Default::default(),
            expires_at: None,
        });
        let child = ChildId::new("a");
        assert_eq!(mirror.put(&child, Some(&row)), None);
        assert_eq!(mirror.get("a"), Some(Arc::clone(&row)));
        assert_eq!((mirror.get("b"), mirror.len()), (None, 1));
        assert_eq!(mirror.rows(), [Arc::clone(&row)]);
        assert_eq!(mirror.put(&child, None), Some(row));
        assert_eq!((mirror.get("a"), mirror.len()), (None, 0));
    }
}
