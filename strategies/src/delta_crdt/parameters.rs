//! The parameters of [`DeltaCrdt`], and what it promises with them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::DeltaCrdt;
use crate::owner_log::OWNED;
use crate::strategy::{Bounds, Claim, Condition, Conditions, ConfigError, Strategy, Variation};
use crate::time::{Time, duration_text, micros};

/// Exchanges one after the other until all is there.
const EXCHANGES: u32 = 4;
/// The messages of an exchange.
const MESSAGES: u32 = 6;

/// What is sent beside the values of keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CausalContext {
    /// The last dot of each origin.
    #[default]
    Whole,
    /// The dots of these keys.
    Keys,
}

/// The parameters of [`DeltaCrdt`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DeltaCrdtConfig {
    /// The time between two rounds of a node.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub sync_interval: Duration,
    /// The most keys of an exchange; at least 1.
    pub max_sync_size: u32,
    /// What is sent beside the values of keys.
    pub context: CausalContext,
    /// After which an exchange that was not answered is given up; 0: never.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub ack_timeout: Duration,
}

impl Default for DeltaCrdtConfig {
    fn default() -> Self {
        Self {
            sync_interval: Duration::from_millis(300),
            max_sync_size: 200,
            context: CausalContext::Whole,
            ack_timeout: Duration::ZERO,
        }
    }
}

/// What is left where contexts tell of more than the keys that they come with: nothing about what is shown in the
/// end, not even where it runs.
const CLAIMS: &[Claim] = &[
    Claim::of("no_crash", Condition::ALWAYS),
    Claim::of("unique_entry", OWNED),
    Claim::of("no_invention", OWNED),
    Claim::of("bounded_state", OWNED),
    Claim::of("metadata_agreement", OWNED),
    Claim::of("membership_containment", OWNED),
    Claim::of("no_permanent_ghost", OWNED),
    Claim::of("clock_independence", OWNED),
    Claim::of("stability", OWNED),
];

impl Strategy for DeltaCrdt {
    const NAME: &'static str = "delta_crdt";
    const SUMMARY: &'static str =
        "an add-wins map that neighbours compare by hashes, and exchange key by key";
    type Config = DeltaCrdtConfig;

    fn new(config: &DeltaCrdtConfig) -> Result<Self, ConfigError> {
        ConfigError::check_sync_interval(config.sync_interval)?;
        ConfigError::check_counts(&[("max_sync_size", config.max_sync_size)])?;
        let config = config.clone();
        Ok(Self {
            config,
            ..Self::default()
        })
    }

    fn claims() -> &'static [Claim] {
        CLAIMS
    }

    fn vary(config: &mut DeltaCrdtConfig, by: &Variation) -> &'static [&'static str] {
        config.sync_interval = by.round_interval;
        if by.flag {
            return &["sync_interval"];
        }
        config.max_sync_size = by.count;
        &["sync_interval", "max_sync_size"]
    }

    fn round_period(&self) -> Option<Duration> {
        Some(self.config.sync_interval)
    }

    /// Some rounds of exchanges, where one has room for what differs.
    fn bounds(&self, conditions: &Conditions) -> Bounds {
        let interval = self.config.sync_interval;
        let messages = conditions.latency.saturating_mul(MESSAGES);
        let bound = interval.saturating_add(messages).saturating_mul(EXCHANGES);
        let [interval, latency] = [interval, conditions.latency].map(|time| Time(micros(time)));
        let text = format!("{EXCHANGES} x (sync {interval} + {MESSAGES} x latency {latency})");
        Bounds::new(bound, bound, text)
    }
}
