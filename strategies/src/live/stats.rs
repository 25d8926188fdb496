//! Counters of a running hub.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use super::Counters;
use super::children::StopReason;
use crate::hub::Sizes;
use crate::name::{ChildId, NameHasher};

/// Messages of one kind, and their bytes in the wire encoding, without framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Messages sent, counted once per recipient, those to the node itself and those that were lost
    /// on the way out included.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Messages handled.
    pub delivered: u64,
    /// Their bytes; nothing for those from the node itself.
    pub delivered_bytes: u64,
}

/// A snapshot of a hub's counters. All of them count from the start of the hub.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HubStats {
    /// Rows that a look-up finds.
    pub rows: usize,
    /// What the hub holds.
    pub sizes: Sizes,
    /// Children of this node whose processes run.
    pub children: usize,
    /// Processes that failed or panicked and got a successor.
    pub restarts: u64,
    /// Start and stop requests that wait for answers.
    pub requests: usize,
    /// Messages by kind.
    pub messages: BTreeMap<&'static str, Traffic>,
    /// Messages that could not be sent: the peer was not connected, or its queue was full.
    pub unsent: u64,
    /// Payloads from peers that were no message; they were ignored.
    pub malformed: u64,
    /// Peers that connected again after their connection was gone.
    pub reconnects: u64,
    /// The connections.
    pub transport: Counters,
}

impl HubStats {
    /// The counters in the `OpenMetrics` text format, for a scrape by a monitoring system.
    #[must_use]
    pub fn to_open_metrics(&self) -> String {
        let mut out = String::new();
        let net = &self.transport;
        let gauges = [
            (
                "hublab_rows",
                "Rows that a look-up finds.",
                self.rows as u64,
            ),
            (
                "hublab_tombstones",
                "Rows of stopped children.",
                self.sizes.tombstones as u64,
            ),
            (
                "hublab_children",
                "Children of this node.",
                self.children as u64,
            ),
            (
                "hublab_requests",
                "Requests that wait for answers.",
                self.requests as u64,
            ),
            ("hublab_peers", "Peers connected.", net.peers),
            (
                "hublab_queued_messages",
                "Messages queued for peers.",
                net.queued_messages,
            ),
            (
                "hublab_queued_bytes",
                "Bytes queued for peers.",
                net.queued_bytes,
            ),
            (
                "hublab_handshakes",
                "Connections that have not proved the secret.",
                net.handshakes,
            ),
            ("hublab_addresses", "Addresses known.", net.addresses),
        ];
        for (name, help, value) in gauges {
            family(&mut out, name, "gauge", help);
            sample(&mut out, name, "", value);
        }
        let counters = [
            (
                "hublab_restarts",
                "Processes that got a successor.",
                self.restarts,
            ),
            (
                "hublab_unsent",
                "Messages that could not be sent.",
                self.unsent,
            ),
            (
                "hublab_malformed",
                "Payloads that were no message.",
                self.malformed,
            ),
            (
                "hublab_reconnects",
                "Peers that connected again.",
                self.reconnects,
            ),
            (
                "hublab_connections",
                "Connections agreed on.",
                net.connections,
            ),
            ("hublab_dials", "Dials begun.", net.dials),
            (
                "hublab_dials_failed",
                "Dials that led nowhere.",
                net.dials_failed,
            ),
            (
                "hublab_wire_sent_bytes",
                "Bytes written to sockets.",
                net.wire_bytes_sent,
            ),
            (
                "hublab_wire_received_bytes",
                "Bytes read from sockets.",
                net.wire_bytes_received,
            ),
        ];
        for (name, help, value) in counters {
            family(&mut out, name, "counter", help);
            sample(&mut out, &format!("{name}_total"), "", value);
        }
        let by_kind: [(&str, &str, Field); 4] = [
            ("hublab_messages_sent", "Messages sent.", |it| it.sent),
            ("hublab_messages_sent_bytes", "Their bytes.", |it| {
                it.sent_bytes
            }),
            ("hublab_messages_delivered", "Messages handled.", |it| {
                it.delivered
            }),
            ("hublab_messages_delivered_bytes", "Their bytes.", |it| {
                it.delivered_bytes
            }),
        ];
        for (name, help, value) in by_kind {
            family(&mut out, name, "counter", help);
            for (kind, traffic) in &self.messages {
                let label = label("kind", kind);
                sample(&mut out, &format!("{name}_total"), &label, value(traffic));
            }
        }
        family(
            &mut out,
            "hublab_refusals",
            "counter",
            "Connections refused or given up.",
        );
        for (reason, count) in &net.refusals {
            let label = label("reason", &reason.to_string());
            sample(&mut out, "hublab_refusals_total", &label, *count);
        }
        out.push_str("# EOF\n");
        out
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    out.push_str(&format!("# TYPE {name} {kind}\n# HELP {name} {help}\n"));
}

fn sample(out: &mut String, name: &str, label: &str, value: u64) {
    out.push_str(&format!("{name}{label} {value}\n"));
}

/// A label with its value escaped.
fn label(name: &str, value: &str) -> String {
    let value = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("{{{name}=\"{value}\"}}")
}

/// What the hub's task counts, where others can read it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sizes: Sizes,
    pub(super) children: usize,
    pub(super) restarts: u64,
    pub(super) requests: usize,
    pub(super) messages: BTreeMap<&'static str, Traffic>,
    pub(super) unsent: u64,
    pub(super) malformed: u64,
    pub(super) reconnects: u64,
}

