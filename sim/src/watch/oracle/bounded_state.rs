//! `bounded_state`: what a node remembers stays below a bound computed from the workload.
//!
//! Looked at once per virtual second, for each node whose sizes have changed and that is not paused
//! (`Sizes` events; nothing else of its inside):
//!
//! - *rows* (those without entries included): at most the child ids that have been started or named
//!   raw so far;
//! - *tombstones*: at most the rows that this node emptied within the last tombstone TTL (30 s) and
//!   janitor interval (15 s), plus the ids named raw, for a raw row without entries has no end;
//! - *references* of the strategy: at most the occasions to make one within the last sync interval,
//!   janitor interval, and time that messages about one may take. Occasions are inputs, on any node,
//!   in which a message of a kind is sent that is not passed on from one of that kind, and the
//!   node's own sync and debounce timers. The time that messages may take is the longest delay of
//!   any message so far times the longest chain so far; while something is paused or cut, and until
//!   that time has passed after it, every occasion since it began counts, and with a `service_time`
//!   every one since the run began;
//! - *queue*: at most two per node of the file (a join and a down), plus the ids started so far.
//!
//! To each of them 8 are added, for what a node may keep that has nothing to do with the workload.
//!
//! *State bytes*, the real memory of a node, are looked at when it stops and at the end of the run, if
//! the program has a gauge of them ([`memory`](crate::memory)): whatever a strategy says of its
//! references, it may hold at most 12 KiB, 1 KiB per node of the file, and
//!
//! - per row that it had at most: 1 KiB, and 64 bytes per node, for as many entries;
//! - per start or stop of a child, on any node: 256 bytes, and 32 per node that may not have heard of
//!   it;
//! - per reference that it said it had at most: 256 bytes, and 32 per node and per row;
//! - and per row and change: eight times the longest texts of a row (id, arguments, metadata).
//!
//! The strategies of this repository stay below two thirds of it. What leaks slowly needs long runs to
//! exceed it.

use std::collections::{BTreeSet, VecDeque};

use hashbrown::HashSet;
use hublab_strategies::hub::HubConfig;
use hublab_strategies::name::NameHasher;
use hublab_strategies::time::micros;
use hublab_strategies::{ChildId, Row, Time, TimerKey};

use super::{Oracle, Violation};
use crate::model::NodeIx;
use crate::trace::event::{Event, EventId, KindIx, NodeSizes, Payload};
use crate::watch::ObserverContext;
use crate::watch::causes::Cause;
use crate::watch::changed::Changed;

pub(super) const NAME: &str = "bounded_state";

/// Added to each bound.
const SPARE: usize = 8;

/// Counts the workload, and looks at what nodes hold.
#[derive(Debug, Default)]
pub(super) struct BoundedState {
    started: HashSet<ChildId, NameHasher>,
    nodes: Vec<Node>,
    /// When there was an occasion to make a reference, on any node.
    occasions: VecDeque<Time>,
    /// The input whose messages were seen last, and of which kind.
    last_occasion: (EventId, KindIx),
    disturbance: Disturbance,
    longest_chain: u64,
    /// Starts and stops of children, on any node.
    changes: u64,
    /// The bytes of the longest texts of a row.
    text: u64,
    found: Vec<Violation>,
}

/// The recent past of one node.
#[derive(Debug, Default)]
struct Node {
    /// When it emptied rows.
    emptied: VecDeque<Time>,
    /// When it could make a reference without sending anything.
    timers: VecDeque<Time>,
    /// The most rows and references that it had.
    rows: u64,
    refs: u64,
    is_reported: bool,
}

/// Pauses and cuts, those close together taken as one.
#[derive(Debug, Default)]
struct Disturbance {
    since: Option<Time>,
    until: Time,
    paused: BTreeSet<NodeIx>,
}

impl BoundedState {
    fn node(&mut self, node: NodeIx) -> &mut Node {
        let slot = node as usize;
        if self.nodes.len() <= slot {
            self.nodes.resize_with(slot + 1, Node::default);
        }
        &mut self.nodes[slot]
    }

