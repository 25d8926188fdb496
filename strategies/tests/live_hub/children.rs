//! Children as tasks: restarts, ends, arguments.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hublab_strategies::ChildSpec;
use hublab_strategies::live::{ChildError, HubEvent, StopReason, Tasks};

use super::{hub, supervised, until, workers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_panics_gets_a_new_pid_that_everyone_learns() {
    let runs = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&runs);
    let tasks = Tasks::new().with("fragile", move |_| {
        let run = seen.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(run > 0, "the first run breaks");
            std::future::pending::<()>().await
        }
    });
    let a = supervised("a", tasks).await;
    let b = hub("b", &[&a]).await;
    until("b is a member", || {
        a.members().len() == 2 && b.members().len() == 2
    })
    .await;
    let mut watch = a.watch("f");
    let outcomes = a
        .start_children([ChildSpec::new("f", "fragile")])
        .await
        .expect("it runs");
    let first = outcomes[0].outcome.clone().expect("it was started");
    until("b has the second pid", || {
        let row = b.lookup("f");
        row.is_some_and(|row| row.entries[0].pid.as_ref().is_some_and(|pid| *pid != first))
    })
    .await;
    assert_eq!((runs.load(Ordering::Relaxed), a.stats().restarts), (2, 1));
    let crashed = loop {
        let event = watch.next().await.expect("the hub runs");
        if let HubEvent::ChildCrashed { pid, reason, .. } = event {
            break (pid, reason);
        }
    };
    assert_eq!(
        crashed,
        (first, StopReason::Panicked("the first run breaks".into()))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_fails_too_often_is_given_up_with_its_reason() {
    let tasks = Tasks::new().with("broken", |_| async { Err::<(), _>("no database") });
    let a = supervised("a", tasks).await;
    let mut watch = a.watch("x");
    a.start_children([ChildSpec::new("x", "broken")])
        .await
        .expect("it runs");
    let mut crashes = 0;
    let reason = loop {
        let event = watch.next().await.expect("the hub runs");
        if let HubEvent::ChildEnded { reason, .. } = event {
            break reason;
        }
        crashes += usize::from(matches!(event, HubEvent::ChildCrashed { .. }));
    };
    assert_eq!(
        (crashes, reason),
        (3, StopReason::GaveUp("no database".into()))
    );
    assert_eq!(
        a.stop_reason("x"),
        Some(StopReason::GaveUp("no database".into()))
    );
    // The event is published within the step that ends the child; row and counters follow.
    until("its row is gone, and it is not counted", || {
        a.lookup("x").is_none() && a.stats().children == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_finishes_leaves_the_registry_of_everyone() {
    let tasks = Tasks::new().with("short", |_| tokio::time::sleep(Duration::from_millis(200)));
    let a = supervised("a", tasks).await;
    let b = hub("b", &[&a]).await;
    until("b is a member", || {
        a.members().len() == 2 && b.members().len() == 2
    })
    .await;
    a.start_children([ChildSpec::new("s", "short")])
        .await
        .expect("it runs");
    until("b finds it", || b.lookup("s").is_some()).await;
    until("b finds it no longer", || b.lookup("s").is_none()).await;
    assert_eq!(a.stop_reason("s"), Some(StopReason::Finished));
    assert_eq!(b.stop_reason("s"), None, "it did not run there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_gets_its_arguments_and_an_unknown_kind_is_refused() {
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let tasks = Tasks::new().with("echo", move |spec| {
        let said = said.clone();
        async move {
            let text = spec.args().get("text").cloned().unwrap_or_default();
            said.send(format!("{} {text}", spec.id()))
                .expect("the test listens");
            std::future::pending::<()>().await
        }
    });
    let a = supervised("a", tasks).await;
    let args: BTreeMap<Box<str>, Box<str>> = [("text".into(), "hello".into())].into();
    let specs = [
        ChildSpec::with_args("e", "echo", args),
        ChildSpec::new("u", "unknown"),
    ];
    let outcomes = a.start_children(specs).await.expect("it runs");
    assert_eq!(heard.recv().await.as_deref(), Some("e hello"));
    assert!(outcomes[0].outcome.is_ok());
    let Err(ChildError::Refused(reason)) = &outcomes[1].outcome else {
        panic!("{:?}", outcomes[1]);
    };
    assert!(reason.contains("`unknown`"), "{reason}");
    assert!(a.lookup("u").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_start_of_the_same_id_replaces_the_process() {
    let a = hub("a", &[]).await;
    let first = a.start_children(workers(["w"])).await.expect("it runs");
    let second = a.start_children(workers(["w"])).await.expect("it runs");
    let second = second[0].outcome.clone().expect("it was started");
    assert_ne!(Ok(&second), first[0].outcome.as_ref());
    until("the row has the second", || {
        a.lookup("w")
            .is_some_and(|row| row.entries[0].pid.as_ref() == Some(&second))
    })
    .await;
    assert_eq!(a.stats().children, 1);
}
