//! Fidelity of time, seen through the whole engine: messages take what their law says, timers
//! fire when they were set to, and nothing is late because much happens at once.

mod tape;

use std::time::Duration;

use hublab_sim::catalog::Catalog;
use hublab_sim::trace::{Event, Payload};
use hublab_sim::world::Stepping;
use hublab_strategies::strategy::{Claim, ConfigError};
use hublab_strategies::{
    Channel, Context, EventStrategy, Members, Message, NodeId, Requests, Strategy, TimerKey,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tape::{Tape, read, record};

/// A strategy that keeps no registry: asked to propagate something to some nodes, it sends them
/// many messages in one instant; and it counts time in short ticks.
struct Probe(ProbeConfig);

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ProbeConfig {
    /// Messages to each node on each channel.
    messages: usize,
    /// How many of the four channels carry them.
    channels: usize,
    /// Ticks, each 10 us after the one before.
    ticks: u64,
}

const CHANNELS: [Channel; 4] = [
    Channel::REQUESTS,
    Channel::SYNC,
    Channel::JOIN,
    Channel::CONTROL,
];
const TICK: Duration = Duration::from_micros(10);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ping;

impl Message for Ping {
    const KINDS: &'static [&'static str] = &["probe.ping"];

    fn kind(&self) -> &'static str {
        "probe.ping"
    }
}

type Cx<'a> = Context<'a, Ping>;

impl EventStrategy for Probe {
    type Message = Ping;

    fn start(&mut self, cx: &mut Cx<'_>) {
        if self.0.ticks > 0 {
            cx.set_timer(1, TICK);
        }
    }

    fn propagate(&mut self, cx: &mut Cx<'_>, _requests: Requests, members: &Members) {
        let Members::Nodes(nodes) = members else {
            return;
        };
        for _ in 0..self.0.messages {
            for channel in &CHANNELS[..self.0.channels] {
                cx.send(nodes, *channel, Ping);
            }
        }
    }

    fn handle_timer(&mut self, cx: &mut Cx<'_>, key: u64) {
        if key < self.0.ticks {
            cx.set_timer(key + 1, TICK);
        }
    }

    fn handle_message(&mut self, _cx: &mut Cx<'_>, _from: &NodeId, _message: &Ping) {}
}

impl Strategy for Probe {
    const NAME: &'static str = "probe";
    const SUMMARY: &'static str = "floods and ticks";
    type Config = ProbeConfig;

    fn new(config: &ProbeConfig) -> Result<Self, ConfigError> {
        Ok(Self(config.clone()))
    }

    fn claims() -> &'static [Claim] {
        &[]
    }
}

/// Runs `nodes` nodes with these lines of `[strategy.probe]` and `[network]`; each instant of
/// `floods`, in milliseconds, makes every node flood all others.
fn probe(
    nodes: usize,
    parameters: &str,
    network: &str,
    floods: &[u64],
    seed: u64,
    stepping: Stepping,
) -> Tape {
    let catalog = Catalog::empty().with::<Probe>();
    let mut text = format!(
        "schema = 1\n[run]\nduration = \"600s\"\nstrategies = [\"probe\"]\n[cluster]\nnodes = {nodes}\n\
         discovery_interval = \"1h\"\n[strategy.probe]\n{parameters}\n[network]\n{network}\n"
    );
    for (at, from) in floods
        .iter()
        .flat_map(|at| (1..=nodes).map(move |from| (at, from)))
    {
        let others: Vec<String> = (1..=nodes)
            .filter(|to| *to != from)
            .map(|to| format!("\"n{to}\""))
            .collect();
        text.push_str(&format!(
            "\n[[step]]\nat = \"{at}ms\"\npropagate = {{ from = \"n{from}\", members = [{}], \
             requests = [{{ unregister = [{{ child = \"x\", nodes = [\"n1\"] }}] }}] }}\n",
            others.join(", ")
        ));
    }
    text.push_str("\n[[expect]]\nalways = \"no_crash\"\n");
    record(&read(&text, &catalog), "probe", seed, &catalog, stepping)
}

/// One message that was delivered.
#[derive(Debug, Clone, Copy)]
struct Trip {
    /// From, to, channel.
    lane: (u32, u32, u8),
    number: u64,
    sent_us: u64,
    delivered_us: u64,
}

