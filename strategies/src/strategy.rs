//! [`Synchronization`]: the six operations of the protocol, and what a strategy may do in them.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::context::Context;
use crate::fact::Fact;
use crate::message::Message;
use crate::name::NodeId;
use crate::request::{Members, Requests};
use crate::runtime::DownReason;
use crate::snapshot::Snapshot;
use crate::time::Time;

/// A synchronization strategy: how the registries of a cluster are kept in step.
///
/// The first six methods are the operations of `ProcessHub.Strategy.Synchronization.Base`, under
/// their own names; the others have defaults and carry what a strategy may need beyond them.
/// A strategy owns its private state and nothing else: registry, view, timers and the network are
/// reached through [`Context`].
pub trait Synchronization: Send + 'static {
    /// What it sends.
    type Message: Message;
    /// What [`Self::handle_synchronization`] takes.
    type SyncData;
    /// What [`Self::handle_node_join_data`] takes.
    type JoinData;

    /// Called once, when the hub starts.
    fn init(&mut self, _cx: &mut Context<'_, Self::Message>) {}

    /// Spreads requests over the cluster.
    fn propagate(
        &mut self,
        cx: &mut Context<'_, Self::Message>,
        requests: Requests,
        members: &Members,
    );

    /// Starts a periodic round; `cluster_nodes` is the cluster view, this node included.
    fn init_sync(&mut self, cx: &mut Context<'_, Self::Message>, cluster_nodes: &[NodeId]);

    /// Takes in what a periodic round brought from `remote_node`.
    fn handle_synchronization(
        &mut self,
        cx: &mut Context<'_, Self::Message>,
        remote_data: &Self::SyncData,
        remote_node: &NodeId,
    );

    /// Tells this node's data to nodes about to join the view.
    fn broadcast_local_data(
        &mut self,
        cx: &mut Context<'_, Self::Message>,
        local_data: &Snapshot,
        target_nodes: &[NodeId],
    );

    /// Takes in what [`Self::broadcast_local_data`] of `remote_node` sent.
    fn handle_node_join_data(
        &mut self,
        cx: &mut Context<'_, Self::Message>,
        remote_data: &Self::JoinData,
        remote_node: &NodeId,
    );

    /// Hands an arriving message to the operation it is for.
    fn handle_message(
        &mut self,
        cx: &mut Context<'_, Self::Message>,
        from: &NodeId,
        message: &Self::Message,
    );

    /// The time between periodic rounds; the hub keeps the timer.
    fn sync_interval(&self) -> Duration;

    /// The strategy's name, a space, and its parameters as text. Live nodes compare it: all nodes of
    /// a cluster run the same strategy with the same parameters.
    fn fingerprint(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }

    /// A timer set with [`Context::set_timer`] fired.
    fn handle_timer(&mut self, _cx: &mut Context<'_, Self::Message>, _key: u64) {}

    /// A node entered the cluster view.
    fn member_up(
        &mut self,
        _cx: &mut Context<'_, Self::Message>,
        _node: &NodeId,
        _incarnation: u64,
    ) {
    }

    /// A node left the cluster view; its rows are already gone.
    fn member_down(
        &mut self,
        _cx: &mut Context<'_, Self::Message>,
        _node: &NodeId,
        _reason: DownReason,
    ) {
    }

    /// The children of this node changed.
    fn local_change(&mut self, _cx: &mut Context<'_, Self::Message>, _fact: &Fact) {}

    /// The janitor runs: forget private state that expired at or before `now`.
    fn purge(&mut self, _now: Time) {}

    /// How many references (rounds, propagations) the strategy remembers.
    fn refs(&self) -> usize {
        0
    }
}

/// What the catalog knows of a strategy beside its behaviour. The scenario parser, the schema,
/// `explain` and `list` know `[strategy.NAME]` only through this.
pub trait Strategy: Synchronization + Sized {
    /// The name in scenario files.
    const NAME: &'static str;
    /// One line for `list strategies`.
    const SUMMARY: &'static str;
    /// Its parameters: the keys of `[strategy.NAME]`, each with a default.
    type Config: Serialize + DeserializeOwned + JsonSchema + Default + Clone + Send + Sync + 'static;

    /// A fresh instance for one node.
    ///
    /// # Errors
    /// A parameter is outside its range; the text names it.
    fn new(config: &Self::Config) -> Result<Self, ConfigError>;

    /// What it promises, and under which condition.
    fn claims() -> &'static [Claim];

    /// Which oracles it is known to violate, for `list oracles`; default: none.
    fn broken() -> &'static [Broken] {
        &[]
    }

    /// The largest cluster that a campaign should generate for it.
    fn limits() -> Limits {
        Limits::default()
    }
}

/// Why parameters were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct ConfigError {
    /// The parameter.
    pub key: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl ConfigError {
    /// Checks a `sync_interval`, which every strategy has: a round must not follow itself at once.
    ///
    /// # Errors
    /// It is zero.
    pub fn check_sync_interval(interval: Duration) -> Result<(), Self> {
        if interval.is_zero() {
            let reason = "must be longer than 0".to_owned();
            return Err(Self {
                key: "sync_interval",
                reason,
            });
        }
        Ok(())
    }
}

/// One promise of a strategy: an oracle holds in every run that meets the condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The oracle's name.
    pub oracle: &'static str,
    /// Under which condition.
    pub condition: Condition,
    /// The anomaly (of docs/anomalies.md) that narrows the claim; empty if it is unconditional.
    pub narrowed_by: &'static [&'static str],
}

