//! What can be typed about recorded runs.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use hublab_sim::trace::event::EventId;

use super::super::report::{Format, run_format};
use super::{Overrides, duration, event, seed};

#[derive(Debug, Args)]
pub(in crate::cli) struct Diff {
    /// One capsule
    #[arg(value_name = "A")]
    pub(in crate::cli) left: PathBuf,
    /// The other
    #[arg(value_name = "B")]
    pub(in crate::cli) right: PathBuf,
    /// Events to show before and after the difference
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(in crate::cli) around: u16,
    #[command(flatten)]
    pub(in crate::cli) size: Size,
}

/// How large a capsule may be.
#[derive(Debug, Clone, Copy, Args)]
pub(in crate::cli) struct Size {
    /// Allow capsules that hold more than 1 GiB
    #[arg(long)]
    pub(in crate::cli) big: bool,
}

/// A recorded run, or one to record first.
#[derive(Debug, Args)]
pub(in crate::cli) struct Recorded {
    /// The capsule; or a scenario file, which is run first
    #[arg(value_name = "CAPSULE|FILE")]
    pub(in crate::cli) path: PathBuf,
    /// The strategy to run a scenario file with; default: the file's only one
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) strategy: Option<String>,
    /// The seed to run a scenario file with; default: the file's
    #[arg(long, value_name = "N", value_parser = seed())]
    pub(in crate::cli) seed: Option<u64>,
    #[command(flatten)]
    pub(in crate::cli) overrides: Overrides,
    #[command(flatten)]
    pub(in crate::cli) size: Size,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Trace {
    #[command(flatten)]
    pub(in crate::cli) run: Recorded,
    /// How to print the events
    #[arg(long, value_enum, default_value_t = TraceFormat::Text, value_name = "FORMAT")]
    pub(in crate::cli) format: TraceFormat,
    /// Only events on this node; can be given several times
    #[arg(long = "node", value_name = "NAME")]
    pub(in crate::cli) nodes: Vec<String>,
    /// Only events about this child; can be given several times
    #[arg(long = "child", value_name = "ID")]
    pub(in crate::cli) children: Vec<String>,
    /// Only events from this time on
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(in crate::cli) from: Option<Duration>,
    /// Only events up to this time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(in crate::cli) to: Option<Duration>,
    /// The event whose causes and effects `dot` draws, as `e17` or `17`
    #[arg(long, value_name = "ID", value_parser = event, required_if_eq("format", "dot"))]
    pub(in crate::cli) event: Option<EventId>,
    /// Only events of this kind, or about messages of this kind: `row`, `gossip.sync`; can be given
    /// several times
    #[arg(long = "kind", value_name = "KIND")]
    pub(in crate::cli) kinds: Vec<String>,
}

/// How `trace` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum TraceFormat {
    /// One line per event, for people.
    Text,
    /// One JSON object per event and line.
    Ndjson,
    /// The space-time diagram: a lane per node, messages as lines.
    Svg,
    /// For Perfetto: tracks, slices, flows; binary.
    Perfetto,
    /// For ShiViz: a log with vector clocks.
    Shiviz,
    /// For Graphviz: what led to one event, and what came of it.
    Dot,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// The capsule
    #[arg(value_name = "CAPSULE")]
    pub(in crate::cli) capsule: PathBuf,
    /// Print its resolved scenario only: a scenario file
    #[arg(long)]
    pub(in crate::cli) scenario: bool,
    /// How to print the report
    #[arg(long, default_value = Format::HUMAN, value_name = "FORMAT", value_parser = run_format())]
    pub(in crate::cli) format: Format,
    #[command(flatten)]
    pub(in crate::cli) size: Size,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Why {
    #[command(flatten)]
    pub(in crate::cli) run: Recorded,
    /// The node whose registry is asked about
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) node: String,
    /// The child
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) child: String,
    /// The instant that is asked about; default: the end
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(in crate::cli) at: Option<Duration>,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = WhyFormat::Text, value_name = "FORMAT")]
    pub(in crate::cli) format: WhyFormat,
}

/// How `why` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum WhyFormat {
    /// Lines, for people.
    Text,
    /// One JSON object.
    Json,
}
