//! Capsules: what is written is read back, and nothing else is; and what is made of them.

#![expect(clippy::unwrap_used, reason = "a test that panics fails")]

mod compared;
mod file;
mod text;

use std::sync::{Arc, LazyLock, Mutex};

use hublab_sim::capsule::twice::record;
use hublab_sim::capsule::{CHECKPOINT, MemoryCapsule};
use hublab_sim::capsule::{Capsule, CapsuleError, Header, Limits, Recording};
use hublab_sim::catalog::Catalog;
use hublab_sim::report::Report;
use hublab_sim::run::Simulation;
use hublab_sim::scenario::Scenario;
use hublab_sim::trace::{Event, Sink};

/// Small, and with something of everything.
const STORY: &str = r#"
schema = 1
name = "story"
[run]
duration = "60s"
[cluster]
nodes = 3
down_after = "5s"
[strategy.pubsub]
sync_interval = "5s"
[strategy.gossip]
sync_interval = "1s"
[network]
latency = { constant = "2ms" }
loss = 0.02
duplicate = 0.05
[[step]]
at = "2s"
start_children = { on = "n1", ids = ["a", "b"], metadata = { team = "blue" } }
[[step]]
at = "10s..12s"
partition = { groups = [["n1", "n2"], ["n3"]], heal_after = "10s" }
[[step]]
at = "30s"
stop_children = { on = "n1", ids = ["b", "no-such-child"] }
[[step]]
at = "40s"
crash = { nodes = ["n2"] }
[[step]]
at = "45s"
restart = { nodes = ["n2"] }
"#;

/// Without chance, and so short that it can be read.
const SHORT: &str = r#"
schema = 1
name = "short"
[run]
duration = "3s"
[cluster]
nodes = 2
[network]
latency = { constant = "2ms" }
[[step]]
at = "1s"
start_children = { on = "n1", ids = ["a"], metadata = { team = "blue" } }
[[step]]
at = "2s"
stop_children = { on = "n1", ids = ["a"] }
[[step]]
at = "2500ms"
crash = { nodes = ["n2"] }
"#;

fn scenario(text: &str) -> Scenario {
    Scenario::read("test.toml", text.as_bytes(), &Catalog::default()).unwrap()
}

fn recorded(text: &str, strategy: &str, seed: u64) -> MemoryCapsule {
    record(&scenario(text), strategy, seed, &Catalog::default())
        .unwrap()
        .1
}

fn bytes_of(text: &str, strategy: &str, seed: u64) -> Vec<u8> {
    let catalog = Catalog::default();
    let header = Header::new(&scenario(text), strategy, seed, &catalog);
    let recording = Recording::in_memory(&header, Limits::default()).unwrap();
    let run = Simulation::new(&scenario(text), &catalog)
        .strategy(strategy)
        .unwrap()
        .seed(seed)
        .sinks([recording.sink()])
        .run()
        .unwrap();
    recording.finish(&run).unwrap().into_inner()
}

fn open(bytes: &[u8]) -> Result<MemoryCapsule, CapsuleError> {
    Capsule::from_bytes(bytes.to_vec(), Limits::default())
}

/// Opens a capsule and reads it to its end.
fn read_all(bytes: &[u8]) -> Result<Vec<Event>, CapsuleError> {
    open(bytes)?.events().collect()
}

/// A capsule of several blocks, and what is in it.
static CAPSULE: LazyLock<(Vec<u8>, Vec<Event>)> = LazyLock::new(|| {
    let bytes = bytes_of(STORY, "gossip", 7);
    let events = read_all(&bytes).unwrap();
    assert!(
        events.len() as u64 > 2 * CHECKPOINT,
        "{} events",
        events.len()
    );
    (bytes, events)
});

#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<Event>>>);

impl Sink for Listener {
    fn event(&mut self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

fn listened(text: &str, strategy: &str, seed: u64) -> (Report, Vec<Event>) {
    let listener = Listener::default();
    let run = Simulation::new(&scenario(text), &Catalog::default())
        .strategy(strategy)
        .unwrap()
        .seed(seed)
        .sink(listener.clone())
        .run()
        .unwrap();
    let events = std::mem::take(&mut *listener.0.lock().unwrap());
    (run, events)
}
