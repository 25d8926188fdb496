//! [`NodeState`]: what every node keeps, whatever its strategy.

use std::sync::Arc;
use std::time::Duration;

use crate::child::{Row, RowChange};
use crate::name::NodeId;
use crate::names::NodeSet;
use crate::profile::Profile;
use crate::registry::{Registry, Sink};
use crate::runtime::Event;
use crate::snapshot::Snapshot;
use crate::view::View;

/// One node without its strategy: registry, cluster view, connections.
#[derive(Debug)]
pub struct NodeState {
    node: NodeId,
    incarnation: u64,
    tombstone_ttl: Duration,
    registry: Registry,
    view: Arc<View>,
    /// The connected peers by name, and beside them their incarnations.
    connected: Vec<NodeId>,
    incarnations: Vec<u64>,
    /// The local snapshot, kept until a local row changes, so that rounds share one.
    local: Option<Snapshot>,
}

impl NodeState {
    /// A node that knows itself only. `tombstone_ttl` is how long unregistered rows stay.
    #[must_use]
    pub fn new(node: NodeId, incarnation: u64, tombstone_ttl: Duration) -> Self {
        let mut state = Self {
            node: node.clone(),
            incarnation,
            tombstone_ttl,
            registry: Registry::new(),
            view: Arc::default(),
            connected: Vec::new(),
            incarnations: Vec::new(),
            local: None,
        };
        state.set_view(vec![node]);
        state
    }

    /// This node.
    #[must_use]
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    /// Its incarnation.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The time that unregistered rows stay.
    #[must_use]
    pub fn tombstone_ttl(&self) -> Duration {
        self.tombstone_ttl
    }

    /// Lets the registry follow the rules of another profile.
    pub(crate) fn set_profile(&mut self, profile: Profile) {
        self.registry.set_profile(profile);
    }

    /// Its registry.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The cluster view, in its order.
    #[must_use]
    pub fn view(&self) -> &[NodeId] {
        &self.view
    }

    /// The cluster view, shared.
    #[must_use]
    pub(crate) fn shared_view(&self) -> Arc<View> {
        Arc::clone(&self.view)
    }

    /// True if the view has a node.
    #[must_use]
    pub fn is_member(&self, node: &NodeId) -> bool {
        self.view.position(node).is_some()
    }

    /// Overwrites the view, taken as it is.
    pub fn set_view(&mut self, nodes: Vec<NodeId>) {
        self.view = Arc::new(nodes.into());
    }

    /// Appends nodes to the view; those that it holds are left where they are.
    pub(crate) fn append_to_view(&mut self, nodes: &[NodeId]) {
        let view = Arc::make_mut(&mut self.view);
        nodes.iter().for_each(|node| view.push(node.clone()));
    }

    /// Removes nodes from the view.
    pub(crate) fn remove_from_view<'a>(
        &mut self,
        nodes: impl ExactSizeIterator<Item = &'a NodeId>,
    ) {
        let gone = NodeSet::new(nodes);
        Arc::make_mut(&mut self.view).retain(|node| !gone.contains(node));
    }

    /// The peers whose connection is up, by name.
    #[must_use]
    pub fn connected(&self) -> &[NodeId] {
        &self.connected
    }

    /// True if the connection to a peer is up.
    #[must_use]
    pub fn is_connected(&self, node: &NodeId) -> bool {
        self.connected.binary_search(node).is_ok()
    }

    /// The incarnation of a connected peer.
    #[must_use]
    pub(crate) fn incarnation_of(&self, node: &NodeId) -> Option<u64> {
        self.connected
            .binary_search(node)
            .ok()
            .map(|at| self.incarnations[at])
    }

    /// The connection to a peer came up, or is that of a later incarnation now.
    pub fn connect(&mut self, node: &NodeId, incarnation: u64) {
        match self.connected.binary_search(node) {
            Ok(at) => self.incarnations[at] = incarnation,
            Err(at) => {
                self.connected.insert(at, node.clone());
                self.incarnations.insert(at, incarnation);
            }
        }
    }

    /// The connection to a peer is gone.
    pub fn disconnect(&mut self, node: &NodeId) {
        if let Ok(at) = self.connected.binary_search(node) {
            self.connected.remove(at);
            self.incarnations.remove(at);
        }
    }

    /// Changes the registry; each changed row goes to `emit`.
    pub fn mutate(
        &mut self,
        change: impl FnOnce(&mut Registry, Sink<'_>),
        mut emit: impl FnMut(Event),
    ) {
        let Self {
            registry,
            node,
            local,
            ..
        } = self;
        change(registry, &mut |row: RowChange| {
            if local.is_some() && concerns(&row, node) {
                *local = None;
            }
            emit(Event::Row(row));
        });
    }

    /// The children that this node hosts, by its own registry.
    #[must_use]
    pub fn local_data(&mut self) -> Snapshot {
        self.local
            .get_or_insert_with(|| self.registry.local_data(&self.node))
            .clone()
    }
}

fn concerns(change: &RowChange, node: &NodeId) -> bool {
    let names = |row: &Option<Box<Row>>| {
        row.as_ref()
            .is_some_and(|row| row.entries.iter().any(|entry| entry.node == *node))
    };
    names(&change.before) || names(&change.after)
}
