//! What can be typed after `merge`.

use std::path::PathBuf;

use clap::Args;

use super::ReportAs;
use super::compare::FailOn;

#[derive(Debug, Args)]
pub(in crate::cli) struct Merge {
    /// The directories that the shards of one campaign (`fuzz --out`) or one comparison (`compare --out`)
    /// wrote
    #[arg(required = true, value_name = "DIR")]
    pub(in crate::cli) directories: Vec<PathBuf>,
    /// Write the whole campaign or comparison into this directory, which is made for it
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Of campaigns: have the campaign be inconclusive (exit code 3) if fewer than this many of 100 planned runs are there
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=100))]
    pub(in crate::cli) floor: Option<u8>,
    /// Of campaigns: how many inconclusive runs do not make the campaign inconclusive
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) allow_inconclusive: u64,
    /// Of comparisons: end with 1 if any verdict is this
    #[arg(long, value_enum, value_name = "VERDICT")]
    pub(in crate::cli) fail_on: Option<FailOn>,
    #[command(flatten)]
    pub(in crate::cli) report: ReportAs,
}
