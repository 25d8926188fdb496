//! Laws of scenario files: what is written reads back, every draw of an accepted file is
//! accepted, and no bytes whatever break the reader.

use std::time::Duration;

use hublab_sim::catalog::Catalog;
use hublab_sim::scenario::{
    Action, After, Age, Audience, Channels, Children, Claim, ClockChange, ClockStart, Cluster, End,
    Every, Expectation, InFlight, Instants, Latency, LinkChange, LinkParams, Network, NodeIx,
    NodeOverride, On, Order, Over, Parting, Pattern, RawRequest, RawRow, ReleaseOrder, Repeat, Run,
    Scenario, Step, Style, When, Window, apply_overrides, render, resolve,
};
use hublab_strategies::{Channel, ChildId, Entry, Metadata, NodeId, Pid, Time};
use miette::{GraphicalReportHandler, GraphicalTheme, NarratableReportHandler};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::subsequence;

const END_US: u64 = 100_000_000;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("x".to_owned()),
        "[a-z]{1,5}",
        "\\PC{1,8}",
        Just("a.b \"c\" = '#'".to_owned())
    ]
    .prop_filter("two dots make a span", |name| !name.contains(".."))
}

fn node_name() -> impl Strategy<Value = String> {
    prop_oneof![3 => "n[1-9]", 1 => "[a-zé✓\"'=#\\\\-]{1,6}"]
        .prop_filter("a word with a meaning", |name| name != "all")
}

fn micros(max: u64) -> impl Strategy<Value = Duration> {
    prop_oneof![0..=max, (0..=max / 1_000_000).prop_map(|s| s * 1_000_000)]
        .prop_map(Duration::from_micros)
}

fn when(max: u64) -> impl Strategy<Value = When> {
    (micros(max), micros(max)).prop_map(|(a, b)| match a.cmp(&b) {
        std::cmp::Ordering::Less => When::Between(a, b),
        std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => When::Fixed(b),
    })
}

fn metadata() -> impl Strategy<Value = Metadata> {
    btree_map(any::<String>(), any::<String>(), 0..3).prop_map(Metadata::from_iter)
}

fn latency() -> impl Strategy<Value = Latency> {
    let pair = || {
        (1..50_000_u64, 0..50_000_u64).prop_map(|(low, more)| {
            (
                Duration::from_micros(low),
                Duration::from_micros(low + more),
            )
        })
    };
    prop_oneof![
        micros(50_000).prop_map(Latency::Constant),
        pair().prop_map(|(low, high)| Latency::Uniform(low, high)),
        pair().prop_map(|(min, mean)| Latency::Exponential { min, mean }),
        pair().prop_map(|(median, p99)| Latency::Lognormal { median, p99 }),
        (pair(), 0.0..=1.0).prop_map(|((fast, slow), slow_share)| Latency::Bimodal {
            fast,
            slow,
            slow_share
        }),
    ]
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Fifo), Just(Order::Any)]
}

fn in_flight() -> impl Strategy<Value = InFlight> {
    prop_oneof![
        Just(InFlight::Drop),
        Just(InFlight::Deliver),
        Just(InFlight::Hold)
    ]
}

fn children() -> impl Strategy<Value = Children> {
    let ids = btree_set(name(), 1..4)
        .prop_map(|ids| Children::Ids(ids.into_iter().map(ChildId::from).collect()));
    prop_oneof![
        ids,
        (1..50_u32, name()).prop_map(|(count, prefix)| Children::Counted { count, prefix })
    ]
}

/// Some nodes of a cluster of that size, in some order.
fn nodes(size: usize, min: usize) -> impl Strategy<Value = Vec<NodeIx>> {
    let all: Vec<NodeIx> = (0..).take(size).collect();
    subsequence(all, min..=size).prop_shuffle()
}

fn node(size: usize) -> impl Strategy<Value = NodeIx> {
    (0..size).prop_map(|node| NodeIx::try_from(node).expect("a small cluster"))
}

/// All channels, or some.
fn channels() -> impl Strategy<Value = Channels> {
    let some = subsequence(Channel::ALL.to_vec(), 1..=3).prop_map(|some| Channels::only(&some));
    prop_oneof![Just(Channels::default()), some]
}

