//! Children as tokio tasks: the factories that start them, and how often they are restarted.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::handle::WeakHub;
use crate::child::{ChildSpec, Metadata};
use crate::name::Pid;

/// Why a child's process is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// Its future returned without an error. It is not restarted.
    Finished,
    /// It was asked to stop, replaced by a later start, or its hub left.
    Stopped,
    /// Its future returned this error.
    Failed(String),
    /// It panicked with this message.
    Panicked(String),
    /// It failed or panicked once more than the limits allow; the last time with this message.
    GaveUp(String),
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Stopped => f.write_str("stopped"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::GaveUp(message) => write!(f, "restarted too often, the last time: {message}"),
        }
    }
}

/// When a child that fails is restarted, and when it is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartLimits {
    /// The most restarts of one child within [`Self::within`]; one more and it is given up.
    /// Default 3, as a supervisor's.
    pub max_restarts: u32,
    /// The time in which restarts are counted. Default 5 s, as a supervisor's.
    pub within: Duration,
    /// The wait before the first restart; it doubles with each further one within
    /// [`Self::within`]. Default 10 ms.
    pub backoff: Duration,
    /// The longest wait before a restart. Default 1 s.
    pub backoff_max: Duration,
}

impl Default for RestartLimits {
    fn default() -> Self {
        Self {
            max_restarts: 3,
            within: Duration::from_secs(5),
            backoff: Duration::from_millis(10),
            backoff_max: Duration::from_secs(1),
        }
    }
}

/// What the future of a child may return: nothing, a [`Result`] whose error is the reason of its
/// failure, or never.
pub trait TaskOutput: sealed::Sealed {
    /// Why the process is gone: it finished, or failed with the text of the error.
    fn into_reason(self) -> StopReason;
}

mod sealed {
    /// The type of what never returns, which has no name yet.
    pub(super) type Never = <fn() -> ! as Returns>::Value;

    pub trait Returns {
        type Value;
    }

    impl<T> Returns for fn() -> T {
        type Value = T;
    }

    pub trait Sealed {}
    impl Sealed for () {}
    impl<E: std::fmt::Display> Sealed for Result<(), E> {}
    impl Sealed for Never {}
}

impl TaskOutput for () {
    fn into_reason(self) -> StopReason {
        StopReason::Finished
    }
}

impl<E: fmt::Display> TaskOutput for Result<(), E> {
    fn into_reason(self) -> StopReason {
        match self {
            Ok(()) => StopReason::Finished,
            Err(error) => StopReason::Failed(error.to_string()),
        }
    }
}

impl TaskOutput for sealed::Never {
    fn into_reason(self) -> StopReason {
        self
    }
}

/// What a child's factory gets: the child, and its surroundings. It can be used as the
/// [`ChildSpec`] that it contains.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChildContext {
    /// The child's specification, with its id and arguments.
    pub spec: ChildSpec,
    /// Its process.
    pub pid: Pid,
    /// The metadata that it was started with.
    pub metadata: Metadata,
    /// The hub that runs it; it does not keep the hub running.
    pub hub: WeakHub,
    /// Cancelled when the child is asked to stop: from then on it has [`Tasks::grace`] to end.
    pub stopping: CancellationToken,
}

impl Deref for ChildContext {
    type Target = ChildSpec;

    fn deref(&self) -> &ChildSpec {
        &self.spec
    }
}

type Task = Pin<Box<dyn Future<Output = StopReason> + Send>>;
pub(super) type Factory = Arc<dyn Fn(ChildContext) -> Task + Send + Sync>;

/// The kinds of children that a node can start, each with a factory. A child is a tokio task that
/// runs the future its factory made; one that returns an error or panics is restarted with a new
/// pid, as the limits allow. Stopping a child cancels [`ChildContext::stopping`], and drops its
/// future at its next await when the grace period is over.
#[derive(Clone, Default)]
pub struct Tasks {
    factories: BTreeMap<Box<str>, Factory>,
    otherwise: Option<Factory>,
    limits: RestartLimits,
    pub(super) grace: Duration,
}

impl Tasks {
    /// No kinds: every start is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind, replacing an earlier one of that name. The factory and the future that it makes
    /// run inside the child's task.
    #[must_use]
    pub fn with<F, T>(mut self, kind: &str, factory: F) -> Self
    where
        F: Fn(ChildContext) -> T + Send + Sync + 'static,
        T: Future<Output: TaskOutput> + Send + 'static,
    {
        self.factories.insert(kind.into(), boxed(factory));
        self
    }

    /// Sets the factory of all kinds that have none of their own.
    #[must_use]
    pub fn otherwise<F, T>(mut self, factory: F) -> Self
    where
        F: Fn(ChildContext) -> T + Send + Sync + 'static,
        T: Future<Output: TaskOutput> + Send + 'static,
    {
        self.otherwise = Some(boxed(factory));
        self
    }

    /// Sets when children are restarted.
    #[must_use]
    pub fn restarts(mut self, limits: RestartLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how long a child may go on after it was asked to stop; default 0: it is dropped at its
    /// next await. Its row goes at once all the same.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    pub(super) fn restart_limits(&self) -> RestartLimits {
        self.limits
    }

    /// The kinds that have a factory of their own, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.factories.keys().map(|kind| &**kind)
    }

    pub(super) fn factory(&self, kind: &str) -> Option<&Factory> {
        self.factories.get(kind).or(self.otherwise.as_ref())
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks")
            .field("kinds", &self.factories.keys())
            .field("otherwise", &self.otherwise.is_some())
            .field("limits", &self.limits)
            .finish()
    }
}

fn boxed<F, T>(factory: F) -> Factory
where
    F: Fn(ChildContext) -> T + Send + Sync + 'static,
    T: Future<Output: TaskOutput> + Send + 'static,
{
    let factory = Arc::new(factory);
    Arc::new(move |context| {
        let factory = Arc::clone(&factory);
        Box::pin(async move { factory(context).await.into_reason() })
    })
}
