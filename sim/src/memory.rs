//! The memory of a node, measured from outside.
//!
//! A node that stops, and every node at the end of a run, is dropped, and what that gives back is what
//! its state held alone: whatever its strategy says of itself. Memory that it shares with others counts
//! for the last of them. Only a program's allocator knows: this crate has none, so that programs may
//! choose theirs. One that counts installs a [`Gauge`] before its first run, such as the crate
//! `allocation-counter`:
//!
//! ```
//! hublab_sim::memory::install(|run| {
//!     allocation_counter::measure(run).bytes_current
//! });
//! ```
//!
//! `bounded_state` judges it then, and says nothing about it otherwise. It is no part of a trace: no
//! digest depends on it, and a recorded trace is judged without it. It is a function of the program and
//! the run: the same sizes are asked for by a debug build and a release build.

use std::sync::OnceLock;

/// Runs something, and returns by how many bytes it changed what this thread has allocated.
pub type Gauge = fn(&mut dyn FnMut()) -> i64;

static GAUGE: OnceLock<Gauge> = OnceLock::new();

/// Has the memory of nodes measured from now on, in every run of this process. The first gauge stays.
pub fn install(gauge: Gauge) {
    GAUGE.get_or_init(|| gauge);
}

/// Drops a value, and returns the bytes that this gave back; `None` without a gauge.
pub(crate) fn given_back_by<T>(value: T) -> Option<u64> {
    let Some(gauge) = GAUGE.get() else {
        drop(value);
        return None;
    };
    let mut value = Some(value);
    let change = gauge(&mut || drop(value.take()));
    Some(change.min(0).unsigned_abs())
}
