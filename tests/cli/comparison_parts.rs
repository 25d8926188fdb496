//! A comparison is the same one however it is made: interrupted, in shards, with limits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::compare::{PLAN, SCENARIO, contents};
use super::{Ran, files, hublab, program, text};

/// The variables of job engines, which say which shard a process is.
const ENGINE: [(&str, &str); 2] = [("JOB_COMPLETION_INDEX", "1"), ("JOB_COMPLETIONS", "5")];

/// A directory with a plan, and what is made of it.
struct Place(tempfile::TempDir);

impl Place {
    fn new(scenario: &str, plan: &str) -> Self {
        let both = [("small.toml", scenario), ("plan.toml", plan)];
        Self(files(&both.map(|(name, text)| (name, text.as_bytes()))))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A command in this directory, of words.
    fn command(&self, words: &str) -> Command {
        let mut command = program();
        command
            .args(words.split_whitespace())
            .current_dir(self.0.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, _) in ENGINE {
            command.env_remove(name);
        }
        command
    }

    #[track_caller]
    fn expect(&self, words: &str, code: i32) -> Ran {
        let output = self.command(words).output().expect("the program starts");
        Ran::from(output).expect(code)
    }

    /// All that is in a directory, but for times.
    fn made(&self, name: &str) -> impl PartialEq + use<> {
        contents(&self.path(name))
    }

    /// Five shards of the plan, `s0` to `s4`.
    fn with_shards(self) -> Self {
        for shard in 0..5 {
            let words = format!("compare plan.toml --shard {shard}/5 --out s{shard} --jobs 1");
            self.expect(&words, 0);
        }
        self
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |data| data.len())
}

/// Waits until a file is that long, or the process that writes it has ended.
fn wait_for(path: &Path, bytes: u64, child: &mut Child) {
    let begun = Instant::now();
    while length(path) < bytes && child.try_wait().expect("a child").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{bytes} bytes");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn interrupted_ten_times_and_resumed_a_comparison_is_the_same() {
    let plan = PLAN.replace("0..9", "0..40");
    let place = Place::new(&SCENARIO.replace("20s", "300s"), &plan);
    let table = place.expect("compare plan.toml --out whole", 0).out;
    let whole = length(&place.path("whole/outcomes.ndjson"));
    let kept = place.path("broken/outcomes.ndjson");
    for time in 0..10 {
        let words = "compare plan.toml --out broken --resume --jobs 1";
        let before = length(&kept);
        let mut child = place.command(words).spawn().expect("it starts");
        // Some of its runs are made then, however late this is: it listens to signals.
        let bytes = (whole * (time + 1) / 12).max(before + 1);
        wait_for(&kept, bytes, &mut child);
        let (signal, code) = match time % 3 {
            0 => ("-INT", Some(130)),
            1 => ("-TERM", Some(130)),
            _ => ("-KILL", None),
        };
        let kill = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(kill.expect("kill is everywhere").success());
        let ran = Ran::from(child.wait_with_output().expect("it ends"));
        assert_eq!(ran.code, code, "{signal}: {}", ran.err);
        assert_eq!(ran.out, "", "no table of some of the runs");
        if code.is_some() {
            assert!(
                ran.err.contains("interrupted: ") && ran.err.contains("of 240 runs finished"),
                "{}",
                ran.err
            );
        }
        assert!(!place.path("broken/results.csv").exists());
    }
    assert!(length(&kept) < whole, "there is something left to do");
    let resumed = place.expect("compare plan.toml --out broken --resume", 0);
    assert_eq!(resumed.out, table);
    assert!(place.made("broken") == place.made("whole"));
    let lines = |name: &str| {
        let timing = fs::read_to_string(place.path(name).join("timing.csv"));
        timing.expect("times").lines().count()
    };
    assert_eq!(lines("broken"), lines("whole"), "a time for each run, once");
}

#[test]
fn five_shards_joined_are_the_comparison_of_one_process() {
    let place = Place::new(SCENARIO, PLAN).with_shards();
    let table = place
        .expect("compare plan.toml --out whole --shard 0/1", 0)
        .out;
    let merged = place.expect("merge s3 s1 s0 s4 s2 --out merged", 0);
    assert_eq!(merged.out, table);
    assert!(place.made("merged") == place.made("whole"));
    let timing = fs::read_to_string(place.path("merged/timing.csv")).expect("times");
    let numbers = timing.lines().skip(1).map(|line| line.split(',').next());
    let numbers: Vec<String> = numbers.flatten().map(str::to_owned).collect();
    let all: Vec<String> = (0..54).map(|number: u32| number.to_string()).collect();
    assert_eq!(numbers, all);
    let again = place.expect("reproduce merged", 0);
    assert!(again.out.contains("every digest and number is the same"));
    let refused = place.expect("merge s0 s1 s2 s3 s4 --out merged", 2);
    assert!(
        refused
            .err
            .contains("a comparison is in this directory already"),
        "{}",
        refused.err
    );
    let csv = place.expect("merge s0 s1 s2 s3 s4 --format csv", 0).out;
    assert_eq!(
        csv,
        fs::read_to_string(place.path("whole/cells.csv")).expect("cells")
    );
    place.expect("merge s0 s1 s2 s3 s4 --fail-on worse", 1);
}

#[test]
fn shards_and_runs_that_are_missing_are_told_and_nothing_is_written() {
    let place = Place::new(SCENARIO, PLAN).with_shards();
    let told = place.expect("merge s0 s2 s3 --out merged", 3);
    assert!(
        told.err.contains("missing: shards 1/5, 4/5"),
        "{}",
        told.err
    );
    assert!(
        told.err.contains("3 of 5 shards, 33 of 54 runs"),
        "{}",
        told.err
    );
    assert_eq!(told.out, "");
    assert!(!place.path("merged").exists());
    // As a process that died leaves it: in the middle of its fourth run.
    let kept = place.path("s1/outcomes.ndjson");
    let text = fs::read_to_string(&kept).expect("outcomes");
    let ends: Vec<usize> = text.match_indices('\n').map(|(end, _)| end).collect();
    fs::write(&kept, &text[..ends[3] + 20]).expect("a file");
    let told = place.expect("merge s0 s1 s2 s3 s4 --out merged", 3);
    assert!(
        told.err.contains(
            "incomplete: shard 1/5 (s1) has 3 of 11 runs; its last line was being written"
        ),
        "{}",
        told.err
    );
    assert!(
        told.err.contains("5 of 5 shards, 46 of 54 runs"),
        "{}",
        told.err
    );
    assert!(!place.path("merged").exists());
    place.expect("compare plan.toml --shard 1/5 --out s1 --resume", 0);
    assert_eq!(fs::read_to_string(&kept).expect("outcomes"), text);
    place.expect("merge s0 s1 s2 s3 s4 --out merged", 0);
}

#[test]
fn what_does_not_belong_together_is_not_joined() {
    let place = Place::new(SCENARIO, PLAN).with_shards();
    let refused = |words: &str, why: &str| {
        let told = place.expect(words, 2);
        assert!(told.err.contains(why), "{words}: {}", told.err);
        assert_eq!(told.out, "", "{words}");
        assert!(!place.path("merged").exists(), "{words}");
    };
    place.expect("compare plan.toml --seeds 0..8 --shard 1/5 --out other", 0);
    place.expect("compare plan.toml --shard 1/4 --out quarter", 0);
    place.expect("fuzz small.toml --seeds 0..5 --shard 1/5 --out campaign", 0);
    fs::create_dir(place.path("empty")).expect("a directory");
    refused(
        "merge s0 other --out merged",
        "are of different comparisons: the plans or",
    );
    refused(
        "merge s0 quarter --out merged",
        "s0 and quarter are shard 0/5 and shard 1/4",
    );
    refused(
        "merge s0 s0 --out merged",
        "are both shard 0/5: give each shard once",
    );
    refused(
        "merge s0 campaign --out merged",
        "but campaign holds a campaign",
    );
    refused(
        "merge campaign s0 --out merged",
        "but campaign holds a campaign",
    );
    refused(
        "merge s0 empty --out merged",
        "s0 holds a comparison, but empty holds none",
    );
    refused("merge s0 absent --out merged", "but absent holds none");
    refused("merge s0 --floor 50", "--floor is for campaigns");
    refused("merge s0 --format junit", "--format junit is for campaigns");
    refused(
        "merge campaign --fail-on worse",
        "--fail-on is for comparisons",
    );
    // A shard is gone on with as that shard only.
    refused(
        "compare plan.toml --shard 2/5 --out s1 --resume",
        "shard 1/5 is in this directory",
    );
    refused(
        "compare plan.toml --out s1 --resume",
        "shard 1/5 is in this directory",
    );
    refused("reproduce s1", "is not finished");
    // What was changed since is none of what ran.
    let kept = place.path("s2/outcomes.ndjson");
    let text = fs::read_to_string(&kept).expect("outcomes");
    fs::write(
        &kept,
        text.replacen("\"version\":\"0", "\"version\":\"9", 1),
    )
    .expect("a file");
    refused("merge s1 s2 --out merged", "one is made by hublab");
    refused(
        "merge s2 --out merged",
        "join it with the program that made it",
    );
    let copy = place.path("s3/scenarios/small.toml");
    fs::write(&copy, SCENARIO.replace("5ms", "6ms")).expect("a file");
    refused("merge s3 s4 --out merged", "somebody has changed them");
    fs::write(place.path("s4/outcomes.ndjson"), &text[..9]).expect("a file");
    refused("merge s4 --out merged", "before anything was written");
    fs::write(place.path("s4/outcomes.ndjson"), "{}\n").expect("a file");
    refused("merge s4 --out merged", "outcomes.ndjson:1: missing field");
}

#[test]
fn which_shard_a_comparison_is_is_told_by_the_command_line_or_else_the_environment() {
    let place = Place::new(SCENARIO, PLAN);
    let told = place.expect("compare plan.toml --shard 0/5", 2);
    assert!(
        told.err
            .contains("shard 0/5 has only some of the runs: give --out DIR"),
        "{}",
        told.err
    );
    let told = place.expect("compare plan.toml --shard 0/5 --out s --fail-on worse", 2);
    assert!(
        told.err.contains("give it to `hublab merge`"),
        "{}",
        told.err
    );
    let told = place.expect("compare plan.toml --shard 5/5 --out s", 2);
    assert!(told.err.contains("there is no shard 5/5"), "{}", told.err);
    assert!(!place.path("s").exists());
    let engine = |words: &str, variables: &[(&str, &str)]| -> Ran {
        let mut command = place.command(words);
        command.envs(variables.iter().copied());
        command.output().expect("it starts").into()
    };
    let ran = engine("compare plan.toml --out s", &ENGINE).expect(0);
    assert!(
        ran.out.starts_with("shard 1/5: 11 runs in s; "),
        "{}",
        ran.out
    );
    assert!(
        ran.err
            .contains("shard 1/5 (from the environment): 11 of 54 runs"),
        "{}",
        ran.err
    );
    assert!(!place.path("s/results.csv").exists());
    let half = engine("compare plan.toml --out t", &ENGINE[..1]).expect(2);
    assert!(half.err.contains("JOB_COMPLETIONS"), "{}", half.err);
    let whole = engine("compare plan.toml --shard 0/1 --out t", &ENGINE).expect(0);
    assert!(
        whole.out.starts_with("plan: against pubsub"),
        "{}",
        whole.out
    );
}

#[test]
fn cells_over_the_memory_are_told_by_name_before_anything_runs_and_left_out() {
    let large = "compare small.toml --strategy pubsub --strategy gossip --vary cluster.nodes=3,2100 --big \
        --seeds 0..7 --endpoint bytes_sent";
    let place = Place::new(SCENARIO, PLAN);
    let ran = place.expect(&format!("{large} --memory 400 --out whole"), 3);
    let reason = "with gossip a run needs about 1.1 GB of memory, more than --memory 400 (419 MB)";
    let warning = format!("warning: small, cluster.nodes=2100 is not run: {reason}\n");
    assert_eq!(ran.err, warning);
    assert!(
        ran.out.contains("1 cell is left out and not compared"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains(&format!("not compared: {reason}")),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("did not come to an end"), "{}", ran.out);
    assert!(
        ran.out.contains("1 test on 7 seeds"),
        "the other cell is compared: {}",
        ran.out
    );
    let summary = fs::read_to_string(place.path("whole/summary.md")).expect("a summary");
    assert!(
        summary.contains(&format!("not compared: {reason}")),
        "{summary}"
    );
    let runs = fs::read_to_string(place.path("whole/runs.csv")).expect("runs");
    let not_run = runs
        .lines()
        .filter(|line| line.contains(&format!("not run: {reason}")));
    assert_eq!(not_run.count(), 14);
    // Shards leave the same cells out, and what was left out stays so.
    for shard in 0..2 {
        let shard = format!("--shard {shard}/2 --out s{shard}");
        place.expect(&format!("{large} --memory 400 {shard}"), 3);
    }
    place.expect("merge s0 s1 --out merged", 3);
    assert!(place.made("merged") == place.made("whole"));
    place.expect("reproduce whole --big", 0);
    let other = place.expect(&format!("{large} --memory 500 --out whole --resume"), 2);
    assert!(
        other.err.contains("not the same cells are left out"),
        "{}",
        other.err
    );
    // With room for it, nothing is left out.
    let ran = hublab(&["compare", text(&place.path("plan.toml")), "--memory", "400"]).expect(0);
    assert_eq!(ran.err, "");
}

#[test]
fn a_budget_is_held_against_the_estimate_and_ends_the_runs() {
    let place = Place::new(&SCENARIO.replace("20s", "300s"), PLAN);
    let budget = "compare plan.toml --seeds 0..2000 --jobs 1 --out out";
    let ran = place.expect(&format!("{budget} --budget 1s"), 3);
    assert!(
        ran.err.starts_with("warning: the runs take about "),
        "{}",
        ran.err
    );
    assert!(ran.err.contains(", more than --budget 1s"), "{}", ran.err);
    assert!(
        ran.err.contains("the time of --budget is over: ")
            && ran
                .err
                .contains(" of 12,000 runs finished; the same command with --resume goes on"),
        "{}",
        ran.err
    );
    assert_eq!(ran.out, "");
    let lines = || {
        let kept = fs::read_to_string(place.path("out/outcomes.ndjson"));
        kept.expect("outcomes").lines().count()
    };
    let before = lines();
    assert!(before > 1, "runs were made until then");
    place.expect(&format!("{budget} --budget 1s --resume"), 3);
    assert!(lines() > before, "and others after that");
    // What fits is not told of, and gives a table.
    let ran = place.expect("compare plan.toml --budget 10m", 0);
    assert_eq!(ran.err, "");
    assert!(ran.out.starts_with("plan: against pubsub"), "{}", ran.out);
}
