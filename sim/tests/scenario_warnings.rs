//! What files say to no effect is told, and does not stop them; and files that once were read wrongly.

use hublab_sim::catalog::Catalog;
use hublab_sim::scenario::{Action, Claim, Problem, Scenario, Warning, Warnings};

fn read(text: &str) -> Result<(Scenario, Warnings), Vec<Problem>> {
    Scenario::read_with_warnings("test.toml", text.as_bytes(), &Catalog::default())
        .map_err(|problems| problems.problems().to_vec())
}

/// The line, code and help of each warning.
fn warned(text: &str) -> Vec<(u32, String, Option<String>)> {
    let (_, warnings) = read(text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
    let notes = warnings.notes();
    notes
        .map(|note| {
            let code = note.code.strip_prefix("scenario::").unwrap_or_default();
            (note.line, code.to_owned(), note.help)
        })
        .collect()
}

/// The codes of the warnings of a cluster of three with these steps and expectations.
fn codes(script: &str) -> Vec<String> {
    let head = "schema = 1\n[run]\nduration = \"60s\"\n[cluster]\nnodes = 3\n";
    let text = format!("{head}{script}");
    warned(&text).into_iter().map(|(_, code, _)| code).collect()
}

#[test]
fn children_that_nobody_starts_are_told_with_the_nearest_name() {
    let near = Some("did you mean `web-1`?".to_owned());
    assert_eq!(
        warned(include_str!("reports/p09-typo-in-child.toml")),
        [
            (13, "unknown_child".to_owned(), near.clone()),
            (16, "unknown_child".to_owned(), near),
        ]
    );
}

#[test]
fn a_child_is_known_if_any_step_starts_plants_or_registers_it() {
    let known = r#"
[[step]]
at = "1s"
start_children = { on = "n1", count = 3, prefix = "web" }
[[step]]
at = "1s"
rows = { on = "n1", rows = [{ child = "planted", nodes = { n2 = "p" } }] }
[[step]]
at = "1s"
propagate = { from = "n1", requests = [{ register = [{ child = "registered", nodes = { n1 = "p" } }] }] }
[[step]]
at = "2s"
stop_children = { on = "n1", count = 3, prefix = "web" }
[[step]]
at = "2s"
restart_child = { on = "n1", id = "web-3" }
[[expect]]
at = "3s"
registry = { on = "n2", has = ["web-1..web-3", "planted", "registered"] }
"#;
    assert_eq!(codes(known), [""; 0]);
    let unknown = r#"
[[step]]
at = "1s"
start_children = { on = "n1", count = 3, prefix = "web" }
[[step]]
at = "2s"
stop_children = { on = "n1", count = 4, prefix = "web" }
[[step]]
at = "2s"
restart_child = { on = "n1", id = "web-0" }
[[expect]]
at = "3s"
entry = { on = "n1", child = "job", first = "n1" }
"#;
    assert_eq!(codes(unknown), ["unknown_child"; 3]);
}

#[test]
fn faults_that_do_nothing_are_told() {
    let lines: Vec<(u32, String)> = warned(include_str!("reports/p11-faults-that-do-nothing.toml"))
        .into_iter()
        .map(|(line, code, _)| (line, code))
        .collect();
    let expected = [
        (13, "one_group"),
        (16, "one_group"),
        (19, "changes_nothing"),
        (22, "to_itself"),
    ];
    assert_eq!(lines, expected.map(|(line, code)| (line, code.to_owned())));
}

#[test]
fn steps_on_links_that_are_so_already_are_told() {
    let cases: [(&str, &[&str]); 9] = [
        (
            "[[step]]\nat = \"1s\"\ncut = { from = [\"n1\"], to = [\"n2\"] }\n[[step]]\nat = \"2s\"\ncut = { from = [\"n1\"], to = [\"n2\"] }\n",
            &["already_so"],
        ),
        (
            // The second keeps the link cut for longer.
            "[[step]]\nat = \"1s\"\ncut = { from = [\"n1\"], to = [\"n2\"], heal_after = \"9s\" }\n[[step]]\nat = \"2s\"\ncut = { from = [\"n1\"], to = [\"n2\"] }\n",
            &[],
        ),
        (
            "[[step]]\nat = \"1s\"\ncut = { from = [\"n1\"], to = [\"n2\"], heal_after = \"9s\" }\n[[step]]\nat = \"12s\"\ncut = { from = [\"n1\"], to = [\"n2\"] }\n",
            &[],
        ),
        (
            "[[step]]\nat = \"1s\"\ncut = { from = [\"n1\"], to = [\"n2\"] }\n[[step]]\nat = \"2s\"\nheal = true\n[[step]]\nat = \"3s\"\ncut = { from = [\"n1\"], to = [\"n2\"] }\n",
            &[],
        ),
        (
            "[[step]]\nat = \"1s\"\npartition = { groups = [[\"n1\"], [\"n2..n3\"]] }\n[[step]]\nat = \"2s\"\ncut = { from = [\"n1\"], to = [\"n3\"] }\n",
            &["already_so"],
        ),
        (
            "[network]\nloss = 0.1\n[[step]]\nat = \"1s\"\nlink = { from = [\"n1\"], to = [\"n2\"], loss = 0.1 }\n",
            &["already_so"],
        ),
        (
            "[[step]]\nat = \"1s\"\nlink = { from = [\"n1\"], to = [\"n2\"], loss = 0.1 }\n[[step]]\nat = \"2s\"\nlink = { from = [\"n1\"], to = \"all\", loss = 0.1 }\n",
            &[],
        ),
        (
            // Which of them comes first depends on the seed.
            "[[step]]\nat = \"1s..9s\"\nlink = { from = [\"n1\"], to = [\"n2\"], loss = 0.1 }\n[[step]]\nat = \"2s\"\nlink = { from = [\"n1\"], to = [\"n2\"], loss = 0.1 }\n",
            &[],
        ),
        (
            "[[step]]\nat = \"1s\"\npartition = { groups = [[\"n1\"], [\"n2..n3\"], []] }\n",
            &["empty_group"],
        ),
    ];
    for (script, expected) in cases {
        assert_eq!(codes(script), expected, "{script}");
    }
}

#[test]
fn expectations_that_cannot_fail_are_told() {
    let vacuous = warned(include_str!("reports/r08-vacuous.toml"));
    assert_eq!(vacuous.len(), 1);
    assert_eq!((vacuous[0].0, vacuous[0].1.as_str()), (14, "nobody_runs"));
    let start = "[[step]]\nat = \"1s\"\nstart_children = { on = \"n1\", ids = [\"a\"] }\n";
    for (expectation, expected) in [
        (
            "metric = { name = \"events\", min = 0 }",
            &["cannot_fail"][..],
        ),
        ("metric = { name = \"events\", min = 1 }", &[]),
        ("metric = { name = \"messages_sent\", max = 0 }", &[]),
        (
            "at = \"5s\"\nregistry = { on = \"n1\", has = [] }",
            &["cannot_fail"],
        ),
        (
            "converged = { within = \"5s\", nodes = [\"n1\", \"n2\"] }",
            &[],
        ),
        (
            "violates = \"no_crash\"\n[[expect]]\nalways = \"no_crash\"",
            &["never_both"],
        ),
        (
            "violates = \"own_truth\"\nstrategy = \"gossip\"\n[[expect]]\nalways = \"own_truth\"\nstrategy = \"pubsub\"",
            &[],
        ),
    ] {
        let script = format!("{start}[[expect]]\n{expectation}\n");
        assert_eq!(codes(&script), expected, "{script}");
    }
    let again = "[[step]]\nat = \"1s\"\ncrash = { nodes = [\"n3\"] }\n[[step]]\nat = \"30s\"\nrestart = { nodes = [\"n3\"] }\n[[expect]]\nconverged = { within = \"5s\", after = \"2s\", nodes = [\"n3\"] }\n";
    assert_eq!(codes(again), [""; 0], "n3 runs again later");
}

#[test]
fn no_shipped_scenario_says_something_to_no_effect() {
    let scenarios = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    for path in hublab_sim::scenario::load::find(&[scenarios]).unwrap() {
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, warnings) = read(&text).unwrap();
        // It withdraws a child that nobody knows, on purpose.
        let known = usize::from(path.ends_with("raw-requests.toml"));
        let told = warnings.warnings();
        assert_eq!(told.len(), known, "{}: {told:?}", path.display());
    }
}

