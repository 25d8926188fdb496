//! What `ctl` and a node say to each other: JSON objects, one per line. A client sends a request and
//! reads replies up to one that is last; then it may send another.

use std::collections::BTreeMap;

use hublab_strategies::live::{ChildOutcome, HubEvent, HubStats, LeaveReport};
use hublab_strategies::{NodeId, Row};
use serde::{Deserialize, Serialize};

/// The longest line of a request, in bytes. A million children fit.
pub(in crate::cli) const REQUEST_BYTES_MAX: usize = 64 << 20;

/// Text by text.
pub(in crate::cli) type Table = BTreeMap<Box<str>, Box<str>>;

/// What a node is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::cli) enum Request {
    Start {
        children: Vec<String>,
        kind: String,
        #[serde(default)]
        args: Table,
        #[serde(default)]
        metadata: Table,
        /// Empty: the node itself.
        #[serde(default)]
        on: Vec<String>,
    },
    Stop {
        children: Vec<String>,
        /// Empty: wherever they run.
        #[serde(default)]
        on: Vec<String>,
    },
    Lookup {
        child: String,
    },
    Registry {},
    Members {},
    Stats {},
    Watch {
        #[serde(default)]
        child: Option<String>,
    },
    ReloadSecrets {},
    Leave {},
}

impl Request {
    /// True if it changes anything.
    pub(in crate::cli) fn changes(&self) -> bool {
        match self {
            Self::Start { .. } | Self::Stop { .. } | Self::ReloadSecrets {} | Self::Leave {} => {
                true
            }
            Self::Lookup { .. }
            | Self::Registry {}
            | Self::Members {}
            | Self::Stats {}
            | Self::Watch { .. } => false,
        }
    }

    /// What the log says of it.
    pub(in crate::cli) fn audited(&self) -> String {
        match self {
            Self::Start { children, kind, .. } => {
                format!("start {} children of kind {kind:?}", children.len())
            }
            Self::Stop { children, .. } => format!("stop {} children", children.len()),
            Self::ReloadSecrets {} => "reload secrets".to_owned(),
            Self::Leave {} => "leave".to_owned(),
            Self::Lookup { .. }
            | Self::Registry {}
            | Self::Members {}
            | Self::Stats {}
            | Self::Watch { .. } => "question".to_owned(),
        }
    }
}

/// What a node answers: any number of items, then `end` or `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli) enum Reply {
    Item(Box<Item>),
    End {},
    Error(String),
}

/// One result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::cli) enum Item {
    Outcome(Outcome),
    Child(Child),
    Members {
        node: String,
        members: Vec<String>,
        connected: Vec<String>,
    },
    Farewell {
        peers: Vec<String>,
        flushed: bool,
        children: usize,
    },
    /// How many secrets a node has after it read them again.
    Secrets {
        secrets: usize,
    },
    Event(Event),
    /// Counters: an object, as it is printed.
    Stats(serde_json::Map<String, serde_json::Value>),
}

/// What became of one child of a start or stop request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct Outcome {
    pub(in crate::cli) child: String,
    pub(in crate::cli) node: String,
    /// The pid that was started or stopped, or null.
    pub(in crate::cli) pid: Option<String>,
    /// Why there is none, or null.
    pub(in crate::cli) error: Option<String>,
}

impl From<ChildOutcome> for Outcome {
    fn from(outcome: ChildOutcome) -> Self {
        let (pid, error) = match outcome.outcome {
            Ok(pid) => (Some(pid.to_string()), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            child: outcome.child.to_string(),
            node: outcome.node.to_string(),
            pid,
            error,
        }
    }
}

/// One row of the registry. A child that is not there has no entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct Child {
    pub(in crate::cli) child: String,
    pub(in crate::cli) kind: String,
    pub(in crate::cli) args: Table,
    pub(in crate::cli) metadata: Table,
    /// Where it runs, in the order of the row.
    pub(in crate::cli) entries: Vec<Place>,
}

/// A node that runs a child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Place {
    pub(in crate::cli) node: String,
    pub(in crate::cli) pid: Option<String>,
}

impl From<&Row> for Child {
    fn from(row: &Row) -> Self {
        let place = |entry: &hublab_strategies::Entry| Place {
            node: entry.node.to_string(),
            pid: entry.pid.as_ref().map(ToString::to_string),
        };
        Self {
            child: row.spec.id().to_string(),
            kind: row.spec.kind().to_owned(),
            args: row.spec.args().clone(),
            metadata: row
                .metadata
                .iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
            entries: row.entries.iter().map(place).collect(),
        }
    }
}

