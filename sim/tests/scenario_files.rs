//! Scenario files from end to end: what is read, what it resolves to, and what is written back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hublab_sim::catalog::Catalog;
use hublab_sim::scenario::{
    Action, After, Claim, Instants, Latency, On, Problem, Scenario, Style, When, json_schema, load,
    parse_seeds, render, resolve,
};
use hublab_strategies::Time;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn read(text: &str) -> Result<Scenario, Vec<Problem>> {
    Scenario::read("test.toml", text.as_bytes(), &Catalog::default())
        .map_err(|problems| problems.problems().to_vec())
}

fn read_file(path: &Path) -> Scenario {
    let bytes = load::read_bytes(path).expect("the file is there");
    Scenario::read(&path.display().to_string(), &bytes, &Catalog::default()).unwrap_or_else(
        |problems| {
            panic!("{problems}: {:?}", problems.problems());
        },
    )
}

/// Every scenario file of the repository, and those of these tests.
fn shipped() -> Vec<PathBuf> {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut files = load::find(&[data("")]).expect("the files are there");
    files.extend(load::find(&[scenarios]).unwrap_or_default());
    files
}

/// Without the numbers of lines, which depend on the layout of the file.
fn without_lines(mut scenario: Scenario) -> Scenario {
    scenario.steps.iter_mut().for_each(|step| step.line = 0);
    scenario
        .expectations
        .iter_mut()
        .for_each(|expectation| expectation.line = 0);
    scenario
}

/// A small cluster with some steps, each `at: action`.
fn script(steps: &[&str]) -> String {
    let head = "schema = 1\n[cluster]\nnodes = 4\nstart = [\"n1..n3\"]\n".to_owned();
    steps.iter().fold(head, |text, step| {
        let (at, action) = step.split_once(": ").expect("a time and an action");
        format!("{text}[[step]]\nat = \"{at}\"\n{action}\n")
    })
}

#[test]
fn the_example_of_the_format_means_what_the_format_says() {
    let scenario = read_file(&data("example.toml"));
    assert_eq!(scenario.name, "partition-then-heal");
    assert_eq!(
        (scenario.run.duration, scenario.run.seed),
        (Duration::from_secs(90), 7)
    );
    assert_eq!(scenario.run.seeds, 0..200);
    assert_eq!(scenario.cluster.start, [0, 1, 2, 3]);
    assert_eq!(
        scenario.network.links[0].latency,
        Some(Latency::Constant(Duration::from_millis(40)))
    );
    assert_eq!(scenario.network.links[0].to, [3, 4]);
    assert_eq!(
        scenario.steps[2].at,
        When::Between(Duration::from_secs(12), Duration::from_secs(14))
    );
    assert_eq!(scenario.steps[2].line, 51);
    let Action::StartChildren { children, .. } = &scenario.steps[2].action else {
        panic!("not a start")
    };
    assert_eq!(
        children
            .ids()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["x-1", "x-2", "x-3"]
    );
    assert!(matches!(
        scenario.expectations[1].claim,
        Claim::Registry {
            when: Instants::At(Time(30_000_000)),
            on: On::One(2),
            ..
        }
    ));
    assert_eq!(scenario.expectations[2].strategy.as_deref(), Some("pubsub"));
}

#[test]
fn what_a_file_leaves_out_has_the_defaults_of_the_format() {
    let small = read_file(&data("small.toml"));
    assert_eq!(small.name, "small");
    let written_out = resolve(&small, 1, &Catalog::default());
    let example = read_file(&data("example.toml"));
    assert_eq!(written_out.run.duration, Duration::from_secs(60));
    assert_eq!(written_out.network.base, example.network.base);
    assert_eq!(
        written_out.strategies,
        resolve(&example, 1, &Catalog::default()).strategies
    );
    // The example names the parameters that it was written with.
    for (key, value) in &example.strategies["gossip"] {
        assert_eq!(written_out.strategies["gossip"][key], *value, "{key}");
    }
}

