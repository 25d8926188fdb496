//! How long until others have a stopped node outside their view.

use hublab_strategies::Time;

use super::cells::Cells;
use super::index;
use crate::model::NodeIx;
use crate::network::cut::NodeSet;

/// A node that stopped.
#[derive(Debug)]
struct Stop {
    node: NodeIx,
    at: Time,
    /// The observers that were connected to it, and still have it in their view.
    waiting: NodeSet,
    left: usize,
    first: Option<u64>,
    last: Option<u64>,
}

impl Stop {
    /// An observer is done with; `after` tells when, if it has the node outside its view.
    fn resolve(&mut self, observer: NodeIx, after: Option<u64>) {
        if !self.waiting.remove(observer) {
            return;
        }
        self.left -= 1;
        if let Some(after) = after {
            self.first.get_or_insert(after);
            self.last = Some(after);
        }
    }
}

#[derive(Debug)]
pub(super) struct Detection {
    /// By observer: who is in its view.
    views: Vec<NodeSet>,
    open: Vec<Stop>,
    /// Of stops that are done with: the first and the last.
    firsts: Vec<u64>,
    lasts: Vec<u64>,
}

impl Detection {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            views: (0..nodes).map(|_| NodeSet::new(nodes, &[])).collect(),
            open: Vec::new(),
            firsts: Vec::new(),
            lasts: Vec::new(),
        }
    }

    pub(super) fn node_up(&mut self, node: NodeIx) {
        let nodes = self.views.len();
        self.views[index(node)] = NodeSet::new(nodes, &[]);
        // What was not noticed by now is noticed of its new life at best.
        for stop in &mut self.open {
            if stop.node == node {
                stop.left = 0;
                stop.last = None;
            }
        }
        self.close();
    }

    pub(super) fn node_down(&mut self, now: Time, node: NodeIx, cells: &Cells) {
        for stop in &mut self.open {
            stop.resolve(node, None);
        }
        self.close();
        let nodes = self.views.len();
        let mut stop = Stop {
            node,
            at: now,
            waiting: NodeSet::new(nodes, &[]),
            left: 0,
            first: None,
            last: None,
        };
        for observer in (0..).take(nodes) {
            if cells.is_connected(observer, node) {
                stop.waiting.insert(observer);
                stop.left += 1;
                if !self.views[index(observer)].has(node) {
                    stop.resolve(observer, Some(0));
                }
            }
        }
        self.open.push(stop);
        self.close();
    }

    pub(super) fn view(
        &mut self,
        now: Time,
        observer: NodeIx,
        members: impl Iterator<Item = NodeIx>,
    ) {
        let mut view = NodeSet::new(self.views.len(), &[]);
        for member in members {
            view.insert(member);
        }
        for stop in &mut self.open {
            if !view.has(stop.node) {
                let after = now.since(stop.at);
                stop.resolve(observer, Some(after));
            }
        }
        self.views[index(observer)] = view;
        self.close();
    }

    fn close(&mut self) {
        let (firsts, lasts) = (&mut self.firsts, &mut self.lasts);
        self.open.retain(|stop| {
            if stop.left > 0 {
                return true;
            }
            firsts.extend(stop.first);
            lasts.extend(stop.last);
            false
        });
    }

    /// The medians over stops of the first and of the last. A stop that some observer still has in
    /// its view counts as longer than any.
    pub(super) fn finish(mut self) -> [Option<u64>; 2] {
        for stop in &self.open {
            self.firsts.push(stop.first.unwrap_or(u64::MAX));
            self.lasts.push(u64::MAX);
        }
        [self.firsts, self.lasts].map(|mut times| {
            times.sort_unstable();
            let median = times.get(times.len().saturating_sub(1) / 2).copied();
            median.filter(|time| *time < u64::MAX)
        })
    }
}
