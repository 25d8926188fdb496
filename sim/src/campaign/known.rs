//! Failures that are no news.
//!
//! A failure is known by its fingerprint: the names of the files in a campaign's `failures`. Runs
//! that were not shrunk go by their signature: they are known if every shrunk failure with that
//! signature is. Which failures of a campaign are news, says its [`Summary`].

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::summary::Summary;

/// Fingerprints of known failures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Known(BTreeSet<String>);

impl Known {
    /// Failures with these fingerprints.
    #[must_use]
    pub fn new(fingerprints: impl IntoIterator<Item = String>) -> Self {
        Self(fingerprints.into_iter().collect())
    }

    /// Those that are known to all; none if there are none. What only some shards of a campaign
    /// were told is news to the others.
    #[must_use]
    pub fn to_all<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let all = all.into_iter().map(|known| known.0.clone());
        Self(all.reduce(|some, more| &some & &more).unwrap_or_default())
    }

    /// True if nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if a failure is.
    #[must_use]
    pub fn has(&self, fingerprint: &str) -> bool {
        self.0.contains(fingerprint)
    }

    /// Those that a campaign met, and those that it did not.
    #[must_use]
    pub fn split(&self, summary: &Summary) -> (Vec<&str>, Vec<&str>) {
        let stems = summary.groups.keys().map(|key| key.what.fingerprint());
        let met: BTreeSet<&str> = stems.flatten().collect();
        let known = self.0.iter().map(String::as_str);
        known.partition(|fingerprint| met.contains(fingerprint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::record::tests::shrunk;

    fn known(fingerprints: &[&str]) -> Known {
        Known::new(fingerprints.iter().copied().map(str::to_owned))
    }

    #[test]
    fn known_failures_that_are_not_met_are_named() {
        let mut met = Summary::new(&(0..9)).knowing(known(&["f", "g"]));
        met.add(&shrunk("pubsub", 1, "f"));
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
