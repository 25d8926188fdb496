//! Series: jobs whose results are wanted in the order of the jobs, whichever kind of worker does them.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::Duration;

use super::{Crew, Executor, Happened, WorkerEvent};

/// The end of a series of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// All are done.
    Complete,
    /// It was interrupted; what was done was handed out.
    Interrupted,
}

/// The consequence for a series when a job ends or a worker dies.
pub(crate) enum Came<J, R> {
    /// The job of this number has come to this.
    Result(usize, R),
    /// The job of this number is to be done again.
    Again(usize, J),
    /// Nothing.
    Nothing,
}

/// The most results that wait for an earlier one; bounds their memory.
const AHEAD_MAX: usize = 1_024;

/// Longer than anything waits.
const LONG: Duration = Duration::from_secs(3_600);

/// Has `workers` workers do all jobs, each of which gets its number, and hands each result to `take` in
/// the order of the jobs. `settle` says what it means when a job is done, or its worker has died. `listen`
/// gets a function that interrupts the series; what `listen` returns is dropped at the end. An interrupted
/// series hands out the results that waited for an unfinished job, too.
///
/// # Errors
/// The first error of `settle` or `take`, or the system grants no worker; jobs not yet begun are dropped.
pub(crate) fn results_in_order<C, J, R, E, G>(
    crew: &C,
    workers: usize,
    mut jobs: impl Iterator<Item = J>,
    listen: impl FnOnce(Box<dyn Fn() + Send>) -> G,
    mut settle: impl FnMut(&mut Executor<'_, C>, Happened<C::Job, C::Answer>) -> Result<Came<J, R>, E>,
    mut take: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<Series, E>
where
    C: Crew<Job = (usize, J)>,
    C::Answer: Send + 'static,
    E: From<io::Error>,
{
    let mut executor = Executor::new(crew, workers, 1);
    let bell = executor.bell();
    let _listening = listen(Box::new(move || drop(bell.send(WorkerEvent::Interrupted))));
    let mut waiting: BTreeMap<usize, R> = BTreeMap::new();
    let mut again: VecDeque<(usize, J)> = VecDeque::new();
    let (mut begun, mut taken) = (0, 0);
    let mut is_drained = false;
    loop {
        while executor.may_begin() {
            let next = again.pop_front().or_else(|| {
                if is_drained || begun - taken >= AHEAD_MAX {
                    return None;
                }
                let job = jobs.next();
                is_drained = job.is_none();
                let numbered = (begun, job?);
                begun += 1;
                Some(numbered)
            });
            let Some(next) = next else { break };
            match executor.room()? {
                Some(worker) => executor.give(worker, next),
                None => {
                    again.push_front(next);
                    break;
                }
            }
        }
        if executor.busy() == 0 {
            return Ok(Series::Complete);
        }
        match executor.wait(LONG) {
            Some(Happened::Interrupted) => {
                waiting
                    .into_iter()
                    .try_for_each(|(number, result)| take(number, result))?;
                return Ok(Series::Interrupted);
            }
            Some(happened) => match settle(&mut executor, happened)? {
                Came::Result(number, result) => drop(waiting.insert(number, result)),
                Came::Again(number, job) => again.push_back((number, job)),
                Came::Nothing => {}
            },
            None => {}
        }
        while let Some(result) = waiting.remove(&taken) {
            taken += 1;
            take(taken - 1, result)?;
        }
    }
}
