//! `--format` and `--export`, and output that fits its terminal.

use std::fs;
use std::process::{Command, Stdio};

use super::{FAILING, FIRST_JOIN, files, hublab, program, text};

const FORMATS: [&str; 7] = ["human", "json", "csv", "junit", "github", "markdown", "tap"];

/// Without the real time that runs took, which differs from run to run.
fn timeless(text: &str) -> String {
    let without = |line: &str| {
        if let Some((before, _)) = line.split_once(" of virtual time in ") {
            return before.to_owned();
        }
        if let Some((before, _)) = line.split_once(" passed, ") {
            return before.to_owned();
        }
        let mut fields: Vec<&str> = line.split([',', ' ']).collect();
        fields.retain(|field| !field.contains("wall_us") && !field.starts_with("time="));
        if line.matches(',').count() > 16 && !line.starts_with(['{', 's']) {
            // The column of a line of CSV.
            fields.remove(7);
        }
        fields.join(" ")
    };
    text.lines().map(without).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_format_goes_to_a_file_as_it_goes_to_standard_output() {
    let directory = files(&[]);
    let path = |format: &str| directory.path().join(format!("results.{format}"));
    let exports: Vec<String> = FORMATS
        .iter()
        .map(|format| format!("--export={format}={}", text(&path(format))))
        .collect();
    let mut arguments = vec!["run", FIRST_JOIN, FAILING];
    arguments.extend(exports.iter().map(String::as_str));
    let ran = hublab(&arguments).expect(1);
    let exported = |format: &str| fs::read_to_string(path(format)).expect("a file");
    assert_eq!(exported("human"), ran.out);
    for format in FORMATS {
        let ran = hublab(&["run", FIRST_JOIN, FAILING, "--format", format]).expect(1);
        assert_eq!(timeless(&ran.out), timeless(&exported(format)), "{format}");
        assert!(!exported(format).contains('\u{1b}'), "no colours in files");
    }
    assert_eq!(exported("json").lines().count(), 3);
    assert_eq!(exported("csv").lines().count(), 4);
    assert!(exported("junit").contains("<testsuites name=\"hublab run\" tests="));
    assert!(
        exported("github").starts_with("::error file="),
        "{}",
        exported("github")
    );
    assert!(exported("markdown").starts_with("## hublab: 2 groups of failures\n\n3 runs.\n"));
    let tap = exported("tap");
    let failed = format!(
        "not ok 3 - {FAILING} (pubsub, seed 1)\n  ---\n  run: failed\n  failures:\n    - what: "
    );
    assert!(tap.starts_with("TAP version 14\nok 1 - "), "{tap}");
    assert!(tap.contains(&failed) && tap.ends_with("\n1..3\n"), "{tap}");
    for format in ["junit", "github", "markdown"] {
        let command = format!("hublab run {FAILING} --strategy pubsub --seed 1");
        assert!(exported(format).contains(&command), "{}", exported(format));
    }
}

#[test]
fn campaigns_and_saved_failures_have_the_same_formats() {
    let directory = files(&[]);
    let out = directory.path().join("out");
    let path = |format: &str| directory.path().join(format!("results.{format}"));
    let exports: Vec<String> = FORMATS
        .iter()
        .map(|format| format!("--export={format}={}", text(&path(format))))
        .collect();
    let read = |format: &str| fs::read_to_string(path(format)).expect("a file");
    let fuzz = [
        "fuzz",
        FAILING,
        "--seeds",
        "0..2",
        "--no-shrink",
        "--out",
        text(&out),
    ];
    let arguments: Vec<&str> = fuzz
        .into_iter()
        .chain(exports.iter().map(String::as_str))
        .collect();
    let ran = hublab(&arguments).expect(1);
    assert_eq!(read("human"), ran.out);
    let kept = |name: &str| fs::read_to_string(out.join(name)).expect("a file");
    assert_eq!(read("json"), kept("results.ndjson"));
    assert_eq!(read("junit"), kept("junit.xml"));
    assert_eq!(read("csv").lines().count(), 3);
    let merge = ["merge", text(&out)];
    let arguments: Vec<&str> = merge
        .into_iter()
        .chain(exports.iter().map(String::as_str))
        .collect();
    let ran = hublab(&arguments).expect(1);
    assert_eq!(read("human"), ran.out);
    assert_eq!(read("json"), kept("results.ndjson"));
    assert_eq!(read("junit"), kept("junit.xml"));

    let corpus = directory.path().join("corpus");
    hublab(&["corpus", "add", FAILING, "--corpus", text(&corpus)]).expect(0);
    let run = ["corpus", "run", "--corpus", text(&corpus)];
    let arguments: Vec<&str> = run
        .into_iter()
        .chain(exports.iter().map(String::as_str))
        .collect();
    hublab(&arguments).expect(1);
    assert!(read("junit").contains("name=\"hublab corpus run\""));
    let json = hublab(&[
        "corpus",
        "run",
        "--corpus",
        text(&corpus),
        "--format",
        "json",
    ])
    .expect(1);
    assert_eq!(json.json().len(), 1);
    assert!(
        json.err.contains("1 saved failure: 0 hold now"),
        "{}",
        json.err
    );
}

#[test]
fn an_export_that_cannot_be_is_refused_before_anything_runs() {
    for (export, message) in [
        ("csv", "write a format and a path"),
        ("cvs=x", "no format `cvs`; formats are human, json, csv"),
        ("csv=/dev/null/x", "/dev/null/x: cannot be written"),
    ] {
        let ran = hublab(&["run", FIRST_JOIN, "--export", export]).expect(2);
        assert!(ran.err.contains(message), "{}", ran.err);
        assert_eq!(ran.out, "");
    }
}

#[test]
fn csv_has_a_column_for_every_metric_and_for_kinds_where_that_is_asked() {
    let run = |more: &[&str]| {
        let arguments = [&["run", FIRST_JOIN, "--strategy", "gossip"], more].concat();
        hublab(&arguments).expect(0)
    };
    let metrics = run(&["--format", "json"]).json().remove(0)["metrics"].take();
    let plain = run(&["--format", "csv"]).out;
    let by_kind = run(&["--format", "csv", "--by-kind"]).out;
    let column = |text: &str, name: &str| {
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        let [head, line] = lines.as_slice() else {
            panic!("{text}")
        };
        assert_eq!(head.len(), line.len());
        let place = head.iter().position(|column| *column == name);
        place.map(|place| line[place].to_owned())
    };
    for (name, value) in metrics.as_object().expect("metrics") {
        let shown = column(&plain, name).expect("a column");
        let value = value.as_f64();
        assert_eq!(shown.parse::<f64>().ok(), value, "{name}");
    }
    let kind = "messages_sent.gossip.propagate";
    assert_eq!(column(&plain, kind), None);
    assert_eq!(column(&by_kind, kind).as_deref(), Some("14"));
    assert_eq!(
        column(&by_kind, "bytes_sent.hub.leave").as_deref(),
        Some("0")
    );
}

#[test]
fn a_failure_is_explained_wherever_people_read_it_and_from_the_capsule_if_there_is_one() {
    let directory = files(&[]);
    let path = |name: &str| directory.path().join(name);
    let why = "n2 runs it, and n1 does not show that: what told n1 last was lost (cut)";
    let export = format!("--export=human={}", text(&path("human.txt")));
    let ran = hublab(&["run", FAILING, "--format", "json", &export]).expect(1);
    assert!(!ran.out.contains(why), "{}", ran.out);
    let exported = fs::read_to_string(path("human.txt")).expect("a file");
    assert!(exported.contains(why), "{exported}");
    let kept = hublab(&["run", FAILING, "--out", text(&path("capsules"))]).expect(1);
    assert!(kept.out.contains(why), "{}", kept.out);
}

#[test]
fn lines_fit_a_narrow_terminal() {
    let run = |arguments: &[&str]| {
        let output = program().args(arguments).env("COLUMNS", "60").output();
        String::from_utf8(output.expect("the program starts").stdout).expect("UTF-8")
    };
    let all = [
        run(&["run", FIRST_JOIN]),
        run(&["run", FAILING]),
        run(&["run", "scenarios/lossy-wan.toml", "scenarios/replicas.toml"]),
        run(&["run", "scenarios/anomalies"]),
    ];
    for line in all.iter().flat_map(|text| text.lines()) {
        let is_command = line.starts_with("hublab run ") || line.starts_with("digest ");
        assert!(is_command || line.chars().count() <= 60, "{line}");
    }
    let words: Vec<&str> = all
        .iter()
        .flat_map(|text| text.split_whitespace())
        .collect();
    let words = words.join(" ");
    assert!(words.contains("of virtual time in"), "{words}");
    let is_first_to_go = !words.contains("in flight bytes");
    assert!(is_first_to_go, "the least column: {words}");
}

#[test]
fn a_summary_moves_no_cursor_and_forges_no_line() {
    let path = "tests/data/reports/r06-escapes.toml";
    let ran = hublab(&["run", path]).expect(0);
    assert!(!ran.out.contains(['\u{1b}', '\u{7}']), "{:?}", ran.out);
    let forged = |line: &str| line.trim_start().starts_with("PASS  fake");
    assert!(!ran.out.lines().any(forged), "{}", ran.out);
    let squeezed: String = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        squeezed.contains("pwned") && squeezed.contains("PASS fake"),
        "{}",
        ran.out
    );
}

