//! [`Scuttlebutt`]: every owner numbers its changes; members tell each other at random how far they are,
//! and send what the other lacks.
//!
//! Source: van Renesse, Dumitriu, Gough, Thomas: "Efficient Reconciliation and Flow Control for
//! Anti-Entropy Protocols" (2008), section 3, with the collection of removals that chitchat describes. A row
//! (child, node) is changed by its node alone, so one counter per owner and incarnation orders its changes.
//!
//! - An owner keeps one entry per child: the last change, with its number. Of a child that no longer runs
//!   the removal is kept, until the owner drops it; then *gc* is its number.
//! - Every `gossip_interval` a node sends a digest to `fanout` random members: per member, itself
//!   included, (incarnation, gc, max), where *max* is the number up to which it has everything. The answer
//!   is a digest and deltas; the reply to that, if there is something to send, is deltas.
//! - A delta has the entries above the other's max in the order of their numbers, or those above 0, a
//!   *reset*, if the other's max and gc are below the sender's gc. It is cut at `max_delta_bytes`, and what
//!   is missing comes in later rounds.
//! - A delta is taken if it continues what the receiver has, or is a reset with a higher gc. Rows in its
//!   range that it does not list are gone. While a reset goes on, rows above it stay.
//! - A row is visible while its owner is a member, in the incarnation that is known. An owner that comes
//!   back in the same incarnation is asked at once, and hidden until what it has is here. What is
//!   hidden is not passed on.
//!
//! Assumed, where the sources say nothing or something else: only owners drop removals, by their own
//! clocks, and all at once every `gc_grace`, so that a reset of many deltas is not begun anew each time one
//! expires; others follow when they learn of the new gc. An owner that a digest does not list is no
//! member there, and is not sent. A reset does not clear what is shown.
//!
//! Parameters:
//! - `gossip_interval`, the time between two rounds of a node; default 1 s, any positive duration.
//! - `fanout`, the members that a round goes to; default 3, at least 1.
//! - `max_delta_bytes`, the most bytes of entries in a message; default 65,507, at least 1: one entry is
//!   always sent.
//! - `order`, whose entries come first where not all have room: `breadth` (default), owners at random, or
//!   `depth`, those with the most missing changes.
//! - `gc_grace`, how long an owner keeps removals at least; twice that at most; default 60 s, any positive
//!   duration. A node that lacks more than that gets a reset.
//! - `keep`, how long rows of a node that is no member are kept, hidden; default 10 min.
//!
//! Cost: nothing is sent for a change. Per node and interval, `fanout` digests and as many answers, of
//! about 8 bytes per member each.
//!
//! Claims: see [`Scuttlebutt::claims`](crate::strategy::Strategy::claims). It does not promise that changes
//! arrive before the next rounds, nor its bound where more is missing than one delta holds.

mod events;
mod message;
mod parameters;
mod replica;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::context::Context;
use crate::message::Channel;
use crate::name::{ChildId, NodeId};
use crate::owner_log::{Operation, SEQ_MAX, show};
use crate::time::Time;

pub use message::{Delta, Head, ScuttlebuttMessage};
pub use parameters::{Order, ScuttlebuttConfig};
pub use replica::Replica;

/// The timer of rounds.
const GOSSIP: u64 = 0;
/// The timer that drops removals.
const GC: u64 = 1;

/// What is known of another owner.
#[derive(Debug, Default)]
struct Owner {
    replica: Replica,
    /// The highest incarnation that its connection, the membership or a message of its own told.
    known: u64,
    is_member: bool,
    was_member: bool,
    /// The first digest that was sent to it since it is back, and the max that it answered; none if rows
    /// need not wait for it.
    awaited: Option<(u64, Option<u64>)>,
    /// Since when it is no member.
    gone_at: Time,
}

impl Owner {
    fn is_visible(&self) -> bool {
        self.is_member && self.replica.incarnation() == self.known && self.awaited.is_none()
    }
}

