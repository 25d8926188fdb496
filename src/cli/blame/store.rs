//! The directory of a search: the outcome of every run, so that it can go on, and the answer.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use hublab_sim::blame::{Job, Outcome, Question};
use serde::{Deserialize, Serialize};

use super::super::Stop;
use super::super::campaign::folder::{LineError, whole_lines};
use super::super::lock::{Lock, lock};
use super::Told;

pub(super) const RUNS: &str = "runs.ndjson";
pub(super) const ANSWER: &str = "blame.json";
/// Why what is there is of no use.
const OTHER: &str = "it is of another question, or of another build; name another directory";

/// The first line of the runs.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Head {
    /// The version of the file.
    hublab_blame: u32,
    /// What the runs are of.
    question: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    job: Job,
    outcome: Outcome,
}

/// An open directory.
#[derive(Debug)]
pub(super) struct Store {
    directory: PathBuf,
    file: File,
    known: BTreeMap<Job, Outcome>,
    _lock: Lock,
}

impl Store {
    /// Opens a directory, or makes it. What it holds of the same question is known; a line that was not
    /// written to its end is forgotten.
    ///
    /// # Errors
    /// It holds the runs of another question or of another build, another process writes into it, or it cannot be used.
    pub(super) fn open(directory: &Path, question: &Question) -> Result<Self, Stop> {
        let failed = |error: std::io::Error| unusable(directory, &error);
        fs::create_dir_all(directory).map_err(failed)?;
        let lock = lock(directory)?;
        let head = Head {
            hublab_blame: 1,
            question: question.identity(),
        };
        let path = directory.join(RUNS);
        let (mut known, mut whole) = (BTreeMap::new(), 0);
        let read = whole_lines(&path, |line, place| {
            if place.offset == 0 {
                let found = serde_json::from_slice::<Head>(line);
                if found.ok().as_ref() != Some(&head) {
                    return Err(LineError::Foreign(OTHER.to_owned()));
                }
            } else {
                let Line { job, outcome } = serde_json::from_slice(line)?;
                known.insert(job, outcome);
            }
            whole = place.offset + place.bytes;
            Ok(())
        });
        read.map_err(|error| Stop::Usage(error.to_string()))?;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(failed)?;
        file.set_len(whole).map_err(failed)?;
        let mut store = Self {
            directory: directory.to_owned(),
            file,
            known,
            _lock: lock,
        };
        if whole == 0 {
            store.write(&serde_json::to_string(&head).unwrap_or_default())?;
        }
        Ok(store)
    }

    pub(super) fn get(&self, job: &Job) -> Option<Outcome> {
        self.known.get(job).copied()
    }

    /// Keeps the outcomes of runs, in one piece.
    pub(super) fn keep(&mut self, jobs: &[Job], outcomes: &[Outcome]) -> Result<(), Stop> {
        let mut lines = Vec::new();
        for (job, outcome) in jobs.iter().zip(outcomes) {
            let line = Line {
                job: job.clone(),
                outcome: *outcome,
            };
            lines.push(serde_json::to_string(&line).unwrap_or_default());
            self.known.insert(line.job, line.outcome);
        }
        self.write(&lines.join("\n"))
    }

    fn write(&mut self, text: &str) -> Result<(), Stop> {
        writeln!(self.file, "{text}").map_err(|error| unusable(&self.directory, &error))
    }

    /// Writes the answer.
    pub(super) fn finish(self, answer: &Told) -> Result<(), Stop> {
        let path = self.directory.join(ANSWER);
        let text = serde_json::to_string_pretty(answer).unwrap_or_default();
        fs::write(&path, text + "\n").map_err(|error| unusable(&path, &error))
    }
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Stop {
    Stop::Usage(format!("{}: {error}", path.display()))
}
