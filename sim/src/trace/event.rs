//! The events of a trace.
//!
//! A trace is self-describing: nodes and kinds of messages are small numbers, and the event that
//! first uses one says what it stands for ([`Payload::Booted`], [`Payload::Kind`]).

use std::borrow::Cow;

use hublab_strategies::hub::Sizes;
use hublab_strategies::{
    ChildId, Contents, DownReason, Fact, Metadata, NodeId, Pid, Row, Time, TimerKey,
};
use serde::{Deserialize, Serialize};

use crate::model::{Lifecycle, NodeIx, Transition};

/// The version of the event schema. A change is SEED-BREAKING.
pub const SCHEMA: u32 = 3;

/// The number of an event, counting from 1; 0 means "no event".
pub type EventId = u64;

/// The number of a kind of message within a trace.
pub type KindIx = u8;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number: events are numbered in the order in which they happened, from 1.
    pub id: EventId,
    /// When.
    pub at: Time,
    /// The node it happened on; [`WORLD`] for what no node did.
    pub node: NodeIx,
    /// The event that made it happen; 0 if it came by itself.
    pub cause: EventId,
    /// What.
    pub payload: Payload,
}

/// The node number of events that happen on no node.
pub const WORLD: NodeIx = NodeIx::MAX;

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Payload {
    /// A step of the script was carried out.
    Step {
        /// Its position in the file, from 0.
        index: u32,
        /// True if this is its `heal_after`.
        healing: bool,
        /// The action's name.
        action: Cow<'static, str>,
    },
    /// From here on `kind` stands for this name.
    Kind {
        /// The number.
        kind: KindIx,
        /// The kind of message.
        name: String,
    },
    /// The node booted.
    Booted {
        /// Its name.
        name: NodeId,
        /// Counts its boots, from 1.
        incarnation: u64,
    },
    /// The node stopped.
    Stopped(StopReason),
    /// The node was paused.
    Paused,
    /// The node goes on.
    Resumed,
    /// The node learned that a connection is up.
    PeerUp {
        /// The other end.
        peer: NodeIx,
        /// Its incarnation.
        incarnation: u64,
    },
    /// The node learned that a connection is gone.
    PeerDown {
        /// The other end.
        peer: NodeIx,
        /// Why.
        reason: DownReason,
    },
    /// The node sent a message.
    Sent {
        /// To whom.
        to: NodeIx,
        /// The kind of message.
        kind: KindIx,
        /// The channel's id.
        channel: u8,
        /// Its number on this link and channel, from 0.
        number: u64,
        /// The length of its encoding.
        bytes: u64,
        /// How many messages led to it, itself included.
        hops: u32,
        /// When it is to arrive; `None` if it is lost.
        due: Option<Time>,
        /// Its entries; `None` if they are not told.
        #[serde(skip)]
        contents: Option<Contents>,
    },
    /// The network made a second copy of a message that the node sent.
    Duplicated {
        /// To whom.
        to: NodeIx,
        /// The kind of message.
        kind: KindIx,
        /// The number of the message.
        number: u64,
        /// When the copy is to arrive.
        due: Time,
    },
    /// The node got a message, and handles it now.
    Delivered {
        /// From whom.
        from: NodeIx,
        /// The kind of message.
        kind: KindIx,
        /// The number of the message.
        number: u64,
        /// Its entries; `None` if they are not told.
        #[serde(skip)]
        contents: Option<Contents>,
    },
    /// A message to this node was lost.
    Dropped {
        /// From whom.
        from: NodeIx,
        /// The kind of message.
        kind: KindIx,
        /// The number of the message.
        number: u64,
        /// Why.
        reason: DropReason,
        /// Its entries; `None` if they are not told.
        #[serde(skip)]
        contents: Option<Contents>,
    },
    /// A timer of the node fired.
    Timer(TimerKey),
    /// A row of the node's registry changed.
    Row {
        /// The child of the row.
        child: ChildId,
        /// The row before; `None` if there was none.
        before: Option<Box<Row>>,
        /// The row after; `None` if it is gone.
        after: Option<Box<Row>>,
    },
    /// The node's cluster view changed.
    View(Vec<NodeId>),
    /// A child runs on the node.
    ChildStarted {
        /// Which.
        child: ChildId,
        /// Its pid.
        pid: Pid,
        /// Its metadata.
        metadata: Metadata,
    },
    /// A child no longer runs on the node.
    ChildStopped {
        /// Which.
        child: ChildId,
        /// The pid it had.
        pid: Pid,
    },
    /// The hub stamped a change of its children.
    Fact(Box<Fact>),
    /// A start or stop request was answered.
    Answered {
        /// By whom.
        by: NodeId,
        /// The pid of each child, or why not.
        results: Vec<(ChildId, Result<Pid, String>)>,
    },
    /// A step named a child that does not run on the node: left out.
    Skipped {
        /// Which.
        child: ChildId,
        /// The request.
        action: Cow<'static, str>,
    },
    /// A branch that the strategy marks.
    Mark(Cow<'static, str>),
    /// The node's code panicked.
    Panicked(String),
    /// The node and another are connected now, as the network has it; the nodes themselves learn of
    /// it by [`Payload::PeerUp`].
    Connected {
        /// The other end.
        peer: NodeIx,
    },
    /// The connection of the node and another ended while both run; the nodes themselves learn of
    /// it by [`Payload::PeerDown`]. A node that stops is connected to none: no event says so.
    Disconnected {
        /// The other end.
        peer: NodeIx,
    },
    /// A message reached the node, which is busy with those before it.
    Queued {
        /// From whom.
        from: NodeIx,
        /// The kind of message.
        kind: KindIx,
        /// The number of the message.
        number: u64,
        /// When the node will have handled it.
        until: Time,
    },
    /// How much the node holds, if that has changed: recorded at the end of the first instant of each
    /// virtual second in which it makes a step, and at the end of the run.
    Sizes(NodeSizes),
    /// Another task of the world, or its program, put something into the node.
    Injected {
        /// What: `command`, `rows`, `view`, `leave`, `suspect`, `child_exited` or `child_crashed`; or
        /// what its program asked, as `program.start_children`.
        action: Cow<'static, str>,
    },
}

/// How much a node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeSizes {
    /// Rows of the registry, those without entries included.
    pub rows: u64,
    /// Rows without entries.
    pub tombstones: u64,
    /// References that the strategy remembers.
    pub refs: u64,
    /// Bytes that the strategy keeps beside the registry, by its own formula.
    pub strategy_bytes: u64,
    /// Starts without an outcome, and joins and downs without a decision.
    pub queue: u64,
}