#[test]
fn capsules_of_other_settings_have_other_names_and_none_is_replaced_silently() {
    let directory = files(&[]);
    let out = directory.path().join("out");
    let run = |more: &[&str]| {
        let base = [
            "run",
            FIRST_JOIN,
            "--strategy",
            "pubsub",
            "--out",
            text(&out),
        ];
        let arguments: Vec<&str> = base.iter().chain(more).copied().collect();
        hublab(&arguments).expect(0)
    };
    run(&[]);
    run(&["--set", "network.loss=0.01"]);
    let again = run(&["--set", "network.loss=0.02"]);
    assert!(!again.err.contains("replaced"), "{}", again.err);
    let names = super::names(&out);
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(
        names
            .iter()
            .any(|name| name.to_string_lossy().contains("-network.loss=0.02."))
    );
    let same = run(&["--set", "network.loss=0.02"]);
    assert!(
        !same.err.contains("replaced"),
        "it is the same run: {}",
        same.err
    );
    let changed = directory.path().join("changed.toml");
    let file = fs::read_to_string(FIRST_JOIN).expect("a file");
    let name = "name = \"first-join\"\n";
    let file = file
        .replace(name, "")
        .replace("schema = 1\n", &format!("schema = 1\n{name}"));
    fs::write(
        &changed,
        file.replace(
            "[[expect]]",
            "[[step]]\nat = \"1ms\"\nheal = true\n[[expect]]",
        ),
    )
    .expect("a file");
    let arguments = [
        "run",
        text(&changed),
        "--strategy",
        "pubsub",
        "--out",
        text(&out),
    ];
    let other = hublab(&arguments).expect(0);
    assert!(
        other.err.contains("replaced, it was of another run"),
        "{}",
        other.err
    );
    assert_eq!(super::names(&out).len(), 3);
}

