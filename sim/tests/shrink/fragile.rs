//! A strategy of one's own that panics.

use hublab_sim::catalog::{Catalog, CatalogEntry, NodeFactory, ParameterError, Params};
use hublab_sim::node::effects::Effects;
use hublab_sim::node::{Node, NodeInput};
use hublab_strategies::NodeId;
use hublab_strategies::hub::Sizes;
use hublab_strategies::registry::Registry;
use hublab_strategies::strategy::{Claim, Limits};
use serde_json::Value;

/// PubSub on nodes that panic when a peer goes while they know of a child.
pub(crate) struct Fragile;

struct FragileNode(Box<dyn Node>);

impl Node for FragileNode {
    fn handle(&mut self, input: NodeInput<'_>, effects: &mut Effects<'_>) {
        let alone = matches!(input, NodeInput::PeerDown { .. });
        assert!(!alone || self.0.registry().is_empty(), "too sad");
        self.0.handle(input, effects);
    }

    fn registry(&self) -> &Registry {
        self.0.registry()
    }

    fn cluster_view(&self) -> &[NodeId] {
        self.0.cluster_view()
    }

    fn sizes(&self) -> Sizes {
        self.0.sizes()
    }
}

impl CatalogEntry for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }

    fn summary(&self) -> &'static str {
        "PubSub that panics"
    }

    fn defaults(&self) -> Params {
        Params::new()
    }

    fn check_key(&self, key: &str, _value: &Value) -> Result<(), ParameterError> {
        Err(ParameterError::new(key, "it has no parameters"))
    }

    fn configure(&self, params: &Params) -> Result<NodeFactory, ParameterError> {
        let catalog = Catalog::default();
        let make = catalog.get("pubsub").expect("a port").configure(params)?;
        Ok(Box::new(move |node, incarnation, config| {
            Box::new(FragileNode(make(node, incarnation, config)))
        }))
    }

    fn config_schema(&self) -> Value {
        serde_json::json!({ "type": "object" })
    }

    fn claims(&self) -> &'static [Claim] {
        &[]
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }
}
