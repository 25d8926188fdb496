//! The queue: one ordered heap of everything that will happen.
//!
//! Four children per node instead of two: half the depth, which is what a large queue pays for.

use dary_heap::QuaternaryHeap;
use std::cmp::Reverse;

/// What will happen; the number leads to the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pending {
    /// A message arrives.
    Arrival(u32),
    /// A busy receiver has finished with a message.
    Served(u32),
    /// A timer fires.
    Timer(u32),
    /// A silence has lasted long enough.
    Silence(u32),
    /// A peer learns that a connection closed.
    Notice(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    due: u64,
    seq: u64,
    pending: Pending,
}

/// Events in the order of (due time, order of scheduling). Nothing is ever taken out of the
/// middle: who no longer wants an event forgets its number and ignores it when it comes.
#[derive(Debug, Default)]
pub struct Queue {
    heap: QuaternaryHeap<Reverse<Item>>,
    next_seq: u64,
}

impl Queue {
    /// Schedules an event and returns its number, which is never 0.
    pub fn push(&mut self, due: u64, pending: Pending) -> u64 {
        self.next_seq += 1;
        self.heap.push(Reverse(Item {
            due,
            seq: self.next_seq,
            pending,
        }));
        self.next_seq
    }

    /// When the next event is due.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(item)| item.due)
    }

    /// The next event that is due at or before `limit`: its time, number, and what it is.
    pub fn pop(&mut self, limit: u64) -> Option<(u64, u64, Pending)> {
        if self.next_due()? > limit {
            return None;
        }
        self.heap
            .pop()
            .map(|Reverse(item)| (item.due, item.seq, item.pending))
    }

    /// How many events wait, forgotten ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Throws away what `keep` no longer wants.
    pub fn retain(&mut self, mut keep: impl FnMut(u64, Pending) -> bool) {
        self.heap
            .retain(|Reverse(item)| keep(item.seq, item.pending));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_instant_come_in_the_order_of_scheduling() {
        let mut queue = Queue::default();
        queue.push(5, Pending::Timer(2));
        queue.push(5, Pending::Arrival(1));
        queue.push(4, Pending::Notice(3));
        let order: Vec<Pending> = std::iter::from_fn(|| queue.pop(10))
            .map(|(_, _, pending)| pending)
            .collect();
        assert_eq!(
            order,
            [Pending::Notice(3), Pending::Timer(2), Pending::Arrival(1)]
        );
    }

    #[test]
    fn nothing_comes_before_it_is_due() {
        let mut queue = Queue::default();
        queue.push(5, Pending::Timer(0));
        assert_eq!(queue.pop(4), None);
        assert!(queue.pop(5).is_some());
    }
}