fn release_order() -> impl Strategy<Value = ReleaseOrder> {
    prop_oneof![
        Just(ReleaseOrder::Fifo),
        Just(ReleaseOrder::Lifo),
        Just(ReleaseOrder::Random)
    ]
}

fn link(size: usize) -> impl Strategy<Value = LinkChange> {
    let values = (
        option::of(latency()),
        option::of(0.0..=1.0),
        option::of(0.0..=1.0),
        option::of(order()),
        option::of(0..1_000_000_u64),
    );
    let which = (channels(), any::<bool>());
    (nodes(size, 1), nodes(size, 1), which, values).prop_map(
        |(from, to, (channels, both), (latency, loss, duplicate, order, bytes_per_second))| {
            LinkChange {
                from,
                to,
                channels,
                both,
                latency,
                loss,
                duplicate,
                order,
                // A rate is of a whole link.
                bytes_per_second: bytes_per_second.filter(|_| channels.is_all()),
            }
        },
    )
}

fn row(names: Vec<NodeId>) -> impl Strategy<Value = RawRow> {
    let entries = subsequence(names, 0..=2).prop_shuffle();
    (name(), entries, name(), metadata()).prop_map(|(child, nodes, pid, metadata)| RawRow {
        child: ChildId::from(child),
        entries: nodes
            .into_iter()
            .map(|node| Entry {
                node,
                pid: Some(Pid::new(&pid)),
            })
            .collect(),
        metadata,
    })
}

fn request(names: Vec<NodeId>) -> impl Strategy<Value = RawRequest> {
    let some = subsequence(names.clone(), 0..=2);
    let one = proptest::sample::select(names.clone());
    prop_oneof![
        vec(row(names), 0..3).prop_map(RawRequest::Register),
        (name(), some)
            .prop_map(|(child, nodes)| RawRequest::Unregister(vec![(ChildId::from(child), nodes)])),
        (name(), one, name()).prop_map(|(child, node, pid)| RawRequest::PidUpdate {
            child: ChildId::from(child),
            node,
            pid: Pid::from(pid)
        }),
    ]
}

/// Actions that change no node's state, so that any of them can come at any time.
fn harmless_action(names: Vec<NodeId>) -> BoxedStrategy<Action> {
    let size = names.len();
    let heal = || option::of(when(END_US / 2));
    let audience = prop_oneof![
        Just(Audience::Global),
        Just(Audience::Local),
        Just(Audience::External),
        nodes(size, 0).prop_map(Audience::Nodes)
    ];
    let start = (
        node(size),
        children(),
        metadata(),
        nodes(size, 0),
        any::<bool>(),
        option::of(node(size)),
    );
    prop_oneof![
        (nodes(size, size), 0..=size, in_flight(), heal()).prop_map(
            |(mut all, at, in_flight, heal_after)| {
                let rest = all.split_off(at);
                Action::Partition {
                    groups: vec![all, rest],
                    in_flight,
                    heal_after,
                }
            }
        ),
        (nodes(size, 1), nodes(size, 1), in_flight(), heal()).prop_map(
            |(from, to, in_flight, heal_after)| Action::Cut {
                from,
                to,
                in_flight,
                heal_after
            }
        ),
        Just(Action::Heal),
        link(size).prop_map(Action::Link),
        (
            nodes(size, 1),
            nodes(size, 1),
            channels(),
            option::of(1..9_u64)
        )
            .prop_map(|(from, to, channels, count)| Action::Hold {
                from,
                to,
                channels,
                count
            }),
        (nodes(size, 1), nodes(size, 1), release_order())
            .prop_map(|(from, to, order)| Action::Release { from, to, order }),
        (nodes(size, 1), -1_000_000..1_000_000_i64).prop_map(|(nodes, ppm)| Action::Clock {
            nodes,
            change: ClockChange::RatePpm(ppm)
        }),
        (nodes(size, 1), -36_000_000_000_i64..36_000_000_000).prop_map(|(nodes, by)| {
            Action::Clock {
                nodes,
                change: ClockChange::Jump(by),
            }
        }),
        start.prop_map(|(on, children, metadata, mut replicas, announce, via)| {
            replicas.retain(|replica| *replica != on);
            Action::StartChildren {
                on,
                children,
                metadata,
                replicas,
                announce,
                via,
            }
        }),
        (node(size), children(), option::of(node(size)))
            .prop_map(|(on, children, via)| Action::StopChildren { on, children, via }),
        (node(size), name()).prop_map(|(on, child)| Action::RestartChild {
            on,
            child: ChildId::from(child)
        }),
        (node(size), audience, vec(request(names.clone()), 1..3)).prop_map(
            |(from, members, requests)| Action::Propagate {
                from,
                members,
                requests
            }
        ),
        node(size).prop_map(Action::Sync),
        (node(size), nodes(size, 0)).prop_map(|(on, to)| Action::Broadcast { on, to }),
        (node(size), vec(row(names), 0..3)).prop_map(|(on, rows)| Action::Rows { on, rows }),
        (node(size), nodes(size, 0)).prop_map(|(on, nodes)| Action::View { on, nodes }),
    ]
    .boxed()
}