/// An oracle that a strategy does not claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// The oracle's name.
    pub oracle: &'static str,
    /// The anomalies (of docs/anomalies.md) that violate it.
    pub by: &'static [&'static str],
}

/// A predicate over a scenario: all of the listed features must be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// The features that void the claim; none listed means that it always holds.
    pub without: &'static [Feature],
}

impl Condition {
    /// Holds in every run.
    pub const ALWAYS: Self = Self { without: &[] };
}

/// Something a scenario may contain that a claim may exclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// A `propagate` step.
    RawRequests,
    /// A `rows` step.
    RawRows,
    /// A `view` step.
    WrongView,
    /// A `clock` step.
    ClockStep,
    /// Loss anywhere, at any time.
    Loss,
    /// Duplication anywhere, at any time.
    Duplication,
    /// A channel without order anywhere, at any time.
    Reorder,
    /// A node that crashes, leaves, or boots after the start.
    Churn,
    /// A partition, a cut, or a pause.
    Disconnection,
    /// A debounce that announcements can keep from ending: half of the discovery interval or more,
    /// or less by the number of nodes if they do not all announce themselves together.
    LongDebounce,
    /// A child id that is started on several nodes.
    SharedIds,
    /// The first node by name never hosts a child for a whole sync interval, as far as the script
    /// alone can tell.
    EmptyFirst,
    /// A node that hosts children, but never one for a whole sync interval, as far as the script
    /// alone can tell.
    VacatedNode,
    /// A stop or a restart of a child.
    ChildChange,
    /// A child id that is started again on a node with other metadata.
    NewMetadata,
    /// A start that is not announced.
    SilentStart,
}

impl Feature {
    /// What a scenario has, as in "no ...".
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RawRequests => "raw request",
            Self::RawRows => "raw row",
            Self::WrongView => "wrong view",
            Self::ClockStep => "clock step",
            Self::Loss => "loss",
            Self::Duplication => "duplication",
            Self::Reorder => "disorder",
            Self::Churn => "node that comes or goes",
            Self::Disconnection => "partition, cut or pause",
            Self::LongDebounce => "debounce near the discovery interval",
            Self::SharedIds => "id on several nodes",
            Self::EmptyFirst => "first node that hosts nothing for a whole interval",
            Self::VacatedNode => "node that hosts only briefly",
            Self::ChildChange => "stop or restart of a child",
            Self::NewMetadata => "new metadata for a child",
            Self::SilentStart => "start that is not announced",
        }
    }
}

impl fmt::Display for Condition {
    /// `always`, or `no clock step, no wrong view`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.without.is_empty() {
            return f.write_str("always");
        }
        for (at, feature) in self.without.iter().enumerate() {
            let gap = if at == 0 { "" } else { ", " };
            write!(f, "{gap}no {}", feature.as_str())?;
        }
        Ok(())
    }
}

/// Limits of a strategy for generated scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most nodes a campaign generates.
    pub max_nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_nodes: 20 }
    }
}
