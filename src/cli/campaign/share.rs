//! The share of its runs that a command makes.

use std::env;

use hublab_sim::campaign::shard::{self, Shard};

use crate::cli::Stop;
use crate::cli::args::shard::Sharding;

/// A share, and who named it.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Share {
    pub(in crate::cli) shard: Shard,
    /// True if the environment told it.
    by_environment: bool,
}

impl Share {
    /// What `--shard` says, or else the environment, or else all.
    ///
    /// # Errors
    /// The environment has half of a shard.
    pub(in crate::cli) fn new(sharding: Sharding) -> Result<Self, Stop> {
        if let Some(shard) = sharding.shard {
            return Ok(Self {
                shard,
                by_environment: false,
            });
        }
        let told = shard::from_vars(|name| env::var(name).ok());
        let told = told.map_err(|error| Stop::Usage(error.to_string()))?;
        Ok(Self {
            shard: told.unwrap_or(Shard::WHOLE),
            by_environment: told.is_some(),
        })
    }

    /// `shard 1/4`, and where it is from if nobody typed it.
    pub(in crate::cli) fn in_words(self) -> String {
        let source = if self.by_environment {
            " (from the environment)"
        } else {
            ""
        };
        format!("shard {}{source}", self.shard)
    }
}
