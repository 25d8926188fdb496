//! `compare` and `reproduce`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use expect_test::expect_file;
use serde_json::Value;

use super::{Ran, files, hublab, program, text};

pub(super) const SCENARIO: &str = r#"
schema = 1
name = "small"
[run]
duration = "20s"
[cluster]
nodes = 4
[network]
latency = { constant = "5ms" }
[[step]]
at = "1s"
start_children = { on = "n1", ids = ["a", "b"] }
[[step]]
at = "3s..9s"
start_children = { on = "n2", ids = ["c"] }
"#;

pub(super) const PLAN: &str = r#"
schema = 1
scenarios = ["small.toml"]
seeds = "0..9"
strategies = ["pubsub", "gossip", { name = "lone", strategy = "gossip", set = { recipients = 1 } }]
baseline = "pubsub"
[vary]
"cluster.nodes" = [3, 4]
[[endpoint]]
metric = "bytes_sent"
[[endpoint]]
metric = "converged_us"
margin = 0.1
"#;

/// Every file of a directory and its text, but for times of the wall clock.
pub(super) fn contents(directory: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            let inner = contents(&path).into_iter();
            all.extend(inner.map(|(file, text)| (format!("{name}/{file}"), text)));
        } else if name != "timing.csv" {
            all.insert(name, fs::read_to_string(&path).expect("a file"));
        }
    }
    all
}

fn lines(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split(',').collect()).collect()
}

#[test]
fn a_plan_becomes_tables_files_and_verdicts() {
    let place = files(&[
        ("small.toml", SCENARIO.as_bytes()),
        ("plan.toml", PLAN.as_bytes()),
    ]);
    let (plan, out) = (place.path().join("plan.toml"), place.path().join("out"));
    let ran = hublab(&["compare", text(&plan), "--out", text(&out)]).expect(0);
    assert!(ran.out.starts_with("plan: against pubsub\n"), "{}", ran.out);
    assert!(
        ran.out
            .contains("8 tests on 9 seeds, p adjusted by Holm over all"),
        "{}",
        ran.out
    );
    assert!(
        ran.out
            .contains("bytes_sent (bytes): sent, in the wire encoding; equal within 5.0 %")
    );
    let made = contents(&out);
    assert_eq!(
        made.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "cells.csv",
            "figures/bytes_sent-over-cluster.nodes.csv",
            "figures/bytes_sent-over-cluster.nodes.svg",
            "figures/converged_us-over-cluster.nodes.csv",
            "figures/converged_us-over-cluster.nodes.svg",
            "figures/propagation-small.csv",
            "figures/propagation-small.svg",
            "figures/staleness-and-cost.csv",
            "figures/staleness-and-cost.svg",
            "figures/verdicts.csv",
            "figures/verdicts.svg",
            "outcomes.ndjson",
            "plan.toml",
            "results.csv",
            "runs.csv",
            "scenarios/small.toml",
            "summary.md"
        ]
    );
    // Of each of two cells and three strategies: a share at each of 71 times, which never becomes less.
    let curves = lines(&made["figures/propagation-small.csv"]);
    assert_eq!(curves.len(), 1 + 2 * 3 * 71);
    let share = |line: &Vec<&str>| line[line.len() - 1].parse::<f64>().expect("a number");
    for curve in curves[1..].chunks(71) {
        let shares: Vec<f64> = curve.iter().map(share).collect();
        assert!(
            shares.is_sorted() && shares[0] == 0.0 && shares[70] > 0.9,
            "{shares:?}"
        );
    }
    let map = lines(&made["figures/staleness-and-cost.csv"]);
    assert_eq!(map.len(), 1 + 2 * 3);
    assert!(map[1..].iter().all(|line| share(line) > 0.0));
    let runs = lines(&made["runs.csv"]);
    assert_eq!(
        runs[0],
        [
            "scenario",
            "strategy",
            "cluster.nodes",
            "seed",
            "verdict",
            "digest",
            "reason"
        ]
    );
    assert_eq!(runs.len(), 1 + 2 * 3 * 9);
    assert_eq!(runs[1][..5], ["small", "pubsub", "3", "0", "pass"]);
    assert_eq!(runs[54][..5], ["small", "lone", "4", "8", "pass"]);
    // Gossip sends more for the same workload, on every seed.
    let cells = lines(&made["cells.csv"]);
    let column = |name: &str| cells[0].iter().position(|head| *head == name).unwrap();
    assert_eq!(cells.len(), 1 + 8);
    assert!(cells.iter().all(|line| line.len() == cells[0].len()));
    for line in cells[1..]
        .iter()
        .filter(|line| line[column("metric")] == "bytes_sent")
    {
        if line[column("strategy")] == "gossip" {
            assert_eq!(line[column("verdict")], "worse", "{line:?}");
            assert_eq!(line[column("p")], "0.00390625", "2 of 2^9 signs: {line:?}");
        }
        assert_eq!((line[column("n")], line[column("missing")]), ("9", "0"));
    }
    // The numbers are those of `run`.
    let alone = hublab(&[
        "run",
        text(&place.path().join("small.toml")),
        "--strategy",
        "gossip",
        "--seeds",
        "0..9",
        "--set",
        "strategy.gossip.recipients=1",
        "--set",
        "cluster.nodes=4",
        "--format",
        "json",
    ])
    .expect(0);
    let alone = alone.json();
    let lone = runs.iter().filter(|run| run[1] == "lone" && run[2] == "4");
    for (run, report) in lone.zip(&alone) {
        assert_eq!(
            (run[3], run[5]),
            (
                report["seed"].to_string().as_str(),
                report["digest"].as_str().unwrap()
            )
        );
    }
    let results = lines(&made["results.csv"]);
    let found = results
        .iter()
        .find(|line| line[1..5] == ["lone", "4", "8", "bytes_sent"])
        .unwrap();
    assert_eq!(found[5], alone[8]["metrics"]["bytes_sent"].to_string());
    // Again, from the directory alone.
    let again = hublab(&["reproduce", text(&out), "--jobs", "1"]).expect(0);
    assert!(
        again
            .last_line()
            .contains("every digest and number is the same"),
        "{}",
        again.out
    );
    let other = made["results.csv"].replacen("bytes_sent,", "bytes_sent,1", 1);
    fs::write(out.join("results.csv"), other).unwrap();
    let again = hublab(&["reproduce", text(&out)]).expect(4);
    assert!(
        again.out.contains("results.csv: 1 line not the same"),
        "{}",
        again.out
    );
}

