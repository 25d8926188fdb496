//! The merge laws of a replica, against a model of a few lines, and single steps.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::*;
use crate::child::Metadata;
use crate::fact::Change;
use crate::harness::{Sent, TestNode, assert_bytes, kinds, started};
use crate::name::Pid;
use crate::owner_log::Running;
use crate::owner_log::script::{Script, model, operation, running};
use crate::strategy::{EventStrategy, Strategy};

fn rows(replica: &Replica) -> BTreeMap<ChildId, Running> {
    let of = |row: &Running| (row.spec.id().clone(), row.clone());
    replica.rows().map(of).collect()
}

/// The owner's own after a script; removals up to `mark` are dropped.
fn owner(script: &[(u8, bool)], mark: u64) -> Replica {
    let mut replica = Replica::new(1);
    for (seq, (child, runs)) in (1..).zip(script) {
        replica.record(operation(seq, *child, *runs));
    }
    replica.expire(mark);
    replica
}

/// What `from` sends to one that is as far as `to` is.
fn delta_for(from: &Replica, to: &Replica, room: u64) -> Option<Delta> {
    let name = NodeId::new("n2");
    let start = from.start_for(&to.head(&name))?;
    Some(from.delta(&name, start, room, true).0)
}

/// What an exchange with `from` makes of `to`.
fn merge(to: &Replica, from: &Replica) -> Replica {
    let mut merged = to.clone();
    if let Some(delta) = delta_for(from, to, u64::MAX) {
        merged.apply(&delta);
    }
    merged.collect(from.gc());
    merged
}

fn scripts() -> impl Generator<Value = Script> {
    vec((0..6_u8, any::<bool>()), 0..24)
}

/// A replica of a prefix of the script, some of whose removals are dropped.
fn replicas(script: &Script, cuts: &[(prop::sample::Index, prop::sample::Index)]) -> Vec<Replica> {
    let one = |(cut, mark): &(prop::sample::Index, prop::sample::Index)| {
        let cut = cut.index(script.len() + 1);
        owner(&script[..cut], mark.index(cut + 1) as u64)
    };
    cuts.iter().map(one).collect()
}

