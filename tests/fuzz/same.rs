//! A campaign is the same one however it is run, interrupted, split or taken up again.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use crate::place::{Place, scale};

pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "jobs_and_shards_change_no_record",
        jobs_and_shards_change_no_record,
    ),
    (
        "every_run_made_twice_is_the_same",
        every_run_made_twice_is_the_same,
    ),
    (
        "a_killed_campaign_is_gone_on_with",
        a_killed_campaign_is_gone_on_with,
    ),
    (
        "an_interrupted_campaign_keeps_its_results",
        an_interrupted_campaign_keeps_its_results,
    ),
    (
        "another_campaign_is_not_gone_on_with",
        another_campaign_is_not_gone_on_with,
    ),
    (
        "a_shrunk_failure_fails_alone_and_is_known_afterwards",
        a_shrunk_failure_fails_alone_and_is_known_afterwards,
    ),
    (
        "max_failures_and_budget_end_a_campaign_early",
        max_failures_and_budget_end_a_campaign_early,
    ),
    (
        "every_way_to_make_a_campaign_leaves_the_same_files",
        every_way_to_make_a_campaign_leaves_the_same_files,
    ),
    (
        "a_worker_that_is_killed_as_it_starts_is_replaced",
        a_worker_that_is_killed_as_it_starts_is_replaced,
    ),
    (
        "a_campaign_that_checked_nothing_is_not_green",
        a_campaign_that_checked_nothing_is_not_green,
    ),
    (
        "what_is_known_is_told_by_file_and_name",
        what_is_known_is_told_by_file_and_name,
    ),
    ("seeds_are_drawn_from_a_text", seeds_are_drawn_from_a_text),
    (
        "one_process_at_a_time_writes_a_directory",
        one_process_at_a_time_writes_a_directory,
    ),
    (
        "inconclusive_runs_can_be_allowed",
        inconclusive_runs_can_be_allowed,
    ),
    (
        "files_run_over_seeds_with_overrides",
        files_run_over_seeds_with_overrides,
    ),
];

const QUICK: &str = "--oracles all --no-shrink --twice-percent 0";

fn jobs_and_shards_change_no_record() {
    let place = Place::new();
    let seeds = 30 * scale();
    let campaign = format!(
        "fuzz --strategy pubsub --strategy gossip --seeds 5..{} {QUICK}",
        5 + seeds
    );
    place.expect(&format!("{campaign} --jobs 1 --out one"), 1);
    place.expect(&format!("{campaign} --jobs 2 --out two"), 1);
    let whole = place.records("one");
    assert_eq!(whole.len() as u64, 2 * seeds);
    assert_eq!(whole, place.records("two"));
    let mut joined = BTreeMap::new();
    for shard in 0..3 {
        place.run(&format!("{campaign} --shard {shard}/3 --out shard-{shard}"));
        let part = place.records(&format!("shard-{shard}"));
        assert!(
            part.keys().all(|run| !joined.contains_key(run)),
            "no seed twice"
        );
        joined.extend(part);
    }
    assert_eq!(whole, joined);
}

fn every_run_made_twice_is_the_same() {
    let place = Place::new();
    let seeds = 10 * scale();
    let campaign =
        format!("fuzz --strategy pubsub --strategy gossip --seeds 0..{seeds} --no-shrink");
    let done = place.run(&format!("{campaign} --twice-percent 100 --out all"));
    assert!(matches!(done.code, Some(0 | 1)), "{}{}", done.out, done.err);
    let records = place.records("all");
    assert_eq!(records.len() as u64, 2 * seeds);
    let unlike = |record: &&serde_json::Value| {
        record["verdict"] == "mismatch" || record["verdict"] == "not_reproduced"
    };
    assert_eq!(records.values().find(unlike), None);
}

