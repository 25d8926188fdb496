//! Names confirmed by their cures: a failure is an anomaly if it goes away with what the anomaly needs.

use super::mend::mend;
use crate::catalog::Catalog;
use crate::classify::{Candidate, candidates};
use crate::model::Scenario;
use crate::run::Simulation;
use crate::run::failure::Signature;
use crate::watch::judge::Verdict;

/// A name, and what confirmed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    /// The anomaly's id.
    pub(super) id: &'static str,
    /// The change with which the scenario passes; `None` if the name needs no cure.
    pub(super) cure: Option<&'static str>,
}

/// The first anomaly whose predicate holds for a failure and one of whose cures passes, if it needs one.
/// The scenario expects nothing beside what fails.
pub(super) fn name(
    scenario: &Scenario,
    strategy: &str,
    signature: &Signature,
    catalog: &Catalog,
) -> Option<Name> {
    let all = candidates(scenario, strategy, scenario.run.seed, signature, catalog);
    all.into_iter().find_map(|Candidate { id, cures, .. }| {
        let Some(cures) = cures else {
            return Some(Name { id, cure: None });
        };
        let cure = cures.into_iter().find(|cure| {
            let mut cured = cure.scenario.clone();
            mend(&mut cured);
            passes(&cured, strategy, catalog)
        })?;
        Some(Name {
            id,
            cure: Some(cure.what),
        })
    })
}

/// True if everything that a scenario expects holds.
fn passes(scenario: &Scenario, strategy: &str, catalog: &Catalog) -> bool {
    let run = Simulation::new(scenario, catalog).strategy(strategy);
    let report = run.and_then(|run| run.seed(scenario.run.seed).unmeasured().run());
    report.is_ok_and(|report| report.verdict == Verdict::Pass)
}
