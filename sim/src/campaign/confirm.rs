//! Runs made again in a fresh process, and the result of the two.
//!
//! The rule: the first [`Confirm::per_signature`] runs with a signature are each made again before
//! they count, and so are runs whose worker died or was killed. Once that many runs of a signature
//! have been confirmed, further ones are taken on trust, unless they are of the share that is made
//! twice anyway. That keeps a campaign fast in which most seeds fail, and finds what fails for
//! reasons outside of its seed: such a run is not confirmed, and does not count as one that was.

use std::collections::BTreeMap;

use super::record::Record;
use crate::run::failure::Signature;
use crate::stream::mix;
use crate::watch::judge::Verdict;

/// Which runs are made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirm {
    /// How many runs of a signature must have been confirmed until others are trusted; default 8.
    pub per_signature: u64,
    /// How many of 100 runs are made twice, chosen by strategy and seed; default 2.
    pub twice_percent: u8,
}

impl Default for Confirm {
    fn default() -> Self {
        Self {
            per_signature: 8,
            twice_percent: 2,
        }
    }
}

impl Confirm {
    /// True if a run is of the share that is made twice. A function of its arguments alone.
    fn chooses(self, strategy: &str, seed: u64) -> bool {
        let name = blake3::hash(strategy.as_bytes());
        let mut key = [0; 8];
        key.copy_from_slice(&name.as_bytes()[..8]);
        mix(seed ^ u64::from_le_bytes(key)) % 100 < u64::from(self.twice_percent)
    }
}

/// Runs that have been confirmed so far.
#[derive(Debug, Default)]
pub(super) struct Confirmed {
    signatures: BTreeMap<Signature, u64>,
    endings: BTreeMap<Verdict, u64>,
}

impl Confirmed {
    /// True if a run is to be made again before it counts.
    pub(super) fn wants(&self, record: &Record, rule: Confirm) -> bool {
        let open = |count: Option<&u64>| count.is_none_or(|count| *count < rule.per_signature);
        let doubtful = match record.verdict {
            Verdict::Fail => {
                let mut signatures = record.findings.iter().map(|finding| &finding.signature);
                signatures.any(|signature| open(self.signatures.get(signature)))
            }
            Verdict::TimedOut | Verdict::WorkerLost => open(self.endings.get(&record.verdict)),
            Verdict::Pass
            | Verdict::Inconclusive
            | Verdict::NotReproduced
            | Verdict::Mismatch
            | Verdict::Bug => false,
        };
        doubtful || record.verdict != Verdict::Bug && rule.chooses(&record.strategy, record.seed)
    }

    /// Status of a run that was made twice, the second time alone in a fresh process.
    pub(super) fn judge(&mut self, mut first: Record, second: Record) -> Record {
        match compare(&first, &second) {
            Compared::Same => {
                for finding in &first.findings {
                    *self
                        .signatures
                        .entry(finding.signature.clone())
                        .or_default() += 1;
                }
                *self.endings.entry(first.verdict).or_default() += 1;
                first
            }
            Compared::OnlySecond => second,
            Compared::Differ(ending, note) => {
                first.verdict = ending;
                first.note = Some(note);
                first
            }
        }
    }
}

/// Result of two runs of the same scenario.
enum Compared {
    /// The same.
    Same,
    /// The first says nothing: the second counts.
    OnlySecond,
    /// Not the same, in these words.
    Differ(Verdict, String),
}

fn compare(first: &Record, second: &Record) -> Compared {
    match (first.verdict, second.verdict) {
        // Which of the two limits ends a strategy that takes more and more depends on the machine.
        (Verdict::WorkerLost, Verdict::WorkerLost | Verdict::TimedOut)
        | (Verdict::TimedOut, Verdict::TimedOut) => Compared::Same,
        // The machine was busy, or hublab is broken, and alone it shows.
        (Verdict::TimedOut, _) | (_, Verdict::Bug) => Compared::OnlySecond,
        (Verdict::WorkerLost, _) => {
            let note = first.note.as_deref().unwrap_or("its worker was lost");
            let note = format!("{note}; alone in a fresh process it came to its end");
            Compared::Differ(Verdict::NotReproduced, note)
        }
        (_, Verdict::TimedOut | Verdict::WorkerLost) => {
            let how = second
                .note
                .as_deref()
                .unwrap_or("it did not come to its end");
            let note = format!("alone in a fresh process: {how}");
            Compared::Differ(unlike(first, second), note)
        }
        _ if first.digest == second.digest => Compared::Same,
        _ => {
            let digest = |record: &Record| record.digest.clone().unwrap_or_default();
            let note = format!(
                "digest {} at first, {} alone in a fresh process",
                digest(first),
                digest(second)
            );
            Compared::Differ(unlike(first, second), note)
        }
    }
}