/// Waits until a campaign has written some lines.
fn wait_for_lines(place: &Place, child: &mut Child, campaign: &str, lines: usize) {
    let begun = Instant::now();
    let path = place.path(campaign).join("results.ndjson");
    let written = || fs::read_to_string(&path).map_or(0, |text| text.lines().count());
    while written() < lines {
        let ended = child.try_wait().expect("a child");
        assert!(
            ended.is_none(),
            "the campaign was too short to be interrupted"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "nothing is written"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

fn a_killed_campaign_is_gone_on_with() {
    let place = Place::new();
    let seeds = 400 + 10 * scale();
    let campaign = format!("fuzz --strategy pubsub --seeds 0..{seeds} {QUICK}");
    let mut child = place.start(&format!("{campaign} --out killed"));
    wait_for_lines(&place, &mut child, "killed", 20);
    child.kill().expect("it can be killed");
    child.wait().expect("it has ended");
    let path = place.path("killed").join("results.ndjson");
    let mut text = fs::read_to_string(&path).expect("results are there");
    assert!(text.ends_with('\n'), "only whole lines");
    let before = text.lines().count() as u64;
    assert!(before < seeds, "it was killed in the middle");
    // A disk that was full, or a machine that lost power, may leave a torn one.
    text.push_str("{\"schema\":1,\"scen");
    fs::write(&path, text).expect("it can be written");
    place.expect(&format!("{campaign} --out killed --resume"), 1);
    place.expect(&format!("{campaign} --out whole"), 1);
    assert_eq!(place.records("killed"), place.records("whole"));
    let again = place.expect(&format!("{campaign} --out killed --resume"), 1);
    assert_eq!(place.lines("killed").len() as u64, seeds, "{again}");
}

fn an_interrupted_campaign_keeps_its_results() {
    let place = Place::new();
    let campaign = format!("fuzz --strategy pubsub --seeds 0..100000 {QUICK}");
    let mut child = place.start(&format!("{campaign} --out half"));
    wait_for_lines(&place, &mut child, "half", 20);
    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(
        err.contains("interrupted: ") && err.contains(" of 100,000 runs made"),
        "{err}"
    );
    assert!(place.records("half").len() >= 20);
}

fn another_campaign_is_not_gone_on_with() {
    let place = Place::new();
    let campaign = format!("fuzz --strategy pubsub {QUICK}");
    place.run(&format!("{campaign} --seeds 0..3 --out here"));
    let told = place.expect(&format!("{campaign} --seeds 0..4 --out here --resume"), 2);
    assert!(told.contains("`seeds`"), "{told}");
    assert!(told.contains("give one that is new"), "{told}");
    assert_eq!(place.lines("here").len(), 3);
    // The same one is gone on with, unasked.
    let before = place.lines("here");
    let done = place.run(&format!("{campaign} --seeds 0..3 --out here"));
    assert!(
        done.err.contains("here: going on, 3 runs are there"),
        "{}",
        done.err
    );
    assert!(matches!(done.code, Some(0 | 1)), "{}", done.err);
    assert_eq!(place.lines("here"), before);
}

fn a_shrunk_failure_fails_alone_and_is_known_afterwards() {
    let place = Place::new();
    let campaign = "fuzz --strategy pubsub --oracles convergence,no_false_absence --seeds 0..25";
    let told = place.expect(&format!("{campaign} --out first"), 1);
    let command = told
        .lines()
        .rfind(|line| line.starts_with("hublab run "))
        .expect("a command");
    let arguments = command
        .strip_prefix("hublab ")
        .expect("a command of this program");
    let again = place.expect(arguments, 1);
    assert!(again.contains("FAIL"), "{again}");
    let failures = place.path("first").join("failures");
    let names = || {
        fs::read_dir(&failures)
            .expect("it is there")
            .flatten()
            .map(|entry| entry.path())
    };
    let files = names().filter(|path| path.extension().is_some_and(|end| end == "toml"));
    for file in files {
        assert!(
            file.with_extension("capsule").is_file(),
            "{}",
            file.display()
        );
        place.expect(&format!("run {}", file.display()), 1);
    }
    let known = place.expect(&format!("{campaign} --out second --known first"), 0);
    assert!(known.contains("known: pubsub-"), "{known}");
    let fewer = campaign.replace("0..25", "0..1");
    let vanished = place.expect(&format!("{fewer} --out third --known first/failures"), 0);
    assert!(
        vanished.contains("known, but not met: pubsub-"),
        "{vanished}"
    );
    let one = names().find(|path| path.extension().is_some_and(|end| end == "toml"));
    fs::remove_file(one.expect("one at least")).expect("it can be removed");
    place.expect(&format!("{campaign} --out fourth --known first"), 1);
}

fn max_failures_and_budget_end_a_campaign_early() {
    let place = Place::new();
    let campaign = format!("fuzz --strategy pubsub --seeds 0..100000 --jobs 2 {QUICK}");
    let told = place.expect(&format!("{campaign} --max-failures 3 --out failures"), 1);
    assert!(told.contains("--max-failures is reached"), "{told}");
    let failed = place.records("failures");
    let failed = failed
        .values()
        .filter(|record| record["verdict"] == "fail")
        .count();
    assert_eq!(failed, 3);
    let whole = place.lines("failures");
    for jobs in [1, 5] {
        let out = format!("failures-{jobs}");
        let other = campaign.replace("--jobs 2", &format!("--jobs {jobs}"));
        place.expect(&format!("{other} --max-failures 3 --out {out}"), 1);
        assert_eq!(place.lines(&out), whole, "{jobs} jobs");
    }
    let begun = Instant::now();
    let done = place.run(&format!("{campaign} --budget 300ms --out budget"));
    assert!(
        done.err.contains("the time of --budget is over"),
        "{}",
        done.err
    );
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(!place.lines("budget").is_empty());
    // Shrinking what these find would take many times as long.
    let shrinking = "fuzz --strategy pubsub --seeds 0..100000 --jobs 1 --oracles all --shrinks-per-signature 50";
    let begun = Instant::now();
    let done = place.run(&format!("{shrinking} --budget 3s --out shrunk"));
    assert!(
        done.err.contains("the time of --budget is over"),
        "{}",
        done.err
    );
    assert!(
        begun.elapsed() < Duration::from_secs(12),
        "{:?}",
        begun.elapsed()
    );
    assert!(!place.lines("shrunk").is_empty());
}

/// The files of a campaign's directory, without those that tell times.
fn files(place: &Place, directory: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for within in ["", "failures"] {
        let path = place.path(directory).join(within);
        // Where nothing failed, there are no failures.
        if !within.is_empty() && !path.exists() {
            continue;
        }
        for entry in fs::read_dir(&path).expect("a directory").flatten() {
            let name = entry.file_name().into_string().expect("plain names");
            if name == "timing.ndjson" || entry.path().is_dir() {
                continue;
            }
            let mut bytes = fs::read(entry.path()).expect("a file");
            if name == "junit.xml" {
                let text = String::from_utf8(bytes).expect("XML is text");
                let times = |word: &&str| !word.starts_with("time=");
                let words: Vec<&str> = text.split(' ').filter(times).collect();
                let text = words.join(" ").replace(directory, "OUT");
                bytes = text.into_bytes();
            }
            files.insert(format!("{within}/{name}"), bytes);
        }
    }
    files
}

#[track_caller]
fn expect_same_files(place: &Place, whole: &str, other: &str) {
    let (left, right) = (files(place, whole), files(place, other));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&left), names(&right), "{other}");
    for (name, bytes) in &left {
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            *bytes == right[name],
            "{other}{name}\n{}\n{}",
            show(bytes),
            show(&right[name])
        );
    }
}

