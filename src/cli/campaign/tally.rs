//! Records added up: how many runs ended how, and which failures are the same one.
//!
//! The order of the records does not matter: of each group the failure with the lowest seed stands
//! for all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use hublab_sim::campaign::record::{Ending, Record};
use hublab_sim::run::failure::{Failure, Signature};

use super::known::Known;
use crate::cli::exit::Exit;
use crate::cli::render::number::counted;

/// What a campaign came to.
#[derive(Debug)]
pub(in crate::cli) struct Tally {
    /// Seeds per chunk.
    chunk: u64,
    /// The runs by strategy and scenario.
    pub(in crate::cli) suites: BTreeMap<(String, String), Suite>,
    /// The failures by what fails.
    pub(in crate::cli) groups: BTreeMap<Key, Group>,
    /// The first run that could not be judged: its seed, scenario and strategy.
    pub(in crate::cli) open: Option<(u64, String, String)>,
    /// The failures that are no news.
    pub(in crate::cli) known: Known,
}

/// The runs of one strategy in one scenario, or in generated ones.
#[derive(Debug, Default)]
pub(in crate::cli) struct Suite {
    /// How many ended how.
    pub(in crate::cli) endings: BTreeMap<Ending, u64>,
    /// Trace events.
    pub(in crate::cli) events: u64,
    /// The real time of all runs one after another, in microseconds.
    pub(in crate::cli) wall_us: u64,
    /// The runs by the first seed of their chunk.
    pub(in crate::cli) chunks: BTreeMap<u64, Chunk>,
}

/// Some of a suite's runs whose seeds follow each other.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::cli) struct Chunk {
    pub(in crate::cli) runs: u64,
    pub(in crate::cli) passed: u64,
    pub(in crate::cli) wall_us: u64,
}

/// What makes two failures of a campaign one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) struct Key {
    pub(in crate::cli) strategy: String,
    /// `generated`, or the path of the scenario file.
    pub(in crate::cli) scenario: String,
    pub(in crate::cli) what: What,
}

/// What a group of failures has in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum What {
    /// These were shrunk, and have this fingerprint.
    Shrunk(String, Signature),
    /// These were not, and have this signature.
    Unshrunk(Signature),
    /// These have no verdict of an oracle, but ended so.
    Ended(Ending),
}

/// Failures that are the same one.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Group {
    /// How many runs have it.
    pub(in crate::cli) runs: u64,
    /// The lowest of their seeds.
    pub(in crate::cli) seed: u64,
    /// The finding of that run; `None` for an ending.
    pub(in crate::cli) finding: Option<Failure>,
}

impl Tally {
    /// The most chunks of a suite.
    const CHUNKS_MAX: u64 = 100;
    /// The seeds of a chunk, in campaigns that are not too long for it.
    const CHUNK: u64 = 1_000;

    /// Nothing yet, of a campaign over `seeds`.
    pub(in crate::cli) fn new(seeds: &Range<u64>) -> Self {
        let all = seeds.end.saturating_sub(seeds.start);
        let mut chunk = Self::CHUNK;
        while all / chunk > Self::CHUNKS_MAX {
            chunk = chunk.saturating_mul(10);
        }
        Self {
            chunk,
            suites: BTreeMap::new(),
            groups: BTreeMap::new(),
            open: None,
            known: Known::default(),
        }
    }

    /// The same, with failures that are no news.
    pub(in crate::cli) fn knowing(mut self, known: Known) -> Self {
        self.known = known;
        self
    }

