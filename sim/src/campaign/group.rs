//! Failures of a campaign by what fails.
//!
//! A group is what failures of one scenario and strategy have in common: the anomaly that they are or
//! look like, and their signature. Those that were shrunk have a fingerprint each, and files by that
//! name; a group may have several. The failure with the lowest seed stands for all.

use std::collections::{BTreeMap, BTreeSet};

use super::known::Known;
use super::record::Record;
use crate::run::failure::{Failure, Signature};
use crate::watch::judge::Verdict;

/// Key by which failures of a campaign are grouped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    /// The strategy.
    pub strategy: String,
    /// `generated`, or the path of the scenario file.
    pub scenario: String,
    /// Anomaly and claim, or verdict.
    pub what: What,
}

/// Anomaly and claim of failures, or the verdict of runs in which no oracle or expectation failed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// An oracle or an expectation.
    Failure {
        /// The anomaly: of failures that were shrunk, the one that they are; of others, the one that
        /// they look like.
        anomaly: Option<String>,
        /// Kind and identity of the claim.
        signature: Signature,
    },
    /// The run itself, which ended so.
    Ended(Verdict),
}

impl What {
    pub(super) fn of(finding: &Failure) -> Self {
        let anomaly = match &finding.fingerprint {
            Some(_) => &finding.anomaly,
            None => &finding.hint,
        };
        Self::Failure {
            anomaly: anomaly.clone(),
            signature: finding.signature.clone(),
        }
    }

    /// Kind and identity of the claim that fails, if it is an oracle or an expectation.
    #[must_use]
    pub fn signature(&self) -> Option<&Signature> {
        match self {
            Self::Failure { signature, .. } => Some(signature),
            Self::Ended(_) => None,
        }
    }

    /// The anomaly that these failures are, or look like.
    #[must_use]
    pub fn anomaly(&self) -> Option<&str> {
        match self {
            Self::Failure { anomaly, .. } => anomaly.as_deref(),
            Self::Ended(_) => None,
        }
    }
}

/// Failures of a group by fingerprint; `None` are those that were not shrunk.
pub(super) type Forms = BTreeMap<Option<String>, Form>;

/// Failures of a group that are the same after shrinking, or those that were not shrunk.
#[derive(Debug, Clone)]
pub(super) struct Form {
    runs: u64,
    /// The lowest seed.
    seed: u64,
    /// The failure of the run with this seed; `None` if no oracle or expectation failed in it.
    finding: Option<Failure>,
    /// True if each of the runs is known to fail as it does.
    is_expected: bool,
    /// The anomalies that the unshrunk runs look like; `None` for those that look like none.
    hints: BTreeSet<Option<String>>,
}

impl Form {
    pub(super) fn of(record: &Record, finding: Option<&Failure>) -> Self {
        let hint = finding.map(|finding| finding.hint.clone());
        Self {
            runs: 1,
            seed: record.seed,
            finding: finding.cloned(),
            is_expected: record.expected,
            hints: hint.into_iter().collect(),
        }
    }

    pub(super) fn add(&mut self, record: &Record, finding: Option<&Failure>) {
        self.runs += 1;
        self.hints
            .extend(finding.map(|finding| finding.hint.clone()));
        self.is_expected &= record.expected;
        if record.seed < self.seed {
            self.seed = record.seed;
            self.finding = finding.cloned();
        }
    }
}

/// Failures that are the same one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Group<'a> {
    /// Strategy and scenario, with anomaly and claim or verdict.
    pub key: &'a GroupKey,
    /// How many runs have it.
    pub runs: u64,
    /// The lowest of their seeds.
    pub seed: u64,
    /// The failure of the run with that seed; `None` if no oracle or expectation failed in it.
    pub finding: Option<&'a Failure>,
    /// The fingerprints of those that were shrunk, the lowest seed first.
    pub fingerprints: Vec<&'a str>,
    /// How many of the runs were not shrunk.
    pub unshrunk: u64,
}

