//! `--known`: failures that are no news.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hublab_sim::campaign::known::Known;
use hublab_sim::campaign::summary::Summary;

use super::folder::FAILURES;
use crate::cli::Stop;
use crate::cli::output::Output;

/// Those of a campaign's directory, or of its `failures`.
///
/// # Errors
/// It cannot be read.
pub(in crate::cli) fn read(directory: &Path) -> Result<Known, Stop> {
    let within: PathBuf = directory.join(FAILURES);
    let directory = if within.is_dir() { &within } else { directory };
    let refused = |error| Stop::Usage(format!("{}: cannot be read: {error}", directory.display()));
    let mut fingerprints = BTreeSet::new();
    for entry in fs::read_dir(directory).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let stem = path.file_stem();
            fingerprints.extend(stem.map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    Ok(Known::new(fingerprints))
}

/// Names the known failures that a campaign met, and those that it did not.
pub(in crate::cli) fn print(summary: &Summary, output: &Output) {
    let (met, vanished) = summary.known.split(summary);
    for fingerprint in met {
        output.note(format_args!("known: {fingerprint}"));
    }
    for fingerprint in vanished {
        output.note(format_args!("known, but not met: {fingerprint}"));
    }
}
