//! Convergence, kept up to date with every event: which observers show exactly the truth they can
//! reach.
//!
//! For each (observer, owner) the tracker counts the observer's entries for the owner, and how
//! many of them are true. The pair is in order if both equal the number of the owner's children
//! (an owner that the observer can reach) or if there are none (one that it cannot). So a change
//! costs the same however large the registries are, and no registry is copied: of each child that
//! runs, the tracker keeps one bit per node that shows it as it is, and of everything else that is
//! shown the entry itself.

mod defects;

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use hublab_strategies::name::NameHasher;
use hublab_strategies::{ChildId, Entry, Metadata, NodeId, Pid, Time};
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

use super::changed::{Changed, Delta};
use crate::model::NodeIx;
use crate::network::cut::NodeSet;
use crate::node::Child;
use crate::trace::event::EventId;

/// An instant, and what happened at it.
type Moment = (Time, EventId);

/// Counts of an observer's entries of one owner.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    /// Entries of the owner that the observer shows.
    shown: u32,
    /// Those of them that are true.
    right: u32,
    /// True if the two are connected.
    up: bool,
    bad: bool,
}

/// The entries of one child of one owner at one observer, without the one that is true.
#[derive(Debug, Default)]
struct Odd {
    entries: SmallVec<[(Option<Pid>, Metadata); 1]>,
    /// When the true entry was lost, or a wrong one came in.
    since: Option<Moment>,
}

#[derive(Debug, Default)]
struct Observer {
    live: bool,
    /// By owner; empty until the node first boots.
    cells: Vec<Cell>,
    /// Owners that are not in order, and whether there are entries of nodes that do not exist.
    defects: usize,
    /// Entries of nodes that are not in the file: how many of each node and child.
    foreign: BTreeMap<(NodeId, ChildId), usize>,
    /// Entries that are not as they should be, and those that were lost.
    odd: HashMap<(NodeIx, ChildId), Odd, FxBuildHasher>,
    /// True if it was in order at the end of the last instant.
    settled: bool,
}

/// A child that runs, and who shows it.
#[derive(Debug)]
struct Running {
    child: Child,
    /// The observers with an entry that is true.
    shown_by: NodeSet,
}

impl Running {
    fn is(&self, pid: Option<&Pid>, metadata: &Metadata) -> bool {
        Some(&self.child.pid) == pid && self.child.metadata == *metadata
    }
}

type Truth = HashMap<ChildId, Running, NameHasher>;

/// The tracker of one run.
#[derive(Debug)]
pub struct Convergence {
    observers: Vec<Observer>,
    truth: Vec<Truth>,
    touched: Vec<NodeIx>,
    /// Observers whose state at the end of the last instant differs from the one before.
    flipped: Vec<NodeIx>,
    /// Live observers that are not in order.
    disordered: usize,
    /// Live observers, and pairs of them that are connected.
    live: usize,
    connected: usize,
    since: Option<Time>,
    /// Children that are not looked at.
    outside: BTreeSet<ChildId>,
}

impl Convergence {
    /// `outside`: children that are not looked at.
    pub(crate) fn new(nodes: usize, outside: BTreeSet<ChildId>) -> Self {
        Self {
            outside,
            observers: (0..nodes)
                .map(|_| Observer {
                    settled: true,
                    ..Observer::default()
                })
                .collect(),
            truth: (0..nodes).map(|_| Truth::default()).collect(),
            touched: Vec::new(),
            flipped: Vec::new(),
            disordered: 0,
            live: 0,
            connected: 0,
            since: Some(Time::ZERO),
        }
    }

    /// Since when every live observer has shown the truth; `None` if one does not.
    #[must_use]
    pub fn converged_since(&self) -> Option<Time> {
        self.since
    }

    /// True if an observer shows the truth, as of the end of the last instant; one that does not
    /// run is in order.
    #[must_use]
    pub fn is_in_order(&self, node: NodeIx) -> bool {
        let observer = &self.observers[node as usize];
        !observer.live || observer.settled
    }

    /// The observers that changed sides at the end of the last instant.
    #[must_use]
    pub fn flipped(&self) -> &[NodeIx] {
        &self.flipped
    }

