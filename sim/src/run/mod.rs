//! One run: a scenario, a strategy and a seed in; a report out.

mod builder;
pub mod estimate;
pub mod failure;
mod twin;

pub use builder::Simulation;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use madsim::runtime::Runtime;
use madsim::task::{JoinHandle, spawn_local};

use crate::catalog::Catalog;
use crate::engine::{Engine, Finished, NodeFactories};
use crate::metric::{self, Measures};
use crate::model::{Scenario, Window};
pub use crate::report;
use crate::report::{Messages, Report, WindowNumbers};
pub(crate) use crate::run::twin::judge_clock_independence;
use crate::run::twin::twin;
use crate::scenario::render_change;
use crate::scenario::resolve::resolve;
use crate::simulation::Handle;
use crate::trace::counts::Counts;
use crate::trace::recorder::{Recorder, Sink};
use crate::watch::Observers;
use crate::watch::findings::ClockTwin;
use crate::watch::judge::{self, Verdict};
use crate::watch::measure::Measured;
use crate::watch::oracle::Oracle;
use crate::world::{Stepping, with_runtime};

/// The events after which a run is ended as `inconclusive`, unless asked otherwise.
pub const EVENT_BUDGET: u64 = 50_000_000;

/// How to run.
struct Options {
    stepping: Stepping,
    budget: u64,
    sinks: Vec<Box<dyn Sink>>,
    oracles: Vec<Box<dyn Oracle>>,
    measured: bool,
    stop: Option<Arc<AtomicBool>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            stepping: Stepping::Slice,
            budget: EVENT_BUDGET,
            sinks: Vec::new(),
            oracles: Vec::new(),
            measured: true,
            stop: None,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("stepping", &self.stepping)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// Why a run could not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The catalog has no such strategy.
    #[error("unknown strategy `{0}`")]
    UnknownStrategy(String),
    /// The catalog has no such program.
    #[error("unknown program `{0}`")]
    UnknownProgram(String),
    /// The strategy refused a parameter.
    #[error("strategy.{strategy}.{key}: {reason}")]
    Refused {
        /// The strategy.
        strategy: String,
        /// The parameter.
        key: String,
        /// The problem with it.
        reason: String,
    },
}

fn launch<T, F>(
    scenario: &Scenario,
    strategy: &str,
    seed: u64,
    catalog: &Catalog,
    options: Options,
    job: Option<impl FnOnce(Handle) -> F + Send + 'static>,
) -> Result<(Report, Option<T>), RunError>
where
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let entry = catalog
        .get(strategy)
        .ok_or_else(|| RunError::UnknownStrategy(strategy.to_owned()))?;
    let resolved = resolve(scenario, seed, catalog);
    let factories = NodeFactories::new(&resolved, entry).map_err(|error| RunError::Refused {
        strategy: strategy.to_owned(),
        key: error.key,
        reason: error.reason,
    })?;
    let program = match &resolved.cluster.program {
        Some(name) => Some((
            name.as_str(),
            catalog
                .program(name)
                .ok_or_else(|| RunError::UnknownProgram(name.clone()))?
                .clone(),
        )),
        None => None,
    };
    let begun = Instant::now();
    let Options {
        stepping,
        budget,
        mut sinks,
        oracles,
        measured,
        stop,
    } = options;
    let measures = Measures::new(catalog.metrics());
    sinks.extend(measures.sink());
    let oracles = catalog.watching(&resolved, strategy, oracles);
    let facts = entry.facts(&resolved);
    let mut observers = Observers::new(&resolved, &facts, oracles);
    if measured || metric::is_claimed(&resolved) {
        observers = observers.measuring(&facts);
    }
    let has_job = job.is_some();
    let (finished, value) = with_runtime(seed, |runtime| {
        let simulation = runtime.block_on(async {
            let recorder = Recorder::new(sinks);
            let mut engine = Engine::new(&resolved, factories, observers, recorder, budget);
            engine.stop_when(stop.clone());
            if let Some((name, program)) = program {
                engine.set_program(name, program, resolved.run.task_order);
            }
            Handle::start(engine, job.is_some())
        });
        let job = job.map(|job| Job::begin(runtime, job(simulation.clone())));
        let finished = simulation.run_to_end(runtime, stepping);
        (finished, job.and_then(|job| job.end(runtime)))
    });
    let mut finished = finished;
    if finished.outcome.findings.clocks_are_suspect() {
        let twin = if has_job {
            ClockTwin::Open("a run with a job beside it cannot be made again".to_owned())
        } else {
            let options = Options {
                stepping,
                budget,
                measured: false,
                stop,
                ..Options::default()
            };
            twin(&resolved, strategy, catalog, options)?
        };
        judge_clock_independence(&mut finished.outcome, twin, &resolved, strategy);
    }
    let wall_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let unmet = finished.unmet.iter();
    let unmet = unmet.map(|change| render_change(&resolved, change));
    let unmet = unmet.collect();
    let report = report_of(
        (&resolved, strategy, seed),
        &measures,
        finished,
        unmet,
        wall_us,
    );
    Ok((report, value))
}

