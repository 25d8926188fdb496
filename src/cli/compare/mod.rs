//! `hublab compare`: strategies on the same seeds, and what of their difference may be claimed.
//!
//! | file | what |
//! | --- | --- |
//! | `setup` | from arguments or a plan file to scenarios that are all checked |
//! | `runs` | makes the runs that are not there yet |
//! | `store` | the directory of `--out` |
//! | `tables`, `render` | the results as text, CSV and JSON |
//! | `figures` | the same as SVG |
//! | `reproduce` | the same once more, compared with a directory |

use hublab_sim::compare::Outcome;
use hublab_sim::statistics::Verdict;

use self::render::Report;
use self::setup::Comparison;
use self::store::Store;
use super::args::compare::{Compare, FailOn, TableFormat};
use super::exit::ExitStatus;
use super::pool::End;
use super::{Context, Stop};

mod figures;
mod render;
mod reproduce;
mod runs;
mod setup;
mod store;
mod tables;

pub(super) use reproduce::reproduce;

pub(super) fn compare(args: &Compare, context: &Context) -> Result<ExitStatus, Stop> {
    let comparison = Comparison::of_arguments(args, context)?;
    let mut store = match &args.out {
        Some(out) => Some(Store::open(out, &comparison, args.resume)?),
        None => None,
    };
    let known = store.as_mut().map_or_else(Vec::new, Store::take_known);
    let keep = |outcome: &Outcome| match &mut store {
        Some(store) => store.keep(outcome),
        None => Ok(()),
    };
    let (end, outcomes) = runs::make(&comparison, known, args.runs, context, keep)?;
    let ended = outcomes.iter().any(|outcome| outcome.reason.is_some());
    if end == End::Interrupted {
        runs::print_interrupted(outcomes.len(), &comparison, args.out.is_some(), context);
        return Ok(ExitStatus::Interrupted);
    }
    let report = Report::new(&comparison, &outcomes, &context.catalog);
    let analysis = &report.analysis;
    if let Some(store) = &store {
        store.finish(&report)?;
    }
    let text = match args.format {
        TableFormat::Human => report.human(),
        TableFormat::Markdown => report.markdown(),
        TableFormat::Csv => report.cells_csv(),
        TableFormat::Json => report.json() + "\n",
    };
    context.output.write(|out| out.write_all(text.as_bytes()))?;
    let worse = analysis
        .tested()
        .any(|(_, test)| test.verdict == Verdict::Worse);
    let failed = args.fail_on == Some(FailOn::Worse) && worse && !analysis.is_descriptive;
    Ok(match (failed, ended) {
        (true, _) => ExitStatus::Failed,
        (false, true) => ExitStatus::Inconclusive,
        (false, false) => ExitStatus::Held,
    })
}
