//! What can be typed after `merge`.

use std::path::PathBuf;

use clap::Args;

use super::ReportAs;

#[derive(Debug, Args)]
pub(in crate::cli) struct Merge {
    /// The directories that the shards of one campaign wrote (`fuzz --out`)
    #[arg(required = true, value_name = "DIR")]
    pub(in crate::cli) directories: Vec<PathBuf>,
    /// Write the whole campaign into this directory, which is made for it
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) report: ReportAs,
}
