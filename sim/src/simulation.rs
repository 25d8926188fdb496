//! [`Handle`]: a run under way, as the other tasks of its madsim runtime hold it.
//!
//! A task can wait for an instant of the run, put commands into nodes, and learn of nodes that
//! stop. Time never passes an instant that a task waits for before that task, and all that it
//! wakes, has run; tasks that wait for one instant take turns, the first to wait first. So a run
//! with tasks is as repeatable as one without, and does not depend on the stepping, unless a task
//! goes by madsim's own timers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hublab_strategies::panic::message;
use hublab_strategies::{NodeId, Time};
use madsim::runtime::Runtime;

use crate::engine::inject::{InjectError, Injection, Stop};
use crate::engine::{Engine, Finished};
use crate::node::Node;
use crate::watch::oracle::NO_CRASH;
use crate::world::{Clock, Pause, Stepping, Timeline, drive_on};

/// A handle to a run. Clones are handles to the same run; all live in one thread.
#[derive(Clone)]
pub struct Handle {
    shared: Rc<RefCell<Shared>>,
    clock: Clock,
    end: Time,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("now", &self.now())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

struct Shared {
    /// `None` when the run is over.
    engine: Option<Engine>,
    /// The instant that the run came to, when it is over.
    over: Time,
    crashed: bool,
    /// Everything due at or before this instant has happened.
    reached: Option<Time>,
    /// Time stands still at this instant, for tasks to use.
    held: Option<Time>,
    /// Tasks that wait for an instant, by it and a number of their own.
    sleepers: BTreeMap<(Time, u64), Waker>,
    /// Tasks that wait for a node to stop, by the number of their [`Stops`], and how many stops
    /// each has seen.
    watchers: BTreeMap<u64, (usize, Waker)>,
    /// The last number given to a sleeper or a watcher.
    last_number: u64,
    /// A task changed what is due next.
    changed: bool,
    driver: Option<Waker>,
}

impl Handle {
    /// A run at time 0, its first nodes booted. `has_job`: other tasks will use it.
    pub(crate) fn start(mut engine: Engine, has_job: bool) -> Self {
        if has_job {
            engine.watch_stops();
        }
        let end = engine.end();
        let mut shared = Shared {
            engine: Some(engine),
            over: end,
            crashed: false,
            reached: None,
            held: has_job.then_some(Time::ZERO),
            sleepers: BTreeMap::new(),
            watchers: BTreeMap::new(),
            last_number: 0,
            changed: false,
            driver: None,
        };
        shared.guard(Engine::start);
        Self {
            shared: Rc::new(RefCell::new(shared)),
            clock: Clock::starting_now(),
            end,
        }
    }

    /// Runs to the end, to the first panic of a node's code, or until the budget is used up.
    pub(crate) fn run_to_end(&self, runtime: &Runtime, stepping: Stepping) -> Finished {
        while runtime.block_on(drive_on(self.clock, &mut &*self, stepping, self.end.0))
            == Pause::Appointment
        {}
        let (engine, crashed) = {
            let mut shared = self.shared.borrow_mut();
            (
                shared.engine.take().expect("a run ends once"),
                shared.crashed,
            )
        };
        let finished = engine.finish(crashed);
        let mut shared = self.shared.borrow_mut();
        shared.over = finished.now;
        std::mem::take(&mut shared.sleepers)
            .into_values()
            .for_each(Waker::wake);
        std::mem::take(&mut shared.watchers)
            .into_values()
            .for_each(|(_, waker)| waker.wake());
        finished
    }

    /// The instant of the run: the one that time stands still at, if this task was woken for it;
    /// otherwise what madsim's clock shows, but never before what has happened, nor behind what
    /// is due next. When the run is over, the instant it came to.
    #[must_use]
    pub fn now(&self) -> Time {
        self.shared.borrow().now(self.clock, self.end)
    }

    /// The end of the run.
    #[must_use]
    pub fn end(&self) -> Time {
        self.end
    }

    /// Waits until everything due at or before `instant` has happened, and nothing after it.
    /// Answers the instant that was reached: an earlier one if the run ended before, a later one
    /// if `instant` has passed.
    pub fn run_until(&self, instant: Time) -> RunUntil {
        RunUntil {
            simulation: self.clone(),
            instant,
            place: None,
        }
    }

    /// Puts a command, or what became of a child, into a node now: behind what has happened by
    /// now, before what is still to happen. For expectations, that is a step.
    ///
    /// # Errors
    /// The node is unknown or does not run, or the run is over; nothing has changed.
    pub fn inject(
        &self,
        node: &NodeId,
        injection: impl Into<Injection>,
    ) -> Result<(), InjectError> {
        let now = self.now();
        let shared = &mut *self.shared.borrow_mut();
        let mut result = Err(InjectError::Over);
        shared.guard(|engine| result = engine.inject(now, node, injection.into()));
        // Its effects may be due at this very instant.
        shared.reached = shared.reached.min(now.0.checked_sub(1).map(Time));
        shared.change();
        result
    }

    /// Looks at a node; `None` if it does not run, or the run is over.
    pub fn inspect<R>(&self, node: &NodeId, look: impl FnOnce(&dyn Node) -> R) -> Option<R> {
        let shared = self.shared.borrow();
        let engine = shared.engine.as_ref()?;
        engine.node(engine.position(node).ok()?).map(look)
    }

    /// The stops of nodes from now on.
    #[must_use]
    pub fn stops(&self) -> Stops {
        let mut shared = self.shared.borrow_mut();
        Stops {
            simulation: self.clone(),
            number: shared.next_number(),
            seen: shared.stops().len(),
        }
    }

