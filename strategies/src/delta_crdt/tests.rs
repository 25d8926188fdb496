//! The laws of joining maps, against a model of a few lines, and single steps.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::*;
use crate::child::Metadata;
use crate::fact::Change;
use crate::harness::{Sent, TestNode, assert_bytes, kinds, started};
use crate::name::Pid;
use crate::owner_log::script::running;
use crate::strategy::Strategy;

fn key(node: &str, child: u8) -> Key {
    (node.into(), format!("c{child}").into())
}

fn dot(node: &str, counter: u64) -> Dot {
    let (node, incarnation) = (node.into(), 1);
    Dot {
        node,
        incarnation,
        counter,
    }
}

fn value(written: u64, child: u8, pid: &str) -> Running {
    let pid = pid.into();
    Running {
        pid,
        ..running(written, child)
    }
}

/// What somebody does to the keys of n1, where it is: it adds, removes, or gets all of another map.
type Act = (usize, u8, u8);

/// The dots that somebody has seen, and those that it knows to be removed.
type Known = (BTreeSet<Dot>, BTreeSet<Dot>);

/// Three maps after such a history, and for each what the model says.
fn history(acts: &[Act]) -> (Vec<Map>, Vec<Known>) {
    let mut maps = vec![Map::default(); 3];
    let mut model = vec![(BTreeSet::new(), BTreeSet::new()); 3];
    for (step, (at, child, what)) in (1..).zip(acts) {
        let (at, key) = (*at, key("n1", *child));
        let observed: Vec<_> = maps[at].dots(&key);
        match what {
            0 | 1 => {
                let by = (NodeId::from(format!("o{at}")), 1);
                maps[at].put(&key, by, Some(running(step, *child)));
                model[at].0.extend(maps[at].dots(&key));
                model[at].1.extend(observed);
            }
            2 => {
                maps[at].put(&key, ("o".into(), 1), None);
                model[at].1.extend(observed);
            }
            _ => {
                let other = (at + 1 + usize::from(*child)) % 3;
                let from = maps[other].clone();
                sync(&mut maps[at], &from);
                let from = model[other].clone();
                model[at].0.extend(from.0);
                model[at].1.extend(from.1);
            }
        }
    }
    (maps, model)
}

/// All keys of either map.
fn keys(maps: [&Map; 2]) -> BTreeSet<Key> {
    let keys = maps.into_iter().flat_map(|map| map.of(&"n1".into()));
    keys.cloned().collect()
}

/// Gets everything of another map.
fn sync(map: &mut Map, from: &Map) {
    let told: Vec<_> = keys([map, from])
        .iter()
        .map(|key| from.tell(key, &map.dots(key)))
        .collect();
    map.join(&told, &from.context());
}

/// Gets some keys of another map, and nothing else.
fn partial(map: &mut Map, from: &Map, some: &BTreeSet<Key>) {
    let told: Vec<_> = some
        .iter()
        .map(|key| from.tell(key, &map.dots(key)))
        .collect();
    map.join(&told, &[]);
}

fn joined(a: &Map, b: &Map) -> Map {
    let mut map = a.clone();
    sync(&mut map, b);
    map
}

fn alive(map: &Map) -> BTreeSet<Dot> {
    let dots = map.of(&"n1".into()).flat_map(|key| map.dots(key));
    dots.collect()
}

