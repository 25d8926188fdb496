//! Connections: how a pair connects, falls silent and goes down, and how its ends learn of it.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use hublab_strategies::{DownReason, Time};

use super::flight::{Flight, Flights, Place};
use super::queue::Pending;
use super::send::Access;
use super::state::{NodeState, Waiting};
use super::{Engine, Immediate};
use crate::model::{InFlight, NodeIx, ReleaseOrder};
use crate::network::cut::{CutId, Reach};
use crate::network::hold::links;
use crate::network::pairs::PairIx;
use crate::network::{LinkKey, Network};
use crate::stream::{self, Purpose};
use crate::trace::event::{DropReason, EventId, Payload};

/// A notice on its way to one peer: its connection to a node closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Notice {
    pair: PairIx,
    about: NodeIx,
    to: NodeIx,
    /// The incarnations that the connection was between, as the pair lists them.
    incarnations: [u32; 2],
    cause: EventId,
    /// It came due while the link was cut, and waits for healing.
    is_waiting: bool,
}

impl Engine {
    fn incarnations(&self, nodes: [NodeIx; 2]) -> [u32; 2] {
        nodes.map(|node| self.nodes[node as usize].incarnation)
    }

    /// True if a message from a running node may be sent over a link, connecting the pair if that
    /// is the message's kind and the network lets it.
    pub(super) fn access(
        &mut self,
        from: NodeIx,
        to: NodeIx,
        connects: bool,
        cause: EventId,
    ) -> Access {
        if self.network.is_connected(from, to) {
            return Access::Open;
        }
        let pair = self.network.pairs.of(from, to);
        if !connects {
            // The sender may not know yet that its connection is gone: then it sends in vain.
            let pair = &self.network.pairs[pair];
            let side = usize::from(pair.nodes[1] == from);
            let believes =
                pair.up && pair.incarnations[side] == self.nodes[from as usize].incarnation;
            return if !believes {
                Access::Unwanted
            } else if self.nodes[to as usize].is_running() {
                Access::Closed(DropReason::NotConnected)
            } else {
                Access::Closed(DropReason::NotRunning)
            };
        }
        if !self.nodes[to as usize].is_running() {
            return Access::Closed(DropReason::NotRunning);
        }
        if self.network.is_cut(from, to) || self.network.is_cut(to, from) {
            return Access::Closed(DropReason::Cut);
        }
        if self.nodes[to as usize].life.is_paused() {
            return Access::Closed(DropReason::NotConnected);
        }
        self.connect(pair, cause);
        Access::Open
    }

    /// Connects a pair, at both ends at once. An end that knew an earlier incarnation of the
    /// other learns of its end first.
    pub(super) fn connect(&mut self, pair_ix: PairIx, cause: EventId) {
        let pair = &self.network.pairs[pair_ix];
        let (nodes, was_up, before) = (pair.nodes, pair.up, pair.incarnations);
        self.set_up(pair_ix, cause);
        let now_incarnations = self.incarnations(nodes);
        for side in [0, 1] {
            let (node, peer) = (nodes[side], nodes[1 - side]);
            if was_up && before[side] == now_incarnations[side] {
                self.immediate.push_back((
                    node,
                    cause,
                    Immediate::PeerDown(peer, DownReason::Restarted),
                ));
            }
            self.immediate.push_back((
                node,
                cause,
                Immediate::PeerUp(peer, now_incarnations[1 - side]),
            ));
        }
    }

    /// Connects a pair, both ends as they run now, without telling them.
    pub(super) fn set_up(&mut self, pair_ix: PairIx, cause: EventId) {
        let incarnations = self.incarnations(self.network.pairs[pair_ix].nodes);
        let pair = &mut self.network.pairs[pair_ix];
        pair.up = true;
        pair.incarnations = incarnations;
        pair.silence = None;
        let nodes = pair.nodes;
        self.network.set_connected(nodes, true);
        let [node, peer] = nodes;
        self.record(node, cause, Payload::Connected { peer });
    }

