//! [`Port`]: the other end of a [`Hub`] whose node is simulated.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::RwLock;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::oneshot;

use super::children::StopReason;
use super::error::ChildError;
use super::events::HubEvent;
use super::handle::Hub;
use super::orders::{Order, Surroundings};
use super::requests::Requests;
use super::shared::{Carrier, ChildSizes, Shared};
use super::task::LeaveReport;
use super::tcp::Limits;
use crate::hub::Command;
use crate::name::NodeId;
use crate::registry::Registry;
use crate::runtime::{DownReason, Event};
use crate::time::{Time, micros};

/// How many orders of handles wait; more make their senders wait.
const ORDERS: usize = 1_024;

/// The tickets of programs lie above those of a script.
const LAST_TICKET: u64 = 1 << 32;

/// The runtime's end of a [`Hub`], for whoever runs the node without tokio: it hands over what the
/// program asks, and takes what happens at the node.
///
/// When it is dropped, the hub has stopped.
pub struct Port {
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Order>,
    requests: Requests<Time>,
    up: BTreeSet<NodeId>,
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Port")
            .field("node", &self.shared.node)
            .finish_non_exhaustive()
    }
}

/// What a program asks of its node.
#[derive(Debug)]
pub enum Taken {
    /// These commands, in this order; then whoever waits for that is told.
    Commands(Vec<Command>, Option<oneshot::Sender<()>>),
    /// To leave the cluster.
    Leave(Leaver),
    /// Nothing.
    Nothing,
    /// Nothing any more: the program has dropped its handle.
    Abandoned,
}

/// Tells the program that its node has left.
#[derive(Debug)]
pub struct Leaver(oneshot::Sender<LeaveReport>);

impl Leaver {
    /// It has, and stopped so many children.
    pub fn left(self, children: usize) {
        let peers = Vec::new();
        // Whoever asked may be gone.
        let _ = self.0.send(LeaveReport { peers, children });
    }
}

impl Port {
    /// A handle of a node that boots, and the other end.
    #[must_use]
    pub fn new(hub_id: &str, node: &NodeId, incarnation: u64) -> (Hub, Self) {
        let carrier = Carrier::Run(RwLock::default());
        let sizes = ChildSizes::new(&Limits::default());
        let hub_id = hub_id.to_owned();
        let shared = Shared::new(hub_id, node.clone(), incarnation, carrier, sizes);
        let shared = Arc::new(shared);
        let (sender, orders) = mpsc::channel(ORDERS);
        let hub = Hub::new(Arc::clone(&shared), sender);
        let port = Self {
            shared,
            orders,
            requests: Requests::after(LAST_TICKET),
            up: BTreeSet::new(),
        };
        (hub, port)
    }

    /// The next thing that the program asks. What cannot be asked of others has failed by then.
    pub fn take(&mut self, now: Time, registry: &Registry) -> Taken {
        let order = match self.orders.try_recv() {
            Ok(Order::Leave(reply)) => return Taken::Leave(Leaver(reply)),
            Ok(order) => order,
            Err(TryRecvError::Empty) => return Taken::Nothing,
            Err(TryRecvError::Disconnected) => return Taken::Abandoned,
        };
        let surroundings = Surroundings {
            node: &self.shared.node,
            registry,
            up: &self.up,
            deadline: |timeout| Time(now.0.saturating_add(micros(timeout))),
        };
        let accepted = self.requests.accept(order, &surroundings);
        Taken::Commands(accepted.commands, accepted.done)
    }

    /// When the next request of the program has waited long enough.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.requests.next_due()
    }

    /// Replies to requests whose time is up.
    pub fn expire(&mut self, now: Time) {
        self.requests.expire(now);
    }

    /// Something happened at the hub.
    pub fn hub_event(&mut self, event: &Event) {
        match event {
            Event::Row(change) => {
                let is_told = self.shared.fanout.is_read();
                if let Some(event) = self.shared.row_changed(change.clone(), is_told) {
                    self.shared.fanout.publish(&event);
                }
            }
            Event::View(nodes) => {
                let event = self.shared.view_changed(nodes.clone());
                self.shared.fanout.publish(&event);
            }
            Event::Fact(fact) => {
                let reason = |_: &_| StopReason::Stopped;
                let event = self.shared.children_changed((**fact).clone(), reason);
                self.shared.fanout.publish(&event);
            }
            Event::Answer {
                ticket,
                node,
                results,
            } => {
                if *ticket > LAST_TICKET {
                    self.requests.answer(*ticket, node, results.clone());
                }
            }
            Event::Skipped { .. } | Event::Mark(_) => {}
        }
    }

    /// A connection came up.
    pub fn peer_up(&mut self, node: &NodeId, incarnation: u64) {
        self.up.insert(node.clone());
        self.shared.set_connected(node, true);
        let node = node.clone();
        self.shared
            .fanout
            .publish(&HubEvent::PeerUp { node, incarnation });
    }

    /// A connection is gone.
    pub fn peer_down(&mut self, node: &NodeId, reason: DownReason) {
        self.up.remove(node);
        self.shared.set_connected(node, false);
        self.requests.fail(node, None, &ChildError::WentDown);
        let node = node.clone();
        self.shared
            .fanout
            .publish(&HubEvent::PeerDown { node, reason });
    }
}

impl Drop for Port {
    /// The streams of events end.
    fn drop(&mut self) {
        self.shared.fanout.close();
    }
}