    /// The child that really runs on a node under an id.
    #[must_use]
    pub fn running(&self, node: NodeIx, child: &ChildId) -> Option<&Child> {
        let running = self.truth[node as usize].get(child)?;
        Some(&running.child)
    }

    /// An entry that an observer shows: the pid and metadata of a child under an owner.
    pub(crate) fn shown(
        &self,
        observer: NodeIx,
        owner: NodeIx,
        child: &ChildId,
    ) -> Option<(Option<&Pid>, &Metadata)> {
        self.true_entry(observer, owner, child)
            .or_else(|| self.odd_entries(observer, owner, child).next())
    }

    /// True if an observer shows a child under an owner with a pid.
    pub(crate) fn shows(
        &self,
        observer: NodeIx,
        child: &ChildId,
        owner: NodeIx,
        pid: &Pid,
    ) -> bool {
        let mut entries = self
            .true_entry(observer, owner, child)
            .into_iter()
            .chain(self.odd_entries(observer, owner, child));
        entries.any(|(shown, _)| shown == Some(pid))
    }

    fn true_entry(
        &self,
        observer: NodeIx,
        owner: NodeIx,
        child: &ChildId,
    ) -> Option<(Option<&Pid>, &Metadata)> {
        let running = self.truth[owner as usize].get(child)?;
        let Child { pid, metadata, .. } = &running.child;
        (running.shown_by.has(observer)).then_some((Some(pid), metadata))
    }

    fn odd_entries(
        &self,
        observer: NodeIx,
        owner: NodeIx,
        child: &ChildId,
    ) -> impl Iterator<Item = (Option<&Pid>, &Metadata)> {
        let odd = &self.observers[observer as usize].odd;
        let found = if odd.is_empty() {
            None
        } else {
            odd.get(&(owner, child.clone()))
        };
        let entries = found.into_iter().flat_map(|odd| &odd.entries);
        entries.map(|(pid, metadata)| (pid.as_ref(), metadata))
    }

    /// True if an observer shows anything of an owner.
    pub(crate) fn shows_any(&self, observer: NodeIx, owner: NodeIx) -> bool {
        let cells = &self.observers[observer as usize].cells;
        cells.get(owner as usize).is_some_and(|cell| cell.shown > 0)
    }

    /// The children that an observer shows under an owner, in the order of their ids.
    pub(crate) fn shown_children(&self, observer: NodeIx, owner: NodeIx) -> BTreeSet<&ChildId> {
        if !self.shows_any(observer, owner) {
            return BTreeSet::new();
        }
        let running = self.truth[owner as usize].iter();
        let right = running
            .filter(|(_, running)| running.shown_by.has(observer))
            .map(|(child, _)| child);
        let odd = self.observers[observer as usize].odd.iter();
        let wrong = odd
            .filter(|((of, _), odd)| *of == owner && !odd.entries.is_empty())
            .map(|((_, child), _)| child);
        right.chain(wrong).collect()
    }

    /// The first child that an observer shows under a name that no node of the file has.
    pub(crate) fn foreign_child(&self, observer: NodeIx, name: &NodeId) -> Option<&ChildId> {
        let mut foreign = self.observers[observer as usize].foreign.keys();
        foreign.find(|(of, _)| of == name).map(|(_, child)| child)
    }

    fn is_outside(&self, child: &ChildId) -> bool {
        !self.outside.is_empty() && self.outside.contains(child)
    }

    /// True if the entries of an owner for a child are right at an observer; `None` if there are
    /// none.
    fn is_right(&self, observer: NodeIx, owner: NodeIx, child: &ChildId) -> Option<bool> {
        if self.true_entry(observer, owner, child).is_some() {
            return Some(true);
        }
        let is_wrong = self.odd_entries(observer, owner, child).next().is_some();
        is_wrong.then_some(false)
    }

