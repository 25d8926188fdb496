//! `branch` and `changes` of `[run]`.

use super::{Key, Kind, Shape, optional, required, table};
use crate::model::TimerKind;

/// `branch = { ... }`.
pub(crate) static BRANCH: Shape = table(
    "`branch`",
    &[
        required(
            "after",
            Kind::Duration,
            "The last instant with the draws of the seed.",
        )
        .eg("\"12s\""),
        required(
            "number",
            Kind::Integer(0, i64::MAX),
            "Which other draws: each number is another future.",
        ),
    ],
);

/// An element of `changes`.
pub(crate) static CHANGE: Shape = table(
    "a change",
    &[
        optional("lose", Kind::Table(&MESSAGE), "The message is lost.")
            .eg("{ from = \"n1\", to = \"n2\", channel = 1, number = 0 }"),
        optional("double", Kind::Table(&TIMED), "A copy of the message arrives, too.")
            .eg("{ from = \"n1\", to = \"n2\", channel = 1, number = 0, at = \"15s\" }"),
        optional(
            "arrive",
            Kind::Table(&TIMED),
            "The message arrives then, even if it would have been lost; where a link keeps order, behind those sent before it.",
        )
        .eg("{ from = \"n1\", to = \"n2\", channel = 1, number = 0, at = \"15s\" }"),
        optional("fire", Kind::Table(&FIRE), "A timer fires at another instant.")
            .eg("{ node = \"n1\", timer = \"sync\", due = \"15s\", at = \"16s\" }"),
        optional(
            "draw",
            Kind::Table(&DRAW),
            "What the node draws by itself in an instant is drawn anew.",
        )
        .eg("{ node = \"n1\", at = \"15s\", number = 1 }"),
    ],
)
.choose("", &[&["lose"], &["double"], &["arrive"], &["fire"], &["draw"]]);

const FROM: Key = required("from", Kind::Node, "The sender.");
const TO: Key = required("to", Kind::Node, "The receiver.").eg("\"n2\"");
const CHANNEL: Key = required(
    "channel",
    Kind::Integer(0, 255),
    "The id of its channel: 0 requests, 1 sync, 2 join, 3 control.",
);
const NUMBER: Key = required(
    "number",
    Kind::Integer(0, u32::MAX as i64),
    "Its number on this link and channel, from 0, as `trace` prints it.",
)
.eg("0");

/// A message.
pub(crate) static MESSAGE: Shape = table("a message", &[FROM, TO, CHANNEL, NUMBER]);

/// A message and an instant.
pub(crate) static TIMED: Shape = table(
    "a message and its arrival",
    &[
        FROM,
        TO,
        CHANNEL,
        NUMBER,
        required("at", Kind::Duration, "When it arrives."),
    ],
);

/// `fire = { ... }`.
pub(crate) static FIRE: Shape = table(
    "`fire`",
    &[
        required("node", Kind::Node, "Whose timer."),
        required("timer", Kind::Word("timer", &TimerKind::NAMES), "Its kind.").eg("\"sync\""),
        optional(
            "key",
            Kind::Integer(0, i64::MAX),
            "Which, of those of a membership or of a strategy.",
        )
        .default("0"),
        required("due", Kind::Duration, "When it is to fire."),
        required("at", Kind::Duration, "When it fires.").eg("\"16s\""),
    ],
);

/// `draw = { ... }`.
pub(crate) static DRAW: Shape = table(
    "`draw`",
    &[
        required("node", Kind::Node, "Whose draws."),
        required("at", Kind::Duration, "When it draws."),
        required("number", Kind::Integer(0, i64::MAX), "Which other stream."),
    ],
);
