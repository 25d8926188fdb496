//! The checks of a scenario as a whole before anything runs: times, the life of each node,
//! and whether each expectation can be judged.
//!
//! A range is taken for all of its instants: a file is accepted only if it can run with every
//! seed. Where a step could come before or after another that decides whether its node runs,
//! that is a problem of its own. So every draw of an accepted file is an accepted file.

mod expect;
mod timeline;
mod warn;

use std::time::Duration;

use super::diagnostic::Problem;
use super::read::{CHILDREN_MAX, STEPS_MAX, Sites, Spots, shown_duration};
use super::warning::Warning;
use crate::catalog::Catalog;
use crate::model::{Action, End, Every, NodeIx, Repeat, Scenario, Step, When};
use timeline::Timeline;

/// Where problems go.
type Sink<'s> = &'s mut dyn FnMut(Problem);

/// Checks a scenario whose single values are right; what comes back are warnings, which mean
/// something only if there are no problems.
pub(super) fn check(
    scenario: &Scenario,
    sites: &Sites,
    catalog: &Catalog,
    report: Sink<'_>,
) -> Vec<Warning> {
    let steps = || scenario.steps.iter().zip(&sites.steps);
    for (step, sites) in steps() {
        times(step, sites, scenario.run.duration, report);
    }
    counts(scenario, &sites.steps, report);
    children(scenario, &sites.steps, report);
    expect::deadlines(scenario, &sites.expectations, report);
    expect::windows(scenario, &sites.expectations, catalog, report);
    expect::kinds(scenario, &sites.expectations, catalog, report);
    expect::contradictions(scenario, &sites.expectations, report);
    if let (Some(branch), Some(at)) = (scenario.run.branch, sites.branch)
        && branch.after > scenario.run.duration
    {
        let (time, end) = (branch.after, scenario.run.duration);
        let (time, end) = (shown_duration(time), shown_duration(end));
        report(Problem::BranchAfterTheEnd { time, end, at });
    }
    let mut warnings = Vec::new();
    if sites.unread {
        return warnings;
    }
    let timeline = Timeline::of(scenario, sites, report);
    for (order, (step, sites)) in steps().enumerate() {
        needs(scenario, &timeline, (order, step, sites), report);
        if let Action::Partition { groups, .. } = &step.action {
            coverage(scenario, &timeline, (order, step, sites), groups, report);
        }
    }
    expect::subjects(scenario, &timeline, &sites.expectations, report);
    warn::warn(scenario, sites, &timeline, &mut |warning| {
        warnings.push(warning);
    });
    warnings
}

/// A time as messages show it: a duration, or a range.
fn shown_when(when: When) -> String {
    match when {
        When::Fixed(time) => shown_duration(time),
        When::Between(from, to) => format!("{}..{}", shown_duration(from), shown_duration(to)),
    }
}

/// Repetitions of more steps than a scenario may have.
fn counts(scenario: &Scenario, sites: &[Spots], report: Sink<'_>) {
    let mut total = 0_u64;
    for (step, sites) in scenario.steps.iter().zip(sites) {
        if let Action::LeftOut { .. } = step.action {
            continue;
        }
        let each = step.on().map_or(1, |on| on.len() as u64);
        // A link both ways is written out as a step for each way.
        let ways = if let Action::Link(change) = &step.action {
            change.each_way().count() as u64
        } else {
            1
        };
        let before = total;
        let count = step.count_max().saturating_mul(each);
        total = before.saturating_add(count.saturating_mul(ways));
        if before <= STEPS_MAX as u64 && total > STEPS_MAX as u64 {
            let count = usize::try_from(total).unwrap_or(usize::MAX);
            let at = sites.key("every");
            report(Problem::TooManySteps { count, at });
        }
    }
}

