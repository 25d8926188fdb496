//! The messages of [`OwnerLog`](super::OwnerLog).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Operation, Page};
use crate::contents::{Contents, Listed};
use crate::message::Message;
use crate::name::NodeId;

/// The prefix of an owner's operations that somebody has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The owner.
    pub owner: NodeId,
    /// Its incarnation.
    pub incarnation: u64,
    /// The contiguous prefix.
    pub high: u64,
}

/// Operations of one owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operations {
    /// The number to acknowledge; 0: none.
    pub number: u64,
    /// The owner.
    pub owner: NodeId,
    /// Its incarnation.
    pub incarnation: u64,
    /// The number of its last operation.
    pub head: u64,
    /// Some of them, ascending.
    pub operations: Arc<[Operation]>,
    /// The nodes that the receiver is to forward them to.
    pub group: Vec<NodeId>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnerLogMessage {
    /// Operations of an owner.
    Operations(Operations),
    /// Messages of these numbers arrived.
    Ack(Vec<u64>),
    /// The sender has this much, and is to get what it lacks.
    Heads {
        /// How far it is.
        heads: Vec<Head>,
        /// True if it knows nothing of owners that are not listed.
        is_whole: bool,
        /// If not 0, the receiver is to answer with its own head.
        token: u64,
    },
    /// The sender's own head, with the token of the question.
    Here {
        /// Its incarnation.
        incarnation: u64,
        /// The number of its last operation.
        high: u64,
        /// The token.
        token: u64,
    },
    /// Parts of snapshots.
    Pages(Vec<Page>),
    /// A hash over the heads of the members.
    Digest(u64),
    /// The hash of the receiver is that of the sender.
    Agree,
}

impl Message for OwnerLogMessage {
    const KINDS: &'static [&'static str] = &[
        "owner_log.operations",
        "owner_log.ack",
        "owner_log.heads",
        "owner_log.here",
        "owner_log.pages",
        "owner_log.digest",
        "owner_log.agree",
    ];

    fn kind(&self) -> &'static str {
        match self {
            Self::Operations(_) => "owner_log.operations",
            Self::Ack(_) => "owner_log.ack",
            Self::Heads { .. } => "owner_log.heads",
            Self::Here { .. } => "owner_log.here",
            Self::Pages(_) => "owner_log.pages",
            Self::Digest(_) => "owner_log.digest",
            Self::Agree => "owner_log.agree",
        }
    }

    fn entries(&self, _sender: &NodeId) -> Option<Contents> {
        Some(match self {
            Self::Operations(message) => {
                let children = message.operations.iter().map(Operation::child);
                Contents::of_node(&message.owner, children.cloned().collect())
            }
            Self::Pages(pages) => {
                let listed = |page: &Page| Listed {
                    node: page.owner.clone(),
                    children: page.rows.iter().map(|row| row.spec.id().clone()).collect(),
                };
                Contents::new(pages.iter().map(listed).collect())
            }
            Self::Ack(_)
            | Self::Heads { .. }
            | Self::Here { .. }
            | Self::Digest(_)
            | Self::Agree => Contents::NONE,
        })
    }
}
