//! The registry against a naive model, written from docs/protocol.md sections 2 and 3 rule by rule.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const NODES: u8 = 4;
const CHILDREN: u8 = 5;
const TTL: u64 = 30;

/// Entries as (node, pid).
type Pairs = Vec<(u8, Option<u8>)>;

/// A snapshot's children as (child, specification, pid, metadata).
type Listed = Vec<(u8, u8, Option<u8>, u8)>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Plain {
    child: u8,
    spec: u8,
    entries: Pairs,
    meta: u8,
    expires_at: Option<u64>,
}

#[derive(Debug, Clone)]
enum Operation {
    Register(Vec<Plain>),
    Unregister(Vec<(u8, Vec<u8>)>),
    PidUpdate(u8, u8, Option<u8>),
    Append(BTreeMap<u8, Listed>),
    Detach(BTreeMap<u8, Listed>),
    Purge,
    Put(Plain),
    Upsert(u8, u8, (u8, Option<u8>), u8),
    Remove(u8, u8),
}

/// All rows in a list, searched from the start.
#[derive(Default)]
struct Model(Vec<Plain>);

impl Model {
    fn row(&mut self, child: u8) -> Option<&mut Plain> {
        self.0.iter_mut().find(|row| row.child == child)
    }

    /// A row with [] counts as absent.
    fn present(&mut self, child: u8) -> Option<&mut Plain> {
        self.row(child).filter(|row| !row.entries.is_empty())
    }

    fn store(&mut self, row: Plain) {
        self.0.retain(|other| other.child != row.child);
        self.0.push(row);
    }

    fn register(&mut self, new: &Plain) {
        let mut row = Plain {
            expires_at: None,
            ..new.clone()
        };
        if let Some(old) = self.present(new.child) {
            let sorted = |entries: &Pairs| {
                let mut entries = entries.clone();
                entries.sort();
                entries
            };
            if sorted(&old.entries) == sorted(&new.entries) {
                return;
            }
            row.entries.clone_from(&old.entries);
            row.entries
                .retain(|(node, _)| new.entries.iter().all(|(other, _)| other != node));
            row.entries.extend(&new.entries);
        }
        self.store(row);
    }

    fn unregister(&mut self, child: u8, nodes: &[u8], now: u64) {
        let Some(row) = self.present(child) else {
            return;
        };
        row.entries.retain(|(node, _)| !nodes.contains(node));
        row.expires_at = row.entries.is_empty().then_some(now + TTL);
    }

    fn to_front(row: &mut Plain, node: u8, pid: Option<u8>) {
        row.entries.retain(|(other, _)| *other != node);
        row.entries.insert(0, (node, pid));
        row.expires_at = None;
    }

    fn append(&mut self, node: u8, listed: &Listed) {
        for (child, spec, pid, meta) in listed.iter().copied() {
            match self.present(child) {
                None => {
                    self.store(Plain {
                        child,
                        spec,
                        entries: vec![(node, pid)],
                        meta,
                        expires_at: None,
                    });
                }
                Some(row) => {
                    let stored = row.entries.iter().find(|(other, _)| *other == node);
                    if stored.and_then(|(_, pid)| *pid) != pid {
                        Self::to_front(row, node, pid);
                    }
                }
            }
        }
    }

    fn detach(&mut self, data: &BTreeMap<u8, Listed>) {
        for dumped in self.0.clone() {
            for (node, _) in &dumped.entries {
                let Some(listed) = data.get(node) else {
                    continue;
                };
                if listed.iter().any(|(child, ..)| *child == dumped.child) {
                    continue;
                }
                let mut row = Plain {
                    expires_at: None,
                    ..dumped.clone()
                };
                row.entries.retain(|(other, _)| other != node);
                self.0.retain(|other| other.child != row.child);
                if !row.entries.is_empty() {
                    self.0.push(row);
                }
            }
        }
    }

