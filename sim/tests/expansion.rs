//! Files of the second edition, and the same files written out: by this test, by hand as it were, and by
//! `resolve`. All of them run to the same digest.

use std::fmt::Write as _;

use hublab_sim::catalog::Catalog;
use hublab_sim::generate::{Options, generate};
use hublab_sim::run::Simulation;
use hublab_sim::scenario::{Scenario, Style, render, resolve};
use proptest::prelude::*;

fn read(text: &str, catalog: &Catalog) -> Scenario {
    Scenario::read("test.toml", text.as_bytes(), catalog)
        .unwrap_or_else(|problems| panic!("{problems:?}\n{text}"))
}

fn digest(text: &str, strategy: &str, catalog: &Catalog) -> String {
    let scenario = read(text, catalog);
    let report = Simulation::new(&scenario, catalog)
        .strategy(strategy)
        .expect("a strategy of the catalog")
        .unmeasured()
        .run()
        .expect("it runs");
    report.digest.expect("it came to its end")
}

const NODES: usize = 5;

/// Something that a file of the second edition says in one step.
#[derive(Debug, Clone)]
enum Short {
    /// Children start on nodes, one after the other, and the oldest of the first of these stop.
    Load {
        at: u64,
        gap: u64,
        times: u64,
        on: Vec<usize>,
        stops: bool,
        is_until: bool,
    },
    /// A partition of some nodes and the rest, of equal parts, or of one node and the rest.
    Part { at: u64, groups: Groups },
    /// Links change, both ways.
    Links { at: u64, from: usize, to: usize },
    /// A row is put into every registry.
    Rows { at: u64 },
}

#[derive(Debug, Clone)]
enum Groups {
    Rest(usize),
    Halves,
    Alone(usize),
}

