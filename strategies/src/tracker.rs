//! [`Tracker`]: replicas keep an observed-remove set of rows, broadcast their own changes, and find by each
//! other's clocks what they lack.
//!
//! Source: Phoenix.Tracker 1.x, as its documentation describes it: an add-wins observed-remove set without
//! tombstones, deltas and heartbeats, transfers. A replica is a node in one incarnation: it has a new name at
//! each boot.
//!
//! - Each change of a node has the next value of its clock. A row is tagged with that of its addition. A new
//!   pid removes the old tag, and adds one; a stop removes it.
//! - Every `broadcast_period` a node sends its changes since the last broadcast to every connected peer: the
//!   clocks that they have, the tags that they remove, and the rows. If there are none, and were none for
//!   `max_silent_periods`, it sends a heartbeat: its clock, and those of the replicas that are up for it.
//! - Sets are joined: a row stays if both sides have it, or if one has it and the other has not seen its tag.
//! - A clock ahead of what is here, in a heartbeat or behind a gap, is looked at every
//!   `clock_sample_periods`. Those that are ahead, and ahead of those that are asked before them, are asked
//!   for a transfer: all rows of each replica with which the asking node is behind.
//! - A replica is up from a delta or heartbeat of its own on, and down when none came for `down_period`: its
//!   rows are hidden. After `permdown_period` they are dropped.
//!
//! Assumed, where the source says nothing or something else: the sampling of clocks counts periods of the
//! node, not heartbeats; transfers are whole rows of a replica, without generations of deltas; only replicas
//! that are up are told of in clocks and transfers, so that what one node drops, another does not bring
//! back; incarnations order the names of a node, and a later one ends the earlier; the first broadcast of a
//! node comes at a random time of its first period, and is a heartbeat; nothing is sent when a node leaves.
//! Rows of nodes outside the cluster view are hidden as well: the source knows no other membership than
//! heartbeats.
//!
//! Parameters:
//! - `broadcast_period`, the time between two broadcasts; default 1.5 s, any positive duration.
//! - `max_silent_periods`, periods without a change until there is a heartbeat; default 10, at least 1.
//! - `clock_sample_periods`, periods in which clocks are collected before somebody is asked; default 2, at
//!   least 1.
//! - `down_period`, the silence after which a replica is hidden; default 30 s, at least twice the broadcast
//!   period.
//! - `permdown_period`, the silence after which it is dropped; default 20 min, at least the down period.
//!
//! Cost: n - 1 messages per node and period with changes, and per `max_silent_periods` without; a heartbeat
//! has about 6 bytes per member.
//!
//! Claims: see [`Tracker::claims`](crate::strategy::Strategy::claims). It does not promise that a replica
//! whose heartbeats are lost stays visible, nor that a change arrives before the next broadcast.

mod parameters;
mod replica;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contents::Contents;
use crate::context::Context;
use crate::fact::Fact;
use crate::message::{Channel, Message};
use crate::name::NodeId;
use crate::owner_log::{Running, SEQ_MAX, show, show_own};
use crate::request::{Members, Requests};
use crate::strategy::{EventStrategy, Strategy};
use crate::time::{Time, micros};

pub use parameters::TrackerConfig;
use replica::Replica;

/// Rows of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its node.
    pub node: NodeId,
    /// Its incarnation.
    pub incarnation: u64,
    /// The clocks of the changes that this tells of, in ranges above the first and up to the second number.
    pub clocks: Vec<(u64, u64)>,
    /// The tags of other changes that these remove, likewise.
    pub removed: Vec<(u64, u64)>,
    /// The rows; `seq` is the tag. Other tags were removed, or never had one.
    pub rows: Vec<Running>,
}

/// How far somebody is with the last replica of each node: its incarnation, and the clock up to which everything
/// is here.
pub type Clocks = BTreeMap<NodeId, (u64, u64)>;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrackerMessage {
    /// What the sender changed since its last broadcast.
    Delta(Part),
    /// How far the sender is, with itself and the replicas that are up.
    Heartbeat(Clocks),
    /// The sender is this far, and is to get what it lacks.
    Ask(Clocks),
    /// All rows of some replicas.
    Transfer(Vec<Part>),
}

impl Message for TrackerMessage {
    const KINDS: &'static [&'static str] = &[
        "tracker.delta",
        "tracker.heartbeat",
        "tracker.ask",
        "tracker.transfer",
    ];

    fn kind(&self) -> &'static str {
        match self {
            Self::Delta(_) => "tracker.delta",
            Self::Heartbeat(_) => "tracker.heartbeat",
            Self::Ask(_) => "tracker.ask",
            Self::Transfer(_) => "tracker.transfer",
        }
    }

    fn entries(&self, _sender: &NodeId) -> Option<Contents> {
        let parts = match self {
            Self::Heartbeat(_) | Self::Ask(_) => &[],
            Self::Delta(part) => std::slice::from_ref(part),
            Self::Transfer(parts) => &parts[..],
        };
        let rows = parts
            .iter()
            .flat_map(|part| part.rows.iter().map(move |row| (part, row)));
        let entries = rows.map(|(part, row)| (row.spec.id(), &part.node));
        Some(Contents::of_entries(entries))
    }
}

