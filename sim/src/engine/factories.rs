//! Builds a node when it boots, with the strategy parameters and the cluster settings that it has then.

use hublab_strategies::NodeId;
use hublab_strategies::hub::HubConfig;

use crate::catalog::{CatalogEntry, NodeConfig, NodeFactory, ParameterError};
use crate::model::{NodeIx, ParameterSets, Scenario};
use crate::node::Node;

/// The factories of a run's nodes, one for each set of strategy parameters.
pub struct NodeFactories {
    /// By set of parameters.
    makers: Vec<NodeFactory>,
    parameters: ParameterSets,
    /// By node.
    configs: Vec<NodeConfig>,
}

impl std::fmt::Debug for NodeFactories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeFactories")
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}

impl NodeFactories {
    /// Those of a strategy in a resolved scenario.
    ///
    /// # Errors
    /// The parameter that the strategy refuses, of any node.
    pub fn new(scenario: &Scenario, entry: &dyn CatalogEntry) -> Result<Self, ParameterError> {
        let parameters = scenario.parameter_sets(entry.name());
        let makers = parameters.sets().iter().map(|set| entry.configure(set));
        let makers = makers.collect::<Result<Vec<_>, _>>()?;
        Ok(Self::of(scenario, makers, parameters))
    }

    /// One maker for all nodes.
    #[cfg(test)]
    pub(super) fn alike(scenario: &Scenario, maker: NodeFactory) -> Self {
        Self::of(scenario, vec![maker], scenario.parameter_sets(""))
    }

    fn of(scenario: &Scenario, makers: Vec<NodeFactory>, parameters: ParameterSets) -> Self {
        let settings = scenario.node_settings();
        let configs = settings.iter().map(|of| NodeConfig {
            discovery_interval: of.discovery_interval,
            join_debounce: of.join_debounce,
            hub: HubConfig::default(),
        });
        Self {
            makers,
            parameters,
            configs: configs.collect(),
        }
    }

    /// A `restart` boots a node: from now on it has the parameters of that step.
    pub(super) fn restarted(&mut self, step: u32, node: NodeIx) {
        self.parameters.restarted(step, node);
    }

    /// The code of a node that boots.
    pub(super) fn make(&self, node: NodeIx, name: &NodeId, incarnation: u64) -> Box<dyn Node> {
        let make = &self.makers[self.parameters.of(node)];
        make(name, incarnation, &self.configs[node as usize])
    }
}
