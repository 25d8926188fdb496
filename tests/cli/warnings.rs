//! Warnings, where files may come from, and the reference of their format.

use std::io::Write;
use std::process::Stdio;

use super::{FIRST_JOIN, Ran, files, hublab, program, text};

/// A run that says something to no effect.
const ODD: &str = r#"
schema = 1
[run]
duration = "10s"
strategies = ["pubsub"]
[cluster]
nodes = 2
[[step]]
at = "1s"
start_children = { on = "n1", ids = ["web-1"] }
[[step]]
at = "2s"
stop_children = { on = "n1", ids = ["wbe-1"] }
[[expect]]
at = "5s"
registry = { on = "n2", has = ["web-1"] }
"#;

#[test]
fn a_warning_is_told_and_stops_nothing() {
    let directory = files(&[("odd.toml", ODD.as_bytes())]);
    let path = directory.path().join("odd.toml");
    let checked = hublab(&["check", text(&path)]).expect(0);
    assert!(checked.out.starts_with("ok "), "{}", checked.out);
    assert!(
        checked.err.contains("scenario::unknown_child"),
        "{}",
        checked.err
    );
    assert!(
        checked.err.contains("did you mean `web-1`?"),
        "{}",
        checked.err
    );
    let ran = hublab(&["run", text(&path), "--format", "json"]).expect(0);
    assert!(ran.err.contains("scenario::unknown_child"), "{}", ran.err);
    let warning = ran.json().remove(0)["warnings"][0].clone();
    assert_eq!(warning["code"], "scenario::unknown_child");
    assert_eq!(
        (&warning["line"], &warning["column"]),
        (&13.into(), &37.into())
    );
    assert_eq!(warning["file"], text(&path));
    assert_eq!(warning["help"], "did you mean `web-1`?");
}

#[test]
fn strictness_refuses_what_has_warnings_and_nothing_else() {
    let directory = files(&[("odd.toml", ODD.as_bytes())]);
    let path = directory.path().join("odd.toml");
    let odd = text(&path);
    let checked = hublab(&["check", odd, "--strict"]).expect(2);
    assert!(checked.out.is_empty(), "{}", checked.out);
    assert!(
        checked.err.contains("hublab check") && checked.err.contains("--strict"),
        "{}",
        checked.err
    );
    hublab(&["run", odd, "--strict"]).expect(2);
    hublab(&["fuzz", odd, "--strict", "--seeds", "0..1"]).expect(2);
    hublab(&["check", FIRST_JOIN, "--strict"]).expect(0);
    let both = hublab(&["run", odd, FIRST_JOIN, "--strict", "--format", "json"]).expect(2);
    assert!(
        both.json()
            .iter()
            .all(|report| report["scenario"] == "first-join")
    );
    let none = hublab(&["run", FIRST_JOIN, "--format", "json"])
        .expect(0)
        .json()
        .remove(0);
    assert_eq!(none["warnings"], serde_json::json!([]));
}

#[test]
fn the_standard_input_is_a_file() {
    let mut command = program();
    command.args(["run", "-", "--format", "json"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(ODD.as_bytes()).unwrap();
    drop(stdin);
    let ran = Ran::from(child.wait_with_output().unwrap()).expect(0);
    assert_eq!(ran.json().len(), 1);
}

#[test]
fn slips_in_overrides_are_told_with_the_name_that_was_meant() {
    let refused = hublab(&["check", FIRST_JOIN, "--set", "network.los=0.1"]).expect(2);
    assert!(
        refused.err.contains("did you mean `loss`?"),
        "{}",
        refused.err
    );
}

#[test]
fn the_references_are_printed() {
    for (what, entry) in [
        ("steps", "### `partition`"),
        ("claims", "### `converged`"),
        ("laws", "### `bimodal`"),
        ("metrics", "| `stale_us` | us |"),
    ] {
        let listed = hublab(&["list", what]).expect(0);
        assert!(!listed.out.contains('#'), "{}", listed.out);
        let printed = hublab(&["list", what, "--format", "markdown"]).expect(0);
        assert!(printed.out.contains(entry), "{}", printed.out);
    }
    hublab(&["list", "oracles", "--format", "markdown"]).expect(2);
}

#[test]
fn the_reference_of_metrics_is_the_page_in_docs() {
    let printed = hublab(&["list", "metrics", "--format", "markdown"]).expect(0);
    expect_test::expect_file!["../../docs/metrics.md"].assert_eq(&printed.out);
}
