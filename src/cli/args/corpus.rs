//! What can be typed after `corpus`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Size, duration};

#[derive(Debug, Args)]
pub(in crate::cli) struct Corpus {
    #[command(subcommand)]
    pub(in crate::cli) what: CorpusCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CorpusCommand {
    /// Save failures: of capsules as they were recorded, of scenario files as they fail now
    #[command(after_help = "Examples:\n  \
        hublab corpus add out/failures/gossip-no_resurrection-ghost-a2-8d1a2f3c.toml\n  \
        hublab corpus add out/crash-gossip-7.capsule --corpus tests/corpus")]
    Add(Add),
    /// List what is saved, one line each
    #[command(after_help = "Example: hublab corpus list --corpus tests/corpus")]
    List(Which),
    /// Run everything that is saved: what fails still, or otherwise, and what holds by now
    #[command(after_help = "Example: hublab corpus run --corpus tests/corpus")]
    Run(Run),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Add {
    /// Capsules, and scenario files that fail
    #[arg(required = true, value_name = "CAPSULE|FILE")]
    pub(in crate::cli) failures: Vec<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) which: Which,
    #[command(flatten)]
    pub(in crate::cli) size: Size,
    /// Real time that one run may take
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(in crate::cli) wall_limit: Duration,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Run {
    #[command(flatten)]
    pub(in crate::cli) which: Which,
    /// Runs at the same time; default: the number of cores
    #[arg(long, value_name = "N")]
    pub(in crate::cli) jobs: Option<NonZeroUsize>,
    /// Real time that one run may take; a run that takes longer is inconclusive and ends the command
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(in crate::cli) wall_limit: Duration,
}

/// Where saved failures are.
#[derive(Debug, Args)]
pub(in crate::cli) struct Which {
    /// The directory of saved failures
    #[arg(long, value_name = "DIR", default_value = "corpus")]
    pub(in crate::cli) corpus: PathBuf,
}
