//! Making a scenario whole again from which parts were taken: what depended on them goes, too.
//!
//! Without this, nearly every candidate would be refused by the checks: a `restart` alone is an
//! error once its `crash` is gone.

use std::time::Duration;

use super::parts;
use crate::scenario::model::{Action, LinkChange, NodeIx, Scenario, Step, When};

/// What a node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Never,
    Up,
    Paused,
    Down,
}

/// Sorts the steps by time and takes out what cannot be: steps behind the end, on nodes that do
/// not run, with nothing to act on.
pub(super) fn mend(scenario: &mut Scenario) {
    scenario.steps.sort_by_key(|step| instant(step.at));
    let end = scenario.run.duration;
    scenario
        .network
        .links
        .retain(|link| !link.from.is_empty() && !link.to.is_empty());
    let mut states = vec![State::Never; scenario.cluster.nodes.len()];
    for node in &scenario.cluster.start {
        states[*node as usize] = State::Up;
    }
    scenario.steps.retain_mut(|step| {
        clip(step, end);
        instant(step.at) <= end && fits(&mut step.action, &mut states)
    });
}

/// The instant of a step of a resolved scenario; the first that it can be otherwise.
pub(super) fn instant(at: When) -> Duration {
    match at {
        When::Fixed(at) | When::Between(at, _) => at,
    }
}

/// What would heal behind the end does not heal.
fn clip(step: &mut Step, end: Duration) {
    let at = instant(step.at);
    if let Action::Partition { heal_after, .. } | Action::Cut { heal_after, .. } = &mut step.action
    {
        *heal_after = heal_after.filter(|after| at + instant(*after) <= end);
    }
}

/// Reduces an action to what is possible, and does it; `false` if nothing is left.
fn fits(action: &mut Action, states: &mut [State]) -> bool {
    match action {
        Action::Join(nodes) => change(nodes, states, &[State::Never], State::Up),
        Action::Restart(nodes) => change(nodes, states, &[State::Down], State::Up),
        Action::Leave(nodes) | Action::Crash(nodes) => {
            change(nodes, states, &[State::Up, State::Paused], State::Down)
        }
        Action::Pause(nodes) => change(nodes, states, &[State::Up], State::Paused),
        Action::Resume(nodes) => change(nodes, states, &[State::Paused], State::Up),
        Action::Partition { groups, .. } => cover(groups, states),
        Action::Cut { from, to, .. } | Action::Link(LinkChange { from, to, .. }) => {
            !from.is_empty() && !to.is_empty()
        }
        Action::Clock { nodes, .. } => !nodes.is_empty(),
        Action::Heal => true,
        Action::StartChildren { .. }
        | Action::StopChildren { .. }
        | Action::RestartChild { .. }
        | Action::Propagate { .. }
        | Action::Sync(_)
        | Action::Broadcast { .. }
        | Action::Rows { .. }
        | Action::View { .. } => command_fits(action, states),
    }
}

/// A command to a node needs it running, and needs something to say.
fn command_fits(action: &mut Action, states: &[State]) -> bool {
    let runs = |node: NodeIx| match states[node as usize] {
        State::Up | State::Paused => true,
        State::Never | State::Down => false,
    };
    if let Action::StartChildren { replicas, .. } = action {
        replicas.retain(|node| runs(*node));
    }
    if let Some(via) = parts::originator(action) {
        *via = via.filter(|via| runs(*via));
    }
    let says = parts::children(action).is_none_or(|children| !children.is_empty())
        && parts::requests(action).is_none_or(|requests| !requests.is_empty());
    says && parts::subject(action).is_none_or(|node| runs(*node))
}

/// Keeps the nodes that are in one of the states, and changes theirs.
fn change(nodes: &mut Vec<NodeIx>, states: &mut [State], from: &[State], to: State) -> bool {
    nodes.retain(|node| from.contains(&states[*node as usize]));
    for node in &*nodes {
        states[*node as usize] = to;
    }
    !nodes.is_empty()
}

/// Puts every running node into a group: into the last, if it was in none.
fn cover(groups: &mut Vec<Vec<NodeIx>>, states: &[State]) -> bool {
    groups.retain(|group| !group.is_empty());
    let missing: Vec<NodeIx> = (0..)
        .zip(states)
        .filter(|(node, state)| {
            matches!(state, State::Up | State::Paused)
                && !groups.iter().any(|group| group.contains(node))
        })
        .map(|(node, _)| node)
        .collect();
    let Some(last) = groups.last_mut() else {
        return false;
    };
    last.extend(missing);
    last.sort_unstable();
    groups.len() > 1
}
