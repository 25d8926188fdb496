//! The format of scenario files, declared once: the reader takes its allowed keys from here, the
//! JSON Schema its structure and descriptions, and `list steps` its lines.

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

/// `[[step]]`.
pub static STEP: Shape = Shape {
    name: "a step",
    keys: &[
        required("at", Value::When, "When; a range is drawn from the seed."),
        optional(
            "join",
            Value::Table(&NODES),
            "Boot these nodes; they discover the cluster and are discovered.",
        ),
        optional(
            "leave",
            Value::Table(&NODES),
            "Graceful: tell the others, stop the local children, stop.",
        ),
        optional(
            "crash",
            Value::Table(&NODES),
            "Stop at once and lose all memory; connections close.",
        ),
        optional(
            "restart",
            Value::Table(&NODES),
            "Boot a crashed or left node again, empty, as a new incarnation.",
        ),
        optional(
            "pause",
            Value::Table(&NODES),
            "Stop the process as SIGSTOP does: nothing is handled, messages wait.",
        ),
        optional(
            "resume",
            Value::Table(&NODES),
            "Let a paused process go on.",
        ),
        optional(
            "partition",
            Value::Table(&PARTITION),
            "No message crosses the groups.",
        ),
        optional(
            "cut",
            Value::Table(&CUT),
            "No message passes from these nodes to those.",
        ),
        optional(
            "heal",
            Value::True,
            "Undo every partition, cut and link change.",
        ),
        optional(
            "link",
            Value::Table(&LINK),
            "Change these links from now on.",
        ),
        optional(
            "clock",
            Value::Table(&CLOCK),
            "Step or drift the wall clock that a strategy sees.",
        ),
        optional(
            "start_children",
            Value::Table(&START_CHILDREN),
            "Start children and propagate their registration.",
        ),
        optional(
            "stop_children",
            Value::Table(&STOP_CHILDREN),
            "Stop children and propagate it.",
        ),
        optional(
            "restart_child",
            Value::Table(&RESTART_CHILD),
            "Give a child a new pid and propagate the update.",
        ),
        optional(
            "propagate",
            Value::Table(&PROPAGATE),
            "Hand raw requests to the strategy's `propagate`.",
        ),
        optional(
            "sync",
            Value::Table(&SYNC),
            "Start the periodic synchronization of a node now.",
        ),
        optional(
            "broadcast",
            Value::Table(&BROADCAST),
            "Call `broadcast_local_data` of a node now.",
        ),
        optional(
            "rows",
            Value::Table(&ROWS),
            "Put rows straight into a node's registry; nobody is told.",
        ),
        optional(
            "view",
            Value::Table(&VIEW),
            "Overwrite a node's cluster view.",
        ),
    ],
    choices: &[
        &["join"],
        &["leave"],
        &["crash"],
        &["restart"],
        &["pause"],
        &["resume"],
        &["partition"],
        &["cut"],
        &["heal"],
        &["link"],
        &["clock"],
        &["start_children"],
        &["stop_children"],
        &["restart_child"],
        &["propagate"],
        &["sync"],
        &["broadcast"],
        &["rows"],
        &["view"],
    ],
};

/// The table of `join`, `leave`, `crash`, `restart`, `pause` and `resume`.
pub static NODES: Shape = table(
    "the step",
    &[required("nodes", Value::Nodes, "Which nodes.")],
);

const IN_FLIGHT: Key = default(
    "in_flight",
    Value::Word(&["drop", "deliver", "hold"]),
    "\"drop\"",
    "What becomes of messages on the way: dropped, delivered, or held until healing.",
);

const HEAL_AFTER: Key = optional(
    "heal_after",
    Value::When,
    "Heal just this one after that time.",
);

/// `partition`.
pub static PARTITION: Shape = table(
    "`partition`",
    &[
        required(
            "groups",
            Value::Groups,
            "The groups; every running node must be in one.",
        ),
        IN_FLIGHT,
        HEAL_AFTER,
    ],
);

/// `cut`.
pub static CUT: Shape = table(
    "`cut`",
    &[
        required("from", Value::Nodes, "The senders."),
        required("to", Value::Nodes, "The receivers."),
        IN_FLIGHT,
        HEAL_AFTER,
    ],
);

/// `clock`.
pub static CLOCK: Shape = Shape {
    name: "`clock`",
    keys: &[
        required("nodes", Value::Nodes, "Whose clocks."),
        optional(
            "jump",
            Value::Jump,
            "Step by that much, at once; may carry a sign.",
        ),
        optional(
            "rate_ppm",
            Value::Integer(-1_000_000, 1_000_000),
            "Gain that many microseconds per second from now on.",
        ),
    ],
    choices: &[&["jump"], &["rate_ppm"]],
};

