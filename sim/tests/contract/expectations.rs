//! Expectations: what each claim means, at which instant, and until when.

use hublab_sim::catalog::Catalog;
use hublab_sim::report::Report;
use hublab_sim::run::{EVENT_BUDGET, Simulation};
use hublab_sim::scenario::Scenario;
use hublab_sim::watch::judge::Verdict::{Fail, Inconclusive, Pass};

use crate::lab::{Lab, MS, S};

/// A child starts at 5 s and is everywhere at 5.005 s.
fn started() -> Lab {
    Lab::of(3).step(
        "5s",
        "start_children = { on = 'n1', ids = ['a'], metadata = { v = '1' } }",
    )
}

#[test]
fn converged_counts_the_instant_of_the_deadline() {
    let lab = started()
        .expect("converged = { within = '5ms', after = 'last_step' }")
        .expect("converged = { within = '4999us' }");
    let past = lab.run();
    assert_eq!(past.verdicts(), [Pass, Fail], "{:?}", past.details());
    assert!(
        past.details()[1].contains("n2 lacks a of n1"),
        "{:?}",
        past.details()
    );
}

#[test]
fn a_failed_claim_is_dated_when_it_was_broken() {
    let past = started()
        .expect("converged = { within = '4999us' }")
        .expect("at = '2s'\nregistry = { on = 'n1', has = ['b'] }")
        .expect("metric = { name = 'rows', min = 9 }")
        .run();
    let dated: Vec<_> = past
        .report
        .expectations
        .iter()
        .map(|one| one.at_us)
        .collect();
    let end = past.report.virtual_us;
    assert_eq!(dated, [Some(5_004_999), Some(2_000_000), Some(end)]);
}

#[test]
fn converged_must_last_until_the_next_step() {
    let lab = |wreck: &str| {
        started()
            .step("8s", wreck)
            .expect("converged = { within = '1s', after = '5s' }")
            .expect("converged = { within = '1s', after = '5s', nodes = ['n3'] }")
    };
    let ghost = |node: &str| {
        format!("rows = {{ on = '{node}', rows = [{{ child = 'x', nodes = {{ n3 = 'p' }} }}] }}")
    };
    assert_eq!(
        lab(&ghost("n2")).run().verdicts(),
        [Pass, Pass],
        "what a step undoes is not held against it"
    );
    let unstable = started()
        .step(
            "4s",
            "rows = { on = 'n2', rows = [{ child = 'b', nodes = { n3 = 'n3.1.1' } }] }",
        )
        .step(
            "4s",
            "link = { from = ['n3'], to = ['n1'], latency = { constant = '2s' } }",
        )
        .step("4500ms", "start_children = { on = 'n3', ids = ['b'] }")
        .expect("converged = { within = '1s', after = '5s' }")
        .expect("converged = { within = '2s', after = '5s' }");
    assert_eq!(
        unstable.run().verdicts(),
        [Fail, Pass],
        "b of n3 is at n1 at 6.5 s"
    );
}

#[test]
fn what_breaks_by_itself_after_the_deadline_is_held_against_it() {
    let lab = Lab::of(2)
        .set("cluster.down_after = '20s'")
        .set("cluster.down_spread = 0.0")
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
        .step("6s", "partition = { groups = [['n1'], ['n2']] }")
        .expect("converged = { within = '1s', after = '6s' }")
        .expect("converged = { within = '21s', after = '6s' }");
    let past = lab.run();
    assert_eq!(
        past.verdicts(),
        [Fail, Pass],
        "n2 loses a at 26.5 s, 0.5 s after it could no longer reach n1"
    );
}

#[test]
fn heal_after_is_a_step_for_last_step_and_heal_and_what_lasts_until_the_next() {
    let lab = Lab::of(2)
        .step(
            "4s",
            "partition = { groups = [['n1'], ['n2']], heal_after = '10s' }",
        )
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
        .expect("converged = { within = '16s', after = 'last_step' }")
        .expect("converged = { within = '16s', after = 'heal' }")
        .expect("converged = { within = '16005ms', after = 'last_step' }")
        .expect("converged = { within = '16005ms', after = 'heal' }");
    assert_eq!(
        lab.run().verdicts(),
        [Fail, Fail, Pass, Pass],
        "the round of 30 s brings it, 16.005 s after healing"
    );
}

#[test]
fn without_steps_last_step_is_the_beginning() {
    assert_eq!(
        Lab::of(2)
            .expect("converged = { within = '0us' }")
            .run()
            .verdicts(),
        [Pass]
    );
}

