//! Counters of a running hub.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use super::Counters;
use super::children::StopReason;
use crate::hub::Sizes;
use crate::name::{ChildId, NameHasher};

/// Messages of one kind, and their bytes in the wire encoding, without framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Messages sent, counted once per recipient, those to the node itself and those that were lost
    /// on the way out included.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Messages handled.
    pub delivered: u64,
    /// Their bytes; nothing for those from the node itself.
    pub delivered_bytes: u64,
}

/// A snapshot of a hub's counters. All of them count from the start of the hub.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HubStats {
    /// Rows that a look-up finds.
    pub rows: usize,
    /// What the hub holds.
    pub sizes: Sizes,
    /// Children of this node whose processes run.
    pub children: usize,
    /// Processes that failed or panicked and got a successor.
    pub restarts: u64,
    /// Start and stop requests that wait for answers.
    pub requests: usize,
    /// Messages by kind.
    pub messages: BTreeMap<&'static str, Traffic>,
    /// Messages that could not be sent: the peer was not connected, or its queue was full.
    pub unsent: u64,
    /// Payloads from peers that were no message; they were ignored.
    pub malformed: u64,
    /// Peers that connected again after their connection was gone.
    pub reconnects: u64,
    /// The connections.
    pub transport: Counters,
}

/// What the hub's task counts, where others can read it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sizes: Sizes,
    pub(super) children: usize,
    pub(super) restarts: u64,
    pub(super) requests: usize,
    pub(super) messages: BTreeMap<&'static str, Traffic>,
    pub(super) unsent: u64,
    pub(super) malformed: u64,
    pub(super) reconnects: u64,
}

/// How many children's ends are remembered.
const ENDS: usize = 1_024;

/// Why the last children that ended did so.
#[derive(Debug, Default)]
pub(super) struct Ends(Mutex<EndsInner>);

#[derive(Debug, Default)]
struct EndsInner {
    order: VecDeque<ChildId>,
    /// Only ever asked by child.
    reasons: HashMap<ChildId, StopReason, NameHasher>,
}

impl Ends {
    fn lock(&self) -> MutexGuard<'_, EndsInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, child: &ChildId) -> Option<StopReason> {
        self.lock().reasons.get(child).cloned()
    }

    pub(super) fn note(&self, child: &ChildId, reason: StopReason) {
        let mut ends = self.lock();
        if ends.reasons.insert(child.clone(), reason).is_none() {
            ends.order.push_back(child.clone());
        }
        if ends.order.len() > ENDS
            && let Some(oldest) = ends.order.pop_front()
        {
            ends.reasons.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ends_are_remembered_and_no_more() {
        let ends = Ends::default();
        for number in 0..2_000 {
            ends.note(&format!("c{number}").into(), StopReason::Finished);
        }
        ends.note(&"c1999".into(), StopReason::Stopped);
        assert_eq!(ends.get(&"c0".into()), None);
        assert_eq!(ends.get(&"c1000".into()), Some(StopReason::Finished));
        assert_eq!(ends.get(&"c1999".into()), Some(StopReason::Stopped));
        assert_eq!(ends.lock().order.len(), ENDS);
    }
}
