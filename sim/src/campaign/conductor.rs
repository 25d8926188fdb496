//! The campaign's process: which worker makes which run, and what becomes of workers that are
//! late, lost or grown. It runs no strategy itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::confirm::Confirmed;
use super::plan::Plan;
use super::pool::{WorkerEvent, WorkerHandle, WorkerId, WorkerPool};
use super::record::{Ending, Record};
use super::shrinking::{ShrinkJob, ShrinkQueue};
use super::summary::{End, Summary};
use super::trial::Case;
use super::wire::{self, Answer, Order, READY, Reply, Setup, SourceText, Task};
use super::{CampaignError, Limits, Observer};
use crate::watch::oracle::NO_CRASH;

/// How many orders a worker has: one is under way, and the next is there when that is done.
const AHEAD: usize = 2;

/// How long a worker may take to say that it is ready.
const STARTUP: Duration = Duration::from_secs(60);

/// How far runs may be ahead of one that is not done: what bounds the failures that wait for it.
const WINDOW: u64 = 10_000;

/// How often an idle conductor looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// How much a worker's memory may grow before it is replaced, in bytes.
const GROWTH: u64 = 256 << 20;

/// How long one failure may be shrunk: the search counts its runs and events, and is much faster.
const SHRINKING: Duration = Duration::from_secs(120);

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

    fn task(&self) -> Task {
        match self {
            Self::Trial { case, .. } | Self::Again { case, .. } => Task::Trial(case.clone()),
            Self::Shrink(job) => Task::Shrink(job.clone()),
        }
    }
}

/// A worker, and what it has to do.
struct Worker {
    worker: WorkerHandle,
    /// It gets one job, and was started for it.
    fresh: bool,
    ready: bool,
    /// The oldest first, with the number of its order.
    jobs: VecDeque<(u64, Job)>,
    /// Since when it has been at the oldest.
    since: Instant,
    /// The memory that it had after its first job.
    memory: Option<u64>,
}

