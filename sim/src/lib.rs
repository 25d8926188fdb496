//! A seeded simulated world for the synchronization strategies of a distributed process registry.
//!
//! A scenario file says which nodes there are, what their network is like, what is done to them,
//! and what must come of it. This crate runs it: on virtual time, in one thread, with every message,
//! loss, crash and clock under one seed.
//!
//! # Promises
//!
//! - One scenario, one strategy and one seed are one run, and that run is always the same, event for
//!   event: in any thread, after any other runs, in debug and release, whoever listens. A digest over
//!   all events says so.
//! - Random draws come from streams, one per purpose: to remove a step or to add a node leaves the
//!   draws of all others as they were.
//! - sent + duplicated = delivered + dropped + in flight, per link and kind, checked at the end of
//!   every run.
//! - Observers and oracles watch; nothing that they do changes a run.
//! - No file makes a panic or a run without end. A panic of a strategy is a verdict.
//!
//! It does not print, read arguments, or write files, except for capsules that it is asked
//! for. It models time, order, loss and failure; it does not model CPU, disks or memory.
//!
//! # Map
//!
//! Upper modules know lower ones.
//!
//! | module | what it owns |
//! | --- | --- |
//! | [`campaign`] | many seeds: records, signatures, workers |
//! | [`compare`] | strategies on the same seeds: cells, tests, verdicts |
//! | [`processhub`] | the original's two strategies in the catalog, and their known faults |
//! | [`shrink`] | the smallest scenario that fails the same way |
//! | [`classify`] | failures by the name that the strategy's entry has for them |
//! | [`generate`] | scenarios made from seeds |
//! | [`capsule`] | a run in a file: replay, diff, why, the determinism check |
//! | [`mod@run`] | one run: a scenario, a strategy and a seed in, a [`report::Report`] out |
//! | [`simulation`] | a run under way, for tasks that act in it |
//! | [`witness`] | the same observers, for hubs that run elsewhere |
//! | [`engine`] | what happens next; steps, messages, connections, boots and ends |
//! | [`claims`] | which features of a scenario void a strategy's claims |
//! | [`scenario`] | files: reading, checking, resolving, writing |
//! | [`catalog`] | what files can name: strategies, oracles, metrics; the way to add to it |
//! | [`report`], [`metric`], [`anomaly`] | what a run came to, in numbers and by name |
//! | [`watch`] | convergence, oracles, expectations, the timeline |
//! | [`trace`] | events, the digest, events as text |
//! | [`node`] | what the engine runs, and what that asks for |
//! | [`network`] | latency, bandwidth, loss, cuts: the state of each link |
//! | [`world`] | the madsim runtime around a run, and its clock |
//! | [`statistics`] | intervals, tests and verdicts over many runs |
//! | [`stream`] | random draws by purpose |
//! | [`memory`] | the memory of a node, if the program can tell |
//! | [`model`] | a scenario as data: [`model::Scenario`], its steps and claims |
//!
//! # A run from text
//!
//! ```
//! use hublab_sim::{Catalog, Scenario, Simulation};
//!
//! let text = r#"
//! schema = 1
//! [run]
//! duration = "20s"
//! [cluster]
//! nodes = 3
//! [[step]]
//! at = "1s"
//! start_children = { on = "n1", ids = ["a"] }
//! [[step]]
//! at = "5s..6s"
//! crash = { nodes = ["n1"] }
//! [[expect]]
//! converged = { within = "800ms" }
//! "#;
//! let catalog = Catalog::default();
//! let scenario = Scenario::read("crash.toml", text.as_bytes(), &catalog).expect("a good file");
//! for strategy in catalog.names() {
//!     let report = Simulation::new(&scenario, &catalog).strategy(strategy)?.seed(7).run()?;
//!     println!("{strategy}: {:?}, {} messages", report.verdict, report.messages.sent);
//! #   assert_eq!(report.verdict, hublab_sim::watch::judge::Verdict::Pass, "{report:#?}");
//! }
//! # Ok::<(), hublab_sim::run::RunError>(())
//! ```

#[cfg(not(madsim))]
compile_error!(
    "hublab-sim needs madsim's simulator: build with RUSTFLAGS='--cfg madsim', \
     or put the lines of hublab's .cargo/config.toml into yours"
);

pub mod anomaly;
pub mod blame;
pub mod campaign;
pub mod capsule;
pub mod catalog;
pub mod claims;
pub mod classify;
pub mod compare;
#[doc(hidden)]
pub mod engine;
pub mod generate;
pub mod memory;
pub mod metric;
pub mod model;
#[doc(hidden)]
pub mod network;
pub mod node;
pub mod processhub;
pub mod report;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod simulation;
pub mod statistics;
pub mod stream;
pub mod trace;
pub mod watch;
#[doc(hidden)]
pub mod witness;
pub mod world;

pub use campaign::Campaign;
pub use capsule::Capsule;
pub use catalog::Catalog;
pub use metric::Metric;
pub use report::Report;
pub use run::Simulation;
pub use scenario::Scenario;
pub use watch::oracle::Oracle;

/// Parts that the benchmark of this crate measures by themselves. No part of the interface.
#[doc(hidden)]
pub mod bench {
    pub use crate::engine::queue::{Pending, Queue};
    pub use crate::world::{Timeline, drive, in_world};
}