    pub(crate) fn row(&mut self, changed: &Changed<'_>) {
        let Changed { node, child, .. } = *changed;
        let observer = &self.observers[node as usize];
        if observer.cells.is_empty() || self.is_outside(child) {
            return;
        }
        let mut before: SmallVec<[(NodeIx, Option<bool>); 2]> = SmallVec::new();
        // By far the most changes put a true row where there was none.
        let is_first = changed.before.is_none() && observer.odd.is_empty();
        if !is_first {
            let state = |owner| (owner, self.is_right(node, owner, child));
            before.extend(changed.touched().map(state));
        }
        if let Some(row) = changed.before {
            for delta in changed.gone.iter().chain(&changed.restated) {
                self.remove(node, child, delta, row.metadata_on(&delta.entry.node));
            }
        }
        let mut all_right = true;
        if let Some(row) = changed.after {
            for delta in changed.come.iter().chain(&changed.restated) {
                all_right &= self.add(node, child, delta, row.metadata_on(&delta.entry.node));
            }
        }
        if is_first && all_right {
            return;
        }
        if is_first {
            before.extend(changed.touched().map(|owner| (owner, None)));
        }
        let moment = (changed.at, changed.origin.event);
        for (owner, before) in before {
            let after = self.is_right(node, owner, child);
            self.note(node, owner, child, moment, (before, after));
        }
    }

    /// Remembers when a right entry was lost or a wrong one came in; forgets it when that ends.
    fn note(
        &mut self,
        node: NodeIx,
        owner: NodeIx,
        child: &ChildId,
        moment: Moment,
        change: (Option<bool>, Option<bool>),
    ) {
        let odd = &mut self.observers[node as usize].odd;
        match change {
            (Some(true), Some(true)) | (Some(false), Some(false)) | (None, None) => {}
            (_, Some(true)) | (Some(false), None) => {
                let key = (owner, child.clone());
                if let Some(known) = odd.get_mut(&key) {
                    known.since = None;
                    if known.entries.is_empty() {
                        odd.remove(&key);
                    }
                }
            }
            (Some(true), _) | (None, Some(false)) => {
                let known = odd.entry((owner, child.clone())).or_default();
                known.since.get_or_insert(moment);
            }
        }
    }

    /// Counts an entry in; answers whether it is true.
    fn add(
        &mut self,
        node: NodeIx,
        child: &ChildId,
        delta: &Delta<'_>,
        metadata: &Metadata,
    ) -> bool {
        let Entry { node: name, pid } = delta.entry;
        let Some(owner) = delta.owner else {
            let foreign = &mut self.observers[node as usize].foreign;
            *foreign.entry((name.clone(), child.clone())).or_default() += 1;
            self.touch(node);
            return false;
        };
        let running = self.truth[owner as usize].get_mut(child);
        let observer = &mut self.observers[node as usize];
        let cell = &mut observer.cells[owner as usize];
        cell.shown += 1;
        let right = running.is_some_and(|running| {
            running.is(pid.as_ref(), metadata) && running.shown_by.insert(node)
        });
        if right {
            cell.right += 1;
        } else {
            let odd = observer.odd.entry((owner, child.clone())).or_default();
            odd.entries.push((pid.clone(), metadata.clone()));
        }
        self.refresh(node, owner);
        right
    }

