//! Making a scenario whole again from which parts were taken: what depended on them goes, too.
//!
//! Without this, nearly every candidate would be refused by the checks: a `restart` alone is an
//! error once its `crash` is gone.

use std::time::Duration;

use serde_json::Value as Json;

use crate::model::{Action, Lifecycle, NodeIx, NodeOverride, Scenario, Step, Transition};
use crate::scenario::parts;

/// Sorts the steps by time and takes out what cannot be: steps behind the end, on nodes that do
/// not run, with nothing to act on.
pub(super) fn mend(scenario: &mut Scenario) {
    scenario.steps.sort_by_key(|step| step.at.first());
    let end = scenario.run.duration;
    scenario
        .network
        .links
        .retain(|link| !link.from.is_empty() && !link.to.is_empty());
    let changes = |of: &NodeOverride| !of.names.is_empty() && !of.is_empty();
    scenario.cluster.overrides.retain(changes);
    let mut states = scenario.cluster.lives();
    scenario.steps.retain_mut(|step| {
        clip(step, end);
        step.at.first() <= end && fits(step, &mut states)
    });
}

/// Faults that would heal behind the end do not heal.
fn clip(step: &mut Step, end: Duration) {
    let at = step.at.first();
    if let Action::Partition { heal_after, .. } | Action::Cut { heal_after, .. } = &mut step.action
    {
        *heal_after = heal_after.filter(|after| at + after.first() <= end);
    }
}

/// Reduces an action to what is possible, and does it; `false` if nothing is left.
fn fits(step: &mut Step, states: &mut [Lifecycle]) -> bool {
    let action = &mut step.action;
    if let Some((transition, nodes)) = action.transition_mut() {
        return change(nodes, states, transition);
    }
    if let Action::Partition { groups, .. } = action {
        return cover(groups, states);
    }
    let runs = |node: &Json| {
        let node = node.as_u64().and_then(|node| usize::try_from(node).ok());
        node.is_some_and(|node| states[node].runs())
    };
    parts::retain(step, &mut |key, value| {
        if !key.acts {
            Some(value)
        } else if let Json::Array(nodes) = value {
            Some(nodes.into_iter().filter(runs).collect())
        } else {
            runs(&value).then_some(value)
        }
    })
}

/// Keeps the nodes that can make the transition, and lets them.
fn change(nodes: &mut Vec<NodeIx>, states: &mut [Lifecycle], transition: Transition) -> bool {
    nodes.retain(|node| {
        let state = &mut states[*node as usize];
        let after = state.after(transition);
        *state = after.unwrap_or(*state);
        after.is_some()
    });
    !nodes.is_empty()
}

/// Puts every running node into a group: into the last, if it was in none.
fn cover(groups: &mut Vec<Vec<NodeIx>>, states: &[Lifecycle]) -> bool {
    groups.retain(|group| !group.is_empty());
    let missing: Vec<NodeIx> = (0..)
        .zip(states)
        .filter(|(node, state)| state.runs() && !groups.iter().any(|group| group.contains(node)))
        .map(|(node, _)| node)
        .collect();
    let Some(last) = groups.last_mut() else {
        return false;
    };
    last.extend(missing);
    last.sort_unstable();
    groups.len() > 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hublab_strategies::ChildId;

    use super::*;
    use crate::catalog::Catalog;
    use crate::generate::{Options, generate};
    use crate::scenario::render::{Style, render};
    use crate::scenario::resolve;
    use crate::shrink::parts;
    use crate::stream;

    /// True if one of the things that go in this attempt is that one.
    fn goes(key: u64, number: usize, of: u64) -> bool {
        stream::draw(key, number as u64).is_multiple_of(of)
    }

    /// Takes a third of the steps away, a node or two, some children, and the end of the run.
    fn tear(scenario: &mut Scenario, key: u64) {
        let nodes: BTreeSet<NodeIx> = (0..)
            .zip(&scenario.cluster.nodes)
            .skip(1)
            .filter(|(node, _)| goes(key, *node as usize, 4))
            .map(|(node, _)| node)
            .collect();
        parts::drop_nodes(scenario, &nodes);
        let children: BTreeSet<ChildId> = parts::child_ids(scenario)
            .into_iter()
            .enumerate()
            .filter(|(number, _)| goes(key, 100 + number, 3))
            .map(|(_, child)| child)
            .collect();
        parts::drop_children(scenario, &children);
        let mut number = 0;
        scenario.steps.retain(|_| {
            number += 1;
            !goes(key, 1_000 + number, 3)
        });
        if goes(key, 0, 3) {
            scenario.run.duration /= 2;
        }
    }

    #[test]
    fn what_is_left_of_a_torn_scenario_passes_the_checks() {
        let catalog = Catalog::default();
        let entry = catalog.get("pubsub").expect("a port");
        for seed in 0..150 {
            let generated = generate(seed, entry, &Options::default()).scenario;
            let mut scenario = resolve(&generated, seed, &catalog);
            tear(&mut scenario, stream::mix(seed));
            mend(&mut scenario);
            let text = render(&scenario, Style::Brief);
            if let Err(problems) = Scenario::read("torn", text.as_bytes(), &catalog) {
                panic!("seed {seed}: {problems:?}\n{text}");
            }
        }
    }

    #[test]
    fn what_is_whole_is_left_as_it_is() {
        let catalog = Catalog::default();
        let entry = catalog.get("gossip").expect("a port");
        for seed in 0..50 {
            let generated = generate(seed, entry, &Options::default()).scenario;
            let whole = resolve(&generated, seed, &catalog);
            let mut mended = whole.clone();
            mend(&mut mended);
            mended.steps.iter_mut().for_each(|step| step.line = 0);
            let lines = |scenario: &Scenario| render(scenario, Style::Full);
            let mut sorted = whole;
            sorted.steps.sort_by_key(|step| step.at.first());
            assert_eq!(lines(&mended), lines(&sorted), "seed {seed}");
        }
    }
}
