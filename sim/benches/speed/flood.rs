//! The flood: every message that arrives is forwarded to one random peer. The same work three
//! times: a plain heap, the queue with madsim's clock, and the whole engine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::sync::{Arc, Mutex, OnceLock};

use hublab_sim::bench::{Pending, Queue, Timeline, drive, in_world};
use hublab_sim::catalog::{Catalog, CatalogEntry, NodeConfig, NodeFactory, ParameterError, Params};
use hublab_sim::node::effects::Effects;
use hublab_sim::node::{Node, NodeInput};
use hublab_sim::run::Simulation;
use hublab_sim::scenario::Scenario;
use hublab_sim::stream::{below, draw};
use hublab_sim::world::Stepping;
use hublab_strategies::hub::Sizes;
use hublab_strategies::strategy::{Claim, Limits};
use hublab_strategies::{Channel, Message, NodeId, Registry, Runtime};
use serde::{Deserialize, Serialize};

use crate::table::{Table, float, least_us};

const MESSAGES: u64 = 1_000_000;
const PER_NODE: u64 = 4;
const RUNS: usize = 5;

pub(crate) fn measure(table: &mut Table) {
    for (nodes, limit) in [(100, 4.0), (1_000, 6.0)] {
        let name = |what: &str| format!("flood of {nodes} nodes: {what}");
        let (queues, engine) = (name("queue in madsim"), name("whole engine"));
        if !table.wants(&queues) && !table.wants(&engine) {
            continue;
        }
        let plain = per_message(|| plain(nodes));
        table.note(&name("plain heap loop"), plain, "ns/msg");
        if table.wants(&queues) {
            let slice = per_message(|| queue(nodes, Stepping::Slice));
            let exact = per_message(|| queue(nodes, Stepping::Exact));
            table.note(&format!("{queues}, slice"), slice, "ns/msg");
            table.at_most(&format!("{queues}, slice / plain"), slice / plain, 1.5, "x");
            table.at_most(
                &format!("{queues}, exact / plain"),
                exact / plain,
                12.0,
                "x",
            );
        }
        if table.wants(&engine) {
            let time = whole_engine(nodes);
            table.note(&engine, time, "ns/msg");
            table.at_most(&format!("{engine} / plain"), time / plain, limit, "x");
        }
    }
}

/// The cost of a message in the whole engine: the difference of a long run and a short one, so
/// that booting the cluster does not count.
fn whole_engine(nodes: u64) -> f64 {
    let once = |messages: u64| {
        let (scenario, catalog) = (scenario(nodes, messages), catalog());
        let mut delivered = 0;
        let time = least_us(RUNS, || {
            let done = Simulation::new(&scenario, &catalog)
                .strategy("flood")
                .expect("the flood runs")
                .seed(1)
                .unmeasured()
                .run()
                .expect("the flood runs");
            delivered = done.messages.delivered;
        });
        (time, float(delivered))
    };
    let (short, long) = (once(MESSAGES / 10), once(MESSAGES));
    (long.0 - short.0) * 1e3 / (long.1 - short.1)
}

fn per_message(job: impl FnMut()) -> f64 {
    least_us(RUNS, job) * 1e3 / float(MESSAGES)
}

/// Where message number `k` goes next, and how long it takes.
fn hop(nodes: u64, k: u64) -> (u32, u64) {
    let random = draw(7, k);
    #[expect(clippy::cast_possible_truncation, reason = "below the number of nodes")]
    let to = below(random, nodes) as u32;
    (to, 1_000 + below(random.rotate_left(32), 9_001))
}

fn plain(nodes: u64) {
    let mut heap = BinaryHeap::new();
    let mut seq = 0;
    while seq < nodes * PER_NODE {
        let (to, delay) = hop(nodes, seq);
        heap.push(Reverse((delay, seq, to)));
        seq += 1;
    }
    for _ in 0..MESSAGES {
        let Some(Reverse((now, _, at))) = heap.pop() else {
            return;
        };
        let (to, delay) = hop(nodes, seq);
        black_box(at);
        heap.push(Reverse((now + delay, seq, to)));
        seq += 1;
    }
}

struct Bare {
    queue: Queue,
    nodes: u64,
    seq: u64,
}

impl Timeline for Bare {
    fn next_due(&self) -> Option<u64> {
        self.queue.next_due()
    }

