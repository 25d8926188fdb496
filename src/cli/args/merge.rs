//! What can be typed after `merge`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(in crate::cli) struct Merge {
    /// The directories that the shards of one campaign wrote (`fuzz --out`)
    #[arg(required = true, value_name = "DIR")]
    pub(in crate::cli) directories: Vec<PathBuf>,
    /// Write the whole campaign into this directory, which is made for it
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// How to print the results
    #[arg(long, value_enum, default_value_t = CampaignFormat::Human, value_name = "FORMAT")]
    pub(in crate::cli) format: CampaignFormat,
}

/// How the commands of campaigns print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum CampaignFormat {
    /// A summary for people.
    Human,
    /// One JSON object per run and line, as in `results.ndjson`.
    Json,
    /// The summary, annotations for GitHub Actions, and a summary of its step.
    Github,
}
