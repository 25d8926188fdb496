//! Whatever a strategy does, it ends its run with a verdict, and never the campaign.

use std::fs;
use std::process::{Child, Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::{Place, scale};

pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "strategies_that_misbehave_end_their_runs_only",
        strategies_that_misbehave_end_their_runs_only,
    ),
    (
        "what_depends_on_the_process_is_found",
        what_depends_on_the_process_is_found,
    ),
    (
        "a_failure_of_an_old_process_is_not_reproduced",
        a_failure_of_an_old_process_is_not_reproduced,
    ),
    (
        "a_bug_is_told_and_the_others_run",
        a_bug_is_told_and_the_others_run,
    ),
    (
        "no_worker_outlives_a_killed_campaign",
        no_worker_outlives_a_killed_campaign,
    ),
    (
        "what_kills_workers_from_outside_changes_no_result",
        what_kills_workers_from_outside_changes_no_result,
    ),
    ("too_little_memory_is_refused", too_little_memory_is_refused),
    (
        "a_worker_that_is_kept_hardly_grows",
        a_worker_that_is_kept_hardly_grows,
    ),
];

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/first-join.toml");

/// The verdicts of a strategy's runs.
fn verdicts(place: &Place, strategy: &str) -> Vec<String> {
    let records = place.records("out");
    let own = records.iter().filter(|((name, _), _)| name == strategy);
    let verdict = |record: &Value| record["verdict"].as_str().expect("a word").to_owned();
    own.map(|(_, record)| verdict(record)).collect()
}

fn strategies_that_misbehave_end_their_runs_only() {
    let place = Place::new();
    let names = [
        "chatty",
        "deep",
        "endless",
        "forgetful",
        "greedy",
        "nervous",
        "pubsub",
    ];
    let strategies: Vec<String> = names
        .iter()
        .map(|name| format!("--strategy {name}"))
        .collect();
    let told = place.expect(
        &format!(
            "fuzz {FILE} --seeds 0..2 {} --wall-limit 4s --memory 256 --jobs 2 --out out",
            strategies.join(" ")
        ),
        1,
    );
    for (strategy, verdict) in [
        ("chatty", "pass"),
        ("deep", "worker_lost"),
        ("endless", "timed_out"),
        ("forgetful", "fail"),
        ("greedy", "worker_lost"),
        ("nervous", "fail"),
        ("pubsub", "pass"),
    ] {
        assert_eq!(
            verdicts(&place, strategy),
            [verdict; 2],
            "{strategy}: {told}"
        );
    }
    let records = place.records("out");
    let note = |strategy: &str| records[&(strategy.to_owned(), 0)]["note"].to_string();
    assert!(
        note("greedy").contains("memory allocation"),
        "{}",
        note("greedy")
    );
    assert!(
        note("endless").contains("longer than 4s"),
        "{}",
        note("endless")
    );
    let crash = &records[&("nervous".to_owned(), 0)]["findings"][0];
    assert_eq!(crash["signature"]["oracle"], "no_crash");
    assert!(
        crash["detail"]
            .as_str()
            .is_some_and(|said| said.contains("out of nerve")),
        "{crash}"
    );
}

fn what_depends_on_the_process_is_found() {
    let place = Place::new();
    let told = place.expect(
        &format!(
            "fuzz {FILE} --seeds 0..4 --strategy aging --twice-percent 100 --jobs 1 --out out"
        ),
        4,
    );
    assert!(
        verdicts(&place, "aging").contains(&"mismatch".to_owned()),
        "{told}"
    );
    let record = place
        .records("out")
        .into_values()
        .find(|record| record["verdict"] == "mismatch");
    let note = record
        .map(|record| record["note"].to_string())
        .unwrap_or_default();
    assert!(
        note.contains("digest ") && note.contains("fresh process"),
        "{note}"
    );
    assert!(told.contains(" --twice"), "{told}");
}

fn a_failure_of_an_old_process_is_not_reproduced() {
    let place = Place::new();
    let told = place.expect(
        &format!("fuzz {FILE} --seeds 0..40 --strategy weary --twice-percent 0 --jobs 1 --out out"),
        4,
    );
    let verdicts = verdicts(&place, "weary");
    assert_eq!(verdicts[0], "pass");
    assert!(verdicts.contains(&"not_reproduced".to_owned()), "{told}");
    assert!(!verdicts.contains(&"fail".to_owned()), "{told}");
}

