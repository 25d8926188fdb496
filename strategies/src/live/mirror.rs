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
    rows: papaya::HashMap<ChildId, Arc<Row>, NameHasher>,
}

/// A child's id that need not be made into one to be looked up.
struct Id<'a>(&'a str);

impl Hash for Id<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(text_hash(self.0));
    }
}

impl Equivalent<ChildId> for Id<'_> {
    fn equivalent(&self, id: &ChildId) -> bool {
        self.0 == id.as_str()
    }
}

impl Mirror {
    pub(super) fn new() -> Self {
        Self {
            rows: papaya::HashMap::with_hasher(NameHasher::default()),
        }
    }

    pub(super) fn get(&self, child: &str) -> Option<Arc<Row>> {
        self.rows.pin().get(&Id(child)).cloned()
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
            Some(row) => rows.insert(child.clone(), Arc::clone(row)).cloned(),
            None => rows.remove(child).cloned(),
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