#[test]
fn without_any_expectation_convergence_is_expected_after_the_last_step() {
    let past = started().run();
    assert_eq!(past.report.expectations.len(), 1);
    assert_eq!(
        (past.report.expectations[0].claim.as_str(), past.verdicts()),
        ("converged", vec![Pass])
    );
    let past = Lab::of(2)
        .step(
            "50s",
            "rows = { on = 'n1', rows = [{ child = 'x', nodes = { n2 = 'p' } }] }",
        )
        .run();
    assert_eq!(past.verdicts(), [Fail]);
}

#[test]
fn nodes_narrows_the_observers() {
    let lab = started().step(
        "6s",
        "rows = { on = 'n2', rows = [{ child = 'x', nodes = { n3 = 'p' } }] }",
    );
    let lab = lab
        .expect("converged = { within = '1s' }")
        .expect("converged = { within = '1s', nodes = ['n1', 'n3'] }");
    assert_eq!(lab.run().verdicts(), [Fail, Pass]);
}

#[test]
fn a_paused_node_counts_as_live() {
    let lab = Lab::of(2)
        .step("4s", "pause = { nodes = ['n2'] }")
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }");
    assert_eq!(
        lab.expect("converged = { within = '20s' }")
            .run()
            .verdicts(),
        [Fail]
    );
}

#[test]
fn a_view_must_not_show_children_of_nodes_it_cannot_reach() {
    let lab = Lab::of(2)
        .set("cluster.down_after = '1s'")
        .set("cluster.down_spread = 0.0")
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
        .step("6s", "partition = { groups = [['n1'], ['n2']] }")
        .step(
            "20s",
            "rows = { on = 'n2', rows = [{ child = 'a', nodes = { n1 = 'n1.1.1' } }] }",
        )
        .expect("converged = { within = '1500ms', after = '6s' }")
        .expect("converged = { within = '30s' }");
    assert_eq!(
        lab.run().verdicts(),
        [Pass, Fail],
        "down at 7 s, detached at 7.5 s; a true row of an unreachable node is a defect"
    );
}

#[test]
fn pids_metadata_and_duplicates_count() {
    let wrong = |row: &str| {
        let lab = started().step("6s", &format!("rows = {{ on = 'n2', rows = [{row}] }}"));
        lab.expect("converged = { within = '10s' }")
            .run()
            .verdicts()
    };
    assert_eq!(
        wrong("{ child = 'a', nodes = { n1 = 'n1.1.1' }, metadata = { v = '1' } }"),
        [Pass]
    );
    assert_eq!(
        wrong("{ child = 'a', nodes = { n1 = 'n1.1.9' }, metadata = { v = '1' } }"),
        [Fail]
    );
    assert_eq!(
        wrong("{ child = 'a', nodes = { n1 = 'n1.1.1' }, metadata = { v = '2' } }"),
        [Fail]
    );
    assert_eq!(
        wrong("{ child = 'a', nodes = { n1 = 'n1.1.1', n3 = 'p' }, metadata = { v = '1' } }"),
        [Fail]
    );
}

#[test]
fn states_are_compared_at_the_end_of_an_instant() {
    let lab = started()
        .step("6s", "stop_children = { on = 'n1', ids = ['a'] }")
        .expect("at = '5s'\nregistry = { on = 'n1', has = ['a'] }")
        .expect("at = '5004999us'\nregistry = { on = 'n2', lacks = ['a'] }")
        .expect("at = '5005ms'\nregistry = { on = 'n2', has = ['a'] }")
        .expect("at = '5999999us'\nregistry = { on = 'n1', has = ['a'] }")
        .expect("at = '6s'\nregistry = { on = 'n1', lacks = ['a'] }")
        .expect("at = '6s'\nregistry = { on = 'n2', lacks = ['a'] }");
    assert_eq!(lab.run().verdicts(), [Pass, Pass, Pass, Pass, Pass, Fail]);
}

#[test]
fn what_falls_on_the_end_is_judged_there() {
    let lab = Lab::of(2)
        .step("59995ms", "start_children = { on = 'n1', ids = ['a'] }")
        .step("60s", "stop_children = { on = 'n1', ids = ['a'] }")
        .expect("at = '60s'\nregistry = { on = 'n2', has = ['a'] }")
        .expect("at = '60s'\nregistry = { on = 'n1', lacks = ['a'] }")
        .expect("converged = { within = '0us' }");
    assert_eq!(lab.run().verdicts(), [Pass, Pass, Fail]);
}

