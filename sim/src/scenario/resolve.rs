//! The resolved form: every range drawn, every default written out, the seed filled in.

use std::collections::BTreeMap;
use std::time::Duration;

use hublab_strategies::time::micros;

use super::canonical::canonical;
use crate::catalog::Catalog;
use crate::model::{After, Claim, Expectation, Scenario, When};
use crate::stream::{below, script_draw};

/// How long a scenario without expectations has to converge after its last step.
const DEFAULT_WITHIN: Duration = Duration::from_secs(60);

/// The ranges of one step, by number: part of what makes a seed reproducible.
const AT: u8 = 0;
const HEAL_AFTER: u8 = 1;

/// The scenario that one seed makes of a scenario. It is accepted by the checks if the original
/// is; resolving it again, with the same seed, changes nothing.
///
/// A draw depends on the seed, the step's content and its number among equal steps, and on nothing
/// else: a step that is added or deleted moves no other.
#[must_use]
pub fn resolve(scenario: &Scenario, seed: u64, catalog: &Catalog) -> Scenario {
    let mut resolved = scenario.clone();
    resolved.run.seed = seed;
    let mut equals: BTreeMap<String, u64> = BTreeMap::new();
    for step in &mut resolved.steps {
        if !is_drawn(step.at) && !step.action.heal_after().is_some_and(is_drawn) {
            continue;
        }
        let content = canonical(step, &resolved.cluster.nodes);
        let number = equals.entry(content.clone()).or_insert(0);
        step.at = drawn(step.at, script_draw(seed, &content, *number, AT));
        if let Some(when) = step.action.heal_after_mut() {
            *when = drawn(*when, script_draw(seed, &content, *number, HEAL_AFTER));
        }
        *number += 1;
    }
    let given: Vec<String> = resolved.strategies.keys().cloned().collect();
    for name in resolved.run.strategies.iter().chain(&given) {
        if let Some(entry) = catalog.get(name) {
            let given = resolved.strategies.remove(name).unwrap_or_default();
            let mut parameters = entry.defaults();
            parameters.extend(given);
            resolved.strategies.insert(name.clone(), parameters);
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

fn is_drawn(when: When) -> bool {
    match when {
        When::Fixed(_) => false,
        When::Between(..) => true,
    }
}

fn drawn(when: When, draw: u64) -> When {
    match when {
        When::Fixed(time) => When::Fixed(time),
        When::Between(from, to) => {
            let choices = micros(to).saturating_sub(micros(from)).saturating_add(1);
            When::Fixed(from + Duration::from_micros(below(draw, choices)))
        }
    }
}
