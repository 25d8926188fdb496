//! The supervisor of a node's children: it starts, stops and restarts their tasks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::children::{ChildContext, Factory, StopReason, Tasks};
use super::handle::WeakHub;
use crate::child::{ChildSpec, Metadata};
use crate::hub::ChildEvent;
use crate::name::{ChildId, NameHasher, Pid};
use crate::panic::in_words;

/// The longest wait before a restart, whatever the limits say.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);

/// Exits that are handled in one step.
const EXITS_MAX: usize = 10_000;

/// A process that ended by itself.
pub(super) struct Exit {
    pid: Pid,
    reason: StopReason,
}

/// The action after an exit.
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

    /// The number of processes that run.
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

    /// The wait before the next restart; `None` if there were too many.
    fn next_wait(&mut self, child: &ChildId, now: Instant) -> Option<Duration> {
        let limits = self.tasks.restart_limits();
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
        let within = self.tasks.restart_limits().within;
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
        Err(panic) => return StopReason::Panicked(in_words(panic.as_ref()).to_owned()),
    };
    let result = poll_fn(|cx| {
        // A future that panicked is never polled again.
        match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => std::task::Poll::Ready(Err(panic)),
        }
    });
    match result.await {
        Ok(reason) => reason,
        Err(panic) => StopReason::Panicked(in_words(panic.as_ref()).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::RestartLimits;

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
