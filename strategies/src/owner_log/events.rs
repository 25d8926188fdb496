//! What a hub tells [`OwnerLog`], event by event.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{
    ACK, Cx, DIGEST, FLUSH, NUMBERS, Operation, OwnerLog, OwnerLogMessage, Replica, SEQ_MAX, mixed,
    others, pick, show_own,
};
use crate::fact::Fact;
use crate::message::Channel;
use crate::name::NodeId;
use crate::request::{Members, Requests};
use crate::runtime::DownReason;
use crate::strategy::{EventStrategy, Strategy};
use crate::time::{Time, micros};

impl EventStrategy for OwnerLog {
    type Message = OwnerLogMessage;

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.own = Replica::new(cx.incarnation());
        self.own_mixed = mixed(cx.node(), &self.own);
        self.hash = self.own_mixed;
        self.interval = self.config.digest_interval;
        let phase = cx.random() % micros(self.interval).max(1);
        cx.set_timer(DIGEST, Duration::from_micros(phase));
    }

    fn local_change(&mut self, cx: &mut Cx<'_>, fact: &Fact) {
        let (seq, child) = (self.own.high() + 1, &fact.child);
        let operation = Operation::of(fact, seq, self.own.rows().get(child));
        self.record(cx, operation);
        show_own(cx, child, self.own.rows().get(child), |node| {
            let owner = self.owners.get(node).filter(|owner| owner.is_visible())?;
            owner.replica.rows().get(child)
        });
    }

    /// Changes are sent in the instant in which they are made.
    fn propagate(&mut self, _cx: &mut Cx<'_>, _requests: Requests, _members: &Members) {}

    fn round(&mut self, cx: &mut Cx<'_>) {
        if let Some(member) = pick(cx) {
            let message = OwnerLogMessage::Digest(self.hash);
            cx.send(&[member], Channel::SYNC, message);
        }
    }

    fn handle_message(&mut self, cx: &mut Cx<'_>, from: &NodeId, message: &OwnerLogMessage) {
        if from == cx.node() {
            return;
        }
        match message {
            OwnerLogMessage::Operations(message) => self.handle_operations(cx, from, message),
            OwnerLogMessage::Ack(numbers) => {
                for number in numbers {
                    self.delivery.acknowledged(cx.now(), from, *number);
                }
            }
            OwnerLogMessage::Heads {
                heads,
                is_whole,
                token,
            } => {
                if *token != 0 {
                    let here = OwnerLogMessage::Here {
                        incarnation: cx.incarnation(),
                        high: self.own.high(),
                        token: *token,
                    };
                    cx.send(std::slice::from_ref(from), Channel::SYNC, here);
                }
                self.handle_heads(cx, from, heads, *is_whole);
            }
            OwnerLogMessage::Here {
                incarnation,
                high,
                token,
            } => {
                let owner = self
                    .owners
                    .get_mut(from)
                    .filter(|it| it.known == *incarnation);
                let awaited = owner.and_then(|owner| {
                    owner.wanted = owner.wanted.max((*high).min(SEQ_MAX));
                    owner.awaited.as_mut()
                });
                if let Some(awaited) = awaited.filter(|awaited| awaited.0 == *token) {
                    awaited.1 = Some(*high);
                }
                self.settle(cx, from, None);
            }
            OwnerLogMessage::Pages(pages) => {
                for page in pages {
                    self.handle_page(cx, from, page);
                }
            }
            OwnerLogMessage::Digest(hash) => self.handle_digest(cx, from, *hash),
            OwnerLogMessage::Agree => {
                let doubled = self.interval.saturating_mul(2);
                let longest = self
                    .config
                    .digest_backoff_max
                    .max(self.config.digest_interval);
                self.interval = doubled.min(longest);
            }
        }
    }

    fn handle_timer(&mut self, cx: &mut Cx<'_>, key: u64) {
        match key {
            FLUSH => self.flush(cx),
            DIGEST => {
                self.round(cx);
                let is_quick = self.quick > 0;
                self.quick = self.quick.saturating_sub(1);
                let delay = if is_quick {
                    self.interval / 4
                } else {
                    self.interval
                };
                cx.set_timer(DIGEST, delay);
            }
            ACK => {
                for (node, numbers) in std::mem::take(&mut self.acks) {
                    cx.send(&[node], Channel::REQUESTS, OwnerLogMessage::Ack(numbers));
                }
            }
            _ => {
                let now = cx.now();
                while let Some((node, message, repeats)) = self.delivery.due(now) {
                    self.redeliver(cx, node, message, repeats);
                }
                let due = self.asks.iter().take_while(|(due, _)| *due <= now);
                for (due, node) in due.cloned().collect::<Vec<_>>() {
                    self.asks.remove(&(due, node.clone()));
                    self.ask(cx, &node);
                }
                self.arm(cx);
            }
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
            self.hasten(cx);
        }
        if known.is_empty()
            && let Some(member) = pick(cx)
        {
            self.send_heads(cx, &member);
        }
    }

    fn peer_up(&mut self, cx: &mut Cx<'_>, node: &NodeId, incarnation: u64) {
        self.know(cx, node, incarnation);
        if let Some(owner) = self.owners.get(node).filter(|owner| owner.is_member) {
            // A heal: both sides may lack something of each other.
            let (heads, token) = (vec![owner.head(node)], 0);
            let message = OwnerLogMessage::Heads {
                heads,
                is_whole: false,
                token,
            };
            cx.send(std::slice::from_ref(node), Channel::SYNC, message);
            self.hasten(cx);
        }
    }

    fn peer_down(&mut self, cx: &mut Cx<'_>, node: &NodeId, reason: DownReason) {
        // A later incarnation lacks everything; the present one asks when it is back.
        if reason == DownReason::Restarted {
            self.delivery.forget(node);
            self.arm(cx);
        }
    }

    fn purge(&mut self, now: Time) {
        let keep = self.config.keep;
        self.owners
            .retain(|_, owner| owner.is_member || owner.gone_at.after(keep) > now);
    }

    fn fingerprint(&self) -> String {
        format!("{} {:?}", Self::NAME, self.config)
    }

    fn refs(&self) -> usize {
        let owners = self.owners.values().map(|owner| owner.replica.refs());
        owners.sum::<usize>() + self.delivery.len()
    }

    /// The rows of all owners, and two numbers for each reference. The operations of messages under way
    /// are shared with the rows, and do not count.
    fn state_bytes(&self) -> u64 {
        let owners = self
            .owners
            .values()
            .map(|owner| owner.replica.state_bytes());
        self.own.state_bytes() + owners.sum::<u64>() + NUMBERS * self.delivery.len() as u64
    }
}
