//! Runs of scenario files in worker processes, their outcomes in order: what a comparison is made of.
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

/// A run with its number in the series.
type Numbered = (usize, RunTask);

impl Commission for Numbered {
    fn task(&self) -> Task {
        Task::Run(self.1.clone())
    }
}

/// What is told of a series while it goes on.
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
    pub fn in_order<E, G>(
        &self,
        workers: usize,
        runs: impl Iterator<Item = RunTask>,
        listen: impl FnOnce(Box<dyn Fn() + Send>) -> G,
        mut tell: impl FnMut(Told),
        take: impl FnMut(usize, Ended<Outcome>) -> Result<(), E>,
    ) -> Result<Series, E>
    where
        E: From<CampaignError> + From<io::Error>,
    {
        let mut kills = Kills::default();
        let settle = |executor: &mut Executor<'_, Processes<'_>>,
                      happened: Happened<Numbered, Answer>| {
            let came = kills.settle(executor, happened, &mut tell)?;
            if let Came::Result(number, _) = &came {
                tell(Told::Done(*number));
            }
            Ok(came)
        };
        results_in_order(&Processes(self), workers, runs, listen, settle, take)
    }
}

/// How often the worker of a run was killed from outside, by the number of the run.
#[derive(Debug, Default)]
struct Kills(BTreeMap<usize, u32>);

impl Kills {
    fn settle(
        &mut self,
        executor: &mut Executor<'_, Processes<'_>>,
        happened: Happened<Numbered, Answer>,
        tell: &mut impl FnMut(Told),
    ) -> Result<Came<RunTask, Ended<Outcome>>, CampaignError> {
        Ok(match happened {
            Happened::Done {
                worker,
                job: (number, _),
                answer,
                growth,
            } => {
                let ended = ended(answer)?;
                // What a run that did not come to its end leaves behind is for no other run.
                let is_whole = matches!(&ended, Ended::Done(outcome) if outcome.reason.is_none());
                if !is_whole || growth.is_some_and(|growth| growth > GROWTH) {
                    executor.dismiss(worker);
                }
                Came::Result(number, ended)
            }
            Happened::Died {
                job: Some((number, run)),
                took,
                how,
                ..
            } => match how.killed_by {
                None => lost(number, &died(&how), took),
                Some(signal) => {
                    let times = self.0.entry(number).or_default();
                    *times += 1;
                    if *times > KILLED_MAX {
                        lost(number, &killed(signal, *times), took)
                    } else {
                        let RunTask {
                            path,
                            strategy,
                            seed,
                            ..
                        } = &run;
                        let run_in_words = format!("{strategy}, seed {seed} of {path}");
                        tell(Told::Note(format!(
                            "worker was killed (signal {signal}): {run_in_words} is made again"
                        )));
                        Came::Again(number, run)
                    }
                }
            },
            Happened::Overdue {
                job: (number, _),
                took,
                ..
            } => Came::Result(number, Ended::Overdue(took)),
            Happened::Refused(reason) => return Err(CampaignError::Refused(reason)),
            Happened::Unusable(how) => return Err(CampaignError::Worker(how)),
            Happened::Died { job: None, .. } | Happened::Interrupted => Came::Nothing,
        })
    }
}

fn lost(number: usize, reason: &str, took: Duration) -> Came<RunTask, Ended<Outcome>> {
    let outcome = Outcome::given_up(reason, micros(took));
    Came::Result(number, Ended::Done(outcome))
}

/// The end of a run that its worker tells.
fn ended(answer: Answer) -> Result<Ended<Outcome>, CampaignError> {
    match answer {
        Answer::Outcome {
            mut outcome,
            wall_us,
        } => {
            outcome.wall_us = wall_us;
            Ok(Ended::Done(*outcome))
        }
        Answer::Bug(words) => Ok(Ended::Panicked(words)),
        Answer::Refused(reason) => Err(CampaignError::Refused(reason)),
        Answer::Ready | Answer::Record(_) | Answer::Shrunk(_) => {
            let reason = "a worker answered what it was not asked";
            Err(CampaignError::Worker(reason.to_owned()))
        }
    }
}
