//! What all tasks of one transport share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::addresses::{AddressBook, DialHandle};
use super::config::{Filter, FilterVerdict, Limits, Resolver, TIME_MAX};
use super::dial;
use super::noise::Preamble;
use super::outbox::{Outbox, PushError};
use super::record::{Control, Greeting, Place, StrategyMark, TEXT_BYTES_MAX, control};
use super::report::{Counters, Refusal, Report, add};
use super::secret::Secret;
use super::strangers::Strangers;
use super::table::{Peer, Table};
use crate::live::transport::TransportEvent;
use crate::message::Channel;
use crate::name::NodeId;
use crate::runtime::DownReason;

/// So many addresses go into one record: it must fit a frame.
const ADDRESSES_PER_RECORD: usize = 16;

/// A transport, from the inside.
pub(super) struct Shared {
    /// This node.
    pub(super) name: NodeId,
    /// Where it says that it can be dialled.
    pub(super) advertise: String,
    /// What it runs.
    pub(super) strategy: StrategyMark,
    /// Nodes with another strategy are connected, too.
    pub(super) allow_mixed: bool,
    pub(super) resolver: Arc<dyn Resolver>,
    /// The latest boot of this name that was seen elsewhere and reported; 0 if none.
    pub(super) evicted_by: AtomicU64,
    pub(super) preamble: Preamble,
    /// The first is offered first, all are accepted.
    pub(super) secrets: RwLock<Arc<[Secret]>>,
    /// Counts the changes of the secrets.
    pub(super) secrets_version: AtomicU64,
    /// There is no secret: other addresses are not served.
    pub(super) loopback_only: bool,
    pub(super) limits: Limits,
    pub(super) down_after: Duration,
    pub(super) heartbeat: Duration,
    pub(super) filter: Option<Arc<dyn Filter>>,
    pub(super) table: Mutex<Table>,
    pub(super) book: Mutex<AddressBook>,
    pub(super) report: Report,
    /// Connections that have not proved the secret.
    pub(super) strangers: Arc<Strangers>,
    pub(super) events: mpsc::Sender<TransportEvent>,
    /// No more connections; those that stand are flushed.
    pub(super) closing: CancellationToken,
    /// The end of everything; cancels `closing` too.
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

/// Locks what a panic cannot leave half-changed: no holder of these locks calls foreign code.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When something may be sent.
pub(super) struct Departure {
    /// `None`: at once.
    pub(super) first: Option<Instant>,
    /// When a copy of it may be, if one is wanted.
    pub(super) second: Option<Instant>,
    /// True if they keep their places in the channel.
    pub(super) ordered: bool,
}

impl Shared {
    /// The secrets, the one that is offered first in front.
    pub(super) fn secrets(&self) -> Arc<[Secret]> {
        let secrets = self.secrets.read();
        Arc::clone(&secrets.unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the secrets, and returns the number of the change.
    pub(super) fn set_secrets(&self, secrets: Vec<Secret>) -> u64 {
        let current = self.secrets.write();
        *current.unwrap_or_else(PoisonError::into_inner) = secrets.into();
        self.secrets_version.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The number of the last change of the secrets.
    pub(super) fn secrets_version(&self) -> u64 {
        self.secrets_version.load(Ordering::Acquire)
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    pub(super) fn book(&self) -> MutexGuard<'_, AddressBook> {
        lock(&self.book)
    }

    /// How this node greets the other end of a connection. A node that listens on all its addresses
    /// advertises the one that this connection has.
    pub(super) fn greeting(&self, stream: &TcpStream) -> Greeting {
        let local = stream.local_addr();
        let advertise = local.map_or_else(
            |_| self.advertise.clone(),
            |local| reachable(&self.advertise, local),
        );
        Greeting {
            name: self.name.clone(),
            incarnation: self.table().incarnation(),
            advertise,
            strategy: self.strategy.clone(),
        }
    }

    /// Why the node that greets so does not fit this one, if it does not.
    pub(super) fn mismatch(&self, greeting: &Greeting) -> Option<String> {
        let (theirs, ours) = (&greeting.strategy, &self.strategy);
        if self.allow_mixed || theirs == ours {
            return None;
        }
        Some(if theirs.name == ours.name {
            let name = &greeting.name;
            format!("{name} runs {} with other parameters", theirs.name)
        } else {
            let name = &greeting.name;
            format!("{name} runs {}, this node {}", theirs.name, ours.name)
        })
    }

    /// A peer refused this boot because it is connected to boot `seen` of this name. Before this
    /// boot was ever connected, `seen` is an earlier one and the clock was set back: this node takes
    /// the next incarnation, and the result is true. After that, `seen` is a later one, which the
    /// hub is told.
    pub(super) async fn name_taken(&self, seen: u64) -> bool {
        let (own, next) = {
            let mut table = self.table();
            let own = table.incarnation();
            let is_new = self.report.connections.load(Ordering::Relaxed) == 0;
            let next = seen.checked_add(1).filter(|_| is_new && seen >= own);
            if let Some(next) = next {
                table.set_incarnation(next);
            }
            (own, next)
        };
        if let Some(next) = next {
            tracing::warn!(node = %self.name, own, seen, next, "a peer knows a later boot of this node: the clock was set back, or another node has this name");
            return true;
        }
        if seen > own && self.evicted_by.fetch_max(seen, Ordering::Relaxed) < seen {
            tracing::error!(node = %self.name, own, seen, "a later boot of this name has taken the place of this node");
            let evicted = TransportEvent::Evicted { incarnation: seen };
            // A hub that has stopped need not know.
            let _ = self.events.send(evicted).await;
        }
        false
    }

    /// A connection to whoever greeted us so from `remote`.
    pub(super) fn peer(
        &self,
        greeting: &Greeting,
        remote: SocketAddr,
        secret: &Secret,
    ) -> Arc<Peer> {
        Peer::new(
            greeting,
            reachable(&greeting.advertise, remote),
            remote.ip().to_canonical().is_loopback(),
            secret.clone(),
            Outbox::new(self.limits.queue_bytes, self.limits.channel_queue_bytes),
            self.stop.child_token(),
        )
    }

    /// What the filter says of something about to be sent to `to`.
    pub(super) fn judge(
        &self,
        to: &NodeId,
        channel: Option<Channel>,
        bytes: usize,
    ) -> FilterVerdict {
        self.filter.as_ref().map_or(FilterVerdict::Pass, |filter| {
            filter.judge(&self.name, to, channel, bytes)
        })
    }

    /// How long a peer may be silent from now on.
    pub(super) fn patience(&self, peer: &NodeId) -> Duration {
        let filter = self.filter.as_ref();
        let own = filter.and_then(|filter| filter.patience(&self.name, peer));
        own.map_or(self.down_after, |own| own.min(TIME_MAX))
    }

    /// When something may be sent that is sent now: `None` if never.
    pub(super) fn departure(
        &self,
        to: &NodeId,
        channel: Option<Channel>,
        bytes: usize,
    ) -> Option<Option<Instant>> {
        let departure = self.departures(to, channel, bytes);
        departure.map(|departure| departure.first)
    }

    /// [`Self::departure`], with the copy that the filter may want.
    pub(super) fn departures(
        &self,
        to: &NodeId,
        channel: Option<Channel>,
        bytes: usize,
    ) -> Option<Departure> {
        let after = |delay: Duration| Instant::now() + delay.min(TIME_MAX);
        let (first, second, ordered) = match self.judge(to, channel, bytes) {
            FilterVerdict::Pass => (None, None, true),
            FilterVerdict::Delay(delay) => (Some(after(delay)), None, true),
            FilterVerdict::Copies {
                first,
                second,
                ordered,
            } => (Some(after(first)), second.map(after), ordered),
            FilterVerdict::Drop => {
                add(&self.report.messages_filtered, 1);
                return None;
            }
        };
        Some(Departure {
            first,
            second,
            ordered,
        })
    }

    /// Says something to a peer's transport.
    pub(super) fn send_control(&self, peer: &Peer, what: &Control) {
        let record = control(what);
        if let Some(ready) = self.departure(&peer.name, None, record.len()) {
            match peer.outbox.push_control(record, ready) {
                Ok(()) | Err(PushError::Closed) => {}
                Err(PushError::Full) => self.drop_slow(peer),
            }
        }
    }

    /// Gives up a peer whose queue is full.
    pub(super) fn drop_slow(&self, peer: &Peer) {
        let queued = peer.outbox.bytes();
        self.report.refuse(
            Refusal::SlowReader,
            &peer.name,
            &format_args!("{queued} bytes are queued"),
        );
        peer.close(DownReason::Closed);
    }

    /// Tells a new peer where the others are, and them where it is: what each advertised of itself,
    /// with its boot.
    pub(super) fn introduce(&self, new: &Peer) {
        let others: Vec<Arc<Peer>> = self
            .table()
            .peers()
            .filter(|peer| peer.name != new.name)
            .cloned()
            .collect();
        let places: Vec<Place> = others
            .iter()
            .filter_map(|peer| place(peer, new.is_near))
            .collect();
        for some in places.chunks(ADDRESSES_PER_RECORD) {
            self.send_control(new, &Control::Addresses(some.to_vec()));
        }
        for other in &others {
            if let Some(place) = place(new, other.is_near) {
                self.send_control(other, &Control::Addresses(vec![place]));
            }
        }
    }

    /// Takes note of where a node may be found, and dials it from now on. `direct` if the node said
    /// it itself, `is_near` if whoever said it is connected over loopback: from elsewhere, loopback
    /// addresses lead astray.
    pub(super) fn learn(self: &Arc<Self>, place: &Place, direct: bool, is_near: bool) {
        let proper = (1..=TEXT_BYTES_MAX).contains(&place.address.len());
        if place.name == self.name || !proper || !is_reachable(&place.address, is_near) {
            return;
        }
        let handle = self.book().learn(place, direct, &self.closing);
        self.dial_learned(&place.name, &place.address, handle);
    }

    /// Takes note of where the program says that a node is.
    pub(super) fn tell(self: &Arc<Self>, name: &NodeId, address: &str) {
        if *name != self.name && (1..=TEXT_BYTES_MAX).contains(&address.len()) {
            let handle = self.book().tell(name, address, &self.closing);
            self.dial_learned(name, address, handle);
        }
    }

    fn dial_learned(self: &Arc<Self>, name: &NodeId, address: &str, handle: Option<DialHandle>) {
        if let Some(handle) = handle
            && !self.closing.is_cancelled()
        {
            tracing::debug!(%name, address, "address learned");
            let address = address.to_owned();
            self.tasks
                .spawn(dial::reconnect_loop(Arc::clone(self), address, handle));
        }
    }

    /// The peer that an address led to, if it is connected.
    pub(super) fn connected_at(&self, address: &str) -> Option<Arc<Peer>> {
        let name = self.book().owner(address)?;
        self.table().get(&name).cloned()
    }

    pub(super) fn counters(&self) -> Counters {
        let peers: Vec<Arc<Peer>> = self.table().peers().cloned().collect();
        let total = |measure: fn(&Outbox) -> usize| {
            peers.iter().map(|peer| measure(&peer.outbox) as u64).sum()
        };
        Counters {
            peers: peers.len() as u64,
            queued_messages: total(Outbox::messages),
            queued_bytes: total(Outbox::bytes),
            handshakes: self.strangers.len() as u64,
            addresses: self.book().len() as u64,
            ..self.report.counters()
        }
    }

    /// Counts a connection that was agreed on.
    pub(super) fn count_connection(&self) {
        self.report.connections.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a node advertised, unless it leads nowhere for a peer that is near or not.
fn place(peer: &Peer, is_near: bool) -> Option<Place> {
    is_reachable(&peer.advertised, is_near).then(|| Place {
        name: peer.name.clone(),
        incarnation: peer.incarnation,
        address: peer.advertised.clone(),
    })
}

/// True if an address may lead to another node: an unspecified one never does, a loopback one only
/// on the same machine.
fn is_reachable(address: &str, is_near: bool) -> bool {
    match address.parse::<SocketAddr>() {
        Ok(given) => {
            let ip = given.ip().to_canonical();
            !ip.is_unspecified() && (is_near || !ip.is_loopback())
        }
        Err(_) => true,
    }
}

/// Where a node can be dialled that advertises `address` and was seen at `remote`: a node that
/// listens on all its addresses does not know which of them leads to it.
fn reachable(address: &str, remote: SocketAddr) -> String {
    match address.parse::<SocketAddr>() {
        Ok(given) if given.ip().is_unspecified() => {
            SocketAddr::new(remote.ip(), given.port()).to_string()
        }
        Ok(_) | Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_good_for_those_who_are_near_only() {
        assert!(is_reachable("127.0.0.1:7000", true));
        assert!(!is_reachable("127.0.0.1:7000", false));
        assert!(!is_reachable("[::ffff:127.0.0.1]:7000", false));
        assert!(!is_reachable("0.0.0.0:7000", true));
        assert!(is_reachable("10.0.0.7:7000", false) && is_reachable("b.example:1", false));
    }

    #[test]
    fn a_node_that_listens_everywhere_is_dialled_where_it_was_seen() {
        let remote = "10.0.0.7:55555".parse().unwrap();
        assert_eq!(reachable("0.0.0.0:7000", remote), "10.0.0.7:7000");
        assert_eq!(reachable("[::]:7000", remote), "10.0.0.7:7000");
        assert_eq!(reachable("10.0.0.1:7000", remote), "10.0.0.1:7000");
        assert_eq!(reachable("b.example:7000", remote), "b.example:7000");
    }
}