fn every_way_to_make_a_campaign_leaves_the_same_files() {
    let place = Place::new();
    let seeds = 24 * scale();
    let campaign = |seeds: &str| {
        format!(
            "fuzz --strategy pubsub --strategy gossip --seeds {seeds} --oracles convergence,no_resurrection,no_false_absence"
        )
    };
    place.run(&format!("{} --out before", campaign("0..8")));
    let campaign = format!("{} --known before", campaign(&format!("0..{seeds}")));
    place.expect(&format!("{campaign} --jobs 2 --out whole"), 1);
    assert!(files(&place, "whole").len() > 10, "too little is shrunk");
    place.expect(&format!("{campaign} --jobs 1 --out alone"), 1);
    expect_same_files(&place, "whole", "alone");
    for count in [3, 7] {
        let out = |shard: u64| format!("shard-{shard}-{count}");
        for shard in 0..count {
            let out = out(shard);
            place.run(&format!("{campaign} --shard {shard}/{count} --out {out}"));
        }
        let shards: Vec<String> = (0..count).rev().map(out).collect();
        let merged = format!("merged-{count}");
        place.expect(&format!("merge {} --out {merged}", shards.join(" ")), 1);
        expect_same_files(&place, "whole", &merged);
    }
    // Interrupted again and again, at first between runs and later between what is shrunk; in each round
    // one worker is killed before.
    // A round makes some runs or none; how many rounds it takes depends on the machine.
    let (mut wait, mut workers_killed) = (20, 0);
    for round in 0.. {
        let mut child = place.start(&format!("{campaign} --jobs 2 --out often --resume"));
        let begun = Instant::now();
        let limit = Duration::from_millis(wait);
        let mut is_killed = false;
        while begun.elapsed() < limit && child.try_wait().expect("a child").is_none() {
            thread::sleep(Duration::from_millis(5));
            if !is_killed && begun.elapsed() > limit / 2 {
                is_killed = true;
                workers_killed += usize::from(kill_worker(&child));
            }
        }
        if let Some(ended) = child.try_wait().expect("a child") {
            assert_eq!(ended.code(), Some(1), "round {round} ended by itself");
            assert!(round > 0, "too short to be interrupted");
            break;
        }
        let signal = ["-INT", "-TERM", "-KILL"][round % 3];
        let id = child.id().to_string();
        drop(Command::new("kill").args([signal, &id]).status());
        child.wait().expect("it ends");
        wait = wait * 5 / 4;
    }
    assert!(workers_killed > 0, "no round was long enough for a worker");
    place.expect(&format!("{campaign} --out often --resume"), 1);
    expect_same_files(&place, "whole", "often");
}

