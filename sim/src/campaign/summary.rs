//! Summary of a campaign: its records added up.
//!
//! The order of the records does not matter.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::group::{Form, Forms, GroupKey, Groups, What};
use super::known::Known;
use super::reach::Reach;
use super::record::Record;
use crate::generate::Family;
use crate::run::failure::Failure;
use crate::watch::judge::Verdict;

/// How a campaign ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All of its runs were made.
    Complete,
    /// Its time was over.
    Budget,
    /// It had as many failures as it was to have.
    MaxFailures,
    /// It was interrupted, or its observer wanted no more.
    Stopped,
}

/// Sums over a campaign's records, whatever their order.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Summary {
    /// Seeds per chunk.
    chunk: u64,
    /// The runs by strategy and scenario.
    pub suites: BTreeMap<(String, String), Suite>,
    /// Runs by strategy.
    pub strategies: BTreeMap<String, Work>,
    /// The counters of all runs, added up.
    pub reach: Reach,
    /// The fault families, by name.
    pub families: BTreeMap<String, FamilyReach>,
    /// In how many runs of a strategy the condition of its claim of an oracle was met, by strategy
    /// and oracle.
    pub claims: BTreeMap<(String, String), u64>,
    /// What must happen in some run, by strategy, scenario and name, and true if it did.
    pub sometimes: BTreeMap<(String, String, String), bool>,
    /// How many failures the baseline shows, too, which are left out.
    pub of_baseline: u64,
    /// The failures by what fails.
    failures: BTreeMap<GroupKey, Forms>,
    /// The failures that are no news.
    pub known: Known,
    /// How many inconclusive runs do not make the campaign inconclusive.
    pub allowed_inconclusive: u64,
    /// Runs that ended otherwise than an oracle says, the lowest seeds first, at most 20 per
    /// ending.
    pub odd: BTreeMap<Verdict, Vec<Odd>>,
    /// The most that a worker's memory grew by after its first run, in bytes; 0 if workers cannot
    /// tell.
    pub growth: u64,
}

/// Runs of a strategy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Runs.
    pub runs: u64,
    /// Trace events.
    pub events: u64,
    /// Virtual time, in microseconds.
    pub virtual_us: u64,
    /// The time of all runs one after another, in microseconds.
    pub wall_us: u64,
}

/// Effects of a fault family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FamilyReach {
    /// Runs in which it was switched on.
    pub on: u64,
    /// Those in which it did something.
    pub worked: u64,
}

/// The runs of one strategy in one scenario, or in generated ones.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Suite {
    /// How many ended how.
    pub endings: BTreeMap<Verdict, u64>,
    /// Trace events.
    pub events: u64,
    /// The real time of all runs one after another, in microseconds.
    pub wall_us: u64,
    /// The runs by the first seed of their chunk.
    pub chunks: BTreeMap<u64, Chunk>,
}

/// Some of a suite's runs whose seeds follow each other.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chunk {
    /// Runs.
    pub runs: u64,
    /// Those that passed.
    pub passed: u64,
    /// The real time of all runs one after another, in microseconds.
    pub wall_us: u64,
}

impl Suite {
    /// The number of runs.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.endings.values().sum()
    }

    /// How many ended so.
    #[must_use]
    pub fn ended(&self, how: Verdict) -> u64 {
        self.endings.get(&how).copied().unwrap_or(0)
    }
}

/// A run that no oracle judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd {
    /// `generated`, or a file.
    pub scenario: String,
    /// The strategy.
    pub strategy: String,
    /// The seed.
    pub seed: u64,
    /// The text.
    pub note: String,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scenario,
            strategy,
            seed,
            note,
        } = self;
        write!(f, "{strategy}, seed {seed} of {scenario}: {note}")
    }
}

/// How many runs of each odd ending are remembered.
const ODD_MAX: usize = 20;

/// The counters that show that a family did something; none for those that always do.
fn traces(family: Family) -> &'static [&'static str] {
    match family {
        Family::Loss => &["fault.loss"],
        Family::Duplication => &["fault.duplication"],
        Family::Reorder => &["fault.reorder"],
        Family::SlowLink | Family::SlowNode | Family::NarrowLink => &["fault.delay"],
        Family::Partition | Family::OneWayCut | Family::Isolate => &[
            "fault.cut",
            "fault.down",
            "fault.peer_down",
            "fault.not_connected",
        ],
        Family::Pause => &["fault.pause"],
        Family::Crash => &["fault.crash"],
        Family::FastReturn => &["fault.restart"],
        Family::Leave => &["fault.leave"],
        Family::LateJoin => &["fault.late_join"],
        Family::ClockStep => &["fault.clock"],
        Family::WrongView => &["fault.view"],
        Family::RawRequests => &["step.propagate"],
        Family::RawRows => &["step.rows"],
        Family::SendGap
        | Family::ServiceTime
        | Family::LongDebounce
        | Family::SharedIds
        | Family::NewMetadata => &[],
    }
}

