//! `hublab live`: a scenario file on real sockets, from the command line.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn live(text: &str, arguments: &[&str]) -> Output {
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("it.toml");
    fs::write(&file, text).expect("a temporary file");
    Command::new(env!("CARGO_BIN_EXE_hublab"))
        .arg("live")
        .arg(&file)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

const TWO_NODES: &str = "
    schema = 1
    [run]
    duration = '20s'
    strategies = ['pubsub', 'gossip']
    [cluster]
    nodes = 2
    [[step]]
    at = '5s'
    start_children = { on = 'n1', ids = ['a'] }
    [[expect]]
    converged = { within = '10s' }
    [[expect]]
    at = '19s'
    registry = { on = 'n2', has = ['a'] }
";

#[test]
fn a_scenario_on_real_sockets_ends_in_the_report_of_a_run_without_a_digest() {
    let output = live(TWO_NODES, &["--scale", "0.1", "--format", "json"]);
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{said}");
    let reports: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("one object per line"))
        .collect();
    assert_eq!(reports.len(), 2, "one for each strategy: {text}");
    for report in reports {
        assert_eq!(report["runtime"], "tokio");
        assert_eq!(report["verdict"], "pass");
        assert!(report["digest"].is_null());
        assert!(report["messages"]["delivered"].as_u64() > Some(0));
    }
}

#[test]
fn results_are_exported_in_every_format() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let path = |format: &str| place.path().join(format);
    let formats = ["human", "json", "csv", "junit", "github", "markdown"];
    let exports = formats.map(|format| format!("--export={format}={}", path(format).display()));
    let mut arguments = vec!["--scale", "0.1"];
    arguments.extend(exports.iter().map(String::as_str));
    let output = live(TWO_NODES, &arguments);
    assert!(output.status.success(), "{output:?}");
    let read = |format: &str| fs::read_to_string(path(format)).expect("a file");
    assert_eq!(read("human").as_bytes(), output.stdout);
    let ends = read("human");
    assert!(ends.contains("\n2 passed in "), "{ends}");
    assert!(ends.contains("\nhublab live "), "{ends}");
    assert_eq!(read("json").lines().count(), 2);
    assert!(read("json").contains("\"runtime\":\"tokio\""));
    assert_eq!(read("csv").lines().count(), 3);
    assert!(read("junit").contains("<testsuites name=\"hublab live\" tests=\"2\""));
    assert!(read("markdown").contains("2 runs"), "{}", read("markdown"));
}

#[test]
fn what_only_a_simulator_can_do_is_refused_before_anything_starts() {
    for step in [
        "clock = { nodes = ['n1'], jump = '-1s' }",
        "view = { on = 'n1', nodes = ['n1'] }",
    ] {
        let text = format!("{TWO_NODES}\n[[step]]\nat = '6s'\n{step}\n");
        let output = live(&text, &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let name = step.split(' ').next().expect("a step has a name");
        assert!(said.contains(name), "{said}");
    }
}

#[test]
fn an_interruption_ends_the_hubs_and_reports_what_could_not_be_seen_as_inconclusive() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("it.toml");
    fs::write(&file, TWO_NODES).expect("a temporary file");
    let mut child = Command::new(env!("CARGO_BIN_EXE_hublab"))
        .arg("live")
        .arg(&file)
        .args(["--scale", "1", "--format", "json"])
        .env("HUBLAB_LOG", "hublab_strategies=info")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // Hubs that find one another have the run under way, and signals listened to.
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let found = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("peer is up")));
    assert!(found.is_some(), "the run begins");
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.expect("kill starts").success());
    let said: Vec<String> = lines.map(|line| line.expect("text")).collect();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{said:?}");
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let report: Value = serde_json::from_str(&text).expect("one report, for the strategy that ran");
    assert_eq!(report["strategy"], "pubsub");
    assert_eq!(report["verdict"], "inconclusive");
    let instant = &report["expectations"][1];
    assert_eq!(instant["verdict"], "inconclusive", "19 s was not reached");
    let last = said.last().expect("a last line");
    let repeats = last.starts_with("hublab live ") && last.contains("--strategy pubsub");
    assert!(repeats, "{last}");
}
