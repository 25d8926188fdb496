//! Names: nodes numbered without gaps, children with one letter, and the first seed.

use std::collections::BTreeMap;

use hublab_strategies::{ChildId, NodeId};
use serde_json::Value as Json;

use crate::model::Scenario;
use crate::scenario::{self, shape::Kind};
use crate::shrink::parts;
use crate::shrink::search::{Edit, Search};

/// The seeds that are tried where other names, or other laws, draw other numbers.
pub(super) const SEEDS: std::ops::RangeInclusive<u64> = 1..=6;

/// Gives plain names. A node's name is part of what its chances are drawn from, and orders it among
/// the others, so other names may make another run: then some other seeds are tried.
pub(super) fn names(search: &mut Search<'_>) {
    search.edit(|scenario, _| {
        let seed = scenario.run.seed;
        let mut edits: Vec<Edit> = Vec::new();
        for seed in std::iter::once(seed).chain(SEEDS) {
            if parts::expected_nodes(scenario).is_empty() {
                edits.push(Box::new(move |scenario| {
                    rename_nodes(scenario);
                    scenario.run.seed = seed;
                }));
            }
        }
        if parts::expected_children(scenario).is_empty() {
            edits.push(Box::new(rename_children));
        }
        edits.push(Box::new(|scenario| scenario.run.seed = 1));
        edits
    });
}

/// `n1`, `n2`, ... in the order of the file.
fn rename_nodes(scenario: &mut Scenario) {
    let names: BTreeMap<NodeId, NodeId> = (1..)
        .zip(&scenario.cluster.nodes)
        .map(|(number, old)| (old.clone(), NodeId::from(format!("n{number}"))))
        .collect();
    let renamed = |node: &str| {
        let new = names.get(&NodeId::from(node));
        new.map_or(node, NodeId::as_str).to_owned()
    };
    // A pid that looks like one of a node's goes with that node.
    let renamed_pid = |pid: &str| match pid.split_once('.') {
        Some((node, rest)) => format!("{}.{rest}", renamed(node)),
        None => pid.to_owned(),
    };
    for step in &mut scenario.steps {
        scenario::parts::change(step, &mut |key, value| match (&key.kind, value) {
            (Kind::NodeName, Json::String(node)) => renamed(&node).into(),
            (Kind::Name, Json::String(pid)) => renamed_pid(&pid).into(),
            (Kind::NodeNames, Json::Array(nodes)) => {
                let nodes = nodes.iter().filter_map(Json::as_str);
                nodes.map(|node| Json::from(renamed(node))).collect()
            }
            (Kind::NodeTexts, Json::Object(pids)) => {
                let pids = pids.iter();
                let pids = pids.filter_map(|(node, pid)| {
                    Some((renamed(node), renamed_pid(pid.as_str()?).into()))
                });
                Json::Object(pids.collect())
            }
            (_, value) => value,
        });
    }
    for node in &mut scenario.cluster.nodes {
        *node = NodeId::from(renamed(node.as_str()));
    }
}

/// `a`, `b`, ... in the order of their first mention.
fn rename_children(scenario: &mut Scenario) {
    let ids = parts::child_ids(scenario);
    let names: BTreeMap<ChildId, ChildId> = ids
        .into_iter()
        .zip('a'..='z')
        .map(|(old, letter)| (old, ChildId::from(letter.to_string())))
        .collect();
    for step in &mut scenario.steps {
        parts::change_children(step, &mut |child| {
            names.get(&child).cloned().unwrap_or(child)
        });
    }
}