/// What repeats a step, or leaves some of it open.
fn pattern(size: usize) -> impl Strategy<Value = Pattern> {
    const KEYS: [&str; 6] = ["on", "from", "to", "nodes", "replicas", "isolate"];
    let gap = || (1..900_000_u64).prop_map(Duration::from_micros);
    let every = prop_oneof![gap().prop_map(Every::Fixed), gap().prop_map(Every::Mean)];
    let end = prop_oneof![
        (1..4_u32).prop_map(End::Times),
        (END_US / 4 + 1..END_US / 3).prop_map(|us| End::Until(Duration::from_micros(us))),
    ];
    let repeat = (every, end).prop_map(|(every, end)| Repeat { every, end });
    let random = btree_map(
        proptest::sample::select(&KEYS[..]).prop_map(str::to_owned),
        1..4_u32,
        0..3,
    );
    let parting = prop_oneof![
        (0..2_usize).prop_map(Parting::Rest),
        Just(Parting::Isolate),
        (2..4_u32, any::<bool>()).prop_map(|(parts, shuffle)| Parting::Parts { parts, shuffle }),
    ];
    let age = prop_oneof![Just(Age::Oldest), Just(Age::Newest), Just(Age::Random)];
    (
        option::of(repeat),
        option::of(nodes(size, 1)),
        random,
        option::of(parting),
        option::of((age, 1..4_u32)),
    )
        .prop_map(|(repeat, on, random, parting, age)| Pattern {
            repeat,
            on,
            random,
            parting,
            age,
        })
}

/// A step with those parts of a pattern that go with its action.
fn patterned(at: When, mut action: Action, mut pattern: Pattern) -> Step {
    let quarter = Duration::from_micros(END_US / 4);
    let at = match at {
        When::Between(from, to) if from < to.min(quarter) => When::Between(from, to.min(quarter)),
        When::Between(from, _) | When::Fixed(from) => When::Fixed(from.min(quarter)),
    };
    let tree = serde_json::to_value(&action).expect("an action has a tree");
    let table = tree.get(action.name()).cloned().unwrap_or_default();
    if action.doer().is_none() {
        pattern.on = None;
    }
    if pattern.on.is_none() {
        pattern.random.remove("on");
        if action.doer().is_some() {
            pattern.random.remove("from");
        }
    }
    pattern.random.retain(|key, _| match table.get(key) {
        Some(list) => list
            .as_array()
            .map_or(pattern.on.is_some(), |list| !list.is_empty()),
        None => key == "isolate" && pattern.parting == Some(Parting::Isolate),
    });
    let mut has_groups = false;
    if let Action::Partition { groups, .. } = &mut action {
        has_groups = true;
        match pattern.parting {
            Some(Parting::Rest(place)) => groups[place].clear(),
            Some(Parting::Isolate) => {
                *groups = vec![groups.concat()];
            }
            Some(Parting::Parts { .. }) => groups.clear(),
            None => {}
        }
    }
    if !has_groups {
        pattern.parting = None;
        pattern.random.remove("isolate");
    }
    if let Action::StopChildren { children, .. } = &mut action
        && pattern.age.is_some()
    {
        *children = Children::Ids(Vec::new());
    } else {
        pattern.age = None;
    }
    if let Some(doer) = action.doer_mut()
        && let Some(on) = &pattern.on
    {
        *doer = on[0];
    }
    let pattern = (pattern != Pattern::default()).then(|| Box::new(pattern));
    Step {
        pattern,
        ..Step::new(at, action)
    }
}

