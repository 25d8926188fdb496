//! The messages of [`Scuttlebutt`](super::Scuttlebutt).

use serde::{Deserialize, Serialize};

use crate::contents::{Contents, Listed};
use crate::message::Message;
use crate::name::NodeId;
use crate::owner_log::Operation;

/// How far somebody is with an owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The owner.
    pub owner: NodeId,
    /// Its incarnation.
    pub incarnation: u64,
    /// Removals up to this number have been dropped.
    pub gc: u64,
    /// Everything up to this number is there.
    pub max: u64,
}

/// The entries of an owner whose numbers are above `from` and at most `until`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The owner.
    pub owner: NodeId,
    /// Its incarnation.
    pub incarnation: u64,
    /// Removals up to this number are left out.
    pub gc: u64,
    /// It begins above this number; 0 for a reset.
    pub from: u64,
    /// It ends with this number.
    pub until: u64,
    /// The entries, ascending.
    pub entries: Vec<Operation>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScuttlebuttMessage {
    /// The sender has this much.
    Digest {
        /// The number that the answer repeats.
        number: u64,
        /// How far it is, with itself and each member.
        heads: Vec<Head>,
    },
    /// So has the sender; and what the receiver lacks.
    Answer {
        /// The number of the digest.
        number: u64,
        /// How far it is, with itself and each member.
        heads: Vec<Head>,
        /// What the receiver lacks.
        deltas: Vec<Delta>,
    },
    /// What the receiver lacks.
    Deltas(Vec<Delta>),
}

impl Message for ScuttlebuttMessage {
    const KINDS: &'static [&'static str] = &[
        "scuttlebutt.digest",
        "scuttlebutt.answer",
        "scuttlebutt.deltas",
    ];

    fn kind(&self) -> &'static str {
        match self {
            Self::Digest { .. } => "scuttlebutt.digest",
            Self::Answer { .. } => "scuttlebutt.answer",
            Self::Deltas(_) => "scuttlebutt.deltas",
        }
    }

    fn entries(&self, _sender: &NodeId) -> Option<Contents> {
        let listed = |delta: &Delta| Listed {
            node: delta.owner.clone(),
            children: delta.entries.iter().map(|it| it.child().clone()).collect(),
        };
        Some(match self {
            Self::Digest { .. } => Contents::NONE,
            Self::Answer { deltas, .. } | Self::Deltas(deltas) => {
                Contents::new(deltas.iter().map(listed).collect())
            }
        })
    }
}
