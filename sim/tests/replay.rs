//! Exact replay within one process: a scenario, a strategy and a seed have one digest, whatever
//! ran before, runs beside, or listens. `HUBLAB_SEEDS` sets how many seeds of every shipped
//! scenario are tried. What other processes and builds come to is the root package's `replay`.

mod seeds;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hublab_sim::catalog::Catalog;
use hublab_sim::run::Simulation;
use hublab_sim::scenario::{Latency, Scenario, load};
use hublab_sim::world::Stepping;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use seeds::seeds;

/// Seeds of each scenario and strategy.
const SEEDS: u64 = 2;

fn shipped(catalog: &Catalog) -> Vec<Scenario> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let files = load::find(&[directory]).expect("the shipped scenarios");
    let read = |path: &std::path::PathBuf| {
        let bytes = load::read_bytes(path).expect("a readable file");
        Scenario::read(&path.display().to_string(), &bytes, catalog)
            .unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()))
    };
    files.iter().map(read).collect()
}

/// One run to be made.
#[derive(Clone, Copy)]
struct Case<'a> {
    scenario: &'a Scenario,
    strategy: &'a str,
    seed: u64,
}

impl Case<'_> {
    fn digest(&self, catalog: &Catalog, stepping: Stepping) -> String {
        let run = Simulation::new(self.scenario, catalog)
            .strategy(self.strategy)
            .expect("a known strategy")
            .seed(self.seed)
            .stepping(stepping)
            .run()
            .expect("a known strategy");
        run.digest
            .expect("a digest where no wall clock ended the run")
    }

    fn name(&self) -> String {
        format!("{} {} {}", self.scenario.name, self.strategy, self.seed)
    }
}

fn cases(scenarios: &[Scenario]) -> Vec<Case<'_>> {
    let strategies = scenarios.iter().flat_map(|scenario| {
        scenario
            .run
            .strategies
            .iter()
            .map(move |strategy| (scenario, strategy))
    });
    strategies
        .flat_map(|(scenario, strategy)| {
            (1..=seeds(SEEDS)).map(move |seed| Case {
                scenario,
                strategy,
                seed,
            })
        })
        .collect()
}

/// A listener to everything that is traced, which also formats it: whatever a value does when it
/// is looked at happens.
struct Listener {
    heard: Arc<AtomicU64>,
}

#[derive(Default)]
struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Words::default());
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, values: &Record<'_>) {
        values.record(&mut Words::default());
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = Words::default();
        event.record(&mut words);
        self.heard
            .fetch_add(u64::from(!words.0.is_empty()), Ordering::Relaxed);
    }

    fn enter(&self, _span: &Id) {}
    fn exit(&self, _span: &Id) {}
}

