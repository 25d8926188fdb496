//! A directed link, as messages use it: the draws of its streams, and its order.

use super::LinkKey;
use crate::stream::{draw, sub_key};

/// The purpose of a draw for a message. Each has a stream of its own; the numbers are part of
/// what makes a seed reproducible.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Draw {
    /// Its latency.
    Latency = 0,
    /// True if it is lost.
    Loss = 1,
    /// True if it is duplicated.
    Duplicate = 2,
    /// The latency of its copy.
    CopyLatency = 3,
    /// Its place among those that are released with it.
    Release = 4,
}

/// The draws of one message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draws {
    key: u64,
    number: u32,
}

impl Draws {
    /// Those of message `number` of a channel, of the link with this key.
    pub(crate) fn new(link_key: u64, channel: u8, number: u32) -> Self {
        Self {
            key: sub_key(link_key, u64::from(channel)),
            number,
        }
    }

    pub(crate) fn get(self, purpose: Draw) -> u64 {
        draw(sub_key(self.key, purpose as u64), u64::from(self.number))
    }
}

/// The lanes of one channel, over all directed links: the counters of their streams, and their
/// order.
///
/// At 1,000 nodes a million links are touched at random, and what counts is how many fit the
/// caches: a byte of each counter, and nothing of links that keep no order.
#[derive(Debug)]
pub(crate) struct Lanes {
    channel: u8,
    /// Messages sent, by sender, then by receiver: the low byte of each count. A row is made when
    /// its sender first sends.
    low: Vec<Box<[u8]>>,
    /// The rest of each count; a row is made when a count of its sender first needs it.
    high: Vec<Box<[u32]>>,
    /// When the last message still on the way is due: no later one that keeps its place may be
    /// earlier. A row is made when a message of its sender first keeps its place.
    last_due: Vec<Box<[u64]>>,
}

/// A link's place in a table that has room for every link of a sender once it is needed.
pub(crate) fn place<T: Clone + Default>(rows: &mut [Box<[T]>], (from, to): LinkKey) -> &mut T {
    let count = rows.len();
    let row = &mut rows[from as usize];
    if row.is_empty() {
        *row = vec![T::default(); count].into();
    }
    &mut row[to as usize]
}

impl Lanes {
    pub(crate) fn new(channel: u8, nodes: usize) -> Self {
        Self {
            channel,
            low: vec![Box::default(); nodes],
            high: vec![Box::default(); nodes],
            last_due: vec![Box::default(); nodes],
        }
    }

    pub(crate) fn channel(&self) -> u8 {
        self.channel
    }

    /// How many messages were sent over a link.
    pub(crate) fn count(&self, (from, to): LinkKey) -> u32 {
        let low = self.low[from as usize].get(to as usize);
        let high = self.high[from as usize].get(to as usize);
        let (low, high) = (low.copied().unwrap_or(0), high.copied().unwrap_or(0));
        high << 8 | u32::from(low)
    }

    /// The number of the next message over a link; counts it.
    pub(crate) fn next_number(&mut self, link: LinkKey) -> u32 {
        let number = self.count(link);
        let low = place(&mut self.low, link);
        *low = low.wrapping_add(1);
        if number % 256 == 255 {
            *place(&mut self.high, link) += 1;
        }
        number
    }

    /// Notes that a message is on its way to arrive at `due`. Returns when those noted so far have
    /// all arrived: one that keeps the order arrives then.
    pub(crate) fn note(&mut self, link: LinkKey, due: u64) -> u64 {
        let last_due = place(&mut self.last_due, link);
        *last_due = due.max(*last_due);
        *last_due
    }

    /// Forgets the messages on the way over a link.
    pub(crate) fn forget_order(&mut self, (from, to): LinkKey) {
        if let Some(last_due) = self.last_due[from as usize].get_mut(to as usize) {
            *last_due = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_overtakes_those_that_were_noted() {
        let mut lanes = Lanes::new(3, 2);
        let link = (0, 1);
        for due in [0, 5, 1 << 40, u64::MAX] {
            assert_eq!(lanes.note(link, due), due);
            assert_eq!(lanes.note(link, due / 2), due);
        }
        lanes.forget_order(link);
        lanes.forget_order((1, 0));
        assert_eq!(lanes.note(link, 7), 7);
    }

    #[test]
    fn no_draw_of_a_message_is_one_of_another_message() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..100 {
            let draws = Draws::new(7, 1, number);
            for purpose in [
                Draw::Latency,
                Draw::Loss,
                Draw::Duplicate,
                Draw::CopyLatency,
                Draw::Release,
            ] {
                assert!(seen.insert(draws.get(purpose)), "{number} {purpose:?}");
            }
        }
    }

    #[test]
    fn each_link_counts_on_past_a_byte() {
        let mut lanes = Lanes::new(0, 2);
        for number in 0..1_000 {
            assert_eq!(lanes.next_number((0, 1)), number);
            assert_eq!(lanes.next_number((1, 1)), number);
            assert_eq!(lanes.count((1, 1)), number + 1);
        }
        for number in 0..300 {
            assert_eq!(lanes.next_number((0, 0)), number, "beside one that carries");
        }
    }
}
