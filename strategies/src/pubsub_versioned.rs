//! [`PubSubVersioned`]: the messages of `pubsub`, with the version of its owner on every row.
//!
//! Source: ours, an ablation: what versions alone are worth, without acknowledgements and digests.
//!
//! - Changes that are announced go to every connected peer, once. Every `sync_interval` a node sends a
//!   snapshot of its rows to every member; nodes that join get one, too.
//! - A change and a row carry (incarnation, number) of their owner. What is older than what is known, or
//!   equal, is ignored. A removal leaves a tombstone with its number for `tombstone_ttl`.
//! - A snapshot carries the number that it was taken at. It removes only rows that are at most that old,
//!   and leaves tombstones with that number.
//! - Rows of an owner outside the view are hidden, and forgotten after `tombstone_ttl`; rows of an earlier
//!   incarnation are dropped.
//!
//! Parameters:
//! - `sync_interval`, the time between two rounds of a node; default 30 s, any positive duration.
//! - `tombstone_ttl`, how long removals are remembered; default 60 s, any positive duration.
//!
//! Cost: n - 1 messages for an announced change, and n - 1 snapshots per node and round.
//!
//! Claims: see [`PubSubVersioned::claims`](Strategy::claims). It does not promise that a lost change is
//! repaired before a round, nor that a start that was overtaken by its removal stays away where the
//! removal was lost: until the next round it is shown. And an owner that comes back in the same incarnation
//! is shown as it was: where messages are lost, what it stopped meanwhile may come back with it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contents::Contents;
use crate::context::Context;
use crate::fact::Fact;
use crate::message::{Channel, Message};
use crate::name::{ChildId, NodeId};
use crate::owner_log::{OWNED, Operation, Running, show, show_own};
use crate::request::{Members, Request, Requests};
use crate::strategy::{Claim, Condition, ConfigError, EventStrategy, Feature, Strategy, Variation};
use crate::time::{Time, duration_text};
use crate::wire;

/// The parameters of [`PubSubVersioned`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PubSubVersionedConfig {
    /// The time between two rounds of a node.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub sync_interval: Duration,
    /// How long removals are remembered.
    #[serde(with = "duration_text")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "duration_text::schema"))]
    pub tombstone_ttl: Duration,
}

impl Default for PubSubVersionedConfig {
    fn default() -> Self {
        Self {
            sync_interval: Duration::from_secs(30),
            tombstone_ttl: Duration::from_secs(60),
        }
    }
}

/// All rows of the sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionedRows {
    /// The sender's incarnation.
    pub incarnation: u64,
    /// The number of its last change.
    pub as_of: u64,
    /// Its rows.
    pub rows: Vec<Running>,
}

/// A message. All tell of the sender's own rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PubSubVersionedMessage {
    /// Changes.
    Events {
        /// The sender's incarnation.
        incarnation: u64,
        /// The last change of each child.
        events: Vec<Operation>,
    },
    /// A snapshot of a periodic round.
    Sync(VersionedRows),
    /// A snapshot for a node that joins.
    Join(VersionedRows),
}

impl Message for PubSubVersionedMessage {
    const KINDS: &'static [&'static str] = &[
        "pubsub_versioned.events",
        "pubsub_versioned.sync",
        "pubsub_versioned.join",
    ];

    fn kind(&self) -> &'static str {
        match self {
            Self::Events { .. } => "pubsub_versioned.events",
            Self::Sync(_) => "pubsub_versioned.sync",
            Self::Join(_) => "pubsub_versioned.join",
        }
    }

    fn entries(&self, sender: &NodeId) -> Option<Contents> {
        let children = match self {
            Self::Events { events, .. } => events.iter().map(|it| it.child().clone()).collect(),
            Self::Sync(data) | Self::Join(data) => {
                data.rows.iter().map(|it| it.spec.id().clone()).collect()
            }
        };
        Some(Contents::of_node(sender, children))
    }
}

/// What is known of an owner, in one of its incarnations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    incarnation: u64,
    rows: BTreeMap<ChildId, Running>,
    /// Removals: the number, and when it is forgotten.
    tombstones: BTreeMap<ChildId, (u64, Time)>,
    /// The length of the encoding of the rows.
    bytes: u64,
}

/// The bytes that a tombstone counts for, beside the child's name.
const TOMBSTONE_BYTES: u64 = 16;

impl Versions {
    pub(crate) fn new(incarnation: u64) -> Self {
        Self {
            incarnation,
            ..Self::default()
        }
    }

    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    pub(crate) fn rows(&self) -> &BTreeMap<ChildId, Running> {
        &self.rows
    }

