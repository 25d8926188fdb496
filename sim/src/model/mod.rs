//! The scenario as the engine understands it: names looked up, spans and defaults written out,
//! every check passed. Only instants may still be ranges; [`crate::scenario::resolve()`] draws them.
//!
//! A node is a [`NodeIx`], its position in the file. What is not a position keeps the words of
//! the file, so that [`crate::scenario::render()`] can write any scenario back as a file.

pub mod script;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use hublab_strategies::{ChildId, Entries, Metadata, NodeId, Pid, Time};

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

/// `[run]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Virtual time of the run.
    pub duration: Duration,
    /// The seed.
    pub seed: u64,
    /// The seeds of a campaign.
    pub seeds: Range<u64>,
    /// The strategies to run.
    pub strategies: Vec<String>,
}

/// `[cluster]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// The names, by [`NodeIx`].
    pub nodes: Vec<NodeId>,
    /// Up at time 0, in file order of `start`.
    pub start: Vec<NodeIx>,
    /// Time between announcements.
    pub discovery_interval: Duration,
    /// Quiet time after joins and downs.
    pub join_debounce: Duration,
    /// Silence until a peer is declared down.
    pub down_after: Duration,
    /// Relative spread of each silence, 0..=1.
    pub down_spread: f64,
    /// Delay until peers know of a crash, before latency.
    pub crash_detected_after: Duration,
}

impl Default for Cluster {
    /// The defaults of the file format, without nodes.
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            start: Vec::new(),
            discovery_interval: Duration::from_secs(10),
            join_debounce: Duration::from_millis(500),
            down_after: Duration::from_secs(60),
            down_spread: 0.25,
            crash_detected_after: Duration::from_millis(1),
        }
    }
}

/// `[network]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The values of every link without an override.
    pub base: LinkParams,
    /// Time a sender is busy per message.
    pub send_gap: Duration,
    /// Time a receiver is busy per message.
    pub service_time: Duration,
    /// `[[network.link]]`, later entries win.
    pub links: Vec<LinkChange>,
}

impl Default for Network {
    /// The defaults of the file format.
    fn default() -> Self {
        Self {
            base: LinkParams::default(),
            send_gap: Duration::ZERO,
            service_time: Duration::ZERO,
            links: Vec::new(),
        }
    }
}

/// What a directed link is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkParams {
    /// The latency law.
    pub latency: Latency,
    /// Probability of loss per message.
    pub loss: f64,
    /// Probability of duplication per message.
    pub duplicate: f64,
    /// Whether ordered channels keep their order.
    pub order: Order,
    /// Bandwidth; 0 is unlimited.
    pub bytes_per_second: u64,
}

impl Default for LinkParams {
    /// The defaults of the file format: 1 to 10 ms, in order, nothing lost.
    fn default() -> Self {
        Self {
            latency: Latency::Uniform(Duration::from_millis(1), Duration::from_millis(10)),
            loss: 0.0,
            duplicate: 0.0,
            order: Order::Fifo,
            bytes_per_second: 0,
        }
    }
}

/// A latency law.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Latency {
    /// Always this.
    Constant(Duration),
    /// Uniform over both ends included.
    Uniform(Duration, Duration),
    /// A minimum plus an exponential part; `mean` is that of the whole.
    Exponential {
        /// The least.
        min: Duration,
        /// The mean of the whole, at least `min`.
        mean: Duration,
    },
    /// Log-normal.
    Lognormal {
        /// Half of the messages take at most this.
        median: Duration,
        /// 99 % take at most this; at least `median`.
        p99: Duration,
    },
    /// Mostly fast, sometimes slow.
    Bimodal {
        /// The usual latency.
        fast: Duration,
        /// The other one.
        slow: Duration,
        /// The probability of `slow`.
        slow_share: f64,
    },
}

/// Whether an ordered channel of a link keeps its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It does.
    Fifo,
    /// It does not.
    Any,
}

/// Changed values for some directed links; `None` keeps the value. Also the `link` step.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkChange {
    /// The senders.
    pub from: Vec<NodeIx>,
    /// The receivers.
    pub to: Vec<NodeIx>,
    /// The latency law.
    pub latency: Option<Latency>,
    /// Probability of loss.
    pub loss: Option<f64>,
    /// Probability of duplication.
    pub duplicate: Option<f64>,
    /// Order.
    pub order: Option<Order>,
    /// Bandwidth.
    pub bytes_per_second: Option<u64>,
}

/// `[[step]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// When.
    pub at: When,
    /// What.
    pub action: Action,
    /// The line of the step's header in its file, from 1; 0 if it was not read from one.
    pub line: u32,
}