fn shorts() -> impl Strategy<Value = Vec<Short>> {
    let nodes = || prop::sample::subsequence((0..NODES).collect::<Vec<_>>(), 1..=3);
    let load = (
        100..20_000_u64,
        1..2_000_u64,
        1..12_u64,
        nodes(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(at, gap, times, on, stops, is_until)| Short::Load {
            at,
            gap,
            times,
            on,
            stops,
            is_until,
        });
    let groups = prop_oneof![
        (1..NODES).prop_map(Groups::Rest),
        Just(Groups::Halves),
        (0..NODES).prop_map(Groups::Alone),
    ];
    let part = (100..30_000_u64, groups).prop_map(|(at, groups)| Short::Part { at, groups });
    let links = (100..30_000_u64, 0..NODES, 0..NODES)
        .prop_filter("a link between two", |(_, from, to)| from != to)
        .prop_map(|(at, from, to)| Short::Links { at, from, to });
    let rows = (100..30_000_u64).prop_map(|at| Short::Rows { at });
    let one = prop_oneof![3 => load, 2 => part, 1 => links, 1 => rows];
    prop::collection::vec(one, 1..5)
}

fn names(nodes: impl IntoIterator<Item = usize>) -> String {
    let names: Vec<String> = nodes
        .into_iter()
        .map(|node| format!("\"n{}\"", node + 1))
        .collect();
    format!("[{}]", names.join(", "))
}

fn step(at: u64, rest: &str, action: &str) -> String {
    format!("[[step]]\nat = \"{at}ms\"\n{rest}{action}\n")
}

impl Short {
    /// As the file says it.
    fn written(&self, number: usize) -> Vec<String> {
        match self {
            Self::Load {
                at,
                gap,
                times,
                on,
                stops,
                is_until,
            } => {
                let end = if *is_until {
                    format!("until = \"{}ms\"\n", at + gap * times)
                } else {
                    format!("times = {times}\n")
                };
                let rest = format!("every = \"{gap}ms\"\n{end}");
                let on = names(on.iter().copied());
                let start =
                    format!("start_children = {{ on = {on}, count = 2, prefix = \"w{number}\" }}");
                let mut steps = vec![step(*at, &rest, &start)];
                if *stops {
                    // Just behind the starts of the same instant: it is listed after them.
                    let stop = format!("stop_children = {{ on = {on}, oldest = 1 }}");
                    steps.push(step(*at, &rest, &stop));
                }
                steps
            }
            Self::Part { at, groups } => {
                let what = match groups {
                    Groups::Rest(named) => format!("groups = [{}, \"rest\"]", names(0..*named)),
                    Groups::Halves => "parts = 2".to_owned(),
                    Groups::Alone(node) => format!("isolate = {}", names([*node])),
                };
                let action = format!("partition = {{ {what}, heal_after = \"3s\" }}");
                vec![step(*at, "", &action)]
            }
            Self::Links { at, from, to } => {
                let (from, to) = (names([*from]), names([*to]));
                let action =
                    format!("link = {{ from = {from}, to = {to}, both = true, loss = 0.5 }}");
                vec![step(*at, "", &action)]
            }
            Self::Rows { at } => {
                let action =
                    "rows = { on = \"all\", rows = [{ child = \"r\", nodes = { n1 = \"p\" } }] }";
                vec![step(*at, "", action)]
            }
        }
    }

    /// The same as plain steps.
    fn by_hand(&self, number: usize) -> Vec<String> {
        let mut steps = Vec::new();
        match self {
            Self::Load {
                at,
                gap,
                times,
                on,
                stops,
                ..
            } => {
                let child = |count: usize| format!("w{number}-{}", count + 1);
                let times = || 0..usize::try_from(*times).expect("a few");
                let now = |time: usize| at + gap * time as u64;
                for (time, (place, node)) in
                    times().flat_map(|time| on.iter().enumerate().map(move |one| (time, one)))
                {
                    // Counting goes on over the repetitions and over nodes.
                    let first = 2 * (time * on.len() + place);
                    let (node, ids) = (node + 1, [child(first), child(first + 1)]);
                    let action = format!("start_children = {{ on = \"n{node}\", ids = {ids:?} }}");
                    steps.push(step(now(time), "", &action));
                }
                for (time, (place, node)) in
                    times().flat_map(|time| on.iter().enumerate().map(move |one| (time, one)))
                {
                    if *stops {
                        // Two start and one stops each time: the oldest left is that of time / 2.
                        let oldest = 2 * ((time / 2) * on.len() + place) + time % 2;
                        let (node, ids) = (node + 1, [child(oldest)]);
                        let action =
                            format!("stop_children = {{ on = \"n{node}\", ids = {ids:?} }}");
                        steps.push(step(now(time), "", &action));
                    }
                }
            }
            Self::Part { at, groups } => {
                let groups = match groups {
                    Groups::Rest(named) => [names(0..*named), names(*named..NODES)],
                    Groups::Halves => {
                        [names(0..NODES.div_ceil(2)), names(NODES.div_ceil(2)..NODES)]
                    }
                    Groups::Alone(alone) => {
                        let rest = (0..NODES).filter(|node| node != alone);
                        [names([*alone]), names(rest)]
                    }
                };
                let groups = groups.join(", ");
                let action = format!("partition = {{ groups = [{groups}], heal_after = \"3s\" }}");
                steps.push(step(*at, "", &action));
            }
            Self::Links { at, from, to } => {
                for (from, to) in [(*from, *to), (*to, *from)] {
                    let (from, to) = (names([from]), names([to]));
                    let action = format!("link = {{ from = {from}, to = {to}, loss = 0.5 }}");
                    steps.push(step(*at, "", &action));
                }
            }
            Self::Rows { at } => {
                for node in 1..=NODES {
                    let action = format!(
                        "rows = {{ on = \"n{node}\", rows = [{{ child = \"r\", nodes = {{ n1 = \"p\" }} }}] }}"
                    );
                    steps.push(step(*at, "", &action));
                }
            }
        }
        steps
    }
}

fn file(seed: u64, steps: Vec<String>) -> String {
    let mut text = format!(
        "schema = 1\n[run]\nduration = \"60s\"\nseed = {seed}\n[cluster]\nnodes = {NODES}\n\
         [strategy.\"*\"]\nsync_interval = \"5s\"\n"
    );
    for step in steps {
        let _ = write!(text, "\n{step}");
    }
    text
}

/// True if two loads share a node: then whose child is the oldest is not said by one step alone.
fn share_nodes(shorts: &[Short]) -> bool {
    let mut seen = Vec::new();
    for short in shorts {
        if let Short::Load { on, .. } = short {
            if on.iter().any(|node| seen.contains(node)) {
                return true;
            }
            seen.extend(on);
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_file_of_the_second_edition_runs_as_it_does_expanded_by_hand(
        seed in 1..1_000_u64,
        shorts in shorts().prop_filter("loads on nodes of their own", |shorts| !share_nodes(shorts)),
    ) {
        let catalog = Catalog::default();
        let numbered = || shorts.iter().enumerate();
        let written = numbered().flat_map(|(number, short)| short.written(number)).collect();
        let by_hand = numbered().flat_map(|(number, short)| short.by_hand(number)).collect();
        let (written, by_hand) = (file(seed, written), file(seed, by_hand));
        for strategy in ["pubsub", "gossip"] {
            let digests = [&written, &by_hand].map(|text| digest(text, strategy, &catalog));
            prop_assert_eq!(&digests[0], &digests[1], "{}\n\n{}", written, by_hand);
        }
    }
}

#[test]
fn generated_files_run_as_they_do_resolved() {
    let catalog = Catalog::default();
    let (mut with_patterns, mut others) = (0, 0);
    for seed in 0..4_000 {
        let entry = catalog.get("pubsub").expect("a port");
        let scenario = generate(seed, entry, &Options::default()).scenario;
        let is_pattern = scenario.steps.iter().any(|step| step.pattern.is_some());
        if !is_pattern && others >= 50 {
            continue;
        }
        *(if is_pattern {
            &mut with_patterns
        } else {
            &mut others
        }) += 1;
        let resolved = resolve(&scenario, seed, &catalog);
        assert!(resolved.steps.iter().all(|step| step.pattern.is_none()));
        let digests = [&scenario, &resolved].map(|scenario| {
            let mut scenario = scenario.clone();
            scenario.run.seed = seed;
            digest(&render(&scenario, Style::Brief), "pubsub", &catalog)
        });
        assert_eq!(digests[0], digests[1], "seed {seed}");
    }
    assert!(with_patterns > 300, "{with_patterns}");
}
