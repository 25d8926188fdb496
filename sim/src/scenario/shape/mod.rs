//! The format of scenario files, declared once: each key with its kind, range, default, one sentence
//! and an example. The reader, the defaults, the renderer, the JSON Schema, the names of streams of
//! chance, scaled times and the reference all go by it.
//!
//! Between a file and the model stands a *tree*: the tables of the file, checked, with defaults in
//! place, nodes as numbers and times in microseconds. `nest` of a shape says where the tree differs
//! from the table.

mod branch;
mod expect;
mod kind;
mod network;
mod plan;
mod step;
mod tree;

pub(crate) use branch::{BRANCH, CHANGE};
pub use expect::EXPECT;
pub use kind::Kind;
pub use network::LATENCY;
pub(crate) use network::{BIMODAL, EXPONENTIAL, LINK, LINK_STEP, LOGNORMAL, NETWORK};
pub(crate) use plan::{CONTESTANT, ENDPOINT, PLAN};
pub(crate) use step::{EVERY, NODES, PID_UPDATE, RANDOM, RESTART, ROW, UNREGISTER};
pub use step::{REQUEST, STEP};
pub(in crate::scenario) use tree::{NODES as NODES_FIELD, TIME as TIME_FIELD};

/// A table of the format.
#[derive(Debug)]
pub struct Shape {
    /// Its name in messages.
    pub name: &'static str,
    /// Its keys, in the order in which people write them.
    pub keys: &'static [Key],
    /// "Exactly one of these": each alternative is a key, then the keys that go with it, which it needs unless
    /// they have a default or say so, and that no other alternative without them allows. Empty: no choice.
    pub choices: &'static [&'static [&'static str]],
    /// The field of the tree that holds what was chosen; empty: the tree is what was chosen.
    pub(crate) choice_in: &'static str,
    /// Fields of the tree that hold some of the keys.
    pub(crate) groups: &'static [(&'static str, &'static [&'static str])],
    /// Pairs of keys of which the first must be at most the second.
    pub ordered: &'static [(&'static str, &'static str)],
    /// Pairs of keys of which only one may be there.
    pub apart: &'static [(&'static str, &'static str)],
    /// Keys of which at least one must be there. Empty: no such demand.
    pub at_least_one: &'static [&'static str],
}

/// A key of a table.
#[derive(Debug)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// The value there.
    pub kind: Kind,
    /// True if it must be there; keys of a choice are not marked.
    pub required: bool,
    /// The default as TOML text, if there is a fixed one.
    pub default: Option<&'static str>,
    /// One sentence for editors, `list` and the reference.
    pub doc: &'static str,
    /// An example as TOML text, if that of the kind is not good enough.
    example: Option<&'static str>,
    /// True if the step acts on these nodes, so that they must run (`join`, `restart`: not run).
    pub acts: bool,
    /// True if a fault does less with it than without.
    pub(crate) weakens: bool,
    /// True if it may be absent where the alternative of a choice that has it is chosen.
    pub(crate) may_be_absent: bool,
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

    /// The alternative that begins with a key.
    pub(crate) fn choice(&self, name: &str) -> Option<&'static [&'static str]> {
        self.choices.iter().find(|keys| keys[0] == name).copied()
    }

    const fn choose(
        mut self,
        choice_in: &'static str,
        choices: &'static [&'static [&'static str]],
    ) -> Self {
        self.choice_in = choice_in;
        self.choices = choices;
        self
    }

    const fn group(mut self, groups: &'static [(&'static str, &'static [&'static str])]) -> Self {
        self.groups = groups;
        self
    }

    const fn ordered(mut self, ordered: &'static [(&'static str, &'static str)]) -> Self {
        self.ordered = ordered;
        self
    }

    const fn apart(mut self, apart: &'static [(&'static str, &'static str)]) -> Self {
        self.apart = apart;
        self
    }

    const fn at_least_one(mut self, keys: &'static [&'static str]) -> Self {
        self.at_least_one = keys;
        self
    }
}