/// The digests of all cases, made by several threads at once that begin with the last case; in
/// the order of the cases.
fn digests_of_threads(
    cases: &[Case<'_>],
    threads: usize,
    catalog: &Catalog,
    stepping: Stepping,
) -> Vec<String> {
    let next = Mutex::new((0..cases.len()).rev());
    let done = Mutex::new(vec![String::new(); cases.len()]);
    let work = || {
        loop {
            let Some(index) = next.lock().expect("nobody panicked").next() else {
                return;
            };
            let digest = cases[index].digest(catalog, stepping);
            done.lock().expect("nobody panicked")[index] = digest;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    done.into_inner().expect("nobody panicked")
}

fn assert_same(cases: &[Case<'_>], first: &[String], again: &[String], what: &str) {
    let differing: Vec<String> = cases
        .iter()
        .zip(first.iter().zip(again))
        .filter(|(_, (first, again))| first != again)
        .map(|(case, _)| case.name())
        .collect();
    assert!(
        differing.is_empty(),
        "{what}: {} of {} digests differ: {differing:?}",
        differing.len(),
        cases.len()
    );
}

#[test]
fn a_run_has_one_digest_whatever_ran_before_runs_beside_or_listens() {
    let catalog = Catalog::default();
    let scenarios = shipped(&catalog);
    let cases = cases(&scenarios);
    let first: Vec<String> = cases
        .iter()
        .map(|case| case.digest(&catalog, Stepping::Slice))
        .collect();
    // Every other run lies between a run and its repetition, in another order.
    let again = digests_of_threads(&cases, 2, &catalog, Stepping::Slice);
    assert_same(&cases, &first, &again, "on two threads, after all others");
    let heard = Arc::new(AtomicU64::new(0));
    let listener = Listener {
        heard: Arc::clone(&heard),
    };
    tracing::subscriber::set_global_default(listener)
        .expect("no other test of this binary listens");
    let again = digests_of_threads(&cases, 1, &catalog, Stepping::Exact);
    assert_same(
        &cases,
        &first,
        &again,
        "stepped exactly, while somebody listens",
    );
    assert!(
        heard.load(Ordering::Relaxed) > 0,
        "there was something to listen to"
    );
    println!("{} runs, three times each: one digest", cases.len());
}

#[test]
fn five_hundred_other_runs_leave_no_mark() {
    let catalog = Catalog::default();
    let text = r#"
schema = 1
[run]
duration = "60s"
[cluster]
nodes = 5
[network]
loss = 0.02
[[step]]
at = "1s..3s"
start_children = { on = "n1", ids = ["a", "b"], replicas = ["n2"] }
[[step]]
at = "20s"
crash = { nodes = ["n2"] }
"#;
    let scenario = Scenario::read("replay.toml", text.as_bytes(), &catalog).expect("a good file");
    let digests = || {
        let run = |strategy| {
            Case {
                scenario: &scenario,
                strategy,
                seed: 7,
            }
            .digest(&catalog, Stepping::Slice)
        };
        ["pubsub", "gossip"].map(run)
    };
    let before = digests();
    let others: BTreeSet<String> = (0..500)
        .map(|k| {
            let strategy = if k % 5 == 0 { "gossip" } else { "pubsub" };
            Case {
                scenario: &scenario,
                strategy,
                seed: 1_000 + k,
            }
            .digest(&catalog, Stepping::Slice)
        })
        .collect();
    assert_eq!(others.len(), 500, "every seed makes a run of its own");
    assert_eq!(before, digests());
}

/// Whether every message of a run draws its latency from a law with many values.
fn draws_latencies(scenario: &Scenario) -> bool {
    let law = scenario.network.base.latency;
    match law {
        Latency::Constant(_) | Latency::Bimodal { .. } => false,
        Latency::Uniform(low, high) => low != high,
        Latency::Exponential { min, mean } => min != mean,
        Latency::Lognormal { median, p99 } => median != p99,
    }
}

#[test]
fn another_seed_gives_another_digest_wherever_anything_is_drawn() {
    let catalog = Catalog::default();
    let scenarios = shipped(&catalog);
    let mut drawn = 0;
    for scenario in scenarios
        .iter()
        .filter(|scenario| draws_latencies(scenario))
    {
        for strategy in &scenario.run.strategies {
            let count = seeds(SEEDS).max(4);
            let digests: BTreeSet<String> = (1..=count)
                .map(|seed| {
                    Case {
                        scenario,
                        strategy,
                        seed,
                    }
                    .digest(&catalog, Stepping::Slice)
                })
                .collect();
            assert_eq!(digests.len() as u64, count, "{} {strategy}", scenario.name);
            drawn += 1;
        }
    }
    assert!(
        drawn >= 20,
        "only {drawn} runs of shipped scenarios draw latencies"
    );
}

#[test]
fn where_nothing_is_drawn_all_seeds_are_one_run() {
    let catalog = Catalog::default();
    let file = |step: &str| {
        format!(
            "schema = 1\n[run]\nduration = \"40s\"\n[cluster]\nnodes = 3\n[network]\nlatency = {{ constant = \"2ms\" }}\n\
             [[step]]\n{step}\n"
        )
    };
    let digests = |step: &str| -> BTreeSet<String> {
        let text = file(step);
        let scenario =
            Scenario::read("still.toml", text.as_bytes(), &catalog).expect("a good file");
        (1..=8)
            .map(|seed| {
                Case {
                    scenario: &scenario,
                    strategy: "pubsub",
                    seed,
                }
                .digest(&catalog, Stepping::Slice)
            })
            .collect()
    };
    let start = r#"start_children = { on = "n1", ids = ["a"] }"#;
    assert_eq!(digests(&format!("at = \"5s\"\n{start}")).len(), 1);
    assert_eq!(
        digests(&format!("at = \"5s..6s\"\n{start}")).len(),
        8,
        "a range is drawn"
    );
}
