//! Claims about states over time: `during` and `by`, several nodes, views, owners, and what must happen.

use hublab_sim::catalog::Catalog;
use hublab_sim::model::Scenario;
use hublab_sim::watch::judge::Verdict::{Fail, Inconclusive, Pass};

use crate::lab::{Lab, S};

/// A child runs on n1 from 5 s to 20 s; n2 is away from 10 s to 15 s.
fn lab() -> Lab {
    Lab::of(3)
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
        .step("10s", "crash = { nodes = ['n2'] }")
        .step("15s", "restart = { nodes = ['n2'] }")
        .step("20s", "stop_children = { on = 'n1', ids = ['a'] }")
}

fn refused(lab: &Lab) -> String {
    let read = Scenario::read("lab.toml", lab.text().as_bytes(), &Catalog::default());
    let problems = read.expect_err("it is refused");
    let told = problems.problems().iter().map(ToString::to_string);
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn during_holds_at_the_end_of_every_instant_and_tells_the_first_at_which_it_fails() {
    let past = lab()
        .expect("during = '6s..19s'\nregistry = { on = 'n3', has = ['a'] }")
        .expect("during = '5005ms..20004999us'\nregistry = { on = 'n3', has = ['a'] }")
        .expect("during = '6s..20005ms'\nregistry = { on = 'n3', has = ['a'] }")
        .expect("during = '5004999us..6s'\nregistry = { on = 'n3', has = ['a'] }")
        .expect("during = '7s'\nregistry = { on = 'n3', lacks = ['a'] }")
        .run();
    assert_eq!(
        past.verdicts(),
        [Pass, Pass, Fail, Fail, Fail],
        "{:?}",
        past.details()
    );
    let at: Vec<_> = past
        .report
        .expectations
        .iter()
        .map(|one| one.at_us)
        .collect();
    assert_eq!(at[2..], [Some(20_005_000), Some(5_004_999), Some(7 * S)]);
    assert_eq!(past.details()[2], "n3 lacks a");
}

#[test]
fn by_holds_at_the_end_of_some_instant_up_to_then() {
    let past = lab()
        .expect("by = '30s'\nregistry = { on = 'n3', has = ['a'] }")
        .expect("by = '5005ms'\nregistry = { on = 'n3', has = ['a'] }")
        .expect("by = '5004999us'\nregistry = { on = 'n3', has = ['a'] }")
        .expect("by = '30s'\nregistry = { on = 'n3', has = ['b'] }")
        .run();
    assert_eq!(
        past.verdicts(),
        [Pass, Pass, Fail, Fail],
        "{:?}",
        past.details()
    );
    let at: Vec<_> = past
        .report
        .expectations
        .iter()
        .map(|one| one.at_us)
        .collect();
    assert_eq!(at[2..], [Some(5_004_999), Some(30 * S)]);
}

#[test]
fn a_claim_on_several_nodes_is_about_each_that_runs() {
    let past = lab()
        .set("cluster.zones = { eu = ['n2', 'n3'] }")
        .expect("at = '12s'\nregistry = { on = 'all', has = ['a'] }")
        .expect("at = '8s'\nregistry = { on = ['@eu'], lacks = ['a'] }")
        .expect("at = '12s'\nentry = { on = '@eu', child = 'a', nodes = ['n1'], count = 1 }")
        .expect("at = '12s'\nentry = { on = 'n3', child = 'a', count = 2 }")
        .expect("at = '25s'\nentry = { on = 'all', child = 'a', count = 0 }")
        .run();
    assert_eq!(
        past.verdicts(),
        [Pass, Fail, Pass, Fail, Pass],
        "{:?}",
        past.details()
    );
    assert_eq!(past.details()[1], "n2 has a; n3 has a");
    assert_eq!(past.details()[3], "n3 has 1 entries of a, expected 2");
    let one = lab().expect("at = '12s'\nregistry = { on = 'n2', has = ['a'] }");
    assert!(refused(&one).contains("crashed at 10s"));
}

#[test]
fn a_view_is_compared_as_a_set() {
    let past = lab()
        .expect("at = '8s'\nview = { on = 'n1', is = ['n3', 'n2', 'n1'] }")
        .expect("at = '12s'\nview = { on = 'all', is = ['n1', 'n3'], lacks = ['n2'] }")
        .expect("at = '12s'\nview = { on = 'n1', has = ['n2'] }")
        .expect("at = '12s'\nview = { on = 'n1', is = ['n1'] }")
        .expect("by = '20s'\nview = { on = 'n2', is = 'all' }")
        .expect("during = '9s..11s'\nview = { on = 'n3', has = ['n2'] }")
        .run();
    assert_eq!(
        past.verdicts(),
        [Pass, Pass, Fail, Fail, Pass, Fail],
        "{:?}",
        past.details()
    );
    assert_eq!(past.details()[2], "the view of n1 lacks n2");
    assert_eq!(past.details()[3], "the view of n1 has n3");
}

#[test]
fn connected_takes_a_time_and_a_stretch() {
    let past = lab()
        .expect("by = '20s'\nconnected = { nodes = 'all' }")
        .expect("during = '1s..9s'\nconnected = { nodes = ['n1', 'n2'] }")
        .expect("during = '1s..30s'\nconnected = { nodes = ['n1', 'n3'] }")
        .expect("during = '9s..20s'\nconnected = { nodes = ['n1', 'n2'] }")
        .run();
    assert_eq!(
        past.verdicts(),
        [Pass, Pass, Pass, Fail],
        "{:?}",
        past.details()
    );
}

#[test]
fn owners_are_those_that_run_a_child_in_truth() {
    let past = lab()
        .step("7s", "start_children = { on = 'n3', ids = ['a'] }")
        .step("9s", "stop_children = { on = 'n3', ids = ['a'] }")
        .expect("owners = { child = 'a', max = 2 }")
        .expect("owners = { child = 'a', max = 1 }")
        .expect("at = '8s'\nowners = { child = 'a', min = 2, max = 2 }")
        .expect("during = '10s..30s'\nowners = { child = 'a', max = 1, min = 1 }")
        .expect("by = '6s'\nowners = { child = 'a', min = 1 }")
        .run();
    assert_eq!(
        past.verdicts(),
        [Pass, Fail, Pass, Fail, Pass],
        "{:?}",
        past.details()
    );
    let at: Vec<_> = past
        .report
        .expectations
        .iter()
        .map(|one| one.at_us)
        .collect();
    assert_eq!((at[1], at[3]), (Some(7 * S), Some(20 * S)));
    assert_eq!(past.details()[1], "a runs on n1, n3: more than 1");
    assert_eq!(past.details()[3], "a runs on no node: fewer than 1");
}

#[test]
fn what_never_happens_fails_a_run_but_not_where_one_of_a_campaign_is_enough() {
    let past = lab()
        .expect("sometimes = 'pubsub.join'")
        .expect("sometimes = 'peer_down'")
        .expect("sometimes = 'gossip.sync'")
        .expect(
            "sometimes = 'paused', over = 'campaign'"
                .replace(", ", "\n")
                .as_str(),
        )
        .run();
    assert_eq!(
        past.verdicts(),
        [Pass, Pass, Fail, Pass],
        "{:?}",
        past.details()
    );
    assert_eq!(past.details()[2], "it never happened");
}

#[test]
fn a_run_that_is_ended_early_leaves_open_what_it_has_not_come_to() {
    let catalog = Catalog::default();
    let scenario = lab()
        .expect("during = '1s..50s'\nregistry = { on = 'n3', lacks = ['b'] }")
        .expect("during = '1s..50s'\nregistry = { on = 'n3', lacks = ['a'] }")
        .expect("by = '50s'\nregistry = { on = 'n3', has = ['b'] }")
        .expect("sometimes = 'never.seen'")
        .scenario();
    // The first number of events with which the run comes to the start of the child.
    let verdicts = (20..400).map(|budget| {
        let run = hublab_sim::run::Simulation::new(&scenario, &catalog).strategy("pubsub");
        let report = run
            .and_then(|run| run.budget(budget).run())
            .expect("a port");
        let verdicts = report.expectations.iter().map(|one| one.verdict);
        verdicts.collect::<Vec<_>>()
    });
    let found = verdicts.into_iter().find(|verdicts| verdicts[1] == Fail);
    assert_eq!(
        found,
        Some(vec![Inconclusive, Fail, Inconclusive, Inconclusive])
    );
}

#[test]
fn a_claim_has_one_kind_of_instants() {
    let both = lab().expect("at = '1s'\nby = '2s'\nregistry = { on = 'n1', has = ['a'] }");
    assert!(refused(&both).contains("both `at` and `by`"));
    let none = lab().expect("view = { on = 'n1', has = ['n2'] }");
    assert!(refused(&none).contains("`at` is missing"));
    let late = lab().expect("during = '1s..61s'\nowners = { child = 'a', max = 1 }");
    assert!(refused(&late).contains("after the end of the run"));
    let misplaced = lab().expect("during = '1s..6s'\nmetric = { name = 'rows', max = 1 }");
    assert!(refused(&misplaced).contains("`during` does not go with `metric`"));
}
