//! `--known`: failures that are no news.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hublab_sim::campaign::known::{Day, Known, KnownFile};
use hublab_sim::campaign::summary::Summary;

use super::folder::{FAILURES, read_bounded};
use crate::cli::args::known::KnownFailures;
use crate::cli::output::Output;
use crate::cli::render::number::counted;
use crate::cli::render::style;
use crate::cli::{Context, Stop};

/// The file of known failures beside a campaign's others.
const FILE: &str = "known.toml";

/// The largest file that is read.
const BYTES_MAX: u64 = 1 << 20;

/// Everything that is known. Entries of files whose day has passed are told, and count no more.
///
/// # Errors
/// Something cannot be read, or is no list of known failures.
pub(in crate::cli) fn read(args: &KnownFailures, context: &Context) -> Result<Known, Stop> {
    let mut known = Known::default();
    for path in &args.known {
        if path.is_dir() {
            known.extend(of_directory(path)?);
            let file = path.join(FILE);
            if file.is_file() {
                known.extend(of_file(&file, context)?);
            }
        } else {
            known.extend(of_file(path, context)?);
        }
    }
    for name in &args.known_anomalies {
        let anomaly = Known::anomaly(name, &context.catalog);
        known.extend(anomaly.map_err(|error| Stop::Usage(error.to_string()))?);
    }
    Ok(known)
}

/// Those of a file.
fn of_file(path: &Path, context: &Context) -> Result<Known, Stop> {
    let name = path.display();
    let usage = |error: &dyn std::fmt::Display| Stop::Usage(format!("{name}: {error}"));
    let text = read_bounded(path, BYTES_MAX).map_err(|error| usage(&error))?;
    let read = KnownFile::read(&text, today(), &context.catalog);
    let KnownFile { known, expired, .. } = read.map_err(|error| usage(&error))?;
    let word = style::warn("known no more:");
    for (what, day) in expired {
        let note = format_args!("{word} {what}, which was until {day} ({name})");
        context.output.note(note);
    }
    Ok(known)
}

/// The day of today, in UTC.
fn today() -> Day {
    const DAY: u64 = 86_400;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Day::of_unix_days(since.map_or(0, |time| time.as_secs() / DAY))
}

/// Those of a campaign's directory, or of its `failures`.
fn of_directory(directory: &Path) -> Result<Known, Stop> {
    let within: PathBuf = directory.join(FAILURES);
    let directory = if within.is_dir() { &within } else { directory };
    let refused = |error| Stop::Usage(format!("{}: cannot be read: {error}", directory.display()));
    let mut fingerprints = BTreeSet::new();
    for entry in fs::read_dir(directory).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            && path.file_name().is_some_and(|name| name != FILE)
        {
            let stem = path.file_stem();
            fingerprints.extend(stem.map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    Ok(Known::new(fingerprints))
}

/// Names the known failures that a campaign met and those that it did not, and says how many the
/// baseline shows, too.
pub(in crate::cli) fn print(summary: &Summary, output: &Output) {
    let (met, vanished) = summary.known.split(summary);
    for fingerprint in met {
        output.note(format_args!("known: {fingerprint}"));
    }
    for fingerprint in vanished {
        output.note(format_args!("known, but not met: {fingerprint}"));
    }
    if summary.of_baseline > 0 {
        let failures = counted(summary.of_baseline, "failure");
        output.note(format_args!("{failures} of the baseline, too, left out"));
    }
}
