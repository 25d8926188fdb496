//! Independent jobs on several threads: results in the order of the jobs, an end to jobs that
//! take too long, and a clean stop when interrupted.
//!
//! The thread that waits for the jobs is the watchdog. A job whose time is over is told to stop, and
//! ends with what it has; the others go on. A step that never returns cannot be stopped from inside:
//! such a job is given up, its thread is left behind until the process ends, and another takes its
//! place.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Stop;
use super::interrupt::Listening;
use super::panics;

/// What became of a job.
#[derive(Debug)]
pub(super) enum Ended<R> {
    /// It is done.
    Done(R),
    /// It panicked, with these words.
    Panicked(String),
    /// It took longer than allowed, did not stop when it was told to, and was given up after this time.
    Overdue(Duration),
}

/// How a series of jobs ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All are done.
    Complete,
    /// Somebody interrupted it; what was done was handed out.
    Interrupted,
}

/// How jobs are run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Threads.
    pub(super) workers: usize,
    /// Real time for one job.
    pub(super) wall: Duration,
}

/// How long a job may take to stop once it was told to.
const GRACE: Duration = Duration::from_secs(1);

/// Told to a job: whether it is to stop.
pub(super) type StopFlag = Arc<AtomicBool>;

/// A job under way.
struct Running {
    since: Instant,
    stop: StopFlag,
}

impl Running {
    /// When something is to be done about it: it is told to stop, or given up.
    fn due(&self, wall: Duration) -> Duration {
        let stopped = self.stop.load(Ordering::Relaxed);
        let limit = if stopped {
            wall.saturating_add(GRACE)
        } else {
            wall
        };
        limit.saturating_sub(self.since.elapsed())
    }
}

/// How many results may wait for an earlier one: what bounds their memory.
const AHEAD_MAX: usize = 1_024;

enum Message<R> {
    Ended(usize, Ended<R>),
    Interrupted,
}

/// Does all jobs and hands each result to `take`, with the number of its job, in their order.
/// When the series ends early, results that waited for an unfinished job are handed out too.
///
/// # Errors
/// The first error of `take`, or the operating system grants no thread; jobs not yet begun are
/// dropped.
pub(super) fn run<J, R>(
    mut jobs: impl Iterator<Item = J>,
    limits: Limits,
    work: impl Fn(J, StopFlag) -> R + Send + Sync + 'static,
    mut take: impl FnMut(usize, Ended<R>) -> Result<(), Stop>,
) -> Result<End, Stop>
where
    J: Send + 'static,
    R: Send + 'static,
{
    let (results, inbox) = mpsc::channel();
    let interrupted = results.clone();
    let _listening = Listening::new(move || drop(interrupted.send(Message::Interrupted)));
    let mut workers = Workers::new(work, results);
    let mut running: BTreeMap<usize, Running> = BTreeMap::new();
    let mut waiting: BTreeMap<usize, Ended<R>> = BTreeMap::new();
    let (mut begun, mut taken) = (0, 0);
    loop {
        while running.len() < limits.workers && begun - taken < AHEAD_MAX {
            let Some(job) = jobs.next() else { break };
            let stop = StopFlag::default();
            workers.give((begun, job, stop.clone()), running.len())?;
            let since = Instant::now();
            running.insert(begun, Running { since, stop });
            begun += 1;
        }
        let Some(rest) = running.values().map(|job| job.due(limits.wall)).min() else {
            return Ok(End::Complete);
        };
        match inbox.recv_timeout(rest) {
            Ok(Message::Ended(number, ended)) => {
                // One that was given up may still come to its end.
                if running.remove(&number).is_some() {
                    waiting.insert(number, ended);
                } else {
                    workers.lost -= 1;
                }
            }
            Ok(Message::Interrupted) => {
                waiting
                    .into_iter()
                    .try_for_each(|(number, ended)| take(number, ended))?;
                return Ok(End::Interrupted);
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                running.retain(|number, job| {
                    let is_due = job.due(limits.wall).is_zero();
                    let is_deaf = is_due && job.stop.swap(true, Ordering::Relaxed);
                    if is_deaf {
                        waiting.insert(*number, Ended::Overdue(job.since.elapsed()));
                        workers.lost += 1;
                    }
                    !is_deaf
                });
            }
        }
        while let Some(ended) = waiting.remove(&taken) {
            taken += 1;
            take(taken - 1, ended)?;
        }
    }
}

