//! How plans are drawn: which values, and how often each. What happens is drawn near few anchors and
//! within reaches of what matters there, so that much of it meets.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::character::character;
use super::family::{Family, swarm};
use super::plan::{
    Anchor, Change, Cut, Delay, Event, FaultKind, Groups, Held, Links, Mixed, Moment, Net,
    NodeFault, Parameters, Parted, Plan, PlanAction, PlanRequest, Reach, Recipients, Row, Shape,
    Start, Steady, Times, Which, Wires,
};
use crate::model::{Age, ClockChange, InFlight, Latency, Order, ReleaseOrder};

/// Every plan for clusters of at most `max_nodes`.
pub(super) fn plan(max_nodes: usize) -> impl Strategy<Value = Plan> {
    let cluster = (nodes(max_nodes), times(), net(), parameters());
    // New draws go to the end of the tuple, so that earlier ones give a seed the same values as before.
    let script = (vec(anchor(), 1..=4), load(), faults(), character(), mixed());
    let extras = (wires(), held(), steady(), parted());
    let hosts = prop_oneof![1 => Just(None), 9 => (0..100_u64).prop_map(Some)];
    let gaps = (hosts, prop_oneof![Just(0), ms(1, 600)]);
    (swarm(), cluster, gaps, script, extras).prop_map(
        |(
            families,
            (nodes, times, net, parameters),
            (hosts, back_gap),
            (anchors, load, faults, character, mixed),
            (wires, held, steady, parted),
        )| {
            Plan {
                families,
                nodes,
                times,
                net,
                parameters,
                hosts,
                back_gap,
                anchors,
                load,
                faults,
                character,
                mixed,
                wires,
                held,
                steady,
                parted,
            }
        },
    )
}