#[test]
fn files_that_are_no_scenario_or_look_like_a_flag_are_told_apart() {
    let directory = files(&[("-dash.toml", b"schema = 1\n[cluster]\nnodes = 2\n")]);
    let out = directory.path().join("out");
    hublab(&[
        "run",
        FIRST_JOIN,
        "--strategy",
        "pubsub",
        "--out",
        text(&out),
    ])
    .expect(0);
    let capsule = out.join(&super::names(&out)[0]);
    for command in ["run", "check", "explain"] {
        let ran = hublab(&[command, text(&capsule)]).expect(2);
        assert!(
            ran.err.contains("is a capsule, the record of a run"),
            "{}",
            ran.err
        );
        assert_eq!(
            ran.err
                .lines()
                .last()
                .map(|line| line.contains("hublab replay")),
            Some(true)
        );
    }
    let dash = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_hublab"))
            .args(arguments)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .output();
        super::Ran::from(output.expect("the program starts"))
    };
    let ran = dash(&["run", "-dash.toml"]).expect(2);
    assert!(
        ran.err
            .contains("`-dash.toml` is a file here: write ./-dash.toml"),
        "{}",
        ran.err
    );
    dash(&["run", "./-dash.toml"]).expect(0);
}

#[test]
fn a_slip_in_a_setting_is_told_with_its_place_and_the_nearest_key() {
    let ran = hublab(&["run", FIRST_JOIN, "--set", "network.los=0.1"]).expect(2);
    for word in [
        "unknown key `los` in [network]",
        "did you mean `loss`?",
        "the lines are those of the file with what --set changes",
    ] {
        assert!(ran.err.contains(word), "{word}: {}", ran.err);
    }
}

#[test]
fn what_no_capsule_can_answer_is_an_error() {
    let directory = files(&[]);
    let out = directory.path().join("out");
    hublab(&[
        "run",
        FIRST_JOIN,
        "--strategy",
        "pubsub",
        "--out",
        text(&out),
    ])
    .expect(0);
    let capsule = out.join(&super::names(&out)[0]);
    let capsule = text(&capsule);
    for (arguments, message) in [
        (
            vec!["why", capsule, "--node", "n1", "--child", "typo"],
            "no child `typo` in this capsule",
        ),
        (
            vec!["trace", capsule, "--child", "typo"],
            "no child `typo` in this capsule",
        ),
        (
            vec!["trace", capsule, "--from", "3s", "--to", "2s"],
            "--from 3s is behind --to 2s",
        ),
        (
            vec!["trace", capsule, "--from", "9h"],
            "--from 9h is behind the end of the run",
        ),
        (
            vec!["why", capsule, "--node", "n1", "--child", "a", "--at", "9h"],
            "--at 9h is behind the end of the run",
        ),
    ] {
        let ran = hublab(&arguments).expect(2);
        assert!(ran.err.contains(message), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.out, "");
    }
    hublab(&["trace", capsule, "--from", "2s", "--to", "2s"]).expect(0);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_no_capsule_and_nobody_waits_for_it() {
    let directory = files(&[]);
    let pipe = directory.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "the system has mkfifo"
    );
    let pipe = text(&pipe);
    for arguments in [
        vec!["trace", pipe],
        vec!["why", pipe, "--node", "n1", "--child", "a"],
        vec!["replay", pipe],
        vec!["diff", pipe, pipe],
        vec!["shrink", pipe],
    ] {
        let ran = hublab(&arguments).expect(2);
        assert!(ran.err.contains("not a file"), "{arguments:?}: {}", ran.err);
    }
}
