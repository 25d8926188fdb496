//! Futures dropped after every number of polls: nothing hangs, and no child is lost silently.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hublab_strategies::live::{Hub, StartOptions, Tasks};
use hublab_strategies::{Members, Request};

use super::{builder, cluster, hub, until, workers};

/// Polls a future at most so often, then drops it. Answers whether it was finished.
async fn polled<F: Future>(future: F, times: usize) -> bool {
    let mut future = pin!(future);
    for _ in 0..times {
        let done = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
        if done {
            return true;
        }
        // Let the others work, for a different time each time.
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    false
}

/// Whether the registry says of this node exactly what runs on it.
fn is_true(hub: &Hub) -> bool {
    let here = |row: &std::sync::Arc<hublab_strategies::Row>| {
        row.entries.iter().any(|entry| entry.node == *hub.node())
    };
    hub.registry().filter(here).count() == hub.stats().children
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_dropped_is_performed_or_not_and_the_registry_says_which() {
    let hubs = cluster(&["a", "b"]).await;
    let mut finished = 0;
    for times in 0..40 {
        let specs = workers([format!("w{times}")]);
        finished += usize::from(polled(hubs[0].start_children(specs), times).await);
    }
    assert!(finished > 0, "the last ones had time enough");
    // Whatever was asked before this is settled when this is answered.
    let last = hubs[0]
        .start_children(workers(["last"]))
        .await
        .expect("it runs");
    assert!(last[0].outcome.is_ok());
    until("the registry is true", || is_true(&hubs[0])).await;
    let rows = hubs[0].stats().rows;
    assert!(rows > finished, "{rows}");
    until("the peer has the same", || hubs[1].stats().rows == rows).await;
    assert_eq!(hubs[0].stats().requests, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_is_dropped_is_performed_or_not_and_the_registry_says_which() {
    let hubs = cluster(&["a", "b"]).await;
    let names: Vec<String> = (0..40).map(|number| format!("w{number}")).collect();
    hubs[0]
        .start_children(workers(&names))
        .await
        .expect("it runs");
    until("the peer has them", || hubs[1].stats().rows == 40).await;
    for (times, name) in names.iter().enumerate() {
        polled(hubs[1].stop_children([name.as_str()]), times).await;
    }
    hubs[1].stop_children(["w0"]).await.expect("it runs");
    until("both agree", || {
        is_true(&hubs[0]) && hubs[0].stats().rows == hubs[1].stats().rows
    })
    .await;
    assert!(hubs[0].stats().rows < 20);
    assert_eq!(hubs[1].stats().requests, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leave_that_is_dropped_after_its_first_poll_goes_on() {
    for times in 0..8 {
        let a = hub("a", &[]).await;
        let done = polled(a.leave(), times).await;
        if times == 0 {
            assert!(!done && !a.is_stopped());
            assert!(a.start_children(workers(["w"])).await.is_ok());
        } else {
            let stopped = tokio::time::timeout(Duration::from_secs(5), a.stopped());
            assert!(stopped.await.is_ok(), "it hangs after {times} polls");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_of_a_hub_that_is_dropped_leaves_its_address_free() {
    let address = hub("a", &[]).await.local_addr().to_string();
    for times in 0..6 {
        polled(builder("a", &[]).listen(&address).start(), times).await;
        let free = async {
            while builder("a", &[]).listen(&address).start().await.is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let free = tokio::time::timeout(Duration::from_secs(5), free);
        assert!(free.await.is_ok(), "still taken after {times} polls");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_for_an_event_that_is_dropped_loses_none() {
    let a = hub("a", &[]).await;
    let mut events = a.events();
    for times in 0..5 {
        polled(events.next(), times).await;
    }
    a.start_children(workers(["w"])).await.expect("it runs");
    let mut seen = 0;
    for times in 0..50 {
        seen += usize::from(polled(events.next(), times % 3).await);
    }
    assert_eq!(seen, 2, "that it started, and its row");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_another_node_that_is_dropped_is_performed_there_or_not() {
    let hubs = cluster(&["a", "b"]).await;
    let mut finished = 0;
    for times in 0..40 {
        let options = StartOptions::default().on(["a", "b"]);
        let start = hubs[0].start_children_with(workers([format!("w{times}")]), options);
        finished += usize::from(polled(start, times).await);
    }
    assert!(finished > 0, "the last ones had time enough");
    let options = StartOptions::default().on(["b"]);
    let last = hubs[0].start_children_with(workers(["last"]), options);
    assert!(last.await.expect("it runs")[0].outcome.is_ok());
    until("both registries are true, and the same", || {
        hubs.iter().all(is_true) && hubs[0].stats().rows == hubs[1].stats().rows
    })
    .await;
    assert!(hubs[1].stats().children > finished);
    assert_eq!(hubs[0].stats().requests, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_wishes_that_are_dropped_leave_the_hub_at_work_and_its_child_alive() {
    let hubs = cluster(&["a", "b"]).await;
    hubs[0]
        .start_children(workers(["w"]))
        .await
        .expect("it runs");
    for times in 0..12 {
        let update = Request::PidUpdate {
            child: "stranger".into(),
            node: "a".into(),
            pid: None,
        };
        polled(hubs[0].restart_child("w"), times).await;
        polled(hubs[0].propagate([update], Members::Global), times).await;
        polled(hubs[0].sync(), times).await;
        assert!(!polled(hubs[0].stopped(), times).await);
    }
    hubs[0].sync().await.expect("it runs");
    let pid = |hub: &Hub| hub.lookup("w").and_then(|row| row.entries[0].pid.clone());
    until("both have its last pid", || {
        hubs[0].stats().children == 1 && pid(&hubs[0]).is_some() && pid(&hubs[0]) == pid(&hubs[1])
    })
    .await;
    assert!(is_true(&hubs[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_that_is_dropped_at_any_time_of_a_start_takes_hub_and_child_with_it() {
    for times in 0..20 {
        let alive = Arc::new(());
        let guard = Arc::clone(&alive);
        let tasks = Tasks::new().with("worker", move |_| {
            let guard = Arc::clone(&guard);
            async move {
                let _guard = guard;
                std::future::pending::<()>().await
            }
        });
        let hub = builder("a", &[]).supervisor(tasks);
        let hub = hub.start().await.expect("a free port");
        let mut events = hub.events();
        polled(hub.start_children(workers(["w1", "w2"])), times).await;
        drop(hub);
        let ended = async { while events.next().await.is_some() {} };
        let ended = tokio::time::timeout(Duration::from_secs(5), ended);
        assert!(ended.await.is_ok(), "it hangs after {times} polls");
        until("nothing of it is left", || Arc::strong_count(&alive) == 1).await;
    }
}
