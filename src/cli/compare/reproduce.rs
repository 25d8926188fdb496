//! `hublab reproduce`: runs the comparison of a directory again, and compares every digest and number.

use std::fs;

use hublab_sim::campaign::shard::Shard;

use super::kept::{Kept, is_there};
use super::part::Part;
use super::render::{RUNS, Report};
use super::runs::{self, End};
use super::setup::Comparison;
use crate::cli::args::compare::Reproduce;
use crate::cli::exit::ExitStatus;
use crate::cli::render::number::counted;
use crate::cli::render::style;
use crate::cli::{Context, Stop};

/// Differences that are told of one file.
const TOLD_MAX: usize = 5;

pub(in crate::cli) fn reproduce(args: &Reproduce, context: &Context) -> Result<ExitStatus, Stop> {
    let mut comparison = Comparison::of_directory(&args.directory, args.runs.big, context)?;
    if !args.directory.join(RUNS).is_file() {
        return Err(Stop::Usage(format!(
            "{}: this comparison is not finished: it has no {RUNS}; `compare` with --resume goes on with it",
            args.directory.display()
        )));
    }
    // The cells that were left out then are now, too.
    if is_there(&args.directory)
        && let Some(kept) = Kept::read(&args.directory)?
    {
        comparison.left_out = kept.head.left_out;
    }
    let part = Part {
        comparison: &comparison,
        shard: Shard::WHOLE,
    };
    let runs = args.runs;
    let (end, outcomes) = runs::make(&part, Vec::new(), runs, None, context, |_| Ok(()))?;
    if end != End::Complete {
        runs::print_unfinished(end, outcomes.len(), &part, None, context);
        return Ok(ExitStatus::Interrupted);
    }
    let made = (0..).zip(&outcomes);
    let mut made = made.filter(|(place, _)| part.left_out(*place).is_none());
    if let Some((_, ended)) = made.find(|(_, outcome)| outcome.digest.is_none()) {
        let reason = ended.reason.as_deref().unwrap_or("it has no digest");
        context.output.note(format_args!(
            "a run did not come to an end: {reason}: nothing was compared"
        ));
        return Ok(ExitStatus::Inconclusive);
    }
    let report = Report::new(&comparison, &outcomes, &context.catalog);
    let mut exit = ExitStatus::Held;
    for (name, text) in report.files() {
        let path = args.directory.join(&name);
        let kept = fs::read_to_string(&path)
            .map_err(|error| Stop::Usage(format!("{}: {error}", path.display())))?;
        let differences = differences(&kept, &text);
        if differences.is_empty() {
            let same = format!("{} {}: the same", style::pass("ok"), path.display());
            context.output.line(same)?;
            continue;
        }
        exit = ExitStatus::Mismatch;
        let count = counted(differences.len() as u64, "line");
        let head = format!(
            "{} {}: {count} not the same",
            style::error("mismatch"),
            path.display()
        );
        context.output.line(head)?;
        for difference in differences.iter().take(TOLD_MAX) {
            context.output.line(difference)?;
        }
    }
    let runs = counted(outcomes.len() as u64, "run");
    let finding = if exit == ExitStatus::Held {
        "every digest and number is the same"
    } else {
        "not the same"
    };
    context
        .output
        .line(format_args!("{runs} made again: {finding}"))?;
    Ok(exit)
}

/// The lines that differ, with both sides.
fn differences(kept: &str, made: &str) -> Vec<String> {
    if kept == made {
        return Vec::new();
    }
    let (mut left, mut right) = (kept.lines(), made.lines());
    let mut all = Vec::new();
    for number in 1.. {
        match (left.next(), right.next()) {
            (None, None) => break,
            (one, other) if one == other => {}
            (one, other) => all.push(format!(
                "  line {number}: was {}\n  {:1$} is  {2}",
                one.unwrap_or("absent"),
                format!("line {number}:").len() - 1,
                other.unwrap_or("absent")
            )),
        }
    }
    if all.is_empty() {
        all.push("  only their line ends differ".to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_are_told_with_both_sides() {
        assert!(differences("a\nb\n", "a\nb\n").is_empty());
        let told = differences("a\nb\n", "a\nc\nd\n");
        assert_eq!(told.len(), 2);
        assert!(
            told[0].contains("was b") && told[0].contains("is  c"),
            "{told:?}"
        );
        assert!(told[1].contains("was absent"), "{told:?}");
        assert_eq!(differences("a\n", "a").len(), 1);
    }
}
