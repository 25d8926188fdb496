//! The other commands, and what all of them have.

use std::fs;
use std::path::PathBuf;

use hublab::sim::metric::LIST;
use serde_json::Value;

use super::{FAILING, FIRST_JOIN, Ran, files, hublab, program, text};

#[test]
fn an_explained_file_runs_to_the_same_digest() {
    let explained = hublab(&["explain", FAILING, "--seed", "9"]).expect(0);
    let directory = files(&[("explained.toml", explained.out.as_bytes())]);
    let path = directory.path().join("explained.toml");
    let digest =
        |arguments: &[&str]| hublab(arguments).expect(1).json().remove(0)["digest"].clone();
    let original = digest(&["run", FAILING, "--seed", "9", "--format", "json"]);
    assert_eq!(
        digest(&["run", text(&path), "--format", "json"]),
        original,
        "the seed is in the file"
    );
    assert_ne!(
        digest(&["run", FAILING, "--seed", "10", "--format", "json"]),
        original
    );
    let again = hublab(&["explain", text(&path)]).expect(0);
    assert_eq!(
        again.out, explained.out,
        "explaining it again changes nothing"
    );
}

/// Half of them start a child, the other half stop the oldest.
const LONG: &str = r#"schema = 1
name = "long"
[run]
duration = "260s"
strategies = ["pubsub"]
[cluster]
nodes = 3
[[step]]
at = "1s"
every = "5ms"
times = 50_000
start_children = { on = "n1", count = 1, prefix = "job" }
[[step]]
at = "1001ms"
every = "5ms"
times = 50_000
stop_children = { on = "n1", oldest = 1 }
"#;

