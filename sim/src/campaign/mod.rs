//! Campaigns: many seeds, what fails in them, and which failures are the same.
//!
//! A campaign runs generated scenarios, or files, over a range of seeds, with one strategy or
//! several. Each run is a function of scenario, strategy, seed and oracles; how many run at once,
//! and in which process, changes nothing in its record.
//!
//! | module | owns |
//! | --- | --- |
//! | [`trial`] | one run: where its scenario is from, and the [`record::Record`] it comes to |
//! | `baseline` | what another strategy shows, too |
//! | [`oracles`], [`reach`] | which oracles listen; what a run exercised |
//! | [`fingerprint`] | which shrunk failures are the same |
//! | [`plan`], [`shard`] | which runs there are, in which order; which share of them is a process's own |
//! | [`manifest`], [`known`] | what a campaign was asked for; failures that are no news |
//! | [`executor`] | jobs on threads or worker processes: limits, ends, results in order |
//! | `conductor`, `pool` | which worker makes which run; workers as processes or threads |
//! | [`runs`] | runs of files in worker processes, and estimates of them, for comparisons |
//! | [`worker`], [`wire`] | the other end, and what both say to each other |
//! | [`shrinking`] | which failures are shrunk |
//! | [`confirm`] | which runs are made again in a fresh process, and what that tells |
//! | [`summary`] | all records added up |
//!
//! # A campaign in a test
//!
//! ```
//! use hublab_sim::campaign::Campaign;
//!
//! Campaign::new("pubsub").seeds(0..3).assert_clean();
//! ```
//!
//! A strategy of one's own needs a catalog that has it: [`Campaign::catalog`].
//!
//! Without more, runs are made on threads of this process. That cannot hold everything: a step
//! that never returns keeps its thread and core until the process ends, one that overflows its
//! stack or eats all memory takes the process along, and what differs between two processes is
//! never seen. With [`Campaign::worker`] they are made in processes: any program whose `main` is
//! `hublab::cli::main(catalog)` is one, when it is started with the argument `__worker`. For a test
//! of a package with such a binary `mine`:
//!
//! ```text
//! Campaign::new("mine")
//!     .catalog(catalog())
//!     .worker(|| {
//!         let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mine"));
//!         command.arg("__worker");
//!         command
//!     })
//!     .seeds(0..10_000)
//!     .assert_clean();
//! ```

mod baseline;
mod conductor;
pub mod confirm;
pub mod executor;
pub mod fingerprint;
pub mod group;
pub mod known;
pub mod manifest;
pub mod oracles;
pub mod plan;
mod pool;
pub mod reach;
pub mod record;
pub mod runs;
pub mod shard;
pub mod shrinking;
pub mod summary;
pub mod trial;
pub mod wire;
pub mod worker;

use std::fmt;
use std::io;
use std::ops::{ControlFlow, Range};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use conductor::{Before, Conductor};
use confirm::Confirm;
use known::Known;
use oracles::OracleSet;
use plan::Plan;
use pool::{CampaignCrew, WorkerPool};
use record::Record;
use shard::Shard;
use shrinking::{AllShrunk, Shrinking, ShrunkLine, WaitingRecords};
use summary::{End, Summary};
use trial::Source;

use crate::catalog::Catalog;
use crate::generate;

/// How long one run may take, unless asked otherwise.
pub(crate) const WALL_LIMIT: Duration = Duration::from_secs(30);

/// Is told of a campaign while it goes on.
pub trait Observer {
    /// A run is done, confirmed if it needed to be, and with all that is known of its failures.
    /// [`ControlFlow::Break`] ends the campaign.
    fn record(&mut self, record: &Record) -> ControlFlow<()>;

    /// Something happened that changes no result, such as a worker that was killed from outside.
    fn note(&mut self, _text: &str) {}

