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

use super::excuse::Unexcused;
use super::samples::Samples;
use super::{Propagation, Stale, index};
use crate::model::{NodeIx, Window};
use crate::network::cut::NodeSet;
use crate::watch::ObserverContext;
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

/// An observer and an owner.
type Place = (NodeIx, NodeIx);

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

/// What is known of the changes within a window.
#[derive(Debug)]
struct Changes {
    window: Window,
    count: u64,
    /// The time of every observer that has shown one.
    each: Samples,
    /// Of those that all observers have shown: the time of the last, and its hops.
    lasts: Samples,
    hops: Samples,
    skipped: u64,
}

impl Changes {
    fn new(window: Window) -> Self {
        Self {
            window,
            count: 0,
            each: Samples::new(),
            lasts: Samples::new(),
            hops: Samples::new(),
            skipped: 0,
        }
    }

    /// All of its observers have shown it.
    fn completed(&mut self, change: &Change) {
        if let Some(last) = change.last
            && self.window.contains(change.at)
        {
            self.lasts.add(last);
            if let Some(hops) = change.hops {
                self.hops.add(hops.into());
            }
        }
    }

    /// An observer has shown it, after that time.
    fn shown(&mut self, change: &Change, took: u64) {
        if self.window.contains(change.at) {
            self.each.add(took);
        }
    }

