//! [`Gossip`]: nodes pass messages on, each with the list of the nodes that have handled it.
//!
//! Source: docs/protocol.md section 5 (ProcessHub's `Synchronization.Gossip`), self-sends and dropped
//! acknowledgements included.
//!
//! Deviations: none of effect. A node handles the requests of a propagation in the step in which it
//! first sees it, where the original sends itself a message; references are (originator,
//! incarnation, count) instead of runtime references.
//!
//! Parameters:
//! - `sync_interval`, the time between two rounds of a node, and how long a reference is remembered;
//!   default 15 s, any positive duration.
//! - `recipients`, the fan-out of a propagation and of a round's first hop, in nodes; default 3, at
//!   least 1. Later hops of a round ignore it and go to all nodes that are missing.
//! - `restricted_init`, whether only the node with the lowest name of the view starts rounds;
//!   default true.
//! - `profile`, the state of the original: `v041`, `v05_e1`, `v05_e2` (default). `v041` and `v05_e1`
//!   have the registry's rules of that state and no guard; it is assumed that rounds for joining
//!   nodes worked as in `v05_e2`.
//!
//! Cost: more than it looks. With self-sends and forwarding to all, a round takes over 100,000
//! messages at 20 nodes, and a propagation about 12,000 at 100.
//!
//! Claims: see [`Gossip::claims`](Strategy::claims). What it does not promise is in docs/protocol.md
//! section 8: one member that does not answer stalls every round (G1), an empty first node blocks
//! them (G8), and the originator handles its own requests again when they come back (G6).

mod acks;
mod message;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use acks::Acks;
pub use message::{
    GossipMessage, NodesData, Propagation, Reference, Round, SharedRequests, TimestampedSnapshot,
};

use crate::context::Context;
use crate::guard::EmptyGuard;
use crate::message::Channel;
use crate::name::NodeId;
use crate::profile::Profile;
use crate::request::{Members, Requests};
use crate::snapshot::Snapshot;
use crate::strategy::{
    Broken, Claim, Condition, ConfigError, Feature, Limits, Strategy, Synchronization, Variation,
};
use crate::time::{Time, duration_text};
use crate::timestamps::Timestamps;
use crate::view::NodeBitSet;

/// The parameters of [`Gossip`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GossipConfig {
    /// The time between two rounds of a node, and how long a reference is remembered.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub sync_interval: Duration,
    /// The number of nodes that a propagation, and a round's first hop, go to; at least 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub recipients: u32,
    /// True if only the node with the lowest name of the view starts rounds.
    pub restricted_init: bool,
    /// The state of the original whose rules are followed.
    pub profile: Profile,
}

impl Default for GossipConfig {
    fn default() -> Self {
        Self {
            sync_interval: Duration::from_secs(15),
            recipients: 3,
            restricted_init: true,
            profile: Profile::default(),
        }
    }
}

/// The state that a node keeps of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memory {
    /// A propagation: who handled it.
    Propagation(Acks),
    /// A round: the data collected, and who applied them.
    Round(NodesData, Acks),
    /// A round that everyone applied: what still comes is dropped.
    Invalidated,
}

/// The strategy; see the module.
#[derive(Debug, Clone, Default)]
pub struct Gossip {
    config: GossipConfig,
    timestamps: Timestamps,
    guard: EmptyGuard,
    memory: BTreeMap<Reference, (Memory, Time)>,
    references: u64,
}

type Cx<'a> = Context<'a, GossipMessage>;

/// The mark of a message of a round or propagation that is over here.
const INVALIDATED: &str = "gossip.invalidated";

/// A round for the members, or one for nodes that join: they differ in what carries them.
#[derive(Clone, Copy)]
enum RoundKind {
    Sync,
    Join,
}

impl RoundKind {
    fn send(self, cx: &mut Cx<'_>, to: &[NodeId], round: Round) {
        match self {
            Self::Sync => cx.send(to, Channel::SYNC, GossipMessage::Sync(round)),
            Self::Join => cx.send(to, Channel::JOIN, GossipMessage::Join(round)),
        }
    }
}

