//! The recorder: numbers events and hands each to the digest, the books, and whatever else
//! listens. Nothing keeps the trace.

use hublab_strategies::Time;

use super::digest::Digester;
use super::event::{Event, EventId, KindIx, Payload};
use crate::model::NodeIx;

/// Listens to a trace.
pub trait Sink: Send {
    /// The next event.
    fn event(&mut self, event: &Event);
}

/// The messages of one kind, or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// Sent, once per recipient.
    pub sent: u64,
    /// Handled by their receiver, copies too.
    pub delivered: u64,
    /// Lost.
    pub dropped: u64,
    /// Copies that the network made.
    pub duplicated: u64,
    /// Bytes sent.
    pub bytes: u64,
}

impl MessageCounts {
    /// Still on the way.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.sent + self.duplicated - self.delivered - self.dropped
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.dropped += other.dropped;
        self.duplicated += other.duplicated;
        self.bytes += other.bytes;
    }
}

/// Numbers the events of one run and passes them on.
pub struct Recorder {
    next: EventId,
    digest: Digester,
    kinds: Vec<&'static str>,
    counts: Vec<MessageCounts>,
    last: Option<Event>,
    sinks: Vec<Box<dyn Sink>>,
}

impl Recorder {
    pub(crate) fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        Self {
            next: 1,
            digest: Digester::default(),
            kinds: Vec::new(),
            counts: Vec::new(),
            last: None,
            sinks,
        }
    }

    /// Records one event and returns its number.
    pub(crate) fn record(
        &mut self,
        at: Time,
        node: NodeIx,
        cause: EventId,
        payload: Payload,
    ) -> EventId {
        let id = self.next;
        self.next += 1;
        let event = Event {
            id,
            at,
            node,
            cause,
            payload,
        };
        self.digest.event(&event);
        self.count(&event.payload);
        for sink in &mut self.sinks {
            sink.event(&event);
        }
        self.last = Some(event);
        id
    }

    fn count(&mut self, payload: &Payload) {
        match payload {
            Payload::Sent { kind, bytes, .. } => {
                let counts = &mut self.counts[usize::from(*kind)];
                counts.sent += 1;
                counts.bytes += bytes;
            }
            Payload::Duplicated { kind, .. } => self.counts[usize::from(*kind)].duplicated += 1,
            Payload::Delivered { kind, .. } => self.counts[usize::from(*kind)].delivered += 1,
            Payload::Dropped { kind, .. } => self.counts[usize::from(*kind)].dropped += 1,
            Payload::Step { .. }
            | Payload::Kind { .. }
            | Payload::Booted { .. }
            | Payload::Stopped(_)
            | Payload::Paused
            | Payload::Resumed
            | Payload::PeerUp { .. }
            | Payload::PeerDown { .. }
            | Payload::Timer(_)
            | Payload::Row { .. }
            | Payload::View(_)
            | Payload::ChildStarted { .. }
            | Payload::ChildStopped { .. }
            | Payload::Fact(_)
            | Payload::Answered { .. }
            | Payload::Skipped { .. }
            | Payload::Mark(_)
            | Payload::Panicked(_) => {}
        }
    }

    /// The number of a kind of message; its first use is an event. `None` at the 257th kind: a
    /// strategy makes up kinds without end.
    pub(crate) fn kind(&mut self, at: Time, name: &'static str) -> Option<KindIx> {
        let known = self
            .kinds
            .iter()
            .position(|kind| std::ptr::eq(*kind, name) || *kind == name);
        let kind = KindIx::try_from(known.unwrap_or(self.kinds.len())).ok()?;
        if known.is_none() {
            self.kinds.push(name);
            self.counts.push(MessageCounts::default());
            let payload = Payload::Kind {
                kind,
                name: name.to_owned(),
            };
            self.record(at, super::event::WORLD, 0, payload);
        }
        Some(kind)
    }

    /// The event recorded last.
    #[must_use]
    pub fn last(&self) -> Option<&Event> {
        self.last.as_ref()
    }

    /// The counts of every kind that was used, in the order of first use.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, &MessageCounts)> {
        self.kinds.iter().copied().zip(&self.counts)
    }

    /// How many events there were.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.next - 1
    }

    /// The digest of all events so far.
    #[must_use]
    pub fn digest(&self) -> blake3::Hash {
        self.digest.current()
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("events", &self.events())
            .finish_non_exhaustive()
    }
}
