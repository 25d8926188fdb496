//! What handles ask of a hub, and the commands that it comes to: the same on tokio and in a run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::oneshot;

use super::error::{ChildError, ChildOutcome};
use super::requests::{Reply, Requests};
use super::task::LeaveReport;
use crate::child::{ChildSpec, Metadata};
use crate::entries::Entries;
use crate::hub::Command;
use crate::name::{ChildId, NodeId};
use crate::registry::Registry;

/// What a handle asks of its hub.
pub(super) enum Order {
    Start {
        specs: Vec<ChildSpec>,
        metadata: Metadata,
        /// Empty: this node.
        nodes: Vec<NodeId>,
        announce: bool,
        timeout: Duration,
        reply: Reply,
    },
    Stop {
        children: Vec<ChildId>,
        /// Empty: wherever they are known to run.
        nodes: Vec<NodeId>,
        timeout: Duration,
        reply: Reply,
    },
    /// Something that has no answer but that it was done.
    Command(Command, oneshot::Sender<()>),
    Leave(oneshot::Sender<LeaveReport>),
}

/// The children that each of some nodes is asked about.
type Asked = Vec<(NodeId, Vec<ChildId>)>;

/// What an order comes to.
#[derive(Default)]
pub(super) struct Accepted {
    /// For the hub, in this order.
    pub(super) commands: Vec<Command>,
    /// Who is told when they are done.
    pub(super) done: Option<oneshot::Sender<()>>,
}

/// The hub that gets an order, as it is now.
pub(super) struct Surroundings<'a, D> {
    pub(super) node: &'a NodeId,
    pub(super) registry: &'a Registry,
    /// The peers whose connection is up.
    pub(super) up: &'a BTreeSet<NodeId>,
    /// The instant at which a request that begins now has waited so long.
    pub(super) deadline: D,
}

impl<T: Copy + Ord> Requests<T> {
    /// Takes an order, and opens its request if it has one. [`Order::Leave`] is none of its business.
    pub(super) fn accept(
        &mut self,
        order: Order,
        hub: &Surroundings<'_, impl Fn(Duration) -> T>,
    ) -> Accepted {
        match order {
            Order::Start {
                specs,
                metadata,
                nodes,
                announce,
                timeout,
                reply,
            } => {
                let nodes = targets(nodes, hub.node);
                let ids: Vec<_> = specs.iter().map(|spec| spec.id().clone()).collect();
                let asked: Vec<_> = nodes.into_iter().map(|node| (node, ids.clone())).collect();
                let opened = self.ask(asked, Vec::new(), timeout, reply, hub);
                let command = opened.map(|(ticket, targets)| Command::StartChildren {
                    ticket,
                    specs,
                    metadata,
                    targets: targets.into_iter().map(|(node, _)| node).collect(),
                    announce,
                });
                Accepted {
                    commands: command.into_iter().collect(),
                    done: None,
                }
            }
            Order::Stop {
                children,
                nodes,
                timeout,
                reply,
            } => {
                let mut unknown = Vec::new();
                let asked: Asked = if nodes.is_empty() {
                    let (places, strangers) = places(children, hub.registry);
                    unknown = strangers;
                    places.into_iter().collect()
                } else {
                    let nodes = targets(nodes, hub.node).into_iter();
                    nodes.map(|node| (node, children.clone())).collect()
                };
                let opened = self.ask(asked, unknown, timeout, reply, hub);
                let commands = opened.into_iter().flat_map(|(ticket, targets)| {
                    let stop = move |(target, children)| Command::StopChildren {
                        ticket,
                        children,
                        target,
                    };
                    targets.into_iter().map(stop)
                });
                Accepted {
                    commands: commands.collect(),
                    done: None,
                }
            }
            Order::Command(command, done) => Accepted {
                commands: vec![command],
                done: Some(done),
            },
            Order::Leave(_) => Accepted::default(),
        }
    }

    /// Opens a request; what cannot be asked, and children that nobody runs, fail at once. Returns
    /// its ticket and whom to ask, or nothing if there is nobody.
    fn ask(
        &mut self,
        asked: Asked,
        unknown: Vec<ChildId>,
        timeout: Duration,
        reply: Reply,
        hub: &Surroundings<'_, impl Fn(Duration) -> T>,
    ) -> Option<(u64, Asked)> {
        let unknown = unknown.into_iter().map(|child| ChildOutcome {
            node: hub.node.clone(),
            child,
            outcome: Err(ChildError::Unknown),
        });
        let deadline = (hub.deadline)(timeout);
        let ticket = self.open(asked.clone(), unknown.collect(), deadline, reply);
        let (reached, missed): (Vec<_>, Vec<_>) = asked
            .into_iter()
            .partition(|(node, _)| node == hub.node || hub.up.contains(node));
        for (node, _) in &missed {
            self.fail(node, Some(ticket), &ChildError::NotConnected);
        }
        self.close_if_done(ticket);
        (!reached.is_empty()).then_some((ticket, reached))
    }
}

/// The nodes of a request, each once; this one if none is named.
fn targets(nodes: Vec<NodeId>, here: &NodeId) -> Vec<NodeId> {
    let mut targets: Vec<NodeId> = Vec::with_capacity(nodes.len().max(1));
    for node in nodes {
        if !targets.contains(&node) {
            targets.push(node);
        }
    }
    if targets.is_empty() {
        targets.push(here.clone());
    }
    targets
}

/// The nodes that are known to run each of these children; and the children of nobody.
fn places(
    children: Vec<ChildId>,
    registry: &Registry,
) -> (BTreeMap<NodeId, Vec<ChildId>>, Vec<ChildId>) {
    let (mut places, mut unknown) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
    for child in children {
        let row = registry.get(&child);
        let entries = row.map_or(&Entries::EMPTY, |row| row.entries);
        if entries.is_empty() {
            unknown.push(child);
            continue;
        }
        for entry in entries {
            places
                .entry(entry.node.clone())
                .or_default()
                .push(child.clone());
        }
    }
    (places, unknown)
}
