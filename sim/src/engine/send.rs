//! A message from its sending until it is handled or lost.

use std::rc::Rc;

use hublab_strategies::{Contents, Time};

use super::Engine;
use super::flight::{Flight, Place};
use super::queue::Pending;
use super::state::Waiting;
use crate::model::NodeIx;
use crate::network::judge::{Judgement, Outgoing, Service, Verdict};
use crate::node::{NodeInput, Packet};
use crate::trace::event::{DropReason, EventId, KindIx, Payload};

/// Result of using a connection.
pub(super) enum Access {
    /// There is one.
    Open,
    /// There is none, and the message is the kind that does not even try.
    Unwanted,
    /// There is none: the message is sent, and lost.
    Closed(DropReason),
}

impl Engine {
    /// `announce`: to every other running node, paused ones too, that the link is open to and
    /// that is connected or could be.
    pub(super) fn announce(&mut self, from: NodeIx, packet: &Rc<Packet>, cause: EventId) {
        for to in (0..).take(self.nodes.len()) {
            if to == from || !self.nodes[to as usize].is_running() || self.network.is_cut(from, to)
            {
                continue;
            }
            if self.network.is_cut(to, from) && !self.network.is_connected(from, to) {
                continue;
            }
            self.send(from, to, packet, cause);
        }
    }

    /// Sends one message over its connection, if there is one, and lets the network decide whether
    /// and when it arrives.
    pub(super) fn send(&mut self, from: NodeIx, to: NodeIx, packet: &Rc<Packet>, cause: EventId) {
        let link = (from, to);
        let refused = match self.access(from, to, packet.connects, cause) {
            Access::Unwanted => return,
            Access::Open => None,
            Access::Closed(reason) => Some(reason),
        };
        let kind = self.kind(packet.kind, from, cause);
        let channel = packet.channel;
        let message = Outgoing {
            link,
            channel,
            bytes: packet.size,
            refused,
        };
        let Judgement {
            number,
            out,
            held,
            verdict,
            ..
        } = self.network.judge(message, self.now.0);
        let due = match verdict {
            Verdict::Arrives { due, .. } => Some(Time(due)),
            Verdict::Lost(_) => None,
        };
        self.ledger.enter(link, kind);
        let sent = self.record(
            from,
            cause,
            Payload::Sent {
                to,
                kind,
                channel: channel.id,
                number: number.into(),
                bytes: packet.size,
                hops: packet.hops,
                due,
                contents: self.contents(from, packet),
            },
        );
        let mail = Mail {
            from,
            to,
            packet,
            kind,
            number,
            sent,
            out,
            held,
        };
        match verdict {
            Verdict::Lost(reason) => self.drop_message(&mail, reason),
            Verdict::Arrives { due, copy } => {
                self.dispatch(&mail, due);
                if let Some(due) = copy {
                    self.duplicate(&mail, due);
                }
            }
        }
    }

    /// The network makes a second copy, which arrives at `due`.
    fn duplicate(&mut self, mail: &Mail<'_>, due: u64) {
        self.ledger.enter((mail.from, mail.to), mail.kind);
        let payload = Payload::Duplicated {
            to: mail.to,
            kind: mail.kind,
            number: mail.number.into(),
            due: Time(due),
        };
        self.record(mail.from, mail.sent, payload);
        self.dispatch(mail, due);
    }

    #[inline(always)]
    fn dispatch(&mut self, mail: &Mail<'_>, due: u64) {
        let place = if mail.held {
            Place::Withheld
        } else {
            Place::OnTheWay
        };
        let slot = self.flights.insert((mail.from, mail.to), |chain| Flight {
            seq: 0,
            due,
            out: mail.out,
            sent: mail.sent,
            number: mail.number,
            packet: Rc::clone(mail.packet),
            from: mail.from,
            to: mail.to,
            kind: mail.kind,
            place,
            spared: false,
            farewell: false,
            chain,
        });
        if !mail.held {
            self.flights.at(slot).seq = self.queue.push(due, Pending::Arrival(slot));
        }
    }

