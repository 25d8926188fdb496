//! Ctrl-C, and the polite ways of the system to end a process.

use std::process;
use std::sync::{Mutex, PoisonError};

use super::exit::Exit;

type Listener = Box<dyn Fn() + Send>;

static LISTENER: Mutex<Option<Listener>> = Mutex::new(None);

/// From now on an interruption ends the process with the right number, unless somebody listens.
pub(super) fn install() {
    let handler = || match &*LISTENER.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(listener) => listener(),
        None => process::exit(i32::from(Exit::Interrupted.code())),
    };
    // A program around this one may have a handler of its own: then that one decides.
    if let Err(error) = ctrlc::try_set_handler(handler) {
        tracing::debug!(%error, "interruptions are handled elsewhere");
    }
}

/// While this lives, an interruption is told to a listener, who ends cleanly.
#[derive(Debug)]
pub(super) struct Listening(());

impl Listening {
    /// Begins to listen. The listener is called on a thread of its own and must not block.
    pub(super) fn new(listener: impl Fn() + Send + 'static) -> Self {
        *LISTENER.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(listener));
        Self(())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        *LISTENER.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
