//! Steps that stand for several: repetition, lists of nodes, choice.

use std::collections::BTreeSet;

use hublab_sim::catalog::Catalog;
use hublab_sim::model::{Action, Scenario, Step};
use hublab_sim::run::Simulation;
use hublab_sim::scenario::{Style, render, resolve};
use hublab_sim::trace::event::Payload;

use crate::lab::{Lab, S};

/// The file with every pattern.
const ALL: &str = include_str!("../data/patterns.toml");

fn read(text: &str) -> Scenario {
    Scenario::read("patterns.toml", text.as_bytes(), &Catalog::default())
        .unwrap_or_else(|problems| panic!("{text}\n{:?}", problems.problems()))
}

fn refused(text: &str) -> String {
    let read = Scenario::read("patterns.toml", text.as_bytes(), &Catalog::default());
    let problems = read.expect_err("it is refused");
    let told = problems.problems().iter().map(ToString::to_string);
    told.collect::<Vec<_>>().join("\n")
}

/// A cluster of six nodes of which the last starts later, with these steps.
fn file(steps: &str) -> String {
    format!(
        "schema = 1\n[run]\nduration = '100s'\n[cluster]\nnodes = 6\nstart = ['n1..n5']\n\
         [cluster.zones]\neu = ['n1..n3']\n{steps}\n[[expect]]\nalways = 'no_crash'\n"
    )
}

fn step(at: &str, rest: &str) -> String {
    format!("[[step]]\nat = '{at}'\n{rest}\n")
}

/// The steps that a seed makes of a file, each in a line, without its defaults.
fn plain(text: &str, seed: u64) -> Vec<String> {
    let scenario = resolve(&read(text), seed, &Catalog::default());
    let text = render(&scenario, Style::Brief);
    let steps = text.split("[[step]]\n").skip(1);
    let line = |step: &str| {
        let lines = step.lines().take_while(|line| !line.is_empty());
        let values = lines.map(|line| line.trim_start_matches("at = ").replace('"', ""));
        values.collect::<Vec<_>>().join(" ")
    };
    steps.map(line).collect()
}

fn steps_of(text: &str, seed: u64) -> Vec<Step> {
    resolve(&read(text), seed, &Catalog::default()).steps
}

fn at_us(step: &Step) -> u64 {
    u64::try_from(step.at.first().as_micros()).expect("a short run")
}

#[test]
fn what_explain_prints_is_plain_and_runs_to_the_same_digest() {
    let catalog = Catalog::default();
    let scenario = read(ALL);
    for seed in 0..12 {
        let resolved = resolve(&scenario, seed, &catalog);
        assert!(resolved.steps.iter().all(|step| step.pattern.is_none()));
        let text = render(&resolved, Style::Full);
        let again = read(&text);
        assert!(
            !text.contains("random =") && !text.contains("every ="),
            "{text}"
        );
        for strategy in ["pubsub", "gossip"] {
            let run = |scenario: &Scenario| {
                let run = Simulation::new(scenario, &catalog).strategy(strategy);
                let report = run.and_then(|run| run.seed(seed).run()).expect("a port");
                report.digest.expect("it ran to its end")
            };
            assert_eq!(run(&scenario), run(&again), "seed {seed}\n{text}");
        }
    }
}

#[test]
fn times_includes_the_first_and_until_is_exclusive() {
    let sync = "sync = { on = 'n1' }";
    let times = file(&step("2s", &format!("every = '1s'\ntimes = 3\n{sync}")));
    let expected = ["2s", "3s", "4s"].map(|at| format!("{at} sync = {{ on = n1 }}"));
    assert_eq!(plain(&times, 1), expected);
    let until = file(&step("2s", &format!("every = '1s'\nuntil = '5s'\n{sync}")));
    assert_eq!(plain(&until, 1), expected);
}

#[test]
fn a_range_in_at_is_drawn_once_and_heal_after_for_each() {
    let cut = "cut = { from = ['n1'], to = ['n2'], heal_after = '1s..2s' }";
    let text = file(&step("2s..9s", &format!("every = '5s'\ntimes = 9\n{cut}")));
    let steps = steps_of(&text, 3);
    let gaps = steps.windows(2).map(|two| at_us(&two[1]) - at_us(&two[0]));
    assert!(gaps.eq([5 * S; 8]));
    let heals: BTreeSet<_> = steps
        .iter()
        .map(|step| step.action.heal_after().map(|after| after.first()))
        .collect();
    assert!(heals.len() > 6, "{heals:?}");
}

