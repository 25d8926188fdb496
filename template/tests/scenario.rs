//! A campaign in a test: one scenario file on many seeds.

use hublab::Catalog;
use hublab::sim::watch::judge::Verdict;
use hublab::sim::scenario::Scenario;
use hublab::sim::capsule::twice::check_twice;
use hublab::strategies::Strategy;
use my_strategy::Mine;

const SEEDS: u64 = 20;

#[test]
fn the_scenario_passes_on_every_seed_and_comes_out_the_same_again() {
    let catalog = Catalog::default().with::<Mine>();
    let file = include_bytes!("../scenarios/one.toml");
    let scenario = Scenario::read("one.toml", file, &catalog).unwrap();
    for seed in 0..SEEDS {
        let twice = check_twice(&scenario, Mine::NAME, seed, &catalog).unwrap();
        let report = twice.run.report;
        assert_eq!(
            report.verdict,
            Verdict::Pass,
            "seed {seed}: {:#?}",
            report.expectations
        );
        if let Some(divergence) = twice.divergence {
            panic!("seed {seed}: {divergence}");
        }
    }
}
