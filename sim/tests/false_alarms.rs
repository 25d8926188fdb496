//! No oracle cries wolf: over many generated seeds, with every oracle on, a strategy that is told
//! the truth in each step violates nothing.
//!
//! All of it: `HUBLAB_SEEDS=100000 cargo test --release -p hublab-sim --test false_alarms -- --nocapture`

#[path = "seeds/parallel.rs"]
mod parallel;
mod reference;
mod seeds;

use hublab_sim::catalog::Catalog;
use hublab_sim::generate::{self, generate};
use hublab_sim::run::{Options, run};
use hublab_sim::watch::oracle;

use reference::{NAME, Reference};
use seeds::seeds;

/// What became of a seed.
struct Outcome {
    events: u64,
    is_inconclusive: bool,
    violation: Option<String>,
}

fn one(seed: u64, catalog: &Catalog) -> Outcome {
    let entry = catalog.get(NAME).expect("it is in this catalog");
    let scenario = generate(seed, entry, &generate::Options::default()).scenario;
    let options = Options {
        oracles: oracle::all(),
        budget: 1_000_000,
        ..Options::default()
    };
    let report = run(&scenario, NAME, seed, catalog, options)
        .expect("it runs")
        .report;
    let first = report.violations.first();
    Outcome {
        events: report.events,
        is_inconclusive: !report.inconclusive.is_empty(),
        violation: first.map(|first| format!("seed {seed}: {first:?}")),
    }
}

#[test]
fn a_strategy_that_is_told_the_truth_violates_no_oracle() {
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
    assert!(inconclusive * 5 < runs, "{inconclusive} of {runs}");
}
