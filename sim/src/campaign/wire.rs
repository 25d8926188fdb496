//! Messages between the process of a campaign and its workers: one JSON object per line.
//!
//! To a worker: one [`Setup`], then [`Order`]s. From it: a [`Reply`] per order, in their order,
//! each on a line that begins with [`MARK`], and 0 as the number of the first one, to the
//! setup. A worker begins a new line before each reply, so that what a strategy prints beside it
//! is a line of its own, and is ignored.

use std::io::{self, BufRead};
use std::sync::Arc;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::oracles::OracleSet;
use super::record::Record;
use super::shrinking::{ShrinkJob, ShrunkFailure};
use super::trial::{Case, Source};
use crate::catalog::Catalog;
use crate::compare::Outcome;
use crate::generate::{Family, Options};
use crate::run::estimate::Estimate;
use crate::scenario::Problems;

/// The version of what is said. Both ends are the same program, or else this differs.
pub const VERSION: u32 = 5;

/// How the lines of replies begin.
pub const MARK: &str = "hublab-worker ";

/// The number of the reply to the setup.
pub(crate) const READY: u64 = 0;

/// The longest line, in bytes: what bounds the memory that a broken worker can cost.
pub const LINE_MAX: u64 = 256 << 20;

/// The first line to a worker: what does not change in a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// [`VERSION`].
    pub version: u32,
    /// Where scenarios come from.
    pub sources: Vec<SourceText>,
    /// The oracles.
    pub oracles: OracleSet,
    /// The strategy whose failures are left out of the others' records.
    pub baseline: Option<String>,
}

/// Why a text gives no [`Source`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is no such family of faults.
    #[error("there is no family `{0}`")]
    UnknownFamily(String),
    /// The catalog does not accept the file.
    #[error(transparent)]
    File(Box<Problems>),
}

/// A [`Source`] as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceText {
    /// Generated, without these families.
    Generated(Vec<String>),
    /// A file.
    File {
        /// Its path.
        path: String,
        /// Its text, with overrides applied.
        text: String,
    },
}

impl SourceText {
    /// The part of a source that is still to be sent.
    #[must_use]
    pub fn new(source: &Source) -> Self {
        match source {
            Source::Generated(options) => {
                let names = options
                    .without
                    .iter()
                    .map(|family| family.name().to_owned());
                Self::Generated(names.collect())
            }
            Source::File { path, text, .. } => Self::File {
                path: path.clone(),
                text: text.clone(),
            },
        }
    }

    /// The source again.
    ///
    /// # Errors
    /// The catalog does not accept the file.
    pub fn read(self, catalog: &Catalog) -> Result<Source, SourceError> {
        match self {
            Self::Generated(without) => {
                let families = without.iter().map(|name| {
                    Family::by_name(name).ok_or_else(|| SourceError::UnknownFamily(name.clone()))
                });
                Ok(Source::Generated(Options {
                    without: families.collect::<Result<_, _>>()?,
                }))
            }
            Self::File { path, text } => {
                let read = Source::file(&path, text, catalog);
                read.map_err(|problems| SourceError::File(Box::new(problems)))
            }
        }
    }
}

/// A line to a worker: something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Number of its reply; above 0.
    pub number: u64,
    /// The task.
    pub task: Task,
}

/// A task of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Make a run.
    Trial(Case),
    /// Shrink a failure.
    Shrink(ShrinkJob),
    /// Make a run of a scenario file, held to nothing but what the file expects.
    Run(RunTask),
    /// Estimate such a run.
    Estimate(RunTask),
}

/// A run of a scenario file, by all that makes it. It needs no source of the setup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunTask {
    /// What the file is called in texts.
    pub path: Arc<str>,
    /// Its text, with overrides applied.
    pub text: Arc<str>,
    /// The strategy.
    pub strategy: Arc<str>,
    /// The seed.
    pub seed: u64,
}

/// A line from a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The order's number.
    pub number: u64,
    /// The memory that the worker occupies, in bytes; absent if it cannot tell.
    pub memory: Option<u64>,
    /// Its result.
    pub answer: Answer,
}

/// Result of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The setup is understood.
    Ready,
    /// The run was made.
    Record(Box<Record>),
    /// The failure was shrunk.
    Shrunk(Box<ShrunkFailure>),
    /// The run of a file was made.
    Outcome {
        /// What it came to.
        outcome: Box<Outcome>,
        /// Its real time, in microseconds, which an outcome does not tell as text.
        wall_us: u64,
    },
    /// The run of a file was estimated.
    Estimate(Box<Estimate>),
    /// It cannot be done: the strategy refuses its parameters, the other end has another version.
    Refused(String),
    /// hublab panicked.
    Bug(String),
}

/// A message as a line, without its end.
///
/// # Panics
/// If a message cannot be written as JSON, which all can.
#[must_use]
pub fn line(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("messages are maps with text keys")
}

/// The message on a line.
///
/// # Errors
/// It is none.
pub fn read<M: DeserializeOwned>(line: &str) -> Result<M, serde_json::Error> {
    serde_json::from_str(line)
}

/// The next line that is a reply, other lines left out; `None` at the end, or where a line does not
/// end.
pub(crate) fn next_reply(from: &mut impl BufRead) -> Option<Reply> {
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = io::Read::take(&mut *from, LINE_MAX).read_until(b'\n', &mut bytes);
        if !matches!(read, Ok(1..)) || bytes.last() != Some(&b'\n') {
            return None;
        }
        let reply = bytes
            .strip_prefix(MARK.as_bytes())
            .and_then(|json| serde_json::from_slice(json).ok());
        if reply.is_some() {
            return reply;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_strategy_prints_is_no_reply_and_does_not_hide_one() {
        let reply = Reply {
            number: 7,
            memory: Some(1),
            answer: Answer::Refused("no".to_owned()),
        };
        let mut said = b"\xff\xfe debugging\n{\"number\":7}\nhublab-worker {}\nno end".to_vec();
        said.extend(format!("\n{MARK}{}\nhublab-wor", line(&reply)).bytes());
        let mut from = said.as_slice();
        assert_eq!(next_reply(&mut from), Some(reply));
        assert_eq!(next_reply(&mut from), None);
    }
}