    fn apply(&mut self, operation: &Operation, now: u64) {
        match operation {
            Operation::Register(rows) => rows.iter().for_each(|row| self.register(row)),
            Operation::Unregister(rows) => {
                rows.iter()
                    .for_each(|(child, nodes)| self.unregister(*child, nodes, now));
            }
            Operation::PidUpdate(child, node, pid) => {
                if let Some(row) = self.present(*child) {
                    Self::to_front(row, *node, *pid);
                }
            }
            Operation::Append(data) => data
                .iter()
                .for_each(|(node, listed)| self.append(*node, listed)),
            Operation::Detach(data) => self.detach(data),
            Operation::Purge => self
                .0
                .retain(|row| row.expires_at.is_none_or(|at| at > now)),
            Operation::Put(row) => self.store(row.clone()),
            Operation::Upsert(child, spec, entry, meta) => {
                let mut entries = self
                    .row(*child)
                    .map_or_else(Vec::new, |row| row.entries.clone());
                match entries.iter_mut().find(|(node, _)| *node == entry.0) {
                    Some(stored) => *stored = *entry,
                    None => entries.push(*entry),
                }
                self.store(Plain {
                    child: *child,
                    spec: *spec,
                    entries,
                    meta: *meta,
                    expires_at: None,
                });
            }
            Operation::Remove(child, node) => {
                let Some(row) = self.present(*child) else {
                    return;
                };
                if row.entries.iter().any(|(other, _)| other == node) {
                    row.entries.retain(|(other, _)| other != node);
                    row.expires_at = None;
                }
                if row.entries.is_empty() {
                    self.0.retain(|row| row.child != *child);
                }
            }
        }
    }
}

fn node(number: u8) -> NodeId {
    NodeId::from(format!("n{number}"))
}

fn child(number: u8) -> ChildId {
    ChildId::from(format!("c{number}"))
}

fn pid(number: Option<u8>) -> Option<Pid> {
    number.map(|number| Pid::from(format!("p{number}")))
}

fn spec(number: u8, kind: u8) -> ChildSpec {
    ChildSpec::new(child(number), &kind.to_string())
}

fn metadata(number: u8) -> Metadata {
    [("tag", number.to_string())].into_iter().collect()
}

fn entries(pairs: &Pairs) -> Entries {
    pairs
        .iter()
        .map(|(at, number)| Entry {
            node: node(*at),
            pid: pid(*number),
        })
        .collect()
}

fn row(plain: &Plain) -> Row {
    Row {
        spec: spec(plain.child, plain.spec),
        entries: entries(&plain.entries),
        metadata: metadata(plain.meta),
        entry_metadata: Default::default(),
        expires_at: plain.expires_at.map(Time),
    }
}

fn snapshots(data: &BTreeMap<u8, Listed>) -> Vec<(NodeId, Snapshot)> {
    let local = |(number, kind, at, meta): &(u8, u8, Option<u8>, u8)| LocalChild {
        spec: spec(*number, *kind),
        pid: pid(*at),
        metadata: metadata(*meta),
    };
    let snapshot = |listed: &Listed| Snapshot::new(listed.iter().map(local).collect());
    data.iter()
        .map(|(number, listed)| (node(*number), snapshot(listed)))
        .collect()
}

fn apply(registry: &mut Registry, operation: &Operation, now: u64, sink: Sink<'_>) {
    match operation {
        Operation::Register(rows) => {
            let registration = |plain: &Plain| {
                let Row {
                    spec,
                    entries,
                    metadata,
                    ..
                } = row(plain);
                Registration {
                    spec,
                    entries,
                    metadata,
                }
            };
            registry.register(&rows.iter().map(registration).collect::<Vec<_>>(), sink);
        }
        Operation::Unregister(rows) => {
            let unregistration = |(number, nodes): &(u8, Vec<u8>)| Unregistration {
                child: child(*number),
                nodes: nodes.iter().copied().map(node).collect(),
            };
            let rows: Vec<_> = rows.iter().map(unregistration).collect();
            registry.unregister(&rows, Time(now + TTL), sink);
        }
        Operation::PidUpdate(number, at, new) => {
            registry.pid_update(&child(*number), &node(*at), pid(*new).as_ref(), sink);
        }
        Operation::Append(data) => {
            let data = snapshots(data);
            registry.append_data(
                &data
                    .iter()
                    .map(|(node, data)| (node, data))
                    .collect::<Vec<_>>(),
                sink,
            );
        }
        Operation::Detach(data) => {
            let data = snapshots(data);
            registry.detach_data(
                &data
                    .iter()
                    .map(|(node, data)| (node, data))
                    .collect::<Vec<_>>(),
                sink,
            );
        }
        Operation::Purge => registry.purge(Time(now), sink),
        Operation::Put(plain) => registry.put(row(plain), sink),
        Operation::Upsert(number, kind, entry, meta) => {
            let entry = Entry {
                node: node(entry.0),
                pid: pid(entry.1),
            };
            registry.upsert(&spec(*number, *kind), entry, &metadata(*meta), sink);
        }
        Operation::Remove(number, at) => registry.remove(&child(*number), &node(*at), sink),
    }
}

