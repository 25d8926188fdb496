//! The forms that the vectors share: rows, entries, and their translation to and from the ports.

use std::collections::BTreeMap;
use std::fmt::Debug;

use hublab_strategies::request::{Registration, Request, Unregistration};
use hublab_strategies::{
    ChildId, ChildSpec, Entry, LocalChild, Metadata, NodeId, NodeState, Profile, Registry, Row,
    RowRef, Snapshot, Time, Timestamps, WallTime,
};
use serde::Deserialize;

/// When a row put in with `ttl: true` expires; no time passes inside a vector.
const EXPIRY: Time = Time(30_000_000);

/// A file of vectors.
#[derive(Deserialize)]
pub(crate) struct File<V> {
    pub(crate) format: u32,
    pub(crate) profile: Option<Profile>,
    pub(crate) vectors: Vec<V>,
}

/// Reads a file of vectors of a profile.
pub(crate) fn read<'a, V: Deserialize<'a>>(
    text: &'a str,
    profile: Profile,
) -> Result<Vec<V>, String> {
    let file: File<V> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if let Some(other) = file.profile.filter(|other| *other != profile) {
        let (other, profile) = (other.as_str(), profile.as_str());
        return Err(format!(
            "its profile is {other}, its folder that of {profile}"
        ));
    }
    match file.format {
        1 => Ok(file.vectors),
        other => Err(format!("format {other}: only 1 is known")),
    }
}

/// A row of a registry. `spec` and `meta` are tags.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct RowForm {
    id: String,
    spec: String,
    nodes: Vec<(String, Option<String>)>,
    meta: String,
    #[serde(default)]
    ttl: bool,
}

/// One child of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct ChildForm {
    id: String,
    spec: String,
    pid: Option<String>,
    meta: String,
}

/// A `{id, nodes}` of `pids_unregister`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct UnregisterForm {
    id: String,
    nodes: Vec<String>,
}

/// Timestamps by node.
pub(crate) type Gct = BTreeMap<String, WallTime>;

fn metadata(tag: &str) -> Metadata {
    [("tag", tag)].into_iter().collect()
}

fn tag(metadata: &Metadata) -> String {
    metadata.iter().map(|(_, value)| value).collect()
}

impl RowForm {
    /// The child.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    fn to_row(&self) -> Row {
        let entry = |(node, pid): &(String, Option<String>)| Entry {
            node: NodeId::new(node),
            pid: pid.as_deref().map(Into::into),
        };
        Row {
            spec: ChildSpec::new(self.id.as_str(), &self.spec),
            entries: self.nodes.iter().map(entry).collect(),
            metadata: metadata(&self.meta),
            entry_metadata: Default::default(),
            expires_at: self.ttl.then_some(EXPIRY),
        }
    }

    fn of(row: RowRef<'_>) -> Self {
        let entry = |entry: &Entry| {
            (
                entry.node.to_string(),
                entry.pid.as_ref().map(ToString::to_string),
            )
        };
        Self {
            id: row.child().to_string(),
            spec: row.spec.kind().to_owned(),
            nodes: row.entries.iter().map(entry).collect(),
            meta: tag(row.metadata),
            ttl: row.expires_at.is_some(),
        }
    }
}

/// All rows of a registry, by id.
pub(crate) fn rows_of(registry: &Registry) -> Vec<RowForm> {
    registry.rows().map(RowForm::of).collect()
}

/// Fills a node's registry.
pub(crate) fn put_rows(state: &mut NodeState, rows: &[RowForm]) {
    let put = |registry: &mut Registry, sink: hublab_strategies::registry::Sink<'_>| {
        rows.iter().for_each(|row| registry.put(row.to_row(), sink));
    };
    state.mutate(put, |_| {});
}

/// A snapshot of these children.
pub(crate) fn snapshot(children: &[ChildForm]) -> Snapshot {
    let child = |child: &ChildForm| LocalChild {
        spec: ChildSpec::new(child.id.as_str(), &child.spec),
        pid: child.pid.as_deref().map(Into::into),
        metadata: metadata(&child.meta),
    };
    Snapshot::new(children.iter().map(child).collect())
}

/// The children of a snapshot, by id.
pub(crate) fn children_of(snapshot: &Snapshot) -> Vec<ChildForm> {
    let child = |child: &LocalChild| ChildForm {
        id: child.spec.id().to_string(),
        spec: child.spec.kind().to_owned(),
        pid: child.pid.as_ref().map(ToString::to_string),
        meta: tag(&child.metadata),
    };
    sorted(snapshot.children().iter().map(child).collect())
}

/// `pids_register` of these rows.
pub(crate) fn register(rows: &[RowForm]) -> Request {
    let registration = |row: &RowForm| {
        let Row {
            spec,
            entries,
            metadata,
            ..
        } = row.to_row();
        Registration {
            spec,
            entries,
            metadata,
        }
    };
    Request::Register(rows.iter().map(registration).collect())
}

/// `pids_unregister` of these.
pub(crate) fn unregister(rows: &[UnregisterForm]) -> Request {
    let unregistration = |row: &UnregisterForm| Unregistration {
        child: ChildId::new(&row.id),
        nodes: names(&row.nodes),
    };
    Request::Unregister(rows.iter().map(unregistration).collect())
}

/// Node names.
pub(crate) fn names(nodes: &[String]) -> Vec<NodeId> {
    nodes.iter().map(|node| NodeId::new(node)).collect()
}

/// Timestamps as the ports keep them.
pub(crate) fn timestamps(gct: &Gct) -> Timestamps {
    gct.iter()
        .map(|(node, at)| (NodeId::new(node), *at))
        .collect()
}

/// Timestamps as the vectors write them.
pub(crate) fn gct(timestamps: &Timestamps) -> Gct {
    timestamps
        .iter()
        .map(|(node, at)| (node.to_string(), at))
        .collect()
}

/// A list in order.
pub(crate) fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

/// Compares one thing of a vector.
pub(crate) fn expect<T: PartialEq + Debug>(
    what: &str,
    found: T,
    expected: T,
) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what} is {found:?}, expected {expected:?}"))
}
