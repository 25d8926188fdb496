//! The directory of a comparison.
//!
//! While it runs, [`OUTCOMES`] gets a line per run, in their order, so that a comparison that was
//! interrupted can go on; all other files are made of these lines at the end. Only [`TIMING`] is not
//! the same each time. A lock on the outcomes keeps a second process out, and a directory with files
//! of other origin is left alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hublab_sim::compare::Outcome;
use hublab_sim::scenario::render_plan;

use super::kept::{Head, Kept, OUTCOMES, TIMING, times};
use super::part::Part;
use super::render::Report;
use crate::cli::Stop;
use crate::cli::lock::lock_by;

/// The plan, as resolved.
pub(in crate::cli) const PLAN: &str = "plan.toml";
/// Copies of what ran.
pub(super) const SCENARIOS: &str = "scenarios";

/// A directory of a comparison or of a shard of one, being written.
#[derive(Debug)]
pub(super) struct Store<'c> {
    directory: PathBuf,
    part: Part<'c>,
    known: Vec<Outcome>,
    outcomes: File,
    timing: File,
    /// The place of the next run among those of the part.
    next: usize,
}

impl<'c> Store<'c> {
    /// Opens the directory of a comparison, or makes it.
    ///
    /// # Errors
    /// It cannot be written, holds other files, holds another comparison, or one that is being written, or
    /// holds one and `resume` was not asked for. Nothing in it has changed then.
    pub(super) fn open(directory: &Path, part: Part<'c>, resume: bool) -> Result<Self, Stop> {
        let path = directory.join(OUTCOMES);
        let is_there = path.try_exists().map_err(unusable(&path))?;
        if is_there && !resume {
            return Err(Stop::Usage(format!(
                "{}: a comparison is in this directory; --resume goes on with it",
                directory.display()
            )));
        }
        if !is_there {
            must_be_empty(directory)?;
            fs::create_dir_all(directory).map_err(unusable(directory))?;
        }
        let mut outcomes = append(&path)?;
        lock_by(&outcomes, directory)?;
        let head = Head::of(&part);
        let (known, whole_bytes) = match Kept::read(directory)? {
            Some(kept) => (
                same(kept.outcomes, &kept.head, &head, &part, &path)?,
                kept.bytes,
            ),
            None => (Vec::new(), 0),
        };
        let scenarios = directory.join(SCENARIOS);
        fs::create_dir_all(&scenarios).map_err(unusable(&scenarios))?;
        let comparison = part.comparison;
        write(&directory.join(PLAN), &render_plan(&comparison.plan))?;
        for (name, text) in &comparison.files {
            write(&scenarios.join(format!("{name}.toml")), text)?;
        }
        outcomes.set_len(whole_bytes).map_err(unusable(&path))?;
        if whole_bytes == 0 {
            let line = serde_json::to_string(&head).map_err(io::Error::from);
            let written = line.and_then(|line| writeln!(outcomes, "{line}"));
            written.map_err(unusable(&path))?;
        }
        Ok(Self {
            directory: directory.to_owned(),
            timing: timing(directory, &part, known.len())?,
            part,
            next: known.len(),
            known,
            outcomes,
        })
    }

    /// The outcomes that were there, from the first on.
    pub(super) fn take_known(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.known)
    }

    /// Keeps the next outcome.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn keep(&mut self, outcome: &Outcome) -> Result<(), Stop> {
        let path = self.directory.join(OUTCOMES);
        let line = serde_json::to_string(outcome).map_err(|error| unusable(&path)(error.into()))?;
        // The time first: of a process that dies between the two, resuming drops a time without an
        // outcome, and would not make a run again whose outcome lacks its time.
        let number = self.part.number(self.next);
        let timed = format!("{number},{}\n", outcome.wall_us);
        let written = self.timing.write_all(timed.as_bytes());
        written.map_err(unusable(&self.directory.join(TIMING)))?;
        let written = self.outcomes.write_all(format!("{line}\n").as_bytes());
        written.map_err(unusable(&path))?;
        self.next += 1;
        Ok(())
    }

    /// Writes what all runs come to.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn finish(&self, report: &Report<'_>) -> Result<(), Stop> {
        let figures = self.directory.join(super::figures::DIRECTORY);
        fs::create_dir_all(&figures).map_err(unusable(&figures))?;
        for (name, text) in report.files() {
            write(&self.directory.join(name), &text)?;
        }
        Ok(())
    }
}

/// Leaves a directory alone that holds anything: what it holds might be overwritten.
fn must_be_empty(directory: &Path) -> Result<(), Stop> {
    let mut entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(directory)(error)),
    };
    if entries.next().is_none() {
        return Ok(());
    }
    Err(Stop::Usage(format!(
        "{}: the directory holds other files; name one that is empty or not there",
        directory.display()
    )))
}

fn append(path: &Path) -> Result<File, Stop> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(unusable(path))
}

/// The outcomes that are there, if they are of the part under `head`.
fn same(
    outcomes: Vec<Outcome>,
    found: &Head,
    head: &Head,
    part: &Part<'_>,
    path: &Path,
) -> Result<Vec<Outcome>, Stop> {
    let refused = |reason: &str| Err(Stop::Usage(format!("{}: {reason}", path.display())));
    if let Some(difference) = found.difference(head) {
        return refused(&format!(
            "the comparison in this directory is another one: {difference}"
        ));
    }
    if found.shard != head.shard {
        let (found, asked) = (found.shard, head.shard);
        return refused(&format!(
            "shard {found} is in this directory, and this one is {asked}"
        ));
    }
    if outcomes.len() > part.count() {
        return refused("it has more runs than the comparison");
    }
    Ok(outcomes)
}

/// The file of times, with those of the runs that are there: a process that died may have left part of a
/// line.
fn timing(directory: &Path, part: &Part<'_>, known: usize) -> Result<File, Stop> {
    let path = directory.join(TIMING);
    let times = times(directory);
    let mut text = "run,wall_us\n".to_owned();
    for number in (0..known).map(|place| part.number(place)) {
        if let Some(wall_us) = times.get(&number) {
            text.push_str(&format!("{number},{wall_us}\n"));
        }
    }
    write(&path, &text)?;
    append(&path)
}

fn write(path: &Path, text: &str) -> Result<(), Stop> {
    fs::write(path, text).map_err(unusable(path))
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> Stop + '_ {
    move |error| Stop::Usage(format!("{}: {error}", path.display()))
}
