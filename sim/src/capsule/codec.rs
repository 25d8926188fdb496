//! The bytes of a capsule: its prelude, its sections, its blocks. Nothing else knows them.
//!
//! Integers are little-endian. A *check* is the first 8 bytes of a BLAKE3 hash. This is the one
//! module beside the strategies' `wire` that names `bincode`.

use std::io::{self, Read};

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size,
};
use serde::{Serialize, de::DeserializeOwned};

use super::contents::Lists;
use super::{CapsuleError, VERSION};
use crate::trace::event::{Event, EventId, SCHEMA};

/// How every capsule begins: not text, and mangled by whatever treats it as text.
pub(super) const MAGIC: [u8; 8] = *b"\x89HUBLAB\n";
/// The length of magic, versions and directory.
pub(super) const PRELUDE_LEN: usize = 48;
/// Where the directory begins, with its check.
pub(super) const DIRECTORY_AT: u64 = 16;
/// The length of a block's head.
pub(super) const BLOCK_HEAD_LEN: usize = 60;
/// The length of a section's head.
pub(super) const SECTION_HEAD_LEN: u64 = 16;
/// A block ends early when its events take this many bytes.
pub(super) const BLOCK_FULL: usize = 1 << 20;
/// The most bytes of events in one block: what a full block and one huge event may take.
pub(super) const BLOCK_RAW_MAX: usize = 256 << 20;
/// The most bytes of header or footer.
pub(super) const SECTION_MAX: u64 = 64 << 20;

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<BLOCK_RAW_MAX>()
}

/// Appends the encoding of a value.
pub(super) fn put<T: Serialize>(raw: &mut Vec<u8>, value: &T) -> Result<(), CapsuleError> {
    let written = bincode::serde::encode_into_std_write(value, raw, config());
    written
        .map(drop)
        .map_err(|error| io::Error::other(error).into())
}

/// Takes a value off the bytes; `None` if they are malformed.
pub(super) fn take_value<T: DeserializeOwned>(rest: &mut &[u8]) -> Option<T> {
    let (value, used) = bincode::serde::decode_from_slice(rest, config()).ok()?;
    *rest = rest.get(used..)?;
    Some(value)
}

fn check(parts: &[&[u8]]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let mut check = [0; 8];
    hasher.finalize_xof().fill(&mut check);
    check
}

/// Cuts the first `N` bytes off.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

/// Where everything is; filled in when the run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Directory {
    /// The bytes of all events, decompressed.
    pub(super) raw_bytes: u64,
    /// The number of events.
    pub(super) events: u64,
    /// Where the footer begins.
    pub(super) footer_at: u64,
}

impl Directory {
    pub(super) fn encode(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.raw_bytes.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.events.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.footer_at.to_le_bytes());
        let check = check(&[&bytes[..24]]);
        bytes[24..].copy_from_slice(&check);
        bytes
    }
}

/// The prelude of a capsule whose directory is still to come.
pub(super) fn prelude() -> [u8; PRELUDE_LEN] {
    let mut bytes = [0; PRELUDE_LEN];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&SCHEMA.to_le_bytes());
    bytes
}

/// Reads a prelude, which may be cut off.
pub(super) fn decode_prelude(mut bytes: &[u8]) -> Result<Directory, CapsuleError> {
    let truncated = CapsuleError::Truncated {
        at: bytes.len() as u64,
    };
    if bytes.is_empty() || !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
        return Err(CapsuleError::NotACapsule);
    }
    let mut fields = || -> Option<_> {
        take::<8>(&mut bytes)?;
        let versions = [take(&mut bytes)?, take(&mut bytes)?].map(u32::from_le_bytes);
        let numbers =
            [take(&mut bytes)?, take(&mut bytes)?, take(&mut bytes)?].map(u64::from_le_bytes);
        Some((versions, numbers, take::<8>(&mut bytes)?))
    };
    let Some(([version, schema], [raw_bytes, events, footer_at], check)) = fields() else {
        return Err(truncated);
    };
    for (what, found, known) in [
        ("format", version, VERSION),
        ("event schema", schema, SCHEMA),
    ] {
        if found != known {
            return Err(CapsuleError::Version { what, found, known });
        }
    }
    let directory = Directory {
        raw_bytes,
        events,
        footer_at,
    };
    if (raw_bytes, events, footer_at, check) == (0, 0, 0, [0; 8]) {
        return Err(CapsuleError::Unfinished);
    }
    if directory.encode()[24..] != check {
        return Err(CapsuleError::Corrupt {
            at: DIRECTORY_AT,
            what: "the directory does not match its check",
        });
    }
    Ok(directory)
}

