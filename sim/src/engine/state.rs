//! The engine's state of each node.

use std::collections::{BTreeMap, VecDeque};

use hublab_strategies::hub::Command;
use hublab_strategies::{ChildId, Pid, TimerKey};

use super::Immediate;
use crate::model::{ClockStart, Lifecycle, NodeIx, Transition};
use crate::node::clock::WallClock;
use crate::node::{Child, Node};
use crate::stream::Stream;
use crate::trace::event::{EventId, NodeSizes};

/// A node of the file, running or not. What each message touches comes first, in one cache line.
#[repr(C, align(64))]
pub struct NodeState {
    /// Its code, while it runs.
    pub(crate) node: Option<Box<dyn Node>>,
    /// Its own draws.
    pub(crate) stream: Stream,
    /// What the key of its stream is combined with.
    salt: u64,
    /// How often it has booted.
    pub(crate) incarnation: u32,
    /// Where it is in its life.
    pub(crate) life: Lifecycle,
    /// True if it goes on after a pause, and has not handled all that waited yet.
    pub(crate) resuming: bool,
    /// The second of its last step; `None` before the first.
    pub(crate) active_in: Option<u64>,
    /// Its wall clock.
    pub(crate) clock: WallClock,
    /// The inputs that came due during the pause, in that order.
    pub(crate) waiting: VecDeque<Waiting>,
    /// Its timers, by their place in [`Timers`].
    pub(crate) timers: BTreeMap<TimerKey, u32>,
    /// The children that run on it.
    pub(crate) children: BTreeMap<ChildId, Child>,
    /// Which child has a pid.
    pub(crate) pids: BTreeMap<Pid, ChildId>,
    /// Its sizes as they were recorded last.
    pub(crate) sizes: Option<NodeSizes>,
}

/// Something that waits for a paused node to go on.
pub(crate) enum Waiting {
    Message { slot: u32, seq: u64 },
    Timer { slot: u32, seq: u64 },
    Command { command: Command, cause: EventId },
    Input { input: Immediate, cause: EventId },
}

impl NodeState {
    /// One that has not booted.
    pub(crate) fn new(clock: ClockStart) -> Self {
        Self {
            node: None,
            incarnation: 0,
            life: Lifecycle::Never,
            resuming: false,
            waiting: VecDeque::new(),
            stream: Stream::new(0),
            salt: 0,
            clock: WallClock::new(clock),
            timers: BTreeMap::new(),
            children: BTreeMap::new(),
            pids: BTreeMap::new(),
            active_in: None,
            sizes: None,
        }
    }

    /// Draws from the stream of this key from now on, at its beginning.
    pub(crate) fn start_stream(&mut self, key: u64) {
        self.stream = Stream::new(key);
        self.stream.turn(self.salt);
    }

    /// Draws from another stream from now on, at the same place; with the same salt again, from the
    /// one before.
    pub(crate) fn turn_stream(&mut self, salt: u64) {
        self.salt ^= salt;
        self.stream.turn(salt);
    }

    /// True if it runs; a paused node does.
    pub(crate) fn is_running(&self) -> bool {
        self.life.runs()
    }

    /// True if the transition is possible now.
    pub(crate) fn can(&self, transition: Transition) -> bool {
        self.life.after(transition).is_some()
    }
}

/// Every timer that is set: whose it is, and which event of the queue stands for it.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    slots: Vec<TimerSlot>,
    free: Vec<u32>,
    /// Events in the queue that no timer wants any more.
    forgotten: usize,
}

#[derive(Debug)]
struct TimerSlot {
    node: NodeIx,
    key: TimerKey,
    /// 0 if not armed.
    seq: u64,
    /// The input of the step that set it.
    set_by: EventId,
}

/// Forgotten timers that the queue may hold before they are worth sweeping out.
const SWEEP_AT: usize = 4_096;

impl Timers {
    /// The slot of a node's timer, a new one if it is not set.
    pub(crate) fn slot(
        &mut self,
        node: NodeIx,
        key: TimerKey,
        of_node: &mut BTreeMap<TimerKey, u32>,
    ) -> u32 {
        *of_node.entry(key).or_insert_with(|| {
            let slot = TimerSlot {
                node,
                key,
                seq: 0,
                set_by: 0,
            };
            if let Some(ix) = self.free.pop() {
                self.slots[ix as usize] = slot;
                ix
            } else {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 timers")
            }
        })
    }

    /// Says which event of the queue stands for the timer, and which event set it; `true` if it was set
    /// before.
    pub(crate) fn arm(&mut self, slot: u32, seq: u64, set_by: EventId) -> bool {
        let timer = &mut self.slots[slot as usize];
        timer.set_by = set_by;
        let before = std::mem::replace(&mut timer.seq, seq);
        if before != 0 {
            self.forgotten += 1;
        }
        before != 0
    }

    pub(crate) fn is_armed(&self, slot: u32, seq: u64) -> bool {
        self.slots[slot as usize].seq == seq
    }

    pub(crate) fn owner(&self, slot: u32) -> (NodeIx, TimerKey) {
        let slot = &self.slots[slot as usize];
        (slot.node, slot.key)
    }

    /// Gives up a timer whose event is still queued.
    pub(crate) fn abandon(&mut self, slot: u32) {
        self.forgotten += 1;
        let _ = self.free(slot);
    }

    /// Gives up a timer whose event has come. Returns the event that set it.
    pub(crate) fn free(&mut self, slot: u32) -> EventId {
        let timer = &mut self.slots[slot as usize];
        timer.seq = 0;
        self.free.push(slot);
        timer.set_by
    }

    pub(crate) fn forgotten(&mut self) {
        self.forgotten = self.forgotten.saturating_sub(1);
    }

    /// True if a queue of so many events is worth sweeping: that looks at each of them.
    pub(crate) fn is_wasteful(&self, queued: usize) -> bool {
        self.forgotten > SWEEP_AT && self.forgotten > queued / 2
    }

    pub(crate) fn swept(&mut self) {
        self.forgotten = 0;
    }
}