fn acts() -> impl Generator<Value = Vec<Act>> {
    vec((0..3_usize, 0..3_u8, 0..5_u8), 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_map_has_what_was_seen_and_is_not_known_to_be_removed(acts in acts()) {
        let (maps, model) = history(&acts);
        for (map, (seen, removed)) in maps.iter().zip(&model) {
            prop_assert_eq!(alive(map), seen.difference(removed).cloned().collect());
        }
    }

    #[test]
    fn joining_is_commutative_associative_and_idempotent(acts in acts()) {
        let (maps, _) = history(&acts);
        let [a, b, c] = &maps[..] else { panic!("three") };
        prop_assert_eq!(joined(a, b), joined(b, a));
        prop_assert_eq!(joined(&joined(a, b), c), joined(a, &joined(b, c)));
        prop_assert_eq!(&joined(a, a), a);
    }

    #[test]
    fn what_is_stale_changes_nothing(acts in acts(), more in acts()) {
        let (stale, _) = history(&acts);
        let all = acts.iter().chain(&more).copied().collect::<Vec<_>>();
        let (maps, _) = history(&all);
        for (map, stale) in maps.iter().zip(&stale) {
            prop_assert_eq!(&joined(map, stale), map);
        }
    }

    /// Key by key, in any order: where nothing is told but of the keys, all is there in the end.
    #[test]
    fn maps_that_exchange_single_keys_come_to_the_same(acts in acts(), order in vec((0..3_usize, 0..3_usize, 0..3_u8), 0..12)) {
        let (mut maps, _) = history(&acts);
        let whole = joined(&joined(&maps[0], &maps[1]), &maps[2]);
        for (to, from, child) in order {
            let from = maps[from].clone();
            partial(&mut maps[to], &from, &BTreeSet::from([key("n1", child)]));
        }
        // What one has removed and another has not heard of may come back once.
        for (to, from) in [(0, 1), (0, 2), (1, 0), (2, 0)].into_iter().cycle().take(12) {
            let from = maps[from].clone();
            let all = keys([&maps[to], &from]);
            partial(&mut maps[to], &from, &all);
        }
        for map in &maps {
            prop_assert_eq!(alive(map), alive(&whole));
            prop_assert_eq!(map.root(), whole.root());
            prop_assert_eq!(map.buckets(), whole.buckets());
        }
    }
}

#[test]
fn the_last_write_counts_by_the_clock_of_its_origin() {
    let (mut map, mut other) = (Map::default(), Map::default());
    map.put(&key("n1", 1), ("n1".into(), 1), Some(value(900, 1, "old")));
    other.put(&key("n1", 1), ("n1".into(), 2), Some(value(5, 1, "new")));
    let both = joined(&map, &other);
    assert_eq!(
        both.get(&key("n1", 1)).map(|it| it.pid.as_str()),
        Some("old")
    );
}

/// Issue 65: a context that tells of more than the keys that it comes with takes the others away.
#[test]
fn a_whole_context_with_some_keys_loses_the_others() {
    let (mut map, mut other) = (Map::default(), Map::default());
    map.put(&key("n1", 1), ("n1".into(), 1), Some(value(1, 1, "a")));
    map.put(&key("n1", 2), ("n1".into(), 1), Some(value(2, 2, "b")));
    let told = [map.tell(&key("n1", 2), &[])];
    let mut keys_only = other.clone();
    other.join(&told, &map.context());
    let back = [other.tell(&key("n1", 1), &map.dots(&key("n1", 1)))];
    assert_eq!(map.join(&back, &other.context()), [key("n1", 1)]);
    assert_eq!(map.get(&key("n1", 1)), None);
    keys_only.join(&told, &[]);
    let back = keys_only.tell(&key("n1", 2), &map.dots(&key("n1", 2)));
    assert_eq!(map.join(&[back], &[]), []);
}

fn node_with(change: impl FnOnce(&mut DeltaCrdtConfig)) -> TestNode<DeltaCrdt> {
    let mut config = DeltaCrdtConfig::default();
    change(&mut config);
    let strategy = <DeltaCrdt as Strategy>::new(&config).expect("good parameters");
    TestNode::new(strategy, &["n2", "n3"])
}

fn node() -> TestNode<DeltaCrdt> {
    node_with(|_| {})
}

fn says(body: Body) -> DeltaCrdtMessage {
    DeltaCrdtMessage { number: 7, body }
}

fn told(key: Key, values: &[(Dot, Running)]) -> Told {
    Told {
        key,
        values: values.iter().cloned().collect(),
        removed: Vec::new(),
    }
}

fn diff(told: Vec<Told>) -> DeltaCrdtMessage {
    says(Body::Diff(told, Vec::new()))
}

/// c4 of n2, added under this dot.
fn of_n2(counter: u64, pid: &str) -> DeltaCrdtMessage {
    diff(vec![told(
        key("n2", 4),
        &[(dot("n2", counter), value(counter, 4, pid))],
    )])
}

fn bodies(sent: &[Sent<DeltaCrdtMessage>]) -> Vec<&Body> {
    sent.iter().map(|(_, message)| &message.body).collect()
}

#[test]
fn a_round_begins_an_exchange_with_each_member_that_has_none_open() {
    let mut node = node();
    let sent = node.timer(SYNC);
    assert_eq!(
        kinds(&sent),
        ["delta_crdt.root to n2", "delta_crdt.root to n3"]
    );
    assert_eq!(kinds(&node.timer(SYNC)), [""; 0]);
    let (number, body) = (sent[0].1.number, Body::Done);
    node.receive(
        "n2",
        &DeltaCrdtMessage {
            number: number + 7,
            body: body.clone(),
        },
    );
    assert_eq!(kinds(&node.timer(SYNC)), [""; 0], "another exchange");
    node.receive("n2", &DeltaCrdtMessage { number, body });
    assert_eq!(kinds(&node.timer(SYNC)), ["delta_crdt.root to n2"]);
    node.connect("n3", 1);
    assert_eq!(kinds(&node.timer(SYNC)), ["delta_crdt.root to n3"]);
}

#[test]
fn an_exchange_without_an_answer_is_given_up_if_there_is_a_time_for_it() {
    let mut node = node_with(|config| config.ack_timeout = Duration::from_secs(2));
    node.timer(SYNC);
    for (micros, count) in [(1_999_999, 0), (1, 2)] {
        node.pass(Duration::from_micros(micros));
        assert_eq!(node.timer(SYNC).len(), count);
    }
}

/// The messages of one exchange between two nodes that `begins` begins.
fn exchange(
    begins: &mut TestNode<DeltaCrdt>,
    other: &mut TestNode<DeltaCrdt>,
) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    let root = Body::Root(begins.strategy.map.root());
    let (mut message, mut to_other) = (says(root), true);
    loop {
        kinds.push(message.kind());
        let to = if to_other { &mut *other } else { &mut *begins };
        let Some((_, answer)) = to.receive("n3", &message).into_iter().next() else {
            return kinds;
        };
        (message, to_other) = (answer, !to_other);
    }
}