fn claim(names: Vec<NodeId>) -> BoxedStrategy<Claim> {
    let size = names.len();
    let ids = |prefix: &'static str| {
        btree_set("[a-z]{1,3}", 1..3).prop_map(move |ids| {
            ids.into_iter()
                .map(|id| ChildId::from(format!("{prefix}{id}")))
                .collect::<Vec<_>>()
        })
    };
    let time = || {
        (0..=END_US, 0..=END_US, 0..3_u8).prop_map(|(a, b, kind)| match kind {
            0 => Instants::At(Time(a)),
            1 => Instants::During(Time(a.min(b)), Time(a.max(b))),
            _ => Instants::By(Time(b)),
        })
    };
    let subjects = || {
        prop_oneof![
            node(size).prop_map(On::One),
            nodes(size, 1).prop_map(On::Each)
        ]
    };
    let nodes_of = subsequence(names.clone(), 0..=size);
    let pids = (subsequence(names.clone(), 0..=size), name()).prop_map(|(nodes, pid)| {
        nodes
            .into_iter()
            .map(|node| (node, Pid::new(&pid)))
            .collect::<Vec<_>>()
    });
    let entry = (
        time(),
        (subjects(), option::of(0..9_u32)),
        name(),
        option::of(nodes_of),
        option::of(pids),
        option::of(metadata()),
        option::of(proptest::sample::select(names)),
    );
    prop_oneof![
        (
            micros(END_US / 2),
            micros(END_US / 2),
            option::of(nodes(size, 1)),
            proptest::bool::ANY,
        )
            .prop_map(|(within, after, nodes, whole)| Claim::Converged {
                within,
                after: After::Time(after),
                nodes,
                whole,
            }),
        (time(), option::of(nodes(size, 1)))
            .prop_map(|(when, nodes)| Claim::Connected { when, nodes }),
        (
            time(),
            subjects(),
            option::of(nodes(size, 1)),
            nodes(size, 0),
            nodes(size, 0)
        )
            .prop_map(|(when, on, is, has, lacks)| Claim::View {
                when,
                on,
                is,
                has,
                lacks
            }),
        (option::of(time()), name(), 0..3_u32, option::of(3..9_u32)).prop_map(
            |(when, child, min, max)| Claim::Owners {
                when,
                child: ChildId::from(child),
                min: Some(min),
                max
            }
        ),
        (name(), any::<bool>()).prop_map(|(name, all)| Claim::Sometimes {
            name,
            over: if all { Over::Campaign } else { Over::Run },
        }),
        (time(), subjects(), ids("h"), ids("l")).prop_map(|(when, on, has, lacks)| {
            Claim::Registry {
                when,
                on,
                has,
                lacks,
            }
        }),
        entry.prop_map(
            |(when, (on, count), child, nodes, pids, metadata, first)| Claim::Entry {
                when,
                on,
                child: ChildId::from(child),
                nodes,
                pids,
                metadata,
                first,
                count
            }
        ),
        Just(Claim::Always("no_crash".to_owned())),
        Just(Claim::Violates("own_truth".to_owned())),
        (
            (0..1_000_u64, option::of(1_000..2_000_u64)),
            (0..1_000_u64, option::of(1_000..2_000_u64))
        )
            .prop_map(|((min, max), (from, to))| Claim::Metric {
                name: "messages_sent.gossip.sync".to_owned(),
                min: Some(min),
                max,
                window: Window {
                    from: Time(from),
                    to: to.map(Time)
                },
            }),
    ]
    .boxed()
}

prop_compose! {
    fn cluster()(
        names in btree_set(node_name(), 2..6).prop_map(|names| names.into_iter().collect::<Vec<_>>()).prop_shuffle(),
        discovery_interval in micros(60_000_000).prop_map(|time| time.max(Duration::from_micros(1))),
        times in (micros(1_000_000), micros(120_000_000), micros(1_000_000)),
        down_spread in 0.0..=1.0,
        overrides in vec(node_override(2), 0..3),
    ) -> Cluster {
        let nodes: Vec<NodeId> = names.iter().map(|name| NodeId::new(name)).collect();
        let start = (0..).take(nodes.len()).collect();
        let (join_debounce, down_after, crash_detected_after) = times;
        Cluster { nodes, start, discovery_interval, join_debounce, down_after, down_spread, crash_detected_after, overrides, program: None }
    }
}

