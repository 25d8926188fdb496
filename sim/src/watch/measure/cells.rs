//! What every observer shows of every child, against the truth: defects, and the time until a change
//! is seen.
//!
//! A pair (owner, child) has a cell for each node. What costs memory is pairs that are true or shown,
//! times nodes; a pair that is neither is forgotten.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use hublab_strategies::name::NameHasher;
use hublab_strategies::{ChildId, Metadata, Pid, Row, Time};

use super::samples::Samples;
use super::{Propagation, Stale, index};
use crate::model::NodeIx;
use crate::network::cut::NodeSet;
use crate::watch::changed::Changed;

/// What a child is, or is shown as: its pid and metadata.
#[derive(Debug, PartialEq)]
struct State {
    pid: Option<Pid>,
    metadata: Metadata,
}

/// How a cell differs from the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    Absent = 0,
    Ghost = 1,
    Wrong = 2,
}

/// What one observer shows of a pair.
#[derive(Debug, Clone, Default)]
struct Cell {
    /// The entry; nothing if there is none.
    shown: Option<Arc<State>>,
    /// True if there are several entries, of which `shown` is one.
    has_several: bool,
    defect: Option<Defect>,
    /// Since when it has been defective, and since when in this way.
    since: Time,
    since_so: Time,
    /// The number of the first change that it has not shown yet.
    unseen_from: u64,
}

impl Cell {
    fn defect(&self, truth: Option<&Arc<State>>) -> Option<Defect> {
        match (truth, &self.shown) {
            (None, None) => None,
            (Some(_), None) => Some(Defect::Absent),
            (None, Some(_)) => Some(Defect::Ghost),
            (Some(truth), Some(shown)) => {
                (self.has_several || !same(truth, shown)).then_some(Defect::Wrong)
            }
        }
    }

