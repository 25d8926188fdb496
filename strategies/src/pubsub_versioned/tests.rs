//! The merge laws of versions, against a model of a few lines, and single steps.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::*;
use crate::child::{ChildSpec, Metadata};
use crate::fact::Change;
use crate::harness::{TestNode, assert_bytes, kinds, started};
use crate::name::Pid;
use crate::owner_log::script::{Script, model, operation, operations, running};
use crate::request::{Registration, Unregistration};

fn after(events: &[Operation]) -> Versions {
    let mut versions = Versions::new(1);
    for event in events {
        versions.apply(event, Time(9));
    }
    versions
}

fn snapshot(script: &[(u8, bool)]) -> VersionedRows {
    VersionedRows {
        incarnation: 1,
        as_of: script.len() as u64,
        rows: model(script).into_values().collect(),
    }
}

fn scripts() -> impl Generator<Value = Script> {
    vec((0..6_u8, any::<bool>()), 0..24)
}

/// A script, its changes in another order, and one of them a second time.
fn arrivals() -> impl Generator<Value = (Script, Vec<Operation>, Vec<Operation>)> {
    scripts().prop_flat_map(|script| {
        let all = operations(&script);
        let again = all.clone();
        let some = (0..=all.len()).prop_map(move |count| again[..count].to_vec());
        (Just(script), Just(all).prop_shuffle(), some)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn changes_commute_associate_and_repeat_without_effect((script, arrived, again) in arrivals()) {
        let mut versions = after(&arrived);
        prop_assert_eq!(&versions.rows, &model(&script));
        prop_assert_eq!(&versions, &after(&operations(&script)));
        let before = versions.clone();
        for event in &again {
            prop_assert_eq!(versions.apply(event, Time(9)), None);
        }
        prop_assert_eq!(versions, before);
    }

    #[test]
    fn a_snapshot_equals_its_prefix_of_changes(script in scripts(), known in 0..24_usize) {
        // Of a prefix that is known already, too.
        let mut versions = after(&operations(&script[..known.min(script.len())]));
        versions.apply_rows(&snapshot(&script), Time(9));
        prop_assert_eq!(versions.rows, model(&script));
    }

    #[test]
    fn a_stale_snapshot_changes_nothing(script in scripts(), cut in 0..24_usize) {
        let mut versions = after(&operations(&script));
        let before = versions.clone();
        let stale = snapshot(&script[..cut.min(script.len())]);
        prop_assert_eq!(versions.apply_rows(&stale, Time(9)), Vec::new());
        prop_assert_eq!(versions, before);
    }

    /// Changes in any order, with snapshots of any prefixes between them.
    #[test]
    fn everything_together_comes_to_what_the_owner_has(
        (script, arrived, _) in arrivals(),
        cuts in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..5),
    ) {
        let mut versions = Versions::new(1);
        for (place, event) in arrived.iter().enumerate() {
            for (cut, when) in &cuts {
                if when.index(arrived.len()) == place {
                    let cut = cut.index(script.len() + 1);
                    versions.apply_rows(&snapshot(&script[..cut]), Time(9));
                }
            }
            versions.apply(event, Time(9));
        }
        prop_assert_eq!(versions.rows, model(&script));
    }
}

fn node() -> TestNode<PubSubVersioned> {
    let config = PubSubVersionedConfig::default();
    let strategy =
        <PubSubVersioned as crate::strategy::Strategy>::new(&config).expect("good parameters");
    TestNode::new(strategy, &["n2", "n3"])
}

fn told(incarnation: u64, changes: &[(u64, u8, bool)]) -> PubSubVersionedMessage {
    let change = |(seq, child, runs): &(u64, u8, bool)| operation(*seq, *child, *runs);
    PubSubVersionedMessage::Events {
        incarnation,
        events: changes.iter().map(change).collect(),
    }
}

fn rows(incarnation: u64, as_of: u64, rows: &[(u64, u8)]) -> VersionedRows {
    VersionedRows {
        incarnation,
        as_of,
        rows: rows
            .iter()
            .map(|(seq, child)| running(*seq, *child))
            .collect(),
    }
}

fn register(child: &str) -> Requests {
    Arc::new([Request::Register(vec![Registration {
        spec: ChildSpec::new(child, ""),
        entries: Default::default(),
        metadata: Metadata::default(),
    }])])
}

#[test]
fn an_announced_change_goes_to_every_connected_peer_and_another_one_to_nobody() {
    let mut node = node();
    assert_eq!(kinds(&node.start("a", "p1")), [""; 0]);
    let sent = node.step(|it, cx| it.propagate(cx, register("a"), &Members::External));
    assert_eq!(kinds(&sent), ["pubsub_versioned.events to n2 n3"]);
    let pid = Pid::new("p1");
    node.change("a", Change::Stopped { pid });
    let requests: Requests = Arc::new([Request::Unregister(vec![Unregistration {
        child: "a".into(),
        nodes: vec!["n1".into()],
    }])]);
    let sent = node.step(|it, cx| it.propagate(cx, requests, &Members::Global));
    let gone = Operation::Gone {
        seq: 2,
        child: "a".into(),
    };
    let message = PubSubVersionedMessage::Events {
        incarnation: 1,
        events: vec![gone],
    };
    assert_eq!(sent, [(vec!["n2".into(), "n3".into()], message)]);
    let sent = node.step(|it, cx| it.propagate(cx, register("z"), &Members::External));
    assert_eq!(kinds(&sent), [""; 0], "it never ran here");
}

#[test]
fn rounds_and_joins_send_snapshots_as_of_the_last_change() {
    let mut node = node();
    node.start("a", "p1");
    let sent = node.step(|it, cx| it.round(cx));
    let [(to, PubSubVersionedMessage::Sync(data))] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!((to.len(), data.as_of, data.rows.len()), (2, 1, 1));
    let sent = node.step(|it, cx| it.nodes_joining(cx, &["n3".into()]));
    assert_eq!(kinds(&sent), ["pubsub_versioned.join to n3"]);
}

#[test]
fn what_is_older_or_equal_is_ignored() {
    let mut node = node();
    node.receive("n2", &told(1, &[(3, 4, true)]));
    assert_eq!(node.rows(), "c4:n2=p3");
    node.receive("n2", &told(1, &[(2, 4, false), (3, 4, true), (1, 4, true)]));
    assert_eq!(node.rows(), "c4:n2=p3");
    node.receive("n2", &told(1, &[(5, 4, false)]));
    node.receive("n2", &told(1, &[(4, 4, true)]));
    assert_eq!(node.rows(), "");
}

#[test]
fn a_snapshot_removes_only_what_is_at_most_as_old() {
    let mut node = node();
    node.receive("n2", &told(1, &[(1, 4, true), (5, 6, true)]));
    let data = rows(1, 3, &[(3, 5)]);
    node.receive("n2", &PubSubVersionedMessage::Sync(data));
    assert_eq!(node.rows(), "c5:n2=p3 c6:n2=p5");
    node.receive("n2", &told(1, &[(2, 4, true)]));
    assert_eq!(node.rows(), "c5:n2=p3 c6:n2=p5", "a late start");
}

#[test]
fn tombstones_are_forgotten() {
    let mut node = node();
    let ended = [(1, 4, true), (2, 4, false)];
    node.receive("n2", &told(1, &ended));
    assert!(node.strategy.state_bytes() > 0);
    for (seconds, is_there) in [(59, true), (1, false)] {
        node.pass(Duration::from_secs(seconds));
        let now = node.recorder.now;
        node.strategy.purge(now);
        assert_eq!(node.strategy.state_bytes() > 0, is_there);
    }
}

#[test]
fn rows_of_an_owner_outside_the_view_are_hidden() {
    let mut node = node();
    node.connect("n4", 1);
    node.receive("n4", &PubSubVersionedMessage::Join(rows(1, 1, &[(1, 4)])));
    assert_eq!(node.rows(), "");
    node.view(&["n2", "n4"]);
    assert_eq!(node.rows(), "c4:n4=p1");
    node.view(&["n2"]);
    assert_eq!(node.rows(), "");
}

#[test]
fn rows_of_an_older_incarnation_are_dropped() {
    let mut node = node();
    node.receive("n2", &told(1, &[(1, 4, true)]));
    node.connect("n2", 2);
    assert_eq!(node.rows(), "");
    node.receive("n2", &told(1, &[(2, 5, true)]));
    assert_eq!(node.rows(), "");
    node.receive("n2", &told(2, &[(1, 6, true)]));
    assert_eq!(node.rows(), "c6:n2=p1");
    node.receive("n2", &told(3, &[(1, 7, true)]));
    assert_eq!(node.rows(), "c7:n2=p1");
}

#[test]
fn replicas_with_different_metadata_keep_their_own() {
    let mut node = node();
    let with = |value: &str| Metadata::from_iter([("v", value)]);
    let mut data = rows(1, 1, &[(1, 4)]);
    data.rows[0].metadata = with("2");
    node.receive("n2", &PubSubVersionedMessage::Sync(data));
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
fn messages_have_golden_bytes() {
    let runs = [1, 2, b'c', b'7', 0, 0, 2, b'p', b'1', 0];
    let gone = [1, 2, 2, b'c', b'8'];
    let message = told(3, &[(1, 7, true), (2, 8, false)]);
    assert_bytes(&message, &[&[0, 3, 2, 0][..], &runs, &gone].concat());
    let data = rows(3, 4, &[(1, 7)]);
    let bytes = [&[3, 4, 1][..], &runs].concat();
    let sync = PubSubVersionedMessage::Sync(data.clone());
    assert_bytes(&sync, &[&[1][..], &bytes].concat());
    let join = PubSubVersionedMessage::Join(data);
    assert_bytes(&join, &[&[2][..], &bytes].concat());
}
