//! Mutants of `tracker`.

use hublab_strategies::tracker::{Part, Tracker, TrackerMessage};
use hublab_strategies::{Context, EventStrategy, Metadata, NodeId};

use crate::twisted::Twist;

/// A change of what a node tells of replicas.
type Change = fn(&mut Part, &NodeId);

fn twisted(message: &TrackerMessage, from: &NodeId, change: Change) -> TrackerMessage {
    let mut message = message.clone();
    match &mut message {
        TrackerMessage::Delta(part) => change(part, from),
        TrackerMessage::Transfer(parts) => parts.iter_mut().for_each(|part| change(part, from)),
        TrackerMessage::Heartbeat(_) | TrackerMessage::Ask(_) => {}
    }
    message
}

macro_rules! parts_changed {
    ($(#[doc = $doc:literal])+ $name:ident, $change:expr) => {
        $(#[doc = $doc])+
        #[derive(Default)]
        pub(crate) struct $name;

        impl Twist<Tracker> for $name {
            fn handle_message(
                &mut self,
                inner: &mut Tracker,
                cx: &mut Context<'_, TrackerMessage>,
                from: &NodeId,
                message: &TrackerMessage,
            ) {
                inner.handle_message(cx, from, &twisted(message, from, $change));
            }
        }
    };
}

parts_changed!(
    /// Takes every tag without a row for one that never was.
    RemovalsOverlooked,
    |part, _| {
        part.clocks = part.rows.iter().map(|row| (row.seq - 1, row.seq)).collect();
        part.removed.clear();
    }
);

parts_changed!(
    /// Takes what a delta does not tell of for seen.
    GapsOverlooked,
    |part, _| part.clocks.iter_mut().for_each(|(after, _)| *after = 0)
);

parts_changed!(
    /// Takes the first half of the rows for all of them.
    HalfTaken,
    |part, _| part.rows.truncate(part.rows.len() / 2)
);

parts_changed!(
    /// Takes what is passed on for the sender's own.
    OwnerMistaken,
    |part, from| part.node = from.clone()
);

parts_changed!(
    /// Takes every incarnation for the first.
    IncarnationsMistaken,
    |part, _| part.incarnation = 1
);

parts_changed!(
    /// Loses the metadata.
    MetadataLost,
    |part, _| for row in &mut part.rows {
        row.metadata = Metadata::default();
    }
);

/// Takes no transfers.
#[derive(Default)]
pub(crate) struct TransfersIgnored;

impl Twist<Tracker> for TransfersIgnored {
    fn handle_message(
        &mut self,
        inner: &mut Tracker,
        cx: &mut Context<'_, TrackerMessage>,
        from: &NodeId,
        message: &TrackerMessage,
    ) {
        if !matches!(message, TrackerMessage::Transfer(_)) {
            inner.handle_message(cx, from, message);
        }
    }
}

/// Ends its broadcasts after five periods.
#[derive(Default)]
pub(crate) struct BroadcastsEnd {
    periods: u32,
}

impl Twist<Tracker> for BroadcastsEnd {
    fn handle_timer(
        &mut self,
        inner: &mut Tracker,
        cx: &mut Context<'_, TrackerMessage>,
        key: u64,
    ) {
        self.periods += 1;
        if self.periods <= 5 {
            inner.handle_timer(cx, key);
        }
    }
}
