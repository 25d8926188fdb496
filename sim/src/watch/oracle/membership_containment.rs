//! `membership_containment`: no view holds an entry of a node that has been outside that node's
//! cluster view for longer than discovery + debounce + latency.
//!
//! Counted from when the node left the view (or the observer booted), or from when the first of its
//! entries came to an observer that held none, whichever is later: join data reach a node before its
//! own debounce is over, however long the two had been apart, and that is no fault. While the
//! observer is paused it can do nothing, and counting begins anew when it goes on.
//!
//! A `view` step may leave the observer itself out of its view for ever; its own entries are where
//! they belong all the same, as `own_truth` has it.
//!
//! Excused: a node that a `view` step took out, until membership changes the view again. It does not
//! compare with the truth, so children named in raw requests and in `rows` count, too. The latency is
//! that of the slowest message so far, if that is more than the bound of the network's law.

use std::collections::{BTreeMap, BTreeSet};

use hublab_strategies::{NodeId, Time};

use super::{Oracle, Violation, quiet};
use crate::model::NodeIx;
use crate::trace::event::{Event, Payload};
use crate::watch::ObserverContext;
use crate::watch::causes::Origin;
use crate::watch::changed::Changed;

pub(super) const NAME: &str = "membership_containment";

/// Keeps, for each observer, which strangers it has entries of, and when to look again.
#[derive(Debug, Default)]
pub(super) struct MembershipContainment {
    observers: BTreeMap<NodeIx, Observer>,
    /// Changes of this step: the observer, the node that it is about, and the event.
    touched: Vec<(NodeIx, NodeId, Origin)>,
    /// When a stranger's entries will have been held for too long.
    deadlines: BTreeSet<(Time, NodeIx, NodeId)>,
}

#[derive(Debug, Default)]
struct Observer {
    view: BTreeSet<NodeId>,
    /// The same, by position.
    members: Vec<bool>,
    /// Nodes outside the view with entries here.
    strangers: BTreeMap<NodeId, Stranger>,
    /// Taken out by a `view` step.
    exempt: BTreeSet<NodeId>,
}

/// A node outside a view, with entries in it.
#[derive(Debug, Clone, Copy)]
struct Stranger {
    /// Since when it is both.
    since: Time,
    /// The event that made it one.
    cause: Origin,
    is_reported: bool,
}

impl Observer {
    fn is_member(&self, owner: Option<NodeIx>) -> bool {
        owner.is_some_and(|owner| self.members.get(owner as usize) == Some(&true))
    }

    fn set_view(&mut self, view: &[NodeId], cx: &ObserverContext) {
        self.members = vec![false; cx.len()];
        for node in view.iter().filter_map(|node| cx.facts().position(node)) {
            self.members[node as usize] = true;
        }
        self.view = view.iter().cloned().collect();
    }
}

fn bound(cx: &ObserverContext) -> u64 {
    quiet::with_load(cx.facts().times.membership(), cx)
}

impl MembershipContainment {
    fn view_changed(&mut self, at: NodeIx, view: &[NodeId], cause: Origin, cx: &ObserverContext) {
        let overwritten = cx.causes().is_overwritten(cause);
        let observer = self.observers.entry(at).or_default();
        let before = std::mem::take(&mut observer.view);
        observer.set_view(view, cx);
        let mut changed: BTreeSet<NodeId> = before
            .symmetric_difference(&observer.view)
            .cloned()
            .collect();
        if overwritten {
            let gone = before.difference(&observer.view).cloned();
            observer.exempt.extend(gone);
        } else {
            // Membership has changed: what a `view` step took out counts from now on.
            changed.append(&mut observer.exempt);
        }
        let (exempt, view) = (&mut observer.exempt, &observer.view);
        exempt.retain(|node| !view.contains(node));
        self.touched
            .extend(changed.into_iter().map(|node| (at, node, cause)));
    }

