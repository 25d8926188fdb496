//! Mutants of `rumour`.

use hublab_strategies::owner_log::Operation;
use hublab_strategies::rumour::{Rumour, RumourMessage, Update};
use hublab_strategies::{Context, EventStrategy, Metadata, NodeId};

use crate::twisted::Twist;

type Cx<'a> = Context<'a, RumourMessage>;

/// The changes of a message.
fn updates(message: &mut RumourMessage) -> Option<&mut Vec<Update>> {
    match message {
        RumourMessage::Push(updates)
        | RumourMessage::Answer(updates)
        | RumourMessage::Recent(updates, ..)
        | RumourMessage::All(updates, _) => Some(updates),
        RumourMessage::Pull | RumourMessage::Feedback(_) => None,
    }
}

macro_rules! updates_changed {
    ($(#[doc = $doc:literal])+ $name:ident, $change:expr) => {
        $(#[doc = $doc])+
        #[derive(Default)]
        pub(crate) struct $name;

        impl Twist<Rumour> for $name {
            fn handle_message(
                &mut self,
                inner: &mut Rumour,
                cx: &mut Cx<'_>,
                from: &NodeId,
                message: &RumourMessage,
            ) {
                let change: fn(&mut Vec<Update>, &NodeId) = $change;
                let mut message = message.clone();
                if let Some(updates) = updates(&mut message) {
                    change(updates, from);
                }
                inner.handle_message(cx, from, &message);
            }
        }
    };
}

updates_changed!(
    /// Overlooks death certificates.
    CertificatesOverlooked,
    |updates, _| updates.retain(|it| matches!(it.operation, Operation::Runs(_)))
);

updates_changed!(
    /// Takes the first half of what it is told.
    HalfTaken,
    |updates, _| updates.truncate(updates.len() / 2)
);

updates_changed!(
    /// Takes what is passed on for the sender's own.
    OwnerMistaken,
    |updates, from| for update in updates {
        update.owner = from.clone();
    }
);

updates_changed!(
    /// Takes every incarnation for the first.
    IncarnationsMistaken,
    |updates, _| for update in updates {
        update.incarnation = 1;
    }
);

updates_changed!(
    /// Loses the metadata.
    MetadataLost,
    |updates, _| for update in updates {
        if let Operation::Runs(running) = &mut update.operation {
            running.metadata = Metadata::default();
        }
    }
);

/// Takes whatever comes later for newer.
#[derive(Default)]
pub(crate) struct LaterForNewer {
    last: u64,
}

impl Twist<Rumour> for LaterForNewer {
    fn handle_message(
        &mut self,
        inner: &mut Rumour,
        cx: &mut Cx<'_>,
        from: &NodeId,
        message: &RumourMessage,
    ) {
        let mut message = message.clone();
        let others = updates(&mut message).into_iter().flatten();
        for update in others.filter(|it| it.owner != *cx.node()) {
            self.last += 1;
            match &mut update.operation {
                Operation::Runs(running) => running.seq = self.last,
                Operation::Gone { seq, .. } => *seq = self.last,
            }
        }
        inner.handle_message(cx, from, &message);
    }
}

/// Compares no databases.
#[derive(Default)]
pub(crate) struct ComparisonsLeftOut;

impl Twist<Rumour> for ComparisonsLeftOut {
    fn handle_message(
        &mut self,
        inner: &mut Rumour,
        cx: &mut Cx<'_>,
        from: &NodeId,
        message: &RumourMessage,
    ) {
        let is_comparison = matches!(message, RumourMessage::Recent(..) | RumourMessage::All(..));
        if !is_comparison {
            inner.handle_message(cx, from, message);
        }
    }
}
