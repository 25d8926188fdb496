//! [`OwnerLog`]: every owner numbers its changes and sends them to all; what is missing is found by
//! its number, and asked for.
//!
//! Source: ours. A row (child, node) is changed by its node alone, so one counter per owner and
//! incarnation orders all changes of its rows. A node that has the contiguous prefix of them needs no
//! tombstones, no clocks and no full snapshots.
//!
//! - A change goes to all members at once; changes of one instant are one message. Beyond
//!   `direct_limit` members it goes by way of about sqrt n relays. Each hop is acknowledged, and
//!   repeated until it is (`delivery`).
//! - An operation above a gap takes effect at once. After two round trips the missing ones are asked
//!   for: of the sender, then of the owner, then of a random member. The owner sends its log from
//!   there on; everybody else, and an owner whose log is too short, sends a snapshot in pages.
//! - Every `digest_interval` a hash over (owner, incarnation, prefix) of the members goes to a random
//!   one. Where the hashes differ, prefixes are compared, and each side gets what it lacks.
//! - A row is visible while its owner is a member, in the incarnation that is known. An owner that
//!   comes back in the same incarnation is hidden until its own head, asked for anew, is reached.
//!
//! Parameters:
//! - `digest_interval`, the time between two digests of a node; default 1 s, any positive duration.
//! - `digest_backoff_max`, the longest such time while answered digests agree; default 1 s.
//! - `direct_limit`, the most members that are sent to without relays; default 64.
//! - `log_length`, the operations that an owner keeps; default 1,024, at least 1.
//! - `page_rows`, the most rows of a page; default 512, at least 1.
//! - `keep`, how long rows of a node that is no member are kept, hidden; default 10 min.
//!
//! Cost: n - 1 messages and n - 1 acknowledgements of about 12 bytes for a change; a digest of 10
//! bytes per node and interval.
//!
//! Claims: see [`OwnerLog::claims`](crate::strategy::Strategy::claims).

mod delivery;
mod events;
mod message;
mod parameters;
mod repair;
mod replica;
#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::context::Context;
use crate::message::Channel;
use crate::name::{ChildId, NodeId};
use crate::time::{Time, micros};

use delivery::{Delivery, REPEATS};
pub use message::{Head, Operations, OwnerLogMessage};
pub use parameters::OwnerLogConfig;
pub(crate) use parameters::{CLAIMS, OWNED, exchanges, repeats};
pub(crate) use replica::{NUMBERS, Ranges, cover, covers};
pub use replica::{Operation, Page, Replica, Running};

/// The timer that sends the operations of an instant.
const FLUSH: u64 = 0;
/// The timer of digests.
const DIGEST: u64 = 1;
/// The timer of what is sent or asked for again.
const REPEAT: u64 = 2;
/// The timer of acknowledgements.
const ACK: u64 = 3;

/// How long acknowledgements are collected.
const ACK_DELAY: Duration = Duration::from_millis(1);
/// How often missing operations are asked for before digests have to find them.
const ASKS: u32 = 6;
/// Digests at a quarter of the interval after a change, a mismatch or a heal.
const QUICK: u32 = 3;
/// No counter comes near this; what claims to be above is ignored.
pub(crate) const SEQ_MAX: u64 = 1 << 60;

/// What is known of another owner.
#[derive(Debug, Default)]
struct Owner {
    replica: Replica,
    /// The highest incarnation that its connection, the membership or a message of its own told.
    known: u64,
    is_member: bool,
    was_member: bool,
    /// The token of the question for its own head, and the answer; none if rows need not wait for it.
    awaited: Option<(u64, Option<u64>)>,
    /// The highest number heard of.
    wanted: u64,
    asks: u32,
    told_by: Option<NodeId>,
    due: Option<Time>,
    /// Since when it is no member.
    gone_at: Time,
    /// Its part in the hash.
    mixed: u64,
}

impl Owner {
    fn is_visible(&self) -> bool {
        self.is_member && self.replica.incarnation() == self.known && self.awaited.is_none()
    }

    fn lacks(&self) -> bool {
        self.is_member && (self.awaited.is_some() || self.wanted > self.replica.high())
    }

    fn head(&self, node: &NodeId) -> Head {
        head_of(node, &self.replica)
    }
}

