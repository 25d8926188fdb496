//! [`PubSub`]: every node sends to every other node, directly.
//!
//! Source: docs/protocol.md section 4 (ProcessHub's `Synchronization.PubSub`).
//!
//! Deviations: none. The hub is never locked or partitioned in the original's sense, so events are
//! never queued at the sender; an event to oneself is handled in the same step and is no message.
//!
//! Parameters:
//! - `sync_interval`, the time between two periodic rounds of a node; default 30 s (15 s in the
//!   original's `v041`), any positive duration.
//! - `profile`, the state of the original: `v041`, `v05_e1`, `v05_e2` (default). In `v041` it is
//!   assumed that data for a joining node put an entry that is missing at the end of its row.
//!
//! Cost: n - 1 messages for a propagation, and n - 1 snapshots per node and round.
//!
//! Claims: see [`PubSub::claims`](Strategy::claims). What it does not promise is in docs/protocol.md
//! section 8: nothing repairs a row of a node that is gone (A5), metadata of replicas may differ for
//! ever (A9), and a node that comes back empty sends nothing (A8).

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::child::Row;
use crate::contents::Contents;
use crate::context::Context;
use crate::guard::EmptyGuard;
use crate::message::{Channel, Message, SizeModel};
use crate::name::{ChildId, NodeId};
use crate::profile::Profile;
use crate::request::{Members, Requests, requests_contents, requests_size};
use crate::snapshot::Snapshot;
use crate::strategy::{
    Broken, Claim, Condition, ConfigError, Feature, Strategy, Synchronization, Variation,
};
use crate::time::{WallTime, duration_text};
use crate::timestamps::Timestamps;
use crate::wire;

/// The parameters of [`PubSub`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PubSubConfig {
    /// The time between two periodic rounds of a node.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub sync_interval: Duration,
    /// The state of the original whose rules are followed.
    pub profile: Profile,
}

impl Default for PubSubConfig {
    fn default() -> Self {
        Self {
            sync_interval: Duration::from_secs(30),
            profile: Profile::default(),
        }
    }
}

/// The messages of [`PubSub`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PubSubMessage {
    /// Requests to handle.
    Requests(Requests),
    /// The sender's snapshot, of a periodic round.
    Sync(Snapshot),
    /// The sender's snapshot, for a node that joins.
    Join(JoinData),
}

/// The data that a node sends to nodes about to join its view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinData {
    /// Its snapshot.
    pub data: Snapshot,
    /// Its wall clock when it was sent, in microseconds.
    pub at: WallTime,
}

impl Message for PubSubMessage {
    const KINDS: &'static [&'static str] = &["pubsub.requests", "pubsub.sync", "pubsub.join"];

    fn kind(&self) -> &'static str {
        match self {
            Self::Requests(_) => "pubsub.requests",
            Self::Sync(_) => "pubsub.sync",
            Self::Join(_) => "pubsub.join",
        }
    }

    fn size_model(&self) -> SizeModel {
        // One byte names the variant.
        let mut size = match self {
            Self::Requests(requests) => requests_size(requests),
            Self::Sync(data) => data.size_model(),
            Self::Join(join) => {
                let size = join.data.size_model();
                SizeModel {
                    header_bytes: size.header_bytes + wire::varint_len(join.at),
                    ..size
                }
            }
        };
        size.header_bytes += 1;
        size
    }

    fn entries(&self, sender: &NodeId) -> Option<Contents> {
        Some(match self {
            Self::Requests(requests) => requests_contents(requests),
            Self::Sync(data) => Contents::of_node(sender, Arc::clone(data.names())),
            Self::Join(join) => Contents::of_node(sender, Arc::clone(join.data.names())),
        })
    }

    fn share(&mut self, known: &dyn Fn(&ChildId) -> Option<Arc<Row>>) {
        match self {
            Self::Requests(_) => {}
            Self::Sync(data) => data.share(known),
            Self::Join(join) => join.data.share(known),
        }
    }
}

/// The strategy; see the module.
#[derive(Debug, Clone, Default)]
pub struct PubSub {
    config: PubSubConfig,
    timestamps: Timestamps,
    guard: EmptyGuard,
}

impl PubSub {
    /// The timestamps of the join data applied so far.
    #[must_use]
    pub fn timestamps(&self) -> &Timestamps {
        &self.timestamps
    }

    /// Lets the guard of empty snapshots take this node for one that has hosted a child.
    pub fn set_has_hosted(&mut self) {
        self.guard.has_hosted = true;
    }

    /// Replaces the timestamps.
    pub fn set_timestamps(&mut self, timestamps: Timestamps) {
        self.timestamps = timestamps;
    }
}

type Cx<'a> = Context<'a, PubSubMessage>;

impl Synchronization for PubSub {
    type Message = PubSubMessage;
    type SyncData = Snapshot;
    type JoinData = JoinData;

    fn init(&mut self, cx: &mut Cx<'_>) {
        cx.set_profile(self.config.profile);
    }

    fn propagate(&mut self, cx: &mut Cx<'_>, requests: Requests, members: &Members) {
        let others = match members {
            Members::Global | Members::External => cx.connected().to_vec(),
            Members::Local => Vec::new(),
            Members::Nodes(nodes) => nodes.clone(),
        };
        cx.send_connected(
            &others,
            Channel::REQUESTS,
            PubSubMessage::Requests(requests.clone()),
        );
        if members.include_sender(cx.node()) {
            cx.handle_requests(&requests);
        }
    }

