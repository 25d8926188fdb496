//! Work that must not grow faster than what happens: counted, not timed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use hublab_strategies::hub::Sizes;
use hublab_strategies::{Channel, Message, Registry, Runtime};
use serde::{Deserialize, Serialize};

use super::*;
use crate::catalog::{Catalog, NodeConfig, NodeFactory};
use crate::scenario::resolve;

/// The engine of a file, with nodes that run PubSub if they are not given.
fn engine(text: &str, factory: Option<NodeFactory>) -> Engine {
    let catalog = Catalog::default();
    let scenario = Scenario::read("work.toml", text.as_bytes(), &catalog).expect("a scenario");
    let scenario = resolve(&scenario, 1, &catalog);
    let entry = catalog.get("pubsub").expect("a port");
    let hubs = || {
        entry
            .configure(&scenario.strategies["pubsub"])
            .expect("its parameters")
    };
    Engine::new(
        &scenario,
        NodeFactories::alike(&scenario, factory.unwrap_or_else(hubs)),
        Observers::new(&scenario, &entry.facts(&scenario), Vec::new()),
        Recorder::new(Vec::new()),
        u64::MAX,
    )
}

/// The engine of a file, run to its end.
fn ran(text: &str) -> Engine {
    let mut engine = engine(text, None);
    engine.start();
    assert!(engine.run_through(u64::MAX), "it comes to its end");
    engine
}

#[test]
fn pairs_that_go_down_look_at_their_own_messages_alone() {
    for nodes in [10, 40] {
        let half = nodes / 2;
        let engine = ran(&format!(
            "schema = 1\n[run]\nduration = '8s'\n[cluster]\nnodes = {nodes}\ndiscovery_interval = '1s'\n\
             down_after = '5s'\ndown_spread = 0.0\n[strategy.pubsub]\nsync_interval = '1h'\n\
             [[step]]\nat = '1500ms'\npause = {{ nodes = ['n1..n{half}'] }}\n"
        ));
        let looked_at = engine.flights.looked_at.get();
        assert!(looked_at > 0, "messages wait for the paused nodes");
        // Each once when its pair goes down, and those that remain on its link once more.
        assert!(
            looked_at <= engine.recorder.events(),
            "{nodes} nodes: {looked_at}"
        );
    }
}

#[test]
fn cuts_look_at_the_pairs_and_messages_of_their_own_links_alone() {
    for cuts in [10, 40] {
        let mut text = String::from(
            "schema = 1\n[run]\nduration = '50s'\n[cluster]\nnodes = 30\n[network]\nlatency = { constant = '200ms' }\n",
        );
        for number in 0..cuts {
            let at = 10_100 + number * 5;
            let (from, to) = (number % 30 + 1, (number * 7 + 3) % 30 + 1);
            if from != to {
                text += &format!(
                    "[[step]]\nat = '{at}ms'\ncut = {{ from = ['n{from}'], to = ['n{to}'], heal_after = '1s' }}\n"
                );
            }
        }
        let engine = ran(&text);
        // One pair for each cut, and again for each that is mended.
        assert!(engine.refreshed <= 2 * cuts, "{}", engine.refreshed);
        assert!(engine.flights.looked_at.get() <= 4 * cuts);
    }
}

#[test]
fn a_crash_behind_a_cut_keeps_no_later_notice() {
    let mut text = String::from(
        "schema = 1\n[run]\nduration = '200s'\n[cluster]\nnodes = 4\ndown_after = '1h'\n\
         [[step]]\nat = '1s'\ncut = { from = ['n1'], to = ['n2'] }\n\
         [[step]]\nat = '2s'\ncrash = { nodes = ['n1'] }\n",
    );
    for round in 0..20 {
        let at = 10 + 2 * round;
        text += &format!("[[step]]\nat = '{at}s'\ncrash = {{ nodes = ['n3'] }}\n");
        text += &format!(
            "[[step]]\nat = '{}s'\nrestart = {{ nodes = ['n3'] }}\n",
            at + 1
        );
    }
    let engine = ran(&text);
    // One waits for the cut, and the slots of those that came are used again.
    assert!(engine.notices.slots() <= 4, "{}", engine.notices.slots());
}

/// A message of a kind of its own.
#[derive(Debug, Serialize, Deserialize)]
struct Word(u16);

impl Message for Word {
    const KINDS: &'static [&'static str] = &[];

    fn kind(&self) -> &'static str {
        static KINDS: LazyLock<Vec<String>> =
            LazyLock::new(|| (0..300).map(|number| format!("word.{number}")).collect());
        KINDS[usize::from(self.0)].as_str()
    }
}

/// Sends so many kinds of messages when it boots.
struct Talker {
    words: u16,
    to: [NodeId; 1],
    registry: Registry,
}

impl Node for Talker {
    fn handle(&mut self, input: NodeInput<'_>, effects: &mut Effects<'_>) {
        if let NodeInput::Start = input {
            let runtime: &mut dyn Runtime<Word> = effects;
            (0..self.words).for_each(|word| runtime.send(&self.to, Channel::REQUESTS, Word(word)));
        }
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn cluster_view(&self) -> &[NodeId] {
        &self.to
    }

    fn sizes(&self) -> Sizes {
        Sizes::default()
    }
}

#[test]
fn one_kind_of_message_too_many_is_the_fault_of_the_node_that_sends_it() {
    let start = |words| {
        let talker = move |_: &NodeId, _, _: &NodeConfig| -> Box<dyn Node> {
            let to = [NodeId::new("n2")];
            let registry = Registry::new();
            Box::new(Talker {
                words,
                to,
                registry,
            })
        };
        let text = "schema = 1\n[cluster]\nnodes = 2\nstart = ['n1']\n";
        let mut engine = engine(text, Some(Box::new(talker)));
        let outcome = catch_unwind(AssertUnwindSafe(|| engine.start()));
        (engine, outcome)
    };
    assert!(start(256).1.is_ok());
    let (mut engine, outcome) = start(257);
    let panic = outcome.expect_err("there are 256 numbers");
    let message = panic.downcast_ref::<&str>().expect("a text");
    assert_eq!(*message, TOO_MANY_KINDS);
    assert!(engine.note_panic(message), "as if its step had panicked");
}
