//! A campaign is the same one however it is run, interrupted, split or taken up again.

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
    let mut joined = std::collections::BTreeMap::new();
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
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill is everywhere");
    assert!(status.success());
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
    let told = place.expect(&format!("{campaign} --seeds 0..3 --out here"), 2);
    assert!(told.contains("--resume"), "{told}");
    assert_eq!(place.lines("here").len(), 3);
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
    assert!((3..20).contains(&failed), "{failed}");
    let begun = Instant::now();
    let done = place.run(&format!("{campaign} --budget 300ms --out budget"));
    assert!(
        done.err.contains("the time of --budget is over"),
        "{}",
        done.err
    );
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(!place.lines("budget").is_empty());
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
