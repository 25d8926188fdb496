//! One directed link: its streams, its order, its bandwidth, its books.

use smallvec::SmallVec;

use crate::stream::{draw, sub_key};
use crate::trace::event::KindIx;

/// The draws of one message, by purpose.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Draw {
    /// Its latency.
    Latency = 0,
    /// Whether it is lost.
    Loss = 1,
    /// Whether it is duplicated.
    Duplicate = 2,
    /// The latency of its copy.
    CopyLatency = 3,
}

/// A draw for message `number` of a channel, of the link with this key.
pub(crate) fn link_draw(key: u64, channel: u8, number: u64, purpose: Draw) -> u64 {
    draw(sub_key(key, u64::from(channel)), number * 4 + purpose as u64)
}

/// One channel of a link: the counter of its stream, and its order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lane {
    /// When the last message still on the way is due; no later one may be earlier.
    last_due: u64,
    /// Messages sent, which is the number of the next one.
    sent: u32,
    channel: u8,
}

/// What became of the messages of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) kind: KindIx,
    pub(crate) sent: u32,
    pub(crate) duplicated: u32,
    pub(crate) delivered: u32,
    pub(crate) dropped: u32,
}

impl Flow {
    /// Messages on the way, by the books.
    pub(crate) fn in_flight(&self) -> u64 {
        (u64::from(self.sent) + u64::from(self.duplicated))
            .wrapping_sub(u64::from(self.delivered) + u64::from(self.dropped))
    }
}

/// The state of one directed link: one cache line, for as long as it carries one kind of message.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Link {
    lanes: SmallVec<[Lane; 1]>,
    flows: SmallVec<[Flow; 1]>,
    /// Its values, in [`super::Network`]'s table, as of `epoch`.
    pub(crate) epoch: u32,
    pub(crate) params: u16,
    /// Whether the two ends are connected, both as they run now.
    pub(crate) connected: bool,
}

impl Link {
    pub(crate) fn new(connected: bool) -> Self {
        Self { lanes: SmallVec::new(), flows: SmallVec::new(), epoch: u32::MAX, params: 0, connected }
    }

    fn lane(&mut self, channel: u8) -> &mut Lane {
        let at = self.lanes.iter().position(|lane| lane.channel == channel).unwrap_or_else(|| {
            self.lanes.push(Lane { last_due: 0, sent: 0, channel });
            self.lanes.len() - 1
        });
        &mut self.lanes[at]
    }

    /// The number of the next message on a channel; counts it.
    pub(crate) fn next_number(&mut self, channel: u8) -> u64 {
        let lane = self.lane(channel);
        lane.sent += 1;
        u64::from(lane.sent - 1)
    }

    /// When a message that could arrive at `due` may arrive on an ordered channel.
    pub(crate) fn in_order(&mut self, channel: u8, due: u64) -> u64 {
        let lane = self.lane(channel);
        lane.last_due = lane.last_due.max(due);
        lane.last_due
    }

    /// Notes that a message is on its way to arrive at `due`, which an unordered channel does
    /// not change.
    pub(crate) fn any_order(&mut self, channel: u8, due: u64) -> u64 {
        self.in_order(channel, due);
        due
    }

    /// Forgets who is on the way: what was dropped holds nobody back. The engine then notes
    /// those who remain.
    pub(crate) fn forget_order(&mut self) {
        for lane in &mut self.lanes {
            lane.last_due = 0;
        }
    }

    /// The books of one kind.
    pub(crate) fn flow(&mut self, kind: KindIx) -> &mut Flow {
        let at = self.flows.iter().position(|flow| flow.kind == kind).unwrap_or_else(|| {
            self.flows.push(Flow { kind, sent: 0, duplicated: 0, delivered: 0, dropped: 0 });
            self.flows.len() - 1
        });
        &mut self.flows[at]
    }

    /// The books of every kind.
    pub(crate) fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// Whether anything is on the way.
    pub(crate) fn is_idle(&self) -> bool {
        self.flows.iter().all(|flow| flow.in_flight() == 0)
    }
}
