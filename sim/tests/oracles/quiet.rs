//! What must come about when nothing disturbs the cluster any more.

use super::{Stage, hosting};

const NOTHING: [&str; 0] = [];

/// What makes both other views right.
const TOLD: &str = "1100 n2 put a n1 n1.1.1\n1100 n3 put a n1 n1.1.1";

#[test]
fn convergence_wants_all_views_right_within_the_bound_and_from_then_on() {
    assert_eq!(hosting().acts(TOLD).finds("convergence"), NOTHING);
    let absent = hosting().acts("1100 n2 put a n1 n1.1.1");
    assert_eq!(absent.finds("convergence"), ["absent () @ n3 6241"]);
    let late = absent.clone().acts("6242 n3 put a n1 n1.1.1");
    assert_eq!(late.finds("convergence").len(), 1);
    let in_time = absent.acts("6241 n3 put a n1 n1.1.1");
    assert_eq!(in_time.finds("convergence"), NOTHING);
    let lost = hosting().acts(TOLD).acts("15000 n2 drop a n1");
    assert_eq!(
        lost.finds("convergence"),
        ["absent (timer strategy) @ n2 15000"]
    );
    let ghost = hosting()
        .acts(TOLD)
        .step("2s", "stop_children = { on = 'n1', ids = ['a'] }")
        .acts("2100 n3 drop a n1");
    assert_eq!(
        ghost.finds("convergence"),
        ["ghost (timer strategy) @ n2 7241"]
    );
    let wrong = hosting()
        .acts(TOLD)
        .step("2s", "restart_child = { on = 'n1', id = 'a' }")
        .acts("2100 n1 put a n1 n1.1.2\n2100 n3 put a n1 n1.1.2");
    assert_eq!(
        wrong.finds("convergence"),
        ["wrong (timer strategy) @ n2 7241"]
    );
}

#[test]
fn convergence_does_not_look_at_children_named_raw() {
    let raw = hosting().acts(TOLD).step(
        "2s",
        "rows = { on = 'n2', rows = [{ child = 'x', nodes = { n1 = 'p' } }] }",
    );
    assert_eq!(raw.finds("convergence"), NOTHING);
    let lost = raw.acts("15000 n2 drop a n1");
    assert_eq!(lost.finds("convergence").len(), 1, "`a` is looked at");
}

#[test]
fn without_a_quiet_phase_liveness_is_inconclusive() {
    for (at, action, reason) in [
        (
            "18s",
            "sync = { on = 'n1' }",
            "the quiet phase since 18s lasts 2s, and the bound is 5.241s",
        ),
        (
            "3s",
            "pause = { nodes = ['n3'] }",
            "n3 is paused to the end",
        ),
        (
            "3s",
            "cut = { from = ['n2'], to = ['n1'] }",
            "the link from n2 to n1 is cut to the end",
        ),
        (
            "3s",
            "link = { from = ['n2'], to = ['n1'], loss = 0.01 }",
            "the link from n2 to n1 loses messages to the end",
        ),
    ] {
        let stage = hosting().step(at, action);
        assert_eq!(stage.open("convergence").as_deref(), Some(reason));
        assert_eq!(stage.finds("convergence"), NOTHING, "{action}");
    }
    assert_eq!(hosting().open("convergence"), None);
}

#[test]
fn loss_that_a_step_takes_away_leaves_a_quiet_phase() {
    let lossless = "link = { from = ['n1..n3'], to = ['n1..n3'], loss = 0.0 }";
    let stage = hosting().acts(TOLD).network("loss = 0.2");
    let reason = "the link from n1 to n2 loses messages to the end";
    assert_eq!(stage.open("convergence").as_deref(), Some(reason));
    let stage = stage.step("2s", lossless);
    assert_eq!(stage.open("convergence"), None);
    assert_eq!(stage.finds("convergence"), NOTHING);
    let lost = stage.acts("15000 n2 drop a n1");
    assert_eq!(lost.finds("convergence").len(), 1);
}

