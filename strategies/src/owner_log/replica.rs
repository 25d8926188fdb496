//! [`Replica`]: what one node knows of what another runs. Pure: no clock, no network.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::child::{ChildSpec, Metadata};
use crate::fact::{Change, Fact};
use crate::name::{ChildId, NodeId, Pid};
use crate::wire;

/// The most operations above a gap that are taken; those beyond come with a snapshot.
const AHEAD_MAX: usize = 8_192;
/// The most ranges of a snapshot that lie apart.
const RANGES_MAX: usize = 1_024;

/// The bytes of two numbers.
pub(crate) const NUMBERS: u64 = 16;

/// A child that runs on its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The number of the operation that made it so.
    pub seq: u64,
    /// Its specification, with its id.
    pub spec: ChildSpec,
    /// Its pid.
    pub pid: Pid,
    /// Its metadata.
    pub metadata: Metadata,
}

impl Running {
    /// The length of the wire encoding in bytes.
    pub(crate) fn encoded_len(&self) -> u64 {
        wire::varint_len(self.seq)
            + self.spec.encoded_len()
            + wire::text_len(self.pid.as_str())
            + self.metadata.encoded_len()
    }
}

/// One change of what an owner runs. The owner counts them from 1 within an incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// A child runs, or has a new pid.
    Runs(Running),
    /// A child no longer runs.
    Gone {
        /// The number of the operation.
        seq: u64,
        /// The child.
        child: ChildId,
    },
}

impl Operation {
    /// The operation of this number that a change of the owner comes to; `old` is the child's row before.
    pub(crate) fn of(fact: &Fact, seq: u64, old: Option<&Running>) -> Self {
        let child = fact.child.clone();
        match (&fact.change, old) {
            (
                Change::Started {
                    spec,
                    pid,
                    metadata,
                },
                _,
            ) => Self::Runs(Running {
                seq,
                spec: spec.clone(),
                pid: pid.clone(),
                metadata: metadata.clone(),
            }),
            (Change::Restarted { pid }, Some(old)) => {
                let (pid, old) = (pid.clone(), old.clone());
                Self::Runs(Running { seq, pid, ..old })
            }
            (Change::Restarted { .. } | Change::Stopped { .. }, _) => Self::Gone { seq, child },
        }
    }

    /// Its number.
    #[must_use]
    pub fn seq(&self) -> u64 {
        match self {
            Self::Runs(running) => running.seq,
            Self::Gone { seq, .. } => *seq,
        }
    }

    /// The child, if it runs after it.
    pub(crate) fn running(&self) -> Option<&Running> {
        match self {
            Self::Runs(running) => Some(running),
            Self::Gone { .. } => None,
        }
    }

    /// Its child.
    #[must_use]
    pub fn child(&self) -> &ChildId {
        match self {
            Self::Runs(running) => running.spec.id(),
            Self::Gone { child, .. } => child,
        }
    }
}

/// The rows of an owner after its first `high` operations, as far as their numbers are above `after`
/// and at most `until`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The owner.
    pub owner: NodeId,
    /// Its incarnation.
    pub incarnation: u64,
    /// The prefix of operations that the snapshot covers.
    pub high: u64,
    /// The page begins above this number.
    pub after: u64,
    /// The page ends with this number.
    pub until: u64,
    /// The rows.
    pub rows: Vec<Running>,
}

/// What is known of one owner, in one of its incarnations.
///
/// All operations up to `high` have taken effect, so that no tombstone is needed below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replica {
    incarnation: u64,
    high: u64,
    rows: BTreeMap<ChildId, Running>,
    /// The length of the encoding of the rows.
    rows_bytes: u64,
    /// Operations above `high` that have taken effect.
    ahead: BTreeSet<u64>,
    /// The highest number above `high` that a child without a row was removed with, or had when a page
    /// no longer listed it.
    dead: BTreeMap<ChildId, u64>,
    /// The prefix that pages are collected for, and the ranges that arrived of it.
    target: u64,
    ranges: Ranges,
    /// The ranges above `high` of all pages: what they do not list is gone, and stays so.
    covered: Ranges,
}

/// Ranges of numbers, the first number not included; ascending, and apart.
pub(crate) type Ranges = Vec<(u64, u64)>;

/// Adds ranges.
pub(crate) fn cover(ranges: &mut Ranges, more: impl IntoIterator<Item = (u64, u64)>) {
    ranges.extend(more);
    ranges.sort_unstable();
    let mut merged: Ranges = Vec::new();
    for (after, until) in ranges.drain(..) {
        match merged.last_mut().filter(|last| after <= last.1) {
            Some(last) => last.1 = until.max(last.1),
            None => merged.push((after, until)),
        }
    }
    *ranges = merged;
}

/// Whether a number is in one of the ranges.
pub(crate) fn covers(ranges: &Ranges, number: u64) -> bool {
    let at = ranges.partition_point(|(_, until)| *until < number);
    ranges.get(at).is_some_and(|(after, _)| *after < number)
}

impl Replica {
    /// Knows nothing of that incarnation.
    #[must_use]
    pub fn new(incarnation: u64) -> Self {
        Self {
            incarnation,
            ..Self::default()
        }
    }

    /// The owner's incarnation.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The number up to which all operations have taken effect.
    #[must_use]
    pub fn high(&self) -> u64 {
        self.high
    }

    /// The highest number that has taken effect.
    #[must_use]
    pub fn reach(&self) -> u64 {
        self.ahead.last().map_or(self.high, |last| *last)
    }

    /// The children that run, by id.
    #[must_use]
    pub fn rows(&self) -> &BTreeMap<ChildId, Running> {
        &self.rows
    }

