//! `outcomes.ndjson`: what a directory of a comparison keeps while it is made.
//!
//! The first line says which shard of which comparison it is, made by which program; then there is a
//! line per run of that shard, in their order. A last line without an end was being written when the
//! process died, and counts as not written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hublab_sim::campaign::shard::Shard;
use hublab_sim::capsule::Build;
use hublab_sim::compare::Outcome;
use serde::{Deserialize, Serialize};

use super::part::Part;
use crate::cli::Stop;

/// A line per run.
pub(super) const OUTCOMES: &str = "outcomes.ndjson";
/// The real time of each run, by its number in the whole comparison.
pub(super) const TIMING: &str = "timing.csv";

/// The version of the file's shape.
const SCHEMA: u32 = 1;

/// The first line of the outcomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    schema: u32,
    /// The program.
    pub(super) build: Build,
    /// Of the plan and its files.
    pub(super) fingerprint: String,
    pub(super) shard: Shard,
    /// The cells whose runs are not made, and why.
    pub(super) left_out: BTreeMap<usize, String>,
}

impl Head {
    /// The head of what this program makes.
    pub(super) fn of(part: &Part<'_>) -> Self {
        Self {
            schema: SCHEMA,
            build: Build::current(),
            fingerprint: part.comparison.fingerprint(),
            shard: part.shard,
            left_out: part.comparison.left_out.clone(),
        }
    }

    /// Why what is kept under this head is of another comparison than what is under another one, if it
    /// is.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        if self.schema != other.schema {
            let (this, other) = (self.schema, other.schema);
            Some(format!("one has schema {this}, and one has {other}"))
        } else if self.build != other.build {
            let (this, other) = (&self.build, &other.build);
            Some(format!(
                "one is made by {this}, and one by {other}, whose runs may differ"
            ))
        } else if self.fingerprint != other.fingerprint {
            Some("the plans or their scenario files are not the same".to_owned())
        } else if self.left_out != other.left_out {
            Some("not the same cells are left out (--memory)".to_owned())
        } else {
            None
        }
    }
}

/// What is there.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) head: Head,
    /// The outcomes of the shard's runs, from its first on.
    pub(super) outcomes: Vec<Outcome>,
    /// The length of the whole lines.
    pub(super) bytes: u64,
    /// True if there was more.
    pub(super) is_torn: bool,
}

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeptError {
    #[error("{}: {reason}", .path.display())]
    Unreadable {
        path: PathBuf,
        reason: std::io::Error,
    },
    #[error("{}:{line}: {reason}", .path.display())]
    Line {
        path: PathBuf,
        line: usize,
        reason: serde_json::Error,
    },
}

impl From<KeptError> for Stop {
    fn from(error: KeptError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// True if a directory holds a comparison or a part of one.
pub(in crate::cli) fn is_there(directory: &Path) -> bool {
    directory.join(OUTCOMES).exists()
}

impl Kept {
    /// Reads a directory; `None` if its process died before anything was written.
    ///
    /// # Errors
    /// The file cannot be read, or has a whole line that is none of a comparison.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, KeptError> {
        let path = directory.join(OUTCOMES);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(reason) => return Err(KeptError::Unreadable { path, reason }),
        };
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let wrong = |line: usize, reason| KeptError::Line {
            path: path.clone(),
            line,
            reason,
        };
        let mut lines = whole.lines();
        let Some(first) = lines.next() else {
            return Ok(None);
        };
        let head = serde_json::from_str(first).map_err(|reason| wrong(1, reason))?;
        let outcome = |(place, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|reason| wrong(place + 2, reason))
        };
        let outcomes: Result<Vec<Outcome>, KeptError> = lines.enumerate().map(outcome).collect();
        Ok(Some(Self {
            head,
            outcomes: outcomes?,
            bytes: whole.len() as u64,
            is_torn: whole.len() < text.len(),
        }))
    }
}

/// The real times that a directory tells, in microseconds, by the number of the run. They are worth
/// nothing but themselves: what cannot be read is left out.
pub(super) fn times(directory: &Path) -> BTreeMap<usize, u64> {
    let text = fs::read_to_string(directory.join(TIMING)).unwrap_or_default();
    let time = |line: &str| {
        let (number, wall_us) = line.split_once(',')?;
        Some((number.parse().ok()?, wall_us.parse().ok()?))
    };
    text.lines().filter_map(time).collect()
}
