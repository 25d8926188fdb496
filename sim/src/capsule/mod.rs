//! Capsules: one file that holds a run, to be replayed, compared, searched and shown.
//!
//! | module | owns |
//! | --- | --- |
//! | [`mod@diff`] | where two traces part |
//! | [`mod@judge`] | judging a recorded trace again |
//! | [`mod@replay`] | running a capsule again |
//! | [`twice`] | the determinism check |
//! | [`mod@why`] | what led to a row |
//!
//! # The file
//!
//! | part | what it holds |
//! | --- | --- |
//! | prelude | magic, versions, and the *directory*: how long the trace is, where the footer begins |
//! | header | [`Header`]: resolved scenario, strategy, seed, build |
//! | blocks | the events, up to [`CHECKPOINT`] in each, `bincode` in LZ4, each with the digest so far |
//! | footer | [`Footer`]: digest, number of events, kinds of messages, report |
//!
//! A capsule is written as a stream while the run goes, by a [`Recording`]; the directory is
//! filled in last, so a file without one is that of a run that was killed. It is read block by
//! block by a [`Capsule`], whose memory does not grow with the file. Everything that is read is
//! checked first: lengths against the file and the [`Limits`], contents against their hashes,
//! numbers and digests of events against those recorded. No file makes a reader panic.

mod codec;
mod contents;
pub mod diff;
mod error;
pub mod judge;
mod read;
pub mod replay;
pub mod twice;
pub mod why;
mod write;

use hublab_strategies::NodeId;
use serde::{Deserialize, Serialize};

pub use diff::{Comparison, Divergence, diff};
pub use error::CapsuleError;
pub use judge::{JudgeError, Rejudged, judge};
pub(crate) use read::Cursor;
pub use read::{Capsule, Events, MemoryCapsule};
pub use replay::{Replay, ReplayError, replay};
pub use why::{Why, WhyError, why, why_it_failed};
pub use write::{CapsuleWriter, FileRecording, Recording};

use crate::catalog::Catalog;
use crate::report::Report;
use crate::run::EVENT_BUDGET;
use crate::scenario::Scenario;
use crate::scenario::render::{Style, render};
use crate::scenario::resolve::resolve;

/// The version of the file format.
pub const VERSION: u32 = 3;

/// A block ends at every so many events, with the digest so far.
pub const CHECKPOINT: u64 = 1_024;

/// The format version, for reader and writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of trace, decompressed.
    pub trace_bytes: u64,
}

impl Default for Limits {
    /// 1 GiB.
    fn default() -> Self {
        Self {
            trace_bytes: 1 << 30,
        }
    }
}

impl Limits {
    /// Any length: `--big`.
    pub const BIG: Self = Self {
        trace_bytes: u64::MAX,
    };
}

/// The program that made a capsule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// The simulator's version.
    pub version: String,
    /// The commit it was built from, `-dirty` behind it if files were changed; `None` if it was
    /// not built in its repository.
    pub commit: Option<String>,
}

impl Build {
    /// This program.
    #[must_use]
    pub fn current() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("HUBLAB_COMMIT").map(str::to_owned),
        }
    }
}

impl std::fmt::Display for Build {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.commit {
            Some(commit) => write!(
                f,
                "hublab {} ({})",
                self.version,
                crate::trace::text::printable(commit)
            ),
            None => write!(f, "hublab {}", self.version),
        }
    }
}

/// Header of a capsule, before its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Header {
    /// The scenario's name.
    pub name: String,
    /// The resolved scenario, as a scenario file.
    pub scenario: String,
    /// The strategy.
    pub strategy: String,
    /// The seed.
    pub seed: u64,
    /// The most events that the run was granted.
    pub budget: u64,
    /// The names of the nodes, by their number in events.
    pub nodes: Vec<NodeId>,
    /// The program that made it.
    pub build: Build,
}

impl Header {
    /// The header of a run with the default event budget, made by this program.
    #[must_use]
    pub fn new(scenario: &Scenario, strategy: &str, seed: u64, catalog: &Catalog) -> Self {
        let resolved = resolve(scenario, seed, catalog);
        Self {
            name: resolved.name.clone(),
            scenario: render(&resolved, Style::Full),
            strategy: strategy.to_owned(),
            seed,
            budget: EVENT_BUDGET,
            nodes: resolved.cluster.nodes,
            build: Build::current(),
        }
    }
}

/// True if bytes are the beginning of a capsule, sound or not.
#[must_use]
pub fn is_capsule(bytes: &[u8]) -> bool {
    bytes.starts_with(&codec::MAGIC)
}

/// Trailer of a capsule, behind its events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Footer {
    /// BLAKE3 over the events, in hexadecimal.
    pub digest: String,
    /// How many events there are.
    pub events: u64,
    /// The kinds of messages, by their number in events.
    pub kinds: Vec<String>,
    /// Report of the run.
    pub report: Report,
}
