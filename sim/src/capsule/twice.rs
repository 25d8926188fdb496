//! The determinism check: a run, another one, and the first one again, compared event by event.
//!
//! This finds what a strategy draws from outside its [`Context`](hublab_strategies::Context): state
//! that outlives a run, entropy that is not the seed's. The simulator keeps clocks, hash seeds and
//! `getrandom` under the seed, so those are not found but harmless. What is the same within one
//! process and differs between two is found by a second process only; the command line starts one.

use std::io::{Read, Seek};

use crate::capsule::diff::Divergence;
use crate::capsule::replay::{ReplayError, replay_scenario};
use crate::capsule::{Capsule, Header, Limits, MemoryCapsule, Recording};
use crate::catalog::Catalog;
use crate::report::Report;
use crate::run::{RunError, Simulation};
use crate::scenario::Scenario;

/// Result of the check.
#[derive(Debug)]
#[non_exhaustive]
pub struct Twice {
    /// The report of the first run.
    pub report: Report,
    /// Where the second run (right) parts from the first (left); `None` if it never does.
    pub divergence: Option<Divergence>,
}

/// Runs a scenario twice in this process, with a run of another seed in between.
///
/// # Errors
/// The scenario cannot be run with this catalog, or its trace is over 1 GiB.
pub fn check_twice(
    scenario: &Scenario,
    strategy: &str,
    seed: u64,
    catalog: &Catalog,
) -> Result<Twice, ReplayError> {
    let (report, capsule) = record(scenario, strategy, seed, catalog)?;
    let divergence = check_again(capsule, scenario, catalog)?;
    Ok(Twice { report, divergence })
}

/// The second half of the check, for a run that was recorded: a run of another seed, then the
/// recorded one again.
///
/// # Errors
/// The capsule cannot be read, or the scenario cannot be run with this catalog.
pub fn check_again<R>(
    capsule: Capsule<R>,
    scenario: &Scenario,
    catalog: &Catalog,
) -> Result<Option<Divergence>, ReplayError>
where
    R: Read + Seek + Send + 'static,
{
    let (strategy, seed) = (&capsule.header().strategy, capsule.header().seed);
    Simulation::new(scenario, catalog)
        .strategy(strategy)?
        .seed(seed.wrapping_add(1))
        .run()?;
    Ok(replay_scenario(capsule, scenario, catalog)?.divergence)
}

/// The report of a run, and its capsule in memory.
///
/// # Errors
/// The scenario cannot be run with this catalog, or its trace is over 1 GiB.
pub fn record(
    scenario: &Scenario,
    strategy: &str,
    seed: u64,
    catalog: &Catalog,
) -> Result<(Report, MemoryCapsule), ReplayError> {
    if catalog.get(strategy).is_none() {
        return Err(RunError::UnknownStrategy(strategy.to_owned()).into());
    }
    let limits = Limits::default();
    let recording = Recording::in_memory(&Header::new(scenario, strategy, seed, catalog), limits)?;
    let run = Simulation::new(scenario, catalog).strategy(strategy)?;
    let report = run.seed(seed).sinks([recording.sink()]).run()?;
    let bytes = recording.finish(&report)?.into_inner();
    Ok((report, Capsule::from_bytes(bytes, limits)?))
}