/// Header or footer: length, check, JSON.
pub(super) fn encode_section<T: Serialize>(
    what: &'static str,
    value: &T,
) -> Result<Vec<u8>, CapsuleError> {
    let json = serde_json::to_vec(value).map_err(io::Error::other)?;
    let len = json.len() as u64;
    if len > SECTION_MAX {
        return Err(CapsuleError::Oversized { what, bytes: len });
    }
    let len = len.to_le_bytes();
    Ok([&len, &check(&[&len, &json]), json.as_slice()].concat())
}

/// Reads the section that begins at `at` and must end at or before `end`. Returns where it ends.
pub(super) fn decode_section<T: DeserializeOwned>(
    source: &mut impl Read,
    at: u64,
    end: u64,
) -> Result<(T, u64), CapsuleError> {
    let corrupt = |what| CapsuleError::Corrupt { at, what };
    let begins = at
        .checked_add(SECTION_HEAD_LEN)
        .filter(|begins| *begins <= end)
        .ok_or(CapsuleError::Truncated { at })?;
    let (mut len, mut found) = ([0; 8], [0; 8]);
    read_exact(source, &mut len, at)?;
    read_exact(source, &mut found, at)?;
    let bytes = u64::from_le_bytes(len);
    if bytes > SECTION_MAX {
        return Err(corrupt("a section is too long"));
    }
    if bytes > end - begins {
        return Err(CapsuleError::Truncated { at });
    }
    let mut json = Vec::new();
    read_into(source, &mut json, bytes, begins)?;
    if check(&[&len, &json]) != found {
        return Err(corrupt("a section does not match its check"));
    }
    let value = serde_json::from_slice(&json).map_err(|_| corrupt("a section is malformed"))?;
    Ok((value, begins + bytes))
}

/// Header of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHead {
    /// The number of its first event.
    pub(super) first: EventId,
    /// How many events it has; at least 1.
    pub(super) count: u32,
    /// The bytes of its events, decompressed.
    pub(super) raw: u32,
    /// The bytes of its events in the file.
    pub(super) packed: u32,
    /// The digest of all events up to its last.
    pub(super) digest: [u8; 32],
    check: [u8; 8],
}

impl BlockHead {
    fn fields(&self) -> [u8; 52] {
        let mut bytes = [0; 52];
        bytes[..8].copy_from_slice(&self.first.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.count.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.raw.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.packed.to_le_bytes());
        bytes[20..].copy_from_slice(&self.digest);
        bytes
    }

    fn encode(&self) -> [u8; BLOCK_HEAD_LEN] {
        let mut bytes = [0; BLOCK_HEAD_LEN];
        bytes[..52].copy_from_slice(&self.fields());
        bytes[52..].copy_from_slice(&self.check);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; BLOCK_HEAD_LEN]) -> Self {
        let mut rest = bytes.as_slice();
        let mut head = || -> Option<Self> {
            Some(Self {
                first: u64::from_le_bytes(take(&mut rest)?),
                count: u32::from_le_bytes(take(&mut rest)?),
                raw: u32::from_le_bytes(take(&mut rest)?),
                packed: u32::from_le_bytes(take(&mut rest)?),
                digest: take(&mut rest)?,
                check: take(&mut rest)?,
            })
        };
        head().expect("the fields of a head add up to its length")
    }

    /// The problem with it on its own, if there is one.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let (raw, packed) = (u64::from(self.raw), u64::from(self.packed));
        if self.count == 0 || u64::from(self.count) > super::CHECKPOINT {
            Some("a block has an impossible number of events")
        } else if raw > BLOCK_RAW_MAX as u64 || raw > packed.saturating_mul(255) {
            // LZ4 cannot do better than 255 to 1: what memory a block asks for, it must bring.
            Some("a block declares more than it can hold")
        } else {
            None
        }
    }

    /// Appends an event to the bytes of a block, whose lists so far are these.
    pub(super) fn push(
        raw: &mut Vec<u8>,
        lists: &mut Lists,
        event: &Event,
    ) -> Result<(), CapsuleError> {
        put(raw, event)?;
        if let Some(contents) = event.payload.contents_field() {
            lists.put(raw, contents.as_ref())?;
        }
        match raw.len() {
            0..=BLOCK_RAW_MAX => Ok(()),
            len => Err(CapsuleError::Oversized {
                what: "an event",
                bytes: len as u64,
            }),
        }
    }
}

/// Packs blocks; keeps its buffers.
#[derive(Default)]
pub(super) struct Packer {
    packed: Vec<u8>,
    table: CompressTable,
}