fn cuts(count: usize) -> impl Generator<Value = Vec<(prop::sample::Index, prop::sample::Index)>> {
    vec(
        (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        count,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn merging_commutes_associates_and_repeats_without_effect(
        script in scripts(), cuts in cuts(3)
    ) {
        let all = replicas(&script, &cuts);
        let [a, b, c] = &all[..] else { panic!("three") };
        prop_assert_eq!(rows(&merge(a, b)), rows(&merge(b, a)));
        prop_assert_eq!(merge(a, b).max(), merge(b, a).max());
        let (left, right) = (merge(&merge(a, b), c), merge(a, &merge(b, c)));
        prop_assert_eq!(rows(&left), rows(&right));
        prop_assert_eq!(left.max(), right.max());
        prop_assert_eq!(merge(a, a), a.clone());
        prop_assert_eq!(merge(&merge(a, b), b), merge(a, b));
    }

    #[test]
    fn a_snapshot_equals_its_prefix_of_changes(
        script in scripts(), cuts in cuts(1), room in 0..60_u64
    ) {
        let from = replicas(&script, &cuts).remove(0);
        let mut to = Replica::new(1);
        let mut parts = 0;
        while let Some(delta) = delta_for(&from, &to, room) {
            to.apply(&delta);
            parts += 1;
            prop_assert!(parts < 100, "{:?} {:?}", from, to);
        }
        prop_assert_eq!(to, from.clone());
        prop_assert_eq!(rows(&from), model(&script[..usize::try_from(from.max()).expect("small")]));
    }

    #[test]
    fn a_stale_delta_changes_nothing(script in scripts(), cuts in cuts(3)) {
        let mut all = replicas(&script, &cuts);
        all.sort_by_key(Replica::max);
        let [other, older, newer] = &all[..] else { panic!("three") };
        let merged = merge(newer, older);
        if let Some(delta) = delta_for(older, other, u64::MAX) {
            let mut again = merged.clone();
            prop_assert_eq!(again.apply(&delta), Vec::new());
            prop_assert_eq!(again, merged);
        }
    }

    /// Three nodes and the owner exchange parts of deltas, some of which arrive late or twice, while the
    /// owner goes on and drops removals: no pid that went comes back, an exchange never ends with less
    /// known than a part of a reset, and in the end all have what the owner has.
    #[test]
    fn everything_together_comes_to_what_the_owner_has(
        script in scripts(),
        steps in vec((0..5_u8, 0..4_usize, 0..4_usize, 0..90_u64), 0..60),
    ) {
        let mut all = vec![Replica::new(1); 4];
        let mut lost: Vec<BTreeSet<Pid>> = vec![BTreeSet::new(); 4];
        let (mut left, mut mark) = (script.iter(), 0);
        let mut under_way: Vec<(usize, Delta)> = Vec::new();
        let pids = |it: &Replica| -> BTreeSet<Pid> { it.rows().map(|row| row.pid.clone()).collect() };
        for (what, a, b, room) in steps {
            let before: Vec<_> = all.iter().map(pids).collect();
            match what {
                0 => if let Some((child, runs)) = left.next() {
                    let seq = all[0].max() + 1;
                    all[0].record(operation(seq, *child, *runs));
                },
                1 if a == 0 => {
                    all[0].expire(mark);
                    mark = all[0].max();
                }
                1 if b != 0 => {
                    let gc = all[a].gc();
                    all[b].collect(gc);
                }
                2 | 3 => if b != 0 && let Some(delta) = delta_for(&all[a], &all[b], room) {
                    under_way.push((b, delta));
                },
                _ => if !under_way.is_empty() {
                    let (to, delta) = under_way[a % under_way.len()].clone();
                    all[to].apply(&delta);
                    if b > 0 {
                        under_way.remove(a % under_way.len());
                    }
                },
            }
            for (node, before) in before.iter().enumerate() {
                let now = pids(&all[node]);
                prop_assert!(now.is_disjoint(&lost[node]), "{:?} {:?}", lost[node], now);
                lost[node].extend(before.difference(&now).cloned());
            }
        }
        let (owner, others) = all.split_first_mut().expect("four");
        for node in others {
            for _ in 0..100 {
                if let Some(delta) = delta_for(owner, node, 30) {
                    node.apply(&delta);
                }
            }
            node.collect(owner.gc());
            prop_assert_eq!(&*node, &*owner);
        }
        let made = script.len() - left.len();
        prop_assert_eq!(rows(owner), model(&script[..made]));
    }
}

#[test]
fn rows_stay_while_a_reset_goes_on_and_what_was_removed_meanwhile_goes() {
    let (first, all) = (
        [(0, true), (1, true), (2, true)],
        [(0, true), (1, true), (2, true), (1, false), (3, true)],
    );
    let (mut node, now) = (owner(&first, 0), owner(&all, 4));
    assert_eq!((now.gc(), now.max()), (4, 5));
    let mut shown = Vec::new();
    while let Some(delta) = delta_for(&now, &node, 0) {
        node.apply(&delta);
        let children = node.rows().map(|row| row.spec.id().as_str());
        shown.push(children.collect::<Vec<_>>().join(" "));
    }
    assert_eq!(shown, ["c0 c1 c2", "c0 c2", "c0 c2 c3"]);
    assert_eq!(node, now);
}

#[test]
fn a_delta_that_leaves_a_gap_is_not_taken() {
    let all = owner(&[(0, true), (1, true)], 0);
    let (second, _) = all.delta(&"n2".into(), 1, u64::MAX, true);
    let mut node = Replica::new(1);
    assert_eq!(node.apply(&second), Vec::new());
    assert_eq!(node, Replica::new(1));
}

fn node(config: ScuttlebuttConfig) -> TestNode<Scuttlebutt> {
    let strategy = Scuttlebutt::new(&config).expect("good parameters");
    TestNode::new(strategy, &["n2", "n3"])
}

fn head(owner: &str, incarnation: u64, gc: u64, max: u64) -> Head {
    Head {
        owner: owner.into(),
        incarnation,
        gc,
        max,
    }
}

fn delta(owner: &str, incarnation: u64, from: u64, changes: &[(u64, u8, bool)]) -> Delta {
    let change = |(seq, child, runs): &(u64, u8, bool)| operation(*seq, *child, *runs);
    Delta {
        owner: owner.into(),
        incarnation,
        gc: 0,
        from,
        until: changes.last().map_or(from, |(seq, ..)| *seq),
        entries: changes.iter().map(change).collect(),
    }
}

fn told(incarnation: u64, from: u64, changes: &[(u64, u8, bool)]) -> ScuttlebuttMessage {
    ScuttlebuttMessage::Deltas(vec![delta("n2", incarnation, from, changes)])
}

fn digest(heads: Vec<Head>) -> ScuttlebuttMessage {
    let number = 7;
    ScuttlebuttMessage::Digest { number, heads }
}

fn text(heads: &[Head]) -> String {
    let text = |it: &Head| format!("{} {}.{}.{}", it.owner, it.incarnation, it.gc, it.max);
    heads.iter().map(text).collect::<Vec<_>>().join(" ")
}

/// What was sent, one line per message.
fn lines(sent: &[Sent<ScuttlebuttMessage>]) -> Vec<String> {
    let parts = |deltas: &[Delta]| {
        let text = |it: &Delta| format!("{} {}..{}", it.owner, it.from, it.until);
        deltas.iter().map(text).collect::<Vec<_>>().join(" ")
    };
    let line = |(to, message): &Sent<ScuttlebuttMessage>| {
        let to: Vec<_> = to.iter().map(NodeId::as_str).collect();
        let what = match message {
            ScuttlebuttMessage::Digest { heads, .. } => format!("digest [{}]", text(heads)),
            ScuttlebuttMessage::Answer { heads, deltas, .. } => {
                format!("answer [{}] [{}]", text(heads), parts(deltas))
            }
            ScuttlebuttMessage::Deltas(deltas) => format!("deltas [{}]", parts(deltas)),
        };
        format!("{} <- {what}", to.join(" "))
    };
    sent.iter().map(line).collect()
}

#[test]
fn a_change_waits_for_the_next_round() {
    let mut node = node(ScuttlebuttConfig::default());
    assert_eq!(kinds(&node.start("a", "p1")), [""; 0]);
    let sent = lines(&node.timer(GOSSIP));
    assert_eq!(sent, ["n2 n3 <- digest [n2 1.0.0 n3 1.0.0 n1 1.0.1]"]);
}

#[test]
fn a_round_goes_to_so_many_members() {
    let fanout = 1;
    let mut node = node(ScuttlebuttConfig {
        fanout,
        ..ScuttlebuttConfig::default()
    });
    let sent = node.timer(GOSSIP);
    assert_eq!(sent.iter().map(|(to, _)| to.len()).sum::<usize>(), 1);
}

#[test]
fn both_sides_of_an_exchange_get_what_they_lack() {
    let mut node = node(ScuttlebuttConfig::default());
    node.start("a", "p1");
    node.receive("n3", &told(1, 0, &[(1, 4, true)]));
    let lacks_all = digest(vec![head("n1", 1, 0, 0), head("n2", 1, 0, 0)]);
    let sent = lines(&node.receive("n3", &lacks_all));
    assert_eq!(sent.len(), 1);
    assert!(sent[0].starts_with("n3 <- answer [n2 1.0.1 n3 1.0.0 n1 1.0.1]"));
    for part in ["n1 0..1", "n2 0..1"] {
        assert!(sent[0].contains(part), "{sent:?}");
    }
    let answer = ScuttlebuttMessage::Answer {
        number: 1,
        heads: vec![head("n1", 1, 0, 0), head("n9", 1, 0, 0)],
        deltas: vec![delta("n2", 1, 1, &[(2, 5, true)])],
    };
    let sent = lines(&node.receive("n3", &answer));
    assert_eq!(sent, ["n3 <- deltas [n1 0..1]"], "n2 is not listed");
    assert_eq!(node.rows(), "a:n1=p1 c4:n2=p1 c5:n2=p2");
    let knows_all = vec![head("n1", 1, 0, 1), head("n2", 1, 0, 2)];
    let sent = lines(&node.receive("n3", &digest(knows_all)));
    assert!(sent[0].ends_with(" []"), "{sent:?}");
}

#[test]
fn deltas_are_cut_and_the_owner_with_the_most_changes_comes_first_by_depth() {
    let mut node = node(ScuttlebuttConfig {
        max_delta_bytes: 24,
        order: Order::Depth,
        ..ScuttlebuttConfig::default()
    });
    node.start("a", "p1");
    node.receive(
        "n2",
        &told(1, 0, &[(1, 4, true), (2, 5, true), (3, 6, true)]),
    );
    let mut lacks = |max| {
        let heads = vec![head("n1", 1, 0, 0), head("n2", 1, 0, max)];
        lines(&node.receive("n3", &digest(heads))).remove(0)
    };
    assert!(lacks(0).ends_with("[n2 0..2]"), "{}", lacks(0));
    assert!(lacks(2).ends_with("[n1 0..1 n2 2..3]"), "{}", lacks(2));
}

#[test]
fn an_owner_drops_removals_after_its_grace_and_others_follow() {
    let mut node = node(ScuttlebuttConfig::default());
    node.start("a", "p1");
    let pid = Pid::new("p1");
    node.change("a", Change::Stopped { pid });
    node.receive("n2", &told(1, 0, &[(1, 4, true), (2, 4, false)]));
    let full = node.strategy.state_bytes();
    node.timer(GC);
    assert_eq!(node.strategy.own.gc(), 0, "younger than the grace");
    node.timer(GC);
    assert_eq!((node.strategy.own.gc(), node.strategy.own.max()), (2, 2));
    let before = node.strategy.state_bytes();
    assert!(before < full);
    node.receive("n3", &digest(vec![head("n2", 1, 2, 2)]));
    assert_eq!(node.strategy.state_bytes(), 0);
}

#[test]
fn a_later_incarnation_clears_what_an_earlier_one_ran() {
    let mut node = node(ScuttlebuttConfig::default());
    node.receive("n2", &told(1, 0, &[(1, 4, true)]));
    assert_eq!(node.rows(), "c4:n2=p1");
    node.connect("n2", 2);
    assert_eq!(node.rows(), "");
    node.receive("n3", &told(1, 1, &[(2, 6, true)]));
    assert_eq!(node.rows(), "", "out of date");
    node.receive("n3", &told(2, 0, &[(1, 7, true)]));
    assert_eq!(node.rows(), "c7:n2=p1");
    node.receive("n3", &told(3, 0, &[(1, 8, true)]));
    assert_eq!(
        node.rows(),
        "",
        "hidden until the owner or its connection tells"
    );
    node.receive("n2", &digest(vec![head("n2", 3, 0, 1)]));
    assert_eq!(node.rows(), "c8:n2=p1");
}

#[test]
fn an_owner_that_is_back_is_hidden_until_what_it_has_is_here() {
    let mut node = node(ScuttlebuttConfig::default());
    node.receive("n2", &told(1, 0, &[(1, 4, true)]));
    node.view(&["n3"]);
    assert_eq!(node.rows(), "");
    node.receive("n3", &told(1, 1, &[(2, 9, true)]));
    let asked = node.view(&["n3", "n2"]);
    assert_eq!(lines(&asked), ["n2 <- digest [n2 1.0.1 n3 1.0.0 n1 1.0.0]"]);
    let Some((_, ScuttlebuttMessage::Digest { number, .. })) = asked.first() else {
        panic!("{asked:?}")
    };
    let answer = |number, max| ScuttlebuttMessage::Answer {
        number,
        heads: vec![head("n2", 1, 0, max)],
        deltas: Vec::new(),
    };
    node.receive("n2", &answer(number - 1, 1));
    assert_eq!(node.rows(), "", "the answer to an earlier digest");
    let passed_on = lines(&node.receive("n3", &digest(vec![head("n2", 1, 0, 0)])));
    assert!(passed_on[0].ends_with(" []"), "{passed_on:?}");
    let again = node.timer(GOSSIP);
    assert!(again.iter().any(|(to, _)| to.contains(&"n2".into())));
    node.receive("n2", &answer(*number, 2));
    assert_eq!(node.rows(), "");
    node.receive("n3", &told(1, 1, &[(2, 5, true)]));
    assert_eq!(node.rows(), "c4:n2=p1 c5:n2=p2");
}

#[test]
fn numbers_that_others_know_and_this_node_does_not_are_never_used_again() {
    let mut node = node(ScuttlebuttConfig::default());
    node.start("a", "p1");
    node.receive("n2", &digest(vec![head("n1", 1, 0, 9)]));
    assert_eq!((node.strategy.own.gc(), node.strategy.own.max()), (10, 11));
    let sent = lines(&node.receive("n2", &digest(vec![head("n1", 1, 0, 9)])));
    assert!(sent[0].ends_with("[n1 0..11]"), "a reset: {sent:?}");
}

#[test]
fn replicas_with_different_metadata_keep_their_own() {
    let mut node = node(ScuttlebuttConfig::default());
    let with = |value: &str| Metadata::from_iter([("v", value)]);
    let running = Running {
        metadata: with("2"),
        ..running(1, 4)
    };
    let told = Delta {
        until: 1,
        entries: vec![Operation::Runs(running)],
        ..delta("n2", 1, 0, &[])
    };
    node.receive("n2", &ScuttlebuttMessage::Deltas(vec![told]));
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
fn rows_of_a_node_that_is_gone_are_forgotten_after_a_while() {
    let mut node = node(ScuttlebuttConfig::default());
    node.receive("n2", &told(1, 0, &[(1, 4, true)]));
    node.view(&["n3"]);
    for (seconds, is_there) in [(599, true), (1, false)] {
        node.pass(Duration::from_secs(seconds));
        let now = node.recorder.now;
        node.strategy.purge(now);
        assert_eq!(node.strategy.replica(&"n2".into()).is_some(), is_there);
    }
}

#[test]
fn hostile_numbers_change_nothing() {
    let mut node = node(ScuttlebuttConfig::default());
    let most = u64::MAX;
    node.receive("n2", &told(1, 0, &[(most, 1, true)]));
    node.receive("n2", &told(1, most, &[]));
    node.receive("n2", &told(most, 3, &[(9, 1, true)]));
    for owner in ["n1", "n2", "n9"] {
        let heads = vec![head(owner, 1, most, most), head(owner, 1, most, 0)];
        node.receive("n3", &digest(heads.clone()));
        let answer = ScuttlebuttMessage::Answer {
            number: most,
            heads,
            deltas: vec![delta(owner, 1, 5, &[(4, 1, true)])],
        };
        node.receive("n3", &answer);
    }
    node.timer(GOSSIP);
    node.timer(GC);
    let own = node.strategy.own.max();
    assert_eq!((node.rows(), own), (String::new(), 0));
}

#[test]
fn messages_have_golden_bytes() {
    let number = 5;
    let heads = vec![head("a", 1, 2, 300)];
    let message = ScuttlebuttMessage::Digest {
        number,
        heads: heads.clone(),
    };
    assert_bytes(&message, &[0, 5, 1, 1, b'a', 1, 2, 251, 44, 1]);
    let deltas = vec![delta("n2", 3, 0, &[(1, 7, true), (2, 8, false)])];
    let runs = [0, 1, 2, b'c', b'7', 0, 0, 2, b'p', b'1', 0];
    let gone = [1, 2, 2, b'c', b'8'];
    let bytes = [&[1, 2, b'n', b'2', 3, 0, 0, 2, 2][..], &runs, &gone].concat();
    let front = [1, 5, 1, 1, b'a', 1, 2, 251, 44, 1];
    let answer = ScuttlebuttMessage::Answer {
        number,
        heads,
        deltas: deltas.clone(),
    };
    assert_bytes(&answer, &[&front[..], &bytes].concat());
    let message = ScuttlebuttMessage::Deltas(deltas);
    assert_bytes(&message, &[&[2][..], &bytes].concat());
}