#[test]
fn a_tombstone_is_no_row() {
    let lab = started().step("6s", "stop_children = { on = 'n1', ids = ['a'] }");
    let lab = lab
        .expect("at = '7s'\nregistry = { on = 'n2', lacks = ['a'] }")
        .expect("at = '7s'\nentry = { on = 'n2', child = 'a', nodes = [] }");
    assert_eq!(lab.run().verdicts(), [Pass, Pass]);
}

#[test]
fn an_entry_claim_checks_each_field_that_it_has() {
    let row = "rows = { on = 'n1', rows = [{ child = 'x', nodes = { n3 = 'p3', n2 = 'p2' }, metadata = { a = '1', b = '2' } }] }";
    let verdict = |fields: &str| {
        let claim = format!("at = '6s'\nentry = {{ on = 'n1', child = 'x', {fields} }}");
        Lab::of(3).step("5s", row).expect(&claim).run().verdicts()[0]
    };
    for right in [
        "nodes = ['n2', 'n3']",
        "nodes = ['n3', 'n2']",
        "pids = { n2 = 'p2' }",
        "metadata = { b = '2', a = '1' }",
        "first = 'n3'",
    ] {
        assert_eq!(verdict(right), Pass, "{right}");
    }
    for wrong in [
        "nodes = ['n3']",
        "nodes = ['n1', 'n2', 'n3']",
        "pids = { n2 = 'p3' }",
        "pids = { n1 = 'p1' }",
        "metadata = { a = '1' }",
        "metadata = {}",
        "first = 'n2'",
    ] {
        assert_eq!(verdict(wrong), Fail, "{wrong}");
    }
}

#[test]
fn oracles_count_only_where_an_expectation_names_them() {
    let meddle = "propagate = { from = 'n2', requests = [{ unregister = [{ child = 'a', nodes = ['n1'] }] }] }";
    let lab = started().step("6s", meddle);
    let quiet = lab
        .clone()
        .expect("metric = { name = 'events', min = 1 }")
        .run();
    assert_eq!(
        (quiet.verdicts(), quiet.report.violations.len()),
        (vec![Pass], 0)
    );
    let judged = lab
        .expect("always = 'single_writer'")
        .expect("violates = 'single_writer'")
        .expect("always = 'own_truth'")
        .expect("always = 'no_crash'")
        .run();
    assert_eq!(
        judged.verdicts(),
        [Fail, Pass, Pass, Pass],
        "what a raw request names is not compared with the truth"
    );
    assert_eq!(judged.report.violations[0].at_us, 6 * S + 5 * MS);
    assert_eq!(
        started()
            .expect("violates = 'single_writer'")
            .run()
            .verdicts(),
        [Fail]
    );
}

#[test]
fn an_expectation_of_another_strategy_does_not_apply() {
    let lab = started()
        .expect("metric = { name = 'messages_sent', max = 0 }\nstrategy = 'gossip'")
        .expect("converged = { within = '5ms' }\nstrategy = 'pubsub'");
    assert_eq!(lab.run().verdicts(), [Pass]);
    assert_eq!(lab.gossip().run().verdicts(), [Fail]);
}

fn report_of(text: &str, strategy: &str, budget: u64) -> Report {
    let catalog = Catalog::default();
    let scenario = Scenario::read("it.toml", text.as_bytes(), &catalog)
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    Simulation::new(&scenario, &catalog)
        .strategy(strategy)
        .expect("a run")
        .seed(1)
        .budget(budget)
        .run()
        .expect("a run")
}

#[test]
fn a_run_that_is_ended_early_keeps_what_was_proved() {
    let text = "schema = 1\n[run]\nduration = '60s'\n[cluster]\nnodes = 4\n\
        [[step]]\nat = '500ms'\nstart_children = { on = 'n1', ids = ['a'] }\n\
        [[expect]]\nat = '1s'\nregistry = { on = 'n1', has = ['never-started'] }\n\
        [[expect]]\nat = '1s'\nregistry = { on = 'n1', has = ['a'] }\n\
        [[expect]]\nat = '50s'\nregistry = { on = 'n1', has = ['a'] }\n\
        [[expect]]\nconverged = { within = '10s', after = '1s' }\n\
        [[expect]]\nalways = 'own_truth'\n\
        [[expect]]\nmetric = { name = 'messages_sent', max = 1 }\n\
        [[expect]]\nmetric = { name = 'messages_sent', min = 1 }\n";
    let whole = report_of(text, "pubsub", EVENT_BUDGET);
    assert!(!whole.ended_early);
    let budget = whole.events * 2 / 3;
    let early = report_of(text, "pubsub", budget);
    assert!(
        early.ended_early && early.virtual_us > 11_000_000,
        "{early:?}"
    );
    let verdicts: Vec<_> = early.expectations.iter().map(|one| one.verdict).collect();
    let open = Inconclusive;
    assert_eq!(verdicts, [Fail, Pass, open, open, open, Fail, open]);
    assert_eq!(early.verdict, Fail);
}

