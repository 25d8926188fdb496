//! Ctrl-C, and the polite ways of the system to end a process.

use std::fs;
use std::process;
use std::sync::{Mutex, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::exit::ExitStatus;

type Listener = Box<dyn Fn() + Send>;

static LISTENER: Mutex<Option<Listener>> = Mutex::new(None);

/// From now on an interruption ends the process with the right number, unless somebody listens.
/// A hang-up that `nohup` has had ignored stays ignored. A program around this one may catch
/// interruptions itself: then that one decides.
pub(super) fn install() {
    if holds("SigCgt:", SIGINT) {
        return;
    }
    let hang_up = (!holds("SigIgn:", SIGHUP)).then_some(SIGHUP);
    let caught = Signals::new([SIGINT, SIGTERM].into_iter().chain(hang_up));
    let watching = caught.and_then(|mut signals| {
        thread::Builder::new()
            .name("hublab-signals".to_owned())
            .spawn(move || signals.forever().for_each(|_| interrupted()))
    });
    if let Err(error) = watching {
        tracing::debug!(%error, "interruptions cannot be caught");
    }
}

fn interrupted() {
    match &*LISTENER.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(listener) => listener(),
        None => process::exit(i32::from(ExitStatus::Interrupted.code())),
    }
}

/// True if a signal is in one of this process's sets, as the system tells them; not if it does
/// not tell.
fn holds(set: &str, signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix(set)?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
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
