//! [`Transport`]: what carries messages between the hubs of a cluster.
//!
//! The driver of a hub knows nothing of sockets. It starts a transport, hands it messages, and takes
//! events from a bounded queue. There are two implementations here: TCP with a Noise handshake,
//! which [`super::Builder::start`] uses by itself, and [`super::ChannelTransport`] within a process.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::{BindError, Counters};
use crate::message::Channel;
use crate::name::NodeId;
use crate::runtime::DownReason;

/// A future that a [`Transport`] returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The node that a transport carries for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LocalNode {
    /// The cluster's id: only nodes of the same id are connected.
    pub hub_id: String,
    /// The node's name.
    pub node: NodeId,
    /// This boot of the node: higher than that of any earlier boot.
    pub incarnation: u64,
    /// The strategy's name, and its parameters as text: equal on all nodes of a cluster.
    pub strategy: String,
}

impl LocalNode {
    pub(super) fn new(hub_id: String, node: NodeId, incarnation: u64, strategy: String) -> Self {
        Self {
            hub_id,
            node,
            incarnation,
            strategy,
        }
    }

    /// The strategy's name.
    #[must_use]
    pub fn strategy_name(&self) -> &str {
        let name = self.strategy.split(' ').next().unwrap_or_default();
        name.get(..STRATEGY_NAME_BYTES_MAX).unwrap_or(name)
    }

    /// A hash of the strategy's name and parameters.
    #[must_use]
    pub fn strategy_hash(&self) -> u64 {
        let hash = blake3::hash(self.strategy.as_bytes());
        let bytes = hash.as_bytes().first_chunk().copied();
        u64::from_le_bytes(bytes.unwrap_or_default())
    }
}

/// The most bytes of a strategy's name that are told.
const STRATEGY_NAME_BYTES_MAX: usize = 128;

/// Something that a transport reports. For each peer in order: up, its messages, perhaps left, down.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransportEvent {
    /// A peer is connected.
    Up {
        /// Its name.
        node: NodeId,
        /// Its boot.
        incarnation: u64,
    },
    /// A connected peer no longer is.
    Down {
        /// Its name.
        node: NodeId,
        /// Why.
        reason: DownReason,
    },
    /// A connected peer leaves the cluster: this is the last that it sent.
    Left {
        /// Its name.
        node: NodeId,
    },
    /// A later boot of this node's name is in its place: peers refuse this one.
    Evicted {
        /// The later boot.
        incarnation: u64,
    },
    /// A message from a connected peer.
    Message {
        /// Its name.
        from: NodeId,
        /// The id of the channel.
        channel: u8,
        /// The message.
        bytes: Bytes,
        /// The peer's share of memory.
        permit: RecvPermit,
    },
}

/// Accounts for a received message in memory until it is dropped: a peer is read no further while
/// its share is used up.
#[derive(Debug, Default)]
pub struct RecvPermit(
    #[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>,
);

impl RecvPermit {
    /// A permit that is given back to its semaphore when dropped.
    #[must_use]
    pub fn new(permit: OwnedSemaphorePermit) -> Self {
        Self(Some(permit))
    }
}

/// Why a message was not sent. Nothing is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The node is not connected.
    #[error("the node is not connected")]
    NotConnected,
    /// The message is longer than [`super::Limits::message_bytes`].
    #[error("the message is longer than the limit")]
    TooLong,
    /// The peer's queue was full: its connection is being closed.
    #[error("the node reads too slowly and is disconnected")]
    SlowReader,
}

/// How the connection to one peer ended when the node left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerLeave {
    /// The peer.
    pub node: NodeId,
    /// The peer has read everything that was sent to it, the good-bye last, and closed its side. If
    /// not, it notices that the connection is gone.
    pub arrived: bool,
    /// Messages that were still queued for it, wholly or in part.
    pub unsent: usize,
}

impl PeerLeave {
    /// The end of one connection.
    #[must_use]
    pub fn new(node: NodeId, arrived: bool, unsent: usize) -> Self {
        Self {
            node,
            arrived,
            unsent,
        }
    }
}

/// Carries messages between the nodes of a cluster, in order on each channel of each connection.
///
/// All methods but [`Self::start`] and [`Self::close`] return at once, and may be called from any
/// thread. Before it has started, a transport has no peers.
pub trait Transport: Send + Sync + 'static {
    /// Starts to look for peers on behalf of a node, and reports on `events` from then on. When
    /// `events` is full, peers are read no further; when it is closed, the transport ends. Called
    /// once, inside a tokio runtime.
    ///
    /// # Errors
    /// See [`BindError`]; nothing is left running.
    fn start(
        &self,
        node: LocalNode,
        events: mpsc::Sender<TransportEvent>,
    ) -> BoxFuture<'_, Result<(), BindError>>;

    /// Queues a message for a connected node.
    ///
    /// # Errors
    /// See [`SendError`].
    fn send(
        &self,
        to: &NodeId,
        channel: Channel,
        kind: &'static str,
        bytes: Bytes,
    ) -> Result<(), SendError>;

    /// Connects to a node now instead of after the delay between two attempts, if it is known where
    /// the node is; `address` tells it.
    fn connect(&self, node: &NodeId, address: Option<&str>);

    /// The connected nodes, by name.
    fn connected(&self) -> Vec<NodeId>;

    /// True if a node is connected, though the hub may not have been told yet.
    fn is_connected(&self, node: &NodeId) -> bool {
        self.connected().contains(node)
    }

    /// Sends what is queued, says good-bye if `leaves`, waits until all of it has arrived or
    /// `within` is over, and ends. Events must be read or their receiver dropped meanwhile.
    /// Returns how each connection ended.
    fn close(&self, leaves: bool, within: Duration) -> BoxFuture<'_, Vec<PeerLeave>>;

    /// Ends at once.
    fn abort(&self);

    /// When a message of the node to itself arrives, and perhaps a copy of it; `None` for at once.
    fn loopback(&self, _channel: Channel, _bytes: usize) -> Vec<Option<Instant>> {
        vec![None]
    }

    /// The address listened on, for transports that have one.
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// What has been done, and is held now.
    fn counters(&self) -> Counters {
        Counters::default()
    }
}
