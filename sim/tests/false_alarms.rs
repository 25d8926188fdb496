//! No oracle gives false alarms: over many generated seeds, with every oracle on, a strategy that is
//! told the truth in each step violates nothing, and the oracles come to a verdict.
//!
//! All of it: `HUBLAB_SEEDS=100000 cargo test --release -p hublab-sim --test false_alarms -- --nocapture`

mod gauge;
#[path = "seeds/parallel.rs"]
mod parallel;
mod reference;
mod seeds;

use hublab_sim::catalog::Catalog;
use hublab_sim::generate::{self, generate};
use hublab_sim::run::Simulation;
use hublab_sim::scenario::Scenario;
use hublab_sim::watch::judge::Verdict;
use hublab_sim::watch::oracle;

use reference::{NAME, Reference};
use seeds::seeds;

/// The result of a seed.
struct Outcome {
    events: u64,
    is_inconclusive: bool,
    violation: Option<String>,
}

fn one(seed: u64, catalog: &Catalog) -> Outcome {
    let entry = catalog.get(NAME).expect("it is in this catalog");
    let scenario = generate(seed, entry, &generate::Options::default()).scenario;
    let report = Simulation::new(&scenario, catalog)
        .strategy(NAME)
        .expect("it runs")
        .seed(seed)
        .oracles(oracle::all())
        .budget(1_000_000)
        .run()
        .expect("it runs");
    let first = report.violations.first();
    Outcome {
        events: report.events,
        is_inconclusive: !report.inconclusive.is_empty(),
        violation: first.map(|first| format!("seed {seed}: {first:?}")),
    }
}

#[test]
fn a_strategy_that_is_told_the_truth_violates_no_oracle() {
    gauge::install();
    let catalog = Catalog::empty().with_entry(Box::new(Reference));
    let all = parallel::each(0..seeds(300), |seed| one(seed, &catalog));
    let events: u64 = all.iter().map(|outcome| outcome.events).sum();
    let inconclusive = all.iter().filter(|outcome| outcome.is_inconclusive).count();
    let violations: Vec<&str> = all
        .iter()
        .filter_map(|outcome| outcome.violation.as_deref())
        .collect();
    let runs = all.len();
    println!(
        "{runs} runs, {} violations, {inconclusive} inconclusive, {events} events",
        violations.len()
    );
    let first = violations.len().min(20);
    let shown = violations[..first].join("\n");
    assert!(
        violations.is_empty(),
        "{} seeds:\n{shown}",
        violations.len()
    );
    // An end behind a cut is noticed by silence alone, for which some runs are too short.
    assert!(inconclusive * 10 < runs, "{inconclusive} of {runs}");
}

#[test]
fn replicas_with_different_metadata_are_right_where_entries_keep_their_own() {
    let catalog = Catalog::default().with_entry(Box::new(Reference));
    let text = include_str!("reports/c02-replica-metadata.toml");
    let scenario = Scenario::read("c02.toml", text.as_bytes(), &catalog).expect("it is right");
    let verdicts = |strategy: &str| -> Vec<Verdict> {
        let report = Simulation::new(&scenario, &catalog)
            .strategy(strategy)
            .expect("it runs")
            .seed(0)
            .oracles(oracle::all())
            .run()
            .expect("it runs");
        let judged = report.expectations.iter();
        judged.map(|expectation| expectation.verdict).collect()
    };
    assert_eq!(verdicts(NAME), [Verdict::Pass; 3]);
    // The ports' rows have one place for metadata.
    assert_eq!(verdicts("pubsub")[2], Verdict::Fail);
}
