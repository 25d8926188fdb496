//! The data of a child in a registry: its specification, its metadata, its rows.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize};

use crate::entries::Entries;
use crate::name::{ChildId, NodeId, Pid};
use crate::time::Time;
use crate::wire;

/// The specification of a child: its id, the kind of program, and arguments. Shared and immutable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChildSpec(Arc<SpecFields>);

#[derive(Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct SpecFields {
    id: ChildId,
    kind: Box<str>,
    args: BTreeMap<Box<str>, Box<str>>,
}

impl ChildSpec {
    /// A specification without arguments; `kind` names the factory that can start it.
    #[must_use]
    pub fn new(id: impl Into<ChildId>, kind: &str) -> Self {
        Self::with_args(id, kind, BTreeMap::new())
    }

    /// A specification with arguments.
    #[must_use]
    pub fn with_args(
        id: impl Into<ChildId>,
        kind: &str,
        args: BTreeMap<Box<str>, Box<str>>,
    ) -> Self {
        Self(Arc::new(SpecFields {
            id: id.into(),
            kind: kind.into(),
            args,
        }))
    }

    /// The child's id.
    #[must_use]
    pub fn id(&self) -> &ChildId {
        &self.0.id
    }

    /// True if both share their memory, and so are equal without being compared.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The kind of program.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The arguments.
    #[must_use]
    pub fn args(&self) -> &BTreeMap<Box<str>, Box<str>> {
        &self.0.args
    }

    /// The length of the wire encoding in bytes.
    pub(crate) fn encoded_len(&self) -> u64 {
        let args = self.args().iter().map(|(key, value)| (&**key, &**value));
        wire::text_len(self.id().as_str())
            + wire::text_len(self.kind())
            + pairs_len(self.args().len(), args)
    }
}

/// A child's metadata: text by text, shared and immutable. The empty one takes no memory.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Metadata(Option<Arc<BTreeMap<Box<str>, Box<str>>>>);

impl Metadata {
    /// Metadata of these pairs.
    #[must_use]
    pub fn new(pairs: BTreeMap<Box<str>, Box<str>>) -> Self {
        Self((!pairs.is_empty()).then(|| Arc::new(pairs)))
    }

    /// The pairs in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .flat_map(|pairs| pairs.iter().map(|(key, value)| (&**key, &**value)))
    }

    /// The number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |pairs| pairs.len())
    }

    /// The length of the wire encoding in bytes.
    pub(crate) fn encoded_len(&self) -> u64 {
        pairs_len(self.len(), self.iter())
    }

    /// True if there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl<K: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self::new(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Metadata {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Not `collect_map`: the codec must know the length beforehand.
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::new)
    }
}

/// Metadata that single entries of a row have of their own, by node. None in rows of the ports, and
/// then it takes no memory: their entries have the row's.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryMetadata(Option<Arc<BTreeMap<NodeId, Metadata>>>);

impl EntryMetadata {
    /// No entry has metadata of its own.
    pub const NONE: Self = Self(None);

    /// The own metadata of a node's entry.
    #[must_use]
    pub fn get(&self, node: &NodeId) -> Option<&Metadata> {
        self.0.as_ref()?.get(node)
    }

    /// Gives a node's entry metadata of its own.
    pub fn set(&mut self, node: &NodeId, metadata: Metadata) {
        let own = self.0.get_or_insert_default();
        Arc::make_mut(own).insert(node.clone(), metadata);
    }

    /// Keeps those of nodes that meet a condition.
    pub fn retain(&mut self, mut keep: impl FnMut(&NodeId) -> bool) {
        if let Some(own) = &mut self.0 {
            Arc::make_mut(own).retain(|node, _| keep(node));
            if own.is_empty() {
                self.0 = None;
            }
        }
    }

    /// All of them, by node.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &Metadata)> {
        self.0.iter().flat_map(|own| own.iter())
    }

    /// True if no entry has metadata of its own.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for EntryMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl FromIterator<(NodeId, Metadata)> for EntryMetadata {
    fn from_iter<I: IntoIterator<Item = (NodeId, Metadata)>>(own: I) -> Self {
        let own: BTreeMap<_, _> = own.into_iter().collect();
        Self((!own.is_empty()).then(|| Arc::new(own)))
    }
}