impl Default for Summary {
    fn default() -> Self {
        Self::new(&(0..0))
    }
}

impl Summary {
    /// The most chunks of a suite.
    const CHUNKS_MAX: u64 = 100;
    /// The seeds of a chunk, in campaigns that are not too long for it.
    const CHUNK: u64 = 1_000;

    /// Nothing yet, of a campaign over `seeds`.
    #[must_use]
    pub fn new(seeds: &Range<u64>) -> Self {
        let all = seeds.end.saturating_sub(seeds.start);
        let mut chunk = Self::CHUNK;
        while all / chunk > Self::CHUNKS_MAX {
            chunk = chunk.saturating_mul(10);
        }
        Self {
            chunk,
            suites: BTreeMap::new(),
            strategies: BTreeMap::new(),
            reach: Reach::new(),
            families: BTreeMap::new(),
            claims: BTreeMap::new(),
            sometimes: BTreeMap::new(),
            of_baseline: 0,
            failures: BTreeMap::new(),
            known: Known::default(),
            allowed_inconclusive: 0,
            odd: BTreeMap::new(),
            growth: 0,
        }
    }

    /// The same, with failures that are no news.
    #[must_use]
    pub fn knowing(mut self, known: Known) -> Self {
        self.known = known;
        self
    }

    /// The same, with that many inconclusive runs allowed.
    #[must_use]
    pub fn allowing_inconclusive(mut self, runs: u64) -> Self {
        self.allowed_inconclusive = runs;
        self
    }

    /// Adds a run.
    pub fn add(&mut self, record: &Record) {
        self.add_to_suite(record);
        let work = self.strategies.entry(record.strategy.clone()).or_default();
        work.runs += 1;
        work.events = work.events.saturating_add(record.events);
        work.virtual_us = work.virtual_us.saturating_add(record.virtual_us);
        work.wall_us = work.wall_us.saturating_add(record.wall_us);
        self.of_baseline += record.of_baseline;
        for (name, count) in &record.reach {
            match self.reach.get_mut(name) {
                Some(sum) => *sum = sum.saturating_add(*count),
                None => {
                    self.reach.insert(name.clone(), *count);
                }
            }
        }
        for name in &record.families {
            let reach = self.families.entry(name.clone()).or_default();
            let traces = Family::by_name(name).map_or(&[][..], traces);
            reach.on += 1;
            let worked =
                traces.is_empty() || traces.iter().any(|one| record.reach.contains_key(*one));
            reach.worked += u64::from(worked);
        }
        for oracle in &record.claimed {
            let claim = (record.strategy.clone(), oracle.clone());
            *self.claims.entry(claim).or_default() += 1;
        }
        for (name, seen) in &record.sometimes {
            let (strategy, scenario) = (record.strategy.clone(), record.scenario.clone());
            let claim = (strategy, scenario, name.clone());
            *self.sometimes.entry(claim).or_default() |= *seen;
        }
        let is_odd = match record.verdict {
            Verdict::Pass | Verdict::Fail => false,
            Verdict::Inconclusive
            | Verdict::TimedOut
            | Verdict::WorkerLost
            | Verdict::NotReproduced
            | Verdict::Mismatch
            | Verdict::Bug => true,
        };
        if is_odd {
            self.add_odd(record);
        }
        for finding in &record.findings {
            self.group(record, What::of(finding), Some(finding));
        }
        let is_failure = !matches!(record.verdict, Verdict::Pass | Verdict::Inconclusive);
        if is_failure && (is_odd || record.findings.is_empty()) {
            self.group(record, What::Ended(record.verdict), None);
        }
    }

    fn add_to_suite(&mut self, record: &Record) {
        let name = (record.strategy.clone(), record.scenario.clone());
        let suite = self.suites.entry(name).or_default();
        *suite.endings.entry(record.verdict).or_default() += 1;
        suite.events = suite.events.saturating_add(record.events);
        suite.wall_us = suite.wall_us.saturating_add(record.wall_us);
        let first = record.seed - record.seed % self.chunk;
        let chunk = suite.chunks.entry(first).or_default();
        chunk.runs += 1;
        chunk.passed += u64::from(record.verdict == Verdict::Pass);
        chunk.wall_us = chunk.wall_us.saturating_add(record.wall_us);
    }

    fn group(&mut self, record: &Record, what: What, finding: Option<&Failure>) {
        let key = GroupKey {
            strategy: record.strategy.clone(),
            scenario: record.scenario.clone(),
            what,
        };
        let forms = self.failures.entry(key).or_default();
        let fingerprint = finding.and_then(|finding| finding.fingerprint.clone());
        match forms.entry(fingerprint) {
            Entry::Vacant(none) => drop(none.insert(Form::of(record, finding))),
            Entry::Occupied(mut form) => form.get_mut().add(record, finding),
        }
    }