fn pairs() -> impl Strategy<Value = Pairs> {
    vec((0..NODES, proptest::option::weighted(0.8, 0..3_u8)), 0..4)
}

fn plain() -> impl Strategy<Value = Plain> {
    (
        0..CHILDREN,
        0..3_u8,
        pairs(),
        0..3_u8,
        proptest::option::of(0..100_u64),
    )
        .prop_map(|(child, spec, entries, meta, expires_at)| Plain {
            child,
            spec,
            entries,
            meta,
            expires_at,
        })
}

fn data() -> impl Strategy<Value = BTreeMap<u8, Listed>> {
    let listed = vec(
        (
            0..CHILDREN,
            0..3_u8,
            proptest::option::weighted(0.8, 0..3_u8),
            0..3_u8,
        ),
        0..5,
    );
    proptest::collection::btree_map(0..NODES, listed, 0..3)
}

fn operation() -> impl Strategy<Value = Operation> {
    let of = (0..CHILDREN, 0..NODES);
    prop_oneof![
        vec(plain(), 0..4).prop_map(Operation::Register),
        vec((0..CHILDREN, vec(0..NODES, 0..3)), 0..4).prop_map(Operation::Unregister),
        (0..CHILDREN, 0..NODES, proptest::option::of(0..3_u8))
            .prop_map(|(child, node, pid)| Operation::PidUpdate(child, node, pid)),
        data().prop_map(Operation::Append),
        data().prop_map(Operation::Detach),
        Just(Operation::Purge),
        plain().prop_map(Operation::Put),
        (
            0..CHILDREN,
            0..3_u8,
            (0..NODES, proptest::option::of(0..3_u8)),
            0..3_u8
        )
            .prop_map(|(child, spec, entry, meta)| Operation::Upsert(child, spec, entry, meta)),
        of.prop_map(|(child, node)| Operation::Remove(child, node)),
    ]
}

/// Replays a change on a copy that knows nothing but changes.
fn replay(mirror: &mut BTreeMap<ChildId, Row>, change: RowChange) {
    assert_ne!(
        change.before, change.after,
        "a change that changes nothing was reported"
    );
    let before = match change.after {
        Some(row) => mirror.insert(change.child, *row),
        None => mirror.remove(&change.child),
    };
    assert_eq!(
        before.as_ref(),
        change.before.as_deref(),
        "a change does not start where the last one ended"
    );
}

