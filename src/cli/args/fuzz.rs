//! What can be typed after `fuzz`, and the worker that it starts.

use std::num::{NonZeroU64, NonZeroUsize};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hublab_sim::campaign::oracles::OracleSet;
use hublab_sim::generate::Family;

use super::known::KnownFailures;
use super::shard::Sharding;
use super::{BadArgument, Overrides, ReportAs, duration, family, seeds};

#[derive(Debug, Args)]
pub(in crate::cli) struct Fuzz {
    /// Scenario files, and directories to search for them; default: generated scenarios
    #[arg(value_name = "FILE")]
    pub(in crate::cli) paths: Vec<PathBuf>,
    /// The seeds, the end not included; default: 0..1000, or what the files say in `run.seeds`
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub(in crate::cli) seeds: Option<Range<u64>>,
    /// Draw the seeds from a text, such as a commit or a date: the same text is the same seeds
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with = "seeds",
        requires = "count"
    )]
    pub(in crate::cli) seeds_from: Option<String>,
    /// How many seeds to draw
    #[arg(long, value_name = "N", requires = "seeds_from", value_parser = count)]
    pub(in crate::cli) count: Option<NonZeroU64>,
    /// Runs at the same time, each in a process of its own; default: the number of cores
    #[arg(long, value_name = "N")]
    pub(in crate::cli) jobs: Option<NonZeroUsize>,
    /// The time for everything, shrinking included; runs under way are finished
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(in crate::cli) budget: Option<Duration>,
    /// Only this strategy; can be given several times; default: all, or the files' list
    #[arg(long = "strategy", value_name = "NAME")]
    pub(in crate::cli) strategies: Vec<String>,
    /// What runs are held to: `claims`, what each strategy promises; `all`; or names, with commas
    #[arg(long, value_name = "ORACLES", default_value = "claims")]
    pub(in crate::cli) oracles: OracleSet,
    /// Report only what this strategy does not show, too, in the same scenario with the same seed
    #[arg(long, value_name = "STRATEGY")]
    pub(in crate::cli) baseline: Option<String>,
    /// Begin no further run after this many have failed
    #[arg(long, value_name = "N")]
    pub(in crate::cli) max_failures: Option<NonZeroU64>,
    /// How many inconclusive runs do not make the campaign inconclusive
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) allow_inconclusive: u64,
    /// Write results, failures and junit.xml into this directory
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Go on with the campaign in the directory of --out: runs that are there are not made again.
    /// Without it, that is done where the campaign there is the same
    #[arg(long, requires = "out")]
    pub(in crate::cli) resume: bool,
    #[command(flatten)]
    pub(in crate::cli) known: KnownFailures,
    /// Run the failures saved in this directory first (`hublab corpus`); of several shards, the
    /// first does
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) corpus: Option<PathBuf>,
    /// Make this many of 100 runs twice, the second time in a fresh process, and compare
    #[arg(long, value_name = "PERCENT", default_value_t = 2, value_parser = clap::value_parser!(u8).range(..=100))]
    pub(in crate::cli) twice_percent: u8,
    #[command(flatten)]
    pub(in crate::cli) sharding: Sharding,
    /// Generate scenarios without this family of faults; can be given several times
    #[arg(long, value_name = "FAMILY", conflicts_with = "paths", value_parser = family())]
    pub(in crate::cli) without: Vec<Family>,
    #[command(flatten)]
    pub(in crate::cli) overrides: Overrides,
    /// Refuse files that have warnings
    #[arg(long)]
    pub(in crate::cli) strict: bool,
    #[command(flatten)]
    pub(in crate::cli) report: ReportAs,
    /// Do not look for the smallest scenario of each failure
    #[arg(long)]
    pub(in crate::cli) no_shrink: bool,
    /// How many failures of one kind to shrink: what looks the same may be several faults. With `--known`,
    /// ten times as many of those that look like no anomaly
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(in crate::cli) shrinks_per_signature: u64,
    /// How many failures to shrink in all; what is left out is told
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub(in crate::cli) shrinks: u64,
    /// How many failures of one kind to confirm in a fresh process before others are trusted
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(in crate::cli) confirm_per_signature: u64,
    /// Real time that one run may take until its process is killed
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(in crate::cli) wall_limit: Duration,
    /// The address space of a worker process, in MiB
    #[arg(long, value_name = "MIB", default_value_t = MEMORY_MIB, value_parser = memory())]
    pub(in crate::cli) memory: u64,
    /// Keep worker processes that have panicked or grown
    #[arg(long)]
    pub(in crate::cli) no_recycle: bool,
}

/// The address space of a worker process that is told none, in MiB.
pub(in crate::cli) const MEMORY_MIB: u64 = 4_096;

/// The address space of a worker process, in MiB: less than the least, and none is ever ready.
pub(in crate::cli) fn memory() -> impl clap::builder::TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(64..)
}

/// The most seeds that can be drawn.
const COUNT_MAX: u64 = 1 << 40;

fn count(text: &str) -> Result<NonZeroU64, BadArgument> {
    let read = text.parse().ok().and_then(NonZeroU64::new);
    let few = read.filter(|count| count.get() <= COUNT_MAX);
    few.ok_or(BadArgument::Write("how many, from 1 on: 1000"))
}

/// What a worker process is started with.
#[derive(Debug, Args)]
pub(in crate::cli) struct Worker {
    /// The address space that it may use, in MiB.
    #[arg(long, default_value_t = MEMORY_MIB)]
    pub(in crate::cli) memory: u64,
}
