//! A directory for campaigns, and the program that makes them.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Sizes grow by this.
pub(crate) fn scale() -> u64 {
    let asked = env::var("HUBLAB_SEEDS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// A directory that goes when the test is over.
pub(crate) struct Place(tempfile::TempDir);

/// What a command came to.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &str) -> Command {
        let program = env::current_exe().expect("a program knows its file");
        let mut command = Command::new(program);
        for (name, _) in env::vars() {
            if name.starts_with("SLURM_") || name.starts_with("JOB_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the program in this directory.
    pub(crate) fn start(&self, arguments: &str) -> Child {
        self.command(arguments).spawn().expect("the program starts")
    }

    /// Runs it.
    pub(crate) fn run(&self, arguments: &str) -> Done {
        let output = self
            .command(arguments)
            .output()
            .expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Done {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Runs it, and what it prints, if it ends as expected.
    #[track_caller]
    pub(crate) fn expect(&self, arguments: &str, code: i32) -> String {
        let Done {
            code: ended,
            out,
            err,
        } = self.run(arguments);
        assert_eq!(ended, Some(code), "{arguments}\n{out}\n{err}");
        out + &err
    }

    /// The lines of a campaign's results.
    pub(crate) fn lines(&self, campaign: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(campaign).join("results.ndjson"));
        let text = text.unwrap_or_default();
        assert!(
            text.is_empty() || text.ends_with('\n'),
            "the last line is whole"
        );
        text.lines().map(str::to_owned).collect()
    }

    /// The records of a campaign by strategy and seed, without what differs from time to time.
    pub(crate) fn records(&self, campaign: &str) -> BTreeMap<(String, u64), Value> {
        let mut records = BTreeMap::new();
        for line in self.lines(campaign) {
            let mut record: Value = serde_json::from_str(&line).expect("a line is JSON");
            record["wall_us"] = Value::Null;
            let strategy = record["strategy"].as_str().expect("a name").to_owned();
            let seed = record["seed"].as_u64().expect("a number");
            let before = records.insert((strategy, seed), record);
            assert!(before.is_none(), "no run is there twice");
        }
        records
    }
}
