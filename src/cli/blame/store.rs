//! The directory of a search: the outcome of every run, so that it can go on, and the answer.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use hublab_sim::blame::{Job, Outcome, Question};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::Stop;
use super::super::lock::{Lock, lock};

const RUNS: &str = "runs.ndjson";
const ANSWER: &str = "blame.json";

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
    /// It holds the runs of another question, another process writes into it, or it cannot be used.
    pub(super) fn open(directory: &Path, question: &Question) -> Result<Self, Stop> {
        let failed = |error: std::io::Error| unusable(directory, &error);
        fs::create_dir_all(directory).map_err(failed)?;
        let lock = lock(directory)?;
        let head = Head {
            hublab_blame: 1,
            question: question.identity(),
        };
        let path = directory.join(RUNS);
        let mut known = BTreeMap::new();
        let mut whole = 0;
        if path.exists() {
            let mut reader = BufReader::new(File::open(&path).map_err(failed)?);
            let mut line = String::new();
            while reader.read_line(&mut line).map_err(failed)? > 0 && line.ends_with('\n') {
                if whole == 0 {
                    if serde_json::from_str::<Head>(&line).ok().as_ref() != Some(&head) {
                        return Err(unusable(
                            &path,
                            &"it holds the runs of another question; name another directory",
                        ));
                    }
                } else {
                    let Ok(Line { job, outcome }) = serde_json::from_str(&line) else {
                        return Err(unusable(&path, &"it holds a line that is no run"));
                    };
                    known.insert(job, outcome);
                }
                whole += line.len() as u64;
                line.clear();
            }
        }
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
    pub(super) fn finish(self, answer: &Value) -> Result<(), Stop> {
        let path = self.directory.join(ANSWER);
        fs::write(&path, format!("{answer:#}\n")).map_err(|error| unusable(&path, &error))
    }
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Stop {
    Stop::Usage(format!("{}: {error}", path.display()))
}
