//! The hub's runtime as its strategy and its membership see it: their messages go into envelopes.

use std::time::Duration;

use crate::child::{ChildSpec, Metadata};
use crate::hub::input::Envelope;
use crate::message::Channel;
use crate::name::{NodeId, Pid};
use crate::runtime::{Event, Runtime, TimerKey};
use crate::time::{Time, WallTime};

macro_rules! adapter {
    ($(#[$doc:meta])* $type:ident sends $message:ident as $variant:ident) => {
        $(#[$doc])*
        pub(super) struct $type<'a, S, M>(pub(super) &'a mut (dyn Runtime<Envelope<S, M>> + 'a));

        impl<S, M> Runtime<$message> for $type<'_, S, M> {
            fn now(&self) -> Time {
                self.0.now()
            }

            fn wall_clock(&self) -> WallTime {
                self.0.wall_clock()
            }

            fn random(&mut self) -> u64 {
                self.0.random()
            }

            fn send(&mut self, to: &[NodeId], channel: Channel, message: $message) {
                self.0.send(to, channel, Envelope::$variant(message));
            }

            fn send_connected(&mut self, to: &[NodeId], channel: Channel, message: $message) {
                self.0.send_connected(to, channel, Envelope::$variant(message));
            }

            fn announce(&mut self, channel: Channel, message: $message) {
                self.0.announce(channel, Envelope::$variant(message));
            }

            fn set_timer(&mut self, key: TimerKey, delay: Duration) {
                self.0.set_timer(key, delay);
            }

            fn cancel_timer(&mut self, key: TimerKey) {
                self.0.cancel_timer(key);
            }

            fn start_child(&mut self, spec: &ChildSpec, pid: &Pid, metadata: &Metadata) {
                self.0.start_child(spec, pid, metadata);
            }

            fn stop_child(&mut self, pid: &Pid) {
                self.0.stop_child(pid);
            }

            fn emit(&mut self, event: Event) {
                self.0.emit(event);
            }
        }
    };
}

adapter! {
    /// For the strategy.
    StrategySide sends S as Strategy
}
adapter! {
    /// For the membership.
    MembershipSide sends M as Membership
}
