//! `blame`: when a failure became likely, and what decided it.

use std::fs;

use serde_json::Value;

use super::{FIRST_JOIN, hublab, text};

/// What is lost is drawn: the request of 6 s, in half of the runs.
const CHANCE: &str = "tests/data/lost-by-chance.toml";
const STALE: &str = "scenarios/anomalies/a01-stale-snapshot-detaches-fresh-row.toml";

fn json(arguments: &[&str]) -> Value {
    let all: Vec<&str> = ["blame"].iter().chain(arguments).copied().collect();
    let told = hublab(&[&all[..], &["--format", "json"]].concat()).expect(0);
    serde_json::from_str(&told.out).expect("one object")
}

#[test]
fn a_failure_is_told_with_its_curve_its_pivot_and_three_sentences() {
    let told = hublab(&["blame", STALE]).expect(0);
    for piece in [
        "100 % |█",
        "It fails at 14s on n2: n2 removed fresh of n1, which still runs it as n1.1.2.",
        "It was certain from the start",
        "It fails only if e51 (n2 got pubsub.sync #0 from n1; n1: old) comes after e48",
        "what led to it",
        "changes = [{ arrive = { from = \"n1\", to = \"n2\", channel = 1, number = 0, at = ",
    ] {
        assert!(told.out.contains(piece), "no {piece}:\n{}", told.out);
    }
}

#[test]
fn the_change_of_a_pivot_prevents_the_failure_and_its_branch_replays() {
    let answer = json(&[STALE]);
    let pivot = &answer["pivots"][0];
    assert_eq!(
        (&pivot["fails"], &pivot["fails_changed"]),
        (&32.into(), &0.into())
    );
    let change = pivot["change"].as_str().expect("a text");
    let file = fs::read_to_string(STALE).expect("it is there");
    let file = file.replace("[run]\n", &format!("[run]\nchanges = [{change}]\n"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("changed.toml");
    fs::write(&path, file).expect("written");
    let out = folder.path().join("out");
    // What the file documents does not happen any more.
    let told = hublab(&["run", text(&path), "--out", text(&out)]).expect(1);
    assert!(told.out.contains("violates"), "{}", told.out);
    let capsules: Vec<_> = fs::read_dir(&out)
        .expect("a folder of capsules")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|it| it == "capsule"))
        .collect();
    hublab(&["replay", text(&capsules[0])]).expect(0);
}

#[test]
fn a_search_that_ran_out_of_runs_goes_on_and_ends_as_one_that_did_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("blame");
    let seed = (1..40_u32)
        .map(|seed| seed.to_string())
        .find(|seed| hublab(&["run", CHANCE, "--seed", seed]).code == Some(1));
    let seed = seed.expect("half of the seeds fail");
    let question = [CHANCE, "--seed", seed.as_str(), "--oracle", "registry"];
    let kept = ["--out", text(&out)];
    let some =
        hublab(&[&["blame"], &question[..], &kept[..], &["--runs", "150"]].concat()).expect(3);
    assert!(some.err.contains("150 runs are not enough"), "{}", some.err);
    let lines = || {
        fs::read_to_string(out.join("runs.ndjson"))
            .expect("kept")
            .lines()
            .count()
    };
    let before = lines();
    assert!(before > 50, "{before} lines");
    // A line that was not written to its end is made again.
    let mut torn = fs::read(out.join("runs.ndjson")).expect("kept");
    torn.truncate(torn.len() - 5);
    fs::write(out.join("runs.ndjson"), torn).expect("written");
    let whole = json(&[&question[..], &kept[..]].concat());
    assert!(lines() > before);
    assert_eq!(whole, json(&question), "as without a folder");
    let written = fs::read_to_string(out.join("blame.json")).expect("the answer");
    assert_eq!(
        serde_json::from_str::<Value>(&written).expect("JSON"),
        whole
    );
    assert!(
        whole["jump"]["to_us"].as_u64() == Some(6_000_000),
        "{}",
        whole["jump"]
    );
    let curve = whole["curve"].as_array().expect("points");
    assert!(
        curve
            .iter()
            .all(|point| point["low"].as_f64() <= point["share"].as_f64())
    );
    // Whatever else stands in its place is refused, however long.
    let runs = out.join("runs.ndjson");
    let kept_runs = fs::read(&runs).expect("kept");
    fs::write(&runs, "x".repeat(3_000_000)).expect("written");
    let long = hublab(&["blame", STALE, "--out", text(&out)]).expect(2);
    assert!(long.err.contains("the line is longer than"), "{}", long.err);
    fs::write(&runs, [&kept_runs[..], b"{}\n"].concat()).expect("written");
    let odd = hublab(&[&["blame"], &question[..], &["--out", text(&out)]].concat()).expect(2);
    assert!(odd.err.contains("missing field `job`"), "{}", odd.err);
    fs::write(&runs, kept_runs).expect("written");
    // Another question does not go into that folder.
    let other = hublab(&["blame", STALE, "--out", text(&out)]).expect(2);
    assert!(other.err.contains("another question"), "{}", other.err);
}

#[test]
fn one_thread_and_two_give_the_same_answer_and_time_ends_a_search() {
    let one = hublab(&["blame", STALE, "--jobs", "1"]).expect(0);
    assert_eq!(
        one.out,
        hublab(&["blame", STALE, "--jobs", "2"]).expect(0).out
    );
    let none = hublab(&["blame", STALE, "--wall-limit", "0s"]).expect(3);
    assert!(none.err.contains("there was no more time"), "{}", none.err);
}

#[test]
fn what_cannot_be_asked_is_refused_with_a_hint() {
    let refused = |arguments: &[&str], why: &str| {
        let ran = hublab(&[&["blame"], arguments].concat()).expect(2);
        assert!(ran.err.contains(why), "{arguments:?}: {}", ran.err);
    };
    refused(
        &[FIRST_JOIN, "--strategy", "pubsub"],
        "nothing fails in this run",
    );
    refused(
        &[STALE, "--oracle", "no_crash"],
        "the run does not fail with no_crash",
    );
    refused(
        &[STALE, "--failure", "7"],
        "it fails with 1: pubsub no_false_absence",
    );
    refused(&["tests"], "tests");
    refused(&["Cargo.toml"], "Cargo.toml");
    refused(&[STALE, "--branches", "0"], "branches");
}

#[test]
fn a_file_with_a_wrong_branch_or_change_is_refused_at_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("wrong.toml");
    let head = "schema = 1\n[cluster]\nnodes = 2\n[run]\n";
    let refused = |line: &str, why: &str| {
        fs::write(&path, format!("{head}{line}\n")).expect("written");
        let ran = hublab(&["check", text(&path)]).expect(2);
        assert!(ran.err.contains(why), "{line}: {}", ran.err);
    };
    refused("branch = { after = '3s' }", "number");
    refused("branch = { after = '-3s', number = 1 }", "after");
    refused(
        "branch = { after = '99h', number = 1 }",
        "after the end of the run",
    );
    refused(
        "changes = [{ lose = { from = 'n1', to = 'n7', channel = 1, number = 0 } }]",
        "n7",
    );
    refused(
        "changes = [{ fire = { node = 'n1', timer = 'snyc', due = '3s', at = '4s' } }]",
        "sync",
    );
    refused("changes = [{ forget = 'n1' }]", "forget");
    refused("changes = [{}]", "lose");
}
