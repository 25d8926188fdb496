//! Messages on their way, from the send until they are handled or lost, findable by their link.

use std::rc::Rc;

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
    /// Kept back by a `hold` step until it is released.
    Withheld,
    /// Kept back by both.
    HeldTwice,
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
    pub(crate) packet: Rc<Packet>,
    pub(crate) from: NodeIx,
    pub(crate) to: NodeIx,
    pub(crate) kind: KindIx,
    pub(crate) place: Place,
    /// A cut spared it (`in_flight = "deliver"`) or kept it back (`"hold"`): it arrives even if
    /// its connection ends meanwhile.
    pub(crate) spared: bool,
    /// The sender has left: what it had sent is delivered all the same.
    pub(crate) farewell: bool,
    /// Its neighbours in its chain; 0 for none.
    pub(crate) chain: Chain,
}

/// The number of a slot.
fn number(slot: usize) -> u32 {
    u32::try_from(slot).expect("fewer than 2^32 messages on the way")
}

/// The slots of the messages that came into a chain last before one, and first after it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Chain {
    older: u32,
    newer: u32,
}

const _: () = assert!(size_of::<Option<Flight>>() == 64, "one cache line");

impl Flight {
    /// The link it travels.
    pub(crate) fn link(&self) -> LinkKey {
        (self.from, self.to)
    }

    /// True if it is between the nodes, wherever it is kept back, and no cut has let it pass.
    pub(crate) fn can_be_cut(&self) -> bool {
        matches!(self.place, Place::OnTheWay | Place::Withheld)
    }

    /// True if those sent after it over its link do not overtake it, where that keeps order.
    pub(crate) fn keeps_order(&self) -> bool {
        matches!(self.place, Place::OnTheWay | Place::Held)
    }

    /// True if it waits for its release.
    pub(crate) fn is_withheld(&self) -> bool {
        matches!(self.place, Place::Withheld | Place::HeldTwice)
    }

    /// True if it outlives the end of its connection.
    pub(crate) fn outlives_down(&self) -> bool {
        self.farewell || self.spared
    }
}

/// All messages on their way.
///
/// The messages of a link are in one chain. There are about as many chains as messages, a power of
/// two, so links share some; a head for each link would be a table that no cache holds.
#[derive(Debug)]
pub(crate) struct Flights {
    /// Slot 0 is never used: it stands for none.
    slots: Vec<Option<Flight>>,
    free: Vec<u32>,
    /// By chain: the slot of the newest message.
    newest: Vec<u32>,
    /// How many messages were looked at to find some.
    #[cfg(test)]
    pub(super) looked_at: std::cell::Cell<u64>,
}

impl Default for Flights {
    fn default() -> Self {
        Self {
            slots: vec![None],
            free: Vec::new(),
            newest: vec![0],
            #[cfg(test)]
            looked_at: std::cell::Cell::default(),
        }
    }
}

impl Flights {
    /// The chain of a link; those of one sender lie side by side.
    fn chain_of(&self, (from, to): LinkKey) -> usize {
        let number = from.wrapping_mul(0x9e37_79b1).wrapping_add(to);
        number as usize & (self.newest.len() - 1)
    }

    /// Takes in a message that `make` makes, given its place in its chain. It is made where it
    /// stays.
    #[inline(always)]
    pub(crate) fn insert(&mut self, link: LinkKey, make: impl FnOnce(Chain) -> Flight) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| self.add_slot());
        let older = self.enchain(slot, link);
        self.slots[slot as usize] = Some(make(Chain { older, newer: 0 }));
        slot
    }

    fn add_slot(&mut self) -> u32 {
        let slot = self.slots.len();
        self.slots.push(None);
        if self.slots.len() > self.newest.len() {
            self.newest = vec![0; self.slots.len().next_power_of_two()];
            for slot in 1..slot {
                let link = self.slots[slot].as_ref().map(Flight::link);
                let (slot, link) = (number(slot), link.expect("no slot is free"));
                let older = self.enchain(slot, link);
                self.at(slot).chain = Chain { older, newer: 0 };
            }
        }
        number(slot)
    }

    /// Puts a message into the chain of its link, as the newest. Returns the one before it.
    fn enchain(&mut self, slot: u32, link: LinkKey) -> u32 {
        let chain = self.chain_of(link);
        let older = std::mem::replace(&mut self.newest[chain], slot);
        if older != 0 {
            self.at(older).chain.newer = slot;
        }
        older
    }

    /// The message that the queue's event `seq` stands for; `None` if the event is forgotten.
    pub(crate) fn get(&mut self, slot: u32, seq: u64) -> Option<&mut Flight> {
        let flight = self.slots.get_mut(slot as usize)?.as_mut();
        flight.filter(|flight| flight.seq == seq)
    }

    /// A message that must be there.
    pub(crate) fn at(&mut self, slot: u32) -> &mut Flight {
        self.slots[slot as usize]
            .as_mut()
            .expect("the slot of a message on its way")
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Flight {
        let flight = self.slots[slot as usize]
            .take()
            .expect("the slot of a message on its way");
        self.free.push(slot);
        if self.free.len() == self.slots.len() - 1 {
            // All have come: the next are put side by side again.
            self.slots.truncate(1);
            self.free.clear();
        }
        let Chain { older, newer } = flight.chain;
        if older != 0 {
            self.at(older).chain.newer = newer;
        }
        if newer != 0 {
            self.at(newer).chain.older = older;
        } else {
            let chain = self.chain_of(flight.link());
            self.newest[chain] = older;
        }
        flight
    }

    /// The messages of a link with their slots, in no order that means anything.
    pub(crate) fn on(&self, link: LinkKey) -> impl Iterator<Item = (u32, &Flight)> {
        let flight_in = |slot: u32| {
            let flight = self.slots[slot as usize].as_ref()?;
            #[cfg(test)]
            self.looked_at.set(self.looked_at.get() + 1);
            Some((slot, flight))
        };
        let newest = flight_in(self.newest[self.chain_of(link)]);
        let chain = std::iter::successors(newest, move |(_, flight)| flight_in(flight.chain.older));
        chain.filter(move |(_, flight)| flight.link() == link)
    }

    /// All messages with their slots, in no order that means anything.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, &Flight)> {
        #[cfg(test)]
        self.looked_at
            .set(self.looked_at.get() + self.slots.len() as u64);
        let flights = (0..).zip(&self.slots);
        flights.filter_map(|(slot, flight)| flight.as_ref().map(|flight| (slot, flight)))
    }

    /// The slots of messages, in the order of sending.
    pub(crate) fn in_order<'a>(found: impl Iterator<Item = (u32, &'a Flight)>) -> Vec<u32> {
        let key = |(slot, flight): (u32, &Flight)| (flight.sent, flight.seq, slot);
        let mut found: Vec<(EventId, u64, u32)> = found.map(key).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, _, slot)| slot).collect()
    }

    /// Checks the ledger against what is really on its way.
    ///
    /// # Panics
    /// If they differ: messages were made or lost by the engine itself.
    pub(crate) fn audit(&self, ledger: &Ledger) {
        let mut rest = ledger.clone();
        for (_, flight) in self.all() {
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
