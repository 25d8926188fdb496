//! `hublab merge`: the shards of a campaign put together.
//!
//! It runs nothing. What comes out is what one process would have left behind, with every run
//! once; a shard that is lost is named, and then the campaign is inconclusive at best.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::args::merge::{CampaignFormat, Merge};
use super::campaign::account::Account;
use super::campaign::folder::{FAILURES, JUNIT, MANIFEST, RESULTS};
use super::campaign::joined::{Joined, Partial};
use super::campaign::manifest::Manifest;
use super::campaign::{github, junit, summary};
use super::exit::Exit;
use super::output::quoted;
use super::render::number::{counted, grouped};
use super::render::style;
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
        parameters: &manifest.campaign,
        shard: manifest.shard,
        tally: &joined.tally,
        folder: args.out.as_deref().or(match args.directories.as_slice() {
            [only] => Some(only),
            _ => None,
        }),
    };
    print(args.format, &joined, account, context)?;
    let holes = tell_holes(&joined, args, context);
    Ok(joined.tally.exit().max(holes))
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
        parameters: &manifest.campaign,
        shard: manifest.shard,
        tally: &joined.tally,
        folder: Some(out),
    };
    let cases = junit::render(account).map_err(|error| Stop::Usage(error.to_string()))?;
    // The manifest comes last: with it, the directory is a campaign.
    for (name, text) in [(JUNIT, cases), (MANIFEST, manifest.to_json())] {
        let path = out.join(name);
        fs::write(&path, text).map_err(refused(path))?;
    }
    Ok(())
}

fn print(
    format: CampaignFormat,
    joined: &Joined,
    account: Account<'_>,
    context: &Context,
) -> Result<(), Stop> {
    let output = &context.output;
    match format {
        CampaignFormat::Human => output.line(summary::render(account)),
        CampaignFormat::Json => output.write(|out| joined.write_records(out)),
        CampaignFormat::Github => {
            output.line(summary::render(account))?;
            github::tell(account, context)
        }
    }
}

/// Names the shards and runs that are not there. Without them nobody knows whether all held.
fn tell_holes(joined: &Joined, args: &Merge, context: &Context) -> Exit {
    let output = &context.output;
    let mut exit = Exit::Held;
    for part in &joined.partial {
        if !part.ended {
            exit = Exit::Inconclusive;
        }
        output.note(format_args!(
            "{} {}",
            style::warn("incomplete:"),
            in_words(part)
        ));
    }
    let missing: Vec<String> = joined
        .missing
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    if !missing.is_empty() {
        exit = Exit::Inconclusive;
        let left = joined.missing.len() - missing.len();
        let more = if left > 0 {
            format!(" and {left} more")
        } else {
            String::new()
        };
        let (word, names) = (style::warn("missing:"), missing.join(", "));
        let shards = if joined.missing.len() == 1 {
            "shard"
        } else {
            "shards"
        };
        output.note(format_args!("{word} {shards} {names}{more}"));
    }
    if exit == Exit::Inconclusive {
        let directories = args.directories.iter();
        let directories = directories.map(|path| quoted(&path.to_string_lossy()));
        let directories: Vec<String> = directories.collect();
        output.note(format_args!("hublab merge {}", directories.join(" ")));
    }
    exit
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
