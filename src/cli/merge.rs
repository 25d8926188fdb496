//! `hublab merge`: the shards of a campaign put together.
//!
//! It runs nothing. What comes out is what one process would have left behind, with every run
//! once; a shard that is lost is named, and then the campaign is inconclusive at best.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use hublab_sim::campaign::manifest::Manifest;

use super::args::ReportAs;
use super::args::merge::Merge;
use super::campaign::account::{Account, Source};
use super::campaign::folder::{FAILURES, JUNIT, MANIFEST, RESULTS};
use super::campaign::joined::{Joined, Partial};
use super::campaign::known;
use super::campaign::words::exit_of;
use super::exit::Exit;
use super::output::quoted;
use super::render::number::{counted, grouped};
use super::render::style;
use super::report::{self, Reporters, Run, Setting, Totals};
use super::{Context, Stop};

/// How many missing shards are named one by one.
const NAMED: usize = 20;

pub(super) fn merge(args: &Merge, context: &Context) -> Result<Exit, Stop> {
    let usage = |error: &dyn std::fmt::Display| Stop::Usage(error.to_string());
    let joined = Joined::read(&args.directories).map_err(|error| usage(&error))?;
    let manifest = joined.manifest();
    if let Some(out) = &args.out {
        write(out, &joined, &manifest)?;
    }
    let account = Account {
        title: "hublab fuzz",
        source: Source::Campaign(&manifest.campaign),
        shard: manifest.shard,
        summary: &joined.summary,
        folder: args.out.as_deref().or(match args.directories.as_slice() {
            [only] => Some(only),
            _ => None,
        }),
    };
    let (holes, has_holes) = (holes(&joined), joined.has_holes());
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
            })
        })?;
    }
    reporters.close(&Totals {
        account,
        series: None,
        reach: "",
    })?;
    let exit = exit_of(&joined.summary);
    if has_holes && exit == Exit::Held {
        let directories = args.directories.iter();
        let directories = directories.map(|path| quoted(&path.to_string_lossy()));
        let directories: Vec<String> = directories.collect();
        output.note(format_args!("hublab merge {}", directories.join(" ")));
    }
    Ok(if has_holes {
        exit.max(Exit::Inconclusive)
    } else {
        exit
    })
}

fn write(out: &Path, joined: &Joined, manifest: &Manifest) -> Result<(), Stop> {
    let refused = |path: PathBuf| {
        move |error: io::Error| {
            Stop::Usage(format!("{}: cannot be written: {error}", path.display()))
        }
    };
    if out.join(MANIFEST).exists() || out.join(RESULTS).exists() {
        let reason = "a campaign is in this directory already: give one that is new";
        return Err(Stop::Usage(format!("{}: {reason}", out.display())));
    }
    fs::create_dir_all(out).map_err(refused(out.to_owned()))?;
    let results = out.join(RESULTS);
    let records = || {
        let mut file = BufWriter::new(File::create_new(&results)?);
        joined.write_records(&mut file)?;
        file.flush()
    };
    records().map_err(refused(results.clone()))?;
    let failures = out.join(FAILURES);
    joined
        .copy_failures(&failures)
        .map_err(refused(failures.clone()))?;
    let account = Account {
        title: "hublab fuzz",
        source: Source::Campaign(&manifest.campaign),
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
fn holes(joined: &Joined) -> Vec<String> {
    let incomplete = style::warn("incomplete:");
    let mut lines: Vec<String> = joined
        .partial
        .iter()
        .map(|part| format!("{incomplete} {}", in_words(part)))
        .collect();
    let missing = &joined.missing;
    if !missing.is_empty() {
        let names = missing.iter().take(NAMED).map(ToString::to_string);
        let names: Vec<String> = names.collect();
        let more = match missing.len() - names.len() {
            0 => String::new(),
            left => format!(" and {left} more"),
        };
        let plural = if missing.len() == 1 { "" } else { "s" };
        let (word, names) = (style::warn("missing:"), names.join(", "));
        lines.push(format!("{word} shard{plural} {names}{more}"));
    }
    lines
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
    let why = match (part.torn, part.ended) {
        (true, _) => "; its last line was being written when it died",
        (false, false) => "; it did not come to its end",
        (false, true) => "; it stopped where it was told to",
    };
    format!("shard {shard} ({}) has {runs} of {of}{why}", path.display())
}