fn a_worker_that_is_killed_as_it_starts_is_replaced() {
    let place = Place::new();
    let campaign = "fuzz --strategy pubsub --seeds 0..40 --jobs 2";
    place.expect(&format!("{campaign} --out whole"), 0);
    for round in 0..8 {
        let mut child = place.start(&format!("{campaign} --out out-{round}"));
        let begun = Instant::now();
        while !kill_worker(&child) {
            assert!(begun.elapsed() < Duration::from_secs(60), "no worker");
            thread::yield_now();
        }
        let ended = child.wait().expect("it ends");
        assert_eq!(ended.code(), Some(0), "round {round}");
        expect_same_files(&place, "whole", &format!("out-{round}"));
    }
}

/// Kills one of the workers of a campaign; false if there is none.
fn kill_worker(of: &Child) -> bool {
    let id = of.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    let children = children.unwrap_or_default();
    let Some(worker) = children.split_whitespace().last() else {
        return false;
    };
    let killed = Command::new("kill").args(["-KILL", worker]).status();
    killed.is_ok_and(|status| status.success())
}

fn a_campaign_that_checked_nothing_is_not_green() {
    let place = Place::new();
    let campaign = "fuzz --strategy pubsub --seeds 0..5";
    let told = place.expect(&format!("{campaign} --budget 0s --out none"), 3);
    assert!(
        told.contains("0 of 5 runs, 0 events: nothing was run"),
        "{told}"
    );
    let manifest = fs::read_to_string(place.path("none/campaign.json")).expect("a manifest");
    assert!(
        manifest.contains("\"planned\": 5") && manifest.contains("\"done\": 0"),
        "{manifest}"
    );
    let summary = format!("{campaign} --budget 0s --format markdown");
    let told = place.expect(&summary, 3);
    assert!(told.contains("## hublab: nothing was run"), "{told}");
    assert!(told.contains("0 of 5 runs made"), "{told}");
    place.expect("merge none", 3);
    // Before anything is run, of each shard.
    for shard in ["0/2", "1/2"] {
        let corpus = format!("{campaign} --shard {shard} --corpus nowhere --out not");
        let told = place.expect(&corpus, 2);
        assert!(
            told.contains("nowhere: there is no such directory"),
            "{told}"
        );
        assert!(
            !place.path("not").exists() && !told.contains("all held"),
            "{told}"
        );
    }
    fs::create_dir(place.path("empty")).expect("a directory");
    let told = place.expect(&format!("{campaign} --corpus empty"), 3);
    assert!(told.contains("nothing is saved here"), "{told}");
    // Nothing has ended when this is interrupted.
    let endless = "fuzz --strategy endless --seeds 0..5 --jobs 1 --wall-limit 5m --out endless";
    let mut child = place.start(endless);
    let begun = Instant::now();
    while !place.path("endless/campaign.json").exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it does not begin"
        );
        assert!(child.try_wait().expect("a child").is_none(), "it ended");
        thread::sleep(Duration::from_millis(10));
    }
    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("0 of 5 runs, 0 events: interrupted"), "{out}");
    assert!(!out.contains("held"), "{out}");
}

