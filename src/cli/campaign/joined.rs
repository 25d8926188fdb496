//! Shards put together: the records of several directories as those of one campaign.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hublab_sim::campaign::known::Known;
use hublab_sim::campaign::manifest::Manifest;
use hublab_sim::campaign::record::Record;
use hublab_sim::campaign::shard::Shard;
use hublab_sim::campaign::summary::Summary;

use super::folder::{FAILURES, Folder, FolderError, LineError, Lines, Place};
use crate::cli::Stop;

/// The shards of a campaign that were found.
#[derive(Debug)]
pub(in crate::cli) struct Joined {
    folders: Vec<Folder>,
    /// The runs, in the order of the campaign's scenarios, strategies and seeds.
    rows: Vec<Row>,
    pub(in crate::cli) summary: Summary,
    /// Shards that have no directory.
    pub(in crate::cli) missing: Vec<Shard>,
    /// Directories that do not have all runs of their shard.
    pub(in crate::cli) partial: Vec<Partial>,
    /// For each fingerprint the directory of its failure with the lowest seed.
    failures: BTreeMap<String, (u64, usize)>,
}

/// A directory that does not have all runs of its shard.
#[derive(Debug)]
pub(in crate::cli) struct Partial {
    pub(in crate::cli) path: PathBuf,
    pub(in crate::cli) shard: Shard,
    /// How many runs it has.
    pub(in crate::cli) runs: u64,
    /// How many its shard has.
    pub(in crate::cli) of: u64,
    /// True if it stopped where it had been told to.
    pub(in crate::cli) ended: bool,
    /// True if its last line was being written when its process died.
    pub(in crate::cli) torn: bool,
}

/// A run, by its place in the campaign, and where its record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    scenario: usize,
    strategy: usize,
    seed: u64,
    folder: usize,
    offset: u64,
    bytes: u64,
    line: u64,
}

/// Why directories do not make one campaign.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum JoinError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("{} and {} are of different campaigns: {difference}", .here.display(), .there.display())]
    Different {
        here: PathBuf,
        there: PathBuf,
        difference: String,
    },
    #[error("{} is shard {}, and {} is shard {}: they are not of one campaign", .here.0.display(), .here.1, .there.0.display(), .there.1)]
    Counts {
        here: (PathBuf, Shard),
        there: (PathBuf, Shard),
    },
    #[error("{} and {} are both shard {shard}: give each shard once", .here.display(), .there.display())]
    Twice {
        here: PathBuf,
        there: PathBuf,
        shard: Shard,
    },
    #[error("{}: lines {first} and {second} of results.ndjson are the same run: {run}", .folder.display())]
    SameRun {
        folder: PathBuf,
        first: u64,
        second: u64,
        run: String,
    },
}

impl Joined {
    /// Reads the directories, each a shard of the same campaign.
    ///
    /// # Errors
    /// One cannot be read, they are of different campaigns, or a run is there twice.
    pub(in crate::cli) fn read(paths: &[PathBuf]) -> Result<Self, JoinError> {
        let folders = paths
            .iter()
            .map(|path| Folder::open(path))
            .collect::<Result<Vec<_>, _>>()?;
        for (place, folder) in folders.iter().enumerate() {
            folders[..place]
                .iter()
                .try_for_each(|earlier| agree(earlier, folder))?;
        }
        let whole = folders
            .first()
            .map_or(Shard::WHOLE, |folder| folder.manifest.shard);
        let found: Vec<Shard> = folders.iter().map(|folder| folder.manifest.shard).collect();
        let seeds = folders
            .first()
            .map_or(0..0, |folder| folder.manifest.campaign.seeds.clone());
        let known = Known::to_all(folders.iter().map(|folder| &folder.manifest.known));
        let mut joined = Self {
            rows: Vec::new(),
            summary: Summary::new(&seeds).knowing(known),
            missing: whole.all().filter(|shard| !found.contains(shard)).collect(),
            partial: Vec::new(),
            failures: BTreeMap::new(),
            folders,
        };
        for place in 0..joined.folders.len() {
            joined.take(place)?;
        }
        joined.rows.sort_unstable();
        joined.refuse_repeated_runs()?;
        Ok(joined)
    }

    /// What the campaign was asked for, as one shard.
    pub(in crate::cli) fn manifest(&self) -> Manifest {
        let campaign = self.folders[0].manifest.campaign.clone();
        let mut manifest = Manifest::new(campaign, Shard::WHOLE);
        manifest.ended = !self.has_holes();
        manifest.known.clone_from(&self.summary.known);
        manifest
    }

    /// True if runs are not there that should be: then nobody knows whether all would have held.
    /// Runs that `--budget` or `--max-failures` left out are no holes.
    pub(in crate::cli) fn has_holes(&self) -> bool {
        !self.missing.is_empty() || self.partial.iter().any(|part| !part.ended)
    }

