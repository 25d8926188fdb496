//! Links that hold messages, that tell channels apart, and that are changed both ways.

mod tape;

use std::collections::BTreeSet;

use hublab_sim::catalog::Catalog;
use hublab_sim::report::Report;
use hublab_sim::run::Simulation;
use hublab_sim::scenario::{Scenario, Style, render, resolve};
use hublab_sim::trace::Payload;
use hublab_sim::watch::judge::Verdict;
use hublab_sim::world::Stepping;
use tape::{Tape, read, record};

const HEAD: &str = "schema = 1\n[run]\nduration = '30s'\nstrategies = ['pubsub']\n\
                    [cluster]\nnodes = 3\n[strategy.pubsub]\nsync_interval = '100s'\n\
                    [network]\nlatency = { constant = '1ms' }\n";

fn scenario(lines: &str) -> Scenario {
    read(&format!("{HEAD}{lines}"), &Catalog::default())
}

fn recorded(lines: &str, seed: u64) -> Tape {
    let catalog = Catalog::default();
    record(&scenario(lines), "pubsub", seed, &catalog, Stepping::Slice)
}

fn run(lines: &str, seed: u64) -> Report {
    recorded(lines, seed).report
}

fn step(at: &str, action: &str) -> String {
    format!("[[step]]\nat = '{at}'\n{action}\n")
}

/// n1 holds what it sends to n2 from 5 s on, and starts `a` at 6 s; then `between`, and what is expected
/// of n2 at 20 s.
fn held(between: &[(&str, &str)], is_shown: bool) -> Report {
    let mut lines = step("5s", "hold = { from = ['n1'], to = ['n2'] }");
    lines += &step("6s", "start_children = { on = 'n1', ids = ['a'] }");
    for (at, action) in between {
        lines += &step(at, action);
    }
    let has = if is_shown { "has" } else { "lacks" };
    lines += &format!("[[expect]]\nregistry = {{ on = 'n2', {has} = ['a'] }}\nat = '20s'\n");
    run(&lines, 1)
}

fn lost(report: &Report, reason: &str) -> u64 {
    let lost = report.messages.dropped_by_reason.get(reason);
    lost.copied().unwrap_or(0)
}

#[test]
fn what_is_held_waits_for_its_release_and_not_for_a_heal() {
    let release = "release = { from = ['n1'], to = 'all' }";
    let cases: &[(&[(&str, &str)], bool)] = &[
        (&[], false),
        (&[("10s", "heal = true")], false),
        (&[("10s", release)], true),
        (
            &[("10s", "release = { from = ['n2'], to = ['n1'] }")],
            false,
        ),
        // Cut meanwhile: what is on the way is dropped, passes, or waits for the heal, too.
        (
            &[
                ("8s", "cut = { from = ['n1'], to = ['n2'] }"),
                ("10s", release),
            ],
            false,
        ),
        (
            &[
                (
                    "8s",
                    "cut = { from = ['n1'], to = ['n2'], in_flight = 'deliver' }",
                ),
                ("10s", release),
            ],
            true,
        ),
        (
            &[
                (
                    "8s",
                    "cut = { from = ['n1'], to = ['n2'], in_flight = 'hold' }",
                ),
                ("10s", release),
            ],
            false,
        ),
        (
            &[
                (
                    "8s",
                    "cut = { from = ['n1'], to = ['n2'], in_flight = 'hold' }",
                ),
                ("10s", release),
                ("12s", "heal = true"),
            ],
            true,
        ),
        (
            &[
                (
                    "8s",
                    "cut = { from = ['n1'], to = ['n2'], in_flight = 'hold' }",
                ),
                ("10s", "heal = true"),
            ],
            false,
        ),
        (
            &[
                (
                    "8s",
                    "cut = { from = ['n1'], to = ['n2'], in_flight = 'hold' }",
                ),
                ("10s", "heal = true"),
                ("12s", release),
            ],
            true,
        ),
        // Paused, it handles what was released when it goes on.
        (
            &[
                ("8s", "pause = { nodes = ['n2'] }"),
                ("9s", release),
                ("10s", "resume = { nodes = ['n2'] }"),
            ],
            true,
        ),
        // What a node had sent before it left is delivered all the same, once it is released.
        (
            &[("8s", "leave = { nodes = ['n1'] }"), ("10s", release)],
            true,
        ),
    ];
    for (between, is_shown) in cases {
        let report = held(between, *is_shown);
        assert_eq!(report.expectations[0].verdict, Verdict::Pass, "{between:?}");
    }
}