#[test]
fn a_span_of_children_is_each_of_them() {
    let (scenario, warnings) = read(include_str!("reports/p15-span-of-children.toml")).unwrap();
    assert!(warnings.is_empty());
    let listed: Vec<Vec<String>> = scenario
        .expectations
        .iter()
        .map(|expectation| {
            let Claim::Registry { has, lacks, .. } = &expectation.claim else {
                panic!("no registry")
            };
            let ids = has.iter().chain(lacks);
            ids.map(ToString::to_string).collect()
        })
        .collect();
    assert_eq!(
        listed,
        [["web-1", "web-2", "web-3"], ["web-1", "web-2", "web-3"]]
    );
}

#[test]
fn spans_of_children_that_make_no_sense_are_refused() {
    let ids = |list: &str| {
        let text = format!(
            "schema = 1\n[cluster]\nnodes = 2\n[[step]]\nat = \"1s\"\nstart_children = {{ on = \"n1\", ids = {list} }}\n"
        );
        read(&text).map(|(scenario, _)| {
            let Action::StartChildren { children, .. } = &scenario.steps[0].action else {
                panic!("no start")
            };
            let ids = children.ids();
            ids.iter().map(ToString::to_string).collect::<Vec<_>>()
        })
    };
    assert_eq!(
        ids("[\"a\", \"x9..x11\"]").unwrap(),
        ["a", "x9", "x10", "x11"]
    );
    assert_eq!(ids("[\"7..7\"]").unwrap(), ["7"]);
    for bad in [
        "[\"x3..x1\"]",
        "[\"x..y\"]",
        "[\"x1..y2\"]",
        "[\"x01..x03\"]",
        "[\"x1..x3..x5\"]",
        "[\"..\"]",
    ] {
        assert!(
            matches!(ids(bad).unwrap_err()[..], [Problem::BadName { .. }]),
            "{bad}"
        );
    }
    assert!(matches!(
        ids("[\"x2\", \"x1..x3\"]").unwrap_err()[..],
        [Problem::Repeated { .. }]
    ));
    assert!(matches!(
        ids("[\"x1..x9999999999\"]").unwrap_err()[..],
        [Problem::TooManyNames { .. }]
    ));
    let single = "schema = 1\n[cluster]\nnodes = 2\n[[step]]\nat = \"1s\"\nrestart_child = { on = \"n1\", id = \"x1..x2\" }\n";
    assert!(matches!(
        read(single).unwrap_err()[..],
        [Problem::BadName { .. }]
    ));
}

