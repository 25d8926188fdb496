//! Reading capsules, block by block.

use std::fs::{self, File};
use std::io::{self, BufReader, Cursor as Bytes, Read, Seek, SeekFrom};
use std::path::Path;

use super::codec::{self, BLOCK_HEAD_LEN, BlockHead, Directory, PRELUDE_LEN, Unpacker};
use super::{CapsuleError, Footer, Header, Limits};
use crate::trace::digest::Digester;
use crate::trace::event::{Event, EventId};
use crate::trace::text::Names;

/// A capsule that was opened: its header and footer, and its events on demand.
///
/// Opening reads header and footer and the heads of all blocks, and finds that they fit together.
/// The events themselves are checked as they are read.
#[derive(Debug)]
pub struct Capsule<R> {
    source: R,
    unpacker: Unpacker,
    header: Header,
    footer: Footer,
    blocks: Vec<Block>,
}

/// One block: where its head begins, and what it says.
#[derive(Debug, Clone, Copy)]
struct Block {
    at: u64,
    head: BlockHead,
}

impl Capsule<BufReader<File>> {
    /// Opens a capsule file.
    ///
    /// # Errors
    /// The file cannot be read, or is no sound capsule within the limits.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, CapsuleError> {
        // Looked at before it is opened: a pipe might never be.
        let kind = fs::metadata(path)?;
        if kind.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
        } else if !kind.is_file() {
            return Err(io::Error::other("not a file: a capsule is read in several places").into());
        }
        let file = File::open(path)?;
        Self::new(BufReader::new(file), limits)
    }
}

/// A capsule in memory.
pub type MemoryCapsule = Capsule<Bytes<Vec<u8>>>;

impl MemoryCapsule {
    /// Opens a capsule in memory.
    ///
    /// # Errors
    /// It is no sound capsule within the limits.
    pub fn from_bytes(bytes: Vec<u8>, limits: Limits) -> Result<Self, CapsuleError> {
        Self::new(Bytes::new(bytes), limits)
    }
}

impl<R: Read + Seek> Capsule<R> {
    /// Opens a capsule.
    ///
    /// # Errors
    /// The source cannot be read, or is no sound capsule within the limits.
    pub fn new(mut source: R, limits: Limits) -> Result<Self, CapsuleError> {
        let len = source.seek(SeekFrom::End(0))?;
        source.seek(SeekFrom::Start(0))?;
        let mut prelude = Vec::with_capacity(PRELUDE_LEN);
        source
            .by_ref()
            .take(PRELUDE_LEN as u64)
            .read_to_end(&mut prelude)?;
        let directory = codec::decode_prelude(&prelude)?;
        let (bytes, limit) = (directory.raw_bytes, limits.trace_bytes);
        if bytes > limit {
            return Err(CapsuleError::TooLarge { bytes, limit });
        }
        if directory.footer_at > len {
            return Err(CapsuleError::Truncated { at: len });
        }
        let (header, blocks_at) =
            codec::decode_section(&mut source, PRELUDE_LEN as u64, directory.footer_at)?;
        source.seek(SeekFrom::Start(directory.footer_at))?;
        let (footer, end): (Footer, u64) =
            codec::decode_section(&mut source, directory.footer_at, len)?;
        if end != len {
            return Err(CapsuleError::Corrupt {
                at: end,
                what: "there is something behind the footer",
            });
        }
        let blocks = scan(&mut source, blocks_at, &directory)?;
        let capsule = Self {
            source,
            unpacker: Unpacker::default(),
            header,
            footer,
            blocks,
        };
        capsule.check_footer(&directory)?;
        Ok(capsule)
    }

    fn check_footer(&self, directory: &Directory) -> Result<(), CapsuleError> {
        let digest = match self.blocks.last() {
            Some(last) => blake3::Hash::from_bytes(last.head.digest),
            None => Digester::default().current(),
        };
        if self.footer.events != directory.events || self.footer.digest != digest.to_hex().as_str()
        {
            return Err(CapsuleError::Corrupt {
                at: directory.footer_at,
                what: "the footer is of another trace",
            });
        }
        Ok(())
    }

