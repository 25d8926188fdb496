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

/// The longest ids, in bytes, that are kept in the table itself: a place in memory less to wait for.
const SHORT: usize = 22;

/// A child's id and its hash.
#[derive(Debug)]
struct Key {
    hash: u64,
    text: Text,
}

#[derive(Debug)]
enum Text {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(ChildId),
}

impl Key {
    fn new(id: &ChildId) -> Self {
        let text = id.as_str().as_bytes();
        let mut bytes = [0; SHORT];
        let text = match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(room), Ok(length)) => {
                room.copy_from_slice(text);
                Text::Short { length, bytes }
            }
            (None, _) | (_, Err(_)) => Text::Long(id.clone()),
        };
        let hash = id.text_hash();
        Self { hash, text }
    }

    fn text(&self) -> &[u8] {
        match &self.text {
            Text::Short { length, bytes } => &bytes[..usize::from(*length)],
            Text::Long(id) => id.as_str().as_bytes(),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.text() == other.text()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// What is looked for: no key need be made of it.
struct Wanted<'a> {
    hash: u64,
    id: &'a str,
}

impl<'a> Wanted<'a> {
    fn new(child: &'a ChildId) -> Self {
        Self {
            hash: child.text_hash(),
            id: child.as_str(),
        }
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Key> for Wanted<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.hash == key.hash && self.id.as_bytes() == key.text()
    }
}

impl Mirror {
    pub(super) fn new() -> Self {
        Self {
            rows: papaya::HashMap::with_hasher(NameHasher::default()),
        }
    }

    pub(super) fn get(&self, child: &str) -> Option<Arc<Row>> {
        let (hash, id) = (text_hash(child), child);
        self.rows.pin().get(&Wanted { hash, id }).cloned()
    }

    pub(super) fn row_of(&self, child: &ChildId) -> Option<Arc<Row>> {
        self.rows.pin().get(&Wanted::new(child)).cloned()
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
        let rows = self.rows.pin();
        match row {
            Some(row) => rows.insert(Key::new(child), Arc::clone(row)).cloned(),
            None => rows.remove(&Wanted::new(child)).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::ChildSpec;

    fn row(id: &str) -> Arc<Row> {
        Arc::new(Row {
            spec: ChildSpec::new(id, "worker"),
            entries: Default::default(),
            metadata: Default::default(),
            entry_metadata: Default::default(),
            expires_at: None,
        })
    }

    #[test]
    fn a_row_is_found_by_the_text_of_its_child_until_it_is_taken_out() {
        let mirror = Mirror::new();
        let (row, child) = (row("a"), ChildId::new("a"));
        assert_eq!(mirror.put(&child, Some(&row)), None);
        assert_eq!(mirror.get("a"), Some(Arc::clone(&row)));
        assert_eq!((mirror.get("b"), mirror.len()), (None, 1));
        assert_eq!(mirror.rows(), [Arc::clone(&row)]);
        assert_eq!(mirror.put(&child, None), Some(row));
        assert_eq!((mirror.get("a"), mirror.len()), (None, 0));
    }

    #[test]
    fn ids_of_every_length_are_told_apart() {
        let mirror = Mirror::new();
        let ids: Vec<String> = (0..300).map(|length| "x".repeat(length)).collect();
        for id in &ids {
            mirror.put(&ChildId::new(id), Some(&row(id)));
        }
        for id in &ids {
            assert_eq!(mirror.get(id), Some(row(id)));
            assert!(mirror.put(&ChildId::new(id), None).is_some());
            assert_eq!(mirror.get(id), None);
        }
        assert_eq!(mirror.len(), 0);
    }
}