    /// A message was sent: an occasion, unless it passes on one of its kind. Those of one input and
    /// kind are one.
    fn sent(&mut self, event: &Event, kind: KindIx, hops: u32, cx: &ObserverContext) {
        self.longest_chain = self.longest_chain.max(u64::from(hops));
        if self.last_occasion == (event.cause, kind) {
            return;
        }
        self.last_occasion = (event.cause, kind);
        let passes_on = matches!(
            cx.history().causes.of(event).cause,
            Cause::Deliver(delivered, _) if delivered == kind
        );
        if !passes_on {
            self.occasions.push_back(event.at);
        }
    }

    /// How long something may be remembered, in microseconds, beyond what disturbances add.
    fn window(&self, cx: &ObserverContext) -> u64 {
        let chain = self
            .longest_chain
            .saturating_mul(cx.history().longest_delay());
        let janitor = micros(HubConfig::default().janitor_interval);
        let sync = cx.facts().times.sync;
        sync.saturating_add(janitor).saturating_add(chain)
    }

    /// Since when occasions count.
    fn horizon(&self, now: Time, cx: &ObserverContext) -> Time {
        if cx.facts().service_us > 0 {
            return Time::ZERO;
        }
        let window = self.window(cx);
        let is_recent = now.0 <= self.disturbance.until.0.saturating_add(window);
        let counts = is_recent || self.is_disturbed(cx);
        let from = self.disturbance.since.filter(|_| counts).unwrap_or(now);
        Time(from.min(now).0.saturating_sub(window))
    }

    fn is_disturbed(&self, cx: &ObserverContext) -> bool {
        cx.has_cuts() || !self.disturbance.paused.is_empty()
    }

    /// Notes that something is about to be paused or cut, or was until now.
    fn disturbed(&mut self, now: Time, cx: &ObserverContext) {
        let window = self.window(cx);
        let is_over = now.0 > self.disturbance.until.0.saturating_add(window);
        if self.disturbance.since.is_none() || (is_over && !self.is_disturbed(cx)) {
            self.disturbance.since = Some(now);
        }
        self.disturbance.until = now;
    }

    /// The most bytes that a node may hold.
    fn bytes_bound(&mut self, node: NodeIx, cx: &ObserverContext) -> u64 {
        let (changes, text) = (self.changes, self.text.saturating_mul(8));
        let (nodes, Node { rows, refs, .. }) = (cx.len() as u64, self.node(node));
        let per_row = 1_024 + 64 * nodes + text;
        let per_change = 256 + 32 * nodes + text;
        let per_ref = 256 + 32 * nodes + 32 * *rows;
        let parts = [(*rows, per_row), (changes, per_change), (*refs, per_ref)];
        parts
            .iter()
            .map(|(count, each)| count.saturating_mul(*each))
            .fold(12_288 + 1_024 * nodes, u64::saturating_add)
    }

    /// Looks at what a node holds.
    fn look(&mut self, event: &Event, sizes: NodeSizes, cx: &ObserverContext) {
        let (node, now) = (event.node, event.at);
        if cx.is_paused(node) || self.node(node).is_reported {
            return;
        }
        if let Some((what, size, bound)) = self.excess(node, now, sizes, cx) {
            self.node(node).is_reported = true;
            let name = cx.name(node);
            let detail = format!(
                "{name} has {size} {what}, more than the {bound} that the workload explains"
            );
            let violation = Violation::new(NAME, now, name.as_str(), detail);
            self.found
                .push(violation.with_defect(what).with_event(event.id));
        }
    }

    /// Returns the name, size and bound of the first size that is too large.
    fn excess(
        &mut self,
        at: NodeIx,
        now: Time,
        sizes: NodeSizes,
        cx: &ObserverContext,
    ) -> Option<(&'static str, u64, usize)> {
        let raw = cx.facts().raw().len();
        let started = self.started.len();
        let horizon = self.horizon(now, cx);
        forget(&mut self.occasions, horizon);
        let config = HubConfig::default();
        let kept = micros(config.tombstone_ttl).saturating_add(micros(config.janitor_interval));
        let occasions = self.occasions.len();
        let node = self.node(at);
        forget(&mut node.timers, horizon);
        forget(&mut node.emptied, Time(now.0.saturating_sub(kept)));
        let bounds = [
            ("rows", sizes.rows, started + raw),
            ("tombstones", sizes.tombstones, node.emptied.len() + raw),
            ("references", sizes.refs, occasions + node.timers.len()),
            ("queue", sizes.queue, 2 * cx.len() + started),
        ];
        bounds
            .into_iter()
            .map(|(name, size, bound)| (name, size, bound + SPARE))
            .find(|(_, size, bound)| *size > *bound as u64)
    }
}

