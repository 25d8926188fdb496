//! `join_prompt`: a node that boots has what all others had at that instant within the join bound,
//! and not only after a round.
//!
//! Looked at are the entries that are true when a node boots and that every other running node shows
//! then, its owner included. The bound is discovery + 2 x debounce + latency, for the nodes to become
//! members of each other, and the strategy's own [`Bounds::join`]; more if messages took longer or
//! receivers are busy. It counts from the boot, or from the last boot or connection after it: each of
//! them may begin the quiet time of a membership anew. An entry violates the oracle if the joiner has
//! never had it by then (*absent*), or has it under another pid (*wrong*); one that it had and lost is
//! the business of `no_false_absence`.
//!
//! Not judged: a node that boots while something is cut, paused or loses messages, or before whose
//! bound something is, a message between running nodes is lost, a connection ends, a node stops, or
//! something is injected; an entry whose child stopped or was restarted meanwhile; children named in
//! raw requests or `rows`; and, once a step has overwritten a view, everything after it.
//!
//! [`Bounds::join`]: hublab_strategies::strategy::Bounds::join

use std::collections::BTreeMap;

use hublab_strategies::{ChildId, DownReason, Pid, Time};

use super::{Conclusion, Oracle, Violation, quiet};
use crate::model::NodeIx;
use crate::trace::event::{Event, Payload};
use crate::watch::ObserverContext;

pub(super) const NAME: &str = "join_prompt";

/// Follows nodes that boot while the others host children.
#[derive(Debug, Default)]
pub(super) struct JoinPrompt {
    joiners: BTreeMap<NodeIx, Joiner>,
    /// A view was overwritten: members may be unknown to each other from then on.
    is_misled: bool,
    /// The network has been changed in this instant.
    is_changed: bool,
}

/// A node that booted and is not judged yet.
#[derive(Debug)]
struct Joiner {
    /// When it booted.
    booted: Time,
    /// From when its bound counts.
    from: Time,
    /// What all others had.
    entries: Vec<Wanted>,
}

/// An entry that a joiner is to have.
#[derive(Debug)]
struct Wanted {
    owner: NodeIx,
    child: ChildId,
    pid: Pid,
}

fn bound(cx: &ObserverContext) -> u64 {
    quiet::with_load(cx.facts().times.joining(), cx)
}

fn is_calm(cx: &ObserverContext) -> bool {
    cx.disturbance().is_none() && !cx.has_cuts()
}

impl Wanted {
    /// True if its child still runs as it did.
    fn is_true(&self, cx: &ObserverContext) -> bool {
        let child = cx.child(self.owner, &self.child);
        child.is_some_and(|child| child.pid == self.pid)
    }

    /// The defect at a joiner, if there is one.
    fn defect(&self, joiner: NodeIx, cx: &ObserverContext) -> Option<&'static str> {
        let Self { owner, child, pid } = self;
        if !self.is_true(cx) || cx.shows(joiner, child, *owner, pid) {
            return None;
        }
        if cx.shown_pid(joiner, child, *owner).is_some() {
            return Some("wrong");
        }
        let last = cx.history().last_change_of(joiner, *owner, child);
        (last.event == 0).then_some("absent")
    }

    fn text(&self, joiner: NodeIx, booted: Time, cx: &ObserverContext) -> String {
        let (name, owner) = (cx.name(joiner), cx.name(self.owner));
        let (child, pid) = (&self.child, &self.pid);
        format!("{name} lacks {child} of {owner} ({pid}), which all had when it booted at {booted}")
    }
}

/// The true entries that all running nodes but the joiner show.
fn known_to_all(joiner: NodeIx, cx: &ObserverContext) -> Vec<Wanted> {
    let is_other = |node: &NodeIx| *node != joiner && cx.is_running(*node);
    let others: Vec<NodeIx> = cx.positions().filter(is_other).collect();
    let mut entries = Vec::new();
    for owner in &others {
        for child in cx.children_shown(*owner, *owner) {
            let Some(running) = cx.child(*owner, child) else {
                continue;
            };
            let pid = &running.pid;
            let has = |node: &NodeIx| cx.shows(*node, child, *owner, pid);
            if !cx.facts().is_raw(child) && others.iter().all(has) {
                entries.push(Wanted {
                    owner: *owner,
                    child: child.clone(),
                    pid: pid.clone(),
                });
            }
        }
    }
    entries
}

