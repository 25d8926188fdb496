//! [`DeltaCrdt`]: an add-wins map that neighbours compare by hashes, and exchange key by key.
//!
//! Source: `delta_crdt`, which Horde is built on, as its documentation and its issues describe it, and Almeida,
//! Shoker and Baquero: "Delta State Replicated Data Types" (2018). A key is a child on a node; several values
//! that were added at once live beside each other, and the last written one counts.
//!
//! - A start or a new pid adds a value under a new dot, and takes the dots of the key that were seen. A stop
//!   takes them and adds nothing. What was seen is the causal context; it is all that is left of a removal.
//! - Every `sync_interval` a node begins an exchange with each member: it sends the hash of its map. Where
//!   that differs, the member answers with those of its buckets, the node with the keys of buckets that
//!   differ, and the member asks for at most `max_sync_size` keys that differ. It joins what it gets, and says
//!   that it is done. Until then the node begins no other exchange with this member: what is lost holds up
//!   all that follow, until the connection ends or `ack_timeout` has passed.
//! - With `context = "whole"`, as the source has it, what is sent of some keys comes with the whole context of
//!   the sender, cut down to the last dot of each origin. A receiver then takes a dot of another key for
//!   seen, and its value for removed: changes are lost (issue 65 of the source). With `context = "keys"`
//!   nothing is told but of the keys.
//! - The last write is that with the highest monotonic clock, which begins at 0 with each boot of a node.
//!
//! Assumed, where the sources say nothing or something else: the neighbours of a node are all members; the hash
//! tree has two levels, 256 buckets and their keys; an owner that finds a row of its own that does not run
//! removes it, and writes one anew that runs under another pid, as Horde links the processes of entries; it
//! does not notice one that is missing. Rows of nodes outside the cluster view are hidden and kept.
//!
//! Parameters:
//! - `sync_interval`, the time between two rounds of exchanges; default 300 ms, any positive duration.
//! - `max_sync_size`, the most keys of an exchange; default 200, at least 1.
//! - `context`: `whole` (default) or `keys`, see above.
//! - `ack_timeout`, after which an exchange that was not answered is given up; default 0: never.
//!
//! Cost: n - 1 hashes and as many answers per node and round, of about 12 bytes; six messages for what
//! differs.
//!
//! Claims: see [`DeltaCrdt::claims`](crate::strategy::Strategy::claims). It does not promise that what was
//! started is shown, not even where it runs.

mod map;
mod parameters;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contents::Contents;
use crate::context::Context;
use crate::fact::Fact;
use crate::message::{Channel, Message};
use crate::name::NodeId;
use crate::owner_log::{Operation, Running, SEQ_MAX, show, show_own};
use crate::request::{Members, Requests};
use crate::runtime::DownReason;
use crate::strategy::{EventStrategy, Strategy};
use crate::time::{Time, micros};

use map::Map;
pub use map::{Dot, Key, Told};
use parameters::CausalContext;
pub use parameters::DeltaCrdtConfig;

/// A message. All but the first answer another of the same exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaCrdtMessage {
    /// The number of the exchange, of the node that began it.
    pub number: u64,
    /// What is said.
    pub body: Body,
}

/// What is said in an exchange, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// The hash of the map of the node that begins.
    Root(u64),
    /// The hashes of the buckets of the other one.
    Buckets(BTreeMap<u8, u64>),
    /// Buckets that differ, and the hashes of their keys.
    Keys(Vec<u8>, BTreeMap<Key, u64>),
    /// Keys that differ, and the dots that the other one has of them.
    Want(Vec<(Key, Vec<Dot>)>),
    /// What there is of these keys, and the context.
    Diff(Vec<Told>, Vec<Dot>),
    /// It is over.
    Done,
}

impl Message for DeltaCrdtMessage {
    const KINDS: &'static [&'static str] = &[
        "delta_crdt.root",
        "delta_crdt.buckets",
        "delta_crdt.keys",
        "delta_crdt.want",
        "delta_crdt.diff",
        "delta_crdt.done",
    ];

    fn kind(&self) -> &'static str {
        match self.body {
            Body::Root(_) => "delta_crdt.root",
            Body::Buckets(_) => "delta_crdt.buckets",
            Body::Keys(..) => "delta_crdt.keys",
            Body::Want(_) => "delta_crdt.want",
            Body::Diff(..) => "delta_crdt.diff",
            Body::Done => "delta_crdt.done",
        }
    }

    fn entries(&self, _sender: &NodeId) -> Option<Contents> {
        Some(match &self.body {
            Body::Diff(told, _) => {
                Contents::of_entries(told.iter().map(|it| (&it.key.1, &it.key.0)))
            }
            Body::Root(_) | Body::Buckets(_) | Body::Keys(..) | Body::Want(_) | Body::Done => {
                Contents::NONE
            }
        })
    }
}