/// How many nodes: mostly few, because the messages of a round may grow quickly with them, and
/// hardly ever many. Whatever the limit, the same draws are made, so that strategies with
/// different limits still get the same scenario of most seeds.
fn nodes(max: usize) -> impl Strategy<Value = usize> {
    let few = prop_oneof![
        50 => Just(2_usize),
        80 => Just(3),
        40 => Just(4),
        20 => Just(5),
        5 => Just(6),
        3 => Just(7),
    ];
    (few, 0..200_u8, 8..=20_usize).prop_map(move |(few, draw, many)| {
        let wanted = if draw == 199 && max > 7 { many } else { few };
        wanted.min(max.max(1))
    })
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
    let down = prop_oneof![1 => ms(1_000, 6_000), 1 => ms(6_000, 24_000)];
    (
        ms(800, 6_000),
        ms(800, 4_000),
        3..30_u64,
        30..250_u64,
        down,
        any::<bool>(),
        ms(1, 400),
        ms(5_000, 30_000),
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

fn parameters() -> impl Strategy<Value = Parameters> {
    let flag = prop_oneof![4 => Just(true), 1 => Just(false)];
    (1..=4_u64, flag).prop_map(|(count, flag)| Parameters {
        count: u32::try_from(count).unwrap_or(u32::MAX),
        flag,
    })
}

/// In 6 of 100 scenarios some nodes have other parameters, and other times: a change of settings that
/// has not reached all nodes.
fn mixed() -> impl Strategy<Value = Option<Mixed>> {
    let percent = || prop_oneof![25..75_u64, 125..300_u64];
    let times = (
        option::weighted(0.4, percent()),
        option::weighted(0.4, percent()),
        option::weighted(0.2, 100..2_000_u64),
    );
    let mixed = (any::<u32>(), percent(), parameters(), times).prop_map(
        |(nodes, sync, parameters, (discovery, down, service_time_us))| Mixed {
            nodes,
            sync,
            parameters,
            discovery,
            down,
            service_time_us: service_time_us.map(two_digits),
        },
    );
    option::weighted(0.06, mixed)
}

/// In a quarter of the scenarios changes of links are about some channels, or about both ways.
fn wires() -> impl Strategy<Value = Option<Wires>> {
    let wires = (prop_oneof![1 => Just(0_u8), 2 => 1..15_u8], any::<bool>());
    let wires = wires.prop_map(|(channels, both)| Wires { channels, both });
    option::weighted(0.25, wires)
}

/// In a third of the scenarios with cuts and disorder some messages wait, and arrive in some order.
fn held() -> impl Strategy<Value = Option<Held>> {
    let channels = prop_oneof![1 => Just(0_u8), 2 => 1..15_u8];
    let order = prop_oneof![
        Just(ReleaseOrder::Fifo),
        Just(ReleaseOrder::Lifo),
        Just(ReleaseOrder::Random)
    ];
    let which = (any::<u32>(), any::<u32>(), channels);
    let held = (moment(), delay(), which, option::of(1..6_u64), order).prop_map(
        |(at, length, (from, to, channels), count, order)| Held {
            at,
            length,
            from,
            to,
            channels,
            count,
            order,
        },
    );
    option::weighted(0.33, held)
}

/// In 6 of 100 scenarios children start at some rate, and perhaps stop again.
fn steady() -> impl Strategy<Value = Option<Steady>> {
    let stops = prop_oneof![Just(Age::Oldest), Just(Age::Newest), Just(Age::Random)];
    let pace = (ms(20, 2_000), any::<bool>(), 3..20_u32);
    let steady = (moment(), option::of(index()), pace, option::of(stops)).prop_map(
        |(at, on, (gap, gaps_are_drawn, times), stops)| Steady {
            at,
            on,
            gap,
            gaps_are_drawn,
            times,
            stops,
        },
    );
    option::weighted(0.06, steady)
}

/// In a fifth of the scenarios with partitions, the groups of one follow from the nodes that run then.
fn parted() -> impl Strategy<Value = Option<Parted>> {
    let groups = prop_oneof![
        any::<bool>().prop_map(|shuffle| Groups::Halves { shuffle }),
        Just(Groups::Alone),
        any::<u32>().prop_map(Groups::Rest),
    ];
    let back = option::weighted(0.7, silence());
    let parted = (moment(), fate(), back, groups).prop_map(|(at, fate, back, groups)| Parted {
        at,
        fate,
        back,
        groups,
    });
    option::weighted(0.2, parted)
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
        2 => Just(Reach::Active),
    ];
    (any::<u8>(), reach, any::<u8>()).prop_map(|(anchor, reach, share)| Moment {
        anchor,
        delay: Delay { reach, share },
    })
}

fn event(action: impl Strategy<Value = PlanAction>) -> impl Strategy<Value = Event> {
    (moment(), action).prop_map(|(at, action)| Event { at, action })
}

fn index() -> impl Strategy<Value = u8> {
    0..60_u8
}

fn version() -> impl Strategy<Value = Option<u8>> {
    option::of(1..4_u8)
}

fn load() -> impl Strategy<Value = Vec<Event>> {
    let via = || option::weighted(0.15, index());
    let announce = prop_oneof![5 => Just(true), 1 => Just(false)];
    let count = prop_oneof![9 => Just(1_u32), 1 => 2..6_u32];
    let start = (
        index(),
        index(),
        count,
        version(),
        any::<u32>(),
        announce,
        via(),
    )
        .prop_map(|(on, child, count, version, replicas, announce, via)| {
            PlanAction::Start(Start {
                on,
                child,
                count,
                version,
                replicas,
                announce,
                via,
            })
        });
    let action = prop_oneof![
        8 => start,
        4 => (index(), index(), via()).prop_map(|(on, child, via)| PlanAction::Stop { on, child, via }),
        2 => (index(), index()).prop_map(|(on, child)| PlanAction::RestartChild { on, child }),
        1 => index().prop_map(PlanAction::Sync),
        1 => (index(), any::<u32>()).prop_map(|(on, to)| PlanAction::Broadcast { on, to }),
    ];
    vec(event(action), 1..=14)
}

fn row() -> impl Strategy<Value = Row> {
    (index(), any::<u32>(), 1..4_u8, version()).prop_map(|(child, nodes, pid, version)| Row {
        child,
        nodes,
        pid,
        version,
    })
}

fn request() -> impl Strategy<Value = PlanRequest> {
    prop_oneof![
        2 => vec(row(), 1..3).prop_map(PlanRequest::Register),
        1 => (index(), any::<u32>()).prop_map(|(child, nodes)| PlanRequest::Unregister { child, nodes }),
        1 => (index(), index(), 1..4_u8).prop_map(|(child, node, pid)| PlanRequest::PidUpdate { child, node, pid }),
    ]
}

fn any_recipients() -> impl Strategy<Value = Recipients> {
    prop_oneof![
        3 => Just(Recipients::Global),
        1 => Just(Recipients::Local),
        1 => Just(Recipients::External),
        1 => any::<u32>().prop_map(Recipients::Some),
    ]
}

fn fate() -> impl Strategy<Value = InFlight> {
    prop_oneof![
        2 => Just(InFlight::Drop),
        1 => Just(InFlight::Deliver),
        1 => Just(InFlight::Hold),
    ]
}

/// A silence, with some that last until they are noticed, or longer.
fn silence() -> impl Strategy<Value = Delay> {
    let long = prop_oneof![2 => Just(Reach::Down), 1 => Just(Reach::Active)];
    let long = (long, any::<u8>()).prop_map(|(reach, share)| Delay { reach, share });
    prop_oneof![1 => delay(), 1 => long]
}

/// Back at once, by the measure of those who watch.
fn soon() -> impl Strategy<Value = Delay> {
    let reach = prop_oneof![1 => Just(Reach::Latency), 3 => Just(Reach::Debounce)];
    (reach, any::<u8>()).prop_map(|(reach, share)| Delay { reach, share })
}

/// One event of each family, or two; those that are off are left out later.
fn faults() -> impl Strategy<Value = Vec<(Family, Event)>> {
    let families = Family::ALL.map(|family| match action(family) {
        Some(action) => {
            let count = prop_oneof![2 => Just(1_usize), 1 => Just(2)];
            let events = vec(event(action).prop_map(move |event| (family, event)), 2);
            (events, count)
                .prop_map(|(mut events, count)| {
                    events.truncate(count);
                    events
                })
                .boxed()
        }
        None => Just(Vec::new()).boxed(),
    });
    families.to_vec().prop_map(|lists| lists.concat())
}

/// The actions of a family; `None` for those that are a matter of the network or of the load.
fn action(family: Family) -> Option<BoxedStrategy<PlanAction>> {
    Some(match family {
        Family::Loss => links(chance().prop_map(Change::Loss)),
        Family::Duplication => links(chance().prop_map(Change::Duplicate)),
        Family::Reorder => links(Just(Change::Disorder)),
        Family::SlowLink => links(delay().prop_map(Change::Slow)),
        Family::NarrowLink => links((5_000..50_000_u64).prop_map(Change::Narrow)),
        Family::SlowNode => slow_node().boxed(),
        Family::Partition => cut(any::<u32>().prop_map(Shape::Partition)),
        Family::OneWayCut => {
            cut((any::<u32>(), any::<u32>()).prop_map(|(from, to)| Shape::OneWay { from, to }))
        }
        Family::Isolate => cut(index().prop_map(Shape::Isolate)),
        Family::Pause => node_fault(FaultKind::Pause, option::weighted(0.7, silence())),
        Family::Crash => node_fault(FaultKind::Crash, delay().prop_map(Some)),
        Family::FastReturn => node_fault(FaultKind::Crash, soon().prop_map(Some)),
        Family::Leave => node_fault(FaultKind::Leave, option::weighted(0.4, delay())),
        Family::LateJoin => index().prop_map(PlanAction::Join).boxed(),
        Family::ClockStep => clock().boxed(),
        Family::WrongView => (index(), any::<u32>(), index())
            .prop_map(|(on, members, turn)| PlanAction::View { on, members, turn })
            .boxed(),
        Family::RawRequests => (index(), any_recipients(), vec(request(), 1..3))
            .prop_map(|(from, audience, requests)| PlanAction::Propagate {
                from,
                audience,
                requests,
            })
            .boxed(),
        Family::RawRows => (index(), vec(row(), 1..3))
            .prop_map(|(on, rows)| PlanAction::Rows { on, rows })
            .boxed(),
        Family::SendGap
        | Family::ServiceTime
        | Family::LongDebounce
        | Family::SharedIds
        | Family::NewMetadata => return None,
    })
}

fn chance() -> impl Strategy<Value = f64> {
    (20..=100_u8).prop_map(|percent| f64::from(percent) / 100.0)
}

fn links(change: impl Strategy<Value = Change> + 'static) -> BoxedStrategy<PlanAction> {
    (any::<u32>(), any::<u32>(), change, delay())
        .prop_map(|(from, to, change, back)| {
            let which = Which::Between { from, to };
            PlanAction::Links(Links {
                which,
                change,
                back,
            })
        })
        .boxed()
}

/// A node that is slow in the measure of a round.
fn slow_node() -> impl Strategy<Value = PlanAction> {
    (index(), any::<u8>(), delay()).prop_map(|(node, share, back)| {
        let change = Change::Slow(Delay {
            reach: Reach::Sync,
            share,
        });
        PlanAction::Links(Links {
            which: Which::Of(node),
            change,
            back,
        })
    })
}

fn cut(shape: impl Strategy<Value = Shape> + 'static) -> BoxedStrategy<PlanAction> {
    (shape, fate(), option::weighted(0.7, silence()))
        .prop_map(|(shape, fate, back)| PlanAction::Cut(Cut { shape, fate, back }))
        .boxed()
}

fn node_fault(
    how: FaultKind,
    back: impl Strategy<Value = Option<Delay>> + 'static,
) -> BoxedStrategy<PlanAction> {
    (index(), back)
        .prop_map(move |(node, back)| PlanAction::NodeFault(NodeFault { node, how, back }))
        .boxed()
}

fn clock() -> impl Strategy<Value = PlanAction> {
    let jump = (any::<bool>(), ms(10, 3_600_000)).prop_map(|(back, ms)| {
        let us = i64::try_from(ms * 1_000).unwrap_or(i64::MAX);
        ClockChange::Jump(if back { -us } else { us })
    });
    let drift = (-100_000..100_000_i64).prop_map(ClockChange::RatePpm);
    (index(), prop_oneof![3 => jump, 1 => drift])
        .prop_map(|(node, change)| PlanAction::Clock { node, change })
}