#[test]
fn interrupted_and_resumed_it_gives_the_same_files() {
    let place = files(&[
        ("small.toml", SCENARIO.as_bytes()),
        ("plan.toml", PLAN.as_bytes()),
    ]);
    let plan = place.path().join("plan.toml");
    let (whole, broken) = (place.path().join("whole"), place.path().join("broken"));
    let compare = |out: &Path, more: &[&str]| -> Ran {
        let mut command = program();
        command
            .args(["compare", text(&plan), "--out", text(out)])
            .args(more);
        command.output().unwrap().into()
    };
    let table = compare(&whole, &[]).expect(0).out;
    let made = contents(&whole);
    compare(&broken, &["--resume"]).expect(0);
    let kept = &made["outcomes.ndjson"];
    for bytes in [kept.len() / 3, 10, kept.len() - 1, 2 * kept.len() / 3] {
        // As a process that died leaves it: in the middle of a line.
        for name in ["results.csv", "runs.csv", "cells.csv", "summary.md"] {
            fs::remove_file(broken.join(name)).unwrap();
        }
        fs::write(broken.join("outcomes.ndjson"), &kept[..bytes]).unwrap();
        let resumed = compare(&broken, &["--resume", "--jobs", "1"]).expect(0);
        assert_eq!(resumed.out, table);
        assert!(contents(&broken) == made, "after {bytes} bytes");
    }
    let refused = compare(&whole, &[]).expect(2);
    assert!(
        refused.err.contains("--resume goes on with it"),
        "{}",
        refused.err
    );
    let refused = compare(&whole, &["--resume", "--seeds", "0..10"]).expect(2);
    assert!(refused.err.contains("is another one"), "{}", refused.err);
}