#[test]
fn an_exchange_goes_down_to_the_keys_that_differ() {
    let (mut one, mut two) = (node(), node());
    for node in [&mut one, &mut two] {
        node.receive("n2", &of_n2(1, "p1"));
    }
    assert_eq!(
        exchange(&mut one, &mut two),
        ["delta_crdt.root", "delta_crdt.done"]
    );
    one.receive("n2", &of_n2(2, "p2"));
    let all =
        ["root", "buckets", "keys", "want", "diff", "done"].map(|it| format!("delta_crdt.{it}"));
    assert_eq!(exchange(&mut one, &mut two), all);
    assert_eq!(two.strategy.map, one.strategy.map);
}

#[test]
fn an_exchange_is_about_so_many_keys() {
    let few = |config: &mut DeltaCrdtConfig| {
        (config.max_sync_size, config.context) = (2, CausalContext::Keys)
    };
    let (mut one, mut two) = (node_with(few), node_with(few));
    for child in 0..5 {
        let added = (dot("n2", u64::from(child) + 1), value(1, child, "p"));
        one.receive("n2", &diff(vec![told(key("n2", child), &[added])]));
    }
    let mut counts = Vec::new();
    for _ in 0..3 {
        exchange(&mut one, &mut two);
        counts.push(two.rows().split(' ').count());
    }
    assert_eq!(counts, [2, 4, 5]);
}

#[test]
fn a_whole_context_has_the_last_dot_of_each_origin() {
    for (context, last) in [
        (CausalContext::Whole, vec![dot("n1", 2)]),
        (CausalContext::Keys, Vec::new()),
    ] {
        let mut node = node_with(|config| config.context = context);
        node.start("a", "p1");
        node.start("b", "p2");
        let sent = node.receive("n2", &says(Body::Want(Vec::new())));
        assert_eq!(bodies(&sent), [&Body::Diff(Vec::new(), last)]);
    }
}

#[test]
fn a_change_replaces_what_was_seen_of_its_key() {
    let mut node = node();
    node.start("c4", "p1");
    node.change(
        "c4",
        Change::Restarted {
            pid: Pid::new("p2"),
        },
    );
    assert_eq!(node.strategy.map.dots(&key("n1", 4)), [dot("n1", 2)]);
    assert_eq!(node.rows(), "c4:n1=p2");
    node.change(
        "c4",
        Change::Stopped {
            pid: Pid::new("p2"),
        },
    );
    assert_eq!((node.rows(), node.strategy.map.root()), (String::new(), 0));
    let late = told(key("n1", 4), &[(dot("n1", 1), value(1, 4, "p1"))]);
    node.receive("n2", &diff(vec![late]));
    assert_eq!(node.rows(), "");
}

#[test]
fn an_owner_removes_rows_of_an_earlier_boot_and_writes_its_own_anew() {
    let mut node = node();
    node.start("c4", "p9");
    let earlier = |child, counter| {
        let (node, incarnation) = ("n1".into(), 0);
        let dot = Dot {
            node,
            incarnation,
            counter,
        };
        told(key("n1", child), &[(dot, value(1 << 40, child, "p1"))])
    };
    node.receive("n2", &diff(vec![earlier(4, 1), earlier(5, 2)]));
    assert_eq!(node.rows(), "c4:n1=p9");
    assert_eq!(node.strategy.map.dots(&key("n1", 4)), [dot("n1", 2)]);
    assert_eq!(node.strategy.map.dots(&key("n1", 5)), []);
}

