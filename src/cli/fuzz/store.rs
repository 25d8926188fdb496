//! The directory of a campaign while it is written.
//!
//! `results.ndjson` only grows, by whole lines, each written at once: whoever ends the process, and
//! whenever, what is there can be read, and gone on from.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hublab_sim::campaign::manifest::Manifest;
use hublab_sim::campaign::record::Record;
use hublab_sim::campaign::shrinking::{AllShrunk, ShrunkLine};

use crate::cli::Stop;
use crate::cli::campaign::folder::{
    CORPUS, FAILURES, Folder, MANIFEST, RESULTS, SHRUNK, TIMING, timing,
};
use crate::cli::campaign::joined::{Joined, line, shrunk_line};
use crate::cli::lock::{Lock, lock};

/// An open directory.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    results: File,
    timing: File,
    manifest: Manifest,
    /// How many records there are.
    done: u64,
    _lock: Lock,
}

fn refused(path: &Path) -> impl FnOnce(io::Error) -> Stop {
    let path = path.to_owned();
    move |error| Stop::Usage(format!("{}: cannot be written: {error}", path.display()))
}

fn append(path: &Path) -> Result<File, Stop> {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(refused(path))
}

/// A file with these contents, to be appended to.
fn anew(path: &Path, contents: &[u8]) -> Result<File, Stop> {
    fs::write(path, contents).map_err(refused(path))?;
    append(path)
}

impl Store {
    /// True if a campaign is in a directory.
    fn is_there(path: &Path) -> bool {
        path.join(MANIFEST).exists() || path.join(RESULTS).exists()
    }

    /// Begins a campaign in a directory, which is made if it is not there.
    ///
    /// # Errors
    /// Nothing can be written.
    fn create(path: &Path, manifest: &Manifest) -> Result<Self, Stop> {
        fs::create_dir_all(path).map_err(refused(path))?;
        let lock = lock(path)?;
        let results = path.join(RESULTS);
        let store = Self {
            path: path.to_owned(),
            results: File::create_new(&results).map_err(refused(&results))?,
            timing: append(&path.join(TIMING))?,
            manifest: manifest.clone(),
            done: 0,
            _lock: lock,
        };
        store.write_manifest()?;
        Ok(store)
    }

    /// Goes on with the campaign in a directory; without one, begins it. Every record that is there
    /// is given to `take`, and what was shrunk is returned. A last line that was not finished is cut off: its run is made again.
    ///
    /// # Errors
    /// The campaign there is another one, or what is there cannot be read.
    pub(super) fn open(
        path: &Path,
        manifest: &Manifest,
        mut take: impl FnMut(&Record),
    ) -> Result<(Self, AllShrunk), Stop> {
        if !Self::is_there(path) {
            return Ok((Self::create(path, manifest)?, AllShrunk::new()));
        }
        let lock = lock(path)?;
        let usage = |error: &dyn std::fmt::Display| Stop::Usage(error.to_string());
        let folder = Folder::open(path).map_err(|error| usage(&error))?;
        let other = folder.manifest.campaign.difference(&manifest.campaign);
        let other = other.or_else(|| {
            let (there, here) = (folder.manifest.shard, manifest.shard);
            (there != here).then(|| format!("it is shard {there}, and this one is {here}"))
        });
        if let Some(difference) = other {
            return Err(Stop::Usage(format!(
                "{}: another campaign is in this directory, which cannot be gone on with: {difference}; give one that is new",
                path.display()
            )));
        }
        let (mut whole, mut done, mut times) = (0, 0, String::new());
        folder
            .records(|record, place| {
                whole = place.offset + place.bytes;
                done += 1;
                times.push_str(&timing(&record)?);
                take(&record);
                Ok(())
            })
            .map_err(|error| usage(&error))?;
        let shrunk = folder.shrunk().map_err(|error| usage(&error))?;
        let results = path.join(RESULTS);
        let open = || {
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .open(&results)?;
            file.set_len(whole)?;
            Ok(file)
        };
        let store = Self {
            path: path.to_owned(),
            results: open().map_err(refused(&results))?,
            timing: anew(&path.join(TIMING), times.as_bytes())?,
            manifest: manifest.clone(),
            done,
            _lock: lock,
        };
        // A last line that was not finished would spoil the next one.
        let mut lines = Vec::new();
        for (of, shrunk) in &shrunk {
            let line = ShrunkLine {
                of: of.clone(),
                shrunk: shrunk.clone(),
            };
            lines.extend(shrunk_line(&line).map_err(refused(path))?);
        }
        if path.join(SHRUNK).exists() {
            anew(&path.join(SHRUNK), &lines)?;
        }
        store.write_manifest()?;
        Ok((store, shrunk))
    }