    /// The numbers kept beside the rows.
    #[must_use]
    pub fn refs(&self) -> usize {
        self.ahead.len() + self.ranges.len() + self.covered.len()
    }

    /// The bytes of the rows as they are encoded, and two numbers for each of those beside them.
    #[must_use]
    pub(super) fn state_bytes(&self) -> u64 {
        self.rows_bytes + NUMBERS * self.refs() as u64
    }

    /// Applies an operation of this incarnation. Returns the child if its row changed.
    pub fn apply(&mut self, operation: &Operation) -> Option<ChildId> {
        let seq = operation.seq();
        if seq <= self.high || self.ahead.len() >= AHEAD_MAX || !self.ahead.insert(seq) {
            return None;
        }
        let changed = match operation {
            Operation::Runs(running) if !self.is_covered(seq) => self.enter(running),
            Operation::Runs(_) => None,
            Operation::Gone { child, .. } => self.leave(child, seq),
        };
        self.advance(self.high);
        changed
    }

    /// Applies a page of this incarnation; one of a snapshot that is not newer than what is known
    /// changes nothing. Returns the children whose rows changed.
    ///
    /// Pages of a later snapshot than the one that is collected count for it, too: within a range of
    /// numbers, rows only ever go.
    pub(crate) fn apply_page(&mut self, page: &Page) -> Vec<ChildId> {
        if page.high <= self.high || page.after > page.until || page.until > page.high {
            return Vec::new();
        }
        if self.target <= self.high || self.ranges.len() > RANGES_MAX {
            (self.target, self.ranges) = (page.high, Vec::new());
        }
        self.target = self.target.min(page.high);
        let is_in = |seq: u64| page.after < seq && seq <= page.until;
        let listed: BTreeSet<_> = page.rows.iter().map(|row| row.spec.id()).collect();
        let is_gone = |row: &&Running| is_in(row.seq) && !listed.contains(row.spec.id());
        let gone = self.rows.values().filter(is_gone);
        let gone: Vec<_> = gone.map(|row| (row.spec.id().clone(), row.seq)).collect();
        // An earlier removal is not remembered beside the row that came after it.
        let removed = gone
            .into_iter()
            .filter_map(|(child, seq)| self.leave(&child, seq));
        let mut changed: Vec<_> = removed.collect();
        for row in page.rows.iter().filter(|row| is_in(row.seq)) {
            // Up to `high`, what has no row is gone.
            if row.seq > self.high && !self.is_covered(row.seq) {
                changed.extend(self.enter(row));
            }
        }
        cover(&mut self.ranges, [(page.after, page.until)]);
        cover(&mut self.covered, [(page.after, page.until)]);
        if matches!(self.ranges[..], [(0, until), ..] if until >= self.target) {
            self.advance(self.target);
        }
        changed
    }

    fn is_covered(&self, seq: u64) -> bool {
        let is_in = |(after, until): &(u64, u64)| *after < seq && seq <= *until;
        self.covered.iter().any(is_in)
    }

    fn enter(&mut self, running: &Running) -> Option<ChildId> {
        let child = running.spec.id();
        let known = self.rows.get(child).map(|row| row.seq);
        if known.max(self.dead.get(child).copied()) >= Some(running.seq) {
            return None;
        }
        self.dead.remove(child);
        self.rows_bytes += running.encoded_len();
        if let Some(old) = self.rows.insert(child.clone(), running.clone()) {
            self.rows_bytes -= old.encoded_len();
        }
        Some(child.clone())
    }

    fn leave(&mut self, child: &ChildId, seq: u64) -> Option<ChildId> {
        if self.rows.get(child).is_some_and(|row| row.seq > seq) {
            return None;
        }
        let dead = self.dead.entry(child.clone()).or_default();
        *dead = seq.max(*dead);
        let old = self.rows.remove(child)?;
        self.rows_bytes -= old.encoded_len();
        Some(child.clone())
    }

    /// All operations up to `high` have taken effect, and those that follow without a gap.
    fn advance(&mut self, high: u64) {
        self.high = high.max(self.high);
        self.ahead = self.ahead.split_off(&self.high.saturating_add(1));
        while self.ahead.remove(&self.high.saturating_add(1)) {
            self.high = self.high.saturating_add(1);
        }
        let high = self.high;
        self.dead.retain(|_, seq| *seq > high);
        self.covered.retain(|(_, until)| *until > high);
        self.covered.truncate(RANGES_MAX);
        if self.target <= high {
            self.ranges = Vec::new();
        }
    }

    /// All that is known of the prefix, in pages of so many rows.
    #[must_use]
    pub fn pages(&self, owner: &NodeId, rows: usize) -> Vec<Page> {
        let within = self.rows.values().filter(|row| row.seq <= self.high);
        let mut within: Vec<_> = within.cloned().collect();
        within.sort_unstable_by_key(|row| row.seq);
        let chunks = within.chunks(rows.max(1));
        let mut chunks: Vec<_> = chunks.map(<[Running]>::to_vec).collect();
        if chunks.is_empty() {
            chunks.push(Vec::new());
        }
        let (mut after, last) = (0, chunks.len() - 1);
        let page = |(at, rows): (usize, Vec<Running>)| {
            let end = rows.last().map_or(self.high, |row| row.seq);
            let until = if at == last { self.high } else { end };
            let (owner, begin) = (owner.clone(), std::mem::replace(&mut after, until));
            Page {
                owner,
                incarnation: self.incarnation,
                high: self.high,
                after: begin,
                until,
                rows,
            }
        };
        chunks.into_iter().enumerate().map(page).collect()
    }
}