    /// The run ends: those of its observers that are left have not shown it.
    fn unseen(&mut self, change: &Change, end: Time) {
        if change.left == 0 {
            self.completed(change);
        } else if self.window.contains(change.at) {
            let so_far = end.since(change.at);
            (0..change.left).for_each(|_| self.each.censor(so_far));
            self.lasts.censor(so_far);
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
    fn trim(&mut self, known: &mut Changes) {
        while self.changes.front().is_some_and(|change| change.left == 0) {
            if let Some(change) = self.changes.pop_front() {
                known.completed(&change);
                self.first += 1;
            }
        }
    }
}

/// The numbers of defects, and what they have added up to.
#[derive(Debug)]
struct Areas {
    window: Window,
    now: Time,
    /// Cells that are absent, ghost, wrong; at last those that are true or shown.
    counts: [u64; 4],
    areas: [u128; 4],
    longest: u64,
    longest_of: [u64; 3],
    flaps: u64,
    unexcused: Unexcused,
}

/// The place of cells that are true or shown.
const LOOKED_UP: usize = 3;

impl Areas {
    fn new(nodes: usize, window: Window) -> Self {
        Self {
            window,
            now: Time::ZERO,
            counts: [0; 4],
            areas: [0; 4],
            longest: 0,
            longest_of: [0; 3],
            flaps: 0,
            unexcused: Unexcused::new(nodes, window),
        }
    }

    fn advance(&mut self, now: Time) {
        if now > self.now {
            let passed = u128::from(self.window.overlap(self.now, now));
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
    fn judge(
        &mut self,
        now: Time,
        (cell, place): (&mut Cell, Place),
        truth: Option<&Arc<State>>,
        cx: &ObserverContext,
    ) {
        let after = cell.defect(truth);
        if after == cell.defect {
            return;
        }
        self.leave(now, cell, after);
        if after.is_some() != cell.defect.is_some() {
            self.unexcused.changed(now, place, after.is_some(), cx);
        }
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
    fn drop_cell(
        &mut self,
        now: Time,
        (cell, place): (&Cell, Place),
        truth: Option<&Arc<State>>,
        cx: &ObserverContext,
    ) {
        self.leave(now, cell, None);
        if cell.defect.is_some() {
            self.unexcused.changed(now, place, false, cx);
        }
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
    changes: Changes,
}

impl Cells {
    /// With defects counted in a window, and changes that took place in it.
    pub(super) fn new(nodes: usize, window: Window) -> Self {
        Self {
            running: vec![false; nodes],
            connected: (0..nodes).map(|_| NodeSet::new(nodes, &[])).collect(),
            pairs: (0..nodes).map(|_| HashMap::default()).collect(),
            areas: Areas::new(nodes, window),
            changes: Changes::new(window),
        }
    }

    pub(super) fn is_connected(&self, a: NodeIx, b: NodeIx) -> bool {
        self.running[index(a)] && self.running[index(b)] && self.connected[index(a)].has(b)
    }

    pub(super) fn pair_changed(
        &mut self,
        now: Time,
        [a, b]: [NodeIx; 2],
        up: bool,
        cx: &ObserverContext,
    ) {
        self.connected[index(a)].set(b, up);
        self.connected[index(b)].set(a, up);
        self.areas.unexcused.pair_changed(now, [a, b], cx);
    }

    pub(super) fn resumed(&mut self, now: Time, node: NodeIx, cx: &ObserverContext) {
        self.areas.unexcused.node_changed(now, node, cx);
    }

    pub(super) fn network_changed(&mut self, now: Time, cx: &ObserverContext) {
        self.areas.unexcused.network_changed(now, cx);
    }

    /// A node runs, and shows nothing yet.
    pub(super) fn node_up(&mut self, now: Time, node: NodeIx, cx: &ObserverContext) {
        self.areas.advance(now);
        self.areas.unexcused.node_changed(now, node, cx);
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
                let cell = (cell, (node, owner));
                self.areas.judge(now, cell, pair.truth.as_ref(), cx);
            }
        }
    }

    /// A node stops: what it showed counts no more, and nobody waits for it or for its changes.
    pub(super) fn node_down(&mut self, now: Time, node: NodeIx, cx: &ObserverContext) {
        self.areas.advance(now);
        self.areas.unexcused.node_changed(now, node, cx);
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
                    pair.trim(&mut self.changes);
                }
                continue;
            }
            for pair in pairs.values_mut() {
                let cell = std::mem::take(&mut pair.cells[index(node)]);
                let dropped = (&cell, (node, owner));
                self.areas.drop_cell(now, dropped, pair.truth.as_ref(), cx);
                pair.shown -= usize::from(cell.shown.is_some());
                for change in &mut pair.changes {
                    if change.waiting.remove(node) {
                        change.left -= 1;
                    }
                }
                pair.trim(&mut self.changes);
            }
            pairs.retain(|_, pair| !pair.is_idle());
        }
    }

    pub(super) fn child_started(
        &mut self,
        at: (Time, NodeIx),
        child: &ChildId,
        (pid, metadata): (&Pid, &Metadata),
        cx: &ObserverContext,
    ) {
        let state = Arc::new(State {
            pid: Some(pid.clone()),
            metadata: metadata.clone(),
        });
        self.change(at, child, Some(state), cx);
    }

    pub(super) fn child_stopped(
        &mut self,
        (now, owner): (Time, NodeIx),
        child: &ChildId,
        pid: &Pid,
        cx: &ObserverContext,
    ) {
        let known = self.pairs[index(owner)].get(child);
        let truth = known.and_then(|pair| pair.truth.as_ref());
        if truth.is_some_and(|truth| truth.pid.as_ref() == Some(pid)) {
            self.change((now, owner), child, None, cx);
        }
    }

    /// Something else is true of a child.
    fn change(
        &mut self,
        (now, owner): (Time, NodeIx),
        child: &ChildId,
        state: Option<Arc<State>>,
        cx: &ObserverContext,
    ) {
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
            self.changes.count += u64::from(self.changes.window.contains(now));
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
            let cell = (cell, (observer, owner));
            self.areas.judge(now, cell, pair.truth.as_ref(), cx);
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
                    &mut self.changes,
                    is_taken_back,
                );
            }
        }
        pair.trim(&mut self.changes);
        if pair.is_idle() {
            pairs.remove(child);
        }
    }

    /// The row of a child changed at an observer, by a delivery after that many hops, if it was one.
    pub(super) fn row(&mut self, changed: &Changed<'_>, hops: Option<u32>, cx: &ObserverContext) {
        let (now, observer) = (changed.at, changed.node);
        if !self.running[index(observer)] {
            return;
        }
        self.areas.advance(now);
        for owner in changed.touched() {
            if owner != observer {
                self.entry(owner, changed, hops, cx);
            }
        }
    }

    fn entry(
        &mut self,
        owner: NodeIx,
        changed: &Changed<'_>,
        hops: Option<u32>,
        cx: &ObserverContext,
    ) {
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
        let place = (observer, owner);
        let judged = (&mut *cell, place);
        self.areas.judge(now, judged, pair.truth.as_ref(), cx);
        let is_flap = was_right && cell.defect.is_some();
        self.areas.flaps += u64::from(is_flap && self.areas.window.contains(now));
        seen((now, hops), pair, observer, &mut self.changes, false);
        pair.trim(&mut self.changes);
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
                    self.changes.unseen(&change, end);
                }
            }
        }
        let narrow = |area: u128| u64::try_from(area).unwrap_or(u64::MAX);
        let [absent, ghost, wrong, looked_up] = self.areas.areas.map(narrow);
        let stale = Stale {
            area_us: [absent, ghost, wrong],
            unexcused_us: narrow(self.areas.unexcused.finish(end)),
            looked_up_us: looked_up,
            longest_us: self.areas.longest,
            longest_of_us: self.areas.longest_of,
            flaps: self.areas.flaps,
        };
        let changes = self.changes;
        let propagation = Propagation {
            unseen: changes.each.censored(),
            skipped: changes.skipped,
            each_us: changes.each.finish(),
            last_us: changes.lasts.finish(),
            last_hops: changes.hops.finish().p50,
        };
        (stale, propagation, changes.count)
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
/// before it. If the last one takes the others back, they are skipped.
fn seen(
    (now, hops): (Time, Option<u32>),
    pair: &mut Pair,
    observer: NodeIx,
    known: &mut Changes,
    is_taken_back: bool,
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
    for change in pair.changes.range_mut(from..until) {
        if !change.waiting.remove(observer) {
            continue;
        }
        change.left -= 1;
        if is_taken_back && change.state.is_some() {
            known.skipped += u64::from(known.window.contains(change.at));
            continue;
        }
        let took = now.since(change.at);
        known.shown(change, took);
        change.last = change.last.max(Some(took));
        change.hops = hops;
    }
}