/// How many children's ends are remembered.
const ENDS: usize = 1_024;

/// Why the last children that ended did so.
#[derive(Debug, Default)]
pub(super) struct Ends(Mutex<EndsInner>);

#[derive(Debug, Default)]
struct EndsInner {
    order: VecDeque<ChildId>,
    /// Only ever asked by child.
    reasons: HashMap<ChildId, StopReason, NameHasher>,
}

impl Ends {
    fn lock(&self) -> MutexGuard<'_, EndsInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, child: &ChildId) -> Option<StopReason> {
        self.lock().reasons.get(child).cloned()
    }

    pub(super) fn note(&self, child: &ChildId, reason: StopReason) {
        let mut ends = self.lock();
        if ends.reasons.insert(child.clone(), reason).is_none() {
            ends.order.push_back(child.clone());
        }
        if ends.order.len() > ENDS
            && let Some(oldest) = ends.order.pop_front()
        {
            ends.reasons.remove(&oldest);
        }
    }
}

/// Picks one of the counters of a kind of message.
type Field = fn(&Traffic) -> u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_open_metrics_text() {
        let mut stats = HubStats {
            restarts: 3,
            ..HubStats::default()
        };
        let traffic = Traffic {
            sent: 2,
            ..Traffic::default()
        };
        stats.messages.insert("a\"b\\c\n", traffic);
        let text = stats.to_open_metrics();
        assert!(text.ends_with("# EOF\n"));
        assert!(text.contains("# TYPE hublab_restarts counter\n"));
        assert!(text.contains("\nhublab_restarts_total 3\n"));
        assert!(
            text.contains("hublab_messages_sent_total{kind=\"a\\\"b\\\\c\\n\"} 2\n"),
            "{text}"
        );
        assert!(!text.contains("\n\n"));
    }

    #[test]
    fn the_last_ends_are_remembered_and_no_more() {
        let ends = Ends::default();
        for number in 0..2_000 {
            ends.note(&format!("c{number}").into(), StopReason::Finished);
        }
        ends.note(&"c1999".into(), StopReason::Stopped);
        assert_eq!(ends.get(&"c0".into()), None);
        assert_eq!(ends.get(&"c1000".into()), Some(StopReason::Finished));
        assert_eq!(ends.get(&"c1999".into()), Some(StopReason::Stopped));
        assert_eq!(ends.lock().order.len(), ENDS);
    }
}
