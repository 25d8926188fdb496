//! What generated scenarios are like: everything occurs, nothing runs away, and they are the same
//! for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use hublab_sim::catalog::Catalog;
use hublab_sim::generate::{Family, Generated, Options, generate, scenarios, together};
use hublab_sim::run::{self, run};
use hublab_sim::scenario::{Scenario, Style, render};
use proptest::prelude::*;

/// How many seeds a test takes: `HUBLAB_SEEDS`, or this many.
fn seeds(default: u64) -> u64 {
    let wanted = std::env::var("HUBLAB_SEEDS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn generated(seed: u64, strategy: &str, options: &Options) -> Generated {
    let catalog = Catalog::default();
    generate(seed, catalog.get(strategy).expect("a strategy of the catalog"), options)
}

#[test]
fn every_step_kind_and_every_family_occurs_within_a_thousand_seeds() {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    let mut families: BTreeMap<Family, u64> = BTreeMap::new();
    let mut sizes: BTreeMap<usize, u64> = BTreeMap::new();
    for seed in 0..seeds(1_000).max(1_000) {
        let generated = generated(seed, "pubsub", &Options::default());
        *sizes.entry(generated.scenario.cluster.nodes.len()).or_default() += 1;
        for family in generated.families {
            *families.entry(family).or_default() += 1;
        }
        let names: BTreeSet<&str> = generated.scenario.steps.iter().map(|step| step.action.name()).collect();
        for name in names {
            *kinds.entry(name).or_default() += 1;
        }
    }
    println!("nodes: {sizes:?}\nseeds with a step: {kinds:?}\nseeds with a family: {families:?}");
    assert_eq!(kinds.len(), 19, "{kinds:?}");
    assert_eq!(families.len(), Family::ALL.len(), "{families:?}");
    assert!((2..=7).all(|size| sizes.contains_key(&size)) && sizes.keys().any(|size| *size > 7));
}

#[test]
fn runs_of_generated_scenarios_stay_far_below_the_event_budget() {
    const BUDGET: u64 = 1_000_000;
    let catalog = Catalog::default();
    for strategy in catalog.names() {
        let (begun, count) = (Instant::now(), seeds(100));
        let (mut events, mut most) = (0, 0);
        for seed in 0..count {
            let scenario = generated(seed, strategy, &Options::default()).scenario;
            let options = run::Options { budget: BUDGET, ..run::Options::default() };
            let report = run(&scenario, strategy, seed, &catalog, options).expect("it runs").report;
            events += report.events;
            most = most.max(report.events);
        }
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{strategy}: {count} runs, {} events per run, at most {most}, {:.0} runs/s, {:.0} events/s",
            events / count,
            f64::from(u32::try_from(count).expect("few")) / seconds,
            f64::from(u32::try_from(events).unwrap_or(u32::MAX)) / seconds,
        );
        assert!(most < BUDGET);
    }
}
