//! `[network]`, links and latency laws.

use super::{Shape, Value, default, optional, required, table};

/// `[network]`.
pub static NETWORK: Shape = table(
    "[network]",
    &[
        default(
            "latency",
            Value::Table(&LATENCY),
            "{ uniform = [\"1ms\", \"10ms\"] }",
            "The latency law.",
        ),
        default(
            "loss",
            Value::Probability,
            "0.0",
            "Probability of loss per message.",
        ),
        default(
            "duplicate",
            Value::Probability,
            "0.0",
            "Probability of duplication per message.",
        ),
        default(
            "order",
            Value::Word(&["fifo", "any"]),
            "\"fifo\"",
            "Whether a link keeps the order of each channel.",
        ),
        default(
            "send_gap",
            Value::Duration,
            "\"0us\"",
            "Time a sender is busy per message.",
        ),
        default(
            "bytes_per_second",
            Value::Integer(0, i64::MAX),
            "0",
            "Bandwidth of each directed link; 0 is unlimited.",
        ),
        default(
            "service_time",
            Value::Duration,
            "\"0us\"",
            "Time a receiver is busy per message.",
        ),
        optional(
            "link",
            Value::Tables(&LINK),
            "Overrides for some directed pairs; later entries win.",
        ),
    ],
);

/// `[[network.link]]` and the `link` step.
pub static LINK: Shape = table(
    "a link",
    &[
        required("from", Value::Nodes, "The senders."),
        required("to", Value::Nodes, "The receivers."),
        optional("latency", Value::Table(&LATENCY), "The latency law."),
        optional(
            "loss",
            Value::Probability,
            "Probability of loss per message.",
        ),
        optional(
            "duplicate",
            Value::Probability,
            "Probability of duplication per message.",
        ),
        optional(
            "order",
            Value::Word(&["fifo", "any"]),
            "Whether the link keeps the order of each channel.",
        ),
        optional(
            "bytes_per_second",
            Value::Integer(0, i64::MAX),
            "Bandwidth; 0 is unlimited.",
        ),
    ],
);

/// `latency = { ... }`.
pub static LATENCY: Shape = Shape {
    name: "`latency`",
    keys: &[
        optional("constant", Value::Duration, "Always this."),
        optional(
            "uniform",
            Value::Durations,
            "Uniform between two durations, both included.",
        ),
        optional(
            "exponential",
            Value::Table(&EXPONENTIAL),
            "A least latency plus an exponential part.",
        ),
        optional("lognormal", Value::Table(&LOGNORMAL), "Log-normal."),
        optional(
            "bimodal",
            Value::Table(&BIMODAL),
            "Mostly fast, sometimes slow.",
        ),
    ],
    choices: &[
        &["constant"],
        &["uniform"],
        &["exponential"],
        &["lognormal"],
        &["bimodal"],
    ],
};

/// `exponential = { ... }`.
pub static EXPONENTIAL: Shape = table(
    "`exponential`",
    &[
        required("min", Value::Duration, "The least."),
        required(
            "mean",
            Value::Duration,
            "The mean of the whole, `min` included.",
        ),
    ],
);

/// `lognormal = { ... }`.
pub static LOGNORMAL: Shape = table(
    "`lognormal`",
    &[
        required(
            "median",
            Value::Duration,
            "Half of the messages take at most this.",
        ),
        required(
            "p99",
            Value::Duration,
            "99 of 100 messages take at most this.",
        ),
    ],
);

/// `bimodal = { ... }`.
pub static BIMODAL: Shape = table(
    "`bimodal`",
    &[
        required("fast", Value::Duration, "The usual latency."),
        required("slow", Value::Duration, "The other one."),
        required(
            "slow_share",
            Value::Probability,
            "The share of slow messages.",
        ),
    ],
);
