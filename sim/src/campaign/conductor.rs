//! The campaign's process: which worker makes which run, and what follows where one is late, lost or
//! grown. It runs no strategy itself: its [executor](super::executor) does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::confirm::Confirmed;
use super::executor::{Executor, Happened, WorkerId};
use super::plan::Plan;
use super::pool::{CampaignCrew, Commission, GROWTH, KILLED_MAX, died, killed};
use super::record::Record;
use super::shrinking::{AllShrunk, FailureKey, RunKey, ShrinkJob, ShrunkLine, WaitingRecords};
use super::summary::{End, Summary};
use super::trial::Case;
use super::wire::{self, Answer, Setup, SourceText, Task};
use super::{CampaignError, Limits, Observer};
use crate::watch::judge::Verdict;
use crate::watch::oracle::NO_CRASH;

/// How many orders a worker has: one is under way, and the next is there when that is done.
const AHEAD: usize = 2;

/// How far runs may be ahead of one that is not done: what bounds the failures that wait for it.
const WINDOW: u64 = 10_000;

/// How often an idle conductor looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// One thing that a worker is to do, and for what.
#[derive(Debug, Clone)]
pub(super) enum Job {
    /// Make the run at a place of the plan.
    Trial {
        /// Its place.
        place: u64,
        /// The run.
        case: Case,
    },
    /// Make it again, in a fresh process.
    Again {
        /// Its place.
        place: u64,
        /// The run.
        case: Case,
        /// The first result.
        first: Box<Record>,
    },
    /// Shrink a failure, in a fresh process.
    Shrink(ShrinkJob),
}

impl Job {
    fn case(&self) -> &Case {
        match self {
            Self::Trial { case, .. } | Self::Again { case, .. } => case,
            Self::Shrink(job) => &job.case,
        }
    }
}

impl Commission for Job {
    fn task(&self) -> Task {
        match self {
            Self::Trial { case, .. } | Self::Again { case, .. } => Task::Trial(case.clone()),
            Self::Shrink(job) => Task::Shrink(job.clone()),
        }
    }
}

/// A campaign under way.
pub(super) struct Conductor<'a, O> {
    plan: &'a Plan,
    limits: &'a Limits,
    executor: Executor<'a, CampaignCrew<'a>>,
    observer: &'a mut O,
    summary: Summary,
    confirmed: Confirmed,
    waiting: WaitingRecords,
    shrunk: AllShrunk,
    phase: Phase,
    /// Jobs for fresh workers.
    fresh: VecDeque<Job>,
    /// Runs whose worker died before it came to them.
    returned: VecDeque<(u64, Case)>,
    /// How often the worker of a run, or of the shrinking of one, was killed from outside.
    killed: BTreeMap<(Case, bool), u32>,
    since: Instant,
    /// Places whose run was begun and is not done.
    begun: BTreeSet<u64>,
    /// Records that wait for the runs before them, by their place, where there may be a most of failures:
    /// which one is the last must not depend on which run is done first.
    parked: BTreeMap<u64, Record>,
    /// Runs that failed, those whose record waits included.
    failures: u64,
    /// True if all runs have been begun.
    drained: bool,
    /// Why no further run is begun.
    end: Option<End>,
    /// The last place that counts, once the most of failures is reached.
    last: Option<u64>,
}

/// The two halves of a campaign. Shrinking waits for the last run, as the choice of failures to shrink
/// goes by all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Runs are made.
    Running,
    /// Failures are shrunk.
    Shrinking,
}

/// The share of the time that is left for shrinking while there is something to shrink: one of so many.
const SHRINKING_SHARE: u32 = 4;

/// The results of runs that a resumed campaign has already made.
pub(super) struct Before {
    pub(super) summary: Summary,
    pub(super) waiting: WaitingRecords,
    pub(super) shrunk: AllShrunk,
    pub(super) failures: u64,
}