    fn run_through(&mut self, limit: u64) -> bool {
        while let Some((now, _, pending)) = self.queue.pop(limit) {
            black_box(pending);
            let (to, delay) = hop(self.nodes, self.seq);
            self.queue.push(now + delay, Pending::Arrival(to));
            self.seq += 1;
            if self.seq >= MESSAGES {
                return false;
            }
        }
        true
    }
}

fn queue(nodes: u64, stepping: Stepping) {
    in_world(1, async || {
        let mut bare = Bare {
            queue: Queue::default(),
            nodes,
            seq: 0,
        };
        while bare.seq < nodes * PER_NODE {
            let (to, delay) = hop(nodes, bare.seq);
            bare.queue.push(delay, Pending::Arrival(to));
            bare.seq += 1;
        }
        drive(&mut bare, stepping, u64::MAX / 2).await;
    });
}

/// Forwards everything.
struct Forwarder {
    me: usize,
    made: Arc<Mutex<Vec<NodeId>>>,
    names: Arc<OnceLock<Vec<NodeId>>>,
    registry: Registry,
}

#[derive(Debug, Serialize, Deserialize)]
struct Ball;

impl Message for Ball {
    const KINDS: &'static [&'static str] = &["flood.ball"];

    fn kind(&self) -> &'static str {
        "flood.ball"
    }
}

impl Forwarder {
    fn names(&self) -> &[NodeId] {
        let made = || self.made.lock().expect("a factory does not panic").clone();
        self.names.get_or_init(made)
    }

    fn forward(&self, effects: &mut Effects<'_>) {
        let runtime: &mut dyn Runtime<Ball> = effects;
        let names = self.names();
        let others = names.len() as u64 - 1;
        let away = 1 + usize::try_from(below(runtime.random(), others)).expect("an index");
        let to = (self.me + away) % names.len();
        runtime.send(&names[to..=to], Channel::REQUESTS, Ball);
    }
}

impl Node for Forwarder {
    fn handle(&mut self, input: NodeInput<'_>, effects: &mut Effects<'_>) {
        match input {
            NodeInput::Start => (0..PER_NODE).for_each(|_| self.forward(effects)),
            NodeInput::Message { .. } => self.forward(effects),
            NodeInput::Timer(_)
            | NodeInput::PeerUp { .. }
            | NodeInput::PeerDown { .. }
            | NodeInput::Suspect(_)
            | NodeInput::Command(_)
            | NodeInput::Children(_) => {}
        }
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn cluster_view(&self) -> &[NodeId] {
        &self.names()[self.me..=self.me]
    }

    fn sizes(&self) -> Sizes {
        Sizes::default()
    }
}

struct Flood;

impl CatalogEntry for Flood {
    fn name(&self) -> &'static str {
        "flood"
    }

    fn summary(&self) -> &'static str {
        "forwards every message to a random peer"
    }

    fn defaults(&self) -> Params {
        Params::new()
    }

    fn check_key(&self, _key: &str, _value: &serde_json::Value) -> Result<(), ParameterError> {
        Ok(())
    }

    fn configure(&self, _params: &Params) -> Result<NodeFactory, ParameterError> {
        // The names are those that the engine hands out, as a hub's would be. All nodes are made
        // before the first of them starts.
        let made = Arc::new(Mutex::new(Vec::new()));
        let names = Arc::new(OnceLock::new());
        Ok(Box::new(move |name: &NodeId, _: u64, _: &NodeConfig| {
            let mut known = made.lock().expect("a factory does not panic");
            known.push(name.clone());
            Box::new(Forwarder {
                me: known.len() - 1,
                made: Arc::clone(&made),
                names: Arc::clone(&names),
                registry: Registry::new(),
            })
        }))
    }

    fn config_schema(&self) -> serde_json::Value {
        serde_json::Value::Bool(true)
    }

    fn claims(&self) -> &'static [Claim] {
        &[]
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }
}

fn catalog() -> Catalog {
    Catalog::empty().with_entry(Box::new(Flood))
}

/// As long as it takes for about so many messages; loss and copies are drawn and balance.
fn scenario(nodes: u64, messages: u64) -> Scenario {
    let us = messages * 5_500 / (nodes * PER_NODE);
    let text = format!(
        "schema = 1\n[run]\nduration = \"{us}us\"\nstrategies = [\"flood\"]\n[cluster]\nnodes = {nodes}\n\
         [network]\nloss = 0.001\nduplicate = 0.001\norder = \"any\"\n\
         [[expect]]\nmetric = {{ name = \"messages_sent\", min = 1 }}\n"
    );
    Scenario::read("flood.toml", text.as_bytes(), &catalog()).expect("a valid scenario")
}
