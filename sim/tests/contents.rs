//! The entries that messages tell, and the metrics that are made of them, against slow and simple counts.

mod tape;

use std::collections::{BTreeMap, BTreeSet};

use hublab_sim::catalog::Catalog;
use hublab_sim::generate::{Options, generate};
use hublab_sim::metric::Number;
use hublab_sim::run::Simulation;
use hublab_sim::scenario::{Scenario, resolve};
use hublab_sim::trace::{Event, Payload};
use hublab_sim::world::Stepping;
use hublab_strategies::{ChildId, Contents, NodeId, Row, wire};
use tape::{Tape, read, record};

/// How many seeds of each strategy: 200, or what `HUBLAB_SEEDS` says.
fn seeds() -> u64 {
    let asked = std::env::var("HUBLAB_SEEDS").ok();
    asked.and_then(|seeds| seeds.parse().ok()).unwrap_or(200)
}

fn generated(catalog: &Catalog, strategy: &str, seed: u64) -> Scenario {
    let entry = catalog.get(strategy).expect("a strategy of the catalog");
    let scenario = generate(seed, entry, &Options::default()).scenario;
    resolve(&scenario, seed, catalog)
}

fn recorded(catalog: &Catalog, strategy: &str, seed: u64) -> Tape {
    let scenario = generated(catalog, strategy, seed);
    record(&scenario, strategy, seed, catalog, Stepping::Slice)
}

/// What a row shows of each node.
fn cells(row: Option<&Row>) -> BTreeMap<&NodeId, Vec<String>> {
    let mut cells: BTreeMap<&NodeId, Vec<String>> = BTreeMap::new();
    for entry in row.iter().flat_map(|row| row.entries.iter()) {
        let metadata = row.map(|row| row.metadata_on(&entry.node));
        let shown = format!("{:?} {metadata:?}", entry.pid);
        cells.entry(&entry.node).or_default().push(shown);
    }
    cells.values_mut().for_each(|shown| shown.sort());
    cells
}

fn lists(contents: &Contents, child: &ChildId, node: &NodeId) -> bool {
    let mut lists = contents.lists().iter();
    lists.any(|list| list.node == *node && list.children.contains(child))
}

#[derive(Default)]
struct Slow {
    /// By the event of a delivery: the contents.
    delivered: BTreeMap<u64, Contents>,
    /// Delivery, child, node.
    changed: BTreeSet<(u64, ChildId, NodeId)>,
    rows: BTreeMap<u32, BTreeMap<ChildId, Row>>,
    strategy: BTreeMap<u32, u64>,
    most: u64,
}

impl Slow {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a fold looks at the events that concern it"
    )]
    fn event(&mut self, event: &Event) {
        let node = event.node;
        match &event.payload {
            Payload::Delivered { contents, .. } => {
                let contents = contents.clone().expect("all strategies tell");
                self.delivered.insert(event.id, contents);
            }
            Payload::Row {
                child,
                before,
                after,
            } => {
                if let Some(contents) = self.delivered.get(&event.cause) {
                    let (before, after) = (cells(before.as_deref()), cells(after.as_deref()));
                    for node in before.keys().chain(after.keys()) {
                        if before.get(node) != after.get(node) && lists(contents, child, node) {
                            let key = (event.cause, child.clone(), (*node).clone());
                            self.changed.insert(key);
                        }
                    }
                }
                let rows = self.rows.entry(node).or_default();
                match after {
                    Some(after) => drop(rows.insert(child.clone(), (**after).clone())),
                    None => drop(rows.remove(child)),
                }
                self.look(node);
            }
            Payload::Stopped(_) => {
                self.rows.remove(&node);
                self.strategy.remove(&node);
            }
            Payload::Sizes(sizes) => {
                self.strategy.insert(node, sizes.strategy_bytes);
                self.look(node);
            }
            _ => {}
        }
    }

    fn look(&mut self, node: u32) {
        let rows = self.rows.get(&node).into_iter().flat_map(BTreeMap::values);
        let bytes: u64 = rows.map(wire::encoded_len).sum();
        let strategy = self.strategy.get(&node).copied().unwrap_or(0);
        self.most = self.most.max(bytes + strategy);
    }
}

