//! Connections over TCP between the hubs of a cluster: finding them, proving the secret, carrying
//! messages.
//!
//! One TCP connection for each pair of nodes, kept by dialling anew after each loss. What goes over
//! it is described where it is made:
//!
//! | module | what it owns |
//! | --- | --- |
//! | `config`, `secret` | what a transport is told |
//! | `noise`, `handshake` | the bytes of a handshake, and the sealing of frames |
//! | `record`, `outbox` | what is in a frame, and in which order it leaves |
//! | `table`, `addresses` | who is connected, and where to find the others |
//! | `dial`, `accept`, `strangers`, `connection` | the tasks, and how many strangers they serve |
//! | `rekey` | new secrets while connections stand |
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
mod addresses;
mod config;
mod connection;
mod dial;
mod handshake;
mod noise;
mod outbox;
mod record;
mod rekey;
mod report;
mod secret;
mod shared;
mod strangers;
mod table;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, lookup_host};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use config::TIME_MAX;
pub use config::{BindError, Filter, FilterVerdict, Limits, Resolver};
pub(crate) use config::{SystemResolver, TcpConfig};
pub use report::{Counters, Refusal};
pub use secret::{Secret, SecretError, SecretsError};

use self::addresses::AddressBook;
use self::outbox::PushError;
use self::record::{Control, StrategyMark, TEXT_BYTES_MAX};
use self::report::add;
use self::shared::{Shared, lock};
use self::strangers::Strangers;
use self::table::{Peer, Table};
use super::transport::{BoxFuture, LocalNode, PeerLeave, SendError, Transport, TransportEvent};
use crate::message::Channel;
use crate::name::NodeId;

/// The time for tasks to end after they were told to.
const TASKS_END_WITHIN: Duration = Duration::from_secs(1);

/// Connects hubs over TCP; see the module.
pub(crate) struct TcpTransport {
    /// Taken by the start.
    config: Mutex<Option<TcpConfig>>,
    running: OnceLock<Running>,
}

struct Running {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
    /// Ends all tasks when the transport is dropped.
    _stop: DropGuard,
}

impl TcpTransport {
    pub(crate) fn new(config: TcpConfig) -> Self {
        Self {
            config: Mutex::new(Some(config)),
            running: OnceLock::new(),
        }
    }

    /// Replaces the secrets: the first is offered first, all are accepted. Connections that stand get
    /// a new handshake.
    ///
    /// # Errors
    /// There is none, or the transport was started without.
    pub(crate) fn set_secrets(&self, secrets: Vec<Secret>) -> Result<(), SecretsError> {
        let shared = self.shared().ok_or(SecretsError::NotUsed)?;
        if shared.loopback_only {
            return Err(SecretsError::NotUsed);
        }
        if secrets.is_empty() {
            return Err(SecretsError::None);
        }
        let version = shared.set_secrets(secrets);
        let rekeyed = rekey::rekey_all(Arc::clone(shared), version);
        shared.tasks.spawn(rekeyed);
        Ok(())
    }

    fn shared(&self) -> Option<&Arc<Shared>> {
        self.running.get().map(|running| &running.shared)
    }

    /// Listens, and starts to dial.
    async fn bind(
        &self,
        local: LocalNode,
        events: mpsc::Sender<TransportEvent>,
    ) -> Result<(), BindError> {
        let Some(config) = lock(&self.config).take() else {
            return Err(BindError::Started);
        };
        check_length("the hub id", &local.hub_id)?;
        check_length("the node's name", local.node.as_str())?;
        for address in config.peers.iter().chain(&config.advertise) {
            check_length("an address", address)?;
        }
        let loopback_only = config.secrets.is_empty();
        let (listener, local_addr) = listen(&config.listen, loopback_only).await?;
        let stop = CancellationToken::new();
        let limits = config.limits.bounded();
        let secrets = if loopback_only {
            vec![Secret::of_hub_id(&local.hub_id)]
        } else {
            config.secrets
        };
        let shared = Arc::new(Shared {
            name: local.node.clone(),
            advertise: config.advertise.unwrap_or_else(|| local_addr.to_string()),
            strategy: StrategyMark {
                name: local.strategy_name().to_owned(),
                hash: local.strategy_hash(),
            },
            allow_mixed: config.allow_mixed,
            resolver: config.resolver,
            evicted_by: AtomicU64::new(0),
            preamble: noise::preamble(&local.hub_id),
            secrets: RwLock::new(secrets.into()),
            secrets_version: AtomicU64::new(0),
            loopback_only,
            table: Mutex::new(Table::new(local.node, local.incarnation)),
            book: Mutex::new(AddressBook::new(limits.addresses)),
            strangers: Strangers::new(limits.handshakes, limits.handshakes_per_address),
            limits,
            down_after: config.down_after.min(TIME_MAX),
            heartbeat: config.heartbeat.min(TIME_MAX),
            filter: config.filter,
            report: report::Report::default(),
            events,
            closing: stop.child_token(),
            stop: stop.clone(),
            tasks: TaskTracker::new(),
        });
        shared
            .tasks
            .spawn(accept::listen(Arc::clone(&shared), listener));
        for address in config.peers {
            let handle = shared.book().configure(&address, &shared.closing);
            if let Some(handle) = handle {
                let dialled = dial::reconnect_loop(Arc::clone(&shared), address, handle);
                shared.tasks.spawn(dialled);
            }
        }
        let running = Running {
            shared,
            local_addr,
            _stop: stop.drop_guard(),
        };
        // The configuration was there to be taken, so this is the first start.
        let _ = self.running.set(running);
        Ok(())
    }