impl Gossip {
    /// The timestamps of the data applied so far.
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

    /// The state kept of a reference, expired or not.
    #[must_use]
    pub fn memory(&self, reference: &Reference) -> Option<&Memory> {
        self.memory.get(reference).map(|(memory, _)| memory)
    }

    /// All that is remembered, by reference.
    pub fn memories(&self) -> impl Iterator<Item = (&Reference, &Memory)> {
        self.memory
            .iter()
            .map(|(reference, (memory, _))| (reference, memory))
    }

    /// Remembers something until the first [`Synchronization::purge`] at or after `expires_at`.
    pub fn remember(&mut self, reference: &Reference, memory: Memory, expires_at: Time) {
        match self.memory.get_mut(reference) {
            Some(stored) => *stored = (memory, expires_at),
            None => {
                self.memory.insert(reference.clone(), (memory, expires_at));
            }
        }
    }

    fn recipients(&self) -> usize {
        self.config.recipients as usize
    }

    fn expiry(&self, cx: &Cx<'_>) -> Time {
        cx.now().after(self.config.sync_interval)
    }

    fn new_reference(&mut self, cx: &Cx<'_>) -> Reference {
        self.references += 1;
        Reference {
            number: self.references,
            incarnation: cx.incarnation(),
            origin: cx.node().clone(),
        }
    }

    /// Starts a round with this node's own data, to some of `candidates`.
    fn start_round(
        &mut self,
        cx: &mut Cx<'_>,
        kind: RoundKind,
        data: Option<Snapshot>,
        candidates: &[NodeId],
    ) {
        let reference = self.new_reference(cx);
        let own = TimestampedSnapshot {
            data,
            at: cx.wall_clock(),
        };
        let data = NodesData::new(vec![(cx.node().clone(), own)]);
        let acks = Acks::new(Vec::new());
        self.remember(
            &reference,
            Memory::Round(data.clone(), acks.clone()),
            self.expiry(cx),
        );
        let to = cx.choose(candidates, self.recipients());
        kind.send(
            cx,
            &to,
            Round {
                reference,
                data,
                acks,
            },
        );
    }

    /// One visit of a round: restamp, merge, then pass it on to who is missing in the data, or, if
    /// no one is, apply it and pass it on to who has not.
    fn handle_round(&mut self, cx: &mut Cx<'_>, kind: RoundKind, round: &Round) {
        let own = TimestampedSnapshot {
            data: self.guard.data(self.config.profile, cx),
            at: cx.wall_clock(),
        };
        let incoming = round.data.with(cx.node(), own);
        let view = cx.shared_view();
        let (data, mut acks, unacked) = match self.memory(&round.reference) {
            Some(Memory::Invalidated) => return cx.mark(INVALIDATED),
            Some(Memory::Round(cached, acks)) => {
                let (acks, unacked) = acks.join(&round.acks, &view);
                (cached.merge(&incoming), acks, unacked)
            }
            // On first contact the incoming acknowledgements are dropped (anomaly G2).
            Some(Memory::Propagation(_)) | None => (incoming, Acks::new(Vec::new()), view.to_vec()),
        };
        self.remember(
            &round.reference,
            Memory::Round(data.clone(), acks.clone()),
            self.expiry(cx),
        );

        let reference = round.reference.clone();
        let mut known = NodeBitSet::of(&view);
        known.extend(data.nodes().iter().map(|(node, _)| node));
        let missing = known.others();
        if !missing.is_empty() {
            return kind.send(
                cx,
                &missing,
                Round {
                    reference,
                    data: data.clone(),
                    acks,
                },
            );
        }
        if unacked.contains(cx.node()) {
            self.apply(cx, &data);
            acks = acks.with_first(cx.node());
        }
        if unacked.is_empty() {
            self.remember(&reference, Memory::Invalidated, self.expiry(cx));
            cx.mark("gossip.round_finished");
        } else {
            kind.send(
                cx,
                &unacked,
                Round {
                    reference,
                    data: data.clone(),
                    acks,
                },
            );
        }
    }

