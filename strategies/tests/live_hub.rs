//! Hubs in one process: what a program sees of them.

#![cfg(feature = "tokio")]

use std::time::Duration;

use hublab_strategies::live::{Hub, Tasks};
use hublab_strategies::{ChildSpec, PubSub};
use tokio::time::{Instant, sleep};

async fn hub(name: &str, peers: &[&Hub]) -> Hub {
    let tasks = Tasks::new().with("worker", |_| std::future::pending::<()>());
    Hub::builder("test")
        .node(name)
        .listen("127.0.0.1:0")
        .peers(peers.iter().map(|peer| peer.local_addr().to_string()))
        .strategy(PubSub::default())
        .supervisor(tasks)
        .join_debounce(Duration::from_millis(50))
        .start()
        .await
        .expect("a free port")
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hubs_find_one_another_and_look_up_what_one_of_them_started() {
    let a = hub("a", &[]).await;
    let b = hub("b", &[&a]).await;
    let c = hub("c", &[&a]).await;
    let all = [&a, &b, &c];
    until("everyone is a member", || {
        all.iter().all(|hub| hub.members().len() == 3)
    })
    .await;
    let result = b
        .start_children([ChildSpec::new("worker-1", "worker")])
        .await
        .expect("it runs");
    let pid = result[0].outcome.clone().expect("it was started");
    let finds = |hub: &Hub| {
        hub.lookup("worker-1")
            .is_some_and(|row| row.entries[0].pid.as_ref() == Some(&pid))
    };
    until("everyone finds it", || all.iter().all(|hub| finds(hub))).await;
    let farewell = b.leave().await.expect("it runs");
    assert!(farewell.flushed && farewell.children == 1);
    until("nobody finds it", || {
        [&a, &c].iter().all(|hub| hub.lookup("worker-1").is_none())
    })
    .await;
}