    /// The names of its nodes and kinds of messages.
    #[must_use]
    pub fn names(&self) -> Names {
        Names::new(self.header.nodes.clone(), self.footer.kinds.clone())
    }

    /// The header, which stands before the events.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The trailer, which stands behind the events.
    #[must_use]
    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// Every event, in order. The iterator ends at the first error.
    pub fn events(&mut self) -> Events<'_, R> {
        Events {
            cursor: Cursor::default(),
            capsule: self,
        }
    }

    /// How many blocks from the beginning on both have alike, by their checkpoints.
    pub(crate) fn common_blocks<S>(&self, other: &Capsule<S>) -> usize {
        let alike = |(a, b): &(&Block, &Block)| {
            (a.head.first, a.head.count, a.head.digest)
                == (b.head.first, b.head.count, b.head.digest)
        };
        self.blocks
            .iter()
            .zip(&other.blocks)
            .take_while(alike)
            .count()
    }

    pub(crate) fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// The block that an event is in; `None` if there is no such event.
    pub(crate) fn block_of(&self, id: EventId) -> Option<usize> {
        let behind = self.blocks.partition_point(|block| block.head.first <= id);
        (id <= self.footer.events)
            .then(|| behind.checked_sub(1))
            .flatten()
    }

    /// The events of one block.
    pub(crate) fn block(&mut self, block: usize) -> Result<Vec<Event>, CapsuleError> {
        let Block { at, head } = self.blocks[block];
        self.source
            .seek(SeekFrom::Start(at + BLOCK_HEAD_LEN as u64))?;
        self.unpacker.unpack(&mut self.source, &head, at)
    }
}

/// Reads the heads of all blocks. What it keeps is shorter than the file.
fn scan(
    source: &mut (impl Read + Seek),
    mut at: u64,
    directory: &Directory,
) -> Result<Vec<Block>, CapsuleError> {
    let mut blocks = Vec::new();
    let (mut next, mut raw_bytes) = (1_u64, 0_u64);
    source.seek(SeekFrom::Start(at))?;
    while at < directory.footer_at {
        let corrupt = |what| CapsuleError::Corrupt { at, what };
        let mut bytes = [0; BLOCK_HEAD_LEN];
        codec::read_exact(source, &mut bytes, at)?;
        let head = BlockHead::decode(&bytes);
        if let Some(what) = head.fault() {
            return Err(corrupt(what));
        }
        if head.first != next {
            return Err(corrupt("a block is out of order"));
        }
        blocks.push(Block { at, head });
        next += u64::from(head.count);
        raw_bytes += u64::from(head.raw);
        if raw_bytes > directory.raw_bytes || next - 1 > directory.events {
            return Err(corrupt("there is more than was declared"));
        }
        at += BLOCK_HEAD_LEN as u64 + u64::from(head.packed);
        // Relative, so that a buffered source keeps what it has read ahead.
        source.seek_relative(i64::from(head.packed))?;
    }
    if at != directory.footer_at || (raw_bytes, next - 1) != (directory.raw_bytes, directory.events)
    {
        return Err(CapsuleError::Corrupt {
            at,
            what: "there is not what was declared",
        });
    }
    Ok(blocks)
}

/// A place in a capsule, and the events from there on.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// The next block to read.
    block: usize,
    /// The rest of the block before it.
    events: std::vec::IntoIter<Event>,
    /// The digest so far; absent if reading began in the middle.
    digester: Option<Digester>,
    failed: bool,
}

impl Default for Cursor {
    fn default() -> Self {
        Self {
            digester: Some(Digester::default()),
            ..Self::at(0)
        }
    }
}

impl Cursor {
    /// The beginning of a block.
    pub(crate) fn at(block: usize) -> Self {
        Self {
            block,
            events: Vec::new().into_iter(),
            digester: None,
            failed: false,
        }
    }

    /// The next event.
    pub(crate) fn next<R: Read + Seek>(
        &mut self,
        capsule: &mut Capsule<R>,
    ) -> Option<Result<Event, CapsuleError>> {
        if let Some(event) = self.events.next() {
            return Some(Ok(event));
        }
        if self.failed || self.block == capsule.blocks.len() {
            return None;
        }
        if let Err(error) = self.load(capsule) {
            self.failed = true;
            return Some(Err(error));
        }
        self.events.next().map(Ok)
    }

