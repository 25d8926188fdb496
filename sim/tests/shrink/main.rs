//! Shrinking: what is left of a failure, and that it is the same failure.
//!
//! `HUBLAB_SEEDS` sets how many generated seeds of each strategy are searched for failures. All of
//! it: `HUBLAB_SEEDS=20000 cargo test --release -p hublab-sim --test shrink -- --nocapture`

mod fragile;
mod noise;
#[path = "../seeds/mod.rs"]
mod seeds;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use hublab_sim::catalog::Catalog;
use hublab_sim::classify;
use hublab_sim::generate::{self, generate};
use hublab_sim::report::Report;
use hublab_sim::run::Simulation;
use hublab_sim::run::failure::Signature;
use hublab_sim::scenario::{Action, Audience, Scenario, Style, render};
use hublab_sim::shrink::{
    Budget, Ended, Progress, ShrinkError, Shrunk, Target, Watcher, findings, shrink,
};
use hublab_sim::watch::judge::Verdict;

use fragile::Fragile;
use noise::noisy;
use seeds::seeds;

fn shipped(name: &str, catalog: &Catalog) -> Scenario {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/anomalies");
    let path = directory.join(format!("{name}.toml"));
    let bytes = std::fs::read(&path).expect("a shipped scenario");
    Scenario::read(name, &bytes, catalog).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The smallest that is left of a failure.
fn smallest(failure: &Target<'_>, catalog: &Catalog) -> Shrunk {
    shrink(failure, catalog, Budget::default(), &mut ()).expect("it fails")
}

fn first_finding(
    scenario: &Scenario,
    strategy: &str,
    seed: u64,
    oracle: &str,
    catalog: &Catalog,
) -> Signature {
    let found = findings(scenario, strategy, seed, &[oracle], catalog).expect("it can be run");
    let mut of_oracle = found.iter().filter(|signature| signature.oracle == oracle);
    let first = of_oracle.next();
    first
        .unwrap_or_else(|| panic!("{strategy} keeps {oracle}: {found:?}"))
        .clone()
}

/// That the file which is handed back is a good one, and fails as the failure did, alone.
fn assert_fails_again(
    shrunk: &Shrunk,
    strategy: &str,
    signature: &Signature,
    catalog: &Catalog,
) -> Report {
    let file = shrunk.file("small.toml");
    let read = Scenario::read("small.toml", file.as_bytes(), catalog)
        .unwrap_or_else(|problems| panic!("{problems:?}\n{file}"));
    assert_eq!(read.run.seed, shrunk.seed);
    assert_eq!(read.run.strategies, [strategy]);
    assert_eq!(read.expectations.len(), 1, "{file}");
    let report = Simulation::new(&read, catalog)
        .strategy(strategy)
        .expect("it can be run")
        .seed(read.run.seed)
        .run()
        .expect("it can be run");
    assert_eq!(report.verdict, Verdict::Fail, "{file}");
    assert!(
        Signature::all(&read, &report)
            .iter()
            .any(|found| found.is_like(signature)),
        "{signature}\n{file}"
    );
    report
}

fn assert_small(shrunk: &Shrunk, steps: usize, nodes: usize) {
    let after = shrunk.after;
    assert!(
        after.steps <= steps && after.nodes <= nodes,
        "{}",
        shrunk.file("small.toml")
    );
    assert_eq!(shrunk.ended, Ended::Smallest);
}

#[test]
fn noise_around_an_anomaly_vanishes() {
    let catalog = Catalog::default();
    let cases = [
        (
            "a01-stale-snapshot-detaches-fresh-row",
            "pubsub",
            "no_false_absence",
        ),
        ("a02-ghost-after-unregister", "pubsub", "no_resurrection"),
        (
            "a05-row-of-departed-node",
            "pubsub",
            "membership_containment",
        ),
        (
            "a08-suppressed-empties-leave-ghosts",
            "pubsub",
            "convergence",
        ),
    ];
    for (name, strategy, oracle) in cases {
        let mut scenario = noisy(shipped(name, &catalog));
        scenario.run.duration += Duration::from_secs(180);
        let before = scenario.steps.len();
        assert!(before > 10);
        let signature = first_finding(&scenario, strategy, 1, oracle, &catalog);
        let anomaly = classify::of_run(&scenario, strategy, 1, &signature, &catalog);
        let failure = Target::new(&scenario, strategy, 1, &signature).named(anomaly);
        let shrunk = smallest(&failure, &catalog);
        assert_small(&shrunk, 5, 3);
        assert_eq!(
            (shrunk.before.steps, shrunk.before.nodes > 3),
            (before, true)
        );
        let file = shrunk.file("small.toml");
        for word in ["noise", "hum", "buzz", "team", "send_gap", "z1", "z2"] {
            assert!(!file.contains(&format!("\"{word}")), "{word} in\n{file}");
        }
        assert_fails_again(&shrunk, strategy, &signature, &catalog);
    }
}

#[test]
fn a_failure_shrinks_to_the_same_file_each_time() {
    let catalog = Catalog::default();
    let scenario = noisy(shipped("a02-ghost-after-unregister", &catalog));
    let signature = first_finding(&scenario, "pubsub", 5, "no_resurrection", &catalog);
    let failure = Target::new(&scenario, "pubsub", 5, &signature);
    let once = smallest(&failure, &catalog);
    let again = smallest(&failure, &catalog);
    assert_eq!(once, again);
    assert_eq!(once.file("x.toml"), again.file("x.toml"));
}

/// Each generated failure once per signature and name, with the seed it was first seen at.
fn generated_failures(
    strategy: &str,
    catalog: &Catalog,
) -> Vec<(u64, Signature, Option<&'static str>)> {
    let entry = catalog.get(strategy).expect("a known strategy");
    let oracles: Vec<&str> = catalog.oracle_names().collect();
    let mut seen = BTreeMap::new();
    for seed in 0..seeds(25) {
        let scenario = generate(seed, entry, &generate::Options::default()).scenario;
        let found = findings(&scenario, strategy, seed, &oracles, catalog).expect("it can be run");
        for signature in found {
            let anomaly = classify::of_run(&scenario, strategy, seed, &signature, catalog);
            seen.entry((signature, anomaly)).or_insert(seed);
        }
    }
    seen.into_iter()
        .map(|((signature, anomaly), seed)| (seed, signature, anomaly))
        .collect()
}

#[test]
fn generated_failures_shrink_to_a_few_steps_that_fail_the_same_way() {
    let catalog = Catalog::default();
    let mut sizes: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
    let mut longest = Duration::ZERO;
    for strategy in catalog.names() {
        let entry = catalog.get(strategy).expect("a known strategy");
        for (seed, signature, anomaly) in generated_failures(strategy, &catalog) {
            let scenario = generate(seed, entry, &generate::Options::default()).scenario;
            let failure = Target::new(&scenario, strategy, seed, &signature).named(anomaly);
            let begun = Instant::now();
            let shrunk = smallest(&failure, &catalog);
            longest = longest.max(begun.elapsed());
            assert_small(&shrunk, 8, 7);
            assert_fails_again(&shrunk, strategy, &signature, &catalog);
            if let Some(anomaly) = anomaly {
                let seed = shrunk.seed;
                let named =
                    classify::of_run(&shrunk.scenario, strategy, seed, &signature, &catalog);
                assert_eq!(named, Some(anomaly));
                let size = (shrunk.after.steps, shrunk.after.nodes);
                sizes.entry(anomaly).or_default().push(size);
            }
        }
    }
    assert!(sizes.len() > 3, "there is something to shrink: {sizes:?}");
    println!("anomaly  failures  median steps, nodes  most steps");
    for (anomaly, sizes) in &sizes {
        let (steps, nodes) = median(sizes);
        let most = sizes.iter().map(|(steps, _)| *steps).max().unwrap_or(0);
        println!(
            "{anomaly:7}  {:8}  {steps:12} {nodes:6}  {most:10}",
            sizes.len()
        );
    }
    println!("the longest took {longest:?}");
    let all: Vec<(usize, usize)> = sizes.into_values().flatten().collect();
    let (steps, nodes) = median(&all);
    assert!(steps <= 4 && nodes <= 3, "{steps} steps, {nodes} nodes");
    assert!(longest < Duration::from_secs(60), "{longest:?}");
}

fn median(sizes: &[(usize, usize)]) -> (usize, usize) {
    let middle = |mut values: Vec<usize>| {
        values.sort_unstable();
        values[values.len() / 2]
    };
    (
        middle(sizes.iter().map(|size| size.0).collect()),
        middle(sizes.iter().map(|size| size.1).collect()),
    )
}

#[test]
fn a_failed_expectation_is_kept_as_it_stands() {
    let catalog = Catalog::default();
    let text = r#"
        schema = 1
        [run]
        duration = "40s"
        [cluster]
        names = ["left", "middle", "right"]
        [[step]]
        at = "1s"
        start_children = { on = "middle", ids = ["noise"] }
        [[step]]
        at = "2s"
        start_children = { on = "left", ids = ["wanted", "other"] }
        [[step]]
        at = "3s"
        stop_children = { on = "left", ids = ["wanted"] }
        [[expect]]
        at = "1500ms"
        registry = { on = "middle", has = ["noise"] }
        [[expect]]
        at = "20s"
        registry = { on = "right", has = ["other"], lacks = ["wanted", "noise"] }
    "#;
    let scenario = Scenario::read("x.toml", text.as_bytes(), &catalog).expect("a good file");
    let found = findings(&scenario, "pubsub", 3, &[], &catalog).expect("it can be run");
    let signature = found.first().expect("it fails");
    assert_eq!(signature.oracle, "registry");
    let failure = Target::new(&scenario, "pubsub", 3, signature);
    let shrunk = smallest(&failure, &catalog);
    assert_fails_again(&shrunk, "pubsub", signature, &catalog);
    let kept = shrunk
        .scenario
        .expectations
        .first()
        .expect("an expectation");
    let wanted = &scenario.expectations[1].claim;
    let name = |scenario: &Scenario| {
        let text = render(scenario, Style::Brief);
        text[text.rfind("[[expect]]").expect("an expectation")..].to_owned()
    };
    assert_eq!(kept.claim.name(), wanted.name());
    assert_eq!(name(&shrunk.scenario), name(&scenario));
    assert!(shrunk.after.steps <= 1, "{}", shrunk.file("x.toml"));
}

/// What fails in `a02`, as short as can be told.
fn example(catalog: &Catalog) -> (Scenario, Signature) {
    let scenario = noisy(shipped("a02-ghost-after-unregister", catalog));
    let signature = first_finding(&scenario, "pubsub", 1, "no_resurrection", catalog);
    (scenario, signature)
}

#[test]
fn what_a_spent_budget_leaves_fails_too_and_says_so() {
    let catalog = Catalog::default();
    let (scenario, signature) = example(&catalog);
    let failure = Target::new(&scenario, "pubsub", 1, &signature);
    for runs in [0, 1, 7] {
        let budget = Budget {
            runs,
            ..Budget::default()
        };
        let shrunk = shrink(&failure, &catalog, budget, &mut ()).expect("it fails");
        assert_eq!((shrunk.runs, shrunk.ended), (runs, Ended::OutOfBudget));
        assert!(shrunk.file("x.toml").contains("the budget ended"));
        assert_fails_again(&shrunk, "pubsub", &signature, &catalog);
    }
    let budget = Budget {
        events: 1,
        ..Budget::default()
    };
    let shrunk = shrink(&failure, &catalog, budget, &mut ()).expect("it fails");
    assert_eq!(shrunk.ended, Ended::OutOfBudget);
    assert!(shrunk.runs <= 1);
}

/// Wants two nodes more than needed, and no more than so many runs.
struct Strict {
    nodes: usize,
    runs: u64,
    seen: u64,
}

impl Watcher for Strict {
    fn accepts(&mut self, scenario: &Scenario, report: &Report) -> bool {
        assert_eq!(report.verdict, Verdict::Fail);
        scenario.cluster.nodes.len() >= self.nodes
    }

    fn go_on(&mut self, progress: &Progress) -> bool {
        self.seen += 1;
        assert_eq!(progress.runs, self.seen);
        progress.runs < self.runs
    }
}

#[test]
fn a_watcher_can_refuse_candidates_and_end_the_search() {
    let catalog = Catalog::default();
    let (scenario, signature) = example(&catalog);
    let failure = Target::new(&scenario, "pubsub", 1, &signature);
    let mut strict = Strict {
        nodes: 4,
        runs: u64::MAX,
        seen: 0,
    };
    let shrunk = shrink(&failure, &catalog, Budget::default(), &mut strict).expect("it fails");
    assert_eq!((shrunk.after.nodes, shrunk.ended), (4, Ended::Smallest));
    assert!(shrunk.after.steps < shrunk.before.steps);
    let mut hasty = Strict {
        nodes: 0,
        runs: 3,
        seen: 0,
    };
    let shrunk = shrink(&failure, &catalog, Budget::default(), &mut hasty).expect("it fails");
    assert_eq!((shrunk.runs, shrunk.ended), (3, Ended::Stopped));
    assert!(shrunk.file("x.toml").contains("stopped before"));
}

#[test]
fn what_does_not_fail_is_not_shrunk() {
    let catalog = Catalog::default();
    let (scenario, mut signature) = example(&catalog);
    let there = signature.clone();
    signature.cause = "deliver pigeon".to_owned();
    let failure = Target::new(&scenario, "pubsub", 1, &signature);
    match shrink(&failure, &catalog, Budget::default(), &mut ()) {
        Err(ShrinkError::NotThere { wanted, found }) => {
            assert_eq!(*wanted, signature);
            assert!(found.contains(&there));
        }
        other => panic!("{other:?}"),
    }
    let unknown = Target {
        strategy: "pigeon",
        ..failure
    };
    assert!(matches!(
        shrink(&unknown, &catalog, Budget::default(), &mut ()),
        Err(ShrinkError::Run(_))
    ));
}

#[test]
fn a_panic_of_a_strategy_of_ones_own_shrinks_to_what_it_takes() {
    let catalog = Catalog::default().with_entry(Box::new(Fragile));
    let mut scenario = noisy(shipped("m01-restart-hidden-by-debounce", &catalog));
    scenario.run.strategies = vec!["fragile".to_owned()];
    scenario.expectations.clear();
    let signature = first_finding(&scenario, "fragile", 1, "no_crash", &catalog);
    let failure = Target::new(&scenario, "fragile", 1, &signature);
    let shrunk = smallest(&failure, &catalog);
    assert_small(&shrunk, 2, 2);
    let report = assert_fails_again(&shrunk, "fragile", &signature, &catalog);
    assert!(report.violations[0].detail.contains("too sad"));
}

#[test]
fn raw_requests_and_counted_children_get_fewer() {
    let catalog = Catalog::default();
    let text = r#"
        schema = 1
        [run]
        duration = "60s"
        [cluster]
        nodes = 4
        [[step]]
        at = "1s"
        start_children = { on = "n3", count = 500, prefix = "many", metadata = { a = "b" } }
        [[step]]
        at = "20s"
        propagate = { from = "n2", members = "external", requests = [
            { register = [{ child = "r", nodes = { n1 = "p1", n4 = "p4" } }, { child = "s", nodes = { n2 = "p" } }] },
            { unregister = [{ child = "many-1", nodes = ["n1", "n3"] }, { child = "many-2", nodes = ["n3"] }] },
            { pid_update = { child = "r", node = "n1", pid = "p2" } },
        ] }
        [[expect]]
        metric = { name = "KIND", max = 0 }
    "#;
    for (metric, kept) in [
        ("rows", "start_children"),
        ("messages_sent.pubsub.requests", "propagate"),
    ] {
        let text = text.replace("KIND", metric);
        let mut scenario =
            Scenario::read("x.toml", text.as_bytes(), &catalog).expect("a good file");
        scenario.steps.retain(|step| step.action.name() == kept);
        let found = findings(&scenario, "pubsub", 1, &[], &catalog).expect("it can be run");
        let failure = Target::new(&scenario, "pubsub", 1, found.first().expect("it fails"));
        let shrunk = smallest(&failure, &catalog);
        assert_small(&shrunk, 1, 2);
        assert_fails_again(&shrunk, "pubsub", failure.signature, &catalog);
        let action = &shrunk.scenario.steps[0].action;
        assert_eq!(action.name(), kept);
        if let Action::Propagate {
            requests, members, ..
        } = action
        {
            assert_eq!((requests.len(), members), (1, &Audience::Global));
        }
        if let Action::StartChildren {
            children, metadata, ..
        } = action
        {
            assert_eq!((children.len(), metadata.len()), (1, 0));
        }
    }
}
