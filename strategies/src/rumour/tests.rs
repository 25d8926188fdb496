//! The laws of merging, against a model of a few lines; epidemics without a network; and single steps.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::*;
use crate::child::Metadata;
use crate::fact::Change;
use crate::harness::{Sent, TestNode, assert_bytes, kinds, started};
use crate::name::Pid;
use crate::owner_log::script::{Script, model, operation, operations};
use crate::recorder::{Effect, Recorder};
use crate::state::NodeState;
use crate::strategy::Strategy;

fn rumour(config: &RumourConfig) -> Rumour {
    <Rumour as Strategy>::new(config).expect("good parameters")
}

fn node(config: RumourConfig) -> TestNode<Rumour> {
    TestNode::new(rumour(&config), &["n2", "n3"])
}

fn with(change: impl FnOnce(&mut RumourConfig)) -> RumourConfig {
    let mut config = RumourConfig::default();
    change(&mut config);
    config
}

fn told(incarnation: u64, operation: Operation) -> Update {
    Update {
        owner: "n2".into(),
        incarnation,
        age: 0,
        operation,
    }
}

fn updates(changes: &[(u64, u8, bool)]) -> Vec<Update> {
    let update = |(seq, child, runs): &(u64, u8, bool)| told(1, operation(*seq, *child, *runs));
    changes.iter().map(update).collect()
}

fn push(changes: &[(u64, u8, bool)]) -> RumourMessage {
    RumourMessage::Push(updates(changes))
}

fn all(updates: Vec<Update>) -> RumourMessage {
    let is_answer = true;
    RumourMessage::All(updates, is_answer)
}

/// What a node knows of n2.
fn known(node: &TestNode<Rumour>) -> &Versions {
    node.strategy
        .versions(&"n2".into())
        .expect("it is a member")
}

