//! The scenario as the engine understands it: names looked up, spans and defaults written out,
//! every check passed. Only instants may still be ranges; [`crate::scenario::resolve()`] draws them.
//!
//! A node is a [`NodeIx`], its position in the file. What is not a position keeps the words of
//! the file, so that [`crate::scenario::render()`] can write any scenario back as a file.
//!
//! The types have a form as a tree (serde): the tables of the file, checked, with nodes as numbers
//! and times in microseconds. [`crate::scenario`] reads and writes files through it; the text of a
//! file never meets serde.

mod branch;
mod claim;
mod lifecycle;
mod network;
mod pattern;
pub mod plan;
pub mod script;
mod settings;
mod tree;

pub use branch::{Branch, Change, MessageId, TimerKind};
pub use claim::{After, Claim, Expectation, Instants, On, Over, Window};
pub(crate) use lifecycle::{Lifecycle, Transition};
pub use network::{Channels, Latency, LinkChange, LinkParams, Network, Order};
pub use pattern::{Age, End, Every, Parting, Pattern, Repeat};
pub use settings::{ClockStart, NodeOverride, NodeSettings, ParameterSets, Parameters};

use std::ops::Range;
use std::time::Duration;

use hublab_strategies::{ChildId, Entries, Metadata, NodeId, Pid};
use serde::{Deserialize, Serialize};

use tree::{is_default, us};

/// The position of a node in the file, from 0.
pub type NodeIx = u32;

/// A scenario that has passed every check.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// `name`; the file's stem if it has none.
    pub name: String,
    /// `summary`.
    pub summary: Option<String>,
    /// `[run]`.
    pub run: Run,
    /// `[cluster]`.
    pub cluster: Cluster,
    /// `[strategy.*]`: by strategy name, the parameters the file gives, as JSON, for the catalog.
    pub strategies: Parameters,
    /// `[network]` and its links.
    pub network: Network,
    /// `[[step]]`, in file order.
    pub steps: Vec<Step>,
    /// `[[expect]]`, in file order. None: the default one, which [`crate::scenario::resolve()`] writes out.
    pub expectations: Vec<Expectation>,
}

impl Scenario {
    /// The last instant at which a step, or its `heal_after`, can act; 0 without steps.
    #[must_use]
    pub fn last_step(&self) -> Duration {
        let last = self.steps.iter().map(|step| self.last_of(step)).max();
        last.unwrap_or_default()
    }

    /// The last instant of a step. Where gaps are drawn, what would be later than the run is left out.
    fn last_of(&self, step: &Step) -> Duration {
        if step.pattern.is_some() {
            step.last().min(self.run.duration)
        } else {
            step.last()
        }
    }

    /// The last instant at which a step can heal, by a `heal` or a `heal_after`; `None` if none does.
    #[must_use]
    pub(crate) fn last_heal(&self) -> Option<Duration> {
        let heals =
            |step: &&Step| step.action == Action::Heal || step.action.heal_after().is_some();
        let heals = self.steps.iter().filter(heals);
        heals.map(|step| self.last_of(step)).max()
    }
}

/// `[run]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Virtual time of the run.
    #[serde(with = "us")]
    pub duration: Duration,
    /// The seed.
    pub seed: u64,
    /// The seeds of a campaign.
    pub seeds: Range<u64>,
    /// The strategies to run.
    pub strategies: Vec<String>,
    /// Other draws from an instant on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub branch: Option<Branch>,
    /// Single things that happen otherwise, in the order of the file.
    #[serde(default, skip_serializing_if = "is_default")]
    pub changes: Vec<Change>,
    /// The order in which the tasks of a node's program run; `None`: drawn.
    #[serde(default, skip_serializing_if = "is_default")]
    pub task_order: Option<TaskOrder>,
}

/// The order in which tasks of one node run that are ready at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskOrder {
    /// By a draw for each.
    Random,
    /// As they became ready.
    Fifo,
}

/// `[cluster]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// The names, by [`NodeIx`].
    pub nodes: Vec<NodeId>,
    /// Up at time 0, in file order of `start`.
    pub start: Vec<NodeIx>,
    /// Time between announcements.
    #[serde(with = "us")]
    pub discovery_interval: Duration,
    /// Quiet time after joins and downs.
    #[serde(with = "us")]
    pub join_debounce: Duration,
    /// Silence until a peer is declared down.
    #[serde(with = "us")]
    pub down_after: Duration,
    /// Relative spread of each silence, 0..=1.
    pub down_spread: f64,
    /// Delay until peers know of a crash, before latency.
    #[serde(with = "us")]
    pub crash_detected_after: Duration,
    /// `[[cluster.node]]`, later entries win.
    #[serde(rename = "node", default, skip_serializing_if = "is_default")]
    pub overrides: Vec<NodeOverride>,
    /// The program that every node runs, by its name in the catalog.
    #[serde(default, skip_serializing_if = "is_default")]
    pub program: Option<String>,
}

