//! Runs the golden vectors of `tests/conformance`, or of the directory named by
//! `HUBLAB_CONFORMANCE_DIR`, against the ports, and says which fail. Those of another profile than the
//! default are in a folder of its name.

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

use hublab_strategies::Profile;

/// The name of each vector of a file, and why it failed if it did.
type Outcomes = Vec<(String, Result<(), String>)>;

/// Runs the vectors of one file, given its text, under a profile.
type Runner = fn(&str, Profile) -> Result<Outcomes, String>;

/// The profiles, the default first: its vectors may lie beside the folders of the others.
const PROFILES: [Profile; 3] = [Profile::V05E2, Profile::V041, Profile::V05E1];

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
    let folders = PROFILES.map(|profile| (profile.as_str(), profile));
    for (folder, profile) in [("", Profile::default())].into_iter().chain(folders) {
        for (file, runner) in FILES {
            let path = directory.join(folder).join(file);
            if !path.exists() {
                continue;
            }
            found += 1;
            let name = if folder.is_empty() {
                file.to_owned()
            } else {
                format!("{folder}/{file}")
            };
            let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
            match text.and_then(|text| runner(&text, profile)) {
                Ok(outcomes) => clean &= report(&name, &outcomes),
                Err(reason) => {
                    println!("{name}: cannot be read: {reason}");
                    clean = false;
                }
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

/// Prints the summary of a file. Returns whether nothing failed.
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
