//! Runs that are made once each, within a budget.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Ended;
use crate::model::{Branch, Change};

/// How much may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Branches per instant.
    pub branches: u32,
    /// Instants of the curve.
    pub points: u32,
    /// Runs in all.
    pub runs: u64,
}

impl Default for Limits {
    /// 64 instants, 32 branches each, 6,000 runs in all.
    fn default() -> Self {
        Self {
            branches: 32,
            points: 64,
            runs: 6_000,
        }
    }
}

/// One run: that of the question with a branch, with changes, or with both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Job {
    /// Where it goes on with other draws.
    pub branch: Option<Branch>,
    /// The changes that are made to it.
    pub changes: Vec<Change>,
}

/// The result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// It has the failure that is asked about.
    pub fails: bool,
    /// Nothing in it differs from the run that is asked about.
    pub same: bool,
}

/// Makes runs, side by side if it can.
pub trait Runner {
    /// Makes all of these runs, and gives their outcomes in this order; `None` if it was told to stop:
    /// then it is not asked again.
    fn run(&mut self, jobs: &[Job]) -> Option<Vec<Outcome>>;
}

/// A runner with its memory and its budget.
pub(super) struct Lab<'a> {
    pub(super) limits: Limits,
    runner: &'a mut dyn Runner,
    known: BTreeMap<Job, Outcome>,
    ended: Ended,
}

impl<'a> Lab<'a> {
    pub(super) fn new(limits: Limits, runner: &'a mut dyn Runner) -> Self {
        Self {
            limits,
            runner,
            known: BTreeMap::new(),
            ended: Ended::Complete,
        }
    }

    pub(super) fn runs(&self) -> u64 {
        self.known.len() as u64
    }

    pub(super) fn ended(&self) -> Ended {
        self.ended
    }

    /// How many runs are left.
    pub(super) fn left(&self) -> u64 {
        self.limits.runs.saturating_sub(self.runs())
    }

    /// The outcomes of these runs; `None` if they cost more than is left, or the runner stopped.
    pub(super) fn ask(&mut self, jobs: &[Job]) -> Option<Vec<Outcome>> {
        let mut new: Vec<Job> = jobs
            .iter()
            .filter(|job| !self.known.contains_key(*job))
            .cloned()
            .collect();
        new.sort();
        new.dedup();
        if self.ended != Ended::Complete {
            return None;
        }
        if new.len() as u64 > self.left() {
            self.ended = Ended::OutOfRuns;
            return None;
        }
        if !new.is_empty() {
            let Some(outcomes) = self.runner.run(&new) else {
                self.ended = Ended::Stopped;
                return None;
            };
            self.known.extend(new.into_iter().zip(outcomes));
        }
        jobs.iter()
            .map(|job| self.known.get(job).copied())
            .collect()
    }

    /// How many branches with these changes fail, for each of these instants after which they begin.
    pub(super) fn shares(
        &mut self,
        asked: &[(std::time::Duration, &[Change])],
    ) -> Option<Vec<u32>> {
        let branches = self.limits.branches;
        let jobs: Vec<Job> = asked
            .iter()
            .flat_map(|(after, changes)| {
                (1..=branches).map(|number| Job {
                    branch: Some(Branch {
                        after: *after,
                        number: number.into(),
                    }),
                    changes: changes.to_vec(),
                })
            })
            .collect();
        let outcomes = self.ask(&jobs)?;
        let each = outcomes.chunks(branches.max(1) as usize);
        let count = |chunk: &[Outcome]| chunk.iter().map(|one| u32::from(one.fails)).sum();
        Some(each.map(count).collect())
    }
}
