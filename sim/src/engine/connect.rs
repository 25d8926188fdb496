//! Connections: when a pair is connected, what makes it silent, and who learns that it is down.

use std::collections::BTreeMap;

use hublab_strategies::{DownReason, Time};

use super::flight::{Flight, Place};
use super::queue::Pending;
use super::send::Access;
use super::state::Waiting;
use super::{Engine, Immediate};
use crate::model::{InFlight, NodeIx};
use crate::network::PairIx;
use crate::network::cut::Reach;
use crate::network::silence::silence_us;
use crate::stream::{self, Purpose};
use crate::trace::event::{DropReason, EventId, Payload};

/// The news, on its way to one peer, that a node's connection closed.
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

    /// Whether a message from a running node may be sent over a link, connecting the pair if that
    /// is the message's kind and the network lets it.
    pub(super) fn access(
        &mut self,
        from: NodeIx,
        to: NodeIx,
        connects: bool,
        cause: EventId,
    ) -> Access {
        if self.network.is_connected(from, to) {
            let cut = self.network.is_cut(from, to);
            return if cut {
                Access::Closed(DropReason::Cut)
            } else {
                Access::Open
            };
        }
        let pair = self.network.pair_ix(from, to);
        if !connects {
            // The sender may not know yet that its connection is gone: then it sends in vain.
            let pair = &self.network.pairs[pair as usize];
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
        if self.nodes[to as usize].paused {
            return Access::Closed(DropReason::NotConnected);
        }
        self.connect(pair, cause);
        Access::Open
    }

    /// Connects a pair, at both ends at once. An end that knew an earlier incarnation of the
    /// other learns of its end first.
    pub(super) fn connect(&mut self, pair_ix: PairIx, cause: EventId) {
        let now_incarnations = self.incarnations(self.network.pairs[pair_ix as usize].nodes);
        let pair = &mut self.network.pairs[pair_ix as usize];
        let (was_up, before) = (pair.up, pair.incarnations);
        pair.up = true;
        pair.incarnations = now_incarnations;
        pair.silence = None;
        let nodes = pair.nodes;
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
        self.network.set_connected(nodes, true);
        let [node, peer] = nodes;
        self.record(node, cause, Payload::Connected { peer });
    }

    /// Starts or ends the silence of a pair, whichever its cuts and pauses ask for.
    fn refresh_silence(&mut self, pair_ix: PairIx) {
        let pair = &self.network.pairs[pair_ix as usize];
        let [a, b] = pair.nodes;
        let is_silent = a != b
            && pair.up
            && (self.network.is_cut(a, b)
                || self.network.is_cut(b, a)
                || self.nodes[a as usize].paused
                || self.nodes[b as usize].paused);
        if !is_silent {
            self.network.pairs[pair_ix as usize].silence = None;
        } else if pair.silence.is_none() {
            let names = [self.name(a), self.name(b)];
            let length = silence_us(&self.cluster, self.seed, names, pair.silences);
            let seq = self
                .queue
                .push(self.now.0.saturating_add(length), Pending::Silence(pair_ix));
            let pair = &mut self.network.pairs[pair_ix as usize];
            pair.silences += 1;
            pair.silence = Some(seq);
        }
    }

    /// The silences of every pair, after a change of cuts.
    fn refresh_all_silences(&mut self) {
        for pair in (0..).take(self.network.pairs.len()) {
            self.refresh_silence(pair);
        }
    }

    /// The silences of every pair of one node, after a pause or its end.
    pub(super) fn refresh_silences_of(&mut self, node: NodeIx) {
        for peer in (0..).take(self.nodes.len()) {
            if peer != node
                && self
                    .network
                    .find_pair(node, peer)
                    .is_some_and(|pair| pair.up)
            {
                let pair = self.network.pair_ix(node, peer);
                self.refresh_silence(pair);
            }
        }
    }

    /// A silence has lasted: both ends are told that the other is down.
    pub(super) fn silence_over(&mut self, due: u64, seq: u64, pair_ix: PairIx) {
        if self.network.pairs[pair_ix as usize].silence != Some(seq) {
            return;
        }
        self.advance(Time(due));
        let current = self.incarnations(self.network.pairs[pair_ix as usize].nodes);
        let pair = &mut self.network.pairs[pair_ix as usize];
        pair.up = false;
        pair.silence = None;
        let (nodes, known) = (pair.nodes, pair.incarnations);
        self.drop_between(pair_ix);
        for side in [0, 1] {
            if known[side] == current[side] {
                self.tell_down(nodes[side], nodes[1 - side], DownReason::Silent, 0);
            }
        }
        if self.network.is_connected(nodes[0], nodes[1]) {
            self.network.set_connected(nodes, false);
            let [node, peer] = nodes;
            self.record(node, 0, Payload::Disconnected { peer });
        }
    }

    /// Drops what is on the way between two nodes that are no longer connected, and what waits
    /// for one that is paused.
    fn drop_between(&mut self, pair_ix: PairIx) {
        let [a, b] = self.network.pairs[pair_ix as usize].nodes;
        let nodes = &self.nodes;
        if !nodes[a as usize].paused && !nodes[b as usize].paused && self.network.is_idle(a, b) {
            // Not worth a look at every message: partitions of large clusters end many pairs.
            return;
        }
        let lost = self.flights.select(|flight| {
            [(a, b), (b, a)].contains(&flight.link())
                && !flight.outlives_down()
                && (flight.place == Place::OnTheWay || nodes[flight.to as usize].paused)
        });
        if lost.is_empty() {
            // A look in vain costs as much as finding out where looks are worth it.
            self.network.set_all_busy(self.flights.links());
        }
        self.drop_flights(&lost, DropReason::Down);
    }

    /// Has the messages on the way hold back those sent from now on, on links that keep order.
    pub(super) fn keep_all_orders(&mut self) {
        for slot in self.flights.select(|flight| flight.place != Place::Arrived) {
            let flight = self.flights.at(slot);
            let lanes = self.network.lanes_mut(flight.packet.channel.id);
            lanes.note(flight.link(), flight.due);
        }
    }

    /// Drops messages and lets those that remain on their links keep the order among themselves.
    pub(super) fn drop_flights(&mut self, slots: &[u32], reason: DropReason) {
        let mut links = Vec::with_capacity(slots.len());
        for slot in slots {
            links.push(self.flights.at(*slot).link());
            self.drop_flight(*slot, reason);
        }
        links.sort_unstable();
        links.dedup();
        for link in &links {
            self.network.forget_order(*link);
        }
        let is_touched = |flight: &Flight| links.binary_search(&flight.link()).is_ok();
        for slot in self
            .flights
            .select(|flight| flight.place != Place::Arrived && is_touched(flight))
        {
            let flight = self.flights.at(slot);
            self.network.keep_order(
                flight.link(),
                flight.packet.channel.id,
                flight.out,
                flight.due,
            );
        }
    }

    /// Tells a node that a peer is down, at once or when it goes on.
    fn tell_down(&mut self, node: NodeIx, peer: NodeIx, reason: DownReason, cause: EventId) {
        let state = &mut self.nodes[node as usize];
        if state.paused {
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
            if to == about
                || !self
                    .network
                    .find_pair(about, to)
                    .is_some_and(|pair| pair.up)
            {
                continue;
            }
            let pair_ix = self.network.pair_ix(about, to);
            let law = self.network.params((about, to)).law;
            let current = self.incarnations(self.network.pairs[pair_ix as usize].nodes);
            let pair = &mut self.network.pairs[pair_ix as usize];
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
                    .after(self.cluster.crash_detected_after)
                    .0
                    .saturating_add(latency);
                self.schedule_notice(
                    due,
                    Notice {
                        pair: pair_ix,
                        about,
                        to,
                        incarnations,
                        cause,
                        is_waiting: false,
                    },
                );
            }
            self.network.set_connected(nodes, false);
        }
    }

    fn schedule_notice(&mut self, due: u64, notice: Notice) {
        let slot = u32::try_from(self.notices.len()).expect("fewer than 2^32 notices");
        self.notices.push(Some(notice));
        self.queue.push(due, Pending::Notice(slot));
    }

    pub(super) fn notice_due(&mut self, due: u64, slot: u32) {
        let Some(notice) = self.notices[slot as usize] else {
            return;
        };
        if self.network.is_cut(notice.about, notice.to) {
            // It waits for healing; the silence may come first.
            self.notices[slot as usize] = Some(Notice {
                is_waiting: true,
                ..notice
            });
            return;
        }
        self.notices[slot as usize] = None;
        while self.notices.last().is_some_and(Option::is_none) {
            self.notices.pop();
        }
        let pair = &self.network.pairs[notice.pair as usize];
        if !pair.up || pair.incarnations != notice.incarnations {
            return;
        }
        self.advance(Time(due));
        let pair = &mut self.network.pairs[notice.pair as usize];
        pair.up = false;
        pair.silence = None;
        self.drop_between(notice.pair);
        self.tell_down(notice.to, notice.about, DownReason::Closed, notice.cause);
    }

    /// Puts a cut in force: what is on the way over its links is dropped, spared, or held.
    pub(super) fn apply_cut(
        &mut self,
        reach: Reach,
        in_flight: InFlight,
    ) -> crate::network::cut::CutId {
        let is_hit = |flight: &Flight| {
            flight.from != flight.to
                && flight.place != Place::Arrived
                && reach.holds(flight.from, flight.to)
        };
        let hit = self
            .flights
            .select(|flight| is_hit(flight) && flight.place != Place::Held);
        match in_flight {
            InFlight::Drop => self.drop_flights(&hit, DropReason::Cut),
            InFlight::Deliver => {
                for slot in hit {
                    self.flights.at(slot).spared = true;
                }
            }
            InFlight::Hold => {
                for slot in hit {
                    let flight = self.flights.at(slot);
                    flight.place = Place::Held;
                    flight.spared = true;
                    flight.seq = 0;
                }
            }
        }
        let id = self.network.cut(reach);
        self.refresh_all_silences();
        id
    }

    /// After cuts were mended: held messages and notices go on, silences end.
    pub(super) fn after_mending(&mut self) {
        self.refresh_all_silences();
        self.release_held();
        for (slot, notice) in (0..).zip(&mut self.notices) {
            if let Some(notice) = notice
                && notice.is_waiting
                && !self.network.is_cut(notice.about, notice.to)
            {
                notice.is_waiting = false;
                self.queue.push(self.now.0, Pending::Notice(slot));
            }
        }
    }

    /// Held messages arrive when they are due, or now; each link's in the order of sending.
    fn release_held(&mut self) {
        let network = &self.network;
        let free = self.flights.select(|flight| {
            flight.place == Place::Held && !network.is_cut(flight.from, flight.to)
        });
        let mut last_due: BTreeMap<(NodeIx, NodeIx), u64> = BTreeMap::new();
        for slot in free {
            let flight = self.flights.at(slot);
            let link = (flight.from, flight.to);
            let earliest = last_due.entry(link).or_insert(self.now.0);
            *earliest = flight.due.max(*earliest);
            flight.due = *earliest;
            flight.place = Place::OnTheWay;
            flight.seq = self.queue.push(*earliest, Pending::Arrival(slot));
            self.network
                .lanes_mut(flight.packet.channel.id)
                .note(link, flight.due);
        }
    }
}
