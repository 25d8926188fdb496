//! [`OwnerBroadcast`]: an owner sends each of its changes to every node, once; nothing is repaired.
//!
//! Source: the process groups of OTP (`pg`) and of syn 3, as their documentation describes them.
//!
//! A node asks a new member, and a member whose connection came up again, for its rows. The answer and
//! later changes use one ordered channel. Messages of nodes that are no members, and those of an
//! earlier incarnation, are ignored. Entries have metadata of their own.
//!
//! Parameters: none.
//!
//! Cost: n - 1 messages for a change; two for each pair that meets; none otherwise.
//!
//! Claims: see [`OwnerBroadcast::claims`](Strategy::claims). It does not promise to find a message that
//! was lost: the row stays wrong until its owner changes it again.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::contents::Contents;
use crate::context::Context;
use crate::fact::{Change, Fact};
use crate::message::{Channel, Message};
use crate::name::NodeId;
use crate::request::{Members, Requests};
use crate::snapshot::Snapshot;
use crate::strategy::{Claim, Condition, ConfigError, EventStrategy, Feature, Strategy};

/// The parameters of [`OwnerBroadcast`]: there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct OwnerBroadcastConfig {}

/// The messages of [`OwnerBroadcast`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnerBroadcastMessage {
    /// The receiver is to send its rows.
    Ask,
    /// All rows of the sender.
    Rows {
        /// The sender's incarnation.
        incarnation: u64,
        /// Its rows.
        rows: Snapshot,
    },
    /// A change of what the sender runs.
    Change(Fact),
}

impl Message for OwnerBroadcastMessage {
    const KINDS: &'static [&'static str] = &[
        "owner_broadcast.ask",
        "owner_broadcast.rows",
        "owner_broadcast.change",
    ];

    fn kind(&self) -> &'static str {
        match self {
            Self::Ask => "owner_broadcast.ask",
            Self::Rows { .. } => "owner_broadcast.rows",
            Self::Change(_) => "owner_broadcast.change",
        }
    }

    fn entries(&self, sender: &NodeId) -> Option<Contents> {
        Some(match self {
            Self::Ask => Contents::NONE,
            Self::Rows { rows, .. } => Contents::of_node(sender, Arc::clone(rows.names())),
            Self::Change(fact) => Contents::of_entries([(&fact.child, &fact.owner)]),
        })
    }
}

/// The strategy; see the module.
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnerBroadcast;

type Cx<'a> = Context<'a, OwnerBroadcastMessage>;

impl OwnerBroadcast {
    fn ask(cx: &mut Cx<'_>, node: &NodeId) {
        let to = std::slice::from_ref(node);
        cx.send(to, Channel::SYNC, OwnerBroadcastMessage::Ask);
    }

    /// Applies a change of what `owner` runs.
    fn apply(cx: &mut Cx<'_>, owner: &NodeId, fact: &Fact) {
        match &fact.change {
            Change::Started {
                spec,
                pid,
                metadata,
            } => cx.upsert_entry(spec, owner, Some(pid), metadata),
            Change::Restarted { pid } => {
                let row = cx.registry().get(&fact.child).map(|row| row.to_row());
                if let Some(row) = row.filter(|row| !row.is_empty()) {
                    cx.upsert_entry(&row.spec, owner, Some(pid), row.metadata_on(owner));
                }
            }
            Change::Stopped { .. } => cx.remove(&fact.child, owner),
        }
    }

    fn replace(cx: &mut Cx<'_>, owner: &NodeId, rows: &Snapshot) {
        for child in rows.children() {
            cx.upsert_entry(&child.spec, owner, child.pid.as_ref(), &child.metadata);
        }
        cx.detach_data(owner, rows);
    }
}

impl EventStrategy for OwnerBroadcast {
    type Message = OwnerBroadcastMessage;

    fn local_change(&mut self, cx: &mut Cx<'_>, fact: &Fact) {
        let me = cx.node().clone();
        Self::apply(cx, &me, fact);
        let peers = cx.connected().to_vec();
        let message = OwnerBroadcastMessage::Change(fact.clone());
        cx.send_connected(&peers, Channel::SYNC, message);
    }

    /// Changes were told when they happened.
    fn propagate(&mut self, _cx: &mut Cx<'_>, _requests: Requests, _members: &Members) {}

    fn handle_message(&mut self, cx: &mut Cx<'_>, from: &NodeId, message: &OwnerBroadcastMessage) {
        let is_heard = |cx: &mut Cx<'_>, incarnation| {
            if !cx.is_member(from) {
                cx.mark("owner_broadcast.not_a_member");
            } else if cx.incarnation_of(from) != Some(incarnation) {
                cx.mark("owner_broadcast.old_incarnation");
            } else {
                return from != cx.node();
            }
            false
        };
        match message {
            OwnerBroadcastMessage::Ask => {
                let (incarnation, rows) = (cx.incarnation(), cx.local_data());
                let message = OwnerBroadcastMessage::Rows { incarnation, rows };
                cx.send(std::slice::from_ref(from), Channel::SYNC, message);
            }
            OwnerBroadcastMessage::Rows { incarnation, rows } => {
                if is_heard(cx, *incarnation) {
                    Self::replace(cx, from, rows);
                }
            }
            OwnerBroadcastMessage::Change(fact) => {
                if fact.owner == *from && is_heard(cx, fact.incarnation) {
                    Self::apply(cx, from, fact);
                }
            }
        }
    }

    fn member_up(&mut self, cx: &mut Cx<'_>, node: &NodeId, _incarnation: u64) {
        Self::ask(cx, node);
    }

    fn peer_up(&mut self, cx: &mut Cx<'_>, node: &NodeId, _incarnation: u64) {
        if cx.is_member(node) {
            Self::ask(cx, node);
        }
    }
}

/// Every change arrives, once and in order, and only the owner makes it.
const FAITHFUL: Condition = Condition {
    without: &[
        Feature::RawRequests,
        Feature::RawRows,
        Feature::WrongView,
        Feature::Loss,
        Feature::Duplication,
        Feature::Reorder,
        Feature::Disconnection,
        Feature::LongDebounce,
    ],
};

/// Nothing but strategies changes rows.
const NOT_RAW: Condition = Condition {
    without: &[Feature::RawRequests, Feature::RawRows],
};

const CLAIMS: &[Claim] = &[
    Claim::of("no_crash", Condition::ALWAYS),
    Claim::of("own_truth", NOT_RAW),
    Claim::of("single_writer", NOT_RAW),
    Claim::of("unique_entry", NOT_RAW),
    Claim::of("no_invention", NOT_RAW),
    Claim::of("bounded_state", NOT_RAW),
    Claim::of("clock_independence", NOT_RAW),
    Claim::of("convergence", FAITHFUL),
    Claim::of("metadata_agreement", FAITHFUL),
    Claim::of("no_false_absence", FAITHFUL),
    Claim::of("no_resurrection", FAITHFUL),
    Claim::of("no_permanent_ghost", FAITHFUL),
    Claim::of("membership_containment", FAITHFUL),
    Claim::of("join_prompt", FAITHFUL),
];

impl Strategy for OwnerBroadcast {
    const NAME: &'static str = "owner_broadcast";
    const SUMMARY: &'static str =
        "owners send each change to every node, once; nothing is repaired";
    type Config = OwnerBroadcastConfig;

    fn new(_config: &OwnerBroadcastConfig) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn claims() -> &'static [Claim] {
        CLAIMS
    }
}
