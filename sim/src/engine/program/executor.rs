//! The executor of a run's programs: tasks, sleeps, and what is ready. It knows no engine.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};
use std::thread::ThreadId;

use hublab_strategies::Time;
use hublab_strategies::panic::in_words;
use hublab_strategies::rt::{self, Claim, Driver, TaskId};

use crate::model::{NodeIx, TaskOrder};
use crate::stream::{Stream, below};
use crate::trace::event::EventId;

/// The executor of a run: its tasks, their sleeps, and which of them are woken. As a driver it answers the
/// programs' calls of `rt`.
pub(super) struct Executor {
    now: Cell<Time>,
    /// The task that is polled now.
    current: Cell<Option<TaskId>>,
    state: RefCell<State>,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct State {
    last_task: TaskId,
    last_appointment: u64,
    tasks: BTreeMap<TaskId, Entry>,
    sleeps: BTreeMap<(Time, u64), Sleeper>,
    /// The claims that the current poll has made so far.
    claims: Vec<Claim>,
}

struct Entry {
    node: NodeIx,
    /// Taken out while it is polled.
    task: Option<rt::Task>,
    spawned_at: &'static Location<'static>,
    waker: Arc<TaskWaker>,
    /// The event that it has been woken by.
    cause: EventId,
    is_aborted: bool,
}

/// A task that waits for an instant.
struct Sleeper {
    waker: Waker,
    /// Whose poll made the appointment.
    task: Option<TaskId>,
    /// The event that this poll followed from.
    cause: EventId,
}

/// The tasks that were woken, in that order.
struct Woken {
    /// The thread of the run.
    home: ThreadId,
    any: AtomicBool,
    tasks: Mutex<Vec<TaskId>>,
    /// Tasks that another thread woke.
    foreign: Mutex<Vec<TaskId>>,
}

struct TaskWaker {
    task: TaskId,
    is_queued: AtomicBool,
    woken: Arc<Woken>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let woken = &self.woken;
        if std::thread::current().id() != woken.home {
            lock(&woken.foreign).push(self.task);
            woken.any.store(true, Ordering::Release);
        } else if !self.is_queued.swap(true, Ordering::Relaxed) {
            lock(&woken.tasks).push(self.task);
            woken.any.store(true, Ordering::Release);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One poll of a task.
pub(super) struct Poll {
    /// The event that it followed from.
    pub(super) cause: EventId,
    pub(super) claims: Vec<Claim>,
    pub(super) outcome: Polled,
}

/// The result of a poll.
pub(super) enum Polled {
    Pending,
    Ended,
    /// With this message.
    Panicked(String),
}

impl Executor {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            now: Cell::new(Time::ZERO),
            current: Cell::new(None),
            state: RefCell::default(),
            woken: Arc::new(Woken {
                home: std::thread::current().id(),
                any: AtomicBool::new(false),
                tasks: Mutex::default(),
                foreign: Mutex::default(),
            }),
        })
    }

    /// True if a task has been woken since [`Self::take_woken`].
    #[inline]
    pub(super) fn is_woken(&self) -> bool {
        self.woken.any.load(Ordering::Acquire)
    }

    pub(super) fn set_now(&self, now: Time) {
        self.now.set(now);
    }

    /// When the next sleep is over.
    pub(super) fn next_due(&self) -> Option<Time> {
        let state = self.state.borrow();
        state.sleeps.first_key_value().map(|((at, _), _)| *at)
    }

    /// Adds a task of a node. It is ready at once.
    pub(super) fn add(
        &self,
        node: NodeIx,
        cause: EventId,
        task: rt::Task,
        spawned_at: &'static Location<'static>,
    ) -> TaskId {
        let mut state = self.state.borrow_mut();
        state.last_task += 1;
        let id = state.last_task;
        let waker = Arc::new(TaskWaker {
            task: id,
            is_queued: AtomicBool::new(false),
            woken: Arc::clone(&self.woken),
        });
        waker.wake_by_ref();
        let entry = Entry {
            node,
            task: Some(task),
            spawned_at,
            waker,
            cause,
            is_aborted: false,
        };
        state.tasks.insert(id, entry);
        id
    }

