//! Connections between nodes, those being made, and the length of silences.

use std::collections::{BTreeMap, BTreeSet};

use hublab_strategies::DownReason;

use super::Witness;
use crate::model::NodeIx;
use crate::trace::event::Payload;

/// Two nodes, the lower position first.
type Pair = [NodeIx; 2];

fn pair(a: NodeIx, b: NodeIx) -> Pair {
    [a.min(b), a.max(b)]
}

/// The connections of a run, as those who are connected tell of them.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// Who, and with whom: connections as each end knows them.
    up: BTreeSet<(NodeIx, NodeIx)>,
    /// The first of these has seen the end of a connection that the second has not yet.
    ended: BTreeSet<(NodeIx, NodeIx)>,
    /// The nodes that a message is to connect.
    wanted: BTreeSet<Pair>,
    /// The pairs that a cut or a pause keeps silent.
    silent: BTreeSet<Pair>,
    /// How many silences of a pair have begun before the one that runs, or is next.
    silences: BTreeMap<Pair, u32>,
}

impl Connections {
    /// True if the sender of a message has seen the end of the connection that it came over.
    pub(super) fn has_ended(&self, from: NodeIx, to: NodeIx) -> bool {
        self.ended.contains(&(from, to))
    }

    /// True if a node knows of a connection.
    pub(super) fn is_up(&self, node: NodeIx, peer: NodeIx) -> bool {
        self.up.contains(&(node, peer))
    }

    fn end_silence(&mut self, pair: Pair) {
        if self.silent.remove(&pair) {
            *self.silences.entry(pair).or_default() += 1;
        }
    }

    /// Forgets all that has to do with a node that stopped.
    fn forget(&mut self, node: NodeIx) {
        self.up.retain(|(a, b)| *a != node && *b != node);
        self.ended.retain(|(a, b)| *a != node && *b != node);
        self.wanted.retain(|pair| !pair.contains(&node));
        self.silent.retain(|pair| !pair.contains(&node));
    }
}

impl Witness {
    fn others(&self, node: NodeIx) -> impl Iterator<Item = NodeIx> + use<> {
        (0..).take(self.nodes.len()).filter(move |it| *it != node)
    }

    /// All pairs of these nodes are to be connected, whoever sends what.
    pub fn connect(&mut self, nodes: &[NodeIx]) {
        for (at, a) in nodes.iter().enumerate() {
            for b in &nodes[at + 1..] {
                self.connections.wanted.insert(pair(*a, *b));
            }
        }
    }

    /// True if a message that connects, sent now to a node that is not connected, waits for its
    /// connection, which may be made from now on; if not, it is lost.
    pub fn connects(&mut self, from: NodeIx, to: NodeIx) -> bool {
        let open = self.is_running(to)
            && !self.network.is_cut(from, to)
            && !self.network.is_cut(to, from)
            && !self.nodes[to as usize].life.is_paused();
        if open {
            self.connections.wanted.insert(pair(from, to));
        }
        open
    }

    /// The nodes that an announcement made now addresses: every other running node, unless the link to it is
    /// cut, or they are not connected and the link back is cut.
    #[must_use]
    pub fn audience(&self, from: NodeIx) -> Vec<NodeIx> {
        let is_addressed = |to: &NodeIx| {
            let (to, network) = (*to, &self.network);
            let may_connect = network.is_connected(from, to) || !network.is_cut(to, from);
            self.is_running(to) && !network.is_cut(from, to) && may_connect
        };
        self.others(from).filter(is_addressed).collect()
    }

    /// True if heartbeats and greetings do not pass from one node to another: a cut bars them, or
    /// the sender is paused, or the two are not connected and nobody wants them to be.
    #[must_use]
    pub fn is_barred(&self, from: NodeIx, to: NodeIx) -> bool {
        let expected =
            self.connections.is_up(from, to) || self.connections.wanted.contains(&pair(from, to));
        !expected || self.network.is_cut(from, to) || self.nodes[from as usize].life.is_paused()
    }

    /// How long the next silence between two nodes lasts until they are declared down, in
    /// microseconds: what a simulated run of the same seed would draw.
    #[must_use]
    pub fn patience(&self, a: NodeIx, b: NodeIx) -> u64 {
        let ends = pair(a, b);
        let number = self.connections.silences.get(&ends);
        let is_paused = ends.map(|node| self.nodes[node as usize].life.is_paused());
        self.network
            .silences
            .us(ends, number.copied().unwrap_or(0), is_paused)
    }

    /// Takes note of silences that begin or end, after a change of cuts or pauses.
    pub(super) fn refresh_silences(&mut self) {
        let (network, nodes) = (&self.network, &self.nodes);
        let is_silent = |[a, b]: [NodeIx; 2]| {
            let is_cut = network.is_cut(a, b) || network.is_cut(b, a);
            is_cut || nodes[a as usize].life.is_paused() || nodes[b as usize].life.is_paused()
        };
        self.connections.wanted.retain(|pair| !is_silent(*pair));
        let up = self.connections.up.iter();
        let pairs: BTreeSet<Pair> = up.map(|(a, b)| pair(*a, *b)).collect();
        let (silent, heard): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|it| is_silent(*it));
        self.connections.silent.extend(silent);
        for pair in heard {
            self.connections.end_silence(pair);
        }
    }

    /// A node learns that a connection came up.
    pub fn peer_up(&mut self, node: NodeIx, peer: NodeIx, incarnation: u64) {
        self.cause(node, Payload::PeerUp { peer, incarnation });
        self.connections.ended.remove(&(node, peer));
        self.connections.ended.remove(&(peer, node));
        if u64::from(self.nodes[peer as usize].incarnation) == incarnation {
            self.connections.up.insert((node, peer));
            if self.connections.is_up(peer, node) {
                self.connections.wanted.remove(&pair(node, peer));
                self.connections.end_silence(pair(node, peer));
            }
            self.pair_refreshed(node, peer);
        }
    }

    /// A node learns that a connection is gone.
    pub fn peer_down(&mut self, node: NodeIx, peer: NodeIx, reason: DownReason) {
        self.cause(node, Payload::PeerDown { peer, reason });
        self.connections.up.remove(&(node, peer));
        if !self.connections.ended.remove(&(peer, node)) && self.is_running(peer) {
            self.connections.ended.insert((node, peer));
        }
        self.write_off(peer, node);
        self.pair_refreshed(node, peer);
    }

    /// A node stopped: nothing connects it any more.
    pub(super) fn disconnect(&mut self, node: NodeIx) {
        self.connections.forget(node);
        for peer in self.others(node) {
            self.pair_refreshed(node, peer);
        }
    }

    /// A pair counts as connected while both ends know it is.
    fn pair_refreshed(&mut self, a: NodeIx, b: NodeIx) {
        let runs = self.is_running(a) && self.is_running(b);
        let up = runs && self.connections.is_up(a, b) && self.connections.is_up(b, a);
        if a != b && self.network.is_connected(a, b) != up {
            self.network.set_connected([a, b], up);
            if up {
                self.record(a, 0, Payload::Connected { peer: b });
            } else if runs {
                self.record(a, 0, Payload::Disconnected { peer: b });
            }
        }
    }
}
