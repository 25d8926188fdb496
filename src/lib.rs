//! `hublab`: a deterministic simulation testbed for the synchronization strategies of a
//! distributed process registry.
//!
//! One scenario file, one strategy and one seed are one run, and that run is always the same,
//! event for event. This crate is the facade: the command line, and the two crates below it under
//! one name.
//!
//! | module | what |
//! | --- | --- |
//! | [`strategies`] | one node of the registry, without any input or output of its own: write a strategy with it, or use one in a program |
//! | [`sim`] | the simulated world: scenario files, network, faults, trace, oracles, reports |
//! | [`live`] | scenario files on real hubs and sockets |
//! | [`cli`] | the command line; it renders what the others compute, and judges nothing |
//!
//! # A run from a program
//!
//! ```
//! use hublab::Catalog;
//! use hublab::sim::watch::judge::Verdict;
//! use hublab::sim::{Scenario, Simulation};
//!
//! let file = r#"
//! schema = 1
//! [cluster]
//! nodes = 3
//! [[step]]
//! at = "1s"
//! start_children = { on = "n1", ids = ["a"] }
//! "#;
//! let catalog = Catalog::default();
//! let scenario = Scenario::read("first.toml", file.as_bytes(), &catalog).expect("a good file");
//! let report = Simulation::new(&scenario, &catalog).strategy("pubsub")?.seed(7).run()?;
//! assert_eq!(report.verdict, Verdict::Pass);
//! # Ok::<(), hublab::sim::run::RunError>(())
//! ```
//!
//! # A command line with a strategy of one's own
//!
//! Add it to the catalog; every command then knows it. `MyStrategy` implements
//! [`strategies::Strategy`].
//!
//! ```no_run
//! # use hublab::strategies::PubSub as MyStrategy;
//! fn main() -> std::process::ExitCode {
//!     hublab::cli::main(hublab::Catalog::default().with::<MyStrategy>())
//! }
//! ```

pub mod cli;
pub mod live;

pub use hublab_sim as sim;
pub use hublab_sim::catalog::Catalog;
pub use hublab_strategies as strategies;

/// Compiles and runs the Rust code of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the Rust code of the guide for library users, and runs what ends by itself.
#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
struct Library;

/// Compiles the Rust code of the walk through a simulated program.
#[cfg(doctest)]
#[doc = include_str!("../docs/simulating.md")]
struct Simulating;
