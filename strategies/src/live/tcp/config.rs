//! What a transport is told: who it is, where it listens, whom it looks for, and its limits.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::secret::Secret;
use crate::live::transport::BoxFuture;
use crate::message::Channel;
use crate::name::NodeId;

/// How a [`super::TcpTransport`] is set up.
pub(crate) struct TcpConfig {
    /// The address to listen on, `host:port`; port 0 takes any free one.
    pub(crate) listen: String,
    /// The address that others should dial; by default the one that is listened on.
    pub(crate) advertise: Option<String>,
    /// The addresses to start from, `host:port`; names are resolved anew at each dial.
    pub(crate) peers: Vec<String>,
    /// The cluster's secrets: the first is offered first, all are accepted. None: loopback only.
    pub(crate) secrets: Vec<Secret>,
    /// The limits.
    pub(crate) limits: Limits,
    /// A peer silent for this long is down.
    pub(crate) down_after: Duration,
    /// A heartbeat is sent when nothing else was for this long; well below `down_after`.
    pub(crate) heartbeat: Duration,
    /// Connects to nodes that run another strategy, or the same one with other parameters.
    pub(crate) allow_mixed: bool,
    /// Finds the addresses of names.
    pub(crate) resolver: Arc<dyn Resolver>,
    /// Judges everything that is sent; for tests and `hublab live`.
    pub(crate) filter: Option<Arc<dyn Filter>>,
}

/// What a hub will spend at most, on one child, one peer or on strangers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest message in bytes, sent or received. Default 16 MiB.
    pub message_bytes: usize,
    /// The time from the first byte of a connection until both sides are known. Default 5 s.
    pub handshake: Duration,
    /// The longest id of a child that is started here, in bytes. Default 1 KiB.
    pub child_id_bytes: usize,
    /// The largest specification of a child that is started here, encoded, in bytes. Default 64 KiB.
    pub spec_bytes: usize,
    /// The largest metadata of a child that is started here, encoded, in bytes. Default 64 KiB.
    pub metadata_bytes: usize,
    /// Connections that have not proved the secret yet. For one more, the oldest of the address that
    /// holds most is closed, or else the new one. Default 64.
    pub handshakes: usize,
    /// Those of one address, or of one /64 of IPv6, except loopback. Default 16.
    pub handshakes_per_address: usize,
    /// Bytes queued for one peer, with 64 for each message; a peer that would have more is
    /// disconnected. Default 64 MiB.
    pub queue_bytes: usize,
    /// Bytes queued for one peer on one channel, counted alike. Default 32 MiB.
    pub channel_queue_bytes: usize,
    /// Addresses known, configured and learned. Default 1,024.
    pub addresses: usize,
    /// The delay before the first dial after a failure; it doubles with each. Default 100 ms.
    pub redial_min: Duration,
    /// The longest delay between two dials of a configured address. Default 5 s.
    pub redial_max: Duration,
    /// The longest delay between two dials of a learned address. Default 5 min.
    pub redial_learned_max: Duration,
    /// A learned address where every dial has failed for this long is forgotten. Default 1 h.
    pub address_ttl: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 16 << 20,
            handshake: Duration::from_secs(5),
            child_id_bytes: 1 << 10,
            spec_bytes: 64 << 10,
            metadata_bytes: 64 << 10,
            handshakes: 64,
            handshakes_per_address: 16,
            queue_bytes: 64 << 20,
            channel_queue_bytes: 32 << 20,
            addresses: 1024,
            redial_min: Duration::from_millis(100),
            redial_max: Duration::from_secs(5),
            redial_learned_max: Duration::from_secs(300),
            address_ttl: Duration::from_secs(3_600),
        }
    }
}

/// Longer times are taken as this one: a year, and sums of it do not overflow.
pub(super) const TIME_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Greater counts are taken as this one: lengths are counted in 32 bits.
const COUNT_MAX: usize = u32::MAX as usize;

