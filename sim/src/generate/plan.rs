//! [`Plan`]: what is drawn for a seed, before anybody asks whether it is possible. Every number in
//! it means something in every scenario (a node is a number modulo the nodes there are), so that
//! each part can shrink, or go, whatever becomes of the others; [`super::assemble`] makes a
//! scenario of it.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::family::{Family, swarm};
use crate::scenario::model::{InFlight, Latency, Order};

/// An instant of the active phase: near one of the plan's anchors, by a part of a reach.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) anchor: u8,
    pub(super) delay: Delay,
}

/// A part of one of the times that matter in a cluster.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delay {
    pub(super) reach: Reach,
    /// In 1/256 of the reach.
    pub(super) share: u8,
}

/// A time that matters in a cluster: what happens within it meets what else does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reach {
    /// What a message takes.
    Latency,
    /// From a crash to the end of the debounce.
    Debounce,
    /// The time between two rounds.
    Sync,
    /// The silence after which a peer is down, at its longest.
    Down,
    /// The whole active phase.
    Active,
}

/// Around what things happen.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    /// An instant, in 1/256 of the active phase.
    Any(u8),
    /// A multiple of the time between rounds.
    Round(u8),
    /// A multiple of the time between announcements.
    Announcement(u8),
}

/// One thing to happen.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) at: Moment,
    pub(super) deed: Deed,
}

/// What happens. Nodes are numbers modulo those there are.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    Start(Start),
    Stop {
        on: u8,
        child: u8,
        via: Option<u8>,
    },
    RestartChild {
        on: u8,
        child: u8,
    },
    Sync(u8),
    Broadcast {
        on: u8,
        to: u32,
    },
    Propagate {
        from: u8,
        audience: Listeners,
        requests: Vec<Wish>,
    },
    Rows {
        on: u8,
        rows: Vec<Row>,
    },
    View {
        on: u8,
        members: u32,
        turn: u8,
    },
    Crash {
        node: u8,
        back: Delay,
    },
    Leave {
        node: u8,
        back: Option<Delay>,
    },
    Join {
        node: u8,
    },
    Pause {
        node: u8,
        back: Delay,
    },
    Partition {
        side: u32,
        fate: InFlight,
        back: Option<Delay>,
    },
    Cut {
        from: u32,
        to: u32,
        fate: InFlight,
        back: Option<Delay>,
    },
    Isolate {
        node: u8,
        fate: InFlight,
        back: Option<Delay>,
    },
    Links {
        from: u32,
        to: u32,
        change: Links,
        back: Delay,
    },
    SlowNode {
        node: u8,
        share: u8,
        back: Delay,
    },
    Jump {
        node: u8,
        us: i64,
    },
    Drift {
        node: u8,
        ppm: i64,
    },
}

/// A start of children.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) on: u8,
    pub(super) child: u8,
    /// How many; one of them is named by an id, more by a prefix.
    pub(super) count: u32,
    pub(super) version: Option<u8>,
    pub(super) replicas: u32,
    pub(super) announce: bool,
    pub(super) via: Option<u8>,
}

/// Whom raw requests address.
#[derive(Debug, Clone, Copy)]
pub(super) enum Listeners {
    Global,
    Local,
    External,
    Some(u32),
}

/// A raw request.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    Register(Vec<Row>),
    Unregister { child: u8, nodes: u32 },
    PidUpdate { child: u8, node: u8, pid: u8 },
}

/// A raw row.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) child: u8,
    pub(super) nodes: u32,
    pub(super) pid: u8,
    pub(super) version: Option<u8>,
}

/// What becomes of some links.
#[derive(Debug, Clone, Copy)]
pub(super) enum Links {
    /// Latencies around this share of a reach.
    Slow(Delay),
    Loss(f64),
    Duplicate(f64),
    Order,
    /// Bytes per second.
    Narrow(u64),
}

/// The times of the cluster, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) sync: u64,
    pub(super) discovery: u64,
    /// In percent of `discovery`.
    pub(super) debounce: u64,
    /// In percent of `discovery`, if the debounce is long.
    pub(super) long_debounce: u64,
    pub(super) down: u64,
    pub(super) exact_down: bool,
    pub(super) crash: u64,
    pub(super) active: u64,
}

/// The network, as far as it is the same all the time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Net {
    pub(super) latency: Latency,
    pub(super) loss: f64,
    pub(super) duplicate: f64,
    pub(super) order: Order,
    pub(super) bytes_per_second: u64,
    pub(super) send_gap_us: u64,
    pub(super) service_time_us: u64,
}