    /// Counts an entry out.
    fn remove(&mut self, node: NodeIx, child: &ChildId, delta: &Delta<'_>, metadata: &Metadata) {
        let Entry { node: name, pid } = delta.entry;
        let Some(owner) = delta.owner else {
            let foreign = &mut self.observers[node as usize].foreign;
            let key = (name.clone(), child.clone());
            if let Some(count) = foreign.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    foreign.remove(&key);
                }
            }
            self.touch(node);
            return;
        };
        let observer = &mut self.observers[node as usize];
        let cell = &mut observer.cells[owner as usize];
        cell.shown = cell.shown.saturating_sub(1);
        // Of two that are alike, one is odd: that goes first.
        if !observer.take_odd(owner, child, pid.as_ref(), metadata)
            && let Some(running) = self.truth[owner as usize].get_mut(child)
            && running.is(pid.as_ref(), metadata)
            && running.shown_by.remove(node)
        {
            let cell = &mut observer.cells[owner as usize];
            cell.right = cell.right.saturating_sub(1);
        }
        self.refresh(node, owner);
    }

    /// A child runs on a node; what ran there under its id no longer does.
    pub(crate) fn child_started(
        &mut self,
        (at, event): Moment,
        owner: NodeIx,
        child: &ChildId,
        pid: &Pid,
        metadata: &Metadata,
    ) {
        if self.is_outside(child) {
            return;
        }
        self.forget_child(owner, child, (at, event));
        let mut running = Running {
            child: Child {
                pid: pid.clone(),
                metadata: metadata.clone(),
                since: at,
            },
            shown_by: NodeSet::new(self.observers.len(), &[]),
        };
        for (node, observer) in (0..).zip(&mut self.observers) {
            if observer.live
                && observer.shows(owner)
                && observer.take_odd(owner, child, Some(pid), metadata)
            {
                running.shown_by.insert(node);
                observer.cells[owner as usize].right += 1;
                observer.end_odd(owner, child);
            }
        }
        self.truth[owner as usize].insert(child.clone(), running);
        self.refresh_around(owner);
    }

    /// A child no longer runs on a node, if that pid is what ran there.
    pub(crate) fn child_stopped(
        &mut self,
        moment: Moment,
        owner: NodeIx,
        child: &ChildId,
        pid: &Pid,
    ) {
        let known = self.running(owner, child);
        if known.is_some_and(|running| running.pid == *pid) {
            self.forget_child(owner, child, moment);
            self.refresh_around(owner);
        }
    }

    /// Removes a child from the truth; entries that were true become odd.
    fn forget_child(&mut self, owner: NodeIx, child: &ChildId, moment: Moment) {
        let Some(Running {
            child: was,
            shown_by,
        }) = self.truth[owner as usize].remove(child)
        else {
            return;
        };
        for (node, observer) in (0..).zip(&mut self.observers) {
            if shown_by.has(node) {
                let cell = &mut observer.cells[owner as usize];
                cell.right = cell.right.saturating_sub(1);
                let odd = observer.odd.entry((owner, child.clone())).or_default();
                odd.entries
                    .push((Some(was.pid.clone()), was.metadata.clone()));
                odd.since = Some(moment);
            }
        }
    }

    pub(crate) fn node_up(&mut self, node: NodeIx) {
        let cells = vec![Cell::default(); self.observers.len()];
        self.reset(node, true, cells);
    }

    pub(crate) fn node_down(&mut self, node: NodeIx) {
        self.reset(node, false, Vec::new());
        for other in &mut self.observers {
            if let Some(cell) = other.cells.get_mut(node as usize) {
                cell.up = false;
            }
        }
        self.refresh_around(node);
    }

    /// Replaces what is known of an observer; whether it was in order is judged when the instant
    /// is over.
    fn reset(&mut self, node: NodeIx, live: bool, cells: Vec<Cell>) {
        let peers = (0..).take(self.observers.len());
        self.connected -= peers.filter(|peer| self.is_up(node, *peer)).count();
        let observer = &mut self.observers[node as usize];
        self.live = self.live + usize::from(live) - usize::from(observer.live);
        let settled = observer.settled;
        let before = std::mem::replace(
            observer,
            Observer {
                live,
                cells,
                settled,
                ..Observer::default()
            },
        );
        for (cell, truth) in before.cells.iter().zip(&mut self.truth) {
            if cell.right > 0 {
                for running in truth.values_mut() {
                    running.shown_by.remove(node);
                }
            }
        }
        self.refresh_around(node);
        self.touch(node);
    }

    pub(crate) fn pair_changed(&mut self, [a, b]: [NodeIx; 2], up: bool) {
        let was = self.is_up(a, b);
        for (node, peer) in [(a, b), (b, a)] {
            if let Some(cell) = self.observers[node as usize].cells.get_mut(peer as usize) {
                cell.up = up;
                self.refresh(node, peer);
            }
        }
        self.connected = self.connected + usize::from(self.is_up(a, b)) - usize::from(was);
    }

    /// True if two live observers are connected.
    fn is_up(&self, a: NodeIx, b: NodeIx) -> bool {
        let has = |node: NodeIx, peer: NodeIx| {
            let cell = self.observers[node as usize].cells.get(peer as usize);
            cell.is_some_and(|cell| cell.up)
        };
        a != b && has(a, b) && has(b, a)
    }

    /// The number of pairs of live observers that are not connected.
    #[must_use]
    pub fn pairs_down(&self) -> usize {
        let pairs = self.live * self.live.saturating_sub(1) / 2;
        pairs.saturating_sub(self.connected)
    }

    /// The pairs of live observers that are not connected, in the order of their nodes.
    pub fn down_pairs(&self) -> impl Iterator<Item = (NodeIx, NodeIx)> {
        let live = || {
            let observers = (0..).zip(&self.observers);
            observers.filter_map(|(node, observer): (NodeIx, _)| observer.live.then_some(node))
        };
        let pairs = live().flat_map(move |a| live().filter(move |b| a < *b).map(move |b| (a, b)));
        pairs.filter(|(a, b)| !self.is_up(*a, *b))
    }

    fn refresh_around(&mut self, owner: NodeIx) {
        for node in (0..).take(self.observers.len()) {
            self.refresh(node, owner);
        }
    }

    fn refresh(&mut self, node: NodeIx, owner: NodeIx) {
        let true_count = u32::try_from(self.truth[owner as usize].len()).unwrap_or(u32::MAX);
        let owner_live = self.observers[owner as usize].live;
        let observer = &mut self.observers[node as usize];
        let Some(cell) = observer.cells.get_mut(owner as usize) else {
            return;
        };
        let reachable = owner_live && (cell.up || node == owner);
        let bad = if reachable {
            cell.shown != true_count || cell.right != true_count
        } else {
            cell.shown != 0
        };
        if bad == cell.bad {
            return;
        }
        cell.bad = bad;
        let was = observer.defects;
        observer.defects = if bad { was + 1 } else { was - 1 };
        self.touch(node);
    }

    fn touch(&mut self, node: NodeIx) {
        if self.touched.last() != Some(&node) {
            self.touched.push(node);
        }
    }

    /// The end of an instant: what was out of order only within it never was.
    pub(crate) fn settle(&mut self, now: Time) {
        self.flipped.clear();
        if self.touched.is_empty() {
            return;
        }
        for node in std::mem::take(&mut self.touched) {
            let observer = &mut self.observers[node as usize];
            let is_right = observer.defects == 0 && observer.foreign.is_empty();
            let in_order = !observer.live || is_right;
            if in_order != observer.settled {
                observer.settled = in_order;
                if in_order {
                    self.disordered -= 1;
                } else {
                    self.disordered += 1;
                }
                self.flipped.push(node);
            }
        }
        match (self.disordered, self.since) {
            (0, None) => self.since = Some(now),
            (0, Some(_)) => {}
            _ => self.since = None,
        }
    }

    /// True if an observer can reach an owner.
    pub(super) fn reaches(&self, (node, owner): (NodeIx, NodeIx)) -> bool {
        let is_up = |cell: &Cell| cell.up || node == owner;
        let cells = &self.observers[node as usize].cells;
        self.observers[owner as usize].live && cells.get(owner as usize).is_some_and(is_up)
    }
}

