//! Synchronization strategies of a distributed process registry.
//!
//! A process registry says, on every node of a cluster, which child process runs where. This crate
//! is one node of it, without any input or output of its own: a [`hub::Hub`] takes one input, changes its
//! state, and asks its [`Runtime`] for effects. The same hub runs in a unit test, under a simulated
//! network, and on sockets.
//!
//! Promises: no clock, entropy, thread or hash order is used; everything that happens is a function of
//! the inputs and of what the runtime answers. Bytes from a peer never panic.

pub mod child;
pub mod context;
pub mod fact;
pub mod gossip;
pub mod hub;
pub mod membership;
pub mod message;
pub mod name;
mod names;
pub mod pubsub;
pub mod recorder;
pub mod registry;
pub mod request;
pub mod runtime;
pub mod snapshot;
pub mod state;
pub mod strategy;
pub mod time;
pub mod timestamps;
pub mod view;
pub mod wire;

pub use child::{ChildSpec, Entries, Entry, Metadata, Row, RowChange};
pub use context::Context;
pub use fact::{Change, Fact};
pub use gossip::{Gossip, GossipConfig};
pub use hub::{Hub, HubConfig, Input, Sizes};
pub use membership::{Discovery, Membership};
pub use message::{Channel, Message, SizeModel};
pub use name::{ChildId, NodeId, Pid};
pub use pubsub::{PubSub, PubSubConfig};
pub use recorder::{Effect, Recorder};
pub use registry::{Registry, RowRef};
pub use request::{Members, Registration, Request, Requests, Unregistration};
pub use runtime::{ChildResult, DownReason, Event, Runtime, TimerKey};
pub use snapshot::{LocalChild, Snapshot};
pub use state::NodeState;
pub use strategy::{Strategy, Synchronization};
pub use time::{Time, WallTime};
pub use timestamps::Timestamps;
pub use view::View;
