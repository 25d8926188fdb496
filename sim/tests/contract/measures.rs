//! Measures: what is counted, and the laws that the counts obey.

use std::collections::BTreeMap;

use hublab_sim::catalog::Catalog;
use hublab_sim::run::Simulation;
use hublab_sim::trace::event::DropReason;
use hublab_sim::watch::judge::Verdict;

use crate::lab::{Lab, Msg, S};

/// A cluster to which all kinds of things happen.
fn storm() -> Lab {
    Lab::of(4)
        .set("network.latency = { uniform = ['1ms', '900ms'] }")
        .set("network.loss = 0.1")
        .set("network.duplicate = 0.2")
        .set("cluster.down_after = '4s'")
        .set("cluster.discovery_interval = '700ms'")
        .set("cluster.join_debounce = '100ms'")
        .set("strategy.pubsub.sync_interval = '1s'")
        .set("strategy.gossip.sync_interval = '1s'")
        .set("run.duration = '20s'")
        .step("1s", "start_children = { on = 'n1', count = 3, prefix = 'x', replicas = ['n3'] }")
        .step("4s..5s", "partition = { groups = [['n1'], ['n2..n4']], in_flight = 'hold', heal_after = '1s..8s' }")
        .step("5s..6s", "crash = { nodes = ['n2'] }")
        .step("7s", "pause = { nodes = ['n4'] }")
        .step("8s..9s", "restart = { nodes = ['n2'] }")
        .step("14s..15s", "resume = { nodes = ['n4'] }")
        .step("16s", "leave = { nodes = ['n3'] }")
}

#[test]
fn every_message_is_accounted_for_on_every_link_and_of_every_kind() {
    for lab in [storm(), storm().gossip()] {
        for seed in 0..10 {
            let past = lab.clone().seed(seed).run();
            let mut flows: BTreeMap<(String, String, String), [i64; 2]> = BTreeMap::new();
            let mut in_flight = 0;
            for message in past.msgs("*>* *") {
                let copies = 1 + i64::from(message.copy.is_some());
                let ends = i64::try_from(message.arrivals.len() + message.losses.len()).unwrap();
                assert!(ends <= copies, "{message:?}");
                in_flight += copies - ends;
                let flow = flows
                    .entry((message.from, message.to, message.kind))
                    .or_default();
                flow[0] += copies;
                flow[1] += ends;
            }
            let totals = &past.report.messages;
            assert_eq!(i64::try_from(totals.in_flight).unwrap(), in_flight);
            assert_eq!(
                totals.sent + totals.duplicated,
                totals.delivered + totals.dropped + totals.in_flight
            );
            assert!(
                totals.in_flight > 0 && totals.duplicated > 0 && totals.dropped > 0,
                "seed {seed}: {totals:?}"
            );
            assert!(flows.len() > 20);
        }
    }
}

#[test]
fn no_message_arrives_before_it_is_due_or_at_a_node_that_does_not_run() {
    for seed in 0..10 {
        let past = storm().gossip().seed(seed).run();
        for message in past.msgs("*>* *") {
            let earliest = message
                .due
                .into_iter()
                .chain(message.copy)
                .min()
                .unwrap_or(u64::MAX);
            assert!(
                message.arrivals.iter().all(|(at, _)| *at >= earliest),
                "{message:?}"
            );
        }
    }
}

#[test]
fn fifo_channels_keep_their_order_in_any_storm() {
    for seed in 0..10 {
        let past = storm()
            .set("network.duplicate = 0.0")
            .gossip()
            .seed(seed)
            .run();
        let mut last: BTreeMap<(String, String, u8), (u64, u64)> = BTreeMap::new();
        let mut arrivals: Vec<(u64, Msg)> = past
            .msgs("*>* *")
            .into_iter()
            .filter_map(|message| Some((message.arrivals.first()?.1, message)))
            .collect();
        arrivals.sort_by_key(|(event, _)| *event);
        for (event, message) in arrivals {
            let lane = (message.from.clone(), message.to.clone(), message.channel);
            let (number, _) = last
                .insert(lane, (message.number, event))
                .unwrap_or_default();
            assert!(number <= message.number, "{message:?} after {number}");
        }
    }
}

