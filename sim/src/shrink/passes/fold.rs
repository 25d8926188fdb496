//! Steps that another way of saying it makes unnecessary.

use std::time::Duration;

use crate::model::{Action, Children, Scenario, Step, When};
use crate::shrink::search::{Edit, Search};

/// With more steps than this, only neighbours are joined.
const ALL_PAIRS_MAX: usize = 20;

/// Says with one step what two say, and in `[cluster]` or `[network]` what a step says.
pub(super) fn fold(search: &mut Search<'_>) {
    let stronger = search.may_strengthen();
    search.edit(move |scenario, _| {
        let steps = scenario.steps.len();
        let reach = if steps > ALL_PAIRS_MAX { 1 } else { steps };
        let mut edits: Vec<Edit> = Vec::new();
        for place in 0..steps {
            edits.push(Box::new(move |scenario| {
                from_the_start(scenario, place, stronger)
            }));
            edits.push(Box::new(move |scenario| late_boot(scenario, place)));
            for later in place + 1..(place + 1 + reach).min(steps) {
                edits.push(Box::new(move |scenario| {
                    join_steps(scenario, place, later, false)
                }));
                edits.push(Box::new(move |scenario| {
                    join_steps(scenario, place, later, true)
                }));
            }
        }
        edits
    });
}

/// Nodes that join run from the start; if faults may last longer, a link is from the start what it
/// will be.
fn from_the_start(scenario: &mut Scenario, place: usize, stronger: bool) {
    let Some(step) = scenario.steps.get(place) else {
        return;
    };
    if let Action::Join(nodes) = step.action.clone() {
        scenario.cluster.start.extend(nodes);
        scenario.cluster.start.sort_unstable();
        scenario.cluster.start.dedup();
    } else if let Action::Link(change) = step.action.clone()
        && stronger
    {
        scenario.network.links.push(change);
    } else {
        return;
    }
    scenario.steps.remove(place);
}

/// Nodes that stop and boot again boot only then.
fn late_boot(scenario: &mut Scenario, place: usize) {
    let Some(Step {
        action: Action::Restart { nodes, .. },
        ..
    }) = scenario.steps.get(place)
    else {
        return;
    };
    let late = nodes.clone();
    scenario.steps[place].action = Action::Join(late.clone());
    scenario.cluster.start.retain(|node| !late.contains(node));
    for step in &mut scenario.steps[..place] {
        if let Action::Join(nodes) = &mut step.action {
            nodes.retain(|node| !late.contains(node));
        }
    }
}

/// Makes one step of two: at the time of the first, or of the later one.
fn join_steps(scenario: &mut Scenario, first: usize, later: usize, at_later: bool) {
    let (Some(one), Some(other)) = (scenario.steps.get(first), scenario.steps.get(later)) else {
        return;
    };
    let apart = other.at.first().saturating_sub(one.at.first());
    let at = if at_later { other.at } else { one.at };
    let heals = matches!(other.action, Action::Heal);
    let mut action = one.action.clone();
    if !absorb(&mut action, &other.action, apart) {
        return;
    }
    let step = Step::new(if heals { one.at } else { at }, action);
    scenario.steps.remove(later);
    scenario.steps[first] = step;
}

/// Takes another action into one; `false` if they do not go together.
fn absorb(one: &mut Action, other: &Action, apart: Duration) -> bool {
    if let (Action::Partition { heal_after, .. } | Action::Cut { heal_after, .. }, Action::Heal) =
        (&mut *one, other)
    {
        *heal_after = Some(When::Fixed(apart));
        return true;
    }
    absorb_nodes(one, other) || absorb_start(one, other) || absorb_stop(one, other)
}

/// The same done to more nodes.
fn absorb_nodes(one: &mut Action, other: &Action) -> bool {
    let mut other = other.clone();
    if let (
        Action::Clock { nodes, change },
        Action::Clock {
            nodes: more,
            change: same,
        },
    ) = (&mut *one, &other)
        && change == same
    {
        add(nodes, more);
        return true;
    }
    if let (Action::Restart { strategy, .. }, Action::Restart { strategy: same, .. }) =
        (&mut *one, &other)
        && strategy != same
    {
        return false;
    }
    let (Some((transition, nodes)), Some((same, more))) =
        (one.transition_mut(), other.transition_mut())
    else {
        return false;
    };
    if transition == same {
        add(nodes, more);
    }
    transition == same
}

/// Starts of other children on the same nodes, or of the same children on another node.
fn absorb_start(one: &mut Action, other: &Action) -> bool {
    let (
        Action::StartChildren {
            on,
            children,
            metadata,
            replicas,
            announce,
            via,
        },
        Action::StartChildren {
            on: other_on,
            children: more,
            metadata: other_metadata,
            replicas: other_replicas,
            announce: other_announce,
            via: other_via,
        },
    ) = (one, other)
    else {
        return false;
    };
    if metadata != other_metadata || announce != other_announce {
        return false;
    }
    if (*on, via, &*replicas) == (*other_on, &mut other_via.clone(), other_replicas) {
        return add_children(children, more);
    }
    let same = children.ids() == more.ids();
    if same && !replicas.contains(other_on) && on != other_on {
        replicas.push(*other_on);
    }
    same
}

/// Stops of other children on the same node.
fn absorb_stop(one: &mut Action, other: &Action) -> bool {
    match (one, other) {
        (
            Action::StopChildren { on, children, via },
            Action::StopChildren {
                on: same_on,
                children: more,
                via: same_via,
            },
        ) if on == same_on && via == same_via => add_children(children, more),
        _ => false,
    }
}

fn add_children(children: &mut Children, more: &Children) -> bool {
    let (Children::Ids(ids), Children::Ids(more)) = (children, more) else {
        return false;
    };
    add(ids, more);
    true
}

/// Adds what is not there yet.
fn add<T: Clone + PartialEq>(list: &mut Vec<T>, more: &[T]) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}
