//! `hublab blame`: when a failure became likely, and what decided it.

mod runner;
mod store;
mod text;
mod told;

use std::io::{self, Read, Seek};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use hublab_sim::blame::{Blame as Answer, Ended, Limits, Question, blame as search};
use hublab_sim::capsule::Capsule;
use serde_json::Value;

use super::args::blame::{Blame, BlameFormat, Search};
use super::campaign::folder::read_bounded;
use super::capsules::{self, Opened};
use super::exit::ExitStatus;
use super::render::number::counted;
use super::{Context, Stop};
use runner::Made;
use store::Store;
pub(super) use told::Told;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

pub(super) fn blame(args: &Blame, context: &Context) -> Result<ExitStatus, Stop> {
    match capsules::open_or_run(&args.run, context)? {
        Opened::File(capsule) => blame_of(args, &capsule, context),
        Opened::Memory(capsule) => blame_of(args, &capsule, context),
    }
}

fn blame_of<R: Read + Seek>(
    args: &Blame,
    capsule: &Capsule<R>,
    context: &Context,
) -> Result<ExitStatus, Stop> {
    let found = look(capsule, &args.run.path, &args.search, context)?;
    let Found {
        question,
        answer,
        told,
        halted,
    } = &found;
    match args.format {
        BlameFormat::Text => context.output.line(text::text(question, answer))?,
        BlameFormat::Json => context.output.line(json(told)?)?,
    }
    Ok(end(answer, *halted, &args.search, context))
}

/// What a search came to.
pub(super) struct Found {
    question: Arc<Question>,
    answer: Answer,
    pub(super) told: Told,
    halted: Option<ExitStatus>,
}

impl Found {
    /// Says what the answer lacks; the exit status of that.
    pub(super) fn end(&self, args: &Search, context: &Context) -> ExitStatus {
        end(&self.answer, self.halted, args, context)
    }
}

/// Looks for what decided a failure of a capsule's run.
pub(super) fn look<R: Read + Seek>(
    capsule: &Capsule<R>,
    path: &Path,
    args: &Search,
    context: &Context,
) -> Result<Found, Stop> {
    let begun = Instant::now();
    let header = capsule.header();
    let scenario = capsules::scenario(header, path, context)?;
    let number = args.failure.and_then(|number| usize::try_from(number).ok());
    let question = Question::new(
        &scenario,
        (&header.strategy, header.seed),
        number,
        args.oracle.as_deref(),
        &context.catalog,
    );
    let question = question.map_err(|error| capsules::unusable(path, error))?;
    let question = Arc::new(question);
    let limits = Limits {
        branches: args.branches,
        points: args.points,
        runs: args.runs,
    };
    let store = match &args.out {
        Some(directory) => Some(Store::open(directory, &question)?),
        None => None,
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut made = Made::new(
        Arc::clone(&question),
        store,
        args.jobs.map_or(cores, NonZeroUsize::get),
        begun.checked_add(args.wall_limit),
        context,
    );
    let answer = search(&question, limits, &mut made);
    let halted = made.halted();
    if let Some(error) = made.take_error() {
        return Err(error);
    }
    let told = Told::new(&question, &answer, &capsule.footer().digest);
    if let Some(store) = made.into_store() {
        store.finish(&told)?;
    }
    Ok(Found {
        question,
        answer,
        told,
        halted,
    })
}

/// The answer of a directory that `--out` wrote, or of a file of `--format json`.
pub(super) fn read(path: &Path) -> Result<Told, Stop> {
    let file = if path.is_dir() {
        path.join(store::ANSWER)
    } else {
        path.to_owned()
    };
    let text = read_bounded(&file, ANSWER_BYTES_MAX).map_err(|error| {
        let is_open = error.kind() == io::ErrorKind::NotFound && path.join(store::RUNS).exists();
        if is_open {
            let reason = "the search has no answer yet; `hublab blame --out` goes on with it";
            capsules::unusable(path, reason)
        } else {
            capsules::unusable(&file, error)
        }
    })?;
    serde_json::from_str(&text).map_err(|error| {
        let reason = format!("this is no answer of `hublab blame`: {error}");
        capsules::unusable(&file, reason)
    })
}

fn json(told: &Told) -> Result<Value, Stop> {
    serde_json::to_value(told).map_err(|error| Stop::Usage(error.to_string()))
}

/// Says what the answer lacks.
fn end(
    answer: &Answer,
    halted: Option<ExitStatus>,
    args: &Search,
    context: &Context,
) -> ExitStatus {
    let goes_on = if args.out.is_some() {
        "the same command goes on from there"
    } else {
        "with --out DIR it can go on later"
    };
    match (answer.ended, halted) {
        (_, Some(exit)) => {
            if exit == ExitStatus::Inconclusive {
                context.output.note(format_args!(
                    "there was no more time: the answer is partial; --wall-limit gives more, and {goes_on}"
                ));
            } else if exit == ExitStatus::Interrupted {
                context.output.note(format_args!(
                    "interrupted: the answer is partial; {goes_on}"
                ));
            }
            exit
        }
        (Ended::OutOfRuns, None) => {
            let are = if args.runs == 1 { "is" } else { "are" };
            context.output.note(format_args!(
                "{} {are} not enough for all of it: --runs gives more",
                counted(args.runs, "run")
            ));
            ExitStatus::Inconclusive
        }
        (Ended::Complete | Ended::Stopped, None) => ExitStatus::Held,
    }
}