/// The strategy; see the module.
#[derive(Debug, Default)]
pub struct Scuttlebutt {
    config: ScuttlebuttConfig,
    own: Replica,
    /// The own max when removals were last dropped.
    mark: u64,
    owners: BTreeMap<NodeId, Owner>,
    /// Digests sent so far.
    digests: u64,
}

type Cx<'a> = Context<'a, ScuttlebuttMessage>;

fn others(cx: &Cx<'_>) -> Vec<NodeId> {
    let others = cx.view().iter().filter(|node| *node != cx.node());
    others.cloned().collect()
}

impl Scuttlebutt {
    /// What this node knows of an owner.
    #[must_use]
    pub fn replica(&self, owner: &NodeId) -> Option<&Replica> {
        self.owners.get(owner).map(|owner| &owner.replica)
    }

    /// How far this node is, with itself and each member.
    fn heads(&self, cx: &Cx<'_>) -> Vec<Head> {
        let members = self.owners.iter().filter(|(_, owner)| owner.is_member);
        let heads = members.map(|(node, owner)| owner.replica.head(node));
        heads.chain([self.own.head(cx.node())]).collect()
    }

    /// Sends a digest, with a number that this node has not used, in no incarnation. Returns the number.
    fn send_digest(&mut self, cx: &mut Cx<'_>, to: &[NodeId]) -> u64 {
        self.digests = self.digests.wrapping_add(1);
        let number = (cx.incarnation() << 32).wrapping_add(self.digests);
        let heads = self.heads(cx);
        let digest = ScuttlebuttMessage::Digest { number, heads };
        cx.send(to, Channel::SYNC, digest);
        number
    }

    /// A round: random members, and those whose answer is awaited.
    fn gossip(&mut self, cx: &mut Cx<'_>) {
        let others = others(cx);
        let mut to = cx.choose(&others, self.config.fanout as usize);
        for (node, owner) in &self.owners {
            let is_awaited = matches!(owner.awaited, Some((_, None)));
            if owner.is_member && is_awaited && !to.contains(node) {
                to.push(node.clone());
            }
        }
        if !to.is_empty() {
            self.send_digest(cx, &to);
        }
    }

    /// What a node lacks that is as far as `theirs` says, as far as it is here and visible.
    fn deltas(&self, cx: &mut Cx<'_>, theirs: &[Head]) -> Vec<Delta> {
        let mut lacking = Vec::new();
        for head in theirs {
            let replica = if head.owner == *cx.node() {
                &self.own
            } else {
                match self.owners.get(&head.owner).filter(|it| it.is_visible()) {
                    Some(owner) => &owner.replica,
                    None => continue,
                }
            };
            if let Some(from) = replica.start_for(head) {
                lacking.push((replica.max() - from, head, replica, from));
            }
        }
        match self.config.order {
            Order::Depth => lacking.sort_by_key(|(behind, ..)| std::cmp::Reverse(*behind)),
            Order::Breadth => {
                let mut drawn: Vec<_> = lacking.into_iter().map(|it| (cx.random(), it)).collect();
                drawn.sort_by_key(|(draw, _)| *draw);
                lacking = drawn.into_iter().map(|(_, it)| it).collect();
            }
        }
        let mut room = u64::from(self.config.max_delta_bytes);
        let mut deltas = Vec::new();
        for (_, head, replica, from) in lacking {
            let is_first = deltas.is_empty();
            let (delta, bytes) = replica.delta(&head.owner, from, room, is_first);
            room = room.saturating_sub(bytes);
            if delta.until > from {
                deltas.push(delta);
            }
        }
        deltas
    }

    /// Somebody is as far as these say; `answered` is the number of the digest that it answers.
    fn hear(&mut self, cx: &mut Cx<'_>, from: &NodeId, heads: &[Head], answered: Option<u64>) {
        for head in heads.iter().filter(|head| head.max <= SEQ_MAX) {
            if head.owner == *cx.node() {
                self.hear_of_itself(cx, head);
                continue;
            }
            if head.owner == *from {
                self.know(cx, from, head.incarnation);
            }
            let Some(owner) = self.owners.get_mut(&head.owner) else {
                continue;
            };
            if owner.replica.incarnation() != head.incarnation {
                continue;
            }
            owner.replica.collect(head.gc);
            if let Some((first, max)) = &mut owner.awaited
                && head.owner == *from
                && max.is_none()
                && answered.is_some_and(|number| *first <= number)
            {
                *max = Some(head.max);
                self.settle(cx, from, Some(Vec::new()));
            }
        }
    }