/// Counts and indices of the registry must follow from its rows.
fn check_indices(registry: &Registry) {
    let rows: Vec<_> = registry.rows().collect();
    assert_eq!(registry.len(), rows.len());
    assert_eq!(
        registry.entries(),
        rows.iter().map(|row| row.entries.len()).sum::<usize>()
    );
    assert_eq!(
        registry.tombstones(),
        rows.iter().filter(|row| row.entries.is_empty()).count()
    );
    for number in 0..NODES {
        let at = node(number);
        let hosts = || rows.iter().filter(|row| row.pid_on(&at).is_some());
        assert!(registry.children_of(&at).eq(hosts().map(RowRef::child)));
        let local = registry.local_data(&at);
        let expected = hosts().map(|row| LocalChild {
            spec: row.spec.clone(),
            pid: row.pid_on(&at).flatten().cloned(),
            metadata: row.metadata.clone(),
        });
        assert!(local.children().iter().cloned().eq(expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_registry_does_what_the_protocol_says(operations in vec((operation(), 0..20_u64), 1..30)) {
        let (mut registry, mut model, mut mirror, mut now) = (Registry::new(), Model::default(), BTreeMap::new(), 0);
        for (operation, wait) in &operations {
            now += wait;
            model.apply(operation, now);
            apply(&mut registry, operation, now, &mut |change| replay(&mut mirror, change));
            model.0.sort_by_key(|row| row.child);
            let found: Vec<_> = registry.rows().map(|row| row.to_row()).collect();
            prop_assert_eq!(&found, &model.0.iter().map(row).collect::<Vec<_>>());
            prop_assert_eq!(&found, &mirror.values().cloned().collect::<Vec<_>>());
            check_indices(&registry);
        }
    }
}

#[test]
fn two_clones_of_one_name_and_two_equal_names_are_the_same_child() {
    let mut registry = Registry::new();
    let data = |pid: &str| {
        Snapshot::new(vec![LocalChild {
            spec: spec(1, 0),
            pid: Some(pid.into()),
            metadata: metadata(0),
        }])
    };
    let mut changes = 0;
    registry.append_data(&[(&node(1), &data("p"))], &mut |_| changes += 1);
    registry.append_data(&[(&node(1), &data("p"))], &mut |_| changes += 1);
    registry.detach_data(&[(&node(1), &data("other"))], &mut |_| changes += 1);
    assert_eq!((changes, registry.len()), (1, 1));
}

#[test]
fn places_of_deleted_rows_are_used_again() {
    let mut registry = Registry::new();
    for round in 0..100_u8 {
        let row = Plain {
            child: round,
            spec: 0,
            entries: vec![(0, None)],
            meta: 0,
            expires_at: Some(1),
        };
        registry.put(super::tests::row(&row), &mut |_| {});
        registry.purge(Time(1), &mut |_| {});
    }
    assert!(registry.is_empty());
    assert!(registry.rows.capacity() < 32);
}

#[test]
fn a_register_of_many_nodes_is_not_quadratic() {
    let many: Entries = (0..20_000)
        .map(|number| Entry {
            node: NodeId::from(format!("n{number}")),
            pid: None,
        })
        .collect();
    let registration = |entries| Registration {
        spec: spec(0, 0),
        entries,
        metadata: metadata(0),
    };
    let mut registry = Registry::new();
    registry.register(&[registration(many.clone())], &mut |_| {});
    let moved: Entries = many
        .iter()
        .rev()
        .take(10_000)
        .map(|entry| Entry {
            pid: pid(Some(1)),
            ..entry.clone()
        })
        .collect();
    registry.register(&[registration(moved)], &mut |_| {});
    assert_eq!(registry.entries(), 20_000);
    assert_eq!(
        registry
            .rows()
            .next()
            .map(|row| row.entries[0].node.to_string()),
        Some("n0".to_owned())
    );
}

#[test]
fn entries_may_have_metadata_of_their_own() {
    let metadata = |value: &str| Metadata::from_iter([("v", value)]);
    let entry = |node: &str, pid: &str| Entry {
        node: node.into(),
        pid: Some(pid.into()),
    };
    let (spec, n1, n2) = (
        ChildSpec::new("a", ""),
        NodeId::new("n1"),
        NodeId::new("n2"),
    );
    let mut registry = Registry::new();
    let mut changes = Vec::new();
    let mut note = |change: RowChange| changes.push(change);
    registry.upsert_entry(&spec, entry("n1", "p1"), &metadata("1"), &mut note);
    registry.upsert_entry(&spec, entry("n2", "p2"), &metadata("2"), &mut note);
    registry.upsert_entry(&spec, entry("n2", "p2"), &metadata("2"), &mut note);
    let on = |registry: &Registry, node: &NodeId| {
        let row = registry.get(spec.id()).expect("a row");
        row.metadata_on(node).clone()
    };
    assert_eq!(on(&registry, &n1), metadata("1"));
    assert_eq!(on(&registry, &n2), metadata("2"));
    assert_eq!(
        registry.local_data(&n2).children()[0].metadata,
        metadata("2")
    );

    // A registration of one entry leaves the metadata of the other alone.
    let registration = Registration {
        spec: spec.clone(),
        entries: [entry("n1", "p3")].into_iter().collect(),
        metadata: metadata("3"),
    };
    registry.register(&[registration], &mut note);
    assert_eq!(on(&registry, &n1), metadata("3"));
    assert_eq!(on(&registry, &n2), metadata("2"));

    registry.remove(spec.id(), &n2, &mut note);
    assert!(
        registry
            .get(spec.id())
            .expect("a row")
            .entry_metadata
            .is_empty()
    );
    registry.delete_row(spec.id(), &mut note);
    assert!(registry.is_empty());
    assert_eq!(changes.len(), 5, "what changes nothing is not reported");
    let last = changes[3].before.as_ref().expect("a row");
    assert_eq!(last.metadata_on(&n2), &metadata("2"));
    for pair in changes.windows(2) {
        assert_eq!(pair[0].after, pair[1].before);
    }
}