/// `[[step]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// When.
    pub at: When,
    /// What.
    pub action: Action,
    /// Repetition and random choices as written; `None` for a plain step, as all are in a resolved
    /// scenario.
    pub pattern: Option<Box<Pattern>>,
    /// The line of the step's header in its file, from 1; 0 if it was not read from one.
    pub line: u32,
}

impl Step {
    /// A plain step.
    #[must_use]
    pub fn new(at: When, action: Action) -> Self {
        Self {
            at,
            action,
            pattern: None,
            line: 0,
        }
    }

    /// Its repetition, if it has one.
    #[must_use]
    pub fn repeat(&self) -> Option<&Repeat> {
        self.pattern.as_ref()?.repeat.as_ref()
    }

    /// The most repetitions of it, the first included.
    #[must_use]
    pub(crate) fn count_max(&self) -> u64 {
        self.repeat().map_or(1, |repeat| repeat.count_max(self.at))
    }

    /// The nodes that its action is done on, one after the other; `None` if the action says it.
    #[must_use]
    pub fn on(&self) -> Option<&[NodeIx]> {
        self.pattern.as_ref()?.on.as_deref()
    }

    /// The last instant at which it can begin.
    #[must_use]
    pub(crate) fn last_begin(&self) -> Duration {
        let repeated = self.repeat().map(|repeat| repeat.last(self.at));
        repeated.unwrap_or_else(|| self.at.last())
    }

    /// The last instant at which the step, or its `heal_after`, can act.
    #[must_use]
    pub fn last(&self) -> Duration {
        let healed = self.action.heal_after().map(When::last);
        self.last_begin() + healed.unwrap_or_default()
    }
}

/// An instant or a delay, fixed or to be drawn uniformly from a range with both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Fixed.
    Fixed(#[serde(with = "us")] Duration),
    /// Drawn.
    Between(
        #[serde(with = "us")] Duration,
        #[serde(with = "us")] Duration,
    ),
}

impl When {
    /// The first instant that it can be.
    #[must_use]
    pub fn first(self) -> Duration {
        match self {
            Self::Fixed(at) | Self::Between(at, _) => at,
        }
    }

    /// The last instant that it can be.
    #[must_use]
    pub fn last(self) -> Duration {
        match self {
            Self::Fixed(at) | Self::Between(_, at) => at,
        }
    }
}

/// Treatment of messages on the way over a link that is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InFlight {
    /// They are dropped.
    #[default]
    Drop,
    /// They arrive.
    Deliver,
    /// They wait for the link to open.
    Hold,
}

/// The order in which messages that were held are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseOrder {
    /// As they were sent.
    #[default]
    Fifo,
    /// The last one first.
    Lifo,
    /// By a draw for each.
    Random,
}