/// A script, its changes in another order, and some of them a second time.
fn arrivals() -> impl Generator<Value = (Script, Vec<Update>, usize)> {
    let scripts = vec((0..6_u8, any::<bool>()), 0..16);
    scripts.prop_flat_map(|script| {
        let all: Vec<_> = operations(&script)
            .into_iter()
            .map(|it| told(1, it))
            .collect();
        let again = 0..all.len() + 1;
        (Just(script), Just(all).prop_shuffle(), again)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn changes_commute_associate_and_repeat_without_effect((script, arrived, again) in arrivals(), cut in any::<prop::sample::Index>()) {
        let mut node = node(RumourConfig::default());
        let (first, second) = arrived.split_at(cut.index(arrived.len() + 1));
        node.receive("n2", &RumourMessage::Push(first.to_vec()));
        node.receive("n3", &all(second.to_vec()));
        prop_assert_eq!(known(&node).rows(), &model(&script));
        let (rows, before) = (node.rows(), known(&node).clone());
        node.receive("n3", &RumourMessage::Answer(arrived[..again].to_vec()));
        prop_assert_eq!(known(&node), &before);
        prop_assert_eq!(node.rows(), rows);
    }

    #[test]
    fn two_that_compare_their_databases_have_the_same_afterwards(
        (script, arrived, some) in arrivals(),
        ages in vec(0..60_u64, 16),
    ) {
        let (mut one, mut two) = (node(RumourConfig::default()), node(RumourConfig::default()));
        one.pass(Duration::from_secs(60));
        two.pass(Duration::from_secs(60));
        let aged = arrived.iter().zip(ages).map(|(update, age)| Update {
            age: age * 1_000_000,
            ..update.clone()
        });
        let aged: Vec<_> = aged.collect();
        one.receive("n2", &all(aged[..some].to_vec()));
        two.receive("n2", &all(aged[some.min(1)..].to_vec()));
        let message = one.timer(ANTI_ENTROPY).remove(0).1;
        let mut under_way = VecDeque::from([(false, message)]);
        let mut messages = 0;
        while let Some((to_one, message)) = under_way.pop_front() {
            messages += 1;
            let sent = if to_one { one.receive("n3", &message) } else { two.receive("n3", &message) };
            under_way.extend(sent.into_iter().map(|(_, message)| (!to_one, message)));
        }
        prop_assert!(messages <= 4);
        prop_assert_eq!(known(&one).rows(), known(&two).rows());
        prop_assert_eq!(one.strategy.checksum(), two.strategy.checksum());
        if some == arrived.len() {
            prop_assert_eq!(known(&two).rows(), &model(&script));
        }
    }
}

/// One change among `n` nodes in synchronous cycles: the share that it does not reach, the updates sent
/// per node, and the cycle in which the last one got it.
fn epidemic(config: &RumourConfig, n: usize, seed: u64) -> (f64, f64, u32) {
    let name = |at: usize| NodeId::from(format!("n{at}"));
    let names: Vec<_> = (0..n).map(name).collect();
    let node = |at: usize| {
        let mut state = NodeState::new(name(at), 1, Duration::from_secs(30));
        state.set_view(names.clone());
        (
            state,
            rumour(config),
            Recorder::new(seed * n as u64 + at as u64),
        )
    };
    let mut nodes: Vec<_> = (0..n).map(node).collect();
    let step = |nodes: &mut Vec<(NodeState, Rumour, Recorder<RumourMessage>)>,
                at: usize,
                call: &dyn Fn(&mut Rumour, &mut Cx<'_>)| {
        let (state, strategy, recorder) = &mut nodes[at];
        call(strategy, &mut Context::new(state, recorder));
        let sent = |effect| {
            if let Effect::Send { to, message, .. } = effect {
                return Some((at, to, message));
            }
            None
        };
        recorder
            .take()
            .into_iter()
            .filter_map(sent)
            .collect::<Vec<_>>()
    };
    for at in 0..n {
        step(&mut nodes, at, &|it, cx| it.start(cx));
        step(&mut nodes, at, &|it, cx| it.view_changed(cx));
    }
    let fact = Fact {
        owner: name(0),
        incarnation: 1,
        seq: 1,
        child: "a".into(),
        change: started("a", "p"),
    };
    step(&mut nodes, 0, &|it, cx| it.local_change(cx, &fact));
    let (mut told, mut last) = (0, 0);
    let knows = |node: &(NodeState, Rumour, Recorder<RumourMessage>)| {
        node.0.registry().get(&"a".into()).is_some()
    };
    for cycle in 1..1_000 {
        if nodes.iter().all(|node| node.1.hot.is_empty()) {
            break;
        }
        let before = nodes.iter().filter(|node| knows(node)).count();
        let mut under_way = VecDeque::new();
        for at in 0..n {
            under_way.extend(step(&mut nodes, at, &|it, cx| it.handle_timer(cx, CYCLE)));
        }
        while let Some((from, to, message)) = under_way.pop_front() {
            if let RumourMessage::Push(updates) | RumourMessage::Answer(updates) = &message {
                told += updates.len();
            }
            for to in to {
                let at: usize = to.as_str()[1..].parse().expect("a number");
                let handle =
                    |it: &mut Rumour, cx: &mut Cx<'_>| it.handle_message(cx, &name(from), &message);
                under_way.extend(step(&mut nodes, at, &handle));
            }
        }
        if nodes.iter().filter(|node| knows(node)).count() > before {
            last = cycle;
        }
    }
    let missed = nodes.iter().filter(|node| !knows(node)).count();
    (missed as f64 / n as f64, told as f64 / n as f64, last)
}

/// Means over some epidemics: the residue, the updates per node, and the last cycle.
fn epidemics(config: &RumourConfig) -> (f64, f64, f64) {
    let runs = 12;
    let all = (0..runs).map(|seed| epidemic(config, 300, seed));
    let sums = all.fold((0.0, 0.0, 0.0), |sum, (residue, updates, last)| {
        (sum.0 + residue, sum.1 + updates, sum.2 + f64::from(last))
    });
    let runs = runs as f64;
    (sums.0 / runs, sums.1 / runs, sums.2 / runs)
}

/// The paper's tables 1 to 3, in a small world: 300 nodes, where it has 1,000.
#[test]
fn epidemics_in_synchronous_cycles_are_those_of_the_paper() {
    let synchronous = true;
    for (config, residue, updates) in [
        (with(|it| it.k = 1), 0.18, 1.7),
        (with(|it| it.k = 2), 0.037, 3.3),
        (
            with(|it| (it.k, it.blind, it.coin) = (2, true, true)),
            0.20,
            1.6,
        ),
        (
            with(|it| (it.k, it.direction) = (1, Direction::Pull)),
            0.031,
            2.7,
        ),
    ] {
        let config = RumourConfig {
            synchronous,
            ..config
        };
        let (s, m, _) = epidemics(&config);
        assert!(
            (s - residue).abs() < 0.02 + residue / 8.0,
            "{config:?}: s = {s}"
        );
        assert!((m - updates).abs() < 0.2, "{config:?}: m = {m}");
    }
}

#[test]
fn a_change_is_told_from_the_next_cycle_on_until_it_is_stale() {
    let mut node = node(with(|it| it.k = 2));
    assert_eq!(kinds(&node.timer(CYCLE)), [""; 0]);
    node.start("a", "p1");
    let verdict = |is_known| {
        let (owner, child, seq) = ("n1".into(), "a".into(), 1);
        RumourMessage::Feedback(vec![Verdict {
            owner,
            child,
            seq,
            is_known,
        }])
    };
    for is_known in [true, false, true, true] {
        let [(to, RumourMessage::Push(told))] = &node.timer(CYCLE)[..] else {
            panic!("no push")
        };
        assert_eq!(told[0].operation.child(), &"a".into());
        node.receive(to[0].as_str(), &verdict(is_known));
    }
    assert_eq!(kinds(&node.timer(CYCLE)), [""; 0]);
}

#[test]
fn a_useless_contact_does_not_count_in_a_cycle_with_a_useful_one() {
    let mut node = node(with(|it| (it.k, it.direction) = (1, Direction::Pull)));
    node.start("a", "p1");
    let verdict = |is_known| {
        let (owner, child, seq) = ("n1".into(), "a".into(), 1);
        RumourMessage::Feedback(vec![Verdict {
            owner,
            child,
            seq,
            is_known,
        }])
    };
    assert_eq!(
        kinds(&node.receive("n2", &RumourMessage::Pull)),
        [""; 0],
        "it is of this cycle"
    );
    node.timer(CYCLE);
    for from in ["n2", "n3"] {
        let sent = node.receive(from, &RumourMessage::Pull);
        assert_eq!(kinds(&sent), [format!("rumour.answer to {from}")]);
    }
    node.receive("n2", &verdict(false));
    node.receive("n3", &verdict(true));
    node.timer(CYCLE);
    assert_eq!(node.receive("n2", &RumourMessage::Pull).len(), 1);
    node.receive("n3", &verdict(true));
    node.timer(CYCLE);
    assert_eq!(kinds(&node.receive("n2", &RumourMessage::Pull)), [""; 0]);
}

#[test]
fn feedback_tells_what_was_known_when_the_cycle_began() {
    let mut node = node(RumourConfig::default());
    node.timer(CYCLE);
    let mut is_known = |changes: &[(u64, u8, bool)]| {
        let [(_, RumourMessage::Feedback(verdicts))] = &node.receive("n3", &push(changes))[..]
        else {
            panic!("no feedback")
        };
        verdicts.iter().map(|it| it.is_known).collect::<Vec<_>>()
    };
    assert_eq!(is_known(&[(1, 4, true)]), [false]);
    assert_eq!(is_known(&[(1, 4, true), (2, 5, true)]), [false, false]);
    node.timer(CYCLE);
    let sent = node.receive("n3", &push(&[(1, 4, true)]));
    assert!(matches!(&sent[0].1, RumourMessage::Feedback(it) if it[0].is_known));
}

#[test]
fn blind_nodes_answer_nothing_and_end_after_k_contacts() {
    let mut node = node(with(|it| (it.k, it.blind) = (2, true)));
    assert_eq!(kinds(&node.receive("n3", &push(&[(1, 4, true)]))), [""; 0]);
    assert_eq!(node.rows(), "c4:n2=p1");
    let mut pushes = 0;
    for _ in 0..5 {
        pushes += node.timer(CYCLE).len();
    }
    assert_eq!(pushes, 2);
}

#[test]
fn both_ways_are_one_push_and_one_question() {
    let mut node = node(with(|it| it.direction = Direction::Both));
    node.start("a", "p1");
    let sent = kinds(&node.timer(CYCLE));
    assert_eq!(sent.len(), 2);
    assert!(
        sent[0].starts_with("rumour.push") && sent[1].starts_with("rumour.pull"),
        "{sent:?}"
    );
}

#[test]
fn what_comes_with_all_rows_is_not_told_again() {
    let mut node = node(RumourConfig::default());
    node.receive("n3", &all(updates(&[(1, 4, true)])));
    assert_eq!(node.rows(), "c4:n2=p1");
    assert_eq!(kinds(&node.timer(CYCLE)), [""; 0]);
}

fn recent(updates: Vec<Update>, checksum: u64, is_answer: bool) -> RumourMessage {
    RumourMessage::Recent(updates, checksum, is_answer)
}

#[test]
fn a_comparison_goes_as_far_as_checksums_differ() {
    let mut node = node(RumourConfig::default());
    node.start("a", "p1");
    let [(_, RumourMessage::Recent(told, checksum, false))] = &node.timer(ANTI_ENTROPY)[..] else {
        panic!("no comparison")
    };
    assert_eq!(told.len(), 1);
    let mut answer = |message| kinds(&node.receive("n3", &message));
    assert_eq!(answer(recent(Vec::new(), *checksum, false)), [""; 0]);
    assert_eq!(
        answer(recent(Vec::new(), 7, false)),
        ["rumour.recent to n3"]
    );
    assert_eq!(answer(recent(Vec::new(), 7, true)), ["rumour.all to n3"]);
    assert_eq!(answer(all(Vec::new())), [""; 0]);
    let (updates, is_answer) = (Vec::new(), false);
    assert_eq!(
        answer(RumourMessage::All(updates, is_answer)),
        ["rumour.all to n3"]
    );
}

#[test]
fn changes_are_recent_for_a_while_wherever_they_come_from() {
    let mut node = node(RumourConfig::default());
    let mut update = told(1, operation(1, 4, true));
    update.age = 20_000_000;
    node.receive("n3", &RumourMessage::Push(vec![update]));
    for (seconds, count) in [(10, 1), (1, 0)] {
        node.pass(Duration::from_secs(seconds));
        let sent = node.timer(ANTI_ENTROPY);
        let RumourMessage::Recent(updates, ..) = &sent[0].1 else {
            panic!("{sent:?}")
        };
        assert_eq!(updates.len(), count);
        assert!(updates.iter().all(|it| it.age == 30_000_000));
    }
}

#[test]
fn certificates_expire_with_their_age_and_are_not_taken_then() {
    let mut node = node(RumourConfig::default());
    let mut gone = told(1, operation(2, 4, false));
    gone.age = 590_000_000;
    node.receive("n3", &all(vec![gone.clone()]));
    node.receive("n3", &push(&[(1, 4, true)]));
    assert_eq!(node.rows(), "", "it is too old");
    node.pass(Duration::from_secs(10));
    let now = node.recorder.now;
    node.strategy.purge(now);
    assert_eq!(node.strategy.state_bytes(), 0);
    gone.age = 600_000_000;
    node.receive("n3", &all(vec![gone.clone()]));
    assert_eq!(known(&node).version(&"c4".into()), None);
    node.receive("n3", &push(&[(1, 4, true)]));
    assert_eq!(node.rows(), "c4:n2=p1");
    node.receive("n3", &all(vec![gone]));
    assert_eq!(node.rows(), "", "it removes what is there all the same");
}

#[test]
fn an_owner_removes_what_comes_back_of_its_own() {
    let mut node = node(RumourConfig::default());
    node.start("a", "p1");
    let of_n1 = |seq, child, runs| Update {
        owner: "n1".into(),
        ..told(1, operation(seq, child, runs))
    };
    node.receive(
        "n3",
        &RumourMessage::Push(vec![of_n1(7, 4, true), of_n1(6, 5, false)]),
    );
    assert_eq!(node.rows(), "a:n1=p1");
    let [(_, RumourMessage::Push(told))] = &node.timer(CYCLE)[..] else {
        panic!("no push")
    };
    let told: Vec<_> = told
        .iter()
        .map(|it| (it.operation.child().as_str(), it.operation.seq()))
        .collect();
    assert_eq!(told, [("a", 1), ("c4", 8)]);
}

#[test]
fn a_later_incarnation_clears_what_an_earlier_one_ran() {
    let mut node = node(RumourConfig::default());
    node.receive("n3", &push(&[(1, 4, true)]));
    node.connect("n2", 2);
    assert_eq!(node.rows(), "");
    node.receive("n3", &push(&[(2, 5, true)]));
    assert_eq!(node.rows(), "");
    node.receive(
        "n3",
        &RumourMessage::Push(vec![told(3, operation(1, 6, true))]),
    );
    assert_eq!(node.rows(), "c6:n2=p1");
}

#[test]
fn rows_of_an_owner_outside_the_view_are_hidden_and_forgotten_later() {
    let mut node = node(RumourConfig::default());
    node.receive("n3", &push(&[(1, 4, true)]));
    node.view(&["n3"]);
    assert_eq!((node.rows(), node.strategy.checksum()), (String::new(), 0));
    node.view(&["n3", "n2"]);
    assert_eq!(node.rows(), "c4:n2=p1");
    node.view(&["n3"]);
    for (seconds, is_there) in [(599, true), (1, false)] {
        node.pass(Duration::from_secs(seconds));
        let now = node.recorder.now;
        node.strategy.purge(now);
        assert_eq!(node.strategy.versions(&"n2".into()).is_some(), is_there);
    }
    assert_eq!(node.strategy.state_bytes(), 0);
}

#[test]
fn replicas_with_different_metadata_keep_their_own() {
    let mut node = node(RumourConfig::default());
    let with = |value: &str| Metadata::from_iter([("v", value)]);
    let mut update = told(1, operation(1, 4, true));
    if let Operation::Runs(running) = &mut update.operation {
        running.metadata = with("2");
    }
    node.receive("n2", &RumourMessage::Push(vec![update]));
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
    let mut node = node(RumourConfig::default());
    let most = u64::MAX;
    for owner in ["n1", "n2", "n9"] {
        let mut update = told(1, operation(most, 1, true));
        (update.owner, update.age) = (owner.into(), most);
        let child = "a".into();
        let verdict = Verdict {
            owner: owner.into(),
            child,
            seq: most,
            is_known: true,
        };
        for message in [
            RumourMessage::Push(vec![update.clone()]),
            RumourMessage::Answer(vec![update.clone(), update.clone()]),
            RumourMessage::Feedback(vec![verdict]),
            recent(vec![update.clone()], 0, true),
            all(vec![update]),
        ] {
            node.receive("n3", &message);
        }
    }
    let mut old = told(1, operation(1, 1, true));
    old.age = most;
    node.receive("n3", &RumourMessage::Push(vec![old]));
    node.timer(CYCLE);
    node.timer(ANTI_ENTROPY);
    assert_eq!((node.rows().as_str(), node.strategy.last), ("c1:n2=p1", 0));
}

#[test]
fn without_anti_entropy_there_is_no_timer_and_no_bound() {
    let node = node(with(|it| it.anti_entropy = Duration::ZERO));
    assert_eq!(node.strategy.round_period(), None);
    let conditions = crate::strategy::Conditions::new(9, Duration::from_millis(1));
    assert_eq!(
        node.strategy.bounds(&conditions).repair,
        crate::time::LONGEST
    );
}

#[test]
fn messages_have_golden_bytes() {
    let runs = [0, 1, 2, b'c', b'7', 0, 0, 2, b'p', b'1', 0];
    let told = told(3, operation(1, 7, true));
    let bytes = [&[1, 2, b'n', b'2', 3, 0][..], &runs].concat();
    let told = vec![told];
    assert_bytes(
        &RumourMessage::Push(told.clone()),
        &[&[0][..], &bytes].concat(),
    );
    assert_bytes(&RumourMessage::Pull, &[1]);
    assert_bytes(
        &RumourMessage::Answer(told.clone()),
        &[&[2][..], &bytes].concat(),
    );
    let (owner, child, seq, is_known) = ("a".into(), "b".into(), 300, true);
    let feedback = RumourMessage::Feedback(vec![Verdict {
        owner,
        child,
        seq,
        is_known,
    }]);
    assert_bytes(&feedback, &[3, 1, 1, b'a', 1, b'b', 251, 44, 1, 1]);
    let message = recent(told.clone(), 5, true);
    assert_bytes(&message, &[&[4][..], &bytes, &[5, 1]].concat());
    assert_bytes(&all(told), &[&[5][..], &bytes, &[1]].concat());
}

#[test]
fn a_stop_is_told_as_a_removal() {
    let mut node = node(RumourConfig::default());
    node.start("a", "p1");
    let pid = Pid::new("p1");
    node.change("a", Change::Stopped { pid });
    let sent: Vec<Sent<RumourMessage>> = node.timer(CYCLE);
    let RumourMessage::Push(told) = &sent[0].1 else {
        panic!("{sent:?}")
    };
    let (seq, child) = (2, "a".into());
    assert_eq!(told[0].operation, Operation::Gone { seq, child });
}
