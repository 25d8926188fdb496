//! Estimates are within a factor of two of what runs come to: events, bytes and memory, on shipped and
//! generated scenarios. In a binary of its own, because it starts itself: what a process had at most is
//! the whole process's.
//!
//! `HUBLAB_SEEDS` sets how many generated scenarios are looked at, of each strategy.
#![cfg(target_os = "linux")]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use hublab_sim::catalog::Catalog;
use hublab_sim::generate::{self, generate};
use hublab_sim::run::Simulation;
use hublab_sim::run::estimate::{PROGRAM_BYTES, estimate};
use hublab_sim::scenario::{Scenario, Style, load, render};

/// Set for a process that makes one run and prints what memory it had at most: the file.
const FILE: &str = "HUBLAB_ESTIMATE_FILE";
/// Its strategy.
const STRATEGY: &str = "HUBLAB_ESTIMATE_STRATEGY";
/// The beginning of its line.
const MARK: &str = "peak of the process: ";

/// A name, a file's text, and a strategy of it.
type Case = (String, String, String);

fn shipped() -> Vec<Case> {
    let places = ["../scenarios", "../tests/data/reports"];
    let places = places.map(|place| Path::new(env!("CARGO_MANIFEST_DIR")).join(place));
    let files = load::find(&places).unwrap_or_else(|errors| panic!("{errors:?}"));
    // One that is there to take long.
    let files = files
        .into_iter()
        .filter(|file| !file.ends_with("p12-wall-limit.toml"));
    let cases = files.flat_map(|path| {
        let (name, text) = (
            path.to_string_lossy().into_owned(),
            fs::read_to_string(&path),
        );
        let text = text.expect("a file");
        let strategies = read(&name, &text).run.strategies;
        strategies
            .into_iter()
            .map(move |strategy| (name.clone(), text.clone(), strategy))
    });
    cases.collect()
}

fn generated(seeds: u64) -> Vec<Case> {
    let catalog = Catalog::default();
    let names = catalog.names().into_iter();
    let all = names.flat_map(|strategy| (0..seeds).map(move |seed| (strategy, seed)));
    let case = |(strategy, seed): (&str, u64)| {
        let entry = catalog.get(strategy).expect("a known strategy");
        let mut scenario = generate(seed, entry, &generate::Options::default()).scenario;
        scenario.run.seed = seed;
        let text = render(&scenario, Style::Brief);
        (format!("generated {seed}"), text, strategy.to_owned())
    };
    all.map(case).collect()
}

/// A cluster of so many nodes, on four of which so many children start.
fn large(nodes: usize, children: u64, strategy: &str) -> Case {
    let mut text = format!("schema = 1\n[run]\nduration = '32s'\n[cluster]\nnodes = {nodes}\n");
    for node in 1..=4 {
        text += &format!(
            "[[step]]\nat = '1s'\nstart_children = {{ on = 'n{node}', count = {children}, prefix = 'c{node}' }}\n"
        );
    }
    (format!("{nodes} x {children}"), text, strategy.to_owned())
}

fn read(name: &str, text: &str) -> Scenario {
    Scenario::read(name, text.as_bytes(), &Catalog::default())
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn seeds(default: u64) -> u64 {
    env::var("HUBLAB_SEEDS").map_or(default, |text| text.parse().expect("a number"))
}

fn is_near(told: u64, truth: u64) -> bool {
    told <= truth.saturating_mul(2) && truth <= told.saturating_mul(2)
}

#[test]
fn events_and_bytes_are_within_a_factor_of_two() {
    let catalog = Catalog::default();
    let cases = [shipped(), generated(seeds(40))].concat();
    assert!(cases.len() > 100, "{}", cases.len());
    for (name, text, strategy) in cases {
        let scenario = read(&name, &text);
        let told = estimate(&scenario, &strategy, &catalog);
        let run = Simulation::new(&scenario, &catalog).strategy(&strategy);
        let report = run.and_then(Simulation::run).expect("a known strategy");
        let place = format!("{name} {strategy}: {told:?}, {} events", report.events);
        assert!(is_near(told.events, report.events), "{place}");
        assert!(is_near(told.messages, report.messages.sent), "{place}");
        assert!(is_near(told.bytes, report.messages.bytes), "{place}");
    }
}

#[test]
fn memory_is_within_a_factor_of_two() {
    if let (Ok(file), Ok(strategy)) = (env::var(FILE), env::var(STRATEGY)) {
        return tell_peak(&file, &strategy);
    }
    let catalog = Catalog::default();
    let cases = [
        shipped(),
        generated(seeds(20)),
        vec![
            large(5, 5_000, "pubsub"),
            large(5, 3_000, "gossip"),
            large(200, 10, "pubsub"),
            large(18, 1, "gossip"),
        ],
    ];
    for (name, text, strategy) in cases.concat() {
        let told = estimate(&read(&name, &text), &strategy, &catalog).memory_bytes;
        let peak = peak(&text, &strategy);
        assert!(peak > PROGRAM_BYTES / 2, "{name} {strategy}: {peak}");
        assert!(
            is_near(told, peak),
            "{name} {strategy}: told {told}, had {peak}"
        );
    }
}

/// The peak memory of a process that makes this run alone, in bytes.
fn peak(text: &str, strategy: &str) -> u64 {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("it.toml");
    fs::write(&file, text).expect("a file");
    let program = env::current_exe().expect("it has a path");
    let output = Command::new(program)
        .args(["--exact", "memory_is_within_a_factor_of_two", "--nocapture"])
        .env(FILE, &file)
        .env(STRATEGY, strategy)
        .output()
        .expect("it starts again");
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find_map(|line| line.split_once(MARK));
    let (_, bytes) = line.unwrap_or_else(|| panic!("{output:?}"));
    bytes.trim().parse().expect("a number")
}

#[expect(
    clippy::print_stdout,
    reason = "the process that started this one reads it"
)]
fn tell_peak(file: &str, strategy: &str) {
    let catalog = Catalog::default();
    let scenario = read(file, &fs::read_to_string(file).expect("a file"));
    let run = Simulation::new(&scenario, &catalog).strategy(strategy);
    run.and_then(Simulation::run).expect("a known strategy");
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|peak| peak.split_whitespace().next());
    let kilobytes: u64 = kilobytes.expect("a number").parse().expect("a number");
    println!("{MARK}{}", kilobytes * 1_024);
}
