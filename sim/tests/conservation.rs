//! Conservation: sent + duplicated = delivered + dropped + in flight, whatever happens. The
//! engine checks its own books per link and kind at the end of every run; here the report and the
//! trace are held to the same, on clusters and faults that nobody thought of.

mod tape;

use std::collections::BTreeMap;
use std::fmt::Write;

use hublab_sim::catalog::Catalog;
use hublab_sim::report::Report;
use hublab_sim::trace::{Event, EventId, Payload};
use hublab_sim::world::Stepping;
use proptest::prelude::*;
use tape::{Tape, read, record};

/// What a node is doing, so that only steps are made that can be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Never,
    Up,
    Paused,
    Down,
}

/// A scenario in the making.
struct Script {
    text: String,
    at_ms: u64,
    states: Vec<State>,
}

/// The raw material of one step: what, two nodes, a number, and the time since the last one.
type Choice = (u8, usize, usize, u32, u64);

impl Script {
    fn new(nodes: usize, network: &str) -> Self {
        let mut states = vec![State::Up; nodes];
        states[nodes - 1] = State::Never;
        let text = format!(
            "schema = 1\n[run]\nduration = \"40s\"\n[cluster]\nnodes = {nodes}\nstart = [\"n1..n{}\"]\n\
             discovery_interval = \"3s\"\ndown_after = \"2s\"\n[strategy.pubsub]\nsync_interval = \"4s\"\n\
             [strategy.gossip]\nsync_interval = \"4s\"\n[network]\n{network}\n",
            nodes - 1
        );
        Self {
            text,
            at_ms: 0,
            states,
        }
    }

    fn step(&mut self, action: &str) {
        let _ = write!(
            self.text,
            "\n[[step]]\nat = \"{}ms\"\n{action}\n",
            self.at_ms
        );
    }

    /// Adds the step that a choice stands for, if the state of its node allows it.
    fn choose(&mut self, (what, node, other, number, wait_ms): Choice) {
        self.at_ms = (self.at_ms + wait_ms).min(39_000);
        let (node, other) = (node % self.states.len(), other % self.states.len());
        let name = |node: usize| format!("n{}", node + 1);
        let (on, to) = (name(node), name(other));
        let in_flight = ["drop", "deliver", "hold"][number as usize % 3];
        let state = self.states[node];
        let is_running = matches!(state, State::Up | State::Paused);
        match what % 14 {
            0 => match state {
                State::Never => self.turn(node, "join", State::Up),
                State::Down => self.turn(node, "restart", State::Up),
                State::Up => self.turn(node, "crash", State::Down),
                State::Paused => self.turn(node, "resume", State::Up),
            },
            1 if state == State::Up => self.turn(node, "pause", State::Paused),
            2 if is_running => self.turn(node, "leave", State::Down),
            3 => {
                let groups: Vec<String> = [0, 1].map(|side| self.side(number, side)).into();
                self.step(&format!(
                    "partition = {{ groups = [{}], in_flight = \"{in_flight}\" }}",
                    groups.join(", ")
                ));
            }
            4 if on != to => self.step(&format!(
                "cut = {{ from = [\"{on}\"], to = [\"{to}\"], in_flight = \"{in_flight}\", heal_after = \"{}ms\" }}",
                1 + number % 900
            )),
            5 => self.step("heal = true"),
            6 => self.step(&format!(
                "link = {{ from = [\"{on}\"], to = [\"{to}\"], latency = {{ constant = \"{}ms\" }}, loss = 0.2, \
                 duplicate = 0.2, order = \"{}\", bytes_per_second = {} }}",
                number % 3_000,
                if number.is_multiple_of(2) { "any" } else { "fifo" },
                number % 5_000
            )),
            7 if is_running => self.step(&format!("sync = {{ on = \"{on}\" }}")),
            8 if is_running => self.step(&format!("broadcast = {{ on = \"{on}\", to = [\"{to}\"] }}")),
            9 if is_running => {
                self.step(&format!("stop_children = {{ on = \"{on}\", count = 2, prefix = \"c\" }}"));
            }
            10..=13 if is_running && matches!(self.states[other], State::Up | State::Paused) => self.step(&format!(
                "start_children = {{ on = \"{on}\", count = {}, prefix = \"c\", via = \"{to}\" }}",
                1 + number % 4
            )),
            _ => {}
        }
    }

    fn turn(&mut self, node: usize, action: &str, state: State) {
        self.step(&format!("{action} = {{ nodes = [\"n{}\"] }}", node + 1));
        self.states[node] = state;
    }