impl Key {
    /// An example, as TOML text. `<strategy>` and `<parameter>` in it stand for a name of a catalog, and
    /// for a parameter with its value.
    #[must_use]
    pub fn example(&self) -> &'static str {
        self.example
            .or(self.default)
            .unwrap_or_else(|| self.kind.example())
    }

    const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    const fn eg(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }

    const fn acts(mut self) -> Self {
        self.acts = true;
        self
    }

    const fn may_be_absent(mut self) -> Self {
        self.may_be_absent = true;
        self
    }

    const fn weakens(mut self) -> Self {
        self.weakens = true;
        self
    }
}

const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        required: false,
        default: None,
        doc,
        example: None,
        acts: false,
        weakens: false,
        may_be_absent: false,
    }
}

const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    let mut key = optional(name, kind, doc);
    key.required = true;
    key
}

const fn table(name: &'static str, keys: &'static [Key]) -> Shape {
    Shape {
        name,
        keys,
        choices: &[],
        choice_in: "",
        groups: &[],
        ordered: &[],
        apart: &[],
        at_least_one: &[],
    }
}

/// The whole file.
pub static FILE: Shape = table(
    "the file",
    &[
        required(
            "schema",
            Kind::Schema,
            "The version of the format; write `schema = 1`.",
        ),
        optional(
            "resolved",
            Kind::Bool,
            "Whether a program wrote the file, as `explain` does: then it may have 64 MiB.",
        )
        .default("false"),
        optional(
            "name",
            Kind::Name,
            "The name of the scenario; default: the file's.",
        )
        .eg("\"partition-then-heal\""),
        optional("summary", Kind::Text, "One line on what it shows.")
            .eg("\"A child starts on the minority side.\""),
        required(
            "cluster",
            Kind::Table(&CLUSTER),
            "The nodes and their membership.",
        )
        .eg("{ nodes = 5 }"),
        optional(
            "run",
            Kind::Table(&RUN),
            "How long, with which seeds and strategies.",
        )
        .eg("{ duration = \"90s\", seed = 7 }"),
        optional(
            "strategy",
            Kind::Parameters,
            "Parameters of the strategies; those of `\"*\"` are for every strategy that has them.",
        ),
        optional(
            "network",
            Kind::Table(&NETWORK),
            "The links between the nodes.",
        )
        .eg("{ loss = 0.01 }"),
        optional("step", Kind::Tables(&STEP), "What happens, and when."),
        optional(
            "expect",
            Kind::Tables(&EXPECT),
            "What must hold; default: convergence after the last step, within 60s or the rest of the run.",
        ),
    ],
);

/// `[run]`.
pub(crate) static RUN: Shape = table(
    "[run]",
    &[
        optional(
            "duration",
            Kind::Positive,
            "Virtual time; a run always lasts to here.",
        )
        .default("\"60s\""),
        optional(
            "seed",
            Kind::Integer(0, i64::MAX),
            "The seed of a single run.",
        )
        .default("1"),
        optional(
            "seeds",
            Kind::Seeds,
            "The seeds of a campaign; the end is not included.",
        )
        .default("\"0..200\""),
        optional(
            "strategies",
            Kind::Strategies,
            "One run per strategy; default: every strategy.",
        ),
        optional(
            "branch",
            Kind::Table(&BRANCH),
            "Go on with other draws after an instant: what was sent by then, and the script, stay.",
        )
        .eg("{ after = \"12s\", number = 3 }"),
        optional(
            "changes",
            Kind::Tables(&CHANGE),
            "Single events that happen otherwise, while every other draw stays. One that names what does not occur leaves the run inconclusive.",
        )
        .eg("[{ lose = { from = \"n1\", to = \"n2\", channel = 1, number = 0 } }]"),
        optional(
            "task_order",
            Kind::Word("order of tasks", &["random", "fifo"]),
            "The order in which tasks of one node's program run that are ready at once; default: drawn.",
        )
        .eg("\"fifo\""),
    ],
);

