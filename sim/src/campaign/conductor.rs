//! The campaign's process: which worker makes which run, and what follows where one is late, lost or
//! grown. It runs no strategy itself: its [executor](super::executor) does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::confirm::Confirmed;
use super::executor::{Executor, Happened, WorkerId};
use super::plan::Plan;
use super::pool::CampaignCrew;
use super::record::{Ending, Record};
use super::shrinking::{ShrinkJob, ShrinkQueue};
use super::summary::{End, Summary};
use super::trial::Case;
use super::wire::{self, Answer, Setup, SourceText, Task};
use super::{CampaignError, Limits, Observer};
use crate::watch::oracle::NO_CRASH;

/// How many orders a worker has: one is under way, and the next is there when that is done.
const AHEAD: usize = 2;

/// How far runs may be ahead of one that is not done: what bounds the failures that wait for it.
const WINDOW: u64 = 10_000;

/// How often an idle conductor looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// How much a worker's memory may grow before it is replaced, in bytes.
const GROWTH: u64 = 256 << 20;

/// How long shrinking may go on where the campaign ends before its last run.
const AFTERWARDS: Duration = Duration::from_secs(60);

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
        /// The anomalies that its findings look like.
        hints: Vec<Option<String>>,
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

    pub(super) fn task(&self) -> Task {
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
    shrinking: ShrinkQueue,
    /// Jobs for fresh workers.
    fresh: VecDeque<Job>,
    /// Runs whose worker died before it came to them.
    returned: VecDeque<(u64, Case)>,
    since: Instant,
    /// Places whose run was begun and is not done.
    begun: BTreeSet<u64>,
    /// Failures that wait for the runs before them, by their place: which failures are shrunk must
    /// not depend on which run is done first.
    parked: BTreeMap<u64, (Case, Record, Vec<Option<String>>)>,
    /// Runs that failed, those whose record waits included.
    failures: u64,
    /// True if all runs have been begun.
    drained: bool,
    /// Why no further run is begun, and since when.
    end: Option<(End, Instant)>,
}

impl<'a, O: Observer> Conductor<'a, O> {
    pub(super) fn new(
        plan: &'a Plan,
        crew: &'a CampaignCrew<'a>,
        limits: &'a Limits,
        summary: Summary,
        observer: &'a mut O,
    ) -> Self {
        Self {
            plan,
            limits,
            executor: Executor::new(crew, limits.jobs, AHEAD),
            observer,
            failures: summary.failures(),
            summary,
            confirmed: Confirmed::default(),
            shrinking: ShrinkQueue::default(),
            fresh: VecDeque::new(),
            returned: VecDeque::new(),
            since: Instant::now(),
            begun: BTreeSet::new(),
            parked: BTreeMap::new(),
            drained: false,
            end: None,
        }
    }

    /// Conducts the campaign to its end.
    pub(super) fn conduct(mut self) -> Result<(Summary, End), CampaignError> {
        let plan = self.plan;
        let mut open = plan.open();
        loop {
            if self.limits.stop.load(Ordering::Relaxed) {
                return Ok((self.summary, End::Stopped));
            }
            if self
                .limits
                .budget
                .is_some_and(|budget| self.since.elapsed() >= budget)
            {
                self.close(End::Budget);
            }
            self.end_shrinking();
            self.assign(&mut open)?;
            if self.executor.busy() == 0 {
                let end = self.end.map_or(End::Complete, |(end, _)| end);
                return Ok((self.summary, end));
            }
            if let Some(happened) = self.executor.wait(LOOK) {
                self.happened(happened)?;
            }
            if matches!(self.end, Some((End::Stopped, _))) {
                return Ok((self.summary, End::Stopped));
            }
        }
    }

    /// Begins no further run.
    fn close(&mut self, end: End) {
        if self.end.is_some() {
            return;
        }
        self.end = Some((end, Instant::now()));
        for (place, _) in self.returned.drain(..) {
            self.begun.remove(&place);
        }
        self.unpark();
    }

    /// Once no further run is begun, shrinking has a little time left.
    fn end_shrinking(&mut self) {
        let over = self
            .end
            .is_some_and(|(_, since)| since.elapsed() >= AFTERWARDS);
        if over && !self.shrinking.is_empty() {
            for record in self.shrinking.abandon() {
                self.publish(&record);
            }
        }
    }

    /// Gives everybody something to do. Fresh workers come first: while one is wanted, nobody else
    /// gets more, so that there soon is room for it.
    fn assign(&mut self, open: &mut impl Iterator<Item = u64>) -> Result<(), CampaignError> {
        self.assign_fresh()?;
        while !self.wants_fresh()
            && let Some((place, case)) = self.next_run(open)
        {
            let Some(worker) = self.executor.room()? else {
                self.returned.push_front((place, case));
                return Ok(());
            };
            self.executor.give(worker, Job::Trial { place, case });
        }
        // Where there is no run left, everybody may shrink.
        self.assign_fresh()
    }

    fn assign_fresh(&mut self) -> Result<(), CampaignError> {
        while self.executor.may_begin()
            && let Some(job) = self.next_fresh()
        {
            self.executor.give_fresh(job)?;
        }
        Ok(())
    }

    fn wants_fresh(&self) -> bool {
        !self.fresh.is_empty() || !self.shrinking.is_empty() && self.may_shrink()
    }