#[test]
fn views_are_equal_while_nothing_happens_whatever_the_steps() {
    let text = "schema = 1\n[run]\nduration = '10s'\n[cluster]\nnodes = 2\n\
        [[step]]\nat = '5s'\nheal = true\n[[step]]\nat = '5s'\nheal = true\n\
        [[step]]\nat = '6s'\nheal = true\n";
    let report = report_of(text, "pubsub", EVENT_BUDGET);
    let converged: Vec<_> = report.timeline.iter().map(|one| one.converged_us).collect();
    assert_eq!(converged, [Some(0); 4]);
}

#[test]
fn an_end_that_a_cut_hides_is_noticed_by_silence() {
    let text = "schema = 1\n[run]\nduration = '120s'\n[cluster]\nnodes = 2\n\
        [strategy.pubsub]\nsync_interval = '1s'\n[strategy.gossip]\nsync_interval = '1s'\n\
        [[step]]\nat = '11s'\nstart_children = { on = 'n1', ids = ['a'] }\n\
        [[step]]\nat = '14s'\npartition = { groups = [['n1'], ['n2']] }\n\
        [[step]]\nat = '14500ms'\ncrash = { nodes = ['n1'] }\n\
        [[expect]]\nalways = 'no_permanent_ghost'\n[[expect]]\nalways = 'convergence'\n";
    for strategy in ["pubsub", "gossip"] {
        let report = report_of(text, strategy, EVENT_BUDGET);
        assert_eq!(report.verdict, Pass, "{:?}", report.expectations);
        assert!(report.expectations[1].detail.contains("silence"));
    }
}

/// Two halves that nothing connects again before the end, after 20 s of a partition.
fn split() -> Lab {
    Lab::of(4)
        .set("cluster.down_after = '3s'")
        .set("cluster.discovery_interval = '1h'")
        .step(
            "10s",
            "partition = { groups = [['n1', 'n2'], ['n3', 'n4']], heal_after = '10s' }",
        )
}

#[test]
fn convergence_names_the_pairs_that_are_not_connected() {
    let past = split()
        .expect("converged = { within = '20s', after = 'heal' }")
        .expect("converged = { within = '20s', after = 'heal', whole = true }")
        .expect("converged = { within = '5s', after = '1s', whole = true }")
        .run();
    assert_eq!(past.verdicts(), [Pass, Fail, Pass], "{:?}", past.details());
    let details = past.details();
    let named = "4 pairs are not connected: n1-n3, n1-n4, n2-n3, n2-n4";
    assert_eq!(
        details[0],
        format!("converged at 20s, 0s after 20s; {named}")
    );
    assert!(
        details[1].contains("at 40s: n1 and n3 are not connected"),
        "{details:?}"
    );
    assert_eq!(past.report.expectations[1].defect, "apart");
    assert_eq!(details[2], "converged at 1s, 0s after 1s");
}

#[test]
fn a_whole_cluster_is_converged_once_its_pairs_are_connected_again() {
    let past = Lab::of(4)
        .set("cluster.down_after = '3s'")
        .set("cluster.discovery_interval = '6s'")
        .step(
            "10s",
            "partition = { groups = [['n1', 'n2'], ['n3', 'n4']], heal_after = '10s' }",
        )
        .expect("converged = { within = '5s', after = 'heal', whole = true }")
        .expect("converged = { within = '2s', after = 'heal', whole = true }")
        .run();
    assert_eq!(past.verdicts(), [Pass, Fail], "{:?}", past.details());
    assert!(
        past.details()[0].contains("after 20s"),
        "{:?}",
        past.details()
    );
    assert!(
        past.details()[1].contains("too late"),
        "{:?}",
        past.details()
    );
}

#[test]
fn connected_is_about_each_pair_at_one_instant() {
    let past = split()
        .expect("at = '9s'\nconnected = {}")
        .expect("at = '15s'\nconnected = {}")
        .expect("at = '15s'\nconnected = { nodes = ['n1', 'n2'] }")
        .expect("at = '15s'\nconnected = { nodes = ['n1', 'n4'] }")
        .run();
    assert_eq!(
        past.verdicts(),
        [Pass, Fail, Pass, Fail],
        "{:?}",
        past.details()
    );
    assert_eq!(past.details()[3], "n1 and n4 are not connected");
    assert_eq!(past.report.expectations[3].node, "n1");
}
