//! Arguments of `report`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Size, duration};

#[derive(Debug, Args)]
pub(in crate::cli) struct Report {
    /// A capsule; or two, which are compared
    #[arg(required = true, value_name = "CAPSULE", num_args = 1..=2)]
    pub(in crate::cli) paths: Vec<PathBuf>,
    /// The file to write; one that is there is replaced
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    pub(in crate::cli) output: PathBuf,
    /// Hold events in full from this time on
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(in crate::cli) from: Option<Duration>,
    /// Hold events in full up to this time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(in crate::cli) to: Option<Duration>,
    #[command(flatten)]
    pub(in crate::cli) size: Size,
}