/// The probe's messages in the order of their delivery.
fn trips(tape: &Tape) -> Vec<Trip> {
    let trip = |event: &Event| {
        let Payload::Delivered { from, number, .. } = event.payload else {
            return None;
        };
        let place = usize::try_from(event.cause).ok()?.checked_sub(1)?;
        let sent = &tape.events[place];
        assert_eq!(
            sent.id, event.cause,
            "events are numbered from 1 without a gap"
        );
        let Payload::Sent {
            channel, hops: 1, ..
        } = sent.payload
        else {
            return None;
        };
        let trip = Trip {
            lane: (from, event.node, channel),
            number,
            sent_us: sent.at.0,
            delivered_us: event.at.0,
        };
        // Announcements are sent at time 0, pings are not.
        (trip.sent_us > 0).then_some(trip)
    };
    tape.events.iter().filter_map(trip).collect()
}

const STEPPINGS: [Stepping; 2] = [Stepping::Slice, Stepping::Exact];

#[test]
fn a_thousand_messages_of_one_instant_all_arrive_after_the_constant_latency() {
    for stepping in STEPPINGS {
        for order in ["fifo", "any"] {
            let network = format!("latency = {{ constant = \"5ms\" }}\norder = \"{order}\"");
            let tape = probe(
                2,
                "messages = 1000\nchannels = 1",
                &network,
                &[1_000],
                1,
                stepping,
            );
            let trips = trips(&tape);
            assert_eq!(trips.len(), 2_000);
            assert!(
                trips.iter().all(|trip| trip.delivered_us == 1_005_000),
                "{stepping:?}, {order}"
            );
        }
    }
}

#[test]
fn constant_latency_keeps_the_order_on_every_channel() {
    let links =
        "\n[[network.link]]\nfrom = [\"n1\"]\nto = \"all\"\nlatency = { constant = \"40ms\" }";
    for order in ["fifo", "any"] {
        let network = format!("latency = {{ constant = \"3ms\" }}\norder = \"{order}\"{links}");
        let floods = [1_000, 1_001, 1_002, 1_500];
        let tape = probe(
            4,
            "messages = 50\nchannels = 4",
            &network,
            &floods,
            1,
            Stepping::Slice,
        );
        let mut last = std::collections::BTreeMap::new();
        let trips = trips(&tape);
        assert_eq!(trips.len(), floods.len() * 50 * 4 * 4 * 3);
        for trip in trips {
            let constant = if trip.lane.0 == 0 { 40_000 } else { 3_000 };
            assert_eq!(trip.delivered_us, trip.sent_us + constant);
            let before = last.insert(trip.lane, trip.number);
            assert!(
                before < Some(trip.number),
                "{trip:?} after number {before:?}"
            );
        }
    }
}

#[test]
fn a_timer_of_ten_microseconds_fires_at_its_instant() {
    for stepping in STEPPINGS {
        let network = "latency = { uniform = [\"1us\", \"90us\"] }";
        let tape = probe(3, "ticks = 1000", network, &[], 1, stepping);
        let mut ticks = 0;
        for event in &tape.events {
            if let Payload::Timer(TimerKey::Strategy(key)) = event.payload {
                assert_eq!(event.at.0, key * 10, "{stepping:?}");
                ticks += 1;
            }
        }
        assert_eq!(ticks, 3_000);
    }
}

/// A law as a scenario states it, and what it says of a latency, by its formulas.
struct LawCase {
    latency: &'static str,
    /// The probability of at most so many microseconds.
    cdf: fn(f64) -> f64,
    mean: f64,
    p99: f64,
}

