//! Which failures are shrunk, and the records that wait for it.
//!
//! A campaign may fail in most of its seeds. Of the failures that look alike (same signature, same
//! hint) the first few are shrunk, first meaning the lowest seed; the first of each look goes before the
//! second of any, and anomalies that are known by name last. Where failures are known, more are shrunk of
//! those without a hint: they may be anything, and what is not shrunk goes by its look.
//!
//! All that is a function of the campaign's records and of what is known: of the order of records, of how
//! the work was split, and of where it was interrupted, nothing depends. What a shard shrinks are all that
//! the whole campaign would shrink of its runs, and some more: joining shards is choosing again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::baseline::Beyond;
use super::fingerprint::Fingerprint;
use super::known::Known;
use super::record::Record;
use super::trial::Case;
use crate::catalog::CatalogEntry;
use crate::claims::claims_met;
use crate::model::Scenario;
use crate::report::Report;
use crate::run::failure::Signature;
use crate::shrink::{Size, Watcher};
use crate::watch::judge::Verdict;

/// The failures to shrink, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shrinking {
    /// How many failures that look alike are shrunk; default 2. Where failures are known, ten times as
    /// many of those that look like no anomaly.
    pub per_signature: u64,
    /// How many are shrunk in all; default 500.
    pub most: u64,
}

impl Shrinking {
    /// The strictest limits of several shards; `None` if no shard shrinks.
    #[must_use]
    pub fn common(all: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        all.into_iter().flatten().reduce(|one, other| Self {
            per_signature: one.per_signature.min(other.per_signature),
            most: one.most.min(other.most),
        })
    }
}

impl Default for Shrinking {
    fn default() -> Self {
        Self {
            per_signature: 2,
            most: 500,
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

/// A run of a campaign, by what makes it. In the order of seeds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunKey {
    /// The seed.
    pub seed: u64,
    /// `generated`, or the path of the scenario file as it was given.
    pub scenario: String,
    /// The strategy.
    pub strategy: String,
}

impl RunKey {
    /// That of a record.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        Self {
            seed: record.seed,
            scenario: record.scenario.clone(),
            strategy: record.strategy.clone(),
        }
    }
}

/// A failure of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailureKey {
    /// The run.
    #[serde(flatten)]
    pub run: RunKey,
    /// How it fails.
    pub signature: Signature,
}

/// A line of `shrunk.ndjson`: a failure, and what was left of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShrunkLine {
    /// The failure.
    #[serde(flatten)]
    pub of: FailureKey,
    /// The smaller one; `None` if it cannot be shrunk.
    pub shrunk: Option<ShrunkFailure>,
}

/// The failures that were shrunk, by what they were.
pub type AllShrunk = BTreeMap<FailureKey, Option<ShrunkFailure>>;

/// Signature and hint: failures that share both are taken for the same one until they are shrunk.
type Look = (Signature, Option<String>);

/// How many times as many failures without a hint are shrunk where failures are known.
const UNHINTED: u64 = 10;

/// Records of which failures may be shrunk: they are not told of before that is decided.
#[derive(Debug, Default, Clone)]
pub struct WaitingRecords {
    rule: Option<Shrinking>,
    known: Known,
    /// The first runs of each look.
    looks: BTreeMap<Look, BTreeSet<RunKey>>,
    /// With how many looks each is among the first of.
    records: BTreeMap<RunKey, (Record, usize)>,
}

impl WaitingRecords {
    /// None yet. Without a rule, none ever.
    #[must_use]
    pub fn new(rule: Option<Shrinking>, known: Known) -> Self {
        Self {
            rule,
            known,
            ..Self::default()
        }
    }

    /// Takes a record, and returns those that have nothing to wait for (any more), without what was known
    /// of their failures after shrinking.
    pub fn offer(&mut self, mut record: Record) -> Vec<Record> {
        for finding in &mut record.findings {
            finding.fingerprint = None;
            finding.anomaly = None;
        }
        let most = self.rule.map_or(0, |rule| rule.per_signature);
        if record.verdict != Verdict::Fail || most == 0 {
            return vec![record];
        }
        let most_unhinted = if self.known.is_empty() {
            most
        } else {
            most.saturating_mul(UNHINTED)
        };
        let key = RunKey::of(&record);
        let (mut chosen, mut displaced) = (0, Vec::new());
        for finding in &record.findings {
            let look = (finding.signature.clone(), finding.hint.clone());
            let most = if look.1.is_some() {
                most
            } else {
                most_unhinted
            };
            let first = self.looks.entry(look).or_default();
            if first.insert(key.clone()) {
                chosen += 1;
            }
            if first.len() as u64 > most {
                displaced.extend(first.pop_last());
            }
        }
        if chosen == 0 {
            return vec![record];
        }
        self.records.insert(key, (record, chosen));
        displaced
            .iter()
            .filter_map(|key| self.release(key))
            .collect()
    }

