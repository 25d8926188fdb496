//! [`Fact`]: one change of what a node runs, stamped by the node itself.

use serde::{Deserialize, Serialize};

use crate::child::{ChildSpec, Metadata};
use crate::name::{ChildId, NodeId, Pid};

/// One local change. Within an owner, (incarnation, seq) orders facts totally: versioned
/// strategies need nothing else. The two ports never send it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// The node it happened on.
    pub owner: NodeId,
    /// That node's incarnation: larger at each boot.
    pub incarnation: u64,
    /// Counts from 1 within the incarnation.
    pub seq: u64,
    /// The child.
    pub child: ChildId,
    /// What happened.
    pub change: Change,
}

/// A change of a child on its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It runs now.
    Started {
        /// Its specification.
        spec: ChildSpec,
        /// Its pid.
        pid: Pid,
        /// Its metadata.
        metadata: Metadata,
    },
    /// It has a new pid.
    Restarted {
        /// The new pid.
        pid: Pid,
    },
    /// It no longer runs.
    Stopped {
        /// The pid it had.
        pid: Pid,
    },
}
