//! The runs of a search: on several threads, within a time, and remembered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hublab_sim::blame::{Job, Outcome, Question, Runner};
use hublab_strategies::time::format_duration;

use super::super::exit::ExitStatus;
use super::super::pool::{self, End, Ended, Limits};
use super::super::{Context, Stop, print_bug};
use super::store::Store;

/// The longest that one run may take.
const WALL: Duration = Duration::from_secs(60);

/// How many runs are begun before the clock is looked at.
const AT_ONCE: usize = 256;

/// Makes the runs of a question.
pub(super) struct Made<'a> {
    question: Arc<Question>,
    store: Option<Store>,
    workers: usize,
    until: Option<Instant>,
    context: &'a Context,
    halted: Option<ExitStatus>,
    error: Option<Stop>,
}

impl<'a> Made<'a> {
    /// Runs of a question, `workers` at a time; none is begun after `until`.
    pub(super) fn new(
        question: Arc<Question>,
        store: Option<Store>,
        workers: usize,
        until: Option<Instant>,
        context: &'a Context,
    ) -> Self {
        Self {
            question,
            store,
            workers,
            until,
            context,
            halted: None,
            error: None,
        }
    }

    /// Why it stopped before it was through; `None` if it did not.
    pub(super) fn halted(&self) -> Option<ExitStatus> {
        self.halted
    }

    /// What went wrong beside the runs.
    pub(super) fn take_error(&mut self) -> Option<Stop> {
        self.error.take()
    }

    pub(super) fn into_store(self) -> Option<Store> {
        self.store
    }

    /// Makes these runs, and remembers them.
    fn make(&mut self, jobs: &[Job]) -> Result<Option<Vec<Outcome>>, Stop> {
        let mut outcomes = Vec::with_capacity(jobs.len());
        for jobs in jobs.chunks(AT_ONCE) {
            if self.until.is_some_and(|until| Instant::now() >= until) {
                self.halted = Some(ExitStatus::Inconclusive);
                return Ok(None);
            }
            let (question, catalog) = (
                Arc::clone(&self.question),
                Arc::clone(&self.context.catalog),
            );
            let limits = Limits {
                workers: self.workers,
                wall: WALL,
            };
            let mut made: Vec<Outcome> = Vec::with_capacity(jobs.len());
            let mut halted = None;
            let batch = jobs.to_vec();
            let context = self.context;
            let end = pool::run(
                batch.into_iter(),
                limits,
                move |job: Job, _| question.run(&job, &catalog),
                |_, ended| {
                    match ended {
                        Ended::Done(outcome) => made.push(outcome),
                        Ended::Panicked(what) => {
                            print_bug(context, &what);
                            halted = Some(ExitStatus::Bug);
                        }
                        Ended::Overdue(took) => {
                            let took = format_duration(took);
                            context
                                .output
                                .note(format_args!("a run did not end in {took}"));
                            halted = Some(ExitStatus::Inconclusive);
                        }
                    }
                    Ok(())
                },
            )?;
            match end {
                End::Interrupted => halted = halted.max(Some(ExitStatus::Interrupted)),
                End::Complete => {}
            }
            if halted.is_some() {
                self.halted = halted;
                return Ok(None);
            }
            if let Some(store) = &mut self.store {
                store.keep(jobs, &made)?;
            }
            outcomes.extend(made);
        }
        Ok(Some(outcomes))
    }
}

impl Runner for Made<'_> {
    fn run(&mut self, jobs: &[Job]) -> Option<Vec<Outcome>> {
        let known = |made: &Self, job: &Job| made.store.as_ref().and_then(|store| store.get(job));
        let new: Vec<Job> = jobs
            .iter()
            .filter(|job| known(self, job).is_none())
            .cloned()
            .collect();
        let mut outcomes = match self.make(&new) {
            Ok(outcomes) => outcomes?.into_iter(),
            Err(error) => {
                self.error = Some(error);
                return None;
            }
        };
        // Those that were known before, and the new ones in between.
        let mut new = new.iter().peekable();
        jobs.iter()
            .map(|job| {
                if new.next_if(|next| *next == job).is_some() {
                    outcomes.next()
                } else {
                    known(self, job)
                }
            })
            .collect()
    }
}
