//! The world that a run lives in: a madsim runtime on a thread of its own, whose clock follows
//! the run's.
//!
//! madsim's interposition keeps OS entropy, the std clocks and hash seeds under the seed, and
//! refuses hidden threads. Its timers and its network are not used: the engine has its own queue,
//! and moves madsim's clock along with it. There are two ways to do that, and one order of events:
//! [`Stepping::Slice`] lets all events of a millisecond happen and then moves the clock once;
//! [`Stepping::Exact`] moves it before every instant, for asynchronous code that must see each.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};
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

impl Stepping {
    /// For an event due at `due`: where madsim's clock goes, and up to where events may then
    /// happen, both in microseconds.
    fn stretch(self, due: u64, end: u64) -> (u64, u64) {
        match self {
            Self::Slice => {
                let from = due - due % SLICE_US;
                (from, (from + (SLICE_US - 1)).min(end))
            }
            Self::Exact => (due, due),
        }
    }
}

const SLICE_US: u64 = 1_000;

/// Something with a queue of events, that time can be run through.
///
/// The defaulted methods are for a timeline that shares its world with other tasks, see
/// [`crate::simulation`].
pub trait Timeline {
    /// When the next event is due, in microseconds.
    fn next_due(&self) -> Option<u64>;

    /// Handles all events due at or before `limit`, those that come up meanwhile too; fewer, if
    /// that leads to an [appointment](Self::appointment). `false`: it wants to stop for good.
    fn run_through(&mut self, limit: u64) -> bool;

    /// The instant that time has come to, in microseconds, if other tasks wait for it.
    fn appointment(&self) -> Option<u64> {
        None
    }

    /// Wakes the task that the appointment at `instant` is with.
    fn keep_appointment(&mut self, _instant: u64) {}

    /// Ready once after another task changed what is due next.
    fn poll_changed(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// Runs a timeline until nothing is due at or before `end` (in microseconds), moving madsim's
/// clock along from where it is. Must be called inside a madsim runtime. Other tasks of it run
/// whenever the clock moves.
pub async fn drive(timeline: &mut impl Timeline, stepping: Stepping, end: u64) {
    let clock = Clock::starting_now();
    while drive_on(clock, timeline, stepping, end).await == Pause::Appointment {}
}

/// Why a drive pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// A task was woken that time must wait for. There is no way to wait for it from inside
    /// madsim's runtime, but its `block_on` returns only when no task can run any further.
    Appointment,
    /// The end has come, or the timeline wants to stop.
    End,
}

/// [`drive`], as far as the next appointment.
pub(crate) async fn drive_on(
    clock: Clock,
    timeline: &mut impl Timeline,
    stepping: Stepping,
    end: u64,
) -> Pause {
    loop {
        if let Some(instant) = timeline.appointment() {
            clock.move_to(instant).await;
            timeline.keep_appointment(instant);
            return Pause::Appointment;
        } else if let Some(due) = timeline.next_due().filter(|due| *due <= end) {
            let (from, limit) = stepping.stretch(due, end);
            if clock.has_moved_to(from, timeline).await && !timeline.run_through(limit) {
                return Pause::End;
            }
        } else if clock.has_moved_to(end, timeline).await {
            return Pause::End;
        }
    }
}

/// madsim's clock, seen from the run's: its zero is where the run began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    zero: Instant,
}

impl Clock {
    pub(crate) fn starting_now() -> Self {
        Self {
            zero: TimeHandle::current().now_instant(),
        }
    }

    /// The instant of the run that it shows, in whole microseconds.
    pub(crate) fn now_us(self) -> u64 {
        let elapsed = TimeHandle::current().now_instant() - self.zero;
        u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
    }

    /// Sleeps until an instant of the run; one that has passed takes no time.
    async fn move_to(self, us: u64) {
        sleep_until(self.zero + Duration::from_micros(us)).await;
    }

    /// [`Self::move_to`], unless another task changes what is due next meanwhile: then `false`.
    async fn has_moved_to(self, us: u64, timeline: &mut impl Timeline) -> bool {
        let mut moved = pin!(self.move_to(us));
        poll_fn(|cx| match timeline.poll_changed(cx) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending => moved.as_mut().poll(cx).map(|()| true),
        })
        .await
    }
}

async fn sleep_until(deadline: Instant) {
    let handle = TimeHandle::current();
    if handle.now_instant() >= deadline {
        return;
    }
    // A sleep is never shorter than 1 ms, but it can be made so afterwards.
    let mut sleep = pin!(handle.sleep_until(deadline));
    sleep.as_mut().reset(deadline);
    sleep.await;
}

/// Runs a job inside a madsim runtime on a fresh OS thread: a reused thread would keep the hash
/// keys of the run before.
///
/// # Panics
/// If the operating system refuses the thread, or the job panics.
pub fn in_world<T: Send>(seed: u64, job: impl AsyncFnOnce() -> T + Send) -> T {
    with_runtime(seed, |runtime| runtime.block_on(job()))
}

/// [`in_world`], for a job that enters the runtime by itself, as often as it likes.
pub(crate) fn with_runtime<T: Send>(seed: u64, job: impl FnOnce(&Runtime) -> T + Send) -> T {
    std::thread::scope(|scope| {
        let world = std::thread::Builder::new()
            .name("hublab-run".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, || {
                let seed = stream::key(seed, Purpose::World, &[]);
                let runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
                job(&runtime)
            })
            .expect("the operating system grants a thread");
        match world.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

const STACK: usize = 4 << 20;
