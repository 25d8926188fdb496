//! Whether each expectation can be judged within the run.

use std::time::Duration;

use hublab_strategies::{NodeId, Time};

use super::timeline::Timeline;
use super::{Sink, latest, order_problem, shown_duration};
use crate::model::{Action, After, Claim, NodeIx, Scenario, When};
use crate::scenario::diagnostic::Problem;
use crate::scenario::read::ExpectSites;
use crate::scenario::suggest;

/// Reports the expectations whose time lies after the end of the run, for some seed.
pub(super) fn deadlines(scenario: &Scenario, sites: &[ExpectSites], report: Sink<'_>) {
    let end = scenario.run.duration;
    for (expectation, sites) in scenario.expectations.iter().zip(sites) {
        let (deadline, at) = match &expectation.claim {
            Claim::Converged { within, after, .. } => match latest_start(scenario, *after) {
                Some(start) => (start + *within, sites.claim),
                None => {
                    report(Problem::NothingHeals { at: sites.claim });
                    continue;
                }
            },
            Claim::Registry { at, .. } | Claim::Entry { at, .. } => {
                (Duration::from_micros(at.0), sites.at)
            }
            Claim::Always(_) | Claim::Violates(_) | Claim::Metric { .. } => continue,
        };
        if deadline > end {
            let (deadline, end) = (shown_duration(deadline), shown_duration(end));
            report(Problem::UnreachableExpectation { deadline, end, at });
        }
    }
}

/// The last instant from which convergence can be demanded; `None` without a heal to wait for.
fn latest_start(scenario: &Scenario, after: After) -> Option<Duration> {
    let steps = scenario.steps.iter();
    match after {
        After::LastStep => Some(steps.map(latest).max().unwrap_or_default()),
        After::Heal => steps
            .filter(|step| step.action == Action::Heal || step.action.heal_after().is_some())
            .map(latest)
            .max(),
        After::Time(time) => Some(time),
    }
}

/// Reports the claims about a registry whose node does not run then.
pub(super) fn subjects(
    scenario: &Scenario,
    timeline: &Timeline,
    sites: &[ExpectSites],
    report: Sink<'_>,
) {
    for (expectation, sites) in scenario.expectations.iter().zip(sites) {
        match &expectation.claim {
            Claim::Registry { at, on, .. } | Claim::Entry { at, on, .. } if timeline.knows(*on) => {
                subject(scenario, timeline, (*at, *on), sites, report);
            }
            Claim::Registry { .. }
            | Claim::Entry { .. }
            | Claim::Converged { .. }
            | Claim::Always(_)
            | Claim::Violates(_)
            | Claim::Metric { .. } => {}
        }
    }
}

fn subject(
    scenario: &Scenario,
    timeline: &Timeline,
    (time, node): (Time, NodeIx),
    sites: &ExpectSites,
    report: Sink<'_>,
) {
    let when = Duration::from_micros(time.0);
    match timeline.state(node, When::Fixed(when), usize::MAX) {
        Ok(standing) if standing.runs() => {}
        Ok(standing) => {
            let (state, since) = (timeline.told(scenario, node, standing), standing.site());
            let node = scenario
                .cluster
                .nodes
                .get(node as usize)
                .map(NodeId::as_str)
                .unwrap_or_default();
            let (node, time) = (suggest::shown(node), shown_duration(when));
            report(Problem::ClaimOnStoppedNode {
                node,
                time,
                state,
                at: sites.claim,
                since,
            });
        }
        Err(other) => report(order_problem(scenario, node, other, sites.claim)),
    }
}