    /// The children of which something is known.
    pub(crate) fn children(&self) -> impl Iterator<Item = &ChildId> {
        self.rows.keys().chain(self.tombstones.keys())
    }

    /// The number of the last change of a child.
    pub(crate) fn version(&self, child: &ChildId) -> Option<u64> {
        let row = self.rows.get(child).map(|row| row.seq);
        row.max(self.tombstones.get(child).map(|(version, _)| *version))
    }

    /// When the removal of a child is forgotten.
    pub(crate) fn expires(&self, child: &ChildId) -> Option<Time> {
        self.tombstones.get(child).map(|(_, expires)| *expires)
    }

    /// Forgets the removals that expired.
    pub(crate) fn purge(&mut self, now: Time) {
        self.tombstones.retain(|_, (_, expires)| *expires > now);
    }

    /// Applies a change; a tombstone lasts until `expires`. Returns the child if its row changed.
    pub(crate) fn apply(&mut self, event: &Operation, expires: Time) -> Option<ChildId> {
        let (child, version) = (event.child(), event.seq());
        if self.version(child) >= Some(version) {
            return None;
        }
        let old = self.rows.remove(child);
        self.bytes -= old.as_ref().map_or(0, wire::encoded_len);
        match event {
            Operation::Runs(running) => {
                self.tombstones.remove(child);
                self.bytes += wire::encoded_len(running);
                self.rows.insert(child.clone(), running.clone());
            }
            Operation::Gone { .. } => {
                self.tombstones.insert(child.clone(), (version, expires));
                old.as_ref()?;
            }
        }
        Some(child.clone())
    }

    /// Applies a snapshot. Returns the children whose rows changed.
    fn apply_rows(&mut self, data: &VersionedRows, expires: Time) -> Vec<ChildId> {
        let listed: BTreeSet<_> = data.rows.iter().map(|row| row.spec.id()).collect();
        let is_gone = |row: &&Running| row.seq < data.as_of && !listed.contains(row.spec.id());
        let gone = self.rows.values().filter(is_gone);
        let gone = gone.map(|row| row.spec.id().clone());
        let (seq, gone) = (data.as_of, gone.collect::<Vec<_>>());
        let gone = gone.into_iter().map(|child| Operation::Gone { seq, child });
        let runs = data.rows.iter().cloned().map(Operation::Runs);
        gone.chain(runs)
            .filter_map(|event| self.apply(&event, expires))
            .collect()
    }

    /// The last change of a child.
    pub(crate) fn last(&self, child: &ChildId) -> Option<Operation> {
        if let Some(running) = self.rows.get(child) {
            return Some(Operation::Runs(running.clone()));
        }
        let (seq, child) = (self.tombstones.get(child)?.0, child.clone());
        Some(Operation::Gone { seq, child })
    }

    pub(crate) fn state_bytes(&self) -> u64 {
        let names = self.tombstones.keys();
        let tombstones = names.map(|child| wire::text_len(child.as_str()) + TOMBSTONE_BYTES);
        self.bytes + tombstones.sum::<u64>()
    }
}

/// What is known of an owner.
#[derive(Debug, Default)]
pub(crate) struct Owner {
    pub(crate) versions: Versions,
    pub(crate) is_member: bool,
    /// Since when it is no member.
    gone_at: Time,
}

/// What is known of owners: shown of those that are members, in the last incarnation of each.
#[derive(Debug, Default)]
pub(crate) struct Owners(BTreeMap<NodeId, Owner>);

impl Owners {
    pub(crate) fn get(&self, node: &NodeId) -> Option<&Owner> {
        self.0.get(node)
    }

    pub(crate) fn get_mut(&mut self, node: &NodeId) -> Option<&mut Owner> {
        self.0.get_mut(node)
    }

