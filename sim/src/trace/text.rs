//! The trace as text: a line per event for people, a JSON object per event for programs, and the
//! choice of events to show. Nothing here touches the digest.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use hublab_strategies::{Change, DownReason, Metadata, NodeId, Row, Time, TimerKey};
use serde_json::{Map, Value, json};

use super::capsule::{Footer, Header};
use super::event::{Event, KindIx, Payload, StopReason, WORLD};
use crate::scenario::model::NodeIx;

/// The names of all kinds of events, as [`kind_of`] gives them.
pub const EVENT_KINDS: [&str; 22] = [
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
    }
}

/// The kind of message that an event is about, if it is about one.
fn message_kind(event: &Event) -> Option<KindIx> {
    match event.payload {
        Payload::Kind { kind, .. }
        | Payload::Sent { kind, .. }
        | Payload::Duplicated { kind, .. }
        | Payload::Delivered { kind, .. }
        | Payload::Dropped { kind, .. } => Some(kind),
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
        | Payload::Panicked(_) => None,
    }
}

/// What the numbers in events stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    nodes: Vec<NodeId>,
    kinds: Vec<String>,
}

impl Names {
    /// The names of a run that has not begun: its nodes.
    #[must_use]
    pub fn of_nodes(nodes: &[NodeId]) -> Self {
        Self { nodes: nodes.to_vec(), kinds: Vec::new() }
    }

    /// All names of a capsule.
    #[must_use]
    pub fn of_capsule(header: &Header, footer: &Footer) -> Self {
        Self { nodes: header.nodes.clone(), kinds: footer.kinds.clone() }
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

    /// The number of a node.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<NodeIx> {
        (0..).zip(&self.nodes).find(|(_, node)| node.as_str() == name).map(|(ix, _)| ix)
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
        self.kind(kind).map_or_else(|| Cow::Owned(format!("kind {kind}")), printable)
    }

    /// One line for people: `31.2s n3 got gossip.sync #12 from n1 [e48211 <- e48102]`.
    #[must_use]
    pub fn line(&self, event: &Event) -> String {
        let Event { id, at, node, cause, .. } = event;
        let mut line = format!("{at} {} {}", self.show_node(*node), self.words(event));
        // Writing to a string cannot fail.
        let _ = match cause {
            0 => write!(line, " [e{id}]"),
            cause => write!(line, " [e{id} <- e{cause}]"),
        };
        line
    }

    fn words(&self, event: &Event) -> String {
        let kind = |kind: &KindIx| self.show_kind(*kind);
        let node = |node: &NodeIx| self.show_node(*node);
        match &event.payload {
            Payload::Step { index, healing, action } => {
                let what = if *healing { "heal_after of " } else { "" };
                format!("step {index}: {what}{}", printable(action))
            }
            Payload::Kind { kind, name } => format!("from here on kind {kind} is {}", printable(name)),
            Payload::Booted { incarnation, .. } => format!("booted, incarnation {incarnation}"),
            Payload::Stopped(reason) => match reason {
                StopReason::Crash => "crashed".to_owned(),
                StopReason::Leave => "left".to_owned(),
            },
            Payload::Paused => "paused".to_owned(),
            Payload::Resumed => "resumed".to_owned(),
            Payload::PeerUp { peer, incarnation } => format!("sees {} up, incarnation {incarnation}", node(peer)),
            Payload::PeerDown { peer, reason } => format!("sees {} down: {}", node(peer), down(*reason)),
            Payload::Sent { to, kind: k, number, bytes, due, .. } => {
                let due = due.map_or_else(|| "never arrives".to_owned(), |due| format!("due {due}"));
                format!("sent {} #{number} to {}, {bytes} bytes, {due}", kind(k), node(to))
            }
            Payload::Duplicated { to, kind: k, number, due } => {
                format!("a copy of {} #{number} to {}, due {due}", kind(k), node(to))
            }
            Payload::Delivered { from, kind: k, number } => format!("got {} #{number} from {}", kind(k), node(from)),
            Payload::Dropped { from, kind: k, number, reason } => {
                format!("never gets {} #{number} from {}: {}", kind(k), node(from), reason.as_str())
            }
            Payload::Timer(key) => format!("timer {}", timer(*key)),
            Payload::Row { child, before, after } => {
                format!("row {}: {} -> {}", printable(child.as_str()), RowText(before.as_ref()), RowText(after.as_ref()))
            }
            Payload::View(nodes) => format!("view is [{}]", words_of(nodes.iter().map(NodeId::as_str))),
            Payload::ChildStarted { child, pid, metadata } => {
                format!("runs {} as {}{}", printable(child.as_str()), printable(pid.as_str()), metadata_text(metadata))
            }
            Payload::ChildStopped { child, pid } => {
                format!("no longer runs {} as {}", printable(child.as_str()), printable(pid.as_str()))
            }
            Payload::Fact(fact) => {
                format!("fact {} about {}: {}", fact.seq, printable(fact.child.as_str()), change(&fact.change))
            }
            Payload::Answered { by, results } => {
                let failed = results.iter().filter(|(_, result)| result.is_err()).count();
                format!("answer of {}: {} children, {failed} failed", printable(by.as_str()), results.len())
            }
            Payload::Skipped { child, action } => {
                format!("{} of {} skipped: it does not run here", printable(action), printable(child.as_str()))
            }
            Payload::Mark(name) => format!("mark {}", printable(name)),
            Payload::Panicked(message) => format!("panicked: {}", printable(message)),
        }
    }

