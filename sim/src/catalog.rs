//! The catalog: the strategies, oracles and metrics that scenario files can name.
//!
//! The parser, the schema, campaigns, shrinking and `list` know each of them only through its entry.
//! A program adds its own:
//!
//! ```
//! use hublab_sim::catalog::Catalog;
//! use hublab_sim::metric::Metric;
//! use hublab_sim::watch::oracle::invariant;
//!
//! let catalog = Catalog::default()
//!     .with_oracle("few_rows", "no node has more than 100 rows", || {
//!         invariant("few_rows", |cx, node| {
//!             let rows = cx.rows_of(node).count();
//!             (rows > 100).then(|| format!("has {rows} rows"))
//!         })
//!     })
//!     .with_metric(Metric::of_report("bytes_each", "bytes", "sent per message", |report| {
//!         report.messages.bytes.checked_div(report.messages.sent)
//!     }));
//! assert!(catalog.oracle("few_rows").is_some());
//! ```

use std::collections::BTreeMap;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hublab_strategies::hub::{HUB_KINDS, HubConfig, HubCore};
use hublab_strategies::live::{Hub, StopReason, TaskOutput};
use hublab_strategies::membership::Announcement;
use hublab_strategies::membership::Discovery;
use hublab_strategies::strategy::{
    Bounds, Broken, Claim as Promise, Conditions, ConfigError, DEFAULT_ROUND_INTERVAL,
    EventStrategy, Limits, Variation,
};
use hublab_strategies::{Message, NodeId, Strategy};
use serde_json::{Map, Value};

use crate::anomaly::{Anomaly, Classify};
use crate::metric::{self, Metric};
use crate::model::{Claim, Expectation, Scenario};
use crate::node::{HubNode, Node};
use crate::watch::facts::{StrategyFacts, conditions};
use crate::watch::judge;
use crate::watch::oracle::{self, MakeOracle, Oracle, OracleEntry};

/// The parameters of a strategy as a scenario file gives them.
pub type Params = Map<String, Value>;

/// The settings that every node of a run is built with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NodeConfig {
    /// Time between announcements.
    pub discovery_interval: Duration,
    /// Quiet time after joins and downs.
    pub join_debounce: Duration,
    /// Janitor and tombstones.
    pub hub: HubConfig,
}

/// Makes the nodes of one run.
pub type NodeFactory = Box<dyn Fn(&NodeId, u64, &NodeConfig) -> Box<dyn Node> + Send + Sync>;

/// Why the parameters of a strategy were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ParameterError {
    /// The parameter; empty if the problem is none of a single one.
    pub key: String,
    /// The problem.
    pub reason: String,
}

impl ParameterError {
    /// The problem with a parameter; its key is empty if the problem is none of a single one.
    #[must_use]
    pub fn new(key: &str, reason: &str) -> Self {
        Self {
            key: key.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

impl From<ConfigError> for ParameterError {
    fn from(error: ConfigError) -> Self {
        Self::new(error.key, &error.reason)
    }
}

/// One strategy.
pub trait CatalogEntry: Send + Sync {
    /// Its name in scenario files.
    fn name(&self) -> &'static str;
    /// One line on what it is.
    fn summary(&self) -> &'static str;
    /// Every parameter with its default.
    fn defaults(&self) -> Params;
    /// Checks the type and range of one parameter on its own.
    ///
    /// # Errors
    /// The problem with it.
    fn check_key(&self, key: &str, value: &Value) -> Result<(), ParameterError>;
    /// Makes the nodes of a run with these parameters; absent ones take their default.
    ///
    /// # Errors
    /// The parameter that was refused.
    fn configure(&self, params: &Params) -> Result<NodeFactory, ParameterError>;
    /// The JSON Schema of the parameters.
    fn config_schema(&self) -> Value;
    /// Its promises.
    fn claims(&self) -> &'static [Promise];
    /// Its known violations; default: none.
    fn broken(&self) -> &'static [Broken] {
        &[]
    }
    /// Its known anomalies; default: it has none, and no failure of it gets a name.
    fn anomalies(&self) -> Option<&'static dyn Classify> {
        None
    }
    /// The facts about it that observers of a scenario need. Where nodes differ, the longest of their times
    /// count.
    fn facts(&self, scenario: &Scenario) -> StrategyFacts {
        let conditions = conditions(scenario);
        let parameters = scenario.parameter_sets(self.name());
        let (all, others) = (&parameters.sets()[0], &parameters.sets()[1..]);
        let mut bounds = self.bounds(all, &conditions);
        let mut round_interval = self.round_interval(all);
        for params in others {
            bounds = bounds.longer(self.bounds(params, &conditions));
            round_interval = round_interval.max(self.round_interval(params));
        }
        StrategyFacts::new(self.name(), round_interval, bounds)
    }
    /// True if it runs where neither the file nor the command names strategies; default: it does.
    fn is_default(&self) -> bool {
        true
    }
    /// The largest cluster worth generating.
    fn limits(&self) -> Limits;
    /// The parameters that a generated scenario sets; default: none.
    fn varied(&self, by: &Variation) -> Params {
        let _ = by;
        Params::new()
    }
    /// Every kind of message that its nodes may send, sorted; default: unknown, and files may name any.
    fn kinds(&self) -> Option<Vec<&'static str>> {
        None
    }
    /// The time between two rounds of a node with these parameters; default: it has none.
    fn round_interval(&self, params: &Params) -> Option<Duration> {
        let _ = params;
        None
    }
    /// How long repairs may take with these parameters; default: [`Bounds::of_rounds`] of
    /// [`Self::round_interval`].
    fn bounds(&self, params: &Params, conditions: &Conditions) -> Bounds {
        let interval = self.round_interval(params);
        Bounds::of_rounds(interval.unwrap_or(DEFAULT_ROUND_INTERVAL), conditions)
    }
}