    fn drop_message(&mut self, mail: &Mail<'_>, reason: DropReason) {
        self.ledger.leave((mail.from, mail.to), mail.kind);
        let payload = Payload::Dropped {
            from: mail.from,
            kind: mail.kind,
            number: mail.number.into(),
            reason,
            contents: self.contents(mail.from, mail.packet),
        };
        self.record(mail.to, mail.sent, payload);
    }

    /// The entries of a message, if somebody reads them.
    #[inline(always)]
    fn contents(&self, from: NodeIx, packet: &Packet) -> Option<Contents> {
        if !self.tells_contents {
            return None;
        }
        packet.contents(self.name(from))
    }

    /// Loses a message that is on its way.
    pub(super) fn drop_flight(&mut self, slot: u32, reason: DropReason) {
        let flight = self.flights.remove(slot);
        let Flight {
            from,
            to,
            kind,
            number,
            sent,
            out,
            ref packet,
            ..
        } = flight;
        self.drop_message(
            &Mail {
                from,
                to,
                packet,
                kind,
                number,
                sent,
                out,
                held: false,
            },
            reason,
        );
    }

    /// A message reaches its receiver, which may be busy or paused.
    pub(super) fn arrive(&mut self, due: u64, seq: u64, slot: u32) {
        let Some(flight) = self.flights.get(slot, seq) else {
            return;
        };
        let to = flight.to;
        flight.place = Place::Arrived;
        self.advance(Time(due));
        let state = &mut self.nodes[to as usize];
        if !state.is_running() {
            return self.drop_flight(slot, DropReason::NotRunning);
        }
        let is_paused = state.life.is_paused();
        let service = self.network.serve(to, due);
        if service == Service::Full {
            return self.drop_flight(slot, DropReason::QueueFull);
        }
        if let Service::Until(done) = service {
            // A pause does not let later messages overtake those that the server has: its queue
            // goes on, and what is done meanwhile waits.
            let seq = self.queue.push(done, Pending::Served(slot));
            let flight = self.flights.at(slot);
            flight.seq = seq;
            let (cause, queued) = (
                flight.sent,
                Payload::Queued {
                    from: flight.from,
                    kind: flight.kind,
                    number: flight.number.into(),
                    until: Time(done),
                },
            );
            self.record(to, cause, queued);
        } else if is_paused {
            let waiting = &mut self.nodes[to as usize].waiting;
            waiting.push_back(Waiting::Message { slot, seq });
        } else {
            self.deliver(slot);
        }
    }

    /// A busy receiver gets to a message.
    pub(super) fn served(&mut self, due: u64, seq: u64, slot: u32) {
        let Some(flight) = self.flights.get(slot, seq) else {
            return;
        };
        let to = flight.to;
        self.advance(Time(due));
        let state = &mut self.nodes[to as usize];
        if state.life.is_paused() {
            state.waiting.push_back(Waiting::Message { slot, seq });
        } else {
            self.deliver(slot);
        }
    }

    /// The receiver handles a message.
    pub(super) fn deliver(&mut self, slot: u32) {
        let Flight {
            from,
            to,
            kind,
            number,
            sent,
            packet,
            ..
        } = self.flights.remove(slot);
        self.ledger.leave((from, to), kind);
        let cause = self.record(
            to,
            sent,
            Payload::Delivered {
                from,
                kind,
                number: number.into(),
                contents: self.contents(from, &packet),
            },
        );
        let names = Rc::clone(&self.names);
        self.step(
            to,
            cause,
            packet.hops,
            NodeInput::Message {
                from: &names[from as usize],
                packet: &packet,
            },
        );
    }
}

/// One message at the moment of its sending, or of its end.
struct Mail<'a> {
    from: NodeIx,
    to: NodeIx,
    packet: &'a Rc<Packet>,
    kind: KindIx,
    number: u32,
    sent: EventId,
    /// When its last byte leaves the sender.
    out: u64,
    /// True if it waits until it is released.
    held: bool,
}