fn head_of(owner: &NodeId, replica: &Replica) -> Head {
    let (incarnation, high) = (replica.incarnation(), replica.high());
    let owner = owner.clone();
    Head {
        owner,
        incarnation,
        high,
    }
}

/// The strategy; see the module.
#[derive(Debug, Default)]
pub struct OwnerLog {
    config: OwnerLogConfig,
    own: Replica,
    log: VecDeque<Operation>,
    /// Own operations up to this one were sent.
    flushed: u64,
    owners: BTreeMap<NodeId, Owner>,
    delivery: Delivery<Operations>,
    /// Numbers and tokens given out.
    numbers: u64,
    acks: BTreeMap<NodeId, Vec<u64>>,
    asks: BTreeSet<(Time, NodeId)>,
    /// The sum of the parts of all members and of this node.
    hash: u64,
    own_mixed: u64,
    interval: Duration,
    quick: u32,
}

type Cx<'a> = Context<'a, OwnerLogMessage>;

pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn mix_name(seed: u64, name: &NodeId) -> u64 {
    let bytes = name.as_str().bytes();
    bytes.fold(seed, |hash, byte| mix(hash ^ u64::from(byte)))
}

/// The part of an owner in the hash; the same on every node.
fn mixed(owner: &NodeId, replica: &Replica) -> u64 {
    mix(mix_name(1, owner) ^ mix(replica.incarnation() ^ mix(replica.high())))
}

fn others(cx: &Cx<'_>) -> Vec<NodeId> {
    let others = cx.view().iter().filter(|node| *node != cx.node());
    others.cloned().collect()
}

/// A random member.
pub(crate) fn pick<M>(cx: &mut Context<'_, M>) -> Option<NodeId> {
    let draw = u128::from(cx.random());
    let others = || cx.view().iter().filter(|node| *node != cx.node());
    let at = usize::try_from((draw * others().count() as u128) >> 64).ok()?;
    others().nth(at).cloned()
}

/// Puts an owner's entry of a child into the registry, or takes it out. Rows whose entries agree
/// about metadata keep them once.
pub(crate) fn show<M>(
    cx: &mut Context<'_, M>,
    owner: &NodeId,
    child: &ChildId,
    running: Option<&Running>,
) {
    let Some(running) = running else {
        return cx.remove(child, owner);
    };
    let (pid, metadata) = (Some(&running.pid), &running.metadata);
    let differs = |row: crate::RowRef<'_>| !row.entries.is_empty() && row.metadata != metadata;
    if cx.registry().get(child).is_some_and(differs) {
        cx.upsert_entry(&running.spec, owner, pid, metadata);
    } else {
        cx.upsert(&running.spec, owner, pid, metadata);
    }
}

/// Shows a change of this node's own. A start replaces the metadata of the row: entries of others, which
/// are at `others`, get their own.
pub(crate) fn show_own<'a, M>(
    cx: &mut Context<'_, M>,
    child: &ChildId,
    own: Option<&Running>,
    others: impl Fn(&NodeId) -> Option<&'a Running>,
) {
    let me = cx.node().clone();
    show(cx, &me, child, own);
    let row = cx.registry().get(child).map(|row| row.entries.to_vec());
    for entry in row.unwrap_or_default() {
        if let Some(running) = others(&entry.node) {
            show(cx, &entry.node, child, Some(running));
        }
    }
}

impl OwnerLog {
    /// What this node knows of an owner.
    #[must_use]
    pub fn replica(&self, owner: &NodeId) -> Option<&Replica> {
        self.owners.get(owner).map(|owner| &owner.replica)
    }

    /// A number that this node has not used, in no incarnation.
    fn number(&mut self, cx: &Cx<'_>) -> u64 {
        self.numbers = self.numbers.wrapping_add(1);
        (cx.incarnation() << 32).wrapping_add(self.numbers).max(1)
    }

    /// The timer for what is sent or asked for again.
    fn arm(&self, cx: &mut Cx<'_>) {
        let asks = self.asks.first().map(|(due, _)| *due);
        if let Some(due) = asks.into_iter().chain(self.delivery.next()).min() {
            cx.set_timer(REPEAT, Duration::from_micros(due.since(cx.now())));
        }
    }