impl<'a> Group<'a> {
    fn of(key: &'a GroupKey, forms: &[(Option<&'a str>, &'a Form)]) -> Option<Self> {
        let mut forms = forms.to_vec();
        forms.sort_by_key(|(_, form)| form.seed);
        let (_, first) = forms.first()?;
        Some(Self {
            key,
            runs: forms.iter().map(|(_, form)| form.runs).sum(),
            seed: first.seed,
            finding: first.finding.as_ref(),
            fingerprints: forms.iter().filter_map(|(name, _)| *name).collect(),
            unshrunk: forms
                .iter()
                .filter(|(name, _)| name.is_none())
                .map(|(_, form)| form.runs)
                .sum(),
        })
    }

    /// True if a failure of this run, or its ending, is in the group.
    #[must_use]
    pub fn has(&self, record: &Record) -> bool {
        let GroupKey {
            strategy,
            scenario,
            what,
        } = self.key;
        if *strategy != record.strategy || *scenario != record.scenario {
            return false;
        }
        match what {
            What::Ended(ending) => *ending == record.verdict,
            What::Failure { .. } => record.findings.iter().any(|finding| {
                What::of(finding) == *what
                    && match finding.fingerprint.as_deref() {
                        Some(fingerprint) => self.fingerprints.contains(&fingerprint),
                        None => self.unshrunk > 0,
                    }
            }),
        }
    }

    /// The anomaly's name: of failures that were shrunk as it is, of others, which only look like it, with
    /// a question mark.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let is_unshrunk = self.fingerprints.is_empty();
        let doubt = if is_unshrunk { "?" } else { "" };
        let anomaly = self.key.what.anomaly();
        anomaly.map(|name| format!("{name}{doubt}"))
    }
}

/// The groups of a campaign's failures.
#[derive(Debug)]
pub struct Groups<'a> {
    /// Failures that fail the campaign.
    pub news: Vec<Group<'a>>,
    /// Known failures, which do not.
    pub known: Vec<Group<'a>>,
}

impl<'a> Groups<'a> {
    pub(super) fn of(failures: &'a BTreeMap<GroupKey, Forms>, known: &Known) -> Self {
        let known_looks = known_looks(failures, known);
        let is_known = |key: &GroupKey, fingerprint: Option<&str>, form: &Form| {
            let What::Failure { anomaly, signature } = &key.what else {
                return form.is_expected;
            };
            form.is_expected
                || is_named(key, known)
                || match fingerprint {
                    Some(fingerprint) => known.has(fingerprint),
                    None => known_looks.contains(&(signature, anomaly.as_deref())),
                }
        };
        let mut groups = Self {
            news: Vec::new(),
            known: Vec::new(),
        };
        for (key, forms) in failures {
            let forms = forms.iter().map(|(name, form)| (name.as_deref(), form));
            let (known, news): (Vec<_>, Vec<_>) =
                forms.partition(|(name, form)| is_known(key, *name, form));
            groups.known.extend(Group::of(key, &known));
            groups.news.extend(Group::of(key, &news));
        }
        for groups in [&mut groups.news, &mut groups.known] {
            groups.sort_by_cached_key(|group| {
                let what = &group.key.what;
                let name = group.name();
                (
                    what.signature().map(|signature| signature.oracle.clone()),
                    name.is_none(),
                    name,
                    group.fingerprints.is_empty(),
                    group.key.strategy.clone(),
                    group.seed,
                )
            });
        }
        groups
    }

    /// All of them, new ones first.
    pub fn all(&self) -> impl Iterator<Item = &Group<'a>> {
        self.news.iter().chain(&self.known)
    }
}

/// True if failures of a group are known by the name of their anomaly.
fn is_named(key: &GroupKey, known: &Known) -> bool {
    let anomaly = key.what.anomaly();
    anomaly.is_some_and(|name| known.has_anomaly(&key.strategy, name))
}

