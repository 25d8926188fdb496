//! The catalog: the strategies that scenario files can name.
//!
//! The parser, the schema, `explain` and `list` know a strategy only through its entry; a third
//! party adds one with [`Catalog::with`].

use std::collections::BTreeMap;
use std::time::Duration;

use hublab_strategies::hub::{HUB_KINDS, HubConfig, HubCore};
use hublab_strategies::membership::Announcement;
use hublab_strategies::membership::Discovery;
use hublab_strategies::strategy::{
    Bounds, Broken, Claim, Conditions, DEFAULT_ROUND_INTERVAL, EventStrategy, Limits,
};
use hublab_strategies::{Message, NodeId, Strategy};
use serde_json::{Map, Value};

use crate::node::{HubNode, Node};

/// The parameters of a strategy as a scenario file gives them.
pub type Params = Map<String, Value>;

/// What every node of a run is built with.
#[derive(Debug, Clone)]
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

/// A parameter that was refused: its key, and why.
pub type Refused = (String, String);

/// One strategy.
pub trait CatalogEntry: Send + Sync {
    /// Its name in scenario files.
    fn name(&self) -> &'static str;
    /// One line on what it is.
    fn summary(&self) -> &'static str;
    /// Every parameter with its default.
    fn defaults(&self) -> Params;
    /// Whether one parameter has the right type and range on its own.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check_key(&self, key: &str, value: &Value) -> Result<(), String>;
    /// Makes the nodes of a run with these parameters; absent ones take their default.
    ///
    /// # Errors
    /// The parameter that was refused.
    fn configure(&self, params: &Params) -> Result<NodeFactory, Refused>;
    /// The JSON Schema of the parameters.
    fn config_schema(&self) -> Value;
    /// What it promises.
    fn claims(&self) -> &'static [Claim];
    /// What it is known to violate; default: nothing.
    fn broken(&self) -> &'static [Broken] {
        &[]
    }
    /// The largest cluster worth generating.
    fn limits(&self) -> Limits;
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

/// The strategies by name.
pub struct Catalog {
    entries: BTreeMap<&'static str, Box<dyn CatalogEntry>>,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

impl Default for Catalog {
    /// The two ports: `pubsub` and `gossip`.
    fn default() -> Self {
        Self::empty()
            .with::<hublab_strategies::pubsub::PubSub>()
            .with::<hublab_strategies::gossip::Gossip>()
    }
}

impl Catalog {
    /// A catalog without strategies.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            entries: BTreeMap::new(),
        }
    }

    /// Adds a strategy; one of the same name is replaced.
    #[must_use]
    pub fn with<S: Strategy>(self) -> Self {
        self.with_entry(Box::new(Entry::<S>(std::marker::PhantomData)))
    }

    /// Adds an entry made by hand, whose nodes need not be hubs; one of the same name is
    /// replaced.
    #[must_use]
    pub fn with_entry(mut self, entry: Box<dyn CatalogEntry>) -> Self {
        self.entries.insert(entry.name(), entry);
        self
    }

    /// The names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.entries.keys().copied().collect()
    }

    /// The entry of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&dyn CatalogEntry> {
        self.entries.get(name).map(AsRef::as_ref)
    }

    /// Every entry, in the order of names.
    pub fn entries(&self) -> impl Iterator<Item = &dyn CatalogEntry> {
        self.entries.values().map(AsRef::as_ref)
    }
}

struct Entry<S>(std::marker::PhantomData<fn() -> S>);

impl<S: Strategy> Entry<S> {
    fn read(params: &Params) -> Result<S::Config, String> {
        serde_json::from_value(Value::Object(params.clone())).map_err(|error| error.to_string())
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
        match serde_json::to_value(S::Config::default()) {
            Ok(Value::Object(map)) => map,
            _ => Params::new(),
        }
    }

    fn check_key(&self, key: &str, value: &Value) -> Result<(), String> {
        let params = Params::from_iter([(key.to_owned(), value.clone())]);
        let config = Self::read(&params)?;
        S::new(&config).map(drop).map_err(|error| error.reason)
    }

    fn configure(&self, params: &Params) -> Result<NodeFactory, Refused> {
        let config = Self::read(params).map_err(|reason| (String::new(), reason))?;
        S::new(&config).map_err(|error| (error.key.to_owned(), error.reason))?;
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

    fn claims(&self) -> &'static [Claim] {
        S::claims()
    }

    fn broken(&self) -> &'static [Broken] {
        S::broken()
    }

    fn limits(&self) -> Limits {
        S::limits()
    }

    fn kinds(&self) -> Option<Vec<&'static str>> {
        let own = <S as EventStrategy>::Message::KINDS;
        let mut kinds = [own, HUB_KINDS, Announcement::KINDS].concat();
        kinds.sort_unstable();
        Some(kinds)
    }

    fn round_interval(&self, params: &Params) -> Option<Duration> {
        Self::instance(params)?.round_interval()
    }

    fn bounds(&self, params: &Params, conditions: &Conditions) -> Bounds {
        match Self::instance(params) {
            Some(strategy) => strategy.bounds(conditions),
            None => Bounds::of_rounds(DEFAULT_ROUND_INTERVAL, conditions),
        }
    }
}
