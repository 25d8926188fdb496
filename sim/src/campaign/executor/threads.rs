//! Workers that are threads, and series of jobs on them whose results come in order.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::{
    Came, Crew, Executor, Happened, OrderNumber, Series, Worker, WorkerEnd, WorkerEvent, WorkerId,
    results_in_order,
};

/// True once the job on a thread is to stop.
pub type StopFlag = Arc<AtomicBool>;

/// The end of a job of a series.
#[derive(Debug)]
pub enum Ended<R> {
    /// It is done.
    Done(R),
    /// It panicked, with these words.
    Panicked(String),
    /// It took longer than allowed, and was given up after this time. On a thread, it did not stop when it
    /// was told to.
    Overdue(Duration),
}

/// A panic in words.
pub type Describe = fn(&(dyn std::any::Any + Send)) -> String;

/// Workers that are threads of this process. All run one function, each on its own jobs.
pub struct Threads<J, R> {
    work: Work<J, R>,
    describe: Describe,
    wall: Duration,
}

type Work<J, R> = Arc<dyn Fn(J, StopFlag) -> R + Send + Sync>;

/// A job with its number in a series; the thread that runs it takes it out.
type Numbered<J> = (usize, Arc<Mutex<Option<J>>>);

impl<J, R> std::fmt::Debug for Threads<J, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Threads")
            .field("wall", &self.wall)
            .finish_non_exhaustive()
    }
}

impl<J, R> Threads<J, R> {
    /// Threads that run `work` on each job; a job may take `wall`, and `describe` puts its panic in words.
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

/// An order for a thread: its number, its job, and the flag that stops it.
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

    fn exit_status(&mut self) -> WorkerEnd {
        WorkerEnd {
            words: "its thread ended".to_owned(),
            killed_by: None,
        }
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

/// Runs all jobs on `workers` threads and hands each result to `take`, with the number of its job, in
/// the order of the jobs. `listen` gets a function that interrupts the series; what `listen` returns is
/// dropped at the end. An interrupted series hands out the results that waited for an unfinished job,
/// too.
///
/// # Errors
/// The first error of `take`, or the system grants no thread; jobs not yet begun are dropped.
pub fn in_order<J, R, E, G>(
    threads: &Threads<J, R>,
    workers: usize,
    jobs: impl Iterator<Item = J>,
    listen: impl FnOnce(Box<dyn Fn() + Send>) -> G,
    take: impl FnMut(usize, Ended<R>) -> Result<(), E>,
) -> Result<Series, E>
where
    J: Send + 'static,
    R: Send + 'static,
    E: From<io::Error>,
{
    let jobs = jobs.map(|job| Arc::new(Mutex::new(Some(job))));
    let settle = |_: &mut Executor<'_, _>, happened: Happened<Numbered<J>, Ended<R>>| {
        Ok(match happened {
            Happened::Done {
                job: (number, _),
                answer,
                ..
            } => Came::Result(number, answer),
            Happened::Overdue {
                job: (number, _),
                took,
                ..
            } => Came::Result(number, Ended::Overdue(took)),
            // No thread dies, refuses to work or is never ready.
            Happened::Died { .. }
            | Happened::Refused(_)
            | Happened::Unusable(_)
            | Happened::Interrupted => Came::Nothing,
        })
    };
    results_in_order(threads, workers, jobs, listen, settle, take)
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
