//! The plan file of a comparison.

use super::{Kind, Shape, optional, required, table};

/// The whole plan.
pub(crate) static PLAN: Shape = table(
    "the plan",
    &[
        required(
            "schema",
            Kind::Schema,
            "The version of the format; write `schema = 1`.",
        ),
        optional(
            "name",
            Kind::Name,
            "The name of the comparison; default: the file's.",
        ),
        required(
            "scenarios",
            Kind::Paths,
            "Scenario files and directories of them, from the plan's own directory.",
        ),
        optional("seeds", Kind::Seeds, "The seeds of each cell.").default("\"0..30\""),
        optional(
            "strategies",
            Kind::Tables(&CONTESTANT),
            "What is compared: names of strategies, or tables; default: every strategy.",
        ),
        optional(
            "baseline",
            Kind::Name,
            "What the others are compared with; default: the first of `strategies`.",
        ),
        optional(
            "vary",
            Kind::Table(&VARY),
            "Lists of values; every combination is a cell.",
        ),
        optional(
            "endpoint",
            Kind::Tables(&ENDPOINT),
            "What decides; default: stale_us, settle_us, bytes_per_change, propagation_us.p99.",
        ),
    ],
);

/// One of `strategies`, as a table.
pub(crate) static CONTESTANT: Shape = table(
    "a strategy of the plan",
    &[
        required("name", Kind::Name, "Its name in tables."),
        required("strategy", Kind::Strategy, "The strategy."),
        optional(
            "set",
            Kind::Table(&SET),
            "Parameters that it has instead of the file's.",
        ),
    ],
);

/// `set`, whose keys are the strategy's parameters.
pub(crate) static SET: Shape = table("its parameters", &[]);

/// `[vary]`, whose keys are those of scenario files.
pub(crate) static VARY: Shape = table("[vary]", &[]);

/// `[[endpoint]]`.
pub(crate) static ENDPOINT: Shape = table(
    "an endpoint",
    &[
        required("metric", Kind::Metric, "The metric."),
        optional(
            "margin",
            Kind::Probability,
            "Ratios within 1 +- `margin` count as equal.",
        )
        .default("0.05"),
    ],
);
