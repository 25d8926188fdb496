//! `[network]`: what messages meet on their way.

use std::time::Duration;

use hublab_strategies::Channel;
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

/// The channels that something is about; by default all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<&'static str>", try_from = "Vec<String>")]
pub struct Channels {
    /// A bit for the id of each; `None` is all, those that only a strategy knows, too.
    some: Option<u8>,
}

impl Channels {
    /// These alone.
    #[must_use]
    pub fn only(channels: &[Channel]) -> Self {
        let bits = channels
            .iter()
            .fold(0, |bits, channel| bits | 1 << channel.id);
        Self { some: Some(bits) }
    }

    /// True for all of them.
    #[must_use]
    pub fn is_all(self) -> bool {
        self.some.is_none()
    }

    /// True if the channel with this id is one of them.
    #[must_use]
    pub fn has(self, id: u8) -> bool {
        self.some.is_none_or(|bits| {
            1_u8.checked_shl(id.into())
                .is_some_and(|bit| bits & bit != 0)
        })
    }

    /// Their names; none for all.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let listed = Channel::ALL.into_iter();
        listed
            .filter(move |channel| !self.is_all() && self.has(channel.id))
            .map(|channel| channel.name)
    }
}

impl From<Channels> for Vec<&'static str> {
    fn from(channels: Channels) -> Self {
        channels.names().collect()
    }
}

impl TryFrom<Vec<String>> for Channels {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        let known = |name: String| {
            let found = Channel::ALL.into_iter().find(|it| it.name == name);
            found.ok_or_else(|| format!("there is no channel `{name}`"))
        };
        let channels: Vec<Channel> = names.into_iter().map(known).collect::<Result<_, _>>()?;
        Ok(Self::only(&channels))
    }
}

/// Changed values for some directed links; `None` keeps the value. Also the `link` step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkChange {
    /// The senders.
    pub from: Vec<NodeIx>,
    /// The receivers.
    pub to: Vec<NodeIx>,
    /// The channels whose messages it is about.
    #[serde(default, skip_serializing_if = "is_default")]
    pub channels: Channels,
    /// True if it is about the links back, too. A resolved scenario has a change for these.
    #[serde(default, skip_serializing_if = "is_default")]
    pub both: bool,
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

impl LinkChange {
    /// The same, each way by itself.
    pub(crate) fn each_way(&self) -> impl Iterator<Item = Self> + use<> {
        let there = Self {
            both: false,
            ..self.clone()
        };
        let back = self.both.then(|| Self {
            from: there.to.clone(),
            to: there.from.clone(),
            ..there.clone()
        });
        std::iter::once(there).chain(back)
    }
}