    /// Appends a record.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), Stop> {
        let path = self.path.join(RESULTS);
        // One call per line: a process that is killed leaves whole lines behind it.
        let written = line(record).and_then(|line| self.results.write_all(&line));
        written.map_err(refused(&path))?;
        let path = self.path.join(TIMING);
        let time = timing(record).map_err(io::Error::from);
        let written = time.and_then(|line| self.timing.write_all(line.as_bytes()));
        written.map_err(refused(&path))?;
        self.done += 1;
        Ok(())
    }

    /// Keeps the runs of saved failures, and returns those that count: where there are none, those of an
    /// earlier process.
    ///
    /// # Errors
    /// They cannot be written, or earlier ones not be read.
    pub(super) fn keep_corpus(&self, records: &[Record]) -> Result<Vec<Record>, Stop> {
        if records.is_empty() {
            let folder = Folder::open(&self.path);
            let corpus = folder.and_then(|folder| folder.corpus());
            return corpus.map_err(|error| Stop::Usage(error.to_string()));
        }
        let path = self.path.join(CORPUS);
        let lines: io::Result<Vec<Vec<u8>>> = records.iter().map(line).collect();
        let written = lines.and_then(|lines| fs::write(&path, lines.concat()));
        written.map_err(refused(&path))?;
        Ok(records.to_vec())
    }

    /// Keeps what a failure was shrunk to, and its scenario file, unless there is one of that fingerprint
    /// already: which one is kept is decided at the end.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn keep(&self, shrunk: &ShrunkLine) -> Result<(), Stop> {
        let path = self.path.join(SHRUNK);
        let mut file = append(&path)?;
        let written = shrunk_line(shrunk).and_then(|line| file.write_all(&line));
        written.map_err(refused(&path))?;
        let Some(failure) = &shrunk.shrunk else {
            return Ok(());
        };
        let directory = self.path.join(FAILURES);
        let path = directory.join(format!("{}.toml", failure.fingerprint.slug()));
        if path.exists() {
            return Ok(());
        }
        let write = || {
            fs::create_dir_all(&directory)?;
            fs::write(&path, &failure.file)
        };
        write().map_err(refused(&path))
    }

    /// The campaign as far as it is there, in the order of scenarios, strategies and seeds, whoever made
    /// its runs. [`Joined::write`] leaves it behind like that.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(&self) -> Result<Joined, Stop> {
        let joined = Joined::read(std::slice::from_ref(&self.path));
        joined.map_err(|error| Stop::Usage(error.to_string()))
    }

    /// Notes how many runs were made, and whether the campaign went on to its end.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn close(&mut self, ended: bool) -> Result<(), Stop> {
        self.manifest.ended = ended;
        self.manifest.done = Some(self.done);
        self.write_manifest()
    }

    /// Writes the manifest beside its place and moves it there, so that there always is a whole
    /// one.
    fn write_manifest(&self) -> Result<(), Stop> {
        let (path, beside) = (
            self.path.join(MANIFEST),
            self.path.join("campaign.json.new"),
        );
        let write = || {
            fs::write(&beside, self.manifest.to_json())?;
            fs::rename(&beside, &path)
        };
        write().map_err(refused(&path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
