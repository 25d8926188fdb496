//! A trace for Perfetto: a track per node with a slice per step of the node and an instant for what
//! happens in it, flows from sendings to deliveries, and a counter of the messages that wait at a node
//! that has a service time.
//!
//! The file is a `perfetto.protos.Trace`, written field by field: the numbers below are those of the
//! published `trace_packet.proto`, `track_descriptor.proto` and `track_event.proto`. Three messages do
//! not pay for a code generator and its runtime.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most events are shown by their names alone"
)]

use std::io::{self, Write};

use hublab_sim::model::NodeIx;
use hublab_sim::trace::event::{Payload, WORLD};
use hublab_sim::trace::text::kind_of;
use hublab_sim::trace::{Event, Names};

mod field {
    pub(super) const TRACE_PACKET: u32 = 1;
    pub(super) const PACKET_TIMESTAMP: u32 = 8;
    pub(super) const PACKET_SEQUENCE: u32 = 10;
    pub(super) const PACKET_EVENT: u32 = 11;
    pub(super) const PACKET_SEQUENCE_FLAGS: u32 = 13;
    pub(super) const PACKET_TRACK: u32 = 60;
    pub(super) const TRACK_UUID: u32 = 1;
    pub(super) const TRACK_NAME: u32 = 2;
    pub(super) const TRACK_PARENT: u32 = 5;
    pub(super) const TRACK_COUNTER: u32 = 8;
    pub(super) const TRACK_ORDER: u32 = 11;
    pub(super) const TRACK_RANK: u32 = 12;
    pub(super) const EVENT_ANNOTATION: u32 = 4;
    pub(super) const EVENT_TYPE: u32 = 9;
    pub(super) const EVENT_TRACK: u32 = 11;
    pub(super) const EVENT_CATEGORY: u32 = 22;
    pub(super) const EVENT_NAME: u32 = 23;
    pub(super) const EVENT_COUNTER: u32 = 30;
    pub(super) const EVENT_FLOW: u32 = 47;
    pub(super) const EVENT_FLOW_ENDS: u32 = 48;
    pub(super) const ANNOTATION_STRING: u32 = 6;
    pub(super) const ANNOTATION_NAME: u32 = 10;
}

/// `TrackEvent.Type`.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Begin = 1,
    End = 2,
    Instant = 3,
    Counter = 4,
}

/// `TrackDescriptor.ChildTracksOrdering.EXPLICIT`: by rank.
const BY_RANK: u64 = 3;
/// `SEQ_INCREMENTAL_STATE_CLEARED`: the sequence begins here.
const CLEARED: u64 = 1;
/// The one sequence that all packets belong to.
const SEQUENCE: u64 = 1;
const ROOT: u64 = 1;

