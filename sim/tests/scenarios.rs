//! The scenarios that are shipped: each holds for many seeds, runs alike under both steppings, and
//! together they show everything that the format knows.

mod seeds;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hublab_sim::anomaly::Shown;
use hublab_sim::capsule::judge::judge;
use hublab_sim::capsule::twice::record;
use hublab_sim::catalog::Catalog;
use hublab_sim::processhub::anomaly;
use hublab_sim::report::Report;
use hublab_sim::run::Simulation;
use hublab_sim::scenario::shape::{EXPECT, LATENCY, REQUEST, STEP, Shape};
use hublab_sim::scenario::{
    Action, Claim, InFlight, Latency, Order, RawRequest, Scenario, When, load, resolve,
};
use hublab_sim::watch::judge::Verdict;
use hublab_sim::watch::oracle;
use hublab_sim::world::Stepping;

use seeds::seeds;

/// One shipped file.
struct Shipped {
    path: PathBuf,
    text: String,
    scenario: Scenario,
}

impl Shipped {
    fn stem(&self) -> &str {
        self.path
            .file_stem()
            .and_then(OsStr::to_str)
            .expect("a name in UTF-8")
    }

    fn run(&self, strategy: &str, seed: u64, stepping: Stepping) -> Report {
        Simulation::new(&self.scenario, &Catalog::default())
            .strategy(strategy)
            .expect("a strategy of the catalog")
            .seed(seed)
            .stepping(stepping)
            .run()
            .expect("a strategy of the catalog")
    }
}

fn shipped() -> Vec<Shipped> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let catalog = Catalog::default();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a readable file");
        let scenario = Scenario::read(&path.display().to_string(), text.as_bytes(), &catalog)
            .unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()));
        Shipped {
            path,
            text,
            scenario,
        }
    };
    load::find(&[directory])
        .expect("the shipped scenarios")
        .into_iter()
        .map(read)
        .collect()
}

fn failures(report: &Report) -> Vec<String> {
    if report.verdict == Verdict::Pass {
        return Vec::new();
    }
    let run = format!("{} {} {}", report.scenario, report.strategy, report.seed);
    let panics = report
        .violations
        .iter()
        .filter(|found| found.oracle == oracle::NO_CRASH);
    let failed = report
        .expectations
        .iter()
        .filter(|found| found.verdict != Verdict::Pass);
    panics
        .map(|found| format!("{run}: {}", found.detail))
        .chain(failed.map(|found| format!("{run}: line {}: {}", found.line, found.detail)))
        .collect()
}

