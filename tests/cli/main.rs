//! The program as a whole: what it prints, where, and with which number it ends.

mod blame;
mod commands;
mod compare;
mod comparison_parts;
mod ends;
mod first;
mod page;
mod pictures;
mod refusals;
mod reports;
mod running;
mod warnings;

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const FIRST_JOIN: &str = "tests/data/first-join.toml";
const FAILING: &str = "tests/data/too-few-messages.toml";
const SLOW: &str = "tests/data/slow.toml";

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hublab"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
        .env_remove("HUBLAB_LOG")
        .env("COLUMNS", "100")
        .stdin(Stdio::null());
    command
}

/// A finished command.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Ran {
    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.out,
            self.err
        );
        self
    }

    fn json(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line is a JSON object"))
            .collect()
    }

    fn last_line(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }
}

fn hublab(arguments: &[&str]) -> Ran {
    program()
        .args(arguments)
        .output()
        .expect("the program starts")
        .into()
}

/// A directory with files in it.
fn files(contents: &[(&str, &[u8])]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, content) in contents {
        fs::write(directory.path().join(name), content).expect("a temporary file");
    }
    directory
}

/// The names of the files in a directory, in order.
fn names(directory: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<OsString> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    names
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}
