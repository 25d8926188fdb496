//! Ends before the end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use super::{FAILING, FIRST_JOIN, SLOW, files, hublab, names, program, text};

/// Thirty nodes under Gossip: it takes seconds.
const WALL: &str = "tests/data/reports/p12-wall-limit.toml";

#[test]
fn a_run_that_takes_too_long_is_ended_alone_and_judged_by_what_it_came_to() {
    let ran = hublab(&[
        "run",
        FIRST_JOIN,
        SLOW,
        WALL,
        FAILING,
        "--wall-limit",
        "500ms",
        "--format",
        "json",
        "--jobs",
        "1",
    ])
    .expect(1);
    let runs = ran.json();
    assert_eq!(runs.len(), 5, "the others are run all the same");
    assert_eq!(runs[3]["verdict"], "inconclusive", "{}", runs[3]);
    assert_eq!(runs[4]["verdict"], "fail");
    assert_eq!(runs[2]["verdict"], "inconclusive");
    assert!(runs[2]["digest"].is_null());
    assert!(ran.err.contains("took longer than 500ms"), "{}", ran.err);
    assert_eq!(ran.err.lines().last(), runs[2]["replay"].as_str());
    let csv = hublab(&["run", WALL, "--wall-limit", "300ms", "--format", "csv"]).expect(3);
    assert!(
        csv.out
            .lines()
            .next()
            .is_some_and(|head| head.contains(",rows,reason,"))
    );
    assert!(
        csv.last_line()
            .contains(",it took longer than 300ms of real time (--wall-limit),")
    );
    assert!(
        runs[2]["events"].as_u64() > Some(0),
        "what it came to is told"
    );
    let took = runs[2]["wall_us"].as_u64().expect("a time");
    assert!((500_000..3_000_000).contains(&took), "its own time: {took}");
    let reason = runs[2]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("longer than 500ms"), "{reason}");
    let failed = hublab(&["run", FAILING, SLOW, "--wall-limit", "500ms", "--jobs", "1"]).expect(1);
    assert!(failed.out.contains("INCONCLUSIVE  slow"), "{}", failed.out);
    assert!(
        failed.out.contains("ended early: it took longer"),
        "{}",
        failed.out
    );
}

/// Starts a command whose standard output is read here.
fn started(arguments: &[&str]) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = program()
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    (child, out)
}

/// Waits for its end; its number, and what it wrote to standard error.
fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().expect("it ends");
    let err = String::from_utf8(output.stderr).expect("the program writes UTF-8");
    (output.status.code(), err)
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for arguments in [
        &["run", FIRST_JOIN, "--seeds", "0..100000", "--format", "csv"][..],
        &["run", FIRST_JOIN, "--seeds", "0..100000"],
    ] {
        let (child, mut out) = started(arguments);
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        drop(out);
        let (code, err) = ended(child);
        assert_eq!(code, Some(0), "{err}");
        assert_eq!(err, "");
    }
}

#[test]
fn an_interruption_keeps_what_is_finished() {
    let out = files(&[]);
    let arguments = [
        "run",
        FIRST_JOIN,
        SLOW,
        "--jobs",
        "1",
        "--format",
        "json",
        "--out",
        text(out.path()),
    ];
    let (child, mut lines) = started(&arguments);
    let mut finished = String::new();
    lines.read_line(&mut finished).unwrap();
    lines.read_line(&mut finished).unwrap();
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "the unfinished run is not told of");
    let (code, err) = ended(child);
    assert_eq!(code, Some(130), "{err}");
    assert!(err.contains("interrupted: 2 of 3 runs finished"), "{err}");
    assert!(
        finished
            .lines()
            .all(|line| line.contains("\"verdict\":\"pass\"")),
        "{finished}"
    );
    assert_eq!(
        names(out.path()),
        ["first-join-gossip-1.capsule", "first-join-pubsub-1.capsule"]
    );
}

#[test]
fn a_change_of_what_does_not_occur_is_told() {
    let file = "schema = 1\n[run]\nduration = \"20s\"\nstrategies = [\"pubsub\"]\n\
        changes = [{ lose = { from = \"n1\", to = \"n2\", channel = 0, number = 99 } }]\n\
        [cluster]\nnodes = 2\n[[step]]\nat = \"3s\"\nstart_children = { on = \"n1\", ids = [\"a\"] }\n";
    let place = files(&[("late.toml", file.as_bytes())]);
    let path = place.path().join("late.toml");
    let told = hublab(&["run", text(&path)]).expect(3);
    let wanted =
        "inconclusive: [run] changes names what does not occur in this run: { lose = { from";
    assert!(told.out.contains(wanted), "{}", told.out);
    let told = hublab(&["run", text(&path), "--format", "json"]).expect(3);
    assert_eq!(
        told.json()[0]["unmet_changes"].as_array().map(Vec::len),
        Some(1)
    );
}