#[test]
fn no_permanent_ghost_is_about_nodes_that_are_gone_for_good() {
    let stage = Stage::default()
        .step("1s", "start_children = { on = 'n3', ids = ['a'] }")
        .step("3s", "crash = { nodes = ['n3'] }")
        .acts("7000 n1 put a n3 n3.1.1");
    assert_eq!(
        stage.finds("no_permanent_ghost"),
        ["ghost (timer strategy) @ n1 8347"]
    );
    let gone = stage.clone().acts("8347 n1 drop a n3");
    assert_eq!(gone.finds("no_permanent_ghost"), NOTHING);
    let comes_late = gone.acts("15000 n1 put a n3 n3.1.1");
    assert_eq!(
        comes_late.finds("no_permanent_ghost"),
        ["ghost (timer strategy) @ n1 20000"]
    );
    let back = stage.step("4s", "restart = { nodes = ['n3'] }");
    assert_eq!(back.finds("no_permanent_ghost"), NOTHING);
}

/// n3 is silent from 5 s on, and n1 starts `b` at 6 s.
fn silent() -> Stage {
    hosting()
        .acts(TOLD)
        .step("5s", "pause = { nodes = ['n3'] }")
        .step("6s", "start_children = { on = 'n1', ids = ['b'] }")
}

#[test]
fn repair_progress_wants_new_children_at_all_but_the_silent_member() {
    assert_eq!(
        silent().finds("repair_progress"),
        ["absent () @ n2 10040"],
        "4.04 s after the start"
    );
    let told = silent().acts("10040 n2 put b n1 n1.1.2");
    assert_eq!(told.finds("repair_progress"), NOTHING);
    let resumed = silent().step("10s", "resume = { nodes = ['n3'] }");
    assert_eq!(resumed.finds("repair_progress"), NOTHING, "silent no more");
    let down = silent().cluster("down_after = '4s'\ndown_spread = 0.0");
    assert_eq!(down.finds("repair_progress"), NOTHING, "declared down");
    let before = hosting()
        .acts("1100 n3 put a n1 n1.1.1")
        .step("5s", "pause = { nodes = ['n3'] }");
    assert_eq!(before.finds("repair_progress"), NOTHING, "started before");
    let two = silent().step("5s", "pause = { nodes = ['n2'] }");
    assert_eq!(two.finds("repair_progress"), NOTHING, "two are silent");
    let short = silent().step("18s", "start_children = { on = 'n1', ids = ['c'] }");
    let short = short.acts("6100 n2 put b n1 n1.1.2");
    assert_eq!(
        short.open("repair_progress").as_deref(),
        Some("n2 lacks c of n1, but the run ends before the bound")
    );
}

#[test]
fn stability_wants_a_busy_receiver_to_keep_up() {
    let busy = |burst: usize| {
        hosting()
            .network("service_time = '10ms'")
            .puppet(&format!("burst = {burst}\nevery = '1s'"))
    };
    let overloaded = busy(150).finds("stability");
    assert!(!overloaded.is_empty(), "1.5 s of work per second");
    assert!(overloaded[0].starts_with("growth () @ n"), "{overloaded:?}");
    assert_eq!(busy(50).finds("stability"), NOTHING);
    assert_eq!(busy(50).open("stability"), None);
    let short = busy(50).step("15s", "sync = { on = 'n1' }");
    assert!(short.open("stability").is_some());
    let instant = hosting().puppet("burst = 150\nevery = '1s'");
    assert_eq!(instant.finds("stability"), NOTHING, "nobody is ever busy");
}

