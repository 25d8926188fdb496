//! From a plan to a scenario: its drafts in the order of time, walked over once.

use std::collections::BTreeMap;

use super::family::Family;
use super::plan::{Delay, Event, FaultKind, NodeFault, Plan, PlanAction, Start};
use super::quiet;
use super::script::{Draft, Walk};
use super::setting::{Timings, cluster, ms, network, overrides, parameters};
use crate::catalog::CatalogEntry;
use crate::model::{Claim, Cluster, Expectation, NodeIx, Run, Scenario, Step};
use crate::watch::oracle::NO_CRASH;

/// The scenario that a plan stands for.
pub(super) fn scenario(seed: u64, plan: &Plan, entry: &dyn CatalogEntry) -> Scenario {
    let timings = Timings::of(plan);
    let joins = joins(plan, timings);
    let late: Vec<NodeIx> = joins.keys().copied().collect();
    let mut walk = Walk::new(plan, timings, &late);
    for (at, draft) in drafts(plan, timings, &joins) {
        walk.take(at, draft);
    }
    let steps = walk.finish();
    let last = steps.iter().map(Step::last).max().unwrap_or_default();
    let mut scenario = Scenario {
        name: format!("generated-{seed}"),
        summary: Some(summary(plan)),
        run: Run {
            duration: last,
            seed,
            seeds: seed..seed.saturating_add(1),
            strategies: vec![entry.name().to_owned()],
            branch: None,
            changes: Vec::new(),
            task_order: None,
        },
        cluster: Cluster {
            overrides: overrides(plan, entry),
            ..cluster(plan, timings, &late)
        },
        strategies: parameters(plan, entry),
        network: network(plan),
        steps,
        expectations: vec![Expectation {
            strategy: None,
            claim: Claim::Always(NO_CRASH.to_owned()),
            line: 0,
        }],
    };
    let end = last + quiet::length(&scenario, entry);
    scenario.run.duration = ms(whole_tenths(end));
    scenario
}

/// A duration in milliseconds, up to the next tenth of a second.
fn whole_tenths(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis())
        .unwrap_or(u64::MAX)
        .div_ceil(100)
        * 100
}

fn summary(plan: &Plan) -> String {
    if plan.families.is_empty() {
        return "Generated, with nothing in the way.".to_owned();
    }
    let names: Vec<&str> = plan.families.iter().map(|family| family.name()).collect();
    format!("Generated, with {}.", names.join(", "))
}

/// Which nodes boot late, and when. At least two, or the only one, are up from the start.
fn joins(plan: &Plan, timings: Timings) -> BTreeMap<NodeIx, u64> {
    let mut joins = BTreeMap::new();
    for event in events_of(plan, Family::LateJoin) {
        if let PlanAction::Join(node) = event.action
            && joins.len() + 2 < plan.nodes
        {
            let at = timings.instant(event.at, &plan.anchors);
            joins.entry(ix(plan, node)).or_insert(at);
        }
    }
    joins
}

fn events_of(plan: &Plan, family: Family) -> impl Iterator<Item = &Event> {
    let on = plan.families.contains(&family);
    let of_family = plan
        .faults
        .iter()
        .filter(move |(of, _)| on && *of == family);
    of_family.map(|(_, event)| event)
}

/// The node that a number of the plan stands for.
pub(super) fn ix(plan: &Plan, index: u8) -> NodeIx {
    NodeIx::try_from(usize::from(index) % plan.nodes).unwrap_or_default()
}

/// Everything that is to happen in the active phase, in the order of time; what a fault undoes
/// of itself after its end is left to the quiet phase.
fn drafts(plan: &Plan, timings: Timings, joins: &BTreeMap<NodeIx, u64>) -> Vec<(u64, Draft)> {
    let mut drafts: Vec<(u64, Draft)> = Vec::new();
    for (node, at) in joins {
        drafts.push((*at, Draft::Join(*node)));
    }
    drafts.extend(hosting(plan, joins));
    let faults = plan
        .faults
        .iter()
        .filter(|(family, _)| plan.families.contains(family));
    for event in plan.load.iter().chain(faults.map(|(_, event)| event)) {
        let at = timings.instant(event.at, &plan.anchors);
        if let Some((back, undo)) = undo(plan, timings, &event.action) {
            drafts.push((at + back, undo));
        }
        drafts.push((at, Draft::Planned(event.action.clone())));
    }
    if let Some(held) = plan.held.filter(|_| plan.may_hold()) {
        let at = timings.instant(held.at, &plan.anchors);
        drafts.push((at, Draft::Hold(held)));
        drafts.push((at + timings.length(held.length), Draft::Release(held)));
    }
    if let Some(steady) = plan.steady {
        let at = timings.instant(steady.at, &plan.anchors);
        drafts.push((at, Draft::Steady(steady)));
    }
    let may_part = plan.families.contains(&Family::Partition) && plan.nodes > 1;
    if let Some(parted) = plan.parted.filter(|_| may_part) {
        let at = timings.instant(parted.at, &plan.anchors);
        drafts.push((at, Draft::Parted(parted)));
    }
    drafts.retain(|(at, _)| *at < timings.active);
    drafts.sort_by_key(|(at, _)| *at);
    drafts
}

/// A first child for every node, soon after its boot.
fn hosting(plan: &Plan, joins: &BTreeMap<NodeIx, u64>) -> Vec<(u64, Draft)> {
    let Some(gap) = plan.hosts else {
        return Vec::new();
    };
    let first = |node: NodeIx| {
        let at = joins.get(&node).copied().unwrap_or(0) + 1 + gap * (u64::from(node) + 1);
        let start = Start {
            on: u8::try_from(node).unwrap_or(u8::MAX),
            child: 0,
            count: 1,
            version: None,
            replicas: 0,
            announce: true,
            via: None,
        };
        (at, Draft::Host(start))
    };
    (0..).take(plan.nodes).map(first).collect()
}

/// The end of a fault, and after how many milliseconds.
fn undo(plan: &Plan, timings: Timings, action: &PlanAction) -> Option<(u64, Draft)> {
    let (back, draft) = match action {
        PlanAction::NodeFault(NodeFault { node, how, back }) => {
            let node = ix(plan, *node);
            let draft = match how {
                FaultKind::Crash | FaultKind::Leave => Draft::Restart(node),
                FaultKind::Pause => Draft::Resume(node),
            };
            ((*back)?, draft)
        }
        PlanAction::Links(links) => (links.back, Draft::Restore(links.which)),
        PlanAction::Cut(cut) => (cut.back.filter(|back| heals_all(*back))?, Draft::Heal),
        PlanAction::Start(_)
        | PlanAction::Stop { .. }
        | PlanAction::RestartChild { .. }
        | PlanAction::Sync(_)
        | PlanAction::Broadcast { .. }
        | PlanAction::Propagate { .. }
        | PlanAction::Rows { .. }
        | PlanAction::View { .. }
        | PlanAction::Join(_)
        | PlanAction::Clock { .. } => return None,
    };
    Some((timings.length(back), draft))
}

/// True if a cut ends with a `heal` of everything, and not by its own `heal_after`.
pub(super) fn heals_all(back: Delay) -> bool {
    back.share.is_multiple_of(4)
}