    /// Adds a run.
    pub(in crate::cli) fn add(&mut self, record: &Record) {
        let name = (record.strategy.clone(), record.scenario.clone());
        let suite = self.suites.entry(name).or_default();
        *suite.endings.entry(record.verdict).or_default() += 1;
        suite.events = suite.events.saturating_add(record.events);
        suite.wall_us = suite.wall_us.saturating_add(record.wall_us);
        let first = record.seed - record.seed % self.chunk;
        let chunk = suite.chunks.entry(first).or_default();
        chunk.runs += 1;
        chunk.passed += u64::from(record.verdict == Ending::Pass);
        chunk.wall_us = chunk.wall_us.saturating_add(record.wall_us);
        if record.verdict == Ending::Inconclusive {
            let (scenario, strategy) = (record.scenario.clone(), record.strategy.clone());
            let open = (record.seed, scenario, strategy);
            self.open = Some(match self.open.take() {
                Some(first) => first.min(open),
                None => open,
            });
        }
        for finding in &record.findings {
            let signature = finding.signature.clone();
            let what = match &finding.fingerprint {
                Some(fingerprint) => What::Shrunk(fingerprint.clone(), signature),
                None => What::Unshrunk(signature),
            };
            self.group(record, what, Some(finding));
        }
        if !matches!(record.verdict, Ending::Pass | Ending::Inconclusive)
            && (record.findings.is_empty() || record.verdict != Ending::Fail)
        {
            self.group(record, What::Ended(record.verdict), None);
        }
    }

    fn group(&mut self, record: &Record, what: What, finding: Option<&Failure>) {
        let key = Key {
            strategy: record.strategy.clone(),
            scenario: record.scenario.clone(),
            what,
        };
        let first = || Group {
            runs: 0,
            seed: record.seed,
            finding: finding.cloned(),
        };
        let group = self.groups.entry(key).or_insert_with(first);
        let runs = group.runs + 1;
        if record.seed < group.seed {
            *group = first();
        }
        group.runs = runs;
    }

    /// What all runs together came to, known failures aside.
    pub(in crate::cli) fn exit(&self) -> Exit {
        let has_news = !self.groups_by_seed().news.is_empty();
        let endings = self.suites.values().flat_map(|suite| suite.endings.keys());
        let counted = endings.filter(|ending| **ending != Ending::Fail || has_news);
        let exits = counted.map(|ending| Exit::from(*ending));
        exits.max().unwrap_or(Exit::Held)
    }

    /// How many runs ended so, in all suites.
    pub(in crate::cli) fn ended(&self, how: Ending) -> u64 {
        self.suites.values().map(|suite| suite.ended(how)).sum()
    }

    /// How many runs there are.
    pub(in crate::cli) fn runs(&self) -> u64 {
        self.suites.values().map(Suite::runs).sum()
    }

    /// How many trace events they have.
    pub(in crate::cli) fn events(&self) -> u64 {
        let events = self.suites.values().map(|suite| suite.events);
        events.fold(0, u64::saturating_add)
    }

    /// Seeds per chunk.
    pub(in crate::cli) fn chunk(&self) -> u64 {
        self.chunk
    }

    /// The groups, those whose first seed is lowest first.
    pub(in crate::cli) fn groups_by_seed(&self) -> Groups<'_> {
        let mut groups: Vec<(&Key, &Group)> = self.groups.iter().collect();
        groups.sort_by_key(|(_, group)| group.seed);
        let known_signatures = self.known_signatures();
        let is_known = |(key, _): &(&Key, &Group)| match &key.what {
            What::Shrunk(fingerprint, _) => self.known.has(fingerprint),
            What::Unshrunk(signature) => known_signatures.contains(signature),
            What::Ended(_) => false,
        };
        let (known, news) = groups.into_iter().partition(is_known);
        Groups { news, known }
    }

    /// The signatures of which every shrunk failure is known.
    fn known_signatures(&self) -> BTreeSet<&Signature> {
        let (mut known, mut news) = (BTreeSet::new(), BTreeSet::new());
        for key in self.groups.keys() {
            if let What::Shrunk(fingerprint, signature) = &key.what {
                let is_known = self.known.has(fingerprint);
                let side = if is_known { &mut known } else { &mut news };
                side.insert(signature);
            }
        }
        &known - &news
    }
}

/// What failed.
#[derive(Debug)]
pub(in crate::cli) struct Groups<'a> {
    /// What fails the campaign.
    pub(in crate::cli) news: Vec<(&'a Key, &'a Group)>,
    /// What does not: it was known before.
    pub(in crate::cli) known: Vec<(&'a Key, &'a Group)>,
}

