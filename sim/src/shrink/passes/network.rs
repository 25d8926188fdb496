//! The network: less of what it does to messages, and simpler laws.

use std::time::Duration;

use super::names::SEEDS;
use super::numbers::rounded_above_zero;
use crate::model::{Action, Latency, LinkChange, LinkParams, Network, Order, Scenario};
use crate::shrink::search::{Edit, Search};

/// A change of the network as a whole.
type Change = Box<dyn Fn(&mut Network)>;

/// Makes the network the default one, or at least a simpler one.
pub(super) fn network(search: &mut Search<'_>) {
    let stronger = search.may_strengthen();
    search.edit(move |scenario, _| of_base(scenario, stronger));
    search.edit(move |scenario, _| {
        let links = scenario
            .network
            .links
            .iter()
            .enumerate()
            .flat_map(|(place, link)| {
                values(link, stronger)
                    .into_iter()
                    .map(move |(latency, loss, duplicate)| -> Edit {
                        Box::new(move |scenario| {
                            if let Some(link) = scenario.network.links.get_mut(place) {
                                (link.latency, link.loss, link.duplicate) =
                                    (latency, loss, duplicate);
                            }
                        })
                    })
            });
        let steps = scenario.steps.iter().enumerate().flat_map(|(place, step)| {
            let change = if let Action::Link(change) = &step.action {
                values(change, stronger)
            } else {
                Vec::new()
            };
            change
                .into_iter()
                .map(move |(latency, loss, duplicate)| -> Edit {
                    Box::new(move |scenario| {
                        if let Action::Link(link) = &mut scenario.steps[place].action {
                            (link.latency, link.loss, link.duplicate) = (latency, loss, duplicate);
                        }
                    })
                })
        });
        links.chain(steps).collect()
    });
}

/// Simpler values of all links without overrides; `stronger` ones, too, if they may be.
fn of_base(scenario: &Scenario, stronger: bool) -> Vec<Edit> {
    let seed = scenario.run.seed;
    let base = scenario.network.base;
    let default = LinkParams::default().latency;
    let plain = if stronger || typical(default)[0] <= typical(base.latency)[0] {
        default
    } else {
        base.latency
    };
    let network = &scenario.network;
    let mut changes: Vec<Change> = vec![
        Box::new(move |network| {
            *network = Network::default();
            network.base.latency = plain;
        }),
        Box::new(move |network| {
            let links = std::mem::take(&mut network.links);
            *network = Network::default();
            network.links = links;
            network.base.latency = plain;
        }),
        Box::new(|network| network.send_gap = Duration::ZERO),
        Box::new(|network| network.service_time = Duration::ZERO),
        Box::new(|network| network.max_message_bytes = 0),
        Box::new(|network| network.queue_limit = 0),
        Box::new(|network| network.base.bytes_per_second = 0),
        Box::new(|network| network.base.order = Order::Fifo),
        Box::new(|network| network.base.duplicate = 0.0),
        Box::new(|network| network.base.loss = 0.0),
        Box::new(move |network| network.base.latency = plain),
    ];
    for latency in simpler_laws(base.latency, stronger) {
        changes.push(Box::new(move |network| network.base.latency = latency));
    }
    for loss in simpler_chances(base.loss, stronger) {
        changes.push(Box::new(move |network| network.base.loss = loss));
    }
    for duplicate in simpler_chances(base.duplicate, stronger) {
        changes.push(Box::new(move |network| network.base.duplicate = duplicate));
    }
    for gap in no_longer(network.send_gap, stronger) {
        changes.push(Box::new(move |network| network.send_gap = gap));
    }
    for time in no_longer(network.service_time, stronger) {
        changes.push(Box::new(move |network| network.service_time = time));
    }
    changes
        .into_iter()
        .flat_map(|change| with_seeds(change.into(), seed))
        .collect()
}

/// A change, tried with the seed as it is and with some others: other laws draw other numbers.
fn with_seeds(change: std::rc::Rc<dyn Fn(&mut Network)>, seed: u64) -> Vec<Edit> {
    let others = SEEDS.filter(|other| *other != seed);
    std::iter::once(seed)
        .chain(others)
        .map(|seed| -> Edit {
            let change = std::rc::Rc::clone(&change);
            Box::new(move |scenario| {
                change(&mut scenario.network);
                scenario.run.seed = seed;
            })
        })
        .collect()
}

/// The values of a change of links that chance has to do with.
type Values = (Option<Latency>, Option<f64>, Option<f64>);

/// Simpler values of a changed link.
fn values(link: &LinkChange, stronger: bool) -> Vec<Values> {
    let LinkChange {
        latency,
        loss,
        duplicate,
        ..
    } = link;
    let laws = latency.map(|law| simpler_laws(law, stronger));
    let laws = laws.unwrap_or_default();
    let chances = |chance: f64| simpler_chances(chance, stronger);
    let losses = loss.map(chances).unwrap_or_default();
    let duplicates = duplicate.map(chances).unwrap_or_default();
    laws.into_iter()
        .map(|law| (Some(law), *loss, *duplicate))
        .chain(
            losses
                .into_iter()
                .map(|loss| (*latency, Some(loss), *duplicate)),
        )
        .chain(
            duplicates
                .into_iter()
                .map(|duplicate| (*latency, *loss, Some(duplicate))),
        )
        .collect()
}

/// The latencies that a law is near, the usual one first.
fn typical(law: Latency) -> Vec<Duration> {
    match law {
        Latency::Constant(value) => vec![value],
        Latency::Uniform(low, high) => vec![(low + high) / 2, low, high],
        Latency::Exponential { min, mean } => vec![mean, min],
        Latency::Lognormal { median, p99 } => vec![median, p99],
        Latency::Bimodal { fast, slow, .. } => vec![fast, slow],
    }
}

/// Constant laws near this one, the plainest first; slower ones only if faults may get stronger.
fn simpler_laws(law: Latency, stronger: bool) -> Vec<Latency> {
    let typical = typical(law);
    let mut all: Vec<Latency> = typical
        .iter()
        .flat_map(|value| rounded_above_zero(*value).into_iter().chain([*value]))
        .filter(|value| stronger || *value <= typical[0])
        .map(Latency::Constant)
        .filter(|other| *other != law)
        .collect();
    all.dedup();
    all
}

/// Rounder durations; longer ones only if faults may get stronger.
fn no_longer(duration: Duration, stronger: bool) -> Vec<Duration> {
    let mut all = rounded_above_zero(duration);
    all.retain(|other| stronger || *other < duration);
    all
}

/// Probabilities that leave less to chance, or are rounder; higher ones only if faults may get
/// stronger.
fn simpler_chances(probability: f64, stronger: bool) -> Vec<f64> {
    let mut all = vec![0.0, 1.0, 0.5, 0.1];
    all.extend([10.0, 100.0].map(|parts: f64| libm::round(probability * parts) / parts));
    all.retain(|other| (other - probability).abs() > f64::EPSILON);
    all.retain(|other| stronger || *other < probability);
    all
}