impl Limits {
    /// The same limits, where they are beyond all reason: what they are used for can count so far.
    pub(super) fn bounded(self) -> Self {
        Self {
            message_bytes: self.message_bytes.min(COUNT_MAX),
            handshake: self.handshake.min(TIME_MAX),
            child_id_bytes: self.child_id_bytes,
            spec_bytes: self.spec_bytes,
            metadata_bytes: self.metadata_bytes,
            handshakes: self.handshakes.min(COUNT_MAX),
            handshakes_per_address: self.handshakes_per_address,
            queue_bytes: self.queue_bytes,
            channel_queue_bytes: self.channel_queue_bytes,
            addresses: self.addresses,
            redial_min: self.redial_min.min(TIME_MAX),
            redial_max: self.redial_max.min(TIME_MAX),
            redial_learned_max: self.redial_learned_max.min(TIME_MAX).max(self.redial_max),
            address_ttl: self.address_ttl.min(TIME_MAX),
        }
    }
}

/// Finds the socket addresses behind an address that was configured or advertised.
///
/// ```
/// use std::net::{IpAddr, Ipv4Addr, SocketAddr};
///
/// use hublab_strategies::live::{BoxFuture, Hub, Resolver};
///
/// /// Every name is this machine.
/// struct Local;
///
/// impl Resolver for Local {
///     fn resolve<'a>(&'a self, address: &'a str) -> BoxFuture<'a, std::io::Result<Vec<SocketAddr>>> {
///         let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
///         let found = port.map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
///         Box::pin(async move { Ok(found.into_iter().collect()) })
///     }
/// }
///
/// let _builder = Hub::builder("orders", "a").peers(["b.example:7001"]).resolver(Local);
/// ```
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of `host:port`, in the order in which they are to be tried.
    ///
    /// # Errors
    /// The name is malformed or not known.
    fn resolve<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host(address).await?.collect()) })
    }
}

/// Judges each message, heartbeat and greeting before it is sent: partitions, loss and latency
/// on real sockets. A cut peer falls silent, and is down after `down_after`.
pub trait Filter: Send + Sync {
    /// What becomes of `bytes` bytes from `from` to `to`; `channel` is `None` for heartbeats,
    /// greetings and addresses. Delays keep the order of a channel.
    fn judge(
        &self,
        from: &NodeId,
        to: &NodeId,
        channel: Option<Channel>,
        bytes: usize,
    ) -> FilterVerdict;

    /// How long the connection of `node` to `peer` may be silent from now on before it is given up;
    /// `None` for the `down_after` of the hub, as always by default.
    fn patience(&self, node: &NodeId, peer: &NodeId) -> Option<Duration> {
        let _ = (node, peer);
        None
    }
}

/// The answer of a [`Filter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterVerdict {
    /// Sent now.
    Pass,
    /// Sent after this time.
    Delay(Duration),
    /// Never sent.
    Drop,
    /// Sent after this time, and perhaps a second time.
    Copies {
        /// The delay of the message.
        first: Duration,
        /// The delay of its copy, if there is one.
        second: Option<Duration>,
        /// True if the two keep the order of their channel; if not, what is ready earlier
        /// overtakes.
        ordered: bool,
    },
}

/// Why a transport could not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// A name, hub id or address is empty or longer than 255 bytes.
    #[error("{what} must have 1 to 255 bytes, it has {bytes}")]
    Length {
        /// What it is.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// The address to listen on does not resolve, or cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address as it was given.
        address: String,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// A node of this name runs, and not of an earlier boot.
    #[error("a node named {name} runs already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The transport was started before; each hub needs one of its own.
    #[error("the transport was started before")]
    Started,
    /// Without a secret, only loopback addresses are served.
    #[error("without a secret a hub serves loopback addresses only, and {address} is not one")]
    SecretNeeded {
        /// The address as it was given.
        address: String,
    },
}