fn a_bug_is_told_and_the_others_run() {
    let place = Place::new();
    let strategies = "--strategy stillborn --strategy pubsub";
    let told = place.expect(
        &format!("fuzz {FILE} --seeds 0..2 {strategies} --out out"),
        70,
    );
    assert_eq!(verdicts(&place, "stillborn"), ["bug"; 2]);
    assert_eq!(verdicts(&place, "pubsub"), ["pass"; 2]);
    assert!(told.contains("never began"), "{told}");
}

fn no_worker_outlives_a_killed_campaign() {
    let place = Place::new();
    // The limit of memory tells these workers from those of all other tests.
    let memory = 3_000 + u64::from(std::process::id() % 1_000);
    let mut child = place.start(&format!(
        "fuzz {FILE} --seeds 0..9 --strategy endless --memory {memory} --jobs 2 --out out"
    ));
    let words = format!("__worker\0--memory\0{memory}");
    let workers = || {
        let processes = fs::read_dir("/proc")
            .expect("processes are listed")
            .flatten();
        let commands =
            processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        commands
            .filter(|command| String::from_utf8_lossy(command).contains(&words))
            .count()
    };
    let wait = |wanted: usize| {
        let begun = Instant::now();
        while workers() != wanted {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "{} workers",
                workers()
            );
            thread::sleep(Duration::from_millis(10));
        }
    };
    wait(2);
    thread::sleep(Duration::from_millis(300));
    child.kill().expect("it can be killed");
    child.wait().expect("it has ended");
    wait(0);
}

/// The ids of the workers that were started with that limit of memory, which tells them from those of
/// all other tests.
pub(crate) fn workers(memory: u64) -> Vec<u32> {
    let words = format!("__worker\0--memory\0{memory}\0");
    let processes = fs::read_dir("/proc").expect("processes are listed");
    let ours = |id: &u32| {
        let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&words)
    };
    let ids = processes
        .flatten()
        .filter_map(|one| one.file_name().to_str()?.parse().ok());
    ids.filter(ours).collect()
}

/// Kills the workers with that limit of memory, again and again, until their parent ends. It must have been
/// disturbed.
pub(crate) fn disturbed(mut parent: Child, memory: u64) -> Output {
    let mut kills = 0;
    while parent.try_wait().expect("a child").is_none() && kills < 12 {
        for id in workers(memory) {
            let signal = ["-KILL", "-TERM"][kills % 2];
            let kill = Command::new("kill")
                .args([signal, &id.to_string()])
                .output();
            kills += usize::from(kill.expect("kill is everywhere").status.success());
        }
        thread::sleep(Duration::from_millis(60));
    }
    assert!(kills > 2, "it was too short to be disturbed");
    parent.wait_with_output().expect("it ends")
}

fn what_kills_workers_from_outside_changes_no_result() {
    let place = Place::new();
    let memory = 5_000 + u64::from(std::process::id() % 1_000);
    let campaign = "fuzz --strategy pubsub --seeds 0..500 --oracles all --no-shrink --twice-percent 0 --jobs 2";
    let child = place.start(&format!("{campaign} --memory {memory} --out killed"));
    let output = disturbed(child, memory);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("worker was killed (signal 9)") && err.contains("is made again, alone"),
        "{err}"
    );
    place.expect(&format!("{campaign} --out whole"), 1);
    assert_eq!(place.records("killed"), place.records("whole"));
}

fn too_little_memory_is_refused() {
    let place = Place::new();
    let done = place.run(&format!(
        "fuzz {FILE} --seeds 0..2 --strategy pubsub --memory 1"
    ));
    assert_eq!(done.code, Some(2), "{}", done.err);
}

/// The full size is 5,000 runs.
fn a_worker_that_is_kept_hardly_grows() {
    const MOST: u64 = 64 << 20;
    let place = Place::new();
    let seeds = 300 * scale();
    let campaign = format!(
        "fuzz --strategy pubsub --strategy gossip --seeds 0..{seeds} --no-shrink --no-recycle --twice-percent 0 --jobs 1"
    );
    let done = place.run(&format!("{campaign} --out out"));
    assert!(matches!(done.code, Some(0 | 1)), "{}", done.err);
    let line = done
        .out
        .lines()
        .find(|line| line.contains("grew by"))
        .unwrap_or_default();
    let bytes: u64 = line
        .split_whitespace()
        .filter_map(|word| word.replace(',', "").parse().ok())
        .next()
        .expect("the summary tells how much a worker grew");
    println!("    {line}");
    assert!(bytes < MOST, "{line}");
}
