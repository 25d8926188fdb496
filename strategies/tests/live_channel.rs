//! Hubs over the channel transport in paused time: what does not need sockets.

#![cfg(feature = "tokio")]

use std::time::Duration;

use hublab_strategies::live::{Builder, ChannelNetwork, ChildError, Hub, StartOptions, Tasks};
use hublab_strategies::{ChildSpec, Gossip, PubSub};
use tokio::time::{Instant, sleep};

fn builder(name: &str, network: &ChannelNetwork) -> Builder<PubSub> {
    let tasks = Tasks::new().with("worker", |_| std::future::pending::<()>());
    Hub::builder("test")
        .node(name)
        .transport(network.transport())
        .supervisor(tasks)
}

async fn cluster(names: &[&str], network: &ChannelNetwork) -> Vec<Hub> {
    let mut hubs = Vec::new();
    for name in names {
        hubs.push(builder(name, network).start().await.expect("a free name"));
    }
    until("everyone is a member", || {
        hubs.iter().all(|hub| hub.members().len() == names.len())
    })
    .await;
    hubs
}

/// Waits in virtual time.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(600), "never: {what}");
        sleep(Duration::from_millis(1)).await;
    }
}

fn worker(id: &str) -> [ChildSpec; 1] {
    [ChildSpec::new(id, "worker")]
}

#[tokio::test(start_paused = true)]
async fn hubs_of_one_network_join_and_share_their_children_until_they_leave() {
    let network = ChannelNetwork::new();
    let hubs = cluster(&["a", "b", "c"], &network).await;
    let outcomes = hubs[1].start_children(worker("w")).await.expect("it runs");
    assert!(outcomes[0].outcome.is_ok());
    until("everyone finds it", || {
        hubs.iter().all(|hub| hub.lookup("w").is_some())
    })
    .await;
    let report = hubs[1].leave().await.expect("it runs");
    assert!(report.flushed() && report.children == 1, "{report:?}");
    until("nobody finds it", || {
        hubs[0].lookup("w").is_none() && hubs[2].lookup("w").is_none()
    })
    .await;
    assert_eq!(hubs[0].members(), ["a".into(), "c".into()]);
}

#[tokio::test(start_paused = true)]
async fn days_of_rounds_take_no_time() {
    let network = ChannelNetwork::new();
    let mut hubs = Vec::new();
    for name in ["a", "b"] {
        let hub = builder(name, &network).strategy(Gossip::default());
        hubs.push(hub.start().await.expect("a free name"));
    }
    hubs[0].start_children(worker("w")).await.expect("it runs");
    sleep(Duration::from_secs(3 * 24 * 3600)).await;
    assert!(hubs.iter().all(|hub| hub.lookup("w").is_some()));
    assert_eq!(hubs[1].stats().malformed, 0);
}

#[tokio::test(start_paused = true)]
async fn hubs_of_other_ids_and_networks_stay_apart() {
    let network = ChannelNetwork::new();
    let a = builder("a", &network).start().await.expect("a free name");
    let elsewhere = builder("b", &ChannelNetwork::new()).start().await;
    let elsewhere = elsewhere.expect("a free name");
    let other = Hub::builder("other")
        .node("a")
        .transport(network.transport());
    let other = other.start().await.expect("a free name");
    sleep(Duration::from_secs(60)).await;
    for hub in [&a, &elsewhere, &other] {
        assert!(hub.connected().is_empty() && hub.members().len() == 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_later_boot_takes_the_name_and_an_earlier_one_is_refused() {
    let network = ChannelNetwork::new();
    let a = builder("a", &network).start().await.expect("a free name");
    let old = builder("b", &network).incarnation(5).start().await;
    let old = old.expect("a free name");
    until("both are there", || a.members().len() == 2).await;
    let earlier = builder("b", &network).incarnation(4).start().await;
    let error = earlier.expect_err("the name is taken").to_string();
    assert!(error.contains("a node named b runs"), "{error}");
    let new = builder("b", &network).incarnation(6).start().await;
    let new = new.expect("a later boot");
    old.stopped().await;
    until("the new one is there", || new.members().len() == 2).await;
    assert_eq!(a.connected(), ["b".into()]);
    assert_eq!(a.stats().reconnects, 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_to_a_node_that_is_dropped_ends_with_the_reason() {
    let network = ChannelNetwork::new();
    let mut hubs = cluster(&["a", "b"], &network).await;
    drop(hubs.pop());
    let options = StartOptions::default().on(["b", "a"]);
    let started = hubs[0].start_children_with(worker("w"), options);
    let outcomes = started.await.expect("it runs");
    let gone = [ChildError::WentDown, ChildError::NotConnected];
    let refused = outcomes[0].outcome.clone().expect_err("nobody runs it");
    assert!(gone.contains(&refused), "{refused:?}");
    assert!(outcomes[1].outcome.is_ok());
}
