//! The parameters of [`Tracker`], and what it promises with them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Tracker;
use crate::owner_log::{OWNED, repeats};
use crate::strategy::{Bounds, Claim, Condition, Conditions, ConfigError, Strategy, Variation};
use crate::time::{Time, duration_text, micros};

/// The parameters of [`Tracker`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TrackerConfig {
    /// The time between two broadcasts of a node.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub broadcast_period: Duration,
    /// The periods without a change until there is a heartbeat; at least 1.
    pub max_silent_periods: u32,
    /// The periods in which clocks are collected before somebody is asked; at least 1.
    pub clock_sample_periods: u32,
    /// The silence after which a replica is hidden.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub down_period: Duration,
    /// The silence after which a replica is dropped.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub permdown_period: Duration,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            broadcast_period: Duration::from_millis(1_500),
            max_silent_periods: 10,
            clock_sample_periods: 2,
            down_period: Duration::from_secs(30),
            permdown_period: Duration::from_secs(1_200),
        }
    }
}

/// Not among them are `no_false_absence` and `no_resurrection`: a row is hidden once its owner was not heard
/// for `down_period`, whether it runs or not, and is shown as it was when the owner is heard again. A link that
/// becomes slow is enough.
const CLAIMS: &[Claim] = &[
    Claim::of("no_crash", Condition::ALWAYS),
    Claim::of("own_truth", OWNED),
    Claim::of("single_writer", OWNED),
    Claim::of("unique_entry", OWNED),
    Claim::of("no_invention", OWNED),
    Claim::of("bounded_state", OWNED),
    Claim::of("convergence", OWNED),
    Claim::of("metadata_agreement", OWNED),
    Claim::of("membership_containment", OWNED),
    Claim::of("no_permanent_ghost", OWNED),
    Claim::of("repair_progress", OWNED),
    Claim::of("join_prompt", OWNED),
    Claim::of("clock_independence", OWNED),
    Claim::of("stability", OWNED),
];

impl Strategy for Tracker {
    const NAME: &'static str = "tracker";
    const SUMMARY: &'static str =
        "replicas broadcast their changes, and find by each other's clocks what they lack";
    type Config = TrackerConfig;

    fn new(config: &TrackerConfig) -> Result<Self, ConfigError> {
        ConfigError::check_not_zero("broadcast_period", config.broadcast_period)?;
        ConfigError::check_counts(&[
            ("max_silent_periods", config.max_silent_periods),
            ("clock_sample_periods", config.clock_sample_periods),
        ])?;
        let least = config.broadcast_period.saturating_mul(2);
        let reason = "must be at least twice the broadcast_period";
        ConfigError::check(config.down_period >= least, "down_period", reason)?;
        let is_longer = config.permdown_period >= config.down_period;
        let reason = "must be at least the down_period";
        ConfigError::check(is_longer, "permdown_period", reason)?;
        let config = config.clone();
        Ok(Self {
            config,
            ..Self::default()
        })
    }

    fn claims() -> &'static [Claim] {
        CLAIMS
    }

    fn vary(config: &mut TrackerConfig, by: &Variation) -> &'static [&'static str] {
        // Nodes may differ: the interval of another must not be taken for silence, be it three times this
        // one's or the longest.
        let interval = by.round_interval.min(Duration::from_secs(15));
        config.max_silent_periods = by.count;
        config.broadcast_period = interval / by.count.max(1);
        config.down_period = interval.saturating_mul(10);
        if !by.flag {
            config.permdown_period = config.down_period;
        }
        &[
            "broadcast_period",
            "max_silent_periods",
            "down_period",
            "permdown_period",
        ]
    }

    fn round_period(&self) -> Option<Duration> {
        let (period, silent) = (self.config.broadcast_period, self.config.max_silent_periods);
        Some(period.saturating_mul(silent))
    }

    /// A heartbeat, the periods in which clocks are collected, and a transfer; under loss as many of these
    /// as make it rarer than 10^-9 that all of a node's fail.
    fn bounds(&self, conditions: &Conditions) -> Bounds {
        let config = &self.config;
        let rounds = 1 + repeats(conditions.nodes.max(2), conditions.loss);
        let (silent, samples) = (config.max_silent_periods, config.clock_sample_periods);
        let periods = silent.saturating_add(samples).saturating_add(1);
        let each = config.broadcast_period.saturating_mul(periods);
        let bound = each.saturating_mul(rounds);
        let bound = bound.saturating_add(conditions.latency.saturating_mul(4));
        let [each, latency] = [each, conditions.latency].map(|time| Time(micros(time)));
        let text = format!("{rounds} x heartbeat and transfer {each} + 4 x latency {latency}");
        Bounds::new(bound, bound, text)
    }
}
