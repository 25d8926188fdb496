//! The children of a node, and the start requests whose outcomes are not all known.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::child::{ChildSpec, Metadata};
use crate::name::{ChildId, NameHasher, NodeId, Pid};

/// The state of a child's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// Part `index` of start request `batch`, which is not finished.
    Starting { batch: u64, index: usize },
    /// Registered, and running as far as is known.
    Running,
    /// Registered under `old`, which is gone; its new process has not said that it runs.
    Restarting { old: Pid },
}

/// A child that this node runs or is about to.
#[derive(Debug, Clone)]
pub(super) struct Local {
    pub(super) spec: ChildSpec,
    pub(super) pid: Pid,
    pub(super) metadata: Metadata,
    pub(super) phase: Phase,
}

/// The requester, and the ticket of its request.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// `None`: this node itself.
    pub(super) peer: Option<NodeId>,
    pub(super) ticket: u64,
}

/// A start request under way.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) origin: Origin,
    pub(super) announce: bool,
    pub(super) metadata: Metadata,
    pub(super) items: Vec<Item>,
    /// The number of outcomes that are not known.
    open: usize,
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) spec: ChildSpec,
    pub(super) pid: Pid,
    /// Unknown, or that it started, or why it did not.
    outcome: Option<Result<(), String>>,
}

impl Item {
    /// That it started, or why not.
    pub(super) fn outcome(&self) -> Result<(), String> {
        self.outcome
            .clone()
            .unwrap_or_else(|| Err("no outcome".to_owned()))
    }
}

#[derive(Debug, Default)]
pub(super) struct Children {
    table: BTreeMap<ChildId, Local>,
    /// The child of each pid in `table`; only ever asked by pid.
    by_pid: HashMap<Pid, ChildId, NameHasher>,
    batches: BTreeMap<u64, Batch>,
    last_batch: u64,
    last_pid: u64,
}

impl Children {
    pub(super) fn running(&self) -> impl Iterator<Item = (&ChildId, &Pid, &Metadata)> {
        self.table
            .iter()
            .filter(|(_, local)| local.phase == Phase::Running)
            .map(|(child, local)| (child, &local.pid, &local.metadata))
    }

    /// The number of outcomes that are awaited.
    pub(super) fn open(&self) -> usize {
        self.batches.values().map(|batch| batch.open).sum()
    }

    #[cfg(test)]
    pub(super) fn last_pid(&self) -> u64 {
        self.last_pid
    }

    pub(super) fn get(&self, child: &ChildId) -> Option<&Local> {
        self.table.get(child)
    }

    pub(super) fn by_pid(&self, pid: &Pid) -> Option<&Local> {
        self.table.get(self.by_pid.get(pid)?)
    }

    pub(super) fn ids(&self) -> Vec<ChildId> {
        self.table.keys().cloned().collect()
    }

    /// The next pid: `<node>.<incarnation>.<k>`.
    pub(super) fn next_pid(&mut self, node: &NodeId, incarnation: u64) -> Pid {
        self.last_pid += 1;
        Pid::from(format!("{node}.{incarnation}.{}", self.last_pid))
    }

    /// Puts a child in, replacing one of the same id.
    pub(super) fn insert(&mut self, local: Local) {
        self.by_pid
            .insert(local.pid.clone(), local.spec.id().clone());
        if let Some(old) = self.table.insert(local.spec.id().clone(), local.clone())
            && old.pid != local.pid
        {
            self.by_pid.remove(&old.pid);
        }
    }

    pub(super) fn remove(&mut self, child: &ChildId) -> Option<Local> {
        let local = self.table.remove(child)?;
        self.by_pid.remove(&local.pid);
        Some(local)
    }

    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.by_pid.clear();
        self.batches.clear();
    }

    /// Opens a start request that will have `size` items.
    pub(super) fn open_batch(
        &mut self,
        origin: Origin,
        announce: bool,
        metadata: Metadata,
        size: usize,
    ) -> u64 {
        self.last_batch += 1;
        let batch = Batch {
            origin,
            announce,
            metadata,
            items: Vec::with_capacity(size),
            open: size,
        };
        self.batches.insert(self.last_batch, batch);
        self.last_batch
    }

    /// Adds an item to a request, and returns its position there.
    pub(super) fn add_item(&mut self, batch: u64, spec: ChildSpec, pid: Pid) -> usize {
        self.batches.get_mut(&batch).map_or(0, |batch| {
            batch.items.push(Item {
                spec,
                pid,
                outcome: None,
            });
            batch.items.len() - 1
        })
    }

    /// Notes an item's outcome. A failure replaces a start that was noted before: the child ended
    /// while others of its request were still starting.
    pub(super) fn note(&mut self, batch: u64, index: usize, outcome: Result<(), String>) {
        let Some(batch) = self.batches.get_mut(&batch) else {
            return;
        };
        let Some(item) = batch.items.get_mut(index) else {
            return;
        };
        if item.outcome.is_none() {
            batch.open -= 1;
        }
        item.outcome = Some(outcome);
    }

    /// Takes a request out once all its outcomes are known.
    pub(super) fn take_finished(&mut self, batch: u64) -> Option<Batch> {
        if self.batches.get(&batch)?.open > 0 {
            return None;
        }
        let batch = self.batches.remove(&batch)?;
        for item in &batch.items {
            if let Some(local) = self
                .table
                .get_mut(item.spec.id())
                .filter(|local| local.pid == item.pid)
            {
                local.phase = Phase::Running;
            }
        }
        Some(batch)
    }
}
