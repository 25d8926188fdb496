//! Names confirmed by their cures: a failure is an anomaly if it goes away with what the anomaly needs.
//!
//! Two anomalies can be at work at once: then neither's cure is enough, and both together are. Such a
//! failure has the name of the one whose predicate comes first.

use super::mend::mend;
use crate::anomaly::Cure;
use crate::catalog::Catalog;
use crate::classify::{Candidate, candidates};
use crate::model::Scenario;
use crate::run::Simulation;
use crate::run::failure::Signature;
use crate::watch::judge::Verdict;

/// A name, and what confirmed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// The anomaly's id.
    pub(super) id: &'static str,
    /// What must hold for the scenario to pass; nothing if the name needs no cure.
    pub(super) cures: Vec<&'static str>,
}

/// The first anomaly whose predicate holds for a failure, and one of whose cures passes if it needs one;
/// else the first that passes with the cure of another one beside its own. The scenario expects nothing but
/// what fails.
pub(super) fn name(
    scenario: &Scenario,
    strategy: &str,
    signature: &Signature,
    catalog: &Catalog,
) -> Option<Name> {
    let all = candidates(scenario, strategy, scenario.run.seed, signature, catalog);
    let passes = |cures: &[&Cure]| {
        let cured = cured(scenario, cures.iter().copied());
        cured.is_some_and(|cured| passes(&cured, strategy, catalog))
    };
    let name = |id, cures: &[&Cure]| Name {
        id,
        cures: cures.iter().map(|cure| cure.what).collect(),
    };
    for Candidate { id, cures, .. } in &all {
        let Some(cures) = cures else {
            return Some(name(*id, &[]));
        };
        if let Some(cure) = cures.iter().find(|cure| passes(&[cure])) {
            return Some(name(*id, &[cure]));
        }
    }
    let with_cures = || {
        all.iter().flat_map(|candidate| {
            let cures = candidate.cures.unwrap_or_default().iter();
            cures.map(move |cure| (candidate.id, cure))
        })
    };
    for (place, (id, cure)) in with_cures().enumerate() {
        let others = with_cures().skip(place + 1);
        let mut others = others.filter(|(other, _)| *other != id);
        if let Some((_, other)) = others.find(|(_, other)| passes(&[cure, other])) {
            return Some(name(id, &[cure, other]));
        }
    }
    None
}

/// A resolved scenario with these changes; `None` if one of them changes nothing.
#[must_use]
pub fn cured<'a>(
    scenario: &Scenario,
    cures: impl IntoIterator<Item = &'a Cure>,
) -> Option<Scenario> {
    let mut cured = scenario.clone();
    for cure in cures {
        let before = cured.clone();
        (cure.change)(&mut cured);
        if cured == before {
            return None;
        }
    }
    mend(&mut cured);
    Some(cured)
}

/// True if everything that a scenario expects holds.
fn passes(scenario: &Scenario, strategy: &str, catalog: &Catalog) -> bool {
    let run = Simulation::new(scenario, catalog).strategy(strategy);
    let report = run.and_then(|run| run.seed(scenario.run.seed).unmeasured().run());
    report.is_ok_and(|report| report.verdict == Verdict::Pass)
}