fn what_is_known_is_told_by_file_and_name() {
    let place = Place::new();
    let campaign = "fuzz --strategy pubsub --oracles no_false_absence --seeds 0..60";
    place.expect(&format!("{campaign} --out first"), 1);
    let records = place.lines("first");
    // Every anomaly that a run of it is, or looks like, and every file without a name.
    let mut names: Vec<String> = Vec::new();
    let mut entries = String::new();
    for line in &records {
        let record: serde_json::Value = serde_json::from_str(line).expect("a record");
        for finding in record["findings"].as_array().expect("a list") {
            let fingerprint = finding["fingerprint"].as_str();
            let name = match fingerprint {
                Some(_) => finding["anomaly"].as_str(),
                None => finding["hint"].as_str(),
            };
            names.extend(name.map(str::to_owned));
            if let (None, Some(fingerprint)) = (name, fingerprint) {
                entries.push_str(&format!(
                    "[[known]]\nfingerprint = '{fingerprint}'\nreason = 'no name yet'\n"
                ));
            }
        }
    }
    names.sort();
    names.dedup();
    assert!(!names.is_empty(), "nothing has a name");
    fs::write(place.path("known.toml"), &entries).expect("a file");
    let list: Vec<String> = names.iter().map(|name| format!("pubsub:{name}")).collect();
    let list = list.join(",");
    let told = place.expect(
        &format!("{campaign} --known known.toml --known-anomaly {list}"),
        0,
    );
    assert!(told.contains("no new failures"), "{told}");
    assert!(
        told.contains(&format!("known: pubsub:{}", names[0])),
        "{told}"
    );
    // The same as a file, in the directory of a campaign.
    for name in &names {
        entries.push_str(&format!(
            "[[known]]\nname = '{name}'\nstrategy = 'pubsub'\nreason = 'as in the original'\n"
        ));
    }
    fs::create_dir(place.path("kept")).expect("a directory");
    fs::write(place.path("kept/known.toml"), &entries).expect("a file");
    place.expect(&format!("{campaign} --known kept"), 0);
    let past = entries.replace("reason = 'as", "until = 2020-01-31\nreason = 'as");
    fs::write(place.path("kept/known.toml"), past).expect("a file");
    let told = place.expect(&format!("{campaign} --known kept"), 1);
    let words = format!(
        "known no more: pubsub:{}, which was until 2020-01-31",
        names[0]
    );
    assert!(told.contains(&words), "{told}");
    fs::write(
        place.path("kept/known.toml"),
        "[[known]]\nname = 'A5'\nreason = 'r'\n",
    )
    .expect("a file");
    let told = place.expect(&format!("{campaign} --known kept"), 2);
    assert!(
        told.contains("known.toml: line 1: ") && told.contains("`strategy`"),
        "{told}"
    );
    place.expect(&format!("{campaign} --known nowhere"), 2);
    let told = place.expect(&format!("{campaign} --known-anomaly A5"), 2);
    assert!(told.contains("STRATEGY:A5"), "{told}");
}