/// The timer of broadcasts.
const BROADCAST: u64 = 0;

/// What is known of another node's last replica.
#[derive(Debug, Default)]
struct Peer {
    incarnation: u64,
    replica: Replica,
    /// When something of its own came last, or when something came of it first.
    heard: Time,
    is_up: bool,
    is_shown: bool,
}

/// The strategy; see the module.
#[derive(Debug, Default)]
pub struct Tracker {
    config: TrackerConfig,
    own: Replica,
    /// Own changes since the last broadcast.
    unsent: Replica,
    peers: BTreeMap<NodeId, Peer>,
    /// Periods since the last broadcast.
    silent: u32,
    /// Periods until clocks are looked at.
    sampling: u32,
    /// The last clocks of each node that told some.
    samples: BTreeMap<NodeId, Clocks>,
}

type Cx<'a> = Context<'a, TrackerMessage>;

fn part(node: &NodeId, incarnation: u64, replica: &Replica) -> Part {
    Part {
        node: node.clone(),
        incarnation,
        clocks: replica.clocks().clone(),
        removed: replica.removed(),
        rows: replica.rows().cloned().collect(),
    }
}

impl Tracker {
    /// This node and the replicas that are up for it, with their incarnations.
    fn up<'a>(&'a self, cx: &'a Cx<'_>) -> impl Iterator<Item = (&'a NodeId, u64, &'a Replica)> {
        let up = self.peers.iter().filter(|(_, peer)| peer.is_up);
        let up = up.map(|(node, peer)| (node, peer.incarnation, &peer.replica));
        up.chain([(cx.node(), cx.incarnation(), &self.own)])
    }

    fn clocks(&self, cx: &Cx<'_>) -> Clocks {
        let up = self.up(cx);
        up.map(|(node, incarnation, replica)| (node.clone(), (incarnation, replica.clock())))
            .collect()
    }

    fn broadcast(&mut self, cx: &mut Cx<'_>) {
        let unsent = std::mem::take(&mut self.unsent);
        let message = if unsent.last() > 0 {
            TrackerMessage::Delta(part(cx.node(), cx.incarnation(), &unsent))
        } else {
            TrackerMessage::Heartbeat(self.clocks(cx))
        };
        let to = cx.connected().to_vec();
        cx.send_connected(&to, Channel::SYNC, message);
        self.silent = 0;
    }

    /// Hides replicas that are silent, and drops those that were for longer.
    fn expire(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let [down, dropped] = [self.config.down_period, self.config.permdown_period].map(micros);
        for peer in self.peers.values_mut() {
            peer.is_up &= now.since(peer.heard) <= down;
        }
        self.view_changed(cx);
        self.peers
            .retain(|_, peer| peer.is_up || now.since(peer.heard) <= dropped);
    }

    /// Asks those who told of more than there is here, and than those have who are asked before.
    fn ask(&mut self, cx: &mut Cx<'_>) {
        let mut to_come = Clocks::new();
        for (sender, clocks) in std::mem::take(&mut self.samples) {
            let is_news = |(node, clock): &(&NodeId, &(u64, u64))| {
                self.lacks(cx, node, **clock) && to_come.get(*node) < Some(*clock)
            };
            let news = clocks.iter().filter(is_news);
            let news: Clocks = news.map(|it| (it.0.clone(), *it.1)).collect();
            if !news.is_empty() {
                to_come.extend(news);
                let ask = TrackerMessage::Ask(self.clocks(cx));
                cx.send(&[sender], Channel::SYNC, ask);
            }
        }
    }

    /// True if somebody who is this far with a node's replica has more of it than there is here.
    fn lacks(&self, cx: &Cx<'_>, node: &NodeId, clock: (u64, u64)) -> bool {
        let here = self.peers.get(node);
        let here = here.map_or((0, 0), |peer| (peer.incarnation, peer.replica.clock()));
        node != cx.node() && here < clock && (1..=SEQ_MAX).contains(&clock.1)
    }

    /// What a node lacks that is this far.
    fn transfer(&self, cx: &Cx<'_>, clocks: &Clocks) -> Vec<Part> {
        let lacking = self.up(cx).filter(|(node, incarnation, replica)| {
            let last = replica.last();
            last > 0 && clocks.get(*node) < Some(&(*incarnation, last))
        });
        let lacking = lacking.map(|(node, incarnation, replica)| part(node, incarnation, replica));
        lacking.collect()
    }

    /// Something is told of a node's replica. `None` if it is this node, or was replaced by a later one.
    fn peer(&mut self, cx: &mut Cx<'_>, node: &NodeId, incarnation: u64) -> Option<&mut Peer> {
        if node == cx.node() {
            return None;
        }
        let known = self.peers.get(node).map(|peer| peer.incarnation);
        if known > Some(incarnation) {
            cx.mark("tracker.old_incarnation");
            return None;
        }
        if known < Some(incarnation) {
            let old = self.peers.get(node).into_iter();
            for child in old.flat_map(|peer| peer.replica.children()) {
                cx.remove(child, node);
            }
            let heard = cx.now();
            let fresh = Peer {
                incarnation,
                heard,
                ..Peer::default()
            };
            self.peers.insert(node.clone(), fresh);
        }
        self.peers.get_mut(node)
    }

    /// A node's own replica is up.
    fn hear(&mut self, cx: &mut Cx<'_>, node: &NodeId, incarnation: u64) {
        if let Some(peer) = self.peer(cx, node, incarnation) {
            (peer.heard, peer.is_up) = (cx.now(), true);
            self.settle(cx, node);
        }
    }

    fn take(&mut self, cx: &mut Cx<'_>, part: &Part) {
        let told = Replica::of(&part.clocks, &part.removed, &part.rows);
        let peer = self.peer(cx, &part.node, part.incarnation);
        if let Some(peer) = peer.filter(|_| told.last() <= SEQ_MAX) {
            for child in &peer.replica.merge(&told) {
                if peer.is_shown {
                    show(cx, &part.node, child, peer.replica.row(child));
                }
            }
        }
    }

    /// Shows or hides all rows of a node, as it is up and a member, or not.
    fn settle(&mut self, cx: &mut Cx<'_>, node: &NodeId) {
        let Some(peer) = self.peers.get_mut(node) else {
            return;
        };
        let is_visible = peer.is_up && cx.is_member(node);
        if std::mem::replace(&mut peer.is_shown, is_visible) != is_visible {
            for child in peer.replica.children() {
                let row = peer.replica.row(child).filter(|_| is_visible);
                show(cx, node, child, row);
            }
        }
    }
}

