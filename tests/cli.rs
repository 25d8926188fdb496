//! The program as a whole: what it prints, where, and with which number it ends.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const FIRST_JOIN: &str = "tests/data/first-join.toml";
const FAILING: &str = "tests/data/too-few-messages.toml";
const SLOW: &str = "tests/data/slow.toml";

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hublab"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
        .env_remove("HUBLAB_LOG")
        .env("COLUMNS", "100")
        .stdin(Stdio::null());
    command
}

/// A finished command.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Ran {
    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.out,
            self.err
        );
        self
    }

    fn json(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line is a JSON object"))
            .collect()
    }

    fn last_line(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }
}

fn hublab(arguments: &[&str]) -> Ran {
    program()
        .args(arguments)
        .output()
        .expect("the program starts")
        .into()
}

/// A directory with files in it.
fn files(contents: &[(&str, &[u8])]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, content) in contents {
        fs::write(directory.path().join(name), content).expect("a temporary file");
    }
    directory
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

// Running.

#[test]
fn a_run_that_passes_shows_its_timeline_verdicts_costs_and_digest() {
    let ran = hublab(&["run", FIRST_JOIN, "--strategy", "pubsub"]).expect(0);
    for part in [
        "PASS  first-join  pubsub  seed 1\n",
        "n4 joins at 5 s and learns what runs on the others.\n",
        "boot n1..n3",
        "start w-1..w-3 on n2",
        "join n4",
        "views equal since",
        "pass  converged  converged at",
        "pass  registry",
        "pubsub.sync",
        "hub.discovery",
        "digest ",
    ] {
        assert!(
            ran.out.contains(part),
            "`{part}` is missing in:\n{}",
            ran.out
        );
    }
    assert_eq!(
        ran.last_line(),
        "hublab run tests/data/first-join.toml --strategy pubsub --seed 1"
    );
    assert_eq!(ran.err, "", "nothing is wrong, and nothing took long");
    assert!(
        !ran.out.contains('\u{1b}'),
        "no colours where there is no terminal"
    );
}