    fn add_odd(&mut self, record: &Record) {
        let odd = Odd {
            scenario: record.scenario.clone(),
            strategy: record.strategy.clone(),
            seed: record.seed,
            note: record.note.clone().unwrap_or_default(),
        };
        let all = self.odd.entry(record.verdict).or_default();
        let key = |odd: &Odd| (odd.seed, odd.scenario.clone(), odd.strategy.clone());
        let place = all.partition_point(|known| key(known) <= key(&odd));
        all.insert(place, odd);
        all.truncate(ODD_MAX);
    }

    /// How many runs there were.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.suites.values().map(Suite::runs).sum()
    }

    /// How many runs ended so, in all suites.
    #[must_use]
    pub fn ended(&self, how: Verdict) -> u64 {
        self.suites.values().map(|suite| suite.ended(how)).sum()
    }

    /// How many trace events they have.
    #[must_use]
    pub fn events(&self) -> u64 {
        let events = self.suites.values().map(|suite| suite.events);
        events.fold(0, u64::saturating_add)
    }

    /// Seeds per chunk.
    #[must_use]
    pub fn chunk(&self) -> u64 {
        self.chunk
    }

    /// The first run that could not be judged.
    #[must_use]
    pub fn first_open(&self) -> Option<&Odd> {
        self.odd.get(&Verdict::Inconclusive)?.first()
    }

    /// How runs ended, known failures and allowed inconclusive runs aside: what the campaign is to be
    /// told by.
    #[must_use]
    pub fn endings(&self) -> BTreeSet<Verdict> {
        let has_news = !self.groups().news.is_empty();
        let open = self.ended(Verdict::Inconclusive);
        // Where nothing else was made, nothing was checked.
        let allows_open = open <= self.allowed_inconclusive && open < self.runs();
        let endings = self.suites.values().flat_map(|suite| suite.endings.keys());
        endings
            .copied()
            .filter(|ending| *ending != Verdict::Fail || has_news)
            .filter(|ending| *ending != Verdict::Inconclusive || !allows_open)
            .collect()
    }

    /// The groups, new ones and known ones, each by oracle, name (those without last),
    /// strategy and first seed. What is new of a group, and what is known, are two groups.
    #[must_use]
    pub fn groups(&self) -> Groups<'_> {
        Groups::of(&self.failures, &self.known)
    }

    /// Runs that did not pass, inconclusive ones aside.
    #[must_use]
    pub fn failures(&self) -> u64 {
        let fine = self.ended(Verdict::Pass) + self.ended(Verdict::Inconclusive);
        self.runs() - fine
    }

    /// What must happen in some run, and did in none: strategy, scenario and name of each.
    pub fn never(&self) -> impl Iterator<Item = &(String, String, String)> {
        let never = self.sometimes.iter().filter(|(_, seen)| !**seen);
        never.map(|(claim, _)| claim)
    }

    /// Families that were on in some run and did nothing in any.
    #[must_use]
    pub fn idle_families(&self) -> Vec<&str> {
        let idle = self.families.iter().filter(|(_, reach)| reach.worked == 0);
        idle.map(|(name, _)| name.as_str()).collect()
    }
}

impl fmt::Display for Summary {
    /// For a failing test: what failed, a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} runs failed", self.failures(), self.runs())?;
        for (strategy, scenario, name) in self.never() {
            write!(f, "\n{name} never happened: {strategy}, {scenario}")?;
        }
        for group in self.groups().all() {
            let Some(finding) = group.finding else {
                continue;
            };
            let Failure {
                signature,
                at_us,
                node,
                detail,
                ..
            } = finding;
            let at = Duration::from_micros(*at_us);
            write!(
                f,
                "\n{} runs, first with seed {} of {}: {signature}: at {at:?} {node} {detail}",
                group.runs, group.seed, group.key.scenario
            )?;
        }
        for (ending, runs) in &self.odd {
            for run in runs {
                write!(f, "\n{ending:?}: {run}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::record::tests::{ended, record};

    #[test]
    fn inconclusive_runs_are_allowed_up_to_a_number_and_beside_others() {
        let open = |seed| ended("pubsub", seed, Verdict::Inconclusive);
        let of = |records: &[Record], allowed| {
            let mut tally = Summary::new(&(0..1_000)).allowing_inconclusive(allowed);
            records.iter().for_each(|record| tally.add(record));
            tally.endings().contains(&Verdict::Inconclusive)
        };
        let some = [open(1), open(2), record("pubsub", 3)];
        assert_eq!([0, 1, 2].map(|most| of(&some, most)), [true, true, false]);
        assert!(of(&some[..2], 2), "nothing was checked");
    }

    #[test]
    fn long_campaigns_have_larger_chunks() {
        assert_eq!(Summary::new(&(0..100_000)).chunk(), 1_000);
        assert_eq!(Summary::new(&(0..200_000)).chunk(), 10_000);
        assert!(Summary::new(&(0..u64::MAX)).chunk() > 1 << 50);
    }
}
