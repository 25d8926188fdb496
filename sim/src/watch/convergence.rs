//! Convergence, kept up to date with every change: which observers show exactly the truth they
//! can reach.
//!
//! For each (observer, owner) the tracker counts the observer's entries for the owner, and how
//! many of them are true. The pair is in order if both equal the number of the owner's children
//! (an owner that the observer can reach) or if there are none (one that it cannot). So a change
//! costs the same however large the registries are.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use hublab_strategies::name::NameHasher;
use hublab_strategies::{ChildId, Entry, Metadata, NodeId, Pid, Row, RowChange, Time};

use smallvec::SmallVec;

use super::defect::{Defect, Kind};
use super::{Facts, World};
use crate::engine::{Child, NodeState};
use crate::model::NodeIx;

/// What an observer knows of one owner.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    /// Entries of the owner that the observer shows.
    shown: u32,
    /// Those of them that are true.
    right: u32,
    /// Whether the two are connected.
    up: bool,
    bad: bool,
}

#[derive(Debug, Default)]
struct Observer {
    live: bool,
    /// By owner; empty until the node first boots.
    cells: Vec<Cell>,
    /// Owners that are not in order, and entries of nodes that do not exist.
    defects: usize,
    /// Entries of nodes that are not in the file.
    foreign: usize,
    /// Whether it was in order at the end of the last instant, and since when it has been.
    settled: bool,
    since: Time,
}

type Truth = HashMap<ChildId, Child, NameHasher>;

#[derive(Debug)]
enum TruthChange {
    Started(NodeIx, ChildId, Child),
    Stopped(NodeIx, ChildId, Pid),
}