/// A program that nodes run: it gets the hub of its node, and returns how it ended.
pub type Program =
    Arc<dyn Fn(Hub) -> Pin<Box<dyn Future<Output = StopReason> + Send>> + Send + Sync>;

/// The names that scenario files can use.
pub struct Catalog {
    entries: BTreeMap<&'static str, Box<dyn CatalogEntry>>,
    oracles: Vec<OracleEntry>,
    metrics: Vec<Metric>,
    programs: BTreeMap<Box<str>, Program>,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog")
            .field("strategies", &self.entries.keys())
            .field("oracles", &self.oracles)
            .finish_non_exhaustive()
    }
}

impl Catalog {
    /// A catalog without strategies, with the oracles and metrics that all catalogs have.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            entries: BTreeMap::new(),
            oracles: oracle::LIST.to_vec(),
            metrics: metric::LIST.to_vec(),
            programs: BTreeMap::new(),
        }
    }

    /// Adds a strategy; one of the same name is replaced.
    #[must_use]
    pub fn with<S: Strategy>(self) -> Self {
        self.with_entry(Box::new(Entry::<S>::new(None)))
    }

    /// Adds a strategy that runs only where it is named; one of the same name is replaced.
    #[must_use]
    pub fn with_specimen<S: Strategy>(self) -> Self {
        let entry = Entry::<S>::new(None);
        self.with_entry(Box::new(Entry {
            is_default: false,
            ..entry
        }))
    }

    /// Adds a strategy whose failures have names; one of the same name is replaced.
    #[must_use]
    pub fn with_classified<S: Strategy>(self, anomalies: &'static dyn Classify) -> Self {
        self.with_entry(Box::new(Entry::<S>::new(Some(anomalies))))
    }

    /// Adds an entry made by hand, whose nodes need not be hubs; one of the same name is
    /// replaced.
    #[must_use]
    pub fn with_entry(mut self, entry: Box<dyn CatalogEntry>) -> Self {
        self.entries.insert(entry.name(), entry);
        self
    }

    /// Adds an oracle; one of the same name is replaced. [`Self::with_oracle_entry`] adds one that is
    /// judged in the quiet phase.
    ///
    /// # Panics
    /// If the oracle that `make` makes goes by another name: no file could ask for it.
    #[must_use]
    pub fn with_oracle(self, name: &'static str, summary: &'static str, make: MakeOracle) -> Self {
        self.with_oracle_entry(OracleEntry::safety(name, summary, make))
    }

    /// Adds an oracle by its entry; one of the same name is replaced.
    ///
    /// # Panics
    /// If the oracle that the entry makes goes by another name: no file could ask for it.
    #[must_use]
    pub fn with_oracle_entry(mut self, entry: OracleEntry) -> Self {
        assert_eq!(
            entry.make().name(),
            entry.name,
            "an oracle goes by one name, in its entry and by itself"
        );
        self.oracles.retain(|known| known.name != entry.name);
        self.oracles.push(entry);
        self
    }

    /// Adds a metric; one of the same name is replaced.
    #[must_use]
    pub fn with_metric(mut self, metric: Metric) -> Self {
        self.metrics.retain(|known| known.name != metric.name);
        self.metrics.push(metric);
        self
    }

    /// Adds a program, which files name with `[cluster] program`; the name goes to the last one that
    /// claims it. Every node that boots runs it with the hub that it is, as
    /// [`rt`](hublab_strategies::rt) tells. If it returns `Ok`, its node leaves; an error or a panic is
    /// a violation, and a crash of its node. With a program, the catalog has the oracle `program`.
    ///
    /// ```
    /// use hublab_sim::{Catalog, Scenario, Simulation};
    /// use hublab_strategies::live::{Hub, WaitError};
    /// use hublab_strategies::rt;
    ///
    /// async fn greeter(hub: Hub) -> Result<(), WaitError> {
    ///     hub.wait_for_members(3).await?;
    ///     rt::sometimes!(hub.node().as_str() == "n3", "the third node sees all");
    ///     std::future::pending().await
    /// }
    ///
    /// let catalog = Catalog::default().with_program("greeter", greeter);
    /// let text = "
    ///     schema = 1
    ///     [cluster]
    ///     nodes = 3
    ///     program = 'greeter'
    ///     [[expect]]
    ///     sometimes = 'the third node sees all'
    /// ";
    /// let scenario = Scenario::read("greeter.toml", text.as_bytes(), &catalog).expect("a scenario");
    /// let report = Simulation::new(&scenario, &catalog).run()?;
    /// assert_eq!(report.verdict, hublab_sim::watch::judge::Verdict::Pass, "{report:#?}");
    /// # Ok::<(), hublab_sim::run::RunError>(())
    /// ```
    #[must_use]
    pub fn with_program<F, T>(mut self, name: &str, program: F) -> Self
    where
        F: Fn(Hub) -> T + Send + Sync + 'static,
        T: Future<Output: TaskOutput> + Send + 'static,
    {
        let program: Program = Arc::new(move |hub| {
            let program = program(hub);
            Box::pin(async move { program.await.into_reason() })
        });
        self.programs.insert(name.into(), program);
        self.with_oracle_entry(oracle::OF_PROGRAMS)
    }

    /// The names of its programs, in order.
    pub fn programs(&self) -> impl Iterator<Item = &str> + Clone {
        self.programs.keys().map(|name| &**name)
    }

    /// The program of that name.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.get(name)
    }

    /// The known anomalies of all strategies, each once.
    #[must_use]
    pub fn anomalies(&self) -> Vec<&'static Anomaly> {
        let mut all: Vec<&Anomaly> = Vec::new();
        for classify in self.entries().filter_map(CatalogEntry::anomalies) {
            for anomaly in classify.anomalies() {
                if !all.iter().any(|known| known.id == anomaly.id) {
                    all.push(anomaly);
                }
            }
        }
        all
    }

    /// The known anomaly of a strategy that has an id.
    #[must_use]
    pub fn anomaly(&self, strategy: &str, id: &str) -> Option<&'static Anomaly> {
        let anomalies = self.get(strategy)?.anomalies()?.anomalies();
        anomalies.iter().find(|anomaly| anomaly.id == id)
    }

    /// Every oracle: those of all catalogs, then those that were added.
    #[must_use]
    pub fn oracles(&self) -> &[OracleEntry] {
        &self.oracles
    }

    /// The names of the oracles, in the order of [`Self::oracles`].
    pub fn oracle_names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.oracles.iter().map(|entry| entry.name)
    }

    /// The oracle of a name.
    #[must_use]
    pub fn oracle(&self, name: &str) -> Option<&OracleEntry> {
        self.oracles.iter().find(|entry| entry.name == name)
    }

    /// The oracles that watch a run: `asked`, and those that the file's expectations name.
    #[must_use]
    pub(crate) fn watching(
        &self,
        scenario: &Scenario,
        strategy: &str,
        asked: Vec<Box<dyn Oracle>>,
    ) -> Vec<Box<dyn Oracle>> {
        let mut oracles = asked;
        for Expectation { claim, .. } in judge::applying(scenario, strategy) {
            if let Claim::Always(name) | Claim::Violates(name) = claim
                && !oracles.iter().any(|oracle| oracle.name() == name)
                && let Some(entry) = self.oracle(name)
            {
                oracles.push(entry.make());
            }
        }
        oracles
    }

    /// Every metric: those of all catalogs, then those that were added.
    #[must_use]
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// The metric of a name, without `.KIND`.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.name == name)
    }

    /// The names of the strategies, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.entries.keys().copied().collect()
    }

    /// The names of the strategies that run where none is named, in order.
    #[must_use]
    pub fn default_names(&self) -> Vec<&'static str> {
        let defaults = self.entries().filter(|entry| entry.is_default());
        defaults.map(CatalogEntry::name).collect()
    }

    /// The strategy of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&dyn CatalogEntry> {
        self.entries.get(name).map(AsRef::as_ref)
    }

    /// Every strategy, in the order of names.
    pub fn entries(&self) -> impl Iterator<Item = &dyn CatalogEntry> {
        self.entries.values().map(AsRef::as_ref)
    }
}

