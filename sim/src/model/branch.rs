//! A run that differs from another in its draws, or in single events: `[run] branch` and `changes`.

use std::time::Duration;

use hublab_strategies::TimerKey;
use serde::{Deserialize, Serialize};

use super::NodeIx;
use super::tree::us;

/// `[run] branch`: the run as it is up to an instant, and with other draws from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Branch {
    /// The last instant whose draws are those of the seed. What was sent by then keeps its draws.
    #[serde(with = "us")]
    pub after: Duration,
    /// Which other draws.
    pub number: u64,
}

/// A message of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId {
    /// Its sender.
    pub from: NodeIx,
    /// Its receiver.
    pub to: NodeIx,
    /// The id of its channel.
    pub channel: u8,
    /// Its number on this link and channel, from 0.
    pub number: u32,
}

/// An element of `[run] changes`: one thing that happens otherwise. All other draws stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// `lose`: the message is lost.
    Lose(MessageId),
    /// `double`: a copy of the message arrives, too.
    Double {
        /// Which.
        #[serde(flatten)]
        message: MessageId,
        /// When the copy arrives.
        #[serde(with = "us")]
        at: Duration,
    },
    /// `arrive`: the message arrives then, even if it is lost otherwise, by its draw, by a cut or for
    /// want of a connection. Where the link keeps order, it arrives behind those sent before it.
    Arrive {
        /// Which.
        #[serde(flatten)]
        message: MessageId,
        /// When.
        #[serde(with = "us")]
        at: Duration,
    },
    /// `fire`: a timer fires at another instant than it is set for.
    Fire {
        /// Whose.
        node: NodeIx,
        /// Its kind.
        timer: TimerKind,
        /// Which, of those of a membership or strategy.
        #[serde(default, skip_serializing_if = "super::tree::is_default")]
        key: u64,
        /// When it is to fire.
        #[serde(with = "us")]
        due: Duration,
        /// When it fires.
        #[serde(with = "us")]
        at: Duration,
    },
    /// `draw`: what the node draws by itself in that instant is drawn from another stream.
    Draw {
        /// Whose.
        node: NodeIx,
        /// When.
        #[serde(with = "us")]
        at: Duration,
        /// Which other stream.
        number: u64,
    },
}

impl Change {
    /// The message that it is about, if it is about one.
    #[must_use]
    pub fn message(&self) -> Option<MessageId> {
        match self {
            Self::Lose(message) | Self::Double { message, .. } | Self::Arrive { message, .. } => {
                Some(*message)
            }
            Self::Fire { .. } | Self::Draw { .. } => None,
        }
    }

    /// The nodes that it names.
    pub(crate) fn nodes_mut(&mut self) -> impl Iterator<Item = &mut NodeIx> {
        let nodes = match self {
            Self::Lose(message) | Self::Double { message, .. } | Self::Arrive { message, .. } => {
                [Some(&mut message.from), Some(&mut message.to)]
            }
            Self::Fire { node, .. } | Self::Draw { node, .. } => [Some(node), None],
        };
        nodes.into_iter().flatten()
    }
}

/// The kind of a timer: a [`TimerKey`] without the number of those that have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimerKind {
    /// The next announcement.
    Discovery,
    /// The next periodic synchronization.
    Sync,
    /// The next purge.
    Janitor,
    /// The end of the quiet time.
    Debounce,
    /// One of the membership.
    Membership,
    /// One of the strategy.
    Strategy,
}

impl TimerKind {
    /// The names of the kinds, as files write them.
    pub const NAMES: [&str; 6] = [
        "discovery",
        "sync",
        "janitor",
        "debounce",
        "membership",
        "strategy",
    ];

    /// Its name, as files and traces write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The kind of a timer, and its number among those of the kind.
    #[must_use]
    pub fn of(key: TimerKey) -> (Self, u64) {
        match key {
            TimerKey::Discovery => (Self::Discovery, 0),
            TimerKey::Sync => (Self::Sync, 0),
            TimerKey::Janitor => (Self::Janitor, 0),
            TimerKey::Debounce => (Self::Debounce, 0),
            TimerKey::Membership(number) => (Self::Membership, number.into()),
            TimerKey::Strategy(number) => (Self::Strategy, number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_tree() {
        let kinds = [
            TimerKind::Discovery,
            TimerKind::Sync,
            TimerKind::Janitor,
            TimerKind::Debounce,
            TimerKind::Membership,
            TimerKind::Strategy,
        ];
        for kind in kinds {
            assert_eq!(serde_json::to_value(kind).expect("a word"), kind.name());
        }
        assert_eq!(kinds.map(TimerKind::name), TimerKind::NAMES);
    }
}
