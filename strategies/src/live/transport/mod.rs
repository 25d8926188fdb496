//! Connections between the hubs of a cluster: finding them, proving the secret, carrying messages.
//!
//! One TCP connection for each pair of nodes, kept by dialling anew after each loss. What goes over
//! it is described where it is made:
//!
//! | module | what it owns |
//! | --- | --- |
//! | `config`, `secret` | what a transport is told |
//! | `noise`, `handshake` | the bytes of a handshake, and the sealing of frames |
//! | `record`, `outbox` | what is in a frame, and in which order it leaves |
//! | `table`, `book` | who is connected, and where to find the others |
//! | `dial`, `accept`, `connection` | the tasks |
//! | `report` | counters, and the log of refusals |
//!
//! Until a stranger's first sealed frame opens, no name is looked at, no state changes, and nothing
//! of it is decoded. It has cost a slot, for the time of a handshake at most, and some 2 KiB; who
//! replays a first message, also a Diffie-Hellman and a read buffer of 64 KiB.
//!
//! What the secret gives: nobody without it can read, change, replay or inject anything. What it
//! does not give: who holds it may claim any node's name. And who can drop packets can always
//! separate nodes.

mod accept;
mod book;
mod config;
mod connection;
mod dial;
mod handshake;
mod noise;
mod outbox;
mod record;
mod report;
mod secret;
mod shared;
mod table;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use config::TIME_MAX;
pub(crate) use config::TransportConfig;
pub use config::{BindError, Filter, FilterVerdict, Limits};
pub use report::Counters;
pub use secret::{Secret, SecretError};

use self::book::Book;
use self::outbox::PushError;
use self::record::{Greeting, TEXT_BYTES_MAX};
use self::report::add;
use self::shared::Shared;
use self::table::Table;
use crate::message::Channel;
use crate::name::NodeId;
use crate::runtime::DownReason;

/// What the hub has not taken yet; when it is full, peers are read no further.
const INCOMING: usize = 1024;

/// The time for tasks to end after they were told to.
const STOP: Duration = Duration::from_secs(1);

/// What happens on the connections. For each peer in order: up, its messages, down.
#[derive(Debug)]
pub(crate) enum Incoming {
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
    /// A message from a connected peer.
    Message {
        /// Its name.
        from: NodeId,
        /// The id of the channel.
        channel: u8,
        /// The message.
        bytes: Bytes,
        /// The peer's share of memory: it is read further once this is dropped.
        hold: Hold,
    },
}

/// Accounts for a message in memory until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// Why a message was not sent. Nothing is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendRefused {
    /// The node is not connected.
    #[error("the node is not connected")]
    NotConnected,
    /// The message is longer than [`Limits::message_bytes`].
    #[error("the message is longer than the limit")]
    TooLong,
    /// The peer's queue was full: its connection is being closed.
    #[error("the node reads too slowly and is disconnected")]
    SlowReader,
}

/// A running transport. The last clone to be dropped ends it at once, with all its tasks.
#[derive(Clone)]
pub(crate) struct Transport {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
    _stop: Arc<DropGuard>,
}

impl Transport {
    /// Listens, and starts to dial. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// See [`BindError`]; nothing is left running.
    pub(crate) async fn bind(
        config: TransportConfig,
    ) -> Result<(Self, mpsc::Receiver<Incoming>), BindError> {
        check_length("the hub id", &config.hub_id)?;
        check_length("the node's name", config.name.as_str())?;
        for address in config.peers.iter().chain(&config.advertise) {
            check_length("an address", address)?;
        }
        let loopback_only = config.secrets.is_empty();
        let (listener, local_addr) = listen(&config.listen, loopback_only).await?;
        let (incoming, receiver) = mpsc::channel(INCOMING);
        let stop = CancellationToken::new();
        let limits = config.limits.bounded();
        let secrets = if loopback_only {
            vec![Secret::of_hub_id(&config.hub_id)]
        } else {
            config.secrets
        };
        let shared = Arc::new(Shared {
            greeting: Greeting {
                name: config.name.clone(),
                incarnation: config.incarnation,
                advertise: config.advertise.unwrap_or_else(|| local_addr.to_string()),
            },
            preamble: noise::preamble(&config.hub_id),
            secrets,
            loopback_only,
            table: Mutex::new(Table::new(config.name, config.incarnation)),
            book: Mutex::new(Book::new(limits.addresses)),
            handshakes: Arc::new(Semaphore::new(limits.handshakes)),
            limits,
            down_after: config.down_after.min(TIME_MAX),
            heartbeat: config.heartbeat.min(TIME_MAX),
            filter: config.filter,
            report: report::Report::default(),
            incoming,
            closing: stop.child_token(),
            stop: stop.clone(),
            tasks: TaskTracker::new(),
        });
        shared
            .tasks
            .spawn(accept::listen(Arc::clone(&shared), listener));
        for address in config.peers {
            let line = shared.book().configure(&address, &shared.closing);
            if let Some(line) = line {
                shared
                    .tasks
                    .spawn(dial::keep(Arc::clone(&shared), address, line));
            }
        }
        let transport = Self {
            shared,
            local_addr,
            _stop: Arc::new(stop.drop_guard()),
        };
        Ok((transport, receiver))
    }