    /// A run was made and counts. What is shrunk of it, if anything, is not known yet: its record comes
    /// again later, by [`Self::record`].
    fn made(&mut self, _record: &Record) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// A failure was shrunk, or cannot be.
    fn shrunk(&mut self, _line: &ShrunkLine) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Takes no interest.
impl Observer for () {
    fn record(&mut self, _record: &Record) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Why a campaign could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CampaignError {
    /// The system grants no process, thread or pipe.
    #[error("no worker can be started: {0}")]
    Start(#[from] io::Error),
    /// A worker ended before it was ready for work, or several in succession were killed by then.
    #[error("a worker was never ready: {0}")]
    Worker(String),
    /// A run cannot be made: a strategy is unknown or refuses its parameters, or the worker is
    /// another version of the program.
    #[error("{0}")]
    Refused(String),
}

/// Options that do not change the set of runs.
struct Limits {
    oracles: OracleSet,
    baseline: Option<String>,
    jobs: usize,
    wall: Duration,
    budget: Option<Duration>,
    max_failures: Option<u64>,
    confirm: Confirm,
    shrinking: Option<Shrinking>,
    recycle: bool,
    stop: Arc<AtomicBool>,
}

/// A campaign to be run: what to run, over which seeds, and how.
pub struct Campaign {
    catalog: Arc<Catalog>,
    sources: Vec<Source>,
    strategies: Vec<String>,
    /// True if files run with the strategies that they list themselves.
    own_strategies: bool,
    seeds: Range<u64>,
    shard: Shard,
    known: Known,
    allowed_inconclusive: u64,
    pool: Option<WorkerPool>,
    limits: Limits,
}

impl fmt::Debug for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Campaign")
            .field("strategies", &self.strategies)
            .field("seeds", &self.seeds)
            .finish_non_exhaustive()
    }
}

impl Campaign {
    /// The generated scenarios of seeds 0 to 999 with one strategy, held to what it claims, on all
    /// cores.
    #[must_use]
    pub fn new(strategy: &str) -> Self {
        Self {
            catalog: Arc::default(),
            sources: Vec::new(),
            strategies: vec![strategy.to_owned()],
            own_strategies: false,
            seeds: 0..1_000,
            shard: Shard::WHOLE,
            known: Known::default(),
            allowed_inconclusive: 0,
            pool: None,
            limits: Limits {
                oracles: OracleSet::Claims,
                baseline: None,
                jobs: thread::available_parallelism().map_or(1, usize::from),
                wall: WALL_LIMIT,
                budget: None,
                max_failures: None,
                confirm: Confirm::default(),
                shrinking: None,
                recycle: true,
                stop: Arc::default(),
            },
        }
    }

    /// The catalog that has the strategies; default: that of the two ports.
    #[must_use]
    pub fn catalog(mut self, catalog: impl Into<Arc<Catalog>>) -> Self {
        self.catalog = catalog.into();
        self
    }

    /// One more strategy.
    #[must_use]
    pub fn strategy(mut self, name: &str) -> Self {
        if !self.strategies.iter().any(|known| known == name) {
            self.strategies.push(name.to_owned());
        }
        self
    }

    /// Has every file run with the strategies that it lists itself, instead of the campaign's.
    #[must_use]
    pub fn strategies_of_files(mut self) -> Self {
        self.own_strategies = true;
        self
    }

    /// One more source of scenarios; default: generated ones, with every fault family.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.sources.push(source);
        self
    }

    /// The seeds, the end not included; default: 0..1000.
    #[must_use]
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// Only every `count`-th seed, from the `index`-th on, counted from 0; default: all.
    ///
    /// # Panics
    /// If there are not that many shards.
    #[must_use]
    pub fn shard(mut self, index: u64, count: u64) -> Self {
        self.shard = Shard::new(index, count).unwrap_or_else(|error| panic!("{error}"));
        self
    }

    /// Failures that are no news; default: none.
    #[must_use]
    pub fn known(mut self, known: Known) -> Self {
        self.known = known;
        self
    }

    /// How many inconclusive runs do not make the campaign inconclusive; default: none.
    #[must_use]
    pub fn allow_inconclusive(mut self, runs: u64) -> Self {
        self.allowed_inconclusive = runs;
        self
    }

    /// The oracles that runs must hold; default: those that each strategy claims.
    #[must_use]
    pub fn oracles(mut self, oracles: OracleSet) -> Self {
        self.limits.oracles = oracles;
        self
    }

    /// Leaves out what this strategy shows, too, in the same scenario with the same seed: failures of the
    /// same claim or oracle with the same kind of defect. Default: reports everything.
    #[must_use]
    pub fn baseline(mut self, strategy: &str) -> Self {
        self.limits.baseline = Some(strategy.to_owned());
        self
    }

