//! What a hub tells [`Scuttlebutt`], event by event.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Cx, GC, GOSSIP, Replica, Scuttlebutt, ScuttlebuttMessage, others};
use crate::fact::Fact;
use crate::message::Channel;
use crate::name::NodeId;
use crate::owner_log::{Operation, show_own};
use crate::request::{Members, Requests};
use crate::strategy::{EventStrategy, Strategy};
use crate::time::{Time, micros};

impl EventStrategy for Scuttlebutt {
    type Message = ScuttlebuttMessage;

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.own = Replica::new(cx.incarnation());
        let phase = cx.random() % micros(self.config.gossip_interval).max(1);
        cx.set_timer(GOSSIP, Duration::from_micros(phase));
        cx.set_timer(GC, self.config.gc_grace);
    }

    fn local_change(&mut self, cx: &mut Cx<'_>, fact: &Fact) {
        let child = &fact.child;
        let operation = Operation::of(fact, self.own.max() + 1, self.own.row(child));
        self.own.record(operation);
        show_own(cx, child, self.own.row(child), |node| {
            let owner = self.owners.get(node).filter(|it| it.is_visible())?;
            owner.replica.row(child)
        });
    }

    /// Changes wait for the next round.
    fn propagate(&mut self, _cx: &mut Cx<'_>, _requests: Requests, _members: &Members) {}

    fn round(&mut self, cx: &mut Cx<'_>) {
        self.gossip(cx);
    }

    fn handle_message(&mut self, cx: &mut Cx<'_>, from: &NodeId, message: &ScuttlebuttMessage) {
        if from == cx.node() {
            return;
        }
        let to = std::slice::from_ref(from);
        match message {
            ScuttlebuttMessage::Digest { number, heads } => {
                self.hear(cx, from, heads, None);
                let answer = ScuttlebuttMessage::Answer {
                    number: *number,
                    heads: self.heads(cx),
                    deltas: self.deltas(cx, heads),
                };
                cx.send(to, Channel::SYNC, answer);
            }
            ScuttlebuttMessage::Answer {
                number,
                heads,
                deltas,
            } => {
                self.hear(cx, from, heads, Some(*number));
                self.take(cx, deltas);
                let deltas = self.deltas(cx, heads);
                if !deltas.is_empty() {
                    cx.send(to, Channel::SYNC, ScuttlebuttMessage::Deltas(deltas));
                }
            }
            ScuttlebuttMessage::Deltas(deltas) => self.take(cx, deltas),
        }
    }

    fn handle_timer(&mut self, cx: &mut Cx<'_>, key: u64) {
        if key == GC {
            self.own.expire(self.mark);
            self.mark = self.own.max();
            cx.set_timer(GC, self.config.gc_grace);
        } else {
            self.gossip(cx);
            cx.set_timer(GOSSIP, self.config.gossip_interval);
        }
    }

    fn view_changed(&mut self, cx: &mut Cx<'_>) {
        let members: BTreeSet<_> = others(cx).into_iter().collect();
        let known = self.owners.iter().filter(|(_, owner)| owner.is_member);
        let known: BTreeSet<_> = known.map(|(node, _)| node.clone()).collect();
        for node in known.difference(&members) {
            self.left(cx, node);
        }
        for node in members.difference(&known) {
            self.joined(cx, node);
        }
    }

    fn peer_up(&mut self, cx: &mut Cx<'_>, node: &NodeId, incarnation: u64) {
        self.know(cx, node, incarnation);
    }

    fn purge(&mut self, now: Time) {
        let keep = self.config.keep;
        self.owners
            .retain(|_, owner| owner.is_member || owner.gone_at.after(keep) > now);
    }

    fn fingerprint(&self) -> String {
        format!("{} {:?}", Self::NAME, self.config)
    }

    fn state_bytes(&self) -> u64 {
        let owners = self.owners.values().map(|it| it.replica.state_bytes());
        self.own.state_bytes() + owners.sum::<u64>()
    }
}