    /// Starts or ends the silence of a pair, whichever its cuts and pauses ask for; `cause` changed them.
    fn refresh_silence(&mut self, pair_ix: PairIx, cause: EventId) {
        #[cfg(test)]
        {
            self.refreshed += 1;
        }
        let pair = &self.network.pairs[pair_ix];
        let [a, b] = pair.nodes;
        let is_silent = a != b
            && pair.up
            && (self.network.is_cut(a, b)
                || self.network.is_cut(b, a)
                || self.nodes[a as usize].life.is_paused()
                || self.nodes[b as usize].life.is_paused());
        if !is_silent {
            self.network.pairs[pair_ix].silence = None;
        } else if pair.silence.is_none() {
            let is_paused = [a, b].map(|node| self.nodes[node as usize].life.is_paused());
            let length = self.network.silences.us([a, b], pair.silences, is_paused);
            let seq = self.queue.push(
                self.now.0.saturating_add(length),
                Pending::Silence(pair_ix.0),
            );
            let pair = &mut self.network.pairs[pair_ix];
            pair.silences += 1;
            pair.silence = NonZeroU64::new(seq);
            pair.silenced_by = cause;
        }
    }

    /// The silences of the pairs whose links a cut holds, or held.
    fn refresh_silences_under(&mut self, reach: &Reach, cause: EventId) {
        let pairs = reach
            .links()
            .filter_map(|(a, b)| self.network.pairs.find(a, b));
        let mut pairs: Vec<PairIx> = pairs.collect();
        pairs.sort_unstable();
        pairs.dedup();
        for pair in pairs {
            self.refresh_silence(pair, cause);
        }
    }

    /// The silences of every pair of one node, after a pause or its end.
    pub(super) fn refresh_silences_of(&mut self, node: NodeIx, cause: EventId) {
        for peer in (0..).take(self.nodes.len()) {
            if peer != node
                && let Some(pair) = self.network.pairs.find(node, peer)
            {
                self.refresh_silence(pair, cause);
            }
        }
    }

    /// A silence has lasted: both ends are told that the other is down.
    pub(super) fn silence_over(&mut self, due: u64, seq: u64, pair_ix: PairIx) {
        if self.network.pairs[pair_ix].silence != NonZeroU64::new(seq) {
            return;
        }
        self.advance(Time(due));
        let current = self.incarnations(self.network.pairs[pair_ix].nodes);
        let pair = &mut self.network.pairs[pair_ix];
        pair.up = false;
        pair.silence = None;
        let (nodes, known, cause) = (pair.nodes, pair.incarnations, pair.silenced_by);
        self.drop_between(pair_ix);
        for side in [0, 1] {
            if known[side] == current[side] {
                self.tell_down(nodes[side], nodes[1 - side], DownReason::Silent, cause);
            }
        }
        if self.network.is_connected(nodes[0], nodes[1]) {
            self.network.set_connected(nodes, false);
            let [node, peer] = nodes;
            self.record(node, cause, Payload::Disconnected { peer });
        }
    }

    /// Drops what is on the way between two nodes that are no longer connected, and what waits
    /// for one that is paused.
    fn drop_between(&mut self, pair_ix: PairIx) {
        let [a, b] = self.network.pairs[pair_ix].nodes;
        self.drop_on([(a, b), (b, a)], DropReason::Down, |flight, receiver| {
            !flight.outlives_down() && (flight.can_be_cut() || receiver.life.is_paused())
        });
    }

    /// Drops the messages of some links that `is_lost` accepts, given their receiver, in the order
    /// of sending. Those that remain keep the order among themselves.
    pub(super) fn drop_on(
        &mut self,
        links: impl IntoIterator<Item = LinkKey>,
        reason: DropReason,
        is_lost: impl Fn(&Flight, &NodeState) -> bool,
    ) {
        let on_links = links.into_iter().flat_map(|link| self.flights.on(link));
        let lost = on_links.filter(|(_, flight)| is_lost(flight, &self.nodes[flight.to as usize]));
        let lost = Flights::in_order(lost);
        let mut touched: Vec<LinkKey> = Vec::with_capacity(lost.len());
        for slot in lost {
            touched.push(self.flights.at(slot).link());
            self.drop_flight(slot, reason);
        }
        touched.sort_unstable();
        touched.dedup();
        for link in touched {
            self.network.forget_order(link);
            for (_, flight) in self.flights.on(link) {
                if flight.keeps_order() {
                    let channel = flight.packet.channel.id;
                    self.network
                        .keep_order(link, channel, flight.out, flight.due);
                }
            }
        }
    }

