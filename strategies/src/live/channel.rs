//! [`ChannelTransport`]: the hubs of one process, connected by queues instead of sockets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::transport::{
    BoxFuture, LocalNode, PeerLeave, RecvPermit, SendError, Transport, TransportEvent,
};
use super::{BindError, Counters};
use crate::message::Channel;
use crate::name::NodeId;
use crate::runtime::DownReason;

/// The hubs that can reach one another through [`ChannelTransport`]s. Clones are the same network.
///
/// Nodes of one hub id are connected as soon as both have started. There are no addresses, secrets,
/// limits or heartbeats, and a message arrives as soon as it is sent; with paused time a test of
/// such hubs takes no time and always goes the same way.
#[derive(Debug, Clone, Default)]
pub struct ChannelNetwork(Arc<Mutex<Nodes>>);

#[derive(Debug, Default)]
struct Nodes {
    /// By hub id and name.
    members: BTreeMap<(String, NodeId), Member>,
}

#[derive(Debug)]
struct Member {
    incarnation: u64,
    queue: mpsc::UnboundedSender<TransportEvent>,
    counts: Counters,
}

impl ChannelNetwork {
    /// A network without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The transport of one more node.
    #[must_use]
    pub fn transport(&self) -> ChannelTransport {
        ChannelTransport {
            network: self.clone(),
            local: OnceLock::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Nodes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Nodes {
    fn others<'a>(
        &'a mut self,
        hub_id: &'a str,
        node: &'a NodeId,
    ) -> impl Iterator<Item = (&'a NodeId, &'a mut Member)> {
        let members = self.members.iter_mut();
        members.filter_map(move |((id, name), member)| {
            (id == hub_id && name != node).then_some((name, member))
        })
    }

    /// Takes a node out, and tells the others. `left` if it said good-bye.
    fn remove(&mut self, local: &LocalNode, reason: DownReason, left: bool) -> Vec<NodeId> {
        let key = (local.hub_id.clone(), local.node.clone());
        let is_it = |member: &Member| member.incarnation == local.incarnation;
        if !self.members.get(&key).is_some_and(is_it) {
            return Vec::new();
        }
        self.members.remove(&key);
        let mut told = Vec::new();
        for (name, member) in self.others(&local.hub_id, &local.node) {
            let node = local.node.clone();
            if left {
                let _ = member
                    .queue
                    .send(TransportEvent::Left { node: node.clone() });
            }
            let _ = member.queue.send(TransportEvent::Down { node, reason });
            told.push(name.clone());
        }
        told
    }
}

/// Connects a hub to the others of its [`ChannelNetwork`]; for tests, and for several hubs of one
/// program. Give it to [`super::Builder::transport`].
#[derive(Debug)]
pub struct ChannelTransport {
    network: ChannelNetwork,
    /// The node that was started.
    local: OnceLock<LocalNode>,
}

impl ChannelTransport {
    fn end(&self, left: bool) -> Vec<NodeId> {
        let Some(local) = self.local.get() else {
            return Vec::new();
        };
        let mut nodes = self.network.lock();
        nodes.remove(local, DownReason::Closed, left)
    }
}

impl Drop for ChannelTransport {
    fn drop(&mut self) {
        self.end(false);
    }
}

impl Transport for ChannelTransport {
    fn start(
        &self,
        local: LocalNode,
        events: mpsc::Sender<TransportEvent>,
    ) -> BoxFuture<'_, Result<(), BindError>> {
        Box::pin(async move {
            let (queue, mut queued) = mpsc::unbounded_channel();
            let pump = tokio::spawn(async move {
                while let Some(event) = queued.recv().await {
                    if events.send(event).await.is_err() {
                        break;
                    }
                }
            });
            let mut nodes = self.network.lock();
            let key = (local.hub_id.clone(), local.node.clone());
            match nodes.members.get(&key).map(|old| old.incarnation) {
                Some(old) if old >= local.incarnation => {
                    pump.abort();
                    let name = local.node.to_string();
                    return Err(BindError::NameTaken { name });
                }
                Some(incarnation) => {
                    let old = LocalNode {
                        incarnation,
                        ..local.clone()
                    };
                    nodes.remove(&old, DownReason::Restarted, false);
                }
                None => {}
            }
            let mut counts = Counters::default();
            for (name, member) in nodes.others(&local.hub_id, &local.node) {
                let _ = queue.send(TransportEvent::Up {
                    node: name.clone(),
                    incarnation: member.incarnation,
                });
                let _ = member.queue.send(TransportEvent::Up {
                    node: local.node.clone(),
                    incarnation: local.incarnation,
                });
                member.counts.connections += 1;
                counts.connections += 1;
            }
            let incarnation = local.incarnation;
            let member = Member {
                incarnation,
                queue,
                counts,
            };
            nodes.members.insert(key, member);
            drop(nodes);
            // Called once: nothing is there to be replaced.
            let _ = self.local.set(local);
            Ok(())
        })
    }

    fn send(
        &self,
        to: &NodeId,
        channel: Channel,
        _kind: &'static str,
        bytes: Bytes,
    ) -> Result<(), SendError> {
        let local = self.local.get().ok_or(SendError::NotConnected)?;
        let mut nodes = self.network.lock();
        let own = (local.hub_id.clone(), local.node.clone());
        let length = bytes.len() as u64;
        let is_it = |member: &&mut Member| member.incarnation == local.incarnation;
        let sender = nodes.members.get_mut(&own).filter(is_it);
        let sender = sender.ok_or(SendError::NotConnected)?;
        sender.counts.messages_sent += 1;
        sender.counts.message_bytes_sent += length;
        let other = (local.hub_id.clone(), to.clone());
        let receiver = nodes.members.get_mut(&other);
        let receiver = receiver.ok_or(SendError::NotConnected)?;
        receiver.counts.messages_received += 1;
        receiver.counts.message_bytes_received += length;
        let message = TransportEvent::Message {
            from: local.node.clone(),
            channel: channel.id,
            bytes,
            permit: RecvPermit::default(),
        };
        let sent = receiver.queue.send(message);
        sent.map_err(|_| SendError::NotConnected)
    }

    fn connect(&self, _node: &NodeId, _address: Option<&str>) {}

    fn connected(&self) -> Vec<NodeId> {
        let Some(local) = self.local.get() else {
            return Vec::new();
        };
        let mut nodes = self.network.lock();
        let others = nodes.others(&local.hub_id, &local.node);
        others.map(|(name, _)| name.clone()).collect()
    }

    fn close(&self, leaves: bool, _within: Duration) -> BoxFuture<'_, Vec<PeerLeave>> {
        Box::pin(async move {
            let peers = self.end(leaves);
            let arrived = |node| PeerLeave::new(node, true, 0);
            peers.into_iter().map(arrived).collect()
        })
    }

    fn abort(&self) {
        self.end(false);
    }

    fn counters(&self) -> Counters {
        let Some(local) = self.local.get() else {
            return Counters::default();
        };
        let mut nodes = self.network.lock();
        let peers = nodes.others(&local.hub_id, &local.node).count() as u64;
        let own = (local.hub_id.clone(), local.node.clone());
        let counts = nodes.members.get(&own).map(|own| own.counts.clone());
        Counters {
            peers,
            ..counts.unwrap_or_default()
        }
    }
}
