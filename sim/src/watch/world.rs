//! [`World`]: read access to a run, for oracles and judges.

use hublab_strategies::hub::Sizes;
use hublab_strategies::registry::Registry;
use hublab_strategies::{ChildId, Entry, NodeId, Pid, Time};

use super::changed::Delta;
use super::convergence::Convergence;
use super::facts::Facts;
use super::history::History;
use crate::engine::{Child, NodeState};
use crate::model::NodeIx;
use crate::network::Network;

/// What the engine shows to those who watch.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) nodes: &'a [NodeState],
    pub(crate) network: &'a Network,
}

/// Read access to the world, for oracles and judges.
#[derive(Clone, Copy)]
pub struct World<'a> {
    pub(super) scene: Scene<'a>,
    pub(super) facts: &'a Facts,
    pub(super) history: &'a History,
    pub(super) convergence: &'a Convergence,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("nodes", &self.len())
            .finish_non_exhaustive()
    }
}

impl<'a> World<'a> {
    fn node(&self, node: NodeIx) -> &'a NodeState {
        &self.scene.nodes[node as usize]
    }

    /// How many nodes the file has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.scene.nodes.len()
    }

    /// Whether the file has no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scene.nodes.is_empty()
    }

    /// The positions of all nodes.
    pub fn positions(&self) -> impl Iterator<Item = NodeIx> + use<> {
        (0..).take(self.len())
    }

    /// What does not change in a run.
    #[must_use]
    pub fn facts(&self) -> &'a Facts {
        self.facts
    }

    /// What has happened so far; kept only while oracles watch.
    #[must_use]
    pub fn history(&self) -> &'a History {
        self.history
    }

    /// Which views equal the truth; children named in raw requests or `rows` are left out.
    #[must_use]
    pub fn convergence(&self) -> &'a Convergence {
        self.convergence
    }

    /// The name of a node.
    #[must_use]
    pub fn name(&self, node: NodeIx) -> &'a NodeId {
        &self.facts.names[node as usize]
    }

    /// The registry of a node, while it runs: its view.
    #[must_use]
    pub fn registry(&self, node: NodeIx) -> Option<&'a Registry> {
        self.node(node).node.as_ref().map(|node| node.registry())
    }

    /// The cluster view of a node, while it runs.
    #[must_use]
    pub fn cluster_view(&self, node: NodeIx) -> Option<&'a [NodeId]> {
        self.node(node)
            .node
            .as_ref()
            .map(|node| node.cluster_view())
    }

    /// How much a node remembers, while it runs. The one look that oracles take at the inside of a
    /// strategy.
    #[must_use]
    pub fn sizes(&self, node: NodeIx) -> Option<Sizes> {
        self.node(node).node.as_ref().map(|node| node.sizes())
    }

    /// The incarnation of a node: how often it has booted.
    #[must_use]
    pub fn incarnation(&self, node: NodeIx) -> u32 {
        self.node(node).incarnation
    }

    /// Whether a node runs; a paused node does.
    #[must_use]
    pub fn is_running(&self, node: NodeIx) -> bool {
        self.node(node).is_running()
    }

    /// Whether a node is paused.
    #[must_use]
    pub fn is_paused(&self, node: NodeIx) -> bool {
        self.node(node).paused
    }

    /// Whether two running nodes are connected, both of them as they run now.
    #[must_use]
    pub fn is_connected(&self, a: NodeIx, b: NodeIx) -> bool {
        self.is_running(a) && self.is_running(b) && self.scene.network.is_connected(a, b)
    }

    /// Whether any link between two nodes is cut.
    #[must_use]
    pub fn is_cut(&self, a: NodeIx, b: NodeIx) -> bool {
        self.scene.network.is_cut(a, b) || self.scene.network.is_cut(b, a)
    }

    /// Whether any cut is in force.
    #[must_use]
    pub fn has_cuts(&self) -> bool {
        self.scene.network.has_cuts()
    }

    /// Whether any link between running nodes loses messages.
    #[must_use]
    pub fn loses_messages(&self) -> bool {
        self.scene.network.may_lose() && self.lossy_link().is_some()
    }

    fn lossy_link(&self) -> Option<(NodeIx, NodeIx)> {
        self.links().find(|(a, b)| self.scene.network.loses(*a, *b))
    }

    /// Every link between two running nodes.
    fn links(&self) -> impl Iterator<Item = (NodeIx, NodeIx)> + use<'a> {
        let world = *self;
        let running = move || {
            world
                .positions()
                .filter(move |node| world.is_running(*node))
        };
        running().flat_map(move |a| running().map(move |b| (a, b)))
    }

    /// The child that really runs on a node under an id.
    #[must_use]
    pub fn child(&self, node: NodeIx, child: &ChildId) -> Option<&'a Child> {
        self.node(node).children.get(child)
    }

    /// Every child that really runs on a node, in the order of ids.
    pub fn children(&self, node: NodeIx) -> impl Iterator<Item = (&'a ChildId, &'a Child)> {
        self.node(node).children.iter()
    }

    /// Whether a view has an entry.
    #[must_use]
    pub fn shows(&self, node: NodeIx, child: &ChildId, owner: NodeIx, pid: &Pid) -> bool {
        let owner = self.name(owner);
        let is_it = |entry: &Entry| entry.node == *owner && entry.pid.as_ref() == Some(pid);
        self.registry(node)
            .and_then(|registry| registry.get(child))
            .is_some_and(|row| row.entries.iter().any(is_it))
    }

    /// How many messages wait for a busy receiver at an instant, unless more arrive by then.
    #[must_use]
    pub fn backlog(&self, node: NodeIx, at: Time) -> u64 {
        let busy_us = self.scene.network.free_to_serve(node).saturating_sub(at.0);
        busy_us.div_ceil(self.facts.service_us.max(1))
    }

    /// Which fault is still going on, in words: one that no view can be expected to be right under.
    #[must_use]
    pub fn disturbance(&self) -> Option<String> {
        if let Some(paused) = self.positions().find(|node| self.is_paused(*node)) {
            return Some(format!("{} is paused", self.name(paused)));
        }
        let told = |(a, b): (NodeIx, NodeIx), verb: &str| {
            format!("the link from {} to {} {verb}", self.name(a), self.name(b))
        };
        let cut = |(a, b): &(NodeIx, NodeIx)| self.scene.network.is_cut(*a, *b);
        if self.has_cuts()
            && let Some(link) = self.links().find(cut)
        {
            return Some(told(link, "is cut"));
        }
        if self.scene.network.may_lose() {
            return self.lossy_link().map(|link| told(link, "loses messages"));
        }
        None
    }

    /// An entry with what is known of it.
    #[must_use]
    pub fn delta<'e>(&self, child: &ChildId, entry: &'e Entry) -> Delta<'e>
    where
        'a: 'e,
    {
        let owner = self.facts.position(&entry.node);
        let life = owner
            .zip(entry.pid.as_ref())
            .and_then(|(owner, pid)| self.history.life(owner, pid))
            .filter(|life| life.child == *child);
        Delta { entry, owner, life }
    }
}
