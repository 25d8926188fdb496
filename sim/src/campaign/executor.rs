//! The executor: jobs on workers, which are threads or processes, and what comes of each.
//!
//! A job whose time is over is told to stop, if its worker can be told; where that does not help, or a
//! worker dies, the job is given up alone. The worker is left behind (a thread) or killed (a process),
//! and another takes its place; the other jobs go on. `run`, `check` and the corpus hand over jobs and
//! fold results in order ([`in_order`]); a campaign decides itself who gets which job next.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Names a worker among all that an executor ever had.
pub type WorkerId = u64;

/// The number of an order, counted from 1.
pub type OrderNumber = u64;

/// What workers do that their executor must know.
#[derive(Debug)]
#[non_exhaustive]
pub enum WorkerEvent<A> {
    /// It is ready for work.
    Ready(WorkerId),
    /// It refuses to work, for this reason.
    Refused(WorkerId, String),
    /// It has carried out an order; with the memory that it occupies, if it can tell.
    Done(WorkerId, OrderNumber, A, Option<u64>),
    /// It says nothing more.
    Gone(WorkerId),
    /// Somebody outside wants the executor's attention.
    Interrupted,
}

/// One worker. It ends when this is dropped; a thread only when its job does.
pub trait Worker<J> {
    /// Gives it a job, to be carried out after those that it has.
    fn give(&mut self, number: OrderNumber, job: &J);
    /// Tells it to stop what it does; returns `false` if it cannot be told.
    fn stop(&mut self) -> bool {
        false
    }
    /// How it ended, in words, once it says nothing more.
    fn exit_status(&mut self) -> String;
}

/// Where workers come from.
pub trait Crew {
    /// What they are given.
    type Job;
    /// What comes of it.
    type Answer;
    /// A worker.
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

    /// How long a job may take.
    fn limit(&self, job: &Self::Job) -> Duration;
}

/// The time for a worker to say that it is ready.
const STARTUP: Duration = Duration::from_secs(60);

/// The time for a job to stop once it was told to.
const GRACE: Duration = Duration::from_secs(1);

/// Something that came of a job, or of a worker.
#[derive(Debug)]
#[non_exhaustive]
pub enum Happened<J, A> {
    /// A job is done.
    Done {
        /// Who did it, and may be given another.
        worker: WorkerId,
        /// The job.
        job: J,
        /// What came of it.
        answer: A,
        /// By how much the worker's memory has grown since its first job, if it can tell.
        growth: Option<u64>,
    },
    /// A worker died.
    Died {
        /// The job that it was at.
        job: Option<J>,
        /// For how long.
        took: Duration,
        /// How it ended, in words.
        how: String,
        /// The jobs that it has not come to.
        rest: Vec<J>,
    },
    /// A job took longer than it may, and was given up.
    Overdue {
        /// The job.
        job: J,
        /// How long it took.
        took: Duration,
        /// The jobs that its worker has not come to.
        rest: Vec<J>,
    },
    /// A worker refuses to work, for this reason.
    Refused(String),
    /// A worker was never ready, for this reason.
    Unusable(String),
    /// Somebody outside wants attention.
    Interrupted,
}

/// A worker, and what it has to do.
struct Slot<C: Crew> {
    worker: C::Worker,
    /// It gets one job, and was started for it.
    fresh: bool,
    ready: bool,
    /// The oldest first.
    jobs: VecDeque<(OrderNumber, C::Job)>,
    /// Since when it has been at the oldest.
    since: Instant,
    /// It was told to stop what it does.
    told: bool,
    /// The memory that it had after its first job.
    memory: Option<u64>,
}

/// Both ends of what workers tell.
type Events<A> = (Sender<WorkerEvent<A>>, Receiver<WorkerEvent<A>>);

