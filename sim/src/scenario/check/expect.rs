//! The check that each expectation can be judged within the run.

use std::collections::BTreeSet;
use std::time::Duration;

use hublab_strategies::time::micros;
use hublab_strategies::{ChildId, NodeId, Time};

use super::timeline::Timeline;
use super::{Sink, order_problem, shown_duration};
use crate::catalog::Catalog;
use crate::metric::DROPPED_BY_REASON;
use crate::model::{After, Claim, Instants, NodeIx, On, Scenario, When};
use crate::scenario::diagnostic::Problem;
use crate::scenario::read::Spots;
use crate::scenario::suggest;

/// Reports the expectations whose time lies after the end of the run, for some seed.
pub(super) fn deadlines(scenario: &Scenario, sites: &[Spots], report: Sink<'_>) {
    let end = scenario.run.duration;
    for (expectation, sites) in scenario.expectations.iter().zip(sites) {
        let converged = if let Claim::Converged { within, after, .. } = &expectation.claim {
            Some((*within, latest_start(scenario, *after)))
        } else {
            None
        };
        let (deadline, at) = match (converged, expectation.claim.when()) {
            (Some((within, Some(start))), _) => (start + within, sites.key("within")),
            (Some((_, None)), _) => {
                report(Problem::NothingHeals {
                    at: sites.key("within"),
                });
                continue;
            }
            (None, Some(when)) => (Duration::from_micros(when.last().0), instants(when, sites)),
            (None, None) => continue,
        };
        if deadline > end {
            let (deadline, end) = (shown_duration(deadline), shown_duration(end));
            report(Problem::UnreachableExpectation { deadline, end, at });
        }
    }
}

/// Where the instants of a claim stand.
fn instants(when: Instants, sites: &Spots) -> miette::SourceSpan {
    sites.value(match when {
        Instants::At(_) => "at",
        Instants::During(..) => "during",
        Instants::By(_) => "by",
    })
}

/// Reports the windows of metrics that cannot be cut in time, and those that the run does not come to.
pub(super) fn windows(scenario: &Scenario, sites: &[Spots], catalog: &Catalog, report: Sink<'_>) {
    let end = Time(micros(scenario.run.duration));
    for (expectation, sites) in scenario.expectations.iter().zip(sites) {
        let Claim::Metric { name, window, .. } = &expectation.claim else {
            continue;
        };
        if window.is_whole() {
            continue;
        }
        let late = match window.to {
            Some(to) if to > end => Some((to, "to")),
            Some(_) | None => (window.from > end).then_some((window.from, "from")),
        };
        if let Some((late, key)) = late {
            report(Problem::UnreachableExpectation {
                deadline: late.to_string(),
                end: end.to_string(),
                at: sites.value(key),
            });
        }
        let base = name.split_once('.').map_or(name.as_str(), |(base, _)| base);
        let metric = catalog.metric(name).or_else(|| catalog.metric(base));
        if metric.is_some_and(|metric| !metric.over_windows) {
            report(Problem::NotCut {
                metric: suggest::shown(name),
                at: sites.value("name"),
            });
        }
    }
}

/// Reports metrics of kinds of messages that no strategy of the file has.
pub(super) fn kinds(scenario: &Scenario, sites: &[Spots], catalog: &Catalog, report: Sink<'_>) {
    let only = scenario.expectations.iter();
    let only = only.filter_map(|expectation| expectation.strategy.as_ref());
    let strategies: BTreeSet<&String> = scenario.run.strategies.iter().chain(only).collect();
    let entries = strategies.iter().filter_map(|name| catalog.get(name));
    let Some(kinds) = entries
        .map(|entry| entry.kinds())
        .collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let kinds: BTreeSet<&str> = kinds.into_iter().flatten().collect();
    for (expectation, sites) in scenario.expectations.iter().zip(sites) {
        if let Claim::Metric { name, .. } = &expectation.claim
            && catalog.metric(name).is_none()
            && !name.starts_with(DROPPED_BY_REASON)
            && let Some((_, kind)) = name.split_once('.')
            && !kinds.contains(kind)
        {
            report(Problem::UnknownKind {
                kind: suggest::shown(kind),
                at: sites.value("name"),
                help: suggest::help(kind, kinds.iter().copied()),
            });
        }
    }
}

/// Reports the children that a registry must have and must lack.
pub(super) fn contradictions(scenario: &Scenario, sites: &[Spots], report: Sink<'_>) {
    for (expectation, sites) in scenario.expectations.iter().zip(sites) {
        if let Claim::Registry { has, lacks, .. } = &expectation.claim {
            let has: BTreeSet<&ChildId> = has.iter().collect();
            if let Some(child) = lacks.iter().find(|child| has.contains(child)) {
                report(Problem::Contradiction {
                    child: suggest::shown(child.as_str()),
                    at: sites.key("lacks"),
                });
            }
        }
    }
}

/// The last instant from which convergence can be demanded; `None` without a heal to wait for.
fn latest_start(scenario: &Scenario, after: After) -> Option<Duration> {
    match after {
        After::LastStep => Some(scenario.last_step()),
        After::Heal => scenario.last_heal(),
        After::Time(time) => Some(time),
    }
}

/// Reports the claims about a registry whose node does not run then.
pub(super) fn subjects(
    scenario: &Scenario,
    timeline: &Timeline,
    sites: &[Spots],
    report: Sink<'_>,
) {
    for (expectation, sites) in scenario.expectations.iter().zip(sites) {
        let Some(Instants::At(at) | Instants::During(at, _)) = expectation.claim.when() else {
            continue;
        };
        let (nodes, key) = match &expectation.claim {
            Claim::Registry {
                on: On::One(on), ..
            }
            | Claim::Entry {
                on: On::One(on), ..
            }
            | Claim::View {
                on: On::One(on), ..
            } => (std::slice::from_ref(on), "on"),
            Claim::Connected {
                nodes: Some(nodes), ..
            } => (nodes.as_slice(), "nodes"),
            Claim::Registry { .. }
            | Claim::Entry { .. }
            | Claim::View { .. }
            | Claim::Connected { .. }
            | Claim::Owners { .. }
            | Claim::Sometimes { .. }
            | Claim::Converged { .. }
            | Claim::Always(_)
            | Claim::Violates(_)
            | Claim::Metric { .. } => continue,
        };
        for node in nodes {
            subject(scenario, timeline, (at, *node), sites.value(key), report);
        }
    }
}

fn subject(
    scenario: &Scenario,
    timeline: &Timeline,
    (time, node): (Time, NodeIx),
    spot: miette::SourceSpan,
    report: Sink<'_>,
) {
    let when = Duration::from_micros(time.0);
    if !timeline.knows(node, When::Fixed(when), usize::MAX) {
        return;
    }
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
                at: spot,
                since,
            });
        }
        Err(other) => report(order_problem(scenario, node, other, spot)),
    }
}
