//! `--twice`: whether a run is the same again, in this process after another run, and in a fresh
//! one.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::thread;

use hublab_sim::capsule::diff::{AROUND, diff};
use hublab_sim::capsule::twice::check_again;
use hublab_sim::capsule::{
    Capsule as Recorded, CapsuleError, FileRecording, Header, Limits, ReplayError,
};
use hublab_sim::run::Simulation;

use super::args::Capsule;
use super::exit::ExitStatus;
use super::files;
use super::plan::{Plan, Task};
use super::{Context, Stop};

/// Why a run was not compared with two more of the same.
#[derive(Debug, thiserror::Error)]
pub(super) enum TwiceError {
    /// A capsule cannot be read.
    #[error(transparent)]
    Capsule(#[from] CapsuleError),
    /// The run cannot be made again.
    #[error(transparent)]
    Again(#[from] ReplayError),
    /// A capsule cannot be removed.
    #[error(transparent)]
    File(io::Error),
    /// The fresh process made no capsule.
    #[error(transparent)]
    Elsewhere(#[from] ElsewhereError),
}

/// Why a fresh process made no capsule.
#[derive(Debug, thiserror::Error)]
pub(super) enum ElsewhereError {
    /// It cannot be started.
    #[error("no fresh process: {0}")]
    Start(#[from] io::Error),
    /// It failed.
    #[error("the fresh process failed ({status}): {said}")]
    Failed {
        /// Its exit status.
        status: process::ExitStatus,
        /// Its standard error.
        said: String,
    },
}

/// Compares a recorded run with two more of the same; `first` is its capsule.
///
/// # Errors
/// A comparison could not be made.
pub(super) fn check(
    plan: &Plan,
    task: Task,
    first: &Path,
    limits: Limits,
    context: &Context,
) -> Result<Option<String>, TwiceError> {
    let open = || Recorded::open(first, limits);
    let scenario = &plan.source(plan.group(task)).scenario;
    if let Some(divergence) = check_again(open()?, scenario, &context.catalog)? {
        return Ok(Some(format!(
            "after another run in the same process, {divergence}"
        )));
    }
    let second = first.with_extension("second");
    start_elsewhere(plan.arguments_of_capsule(task, &second))?;
    let fresh = Recorded::open(&second, limits)?;
    let compared = diff(open()?, fresh, AROUND)?;
    fs::remove_file(&second).map_err(TwiceError::File)?;
    Ok(compared
        .divergence
        .map(|divergence| format!("in a fresh process, {divergence}")))
}

/// Runs a scenario file in a fresh process of this very program, which writes the capsule.
///
/// # Errors
/// The process cannot be started, or fails.
pub(super) fn capsule_elsewhere(
    file: &Path,
    strategy: &str,
    seed: u64,
    capsule: &Path,
) -> Result<(), ElsewhereError> {
    let seed = seed.to_string();
    let words = [
        "__capsule",
        "--strategy",
        strategy,
        "--seed",
        &seed,
        "--capsule",
    ];
    let mut arguments: Vec<OsString> = words.map(Into::into).into();
    arguments.extend([capsule.into(), "--".into(), file.into()]);
    start_elsewhere(arguments)
}

fn start_elsewhere(arguments: Vec<OsString>) -> Result<(), ElsewhereError> {
    let program = env::current_exe()?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    // Held while this process lives: when it ends early, so does the other.
    let leash = child.stdin.take();
    let ended = child.wait_with_output()?;
    drop(leash);
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    Err(ElsewhereError::Failed {
        status: ended.status,
        said: said.trim().to_owned(),
    })
}

/// `hublab __capsule`: what the fresh process does.
pub(super) fn capsule(args: &Capsule, context: &Context) -> Result<ExitStatus, Stop> {
    end_with_parent()?;
    let usage = |error: &dyn std::fmt::Display| Stop::Usage(error.to_string());
    let scenario = files::read_one(&args.file, &args.overrides, context)?;
    let header = Header::new(&scenario, &args.strategy, args.seed, &context.catalog);
    let recording = FileRecording::create(&args.capsule, &header, Limits::BIG)
        .map_err(|error| usage(&error))?;
    let mut report = Simulation::new(&scenario, &context.catalog)
        .strategy(&args.strategy)
        .map_err(|error| usage(&error))?
        .seed(args.seed)
        .sinks([recording.sink()])
        .run()
        .map_err(|error| usage(&error))?;
    // The same capsule each time.
    report.wall_us = 0;
    recording.finish(&report).map_err(|error| usage(&error))?;
    Ok(ExitStatus::Held)
}

/// Ends this process when the one that started it has gone, which closes standard input.
fn end_with_parent() -> Result<(), Stop> {
    let wait = || {
        drop(io::copy(&mut io::stdin(), &mut io::sink()));
        process::exit(i32::from(ExitStatus::Interrupted.code()));
    };
    let spawned = thread::Builder::new()
        .name("hublab-leash".to_owned())
        .spawn(wait);
    spawned
        .map(drop)
        .map_err(|error| Stop::Usage(format!("the system grants no thread: {error}")))
}
