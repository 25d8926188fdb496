//! [`Delivery`]: messages that are sent again until they are acknowledged, hop by hop.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::NodeId;
use crate::time::Time;

/// How often a message is sent again.
pub(super) const REPEATS: u32 = 6;
/// The round trip that is assumed before one was measured, in microseconds.
const FIRST_RTT: u64 = 50_000;
/// The least time before something is sent again, in microseconds.
const LEAST_WAIT: u64 = 8_000;
/// The most messages that wait; the oldest is given up first.
const WAITING_MAX: usize = 1_024;

/// The way to a peer.
#[derive(Debug)]
struct Link {
    rtt: u64,
    /// Doublings of the wait since a round trip was last measured.
    doubled: u32,
}

#[derive(Debug)]
struct Waiting<M> {
    message: M,
    /// Who has not acknowledged it: when it was first sent, when it is due again, how often it was.
    missing: BTreeMap<NodeId, (Time, Time, u32)>,
}

/// Messages under way, by number, and the round trips to peers.
#[derive(Debug)]
pub(super) struct Delivery<M> {
    waiting: BTreeMap<u64, Waiting<M>>,
    dues: BTreeSet<(Time, u64, NodeId)>,
    links: BTreeMap<NodeId, Link>,
}

impl<M> Default for Delivery<M> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            dues: BTreeSet::new(),
            links: BTreeMap::new(),
        }
    }
}

impl<M: Clone> Delivery<M> {
    /// The round trip to a peer, in microseconds.
    pub(super) fn rtt(&self, node: &NodeId) -> u64 {
        self.links.get(node).map_or(FIRST_RTT, |link| link.rtt)
    }

    /// How long to wait for an answer of a peer, in microseconds.
    pub(super) fn patience(&self, node: &NodeId) -> u64 {
        let doubled = self.links.get(node).map_or(0, |link| link.doubled);
        let wait = self.rtt(node).saturating_mul(4).max(LEAST_WAIT);
        wait.saturating_mul(1 << doubled.min(REPEATS))
    }

    /// Notes a message that was sent to these nodes, after so many repeats.
    pub(super) fn sent(&mut self, now: Time, number: u64, to: &[NodeId], message: M, repeats: u32) {
        let mut missing = BTreeMap::new();
        for node in to {
            let due = Time(now.0.saturating_add(self.patience(node)));
            missing.insert(node.clone(), (now, due, repeats));
            self.dues.insert((due, number, node.clone()));
        }
        self.waiting.insert(number, Waiting { message, missing });
        if self.waiting.len() > WAITING_MAX
            && let Some((number, oldest)) = self.waiting.pop_first()
        {
            for (node, (_, due, _)) in oldest.missing {
                self.dues.remove(&(due, number, node));
            }
        }
    }

    /// Notes an acknowledgement. A message that was repeated measures no round trip.
    pub(super) fn acknowledged(&mut self, now: Time, from: &NodeId, number: u64) {
        let Some((sent, _, repeats)) = self.take(number, from) else {
            return;
        };
        if repeats == 0 {
            let sample = now.since(sent);
            let smooth = |link: &mut Link| {
                link.rtt = link.rtt.saturating_mul(7).saturating_add(sample) / 8;
                link.doubled = 0;
            };
            let link = self.links.entry(from.clone()).and_modify(smooth);
            link.or_insert(Link {
                rtt: sample,
                doubled: 0,
            });
        }
    }

    /// Takes one receiver off a message.
    fn take(&mut self, number: u64, node: &NodeId) -> Option<(Time, Time, u32)> {
        let waiting = self.waiting.get_mut(&number)?;
        let taken = waiting.missing.remove(node)?;
        if waiting.missing.is_empty() {
            self.waiting.remove(&number);
        }
        self.dues.remove(&(taken.1, number, node.clone()));
        Some(taken)
    }

    /// The next message that is to be sent again, with its receiver and how often it was repeated.
    /// It is no longer waited for if that was often enough.
    pub(super) fn due(&mut self, now: Time) -> Option<(NodeId, M, u32)> {
        let (_, number, node) = self.dues.first().filter(|(due, ..)| *due <= now)?.clone();
        let message = self.waiting.get(&number)?.message.clone();
        let (sent, _, repeats) = self.take(number, &node)?;
        if repeats < REPEATS {
            let link = self.links.entry(node.clone()).or_insert(Link {
                rtt: FIRST_RTT,
                doubled: 0,
            });
            link.doubled = (link.doubled + 1).min(REPEATS);
            let due = Time(now.0.saturating_add(self.patience(&node)));
            let waiting = self.waiting.entry(number).or_insert_with(|| Waiting {
                message: message.clone(),
                missing: BTreeMap::new(),
            });
            waiting
                .missing
                .insert(node.clone(), (sent, due, repeats + 1));
            self.dues.insert((due, number, node.clone()));
        }
        Some((node, message, repeats))
    }

    /// Waits for a receiver no longer.
    pub(super) fn give_up(&mut self, number: u64, node: &NodeId) {
        self.take(number, node);
    }

    /// When something is due.
    pub(super) fn next(&self) -> Option<Time> {
        self.dues.first().map(|(due, ..)| *due)
    }

    /// Forgets a peer. Returns the messages that it did not acknowledge.
    pub(super) fn forget(&mut self, node: &NodeId) -> Vec<M> {
        self.links.remove(node);
        let is_to = |(_, waiting): &(&u64, &Waiting<M>)| waiting.missing.contains_key(node);
        let lost = self.waiting.iter().filter(is_to);
        let lost: Vec<_> = lost
            .map(|(number, it)| (*number, it.message.clone()))
            .collect();
        for (number, _) in &lost {
            self.take(*number, node);
        }
        lost.into_iter().map(|(_, message)| message).collect()
    }

    /// The number of messages that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