impl Observer {
    fn shows(&self, owner: NodeIx) -> bool {
        let cell = self.cells.get(owner as usize);
        cell.is_some_and(|cell| cell.shown > 0)
    }

    /// Takes an entry out of the odd ones; `false` if it is not among them.
    fn take_odd(
        &mut self,
        owner: NodeIx,
        child: &ChildId,
        pid: Option<&Pid>,
        metadata: &Metadata,
    ) -> bool {
        if self.odd.is_empty() {
            return false;
        }
        let key = (owner, child.clone());
        let Some(odd) = self.odd.get_mut(&key) else {
            return false;
        };
        let is_it = |(of, with): &(Option<Pid>, Metadata)| of.as_ref() == pid && with == metadata;
        let Some(at) = odd.entries.iter().position(is_it) else {
            return false;
        };
        odd.entries.remove(at);
        if odd.entries.is_empty() && odd.since.is_none() {
            self.odd.remove(&key);
        }
        true
    }

    /// Forgets since when an entry was odd: it is right now.
    fn end_odd(&mut self, owner: NodeIx, child: &ChildId) {
        let key = (owner, child.clone());
        if let Some(odd) = self.odd.get_mut(&key) {
            odd.since = None;
            if odd.entries.is_empty() {
                self.odd.remove(&key);
            }
        }
    }
}