#[test]
fn what_is_held_is_lost_with_either_end_and_in_flight_until_then() {
    let report = held(&[], false);
    // The start, and two announcements at 15 s and 30 s: a hold is of every channel.
    assert!(report.messages.in_flight >= 2, "{:?}", report.messages);
    assert_eq!(report.messages.dropped, 0);
    for crash in ["n1", "n2"] {
        let lines = step("5s", "hold = { from = ['n1'], to = ['n2'] }")
            + &step("6s", "start_children = { on = 'n1', ids = ['a'] }")
            + &step("8s", &format!("crash = {{ nodes = ['{crash}'] }}"))
            + &step("10s", "release = { from = ['n1'], to = ['n2'] }");
        let report = run(&lines, 1);
        assert!(report.messages.dropped > 0, "{crash}");
        let requests = report.messages.by_kind["pubsub.requests"];
        assert_eq!((requests.delivered, requests.dropped), (1, 1), "{crash}");
    }
    let lines = step("5s", "hold = { from = ['n1'], to = ['n2'] }")
        + &step("6s", "start_children = { on = 'n1', ids = ['a'] }")
        + &step(
            "7s",
            "partition = { groups = [['n1'], ['n2', 'n3']], in_flight = 'drop' }",
        );
    assert!(lost(&run(&lines, 1), "cut") > 0);
}

#[test]
fn a_count_is_of_each_link_and_a_release_ends_it() {
    let start = |at: &str, id: &str| {
        step(
            at,
            &format!("start_children = {{ on = 'n1', ids = ['{id}'] }}"),
        )
    };
    let lines = step(
        "5s",
        "hold = { from = ['n1'], to = 'all', channels = ['requests'], count = 2 }",
    ) + &start("6s", "a")
        + &start("7s", "b")
        + &start("8s", "c")
        + &step("9s", "release = { from = ['n1'], to = ['n2'] }")
        + &step(
            "10s",
            "hold = { from = ['n1'], to = ['n2'], channels = ['requests'], count = 9 }",
        )
        + &start("11s", "d")
        + &step("12s", "release = { from = ['n1'], to = ['n2'] }")
        + &start("13s", "e")
        + "[[expect]]\nregistry = { on = ['n2', 'n3'], has = ['c'], lacks = ['a', 'b'] }\nat = '8.5s'\n\
           [[expect]]\nregistry = { on = 'n2', has = ['a', 'b', 'c'], lacks = ['d'] }\nat = '11.5s'\n\
           [[expect]]\nregistry = { on = 'n2', has = ['a', 'b', 'c', 'd', 'e'] }\nat = '13.001s'\n\
           [[expect]]\nregistry = { on = 'n3', has = ['c', 'd', 'e'], lacks = ['a', 'b'] }\nat = '30s'\n";
    let report = run(&lines, 1);
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.expectations);
    // Nothing is kept back by what is held: those after it came at once, in order.
    assert_eq!(report.messages.by_kind["pubsub.requests"].delivered, 8);
}

/// In which order n2 comes to show what n1 starts, by an order of release.
fn released(order: &str, seed: u64) -> Vec<String> {
    let mut lines = step(
        "5s",
        "hold = { from = ['n1'], to = ['n2'], channels = ['requests'] }",
    );
    for number in 0..6 {
        let start = format!("start_children = {{ on = 'n1', ids = ['{number}'] }}");
        lines += &step("6s", &start);
    }
    lines += &step(
        "9s",
        &format!("release = {{ from = ['n1'], to = ['n2'], order = '{order}' }}"),
    );
    let tape = recorded(&lines, seed);
    let rows = tape
        .events
        .iter()
        .filter(|event| event.node == 1 && event.at.0 == 9_000_000);
    let shown = rows.filter_map(|event| {
        if let Payload::Row { child, .. } = &event.payload {
            Some(child.to_string())
        } else {
            None
        }
    });
    shown.collect()
}