impl Packer {
    /// The head of a block and its packed events.
    pub(super) fn pack(
        &mut self,
        first: EventId,
        count: u32,
        raw: &[u8],
        digest: [u8; 32],
    ) -> Result<([u8; BLOCK_HEAD_LEN], &[u8]), CapsuleError> {
        let room = get_maximum_output_size(raw.len());
        if self.packed.len() < room {
            self.packed.resize(room, 0);
        }
        let len = compress_into_with_table(raw, &mut self.packed, &mut self.table)
            .map_err(io::Error::other)?;
        let packed = &self.packed[..len];
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        let mut head = BlockHead {
            first,
            count,
            raw: length(raw)?,
            packed: length(packed)?,
            digest,
            check: [0; 8],
        };
        head.check = check(&[&head.fields(), packed]);
        Ok((head.encode(), packed))
    }
}

/// Unpacks blocks; keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Unpacker {
    packed: Vec<u8>,
    raw: Vec<u8>,
}

impl Unpacker {
    /// The events of a block whose packed bytes come next; `at` is where its head begins.
    pub(super) fn unpack(
        &mut self,
        source: &mut impl Read,
        head: &BlockHead,
        at: u64,
    ) -> Result<Vec<Event>, CapsuleError> {
        let corrupt = |what| CapsuleError::Corrupt { at, what };
        self.packed.clear();
        read_into(source, &mut self.packed, u64::from(head.packed), at)?;
        if check(&[&head.fields(), &self.packed]) != head.check {
            return Err(corrupt("a block does not match its check"));
        }
        self.raw.clear();
        self.raw.resize(head.raw as usize, 0);
        if decompress_into(&self.packed, &mut self.raw).ok() != Some(self.raw.len()) {
            return Err(corrupt("a block does not decompress to what it declares"));
        }
        let mut rest = self.raw.as_slice();
        let mut events = Vec::with_capacity(head.count as usize);
        let mut lists = Lists::default();
        for id in (head.first..).take(head.count as usize) {
            let malformed = || corrupt("an event is malformed");
            let mut event: Event = take_value(&mut rest).ok_or_else(malformed)?;
            if let Some(contents) = event.payload.contents_mut() {
                *contents = lists.take(&mut rest).ok_or_else(malformed)?;
            }
            if event.id != id || event.cause >= id {
                return Err(corrupt("an event is out of order"));
            }
            events.push(event);
        }
        if rest.is_empty() {
            Ok(events)
        } else {
            Err(corrupt("a block has bytes left over"))
        }
    }
}

/// Reads all of `buffer`; a source that ends is truncated at `at`.
pub(super) fn read_exact(
    source: &mut impl Read,
    buffer: &mut [u8],
    at: u64,
) -> Result<(), CapsuleError> {
    source.read_exact(buffer).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            CapsuleError::Truncated { at }
        } else {
            CapsuleError::Io(error)
        }
    })
}

/// Appends `len` bytes, asking for memory only as they come.
fn read_into(
    source: &mut impl Read,
    buffer: &mut Vec<u8>,
    len: u64,
    at: u64,
) -> Result<(), CapsuleError> {
    let read = source.take(len).read_to_end(buffer)? as u64;
    if read == len {
        Ok(())
    } else {
        Err(CapsuleError::Truncated { at })
    }
}

#[cfg(test)]
mod tests {
    use hublab_strategies::Time;
    use proptest::prelude::*;

    use super::*;
    use crate::capsule::{Footer, Header};
    use crate::trace::event::Payload;

    fn event(id: EventId) -> Event {
        Event {
            id,
            at: Time(id),
            node: 0,
            cause: id - 1,
            payload: Payload::Mark(format!("mark {id}").into()),
        }
    }

    fn packed(first: EventId, count: u32, raw: &[u8]) -> (BlockHead, Vec<u8>) {
        let mut packer = Packer::default();
        let (head, packed) = packer.pack(first, count, raw, [7; 32]).unwrap();
        (BlockHead::decode(&head), packed.to_vec())
    }

    fn unpack(head: &BlockHead, packed: &[u8]) -> Result<Vec<Event>, CapsuleError> {
        Unpacker::default().unpack(&mut &*packed, head, 0)
    }

    #[test]
    fn a_block_gives_back_its_events() {
        let events: Vec<Event> = (5..9).map(event).collect();
        let (mut raw, mut lists) = (Vec::new(), Lists::default());
        events
            .iter()
            .for_each(|event| BlockHead::push(&mut raw, &mut lists, event).unwrap());
        let (head, packed) = packed(5, 4, &raw);
        assert_eq!(head.fault(), None);
        assert_eq!(unpack(&head, &packed).unwrap(), events);
    }