/// Status of two runs that differ: a failure that is not found again has one of its own.
fn unlike(first: &Record, second: &Record) -> Verdict {
    let again = |signature: &Signature| {
        let mut found = second.findings.iter().map(|finding| &finding.signature);
        found.any(|one| one == signature)
    };
    if first
        .findings
        .iter()
        .all(|finding| again(&finding.signature))
    {
        Verdict::Mismatch
    } else {
        Verdict::NotReproduced
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::record::tests::{failed, record};

    fn ended(verdict: Verdict) -> Record {
        Record {
            verdict,
            digest: None,
            ..record("pubsub", 1)
        }
    }

    fn other(mut record: Record) -> Record {
        record.digest = Some("other".to_owned());
        record
    }

    const RULE: Confirm = Confirm {
        per_signature: 2,
        twice_percent: 0,
    };

    #[test]
    fn failures_are_confirmed_until_their_signature_is_trusted() {
        let mut confirmed = Confirmed::default();
        for seed in 0..2 {
            assert!(confirmed.wants(&failed("pubsub", seed), RULE));
            let same = confirmed.judge(failed("pubsub", seed), failed("pubsub", seed));
            assert_eq!(same, failed("pubsub", seed));
        }
        assert!(!confirmed.wants(&failed("pubsub", 2), RULE));
        assert!(
            confirmed.wants(&failed("gossip", 2), RULE),
            "another signature"
        );
        assert!(!confirmed.wants(&record("pubsub", 3), RULE), "it passed");
    }

    #[test]
    fn a_failure_that_is_not_found_again_counts_for_nothing_and_is_told() {
        let mut confirmed = Confirmed::default();
        for seed in 0..5 {
            assert!(confirmed.wants(&failed("pubsub", seed), RULE));
            let judged = confirmed.judge(failed("pubsub", seed), other(record("pubsub", seed)));
            assert_eq!(judged.verdict, Verdict::NotReproduced);
            assert!(judged.note.is_some_and(|note| note.contains("other")));
        }
    }

    #[test]
    fn another_digest_is_a_mismatch_whether_or_not_it_failed() {
        let mut confirmed = Confirmed::default();
        for first in [record("pubsub", 1), failed("pubsub", 1)] {
            let judged = confirmed.judge(first.clone(), other(first));
            assert_eq!(judged.verdict, Verdict::Mismatch);
        }
    }

    #[test]
    fn runs_without_an_end_are_compared_by_how_they_went() {
        for (first, second, expected) in [
            (
                Verdict::WorkerLost,
                Verdict::WorkerLost,
                Verdict::WorkerLost,
            ),
            (Verdict::WorkerLost, Verdict::TimedOut, Verdict::WorkerLost),
            (Verdict::WorkerLost, Verdict::Pass, Verdict::NotReproduced),
            (Verdict::TimedOut, Verdict::TimedOut, Verdict::TimedOut),
            (Verdict::TimedOut, Verdict::Pass, Verdict::Pass),
            (Verdict::Pass, Verdict::WorkerLost, Verdict::Mismatch),
            (Verdict::Pass, Verdict::TimedOut, Verdict::Mismatch),
            (Verdict::Pass, Verdict::Bug, Verdict::Bug),
        ] {
            let judged = Confirmed::default().judge(ended(first), ended(second));
            assert_eq!(judged.verdict, expected, "{first:?}, then {second:?}");
        }
    }

    #[test]
    fn the_share_that_is_made_twice_is_as_large_as_asked_and_always_the_same() {
        for percent in [0, 2, 50, 100] {
            let rule = Confirm {
                twice_percent: percent,
                ..RULE
            };
            let chosen = (0..10_000)
                .filter(|seed| rule.chooses("gossip", *seed))
                .count();
            let expected = usize::from(percent) * 100;
            assert!(chosen.abs_diff(expected) <= 150, "{percent} %: {chosen}");
        }
    }
}
