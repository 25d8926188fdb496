//! The digest: BLAKE3 over the fixed binary encoding of every event.
//!
//! The encoding is written by hand, so that it depends on nothing but this file: integers are
//! LEB128, texts and lists carry their length, options and variants one byte. What is counted on
//! is told as a difference: an instant from that of the event before, a cause from the event's own
//! number, which itself is its place. Any change is SEED-BREAKING.

use hublab_strategies::{Change, ChildSpec, DownReason, Fact, Metadata, Row, TimerKey};

use super::event::{DropReason, Event, NodeSizes, Payload, StopReason};

/// Bytes collected before they are hashed: long runs use BLAKE3's wide instructions.
const CHUNK: usize = 64 * 1024;

/// Hashes a trace as it is made.
#[derive(Debug, Clone)]
pub struct Digester {
    hasher: blake3::Hasher,
    pending: Vec<u8>,
    /// The instant of the last event.
    at: u64,
}

impl Default for Digester {
    fn default() -> Self {
        Self {
            hasher: blake3::Hasher::new(),
            pending: Vec::with_capacity(CHUNK + 1024),
            at: 0,
        }
    }
}

impl Digester {
    /// Takes in the next event.
    pub fn event(&mut self, event: &Event) {
        Encoder(&mut self.pending).event(event, self.at);
        self.at = event.at.0;
        if self.pending.len() >= CHUNK {
            self.hasher.update(&self.pending);
            self.pending.clear();
        }
    }

    /// The digest of the events so far.
    #[must_use]
    pub fn current(&self) -> blake3::Hash {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.pending);
        hasher.finalize()
    }
}

/// A few numbers, encoded with the length in a register: what every event begins with, and all that
/// events of messages have.
struct Numbers<'a> {
    bytes: &'a mut [u8; MOST],
    len: usize,
}

/// Room for the numbers of an event, ten bytes for the longest.
const MOST: usize = 80;

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

struct Encoder<'a>(&'a mut Vec<u8>);

impl Encoder<'_> {
    fn byte(&mut self, value: u8) {
        self.0.push(value);
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

    fn numbers(&mut self, numbers: &Numbers<'_>) {
        self.0.extend_from_slice(&numbers.bytes[..numbers.len]);
    }

    /// The first bytes of every event, with the number of its kind.
    fn tag(&mut self, head: Numbers<'_>, tag: u8) {
        self.numbers(&head.byte(tag));
    }

    fn text(&mut self, text: &str) {
        self.u64(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
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

    fn event(&mut self, event: &Event, last: u64) {
        let mut bytes = [0; MOST];
        let head = Numbers {
            bytes: &mut bytes,
            len: 0,
        };
        let head = head
            .u64(event.at.0.wrapping_sub(last))
            .u64(event.node.wrapping_add(1).into())
            .u64(match event.cause {
                0 => 0,
                cause => event.id.wrapping_sub(cause),
            });
        self.payload(head, &event.payload, event.at.0);
    }

    #[expect(clippy::too_many_lines, reason = "one arm per kind of event")]
    fn payload(&mut self, head: Numbers<'_>, payload: &Payload, at: u64) {
        match payload {
            Payload::Sent {
                to,
                kind,
                channel,
                number,
                bytes,
                hops,
                due,
            } => {
                let sent = head
                    .byte(8)
                    .u64((*to).into())
                    .byte(*kind)
                    .byte(*channel)
                    .u64(*number)
                    .u64(*bytes)
                    .u64((*hops).into());
                self.numbers(&match due {
                    None => sent.byte(0),
                    Some(due) => sent.byte(1).u64(due.0.wrapping_sub(at)),
                });
            }
            Payload::Delivered { from, kind, number } => {
                let delivered = head.byte(10).u64((*from).into()).byte(*kind).u64(*number);
                self.numbers(&delivered);
            }
            Payload::Step {
                index,
                healing,
                action,
            } => {
                self.tag(head, 0);
                self.u32(*index);
                self.byte(u8::from(*healing));
                self.text(action);
            }
            Payload::Kind { kind, name } => {
                self.tag(head, 1);
                self.byte(*kind);
                self.text(name);
            }
            Payload::Booted { name, incarnation } => {
                self.tag(head, 2);
                self.text(name.as_str());
                self.u64(*incarnation);
            }
            Payload::Stopped(reason) => {
                self.tag(head, 3);
                self.byte(match reason {
                    StopReason::Crash => 0,
                    StopReason::Leave => 1,
                });
            }
            Payload::Paused => self.tag(head, 4),
            Payload::Resumed => self.tag(head, 5),
            Payload::PeerUp { peer, incarnation } => {
                self.tag(head, 6);
                self.u32(*peer);
                self.u64(*incarnation);
            }
            Payload::PeerDown { peer, reason } => {
                self.tag(head, 7);
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
                self.tag(head, 9);
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
            } => {
                self.tag(head, 11);
                self.u32(*from);
                self.byte(*kind);
                self.u64(*number);
                self.drop_reason(*reason);
            }
            Payload::Timer(key) => {
                self.tag(head, 12);
                self.timer(*key);
            }
            // The row before is what the last change of that row left behind.
            Payload::Row {
                child,
                before: _,
                after,
            } => {
                self.tag(head, 13);
                self.text(child.as_str());
                self.option(after.as_deref(), Self::row);
            }
            Payload::View(nodes) => {
                self.tag(head, 14);
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
                self.tag(head, 15);
                self.text(child.as_str());
                self.text(pid.as_str());
                self.metadata(metadata);
            }
            Payload::ChildStopped { child, pid } => {
                self.tag(head, 16);
                self.text(child.as_str());
                self.text(pid.as_str());
            }
            Payload::Fact(fact) => {
                self.tag(head, 17);
                self.fact(fact);
            }
            Payload::Answered { by, results } => {
                self.tag(head, 18);
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
                self.tag(head, 19);
                self.text(child.as_str());
                self.text(action);
            }
            Payload::Mark(name) => {
                self.tag(head, 20);
                self.text(name);
            }
            Payload::Panicked(message) => {
                self.tag(head, 21);
                self.text(message);
            }
            Payload::Connected { peer } => {
                self.tag(head, 22);
                self.u32(*peer);
            }
            Payload::Disconnected { peer } => {
                self.tag(head, 23);
                self.u32(*peer);
            }
            Payload::Queued {
                from,
                kind,
                number,
                until,
            } => {
                self.tag(head, 24);
                self.u32(*from);
                self.byte(*kind);
                self.u64(*number);
                self.u64(until.0.wrapping_sub(at));
            }
            Payload::Sizes(NodeSizes {
                rows,
                tombstones,
                refs,
                queue,
            }) => {
                self.tag(head, 25);
                for size in [rows, tombstones, refs, queue] {
                    self.u64(*size);
                }
            }
            Payload::Injected { action } => {
                self.tag(head, 26);
                self.text(action);
            }
        }
    }

    fn drop_reason(&mut self, reason: DropReason) {
        self.byte(match reason {
            DropReason::Loss => 0,
            DropReason::Cut => 1,
            DropReason::Stopped => 2,
            DropReason::NotRunning => 3,
            DropReason::NotConnected => 4,
            DropReason::Down => 5,
        });
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

    fn row(&mut self, row: &Row) {
        self.spec(&row.spec);
        self.u64(row.entries.len() as u64);
        for entry in &row.entries {
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
