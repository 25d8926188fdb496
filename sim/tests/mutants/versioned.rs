//! Mutants of `pubsub_versioned`.

use hublab_strategies::owner_log::Operation;
use hublab_strategies::pubsub_versioned::{PubSubVersioned, PubSubVersionedMessage, VersionedRows};
use hublab_strategies::{Context, EventStrategy, Metadata, NodeId};

use crate::twisted::Twist;

/// The snapshot of a message.
fn rows(message: &mut PubSubVersionedMessage) -> Option<&mut VersionedRows> {
    match message {
        PubSubVersionedMessage::Events { .. } => None,
        PubSubVersionedMessage::Sync(data) | PubSubVersionedMessage::Join(data) => Some(data),
    }
}

macro_rules! twisted {
    ($(#[doc = $doc:literal])+ $name:ident, $change:expr) => {
        $(#[doc = $doc])+
        #[derive(Default)]
        pub(crate) struct $name;

        impl Twist<PubSubVersioned> for $name {
            fn handle_message(
                &mut self,
                inner: &mut PubSubVersioned,
                cx: &mut Context<'_, PubSubVersionedMessage>,
                from: &NodeId,
                message: &PubSubVersionedMessage,
            ) {
                let change: fn(&mut PubSubVersionedMessage) -> bool = $change;
                let mut message = message.clone();
                if change(&mut message) {
                    inner.handle_message(cx, from, &message);
                }
            }
        }
    };
}

twisted!(
    /// Lets snapshots remove what is newer.
    AsOfIgnored,
    |message| {
        if let Some(data) = rows(message) {
            data.as_of = 1 << 50;
        }
        true
    }
);

twisted!(
    /// Takes half of a snapshot for all of it.
    SnapshotHalved,
    |message| {
        if let Some(data) = rows(message) {
            data.rows.truncate(data.rows.len() / 2);
        }
        true
    }
);

twisted!(
    /// Ignores periodic snapshots.
    RoundsIgnored,
    |message| !matches!(message, PubSubVersionedMessage::Sync(_))
);

twisted!(
    /// Ignores the data of those that it joins.
    JoinsIgnored,
    |message| !matches!(message, PubSubVersionedMessage::Join(_))
);

twisted!(
    /// Takes every incarnation for the first.
    IncarnationsMistaken,
    |message| {
        match message {
            PubSubVersionedMessage::Events { incarnation, .. } => *incarnation = 1,
            PubSubVersionedMessage::Sync(data) | PubSubVersionedMessage::Join(data) => {
                data.incarnation = 1;
            }
        }
        true
    }
);

twisted!(
    /// Loses metadata.
    MetadataDropped,
    |message| {
        if let PubSubVersionedMessage::Events { events, .. } = message {
            for event in events {
                if let Operation::Runs(running) = event {
                    running.metadata = Metadata::default();
                }
            }
        }
        true
    }
);

twisted!(
    /// Gives the first row of a snapshot the pid of the last.
    PidsMixedUp,
    |message| {
        if let Some(data) = rows(message)
            && let Some(last) = data.rows.last().cloned()
        {
            data.rows[0].pid = last.pid;
            data.rows[0].seq = data.as_of;
        }
        true
    }
);
