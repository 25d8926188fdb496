//! The parts that the steps of a scenario have in common, whatever they do: where nodes, children
//! and raw rows stand in them; and scenarios without some nodes or children.

use std::collections::BTreeSet;

use hublab_strategies::{ChildId, NodeId};

use crate::model::{
    Action, Audience, Children, Claim, LinkChange, NodeIx, RawRequest, RawRow, Scenario,
};

/// The lists of nodes of an action.
pub(super) fn lists(action: &mut Action) -> Vec<&mut Vec<NodeIx>> {
    match action {
        Action::Join(nodes)
        | Action::Leave(nodes)
        | Action::Crash(nodes)
        | Action::Restart(nodes)
        | Action::Pause(nodes)
        | Action::Resume(nodes)
        | Action::Clock { nodes, .. }
        | Action::Broadcast { to: nodes, .. }
        | Action::View { nodes, .. }
        | Action::StartChildren {
            replicas: nodes, ..
        }
        | Action::Propagate {
            members: Audience::Nodes(nodes),
            ..
        } => vec![nodes],
        Action::Cut { from, to, .. } | Action::Link(LinkChange { from, to, .. }) => vec![from, to],
        Action::Partition { groups, .. } => groups.iter_mut().collect(),
        Action::Heal
        | Action::StopChildren { .. }
        | Action::RestartChild { .. }
        | Action::Propagate {
            members: Audience::Global | Audience::Local | Audience::External,
            ..
        }
        | Action::Sync(_)
        | Action::Rows { .. } => Vec::new(),
    }
}

/// The node without which an action makes no sense.
pub(super) fn subject(action: &mut Action) -> Option<&mut NodeIx> {
    match action {
        Action::StartChildren { on, .. }
        | Action::StopChildren { on, .. }
        | Action::RestartChild { on, .. }
        | Action::Propagate { from: on, .. }
        | Action::Sync(on)
        | Action::Broadcast { on, .. }
        | Action::Rows { on, .. }
        | Action::View { on, .. } => Some(on),
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
        | Action::Clock { .. } => None,
    }
}

/// The originator of an action that can have another than its subject.
pub(super) fn originator(action: &mut Action) -> Option<&mut Option<NodeIx>> {
    if let Action::StartChildren { via, .. } | Action::StopChildren { via, .. } = action {
        Some(via)
    } else {
        None
    }
}

/// The children that an action starts or stops.
pub(super) fn children(action: &mut Action) -> Option<&mut Children> {
    if let Action::StartChildren { children, .. } | Action::StopChildren { children, .. } = action {
        Some(children)
    } else {
        None
    }
}

/// The raw requests of an action.
pub(super) fn requests(action: &mut Action) -> Option<&mut Vec<RawRequest>> {
    if let Action::Propagate { requests, .. } = action {
        Some(requests)
    } else {
        None
    }
}

/// The lists of raw rows of an action.
pub(super) fn rows(action: &mut Action) -> Vec<&mut Vec<RawRow>> {
    if let Action::Rows { rows, .. } = action {
        return vec![rows];
    }
    requests(action)
        .into_iter()
        .flatten()
        .filter_map(registered)
        .collect()
}

fn registered(request: &mut RawRequest) -> Option<&mut Vec<RawRow>> {
    match request {
        RawRequest::Register(rows) => Some(rows),
        RawRequest::Unregister(_) | RawRequest::PidUpdate { .. } => None,
    }
}

