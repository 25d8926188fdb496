//! The cost by which one scenario is simpler than another. Every accepted candidate costs less than the one
//! before, so the search ends.

use super::search::total_time;
use crate::model::{Action, Latency, LinkParams, Scenario};

/// How hard a scenario is to grasp, the weightiest part first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost {
    steps: usize,
    nodes: usize,
    /// Parts that are left to chance: such a file is harder to read.
    chance: usize,
    /// The length of the file, which counts children, requests, settings and digits alike.
    length: usize,
    /// All instants together, in microseconds.
    time: u64,
}

impl Cost {
    /// That of a scenario; `text` is its file.
    pub(super) fn of(scenario: &Scenario, text: &str) -> Self {
        Self {
            steps: scenario.steps.len(),
            nodes: scenario.cluster.nodes.len(),
            chance: chance(scenario),
            length: text.len(),
            time: total_time(scenario),
        }
    }
}

/// How many values of links are drawn.
fn chance(scenario: &Scenario) -> usize {
    let LinkParams {
        latency,
        loss,
        duplicate,
        ..
    } = scenario.network.base;
    let base = (Some(latency), Some(loss), Some(duplicate));
    let steps = scenario.steps.iter().filter_map(|step| {
        if let Action::Link(change) = &step.action {
            Some(change)
        } else {
            None
        }
    });
    let links = scenario
        .network
        .links
        .iter()
        .chain(steps)
        .map(|change| (change.latency, change.loss, change.duplicate));
    std::iter::once(base)
        .chain(links)
        .map(|(latency, loss, duplicate)| {
            usize::from(latency.is_some_and(is_drawn))
                + usize::from(loss.is_some_and(is_open))
                + usize::from(duplicate.is_some_and(is_open))
        })
        .sum()
}

fn is_drawn(latency: Latency) -> bool {
    match latency {
        Latency::Constant(_) => false,
        Latency::Uniform(low, high) => low != high,
        Latency::Exponential { .. } | Latency::Lognormal { .. } | Latency::Bimodal { .. } => true,
    }
}

/// True if an event of this probability may happen and may not.
fn is_open(probability: f64) -> bool {
    probability > 0.0 && probability < 1.0
}