    /// A JSON object for programs, with stable names: `id`, `at_us`, `node` and `cause` (null if
    /// there is none), `event` (of [`EVENT_KINDS`]), and what that kind has.
    #[must_use]
    pub fn json(&self, event: &Event) -> Value {
        let mut object = Map::new();
        object.insert("id".to_owned(), event.id.into());
        object.insert("at_us".to_owned(), event.at.0.into());
        object.insert("node".to_owned(), self.node(event.node).into());
        object.insert("cause".to_owned(), (event.cause != 0).then_some(event.cause).into());
        object.insert("event".to_owned(), kind_of(event).into());
        if let Value::Object(fields) = self.fields(&event.payload) {
            object.extend(fields);
        }
        Value::Object(object)
    }

    fn fields(&self, payload: &Payload) -> Value {
        let kind = |kind: &KindIx| self.kind(*kind);
        let node = |node: &NodeIx| self.node(*node);
        match payload {
            Payload::Step { index, healing, action } => json!({ "step": index, "healing": healing, "action": action }),
            Payload::Kind { kind, name } => json!({ "number": kind, "kind": name }),
            Payload::Booted { incarnation, .. } => json!({ "incarnation": incarnation }),
            Payload::Stopped(reason) => match reason {
                StopReason::Crash => json!({ "reason": "crash" }),
                StopReason::Leave => json!({ "reason": "leave" }),
            },
            Payload::Paused | Payload::Resumed => Value::Null,
            Payload::PeerUp { peer, incarnation } => json!({ "peer": node(peer), "incarnation": incarnation }),
            Payload::PeerDown { peer, reason } => json!({ "peer": node(peer), "reason": down(*reason) }),
            Payload::Sent { to, kind: k, channel, number, bytes, hops, due } => json!({
                "to": node(to), "kind": kind(k), "number": number, "channel": channel, "bytes": bytes, "hops": hops,
                "due_us": due.map(|due| due.0),
            }),
            Payload::Duplicated { to, kind: k, number, due } => {
                json!({ "to": node(to), "kind": kind(k), "number": number, "due_us": due.0 })
            }
            Payload::Delivered { from, kind: k, number } => {
                json!({ "from": node(from), "kind": kind(k), "number": number })
            }
            Payload::Dropped { from, kind: k, number, reason } => {
                json!({ "from": node(from), "kind": kind(k), "number": number, "reason": reason.as_str() })
            }
            Payload::Timer(key) => json!({ "timer": timer(*key) }),
            Payload::Row { child, before, after } => {
                json!({ "child": child, "before": before.as_ref().map(row_json), "after": after.as_ref().map(row_json) })
            }
            Payload::View(nodes) => json!({ "view": nodes }),
            Payload::ChildStarted { child, pid, metadata } => json!({ "child": child, "pid": pid, "metadata": metadata }),
            Payload::ChildStopped { child, pid } => json!({ "child": child, "pid": pid }),
            Payload::Fact(fact) => json!({
                "child": fact.child, "owner": fact.owner, "incarnation": fact.incarnation, "seq": fact.seq,
                "change": change_name(&fact.change), "pid": change_pid(&fact.change),
            }),
            Payload::Answered { by, results } => {
                let result = |(child, outcome): &(_, Result<_, String>)| match outcome {
                    Ok(pid) => json!({ "child": child, "pid": pid }),
                    Err(error) => json!({ "child": child, "error": error }),
                };
                json!({ "by": by, "results": results.iter().map(result).collect::<Vec<_>>() })
            }
            Payload::Skipped { child, action } => json!({ "child": child, "action": action }),
            Payload::Mark(name) => json!({ "mark": name }),
            Payload::Panicked(message) => json!({ "message": message }),
        }
    }
}

/// Which events to show; a list that is empty allows everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Events on these nodes.
    pub nodes: Vec<String>,
    /// Events that concern these children: rows, starts and stops, facts, answers.
    pub children: Vec<String>,
    /// Events of these kinds: of [`EVENT_KINDS`], or kinds of messages.
    pub kinds: Vec<String>,
    /// Events at this instant or later.
    pub from: Option<Time>,
    /// Events at this instant or earlier.
    pub to: Option<Time>,
}

