//! The strategies of this crate by name: the two ports, and the specimens to compare them with.
//!
//! A program that makes something of a strategy whose name it reads (a catalog, a live node) visits
//! it. A new strategy needs a line here, and nothing elsewhere.

use crate::delta_crdt::DeltaCrdt;
use crate::gossip::Gossip;
use crate::owner_broadcast::OwnerBroadcast;
use crate::owner_log::OwnerLog;
use crate::pubsub::PubSub;
use crate::pubsub_versioned::PubSubVersioned;
use crate::rumour::Rumour;
use crate::scuttlebutt::Scuttlebutt;
use crate::strategy::Strategy;
use crate::tracker::Tracker;

/// Makes something of a strategy.
pub trait Visitor {
    /// The result.
    type Output;

    /// Makes it of `S`.
    fn visit<S: Strategy>(self) -> Self::Output;
}

macro_rules! strategies {
    (ports: $($port:ty),+; specimens: $($specimen:ty),+;) => {
        /// The ports of ProcessHub's strategies.
        pub const PORTS: &[&str] = &[$(<$port>::NAME),+];

        /// The other strategies.
        pub const SPECIMENS: &[&str] = &[$(<$specimen>::NAME),+];

        /// Names of strategies, each with its summary, the ports first.
        pub const SUMMARIES: &[(&str, &str)] = &[
            $((<$port>::NAME, <$port>::SUMMARY),)+
            $((<$specimen>::NAME, <$specimen>::SUMMARY),)+
        ];

        /// Visits the strategy of a name; `None` if there is none.
        pub fn visit<V: Visitor>(name: &str, visitor: V) -> Option<V::Output> {
            match name {
                $(<$port>::NAME => Some(visitor.visit::<$port>()),)+
                $(<$specimen>::NAME => Some(visitor.visit::<$specimen>()),)+
                _ => None,
            }
        }
    };
}

strategies! {
    ports: PubSub, Gossip;
    specimens: DeltaCrdt, OwnerBroadcast, OwnerLog, PubSubVersioned, Rumour, Scuttlebutt, Tracker;
}
