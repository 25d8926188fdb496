//! Panics: a verdict when a strategy's code panics in a run, a bug when ours does.

use std::any::Any;
use std::collections::VecDeque;
use std::panic;
use std::sync::{Mutex, PoisonError};
use std::thread;

use hublab_strategies::panic::in_words;

/// The threads on which the simulator runs nodes: their panics become verdicts.
const RUN_THREAD: &str = "hublab-run";

/// The last panics, the newest first: several runs may panic before one of them is told of.
static LAST: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// How many panics are remembered.
const REMEMBERED: usize = 64;

/// Keeps panics quiet and remembers the last ones: their messages and places are told with what
/// becomes of them.
pub(super) fn install() {
    panic::set_hook(Box::new(|info| {
        let text = match info.location() {
            Some(place) => format!("{} ({place})", in_words(info.payload())),
            None => in_words(info.payload()).to_owned(),
        };
        let on_run = thread::current().name() == Some(RUN_THREAD);
        tracing::debug!(on_run, panic = text, "panicked");
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        last.truncate(REMEMBERED - 1);
        last.push_front(text);
    }));
}

/// What a caught panic said, with its place if it was one of the last.
pub(super) fn describe(panic: &(dyn Any + Send)) -> String {
    let said = in_words(panic);
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let known = last.iter().find(|text| text.starts_with(said));
    known.map_or_else(|| said.to_owned(), Clone::clone)
}
