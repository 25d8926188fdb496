//! What all tasks of one transport share.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::addresses::AddressBook;
use super::config::{Filter, FilterVerdict, Limits, TIME_MAX};
use super::dial;
use super::noise::Preamble;
use super::outbox::{Outbox, PushError};
use super::record::{Control, Greeting, TEXT_BYTES_MAX, control};
use super::report::{Counters, Refusal, Report, add};
use super::secret::Secret;
use super::table::{Peer, Table};
use crate::live::transport::TransportEvent;
use crate::message::Channel;
use crate::name::NodeId;
use crate::runtime::DownReason;

/// So many addresses go into one record: it must fit a frame.
const ADDRESSES_PER_RECORD: usize = 16;

/// A transport, from the inside.
pub(super) struct Shared {
    /// Who this node is.
    pub(super) greeting: Greeting,
    pub(super) preamble: Preamble,
    pub(super) secrets: Vec<Secret>,
    /// There is no secret: other addresses are not served.
    pub(super) loopback_only: bool,
    pub(super) limits: Limits,
    pub(super) down_after: Duration,
    pub(super) heartbeat: Duration,
    pub(super) filter: Option<Arc<dyn Filter>>,
    pub(super) table: Mutex<Table>,
    pub(super) book: Mutex<AddressBook>,
    pub(super) report: Report,
    /// Slots of connections that have not proved the secret.
    pub(super) handshakes: Arc<Semaphore>,
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
    /// Whether they keep their places in the channel.
    pub(super) ordered: bool,
}

impl Shared {
    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    pub(super) fn book(&self) -> MutexGuard<'_, AddressBook> {
        lock(&self.book)
    }

    /// A connection to whoever greeted us so from `remote`.
    pub(super) fn peer(&self, greeting: &Greeting, remote: SocketAddr) -> Arc<Peer> {
        Peer::new(
            greeting,
            reachable(&greeting.advertise, remote),
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
            filter.judge(&self.greeting.name, to, channel, bytes)
        })
    }

    /// How long a peer may be silent from now on.
    pub(super) fn patience(&self, peer: &NodeId) -> Duration {
        let filter = self.filter.as_ref();
        let own = filter.and_then(|filter| filter.patience(&self.greeting.name, peer));
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
    pub(super) fn tell(&self, peer: &Peer, what: &Control) {
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

    /// Tells a new peer where the others are, and them where it is.
    pub(super) fn introduce(&self, new: &Peer) {
        let others: Vec<Arc<Peer>> = self
            .table()
            .peers()
            .filter(|peer| peer.name != new.name)
            .cloned()
            .collect();
        let place = |peer: &Peer| (peer.name.clone(), peer.address.clone());
        for some in others.chunks(ADDRESSES_PER_RECORD) {
            let places = some.iter().map(|peer| place(peer)).collect();
            self.tell(new, &Control::Addresses(places));
        }
        for other in &others {
            self.tell(other, &Control::Addresses(vec![place(new)]));
        }
    }

    /// Takes note of where a node may be found, and dials it from now on.
    pub(super) fn learn(self: &Arc<Self>, name: &NodeId, address: &str) {
        let proper = (1..=TEXT_BYTES_MAX).contains(&address.len());
        if *name == self.greeting.name || !proper || self.closing.is_cancelled() {
            return;
        }
        let handle = self.book().learn(name, address, &self.closing);
        if let Some(handle) = handle {
            tracing::debug!(%name, address, "address learned");
            self.tasks.spawn(dial::reconnect_loop(
                Arc::clone(self),
                address.to_owned(),
                handle,
            ));
        }
    }

    /// The peer that an address led to, if it is connected.
    pub(super) fn connected_at(&self, address: &str) -> Option<Arc<Peer>> {
        let name = self.book().name(address)?;
        self.table().get(&name).cloned()
    }

    pub(super) fn counters(&self) -> Counters {
        let peers: Vec<Arc<Peer>> = self.table().peers().cloned().collect();
        let total = |measure: fn(&Outbox) -> usize| {
            peers.iter().map(|peer| measure(&peer.outbox) as u64).sum()
        };
        let free = self.handshakes.available_permits();
        Counters {
            peers: peers.len() as u64,
            queued_messages: total(Outbox::messages),
            queued_bytes: total(Outbox::bytes),
            handshakes: self.limits.handshakes.saturating_sub(free) as u64,
            addresses: self.book().len() as u64,
            ..self.report.counters()
        }
    }

    /// Counts a connection that was agreed on.
    pub(super) fn count_connection(&self) {
        self.report.connections.fetch_add(1, Ordering::Relaxed);
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
    fn a_node_that_listens_everywhere_is_dialled_where_it_was_seen() {
        let remote = "10.0.0.7:55555".parse().unwrap();
        assert_eq!(reachable("0.0.0.0:7000", remote), "10.0.0.7:7000");
        assert_eq!(reachable("[::]:7000", remote), "10.0.0.7:7000");
        assert_eq!(reachable("10.0.0.1:7000", remote), "10.0.0.1:7000");
        assert_eq!(reachable("b.example:7000", remote), "b.example:7000");
    }
}
