//! `single_writer`: no message from another node, `hub.children` excepted, adds, changes or removes
//! the receiver's own entries.
//!
//! An entry is a node and a pid; its place in the row and the row's metadata may change. Messages to
//! oneself, steps, timers and `hub.children` may write. No excuses: a raw unregister that another
//! node passes on violates it, too.

use hublab_strategies::Time;

use super::{Oracle, Violation};
use crate::watch::ObserverContext;
use crate::watch::causes::Cause;
use crate::watch::changed::{Changed, Delta};

pub(super) const NAME: &str = "single_writer";

/// The one kind of message that may.
const CHILDREN: &str = "hub.children";

/// Looks at each change of an own entry.
#[derive(Debug, Default)]
pub(super) struct SingleWriter {
    found: Vec<Violation>,
}

impl Oracle for SingleWriter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn row(&mut self, changed: &Changed<'_>, cx: &ObserverContext) {
        let Cause::Deliver(kind, from) = changed.origin.cause else {
            return;
        };
        let is_own = |delta: &&Delta<'_>| delta.owner == Some(changed.node);
        let (gone, come) = (
            changed.gone.iter().find(is_own),
            changed.come.iter().find(is_own),
        );
        let (defect, verb) = match (gone, come) {
            (None, None) => return,
            (None, Some(_)) => ("ghost", "added"),
            (Some(_), None) => ("absent", "removed"),
            (Some(_), Some(_)) => ("wrong", "changed"),
        };
        let kind = cx.history().causes.kind(kind);
        if from == changed.node || kind == CHILDREN {
            return;
        }
        let (node, sender, child) = (cx.name(changed.node), cx.name(from), changed.child);
        let detail = format!("{kind} from {sender} {verb} {node}'s own entry of {child}");
        let place = (changed.at, changed.node, changed.origin);
        self.found
            .push(Violation::at(NAME, place, defect, detail, cx));
    }

    fn step_done(&mut self, _now: Time, _cx: &ObserverContext, found: &mut Vec<Violation>) {
        found.append(&mut self.found);
    }
}