impl Child {
    /// A child that is not in the registry.
    pub(in crate::cli) fn absent(child: String) -> Self {
        Self {
            child,
            kind: String::new(),
            args: Table::new(),
            metadata: Table::new(),
            entries: Vec::new(),
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(in crate::cli) enum Event {
    Row {
        child: String,
        before: Option<Child>,
        after: Option<Child>,
    },
    Members {
        members: Vec<String>,
    },
    PeerUp {
        node: String,
        incarnation: u64,
    },
    PeerDown {
        node: String,
        reason: String,
    },
    ChildStarted {
        child: String,
        pid: String,
    },
    ChildCrashed {
        child: String,
        pid: String,
        reason: String,
        restarts_in_us: u64,
    },
    ChildRestarted {
        child: String,
        pid: String,
    },
    ChildEnded {
        child: String,
        pid: String,
        reason: String,
    },
    Evicted {
        incarnation: u64,
    },
    Missed {
        events: u64,
    },
    /// Something that this version of the command does not know.
    Other {},
}

impl From<HubEvent> for Event {
    fn from(event: HubEvent) -> Self {
        match event {
            HubEvent::Row {
                child,
                before,
                after,
            } => Self::Row {
                child: child.to_string(),
                before: before.as_deref().map(Child::from),
                after: after.as_deref().map(Child::from),
            },
            HubEvent::Members(nodes) => Self::Members {
                members: names(&nodes),
            },
            HubEvent::PeerUp { node, incarnation } => Self::PeerUp {
                node: node.to_string(),
                incarnation,
            },
            HubEvent::PeerDown { node, reason } => Self::PeerDown {
                node: node.to_string(),
                reason: format!("{reason:?}").to_lowercase(),
            },
            HubEvent::ChildStarted { child, pid, .. } => Self::ChildStarted {
                child: child.to_string(),
                pid: pid.to_string(),
            },
            HubEvent::ChildCrashed {
                child,
                pid,
                reason,
                restarts_in,
            } => Self::ChildCrashed {
                child: child.to_string(),
                pid: pid.to_string(),
                reason: reason.to_string(),
                restarts_in_us: hublab_strategies::time::micros(restarts_in),
            },
            HubEvent::ChildRestarted { child, pid } => Self::ChildRestarted {
                child: child.to_string(),
                pid: pid.to_string(),
            },
            HubEvent::ChildEnded { child, pid, reason } => Self::ChildEnded {
                child: child.to_string(),
                pid: pid.to_string(),
                reason: reason.to_string(),
            },
            HubEvent::Evicted { incarnation } => Self::Evicted { incarnation },
            HubEvent::Missed(events) => Self::Missed { events },
            _ => Self::Other {},
        }
    }
}

/// The names of nodes.
pub(in crate::cli) fn names(nodes: &[NodeId]) -> Vec<String> {
    nodes.iter().map(ToString::to_string).collect()
}

impl From<LeaveReport> for Item {
    fn from(report: LeaveReport) -> Self {
        Self::Farewell {
            peers: report
                .peers
                .iter()
                .map(|peer| peer.node.to_string())
                .collect(),
            flushed: report.flushed(),
            children: report.children,
        }
    }
}

impl From<HubStats> for Item {
    fn from(stats: HubStats) -> Self {
        let messages: serde_json::Map<String, serde_json::Value> = stats
            .messages
            .iter()
            .map(|(kind, traffic)| {
                let value = serde_json::json!({
                    "sent": traffic.sent,
                    "sent_bytes": traffic.sent_bytes,
                    "delivered": traffic.delivered,
                    "delivered_bytes": traffic.delivered_bytes,
                });
                ((*kind).to_owned(), value)
            })
            .collect();
        let net = stats.transport;
        let refusals: serde_json::Map<String, serde_json::Value> = net
            .refusals
            .iter()
            .map(|(reason, count)| (reason.to_string(), (*count).into()))
            .collect();
        let value = serde_json::json!({
            "rows": stats.rows,
            "tombstones": stats.sizes.tombstones,
            "refs": stats.sizes.refs,
            "queue": stats.sizes.queue,
            "children": stats.children,
            "restarts": stats.restarts,
            "requests": stats.requests,
            "messages": messages,
            "unsent": stats.unsent,
            "malformed": stats.malformed,
            "reconnects": stats.reconnects,
            "peers": net.peers,
            "connections": net.connections,
            "dials": net.dials,
            "dials_failed": net.dials_failed,
            "wire_bytes_sent": net.wire_bytes_sent,
            "wire_bytes_received": net.wire_bytes_received,
            "queued_messages": net.queued_messages,
            "queued_bytes": net.queued_bytes,
            "addresses": net.addresses,
            "refusals": refusals,
        });
        Self::Stats(value.as_object().cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_reply_is_read_back_as_what_it_was() {
        let child = Child::absent("a".into());
        let items = [
            Item::Outcome(Outcome {
                child: "a".into(),
                node: "n".into(),
                pid: None,
                error: Some("no".into()),
            }),
            Item::Child(child.clone()),
            Item::Members {
                node: "n".into(),
                members: vec!["n".into()],
                connected: Vec::new(),
            },
            Item::Farewell {
                peers: Vec::new(),
                flushed: true,
                children: 3,
            },
            Item::Event(Event::Row {
                child: "a".into(),
                before: None,
                after: Some(child),
            }),
            Item::Event(Event::Members {
                members: Vec::new(),
            }),
            Item::Secrets { secrets: 2 },
            Item::Event(Event::Missed { events: 7 }),
            Item::from(HubStats::default()),
        ];
        for item in items {
            let line =
                serde_json::to_string(&Reply::Item(Box::new(item.clone()))).expect("it is JSON");
            let read: Reply = serde_json::from_str(&line).expect(&line);
            assert_eq!(read, Reply::Item(Box::new(item)));
        }
    }

    #[test]
    fn a_request_needs_only_what_has_no_default() {
        let request: Request =
            serde_json::from_str(r#"{"command":"start","children":["a"],"kind":"sleep"}"#)
                .expect("good");
        assert!(matches!(request, Request::Start { on, .. } if on.is_empty()));
        assert!(serde_json::from_str::<Request>(r#"{"command":"registry"}"#).is_ok());
        assert!(serde_json::from_str::<Request>(r#"{"command":"fly"}"#).is_err());
        assert!(serde_json::from_str::<Request>(r#"{"command":"stats","more":1}"#).is_err());
    }
}