#[test]
fn a_hundred_thousand_steps_in_sixteen_lines_run_as_they_do_written_out() {
    let directory = files(&[("long.toml", LONG.as_bytes())]);
    let path = directory.path().join("long.toml");
    let checked = hublab(&["check", text(&path)]).expect(0);
    assert!(checked.out.contains("100,000 steps"), "{}", checked.out);
    let explained = hublab(&["explain", text(&path)]).expect(0);
    assert_eq!(explained.out.matches("[[step]]").count(), 100_000);
    let written_out = directory.path().join("explained.toml");
    fs::write(&written_out, &explained.out).expect("written");
    let digest = |path: &std::path::Path| {
        let ran = hublab(&["run", text(path), "--format", "json"]);
        ran.expect(1).json().remove(0)["digest"].clone()
    };
    let digests = [path, written_out].map(|path| digest(&path));
    assert!(digests[0].is_string());
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_capsule_is_replayed_searched_and_compared() {
    let out = files(&[]);
    hublab(&[
        "run",
        FIRST_JOIN,
        "--seeds",
        "1..3",
        "--strategy",
        "pubsub",
        "--out",
        text(out.path()),
    ])
    .expect(0);
    let path = |seed: u64| out.path().join(format!("first-join-pubsub-{seed}.capsule"));
    let (one, two) = (path(1), path(2));
    let replayed = hublab(&["replay", text(&one)]).expect(0);
    assert!(
        replayed.out.starts_with("same  first-join  pubsub  seed 1"),
        "{}",
        replayed.out
    );

    let trace = hublab(&[
        "trace",
        text(&one),
        "--node",
        "n4",
        "--kind",
        "row",
        "--child",
        "a",
    ])
    .expect(0);
    assert_eq!(trace.out.lines().count(), 1, "{}", trace.out);
    let events = hublab(&[
        "trace",
        text(&one),
        "--format",
        "ndjson",
        "--from",
        "5s",
        "--to",
        "6s",
    ])
    .expect(0)
    .json();
    assert!(!events.is_empty());
    assert!(
        events
            .iter()
            .all(|event| (5_000_000..=6_000_000).contains(&event["at_us"].as_u64().unwrap()))
    );
    let all = hublab(&["trace", text(&one), "--format", "ndjson"])
        .expect(0)
        .json();
    assert!(all.len() > events.len());
    hublab(&["trace", text(&one), "--node", "n9"]).expect(2);
    hublab(&["trace", text(&one), "--kind", "sent_messages"]).expect(2);

    let why = hublab(&["why", text(&one), "--node", "n4", "--child", "a"]).expect(0);
    assert!(
        why.out.contains("n4 got pubsub.join #0 from n1"),
        "{}",
        why.out
    );
    hublab(&["why", text(&one), "--node", "n9", "--child", "a"]).expect(2);

    let same = hublab(&["diff", text(&one), text(&one)]).expect(0);
    assert!(same.out.starts_with("same  "), "{}", same.out);
    let different = hublab(&["diff", text(&one), text(&two)]).expect(4);
    assert!(
        different.out.contains("different seeds: 1 and 2"),
        "{}",
        different.out
    );
    assert!(
        different.out.contains("first difference at event "),
        "{}",
        different.out
    );
    assert_eq!(
        different.last_line(),
        format!("hublab diff {} {}", text(&one), text(&two))
    );
}

#[test]
fn a_file_that_is_no_sound_capsule_is_told_so() {
    let out = files(&[("text.capsule", b"not one"), ("empty.capsule", b"")]);
    hublab(&[
        "run",
        FIRST_JOIN,
        "--strategy",
        "pubsub",
        "--out",
        text(out.path()),
    ])
    .expect(0);
    let good = fs::read(out.path().join("first-join-pubsub-1.capsule")).unwrap();
    fs::write(out.path().join("short.capsule"), &good[..good.len() / 2]).unwrap();
    let mut changed = good.clone();
    changed[good.len() / 2] ^= 1;
    fs::write(out.path().join("changed.capsule"), changed).unwrap();
    for name in ["text", "empty", "short", "changed", "missing"] {
        let path = out.path().join(format!("{name}.capsule"));
        for command in ["replay", "trace"] {
            let ran = hublab(&[command, text(&path)]).expect(2);
            assert!(
                ran.err.contains(&format!("{name}.capsule: ")),
                "{command} {name}: {}",
                ran.err
            );
        }
    }
}

#[test]
fn check_estimates_good_files_and_tells_every_problem_of_bad_ones() {
    let ran = hublab(&["check", FIRST_JOIN, FAILING]).expect(0);
    // A line per file, broken where the terminal ends.
    let heads = ran.out.lines().filter(|line| line.starts_with("ok "));
    assert_eq!(heads.count(), 2, "{}", ran.out);
    assert!(ran.out.lines().all(|line| line.chars().count() <= 100));
    let words: Vec<&str> = ran.out.split_whitespace().collect();
    let words = words.join(" ");
    for part in [
        "ok tests/data/first-join.toml: 4 nodes, 3 steps, 5 children over 1m; gossip about ",
        " events, ",
        " messages (",
        " sent, ",
        " of memory at most; pubsub about ",
    ] {
        assert!(words.contains(part), "{words}");
    }
    let told = hublab(&["check", FIRST_JOIN, "--format", "json"])
        .expect(0)
        .json();
    let run = hublab(&["run", FIRST_JOIN, "--format", "json"])
        .expect(0)
        .json();
    for (estimate, run) in told[0]["estimates"]
        .as_array()
        .expect("two")
        .iter()
        .zip(&run)
    {
        assert_eq!(estimate["strategy"], run["strategy"]);
        assert_eq!(estimate["events"], run["events"]);
        assert_eq!(estimate["messages"], run["messages"]["sent"]);
        assert_eq!(estimate["bytes"], run["messages"]["bytes"]);
    }
    let bad = b"schema = 1\nspeed = 9\n[cluster]\nnodes = 3\n[[step]]\nat = \"1s\"\ncrash = { nodes = [\"n9\"] }\n";
    let directory = files(&[("bad.toml", bad)]);
    let path = directory.path().join("bad.toml");
    let ran = hublab(&["check", text(&path), FIRST_JOIN]).expect(2);
    assert!(
        ran.out.starts_with("ok tests/data/first-join.toml"),
        "the good one is told of all the same"
    );
    assert!(ran.err.contains("unknown key `speed`"), "{}", ran.err);
    assert!(ran.err.contains("unknown node `n9`"), "{}", ran.err);
    assert!(ran.err.contains("bad.toml:7:20"), "{}", ran.err);
    assert_eq!(
        ran.err.lines().last(),
        Some(format!("hublab check {}", text(&path)).as_str())
    );
}

#[test]
fn there_is_a_list_of_everything() {
    let count = |what: &str| hublab(&["list", what]).expect(0).out.lines().count();
    assert_eq!(
        count("strategies"),
        hublab::Catalog::default().names().len()
    );
    assert_eq!(count("steps"), 22);
    assert_eq!(count("metrics"), LIST.len());
    assert_eq!(count("anomalies"), 34);
    assert!(count("oracles") >= 4);
    let oracles = hublab(&["list", "oracles"]).out;
    assert!(
        [
            "own_truth",
            "unique_entry",
            "membership_containment",
            "no_crash"
        ]
        .iter()
        .all(|name| oracles.contains(name))
    );
    hublab(&["list", "dragons"]).expect(2);
}

#[test]
fn the_list_of_anomalies_names_every_scenario_that_shows_one() {
    let list = hublab(&["list", "anomalies"]).expect(0).out;
    let mut named: Vec<String> = list
        .split(" [")
        .skip(1)
        .filter_map(|part| part.split(']').next())
        .filter(|note| !note.contains(' '))
        .map(str::to_owned)
        .collect();
    let files = fs::read_dir("scenarios/anomalies")
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut shipped: Vec<String> = files.map(stem).collect();
    named.sort();
    shipped.sort();
    assert_eq!(named, shipped);
}

#[test]
fn a_capsule_is_judged_again_and_by_other_oracles() {
    let out = tempfile::tempdir().unwrap();
    let to = out.path().to_str().unwrap();
    let run = hublab(&[
        "run",
        FIRST_JOIN,
        "--strategy",
        "pubsub",
        "--out",
        to,
        "--format",
        "json",
    ]);
    let ran: Value = serde_json::from_str(&run.expect(0).out).unwrap();
    let mut capsules = std::fs::read_dir(out.path()).unwrap();
    let path = capsules.next().unwrap().unwrap().path();
    let path = path.to_str().unwrap();
    let judged = hublab(&["judge", path, "--format", "json"]).expect(0);
    let judged: Value = serde_json::from_str(&judged.out).unwrap();
    for field in [
        "verdict",
        "expectations",
        "digest",
        "events",
        "timeline",
        "rows",
    ] {
        assert_eq!(judged[field], ran[field], "{field}");
    }
    let held = hublab(&["judge", path, "--oracle", "own_truth"]).expect(0);
    assert!(held.out.contains("own_truth held"), "{}", held.out);
    hublab(&["judge", path, "--oracle", "own_truht"]).expect(2);
    hublab(&["judge", FIRST_JOIN]).expect(2);
}

#[test]
fn the_schema_is_json_and_knows_the_strategies() {
    let schema: Value = serde_json::from_str(&hublab(&["schema"]).expect(0).out).unwrap();
    assert!(schema["$schema"].is_string());
    assert!(schema.to_string().contains("restricted_init"));
}

#[test]
fn every_command_explains_itself_with_an_example() {
    for command in [
        "run", "check", "explain", "replay", "judge", "diff", "trace", "why", "blame", "list",
        "schema",
    ] {
        let help = hublab(&[command, "--help"]).expect(0);
        assert!(
            help.out.contains(&format!("hublab {command}")),
            "{}",
            help.out
        );
    }
    assert!(hublab(&["--version"]).expect(0).out.starts_with("hublab "));
    hublab(&["--help"]).expect(0);
    hublab(&[]).expect(2);
    hublab(&["fly"]).expect(2);
    hublab(&["run"]).expect(2);
    hublab(&["run", FIRST_JOIN, "--seed", "-1"]).expect(2);
    hublab(&["run", FIRST_JOIN, "--seeds", "5..5"]).expect(2);
    hublab(&["run", FIRST_JOIN, "--seed", "1", "--seeds", "1..5"]).expect(2);
    hublab(&["run", FIRST_JOIN, "--jobs", "0"]).expect(2);
}

#[test]
fn an_unknown_strategy_is_answered_with_the_nearest() {
    let ran = hublab(&["run", FIRST_JOIN, "--strategy", "gosip"]).expect(2);
    assert!(ran.err.contains("'gossip'"), "{}", ran.err);
}

#[test]
fn colours_can_be_asked_for_and_turned_off() {
    let run = |color: &str| hublab(&["run", FIRST_JOIN, "--color", color]).expect(0).out;
    assert!(run("always").contains('\u{1b}'));
    assert!(!run("never").contains('\u{1b}'));
    let mut command = program();
    command.args(["run", FIRST_JOIN]).env("NO_COLOR", "1");
    assert!(
        !Ran::from(command.output().unwrap())
            .expect(0)
            .out
            .contains('\u{1b}')
    );
}

#[test]
fn a_log_filter_that_is_none_is_an_error_of_usage() {
    let mut command = program();
    command
        .args(["run", FIRST_JOIN])
        .env("HUBLAB_LOG", "hublab=loud=very");
    let ran = Ran::from(command.output().unwrap()).expect(2);
    assert!(ran.err.contains("HUBLAB_LOG"), "{}", ran.err);
}