impl From<Sizes> for NodeSizes {
    fn from(sizes: Sizes) -> Self {
        Self {
            rows: sizes.rows as u64,
            tombstones: sizes.tombstones as u64,
            refs: sizes.refs as u64,
            strategy_bytes: sizes.strategy_bytes,
            queue: sizes.queue as u64,
        }
    }
}

impl Payload {
    /// The entries of the message that this is about, if they are told. They are beside the digest,
    /// and are told only where somebody reads them: see [`Sink::reads_contents`](super::Sink).
    #[must_use]
    pub fn contents(&self) -> Option<&Contents> {
        self.contents_field().and_then(Option::as_ref)
    }

    /// The same, and whether they are told, of an event of a message; `None` for other events.
    pub(crate) fn contents_field(&self) -> Option<&Option<Contents>> {
        if let Self::Sent { contents, .. }
        | Self::Delivered { contents, .. }
        | Self::Dropped { contents, .. } = self
        {
            Some(contents)
        } else {
            None
        }
    }

    /// [`Self::contents_field`], to be filled in.
    pub(crate) fn contents_mut(&mut self) -> Option<&mut Option<Contents>> {
        if let Self::Sent { contents, .. }
        | Self::Delivered { contents, .. }
        | Self::Dropped { contents, .. } = self
        {
            Some(contents)
        } else {
            None
        }
    }

    /// Where its node is in its life from now on; `None` if it says nothing of that.
    #[must_use]
    pub(crate) fn lifecycle(&self) -> Option<Lifecycle> {
        if let Self::Booted { .. } | Self::Resumed = self {
            Some(Lifecycle::Up)
        } else if let Self::Paused = self {
            Some(Lifecycle::Paused)
        } else if let Self::Stopped(reason) = self {
            Some(reason.transition().target())
        } else {
            None
        }
    }

