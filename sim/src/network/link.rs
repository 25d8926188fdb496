//! One directed link: its streams and its order.

use smallvec::SmallVec;

use crate::stream::{draw, sub_key};

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
pub(crate) fn link_draw(key: u64, channel: u8, number: u32, purpose: Draw) -> u64 {
    draw(
        sub_key(key, u64::from(channel)),
        u64::from(number) * 4 + purpose as u64,
    )
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

/// The state of one directed link: half a cache line, for as long as it carries one channel.
#[derive(Debug, Clone)]
#[repr(align(32))]
pub(crate) struct Link {
    lanes: SmallVec<[Lane; 1]>,
    /// Its values, in [`super::Network`]'s table, as of `epoch`.
    pub(crate) epoch: u32,
    pub(crate) params: u16,
    /// Whether the two ends are connected, both as they run now.
    pub(crate) connected: bool,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            lanes: SmallVec::new(),
            epoch: u32::MAX,
            params: 0,
            connected: false,
        }
    }
}

impl Link {
    fn lane(&mut self, channel: u8) -> &mut Lane {
        let at = self
            .lanes
            .iter()
            .position(|lane| lane.channel == channel)
            .unwrap_or_else(|| {
                self.lanes.push(Lane {
                    last_due: 0,
                    sent: 0,
                    channel,
                });
                self.lanes.len() - 1
            });
        &mut self.lanes[at]
    }

    /// The number of the next message on a channel; counts it.
    pub(crate) fn next_number(&mut self, channel: u8) -> u32 {
        let lane = self.lane(channel);
        lane.sent += 1;
        lane.sent - 1
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

    /// Whether nothing can be on the way any more.
    pub(crate) fn is_idle(&self, now: u64) -> bool {
        self.lanes.iter().all(|lane| lane.last_due < now)
    }

    /// Forgets who is on the way: what was dropped holds nobody back. The engine then notes
    /// those who remain.
    pub(crate) fn forget_order(&mut self) {
        for lane in &mut self.lanes {
            lane.last_due = 0;
        }
    }
}
