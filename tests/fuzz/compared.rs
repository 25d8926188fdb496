//! Whatever a strategy does, it ends its runs with a reason, and never the comparison.

use std::fs;

use crate::place::Place;
use crate::robust::disturbed;

pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "strategies_that_misbehave_end_their_runs_of_a_comparison_only",
        strategies_that_misbehave_end_their_runs_of_a_comparison_only,
    ),
    (
        "what_kills_workers_from_outside_changes_no_outcome",
        what_kills_workers_from_outside_changes_no_outcome,
    ),
    (
        "a_bug_ends_a_comparison_with_its_number",
        a_bug_ends_a_comparison_with_its_number,
    ),
];

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/first-join.toml");

fn strategies_that_misbehave_end_their_runs_of_a_comparison_only() {
    let place = Place::new();
    let names = ["pubsub", "gossip", "deep", "endless", "greedy", "nervous"];
    let strategies = names.map(|name| format!("--strategy {name}")).join(" ");
    let told = place.expect(
        &format!(
            "compare {FILE} --seeds 0..6 {strategies} --endpoint bytes_sent \
             --wall-limit 1s --memory 300 --jobs 3 --out out"
        ),
        3,
    );
    assert!(
        told.contains("24 runs did not come to an end; their cells are not compared"),
        "{told}"
    );
    assert!(told.contains("gossip: 0 better, 1 worse"), "{told}");
    let runs = fs::read_to_string(place.path("out/runs.csv")).expect("runs");
    for (strategy, reason) in [
        ("pubsub", ""),
        ("gossip", ""),
        ("deep", "its worker died: signal: 6 (SIGABRT)"),
        (
            "endless",
            "it took longer than 1s of real time (--wall-limit)",
        ),
        ("greedy", "memory allocation of"),
        ("nervous", "the strategy panicked at"),
    ] {
        let own = runs
            .lines()
            .filter(|line| line.contains(&format!(",{strategy},")));
        let own: Vec<&str> = own.collect();
        assert_eq!(own.len(), 6, "{runs}");
        for line in own {
            assert_eq!(reason.is_empty(), line.ends_with(','), "{line}");
            assert!(line.contains(reason), "{line}");
        }
    }
}

fn what_kills_workers_from_outside_changes_no_outcome() {
    let place = Place::new();
    let memory = 7_000 + u64::from(std::process::id() % 1_000);
    let strategies = "--strategy pubsub --strategy gossip --endpoint bytes_sent";
    let comparison = format!("compare {FILE} --seeds 0..600 {strategies} --jobs 2");
    let child = place.start(&format!("{comparison} --memory {memory} --out killed"));
    let output = disturbed(child, memory);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(
        err.contains("worker was killed (signal 9): ") && err.contains(" is made again"),
        "{err}"
    );
    place.expect(&format!("{comparison} --out whole"), 0);
    for name in ["outcomes.ndjson", "runs.csv", "summary.md"] {
        let [killed, whole] = ["killed", "whole"].map(|out| fs::read(place.path(out).join(name)));
        assert!(killed.expect("a file") == whole.expect("a file"), "{name}");
    }
}

fn a_bug_ends_a_comparison_with_its_number() {
    let place = Place::new();
    let strategies = "--strategy pubsub --strategy stillborn";
    let told = place.expect(
        &format!("compare {FILE} --seeds 0..2 {strategies} --out out"),
        70,
    );
    assert!(told.contains("never began"), "{told}");
}