#[test]
fn drawn_gaps_have_their_mean_and_move_nothing_else() {
    let churn = step(
        "1s",
        "every = { mean = '100ms' }\nuntil = '99s'\nsync = { on = 'n1' }",
    );
    let other = step("1s..90s", "sync = { on = 'n2' }");
    let alone = steps_of(&file(&churn), 5);
    // Poisson: 980 are expected, with a deviation of 31.
    assert!((860..1_100).contains(&alone.len()), "{}", alone.len());
    let gaps: Vec<u64> = alone
        .windows(2)
        .map(|two| at_us(&two[1]) - at_us(&two[0]))
        .collect();
    let short = gaps.iter().filter(|gap| **gap < 69_315).count();
    assert!(
        (400..580).contains(&short),
        "half are below the median: {short}"
    );
    let both = steps_of(&file(&format!("{other}{churn}")), 5);
    let times = |steps: &[Step]| steps.iter().map(at_us).collect::<Vec<_>>();
    assert_eq!(times(&both[1..]), times(&alone));
    let more = file(&churn).replace("nodes = 6", "nodes = 9");
    assert_eq!(times(&steps_of(&more, 5)), times(&alone));
    assert_ne!(times(&steps_of(&file(&churn), 6)), times(&alone));
}

#[test]
fn counted_children_go_on_over_nodes_and_repetitions() {
    let start =
        "every = '1s'\ntimes = 2\nstart_children = { on = ['n2', 'n1'], count = 3, prefix = 'x' }";
    assert_eq!(
        plain(&file(&step("1s", start)), 1),
        [
            "1s start_children = { on = n2, count = 3, prefix = x }",
            "1s start_children = { on = n1, ids = [x-4..x-6] }",
            "2s start_children = { on = n2, ids = [x-7..x-9] }",
            "2s start_children = { on = n1, ids = [x-10..x-12] }",
        ]
    );
    let ids = "every = '1s'\ntimes = 2\nstart_children = { on = 'n1', ids = ['a'] }";
    assert_eq!(
        plain(&file(&step("1s", ids)), 1),
        ["1s", "2s"].map(|at| format!("{at} start_children = {{ on = n1, ids = [a] }}"))
    );
}

#[test]
fn children_are_stopped_by_their_age_and_those_of_a_crash_are_forgotten() {
    let start = |at, id| {
        step(
            at,
            &format!("start_children = {{ on = 'n1', ids = ['{id}'] }}"),
        )
    };
    let starts = [
        start("1s", "b"),
        start("2s", "a"),
        start("3s", "c"),
        start("4s", "b"),
    ]
    .concat();
    let stop = |how: &str| {
        let stop = step("5s", &format!("stop_children = {{ on = 'n1', {how} }}"));
        plain(&file(&format!("{starts}{stop}")), 1)
            .pop()
            .unwrap_or_default()
    };
    assert_eq!(
        stop("oldest = 1"),
        "5s stop_children = { on = n1, ids = [a] }"
    );
    assert_eq!(
        stop("oldest = 2"),
        "5s stop_children = { on = n1, ids = [a, c] }"
    );
    assert_eq!(
        stop("newest = 1"),
        "5s stop_children = { on = n1, ids = [b] }"
    );
    assert_eq!(
        stop("oldest = 9"),
        "5s stop_children = { on = n1, ids = [a, c, b] }"
    );
    let rest = [
        step("6s", "crash = { nodes = ['n1'] }"),
        step("7s", "restart = { nodes = ['n1'] }"),
        start("8s", "d"),
        step(
            "9s",
            "every = '1s'\ntimes = 2\nstop_children = { on = 'n1', oldest = 5 }",
        ),
    ];
    let steps = plain(&file(&format!("{starts}{}", rest.concat())), 1);
    assert_eq!(
        steps[7..],
        [
            "9s stop_children = { on = n1, ids = [d] }",
            "10s left_out = { action = stop_children, nodes = [n1] }"
        ]
    );
    let drawn = step("5s", "stop_children = { on = 'n1', random = 1 }");
    let drawn = file(&format!("{starts}{drawn}"));
    let stopped: BTreeSet<_> = (0..40).map(|seed| plain(&drawn, seed).pop()).collect();
    assert_eq!(stopped.len(), 3, "{stopped:?}");
}