    fn load<R: Read + Seek>(&mut self, capsule: &mut Capsule<R>) -> Result<(), CapsuleError> {
        let events = capsule.block(self.block)?;
        let Block { at, head } = capsule.blocks[self.block];
        if let Some(digester) = &mut self.digester {
            for event in &events {
                digester.event(event);
            }
            if *digester.current().as_bytes() != head.digest {
                return Err(CapsuleError::Corrupt {
                    at,
                    what: "the events do not match their checkpoint",
                });
            }
        }
        self.block += 1;
        self.events = events.into_iter();
        Ok(())
    }
}

/// The events of a capsule, in order; see [`Capsule::events`].
#[derive(Debug)]
pub struct Events<'a, R> {
    cursor: Cursor,
    capsule: &'a mut Capsule<R>,
}

impl<R: Read + Seek> Iterator for Events<'_, R> {
    type Item = Result<Event, CapsuleError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.cursor.next(self.capsule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capsule::codec::DIRECTORY_AT;
    use crate::capsule::twice::record;
    use crate::catalog::Catalog;
    use crate::scenario::Scenario;

    const SCENARIO: &str = "schema = 1\n[run]\nduration = \"5s\"\n[cluster]\nnodes = 3\n";

    fn bytes() -> Vec<u8> {
        let catalog = Catalog::default();
        let scenario = Scenario::read("x.toml", SCENARIO.as_bytes(), &catalog).unwrap();
        record(&scenario, "pubsub", 1, &catalog)
            .unwrap()
            .1
            .source
            .into_inner()
    }

    fn with_directory(
        change: impl FnOnce(&mut Directory),
    ) -> Result<Capsule<Bytes<Vec<u8>>>, CapsuleError> {
        let mut bytes = bytes();
        let mut directory = codec::decode_prelude(&bytes[..PRELUDE_LEN]).unwrap();
        change(&mut directory);
        let at = usize::try_from(DIRECTORY_AT).unwrap();
        bytes[at..PRELUDE_LEN].copy_from_slice(&directory.encode());
        Capsule::from_bytes(bytes, Limits::default())
    }

    #[test]
    fn a_directory_that_declares_something_else_is_refused() {
        assert!(with_directory(|_| ()).is_ok());
        let refused = |change: fn(&mut Directory)| with_directory(change).map(drop).unwrap_err();
        assert!(matches!(
            refused(|it| it.raw_bytes = u64::MAX),
            CapsuleError::TooLarge { .. }
        ));
        assert!(matches!(
            refused(|it| it.raw_bytes += 1),
            CapsuleError::Corrupt { .. }
        ));
        assert!(matches!(
            refused(|it| it.raw_bytes -= 1),
            CapsuleError::Corrupt { .. }
        ));
        assert!(matches!(
            refused(|it| it.events += 1),
            CapsuleError::Corrupt { .. }
        ));
        assert!(matches!(
            refused(|it| it.events = 0),
            CapsuleError::Corrupt { .. }
        ));
        assert!(matches!(
            refused(|it| it.footer_at = u64::MAX),
            CapsuleError::Truncated { .. }
        ));
        assert!(matches!(
            refused(|it| it.footer_at = 0),
            CapsuleError::Truncated { .. }
        ));
        assert!(with_directory(|it| it.footer_at -= 1).is_err());
    }

    #[test]
    fn something_behind_the_footer_is_noticed() {
        let mut longer = bytes();
        longer.push(0);
        assert!(matches!(
            Capsule::from_bytes(longer, Limits::default()),
            Err(CapsuleError::Corrupt { .. })
        ));
    }

    #[test]
    fn every_event_is_found_in_its_block() {
        let mut capsule = Capsule::from_bytes(bytes(), Limits::default()).unwrap();
        let last = capsule.footer().events;
        for id in 1..=last {
            let block = capsule.block_of(id).unwrap();
            assert!(
                capsule
                    .block(block)
                    .unwrap()
                    .iter()
                    .any(|event| event.id == id)
            );
        }
        assert_eq!(
            (capsule.block_of(0), capsule.block_of(last + 1)),
            (None, None)
        );
    }
}
