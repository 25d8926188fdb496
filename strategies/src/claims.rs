//! The promises of a strategy: claims, their conditions, and the features of a scenario that void
//! them.
//!
//! A claim names an oracle by its text; an oracle that the catalog does not know is never checked.

use std::fmt;

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

impl Claim {
    /// A claim that no named anomaly narrows.
    #[must_use]
    pub const fn of(oracle: &'static str, condition: Condition) -> Self {
        Self {
            oracle,
            condition,
            narrowed_by: &[],
        }
    }
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
    /// A node that boots again.
    Return,
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
    /// The feature in words, as in "no ...".
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
            Self::Return => "node that comes back",
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
