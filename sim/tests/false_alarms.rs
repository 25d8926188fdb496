//! No oracle cries wolf: over many generated seeds, with every oracle on, a strategy that is told
//! the truth in each step violates nothing.
//!
//! All of it: `HUBLAB_SEEDS=100000 cargo test --release -p hublab-sim --test false_alarms -- --nocapture`

mod reference;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use hublab_sim::catalog::Catalog;
use hublab_sim::generate::{self, generate};
use hublab_sim::oracle;
use hublab_sim::report::Report;
use hublab_sim::run::{Options, run};

use reference::{NAME, Reference};

fn one(seed: u64, catalog: &Catalog) -> Report {
    let entry = catalog.get(NAME).expect("it is in this catalog");
    let scenario = generate(seed, entry, &generate::Options::default()).scenario;
    let options = Options {
        oracles: oracle::all(),
        budget: 1_000_000,
        ..Options::default()
    };
    run(&scenario, NAME, seed, catalog, options)
        .expect("it runs")
        .report
}

/// What became of many seeds.
#[derive(Debug, Default)]
struct Tally {
    runs: u64,
    inconclusive: u64,
    events: u64,
    /// One per seed, in any order.
    violations: Vec<String>,
}

#[test]
fn a_strategy_that_is_told_the_truth_violates_no_oracle() {
    let wanted = std::env::var("HUBLAB_SEEDS").ok();
    let seeds: u64 = wanted.and_then(|text| text.parse().ok()).unwrap_or(300);
    let (next, tally) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    let work = || {
        let catalog = Catalog::empty().with_entry(Box::new(Reference));
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return;
            }
            let report = one(seed, &catalog);
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.runs += 1;
            tally.events += report.events;
            tally.inconclusive += u64::from(!report.inconclusive.is_empty());
            tally.violations.extend(
                report
                    .violations
                    .first()
                    .map(|first| format!("seed {seed}: {first:?}")),
            );
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} runs, {} violations, {} inconclusive, {} events",
        tally.runs,
        tally.violations.len(),
        tally.inconclusive,
        tally.events
    );
    let shown = tally
        .violations
        .iter()
        .take(20)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        tally.violations.is_empty(),
        "{} seeds:\n{shown}",
        tally.violations.len()
    );
    assert!(tally.inconclusive * 10 < tally.runs, "{tally:?}");
}
