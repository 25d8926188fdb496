//! Generated scenarios: a seed in, a scenario out, the same for ever.
//!
//! A scenario has two phases. In the *active* one, children start, stop and move on a cluster of a
//! few nodes, and the faults that the seed has switched on ([`Family`]) happen around the same
//! instants: within latencies, debounces and intervals of each other, where things interleave. In
//! the *quiet* one everything heals, every node that did not leave runs again, and nothing happens
//! for longer than any oracle needs to call the outcome.
//!
//! Most scenarios are small and crowded, so that much of what happens meets. Of 100 others are different as
//! a whole: 6 have the default times and parameters, 4 last five times as long, in 5 one node crashes and
//! is back 3 to 7 times, and 2 have 8 to 20 nodes, where the strategy allows so many. In 6 of 100 some nodes
//! differ from the others, in 6 children start, and perhaps stop, in steps that repeat. In a quarter of those with
//! changed links these are about some channels or both ways, and in a third of those with cuts and
//! disorder messages are held and released.
//!
//! The generator knows no anomaly and has no sequence of steps that belong together, beyond a
//! fault and its end. proptest strategies draw a plan whose parts shrink and vanish one by one
//! ([`scenarios`]); a plan becomes a scenario by a walk over it that leaves out what cannot be
//! done (a crash of a node that is down).
//!
//! The scenario names one strategy, whose limits and parameters it was made for; strategies with
//! equal limits get the same scenario, but for that and, with the defaults, its length. Its only expectation is `no_crash`: whoever runs
//! it adds more.
//!
//! ```
//! use hublab_sim::catalog::Catalog;
//! use hublab_sim::generate::{Options, generate};
//!
//! let catalog = Catalog::default();
//! let pubsub = catalog.get("pubsub").expect("it is in the catalog");
//! let generated = generate(7, pubsub, &Options::default());
//! assert_eq!(generated.scenario.name, "generated-7");
//! assert_eq!(generated, generate(7, pubsub, &Options::default()));
//! ```

mod assemble;
mod character;
mod draw;
mod family;
mod plan;
mod quiet;
mod raw;
mod script;
mod setting;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

pub use family::Family;

use crate::catalog::{Catalog, CatalogEntry};
use crate::model::Scenario;
use crate::report::Report;
use crate::run::Simulation;
use crate::scenario::resolve;
use plan::Plan;

/// The most events of a generated run. One that would have more is thinned: [`fitting`].
pub const EVENTS_MAX: u64 = 1_000_000;

/// The most that a scenario is thinned: two or three nodes, half of the load and no fault.
pub(crate) const THINNEST: u8 = 4;

/// How to generate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Families that no seed has; default: none. What else a seed draws stays the same.
    pub without: BTreeSet<Family>,
}

/// The scenario of a seed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Generated {
    /// The scenario; its name is `generated-` and the seed, and its run has that seed.
    pub scenario: Scenario,
    /// The families that were on. That one is on does not mean that it did something.
    pub families: BTreeSet<Family>,
    /// How far it was thinned, from 0, not at all, to 4.
    pub level: u8,
}

/// The scenario of a seed for one strategy. A function of the seed, the strategy's name, limits
/// and parameter names, and the options: no clock, no entropy, no setting of this process.
///
/// # Panics
/// Only for a bug of the generator: no draw of it is ever refused.
#[must_use]
pub fn generate(seed: u64, entry: &dyn CatalogEntry, options: &Options) -> Generated {
    thinned(seed, entry, options, 0)
}

/// The plan of a seed, drawn by proptest; a walk makes it possible afterwards.
fn drawn(seed: u64, entry: &dyn CatalogEntry) -> Plan {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    // The configuration concerns tests; drawing a value of these strategies, which filter nothing,
    // asks it for nothing.
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let tree = draw::plan(entry.limits().max_nodes).new_tree(&mut runner);
    tree.expect("no strategy here rejects a draw").current()
}