    /// Takes in the data of every other node, in the order of their names.
    fn apply(&mut self, cx: &mut Cx<'_>, data: &NodesData) {
        cx.mark("gossip.round_applied");
        let mut is_stale = false;
        for (node, stamped) in data.nodes() {
            let Some(snapshot) = &stamped.data else {
                continue;
            };
            if node == cx.node() {
                continue;
            }
            if self.timestamps.is_newer(node, stamped.at) {
                cx.append_data(node, snapshot);
                cx.detach_data(node, snapshot);
                self.timestamps.set(node, stamped.at);
            } else {
                is_stale = true;
            }
        }
        if is_stale {
            cx.mark("gossip.stale_stamp");
        }
    }

    fn handle_propagation(&mut self, cx: &mut Cx<'_>, message: &Propagation) {
        let view = cx.shared_view();
        let cached = match self.memory(&message.reference) {
            Some(Memory::Invalidated) => return cx.mark(INVALIDATED),
            Some(Memory::Propagation(acks) | Memory::Round(_, acks)) => acks.clone(),
            None => Acks::new(Vec::new()),
        };
        let (mut acks, unacked) = message.acks.join(&cached, &view);
        if unacked.contains(cx.node()) {
            cx.handle_requests(message.requests.requests());
            acks = acks.with_first(cx.node());
        }
        // With nobody left the original marks the reference as done, then overwrites the mark with
        // this list (anomaly G5).
        self.remember(
            &message.reference,
            Memory::Propagation(acks.clone()),
            self.expiry(cx),
        );
        // Of the nodes that had not acknowledged before this one did: it may choose itself (G4).
        let to = cx.choose(&unacked, self.recipients());
        let (reference, requests) = (message.reference.clone(), message.requests.clone());
        cx.send(
            &to,
            Channel::REQUESTS,
            GossipMessage::Propagate(Propagation {
                reference,
                acks,
                requests,
            }),
        );
    }
}

fn all_but(node: &NodeId, nodes: &[NodeId]) -> Vec<NodeId> {
    nodes
        .iter()
        .filter(|other| *other != node)
        .cloned()
        .collect()
}

impl Synchronization for Gossip {
    type Message = GossipMessage;
    type SyncData = Round;
    type JoinData = Round;

    /// Ignores `members` (anomaly G6).
    fn init(&mut self, cx: &mut Cx<'_>) {
        cx.set_profile(self.config.profile);
    }

    fn propagate(&mut self, cx: &mut Cx<'_>, requests: Requests, _members: &Members) {
        let reference = self.new_reference(cx);
        cx.handle_requests(&requests);
        let candidates = all_but(cx.node(), cx.view());
        let to = cx.choose(&candidates, self.recipients());
        let acks = Acks::new(vec![cx.node().clone()]);
        let message = Propagation {
            reference,
            acks,
            requests: SharedRequests::new(Arc::clone(&requests)),
        };
        cx.send(&to, Channel::REQUESTS, GossipMessage::Propagate(message));
    }

    fn init_sync(&mut self, cx: &mut Cx<'_>, cluster_nodes: &[NodeId]) {
        let data = Some(cx.local_data());
        if !self.config.restricted_init {
            return self.start_round(cx, RoundKind::Sync, data, cluster_nodes);
        }
        if cluster_nodes.iter().min() == Some(cx.node()) {
            let candidates = all_but(cx.node(), cluster_nodes);
            self.start_round(cx, RoundKind::Sync, data, &candidates);
        }
    }

    fn handle_synchronization(
        &mut self,
        cx: &mut Cx<'_>,
        remote_data: &Round,
        _remote_node: &NodeId,
    ) {
        self.handle_round(cx, RoundKind::Sync, remote_data);
    }

    fn broadcast_local_data(
        &mut self,
        cx: &mut Cx<'_>,
        local_data: &Snapshot,
        target_nodes: &[NodeId],
    ) {
        self.start_round(cx, RoundKind::Join, Some(local_data.clone()), target_nodes);
    }

