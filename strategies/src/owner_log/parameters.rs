//! The parameters of [`OwnerLog`], and what it promises with them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::OwnerLog;
use crate::strategy::{
    Bounds, Claim, Condition, Conditions, ConfigError, Feature, Strategy, Variation,
};
use crate::time::{Time, duration_text, micros};

/// The parameters of [`OwnerLog`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct OwnerLogConfig {
    /// The time between two digests of a node.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub digest_interval: Duration,
    /// The longest time between two digests while answered ones agree.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub digest_backoff_max: Duration,
    /// The most members that are sent to without relays.
    pub direct_limit: u32,
    /// The operations that an owner keeps; at least 1.
    pub log_length: u32,
    /// The most rows of a page; at least 1.
    pub page_rows: u32,
    /// How long rows of a node that is no member are kept.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub keep: Duration,
}

impl Default for OwnerLogConfig {
    fn default() -> Self {
        Self {
            digest_interval: Duration::from_secs(1),
            digest_backoff_max: Duration::from_secs(1),
            direct_limit: 64,
            log_length: 1_024,
            page_rows: 512,
            keep: Duration::from_secs(600),
        }
    }
}

/// Rows are changed by the owner's hub alone, views are those of the membership, and the quiet time
/// ends.
pub(crate) const OWNED: Condition = Condition {
    without: &[
        Feature::RawRequests,
        Feature::RawRows,
        Feature::WrongView,
        Feature::LongDebounce,
    ],
};

pub(crate) const CLAIMS: &[Claim] = &[
    Claim::of("no_crash", Condition::ALWAYS),
    Claim::of("own_truth", OWNED),
    Claim::of("single_writer", OWNED),
    Claim::of("unique_entry", OWNED),
    Claim::of("no_invention", OWNED),
    Claim::of("bounded_state", OWNED),
    Claim::of("convergence", OWNED),
    Claim::of("metadata_agreement", OWNED),
    Claim::of("no_resurrection", OWNED),
    Claim::of("no_false_absence", OWNED),
    Claim::of("membership_containment", OWNED),
    Claim::of("no_permanent_ghost", OWNED),
    Claim::of("repair_progress", OWNED),
    Claim::of("join_prompt", OWNED),
    Claim::of("clock_independence", OWNED),
    Claim::of("stability", OWNED),
];

impl Strategy for OwnerLog {
    const NAME: &'static str = "owner_log";
    const SUMMARY: &'static str =
        "owners number their changes and send them to all; digests find what is missing";
    type Config = OwnerLogConfig;

    fn new(config: &OwnerLogConfig) -> Result<Self, ConfigError> {
        ConfigError::check_not_zero("digest_interval", config.digest_interval)?;
        ConfigError::check_counts(&[
            ("log_length", config.log_length),
            ("page_rows", config.page_rows),
        ])?;
        let config = config.clone();
        Ok(Self {
            config,
            ..Self::default()
        })
    }

    fn claims() -> &'static [Claim] {
        CLAIMS
    }

    fn vary(config: &mut OwnerLogConfig, by: &Variation) -> &'static [&'static str] {
        config.digest_interval = by.round_interval;
        if by.flag {
            return &["digest_interval"];
        }
        (config.direct_limit, config.log_length, config.page_rows) = (by.count, by.count, by.count);
        &["digest_interval", "direct_limit", "log_length", "page_rows"]
    }

    fn round_period(&self) -> Option<Duration> {
        Some(
            self.config
                .digest_interval
                .max(self.config.digest_backoff_max),
        )
    }

    /// A random exchange per interval reaches everybody within log2 n of them, twice that with margin.
    /// Under loss p an exchange of four messages fails with 1 - (1 - p)^4; the bound has as many as
    /// make it rarer than 10^-9 / n that all fail.
    fn bounds(&self, conditions: &Conditions) -> Bounds {
        let interval = self
            .config
            .digest_interval
            .max(self.config.digest_backoff_max);
        exchanges("digest", interval, conditions)
    }
}

/// The time in which random exchanges, one per interval and node, bring everything to everybody.
pub(crate) fn exchanges(name: &str, interval: Duration, conditions: &Conditions) -> Bounds {
    let nodes = conditions.nodes.max(2);
    let spread = 2 * nodes.next_power_of_two().trailing_zeros();
    let rounds = spread.saturating_add(repeats(nodes, conditions.loss));
    let rtt = conditions.latency.saturating_mul(2);
    let bound = interval
        .saturating_mul(rounds)
        .saturating_add(rtt.saturating_mul(4));
    let [interval, rtt] = [interval, rtt].map(|time| Time(micros(time)));
    let text = format!("{rounds} x {name} {interval} + 4 x round trip {rtt}");
    Bounds::new(bound, bound, text)
}

/// Exchanges of which one succeeds for each of `nodes`, but once in 10^9 runs; 0 without loss. A loss
/// of more than one half counts as one half.
pub(crate) fn repeats(nodes: usize, loss: f64) -> u32 {
    let passes = (1.0 - loss.clamp(0.0, 0.5)) * (1.0 - loss.clamp(0.0, 0.5));
    let fails = 1.0 - passes * passes;
    let (mut count, mut left) = (0, f64::from(u32::try_from(nodes).unwrap_or(u32::MAX)) * 1e9);
    while loss > 0.0 && left > 1.0 {
        left *= fails;
        count += 1;
    }
    count
}
