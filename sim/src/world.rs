//! The world that a run lives in: a madsim runtime on a thread of its own, whose clock follows
//! the run's.
//!
//! madsim's interposition keeps OS entropy, the std clocks and hash seeds under the seed, and
//! refuses hidden threads. Its timers and its network are not used: the engine has its own queue,
//! and moves madsim's clock along with it. There are two ways to do that, and one order of events:
//! [`Stepping::Slice`] lets all events of a millisecond happen and then moves the clock once;
//! [`Stepping::Exact`] moves it before every instant, for asynchronous code that must see each.

use std::time::Duration;

use madsim::runtime::Runtime;
use madsim::time::{Instant, TimeHandle};

use crate::stream::{self, Purpose};

/// How madsim's clock follows the run's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stepping {
    /// Once per millisecond in which something happens.
    #[default]
    Slice,
    /// Before every instant.
    Exact,
}

/// Something with a queue of events, that time can be run through.
pub trait Timeline {
    /// When the next event is due, in microseconds.
    fn next_due(&self) -> Option<u64>;

    /// Handles all events due at or before `limit`, those that come up meanwhile too.
    /// `false`: it wants to stop for good.
    fn run_through(&mut self, limit: u64) -> bool;
}

const SLICE_US: u64 = 1_000;

/// Runs a timeline until nothing is due at or before `end`, moving madsim's clock along. Must be
/// called inside a madsim runtime. Other tasks of it run whenever the clock moves.
pub async fn drive(timeline: &mut impl Timeline, stepping: Stepping, end: u64) {
    let clock = Clock::now();
    while let Some(due) = timeline.next_due().filter(|due| *due <= end) {
        let limit = match stepping {
            Stepping::Slice => {
                clock.move_to(due - due % SLICE_US).await;
                (due - due % SLICE_US + SLICE_US - 1).min(end)
            }
            Stepping::Exact => {
                clock.move_to(due).await;
                due
            }
        };
        if !timeline.run_through(limit) {
            return;
        }
    }
    clock.move_to(end).await;
}

/// madsim's clock, seen from the run's: its zero is where the run began.
#[derive(Debug, Clone, Copy)]
struct Clock {
    zero: Instant,
}

impl Clock {
    fn now() -> Self {
        Self { zero: TimeHandle::current().now_instant() }
    }

    /// Sleeps until an instant of the run; one that has passed takes no time.
    async fn move_to(self, us: u64) {
        let deadline = self.zero + Duration::from_micros(us);
        let handle = TimeHandle::current();
        if handle.now_instant() >= deadline {
            return;
        }
        // A sleep is never shorter than 1 ms, but it can be made so afterwards.
        let mut sleep = std::pin::pin!(handle.sleep_until(deadline));
        sleep.as_mut().reset(deadline);
        sleep.await;
    }
}

/// Runs a job inside a madsim runtime on a fresh OS thread: a reused thread would keep the hash
/// keys of the run before.
///
/// # Panics
/// If the operating system refuses the thread, or the job panics.
pub fn in_world<T: Send>(seed: u64, job: impl AsyncFnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let world = std::thread::Builder::new()
            .name("hublab-run".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, || {
                let runtime = Runtime::with_seed_and_config(stream::key(seed, Purpose::World, &[]), madsim::Config::default());
                runtime.block_on(job())
            })
            .expect("the operating system grants a thread");
        match world.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

const STACK: usize = 4 << 20;
