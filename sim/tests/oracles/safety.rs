//! What must hold at every instant.

use hublab_sim::trace::Payload;

use super::{Stage, hosting};

const NOTHING: [&str; 0] = [];

#[test]
fn own_truth_is_about_what_runs_and_its_own_node() {
    let lost = hosting().acts("2000 n1 drop a n1");
    assert_eq!(
        lost.finds("own_truth"),
        ["absent (timer strategy) @ n1 2000"]
    );
    let wrong = hosting().acts("2000 n1 put a n1 n1.1.9");
    assert_eq!(
        wrong.finds("own_truth"),
        ["wrong (timer strategy) @ n1 2000"]
    );
    let stopped = lost.step("1500ms", "stop_children = { on = 'n1', ids = ['a'] }");
    assert_eq!(stopped.finds("own_truth"), NOTHING);
    let elsewhere = hosting().acts("1100 n2 put a n1 n1.1.1\n2000 n2 drop a n1");
    assert_eq!(elsewhere.finds("own_truth"), NOTHING);
}

#[test]
fn a_violation_names_the_event_that_made_it() {
    let lost = hosting().acts("2000 n1 drop a n1");
    let (report, trace) = lost.traced();
    let found = report.violations.iter();
    let found: Vec<_> = found.filter(|found| found.oracle == "own_truth").collect();
    let event = found[0].event.expect("an event made it");
    let id = usize::try_from(event).expect("a short trace") - 1;
    assert!(matches!(&trace[id].payload, Payload::Row { child, .. } if child.as_str() == "a"));
    assert_eq!(trace[id].at.0, found[0].at_us);
}

#[test]
fn own_truth_does_not_look_at_children_named_in_raw_requests() {
    let lost = hosting().acts("2000 n1 drop a n1").step(
        "10s",
        "propagate = { from = 'n2', requests = [{ unregister = [{ child = 'a', nodes = ['n1'] }] }] }",
    );
    assert_eq!(lost.finds("own_truth"), NOTHING);
}

#[test]
fn single_writer_is_about_messages_of_others_and_own_entries() {
    let removed = hosting().acts("2000 n2 tell n1 drop a n1");
    let cause = "(deliver puppet.tell) @ n1 2005";
    assert_eq!(removed.finds("single_writer"), [format!("absent {cause}")]);
    let changed = hosting().acts("2000 n2 tell n1 put a n1 p");
    assert_eq!(changed.finds("single_writer"), [format!("wrong {cause}")]);
    let added = hosting().acts("2000 n2 tell n1 put b n1 p");
    assert_eq!(added.finds("single_writer"), [format!("ghost {cause}")]);
    for harmless in [
        "2000 n1 tell n1 drop a n1",
        "2000 n1 drop a n1",
        "2000 n2 tell n1 put a n1 n1.1.1 2",
        "2000 n2 tell n1 put a n2 n2.1.1",
    ] {
        let stage = hosting().acts(harmless);
        assert_eq!(stage.finds("single_writer"), NOTHING, "{harmless}");
    }
    let asked = Stage::default()
        .step(
            "1s",
            "start_children = { on = 'n1', ids = ['a'], via = 'n2' }",
        )
        .step(
            "2s",
            "stop_children = { on = 'n1', ids = ['a'], via = 'n3' }",
        );
    assert_eq!(asked.finds("single_writer"), NOTHING);
}

#[test]
fn no_invention_wants_every_pid_to_have_run_there_as_that_child() {
    let stage = hosting().step("1s", "start_children = { on = 'n1', ids = ['b'] }");
    let ghost = ["ghost (timer strategy) @ n2 2000"];
    for invented in [
        "2000 n2 put a n1 n1.1.7",
        "2000 n2 put a n2 n1.1.1",
        "2000 n2 put b n1 n1.1.1",
        "2000 n2 put a stranger n1.1.1",
    ] {
        let stage = stage.clone().acts(invented);
        assert_eq!(stage.finds("no_invention"), ghost, "{invented}");
    }
    let late = stage
        .acts("3000 n2 put a n1 n1.1.1")
        .step("2s", "stop_children = { on = 'n1', ids = ['a'] }");
    assert_eq!(late.finds("no_invention"), NOTHING, "it was true once");
    let early = hosting().acts("900 n2 put a n1 n1.1.1");
    assert_eq!(
        early.finds("no_invention"),
        ["ghost (timer strategy) @ n2 900"]
    );
}

