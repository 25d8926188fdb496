//! What `--memory` and `--budget` have no room for, told before anything runs.

use std::time::Duration;

use hublab_sim::campaign::executor::{Ended, Series};
use hublab_sim::campaign::runs::{RunWorkers, Told};
use hublab_sim::run::estimate::Estimate;
use hublab_strategies::time::{format_duration, micros};

use super::part::Part;
use super::runs::jobs;
use super::setup::Comparison;
use crate::cli::args::compare::Runs;
use crate::cli::args::fuzz::MEMORY_MIB;
use crate::cli::fuzz::worker;
use crate::cli::interrupt::Listening;
use crate::cli::progress::{Progress, roughly};
use crate::cli::render::number::{bytes, counted};
use crate::cli::render::style;
use crate::cli::{Context, Stop};

/// The time for one estimate. Only a strategy that does not return takes that long.
const PATIENCE: Duration = Duration::from_secs(30);

/// The least address space of a worker that makes estimates, in MiB: a run that does not fit into
/// `--memory` is to be estimated all the same, and an estimate ends long before this.
const PROBE_MIB: u64 = 1_024;

/// The estimates of one run with each scenario and strategy, by cell and contestant. They are those of
/// `check`: each run is made as far as a million events, without what it is held to. There is none where
/// that takes too long or brings its worker down, which is told when the run is made.
#[derive(Debug)]
pub(super) struct Fit(Vec<Option<Estimate>>);

impl Fit {
    /// Makes them; `None` if that was interrupted.
    ///
    /// # Errors
    /// No worker can be started, or a strategy refuses its parameters.
    pub(super) fn new(
        comparison: &Comparison,
        runs: Runs,
        context: &Context,
    ) -> Result<Option<Self>, Stop> {
        let memory = runs.memory.unwrap_or(MEMORY_MIB).max(PROBE_MIB);
        let patience = runs.wall_limit.min(PATIENCE);
        let workers = RunWorkers::new(worker::command(memory)?, patience);
        let tasks = comparison.samples().map(|task| comparison.run_task(task));
        let count = comparison.samples().count() as u64;
        let progress = Progress::new(&context.output, "estimate", count, count);
        let tell = |told| match told {
            Told::Note(text) => context.output.note(text),
            Told::Done(_) => {
                drop(progress.meter(1));
                progress.part_done();
            }
        };
        let mut all = Vec::new();
        let end = workers.estimate(jobs(runs), tasks, Listening::new, tell, |_, ended| {
            all.push(match ended {
                Ended::Done(estimate) => estimate,
                Ended::Panicked(_) | Ended::Overdue(_) => None,
            });
            Ok::<(), Stop>(())
        })?;
        Ok((end == Series::Complete).then_some(Self(all)))
    }

    /// Leaves the cells out that have a run which needs more memory, and tells each.
    pub(super) fn leave_out(
        &self,
        comparison: &mut Comparison,
        memory_mib: u64,
        context: &Context,
    ) {
        let allowed = memory_mib << 20;
        let contestants = comparison.plan.contestants.len();
        for (cell, of_cell) in self.0.chunks(contestants).enumerate() {
            let needs = |estimate: &Option<Estimate>| estimate.as_ref().map(|one| one.memory_bytes);
            let needs = of_cell.iter().map(needs).zip(&comparison.plan.contestants);
            let most = needs.max_by_key(|(bytes, _)| *bytes);
            let Some((Some(needed), contestant)) =
                most.filter(|(needed, _)| *needed > Some(allowed))
            else {
                continue;
            };
            let reason = format!(
                "with {} a run needs about {} of memory, more than --memory {memory_mib} ({})",
                contestant.name,
                bytes(needed),
                bytes(allowed)
            );
            let (word, name) = (style::warn("warning:"), comparison.cell_name(cell));
            context
                .output
                .note(format_args!("{word} {name} is not run: {reason}"));
            comparison.left_out.insert(cell, reason);
        }
    }

    /// Tells if all runs of a part are estimated to take longer than they may, on so many workers.
    pub(super) fn tell_time(
        &self,
        part: &Part<'_>,
        budget: Duration,
        jobs: usize,
        context: &Context,
    ) {
        let comparison = part.comparison;
        let (mut one_each_us, mut unknown) = (0_u64, 0_u64);
        for (task, estimate) in comparison.samples().zip(&self.0) {
            if comparison.left_out.contains_key(&task.cell) {
                continue;
            }
            match estimate.as_ref().and_then(|estimate| estimate.wall_us) {
                Some(wall_us) => one_each_us = one_each_us.saturating_add(wall_us),
                None => unknown += 1,
            }
        }
        let all_us = u128::from(one_each_us) * comparison.seeds() as u128;
        let share_us = all_us / u128::from(part.shard.count()) / jobs as u128;
        if share_us <= u128::from(micros(budget)) {
            return;
        }
        let seconds = u64::try_from(share_us.div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let without = match unknown {
            0 => String::new(),
            unknown => format!(
                ", and {} whose time is not known",
                counted(unknown, "scenario")
            ),
        };
        context.output.note(format_args!(
            "{} the runs take about {}{without}, more than --budget {}: with --out, --resume goes on with \
             what is not done by then",
            style::warn("warning:"),
            roughly(seconds),
            format_duration(budget)
        ));
    }
}