fn seeds_are_drawn_from_a_text() {
    let place = Place::new();
    let drawn = |text: &str| {
        let out = format!("of-{text}");
        let campaign = "fuzz --strategy pubsub --no-shrink --count 3";
        place.expect(&format!("{campaign} --seeds-from {text} --out {out}"), 0);
        place.records(&out).into_keys().collect::<Vec<_>>()
    };
    let one = drawn("1f0e2d");
    assert_eq!(one.len(), 3);
    let again = place.expect(
        "fuzz --strategy pubsub --no-shrink --count 3 --seeds-from 1f0e2d --out of-1f0e2d",
        0,
    );
    assert!(
        again.contains("going on, 3 runs are there"),
        "the same: {again}"
    );
    assert_ne!(drawn("1f0e2e"), one);
    place.expect("fuzz --seeds-from x", 2);
    place.expect("fuzz --seeds-from x --count 0", 2);
    place.expect("fuzz --seeds-from x --count 3 --seeds 0..3", 2);
}

fn interrupt(child: &Child) {
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill is everywhere");
    assert!(status.success());
}

fn one_process_at_a_time_writes_a_directory() {
    let place = Place::new();
    let campaign = format!("fuzz --strategy pubsub --seeds 0..100000 {QUICK} --out busy");
    let mut child = place.start(&campaign);
    wait_for_lines(&place, &mut child, "busy", 1);
    for second in [campaign.clone(), format!("{campaign} --resume")] {
        let told = place.expect(&second, 2);
        assert!(
            told.contains("busy: another process writes into this directory"),
            "{told}"
        );
    }
    interrupt(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}

fn inconclusive_runs_can_be_allowed() {
    let place = Place::new();
    // What is started last may still be on its way at the end.
    let file = "schema = 1\n[run]\nduration = '20s'\nstrategies = ['pubsub']\n[cluster]\nnodes = 2\n\
        [network]\nlatency = { uniform = ['500ms', '3s'] }\n\
        [[step]]\nat = '18s'\nstart_children = { on = 'n1', ids = ['a'] }\n\
        [[expect]]\nalways = 'convergence'\n";
    fs::write(place.path("late.toml"), file).expect("a file");
    let good = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/first-join.toml");
    let campaign = format!("fuzz late.toml {good} --strategy pubsub --seeds 0..4");
    place.expect(&format!("{campaign} --out some"), 3);
    let told = place.expect("merge some", 3);
    assert!(told.contains("4 inconclusive, the others held"), "{told}");
    let open = 4;
    let allow = |runs: usize| format!("{campaign} --allow-inconclusive {runs}");
    place.expect(&allow(open - 1), 3);
    let told = place.expect(&allow(open), 0);
    let words = format!("{open} inconclusive (allowed), the others held");
    assert!(told.contains(&words), "{told}");
    place.expect(&format!("merge some --allow-inconclusive {open}"), 0);
    // Nothing else was checked.
    place.expect("fuzz late.toml --seeds 0..1 --allow-inconclusive 1", 3);
}

fn files_run_over_seeds_with_overrides() {
    let place = Place::new();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/first-join.toml");
    let campaign = format!("fuzz {file} --seeds 3..6 --strategy gossip --no-shrink");
    place.expect(&format!("{campaign} --out good"), 0);
    assert_eq!(place.records("good").len(), 3);
    let failing = format!("{campaign} --set run.duration=6s --format json");
    let done = place.run(&failing);
    assert_eq!(
        done.code,
        Some(2),
        "the expectation at 40 s is out of the run: {}",
        done.err
    );
    let done = place.run(&format!("{campaign} --set network.loss=1.0 --format json"));
    assert_eq!(done.code, Some(1), "{}", done.err);
    assert_eq!(done.out.lines().count(), 3);
    let last = done.err.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("hublab fuzz ") && last.contains("--set network.loss=1.0"),
        "{last}"
    );
}
