//! The defaults of the format, for the parts of a scenario that programs make.

use serde_json::{Map, Value as Json, json};

use super::read::{default_tree, model};
use super::shape::{CLUSTER, NETWORK};
use crate::model::{Cluster, LinkParams, Network};

impl Default for Cluster {
    /// The defaults of the file format, without nodes.
    fn default() -> Self {
        let mut tree = default_tree(&CLUSTER);
        tree.insert("nodes".to_owned(), json!([]));
        model(Json::Object(tree))
    }
}

impl Default for Network {
    /// The defaults of the file format: 1 to 10 ms, in order, nothing lost, no overrides.
    fn default() -> Self {
        let tree: Map<String, Json> = default_tree(&NETWORK);
        model(Json::Object(tree))
    }
}

impl Default for LinkParams {
    /// The defaults of the file format: 1 to 10 ms, in order, nothing lost.
    fn default() -> Self {
        Network::default().base
    }
}
