//! `no_false_absence`: an entry that j has, and that is still true, is not removed at j while j and
//! its owner are connected.
//!
//! Removed: after the step j shows no entry of that owner and pid for the child; a replaced pid is
//! removed. Still true: the owner runs that pid when the step is over. Entries of j itself are
//! `own_truth`'s business.
//!
//! Excused: what falls in the step in which its owner leaves j's cluster view (a node declared
//! down), and whatever falls within the detection bound after j and the owner connected again.
//! Children named in raw requests or `rows` are not looked at.

use hublab_strategies::{NodeId, Pid, Time};

use super::suspect::Suspect;
use super::{Oracle, Violation};
use crate::model::NodeIx;
use crate::trace::event::{Event, Payload};
use crate::watch::ObserverContext;
use crate::watch::changed::Changed;

pub(super) const NAME: &str = "no_false_absence";

/// Looks at each true entry that goes.
#[derive(Debug, Default)]
pub(super) struct NoFalseAbsence {
    /// Entries that went while their pid ran.
    suspects: Vec<Suspect<Pid>>,
    /// By node: its cluster view before this step, if the step changed it.
    views: Vec<Vec<NodeId>>,
    /// Nodes that left a view in this step: whose view, and who.
    left: Vec<(NodeIx, NodeId)>,
}

impl NoFalseAbsence {
    fn view_changed(&mut self, node: NodeIx, view: &[NodeId]) {
        let slot = node as usize;
        if self.views.len() <= slot {
            self.views.resize(slot + 1, Vec::new());
        }
        let before = std::mem::replace(&mut self.views[slot], view.to_vec());
        let mut after: Vec<&NodeId> = view.iter().collect();
        after.sort_unstable();
        let gone = before
            .into_iter()
            .filter(|name| after.binary_search(&name).is_err());
        self.left.extend(gone.map(|name| (node, name)));
    }

    fn is_excused(&self, suspect: &Suspect<Pid>, cx: &ObserverContext) -> bool {
        let owner = cx.name(suspect.owner);
        let is_it = |(node, left): &(NodeIx, NodeId)| *node == suspect.node && left == owner;
        if self.left.iter().any(is_it) {
            return true;
        }
        let bound = cx.facts().times.detection();
        let reconnected = cx.history().reconnected(suspect.node, suspect.owner);
        reconnected.is_some_and(|since| suspect.at.0 <= since.0.saturating_add(bound))
    }
}

impl Oracle for NoFalseAbsence {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event, _cx: &ObserverContext) {
        if let Payload::View(view) = &event.payload {
            self.view_changed(event.node, view);
        } else if let Payload::Booted { name, .. } = &event.payload {
            self.view_changed(event.node, std::slice::from_ref(name));
        }
    }

    fn row(&mut self, changed: &Changed<'_>, _cx: &ObserverContext) {
        if changed.is_raw {
            return;
        }
        for delta in &changed.gone {
            let (Some(owner), Some(life), Some(pid)) = (delta.owner, delta.life, &delta.entry.pid)
            else {
                continue;
            };
            if life.stopped.is_none() && owner != changed.node {
                self.suspects
                    .push(Suspect::new(changed, owner, pid.clone()));
            }
        }
    }

    fn step_done(&mut self, _now: Time, cx: &ObserverContext, found: &mut Vec<Violation>) {
        for suspect in std::mem::take(&mut self.suspects) {
            let Suspect {
                node,
                child,
                owner,
                shown: pid,
                ..
            } = &suspect;
            let running = cx.child(*owner, child);
            let is_true = running.is_some_and(|running| running.pid == *pid);
            if !is_true
                || cx.shows(*node, child, *owner, pid)
                || !cx.is_connected(*node, *owner)
                || self.is_excused(&suspect, cx)
            {
                continue;
            }
            let (name, owner) = (cx.name(*node), cx.name(*owner));
            let detail = format!("{name} removed {child} of {owner}, which still runs it as {pid}");
            found.push(suspect.violation(NAME, "absent", detail, cx));
        }
        self.left.clear();
    }
}
