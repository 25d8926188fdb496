//! What can be typed after `corpus`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{ReportAs, Size, duration};

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
        hublab corpus add out/crash-gossip-7.capsule --corpus tests/corpus\n  \
        hublab corpus add out/ghost-pubsub-1.capsule --oracle no_resurrection --expect fails")]
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
    /// An oracle whose violation is to be saved although the file documents it (`violates`); can be
    /// given several times
    #[arg(long = "oracle", value_name = "NAME")]
    pub(in crate::cli) oracles: Vec<String>,
    /// What `corpus run` is to ask for: that it holds, or that it fails as it does now
    #[arg(long, value_enum, default_value_t = Expect::Holds, value_name = "WHAT")]
    pub(in crate::cli) expect: Expect,
    #[command(flatten)]
    pub(in crate::cli) size: Size,
    /// Real time that one run may take
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(in crate::cli) wall_limit: Duration,
}

/// What a saved failure is to do when it is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Expect {
    /// It is to hold: the failure was mended.
    Holds,
    /// It is to fail as it did: the failure is known.
    Fails,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Run {
    #[command(flatten)]
    pub(in crate::cli) which: Which,
    #[command(flatten)]
    pub(in crate::cli) report: ReportAs,
    /// Write a record of each run into this file, for `fuzz --corpus`
    #[arg(long, hide = true, value_name = "PATH")]
    pub(in crate::cli) records: Option<PathBuf>,
    /// Runs at the same time; default: the number of cores
    #[arg(long, value_name = "N")]
    pub(in crate::cli) jobs: Option<NonZeroUsize>,
    /// Real time that one run may take; one that takes longer is ended, and inconclusive
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