impl EventStrategy for Tracker {
    type Message = TrackerMessage;

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.silent = self.config.max_silent_periods;
        self.sampling = self.config.clock_sample_periods;
        let phase = cx.random() % micros(self.config.broadcast_period).max(1);
        cx.set_timer(BROADCAST, Duration::from_micros(phase));
    }

    fn local_change(&mut self, cx: &mut Cx<'_>, fact: &Fact) {
        let change = self.own.of_change(fact);
        self.own.merge(&change);
        self.unsent.merge(&change);
        let child = &fact.child;
        show_own(cx, child, self.own.row(child), |node| {
            let peer = self.peers.get(node).filter(|peer| peer.is_shown)?;
            peer.replica.row(child)
        });
    }

    /// Changes wait for the next broadcast.
    fn propagate(&mut self, _cx: &mut Cx<'_>, _requests: Requests, _members: &Members) {}

    fn round(&mut self, cx: &mut Cx<'_>) {
        self.broadcast(cx);
    }

    fn handle_message(&mut self, cx: &mut Cx<'_>, from: &NodeId, message: &TrackerMessage) {
        match message {
            TrackerMessage::Delta(part) if part.node == *from => {
                self.take(cx, part);
                self.hear(cx, from, part.incarnation);
                let last = part.clocks.iter().map(|(_, until)| *until).max();
                let clock = (part.incarnation, last.unwrap_or(0));
                let told = self.samples.entry(from.clone()).or_default();
                told.insert(from.clone(), clock);
            }
            TrackerMessage::Delta(_) => {}
            TrackerMessage::Heartbeat(clocks) => {
                if let Some((incarnation, _)) = clocks.get(from) {
                    self.hear(cx, from, *incarnation);
                }
                self.samples.insert(from.clone(), clocks.clone());
            }
            TrackerMessage::Ask(clocks) => {
                let parts = self.transfer(cx, clocks);
                if !parts.is_empty() {
                    let parts = TrackerMessage::Transfer(parts);
                    cx.send(std::slice::from_ref(from), Channel::SYNC, parts);
                }
            }
            TrackerMessage::Transfer(parts) => {
                for part in parts {
                    self.take(cx, part);
                }
            }
        }
    }

    fn handle_timer(&mut self, cx: &mut Cx<'_>, _key: u64) {
        self.expire(cx);
        self.silent = self.silent.saturating_add(1);
        if self.unsent.last() > 0 || self.silent >= self.config.max_silent_periods {
            self.broadcast(cx);
        }
        self.sampling = self.sampling.saturating_sub(1);
        if self.sampling == 0 {
            self.sampling = self.config.clock_sample_periods;
            self.ask(cx);
        }
        cx.set_timer(BROADCAST, self.config.broadcast_period);
    }

    fn view_changed(&mut self, cx: &mut Cx<'_>) {
        let known: Vec<_> = self.peers.keys().cloned().collect();
        for node in known {
            self.settle(cx, &node);
        }
    }

    fn fingerprint(&self) -> String {
        format!("{} {:?}", Self::NAME, self.config)
    }

    fn state_bytes(&self) -> u64 {
        let peers = self.peers.values().map(|peer| peer.replica.state_bytes());
        self.own.state_bytes() + self.unsent.state_bytes() + peers.sum::<u64>()
    }
}