    /// One look less has the record among its first.
    fn release(&mut self, key: &RunKey) -> Option<Record> {
        let (_, chosen) = self.records.get_mut(key)?;
        *chosen -= 1;
        if *chosen > 0 {
            return None;
        }
        self.records.remove(key).map(|(record, _)| record)
    }

    /// True if no record waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The failures to shrink, each with its hint, the most important first, and how many more there are
    /// than the rule allows.
    #[must_use]
    pub fn chosen(&self) -> (Vec<(FailureKey, Option<String>)>, usize) {
        let mut ranked = BTreeMap::new();
        for ((signature, hint), runs) in &self.looks {
            let strategy = signature.strategy.as_str();
            let known = hint.as_deref();
            let is_known = known.is_some_and(|name| self.known.has_anomaly(strategy, name));
            for (rank, run) in runs.iter().enumerate() {
                let key = FailureKey {
                    run: run.clone(),
                    signature: signature.clone(),
                };
                ranked.insert((is_known, rank, key), hint.clone());
            }
        }
        let most = self.rule.map_or(0, |rule| rule.most);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let left_out = ranked.len().saturating_sub(most);
        let ranked = ranked.into_iter().take(most);
        let chosen = ranked.map(|((_, _, key), hint)| (key, hint));
        (chosen.collect(), left_out)
    }

    /// Returns all of them, in order, with what was left of the failures that were chosen. What was
    /// shrunk beside those counts for nothing, and is taken out.
    pub fn settle(&mut self, shrunk: &mut AllShrunk) -> Vec<Record> {
        let (chosen, _) = self.chosen();
        let chosen: BTreeSet<FailureKey> = chosen.into_iter().map(|(key, _)| key).collect();
        shrunk.retain(|key, _| chosen.contains(key));
        self.looks.clear();
        let records = std::mem::take(&mut self.records).into_values();
        let settled = records.map(|(mut record, _)| {
            let run = RunKey::of(&record);
            for finding in &mut record.findings {
                let key = FailureKey {
                    run: run.clone(),
                    signature: finding.signature.clone(),
                };
                if let Some(Some(shrunk)) = shrunk.get(&key) {
                    finding.fingerprint = Some(shrunk.fingerprint.slug());
                    finding.anomaly.clone_from(&shrunk.fingerprint.anomaly);
                }
            }
            record
        });
        settled.collect()
    }
}

/// Of several failures with one fingerprint the one whose scenario file is kept: that of the first run.
#[must_use]
pub fn files(shrunk: &AllShrunk) -> BTreeMap<String, &ShrunkFailure> {
    let mut files = BTreeMap::new();
    for failure in shrunk.values().flatten() {
        files.entry(failure.fingerprint.slug()).or_insert(failure);
    }
    files
}

/// Sees to it that a shrunk failure stays one that the campaign reports.
pub(super) struct Keeps<'a> {
    /// The strategy that claims an oracle, under a condition that is still to be met.
    pub(super) claim: Option<(&'a dyn CatalogEntry, &'a str)>,
    /// The baseline that does not show it.
    pub(super) beyond: Option<Beyond<'a>>,
}