    /// Notes an own operation.
    fn record(&mut self, cx: &mut Cx<'_>, operation: Operation) {
        self.own.apply(&operation);
        self.log.push_back(operation);
        if self.log.len() > self.config.log_length as usize {
            self.log.pop_front();
        }
        let new = mixed(cx.node(), &self.own);
        let old = std::mem::replace(&mut self.own_mixed, new);
        self.hash = self.hash.wrapping_sub(old).wrapping_add(new);
        cx.set_timer(FLUSH, Duration::ZERO);
    }

    /// Sends the operations of this instant to all members.
    fn flush(&mut self, cx: &mut Cx<'_>) {
        let after = std::mem::replace(&mut self.flushed, self.own.high());
        self.hasten(cx);
        let mut members = others(cx);
        let Some(message) = self.suffix(cx, after) else {
            return self.send_whole(cx, &members);
        };
        if members.len() <= self.config.direct_limit as usize {
            self.deliver(cx, &members, message, 0);
        } else {
            let seed = mix_name(1, cx.node());
            members.sort_unstable_by_key(|node| mix_name(seed, node));
            let groups = members.chunks(members.len().isqrt().max(1));
            for group in groups.map(<[NodeId]>::to_vec) {
                self.deliver_to_group(cx, group, message.clone(), 0);
            }
        }
    }

    /// Sends all own rows: the log does not reach back far enough.
    fn send_whole(&self, cx: &mut Cx<'_>, to: &[NodeId]) {
        let nothing = head_of(cx.node(), &Replica::new(0));
        for node in to {
            self.answer(cx, node, std::slice::from_ref(&nothing));
        }
    }

    /// Sends to the first of a group, which forwards.
    fn deliver_to_group(
        &mut self,
        cx: &mut Cx<'_>,
        group: Vec<NodeId>,
        message: Operations,
        repeats: u32,
    ) {
        if let Some((relay, rest)) = group.split_first() {
            let group = rest.to_vec();
            self.deliver(
                cx,
                std::slice::from_ref(relay),
                Operations { group, ..message },
                repeats,
            );
        }
    }

    fn deliver(&mut self, cx: &mut Cx<'_>, to: &[NodeId], message: Operations, repeats: u32) {
        let number = self.number(cx);
        let message = Operations { number, ..message };
        cx.send(
            to,
            Channel::REQUESTS,
            OwnerLogMessage::Operations(message.clone()),
        );
        self.delivery.sent(cx.now(), number, to, message, repeats);
        self.arm(cx);
    }

    /// Sends again: a group through its next member, which has the silent relay in its own group.
    fn redeliver(&mut self, cx: &mut Cx<'_>, to: NodeId, message: Operations, repeats: u32) {
        if message.group.is_empty() {
            let to = std::slice::from_ref(&to);
            return cx.send(to, Channel::REQUESTS, OwnerLogMessage::Operations(message));
        }
        let mut group = message.group.clone();
        self.delivery.give_up(message.number, &to);
        group.push(to);
        group.retain(|node| cx.is_member(node));
        if repeats < REPEATS {
            self.deliver_to_group(cx, group, message, repeats + 1);
        }
    }

    /// Owner `node` has at least this incarnation.
    fn know(&mut self, cx: &mut Cx<'_>, node: &NodeId, incarnation: u64) {
        let now = cx.now();
        let fresh = || Owner {
            gone_at: now,
            ..Owner::default()
        };
        let owner = self.owners.entry(node.clone()).or_insert_with(fresh);
        let known = owner.known.max(incarnation);
        let before = std::mem::replace(&mut owner.known, known);
        if owner.replica.incarnation() < known {
            self.begin(cx, node, known);
        } else if before < known {
            self.settle(cx, node, None);
        }
    }

    /// Begins anew with an owner, in a later incarnation.
    fn begin(&mut self, cx: &mut Cx<'_>, node: &NodeId, incarnation: u64) {
        self.hide(cx, node);
        if let Some(owner) = self.owners.get_mut(node) {
            owner.replica = Replica::new(incarnation);
            (owner.awaited, owner.was_member, owner.wanted) = (None, owner.is_member, 0);
        }
        self.settle(cx, node, Some(Vec::new()));
    }