    /// Flushes, within this time, and ends. Returns how each connection ended.
    async fn end(&self, leaves: bool, within: Duration) -> Vec<PeerLeave> {
        let Some(shared) = self.shared() else {
            return Vec::new();
        };
        shared.closing.cancel();
        let peers: Vec<Arc<Peer>> = shared.table().peers().cloned().collect();
        for peer in &peers {
            let last = leaves.then(|| record::control(&Control::Leave));
            peer.outbox.close(last);
        }
        shared.tasks.close();
        let flushed = timeout(within, shared.tasks.wait()).await.is_ok();
        let ends = peers.iter().map(|peer| peer.end()).collect();
        if !flushed {
            shared.stop.cancel();
            let ended = timeout(TASKS_END_WITHIN, shared.tasks.wait()).await;
            if ended.is_err() {
                tracing::warn!("tasks of the transport are still running");
            }
        }
        shared.stop.cancel();
        ends
    }
}

impl Transport for TcpTransport {
    fn start(
        &self,
        local: LocalNode,
        events: mpsc::Sender<TransportEvent>,
    ) -> BoxFuture<'_, Result<(), BindError>> {
        Box::pin(self.bind(local, events))
    }

    fn send(
        &self,
        to: &NodeId,
        channel: Channel,
        kind: &'static str,
        bytes: Bytes,
    ) -> Result<(), SendError> {
        let shared = self.shared().ok_or(SendError::NotConnected)?;
        let length = bytes.len();
        if length > shared.limits.message_bytes {
            tracing::warn!(%to, kind, length, "a message is over the limit and is not sent");
            return Err(SendError::TooLong);
        }
        let peer = shared
            .table()
            .get(to)
            .cloned()
            .ok_or(SendError::NotConnected)?;
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
            Err(PushError::Closed) => Err(SendError::NotConnected),
            Err(PushError::Full) => {
                shared.drop_slow(&peer);
                Err(SendError::SlowReader)
            }
        }
    }

    fn connect(&self, node: &NodeId, address: Option<&str>) {
        if let Some(shared) = self.shared() {
            if let Some(address) = address {
                shared.tell(node, address);
            }
            shared.book().wake(node);
        }
    }

    fn connected(&self) -> Vec<NodeId> {
        let Some(shared) = self.shared() else {
            return Vec::new();
        };
        let table = shared.table();
        table.peers().map(|peer| peer.name.clone()).collect()
    }

    fn is_connected(&self, node: &NodeId) -> bool {
        self.shared()
            .is_some_and(|shared| shared.table().get(node).is_some())
    }

    fn close(&self, leaves: bool, within: Duration) -> BoxFuture<'_, Vec<PeerLeave>> {
        Box::pin(self.end(leaves, within))
    }

    fn abort(&self) {
        if let Some(shared) = self.shared() {
            shared.stop.cancel();
        }
    }

    fn loopback(&self, channel: Channel, bytes: usize) -> Vec<Option<Instant>> {
        let Some(shared) = self.shared() else {
            return vec![None];
        };
        let own = &shared.name;
        let departure = shared.departures(own, Some(channel), bytes);
        let (first, second) = departure.map_or((None, None), |it| (it.first, it.second));
        std::iter::once(first).chain(second.map(Some)).collect()
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.running.get().map(|running| running.local_addr)
    }

    fn counters(&self) -> Counters {
        self.shared()
            .map_or_else(Counters::default, |shared| shared.counters())
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