    /// Waits until a node stops, from now on; `None` if the run ends before.
    pub async fn stopped(&self, node: &NodeId) -> Option<Stop> {
        let mut stops = self.stops();
        while let Some(stop) = stops.next().await {
            if stop.node == *node {
                return Some(stop);
            }
        }
        None
    }
}

impl Shared {
    fn now(&self, clock: Clock, end: Time) -> Time {
        let Some(engine) = &self.engine else {
            return self.over;
        };
        let shown = self.held.unwrap_or_else(|| Time(clock.now_us()));
        let next = engine.next_due().map_or(end, |due| Time(due).min(end));
        shown.min(next).max(engine.now())
    }

    /// Lets the engine work. The first panic of a node's code ends the run; any other goes on.
    fn guard(&mut self, job: impl FnOnce(&mut Engine)) {
        let Some(engine) = self.engine.as_mut().filter(|_| !self.crashed) else {
            return;
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(engine))) {
            if !engine.note_panic(message(panic.as_ref()).unwrap_or(NO_CRASH)) {
                resume_unwind(panic);
            }
            self.crashed = true;
        }
    }

    /// Tells the driver that what is due next has changed.
    fn change(&mut self) {
        self.changed = true;
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    fn first_sleeper(&self) -> Option<Time> {
        self.sleepers
            .first_key_value()
            .map(|((instant, _), _)| *instant)
    }

    /// The first task to be told of a stop, and when that was.
    fn first_watcher(&self) -> Option<(u64, Time)> {
        let stops = self.stops();
        self.watchers
            .iter()
            .find_map(|(number, (seen, _))| Some((*number, stops.get(*seen)?.at)))
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn stops(&self) -> &[Stop] {
        self.engine.as_ref().map_or(&[], Engine::stops)
    }
}

impl Timeline for &Handle {
    fn next_due(&self) -> Option<u64> {
        let shared = self.shared.borrow();
        let due = shared
            .engine
            .as_ref()
            .filter(|_| !shared.crashed)
            .and_then(Engine::next_due);
        due.into_iter()
            .chain(shared.first_sleeper().map(|Time(us)| us))
            .min()
    }

    fn run_through(&mut self, limit: u64) -> bool {
        let shared = &mut *self.shared.borrow_mut();
        let limit = shared
            .first_sleeper()
            .map_or(limit, |Time(us)| us.min(limit));
        let stops = shared.stops().len();
        let mut goes_on = false;
        shared.guard(|engine| goes_on = engine.run_through(limit));
        if shared.stops().len() == stops {
            shared.reached = shared.reached.max(Some(Time(limit)));
        }
        goes_on
    }

    fn appointment(&self) -> Option<u64> {
        let shared = self.shared.borrow();
        let sleeper = shared
            .first_sleeper()
            .filter(|instant| Some(*instant) <= shared.reached);
        shared
            .first_watcher()
            .map(|(_, at)| at)
            .or(sleeper)
            .map(|Time(us)| us)
    }

    fn keep_appointment(&mut self, instant: u64) {
        let shared = &mut *self.shared.borrow_mut();
        shared.held = Some(Time(instant));
        let task = match shared.first_watcher() {
            Some((number, _)) => shared.watchers.remove(&number).map(|(_, waker)| waker),
            None => shared.sleepers.pop_first().map(|(_, waker)| waker),
        };
        task.into_iter().for_each(Waker::wake);
    }

    fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut shared = self.shared.borrow_mut();
        shared.held = None;
        if std::mem::take(&mut shared.changed) {
            return Poll::Ready(());
        }
        shared.driver = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// [`Handle::run_until`].
#[must_use = "nothing waits unless it is awaited"]
#[derive(Debug)]
pub struct RunUntil {
    simulation: Handle,
    instant: Time,
    place: Option<u64>,
}

impl Future for RunUntil {
    type Output = Time;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Time> {
        self.leave_place();
        let now = self.simulation.now();
        let number = {
            let shared = &mut *self.simulation.shared.borrow_mut();
            if shared.engine.is_none() || shared.reached >= Some(self.instant) {
                return Poll::Ready(now);
            }
            let number = shared.next_number();
            shared
                .sleepers
                .insert((self.instant, number), cx.waker().clone());
            shared.change();
            number
        };
        self.place = Some(number);
        Poll::Pending
    }
}

impl RunUntil {
    fn leave_place(&mut self) {
        if let Some(number) = self.place.take() {
            self.simulation
                .shared
                .borrow_mut()
                .sleepers
                .remove(&(self.instant, number));
        }
    }
}

impl Drop for RunUntil {
    fn drop(&mut self) {
        self.leave_place();
    }
}

/// The stops of nodes, in order, none left out.
#[derive(Debug)]
pub struct Stops {
    simulation: Handle,
    number: u64,
    seen: usize,
}

impl Stops {
    /// Waits for the next stop; `None` if the run ends before.
    pub async fn next(&mut self) -> Option<Stop> {
        poll_fn(|cx| {
            let shared = &mut *self.simulation.shared.borrow_mut();
            if shared.engine.is_none() {
                return Poll::Ready(None);
            }
            if let Some(stop) = shared.stops().get(self.seen).cloned() {
                self.seen += 1;
                return Poll::Ready(Some(stop));
            }
            shared
                .watchers
                .insert(self.number, (self.seen, cx.waker().clone()));
            Poll::Pending
        })
        .await
    }
}

impl Drop for Stops {
    fn drop(&mut self) {
        self.simulation
            .shared
            .borrow_mut()
            .watchers
            .remove(&self.number);
    }
}
