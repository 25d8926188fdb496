//! [`Effects`]: the simulated runtime of one step. It answers questions at once and keeps a list
//! of what the node asks for; the engine performs the list after the step, in call order.

use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashMap;
use hublab_strategies::name::NameHasher;
use hublab_strategies::{
    Channel, ChildSpec, Event, Message, Metadata, NodeId, Pid, Runtime, Time, TimerKey, WallTime,
};

use crate::model::NodeIx;
use crate::node::Packet;
use crate::node::clock::WallClock;
use crate::stream::Stream;

/// One thing that a node asks for in a step.
#[derive(Debug)]
pub enum Effect {
    /// Send to the receivers `start..end` of [`EffectBuffers::receivers`].
    Send {
        /// First receiver.
        start: u32,
        /// Behind the last one.
        end: u32,
        /// What.
        packet: Rc<Packet>,
    },
    /// Send to every node that can be addressed.
    Announce(Rc<Packet>),
    /// Set or replace a timer.
    SetTimer(TimerKey, Duration),
    /// Cancel a timer.
    CancelTimer(TimerKey),
    /// Start a child.
    StartChild(ChildSpec, Pid, Metadata),
    /// Stop a child.
    StopChild(Pid),
    /// Something to record.
    Emit(Event),
}

/// The buffers of a step, kept from step to step.
#[derive(Debug, Default)]
pub struct EffectBuffers {
    /// The effects, in the order of the calls; `None` for one that is performed.
    pub effects: Vec<Option<Effect>>,
    /// The receivers of all sends, one list behind the other; `None` for a name that no node of
    /// the file has.
    pub receivers: Vec<Option<NodeIx>>,
}

/// The runtime that a node sees during one step.
#[derive(Debug)]
pub struct Effects<'a> {
    now: Time,
    clock: &'a WallClock,
    hops: u32,
    stream: &'a mut Stream,
    positions: &'a Positions,
    buffers: &'a mut EffectBuffers,
}

/// Where each node stands in the file. Only ever asked by name.
pub type Positions = HashMap<NodeId, NodeIx, NameHasher>;

impl<'a> Effects<'a> {
    /// The runtime for a step at `now`. `hops` is the number of messages that led here.
    pub(crate) fn new(
        now: Time,
        clock: &'a WallClock,
        hops: u32,
        stream: &'a mut Stream,
        positions: &'a Positions,
        buffers: &'a mut EffectBuffers,
    ) -> Self {
        Self {
            now,
            clock,
            hops,
            stream,
            positions,
            buffers,
        }
    }

    fn push_send<M: Message>(
        &mut self,
        to: &[NodeId],
        channel: Channel,
        message: M,
        connects: bool,
    ) {
        if to.is_empty() {
            return;
        }
        let index = |len: usize| u32::try_from(len).expect("a step sends to fewer than 2^32 nodes");
        let start = index(self.buffers.receivers.len());
        let positions = to.iter().map(|node| self.positions.get(node).copied());
        self.buffers.receivers.extend(positions);
        let end = index(self.buffers.receivers.len());
        let packet = Packet::new(channel, message, connects, self.hops + 1);
        self.push(Effect::Send { start, end, packet });
    }

    fn push(&mut self, effect: Effect) {
        self.buffers.effects.push(Some(effect));
    }

    /// Records a branch worth counting.
    pub fn mark(&mut self, name: &'static str) {
        self.push(Effect::Emit(Event::Mark(name)));
    }
}

impl<M: Message> Runtime<M> for Effects<'_> {
    fn now(&self) -> Time {
        self.now
    }

    fn wall_clock(&self) -> WallTime {
        self.clock.read(self.now)
    }

    fn random(&mut self) -> u64 {
        self.stream.next_draw()
    }

    fn send(&mut self, to: &[NodeId], channel: Channel, message: M) {
        self.push_send(to, channel, message, true);
    }

    fn send_connected(&mut self, to: &[NodeId], channel: Channel, message: M) {
        self.push_send(to, channel, message, false);
    }

    fn announce(&mut self, channel: Channel, message: M) {
        let packet = Packet::new(channel, message, true, self.hops + 1);
        self.push(Effect::Announce(packet));
    }

    fn set_timer(&mut self, key: TimerKey, delay: Duration) {
        self.push(Effect::SetTimer(key, delay));
    }

    fn cancel_timer(&mut self, key: TimerKey) {
        self.push(Effect::CancelTimer(key));
    }

    fn start_child(&mut self, spec: &ChildSpec, pid: &Pid, metadata: &Metadata) {
        self.push(Effect::StartChild(
            spec.clone(),
            pid.clone(),
            metadata.clone(),
        ));
    }

    fn stop_child(&mut self, pid: &Pid) {
        self.push(Effect::StopChild(pid.clone()));
    }

    fn emit(&mut self, event: Event) {
        self.push(Effect::Emit(event));
    }
}