/// Threads that wait for jobs; they end when this is dropped and their job is done.
struct Workers<J, R> {
    jobs: Sender<Order<J>>,
    queue: Arc<Mutex<Receiver<Order<J>>>>,
    results: Sender<Message<R>>,
    work: Arc<dyn Fn(J, StopFlag) -> R + Send + Sync>,
    threads: usize,
    /// Threads whose job was given up.
    lost: usize,
}

/// A job, its number, and how it is told to stop.
type Order<J> = (usize, J, StopFlag);

impl<J: Send + 'static, R: Send + 'static> Workers<J, R> {
    fn new(
        work: impl Fn(J, StopFlag) -> R + Send + Sync + 'static,
        results: Sender<Message<R>>,
    ) -> Self {
        let (jobs, queue) = mpsc::channel();
        Self {
            jobs,
            queue: Arc::new(Mutex::new(queue)),
            results,
            work: Arc::new(work),
            threads: 0,
            lost: 0,
        }
    }

    /// Hands a job to a thread: a new one if all are busy.
    fn give(&mut self, order: Order<J>, busy: usize) -> Result<(), Stop> {
        if busy + self.lost >= self.threads {
            self.add()?;
        }
        self.jobs
            .send(order)
            .map_err(|_| Stop::Usage("no thread takes jobs".to_owned()))
    }

    fn add(&mut self) -> Result<(), Stop> {
        let (queue, results, work) = (self.queue.clone(), self.results.clone(), self.work.clone());
        let serve = move || {
            loop {
                // The lock is held while waiting, and given up before the job is done.
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((number, job, stop)) = next else {
                    return;
                };
                let ended = match catch_unwind(AssertUnwindSafe(|| work(job, stop))) {
                    Ok(result) => Ended::Done(result),
                    Err(panic) => Ended::Panicked(panics::describe(panic.as_ref())),
                };
                if results.send(Message::Ended(number, ended)).is_err() {
                    return;
                }
            }
        };
        let spawned = thread::Builder::new()
            .name(format!("hublab-job-{}", self.threads))
            .spawn(serve);
        spawned.map_err(|error| Stop::Usage(format!("the system grants no thread: {error}")))?;
        self.threads += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn limits(workers: usize, wall: Duration) -> Limits {
        Limits { workers, wall }
    }

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        let mut seen = Vec::new();
        let work = |job: u64, _| {
            thread::sleep(Duration::from_millis((7 * job) % 5));
            job * 10
        };
        let end = run(0..50, limits(4, LONG), work, |number, ended| {
            let Ended::Done(result) = ended else {
                panic!("job {number} was not done")
            };
            seen.push((number, result));
            Ok(())
        });
        assert_eq!(end.unwrap(), End::Complete);
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
        run(0..3, limits(1, LONG), work, |_, ended| {
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
                    thread::sleep(LONG);
                }
            };
            let limits = limits(workers, Duration::from_millis(200));
            let end = run(0..6, limits, work, |number, ended| {
                seen.push((number, matches!(ended, Ended::Overdue(_))));
                Ok(())
            });
            assert_eq!(end.unwrap(), End::Complete);
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
        let limits = limits(1, Duration::from_millis(200));
        let end = run(0..3, limits, work, |_, ended| {
            stopped.push(matches!(ended, Ended::Done(true)));
            Ok(())
        });
        assert_eq!(end.unwrap(), End::Complete);
        assert_eq!(stopped, [true, false, false]);
    }

    #[test]
    fn when_nobody_takes_results_any_more_the_series_ends() {
        let end = run(
            0..,
            limits(2, LONG),
            |job: u64, _| job,
            |_, _| Err(Stop::Pipe),
        );
        assert!(matches!(end, Err(Stop::Pipe)));
    }
}