impl fmt::Display for Groups<'_> {
    /// How many there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = |of: &[_]| counted(of.len() as u64, "group");
        let (news, known) = (groups(&self.news), groups(&self.known));
        match (self.news.is_empty(), self.known.is_empty()) {
            (true, true) => f.write_str("no failures"),
            (true, false) => write!(f, "no new failures, {known} of known ones"),
            (false, true) => write!(f, "{news} of failures"),
            (false, false) => write!(f, "{news} of failures, {known} of known ones"),
        }
    }
}

impl Suite {
    /// How many runs there are.
    pub(in crate::cli) fn runs(&self) -> u64 {
        self.endings.values().sum()
    }

    /// How many ended so.
    pub(in crate::cli) fn ended(&self, how: Ending) -> u64 {
        self.endings.get(&how).copied().unwrap_or(0)
    }
}

impl What {
    /// In one line, without the strategy: `no_resurrection ghost (deliver gossip.sync)`.
    pub(in crate::cli) fn title(&self) -> String {
        match self {
            Self::Shrunk(_, signature) | Self::Unshrunk(signature) => {
                let text = signature.to_string();
                let named = text.strip_prefix(&signature.strategy);
                named.map_or(text.clone(), |rest| rest.trim_start().to_owned())
            }
            Self::Ended(ending) => in_words(*ending).to_owned(),
        }
    }

    /// The name of the group's scenario file, without its extension.
    pub(in crate::cli) fn file_stem(&self) -> Option<&str> {
        match self {
            Self::Shrunk(fingerprint, _) => Some(fingerprint),
            Self::Unshrunk(_) | Self::Ended(_) => None,
        }
    }
}