    /// Wakes the tasks whose sleeps are over by now. Each has the cause that it fell asleep with.
    pub(super) fn end_sleeps(&self) {
        let now = self.now.get();
        loop {
            let sleeper = {
                let mut state = self.state.borrow_mut();
                let Some(first) = state.sleeps.first_entry() else {
                    return;
                };
                if first.key().0 > now {
                    return;
                }
                let sleeper = first.remove();
                if let Some(entry) = sleeper.task.and_then(|task| state.tasks.get_mut(&task))
                    && !entry.waker.is_queued.load(Ordering::Relaxed)
                {
                    entry.cause = sleeper.cause;
                }
                sleeper
            };
            sleeper.waker.wake();
        }
    }

    /// The tasks that have been woken, with their nodes, and those that another thread has woken.
    /// `cause` is told the node and answers what woke it; without, they keep theirs.
    pub(super) fn take_woken(
        &self,
        cause: Option<&dyn Fn(NodeIx) -> EventId>,
    ) -> (Vec<(NodeIx, TaskId)>, Vec<TaskId>) {
        self.woken.any.store(false, Ordering::Release);
        let woken = std::mem::take(&mut *lock(&self.woken.tasks));
        let foreign = std::mem::take(&mut *lock(&self.woken.foreign));
        let mut state = self.state.borrow_mut();
        let of_task = |task: TaskId| {
            let entry = state.tasks.get_mut(&task)?;
            if let Some(cause) = cause {
                entry.cause = entry.cause.max(cause(entry.node));
            }
            Some((entry.node, task))
        };
        (woken.into_iter().filter_map(of_task).collect(), foreign)
    }

    /// Polls a task once; `None` if there is no such task any more.
    pub(super) fn poll(&self, id: TaskId) -> Option<Poll> {
        let (task, waker, cause) = {
            let mut state = self.state.borrow_mut();
            let entry = state.tasks.get_mut(&id)?;
            entry.waker.is_queued.store(false, Ordering::Relaxed);
            if entry.is_aborted {
                let entry = state.tasks.remove(&id);
                drop(state);
                self.drop_quietly(entry);
                return None;
            }
            let task = entry.task.take()?;
            (task, Arc::clone(&entry.waker), entry.cause)
        };
        let waker = Waker::from(waker);
        let mut cx = Context::from_waker(&waker);
        self.current.set(Some(id));
        let mut task = task;
        let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut cx)));
        self.current.set(None);
        let outcome = match polled {
            Ok(std::task::Poll::Pending) => Polled::Pending,
            Ok(std::task::Poll::Ready(())) => Polled::Ended,
            Err(panic) => Polled::Panicked(in_words(panic.as_ref()).to_owned()),
        };
        let (claims, over) = {
            let mut state = self.state.borrow_mut();
            let claims = std::mem::take(&mut state.claims);
            let over = match (&outcome, state.tasks.get_mut(&id)) {
                (Polled::Pending, Some(entry)) => {
                    entry.task = Some(task);
                    None
                }
                _ => Some((task, state.tasks.remove(&id))),
            };
            (claims, over)
        };
        self.drop_quietly(over);
        Some(Poll {
            cause,
            claims,
            outcome,
        })
    }

    /// Drops what belonged to tasks. What that drops may spawn and sleep: it is too late.
    fn drop_quietly<T>(&self, value: T) {
        // A panic in a destructor is nobody's verdict: the node is gone.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(value)));
        drop(dropped);
        self.state.borrow_mut().claims.clear();
    }

    /// Drops all tasks of a node.
    pub(super) fn drop_tasks_of(&self, node: NodeIx) {
        self.drop_tasks(|entry| entry.node == node);
    }

    /// Drops all tasks.
    pub(super) fn drop_all(&self) {
        self.drop_tasks(|_| true);
    }

    fn drop_tasks(&self, is_dropped: impl Fn(&Entry) -> bool) {
        let dropped: Vec<Entry> = {
            let mut state = self.state.borrow_mut();
            let ids = state.tasks.iter().filter(|(_, entry)| is_dropped(entry));
            let ids: Vec<TaskId> = ids.map(|(id, _)| *id).collect();
            ids.iter().filter_map(|id| state.tasks.remove(id)).collect()
        };
        for entry in dropped {
            self.drop_quietly(entry);
        }
    }

    /// Where a task was spawned, as text.
    pub(super) fn place(&self, task: TaskId) -> Option<(NodeIx, String)> {
        let state = self.state.borrow();
        let entry = state.tasks.get(&task)?;
        Some((entry.node, entry.spawned_at.to_string()))
    }

    /// Tasks that nobody can wake any more, with the event that they have been woken by last.
    pub(super) fn stuck(&self) -> Vec<(NodeIx, EventId, TaskId)> {
        let state = self.state.borrow();
        let is_stuck = |(_, entry): &(&TaskId, &Entry)| {
            let is_held = Arc::strong_count(&entry.waker) > 1;
            !is_held && !entry.waker.is_queued.load(Ordering::Relaxed)
        };
        let stuck = state.tasks.iter().filter(is_stuck);
        stuck
            .map(|(id, entry)| (entry.node, entry.cause, *id))
            .collect()
    }
}

