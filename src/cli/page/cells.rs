//! Where views differ from the truth, cell by cell: an observer of the trace that keeps a cell up to date
//! for each child and node, and tells when one changes.
//!
//! The words are those of the oracles: a child that runs and is not shown is *absent*, one that is shown
//! and does not run, or not where the node can reach it, is a *ghost*, one with another pid or other metadata
//! is *wrong*.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use hublab_sim::model::NodeIx;
use hublab_sim::trace::Event;
use hublab_sim::trace::event::Payload;
use hublab_sim::watch::ObserverContext;
use hublab_sim::watch::changed::Changed;
use hublab_sim::watch::oracle::{Conclusion, Oracle, Violation};
use hublab_strategies::{ChildId, Time};

/// How many entries of a cell are absent, ghosts, and wrong.
pub(super) type Defects = [u32; 3];

/// A cell changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CellChange {
    pub(super) at: Time,
    pub(super) node: NodeIx,
    pub(super) child: ChildId,
    pub(super) defects: Defects,
}

/// The defects of all views, or of one, at an instant and since then.
pub(super) type Point = (u64, Defects);

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) changes: Vec<CellChange>,
    /// Of all views.
    pub(super) total: Vec<Point>,
    /// By node.
    pub(super) nodes: Vec<Vec<Point>>,
    /// Stretches in which links are cut, and in which messages are lost or held; 0 and 1.
    pub(super) bars: Vec<(usize, Time, Time)>,
    /// Stretches in which a node is cut off from another that there is.
    pub(super) cut_nodes: Vec<(NodeIx, Time, Time)>,
}

/// The observer. What it has seen is read from the other end of [`Self::new`].
#[derive(Debug)]
pub(super) struct Cells {
    seen: Arc<Mutex<Seen>>,
    /// Where children run, as far as they have been started.
    owners: BTreeMap<ChildId, BTreeSet<NodeIx>>,
    /// The same by node.
    runs: Vec<BTreeSet<ChildId>>,
    /// Cells that are not as they should be.
    odd: HashMap<(NodeIx, ChildId), Defects>,
    dirty: BTreeSet<(NodeIx, ChildId)>,
    total: Defects,
    nodes: Vec<Defects>,
    /// True if a step has acted: cuts and links may be others.
    acted: bool,
    /// Since when links are cut, and messages are lost or held.
    bars: [Option<Time>; 2],
    cut_since: Vec<Option<Time>>,
}

impl Cells {
    pub(super) fn new(nodes: usize) -> (Self, Arc<Mutex<Seen>>) {
        let seen = Arc::new(Mutex::new(Seen {
            nodes: vec![Vec::new(); nodes],
            ..Seen::default()
        }));
        let cells = Self {
            seen: Arc::clone(&seen),
            owners: BTreeMap::new(),
            runs: vec![BTreeSet::new(); nodes],
            odd: HashMap::new(),
            dirty: BTreeSet::new(),
            total: Defects::default(),
            nodes: vec![Defects::default(); nodes],
            acted: true,
            bars: [None, None],
            cut_since: vec![None; nodes],
        };
        (cells, seen)
    }

    /// The child is shown, or to be shown, at every node.
    fn touch(&mut self, child: &ChildId, cx: &ObserverContext) {
        self.dirty
            .extend(cx.positions().map(|node| (node, child.clone())));
    }

    /// What one node shows of another may be judged otherwise now.
    fn touch_pair(&mut self, node: NodeIx, owner: NodeIx, cx: &ObserverContext) {
        for child in cx.children_shown(node, owner) {
            self.dirty.insert((node, child.clone()));
        }
        let runs = self.runs[owner as usize].iter();
        self.dirty.extend(runs.map(|child| (node, child.clone())));
    }

    /// The node begins or ends: all that it shows, and all that is shown of it.
    fn touch_node(&mut self, node: NodeIx, cx: &ObserverContext) {
        for other in cx.positions() {
            self.touch_pair(node, other, cx);
            self.touch_pair(other, node, cx);
        }
        let odd: Vec<ChildId> = self.children_odd_at(node);
        self.dirty
            .extend(odd.into_iter().map(|child| (node, child)));
    }

