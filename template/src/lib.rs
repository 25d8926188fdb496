//! A synchronization strategy to start from: [`Mine`] tells everybody everything, and repeats
//! itself in periodic rounds. Change it; [`EventStrategy`] says what each method is for.

pub mod rules;

use std::time::Duration;

use hublab::Catalog;
use hublab::strategies::strategy::{Claim, Condition, ConfigError, Feature, Variation};
use hublab::strategies::time::duration_text;
use hublab::strategies::{
    Channel, Context, EventStrategy, Members, Message, NodeId, Requests, Snapshot, Strategy,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The parameters of [`Mine`]: the keys of `[strategy.mine]` in scenario files.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The time between two periodic rounds of a node.
    #[serde(with = "duration_text")]
    #[schemars(schema_with = "duration_text::schema")]
    pub sync_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sync_interval: Duration::from_secs(10),
        }
    }
}

/// What [`Mine`] sends.
#[derive(Debug, Serialize, Deserialize)]
pub enum MyMessage {
    /// Requests to handle.
    Requests(Requests),
    /// All that the sender hosts.
    Hosted(Snapshot),
}

impl Message for MyMessage {
    const KINDS: &'static [&'static str] = &["mine.requests", "mine.hosted"];

    fn kind(&self) -> &'static str {
        match self {
            Self::Requests(_) => "mine.requests",
            Self::Hosted(_) => "mine.hosted",
        }
    }
}

/// The strategy. It keeps what is its own only: rows, cluster view, timers, clocks, random draws
/// and the network are reached through the [`Context`], and nothing else may be used.
#[derive(Debug)]
pub struct Mine {
    config: Config,
}

type Cx<'a> = Context<'a, MyMessage>;

impl EventStrategy for Mine {
    type Message = MyMessage;

    fn propagate(&mut self, cx: &mut Cx<'_>, requests: Requests, members: &Members) {
        let others = match members {
            Members::Global | Members::External => cx.connected().to_vec(),
            Members::Local => Vec::new(),
            Members::Nodes(nodes) => others(cx, nodes),
        };
        let message = MyMessage::Requests(requests.clone());
        cx.send(&others, Channel::REQUESTS, message);
        if members.include_sender(cx.node()) {
            cx.handle_requests(&requests);
        }
    }

    fn round(&mut self, cx: &mut Cx<'_>) {
        let (others, data) = (others(cx, cx.view()), cx.local_data());
        cx.send(&others, Channel::SYNC, MyMessage::Hosted(data));
    }

    fn round_interval(&self) -> Option<Duration> {
        Some(self.config.sync_interval)
    }

    fn nodes_joining(&mut self, cx: &mut Cx<'_>, nodes: &[NodeId]) {
        let (others, data) = (others(cx, nodes), cx.local_data());
        cx.send(&others, Channel::JOIN, MyMessage::Hosted(data));
    }

    fn handle_message(&mut self, cx: &mut Cx<'_>, from: &NodeId, message: &MyMessage) {
        match message {
            MyMessage::Requests(requests) => cx.handle_requests(requests),
            MyMessage::Hosted(data) => {
                cx.append_data(from, data);
                cx.detach_data(from, data);
            }
        }
    }
}

fn others(cx: &Cx<'_>, nodes: &[NodeId]) -> Vec<NodeId> {
    let others = nodes.iter().filter(|node| *node != cx.node());
    others.cloned().collect()
}

impl Strategy for Mine {
    const NAME: &'static str = "mine";
    const SUMMARY: &'static str = "every node tells every other node, again and again";
    type Config = Config;

    fn new(config: &Config) -> Result<Self, ConfigError> {
        ConfigError::check_sync_interval(config.sync_interval)?;
        Ok(Self {
            config: config.clone(),
        })
    }

    fn vary(config: &mut Config, by: &Variation) -> &'static [&'static str] {
        config.sync_interval = by.round_interval;
        &["sync_interval"]
    }

    fn claims() -> &'static [Claim] {
        &[
            Claim {
                oracle: "no_crash",
                condition: Condition::ALWAYS,
                narrowed_by: &[],
            },
            Claim {
                oracle: "own_truth",
                condition: Condition {
                    without: &[Feature::RawRequests, Feature::RawRows],
                },
                narrowed_by: &[],
            },
        ]
    }
}

/// All that scenario files can name: hublab's, and what this package adds.
#[must_use]
pub fn catalog() -> Catalog {
    Catalog::default()
        .with::<Mine>()
        .with_oracle(
            rules::NO_EMPTY_PID,
            "no entry of a registry has an empty pid",
            rules::no_empty_pid,
        )
        .with_metric(rules::BYTES_PER_MESSAGE)
}
