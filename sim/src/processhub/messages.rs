//! Questions about messages: what was handled and sent, and what became of it.

use hublab_strategies::{Time, TimerKey};

use super::log::{Fate, Log, Message, place};
use crate::model::NodeIx;
use crate::trace::event::{Event, EventId, Payload};

impl<'a> Log<'a> {
    /// The message whose handling an event is; `None` if it is none.
    pub(super) fn message(&self, handled: EventId) -> Option<Message<'a>> {
        let event = self.event(handled)?;
        let Payload::Delivered { from, kind, .. } = &event.payload else {
            return None;
        };
        Some(Message {
            kind: self.kinds.get(usize::from(*kind)).copied()?,
            from: *from,
            sent: event.cause,
            handled,
            root: self.roots[place(handled)],
        })
    }

    /// The messages that a node handled after `from`, up to and including `to`.
    pub(super) fn handled(
        &self,
        node: NodeIx,
        (from, to): (EventId, EventId),
    ) -> impl DoubleEndedIterator<Item = Message<'a>> + '_ {
        let all = &self.handled[node as usize];
        let start = all.partition_point(|id| *id <= from);
        let end = all.partition_point(|id| *id <= to);
        all.get(start..end)
            .unwrap_or(&[])
            .iter()
            .filter_map(|id| self.message(*id))
    }

    /// The timers of a node that fired after `from`, up to and including `to`.
    pub(super) fn timers(
        &self,
        node: NodeIx,
        key: TimerKey,
        (from, to): (EventId, EventId),
    ) -> impl Iterator<Item = EventId> + '_ {
        self.timers[node as usize]
            .iter()
            .copied()
            .filter(move |id| from < *id && *id <= to)
            .filter(move |id| {
                self.event(*id)
                    .is_some_and(|event| event.payload == Payload::Timer(key))
            })
    }

    /// The messages that were sent after `from`, up to and including `to`: event, recipient, kind.
    pub(super) fn sent(
        &self,
        (from, to): (EventId, EventId),
    ) -> impl Iterator<Item = (&'a Event, NodeIx, &'a str)> + '_ {
        let start = place(from).min(self.events.len());
        let end = place(to).clamp(start, self.events.len());
        self.events[start..end]
            .iter()
            .filter_map(|event| self.as_sent(event))
    }

    fn as_sent(&self, event: &'a Event) -> Option<(&'a Event, NodeIx, &'a str)> {
        let Payload::Sent { to, kind, .. } = &event.payload else {
            return None;
        };
        Some((event, *to, self.kinds.get(usize::from(*kind)).copied()?))
    }

    /// The messages that one event made its node send: event, recipient, kind.
    pub(super) fn sent_for(
        &self,
        cause: EventId,
    ) -> impl Iterator<Item = (&'a Event, NodeIx, &'a str)> + '_ {
        self.effects(cause)
            .filter_map(|effect| self.as_sent(effect))
    }

    /// The node that sent a message.
    pub(super) fn sender(&self, sent: EventId) -> Option<NodeIx> {
        self.event(sent).map(|event| event.node)
    }

    /// The first message of the chain of a message that was sent.
    pub(super) fn root(&self, sent: EventId) -> EventId {
        self.roots.get(place(sent)).copied().unwrap_or(0)
    }

    /// The fate of a message up to an event.
    pub(super) fn fate(&self, sent: &Event, by: EventId) -> Fate {
        let effects = self.effects(sent.id).filter(|effect| effect.id <= by);
        let mut fate = None;
        for effect in effects {
            if let Payload::Delivered { .. } = effect.payload {
                return Fate::Handled;
            } else if let Payload::Dropped { reason, .. } = effect.payload {
                fate = fate.or(Some(Fate::Lost(reason)));
            }
        }
        let now = self.event(by).map_or(Time::ZERO, |event| event.at);
        let is_due = matches!(&sent.payload, Payload::Sent { due: Some(due), .. } if *due < now);
        fate.unwrap_or(if is_due {
            Fate::Waiting
        } else {
            Fate::OnTheWay
        })
    }

    /// True if the handling of an event set a mark.
    pub(super) fn is_marked(&self, handled: EventId, mark: &str) -> bool {
        self.effects(handled)
            .any(|effect| matches!(&effect.payload, Payload::Mark(other) if other == mark))
    }
}