#[test]
fn a_scenario_without_expectations_gets_convergence_within_the_rest_of_the_run() {
    let small = resolve(&read_file(&data("small.toml")), 1, &Catalog::default());
    let rest = Duration::from_secs(59);
    assert_eq!(
        small.expectations[0].claim,
        Claim::Converged {
            within: rest,
            after: After::LastStep,
            nodes: None,
            whole: false,
        }
    );
    let long = read("schema = 1\n[run]\nduration = \"10m\"\n[cluster]\nnodes = 2\n").unwrap();
    let within = Duration::from_secs(60);
    let claim = Claim::Converged {
        within,
        after: After::LastStep,
        nodes: None,
        whole: false,
    };
    assert_eq!(
        resolve(&long, 1, &Catalog::default()).expectations[0].claim,
        claim
    );
}

#[test]
fn every_shipped_file_reads_back_from_both_its_written_forms() {
    for path in shipped() {
        let scenario = read_file(&path);
        for style in [Style::Brief, Style::Full] {
            let text = render(&scenario, style);
            let again = read(&text)
                .unwrap_or_else(|problems| panic!("{}:\n{text}\n{problems:?}", path.display()));
            assert_eq!(
                without_lines(again),
                without_lines(scenario.clone()),
                "{}\n{text}",
                path.display()
            );
        }
    }
}