/// A task beside a run, and what it comes to.
struct Job<T> {
    task: JoinHandle<()>,
    value: Rc<RefCell<Option<T>>>,
}

impl<T: 'static> Job<T> {
    /// Gives it its first turn.
    fn begin(runtime: &Runtime, future: impl Future<Output = T> + 'static) -> Self {
        let value = Rc::new(RefCell::new(None));
        let slot = Rc::clone(&value);
        #[expect(
            clippy::async_yields_async,
            reason = "it is spawned here and awaited by nobody"
        )]
        let task = runtime.block_on(async {
            spawn_local(async move {
                let value = future.await;
                slot.replace(Some(value));
            })
        });
        Self { task, value }
    }

    /// Gives it its last turn, now that the run is over.
    fn end(self, runtime: &Runtime) -> Option<T> {
        runtime.block_on(async {});
        self.task.abort();
        runtime.block_on(async {});
        self.value.take()
    }
}

/// The report of a run; `unmet` are its changes that name what did not occur.
pub(crate) fn report_of(
    (scenario, strategy, seed): (&Scenario, &str, u64),
    measures: &Measures,
    finished: Finished,
    unmet: Vec<String>,
    wall_us: u64,
) -> Report {
    let Finished {
        now,
        stopped_early,
        is_told_to_stop,
        unmet: _,
        outcome,
        digest,
    } = finished;
    let is_whole = !stopped_early || outcome.has_panicked;
    let windows = outcome.windows.into_iter();
    let numbers = |(window, (counts, measured)): (Window, (Counts, Measured))| {
        let numbers = WindowNumbers {
            messages: Messages::new(&counts),
            events: counts.events(),
            measured,
        };
        (window, numbers)
    };
    let mut report = Report {
        schema: report::SCHEMA,
        scenario: scenario.name.clone(),
        strategy: strategy.to_owned(),
        seed,
        verdict: Verdict::Pass,
        digest: (!is_told_to_stop).then_some(digest),
        events: outcome.counts.events(),
        virtual_us: now.0,
        wall_us,
        messages: Messages::new(&outcome.counts),
        converged_us: outcome.converged_since.map(|at| at.0),
        last_step_us: outcome.last_step.0,
        rows: outcome.rows,
        metrics: BTreeMap::new(),
        measured: outcome.measured,
        windows: windows.map(numbers).collect(),
        expectations: outcome.judgements,
        violations: outcome.findings.violations,
        violations_suppressed: outcome.findings.suppressed,
        inconclusive: outcome.findings.inconclusive,
        timeline: outcome.timeline,
        warnings: Vec::new(),
        replay: String::new(),
        runtime: None,
        reason: if is_whole {
            unmet.first().map(|change| {
                format!("[run] changes names what does not occur in this run: {change}")
            })
        } else {
            Some(format!("the run was ended at {now}, before its time"))
        },
        unmet_changes: unmet,
        ended_early: stopped_early,
        clock_twin: outcome.clock_twin,
    };
    report.metrics = measures.of(&report);
    measures.judge(&mut report, judge::applying(scenario, strategy));
    let is_as_asked = is_whole && report.unmet_changes.is_empty();
    report.verdict = failure::verdict(scenario, &report, is_as_asked);
    report
}
