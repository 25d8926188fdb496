//! `no_permanent_ghost`: in the quiet phase, entries of nodes that are gone for good are gone from
//! every live view within detection + bound.
//!
//! Gone for good: it has run, it does not when the quiet phase begins, and so never again. Detection
//! is `crash_detected_after` + latency + debounce (nothing is silent in a quiet phase), the bound is
//! that of `convergence`. A ghost that comes back later, and is there at the end, violates it as
//! well. Children named in raw requests or `rows` are not looked at.
//!
//! The cause is the event that last changed the entry at the observer.

use std::collections::BTreeSet;

use hublab_strategies::{ChildId, Time};

use super::{Conclusion, Oracle, Violation, quiet};
use crate::model::NodeIx;
use crate::watch::ObserverContext;

pub(super) const NAME: &str = "no_permanent_ghost";

/// The most ghosts that one look tells of.
const REPORTED_MAX: usize = 100;

/// Looks once at the bound, and once at the end.
#[derive(Debug, Default)]
pub(super) struct NoPermanentGhost {
    is_judged: bool,
    found: Vec<Violation>,
    reported: BTreeSet<(NodeIx, NodeIx, ChildId)>,
}

fn bound(cx: &ObserverContext) -> u64 {
    quiet::repair(cx).saturating_add(cx.facts().times.crash_detection())
}

/// Every entry of a node that is gone: whose view, which node, which child.
fn ghosts(cx: &ObserverContext) -> Vec<(NodeIx, NodeIx, ChildId)> {
    let has_gone = |node: &NodeIx| !cx.is_running(*node) && cx.incarnation(*node) > 0;
    let gone: Vec<NodeIx> = cx.positions().filter(has_gone).collect();
    let mut ghosts = Vec::new();
    for observer in cx.positions() {
        for owner in &gone {
            let children = cx.children_shown(observer, *owner);
            let compared = children.filter(|child| !cx.facts().is_raw(child));
            ghosts.extend(compared.map(|child| (observer, *owner, child.clone())));
            if ghosts.len() >= REPORTED_MAX {
                ghosts.truncate(REPORTED_MAX);
                return ghosts;
            }
        }
    }
    ghosts
}

fn detail((observer, owner, child): &(NodeIx, NodeIx, ChildId), cx: &ObserverContext) -> String {
    let (observer, name) = (cx.name(*observer), cx.name(*owner));
    let since = cx.history().stopped(*owner).unwrap_or_default();
    format!("{observer} still shows {child} of {name}, which is gone since {since}")
}

impl NoPermanentGhost {
    fn look(&mut self, at: Time, cx: &ObserverContext) {
        for ghost in ghosts(cx) {
            let history = cx.history();
            let cause = history.last_change_of(ghost.0, ghost.1, &ghost.2);
            let violation =
                Violation::at(NAME, (at, ghost.0, cause), "ghost", detail(&ghost, cx), cx);
            if self.reported.insert(ghost) {
                self.found.push(violation);
            }
        }
    }
}

impl Oracle for NoPermanentGhost {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn step_begins(&mut self, _now: Time) {
        *self = Self::default();
    }

    fn settle(&mut self, now: Time, next: Time, cx: &ObserverContext, _found: &mut Vec<Violation>) {
        if self.is_judged {
            return;
        }
        let last_step = cx.history().last_step();
        let deadline = Time(last_step.0.saturating_add(bound(cx)));
        if deadline < next {
            self.is_judged = true;
            self.look(now.max(deadline), cx);
        }
    }

    fn pending(&self, cx: &ObserverContext) -> Option<String> {
        ghosts(cx).first().map(|ghost| detail(ghost, cx))
    }

    fn bound(&self, cx: &ObserverContext) -> Option<String> {
        let times = cx.facts().times;
        Some(format!(
            "detection {} + {}",
            Time(times.crash_detection()),
            quiet::describe(quiet::repair(cx), cx)
        ))
    }

    fn finish(&mut self, end: Time, cx: &ObserverContext) -> Conclusion {
        if let Some(reason) = quiet::missing(bound(cx), end, cx) {
            return Conclusion::Inconclusive(reason);
        }
        self.look(end, cx);
        if self.found.is_empty() {
            return Conclusion::Held;
        }
        Conclusion::Violated(std::mem::take(&mut self.found))
    }
}
