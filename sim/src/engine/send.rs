//! From the wish to send until the message is handled or lost.

use std::rc::Rc;
use std::sync::Arc;

use hublab_strategies::Time;

use super::Engine;
use super::flight::{Flight, Place};
use super::queue::Pending;
use super::state::Waiting;
use crate::model::NodeIx;
use crate::network::Prepared;
use crate::network::link::{Draw, Draws};
use crate::node::{NodeInput, Packet};
use crate::stream::unit;
use crate::trace::event::{DropReason, EventId, KindIx, Payload};

/// What became of an attempt to use a connection.
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
    pub(super) fn announce(&mut self, from: NodeIx, packet: &Arc<Packet>, cause: EventId) {
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

    /// Sends one message: decides, with the draws that belong to it, whether and when it arrives.
    pub(super) fn send(&mut self, from: NodeIx, to: NodeIx, packet: &Arc<Packet>, cause: EventId) {
        let link = (from, to);
        let refused = match self.access(from, to, packet.connects, cause) {
            Access::Unwanted => return,
            Access::Open => None,
            Access::Closed(reason) => Some(reason),
        };
        let kind = self.kind(packet.kind);
        let params = self.network.params(link);
        let leaves = self.departure(from, to);
        let channel = packet.channel.id;
        let number = self.network.lanes_mut(channel).next_number(link);
        self.ledger.enter(link, kind);
        let mut mail = Mail {
            from,
            to,
            packet,
            kind,
            number,
            sent: 0,
            out: leaves,
        };
        if params.bytes_per_second > 0 && refused.is_none() {
            mail.out = self.network.occupy(
                link,
                leaves,
                transmission_us(packet.size, params.bytes_per_second),
            );
        }
        let draws = Draws::new(self.network.link_key(from, to), channel, number);
        let is_lost = || params.loss > 0.0 && unit(draws.get(Draw::Loss)) < params.loss;
        let lost = refused.or_else(|| is_lost().then_some(DropReason::Loss));
        let due = if lost.is_none() {
            Some(self.due(&mail, params, draws.get(Draw::Latency)))
        } else {
            None
        };
        mail.sent = self.record(
            from,
            cause,
            Payload::Sent {
                to,
                kind,
                channel,
                number: number.into(),
                bytes: packet.size,
                hops: packet.hops,
                due: due.map(Time),
            },
        );
        if let Some(due) = due {
            self.dispatch(&mail, due);
            self.duplicate(&mail, params, draws);
        } else if let Some(reason) = lost {
            self.drop_message(&mail, reason);
        }
    }

    /// The network may make a second copy, which takes its own time.
    fn duplicate(&mut self, mail: &Mail<'_>, params: Prepared, draws: Draws) {
        if params.duplicate <= 0.0 || unit(draws.get(Draw::Duplicate)) >= params.duplicate {
            return;
        }
        self.ledger.enter((mail.from, mail.to), mail.kind);
        let due = self.due(mail, params, draws.get(Draw::CopyLatency));
        let payload = Payload::Duplicated {
            to: mail.to,
            kind: mail.kind,
            number: mail.number.into(),
            due: Time(due),
        };
        self.record(mail.from, mail.sent, payload);
        self.dispatch(mail, due);
    }

    /// When a message, or its copy, arrives.
    fn due(&mut self, mail: &Mail<'_>, params: Prepared, draw: u64) -> u64 {
        let due = mail.out.saturating_add(params.law.sample(draw));
        let channel = mail.packet.channel;
        if params.fifo && channel.ordered {
            let lanes = self.network.lanes_mut(channel.id);
            lanes.note((mail.from, mail.to), due)
        } else {
            due
        }
    }

    fn dispatch(&mut self, mail: &Mail<'_>, due: u64) {
        self.network.set_busy((mail.from, mail.to));
        let slot = self.flights.insert(Flight {
            seq: 0,
            due,
            out: mail.out,
            sent: mail.sent,
            number: mail.number,
            packet: Arc::clone(mail.packet),
            from: mail.from,
            to: mail.to,
            kind: mail.kind,
            place: Place::OnTheWay,
            spared: false,
            farewell: false,
        });
        self.flights.at(slot).seq = self.queue.push(due, Pending::Arrival(slot));
    }

    /// When a message leaves its sender, who is busy with it for `send_gap`.
    fn departure(&mut self, from: NodeIx, to: NodeIx) -> u64 {
        if from == to || self.network.send_gap == 0 {
            return self.now.0;
        }
        let state = &mut self.nodes[from as usize];
        let leaves = state.free_to_send.max(self.now.0);
        state.free_to_send = leaves.saturating_add(self.network.send_gap);
        leaves
    }

    fn drop_message(&mut self, mail: &Mail<'_>, reason: DropReason) {
        self.ledger.leave((mail.from, mail.to), mail.kind);
        let payload = Payload::Dropped {
            from: mail.from,
            kind: mail.kind,
            number: mail.number.into(),
            reason,
        };
        self.record(mail.to, mail.sent, payload);
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
        let service_time = self.network.service_time;
        let state = &mut self.nodes[to as usize];
        if !state.is_running() {
            return self.drop_flight(slot, DropReason::NotRunning);
        }
        if service_time > 0 {
            // A pause does not let later messages overtake those that the server has: its queue
            // goes on, and what is done meanwhile waits.
            let done = state.free_to_serve.max(due).saturating_add(service_time);
            state.free_to_serve = done;
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
        } else if state.paused {
            state.waiting.push_back(Waiting::Message { slot, seq });
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
        if state.paused {
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
    packet: &'a Arc<Packet>,
    kind: KindIx,
    number: u32,
    sent: EventId,
    /// When its last byte leaves the sender.
    out: u64,
}

/// Time on the wire, rounded up to a whole microsecond.
fn transmission_us(bytes: u64, bytes_per_second: u64) -> u64 {
    let us = (u128::from(bytes) * 1_000_000).div_ceil(u128::from(bytes_per_second));
    u64::try_from(us).unwrap_or(u64::MAX / 4)
}
