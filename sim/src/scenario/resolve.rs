//! The resolved form: every step plain, every range drawn, every default written out, the seed filled in.

use std::time::Duration;

use super::expand::plain_steps;
use crate::catalog::Catalog;
use crate::model::{After, Claim, Expectation, LinkChange, Scenario, Step};

/// How long a scenario without expectations has to converge after its last step.
const DEFAULT_WITHIN: Duration = Duration::from_secs(60);

/// The scenario that one seed makes of a scenario. It is accepted by the checks if the original
/// is; resolving it again, with the same seed, changes nothing.
///
/// A draw depends on the seed, the step's content and its number among equal steps, and on nothing
/// else: a step that is added or deleted moves no other.
#[must_use]
pub fn resolve(scenario: &Scenario, seed: u64, catalog: &Catalog) -> Scenario {
    let mut resolved = Scenario {
        steps: Vec::new(),
        ..scenario.clone()
    };
    resolved.run.seed = seed;
    let links = &scenario.network.links;
    resolved.network.links = links.iter().flat_map(LinkChange::each_way).collect();
    resolved.steps = plain_steps(scenario, seed);
    let given: Vec<String> = resolved.strategies.keys().cloned().collect();
    for name in resolved.run.strategies.iter().chain(&given) {
        if let Some(entry) = catalog.get(name) {
            let given = resolved.strategies.remove(name).unwrap_or_default();
            let mut parameters = entry.defaults();
            parameters.extend(given);
            // A strategy without parameters has no table, in files as here.
            if !parameters.is_empty() {
                resolved.strategies.insert(name.clone(), parameters);
            }
        }
    }
    if resolved.expectations.is_empty() {
        let claim = default_claim(&resolved);
        resolved.expectations.push(Expectation {
            strategy: None,
            claim,
            line: 0,
        });
    }
    resolved
}

/// The plain steps that one seed makes of those of a scenario: their positions are those that reports
/// and traces of its run name.
#[must_use]
pub fn resolved_steps(scenario: &Scenario, seed: u64) -> Vec<Step> {
    plain_steps(scenario, seed)
}

/// The expectation of a scenario that has none: convergence after its last step, within 60 s
/// or the rest of the run.
pub(crate) fn default_claim(scenario: &Scenario) -> Claim {
    let rest = scenario.run.duration.saturating_sub(scenario.last_step());
    Claim::Converged {
        within: DEFAULT_WITHIN.min(rest),
        after: After::LastStep,
        nodes: None,
        whole: false,
    }
}
