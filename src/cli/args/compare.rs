//! Arguments of `compare` and `reproduce`.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use hublab_sim::model::plan::{Endpoint, MARGIN, Scalar, Vary};

use super::fuzz::memory;
use super::shard::Sharding;
use super::{BadArgument, Overrides, duration, seeds};

#[derive(Debug, Args)]
pub(in crate::cli) struct Compare {
    /// A plan file; or scenario files, and directories to search for them
    #[arg(required = true, value_name = "PLAN|FILE")]
    pub(in crate::cli) paths: Vec<PathBuf>,
    /// A strategy to compare; can be given several times; default: the plan's, or all
    #[arg(long = "strategy", value_name = "NAME")]
    pub(in crate::cli) strategies: Vec<String>,
    /// The strategy that the others are compared with; default: the plan's, or the first strategy
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) baseline: Option<String>,
    /// Values of one key of the files, dotted: `network.loss=0,0.05`; can be given several times:
    /// every combination is a cell
    #[arg(long, value_name = "KEY=VALUES", value_parser = vary)]
    pub(in crate::cli) vary: Vec<Vary>,
    /// A metric that decides, and within which share of 1 ratios count as equal; can be given
    /// several times; default: the plan's, or `stale_us`, `settle_us`, `bytes_per_change`
    /// and `propagation_us.p99`
    #[arg(long = "endpoint", value_name = "METRIC[=MARGIN]", value_parser = endpoint)]
    pub(in crate::cli) endpoints: Vec<Endpoint>,
    /// The seeds of each cell, the end not included; default: the plan's, or 0..30
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub(in crate::cli) seeds: Option<Range<u64>>,
    #[command(flatten)]
    pub(in crate::cli) overrides: Overrides,
    /// Write plan, runs, results, cells and summary into this directory
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Go on with the comparison in the directory of --out: runs that are there are not made again
    #[arg(long, requires = "out")]
    pub(in crate::cli) resume: bool,
    #[command(flatten)]
    pub(in crate::cli) sharding: Sharding,
    #[command(flatten)]
    pub(in crate::cli) runs: Runs,
    /// The time for everything: then no further run is begun, and those under way are finished. It is
    /// told before anything runs if the runs are estimated to take longer
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(in crate::cli) budget: Option<Duration>,
    /// The format of the table
    #[arg(long, value_enum, default_value_t = TableFormat::Human, value_name = "FORMAT")]
    pub(in crate::cli) format: TableFormat,
    /// End with 1 if any verdict is this
    #[arg(long, value_enum, value_name = "VERDICT")]
    pub(in crate::cli) fail_on: Option<FailOn>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Reproduce {
    /// The directory that `compare --out` has written
    #[arg(value_name = "DIR")]
    pub(in crate::cli) directory: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) runs: Runs,
}

/// Options of the runs of a comparison.
#[derive(Debug, Clone, Copy, Args)]
pub(in crate::cli) struct Runs {
    /// Runs at the same time, each in a process of its own; default: the number of cores
    #[arg(long, value_name = "N")]
    pub(in crate::cli) jobs: Option<NonZeroUsize>,
    /// Real time that one run may take until its process is killed
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(in crate::cli) wall_limit: Duration,
    /// The address space of a worker process, in MiB; default: 4096. Given to `compare`, cells with a run
    /// that is estimated to need more are told before anything runs, and left out
    #[arg(long, value_name = "MIB", value_parser = memory())]
    pub(in crate::cli) memory: Option<u64>,
    /// Allow more than 2,000 nodes
    #[arg(long)]
    pub(in crate::cli) big: bool,
}

/// The formats of `compare`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum TableFormat {
    /// Tables for people.
    Human,
    /// The same as Markdown.
    Markdown,
    /// A header, and a line per endpoint, cell and strategy.
    Csv,
    /// One JSON object.
    Json,
}

/// The verdict that fails the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum FailOn {
    /// A strategy is worse than the baseline.
    Worse,
}

/// `network.loss=0,0.05`: the values are TOML, or texts without commas.
fn vary(text: &str) -> Result<Vary, BadArgument> {
    let wrong = || BadArgument::Write("a key and its values: network.loss=0,0.05");
    let (key, list) = text.split_once('=').ok_or_else(wrong)?;
    let (key, list) = (key.trim(), list.trim());
    if key.split('.').any(str::is_empty) || list.is_empty() {
        return Err(wrong());
    }
    let values: Vec<Scalar> = Scalar::list(list);
    for (place, value) in values.iter().enumerate() {
        if value.shown.is_empty() {
            return Err(wrong());
        }
        if values[..place]
            .iter()
            .any(|known| known.shown == value.shown)
        {
            return Err(BadArgument::Twice(value.shown.clone()));
        }
    }
    Ok(Vary {
        key: key.to_owned(),
        values,
    })
}

fn endpoint(text: &str) -> Result<Endpoint, BadArgument> {
    let (metric, margin) = match text.split_once('=') {
        Some((metric, margin)) => (metric, margin.parse().ok()),
        None => (text, Some(MARGIN)),
    };
    let margin = margin.filter(|margin| (0.0..=1.0).contains(margin));
    Ok(Endpoint {
        metric: metric.to_owned(),
        margin: margin.ok_or(BadArgument::Margin)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_separated_by_commas() {
        let shown = |text: &str| -> Vec<String> {
            let values = vary(text).unwrap().values;
            values.into_iter().map(|value| value.shown).collect()
        };
        assert_eq!(shown("network.loss=0, 0.01,5"), ["0", "0.01", "5"]);
        assert_eq!(shown("run.duration=20s,1m"), ["20s", "1m"]);
        assert_eq!(shown("a='x,y',\"z\""), ["x,y", "z"]);
        for wrong in ["network.loss", "=1", "a.=1", "a=", "a=1,1", "a=1,,2"] {
            assert!(vary(wrong).is_err(), "{wrong}");
        }
        assert_eq!(endpoint("rows").unwrap().margin, MARGIN);
        assert_eq!(endpoint("rows=0.1").unwrap().margin, 0.1);
        assert!(endpoint("rows=2").is_err());
    }
}
