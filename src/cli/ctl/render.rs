//! The answers of a node as lines for people.

use serde_json::Value;

use crate::cli::node::protocol::{Child, Event, Item, Outcome, Place};
use crate::cli::render::style;

/// An answer in one line, or, for counters, several. Names, ids and pids come from other machines:
/// control characters in them are escaped.
pub(super) fn human(item: &Item) -> String {
    let escaped = serde_json::to_value(item).map(escaped);
    match escaped.and_then(serde_json::from_value) {
        Ok(item) => told(&item),
        // An item is read back as what it was: a test says so.
        Err(error) => error.to_string(),
    }
}

/// A value with the control characters of all its texts escaped.
fn escaped(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(escaped_text(&text)),
        Value::Array(values) => values.into_iter().map(escaped).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (escaped_text(&key), escaped(value)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

fn escaped_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

fn told(item: &Item) -> String {
    match item {
        Item::Outcome(Outcome {
            child,
            node,
            pid,
            error,
        }) => match (pid, error) {
            (_, Some(error)) => format!("{child}  {node}  {}", style::error(error)),
            (Some(pid), None) => format!("{child}  {node}  {pid}"),
            (None, None) => format!("{child}  {node}"),
        },
        Item::Child(row) => child(row),
        Item::Members {
            node,
            members,
            connected,
        } => {
            let line = |name: &String| {
                let here = connected.contains(name) || name == node;
                let state = if here { "connected" } else { "not connected" };
                let state = if name == node { "this node" } else { state };
                format!("{name}  {state}")
            };
            let strangers = connected.iter().filter(|name| !members.contains(name));
            let strangers = strangers.map(|name| format!("{name}  connected, not a member"));
            let lines: Vec<_> = members.iter().map(line).chain(strangers).collect();
            lines.join("\n")
        }
        Item::Farewell {
            peers,
            flushed,
            children,
        } => {
            let told = if *flushed {
                "told"
            } else {
                "could not tell all of"
            };
            format!(
                "left: {told} {} peers, stopped {children} children",
                peers.len()
            )
        }
        Item::Secrets { secrets } => format!("the node has {secrets} secrets now"),
        Item::Event(happened) => event(happened),
        Item::Stats(counters) => stats(counters),
    }
}

fn child(row: &Child) -> String {
    if row.entries.is_empty() {
        return format!("{}  nowhere", row.child);
    }
    let place = |Place { node, pid }: &Place| match pid {
        Some(pid) => format!("{node} {pid}"),
        None => format!("{node} (no pid)"),
    };
    let places: Vec<_> = row.entries.iter().map(place).collect();
    format!("{}  {}  {}", row.child, row.kind, places.join(", "))
}

fn event(event: &Event) -> String {
    match event {
        Event::Row {
            child: name, after, ..
        } => match after {
            Some(row) => format!("row  {}", child(row)),
            None => format!("row  {name}  nowhere"),
        },
        Event::Members { members } => format!("members  {}", members.join(" ")),
        Event::PeerUp { node, .. } => format!("up  {node}"),
        Event::PeerDown { node, reason } => format!("down  {node}  {reason}"),
        Event::ChildStarted { child, pid } => format!("started  {child}  {pid}"),
        Event::ChildCrashed {
            child,
            pid,
            reason,
            restarts_in_us,
        } => format!(
            "crashed  {child}  {pid}  {reason}; restarts in {} ms",
            restarts_in_us / 1_000
        ),
        Event::ChildRestarted { child, pid } => format!("restarted  {child}  {pid}"),
        Event::ChildEnded { child, pid, reason } => format!("ended  {child}  {pid}  {reason}"),
        Event::Evicted { incarnation } => {
            format!("evicted  boot {incarnation} of this name has taken the place of this node")
        }
        Event::Other {} => "something that this command does not know".to_owned(),
        Event::Missed { events } => format!("missed  {events} events: this reader is too slow"),
    }
}

fn stats(counters: &serde_json::Map<String, serde_json::Value>) -> String {
    let mut lines = Vec::new();
    for (name, value) in counters {
        match value.as_object() {
            Some(parts) => {
                let part = |(part, value): (&String, &serde_json::Value)| {
                    format!("{name} {part}  {value}")
                };
                lines.extend(parts.iter().map(part));
            }
            None => lines.push(format!("{name}  {value}")),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_names_do_not_reach_the_terminal() {
        let item = Item::Outcome(Outcome {
            child: "a\u{1b}[2J\nb".into(),
            node: "n\u{9b}m".into(),
            pid: Some("p\r".into()),
            error: None,
        });
        let line = human(&item);
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert_eq!(line, "a\\u{1b}[2J\\nb  n\\u{9b}m  p\\r");
    }
}
