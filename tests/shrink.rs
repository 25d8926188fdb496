//! `hublab shrink`: from a capsule to a small scenario file, and back to a run that fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A run that violates an oracle that the file holds it to, in the midst of other things.
const NOISY: &str = r#"
schema = 1
name = "noisy"
[run]
duration = "40s"
seed = 11
strategies = ["pubsub"]
[cluster]
nodes = 5
[network]
latency = { constant = "5ms" }
[[step]]
at = "2s"
start_children = { on = "n4", ids = ["noise", "hum"] }
[[step]]
at = "3s"
start_children = { on = "n2", ids = ["a"] }
[[step]]
at = "5s..6s"
restart_child = { on = "n4", id = "hum" }
[[step]]
at = "11s"
link = { from = ["n2"], to = ["n1"], latency = { constant = "3s" } }
[[step]]
at = "11s"
sync = { on = "n2" }
[[step]]
at = "12s"
heal = true
[[step]]
at = "12s"
leave = { nodes = ["n2"] }
[[step]]
at = "20s"
pause = { nodes = ["n5"] }
[[expect]]
always = "membership_containment"
[[expect]]
always = "own_truth"
"#;

/// A directory of its own, gone with this.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn hublab(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_hublab"))
            .current_dir(self.path())
            .args(arguments)
            .output()
            .expect("the program starts")
    }

    /// Runs a scenario and gives its capsule.
    fn capsule(&self, text: &str) -> PathBuf {
        fs::write(self.path().join("noisy.toml"), text).expect("a file");
        self.hublab(&["run", "noisy.toml", "--out", "out"]);
        let mut files = fs::read_dir(self.path().join("out")).expect("capsules");
        files.next().expect("a capsule").expect("a file").path()
    }
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

#[test]
fn a_capsule_shrinks_to_a_file_that_fails_when_it_is_run() {
    let desk = Desk::new();
    let capsule = desk.capsule(NOISY);
    let capsule = capsule.to_str().expect("a plain path");
    let printed = desk.hublab(&["shrink", capsule]);
    assert_eq!(code(&printed), Some(0), "{}", words(&printed.stderr));
    let file = words(&printed.stdout);
    assert!(
        file.starts_with("# A5, rows of departed nodes: pubsub membership_containment ghost"),
        "{file}"
    );
    assert!(file.contains("Found with seed 11"), "{file}");
    assert!(file.contains("# hublab run FILE\n"), "{file}");
    assert!(file.matches("[[step]]").count() <= 5, "{file}");
    assert!(!file.contains("noise"), "{file}");
    fs::write(desk.path().join("small.toml"), &file).expect("a file");
    assert_eq!(code(&desk.hublab(&["check", "small.toml"])), Some(0));
    let run = desk.hublab(&["run", "small.toml"]);
    assert_eq!(code(&run), Some(1), "{}", words(&run.stdout));
}

#[test]
fn the_file_can_be_written_and_is_the_same_each_time() {
    let desk = Desk::new();
    let capsule = desk.capsule(NOISY);
    let capsule = capsule.to_str().expect("a plain path");
    let written = ["one.toml", "two.toml"].map(|name| {
        let output = desk.hublab(&["shrink", capsule, "--out", name]);
        assert_eq!(code(&output), Some(0), "{}", words(&output.stderr));
        let said = words(&output.stdout);
        assert!(said.contains("from 8 steps and 5 nodes to "), "{said}");
        assert_eq!(
            said.lines().last(),
            Some(format!("hublab run {name}").as_str())
        );
        fs::read_to_string(desk.path().join(name)).expect("the file")
    });
    assert!(written[0].contains("# hublab run one.toml\n"));
    assert_eq!(written[0].replace("one.toml", "two.toml"), written[1]);
    assert_eq!(code(&desk.hublab(&["run", "one.toml"])), Some(1));
}

#[test]
fn a_run_in_which_nothing_fails_is_refused() {
    let desk = Desk::new();
    let passing = NOISY.replace(
        "always = \"membership_containment\"",
        "violates = \"membership_containment\"",
    );
    let capsule = desk.capsule(&passing);
    let capsule = capsule.to_str().expect("a plain path");
    let refused = desk.hublab(&["shrink", capsule]);
    assert_eq!(code(&refused), Some(2));
    assert!(
        words(&refused.stderr).contains("nothing fails in this run"),
        "{}",
        words(&refused.stderr)
    );
    assert!(refused.stdout.is_empty());
    let kept = desk.hublab(&["shrink", capsule, "--oracle", "own_truth"]);
    assert_eq!(code(&kept), Some(2));
    assert!(
        words(&kept.stderr).contains("does not fail with own_truth"),
        "{}",
        words(&kept.stderr)
    );
    let asked = desk.hublab(&["shrink", capsule, "--oracle", "membership_containment"]);
    assert_eq!(code(&asked), Some(0), "{}", words(&asked.stderr));
    assert!(words(&asked.stdout).contains("always = \"membership_containment\""));
}

#[test]
fn wrong_names_and_wrong_files_are_usage_errors() {
    let desk = Desk::new();
    let capsule = desk.capsule(NOISY);
    let capsule = capsule.to_str().expect("a plain path");
    let unknown = desk.hublab(&["shrink", capsule, "--oracle", "no_such_rule"]);
    assert_eq!(code(&unknown), Some(2));
    assert!(
        words(&unknown.stderr).contains("no_resurrection"),
        "{}",
        words(&unknown.stderr)
    );
    for arguments in [
        &["shrink", "missing.capsule"][..],
        &["shrink", "noisy.toml"],
        &["shrink", capsule, "--budget", "0"],
        &["shrink"],
    ] {
        assert_eq!(code(&desk.hublab(arguments)), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_small_budget_is_kept_and_told_of() {
    let desk = Desk::new();
    let capsule = desk.capsule(NOISY);
    let capsule = capsule.to_str().expect("a plain path");
    let output = desk.hublab(&["shrink", capsule, "--budget", "3", "--out", "three.toml"]);
    assert_eq!(code(&output), Some(0));
    assert!(
        words(&output.stdout).contains("in 3 runs"),
        "{}",
        words(&output.stdout)
    );
    assert!(
        words(&output.stderr).contains("the budget is spent"),
        "{}",
        words(&output.stderr)
    );
    assert_eq!(code(&desk.hublab(&["run", "three.toml"])), Some(1));
}
