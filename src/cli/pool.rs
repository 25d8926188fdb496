//! Independent jobs on several threads: results in the order of the jobs, an end to jobs that
//! take too long, and a clean stop when interrupted.
//!
//! A step that never returns cannot be stopped from inside. The thread that waits for the jobs is
//! therefore the watchdog: it gives a job up whose time is over, and the threads still at work
//! end with the process.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
    /// It took longer than allowed, and was given up.
    Overdue,
}

/// How a series of jobs ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All are done.
    Complete,
    /// Somebody interrupted it; what was done was handed out.
    Interrupted,
    /// A job took too long; what was done was handed out.
    Overdue,
}

/// How jobs are run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Threads.
    pub(super) workers: usize,
    /// Real time for one job.
    pub(super) wall: Duration,
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
    work: impl Fn(J) -> R + Send + Sync + 'static,
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
    let mut running: BTreeMap<usize, Instant> = BTreeMap::new();
    let mut waiting: BTreeMap<usize, Ended<R>> = BTreeMap::new();
    let (mut begun, mut taken) = (0, 0);
    loop {
        while running.len() < limits.workers && begun - taken < AHEAD_MAX {
            let Some(job) = jobs.next() else { break };
            workers.give(begun, job, running.len())?;
            running.insert(begun, Instant::now());
            begun += 1;
        }
        let Some(oldest) = running.values().min() else {
            return Ok(End::Complete);
        };
        let rest = limits.wall.saturating_sub(oldest.elapsed());
        match inbox.recv_timeout(rest) {
            Ok(Message::Ended(number, ended)) => {
                running.remove(&number);
                waiting.insert(number, ended);
                while let Some(ended) = waiting.remove(&taken) {
                    taken += 1;
                    take(taken - 1, ended)?;
                }
            }
            Ok(Message::Interrupted) => {
                waiting
                    .into_iter()
                    .try_for_each(|(number, ended)| take(number, ended))?;
                return Ok(End::Interrupted);
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let overdue = running
                    .iter()
                    .filter(|(_, since)| since.elapsed() >= limits.wall);
                waiting.extend(overdue.map(|(number, _)| (*number, Ended::Overdue)));
                waiting
                    .into_iter()
                    .try_for_each(|(number, ended)| take(number, ended))?;
                return Ok(End::Overdue);
            }
        }
    }
}

/// Threads that wait for jobs; they end when this is dropped and their job is done.
struct Workers<J, R> {
    jobs: Sender<(usize, J)>,
    queue: Arc<Mutex<Receiver<(usize, J)>>>,
    results: Sender<Message<R>>,
    work: Arc<dyn Fn(J) -> R + Send + Sync>,
    threads: usize,
}

impl<J: Send + 'static, R: Send + 'static> Workers<J, R> {
    fn new(work: impl Fn(J) -> R + Send + Sync + 'static, results: Sender<Message<R>>) -> Self {
        let (jobs, queue) = mpsc::channel();
        Self {
            jobs,
            queue: Arc::new(Mutex::new(queue)),
            results,
            work: Arc::new(work),
            threads: 0,
        }
    }

    /// Hands a job to a thread: a new one if all are busy.
    fn give(&mut self, number: usize, job: J, busy: usize) -> Result<(), Stop> {
        if busy == self.threads {
            self.add()?;
        }
        self.jobs
            .send((number, job))
            .map_err(|_| Stop::Usage("no thread takes jobs".to_owned()))
    }

    fn add(&mut self) -> Result<(), Stop> {
        let (queue, results, work) = (self.queue.clone(), self.results.clone(), self.work.clone());
        let serve = move || {
            loop {
                // The lock is held while waiting, and given up before the job is done.
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((number, job)) = next else { return };
                let ended = match catch_unwind(AssertUnwindSafe(|| work(job))) {
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
        let work = |job: u64| {
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
        let work = |job: u64| assert_ne!(job, 1, "one is wrong");
        run(0..3, limits(1, LONG), work, |_, ended| {
            words.push(match ended {
                Ended::Done(()) => String::new(),
                Ended::Panicked(message) => message,
                Ended::Overdue => "overdue".to_owned(),
            });
            Ok(())
        })
        .unwrap();
        assert!(words[1].contains("one is wrong"), "{words:?}");
        assert_eq!((words[0].as_str(), words[2].as_str()), ("", ""));
    }

    #[test]
    fn a_job_that_never_ends_is_given_up_and_what_is_done_is_kept() {
        let mut seen = Vec::new();
        let work = |job: u64| {
            if job == 0 {
                thread::sleep(LONG);
            }
        };
        let end = run(
            0..4,
            limits(2, Duration::from_millis(200)),
            work,
            |number, ended| {
                seen.push((number, matches!(ended, Ended::Overdue)));
                Ok(())
            },
        );
        assert_eq!(end.unwrap(), End::Overdue);
        assert_eq!(seen, [(0, true), (1, false), (2, false), (3, false)]);
    }

    #[test]
    fn when_nobody_takes_results_any_more_the_series_ends() {
        let end = run(0.., limits(2, LONG), |job: u64| job, |_, _| Err(Stop::Pipe));
        assert!(matches!(end, Err(Stop::Pipe)));
    }
}