/// The scenario of a seed with less in it: from 1 on with half of the load, from 2 on without families
/// that touch nodes, clocks and views, from 3 on without any, from 4 on with at most 3 nodes. 0 is
/// [`generate`]'s.
#[must_use]
pub(crate) fn thinned(
    seed: u64,
    entry: &dyn CatalogEntry,
    options: &Options,
    level: u8,
) -> Generated {
    let mut plan = drawn(seed, entry);
    plan.take_on(entry.limits().max_nodes);
    plan.thin(level);
    Generated {
        level,
        ..finish(seed, plan, entry, options)
    }
}

/// The scenario of a seed whose run keeps within [`EVENTS_MAX`]: the least thinned one that does, or
/// the thinnest. That is what campaigns run. Makes the run, to know its events.
#[must_use]
pub fn fitting(
    seed: u64,
    entry: &dyn CatalogEntry,
    options: &Options,
    catalog: &Catalog,
) -> Generated {
    let mut level = 0;
    loop {
        let generated = thinned(seed, entry, options, level);
        let scenario = resolve(&generated.scenario, seed, catalog);
        let report = Simulation::new(&scenario, catalog)
            .strategy(entry.name())
            .and_then(|run| run.seed(seed).budget(EVENTS_MAX).run());
        // A strategy that refuses its parameters does so in every run.
        let fits = report.map_or(true, |report| !outgrows(&report));
        if fits || level == THINNEST {
            return generated;
        }
        level += 1;
    }
}

/// True if a run was ended because it had too many events.
#[must_use]
pub fn outgrows(report: &Report) -> bool {
    report.events >= EVENTS_MAX && report.reason.is_some()
}

/// Every scenario that [`generate`] can make, as a proptest strategy: for tests whose failures are
/// to shrink in their parts. The scenarios are named, and run, with `seed`.
pub fn scenarios<'e>(
    seed: u64,
    entry: &'e dyn CatalogEntry,
    options: &'e Options,
) -> impl Strategy<Value = Generated> + 'e {
    draw::plan(entry.limits().max_nodes).prop_map(move |mut plan| {
        plan.take_on(entry.limits().max_nodes);
        finish(seed, plan, entry, options)
    })
}

/// The scenarios of a seed for several strategies, the strategies with equal ones in one file that
/// names them all. Each run of it is the run of [`fitting`]'s scenario for that strategy.
#[must_use]
pub fn together(
    seed: u64,
    entries: &[&dyn CatalogEntry],
    options: &Options,
    catalog: &Catalog,
) -> Vec<Scenario> {
    let mut all: Vec<Scenario> = Vec::new();
    for entry in entries {
        let one = fitting(seed, *entry, options, catalog).scenario;
        let plain = without_strategies(&one);
        let same = |other: &&mut Scenario| without_strategies(other) == plain;
        match all.iter_mut().find(same) {
            Some(other) => {
                other.run.strategies.extend(one.run.strategies);
                other.strategies.extend(one.strategies);
                let theirs = other.cluster.overrides.iter_mut();
                for (theirs, own) in theirs.zip(one.cluster.overrides) {
                    theirs.strategy.extend(own.strategy);
                }
            }
            None => all.push(one),
        }
    }
    all
}

/// A scenario without the names and parameters of strategies.
fn without_strategies(scenario: &Scenario) -> Scenario {
    let mut plain = scenario.clone();
    plain.run.strategies.clear();
    plain.strategies.clear();
    for of_nodes in &mut plain.cluster.overrides {
        of_nodes.strategy.clear();
    }
    plain
}

fn finish(seed: u64, mut plan: Plan, entry: &dyn CatalogEntry, options: &Options) -> Generated {
    plan.families
        .retain(|family| !options.without.contains(family));
    Generated {
        scenario: assemble::scenario(seed, &plan, entry),
        families: plan.families,
        level: 0,
    }
}
