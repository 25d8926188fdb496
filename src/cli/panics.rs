//! Panics: a verdict when a strategy's code panics in a run, a bug when ours does.

use std::any::Any;
use std::panic;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// The threads on which the simulator runs nodes: their panics become verdicts.
const RUN_THREAD: &str = "hublab-run";

static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Keeps panics quiet and remembers the last one: its message and its place are told with what
/// becomes of it.
pub(super) fn install() {
    panic::set_hook(Box::new(|info| {
        let text = match info.location() {
            Some(place) => format!("{} ({place})", message(info.payload())),
            None => message(info.payload()).to_owned(),
        };
        let on_run = thread::current().name() == Some(RUN_THREAD);
        tracing::debug!(on_run, panic = text, "panicked");
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }));
}

/// What a caught panic said, with its place if it was the last one.
pub(super) fn describe(panic: &(dyn Any + Send)) -> String {
    let said = message(panic);
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner).clone();
    last.filter(|last| last.starts_with(said))
        .unwrap_or_else(|| said.to_owned())
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words")
}
