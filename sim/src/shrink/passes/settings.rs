//! The settings of cluster and strategy: as many as possible at their defaults, the others round.

use std::time::Duration;

use hublab_strategies::time::{format_duration, parse_duration};
use serde_json::Value;

use super::numbers::rounded_above_zero;
use crate::model::{Cluster, NodeOverride, Scenario};
use crate::scenario::parts;
use crate::scenario::shape::NODE;
use crate::shrink::search::{Edit, Search};

/// A duration of `[cluster]`.
type Setting = fn(&mut Cluster) -> &mut Duration;

const SETTINGS: &[Setting] = &[
    |cluster| &mut cluster.discovery_interval,
    |cluster| &mut cluster.join_debounce,
    |cluster| &mut cluster.down_after,
    |cluster| &mut cluster.crash_detected_after,
];

/// A duration of `[[cluster.node]]`.
type OverrideOf = fn(&mut NodeOverride) -> &mut Option<Duration>;

const OVERRIDES: &[OverrideOf] = &[
    |of| &mut of.service_time,
    |of| &mut of.send_gap,
    |of| &mut of.discovery_interval,
    |of| &mut of.join_debounce,
    |of| &mut of.down_after,
];

/// Further time that a run is given with a setting at its default, which may be longer than what
/// the scenario had: as it is, and these.
const LONGER: &[Duration] = &[
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(300),
];

/// Leaves settings out, then rounds them.
pub(super) fn settings(search: &mut Search<'_>) {
    search.edit(|scenario, _| {
        let mut edits: Vec<Edit> = defaults(scenario)
            .into_iter()
            .flat_map(|edit| with_time(edit.into()))
            .collect();
        edits.extend(rounder(scenario));
        edits
    });
}

fn defaults(scenario: &Scenario) -> Vec<Edit> {
    let mut edits: Vec<Edit> = vec![Box::new(|scenario| {
        scenario.strategies.clear();
        let cluster = std::mem::take(&mut scenario.cluster);
        scenario.cluster.nodes = cluster.nodes;
        scenario.cluster.start = cluster.start;
    })];
    for (name, parameters) in &scenario.strategies {
        for key in parameters.keys() {
            let (name, key) = (name.clone(), key.clone());
            edits.push(Box::new(move |scenario| {
                if let Some(parameters) = scenario.strategies.get_mut(&name) {
                    parameters.remove(&key);
                }
            }));
        }
    }
    for setting in SETTINGS {
        edits.push(Box::new(move |scenario| {
            *setting(&mut scenario.cluster) = *setting(&mut Cluster::default());
        }));
    }
    edits.push(Box::new(|scenario| {
        scenario.cluster.down_spread = Cluster::default().down_spread;
    }));
    edits.extend(alike(scenario));
    edits
}

/// Nodes that differ less.
fn alike(scenario: &Scenario) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for (place, of_nodes) in scenario.cluster.overrides.iter().enumerate() {
        edits.push(Box::new(move |scenario| {
            drop(scenario.cluster.overrides.remove(place))
        }));
        for lesser in parts::without_one(of_nodes, &NODE, true) {
            edits.push(Box::new(move |scenario| {
                scenario.cluster.overrides[place] = lesser.clone();
            }));
        }
    }
    edits
}

/// An edit as it is, and with more time behind the last step.
fn with_time(edit: std::rc::Rc<dyn Fn(&mut Scenario)>) -> Vec<Edit> {
    let longer = LONGER.iter().map(|more| Some(*more));
    std::iter::once(None)
        .chain(longer)
        .map(|more| -> Edit {
            let edit = std::rc::Rc::clone(&edit);
            Box::new(move |scenario| {
                edit(scenario);
                if let Some(more) = more {
                    let end = scenario.last_step().saturating_add(more);
                    scenario.run.duration = scenario.run.duration.max(end);
                }
            })
        })
        .collect()
}

fn rounder(scenario: &Scenario) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for setting in SETTINGS {
        for value in rounded_above_zero(*setting(&mut scenario.cluster.clone())) {
            edits.push(Box::new(move |scenario| {
                *setting(&mut scenario.cluster) = value;
            }));
        }
    }
    for (place, of_nodes) in scenario.cluster.overrides.iter().enumerate() {
        for value in OVERRIDES {
            let rounded = value(&mut of_nodes.clone()).map(rounded_above_zero);
            for rounder in rounded.into_iter().flatten() {
                edits.push(Box::new(move |scenario| {
                    *value(&mut scenario.cluster.overrides[place]) = Some(rounder);
                }));
            }
        }
    }
    for spread in [0.0, 0.5, 1.0] {
        edits.push(Box::new(move |scenario| {
            scenario.cluster.down_spread = spread
        }));
    }
    for (name, parameters) in &scenario.strategies {
        for (key, value) in parameters {
            for value in rounder_value(value) {
                let (name, key) = (name.clone(), key.clone());
                edits.push(Box::new(move |scenario| {
                    if let Some(parameters) = scenario.strategies.get_mut(&name) {
                        parameters.insert(key.clone(), value.clone());
                    }
                }));
            }
        }
    }
    edits
}

/// Rounder values of a parameter: durations and whole numbers are understood.
fn rounder_value(value: &Value) -> Vec<Value> {
    if let Some(number) = value.as_u64() {
        return [1, number / 2, number.saturating_sub(1)]
            .map(Value::from)
            .to_vec();
    }
    let duration = value.as_str().and_then(|text| parse_duration(text).ok());
    duration
        .map(rounded_above_zero)
        .unwrap_or_default()
        .into_iter()
        .map(|duration| Value::from(format_duration(duration)))
        .collect()
}
