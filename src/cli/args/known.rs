//! Failures that are no news, as they are typed.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Default, Args)]
pub(in crate::cli) struct KnownFailures {
    /// Failures that are known: a `known.toml`, the directory of another campaign, or its `failures`; can
    /// be given several times. They fail neither the campaign nor what `merge` makes of its shards
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) known: Vec<PathBuf>,
    /// Anomalies that are known, by strategy and name, with commas: gossip:A5,pubsub:A8
    #[arg(
        long = "known-anomaly",
        value_name = "STRATEGY:NAME",
        value_delimiter = ','
    )]
    pub(in crate::cli) known_anomalies: Vec<String>,
}