const ON: Key = required("on", Value::Node, "The node.");
const IDS: Key = optional("ids", Value::Names, "The ids of the children.");
const COUNT: Key = optional("count", Value::Integer(1, 1_000_000), "How many children.");
const PREFIX: Key = optional(
    "prefix",
    Value::Name,
    "They are called `prefix-1`, `prefix-2`, and so on.",
);
const VIA: Key = optional(
    "via",
    Value::Node,
    "The originator, which sends a request to `on`.",
);
const BY_ID_OR_COUNT: &[&[&str]] = &[&["ids"], &["count", "prefix"]];

/// `start_children`.
pub static START_CHILDREN: Shape = Shape {
    name: "`start_children`",
    keys: &[
        ON,
        IDS,
        COUNT,
        PREFIX,
        optional("metadata", Value::Texts, "Their metadata."),
        optional(
            "replicas",
            Value::Nodes,
            "Further nodes that start them too.",
        ),
        default(
            "announce",
            Value::Bool,
            "true",
            "Whether the registration is propagated.",
        ),
        VIA,
    ],
    choices: BY_ID_OR_COUNT,
};

/// `stop_children`.
pub static STOP_CHILDREN: Shape = Shape {
    name: "`stop_children`",
    keys: &[ON, IDS, COUNT, PREFIX, VIA],
    choices: BY_ID_OR_COUNT,
};

/// `restart_child`.
pub static RESTART_CHILD: Shape = table(
    "`restart_child`",
    &[ON, required("id", Value::Name, "The child.")],
);

/// `propagate`.
pub static PROPAGATE: Shape = table(
    "`propagate`",
    &[
        required(
            "from",
            Value::Node,
            "The node whose strategy gets the requests.",
        ),
        default(
            "members",
            Value::NodesOr(&["global", "local", "external"]),
            "\"global\"",
            "Whom they address.",
        ),
        required("requests", Value::Tables(&REQUEST), "The requests."),
    ],
);

/// One raw request.
pub static REQUEST: Shape = Shape {
    name: "a request",
    keys: &[
        optional("register", Value::Tables(&ROW), "Register these rows."),
        optional(
            "unregister",
            Value::Tables(&UNREGISTER),
            "Unregister these children on these nodes.",
        ),
        optional(
            "pid_update",
            Value::Table(&PID_UPDATE),
            "Give a child on a node a new pid.",
        ),
    ],
    choices: &[&["register"], &["unregister"], &["pid_update"]],
};

/// A row of `register` and `rows`.
pub static ROW: Shape = table(
    "a row",
    &[
        required("child", Value::Name, "The child."),
        required(
            "nodes",
            Value::NodeTexts,
            "Its pid on each node, in the order of the registry.",
        ),
        optional("metadata", Value::Texts, "Its metadata."),
    ],
);

/// An element of `unregister`.
pub static UNREGISTER: Shape = table(
    "`unregister`",
    &[
        required("child", Value::Name, "The child."),
        required("nodes", Value::Nodes, "The nodes."),
    ],
);

/// `pid_update`.
pub static PID_UPDATE: Shape = table(
    "`pid_update`",
    &[
        required("child", Value::Name, "The child."),
        required("node", Value::Node, "The node."),
        required("pid", Value::Name, "The new pid."),
    ],
);

/// `sync`.
pub static SYNC: Shape = table("`sync`", &[ON]);

/// `broadcast`.
pub static BROADCAST: Shape = table(
    "`broadcast`",
    &[ON, required("to", Value::Nodes, "The target nodes.")],
);

/// `rows`.
pub static ROWS: Shape = table(
    "`rows`",
    &[ON, required("rows", Value::Tables(&ROW), "The rows.")],
);

/// `view`.
pub static VIEW: Shape = table(
    "`view`",
    &[ON, required("nodes", Value::Nodes, "The view, in order.")],
);

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
        ON,
        optional("has", Value::Names, "Children with a row that has entries."),
        optional("lacks", Value::Names, "Children without."),
    ],
);

/// `entry`.
pub static ENTRY: Shape = table(
    "`entry`",
    &[
        ON,
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

/// Words that are reserved for a later version: the table they would stand in, and their key.
pub static RESERVED: &[(&str, &str)] = &[
    ("the file", "faults"),
    ("the file", "workload"),
    ("[cluster]", "zones"),
    ("[cluster]", "node"),
    ("`latency`", "matrix"),
];