#[test]
fn entries_in_vain_and_the_largest_state_of_generated_runs_are_those_of_a_slow_count() {
    let catalog = Catalog::default();
    for strategy in catalog.names() {
        let (mut received_in_all, mut changed_in_all, mut beside) = (0, 0, 0);
        for seed in 0..seeds() {
            let tape = recorded(&catalog, strategy, seed);
            let measured = tape.report.measured.as_ref().expect("it was measured");
            let mut slow = Slow::default();
            tape.events.iter().for_each(|event| slow.event(event));
            let received: u64 = slow.delivered.values().map(Contents::entries).sum();
            let changed = slow.changed.len() as u64;
            let what = format!("{strategy}, seed {seed}");
            assert_eq!(measured.entries, Some([received, changed]), "{what}");
            assert_eq!(measured.state_bytes, slow.most, "{what}");
            received_in_all += received;
            changed_in_all += changed;
            beside = slow
                .strategy
                .values()
                .copied()
                .max()
                .max(Some(beside))
                .unwrap_or(0);
        }
        assert!(changed_in_all > 100, "{strategy}: {changed_in_all}");
        assert!(received_in_all > changed_in_all, "{strategy}");
        // The strategy without a state of its own is the only one that has none.
        assert_eq!(beside == 0, strategy == "owner_broadcast", "{strategy}");
    }
}

#[test]
fn rounds_that_repeat_what_is_known_are_redundant() {
    let catalog = Catalog::default();
    let text = "schema = 1\n[run]\nduration = '70s'\n[cluster]\nnodes = 3\n\
                [[step]]\nat = '10s'\nstart_children = { on = 'n2', ids = ['a'] }\n";
    let report = record(
        &read(text, &catalog),
        "pubsub",
        1,
        &catalog,
        Stepping::Slice,
    )
    .report;
    let measured = report.measured.as_ref().expect("it was measured");
    // One entry to each of two nodes at the start, and again in each of two rounds.
    assert_eq!(measured.entries, Some([6, 2]));
    assert_eq!(
        report.metric("redundant_rows"),
        Some(Number::Real(4.0 / 6.0))
    );
}

/// Where an entry comes to be shown because of a message, that message tells of it. A strategy that keeps
/// some for later shows them because of another one: then an earlier message told of it.
#[test]
fn what_comes_by_a_message_is_among_the_entries_that_it_tells() {
    let catalog = Catalog::default();
    for strategy in catalog.names() {
        let mut seen = 0;
        for seed in 0..seeds() {
            let nodes = generated(&catalog, strategy, seed).cluster.nodes;
            let tape = recorded(&catalog, strategy, seed);
            let mut delivered: BTreeMap<u64, &Contents> = BTreeMap::new();
            let mut told: BTreeMap<u32, BTreeSet<(&ChildId, &NodeId)>> = BTreeMap::new();
            for event in &tape.events {
                if let Payload::Delivered { contents, .. } = &event.payload {
                    let contents = contents.as_ref().expect("all strategies tell");
                    delivered.insert(event.id, contents);
                    let told = told.entry(event.node).or_default();
                    for list in contents.lists() {
                        told.extend(list.children.iter().map(|child| (child, &list.node)));
                    }
                } else if let Payload::Row {
                    child,
                    before,
                    after,
                } = &event.payload
                    && let Some(contents) = delivered.get(&event.cause)
                {
                    let before = cells(before.as_deref());
                    for node in cells(after.as_deref()).keys() {
                        // What a node runs itself it starts because it is asked to.
                        if before.contains_key(node) || nodes[event.node as usize] == **node {
                            continue;
                        }
                        let is_told = match strategy {
                            "delta_crdt" | "gossip" | "owner_log" | "pubsub_versioned"
                            | "scuttlebutt" | "tracker" => {
                                told[&event.node].contains(&(child, *node))
                            }
                            _ => lists(contents, child, node),
                        };
                        assert!(is_told, "{strategy}, seed {seed}: {event:?}");
                        seen += 1;
                    }
                }
            }
        }
        assert!(seen > 100, "{strategy}: {seen}");
    }
}

#[test]
fn a_run_whose_messages_nobody_reads_has_the_same_digest() {
    let catalog = Catalog::default();
    for strategy in catalog.names() {
        for seed in 0..10 {
            let scenario = generated(&catalog, strategy, seed);
            let unread = Simulation::new(&scenario, &catalog)
                .strategy(strategy)
                .expect("a strategy of the catalog")
                .seed(seed)
                .unmeasured()
                .run()
                .expect("it runs");
            let tape = record(&scenario, strategy, seed, &catalog, Stepping::Slice);
            assert_eq!(unread.digest, tape.report.digest, "{strategy}, seed {seed}");
        }
    }
}