#[test]
fn a_choice_is_of_those_on_which_the_action_is_possible() {
    let steps = [
        step("1s", "pause = { nodes = ['n1'] }"),
        step("2s", "crash = { nodes = ['n2'] }"),
        step("3s", "pause = { nodes = { random = 9, of = 'all' } }"),
        step(
            "4s",
            "resume = { nodes = { random = 9, of = ['n1', 'n2', 'n6'] } }",
        ),
        step("5s", "restart = { nodes = { random = 9, of = 'all' } }"),
        step("6s", "join = { nodes = { random = 9, of = 'all' } }"),
        step("7s", "crash = { nodes = { random = 2, of = ['@eu'] } }"),
        step("8s", "crash = { nodes = { random = 2, of = ['@eu'] } }"),
        step("9s", "crash = { nodes = { random = 2, of = ['@eu'] } }"),
        step("10s", "sync = { on = { random = 9, of = ['n1..n4'] } }"),
    ];
    let made = plain(&file(&steps.concat()), 1);
    assert_eq!(
        made[2..6],
        [
            "3s pause = { nodes = [n3..n5] }",
            "4s resume = { nodes = [n1] }",
            "5s restart = { nodes = [n2] }",
            "6s join = { nodes = [n6] }",
        ]
    );
    assert!(
        made[6].matches('n').count() == 3 && made[7].matches('n').count() == 2,
        "{made:?}"
    );
    assert_eq!(
        made[8..],
        [
            "9s left_out = { action = crash, nodes = [] }",
            "10s sync = { on = n4 }"
        ]
    );
}

#[test]
fn every_node_is_chosen_as_often_as_another_and_anew_in_each_repetition() {
    let sync = "every = '1s'\ntimes = 90\nsync = { on = { random = 1, of = ['n1..n3'] } }";
    let mut chosen = [0; 3];
    for step in steps_of(&file(&step("1s", sync)), 7) {
        let node = step.action.doer().expect("a node syncs");
        chosen[node as usize] += 1;
    }
    assert!(
        chosen.iter().all(|count| (15..46).contains(count)),
        "{chosen:?}"
    );
}

#[test]
fn what_is_not_possible_on_a_drawn_node_is_left_out_and_traced() {
    let steps = [
        step(
            "1s",
            "start_children = { on = 'n1', ids = ['a'], replicas = ['n4'] }",
        ),
        step("2s", "crash = { nodes = { random = 3, of = ['@eu'] } }"),
        step(
            "3s",
            "start_children = { on = 'n4', ids = ['b'], replicas = ['n1'] }",
        ),
        step("4s", "start_children = { on = 'n2', ids = ['c'] }"),
        step(
            "5s",
            "start_children = { on = 'n4', ids = ['d'], via = 'n3' }",
        ),
        step("6s", "crash = { nodes = ['n1', 'n5'] }"),
    ];
    let text = file(&steps.concat());
    assert_eq!(
        plain(&text, 1)[2..],
        [
            "3s start_children = { on = n4, ids = [b] }",
            "3s left_out = { action = start_children, nodes = [n1] }",
            "4s left_out = { action = start_children, nodes = [n2] }",
            "5s left_out = { action = start_children, nodes = [n3] }",
            "6s crash = { nodes = [n5] }",
            "6s left_out = { action = crash, nodes = [n1] }",
        ]
    );
    let lab = Lab::of(3).step("1s", "every = '1s'\ntimes = 2\ncrash = { nodes = ['n2'] }");
    let past = lab.run();
    let marks = past
        .events
        .iter()
        .filter(|event| matches!(&event.payload, Payload::Mark(name) if *name == "step.left_out"));
    let marks: Vec<_> = marks.map(|event| (event.at.0, event.node)).collect();
    assert_eq!(marks, [(2 * S, 1)]);
    // Before anything is drawn, the file says what runs.
    let early = step("1s", "restart = { nodes = ['n1'] }");
    let told = refused(&file(&format!("{early}{}", steps[1])));
    assert!(told.contains("running already"), "{told}");
}

