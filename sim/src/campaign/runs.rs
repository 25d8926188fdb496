//! Runs of scenario files in worker processes, their outcomes in order: what a comparison is made of.
//! And estimates of such runs, which are made in the same way.
//!
//! Nothing is confirmed, shrunk or held to oracles. A run that takes too long or brings its worker down
//! has an outcome that says so, and the others go on.

use std::collections::BTreeMap;
use std::io;
use std::process::Command;
use std::sync::mpsc::Sender;
use std::time::Duration;

use hublab_strategies::time::micros;

use super::CampaignError;
use super::executor::{
    Came, Crew, Ended, Executor, Happened, Series, WorkerEvent, WorkerId, results_in_order,
};
use super::oracles::OracleSet;
use super::pool::{Commission, GROWTH, KILLED_MAX, WorkerHandle, WorkerPool, died, killed};
use super::wire::{self, Answer, RunTask, Setup, Task};
use crate::compare::Outcome;
use crate::run::estimate::Estimate;

/// Something to be made of a file.
#[derive(Debug)]
struct FileJob {
    run: RunTask,
    ask: fn(RunTask) -> Task,
}

/// A job with its number in the series.
type Numbered = (usize, FileJob);

impl Commission for Numbered {
    fn task(&self) -> Task {
        (self.1.ask)(self.1.run.clone())
    }
}

/// Progress of a series, reported while it runs.
#[derive(Debug)]
pub enum Told {
    /// A run is done: its outcome may still have to wait for those of earlier runs.
    Done(usize),
    /// Something happened that changes no outcome, such as a worker that was killed from outside.
    Note(String),
}

/// Worker processes that make runs of scenario files.
pub struct RunWorkers {
    pool: WorkerPool,
    setup: String,
    wall: Duration,
}

impl std::fmt::Debug for RunWorkers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunWorkers")
            .field("wall", &self.wall)
            .finish_non_exhaustive()
    }
}

/// The same as the executor has them.
struct Processes<'a>(&'a RunWorkers);

impl Crew for Processes<'_> {
    type Job = Numbered;
    type Answer = Answer;
    type Worker = WorkerHandle;

    fn start(
        &self,
        id: WorkerId,
        events: &Sender<WorkerEvent<Answer>>,
    ) -> io::Result<WorkerHandle> {
        self.0.pool.start(&self.0.setup, id, events)
    }

    fn limit(&self, _: &Numbered) -> Duration {
        self.0.wall
    }
}

impl RunWorkers {
    /// Workers that are started with this command (see [`Campaign::worker`](super::Campaign::worker)); a
    /// run that takes longer than `wall` is given up.
    #[must_use]
    pub fn new(command: impl Fn() -> Command + Send + Sync + 'static, wall: Duration) -> Self {
        Self {
            pool: WorkerPool::Processes(Box::new(command)),
            setup: wire::line(&Setup {
                version: wire::VERSION,
                sources: Vec::new(),
                oracles: OracleSet::Claims,
                baseline: None,
            }),
            wall,
        }
    }

    /// Makes all runs in so many processes at the same time, and hands each outcome to `take`, with the
    /// number of its run, in the order of the runs. `listen` gets a function that interrupts the series;
    /// what `listen` returns is dropped at the end. A run is [`Ended::Panicked`] by a bug of this program.
    ///
    /// # Errors
    /// The first error of `take`; or no worker can be started, or one refuses its work.
    pub fn make<E, G>(
        &self,
        workers: usize,
        runs: impl Iterator<Item = RunTask>,
        listen: impl FnOnce(Box<dyn Fn() + Send>) -> G,
        tell: impl FnMut(Told),
        take: impl FnMut(usize, Ended<Outcome>) -> Result<(), E>,
    ) -> Result<Series, E>
    where
        E: From<CampaignError> + From<io::Error>,
    {
        let ended = |end| match end {
            Answered::With(Answer::Outcome { outcome, wall_us }) => Some(Outcome {
                wall_us,
                ..*outcome
            }),
            Answered::With(_) => None,
            Answered::Not { reason, took } => Some(Outcome::given_up(&reason, micros(took))),
        };
        // A worker whose run did not finish is replaced: its memory may still hold parts of that run.
        let is_whole = |outcome: &Outcome| outcome.reason.is_none();
        let jobs = runs.map(|run| FileJob {
            run,
            ask: Task::Run,
        });
        let settling = Settling::new(ended, is_whole, tell);
        self.in_order(workers, jobs, listen, settling, take)
    }