#[test]
fn arguments_make_a_comparison_without_a_plan() {
    let place = files(&[("small.toml", SCENARIO.as_bytes())]);
    let file = place.path().join("small.toml");
    let compare = |more: &[&str]| -> Ran {
        let mut command = program();
        command
            .args(["compare", text(&file), "--seeds", "0..3"])
            .args(more);
        command.output().unwrap().into()
    };
    let ran = compare(&[
        "--vary",
        "network.loss=0,0.02",
        "--baseline",
        "pubsub",
        "--format",
        "json",
    ]);
    let all = ran.expect(0).json();
    let object = &all[0];
    assert_eq!(
        (&object["baseline"], &object["descriptive"]),
        (&Value::from("pubsub"), &Value::from(true))
    );
    let cells = object["cells"].as_array().unwrap();
    assert_eq!(
        cells.len(),
        2 * 4,
        "loss, and the metrics that have a better side"
    );
    assert_eq!(cells[1]["vary"]["network.loss"], "0.02");
    assert_eq!(cells[0]["test"]["n"], 3);
    assert_eq!(object["seeds_needed"], 9);
    let ran = compare(&["--endpoint", "bytes_sent=0.2", "--format", "markdown"]).expect(0);
    assert!(
        ran.out.contains(
            "descriptive: with fewer than 6 seeds, none of the tests can show a difference"
        )
    );
    assert!(
        ran.out.contains("| scenario | strategy | verdict | n |"),
        "{}",
        ran.out
    );
    let ran = compare(&["--endpoint", "bytes_sent", "--format", "csv"]).expect(0);
    assert_eq!(ran.out.lines().count(), 2);
    // Three seeds show nothing, so nothing fails.
    compare(&["--fail-on", "worse", "--baseline", "pubsub"]).expect(0);
    let worse = [
        "--seeds",
        "0..7",
        "--fail-on",
        "worse",
        "--baseline",
        "pubsub",
        "--endpoint",
        "bytes_sent",
    ];
    let mut command = program();
    command.args(["compare", text(&file)]).args(worse);
    Ran::from(command.output().unwrap()).expect(1);
}

#[test]
fn what_cannot_be_compared_is_told_before_anything_runs() {
    let place = files(&[
        ("small.toml", SCENARIO.as_bytes()),
        ("plan.toml", PLAN.as_bytes()),
    ]);
    let (file, plan) = (
        place.path().join("small.toml"),
        place.path().join("plan.toml"),
    );
    let refused = |arguments: &[&str], why: &str| {
        let ran = hublab(&[&["compare"], arguments].concat()).expect(2);
        assert!(ran.err.contains(why), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{arguments:?}");
    };
    let file = text(&file);
    refused(
        &[file, "--strategy", "gossip"],
        "a comparison needs two strategies",
    );
    refused(&[file, "--strategy", "swim"], "invalid value 'swim'");
    refused(
        &[file, "--baseline", "swim"],
        "the strategies of the comparison are",
    );
    refused(&[file, "--endpoint", "speed"], "unknown metric");
    refused(
        &[file, "--endpoint", "rows"],
        "neither less nor more of it is better",
    );
    refused(&[file, "--vary", "network.loss"], "network.loss=0,0.05");
    refused(&[file, "--vary", "network.loss=0,2"], "network.loss=2:");
    refused(&[file, "--vary", "network.los=0,1"], "did you mean `loss`?");
    refused(&[file, "--vary", "run.duration.x=1"], "is not a table");
    refused(&[file, file, "absent.toml"], "absent.toml");
    refused(
        &[text(&plan), "--strategy", "gossip"],
        "--strategy does not go with a plan",
    );
    refused(&[text(&plan), "--resume"], "--out");
}

#[test]
fn runs_that_limits_end_are_told_and_their_cells_not_compared() {
    let place = files(&[]);
    let out = place.path().join("out");
    let ran = hublab(&[
        "compare",
        "tests/data/slow.toml",
        "--seeds",
        "0..2",
        "--wall-limit",
        "300ms",
        "--endpoint",
        "bytes_sent",
        "--out",
        text(&out),
    ])
    .expect(3);
    assert!(
        ran.out
            .contains("did not come to an end; their cells are not compared"),
        "{}",
        ran.out
    );
    assert!(
        ran.out
            .contains("not compared: runs did not come to their end"),
        "{}",
        ran.out
    );
    let runs = fs::read_to_string(out.join("runs.csv")).unwrap();
    for line in runs.lines().filter(|line| line.contains(",gossip,")) {
        assert!(
            line.contains(",inconclusive,,it took longer than 300ms"),
            "{line}"
        );
    }
}

#[test]
fn every_mistake_of_a_plan_is_told_at_once() {
    let plan = r#"
schema = 1
scenarios = []
seeds = "9..3"
strategys = ["pubsub", "gosip", { name = "lone", strategy = "gossip", set = { recipient = 1 } }]
baseline = "pubsbu"
[vary]
"network.loss" = [0.0, 0.05, 0.05]
"network.los" = [0.1]
network.duplicate = 0.1
[[endpoint]]
metric = "byte_sent"
margin = 2
[[endpoint]]
metric = "rows"
"#;
    let place = files(&[("plan.toml", plan.as_bytes())]);
    let mut command = program();
    command
        .current_dir(place.path())
        .args(["compare", "plan.toml", "--color", "never"]);
    let ran = Ran::from(command.output().unwrap()).expect(2);
    expect_file![concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/plan-mistakes.txt"
    )]
    .assert_eq(&ran.err);
}

