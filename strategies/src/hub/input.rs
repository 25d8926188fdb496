//! The inputs of a hub: one input, one atomic step.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::child::{ChildSpec, Metadata, Row};
use crate::contents::Contents;
use crate::message::{Message, SizeModel};
use crate::name::{ChildId, NodeId, Pid};
use crate::request::{Members, Requests};
use crate::runtime::{ChildResult, DownReason, TimerKey};
use crate::wire;

/// One input of a hub, whose strategy sends `S` and whose membership sends `M`.
#[derive(Debug)]
pub enum Input<'a, S, M> {
    /// The node boots: the hub announces itself and sets its timers.
    Start,
    /// A message arrived.
    Message {
        /// Its sender.
        from: &'a NodeId,
        /// The message.
        message: &'a Envelope<S, M>,
    },
    /// A timer fired.
    Timer(TimerKey),
    /// A connection to a peer came up.
    PeerUp {
        /// The peer.
        node: &'a NodeId,
        /// Its incarnation.
        incarnation: u64,
    },
    /// The connection to a peer is gone.
    PeerDown {
        /// The peer.
        node: &'a NodeId,
        /// Why.
        reason: DownReason,
    },
    /// A failure detector has doubts about a peer; nothing is decided.
    Suspect {
        /// The peer.
        node: &'a NodeId,
    },
    /// Somebody in charge of this node wants something.
    Command(Command),
    /// Reports of child processes, in the order in which they happened.
    Children(Vec<ChildEvent>),
}

/// A wish of whoever is in charge of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Start children, as the originator.
    StartChildren {
        /// Repeated in the replies.
        ticket: u64,
        /// The children, in order.
        specs: Vec<ChildSpec>,
        /// The metadata of each of them.
        metadata: Metadata,
        /// The nodes that shall run them, in order; each runs all of them.
        targets: Vec<NodeId>,
        /// True if the targets propagate the registration.
        announce: bool,
    },
    /// Stop children, as the originator.
    StopChildren {
        /// Repeated in the replies.
        ticket: u64,
        /// The children, in order.
        children: Vec<ChildId>,
        /// The node that runs them.
        target: NodeId,
    },
    /// Give a child of this node a new process.
    RestartChild(ChildId),
    /// Hand raw requests to the strategy.
    Propagate {
        /// The requests.
        requests: Requests,
        /// Whom they address.
        members: Members,
    },
    /// Start a periodic round now; the timer is left alone.
    Sync,
    /// Call `broadcast_local_data` now, for these nodes.
    Broadcast(Vec<NodeId>),
    /// Put rows straight into the registry, replacing any row of the same child.
    PutRows(Vec<Row>),
    /// Overwrite the cluster view.
    SetView(Vec<NodeId>),
    /// Say good-bye to every connected peer and stop all children.
    Leave,
}

/// A report of a child process of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildEvent {
    /// It runs.
    Started(Pid),
    /// It could not be started.
    Failed {
        /// The pid it was to have.
        pid: Pid,
        /// Why not.
        reason: String,
    },
    /// It ended by itself and is not to be restarted.
    Exited(Pid),
    /// It ended, and the supervisor wants a new process for it.
    Crashed(Pid),
}

/// Everything hubs send to one another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Envelope<S, M> {
    /// Of the membership: announcements.
    Membership(M),
    /// The sender leaves the cluster.
    Leave,
    /// Start and stop requests, and their replies.
    Children(ChildrenMessage),
    /// Of the strategy.
    Strategy(S),
}

/// Start and stop requests between an originator and the node that runs the children.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChildrenMessage {
    /// Start these.
    Start {
        /// The originator's ticket.
        ticket: u64,
        /// The children, in order.
        specs: Vec<ChildSpec>,
        /// The metadata of each of them.
        metadata: Metadata,
        /// True to propagate the registration.
        announce: bool,
    },
    /// Stop these.
    Stop {
        /// The originator's ticket.
        ticket: u64,
        /// The children, in order.
        children: Vec<ChildId>,
    },
    /// The results of a request.
    Answer {
        /// The originator's ticket.
        ticket: u64,
        /// The outcomes, in the order of the request.
        results: Vec<ChildResult>,
    },
}

/// The kinds of what a hub sends itself, beside those of its strategy and its membership.
pub const HUB_KINDS: &[&str] = &[LEAVE, CHILDREN];

const LEAVE: &str = "hub.leave";
const CHILDREN: &str = "hub.children";

impl<S: Message, M: Message> Message for Envelope<S, M> {
    /// Those of the hub itself; see the types of its parts for theirs.
    const KINDS: &'static [&'static str] = HUB_KINDS;

    fn kind(&self) -> &'static str {
        match self {
            Self::Membership(message) => message.kind(),
            Self::Leave => LEAVE,
            Self::Children(_) => CHILDREN,
            Self::Strategy(message) => message.kind(),
        }
    }

    fn size_model(&self) -> SizeModel {
        // One byte names the variant.
        let mut size = match self {
            Self::Membership(message) => message.size_model(),
            Self::Leave => SizeModel::default(),
            Self::Children(message) => message.size_model(),
            Self::Strategy(message) => message.size_model(),
        };
        size.header_bytes += 1;
        size
    }

    /// Of the hub's own messages none tells of entries.
    fn entries(&self, sender: &NodeId) -> Option<Contents> {
        match self {
            Self::Membership(_) | Self::Leave | Self::Children(_) => Some(Contents::NONE),
            Self::Strategy(message) => message.entries(sender),
        }
    }

    fn share(&mut self, known: &dyn Fn(&ChildId) -> Option<Arc<Row>>) {
        match self {
            Self::Membership(message) => message.share(known),
            Self::Leave | Self::Children(_) => {}
            Self::Strategy(message) => message.share(known),
        }
    }
}

impl Message for ChildrenMessage {
    const KINDS: &'static [&'static str] = &[CHILDREN];

    fn kind(&self) -> &'static str {
        CHILDREN
    }

    fn size_model(&self) -> SizeModel {
        let list = |len: usize| wire::varint_len(len as u64);
        let (ticket, rest, rows, row_bytes) = match self {
            Self::Start {
                ticket,
                specs,
                metadata,
                announce: _,
            } => {
                // One byte says whether to announce.
                let rest = list(specs.len()) + metadata.encoded_len() + 1;
                (
                    ticket,
                    rest,
                    specs.len(),
                    specs.iter().map(ChildSpec::encoded_len).sum(),
                )
            }
            Self::Stop { ticket, children } => {
                let names = children
                    .iter()
                    .map(|child| wire::text_len(child.as_str()))
                    .sum();
                (ticket, list(children.len()), children.len(), names)
            }
            Self::Answer { ticket, results } => (
                ticket,
                list(results.len()),
                results.len(),
                results.iter().map(ChildResult::encoded_len).sum(),
            ),
        };
        // One byte names the variant.
        let header_bytes = 1 + wire::varint_len(*ticket) + rest;
        SizeModel {
            header_bytes,
            row_bytes,
            rows: rows as u64,
            entries: rows as u64,
        }
    }
}
