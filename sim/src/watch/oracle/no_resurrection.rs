//! `no_resurrection`: once j lacked or replaced (child, i, pid) at an instant when that pid no
//! longer ran, that pid does not come back at j in this incarnation of j.
//!
//! To come back it must have been there: a registration that arrives for the first time after its
//! child was stopped is late, not a resurrection. An instant is a whole one: what is removed and put
//! back within it was never lacked.
//!
//! Excused, as ghosts are: while i and j both run but are not connected; after something between
//! them was mended (a cut, a pause, their connection), for discovery + debounce + latency + sync
//! interval; after i stopped, for the detection bound. A reboot of j forgets everything. Children
//! named in raw requests or `rows` are not looked at.

use hashbrown::HashMap;
use hublab_strategies::{Pid, Time};

use super::{Oracle, Violation};
use crate::model::NodeIx;
use crate::trace::event::{Event, Payload};
use crate::watch::ObserverContext;
use crate::watch::changed::{Changed, Delta};

pub(super) const NAME: &str = "no_resurrection";

/// The pids of one owner that one observer had and has no more: since when.
type Lost = HashMap<(NodeIx, Pid), Time, LostHasher>;
type LostHasher = rustc_hash::FxBuildHasher;

/// Remembers what each view has lost.
#[derive(Debug, Default)]
pub(super) struct NoResurrection {
    lost: HashMap<NodeIx, Lost, LostHasher>,
    found: Vec<Violation>,
}

impl Oracle for NoResurrection {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event, _cx: &ObserverContext) {
        if let Payload::Booted { .. } = &event.payload {
            self.lost.remove(&event.node);
        }
    }

    fn row(&mut self, changed: &Changed<'_>, cx: &ObserverContext) {
        if changed.is_raw {
            return;
        }
        for delta in &changed.come {
            self.comes(changed, delta, cx);
        }
        for delta in &changed.gone {
            if let (Some(owner), Some(_), Some(pid)) = (delta.owner, delta.life, &delta.entry.pid) {
                let lost = self.lost.entry(changed.node).or_default();
                lost.insert((owner, pid.clone()), changed.at);
            }
        }
    }

    fn step_done(&mut self, _now: Time, _cx: &ObserverContext, found: &mut Vec<Violation>) {
        found.append(&mut self.found);
    }
}

impl NoResurrection {
    fn comes(&mut self, changed: &Changed<'_>, delta: &Delta<'_>, cx: &ObserverContext) {
        let (Some(owner), Some(life), Some(pid)) = (delta.owner, delta.life, &delta.entry.pid)
        else {
            return;
        };
        let Some(lost) = self.lost.get_mut(&changed.node) else {
            return;
        };
        let Some(lost) = lost.remove(&(owner, pid.clone())) else {
            return;
        };
        let is_buried = |stopped: Time| stopped.max(lost) < changed.at;
        let Some(stopped) = life.stopped.filter(|stopped| is_buried(*stopped)) else {
            return;
        };
        let excused = cx.excused_until(changed.node, owner);
        if excused.is_some_and(|until| changed.at <= until) {
            return;
        }
        let (node, child, name) = (cx.name(changed.node), changed.child, cx.name(owner));
        let detail = format!(
            "{pid} of {child} on {name}, which stopped at {stopped} and which {node} had lost at {lost}, is back at {node}"
        );
        let place = (changed.at, changed.node, changed.origin);
        self.found
            .push(Violation::at(NAME, place, "ghost", detail, cx));
    }
}
