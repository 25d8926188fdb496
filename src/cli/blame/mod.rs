//! `hublab blame`: when a failure became likely, and what decided it.

mod runner;
mod store;
mod text;

use std::io::{Read, Seek};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use hublab_sim::blame::{Blame as Answer, Ended, Job, Limits, Pivot, Question, blame as search};
use hublab_sim::capsule::Capsule;
use hublab_sim::scenario::render_change;
use serde_json::{Value, json};

use super::args::blame::{Blame, BlameFormat};
use super::capsules::{self, Opened};
use super::exit::ExitStatus;
use super::{Context, Stop};
use runner::Made;
use store::Store;

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
    let begun = Instant::now();
    let header = capsule.header();
    let scenario = capsules::scenario(header, &args.run.path, context)?;
    let number = args.failure.and_then(|number| usize::try_from(number).ok());
    let question = Question::new(
        &scenario,
        (&header.strategy, header.seed),
        number,
        args.oracle.as_deref(),
        &context.catalog,
    );
    let question = question.map_err(|error| capsules::unusable(&args.run.path, error))?;
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
    let told = json(&question, &answer);
    if let Some(store) = made.into_store() {
        store.finish(&told)?;
    }
    match args.format {
        BlameFormat::Text => context.output.line(text::text(&question, &answer))?,
        BlameFormat::Json => context.output.line(&told)?,
    }
    Ok(end(&answer, halted, args, context))
}

/// Says what the answer lacks.
fn end(answer: &Answer, halted: Option<ExitStatus>, args: &Blame, context: &Context) -> ExitStatus {
    let goes_on = if args.out.is_some() {
        "the same command goes on from there"
    } else {
        "with --out DIR it can go on later"
    };
    match (answer.ended, halted) {
        (_, Some(exit)) => {
            if exit == ExitStatus::Inconclusive {
                context.output.note(format_args!(
                    "there was no more time: the answer is a part; --wall-limit gives more, {goes_on}"
                ));
            } else if exit == ExitStatus::Interrupted {
                context
                    .output
                    .note(format_args!("interrupted: the answer is a part; {goes_on}"));
            }
            exit
        }
        (Ended::OutOfRuns, None) => {
            context.output.note(format_args!(
                "{} runs are not enough for all of it: --runs gives more",
                args.runs
            ));
            ExitStatus::Inconclusive
        }
        (Ended::Complete | Ended::Stopped, None) => ExitStatus::Held,
    }
}

/// The answer as data.
fn json(question: &Question, answer: &Answer) -> Value {
    let failure = question.failure();
    let ended = match answer.ended {
        Ended::Complete => "complete",
        Ended::OutOfRuns => "out_of_runs",
        Ended::Stopped => "stopped",
    };
    let curve: Vec<Value> = answer
        .curve
        .iter()
        .map(|point| {
            json!({
                "after_us": point.after_us, "fails": point.fails, "of": point.of,
                "share": point.share(), "low": point.low, "high": point.high,
            })
        })
        .collect();
    let jump = answer
        .jump
        .map(|(from, to)| json!({ "from_us": from.0, "to_us": to.0 }));
    let pivots: Vec<Value> = answer
        .pivots
        .iter()
        .map(|pivot| pivot_json(question, pivot))
        .collect();
    json!({
        "scenario": question.name(),
        "strategy": failure.signature.strategy,
        "seed": question.seed(),
        "failure": {
            "signature": failure.signature, "at_us": failure.at_us, "node": failure.node,
            "detail": failure.detail, "event": failure.event,
        },
        "curve": curve,
        "jump": jump,
        "pivots": pivots,
        "tried": answer.tried,
        "flips": answer.flips,
        "runs": answer.runs,
        "ended": ended,
        "sentences": text::sentences(question, answer),
    })
}

fn pivot_json(question: &Question, pivot: &Pivot) -> Value {
    let names = question.names();
    json!({
        "kind": pivot.kind,
        "event": pivot.event.id,
        "neighbour": pivot.neighbour.as_ref().map(|event| event.id),
        "what": names.line(&pivot.event),
        "text": pivot.sentence(names),
        "is_cause": pivot.is_cause,
        "is_inside": pivot.is_inside,
        "after_us": pivot.after_us,
        "fails": pivot.fails,
        "fails_changed": pivot.fails_changed,
        "of": pivot.of,
        "difference": pivot.difference(),
        "change": change_text(question, pivot),
    })
}

/// A change as the element of `[run] changes` that it is.
fn change_text(question: &Question, pivot: &Pivot) -> String {
    let job = Job {
        branch: None,
        changes: vec![pivot.change],
    };
    render_change(&question.scenario(&job), &pivot.change)
}
