//! What can be typed after `hublab live`.

use std::path::PathBuf;

use clap::Args;

use super::{BadArgument, Overrides, ReportAs};

#[derive(Debug, Args)]
pub(in crate::cli) struct Live {
    /// The scenario file
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    /// Multiply every duration of the file: 0.1 runs it in a tenth of its time
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = scale)]
    pub(in crate::cli) scale: f64,
    /// Only this strategy; can be given several times; default: the file's list
    #[arg(long = "strategy", value_name = "NAME")]
    pub(in crate::cli) strategies: Vec<String>,
    /// The seed of the ranges and of the network; default: the file's
    #[arg(long, value_name = "N", value_parser = super::seed())]
    pub(in crate::cli) seed: Option<u64>,
    #[command(flatten)]
    pub(in crate::cli) overrides: Overrides,
    #[command(flatten)]
    pub(in crate::cli) report: ReportAs,
}

fn scale(text: &str) -> Result<f64, BadArgument> {
    let range = 0.001..=10.0;
    let factor: Option<f64> = text.parse().ok();
    factor
        .filter(|factor| range.contains(factor))
        .ok_or(BadArgument::Write("a factor from 0.001 to 10"))
}
