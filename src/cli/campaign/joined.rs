//! Shards put together: the records of several directories as those of one campaign.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use hublab_sim::campaign::known::Known;
use hublab_sim::campaign::manifest::{Manifest, Parameters};
use hublab_sim::campaign::record::Record;
use hublab_sim::campaign::shard::Shard;
use hublab_sim::campaign::shrinking::{
    AllShrunk, RunKey, Shrinking, ShrunkFailure, ShrunkLine, WaitingRecords, files,
};
use hublab_sim::campaign::summary::Summary;
use hublab_sim::campaign::trial::GENERATED;
use hublab_sim::watch::judge::Verdict;

use super::folder::{
    CORPUS, FAILURES, Folder, FolderError, LineError, Lines, Place, RESULTS, SHRUNK, TIMING, timing,
};
use crate::cli::{Context, Stop, twice};

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
    /// Records with what was left of their failures, by scenario, strategy and seed.
    settled: BTreeMap<(usize, usize, u64), Record>,
    /// What was shrunk and counts.
    shrunk: AllShrunk,
    /// The runs of saved failures, which one of the shards made.
    corpus: BTreeMap<RunKey, Record>,
    /// The names of all files of failures that any of them may have.
    slugs: BTreeSet<String>,
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
    /// How many runs it had made, as far as it says.
    pub(in crate::cli) made: Option<u64>,
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
    wall_us: u64,
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
        let rules = folders.iter().map(|folder| folder.manifest.shrinking);
        let mut waiting = WaitingRecords::new(Shrinking::common(rules), known.clone());
        let mut joined = Self {
            rows: Vec::new(),
            summary: Summary::new(&seeds).knowing(known),
            missing: whole.all().filter(|shard| !found.contains(shard)).collect(),
            partial: Vec::new(),
            settled: BTreeMap::new(),
            shrunk: AllShrunk::new(),
            corpus: BTreeMap::new(),
            slugs: BTreeSet::new(),
            folders,
        };
        for place in 0..joined.folders.len() {
            joined.take(place, &mut waiting)?;
        }
        joined.settle(&mut waiting);
        joined.rows.sort_unstable();
        joined.refuse_repeated_runs()?;
        Ok(joined)
    }

    /// What the campaign was asked for, as one shard.
    pub(in crate::cli) fn manifest(&self) -> Manifest {
        let campaign = self.folders[0].manifest.campaign.clone();
        let mut manifest = Manifest::new(campaign, Shard::WHOLE);
        manifest.ended = !self.has_holes();
        manifest.done = Some(self.rows.len() as u64);
        manifest.known.clone_from(&self.summary.known);
        let rules = self.folders.iter().map(|folder| folder.manifest.shrinking);
        manifest.shrinking = Shrinking::common(rules);
        manifest
    }

    /// True if runs are not there that should be: then nobody knows whether all would have held.
    /// Runs that `--budget` or `--max-failures` left out are no holes.
    pub(in crate::cli) fn has_holes(&self) -> bool {
        !self.missing.is_empty() || self.partial.iter().any(Partial::is_hole)
    }

    /// Which shard this is: the whole, unless there is only one directory.
    pub(in crate::cli) fn shard(&self) -> Shard {
        match &self.folders[..] {
            [only] => only.manifest.shard,
            _ => Shard::WHOLE,
        }
    }

    /// What was shrunk and counts.
    pub(in crate::cli) fn all_shrunk(&self) -> &AllShrunk {
        &self.shrunk
    }

    /// How many runs of saved failures there are, beside those of the campaign.
    pub(in crate::cli) fn saved(&self) -> u64 {
        self.corpus.len() as u64
    }

    /// How many shards there are, and how many the campaign has.
    pub(in crate::cli) fn shards(&self) -> (u64, u64) {
        let found = self.folders.len() as u64;
        (found, found + self.missing.len() as u64)
    }

    fn take(&mut self, number: usize, waiting: &mut WaitingRecords) -> Result<(), JoinError> {
        let folder = &self.folders[number];
        let manifest = &folder.manifest;
        let (mut runs, of) = (0, manifest.runs());
        let (rows, summary) = (&mut self.rows, &mut self.summary);
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
            rows.push(Row::new(manifest, &record, number, place));
            runs += 1;
            for record in waiting.offer(record) {
                summary.add(&record);
            }
            Ok(())
        })?;
        for record in folder.corpus()? {
            let key = RunKey::of(&record);
            if self.corpus.insert(key, record.clone()).is_none() {
                summary.add(&record);
            }
        }
        let shrunk = folder.shrunk()?;
        self.slugs.extend(files(&shrunk).into_keys());
        self.shrunk.extend(shrunk);
        if runs < of || torn {
            self.partial.push(Partial {
                path: folder.path.clone(),
                shard: manifest.shard,
                runs,
                of,
                ended: manifest.ended,
                made: manifest.done,
                torn,
            });
        }
        Ok(())
    }

    /// What is shrunk is decided by all records together.
    fn settle(&mut self, waiting: &mut WaitingRecords) {
        let campaign = &self.folders[0].manifest.campaign;
        for record in waiting.settle(&mut self.shrunk) {
            self.summary.add(&record);
            let (scenario, strategy) = numbers(campaign, &record);
            self.settled
                .insert((scenario, strategy, record.seed), record);
        }
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
    fn write_records(&self, out: &mut dyn Write) -> io::Result<()> {
        self.each_line(|line| out.write_all(line))
    }

    /// Writes the time of each record, in order.
    fn write_timing(&self, out: &mut dyn Write) -> io::Result<()> {
        let campaign = &self.folders[0].manifest.campaign;
        for row in &self.rows {
            let file = campaign.files.get(row.scenario);
            let scenario = file.map_or(GENERATED, |file| &file.path);
            let strategy = &campaign.strategies[row.strategy];
            let mut record = Record::bare(scenario, strategy, row.seed, Verdict::Pass);
            record.wall_us = row.wall_us;
            out.write_all(timing(&record)?.as_bytes())?;
        }
        Ok(())
    }

    /// Writes all files of the campaign but `campaign.json` and `junit.xml` into a directory, which may be
    /// one of its own. Each appears whole or not at all.
    ///
    /// # Errors
    /// One cannot be written.
    pub(in crate::cli) fn write(&self, out: &Path, context: &Context) -> Result<(), Stop> {
        let refused = |path: &Path, error: &io::Error| {
            Stop::Usage(format!("{}: cannot be written: {error}", path.display()))
        };
        let new = |name: &str, write: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
            let path = out.join(format!("{name}.new"));
            let written = File::create(&path).and_then(|file| {
                let mut file = BufWriter::new(file);
                write(&mut file)?;
                file.flush()
            });
            written.map_err(|error| refused(&path, &error))
        };
        new(RESULTS, &|out| self.write_records(out))?;
        new(TIMING, &|out| self.write_timing(out))?;
        if !self.corpus.is_empty() {
            new(CORPUS, &|out| {
                let mut records = self.corpus.values();
                records.try_for_each(|record| out.write_all(&line(record)?))
            })?;
        }
        let has_rule = self.manifest().shrinking.is_some();
        if has_rule {
            new(SHRUNK, &|out| write_shrunk(&self.shrunk, out))?;
        }
        let shrunk = has_rule.then_some(SHRUNK);
        let corpus = (!self.corpus.is_empty()).then_some(CORPUS);
        for name in [RESULTS, TIMING].into_iter().chain(shrunk).chain(corpus) {
            let path = out.join(name);
            fs::rename(out.join(format!("{name}.new")), &path)
                .map_err(|error| refused(&path, &error))?;
        }
        self.write_failures(&out.join(FAILURES), context)
    }

    /// Writes the scenario files of failures, and a capsule beside each.
    fn write_failures(&self, out: &Path, context: &Context) -> Result<(), Stop> {
        let files = files(&self.shrunk);
        let kept: Vec<PathBuf> = self
            .folders
            .iter()
            .map(|folder| folder.path.join(FAILURES))
            .collect();
        for (slug, failure) in &files {
            keep_failure(out, slug, failure, &kept, context)?;
        }
        // What another part of the campaign was shrunk to first, or only a part of it would have kept.
        for slug in self.slugs.iter().filter(|slug| !files.contains_key(*slug)) {
            for extension in ["toml", "capsule"] {
                match fs::remove_file(out.join(format!("{slug}.{extension}"))) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        let note = format!("{slug}.{extension}: cannot be removed: {error}");
                        context.output.note(note);
                    }
                    Ok(()) | Err(_) => {}
                }
            }
        }
        Ok(())
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
            if let Some(record) = self.settled.get(&(row.scenario, row.strategy, row.seed)) {
                take(&line(record)?)?;
                continue;
            }
            let text = lines.read(row.place()).map_err(io::Error::other)?;
            // What an earlier join knew of its failures may be known no more.
            if contains(&text, b"\"fingerprint\"") || contains(&text, b"\"wall_us\"") {
                let mut record: Record = serde_json::from_slice(&text).map_err(io::Error::other)?;
                for finding in &mut record.findings {
                    finding.fingerprint = None;
                    finding.anomaly = None;
                }
                take(&line(&record)?)?;
            } else {
                take(&text)?;
            }
        }
        Ok(())
    }
}

