//! What can go wrong between a program and its hub.

use super::BindError;
use crate::name::{ChildId, NodeId, Pid};

/// Why a hub did not start. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The caller is not inside a tokio runtime.
    #[error(
        "a hub needs a tokio runtime: call `start` inside one that has its timers and its network enabled"
    )]
    NoRuntime,
    /// The clock does not move: the caller is inside a simulated world, a madsim runtime for
    /// example, in which timers and sockets of the real one would wait for ever.
    #[error(
        "the clock stands still, so this is a simulation (madsim?): a live hub would hang in it; simulate hubs with hublab-sim instead"
    )]
    Simulated,
    /// A setting of the builder is missing or outside its range.
    #[error("{setting}: {reason}")]
    Setting {
        /// The method of the builder.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The address cannot be listened on, or is not allowed.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The operating system gave no random bytes.
    #[error("no entropy from the operating system: {0}")]
    Entropy(getrandom::Error),
}

impl BuildError {
    pub(super) fn setting(setting: &'static str, reason: impl Into<String>) -> Self {
        Self::Setting {
            setting,
            reason: reason.into(),
        }
    }
}

/// The hub has stopped: it left, its last handle was dropped, its tokio runtime was shut down, or
/// its strategy panicked. A request that meets this may or may not have been performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hub has stopped")]
pub struct HubStopped;

/// Result of one child of a start or stop request on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildOutcome {
    /// The node that was asked.
    pub node: NodeId,
    /// The child.
    pub child: ChildId,
    /// The pid of the process that was started or stopped, or why there is none.
    pub outcome: Result<Pid, ChildError>,
}

/// Why a child was not started or not stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// The node said no, and why. Nothing runs there under the id of a refused start.
    #[error("{0}")]
    Refused(String),
    /// The node was not connected: it was not asked.
    #[error("the node is not connected")]
    NotConnected,
    /// The node went down before it answered. It may have done what it was asked.
    #[error("the node went down before it answered")]
    WentDown,
    /// The node did not answer in time. It may have done, or may still do, what it was asked.
    #[error("no answer in time")]
    TimedOut,
    /// No node is known to run the child.
    #[error("no node is known to run it")]
    Unknown,
    /// It is too large: nobody was asked.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

/// A child is larger than [`super::Limits`] allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its {what} has {bytes} bytes, at most {max} are allowed")]
#[non_exhaustive]
pub struct TooLarge {
    /// What is too large: id, specification or metadata.
    pub what: &'static str,
    /// Its size in bytes.
    pub bytes: u64,
    /// The most that is allowed.
    pub max: u64,
}

/// Why [`super::Hub::start_child`] did not start a child.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// This node cannot start it, and says why. Nothing runs under its id.
    #[error("{0}")]
    Refused(String),
    /// It is too large: nothing was started.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// There was no answer in time. It may run, or may still be started.
    #[error("no answer in time")]
    TimedOut,
    /// The hub has stopped. The child does not run.
    #[error(transparent)]
    HubStopped(#[from] HubStopped),
}

/// Why [`super::Hub::stop_child`] did not stop a child everywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// No node is known to run it.
    #[error("no node is known to run it")]
    Unknown,
    /// A node that runs it, as far as this one knows, did not stop it. Others may have.
    #[error("{node}: {error}")]
    Node {
        /// The first node that did not.
        node: NodeId,
        /// Why.
        error: ChildError,
    },
    /// The hub has stopped.
    #[error(transparent)]
    HubStopped(#[from] HubStopped),
}

/// Why a wait ended without what was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The time of the handle was over: see [`super::Hub::with_timeout`].
    #[error("it did not happen in time")]
    TimedOut,
    /// The hub has stopped.
    #[error(transparent)]
    HubStopped(#[from] HubStopped),
}
