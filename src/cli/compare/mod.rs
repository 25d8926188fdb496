//! `hublab compare`: strategies on the same seeds, and what of their difference may be claimed.
//!
//! | file | what |
//! | --- | --- |
//! | `setup` | from arguments or a plan file to scenarios that are all checked |
//! | `part` | the runs of a comparison, or of one shard of it |
//! | `fit` | what `--memory` and `--budget` have no room for |
//! | `runs` | makes the runs that are not there yet, in worker processes |
//! | `kept`, `store` | what the directory of `--out` keeps of its runs; writing it |
//! | `tables`, `render` | the results as text, CSV and JSON |
//! | `figures` | the same as SVG |
//! | `merge` | shards put together |
//! | `reproduce` | the same once more, compared with a directory |

use std::path::Path;
use std::time::Instant;

use hublab_sim::campaign::shard::Shard;
use hublab_sim::compare::Outcome;
use hublab_sim::statistics::Verdict;

use self::fit::Fit;
use self::part::Part;
use self::runs::End;
use self::store::Store;
use super::args::compare::{Compare, FailOn, TableFormat};
use super::campaign::share::Share;
use super::exit::ExitStatus;
use super::render::number::{counted, grouped};
use super::{Context, Stop};

mod figures;
mod fit;
mod kept;
mod merge;
mod part;
mod render;
mod reproduce;
mod runs;
mod setup;
mod store;
mod tables;

pub(super) use figures::{DIRECTORY as FIGURES, figures};
pub(super) use kept::is_there;
pub(super) use merge::{Whole, merge, whole};
pub(super) use render::Report;
pub(super) use reproduce::reproduce;
pub(super) use setup::{Comparison, Task};
pub(super) use store::PLAN;

pub(super) fn compare(args: &Compare, context: &Context) -> Result<ExitStatus, Stop> {
    // A time beyond what a clock can tell is no limit.
    let until = args
        .budget
        .and_then(|budget| Instant::now().checked_add(budget));
    let share = Share::new(args.sharding)?;
    if share.shard != Shard::WHOLE {
        check_shard(args, share)?;
    }
    let mut comparison = Comparison::of_arguments(args, context)?;
    let mut fit = None;
    if args.runs.memory.is_some() || args.budget.is_some() {
        fit = Fit::new(&comparison, args.runs, context)?;
        if fit.is_none() {
            context.output.note("interrupted before any run");
            return Ok(ExitStatus::Interrupted);
        }
    }
    if let (Some(fit), Some(memory)) = (&fit, args.runs.memory) {
        fit.leave_out(&mut comparison, memory, context);
    }
    let part = Part {
        comparison: &comparison,
        shard: share.shard,
    };
    if let (Some(fit), Some(budget)) = (&fit, args.budget) {
        fit.tell_time(&part, budget, runs::jobs(args.runs), context);
    }
    let mut store = match &args.out {
        Some(out) => Some(Store::open(out, part, args.resume)?),
        None => None,
    };
    if !part.is_whole() {
        let (own, all) = (part.count() as u64, comparison.count() as u64);
        context.output.note(format_args!(
            "{}: {} of {}",
            share.in_words(),
            grouped(own),
            counted(all, "run")
        ));
    }
    let known = store.as_mut().map_or_else(Vec::new, Store::take_known);
    let keep = |outcome: &Outcome| match &mut store {
        Some(store) => store.keep(outcome),
        None => Ok(()),
    };
    let (end, outcomes) = runs::make(&part, known, args.runs, until, context, keep)?;
    let out = args.out.as_deref();
    runs::print_unfinished(end, outcomes.len(), &part, out, context);
    match (end, out) {
        (End::Interrupted, _) => Ok(ExitStatus::Interrupted),
        (End::Budget, _) => Ok(ExitStatus::Inconclusive),
        (End::Complete, Some(out)) if !part.is_whole() => {
            close_shard(&part, out, &outcomes, context)
        }
        (End::Complete, _) => {
            let report = Report::new(&comparison, &outcomes, &context.catalog);
            if let Some(store) = &store {
                store.finish(&report)?;
            }
            tell(&report, args.format, args.fail_on, context)
        }
    }
}

/// Refuses what makes no sense for a shard.
fn check_shard(args: &Compare, share: Share) -> Result<(), Stop> {
    let shard = share.in_words();
    if args.out.is_none() {
        return Err(Stop::Usage(format!(
            "{shard} has only some of the runs: give --out DIR, a directory for each shard, which \
             `hublab merge` joins; --shard 0/1 is the whole comparison"
        )));
    }
    if args.fail_on.is_some() {
        return Err(Stop::Usage(format!(
            "--fail-on: {shard} has no verdicts; give it to `hublab merge`, which has those of all shards"
        )));
    }
    Ok(())
}

/// Tells of a shard that is done. It has no results of its own.
fn close_shard(
    part: &Part<'_>,
    out: &Path,
    outcomes: &[Outcome],
    context: &Context,
) -> Result<ExitStatus, Stop> {
    let runs = counted(outcomes.len() as u64, "run");
    let ended = outcomes.iter().filter(|one| one.reason.is_some()).count();
    let without_end = match ended {
        0 => String::new(),
        ended => format!(", {} without an end", grouped(ended as u64)),
    };
    context.output.line(format_args!(
        "shard {}: {runs} in {}{without_end}; `hublab merge` with the directories of all {} makes the \
         comparison",
        part.shard,
        out.display(),
        counted(part.shard.count(), "shard")
    ))?;
    Ok(exit(ended > 0, false))
}

/// Prints the table of a comparison of which every run is made.
fn tell(
    report: &Report<'_>,
    format: TableFormat,
    fail_on: Option<FailOn>,
    context: &Context,
) -> Result<ExitStatus, Stop> {
    let text = match format {
        TableFormat::Human => report.human(),
        TableFormat::Markdown => report.markdown(),
        TableFormat::Csv => report.cells_csv(),
        TableFormat::Json => report.json() + "\n",
    };
    context.output.write(|out| out.write_all(text.as_bytes()))?;
    let analysis = &report.analysis;
    let worse = analysis
        .tested()
        .any(|(_, test)| test.verdict == Verdict::Worse);
    let failed = fail_on == Some(FailOn::Worse) && worse && !analysis.is_descriptive;
    let ended = report.outcomes.iter().any(|one| one.reason.is_some());
    Ok(exit(ended, failed))
}

/// The exit status of runs of which some came to no end, or whose verdicts fail.
fn exit(ended: bool, failed: bool) -> ExitStatus {
    match (failed, ended) {
        (true, _) => ExitStatus::Failed,
        (false, true) => ExitStatus::Inconclusive,
        (false, false) => ExitStatus::Held,
    }
}
