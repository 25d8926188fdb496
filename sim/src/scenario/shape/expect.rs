//! `[[expect]]`: its claims.

use super::{Key, Kind, Shape, optional, required, table};

/// `[[expect]]`.
pub static EXPECT: Shape = table(
    "an expectation",
    &[
        optional(
            "at",
            Kind::Duration,
            "The instant at whose end a claim about a state is judged.",
        )
        .eg("\"30s\"")
        .may_be_absent(),
        optional(
            "during",
            Kind::Window,
            "Instead of `at`: at the end of every instant from the first to the last; the first one at which it fails is told.",
        )
        .may_be_absent(),
        optional(
            "by",
            Kind::Duration,
            "Instead of `at`: at the end of some instant up to this one.",
        )
        .eg("\"30s\"")
        .may_be_absent(),
        optional(
            "converged",
            Kind::Table(&CONVERGED),
            "Every view becomes the truth it can reach, and stays so.",
        )
        .eg("{ within = \"40s\", after = \"last_step\" }"),
        optional(
            "registry",
            Kind::Table(&REGISTRY),
            "Which children a registry has and lacks.",
        )
        .eg("{ on = \"n1\", has = [\"web-1..web-3\"], lacks = [\"web-9\"] }"),
        optional(
            "entry",
            Kind::Table(&ENTRY),
            "What the row of a child says.",
        )
        .eg("{ on = \"n1\", child = \"web-1\", nodes = [\"n1\"], first = \"n1\" }"),
        optional(
            "view",
            Kind::Table(&VIEW_CLAIM),
            "Which nodes the cluster view of a node has, as a set.",
        )
        .eg("{ on = \"n1\", is = [\"n1..n4\"] }"),
        optional(
            "connected",
            Kind::Table(&CONNECTED),
            "Each pair of these nodes is connected.",
        )
        .eg("{ nodes = [\"n1..n3\"] }"),
        optional(
            "owners",
            Kind::Table(&OWNERS),
            "So many nodes run a child, in truth; without `at`, `during` and `by`: throughout the run.",
        )
        .eg("{ child = \"web-1\", max = 1 }"),
        optional(
            "sometimes",
            Kind::Name,
            "A mark, a kind of message or a kind of event that a run has at least once.",
        )
        .eg("\"hub.discovery\""),
        optional(
            "over",
            Kind::Word("scope", &["run", "campaign"]),
            "Whether each run must have it, or one of a campaign.",
        )
        .default("\"run\""),
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
        &["registry", "at", "during", "by"],
        &["entry", "at", "during", "by"],
        &["view", "at", "during", "by"],
        &["connected", "at", "during", "by"],
        &["owners", "at", "during", "by"],
        &["sometimes", "over"],
        &["always"],
        &["violates"],
        &["metric"],
    ],
);

/// `converged`.
pub(crate) static CONVERGED: Shape = table(
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
pub(crate) static REGISTRY: Shape = table(
    "`registry`",
    &[
        ON,
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
pub(crate) static ENTRY: Shape = table(
    "`entry`",
    &[
        ON,
        required("child", Kind::Child, "The child."),
        optional("nodes", Kind::NodeNames, "Exactly these nodes, as a set."),
        optional("pids", Kind::NodeTexts, "The pids of these nodes."),
        optional("metadata", Kind::Texts, "Exactly this metadata."),
        optional("first", Kind::NodeName, "The node that stands first."),
        optional(
            "count",
            Kind::Integer(0, 10_000),
            "Exactly so many entries, whichever.",
        ),
    ],
);

const ON: Key = required(
    "on",
    Kind::Subjects,
    "The node, which must run; of a list, a zone or `\"all\"`, each that runs.",
);

/// `view`.
pub(crate) static VIEW_CLAIM: Shape = table(
    "`view`",
    &[
        ON,
        optional("is", Kind::SomeNodes, "Exactly these nodes.").eg("[\"n1..n4\"]"),
        optional("has", Kind::Nodes, "Nodes in it.").eg("[\"n2\"]"),
        optional("lacks", Kind::Nodes, "Nodes that are not in it.").eg("[\"n5\"]"),
    ],
)
.at_least_one(&["has", "lacks", "is"]);

/// `owners`.
pub(crate) static OWNERS: Shape = table(
    "`owners`",
    &[
        required("child", Kind::Child, "The child."),
        optional("min", Kind::Integer(0, 10_000), "The least allowed."),
        optional("max", Kind::Integer(0, 10_000), "The most allowed."),
    ],
)
.ordered(&[("min", "max")])
.at_least_one(&["min", "max"]);

/// `connected`.
pub(crate) static CONNECTED: Shape = table(
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
pub(crate) static METRIC: Shape = table(
    "`metric`",
    &[
        required(
            "name",
            Kind::Metric,
            "The metric; those of messages and bytes also with `.KIND`.",
        ),
        optional("min", Kind::Integer(0, i64::MAX), "The least allowed."),
        optional("max", Kind::Integer(0, i64::MAX), "The most allowed.").eg("5000"),
        optional(
            "from",
            Kind::Duration,
            "Measured from this instant on; for metrics that can be cut in time.",
        )
        .default("\"0s\"")
        .eg("\"10s\""),
        optional(
            "to",
            Kind::Duration,
            "Measured until then, this instant not included; default: the end of the run.",
        )
        .eg("\"20s\""),
    ],
)
.ordered(&[("min", "max"), ("from", "to")])
.at_least_one(&["min", "max"]);
