//! Each oracle, failing, and holding where it is nearly broken: under a strategy that does what the
//! test tells it.
//!
//! Unless a case says otherwise: three nodes, messages take 5 ms, discovery 1 s, debounce 100 ms, sync
//! interval 2 s, so that all must be right 5.241 s after the last step; the run lasts 20 s.

mod puppet;
mod quiet;
mod safety;

use std::sync::{Arc, Mutex};

use hublab_sim::catalog::Catalog;
use hublab_sim::report::Report;
use hublab_sim::run::Simulation;
use hublab_sim::scenario::Scenario;
use hublab_sim::trace::{Event, Sink};
use hublab_sim::watch::oracle::{self, Violation};

use puppet::Puppet;

/// Keeps every event.
struct Collector(Arc<Mutex<Vec<Event>>>);

impl Sink for Collector {
    fn event(&mut self, event: &Event) {
        self.0.lock().expect("one thread").push(event.clone());
    }
}

/// A scenario in the making.
#[derive(Clone, Default)]
struct Stage {
    cluster: String,
    network: String,
    puppet: String,
    acts: Vec<String>,
    steps: String,
}

/// A stage on which `a` runs on n1 from 1 s on, as n1.1.1.
fn hosting() -> Stage {
    Stage::default().step("1s", "start_children = { on = 'n1', ids = ['a'] }")
}

impl Stage {
    fn cluster(mut self, line: &str) -> Self {
        self.cluster += &format!("{line}\n");
        self
    }

    fn network(mut self, line: &str) -> Self {
        self.network += &format!("{line}\n");
        self
    }

    fn puppet(mut self, line: &str) -> Self {
        self.puppet += &format!("{line}\n");
        self
    }

    fn step(mut self, at: &str, action: &str) -> Self {
        self.steps += &format!("[[step]]\nat = '{at}'\n{action}\n");
        self
    }

    /// What the nodes are told, one act per line: `MILLISECONDS NODE ACT...`.
    fn acts(mut self, acts: &str) -> Self {
        let acts = acts.lines().map(str::trim).filter(|act| !act.is_empty());
        self.acts.extend(acts.map(str::to_owned));
        self
    }

    fn run(&self) -> Report {
        self.traced().0
    }

    /// The report, and every event.
    fn traced(&self) -> (Report, Vec<Event>) {
        let Self {
            cluster,
            network,
            puppet,
            acts,
            steps,
        } = self;
        let text = format!(
            "schema = 1\n[run]\nduration = '20s'\nstrategies = ['puppet']\n\
             [cluster]\nnodes = 3\ndiscovery_interval = '1s'\njoin_debounce = '100ms'\n{cluster}\
             [strategy.puppet]\nacts = {acts:?}\n{puppet}\
             [network]\nlatency = {{ constant = '5ms' }}\n{network}\
             {steps}[[expect]]\nmetric = {{ name = 'events', min = 1 }}\n"
        );
        let catalog = Catalog::empty().with::<Puppet>();
        let scenario = Scenario::read("stage.toml", text.as_bytes(), &catalog)
            .unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        let events = Arc::new(Mutex::new(Vec::new()));
        let run = Simulation::new(&scenario, &catalog)
            .strategy("puppet")
            .expect("it runs")
            .seed(1)
            .oracles(oracle::all())
            .sink(Collector(Arc::clone(&events)))
            .run()
            .expect("it runs");
        let events = std::mem::take(&mut *events.lock().expect("one thread"));
        (run, events)
    }

    /// What one oracle finds, each as `DEFECT CAUSE @ NODE MILLISECONDS`.
    fn finds(&self, oracle: &str) -> Vec<String> {
        let told = |violation: &Violation| {
            let Violation {
                defect,
                cause,
                node,
                at_us,
                ..
            } = violation;
            format!("{defect} ({cause}) @ {node} {}", at_us / 1_000)
        };
        let report = self.run();
        let found = report.violations.iter();
        found
            .filter(|violation| violation.oracle == oracle)
            .map(told)
            .collect()
    }

    /// Why an oracle could not judge.
    fn open(&self, oracle: &str) -> Option<String> {
        let open = self.run().inconclusive.into_iter();
        open.filter(|open| open.oracle == oracle)
            .map(|open| open.reason)
            .next()
    }
}