impl<'a, O: Observer> Conductor<'a, O> {
    pub(super) fn new(
        plan: &'a Plan,
        crew: &'a CampaignCrew<'a>,
        limits: &'a Limits,
        before: Before,
        observer: &'a mut O,
    ) -> Self {
        let Before {
            summary,
            waiting,
            shrunk,
            failures,
        } = before;
        Self {
            plan,
            limits,
            executor: Executor::new(crew, limits.jobs, AHEAD),
            observer,
            failures,
            summary,
            confirmed: Confirmed::default(),
            waiting,
            shrunk,
            phase: Phase::Running,
            fresh: VecDeque::new(),
            returned: VecDeque::new(),
            killed: BTreeMap::new(),
            since: Instant::now(),
            begun: BTreeSet::new(),
            parked: BTreeMap::new(),
            drained: false,
            end: None,
            last: None,
        }
    }

    /// Conducts the campaign to its end.
    pub(super) fn conduct(mut self) -> Result<(Summary, End), CampaignError> {
        let plan = self.plan;
        let mut open = plan.open();
        if self
            .limits
            .max_failures
            .is_some_and(|most| self.failures >= most)
        {
            self.close(End::MaxFailures);
        }
        loop {
            if self.limits.stop.load(Ordering::Relaxed) || self.end == Some(End::Stopped) {
                // Failures that wait for their shrinking are counted unshrunk.
                for record in self.waiting.settle(&mut AllShrunk::new()) {
                    self.summary.add(&record);
                }
                return Ok((self.summary, End::Stopped));
            }
            self.heed_budget();
            self.assign(&mut open)?;
            if self.executor.busy() == 0 {
                if self.begin_shrinking() {
                    continue;
                }
                for record in self.waiting.settle(&mut self.shrunk) {
                    self.publish(&record);
                }
                if self.end != Some(End::Stopped) {
                    return Ok((self.summary, self.end.unwrap_or(End::Complete)));
                }
                continue;
            }
            if let Some(happened) = self.executor.wait(LOOK) {
                self.happened(happened)?;
            }
        }
    }

    /// Ends what the budget has no time for: runs, and the shrinking of failures, for which a share of
    /// the time is left.
    fn heed_budget(&mut self) {
        let Some(budget) = self.limits.budget else {
            return;
        };
        let took = self.since.elapsed();
        let for_runs = if self.waiting.is_empty() {
            budget
        } else {
            budget - budget / SHRINKING_SHARE
        };
        if self.phase == Phase::Running && took >= for_runs {
            self.close(End::Budget);
        }
        if took >= budget {
            self.fresh.retain(|job| !matches!(job, Job::Shrink(_)));
            self.executor
                .dismiss_all(|job| matches!(job, Job::Shrink(_)));
            if self.phase == Phase::Shrinking {
                self.end.get_or_insert(End::Budget);
            }
        }
    }

    /// Has the failures shrunk that were chosen. True if there is anything to do.
    fn begin_shrinking(&mut self) -> bool {
        if self.phase == Phase::Shrinking {
            return false;
        }
        self.phase = Phase::Shrinking;
        let (chosen, left_out) = self.waiting.chosen();
        if left_out > 0 {
            let most = chosen.len();
            let note =
                format!("{most} failures are shrunk; {left_out} more would be without that limit");
            self.observer.note(&note);
        }
        for (key, hint) in chosen {
            if self.shrunk.contains_key(&key) {
                continue;
            }
            if let Some(case) = self.plan.find(&key.run) {
                self.fresh.push_back(Job::Shrink(ShrinkJob {
                    case,
                    signature: key.signature,
                    anomaly: hint,
                }));
            }
        }
        !self.fresh.is_empty()
    }