    /// Has the messages on the way over a link hold back those sent from now on, if it keeps order.
    pub(super) fn keep_order(&mut self, link: LinkKey) {
        for (_, flight) in self.flights.on(link) {
            hold_back(&mut self.network, flight);
        }
    }

    /// [`Self::keep_order`] for every link.
    pub(super) fn keep_all_orders(&mut self) {
        for (_, flight) in self.flights.all() {
            hold_back(&mut self.network, flight);
        }
    }

    /// Tells a node that a peer is down, at once or when it goes on.
    fn tell_down(&mut self, node: NodeIx, peer: NodeIx, reason: DownReason, cause: EventId) {
        let state = &mut self.nodes[node as usize];
        if state.life.is_paused() {
            state.waiting.push_back(Waiting::Input {
                input: Immediate::PeerDown(peer, reason),
                cause,
            });
        } else if state.is_running() {
            self.immediate
                .push_back((node, cause, Immediate::PeerDown(peer, reason)));
        }
    }

    /// A node stopped: its connections close, which each peer notices after the delay of
    /// detection and one latency.
    pub(super) fn close_connections(&mut self, about: NodeIx, cause: EventId) {
        for to in (0..).take(self.nodes.len()) {
            let pair_ix = match self.network.pairs.find(about, to) {
                Some(pair) if to != about && self.network.pairs[pair].up => pair,
                Some(_) | None => continue,
            };
            let law = self.network.params((about, to), None).law;
            let current = self.incarnations(self.network.pairs[pair_ix].nodes);
            let pair = &mut self.network.pairs[pair_ix];
            let nodes = pair.nodes;
            let peer_side = usize::from(nodes[1] == to);
            if !self.nodes[to as usize].is_running()
                || pair.incarnations[peer_side] != current[peer_side]
            {
                // Nobody is left who knows of the connection.
                pair.up = false;
                pair.silence = None;
            } else {
                let incarnations = pair.incarnations;
                let key = stream::key(
                    self.seed,
                    Purpose::Notice,
                    &[self.name(about).as_str(), self.name(to).as_str()],
                );
                let latency = law.sample(stream::draw(
                    key,
                    u64::from(self.nodes[about as usize].incarnation),
                ));
                let due = self
                    .now
                    .after(self.crash_detected_after)
                    .0
                    .saturating_add(latency);
                let slot = self.notices.insert(Notice {
                    pair: pair_ix,
                    about,
                    to,
                    incarnations,
                    cause,
                    is_waiting: false,
                });
                self.queue.push(due, Pending::Notice(slot));
            }
            self.network.set_connected(nodes, false);
        }
    }

    pub(super) fn notice_due(&mut self, due: u64, slot: u32) {
        let notice = self.notices.at(slot);
        if self.network.is_cut(notice.about, notice.to) {
            // It waits for healing; the silence may come first.
            notice.is_waiting = true;
            return;
        }
        let notice = self.notices.remove(slot);
        let pair = &self.network.pairs[notice.pair];
        if !pair.up || pair.incarnations != notice.incarnations {
            return;
        }
        self.advance(Time(due));
        let pair = &mut self.network.pairs[notice.pair];
        pair.up = false;
        pair.silence = None;
        self.drop_between(notice.pair);
        self.tell_down(notice.to, notice.about, DownReason::Closed, notice.cause);
    }