#[test]
fn they_are_delivered_as_sent_or_the_last_first_or_as_drawn() {
    let sent = ["0", "1", "2", "3", "4", "5"];
    assert_eq!(released("fifo", 1), sent);
    let mut reversed = released("lifo", 1);
    reversed.reverse();
    assert_eq!(reversed, sent);
    let drawn: Vec<Vec<String>> = (1..9).map(|seed| released("random", seed)).collect();
    assert_eq!(drawn[0], released("random", 1));
    for order in &drawn {
        let mut sorted = order.clone();
        sorted.sort();
        assert_eq!(sorted, sent);
    }
    let different: BTreeSet<&Vec<String>> = drawn.iter().collect();
    assert!(different.len() > 5, "{drawn:?}");
}

/// Two files that must come to the same, on some seeds; and so does what the first is resolved to.
fn same(one: &str, other: &str) {
    let catalog = Catalog::default();
    for seed in 1..6 {
        let digest = run(one, seed).digest;
        assert!(digest.is_some());
        assert_eq!(digest, run(other, seed).digest, "{one}\n{other}");
        let resolved = render(&resolve(&scenario(one), seed, &catalog), Style::Full);
        let again = Scenario::read("resolved.toml", resolved.as_bytes(), &catalog);
        let again = again.unwrap_or_else(|problems| panic!("{problems:?}\n{resolved}"));
        let report = Simulation::new(&again, &catalog).run().expect("it runs");
        assert_eq!(digest, report.digest, "{resolved}");
    }
}

#[test]
fn both_ways_is_each_way_by_itself_and_all_channels_are_no_channels() {
    let loads = step(
        "6s",
        "start_children = { on = 'n1', ids = ['a', 'b', 'c'] }",
    ) + &step("7s", "sync = { on = 'n2' }")
        + &step("8s", "sync = { on = 'n1' }");
    let link = |from: &str, to: &str, more: &str| {
        format!("[[network.link]]\nfrom = ['{from}']\nto = ['{to}']\nloss = 0.4\n{more}\n")
    };
    let file = |links: &str| format!("{links}{loads}");
    same(
        &file(&link("n1", "n2", "both = true")),
        &file(&(link("n1", "n2", "") + &link("n2", "n1", ""))),
    );
    let step_of = |more: &str| step("5s", &format!("link = {{ loss = 0.4, {more} }}"));
    same(
        &file(&step_of("from = ['n1'], to = ['n2', 'n3'], both = true")),
        &file(
            &(step_of("from = ['n1'], to = ['n2', 'n3']")
                + &step_of("from = ['n2', 'n3'], to = ['n1']")),
        ),
    );
    let all = "channels = ['control', 'join', 'requests', 'sync']";
    same(&file(&link("n1", "n2", all)), &file(&link("n1", "n2", "")));
    // A later change wins, of those channels that it is about.
    same(
        &file(
            &(link("n1", "n2", "")
                + "[[network.link]]\nfrom = ['n1']\nto = ['n2']\nchannels = ['sync']\nloss = 0.0\n"),
        ),
        &file(&link(
            "n1",
            "n2",
            "channels = ['control', 'join', 'requests']",
        )),
    );
}

#[test]
fn a_link_both_ways_counts_as_two_steps() {
    let file = |both: bool| {
        format!(
            "{HEAD}[[step]]\nat = '1s'\nevery = '200us'\ntimes = 60_000\n\
             link = {{ from = ['n1'], to = ['n2'], both = {both}, loss = 0.1 }}\n"
        )
    };
    let read = |text: String| Scenario::read("links.toml", text.as_bytes(), &Catalog::default());
    assert!(read(file(false)).is_ok());
    let refused = read(file(true)).expect_err("120,000 steps");
    assert!(
        format!("{refused:?}").contains("TooManySteps"),
        "{refused:?}"
    );
}
