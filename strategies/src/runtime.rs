//! [`Runtime`]: the only way out of a hub, and the only way in for time and chance.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::child::{ChildSpec, Metadata, RowChange};
use crate::fact::Fact;
use crate::message::Channel;
use crate::name::{ChildId, NodeId, Pid};
use crate::time::{Time, WallTime};
use crate::wire;

/// The name of a timer. A hub has at most one of each: setting one that runs replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimerKey {
    /// The next announcement.
    Discovery,
    /// The next periodic synchronization.
    Sync,
    /// The next purge of expired rows and references.
    Janitor,
    /// The end of the quiet time after joins and downs.
    Debounce,
    /// A timer of the membership.
    Membership(u32),
    /// A timer of the strategy.
    Strategy(u64),
}

/// Everything a hub may ask of the world. Effects are taken in call order; a simulated runtime
/// performs them after the step, so that a step is atomic.
pub trait Runtime<M> {
    /// The monotonic clock.
    fn now(&self) -> Time;

    /// The wall clock. It may jump, back too: never compare readings to measure time.
    fn wall_clock(&self) -> WallTime;

    /// The next draw of this node's own random stream, uniform over all 64 bits.
    fn random(&mut self) -> u64;

    /// Sends one message to each of these nodes, in this order; a node may be the sender itself.
    fn send(&mut self, to: &[NodeId], channel: Channel, message: M);

    /// As [`Self::send`], but only over connections that are up, at once: nothing connects for it,
    /// and a node that is not connected is left out, uncounted.
    fn send_connected(&mut self, to: &[NodeId], channel: Channel, message: M);

    /// Sends one message to every other node that the runtime can reach.
    fn announce(&mut self, channel: Channel, message: M);

    /// Sets a timer to fire once after `delay`, replacing the one of that key.
    fn set_timer(&mut self, key: TimerKey, delay: Duration);

    /// Cancels a timer; one that is not set is left alone.
    fn cancel_timer(&mut self, key: TimerKey);

    /// Starts a child. The outcome comes back as [`crate::hub::Input::Children`].
    fn start_child(&mut self, spec: &ChildSpec, pid: &Pid, metadata: &Metadata);

    /// Stops a child. Nothing comes back; a pid that does not run is left alone.
    fn stop_child(&mut self, pid: &Pid);

    /// Says what happened, for traces and metrics; nothing may depend on it.
    fn emit(&mut self, event: Event);
}

/// A hub's reports of its own state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A row of the registry changed.
    Row(RowChange),
    /// The cluster view changed; the new one, in order.
    View(Vec<NodeId>),
    /// The children of this node changed.
    Fact(Box<Fact>),
    /// A start or stop request was answered by `node`.
    Answer {
        /// The ticket of the command.
        ticket: u64,
        /// The node whose children they are.
        node: NodeId,
        /// The outcome of each child, in the order of the request.
        results: Vec<ChildResult>,
    },
    /// A command named a child that does not run here: left out.
    Skipped {
        /// The child.
        child: ChildId,
        /// The request: `stop` or `restart`.
        action: &'static str,
    },
    /// A branch of a strategy worth counting: `gossip.round_finished`.
    Mark(&'static str),
}

/// The result for one child of a start or stop request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildResult {
    /// The child.
    pub child: ChildId,
    /// Its pid (of the started or the stopped process), or why not.
    pub outcome: Result<Pid, String>,
}

impl ChildResult {
    /// The length of the wire encoding in bytes.
    pub(crate) fn encoded_len(&self) -> u64 {
        let outcome = match &self.outcome {
            Ok(pid) => pid.as_str(),
            Err(reason) => reason,
        };
        // One byte says which of the two it is.
        wire::text_len(self.child.as_str()) + 1 + wire::text_len(outcome)
    }
}

/// Why a peer is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DownReason {
    /// Its connection closed: it crashed, or left.
    Closed,
    /// It was silent for too long.
    Silent,
    /// A later incarnation of it connected.
    Restarted,
    /// It said good-bye.
    Left,
}