    /// Others know more changes of this node and incarnation than it made: their numbers must not be used
    /// again, and what they stand for must go.
    fn hear_of_itself(&mut self, cx: &mut Cx<'_>, head: &Head) {
        if head.incarnation != cx.incarnation() || head.max <= self.own.max() {
            return;
        }
        cx.mark("scuttlebutt.own_head_from_others");
        let rows: Vec<_> = self.own.rows().cloned().collect();
        self.own = Replica::emptied(head.incarnation, head.max + 1);
        for running in rows {
            let seq = self.own.max() + 1;
            let again = crate::owner_log::Running { seq, ..running };
            self.own.record(Operation::Runs(again));
        }
    }

    fn take(&mut self, cx: &mut Cx<'_>, deltas: &[Delta]) {
        for delta in deltas.iter().filter(|delta| delta.until <= SEQ_MAX) {
            if delta.owner == *cx.node() {
                continue;
            }
            if !cx.is_member(&delta.owner) {
                cx.mark("scuttlebutt.not_a_member");
                continue;
            }
            let incarnation = |it: &Owner| it.replica.incarnation();
            let ours = self.owners.get(&delta.owner).map(incarnation);
            if ours.is_some_and(|ours| ours < delta.incarnation) {
                self.begin(cx, &delta.owner, delta.incarnation);
            } else if ours != Some(delta.incarnation) {
                cx.mark("scuttlebutt.old_incarnation");
                continue;
            }
            if let Some(owner) = self.owners.get_mut(&delta.owner) {
                let changed = owner.replica.apply(delta);
                self.settle(cx, &delta.owner, Some(changed));
            }
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
            (owner.awaited, owner.was_member) = (None, owner.is_member);
        }
    }

    fn hide(&mut self, cx: &mut Cx<'_>, node: &NodeId) {
        for running in self
            .owners
            .get(node)
            .iter()
            .flat_map(|it| it.replica.rows())
        {
            cx.remove(running.spec.id(), node);
        }
    }

    /// Rows of an owner changed (`None`: all of them may): shows what is to be shown.
    fn settle(&mut self, cx: &mut Cx<'_>, node: &NodeId, changed: Option<Vec<ChildId>>) {
        let Some(owner) = self.owners.get_mut(node) else {
            return;
        };
        let answered = owner.awaited.and_then(|(_, max)| max);
        let is_back = answered.is_some_and(|max| max <= owner.replica.max());
        if is_back {
            owner.awaited = None;
        }
        if owner.is_visible() {
            let all = || {
                owner
                    .replica
                    .rows()
                    .map(|it| it.spec.id().clone())
                    .collect()
            };
            let changed: Vec<_> = changed.filter(|_| !is_back).unwrap_or_else(all);
            for child in &changed {
                show(cx, node, child, owner.replica.row(child));
            }
        }
    }

    fn joined(&mut self, cx: &mut Cx<'_>, node: &NodeId) {
        let incarnation = cx.incarnation_of(node).unwrap_or(0);
        self.know(cx, node, incarnation);
        let Some(owner) = self.owners.get_mut(node) else {
            return;
        };
        owner.is_member = true;
        if std::mem::replace(&mut owner.was_member, true) {
            let number = self.send_digest(cx, std::slice::from_ref(node));
            if let Some(owner) = self.owners.get_mut(node) {
                owner.awaited = Some((number, None));
            }
        } else {
            self.settle(cx, node, None);
        }
    }

    fn left(&mut self, cx: &mut Cx<'_>, node: &NodeId) {
        self.hide(cx, node);
        if let Some(owner) = self.owners.get_mut(node) {
            (owner.is_member, owner.gone_at) = (false, cx.now());
        }
    }
}