    #[test]
    fn a_block_with_another_number_of_events_than_it_says_is_corrupt() {
        let (mut raw, mut lists) = (Vec::new(), Lists::default());
        (1..4).for_each(|id| BlockHead::push(&mut raw, &mut lists, &event(id)).unwrap());
        for (first, count) in [(1, 2), (1, 4), (2, 3)] {
            let (head, packed) = packed(first, count, &raw);
            assert!(
                matches!(unpack(&head, &packed), Err(CapsuleError::Corrupt { .. })),
                "{first} {count}"
            );
        }
    }

    #[test]
    fn an_event_caused_by_a_later_one_is_corrupt() {
        let (mut raw, mut lists) = (Vec::new(), Lists::default());
        BlockHead::push(
            &mut raw,
            &mut lists,
            &Event {
                cause: 1,
                ..event(1)
            },
        )
        .unwrap();
        let (head, packed) = packed(1, 1, &raw);
        assert!(matches!(
            unpack(&head, &packed),
            Err(CapsuleError::Corrupt { .. })
        ));
    }

    #[test]
    fn a_block_that_asks_for_more_memory_than_it_can_fill_is_faulty() {
        let (head, _) = packed(1, 1, &[0; 100]);
        assert_eq!(head.fault(), None);
        assert!(
            BlockHead {
                raw: u32::MAX,
                packed: u32::MAX,
                ..head
            }
            .fault()
            .is_some()
        );
        assert!(
            BlockHead {
                raw: head.packed * 255 + 1,
                ..head
            }
            .fault()
            .is_some()
        );
        assert!(BlockHead { count: 0, ..head }.fault().is_some());
        assert!(
            BlockHead {
                count: 1_025,
                ..head
            }
            .fault()
            .is_some()
        );
    }

    #[test]
    fn a_section_longer_than_its_file_is_truncated() {
        let section = encode_section("a text", &"text").unwrap();
        let read = |bytes: &[u8], end| {
            decode_section::<String>(&mut &*bytes, 0, end).map(|(text, _)| text)
        };
        let len = section.len() as u64;
        assert_eq!(read(&section, len).unwrap(), "text");
        assert!(matches!(
            read(&section, len - 1),
            Err(CapsuleError::Truncated { .. })
        ));
        assert!(matches!(
            read(&section[..20], len),
            Err(CapsuleError::Truncated { .. })
        ));
        let huge = [&u64::MAX.to_le_bytes(), &section[8..]].concat();
        assert!(matches!(
            read(&huge, u64::MAX),
            Err(CapsuleError::Corrupt { .. })
        ));
    }

    proptest! {
        // Checks are no secret: whoever forges a capsule can make them fit.

        #[test]
        fn no_bytes_behind_a_fitting_check_make_a_block_panic(raw in prop::collection::vec(any::<u8>(), 0..300), count in 1..5_u32) {
            let (head, packed) = packed(1, count, &raw);
            let _ = unpack(&head, &packed);
        }

        #[test]
        fn no_change_behind_a_fitting_check_makes_a_block_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let (mut raw, mut lists) = (Vec::new(), Lists::default());
            (1..4).for_each(|id| BlockHead::push(&mut raw, &mut lists, &event(id)).unwrap());
            let at = at.index(raw.len());
            raw[at] = byte;
            let (head, packed) = packed(1, 3, &raw);
            let _ = unpack(&head, &packed);
        }

        #[test]
        fn no_packed_bytes_behind_a_fitting_check_make_a_block_panic(packed in prop::collection::vec(any::<u8>(), 0..100), raw in 0..10_000_u32) {
            let mut head = BlockHead { first: 1, count: 1, raw, packed: 0, digest: [0; 32], check: [0; 8] };
            head.packed = u32::try_from(packed.len()).unwrap();
            head.check = check(&[&head.fields(), &packed]);
            prop_assert!(unpack(&head, &packed).is_err());
        }

        #[test]
        fn no_text_behind_a_fitting_check_makes_a_section_panic(text in ".{0,200}") {
            let len = (text.len() as u64).to_le_bytes();
            let section = [&len, &check(&[&len, text.as_bytes()]), text.as_bytes()].concat();
            prop_assert!(decode_section::<Header>(&mut section.as_slice(), 0, section.len() as u64).is_err());
            prop_assert!(decode_section::<Footer>(&mut section.as_slice(), 0, section.len() as u64).is_err());
        }
    }
}
