//! Whatever a strategy does, it ends its runs with a reason, and never the comparison.

use std::fs;

use crate::place::Place;

pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "strategies_that_misbehave_end_their_runs_of_a_comparison_only",
        strategies_that_misbehave_end_their_runs_of_a_comparison_only,
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
             --wall-limit 1s --memory 300 --jobs 2 --out out"
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

fn a_bug_ends_a_comparison_with_its_number() {
    let place = Place::new();
    let strategies = "--strategy pubsub --strategy stillborn";
    let told = place.expect(
        &format!("compare {FILE} --seeds 0..2 {strategies} --out out"),
        70,
    );
    assert!(told.contains("never began"), "{told}");
}
