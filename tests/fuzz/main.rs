//! Campaigns as people start them, with strategies that misbehave.
//!
//! This test is the program that it tests, with strategies of its own: started with arguments of
//! the command line it is it, otherwise it starts itself. Hence no test harness. `HUBLAB_SEEDS`
//! scales the sizes; default 1, which takes seconds.

#![expect(clippy::print_stdout, reason = "the output of a test without harness")]

mod baseline;
mod compared;
#[allow(dead_code, reason = "each test uses some of the faults")]
#[path = "../faults/mod.rs"]
mod faults;
mod library;
mod place;
mod robust;
mod same;

use std::env;
use std::process::ExitCode;

use hublab::Catalog;

use faults::{Aging, Chatty, Deep, Endless, Forgetful, Greedy, Nervous, Stillborn, Unruly, Weary};

/// The ports, and strategies that misbehave.
fn catalog() -> Catalog {
    Catalog::default()
        .with::<Unruly<Aging>>()
        .with::<Unruly<Chatty>>()
        .with::<Unruly<Deep>>()
        .with::<Unruly<Endless>>()
        .with::<Unruly<Forgetful>>()
        .with::<Unruly<Greedy>>()
        .with::<Unruly<Nervous>>()
        .with::<Unruly<Stillborn>>()
        .with::<Unruly<Weary>>()
}

fn main() -> ExitCode {
    const COMMANDS: [&str; 7] = [
        "compare",
        "fuzz",
        "run",
        "merge",
        "corpus",
        "__worker",
        "__capsule",
    ];
    let command = env::args().nth(1);
    if command.is_some_and(|first| COMMANDS.contains(&first.as_str())) {
        return hublab::cli::main(catalog());
    }
    let filter = env::args().nth(1).filter(|first| !first.starts_with('-'));
    let wanted = |name: &str| {
        filter
            .as_ref()
            .is_none_or(|word| name.contains(word.as_str()))
    };
    let tests = same::TESTS.iter().chain(robust::TESTS);
    let tests = tests.chain(baseline::TESTS).chain(library::TESTS);
    let tests = tests.chain(compared::TESTS);
    let mut passed = 0;
    for (name, test) in tests.filter(|(name, _)| wanted(name)) {
        println!("test {name}");
        test();
        passed += 1;
    }
    println!("test result: ok. {passed} passed; 0 failed");
    ExitCode::SUCCESS
}