#[test]
fn metadata_agreement_wants_what_the_owner_gave() {
    let start = |on: &str, version: &str| {
        format!("start_children = {{ on = '{on}', ids = ['a'], metadata = {{ v = '{version}' }} }}")
    };
    let stage = Stage::default()
        .step("1s", &start("n1", "1"))
        .step("2s", &start("n1", "2"));
    let wrong = ["wrong metadata (timer strategy) @ n2 3000"];
    for (act, found) in [
        ("3000 n2 put a n1 n1.1.2 2", &[][..]),
        ("3000 n2 put a n1 n1.1.2 1", &[]),
        ("3000 n2 put a n1 n1.1.2 3", &wrong),
        ("3000 n2 put a n1 n1.1.2", &wrong),
        (
            "2500 n2 put a n1 n1.1.2 2\n3000 n2 put a n1 n1.1.2 3",
            &wrong,
        ),
    ] {
        let stage = stage.clone().acts(act);
        assert_eq!(stage.finds("metadata_agreement"), found, "{act}");
    }
    let replicas = Stage::default()
        .step("1s", &start("n1", "1"))
        .step("1s", &start("n2", "2"))
        .acts("2000 n3 put a n1 n1.1.1 1\n3000 n3 put a n2 n2.1.1 2");
    assert_eq!(
        replicas.finds("metadata_agreement"),
        ["wrong metadata (timer strategy) @ n3 3000"],
        "a row has one place for metadata, and the entry of n1 has those of n2 now"
    );
}

/// `a` is at n2, stops at 2 s, and n2 drops it at 2.1 s.
fn buried() -> Stage {
    hosting()
        .acts("1100 n2 put a n1 n1.1.1\n2100 n2 drop a n1")
        .step("2s", "stop_children = { on = 'n1', ids = ['a'] }")
}

#[test]
fn no_resurrection_is_about_the_dead_that_were_lost() {
    let back = buried().acts("3000 n2 put a n1 n1.1.1");
    let ghost = ["ghost (timer strategy) @ n2 3000"];
    assert_eq!(back.finds("no_resurrection"), ghost);
    let replaced = hosting()
        .step("2s", "restart_child = { on = 'n1', id = 'a' }")
        .acts("1100 n2 put a n1 n1.1.1\n2100 n2 put a n1 n1.1.2\n3000 n2 put a n1 n1.1.1");
    assert_eq!(replaced.finds("no_resurrection"), ghost);
    let alive =
        hosting().acts("1100 n2 put a n1 n1.1.1\n1500 n2 drop a n1\n3000 n2 put a n1 n1.1.1");
    assert_eq!(alive.finds("no_resurrection"), NOTHING);
    let died_meanwhile = alive.step("2s", "stop_children = { on = 'n1', ids = ['a'] }");
    assert_eq!(died_meanwhile.finds("no_resurrection"), ghost);
    let late = hosting()
        .acts("3000 n2 put a n1 n1.1.1")
        .step("2s", "stop_children = { on = 'n1', ids = ['a'] }");
    assert_eq!(late.finds("no_resurrection"), NOTHING, "it never was there");
    let lingers = hosting()
        .acts("1100 n2 put a n1 n1.1.1\n3000 n2 put b n1 n1.1.1")
        .step("2s", "stop_children = { on = 'n1', ids = ['a'] }");
    assert_eq!(lingers.finds("no_resurrection"), NOTHING);
}

#[test]
fn no_resurrection_excuses_what_forgot_and_what_was_apart() {
    let back = buried().acts("9000 n2 put a n1 n1.1.1");
    assert_eq!(back.finds("no_resurrection").len(), 1);
    let rebooted = back
        .clone()
        .step("3s", "crash = { nodes = ['n2'] }")
        .step("4s", "restart = { nodes = ['n2'] }");
    assert_eq!(rebooted.finds("no_resurrection"), NOTHING);
    let cut = |heal: &str| {
        let cut =
            format!("partition = {{ groups = [['n1', 'n3'], ['n2']], heal_after = '{heal}' }}");
        back.clone().step("3s", &cut)
    };
    assert_eq!(
        cut("4s").finds("no_resurrection"),
        NOTHING,
        "healed at 7 s, excused until 10.105 s"
    );
    assert_eq!(cut("2s").finds("no_resurrection").len(), 1, "until 8.105 s");
}

