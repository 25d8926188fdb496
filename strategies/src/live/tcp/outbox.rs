//! What waits to be sent to one peer: a queue for each channel, one for the transport's own words,
//! and the order in which they leave.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::noise::PLAINTEXT_BYTES_MAX;
use super::record::{self, HEADER_BYTES, Tag};

/// What a queued message costs beside its bytes.
const OVERHEAD_BYTES: usize = 64;

/// A message is not begun in less room than this, unless all of it fits.
const ROOM_BYTES_MIN: usize = 256;

/// The queues of one peer. Pushing never waits; the connection's writer drains them.
pub(super) struct Outbox {
    queues: Mutex<Queues>,
    wake: Notify,
}

#[derive(Default)]
struct Queues {
    control: Queue,
    channels: BTreeMap<u8, Queue>,
    /// The channel whose turn it is, or the next above it.
    turn: u8,
    bytes: usize,
    /// No more is taken in.
    closed: bool,
    /// The record that leaves when nothing else is left.
    last: Option<Vec<u8>>,
    /// Messages that were dropped.
    dropped: usize,
    peer_bytes_max: usize,
    channel_bytes_max: usize,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// How much of the first item has left.
    sent: usize,
    bytes: usize,
}

struct Item {
    bytes: Bytes,
    /// Held back until then, by a filter.
    ready: Option<Instant>,
}

/// Why nothing was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PushError {
    /// The connection is closing.
    Closed,
    /// The peer reads too slowly: its bound is reached.
    Full,
}

/// What [`Outbox::fill`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filled {
    /// Records were appended.
    Some,
    /// Nothing may leave now; the earliest that is held back may at this time.
    Nothing(Option<Instant>),
    /// Nothing is left, and nothing more will come.
    Finished,
}

impl Outbox {
    pub(super) fn new(peer_bytes_max: usize, channel_bytes_max: usize) -> Self {
        Self {
            queues: Mutex::new(Queues {
                peer_bytes_max,
                channel_bytes_max,
                ..Queues::default()
            }),
            wake: Notify::new(),
        }
    }

    /// Queues a message on a channel.
    pub(super) fn push(
        &self,
        channel: u8,
        bytes: Bytes,
        ready: Option<Instant>,
    ) -> Result<(), PushError> {
        self.push_with(channel, bytes, |queue, bytes| queue.push(bytes, ready))
    }

    /// Queues a message that overtakes those of its channel that are held back longer.
    pub(super) fn push_unordered(
        &self,
        channel: u8,
        bytes: Bytes,
        ready: Option<Instant>,
    ) -> Result<(), PushError> {
        self.push_with(channel, bytes, |queue, bytes| queue.insert(bytes, ready))
    }

    fn push_with(
        &self,
        channel: u8,
        bytes: Bytes,
        put: impl FnOnce(&mut Queue, Bytes),
    ) -> Result<(), PushError> {
        let mut queues = self.lock();
        let bound = queues.channel_bytes_max;
        let cost = bytes.len() + OVERHEAD_BYTES;
        queues.admit(cost)?;
        let queue = queues.channels.entry(channel).or_default();
        // An empty queue takes any message: no limit is smaller than one.
        if queue.bytes > 0 && queue.bytes + cost > bound {
            return Err(PushError::Full);
        }
        put(queue, bytes);
        queues.bytes += cost;
        drop(queues);
        self.wake.notify_one();
        Ok(())
    }

    /// Queues a control record; it leaves before all messages.
    pub(super) fn push_control(
        &self,
        record: Vec<u8>,
        ready: Option<Instant>,
    ) -> Result<(), PushError> {
        let mut queues = self.lock();
        let cost = record.len() + OVERHEAD_BYTES;
        queues.admit(cost)?;
        queues.control.push(record.into(), ready);
        queues.bytes += cost;
        drop(queues);
        self.wake.notify_one();
        Ok(())
    }

    /// Appends records of at most [`PLAINTEXT_BYTES_MAX`] bytes: control first, then the channels
    /// in turn, each with all that fits.
    pub(super) fn fill(&self, now: Instant, out: &mut Vec<u8>) -> Filled {
        self.lock().fill(now, out)
    }

    /// Waits until there may be something to fill.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Takes no more in; what is queued still leaves, and then `last`.
    pub(super) fn close(&self, last: Option<Vec<u8>>) {
        let mut queues = self.lock();
        if !queues.closed {
            queues.closed = true;
            queues.last = last;
        }
        drop(queues);
        self.wake.notify_one();
    }

