//! Children as tokio tasks: the factories that start them, and the supervisor that restarts them.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::handle::WeakHub;
use crate::child::{ChildSpec, Metadata};
use crate::hub::ChildEvent;
use crate::name::{ChildId, NameHasher, Pid};

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
pub trait Ending: sealed::Sealed {
    /// The error, if it ended with one.
    ///
    /// # Errors
    /// The text of the error.
    fn into_result(self) -> Result<(), String>;
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

impl Ending for () {
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: fmt::Display> Ending for Result<(), E> {
    fn into_result(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

impl Ending for sealed::Never {
    fn into_result(self) -> Result<(), String> {
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

type Task = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
type Factory = Arc<dyn Fn(ChildContext) -> Task + Send + Sync>;

/// The kinds of children that a node can start, each with a factory. A child is a tokio task that
/// runs the future its factory made; one that returns an error or panics is restarted with a new
/// pid, as the limits allow. Stopping a child cancels [`ChildContext::stopping`], and drops its
/// future at its next await when the grace period is over.
#[derive(Clone, Default)]
pub struct Tasks {
    factories: BTreeMap<Box<str>, Factory>,
    otherwise: Option<Factory>,
    limits: RestartLimits,
    grace: Duration,
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
        T: Future<Output: Ending> + Send + 'static,
    {
        self.factories.insert(kind.into(), boxed(factory));
        self
    }

    /// Sets the factory of all kinds that have none of their own.
    #[must_use]
    pub fn otherwise<F, T>(mut self, factory: F) -> Self
    where
        F: Fn(ChildContext) -> T + Send + Sync + 'static,
        T: Future<Output: Ending> + Send + 'static,
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

    fn factory(&self, kind: &str) -> Option<&Factory> {
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
    T: Future<Output: Ending> + Send + 'static,
{
    let factory = Arc::new(factory);
    Arc::new(move |context| {
        let factory = Arc::clone(&factory);
        Box::pin(async move { factory(context).await.into_result() })
    })
}

/// The longest wait before a restart, whatever the limits say.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);

/// Exits that are handled in one step.
const EXITS_MAX: usize = 10_000;

/// A process that ended by itself.
pub(super) struct Exit {
    pid: Pid,
    reason: StopReason,
}

/// What follows an exit.
pub(super) enum ExitAction {
    /// Of a process that was stopped meanwhile: nothing.
    Nothing,
    /// The child gets a new process after this time.
    Restart {
        child: ChildId,
        pid: Pid,
        reason: StopReason,
        after: Duration,
    },
    /// The child is gone for good.
    End {
        child: ChildId,
        pid: Pid,
        reason: StopReason,
    },
}

struct Running {
    child: ChildId,
    abort: AbortHandle,
    stopping: CancellationToken,
}

/// The processes of one node.
pub(super) struct Supervisor {
    tasks: Tasks,
    hub: WeakHub,
    set: JoinSet<Exit>,
    /// Only ever asked by pid.
    running: HashMap<Pid, Running, NameHasher>,
    /// The instants of the last restarts of children that have failed lately.
    restarts: BTreeMap<ChildId, VecDeque<Instant>>,
    /// Processes that are gone and wait for a successor.
    waiting: BTreeMap<Pid, (Instant, ChildId)>,
    due: BTreeSet<(Instant, Pid)>,
    /// Processes that were asked to stop, and when they are dropped.
    stopping: BTreeMap<(Instant, Pid), AbortHandle>,
}

impl Supervisor {
    pub(super) fn new(tasks: Tasks, hub: WeakHub) -> Self {
        Self {
            tasks,
            hub,
            stopping: BTreeMap::new(),
            set: JoinSet::new(),
            running: HashMap::default(),
            restarts: BTreeMap::new(),
            waiting: BTreeMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// How many processes run.
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    /// Starts a process. Returns what the hub is to be told.
    pub(super) fn start(&mut self, spec: &ChildSpec, pid: &Pid, metadata: &Metadata) -> ChildEvent {
        let Some(factory) = self.tasks.factory(spec.kind()) else {
            return ChildEvent::Failed {
                pid: pid.clone(),
                reason: format!("this node cannot start children of kind `{}`", spec.kind()),
            };
        };
        let (factory, name) = (Arc::clone(factory), pid.clone());
        let stopping = CancellationToken::new();
        let context = ChildContext {
            spec: spec.clone(),
            pid: pid.clone(),
            metadata: metadata.clone(),
            hub: self.hub.clone(),
            stopping: stopping.clone(),
        };
        let abort = self.set.spawn(async move {
            let reason = outcome(factory, context).await;
            Exit { pid: name, reason }
        });
        let running = Running {
            child: spec.id().clone(),
            abort,
            stopping,
        };
        self.running.insert(pid.clone(), running);
        ChildEvent::Started(pid.clone())
    }

    /// Stops a process, or what waits to become its successor. Returns the child, if there was one.
    pub(super) fn stop(&mut self, pid: &Pid) -> Option<ChildId> {
        let child = match self.running.remove(pid) {
            Some(running) => {
                running.stopping.cancel();
                let grace = self.tasks.grace.min(BACKOFF_MAX);
                if grace.is_zero() {
                    running.abort.abort();
                } else {
                    let until = Instant::now() + grace;
                    self.stopping.insert((until, pid.clone()), running.abort);
                }
                running.child
            }
            None => {
                let (at, child) = self.waiting.remove(pid)?;
                self.due.remove(&(at, pid.clone()));
                child
            }
        };
        // A start after this is a new one: what its predecessor did does not count.
        self.restarts.remove(&child);
        Some(child)
    }

    /// The processes that ended by themselves, at least one and no more than [`EXITS_MAX`]; never
    /// returns when there is none to wait for. Dropping the future loses none.
    pub(super) async fn exits(&mut self) -> Vec<Exit> {
        loop {
            let Some(first) = self.set.join_next().await else {
                std::future::pending().await
            };
            // One that was aborted says nothing: whoever did it knows.
            let mut exits: Vec<Exit> = first.into_iter().collect();
            while exits.len() < EXITS_MAX
                && let Some(exit) = self.set.try_join_next()
            {
                exits.extend(exit);
            }
            if !exits.is_empty() {
                return exits;
            }
        }
    }

    /// Decides what becomes of the child whose process ended.
    pub(super) fn on_exit(&mut self, exit: Exit, now: Instant) -> ExitAction {
        let Exit { pid, reason } = exit;
        let Some(Running { child, .. }) = self.running.remove(&pid) else {
            return ExitAction::Nothing;
        };
        let message = match &reason {
            StopReason::Failed(message) | StopReason::Panicked(message) => message.clone(),
            StopReason::Finished | StopReason::Stopped | StopReason::GaveUp(_) => {
                self.restarts.remove(&child);
                return ExitAction::End { child, pid, reason };
            }
        };
        match self.next_wait(&child, now) {
            Some(after) => {
                let at = now.checked_add(after).unwrap_or(now + BACKOFF_MAX);
                self.waiting.insert(pid.clone(), (at, child.clone()));
                self.due.insert((at, pid.clone()));
                ExitAction::Restart {
                    child,
                    pid,
                    reason,
                    after,
                }
            }
            None => {
                self.restarts.remove(&child);
                let reason = StopReason::GaveUp(message);
                ExitAction::End { child, pid, reason }
            }
        }
    }

    /// How long to wait before the next restart; `None` if there were too many.
    fn next_wait(&mut self, child: &ChildId, now: Instant) -> Option<Duration> {
        let limits = self.tasks.limits;
        let past = self.restarts.entry(child.clone()).or_default();
        while past
            .front()
            .is_some_and(|at| now.duration_since(*at) > limits.within)
        {
            past.pop_front();
        }
        let count = u32::try_from(past.len()).unwrap_or(u32::MAX);
        if count >= limits.max_restarts {
            return None;
        }
        let factor = 1_u32.checked_shl(count).unwrap_or(u32::MAX);
        let wait = limits.backoff.saturating_mul(factor);
        past.push_back(now);
        Some(wait.min(limits.backoff_max))
    }

    /// When the next successor is due, or the grace period of a process is over.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let successor = self.due.first().map(|(at, _)| *at);
        let stopping = self.stopping.first_key_value().map(|((at, _), _)| *at);
        successor.into_iter().chain(stopping).min()
    }

    /// Drops the processes whose grace period is over, and forgets those that have ended.
    pub(super) fn end_grace(&mut self, now: Instant) {
        while let Some(entry) = self.stopping.first_entry()
            && (entry.key().0 <= now || entry.get().is_finished())
        {
            entry.remove().abort();
        }
    }

    /// Waits until the processes that were asked to stop have ended, or their grace periods have.
    pub(super) async fn stopped(&mut self) {
        loop {
            self.end_grace(Instant::now());
            let Some(((until, _), _)) = self.stopping.first_key_value() else {
                return;
            };
            let until = *until;
            tokio::select! {
                _ = self.set.join_next() => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// The processes whose successors are due now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<ChildEvent> {
        let mut events = Vec::new();
        while let Some((at, _)) = self.due.first()
            && *at <= now
            && let Some((_, pid)) = self.due.pop_first()
        {
            self.waiting.remove(&pid);
            events.push(ChildEvent::Crashed(pid));
        }
        events
    }

    /// Forgets the restarts of children that have not failed lately. Called now and then.
    pub(super) fn sweep(&mut self, now: Instant) {
        let within = self.tasks.limits.within;
        self.restarts.retain(|_, past| {
            past.back()
                .is_some_and(|at| now.duration_since(*at) <= within)
        });
    }
}

/// Runs a child to its end, whatever it does.
async fn outcome(factory: Factory, context: ChildContext) -> StopReason {
    let mut task = match catch_unwind(AssertUnwindSafe(|| factory(context))) {
        Ok(task) => task,
        Err(panic) => return StopReason::Panicked(message(panic.as_ref())),
    };
    let result = poll_fn(|cx| {
        // A future that panicked is never polled again.
        match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => std::task::Poll::Ready(Err(panic)),
        }
    });
    match result.await {
        Ok(Ok(())) => StopReason::Finished,
        Ok(Err(error)) => StopReason::Failed(error),
        Err(panic) => StopReason::Panicked(message(panic.as_ref())),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a value that is not text").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supervisor(limits: RestartLimits) -> Supervisor {
        let tasks = Tasks::new()
            .with("finish", |_| async {})
            .with("fail", |_| async { Err::<(), _>("no luck") })
            .with(
                "panic",
                |spec| async move { panic!("{} is broken", spec.id()) },
            )
            .with("run", |_| async {
                loop {
                    tokio::time::sleep(Duration::from_secs(3_600)).await;
                }
            })
            .restarts(limits);
        Supervisor::new(tasks, WeakHub::gone())
    }

    async fn end_of(supervisor: &mut Supervisor, kind: &str, pid: &str) -> ExitAction {
        let event = supervisor.start(
            &ChildSpec::new("a", kind),
            &pid.into(),
            &Metadata::default(),
        );
        assert_eq!(event, ChildEvent::Started(pid.into()));
        let mut exits = supervisor.exits().await;
        let exit = exits.pop().expect("there is one");
        supervisor.on_exit(exit, Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_that_fails_is_restarted_later_and_later_and_then_given_up() {
        let limits = RestartLimits::default();
        let mut supervisor = supervisor(limits);
        for (pid, wait) in [("p1", 10), ("p2", 20), ("p3", 40)] {
            let action = end_of(&mut supervisor, "fail", pid).await;
            let ExitAction::Restart { after, reason, .. } = action else {
                panic!("{pid} was not restarted");
            };
            assert_eq!(after, Duration::from_millis(wait));
            assert_eq!(reason, StopReason::Failed("no luck".into()));
            let due = supervisor.next_due().expect("it waits");
            assert!(
                supervisor
                    .take_due(due - Duration::from_millis(1))
                    .is_empty()
            );
            assert_eq!(supervisor.take_due(due), [ChildEvent::Crashed(pid.into())]);
        }
        let action = end_of(&mut supervisor, "fail", "p4").await;
        assert!(
            matches!(action, ExitAction::End { reason: StopReason::GaveUp(text), .. } if text == "no luck")
        );
        assert!(supervisor.restarts.is_empty() && supervisor.next_due().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_long_ago_are_forgotten() {
        let mut supervisor = supervisor(RestartLimits::default());
        for round in 0..10 {
            let action = end_of(&mut supervisor, "fail", &format!("p{round}")).await;
            assert!(
                matches!(action, ExitAction::Restart { after, .. } if after == Duration::from_millis(10))
            );
            tokio::time::advance(Duration::from_secs(6)).await;
        }
        supervisor.sweep(Instant::now());
        assert!(supervisor.restarts.is_empty());
    }

    #[tokio::test]
    async fn a_panic_is_caught_with_its_message_and_an_end_without_error_is_final() {
        let mut supervisor = supervisor(RestartLimits::default());
        let action = end_of(&mut supervisor, "panic", "p1").await;
        assert!(
            matches!(action, ExitAction::Restart { reason: StopReason::Panicked(text), .. } if text == "a is broken")
        );
        let action = end_of(&mut supervisor, "finish", "p2").await;
        assert!(matches!(
            action,
            ExitAction::End {
                reason: StopReason::Finished,
                ..
            }
        ));
    }

    #[tokio::test]
    async fn a_process_that_is_stopped_says_nothing_more_and_one_that_waits_gets_no_successor() {
        let mut supervisor = supervisor(RestartLimits::default());
        supervisor.start(
            &ChildSpec::new("a", "run"),
            &"p1".into(),
            &Metadata::default(),
        );
        assert_eq!(supervisor.stop(&"p1".into()), Some("a".into()));
        assert_eq!(supervisor.stop(&"p1".into()), None);
        let silence = tokio::time::timeout(Duration::from_millis(20), supervisor.exits());
        assert!(silence.await.is_err());
        assert!(matches!(
            end_of(&mut supervisor, "fail", "p2").await,
            ExitAction::Restart { .. }
        ));
        assert_eq!(supervisor.stop(&"p2".into()), Some("a".into()));
        assert_eq!(supervisor.next_due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_that_is_stopped_and_started_anew_has_all_its_restarts_again() {
        let mut supervisor = supervisor(RestartLimits::default());
        for pid in ["p1", "p2", "p3"] {
            let action = end_of(&mut supervisor, "fail", pid).await;
            assert!(matches!(action, ExitAction::Restart { .. }), "{pid}");
            supervisor.take_due(Instant::now() + Duration::from_secs(1));
        }
        supervisor.start(
            &ChildSpec::new("a", "run"),
            &"p4".into(),
            &Metadata::default(),
        );
        supervisor.stop(&"p4".into());
        let action = end_of(&mut supervisor, "fail", "p5").await;
        assert!(
            matches!(action, ExitAction::Restart { after, .. } if after == Duration::from_millis(10))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_has_the_grace_period_to_end_and_is_dropped_then() {
        let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let tasks = Tasks::new()
            .with("flush", move |context: ChildContext| {
                let said = said.clone();
                async move {
                    context.stopping.cancelled().await;
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    // The test may have ended.
                    let _ = said.send(context.pid.clone());
                }
            })
            .with("deaf", |_| std::future::pending::<()>())
            .grace(Duration::from_secs(5));
        let mut supervisor = Supervisor::new(tasks, WeakHub::gone());
        let start = Instant::now();
        for (kind, pid) in [("flush", "p1"), ("deaf", "p2")] {
            let spec = ChildSpec::new(kind, kind);
            supervisor.start(&spec, &pid.into(), &Metadata::default());
            supervisor.stop(&pid.into());
        }
        supervisor.stopped().await;
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        assert_eq!(heard.recv().await, Some("p1".into()));
    }

    #[tokio::test]
    async fn processes_that_end_together_are_handed_over_together() {
        let mut supervisor = supervisor(RestartLimits::default());
        for number in 0..1_000 {
            let spec = ChildSpec::new(format!("c{number}"), "finish");
            supervisor.start(
                &spec,
                &format!("p{number}").as_str().into(),
                &Metadata::default(),
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut exits = supervisor.exits().await.len();
        let mut batches = 1;
        while exits < 1_000 {
            exits += supervisor.exits().await.len();
            batches += 1;
        }
        assert!(batches < 50, "{batches} batches");
    }

    #[tokio::test]
    async fn an_unknown_kind_is_refused() {
        let mut supervisor = supervisor(RestartLimits::default());
        let event = supervisor.start(
            &ChildSpec::new("a", "nothing"),
            &"p1".into(),
            &Metadata::default(),
        );
        assert!(matches!(event, ChildEvent::Failed { reason, .. } if reason.contains("`nothing`")));
    }
}
