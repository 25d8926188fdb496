//! `[[expect]]`: its claims.

use super::{Shape, Value, default, optional, required, table};

/// `[[expect]]`.
pub static EXPECT: Shape = Shape {
    name: "an expectation",
    keys: &[
        optional(
            "at",
            Value::Duration,
            "When a `registry` or `entry` claim is judged.",
        ),
        optional(
            "converged",
            Value::Table(&CONVERGED),
            "Every view becomes the truth it can reach, and stays so.",
        ),
        optional(
            "registry",
            Value::Table(&REGISTRY),
            "Which children a registry has and lacks at an instant.",
        ),
        optional(
            "entry",
            Value::Table(&ENTRY),
            "What the row of a child says at an instant.",
        ),
        optional("always", Value::Oracle, "That oracle holds."),
        optional(
            "violates",
            Value::Oracle,
            "That oracle is violated: a known anomaly.",
        ),
        optional("metric", Value::Table(&METRIC), "A bound on a metric."),
        optional(
            "strategy",
            Value::Strategy,
            "Judge it for this strategy only.",
        ),
    ],
    choices: &[
        &["converged"],
        &["registry", "at"],
        &["entry", "at"],
        &["always"],
        &["violates"],
        &["metric"],
    ],
};

/// `converged`.
pub static CONVERGED: Shape = table(
    "`converged`",
    &[
        required(
            "within",
            Value::Duration,
            "How long it may take from `after` on.",
        ),
        default(
            "after",
            Value::DurationOr(&["last_step", "heal"]),
            "\"last_step\"",
            "From when.",
        ),
        default("nodes", Value::Nodes, "\"all\"", "The observers."),
    ],
);

/// `registry`.
pub static REGISTRY: Shape = table(
    "`registry`",
    &[
        required("on", Value::Node, "The node."),
        optional("has", Value::Names, "Children with a row that has entries."),
        optional("lacks", Value::Names, "Children without."),
    ],
);

/// `entry`.
pub static ENTRY: Shape = table(
    "`entry`",
    &[
        required("on", Value::Node, "The node."),
        required("child", Value::Name, "The child."),
        optional("nodes", Value::Nodes, "Exactly these nodes, as a set."),
        optional("pids", Value::NodeTexts, "The pids of these nodes."),
        optional("metadata", Value::Texts, "Exactly this metadata."),
        optional("first", Value::Node, "The node that stands first."),
    ],
);

/// `metric`.
pub static METRIC: Shape = table(
    "`metric`",
    &[
        required(
            "name",
            Value::Metric,
            "The metric; those of messages and bytes also with `.KIND`.",
        ),
        optional("min", Value::Integer(0, i64::MAX), "The least allowed."),
        optional("max", Value::Integer(0, i64::MAX), "The most allowed."),
    ],
);
