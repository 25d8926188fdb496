//! The claims of both strategies over generated seeds: none is violated where its condition holds,
//! and each condition holds in at least half of the seeds.
//!
//! All of it: `HUBLAB_SEEDS=20000 cargo test --release -p hublab-sim --test claims -- --nocapture`

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use hublab_sim::catalog::Catalog;
use hublab_sim::generate::{self, generate};
use hublab_sim::oracle;
use hublab_sim::run::{Options, run};
use hublab_sim::scenario::features::claims_met;
use hublab_sim::scenario::resolve;

/// What became of many seeds with one strategy.
#[derive(Debug, Default)]
struct Tally {
    runs: u64,
    /// By oracle, in how many seeds a condition of it was met.
    met: BTreeMap<&'static str, u64>,
    /// By oracle, in how many of those it could not be judged.
    inconclusive: BTreeMap<&'static str, u64>,
    violations: Vec<String>,
}

impl Tally {
    fn take(&mut self, seed: u64, strategy: &str, catalog: &Catalog) {
        let entry = catalog.get(strategy).expect("it is in the catalog");
        let scenario = generate(seed, entry, &generate::Options::default()).scenario;
        let resolved = resolve(&scenario, seed, catalog);
        let mut claimed: Vec<&str> = claims_met(entry, &resolved)
            .iter()
            .map(|claim| claim.oracle)
            .collect();
        claimed.sort_unstable();
        claimed.dedup();
        let oracles = claimed
            .iter()
            .filter_map(|name| oracle::by_name(name))
            .collect();
        let options = Options {
            oracles,
            budget: 1_000_000,
            ..Options::default()
        };
        let report = run(&resolved, strategy, seed, catalog, options)
            .expect("it runs")
            .report;
        self.runs += 1;
        for name in claimed {
            *self.met.entry(name).or_default() += 1;
            let open = report.inconclusive.iter().any(|one| one.oracle == name);
            *self.inconclusive.entry(name).or_default() += u64::from(open);
        }
        if let Some(first) = report.violations.first() {
            self.violations.push(format!("seed {seed}: {first:?}"));
        }
    }

    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        for (name, count) in other.met {
            *self.met.entry(name).or_default() += count;
        }
        for (name, count) in other.inconclusive {
            *self.inconclusive.entry(name).or_default() += count;
        }
        self.violations.extend(other.violations);
    }
}

fn over(seeds: u64, strategy: &str) -> Tally {
    let (next, all) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    let work = || {
        let (catalog, mut tally) = (Catalog::default(), Tally::default());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                break;
            }
            tally.take(seed, strategy, &catalog);
        }
        all.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(tally);
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn no_claim_is_violated_and_each_condition_is_met_by_half_of_the_seeds() {
    let wanted = std::env::var("HUBLAB_SEEDS").ok();
    let seeds: u64 = wanted.and_then(|text| text.parse().ok()).unwrap_or(150);
    let catalog = Catalog::default();
    for entry in catalog.entries() {
        let tally = over(seeds, entry.name());
        println!(
            "{}: {} runs, {} violations of claims",
            entry.name(),
            tally.runs,
            tally.violations.len()
        );
        for claim in entry.claims() {
            let (met, open) = (
                tally.met.get(claim.oracle),
                tally.inconclusive.get(claim.oracle),
            );
            let (met, open) = (met.copied().unwrap_or(0), open.copied().unwrap_or(0));
            println!(
                "  {:<24} met by {met}, of which {open} inconclusive",
                claim.oracle
            );
            assert!(
                met * 2 >= tally.runs,
                "{} of {}: {met} of {} seeds",
                claim.oracle,
                entry.name(),
                tally.runs
            );
        }
        let shown = tally
            .violations
            .iter()
            .take(20)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n");
        assert!(
            tally.violations.is_empty(),
            "{}: {} seeds\n{shown}",
            entry.name(),
            tally.violations.len()
        );
    }
}
