//! A campaign in a test: one scenario file on many seeds.

use hublab::sim::capsule::twice::check_twice;
use hublab::sim::scenario::Scenario;
use hublab::sim::watch::judge::Verdict;
use hublab::strategies::Strategy;
use my_strategy::rules::{BYTES_PER_MESSAGE, NO_EMPTY_PID};
use my_strategy::{Mine, catalog};

const SEEDS: u64 = 20;

#[test]
fn the_scenario_passes_on_every_seed_and_comes_out_the_same_again() {
    let catalog = catalog();
    let file = include_bytes!("../scenarios/one.toml");
    let scenario = Scenario::read("one.toml", file, &catalog).unwrap();
    for seed in 0..SEEDS {
        let twice = check_twice(&scenario, Mine::NAME, seed, &catalog).unwrap();
        let report = twice.report;
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

#[test]
fn the_rule_and_the_figure_of_this_package_are_judged() {
    let catalog = catalog();
    let file = include_bytes!("../scenarios/one.toml");
    let scenario = Scenario::read("one.toml", file, &catalog).unwrap();
    let twice = check_twice(&scenario, Mine::NAME, 1, &catalog).unwrap();
    let report = twice.report;
    let said = |start: &str| {
        let mut judged = report.expectations.iter();
        judged.any(|one| one.verdict == Verdict::Pass && one.detail.starts_with(start))
    };
    assert!(said(NO_EMPTY_PID), "{:#?}", report.expectations);
    let bytes = report.metric(BYTES_PER_MESSAGE.name).unwrap();
    assert!(said(&format!("bytes_per_message is {bytes}")), "{bytes}");
}