/// Parameters that strategies may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Knobs {
    pub(super) recipients: u64,
    pub(super) restricted_init: bool,
}

/// All that is drawn for a seed.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) families: BTreeSet<Family>,
    pub(super) nodes: usize,
    pub(super) times: Times,
    pub(super) net: Net,
    pub(super) knobs: Knobs,
    /// Every node gets a child soon after its first boot, one node later than another by this many
    /// milliseconds.
    pub(super) hosts: Option<u64>,
    /// How far apart nodes come back when the quiet phase begins, in milliseconds.
    pub(super) back_gap: u64,
    pub(super) anchors: Vec<Anchor>,
    /// The load, whatever the families.
    pub(super) load: Vec<Event>,
    /// The trouble, each with the family it belongs to.
    pub(super) trouble: Vec<(Family, Event)>,
}

/// Every plan for clusters of at most `max_nodes`.
pub(super) fn plan(max_nodes: usize) -> impl Strategy<Value = Plan> {
    let cluster = (nodes(max_nodes), times(), net(), knobs());
    let script = (vec(anchor(), 1..=4), load(), trouble());
    let hosts = prop_oneof![1 => Just(None), 9 => (0..100_u64).prop_map(Some)];
    let gaps = (hosts, prop_oneof![Just(0), ms(1, 600)]);
    (swarm(), cluster, gaps, script).prop_map(
        |(families, (nodes, times, net, knobs), (hosts, back_gap), (anchors, load, trouble))| {
            Plan {
                families,
                nodes,
                times,
                net,
                knobs,
                hosts,
                back_gap,
                anchors,
                load,
                trouble,
            }
        },
    )
}

/// How many nodes: where rounds grow quickly with them, mostly few.
fn nodes(max: usize) -> BoxedStrategy<usize> {
    let few = prop_oneof![5 => Just(2_usize), 8 => Just(3), 4 => Just(4), 2 => Just(5)];
    let some = prop_oneof![3 => Just(2_usize), 6 => Just(3), 4 => Just(4), 3 => Just(5), 2 => Just(6), 1 => Just(7)];
    let max = max.max(1);
    if max <= 7 {
        prop_oneof![60 => few, 1 => 2..=7_usize]
            .prop_map(move |nodes| nodes.min(max))
            .boxed()
    } else {
        prop_oneof![150 => some, 1 => 8..=max.min(20)].boxed()
    }
}

/// Milliseconds between two bounds, as likely in each octave, of two digits.
fn ms(low: u64, high: u64) -> impl Strategy<Value = u64> + Clone {
    (0..=1_000_u32).prop_map(move |share| two_digits(between(low, high, f64::from(share) / 1e3)))
}

/// `low * (high / low)^share`.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times of a scenario are far below 2^52 ms, and not negative"
)]
fn between(low: u64, high: u64, share: f64) -> u64 {
    let (low, high) = (low.max(1) as f64, high.max(1) as f64);
    libm::round(low * libm::pow(high / low, share)) as u64
}

/// The number without its lower digits, as a person would have written it.
fn two_digits(number: u64) -> u64 {
    let unit = 10_u64.pow(number.max(1).ilog10().saturating_sub(1));
    number / unit * unit
}

fn times() -> impl Strategy<Value = Times> {
    let down = prop_oneof![3 => ms(1_000, 6_000), 1 => ms(8_000, 24_000)];
    (
        ms(1_000, 6_000),
        ms(800, 4_000),
        4..60_u64,
        100..250_u64,
        down,
        any::<bool>(),
        ms(1, 400),
        ms(4_000, 20_000),
    )
        .prop_map(
            |(sync, discovery, debounce, long_debounce, down, exact_down, crash, active)| Times {
                sync,
                discovery,
                debounce,
                long_debounce,
                down,
                exact_down,
                crash,
                active,
            },
        )
}

fn net() -> impl Strategy<Value = Net> {
    let chance = || (1..=30_u8).prop_map(|percent| f64::from(percent) / 100.0);
    let order = prop_oneof![Just(Order::Fifo), Just(Order::Any)];
    let bytes = prop_oneof![Just(0_u64), 20_000..500_000_u64];
    (
        latency(),
        chance(),
        chance(),
        order,
        bytes,
        100..3_000_u64,
        100..2_000_u64,
    )
        .prop_map(
            |(latency, loss, duplicate, order, bytes_per_second, send_gap_us, service_time_us)| {
                Net {
                    latency,
                    loss,
                    duplicate,
                    order,
                    bytes_per_second,
                    send_gap_us: two_digits(send_gap_us),
                    service_time_us: two_digits(service_time_us),
                }
            },
        )
}