    fn next_fresh(&mut self) -> Option<Job> {
        if let Some(job) = self.fresh.pop_front() {
            return Some(job);
        }
        let may = self.may_shrink();
        may.then(|| self.shrinking.next())
            .flatten()
            .map(Job::Shrink)
    }

    /// While there are runs to be made, at most half of the workers shrink.
    fn may_shrink(&self) -> bool {
        let shrinking = self.executor.count(|job| matches!(job, Job::Shrink(_)));
        self.drained || self.end.is_some() || shrinking < self.limits.jobs / 2
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
                if let Some(job) = job {
                    let note = format!("its worker died: {how}");
                    self.lost(job, Ending::WorkerLost, &note, took);
                }
            }
            Happened::Overdue { job, took, rest } => {
                self.return_all(rest);
                let note = format!("it took longer than {:?}", self.limits.wall);
                self.lost(job, Ending::TimedOut, &note, took);
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
            (_, Answer::Ready | Answer::Shrunk(_)) => {}
            (job, Answer::Record { record, hints }) => self.done(job, *record, hints),
            (job, Answer::Bug(words)) => {
                let none = Duration::ZERO;
                let record = without_end(self.plan, job.case(), Ending::Bug, &words, none);
                self.done(job, record, Vec::new());
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

    /// A worker is lost at a job.
    fn lost(&mut self, job: Job, how: Ending, note: &str, took: Duration) {
        if let Job::Shrink(job) = job {
            self.shrunk(&job, Answer::Bug(note.to_owned()));
        } else {
            let record = without_end(self.plan, job.case(), how, note, took);
            self.done(job, record, Vec::new());
        }
    }

    /// A run was made.
    fn done(&mut self, job: Job, record: Record, hints: Vec<Option<String>>) {
        let (place, case, record, hints) = match job {
            Job::Trial { place, case } if self.confirmed.wants(&record, self.limits.confirm) => {
                self.fresh.push_back(Job::Again {
                    place,
                    case,
                    first: Box::new(record),
                    hints,
                });
                return;
            }
            Job::Trial { place, case } => (place, case, record, hints),
            Job::Again {
                place,
                case,
                first,
                hints,
            } => (place, case, self.confirmed.judge(*first, record), hints),
            Job::Shrink(_) => return,
        };
        self.begun.remove(&place);
        match record.verdict {
            Ending::Pass | Ending::Inconclusive => self.publish(&record),
            Ending::Fail
            | Ending::TimedOut
            | Ending::WorkerLost
            | Ending::NotReproduced
            | Ending::Mismatch
            | Ending::Bug => drop(self.parked.insert(place, (case, record, hints))),
        }
        self.unpark();
    }

    /// Takes the failures in whose place all runs before are done.
    fn unpark(&mut self) {
        while let Some(entry) = self.parked.first_entry()
            && self.begun.first().is_none_or(|first| first > entry.key())
        {
            let (case, record, hints) = entry.remove();
            let record = match &self.limits.shrinking {
                Some(rule) if record.verdict == Ending::Fail && self.end.is_none() => {
                    self.shrinking.offer(&case, record, &hints, rule)
                }
                Some(_) | None => Some(record),
            };
            if let Some(record) = record {
                self.publish(&record);
            }
            self.failures += 1;
            let most = self.limits.max_failures;
            if most.is_some_and(|most| self.failures >= most) {
                self.close(End::MaxFailures);
            }
        }
    }

    /// A failure was shrunk, or could not be: then it stands as it was found.
    fn shrunk(&mut self, job: &ShrinkJob, answer: Answer) {
        let failure = match answer {
            Answer::Shrunk(failure) => Some(failure),
            Answer::Refused(reason) | Answer::Bug(reason) => {
                tracing::debug!(?job, reason, "not shrunk");
                None
            }
            Answer::Ready | Answer::Record { .. } => None,
        };
        if let Some(failure) = &failure
            && self.observer.shrunk(failure).is_break()
        {
            self.end = Some((End::Stopped, Instant::now()));
        }
        if let Some(record) = self.shrinking.done(job, failure.as_deref()) {
            self.publish(&record);
        }
    }

    fn publish(&mut self, record: &Record) {
        self.summary.add(record);
        if self.observer.record(record).is_break() {
            self.end = Some((End::Stopped, Instant::now()));
        }
    }
}

/// True if the worker of an answer must be replaced: something panicked in it.
fn is_dirty(answer: &Answer) -> bool {
    match answer {
        Answer::Record { record, .. } => {
            let mut findings = record.findings.iter();
            findings.any(|finding| finding.signature.oracle == NO_CRASH)
        }
        Answer::Bug(_) => true,
        Answer::Ready | Answer::Shrunk(_) | Answer::Refused(_) => false,
    }
}

/// The first line to each worker of a campaign.
pub(super) fn setup(plan: &Plan, limits: &Limits) -> String {
    wire::line(&Setup {
        version: wire::VERSION,
        sources: plan.sources.iter().map(SourceText::new).collect(),
        oracles: limits.oracles.clone(),
        directory: limits.shrinking.as_ref().map(|one| one.directory.clone()),
    })
}

/// The record of a run that came to no end.
fn without_end(plan: &Plan, case: &Case, verdict: Ending, note: &str, took: Duration) -> Record {
    let scenario = plan.sources[case.source].name();
    Record {
        wall_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        note: Some(note.to_owned()),
        ..Record::bare(scenario, &case.strategy, case.seed, verdict)
    }
}
