//! Names: nodes numbered without gaps, children with one letter, and the first seed.

use std::collections::BTreeMap;

use hublab_strategies::{ChildId, NodeId, Pid};

use crate::model::{Action, Children, RawRequest, Scenario};
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
    let rename = |node: &mut NodeId| {
        if let Some(new) = names.get(node) {
            *node = new.clone();
        }
    };
    // A pid that looks like one of a node's goes with that node.
    let rename_pid = |pid: &mut Pid| {
        if let Some((node, rest)) = pid.as_str().split_once('.')
            && let Some(new) = names.get(&NodeId::from(node))
        {
            *pid = Pid::from(format!("{new}.{rest}"));
        }
    };
    for step in &mut scenario.steps {
        for row in parts::rows(&mut step.action).into_iter().flatten() {
            for entry in &mut row.entries {
                rename(&mut entry.node);
                entry.pid.iter_mut().for_each(rename_pid);
            }
        }
        for request in parts::requests(&mut step.action).into_iter().flatten() {
            match request {
                RawRequest::Register(_) => {}
                RawRequest::Unregister(children) => {
                    children
                        .iter_mut()
                        .flat_map(|(_, nodes)| nodes)
                        .for_each(rename);
                }
                RawRequest::PidUpdate { node, pid, .. } => {
                    rename(node);
                    rename_pid(pid);
                }
            }
        }
    }
    scenario.cluster.nodes.iter_mut().for_each(rename);
}

/// `a`, `b`, ... in the order of their first mention.
fn rename_children(scenario: &mut Scenario) {
    let ids = parts::child_ids(scenario);
    let names: BTreeMap<ChildId, ChildId> = ids
        .into_iter()
        .zip('a'..='z')
        .map(|(old, letter)| (old, ChildId::from(letter.to_string())))
        .collect();
    let rename = |child: &mut ChildId| {
        if let Some(new) = names.get(child) {
            *child = new.clone();
        }
    };
    for step in &mut scenario.steps {
        let action = &mut step.action;
        if let Some(Children::Ids(ids)) = parts::children(action) {
            ids.iter_mut().for_each(rename);
        }
        if let Action::RestartChild { child, .. } = action {
            rename(child);
        }
        parts::each_raw_child(action, &mut |child| rename(child));
    }
}
