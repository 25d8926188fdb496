//! `--shard`: which share of its runs a command makes.

use clap::Args;
use hublab_sim::campaign::shard::Shard;

#[derive(Debug, Clone, Copy, Args)]
pub(in crate::cli) struct Sharding {
    /// Make only one of several shares of the runs, for `merge` to join: its index, from 0, and how many
    /// there are; default: what a job engine says in the environment, or all
    #[arg(long, value_name = "I/N")]
    pub(in crate::cli) shard: Option<Shard>,
}