/// The timer of rounds.
const SYNC: u64 = 0;

/// The strategy; see the module.
#[derive(Debug, Default)]
pub struct DeltaCrdt {
    config: DeltaCrdtConfig,
    map: Map,
    /// What runs here.
    running: BTreeMap<Key, Running>,
    booted: Time,
    /// Members whose rows are shown.
    shown: BTreeSet<NodeId>,
    /// The exchanges that this node began and that are not over: their numbers, and since when.
    open: BTreeMap<NodeId, (u64, Time)>,
    exchanges: u64,
}

type Cx<'a> = Context<'a, DeltaCrdtMessage>;

impl DeltaCrdt {
    /// Begins an exchange with each member with which none is open.
    fn sync(&mut self, cx: &mut Cx<'_>) {
        let (now, timeout) = (cx.now(), micros(self.config.ack_timeout));
        let is_open = |(_, since): &(u64, Time)| timeout == 0 || now.since(*since) < timeout;
        let others = cx.view().iter().filter(|node| *node != cx.node());
        let free = others.filter(|node| !self.open.get(*node).is_some_and(is_open));
        for node in free.cloned().collect::<Vec<_>>() {
            self.exchanges = self.exchanges.wrapping_add(1);
            let number = (cx.incarnation() << 32).wrapping_add(self.exchanges);
            self.open.insert(node.clone(), (number, now));
            self.send(cx, &node, number, Body::Root(self.map.root()));
        }
    }

    fn send(&self, cx: &mut Cx<'_>, to: &NodeId, number: u64, body: Body) {
        let message = DeltaCrdtMessage { number, body };
        cx.send(std::slice::from_ref(to), Channel::SYNC, message);
    }

    /// What is to be answered to a message of an exchange; none to the last.
    fn answer(&mut self, cx: &mut Cx<'_>, body: &Body) -> Option<Body> {
        let most = self.config.max_sync_size as usize;
        Some(match body {
            Body::Root(hash) if *hash == self.map.root() => Body::Done,
            Body::Root(_) => Body::Buckets(self.map.buckets()),
            Body::Buckets(theirs) => {
                let ours = self.map.buckets();
                let differ = ours.keys().chain(theirs.keys());
                let differ = differ.filter(|bucket| ours.get(bucket) != theirs.get(bucket));
                let differ: BTreeSet<u8> = differ.copied().collect();
                let (mut buckets, mut keys) = (Vec::new(), BTreeMap::new());
                for bucket in differ {
                    if keys.len() < most {
                        buckets.push(bucket);
                        keys.append(&mut self.map.keys(&[bucket]));
                    }
                }
                Body::Keys(buckets, keys)
            }
            Body::Keys(buckets, theirs) => {
                let ours = self.map.keys(buckets);
                let all: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
                let differ = all
                    .into_iter()
                    .filter(|key| ours.get(*key) != theirs.get(*key));
                let wanted = differ
                    .take(most)
                    .map(|key| (key.clone(), self.map.dots(key)));
                match wanted.collect::<Vec<_>>() {
                    wanted if wanted.is_empty() => Body::Done,
                    wanted => Body::Want(wanted),
                }
            }
            Body::Want(wanted) => {
                let told = wanted.iter().map(|(key, dots)| self.map.tell(key, dots));
                let context = match self.config.context {
                    CausalContext::Whole => self.map.context(),
                    CausalContext::Keys => Vec::new(),
                };
                Body::Diff(told.collect(), context)
            }
            Body::Diff(told, context) => {
                self.join(cx, told, context);
                Body::Done
            }
            Body::Done => return None,
        })
    }

