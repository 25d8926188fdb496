//! What must be right about a scenario as a whole before anything runs: times, who runs when,
//! and whether each expectation can be judged.
//!
//! A range is taken for all of its instants: a file is accepted only if it can run with every
//! seed. Where a step could come before or after another that decides whether its node runs,
//! that is a problem of its own. So every draw of an accepted file is an accepted file.

mod expect;
mod timeline;

use std::time::Duration;

use super::diagnostic::Problem;
use super::read::{Sites, StepSites, shown_duration};
use crate::model::{Action, NodeIx, Scenario, Step, When};
use timeline::Timeline;

/// Where problems go.
type Sink<'s> = &'s mut dyn FnMut(Problem);

/// Checks a scenario whose single values are right.
pub(super) fn check(scenario: &Scenario, sites: &Sites, report: Sink<'_>) {
    let steps = || scenario.steps.iter().zip(&sites.steps);
    for (step, sites) in steps() {
        times(step, sites, scenario.run.duration, report);
    }
    expect::deadlines(scenario, &sites.expectations, report);
    if sites.unread {
        return;
    }
    let timeline = Timeline::of(scenario, sites, report);
    for (order, (step, sites)) in steps().enumerate() {
        needs(scenario, &timeline, (order, step, sites), report);
        if let Action::Partition { groups, .. } = &step.action {
            coverage(scenario, &timeline, (order, step, sites), groups, report);
        }
    }
    expect::subjects(scenario, &timeline, &sites.expectations, report);
}

/// The first and the last instant that a time can be.
pub(super) fn bounds(when: When) -> (Duration, Duration) {
    match when {
        When::Fixed(time) => (time, time),
        When::Between(from, to) => (from, to),
    }
}

/// The last instant at which a step, or its `heal_after`, can act.
pub(super) fn latest(step: &Step) -> Duration {
    let healed = step
        .action
        .heal_after()
        .map_or(Duration::ZERO, |when| bounds(when).1);
    bounds(step.at).1 + healed
}

/// A time as messages show it: a duration, or a range.
fn shown_when(when: When) -> String {
    match when {
        When::Fixed(time) => shown_duration(time),
        When::Between(from, to) => format!("{}..{}", shown_duration(from), shown_duration(to)),
    }
}

fn times(step: &Step, sites: &StepSites, end: Duration, report: Sink<'_>) {
    let (_, last) = bounds(step.at);
    if last > end {
        report(Problem::AfterTheEnd {
            time: shown_duration(last),
            end: shown_duration(end),
            at: sites.at,
        });
    } else if let Some(at) = sites.heal_after.filter(|_| latest(step) > end) {
        report(Problem::HealsAfterTheEnd {
            time: shown_duration(latest(step)),
            end: shown_duration(end),
            at,
        });
    }
}

/// Whether the nodes that a step acts on run when it comes. Boots and stops are part of the
/// timeline and were checked with it.
fn needs(
    scenario: &Scenario,
    timeline: &Timeline,
    (order, step, sites): (usize, &Step, &StepSites),
    report: Sink<'_>,
) {
    match &step.action {
        Action::Join(_)
        | Action::Leave(_)
        | Action::Crash(_)
        | Action::Restart(_)
        | Action::Pause(_)
        | Action::Resume(_)
        | Action::Partition { .. }
        | Action::Cut { .. }
        | Action::Heal
        | Action::Link(_)
        | Action::Clock { .. } => return,
        Action::StartChildren { .. }
        | Action::StopChildren { .. }
        | Action::RestartChild { .. }
        | Action::Propagate { .. }
        | Action::Sync(_)
        | Action::Broadcast { .. }
        | Action::Rows { .. }
        | Action::View { .. } => {}
    }
    for (at, nodes) in sites.subject.elements() {
        let wrong = nodes
            .iter()
            .filter(|node| timeline.knows(**node))
            .find_map(|node| {
                let problem = match timeline.state(*node, step.at, order) {
                    Ok(standing) if standing.runs() => return None,
                    Ok(standing) => {
                        timeline.not_running(scenario, *node, standing, step.action.name(), at)
                    }
                    Err(other) => order_problem(scenario, *node, other, at),
                };
                Some(problem)
            });
        if let Some(problem) = wrong {
            report(problem);
        }
    }
}

fn order_problem(
    scenario: &Scenario,
    node: NodeIx,
    other: miette::SourceSpan,
    at: miette::SourceSpan,
) -> Problem {
    Problem::OrderDependsOnSeed {
        node: timeline::name(scenario, node),
        other,
        at,
    }
}

/// Whether every node that runs when a partition comes is in one of its groups.
fn coverage(
    scenario: &Scenario,
    timeline: &Timeline,
    (order, step, sites): (usize, &Step, &StepSites),
    groups: &[Vec<NodeIx>],
    report: Sink<'_>,
) {
    const NAMED: usize = 3;
    let members: usize = groups.iter().map(Vec::len).sum();
    if members >= scenario.cluster.nodes.len() {
        return;
    }
    let mut grouped = vec![false; scenario.cluster.nodes.len()];
    groups
        .iter()
        .flatten()
        .for_each(|node| grouped[*node as usize] = true);
    let mut missing = Vec::new();
    for node in (0..)
        .take(grouped.len())
        .filter(|node| !grouped[*node as usize] && timeline.knows(*node))
    {
        match timeline.state(node, step.at, order) {
            Ok(standing) if standing.runs() => missing.push(timeline::name(scenario, node)),
            Ok(_) => {}
            Err(other) => return report(order_problem(scenario, node, other, sites.action)),
        }
    }
    let rest = missing.len().saturating_sub(NAMED);
    let named = missing
        .iter()
        .take(NAMED)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    let nodes = match missing.len() {
        0 => return,
        1 => format!("{named} is"),
        2..=NAMED => format!("{named} are"),
        _ => format!("{named} and {rest} more are"),
    };
    report(Problem::InNoGroup {
        nodes,
        at: sites.action,
    });
}
