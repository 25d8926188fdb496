//! The catalog: the strategies that scenario files can name.
//!
//! The parser, the schema, `explain` and `list` know a strategy only through its entry; a third
//! party adds one with [`Catalog::with`].

use std::collections::BTreeMap;
use std::time::Duration;

use hublab_strategies::hub::{Envelope, HubConfig, HubCore};
use hublab_strategies::membership::Discovery;
use hublab_strategies::strategy::{Broken, Claim, Limits};
use hublab_strategies::{Membership, NodeId, Strategy};
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
    /// Every kind of message of its nodes; `None` if it does not say, so that files may name any.
    fn kinds(&self) -> Option<Vec<&'static str>> {
        None
    }
    /// What it promises.
    fn claims(&self) -> &'static [Claim];
    /// What it is known to violate; default: nothing.
    fn broken(&self) -> &'static [Broken] {
        &[]
    }
    /// The largest cluster worth generating.
    fn limits(&self) -> Limits;
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

    fn kinds(&self) -> Option<Vec<&'static str>> {
        Envelope::<S::Message, <Discovery as Membership>::Message>::kinds()
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
}
