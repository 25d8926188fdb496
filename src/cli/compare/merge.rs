//! `hublab merge` of a comparison: the directory that one process would have written, of those of all
//! shards.
//!
//! A verdict takes every run. So with runs missing there is no table and no directory: what is missing
//! is told, and how to make it.

use std::path::{Path, PathBuf};

use hublab_sim::campaign::shard::Shard;
use hublab_sim::capsule::Build;
use hublab_sim::compare::Outcome;

use super::kept::{Head, Kept, is_there, times};
use super::part::Part;
use super::render::Report;
use super::setup::Comparison;
use super::store::Store;
use super::tell;
use crate::cli::args::compare::TableFormat;
use crate::cli::args::merge::Merge;
use crate::cli::exit::ExitStatus;
use crate::cli::merge::missing_in_words;
use crate::cli::render::number::{counted, grouped};
use crate::cli::render::style;
use crate::cli::{Context, Stop};

/// A directory of a shard.
struct Piece {
    path: PathBuf,
    head: Head,
    outcomes: Vec<Outcome>,
    is_torn: bool,
}

/// A comparison of which every run is made.
pub(in crate::cli) struct Whole {
    pub(in crate::cli) comparison: Comparison,
    /// By their numbers, with their real times.
    pub(in crate::cli) outcomes: Vec<Outcome>,
}

/// Reads the directories, each a shard of the same comparison; `None` if runs are missing, which has been
/// told.
///
/// # Errors
/// One cannot be read, or they are of different comparisons or of another program.
pub(in crate::cli) fn whole(
    directories: &[PathBuf],
    context: &Context,
) -> Result<Option<Whole>, Stop> {
    let mut pieces = Vec::new();
    for path in directories {
        let piece = read(path)?;
        pieces
            .iter()
            .try_for_each(|earlier| agree(earlier, &piece))?;
        pieces.push(piece);
    }
    let Some(first) = pieces.first() else {
        return Err(Stop::Usage("no directory is given".to_owned()));
    };
    let comparison = comparison_of(first, context)?;
    let part_of = |shard| Part {
        comparison: &comparison,
        shard,
    };
    if let Some(piece) = pieces
        .iter()
        .find(|piece| piece.outcomes.len() > part_of(piece.head.shard).count())
    {
        return Err(refused(&piece.path, "it has more runs than its shard"));
    }
    if tell_holes(&pieces, &part_of, context) {
        return Ok(None);
    }
    let outcomes = in_order(pieces, &part_of);
    Ok(Some(Whole {
        comparison,
        outcomes,
    }))
}

pub(in crate::cli) fn merge(args: &Merge, context: &Context) -> Result<ExitStatus, Stop> {
    let format = format(args)?;
    let Some(Whole {
        comparison,
        outcomes,
    }) = whole(&args.directories, context)?
    else {
        return Ok(ExitStatus::Inconclusive);
    };
    let part_of = |shard| Part {
        comparison: &comparison,
        shard,
    };
    let report = Report::new(&comparison, &outcomes, &context.catalog);
    if let Some(out) = &args.out {
        if is_there(out) {
            let reason = "a comparison is in this directory already: give one that is new";
            return Err(refused(out, reason));
        }
        let mut store = Store::open(out, part_of(Shard::WHOLE), false)?;
        outcomes
            .iter()
            .try_for_each(|outcome| store.keep(outcome))?;
        store.finish(&report)?;
    }
    tell(&report, format, args.fail_on, context)
}

fn refused(path: &Path, reason: &str) -> Stop {
    Stop::Usage(format!("{}: {reason}", path.display()))
}

/// The format of the table; refuses what only campaigns have.
fn format(args: &Merge) -> Result<TableFormat, Stop> {
    let of_campaigns = [
        ("--floor", args.floor.is_some()),
        ("--allow-inconclusive", args.allow_inconclusive > 0),
        ("--export", !args.report.exports.is_empty()),
    ];
    if let Some((flag, _)) = of_campaigns.iter().find(|(_, is_given)| *is_given) {
        return Err(Stop::Usage(format!(
            "{flag} is for campaigns: these directories hold a comparison, which takes every run"
        )));
    }
    let name = args.report.format.name();
    <TableFormat as clap::ValueEnum>::from_str(name, false).map_err(|_| {
        Stop::Usage(format!(
            "--format {name} is for campaigns: those of a comparison are human, markdown, csv and json"
        ))
    })
}