/// The numbers of a record's scenario and strategy in its campaign.
fn numbers(campaign: &Parameters, record: &Record) -> (usize, usize) {
    let files = campaign.files.iter();
    let strategies = campaign.strategies.iter();
    let before = files.take_while(|file| file.path != record.scenario);
    let scenario = before.count();
    let before = strategies.take_while(|name| **name != record.strategy);
    (scenario, before.count())
}

/// A record as a line of the results. Times are told elsewhere.
pub(in crate::cli) fn line(record: &Record) -> io::Result<Vec<u8>> {
    let record = Record {
        wall_us: 0,
        ..record.clone()
    };
    let mut line = serde_json::to_vec(&record)?;
    line.push(b'\n');
    Ok(line)
}

/// A failure that was shrunk as a line.
pub(in crate::cli) fn shrunk_line(line: &ShrunkLine) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(line)?;
    line.push(b'\n');
    Ok(line)
}

fn write_shrunk(shrunk: &AllShrunk, out: &mut dyn Write) -> io::Result<()> {
    for (of, shrunk) in shrunk {
        let line = ShrunkLine {
            of: of.clone(),
            shrunk: shrunk.clone(),
        };
        out.write_all(&shrunk_line(&line)?)?;
    }
    Ok(())
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part == word)
}

