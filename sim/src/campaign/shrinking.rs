//! Which failures are shrunk, and what is known of those that wait for it.
//!
//! A campaign may fail in most of its seeds. Of the failures that look alike (same signature, same
//! anomaly as far as the unshrunk run tells) a few are shrunk; first one of each look, then a
//! second one of each. The record of a run that is being shrunk waits, so that a record is written
//! once, with all there is to say.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::record::Record;
use super::trial::Case;
use crate::catalog::CatalogEntry;
use crate::claims::claims_met;
use crate::model::Scenario;
use crate::report::Report;
use crate::run::failure::Signature;
use crate::shrink::{Size, Watcher};

/// The failures to shrink, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrinking {
    /// How many failures that look alike are shrunk; default 2.
    pub per_signature: u64,
    /// How many are shrunk in all; default 200. The first failure of each look is shrunk beyond
    /// that, up to five times as many: what is new late in a campaign is not left out for what is
    /// common.
    pub most: u64,
    /// The directory that the files are for, as the command in their comment has it; default
    /// `failures`.
    pub directory: String,
}

impl Default for Shrinking {
    fn default() -> Self {
        Self {
            per_signature: 2,
            most: 200,
            directory: "failures".to_owned(),
        }
    }
}

/// A failure to be shrunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShrinkJob {
    /// The run that fails.
    pub case: Case,
    /// How it fails.
    pub signature: Signature,
    /// The anomaly that it is, as far as the unshrunk run tells.
    pub anomaly: Option<String>,
}

/// A failure that was shrunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShrunkFailure {
    /// The group it belongs to.
    pub fingerprint: Fingerprint,
    /// The scenario file.
    pub file: String,
    /// The seed that it fails with, which the file holds, too.
    pub seed: u64,
    /// How large the scenario was.
    pub before: Size,
    /// How large it is.
    pub after: Size,
    /// How many runs it took.
    pub runs: u64,
}

/// A record that waits for its failures to be shrunk.
#[derive(Debug)]
struct Held {
    record: Record,
    waits_for: BTreeSet<Signature>,
}

/// The failure to shrink.
#[derive(Debug, Default)]
pub(super) struct ShrinkQueue {
    /// How many of each look were chosen.
    chosen: BTreeMap<(Signature, Option<String>), u64>,
    total: u64,
    /// By how many of their look came before, then by when they were found.
    queue: BTreeMap<(u64, u64), ShrinkJob>,
    held: BTreeMap<Case, Held>,
}

impl ShrinkQueue {
    /// A run failed. Its record comes back if nothing of it is to be shrunk; otherwise it is kept.
    pub(super) fn offer(
        &mut self,
        case: &Case,
        record: Record,
        hints: &[Option<String>],
        rule: &Shrinking,
    ) -> Option<Record> {
        let mut waits_for = BTreeSet::new();
        let hints = hints.iter().cloned().chain(std::iter::repeat(None));
        for (finding, anomaly) in record.findings.iter().zip(hints) {
            let look = (finding.signature.clone(), anomaly.clone());
            let chosen = self.chosen.entry(look).or_default();
            let most = if *chosen == 0 {
                rule.most.saturating_mul(5)
            } else {
                rule.most
            };
            if *chosen >= rule.per_signature || self.total >= most {
                continue;
            }
            let job = ShrinkJob {
                case: case.clone(),
                signature: finding.signature.clone(),
                anomaly,
            };
            self.queue.insert((*chosen, self.total), job);
            waits_for.insert(finding.signature.clone());
            *chosen += 1;
            self.total += 1;
        }
        if waits_for.is_empty() {
            return Some(record);
        }
        self.held.insert(case.clone(), Held { record, waits_for });
        None
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn next(&mut self) -> Option<ShrinkJob> {
        self.queue.pop_first().map(|(_, job)| job)
    }

    /// A failure was shrunk, or could not be. The record comes back once it waits for nothing more.
    pub(super) fn done(
        &mut self,
        job: &ShrinkJob,
        shrunk: Option<&ShrunkFailure>,
    ) -> Option<Record> {
        let held = self.held.get_mut(&job.case)?;
        held.waits_for.remove(&job.signature);
        if let Some(shrunk) = shrunk {
            let mut findings = held.record.findings.iter_mut();
            if let Some(finding) = findings.find(|one| one.signature == job.signature) {
                finding.fingerprint = Some(shrunk.fingerprint.slug());
                finding.anomaly.clone_from(&shrunk.fingerprint.anomaly);
            }
        }
        if held.waits_for.is_empty() {
            self.held.remove(&job.case).map(|held| held.record)
        } else {
            None
        }
    }

    /// There is no time for those in the queue. The records that waited for nothing else come back.
    pub(super) fn abandon(&mut self) -> Vec<Record> {
        let queue = std::mem::take(&mut self.queue);
        let done = |job: ShrinkJob| self.done(&job, None);
        queue.into_values().filter_map(done).collect()
    }
}

/// Keeps a violated claim one: a scenario that does not meet the claim's condition is none.
pub(super) struct KeepsClaim<'a> {
    pub(super) entry: &'a dyn CatalogEntry,
    pub(super) oracle: &'a str,
}

impl Watcher for KeepsClaim<'_> {
    fn accepts(&mut self, scenario: &Scenario, _report: &Report) -> bool {
        let met = claims_met(self.entry, scenario);
        met.iter().any(|claim| claim.oracle == self.oracle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::record::tests::failed;

    const RULE: fn() -> Shrinking = || Shrinking {
        per_signature: 2,
        most: 5,
        ..Shrinking::default()
    };

    fn case(seed: u64) -> Case {
        Case {
            source: 0,
            strategy: "pubsub".to_owned(),
            seed,
        }
    }

    fn offer(queue: &mut ShrinkQueue, seed: u64, hint: Option<&str>) -> bool {
        let hints = [hint.map(str::to_owned)];
        let record = failed("pubsub", seed);
        queue.offer(&case(seed), record, &hints, &RULE()).is_none()
    }

    #[test]
    fn of_each_look_a_few_are_shrunk_the_first_of_each_before_the_second() {
        let mut queue = ShrinkQueue::default();
        let offered = [
            (1, None),
            (2, None),
            (3, None),
            (4, Some("A2")),
            (5, Some("A2")),
            (6, Some("A1")),
            (7, Some("A5")),
            (8, Some("A5")),
        ];
        let taken: Vec<u64> = offered
            .into_iter()
            .filter(|(seed, hint)| offer(&mut queue, *seed, *hint))
            .map(|(seed, _)| seed)
            .collect();
        assert_eq!(
            taken,
            [1, 2, 4, 5, 6, 7],
            "the third of a look, and the second of one beyond the most, are not"
        );
        let order = std::iter::from_fn(|| queue.next()).map(|job| job.case.seed);
        assert_eq!(order.collect::<Vec<_>>(), [1, 4, 6, 7, 2, 5]);
    }

    #[test]
    fn a_record_waits_until_all_of_it_is_shrunk_or_given_up() {
        let mut queue = ShrinkQueue::default();
        assert!(offer(&mut queue, 1, None) && offer(&mut queue, 2, None));
        let job = queue.next().expect("two are there");
        let record = queue.done(&job, None).expect("it waited for that alone");
        assert_eq!(record, failed("pubsub", 1));
        assert_eq!(queue.abandon(), [failed("pubsub", 2)]);
        assert!(queue.is_empty() && queue.held.is_empty());
    }
}