/// Workers, and the jobs that they have.
pub struct Executor<'c, C: Crew> {
    crew: &'c C,
    /// How many may be at work.
    jobs_max: usize,
    /// How many jobs a worker may have.
    ahead: usize,
    slots: BTreeMap<WorkerId, Slot<C>>,
    events: Events<C::Answer>,
    last_number: OrderNumber,
    last_worker: WorkerId,
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
    pub fn new(crew: &'c C, jobs_max: usize, ahead: usize) -> Self {
        Self {
            crew,
            jobs_max,
            ahead,
            slots: BTreeMap::new(),
            events: mpsc::channel(),
            last_number: 0,
            last_worker: 0,
        }
    }

    /// Where to say that attention is wanted: [`WorkerEvent::Interrupted`].
    #[must_use]
    pub fn bell(&self) -> Sender<WorkerEvent<C::Answer>> {
        self.events.0.clone()
    }

    /// How many workers have something to do.
    #[must_use]
    pub fn busy(&self) -> usize {
        let busy = |slot: &&Slot<C>| !slot.jobs.is_empty();
        self.slots.values().filter(busy).count()
    }

    /// Whether another worker may begin to work.
    #[must_use]
    pub fn may_begin(&self) -> bool {
        self.busy() < self.jobs_max
    }

    /// How many workers have a job of a kind.
    pub fn count(&self, is_of_kind: impl Fn(&C::Job) -> bool) -> usize {
        let has = |slot: &&Slot<C>| slot.jobs.iter().any(|(_, job)| is_of_kind(job));
        self.slots.values().filter(has).count()
    }

    /// The worker that gets the next job, which may be a new one; `None` if all have enough.
    ///
    /// # Errors
    /// The system grants no worker.
    pub fn room(&mut self) -> io::Result<Option<WorkerId>> {
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

    /// Gives a job to a worker that is started for it, and ends with it.
    ///
    /// # Errors
    /// The system grants no worker.
    pub fn give_fresh(&mut self, job: C::Job) -> io::Result<()> {
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

    /// Gives a job to a worker.
    pub fn give(&mut self, worker: WorkerId, job: C::Job) {
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

    /// Ends a worker; returns the jobs that it has not come to.
    pub fn dismiss(&mut self, worker: WorkerId) -> Vec<C::Job> {
        let slot = self.slots.remove(&worker);
        let jobs = slot.into_iter().flat_map(|slot| slot.jobs);
        jobs.map(|(_, job)| job).collect()
    }

    /// When something is to be done about a worker: how long until then. `None` if it does nothing.
    fn due(&self, slot: &Slot<C>) -> Option<Duration> {
        let limit = match slot.jobs.front() {
            _ if !slot.ready => STARTUP,
            Some((_, job)) if slot.told => self.crew.limit(job).saturating_add(GRACE),
            Some((_, job)) => self.crew.limit(job),
            None => return None,
        };
        Some(limit.saturating_sub(slot.since.elapsed()))
    }

    /// Waits for what comes next, but no longer than this; `None` if nothing did. Also looks for jobs
    /// whose time is over.
    pub fn wait(&mut self, most: Duration) -> Option<Happened<C::Job, C::Answer>> {
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
                    return Some(Happened::Unusable(how));
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
        // One that was given up may still have said something.
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

    /// Tells those that are late to stop, or gives one of them up.
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

/// Told to a job on a thread: whether it is to stop.
pub type StopFlag = Arc<AtomicBool>;

/// The end of a job on a thread.
#[derive(Debug)]
pub enum Ended<R> {
    /// It is done.
    Done(R),
    /// It panicked, with these words.
    Panicked(String),
    /// It took longer than allowed, did not stop when it was told to, and was given up after this time.
    Overdue(Duration),
}

/// The end of a series of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// All are done.
    Complete,
    /// It was interrupted; what was done was handed out.
    Interrupted,
}

/// A panic in words.
pub type Describe = fn(&(dyn std::any::Any + Send)) -> String;

/// Workers that are threads of this process, and do all the same with different jobs.
pub struct Threads<J, R> {
    work: Work<J, R>,
    describe: Describe,
    wall: Duration,
}

type Work<J, R> = Arc<dyn Fn(J, StopFlag) -> R + Send + Sync>;

/// A job with its number in a series. Taken by the thread that does it.
type Numbered<J> = (usize, Arc<Mutex<Option<J>>>);

impl<J, R> std::fmt::Debug for Threads<J, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Threads")
            .field("wall", &self.wall)
            .finish_non_exhaustive()
    }
}

impl<J, R> Threads<J, R> {
    /// Threads that do this with each job; `wall` is the time for one.
    #[must_use]
    pub fn new(
        work: impl Fn(J, StopFlag) -> R + Send + Sync + 'static,
        wall: Duration,
        describe: Describe,
    ) -> Self {
        Self {
            work: Arc::new(work),
            describe,
            wall,
        }
    }
}

/// What a thread is given: a job with the number of its order, and how it is told to stop.
type ThreadOrder<J> = (OrderNumber, Arc<Mutex<Option<J>>>, StopFlag);

/// A thread that takes jobs.
#[derive(Debug)]
pub struct ThreadWorker<J> {
    jobs: Sender<ThreadOrder<J>>,
    /// Of the job that it was given last: it has one at a time.
    stop: StopFlag,
}

impl<J> Worker<Numbered<J>> for ThreadWorker<J> {
    fn give(&mut self, number: OrderNumber, (_, job): &Numbered<J>) {
        self.stop = StopFlag::default();
        // A thread takes jobs for as long as this is there.
        drop(self.jobs.send((number, Arc::clone(job), self.stop.clone())));
    }

    fn stop(&mut self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        true
    }

    fn exit_status(&mut self) -> String {
        "its thread ended".to_owned()
    }
}

impl<J: Send + 'static, R: Send + 'static> Crew for Threads<J, R> {
    type Job = Numbered<J>;
    type Answer = Ended<R>;
    type Worker = ThreadWorker<J>;

    fn start(
        &self,
        id: WorkerId,
        events: &Sender<WorkerEvent<Ended<R>>>,
    ) -> io::Result<ThreadWorker<J>> {
        let (jobs, queue) = mpsc::channel::<ThreadOrder<J>>();
        // A thread has nothing to prepare.
        let ready = events.send(WorkerEvent::Ready(id));
        let (work, describe, events) = (Arc::clone(&self.work), self.describe, events.clone());
        let serve = move || {
            for (number, job, stop) in queue {
                let job = job.lock().unwrap_or_else(PoisonError::into_inner).take();
                let Some(job) = job else { continue };
                let ended = match catch_unwind(AssertUnwindSafe(|| work(job, stop))) {
                    Ok(result) => Ended::Done(result),
                    Err(panic) => Ended::Panicked(describe(panic.as_ref())),
                };
                let done = WorkerEvent::Done(id, number, ended, None);
                if events.send(done).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name(format!("hublab-job-{id}"))
            .spawn(serve)?;
        drop(ready);
        Ok(ThreadWorker {
            jobs,
            stop: StopFlag::default(),
        })
    }

    fn limit(&self, _: &Numbered<J>) -> Duration {
        self.wall
    }
}

/// How many results may wait for an earlier one: what bounds their memory.
const AHEAD_MAX: usize = 1_024;

/// Longer than anything waits.
const LONG: Duration = Duration::from_secs(3_600);

/// Does all jobs on so many threads and hands each result to `take`, with the number of its job, in
/// their order. When the series is interrupted, results that waited for an unfinished job are handed
/// out, too. `listen` is given what to call for that, and what it returns is kept until the end.
///
/// # Errors
/// The first error of `take`, or the system grants no thread; jobs not yet begun are dropped.
pub fn in_order<J, R, E, G>(
    threads: &Threads<J, R>,
    workers: usize,
    mut jobs: impl Iterator<Item = J>,
    listen: impl FnOnce(Box<dyn Fn() + Send>) -> G,
    mut take: impl FnMut(usize, Ended<R>) -> Result<(), E>,
) -> Result<Series, E>
where
    J: Send + 'static,
    R: Send + 'static,
    E: From<io::Error>,
{
    let mut executor = Executor::new(threads, workers, 1);
    let bell = executor.bell();
    let _listening = listen(Box::new(move || drop(bell.send(WorkerEvent::Interrupted))));
    let mut waiting: BTreeMap<usize, Ended<R>> = BTreeMap::new();
    let (mut begun, mut taken) = (0, 0);
    let mut is_drained = false;
    loop {
        while !is_drained && begun - taken < AHEAD_MAX && executor.may_begin() {
            let Some(job) = jobs.next() else {
                is_drained = true;
                break;
            };
            if let Some(worker) = executor.room()? {
                executor.give(worker, (begun, Arc::new(Mutex::new(Some(job)))));
                begun += 1;
            }
        }
        if executor.busy() == 0 {
            return Ok(Series::Complete);
        }
        match executor.wait(LONG) {
            Some(Happened::Done {
                job: (number, _),
                answer,
                ..
            }) => drop(waiting.insert(number, answer)),
            Some(Happened::Overdue {
                job: (number, _),
                took,
                ..
            }) => drop(waiting.insert(number, Ended::Overdue(took))),
            Some(Happened::Interrupted) => {
                waiting
                    .into_iter()
                    .try_for_each(|(number, ended)| take(number, ended))?;
                return Ok(Series::Interrupted);
            }
            Some(Happened::Died { .. } | Happened::Refused(_) | Happened::Unusable(_)) | None => {}
        }
        while let Some(ended) = waiting.remove(&taken) {
            taken += 1;
            take(taken - 1, ended)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: Duration = Duration::from_secs(60);

    fn words(panic: &(dyn std::any::Any + Send)) -> String {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default()
    }

    /// Makes a series in which nothing is listened to.
    fn run<J: Send + 'static, R: Send + 'static>(
        jobs: impl Iterator<Item = J>,
        (workers, wall): (usize, Duration),
        work: impl Fn(J, StopFlag) -> R + Send + Sync + 'static,
        take: impl FnMut(usize, Ended<R>) -> Result<(), io::Error>,
    ) -> io::Result<Series> {
        let threads = Threads::new(work, wall, words);
        in_order(&threads, workers, jobs, drop, take)
    }

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        let mut seen = Vec::new();
        let work = |job: u64, _| {
            thread::sleep(Duration::from_millis((7 * job) % 5));
            job * 10
        };
        let end = run(0..50, (4, AGES), work, |number, ended| {
            let Ended::Done(result) = ended else {
                panic!("job {number} was not done")
            };
            seen.push((number, result));
            Ok(())
        });
        assert_eq!(end.unwrap(), Series::Complete);
        assert_eq!(
            seen,
            (0..50)
                .map(|job| (job, job as u64 * 10))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_job_that_panics_does_not_disturb_the_others() {
        let mut words = Vec::new();
        let work = |job: u64, _| assert_ne!(job, 1, "one is wrong");
        run(0..3, (1, AGES), work, |_, ended| {
            words.push(match ended {
                Ended::Done(()) => String::new(),
                Ended::Panicked(message) => message,
                Ended::Overdue(_) => "overdue".to_owned(),
            });
            Ok(())
        })
        .unwrap();
        assert!(words[1].contains("one is wrong"), "{words:?}");
        assert_eq!((words[0].as_str(), words[2].as_str()), ("", ""));
    }

    #[test]
    fn a_job_that_never_ends_is_given_up_alone() {
        for workers in [1, 2] {
            let mut seen = Vec::new();
            let work = |job: u64, _| {
                if job == 1 {
                    thread::sleep(AGES);
                }
            };
            let limits = (workers, Duration::from_millis(200));
            let end = run(0..6, limits, work, |number, ended| {
                seen.push((number, matches!(ended, Ended::Overdue(_))));
                Ok(())
            });
            assert_eq!(end.unwrap(), Series::Complete);
            let expected: Vec<_> = (0..6).map(|number| (number, number == 1)).collect();
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn a_job_that_takes_too_long_is_told_to_stop() {
        let mut stopped = Vec::new();
        let work = |job: u64, stop: StopFlag| {
            while job == 0 && !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
            stop.load(Ordering::Relaxed)
        };
        let limits = (1, Duration::from_millis(200));
        let end = run(0..3, limits, work, |_, ended| {
            stopped.push(matches!(ended, Ended::Done(true)));
            Ok(())
        });
        assert_eq!(end.unwrap(), Series::Complete);
        assert_eq!(stopped, [true, false, false]);
    }

    #[test]
    fn when_nobody_takes_results_any_more_the_series_ends() {
        let end = run(
            0..,
            (2, AGES),
            |job: u64, _| job,
            |_, _| Err(io::ErrorKind::BrokenPipe.into()),
        );
        assert_eq!(
            end.map_err(|error| error.kind()),
            Err(io::ErrorKind::BrokenPipe)
        );
    }
}