    /// One side of a partition: the nodes whose bit in `mask` is `side`.
    fn side(&self, mask: u32, side: u32) -> String {
        let names: Vec<String> = (0..self.states.len())
            .filter(|node| (mask >> node) & 1 == side)
            .map(|node| format!("\"n{}\"", node + 1))
            .collect();
        format!("[{}]", names.join(", "))
    }
}

fn network() -> impl Strategy<Value = String> {
    let latency = prop_oneof![
        Just(r#"{ constant = "5ms" }"#),
        Just(r#"{ uniform = ["1ms", "800ms"] }"#),
        Just(r#"{ exponential = { min = "0us", mean = "40ms" } }"#),
        Just(r#"{ bimodal = { fast = "1ms", slow = "5s", slow_share = 0.1 } }"#),
    ];
    let order = prop_oneof![Just("fifo"), Just("any")];
    (latency, 0..=20_u32, 0..=10_u32, order, 0..=3_u32, 0..=2_u32, 0..=1_u32).prop_map(
        |(latency, loss, duplicate, order, service, gap, limited)| {
            format!(
                "latency = {latency}\nloss = 0.{loss:02}\nduplicate = 0.{duplicate:02}\norder = \"{order}\"\n\
                 service_time = \"{service}ms\"\nsend_gap = \"{gap}ms\"\nbytes_per_second = {}",
                limited * 20_000
            )
        },
    )
}

/// sent + duplicated = delivered + dropped + in flight, in total and per kind, and the totals are
/// the sums.
fn assert_balanced(report: &Report) {
    let messages = &report.messages;
    let mut sums = [0; 5];
    for (kind, counts) in &messages.by_kind {
        assert_eq!(
            counts.sent + counts.duplicated,
            counts.delivered + counts.dropped + counts.in_flight,
            "{kind}"
        );
        let values = [
            counts.sent,
            counts.duplicated,
            counts.delivered,
            counts.dropped,
            counts.in_flight,
        ];
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
    let totals = [
        messages.sent,
        messages.duplicated,
        messages.delivered,
        messages.dropped,
        messages.in_flight,
    ];
    assert_eq!(totals, sums);
}

/// Every message of the trace, and every copy, ends at most once; those that never end are those
/// that the report calls in flight.
fn assert_traced(tape: &Tape) {
    let mut open: BTreeMap<EventId, u64> = BTreeMap::new();
    let mut duplicated = 0;
    for event in &tape.events {
        if matches!(event.payload, Payload::Sent { .. }) {
            open.insert(event.id, 1);
        } else if matches!(event.payload, Payload::Duplicated { .. }) {
            *open.get_mut(&event.cause).expect("a copy has an original") += 1;
            duplicated += 1;
        } else if matches!(
            event.payload,
            Payload::Delivered { .. } | Payload::Dropped { .. }
        ) {
            end(&mut open, event);
        }
    }
    assert_eq!(duplicated, tape.report.messages.duplicated);
    assert_eq!(open.values().sum::<u64>(), tape.report.messages.in_flight);
}

fn end(open: &mut BTreeMap<EventId, u64>, event: &Event) {
    let left = open
        .get_mut(&event.cause)
        .expect("only what was sent can end");
    *left = left
        .checked_sub(1)
        .unwrap_or_else(|| panic!("ended once too often: {event:?}"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_message_is_made_or_lost_by_the_engine(
        nodes in 3..=5_usize,
        network in network(),
        choices in prop::collection::vec((any::<u8>(), 0..8_usize, 0..8_usize, any::<u32>(), 0..3_000_u64), 6..32),
        seed in any::<u32>(),
    ) {
        let catalog = Catalog::default();
        let mut script = Script::new(nodes, &network);
        choices.into_iter().for_each(|choice| script.choose(choice));
        script.text.push_str("\n[[expect]]\nalways = \"no_crash\"\n");
        let scenario = read(&script.text, &catalog);
        for strategy in ["pubsub", "gossip"] {
            let tape = record(&scenario, strategy, u64::from(seed), &catalog, Stepping::Slice);
            assert_balanced(&tape.report);
            assert_traced(&tape);
        }
    }
}

#[test]
fn messages_on_the_way_at_the_end_are_counted_as_such() {
    let text = r#"
schema = 1
[run]
duration = "10s"
[cluster]
nodes = 2
discovery_interval = "1h"
[network]
latency = { constant = "3s" }
[[step]]
at = "8s"
start_children = { on = "n1", ids = ["a"] }
[[expect]]
always = "no_crash"
"#;
    let catalog = Catalog::default();
    let tape = record(
        &read(text, &catalog),
        "pubsub",
        1,
        &catalog,
        Stepping::Slice,
    );
    assert_eq!(tape.report.messages.by_kind["pubsub.requests"].in_flight, 1);
    assert_balanced(&tape.report);
    assert_traced(&tape);
}