/// `[cluster]`.
pub(crate) static CLUSTER: Shape = table(
    "[cluster]",
    &[
        optional(
            "nodes",
            Kind::NodeCount,
            "The number of nodes; they are called n1, n2, and so on.",
        ),
        optional("names", Kind::NodeList, "The names of the nodes."),
        optional(
            "zones",
            Kind::Zones,
            "Names for sets of nodes; `\"@eu\"` in a list stands for those of zone `eu`.",
        ),
        optional(
            "start",
            Kind::Nodes,
            "The nodes that are up at time 0; the others need a `join`.",
        )
        .default("\"all\"")
        .eg("[\"n1..n4\"]"),
        optional(
            "discovery_interval",
            Kind::Positive,
            "Each node announces itself this often, first at boot.",
        )
        .default("\"10s\""),
        optional(
            "join_debounce",
            Kind::Duration,
            "Joins and downs are collected this long, then handled together.",
        )
        .default("\"500ms\""),
        optional(
            "down_after",
            Kind::Duration,
            "Silence until a peer is declared down.",
        )
        .default("\"60s\""),
        optional(
            "down_spread",
            Kind::Probability,
            "Each silence lasts `down_after` x a factor from 1 - spread to 1 + spread.",
        )
        .default("0.25"),
        optional(
            "crash_detected_after",
            Kind::Duration,
            "Peers know of a crash after this and one latency.",
        )
        .default("\"1ms\""),
        optional(
            "node",
            Kind::Tables(&NODE),
            "Other values for some nodes; later entries win.",
        )
        .eg("[{ names = [\"n1\"], down_after = \"20s\" }]"),
        optional(
            "program",
            Kind::Program,
            "The program of the catalog that every node runs from its boot on.",
        ),
    ],
)
.choose("nodes", &[&["nodes"], &["names"]]);

/// `[[cluster.node]]`.
pub(crate) static NODE: Shape = table(
    "[[cluster.node]]",
    &[
        required("names", Kind::SomeNodes, "Which nodes.").eg("[\"n1\"]"),
        optional(
            "service_time",
            Kind::Duration,
            "Time the node is busy per message that it receives.",
        )
        .eg("\"5ms\""),
        optional(
            "send_gap",
            Kind::Duration,
            "Time the node is busy per message that it sends.",
        )
        .eg("\"100us\""),
        optional(
            "queue_limit",
            Kind::Integer(0, i64::MAX),
            "What arrives while that many wait for the busy node is dropped; 0 is unlimited.",
        )
        .eg("100"),
        optional(
            "discovery_interval",
            Kind::Positive,
            "The node announces itself this often, first at boot.",
        ),
        optional(
            "join_debounce",
            Kind::Duration,
            "Joins and downs are collected this long, then handled together.",
        )
        .eg("\"500ms\""),
        optional(
            "down_after",
            Kind::Duration,
            "Silence until a peer is declared down; of two ends' the smaller counts.",
        )
        .eg("\"20s\""),
        optional(
            "clock",
            Kind::Table(&CLOCK_START),
            "The wall clock that the strategy sees, from the start.",
        )
        .eg("{ jump = \"-2s\", rate_ppm = 50 }"),
        optional(
            "strategy",
            Kind::Parameters,
            "Parameters of the strategies.",
        ),
    ],
)
.at_least_one(&[
    "service_time",
    "send_gap",
    "queue_limit",
    "discovery_interval",
    "join_debounce",
    "down_after",
    "clock",
    "strategy",
]);

/// `clock` of `[[cluster.node]]`.
pub(crate) static CLOCK_START: Shape = table(
    "`clock`",
    &[
        optional("jump", Kind::Jump, "Ahead by that much, or behind.").eg("\"-90s\""),
        optional(
            "rate_ppm",
            Kind::Integer(-1_000_000, 1_000_000),
            "Gain that many microseconds per second.",
        )
        .eg("-200"),
    ],
)
.at_least_one(&["jump", "rate_ppm"]);

/// Words that are reserved for a later version: the table they would stand in, and their key.
pub static RESERVED: &[(&str, &str)] = &[
    ("the file", "faults"),
    ("the file", "workload"),
    ("`latency`", "matrix"),
];
