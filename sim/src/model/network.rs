//! `[network]`: what messages meet on their way.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::NodeIx;
use super::tree::{is_default, us};

/// `[network]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// The values of every link without an override.
    pub base: LinkParams,
    /// Time a sender is busy per message.
    #[serde(with = "us")]
    pub send_gap: Duration,
    /// Time a receiver is busy per message.
    #[serde(with = "us")]
    pub service_time: Duration,
    /// The largest message that arrives; 0 is unlimited.
    #[serde(default)]
    pub max_message_bytes: u64,
    /// How many messages may wait for a busy receiver; 0 is unlimited.
    #[serde(default)]
    pub queue_limit: u64,
    /// `[[network.link]]`, later entries win.
    #[serde(rename = "link", default, skip_serializing_if = "is_default")]
    pub links: Vec<LinkChange>,
}

/// Parameters of a directed link.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LinkParams {
    /// The latency law.
    pub latency: Latency,
    /// Probability of loss per message.
    pub loss: f64,
    /// Probability of duplication per message.
    pub duplicate: f64,
    /// The order of ordered channels.
    pub order: Order,
    /// Bandwidth; 0 is unlimited.
    pub bytes_per_second: u64,
}

/// A latency law.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latency {
    /// Always this.
    Constant(#[serde(with = "us")] Duration),
    /// Uniform over both ends included.
    Uniform(
        #[serde(with = "us")] Duration,
        #[serde(with = "us")] Duration,
    ),
    /// A minimum plus an exponential part; `mean` is that of the whole.
    Exponential {
        /// The least.
        #[serde(with = "us")]
        min: Duration,
        /// The mean of the whole, at least `min`.
        #[serde(with = "us")]
        mean: Duration,
    },
    /// Log-normal.
    Lognormal {
        /// Half of the messages take at most this.
        #[serde(with = "us")]
        median: Duration,
        /// 99 % take at most this; at least `median`.
        #[serde(with = "us")]
        p99: Duration,
    },
    /// Mostly fast, sometimes slow.
    Bimodal {
        /// The usual latency.
        #[serde(with = "us")]
        fast: Duration,
        /// The other one.
        #[serde(with = "us")]
        slow: Duration,
        /// The probability of `slow`.
        slow_share: f64,
    },
}

/// True if an ordered channel of a link keeps its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// It does.
    Fifo,
    /// It does not.
    Any,
}

/// Changed values for some directed links; `None` keeps the value. Also the `link` step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkChange {
    /// The senders.
    pub from: Vec<NodeIx>,
    /// The receivers.
    pub to: Vec<NodeIx>,
    /// The latency law.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Probability of loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Probability of duplication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<f64>,
    /// Order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// Bandwidth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
}
