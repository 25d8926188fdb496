//! `[[expect]]`: its claims.

use super::{Kind, Shape, optional, required, table};

/// `[[expect]]`.
pub static EXPECT: Shape = table(
    "an expectation",
    &[
        optional(
            "at",
            Kind::Duration,
            "When a `registry`, `entry` or `connected` claim is judged.",
        )
        .eg("\"30s\""),
        optional(
            "converged",
            Kind::Table(&CONVERGED),
            "Every view becomes the truth it can reach, and stays so.",
        )
        .eg("{ within = \"40s\", after = \"last_step\" }"),
        optional(
            "registry",
            Kind::Table(&REGISTRY),
            "Which children a registry has and lacks at an instant.",
        )
        .eg("{ on = \"n1\", has = [\"web-1..web-3\"], lacks = [\"web-9\"] }"),
        optional(
            "entry",
            Kind::Table(&ENTRY),
            "What the row of a child says at an instant.",
        )
        .eg("{ on = \"n1\", child = \"web-1\", nodes = [\"n1\"], first = \"n1\" }"),
        optional(
            "connected",
            Kind::Table(&CONNECTED),
            "Each pair of these nodes is connected at an instant.",
        )
        .eg("{ nodes = [\"n1..n3\"] }"),
        optional("always", Kind::Oracle, "That oracle holds."),
        optional(
            "violates",
            Kind::Oracle,
            "That oracle is violated: a known anomaly.",
        ),
        optional("metric", Kind::Table(&METRIC), "A bound on a metric.")
            .eg("{ name = \"messages_sent\", max = 5000 }"),
        optional(
            "strategy",
            Kind::Strategy,
            "Judge it for this strategy only.",
        ),
    ],
)
.choose(
    "claim",
    &[
        &["converged"],
        &["registry", "at"],
        &["entry", "at"],
        &["connected", "at"],
        &["always"],
        &["violates"],
        &["metric"],
    ],
);

/// `converged`.
pub static CONVERGED: Shape = table(
    "`converged`",
    &[
        required(
            "within",
            Kind::Duration,
            "How long it may take from `after` on.",
        ),
        optional(
            "after",
            Kind::DurationOr("start", &["last_step", "heal"]),
            "From when.",
        )
        .default("\"last_step\""),
        optional("nodes", Kind::Observers, "The observers.")
            .default("\"all\"")
            .eg("[\"n1..n3\"]"),
        optional(
            "whole",
            Kind::Bool,
            "Whether all pairs of running nodes must be connected, too.",
        )
        .default("false")
        .eg("true"),
    ],
);

/// `registry`.
pub static REGISTRY: Shape = table(
    "`registry`",
    &[
        required("on", Kind::Node, "The node."),
        optional(
            "has",
            Kind::Children,
            "Children with a row that has entries.",
        ),
        optional("lacks", Kind::Children, "Children without.").eg("[\"web-9\"]"),
    ],
)
.at_least_one(&["has", "lacks"]);

/// `entry`.
pub static ENTRY: Shape = table(
    "`entry`",
    &[
        required("on", Kind::Node, "The node."),
        required("child", Kind::Child, "The child."),
        optional("nodes", Kind::NodeNames, "Exactly these nodes, as a set."),
        optional("pids", Kind::NodeTexts, "The pids of these nodes."),
        optional("metadata", Kind::Texts, "Exactly this metadata."),
        optional("first", Kind::NodeName, "The node that stands first."),
    ],
);

/// `connected`.
pub static CONNECTED: Shape = table(
    "`connected`",
    &[optional(
        "nodes",
        Kind::Observers,
        "The nodes; `\"all\"`: those that run.",
    )
    .default("\"all\"")
    .eg("[\"n1..n3\"]")],
);

/// `metric`.
pub static METRIC: Shape = table(
    "`metric`",
    &[
        required(
            "name",
            Kind::Metric,
            "The metric; those of messages and bytes also with `.KIND`.",
        ),
        optional("min", Kind::Integer(0, i64::MAX), "The least allowed."),
        optional("max", Kind::Integer(0, i64::MAX), "The most allowed.").eg("5000"),
    ],
)
.ordered(&[("min", "max")])
.at_least_one(&["min", "max"]);
