//! [`Recorder`]: the runtime of tests. It performs nothing and lists what it was asked for.

use std::time::Duration;

use crate::child::{ChildSpec, Metadata};
use crate::message::Channel;
use crate::name::{NodeId, Pid};
use crate::runtime::{Event, Runtime, TimerKey};
use crate::time::{Time, WallTime};

/// One thing that a hub or a strategy asked its runtime for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect<M> {
    /// [`Runtime::send`] and [`Runtime::send_connected`].
    Send {
        /// The receivers, in order.
        to: Vec<NodeId>,
        /// The channel.
        channel: Channel,
        /// The message.
        message: M,
        /// True if it may connect: `false` for [`Runtime::send_connected`].
        connects: bool,
    },
    /// [`Runtime::announce`].
    Announce {
        /// The channel.
        channel: Channel,
        /// The message.
        message: M,
    },
    /// [`Runtime::set_timer`].
    SetTimer(TimerKey, Duration),
    /// [`Runtime::cancel_timer`].
    CancelTimer(TimerKey),
    /// [`Runtime::start_child`].
    StartChild {
        /// The child's specification.
        spec: ChildSpec,
        /// The pid it gets.
        pid: Pid,
        /// Its metadata.
        metadata: Metadata,
    },
    /// [`Runtime::stop_child`].
    StopChild(Pid),
    /// [`Runtime::emit`].
    Emit(Event),
}

/// A runtime whose clocks are set by hand, whose random numbers come from a fixed sequence, and
/// which lists effects in call order.
#[derive(Debug)]
pub struct Recorder<M> {
    /// The value of [`Runtime::now`].
    pub now: Time,
    /// The value of [`Runtime::wall_clock`].
    pub wall_clock: WallTime,
    /// The number of random numbers drawn so far.
    pub draws: u64,
    seed: u64,
    effects: Vec<Effect<M>>,
}

impl<M> Default for Recorder<M> {
    fn default() -> Self {
        Self::new(1)
    }
}

impl<M> Recorder<M> {
    /// A recorder at time 0 whose random numbers are those of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            now: Time::ZERO,
            wall_clock: 1_700_000_000_000_000,
            draws: 0,
            seed,
            effects: Vec::new(),
        }
    }

    /// The effects since the last [`Self::take`], in call order.
    #[must_use]
    pub fn effects(&self) -> &[Effect<M>] {
        &self.effects
    }

    /// Takes the effects out.
    pub fn take(&mut self) -> Vec<Effect<M>> {
        std::mem::take(&mut self.effects)
    }
}

impl<M> Runtime<M> for Recorder<M> {
    fn now(&self) -> Time {
        self.now
    }

    fn wall_clock(&self) -> WallTime {
        self.wall_clock
    }

    fn random(&mut self) -> u64 {
        // SplitMix64 at position `draws`.
        self.draws += 1;
        let mut z = self
            .seed
            .wrapping_add(self.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn send(&mut self, to: &[NodeId], channel: Channel, message: M) {
        self.effects.push(Effect::Send {
            to: to.to_vec(),
            channel,
            message,
            connects: true,
        });
    }

    fn send_connected(&mut self, to: &[NodeId], channel: Channel, message: M) {
        self.effects.push(Effect::Send {
            to: to.to_vec(),
            channel,
            message,
            connects: false,
        });
    }

    fn announce(&mut self, channel: Channel, message: M) {
        self.effects.push(Effect::Announce { channel, message });
    }

    fn set_timer(&mut self, key: TimerKey, delay: Duration) {
        self.effects.push(Effect::SetTimer(key, delay));
    }

    fn cancel_timer(&mut self, key: TimerKey) {
        self.effects.push(Effect::CancelTimer(key));
    }

    fn start_child(&mut self, spec: &ChildSpec, pid: &Pid, metadata: &Metadata) {
        self.effects.push(Effect::StartChild {
            spec: spec.clone(),
            pid: pid.clone(),
            metadata: metadata.clone(),
        });
    }

    fn stop_child(&mut self, pid: &Pid) {
        self.effects.push(Effect::StopChild(pid.clone()));
    }

    fn emit(&mut self, event: Event) {
        self.effects.push(Effect::Emit(event));
    }
}
