//! Programs that hold a `Hub`, in simulated runs.

mod bounds;
mod rules;

use std::future::Future;
use std::sync::{Arc, Mutex};

use hublab_sim::run::Simulation;
use hublab_sim::trace::event::{Event, Payload};
use hublab_sim::trace::recorder::Sink;
use hublab_sim::{Catalog, Report, Scenario};
use hublab_strategies::live::{Hub, TaskOutput};

/// Marks and injections of a run, as lines: `1.5s n1 text`.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Sink for Notes {
    fn reads_contents(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event) {
        let text = if let Payload::Mark(text) = &event.payload {
            if text == "snapshot_suppressed" {
                // The strategy's.
                return;
            }
            text.to_string()
        } else if let Payload::Injected { action } = &event.payload {
            action.to_string()
        } else if let Payload::Stopped(reason) = &event.payload {
            format!("{reason:?}")
        } else {
            return;
        };
        let line = format!("{} n{} {text}", event.at, event.node + 1);
        self.0.lock().expect("one thread").push(line);
    }
}

/// A run of a program on some nodes, and what it noted.
fn run_on<F, T>(nodes: usize, lines: &str, seed: u64, program: F) -> (Report, Vec<String>)
where
    F: Fn(Hub) -> T + Send + Sync + 'static,
    T: Future<Output: TaskOutput> + Send + 'static,
{
    let catalog = Catalog::default().with_program("program", program);
    let text = format!(
        "schema = 1\n[run]\nduration = '30s'\n[cluster]\nnodes = {nodes}\nprogram = 'program'\n{lines}"
    );
    let scenario = Scenario::read("program.toml", text.as_bytes(), &catalog)
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    let notes = Notes::default();
    let run = Simulation::new(&scenario, &catalog).strategy("pubsub");
    let report = run.and_then(|run| run.seed(seed).sink(notes.clone()).run());
    let lines = notes.0.lock().expect("one thread").clone();
    (report.expect("a known strategy"), lines)
}

/// The kinds of defects of a program that a run found, with their nodes.
fn found(report: &Report) -> Vec<(String, String)> {
    let of_program = report
        .violations
        .iter()
        .filter(|one| one.oracle == "program");
    of_program
        .map(|one| (one.node.clone(), one.defect.clone()))
        .collect()
}