    #[expect(
        clippy::iter_over_hash_type,
        reason = "what comes of it is a set, in order"
    )]
    fn children_odd_at(&self, node: NodeIx) -> Vec<ChildId> {
        let mut all = Vec::new();
        for (at, child) in self.odd.keys() {
            if *at == node {
                all.push(child.clone());
            }
        }
        all
    }

    fn judge(&self, node: NodeIx, child: &ChildId, cx: &ObserverContext) -> Defects {
        let [mut absent, mut ghost, mut wrong] = Defects::default();
        if !cx.is_running(node) {
            return Defects::default();
        }
        let row = cx.row_of(node, child);
        let entries = row.map_or(&[][..], |row| &row.entries[..]);
        let mut owners: BTreeSet<NodeIx> = self.owners.get(child).cloned().unwrap_or_default();
        for entry in entries {
            match cx.facts().position(&entry.node) {
                Some(owner) => drop(owners.insert(owner)),
                // A node that is not in the file.
                None => ghost += 1,
            }
        }
        for owner in owners {
            let reaches = owner == node || cx.is_connected(node, owner);
            let truth = if reaches && cx.is_running(owner) {
                cx.child(owner, child)
            } else {
                None
            };
            let name = cx.name(owner);
            let mut shown = entries
                .iter()
                .filter(|entry| entry.node == *name)
                .peekable();
            match (truth, shown.peek().is_some()) {
                (None, false) => {}
                (None, true) => ghost += 1,
                (Some(_), false) => absent += 1,
                (Some(truth), true) => {
                    let is_right = shown.any(|entry| {
                        let metadata = row.map(|row| row.metadata_on(name));
                        entry.pid.as_ref() == Some(&truth.pid) && metadata == Some(&truth.metadata)
                    });
                    wrong += u32::from(!is_right);
                }
            }
        }
        [absent, ghost, wrong]
    }

    fn note_network(&mut self, now: Time, cx: &ObserverContext) {
        if !std::mem::take(&mut self.acted) {
            return;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let flags = [cx.has_cuts(), cx.loses_messages()];
        for (kind, (since, is_on)) in self.bars.iter_mut().zip(flags).enumerate() {
            match (*since, is_on) {
                (None, true) => *since = Some(now),
                (Some(from), false) => {
                    seen.bars.push((kind, from, now));
                    *since = None;
                }
                (None, false) | (Some(_), true) => {}
            }
        }
        for (node, since) in (0..).zip(&mut self.cut_since) {
            let is_cut = flags[0]
                && cx
                    .positions()
                    .any(|peer| peer != node && cx.is_cut(node, peer));
            match (*since, is_cut) {
                (None, true) => *since = Some(now),
                (Some(from), false) => {
                    seen.cut_nodes.push((node, from, now));
                    *since = None;
                }
                (None, false) | (Some(_), true) => {}
            }
        }
    }
}

impl Oracle for Cells {
    fn name(&self) -> &'static str {
        "cells"
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a fold looks at the events that concern it"
    )]
    fn event(&mut self, event: &Event, cx: &ObserverContext) {
        let node = event.node;
        match &event.payload {
            Payload::ChildStarted { child, .. } => {
                let on = self.owners.entry(child.clone()).or_default();
                on.insert(node);
                self.runs[node as usize].insert(child.clone());
                self.touch(child, cx);
            }
            Payload::ChildStopped { child, .. } => {
                if let Some(on) = self.owners.get_mut(child) {
                    on.remove(&node);
                }
                self.runs[node as usize].remove(child);
                self.touch(child, cx);
            }
            Payload::Booted { .. } => self.touch_node(node, cx),
            Payload::Stopped(_) => {
                self.touch_node(node, cx);
                for child in std::mem::take(&mut self.runs[node as usize]) {
                    if let Some(on) = self.owners.get_mut(&child) {
                        on.remove(&node);
                    }
                }
            }
            Payload::Connected { peer } | Payload::Disconnected { peer } => {
                self.touch_pair(node, *peer, cx);
                self.touch_pair(*peer, node, cx);
            }
            Payload::Step { .. } => self.acted = true,
            _ => {}
        }
    }

    fn row(&mut self, changed: &Changed<'_>, _cx: &ObserverContext) {
        self.dirty.insert((changed.node, changed.child.clone()));
    }

    fn settle(&mut self, now: Time, _: Time, cx: &ObserverContext, _: &mut Vec<Violation>) {
        self.note_network(now, cx);
        if self.dirty.is_empty() {
            return;
        }
        let before = self.total;
        let mut changed_nodes = BTreeSet::new();
        for (node, child) in std::mem::take(&mut self.dirty) {
            let defects = self.judge(node, &child, cx);
            let key = (node, child);
            let old = self.odd.get(&key).copied().unwrap_or_default();
            if old == defects {
                continue;
            }
            for kind in 0..defects.len() {
                for count in [&mut self.total, &mut self.nodes[node as usize]] {
                    count[kind] = count[kind] + defects[kind] - old[kind];
                }
            }
            changed_nodes.insert(node);
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.changes.push(CellChange {
                at: now,
                node,
                child: key.1.clone(),
                defects,
            });
            if defects == Defects::default() {
                self.odd.remove(&key);
            } else {
                self.odd.insert(key, defects);
            }
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if self.total != before {
            seen.total.push((now.0, self.total));
        }
        for node in changed_nodes {
            let point = (now.0, self.nodes[node as usize]);
            seen.nodes[node as usize].push(point);
        }
    }

    fn finish(&mut self, end: Time, _: &ObserverContext) -> Conclusion {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, since) in self.bars.iter().enumerate() {
            seen.bars.extend(since.map(|from| (kind, from, end)));
        }
        for (node, since) in (0..).zip(&self.cut_since) {
            seen.cut_nodes.extend(since.map(|from| (node, from, end)));
        }
        Conclusion::Held
    }
}
