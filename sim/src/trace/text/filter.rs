//! Which events of a trace to show.

use hublab_strategies::{ChildId, Time};

use super::{Names, kind_of};
use crate::trace::event::{Event, KindIx, Payload};

/// Which events to show; a list that is empty allows everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Events on these nodes.
    pub nodes: Vec<String>,
    /// Events that concern these children: rows, starts and stops, facts, answers, and the messages that
    /// list them, if their contents are told.
    pub children: Vec<String>,
    /// Events of these kinds: of [`EVENT_KINDS`](super::EVENT_KINDS), or kinds of messages.
    pub kinds: Vec<String>,
    /// Events at this instant or later.
    pub from: Option<Time>,
    /// Events at this instant or earlier.
    pub to: Option<Time>,
}

impl Filter {
    /// True if the event is to be shown.
    #[must_use]
    pub fn allows(&self, event: &Event, names: &Names) -> bool {
        let is_listed = |list: &[String], name: &str| list.iter().any(|listed| listed == name);
        let is_kind = |list: &[String]| {
            let message = message_kind(event).and_then(|kind| names.kind(kind));
            is_listed(list, kind_of(event)) || message.is_some_and(|kind| is_listed(list, kind))
        };
        self.from.is_none_or(|from| from <= event.at)
            && self.to.is_none_or(|to| event.at <= to)
            && (self.nodes.is_empty()
                || names
                    .node(event.node)
                    .is_some_and(|node| is_listed(&self.nodes, node)))
            && (self.kinds.is_empty() || is_kind(&self.kinds))
            && (self.children.is_empty() || concerns(event, &self.children))
    }

    /// True if no later event can be shown.
    #[must_use]
    pub fn is_over(&self, event: &Event) -> bool {
        self.to.is_some_and(|to| to < event.at)
    }
}

/// True if an event is about one of these children.
#[must_use]
pub fn concerns<C: AsRef<str>>(event: &Event, children: &[C]) -> bool {
    let is_listed = |child: &ChildId| {
        children
            .iter()
            .any(|listed| listed.as_ref() == child.as_str())
    };
    match &event.payload {
        Payload::Row { child, .. }
        | Payload::ChildStarted { child, .. }
        | Payload::ChildStopped { child, .. }
        | Payload::Skipped { child, .. } => is_listed(child),
        Payload::Fact(fact) => is_listed(&fact.child),
        Payload::Answered { results, .. } => results.iter().any(|(child, _)| is_listed(child)),
        Payload::Sent { contents, .. }
        | Payload::Delivered { contents, .. }
        | Payload::Dropped { contents, .. } => contents.as_ref().is_some_and(|contents| {
            let lists = contents.lists().iter();
            lists.flat_map(|list| list.children.iter()).any(is_listed)
        }),
        Payload::Step { .. }
        | Payload::Kind { .. }
        | Payload::Booted { .. }
        | Payload::Stopped(_)
        | Payload::Paused
        | Payload::Resumed
        | Payload::PeerUp { .. }
        | Payload::PeerDown { .. }
        | Payload::Duplicated { .. }
        | Payload::Timer(_)
        | Payload::View(_)
        | Payload::Mark(_)
        | Payload::Panicked(_)
        | Payload::Connected { .. }
        | Payload::Disconnected { .. }
        | Payload::Queued { .. }
        | Payload::Sizes(_)
        | Payload::Injected { .. } => false,
    }
}

/// The kind of message that an event is about, if it is about one.
fn message_kind(event: &Event) -> Option<KindIx> {
    match event.payload {
        Payload::Kind { kind, .. }
        | Payload::Sent { kind, .. }
        | Payload::Duplicated { kind, .. }
        | Payload::Delivered { kind, .. }
        | Payload::Dropped { kind, .. }
        | Payload::Queued { kind, .. } => Some(kind),
        Payload::Step { .. }
        | Payload::Booted { .. }
        | Payload::Stopped(_)
        | Payload::Paused
        | Payload::Resumed
        | Payload::PeerUp { .. }
        | Payload::PeerDown { .. }
        | Payload::Timer(_)
        | Payload::Row { .. }
        | Payload::View(_)
        | Payload::ChildStarted { .. }
        | Payload::ChildStopped { .. }
        | Payload::Fact(_)
        | Payload::Answered { .. }
        | Payload::Skipped { .. }
        | Payload::Mark(_)
        | Payload::Panicked(_)
        | Payload::Connected { .. }
        | Payload::Disconnected { .. }
        | Payload::Sizes(_)
        | Payload::Injected { .. } => None,
    }
}
