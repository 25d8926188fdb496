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

    /// The run is over: no event follows. Called once.
    fn finish(&mut self) {}

    /// True if it reads what messages carry, which takes some time to tell; default: true.
    fn reads_contents(&self) -> bool {
        true
    }
}

/// Numbers the events of one run and passes them on.
pub struct Recorder {
    next: EventId,
    digest: Digester,
    kinds: Vec<&'static str>,
    sinks: Vec<Box<dyn Sink>>,
}

impl Recorder {
    pub(crate) fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        Self {
            next: 1,
            digest: Digester::default(),
            kinds: Vec::new(),
            sinks,
        }
    }

    /// Records the next event, shows it to `observe`, too, and returns its number. Inlined: what is
    /// built field by field and copied at once waits for the processor's writes.
    #[inline(always)]
    pub(crate) fn record(
        &mut self,
        (at, node, cause): (Time, NodeIx, EventId),
        payload: Payload,
        observe: impl FnOnce(&Event),
    ) -> EventId {
        let event = Event {
            id: self.next,
            at,
            node,
            cause,
            payload,
        };
        self.next += 1;
        self.digest.event(&event);
        for sink in &mut self.sinks {
            sink.event(&event);
        }
        observe(&event);
        event.id
    }

    /// True if somebody who listens reads what messages carry.
    pub(crate) fn tells_contents(&self) -> bool {
        self.sinks.iter().any(|sink| sink.reads_contents())
    }

    /// The number of a kind of message that is known.
    pub(crate) fn kind(&self, name: &'static str) -> Option<KindIx> {
        // Almost always the address decides.
        let is_same = |kind: &&str| std::ptr::eq(*kind, name);
        let mut kinds = self.kinds.iter();
        let known = kinds
            .position(is_same)
            .or_else(|| self.kinds.iter().position(|kind| *kind == name));
        known.and_then(|at| KindIx::try_from(at).ok())
    }

    /// Gives a new kind of message its number, which an event then tells. `None` at the 257th kind:
    /// a strategy makes up kinds without end.
    pub(crate) fn add_kind(&mut self, name: &'static str) -> Option<KindIx> {
        let kind = KindIx::try_from(self.kinds.len()).ok()?;
        self.kinds.push(name);
        Some(kind)
    }

    /// Ends the trace for all sinks.
    pub(crate) fn finish(&mut self) {
        for sink in &mut self.sinks {
            sink.finish();
        }
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::trace::event::WORLD;

    /// Notes the number of each event, and 0 at the end.
    struct Notes(Arc<Mutex<Vec<EventId>>>);

    impl Sink for Notes {
        fn event(&mut self, event: &Event) {
            self.0.lock().unwrap().push(event.id);
        }

        fn finish(&mut self) {
            self.0.lock().unwrap().push(0);
        }
    }

    #[test]
    fn listeners_get_each_event_and_then_the_end() {
        let notes = Arc::default();
        let mut recorder = Recorder::new(vec![Box::new(Notes(Arc::clone(&notes)))]);
        for id in [1, 2] {
            let mut seen = 0;
            let mark = Payload::Mark("a".into());
            recorder.record((Time(id), WORLD, 0), mark, |event| seen = event.id);
            assert_eq!(seen, id);
        }
        recorder.finish();
        assert_eq!(*notes.lock().unwrap(), [1, 2, 0]);
    }
}