#[test]
fn a_resolved_scenario_is_a_file_that_resolves_to_itself() {
    let catalog = Catalog::default();
    for path in shipped() {
        let scenario = read_file(&path);
        for seed in [0, 1, u64::MAX >> 1] {
            let resolved = resolve(&scenario, seed, &catalog);
            assert!(
                resolved
                    .steps
                    .iter()
                    .all(|step| matches!(step.at, When::Fixed(_))),
                "{}",
                path.display()
            );
            assert_eq!(
                resolve(&resolved, seed, &catalog),
                resolved,
                "{}",
                path.display()
            );
            let again = read(&render(&resolved, Style::Full))
                .unwrap_or_else(|problems| panic!("{problems:?}"));
            assert_eq!(
                without_lines(again),
                without_lines(resolved),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn draws_stay_in_their_range_differ_by_seed_and_do_not_move_when_other_steps_go() {
    let catalog = Catalog::default();
    let scenario = read_file(&data("everything.toml"));
    let draw = |scenario: &Scenario, seed: u64| -> Vec<Duration> {
        let steps = resolve(scenario, seed, &catalog).steps;
        let drawn = steps
            .into_iter()
            .filter(|step| step.action.name() == "start_children")
            .skip(1);
        drawn
            .map(|step| {
                if let When::Fixed(at) = step.at {
                    at
                } else {
                    panic!("not drawn")
                }
            })
            .collect()
    };
    let draws: Vec<Vec<Duration>> = (0..200).map(|seed| draw(&scenario, seed)).collect();
    let (low, high) = (Duration::from_secs(2), Duration::from_secs(3));
    assert!(draws.iter().flatten().all(|at| (low..=high).contains(at)));
    assert!(
        draws
            .iter()
            .any(|pair| pair[0] < Duration::from_millis(2_200))
    );
    assert!(
        draws
            .iter()
            .any(|pair| pair[0] > Duration::from_millis(2_800))
    );
    assert!(
        draws.iter().all(|pair| pair[0] != pair[1]),
        "equal steps have draws of their own"
    );
    let mut fewer = scenario.clone();
    fewer.steps.remove(0);
    fewer.steps.truncate(4);
    assert_eq!(
        draw(&fewer, 3),
        Vec::from(&draws[3][1..]),
        "the first of the drawn steps is skipped here"
    );
    let mut one = scenario;
    one.steps.remove(2);
    assert_eq!(draw(&one, 3), Vec::from(&draws[3][..1]));
}

#[test]
fn a_node_added_to_the_file_moves_no_draw() {
    let file = |nodes: u32| {
        format!(
            "schema = 1\n[cluster]\nnodes = {nodes}\nstart = [\"n1..n4\"]\n[[step]]\nat = \"1s..9s\"\npartition = {{ groups = [[\"n1..n3\"], [\"n4\"]], heal_after = \"1s..9s\" }}\n"
        )
    };
    let at = |nodes| resolve(&read(&file(nodes)).unwrap(), 5, &Catalog::default()).steps;
    assert_eq!(at(4), at(5));
}

#[test]
fn all_problems_of_a_file_are_reported_at_once() {
    let problems = read(&script(&[
        "1s: crash = { nodes = [\"n9\"], softly = true }",
        "2s: crahs = { nodes = [\"n1\"] }",
        "3s: sync = { on = \"n1\" }",
        "2m: heal = true",
    ]))
    .unwrap_err();
    let kinds: Vec<String> = problems
        .iter()
        .map(|problem| format!("{problem:?}").split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        kinds,
        [
            "UnknownNode",
            "UnknownKey",
            "UnknownKey",
            "NotRunning",
            "AfterTheEnd"
        ]
    );
}

#[test]
fn a_node_that_runs_can_be_paused_stopped_and_booted_again() {
    let steps = [
        "1s: pause = { nodes = [\"n1\"] }",
        "2s: start_children = { on = \"n1\", ids = [\"a\"] }",
        "3s: resume = { nodes = [\"n1\"] }",
        "4s: pause = { nodes = [\"n1\"] }",
        "5s: crash = { nodes = [\"n1\"] }",
        "5s: restart = { nodes = [\"n1\"] }",
        "6s: leave = { nodes = [\"n1\"] }",
        "7s..8s: restart = { nodes = [\"n1\"] }",
        "7s: join = { nodes = [\"n4\"] }",
        "8s: stop_children = { on = \"n1\", ids = [\"a\"], via = \"n4\" }",
        "9s: clock = { nodes = [\"n1\"], jump = \"+1h\" }",
    ];
    assert_eq!(
        read(&script(&steps)),
        read(&script(&steps)),
        "reading is a function of the text"
    );
    read(&script(&steps)).unwrap();
}

#[test]
fn a_step_on_a_node_whose_pause_may_come_first_or_later_is_accepted_for_the_node_runs() {
    read(&script(&[
        "2s: pause = { nodes = [\"n1\"] }",
        "1s..3s: start_children = { on = \"n1\", ids = [\"a\"] }",
        "5s: resume = { nodes = [\"n1\"] }",
    ]))
    .unwrap();
    let crash = [
        "2s: crash = { nodes = [\"n1\"] }",
        "1s..3s: start_children = { on = \"n1\", ids = [\"a\"] }",
    ];
    assert!(matches!(
        read(&script(&crash)).unwrap_err()[..],
        [Problem::OrderDependsOnSeed { .. }]
    ));
    let crash_and_back = [
        "2s: crash = { nodes = [\"n1\"] }",
        "2500ms: restart = { nodes = [\"n1\"] }",
        "1s..3s: start_children = { on = \"n1\", ids = [\"a\"] }",
    ];
    assert!(matches!(
        read(&script(&crash_and_back)).unwrap_err()[..],
        [Problem::OrderDependsOnSeed { .. }]
    ));
}

#[test]
fn steps_are_checked_in_the_order_of_time_and_not_of_the_file() {
    read(&script(&[
        "9s: restart = { nodes = [\"n1\"] }",
        "1s: crash = { nodes = [\"n1\"] }",
    ]))
    .unwrap();
    let same_instant = [
        "1s: restart = { nodes = [\"n1\"] }",
        "1s: crash = { nodes = [\"n1\"] }",
    ];
    assert!(matches!(
        read(&script(&same_instant)).unwrap_err()[..],
        [Problem::AlreadyRunning { .. }]
    ));
}

#[test]
fn nodes_that_do_not_run_may_be_named_where_only_their_links_matter_and_be_missing_from_groups() {
    read(&script(&[
        "1s: partition = { groups = [[\"n1\"], [\"n2\", \"n3\"]] }",
        "2s: partition = { groups = [[\"n1\", \"n4\"], [\"n2\", \"n3\"]] }",
        "3s: cut = { from = [\"n4\"], to = \"all\" }",
        "4s: link = { from = [\"n4\"], to = [\"n1\"], loss = 1 }",
        "5s: view = { on = \"n1\", nodes = [\"n4\", \"n1\"] }",
        "6s: broadcast = { on = \"n1\", to = [\"n4\"] }",
        "7s: crash = { nodes = [\"n3\"] }",
        "8s: partition = { groups = [[\"n1\"], [\"n2\"]] }",
    ]))
    .unwrap();
    let joined = [
        "1s: join = { nodes = [\"n4\"] }",
        "2s: partition = { groups = [[\"n1\"], [\"n2\", \"n3\"]] }",
    ];
    assert!(matches!(
        read(&script(&joined)).unwrap_err()[..],
        [Problem::InNoGroup { .. }]
    ));
}

#[test]
fn what_falls_on_the_end_of_the_run_still_happens() {
    read(&script(&["60s: heal = true"])).unwrap();
    assert!(matches!(
        read(&script(&["60001ms: heal = true"])).unwrap_err()[..],
        [Problem::AfterTheEnd { .. }]
    ));
}

#[test]
fn node_lists_take_names_spans_and_all() {
    let joined = |list: &str| {
        let text = format!(
            "schema = 1\n[cluster]\nnames = [\"c\", \"a\", \"b\"]\nstart = []\n[[step]]\nat = \"1s\"\njoin = {{ nodes = {list} }}\n"
        );
        read(&text).map(|scenario| {
            let Action::Join(nodes) = &scenario.steps[0].action else {
                panic!("no join")
            };
            nodes.clone()
        })
    };
    assert_eq!(joined("\"all\"").unwrap(), [0, 1, 2]);
    assert_eq!(joined("[\"all\"]").unwrap(), [0, 1, 2]);
    assert_eq!(joined("[\"b\", \"c..a\"]").unwrap(), [2, 0, 1]);
    assert!(matches!(
        joined("[\"a..c\"]").unwrap_err()[..],
        [Problem::ReversedSpan { .. }]
    ));
}

#[test]
fn the_order_of_the_entries_of_a_row_is_that_of_the_file() {
    let text = script(&[
        "1s: rows = { on = \"n1\", rows = [{ child = \"x\", nodes = { n3 = \"p3\", n1 = \"p1\", n2 = \"p2\" } }] }",
    ]);
    let Action::Rows { rows, .. } = &read(&text).unwrap().steps[0].action else {
        panic!("no rows")
    };
    let order: Vec<&str> = rows[0]
        .entries
        .iter()
        .map(|entry| entry.node.as_str())
        .collect();
    assert_eq!(order, ["n3", "n1", "n2"]);
}

#[test]
fn parameters_of_every_strategy_are_those_of_each_that_has_them() {
    let head = "schema = 1\n[cluster]\nnodes = 2\n";
    let text = format!(
        "{head}[[cluster.node]]\nnames = ['n2']\nstrategy = {{ '*' = {{ sync_interval = '9s' }} }}\n\
         [strategy.'*']\nsync_interval = '5s'\nrecipients = 2\n[strategy.gossip]\nrecipients = 1\n"
    );
    let scenario = read(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let shown = |of: &hublab_sim::scenario::Parameters, name: &str| {
        serde_json::to_string(&of[name]).expect("a table")
    };
    let all = &scenario.strategies;
    assert_eq!(shown(all, "pubsub"), r#"{"sync_interval":"5s"}"#);
    assert_eq!(
        shown(all, "gossip"),
        r#"{"recipients":1,"sync_interval":"5s"}"#
    );
    let of_one = &scenario.cluster.overrides[0].strategy;
    assert_eq!(shown(of_one, "pubsub"), r#"{"sync_interval":"9s"}"#);
    assert_eq!(shown(of_one, "gossip"), r#"{"sync_interval":"9s"}"#);
    for (wrong, code) in [
        ("patience = '5s'", "unknown_key"),
        ("recipients = 0", "bad_parameter"),
        ("recipients = 'x'", "bad_parameter"),
    ] {
        let problems = read(&format!("{head}[strategy.'*']\n{wrong}\n")).expect_err(wrong);
        let codes = problems.iter().filter_map(miette::Diagnostic::code);
        let codes: Vec<String> = codes.map(|code| code.to_string()).collect();
        assert_eq!(codes, [format!("scenario::{code}")], "{wrong}");
    }
}

#[test]
fn seeds_are_a_range_with_something_in_it() {
    assert_eq!(parse_seeds("3..5"), Some(3..5));
    for text in [
        "",
        "5",
        "..",
        "5..",
        "..5",
        "5..5",
        "6..5",
        "-1..5",
        "+1..5",
        "0..=5",
        "0..99999999999999999999",
    ] {
        assert_eq!(parse_seeds(text), None, "{text}");
    }
}

#[test]
fn the_json_schema_accepts_every_shipped_file_and_refuses_what_the_reader_refuses() {
    let schema = json_schema(&Catalog::default());
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let json = |text: &str| serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
    for path in shipped() {
        let text = std::fs::read_to_string(&path).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&json(&text))
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        let full = render(
            &resolve(&read_file(&path), 1, &Catalog::default()),
            Style::Full,
        );
        assert!(validator.is_valid(&json(&full)), "{}", path.display());
    }
    let head = "schema = 1\n[cluster]\nnodes = 3\n";
    for wrong in [
        "weather = 1\n[run]\nduration = \"60s\"\n".to_owned(),
        format!("{head}sart = []\n"),
        format!("{head}names = [\"a\"]\n"),
        format!("{head}[[step]]\nat = \"1s\"\n"),
        format!("{head}[[step]]\nat = \"1s\"\nheal = true\nsync = {{ on = \"n1\" }}\n"),
        format!("{head}[[step]]\nat = \"soon\"\nheal = true\n"),
        format!(
            "{head}[[step]]\nat = \"1s\"\nstart_children = {{ on = \"n1\", ids = [\"a\"], prefix = \"x\" }}\n"
        ),
        format!("{head}[[expect]]\nregistry = {{ on = \"n1\", has = [\"a\"] }}\n"),
        format!("{head}[[expect]]\nat = \"1s\"\nalways = \"no_crash\"\n"),
        format!("{head}[strategy.gossip]\nrecipient = 1\n"),
        format!("{head}[strategy.swim]\nfanout = 1\n"),
        format!(
            "{head}[network]\nlatency = {{ constant = \"1ms\", uniform = [\"1ms\", \"2ms\"] }}\n"
        ),
    ] {
        assert!(!validator.is_valid(&json(&wrong)), "{wrong}");
        assert!(read(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn every_step_and_claim_of_the_format_is_in_the_file_of_everything() {
    let text = std::fs::read_to_string(data("everything.toml")).unwrap();
    let scenario = read_file(&data("everything.toml"));
    let choices = hublab_sim::scenario::shape::STEP
        .choices
        .iter()
        .chain(hublab_sim::scenario::shape::EXPECT.choices);
    for key in choices.map(|keys| keys[0]) {
        assert!(
            text.contains(&format!("\n{key} = ")) || text.contains(&format!("[step.{key}]")),
            "{key}"
        );
    }
    assert_eq!(
        hublab_sim::run::estimate::size(&scenario).children,
        2 * 3 + 3 + 3
    );
}