#[test]
fn partitions_have_the_rest_those_alone_and_equal_parts() {
    let part = |how: &str| {
        let down = step("1s", "crash = { nodes = ['n2'] }");
        let split = step("2s", &format!("partition = {{ {how} }}"));
        plain(&file(&format!("{down}{split}")), 1)
            .pop()
            .unwrap_or_default()
    };
    assert_eq!(
        part("groups = ['rest', ['n4']]"),
        "2s partition = { groups = [[n1, n3, n5], [n4]] }"
    );
    assert_eq!(
        part("isolate = ['n5', 'n1']"),
        "2s partition = { groups = [[n5], [n1], [n3, n4]] }"
    );
    assert_eq!(
        part("parts = 3"),
        "2s partition = { groups = [[n1, n3], [n4], [n5]] }"
    );
    assert_eq!(
        part("parts = 9"),
        "2s partition = { groups = [[n1], [n3], [n4], [n5]] }"
    );
    let shuffled = file(&step("2s", "partition = { parts = 2, shuffle = true }"));
    let made: BTreeSet<_> = (0..40).map(|seed| plain(&shuffled, seed)).collect();
    assert!(made.len() > 6, "{made:?}");
    let drawn = file(&step(
        "2s",
        "partition = { isolate = { random = 1, of = ['@eu'] } }",
    ));
    let made: BTreeSet<_> = (0..40).map(|seed| plain(&drawn, seed)).collect();
    assert_eq!(made.len(), 3, "{made:?}");
}

#[test]
fn a_list_of_groups_must_have_every_node_that_can_run() {
    let crash = step("1s", "crash = { nodes = { random = 1, of = ['n3'] } }");
    let split = step(
        "2s",
        "partition = { groups = [['n1', 'n2'], ['n4', 'n5']] }",
    );
    let told = refused(&file(&format!("{crash}{split}")));
    assert!(told.contains("`n3` is in no group"), "{told}");
    let join = step("5s", "join = { nodes = ['n6'] }");
    let split = step(
        "4s",
        "every = '2s'\ntimes = 2\npartition = { groups = [['n1', 'n2'], ['n3..n5']] }",
    );
    let told = refused(&file(&format!("{join}{split}")));
    assert!(told.contains("`n6` is in no group"), "{told}");
}

#[test]
fn a_repetition_must_end_in_time_and_within_the_limits() {
    let refused = |rest: &str| {
        refused(&file(&step(
            "1s",
            &format!("{rest}\nsync = {{ on = 'n1' }}"),
        )))
    };
    assert!(refused("every = '1s'\ntimes = 101").contains("after the end"));
    assert!(refused("every = { mean = '1s' }\ntimes = 101").contains("after the end"));
    assert!(refused("every = '1s'\nuntil = '101s'").contains("after the end"));
    assert!(refused("every = '1s'\nuntil = '1s'").contains("`at` is more than `until`"));
    assert!(refused("every = '1s'\nuntil = '5s'\ntimes = 5").contains("only one of them"));
    assert!(refused("times = 5").contains("`every` is missing"));
    assert!(refused("every = '900us'\nuntil = '99s'").contains("108889 steps are too many"));
    let start = step(
        "1s",
        "every = '1ms'\nuntil = '99s'\nstart_children = { on = 'all', count = 2, prefix = 'x' }",
    );
    assert!(self::refused(&file(&start)).contains("are too many"));
}

#[test]
fn a_hundred_thousand_steps_of_a_short_file_are_those_written_out() {
    let text = file(&step(
        "1s",
        "every = '900us'\ntimes = 100000\nsync = { on = 'n1' }",
    ));
    let scenario = read(&text);
    let catalog = Catalog::default();
    let begun = std::time::Instant::now();
    let resolved = resolve(&scenario, 1, &catalog);
    let took = begun.elapsed();
    assert_eq!(resolved.steps.len(), 100_000);
    assert!(
        resolved
            .steps
            .iter()
            .all(|step| matches!(step.action, Action::Sync(0)))
    );
    let again = read(&render(&resolved, Style::Full));
    assert_eq!(again.steps.len(), 100_000);
    // To write them out takes a part of what reading them takes.
    assert!(took.as_secs() < 5, "{took:?}");
}
