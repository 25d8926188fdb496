//! `repair_progress`: while one member is silent but not declared down, children started after the
//! silence began reach all others within the bound.
//!
//! One member is silent: exactly one running node is paused, or has a cut link to or from another
//! running node in every cut there is; nothing else is disturbed, and no link loses messages. This
//! is the one liveness oracle that looks at stretches before the quiet phase: a stretch begins with
//! the step that leaves one member silent, and lasts until a step that is not about children, until
//! the silent member is declared down anywhere, or until a node or connection comes or goes.
//!
//! Of each child that starts on another node in a stretch, all others must show its pid within the
//! bound: 2 x sync interval + 8 x latency, counted from its start, or from discovery + 2 x debounce
//! after the last boot or connection if that is later. A child that stops, and one whose stretch
//! ends before its bound, is not judged; if the run ends first, the oracle is inconclusive. Children
//! named in raw requests or `rows` are not looked at.

use std::collections::BTreeMap;

use hublab_strategies::{ChildId, Pid, Time};

use super::{Conclusion, Oracle, Violation, quiet};
use crate::model::NodeIx;
use crate::trace::event::{Event, Payload};
use crate::watch::ObserverContext;

pub(super) const NAME: &str = "repair_progress";

/// Follows children that start while a member is silent.
#[derive(Debug, Default)]
pub(super) struct RepairProgress {
    /// The silent member, while there is exactly one.
    silent: Option<NodeIx>,
    /// The world has changed since `silent` was found.
    is_stale: bool,
    /// Children under way, by owner and pid: which child, and from when its bound counts.
    started: BTreeMap<(NodeIx, Pid), (ChildId, Time)>,
    /// The first of `started` to be judged.
    next: Option<Time>,
}

/// The steps that leave a stretch as it is.
const HARMLESS: &[&str] = &[
    "start_children",
    "stop_children",
    "restart_child",
    "sync",
    "broadcast",
    "propagate",
    "rows",
    "clock",
];

fn bound(cx: &ObserverContext) -> u64 {
    quiet::with_load(cx.facts().times.rounds, cx)
}

/// The one running node that everything disturbed has to do with.
fn silent_member(cx: &ObserverContext) -> Option<NodeIx> {
    let running: Vec<NodeIx> = cx.positions().filter(|node| cx.is_running(*node)).collect();
    let paused: Vec<NodeIx> = running
        .iter()
        .copied()
        .filter(|node| cx.is_paused(*node))
        .collect();
    let mut cut: Vec<(NodeIx, NodeIx)> = Vec::new();
    if cx.has_cuts() {
        for (at, a) in running.iter().enumerate() {
            let others = running[at + 1..].iter();
            cut.extend(others.filter(|b| cx.is_cut(*a, **b)).map(|b| (*a, *b)));
        }
    }
    let candidates = match (paused.as_slice(), cut.first()) {
        ([], None) => return None,
        ([one], _) => vec![*one],
        ([], Some((a, b))) => vec![*a, *b],
        (_, _) => return None,
    };
    let mut fitting = candidates
        .into_iter()
        .filter(|node| cut.iter().all(|(a, b)| a == node || b == node));
    let silent = fitting.next()?;
    // A single cut link may be the fault of either end.
    fitting.next().is_none().then_some(silent)
}

impl RepairProgress {
    fn end_stretch(&mut self) {
        self.started.clear();
        self.next = None;
        self.silent = None;
    }

    fn refresh(&mut self, cx: &ObserverContext) {
        if std::mem::take(&mut self.is_stale) {
            self.silent = silent_member(cx).filter(|_| !cx.loses_messages());
        }
    }

    /// From when the bound of a child counts that starts now.
    fn counted_from(now: Time, cx: &ObserverContext) -> Time {
        let times = cx.facts().times;
        let unsettled = times.membership().saturating_add(times.debounce);
        let last_change = cx.history().last_change();
        now.max(Time(last_change.0.saturating_add(unsettled)))
    }

    /// Lists the nodes that should show a child and do not.
    fn lacking(&self, key: &(NodeIx, Pid), child: &ChildId, cx: &ObserverContext) -> Vec<NodeIx> {
        let (owner, pid) = key;
        let must =
            |node: &NodeIx| cx.is_running(*node) && Some(*node) != self.silent && node != owner;
        cx.positions()
            .filter(must)
            .filter(|node| !cx.shows(*node, child, *owner, pid))
            .collect()
    }

    fn judge(&self, at: Time, cx: &ObserverContext, found: &mut Vec<Violation>) {
        let bound = bound(cx);
        for (key, (child, from)) in &self.started {
            if from.0.saturating_add(bound) > at.0 {
                continue;
            }
            for node in self.lacking(key, child, cx) {
                let (name, owner) = (cx.name(node), cx.name(key.0));
                let silent = self.silent.map_or("", |silent| cx.name(silent).as_str());
                let detail = format!(
                    "{name} lacks {child} of {owner}, started by {from} while {silent} is silent"
                );
                let cause = cx.history().last_change_of(node, key.0, child);
                found.push(Violation::at(NAME, (at, node, cause), "absent", detail, cx));
            }
        }
    }

    fn reschedule(&mut self) {
        self.next = self.started.values().map(|(_, from)| *from).min();
    }
}

impl Oracle for RepairProgress {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event, cx: &ObserverContext) {
        if let Payload::Step { action, .. } = &event.payload {
            if !HARMLESS.contains(&action.as_ref()) {
                self.end_stretch();
                self.is_stale = true;
            }
        } else if let Payload::PeerDown { .. } | Payload::PeerUp { .. } | Payload::Booted { .. } =
            &event.payload
        {
            self.end_stretch();
            self.is_stale = true;
        } else if let Payload::ChildStarted { child, pid, .. } = &event.payload {
            self.refresh(cx);
            let is_other = self.silent.is_some_and(|silent| silent != event.node);
            if is_other && !cx.facts().is_raw(child) {
                let from = Self::counted_from(event.at, cx);
                self.started
                    .insert((event.node, pid.clone()), (child.clone(), from));
                self.reschedule();
            }
        } else if let Payload::ChildStopped { pid, .. } = &event.payload
            && self.started.remove(&(event.node, pid.clone())).is_some()
        {
            self.reschedule();
        }
    }

    fn settle(&mut self, now: Time, next: Time, cx: &ObserverContext, found: &mut Vec<Violation>) {
        let Some(first) = self.next else { return };
        let bound = bound(cx);
        let deadline = Time(first.0.saturating_add(bound));
        if deadline >= next {
            return;
        }
        let at = now.max(deadline);
        self.judge(at, cx, found);
        self.started
            .retain(|_, (_, from)| from.0.saturating_add(bound) > at.0);
        self.reschedule();
    }

    fn pending(&self, cx: &ObserverContext) -> Option<String> {
        self.started.iter().find_map(|(key, (child, _))| {
            let node = *self.lacking(key, child, cx).first()?;
            let (node, owner) = (cx.name(node), cx.name(key.0));
            Some(format!("{node} lacks {child} of {owner}"))
        })
    }

    fn bound(&self, cx: &ObserverContext) -> Option<String> {
        let bound = Time(bound(cx));
        Some(format!("{bound} = {}", cx.facts().rounds_text))
    }

    fn finish(&mut self, _end: Time, cx: &ObserverContext) -> Conclusion {
        match self.pending(cx) {
            None => Conclusion::Held,
            Some(pending) => {
                Conclusion::Inconclusive(format!("{pending}, but the run ends before the bound"))
            }
        }
    }
}