/// Keeps a scenario file of a failure, and its capsule, which is copied from where it was made of the same
/// file, or else made. A capsule that is missing is told of, and can be made again.
fn keep_failure(
    out: &Path,
    slug: &str,
    failure: &ShrunkFailure,
    kept: &[PathBuf],
    context: &Context,
) -> Result<(), Stop> {
    let path = out.join(format!("{slug}.toml"));
    let capsule = path.with_extension("capsule");
    let same = |directory: &&PathBuf| {
        let text = fs::read_to_string(directory.join(format!("{slug}.toml")));
        let capsule = directory.join(format!("{slug}.capsule"));
        text.is_ok_and(|text| text == failure.file) && capsule.is_file()
    };
    let from = kept.iter().find(same);
    let from = from.map(|directory| directory.join(format!("{slug}.capsule")));
    let write = || {
        fs::create_dir_all(out)?;
        fs::write(&path, &failure.file)?;
        match &from {
            Some(from) if *from != capsule => fs::copy(from, &capsule).map(drop),
            Some(_) | None => Ok(()),
        }
    };
    write()
        .map_err(|error| Stop::Usage(format!("{}: cannot be written: {error}", path.display())))?;
    if from.is_none() {
        let strategy = &failure.fingerprint.signature.strategy;
        if let Err(reason) = twice::capsule_elsewhere(&path, strategy, failure.seed, &capsule) {
            let capsule = capsule.display();
            context.output.note(format_args!("{capsule}: {reason}"));
        }
    }
    Ok(())
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

impl Partial {
    /// True if it did not end, or has lost runs that it had made.
    fn is_hole(&self) -> bool {
        !self.ended || self.torn || self.has_lost()
    }

    /// True if it had made more runs than it has.
    pub(in crate::cli) fn has_lost(&self) -> bool {
        self.made.is_some_and(|made| self.runs < made)
    }
}

impl Row {
    /// The row of a record that its manifest does not refuse.
    fn new(manifest: &Manifest, record: &Record, folder: usize, place: Place) -> Self {
        let (scenario, strategy) = numbers(&manifest.campaign, record);
        Self {
            scenario,
            strategy,
            seed: record.seed,
            folder,
            offset: place.offset,
            bytes: place.bytes,
            line: place.line,
            wall_us: record.wall_us,
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