prop_compose! {
    fn node_override(size: usize)(
        names in nodes(size, 1),
        times in (option::of(micros(1_000)), option::of(micros(1_000)), option::of(micros(1_000_000)), option::of(micros(120_000_000))),
        queue in option::of(0..9_u64),
        clock in option::of((1..9_000_000_i64, -50..50_i64)),
        interval in prop_oneof![Just(None), Just(Some("3s")), Just(Some("250ms"))],
    ) -> NodeOverride {
        let (service_time, send_gap, join_debounce, down_after) = times;
        let parameters = |interval: &str| {
            let parameters = serde_json::json!({ "sync_interval": interval });
            parameters.as_object().expect("an object").clone()
        };
        NodeOverride {
            names,
            service_time,
            send_gap,
            queue_limit: queue,
            // One value at least.
            discovery_interval: Some(Duration::from_secs(7)),
            join_debounce,
            down_after,
            clock: clock.map(|(jump, rate_ppm)| ClockStart { jump, rate_ppm }),
            strategy: interval.map(|interval| ("pubsub".to_owned(), parameters(interval))).into_iter().collect(),
        }
    }
}

prop_compose! {
    fn network(size: usize)(
        latency in latency(), loss in 0.0..=1.0, duplicate in 0.0..=1.0, order in order(), bytes_per_second in any::<u32>(),
        send_gap in micros(1_000), service_time in micros(1_000), limits in (0..2_u64, 0..2_u64), links in vec(link(size), 0..3),
    ) -> Network {
        let base = LinkParams { latency, loss, duplicate, order, bytes_per_second: u64::from(bytes_per_second) };
        let (max_message_bytes, queue_limit) = limits;
        Network { base, send_gap, service_time, max_message_bytes, queue_limit, links }
    }
}

/// Any scenario that the checks accept, all of whose nodes run all the time.
fn scenario() -> impl Strategy<Value = Scenario> {
    cluster().prop_flat_map(|cluster| {
        let names = cluster.nodes.clone();
        let plain = (when(END_US / 2), harmless_action(names.clone())).prop_map(|(at, action)| Step::new(at, action));
        let open = (when(END_US / 2), harmless_action(names.clone()), pattern(names.len()));
        let open = open.prop_map(|(at, action, pattern)| patterned(at, action, pattern));
        let step = prop_oneof![plain, open];
        let strategy = option::of(prop_oneof![Just("pubsub".to_owned()), Just("gossip".to_owned())]);
        let expectation = (strategy, claim(names)).prop_map(|(strategy, claim)| Expectation { strategy, claim, line: 0 });
        let file = (name(), option::of(any::<String>()), 0..i64::MAX.unsigned_abs(), (0..99_u64, 1..99_u64), any::<bool>());
        (Just(cluster), file, network(2), vec(step, 0..6), vec(expectation, 0..4)).prop_map(
            |(cluster, (name, summary, seed, (first, count), tuned), network, steps, expectations)| {
                let parameters = serde_json::json!({ "sync_interval": "7s", "recipients": 2, "restricted_init": false });
                let tuned = tuned.then(|| ("gossip".to_owned(), parameters.as_object().expect("an object").clone()));
                Scenario {
                    name,
                    summary,
                    run: Run {
                        duration: Duration::from_micros(END_US),
                        seed,
                        seeds: first..first + count,
                        strategies: vec!["pubsub".to_owned(), "gossip".to_owned()],
                        branch: None,
                        changes: Vec::new(),
                        task_order: None,
                    },
                    cluster,
                    strategies: tuned.into_iter().collect(),
                    network,
                    steps,
                    expectations,
                }
            },
        )
    })
}

fn without_lines(mut scenario: Scenario) -> Scenario {
    scenario.steps.iter_mut().for_each(|step| step.line = 0);
    scenario
        .expectations
        .iter_mut()
        .for_each(|expectation| expectation.line = 0);
    scenario
}

