//! A program with strategies of its own, made with one call of the facade: it has every command,
//! and strategies that misbehave are told of instead of spoiling the run.
//!
//! This test is that program: started with arguments of the command line it is it, otherwise it
//! starts itself and looks at what happens. Hence no test harness.

#![expect(clippy::print_stdout, reason = "the output of a test without harness")]

use std::env;
use std::fs;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use hublab::Catalog;
use hublab::strategies::Context;
use hublab::strategies::pubsub::PubSubMessage;

#[allow(dead_code, reason = "each test uses some of the faults")]
mod faults;

use faults::{Endless, Fault, Moody, Nervous, Stillborn, Unruly};

/// Never returns in the fresh process of `--twice`.
struct Shy;

impl Fault for Shy {
    const NAME: &'static str = "shy";

    fn strike(cx: &mut Context<'_, PubSubMessage>) {
        if env::args().nth(1).is_some_and(|first| first == "__capsule") {
            Endless::strike(cx);
        }
    }
}

fn main() -> ExitCode {
    if env::args()
        .nth(1)
        .is_some_and(|first| ["run", "list", "__capsule"].contains(&first.as_str()))
    {
        let catalog = Catalog::default();
        return hublab::cli::main(
            catalog
                .with::<Unruly<Moody>>()
                .with::<Unruly<Nervous>>()
                .with::<Unruly<Shy>>()
                .with::<Unruly<Stillborn>>()
                .with::<Unruly<Endless>>(),
        );
    }
    a_strategy_of_ones_own_is_listed_and_runs();
    a_difference_between_processes_is_found_and_its_event_is_named();
    a_panic_is_a_verdict_and_stays_quiet();
    a_step_that_never_returns_is_given_up();
    a_bug_is_told_and_its_number_wins_over_all_others();
    a_fresh_process_ends_with_the_one_that_started_it();
    println!("test result: ok. 6 passed; 0 failed");
    ExitCode::SUCCESS
}

/// Runs this program with the arguments of a command line.
fn hublab(arguments: &[&str]) -> (Option<i32>, String, String) {
    let program = env::current_exe().expect("a program knows its file");
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

const FILE: &str = "tests/data/first-join.toml";

fn a_strategy_of_ones_own_is_listed_and_runs() {
    let (code, out, err) = hublab(&["list", "strategies"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("moody"), "{out}");
    let (code, out, err) = hublab(&["run", FILE, "--strategy", "moody"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

fn a_difference_between_processes_is_found_and_its_event_is_named() {
    let (code, out, err) = hublab(&["run", FILE, "--strategy", "moody", "--twice"]);
    assert_eq!(code, Some(4), "{out}{err}");
    assert!(
        out.contains("not deterministic: in a fresh process, first difference at event "),
        "{out}"
    );
    assert!(out.contains("timer"), "{out}");
    let command = format!("hublab run {FILE} --strategy moody --seed 1 --twice");
    assert_eq!(out.lines().last(), Some(command.as_str()));
}

fn a_panic_is_a_verdict_and_stays_quiet() {
    let (code, out, err) = hublab(&[
        "run",
        FILE,
        "--strategy",
        "nervous",
        "--strategy",
        "pubsub",
        "--format",
        "json",
    ]);
    assert_eq!(code, Some(1), "{out}{err}");
    let (nervous, pubsub) = out.split_once('\n').expect("two runs");
    assert!(nervous.contains("\"oracle\":\"no_crash\""), "{nervous}");
    assert!(nervous.contains("out of nerve"), "{nervous}");
    assert!(pubsub.contains("\"verdict\":\"pass\""), "{pubsub}");
    assert_eq!(
        err,
        format!("hublab run {FILE} --strategy nervous --seed 1\n"),
        "only the command to repeat it"
    );
}

fn a_step_that_never_returns_is_given_up() {
    let (code, out, err) = hublab(&[
        "run",
        FILE,
        "--strategy",
        "endless",
        "--wall-limit",
        "300ms",
    ]);
    assert_eq!(code, Some(3), "{out}{err}");
    assert!(
        out.starts_with("INCONCLUSIVE  first-join  endless"),
        "{out}"
    );
    assert!(out.contains("no digest"), "{out}");
}

fn a_bug_is_told_and_its_number_wins_over_all_others() {
    let strategies = ["stillborn", "nervous", "pubsub"];
    let mut arguments = vec!["run", FILE, "--format", "csv"];
    arguments.extend(strategies.iter().flat_map(|name| ["--strategy", name]));
    let (code, out, err) = hublab(&arguments);
    assert_eq!(code, Some(70), "{out}{err}");
    assert!(
        err.contains("this is a bug in hublab: never began (tests/faults/mod.rs:"),
        "{err}"
    );
    assert_eq!(
        out.lines().count(),
        3,
        "the others are run all the same: {out}"
    );
    let command = format!("hublab run {FILE} --strategy stillborn --seed 1");
    assert_eq!(err.lines().last(), Some(command.as_str()));
}

fn a_fresh_process_ends_with_the_one_that_started_it() {
    let out = tempfile::tempdir().expect("a temporary directory");
    let out = out.path().to_str().expect("temporary paths are UTF-8");
    let arguments = [
        "run",
        FILE,
        "--strategy",
        "shy",
        "--twice",
        "--wall-limit",
        "300ms",
        "--out",
        out,
    ];
    let (code, text, err) = hublab(&arguments);
    assert_eq!(code, Some(3), "{text}{err}");
    // The arguments of every process, this one left out: it does not name the directory.
    let is_left = || {
        let processes = fs::read_dir("/proc")
            .expect("processes are listed")
            .flatten();
        let mut commands =
            processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        commands.any(|command| String::from_utf8_lossy(&command).contains(out))
    };
    let begun = Instant::now();
    while is_left() {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "the fresh process goes on"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