#[test]
fn clock_independence_blames_a_clock_only_if_it_makes_the_difference() {
    let set_back = "clock = { nodes = ['n2'], jump = '-5s' }";
    let punctual = "2000 n2 punctual put a n1 n1.1.1\n2000 n3 put a n1 n1.1.1";
    let stage = hosting().acts(punctual);
    assert_eq!(stage.finds("clock_independence"), NOTHING);
    let blamed = stage.clone().step("1500ms", set_back);
    assert_eq!(blamed.finds("clock_independence"), ["absent () @ n2 6741"]);
    let behind = "node = [{ names = ['n2'], clock = { jump = '-5s' } }]";
    let wrong_from_the_start = stage.clone().cluster(behind);
    assert_eq!(
        wrong_from_the_start.finds("clock_independence"),
        ["absent () @ n2 6241"]
    );
    let after = stage.step("2500ms", set_back);
    assert_eq!(after.finds("clock_independence"), NOTHING);
    let anyway = hosting().step("1500ms", set_back);
    assert_eq!(anyway.finds("convergence").len(), 2);
    assert_eq!(anyway.finds("clock_independence"), NOTHING);
}

/// All have `a` of n1, and n3 boots again at 4 s.
fn rejoining() -> Stage {
    hosting()
        .acts(TOLD)
        .step("2s", "crash = { nodes = ['n3'] }")
        .step("4s", "restart = { nodes = ['n3'] }")
}

#[test]
fn join_prompt_wants_a_joiner_to_have_what_all_others_had() {
    assert_eq!(
        rejoining().finds("join_prompt"),
        ["absent () @ n3 5245"],
        "1.245 s after the boot"
    );
    let told = rejoining().acts("5245 n3 put a n1 n1.1.1");
    assert_eq!(told.finds("join_prompt"), NOTHING);
    let wrong = rejoining().acts("4100 n3 put a n1 n1.1.0");
    assert_eq!(
        wrong.finds("join_prompt"),
        ["wrong (timer strategy) @ n3 5245"]
    );
    let lost = rejoining().acts("4100 n3 put a n1 n1.1.1\n4200 n3 drop a n1");
    assert_eq!(lost.finds("join_prompt"), NOTHING, "it had it");
    let only_owner = rejoining().acts("3000 n2 drop a n1");
    assert_eq!(only_owner.finds("join_prompt"), NOTHING, "not all had it");
    let short = rejoining()
        .step("17s", "crash = { nodes = ['n3'] }")
        .step("19s", "restart = { nodes = ['n3'] }")
        .acts("5000 n3 put a n1 n1.1.1");
    assert_eq!(
        short.open("join_prompt").as_deref(),
        Some(
            "n3 lacks a of n1 (n1.1.1), which all had when it booted at 19s, \
             but the run ends before the bound"
        )
    );
}

#[test]
fn join_prompt_counts_from_the_last_boot_and_excuses_what_changes_or_disturbs() {
    let later = rejoining()
        .step("3s", "crash = { nodes = ['n2'] }")
        .step("5s", "restart = { nodes = ['n2'] }");
    assert_eq!(
        later.finds("join_prompt"),
        ["absent () @ n3 6245"],
        "n2 may have begun the quiet time anew; n3 had nothing when n2 booted"
    );
    for (at, action) in [
        ("4500ms", "stop_children = { on = 'n1', ids = ['a'] }"),
        ("4500ms", "restart_child = { on = 'n1', id = 'a' }"),
        ("4500ms", "pause = { nodes = ['n2'] }"),
        ("3500ms", "cut = { from = ['n2'], to = ['n1'] }"),
        ("4500ms", "partition = { groups = [['n1'], ['n2', 'n3']] }"),
        (
            "4500ms",
            "link = { from = ['n1'], to = ['n3'], loss = 0.01 }",
        ),
        ("4500ms", "crash = { nodes = ['n2'] }"),
        ("3500ms", "view = { on = 'n1', nodes = ['n1', 'n3'] }"),
        (
            "4500ms",
            "rows = { on = 'n2', rows = [{ child = 'a', nodes = { n1 = 'p' } }] }",
        ),
    ] {
        let excused = rejoining().step(at, action);
        assert_eq!(excused.finds("join_prompt"), NOTHING, "{action}");
    }
    let slower = rejoining().step(
        "4500ms",
        "link = { from = ['n1'], to = ['n3'], order = 'any' }",
    );
    assert_eq!(slower.finds("join_prompt"), ["absent () @ n3 5245"]);
}