fn read(path: &Path) -> Result<Piece, Stop> {
    let kept = Kept::read(path)?.ok_or_else(|| {
        let reason = "its process ended before anything was written; the same command with --resume begins again";
        refused(path, reason)
    })?;
    Ok(Piece {
        path: path.to_owned(),
        head: kept.head,
        outcomes: kept.outcomes,
        is_torn: kept.is_torn,
    })
}

/// Refuses directories that are not different shards of the same comparison.
fn agree(one: &Piece, other: &Piece) -> Result<(), Stop> {
    let both = format!("{} and {}", one.path.display(), other.path.display());
    let (shard, other_shard) = (one.head.shard, other.head.shard);
    if let Some(difference) = one.head.difference(&other.head) {
        let reason = format!("{both} are of different comparisons: {difference}");
        Err(Stop::Usage(reason))
    } else if shard.count() != other_shard.count() {
        Err(Stop::Usage(format!(
            "{both} are shard {shard} and shard {other_shard}: they are not of one comparison"
        )))
    } else if shard == other_shard {
        Err(Stop::Usage(format!(
            "{both} are both shard {shard}: give each shard once"
        )))
    } else {
        Ok(())
    }
}

/// The comparison that a directory has a shard of.
fn comparison_of(piece: &Piece, context: &Context) -> Result<Comparison, Stop> {
    let (made_by, this) = (&piece.head.build, Build::current());
    if *made_by != this {
        return Err(refused(
            &piece.path,
            &format!(
                "it is made by {made_by}, and this is {this}: join it with the program that made it"
            ),
        ));
    }
    // Nothing runs here: --big is for those who make runs.
    let mut comparison = Comparison::of_directory(&piece.path, true, context)?;
    if comparison.fingerprint() != piece.head.fingerprint {
        let reason = "its plan or scenarios are not those that ran: somebody has changed them";
        return Err(refused(&piece.path, reason));
    }
    comparison.left_out.clone_from(&piece.head.left_out);
    Ok(comparison)
}

/// Tells which shards and runs are not there; whether any are not.
fn tell_holes<'c>(
    pieces: &[Piece],
    part_of: &impl Fn(Shard) -> Part<'c>,
    context: &Context,
) -> bool {
    let note = |text: &dyn std::fmt::Display| context.output.note(text);
    let incomplete = style::warn("incomplete:");
    let (mut runs, mut of_runs, mut of_shards) = (0, 0, 0);
    for piece in pieces {
        let (shard, made) = (piece.head.shard, piece.outcomes.len());
        let of = part_of(shard).count();
        runs += made;
        of_runs = part_of(shard).comparison.count();
        of_shards = shard.count();
        if made < of {
            let torn = if piece.is_torn {
                "; its last line was being written when it died"
            } else {
                ""
            };
            let (made, of) = (grouped(made as u64), counted(of as u64, "run"));
            note(&format_args!(
                "{incomplete} shard {shard} ({}) has {made} of {of}{torn}; the same command with --resume \
                 goes on with it",
                piece.path.display()
            ));
        }
    }
    let shards = pieces.first().map(|piece| piece.head.shard);
    let is_there = |shard: &Shard| pieces.iter().any(|piece| piece.head.shard == *shard);
    let all = shards.into_iter().flat_map(Shard::all);
    let missing: Vec<Shard> = all.filter(|shard| !is_there(shard)).collect();
    if let Some(line) = missing_in_words(&missing) {
        note(&line);
    }
    let has_holes = runs < of_runs || !missing.is_empty();
    if has_holes {
        note(&format_args!(
            "{} of {}, {} of {}: a comparison takes every run, so there is no table, and nothing is written",
            grouped(pieces.len() as u64),
            counted(of_shards, "shard"),
            grouped(runs as u64),
            counted(of_runs as u64, "run")
        ));
    }
    has_holes
}

/// The outcomes of all runs, by their numbers, with their real times. Every shard has all of its own.
fn in_order<'c>(pieces: Vec<Piece>, part_of: &impl Fn(Shard) -> Part<'c>) -> Vec<Outcome> {
    let mut numbered: Vec<(usize, Outcome)> = Vec::new();
    for piece in pieces {
        let (part, times) = (part_of(piece.head.shard), times(&piece.path));
        for (place, mut outcome) in piece.outcomes.into_iter().enumerate() {
            let number = part.number(place);
            outcome.wall_us = times.get(&number).copied().unwrap_or(0);
            numbered.push((number, outcome));
        }
    }
    numbered.sort_by_key(|(number, _)| *number);
    numbered.into_iter().map(|(_, outcome)| outcome).collect()
}
