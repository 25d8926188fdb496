//! What is inside a sealed frame: a row of records.
//!
//! A record is a tag (0: a part of a message, 1: its last part, 2: the transport's own), the
//! channel's id, the length of its body (2, big endian), and the body. A message is cut into
//! parts, so that a long one on one channel does not hold up the others.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::name::NodeId;
use crate::wire;

/// The length of a record's header.
pub(super) const HEADER_BYTES: usize = 4;

/// The most bytes of a name or an address.
pub(super) const TEXT_BYTES_MAX: usize = 255;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Part,
    Last,
    Control,
}

impl Tag {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Part, Self::Last, Self::Control]
            .into_iter()
            .find(|tag| tag.byte() == byte)
    }

    fn byte(self) -> u8 {
        match self {
            Self::Part => 0,
            Self::Last => 1,
            Self::Control => 2,
        }
    }
}

/// What the transports say to one another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Control {
    /// The dialler's greeting: the first record of a session.
    Hello(Greeting),
    /// The answer to it: the connection stands.
    Accept,
    /// The answer to it: the connection is closed.
    Refuse(Denial),
    /// Nothing: the sender is alive.
    Heartbeat,
    /// Where other nodes may be found.
    Addresses(Vec<Place>),
    /// The sender leaves the cluster: the last record of a connection.
    Leave,
    /// Instead of a greeting: this connection takes over from the one that stands between the same
    /// boots, which ends when all that is queued there has arrived.
    Rekey(Greeting),
}

/// Who someone is. The secret proves none of it: any member may claim any name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Greeting {
    /// The node's name.
    pub(super) name: NodeId,
    /// Its boot.
    pub(super) incarnation: u64,
    /// Where it can be dialled.
    pub(super) advertise: String,
    /// What it runs.
    pub(super) strategy: StrategyMark,
}

/// Tells strategies apart: two nodes work together if theirs are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StrategyMark {
    /// The strategy's name.
    pub(super) name: String,
    /// A hash of its name and parameters.
    pub(super) hash: u64,
}

/// An address that a node advertised of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The node.
    pub(super) name: NodeId,
    /// The boot that advertised it.
    pub(super) incarnation: u64,
    /// The address.
    pub(super) address: String,
}

/// Why a listener refuses a dialler that has proved the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Denial {
    /// A node of this name is connected, and not of an earlier boot.
    NameTaken {
        /// The boot that is connected.
        seen: u64,
    },
    /// Simultaneous open; the other side's connection wins.
    Duplicate,
    /// The listener runs another strategy, or the same one with other parameters.
    Strategy(StrategyMark),
}

impl Greeting {
    /// True if all texts are of a proper length.
    pub(super) fn is_proper(&self) -> bool {
        let name = self.name.as_str().len();
        (1..=TEXT_BYTES_MAX).contains(&name)
            && self.advertise.len() <= TEXT_BYTES_MAX
            && self.strategy.name.len() <= TEXT_BYTES_MAX
    }
}

/// Why a listener refuses a dialler, in clear: a hint only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// Another protocol version.
    Version,
    /// Another hub id.
    Hub,
}

impl Code {
    /// The code as a byte; 0 is none.
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Version => 1,
            Self::Hub => 2,
        }
    }

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Version, Self::Hub]
            .into_iter()
            .find(|code| code.byte() == byte)
    }
}

/// Appends a record. `body` is shorter than 64 KiB: frames are.
pub(super) fn put(tag: Tag, channel: u8, body: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(body.len()).expect("a record fits a frame");
    out.extend_from_slice(&[tag.byte(), channel]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
}

/// A record that says something to the other transport.
pub(super) fn control(control: &Control) -> Vec<u8> {
    let mut out = Vec::new();
    put(Tag::Control, 0, &wire::encode(control), &mut out);
    out
}

/// The bytes are not what a transport of this version sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("a record with an unknown tag")]
    Tag,
    #[error("a record that is cut off")]
    CutOff,
    #[error("a control record that does not decode")]
    Control,
    #[error("a control record out of place")]
    OutOfPlace,
    #[error("a message over the limit")]
    TooLong,
}

/// The next record of a frame: `None` at its end.
pub(super) fn next(frame: &mut Bytes) -> Result<Option<(Tag, u8, Bytes)>, Malformed> {
    if frame.is_empty() {
        return Ok(None);
    }
    if frame.len() < HEADER_BYTES {
        return Err(Malformed::CutOff);
    }
    let tag = Tag::from_byte(frame.get_u8()).ok_or(Malformed::Tag)?;
    let channel = frame.get_u8();
    let length = usize::from(frame.get_u16());
    if frame.len() < length {
        return Err(Malformed::CutOff);
    }
    Ok(Some((tag, channel, frame.split_to(length))))
}

/// The only record of a frame, which the transport's own.
pub(super) fn sole_control(mut frame: Bytes) -> Result<Control, Malformed> {
    match (next(&mut frame)?, frame.is_empty()) {
        (Some((Tag::Control, _, body)), true) => decode_control(&body),
        (Some((Tag::Control | Tag::Part | Tag::Last, _, _)) | None, _) => {
            Err(Malformed::OutOfPlace)
        }
    }
}

/// What a control record says.
pub(super) fn decode_control(body: &[u8]) -> Result<Control, Malformed> {
    wire::decode(body).map_err(|_| Malformed::Control)
}

/// The parts of the messages that are not complete yet, by channel.
pub(super) struct Assembly {
    parts: BTreeMap<u8, BytesMut>,
    /// All bytes of `parts`.
    bytes: usize,
    message_bytes_max: usize,
    bytes_max: usize,
}

impl Assembly {
    /// Messages have at most `message_bytes_max` bytes; those under way, together, `bytes_max`.
    pub(super) fn new(message_bytes_max: usize, bytes_max: usize) -> Self {
        Self {
            parts: BTreeMap::new(),
            bytes: 0,
            message_bytes_max,
            bytes_max,
        }
    }

    /// Takes a part of a message, and returns the message if it was the last.
    pub(super) fn take(
        &mut self,
        last: bool,
        channel: u8,
        body: Bytes,
    ) -> Result<Option<Bytes>, Malformed> {
        let begun = self.parts.get(&channel).map_or(0, BytesMut::len);
        if begun + body.len() > self.message_bytes_max || self.bytes + body.len() > self.bytes_max {
            return Err(Malformed::TooLong);
        }
        if last && begun == 0 {
            return Ok(Some(body));
        }
        self.bytes += body.len();
        let parts = self.parts.entry(channel).or_default();
        parts.extend_from_slice(&body);
        if !last {
            return Ok(None);
        }
        let message = std::mem::take(parts).freeze();
        self.bytes -= message.len();
        Ok(Some(message))
    }
}
