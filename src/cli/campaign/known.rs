//! `--known`: failures that are no news.
//!
//! A failure is known by its fingerprint: the names of the files in a campaign's `failures`. Runs
//! that were not shrunk go by their signature: they are known if every shrunk failure with that
//! signature is. Which failures of a campaign are news, says its [`Tally`].

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::folder::FAILURES;
use super::tally::Tally;
use crate::cli::Stop;
use crate::cli::output::Output;

/// Fingerprints of known failures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::cli) struct Known(BTreeSet<String>);

impl Known {
    /// Those of a campaign's directory, or of its `failures`.
    ///
    /// # Errors
    /// It cannot be read.
    pub(in crate::cli) fn read(directory: &Path) -> Result<Self, Stop> {
        let within: PathBuf = directory.join(FAILURES);
        let directory = if within.is_dir() { &within } else { directory };
        let refused =
            |error| Stop::Usage(format!("{}: cannot be read: {error}", directory.display()));
        let mut fingerprints = BTreeSet::new();
        for entry in fs::read_dir(directory).map_err(refused)? {
            let path = entry.map_err(refused)?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                fingerprints.extend(
                    path.file_stem()
                        .map(|stem| stem.to_string_lossy().into_owned()),
                );
            }
        }
        Ok(Self(fingerprints))
    }

    /// Those that are known to all; none if there are none. What only some shards of a campaign
    /// were told is news to the others.
    pub(in crate::cli) fn to_all<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let all = all.into_iter().map(|known| known.0.clone());
        Self(all.reduce(|some, more| &some & &more).unwrap_or_default())
    }

    /// Whether nothing is known.
    pub(in crate::cli) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a failure is.
    pub(in crate::cli) fn has(&self, fingerprint: &str) -> bool {
        self.0.contains(fingerprint)
    }

    /// Those that a campaign met, and those that it did not.
    fn split(&self, tally: &Tally) -> (Vec<&str>, Vec<&str>) {
        let stems = tally.groups.keys().map(|key| key.what.file_stem());
        let met: BTreeSet<&str> = stems.flatten().collect();
        let known = self.0.iter().map(String::as_str);
        known.partition(|fingerprint| met.contains(fingerprint))
    }
}

/// Names the known failures that a campaign met, and those that it did not.
pub(in crate::cli) fn tell(tally: &Tally, output: &Output) {
    let (met, vanished) = tally.known.split(tally);
    for fingerprint in met {
        output.note(format_args!("known: {fingerprint}"));
    }
    for fingerprint in vanished {
        output.note(format_args!("known, but not met: {fingerprint}"));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tally::tests::failed;
    use super::*;

    /// These are known.
    pub(in crate::cli::campaign) fn known(fingerprints: &[&str]) -> Known {
        Known(fingerprints.iter().copied().map(str::to_owned).collect())
    }

    #[test]
    fn known_failures_that_are_not_met_are_named() {
        let mut met = Tally::new(&(0..9)).knowing(known(&["f", "g"]));
        met.add(&failed("pubsub", 1, Some("f")));
        assert_eq!(met.known.split(&met), (vec!["f"], vec!["g"]));
    }

    #[test]
    fn what_one_shard_was_not_told_is_not_known() {
        let (one, other) = (known(&["f", "g"]), known(&["g", "h"]));
        assert_eq!(Known::to_all([&one, &other]), known(&["g"]));
        assert_eq!(Known::to_all([&one, &Known::default()]), Known::default());
        assert_eq!(Known::to_all([]), Known::default());
    }
}
