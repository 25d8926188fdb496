//! `[[step]]`: its actions.

use super::network::CHANNELS;
use super::{Key, Kind, LINK_STEP, Shape, optional, required, table};

/// `[[step]]`.
pub static STEP: Shape = table(
    "a step",
    &[
        required("at", Kind::When, "When; a range is drawn from the seed.").eg("\"10s\""),
        optional("every", Kind::Every, "Repeat the step: each time after this, or after gaps drawn from an exponential distribution; needs `times` or `until`."),
        optional("times", Kind::Integer(1, 100_000), "How often it is done, the first included.").eg("600"),
        optional("until", Kind::Duration, "It is done before this instant only.").eg("\"65s\""),
        optional("join", Kind::Table(&NODES), "Boot these nodes; they discover the cluster and are discovered.").eg("{ nodes = [\"n5\"] }"),
        optional("leave", Kind::Table(&NODES), "Graceful: tell the others, stop the local children, stop.").eg("{ nodes = [\"n2\"] }"),
        optional("crash", Kind::Table(&NODES), "Stop at once and lose all memory; connections close.").eg("{ nodes = [\"n2\"] }"),
        optional("restart", Kind::Table(&RESTART), "Boot a crashed or left node again, empty, as a new incarnation.").eg("{ nodes = [\"n4\"] }"),
        optional("pause", Kind::Table(&NODES), "Stop the process as SIGSTOP does: nothing is handled, messages wait.").eg("{ nodes = [\"n2\"] }"),
        optional("resume", Kind::Table(&NODES), "Let a paused process go on.").eg("{ nodes = [\"n3\"] }"),
        optional("partition", Kind::Table(&PARTITION), "No message crosses the groups.").eg("{ groups = [[\"n1\", \"n2\"], [\"n3..n5\"]], heal_after = \"20s\" }"),
        optional("cut", Kind::Table(&CUT), "No message passes from these nodes to those.").eg("{ from = [\"n1\"], to = [\"n2\"], in_flight = \"hold\" }"),
        optional(
            "heal",
            Kind::True,
            "Undo every partition, cut and link change.",
        ),
        optional("link", Kind::Table(&LINK_STEP), "Change these links from now on.").eg("{ from = [\"n1\"], to = \"all\", latency = { constant = \"40ms\" }, loss = 0.05 }"),
        optional("hold", Kind::Table(&HOLD), "The next messages over these links wait until they are released.").eg("{ from = [\"n1\"], to = [\"n2\"], channels = [\"requests\"], count = 3 }"),
        optional("release", Kind::Table(&RELEASE), "Deliver now what these links hold, and hold no more.").eg("{ from = [\"n1\"], to = [\"n2\"], order = \"lifo\" }"),
        optional("clock", Kind::Table(&CLOCK), "Step or drift the wall clock that a strategy sees.").eg("{ nodes = [\"n1\"], jump = \"-90s\" }"),
        optional("start_children", Kind::Table(&START_CHILDREN), "Start children and propagate their registration.").eg("{ on = \"n1\", ids = [\"web-1..web-3\"], metadata = { team = \"blue\" } }"),
        optional("stop_children", Kind::Table(&STOP_CHILDREN), "Stop children and propagate it.").eg("{ on = \"n1\", ids = [\"web-1\"] }"),
        optional("restart_child", Kind::Table(&RESTART_CHILD), "Give a child a new pid and propagate the update.").eg("{ on = \"n1\", id = \"web-1\" }"),
        optional("propagate", Kind::Table(&PROPAGATE), "Hand raw requests to the strategy's `propagate`.").eg("{ from = \"n1\", members = \"external\", requests = [{ register = [{ child = \"web-1\", nodes = { n1 = \"p1\" } }] }] }"),
        optional("sync", Kind::Table(&SYNC), "Start the periodic synchronization of a node now.").eg("{ on = \"n1\" }"),
        optional("broadcast", Kind::Table(&BROADCAST), "Call `broadcast_local_data` of a node now.").eg("{ on = \"n1\", to = [\"n2\", \"n3\"] }"),
        optional("rows", Kind::Table(&ROWS), "Put rows straight into a node's registry; nobody is told.").eg("{ on = \"n1\", rows = [{ child = \"web-1\", nodes = { n1 = \"p1\" } }] }"),
        optional("view", Kind::Table(&VIEW), "Overwrite a node's cluster view.").eg("{ on = \"n1\", nodes = [\"n1\", \"n2\"] }"),
        optional("left_out", Kind::Table(&LEFT_OUT), "Nothing: a repeated or drawn step was not possible on these nodes; `explain` writes it."),
    ],
)
.choose("action", &[
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
        &["hold"],
        &["release"],
        &["clock"],
        &["start_children"],
        &["stop_children"],
        &["restart_child"],
        &["propagate"],
        &["sync"],
        &["broadcast"],
        &["rows"],
        &["view"],
        &["left_out"],
    ]);