#[test]
fn no_false_absence_is_about_the_living_and_connected() {
    let stage = hosting()
        .cluster("down_after = '1s'\ndown_spread = 0.0")
        .acts("1100 n2 put a n1 n1.1.1\n5000 n2 drop a n1");
    assert_eq!(
        stage.finds("no_false_absence"),
        ["absent (timer strategy) @ n2 5000"]
    );
    let replaced = hosting().acts("1100 n2 put a n1 n1.1.1\n5000 n2 put a n1 p");
    assert_eq!(replaced.finds("no_false_absence").len(), 1);
    for (at, excuse) in [
        ("4s", "stop_children = { on = 'n1', ids = ['a'] }"),
        ("4s", "restart_child = { on = 'n1', id = 'a' }"),
        ("4s", "crash = { nodes = ['n1'] }"),
        ("3500ms", "partition = { groups = [['n1'], ['n2', 'n3']] }"),
        (
            "2s",
            "partition = { groups = [['n1'], ['n2', 'n3']], heal_after = '2s' }",
        ),
    ] {
        let stage = stage.clone().step(at, excuse);
        assert_eq!(stage.finds("no_false_absence"), NOTHING, "{excuse}");
    }
    let brief = "partition = { groups = [['n1'], ['n2', 'n3']], heal_after = '500ms' }";
    let brief = stage.step("4s", brief);
    assert_eq!(brief.finds("no_false_absence").len(), 1, "never down");
}

#[test]
fn what_falls_with_a_node_declared_down_is_no_false_absence() {
    // n3 hears of the silence, and its hub removes n1's entries when its debounce is over.
    let down = hosting()
        .cluster("down_after = '1s'\ndown_spread = 0.0")
        .acts("1100 n3 put a n1 n1.1.1")
        .step("3s", "partition = { groups = [['n1'], ['n2', 'n3']] }");
    assert_eq!(down.finds("no_false_absence"), NOTHING);
}

#[test]
fn membership_containment_counts_from_the_later_of_departure_and_arrival() {
    let stage = Stage::default()
        .step("1s", "start_children = { on = 'n3', ids = ['a'] }")
        .step("3s", "crash = { nodes = ['n3'] }")
        .acts("7000 n1 put a n3 n3.1.1");
    let found = stage.finds("membership_containment");
    assert_eq!(found, ["ghost (timer strategy) @ n1 8105"]);
    let gone = stage.clone().acts("8105 n1 drop a n3");
    assert_eq!(gone.finds("membership_containment"), NOTHING);
    let back = stage.step("7s", "restart = { nodes = ['n3'] }");
    assert_eq!(back.finds("membership_containment"), NOTHING);
}

#[test]
fn membership_containment_waits_for_a_paused_observer() {
    let stage = Stage::default()
        .step("1s", "start_children = { on = 'n3', ids = ['a'] }")
        .step("3s", "crash = { nodes = ['n3'] }")
        .step("7500ms", "pause = { nodes = ['n1'] }")
        .step("11s", "resume = { nodes = ['n1'] }")
        .acts("7000 n1 put a n3 n3.1.1");
    assert_eq!(
        stage.finds("membership_containment"),
        ["ghost (timer strategy) @ n1 12105"]
    );
}

#[test]
fn unique_entry_wants_each_node_once_in_a_row() {
    let twice = hosting().acts("2000 n2 twice a n1 n1.1.1");
    assert_eq!(
        twice.finds("unique_entry"),
        ["duplicate (timer strategy) @ n2 2000"]
    );
    let once = hosting().acts("2000 n2 put a n1 n1.1.1\n2100 n2 put a n2 n2.1.1");
    assert_eq!(once.finds("unique_entry"), NOTHING);
}

#[test]
fn bounded_state_wants_a_reason_for_what_is_remembered() {
    let hoard = hosting().acts("9000 n2 remember 200");
    assert_eq!(hoard.finds("bounded_state"), ["references () @ n2 9000"]);
    let spare = hosting().acts("9000 n2 remember 8");
    assert_eq!(spare.finds("bounded_state"), NOTHING);
    let rows: Vec<String> = (0..12)
        .map(|child| format!("9000 n2 put c{child} n1 p"))
        .collect();
    let rows = hosting().acts(&rows.join("\n"));
    assert_eq!(rows.finds("bounded_state"), ["rows () @ n2 9000"]);
}

#[test]
fn no_crash_tells_what_was_handled() {
    let panic = hosting().acts("2000 n2 tell n3 panic");
    assert_eq!(
        panic.finds("no_crash"),
        ["panic (deliver puppet.tell) @ n3 2005"]
    );
    assert_eq!(hosting().finds("no_crash"), NOTHING);
}