    /// Takes no more in, and drops what is queued.
    pub(super) fn discard(&self) {
        let mut queues = self.lock();
        queues.closed = true;
        queues.last = None;
        queues.dropped += queues.messages();
        queues.control = Queue::default();
        queues.channels = BTreeMap::new();
        queues.bytes = 0;
    }

    /// Puts what is queued, heartbeats and the like aside, in front of what another outbox holds:
    /// the connection of this one is replaced. A message that is half sent is sent again whole.
    pub(super) fn move_to(&self, other: &Self) {
        let mut queues = self.lock();
        queues.closed = true;
        queues.control = Queue::default();
        let channels = std::mem::take(&mut queues.channels);
        let bytes: usize = channels.values().map(|queue| queue.bytes).sum();
        queues.bytes = 0;
        drop(queues);
        let mut target = other.lock();
        for (id, mut moved) in channels {
            let queue = target.channels.entry(id).or_default();
            moved.sent = 0;
            moved.bytes += queue.bytes;
            moved.items.append(&mut queue.items);
            *queue = moved;
        }
        target.bytes += bytes;
        drop(target);
        other.wake.notify_one();
    }

    /// The bytes queued, with the overhead of each message.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// The messages queued.
    pub(super) fn messages(&self) -> usize {
        self.lock().messages()
    }

    /// The messages that were queued and have not been handed to the connection.
    pub(super) fn unsent(&self) -> usize {
        let queues = self.lock();
        queues.dropped + queues.messages()
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        // A panic elsewhere leaves the queues whole: no step of theirs can panic half-way.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    fn messages(&self) -> usize {
        let queues = self.channels.values();
        queues.map(|queue| queue.items.len()).sum()
    }

    fn admit(&self, cost: usize) -> Result<(), PushError> {
        if self.closed {
            return Err(PushError::Closed);
        }
        if self.bytes > 0 && self.bytes + cost > self.peer_bytes_max {
            return Err(PushError::Full);
        }
        Ok(())
    }

    fn fill(&mut self, now: Instant, out: &mut Vec<u8>) -> Filled {
        let start = out.len();
        let end = start + PLAINTEXT_BYTES_MAX;
        self.bytes -= self.control.take_control(now, end, out);
        let turn = self.turn;
        let mut first = None;
        for round in [(Included(turn), Unbounded), (Unbounded, Excluded(turn))] {
            for (id, queue) in self.channels.range_mut(round) {
                let length = out.len();
                self.bytes -= queue.take_messages(*id, now, end, out);
                if out.len() > length && first.is_none() {
                    first = Some(*id);
                }
            }
        }
        if let Some(first) = first {
            self.turn = first.wrapping_add(1);
        }
        if out.len() == start
            && self.bytes == 0
            && let Some(last) = self.last.take()
        {
            out.extend_from_slice(&last);
        }
        if out.len() > start {
            Filled::Some
        } else if self.closed && self.bytes == 0 {
            Filled::Finished
        } else {
            Filled::Nothing(self.ready())
        }
    }

    /// When the first of the messages held back may leave.
    fn ready(&self) -> Option<Instant> {
        std::iter::once(&self.control)
            .chain(self.channels.values())
            .filter_map(|queue| queue.items.front()?.ready)
            .min()
    }
}

impl Queue {
    fn push(&mut self, bytes: Bytes, ready: Option<Instant>) {
        // A message may not overtake an earlier one of its channel that is held back longer.
        let ready = self.items.back().and_then(|last| last.ready).max(ready);
        self.bytes += bytes.len() + OVERHEAD_BYTES;
        self.items.push_back(Item { bytes, ready });
    }

    /// Puts a message before those that are held back longer, but for one that is half sent.
    fn insert(&mut self, bytes: Bytes, ready: Option<Instant>) {
        let waits_longer = |item: &Item| item.ready > ready;
        let half_sent = usize::from(self.sent > 0);
        let behind = self
            .items
            .iter()
            .skip(half_sent)
            .rev()
            .take_while(|item| waits_longer(item))
            .count();
        self.bytes += bytes.len() + OVERHEAD_BYTES;
        let place = self.items.len() - behind;
        self.items.insert(place, Item { bytes, ready });
    }

