//! The trace: the stream of everything that happened in a run.

pub mod digest;
pub mod event;
pub mod recorder;

pub use event::{Event, EventId, Payload};
pub use recorder::{MessageCounts, Sink};
