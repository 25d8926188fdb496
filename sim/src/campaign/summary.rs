//! What a campaign came to: its records added up.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::reach::Reach;
use super::record::{Ending, Record};
use crate::generate::Family;
use crate::run::failure::{Failure, Signature};

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

/// What a campaign's records say together, in whichever order they came.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// How many runs ended how.
    pub endings: BTreeMap<Ending, u64>,
    /// What was run, by strategy.
    pub strategies: BTreeMap<String, Work>,
    /// The counters of all runs, added up.
    pub reach: Reach,
    /// The fault families, by name.
    pub families: BTreeMap<String, FamilyReach>,
    /// In how many runs of a strategy the condition of its claim of an oracle was met, by strategy
    /// and oracle.
    pub claims: BTreeMap<(String, String), u64>,
    /// What failed: runs with the same signature, and the same fingerprint once they were shrunk.
    pub groups: BTreeMap<GroupKey, Group>,
    /// Runs that ended otherwise than an oracle says, the lowest seeds first, at most 20 per
    /// ending.
    pub odd: BTreeMap<Ending, Vec<Odd>>,
    /// The most that a worker's memory grew by after its first run, in bytes; 0 if workers cannot
    /// tell.
    pub growth: u64,
}

/// What was run of a strategy.
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

/// What a fault family did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FamilyReach {
    /// Runs in which it was switched on.
    pub on: u64,
    /// Those in which it did something.
    pub worked: u64,
}

/// What makes two failures one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    /// What fails.
    pub signature: Signature,
    /// The slug of the fingerprint; `None` for runs that were not shrunk.
    pub fingerprint: Option<String>,
}

/// Failures that are the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Runs in which it was found.
    pub runs: u64,
    /// The scenario of the first: `generated`, or a file.
    pub scenario: String,
    /// The lowest seed of them.
    pub seed: u64,
    /// What was found there.
    pub finding: Failure,
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
    /// What there is to say.
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

impl Summary {
    /// Adds a run.
    pub fn add(&mut self, record: &Record) {
        *self.endings.entry(record.verdict).or_default() += 1;
        let work = self.strategies.entry(record.strategy.clone()).or_default();
        work.runs += 1;
        work.events = work.events.saturating_add(record.events);
        work.virtual_us = work.virtual_us.saturating_add(record.virtual_us);
        work.wall_us = work.wall_us.saturating_add(record.wall_us);
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
        match record.verdict {
            Ending::Pass | Ending::Fail => {}
            Ending::Inconclusive
            | Ending::TimedOut
            | Ending::WorkerLost
            | Ending::NotReproduced
            | Ending::Mismatch
            | Ending::Bug => self.add_odd(record),
        }
        if record.verdict == Ending::Fail {
            for finding in &record.findings {
                self.add_finding(record, finding);
            }
        }
    }

    fn add_finding(&mut self, record: &Record, finding: &Failure) {
        let key = GroupKey {
            signature: finding.signature.clone(),
            fingerprint: finding.fingerprint.clone(),
        };
        let group = self.groups.entry(key).or_insert_with(|| Group {
            runs: 0,
            scenario: record.scenario.clone(),
            seed: record.seed,
            finding: finding.clone(),
        });
        group.runs += 1;
        if (record.seed, &record.scenario) < (group.seed, &group.scenario) {
            group.seed = record.seed;
            group.scenario.clone_from(&record.scenario);
            group.finding = finding.clone();
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
        self.endings.values().sum()
    }

    /// How many runs ended so.
    #[must_use]
    pub fn ended(&self, how: Ending) -> u64 {
        self.endings.get(&how).copied().unwrap_or(0)
    }

    /// Runs that did not pass, inconclusive ones aside.
    #[must_use]
    pub fn failures(&self) -> u64 {
        let fine = self.ended(Ending::Pass) + self.ended(Ending::Inconclusive);
        self.runs() - fine
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
        for group in self.groups.values() {
            let Failure {
                signature,
                at_us,
                node,
                detail,
                ..
            } = &group.finding;
            let at = Duration::from_micros(*at_us);
            write!(
                f,
                "\n{} runs, first with seed {} of {}: {signature}: at {at:?} {node} {detail}",
                group.runs, group.seed, group.scenario
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