struct Entry<S> {
    is_default: bool,
    anomalies: Option<&'static dyn Classify>,
    strategy: PhantomData<fn() -> S>,
}

impl<S: Strategy> Entry<S> {
    fn new(anomalies: Option<&'static dyn Classify>) -> Self {
        Self {
            is_default: true,
            anomalies,
            strategy: PhantomData,
        }
    }

    fn read(params: &Params) -> Result<S::Config, ParameterError> {
        let config = serde_json::from_value(Value::Object(params.clone()));
        config.map_err(|error| ParameterError::new("", &error.to_string()))
    }

    fn written(config: &S::Config) -> Params {
        match serde_json::to_value(config) {
            Ok(Value::Object(map)) => map,
            _ => Params::new(),
        }
    }

    /// An instance with these parameters; `None` if they are refused.
    fn instance(params: &Params) -> Option<S> {
        S::new(&Self::read(params).ok()?).ok()
    }
}

impl<S: Strategy> CatalogEntry for Entry<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn summary(&self) -> &'static str {
        S::SUMMARY
    }

    fn defaults(&self) -> Params {
        Self::written(&S::Config::default())
    }

    fn check_key(&self, key: &str, value: &Value) -> Result<(), ParameterError> {
        let params = Params::from_iter([(key.to_owned(), value.clone())]);
        S::new(&Self::read(&params)?)?;
        Ok(())
    }

    fn configure(&self, params: &Params) -> Result<NodeFactory, ParameterError> {
        let config = Self::read(params)?;
        S::new(&config)?;
        Ok(Box::new(move |node, incarnation, common| {
            let strategy =
                S::new(&config).expect("parameters that were accepted once stay accepted");
            let membership = Discovery::new(common.discovery_interval, common.join_debounce);
            let hub = HubCore::new(node.clone(), incarnation, strategy, membership, common.hub);
            Box::new(HubNode::new(hub))
        }))
    }

    fn config_schema(&self) -> Value {
        schemars::schema_for!(S::Config).to_value()
    }

    fn claims(&self) -> &'static [Promise] {
        S::claims()
    }

    fn broken(&self) -> &'static [Broken] {
        S::broken()
    }

    fn anomalies(&self) -> Option<&'static dyn Classify> {
        self.anomalies
    }

    fn is_default(&self) -> bool {
        self.is_default
    }

    fn limits(&self) -> Limits {
        S::limits()
    }

    fn varied(&self, by: &Variation) -> Params {
        let mut config = S::Config::default();
        let keys = S::vary(&mut config, by);
        let mut params = Self::written(&config);
        params.retain(|key, value| {
            keys.contains(&key.as_str()) && self.check_key(key, value).is_ok()
        });
        params
    }

    fn kinds(&self) -> Option<Vec<&'static str>> {
        let own = <S as EventStrategy>::Message::KINDS;
        let mut kinds = [own, HUB_KINDS, Announcement::KINDS].concat();
        kinds.sort_unstable();
        Some(kinds)
    }

    fn round_interval(&self, params: &Params) -> Option<Duration> {
        Self::instance(params)?.round_period()
    }

    fn bounds(&self, params: &Params, conditions: &Conditions) -> Bounds {
        match Self::instance(params) {
            Some(strategy) => strategy.bounds(conditions),
            None => Bounds::of_rounds(DEFAULT_ROUND_INTERVAL, conditions),
        }
    }
}
