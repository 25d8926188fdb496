//! Chance: which draw belongs to what, and what leaves it alone.

use std::collections::BTreeMap;

use hublab_sim::catalog::Catalog;
use hublab_sim::model::Scenario;
use hublab_sim::scenario::{Style, render, resolve};

use crate::lab::{Lab, Past, S};

/// Four nodes, all network draws in use, latencies not bent by order.
fn lottery() -> Lab {
    Lab::of(4)
        .set("run.duration = '30s'")
        .set("network.latency = { uniform = ['1ms', '10ms'] }")
        .set("network.order = 'any'")
        .set("network.loss = 0.1")
        .set("network.duplicate = 0.1")
        .set("cluster.discovery_interval = '500ms'")
        .set("strategy.pubsub.sync_interval = '1s'")
        .set("strategy.gossip.sync_interval = '1s'")
        .step("2s", "start_children = { on = 'n1', ids = ['a'] }")
        .step("3s..9s", "start_children = { on = 'n2', ids = ['b'] }")
        .step("4s..9s", "start_children = { on = 'n3', ids = ['c'] }")
        .step("10s..20s", "stop_children = { on = 'n1', ids = ['a'] }")
}

type Lane = (String, String, u8);
/// The latency of a message (`None` if lost) and that of its copy.
type Fate = (Option<u64>, Option<u64>);

/// For each link and channel, what chance made of message k.
fn fates(past: &Past) -> BTreeMap<Lane, Vec<Fate>> {
    let mut fates: BTreeMap<Lane, Vec<Fate>> = BTreeMap::new();
    for message in past.msgs("*>* *") {
        let lane = fates
            .entry((message.from, message.to, message.channel))
            .or_default();
        assert_eq!(lane.len() as u64, message.number, "numbers count from 0");
        lane.push((
            message.due.map(|due| due - message.at),
            message.copy.map(|due| due - message.at),
        ));
    }
    fates
}

/// Asserts that message k of every lane that both runs used met the same fate.
fn assert_same_network(a: &Past, b: &Past) {
    let (a, b) = (fates(a), fates(b));
    let shared: Vec<_> = a.keys().filter(|lane| b.contains_key(*lane)).collect();
    assert!(shared.len() >= 12, "of {} and {}", a.len(), b.len());
    for lane in shared {
        let count = a[lane].len().min(b[lane].len());
        assert_eq!(a[lane][..count], b[lane][..count], "{lane:?}");
    }
}

/// When the steps and healings happened, in order.
fn step_times(past: &Past) -> Vec<u64> {
    past.report.timeline[1..]
        .iter()
        .map(|segment| segment.at_us)
        .collect()
}

#[test]
fn deleting_a_step_moves_no_draw_of_any_link() {
    let whole = lottery().run();
    for step in 0..4 {
        assert_same_network(&whole, &lottery().without(step).run());
    }
}

#[test]
fn deleting_a_step_moves_no_other_step() {
    let whole = lottery().run();
    let less = lottery().without(1).run();
    let (kept, all) = (step_times(&less), step_times(&whole));
    assert_eq!(kept.len(), 3);
    assert!(
        kept.iter().all(|at| all.contains(at)),
        "{kept:?} of {all:?}"
    );
}

#[test]
fn equal_steps_draw_by_their_number_and_different_ones_by_their_content() {
    let step = |lab: Lab, id: &str| {
        lab.step(
            "5s..50s",
            &format!("start_children = {{ on = 'n1', ids = ['{id}'] }}"),
        )
    };
    let past = step(step(step(Lab::of(2), "a"), "a"), "b").run();
    let mut times = step_times(&past);
    times.dedup();
    assert_eq!(times.len(), 3, "{times:?}");
}

#[test]
fn adding_a_node_that_never_starts_moves_nothing() {
    let more = lottery()
        .set("cluster.nodes = 5")
        .set("cluster.start = ['n1..n4']");
    for (less, more) in [
        (lottery(), more.clone()),
        (lottery().gossip(), more.gossip()),
    ] {
        assert_eq!(fates(&less.run()), fates(&more.run()));
    }
}

#[test]
fn adding_a_node_that_is_cut_off_from_all_moves_no_draw_of_the_others() {
    let lab = lottery()
        .set("cluster.nodes = 5")
        .set("cluster.start = ['n1..n4']");
    let lab = lab
        .step("1s", "partition = { groups = [['n1..n4'], ['n5']] }")
        .step("2s", "join = { nodes = ['n5'] }");
    assert_same_network(&lottery().run(), &lab.run());
}

#[test]
fn strategies_compared_on_one_seed_meet_the_same_network() {
    let (pubsub, gossip) = (lottery().run(), lottery().gossip().run());
    assert_same_network(&pubsub, &gossip);
    assert_eq!(
        step_times(&pubsub),
        step_times(&gossip),
        "and the same script"
    );
}