    fn handle_node_join_data(
        &mut self,
        cx: &mut Cx<'_>,
        remote_data: &Round,
        _remote_node: &NodeId,
    ) {
        self.handle_round(cx, RoundKind::Join, remote_data);
    }

    fn broadcastable_local_data(&mut self, cx: &mut Cx<'_>) -> Option<Snapshot> {
        self.guard.data(self.config.profile, cx)
    }

    fn handle_message(&mut self, cx: &mut Cx<'_>, from: &NodeId, message: &GossipMessage) {
        match message {
            GossipMessage::Propagate(message) => self.handle_propagation(cx, message),
            GossipMessage::Sync(round) => self.handle_synchronization(cx, round, from),
            GossipMessage::Join(round) => self.handle_node_join_data(cx, round, from),
        }
    }

    fn fingerprint(&self) -> String {
        format!("{} {:?}", Self::NAME, self.config)
    }

    fn sync_interval(&self) -> Duration {
        self.config.sync_interval
    }

    fn purge(&mut self, now: Time) {
        self.memory.retain(|_, (_, expires_at)| *expires_at > now);
    }

    fn refs(&self) -> usize {
        self.memory.len()
    }

    fn state_bytes(&self) -> u64 {
        let memory = self.memory.iter().map(|(reference, (memory, _))| {
            reference.encoded_len()
                + match memory {
                    Memory::Propagation(acks) => acks.encoded_len(),
                    Memory::Round(data, acks) => data.size_model().bytes() + acks.encoded_len(),
                    Memory::Invalidated => 0,
                }
        });
        self.timestamps.encoded_len() + memory.sum::<u64>()
    }
}

/// No requests or rows come from outside.
const NOT_RAW: Condition = Condition {
    without: &[Feature::RawRequests, Feature::RawRows],
};

/// The conditions under which it converges: see the anomalies that narrow them.
const SETTLED: Condition = Condition {
    without: &[
        Feature::RawRequests,
        Feature::RawRows,
        Feature::WrongView,
        Feature::ClockStep,
        Feature::Churn,
        Feature::LongDebounce,
        Feature::SharedIds,
        Feature::NewMetadata,
        Feature::EmptyFirst,
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
        narrowed_by: &["A18", "G6"],
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
        narrowed_by: &["A5", "A7", "A8", "A9", "G1", "G8", "M1", "M3"],
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
        by: &["A2", "A3", "G10"],
    },
    Broken {
        oracle: "no_false_absence",
        by: &["A1", "A4", "G10"],
    },
    Broken {
        oracle: "membership_containment",
        by: &["A5", "M3"],
    },
    Broken {
        oracle: "no_permanent_ghost",
        by: &["A5", "G1"],
    },
    Broken {
        oracle: "repair_progress",
        by: &["G1"],
    },
    Broken {
        oracle: "stability",
        by: &["G2"],
    },
    Broken {
        oracle: "clock_independence",
        by: &["A7", "G11"],
    },
];

impl Strategy for Gossip {
    const NAME: &'static str = "gossip";
    const SUMMARY: &'static str =
        "nodes pass changes and collected snapshots on, with lists of who has them";
    type Config = GossipConfig;

    fn new(config: &GossipConfig) -> Result<Self, ConfigError> {
        ConfigError::check_sync_interval(config.sync_interval)?;
        if config.recipients == 0 {
            return Err(ConfigError {
                key: "recipients",
                reason: "must be at least 1".to_owned(),
            });
        }
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

    fn limits() -> Limits {
        // A round costs about 1,000 messages at 7 nodes and over 100,000 at 20.
        Limits { max_nodes: 7 }
    }

    fn vary(config: &mut GossipConfig, by: &Variation) -> &'static [&'static str] {
        config.sync_interval = by.round_interval;
        config.recipients = by.count;
        config.restricted_init = by.flag;
        &["sync_interval", "recipients", "restricted_init"]
    }
}
