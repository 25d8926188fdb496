//! [`Counts`]: the messages of a run, by kind. A fold over its trace.

use super::event::{DropReason, Event, KindIx, Payload};

/// The messages of one kind, or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
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
        (self.sent + self.duplicated).saturating_sub(self.delivered + self.dropped)
    }

    /// What has come to them since `earlier`.
    fn since(&self, earlier: &Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            delivered: self.delivered - earlier.delivered,
            dropped: self.dropped - earlier.dropped,
            duplicated: self.duplicated - earlier.duplicated,
            bytes: self.bytes - earlier.bytes,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.dropped += other.dropped;
        self.duplicated += other.duplicated;
        self.bytes += other.bytes;
    }
}

/// The messages and events of a run.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    kinds: Vec<(String, MessageCounts)>,
    dropped: [u64; DropReason::ALL.len()],
    events: u64,
}

impl Counts {
    /// Takes in the next event.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a fold looks at the events that concern it"
    )]
    pub fn event(&mut self, event: &Event) {
        self.events += 1;
        match &event.payload {
            Payload::Sent { kind, bytes, .. } => {
                let counts = self.of(*kind);
                counts.sent += 1;
                counts.bytes += bytes;
            }
            Payload::Delivered { kind, .. } => self.of(*kind).delivered += 1,
            Payload::Dropped { kind, reason, .. } => {
                self.of(*kind).dropped += 1;
                self.dropped[usize::from(reason.code())] += 1;
            }
            Payload::Duplicated { kind, .. } => self.of(*kind).duplicated += 1,
            Payload::Kind { kind, name } => {
                self.of(*kind);
                self.kinds[usize::from(*kind)].0.clone_from(name);
            }
            _ => {}
        }
    }

    /// What has come to them since `earlier`, which are the counts of a shorter part of the same trace.
    #[must_use]
    pub(crate) fn since(mut self, earlier: &Self) -> Self {
        for ((_, counts), (_, before)) in self.kinds.iter_mut().zip(&earlier.kinds) {
            *counts = counts.since(before);
        }
        for (count, before) in self.dropped.iter_mut().zip(earlier.dropped) {
            *count -= before;
        }
        self.events -= earlier.events;
        self
    }

    fn of(&mut self, kind: KindIx) -> &mut MessageCounts {
        let at = usize::from(kind);
        if at >= self.kinds.len() {
            self.kinds.resize_with(at + 1, Default::default);
        }
        &mut self.kinds[at].1
    }

    /// The counts of every kind that was used, in the order of first use.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, &MessageCounts)> {
        self.kinds
            .iter()
            .map(|(name, counts)| (name.as_str(), counts))
    }

    /// How many were lost for each reason for which any were.
    pub fn dropped(&self) -> impl Iterator<Item = (DropReason, u64)> {
        let all = DropReason::ALL.into_iter().zip(self.dropped);
        all.filter(|(_, count)| *count > 0)
    }

    /// How many events there were.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }
}
