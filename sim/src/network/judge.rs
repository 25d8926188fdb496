//! The network's verdict on a message: the one place that decides it, for simulated runs and for
//! live ones.

use hublab_strategies::Channel;

use super::link::{Draw, Draws};
use super::{LinkKey, Network};
use crate::model::NodeIx;
use crate::stream::unit;
use crate::trace::event::DropReason;

/// A message that a node sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing {
    /// The link it takes.
    pub(crate) link: LinkKey,
    pub(crate) channel: Channel,
    /// The length of its encoding.
    pub(crate) bytes: u64,
    /// Why the connection does not take it, if it does not. It is counted and drawn for all the
    /// same, so that it moves no draw of a later message.
    pub(crate) refused: Option<DropReason>,
}

/// The network's verdict on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// The number of the message on its link and channel: its position in their streams.
    pub(crate) number: u32,
    /// When its last byte leaves the sender.
    pub(crate) out: u64,
    /// True if it keeps its place among the messages of its link and channel.
    pub(crate) ordered: bool,
    /// True if it waits until it is released, if it is not lost; so does its copy.
    pub(crate) held: bool,
    pub(crate) verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is lost.
    Lost(DropReason),
    Arrives {
        /// When it arrives, in microseconds.
        due: u64,
        /// When its copy arrives, if the network makes one.
        copy: Option<u64>,
    },
}

/// When a receiver handles a message that has arrived, or that it drops it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// It handles it: that takes no time.
    AtOnce,
    /// It has handled it then, in microseconds.
    Until(u64),
    /// As many wait as may.
    Full,
}

impl Network {
    /// Decides what happens to a message that is sent at `now`, with the draws that belong to it.
    pub(crate) fn judge(&mut self, message: Outgoing, now: u64) -> Judgement {
        let Outgoing {
            link,
            channel,
            bytes,
            refused,
        } = message;
        let params = self.params(link, Some(channel.id));
        let number = self.lanes_mut(channel.id).next_number(link);
        let held = self.holds.takes(link, channel.id);
        let cut = self.is_cut(link.0, link.1).then_some(DropReason::Cut);
        let mut judgement = Judgement {
            number,
            out: self.departure(link, now),
            ordered: params.fifo && channel.ordered && !held,
            held,
            verdict: Verdict::Lost(DropReason::Loss),
        };
        let is_too_large = self.max_message_bytes > 0 && bytes > self.max_message_bytes;
        let too_large = (is_too_large && link.0 != link.1).then_some(DropReason::TooLarge);
        let fate = self.fates.of(link, channel.id, number);
        if let Some(reason) = refused.or(cut).or(too_large)
            && fate.lost != Some(false)
        {
            judgement.verdict = Verdict::Lost(reason);
            return judgement;
        }
        if params.bytes_per_second > 0 {
            let takes = transmission_us(bytes, params.bytes_per_second);
            judgement.out = self.occupy(link, judgement.out, takes);
        }
        let draws = Draws::new(self.link_key(link.0, link.1), channel.id, number);
        let happens = |share, purpose| share > 0.0 && unit(draws.get(purpose)) < share;
        let fate = self.fates.of(link, channel.id, number);
        if !fate
            .lost
            .unwrap_or_else(|| happens(params.loss, Draw::Loss))
        {
            let mut arrival = |at: Option<u64>, purpose| {
                let latency = || params.law.sample(draws.get(purpose));
                let due = at.map_or_else(
                    || judgement.out.saturating_add(latency()),
                    |at| at.max(judgement.out),
                );
                self.arrival(message, judgement, due)
            };
            let due = arrival(fate.at, Draw::Latency);
            let is_doubled = fate.copy_at.is_some() || happens(params.duplicate, Draw::Duplicate);
            let copy = is_doubled.then(|| arrival(fate.copy_at, Draw::CopyLatency));
            judgement.verdict = Verdict::Arrives { due, copy };
        }
        judgement
    }

    /// When a message, or its copy, arrives that could be there at `due`.
    fn arrival(&mut self, message: Outgoing, judgement: Judgement, due: u64) -> u64 {
        if judgement.ordered {
            self.lanes_mut(message.channel.id).note(message.link, due)
        } else {
            due
        }
    }

    /// When a message leaves its sender, who is busy with each for `send_gap`.
    fn departure(&mut self, (from, to): LinkKey, now: u64) -> u64 {
        let gap = self.send_gap[from as usize];
        if from == to || gap == 0 {
            return now;
        }
        let free = &mut self.free_to_send[from as usize];
        let leaves = now.max(*free);
        *free = leaves.saturating_add(gap);
        leaves
    }

    /// Puts a message that arrives at `due` into the queue of its receiver, unless the queue is full.
    pub(crate) fn serve(&mut self, node: NodeIx, due: u64) -> Service {
        let (takes, limit) = (
            self.service_time[node as usize],
            self.queue_limit[node as usize],
        );
        if takes == 0 {
            return Service::AtOnce;
        }
        let free = &mut self.free_to_serve[node as usize];
        // One of those that it has not handled yet is in service, the others wait.
        let unhandled = free.saturating_sub(due).div_ceil(takes);
        if limit > 0 && unhandled > limit {
            return Service::Full;
        }
        *free = due.max(*free).saturating_add(takes);
        Service::Until(*free)
    }

    /// A node boots: it has nothing to send and nothing to handle.
    pub(crate) fn set_free(&mut self, node: NodeIx) {
        self.free_to_send[node as usize] = 0;
        self.free_to_serve[node as usize] = 0;
    }
}

/// Time on the wire, rounded up to a whole microsecond.
fn transmission_us(bytes: u64, bytes_per_second: u64) -> u64 {
    let us = (u128::from(bytes) * 1_000_000).div_ceil(u128::from(bytes_per_second));
    u64::try_from(us).unwrap_or(u64::MAX / 4)
}
