//! Tasks of a program.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::panic::in_words;

use super::driver::{Claim, TaskId, current};

/// Starts a task that runs beside this one: on tokio, or in the run, where it belongs to the node
/// whose program spawns it and is dropped with it. It goes on when its handle is dropped.
///
/// In a run, a task that panics is a violation; its node goes on, as a process would on tokio.
///
/// # Panics
/// Outside of both a tokio runtime and a run.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let Some(driver) = current() else {
        return JoinHandle(Handle::Tokio(tokio::spawn(future)));
    };
    let outcome = Outcome::new();
    let promise = Promise(Arc::clone(&outcome));
    let task = Box::pin(async move {
        let promise = promise;
        let mut future = Box::pin(future);
        let result = poll_fn(|cx| {
            // A future that panicked is never polled again.
            match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(poll) => poll.map(Ok),
                Err(panic) => Poll::Ready(Err(in_words(panic.as_ref()).to_owned())),
            }
        });
        promise.0.settle(result.await.map_err(|panic| {
            if let Some(driver) = current() {
                driver.claim(Claim::Panicked(panic.clone()));
            }
            JoinError(Some(panic))
        }));
    });
    let task = driver.spawn(task, Location::caller());
    JoinHandle(Handle::Run { outcome, task })
}

/// Waits for a task, and aborts it. Dropping it does nothing to the task.
#[derive(Debug)]
pub struct JoinHandle<T>(Handle<T>);

enum Handle<T> {
    Tokio(tokio::task::JoinHandle<T>),
    Run {
        outcome: Arc<Outcome<T>>,
        task: Option<TaskId>,
    },
}

impl<T> std::fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tokio(_) => "Tokio",
            Self::Run { .. } => "Run",
        })
    }
}

impl<T> JoinHandle<T> {
    /// Drops the task at its next await; if it has ended already, nothing happens.
    pub fn abort(&self) {
        match &self.0 {
            Handle::Tokio(task) => task.abort(),
            Handle::Run { task, .. } => {
                if let Some((task, driver)) = task.zip(current()) {
                    driver.abort(task);
                }
            }
        }
    }

    /// True if the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.0 {
            Handle::Tokio(task) => task.is_finished(),
            Handle::Run { outcome, .. } => outcome.lock().is_over,
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Handle::Tokio(task) => Pin::new(task).poll(cx).map_err(|error| {
                let panic = error.try_into_panic().ok();
                JoinError(panic.map(|panic| in_words(panic.as_ref()).to_owned()))
            }),
            Handle::Run { outcome, .. } => {
                let mut state = outcome.lock();
                match state.result.take() {
                    Some(result) => Poll::Ready(result),
                    None => {
                        state.waker = Some(cx.waker().clone());
                        Poll::Pending
                    }
                }
            }
        }
    }
}

/// Why a task has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.as_ref().map_or_else(|| "the task was dropped".to_owned(), |panic| format!("the task panicked: {panic}")))]
pub struct JoinError(Option<String>);

impl JoinError {
    /// True if the task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        self.0.is_some()
    }

    /// True if the task was aborted, or its runtime or node stopped.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_none()
    }
}

/// What a task of a run comes to.
struct Outcome<T>(Mutex<OutcomeState<T>>);

struct OutcomeState<T> {
    result: Option<Result<T, JoinError>>,
    is_over: bool,
    waker: Option<Waker>,
}

impl<T> Outcome<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(OutcomeState {
            result: None,
            is_over: false,
            waker: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, OutcomeState<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first result counts.
    fn settle(&self, result: Result<T, JoinError>) {
        let waker = {
            let mut state = self.lock();
            if state.is_over {
                return;
            }
            state.is_over = true;
            state.result = Some(result);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Settles the outcome of a task that is dropped before its end.
struct Promise<T>(Arc<Outcome<T>>);

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.0.settle(Err(JoinError(None)));
    }
}
