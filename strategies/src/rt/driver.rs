//! [`Driver`]: what a simulated run does instead of tokio, and its place in the thread.

use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Waker;

use tokio::time::Instant as Epoch;

use crate::time::Time;

/// A task, before its first poll.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The number of a task of a run.
pub type TaskId = u64;

/// Something that a program says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claim {
    /// [`always!`](super::always): it does not hold.
    Broken {
        /// The claim.
        claim: &'static str,
        /// What is the case instead, if the program says so.
        detail: String,
    },
    /// [`sometimes!`](super::sometimes): it holds here.
    Seen(&'static str),
    /// A task panicked with this message.
    Panicked(String),
}

/// What a run does instead of tokio. It is called only from the thread that it is installed in.
pub trait Driver {
    /// The instant of the run.
    fn now(&self) -> Time;

    /// Wakes at an instant. Returns the number of the appointment.
    fn wake_at(&self, at: Time, waker: &Waker) -> u64;

    /// Calls an appointment off, unless it is over.
    fn cancel(&self, at: Time, appointment: u64);

    /// Adds a task to the program that spawns it; `None` if there is none any more: the task is
    /// dropped.
    fn spawn(&self, task: Task, spawned_at: &'static Location<'static>) -> Option<TaskId>;

    /// Drops a task before its next poll.
    fn abort(&self, task: TaskId);

    /// Takes note of a claim.
    fn claim(&self, claim: Claim);
}

struct Seat {
    driver: Rc<dyn Driver>,
    /// Where the run's time is 0, for instants.
    epoch: Epoch,
}

thread_local! {
    static SEAT: RefCell<Option<Seat>> = const { RefCell::new(None) };
}

/// Keeps a driver installed until it is dropped.
#[derive(Debug)]
pub struct Installed {
    /// It is dropped in its own thread.
    _not_send: PhantomData<*const ()>,
}

/// Installs a driver in this thread, in place of tokio or of another driver.
pub fn install(driver: Rc<dyn Driver>) -> Installed {
    let epoch = Epoch::now();
    SEAT.set(Some(Seat { driver, epoch }));
    Installed {
        _not_send: PhantomData,
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // The thread may be ending: then there is nothing to take away.
        let seat = SEAT.try_with(|seat| seat.borrow_mut().take());
        drop(seat);
    }
}

/// The driver of this thread; `None`: it is tokio.
pub(super) fn current() -> Option<Rc<dyn Driver>> {
    with(|seat| Rc::clone(&seat.driver))
}

/// The driver of this thread, and the instant at which its time is 0.
pub(super) fn current_with_epoch() -> Option<(Rc<dyn Driver>, Epoch)> {
    with(|seat| (Rc::clone(&seat.driver), seat.epoch))
}

fn with<T>(look: impl FnOnce(&Seat) -> T) -> Option<T> {
    SEAT.try_with(|seat| seat.borrow().as_ref().map(look))
        .ok()
        .flatten()
}
