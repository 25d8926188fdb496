//! What a message needs of its directed link: the draws of its streams, and its order.

use std::collections::BTreeMap;

use super::LinkKey;
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

/// The draws of one message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draws {
    stream: u64,
    number: u32,
}

impl Draws {
    /// Those of message `number` of a channel, of the link with this key.
    pub(crate) fn new(key: u64, channel: u8, number: u32) -> Self {
        Self {
            stream: sub_key(key, u64::from(channel)),
            number,
        }
    }

    pub(crate) fn get(self, purpose: Draw) -> u64 {
        draw(self.stream, u64::from(self.number) * 4 + purpose as u64)
    }
}

/// One channel of one directed link: the counter of its stream, and its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Lane {
    /// When the last message still on the way is due; no later one may be earlier.
    last_due: u64,
    /// Messages sent, which is the number of the next one.
    sent: u32,
}

/// A [`Lane`] in eight bytes: 40 bits of microseconds, which are twelve days, and 24 of a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Packed(u64);

impl Packed {
    const SENT_BITS: u32 = 24;
    const SENT_MASK: u64 = (1 << Self::SENT_BITS) - 1;
    /// Stands for a lane that does not fit.
    const WIDE: Self = Self(u64::MAX);

    fn new(lane: Lane) -> Self {
        let packed = lane.last_due << Self::SENT_BITS | u64::from(lane.sent);
        let packed = Self(packed);
        if packed.lane() == lane {
            packed
        } else {
            Self::WIDE
        }
    }

    fn lane(self) -> Lane {
        Lane {
            last_due: self.0 >> Self::SENT_BITS,
            sent: (self.0 & Self::SENT_MASK) as u32,
        }
    }
}

/// The lanes of one channel, over all links.
///
/// A message needs its lane and little else, so lanes are small and stand alone: at 1,000 nodes a
/// million links are touched at random, and what counts is how many fit the caches.
#[derive(Debug)]
pub(crate) struct Lanes {
    channel: u8,
    /// By sender, then by receiver; a row is made when its sender first sends.
    rows: Vec<Box<[Packed]>>,
    /// Those that are [`Packed::WIDE`].
    wide: BTreeMap<LinkKey, Lane>,
}

impl Lanes {
    pub(crate) fn new(channel: u8, nodes: usize) -> Self {
        Self {
            channel,
            rows: vec![Box::default(); nodes],
            wide: BTreeMap::new(),
        }
    }

    pub(crate) fn channel(&self) -> u8 {
        self.channel
    }

    /// The number of the next message over a link; counts it.
    pub(crate) fn next_number(&mut self, link: LinkKey) -> u32 {
        let lane = self.change(link, |lane| lane.sent += 1);
        lane.sent - 1
    }

    /// Notes that a message is on its way to arrive at `due`, or as soon after as those before it
    /// let it if it must keep its place; answers when those noted so far have all arrived.
    pub(crate) fn note(&mut self, link: LinkKey, due: u64) -> u64 {
        let lane = self.change(link, |lane| lane.last_due = lane.last_due.max(due));
        lane.last_due
    }

    /// Whether nothing can be on the way over a link any more.
    pub(crate) fn is_idle(&self, (from, to): LinkKey, now: u64) -> bool {
        let packed = self.rows[from as usize].get(to as usize);
        packed.is_none_or(|packed| self.lane(*packed, (from, to)).last_due < now)
    }

    /// Forgets who is on the way over a link.
    pub(crate) fn forget_order(&mut self, link: LinkKey) {
        if !self.rows[link.0 as usize].is_empty() {
            self.change(link, |lane| lane.last_due = 0);
        }
    }

    fn lane(&self, packed: Packed, link: LinkKey) -> Lane {
        if packed == Packed::WIDE {
            self.wide.get(&link).copied().unwrap_or_default()
        } else {
            packed.lane()
        }
    }

    fn change(&mut self, link: LinkKey, change: impl FnOnce(&mut Lane)) -> Lane {
        let (from, to) = (link.0 as usize, link.1 as usize);
        if self.rows[from].is_empty() {
            self.rows[from] = vec![Packed::default(); self.rows.len()].into();
        }
        let mut lane = self.lane(self.rows[from][to], link);
        change(&mut lane);
        let packed = Packed::new(lane);
        self.rows[from][to] = packed;
        if packed == Packed::WIDE {
            self.wide.insert(link, lane);
        }
        lane
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_does_not_fit_eight_bytes_is_as_good_as_one_that_does() {
        let last = (1 << 40) - 1;
        for due in [0, 5, last, last + 1, u64::MAX] {
            let mut lanes = Lanes::new(3, 2);
            let link = (0, 1);
            assert_eq!(lanes.note(link, due), due);
            for number in 0..3 {
                assert_eq!(lanes.next_number(link), number);
            }
            assert_eq!(lanes.note(link, due / 2), due, "nobody overtakes");
            assert!(!lanes.is_idle(link, due));
            lanes.forget_order(link);
            assert_eq!(lanes.note(link, 7), 7);
            assert_eq!(lanes.next_number(link), 3, "numbers go on");
            assert!(lanes.is_idle(link, 8) && lanes.is_idle((1, 0), 1));
        }
    }

    #[test]
    fn counting_goes_on_past_24_bits() {
        let mut lanes = Lanes::new(0, 1);
        let full = Lane {
            last_due: 9,
            sent: (1 << 24) - 1,
        };
        lanes.change((0, 0), |lane| *lane = full);
        for number in full.sent..full.sent + 3 {
            assert_eq!(lanes.next_number((0, 0)), number);
        }
        assert_eq!(lanes.note((0, 0), 3), 9);
    }
}