const WHICH: Key = required("nodes", Kind::SomeStepNodes, "Which nodes.")
    .eg("[\"n2\"]")
    .acts();

/// The table of `join`, `leave`, `crash`, `pause` and `resume`.
pub(crate) static NODES: Shape = table("the step", &[WHICH]);

/// `restart`.
pub(crate) static RESTART: Shape = table(
    "`restart`",
    &[
        WHICH,
        optional(
            "strategy",
            Kind::Parameters,
            "Parameters that they have from then on.",
        ),
    ],
);

const IN_FLIGHT: Key = optional(
    "in_flight",
    Kind::Word("fate of messages", &["drop", "deliver", "hold"]),
    "What becomes of messages on the way: dropped, delivered, or held until healing.",
)
.default("\"drop\"")
.weakens();

const HEAL_AFTER: Key = optional(
    "heal_after",
    Kind::When,
    "Heal just this one after that time.",
)
.eg("\"20s\"")
.weakens();

/// `hold`.
pub(crate) static HOLD: Shape = table(
    "`hold`",
    &[
        required("from", Kind::SomeStepNodes, "The senders."),
        required("to", Kind::SomeStepNodes, "The receivers."),
        CHANNELS,
        optional(
            "count",
            Kind::Integer(1, i64::MAX),
            "How many messages over each link wait, of those sent from now on; default: all.",
        )
        .eg("3"),
    ],
);

/// `release`.
pub(crate) static RELEASE: Shape = table(
    "`release`",
    &[
        required("from", Kind::SomeStepNodes, "The senders."),
        required("to", Kind::SomeStepNodes, "The receivers."),
        optional(
            "order",
            Kind::Word("order", &["fifo", "lifo", "random"]),
            "In which order they are delivered: as they were sent, the last one first, or drawn.",
        )
        .default("\"fifo\"")
        .eg("\"lifo\""),
    ],
);

/// `partition`.
pub(crate) static PARTITION: Shape = table(
    "`partition`",
    &[
        optional(
            "groups",
            Kind::Groups,
            "The groups; every running node must be in one. `\"rest\"` is all that run and are in no other.",
        ),
        optional(
            "isolate",
            Kind::SomeStepNodes,
            "Each of these is alone, all others that run are together.",
        )
        .eg("[\"n2\"]"),
        optional(
            "parts",
            Kind::Integer(2, 10_000),
            "So many groups of equal size of the nodes that run, in the order of the file.",
        )
        .eg("2"),
        optional(
            "shuffle",
            Kind::Bool,
            "Whether the nodes of each part are drawn.",
        )
        .default("false")
        .eg("true"),
        IN_FLIGHT,
        HEAL_AFTER,
    ],
)
.choose("groups", &[&["groups"], &["isolate"], &["parts", "shuffle"]]);

/// `cut`.
pub(crate) static CUT: Shape = table(
    "`cut`",
    &[
        required("from", Kind::SomeStepNodes, "The senders."),
        required("to", Kind::SomeStepNodes, "The receivers.").eg("[\"n4\"]"),
        IN_FLIGHT,
        HEAL_AFTER,
    ],
);

/// `clock`.
pub(crate) static CLOCK: Shape = table(
    "`clock`",
    &[
        required("nodes", Kind::SomeStepNodes, "Whose clocks."),
        optional(
            "jump",
            Kind::Jump,
            "Step by that much, at once; may carry a sign.",
        ),
        optional(
            "rate_ppm",
            Kind::Integer(-1_000_000, 1_000_000),
            "Gain that many microseconds per second from now on.",
        )
        .eg("-200"),
    ],
)
.choose("change", &[&["jump"], &["rate_ppm"]]);

const ON: Key = required(
    "on",
    Kind::OnNodes,
    "The node; of several, one after the other.",
)
.acts();
const IDS: Key = optional("ids", Kind::SomeChildren, "The ids of the children.");
const COUNT: Key = optional("count", Kind::Integer(1, 1_000_000), "How many children.").eg("3");
const PREFIX: Key = optional(
    "prefix",
    Kind::Child,
    "They are called `prefix-1`, `prefix-2`, and so on, over all nodes and repetitions of the step.",
)
.eg("\"web\"");
const VIA: Key = optional(
    "via",
    Kind::Node,
    "The originator, which sends a request to `on`.",
)
.eg("\"n2\"")
.acts();
const BY_ID_OR_COUNT: &[&[&str]] = &[&["ids"], &["count", "prefix"]];

/// `start_children`.
pub(crate) static START_CHILDREN: Shape = table(
    "`start_children`",
    &[
        ON,
        IDS,
        COUNT,
        PREFIX,
        optional("metadata", Kind::Texts, "Their metadata."),
        optional(
            "replicas",
            Kind::StepNodes,
            "Further nodes that start them too.",
        )
        .eg("[\"n2\"]")
        .acts(),
        optional(
            "announce",
            Kind::Bool,
            "Whether the registration is propagated.",
        )
        .default("true"),
        VIA,
    ],
)
.choose("children", BY_ID_OR_COUNT);

