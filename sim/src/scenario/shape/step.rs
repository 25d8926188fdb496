//! `[[step]]`: its actions.

use super::{Key, LINK, Shape, Value, default, optional, required, table};

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