    /// Puts a cut in force: what is on the way over its links is dropped, spared, or held.
    pub(super) fn apply_cut(&mut self, reach: Reach, in_flight: InFlight, cause: EventId) -> CutId {
        match in_flight {
            InFlight::Drop => self.drop_on(reach.links(), DropReason::Cut, |flight, _| {
                flight.can_be_cut()
            }),
            InFlight::Deliver | InFlight::Hold => {
                let on_links = reach.links().flat_map(|link| self.flights.on(link));
                let hit = Flights::in_order(on_links.filter(|(_, flight)| flight.can_be_cut()));
                for slot in hit {
                    let flight = self.flights.at(slot);
                    flight.spared = true;
                    if in_flight == InFlight::Hold {
                        flight.place = if flight.is_withheld() {
                            Place::HeldTwice
                        } else {
                            Place::Held
                        };
                        flight.seq = 0;
                    }
                }
            }
        }
        let id = self.network.cut(reach.clone());
        self.refresh_silences_under(&reach, cause);
        id
    }

    /// Mends a cut, unless that was done before.
    pub(super) fn mend(&mut self, cut: CutId, cause: EventId) {
        if let Some(reach) = self.network.mend(cut) {
            self.refresh_silences_under(&reach, cause);
            let network = &self.network;
            let free = reach
                .links()
                .filter(|(from, to)| !network.is_cut(*from, *to));
            let held =
                Flights::in_order(free.flat_map(|link| self.flights.on(link)).filter(is_held));
            self.release(held);
        }
    }

    /// Mends all cuts.
    pub(super) fn mend_all(&mut self, cause: EventId) {
        if self.network.has_cuts() {
            self.network.mend_all();
            for pair in self.network.pairs.all() {
                self.refresh_silence(pair, cause);
            }
            let held = Flights::in_order(self.flights.all().filter(is_held));
            self.release(held);
        }
    }

    /// Links hold no more: what they hold is delivered now, unless a cut holds it, too.
    pub(super) fn deliver_withheld(&mut self, ends: (&[NodeIx], &[NodeIx]), order: ReleaseOrder) {
        self.network.holds.end(ends);
        let on_links = links(ends.0, ends.1).flat_map(|link| self.flights.on(link));
        let mut withheld = Flights::in_order(on_links.filter(|(_, flight)| flight.is_withheld()));
        match order {
            ReleaseOrder::Fifo => {}
            ReleaseOrder::Lifo => withheld.reverse(),
            ReleaseOrder::Random => withheld.sort_by_cached_key(|slot| {
                let flight = self.flights.at(*slot);
                let (link, channel) = (flight.link(), flight.packet.channel.id);
                self.network.release_draw(link, channel, flight.number)
            }),
        }
        for slot in withheld {
            let flight = self.flights.at(slot);
            flight.due = self.now.0;
            if flight.place == Place::HeldTwice {
                flight.place = Place::Held;
            } else {
                flight.place = Place::OnTheWay;
                flight.seq = self.queue.push(self.now.0, Pending::Arrival(slot));
            }
        }
    }

    /// Messages that no cut holds any more go on: these arrive when they are due, or now, each
    /// link's in the order of sending; notices arrive now.
    fn release(&mut self, held: Vec<u32>) {
        let mut last_due: BTreeMap<LinkKey, u64> = BTreeMap::new();
        for slot in held {
            let flight = self.flights.at(slot);
            if flight.is_withheld() {
                flight.place = Place::Withheld;
                continue;
            }
            let link = flight.link();
            let earliest = last_due.entry(link).or_insert(self.now.0);
            *earliest = flight.due.max(*earliest);
            flight.due = *earliest;
            flight.place = Place::OnTheWay;
            flight.seq = self.queue.push(*earliest, Pending::Arrival(slot));
            let (channel, due) = (flight.packet.channel.id, flight.due);
            self.network.note_due(link, channel, due);
        }
        for (slot, notice) in self.notices.iter_mut() {
            if notice.is_waiting && !self.network.is_cut(notice.about, notice.to) {
                notice.is_waiting = false;
                self.queue.push(self.now.0, Pending::Notice(slot));
            }
        }
    }
}

/// Has a message hold back those sent from now on over its link, if that keeps order.
fn hold_back(network: &mut Network, flight: &Flight) {
    if flight.keeps_order() {
        network.note_due(flight.link(), flight.packet.channel.id, flight.due);
    }
}

fn is_held((_, flight): &(u32, &Flight)) -> bool {
    matches!(flight.place, Place::Held | Place::HeldTwice)
}