    /// Those that are members.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&NodeId, &Owner)> {
        self.0.iter().filter(|(_, owner)| owner.is_member)
    }

    /// The row of a child that is shown.
    pub(crate) fn shown(&self, node: &NodeId, child: &ChildId) -> Option<&Running> {
        let owner = self.get(node).filter(|owner| owner.is_member)?;
        owner.versions.rows.get(child)
    }

    /// What is known of an owner, in this incarnation or a later one that is known; a later one than
    /// that begins anew.
    pub(crate) fn owner<M>(
        &mut self,
        cx: &mut Context<'_, M>,
        node: &NodeId,
        incarnation: u64,
    ) -> &mut Owner {
        let now = cx.now();
        let owner = self.0.entry(node.clone()).or_insert_with(|| Owner {
            versions: Versions::new(incarnation),
            gone_at: now,
            is_member: cx.is_member(node),
        });
        if owner.versions.incarnation < incarnation {
            for child in owner.versions.rows.keys() {
                cx.remove(child, node);
            }
            owner.versions = Versions::new(incarnation);
        }
        owner
    }

    /// Follows the cluster view.
    pub(crate) fn view_changed<M>(&mut self, cx: &mut Context<'_, M>) {
        let view = cx.shared_view();
        let known = view.iter().filter(|node| *node != cx.node());
        for node in known.cloned().collect::<Vec<_>>() {
            let incarnation = cx.incarnation_of(&node).unwrap_or(0);
            self.owner(cx, &node, incarnation);
        }
        let (now, me) = (cx.now(), cx.node().clone());
        for (node, owner) in self.0.iter_mut().filter(|(node, _)| **node != me) {
            let is_member = cx.is_member(node);
            if owner.is_member && !is_member {
                owner.gone_at = now;
            }
            let changes = owner.is_member != is_member;
            owner.is_member = is_member;
            for (child, running) in owner.versions.rows.iter().filter(|_| changes) {
                show(cx, node, child, is_member.then_some(running));
            }
        }
    }

    /// Forgets removals that expired, and owners that have been no members for so long.
    pub(crate) fn purge(&mut self, now: Time, keep: Duration) {
        self.0
            .retain(|_, owner| owner.is_member || owner.gone_at.after(keep) > now);
        for owner in self.0.values_mut() {
            owner.versions.purge(now);
        }
    }

    pub(crate) fn state_bytes(&self) -> u64 {
        let owners = self.0.values().map(|it| it.versions.state_bytes());
        owners.sum()
    }
}

/// The strategy; see the module.
#[derive(Debug, Default)]
pub struct PubSubVersioned {
    config: PubSubVersionedConfig,
    own: Versions,
    /// The number of the last own change.
    last: u64,
    owners: Owners,
}

type Cx<'a> = Context<'a, PubSubVersionedMessage>;

impl PubSubVersioned {
    fn snapshot(&self) -> VersionedRows {
        VersionedRows {
            incarnation: self.own.incarnation,
            as_of: self.last,
            rows: self.own.rows.values().cloned().collect(),
        }
    }

    fn take(
        &mut self,
        cx: &mut Cx<'_>,
        from: &NodeId,
        incarnation: u64,
        apply: impl FnOnce(&mut Versions, Time) -> Vec<ChildId>,
    ) {
        let expires = cx.now().after(self.config.tombstone_ttl);
        let owner = self.owners.owner(cx, from, incarnation);
        if owner.versions.incarnation > incarnation {
            return cx.mark("pubsub_versioned.old_incarnation");
        }
        let changed = apply(&mut owner.versions, expires);
        if owner.is_member {
            for child in &changed {
                show(cx, from, child, owner.versions.rows.get(child));
            }
        }
    }
}

/// The children that requests name.
fn children(requests: &Requests) -> BTreeSet<&ChildId> {
    let mut children = BTreeSet::new();
    for request in requests.iter() {
        match request {
            Request::Register(rows) => children.extend(rows.iter().map(|row| row.spec.id())),
            Request::Unregister(rows) => children.extend(rows.iter().map(|row| &row.child)),
            Request::PidUpdate { child, .. } => {
                children.insert(child);
            }
        }
    }
    children
}

