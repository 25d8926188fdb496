//! The digest: BLAKE3 over the fixed binary encoding of every event.
//!
//! The encoding is written by hand, so that it depends on nothing but this file: integers are
//! LEB128, texts and lists carry their length, options and variants one byte. What is counted on
//! is told as a difference: an instant from that of the event before, a cause from the event's own
//! number, which itself is its place. Any change is SEED-BREAKING.

use hublab_strategies::{Change, ChildSpec, DownReason, Entry, Fact, Metadata, Row, TimerKey};

use super::event::{DropReason, Event, NodeSizes, Payload, StopReason};

/// Bytes that are hashed at once: as many as BLAKE3's widest instructions take.
const CHUNK: usize = 16 * 1024;

/// Room for the numbers of an event, ten bytes for the longest.
const MOST: usize = 80;

/// Room for what an event adds to a chunk that is almost full; longer texts take it up piece by
/// piece.
const ROOM: usize = 1024;

/// Hashes a trace as it is made.
#[derive(Debug, Clone)]
pub struct Digester {
    hasher: blake3::Hasher,
    /// The bytes that are not hashed yet, and room for more.
    pending: Box<[u8]>,
    len: usize,
    /// The instant of the last event.
    at: u64,
}

impl Default for Digester {
    fn default() -> Self {
        Self {
            hasher: blake3::Hasher::new(),
            pending: vec![0; CHUNK + ROOM].into(),
            len: 0,
            at: 0,
        }
    }
}

/// A few numbers, encoded with the length in a register: what every event begins with, and all that
/// events of messages have.
struct Numbers<'a> {
    bytes: &'a mut [u8; MOST],
    len: usize,
}

impl Numbers<'_> {
    #[inline(always)]
    fn byte(mut self, value: u8) -> Self {
        self.bytes[self.len] = value;
        self.len += 1;
        self
    }

    #[inline(always)]
    fn u64(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self = self.byte(low_byte(value) | 0x80);
            value >>= 7;
        }
        self.byte(low_byte(value))
    }
}

fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

impl Digester {
    /// Takes in the next event.
    ///
    /// # Panics
    /// Never: a chunk that is full was hashed by the event that filled it.
    pub fn event(&mut self, event: &Event) {
        let at = event.at.0;
        let bytes = self.pending[self.len..].first_chunk_mut();
        let head = Numbers {
            bytes: bytes.expect("a chunk that is not full"),
            len: 0,
        };
        let head = head
            .u64(at.wrapping_sub(self.at))
            .u64(event.node.wrapping_add(1).into())
            .u64(match event.cause {
                0 => 0,
                cause => event.id.wrapping_sub(cause),
            })
            .byte(tag(&event.payload));
        let numbers = if let Payload::Sent {
            to,
            kind,
            channel,
            number,
            bytes,
            hops,
            due,
            contents: _,
        } = &event.payload
        {
            let sent = head
                .u64((*to).into())
                .byte(*kind)
                .byte(*channel)
                .u64(*number)
                .u64(*bytes)
                .u64((*hops).into());
            match due {
                None => sent.byte(0),
                Some(due) => sent.byte(1).u64(due.0.wrapping_sub(at)),
            }
        } else if let Payload::Delivered {
            from,
            kind,
            number,
            contents: _,
        } = &event.payload
        {
            head.u64((*from).into()).byte(*kind).u64(*number)
        } else {
            head
        };
        self.len += numbers.len;
        self.payload(&event.payload, at);
        self.at = at;
        if self.len >= CHUNK {
            self.flush();
        }
    }

