//! The claims of both strategies over generated seeds: none is violated where its condition holds,
//! and each condition holds in at least half of the seeds.
//!
//! All of it: `HUBLAB_SEEDS=20000 cargo test --release -p hublab-sim --test claims -- --nocapture`

mod gauge;
#[path = "seeds/parallel.rs"]
mod parallel;
mod seeds;

use std::collections::BTreeMap;

use hublab_sim::catalog::Catalog;
use hublab_sim::claims::claims_met;
use hublab_sim::generate::{self, generate};
use hublab_sim::run::Simulation;
use hublab_sim::scenario::resolve;
use hublab_sim::watch::oracle::OracleEntry;

use seeds::seeds;

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

/// What became of one.
struct Outcome {
    /// The oracles that the strategy claims to keep there, and whether they could not be judged.
    claimed: Vec<(&'static str, bool)>,
    violation: Option<String>,
}

fn one(seed: u64, strategy: &str, catalog: &Catalog) -> Outcome {
    let entry = catalog.get(strategy).expect("it is in the catalog");
    let scenario = generate(seed, entry, &generate::Options::default()).scenario;
    let resolved = resolve(&scenario, seed, catalog);
    let met = claims_met(entry, &resolved);
    let mut claimed: Vec<&str> = met.iter().map(|claim| claim.oracle).collect();
    claimed.sort_unstable();
    claimed.dedup();
    let oracles = claimed.iter().filter_map(|name| catalog.oracle(name));
    let oracles = oracles.map(OracleEntry::make);
    let report = Simulation::new(&resolved, catalog)
        .strategy(strategy)
        .expect("it runs")
        .seed(seed)
        .oracles(oracles)
        .budget(1_000_000)
        .run()
        .expect("it runs");
    let is_open = |name| report.inconclusive.iter().any(|one| one.oracle == name);
    let first = report.violations.first();
    Outcome {
        claimed: claimed
            .into_iter()
            .map(|name| (name, is_open(name)))
            .collect(),
        violation: first.map(|first| format!("seed {seed}: {first:?}")),
    }
}

fn over(seeds: u64, strategy: &str) -> Tally {
    let catalog = Catalog::default();
    let mut tally = Tally::default();
    for outcome in parallel::each(0..seeds, |seed| one(seed, strategy, &catalog)) {
        tally.runs += 1;
        for (name, is_open) in outcome.claimed {
            *tally.met.entry(name).or_default() += 1;
            *tally.inconclusive.entry(name).or_default() += u64::from(is_open);
        }
        tally.violations.extend(outcome.violation);
    }
    tally
}

#[test]
fn no_claim_is_violated_and_each_condition_of_a_port_is_met_by_half_of_the_seeds() {
    gauge::install();
    let catalog = Catalog::default();
    for entry in catalog.entries() {
        let tally = over(seeds(150), entry.name());
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
                !entry.is_default() || met * 2 >= tally.runs,
                "{} of {}: {met} of {} seeds",
                claim.oracle,
                entry.name(),
                tally.runs
            );
        }
        let first = tally.violations.len().min(20);
        let shown = tally.violations[..first].join("\n");
        assert!(
            tally.violations.is_empty(),
            "{}: {} seeds\n{shown}",
            entry.name(),
            tally.violations.len()
        );
    }
}