/// An instant or a delay, fixed or to be drawn uniformly from a range with both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Fixed.
    Fixed(Duration),
    /// Drawn.
    Between(Duration, Duration),
}

/// What happens to messages on the way over a link that is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InFlight {
    /// They are dropped.
    #[default]
    Drop,
    /// They arrive.
    Deliver,
    /// They wait for the link to open.
    Hold,
}

/// The action of a step. Adding one: a variant here, its reading and checks in
/// [`super`], its execution in the engine, and a scenario that uses it.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `join`.
    Join(Vec<NodeIx>),
    /// `leave`.
    Leave(Vec<NodeIx>),
    /// `crash`.
    Crash(Vec<NodeIx>),
    /// `restart`.
    Restart(Vec<NodeIx>),
    /// `pause`.
    Pause(Vec<NodeIx>),
    /// `resume`.
    Resume(Vec<NodeIx>),
    /// `partition`.
    Partition {
        /// The groups; no message crosses them.
        groups: Vec<Vec<NodeIx>>,
        /// What becomes of messages on the way.
        in_flight: InFlight,
        /// Heal just this one after that time.
        heal_after: Option<When>,
    },
    /// `cut`.
    Cut {
        /// The senders.
        from: Vec<NodeIx>,
        /// The receivers.
        to: Vec<NodeIx>,
        /// What becomes of messages on the way.
        in_flight: InFlight,
        /// Heal just this one after that time.
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
        metadata: Metadata,
        /// Further nodes that run them.
        replicas: Vec<NodeIx>,
        /// Whether the registration is propagated.
        announce: bool,
        /// The originator, if not `on`.
        via: Option<NodeIx>,
    },
    /// `stop_children`.
    StopChildren {
        /// The node they run on.
        on: NodeIx,
        /// Which.
        children: Children,
        /// The originator, if not `on`.
        via: Option<NodeIx>,
    },
    /// `restart_child`.
    RestartChild {
        /// The node it runs on.
        on: NodeIx,
        /// Which.
        child: ChildId,
    },
    /// `propagate`.
    Propagate {
        /// The node whose strategy gets them.
        from: NodeIx,
        /// Whom they address.
        members: Audience,
        /// The requests, in file order.
        requests: Vec<RawRequest>,
    },
    /// `sync`.
    Sync(NodeIx),
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Children {
    /// `ids`.
    Ids(Vec<ChildId>),
    /// `count` and `prefix`: `prefix-1` to `prefix-count`.
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

    /// Whether there are none.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockChange {
    /// By that many microseconds, at once.
    Jump(i64),
    /// It gains that many microseconds per second from now on.
    RatePpm(i64),
}

/// `members` of a `propagate` step.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawRequest {
    /// `register`.
    Register(Vec<RawRow>),
    /// `unregister`.
    Unregister(Vec<(ChildId, Vec<NodeId>)>),
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRow {
    /// The child.
    pub child: ChildId,
    /// Its entries, in file order.
    pub entries: Entries,
    /// Its metadata.
    pub metadata: Metadata,
}

/// `[[expect]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// Only for this strategy.
    pub strategy: Option<String>,
    /// What must hold.
    pub claim: Claim,
    /// The line of its header in its file, from 1; 0 if it was not read from one.
    pub line: u32,
}

/// The claim of an expectation.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// `converged`.
    Converged {
        /// From `after` on.
        within: Duration,
        /// From when.
        after: After,
        /// The observers; `None` is all.
        nodes: Option<Vec<NodeIx>>,
    },
    /// `registry`.
    Registry {
        /// When.
        at: Time,
        /// Whose registry.
        on: NodeIx,
        /// Children with a row that has entries.
        has: Vec<ChildId>,
        /// Children without.
        lacks: Vec<ChildId>,
    },
    /// `entry`.
    Entry {
        /// When.
        at: Time,
        /// Whose registry.
        on: NodeIx,
        /// Which row.
        child: ChildId,
        /// Exactly these nodes, as a set.
        nodes: Option<Vec<NodeId>>,
        /// These nodes have these pids.
        pids: Option<Vec<(NodeId, Pid)>>,
        /// Exactly this metadata.
        metadata: Option<Metadata>,
        /// The node standing first.
        first: Option<NodeId>,
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
        min: Option<u64>,
        /// The most allowed.
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
            Self::Always(_) => "always",
            Self::Violates(_) => "violates",
            Self::Metric { .. } => "metric",
        }
    }
}

/// From when convergence is demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// The last step; 0 without steps.
    LastStep,
    /// The last heal, `heal_after` included.
    Heal,
    /// This instant.
    Time(Duration),
}