fn pairs_len<'a>(count: usize, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let texts: u64 = pairs
        .map(|(key, value)| wire::text_len(key) + wire::text_len(value))
        .sum();
    wire::varint_len(count as u64) + texts
}

/// One (node, pid) pair of a row. A pid may be absent: the original's `nil`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// The node that the child is said to run on.
    pub node: NodeId,
    /// The process there.
    pub pid: Option<Pid>,
}

impl Entry {
    /// The length of the wire encoding in bytes.
    fn encoded_len(&self) -> u64 {
        let pid = self.pid.as_ref();
        let pid = pid.map_or(1, |pid| 1 + wire::text_len(pid.as_str()));
        wire::text_len(self.node.as_str()) + pid
    }
}

/// A row of the registry: what one node believes about one child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The child's specification; its id is the row's key.
    pub spec: ChildSpec,
    /// Where it runs, in the order that the protocol's operations leave behind.
    pub entries: Entries,
    /// Its metadata: those of every entry that has none of its own.
    pub metadata: Metadata,
    /// The metadata of single entries; none in rows of the ports.
    pub entry_metadata: EntryMetadata,
    /// When the janitor may remove the row; set on tombstones. Reads do not look at it.
    pub expires_at: Option<Time>,
}

impl Row {
    /// True if the row has no entries: a tombstone, or a row registered with an empty list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The metadata of a node's entry: its own, or the row's.
    #[must_use]
    pub fn metadata_on(&self, node: &NodeId) -> &Metadata {
        self.entry_metadata.get(node).unwrap_or(&self.metadata)
    }

    /// How many bytes longer the encoding of a row is than that of another; no row takes none. Reads
    /// only the entries in which they differ.
    ///
    /// ```
    /// use hublab_strategies::{ChildSpec, Entry, Row};
    ///
    /// let entry = Entry { node: "n1".into(), pid: Some("p1".into()) };
    /// let row = Row {
    ///     spec: ChildSpec::new("a", "worker"),
    ///     entries: entry.into(),
    ///     metadata: Default::default(),
    ///     entry_metadata: Default::default(),
    ///     expires_at: None,
    /// };
    /// let bytes = hublab_strategies::wire::encoded_len(&row);
    /// assert_eq!(Row::growth(None, Some(&row)).unsigned_abs(), bytes);
    /// assert_eq!(Row::growth(Some(&row), Some(&row)), 0);
    /// ```
    #[must_use]
    pub fn growth(before: Option<&Self>, after: Option<&Self>) -> i64 {
        let [old, new] = [before, after].map(|row| row.map_or(&Entries::EMPTY, |row| &row.entries));
        let (gone, come) = old.difference(new);
        let len = |row: Option<&Self>, entries: &[Entry]| {
            let entries: u64 = entries.iter().map(Entry::encoded_len).sum();
            row.map_or(0, |row| row.rest_len() + entries)
        };
        len(after, come).cast_signed() - len(before, gone).cast_signed()
    }

    /// The length of the wire encoding without the entries, in bytes.
    fn rest_len(&self) -> u64 {
        let own = self.entry_metadata.iter();
        let own = own.map(|(node, own)| wire::text_len(node.as_str()) + own.encoded_len());
        let own_len = match self.entry_metadata.iter().count() {
            0 => 1,
            count => 1 + wire::varint_len(count as u64),
        };
        self.spec.encoded_len()
            + wire::varint_len(self.entries.len() as u64)
            + self.metadata.encoded_len()
            + own_len
            + own.sum::<u64>()
            + self.expires_at.map_or(1, |at| 1 + wire::varint_len(at.0))
    }
}

/// A change of one row: both states, so that folds need no copy of the registry. Small, because it
/// is handed on several times before it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    /// The child whose row changed.
    pub child: ChildId,
    /// The row before; `None` if there was none.
    pub before: Option<Box<Row>>,
    /// The row after; `None` if it was removed.
    pub after: Option<Box<Row>>,
}
