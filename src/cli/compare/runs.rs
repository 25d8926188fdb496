//! The runs of a comparison.

use std::sync::Arc;
use std::thread;

use hublab_sim::compare::Outcome;
use hublab_sim::model::Scenario;
use hublab_sim::run::Simulation;
use hublab_strategies::time::{format_duration, micros};

use super::setup::Comparison;
use crate::cli::args::compare::Runs;
use crate::cli::exit::ExitStatus;
use crate::cli::pool::{self, End, Ended, Limits, StopFlag};
use crate::cli::progress::{Meter, Progress};
use crate::cli::render::number::counted;
use crate::cli::{Context, Stop, print_bug};

/// Makes every run that is not `known`, and hands each outcome to `keep`, in order. Returns what is
/// there then: all outcomes from the first, without gaps.
///
/// # Errors
/// A run could not be made, or `keep` failed.
pub(super) fn make(
    comparison: &Comparison,
    known: Vec<Outcome>,
    runs: Runs,
    context: &Context,
    mut keep: impl FnMut(&Outcome) -> Result<(), Stop>,
) -> Result<(End, Vec<Outcome>), Stop> {
    let first = known.len();
    let left = comparison.count() - first;
    let length = |number: usize| micros(comparison.scenario(comparison.task(number)).run.duration);
    let total = (first..comparison.count())
        .map(length)
        .fold(0, u64::saturating_add);
    let progress = Progress::new(&context.output, "run", left as u64, total);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let catalog = Arc::clone(&context.catalog);
    let jobs = (first..comparison.count()).map(|number| {
        let task = comparison.task(number);
        let strategy = comparison.plan.contestants[task.contestant]
            .strategy
            .clone();
        let scenario = Arc::clone(comparison.scenario(task));
        (
            scenario,
            strategy,
            task.seed,
            progress.meter(length(number)),
        )
    });
    let limits = Limits {
        workers: runs.jobs.map_or(cores, usize::from),
        wall: runs.wall_limit,
    };
    let limit = format_duration(runs.wall_limit);
    let too_long = move || format!("it took longer than {limit} of real time (--wall-limit)");
    let told = too_long.clone();
    let work = move |job: (Arc<Scenario>, String, u64, Meter), stop: StopFlag| {
        let (scenario, strategy, seed, meter) = job;
        let ran = Simulation::new(&scenario, &catalog)
            .strategy(&strategy)
            .and_then(|run| run.seed(seed).sink(meter).stop_when(stop).run());
        let report = ran.map_err(|error| error.to_string())?;
        if report.digest.is_none() {
            return Ok(Outcome::given_up(&told(), report.wall_us));
        }
        Ok(Outcome::of(&report, &scenario))
    };
    let mut outcomes = known;
    let end = pool::run(jobs, limits, work, |number, ended| {
        progress.part_done();
        let outcome = match ended {
            Ended::Done(Ok(outcome)) => outcome,
            Ended::Done(Err(reason)) => return Err(Stop::Usage(reason)),
            Ended::Panicked(what) => {
                print_bug(context, &what);
                return Err(Stop::Told(ExitStatus::Bug));
            }
            Ended::Overdue(took) => Outcome::given_up(&too_long(), micros(took)),
        };
        // Outcomes behind a missing one are dropped; --resume makes those runs again.
        if first + number == outcomes.len() {
            keep(&outcome)?;
            outcomes.push(outcome);
        }
        Ok(())
    });
    drop(progress);
    Ok((end?, outcomes))
}

/// Says that not all runs were made, and how to go on.
pub(super) fn print_interrupted(
    done: usize,
    comparison: &Comparison,
    out: bool,
    context: &Context,
) {
    let of_all = format!("{done} of {}", counted(comparison.count() as u64, "run"));
    let further = if out {
        "; the same command with --resume goes on"
    } else {
        "; with --out, --resume could go on"
    };
    context
        .output
        .note(format_args!("interrupted: {of_all} finished{further}"));
}
