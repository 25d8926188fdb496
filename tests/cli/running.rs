//! `run`: what it prints, of one run and of many.

use std::fs;

use serde_json::Value;

use super::{FAILING, FIRST_JOIN, Ran, files, hublab, names, program, text};

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
fn the_timeline_has_the_steps_that_a_pattern_comes_to() {
    let file = "schema = 1\n[cluster]\nnodes = 3\n[[step]]\nat = '1s'\nevery = '2s'\ntimes = 2\n\
        start_children = { on = ['n2', 'n1'], count = 2, prefix = 'x' }\n[[step]]\nat = '5s'\n\
        partition = { isolate = ['n1'], heal_after = '3s' }\n";
    let root = tempfile::tempdir().expect("a temporary directory");
    let path = root.path().join("patterns.toml");
    fs::write(&path, file).expect("a file can be written");
    let ran = hublab(&["run", &path.display().to_string(), "--strategy", "pubsub"]).expect(0);
    for part in [
        "start x-1..x-2 on n2",
        "start x-3 x-4 on n1",
        "start x-7 x-8 on n1",
        "partition [n1] | [n2 n3], for 3s",
    ] {
        assert!(ran.out.contains(part), "`{part}`: {}", ran.out);
    }
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
    let why = "n2 runs it, and n1 does not show that: what told n1 last was lost (cut)";
    assert!(ran.out.contains(why), "{}", ran.out);
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
    assert!(
        ran.out
            .contains("20 of 20 passed: 100.0 % (95 %: 83.9 to 100.0 %)"),
        "{}",
        ran.out
    );
    let line = |name: &str| {
        let line = ran
            .out
            .lines()
            .find(|line| line.trim_start().starts_with(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("no {name} in:\n{}", ran.out));
        let cells: Vec<f64> = line
            .split_whitespace()
            .skip(1)
            .filter(|cell| *cell != "+-")
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
        let [n, mean, half, median, low, high, least, greatest] = cells[..] else {
            panic!("{metric}: {cells:?}")
        };
        assert_eq!(n, 20.0, "{metric}");
        assert!(
            least <= mean && mean <= greatest && half >= 0.0,
            "{cells:?}"
        );
        let sorted = [least, low, median, high, greatest];
        assert!(sorted.is_sorted(), "{metric}: {cells:?}");
    }
}

#[test]
fn runs_without_a_value_are_told_and_leave_no_mean() {
    // Some seeds overcome the loss by the end, and some do not.
    let ran = hublab(&[
        "run",
        "tests/data/seldom-converges.toml",
        "--seeds",
        "0..20",
        "--format",
        "csv",
    ]);
    let missing = ran.out.lines().skip(1).filter(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        cells[14].is_empty()
    });
    let missing = missing.count();
    assert!((1..20).contains(&missing), "{missing}:\n{}", ran.out);
    let ran = hublab(&[
        "run",
        "tests/data/seldom-converges.toml",
        "--seeds",
        "0..20",
    ]);
    let line = ran.out.lines().find(|line| line.contains("converged_us"));
    let line = line.unwrap_or_else(|| panic!("{}", ran.out));
    assert!(
        line.contains(&format!(
            "> 20s in {missing} of 20: the views did not converge"
        )),
        "{line}"
    );
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells[1..4], [(20 - missing).to_string().as_str(), "-", "-"]);
    let rate = format!("  {} of 20 passed", 20 - missing);
    assert!(ran.out.contains(&rate), "{}", ran.out);
}

#[test]
fn changed_values_are_columns() {
    let ran = hublab(&[
        "run",
        FIRST_JOIN,
        "--seeds",
        "0..2",
        "--format",
        "csv",
        "--set",
        "network.loss=0.01",
        "--set",
        "run.duration=70s",
    ])
    .expect(0);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(
        lines[0].contains(",reason,network.loss,run.duration,"),
        "{}",
        lines[0]
    );
    assert!(
        lines[1..].iter().all(|line| line.contains(",,0.01,70s,")),
        "{}",
        ran.out
    );
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
    assert_eq!(
        names(out.path()),
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
