//! `hublab explain --generated`: the scenario that a campaign makes of a seed, as a file.

use std::fs;
use std::process::{Command, Output};

use hublab_sim::catalog::Catalog;
use hublab_sim::generate::{Options, generate};
use hublab_sim::run::Simulation;

fn hublab(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hublab"));
    command
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn printed(arguments: &[&str]) -> String {
    let output = hublab(arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_file_of_a_seed_passes_check_and_runs_to_the_digest_of_a_campaign() {
    let catalog = Catalog::default();
    let directory = tempfile::tempdir().expect("a temporary directory");
    for seed in ["0", "7", "11", "123456789"] {
        let path = directory.path().join(format!("{seed}.toml"));
        let path = path.to_str().expect("a path of letters");
        fs::write(path, printed(&["explain", "--generated", "--seed", seed])).expect("written");
        printed(&["check", path]);
        for strategy in catalog.default_names() {
            let line = printed(&["run", path, "--strategy", strategy, "--format", "json"]);
            let line: serde_json::Value = serde_json::from_str(&line).expect("one object");
            let (entry, seed) = (
                catalog.get(strategy).expect("it is listed"),
                seed.parse().expect("a number"),
            );
            let generated = generate(seed, entry, &Options::default());
            let ran = Simulation::new(&generated.scenario, &catalog)
                .strategy(strategy)
                .and_then(|run| run.seed(seed).run());
            let digest = ran.expect("it runs").digest;
            assert_eq!(
                line["digest"].as_str(),
                digest.as_deref(),
                "seed {seed}, {strategy}"
            );
        }
    }
}

#[test]
fn the_file_depends_on_the_arguments_alone() {
    let plain = printed(&["explain", "--generated", "--seed", "5"]);
    let output = Command::new(env!("CARGO_BIN_EXE_hublab"))
        .args(["explain", "--generated", "--seed", "5"])
        .envs([
            ("PROPTEST_RNG_SEED", "9"),
            ("PROPTEST_MAX_LOCAL_REJECTS", "1"),
            ("PROPTEST_CASES", "0"),
        ])
        .output()
        .expect("the program starts");
    assert_eq!(String::from_utf8(output.stdout).expect("text"), plain);
    let one = printed(&[
        "explain",
        "--generated",
        "--seed",
        "5",
        "--strategy",
        "pubsub",
        "--strategy",
        "pubsub",
    ]);
    assert!(one.contains("strategies = [\"pubsub\"]"), "{one}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for arguments in [
        &["explain", "--generated"][..],
        &["explain"],
        &["explain", "--generated", "--seed", "1", "some.toml"],
        &[
            "explain",
            "--generated",
            "--seed",
            "1",
            "--set",
            "network.loss=0.5",
        ],
        &[
            "explain",
            "--generated",
            "--seed",
            "1",
            "--without",
            "lightning",
        ],
    ] {
        assert_eq!(hublab(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