    /// Estimates all runs in the same way; `None` where the estimate brought its worker down.
    ///
    /// # Errors
    /// As for [`Self::make`].
    pub fn estimate<E, G>(
        &self,
        workers: usize,
        runs: impl Iterator<Item = RunTask>,
        listen: impl FnOnce(Box<dyn Fn() + Send>) -> G,
        tell: impl FnMut(Told),
        take: impl FnMut(usize, Ended<Option<Estimate>>) -> Result<(), E>,
    ) -> Result<Series, E>
    where
        E: From<CampaignError> + From<io::Error>,
    {
        let ended = |end| match end {
            Answered::With(Answer::Estimate(estimate)) => Some(Some(*estimate)),
            Answered::With(_) => None,
            Answered::Not { .. } => Some(None),
        };
        let jobs = runs.map(|run| FileJob {
            run,
            ask: Task::Estimate,
        });
        let settling = Settling::new(ended, Option::is_some, tell);
        self.in_order(workers, jobs, listen, settling, take)
    }

    fn in_order<R, E, G>(
        &self,
        workers: usize,
        jobs: impl Iterator<Item = FileJob>,
        listen: impl FnOnce(Box<dyn Fn() + Send>) -> G,
        mut settling: Settling<
            impl Fn(Answered) -> Option<R>,
            impl Fn(&R) -> bool,
            impl FnMut(Told),
        >,
        take: impl FnMut(usize, Ended<R>) -> Result<(), E>,
    ) -> Result<Series, E>
    where
        E: From<CampaignError> + From<io::Error>,
    {
        let settle = |executor: &mut Executor<'_, Processes<'_>>, happened| {
            let came = settling.settle(executor, happened)?;
            if let Came::Result(number, _) = &came {
                (settling.tell)(Told::Done(*number));
            }
            Ok(came)
        };
        results_in_order(&Processes(self), workers, jobs, listen, settle, take)
    }
}

/// The result of a job: an answer, or the loss of its worker.
enum Answered {
    /// This answer.
    With(Answer),
    /// None: its worker is lost.
    Not { reason: String, took: Duration },
}

/// Turns the ends of jobs into results. `ended` makes a result of an answer, and `None` of an answer to another
/// kind of task. A worker is replaced after a result that `is_whole` rejects.
struct Settling<M, W, T> {
    ended: M,
    is_whole: W,
    tell: T,
    /// How often the worker of a job was killed from outside, by the number of the job.
    kills: BTreeMap<usize, u32>,
}

impl<M, W, T> Settling<M, W, T> {
    fn new(ended: M, is_whole: W, tell: T) -> Self {
        Self {
            ended,
            is_whole,
            tell,
            kills: BTreeMap::new(),
        }
    }

    fn settle<R>(
        &mut self,
        executor: &mut Executor<'_, Processes<'_>>,
        happened: Happened<Numbered, Answer>,
    ) -> Result<Came<FileJob, Ended<R>>, CampaignError>
    where
        M: Fn(Answered) -> Option<R>,
        W: Fn(&R) -> bool,
        T: FnMut(Told),
    {
        let stray = || CampaignError::Worker("it answered what it was not asked".to_owned());
        let lost = |number, reason, took| {
            let result = (self.ended)(Answered::Not { reason, took }).ok_or_else(stray)?;
            Ok(Came::Result(number, Ended::Done(result)))
        };
        match happened {
            Happened::Done {
                answer: Answer::Refused(reason),
                ..
            }
            | Happened::Refused(reason) => Err(CampaignError::Refused(reason)),
            Happened::Done {
                worker,
                job: (number, _),
                answer: Answer::Bug(words),
                ..
            } => {
                executor.dismiss(worker);
                Ok(Came::Result(number, Ended::Panicked(words)))
            }
            Happened::Done {
                worker,
                job: (number, _),
                answer,
                growth,
            } => {
                let result = (self.ended)(Answered::With(answer)).ok_or_else(stray)?;
                if !(self.is_whole)(&result) || growth.is_some_and(|growth| growth > GROWTH) {
                    executor.dismiss(worker);
                }
                Ok(Came::Result(number, Ended::Done(result)))
            }
            Happened::Died {
                job: Some((number, job)),
                took,
                how,
                ..
            } => {
                let Some(signal) = how.killed_by else {
                    return lost(number, died(&how), took);
                };
                let times = self.kills.entry(number).or_default();
                *times += 1;
                if *times > KILLED_MAX {
                    return lost(number, killed(signal, *times), took);
                }
                let RunTask {
                    path,
                    strategy,
                    seed,
                    ..
                } = &job.run;
                (self.tell)(Told::Note(format!(
                    "worker was killed (signal {signal}): {strategy}, seed {seed} of {path} is made again"
                )));
                Ok(Came::Again(number, job))
            }
            Happened::Overdue {
                job: (number, _),
                took,
                ..
            } => Ok(Came::Result(number, Ended::Overdue(took))),
            Happened::Unusable(how) => Err(CampaignError::Worker(how)),
            Happened::Died { job: None, .. } | Happened::Interrupted => Ok(Came::Nothing),
        }
    }
}
