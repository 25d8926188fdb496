//! The directory of a campaign while it is written.
//!
//! `results.ndjson` only grows, by whole lines, each written at once: whoever ends the process, and
//! whenever, what is there can be read, and gone on from.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hublab_sim::campaign::manifest::Manifest;
use hublab_sim::campaign::record::Record;
use hublab_sim::campaign::shrinking::ShrunkFailure;

use crate::cli::campaign::folder::{FAILURES, Folder, MANIFEST, RESULTS};
use crate::cli::{Context, Stop, twice};

/// An open directory.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    results: File,
    manifest: Manifest,
}

fn refused(path: &Path) -> impl FnOnce(io::Error) -> Stop {
    let path = path.to_owned();
    move |error| Stop::Usage(format!("{}: cannot be written: {error}", path.display()))
}

impl Store {
    /// Begins a campaign in a directory, which is made if it is not there.
    ///
    /// # Errors
    /// A campaign is there already, or nothing can be written.
    pub(super) fn create(path: &Path, manifest: &Manifest) -> Result<Self, Stop> {
        if path.join(MANIFEST).exists() || path.join(RESULTS).exists() {
            return Err(Stop::Usage(format!(
                "{}: a campaign is in this directory already: go on with it by --resume, or give one that is new",
                path.display()
            )));
        }
        fs::create_dir_all(path).map_err(refused(path))?;
        let results = path.join(RESULTS);
        let store = Self {
            path: path.to_owned(),
            results: File::create_new(&results).map_err(refused(&results))?,
            manifest: manifest.clone(),
        };
        store.write_manifest()?;
        Ok(store)
    }

    /// Goes on with the campaign in a directory; without one, begins it. Every record that is there
    /// is given to `take`. A last line that was not finished is cut off: its run is made again.
    ///
    /// # Errors
    /// The campaign there is another one, or what is there cannot be read.
    pub(super) fn resume(
        path: &Path,
        manifest: &Manifest,
        mut take: impl FnMut(&Record),
    ) -> Result<Self, Stop> {
        if !path.join(MANIFEST).exists() && !path.join(RESULTS).exists() {
            return Self::create(path, manifest);
        }
        let usage = |error: &dyn std::fmt::Display| Stop::Usage(error.to_string());
        let folder = Folder::open(path).map_err(|error| usage(&error))?;
        let other = folder.manifest.campaign.difference(&manifest.campaign);
        let other = other.or_else(|| {
            let (there, here) = (folder.manifest.shard, manifest.shard);
            (there != here).then(|| format!("it is shard {there}, and this one is {here}"))
        });
        if let Some(difference) = other {
            return Err(Stop::Usage(format!(
                "{}: this is another campaign, which cannot be gone on with: {difference}",
                path.display()
            )));
        }
        let mut whole = 0;
        folder
            .records(|record, place| {
                whole = place.offset + place.bytes;
                take(&record);
                Ok(())
            })
            .map_err(|error| usage(&error))?;
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
            manifest: manifest.clone(),
        };
        store.write_manifest()?;
        Ok(store)
    }

    /// Appends a record.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), Stop> {
        let path = self.path.join(RESULTS);
        let line = serde_json::to_string(record).map_err(|error| Stop::Usage(error.to_string()))?;
        // One call per line: a process that is killed leaves whole lines behind it.
        let written = self.results.write_all(format!("{line}\n").as_bytes());
        written.map_err(refused(&path))
    }

    /// Keeps a shrunk failure: its scenario, and beside it the capsule of its run. Where there is
    /// one of that fingerprint already, that stays.
    ///
    /// # Errors
    /// The scenario cannot be written. A capsule that is missing is told of, and can be made again.
    pub(super) fn keep(&self, failure: &ShrunkFailure, context: &Context) -> Result<(), Stop> {
        let directory = self.path.join(FAILURES);
        let path = directory.join(format!("{}.toml", failure.fingerprint.slug()));
        if path.exists() {
            return Ok(());
        }
        let write = || {
            fs::create_dir_all(&directory)?;
            fs::write(&path, &failure.file)
        };
        write().map_err(refused(&path))?;
        let strategy = &failure.fingerprint.signature.strategy;
        let capsule = path.with_extension("capsule");
        if let Err(reason) = twice::capsule_elsewhere(&path, strategy, failure.seed, &capsule) {
            context
                .output
                .note(format_args!("{}: {reason}", capsule.display()));
        }
        Ok(())
    }

    /// Notes that the campaign went on to its end.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn end(&mut self) -> Result<(), Stop> {
        self.manifest.ended = true;
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
