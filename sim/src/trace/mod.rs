//! The trace: the stream of everything that happened in a run, and all that is read back from it.
//!
//! | module | owns |
//! | --- | --- |
//! | [`event`] | what an event is |
//! | [`recorder`] | numbering events and handing them on, as they happen |
//! | [`digest`] | the hash over all events |
//! | [`capsule`] | a run in a file |
//! | [`text`] | events as lines, as JSON, and which of them to show |
//! | [`mod@diff`] | where two traces part |
//! | [`mod@replay`] | running a capsule again |
//! | [`mod@why`] | what led to a row |

pub mod capsule;
pub mod diff;
pub mod digest;
pub mod event;
pub mod recorder;
pub mod replay;
pub mod text;
pub mod why;

pub use capsule::{Build, Capsule, CapsuleError, FileRecording, Footer, Header, Limits, Recording};
pub use diff::{Comparison, Divergence, diff};
pub use event::{Event, EventId, Payload};
pub use recorder::{MessageCounts, Sink};
pub use replay::{Replay, ReplayError, replay};
pub use text::{Filter, Names};
pub use why::{Why, WhyError, why};
