//! Writing capsules, as a run goes.

use std::fs::{self, File};
use std::io::{self, BufWriter, Cursor, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::codec::{self, BLOCK_FULL, BlockHead, DIRECTORY_AT, Directory, Packer};
use super::contents::Lists;
use super::{CHECKPOINT, CapsuleError, Footer, Header, Limits};
use crate::report::Report;
use crate::trace::digest::Digester;
use crate::trace::event::{Event, Payload};
use crate::trace::recorder::Sink;

/// The bytes collected before the file system is asked to take them.
const BUFFER: usize = 64 << 10;

/// Writes one capsule into anything that can be written and wound back.
pub struct CapsuleWriter<W> {
    out: W,
    limits: Limits,
    digester: Digester,
    packer: Packer,
    kinds: Vec<String>,
    /// The events of the block that is not full yet, how many they are, and how many are in
    /// earlier blocks, with their bytes.
    raw: Vec<u8>,
    lists: Lists,
    count: u32,
    events: u64,
    raw_bytes: u64,
}

impl<W: Write + Seek> CapsuleWriter<W> {
    /// Begins a capsule; what `out` holds is overwritten from its beginning.
    ///
    /// # Errors
    /// `out` refuses, or the header is too long.
    pub fn new(mut out: W, header: &Header, limits: Limits) -> Result<Self, CapsuleError> {
        let header = codec::encode_section("a header", header)?;
        out.seek(SeekFrom::Start(0))?;
        out.write_all(&codec::prelude())?;
        out.write_all(&header)?;
        // So that the file of a killed run names its run at least.
        out.flush()?;
        Ok(Self {
            out,
            limits,
            digester: Digester::default(),
            packer: Packer::default(),
            kinds: Vec::new(),
            raw: Vec::new(),
            lists: Lists::default(),
            count: 0,
            events: 0,
            raw_bytes: 0,
        })
    }

    /// Writes the next event. Events are numbered from 1, without gaps.
    ///
    /// # Errors
    /// `out` refuses, or the event or the trace is too long. The capsule is of no use then.
    pub fn push(&mut self, event: &Event) -> Result<(), CapsuleError> {
        self.digester.event(event);
        if let Payload::Kind { name, .. } = &event.payload {
            self.kinds.push(name.clone());
        }
        BlockHead::push(&mut self.raw, &mut self.lists, event)?;
        self.count += 1;
        let is_checkpoint = event.id.is_multiple_of(CHECKPOINT);
        if is_checkpoint || self.raw.len() >= BLOCK_FULL || self.lists.is_full() {
            self.end_block()
        } else {
            Ok(())
        }
    }

    fn end_block(&mut self) -> Result<(), CapsuleError> {
        if self.count == 0 {
            return Ok(());
        }
        let digest = *self.digester.current().as_bytes();
        let (head, packed) = self
            .packer
            .pack(self.events + 1, self.count, &self.raw, digest)?;
        self.out.write_all(&head)?;
        self.out.write_all(packed)?;
        self.events += u64::from(self.count);
        self.raw_bytes += self.raw.len() as u64;
        self.raw.clear();
        self.lists = Lists::default();
        self.count = 0;
        let (bytes, limit) = (self.raw_bytes, self.limits.trace_bytes);
        if bytes > limit {
            Err(CapsuleError::TooLarge { bytes, limit })
        } else {
            Ok(())
        }
    }

    /// Ends the capsule and returns what it was written into.
    ///
    /// # Errors
    /// `out` refuses, or the report or the trace is too long. The capsule is of no use then.
    pub fn finish(mut self, report: &Report) -> Result<W, CapsuleError> {
        self.end_block()?;
        let footer = codec::encode_section(
            "a report",
            &Footer {
                digest: self.digester.current().to_hex().to_string(),
                events: self.events,
                kinds: self.kinds,
                report: report.clone(),
            },
        )?;
        let footer_at = self.out.stream_position()?;
        self.out.write_all(&footer)?;
        let directory = Directory {
            raw_bytes: self.raw_bytes,
            events: self.events,
            footer_at,
        };
        self.out.seek(SeekFrom::Start(DIRECTORY_AT))?;
        self.out.write_all(&directory.encode())?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W> std::fmt::Debug for CapsuleWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CapsuleWriter")
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

/// State of a capsule that is being written: an error ends it, and is returned at the end.
type Progress<W> = Result<CapsuleWriter<W>, CapsuleError>;

/// A capsule that a run writes into while its maker waits: [`Self::sink`] goes into the run's
/// options, [`Self::finish`] is called when the run is over.
#[derive(Debug)]
pub struct Recording<W> {
    /// `None` once it is finished.
    shared: Arc<Mutex<Option<Progress<W>>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A run that panicked leaves a capsule that is not finished, but no broken one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recording<Cursor<Vec<u8>>> {
    /// Begins a capsule in memory.
    ///
    /// # Errors
    /// The header is too long.
    pub fn in_memory(header: &Header, limits: Limits) -> Result<Self, CapsuleError> {
        Self::new(Cursor::new(Vec::new()), header, limits)
    }
}

impl<W: Write + Seek + Send + 'static> Recording<W> {
    /// Begins a capsule.
    ///
    /// # Errors
    /// As [`CapsuleWriter::new`].
    pub fn new(out: W, header: &Header, limits: Limits) -> Result<Self, CapsuleError> {
        let writer = CapsuleWriter::new(out, header, limits)?;
        Ok(Self {
            shared: Arc::new(Mutex::new(Some(Ok(writer)))),
        })
    }

    /// The end that the run gets. It never fails: errors are kept for [`Self::finish`].
    #[must_use]
    pub fn sink(&self) -> Box<dyn Sink> {
        Box::new(RecordingSink(Arc::clone(&self.shared)))
    }

    /// Ends the capsule and returns what it was written into.
    ///
    /// # Errors
    /// The first error that there was since the beginning.
    pub fn finish(self, report: &Report) -> Result<W, CapsuleError> {
        let progress = lock(&self.shared).take();
        progress
            .unwrap_or(Err(CapsuleError::Unfinished))?
            .finish(report)
    }
}

struct RecordingSink<W>(Arc<Mutex<Option<Progress<W>>>>);

impl<W: Write + Seek + Send> Sink for RecordingSink<W> {
    fn event(&mut self, event: &Event) {
        let mut shared = lock(&self.0);
        if let Some(Ok(writer)) = shared.as_mut()
            && let Err(error) = writer.push(event)
        {
            *shared = Some(Err(error));
        }
    }
}

/// A capsule in a file. It is written beside its place, as `NAME.partial`, and moved there when it
/// is complete: what bears the name of a capsule is one. One that is not finished is removed.
#[derive(Debug)]
pub struct FileRecording {
    recording: Recording<BufWriter<File>>,
    partial: Partial,
    path: PathBuf,
}

/// A file that is gone when its owner is.
#[derive(Debug)]
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // After the renaming there is none; before it, half a capsule is of no use to anybody.
        let _ = fs::remove_file(&self.0);
    }
}

impl FileRecording {
    /// Begins a capsule.
    ///
    /// # Errors
    /// The file cannot be made, or the header is too long.
    pub fn create(path: &Path, header: &Header, limits: Limits) -> Result<Self, CapsuleError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = Partial(PathBuf::from(partial));
        let file = BufWriter::with_capacity(BUFFER, File::create(&partial.0)?);
        let recording = Recording::new(file, header, limits)?;
        Ok(Self {
            recording,
            partial,
            path: path.to_owned(),
        })
    }

    /// The end that the run gets; see [`Recording::sink`].
    #[must_use]
    pub fn sink(&self) -> Box<dyn Sink> {
        self.recording.sink()
    }

    /// Ends the capsule and gives it its name.
    ///
    /// # Errors
    /// The first error that there was since the beginning. No file is left then.
    pub fn finish(self, report: &Report) -> Result<(), CapsuleError> {
        let out = self.recording.finish(report)?;
        drop(out.into_inner().map_err(io::IntoInnerError::into_error)?);
        fs::rename(&self.partial.0, &self.path)?;
        Ok(())
    }
}