    fn take(&mut self, number: usize) -> Result<(), JoinError> {
        let folder = &self.folders[number];
        let manifest = &folder.manifest;
        let (mut runs, of) = (0, manifest.runs());
        let (rows, summary, failures) = (&mut self.rows, &mut self.summary, &mut self.failures);
        let torn = folder.records(|record, place| {
            let Record {
                scenario,
                strategy,
                seed,
                ..
            } = &record;
            if let Some(reason) = manifest.refuses(scenario, strategy, *seed) {
                return Err(LineError::Foreign(reason));
            }
            summary.add(&record);
            for finding in &record.findings {
                if let Some(fingerprint) = finding.fingerprint.clone() {
                    let first = failures.entry(fingerprint).or_insert((*seed, number));
                    *first = (*first).min((*seed, number));
                }
            }
            rows.push(Row::new(manifest, &record, number, place));
            runs += 1;
            Ok(())
        })?;
        if runs < of || torn {
            self.partial.push(Partial {
                path: folder.path.clone(),
                shard: manifest.shard,
                runs,
                of,
                ended: manifest.ended,
                torn,
            });
        }
        Ok(())
    }

    /// Runs are sorted: equal ones stand beside each other. They are in one directory, since a
    /// seed is in one shard only.
    fn refuse_repeated_runs(&self) -> Result<(), JoinError> {
        let run = |row: &Row| (row.scenario, row.strategy, row.seed);
        let same = self
            .rows
            .windows(2)
            .find(|pair| run(&pair[0]) == run(&pair[1]));
        let Some([first, second]) = same else {
            return Ok(());
        };
        let folder = &self.folders[first.folder];
        let campaign = &folder.manifest.campaign;
        let scenario = campaign
            .files
            .get(first.scenario)
            .map_or("generated", |file| &file.path);
        Err(JoinError::SameRun {
            folder: folder.path.clone(),
            first: first.line.min(second.line),
            second: first.line.max(second.line),
            run: format!(
                "{scenario}, {}, seed {}",
                campaign.strategies[first.strategy], first.seed
            ),
        })
    }

    /// Writes the records, in order.
    ///
    /// # Errors
    /// They cannot be read any more, or not be written.
    pub(in crate::cli) fn write_records(&self, out: &mut dyn Write) -> io::Result<()> {
        self.each_line(|line| out.write_all(line))
    }

    /// Hands out the records, in order.
    ///
    /// # Errors
    /// They cannot be read any more, or `take` refuses one.
    pub(in crate::cli) fn each_record(
        &self,
        mut take: impl FnMut(Record) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut refused = None;
        let each = self.each_line(|line| {
            let record = serde_json::from_slice(line).map_err(io::Error::other)?;
            take(record).map_err(|stop| {
                refused = Some(stop);
                io::Error::other("refused")
            })
        });
        match (refused, each) {
            (Some(stop), _) => Err(stop),
            (None, each) => each.map_err(|error| Stop::Usage(error.to_string())),
        }
    }

    fn each_line(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut files: Vec<Option<Lines>> = self.folders.iter().map(|_| None).collect();
        for row in &self.rows {
            let lines = match &mut files[row.folder] {
                Some(lines) => lines,
                closed => {
                    closed.insert(self.folders[row.folder].lines().map_err(io::Error::other)?)
                }
            };
            take(&lines.read(row.place()).map_err(io::Error::other)?)?;
        }
        Ok(())
    }

    /// Copies the scenario files and capsules of failures. Of two with one name that is taken
    /// whose failure has the lower seed.
    ///
    /// # Errors
    /// A file cannot be copied.
    pub(in crate::cli) fn copy_failures(&self, out: &Path) -> io::Result<()> {
        let mut chosen: BTreeMap<std::ffi::OsString, (usize, PathBuf)> = BTreeMap::new();
        for (number, folder) in self.folders.iter().enumerate() {
            let entries = match fs::read_dir(folder.path.join(FAILURES)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for entry in entries {
                let path = entry?.path();
                let (Some(name), Some(stem), true) =
                    (path.file_name(), path.file_stem(), path.is_file())
                else {
                    continue;
                };
                let first = self.failures.get(&*stem.to_string_lossy());
                let is_first = first.is_some_and(|(_, folder)| *folder == number);
                if is_first || !chosen.contains_key(name) {
                    chosen.insert(name.to_owned(), (number, path));
                }
            }
        }
        for (name, (_, path)) in chosen {
            fs::create_dir_all(out)?;
            fs::copy(path, out.join(name))?;
        }
        Ok(())
    }
}

fn agree(earlier: &Folder, folder: &Folder) -> Result<(), JoinError> {
    let (here, there) = (earlier.path.clone(), folder.path.clone());
    let (this, other) = (&earlier.manifest, &folder.manifest);
    if let Some(difference) = this.campaign.difference(&other.campaign) {
        Err(JoinError::Different {
            here,
            there,
            difference,
        })
    } else if this.shard.count() != other.shard.count() {
        Err(JoinError::Counts {
            here: (here, this.shard),
            there: (there, other.shard),
        })
    } else if this.shard == other.shard {
        let shard = this.shard;
        Err(JoinError::Twice { here, there, shard })
    } else {
        Ok(())
    }
}

impl Row {
    /// The row of a record that its manifest does not refuse.
    fn new(manifest: &Manifest, record: &Record, folder: usize, place: Place) -> Self {
        let campaign = &manifest.campaign;
        let files = campaign.files.iter();
        let strategies = campaign.strategies.iter();
        Self {
            scenario: files
                .take_while(|file| file.path != record.scenario)
                .count(),
            strategy: strategies
                .take_while(|name| **name != record.strategy)
                .count(),
            seed: record.seed,
            folder,
            offset: place.offset,
            bytes: place.bytes,
            line: place.line,
        }
    }

    fn place(&self) -> Place {
        Place {
            line: self.line,
            offset: self.offset,
            bytes: self.bytes,
        }
    }
}
