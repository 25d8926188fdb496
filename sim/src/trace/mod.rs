//! The trace: the stream of everything that happens in a run.
//!
//! | module | owns |
//! | --- | --- |
//! | [`event`] | what an event is |
//! | [`recorder`] | numbering events and handing them on, as they happen |
//! | [`counts`] | messages by kind |
//! | [`digest`] | the hash over all events |
//! | `program` | what the program of a node says, as marks |
//! | [`diagram`] | a stretch of a trace as lanes and messages |
//! | [`text`] | events as lines, as JSON, and which of them to show |

pub mod counts;
pub mod diagram;
pub mod digest;
pub mod event;
pub(crate) mod program;
pub mod recorder;
pub mod text;

pub use counts::{Counts, MessageCounts};
pub use event::{Event, EventId, Payload};
pub use recorder::Sink;
pub use text::{Filter, Names};