#[test]
fn an_owner_does_not_notice_a_row_that_is_missing() {
    let mut node = node();
    node.start("c4", "p1");
    let nothing = told(key("n1", 4), &[]);
    node.receive("n2", &says(Body::Diff(vec![nothing], vec![dot("n1", 1)])));
    assert_eq!(node.rows(), "");
}

#[test]
fn rows_of_an_owner_outside_the_view_are_hidden() {
    let mut node = node();
    node.receive("n3", &of_n2(1, "p1"));
    assert_eq!(node.rows(), "c4:n2=p1");
    node.view(&["n3"]);
    assert_eq!(node.rows(), "");
    node.receive("n3", &of_n2(2, "p2"));
    assert_eq!(node.rows(), "");
    node.view(&["n3", "n2"]);
    assert_eq!(node.rows(), "c4:n2=p2");
}

#[test]
fn replicas_with_different_metadata_keep_their_own() {
    let mut node = node();
    let with = |value: &str| Metadata::from_iter([("v", value)]);
    let mut of_n2 = value(1, 4, "p1");
    of_n2.metadata = with("2");
    node.receive(
        "n2",
        &diff(vec![told(key("n2", 4), &[(dot("n2", 1), of_n2)])]),
    );
    let mut change = started("c4", "q");
    if let Change::Started { metadata, .. } = &mut change {
        *metadata = with("1");
    }
    node.change("c4", change);
    let row = node.state.registry().get(&"c4".into());
    let row = row.expect("it is there");
    assert_eq!(row.metadata_on(&"n1".into()), &with("1"));
    assert_eq!(row.metadata_on(&"n2".into()), &with("2"));
}

#[test]
fn hostile_messages_change_nothing() {
    let mut node = node();
    let most = u64::MAX;
    let far = (dot("n2", most), value(most, 4, "p"));
    let other_child = (dot("n2", 1), value(1, 5, "p"));
    let removed = Told {
        removed: vec![dot("n2", most)],
        ..told(key("n2", 4), &[])
    };
    for body in [
        Body::Root(most),
        Body::Buckets([(255, most), (0, 0)].into()),
        Body::Keys(
            vec![255, 255, 0],
            [(key("n2", 4), most), (key("n9", 4), 0)].into(),
        ),
        Body::Want(vec![(key("n9", 4), vec![dot("n9", most), dot("n9", 0)])]),
        Body::Diff(
            vec![told(key("n2", 4), &[far])],
            vec![dot("n2", most), dot("n2", 0)],
        ),
        Body::Diff(
            vec![told(key("n2", 4), &[other_child]), removed],
            Vec::new(),
        ),
        Body::Done,
    ] {
        node.receive("n2", &DeltaCrdtMessage { number: most, body });
    }
    node.timer(SYNC);
    assert_eq!(
        (node.rows(), node.strategy.map),
        (String::new(), Map::default())
    );
}

#[test]
fn messages_have_golden_bytes() {
    let key_bytes = [2, b'n', b'2', 2, b'c', b'4'];
    let dot_bytes = [2, b'n', b'2', 1, 251, 44, 1];
    let value_bytes = [5, 2, b'c', b'4', 0, 0, 1, b'p', 0];
    let told = Told {
        removed: vec![dot("n2", 300)],
        ..told(key("n2", 4), &[(dot("n2", 300), value(5, 4, "p"))])
    };
    for (body, bytes) in [
        (Body::Root(300), vec![0, 251, 44, 1]),
        (Body::Buckets([(9, 300)].into()), vec![1, 1, 9, 251, 44, 1]),
        (
            Body::Keys(vec![9], [(key("n2", 4), 6)].into()),
            [&[2, 1, 9, 1][..], &key_bytes, &[6]].concat(),
        ),
        (
            Body::Want(vec![(key("n2", 4), vec![dot("n2", 300)])]),
            [&[3, 1][..], &key_bytes, &[1], &dot_bytes].concat(),
        ),
        (
            Body::Diff(vec![told], vec![dot("n2", 300)]),
            [
                &[4, 1][..],
                &key_bytes,
                &[1],
                &dot_bytes,
                &value_bytes,
                &[1],
                &dot_bytes,
                &[1],
                &dot_bytes,
            ]
            .concat(),
        ),
        (Body::Done, vec![5]),
    ] {
        assert_bytes(&says(body), &[&[7][..], &bytes].concat());
    }
}
