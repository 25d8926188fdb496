//! A campaign's directory, read: its manifest, and its records one by one.
//!
//! Records are never all in memory: a campaign may have millions. A last line without an end was
//! being written when the process died; it is left out, as if it had never been begun.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use hublab_sim::campaign::manifest::{Manifest, ManifestError};
use hublab_sim::campaign::record::{Record, SCHEMA};
use hublab_sim::campaign::shrinking::{AllShrunk, RunKey, ShrunkLine};
use serde::{Deserialize, Serialize};

/// What was asked for.
pub(in crate::cli) const MANIFEST: &str = "campaign.json";
/// A line per run.
pub(in crate::cli) const RESULTS: &str = "results.ndjson";
/// A scenario file and a capsule per group of failures.
pub(in crate::cli) const FAILURES: &str = "failures";
/// The real time of each run, a line per line of the results.
pub(in crate::cli) const TIMING: &str = "timing.ndjson";
/// A line per failure that was shrunk.
pub(in crate::cli) const SHRUNK: &str = "shrunk.ndjson";
/// A line per run of a saved failure (`--corpus`).
pub(in crate::cli) const CORPUS: &str = "corpus.ndjson";
/// The results for CI systems.
pub(in crate::cli) const JUNIT: &str = "junit.xml";

/// The longest line that is read: far more than any record has, and a bound for files that are
/// none.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// The largest manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// A campaign's directory.
#[derive(Debug)]
pub(in crate::cli) struct Folder {
    pub(in crate::cli) path: PathBuf,
    pub(in crate::cli) manifest: Manifest,
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum FolderError {
    #[error("{}: no campaign is in this directory (it has no {MANIFEST})", .0.display())]
    NoCampaign(PathBuf),
    #[error("{}: {reason}", .path.display())]
    Unreadable { path: PathBuf, reason: io::Error },
    #[error("{}: this is no campaign: {reason}", .path.display())]
    Manifest {
        path: PathBuf,
        reason: ManifestError,
    },
    #[error("{}:{line}: this is no record of a run: {reason}", .path.display())]
    Line {
        path: PathBuf,
        line: u64,
        reason: LineError,
    },
}

/// Why a line is no record of a campaign.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum LineError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("it has schema {0}, and this version reads {SCHEMA}")]
    Schema(u32),
    #[error("the line is longer than {LINE_BYTES_MAX} bytes")]
    Long,
    /// It is of a run that the campaign does not have.
    #[error("{0}")]
    Foreign(String),
}

/// Where a record's line is in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Place {
    pub(in crate::cli) line: u64,
    pub(in crate::cli) offset: u64,
    /// Its length, line break included.
    pub(in crate::cli) bytes: u64,
}

impl Folder {
    /// Reads the manifest.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub(in crate::cli) fn open(path: &Path) -> Result<Self, FolderError> {
        let file = path.join(MANIFEST);
        let text = read_bounded(&file, MANIFEST_BYTES_MAX).map_err(|reason| {
            if reason.kind() == io::ErrorKind::NotFound && path.is_dir() {
                FolderError::NoCampaign(path.to_owned())
            } else {
                unreadable(if path.is_dir() { &file } else { path })(reason)
            }
        })?;
        let manifest = Manifest::from_json(&text)
            .map_err(|reason| FolderError::Manifest { path: file, reason })?;
        Ok(Self {
            path: path.to_owned(),
            manifest,
        })
    }

    /// Calls `take` with each record, in the order of the file; whether the last line is torn.
    /// No file is no records.
    ///
    /// # Errors
    /// The file cannot be read, or has a whole line that is no record, or one that `take` refuses.
    pub(in crate::cli) fn records(
        &self,
        mut take: impl FnMut(Record, Place) -> Result<(), LineError>,
    ) -> Result<bool, FolderError> {
        let mut times = Times::open(&self.path);
        self.lines_of(RESULTS, |text, place| {
            let mut record = parse(text)?;
            if let Some(wall_us) = times.next(&record) {
                record.wall_us = wall_us;
            }
            take(record, place)
        })
    }

    /// The failures that were shrunk.
    ///
    /// # Errors
    /// The file cannot be read, or has a whole line that is none.
    pub(in crate::cli) fn shrunk(&self) -> Result<AllShrunk, FolderError> {
        let mut all = AllShrunk::new();
        self.lines_of(SHRUNK, |text, _| {
            let line: ShrunkLine = serde_json::from_slice(text)?;
            all.insert(line.of, line.shrunk);
            Ok(())
        })?;
        Ok(all)
    }

    /// The runs of saved failures.
    ///
    /// # Errors
    /// The file cannot be read, or has a whole line that is none.
    pub(in crate::cli) fn corpus(&self) -> Result<Vec<Record>, FolderError> {
        let mut all = Vec::new();
        self.lines_of(CORPUS, |text, _| {
            all.push(parse(text)?);
            Ok(())
        })?;
        Ok(all)
    }

    fn lines_of(
        &self,
        name: &str,
        take: impl FnMut(&[u8], Place) -> Result<(), LineError>,
    ) -> Result<bool, FolderError> {
        whole_lines(&self.path.join(name), take)
    }

    /// A reader of single lines.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(in crate::cli) fn lines(&self) -> Result<Lines, FolderError> {
        let path = self.path.join(RESULTS);
        let file = open(&path).map_err(unreadable(&path))?;
        Ok(Lines {
            path,
            file: BufReader::new(file),
            at: 0,
        })
    }
}