impl JoinPrompt {
    fn booted(&mut self, node: NodeIx, now: Time, cx: &ObserverContext) {
        self.postpone(now);
        self.joiners.remove(&node);
        if self.is_misled || !is_calm(cx) {
            return;
        }
        let entries = known_to_all(node, cx);
        if !entries.is_empty() {
            let joiner = Joiner {
                booted: now,
                from: now,
                entries,
            };
            self.joiners.insert(node, joiner);
        }
    }

    /// The membership may begin its quiet time anew.
    fn postpone(&mut self, now: Time) {
        for joiner in self.joiners.values_mut() {
            joiner.from = now;
        }
    }

    fn judge(at: Time, node: NodeIx, joiner: &Joiner, cx: &ObserverContext) -> Vec<Violation> {
        if !is_calm(cx) {
            return Vec::new();
        }
        let violation = |wanted: &Wanted| {
            let defect = wanted.defect(node, cx)?;
            let cause = cx
                .history()
                .last_change_of(node, wanted.owner, &wanted.child);
            let detail = wanted.text(node, joiner.booted, cx);
            Some(Violation::at(NAME, (at, node, cause), defect, detail, cx))
        };
        let connected = |wanted: &&Wanted| cx.is_connected(node, wanted.owner);
        let wanted = joiner.entries.iter().filter(connected);
        wanted.filter_map(violation).collect()
    }
}

impl Oracle for JoinPrompt {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event, cx: &ObserverContext) {
        let (node, now) = (event.node, event.at);
        if let Payload::Booted { .. } = &event.payload {
            return self.booted(node, now, cx);
        }
        if let Payload::Step { action, .. } | Payload::Injected { action } = &event.payload {
            self.is_misled |= action == "view";
            self.is_changed = true;
        }
        if self.joiners.is_empty() {
            return;
        }
        if let Payload::Stopped(_)
        | Payload::Paused
        | Payload::Disconnected { .. }
        | Payload::Injected { .. } = &event.payload
        {
            self.joiners.clear();
        } else if let Payload::Dropped { from, .. } = &event.payload {
            if cx.is_running(node) && cx.is_running(*from) {
                self.joiners.clear();
            }
        } else if let Payload::PeerDown { reason, .. } = &event.payload {
            if *reason != DownReason::Restarted {
                self.joiners.remove(&node);
            }
            self.postpone(now);
        } else if let Payload::PeerUp { .. } | Payload::Connected { .. } = &event.payload {
            self.postpone(now);
        }
    }

    fn settle(&mut self, now: Time, next: Time, cx: &ObserverContext, found: &mut Vec<Violation>) {
        let is_changed = std::mem::take(&mut self.is_changed);
        if self.is_misled || is_changed && !is_calm(cx) {
            self.joiners.clear();
        }
        if self.joiners.is_empty() {
            return;
        }
        let bound = bound(cx);
        self.joiners.retain(|node, joiner| {
            let deadline = Time(joiner.from.0.saturating_add(bound));
            if deadline >= next {
                return true;
            }
            found.extend(Self::judge(now.max(deadline), *node, joiner, cx));
            false
        });
    }

    fn pending(&self, cx: &ObserverContext) -> Option<String> {
        self.joiners.iter().find_map(|(node, joiner)| {
            let mut lacking = joiner.entries.iter();
            let wanted = lacking.find(|wanted| wanted.defect(*node, cx).is_some())?;
            Some(wanted.text(*node, joiner.booted, cx))
        })
    }

    fn bound(&self, cx: &ObserverContext) -> Option<String> {
        let text = cx.facts().joining_text();
        Some(format!("{} = {text}", Time(bound(cx))))
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