#[test]
fn a_metric_names_a_kind_that_a_strategy_of_the_file_sends() {
    let problems = read(include_str!("reports/p02-metric-kind-typo.toml")).unwrap_err();
    let helps: Vec<_> = problems
        .iter()
        .map(|problem| {
            let Problem::UnknownKind { help, .. } = problem else {
                panic!("{problem:?}");
            };
            help.as_deref()
        })
        .collect();
    assert_eq!(
        helps,
        [
            Some("did you mean `gossip.sync`?"),
            Some("did you mean `hub.discovery`?")
        ]
    );
    let text = |strategies: &str, kind: &str| {
        format!(
            "schema = 1\n[run]\nstrategies = {strategies}\n[cluster]\nnodes = 2\n[[expect]]\nmetric = {{ name = \"messages_sent.{kind}\", max = 0 }}\n"
        )
    };
    read(&text("[\"pubsub\"]", "hub.leave")).unwrap();
    read(&text("[\"pubsub\", \"gossip\"]", "gossip.join")).unwrap();
    assert!(read(&text("[\"pubsub\"]", "gossip.join")).is_err());
}

#[test]
fn a_second_table_that_is_misspelled_gets_a_suggestion() {
    let problems = read(include_str!("reports/p08-second-step-misspelled.toml")).unwrap_err();
    let [Problem::UnknownKey { help, .. }] = &problems[..] else {
        panic!("{problems:?}")
    };
    assert_eq!(help.as_deref(), Some("did you mean `step`?"));
    let twice = "schema = 1\n[cluster]\nnodes = 2\n[network]\nloss = 0.1\nlos = 0.2\n";
    let problems = read(twice).unwrap_err();
    assert!(
        matches!(&problems[..], [Problem::UnknownKey { help: Some(help), .. }] if help.contains("`loss`"))
    );
}

#[test]
fn a_pause_that_may_come_first_or_later_leaves_the_node_running() {
    let (_, warnings) = read(include_str!("reports/r05-pause-and-range.toml")).unwrap();
    assert!(warnings.is_empty());
}

#[test]
fn help_for_slips_of_the_keyboard_leads_to_what_works() {
    let head = "schema = 1\n[cluster]\nnodes = 10\n";
    let number = format!("{head}[[step]]\nat = 5\nheal = true\n");
    assert!(matches!(
        &read(&number).unwrap_err()[..],
        [Problem::WrongType { help: Some(help), .. }] if help == "write a unit, and quotes: \"5s\""
    ));
    let node = format!("{head}[[step]]\nat = \"5s\"\nsync = {{ on = \"n11\" }}\n");
    assert!(matches!(
        &read(&node).unwrap_err()[..],
        [Problem::UnknownNode { help: Some(help), .. }] if help == "did you mean `n10`?"
    ));
    assert!(matches!(
        read("schema = 1\n[cluster]\nnodes = 0\n").unwrap_err()[..],
        [Problem::OutOfRange {
            min: 1,
            max: 10_000,
            ..
        }]
    ));
}

#[test]
fn a_resolved_file_may_be_long_and_says_so() {
    let long = |head: &str| {
        let mut text = format!("schema = 1\n{head}[cluster]\nnodes = 2\n");
        for number in 0..30_000 {
            text.push_str(&format!(
                "[[step]]\nat = \"{number}ms\"\nrestart_child = {{ on = \"n1\", id = \"x\" }}\n"
            ));
        }
        assert!(text.len() > 1 << 20);
        text
    };
    assert!(matches!(
        read(&long("")).unwrap_err()[..],
        [Problem::FileTooLarge]
    ));
    let (scenario, warnings) = read(&long("resolved = true\n")).unwrap();
    assert_eq!(scenario.steps.len(), 30_000);
    assert_eq!(warnings.warnings().len(), 100, "no more are kept");
    assert!(matches!(
        warnings.warnings()[0],
        Warning::UnknownChild { .. }
    ));
}