impl Filter {
    /// Whether the event is to be shown.
    #[must_use]
    pub fn allows(&self, event: &Event, names: &Names) -> bool {
        let is_listed = |list: &[String], name: &str| list.iter().any(|listed| listed == name);
        let is_kind = |list: &[String]| {
            let message = message_kind(event).and_then(|kind| names.kind(kind));
            is_listed(list, kind_of(event)) || message.is_some_and(|kind| is_listed(list, kind))
        };
        self.from.is_none_or(|from| from <= event.at)
            && self.to.is_none_or(|to| event.at <= to)
            && (self.nodes.is_empty() || names.node(event.node).is_some_and(|node| is_listed(&self.nodes, node)))
            && (self.kinds.is_empty() || is_kind(&self.kinds))
            && (self.children.is_empty() || concerns(event, &self.children))
    }

    /// Whether no later event can be shown.
    #[must_use]
    pub fn is_over(&self, event: &Event) -> bool {
        self.to.is_some_and(|to| to < event.at)
    }
}

fn concerns(event: &Event, children: &[String]) -> bool {
    let is_listed = |child: &hublab_strategies::ChildId| children.iter().any(|listed| listed == child.as_str());
    match &event.payload {
        Payload::Row { child, .. }
        | Payload::ChildStarted { child, .. }
        | Payload::ChildStopped { child, .. }
        | Payload::Skipped { child, .. } => is_listed(child),
        Payload::Fact(fact) => is_listed(&fact.child),
        Payload::Answered { results, .. } => results.iter().any(|(child, _)| is_listed(child)),
        Payload::Step { .. }
        | Payload::Kind { .. }
        | Payload::Booted { .. }
        | Payload::Stopped(_)
        | Payload::Paused
        | Payload::Resumed
        | Payload::PeerUp { .. }
        | Payload::PeerDown { .. }
        | Payload::Sent { .. }
        | Payload::Duplicated { .. }
        | Payload::Delivered { .. }
        | Payload::Dropped { .. }
        | Payload::Timer(_)
        | Payload::View(_)
        | Payload::Mark(_)
        | Payload::Panicked(_) => false,
    }
}

/// A text as it may stand in a line: control characters are escaped, so that no name or message
/// can break the line or move a terminal's cursor.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        let escape = |c: char| if c.is_control() { c.escape_default().collect() } else { String::from(c) };
        Cow::Owned(text.chars().map(escape).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// A row in words: `n1=p1, n2=p2 {team=blue}`; `nothing` if there is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowText<'a>(pub(crate) Option<&'a Row>);

impl fmt::Display for RowText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(row) = self.0 else { return f.write_str("nothing") };
        if row.is_empty() {
            f.write_str("no entries")?;
        }
        for (place, entry) in row.entries.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            let pid = entry.pid.as_ref().map_or(Cow::Borrowed("nil"), |pid| printable(pid.as_str()));
            write!(f, "{comma}{}={pid}", printable(entry.node.as_str()))?;
        }
        f.write_str(&metadata_text(&row.metadata))?;
        row.expires_at.map_or(Ok(()), |at| write!(f, ", expires {at}"))
    }
}

fn row_json(row: &Row) -> Value {
    json!({
        "nodes": row.entries.iter().map(|entry| json!({ "node": entry.node, "pid": entry.pid })).collect::<Vec<_>>(),
        "metadata": row.metadata,
        "expires_us": row.expires_at.map(|at| at.0),
    })
}

fn metadata_text(metadata: &Metadata) -> String {
    if metadata.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> =
        metadata.iter().map(|(key, value)| format!("{}={}", printable(key), printable(value))).collect();
    format!(" {{{}}}", pairs.join(", "))
}

fn words_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(printable).collect::<Vec<_>>().join(" ")
}

fn down(reason: DownReason) -> &'static str {
    match reason {
        DownReason::Closed => "closed",
        DownReason::Silent => "silent",
        DownReason::Restarted => "restarted",
        DownReason::Left => "left",
    }
}

fn timer(key: TimerKey) -> String {
    match key {
        TimerKey::Discovery => "discovery".to_owned(),
        TimerKey::Sync => "sync".to_owned(),
        TimerKey::Janitor => "janitor".to_owned(),
        TimerKey::Debounce => "debounce".to_owned(),
        TimerKey::Membership(number) => format!("membership.{number}"),
        TimerKey::Strategy(number) => format!("strategy.{number}"),
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
        Change::Started { pid, .. } | Change::Restarted { pid } | Change::Stopped { pid } => pid.as_str(),
    }
}

fn change(change: &Change) -> String {
    format!("{} as {}", change_name(change), printable(change_pid(change)))
}