/// `stop_children`.
pub(crate) static STOP_CHILDREN: Shape = table(
    "`stop_children`",
    &[
        ON,
        IDS,
        COUNT,
        PREFIX,
        optional(
            "oldest",
            Kind::Integer(1, 1_000_000),
            "So many of those that the script has started there and not stopped: the first started.",
        ),
        optional(
            "newest",
            Kind::Integer(1, 1_000_000),
            "The same, of the last started.",
        ),
        optional(
            "random",
            Kind::Integer(1, 1_000_000),
            "The same, drawn from the seed.",
        ),
        VIA,
    ],
)
.choose(
    "children",
    &[
        &["ids"],
        &["count", "prefix"],
        &["oldest"],
        &["newest"],
        &["random"],
    ],
);

/// `restart_child`.
pub(crate) static RESTART_CHILD: Shape = table(
    "`restart_child`",
    &[ON, required("id", Kind::Child, "The child.")],
);

/// `propagate`.
pub(crate) static PROPAGATE: Shape = table(
    "`propagate`",
    &[
        required(
            "from",
            Kind::OnNodes,
            "The node whose strategy gets the requests; of several, one after the other.",
        )
        .acts(),
        optional(
            "members",
            Kind::NodesOr("audience", &["global", "local", "external"]),
            "Whom they address.",
        )
        .default("\"global\""),
        required(
            "requests",
            Kind::SomeTables("requests", &REQUEST),
            "The requests.",
        )
        .eg("[{ register = [{ child = \"web-1\", nodes = { n1 = \"p1\" } }] }]"),
    ],
);

/// One raw request.
pub static REQUEST: Shape = table(
    "a request",
    &[
        optional("register", Kind::Tables(&ROW), "Register these rows.")
            .eg("[{ child = \"web-1\", nodes = { n1 = \"p1\" } }]"),
        optional(
            "unregister",
            Kind::Tables(&UNREGISTER),
            "Unregister these children on these nodes.",
        )
        .eg("[{ child = \"web-1\", nodes = [\"n1\"] }]"),
        optional(
            "pid_update",
            Kind::Table(&PID_UPDATE),
            "Give a child on a node a new pid.",
        )
        .eg("{ child = \"web-1\", node = \"n1\", pid = \"p2\" }"),
    ],
)
.choose("", &[&["register"], &["unregister"], &["pid_update"]]);

/// A row of `register` and `rows`.
pub(crate) static ROW: Shape = table(
    "a row",
    &[
        required("child", Kind::Child, "The child."),
        required(
            "nodes",
            Kind::NodeTexts,
            "Its pid on each node, in the order of the registry.",
        ),
        optional("metadata", Kind::Texts, "Its metadata."),
    ],
);

/// An element of `unregister`.
pub(crate) static UNREGISTER: Shape = table(
    "`unregister`",
    &[
        required("child", Kind::Child, "The child."),
        required("nodes", Kind::NodeNames, "The nodes."),
    ],
);

/// `pid_update`.
pub(crate) static PID_UPDATE: Shape = table(
    "`pid_update`",
    &[
        required("child", Kind::Child, "The child."),
        required("node", Kind::NodeName, "The node."),
        required("pid", Kind::Name, "The new pid.").eg("\"p2\""),
    ],
);

/// `sync`.
pub(crate) static SYNC: Shape = table("`sync`", &[ON]);

/// `broadcast`.
pub(crate) static BROADCAST: Shape = table(
    "`broadcast`",
    &[ON, required("to", Kind::StepNodes, "The target nodes.")],
);

/// `rows`.
pub(crate) static ROWS: Shape = table(
    "`rows`",
    &[
        ON,
        required("rows", Kind::Tables(&ROW), "The rows.")
            .eg("[{ child = \"web-1\", nodes = { n1 = \"p1\" } }]"),
    ],
);

/// `view`.
pub(crate) static VIEW: Shape = table(
    "`view`",
    &[
        ON,
        required("nodes", Kind::StepNodes, "The view, in order."),
    ],
);

/// `left_out`.
pub(crate) static LEFT_OUT: Shape = table(
    "`left_out`",
    &[
        required("action", Kind::Name, "The key of the step.").eg("\"crash\""),
        required("nodes", Kind::Nodes, "The nodes."),
    ],
);

/// `every = { mean = "100ms" }`.
pub(crate) static EVERY: Shape = table(
    "`every`",
    &[required("mean", Kind::Positive, "The mean of the gaps.").eg("\"100ms\"")],
);

/// `{ random = 2, of = ["n1..n5"] }`, where a step takes nodes.
pub(crate) static RANDOM: Shape = table(
    "a choice of nodes",
    &[
        required(
            "random",
            Kind::Integer(1, 10_000),
            "How many; all if there are fewer.",
        )
        .eg("2"),
        required(
            "of",
            Kind::SomeNodes,
            "Of these, those on which the action is possible then.",
        ),
    ],
);
