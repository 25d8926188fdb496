//! Exact replay across processes and builds: what the library comes to in this process, what the
//! program comes to in others, and what is written down in `tests/data/digests.txt` is the same.
//!
//! The table holds in every build: debug and release, any number of jobs, with and without a log.
//! A change of it is SEED-BREAKING: say so in the changelog, and write it anew with
//! `UPDATE_EXPECT=1 cargo test --test replay`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hublab::Catalog;
use hublab::sim::run::Simulation;
use hublab::sim::scenario::{Scenario, load};

/// Digests by scenario, strategy and seed.
type Digests = BTreeMap<(String, String, u64), String>;

/// The seeds of the table: 1 and 2.
const TABLED: u64 = 2;

/// Seeds from 1 on that are compared between processes: `HUBLAB_SEEDS`, or those of the table.
fn seeds() -> u64 {
    std::env::var("HUBLAB_SEEDS").map_or(TABLED, |text| {
        text.parse().expect("HUBLAB_SEEDS is a number of seeds")
    })
}

fn in_this_process(seeds: u64) -> Digests {
    let catalog = Catalog::default();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = load::find(&[directory]).expect("the shipped scenarios");
    let mut digests = Digests::new();
    for scenario in files.iter().map(|path| read(path, &catalog)) {
        for strategy in &scenario.run.strategies {
            for seed in 1..=seeds {
                let report = Simulation::new(&scenario, &catalog)
                    .strategy(strategy)
                    .expect("a known strategy")
                    .seed(seed)
                    .run()
                    .expect("a known strategy");
                let digest = report.digest.expect("no wall clock ended the run");
                let before =
                    digests.insert((report.scenario, report.strategy, report.seed), digest);
                assert_eq!(before, None, "two scenarios have one name");
            }
        }
    }
    digests
}

fn read(path: &Path, catalog: &Catalog) -> Scenario {
    let bytes = load::read_bytes(path).expect("a readable file");
    Scenario::read(&path.display().to_string(), &bytes, catalog)
        .unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()))
}

fn in_a_fresh_process(seeds: u64, jobs: &str, log: &str) -> Digests {
    let output = Command::new(env!("CARGO_BIN_EXE_hublab"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["run", "scenarios", "--format", "json", "--jobs", jobs])
        .args(["--seeds", &format!("1..{}", seeds + 1)])
        .env("HUBLAB_LOG", log)
        .stderr(Stdio::null())
        .output()
        .expect("the program starts");
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let run = |line: &str| {
        let run: serde_json::Value = serde_json::from_str(line).expect("a line is a JSON object");
        let word = |key: &str| {
            run[key]
                .as_str()
                .unwrap_or_else(|| panic!("{key} of {line}"))
                .to_owned()
        };
        let seed = run["seed"].as_u64().expect("a seed is a number");
        ((word("scenario"), word("strategy"), seed), word("digest"))
    };
    text.lines().map(run).collect()
}

/// The table: a line per run, its name and its digest.
fn table() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/digests.txt")
}

#[test]
fn every_build_comes_to_the_digests_of_the_table() {
    let line = |((scenario, strategy, seed), digest): (&(String, String, u64), &String)| {
        format!("{scenario} {strategy} {seed} {digest}")
    };
    let found: Vec<String> = in_this_process(TABLED).iter().map(line).collect();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(table(), found.join("\n") + "\n").expect("the table can be written");
    }
    let text = std::fs::read_to_string(table()).expect("the table can be read");
    let expected: BTreeSet<&str> = text.lines().collect();
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    let (gone, new): (Vec<_>, Vec<_>) = (
        expected.difference(&found).collect(),
        found.difference(&expected).collect(),
    );
    assert!(
        expected == found,
        "SEED-BREAKING, unless the scenarios themselves were changed. No longer so: {gone:#?}\nInstead: {new:#?}"
    );
}

#[test]
fn a_fresh_process_comes_to_the_same_digests_with_any_jobs_and_any_log() {
    let expected = in_this_process(seeds());
    for (jobs, log) in [("1", "off"), ("2", "off"), ("2", "trace")] {
        let found = in_a_fresh_process(seeds(), jobs, log);
        assert_eq!(
            found.len(),
            expected.len(),
            "runs with {jobs} jobs and log {log}"
        );
        let differing: Vec<_> = expected
            .iter()
            .filter(|(run, digest)| found.get(run) != Some(digest))
            .collect();
        assert!(
            differing.is_empty(),
            "{jobs} jobs, log {log}: {differing:?}"
        );
    }
    println!("{} runs in four processes: one digest each", expected.len());
}
