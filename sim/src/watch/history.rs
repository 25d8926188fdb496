//! [`History`]: the past, kept once for all oracles.

use hashbrown::HashMap;
use hublab_strategies::name::NameHasher;
use hublab_strategies::{ChildId, Metadata, Pid, Time};
use rustc_hash::FxBuildHasher;

use super::causes::{Causes, Origin};
use crate::model::NodeIx;
use crate::trace::event::{DropReason, Event, Payload};

/// One process of a child: from its start to its stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// The child whose process it is.
    pub child: ChildId,
    /// The metadata it was started with.
    pub metadata: Metadata,
    /// When it stopped; `None` while it runs.
    pub stopped: Option<Time>,
}

/// The last stop and resumption of a node.
#[derive(Debug, Clone, Copy, Default)]
struct NodePast {
    /// When it stopped last; also that of one that runs again.
    stopped: Option<Time>,
    resumed: Option<Time>,
}

/// The connection of two nodes.
#[derive(Debug, Clone, Copy, Default)]
struct PairPast {
    connections: u32,
    since: Time,
}

/// The entry of one owner in the row of one child.
type EntryKey = (NodeIx, ChildId);

/// The past, as oracles need it.
#[derive(Debug)]
pub(crate) struct History {
    /// The inputs that nodes handle; kept up to date by `Causes::event`.
    pub causes: Causes,
    lives: Vec<HashMap<Pid, Life, NameHasher>>,
    nodes: Vec<NodePast>,
    pairs: HashMap<(NodeIx, NodeIx), PairPast, FxBuildHasher>,
    /// By observer: what last changed each entry, or why news of it were lost.
    changes: Vec<HashMap<EntryKey, Origin, FxBuildHasher>>,
    /// When a cut was mended last.
    healed: Option<Time>,
    /// When the last step of the script was, or the last injection; 0 without any.
    last_step: Time,
    /// The longest that any message was to take, in microseconds.
    longest_delay: u64,
    /// Messages sent and not yet delivered or lost.
    in_flight: u64,
    /// Messages sent since the last step, and those on their way then.
    load: u64,
    /// When a connection or a node last came or went.
    last_change: Time,
    /// The limit that dropped a message last, of its size or of a queue.
    beyond_limit: Option<DropReason>,
}

impl History {
    /// The limit that dropped a message last, of its size or of a queue: it may drop any later one.
    pub(crate) fn beyond_limit(&self) -> Option<DropReason> {
        self.beyond_limit
    }

    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            causes: Causes::new(nodes),
            lives: (0..nodes).map(|_| HashMap::default()).collect(),
            nodes: vec![NodePast::default(); nodes],
            pairs: HashMap::default(),
            changes: (0..nodes).map(|_| HashMap::default()).collect(),
            healed: None,
            beyond_limit: None,
            last_step: Time::ZERO,
            longest_delay: 0,
            in_flight: 0,
            load: 0,
            last_change: Time::ZERO,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a fold looks at the events that concern it"
    )]
    pub(crate) fn event(&mut self, event: &Event) {
        let now = event.at;
        match &event.payload {
            Payload::Sent { due, .. } => {
                self.in_flight += 1;
                self.load += 1;
                if let Some(due) = due {
                    self.longest_delay = self.longest_delay.max(due.since(now));
                }
            }
            Payload::Duplicated { due, .. } => {
                self.in_flight += 1;
                self.load += 1;
                self.longest_delay = self.longest_delay.max(due.since(now));
            }
            Payload::Delivered { .. } => self.in_flight = self.in_flight.saturating_sub(1),
            Payload::Dropped { reason, .. } => {
                self.in_flight = self.in_flight.saturating_sub(1);
                if matches!(reason, DropReason::TooLarge | DropReason::QueueFull) {
                    self.beyond_limit = Some(*reason);
                }
            }
            Payload::Booted { .. } => {
                self.changes[event.node as usize].clear();
                self.last_change = now;
            }
            Payload::Stopped(_) => {
                self.nodes[event.node as usize].stopped = Some(now);
                self.last_change = now;
            }
            Payload::Resumed => self.nodes[event.node as usize].resumed = Some(now),
            Payload::ChildStarted {
                child,
                pid,
                metadata,
            } => {
                let life = Life {
                    child: child.clone(),
                    metadata: metadata.clone(),
                    stopped: None,
                };
                self.lives[event.node as usize].insert(pid.clone(), life);
            }
            Payload::ChildStopped { pid, .. } => {
                if let Some(life) = self.lives[event.node as usize].get_mut(pid) {
                    life.stopped = Some(now);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn step_begins(&mut self, now: Time) {
        self.last_step = now;
        self.load = self.in_flight;
    }

    pub(crate) fn healed(&mut self, now: Time) {
        self.healed = Some(now);
    }

    pub(crate) fn pair_changed(&mut self, now: Time, [a, b]: [NodeIx; 2], up: bool) {
        let pair = self.pairs.entry((a.min(b), a.max(b))).or_default();
        pair.since = now;
        pair.connections += u32::from(up);
        self.last_change = now;
    }

    /// Notes what changed an entry of `owner` in the row of `child` at `observer`.
    pub(crate) fn entry_changed(
        &mut self,
        observer: NodeIx,
        owner: NodeIx,
        child: &ChildId,
        cause: Origin,
    ) {
        self.changes[observer as usize].insert((owner, child.clone()), cause);
    }

    /// Returns the last change of the entry of `owner` in the row of `child` at `observer`.
    #[must_use]
    pub(crate) fn last_change_of(
        &self,
        observer: NodeIx,
        owner: NodeIx,
        child: &ChildId,
    ) -> Origin {
        self.changes[observer as usize]
            .get(&(owner, child.clone()))
            .copied()
            .unwrap_or_default()
    }

    /// The process of a pid, if its node ever ran it.
    #[must_use]
    pub(crate) fn life(&self, owner: NodeIx, pid: &Pid) -> Option<&Life> {
        self.lives[owner as usize].get(pid)
    }

    /// When a node stopped last.
    #[must_use]
    pub(crate) fn stopped(&self, node: NodeIx) -> Option<Time> {
        self.nodes[node as usize].stopped
    }

    /// When two nodes connected again; `None` if they are connected for the first time or were
    /// never.
    #[must_use]
    pub(crate) fn reconnected(&self, a: NodeIx, b: NodeIx) -> Option<Time> {
        let pair = self.pairs.get(&(a.min(b), a.max(b)))?;
        (pair.connections > 1).then_some(pair.since)
    }

    /// The last instant at which something between two nodes was mended: a cut, a pause of either,
    /// or their connection.
    #[must_use]
    pub(crate) fn mended(&self, a: NodeIx, b: NodeIx) -> Option<Time> {
        let resumed = self.nodes[a as usize]
            .resumed
            .max(self.nodes[b as usize].resumed);
        self.healed.max(resumed).max(self.reconnected(a, b))
    }

    /// When the last step of the script was, or the last injection; 0 without any.
    #[must_use]
    pub(crate) fn last_step(&self) -> Time {
        self.last_step
    }

    /// When a connection or a node last came or went.
    #[must_use]
    pub(crate) fn last_change(&self) -> Time {
        self.last_change
    }

    /// The longest that any message was to take so far, in microseconds.
    #[must_use]
    pub(crate) fn longest_delay(&self) -> u64 {
        self.longest_delay
    }

    /// How many messages have been on their way since the last step.
    #[must_use]
    pub(crate) fn load(&self) -> u64 {
        self.load
    }
}
