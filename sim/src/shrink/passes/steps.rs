//! Whole parts: steps, nodes, children.

use std::collections::BTreeSet;

use hublab_strategies::ChildId;

use crate::model::{Children, NodeIx, Scenario};
use crate::shrink::parts;
use crate::shrink::search::{Edit, Search};

/// With more steps than this, not every pair of steps is tried.
const PAIRS_MAX: usize = 14;
/// With more children than this in a step, they are not named one by one.
const NAMED_MAX: usize = 16;

/// Takes steps away.
pub(super) fn steps(search: &mut Search<'_>) {
    search.drop_parts(|scenario| (0..scenario.steps.len()).collect(), drop_steps);
}

/// Takes two steps away at once: a start and its stop, a fault and its end.
pub(super) fn pairs(search: &mut Search<'_>) {
    search.edit(|scenario, _| {
        let steps = scenario.steps.len();
        if steps > PAIRS_MAX {
            return Vec::new();
        }
        let pairs = (0..steps).flat_map(|one| (one + 1..steps).map(move |other| [one, other]));
        pairs
            .map(|pair| -> Edit { Box::new(move |scenario| drop_steps(scenario, &pair)) })
            .collect()
    });
}

/// Takes nodes away, with every mention of them.
pub(super) fn nodes(search: &mut Search<'_>) {
    search.drop_parts(
        |scenario| {
            let expected = parts::expected_nodes(scenario);
            let all = (0..).zip(&scenario.cluster.nodes).map(|(node, _)| node);
            all.filter(|node| !expected.contains(node)).collect()
        },
        |scenario, gone: &[NodeIx]| {
            parts::drop_nodes(scenario, &gone.iter().copied().collect());
        },
    );
}

/// Takes children away, with every mention of them.
pub(super) fn children(search: &mut Search<'_>) {
    search.edit(|scenario, _| counts(scenario));
    search.drop_parts(
        |scenario| {
            let expected = parts::expected_children(scenario);
            let mut all = parts::child_ids(scenario);
            all.retain(|child| !expected.contains(child));
            all
        },
        |scenario, gone: &[ChildId]| {
            let gone: BTreeSet<ChildId> = gone.iter().cloned().collect();
            parts::drop_children(scenario, &gone);
        },
    );
}

fn drop_steps(scenario: &mut Scenario, gone: &[usize]) {
    let gone: BTreeSet<usize> = gone.iter().copied().collect();
    let mut place = 0..;
    scenario
        .steps
        .retain(|_| place.next().is_none_or(|place| !gone.contains(&place)));
}

/// Fewer of the counted children; a few of them by name.
fn counts(scenario: &Scenario) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for (place, step) in scenario.steps.iter().enumerate() {
        let mut action = step.action.clone();
        let Some(Children::Counted { count, .. }) = parts::children(&mut action) else {
            continue;
        };
        let count = *count;
        for fewer in [1, count / 4, count / 2, count - 1] {
            if fewer > 0 && fewer < count {
                edits.push(Box::new(move |scenario| set_count(scenario, place, fewer)));
            }
        }
        if count as usize <= NAMED_MAX {
            edits.push(Box::new(name_all));
        }
    }
    edits
}

fn set_count(scenario: &mut Scenario, place: usize, fewer: u32) {
    let step = scenario.steps.get_mut(place);
    if let Some(Children::Counted { count, .. }) =
        step.and_then(|step| parts::children(&mut step.action))
    {
        *count = fewer;
    }
}

/// Names the counted children of all steps: a start and its stop must speak of the same.
fn name_all(scenario: &mut Scenario) {
    for step in &mut scenario.steps {
        if let Some(children) = parts::children(&mut step.action)
            && children.len() <= NAMED_MAX
        {
            *children = Children::Ids(children.ids());
        }
    }
}