    /// The other node that this is about, if there is one.
    #[must_use]
    pub fn peer(&self) -> Option<NodeIx> {
        match self {
            Self::Sent { to: peer, .. }
            | Self::Duplicated { to: peer, .. }
            | Self::Delivered { from: peer, .. }
            | Self::Dropped { from: peer, .. }
            | Self::Queued { from: peer, .. }
            | Self::PeerUp { peer, .. }
            | Self::PeerDown { peer, .. }
            | Self::Connected { peer }
            | Self::Disconnected { peer } => Some(*peer),
            Self::Step { .. }
            | Self::Kind { .. }
            | Self::Booted { .. }
            | Self::Stopped(_)
            | Self::Paused
            | Self::Resumed
            | Self::Timer(_)
            | Self::Row { .. }
            | Self::View(_)
            | Self::ChildStarted { .. }
            | Self::ChildStopped { .. }
            | Self::Fact(_)
            | Self::Answered { .. }
            | Self::Skipped { .. }
            | Self::Mark(_)
            | Self::Panicked(_)
            | Self::Sizes(_)
            | Self::Injected { .. } => None,
        }
    }

    /// True if this is an input with which a step of a node, or of the script, begins. The step is
    /// over, with all that follows from it, when the next one begins or time moves. That a peer is
    /// up, or was replaced, may be learned in the middle of a step, and begins none.
    #[must_use]
    pub fn begins_step(&self) -> bool {
        match self {
            Self::Step { .. }
            | Self::Booted { .. }
            | Self::Delivered { .. }
            | Self::Timer(_)
            | Self::Injected { .. } => true,
            Self::PeerDown { reason, .. } => *reason != DownReason::Restarted,
            Self::Kind { .. }
            | Self::Stopped(_)
            | Self::Paused
            | Self::Resumed
            | Self::PeerUp { .. }
            | Self::Sent { .. }
            | Self::Duplicated { .. }
            | Self::Dropped { .. }
            | Self::Row { .. }
            | Self::View(_)
            | Self::ChildStarted { .. }
            | Self::ChildStopped { .. }
            | Self::Fact(_)
            | Self::Answered { .. }
            | Self::Skipped { .. }
            | Self::Mark(_)
            | Self::Panicked(_)
            | Self::Connected { .. }
            | Self::Disconnected { .. }
            | Self::Queued { .. }
            | Self::Sizes(_) => false,
        }
    }
}

/// Why a node stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StopReason {
    /// A `crash` step.
    Crash,
    /// A `leave` step.
    Leave,
}

impl StopReason {
    /// The transition in a node's life that stops it for this reason.
    #[must_use]
    pub(crate) fn transition(self) -> Transition {
        match self {
            Self::Crash => Transition::Crash,
            Self::Leave => Transition::Leave,
        }
    }
}

/// Why a message was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DropReason {
    /// The network's `loss`.
    Loss,
    /// The link is, or was, cut.
    Cut,
    /// The sender or the receiver crashed or left.
    Stopped,
    /// The receiver does not run.
    NotRunning,
    /// The two are not connected, and could not connect.
    NotConnected,
    /// The pair was declared down while it was on the way.
    Down,
    /// It was larger than `max_message_bytes`.
    TooLarge,
    /// As many messages as `queue_limit` waited for its receiver.
    QueueFull,
}

impl DropReason {
    /// Every reason, in the order of [`Self::code`].
    pub(crate) const ALL: [Self; 8] = [
        Self::Loss,
        Self::Cut,
        Self::Stopped,
        Self::NotRunning,
        Self::NotConnected,
        Self::Down,
        Self::TooLarge,
        Self::QueueFull,
    ];

    /// Its number in the digest and in counters.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Loss => 0,
            Self::Cut => 1,
            Self::Stopped => 2,
            Self::NotRunning => 3,
            Self::NotConnected => 4,
            Self::Down => 5,
            Self::TooLarge => 6,
            Self::QueueFull => 7,
        }
    }

    /// True if the network loses messages so whose sender and receiver are connected: neither notices.
    pub(crate) fn is_unnoticed(self) -> bool {
        match self {
            Self::Loss | Self::TooLarge | Self::QueueFull => true,
            Self::Cut | Self::Stopped | Self::NotRunning | Self::NotConnected | Self::Down => false,
        }
    }

    /// One word, as text forms of the trace have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Cut => "cut",
            Self::Stopped => "stopped",
            Self::NotRunning => "not running",
            Self::NotConnected => "not connected",
            Self::Down => "down",
            Self::TooLarge => "too large",
            Self::QueueFull => "queue full",
        }
    }

    /// The same as a part of names.
    #[must_use]
    pub fn key(self) -> String {
        self.as_str().replace(' ', "_")
    }
}