    fn shows(&self, state: Option<&Arc<State>>) -> bool {
        match (state, &self.shown) {
            (None, None) => true,
            (Some(state), Some(shown)) => !self.has_several && same(state, shown),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

fn same(a: &Arc<State>, b: &Arc<State>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

/// A change that some observer has not shown yet.
#[derive(Debug)]
struct Change {
    at: Time,
    /// What is true from then on.
    state: Option<Arc<State>>,
    /// The observers that are to show it, and have not.
    waiting: NodeSet,
    left: usize,
    /// How long the last observer so far took.
    last: Option<u64>,
    /// The hops of the delivery by which it came to show it; `None` if it was something else.
    hops: Option<u32>,
}

/// What is known of changes that all observers have shown.
#[derive(Debug)]
struct Completed {
    lasts: Samples,
    hops: Samples,
}

impl Completed {
    fn add(&mut self, change: &Change) {
        if let Some(last) = change.last {
            self.lasts.add(last);
            if let Some(hops) = change.hops {
                self.hops.add(hops.into());
            }
        }
    }
}

/// One child of one owner.
#[derive(Debug)]
struct Pair {
    truth: Option<Arc<State>>,
    /// By observer; that of the owner is never looked at.
    cells: Vec<Cell>,
    /// How many cells of running observers show something.
    shown: usize,
    /// Changes that are not done with, by number from `first` on.
    changes: VecDeque<Change>,
    first: u64,
}

impl Pair {
    fn new(nodes: usize) -> Self {
        Self {
            truth: None,
            cells: vec![Cell::default(); nodes],
            shown: 0,
            changes: VecDeque::new(),
            first: 0,
        }
    }

    fn next(&self) -> u64 {
        self.first + self.changes.len() as u64
    }

    fn is_idle(&self) -> bool {
        self.truth.is_none() && self.shown == 0 && self.changes.is_empty()
    }

    /// Forgets changes from the front that no observer is waiting for.
    fn trim(&mut self, completed: &mut Completed) {
        while self.changes.front().is_some_and(|change| change.left == 0) {
            if let Some(change) = self.changes.pop_front() {
                completed.add(&change);
                self.first += 1;
            }
        }
    }
}

/// The numbers of defects, and what they have added up to.
#[derive(Debug, Default)]
struct Areas {
    now: Time,
    /// Cells that are absent, ghost, wrong; at last those that are true or shown.
    counts: [u64; 4],
    areas: [u128; 4],
    longest: u64,
    longest_of: [u64; 3],
    flaps: u64,
}

/// The place of cells that are true or shown.
const LOOKED_UP: usize = 3;

impl Areas {
    fn advance(&mut self, now: Time) {
        let passed = u128::from(now.since(self.now));
        if passed > 0 {
            for (area, count) in self.areas.iter_mut().zip(self.counts) {
                *area += passed * u128::from(count);
            }
            self.now = now;
        }
    }

    /// A cell that was defective no longer is so since it has another defect, or none.
    fn leave(&mut self, now: Time, cell: &Cell, after: Option<Defect>) {
        let Some(before) = cell.defect else {
            return;
        };
        let so = now.since(cell.since_so);
        let longest = &mut self.longest_of[before as usize];
        *longest = so.max(*longest);
        if after.is_none() {
            self.longest = self.longest.max(now.since(cell.since));
        }
        self.counts[before as usize] -= 1;
    }

    /// A cell is as it is now: counts it by its defect.
    fn judge(&mut self, now: Time, cell: &mut Cell, truth: Option<&Arc<State>>) {
        let after = cell.defect(truth);
        if after == cell.defect {
            return;
        }
        self.leave(now, cell, after);
        if let Some(after) = after {
            self.counts[after as usize] += 1;
            cell.since_so = now;
            if cell.defect.is_none() {
                cell.since = now;
            }
        }
        cell.defect = after;
    }

    /// A cell no longer counts: its observer stops.
    fn drop_cell(&mut self, now: Time, cell: &Cell, truth: Option<&Arc<State>>) {
        self.leave(now, cell, None);
        self.counts[LOOKED_UP] -= u64::from(truth.is_some() || cell.shown.is_some());
    }
}

/// The cells of all observers.
#[derive(Debug)]
pub(super) struct Cells {
    running: Vec<bool>,
    /// By node: those it is connected to.
    connected: Vec<NodeSet>,
    /// By owner.
    pairs: Vec<HashMap<ChildId, Pair, NameHasher>>,
    areas: Areas,
    each: Samples,
    completed: Completed,
    skipped: u64,
    changes: u64,
}

impl Cells {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            running: vec![false; nodes],
            connected: (0..nodes).map(|_| NodeSet::new(nodes, &[])).collect(),
            pairs: (0..nodes).map(|_| HashMap::default()).collect(),
            areas: Areas::default(),
            each: Samples::new(),
            completed: Completed {
                lasts: Samples::new(),
                hops: Samples::new(),
            },
            skipped: 0,
            changes: 0,
        }
    }

    pub(super) fn is_connected(&self, a: NodeIx, b: NodeIx) -> bool {
        self.running[index(a)] && self.running[index(b)] && self.connected[index(a)].has(b)
    }

    pub(super) fn pair_changed(&mut self, [a, b]: [NodeIx; 2], up: bool) {
        self.connected[index(a)].set(b, up);
        self.connected[index(b)].set(a, up);
    }

    /// A node runs, and shows nothing yet.
    pub(super) fn node_up(&mut self, now: Time, node: NodeIx) {
        self.areas.advance(now);
        self.running[index(node)] = true;
        for (owner, pairs) in (0..).zip(&mut self.pairs) {
            if owner == node {
                continue;
            }
            for pair in pairs.values_mut() {
                let next = pair.next();
                let cell = &mut pair.cells[index(node)];
                *cell = Cell {
                    unseen_from: next,
                    ..Cell::default()
                };
                self.areas.counts[LOOKED_UP] += u64::from(pair.truth.is_some());
                self.areas.judge(now, cell, pair.truth.as_ref());
            }
        }
    }

    /// A node stops: what it showed counts no more, and nobody waits for it or for its changes.
    pub(super) fn node_down(&mut self, now: Time, node: NodeIx) {
        self.areas.advance(now);
        if !std::mem::take(&mut self.running[index(node)]) {
            return;
        }
        let nodes = self.running.len();
        self.connected[index(node)] = NodeSet::new(nodes, &[]);
        for connected in &mut self.connected {
            connected.remove(node);
        }
        for (owner, pairs) in (0..).zip(&mut self.pairs) {
            if owner == node {
                for pair in pairs.values_mut() {
                    // Of observers that have seen a change by now, the last is known.
                    for change in &mut pair.changes {
                        change.left = 0;
                        change.last = None;
                    }
                    pair.trim(&mut self.completed);
                }
                continue;
            }
            for pair in pairs.values_mut() {
                let cell = std::mem::take(&mut pair.cells[index(node)]);
                self.areas.drop_cell(now, &cell, pair.truth.as_ref());
                pair.shown -= usize::from(cell.shown.is_some());
                for change in &mut pair.changes {
                    if change.waiting.remove(node) {
                        change.left -= 1;
                    }
                }
                pair.trim(&mut self.completed);
            }
            pairs.retain(|_, pair| !pair.is_idle());
        }
    }

    pub(super) fn child_started(
        &mut self,
        now: Time,
        owner: NodeIx,
        child: &ChildId,
        pid: &Pid,
        metadata: &Metadata,
    ) {
        let state = Arc::new(State {
            pid: Some(pid.clone()),
            metadata: metadata.clone(),
        });
        self.change(now, owner, child, Some(state));
    }

    pub(super) fn child_stopped(&mut self, now: Time, owner: NodeIx, child: &ChildId, pid: &Pid) {
        let known = self.pairs[index(owner)].get(child);
        let truth = known.and_then(|pair| pair.truth.as_ref());
        if truth.is_some_and(|truth| truth.pid.as_ref() == Some(pid)) {
            self.change(now, owner, child, None);
        }
    }

    /// Something else is true of a child.
    fn change(&mut self, now: Time, owner: NodeIx, child: &ChildId, state: Option<Arc<State>>) {
        self.areas.advance(now);
        let nodes = self.running.len();
        let owner_runs = self.running[index(owner)];
        let pairs = &mut self.pairs[index(owner)];
        let pair = match pairs.get_mut(child) {
            Some(pair) => pair,
            None => pairs
                .entry(child.clone())
                .or_insert_with(|| Pair::new(nodes)),
        };
        let was_true = pair.truth.is_some();
        pair.truth = state;
        // What ends with its node is no change of its own.
        let is_change = owner_runs;
        if is_change {
            self.changes += 1;
            pair.changes.push_back(Change {
                at: now,
                state: pair.truth.clone(),
                waiting: NodeSet::new(nodes, &[]),
                left: 0,
                last: None,
                hops: None,
            });
        }
        for observer in (0..).take(nodes) {
            if observer == owner || !self.running[index(observer)] {
                continue;
            }
            let cell = &mut pair.cells[index(observer)];
            let is_shown = cell.shown.is_some();
            let counts = &mut self.areas.counts[LOOKED_UP];
            *counts += u64::from(pair.truth.is_some() || is_shown);
            *counts -= u64::from(was_true || is_shown);
            self.areas.judge(now, cell, pair.truth.as_ref());
            if is_change
                && self.connected[index(observer)].has(owner)
                && let Some(change) = pair.changes.back_mut()
            {
                change.waiting.insert(observer);
                change.left += 1;
            }
            if is_change {
                let is_taken_back = pair.truth.is_none() && !is_shown;
                seen(
                    (now, None),
                    pair,
                    observer,
                    &mut self.each,
                    is_taken_back.then_some(&mut self.skipped),
                );
            }
        }
        pair.trim(&mut self.completed);
        if pair.is_idle() {
            pairs.remove(child);
        }
    }

    /// The row of a child changed at an observer, by a delivery after that many hops, if it was one.
    pub(super) fn row(&mut self, changed: &Changed<'_>, hops: Option<u32>) {
        let (now, observer) = (changed.at, changed.node);
        if !self.running[index(observer)] {
            return;
        }
        self.areas.advance(now);
        for owner in changed.touched() {
            if owner != observer {
                self.entry(owner, changed, hops);
            }
        }
    }

    fn entry(&mut self, owner: NodeIx, changed: &Changed<'_>, hops: Option<u32>) {
        let (now, observer, child) = (changed.at, changed.node, changed.child);
        let nodes = self.running.len();
        let pairs = &mut self.pairs[index(owner)];
        let pair = match pairs.get_mut(child) {
            Some(pair) => pair,
            None => pairs
                .entry(child.clone())
                .or_insert_with(|| Pair::new(nodes)),
        };
        let (shown, has_several) = entry_of(changed.after, owner, changed, pair.truth.as_ref());
        let cell = &mut pair.cells[index(observer)];
        let (was_shown, is_shown) = (cell.shown.is_some(), shown.is_some());
        let was_right = cell.defect.is_none();
        cell.shown = shown;
        cell.has_several = has_several;
        pair.shown = pair.shown + usize::from(is_shown) - usize::from(was_shown);
        let is_true = pair.truth.is_some();
        let counts = &mut self.areas.counts[LOOKED_UP];
        *counts += u64::from(is_true || is_shown);
        *counts -= u64::from(is_true || was_shown);
        self.areas.judge(now, cell, pair.truth.as_ref());
        self.areas.flaps += u64::from(was_right && cell.defect.is_some());
        seen((now, hops), pair, observer, &mut self.each, None);
        pair.trim(&mut self.completed);
        if pair.is_idle() {
            pairs.remove(child);
        }
    }

    /// The run is over: what is open lasts to its end.
    pub(super) fn finish(mut self, end: Time) -> (Stale, Propagation, u64) {
        self.areas.advance(end);
        for pairs in &mut self.pairs {
            for pair in pairs.values_mut() {
                for cell in &pair.cells {
                    if let Some(defect) = cell.defect {
                        let so = end.since(cell.since_so);
                        let longest = &mut self.areas.longest_of[defect as usize];
                        *longest = so.max(*longest);
                        self.areas.longest = self.areas.longest.max(end.since(cell.since));
                    }
                }
                for change in pair.changes.drain(..) {
                    let so_far = end.since(change.at);
                    (0..change.left).for_each(|_| self.each.censor(so_far));
                    if change.left > 0 {
                        self.completed.lasts.censor(so_far);
                    } else {
                        self.completed.add(&change);
                    }
                }
            }
        }
        let narrow = |area: u128| u64::try_from(area).unwrap_or(u64::MAX);
        let [absent, ghost, wrong, looked_up] = self.areas.areas.map(narrow);
        let stale = Stale {
            area_us: [absent, ghost, wrong],
            looked_up_us: looked_up,
            longest_us: self.areas.longest,
            longest_of_us: self.areas.longest_of,
            flaps: self.areas.flaps,
        };
        let propagation = Propagation {
            unseen: self.each.censored(),
            skipped: self.skipped,
            each_us: self.each.finish(),
            last_us: self.completed.lasts.finish(),
            last_hops: self.completed.hops.finish().p50,
        };
        (stale, propagation, self.changes)
    }
}

/// The entry of an owner in a row, and true if there are several.
fn entry_of(
    row: Option<&Row>,
    owner: NodeIx,
    changed: &Changed<'_>,
    truth: Option<&Arc<State>>,
) -> (Option<Arc<State>>, bool) {
    let Some(row) = row else {
        return (None, false);
    };
    let name = changed
        .gone
        .iter()
        .chain(&changed.come)
        .chain(&changed.restated)
        .find(|delta| delta.owner == Some(owner))
        .map(|delta| &delta.entry.node);
    let mut entries = row.entries.iter().filter(|entry| Some(&entry.node) == name);
    let Some(entry) = entries.next() else {
        return (None, false);
    };
    let metadata = row.metadata_on(&entry.node);
    let shown = match truth {
        Some(truth) if truth.pid == entry.pid && truth.metadata == *metadata => Arc::clone(truth),
        Some(_) | None => Arc::new(State {
            pid: entry.pid.clone(),
            metadata: metadata.clone(),
        }),
    };
    (Some(shown), entries.next().is_some())
}

/// Ends the waiting of an observer for the last change whose state its cell shows, and for those
/// before it. With `skipped`, changes to a state that it never showed are counted there.
fn seen(
    (now, hops): (Time, Option<u32>),
    pair: &mut Pair,
    observer: NodeIx,
    each: &mut Samples,
    skipped: Option<&mut u64>,
) {
    let cell = &mut pair.cells[index(observer)];
    let from = cell.unseen_from.max(pair.first);
    let Some(from) = usize::try_from(from - pair.first).ok() else {
        return;
    };
    if from >= pair.changes.len() {
        return;
    }
    let shown = pair.changes.range(from..);
    let Some(last) = shown
        .rev()
        .position(|change| cell.shows(change.state.as_ref()))
    else {
        return;
    };
    let until = pair.changes.len() - last;
    cell.unseen_from = pair.first + until as u64;
    let mut passed = 0;
    for change in pair.changes.range_mut(from..until) {
        if !change.waiting.remove(observer) {
            continue;
        }
        change.left -= 1;
        if skipped.is_some() && change.state.is_some() {
            passed += 1;
            continue;
        }
        let took = now.since(change.at);
        each.add(took);
        change.last = change.last.max(Some(took));
        change.hops = hops;
    }
    if let Some(skipped) = skipped {
        *skipped += passed;
    }
}
