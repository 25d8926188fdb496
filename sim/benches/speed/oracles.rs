//! The cost of all oracles, and of measuring, as ratios to the same runs with nothing but the digest and the
//! expectation `converged`.

use std::fmt::Write as _;

use hublab_sim::catalog::Catalog;
use hublab_sim::generate::{self, generate};
use hublab_sim::run::Simulation;
use hublab_sim::scenario::Scenario;
use hublab_sim::watch::oracle;

use crate::table::{Table, float, least_us};

/// How many generated scenarios are run.
const SEEDS: u64 = 500;

pub(crate) fn measure(table: &mut Table) {
    large_cluster(table);
    for (strategy, runs) in [("pubsub", 200.0), ("gossip", 40.0)] {
        generated(table, strategy, runs);
    }
}

/// The observers of a run beside the digest and the expectation `converged`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watched {
    Nothing,
    Oracles,
    Measures,
}

/// The processor time of all scenarios in microseconds, and their events.
fn cost(scenarios: &[Scenario], strategy: &str, watched: Watched) -> (f64, u64) {
    let catalog = Catalog::default();
    let mut events = 0;
    let time = least_us(3, || {
        events = 0;
        for scenario in scenarios {
            let oracles = if watched == Watched::Oracles {
                oracle::all()
            } else {
                Vec::new()
            };
            let run = Simulation::new(scenario, &catalog)
                .strategy(strategy)
                .and_then(|run| {
                    let run = run
                        .seed(scenario.run.seed)
                        .oracles(oracles)
                        .budget(1_000_000);
                    if watched == Watched::Measures {
                        run.run()
                    } else {
                        run.unmeasured().run()
                    }
                });
            events += run.expect("a known strategy").events;
        }
    });
    (time, events)
}

/// 100 nodes that start, stop and synchronize children under PubSub.
fn large_cluster(table: &mut Table) {
    let name = "oracles, 100 nodes";
    if !table.wants(name) {
        return;
    }
    let mut text = String::from(
        "schema = 1\n[run]\nduration = \"200s\"\n[cluster]\nnodes = 100\n[[expect]]\nconverged = { within = \"60s\" }\n",
    );
    for number in 0..1_000 {
        let (on, at) = (number % 100 + 1, 2_000 + number * 50);
        let _ = writeln!(
            text,
            "[[step]]\nat = \"{at}ms\"\nstart_children = {{ on = \"n{on}\", ids = [\"c{number}\"] }}"
        );
        if number % 3 == 0 {
            let at = at + 20_000;
            let _ = writeln!(
                text,
                "[[step]]\nat = \"{at}ms\"\nstop_children = {{ on = \"n{on}\", ids = [\"c{number}\"] }}"
            );
        }
    }
    let read = Scenario::read("bench.toml", text.as_bytes(), &Catalog::default());
    let scenario = [read.expect("a valid scenario")];
    compare(table, name, &scenario, "pubsub");
}

/// Generated scenarios, as a campaign runs them.
fn generated(table: &mut Table, strategy: &str, runs: f64) {
    let name = format!("oracles, generated, {strategy}");
    if !table.wants(&name) {
        return;
    }
    let catalog = Catalog::default();
    let entry = catalog.get(strategy).expect("a known strategy");
    let make = |seed| generate(seed, entry, &generate::Options::default()).scenario;
    let scenarios: Vec<Scenario> = (0..SEEDS).map(make).collect();
    let (time, events) = compare(table, &name, &scenarios, strategy);
    table.note(
        &format!("{name}: events per run"),
        float(events) / float(SEEDS),
        "",
    );
    table.at_least(
        &format!("{name}: events per second"),
        float(events) / time * 1e6,
        400_000.0,
        "/s",
    );
    table.at_least(
        &format!("{name}: runs per second"),
        float(SEEDS) / time * 1e6,
        runs,
        "/s",
    );
}

/// Answers the time with all oracles, and the events.
fn compare(table: &mut Table, name: &str, scenarios: &[Scenario], strategy: &str) -> (f64, u64) {
    let (without, _) = cost(scenarios, strategy, Watched::Nothing);
    let (with, events) = cost(scenarios, strategy, Watched::Oracles);
    let (measured, _) = cost(scenarios, strategy, Watched::Measures);
    for (what, time) in [("all", with), ("measures", measured)] {
        let name = format!("{name}: {what} / digest and converged");
        table.at_most(&name, time / without, 1.5, "x");
    }
    (with, events)
}
