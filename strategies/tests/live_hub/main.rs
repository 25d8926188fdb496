//! Hubs in one process: what a program sees of them.

#![cfg(feature = "tokio")]

mod children;
mod cluster;
mod drops;
mod stopping;

use std::time::Duration;

use hublab_strategies::live::{Builder, Hub, Tasks};
use hublab_strategies::{ChildSpec, NodeId, PubSub};
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};

/// A hub that is quick to join, and runs workers that never end.
fn builder(name: &str, peers: &[&Hub]) -> Builder<PubSub> {
    Hub::builder("test", name)
        .peers(peers.iter().map(|peer| peer.local_addr().to_string()))
        .supervisor(tasks())
        .join_debounce(Duration::from_millis(50))
        .down_after(Duration::from_secs(2))
}

fn tasks() -> Tasks {
    Tasks::new().with("worker", |_| std::future::pending::<()>())
}

async fn hub(name: &str, peers: &[&Hub]) -> Hub {
    builder(name, peers).start().await.expect("a free port")
}

/// A hub without peers, with this supervisor.
async fn supervised(name: &str, tasks: Tasks) -> Hub {
    let builder = builder(name, &[]).supervisor(tasks);
    builder.start().await.expect("a free port")
}

/// A hub that hangs once it is one of so many members: nobody drives its runtime any more. It can
/// be dropped where blocking is allowed.
async fn hung(builder: Builder<PubSub>, members: usize) -> (Runtime, Hub) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let joined = tokio::task::spawn_blocking(move || {
        let hub = runtime.block_on(async {
            let hub = builder.start().await.expect("a free port");
            until("it joined", || hub.members().len() == members).await;
            hub
        });
        (runtime, hub)
    });
    joined.await.expect("it joined")
}

/// Hubs of these names that are all members of one another's views.
async fn cluster(names: &[&str]) -> Vec<Hub> {
    let mut hubs: Vec<Hub> = Vec::new();
    for name in names {
        let first: Vec<&Hub> = hubs.first().into_iter().collect();
        hubs.push(hub(name, &first).await);
    }
    until("everyone is a member", || {
        hubs.iter().all(|hub| hub.members().len() == names.len())
    })
    .await;
    hubs
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

fn workers(names: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<ChildSpec> {
    let worker = |name: &str| ChildSpec::new(name, "worker");
    names
        .into_iter()
        .map(|name| worker(name.as_ref()))
        .collect()
}

/// The nodes that a hub believes to run a child, in order.
fn places(hub: &Hub, child: &str) -> Vec<NodeId> {
    let row = hub.lookup(child);
    row.map(|row| row.entries.iter().map(|entry| entry.node.clone()).collect())
        .unwrap_or_default()
}
