//! Nodes and children of a scenario: which there are, and scenarios without some of them.

use std::collections::BTreeSet;

use hublab_strategies::{ChildId, NodeId};

use serde_json::Value as Json;

use crate::model::{Action, Children, Claim, NodeIx, On, Scenario, Step};
use crate::scenario::parts;
use crate::scenario::shape::Kind;

/// The children that an action starts or stops.
pub(super) fn children(action: &mut Action) -> Option<&mut Children> {
    if let Action::StartChildren { children, .. } | Action::StopChildren { children, .. } = action {
        Some(children)
    } else {
        None
    }
}

/// The nodes that expectations name: they cannot go.
pub(super) fn expected_nodes(scenario: &Scenario) -> BTreeSet<NodeIx> {
    let named = scenario
        .expectations
        .iter()
        .flat_map(|expectation| match &expectation.claim {
            Claim::Converged { nodes, .. } | Claim::Connected { nodes, .. } => {
                nodes.clone().unwrap_or_default()
            }
            Claim::Registry { on, .. } | Claim::Entry { on, .. } => on.nodes().to_vec(),
            Claim::View {
                on, is, has, lacks, ..
            } => {
                let lists = is.iter().flatten().chain(has).chain(lacks);
                lists.chain(on.nodes()).copied().collect()
            }
            Claim::Owners { .. }
            | Claim::Sometimes { .. }
            | Claim::Always(_)
            | Claim::Violates(_)
            | Claim::Metric { .. } => Vec::new(),
        });
    let inner = scenario
        .expectations
        .iter()
        .flat_map(|expectation| match &expectation.claim {
            Claim::Entry {
                nodes, pids, first, ..
            } => {
                let pids = pids.iter().flatten().map(|(node, _)| node);
                let names = nodes.iter().flatten().chain(pids).chain(first);
                names.cloned().collect::<Vec<_>>()
            }
            Claim::Converged { .. }
            | Claim::Registry { .. }
            | Claim::View { .. }
            | Claim::Connected { .. }
            | Claim::Owners { .. }
            | Claim::Sometimes { .. }
            | Claim::Always(_)
            | Claim::Violates(_)
            | Claim::Metric { .. } => Vec::new(),
        });
    let position = |name: NodeId| {
        (0..)
            .zip(&scenario.cluster.nodes)
            .find(|(_, n)| **n == name)
    };
    named
        .chain(inner.filter_map(|name| position(name).map(|(node, _)| node)))
        .collect()
}

/// Takes nodes out, wherever they are mentioned but in expectations, and numbers the others anew.
/// Nothing may be left of a step: see [`super::mend`].
pub(super) fn drop_nodes(scenario: &mut Scenario, gone: &BTreeSet<NodeIx>) {
    let mut next = 0..;
    let map: Vec<Option<NodeIx>> = (0..)
        .zip(&scenario.cluster.nodes)
        .map(|(node, _)| (!gone.contains(&node)).then(|| next.next()).flatten())
        .collect();
    let map = |node: NodeIx| map.get(node as usize).copied().flatten();
    let names: BTreeSet<NodeId> = (0..)
        .zip(&scenario.cluster.nodes)
        .filter(|(node, _)| gone.contains(node))
        .map(|(_, name)| name.clone())
        .collect();
    scenario.cluster.nodes.retain(|name| !names.contains(name));
    renumber(&mut scenario.cluster.start, &map);
    for of_nodes in &mut scenario.cluster.overrides {
        renumber(&mut of_nodes.names, &map);
    }
    for link in &mut scenario.network.links {
        renumber(&mut link.from, &map);
        renumber(&mut link.to, &map);
    }
    scenario.run.changes.retain_mut(|change| {
        change.nodes_mut().all(|node| match map(*node) {
            Some(new) => {
                *node = new;
                true
            }
            None => false,
        })
    });
    scenario
        .steps
        .retain_mut(|step| drop_nodes_of_step(step, &map, &names));
    for expectation in &mut scenario.expectations {
        renumber_claim(&mut expectation.claim, &map);
    }
}

/// True if the step still has what it needs.
fn drop_nodes_of_step(
    step: &mut Step,
    map: &impl Fn(NodeIx) -> Option<NodeIx>,
    names: &BTreeSet<NodeId>,
) -> bool {
    let is_gone = |name: &str| names.contains(&NodeId::from(name));
    parts::retain(step, &mut |key, value| match (&key.kind, value) {
        (
            Kind::Node
            | Kind::Nodes
            | Kind::SomeNodes
            | Kind::StepNodes
            | Kind::SomeStepNodes
            | Kind::OnNodes
            | Kind::Observers
            | Kind::NodesOr(..)
            | Kind::Groups,
            value,
        ) => renumbered(value, map),
        (Kind::NodeName | Kind::NodeNames | Kind::NodeTexts, value) => without(value, &is_gone),
        (_, value) => Some(value),
    })
}

