//! The trace as text: a line per event for people, a JSON object per event for programs, and the
//! choice of events to show. Nothing here touches the digest.

mod filter;
mod json;
mod line;

use std::borrow::Cow;

use hublab_strategies::{Change, DownReason, NodeId, TimerKey};

pub use filter::{Filter, concerns};
pub(crate) use json::row_json;
pub(crate) use line::RowText;
pub use line::row_text;

use super::event::{Event, KindIx, Payload, WORLD};
use crate::model::{NodeIx, TimerKind};

/// The names of all kinds of events, as [`kind_of`] gives them.
pub const EVENT_KINDS: [&str; 27] = [
    "step",
    "kind",
    "boot",
    "stop",
    "pause",
    "resume",
    "peer_up",
    "peer_down",
    "sent",
    "duplicated",
    "delivered",
    "dropped",
    "timer",
    "row",
    "view",
    "child_started",
    "child_stopped",
    "fact",
    "answered",
    "skipped",
    "mark",
    "panicked",
    "connected",
    "disconnected",
    "queued",
    "sizes",
    "injected",
];

/// The kind of an event: one of [`EVENT_KINDS`].
#[must_use]
pub fn kind_of(event: &Event) -> &'static str {
    match event.payload {
        Payload::Step { .. } => "step",
        Payload::Kind { .. } => "kind",
        Payload::Booted { .. } => "boot",
        Payload::Stopped(_) => "stop",
        Payload::Paused => "pause",
        Payload::Resumed => "resume",
        Payload::PeerUp { .. } => "peer_up",
        Payload::PeerDown { .. } => "peer_down",
        Payload::Sent { .. } => "sent",
        Payload::Duplicated { .. } => "duplicated",
        Payload::Delivered { .. } => "delivered",
        Payload::Dropped { .. } => "dropped",
        Payload::Timer(_) => "timer",
        Payload::Row { .. } => "row",
        Payload::View(_) => "view",
        Payload::ChildStarted { .. } => "child_started",
        Payload::ChildStopped { .. } => "child_stopped",
        Payload::Fact(_) => "fact",
        Payload::Answered { .. } => "answered",
        Payload::Skipped { .. } => "skipped",
        Payload::Mark(_) => "mark",
        Payload::Panicked(_) => "panicked",
        Payload::Connected { .. } => "connected",
        Payload::Disconnected { .. } => "disconnected",
        Payload::Queued { .. } => "queued",
        Payload::Sizes(_) => "sizes",
        Payload::Injected { .. } => "injected",
    }
}

/// Names for the numbers in events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    nodes: Vec<NodeId>,
    kinds: Vec<String>,
}

impl Names {
    /// The names of a run that has not begun: its nodes.
    #[must_use]
    pub(crate) fn of_nodes(nodes: &[NodeId]) -> Self {
        Self {
            nodes: nodes.to_vec(),
            kinds: Vec::new(),
        }
    }

    /// All names of a run that is over: its nodes, and the kinds of messages it sent.
    #[must_use]
    pub fn new(nodes: Vec<NodeId>, kinds: Vec<String>) -> Self {
        Self { nodes, kinds }
    }

    /// Takes in an event that may say what a number stands for.
    pub fn learn(&mut self, event: &Event) {
        if let Payload::Kind { kind, name } = &event.payload
            && usize::from(*kind) == self.kinds.len()
        {
            self.kinds.push(name.clone());
        }
    }

    /// The name of a node; `None` for [`WORLD`] and numbers without a name.
    #[must_use]
    pub fn node(&self, node: NodeIx) -> Option<&str> {
        self.nodes.get(node as usize).map(NodeId::as_str)
    }

    /// The names of all nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(NodeId::as_str)
    }

    /// The number of a node.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<NodeIx> {
        (0..)
            .zip(&self.nodes)
            .find(|(_, node)| node.as_str() == name)
            .map(|(ix, _)| ix)
    }

    /// The name of a kind of message.
    #[must_use]
    pub fn kind(&self, kind: KindIx) -> Option<&str> {
        self.kinds.get(usize::from(kind)).map(String::as_str)
    }

    fn show_node(&self, node: NodeIx) -> Cow<'_, str> {
        match self.node(node) {
            Some(name) => printable(name),
            None if node == WORLD => Cow::Borrowed("world"),
            None => Cow::Owned(format!("node {node}")),
        }
    }

    fn show_kind(&self, kind: KindIx) -> Cow<'_, str> {
        self.kind(kind)
            .map_or_else(|| Cow::Owned(format!("kind {kind}")), printable)
    }
}

/// A text as it may stand in a line: control characters and marks of direction are escaped, so that no
/// name or message can break the line, turn it around or move a terminal's cursor.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(is_unprintable) {
        let escape = |c: char| {
            if is_unprintable(c) {
                c.escape_default().collect()
            } else {
                String::from(c)
            }
        };
        Cow::Owned(text.chars().map(escape).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Controls, and what turns the direction of a text or ends a line of it.
fn is_unprintable(c: char) -> bool {
    let turns = ['\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}'];
    c.is_control()
        || turns.contains(&c)
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

fn down(reason: DownReason) -> &'static str {
    match reason {
        DownReason::Closed => "closed",
        DownReason::Silent => "silent",
        DownReason::Restarted => "restarted",
        DownReason::Left => "left",
    }
}

/// The name of a timer: `sync`, `strategy.3`.
fn timer(key: TimerKey) -> String {
    let (kind, number) = TimerKind::of(key);
    match key {
        TimerKey::Membership(_) | TimerKey::Strategy(_) => format!("{}.{number}", kind.name()),
        TimerKey::Discovery | TimerKey::Sync | TimerKey::Janitor | TimerKey::Debounce => {
            kind.name().to_owned()
        }
    }
}

fn change_name(change: &Change) -> &'static str {
    match change {
        Change::Started { .. } => "started",
        Change::Restarted { .. } => "restarted",
        Change::Stopped { .. } => "stopped",
    }
}

fn change_pid(change: &Change) -> &str {
    match change {
        Change::Started { pid, .. } | Change::Restarted { pid } | Change::Stopped { pid } => {
            pid.as_str()
        }
    }
}
