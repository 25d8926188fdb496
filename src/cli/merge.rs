//! `hublab merge`: the shards of a campaign put together. Those of a comparison are, by
//! [`compare::merge`].
//!
//! It runs nothing. What comes out is what one process would have left behind, with every run
//! once; a shard that is lost is named, and then the campaign is inconclusive at best.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hublab_sim::campaign::manifest::Manifest;
use hublab_sim::campaign::shard::Shard;

use super::args::ReportAs;
use super::args::merge::Merge;
use super::campaign::account::{Account, Asked, Source};
use super::campaign::folder::{JUNIT, MANIFEST, RESULTS};
use super::campaign::joined::{Joined, Partial};
use super::campaign::known;
use super::campaign::words::result;
use super::exit::ExitStatus;
use super::lock::lock;
use super::output::quoted;
use super::render::number::{counted, grouped};
use super::render::style;
use super::report::{self, Reporters, Run, Setting, Totals};
use super::{Context, Stop, compare};

/// How many missing shards are named one by one.
const NAMED: usize = 20;

pub(super) fn merge(args: &Merge, context: &Context) -> Result<ExitStatus, Stop> {
    if is_comparison(&args.directories)? {
        return compare::merge(args, context);
    }
    if args.fail_on.is_some() {
        let reason = "--fail-on is for comparisons: a campaign that has failures ends with 1";
        return Err(Stop::Usage(reason.to_owned()));
    }
    let usage = |error: &dyn std::fmt::Display| Stop::Usage(error.to_string());
    let mut joined = Joined::read(&args.directories).map_err(|error| usage(&error))?;
    joined.summary.allowed_inconclusive = args.allow_inconclusive;
    let manifest = joined.manifest();
    let planned = manifest.planned + joined.saved();
    let coverage = coverage(&joined, planned);
    let is_low = args
        .floor
        .is_some_and(|floor| !coverage.reaches(u64::from(floor)));
    let covered = coverage.to_string();
    let asked = Asked {
        coverage: Some(&covered),
        parameters: &manifest.campaign,
        planned,
        end: None,
        has_holes: joined.has_holes() || is_low,
    };
    if let Some(out) = &args.out {
        write(out, &joined, &manifest, asked, context)?;
    }
    let account = Account {
        title: "hublab fuzz",
        source: Source::Campaign(asked),
        shard: manifest.shard,
        summary: &joined.summary,
        folder: args.out.as_deref().or(match args.directories.as_slice() {
            [only] => Some(only),
            _ => None,
        }),
    };
    let (mut holes, has_holes) = (holes(&joined), asked.has_holes);
    if !coverage.is_whole() && !args.report.format.has_room_for_words() {
        holes.push(covered.clone());
    }
    if let (Some(floor), true) = (args.floor, is_low) {
        let word = style::warn("incomplete:");
        holes.push(format!(
            "{word} fewer than the {floor} % that --floor asks for"
        ));
    }
    let output = &context.output;
    let ReportAs { format, exports } = &args.report;
    let mut reporters = Reporters::new(*format, exports, Setting::default(), context)?;
    if format.has_room_for_words() {
        holes.iter().try_for_each(|hole| output.line(hole))?;
    } else {
        holes.iter().for_each(|hole| output.note(hole));
    }
    known::print(&joined.summary, output);
    if reporters.want_runs() {
        joined.each_record(|record| {
            reporters.run(&Run {
                record: &record,
                details: None,
                explanation: None,
            })
        })?;
    }
    reporters.close(&Totals {
        account,
        series: None,
        reach: "",
    })?;
    let (exit, _) = result(account);
    if has_holes && exit == ExitStatus::Inconclusive {
        let directories = args.directories.iter();
        let directories = directories.map(|path| quoted(&path.to_string_lossy()));
        let directories: Vec<String> = directories.collect();
        output.note(format_args!("hublab merge {}", directories.join(" ")));
    }
    Ok(exit)
}

/// True if the directories hold a comparison.
///
/// # Errors
/// Only some of them do.
fn is_comparison(directories: &[PathBuf]) -> Result<bool, Stop> {
    let compared = directories.iter().find(|path| compare::is_there(path));
    let other = directories.iter().find(|path| !compare::is_there(path));
    let (Some(compared), Some(other)) = (compared, other) else {
        return Ok(compared.is_some());
    };
    let what = if other.join(MANIFEST).exists() {
        "a campaign, and the two cannot be joined"
    } else {
        "none"
    };
    Err(Stop::Usage(format!(
        "{} holds a comparison, but {} holds {what}",
        compared.display(),
        other.display()
    )))
}