impl EventStrategy for PubSubVersioned {
    type Message = PubSubVersionedMessage;

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.own = Versions::new(cx.incarnation());
    }

    fn local_change(&mut self, cx: &mut Cx<'_>, fact: &Fact) {
        let child = &fact.child;
        let event = Operation::of(fact, fact.seq, self.own.rows.get(child));
        self.last = fact.seq;
        let expires = cx.now().after(self.config.tombstone_ttl);
        self.own.apply(&event, expires);
        show_own(cx, child, self.own.rows.get(child), |node| {
            self.owners.shown(node, child)
        });
    }

    /// Tells of the last change of each child that the requests name, if it is this node's.
    fn propagate(&mut self, cx: &mut Cx<'_>, requests: Requests, members: &Members) {
        let to = match members {
            Members::Global | Members::External => cx.connected().to_vec(),
            Members::Local => Vec::new(),
            Members::Nodes(nodes) => nodes.clone(),
        };
        let named = children(&requests).into_iter();
        let events: Vec<_> = named.filter_map(|child| self.own.last(child)).collect();
        if !events.is_empty() {
            let incarnation = cx.incarnation();
            let message = PubSubVersionedMessage::Events {
                incarnation,
                events,
            };
            cx.send_connected(&to, Channel::REQUESTS, message);
        }
    }

    fn round(&mut self, cx: &mut Cx<'_>) {
        let others = cx.view().iter().filter(|node| *node != cx.node());
        let others: Vec<_> = others.cloned().collect();
        let message = PubSubVersionedMessage::Sync(self.snapshot());
        cx.send(&others, Channel::SYNC, message);
    }

    fn round_interval(&self) -> Option<Duration> {
        Some(self.config.sync_interval)
    }

    fn nodes_joining(&mut self, cx: &mut Cx<'_>, nodes: &[NodeId]) {
        let message = PubSubVersionedMessage::Join(self.snapshot());
        cx.send_connected(nodes, Channel::JOIN, message);
    }

    fn handle_message(&mut self, cx: &mut Cx<'_>, from: &NodeId, message: &PubSubVersionedMessage) {
        if from == cx.node() {
            return;
        }
        match message {
            PubSubVersionedMessage::Events {
                incarnation,
                events,
            } => self.take(cx, from, *incarnation, |versions, expires| {
                let changed = events.iter().map(|event| versions.apply(event, expires));
                changed.flatten().collect()
            }),
            PubSubVersionedMessage::Sync(data) | PubSubVersionedMessage::Join(data) => {
                self.take(cx, from, data.incarnation, |versions, expires| {
                    versions.apply_rows(data, expires)
                });
            }
        }
    }

    fn view_changed(&mut self, cx: &mut Cx<'_>) {
        self.owners.view_changed(cx);
    }

    fn peer_up(&mut self, cx: &mut Cx<'_>, node: &NodeId, incarnation: u64) {
        self.owners.owner(cx, node, incarnation);
    }

    fn purge(&mut self, now: Time) {
        self.owners.purge(now, self.config.tombstone_ttl);
        self.own.purge(now);
    }

    fn fingerprint(&self) -> String {
        format!("{} {:?}", Self::NAME, self.config)
    }

    fn state_bytes(&self) -> u64 {
        self.own.state_bytes() + self.owners.state_bytes()
    }
}

/// The same without loss: an owner that is back is shown as it was, and what corrects that may be lost,
/// round after round (scenarios/stale-return.toml).
const OWNED_WITHOUT_LOSS: Condition = Condition {
    without: &[
        Feature::RawRequests,
        Feature::RawRows,
        Feature::WrongView,
        Feature::LongDebounce,
        Feature::Loss,
    ],
};

/// Join data are sent to nodes that were no members, and once.
const PROMPT: Condition = Condition {
    without: &[
        Feature::RawRequests,
        Feature::RawRows,
        Feature::WrongView,
        Feature::LongDebounce,
        Feature::Return,
    ],
};

const CLAIMS: &[Claim] = &[
    Claim::of("no_crash", Condition::ALWAYS),
    Claim::of("own_truth", OWNED),
    Claim::of("single_writer", OWNED),
    Claim::of("unique_entry", OWNED),
    Claim::of("no_invention", OWNED),
    Claim::of("bounded_state", OWNED),
    Claim::of("convergence", OWNED),
    Claim::of("metadata_agreement", OWNED),
    Claim::of("no_resurrection", OWNED_WITHOUT_LOSS),
    Claim::of("no_false_absence", OWNED),
    Claim::of("membership_containment", OWNED),
    Claim::of("no_permanent_ghost", OWNED),
    Claim::of("repair_progress", OWNED),
    Claim::of("join_prompt", PROMPT),
    Claim::of("clock_independence", OWNED),
    Claim::of("stability", OWNED),
];

impl Strategy for PubSubVersioned {
    const NAME: &'static str = "pubsub_versioned";
    const SUMMARY: &'static str = "the messages of pubsub, with the owner's version on every row";
    type Config = PubSubVersionedConfig;

    fn new(config: &PubSubVersionedConfig) -> Result<Self, ConfigError> {
        ConfigError::check_sync_interval(config.sync_interval)?;
        ConfigError::check_not_zero("tombstone_ttl", config.tombstone_ttl)?;
        let config = config.clone();
        Ok(Self {
            config,
            ..Self::default()
        })
    }

    fn claims() -> &'static [Claim] {
        CLAIMS
    }

    fn vary(config: &mut PubSubVersionedConfig, by: &Variation) -> &'static [&'static str] {
        config.sync_interval = by.round_interval;
        &["sync_interval"]
    }
}
