//! `own_truth`: a child that runs on a node stands in that node's own registry, under that node,
//! with its pid, from the end of its start to its stop.
//!
//! The start is over when the node's step that follows it in the same instant is. No excuses but
//! the common one: a child named in raw requests or `rows` is not looked at, for anybody may have
//! unregistered it.

use std::collections::{BTreeMap, BTreeSet};

use hublab_strategies::{ChildId, Time};

use super::{Oracle, Violation};
use crate::model::NodeIx;
use crate::trace::event::{Event, Payload};
use crate::watch::ObserverContext;
use crate::watch::causes::Origin;
use crate::watch::changed::Changed;

pub(super) const NAME: &str = "own_truth";

type Key = (NodeIx, ChildId);

/// Looks again at each child whose truth or own entry changed.
#[derive(Debug, Default)]
pub(super) struct OwnTruth {
    touched: BTreeMap<Key, Origin>,
    /// Known to be violated: reported once, until it is mended.
    violated: BTreeSet<Key>,
}

impl Oracle for OwnTruth {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event, cx: &ObserverContext) {
        if let Payload::ChildStarted { child, .. } | Payload::ChildStopped { child, .. } =
            &event.payload
            && !cx.facts().is_raw(child)
        {
            let cause = cx.history().causes.of(event);
            self.touched.insert((event.node, child.clone()), cause);
        }
    }

    fn row(&mut self, changed: &Changed<'_>, _cx: &ObserverContext) {
        let mut deltas = changed.gone.iter().chain(&changed.come);
        if !changed.is_raw && deltas.any(|delta| delta.owner == Some(changed.node)) {
            self.touched
                .insert((changed.node, changed.child.clone()), changed.origin);
        }
    }

    fn step_done(&mut self, now: Time, cx: &ObserverContext, found: &mut Vec<Violation>) {
        while let Some(((node, child), cause)) = self.touched.pop_first() {
            let problem = check(node, &child, cx);
            let key = (node, child);
            match problem {
                None => {
                    self.violated.remove(&key);
                }
                Some((defect, detail)) => {
                    if self.violated.insert(key) {
                        let place = (now, node, cause);
                        found.push(Violation::at(NAME, place, defect, detail, cx));
                    }
                }
            }
        }
    }
}

fn check(node: NodeIx, child: &ChildId, cx: &ObserverContext) -> Option<(&'static str, String)> {
    let running = cx.child(node, child).filter(|_| cx.is_running(node))?;
    let name = cx.name(node);
    match cx.shown_pid(node, child, node) {
        Some(Some(pid)) if *pid == running.pid => None,
        Some(pid) => {
            let pid = pid.map_or("nil", |pid| pid.as_str());
            let detail = format!(
                "{name} runs {child} as {} but its own registry says {pid}",
                running.pid
            );
            Some(("wrong", detail))
        }
        None => {
            let detail = format!(
                "{name} runs {child} as {} but its own registry has no entry of it",
                running.pid
            );
            Some(("absent", detail))
        }
    }
}
