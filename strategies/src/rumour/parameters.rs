//! The parameters of [`Rumour`], and what it promises with them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Rumour;
use crate::owner_log::{CLAIMS, exchanges};
use crate::strategy::{Bounds, Claim, Conditions, ConfigError, Strategy, Variation};
use crate::time::{LONGEST, duration_text};

/// Who tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The node whose cycle it is.
    #[default]
    Push,
    /// The one that it asks.
    Pull,
    /// Each of the two.
    Both,
}

/// The parameters of [`Rumour`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RumourConfig {
    /// The time between two cycles of a node.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub period: Duration,
    /// Who tells.
    pub direction: Direction,
    /// Every contact is useless, and not only one with a node that knew the change.
    pub blind: bool,
    /// Chance ends what is hot, and not a count.
    pub coin: bool,
    /// The useless contacts, or the inverse of the chance; at least 1.
    pub k: u32,
    /// The time between two comparisons of a node; 0: none.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub anti_entropy: Duration,
    /// The age up to which changes are recent.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub recent: Duration,
    /// How long removals are remembered.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub certificates: Duration,
    /// Cycles begin at multiples of the period.
    pub synchronous: bool,
}

impl Default for RumourConfig {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(1),
            direction: Direction::Push,
            blind: false,
            coin: false,
            k: 3,
            anti_entropy: Duration::from_secs(10),
            recent: Duration::from_secs(30),
            certificates: Duration::from_secs(600),
            synchronous: false,
        }
    }
}

impl Strategy for Rumour {
    const NAME: &'static str = "rumour";
    const SUMMARY: &'static str = "nodes tell random members what is new until it is stale, and compare databases now and then";
    type Config = RumourConfig;

    fn new(config: &RumourConfig) -> Result<Self, ConfigError> {
        ConfigError::check_not_zero("period", config.period)?;
        ConfigError::check_not_zero("certificates", config.certificates)?;
        ConfigError::check_counts(&[("k", config.k)])?;
        let config = config.clone();
        Ok(Self {
            config,
            ..Self::default()
        })
    }

    fn claims() -> &'static [Claim] {
        CLAIMS
    }

    fn vary(config: &mut RumourConfig, by: &Variation) -> &'static [&'static str] {
        config.anti_entropy = by.round_interval;
        (config.period, config.k) = (by.round_interval / 4, by.count);
        config.recent = by.round_interval;
        if by.flag {
            return &["anti_entropy", "period", "k", "recent"];
        }
        config.direction = match by.count {
            1 | 2 => Direction::Pull,
            3 => Direction::Both,
            _ => Direction::Push,
        };
        (config.blind, config.coin) = (by.count.is_multiple_of(2), true);
        &[
            "anti_entropy",
            "period",
            "k",
            "recent",
            "direction",
            "blind",
            "coin",
        ]
    }

    fn round_period(&self) -> Option<Duration> {
        Some(self.config.anti_entropy).filter(|interval| !interval.is_zero())
    }

    /// As for `owner_log`, by comparisons; without them there is none.
    fn bounds(&self, conditions: &Conditions) -> Bounds {
        match self.round_period() {
            Some(interval) => exchanges("anti-entropy", interval, conditions),
            None => Bounds::new(LONGEST, LONGEST, "no anti-entropy".to_owned()),
        }
    }
}