    fn init_sync(&mut self, cx: &mut Cx<'_>, cluster_nodes: &[NodeId]) {
        let data = cx.local_data();
        let others: Vec<_> = cluster_nodes
            .iter()
            .filter(|node| *node != cx.node())
            .cloned()
            .collect();
        cx.send(&others, Channel::SYNC, PubSubMessage::Sync(data));
    }

    fn handle_synchronization(
        &mut self,
        cx: &mut Cx<'_>,
        remote_data: &Snapshot,
        remote_node: &NodeId,
    ) {
        cx.append_data(remote_node, remote_data);
        cx.detach_data(remote_node, remote_data);
    }

    fn broadcast_local_data(
        &mut self,
        cx: &mut Cx<'_>,
        local_data: &Snapshot,
        target_nodes: &[NodeId],
    ) {
        let join = JoinData {
            data: local_data.clone(),
            at: cx.wall_clock(),
        };
        cx.send_connected(
            target_nodes,
            Channel::JOIN,
            PubSubMessage::Join(join.clone()),
        );
        let node = cx.node().clone();
        if target_nodes.contains(&node) {
            self.handle_node_join_data(cx, &join, &node);
        }
    }

    /// Adds only; nothing is detached (anomaly A6). Without a timestamp in `v041`.
    fn handle_node_join_data(
        &mut self,
        cx: &mut Cx<'_>,
        remote_data: &JoinData,
        remote_node: &NodeId,
    ) {
        if self.config.profile == Profile::V041 {
            cx.add_missing(remote_node, &remote_data.data);
        } else if self.timestamps.is_newer(remote_node, remote_data.at) {
            cx.append_data(remote_node, &remote_data.data);
            self.timestamps.set(remote_node, remote_data.at);
        } else {
            cx.mark("pubsub.stale_stamp");
        }
    }

    fn broadcastable_local_data(&mut self, cx: &mut Cx<'_>) -> Option<Snapshot> {
        self.guard.data(self.config.profile, cx)
    }

    fn handle_message(&mut self, cx: &mut Cx<'_>, from: &NodeId, message: &PubSubMessage) {
        match message {
            PubSubMessage::Requests(requests) => cx.handle_requests(requests),
            PubSubMessage::Sync(data) => self.handle_synchronization(cx, data, from),
            PubSubMessage::Join(join) => self.handle_node_join_data(cx, join, from),
        }
    }

    fn fingerprint(&self) -> String {
        format!("{} {:?}", Self::NAME, self.config)
    }

    fn sync_interval(&self) -> Duration {
        self.config.sync_interval
    }

    fn state_bytes(&self) -> u64 {
        self.timestamps.encoded_len()
    }
}

/// No requests or rows come from outside.
const NOT_RAW: Condition = Condition {
    without: &[Feature::RawRequests, Feature::RawRows],
};

/// The conditions under which it converges: see the anomalies that narrow them.
const SETTLED: Condition = Condition {
    without: &[
        Feature::WrongView,
        Feature::Churn,
        Feature::LongDebounce,
        Feature::SharedIds,
        Feature::NewMetadata,
        Feature::VacatedNode,
    ],
};

/// A joiner is noticed: it was no member before, and the quiet time ends.
const PROMPT: Condition = Condition {
    without: &[Feature::Return, Feature::LongDebounce],
};

const CLAIMS: &[Claim] = &[
    Claim {
        oracle: "no_crash",
        condition: Condition::ALWAYS,
        narrowed_by: &[],
    },
    Claim {
        oracle: "own_truth",
        condition: Condition::ALWAYS,
        narrowed_by: &[],
    },
    Claim {
        oracle: "single_writer",
        condition: NOT_RAW,
        narrowed_by: &["A18"],
    },
    Claim {
        oracle: "unique_entry",
        condition: NOT_RAW,
        narrowed_by: &["A17"],
    },
    Claim {
        oracle: "no_invention",
        condition: Condition::ALWAYS,
        narrowed_by: &[],
    },
    Claim {
        oracle: "bounded_state",
        condition: Condition::ALWAYS,
        narrowed_by: &[],
    },
    Claim {
        oracle: "convergence",
        condition: SETTLED,
        narrowed_by: &["A5", "A8", "A9", "A14", "M1", "M3"],
    },
    Claim {
        oracle: "join_prompt",
        condition: PROMPT,
        narrowed_by: &["M1", "M3"],
    },
];

const BROKEN: &[Broken] = &[
    Broken {
        oracle: "metadata_agreement",
        by: &["A9"],
    },
    Broken {
        oracle: "no_resurrection",
        by: &["A2", "A3", "A6"],
    },
    Broken {
        oracle: "no_false_absence",
        by: &["A1", "A4"],
    },
    Broken {
        oracle: "membership_containment",
        by: &["A5", "A14", "M3"],
    },
    Broken {
        oracle: "no_permanent_ghost",
        by: &["A5"],
    },
    Broken {
        oracle: "repair_progress",
        by: &["A14", "M3"],
    },
    Broken {
        oracle: "clock_independence",
        by: &["A7"],
    },
];

impl Strategy for PubSub {
    const NAME: &'static str = "pubsub";
    const SUMMARY: &'static str =
        "every node sends its changes and its snapshots to every other node";
    type Config = PubSubConfig;

    fn new(config: &PubSubConfig) -> Result<Self, ConfigError> {
        ConfigError::check_sync_interval(config.sync_interval)?;
        Ok(Self {
            config: config.clone(),
            ..Self::default()
        })
    }

    fn claims() -> &'static [Claim] {
        CLAIMS
    }

    fn broken() -> &'static [Broken] {
        BROKEN
    }

    fn vary(config: &mut PubSubConfig, by: &Variation) -> &'static [&'static str] {
        config.sync_interval = by.round_interval;
        &["sync_interval"]
    }
}