/// The tracker of one run.
#[derive(Debug)]
pub struct Convergence {
    observers: Vec<Observer>,
    truth: Vec<Truth>,
    pending: Vec<(Time, TruthChange)>,
    touched: Vec<NodeIx>,
    /// Observers whose state at the end of the last instant differs from the one before.
    flipped: Vec<NodeIx>,
    /// Live observers that are not in order.
    disordered: usize,
    since: Option<Time>,
    /// Since when something is as it should not be, where the start of the child does not tell.
    onset: HashMap<(NodeIx, NodeIx, ChildId), Time, rustc_hash::FxBuildHasher>,
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
            pending: Vec::new(),
            touched: Vec::new(),
            flipped: Vec::new(),
            disordered: 0,
            since: Some(Time::ZERO),
            onset: HashMap::default(),
        }
    }

    /// Since when every live observer has shown the truth; `None` if one does not.
    #[must_use]
    pub fn converged_since(&self) -> Option<Time> {
        self.since
    }

    /// Whether an observer shows the truth, as of the end of the last instant; one that does not
    /// run is in order.
    #[must_use]
    pub fn is_in_order(&self, node: NodeIx) -> bool {
        let observer = &self.observers[node as usize];
        !observer.live || observer.settled
    }

    /// Since when an observer that is in order has been.
    #[must_use]
    pub fn in_order_since(&self, node: NodeIx) -> Time {
        self.observers[node as usize].since
    }

    /// The observers that changed sides at the end of the last instant.
    #[must_use]
    pub fn flipped(&self) -> &[NodeIx] {
        &self.flipped
    }

    fn is_outside(&self, child: &ChildId) -> bool {
        !self.outside.is_empty() && self.outside.contains(child)
    }

    pub(crate) fn row_changed(
        &mut self,
        now: Time,
        node: NodeIx,
        change: &RowChange,
        facts: &Facts,
    ) {
        if self.is_outside(&change.child) {
            return;
        }
        let (before, after) = (change.before.as_deref(), change.after.as_deref());
        let mut all_right = before.is_none();
        for (row, sign) in [(before, -1), (after, 1)] {
            let Some(row) = row else { continue };
            for entry in &row.entries {
                all_right &= self.count_entry(node, &change.child, entry, row, sign, facts);
            }
        }
        // By far the most changes put a true row where there was none.
        if !(all_right && self.onset.is_empty()) {
            self.note_onset(now, node, change, facts);
        }
    }

    /// Counts an entry in or out; answers whether it is true.
    fn count_entry(
        &mut self,
        node: NodeIx,
        child: &ChildId,
        entry: &Entry,
        row: &Row,
        sign: i32,
        facts: &Facts,
    ) -> bool {
        let Some(owner) = facts.position(&entry.node) else {
            let observer = &mut self.observers[node as usize];
            let was = observer.foreign;
            let is = was.wrapping_add_signed(sign as isize);
            observer.foreign = is;
            observer.defects = observer.defects + usize::from(is > 0) - usize::from(was > 0);
            self.touch(node);
            return false;
        };
        let right = self.is_true(owner, child, entry.pid.as_ref(), &row.metadata);
        let cell = &mut self.observers[node as usize].cells[owner as usize];
        cell.shown = cell.shown.wrapping_add_signed(sign);
        if right {
            cell.right = cell.right.wrapping_add_signed(sign);
        }
        self.refresh(node, owner);
        right
    }

    fn is_true(
        &self,
        owner: NodeIx,
        child: &ChildId,
        pid: Option<&Pid>,
        metadata: &Metadata,
    ) -> bool {
        self.truth[owner as usize]
            .get(child)
            .is_some_and(|running| Some(&running.pid) == pid && running.metadata == *metadata)
    }

    /// Remembers when a right entry was lost or a wrong one came in; forgets it when that ends.
    fn note_onset(&mut self, now: Time, node: NodeIx, change: &RowChange, facts: &Facts) {
        let state = |row: Option<&Row>, name: &NodeId, owner| {
            let (row, entry) = row.and_then(|row| {
                Some((row, row.entries.iter().find(|entry| entry.node == *name)?))
            })?;
            Some(self.is_true(owner, &change.child, entry.pid.as_ref(), &row.metadata))
        };
        let rows = [change.before.as_deref(), change.after.as_deref()];
        let mut news: SmallVec<[(NodeIx, bool); 2]> = SmallVec::new();
        for entry in rows.iter().flatten().flat_map(|row| &row.entries) {
            let Some(owner) = facts.position(&entry.node) else {
                continue;
            };
            let (before, after) = (
                state(rows[0], &entry.node, owner),
                state(rows[1], &entry.node, owner),
            );
            match (before, after) {
                (_, Some(true)) | (Some(false), None) => news.push((owner, false)),
                (Some(true), _) | (None, Some(false)) => news.push((owner, true)),
                (Some(false), Some(false)) | (None, None) => {}
            }
        }
        for (owner, is_defect) in news {
            let key = (node, owner, change.child.clone());
            if is_defect {
                self.onset.entry(key).or_insert(now);
            } else if !self.onset.is_empty() {
                self.onset.remove(&key);
            }
        }
    }

    pub(crate) fn child_started(
        &mut self,
        now: Time,
        node: NodeIx,
        child: &ChildId,
        running: &Child,
    ) {
        if self.is_outside(child) {
            return;
        }
        self.pending.push((
            now,
            TruthChange::Started(node, child.clone(), running.clone()),
        ));
    }

    pub(crate) fn child_stopped(&mut self, now: Time, node: NodeIx, child: &ChildId, pid: &Pid) {
        if self.is_outside(child) {
            return;
        }
        self.pending
            .push((now, TruthChange::Stopped(node, child.clone(), pid.clone())));
    }

    /// Compares the truth that changed with the registries as they are now.
    pub(crate) fn truth_settled(&mut self, nodes: &[NodeState], facts: &Facts) {
        if self.pending.is_empty() {
            return;
        }
        for (now, change) in std::mem::take(&mut self.pending) {
            let (owner, child, after) = match change {
                TruthChange::Started(owner, child, running) => (owner, child, Some(running)),
                TruthChange::Stopped(owner, child, pid) => {
                    if self.truth[owner as usize]
                        .get(&child)
                        .is_none_or(|running| running.pid != pid)
                    {
                        continue;
                    }
                    (owner, child, None)
                }
            };
            let before = match &after {
                Some(running) => self.truth[owner as usize].insert(child.clone(), running.clone()),
                None => self.truth[owner as usize].remove(&child),
            };
            let lives = (before.as_ref(), after.as_ref());
            self.compare(now, (owner, &child), lives, nodes, facts.name(owner));
        }
    }

    fn compare(
        &mut self,
        now: Time,
        (owner, child): (NodeIx, &ChildId),
        (before, after): (Option<&Child>, Option<&Child>),
        nodes: &[NodeState],
        name: &NodeId,
    ) {
        for node in (0..).take(self.observers.len()) {
            if !self.observers[node as usize].live {
                continue;
            }
            if self.observers[node as usize].cells[owner as usize].shown > 0
                && let Some(row) = nodes[node as usize]
                    .node
                    .as_ref()
                    .and_then(|node| node.registry().get(child))
            {
                for entry in row.entries.iter().filter(|entry| entry.node == *name) {
                    let is = |running: Option<&Child>| {
                        running.is_some_and(|running| {
                            Some(&running.pid) == entry.pid.as_ref()
                                && running.metadata == *row.metadata
                        })
                    };
                    let cell = &mut self.observers[node as usize].cells[owner as usize];
                    cell.right = cell.right + u32::from(is(after)) - u32::from(is(before));
                    if is(before) && !is(after) {
                        self.onset.insert((node, owner, child.clone()), now);
                    } else if is(after) {
                        self.onset.remove(&(node, owner, child.clone()));
                    }
                }
            }
            self.refresh(node, owner);
        }
    }

    pub(crate) fn node_up(&mut self, node: NodeIx) {
        let cells = vec![Cell::default(); self.observers.len()];
        self.reset(node, true, cells);
    }

    pub(crate) fn node_down(&mut self, node: NodeIx) {
        self.reset(node, false, Vec::new());
        self.onset.retain(|(observer, _, _), _| *observer != node);
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
        let observer = &mut self.observers[node as usize];
        let (settled, since) = (observer.settled, observer.since);
        *observer = Observer {
            live,
            cells,
            settled,
            since,
            defects: 0,
            foreign: 0,
        };
        self.refresh_around(node);
        self.touch(node);
    }

    pub(crate) fn pair_changed(&mut self, [a, b]: [NodeIx; 2], up: bool) {
        for (node, peer) in [(a, b), (b, a)] {
            if let Some(cell) = self.observers[node as usize].cells.get_mut(peer as usize) {
                cell.up = up;
                self.refresh(node, peer);
            }
        }
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
            let in_order = !observer.live || observer.defects == 0;
            if in_order != observer.settled {
                observer.settled = in_order;
                observer.since = now;
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

    /// What is wrong at these observers, at most `limit` of it.
    #[must_use]
    pub fn pending(&self, observers: &[NodeIx], world: &World<'_>, limit: usize) -> Vec<Defect> {
        let mut found = Vec::new();
        for node in observers
            .iter()
            .copied()
            .filter(|node| !self.is_in_order(*node))
        {
            for owner in (0..).take(self.observers.len()) {
                if found.len() >= limit {
                    return found;
                }
                if self.observers[node as usize]
                    .cells
                    .get(owner as usize)
                    .is_some_and(|cell| cell.bad)
                {
                    let pair = (node, owner);
                    self.missing(pair, world, limit, &mut found);
                    self.ghosts(pair, world, limit, &mut found);
                }
            }
            if self.observers[node as usize].foreign > 0 && found.len() < limit {
                found.push(Defect::foreign(node, world));
            }
        }
        found
    }

    /// Whether an observer can reach an owner.
    pub(super) fn reaches(&self, (node, owner): (NodeIx, NodeIx), world: &World<'_>) -> bool {
        let is_up = |cell: &Cell| cell.up || node == owner;
        let cells = &self.observers[node as usize].cells;
        world.is_running(owner) && cells.get(owner as usize).is_some_and(is_up)
    }

    /// Since when something is as it should not be, in words; empty if that is not known.
    fn since(&self, pair: (NodeIx, NodeIx), child: &ChildId, else_: Option<Time>) -> String {
        let known = self.onset.get(&(pair.0, pair.1, child.clone())).copied();
        known
            .or(else_)
            .map_or(String::new(), |at| format!(" since {at}"))
    }

    /// What runs and is not shown, or not as it is.
    fn missing(
        &self,
        pair: (NodeIx, NodeIx),
        world: &World<'_>,
        limit: usize,
        found: &mut Vec<Defect>,
    ) {
        let (Some(registry), true) = (world.registry(pair.0), self.reaches(pair, world)) else {
            return;
        };
        let (observer, name) = (world.name(pair.0), world.name(pair.1));
        for (child, running) in world.children(pair.1) {
            if found.len() >= limit {
                return;
            }
            if self.is_outside(child) {
                continue;
            }
            let row = registry.get(child);
            let entry = row.and_then(|row| row.entries.iter().find(|entry| entry.node == *name));
            let (kind, text) = match (row, entry) {
                (None, _) | (_, None) => {
                    (Kind::Absent, format!("{observer} lacks {child} of {name}"))
                }
                (Some(_), Some(entry)) if entry.pid.as_ref() != Some(&running.pid) => {
                    let pid = entry.pid.as_ref().map_or("nil", Pid::as_str);
                    let text = format!(
                        "{observer} has pid {pid} for {child} of {name}, which is {}",
                        running.pid
                    );
                    (Kind::Wrong, text)
                }
                (Some(row), Some(_)) if *row.metadata != running.metadata => {
                    let text = format!(
                        "{observer} has metadata {:?} for {child} of {name}, which has {:?}",
                        row.metadata, running.metadata
                    );
                    (Kind::Metadata, text)
                }
                (Some(_), Some(_)) => continue,
            };
            let since = self.since(pair, child, Some(running.since));
            found.push(Defect::new(pair, child, kind, text + &since));
        }
    }

    /// What is shown and does not run.
    fn ghosts(
        &self,
        pair: (NodeIx, NodeIx),
        world: &World<'_>,
        limit: usize,
        found: &mut Vec<Defect>,
    ) {
        let Some(registry) = world.registry(pair.0) else {
            return;
        };
        let (observer, name) = (world.name(pair.0), world.name(pair.1));
        let is_reachable = self.reaches(pair, world);
        let why = if !world.is_running(pair.1) {
            "which is not running"
        } else if is_reachable {
            "where it does not run"
        } else {
            "which it is not connected to"
        };
        for child in registry.children_of(name) {
            if found.len() >= limit {
                return;
            }
            let is_ghost = !is_reachable || world.child(pair.1, child).is_none();
            if is_ghost && !self.is_outside(child) {
                let since = self.since(pair, child, None);
                let text = format!("{observer} still shows {child} of {name}, {why}{since}");
                found.push(Defect::new(pair, child, Kind::Ghost, text));
            }
        }
    }
}