    /// Looks again at what an observer holds of a node.
    fn refresh(
        &mut self,
        now: Time,
        at: NodeIx,
        node: NodeId,
        cause: Origin,
        cx: &ObserverContext,
    ) {
        let Some(observer) = self.observers.get_mut(&at) else {
            return;
        };
        let is_other = *cx.name(at) != node;
        let is_outside =
            is_other && !observer.view.contains(&node) && !observer.exempt.contains(&node);
        if !is_outside || !cx.shows_any(at, &node) {
            observer.strangers.remove(&node);
        } else if !observer.strangers.contains_key(&node) {
            let stranger = Stranger {
                since: now,
                cause,
                is_reported: false,
            };
            observer.strangers.insert(node.clone(), stranger);
            let deadline = Time(now.0.saturating_add(bound(cx)));
            self.deadlines.insert((deadline, at, node));
        }
    }

    fn resumed(&mut self, now: Time, at: NodeIx, cx: &ObserverContext) {
        let Some(observer) = self.observers.get_mut(&at) else {
            return;
        };
        for (node, stranger) in &mut observer.strangers {
            stranger.since = now;
            let deadline = Time(now.0.saturating_add(bound(cx)));
            self.deadlines.insert((deadline, at, node.clone()));
        }
    }

    /// Judges a stranger whose deadline has passed, unless its time began anew.
    fn judge(
        &mut self,
        now: Time,
        at: NodeIx,
        node: &NodeId,
        cx: &ObserverContext,
    ) -> Option<Violation> {
        let stranger = self.observers.get_mut(&at)?.strangers.get_mut(node)?;
        let deadline = Time(stranger.since.0.saturating_add(bound(cx)));
        if deadline >= now {
            self.deadlines.insert((deadline, at, node.clone()));
            return None;
        }
        if cx.is_paused(at) || std::mem::replace(&mut stranger.is_reported, true) {
            return None;
        }
        let (since, place) = (stranger.since, (now, at, stranger.cause));
        let child = cx.first_shown(at, node)?;
        let name = cx.name(at);
        let detail = format!(
            "{name} has {child} of {node}, which is outside its cluster view, as it is since {since}"
        );
        Some(Violation::at(NAME, place, "ghost", detail, cx))
    }
}

impl Oracle for MembershipContainment {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event, cx: &ObserverContext) {
        let at = event.node;
        if let Payload::Booted { name, .. } = &event.payload {
            let mut observer = Observer::default();
            observer.set_view(std::slice::from_ref(name), cx);
            self.observers.insert(at, observer);
        } else if let Payload::Stopped(_) = &event.payload {
            self.observers.remove(&at);
        } else if let Payload::View(view) = &event.payload {
            self.view_changed(at, view, cx.history().causes.of(event), cx);
        } else if let Payload::Resumed = &event.payload {
            self.resumed(event.at, at, cx);
        }
    }

    fn row(&mut self, changed: &Changed<'_>, _cx: &ObserverContext) {
        let Some(observer) = self.observers.get(&changed.node) else {
            return;
        };
        for delta in changed.come.iter().chain(&changed.gone) {
            if !observer.is_member(delta.owner) {
                let node = delta.entry.node.clone();
                self.touched.push((changed.node, node, changed.origin));
            }
        }
    }

    fn step_done(&mut self, now: Time, cx: &ObserverContext, _found: &mut Vec<Violation>) {
        for (at, node, cause) in std::mem::take(&mut self.touched) {
            self.refresh(now, at, node, cause, cx);
        }
    }

    fn settle(&mut self, now: Time, next: Time, cx: &ObserverContext, found: &mut Vec<Violation>) {
        while let Some((deadline, at, node)) = self.deadlines.first().cloned() {
            // At the deadline itself it has not yet been longer than the bound.
            if deadline.0.saturating_add(1) >= next.0 {
                return;
            }
            self.deadlines.pop_first();
            let at_once = Time(now.0.max(deadline.0 + 1));
            found.extend(self.judge(at_once, at, &node, cx));
        }
    }
}
