//! Independent jobs on several threads: results in the order of the jobs, and a clean stop when
//! interrupted. The executor is that of campaigns.

use std::time::Duration;

pub(super) use hublab_sim::campaign::executor::{Ended, Series as End, StopFlag};
use hublab_sim::campaign::executor::{Threads, in_order};

use super::Stop;
use super::interrupt::Listening;
use super::panics;

/// How jobs are run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Threads.
    pub(super) workers: usize,
    /// Real time for one job.
    pub(super) wall: Duration,
}

/// Does all jobs and hands each result to `take`, with the number of its job, in their order.
/// When the series ends early, results that waited for an unfinished job are handed out too.
///
/// # Errors
/// The first error of `take`, or the operating system grants no thread; jobs not yet begun are
/// dropped.
pub(super) fn run<J, R>(
    jobs: impl Iterator<Item = J>,
    limits: Limits,
    work: impl Fn(J, StopFlag) -> R + Send + Sync + 'static,
    take: impl FnMut(usize, Ended<R>) -> Result<(), Stop>,
) -> Result<End, Stop>
where
    J: Send + 'static,
    R: Send + 'static,
{
    let threads = Threads::new(work, limits.wall, panics::describe);
    in_order(&threads, limits.workers, jobs, Listening::new, take)
}