    /// The digest of the events so far.
    #[must_use]
    pub fn current(&self) -> blake3::Hash {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.pending[..self.len]);
        hasher.finalize()
    }

    /// Hashes a chunk that is full. What goes beyond it begins the next.
    fn flush(&mut self) {
        self.hasher.update(&self.pending[..CHUNK]);
        self.pending.copy_within(CHUNK..self.len, 0);
        self.len -= CHUNK;
    }

    fn bytes(&mut self, mut bytes: &[u8]) {
        loop {
            let room = &mut self.pending[self.len..];
            if let Some(room) = room.get_mut(..bytes.len()) {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
                return;
            }
            let (first, rest) = bytes.split_at(room.len());
            room.copy_from_slice(first);
            self.len += first.len();
            self.flush();
            bytes = rest;
        }
    }

    fn byte(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    fn u32(&mut self, value: u32) {
        self.u64(value.into());
    }

    fn u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(low_byte(value) | 0x80);
            value >>= 7;
        }
        self.byte(low_byte(value));
    }

    fn text(&mut self, text: &str) {
        self.u64(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    fn option<T>(&mut self, value: Option<T>, encode: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.byte(0),
            Some(value) => {
                self.byte(1);
                encode(self, value);
            }
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm per kind of event")]
    fn payload(&mut self, payload: &Payload, at: u64) {
        match payload {
            Payload::Sent { .. }
            | Payload::Delivered { .. }
            | Payload::Paused
            | Payload::Resumed => {}
            Payload::Step {
                index,
                healing,
                action,
            } => {
                self.u32(*index);
                self.byte(u8::from(*healing));
                self.text(action);
            }
            Payload::Kind { kind, name } => {
                self.byte(*kind);
                self.text(name);
            }
            Payload::Booted { name, incarnation } => {
                self.text(name.as_str());
                self.u64(*incarnation);
            }
            Payload::Stopped(reason) => {
                self.byte(match reason {
                    StopReason::Crash => 0,
                    StopReason::Leave => 1,
                });
            }
            Payload::PeerUp { peer, incarnation } => {
                self.u32(*peer);
                self.u64(*incarnation);
            }
            Payload::PeerDown { peer, reason } => {
                self.u32(*peer);
                self.byte(match reason {
                    DownReason::Closed => 0,
                    DownReason::Silent => 1,
                    DownReason::Restarted => 2,
                    DownReason::Left => 3,
                });
            }
            Payload::Duplicated {
                to,
                kind,
                number,
                due,
            } => {
                self.u32(*to);
                self.byte(*kind);
                self.u64(*number);
                self.u64(due.0.wrapping_sub(at));
            }
            Payload::Dropped {
                from,
                kind,
                number,
                reason,
                contents: _,
            } => {
                self.u32(*from);
                self.byte(*kind);
                self.u64(*number);
                self.drop_reason(*reason);
            }
            Payload::Timer(key) => self.timer(*key),
            // The row before is what the last change of that row left behind: of its entries only
            // what changed is told.
            Payload::Row {
                child,
                before,
                after,
            } => {
                self.text(child.as_str());
                match (before, after) {
                    (_, None) => self.byte(0),
                    (None, Some(after)) => {
                        self.byte(1);
                        self.row(after, &after.entries);
                    }
                    (Some(before), Some(after)) => {
                        let (head, tail) = before.entries.common_ends(&after.entries);
                        self.byte(2);
                        self.u64(head as u64);
                        self.u64(tail as u64);
                        self.row(after, &after.entries[head..after.entries.len() - tail]);
                    }
                }
            }
            Payload::View(nodes) => {
                self.u64(nodes.len() as u64);
                for node in nodes {
                    self.text(node.as_str());
                }
            }
            Payload::ChildStarted {
                child,
                pid,
                metadata,
            } => {
                self.text(child.as_str());
                self.text(pid.as_str());
                self.metadata(metadata);
            }
            Payload::ChildStopped { child, pid } => {
                self.text(child.as_str());
                self.text(pid.as_str());
            }
            Payload::Fact(fact) => self.fact(fact),
            Payload::Answered { by, results } => {
                self.text(by.as_str());
                self.u64(results.len() as u64);
                for (child, outcome) in results {
                    self.text(child.as_str());
                    self.byte(u8::from(outcome.is_ok()));
                    self.text(match outcome {
                        Ok(pid) => pid.as_str(),
                        Err(reason) => reason,
                    });
                }
            }
            Payload::Skipped { child, action } => {
                self.text(child.as_str());
                self.text(action);
            }
            Payload::Mark(text) => self.text(text),
            Payload::Panicked(text) => self.text(text),
            Payload::Connected { peer } | Payload::Disconnected { peer } => self.u32(*peer),
            Payload::Queued {
                from,
                kind,
                number,
                until,
            } => {
                self.u32(*from);
                self.byte(*kind);
                self.u64(*number);
                self.u64(until.0.wrapping_sub(at));
            }
            Payload::Sizes(NodeSizes {
                rows,
                tombstones,
                refs,
                strategy_bytes,
                queue,
            }) => {
                for size in [rows, tombstones, refs, strategy_bytes, queue] {
                    self.u64(*size);
                }
            }
            Payload::Injected { action } => self.text(action),
        }
    }

    fn drop_reason(&mut self, reason: DropReason) {
        self.byte(reason.code());
    }

    fn timer(&mut self, key: TimerKey) {
        match key {
            TimerKey::Discovery => self.byte(0),
            TimerKey::Sync => self.byte(1),
            TimerKey::Janitor => self.byte(2),
            TimerKey::Debounce => self.byte(3),
            TimerKey::Membership(number) => {
                self.byte(4);
                self.u32(number);
            }
            TimerKey::Strategy(number) => {
                self.byte(5);
                self.u64(number);
            }
        }
    }

    fn spec(&mut self, spec: &ChildSpec) {
        self.text(spec.kind());
        self.u64(spec.args().len() as u64);
        for (key, value) in spec.args() {
            self.text(key);
            self.text(value);
        }
    }

    /// A row, of its entries these.
    fn row(&mut self, row: &Row, entries: &[Entry]) {
        self.spec(&row.spec);
        self.u64(entries.len() as u64);
        for entry in entries {
            self.text(entry.node.as_str());
            self.option(entry.pid.as_ref(), |out, pid| out.text(pid.as_str()));
        }
        self.metadata(&row.metadata);
        // Nothing for a row without them; else a byte that cannot stand in front of an expiry.
        if !row.entry_metadata.is_empty() {
            self.byte(2);
            self.u64(row.entry_metadata.iter().count() as u64);
            for (node, metadata) in row.entry_metadata.iter() {
                self.text(node.as_str());
                self.metadata(metadata);
            }
        }
        self.option(row.expires_at, |out, at| out.u64(at.0));
    }

    fn metadata(&mut self, metadata: &Metadata) {
        self.u64(metadata.len() as u64);
        for (key, value) in metadata.iter() {
            self.text(key);
            self.text(value);
        }
    }

    fn fact(&mut self, fact: &Fact) {
        self.text(fact.owner.as_str());
        self.u64(fact.incarnation);
        self.u64(fact.seq);
        self.text(fact.child.as_str());
        match &fact.change {
            Change::Started {
                spec,
                pid,
                metadata,
            } => {
                self.byte(0);
                self.spec(spec);
                self.text(pid.as_str());
                self.metadata(metadata);
            }
            Change::Restarted { pid } => {
                self.byte(1);
                self.text(pid.as_str());
            }
            Change::Stopped { pid } => {
                self.byte(2);
                self.text(pid.as_str());
            }
        }
    }
}

/// The number of a kind of event.
fn tag(payload: &Payload) -> u8 {
    match payload {
        Payload::Step { .. } => 0,
        Payload::Kind { .. } => 1,
        Payload::Booted { .. } => 2,
        Payload::Stopped(_) => 3,
        Payload::Paused => 4,
        Payload::Resumed => 5,
        Payload::PeerUp { .. } => 6,
        Payload::PeerDown { .. } => 7,
        Payload::Sent { .. } => 8,
        Payload::Duplicated { .. } => 9,
        Payload::Delivered { .. } => 10,
        Payload::Dropped { .. } => 11,
        Payload::Timer(_) => 12,
        Payload::Row { .. } => 13,
        Payload::View(_) => 14,
        Payload::ChildStarted { .. } => 15,
        Payload::ChildStopped { .. } => 16,
        Payload::Fact(_) => 17,
        Payload::Answered { .. } => 18,
        Payload::Skipped { .. } => 19,
        Payload::Mark(_) => 20,
        Payload::Panicked(_) => 21,
        Payload::Connected { .. } => 22,
        Payload::Disconnected { .. } => 23,
        Payload::Queued { .. } => 24,
        Payload::Sizes(_) => 25,
        Payload::Injected { .. } => 26,
    }
}
