//! Memory: a process that makes many runs does not grow. In a binary of its own, because what it
//! measures is the whole process.
#![cfg(target_os = "linux")]

use hublab_sim::catalog::Catalog;
use hublab_sim::run::Simulation;
use hublab_sim::scenario::Scenario;

/// Runs before the first look: thread stacks, allocator pools and process globals are there.
const WARM_UP: u64 = 200;
/// Runs between the two looks.
const RUNS: u64 = 1_000;
/// What the process may grow by between them, in bytes.
const GROWTH_MAX: u64 = 4 << 20;

const SCENARIO: &str = r#"
schema = 1
[run]
duration = "60s"
[cluster]
nodes = 5
[[step]]
at = "1s"
start_children = { on = "n1", count = 10, prefix = "a" }
[[step]]
at = "20s"
start_children = { on = "n2", count = 10, prefix = "b", replicas = ["n3"] }
[[step]]
at = "25s"
crash = { nodes = ["n5"] }
[[step]]
at = "40s"
stop_children = { on = "n1", count = 5, prefix = "a" }
[[step]]
at = "41s"
restart = { nodes = ["n5"] }
"#;

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    /// The unit of `statm` on every platform that hublab is tested on.
    const PAGE: u64 = 4_096;
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages = statm
        .split_whitespace()
        .nth(1)
        .expect("the second number is the resident set");
    pages.parse::<u64>().expect("a number") * PAGE
}

#[test]
fn a_thousand_runs_leave_nothing_behind() {
    let catalog = Catalog::default();
    let scenario =
        Scenario::read("memory.toml", SCENARIO.as_bytes(), &catalog).expect("a good file");
    let make_runs = |seeds: std::ops::Range<u64>| {
        for seed in seeds {
            let report = Simulation::new(&scenario, &catalog)
                .strategy("pubsub")
                .expect("a known strategy")
                .seed(seed)
                .run()
                .expect("a known strategy");
            assert!(
                report.messages.delivered > 100,
                "something happens in a run"
            );
        }
    };
    make_runs(0..WARM_UP);
    let before = resident();
    make_runs(WARM_UP..WARM_UP + RUNS);
    let grown = resident().saturating_sub(before);
    println!(
        "{RUNS} runs: {} KiB resident, grown by {} KiB",
        before >> 10,
        grown >> 10
    );
    assert!(grown < GROWTH_MAX, "grown by {} KiB", grown >> 10);
}