fn latency() -> impl Strategy<Value = Latency> {
    let to = Duration::from_millis;
    prop_oneof![
        2 => ms(1, 60).prop_map(move |at| Latency::Constant(to(at))),
        6 => (ms(1, 10), ms(2, 50)).prop_map(move |(low, times)| Latency::Uniform(to(low), to(low * times))),
        2 => (ms(1, 5), ms(1, 100)).prop_map(move |(min, more)| Latency::Exponential { min: to(min), mean: to(min + more) }),
        2 => (ms(1, 30), ms(2, 12)).prop_map(move |(median, times)| Latency::Lognormal { median: to(median), p99: to(median * times) }),
        3 => (ms(1, 10), ms(50, 1_000), 1..30_u8).prop_map(move |(fast, slow, share)| Latency::Bimodal {
            fast: to(fast),
            slow: to(slow),
            slow_share: f64::from(share) / 100.0,
        }),
    ]
}

fn knobs() -> impl Strategy<Value = Knobs> {
    let restricted = prop_oneof![4 => Just(true), 1 => Just(false)];
    (1..=4_u64, restricted).prop_map(|(recipients, restricted_init)| Knobs {
        recipients,
        restricted_init,
    })
}

fn anchor() -> impl Strategy<Value = Anchor> {
    prop_oneof![
        2 => any::<u8>().prop_map(Anchor::Any),
        3 => (1..8_u8).prop_map(Anchor::Round),
        1 => (1..8_u8).prop_map(Anchor::Announcement),
    ]
}

fn delay() -> impl Strategy<Value = Delay> {
    let reach = prop_oneof![
        Just(Reach::Latency),
        Just(Reach::Debounce),
        Just(Reach::Sync),
        Just(Reach::Down),
    ];
    (reach, any::<u8>()).prop_map(|(reach, share)| Delay { reach, share })
}

fn moment() -> impl Strategy<Value = Moment> {
    let reach = prop_oneof![
        4 => Just(Reach::Latency),
        2 => Just(Reach::Debounce),
        2 => Just(Reach::Sync),
        1 => Just(Reach::Active),
    ];
    (any::<u8>(), reach, any::<u8>()).prop_map(|(anchor, reach, share)| Moment {
        anchor,
        delay: Delay { reach, share },
    })
}

fn event(deed: impl Strategy<Value = Deed>) -> impl Strategy<Value = Event> {
    (moment(), deed).prop_map(|(at, deed)| Event { at, deed })
}

fn seat() -> impl Strategy<Value = u8> {
    0..60_u8
}

fn version() -> impl Strategy<Value = Option<u8>> {
    option::of(1..4_u8)
}

fn load() -> impl Strategy<Value = Vec<Event>> {
    let via = || option::weighted(0.15, seat());
    let announce = prop_oneof![5 => Just(true), 1 => Just(false)];
    let count = prop_oneof![9 => Just(1_u32), 1 => 2..6_u32];
    let start = (
        seat(),
        seat(),
        count,
        version(),
        any::<u32>(),
        announce,
        via(),
    )
        .prop_map(|(on, child, count, version, replicas, announce, via)| {
            Deed::Start(Start {
                on,
                child,
                count,
                version,
                replicas,
                announce,
                via,
            })
        });
    let deed = prop_oneof![
        8 => start,
        4 => (seat(), seat(), via()).prop_map(|(on, child, via)| Deed::Stop { on, child, via }),
        2 => (seat(), seat()).prop_map(|(on, child)| Deed::RestartChild { on, child }),
        1 => seat().prop_map(Deed::Sync),
        1 => (seat(), any::<u32>()).prop_map(|(on, to)| Deed::Broadcast { on, to }),
    ];
    vec(event(deed), 1..=12)
}

fn row() -> impl Strategy<Value = Row> {
    (seat(), any::<u32>(), 1..4_u8, version()).prop_map(|(child, nodes, pid, version)| Row {
        child,
        nodes,
        pid,
        version,
    })
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        2 => vec(row(), 1..3).prop_map(Wish::Register),
        1 => (seat(), any::<u32>()).prop_map(|(child, nodes)| Wish::Unregister { child, nodes }),
        1 => (seat(), seat(), 1..4_u8).prop_map(|(child, node, pid)| Wish::PidUpdate { child, node, pid }),
    ]
}

fn listeners() -> impl Strategy<Value = Listeners> {
    prop_oneof![
        3 => Just(Listeners::Global),
        1 => Just(Listeners::Local),
        1 => Just(Listeners::External),
        1 => any::<u32>().prop_map(Listeners::Some),
    ]
}

