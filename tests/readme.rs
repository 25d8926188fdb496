//! The README tells the truth: its commands run, its transcript is what a run prints, its scenario
//! is a good one. Its Rust code is compiled by the documentation tests of the library.
//!
//! `UPDATE_EXPECT=1` writes the transcripts anew.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn readme() -> String {
    page("README.md")
}

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).expect("the page is there")
}

/// The blocks of a language, without their fences.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let begins = format!("```{language}\n");
    let parts = text.split(&begins).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap_or_default())
        .collect()
}

/// A place from which the commands see the scenarios, and may leave files.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    let scenarios = Path::new(ROOT).join("scenarios");
    std::os::unix::fs::symlink(scenarios, place.path().join("scenarios"))
        .expect("links can be made");
    place
}

/// Runs one command line; those of cargo with the program that is already built.
fn run(line: &str, place: &Path) -> Output {
    let arguments = ["cargo run --release -- ", "hublab "]
        .iter()
        .find_map(|prefix| line.strip_prefix(prefix));
    let arguments =
        arguments.unwrap_or_else(|| panic!("the test does not know how to run `{line}`"));
    Command::new(env!("CARGO_BIN_EXE_hublab"))
        .args(arguments.split_whitespace())
        .current_dir(place)
        .env("COLUMNS", "100")
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

#[test]
fn every_command_runs_in_the_order_of_the_text() {
    let (text, place) = (readme(), place());
    let lines: Vec<&str> = blocks(&text, "sh")
        .iter()
        .flat_map(|block| block.lines())
        .collect();
    assert!(lines.contains(&"cargo run --release -- run scenarios"));
    assert!(
        lines.contains(&"cargo test"),
        "the command that runs this very test"
    );
    for line in lines.into_iter().filter(|line| *line != "cargo test") {
        let output = run(line, place.path());
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "`{line}` ended with {}: {err}",
            output.status
        );
        assert!(!output.stdout.is_empty(), "`{line}` printed nothing");
    }
}

#[test]
fn the_transcripts_are_what_the_commands_print() {
    for name in ["README.md", "docs/explaining.md"] {
        transcripts(name);
    }
}

fn transcripts(name: &str) {
    let (text, place) = (page(name), place());
    let shown = blocks(&text, "console");
    assert!(!shown.is_empty());
    let mut new = text.clone();
    for block in shown {
        let (command, transcript) = block.split_once('\n').unwrap_or((block, ""));
        let line = command
            .strip_prefix("$ ")
            .expect("a transcript begins with `$ ` and the command");
        let output = run(line, place.path());
        let printed = String::from_utf8(output.stdout).expect("the program writes UTF-8");
        if without_wall_time(transcript) != without_wall_time(&printed) {
            new = new.replacen(block, &format!("{command}\n{printed}"), 1);
        }
    }
    if new != text && std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(Path::new(ROOT).join(name), &new).expect("the page can be written");
    } else {
        assert_eq!(
            new, text,
            "{name}: UPDATE_EXPECT=1 writes the transcripts anew"
        );
    }
}

/// The text without what differs from run to run: `48s of virtual time in 1.93 ms`, `per second and core
/// 273 runs`.
fn without_wall_time(text: &str) -> String {
    let line = |line: &str| {
        let timeless = [" of virtual time in ", " per second and core "]
            .iter()
            .fold(line, |line, time| {
                line.split(time).next().unwrap_or_default()
            });
        timeless.to_owned()
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_scenario_is_good_and_passes_with_both_strategies() {
    let (text, place) = (readme(), place());
    let scenarios = blocks(&text, "toml");
    assert!(!scenarios.is_empty());
    for scenario in scenarios {
        fs::write(place.path().join("readme.toml"), scenario).expect("a temporary file");
        let output = run("hublab run readme.toml", place.path());
        let text = String::from_utf8_lossy(&output.stdout);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}{err}");
    }
}

#[test]
fn every_file_it_points_to_exists() {
    let text = readme();
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|part| part.split(')').next());
    for target in targets.filter(|target| !target.starts_with("http")) {
        assert!(Path::new(ROOT).join(target).exists(), "{target}");
    }
}

#[test]
fn the_picture_is_what_its_command_draws() {
    let text = readme();
    let commands: Vec<&str> = blocks(&text, "sh")
        .iter()
        .flat_map(|block| block.lines())
        .filter(|line| line.ends_with("--format svg"))
        .collect();
    let [command] = commands[..] else {
        panic!("one command draws: {commands:?}");
    };
    let drawn = run(command, place().path());
    let drawn = String::from_utf8(drawn.stdout).unwrap();
    expect_test::expect_file![concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/pictures/one-way-cut.svg"
    )]
    .assert_eq(&drawn);
}
