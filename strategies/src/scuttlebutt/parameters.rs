//! The parameters of [`Scuttlebutt`], and what it promises with them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Scuttlebutt;
use crate::owner_log::{CLAIMS, exchanges};
use crate::strategy::{Bounds, Claim, Conditions, ConfigError, Strategy, Variation};
use crate::time::duration_text;

/// Whose entries come first where not all have room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Owners at random.
    #[default]
    Breadth,
    /// Those with the most missing changes first.
    Depth,
}

/// The parameters of [`Scuttlebutt`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ScuttlebuttConfig {
    /// The time between two rounds of a node.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub gossip_interval: Duration,
    /// The members that a round goes to; at least 1.
    pub fanout: u32,
    /// The most bytes of entries in a message; at least 1.
    pub max_delta_bytes: u32,
    /// Whose entries come first where not all have room.
    pub order: Order,
    /// How long an owner keeps removals at least; at most twice that.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub gc_grace: Duration,
    /// How long rows of a node that is no member are kept.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub keep: Duration,
}

impl Default for ScuttlebuttConfig {
    fn default() -> Self {
        Self {
            gossip_interval: Duration::from_secs(1),
            fanout: 3,
            max_delta_bytes: 65_507,
            order: Order::Breadth,
            gc_grace: Duration::from_secs(60),
            keep: Duration::from_secs(600),
        }
    }
}

impl Strategy for Scuttlebutt {
    const NAME: &'static str = "scuttlebutt";
    const SUMMARY: &'static str =
        "members compare at random how far they are, and send what the other lacks";
    type Config = ScuttlebuttConfig;

    fn new(config: &ScuttlebuttConfig) -> Result<Self, ConfigError> {
        ConfigError::check_not_zero("gossip_interval", config.gossip_interval)?;
        ConfigError::check_not_zero("gc_grace", config.gc_grace)?;
        ConfigError::check_counts(&[
            ("fanout", config.fanout),
            ("max_delta_bytes", config.max_delta_bytes),
        ])?;
        let config = config.clone();
        Ok(Self {
            config,
            ..Self::default()
        })
    }

    /// Every oracle, in runs without raw requests, raw rows, wrong views and a debounce that never ends.
    fn claims() -> &'static [Claim] {
        CLAIMS
    }

    /// Generated scenarios are shorter than the default `gc_grace`: without a shorter one there would be no
    /// reset in them.
    fn vary(config: &mut ScuttlebuttConfig, by: &Variation) -> &'static [&'static str] {
        config.gossip_interval = by.round_interval;
        config.gc_grace = by.round_interval.saturating_mul(by.count);
        if by.flag {
            return &["gossip_interval", "gc_grace"];
        }
        (config.fanout, config.order) = (by.count + 1, Order::Depth);
        &["gossip_interval", "gc_grace", "fanout", "order"]
    }

    fn round_period(&self) -> Option<Duration> {
        Some(self.config.gossip_interval)
    }

    /// As for `owner_log`: exchanges between random members until all know, and under loss as many more as
    /// make it rarer than 10^-9 that all of a node's fail. It holds where one delta has room for what is
    /// missing.
    fn bounds(&self, conditions: &Conditions) -> Bounds {
        exchanges("gossip", self.config.gossip_interval, conditions)
    }
}