/// An ending as people say it.
pub(in crate::cli) fn in_words(ending: Ending) -> &'static str {
    match ending {
        Ending::Pass => "passed",
        Ending::Inconclusive => "inconclusive",
        Ending::Fail => "failed",
        Ending::TimedOut => "outlived its wall-clock limit",
        Ending::WorkerLost => "ended its worker process",
        Ending::NotReproduced => "failed, but not alone in a fresh process",
        Ending::Mismatch => "came to another digest when it was made again",
        Ending::Bug => "met a bug of hublab",
    }
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::super::known::tests::known;
    use super::super::manifest::GENERATED;
    use super::*;

    /// A run of a generated scenario that passed.
    pub(in crate::cli) fn passed(strategy: &str, seed: u64) -> Record {
        Record {
            events: 100,
            wall_us: 1_000,
            ..Record::bare(GENERATED, strategy, seed, Ending::Pass)
        }
    }

    /// One in which a ghost came back.
    pub(in crate::cli) fn failed(strategy: &str, seed: u64, fingerprint: Option<&str>) -> Record {
        let signature = Signature {
            strategy: strategy.to_owned(),
            oracle: "no_resurrection".to_owned(),
            defect: "ghost".to_owned(),
            cause: format!("deliver {strategy}.sync"),
            ..Signature::default()
        };
        Record {
            verdict: Ending::Fail,
            findings: vec![Failure {
                signature,
                at_us: 31_000_000,
                node: "n3".to_owned(),
                detail: format!("child <a> of seed {seed} is \"back\" & 100% | there\nagain"),
                line: 0,
                event: None,
                fingerprint: fingerprint.map(str::to_owned),
                anomaly: fingerprint.map(|_| "A2".to_owned()),
            }],
            ..passed(strategy, seed)
        }
    }

    /// One that ended without a finding.
    pub(in crate::cli) fn ended(strategy: &str, seed: u64, verdict: Ending) -> Record {
        Record {
            verdict,
            ..passed(strategy, seed)
        }
    }

    fn tally(records: &[Record]) -> Tally {
        knowing(&[], records)
    }

    fn knowing(fingerprints: &[&str], records: &[Record]) -> Tally {
        let mut tally = Tally::new(&(0..1_000)).knowing(known(fingerprints));
        records.iter().for_each(|record| tally.add(record));
        tally
    }

    #[test]
    fn failures_of_one_fingerprint_are_one_group_told_by_its_lowest_seed() {
        let records = [9, 4, 7].map(|seed| failed("gossip", seed, Some("f")));
        let tally = tally(&records);
        let groups = tally.groups_by_seed();
        let [(key, group)] = groups.news.as_slice() else {
            panic!("{groups:?}");
        };
        assert_eq!((group.runs, group.seed), (3, 4));
        assert!(
            group
                .finding
                .as_ref()
                .is_some_and(|finding| finding.detail.contains("seed 4"))
        );
        assert_eq!(
            key.what.title(),
            "no_resurrection ghost (deliver gossip.sync)"
        );
        assert_eq!(key.what.file_stem(), Some("f"));
    }

    #[test]
    fn shrunk_and_unshrunk_failures_strategies_and_endings_are_told_apart() {
        let tally = tally(&[
            failed("gossip", 1, Some("f")),
            failed("gossip", 2, None),
            failed("pubsub", 3, None),
            ended("pubsub", 4, Ending::WorkerLost),
            ended("pubsub", 5, Ending::Inconclusive),
            passed("pubsub", 6),
        ]);
        let seeds: Vec<u64> = tally
            .groups_by_seed()
            .news
            .iter()
            .map(|(_, group)| group.seed)
            .collect();
        assert_eq!(seeds, [1, 2, 3, 4]);
        assert_eq!((tally.runs(), tally.events()), (6, 600));
        assert_eq!(tally.ended(Ending::Fail), 3);
    }

    #[test]
    fn the_exit_is_that_of_the_worst_run() {
        for (how, code) in [
            (Ending::Pass, 0),
            (Ending::Inconclusive, 3),
            (Ending::Fail, 1),
            (Ending::TimedOut, 1),
            (Ending::WorkerLost, 1),
            (Ending::NotReproduced, 4),
            (Ending::Mismatch, 4),
            (Ending::Bug, 70),
        ] {
            let tally = tally(&[ended("gossip", 1, how), passed("gossip", 2)]);
            assert_eq!(tally.exit().code(), code, "{how:?}");
        }
    }

    #[test]
    fn what_is_known_does_not_fail_a_campaign_and_what_is_new_does() {
        let shrunk = failed("pubsub", 1, Some("f"));
        let alike = failed("pubsub", 2, None);
        let other = failed("pubsub", 4, Some("g"));
        let exit = |known: &str, records: &[&Record]| {
            let records: Vec<Record> = records.iter().copied().cloned().collect();
            knowing(&[known], &records).exit()
        };
        assert_eq!(exit("f", &[&shrunk]), Exit::Held);
        assert_eq!(exit("g", &[&shrunk]), Exit::Failed);
        let both = [&shrunk, &alike, &passed("pubsub", 3)];
        assert_eq!(exit("f", &both), Exit::Held, "it looks like the known one");
        assert_eq!(
            exit("f", &[&alike]),
            Exit::Failed,
            "nothing tells what it is"
        );
        assert_eq!(exit("f", &[&shrunk, &other]), Exit::Failed);
        assert_eq!(
            knowing(&["f"], &[other, alike, shrunk])
                .groups_by_seed()
                .to_string(),
            "2 groups of failures, 1 group of known ones",
            "what looks like both may be the other one"
        );
    }

    #[test]
    fn a_lost_worker_is_news_whatever_is_known() {
        for (how, exit) in [
            (Ending::WorkerLost, Exit::Failed),
            (Ending::Inconclusive, Exit::Inconclusive),
            (Ending::Fail, Exit::Failed),
        ] {
            let records = [failed("pubsub", 1, Some("f")), ended("pubsub", 2, how)];
            assert_eq!(knowing(&["f"], &records).exit(), exit, "{how:?}");
        }
    }

    #[test]
    fn long_campaigns_have_larger_chunks() {
        assert_eq!(Tally::new(&(0..100_000)).chunk(), 1_000);
        assert_eq!(Tally::new(&(0..200_000)).chunk(), 10_000);
        assert!(Tally::new(&(0..u64::MAX)).chunk() > 1 << 50);
    }
}