impl Driver for Executor {
    fn now(&self) -> Time {
        self.now.get()
    }

    fn wake_at(&self, at: Time, waker: &Waker) -> u64 {
        let mut state = self.state.borrow_mut();
        state.last_appointment += 1;
        let number = state.last_appointment;
        let task = self.current.get();
        let entry = task.and_then(|task| state.tasks.get(&task));
        let cause = entry.map_or(0, |entry| entry.cause);
        let waker = waker.clone();
        let sleeper = Sleeper { waker, task, cause };
        state.sleeps.insert((at, number), sleeper);
        number
    }

    fn cancel(&self, at: Time, appointment: u64) {
        let sleeper = self.state.borrow_mut().sleeps.remove(&(at, appointment));
        drop(sleeper);
    }

    fn spawn(&self, task: rt::Task, spawned_at: &'static Location<'static>) -> Option<TaskId> {
        let current = self.current.get()?;
        let (node, cause) = {
            let state = self.state.borrow();
            let entry = state.tasks.get(&current)?;
            (entry.node, entry.cause)
        };
        Some(self.add(node, cause, task, spawned_at))
    }

    fn abort(&self, task: TaskId) {
        let mut state = self.state.borrow_mut();
        if let Some(entry) = state.tasks.get_mut(&task) {
            entry.is_aborted = true;
            entry.waker.wake_by_ref();
        }
    }

    fn claim(&self, claim: Claim) {
        self.state.borrow_mut().claims.push(claim);
    }
}

/// The tasks of one node that are ready.
pub(super) struct Ready {
    tasks: VecDeque<TaskId>,
    order: TaskOrder,
    stream: Stream,
}

impl Ready {
    pub(super) fn new(order: TaskOrder, stream: Stream) -> Self {
        Self {
            tasks: VecDeque::new(),
            order,
            stream,
        }
    }

    pub(super) fn push(&mut self, task: TaskId) {
        self.tasks.push_back(task);
    }

    /// The next one to be polled.
    pub(super) fn pop(&mut self) -> Option<TaskId> {
        let count = self.tasks.len();
        match self.order {
            TaskOrder::Random if count > 1 => {
                let drawn = below(self.stream.next_draw(), count as u64);
                self.tasks
                    .swap_remove_back(usize::try_from(drawn).unwrap_or(0))
            }
            TaskOrder::Random | TaskOrder::Fifo => self.tasks.pop_front(),
        }
    }

    /// Draws from another stream from now on.
    pub(super) fn turn(&mut self, salt: u64) {
        self.stream.turn(salt);
    }
}