    fn hide(&mut self, cx: &mut Cx<'_>, node: &NodeId) {
        for child in self
            .owners
            .get(node)
            .iter()
            .flat_map(|it| it.replica.rows().keys())
        {
            cx.remove(child, node);
        }
    }

    /// Rows of an owner changed (`None`: all of them may): shows what is to be shown, and sees to
    /// what is missing.
    fn settle(&mut self, cx: &mut Cx<'_>, node: &NodeId, changed: Option<Vec<ChildId>>) {
        let rtt = self.delivery.rtt(node);
        let Some(owner) = self.owners.get_mut(node) else {
            return;
        };
        let new = if owner.is_member {
            mixed(node, &owner.replica)
        } else {
            0
        };
        let old = std::mem::replace(&mut owner.mixed, new);
        self.hash = self.hash.wrapping_sub(old).wrapping_add(new);
        let is_reached =
            |(_, high): (u64, Option<u64>)| high.is_some_and(|it| it <= owner.replica.high());
        let is_back = owner.awaited.is_some_and(is_reached);
        if is_back {
            owner.awaited = None;
        }
        if owner.is_visible() {
            let all = || owner.replica.rows().keys().cloned().collect();
            let changed = changed.filter(|_| !is_back).unwrap_or_else(all);
            for child in &changed {
                show(cx, node, child, owner.replica.rows().get(child));
            }
        }
        if !owner.lacks() {
            (owner.asks, owner.told_by) = (0, None);
            self.wait(cx, node, None);
        } else if owner.due.is_none() && owner.asks == 0 {
            self.wait(cx, node, Some(rtt.saturating_mul(2)));
        }
    }

    /// Sets when to ask for what is missing of an owner.
    fn wait(&mut self, cx: &mut Cx<'_>, node: &NodeId, delay: Option<u64>) {
        let due = delay.map(|delay| Time(cx.now().0.saturating_add(delay)));
        let Some(owner) = self.owners.get_mut(node) else {
            return;
        };
        if let Some(old) = std::mem::replace(&mut owner.due, due) {
            self.asks.remove(&(old, node.clone()));
        }
        if let Some(due) = due {
            self.asks.insert((due, node.clone()));
            self.arm(cx);
        }
    }

    /// Asks for what is missing of an owner: of the node that told of it, the owner, a random member.
    /// Only the owner knows its own head.
    fn ask(&mut self, cx: &mut Cx<'_>, node: &NodeId) {
        let random = pick(cx);
        let Some(owner) = self.owners.get_mut(node) else {
            return;
        };
        let token = owner
            .awaited
            .filter(|(_, high)| high.is_none())
            .map_or(0, |(token, _)| token);
        let told_by = owner.told_by.take().filter(|_| token == 0);
        let whom = match (told_by, random) {
            (Some(told_by), _) => told_by,
            (None, Some(random)) if token == 0 && owner.asks % 2 == 1 => random,
            (None, _) => node.clone(),
        };
        owner.asks += 1;
        let (asks, heads) = (owner.asks, vec![owner.head(node)]);
        let message = OwnerLogMessage::Heads {
            heads,
            is_whole: false,
            token: if whom == *node { token } else { 0 },
        };
        cx.send(std::slice::from_ref(&whom), Channel::SYNC, message);
        let doubled = self.delivery.patience(&whom) << (asks - 1).min(ASKS);
        let longest = micros(self.config.digest_interval).max(self.delivery.patience(&whom));
        let goes_on = token != 0 || asks < ASKS;
        self.wait(cx, node, goes_on.then_some(doubled.min(longest)));
    }

    /// Makes room for what is told of an owner in an incarnation. `false` if that is out of date, the
    /// owner is unknown, or it is this node.
    fn admit(&mut self, cx: &mut Cx<'_>, from: &NodeId, told: &Head) -> bool {
        if told.high > SEQ_MAX {
            return false;
        }
        if told.owner == *cx.node() {
            self.notice_own(cx, told);
            return false;
        }
        if told.owner == *from {
            self.know(cx, from, told.incarnation);
        } else if !cx.is_member(&told.owner) {
            cx.mark("owner_log.not_a_member");
            return false;
        }
        let Some(owner) = self.owners.get(&told.owner) else {
            return false;
        };
        if owner.replica.incarnation() < told.incarnation {
            self.begin(cx, &told.owner, told.incarnation);
        }
        let is_current = self
            .replica(&told.owner)
            .is_some_and(|it| it.incarnation() == told.incarnation);
        if !is_current {
            cx.mark("owner_log.old_incarnation");
        }
        is_current
    }