/// The standard normal distribution.
fn normal(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// The standard normal quantile of 0.99, from the tables.
const Z_99: f64 = 2.326_347_874;

/// With few draws in a heavy tail a sample's own 99th percentile is not within 1 % of the law's;
/// these laws are narrow enough for 100,000 draws.
fn law_cases() -> Vec<LawCase> {
    let sigma = libm::log(2.0) / Z_99;
    vec![
        LawCase {
            latency: r#"{ uniform = ["1ms", "10ms"] }"#,
            // Both ends included, in whole microseconds.
            cdf: |us| ((us + 0.5 - 1_000.0) / 9_001.0).clamp(0.0, 1.0),
            mean: 5_500.0,
            p99: 9_910.0,
        },
        LawCase {
            latency: r#"{ exponential = { min = "10ms", mean = "12ms" } }"#,
            cdf: |us| {
                if us < 10_000.0 {
                    0.0
                } else {
                    1.0 - libm::exp(-(us - 10_000.0) / 2_000.0)
                }
            },
            mean: 12_000.0,
            p99: 10_000.0 + 2_000.0 * libm::log(100.0),
        },
        LawCase {
            latency: r#"{ lognormal = { median = "5ms", p99 = "10ms" } }"#,
            cdf: |us| {
                if us <= 0.0 {
                    0.0
                } else {
                    normal(libm::log(us / 5_000.0) * Z_99 / libm::log(2.0))
                }
            },
            mean: 5_000.0 * libm::exp(sigma * sigma / 2.0),
            p99: 10_000.0,
        },
    ]
}

const DRAWS: usize = 100_000;

/// The Kolmogorov-Smirnov distance that 100,000 true draws exceed once in a hundred samples.
const DISTANCE_MAX: f64 = 0.0052;

/// 100,000 latencies of one link, sorted, measured from the send to the delivery.
fn latencies(latency: &str, seed: u64) -> Vec<u64> {
    let network = format!("latency = {latency}\norder = \"any\"");
    // Half from each end.
    let parameters = format!("messages = {}\nchannels = 1", DRAWS / 2);
    let tape = probe(2, &parameters, &network, &[1_000], seed, Stepping::Slice);
    let mut latencies: Vec<u64> = trips(&tape)
        .iter()
        .map(|trip| trip.delivered_us - trip.sent_us)
        .collect();
    assert_eq!(latencies.len(), DRAWS);
    latencies.sort_unstable();
    latencies
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn mean(latencies: &[u64]) -> f64 {
    latencies.iter().sum::<u64>() as f64 / latencies.len() as f64
}

/// The Kolmogorov-Smirnov distance. A value stands for all that is rounded to it.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn distance(sorted: &[u64], cdf: fn(f64) -> f64) -> f64 {
    let share = |count: usize| count as f64 / sorted.len() as f64;
    let mut largest: f64 = 0.0;
    let mut below = 0;
    for equal in sorted.chunk_by(|left, right| left == right) {
        let value = equal[0] as f64;
        let through = below + equal.len();
        largest = largest
            .max((cdf(value - 0.5) - share(below)).abs())
            .max((cdf(value + 0.5) - share(through)).abs());
        below = through;
    }
    largest
}

fn assert_within_a_percent(what: &str, found: f64, expected: f64) {
    assert!(
        (found / expected - 1.0).abs() < 0.01,
        "{what} is {found}, the law's is {expected}"
    );
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn latencies_of_the_continuous_laws_match_them() {
    for LawCase {
        latency,
        cdf,
        mean: law_mean,
        p99,
    } in law_cases()
    {
        for seed in [1, 2, 3] {
            let latencies = latencies(latency, seed);
            let distance = distance(&latencies, cdf);
            assert!(
                distance < DISTANCE_MAX,
                "{latency}, seed {seed}: D = {distance}"
            );
            assert_within_a_percent(latency, mean(&latencies), law_mean);
            assert_within_a_percent(latency, latencies[DRAWS * 99 / 100 - 1] as f64, p99);
        }
    }
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn the_bimodal_law_has_two_values_and_their_shares() {
    let latency = r#"{ bimodal = { fast = "2ms", slow = "50ms", slow_share = 0.3 } }"#;
    for seed in [1, 2, 3] {
        let latencies = latencies(latency, seed);
        let fast = latencies.partition_point(|us| *us < 50_000);
        assert!(
            latencies[..fast].iter().all(|us| *us == 2_000)
                && latencies[fast..].iter().all(|us| *us == 50_000)
        );
        let share = 1.0 - fast as f64 / DRAWS as f64;
        assert!((share - 0.3).abs() < DISTANCE_MAX, "{share}");
        assert_within_a_percent("the mean", mean(&latencies), 16_400.0);
        assert_eq!(latencies[DRAWS * 99 / 100 - 1], 50_000);
    }
}

#[test]
fn the_constant_law_has_one_value() {
    let latencies = latencies(r#"{ constant = "7ms" }"#, 1);
    assert_eq!((latencies[0], latencies[DRAWS - 1]), (7_000, 7_000));
}

#[test]
fn both_steppings_have_one_order_of_events() {
    let network = "latency = { exponential = { min = \"0us\", mean = \"2ms\" } }";
    let digests = STEPPINGS.map(|stepping| {
        probe(
            4,
            "messages = 40\nchannels = 4\nticks = 50",
            network,
            &[1_000, 1_003],
            5,
            stepping,
        )
        .report
        .digest
    });
    assert_eq!(digests[0], digests[1]);
}
