//! The executor: runs jobs on workers, which are threads or processes, and reports each result.
//!
//! A job whose time is over is asked to stop, if its worker can stop one; where that does not help, or a
//! worker dies, that job alone is given up. The worker is left behind (a thread) or killed (a process),
//! and another takes its place; the other jobs go on. `run`, `check`, the corpus and comparisons hand
//! over jobs and fold results in order (`series`); a campaign decides itself who gets which job next.

mod series;
mod threads;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

pub use series::Series;
pub(crate) use series::{Came, results_in_order};
pub use threads::{Describe, Ended, StopFlag, ThreadWorker, Threads, in_order};

/// Names a worker among all that an executor ever had.
pub(crate) type WorkerId = u64;

/// The number of an order, counted from 1.
pub(crate) type OrderNumber = u64;

/// A message from a worker to its executor.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum WorkerEvent<A> {
    /// It is ready for work.
    Ready(WorkerId),
    /// It refuses to work, for this reason.
    Refused(WorkerId, String),
    /// It has carried out an order; with the memory that it occupies, if it can tell.
    Done(WorkerId, OrderNumber, A, Option<u64>),
    /// It sends nothing more.
    Gone(WorkerId),
    /// The executor was interrupted from outside; sent through [`Executor::bell`].
    Interrupted,
}

/// One worker. It ends when this is dropped; a thread only when its job does.
pub(crate) trait Worker<J> {
    /// Hands it a job, to be run after those that it has.
    fn give(&mut self, number: OrderNumber, job: &J);
    /// Asks it to stop its job; returns `false` if its kind of worker cannot stop one.
    fn stop(&mut self) -> bool {
        false
    }
    /// How it ended; called after [`WorkerEvent::Gone`].
    fn exit_status(&mut self) -> WorkerEnd;
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkerEnd {
    /// Its exit status and last output, in words.
    pub words: String,
    /// The signal that ended a process from outside (kill, terminate, interrupt, hang up); `None` for
    /// whatever a run may do to its own process.
    pub killed_by: Option<i32>,
}

/// Starts workers, and knows their limits.
pub(crate) trait Crew {
    /// One unit of work.
    type Job;
    /// The result of a job.
    type Answer;
    /// The kind of worker.
    type Worker: Worker<Self::Job>;

    /// Starts a worker.
    ///
    /// # Errors
    /// The system grants no process, thread or pipe.
    fn start(
        &self,
        id: WorkerId,
        events: &Sender<WorkerEvent<Self::Answer>>,
    ) -> io::Result<Self::Worker>;

    /// The longest that a job may take.
    fn limit(&self, job: &Self::Job) -> Duration;
}

/// The time for a worker to become ready.
const STARTUP: Duration = Duration::from_secs(60);

/// How many workers in succession may be killed from outside before they are ready. A system without
/// memory kills whatever is started.
const KILLED_STARTING_MAX: u32 = 8;

/// The time for a job to stop once it was asked to.
const GRACE: Duration = Duration::from_secs(1);

/// The end of a job or of a worker, or an interruption.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum Happened<J, A> {
    /// A job is done.
    Done {
        /// The worker that ran it, which is free for another.
        worker: WorkerId,
        /// The job.
        job: J,
        /// Its result.
        answer: A,
        /// By how much the worker's memory has grown since its first job, if it can tell.
        growth: Option<u64>,
    },
    /// A worker died.
    Died {
        /// The job that it was at.
        job: Option<J>,
        /// The time since it began that job.
        took: Duration,
        /// How it ended.
        how: WorkerEnd,
        /// The jobs that it has not come to.
        rest: Vec<J>,
    },
    /// A job took longer than it may, and was given up.
    Overdue {
        /// The job.
        job: J,
        /// The time since it began.
        took: Duration,
        /// The jobs that its worker has not come to.
        rest: Vec<J>,
    },
    /// A worker refuses to work, for this reason.
    Refused(String),
    /// A worker was never ready, for this reason.
    Unusable(String),
    /// The executor was interrupted from outside.
    Interrupted,
}

/// A worker and its jobs.
struct Slot<C: Crew> {
    worker: C::Worker,
    /// It gets one job, and was started for it.
    fresh: bool,
    ready: bool,
    /// The oldest first.
    jobs: VecDeque<(OrderNumber, C::Job)>,
    /// Since when it has been at the oldest.
    since: Instant,
    /// True once it was asked to stop its oldest job.
    told: bool,
    /// The memory that it had after its first job.
    memory: Option<u64>,
}

