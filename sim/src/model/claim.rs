//! `[[expect]]`: what must hold.

use std::time::Duration;

use hublab_strategies::{ChildId, Metadata, NodeId, Pid, Time};
use serde::{Deserialize, Serialize};

use super::NodeIx;
use super::tree::{self, is_default, us};

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
        /// The part of the run that is measured.
        #[serde(flatten)]
        window: Window,
    },
}

/// A part of a run: from an instant on, until another, which is not part of it. The default is all of it.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Window {
    /// The first instant.
    #[serde(default, skip_serializing_if = "is_default")]
    pub from: Time,
    /// The first instant that is not part of it; `None`: it ends with the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
}

impl Window {
    /// True if it is the whole run.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self == Self::default()
    }

    /// True if an instant is part of it.
    #[must_use]
    pub fn contains(self, at: Time) -> bool {
        at >= self.from && self.to.is_none_or(|to| at < to)
    }

    /// How much of the time between two instants is part of it, in microseconds.
    #[must_use]
    pub fn overlap(self, from: Time, to: Time) -> u64 {
        let to = self.to.map_or(to, |end| end.min(to));
        to.since(from.max(self.from))
    }
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
    pub(crate) fn nodes_mut(&mut self) -> &mut [NodeIx] {
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