/// Does everything that the commands do with a file, and tells what is wrong with it.
fn exercise(bytes: &[u8]) {
    let catalog = Catalog::default();
    match Scenario::read("any.toml", bytes, &catalog) {
        Ok(scenario) => {
            let own = resolve(&scenario, scenario.run.seed, &catalog);
            assert_eq!(
                hublab_sim::run::estimate::size(&scenario).steps,
                own.steps.len()
            );
            let resolved = resolve(&scenario, 3, &catalog);
            for (scenario, style) in [(&scenario, Style::Brief), (&resolved, Style::Full)] {
                let text = render(scenario, style);
                let again = Scenario::read("any.toml", text.as_bytes(), &catalog)
                    .unwrap_or_else(|problems| panic!("{text}\n{problems:?}"));
                assert_eq!(without_lines(again), without_lines(scenario.clone()));
            }
        }
        Err(problems) => {
            assert!(!problems.problems().is_empty());
            let mut told = String::new();
            GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
                .render_report(&mut told, &problems)
                .expect("it can be told");
            NarratableReportHandler::new()
                .render_report(&mut told, &problems)
                .expect("it can be told");
        }
    }
}

/// Breaks a file a little: bytes flipped, removed or put in, lines removed, doubled or swapped.
fn mutated(mut bytes: Vec<u8>, mutations: Vec<(u8, prop::sample::Index, u8)>) -> Vec<u8> {
    for (kind, place, byte) in mutations {
        if bytes.is_empty() {
            break;
        }
        let at = place.index(bytes.len());
        let line_start = bytes[..at]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let line_end = bytes[at..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(bytes.len(), |end| at + end + 1);
        match kind % 7 {
            0 => bytes[at] ^= byte,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, byte),
            3 => drop(bytes.drain(line_start..line_end)),
            4 => {
                let line = bytes[line_start..line_end].to_vec();
                bytes.splice(line_end..line_end, line);
            }
            5 => bytes[at] = b"0123456789.-[]{}\"=,"[usize::from(byte) % 19],
            _ => bytes.truncate(at),
        }
    }
    bytes
}

const FILES: [&str; 4] = [
    include_str!("data/patterns.toml"),
    include_str!("data/everything.toml"),
    include_str!("data/example.toml"),
    include_str!("data/small.toml"),
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back(scenario in scenario()) {
        for style in [Style::Brief, Style::Full] {
            let text = render(&scenario, style);
            match Scenario::read("any.toml", text.as_bytes(), &Catalog::default()) {
                Ok(again) => prop_assert_eq!(without_lines(again), scenario.clone(), "{}", text),
                Err(problems) => return Err(TestCaseError::fail(format!("{text}\n{:?}", problems.problems()))),
            }
        }
    }

    #[test]
    fn every_draw_of_an_accepted_file_is_accepted_and_resolves_to_itself(scenario in scenario(), seed in 0..i64::MAX.unsigned_abs()) {
        let catalog = Catalog::default();
        let resolved = resolve(&scenario, seed, &catalog);
        prop_assert_eq!(&resolve(&resolved, seed, &catalog), &resolved);
        let text = render(&resolved, Style::Full);
        match Scenario::read("any.toml", text.as_bytes(), &catalog) {
            Ok(again) => prop_assert_eq!(without_lines(again), without_lines(resolved), "{}", text),
            Err(problems) => return Err(TestCaseError::fail(format!("{text}\n{:?}", problems.problems()))),
        }
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in vec(any::<u8>(), 0..400)) {
        exercise(&bytes);
    }

    #[test]
    fn no_text_breaks_the_reader(text in "[\\[\\]{}=\",.a-z0-9\n 'é\\\\#]{0,200}") {
        exercise(text.as_bytes());
    }

    #[test]
    fn no_broken_file_breaks_the_reader(
        file in 0..FILES.len(),
        mutations in vec((any::<u8>(), any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        exercise(&mutated(FILES[file].as_bytes().to_vec(), mutations));
    }

    #[test]
    fn no_override_breaks_a_file(path in "[a-z0-9._]{0,24}", value in "\\PC{0,12}") {
        let overrides = [(path, value)];
        for file in FILES {
            if let Ok(text) = apply_overrides(file, &overrides) {
                exercise(text.as_bytes());
            }
        }
    }
}
