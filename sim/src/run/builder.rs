//! [`Simulation`]: everything that one run is made from.

use std::future::{Future, Ready};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{Options, RunError, launch};
use crate::catalog::Catalog;
use crate::model::Scenario;
use crate::report::Report;
use crate::simulation::Handle;
use crate::trace::Sink;
use crate::watch::oracle::Oracle;
use crate::world::Stepping;

/// A run to be made. What is not said is the file's: its first strategy, its seed.
///
/// ```
/// use hublab_sim::{Catalog, Scenario, Simulation};
///
/// let text = "
///     schema = 1
///     [cluster]
///     nodes = 3
///     [[step]]
///     at = '1s'
///     start_children = { on = 'n1', ids = ['a'] }
/// ";
/// let catalog = Catalog::default();
/// let scenario = Scenario::read("example.toml", text.as_bytes(), &catalog).expect("a scenario");
/// let report = Simulation::new(&scenario, &catalog).strategy("gossip")?.seed(7).run()?;
/// assert!(report.metric("converged_us").is_some());
/// # Ok::<(), hublab_sim::run::RunError>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing runs before `run`"]
pub struct Simulation<'a> {
    scenario: &'a Scenario,
    catalog: &'a Catalog,
    strategy: &'a str,
    seed: u64,
    options: Options,
}

impl<'a> Simulation<'a> {
    /// A run of a scenario, with its first strategy and its seed.
    pub fn new(scenario: &'a Scenario, catalog: &'a Catalog) -> Self {
        Self {
            scenario,
            catalog,
            strategy: scenario.run.strategies.first().map_or("", String::as_str),
            seed: scenario.run.seed,
            options: Options::default(),
        }
    }

    /// A run of a scenario with its seed.
    pub(super) fn with_options(
        scenario: &'a Scenario,
        strategy: &'a str,
        catalog: &'a Catalog,
        options: Options,
    ) -> Self {
        Self {
            strategy,
            options,
            ..Self::new(scenario, catalog)
        }
    }

    /// With this strategy of the catalog.
    ///
    /// # Errors
    /// The catalog has no such strategy.
    pub fn strategy(self, strategy: &'a str) -> Result<Self, RunError> {
        if self.catalog.get(strategy).is_none() {
            return Err(RunError::UnknownStrategy(strategy.to_owned()));
        }
        Ok(Self { strategy, ..self })
    }

    /// With this seed.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// With at most so many events; a run that has more is inconclusive.
    pub fn budget(mut self, events: u64) -> Self {
        self.options.budget = events;
        self
    }

    /// With this stepping of madsim's clock.
    pub fn stepping(mut self, stepping: Stepping) -> Self {
        self.options.stepping = stepping;
        self
    }

    /// Ends the run soon after `stop` becomes true. The report says what it had come to by then, and
    /// has no digest.
    pub fn stop_when(mut self, stop: Arc<AtomicBool>) -> Self {
        self.options.stop = Some(stop);
        self
    }

    /// Without measuring costs and staleness, unless an expectation asks for a metric: its report has
    /// only the metrics that cost nothing, and the run is faster.
    pub fn unmeasured(mut self) -> Self {
        self.options.measured = false;
        self
    }

    /// Watched by this oracle, too.
    pub fn oracle(mut self, oracle: impl Oracle + 'static) -> Self {
        self.options.oracles.push(Box::new(oracle));
        self
    }

    /// Watched by these oracles, too.
    pub fn oracles(mut self, oracles: impl IntoIterator<Item = Box<dyn Oracle>>) -> Self {
        self.options.oracles.extend(oracles);
        self
    }

    /// With somebody more who listens to the trace.
    pub fn sink(mut self, sink: impl Sink + 'static) -> Self {
        self.options.sinks.push(Box::new(sink));
        self
    }

    /// With more of those who listen to the trace.
    pub fn sinks(mut self, sinks: impl IntoIterator<Item = Box<dyn Sink>>) -> Self {
        self.options.sinks.extend(sinks);
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// The strategy is unknown or refuses its parameters; nothing has run.
    ///
    /// # Panics
    /// Only for a bug of the simulator itself. A panic of a strategy is a verdict.
    pub fn run(self) -> Result<Report, RunError> {
        let no_job = None::<fn(Handle) -> Ready<()>>;
        self.launch(no_job).map(|(report, _)| report)
    }

    /// Runs it with a job beside it in the same world: the job may wait for instants, put commands
    /// into nodes, learn of nodes that stop, and spawn tasks of its own. The run goes on to its end
    /// whenever the job ends; the second value is the job's, if it ended by then.
    ///
    /// The job begins when the nodes of `start` have booted, before anything else has happened. It
    /// and its tasks must not wait on anything outside madsim's world. What a run with a job comes to
    /// depends on the job, too: its replay needs the job again.
    ///
    /// ```
    /// use hublab_sim::{Catalog, Scenario, Simulation};
    /// use hublab_strategies::hub::Command;
    /// use hublab_strategies::{NodeId, Time};
    ///
    /// let text = "
    ///     schema = 1
    ///     [cluster]
    ///     nodes = 3
    ///     [[step]]
    ///     at = '20s'
    ///     crash = { nodes = ['n2'] }
    /// ";
    /// let catalog = Catalog::default();
    /// let scenario = Scenario::read("example.toml", text.as_bytes(), &catalog).expect("a scenario");
    /// let (report, stop) = Simulation::new(&scenario, &catalog).run_with(async |handle| {
    ///     handle.run_until(Time(5_000_000)).await;
    ///     let child = Command::RestartChild("nobody".into());
    ///     handle.inject(&NodeId::from("n1"), child).expect("n1 runs at 5 s");
    ///     handle.stopped(&NodeId::from("n2")).await
    /// })?;
    /// assert_eq!(stop.flatten().map(|stop| stop.at), Some(Time(20_000_000)));
    /// assert_eq!(report.virtual_us, 60_000_000);
    /// # Ok::<(), hublab_sim::run::RunError>(())
    /// ```
    ///
    /// # Errors
    /// The strategy is unknown or refuses its parameters; nothing has run.
    ///
    /// # Panics
    /// If the job or a task of it panics, and for a bug of the simulator itself.
    pub fn run_with<T, F>(
        self,
        job: impl FnOnce(Handle) -> F + Send + 'static,
    ) -> Result<(Report, Option<T>), RunError>
    where
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        self.launch(Some(job))
    }

    fn launch<T, F>(
        self,
        job: Option<impl FnOnce(Handle) -> F + Send + 'static>,
    ) -> Result<(Report, Option<T>), RunError>
    where
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        launch(
            self.scenario,
            self.strategy,
            self.seed,
            self.catalog,
            self.options,
            job,
        )
    }
}