/// The nodes that expectations name: they cannot go.
pub(super) fn expected_nodes(scenario: &Scenario) -> BTreeSet<NodeIx> {
    let named = scenario
        .expectations
        .iter()
        .flat_map(|expectation| match &expectation.claim {
            Claim::Converged { nodes, .. } => nodes.clone().unwrap_or_default(),
            Claim::Registry { on, .. } | Claim::Entry { on, .. } => vec![*on],
            Claim::Always(_) | Claim::Violates(_) | Claim::Metric { .. } => Vec::new(),
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
    for link in &mut scenario.network.links {
        renumber(&mut link.from, &map);
        renumber(&mut link.to, &map);
    }
    scenario
        .steps
        .retain_mut(|step| drop_nodes_of_step(&mut step.action, &map, &names));
    for expectation in &mut scenario.expectations {
        renumber_claim(&mut expectation.claim, &map);
    }
}

/// True if the step still has its subject.
fn drop_nodes_of_step(
    action: &mut Action,
    map: &impl Fn(NodeIx) -> Option<NodeIx>,
    names: &BTreeSet<NodeId>,
) -> bool {
    lists(action)
        .into_iter()
        .for_each(|list| renumber(list, map));
    if let Some(via) = originator(action) {
        *via = via.and_then(map);
    }
    for rows in rows(action) {
        rows.retain_mut(|row| {
            let had = row.entries.len();
            row.entries.retain(|entry| !names.contains(&entry.node));
            had == 0 || !row.entries.is_empty()
        });
    }
    if let Some(requests) = requests(action) {
        requests.retain_mut(|request| match request {
            RawRequest::Register(rows) => !rows.is_empty(),
            RawRequest::Unregister(children) => {
                children.retain_mut(|(_, nodes)| {
                    nodes.retain(|node| !names.contains(node));
                    !nodes.is_empty()
                });
                !children.is_empty()
            }
            RawRequest::PidUpdate { node, .. } => !names.contains(node),
        });
    }
    let Some(subject) = subject(action) else {
        return true;
    };
    let kept = map(*subject);
    *subject = kept.unwrap_or_default();
    kept.is_some()
}

fn renumber(list: &mut Vec<NodeIx>, map: &impl Fn(NodeIx) -> Option<NodeIx>) {
    *list = list.iter().filter_map(|node| map(*node)).collect();
}

fn renumber_claim(claim: &mut Claim, map: &impl Fn(NodeIx) -> Option<NodeIx>) {
    match claim {
        Claim::Converged { nodes, .. } => {
            if let Some(nodes) = nodes {
                renumber(nodes, map);
            }
        }
        Claim::Registry { on, .. } | Claim::Entry { on, .. } => *on = map(*on).unwrap_or_default(),
        Claim::Always(_) | Claim::Violates(_) | Claim::Metric { .. } => {}
    }
}

/// The children of a scenario, in the order of their first mention.
pub(super) fn child_ids(scenario: &Scenario) -> Vec<ChildId> {
    let mut seen = BTreeSet::new();
    let mut ids = Vec::new();
    for step in &scenario.steps {
        let mut action = step.action.clone();
        let mut add = |id: ChildId| {
            if seen.insert(id.clone()) {
                ids.push(id);
            }
        };
        if let Some(Children::Ids(listed)) = children(&mut action) {
            listed.iter().cloned().for_each(&mut add);
        }
        if let Action::RestartChild { child, .. } = &action {
            add(child.clone());
        }
        each_raw_child(&mut action, &mut |id| add(id.clone()));
    }
    ids
}

/// The children that expectations name: they cannot go.
pub(super) fn expected_children(scenario: &Scenario) -> BTreeSet<ChildId> {
    let of_claim = |claim: &Claim| match claim {
        Claim::Registry { has, lacks, .. } => has.iter().chain(lacks).cloned().collect(),
        Claim::Entry { child, .. } => vec![child.clone()],
        Claim::Converged { .. } | Claim::Always(_) | Claim::Violates(_) | Claim::Metric { .. } => {
            Vec::new()
        }
    };
    let claims = scenario
        .expectations
        .iter()
        .map(|expectation| &expectation.claim);
    claims.flat_map(of_claim).collect()
}

/// Takes children out, wherever they are mentioned but in expectations; counted ones stay.
pub(super) fn drop_children(scenario: &mut Scenario, gone: &BTreeSet<ChildId>) {
    scenario.steps.retain_mut(|step| {
        let action = &mut step.action;
        if let Some(Children::Ids(ids)) = children(action) {
            ids.retain(|id| !gone.contains(id));
        }
        for rows in rows(action) {
            rows.retain(|row| !gone.contains(&row.child));
        }
        if let Some(requests) = requests(action) {
            requests.retain_mut(|request| match request {
                RawRequest::Register(rows) => !rows.is_empty(),
                RawRequest::Unregister(children) => {
                    children.retain(|(child, _)| !gone.contains(child));
                    !children.is_empty()
                }
                RawRequest::PidUpdate { child, .. } => !gone.contains(child),
            });
        }
        !matches!(action, Action::RestartChild { child, .. } if gone.contains(child))
    });
}

/// Every child that a raw request or row names.
pub(super) fn each_raw_child(action: &mut Action, job: &mut impl FnMut(&mut ChildId)) {
    for rows in rows(action) {
        rows.iter_mut().for_each(|row| job(&mut row.child));
    }
    for request in requests(action).into_iter().flatten() {
        match request {
            RawRequest::Register(_) => {}
            RawRequest::Unregister(children) => {
                children.iter_mut().for_each(|(child, _)| job(child));
            }
            RawRequest::PidUpdate { child, .. } => job(child),
        }
    }
}