#[test]
fn a_directory_with_other_files_is_left_alone_and_one_process_writes_at_a_time() {
    let place = files(&[
        ("small.toml", SCENARIO.as_bytes()),
        ("plan.toml", PLAN.as_bytes()),
    ]);
    let plan = place.path().join("plan.toml");
    let here = hublab(&["compare", text(&plan), "--out", text(place.path())]).expect(2);
    assert!(here.err.contains("holds other files"), "{}", here.err);
    assert_eq!(fs::read_to_string(&plan).unwrap(), PLAN);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);

    let out = place.path().join("out");
    hublab(&["compare", text(&plan), "--out", text(&out)]).expect(0);
    let before = contents(&out);
    let held = fs::File::open(out.join("outcomes.ndjson")).unwrap();
    held.lock().unwrap();
    let second = hublab(&["compare", text(&plan), "--out", text(&out), "--resume"]).expect(2);
    assert!(second.err.contains("another process"), "{}", second.err);
    drop(held);
    assert!(contents(&out) == before);
    hublab(&["compare", text(&plan), "--out", text(&out), "--resume"]).expect(0);
}

#[test]
fn what_cannot_be_reproduced_is_told_before_anything_runs() {
    let place = files(&[
        ("small.toml", SCENARIO.as_bytes()),
        ("plan.toml", PLAN.as_bytes()),
    ]);
    let absent = place.path().join("absent");
    let told = hublab(&["reproduce", text(&absent)]).expect(2);
    assert!(
        told.err.contains("no comparison is in this directory"),
        "{}",
        told.err
    );
    let told = hublab(&["reproduce", text(place.path())]).expect(2);
    assert!(told.err.contains("is not finished"), "{}", told.err);
}

#[test]
fn the_study_runs_at_a_small_size_and_can_be_reproduced() {
    let study = Path::new("scenarios/studies");
    let plan = fs::read_to_string(study.join("evaluation.toml")).expect("the plan");
    let small = plan
        .replace("[5, 10, 20]", "[4]")
        .replace("[0.0, 0.01, 0.05, 0.2]", "[0.0, 0.2]")
        .replace("0..20", "0..2");
    assert!(small.contains("[4]") && small.contains("[0.0, 0.2]") && small.contains("0..2\""));
    let of_study = |name: &str| fs::read(study.join(name)).expect("a scenario");
    let names = ["steady.toml", "heal.toml", "churn.toml"];
    let scenarios = names.map(of_study);
    let mut all: Vec<(&str, &[u8])> = vec![("evaluation.toml", small.as_bytes())];
    all.extend(names.into_iter().zip(scenarios.iter().map(Vec::as_slice)));
    let place = files(&all);
    let (plan, out) = (
        place.path().join("evaluation.toml"),
        place.path().join("out"),
    );
    let ran = hublab(&["compare", text(&plan), "--out", text(&out)]).expect(0);
    assert!(ran.out.contains("descriptive"), "{}", ran.out);
    let made = contents(&out);
    let runs = lines(&made["runs.csv"]);
    assert_eq!(runs.len(), 1 + 3 * 2 * 2 * 2);
    // A load that no step of was possible would be no load.
    let results = lines(&made["results.csv"]);
    let metric = results[0].iter().position(|head| *head == "metric");
    let value = results[0].iter().position(|head| *head == "value");
    let (metric, value) = (metric.expect("a column"), value.expect("a column"));
    let mut sent = results
        .iter()
        .filter(|line| line[metric] == "messages_sent");
    assert!(sent.all(|line| line[value].parse::<u64>().is_ok_and(|sent| sent > 100)));
    hublab(&["reproduce", text(&out)]).expect(0);
}
