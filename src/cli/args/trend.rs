//! What can be typed after `trend` and `bisect`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hublab_sim::campaign::oracles::OracleSet;

/// How `trend` prints.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum TrendFormat {
    /// For people.
    Human,
    /// Two tables.
    Markdown,
    /// One object.
    Json,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Trend {
    /// Directories of campaigns (`fuzz --out`, `merge --out`), the earliest first
    #[arg(required = true, value_name = "DIR")]
    pub(in crate::cli) directories: Vec<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = TrendFormat::Human, value_name = "FORMAT")]
    pub(in crate::cli) format: TrendFormat,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Bisect {
    /// A seed of a campaign over generated scenarios, or a scenario file that fails
    #[arg(value_name = "SEED|FILE")]
    pub(in crate::cli) what: OsString,
    /// A commit in which it passes
    #[arg(value_name = "GOOD")]
    pub(in crate::cli) good: String,
    /// A commit in which it fails
    #[arg(value_name = "BAD")]
    pub(in crate::cli) bad: String,
    /// The strategy; default: the file's, if it lists one
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) strategy: Option<String>,
    /// The seed that a file is run with; default: the file's
    #[arg(long, value_name = "N")]
    pub(in crate::cli) seed: Option<u64>,
    /// What the runs of a seed are held to: as for `fuzz`
    #[arg(long, value_name = "ORACLES", default_value = "claims")]
    pub(in crate::cli) oracles: OracleSet,
    /// The program that the build command makes, from the directory in which it is run
    #[arg(long, value_name = "PATH", default_value = "target/release/hublab")]
    pub(in crate::cli) program: PathBuf,
    /// The command that builds the program of a commit; if it fails, the commit is left out
    #[arg(last = true, required = true, value_name = "BUILD-COMMAND")]
    pub(in crate::cli) build: Vec<OsString>,
}

/// One commit of a bisection.
#[derive(Debug, Args)]
pub(in crate::cli) struct BisectStep {
    /// The resolved scenario
    #[arg(long)]
    pub(in crate::cli) file: PathBuf,
    /// Where builds are made
    #[arg(long)]
    pub(in crate::cli) within: PathBuf,
    /// As for `bisect`
    #[arg(long)]
    pub(in crate::cli) program: PathBuf,
    /// As for `bisect`
    #[arg(last = true, required = true)]
    pub(in crate::cli) build: Vec<OsString>,
}
