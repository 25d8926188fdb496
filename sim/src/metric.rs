//! The metrics a run ends with.

use crate::run::report::Report;

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in scenario files.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it counts, in one line.
    pub summary: &'static str,
}

/// Every metric.
pub const LIST: &[Metric] = &[
    Metric {
        name: "messages_sent",
        unit: "messages",
        summary: "sent, once per recipient",
    },
    Metric {
        name: "messages_delivered",
        unit: "messages",
        summary: "handled by their receiver, copies too",
    },
    Metric {
        name: "messages_dropped",
        unit: "messages",
        summary: "lost on the way",
    },
    Metric {
        name: "messages_duplicated",
        unit: "messages",
        summary: "copies that the network made",
    },
    Metric {
        name: "bytes_sent",
        unit: "bytes",
        summary: "sent, in the wire encoding",
    },
    Metric {
        name: "events",
        unit: "events",
        summary: "in the trace",
    },
    Metric {
        name: "converged_us",
        unit: "us",
        summary: "the instant since which views have equalled the truth",
    },
    Metric {
        name: "rows",
        unit: "rows",
        summary: "at the end, over all running nodes",
    },
];

/// Every metric, by the name that scenario files use. Those of messages and bytes exist for all
/// kinds together, and with `.KIND` behind the name for one.
pub const NAMES: &[&str] = &[
    "messages_sent",
    "messages_delivered",
    "messages_dropped",
    "messages_duplicated",
    "bytes_sent",
    "events",
    "converged_us",
    "rows",
];

/// Whether a metric exists per kind of message.
#[must_use]
pub fn is_per_kind(name: &str) -> bool {
    name.starts_with("messages_") || name == "bytes_sent"
}

/// The value of a metric in a finished run, by its name, with or without `.KIND`; `None` if the
/// run has no such value: an unknown name, a kind that was never sent, views that differ.
#[must_use]
pub fn value(report: &Report, name: &str) -> Option<u64> {
    let messages = &report.messages;
    let kind = |kind| messages.by_kind.get(kind);
    match name.split_once('.') {
        None => match name {
            "messages_sent" => Some(messages.sent),
            "messages_delivered" => Some(messages.delivered),
            "messages_dropped" => Some(messages.dropped),
            "messages_duplicated" => Some(messages.duplicated),
            "bytes_sent" => Some(messages.bytes),
            "events" => Some(report.events),
            "converged_us" => report.converged_us,
            "rows" => Some(report.rows),
            _ => None,
        },
        Some(("messages_sent", name)) => kind(name).map(|counts| counts.sent),
        Some(("messages_delivered", name)) => kind(name).map(|counts| counts.delivered),
        Some(("messages_dropped", name)) => kind(name).map(|counts| counts.dropped),
        Some(("messages_duplicated", name)) => kind(name).map(|counts| counts.duplicated),
        Some(("bytes_sent", name)) => kind(name).map(|counts| counts.bytes),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::run::{Options, run};
    use crate::scenario::Scenario;

    #[test]
    fn the_names_are_those_of_the_list() {
        assert_eq!(
            NAMES,
            LIST.iter().map(|metric| metric.name).collect::<Vec<_>>()
        );
    }

    #[test]
    fn every_metric_has_a_value_in_a_run_that_converges_and_kinds_sum_up_to_the_whole() {
        let file = "schema = 1\n[cluster]\nnodes = 3\n[[step]]\nat = \"1s\"\nstart_children = { on = \"n1\", ids = [\"a\"] }\n";
        let catalog = Catalog::default();
        let scenario = Scenario::read("metrics.toml", file.as_bytes(), &catalog).unwrap();
        let report = run(&scenario, "pubsub", 1, &catalog, Options::default())
            .unwrap()
            .report;
        for name in NAMES {
            let whole = value(&report, name).unwrap_or_else(|| panic!("{name} has no value"));
            if is_per_kind(name) {
                let kinds = report.messages.by_kind.keys();
                let parts = kinds.filter_map(|kind| value(&report, &format!("{name}.{kind}")));
                assert_eq!(whole, parts.sum::<u64>(), "{name}");
            }
        }
        assert_eq!(value(&report, "messages_sent.no.such.kind"), None);
        assert_eq!(value(&report, "speed"), None);
    }
}
