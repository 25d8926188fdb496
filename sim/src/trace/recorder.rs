//! The recorder: numbers events and hands each to the digest and whatever else listens. Nothing
//! keeps the trace.

use hublab_strategies::Time;

use super::digest::Digester;
use super::event::{Event, EventId, KindIx, Payload};
use crate::model::NodeIx;

/// Listens to a trace.
pub trait Sink: Send {
    /// The next event.
    fn event(&mut self, event: &Event);
}

/// Numbers the events of one run and passes them on.
pub struct Recorder {
    next: EventId,
    digest: Digester,
    kinds: Vec<&'static str>,
    last: Option<Event>,
    sinks: Vec<Box<dyn Sink>>,
}

impl Recorder {
    pub(crate) fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        Self {
            next: 1,
            digest: Digester::default(),
            kinds: Vec::new(),
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
        for sink in &mut self.sinks {
            sink.event(&event);
        }
        self.last = Some(event);
        id
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