    /// How many runs are made at the same time; default: the number of cores.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.limits.jobs = jobs.max(1);
        self
    }

    /// The time for everything, shrinking included; runs under way are finished. Default: no limit.
    #[must_use]
    pub fn budget(mut self, budget: Duration) -> Self {
        self.limits.budget = Some(budget);
        self
    }

    /// Begins no further run after that many have failed; default: no limit.
    #[must_use]
    pub fn max_failures(mut self, most: u64) -> Self {
        self.limits.max_failures = Some(most);
        self
    }

    /// Gives up a run that takes longer; default 30 s.
    #[must_use]
    pub fn wall_limit(mut self, limit: Duration) -> Self {
        self.limits.wall = limit;
        self
    }

    /// Which runs are made again in a fresh process.
    #[must_use]
    pub fn confirm(mut self, confirm: Confirm) -> Self {
        self.limits.confirm = confirm;
        self
    }

    /// Looks for the smallest scenarios that fail the same way; default: does not.
    #[must_use]
    pub fn shrink(mut self, shrinking: Shrinking) -> Self {
        self.limits.shrinking = Some(shrinking);
        self
    }

    /// True if workers are replaced after a panic, and once they have grown; default: yes.
    #[must_use]
    pub fn recycle(mut self, recycle: bool) -> Self {
        self.limits.recycle = recycle;
        self
    }

    /// Makes runs in processes, each started with the command that this makes: see the
    /// [module](self). Default: threads of this process.
    #[must_use]
    pub fn worker(mut self, command: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        self.pool = Some(WorkerPool::Processes(Box::new(command)));
        self
    }

    /// Ends the campaign soon after this becomes `true`; runs under way are given up.
    #[must_use]
    pub fn stop(mut self, stop: Arc<AtomicBool>) -> Self {
        self.limits.stop = stop;
        self
    }

    /// Works out which runs there are.
    #[must_use]
    pub fn plan(&self) -> Planned<'_> {
        let sources = if self.sources.is_empty() {
            vec![Source::Generated(generate::Options::default())]
        } else {
            self.sources.clone()
        };
        let strategies = |source: &Source| match source {
            Source::File { scenario, .. } if self.own_strategies => scenario.run.strategies.clone(),
            Source::File { .. } | Source::Generated(_) => self.strategies.clone(),
        };
        let sources = sources.into_iter();
        let sources = sources.map(|source| (source.clone(), strategies(&source)));
        Planned {
            campaign: self,
            plan: Plan::new(sources.collect(), self.seeds.clone(), self.shard),
            before: Before {
                summary: Summary::new(&self.seeds)
                    .knowing(self.known.clone())
                    .allowing_inconclusive(self.allowed_inconclusive),
                waiting: WaitingRecords::new(self.limits.shrinking, self.known.clone()),
                shrunk: AllShrunk::new(),
                failures: 0,
            },
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// Workers cannot be started, or a strategy is unknown or refuses its parameters.
    pub fn run(&self, observer: &mut impl Observer) -> Result<(Summary, End), CampaignError> {
        self.plan().run(observer)
    }

    /// Runs it in a test.
    ///
    /// # Panics
    /// If a run does not pass, inconclusive ones aside, or the campaign cannot go on.
    pub fn assert_clean(&self) {
        match self.run(&mut ()) {
            Ok((summary, _)) => {
                let is_clean = summary.failures() == 0 && summary.never().next().is_none();
                assert!(is_clean, "{summary}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A campaign with its list of runs, some of which may have been made before.
pub struct Planned<'a> {
    campaign: &'a Campaign,
    plan: Plan,
    before: Before,
}

impl fmt::Debug for Planned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planned")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

impl Planned<'_> {
    /// Leaves out a run that was made before, and counts its record instead; whether it is one of
    /// this campaign and was not left out already.
    pub fn skip(&mut self, record: &Record) -> bool {
        let skipped = self.plan.skip(record);
        if skipped {
            self.before.failures += u64::from(record.verdict.is_failure());
            for record in self.before.waiting.offer(record.clone()) {
                self.before.summary.add(&record);
            }
        }
        skipped
    }

    /// Counts a run that is none of this campaign's, such as that of a saved failure.
    pub fn add(&mut self, record: &Record) {
        self.before.summary.add(record);
    }

    /// Takes failures that were shrunk before: they are not shrunk again.
    pub fn skip_shrunk(&mut self, shrunk: AllShrunk) {
        self.before.shrunk.extend(shrunk);
    }

    /// How many runs are still to be made.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.plan.left()
    }

    /// Makes them.
    ///
    /// # Errors
    /// As for [`Campaign::run`].
    pub fn run(self, observer: &mut impl Observer) -> Result<(Summary, End), CampaignError> {
        let Campaign {
            catalog,
            pool,
            limits,
            ..
        } = self.campaign;
        let threads = WorkerPool::Threads(catalog.clone());
        let pool = pool.as_ref().unwrap_or(&threads);
        let crew = CampaignCrew {
            pool,
            setup: conductor::setup(&self.plan, limits),
            wall: limits.wall,
        };
        Conductor::new(&self.plan, &crew, limits, self.before, observer).conduct()
    }
}