/// The signatures with the anomaly that an unshrunk run looks like, or none, of which every shrunk failure
/// is known. A campaign shrinks the first failures that look alike, and takes the others for the same.
fn known_looks<'a>(
    failures: &'a BTreeMap<GroupKey, Forms>,
    known: &Known,
) -> BTreeSet<(&'a Signature, Option<&'a str>)> {
    let (mut old, mut new) = (BTreeSet::new(), BTreeSet::new());
    for (key, forms) in failures {
        let Some(signature) = key.what.signature() else {
            continue;
        };
        for (fingerprint, form) in forms {
            let Some(fingerprint) = fingerprint else {
                continue;
            };
            let is_known = known.has(fingerprint) || is_named(key, known);
            let side = if is_known { &mut old } else { &mut new };
            side.extend(form.hints.iter().map(|hint| (signature, hint.as_deref())));
        }
    }
    &old - &new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::record::tests::{ended, failed, record, shrunk};
    use crate::campaign::summary::Summary;

    fn knowing(fingerprints: &[&str], records: &[Record]) -> Summary {
        let known = Known::new(fingerprints.iter().copied().map(str::to_owned));
        let mut summary = Summary::new(&(0..1_000)).knowing(known);
        records.iter().for_each(|record| summary.add(record));
        summary
    }

    #[test]
    fn failures_of_one_signature_are_one_group_told_by_its_lowest_seed() {
        let records = [
            shrunk("gossip", 9, "f"),
            shrunk("gossip", 4, "g"),
            failed("gossip", 7),
            shrunk("gossip", 8, "f"),
        ];
        let forward = knowing(&[], &records);
        let mut reversed = records.to_vec();
        reversed.reverse();
        for summary in [forward, knowing(&[], &reversed)] {
            let groups = summary.groups();
            let [group] = groups.news.as_slice() else {
                panic!("{groups:?}");
            };
            assert_eq!((group.runs, group.seed), (4, 4));
            let detail = group.finding.map(|finding| finding.detail.as_str());
            assert!(detail.is_some_and(|detail| detail.contains("seed 4")));
            assert_eq!(group.unshrunk, 1);
            assert_eq!(group.fingerprints, ["g", "f"], "the lowest seed first");
        }
    }

    #[test]
    fn what_is_new_of_a_group_stands_beside_what_is_known() {
        let records = [
            shrunk("gossip", 1, "f"),
            shrunk("gossip", 2, "g"),
            failed("gossip", 3),
        ];
        let of = |known: &[&str]| {
            let summary = knowing(known, &records);
            let groups = summary.groups();
            let sum = |of: &[Group<'_>]| of.iter().map(|group| group.runs).sum::<u64>();
            let has = |of: &[Group<'_>], record| of.iter().any(|group| group.has(record));
            for record in &records {
                assert_ne!(has(&groups.news, record), has(&groups.known, record));
            }
            [sum(&groups.news), sum(&groups.known)]
        };
        assert_eq!(of(&[]), [3, 0]);
        assert_eq!(of(&["f"]), [2, 1], "the one that was not shrunk may be `g`");
        assert_eq!(of(&["f", "g"]), [0, 3]);
    }

    #[test]
    fn what_was_not_shrunk_is_known_if_all_that_looks_like_it_is() {
        let hinted = |mut record: Record, hint: &str| {
            record.findings[0].hint = Some(hint.to_owned());
            record
        };
        let records = [
            hinted(shrunk("gossip", 1, "f"), "A4"),
            hinted(failed("gossip", 2), "A4"),
            hinted(failed("gossip", 3), "A5"),
            shrunk("gossip", 4, "g"),
            failed("gossip", 5),
        ];
        let summary = knowing(&["f"], &records);
        let groups = summary.groups();
        let seeds = |of: &[Group<'_>]| of.iter().map(|group| group.seed).collect::<Vec<u64>>();
        assert_eq!(seeds(&groups.known), [2, 1], "those with a name first");
        assert_eq!(seeds(&groups.news), [3, 4]);
    }

    #[test]
    fn names_strategies_and_endings_are_told_apart() {
        let named = |seed, name: &str| {
            let mut record = failed("gossip", seed);
            record.findings[0].hint = Some(name.to_owned());
            record
        };
        let summary = knowing(
            &[],
            &[
                named(1, "A5"),
                failed("gossip", 2),
                failed("pubsub", 3),
                ended("pubsub", 4, Verdict::WorkerLost),
                ended("pubsub", 5, Verdict::Inconclusive),
                record("pubsub", 6),
                named(7, "A4"),
            ],
        );
        let groups = summary.groups();
        let seeds: Vec<u64> = groups.news.iter().map(|group| group.seed).collect();
        assert_eq!(seeds, [4, 7, 1, 2, 3], "by oracle, name and strategy");
        assert_eq!(groups.news[1].name().as_deref(), Some("A4?"));
        assert_eq!((summary.runs(), summary.events()), (7, 700));
        assert_eq!(summary.ended(Verdict::Fail), 4);
    }
}