    /// Queues a message for a connected node; never waits. One channel keeps its order.
    ///
    /// # Errors
    /// See [`SendRefused`].
    pub(crate) fn send(
        &self,
        to: &NodeId,
        channel: Channel,
        kind: &'static str,
        bytes: Bytes,
    ) -> Result<(), SendRefused> {
        let shared = &self.shared;
        let length = bytes.len();
        if length > shared.limits.message_bytes {
            tracing::warn!(%to, kind, length, "a message is over the limit and is not sent");
            return Err(SendRefused::TooLong);
        }
        let peer = shared
            .table()
            .get(to)
            .cloned()
            .ok_or(SendRefused::NotConnected)?;
        let Some(departure) = shared.departures(to, Some(channel), length) else {
            return Ok(());
        };
        let push = |bytes, ready| match departure.ordered && channel.ordered {
            true => peer.outbox.push(channel.id, bytes, ready),
            false => peer.outbox.push_unordered(channel.id, bytes, ready),
        };
        let copied = match departure.second {
            Some(ready) => push(bytes.clone(), Some(ready)),
            None => Ok(()),
        };
        match copied.and_then(|()| push(bytes, departure.first)) {
            Ok(()) => {
                add(&shared.report.messages_sent, 1);
                add(&shared.report.message_bytes_sent, length);
                Ok(())
            }
            Err(PushError::Closed) => Err(SendRefused::NotConnected),
            Err(PushError::Full) => {
                shared.drop_slow(&peer);
                Err(SendRefused::SlowReader)
            }
        }
    }

    /// The connected nodes, by name.
    pub(crate) fn connected(&self) -> Vec<NodeId> {
        self.shared
            .table()
            .peers()
            .map(|peer| peer.name.clone())
            .collect()
    }

    /// When a message of the node to itself arrives, and perhaps a copy of it: `None` for at once,
    /// as ever if there is no filter. It is never lost.
    pub(crate) fn to_itself(
        &self,
        channel: Channel,
        bytes: usize,
    ) -> impl Iterator<Item = Option<Instant>> + use<> {
        let own = &self.shared.greeting.name;
        let departure = self.shared.departures(own, Some(channel), bytes);
        let (first, second) = departure.map_or((None, None), |it| (it.first, it.second));
        std::iter::once(first).chain(second.map(Some))
    }

    /// Whether a node is connected, though the hub may not have been told yet.
    pub(crate) fn is_connected(&self, node: &NodeId) -> bool {
        self.shared.table().get(node).is_some()
    }

    /// Takes note of where a node may be found, and dials it from now on.
    pub(crate) fn learn(&self, node: &NodeId, address: &str) {
        self.shared.learn(node, address);
    }

    /// Dials a node at once instead of after the delay, if an address of it is known.
    pub(crate) fn connect(&self, node: &NodeId) {
        self.shared.book().wake(node);
    }

    /// The address listened on, with the port that was taken.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What has been done, and is held now.
    pub(crate) fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// Sends what is queued, within `flush`, and ends. Nothing is accepted or dialled any more;
    /// the receiver still gets what arrives meanwhile, and must be read or dropped.
    /// Answers whether all of it left in time.
    pub(crate) async fn close(&self, flush: Duration) -> bool {
        let shared = &self.shared;
        shared.closing.cancel();
        for peer in shared.table().peers() {
            peer.outbox.close();
        }
        shared.tasks.close();
        let flushed = timeout(flush, shared.tasks.wait()).await.is_ok();
        if !flushed {
            shared.stop.cancel();
            let ended = timeout(STOP, shared.tasks.wait()).await;
            if ended.is_err() {
                tracing::warn!("tasks of the transport are still running");
            }
        }
        shared.stop.cancel();
        flushed
    }

    /// Ends at once, with all tasks, whoever else holds it.
    pub(crate) fn abort(&self) {
        self.shared.stop.cancel();
    }
}

fn check_length(what: &'static str, text: &str) -> Result<(), BindError> {
    let bytes = text.len();
    if (1..=TEXT_BYTES_MAX).contains(&bytes) {
        Ok(())
    } else {
        Err(BindError::Length { what, bytes })
    }
}

async fn listen(
    address: &str,
    loopback_only: bool,
) -> Result<(TcpListener, SocketAddr), BindError> {
    let refused = |error| BindError::Listen {
        address: address.to_owned(),
        error,
    };
    let resolved: Vec<SocketAddr> = lookup_host(address).await.map_err(refused)?.collect();
    if loopback_only && resolved.iter().any(|address| !address.ip().is_loopback()) {
        let address = address.to_owned();
        return Err(BindError::SecretNeeded { address });
    }
    let listener = TcpListener::bind(&resolved[..]).await.map_err(refused)?;
    let local_addr = listener.local_addr().map_err(refused)?;
    Ok((listener, local_addr))
}