    /// Begins no further run.
    fn close(&mut self, end: End) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(end);
        for (place, _) in self.returned.drain(..) {
            self.begun.remove(&place);
        }
        self.unpark();
    }

    /// Gives everybody something to do. Fresh workers come first: while one is wanted, nobody else
    /// gets more, so that there soon is room for it.
    fn assign(&mut self, open: &mut impl Iterator<Item = u64>) -> Result<(), CampaignError> {
        self.assign_fresh()?;
        while self.fresh.is_empty()
            && let Some((place, case)) = self.next_run(open)
        {
            let Some(worker) = self.executor.room()? else {
                self.returned.push_front((place, case));
                return Ok(());
            };
            self.executor.give(worker, Job::Trial { place, case });
        }
        Ok(())
    }

    fn assign_fresh(&mut self) -> Result<(), CampaignError> {
        while self.executor.may_begin()
            && let Some(job) = self.fresh.pop_front()
        {
            self.executor.give_fresh(job)?;
        }
        Ok(())
    }

    /// The next run to be made.
    fn next_run(&mut self, open: &mut impl Iterator<Item = u64>) -> Option<(u64, Case)> {
        if self.end.is_some() {
            return None;
        }
        if let Some(run) = self.returned.pop_front() {
            return Some(run);
        }
        let first = self.begun.first().copied();
        if first.is_some_and(|first| self.begun.last().is_some_and(|last| last - first >= WINDOW)) {
            return None;
        }
        let place = open.next();
        self.drained = place.is_none();
        let place = place?;
        self.begun.insert(place);
        Some((place, self.plan.case(place)))
    }

    /// Takes what came of a job, or of a worker.
    fn happened(&mut self, happened: Happened<Job, Answer>) -> Result<(), CampaignError> {
        match happened {
            Happened::Done {
                worker,
                job,
                answer,
                growth,
            } => {
                self.summary.growth = self.summary.growth.max(growth.unwrap_or(0));
                let grown = growth.is_some_and(|growth| growth > GROWTH);
                if self.limits.recycle && (grown || is_dirty(&answer)) {
                    self.dismiss(worker);
                }
                self.take(job, answer)?;
            }
            Happened::Died {
                job,
                took,
                how,
                rest,
            } => {
                self.return_all(rest);
                match (job, how.killed_by) {
                    (Some(job), Some(signal)) => self.killed(job, signal, took),
                    (Some(job), None) => {
                        self.lost(job, Verdict::WorkerLost, &died(&how), took);
                    }
                    (None, _) => {}
                }
            }
            Happened::Overdue { job, took, rest } => {
                self.return_all(rest);
                let note = format!("it took longer than {:?}", self.limits.wall);
                self.lost(job, Verdict::TimedOut, &note, took);
            }
            Happened::Refused(reason) => return Err(CampaignError::Refused(reason)),
            Happened::Unusable(how) => return Err(CampaignError::Worker(how)),
            Happened::Interrupted => {}
        }
        Ok(())
    }

    /// A job came to this.
    fn take(&mut self, job: Job, answer: Answer) -> Result<(), CampaignError> {
        match (job, answer) {
            (Job::Shrink(job), answer) => self.shrunk(&job, answer),
            (_, Answer::Refused(reason)) => return Err(CampaignError::Refused(reason)),
            (
                _,
                Answer::Ready | Answer::Shrunk(_) | Answer::Outcome { .. } | Answer::Estimate(_),
            ) => {}
            (job, Answer::Record(record)) => self.done(job, *record),
            (job, Answer::Bug(words)) => {
                let none = Duration::ZERO;
                let record = without_end(self.plan, job.case(), Verdict::Bug, &words, none);
                self.done(job, record);
            }
        }
        Ok(())
    }

    /// Ends a worker. What it has not come to is for others.
    fn dismiss(&mut self, worker: WorkerId) {
        let rest = self.executor.dismiss(worker);
        self.return_all(rest);
    }

    /// Takes back the jobs that a worker has not come to.
    fn return_all(&mut self, jobs: Vec<Job>) {
        for job in jobs {
            match job {
                Job::Trial { place, case } if self.end.is_none() => {
                    self.returned.push_back((place, case));
                }
                Job::Trial { place, .. } => drop(self.begun.remove(&place)),
                Job::Again { .. } | Job::Shrink(_) => self.fresh.push_back(job),
            }
        }
    }

    /// A worker was killed from outside, which says nothing of its job: that is done again, alone.
    fn killed(&mut self, job: Job, signal: i32, took: Duration) {
        let is_shrinking = matches!(job, Job::Shrink(_));
        let key = (job.case().clone(), is_shrinking);
        let times = self.killed.entry(key).or_default();
        *times += 1;
        let times = *times;
        let case = job.case();
        let name = self.plan.sources[case.source].name();
        let what = if is_shrinking { "shrinking " } else { "" };
        let run = format!("{what}{}, seed {} of {name}", case.strategy, case.seed);
        if times > KILLED_MAX {
            let note = killed(signal, times);
            self.lost(job, Verdict::WorkerLost, &note, took);
        } else {
            let note = format!("worker was killed (signal {signal}): {run} is made again, alone");
            self.observer.note(&note);
            self.fresh.push_back(job);
        }
    }

    /// A worker is lost at a job.
    fn lost(&mut self, job: Job, how: Verdict, note: &str, took: Duration) {
        if let Job::Shrink(job) = job {
            // Another time it may succeed: nothing is kept of it.
            tracing::debug!(?job, note, "not shrunk");
        } else {
            let record = without_end(self.plan, job.case(), how, note, took);
            self.done(job, record);
        }
    }

    /// A run was made.
    fn done(&mut self, job: Job, record: Record) {
        let (place, record) = match job {
            Job::Trial { place, case } if self.confirmed.wants(&record, self.limits.confirm) => {
                self.fresh.push_back(Job::Again {
                    place,
                    case,
                    first: Box::new(record),
                });
                return;
            }
            Job::Trial { place, .. } => (place, record),
            Job::Again { place, first, .. } => (place, self.confirmed.judge(*first, record)),
            Job::Shrink(_) => return,
        };
        self.begun.remove(&place);
        if self.limits.max_failures.is_none() {
            self.take_record(record);
        } else {
            self.parked.insert(place, record);
            self.unpark();
        }
    }

    /// Takes the records in whose place all runs before are done.
    fn unpark(&mut self) {
        while let Some(entry) = self.parked.first_entry()
            && self.begun.first().is_none_or(|first| first > entry.key())
        {
            let (place, record) = entry.remove_entry();
            if self.last.is_some_and(|last| place > last) {
                continue;
            }
            self.take_record(record);
            let most = self.limits.max_failures;
            if self.last.is_none() && most.is_some_and(|most| self.failures >= most) {
                self.last = Some(place);
                self.close(End::MaxFailures);
            }
        }
    }

    /// A run is done, and counts.
    fn take_record(&mut self, record: Record) {
        if self.observer.made(&record).is_break() {
            self.end = Some(End::Stopped);
        }
        self.failures += u64::from(record.verdict.is_failure());
        for record in self.waiting.offer(record) {
            self.publish(&record);
        }
    }

    /// A failure was shrunk, or could not be: then it stands as it was found.
    fn shrunk(&mut self, job: &ShrinkJob, answer: Answer) {
        let shrunk = match answer {
            Answer::Shrunk(failure) => Some(*failure),
            Answer::Refused(reason) | Answer::Bug(reason) => {
                tracing::debug!(?job, reason, "not shrunk");
                None
            }
            Answer::Ready | Answer::Record(_) | Answer::Outcome { .. } | Answer::Estimate(_) => {
                None
            }
        };
        let name = self.plan.sources[job.case.source].name();
        let run = RunKey {
            seed: job.case.seed,
            scenario: name.to_owned(),
            strategy: job.case.strategy.clone(),
        };
        let of = FailureKey {
            run,
            signature: job.signature.clone(),
        };
        let line = ShrunkLine { of, shrunk };
        if self.observer.shrunk(&line).is_break() {
            self.end = Some(End::Stopped);
        }
        self.shrunk.insert(line.of, line.shrunk);
    }

    fn publish(&mut self, record: &Record) {
        self.summary.add(record);
        if self.observer.record(record).is_break() {
            self.end = Some(End::Stopped);
        }
    }
}

/// True if the worker of an answer must be replaced: something panicked in it.
fn is_dirty(answer: &Answer) -> bool {
    match answer {
        Answer::Record(record) => {
            let mut findings = record.findings.iter();
            findings.any(|finding| finding.signature.oracle == NO_CRASH)
        }
        Answer::Bug(_) => true,
        Answer::Ready
        | Answer::Shrunk(_)
        | Answer::Outcome { .. }
        | Answer::Estimate(_)
        | Answer::Refused(_) => false,
    }
}

/// The first line to each worker of a campaign.
pub(super) fn setup(plan: &Plan, limits: &Limits) -> String {
    wire::line(&Setup {
        version: wire::VERSION,
        sources: plan.sources.iter().map(SourceText::new).collect(),
        oracles: limits.oracles.clone(),
        baseline: limits.baseline.clone(),
    })
}

/// The record of a run that came to no end.
fn without_end(plan: &Plan, case: &Case, verdict: Verdict, note: &str, took: Duration) -> Record {
    let scenario = plan.sources[case.source].name();
    Record {
        wall_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        note: Some(note.to_owned()),
        ..Record::bare(scenario, &case.strategy, case.seed, verdict)
    }
}