impl Watcher for Keeps<'_> {
    fn accepts(&mut self, scenario: &Scenario, _report: &Report) -> bool {
        let is_claimed = self.claim.is_none_or(|(entry, oracle)| {
            let met = claims_met(entry, scenario);
            met.iter().any(|claim| claim.oracle == oracle)
        });
        let beyond = self.beyond.as_ref();
        is_claimed && beyond.is_none_or(|beyond| beyond.accepts(scenario))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::record::tests::failed;

    const SIZE: Size = Size { steps: 0, nodes: 0 };

    const RULE: Shrinking = Shrinking {
        per_signature: 2,
        most: 5,
    };

    fn hinted(seed: u64, hint: Option<&str>) -> Record {
        let mut record = failed("pubsub", seed);
        record.findings[0].hint = hint.map(str::to_owned);
        record
    }

    const OFFERED: [(u64, Option<&str>); 8] = [
        (1, None),
        (2, None),
        (3, None),
        (4, Some("A2")),
        (5, Some("A2")),
        (6, Some("A1")),
        (7, Some("A5")),
        (8, Some("A5")),
    ];

    fn seeds(chosen: &[(FailureKey, Option<String>)]) -> Vec<u64> {
        chosen.iter().map(|(key, _)| key.run.seed).collect()
    }

    #[test]
    fn of_each_look_a_few_are_shrunk_the_first_of_each_before_the_second() {
        let mut waiting = WaitingRecords::new(Some(RULE), Known::default());
        let mut told: Vec<u64> = Vec::new();
        for (seed, hint) in OFFERED {
            told.extend(waiting.offer(hinted(seed, hint)).iter().map(|one| one.seed));
        }
        assert_eq!(told, [3], "the third of a look");
        let (chosen, left_out) = waiting.chosen();
        assert_eq!(seeds(&chosen), [1, 4, 6, 7, 2]);
        assert_eq!(left_out, 2);
    }

    #[test]
    fn what_is_known_by_name_is_shrunk_last() {
        let known = Known::new(["pubsub:A1".to_owned(), "gossip:A2".to_owned()]);
        let mut waiting = WaitingRecords::new(Some(RULE), known);
        for (seed, hint) in OFFERED {
            waiting.offer(hinted(seed, hint));
        }
        let (chosen, left_out) = waiting.chosen();
        assert_eq!((seeds(&chosen), left_out), (vec![1, 4, 7, 2, 5], 3));
    }

    #[test]
    fn where_failures_are_known_more_are_shrunk_of_those_that_look_like_nothing() {
        for (known, unhinted) in [(Known::default(), 2), (Known::new(["f".to_owned()]), 20)] {
            let rule = Shrinking { most: 100, ..RULE };
            let mut waiting = WaitingRecords::new(Some(rule), known);
            for seed in 0..50 {
                let hint = (seed % 2 == 0).then_some("A2");
                waiting.offer(hinted(seed, hint));
            }
            let (chosen, _) = waiting.chosen();
            let without = chosen.iter().filter(|(_, hint)| hint.is_none()).count();
            assert_eq!((without, chosen.len()), (unhinted, unhinted + 2));
        }
    }

    #[test]
    fn neither_the_order_nor_shards_change_what_is_chosen() {
        let all = |records: &mut dyn Iterator<Item = (u64, Option<&str>)>| {
            let mut waiting = WaitingRecords::new(Some(RULE), Known::default());
            for (seed, hint) in records {
                waiting.offer(hinted(seed, hint));
            }
            waiting.chosen().0
        };
        let whole = all(&mut OFFERED.into_iter());
        assert_eq!(all(&mut OFFERED.into_iter().rev()), whole);
        for count in 2..5 {
            let shards: Vec<_> = (0..count)
                .flat_map(|index| {
                    all(&mut OFFERED.into_iter().filter(|one| one.0 % count == index))
                })
                .collect();
            let is_there = |one| shards.contains(one);
            assert!(whole.iter().all(is_there), "{count}: {shards:?}");
        }
    }

    #[test]
    fn records_get_what_was_left_of_their_failures() {
        let mut waiting = WaitingRecords::new(Some(RULE), Known::default());
        let mut before = hinted(1, None);
        before.findings[0].fingerprint = Some("of an earlier join".to_owned());
        assert!(waiting.offer(before).is_empty());
        let (chosen, _) = waiting.chosen();
        let shrunk = ShrunkFailure {
            fingerprint: Fingerprint {
                signature: chosen[0].0.signature.clone(),
                steps: Vec::new(),
                anomaly: Some("A2".to_owned()),
            },
            file: "a file".to_owned(),
            seed: 1,
            before: SIZE,
            after: SIZE,
            runs: 1,
        };
        let elsewhere = FailureKey {
            run: RunKey {
                seed: 9,
                ..chosen[0].0.run.clone()
            },
            ..chosen[0].0.clone()
        };
        let mut all = AllShrunk::from([
            (chosen[0].0.clone(), Some(shrunk.clone())),
            (elsewhere, Some(shrunk.clone())),
        ]);
        let settled = waiting.settle(&mut all);
        assert_eq!(
            settled[0].findings[0].fingerprint,
            Some(shrunk.fingerprint.slug())
        );
        assert_eq!(settled[0].findings[0].anomaly.as_deref(), Some("A2"));
        assert_eq!(all.len(), 1, "what was not chosen is gone");
        assert_eq!(files(&all).len(), 1);
        assert!(waiting.is_empty());
    }

    #[test]
    fn what_does_not_fail_and_what_is_not_to_be_shrunk_waits_for_nothing() {
        let mut waiting = WaitingRecords::new(None, Known::default());
        assert_eq!(waiting.offer(failed("pubsub", 1)).len(), 1);
        let mut waiting = WaitingRecords::new(Some(RULE), Known::default());
        let passed = crate::campaign::record::tests::record("pubsub", 1);
        assert_eq!(waiting.offer(passed).len(), 1);
    }
}
