//! Defects that no strategy could have avoided: those of nodes that are not connected to their observer,
//! or have been again for a short time only, and of nodes whose end need not have been noticed yet.

use hashbrown::HashMap;
use hublab_strategies::Time;
use rustc_hash::FxBuildHasher;

use super::index;
use crate::model::{NodeIx, Window};
use crate::watch::ObserverContext;

/// The defects of one owner at one observer.
#[derive(Debug)]
struct Open {
    count: u64,
    /// Until when they have been added up.
    added: Time,
    /// Until when they are excused; `None` if they are not.
    excused: Option<Time>,
}

impl Open {
    /// Adds up what is not excused until now, in row-microseconds.
    fn add_up(&mut self, now: Time, window: Window) -> u128 {
        let from = self
            .excused
            .map_or(self.added, |until| until.max(self.added));
        self.added = now;
        u128::from(self.count) * u128::from(window.overlap(from, now))
    }
}

/// The integral of the number of defects that are not excused.
#[derive(Debug)]
pub(super) struct Unexcused {
    window: Window,
    /// By observer and owner; those without a defect are not there.
    open: Vec<HashMap<NodeIx, Open, FxBuildHasher>>,
    area: u128,
}

impl Unexcused {
    pub(super) fn new(nodes: usize, window: Window) -> Self {
        Self {
            window,
            open: (0..nodes).map(|_| HashMap::default()).collect(),
            area: 0,
        }
    }

    /// An owner has one defect more at an observer, or one less.
    pub(super) fn changed(
        &mut self,
        now: Time,
        (observer, owner): (NodeIx, NodeIx),
        is_more: bool,
        cx: &ObserverContext,
    ) {
        let open = &mut self.open[index(observer)];
        let pair = open.entry(owner).or_insert_with(|| Open {
            count: 0,
            added: now,
            excused: cx.excused_until(observer, owner),
        });
        self.area += pair.add_up(now, self.window);
        if is_more {
            pair.count += 1;
        } else {
            pair.count -= 1;
        }
        if pair.count == 0 {
            open.remove(&owner);
        }
    }

    /// Something happened between two nodes.
    pub(super) fn pair_changed(&mut self, now: Time, [a, b]: [NodeIx; 2], cx: &ObserverContext) {
        for (observer, owner) in [(a, b), (b, a)] {
            if let Some(pair) = self.open[index(observer)].get_mut(&owner) {
                self.area += pair.add_up(now, self.window);
                pair.excused = cx.excused_until(observer, owner);
            }
        }
    }

    /// Something happened to a node.
    pub(super) fn node_changed(&mut self, now: Time, node: NodeIx, cx: &ObserverContext) {
        for other in cx.positions() {
            self.pair_changed(now, [node, other], cx);
        }
    }

    /// Something happened to the network.
    pub(super) fn network_changed(&mut self, now: Time, cx: &ObserverContext) {
        for (observer, open) in (0..).zip(&mut self.open) {
            for (owner, pair) in open {
                self.area += pair.add_up(now, self.window);
                pair.excused = cx.excused_until(observer, *owner);
            }
        }
    }

    /// The run is over.
    pub(super) fn finish(mut self, end: Time) -> u128 {
        let open = self.open.iter_mut().flat_map(HashMap::values_mut);
        let rest: u128 = open.map(|pair| pair.add_up(end, self.window)).sum();
        self.area + rest
    }
}