/// The channel of workers' messages.
type Events<A> = (Sender<WorkerEvent<A>>, Receiver<WorkerEvent<A>>);

/// Workers, and the jobs that they have.
pub(crate) struct Executor<'c, C: Crew> {
    crew: &'c C,
    /// The most workers with jobs.
    jobs_max: usize,
    /// The most jobs of one worker.
    ahead: usize,
    slots: BTreeMap<WorkerId, Slot<C>>,
    events: Events<C::Answer>,
    last_number: OrderNumber,
    last_worker: WorkerId,
    /// How many workers were killed from outside before they were ready, since the last that was.
    killed_starting: u32,
}

impl<C: Crew> std::fmt::Debug for Executor<'_, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor")
            .field("workers", &self.slots.len())
            .finish_non_exhaustive()
    }
}

impl<'c, C: Crew> Executor<'c, C> {
    /// An executor without workers. At most `jobs_max` of them work at the same time, and each may have
    /// `ahead` jobs: one under way, and others that are there when it is done.
    #[must_use]
    pub(crate) fn new(crew: &'c C, jobs_max: usize, ahead: usize) -> Self {
        Self {
            crew,
            jobs_max,
            ahead,
            slots: BTreeMap::new(),
            events: mpsc::channel(),
            last_number: 0,
            last_worker: 0,
            killed_starting: 0,
        }
    }

    /// The channel to interrupt the executor through, with [`WorkerEvent::Interrupted`].
    #[must_use]
    pub(crate) fn bell(&self) -> Sender<WorkerEvent<C::Answer>> {
        self.events.0.clone()
    }

    /// The number of workers with jobs.
    #[must_use]
    pub(crate) fn busy(&self) -> usize {
        let busy = |slot: &&Slot<C>| !slot.jobs.is_empty();
        self.slots.values().filter(busy).count()
    }

    /// True if one more worker may get a job.
    #[must_use]
    pub(crate) fn may_begin(&self) -> bool {
        self.busy() < self.jobs_max
    }

    /// The worker for the next job, started if need be; `None` if every worker has `ahead` jobs.
    ///
    /// # Errors
    /// The system grants no worker.
    pub(crate) fn room(&mut self) -> io::Result<Option<WorkerId>> {
        let lasting = self.slots.iter().filter(|(_, slot)| !slot.fresh);
        let least = lasting
            .map(|(worker, slot)| (slot.jobs.len(), *worker))
            .min();
        let may_begin = self.may_begin();
        match least {
            Some((0, worker)) if may_begin => Ok(Some(worker)),
            Some(_) | None if may_begin => self.start(false).map(Some),
            Some((jobs, worker)) if (1..self.ahead).contains(&jobs) => Ok(Some(worker)),
            Some(_) | None => Ok(None),
        }
    }

    /// Hands a job to a worker of its own, which ends with the job.
    ///
    /// # Errors
    /// The system grants no worker.
    pub(crate) fn give_fresh(&mut self, job: C::Job) -> io::Result<()> {
        let worker = self.start(true)?;
        self.give(worker, job);
        Ok(())
    }

    fn start(&mut self, fresh: bool) -> io::Result<WorkerId> {
        self.last_worker += 1;
        let id = self.last_worker;
        let worker = self.crew.start(id, &self.events.0)?;
        let slot = Slot {
            worker,
            fresh,
            ready: false,
            jobs: VecDeque::new(),
            since: Instant::now(),
            told: false,
            memory: None,
        };
        self.slots.insert(id, slot);
        Ok(id)
    }

    /// Hands a job to a worker.
    pub(crate) fn give(&mut self, worker: WorkerId, job: C::Job) {
        self.last_number += 1;
        let number = self.last_number;
        if let Some(slot) = self.slots.get_mut(&worker) {
            if slot.jobs.is_empty() && slot.ready {
                slot.since = Instant::now();
            }
            slot.worker.give(number, &job);
            slot.jobs.push_back((number, job));
        }
    }

    /// Ends a worker; returns its jobs without a result.
    pub(crate) fn dismiss(&mut self, worker: WorkerId) -> Vec<C::Job> {
        let slot = self.slots.remove(&worker);
        let jobs = slot.into_iter().flat_map(|slot| slot.jobs);
        jobs.map(|(_, job)| job).collect()
    }

