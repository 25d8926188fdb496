//! A seeded simulated world for the synchronization strategies of a distributed process registry.
//!
//! One scenario, one strategy and one seed are one run, and that run is always the same, event
//! for event: in any thread, after any other runs, in debug and release.

#[cfg(not(madsim))]
compile_error!(
    "hublab-sim needs madsim's simulator: build with RUSTFLAGS='--cfg madsim', \
     or put the lines of hublab's .cargo/config.toml into yours"
);

pub mod anomaly;
pub mod catalog;
pub mod effects;
pub mod engine;
pub mod metric;
pub mod network;
pub mod node;
pub mod observe;
pub mod oracle;
pub mod report;
pub mod run;
pub mod scenario;
pub mod simulation;
pub mod stream;
pub mod trace;
pub mod twice;
pub mod world;