#[test]
fn the_latency_law_of_a_link_does_not_change_who_is_lost() {
    let lost = |past: &Past| {
        past.msgs("*>* hub.discovery")
            .iter()
            .map(|message| (message.from.clone(), message.number, message.due.is_none()))
            .collect::<Vec<_>>()
    };
    let slow = lottery().set("network.latency = { exponential = { min = '1ms', mean = '3ms' } }");
    assert_eq!(lost(&lottery().run()), lost(&slow.run()));
}

#[test]
fn another_seed_gives_another_run_and_the_same_seed_the_same() {
    for lab in [lottery(), lottery().gossip()] {
        assert_eq!(lab.run().digest(), lab.run().digest());
        assert_ne!(lab.run().digest(), lab.clone().seed(2).run().digest());
    }
}

#[test]
fn slice_and_exact_stepping_give_the_same_digest() {
    for seed in 0..5 {
        for lab in [lottery(), lottery().gossip()] {
            let lab = lab.seed(seed);
            assert_eq!(lab.run().digest(), lab.clone().exact().run().digest());
        }
    }
}

#[test]
fn the_resolved_scenario_is_a_file_that_runs_to_the_same_digest() {
    let catalog = Catalog::default();
    for lab in [lottery(), lottery().gossip(), storm_of_ranges()] {
        for seed in [1, 9] {
            let lab = lab.clone().seed(seed);
            let resolved = resolve(&lab.scenario(), seed, &catalog);
            let text = render(&resolved, Style::Full);
            let again = Scenario::read("resolved.toml", text.as_bytes(), &catalog)
                .unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
            assert_eq!(lab.run_scenario(&again).digest(), lab.run().digest());
            let ranges = text
                .lines()
                .filter(|line| line.starts_with("at =") && line.contains(".."));
            assert_eq!(ranges.count(), 0, "every range is drawn:\n{text}");
        }
    }
}

fn storm_of_ranges() -> Lab {
    Lab::of(3)
        .step("5s..9s", "partition = { groups = [['n1'], ['n2', 'n3']], heal_after = '1s..20s', in_flight = 'hold' }")
        .step("6s..7s", "start_children = { on = 'n1', count = 3, prefix = 'x' }")
        .step("30s..31s", "clock = { nodes = ['n2'], jump = '-3s' }")
}

#[test]
fn ranges_are_drawn_within_their_bounds_and_differ_between_seeds() {
    let times: Vec<u64> = (0..20)
        .map(|seed| lottery().seed(seed).run().report.timeline[2].at_us)
        .collect();
    assert!(
        times.iter().all(|at| (3 * S..=9 * S).contains(at)),
        "{times:?}"
    );
    let mut different = times.clone();
    different.sort_unstable();
    different.dedup();
    assert!(different.len() > 15, "{times:?}");
}

#[test]
fn names_of_file_and_strategy_and_comments_are_not_hashed() {
    let named = Lab::of(2).set("run.duration = '9s'");
    let plain = named.run().digest().to_owned();
    let mut scenario = named.scenario();
    "another".clone_into(&mut scenario.name);
    scenario.summary = Some("about something else".to_owned());
    assert_eq!(named.run_scenario(&scenario).digest(), plain);
    assert_eq!(
        named.clone().seed(77).run().digest(),
        plain,
        "nor the seed: nothing is drawn here"
    );
    assert_eq!(
        named.gossip().run().digest(),
        plain,
        "without children both strategies do the same"
    );
}

#[test]
fn a_copy_takes_a_time_of_its_own() {
    let fates = fates(&lottery().set("network.duplicate = 1.0").run());
    let both = || {
        fates
            .values()
            .flatten()
            .filter_map(|(latency, copy)| Some((*latency, (*copy)?)))
    };
    let differ = both()
        .filter(|(latency, copy)| *latency != Some(*copy))
        .count();
    assert!(
        differ * 100 > both().count() * 99,
        "{differ} of {}",
        both().count()
    );
}

#[test]
fn each_incarnation_of_a_node_has_a_stream_of_its_own() {
    let mut lab = Lab::of(8).gossip().set("strategy.gossip.recipients = 1");
    for (boot, at) in [("start", "0s"), ("restart = { nodes = ['n1'] }", "2s")] {
        if at != "0s" {
            lab = lab.step("1s", "crash = { nodes = ['n1'] }").step(at, boot);
        }
        lab = lab.step(at, "view = { on = 'n1', nodes = 'all' }");
        for _ in 0..8 {
            lab = lab.step(at, "propagate = { from = 'n1', requests = [{ unregister = [{ child = 'x', nodes = ['n1'] }] }] }");
        }
    }
    let past = lab.run();
    let picks = |at: u64| {
        past.msgs_at(at, "n1>* gossip.propagate")
            .into_iter()
            .map(|message| message.to)
            .collect::<Vec<_>>()
    };
    assert_eq!((picks(0).len(), picks(2 * S).len()), (8, 8));
    assert_ne!(picks(0), picks(2 * S));
}