/// The action of a step. Adding one: a variant here, its shape in [`crate::scenario::shape`], its
/// execution in the engine, and a scenario that uses it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `join`.
    Join(#[serde(with = "tree::nodes")] Vec<NodeIx>),
    /// `leave`.
    Leave(#[serde(with = "tree::nodes")] Vec<NodeIx>),
    /// `crash`.
    Crash(#[serde(with = "tree::nodes")] Vec<NodeIx>),
    /// `restart`.
    Restart {
        /// Which nodes.
        nodes: Vec<NodeIx>,
        /// Parameters that they have from then on.
        #[serde(default, skip_serializing_if = "is_default")]
        strategy: Parameters,
    },
    /// `pause`.
    Pause(#[serde(with = "tree::nodes")] Vec<NodeIx>),
    /// `resume`.
    Resume(#[serde(with = "tree::nodes")] Vec<NodeIx>),
    /// `partition`.
    Partition {
        /// The groups; no message crosses them.
        #[serde(with = "tree::groups")]
        groups: Vec<Vec<NodeIx>>,
        /// Treatment of messages on the way.
        in_flight: InFlight,
        /// Heal just this one after that time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heal_after: Option<When>,
    },
    /// `cut`.
    Cut {
        /// The senders.
        from: Vec<NodeIx>,
        /// The receivers.
        to: Vec<NodeIx>,
        /// Treatment of messages on the way.
        in_flight: InFlight,
        /// Heal just this one after that time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heal_after: Option<When>,
    },
    /// `heal`.
    Heal,
    /// `link`.
    Link(LinkChange),
    /// `hold`.
    Hold {
        /// The senders.
        from: Vec<NodeIx>,
        /// The receivers.
        to: Vec<NodeIx>,
        /// The channels whose messages wait.
        #[serde(default, skip_serializing_if = "is_default")]
        channels: Channels,
        /// How many over each link; `None` is all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    /// `release`.
    Release {
        /// The senders.
        from: Vec<NodeIx>,
        /// The receivers.
        to: Vec<NodeIx>,
        /// The order in which they are delivered.
        order: ReleaseOrder,
    },
    /// `clock`.
    Clock {
        /// Whose.
        nodes: Vec<NodeIx>,
        /// How.
        change: ClockChange,
    },
    /// `start_children`.
    StartChildren {
        /// The node they run on.
        on: NodeIx,
        /// Which; `count` and `prefix` are written out.
        children: Children,
        /// Their metadata.
        #[serde(default, skip_serializing_if = "Metadata::is_empty")]
        metadata: Metadata,
        /// Further nodes that run them.
        #[serde(default, skip_serializing_if = "is_default")]
        replicas: Vec<NodeIx>,
        /// True if the registration is propagated.
        announce: bool,
        /// The originator, if not `on`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<NodeIx>,
    },
    /// `stop_children`.
    StopChildren {
        /// The node they run on.
        on: NodeIx,
        /// Which.
        children: Children,
        /// The originator, if not `on`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<NodeIx>,
    },
    /// `restart_child`.
    RestartChild {
        /// The node it runs on.
        on: NodeIx,
        /// Which.
        #[serde(rename = "id")]
        child: ChildId,
    },
    /// `propagate`.
    Propagate {
        /// The node whose strategy gets them.
        from: NodeIx,
        /// The nodes that they address.
        members: Audience,
        /// The requests, in file order.
        requests: Vec<RawRequest>,
    },
    /// `sync`.
    Sync(#[serde(with = "tree::on")] NodeIx),
    /// `broadcast`.
    Broadcast {
        /// The node that broadcasts.
        on: NodeIx,
        /// The targets.
        to: Vec<NodeIx>,
    },
    /// `rows`.
    Rows {
        /// The node whose registry gets them.
        on: NodeIx,
        /// The rows, in file order.
        rows: Vec<RawRow>,
    },
    /// `view`.
    View {
        /// The node whose view is overwritten.
        on: NodeIx,
        /// The view, in order.
        nodes: Vec<NodeIx>,
    },
    /// `left_out`: a step that was possible on none, or not on all, of its nodes. It does nothing.
    LeftOut {
        /// The key of the step.
        action: String,
        /// The nodes that it was not possible on; none if it had none to choose from.
        nodes: Vec<NodeIx>,
    },
}

impl Action {
    /// Its key in a `[[step]]`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Join(_) => "join",
            Self::Leave(_) => "leave",
            Self::Crash(_) => "crash",
            Self::Restart { .. } => "restart",
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::Partition { .. } => "partition",
            Self::Cut { .. } => "cut",
            Self::Heal => "heal",
            Self::Link(_) => "link",
            Self::Hold { .. } => "hold",
            Self::Release { .. } => "release",
            Self::Clock { .. } => "clock",
            Self::StartChildren { .. } => "start_children",
            Self::StopChildren { .. } => "stop_children",
            Self::RestartChild { .. } => "restart_child",
            Self::Propagate { .. } => "propagate",
            Self::Sync(_) => "sync",
            Self::Broadcast { .. } => "broadcast",
            Self::Rows { .. } => "rows",
            Self::View { .. } => "view",
            Self::LeftOut { .. } => "left_out",
        }
    }

    /// After what time it heals itself, if it does.
    #[must_use]
    pub fn heal_after(&self) -> Option<When> {
        if let Self::Partition { heal_after, .. } | Self::Cut { heal_after, .. } = self {
            *heal_after
        } else {
            None
        }
    }

    /// [`Self::heal_after`], to be changed.
    pub(crate) fn heal_after_mut(&mut self) -> Option<&mut When> {
        if let Self::Partition { heal_after, .. } | Self::Cut { heal_after, .. } = self {
            heal_after.as_mut()
        } else {
            None
        }
    }
}

/// The children of a step, as the file names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Children {
    /// `ids`.
    Ids(Vec<ChildId>),
    /// `count` and `prefix`: `prefix-1` to `prefix-count`.
    #[serde(rename = "count")]
    Counted {
        /// How many.
        count: u32,
        /// The prefix of each id.
        prefix: String,
    },
}

impl Children {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::Counted { count, .. } => *count as usize,
        }
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every id, in order.
    #[must_use]
    pub fn ids(&self) -> Vec<ChildId> {
        match self {
            Self::Ids(ids) => ids.clone(),
            Self::Counted { count, prefix } => (1..=*count)
                .map(|k| ChildId::from(format!("{prefix}-{k}")))
                .collect(),
        }
    }
}

/// How a wall clock changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockChange {
    /// By that many microseconds, at once.
    Jump(i64),
    /// It gains that many microseconds per second from now on.
    RatePpm(i64),
}

/// `members` of a `propagate` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// `"global"`.
    Global,
    /// `"local"`.
    Local,
    /// `"external"`.
    External,
    /// A list.
    Nodes(Vec<NodeIx>),
}

/// One request of a `propagate` step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawRequest {
    /// `register`.
    Register(Vec<RawRow>),
    /// `unregister`.
    Unregister(#[serde(with = "tree::unregistered")] Vec<(ChildId, Vec<NodeId>)>),
    /// `pid_update`.
    PidUpdate {
        /// The child.
        child: ChildId,
        /// The node.
        node: NodeId,
        /// The new pid.
        pid: Pid,
    },
}

/// `{ child, nodes = { n1 = "p1" }, metadata }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawRow {
    /// The child.
    pub child: ChildId,
    /// Its entries, in file order.
    #[serde(rename = "nodes", with = "tree::entries")]
    pub entries: Entries,
    /// Its metadata.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}
