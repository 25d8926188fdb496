//! Messages of a live run: the network's verdict on them, and their fate.

use std::collections::{BTreeMap, VecDeque};

use hublab_strategies::{Channel, Time};

use super::Witness;
use crate::engine::TOO_MANY_KINDS;
use crate::model::{InFlight, NodeIx};
use crate::network::cut::Reach;
use crate::network::judge::{Outgoing, Service, Verdict};
use crate::trace::event::{DropReason, KindIx, Payload, WORLD};

/// The network's verdict on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is lost.
    Lost,
    /// It arrives after so many microseconds.
    Arrives {
        /// The delay.
        after: u64,
        /// That of a copy, if there is one.
        again: Option<u64>,
        /// True if it keeps its place among those of its channel.
        ordered: bool,
    },
}

/// The fate of a message at the end of its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reception {
    /// It is handled.
    Handled,
    /// It is lost.
    Lost,
    /// It waits until the link is open again.
    Held,
}

/// A message on its way: when it was sent, and by which incarnation.
type Sent = (Time, u32);

/// The messages on their way, those of a link and kind in the order of their sending.
pub(super) type Flights = BTreeMap<(NodeIx, NodeIx, &'static str), VecDeque<Sent>>;

/// A cut that is or was in force.
#[derive(Debug)]
pub(super) struct PastCut {
    pub(super) since: Time,
    pub(super) reach: Reach,
    pub(super) in_flight: InFlight,
    pub(super) is_mended: bool,
}

impl Witness {
    /// The number of a kind of message that a node sends. One kind too many is the node's fault: the
    /// run fails, and its messages are not counted.
    fn kind(&mut self, name: &'static str, node: NodeIx) -> Option<KindIx> {
        if let Some(kind) = self.recorder.kind(name) {
            return Some(kind);
        }
        let kind = self.recorder.add_kind(name);
        if let Some(kind) = kind {
            let name = name.to_owned();
            self.record(WORLD, 0, Payload::Kind { kind, name });
        } else if !self.has_failed {
            self.has_failed = true;
            self.record(node, 0, Payload::Panicked(TOO_MANY_KINDS.to_owned()));
        }
        kind
    }

    fn set_off(&mut self, from: NodeIx, to: NodeIx, kind: &'static str) {
        let sent = (self.now, self.nodes[from as usize].incarnation);
        self.flights
            .entry((from, to, kind))
            .or_default()
            .push_back(sent);
    }

    /// A node sends a message.
    pub fn sent(&mut self, from: NodeIx, to: NodeIx, kind: &'static str, bytes: u64) {
        self.set_off(from, to, kind);
        let Some(kind) = self.kind(kind, from) else {
            return;
        };
        let payload = Payload::Sent {
            to,
            kind,
            channel: 0,
            number: 0,
            bytes,
            hops: 1,
            due: None,
            contents: None,
        };
        self.effect(from, payload);
    }

    fn dropped(&mut self, from: NodeIx, to: NodeIx, kind: &'static str, reason: DropReason) {
        let Some(kind) = self.kind(kind, from) else {
            return;
        };
        let payload = Payload::Dropped {
            from,
            kind,
            number: 0,
            reason,
            contents: None,
        };
        self.record(to, 0, payload);
    }

    /// The message sent last does not set off.
    fn refused(&mut self, from: NodeIx, to: NodeIx, kind: &'static str, reason: DropReason) {
        let flights = self.flights.get_mut(&(from, to, kind));
        if flights.and_then(VecDeque::pop_back).is_some() {
            self.dropped(from, to, kind, reason);
        }
    }

    /// A message could not be sent: the two are not connected.
    pub fn unsent(&mut self, from: NodeIx, to: NodeIx, kind: &'static str) {
        self.refused(from, to, kind, DropReason::NotConnected);
    }

    /// A connection ended: what is still on the way over it, and not held by a cut, never arrives.
    pub(super) fn write_off(&mut self, from: NodeIx, to: NodeIx) {
        if self.holds(from, to, Time::ZERO) {
            return;
        }
        // Those of a connection that has already replaced it do.
        let current = self.nodes[from as usize].incarnation;
        let is_replaced = self.connections.is_up(from, to);
        let mut lost = Vec::new();
        for ((sender, receiver, kind), flights) in &mut self.flights {
            if (*sender, *receiver) == (from, to) {
                let before = flights.len();
                flights.retain(|(_, incarnation)| is_replaced && *incarnation == current);
                lost.extend(std::iter::repeat_n(*kind, before - flights.len()));
            }
        }
        if !lost.is_empty() {
            self.network.forget_order((from, to));
        }
        for kind in lost {
            self.dropped(from, to, kind, DropReason::Down);
        }
    }

    /// True if a cut in force, begun at `since` or later, holds messages of this link back.
    fn holds(&self, from: NodeIx, to: NodeIx, since: Time) -> bool {
        self.struck(from, to, since)
            .any(|cut| !cut.is_mended && cut.in_flight == InFlight::Hold)
    }

    /// The cuts of this link that began at `since` or later.
    fn struck(&self, from: NodeIx, to: NodeIx, since: Time) -> impl Iterator<Item = &PastCut> {
        let later = self.cuts.iter().rev().map(|(_, cut)| cut);
        later
            .take_while(move |cut| cut.since >= since)
            .filter(move |cut| from != to && cut.reach.holds(from, to))
    }

    /// The network's verdict on a message that is sent now to a connected node.
    pub fn fate(
        &mut self,
        from: NodeIx,
        to: NodeIx,
        channel: Channel,
        kind: &'static str,
        bytes: u64,
    ) -> Fate {
        let message = Outgoing {
            link: (from, to),
            channel,
            bytes,
            refused: None,
        };
        let judgement = self.network.judge(message, self.now.0);
        match judgement.verdict {
            Verdict::Lost(reason) => {
                self.refused(from, to, kind, reason);
                Fate::Lost
            }
            Verdict::Arrives { due, copy } => {
                let Some(after) = self.served(to, due) else {
                    self.refused(from, to, kind, DropReason::QueueFull);
                    return Fate::Lost;
                };
                let again = copy.and_then(|due| {
                    self.duplicated(from, to, kind, Time(due));
                    let again = self.served(to, due);
                    if again.is_none() {
                        self.refused(from, to, kind, DropReason::QueueFull);
                    }
                    again
                });
                Fate::Arrives {
                    after,
                    again,
                    ordered: judgement.ordered,
                }
            }
        }
    }

    /// How long until a message due then is handled by a receiver who is busy with each for
    /// `service_time`, in the order in which they were sent; `None` if too many wait.
    fn served(&mut self, to: NodeIx, due: u64) -> Option<u64> {
        let done = match self.network.serve(to, due) {
            Service::AtOnce => due,
            Service::Until(done) => done,
            Service::Full => return None,
        };
        Some(done.saturating_sub(self.now.0))
    }

    fn duplicated(&mut self, from: NodeIx, to: NodeIx, kind: &'static str, due: Time) {
        self.set_off(from, to, kind);
        let Some(kind) = self.kind(kind, from) else {
            return;
        };
        let payload = Payload::Duplicated {
            to,
            kind,
            number: 0,
            due,
        };
        self.record(from, 0, payload);
    }

    /// A message has come to the end of its way. If it is handled, the next step of that node does.
    pub fn arrived(&mut self, from: NodeIx, to: NodeIx, kind: &'static str) -> Reception {
        let key = (from, to, kind);
        let first = self.flights.get(&key).and_then(VecDeque::front);
        let Some((sent, _)) = first.copied() else {
            // It was written off too early: its connection replaced one whose end came later.
            return Reception::Handled;
        };
        if self.holds(from, to, sent) {
            return Reception::Held;
        }
        let reason = self.reason_to_drop(from, to, sent);
        self.flights.get_mut(&key).and_then(VecDeque::pop_front);
        if let Some(reason) = reason {
            self.dropped(from, to, kind, reason);
            return Reception::Lost;
        }
        if let Some(kind) = self.kind(kind, from) {
            let number = 0;
            self.cause(
                to,
                Payload::Delivered {
                    from,
                    kind,
                    number,
                    contents: None,
                },
            );
        }
        Reception::Handled
    }

    /// Why the network has lost a message that arrived all the same, if it has.
    fn reason_to_drop(&self, from: NodeIx, to: NodeIx, sent: Time) -> Option<DropReason> {
        let mut is_spared = false;
        for cut in self.struck(from, to, sent) {
            match cut.in_flight {
                InFlight::Drop => return Some(DropReason::Cut),
                InFlight::Deliver | InFlight::Hold => is_spared = true,
            }
        }
        let is_late = !is_spared && self.connections.has_ended(from, to);
        is_late.then_some(DropReason::Down)
    }
}