#[test]
fn every_shipped_scenario_holds_with_its_seed_and_with_others() {
    let mut failed = Vec::new();
    for file in shipped() {
        for strategy in &file.scenario.run.strategies {
            for seed in std::iter::once(file.scenario.run.seed).chain(1_000..1_000 + seeds(3)) {
                let report = file.run(strategy, seed, Stepping::Slice);
                failed.extend(failures(&report));
                failed.extend(undeclared(&report));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The kinds of messages that were sent and that the strategy does not declare.
fn undeclared(report: &Report) -> Option<String> {
    let catalog = Catalog::default();
    let entry = catalog.get(&report.strategy).expect("it ran");
    let declared = entry.kinds().expect("an entry of a strategy knows them");
    let kinds = report.messages.by_kind.keys();
    let unknown: Vec<_> = kinds
        .filter(|kind| !declared.contains(&kind.as_str()))
        .collect();
    (!unknown.is_empty()).then(|| format!("{}: undeclared {unknown:?}", report.scenario))
}

#[test]
fn both_steppings_give_every_shipped_scenario_the_same_digest() {
    for file in shipped() {
        let seed = file.scenario.run.seed;
        for strategy in &file.scenario.run.strategies {
            let [slice, exact] = [Stepping::Slice, Stepping::Exact]
                .map(|stepping| file.run(strategy, seed, stepping));
            assert!(slice.digest.is_some(), "{} {strategy}", file.stem());
            assert_eq!(slice.digest, exact.digest, "{} {strategy}", file.stem());
        }
    }
}

#[test]
fn a_recorded_run_is_judged_as_the_run_was() {
    let catalog = Catalog::default();
    for file in shipped() {
        for strategy in &file.scenario.run.strategies {
            let seed = file.scenario.run.seed;
            let (run, mut capsule) =
                record(&file.scenario, strategy, seed, &catalog).expect("a run");
            let judged = judge(&mut capsule, &catalog, &[]).expect("a sound capsule");
            let (was, is) = (run, judged.report);
            let run = format!("{} {strategy}", file.stem());
            assert_eq!(is.expectations, was.expectations, "{run}");
            assert_eq!(is.violations, was.violations, "{run}");
            assert_eq!(is.inconclusive, was.inconclusive, "{run}");
            assert_eq!(is.timeline, was.timeline, "{run}");
            assert_eq!(is.messages, was.messages, "{run}");
            assert_eq!(
                (is.verdict, is.converged_us, is.rows, is.events, is.digest),
                (
                    was.verdict,
                    was.converged_us,
                    was.rows,
                    was.events,
                    was.digest
                ),
                "{run}"
            );
        }
    }
}

#[test]
fn every_file_says_first_what_it_shows() {
    for file in shipped() {
        assert!(
            file.text.starts_with("# "),
            "{} opens with a comment",
            file.stem()
        );
        assert!(
            file.scenario.summary.is_some(),
            "{} has a summary",
            file.stem()
        );
        assert!(
            !file.scenario.expectations.is_empty(),
            "{} says what must hold",
            file.stem()
        );
        assert_eq!(file.scenario.name, file.stem());
    }
}

#[test]
fn every_anomaly_has_its_scenario_and_no_other_file_lies_beside_them() {
    let files = shipped();
    let beside = |file: &&Shipped| {
        file.path
            .parent()
            .is_some_and(|parent| parent.ends_with("anomalies"))
    };
    let names: BTreeSet<&str> = files.iter().filter(beside).map(Shipped::stem).collect();
    let shown = anomaly::LIST.iter().filter_map(|one| match one.shown {
        Shown::By(name) => {
            let id = one.id.to_lowercase();
            let (family, number) = id.split_at(1);
            let begin = format!("{family}{number:0>2}-");
            assert!(name.starts_with(&begin), "{name} is that of {}", one.id);
            Some(name)
        }
        Shown::Never(_) => None,
    });
    assert_eq!(names, shown.collect());
}

fn alternatives(shape: &'static Shape) -> BTreeSet<&'static str> {
    shape.choices.iter().map(|keys| keys[0]).collect()
}

#[test]
fn every_action_and_every_claim_is_shown_somewhere() {
    let files = shipped();
    let catalog = Catalog::default();
    let resolved = files
        .iter()
        .map(|file| resolve(&file.scenario, 1, &catalog));
    let steps = resolved.flat_map(|scenario| scenario.steps);
    let claims = files.iter().flat_map(|file| &file.scenario.expectations);
    let actions: BTreeSet<&str> = steps.map(|step| step.action.name()).collect();
    let claimed: BTreeSet<&str> = claims.map(|expectation| expectation.claim.name()).collect();
    assert_eq!(actions, alternatives(&STEP));
    assert_eq!(claimed, alternatives(&EXPECT));
}

#[test]
fn every_oracle_of_safety_is_asked_somewhere() {
    let files = shipped();
    let claims = files.iter().flat_map(|file| &file.scenario.expectations);
    let asked: BTreeSet<&str> = claims
        .filter_map(|expectation| match &expectation.claim {
            Claim::Always(name) | Claim::Violates(name) => Some(name.as_str()),
            Claim::Converged { .. }
            | Claim::Registry { .. }
            | Claim::Entry { .. }
            | Claim::View { .. }
            | Claim::Connected { .. }
            | Claim::Owners { .. }
            | Claim::Sometimes { .. }
            | Claim::Metric { .. } => None,
        })
        .collect();
    for oracle in [
        "own_truth",
        "unique_entry",
        "membership_containment",
        "no_crash",
    ] {
        assert!(asked.contains(oracle), "{oracle}");
    }
}

fn requests(action: &Action) -> &[RawRequest] {
    if let Action::Propagate { requests, .. } = action {
        requests
    } else {
        &[]
    }
}

#[test]
fn every_raw_request_is_shown_somewhere() {
    let files = shipped();
    let steps = files.iter().flat_map(|file| &file.scenario.steps);
    let shown: BTreeSet<&str> = steps
        .flat_map(|step| requests(&step.action))
        .map(|request| match request {
            RawRequest::Register(_) => "register",
            RawRequest::Unregister(_) => "unregister",
            RawRequest::PidUpdate { .. } => "pid_update",
        })
        .collect();
    assert_eq!(shown, alternatives(&REQUEST));
}

#[test]
fn every_latency_law_and_every_property_of_links_is_shown_somewhere() {
    let files = shipped();
    let networks = || files.iter().map(|file| &file.scenario.network);
    let links = || networks().flat_map(|network| &network.links);
    let laws: BTreeSet<&str> = networks()
        .map(|network| network.base.latency)
        .chain(links().filter_map(|link| link.latency))
        .map(|law| match law {
            Latency::Constant(_) => "constant",
            Latency::Uniform(..) => "uniform",
            Latency::Exponential { .. } => "exponential",
            Latency::Lognormal { .. } => "lognormal",
            Latency::Bimodal { .. } => "bimodal",
        })
        .collect();
    assert_eq!(laws, alternatives(&LATENCY));
    assert!(links().any(|link| link.loss.is_some()));
    assert!(links().any(|link| link.bytes_per_second.is_some()));
    assert!(networks().any(|network| network.base.duplicate > 0.0));
    assert!(networks().any(|network| network.base.order == Order::Any));
    assert!(networks().any(|network| !network.send_gap.is_zero()));
    assert!(networks().any(|network| !network.service_time.is_zero()));
}

fn fate(action: &Action) -> Option<InFlight> {
    if let Action::Partition { in_flight, .. } | Action::Cut { in_flight, .. } = action {
        Some(*in_flight)
    } else {
        None
    }
}

#[test]
fn every_fate_of_messages_under_way_is_shown_somewhere() {
    let files = shipped();
    let steps = files.iter().flat_map(|file| &file.scenario.steps);
    let fates: Vec<InFlight> = steps.filter_map(|step| fate(&step.action)).collect();
    for fate in [InFlight::Drop, InFlight::Deliver, InFlight::Hold] {
        assert!(fates.contains(&fate), "{fate:?}");
    }
}

/// The actions that real hubs cannot carry out, or not as they are meant.
const SIMULATED: &[&str] = &["clock", "view", "rows", "link", "sync", "broadcast"];

/// Every instant that the scenario names, in order.
fn instants(scenario: &Scenario) -> BTreeSet<Duration> {
    let fixed = |when: When| match when {
        When::Fixed(at) | When::Between(at, _) => at,
    };
    let steps = scenario.steps.iter().flat_map(|step| {
        let at = fixed(step.at);
        std::iter::once(at).chain(step.action.heal_after().map(|after| at + fixed(after)))
    });
    let claims = scenario
        .expectations
        .iter()
        .filter_map(|expectation| expectation.claim.when())
        .map(|when| when.last())
        .map(|at| Duration::from_micros(at.0));
    steps.chain(claims).collect()
}

/// Whether a run in real time, ten times as fast, can be expected to come to the same verdicts.
fn can_run_live(scenario: &Scenario) -> bool {
    let instants: Vec<Duration> = instants(scenario).into_iter().collect();
    let gossips = scenario.run.strategies.iter().any(|name| name == "gossip");
    scenario
        .steps
        .iter()
        .all(|step| !SIMULATED.contains(&step.action.name()))
        && instants
            .windows(2)
            .all(|pair| pair[1] - pair[0] >= Duration::from_secs(1))
        && (!gossips || scenario.cluster.nodes.len() <= 8)
}

#[test]
fn most_of_ordinary_life_can_be_run_in_real_time() {
    let files = shipped();
    let live = files
        .iter()
        .filter(|file| can_run_live(&file.scenario))
        .count();
    assert!(live >= 20, "only {live}");
}
