//! `--known`: failures that are no news.
//!
//! A failure is known by its fingerprint: the names of the files in a campaign's `failures`. Runs
//! that were not shrunk go by their signature: they are known if every shrunk failure with that
//! signature is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use hublab_sim::campaign::record::Ending;
use hublab_sim::campaign::signature::Signature;
use hublab_sim::campaign::summary::Summary;

use crate::cli::Stop;
use crate::cli::campaign::folder::FAILURES;
use crate::cli::exit::Exit;

/// The fingerprints of a directory.
#[derive(Debug, Default)]
pub(super) struct Known {
    fingerprints: BTreeSet<String>,
}

impl Known {
    /// Those of a campaign's directory, or of its `failures`.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(directory: &Path) -> Result<Self, Stop> {
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
        Ok(Self { fingerprints })
    }

    /// How a campaign ended, known failures aside.
    pub(super) fn exit(&self, summary: &Summary) -> Exit {
        let endings = summary.endings.keys();
        let counts = |ending: &&Ending| **ending != Ending::Fail || self.has_news(summary);
        endings
            .filter(counts)
            .map(|ending| Exit::from(*ending))
            .max()
            .unwrap_or(Exit::Held)
    }

    fn has_news(&self, summary: &Summary) -> bool {
        let mut shrunk: BTreeMap<&Signature, bool> = BTreeMap::new();
        let mut unshrunk: BTreeSet<&Signature> = BTreeSet::new();
        for key in summary.groups.keys() {
            match &key.fingerprint {
                Some(fingerprint) => {
                    let all = shrunk.entry(&key.signature).or_insert(true);
                    *all &= self.fingerprints.contains(fingerprint);
                }
                None => drop(unshrunk.insert(&key.signature)),
            }
        }
        let is_known = |signature: &&Signature| shrunk.get(signature) == Some(&true);
        shrunk.values().any(|known| !known) || !unshrunk.iter().all(is_known)
    }

    /// The known failures that a campaign met, and those that it did not.
    pub(super) fn split(&self, summary: &Summary) -> (Vec<&str>, Vec<&str>) {
        let met: BTreeSet<&str> = summary
            .groups
            .keys()
            .filter_map(|key| key.fingerprint.as_deref())
            .collect();
        let known = self.fingerprints.iter().map(String::as_str);
        known.partition(|fingerprint| met.contains(fingerprint))
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use hublab_sim::campaign::record::Record;

    use super::*;
    use crate::cli::campaign::tally::tests::{ended, failed, passed};

    fn summary(records: &[Record]) -> Summary {
        let mut summary = Summary::default();
        records.iter().for_each(|record| summary.add(record));
        summary
    }

    fn known(fingerprint: &str) -> Known {
        Known {
            fingerprints: [fingerprint.to_owned()].into(),
        }
    }

    #[test]
    fn what_is_known_does_not_fail_a_campaign_and_what_is_new_does() {
        let shrunk = failed("pubsub", 1, Some("f"));
        assert_eq!(
            known("f").exit(&summary(slice::from_ref(&shrunk))),
            Exit::Held
        );
        assert_eq!(
            known("g").exit(&summary(slice::from_ref(&shrunk))),
            Exit::Failed
        );
        let alike = failed("pubsub", 2, None);
        let both = summary(&[shrunk.clone(), alike.clone(), passed("pubsub", 3)]);
        assert_eq!(
            known("f").exit(&both),
            Exit::Held,
            "it looks like the known one"
        );
        assert_eq!(
            known("f").exit(&summary(&[alike])),
            Exit::Failed,
            "nothing tells what it is"
        );
        let other = failed("pubsub", 4, Some("g"));
        assert_eq!(known("f").exit(&summary(&[shrunk, other])), Exit::Failed);
    }

    #[test]
    fn a_lost_worker_is_news_whatever_is_known() {
        let records = [
            failed("pubsub", 1, Some("f")),
            ended("pubsub", 2, Ending::WorkerLost),
        ];
        assert_eq!(known("f").exit(&summary(&records)), Exit::Failed);
        let open = [
            failed("pubsub", 1, Some("f")),
            ended("pubsub", 2, Ending::Inconclusive),
        ];
        assert_eq!(known("f").exit(&summary(&open)), Exit::Inconclusive);
    }

    #[test]
    fn known_failures_that_are_not_met_are_named() {
        let known = Known {
            fingerprints: ["f".to_owned(), "g".to_owned()].into(),
        };
        let met = summary(&[failed("pubsub", 1, Some("f"))]);
        assert_eq!(known.split(&met), (vec!["f"], vec!["g"]));
    }
}
