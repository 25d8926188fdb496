//! `own_truth`: a child that runs on a node stands in that node's own registry, under that node,
//! with its pid, from the end of its start to its stop.
//!
//! The start is over when the node's step that follows it in the same instant is.

use std::collections::BTreeSet;

use hublab_strategies::{ChildId, Time};

use super::{Oracle, Violation};
use crate::observe::World;
use crate::scenario::model::NodeIx;
use crate::trace::event::{Event, Payload};

pub(super) const NAME: &str = "own_truth";

/// Looks again at each child whose truth or own row changed.
#[derive(Debug, Default)]
pub(super) struct OwnTruth {
    touched: BTreeSet<(NodeIx, ChildId)>,
    /// Known to be violated: reported once, until it is mended.
    violated: BTreeSet<(NodeIx, ChildId)>,
}

impl Oracle for OwnTruth {
    fn name(&self) -> &'static str {
        NAME
    }

    fn event(&mut self, event: &Event, _world: &World<'_>) {
        if let Payload::Row { child, .. }
        | Payload::ChildStarted { child, .. }
        | Payload::ChildStopped { child, .. } = &event.payload
        {
            self.touched.insert((event.node, child.clone()));
        }
    }

    fn step_done(&mut self, now: Time, world: &World<'_>, found: &mut Vec<Violation>) {
        for (node, child) in std::mem::take(&mut self.touched) {
            let problem = check(node, &child, world);
            let key = (node, child);
            match problem {
                None => {
                    self.violated.remove(&key);
                }
                Some(detail) => {
                    if self.violated.insert(key) {
                        found.push(Violation::new(NAME, now, world.name(node).as_str(), detail));
                    }
                }
            }
        }
    }
}

fn check(node: NodeIx, child: &ChildId, world: &World<'_>) -> Option<String> {
    let running = world.child(node, child)?;
    let registry = world.registry(node)?;
    let name = world.name(node);
    let row = registry.get(child);
    let shown = row.as_ref().and_then(|row| row.pid_on(name));
    match shown {
        Some(Some(pid)) if *pid == running.pid => None,
        Some(pid) => {
            let pid = pid.map_or("nil", |pid| pid.as_str());
            Some(format!(
                "{name} runs {child} as {} but its own registry says {pid}",
                running.pid
            ))
        }
        None => Some(format!(
            "{name} runs {child} as {} but its own registry has no entry of it",
            running.pid
        )),
    }
}
