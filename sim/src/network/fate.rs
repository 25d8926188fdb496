//! Messages to which something else happens than their draws say: those that `[run] changes` names.

use std::collections::BTreeMap;

use hublab_strategies::time::micros;

use super::LinkKey;
use crate::model::{Change, MessageId};

/// What is said of a message; what is not said is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// Whether it is lost. One that is not passes a cut, and needs no connection.
    pub(crate) lost: Option<bool>,
    /// When it arrives, in microseconds.
    pub(crate) at: Option<u64>,
    /// When a copy of it arrives, in microseconds.
    pub(crate) copy_at: Option<u64>,
}

/// The fates of a run's messages.
#[derive(Debug)]
pub(crate) struct Fates(BTreeMap<MessageId, Fate>);

impl Fates {
    /// Those that a run's changes say; of two of one message, the later counts.
    pub(crate) fn new(changes: &[Change]) -> Self {
        let mut fates: BTreeMap<MessageId, Fate> = BTreeMap::new();
        for change in changes {
            let Some(message) = change.message() else {
                continue;
            };
            let fate = fates.entry(message).or_default();
            match change {
                Change::Lose(_) => fate.lost = Some(true),
                Change::Double { at, .. } => fate.copy_at = Some(micros(*at)),
                Change::Arrive { at, .. } => {
                    fate.lost = Some(false);
                    fate.at = Some(micros(*at));
                }
                Change::Fire { .. } | Change::Draw { .. } => {}
            }
        }
        Self(fates)
    }

    /// That of message `number` of a channel of a link.
    #[inline]
    pub(crate) fn of(&self, (from, to): LinkKey, channel: u8, number: u32) -> Fate {
        if self.0.is_empty() {
            return Fate::default();
        }
        let id = MessageId {
            from,
            to,
            channel,
            number,
        };
        self.0.get(&id).copied().unwrap_or_default()
    }
}
