//! What a hub tells a program as it happens: bounded streams, of everything or of one child.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use hashbrown::HashMap;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::children::StopReason;
use super::mirror::Mirror;
use crate::child::{Metadata, Row};
use crate::name::{ChildId, NameHasher, NodeId, Pid};
use crate::runtime::DownReason;

/// How many events wait for a slow reader before some are left out.
const CAPACITY: usize = 1_024;

/// Something that happened at a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HubEvent {
    /// What a look-up of this child answers has changed.
    Row {
        /// The child.
        child: ChildId,
        /// What it answered before.
        before: Option<Arc<Row>>,
        /// What it answers now.
        after: Option<Arc<Row>>,
    },
    /// The cluster view changed; the new one, in order, this node included.
    Members(Vec<NodeId>),
    /// The connection to a peer came up.
    PeerUp {
        /// The peer.
        node: NodeId,
        /// Its incarnation.
        incarnation: u64,
    },
    /// The connection to a peer is gone.
    PeerDown {
        /// The peer.
        node: NodeId,
        /// Why.
        reason: DownReason,
    },
    /// A child of this node runs.
    ChildStarted {
        /// The child.
        child: ChildId,
        /// Its process.
        pid: Pid,
        /// Its metadata.
        metadata: Metadata,
    },
    /// A child's process failed or panicked, and will get a successor.
    ChildCrashed {
        /// The child.
        child: ChildId,
        /// The process that is gone.
        pid: Pid,
        /// Why.
        reason: StopReason,
        /// When the successor starts.
        restarts_in: Duration,
    },
    /// A child has a new process.
    ChildRestarted {
        /// The child.
        child: ChildId,
        /// The new process.
        pid: Pid,
    },
    /// A child of this node is gone for good.
    ChildEnded {
        /// The child.
        child: ChildId,
        /// Its last process.
        pid: Pid,
        /// Why.
        reason: StopReason,
    },
    /// A later boot of this node's name has taken its place: peers refuse this one, which goes on
    /// alone. Stop it, unless it is the one that should stay.
    Evicted {
        /// The later boot.
        incarnation: u64,
    },
    /// The reader was too slow: so many events before the next one were left out.
    Missed(u64),
}

impl HubEvent {
    /// The child that it is about, if it is about one.
    #[must_use]
    pub fn child(&self) -> Option<&ChildId> {
        match self {
            Self::Row { child, .. }
            | Self::ChildStarted { child, .. }
            | Self::ChildCrashed { child, .. }
            | Self::ChildRestarted { child, .. }
            | Self::ChildEnded { child, .. } => Some(child),
            Self::Members(_)
            | Self::PeerUp { .. }
            | Self::PeerDown { .. }
            | Self::Evicted { .. }
            | Self::Missed(_) => None,
        }
    }
}

/// A stream of events, from the moment it was asked for until the hub stops. It holds 1,024 events
/// for its reader; what does not fit is counted in a [`HubEvent::Missed`]. It does not keep the hub
/// running.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Receiver<Item>,
    missed: Arc<AtomicU64>,
}

/// What a reader finds in its queue: an event, or the place of those that were left out.
type Item = Option<HubEvent>;

impl Events {
    /// The next event; `None` once the hub has stopped. Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<HubEvent> {
        let item = self.queue.recv().await?;
        Some(self.event(item))
    }

    /// An event that is already there.
    pub fn try_next(&mut self) -> Option<HubEvent> {
        let item = self.queue.try_recv().ok()?;
        Some(self.event(item))
    }

    fn event(&self, item: Item) -> HubEvent {
        item.unwrap_or_else(|| HubEvent::Missed(self.missed.swap(0, Ordering::AcqRel)))
    }
}

impl Stream for Events {
    type Item = HubEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<HubEvent>> {
        let item = self.queue.poll_recv(cx);
        item.map(|item| item.map(|item| self.event(item)))
    }
}

