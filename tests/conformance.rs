//! Runs the golden vectors of `tests/conformance`, or of the directory named by
//! `HUBLAB_CONFORMANCE_DIR`, against the ports, and says which fail.

#![expect(clippy::print_stdout, reason = "what it prints is the result")]

#[path = "conformance/forms.rs"]
mod forms;
#[path = "conformance/gossip_steps.rs"]
mod gossip_steps;
#[path = "conformance/multi_node/mod.rs"]
mod multi_node;
#[path = "conformance/single_node.rs"]
mod single_node;

use std::path::PathBuf;
use std::process::ExitCode;

/// What became of each vector of a file: its name, and why it failed.
type Outcomes = Vec<(String, Result<(), String>)>;

/// Runs the vectors of one file, given its text.
type Runner = fn(&str) -> Result<Outcomes, String>;

/// The files that are run if they are there, each with its runner.
const FILES: [(&str, Runner); 3] = [
    ("single_node.json", single_node::run),
    ("gossip_steps.json", gossip_steps::run),
    ("multi_node.json", multi_node::run),
];

fn main() -> ExitCode {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let directory = std::env::var_os("HUBLAB_CONFORMANCE_DIR").map_or_else(default, PathBuf::from);
    let mut clean = true;
    let mut found = 0;
    for (name, runner) in FILES {
        let path = directory.join(name);
        if !path.exists() {
            continue;
        }
        found += 1;
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        match text.and_then(|text| runner(&text)) {
            Ok(outcomes) => clean &= report(name, &outcomes),
            Err(reason) => {
                println!("{name}: cannot be read: {reason}");
                clean = false;
            }
        }
    }
    if found == 0 {
        println!("no vectors in {}", directory.display());
    }
    if clean && found > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints the summary of a file; answers whether nothing failed.
fn report(name: &str, outcomes: &Outcomes) -> bool {
    let failed: Vec<_> = outcomes
        .iter()
        .filter_map(|(vector, outcome)| Some((vector, outcome.as_ref().err()?)))
        .collect();
    println!(
        "{name}: {} vectors passed, {} failed",
        outcomes.len() - failed.len(),
        failed.len()
    );
    for (vector, reason) in &failed {
        println!("  {vector}: {reason}");
    }
    failed.is_empty()
}
