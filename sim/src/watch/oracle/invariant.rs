//! An oracle from one closure.

use hublab_strategies::Time;

use super::{Oracle, Violation};
use crate::model::NodeIx;
use crate::watch::ObserverContext;

struct Invariant<C> {
    name: &'static str,
    check: C,
    /// By node: broken when it was looked at last.
    broken: Vec<bool>,
}

/// A safety oracle from a closure, which is asked at the end of each instant about each running
/// node: how the node breaks the rule, `None` if it does not. It reports when a node begins to.
#[must_use]
pub fn invariant<C>(name: &'static str, check: C) -> Box<dyn Oracle>
where
    C: FnMut(&ObserverContext, NodeIx) -> Option<String> + Send + 'static,
{
    let broken = Vec::new();
    Box::new(Invariant {
        name,
        check,
        broken,
    })
}

impl<C> Oracle for Invariant<C>
where
    C: FnMut(&ObserverContext, NodeIx) -> Option<String> + Send,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn settle(&mut self, now: Time, _next: Time, cx: &ObserverContext, found: &mut Vec<Violation>) {
        self.broken.resize(cx.len(), false);
        for (node, broken) in cx.positions().zip(&mut self.broken) {
            let how = if cx.is_running(node) {
                (self.check)(cx, node)
            } else {
                None
            };
            let was_broken = std::mem::replace(broken, how.is_some());
            if let Some(how) = how.filter(|_| !was_broken) {
                let name = cx.name(node).as_str();
                found.push(Violation::new(self.name, now, name, how).with_defect("broken"));
            }
        }
    }
}
