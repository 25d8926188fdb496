//! Arguments of `report`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::known::KnownFailures;
use super::{Size, duration};

#[derive(Debug, Args)]
pub(in crate::cli) struct Report {
    /// A capsule; two, which are compared; or the directory of a campaign or of a comparison
    #[arg(required = true, value_name = "PATH", num_args = 1..=2)]
    pub(in crate::cli) paths: Vec<PathBuf>,
    /// The file to write; one that is there is replaced
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    pub(in crate::cli) output: PathBuf,
    /// Of a run, hold events in full from this time on
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(in crate::cli) from: Option<Duration>,
    /// Of a run, hold events in full up to this time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(in crate::cli) to: Option<Duration>,
    /// Of a run that fails, tell when that became likely and what decided it, as `hublab blame` does; or read
    /// its answer, from the directory of its --out or from a file
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true)]
    pub(in crate::cli) blame: Option<Option<PathBuf>>,
    #[command(flatten)]
    pub(in crate::cli) known: KnownFailures,
    #[command(flatten)]
    pub(in crate::cli) size: Size,
}