    fn front(&self, now: Instant) -> Option<&Item> {
        let item = self.items.front()?;
        (item.ready.is_none_or(|ready| ready <= now)).then_some(item)
    }

    fn pop(&mut self) -> usize {
        self.sent = 0;
        let item = self.items.pop_front();
        let cost = item.map_or(0, |item| item.bytes.len() + OVERHEAD_BYTES);
        self.bytes -= cost;
        cost
    }

    /// Appends whole control records up to `end`; returns what they cost.
    fn take_control(&mut self, now: Instant, end: usize, out: &mut Vec<u8>) -> usize {
        let mut cost = 0;
        while let Some(item) = self.front(now)
            && out.len() + item.bytes.len() <= end
        {
            out.extend_from_slice(&item.bytes);
            cost += self.pop();
        }
        cost
    }

    /// Appends messages, or a part of one, up to `end`; returns the cost of those that are done.
    fn take_messages(&mut self, channel: u8, now: Instant, end: usize, out: &mut Vec<u8>) -> usize {
        let mut cost = 0;
        while let Some(item) = self.front(now) {
            let room = end.saturating_sub(out.len() + HEADER_BYTES);
            let rest = &item.bytes[self.sent..];
            if rest.len() <= room && out.len() + HEADER_BYTES <= end {
                record::put(Tag::Last, channel, rest, out);
                cost += self.pop();
            } else if room >= ROOM_BYTES_MIN {
                record::put(Tag::Part, channel, &rest[..room], out);
                self.sent += room;
                break;
            } else {
                break;
            }
        }
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(outbox: &Outbox) -> Vec<Vec<(Tag, u8, Bytes)>> {
        let mut frames = Vec::new();
        let mut plain = Vec::new();
        while outbox.fill(Instant::now(), &mut plain) == Filled::Some {
            assert!(plain.len() <= PLAINTEXT_BYTES_MAX);
            let mut frame = Bytes::from(std::mem::take(&mut plain));
            let records = std::iter::from_fn(|| record::next(&mut frame).unwrap());
            frames.push(records.collect());
        }
        frames
    }

    #[test]
    fn a_long_message_holds_up_no_other_channel() {
        let outbox = Outbox::new(1 << 20, 1 << 20);
        outbox.push(2, vec![7; 100_000].into(), None).unwrap();
        let mut plain = Vec::new();
        assert_eq!(outbox.fill(Instant::now(), &mut plain), Filled::Some);
        outbox.push(0, Bytes::from_static(b"small"), None).unwrap();
        outbox
            .push_control(record::control(&record::Control::Heartbeat), None)
            .unwrap();
        let frames = frames(&outbox);
        assert_eq!(frames[0][0].0, Tag::Control);
        assert_eq!((frames[0][1].1, &frames[0][1].2[..]), (0, &b"small"[..]));
        assert_eq!(frames[0][2].1, 2);
        assert_eq!(frames.len(), 6);
        assert_eq!((outbox.bytes(), outbox.messages()), (0, 0));
    }

    #[test]
    fn two_long_messages_take_turns() {
        let outbox = Outbox::new(1 << 20, 1 << 20);
        outbox.push(1, vec![1; 60_000].into(), None).unwrap();
        outbox.push(2, vec![2; 60_000].into(), None).unwrap();
        let firsts: Vec<u8> = frames(&outbox).iter().map(|frame| frame[0].1).collect();
        assert_eq!(firsts, [1, 2, 1, 2, 1, 2, 1, 2]);
    }

    #[test]
    fn what_is_cut_is_put_together_again_at_every_length() {
        for length in [0, 1, 16_379, 16_380, 16_381, 16_384, 32_760, 50_000] {
            let outbox = Outbox::new(1 << 20, 1 << 20);
            let sent: Bytes = (0..length).map(|at: u32| at.to_le_bytes()[0]).collect();
            outbox.push(9, sent.clone(), None).unwrap();
            outbox.push(9, sent.clone(), None).unwrap();
            let mut assembly = record::Assembly::new(1 << 20, 1 << 20);
            let mut got = Vec::new();
            for (tag, channel, body) in frames(&outbox).into_iter().flatten() {
                got.extend(assembly.take(tag == Tag::Last, channel, body).unwrap());
            }
            assert_eq!(got, [sent.clone(), sent]);
        }
    }

    #[test]
    fn each_bound_holds_and_frees_with_what_leaves() {
        let outbox = Outbox::new(1000, 600);
        let message = || Bytes::from(vec![0; 300 - OVERHEAD_BYTES]);
        assert_eq!(outbox.push(0, message(), None), Ok(()));
        assert_eq!(outbox.push(0, message(), None), Ok(()));
        assert_eq!(outbox.push(0, message(), None), Err(PushError::Full));
        assert_eq!(outbox.push(1, message(), None), Ok(()));
        assert_eq!(outbox.push(1, message(), None), Err(PushError::Full));
        frames(&outbox);
        assert_eq!(outbox.push(0, message(), None), Ok(()));
        outbox.discard();
        assert_eq!(outbox.push(0, message(), None), Err(PushError::Closed));
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn a_message_held_back_holds_its_channel_and_no_other() {
        let outbox = Outbox::new(1000, 1000);
        let later = Instant::now() + std::time::Duration::from_secs(60);
        outbox
            .push(0, Bytes::from_static(b"late"), Some(later))
            .unwrap();
        outbox.push(0, Bytes::from_static(b"behind"), None).unwrap();
        outbox.push(1, Bytes::from_static(b"now"), None).unwrap();
        let mut plain = Vec::new();
        assert_eq!(outbox.fill(Instant::now(), &mut plain), Filled::Some);
        assert_eq!(&plain[HEADER_BYTES..], b"now");
        let nothing = Filled::Nothing(Some(later));
        assert_eq!(outbox.fill(Instant::now(), &mut plain), nothing);
        plain.clear();
        assert_eq!(outbox.fill(later, &mut plain), Filled::Some);
        assert!(plain.windows(6).any(|window| window == b"behind"));
    }

    #[test]
    fn an_unordered_message_overtakes_what_is_held_back_longer() {
        let outbox = Outbox::new(1000, 1000);
        let later = Instant::now() + std::time::Duration::from_secs(60);
        let push = |text: &'static [u8], ready| {
            outbox
                .push_unordered(0, Bytes::from_static(text), ready)
                .unwrap();
        };
        push(b"late", Some(later));
        push(b"first", None);
        push(b"second", None);
        let mut plain = Vec::new();
        assert_eq!(outbox.fill(later, &mut plain), Filled::Some);
        let mut frame = Bytes::from(plain);
        let records = std::iter::from_fn(|| record::next(&mut frame).unwrap());
        let texts: Vec<Bytes> = records.map(|(_, _, body)| body).collect();
        assert_eq!(texts, ["first", "second", "late"]);
    }

    #[test]
    fn what_is_moved_leaves_first_and_whole() {
        let (old, new) = (Outbox::new(1 << 20, 1 << 20), Outbox::new(1 << 20, 1 << 20));
        old.push(1, vec![1; 20_000].into(), None).unwrap();
        let mut plain = Vec::new();
        assert_eq!(old.fill(Instant::now(), &mut plain), Filled::Some);
        old.push(0, Bytes::from_static(b"first"), None).unwrap();
        new.push(0, Bytes::from_static(b"second"), None).unwrap();
        old.move_to(&new);
        assert_eq!((old.bytes(), new.messages()), (0, 3));
        let records: Vec<_> = frames(&new).into_iter().flatten().collect();
        let small: Vec<&Bytes> = records
            .iter()
            .filter(|it| it.1 == 0)
            .map(|it| &it.2)
            .collect();
        assert_eq!(small, ["first", "second"]);
        let long: usize = records
            .iter()
            .filter(|it| it.1 == 1)
            .map(|it| it.2.len())
            .sum();
        assert_eq!((long, new.bytes()), (20_000, 0));
        assert_eq!(old.push(0, Bytes::new(), None), Err(PushError::Closed));
    }

    #[test]
    fn a_closed_outbox_finishes_once_it_is_empty() {
        let outbox = Outbox::new(1000, 1000);
        outbox.push(0, Bytes::from_static(b"last"), None).unwrap();
        outbox.close(Some(record::control(&record::Control::Leave)));
        let mut plain = Vec::new();
        assert_eq!(outbox.fill(Instant::now(), &mut plain), Filled::Some);
        plain.clear();
        assert_eq!(outbox.fill(Instant::now(), &mut plain), Filled::Some);
        assert_eq!(plain, record::control(&record::Control::Leave));
        assert_eq!(outbox.fill(Instant::now(), &mut plain), Filled::Finished);
    }
}