fn fate() -> impl Strategy<Value = InFlight> {
    prop_oneof![
        2 => Just(InFlight::Drop),
        1 => Just(InFlight::Deliver),
        1 => Just(InFlight::Hold),
    ]
}

/// Back at once, by the measure of those who watch.
fn soon() -> impl Strategy<Value = Delay> {
    let reach = prop_oneof![1 => Just(Reach::Latency), 3 => Just(Reach::Debounce)];
    (reach, any::<u8>()).prop_map(|(reach, share)| Delay { reach, share })
}

/// One event or two of each family; those that are off are left out later.
fn trouble() -> impl Strategy<Value = Vec<(Family, Event)>> {
    let families = Family::ALL.map(|family| match deed(family) {
        Some(deed) => vec(event(deed).prop_map(move |event| (family, event)), 1..=2).boxed(),
        None => Just(Vec::new()).boxed(),
    });
    families.to_vec().prop_map(|lists| lists.concat())
}

/// What a family does; `None` for those that are a matter of the network or of the load.
fn deed(family: Family) -> Option<BoxedStrategy<Deed>> {
    let back = || option::weighted(0.7, delay());
    let mask = any::<u32>;
    let links = |change: BoxedStrategy<Links>| {
        (mask(), mask(), change, delay())
            .prop_map(|(from, to, change, back)| Deed::Links {
                from,
                to,
                change,
                back,
            })
            .boxed()
    };
    let chance = |least: u8| (least..=100_u8).prop_map(|percent| f64::from(percent) / 100.0);
    Some(match family {
        Family::Loss => links(chance(20).prop_map(Links::Loss).boxed()),
        Family::Duplication => links(chance(20).prop_map(Links::Duplicate).boxed()),
        Family::Reorder => links(Just(Links::Order).boxed()),
        Family::SlowLink => links(delay().prop_map(Links::Slow).boxed()),
        Family::NarrowLink => links((5_000..50_000_u64).prop_map(Links::Narrow).boxed()),
        Family::SlowNode => (seat(), any::<u8>(), delay())
            .prop_map(|(node, share, back)| Deed::SlowNode { node, share, back })
            .boxed(),
        Family::Partition => (mask(), fate(), back())
            .prop_map(|(side, fate, back)| Deed::Partition { side, fate, back })
            .boxed(),
        Family::OneWayCut => (mask(), mask(), fate(), back())
            .prop_map(|(from, to, fate, back)| Deed::Cut {
                from,
                to,
                fate,
                back,
            })
            .boxed(),
        Family::Isolate => (seat(), fate(), back())
            .prop_map(|(node, fate, back)| Deed::Isolate { node, fate, back })
            .boxed(),
        Family::Pause => (seat(), delay())
            .prop_map(|(node, back)| Deed::Pause { node, back })
            .boxed(),
        Family::Crash => (seat(), delay())
            .prop_map(|(node, back)| Deed::Crash { node, back })
            .boxed(),
        Family::FastReturn => (seat(), soon())
            .prop_map(|(node, back)| Deed::Crash { node, back })
            .boxed(),
        Family::Leave => (seat(), option::weighted(0.4, delay()))
            .prop_map(|(node, back)| Deed::Leave { node, back })
            .boxed(),
        Family::LateJoin => seat().prop_map(|node| Deed::Join { node }).boxed(),
        Family::ClockStep => clock().boxed(),
        Family::WrongView => (seat(), mask(), seat())
            .prop_map(|(on, members, turn)| Deed::View { on, members, turn })
            .boxed(),
        Family::RawRequests => (seat(), listeners(), vec(wish(), 1..3))
            .prop_map(|(from, audience, requests)| Deed::Propagate {
                from,
                audience,
                requests,
            })
            .boxed(),
        Family::RawRows => (seat(), vec(row(), 1..3))
            .prop_map(|(on, rows)| Deed::Rows { on, rows })
            .boxed(),
        Family::SendGap | Family::ServiceTime | Family::LongDebounce | Family::SharedIds => {
            return None;
        }
    })
}

fn clock() -> impl Strategy<Value = Deed> {
    let jump = (seat(), any::<bool>(), ms(10, 3_600_000)).prop_map(|(node, back, ms)| {
        let us = i64::try_from(ms * 1_000).unwrap_or(i64::MAX);
        Deed::Jump {
            node,
            us: if back { -us } else { us },
        }
    });
    let drift = (seat(), -100_000..100_000_i64).prop_map(|(node, ppm)| Deed::Drift { node, ppm });
    prop_oneof![3 => jump, 1 => drift]
}
