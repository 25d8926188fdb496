//! Synchronization strategies of a distributed process registry.
//!
//! A process registry says, on every node of a cluster, which child process runs where. This crate
//! is one node of it, without any input or output of its own: a [`HubCore`] takes one input,
//! changes its state, and asks its [`Runtime`] for effects. The same hub runs in a unit test, under
//! a simulated network, and on sockets.
//!
//! # Promises
//!
//! - No clock, entropy, thread or hash order is used: everything that happens is a function of the
//!   inputs and of the runtime's replies.
//! - One input is one atomic step. It ends; its effects are listed in the order of their calls.
//! - Bytes from a peer never panic, and bytes that are no message change nothing.
//! - The rules of the ports are those of ProcessHub (docs/protocol.md), list order included; golden
//!   vectors recorded from the original are part of the tests.
//!
//! # Map
//!
//! | module | what it owns |
//! | --- | --- |
//! | [`hub`] | one node as a state machine: inputs, periodic work, children, messages between hubs |
//! | [`strategy`] | the traits that a hub runs, events in and effects out, and a catalog lists |
//! | [`synchronization`] | a strategy in the form of the original: the six operations |
//! | [`claims`] | what a strategy promises, and what voids it |
//! | [`pubsub`], [`gossip`], [`profile`] | the two ports, and which state of the original they follow |
//! | [`delta_crdt`], [`owner_broadcast`], [`owner_log`], [`pubsub_versioned`], [`rumour`], [`scuttlebutt`], [`tracker`] | strategies to compare them with |
//! | [`builtin`] | all of them by name |
//! | [`membership`] | who is in the cluster; `Discovery`, the original's way |
//! | [`context`] | what a strategy sees of its node, and all it can do there |
//! | [`state`] | what every node keeps: registry, view, connections |
//! | [`registry`] | the rows, and the rules that change them |
//! | [`child`], [`request`], [`snapshot`], [`fact`] | what is said about children |
//! | [`name`], [`view`], [`time`], [`timestamps`] | names, lists of them, integer time |
//! | [`runtime`], [`recorder`] | the way out of a hub, and its test double |
//! | [`message`], [`wire`] | what travels: kinds, sizes, channels; the one codec |
//! | `live`, `rt` | hubs on tokio tasks and sockets, programs that hold one; with the feature `tokio` |
//!
//! # A node in a test
//!
//! ```
//! use hublab_strategies::hub::{Command, Input};
//! use hublab_strategies::{Discovery, Effect, HubConfig, HubCore, PubSub, Recorder};
//!
//! let mut hub = HubCore::new("n1".into(), 1, PubSub::default(), Discovery::default(),
//! HubConfig::default()); let mut recorder = Recorder::default(); hub.handle(Input::Start, &mut
//! recorder); assert!(matches!(recorder.take()[0], Effect::Announce { .. }));
//!
//! hub.handle(Input::Command(Command::SetView(vec!["n1".into(), "n2".into()])), &mut recorder);
//! hub.handle(Input::Command(Command::Sync), &mut recorder);
//! let sends = recorder.take().iter().filter(|effect| matches!(effect, Effect::Send { .. })).count();
//! assert_eq!(sends, 0, "a node that never hosted a child sends nothing");
//! ```
#![cfg_attr(
    feature = "tokio",
    doc = r#"
# A cluster in a program

With the feature `tokio`, [`live`] runs the same hubs on tokio tasks and real sockets. Each node of a
cluster is one hub, here with a single node; [`live::Hub`] is the handle of a program.

```
use hublab_strategies::live::{Hub, Tasks};
use hublab_strategies::{ChildSpec, Gossip};

# #[tokio::main(flavor = "current_thread")]
# async fn main() -> Result<(), Box<dyn std::error::Error>> {
let hub = Hub::builder("orders", "a").listen("127.0.0.1:0")          // its name, and where it listens
    .peers(["127.0.0.1:7001"])                // where to start looking; the rest is learned
    .strategy(Gossip::default())
    .supervisor(Tasks::new().with("worker", |spec| async move {
        loop {
            println!("{} works", spec.id());
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }))
    .start().await?;
let pid = hub.start_child(ChildSpec::new("worker-1", "worker")).await?;
let row = hub.lookup("worker-1").expect("it was just started");
assert_eq!(row.entries[0].pid, Some(pid));
assert_eq!(hub.members(), ["a".into()]);
hub.stop_child("worker-1").await?;
hub.leave().await?;
# Ok(())
# }
```
"#
)]

pub mod builtin;
pub mod child;
pub mod claims;
pub mod contents;
pub mod context;
pub mod delta_crdt;
pub mod entries;
pub mod fact;
pub mod gossip;
mod guard;
#[cfg(test)]
mod harness;
pub mod hub;
#[cfg(feature = "tokio")]
pub mod live;
pub mod membership;
pub mod message;
pub mod name;
mod names;
pub mod owner_broadcast;
pub mod owner_log;
pub mod panic;
pub mod profile;
pub mod pubsub;
pub mod pubsub_versioned;
pub mod recorder;
pub mod registry;
pub mod request;
#[cfg(feature = "tokio")]
pub mod rt;
pub mod rumour;
pub mod runtime;
pub mod scuttlebutt;
pub mod snapshot;
pub mod state;
pub mod strategy;
pub mod synchronization;
pub mod time;
pub mod timestamps;
pub mod tracker;
pub mod view;
pub mod wire;

pub use child::{ChildSpec, Entry, EntryMetadata, Metadata, Row, RowChange};
pub use contents::{Contents, Listed};
pub use context::Context;
pub use delta_crdt::{DeltaCrdt, DeltaCrdtConfig};
pub use entries::Entries;
pub use fact::{Change, Fact};
pub use gossip::{Gossip, GossipConfig};
pub use hub::{HubConfig, HubCore, Input, Sizes};
#[cfg(feature = "tokio")]
pub use live::Hub;
pub use membership::{Discovery, Membership};
pub use message::{Channel, Message, SizeModel};
pub use name::{ChildId, NodeId, Pid};
pub use owner_broadcast::OwnerBroadcast;
pub use owner_log::{OwnerLog, OwnerLogConfig};
pub use profile::Profile;
pub use pubsub::{PubSub, PubSubConfig};
pub use pubsub_versioned::{PubSubVersioned, PubSubVersionedConfig};
pub use recorder::{Effect, Recorder};
pub use registry::{Registry, RowRef};
pub use request::{Members, Registration, Request, Requests, Unregistration};
pub use rumour::{Rumour, RumourConfig};
pub use runtime::{ChildResult, DownReason, Event, Runtime, TimerKey};
pub use scuttlebutt::{Scuttlebutt, ScuttlebuttConfig};
pub use snapshot::{LocalChild, Snapshot};
pub use state::NodeState;
pub use strategy::{EventStrategy, Strategy};
pub use synchronization::Synchronization;
pub use time::{Time, WallTime};
pub use timestamps::Timestamps;
pub use tracker::{Tracker, TrackerConfig};
pub use view::View;
