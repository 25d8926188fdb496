//! The live runtime: hubs on tokio tasks and real sockets.
//!
//! The hub and the strategies are the very types that the simulator runs; what differs is the
//! [`crate::Runtime`] beneath them. One task owns the state machine of a node; connections, children
//! and handles talk to it through bounded queues.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `builder` | what a hub is told before it starts |
//! | `handle` | what a program asks of a running hub |
//! | `task`, `world` | the task that owns the state machine, and what its effects do |
//! | `inbox` | what arrives, decoded and in order |
//! | `encoder` | what leaves, encoded and in order |
//! | `long` | steps that take long, and what goes on meanwhile |
//! | `orders`, `requests` | what handles ask, and start and stop requests that wait for answers |
//! | `port` | the other end of a handle in a simulated run |
//! | `children` | children as tokio tasks, and when they are restarted |
//! | `observer` | for experiments: what sees all of a hub, and can pause it |
//! | `mirror`, `events`, `stats`, `shared` | what can be read without waiting for the task |
//! | `transport` | what carries messages, as a trait |
//! | `tcp` | connections over TCP: handshake, frames, queues, heartbeats |
//! | `channel` | connections within a process |

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "this is the runtime: clocks and locks are its business"
)]

mod builder;
mod channel;
mod children;
mod encoder;
mod error;
mod events;
mod handle;
mod inbox;
mod long;
mod mirror;
mod observer;
mod orders;
mod port;
mod requests;
mod shared;
mod stats;
mod supervisor;
mod task;
mod tcp;
mod transport;
mod world;

pub use builder::Builder;
pub use channel::{ChannelNetwork, ChannelTransport};
pub use children::{ChildContext, RestartLimits, StopReason, TaskOutput, Tasks};
pub use error::{
    BuildError, ChildError, ChildOutcome, HubStopped, StartError, StopError, TooLarge, WaitError,
};
pub use events::{Events, HubEvent};
pub use handle::{Hub, StartOptions, StopOptions, WeakHub};
pub use observer::{Arrival, Flow, Observer};
pub use port::{Port, Taken};
pub use stats::{HubStats, Traffic};
pub use task::LeaveReport;
pub use tcp::{
    BindError, Counters, Filter, FilterVerdict, Limits, Refusal, Resolver, Secret, SecretError,
    SecretsError,
};
pub use tokio_util::sync::CancellationToken;
pub use transport::{
    BoxFuture, LocalNode, PeerLeave, RecvPermit, SendError, Transport, TransportEvent,
};