    /// Ends the workers that are at a job of a kind. Those jobs are given up; returns what those workers
    /// have not come to.
    pub(crate) fn dismiss_all(&mut self, is_of_kind: impl Fn(&C::Job) -> bool) -> Vec<C::Job> {
        let at = |slot: &Slot<C>| slot.jobs.front().is_some_and(|(_, job)| is_of_kind(job));
        let workers = self.slots.iter().filter(|(_, slot)| at(slot));
        let workers: Vec<WorkerId> = workers.map(|(worker, _)| *worker).collect();
        let mut rest = Vec::new();
        for worker in workers {
            rest.extend(self.dismiss(worker).into_iter().skip(1));
        }
        rest
    }

    /// The time until a worker is overdue; `None` if it has no job.
    fn due(&self, slot: &Slot<C>) -> Option<Duration> {
        let limit = match slot.jobs.front() {
            _ if !slot.ready => STARTUP,
            Some((_, job)) if slot.told => self.crew.limit(job).saturating_add(GRACE),
            Some((_, job)) => self.crew.limit(job),
            None => return None,
        };
        Some(limit.saturating_sub(slot.since.elapsed()))
    }

    /// Waits for the next result, at most this long; `None` if there was none. Gives up overdue jobs.
    pub(crate) fn wait(&mut self, most: Duration) -> Option<Happened<C::Job, C::Answer>> {
        let due = self.slots.values().filter_map(|slot| self.due(slot)).min();
        let rest = due.map_or(most, |due| due.min(most));
        match self.events.1.recv_timeout(rest) {
            Ok(event) => self.event(event),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => self.end_overdue(),
        }
    }

    fn event(&mut self, event: WorkerEvent<C::Answer>) -> Option<Happened<C::Job, C::Answer>> {
        match event {
            WorkerEvent::Interrupted => Some(Happened::Interrupted),
            WorkerEvent::Ready(worker) => {
                let slot = self.slots.get_mut(&worker)?;
                slot.ready = true;
                slot.since = Instant::now();
                self.killed_starting = 0;
                None
            }
            WorkerEvent::Refused(worker, reason) => {
                let is_known = self.slots.contains_key(&worker);
                is_known.then_some(Happened::Refused(reason))
            }
            WorkerEvent::Done(worker, number, answer, memory) => {
                self.done(worker, number, answer, memory)
            }
            WorkerEvent::Gone(worker) => {
                // One that was dismissed is not missed.
                let slot = self.slots.get_mut(&worker)?;
                let how = slot.worker.exit_status();
                if !slot.ready {
                    self.killed_starting += 1;
                    let was_killed = how.killed_by.is_some();
                    if !was_killed || self.killed_starting > KILLED_STARTING_MAX {
                        return Some(Happened::Unusable(how.words));
                    }
                }
                let (job, took) = (slot.jobs.pop_front(), slot.since.elapsed());
                Some(Happened::Died {
                    job: job.map(|(_, job)| job),
                    took,
                    how,
                    rest: self.dismiss(worker),
                })
            }
        }
    }

    fn done(
        &mut self,
        worker: WorkerId,
        number: OrderNumber,
        answer: C::Answer,
        memory: Option<u64>,
    ) -> Option<Happened<C::Job, C::Answer>> {
        // A late result of a job that was given up is dropped.
        let slot = self.slots.get_mut(&worker)?;
        slot.since = Instant::now();
        slot.told = false;
        let (_, job) = slot.jobs.pop_front_if(|(first, _)| *first == number)?;
        let first = match slot.memory {
            Some(first) => Some(first),
            None => {
                slot.memory = memory;
                None
            }
        };
        let growth = first
            .zip(memory)
            .map(|(first, now)| now.saturating_sub(first));
        if slot.fresh {
            // It had no other.
            self.dismiss(worker);
        }
        Some(Happened::Done {
            worker,
            job,
            answer,
            growth,
        })
    }

    /// Asks overdue jobs to stop, or gives one of them up.
    fn end_overdue(&mut self) -> Option<Happened<C::Job, C::Answer>> {
        let is_late = |slot: &Slot<C>| self.due(slot).is_some_and(|due| due.is_zero());
        let late: Vec<WorkerId> = self
            .slots
            .iter()
            .filter(|(_, slot)| is_late(slot))
            .map(|(worker, _)| *worker)
            .collect();
        for worker in late {
            let slot = self.slots.get_mut(&worker)?;
            if !slot.ready {
                return Some(Happened::Unusable(format!(
                    "it said nothing for {STARTUP:?}"
                )));
            }
            if !slot.told && slot.worker.stop() {
                slot.told = true;
                continue;
            }
            let took = slot.since.elapsed();
            let (_, job) = slot.jobs.pop_front()?;
            return Some(Happened::Overdue {
                job,
                took,
                rest: self.dismiss(worker),
            });
        }
        None
    }
}