/// How much of a campaign is there.
pub(super) struct Coverage {
    shards: u64,
    of_shards: u64,
    runs: u64,
    of_runs: u64,
}

pub(super) fn coverage(joined: &Joined, of_runs: u64) -> Coverage {
    let (shards, of_shards) = joined.shards();
    Coverage {
        shards,
        of_shards,
        runs: joined.summary.runs(),
        of_runs,
    }
}

impl Coverage {
    fn is_whole(&self) -> bool {
        self.shards == self.of_shards && self.runs == self.of_runs
    }

    /// True if that many of 100 planned runs, or more, were made.
    fn reaches(&self, percent: u64) -> bool {
        let (made, wanted) = (u128::from(self.runs) * 100, u128::from(self.of_runs));
        made >= wanted * u128::from(percent)
    }
}

impl fmt::Display for Coverage {
    /// `3 of 4 shards, 74.9 % of planned runs`, rounded down.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = u128::from(self.runs) * 1_000;
        let (whole, tenth) = match made.checked_div(u128::from(self.of_runs)) {
            Some(thousandths) => (thousandths / 10, thousandths % 10),
            None => (0, 0),
        };
        let shards = counted(self.of_shards, "shard");
        write!(f, "{} of {shards}, ", grouped(self.shards))?;
        match tenth {
            0 => write!(f, "{whole} % of planned runs"),
            _ => write!(f, "{whole}.{tenth} % of planned runs"),
        }
    }
}

fn write(
    out: &Path,
    joined: &Joined,
    manifest: &Manifest,
    asked: Asked<'_>,
    context: &Context,
) -> Result<(), Stop> {
    let refused = |path: PathBuf| {
        move |error: io::Error| {
            Stop::Usage(format!("{}: cannot be written: {error}", path.display()))
        }
    };
    fs::create_dir_all(out).map_err(refused(out.to_owned()))?;
    let _lock = lock(out)?;
    if out.join(MANIFEST).exists() || out.join(RESULTS).exists() {
        let reason = "a campaign is in this directory already: give one that is new";
        return Err(Stop::Usage(format!("{}: {reason}", out.display())));
    }
    joined.write(out, context)?;
    let account = Account {
        title: "hublab fuzz",
        source: Source::Campaign(asked),
        shard: manifest.shard,
        summary: &joined.summary,
        folder: Some(out),
    };
    report::write_junit(out.join(JUNIT), account)?;
    // The manifest comes last: with it, the directory is a campaign.
    let path = out.join(MANIFEST);
    fs::write(&path, manifest.to_json()).map_err(refused(path))
}

/// Names the shards and runs that are not there, a line each.
pub(super) fn holes(joined: &Joined) -> Vec<String> {
    let incomplete = style::warn("incomplete:");
    let mut lines: Vec<String> = joined
        .partial
        .iter()
        .map(|part| format!("{incomplete} {}", in_words(part)))
        .collect();
    lines.extend(missing_in_words(&joined.missing));
    lines
}

/// Names shards that are not there; `None` if all are.
pub(super) fn missing_in_words(missing: &[Shard]) -> Option<String> {
    if missing.is_empty() {
        return None;
    }
    let names = missing.iter().take(NAMED).map(ToString::to_string);
    let names: Vec<String> = names.collect();
    let more = match missing.len() - names.len() {
        0 => String::new(),
        left => format!(" and {left} more"),
    };
    let plural = if missing.len() == 1 { "" } else { "s" };
    let (word, names) = (style::warn("missing:"), names.join(", "));
    Some(format!("{word} shard{plural} {names}{more}"))
}

fn in_words(part: &Partial) -> String {
    let Partial {
        path,
        shard,
        runs,
        of,
        ..
    } = part;
    let (runs, of) = (grouped(*runs), counted(*of, "run"));
    let why = match (part.has_lost(), part.torn, part.ended) {
        (true, ..) => {
            let made = grouped(part.made.unwrap_or_default());
            format!("; it had made {made}, and {RESULTS} has lost some")
        }
        (false, true, _) => "; its last line was being written when it died".to_owned(),
        (false, false, false) => "; it did not come to its end".to_owned(),
        (false, false, true) => "; it stopped where it was told to".to_owned(),
    };
    format!("shard {shard} ({}) has {runs} of {of}{why}", path.display())
}