/// Nodes with their new numbers, without those that are gone.
fn renumbered(value: Json, map: &impl Fn(NodeIx) -> Option<NodeIx>) -> Option<Json> {
    match value {
        Json::Number(node) => {
            let node = node.as_u64().and_then(|node| NodeIx::try_from(node).ok())?;
            map(node).map(Json::from)
        }
        Json::Array(list) => Some(
            list.into_iter()
                .filter_map(|node| renumbered(node, map))
                .collect(),
        ),
        Json::Object(table) => {
            let fields = table.into_iter();
            let kept = fields.filter_map(|(name, value)| Some((name, renumbered(value, map)?)));
            Some(Json::Object(kept.collect()))
        }
        Json::Null | Json::Bool(_) | Json::String(_) => Some(value),
    }
}

/// A name, a list of names, or a table by names, without those that are gone.
fn without(value: Json, is_gone: &impl Fn(&str) -> bool) -> Option<Json> {
    match value {
        Json::String(name) => (!is_gone(&name)).then_some(Json::String(name)),
        Json::Array(list) => Some(
            list.into_iter()
                .filter_map(|name| without(name, is_gone))
                .collect(),
        ),
        Json::Object(table) => {
            let kept = table.into_iter().filter(|(name, _)| !is_gone(name));
            Some(Json::Object(kept.collect()))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => Some(value),
    }
}

fn renumber(list: &mut Vec<NodeIx>, map: &impl Fn(NodeIx) -> Option<NodeIx>) {
    *list = list.iter().filter_map(|node| map(*node)).collect();
}

fn renumber_claim(claim: &mut Claim, map: &impl Fn(NodeIx) -> Option<NodeIx>) {
    match claim {
        Claim::Converged { nodes, .. } | Claim::Connected { nodes, .. } => {
            if let Some(nodes) = nodes {
                renumber(nodes, map);
            }
        }
        Claim::Registry { on, .. } | Claim::Entry { on, .. } => renumber_on(on, map),
        Claim::View {
            on, is, has, lacks, ..
        } => {
            renumber_on(on, map);
            is.iter_mut().for_each(|list| renumber(list, map));
            renumber(has, map);
            renumber(lacks, map);
        }
        Claim::Owners { .. }
        | Claim::Sometimes { .. }
        | Claim::Always(_)
        | Claim::Violates(_)
        | Claim::Metric { .. } => {}
    }
}

/// The nodes of a claim stay: only their numbers change.
fn renumber_on(on: &mut On, map: &impl Fn(NodeIx) -> Option<NodeIx>) {
    for node in on.nodes_mut() {
        *node = map(*node).unwrap_or_default();
    }
}

/// The children of a scenario, in the order of their first mention.
pub(super) fn child_ids(scenario: &Scenario) -> Vec<ChildId> {
    let mut seen = BTreeSet::new();
    let mut ids = Vec::new();
    for step in &scenario.steps {
        change_children(&mut step.clone(), &mut |id| {
            if seen.insert(id.clone()) {
                ids.push(id.clone());
            }
            id
        });
    }
    ids
}

/// The children that expectations name: they cannot go.
pub(super) fn expected_children(scenario: &Scenario) -> BTreeSet<ChildId> {
    let of_claim = |claim: &Claim| match claim {
        Claim::Registry { has, lacks, .. } => has.iter().chain(lacks).cloned().collect(),
        Claim::Entry { child, .. } | Claim::Owners { child, .. } => vec![child.clone()],
        Claim::Converged { .. }
        | Claim::View { .. }
        | Claim::Connected { .. }
        | Claim::Sometimes { .. }
        | Claim::Always(_)
        | Claim::Violates(_)
        | Claim::Metric { .. } => Vec::new(),
    };
    let claims = scenario
        .expectations
        .iter()
        .map(|expectation| &expectation.claim);
    claims.flat_map(of_claim).collect()
}

/// Takes children out, wherever they are mentioned but in expectations; counted ones stay.
pub(super) fn drop_children(scenario: &mut Scenario, gone: &BTreeSet<ChildId>) {
    let is_gone = |child: &str| gone.contains(&ChildId::from(child));
    scenario.steps.retain_mut(|step| {
        parts::retain(step, &mut |key, value| match (&key.kind, value) {
            (Kind::Children | Kind::SomeChildren, value) => without(value, &is_gone),
            // Not a prefix of ids.
            (Kind::Child, value) if key.required => without(value, &is_gone),
            (_, value) => Some(value),
        })
    });
}

/// Changes every child that a step names.
pub(super) fn change_children(step: &mut Step, change: &mut impl FnMut(ChildId) -> ChildId) {
    let mut text = |value: Json| match value.as_str() {
        Some(id) => Json::from(change(ChildId::from(id)).as_str()),
        None => value,
    };
    parts::change(step, &mut |key, value| match (&key.kind, value) {
        (Kind::Children | Kind::SomeChildren, Json::Array(ids)) => {
            ids.into_iter().map(&mut text).collect()
        }
        (Kind::Child, id) if key.required => text(id),
        (_, value) => value,
    });
}
