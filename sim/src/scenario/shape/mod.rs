//! The format of scenario files, declared once: the reader takes its allowed keys from here, the
//! JSON Schema its structure and descriptions, and `list steps` its lines.

mod expect;
mod network;
mod step;

pub use expect::{CONVERGED, ENTRY, EXPECT, METRIC, REGISTRY};
pub use network::{BIMODAL, EXPONENTIAL, LATENCY, LINK, LOGNORMAL, NETWORK};
pub use step::{
    BROADCAST, CLOCK, CUT, NODES, PARTITION, PID_UPDATE, PROPAGATE, REQUEST, RESTART_CHILD, ROW,
    ROWS, START_CHILDREN, STEP, STOP_CHILDREN, SYNC, UNREGISTER, VIEW,
};

/// A table of the format.
#[derive(Debug)]
pub struct Shape {
    /// What messages call it.
    pub name: &'static str,
    /// Its keys, in the order in which people write them.
    pub keys: &'static [Key],
    /// "Exactly one of these": each alternative is a key, then the keys that it needs beside it
    /// and that no other alternative without them allows. Empty: no choice.
    pub choices: &'static [&'static [&'static str]],
}

/// A key of a table.
#[derive(Debug)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// What stands there.
    pub value: Value,
    /// Whether it must be there; keys of a choice are not marked.
    pub required: bool,
    /// The default as TOML text, if there is a fixed one.
    pub default: Option<&'static str>,
    /// One sentence for editors and `list`.
    pub doc: &'static str,
}

/// What can stand behind a key.
#[derive(Debug)]
pub enum Value {
    /// Any text.
    Text,
    /// A name or id: 1 to 256 characters, none of them a control character.
    Name,
    /// A list of names.
    Names,
    /// `true` or `false`.
    Bool,
    /// `true`.
    True,
    /// An integer.
    Integer(i64, i64),
    /// A number from 0 to 1.
    Probability,
    /// A duration.
    Duration,
    /// A duration, or a range of durations.
    When,
    /// A duration with an optional sign.
    Jump,
    /// A duration, or one of these words.
    DurationOr(&'static [&'static str]),
    /// A range of integers.
    Seeds,
    /// The name of a node.
    Node,
    /// A list of nodes, or `"all"`.
    Nodes,
    /// A list of nodes, `"all"`, or one of these words.
    NodesOr(&'static [&'static str]),
    /// A list of groups of nodes.
    Groups,
    /// One of these words.
    Word(&'static [&'static str]),
    /// The name of an oracle.
    Oracle,
    /// The name of a metric.
    Metric,
    /// The name of a strategy.
    Strategy,
    /// A list of names of strategies.
    Strategies,
    /// The table with a table of parameters for each strategy.
    Parameters,
    /// Two durations.
    Durations,
    /// A table of texts.
    Texts,
    /// A table from node to text.
    NodeTexts,
    /// A table.
    Table(&'static Shape),
    /// A list of tables.
    Tables(&'static Shape),
}

impl Shape {
    /// The names of its keys.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.keys.iter().map(|key| key.name)
    }

    /// The key of that name.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

const fn required(name: &'static str, value: Value, doc: &'static str) -> Key {
    Key {
        name,
        value,
        required: true,
        default: None,
        doc,
    }
}

const fn optional(name: &'static str, value: Value, doc: &'static str) -> Key {
    Key {
        name,
        value,
        required: false,
        default: None,
        doc,
    }
}

const fn default(
    name: &'static str,
    value: Value,
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key {
        name,
        value,
        required: false,
        default: Some(default),
        doc,
    }
}

/// A table that one action, claim, or request opens.
const fn table(name: &'static str, keys: &'static [Key]) -> Shape {
    Shape {
        name,
        keys,
        choices: &[],
    }
}

/// The whole file.
pub static FILE: Shape = table(
    "the file",
    &[
        required(
            "schema",
            Value::Integer(1, 1),
            "The version of the format; write `schema = 1`.",
        ),
        optional(
            "name",
            Value::Name,
            "The name of the scenario; default: the file's.",
        ),
        optional("summary", Value::Text, "One line on what it shows."),
        optional(
            "run",
            Value::Table(&RUN),
            "How long, with which seeds and strategies.",
        ),
        required(
            "cluster",
            Value::Table(&CLUSTER),
            "The nodes and their membership.",
        ),
        optional(
            "strategy",
            Value::Parameters,
            "Parameters of the strategies.",
        ),
        optional(
            "network",
            Value::Table(&NETWORK),
            "The links between the nodes.",
        ),
        optional("step", Value::Tables(&STEP), "What happens, and when."),
        optional(
            "expect",
            Value::Tables(&EXPECT),
            "What must hold; default: convergence after the last step, within 60s or the rest of the run.",
        ),
    ],
);

/// `[run]`.
pub static RUN: Shape = table(
    "[run]",
    &[
        default(
            "duration",
            Value::Duration,
            "\"60s\"",
            "Virtual time; a run always lasts to here.",
        ),
        default(
            "seed",
            Value::Integer(0, i64::MAX),
            "1",
            "The seed of a single run.",
        ),
        default(
            "seeds",
            Value::Seeds,
            "\"0..200\"",
            "The seeds of a campaign; the end is not included.",
        ),
        optional(
            "strategies",
            Value::Strategies,
            "One run per strategy; default: every strategy.",
        ),
    ],
);

/// `[cluster]`.
pub static CLUSTER: Shape = Shape {
    name: "[cluster]",
    keys: &[
        optional(
            "nodes",
            Value::Integer(1, 10_000),
            "The number of nodes; they are called n1, n2, and so on.",
        ),
        optional("names", Value::Names, "The names of the nodes."),
        default(
            "start",
            Value::Nodes,
            "\"all\"",
            "The nodes that are up at time 0; the others need a `join`.",
        ),
        default(
            "discovery_interval",
            Value::Duration,
            "\"10s\"",
            "Each node announces itself this often, first at boot.",
        ),
        default(
            "join_debounce",
            Value::Duration,
            "\"500ms\"",
            "Joins and downs are collected this long, then handled together.",
        ),
        default(
            "down_after",
            Value::Duration,
            "\"60s\"",
            "Silence until a peer is declared down.",
        ),
        default(
            "down_spread",
            Value::Probability,
            "0.25",
            "Each silence lasts `down_after` x a factor from 1 - spread to 1 + spread.",
        ),
        default(
            "crash_detected_after",
            Value::Duration,
            "\"1ms\"",
            "Peers know of a crash after this and one latency.",
        ),
    ],
    choices: &[&["nodes"], &["names"]],
};

/// Words that are reserved for a later version: the table they would stand in, and their key.
pub static RESERVED: &[(&str, &str)] = &[
    ("the file", "faults"),
    ("the file", "workload"),
    ("[cluster]", "zones"),
    ("[cluster]", "node"),
    ("`latency`", "matrix"),
];
