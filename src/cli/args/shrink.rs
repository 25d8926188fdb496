//! What can be typed after `shrink`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Size;

#[derive(Debug, Args)]
pub(in crate::cli) struct Shrink {
    /// The capsule of a run that fails
    #[arg(value_name = "CAPSULE")]
    pub(in crate::cli) capsule: PathBuf,
    /// What to keep failing: an oracle, whether the file names it or not, or the kind of an
    /// expectation that fails; default: what fails first
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) oracle: Option<String>,
    /// Write the scenario into this file instead of printing it
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// How many runs to spend
    #[arg(long, value_name = "N", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) budget: u64,
    /// Real time to spend. A search that it ends says so: made again, it may end elsewhere
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = super::duration)]
    pub(in crate::cli) wall_limit: Duration,
    /// Let faults become stronger where that makes the scenario simpler: loss that is certain,
    /// latency that is longer, cuts that do not heal
    #[arg(long)]
    pub(in crate::cli) stronger: bool,
    #[command(flatten)]
    pub(in crate::cli) size: Size,
}
