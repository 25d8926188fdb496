//! Mutants of `scuttlebutt`.

use std::collections::BTreeMap;

use hublab_strategies::owner_log::{Operation, Running};
use hublab_strategies::scuttlebutt::{Delta, Scuttlebutt, ScuttlebuttMessage};
use hublab_strategies::{ChildId, Context, EventStrategy, Metadata, NodeId};

use crate::twisted::Twist;

type Cx<'a> = Context<'a, ScuttlebuttMessage>;

/// A change of the deltas that arrive from a node.
type Change = fn(&mut Delta, &NodeId);

fn twisted(message: &ScuttlebuttMessage, from: &NodeId, change: Change) -> ScuttlebuttMessage {
    let mut message = message.clone();
    match &mut message {
        ScuttlebuttMessage::Digest { .. } => {}
        ScuttlebuttMessage::Answer { deltas, .. } | ScuttlebuttMessage::Deltas(deltas) => {
            deltas.iter_mut().for_each(|delta| change(delta, from));
        }
    }
    message
}

macro_rules! deltas_changed {
    ($(#[doc = $doc:literal])+ $name:ident, $change:expr) => {
        $(#[doc = $doc])+
        #[derive(Default)]
        pub(crate) struct $name;

        impl Twist<Scuttlebutt> for $name {
            fn handle_message(
                &mut self,
                inner: &mut Scuttlebutt,
                cx: &mut Cx<'_>,
                from: &NodeId,
                message: &ScuttlebuttMessage,
            ) {
                inner.handle_message(cx, from, &twisted(message, from, $change));
            }
        }
    };
}

deltas_changed!(
    /// Overlooks removals.
    RemovalsOverlooked,
    |delta, _| delta.entries.retain(is_start)
);

deltas_changed!(
    /// Takes the first half of a delta, and believes to have all of it.
    HalfTaken,
    |delta, _| delta.entries.truncate(delta.entries.len() / 2)
);

deltas_changed!(
    /// Believes to be two changes further than it is.
    MaxMiscounted,
    |delta, _| delta.until += 2
);

deltas_changed!(
    /// Takes what a member passes on for that member's own.
    OwnerMistaken,
    |delta, from| delta.owner = from.clone()
);

deltas_changed!(
    /// Loses the metadata.
    MetadataLost,
    |delta, _| {
        for entry in &mut delta.entries {
            if let Operation::Runs(running) = entry {
                running.metadata = Metadata::default();
            }
        }
    }
);

fn is_start(entry: &Operation) -> bool {
    matches!(entry, Operation::Runs(_))
}

/// Makes five rounds, and no more.
#[derive(Default)]
pub(crate) struct RoundsEnd {
    rounds: u32,
}

impl Twist<Scuttlebutt> for RoundsEnd {
    fn handle_timer(&mut self, inner: &mut Scuttlebutt, cx: &mut Cx<'_>, key: u64) {
        self.rounds += 1;
        if self.rounds <= 5 {
            inner.handle_timer(cx, key);
        }
    }
}

/// Takes what was removed for a new start when something else comes.
#[derive(Default)]
pub(crate) struct RemovedRevived {
    running: BTreeMap<(NodeId, ChildId), Running>,
    removed: Option<(NodeId, Running)>,
}

impl Twist<Scuttlebutt> for RemovedRevived {
    fn handle_message(
        &mut self,
        inner: &mut Scuttlebutt,
        cx: &mut Cx<'_>,
        from: &NodeId,
        message: &ScuttlebuttMessage,
    ) {
        inner.handle_message(cx, from, message);
        if let Some((owner, running)) = self.removed.take()
            && let Some(replica) = inner.replica(&owner)
        {
            let (from_version, seq) = (replica.max(), replica.max() + 1);
            let delta = Delta {
                owner,
                incarnation: replica.incarnation(),
                gc: replica.gc(),
                from: from_version,
                until: seq,
                entries: vec![Operation::Runs(Running { seq, ..running })],
            };
            inner.handle_message(cx, from, &ScuttlebuttMessage::Deltas(vec![delta]));
        }
        let deltas = match message {
            ScuttlebuttMessage::Digest { .. } => return,
            ScuttlebuttMessage::Answer { deltas, .. } | ScuttlebuttMessage::Deltas(deltas) => {
                deltas
            }
        };
        for delta in deltas {
            for entry in &delta.entries {
                let key = (delta.owner.clone(), entry.child().clone());
                if let Operation::Runs(running) = entry {
                    self.running.insert(key, running.clone());
                } else if let Some(running) = self.running.remove(&key) {
                    self.removed = Some((delta.owner.clone(), running));
                }
            }
        }
    }
}
