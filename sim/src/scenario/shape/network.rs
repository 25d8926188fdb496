//! `[network]`, links and latency laws.

use hublab_strategies::Channel;

use super::{Key, Kind, Shape, optional, required, table};

/// `[network]`.
pub(crate) static NETWORK: Shape = table(
    "[network]",
    &[
        optional("latency", Kind::Table(&LATENCY), "The latency law.")
            .default("{ uniform = [\"1ms\", \"10ms\"] }"),
        optional(
            "loss",
            Kind::Probability,
            "Probability of loss per message.",
        )
        .default("0.0"),
        optional(
            "duplicate",
            Kind::Probability,
            "Probability of duplication per message.",
        )
        .default("0.0"),
        optional(
            "order",
            Kind::Word("order", &["fifo", "any"]),
            "Whether a link keeps the order of each channel.",
        )
        .default("\"fifo\""),
        optional(
            "send_gap",
            Kind::Duration,
            "Time a sender is busy per message.",
        )
        .default("\"0us\""),
        optional(
            "bytes_per_second",
            Kind::Rate,
            "Bandwidth of each directed link; 0 is unlimited.",
        )
        .default("0"),
        optional(
            "service_time",
            Kind::Duration,
            "Time a receiver is busy per message.",
        )
        .default("\"0us\""),
        optional(
            "max_message_bytes",
            Kind::Integer(0, i64::MAX),
            "A larger message is dropped; 0 is unlimited.",
        )
        .default("0")
        .eg("65536"),
        optional(
            "queue_limit",
            Kind::Integer(0, i64::MAX),
            "What arrives while that many wait for a busy receiver is dropped; 0 is unlimited. Needs `service_time`.",
        )
        .default("0")
        .eg("100"),
        optional(
            "link",
            Kind::Tables(&LINK),
            "Overrides for some directed pairs; later entries win.",
        ),
    ],
)
.group(&[(
    "base",
    &["latency", "loss", "duplicate", "order", "bytes_per_second"],
)]);

/// `[[network.link]]`.
pub(crate) static LINK: Shape = table(
    "a link",
    &[
        required("from", Kind::SomeNodes, "The senders."),
        required("to", Kind::SomeNodes, "The receivers."),
        LINK_BOTH,
        CHANNELS,
        LINK_LATENCY,
        LINK_LOSS,
        LINK_DUPLICATE,
        LINK_ORDER,
        LINK_RATE,
    ],
)
.apart(&[("channels", "bytes_per_second")]);

/// The `link` step.
pub(crate) static LINK_STEP: Shape = table(
    "a link",
    &[
        required("from", Kind::SomeStepNodes, "The senders."),
        required("to", Kind::SomeStepNodes, "The receivers."),
        LINK_BOTH,
        CHANNELS,
        LINK_LATENCY,
        LINK_LOSS,
        LINK_DUPLICATE,
        LINK_ORDER,
        LINK_RATE,
    ],
)
.apart(&[("channels", "bytes_per_second")]);

const LINK_BOTH: Key = optional(
    "both",
    Kind::Bool,
    "Whether it is about the links from the receivers back to the senders, too.",
)
.default("false")
.eg("true");

/// The names of channels.
const CHANNEL_NAMES: &[&str] = &[
    Channel::REQUESTS.name,
    Channel::SYNC.name,
    Channel::JOIN.name,
    Channel::CONTROL.name,
];

/// `channels`, of links and of what is held.
pub(super) const CHANNELS: Key = optional(
    "channels",
    Kind::SomeWords(["channel", "channels"], CHANNEL_NAMES),
    "Only messages of these channels; default: all.",
)
.eg("[\"sync\"]");

const LINK_LATENCY: Key =
    optional("latency", Kind::Table(&LATENCY), "The latency law.").eg("{ constant = \"40ms\" }");
const LINK_LOSS: Key = optional(
    "loss",
    Kind::Probability,
    "Probability of loss per message.",
);
const LINK_DUPLICATE: Key = optional(
    "duplicate",
    Kind::Probability,
    "Probability of duplication per message.",
);
const LINK_ORDER: Key = optional(
    "order",
    Kind::Word("order", &["fifo", "any"]),
    "Whether the link keeps the order of each channel.",
)
.eg("\"any\"");
const LINK_RATE: Key = optional("bytes_per_second", Kind::Rate, "Bandwidth; 0 is unlimited.");

/// `latency = { ... }`.
pub static LATENCY: Shape = table(
    "`latency`",
    &[
        optional("constant", Kind::Duration, "Always this.").eg("\"2ms\""),
        optional(
            "uniform",
            Kind::Durations,
            "Uniform between two durations, both included.",
        ),
        optional(
            "exponential",
            Kind::Table(&EXPONENTIAL),
            "A least latency plus an exponential part.",
        )
        .eg("{ min = \"1ms\", mean = \"3ms\" }"),
        optional("lognormal", Kind::Table(&LOGNORMAL), "Log-normal.")
            .eg("{ median = \"2ms\", p99 = \"15ms\" }"),
        optional(
            "bimodal",
            Kind::Table(&BIMODAL),
            "Mostly fast, sometimes slow.",
        )
        .eg("{ fast = \"1ms\", slow = \"50ms\", slow_share = 0.01 }"),
    ],
)
.choose(
    "",
    &[
        &["constant"],
        &["uniform"],
        &["exponential"],
        &["lognormal"],
        &["bimodal"],
    ],
);

/// `exponential = { ... }`.
pub(crate) static EXPONENTIAL: Shape = table(
    "`exponential`",
    &[
        required("min", Kind::Duration, "The least.").eg("\"1ms\""),
        required(
            "mean",
            Kind::Duration,
            "The mean of the whole, `min` included.",
        )
        .eg("\"3ms\""),
    ],
)
.ordered(&[("min", "mean")]);

/// `lognormal = { ... }`.
pub(crate) static LOGNORMAL: Shape = table(
    "`lognormal`",
    &[
        required(
            "median",
            Kind::Positive,
            "Half of the messages take at most this.",
        )
        .eg("\"2ms\""),
        required(
            "p99",
            Kind::Duration,
            "99 of 100 messages take at most this.",
        ),
    ],
)
.ordered(&[("median", "p99")]);

/// `bimodal = { ... }`.
pub(crate) static BIMODAL: Shape = table(
    "`bimodal`",
    &[
        required("fast", Kind::Duration, "The usual latency.").eg("\"1ms\""),
        required("slow", Kind::Duration, "The other one.").eg("\"50ms\""),
        required(
            "slow_share",
            Kind::Probability,
            "The share of slow messages.",
        ),
    ],
)
.ordered(&[("fast", "slow")]);
