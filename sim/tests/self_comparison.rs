//! A strategy compared with itself, on other seeds: a comparison says seldom that one is better.

#[path = "seeds/parallel.rs"]
mod parallel;

use hublab_sim::catalog::Catalog;
use hublab_sim::compare::{Outcome, analyze, cells};
use hublab_sim::run::Simulation;
use hublab_sim::scenario::Scenario;
use hublab_sim::scenario::plan::Plan;
use hublab_sim::statistics::Verdict;

const PLAN: &str = r#"
schema = 1
name = "itself"
scenarios = ["steady.toml"]
seeds = "0..20"
strategies = ["pubsub", { name = "again", strategy = "pubsub" }]
baseline = "pubsub"
"#;

const SCENARIO: &str = r#"
schema = 1
[run]
duration = "40s"
[cluster]
nodes = 4
[network]
loss = 0.05
[strategy.pubsub]
sync_interval = "5s"
[[step]]
at = "5s"
every = "1s"
times = 15
start_children = { on = { random = 1, of = "all" }, count = 1, prefix = "job" }
"#;

const REPETITIONS: u64 = 200;
const SEEDS: u64 = 20;
/// Between the seeds of the two sides.
const APART: u64 = 1_000_000;

/// Holm's procedure errs in at most 5 of 100 comparisons: of 200, 10, and more than 18 in fewer than 1 of
/// 100 such series.
#[test]
fn of_200_comparisons_with_itself_at_most_18_show_a_difference() {
    let catalog = Catalog::default();
    let plan = Plan::read("plan.toml", PLAN.as_bytes(), &catalog).expect("a plan");
    let scenario = Scenario::read("steady.toml", SCENARIO.as_bytes(), &catalog).expect("a file");
    let cells = cells(&plan, 1);
    let outcome = |seed: u64| {
        let report = Simulation::new(&scenario, &catalog)
            .strategy("pubsub")
            .expect("a port")
            .seed(seed)
            .run()
            .expect("it runs");
        Outcome::of(&report, &scenario)
    };
    let differ = parallel::each(0..REPETITIONS, |repetition| {
        let first = repetition * SEEDS;
        let side = |first: u64| (first..first + SEEDS).map(outcome).collect::<Vec<_>>();
        let sides = [side(first), side(first + APART)];
        let analysis = analyze(&plan, &cells, &catalog, |_, contestant| &sides[contestant]);
        assert_eq!(analysis.tests, 4);
        assert!(!analysis.is_descriptive);
        let is_shown = |verdict| matches!(verdict, Verdict::Better | Verdict::Worse);
        analysis.tested().any(|(_, test)| is_shown(test.verdict))
    });
    let shown = differ.iter().filter(|shown| **shown).count();
    println!("{shown} of {REPETITIONS} comparisons show a difference");
    assert!(shown <= 18, "{shown}");
    // A comparison that never shows one would not be a test of its own.
    assert!(shown > 0, "none");
}
