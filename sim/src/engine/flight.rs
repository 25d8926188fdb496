//! Messages on their way, from the send until they are handled or lost.

use std::sync::Arc;

use crate::model::NodeIx;
use crate::network::LinkKey;
use crate::node::Packet;
use crate::stream::mix;
use crate::trace::event::{EventId, KindIx};

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Between the nodes.
    OnTheWay,
    /// Kept back by a cut with `in_flight = "hold"`.
    Held,
    /// At the receiver, which is busy or paused: no cut reaches it any more.
    Arrived,
}

/// One message, or a copy of one. Looked up at random, so each has a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Flight {
    /// The event in the queue that stands for it; anything else is forgotten.
    pub(crate) seq: u64,
    pub(crate) due: u64,
    /// When its last byte leaves the sender, under a bandwidth limit.
    pub(crate) out: u64,
    /// The event of its sending.
    pub(crate) sent: EventId,
    /// Its number on its link and channel.
    pub(crate) number: u32,
    pub(crate) packet: Arc<Packet>,
    pub(crate) from: NodeIx,
    pub(crate) to: NodeIx,
    pub(crate) kind: KindIx,
    pub(crate) place: Place,
    /// A cut spared it (`in_flight = "deliver"`) or kept it back (`"hold"`): it arrives even if
    /// its connection ends meanwhile.
    pub(crate) spared: bool,
    /// The sender has left: what it had sent is delivered all the same.
    pub(crate) farewell: bool,
}

impl Flight {
    /// The link it travels.
    pub(crate) fn link(&self) -> LinkKey {
        (self.from, self.to)
    }

    /// Whether it outlives the end of its connection.
    pub(crate) fn outlives_down(&self) -> bool {
        self.farewell || self.spared
    }
}

/// All messages on their way.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    slots: Vec<Option<Flight>>,
    free: Vec<u32>,
}

impl Flights {
    pub(crate) fn insert(&mut self, flight: Flight) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(flight);
            slot
        } else {
            self.slots.push(Some(flight));
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 messages on the way")
        }
    }

    /// The message that the queue's event `seq` stands for; `None` if the event is forgotten.
    pub(crate) fn get(&mut self, slot: u32, seq: u64) -> Option<&mut Flight> {
        self.slots[slot as usize]
            .as_mut()
            .filter(|flight| flight.seq == seq)
    }

    /// A message that must be there.
    pub(crate) fn at(&mut self, slot: u32) -> &mut Flight {
        self.slots[slot as usize]
            .as_mut()
            .expect("the slot of a message on its way")
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Flight {
        self.free.push(slot);
        self.slots[slot as usize]
            .take()
            .expect("the slot of a message on its way")
    }

    /// The links of all messages, in no order that means anything.
    pub(crate) fn links(&self) -> impl Iterator<Item = LinkKey> {
        self.slots.iter().flatten().map(Flight::link)
    }

    /// The slots of all messages that `wanted` accepts, in the order of sending.
    pub(crate) fn select(&self, wanted: impl Fn(&Flight) -> bool) -> Vec<u32> {
        if self.free.len() == self.slots.len() {
            return Vec::new();
        }
        let mut found: Vec<(EventId, u64, u32)> = (0..)
            .zip(&self.slots)
            .filter_map(|(slot, flight)| flight.as_ref().map(|flight| (slot, flight)))
            .filter(|(_, flight)| wanted(flight))
            .map(|(slot, flight)| (flight.sent, flight.seq, slot))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, _, slot)| slot).collect()
    }

    /// Checks the ledger against what is really on its way.
    ///
    /// # Panics
    /// If they differ: messages were made or lost by the engine itself.
    pub(crate) fn audit(&self, ledger: &Ledger) {
        let mut rest = ledger.clone();
        for flight in self.slots.iter().flatten() {
            rest.leave(flight.link(), flight.kind);
        }
        assert!(
            rest.is_balanced(),
            "on every link and for every kind, sent + duplicated = delivered + dropped + in flight must hold"
        );
    }
}

/// The books of all links and kinds of messages in one number: the sum of a token for each that
/// came in, less the same for each that went out.
///
/// Tokens are 64-bit hashes of link and kind, so the sum is what it should be only if each link
/// and kind is in balance by itself (but for one chance in 2^64). It costs a message no memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(u64);

impl Ledger {
    fn token((from, to): LinkKey, kind: KindIx) -> u64 {
        // Nodes of a file are far fewer than 2^24, so no two tokens are of one number.
        mix(u64::from(from) << 40 ^ u64::from(to) << 8 ^ u64::from(kind))
    }

    /// A message was sent, or a copy made.
    pub(crate) fn enter(&mut self, link: LinkKey, kind: KindIx) {
        self.0 = self.0.wrapping_add(Self::token(link, kind));
    }

    /// A message was delivered or dropped.
    pub(crate) fn leave(&mut self, link: LinkKey, kind: KindIx) {
        self.0 = self.0.wrapping_sub(Self::token(link, kind));
    }

    fn is_balanced(&self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_leaves_by_another_link_or_as_another_kind_unbalances_the_ledger() {
        let entered = |kind| {
            let mut ledger = Ledger::default();
            ledger.enter((0, 1), kind);
            ledger
        };
        let mut right = entered(3);
        right.leave((0, 1), 3);
        assert!(right.is_balanced());
        for (link, kind) in [((1, 0), 3), ((0, 1), 4), ((0, 2), 3)] {
            let mut wrong = entered(3);
            wrong.leave(link, kind);
            assert!(!wrong.is_balanced(), "{link:?} {kind}");
        }
        assert!(!entered(3).is_balanced());
    }
}
