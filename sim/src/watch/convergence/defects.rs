//! The defects of views, in words: read off the tracker when something asks for them.

use std::collections::BTreeMap;

use hublab_strategies::{ChildId, Pid};

use super::{Convergence, Moment, Running};
use crate::model::NodeIx;
use crate::watch::ObserverContext;
use crate::watch::defect::{Defect, Kind};

impl Convergence {
    /// Lists the defects at these observers, at most `limit` of them.
    #[must_use]
    pub fn pending(&self, observers: &[NodeIx], cx: &ObserverContext, limit: usize) -> Vec<Defect> {
        let mut found = Vec::new();
        for node in observers
            .iter()
            .copied()
            .filter(|node| !self.is_in_order(*node))
        {
            let observer = &self.observers[node as usize];
            for owner in (0..).take(self.observers.len()) {
                if found.len() >= limit {
                    return found;
                }
                let cell = observer.cells.get(owner as usize);
                if cell.is_some_and(|cell| cell.bad) {
                    let pair = (node, owner);
                    self.missing(pair, cx, limit, &mut found);
                    self.ghosts(pair, cx, limit, &mut found);
                }
            }
            if !observer.foreign.is_empty() && found.len() < limit {
                found.push(Defect::foreign(node, cx));
            }
        }
        found
    }

    /// Since when something is as it should not be, if that is known.
    fn since(&self, (node, owner): (NodeIx, NodeIx), child: &ChildId) -> Option<Moment> {
        let odd = &self.observers[node as usize].odd;
        odd.get(&(owner, child.clone()))?.since
    }

    /// Adds children that run and are not shown, or not as they are.
    fn missing(
        &self,
        pair: (NodeIx, NodeIx),
        cx: &ObserverContext,
        limit: usize,
        found: &mut Vec<Defect>,
    ) {
        if !self.observers[pair.0 as usize].live || !self.reaches(pair) {
            return;
        }
        let (observer, name) = (cx.name(pair.0), cx.name(pair.1));
        let children: BTreeMap<_, _> = self.truth[pair.1 as usize].iter().collect();
        for (child, Running { child: running, .. }) in children {
            if found.len() >= limit {
                return;
            }
            if self.true_entry(pair.0, pair.1, child).is_some() {
                continue;
            }
            let (kind, text) = match self.odd_entries(pair.0, pair.1, child).next() {
                None => (Kind::Absent, format!("{observer} lacks {child} of {name}")),
                Some((pid, _)) if pid != Some(&running.pid) => {
                    let pid = pid.map_or("nil", Pid::as_str);
                    let text = format!(
                        "{observer} has pid {pid} for {child} of {name}, which is {}",
                        running.pid
                    );
                    (Kind::Wrong, text)
                }
                Some((_, metadata)) => {
                    let text = format!(
                        "{observer} has metadata {metadata:?} for {child} of {name}, which has {:?}",
                        running.metadata
                    );
                    (Kind::Metadata, text)
                }
            };
            let onset = self.since(pair, child);
            let since = onset.map_or(running.since, |(at, _)| at);
            let text = format!("{text} since {since}");
            let event = onset.map(|(_, event)| event);
            found.push(Defect::new(pair, child, kind, text, event));
        }
    }

    /// Adds children that are shown and do not run.
    fn ghosts(
        &self,
        pair: (NodeIx, NodeIx),
        cx: &ObserverContext,
        limit: usize,
        found: &mut Vec<Defect>,
    ) {
        let (observer, name) = (cx.name(pair.0), cx.name(pair.1));
        let is_reachable = self.reaches(pair);
        let why = if !self.observers[pair.1 as usize].live {
            "which is not running"
        } else if is_reachable {
            "where it does not run"
        } else {
            "which it is not connected to"
        };
        for child in self.shown_children(pair.0, pair.1) {
            if found.len() >= limit {
                return;
            }
            if is_reachable && self.running(pair.1, child).is_some() {
                continue;
            }
            let onset = self.since(pair, child);
            let since = onset.map_or(String::new(), |(at, _)| format!(" since {at}"));
            let text = format!("{observer} still shows {child} of {name}, {why}{since}");
            let event = onset.map(|(_, event)| event);
            found.push(Defect::new(pair, child, Kind::Ghost, text, event));
        }
    }
}