/// The bytes of the texts of a row, without those of nodes and pids.
fn text_of(row: &Row) -> u64 {
    let of_entries = row.entry_metadata.iter().map(|(_, metadata)| metadata);
    let metadata = of_entries.chain([&row.metadata]).flat_map(|it| it.iter());
    let lengths = metadata.map(|(key, value)| key.len() + value.len());
    let arguments = row.spec.args().iter();
    let arguments = arguments.map(|(key, value)| key.len() + value.len());
    let id = row.spec.id().as_str().len();
    (id + lengths.sum::<usize>() + arguments.sum::<usize>()) as u64
}

/// Forgets what was before an instant.
fn forget(times: &mut VecDeque<Time>, horizon: Time) {
    while times.pop_front_if(|time| *time < horizon).is_some() {}
}

impl Oracle for BoundedState {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event, cx: &ObserverContext) {
        if let Payload::Sent { kind, hops, .. } = &event.payload {
            return self.sent(event, *kind, *hops, cx);
        }
        if let Payload::Step { action, .. } = &event.payload {
            if cx.has_cuts() || action == "partition" || action == "cut" {
                self.disturbed(event.at, cx);
            }
        } else if let Payload::Paused = &event.payload {
            self.disturbed(event.at, cx);
            self.disturbance.paused.insert(event.node);
        } else if let Payload::Resumed | Payload::Stopped(_) = &event.payload {
            if self.disturbance.paused.contains(&event.node) {
                self.disturbed(event.at, cx);
                self.disturbance.paused.remove(&event.node);
            }
        } else if let Payload::ChildStarted { child, .. } = &event.payload {
            self.started.insert(child.clone());
            self.changes += 1;
        } else if let Payload::ChildStopped { .. } = &event.payload {
            self.changes += 1;
        } else if let Payload::Booted { .. } = &event.payload {
            *self.node(event.node) = Node::default();
        } else if let Payload::Timer(TimerKey::Sync | TimerKey::Debounce) = &event.payload {
            self.node(event.node).timers.push_back(event.at);
        } else if let Payload::Sizes(sizes) = &event.payload {
            let node = self.node(event.node);
            node.rows = node.rows.max(sizes.rows);
            node.refs = node.refs.max(sizes.refs);
            self.look(event, *sizes, cx);
        }
    }

    fn state_bytes(&mut self, at: Time, node: NodeIx, bytes: u64, cx: &ObserverContext) {
        let bound = self.bytes_bound(node, cx);
        if bytes > bound && !self.node(node).is_reported {
            self.node(node).is_reported = true;
            let name = cx.name(node);
            let detail = format!(
                "{name} held {bytes} bytes, more than the {bound} that the workload explains"
            );
            let violation = Violation::new(NAME, at, name.as_str(), detail);
            self.found.push(violation.with_defect("state_bytes"));
        }
    }

    fn row(&mut self, changed: &Changed<'_>, _cx: &ObserverContext) {
        if changed.has_new_metadata()
            && let Some(row) = changed.after
        {
            self.text = self.text.max(text_of(row));
        }
        let is_emptied = changed.after.is_some_and(|row| row.entries.is_empty());
        if is_emptied && changed.before.is_none_or(|row| !row.entries.is_empty()) {
            self.node(changed.node).emptied.push_back(changed.at);
        }
    }

    fn settle(
        &mut self,
        _now: Time,
        _next: Time,
        _cx: &ObserverContext,
        found: &mut Vec<Violation>,
    ) {
        found.append(&mut self.found);
    }
}
