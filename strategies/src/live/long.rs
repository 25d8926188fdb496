//! Steps that take long, and how the other tasks of their thread go on meanwhile.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinError, block_in_place};

use crate::hub::{Command, Envelope, Input};
use crate::request::{Request, Requests};
use crate::runtime::TimerKey;

/// Messages from this length on are decoded, and dropped, elsewhere, and make long steps; in bytes.
pub(super) const LONG: usize = 64 << 10;

/// Steps over more rows than this are long: they may take some milliseconds.
const MANY: usize = 1_000;

/// Performs a long step. On a runtime of several threads, another one first takes over what this
/// one was to do next.
pub(super) fn perform<T>(step: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    if matches!(flavor, Ok(RuntimeFlavor::MultiThread)) {
        block_in_place(step)
    } else {
        step()
    }
}

/// Goes on with the panic of a task. One that was cancelled did not panic: the runtime is shutting
/// down, and what waits for the task will be dropped.
pub(super) fn resume_panic(error: JoinError) {
    if let Ok(panic) = error.try_into_panic() {
        std::panic::resume_unwind(panic);
    }
}

/// True if a step may be long. `bytes` is the length of the message, if it is one, and `all` how
/// many rows the hub holds.
pub(super) fn is_long<S, M>(input: &Input<'_, S, M>, bytes: usize, all: usize) -> bool {
    let rows = match input {
        Input::Message { message, .. } => match message {
            Envelope::Leave => all,
            Envelope::Membership(_) | Envelope::Children(_) | Envelope::Strategy(_) => {
                return bytes >= LONG;
            }
        },
        Input::Timer(key) => match key {
            TimerKey::Sync | TimerKey::Janitor | TimerKey::Debounce => all,
            TimerKey::Discovery | TimerKey::Membership(_) | TimerKey::Strategy(_) => 0,
        },
        Input::Command(command) => rows_of(command, all),
        Input::Children(events) => events.len(),
        Input::Start | Input::PeerUp { .. } | Input::PeerDown { .. } | Input::Suspect { .. } => 0,
    };
    rows > MANY
}

fn rows_of(command: &Command, all: usize) -> usize {
    match command {
        Command::StartChildren { specs, .. } => specs.len(),
        Command::StopChildren { children, .. } => children.len(),
        Command::Propagate { requests, .. } => rows_in(requests),
        Command::PutRows(rows) => rows.len(),
        Command::Sync | Command::Broadcast(_) | Command::Leave => all,
        Command::RestartChild(_) | Command::SetView(_) => 1,
    }
}

fn rows_in(requests: &Requests) -> usize {
    let rows = |request: &Request| match request {
        Request::Register(rows) => rows.len(),
        Request::Unregister(rows) => rows.len(),
        Request::PidUpdate { .. } => 1,
    };
    requests.iter().map(rows).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::membership::Announcement;
    use crate::pubsub::PubSubMessage;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_was_to_run_on_the_thread_of_a_long_step_goes_on_meanwhile() {
        let (sender, receiver) = mpsc::channel();
        let step = async move {
            // It starts on the one thread, and is behind this in its queue.
            tokio::spawn(async move { sender.send(()) });
            perform(|| receiver.recv_timeout(Duration::from_secs(20)))
        };
        assert_eq!(tokio::spawn(step).await.expect("it ends"), Ok(()));
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_performs_long_steps_like_all_others() {
        assert_eq!(perform(|| 1), 1);
    }

    #[test]
    fn steps_are_long_by_what_they_carry_or_by_what_they_may_touch() {
        type Test<'a> = Input<'a, PubSubMessage, Announcement>;
        let long = |input: Test<'_>, bytes, all| is_long(&input, bytes, all);
        let (from, few, many) = ("n1".into(), MANY, MANY + 1);
        let leave = || Input::Message {
            from: &from,
            message: &Envelope::Leave,
        };
        assert!(!long(leave(), LONG, few) && long(leave(), 1, many));
        let message = Envelope::Strategy(PubSubMessage::Requests([].into()));
        let message = || Input::Message {
            from: &from,
            message: &message,
        };
        assert!(!long(message(), LONG - 1, many) && long(message(), LONG, 0));
        let timer = |key| Input::Timer(key);
        assert!(!long(timer(TimerKey::Sync), 0, few) && long(timer(TimerKey::Sync), 0, many));
        assert!(!long(timer(TimerKey::Discovery), 0, many));
        let rows = |count| {
            let rows = (0..count).map(|_| crate::Unregistration {
                child: "a".into(),
                nodes: Vec::new(),
            });
            let requests = [Request::Unregister(rows.collect())].into();
            let members = crate::Members::Local;
            Input::Command(Command::Propagate { requests, members })
        };
        assert!(!long(rows(few), 0, 0) && long(rows(many), 0, 0));
    }
}