#[test]
fn loss_1_loses_everything_and_duplicate_1_delivers_everything_twice() {
    let past = Lab::of(3).set("network.loss = 1.0").run();
    assert!(
        past.msgs("*>* *")
            .iter()
            .all(|message| message.losses.len() == 1 && message.lost() == Some(DropReason::Loss))
    );
    let past = Lab::of(3)
        .set("network.duplicate = 1.0")
        .set("run.duration = '59s'")
        .run();
    assert!(
        past.msgs("*>* *")
            .iter()
            .all(|message| message.arrivals.len() == 2)
    );
    let totals = &past.report.messages;
    assert_eq!(
        (totals.duplicated, totals.delivered, totals.in_flight),
        (totals.sent, 2 * totals.sent, 0)
    );
}

#[test]
fn shares_of_loss_and_duplicates_are_those_of_the_file() {
    let lab = Lab::of(8)
        .set("network.loss = 0.25")
        .set("network.duplicate = 0.1")
        .set("cluster.discovery_interval = '200ms'");
    let totals = lab.run().report.messages;
    let share = |part: u64, whole: u64| part * 1_000 / whole;
    assert!(totals.sent > 10_000);
    assert!(
        (235..=265).contains(&share(totals.dropped, totals.sent)),
        "{totals:?}"
    );
    assert!(
        (90..=110).contains(&share(totals.duplicated, totals.sent - totals.dropped)),
        "{totals:?}"
    );
}

#[test]
fn metrics_are_bounds_on_what_the_report_says() {
    let lab = Lab::of(3).step(
        "5s",
        "start_children = { on = 'n1', ids = ['a', 'b'], replicas = ['n2'] }",
    );
    let report = lab.run().report;
    assert_eq!(report.rows, 6, "two rows at each of three nodes");
    let kind = report.messages.by_kind["pubsub.requests"];
    let values = [
        ("messages_sent", report.messages.sent),
        ("messages_sent.pubsub.requests", kind.sent),
        ("messages_delivered.pubsub.requests", kind.delivered),
        ("messages_dropped.hub.leave", 0),
        ("messages_duplicated", 0),
        ("bytes_sent.pubsub.requests", kind.bytes),
        ("events", report.events),
        ("rows", report.rows),
        ("converged_us", report.converged_us.unwrap()),
    ];
    for (name, value) in values {
        let claim = |min: u64, max: u64| {
            format!("metric = {{ name = '{name}', min = {min}, max = {max} }}")
        };
        let past = lab
            .clone()
            .expect(&claim(value, value))
            .expect(&claim(value + 1, value + 2))
            .run();
        assert_eq!(past.verdicts(), [Verdict::Pass, Verdict::Fail], "{name}");
    }
}

#[test]
fn rows_are_counted_at_the_end_without_tombstones() {
    let lab = Lab::of(2)
        .step("55s", "start_children = { on = 'n1', ids = ['a', 'b'] }")
        .step("56s", "stop_children = { on = 'n1', ids = ['a'] }");
    assert_eq!(lab.run().report.rows, 2);
}

#[test]
fn a_run_that_never_converged_has_no_converged_us_and_fails_a_bound_on_it() {
    let lab = Lab::of(2).step(
        "5s",
        "rows = { on = 'n1', rows = [{ child = 'x', nodes = { n2 = 'p' } }] }",
    );
    let past = lab
        .expect("metric = { name = 'converged_us', max = 60000000 }")
        .run();
    assert_eq!(
        (past.report.converged_us, past.verdicts()),
        (None, vec![Verdict::Fail])
    );
}

#[test]
fn bytes_are_the_same_for_the_same_request_of_either_strategy() {
    let lab = Lab::of(2).step("1s", "sync = { on = 'n1' }").step(
        "5s",
        "start_children = { on = 'n1', ids = ['a'], via = 'n2' }",
    );
    let bytes = |lab: Lab| {
        lab.run()
            .msgs("*>* hub.children")
            .iter()
            .map(|message| message.bytes)
            .collect::<Vec<_>>()
    };
    assert_eq!(bytes(lab.clone()), bytes(lab.gossip()));
}

#[test]
fn a_run_without_events_to_come_still_lasts_to_its_end() {
    let past = Lab::of(1).set("run.duration = '7s'").run();
    assert_eq!(past.report.virtual_us, 7 * S);
}

#[test]
fn an_event_budget_ends_a_run_as_inconclusive() {
    let lab = storm()
        .expect("converged = { within = '1s', after = '17s' }")
        .expect("always = 'no_crash'");
    let report = Simulation::new(&lab.scenario(), &Catalog::default())
        .strategy("gossip")
        .unwrap()
        .seed(1)
        .budget(500)
        .run()
        .unwrap();
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert!((500..600).contains(&report.events), "{}", report.events);
    assert!(report.virtual_us < 20 * S);
}
