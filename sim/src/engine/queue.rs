//! The queue: everything that will happen, in order.
//!
//! A heap that fits the caches, with four children per node instead of two, which is half the depth;
//! and, once it is full, buckets by time, unordered, for what comes later than its first event.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use dary_heap::QuaternaryHeap;

/// The kind of a queued event; the number leads to the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

#[derive(Debug, Clone, Copy)]
struct Item {
    due: u64,
    seq: u64,
    pending: Pending,
}

impl Item {
    /// Its place in the order of events, as one number: that compares without a branch.
    fn key(&self) -> u128 {
        u128::from(self.due) << 64 | u128::from(self.seq)
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// Events that the heap holds before later ones go to the buckets.
const FEW: usize = 4_096;
/// The width of a bucket is 2 to the power of so many microseconds.
const BUCKET_BITS: u32 = 6;

/// Events in the order of (due time, order of scheduling). Nothing is ever taken out of the
/// middle: who no longer wants an event forgets its number and ignores it when it comes.
#[derive(Debug, Default)]
pub struct Queue {
    heap: QuaternaryHeap<Reverse<Item>>,
    /// By due time, `BUCKET_BITS` of it left out. Each begins after the first event of the heap
    /// is due, so that event is the first of all.
    buckets: BTreeMap<u64, Vec<Item>>,
    in_buckets: usize,
    next_seq: u64,
}

impl Queue {
    /// Schedules an event and returns its number, which is never 0.
    pub fn push(&mut self, due: u64, pending: Pending) -> u64 {
        self.next_seq += 1;
        let seq = self.next_seq;
        let item = Item { due, seq, pending };
        let bucket = due >> BUCKET_BITS;
        let is_later = || self.next_due().is_some_and(|first| begin(bucket) > first);
        if self.heap.len() >= FEW && is_later() {
            self.buckets.entry(bucket).or_default().push(item);
            self.in_buckets += 1;
        } else {
            self.heap.push(Reverse(item));
        }
        seq
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
        let Reverse(item) = self.heap.pop()?;
        self.refill();
        Some((item.due, item.seq, item.pending))
    }

    /// Moves the buckets that begin before the first event of the heap, or at that instant, there.
    fn refill(&mut self) {
        while let Some(first) = self.buckets.first_entry()
            && self
                .heap
                .peek()
                .is_none_or(|Reverse(item)| begin(*first.key()) <= item.due)
        {
            let items = first.remove();
            self.in_buckets -= items.len();
            self.heap.extend(items.into_iter().map(Reverse));
        }
    }

    /// How many events wait, forgotten ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len() + self.in_buckets
    }

    /// True if nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Throws away what `keep` no longer wants.
    pub fn retain(&mut self, mut keep: impl FnMut(u64, Pending) -> bool) {
        self.heap
            .retain(|Reverse(item)| keep(item.seq, item.pending));
        self.buckets.retain(|_, items| {
            items.retain(|item| keep(item.seq, item.pending));
            !items.is_empty()
        });
        self.in_buckets = self.buckets.values().map(Vec::len).sum();
        self.refill();
    }
}

/// The first instant of a bucket.
fn begin(bucket: u64) -> u64 {
    bucket << BUCKET_BITS
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

    #[test]
    fn a_long_queue_keeps_the_order_of_a_plain_heap() {
        let mut queue = Queue::default();
        let mut plain = std::collections::BinaryHeap::new();
        let (mut now, mut drawn) = (0, 0);
        let mut random = |below: u64| {
            drawn += 1;
            crate::stream::below(crate::stream::draw(5, drawn), below)
        };
        for round in 0..40 {
            // Grows to some ten thousand events, shrinks to none, and so on.
            let grows = round % 4 < 2;
            for _ in 0..6_000 {
                if random(4) < if grows { 3 } else { 1 } {
                    let spread =
                        [1, 50, 10_000, 3_000_000][usize::try_from(random(4)).expect("small")];
                    let due = now + random(spread);
                    let seq = queue.push(due, Pending::Arrival(7));
                    plain.push(Reverse((due, seq)));
                } else if let Some((due, seq, _)) = queue.pop(u64::MAX) {
                    assert_eq!(plain.pop(), Some(Reverse((due, seq))));
                    now = due;
                }
                assert_eq!(queue.next_due(), plain.peek().map(|Reverse((due, _))| *due));
            }
            assert_eq!(queue.len(), plain.len());
            if round == 21 {
                queue.retain(|seq, _| seq % 3 > 0);
                plain.retain(|Reverse((_, seq))| seq % 3 > 0);
            }
        }
    }
}
