//! A run with its whole trace, for tests that read it.

use std::sync::{Arc, Mutex};

use hublab_sim::catalog::Catalog;
use hublab_sim::report::Report;
use hublab_sim::run::Simulation;
use hublab_sim::scenario::Scenario;
use hublab_sim::trace::{Event, Sink};
use hublab_sim::world::Stepping;

/// A run and everything that happened in it.
pub(crate) struct Tape {
    pub(crate) report: Report,
    pub(crate) events: Vec<Event>,
}

/// Reads a scenario file that must be right.
pub(crate) fn read(text: &str, catalog: &Catalog) -> Scenario {
    Scenario::read("test.toml", text.as_bytes(), catalog)
        .unwrap_or_else(|problems| panic!("{problems:?}\n{text}"))
}

/// Runs a scenario and keeps its trace.
pub(crate) fn record(
    scenario: &Scenario,
    strategy: &str,
    seed: u64,
    catalog: &Catalog,
    stepping: Stepping,
) -> Tape {
    let events = Arc::new(Mutex::new(Vec::new()));
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(Collector(Arc::clone(&events)))];
    let report = Simulation::new(scenario, catalog)
        .strategy(strategy)
        .expect("a known strategy")
        .seed(seed)
        .stepping(stepping)
        .sinks(sinks)
        .run()
        .expect("a known strategy");
    let events = std::mem::take(&mut *events.lock().expect("the run is over"));
    Tape { report, events }
}

struct Collector(Arc<Mutex<Vec<Event>>>);

impl Sink for Collector {
    fn event(&mut self, event: &Event) {
        self.0
            .lock()
            .expect("nobody else writes")
            .push(event.clone());
    }
}