/// One reader.
#[derive(Debug)]
struct Subscriber {
    queue: mpsc::Sender<Item>,
    /// How many events were left out at the place in the queue that the reader has not come to yet.
    missed: Arc<AtomicU64>,
}

impl Subscriber {
    /// A reader and its stream.
    fn new() -> (Self, Events) {
        // One more, for the place of what is left out.
        let (sender, queue) = mpsc::channel(CAPACITY + 1);
        let missed = Arc::new(AtomicU64::new(0));
        let subscriber = Self {
            queue: sender,
            missed: Arc::clone(&missed),
        };
        (subscriber, Events { queue, missed })
    }

    /// Hands an event on, if there is room. Answers whether anybody still reads.
    fn offer(&self, event: &HubEvent) -> bool {
        let one_more = |missed| (missed > 0).then_some(missed + 1);
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        if self.missed.fetch_update(set, fetch, one_more).is_ok() {
            return !self.queue.is_closed();
        }
        let item = if self.queue.capacity() > 1 {
            Some(event.clone())
        } else {
            self.missed.store(1, Ordering::Release);
            None
        };
        match self.queue.try_send(item) {
            // It is never full: the last place is taken only once, until the reader gets there.
            Ok(()) | Err(TrySendError::Full(_)) => true,
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

#[derive(Debug, Default)]
struct Subscribers {
    all: Vec<Subscriber>,
    /// Only ever asked by child.
    by_child: HashMap<ChildId, Vec<Subscriber>, NameHasher>,
    /// The hub has stopped: nobody can subscribe any more.
    closed: bool,
}

/// The readers of a hub.
#[derive(Debug, Default)]
pub(super) struct Fanout {
    /// How many there are, so that nobody pays for events that nobody reads.
    readers: AtomicUsize,
    subscribers: Mutex<Subscribers>,
}

impl Fanout {
    fn lock(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// True if anybody reads.
    ///
    /// The hub's task writes a row and then asks this; a new watcher is counted and then reads the
    /// row. One of the two must see the other's write, so both are sequentially consistent.
    pub(super) fn is_read(&self) -> bool {
        fence(Ordering::SeqCst);
        self.readers.load(Ordering::SeqCst) > 0
    }

    /// A new reader of everything.
    pub(super) fn subscribe(&self) -> Events {
        let (subscriber, events) = Subscriber::new();
        let mut subscribers = self.lock();
        if !subscribers.closed {
            subscribers.all.push(subscriber);
            self.readers.fetch_add(1, Ordering::Release);
        }
        events
    }

    /// A new reader of one child's events. What a look-up answers now comes first, if there is
    /// anything; it may come a second time, if it changes in this moment.
    pub(super) fn watch(&self, child: &ChildId, mirror: &Mirror) -> Events {
        let (subscriber, events) = Subscriber::new();
        let mut subscribers = self.lock();
        if !subscribers.closed {
            self.readers.fetch_add(1, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            if let Some(row) = mirror.get(child.as_str()) {
                subscriber.offer(&HubEvent::Row {
                    child: child.clone(),
                    before: None,
                    after: Some(row),
                });
            }
            subscribers
                .by_child
                .entry(child.clone())
                .or_default()
                .push(subscriber);
        }
        events
    }

    /// Tells everyone concerned. Never waits for a reader.
    pub(super) fn publish(&self, event: &HubEvent) {
        if !self.is_read() {
            return;
        }
        let mut subscribers = self.lock();
        let mut gone = offer_all(&mut subscribers.all, event);
        if let Some(child) = event.child()
            && let Some(watchers) = subscribers.by_child.get_mut(child)
        {
            gone += offer_all(watchers, event);
            if watchers.is_empty() {
                subscribers.by_child.remove(child);
            }
        }
        self.readers.fetch_sub(gone, Ordering::Release);
    }

    /// The hub has stopped: every stream ends after what it still holds.
    pub(super) fn close(&self) {
        let mut subscribers = self.lock();
        *subscribers = Subscribers {
            closed: true,
            ..Subscribers::default()
        };
        self.readers.store(0, Ordering::Release);
    }

    /// Forgets readers of children that have no events any more. Called now and then.
    pub(super) fn sweep(&self) {
        if !self.is_read() {
            return;
        }
        let mut subscribers = self.lock();
        let mut gone = 0;
        subscribers.by_child.retain(|_, watchers| {
            let before = watchers.len();
            watchers.retain(|watcher| !watcher.queue.is_closed());
            gone += before - watchers.len();
            !watchers.is_empty()
        });
        self.readers.fetch_sub(gone, Ordering::Release);
    }
}

/// Answers how many were forgotten, because they read no longer.
fn offer_all(subscribers: &mut Vec<Subscriber>, event: &HubEvent) -> usize {
    let before = subscribers.len();
    subscribers.retain(|subscriber| subscriber.offer(event));
    before - subscribers.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(number: u64) -> HubEvent {
        HubEvent::PeerUp {
            node: "n2".into(),
            incarnation: number,
        }
    }

    #[test]
    fn a_slow_reader_is_told_how_much_it_missed() {
        let fanout = Fanout::default();
        let mut events = fanout.subscribe();
        for _ in 0..2 {
            (0..1_030).for_each(|number| fanout.publish(&up(number)));
            for number in 0..1_023 {
                assert_eq!(events.try_next(), Some(up(number)));
            }
            fanout.publish(&up(1_030));
            assert_eq!(events.try_next(), Some(up(1_023)));
            // Told without waiting for another event.
            assert_eq!(events.try_next(), Some(HubEvent::Missed(7)));
            fanout.publish(&up(1_031));
            assert_eq!(events.try_next(), Some(up(1_031)));
            assert_eq!(events.try_next(), None);
        }
    }

    #[test]
    fn a_watcher_hears_of_its_child_only_and_is_forgotten_when_it_goes() {
        let fanout = Fanout::default();
        let started = |child: &str| HubEvent::ChildStarted {
            child: child.into(),
            pid: "p".into(),
            metadata: Metadata::default(),
        };
        let mut watch = fanout.watch(&"a".into(), &Mirror::new());
        fanout.publish(&started("b"));
        fanout.publish(&up(1));
        fanout.publish(&started("a"));
        assert_eq!(watch.try_next(), Some(started("a")));
        assert_eq!(watch.try_next(), None);
        drop(watch);
        assert!(fanout.is_read());
        fanout.sweep();
        assert!(!fanout.is_read());
    }

    #[test]
    fn a_watcher_never_misses_the_change_it_races_with() {
        for _ in 0..20_000 {
            let (fanout, view) = (Fanout::default(), Mirror::new());
            let row = Arc::new(Row {
                spec: crate::ChildSpec::new("a", "worker"),
                entries: Default::default(),
                metadata: Metadata::default(),
                entry_metadata: Default::default(),
                expires_at: None,
            });
            let mut events = std::thread::scope(|scope| {
                let watch = scope.spawn(|| fanout.watch(&"a".into(), &view));
                view.put(&"a".into(), Some(&row));
                if fanout.is_read() {
                    fanout.publish(&HubEvent::Row {
                        child: "a".into(),
                        before: None,
                        after: Some(Arc::clone(&row)),
                    });
                }
                watch.join().expect("it does not panic")
            });
            assert!(
                events.try_next().is_some(),
                "neither the row nor its change came"
            );
        }
    }

    #[test]
    fn the_streams_of_a_stopped_hub_end_after_what_they_hold() {
        let fanout = Fanout::default();
        let mut events = fanout.subscribe();
        fanout.publish(&up(1));
        fanout.close();
        assert_eq!(events.queue.blocking_recv(), Some(Some(up(1))));
        assert_eq!(events.queue.blocking_recv(), None);
        assert_eq!(fanout.subscribe().queue.blocking_recv(), None);
    }
}