    fn handle_operations(&mut self, cx: &mut Cx<'_>, from: &NodeId, message: &Operations) {
        if message.number != 0 {
            if self.acks.is_empty() {
                cx.set_timer(ACK, ACK_DELAY);
            }
            self.acks
                .entry(from.clone())
                .or_default()
                .push(message.number);
        }
        let head = Head {
            owner: message.owner.clone(),
            incarnation: message.incarnation,
            high: message.head,
        };
        if message.operations.iter().any(|it| it.seq() > message.head)
            || !self.admit(cx, from, &head)
        {
            return;
        }
        let forward: Vec<_> = message
            .group
            .iter()
            .filter(|node| cx.is_member(node))
            .cloned()
            .collect();
        if !forward.is_empty() {
            let group = Vec::new();
            self.deliver(
                cx,
                &forward,
                Operations {
                    group,
                    ..message.clone()
                },
                0,
            );
        }
        let Some(owner) = self.owners.get_mut(&message.owner) else {
            return;
        };
        let applied = message
            .operations
            .iter()
            .filter_map(|it| owner.replica.apply(it));
        let changed = applied.collect();
        if message.head > owner.wanted.max(owner.replica.high()) {
            (owner.told_by, owner.asks) = (Some(from.clone()), 0);
        }
        owner.wanted = owner.wanted.max(message.head);
        self.settle(cx, &message.owner, Some(changed));
    }

    fn handle_page(&mut self, cx: &mut Cx<'_>, from: &NodeId, page: &Page) {
        let head = Head {
            owner: page.owner.clone(),
            incarnation: page.incarnation,
            high: page.high,
        };
        if !self.admit(cx, from, &head) {
            return;
        }
        let Some(owner) = self.owners.get_mut(&page.owner) else {
            return;
        };
        owner.wanted = owner.wanted.max(page.high);
        let changed = owner.replica.apply_page(page);
        self.settle(cx, &page.owner, Some(changed));
    }

    /// Others know more operations of this node and incarnation than it made: their numbers must not
    /// be used again.
    fn notice_own(&mut self, cx: &mut Cx<'_>, told: &Head) {
        if told.incarnation != cx.incarnation() || told.high <= self.own.high() {
            return;
        }
        cx.mark("owner_log.own_head_from_others");
        let rows: Vec<_> = self.own.rows().values().cloned().collect();
        let mut seq = told.high + 1;
        self.own = Replica::new(told.incarnation);
        let me = cx.node().clone();
        for mut page in Replica::default().pages(&me, 1) {
            (page.high, page.until) = (seq, seq);
            self.own.apply_page(&page);
        }
        self.log.clear();
        for running in rows {
            seq += 1;
            self.record(cx, Operation::Runs(Running { seq, ..running }));
        }
        self.flushed = self.own.high();
        self.log.clear();
        self.send_whole(cx, &others(cx));
    }

    fn joined(&mut self, cx: &mut Cx<'_>, node: &NodeId) {
        let incarnation = cx.incarnation_of(node).unwrap_or(0);
        self.know(cx, node, incarnation);
        let token = self.number(cx);
        let Some(owner) = self.owners.get_mut(node) else {
            return;
        };
        owner.is_member = true;
        owner.asks = 0;
        let is_back = std::mem::replace(&mut owner.was_member, true);
        owner.awaited = is_back.then_some((token, None));
        self.settle(cx, node, None);
        if is_back {
            self.ask(cx, node);
        }
    }

    fn left(&mut self, cx: &mut Cx<'_>, node: &NodeId) {
        self.hide(cx, node);
        if let Some(owner) = self.owners.get_mut(node) {
            (owner.is_member, owner.gone_at) = (false, cx.now());
        }
        self.settle(cx, node, Some(Vec::new()));
        for message in self.delivery.forget(node) {
            let group = message.group.clone();
            self.deliver_to_group(cx, group, message, 0);
        }
    }
}