/// Starts of more children than a scenario may have, and starts on a node that is its own replica.
fn children(scenario: &Scenario, sites: &[Spots], report: Sink<'_>) {
    let mut total = 0_u64;
    for (step, sites) in scenario.steps.iter().zip(sites) {
        let Action::StartChildren {
            on,
            children,
            replicas,
            ..
        } = &step.action
        else {
            continue;
        };
        if step.pattern.is_none() && replicas.contains(on) {
            report(Problem::Repeated {
                word: timeline::name(scenario, *on),
                at: sites.value("replicas"),
            });
        }
        let (count, targets) = (children.len() as u64, 1 + replicas.len() as u64);
        let each = step.on().map_or(1, |on| on.len() as u64);
        let targets = targets
            .saturating_mul(each)
            .saturating_mul(step.count_max());
        let before = total;
        total = before.saturating_add(count.saturating_mul(targets));
        if before <= CHILDREN_MAX && total > CHILDREN_MAX {
            let spot = sites.get("count").or(sites.get("ids"));
            report(Problem::TooManyChildren {
                total,
                count,
                targets,
                at: spot.map_or(sites.header, |spot| spot.key),
            });
        }
    }
}

fn times(step: &Step, sites: &Spots, end: Duration, report: Sink<'_>) {
    if let Some(Repeat {
        end: End::Until(until),
        ..
    }) = step.repeat()
        && (step.at.last() >= *until || *until > end)
    {
        let at = sites.value("until");
        report(if *until > end {
            let (time, end) = (shown_duration(*until), shown_duration(end));
            Problem::AfterTheEnd { time, end, at }
        } else {
            let (smaller, larger) = ("at", "until");
            Problem::Disordered {
                smaller,
                larger,
                at,
            }
        });
        return;
    }
    let last = match step.repeat() {
        // Where gaps are drawn, what is later is left out: only what is expected has to be in time.
        Some(Repeat {
            every: Every::Mean(mean),
            end: End::Times(times),
        }) => step.at.last() + mean.saturating_mul(times.saturating_sub(1)),
        Some(_) | None => step.last_begin(),
    };
    let heals_late = || match step.repeat() {
        Some(Repeat {
            every: Every::Mean(_),
            ..
        }) => false,
        Some(_) | None => step.last() > end,
    };
    if last > end {
        report(Problem::AfterTheEnd {
            time: shown_duration(last),
            end: shown_duration(end),
            at: if step.repeat().is_some() {
                sites.value("times")
            } else {
                sites.value("at")
            },
        });
    } else if let Some(spot) = sites.get("heal_after").filter(|_| heals_late()) {
        report(Problem::HealsAfterTheEnd {
            time: shown_duration(step.last()),
            end: shown_duration(end),
            at: spot.value,
        });
    }
}

/// True if the nodes that a step acts on run when it comes. Boots and stops are part of the
/// timeline and were checked with it.
fn needs(
    scenario: &Scenario,
    timeline: &Timeline,
    (order, step, sites): (usize, &Step, &Spots),
    report: Sink<'_>,
) {
    // A repetition is left out where it is not possible, and a choice is made of those that run.
    if step.action.transition().is_some() || step.repeat().is_some() {
        return;
    }
    let random = step.pattern.as_ref().map(|pattern| &pattern.random);
    for (key, at, nodes) in sites.subjects() {
        if random.is_some_and(|random| random.contains_key(key)) {
            continue;
        }
        let wrong = nodes
            .iter()
            .filter(|node| timeline.knows(**node, step.at, order))
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

/// True if every node that runs when a partition comes is in one of its groups.
fn coverage(
    scenario: &Scenario,
    timeline: &Timeline,
    (order, step, sites): (usize, &Step, &Spots),
    groups: &[Vec<NodeIx>],
    report: Sink<'_>,
) {
    const NAMED: usize = 3;
    let parting = step.pattern.as_ref().and_then(|pattern| pattern.parting);
    if parting.is_some() {
        return;
    }
    let when = if step.repeat().is_some() {
        When::Between(step.at.first(), step.last_begin())
    } else {
        step.at
    };
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
        .filter(|node| !grouped[*node as usize])
    {
        if !timeline.knows(node, when, order) {
            if timeline.is_open(node, when, order) {
                missing.push(timeline::name(scenario, node));
            }
            continue;
        }
        match timeline.state(node, when, order) {
            Ok(standing) if standing.runs() => missing.push(timeline::name(scenario, node)),
            Ok(_) => {}
            Err(_) if step.repeat().is_some() => missing.push(timeline::name(scenario, node)),
            Err(other) => {
                return report(order_problem(scenario, node, other, sites.key("partition")));
            }
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
        at: sites.key("partition"),
    });
}
