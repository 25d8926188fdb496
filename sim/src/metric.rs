//! The metrics a run ends with.

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
