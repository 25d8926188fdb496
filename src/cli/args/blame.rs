//! What can be typed after `blame`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Command, FromArgMatches, ValueEnum};

use super::Recorded;

#[derive(Debug, Args)]
pub(in crate::cli) struct Blame {
    #[command(flatten)]
    pub(in crate::cli) run: Recorded,
    #[command(flatten)]
    pub(in crate::cli) search: Search,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = BlameFormat::Text, value_name = "FORMAT")]
    pub(in crate::cli) format: BlameFormat,
}

/// What is asked, and how much may be spent on the answer.
#[derive(Debug, Args)]
pub(in crate::cli) struct Search {
    /// Which of the failures, from 1, as `run` tells them; default: the first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(in crate::cli) failure: Option<u64>,
    /// What fails: an oracle, whether the file names it or documents it, or the kind of an expectation
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) oracle: Option<String>,
    /// Branches per instant: futures with other draws
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(in crate::cli) branches: u32,
    /// Instants of the curve
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(4..=10_000))]
    pub(in crate::cli) points: u32,
    /// How many runs to spend in all
    #[arg(long, value_name = "N", default_value_t = 6_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) runs: u64,
    /// Real time to spend. A search that it ends says so, and what it lacks
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = super::duration)]
    pub(in crate::cli) wall_limit: Duration,
    /// Runs at the same time; default: the number of cores
    #[arg(long, value_name = "N")]
    pub(in crate::cli) jobs: Option<NonZeroUsize>,
    /// Keep the outcome of every run in this directory, and the answer as `blame.json`; a search that was
    /// ended goes on there
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
}

impl Default for Search {
    /// As if nothing was typed.
    fn default() -> Self {
        let command = Self::augment_args(Command::new("blame"));
        let matches = command.get_matches_from(["blame"]);
        Self::from_arg_matches(&matches).expect("every argument has a default or may be absent")
    }
}

/// How `blame` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum BlameFormat {
    /// Lines and a small plot, for people.
    Text,
    /// One JSON object.
    Json,
}
