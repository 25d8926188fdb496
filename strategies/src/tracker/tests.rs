//! The merge laws of replicas, against a model of a few lines, and single steps.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::*;
use crate::child::Metadata;
use crate::fact::Change;
use crate::harness::{Sent, TestNode, assert_bytes, kinds, started};
use crate::name::Pid;
use crate::owner_log::script::{Script, running};
use crate::strategy::Strategy;

/// The changes that a script comes to, each with the tags that it removes, and what the owner has in the end.
fn changes(script: &[(u8, bool)]) -> (Vec<Replica>, Replica) {
    let (mut owner, mut changes) = (Replica::default(), Vec::new());
    for (seq, (child, runs)) in (1..).zip(script) {
        let (child, pid) = (format!("c{child}"), format!("p{seq}"));
        let change = match runs {
            true => started(&child, &pid),
            false => Change::Stopped { pid: pid.into() },
        };
        let fact = Fact {
            owner: "n2".into(),
            incarnation: 1,
            seq,
            child: child.into(),
            change,
        };
        changes.push(owner.of_change(&fact));
        owner.merge(changes.last().expect("it was just pushed"));
    }
    (changes, owner)
}

fn joined<'a>(changes: impl IntoIterator<Item = &'a Replica>) -> Replica {
    let mut all = Replica::default();
    for change in changes {
        all.merge(change);
    }
    all
}

/// The model: the tags of the starts that some of the changes make, less those that some of them remove.
fn model(script: &[(u8, bool)], known: &BTreeSet<usize>) -> BTreeSet<u64> {
    let mut alive = BTreeSet::new();
    for start in known.iter().filter(|at| script[**at].1) {
        let of_child = |at: &usize| script[*at].0 == script[*start].0;
        let next = (start + 1..script.len()).find(of_child);
        if next.is_none_or(|next| !known.contains(&next)) {
            alive.insert(*start as u64 + 1);
        }
    }
    alive
}

fn tags(replica: &Replica) -> BTreeSet<u64> {
    replica.rows().map(|row| row.seq).collect()
}

