//! Programs, unchanged, on tokio and in simulated runs: `examples/orders.rs` as its reader would test
//! it, and one suite of assertions for both.

mod conformance;
#[path = "../../examples/orders.rs"]
#[expect(dead_code, reason = "the example is a program of its own")]
mod orders;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hublab::sim::capsule::twice::check_twice;
use hublab::sim::run::failure::Signature;
use hublab::sim::shrink::{Budget, Target, shrink};
use hublab::sim::watch::judge::Verdict;
use hublab::sim::{Catalog, Report, Scenario, Simulation};

const FILE: &str = include_str!("../../examples/orders/orders.toml");

fn scenario(program: &str, catalog: &Catalog) -> Scenario {
    let text = FILE.replace("program = \"naive\"", &format!("program = \"{program}\""));
    let read = Scenario::read("orders.toml", text.as_bytes(), catalog);
    read.unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn run(scenario: &Scenario, seed: u64, catalog: &Catalog) -> Report {
    let run = Simulation::new(scenario, catalog).seed(seed).unmeasured();
    run.run().expect("it can be run")
}

#[test]
fn the_fault_of_the_naive_version_is_found_and_shrinks_to_a_few_steps() {
    let catalog = orders::catalog();
    let naive = scenario("naive", &catalog);
    let fails = |seed: &u64| run(&naive, *seed, &catalog).verdict == Verdict::Fail;
    let seed = (0..1_000).find(fails).expect("one of 1,000 seeds fails");
    let report = run(&naive, seed, &catalog);
    let signature = Signature::all(&naive, &report).remove(0);
    assert_eq!(signature.oracle, "program");
    assert_eq!(signature.defect, "an order is worked on until it is closed");
    let target = Target::new(&naive, "pubsub", seed, &signature);
    let shrunk = shrink(&target, &catalog, Budget::default(), &mut ()).expect("it fails");
    let file = shrunk.file("small.toml");
    assert!(shrunk.after.steps <= 5, "{file}");
    let small = Scenario::read("small.toml", file.as_bytes(), &catalog)
        .unwrap_or_else(|problems| panic!("{problems:?}\n{file}"));
    assert_eq!(
        run(&small, shrunk.seed, &catalog).verdict,
        Verdict::Fail,
        "{file}"
    );
}

/// `HUBLAB_SEEDS` sets how many seeds: 10,000 take a minute of two cores.
#[test]
fn the_mended_version_survives_all_seeds() {
    let seeds = std::env::var("HUBLAB_SEEDS").ok();
    let seeds = seeds
        .and_then(|text| text.parse().ok())
        .unwrap_or(2_000_u64);
    let catalog = orders::catalog();
    let mended = scenario("orders", &catalog);
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let report = run(&mended, seed, &catalog);
                    assert_eq!(report.verdict, Verdict::Pass, "seed {seed}: {report:#?}");
                }
            });
        }
    });
}

#[test]
fn a_run_with_programs_is_the_same_when_it_is_made_again() {
    let catalog = orders::catalog();
    for program in ["orders", "naive"] {
        let scenario = scenario(program, &catalog);
        for seed in 0..20 {
            let twice = check_twice(&scenario, "pubsub", seed, &catalog).expect("it can be run");
            assert!(
                twice.divergence.is_none(),
                "{program} {seed}: {:?}",
                twice.divergence
            );
        }
    }
}

#[test]
fn a_run_with_five_programs_and_ten_thousand_events_takes_at_most_50_ms() {
    let catalog = orders::catalog();
    let text = FILE
        .replace("program = \"naive\"", "program = \"orders\"")
        .replace("duration = \"75s\"", "duration = \"130s\"");
    let read = Scenario::read("orders.toml", text.as_bytes(), &catalog);
    let scenario = read.unwrap_or_else(|problems| panic!("{problems:?}"));
    let timed = || {
        let begun = Instant::now();
        let report = run(&scenario, 1, &catalog);
        assert!(report.events >= 10_000, "{}", report.events);
        begun.elapsed()
    };
    let best = (0..20).map(|_| timed()).min().expect("some");
    assert!(best <= Duration::from_millis(50), "{best:?}");
}
