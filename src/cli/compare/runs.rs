//! The runs of a comparison.

use std::path::Path;
use std::thread;
use std::time::Instant;

use hublab_sim::campaign::executor::{Ended, Series};
use hublab_sim::campaign::runs::{RunWorkers, Told};
use hublab_sim::compare::Outcome;
use hublab_strategies::time::{format_duration, micros};

use super::part::Part;
use crate::cli::args::compare::Runs;
use crate::cli::args::fuzz::MEMORY_MIB;
use crate::cli::exit::ExitStatus;
use crate::cli::fuzz::worker;
use crate::cli::interrupt::Listening;
use crate::cli::progress::Progress;
use crate::cli::render::number::{counted, grouped};
use crate::cli::{Context, Stop, print_bug};

/// How the runs of a comparison ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All are made.
    Complete,
    /// Interrupted.
    Interrupted,
    /// The time of `--budget` is over.
    Budget,
}

/// Runs at the same time.
pub(super) fn jobs(runs: Runs) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    runs.jobs.map_or(cores, usize::from)
}

/// Makes every run of a part that is not `known`, each in a worker process, and hands each outcome to
/// `keep`, in order. No run is begun after `until`. Returns what is there then: all outcomes of the
/// part from its first, without gaps.
///
/// # Errors
/// A run could not be made, or `keep` failed.
pub(super) fn make(
    part: &Part<'_>,
    known: Vec<Outcome>,
    runs: Runs,
    until: Option<Instant>,
    context: &Context,
    keep: impl FnMut(&Outcome) -> Result<(), Stop>,
) -> Result<(End, Vec<Outcome>), Stop> {
    let comparison = part.comparison;
    let mut made = Made {
        part,
        outcomes: known,
        keep,
    };
    let open = made.outcomes.len()..part.count();
    let places: Vec<usize> = open
        .filter(|place| part.left_out(*place).is_none())
        .collect();
    let length = |place: usize| micros(comparison.scenario(part.task(place)).run.duration);
    let total = places.iter().map(|place| length(*place));
    let total = total.fold(0, u64::saturating_add);
    let progress = Progress::new(&context.output, "run", places.len() as u64, total);
    let is_time = || until.is_none_or(|until| Instant::now() < until);
    let tasks = places
        .iter()
        .map(|place| comparison.run_task(part.task(*place)))
        .take_while(|_| is_time());
    let command = worker::command(runs.memory.unwrap_or(MEMORY_MIB))?;
    let tell = |told| match told {
        Told::Done(number) => {
            drop(progress.meter(length(places[number])));
            progress.part_done();
        }
        Told::Note(text) => context.output.note(text),
    };
    let limit = format_duration(runs.wall_limit);
    let end = RunWorkers::new(command, runs.wall_limit).make(
        jobs(runs),
        tasks,
        Listening::new,
        tell,
        |number, ended| {
            let outcome = match ended {
                Ended::Done(outcome) => outcome,
                Ended::Panicked(what) => {
                    print_bug(context, &what);
                    return Err(Stop::Told(ExitStatus::Bug));
                }
                Ended::Overdue(took) => {
                    let reason = format!("it took longer than {limit} of real time (--wall-limit)");
                    Outcome::given_up(&reason, micros(took))
                }
            };
            made.take(places[number], outcome)
        },
    );
    drop(progress);
    let end = end?;
    made.fill()?;
    let end = match end {
        Series::Interrupted => End::Interrupted,
        Series::Complete if made.outcomes.len() < part.count() => End::Budget,
        Series::Complete => End::Complete,
    };
    Ok((end, made.outcomes))
}

/// Outcomes as they come.
struct Made<'m, K> {
    part: &'m Part<'m>,
    /// Those that are there, from the first on.
    outcomes: Vec<Outcome>,
    keep: K,
}

impl<K: FnMut(&Outcome) -> Result<(), Stop>> Made<'_, K> {
    /// Takes the outcome of the run at a place, if those of all runs before it are there; `--resume` makes
    /// the others again.
    fn take(&mut self, place: usize, outcome: Outcome) -> Result<(), Stop> {
        self.fill()?;
        if place == self.outcomes.len() {
            self.push(outcome)?;
        }
        Ok(())
    }

    /// Adds the next runs that are not made because their cell is left out.
    fn fill(&mut self) -> Result<(), Stop> {
        while self.outcomes.len() < self.part.count()
            && let Some(reason) = self.part.left_out(self.outcomes.len())
        {
            self.push(Outcome::given_up(&format!("not run: {reason}"), 0))?;
        }
        Ok(())
    }

    fn push(&mut self, outcome: Outcome) -> Result<(), Stop> {
        (self.keep)(&outcome)?;
        self.outcomes.push(outcome);
        Ok(())
    }
}

/// Says that not all runs were made, why, and how to go on.
pub(super) fn print_unfinished(
    end: End,
    done: usize,
    part: &Part<'_>,
    out: Option<&Path>,
    context: &Context,
) {
    let why = match end {
        End::Complete => return,
        End::Interrupted => "interrupted",
        End::Budget => "the time of --budget is over",
    };
    let of_all = counted(part.count() as u64, "run");
    let done = grouped(done as u64);
    let further = match out {
        Some(_) => "; the same command with --resume goes on",
        None => "; with --out, --resume could go on",
    };
    context
        .output
        .note(format_args!("{why}: {done} of {of_all} finished{further}"));
}
