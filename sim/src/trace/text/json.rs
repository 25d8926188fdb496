//! Events as JSON objects for programs.

use hublab_strategies::{Contents, Row};
use serde_json::{Map, Value, json};

use super::{Names, change_name, change_pid, down, kind_of, timer};
use crate::model::NodeIx;
use crate::trace::event::{Event, KindIx, Payload, StopReason};

impl Names {
    /// A JSON object for programs, with stable names: `id`, `at_us`, `node` and `cause` (null if
    /// there is none), `event` (of [`EVENT_KINDS`](super::EVENT_KINDS)), and what that kind has.
    #[must_use]
    pub fn json(&self, event: &Event) -> Value {
        let mut object = Map::new();
        object.insert("id".to_owned(), event.id.into());
        object.insert("at_us".to_owned(), event.at.0.into());
        object.insert("node".to_owned(), self.node(event.node).into());
        object.insert(
            "cause".to_owned(),
            (event.cause != 0).then_some(event.cause).into(),
        );
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
            Payload::Step {
                index,
                healing,
                action,
            } => json!({ "step": index, "healing": healing, "action": action }),
            Payload::Kind { kind, name } => json!({ "number": kind, "kind": name }),
            Payload::Booted { incarnation, .. } => json!({ "incarnation": incarnation }),
            Payload::Stopped(reason) => match reason {
                StopReason::Crash => json!({ "reason": "crash" }),
                StopReason::Leave => json!({ "reason": "leave" }),
            },
            Payload::Paused | Payload::Resumed => Value::Null,
            Payload::PeerUp { peer, incarnation } => {
                json!({ "peer": node(peer), "incarnation": incarnation })
            }
            Payload::PeerDown { peer, reason } => {
                json!({ "peer": node(peer), "reason": down(*reason) })
            }
            Payload::Sent {
                to,
                kind: k,
                channel,
                number,
                bytes,
                hops,
                due,
                contents,
            } => json!({
                "to": node(to), "kind": kind(k), "number": number, "channel": channel, "bytes": bytes, "hops": hops,
                "due_us": due.map(|due| due.0),
                "entries": contents.as_ref().map(entries_json),
            }),
            Payload::Duplicated {
                to,
                kind: k,
                number,
                due,
            } => {
                json!({ "to": node(to), "kind": kind(k), "number": number, "due_us": due.0 })
            }
            Payload::Delivered {
                from,
                kind: k,
                number,
                contents,
            } => {
                json!({
                    "from": node(from), "kind": kind(k), "number": number,
                    "entries": contents.as_ref().map(entries_json),
                })
            }
            Payload::Dropped {
                from,
                kind: k,
                number,
                reason,
                contents,
            } => {
                json!({
                    "from": node(from), "kind": kind(k), "number": number, "reason": reason.as_str(),
                    "entries": contents.as_ref().map(entries_json),
                })
            }
            Payload::Timer(key) => json!({ "timer": timer(*key) }),
            Payload::Row {
                child,
                before,
                after,
            } => {
                json!({ "child": child, "before": before.as_deref().map(row_json), "after": after.as_deref().map(row_json) })
            }
            Payload::View(nodes) => json!({ "view": nodes }),
            Payload::ChildStarted {
                child,
                pid,
                metadata,
            } => json!({ "child": child, "pid": pid, "metadata": metadata }),
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
            Payload::Connected { peer } | Payload::Disconnected { peer } => {
                json!({ "peer": node(peer) })
            }
            Payload::Queued {
                from,
                kind: k,
                number,
                until,
            } => {
                json!({ "from": node(from), "kind": kind(k), "number": number, "until_us": until.0 })
            }
            Payload::Sizes(sizes) => json!(sizes),
            Payload::Injected { action } => json!({ "action": action }),
        }
    }
}

/// The lists of a message: `[{"node": .., "children": [..]}]`.
fn entries_json(contents: &Contents) -> Value {
    json!(contents.lists())
}

pub(crate) fn row_json(row: &Row) -> Value {
    let mut json = json!({
        "nodes": row.entries.iter().map(|entry| json!({ "node": entry.node, "pid": entry.pid })).collect::<Vec<_>>(),
        "metadata": row.metadata,
        "expires_us": row.expires_at.map(|at| at.0),
    });
    if !row.entry_metadata.is_empty() {
        json["entry_metadata"] = json!(row.entry_metadata);
    }
    json
}
