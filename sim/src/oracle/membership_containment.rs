//! `membership_containment`: no view holds an entry of a node that has been outside that node's
//! cluster view for longer than discovery + debounce + latency.
//!
//! A node that a `view` step took out does not count until membership changes the view again.

use std::collections::{BTreeMap, BTreeSet};

use hublab_strategies::{NodeId, Time};

use super::{Oracle, Violation};
use crate::observe::{Facts, World};
use crate::scenario::model::NodeIx;
use crate::trace::event::{Event, Payload};

pub(super) const NAME: &str = "membership_containment";

/// Keeps, for each observer, since when nodes are outside its view, and when to look again.
#[derive(Debug)]
pub(super) struct MembershipContainment {
    bound_us: u64,
    observers: BTreeMap<NodeIx, Observer>,
    /// When a node that has entries at an observer will have been outside for too long.
    deadlines: BTreeSet<(Time, NodeIx, NodeId)>,
    overwriting: Option<NodeIx>,
}

#[derive(Debug, Default)]
struct Observer {
    booted: Time,
    view: BTreeSet<NodeId>,
    /// Nodes that were in the view once: since when they are not.
    left: BTreeMap<NodeId, Time>,
    /// Taken out by a `view` step.
    exempt: BTreeSet<NodeId>,
    reported: BTreeSet<NodeId>,
}

impl MembershipContainment {
    pub(super) fn new(facts: &Facts) -> Self {
        Self {
            bound_us: facts.membership_bound_us,
            observers: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            overwriting: None,
        }
    }

    fn view_changed(&mut self, now: Time, at: NodeIx, view: &[NodeId], world: &World<'_>) {
        let overwritten = self.overwriting.take() == Some(at);
        let observer = self.observers.entry(at).or_default();
        let after: BTreeSet<NodeId> = view.iter().cloned().collect();
        let gone: Vec<NodeId> = observer.view.difference(&after).cloned().collect();
        if !overwritten {
            // Membership has changed: what a `view` step took out counts from now on.
            for node in std::mem::take(&mut observer.exempt) {
                observer.left.insert(node, now);
            }
        }
        for node in &after {
            observer.left.remove(node);
            observer.exempt.remove(node);
            observer.reported.remove(node);
        }
        observer.view = after;
        for node in gone {
            observer.left.insert(node.clone(), now);
            if overwritten {
                observer.exempt.insert(node);
            }
        }
        let outside: Vec<NodeId> = observer.left.keys().cloned().collect();
        for node in outside {
            self.watch(at, &node, world);
        }
    }

    /// Notes when a node outside the view will have been there for too long.
    fn watch(&mut self, at: NodeIx, node: &NodeId, world: &World<'_>) {
        let Some(observer) = self.observers.get(&at) else {
            return;
        };
        if observer.view.contains(node)
            || observer.exempt.contains(node)
            || observer.reported.contains(node)
        {
            return;
        }
        let has_entries = world
            .registry(at)
            .is_some_and(|registry| registry.children_of(node).next().is_some());
        if has_entries {
            let since = observer.left.get(node).copied().unwrap_or(observer.booted);
            self.deadlines
                .insert((Time(since.0 + self.bound_us), at, node.clone()));
        }
    }
}

impl Oracle for MembershipContainment {
    fn name(&self) -> &'static str {
        NAME
    }

    fn view_overwritten(&mut self, node: NodeIx) {
        self.overwriting = Some(node);
    }

    fn event(&mut self, event: &Event, world: &World<'_>) {
        let at = event.node;
        if let Payload::Booted { name, .. } = &event.payload {
            let view = BTreeSet::from([name.clone()]);
            self.observers.insert(
                at,
                Observer {
                    booted: event.at,
                    view,
                    ..Observer::default()
                },
            );
            self.deadlines.retain(|(_, observer, _)| *observer != at);
        } else if let Payload::Stopped(_) = &event.payload {
            self.observers.remove(&at);
            self.deadlines.retain(|(_, observer, _)| *observer != at);
        } else if let Payload::View(view) = &event.payload {
            self.view_changed(event.at, at, view, world);
        } else if let Payload::Row {
            after: Some(row), ..
        } = &event.payload
        {
            for entry in &row.entries {
                if self
                    .observers
                    .get(&at)
                    .is_some_and(|observer| !observer.view.contains(&entry.node))
                {
                    self.watch(at, &entry.node, world);
                }
            }
        }
    }

    fn settle(&mut self, now: Time, next: Time, world: &World<'_>, found: &mut Vec<Violation>) {
        while let Some((deadline, at, node)) = self.deadlines.first().cloned() {
            // At the deadline itself it has not yet been longer than the bound.
            if deadline.0 + 1 >= next.0 {
                return;
            }
            self.deadlines.pop_first();
            let Some(observer) = self.observers.get_mut(&at) else {
                continue;
            };
            let is_outside = !observer.view.contains(&node) && !observer.exempt.contains(&node);
            let child = world
                .registry(at)
                .and_then(|registry| registry.children_of(&node).next().cloned());
            if let Some(child) = child.filter(|_| is_outside)
                && observer.reported.insert(node.clone())
            {
                let since = observer.left.get(&node).copied().unwrap_or(observer.booted);
                let name = world.name(at);
                let detail = format!(
                    "{name} has {child} of {node}, which has been outside its cluster view since {since}"
                );
                found.push(Violation::new(
                    NAME,
                    Time(now.0.max(deadline.0 + 1)),
                    name.as_str(),
                    detail,
                ));
            }
        }
    }
}
