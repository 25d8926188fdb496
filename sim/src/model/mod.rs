//! The scenario as the engine understands it: names looked up, spans and defaults written out,
//! every check passed. Only instants may still be ranges; [`crate::scenario::resolve()`] draws them.
//!
//! A node is a [`NodeIx`], its position in the file. What is not a position keeps the words of
//! the file, so that [`crate::scenario::render()`] can write any scenario back as a file.
//!
//! The types have a form as a tree (serde): the tables of the file, checked, with nodes as numbers
//! and times in microseconds. [`crate::scenario`] reads and writes files through it; the text of a
//! file never meets serde.

mod lifecycle;
mod pattern;
pub mod plan;
pub mod script;
mod tree;

pub use lifecycle::{Lifecycle, Transition};
pub use pattern::{Age, End, Every, Parting, Pattern, Repeat};

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use hublab_strategies::{ChildId, Entries, Metadata, NodeId, Pid, Time};
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
    pub strategies: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
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
    pub fn last_heal(&self) -> Option<Duration> {
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
}

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
    pub fn count_max(&self) -> u64 {
        self.repeat().map_or(1, |repeat| repeat.count_max(self.at))
    }

    /// The nodes that its action is done on, one after the other; `None` if the action says it.
    #[must_use]
    pub fn on(&self) -> Option<&[NodeIx]> {
        self.pattern.as_ref()?.on.as_deref()
    }

    /// The last instant at which it can begin.
    #[must_use]
    pub fn last_begin(&self) -> Duration {
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
    Restart(#[serde(with = "tree::nodes")] Vec<NodeIx>),
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
            Self::Restart(_) => "restart",
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::Partition { .. } => "partition",
            Self::Cut { .. } => "cut",
            Self::Heal => "heal",
            Self::Link(_) => "link",
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
    pub fn heal_after_mut(&mut self) -> Option<&mut When> {
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

/// `[[expect]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// Only for this strategy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// The claim.
    pub claim: Claim,
    /// The line of its header in its file, from 1; 0 if it was not read from one.
    #[serde(skip)]
    pub line: u32,
}

/// The claim of an expectation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// `converged`.
    Converged {
        /// From `after` on.
        #[serde(with = "us")]
        within: Duration,
        /// From when.
        after: After,
        /// The observers; `None` is all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nodes: Option<Vec<NodeIx>>,
        /// True if all pairs of running nodes must be connected, too.
        #[serde(default, skip_serializing_if = "is_default")]
        whole: bool,
    },
    /// `registry`.
    Registry {
        /// When.
        #[serde(flatten)]
        when: Instants,
        /// The nodes whose registry it is about.
        on: On,
        /// Children with a row that has entries.
        #[serde(default, skip_serializing_if = "is_default")]
        has: Vec<ChildId>,
        /// Children without.
        #[serde(default, skip_serializing_if = "is_default")]
        lacks: Vec<ChildId>,
    },
    /// `entry`.
    Entry {
        /// When.
        #[serde(flatten)]
        when: Instants,
        /// The nodes whose registry it is about.
        on: On,
        /// Which row.
        child: ChildId,
        /// Exactly these nodes, as a set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nodes: Option<Vec<NodeId>>,
        /// These nodes have these pids.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            with = "tree::maybe_pids"
        )]
        pids: Option<Vec<(NodeId, Pid)>>,
        /// Exactly this metadata.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metadata: Option<Metadata>,
        /// The node standing first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first: Option<NodeId>,
        /// Exactly so many entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u32>,
    },
    /// `view`: the cluster view of a node, as a set.
    View {
        /// When.
        #[serde(flatten)]
        when: Instants,
        /// The nodes whose view it is about.
        on: On,
        /// Exactly these nodes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is: Option<Vec<NodeIx>>,
        /// Nodes in it.
        #[serde(default, skip_serializing_if = "is_default")]
        has: Vec<NodeIx>,
        /// Nodes that are not in it.
        #[serde(default, skip_serializing_if = "is_default")]
        lacks: Vec<NodeIx>,
    },
    /// `connected`: each pair of these nodes is connected.
    Connected {
        /// When.
        #[serde(flatten)]
        when: Instants,
        /// The nodes; `None` stands for all that run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nodes: Option<Vec<NodeIx>>,
    },
    /// `owners`: so many nodes run a child, in truth.
    Owners {
        /// When; `None` is at every instant of the run.
        #[serde(flatten)]
        when: Option<Instants>,
        /// The child.
        child: ChildId,
        /// The least allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<u32>,
        /// The most allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u32>,
    },
    /// `sometimes`: it happened at least once.
    Sometimes {
        /// A mark, a kind of message that was sent, or a kind of event.
        #[serde(rename = "sometimes")]
        name: String,
        /// In which runs.
        over: Over,
    },
    /// `always`: the named oracle holds.
    Always(String),
    /// `violates`: the named oracle is violated.
    Violates(String),
    /// `metric`.
    Metric {
        /// Its name, with `.kind` where it is one kind's.
        name: String,
        /// The least allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<u64>,
        /// The most allowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u64>,
    },
}

impl Claim {
    /// Its key in an `[[expect]]`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Converged { .. } => "converged",
            Self::Registry { .. } => "registry",
            Self::Entry { .. } => "entry",
            Self::View { .. } => "view",
            Self::Connected { .. } => "connected",
            Self::Owners { .. } => "owners",
            Self::Sometimes { .. } => "sometimes",
            Self::Always(_) => "always",
            Self::Violates(_) => "violates",
            Self::Metric { .. } => "metric",
        }
    }

    /// The instants that the claim is about; `None` if it is about the course of the run or all of it.
    #[must_use]
    pub fn when(&self) -> Option<Instants> {
        match self {
            Self::Registry { when, .. }
            | Self::Entry { when, .. }
            | Self::View { when, .. }
            | Self::Connected { when, .. } => Some(*when),
            Self::Owners { when, .. } => *when,
            Self::Converged { .. }
            | Self::Sometimes { .. }
            | Self::Always(_)
            | Self::Violates(_)
            | Self::Metric { .. } => None,
        }
    }
}

/// The instants at the end of which a claim about a state must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instants {
    /// `at`: this one.
    At(Time),
    /// `during`: every one from the first to the last, both included.
    During(Time, Time),
    /// `by`: any up to this one.
    By(Time),
}

impl Instants {
    /// The last of them.
    #[must_use]
    pub fn last(self) -> Time {
        match self {
            Self::At(at) | Self::During(_, at) | Self::By(at) => at,
        }
    }
}

/// The nodes that a claim is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// One, which must run.
    One(NodeIx),
    /// Each of these that runs then.
    Each(Vec<NodeIx>),
}

impl On {
    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[NodeIx] {
        match self {
            Self::One(node) => std::slice::from_ref(node),
            Self::Each(nodes) => nodes,
        }
    }

    /// The same, to be changed.
    pub fn nodes_mut(&mut self) -> &mut [NodeIx] {
        match self {
            Self::One(node) => std::slice::from_mut(node),
            Self::Each(nodes) => nodes,
        }
    }
}

/// In which runs something must have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// In each.
    #[default]
    Run,
    /// In one of a campaign.
    Campaign,
}

/// From when convergence is demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// The last step; 0 without steps.
    LastStep,
    /// The last heal, `heal_after` included.
    Heal,
    /// This instant.
    Time(#[serde(with = "us")] Duration),
}