/// A campaign under way.
pub(super) struct Conductor<'a, O> {
    plan: &'a Plan,
    pool: &'a WorkerPool,
    limits: &'a Limits,
    setup: String,
    observer: &'a mut O,
    summary: Summary,
    confirmed: Confirmed,
    shrinking: ShrinkQueue,
    workers: BTreeMap<WorkerId, Worker>,
    events: (Sender<WorkerEvent>, Receiver<WorkerEvent>),
    /// Jobs for fresh workers.
    fresh: VecDeque<Job>,
    /// Runs whose worker died before it came to them.
    returned: VecDeque<(u64, Case)>,
    last_number: u64,
    last_worker: WorkerId,
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
        pool: &'a WorkerPool,
        limits: &'a Limits,
        summary: Summary,
        observer: &'a mut O,
    ) -> Self {
        let setup = Setup {
            version: wire::VERSION,
            sources: plan.sources.iter().map(SourceText::new).collect(),
            oracles: limits.oracles.clone(),
            directory: limits.shrinking.as_ref().map(|one| one.directory.clone()),
        };
        Self {
            plan,
            pool,
            limits,
            setup: wire::line(&setup),
            observer,
            failures: summary.failures(),
            summary,
            confirmed: Confirmed::default(),
            shrinking: ShrinkQueue::default(),
            workers: BTreeMap::new(),
            events: mpsc::channel(),
            fresh: VecDeque::new(),
            returned: VecDeque::new(),
            last_number: READY,
            last_worker: 0,
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
            if self.workers.values().all(|slot| slot.jobs.is_empty()) {
                let end = self.end.map_or(End::Complete, |(end, _)| end);
                return Ok((self.summary, end));
            }
            match self.events.1.recv_timeout(LOOK) {
                Ok(WorkerEvent::Reply(worker, reply)) => self.reply(worker, *reply)?,
                Ok(WorkerEvent::Gone(worker)) => self.gone(worker)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.end_overdue()?;
            if matches!(self.end, Some((End::Stopped, _))) {
                return Ok((self.summary, End::Stopped));
            }
        }
    }

    fn busy(&self) -> usize {
        let busy = |slot: &&Worker| !slot.jobs.is_empty();
        self.workers.values().filter(busy).count()
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
            let Some(worker) = self.room()? else {
                self.returned.push_front((place, case));
                return Ok(());
            };
            self.give(worker, Job::Trial { place, case });
        }
        // Where there is no run left, everybody may shrink.
        self.assign_fresh()
    }

    fn assign_fresh(&mut self) -> Result<(), CampaignError> {
        while self.busy() < self.limits.jobs
            && let Some(job) = self.next_fresh()
        {
            let worker = self.start(true)?;
            self.give(worker, job);
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
        let shrinks = |slot: &&Worker| {
            slot.jobs
                .iter()
                .any(|(_, job)| matches!(job, Job::Shrink(_)))
        };
        let shrinking = self.workers.values().filter(shrinks).count();
        self.drained || self.end.is_some() || shrinking < self.limits.jobs / 2
    }

    /// The worker for the next run; `None` if all have enough.
    fn room(&mut self) -> Result<Option<WorkerId>, CampaignError> {
        let lasting = self.workers.iter().filter(|(_, slot)| !slot.fresh);
        let least = lasting
            .map(|(worker, slot)| (slot.jobs.len(), *worker))
            .min();
        let may_begin = self.busy() < self.limits.jobs;
        match least {
            Some((0, worker)) if may_begin => Ok(Some(worker)),
            Some(_) | None if may_begin => self.start(false).map(Some),
            Some((jobs, worker)) if (1..AHEAD).contains(&jobs) => Ok(Some(worker)),
            Some(_) | None => Ok(None),
        }
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

    fn start(&mut self, fresh: bool) -> Result<WorkerId, CampaignError> {
        self.last_worker += 1;
        let id = self.last_worker;
        let worker = self.pool.start(id, &self.setup, &self.events.0)?;
        let slot = Worker {
            worker,
            fresh,
            ready: false,
            jobs: VecDeque::new(),
            since: Instant::now(),
            memory: None,
        };
        self.workers.insert(id, slot);
        Ok(id)
    }

    fn give(&mut self, worker: WorkerId, job: Job) {
        self.last_number += 1;
        let number = self.last_number;
        let order = Order {
            number,
            task: job.task(),
        };
        if let Some(slot) = self.workers.get_mut(&worker) {
            if slot.jobs.is_empty() && slot.ready {
                slot.since = Instant::now();
            }
            slot.worker.say(wire::line(&order));
            slot.jobs.push_back((number, job));
        }
    }

    fn reply(&mut self, worker: WorkerId, reply: Reply) -> Result<(), CampaignError> {
        // One that was given up may still have said something.
        let Some(slot) = self.workers.get_mut(&worker) else {
            return Ok(());
        };
        slot.since = Instant::now();
        if reply.number == READY {
            slot.ready = true;
            return match reply.answer {
                Answer::Refused(reason) => Err(CampaignError::Refused(reason)),
                Answer::Ready | Answer::Record { .. } | Answer::Shrunk(_) | Answer::Bug(_) => {
                    Ok(())
                }
            };
        }
        if slot
            .jobs
            .front()
            .is_none_or(|(number, _)| *number != reply.number)
        {
            return Ok(());
        }
        let Some((_, job)) = slot.jobs.pop_front() else {
            return Ok(());
        };
        let grown = match (slot.memory, reply.memory) {
            (Some(first), Some(now)) => {
                let growth = now.saturating_sub(first);
                self.summary.growth = self.summary.growth.max(growth);
                growth > GROWTH
            }
            (None, Some(now)) => {
                slot.memory = Some(now);
                false
            }
            (_, None) => false,
        };
        let dirty = match &reply.answer {
            Answer::Record { record, .. } => {
                let mut findings = record.findings.iter();
                findings.any(|finding| finding.signature.oracle == NO_CRASH)
            }
            Answer::Bug(_) => true,
            Answer::Ready | Answer::Shrunk(_) | Answer::Refused(_) => false,
        };
        if slot.fresh || (dirty || grown) && self.limits.recycle {
            self.dismiss(worker);
        }
        self.take(job, reply.answer)
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
        let Some(slot) = self.workers.remove(&worker) else {
            return;
        };
        for (_, job) in slot.jobs {
            match job {
                Job::Trial { place, case } if self.end.is_none() => {
                    self.returned.push_back((place, case));
                }
                Job::Trial { place, .. } => drop(self.begun.remove(&place)),
                Job::Again { .. } | Job::Shrink(_) => self.fresh.push_back(job),
            }
        }
    }

    /// A worker says nothing more.
    fn gone(&mut self, worker: WorkerId) -> Result<(), CampaignError> {
        // One that was dismissed is not missed.
        let Some(slot) = self.workers.get_mut(&worker) else {
            return Ok(());
        };
        let how = slot.worker.exit_status();
        if !slot.ready {
            return Err(CampaignError::Worker(how));
        }
        self.lost(
            worker,
            Ending::WorkerLost,
            &format!("its worker died: {how}"),
        );
        Ok(())
    }

    /// Gives up workers that are late.
    fn end_overdue(&mut self) -> Result<(), CampaignError> {
        let limit = |slot: &Worker| match slot.jobs.front() {
            _ if !slot.ready => STARTUP,
            Some((_, Job::Shrink(_))) => SHRINKING.max(self.limits.wall),
            Some((_, Job::Trial { .. } | Job::Again { .. })) | None => self.limits.wall,
        };
        let late = self.workers.iter().filter(|(_, slot)| {
            let waits = !slot.jobs.is_empty() || !slot.ready;
            waits && slot.since.elapsed() > limit(slot)
        });
        let late: Vec<WorkerId> = late.map(|(worker, _)| *worker).collect();
        for worker in late {
            if !self.workers[&worker].ready {
                let silent = format!("it said nothing for {STARTUP:?}");
                return Err(CampaignError::Worker(silent));
            }
            let note = format!("it took longer than {:?}", self.limits.wall);
            self.lost(worker, Ending::TimedOut, &note);
        }
        Ok(())
    }

    /// A worker is lost, and with it the run that it was at.
    fn lost(&mut self, worker: WorkerId, how: Ending, note: &str) {
        let slot = self.workers.get_mut(&worker);
        let job = slot.and_then(|slot| Some((slot.jobs.pop_front()?.1, slot.since.elapsed())));
        self.dismiss(worker);
        match job {
            Some((Job::Shrink(job), _)) => self.shrunk(&job, Answer::Bug(note.to_owned())),
            Some((job, took)) => {
                let record = without_end(self.plan, job.case(), how, note, took);
                self.done(job, record, Vec::new());
            }
            None => {}
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

/// The record of a run that came to no end.
fn without_end(plan: &Plan, case: &Case, verdict: Ending, note: &str, took: Duration) -> Record {
    let scenario = plan.sources[case.source].name();
    Record {
        wall_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        note: Some(note.to_owned()),
        ..Record::bare(scenario, &case.strategy, case.seed, verdict)
    }
}
