//! Tells the simulator which commit it is built from, so that capsules can say so.
//!
//! Outside its own repository it says nothing. The commit never reaches a trace.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src");
    let root = Path::new("..");
    if !root.join(".git").exists() {
        return;
    }
    // A debug build is not made anew for every commit: it names the one its sources changed after.
    let log = root.join(".git/logs/HEAD");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") && log.exists() {
        println!("cargo::rerun-if-changed={}", log.display());
    }
    let describe = [
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
        "--exclude=*",
    ];
    // Only looks: takes no lock that somebody at work in the repository could meet.
    let output = Command::new("git")
        .args(describe)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .current_dir(root)
        .output();
    if let Ok(output) = output
        && output.status.success()
        && let Ok(commit) = String::from_utf8(output.stdout)
    {
        println!("cargo::rustc-env=HUBLAB_COMMIT={}", commit.trim());
    }
}
