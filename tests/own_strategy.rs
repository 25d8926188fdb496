//! A strategy of one's own: the example in this package, and the template from outside of it, are
//! built and run as their readers would.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const EXAMPLE: &str = "examples/custom_strategy.rs";

/// cargo in a directory, with the profile and the target directory of this test: what others
/// wrote is built once for all.
fn cargo(directory: &Path, command: &str) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let target = Path::new(env!("CARGO_BIN_EXE_hublab")).ancestors().nth(2);
    let mut cargo = Command::new(program);
    cargo
        .current_dir(directory)
        .env("CARGO_TARGET_DIR", target.expect("target/PROFILE/hublab"))
        .env_remove("HUBLAB_LOG")
        .stdin(Stdio::null())
        .args([command, "--quiet"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo
}

fn example() -> Command {
    let mut example = cargo(Path::new(ROOT), "run");
    example.args(["--locked", "--example", "custom_strategy", "--"]);
    example
}

/// What a command that must succeed prints.
#[track_caller]
fn output_of(command: &mut Command) -> String {
    let output = command.output().expect("cargo can be started");
    let (out, err) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    let out = String::from_utf8_lossy(out).into_owned();
    let status = output.status;
    assert!(
        status.success(),
        "{command:?} ended with {status}\n{out}\n{err}"
    );
    out
}

#[track_caller]
fn assert_passes(report: &str, strategy: &str) {
    let report: Value = serde_json::from_str(report).expect("a report is JSON");
    assert_eq!(report["strategy"], strategy);
    assert_eq!(report["verdict"], "pass", "{report:#}");
    let judged = report["expectations"].as_array().map_or(0, Vec::len);
    assert!(judged >= 3, "the scenario has something to judge");
}

/// The files below a directory, but for what was built or written there.
fn files(directory: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let mut below = vec![directory.to_owned()];
    while let Some(current) = below.pop() {
        for entry in fs::read_dir(current).expect("a directory") {
            let path = entry.expect("an entry").path();
            let is_output = ["target", "hublab-out"]
                .iter()
                .any(|name| path.ends_with(name));
            if path.is_dir() && !is_output {
                below.push(path);
            } else if path.is_file() {
                files.insert(
                    path.strip_prefix(directory)
                        .expect("it is below")
                        .to_owned(),
                );
            }
        }
    }
    files
}

#[test]
fn the_example_has_fewer_than_150_lines() {
    let lines = fs::read_to_string(Path::new(ROOT).join(EXAMPLE))
        .unwrap()
        .lines()
        .count();
    assert!(lines < 150, "{EXAMPLE} has {lines} lines");
}

#[test]
fn the_example_runs_its_strategy_through_the_library_and_from_the_command_line() {
    assert_passes(&output_of(&mut example()), "latest");

    let run = ["run", "scenarios/crash.toml", "--strategy", "latest"];
    let json = output_of(example().args(run).args(["--format", "json"]));
    assert_passes(&json, "latest");

    let list = output_of(example().args(["list", "strategies"]));
    for strategy in ["gossip", "latest", "pubsub"] {
        assert!(list.contains(strategy), "{list}");
    }
}

#[test]
fn a_crate_made_from_the_template_builds_tests_and_runs_its_strategy_outside_of_this_repository() {
    let elsewhere = tempfile::tempdir().unwrap();
    let template = &elsewhere.path().join("copy");
    let mut init = Command::new(env!("CARGO_BIN_EXE_hublab"));
    init.args(["init", "--strategy", "last-writer", "--path", ROOT])
        .arg(template);
    let told = output_of(&mut init);
    assert!(told.contains("the crate `last-writer`"), "{told}");
    assert_eq!(files(template), files(&Path::new(ROOT).join("template")));

    let tests = output_of(cargo(template, "test").arg("--locked"));
    assert!(tests.contains("2 passed"), "{tests}");

    let run = ["run", "scenarios/one.toml", "--strategy", "last_writer"];
    let run = [&run[..], &["--format", "json"]].concat();
    let json = output_of(cargo(template, "run").arg("--").args(run));
    assert_passes(&json, "last_writer");
    for (what, name) in [
        ("oracles", "no_empty_pid"),
        ("metrics", "bytes_per_message"),
    ] {
        let list = output_of(cargo(template, "run").args(["--", "list", what]));
        assert!(list.contains(name), "{list}");
        let schema = output_of(cargo(template, "run").args(["--", "schema"]));
        assert!(schema.contains(name), "{name}");
    }
    let csv = [
        "run",
        "scenarios/one.toml",
        "--strategy",
        "last_writer",
        "--format",
        "csv",
    ];
    let csv = output_of(cargo(template, "run").arg("--").args(csv));
    let heads = csv.lines().next().unwrap_or_default();
    assert!(heads.contains(",reason,bytes_per_message,"), "{heads}");
    let fuzz = [
        "fuzz",
        "--strategy",
        "last_writer",
        "--seeds",
        "0..2",
        "--oracles",
        "no_empty_pid",
    ];
    let fuzz = output_of(cargo(template, "run").arg("--").args(fuzz));
    assert!(fuzz.contains("oracles no_empty_pid"), "{fuzz}");

    let compare = [
        "compare",
        "scenarios/one.toml",
        "--strategy",
        "pubsub",
        "--strategy",
        "last_writer",
        "--seeds",
        "0..3",
        "--endpoint",
        "bytes_per_message",
        "--out",
        "compared",
    ];
    let compared = output_of(cargo(template, "run").arg("--").args(compare));
    assert!(
        compared.contains("\nbytes_per_message (bytes)"),
        "{compared}"
    );
    fs::rename(template.join("compared"), template.join("moved")).unwrap();
    let reproduce = ["--", "reproduce", "moved"];
    let reproduced = output_of(cargo(template, "run").args(reproduce));
    assert!(
        reproduced.contains("6 runs made again: every digest"),
        "{reproduced}"
    );
}