/// A message of protocol buffers, as bytes.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push((value & 0x7f) as u8);
    }

    fn number(mut self, field: u32, value: u64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(value);
        self
    }

    fn fixed(mut self, field: u32, value: u64) -> Self {
        self.varint(u64::from(field) << 3 | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    fn message(self, field: u32, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }
}

/// The writer of a file.
#[derive(Debug)]
pub(in crate::cli) struct Tracks {
    /// By node: messages that wait.
    waiting: Vec<u64>,
    /// The node whose step goes on, and when it began.
    open: Option<(u64, u64)>,
    has_begun: bool,
}

fn track(node: NodeIx) -> u64 {
    match node {
        WORLD => 2,
        node => 3 + 2 * u64::from(node),
    }
}

/// The counter of a node's waiting messages stands behind its track.
fn counter(node: NodeIx) -> u64 {
    track(node) + 1
}

impl Tracks {
    pub(in crate::cli) fn new(nodes: usize) -> Self {
        Self {
            waiting: vec![0; nodes],
            open: None,
            has_begun: false,
        }
    }

    /// Begins a file: its tracks.
    pub(in crate::cli) fn begin(
        &mut self,
        names: &Names,
        title: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let root = Message::default()
            .number(field::TRACK_UUID, ROOT)
            .text(field::TRACK_NAME, title)
            .number(field::TRACK_ORDER, BY_RANK);
        self.declare(&root, out)?;
        let child = |uuid: u64, name: &str| {
            Message::default()
                .number(field::TRACK_UUID, uuid)
                .text(field::TRACK_NAME, name)
                .number(field::TRACK_PARENT, ROOT)
                .number(field::TRACK_RANK, uuid)
        };
        self.declare(&child(track(WORLD), "script"), out)?;
        for node in (0..).take(self.waiting.len()) {
            let name = names.node(node).unwrap_or("?");
            self.declare(&child(track(node), name), out)?;
            let waiting = child(counter(node), &format!("{name}: messages waiting"));
            let waiting = waiting.message(field::TRACK_COUNTER, &Message::default());
            self.declare(&waiting, out)?;
        }
        Ok(())
    }

    /// Takes in the next event that is to be shown.
    pub(in crate::cli) fn event(
        &mut self,
        event: &Event,
        names: &Names,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let at = event.at.0.saturating_mul(1_000);
        let on = track(event.node);
        if matches!(event.payload, Payload::Kind { .. }) {
            return Ok(());
        }
        let begins = event.payload.begins_step();
        if begins
            || self.open.is_some_and(|(node, _)| node != on)
            || self.open.is_some_and(|(_, since)| since != at)
        {
            self.close(out)?;
        }
        let kind = if begins { Kind::Begin } else { Kind::Instant };
        let mut shown = Message::default()
            .number(field::EVENT_TYPE, kind as u64)
            .number(field::EVENT_TRACK, on)
            .text(field::EVENT_CATEGORY, kind_of(event))
            .text(field::EVENT_NAME, &name(event, names))
            .message(
                field::EVENT_ANNOTATION,
                &Message::default()
                    .text(field::ANNOTATION_NAME, "event")
                    .text(field::ANNOTATION_STRING, &names.line(event)),
            );
        match &event.payload {
            Payload::Sent { .. } => shown = shown.fixed(field::EVENT_FLOW, event.id),
            Payload::Delivered { .. } | Payload::Dropped { .. } => {
                shown = shown.fixed(field::EVENT_FLOW_ENDS, event.cause);
            }
            _ => {}
        }
        self.put(at, &shown, out)?;
        if begins {
            self.open = Some((on, at));
        }
        match &event.payload {
            Payload::Queued { .. } => self.count(event.node, at, true, out),
            Payload::Delivered { .. } => self.count(event.node, at, false, out),
            _ => Ok(()),
        }
    }

    /// Ends the file.
    pub(in crate::cli) fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.close(out)
    }

    fn close(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let Some((node, at)) = self.open.take() else {
            return Ok(());
        };
        let end = Message::default()
            .number(field::EVENT_TYPE, Kind::End as u64)
            .number(field::EVENT_TRACK, node);
        self.put(at, &end, out)
    }

    /// A message more or less waits at a node; at those without a service time none ever does.
    fn count(&mut self, node: NodeIx, at: u64, comes: bool, out: &mut dyn Write) -> io::Result<()> {
        let Some(waiting) = self.waiting.get_mut(node as usize) else {
            return Ok(());
        };
        let before = *waiting;
        *waiting = if comes {
            before + 1
        } else {
            before.saturating_sub(1)
        };
        if *waiting == before {
            return Ok(());
        }
        let value = Message::default()
            .number(field::EVENT_TYPE, Kind::Counter as u64)
            .number(field::EVENT_TRACK, counter(node))
            .number(field::EVENT_COUNTER, *waiting);
        self.put(at, &value, out)
    }

    fn declare(&mut self, track: &Message, out: &mut dyn Write) -> io::Result<()> {
        let packet = Message::default().message(field::PACKET_TRACK, track);
        self.packet(packet, out)
    }

    fn put(&mut self, at: u64, event: &Message, out: &mut dyn Write) -> io::Result<()> {
        let packet = Message::default()
            .number(field::PACKET_TIMESTAMP, at)
            .message(field::PACKET_EVENT, event);
        self.packet(packet, out)
    }

    fn packet(&mut self, packet: Message, out: &mut dyn Write) -> io::Result<()> {
        let mut packet = packet.number(field::PACKET_SEQUENCE, SEQUENCE);
        if !std::mem::replace(&mut self.has_begun, true) {
            packet = packet.number(field::PACKET_SEQUENCE_FLAGS, CLEARED);
        }
        let framed = Message::default().message(field::TRACE_PACKET, &packet);
        out.write_all(&framed.0)
    }
}

/// A few words for a slice.
fn name(event: &Event, names: &Names) -> String {
    let message = match &event.payload {
        Payload::Sent { kind, .. }
        | Payload::Duplicated { kind, .. }
        | Payload::Delivered { kind, .. }
        | Payload::Dropped { kind, .. }
        | Payload::Queued { kind, .. } => names.kind(*kind),
        _ => None,
    };
    let what = kind_of(event);
    match (&event.payload, message) {
        (Payload::Step { action, .. }, _) => action.to_string(),
        (_, Some(kind)) => format!("{what} {kind}"),
        (_, None) => what.to_owned(),
    }
}