#[test]
fn a_run_that_fails_says_why_and_ends_with_the_command_that_repeats_it() {
    let ran = hublab(&["run", FAILING, "--seed", "3", "--set", "run.duration=45s"]).expect(1);
    assert!(
        ran.out
            .starts_with("FAIL  too-few-messages  pubsub  seed 3\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("more than 3"), "{}", ran.out);
    assert!(ran.out.contains("n1 lacks late"), "{}", ran.out);
    assert!(
        ran.out.contains("partition [n1] | [n2], for 10s"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("heal the partition"), "{}", ran.out);
    let command = ran.last_line();
    assert_eq!(
        command,
        format!("hublab run {FAILING} --strategy pubsub --seed 3 --set run.duration=45s")
    );
    let arguments: Vec<&str> = command.split(' ').skip(1).collect();
    let again = hublab(&arguments).expect(1);
    let digest = |ran: &Ran| {
        ran.out
            .lines()
            .find(|line| line.starts_with("digest "))
            .map(str::to_owned)
    };
    assert!(digest(&ran).is_some());
    assert_eq!(digest(&again), digest(&ran));
}

#[test]
fn every_file_of_a_directory_runs_with_every_strategy_and_the_first_failure_is_the_last_line() {
    let directory = files(&[]);
    for name in ["a.toml", "b.toml"] {
        fs::copy(FIRST_JOIN, directory.path().join(name)).unwrap();
    }
    fs::create_dir(directory.path().join("sub")).unwrap();
    fs::copy(FAILING, directory.path().join("sub/z.toml")).unwrap();
    fs::copy(FIRST_JOIN, directory.path().join("sub/a.toml")).unwrap();
    fs::write(directory.path().join("notes.md"), "no scenario").unwrap();
    let ran = hublab(&["run", text(directory.path())]).expect(1);
    let passed = ran
        .out
        .lines()
        .filter(|line| line.starts_with("pass  first-join"))
        .count();
    assert_eq!(passed, 6, "a run that passes is one line:\n{}", ran.out);
    assert!(
        ran.out.contains("\nFAIL  too-few-messages"),
        "one that fails is a block:\n{}",
        ran.out
    );
    assert!(ran.out.contains("6 passed, 1 failed in "), "{}", ran.out);
    assert!(
        ran.last_line()
            .contains("sub/z.toml --strategy pubsub --seed 1"),
        "{}",
        ran.out
    );
}

#[test]
fn json_has_the_fields_of_the_contract() {
    let ran = hublab(&["run", FIRST_JOIN, FAILING, "--format", "json"]).expect(1);
    let runs = ran.json();
    assert_eq!(runs.len(), 3);
    for run in &runs {
        for field in ["scenario", "strategy", "verdict", "digest", "replay"] {
            assert!(run[field].is_string(), "{field} in {run}");
        }
        for field in ["schema", "seed", "events", "virtual_us", "wall_us"] {
            assert!(run[field].is_u64(), "{field} in {run}");
        }
        assert_eq!(run["schema"], 1);
        assert_eq!(run["digest"].as_str().unwrap().len(), 64);
        let messages = &run["messages"];
        let count = |name: &str| {
            messages[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name} in {run}"))
        };
        assert_eq!(
            count("sent") + count("duplicated"),
            count("delivered") + count("dropped") + count("in_flight")
        );
        assert!(count("bytes") > 0);
        assert!(messages["by_kind"]["hub.discovery"]["sent"].is_u64());
        assert!(messages["by_kind"]["hub.discovery"]["delivered"].is_u64());
        assert!(run["violations"].is_array());
        for expectation in run["expectations"].as_array().unwrap() {
            for field in ["claim", "verdict", "detail"] {
                assert!(expectation[field].is_string(), "{field} in {expectation}");
            }
        }
    }
    let failed = &runs[2];
    assert_eq!(failed["verdict"], "fail");
    assert_eq!(
        failed["replay"],
        format!("hublab run {FAILING} --strategy pubsub --seed 1")
    );
    assert_eq!(
        ran.err.lines().last(),
        failed["replay"].as_str(),
        "also for whoever reads stderr"
    );
    assert!(runs[0]["converged_us"].is_u64());
}

#[test]
fn csv_has_a_header_and_a_line_per_run() {
    let ran = hublab(&["run", FIRST_JOIN, "--seeds", "3..5", "--format", "csv"]).expect(0);
    let rows: Vec<Vec<&str>> = ran
        .out
        .lines()
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[0][..4], ["scenario", "strategy", "seed", "verdict"]);
    assert!(rows.iter().all(|row| row.len() == rows[0].len()));
    let runs: Vec<_> = rows[1..]
        .iter()
        .map(|row| (row[1], row[2], row[3]))
        .collect();
    let expected = [
        ("gossip", "3"),
        ("gossip", "4"),
        ("pubsub", "3"),
        ("pubsub", "4"),
    ];
    assert_eq!(
        runs,
        expected.map(|(strategy, seed)| (strategy, seed, "pass"))
    );
}

#[test]
fn a_range_of_seeds_is_summed_up_in_a_table_of_metrics() {
    let ran = hublab(&[
        "run",
        FIRST_JOIN,
        "--strategy",
        "gossip",
        "--seeds",
        "0..20",
    ])
    .expect(0);
    assert!(
        ran.out.contains("first-join gossip over 20 seeds"),
        "{}",
        ran.out
    );
    let line = |name: &str| {
        let line = ran
            .out
            .lines()
            .find(|line| line.trim_start().starts_with(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("no {name} in:\n{}", ran.out));
        let cells: Vec<u64> = line
            .split_whitespace()
            .skip(1)
            .map(|cell| cell.replace(',', "").parse().unwrap())
            .collect();
        cells
    };
    for metric in [
        "messages_sent",
        "messages_sent.gossip.sync",
        "bytes_sent",
        "events",
        "converged_us",
        "rows",
    ] {
        let cells = line(metric);
        let [median, low, high] = cells[..] else {
            panic!("{metric}: {cells:?}")
        };
        assert!(low <= median && median <= high, "{metric}: {cells:?}");
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads_nor_on_the_log() {
    let run = |jobs: &str, log: &str| {
        let mut command = program();
        command.args([
            "run", FIRST_JOIN, FAILING, "--seeds", "0..10", "--format", "json", "--jobs", jobs,
        ]);
        command.env("HUBLAB_LOG", log);
        let ran = Ran::from(command.output().unwrap()).expect(1);
        let key = |run: &Value| {
            [
                &run["scenario"],
                &run["strategy"],
                &run["seed"],
                &run["digest"],
            ]
            .map(ToString::to_string)
        };
        ran.json().iter().map(key).collect::<Vec<_>>()
    };
    let alone = run("1", "off");
    assert_eq!(alone.len(), 30);
    assert_eq!(run("4", "off"), alone);
    assert_eq!(run("2", "trace"), alone);
}

#[test]
fn twice_compares_with_a_fresh_process_and_with_a_later_run() {
    let out = files(&[]);
    let ran = hublab(&["run", FIRST_JOIN, "--twice", "--out", text(out.path())]).expect(0);
    assert!(ran.out.contains("2 passed"), "{}", ran.out);
    let mut names: Vec<_> = fs::read_dir(out.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["first-join-gossip-1.capsule", "first-join-pubsub-1.capsule"],
        "nothing else is left"
    );
}

#[test]
fn a_value_can_be_set_and_one_that_is_no_value_is_told() {
    let json = |arguments: &[&str]| {
        let all = [
            &[
                "run",
                FIRST_JOIN,
                "--strategy",
                "pubsub",
                "--format",
                "json",
            ],
            arguments,
        ]
        .concat();
        hublab(&all).json().remove(0)
    };
    let (plain, lossy) = (
        json(&[]),
        json(&["--set", "network.loss=0.5", "--set", "run.duration=50s"]),
    );
    assert_eq!(plain["messages"]["dropped"], 0);
    assert!(lossy["messages"]["dropped"].as_u64() > Some(0));
    assert_eq!(lossy["virtual_us"], 50_000_000);
    let wrong = hublab(&["run", FIRST_JOIN, "--set", "network.loss=2.0"]).expect(2);
    assert!(wrong.err.contains("loss"), "{}", wrong.err);
    let wrong = hublab(&["run", FIRST_JOIN, "--set", "network.los=0.1"]).expect(2);
    assert!(wrong.err.contains("did you mean `loss`?"), "{}", wrong.err);
    hublab(&["run", FIRST_JOIN, "--set", "loss"]).expect(2);
}

// Other commands.

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
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with(
        "ok tests/data/first-join.toml: 4 nodes, 3 steps, 5 children over 1m; gossip about "
    ));
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
    assert_eq!(count("strategies"), 2);
    assert_eq!(count("steps"), 19);
    assert_eq!(count("metrics"), 8);
    assert_eq!(count("anomalies"), 33);
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
fn the_schema_is_json_and_knows_the_strategies() {
    let schema: Value = serde_json::from_str(&hublab(&["schema"]).expect(0).out).unwrap();
    assert!(schema["$schema"].is_string());
    assert!(schema.to_string().contains("restricted_init"));
}

#[test]
fn every_command_explains_itself_with_an_example() {
    for command in [
        "run", "check", "explain", "replay", "diff", "trace", "why", "list", "schema",
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

// Bad input: each kind has its own message, and the number is always 2.

#[test]
fn each_bad_input_has_its_own_message() {
    let many: Vec<u8> = b"schema = 1\n"
        .iter()
        .copied()
        .chain(std::iter::repeat_n(b'#', 1 << 20))
        .collect();
    let cases: [(&str, &[u8], &str); 9] = [
        ("empty.toml", b"", "the file is empty"),
        (
            "utf8.toml",
            b"schema = 1\nname = \"\xff\xfe\"\n",
            "not UTF-8",
        ),
        ("binary.toml", &[0, 159, 146, 150, 0, 1, 2, 3], "not UTF-8"),
        ("nul.toml", b"\0\0\0\0", "not TOML"),
        (
            "nodes.toml",
            b"schema = 1\n[cluster]\nnodes = 10001\n",
            "10001 nodes are too many",
        ),
        (
            "late.toml",
            b"schema = 1\n[cluster]\nnodes = 2\n[[step]]\nat = \"9999999h\"\nheal = true\n",
            "longer than 10000h",
        ),
        (
            "nan.toml",
            b"schema = 1\n[cluster]\nnodes = 2\n[network]\nloss = nan\n",
            "nan is not a number",
        ),
        ("long.toml", &many, "longer than 1 MiB"),
        ("text.toml", b"hello world\n", "not TOML"),
    ];
    let directory = files(&cases.map(|(name, content, _)| (name, content)));
    for (name, _, message) in cases {
        for command in ["run", "check", "explain"] {
            let ran = hublab(&[command, text(&directory.path().join(name))]).expect(2);
            assert!(ran.err.contains(message), "{command} {name}: {}", ran.err);
            assert_eq!(ran.out, "");
        }
    }
    let all = hublab(&["run", text(directory.path())]).expect(2);
    assert!(
        cases
            .iter()
            .all(|(_, _, message)| all.err.contains(message)),
        "all are told at once: {}",
        all.err
    );
}

#[test]
fn paths_that_give_no_scenario_are_told_apart() {
    let directory = files(&[("notes.md", b"nothing")]);
    let ran = hublab(&["run", text(directory.path())]).expect(2);
    assert!(
        ran.err.contains("the directory has no scenario files"),
        "{}",
        ran.err
    );
    let missing = directory.path().join("missing.toml");
    let ran = hublab(&["run", text(&missing)]).expect(2);
    assert!(
        ran.err.contains("there is no such file or directory"),
        "{}",
        ran.err
    );
    let ran = hublab(&["run", "/dev/null"]).expect(2);
    assert!(
        ran.err.contains("neither a file nor a directory"),
        "{}",
        ran.err
    );
    let long = directory.path().join("x".repeat(300)).join("y.toml");
    let ran = hublab(&["run", text(&long)]).expect(2);
    assert!(ran.err.contains("cannot be read"), "{}", ran.err);
}

#[test]
fn a_large_cluster_is_estimated_and_wants_big() {
    let large = b"schema = 1\n[cluster]\nnodes = 10000\n[[step]]\nat = \"1s\"\nstart_children = { on = \"n1\", count = 1000000, prefix = \"c\" }\n";
    let directory = files(&[("large.toml", large)]);
    let path = directory.path().join("large.toml");
    let checked = hublab(&["check", text(&path)]).expect(0);
    assert!(
        checked
            .out
            .contains("10,000 nodes, 1 step, 1,000,000 children"),
        "{}",
        checked.out
    );
    assert!(checked.out.contains("needs --big"), "{}", checked.out);
    let ran = hublab(&["run", text(&path)]).expect(2);
    assert!(
        ran.err.contains("10,000 nodes, about 1.0 TB of memory"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("need --big"), "{}", ran.err);
}

#[test]
fn a_bad_file_does_not_keep_the_good_ones_from_running_and_its_number_counts() {
    let directory = files(&[("bad.toml", b"schema = 2\n")]);
    let bad = directory.path().join("bad.toml");
    let ran = hublab(&["run", text(&bad), FAILING, FIRST_JOIN, "--format", "json"]).expect(2);
    assert_eq!(ran.json().len(), 3);
    assert!(ran.err.contains("unknown schema 2"), "{}", ran.err);
}

#[test]
fn a_directory_for_capsules_that_cannot_be_made_is_told_before_anything_runs() {
    let ran = hublab(&["run", FIRST_JOIN, "--out", "/dev/null/capsules"]).expect(2);
    assert!(
        ran.err.contains("/dev/null/capsules: cannot hold capsules"),
        "{}",
        ran.err
    );
    assert_eq!(ran.out, "");
    let directory = files(&[]);
    for name in ["a.toml", "b.toml"] {
        fs::copy(FIRST_JOIN, directory.path().join(name)).unwrap();
    }
    let out = directory.path().join("out");
    let ran = hublab(&["run", text(directory.path()), "--out", text(&out)]).expect(2);
    assert!(
        ran.err.contains("two files hold a scenario `first-join`"),
        "{}",
        ran.err
    );
}

// Ends before the end.

#[test]
fn a_run_that_takes_too_long_is_inconclusive_and_has_no_digest() {
    let ran = hublab(&[
        "run",
        FIRST_JOIN,
        SLOW,
        "--wall-limit",
        "500ms",
        "--format",
        "json",
        "--jobs",
        "1",
    ])
    .expect(3);
    let runs = ran.json();
    assert_eq!(runs.len(), 3, "what was done before is kept");
    assert_eq!(runs[2]["verdict"], "inconclusive");
    assert!(runs[2]["digest"].is_null());
    assert!(ran.err.contains("took longer than 500ms"), "{}", ran.err);
    assert_eq!(ran.err.lines().last(), runs[2]["replay"].as_str());
    let failed = hublab(&["run", FAILING, SLOW, "--wall-limit", "500ms", "--jobs", "1"]).expect(1);
    assert!(failed.out.contains("INCONCLUSIVE  slow"), "{}", failed.out);
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

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for arguments in [
        &["run", FIRST_JOIN, "--seeds", "0..100000", "--format", "csv"][..],
        &["run", FIRST_JOIN, "--seeds", "0..100000"],
    ] {
        let (mut child, mut out) = started(arguments);
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        drop(out);
        let mut err = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut err)
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{err}");
        assert_eq!(err, "");
    }
}

#[test]
fn an_interruption_keeps_what_is_finished() {
    let out = files(&[]);
    let directory: PathBuf = out.path().to_owned();
    let arguments = [
        "run",
        FIRST_JOIN,
        SLOW,
        "--jobs",
        "1",
        "--format",
        "json",
        "--out",
        text(&directory),
    ];
    let (mut child, mut lines) = started(&arguments);
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
    let mut err = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{err}");
    assert!(err.contains("interrupted: 2 of 3 runs finished"), "{err}");
    assert!(
        finished
            .lines()
            .all(|line| line.contains("\"verdict\":\"pass\"")),
        "{finished}"
    );
    let mut names: Vec<_> = fs::read_dir(out.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["first-join-gossip-1.capsule", "first-join-pubsub-1.capsule"]
    );
}