/// A line of `timing.ndjson`: how long a run took.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Timing {
    #[serde(flatten)]
    run: RunKey,
    wall_us: u64,
}

/// The line of `timing.ndjson` of a run, with its end.
pub(in crate::cli) fn timing(record: &Record) -> Result<String, serde_json::Error> {
    let timing = Timing {
        run: RunKey::of(record),
        wall_us: record.wall_us,
    };
    serde_json::to_string(&timing).map(|line| line + "\n")
}

/// The lines of `timing.ndjson`. They are worth nothing but themselves: where they do not fit the results,
/// as they may not after a crash, there are none.
struct Times(Option<BufReader<File>>);

impl Times {
    fn open(directory: &Path) -> Self {
        Self(open(&directory.join(TIMING)).ok().map(BufReader::new))
    }

    fn next(&mut self, record: &Record) -> Option<u64> {
        let mut line = String::new();
        let reader = self.0.as_mut()?;
        let read = reader.take(LINE_BYTES_MAX).read_line(&mut line);
        let timing: Option<Timing> = read.ok().and_then(|_| serde_json::from_str(&line).ok());
        let own = timing.filter(|timing| timing.run == RunKey::of(record));
        if own.is_none() {
            self.0 = None;
        }
        own.map(|timing| timing.wall_us)
    }
}

/// A file of records, of which single lines are read.
#[derive(Debug)]
pub(in crate::cli) struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    at: u64,
}

impl Lines {
    /// Reads a line, its end included.
    ///
    /// # Errors
    /// The file cannot be read, or has become shorter.
    pub(in crate::cli) fn read(&mut self, place: Place) -> Result<Vec<u8>, FolderError> {
        let mut line = Vec::new();
        let read = if place.offset == self.at {
            Ok(self.at)
        } else {
            self.file.seek(SeekFrom::Start(place.offset))
        };
        read.and_then(|_| (&mut self.file).take(place.bytes).read_to_end(&mut line))
            .and_then(|bytes| {
                self.at = place.offset + place.bytes;
                if bytes as u64 == place.bytes {
                    Ok(line)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                }
            })
            .map_err(unreadable(&self.path))
    }
}

/// Calls `take` with each whole line of a file of at most [`LINE_BYTES_MAX`] bytes a line; whether the last
/// one is torn. No file is no lines.
///
/// # Errors
/// The file cannot be read, a line is too long, or `take` refuses one.
pub(in crate::cli) fn whole_lines(
    path: &Path,
    mut take: impl FnMut(&[u8], Place) -> Result<(), LineError>,
) -> Result<bool, FolderError> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(unreadable(path)(error)),
    };
    let mut reader = BufReader::new(file);
    let mut text = Vec::new();
    let mut place = Place {
        line: 1,
        offset: 0,
        bytes: 0,
    };
    loop {
        text.clear();
        let read = (&mut reader)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut text);
        place.bytes = read.map_err(unreadable(path))? as u64;
        if place.bytes == 0 {
            return Ok(false);
        }
        let whole = text.last() == Some(&b'\n');
        if !whole && place.bytes < LINE_BYTES_MAX {
            return Ok(true);
        }
        let taken = if whole {
            take(&text, place)
        } else {
            Err(LineError::Long)
        };
        taken.map_err(|reason| FolderError::Line {
            path: path.to_owned(),
            line: place.line,
            reason,
        })?;
        place.line += 1;
        place.offset += place.bytes;
    }
}

fn parse(line: &[u8]) -> Result<Record, LineError> {
    let record: Record = serde_json::from_slice(line)?;
    if record.schema == SCHEMA {
        Ok(record)
    } else {
        Err(LineError::Schema(record.schema))
    }
}

/// The text of a file that is not longer than it should be.
pub(in crate::cli) fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.take(bytes_max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        return Err(io::Error::other(format!(
            "the file is longer than {bytes_max} bytes"
        )));
    }
    Ok(text)
}

/// Opens a file: a pipe or a device might never end.
fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(io::Error::other("it is not a file"))
    }
}

/// What is wrong with a file, for whoever named its directory.
pub(in crate::cli) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |reason| FolderError::Unreadable { path, reason }
}
