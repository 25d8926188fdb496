//! The merge laws of a replica, against a model of a few lines, and single steps.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::script::{Script, model, operation, operations, running};
use super::*;
use crate::child::Metadata;
use crate::fact::Change;
use crate::harness::{Sent, TestNode, assert_bytes, started};
use crate::name::Pid;
use crate::strategy::{EventStrategy, Strategy};

fn replica(operations: &[Operation]) -> Replica {
    let mut replica = Replica::new(1);
    for operation in operations {
        replica.apply(operation);
    }
    replica
}

fn pages(script: &[(u8, bool)]) -> Vec<Page> {
    replica(&operations(script)).pages(&"n2".into(), 2)
}

fn scripts() -> impl Generator<Value = Script> {
    vec((0..6_u8, any::<bool>()), 0..24)
}

/// An order in which things arrive, some of them twice.
fn arrivals(things: usize) -> impl Generator<Value = Vec<usize>> {
    let again = vec(0..things.max(1), 0..8);
    let all: Vec<usize> = (0..things).collect();
    (Just(all).prop_shuffle(), again).prop_map(move |(mut order, again)| {
        let known = again.into_iter().filter(|thing| *thing < things);
        for (at, thing) in (0..).step_by(3).zip(known) {
            order.insert(at.min(order.len()), thing);
        }
        order
    })
}

