//! The directory of a comparison.
//!
//! While it runs, `outcomes.ndjson` gets a line per run, in their order, so that a comparison that
//! was interrupted can go on; all other files are made of these lines at the end. Only `timing.csv`
//! is not the same each time. A lock on `outcomes.ndjson` keeps a second process out, and a directory
//! with files of other origin is left alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hublab_sim::compare::Outcome;
use hublab_sim::scenario::render_plan;
use serde::{Deserialize, Serialize};

use super::render::Report;
use super::setup::Comparison;
use crate::cli::Stop;
use crate::cli::lock::lock_by;

/// The plan, as resolved.
pub(super) const PLAN: &str = "plan.toml";
/// Copies of what ran.
const SCENARIOS: &str = "scenarios";
/// A line per run.
const OUTCOMES: &str = "outcomes.ndjson";
/// The real time of each run.
const TIMING: &str = "timing.csv";

/// The first line of the outcomes.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Head {
    schema: u32,
    fingerprint: String,
}

/// A comparison's directory, being written.
#[derive(Debug)]
pub(super) struct Store {
    directory: PathBuf,
    known: Vec<Outcome>,
    outcomes: File,
    timing: File,
    /// The number of the next run.
    next: usize,
}

impl Store {
    /// Opens the directory of a comparison, or makes it.
    ///
    /// # Errors
    /// It cannot be written, holds other files, holds another comparison, or one that is being written, or
    /// holds one and `resume` was not asked for. Nothing in it has changed then.
    pub(super) fn open(
        directory: &Path,
        comparison: &Comparison,
        resume: bool,
    ) -> Result<Self, Stop> {
        let path = directory.join(OUTCOMES);
        let head = Head {
            schema: 1,
            fingerprint: comparison.fingerprint(),
        };
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
        let text = fs::read_to_string(&path).map_err(unusable(&path))?;
        let (known, whole_bytes) = known(&text, &head)
            .map_err(|reason| Stop::Usage(format!("{}: {reason}", path.display())))?;
        if known.len() > comparison.count() {
            let reason = "it has more runs than the comparison";
            return Err(Stop::Usage(format!("{}: {reason}", path.display())));
        }
        let scenarios = directory.join(SCENARIOS);
        fs::create_dir_all(&scenarios).map_err(unusable(&scenarios))?;
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
            timing: timing(&directory.join(TIMING), known.is_empty())?,
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
        let written = self.outcomes.write_all(format!("{line}\n").as_bytes());
        written.map_err(unusable(&path))?;
        let timed = format!("{},{}\n", self.next, outcome.wall_us);
        let written = self.timing.write_all(timed.as_bytes());
        written.map_err(unusable(&self.directory.join(TIMING)))?;
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

/// Why outcomes cannot be used.
#[derive(Debug, thiserror::Error)]
enum StoreError {
    #[error(transparent)]
    Head(#[from] serde_json::Error),
    #[error("the comparison in this directory is another one: other files, plan or version")]
    OtherComparison,
    #[error("line {0}: {1}")]
    Line(usize, serde_json::Error),
}

/// The outcomes of a file that belongs to the comparison of `head`, and the length of its whole
/// lines: a last line without an end was being written when the process died.
fn known(text: &str, head: &Head) -> Result<(Vec<Outcome>, u64), StoreError> {
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let mut lines = whole.lines();
    let Some(first) = lines.next() else {
        return Ok((Vec::new(), 0));
    };
    let found: Head = serde_json::from_str(first)?;
    if found != *head {
        return Err(StoreError::OtherComparison);
    }
    let outcome = |(place, line): (usize, &str)| {
        let line_number = place + 2;
        serde_json::from_str(line).map_err(|error| StoreError::Line(line_number, error))
    };
    let outcomes: Result<Vec<Outcome>, StoreError> = lines.enumerate().map(outcome).collect();
    Ok((outcomes?, whole.len() as u64))
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

fn timing(path: &Path, anew: bool) -> Result<File, Stop> {
    let mut file = append(path)?;
    if anew {
        file.set_len(0).map_err(unusable(path))?;
        file.write_all(b"run,wall_us\n").map_err(unusable(path))?;
    }
    Ok(file)
}

fn write(path: &Path, text: &str) -> Result<(), Stop> {
    fs::write(path, text).map_err(unusable(path))
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> Stop + '_ {
    move |error| Stop::Usage(format!("{}: {error}", path.display()))
}