/// A script, and three choices of its changes, in the order in which they arrive.
fn arrivals() -> impl Generator<Value = (Script, [Vec<usize>; 3])> {
    vec((0..4_u8, any::<bool>()), 1..16).prop_flat_map(|script| {
        let choice = || vec(0..script.len(), 0..16);
        let choices = [choice(), choice(), choice()];
        (Just(script.clone()), choices)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_replica_is_what_the_model_says_in_whatever_order_changes_arrive((script, [some, ..]) in arrivals()) {
        let (changes, _) = changes(&script);
        let replica = joined(some.iter().map(|at| &changes[*at]));
        let known: BTreeSet<usize> = some.iter().copied().collect();
        prop_assert_eq!(tags(&replica), model(&script, &known));
        let sorted = joined(known.iter().map(|at| &changes[*at]));
        prop_assert_eq!(&replica, &sorted);
        // Nothing up to its clock is news to it.
        let prefix = changes.iter().take_while(|it| it.last() <= replica.clock());
        prop_assert_eq!(joined(prefix.chain([&sorted])), replica);
    }

    #[test]
    fn joining_is_commutative_associative_and_idempotent((script, choices) in arrivals()) {
        let (changes, _) = changes(&script);
        let [a, b, c] = choices.map(|some| joined(some.iter().map(|at| &changes[*at])));
        let ab = joined([&a, &b]);
        prop_assert_eq!(&ab, &joined([&b, &a]));
        prop_assert_eq!(joined([&ab, &c]), joined([&a, &joined([&b, &c])]));
        prop_assert_eq!(&joined([&a, &a]), &a);
        let mut again = ab.clone();
        prop_assert_eq!(again.merge(&b), BTreeSet::new());
        prop_assert_eq!(again, ab);
    }

    #[test]
    fn a_transfer_equals_its_prefix_of_changes_and_a_stale_one_changes_nothing(
        (script, [some, ..]) in arrivals(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (changes, owner) = changes(&script);
        let prefix = joined(&changes[..cut.index(script.len() + 1)]);
        let sent = part(&"n2".into(), 1, &prefix);
        let came = Replica::of(&sent.clocks, &sent.removed, &sent.rows);
        prop_assert_eq!(&came, &prefix);
        let mut replica = joined(some.iter().map(|at| &changes[*at]));
        replica.merge(&came);
        prop_assert!(replica.clock() >= prefix.clock());
        let mut whole = joined([&replica, &owner]);
        prop_assert_eq!(&whole, &owner);
        prop_assert_eq!(whole.merge(&came), BTreeSet::new());
        prop_assert_eq!(&whole, &owner);
    }

    #[test]
    fn changes_that_were_collected_are_worth_the_same_one_by_one((script, _) in arrivals(), cut in any::<prop::sample::Index>()) {
        let (changes, owner) = changes(&script);
        let (first, rest) = changes.split_at(cut.index(script.len() + 1));
        let collected = joined(rest);
        prop_assert_eq!(joined([&joined(first), &collected]), owner);
    }
}

#[test]
fn of_two_rows_of_a_child_the_later_one_counts() {
    let (changes, _) = changes(&[(1, true), (1, false), (1, true)]);
    let replica = joined([&changes[2], &changes[0]]);
    let row = replica.row(&"c1".into()).expect("it runs");
    assert_eq!((tags(&replica).len(), row.pid.as_str()), (2, "p3"));
    assert_eq!(tags(&joined([&replica, &changes[1]])), BTreeSet::from([3]));
}

fn node() -> TestNode<Tracker> {
    let strategy = <Tracker as Strategy>::new(&TrackerConfig::default()).expect("good parameters");
    TestNode::new(strategy, &["n2", "n3"])
}

fn told(node: &str, incarnation: u64, clocks: &[(u64, u64)], rows: &[(u64, u8)]) -> Part {
    Part {
        node: node.into(),
        incarnation,
        clocks: clocks.to_vec(),
        removed: Vec::new(),
        rows: rows
            .iter()
            .map(|(seq, child)| running(*seq, *child))
            .collect(),
    }
}

fn delta(clocks: &[(u64, u64)], rows: &[(u64, u8)]) -> TrackerMessage {
    TrackerMessage::Delta(told("n2", 1, clocks, rows))
}

fn clocks(clocks: &[(&str, u64, u64)]) -> Clocks {
    let clock =
        |(node, incarnation, clock): &(&str, u64, u64)| ((*node).into(), (*incarnation, *clock));
    clocks.iter().map(clock).collect()
}

/// What was sent, one line per message.
fn lines(sent: &[Sent<TrackerMessage>]) -> Vec<String> {
    let parts = |parts: &[Part]| {
        let text = |it: &Part| {
            let rows: Vec<_> = it.rows.iter().map(|row| row.spec.id().as_str()).collect();
            format!(
                "{} {:?} {:?} {}",
                it.node,
                it.clocks,
                it.removed,
                rows.join(",")
            )
        };
        parts.iter().map(text).collect::<Vec<_>>().join(" ")
    };
    let text = |clocks: &Clocks| {
        let text = |(node, it): (&NodeId, &(u64, u64))| format!("{node} {}.{}", it.0, it.1);
        clocks.iter().map(text).collect::<Vec<_>>().join(" ")
    };
    let line = |(to, message): &Sent<TrackerMessage>| {
        let to: Vec<_> = to.iter().map(NodeId::as_str).collect();
        let what = match message {
            TrackerMessage::Delta(part) => format!("delta [{}]", parts(std::slice::from_ref(part))),
            TrackerMessage::Heartbeat(clocks) => format!("heartbeat [{}]", text(clocks)),
            TrackerMessage::Ask(clocks) => format!("ask [{}]", text(clocks)),
            TrackerMessage::Transfer(all) => format!("transfer [{}]", parts(all)),
        };
        format!("{} <- {what}", to.join(" "))
    };
    sent.iter().map(line).collect()
}

#[test]
fn changes_of_a_period_are_one_message_and_silence_ends_with_a_heartbeat() {
    let mut node = node();
    assert_eq!(
        lines(&node.timer(BROADCAST)),
        ["n2 n3 <- heartbeat [n1 1.0]"]
    );
    assert_eq!(kinds(&node.start("a", "p1")), [""; 0]);
    node.start("b", "p2");
    let pid = Pid::new("p1");
    node.change("a", Change::Stopped { pid });
    assert_eq!(
        lines(&node.timer(BROADCAST)),
        ["n2 n3 <- delta [n1 [(0, 3)] [] b]"]
    );
    for _ in 0..9 {
        assert_eq!(lines(&node.timer(BROADCAST)), [""; 0]);
    }
    assert_eq!(
        lines(&node.timer(BROADCAST)),
        ["n2 n3 <- heartbeat [n1 1.3]"]
    );
}

#[test]
fn a_delta_has_the_tags_that_it_removes_and_no_tombstone_stays() {
    let mut node = node();
    node.start("a", "p1");
    node.start("b", "p2");
    node.timer(BROADCAST);
    let pid = Pid::new("p3");
    node.change("a", Change::Restarted { pid: pid.clone() });
    assert_eq!(
        lines(&node.timer(BROADCAST)),
        ["n2 n3 <- delta [n1 [(2, 3)] [(0, 1)] a]"]
    );
    node.change("a", Change::Stopped { pid });
    assert_eq!(
        lines(&node.timer(BROADCAST)),
        ["n2 n3 <- delta [n1 [(3, 4)] [(2, 4)] ]"]
    );
    node.receive("n2", &delta(&[(0, 2)], &[(1, 4), (2, 5)]));
    assert_eq!(node.rows(), "b:n1=p2 c4:n2=p1 c5:n2=p2");
    let full = node.strategy.state_bytes();
    let removal = Part {
        removed: vec![(0, 1)],
        ..told("n2", 1, &[(2, 3)], &[])
    };
    node.receive("n2", &TrackerMessage::Delta(removal));
    assert_eq!(node.rows(), "b:n1=p2 c5:n2=p2");
    assert!(node.strategy.state_bytes() < full);
    node.receive("n2", &delta(&[(0, 1)], &[(1, 4)]));
    assert_eq!(node.rows(), "b:n1=p2 c5:n2=p2", "a late start");
}

#[test]
fn a_gap_is_asked_for_once_clocks_were_collected() {
    let mut node = node();
    assert_eq!(
        kinds(&node.receive("n2", &delta(&[(1, 2)], &[(2, 5)]))),
        [""; 0]
    );
    assert_eq!(node.rows(), "c5:n2=p2");
    assert_eq!(
        lines(&node.timer(BROADCAST)),
        ["n2 n3 <- heartbeat [n1 1.0 n2 1.0]"]
    );
    assert_eq!(lines(&node.timer(BROADCAST)), ["n2 <- ask [n1 1.0 n2 1.0]"]);
    let whole = TrackerMessage::Transfer(vec![told("n2", 1, &[(0, 2)], &[(1, 4), (2, 5)])]);
    node.receive("n2", &whole);
    assert_eq!(node.rows(), "c4:n2=p1 c5:n2=p2");
    node.receive("n2", &TrackerMessage::Heartbeat(clocks(&[("n2", 1, 2)])));
    for _ in 0..2 {
        assert_eq!(lines(&node.timer(BROADCAST)), [""; 0]);
    }
}

#[test]
fn those_are_asked_that_have_more_than_those_asked_before() {
    let mut node = node();
    node.timer(BROADCAST);
    for (from, heard) in [
        ("n2", clocks(&[("n2", 1, 5), ("n4", 1, 3)])),
        ("n3", clocks(&[("n2", 1, 5), ("n3", 1, 0), ("n4", 1, 3)])),
        ("n4", clocks(&[("n1", 1, 9), ("n4", 1, 4)])),
    ] {
        node.receive(from, &TrackerMessage::Heartbeat(heard));
    }
    let asked = kinds(&node.timer(BROADCAST));
    assert_eq!(asked, ["tracker.ask to n2", "tracker.ask to n4"]);
}

#[test]
fn a_transfer_has_the_replicas_that_are_up_and_that_the_other_lacks() {
    let mut node = node();
    node.start("a", "p1");
    node.receive("n2", &delta(&[(0, 2)], &[(2, 5)]));
    let of_n4 = told("n4", 1, &[(0, 1)], &[(1, 6)]);
    node.receive("n3", &TrackerMessage::Transfer(vec![of_n4]));
    let mut answer = |known: &[(&str, u64, u64)]| {
        lines(&node.receive("n3", &TrackerMessage::Ask(clocks(known))))
    };
    assert_eq!(
        answer(&[]),
        ["n3 <- transfer [n2 [(0, 2)] [] c5 n1 [(0, 1)] [] a]"]
    );
    assert_eq!(
        answer(&[("n1", 1, 1)]),
        ["n3 <- transfer [n2 [(0, 2)] [] c5]"]
    );
    assert_eq!(answer(&[("n1", 1, 1), ("n2", 1, 2)]), [""; 0]);
    assert_eq!(answer(&[("n1", 1, 1), ("n2", 2, 0)]), [""; 0]);
}

#[test]
fn a_silent_replica_is_hidden_and_later_dropped() {
    let mut node = node();
    node.receive("n2", &delta(&[(0, 1)], &[(1, 4)]));
    node.pass(Duration::from_secs(30));
    node.timer(BROADCAST);
    assert_eq!(node.rows(), "c4:n2=p1");
    node.pass(Duration::from_micros(1));
    node.timer(BROADCAST);
    assert_eq!(node.rows(), "");
    let clocks = TrackerMessage::Ask(Clocks::new());
    assert_eq!(
        kinds(&node.receive("n3", &clocks)),
        [""; 0],
        "it is not passed on"
    );
    node.receive("n2", &TrackerMessage::Heartbeat(clocks_of_n2(1, 1)));
    assert_eq!(node.rows(), "c4:n2=p1");
    node.pass(Duration::from_secs(1_201));
    node.timer(BROADCAST);
    assert_eq!(
        (node.rows(), node.strategy.state_bytes()),
        (String::new(), 0)
    );
}

fn clocks_of_n2(incarnation: u64, clock: u64) -> Clocks {
    clocks(&[("n2", incarnation, clock)])
}

#[test]
fn what_others_tell_of_a_replica_waits_until_it_is_heard() {
    let mut node = node();
    let of_n2 = told("n2", 1, &[(0, 1)], &[(1, 4)]);
    node.receive("n3", &TrackerMessage::Transfer(vec![of_n2]));
    assert_eq!(node.rows(), "");
    node.receive("n2", &TrackerMessage::Heartbeat(clocks_of_n2(1, 1)));
    assert_eq!(node.rows(), "c4:n2=p1");
}

#[test]
fn a_later_incarnation_is_another_replica() {
    let mut node = node();
    node.receive("n2", &delta(&[(0, 1)], &[(1, 4)]));
    node.receive("n2", &TrackerMessage::Heartbeat(clocks_of_n2(2, 0)));
    assert_eq!(node.rows(), "");
    node.receive("n2", &delta(&[(1, 2)], &[(2, 5)]));
    assert_eq!(node.rows(), "", "out of date");
    node.receive(
        "n2",
        &TrackerMessage::Delta(told("n2", 2, &[(0, 1)], &[(1, 6)])),
    );
    assert_eq!(node.rows(), "c6:n2=p1");
}

#[test]
fn rows_of_an_owner_outside_the_view_are_hidden() {
    let mut node = node();
    node.receive("n2", &delta(&[(0, 1)], &[(1, 4)]));
    node.view(&["n3"]);
    assert_eq!(node.rows(), "");
    node.receive("n2", &delta(&[(1, 2)], &[(2, 5)]));
    assert_eq!(node.rows(), "");
    node.view(&["n3", "n2"]);
    assert_eq!(node.rows(), "c4:n2=p1 c5:n2=p2");
}

#[test]
fn replicas_with_different_metadata_keep_their_own() {
    let mut node = node();
    let with = |value: &str| Metadata::from_iter([("v", value)]);
    let mut of_n2 = told("n2", 1, &[(0, 1)], &[(1, 4)]);
    of_n2.rows[0].metadata = with("2");
    node.receive("n2", &TrackerMessage::Delta(of_n2));
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
fn hostile_numbers_change_nothing() {
    let mut node = node();
    let most = u64::MAX;
    for part in [
        told("n2", 1, &[(0, most)], &[(most, 1)]),
        told("n2", 1, &[(5, 2), (7, 7), (most, 0)], &[(3, 1), (7, 1)]),
        told("n2", 1, &[], &[(1, 1), (0, 2)]),
        told("n1", 1, &[(0, 9)], &[(9, 1)]),
        told("n1", most, &[(0, 9)], &[(9, 1)]),
    ] {
        node.receive("n2", &TrackerMessage::Delta(part.clone()));
        node.receive("n3", &TrackerMessage::Delta(part.clone()));
        node.receive("n3", &TrackerMessage::Transfer(vec![part.clone(), part]));
    }
    let told = clocks(&[("n1", most, most), ("n2", most, most), ("n9", 0, most)]);
    node.receive("n3", &TrackerMessage::Heartbeat(told.clone()));
    node.receive("n3", &TrackerMessage::Ask(told));
    for _ in 0..3 {
        node.timer(BROADCAST);
    }
    assert_eq!((node.rows(), node.strategy.own.last()), (String::new(), 0));
    let twice = told_twice();
    node.receive("n2", &TrackerMessage::Delta(twice));
    assert_eq!(node.rows(), "c1:n2=p1");
}

/// One tag with two rows: the first counts.
fn told_twice() -> Part {
    told("n2", 1, &[(0, 1)], &[(1, 1), (1, 2)])
}

#[test]
fn bad_parameters_are_refused() {
    let refused = |config: TrackerConfig| {
        let error = <Tracker as Strategy>::new(&config).expect_err("they are bad");
        error.to_string()
    };
    let good = TrackerConfig::default;
    let (down_period, permdown_period) = (Duration::from_millis(2_999), Duration::from_secs(29));
    let short = TrackerConfig {
        down_period,
        ..good()
    };
    assert_eq!(
        refused(short),
        "down_period: must be at least twice the broadcast_period"
    );
    let short = TrackerConfig {
        permdown_period,
        ..good()
    };
    assert_eq!(
        refused(short),
        "permdown_period: must be at least the down_period"
    );
    let none = TrackerConfig {
        clock_sample_periods: 0,
        ..good()
    };
    assert_eq!(refused(none), "clock_sample_periods: must be at least 1");
}

#[test]
fn messages_have_golden_bytes() {
    let runs = [1, 2, b'c', b'7', 0, 0, 2, b'p', b'1', 0];
    let of_n2 = Part {
        removed: vec![(2, 3)],
        ..told("n2", 3, &[(0, 1), (4, 300)], &[(1, 7)])
    };
    let front = [2, b'n', b'2', 3, 2, 0, 1, 4, 251, 44, 1, 1, 2, 3, 1];
    let bytes = [&front[..], &runs].concat();
    let message = TrackerMessage::Delta(of_n2.clone());
    assert_bytes(&message, &[&[0][..], &bytes].concat());
    let message = TrackerMessage::Transfer(vec![of_n2]);
    assert_bytes(&message, &[&[3, 1][..], &bytes].concat());
    let (heard, bytes) = (clocks(&[("a", 1, 300)]), [1, 1, b'a', 1, 251, 44, 1]);
    let message = TrackerMessage::Heartbeat(heard.clone());
    assert_bytes(&message, &[&[1][..], &bytes].concat());
    assert_bytes(&TrackerMessage::Ask(heard), &[&[2][..], &bytes].concat());
}