fn with_arrivals<T: std::fmt::Debug + Clone>(
    things: fn(&[(u8, bool)]) -> Vec<T>,
) -> impl Generator<Value = (Script, Vec<T>)> {
    scripts().prop_flat_map(move |script| {
        let things = things(&script);
        let order = arrivals(things.len());
        let pick = move |order: Vec<usize>| -> Vec<T> {
            order.iter().map(|at| things[*at].clone()).collect()
        };
        (Just(script), order.prop_map(pick))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn operations_commute_associate_and_repeat_without_effect(
        (script, arrived) in with_arrivals(operations)
    ) {
        let replica = replica(&arrived);
        prop_assert_eq!(replica.rows(), &model(&script));
        prop_assert_eq!((replica.high(), replica.refs()), (script.len() as u64, 0));
    }

    #[test]
    fn a_snapshot_in_pages_equals_its_prefix_of_operations(
        (script, arrived) in with_arrivals(pages)
    ) {
        let mut replica = Replica::new(1);
        for page in &arrived {
            replica.apply_page(page);
        }
        prop_assert_eq!(replica.rows(), &model(&script));
        prop_assert_eq!((replica.high(), replica.refs()), (script.len() as u64, 0));
    }

    #[test]
    fn a_stale_snapshot_changes_nothing(script in scripts(), cut in 0..24_usize) {
        let mut whole = replica(&operations(&script));
        let before = whole.clone();
        for page in pages(&script[..cut.min(script.len())]) {
            prop_assert_eq!(whole.apply_page(&page), Vec::new());
        }
        prop_assert_eq!(whole, before);
    }

    /// Operations and pages of snapshots of several prefixes, whole or not, in any order: the prefix
    /// never goes back, nothing that went comes back, nothing of the prefix is older than it was, and
    /// in the end all is as the owner has it.
    #[test]
    fn everything_together_comes_to_what_the_owner_has(
        (script, order, cuts) in scripts().prop_flat_map(|script| {
            let things = script.len();
            let cut = (0..=things, any::<prop::sample::Index>(), any::<bool>());
            (Just(script), arrivals(things), vec(cut, 0..5))
        })
    ) {
        let operations = operations(&script);
        let mut replica = Replica::new(1);
        let mut lost: BTreeSet<Pid> = BTreeSet::new();
        for (place, at) in order.iter().enumerate() {
            let before = replica.clone();
            for (cut, when, is_whole) in &cuts {
                let pages = pages(&script[..*cut]);
                let part = if *is_whole { pages.len() } else { pages.len() - 1 };
                if when.index(order.len()) == place {
                    pages[..part].iter().for_each(|page| drop(replica.apply_page(page)));
                }
            }
            replica.apply(&operations[*at]);
            prop_assert!(replica.high() >= before.high());
            let pids = |it: &Replica| -> BTreeSet<Pid> {
                it.rows().values().map(|row| row.pid.clone()).collect()
            };
            let (had, has) = (pids(&before), pids(&replica));
            prop_assert!(has.is_disjoint(&lost), "{:?} {:?}", lost, has);
            lost.extend(had.difference(&has).cloned());
        }
        prop_assert_eq!(replica.rows(), &model(&script));
        prop_assert_eq!((replica.high(), replica.refs()), (script.len() as u64, 0));
    }
}

#[test]
fn what_a_page_no_longer_lists_does_not_come_back_with_an_older_page() {
    let script = [(1, true), (0, true), (0, false), (0, true), (0, false)];
    let mut replica = replica(&operations(&script)[1..4]);
    let page = |until, rows| Page {
        owner: "n2".into(),
        incarnation: 1,
        high: until,
        after: if until == 5 { 3 } else { 0 },
        until,
        rows,
    };
    assert_eq!(replica.apply_page(&page(5, Vec::new())), ["c0".into()]);
    let older = replica.apply_page(&page(2, vec![running(1, 1), running(2, 0)]));
    assert_eq!(older, ["c1".into()], "`c0` was removed by operation 3");
}

fn node(config: OwnerLogConfig) -> TestNode<OwnerLog> {
    let strategy = OwnerLog::new(&config).expect("good parameters");
    TestNode::new(strategy, &["n2", "n3"])
}

fn operations_of(incarnation: u64, head: u64, script: &[(u64, u8, bool)]) -> Operations {
    let operations = script
        .iter()
        .map(|(seq, child, runs)| operation(*seq, *child, *runs));
    Operations {
        number: 9,
        owner: "n2".into(),
        incarnation,
        head,
        operations: operations.collect(),
        group: Vec::new(),
    }
}

fn told(incarnation: u64, head: u64, script: &[(u64, u8, bool)]) -> OwnerLogMessage {
    OwnerLogMessage::Operations(operations_of(incarnation, head, script))
}

fn head(owner: &str, incarnation: u64, high: u64) -> Head {
    let owner = owner.into();
    Head {
        owner,
        incarnation,
        high,
    }
}

fn part(heads: Vec<Head>, token: u64) -> OwnerLogMessage {
    OwnerLogMessage::Heads {
        heads,
        is_whole: false,
        token,
    }
}

fn whole(heads: Vec<Head>) -> OwnerLogMessage {
    OwnerLogMessage::Heads {
        heads,
        is_whole: true,
        token: 0,
    }
}

fn joined<T>(items: &[T], text: impl FnMut(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(" ")
}

/// What was sent, one line per message.
fn lines(sent: &[Sent<OwnerLogMessage>]) -> Vec<String> {
    let line = |(to, message): &Sent<OwnerLogMessage>| {
        let text = match message {
            OwnerLogMessage::Operations(it) => {
                let seqs = joined(&it.operations, |it| it.seq().to_string());
                let group = joined(&it.group, NodeId::to_string);
                format!("{} [{seqs}] of {} for [{group}]", it.owner, it.head)
            }
            OwnerLogMessage::Ack(numbers) => format!("ack of {}", numbers.len()),
            OwnerLogMessage::Heads {
                heads,
                is_whole,
                token,
            } => {
                let text = |it: &Head| format!("{} {}.{}", it.owner, it.incarnation, it.high);
                let whole = if *is_whole { "whole" } else { "part" };
                let asks = if *token == 0 { "" } else { " and your head" };
                format!("{whole} [{}]{asks}", joined(heads, text))
            }
            OwnerLogMessage::Here { high, .. } => format!("here {high}"),
            OwnerLogMessage::Pages(pages) => {
                let text =
                    |it: &Page| format!("{} {}..{} of {}", it.owner, it.after, it.until, it.high);
                format!("pages [{}]", joined(pages, text))
            }
            OwnerLogMessage::Digest(_) => "digest".to_owned(),
            OwnerLogMessage::Agree => "agree".to_owned(),
        };
        format!("{} <- {text}", joined(to, NodeId::to_string))
    };
    sent.iter().map(line).collect()
}

fn numbers(sent: &[Sent<OwnerLogMessage>]) -> Vec<u64> {
    let number = |(_, message): &Sent<OwnerLogMessage>| {
        if let OwnerLogMessage::Operations(it) = message {
            return Some(it.number);
        }
        None
    };
    sent.iter().filter_map(number).collect()
}

#[test]
fn changes_of_an_instant_are_one_message_that_is_repeated_until_acknowledged() {
    let mut node = node(OwnerLogConfig::default());
    node.start("a", "p1");
    node.start("b", "p2");
    let sent = node.timer(FLUSH);
    assert_eq!(lines(&sent), ["n2 n3 <- n1 [1 2] of 2 for []"]);
    node.receive("n2", &OwnerLogMessage::Ack(numbers(&sent)));
    node.pass(Duration::from_millis(199));
    assert_eq!(lines(&node.timer(REPEAT)), [""; 0]);
    for wait in [1, 400, 800, 1_600, 3_200, 6_400, 12_800] {
        node.pass(Duration::from_millis(wait));
        let again = lines(&node.timer(REPEAT));
        assert_eq!(again, ["n3 <- n1 [1 2] of 2 for []"], "{wait}");
    }
    node.pass(Duration::from_secs(60));
    assert_eq!(lines(&node.timer(REPEAT)), [""; 0]);
    assert_eq!(node.strategy.refs(), 0);
}

#[test]
fn beyond_the_direct_limit_relays_forward_and_silent_ones_are_passed_by() {
    let config = OwnerLogConfig {
        direct_limit: 1,
        ..OwnerLogConfig::default()
    };
    let strategy = OwnerLog::new(&config).expect("good parameters");
    let mut node = TestNode::new(strategy, &["n2", "n3", "n4", "n5"]);
    node.start("a", "p1");
    let sent = node.timer(FLUSH);
    let mut reached: Vec<NodeId> = Vec::new();
    for (to, message) in &sent {
        reached.extend(to.iter().cloned());
        if let OwnerLogMessage::Operations(it) = message {
            reached.extend(it.group.iter().cloned());
        }
    }
    reached.sort_unstable();
    assert_eq!(reached, ["n2", "n3", "n4", "n5"].map(NodeId::new));
    assert_eq!(sent.len(), 2);
    node.pass(Duration::from_millis(200));
    let again = node.timer(REPEAT);
    assert_eq!(again.len(), 2);
    let is_other = |(new, old): (&Sent<_>, &Sent<_>)| new.0 != old.0;
    assert!(again.iter().zip(&sent).all(is_other), "{again:?}");
    // As a relay.
    let group = vec!["n3".into(), "n9".into()];
    let told = Operations {
        group,
        ..operations_of(1, 1, &[(1, 4, true)])
    };
    let sent = node.receive("n2", &OwnerLogMessage::Operations(told));
    assert_eq!(lines(&sent), ["n3 <- n2 [1] of 1 for []"], "no strangers");
    assert_eq!(lines(&node.timer(ACK)), ["n2 <- ack of 1"]);
}

#[test]
fn an_operation_above_a_gap_takes_effect_and_the_missing_are_asked_for() {
    let mut node = node(OwnerLogConfig::default());
    node.receive("n2", &told(1, 2, &[(2, 5, true)]));
    assert_eq!(node.rows(), "c5:n2=p2");
    node.pass(Duration::from_millis(100));
    assert_eq!(lines(&node.timer(REPEAT)), ["n2 <- part [n2 1.0]"]);
    node.receive("n2", &told(1, 2, &[(1, 5, false)]));
    assert_eq!(node.rows(), "c5:n2=p2");
    node.pass(Duration::from_secs(9));
    assert_eq!(lines(&node.timer(REPEAT)), [""; 0]);
}

#[test]
fn a_later_incarnation_clears_what_an_earlier_one_ran() {
    let mut node = node(OwnerLogConfig::default());
    node.receive("n2", &told(1, 1, &[(1, 4, true)]));
    assert_eq!(node.rows(), "c4:n2=p1");
    node.connect("n2", 2);
    assert_eq!(node.rows(), "");
    node.receive("n2", &told(1, 2, &[(2, 6, true)]));
    assert_eq!(node.rows(), "", "out of date");
    node.receive("n2", &told(2, 1, &[(1, 7, true)]));
    assert_eq!(node.rows(), "c7:n2=p1");
}

#[test]
fn an_owner_that_is_back_is_hidden_until_its_own_head_is_reached() {
    let mut node = node(OwnerLogConfig::default());
    node.receive("n2", &told(1, 1, &[(1, 4, true)]));
    node.view(&["n3"]);
    assert_eq!(node.rows(), "");
    let lacks = part(vec![head("n2", 1, 0)], 0);
    let told_on = lines(&node.receive("n3", &lacks));
    assert_eq!(told_on, [""; 0], "what is hidden is not passed on");
    let asked = node.view(&["n3", "n2"]);
    assert_eq!(lines(&asked), ["n2 <- part [n2 1.1] and your head"]);
    let Some((_, OwnerLogMessage::Heads { token, .. })) = asked.first() else {
        panic!("{asked:?}")
    };
    let here = |token, high| OwnerLogMessage::Here {
        incarnation: 1,
        high,
        token,
    };
    node.receive("n2", &here(token + 1, 1));
    assert_eq!(node.rows(), "", "the answer to another question");
    node.receive("n2", &here(*token, 2));
    assert_eq!(node.rows(), "");
    node.receive("n2", &told(1, 2, &[(2, 5, true)]));
    assert_eq!(node.rows(), "c4:n2=p1 c5:n2=p2");
    let told_on = lines(&node.receive("n3", &lacks));
    assert_eq!(told_on, ["n3 <- pages [n2 0..2 of 2]"]);
}

#[test]
fn a_question_for_the_own_head_is_answered() {
    let mut node = node(OwnerLogConfig::default());
    let question = part(vec![head("n1", 1, 0)], 5);
    assert_eq!(lines(&node.receive("n2", &question)), ["n2 <- here 0"]);
    node.start("a", "p1");
    assert_eq!(
        lines(&node.receive("n2", &question)),
        ["n2 <- here 1", "n2 <- n1 [1] of 1 for []"]
    );
}

#[test]
fn digests_that_differ_bring_both_sides_what_they_lack() {
    let mut node = node(OwnerLogConfig::default());
    node.start("a", "p1");
    node.timer(FLUSH);
    node.receive("n2", &told(1, 1, &[(1, 4, true)]));
    let answered = node.receive("n3", &OwnerLogMessage::Digest(7));
    assert_eq!(lines(&answered), ["n3 <- whole [n2 1.1 n3 1.0 n1 1.1]"]);
    let hash = node.strategy.hash;
    let agreed = node.receive("n3", &OwnerLogMessage::Digest(hash));
    assert_eq!(lines(&agreed), [""; 0]);
    let sent = node.receive("n3", &whole(vec![head("n2", 1, 5)]));
    assert_eq!(
        lines(&sent),
        ["n3 <- part [n2 1.1]", "n3 <- n1 [1] of 1 for []"]
    );
}

#[test]
fn a_log_that_is_too_short_is_replaced_by_pages() {
    let mut node = node(OwnerLogConfig {
        log_length: 1,
        page_rows: 1,
        ..OwnerLogConfig::default()
    });
    for (child, pid) in [("a", "p1"), ("b", "p2"), ("c", "p3")] {
        node.start(child, pid);
    }
    let asks = |high| part(vec![head("n1", 1, high)], 0);
    let sent = lines(&node.receive("n2", &asks(2)));
    assert_eq!(sent, ["n2 <- n1 [3] of 3 for []"]);
    let pages = [
        "n2 <- pages [n1 0..1 of 3]",
        "n2 <- pages [n1 1..2 of 3]",
        "n2 <- pages [n1 2..3 of 3]",
    ];
    assert_eq!(lines(&node.receive("n2", &asks(1))), pages);
}

#[test]
fn numbers_that_others_know_and_this_node_does_not_are_never_used_again() {
    let mut node = node(OwnerLogConfig::default());
    node.start("a", "p1");
    node.timer(FLUSH);
    let sent = lines(&node.receive("n2", &whole(vec![head("n1", 1, 9)])));
    assert_eq!(node.strategy.own.high(), 11);
    let pages = "n3 <- pages [n1 0..11 of 11]".to_owned();
    assert!(sent.contains(&pages), "{sent:?}");
}

#[test]
fn replicas_with_different_metadata_keep_their_own() {
    let mut node = node(OwnerLogConfig::default());
    let with = |value: &str| Metadata::from_iter([("v", value)]);
    let running = Running {
        metadata: with("2"),
        ..running(1, 4)
    };
    let told = Operations {
        operations: [Operation::Runs(running)].into(),
        ..operations_of(1, 1, &[])
    };
    node.receive("n2", &OwnerLogMessage::Operations(told));
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
fn hostile_numbers_change_nothing_and_memory_stays_bounded() {
    let mut node = node(OwnerLogConfig::default());
    let page = Page {
        owner: "n2".into(),
        incarnation: 1,
        high: u64::MAX,
        after: 0,
        until: u64::MAX,
        rows: Vec::new(),
    };
    let here = OwnerLogMessage::Here {
        incarnation: 1,
        high: u64::MAX,
        token: 1,
    };
    node.receive("n2", &OwnerLogMessage::Pages(vec![page]));
    node.receive("n2", &told(1, u64::MAX, &[(u64::MAX, 1, true)]));
    node.receive("n2", &told(u64::MAX, 3, &[(9, 1, true)]));
    node.receive("n3", &here);
    node.receive("n3", &OwnerLogMessage::Ack(vec![0, u64::MAX]));
    let heads = vec![
        head("n1", 1, u64::MAX),
        head("n9", u64::MAX, u64::MAX),
        head("n3", 1, u64::MAX),
    ];
    node.receive("n3", &whole(heads));
    for key in [FLUSH, DIGEST, REPEAT, ACK] {
        node.pass(Duration::from_secs(9));
        node.timer(key);
    }
    let own = node.strategy.own.high();
    assert_eq!((node.rows(), own), (String::new(), 0));
    let mut replica = Replica::new(1);
    for seq in (2..).take(20_000) {
        replica.apply(&operation(2 * seq, 1, true));
    }
    assert!(replica.refs() < 10_000);
}

#[test]
fn messages_have_golden_bytes() {
    let message = told(3, 2, &[(1, 7, true), (2, 7, false)]);
    let runs = [0, 1, 2, b'c', b'7', 0, 0, 2, b'p', b'1', 0];
    let gone = [1, 2, 2, b'c', b'7'];
    let front = [0, 9, 2, b'n', b'2', 3, 2, 2];
    assert_bytes(&message, &[&front[..], &runs, &gone, &[0]].concat());
    let ack = OwnerLogMessage::Ack(vec![1, 300]);
    assert_bytes(&ack, &[1, 2, 1, 251, 44, 1]);
    assert_bytes(&whole(vec![head("a", 1, 2)]), &[2, 1, 1, b'a', 1, 2, 1, 0]);
    let here = OwnerLogMessage::Here {
        incarnation: 1,
        high: 2,
        token: 3,
    };
    assert_bytes(&here, &[3, 1, 2, 3]);
    let page = Page {
        owner: "a".into(),
        incarnation: 1,
        high: 4,
        after: 2,
        until: 3,
        rows: Vec::new(),
    };
    let pages = OwnerLogMessage::Pages(vec![page]);
    assert_bytes(&pages, &[4, 1, 1, b'a', 1, 4, 2, 3, 0]);
    assert_bytes(&OwnerLogMessage::Digest(5), &[5, 5]);
    assert_bytes(&OwnerLogMessage::Agree, &[6]);
}