    fn join(&mut self, cx: &mut Cx<'_>, told: &[Told], context: &[Dot]) {
        let is_small = |dot: &&Dot| dot.counter <= SEQ_MAX;
        let is_sound = |it: &&Told| {
            let dots = it.values.keys().chain(&it.removed);
            let mut children = it.values.values().map(|value| value.spec.id());
            dots.into_iter().all(|dot| is_small(&dot)) && children.all(|child| *child == it.key.1)
        };
        let told: Vec<_> = told.iter().filter(is_sound).cloned().collect();
        let context: Vec<_> = context.iter().filter(is_small).cloned().collect();
        for key in self.map.join(&told, &context) {
            if key.0 == *cx.node() {
                self.correct(cx, &key);
            }
            self.show(cx, &key);
        }
    }

    /// A row of this node came, or went: one that does not run, or runs under another pid, is written anew.
    fn correct(&mut self, cx: &mut Cx<'_>, key: &Key) {
        let runs = self.running.get(key).cloned();
        let is_right = |value: &Running| runs.as_ref().is_some_and(|runs| runs.pid == value.pid);
        if self.map.get(key).is_some_and(|value| !is_right(value)) {
            self.write(cx, key, runs);
        }
    }

    /// Replaces what is known of a key of this node.
    fn write(&mut self, cx: &Cx<'_>, key: &Key, value: Option<Running>) {
        let seq = cx.now().since(self.booted);
        let value = value.map(|value| Running { seq, ..value });
        let by = (cx.node().clone(), cx.incarnation());
        self.map.put(key, by, value);
    }

    fn show(&self, cx: &mut Cx<'_>, key: &Key) {
        if key.0 == *cx.node() || self.shown.contains(&key.0) {
            show(cx, &key.0, &key.1, self.map.get(key));
        }
    }
}

impl EventStrategy for DeltaCrdt {
    type Message = DeltaCrdtMessage;

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.booted = cx.now();
        let phase = cx.random() % micros(self.config.sync_interval).max(1);
        cx.set_timer(SYNC, Duration::from_micros(phase));
    }

    fn local_change(&mut self, cx: &mut Cx<'_>, fact: &Fact) {
        let key = (cx.node().clone(), fact.child.clone());
        let operation = Operation::of(fact, 0, self.running.get(&key));
        let runs = operation.running().cloned();
        self.write(cx, &key, runs.clone());
        match runs {
            Some(runs) => self.running.insert(key.clone(), runs),
            None => self.running.remove(&key),
        };
        show_own(cx, &key.1, self.map.get(&key), |node| {
            let node = self.shown.get(node)?;
            self.map.get(&(node.clone(), fact.child.clone()))
        });
    }

    /// Changes wait for the next round.
    fn propagate(&mut self, _cx: &mut Cx<'_>, _requests: Requests, _members: &Members) {}

    fn round(&mut self, cx: &mut Cx<'_>) {
        self.sync(cx);
    }

    fn handle_message(&mut self, cx: &mut Cx<'_>, from: &NodeId, message: &DeltaCrdtMessage) {
        if from == cx.node() {
            return;
        }
        let DeltaCrdtMessage { number, body } = message;
        match self.answer(cx, body) {
            Some(body) => self.send(cx, from, *number, body),
            None => {
                if self.open.get(from).is_some_and(|(open, _)| open == number) {
                    self.open.remove(from);
                }
            }
        }
    }

    fn handle_timer(&mut self, cx: &mut Cx<'_>, _key: u64) {
        self.sync(cx);
        cx.set_timer(SYNC, self.config.sync_interval);
    }

    fn view_changed(&mut self, cx: &mut Cx<'_>) {
        let members = cx.view().iter().filter(|node| *node != cx.node());
        let members: BTreeSet<_> = members.cloned().collect();
        let before = std::mem::replace(&mut self.shown, members);
        self.open.retain(|node, _| self.shown.contains(node));
        for node in before.difference(&self.shown) {
            for key in self.map.of(node) {
                cx.remove(&key.1, node);
            }
        }
        for node in self.shown.difference(&before) {
            for key in self.map.of(node) {
                self.show(cx, key);
            }
        }
    }

    fn peer_up(&mut self, _cx: &mut Cx<'_>, node: &NodeId, _incarnation: u64) {
        self.open.remove(node);
    }

    fn peer_down(&mut self, _cx: &mut Cx<'_>, node: &NodeId, _reason: DownReason) {
        self.open.remove(node);
    }

    fn fingerprint(&self) -> String {
        format!("{} {:?}", Self::NAME, self.config)
    }

    fn state_bytes(&self) -> u64 {
        self.map.state_bytes()
    }
}
