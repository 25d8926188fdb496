//! Hubs over the channel transport in paused time: what does not need sockets.

#![cfg(feature = "tokio")]

use std::time::Duration;

use hublab_strategies::live::{
    Builder, ChannelNetwork, ChildContext, ChildError, Hub, HubStopped, StartError, StartOptions,
    StopError, StopReason, Tasks, WaitError,
};
use hublab_strategies::{ChildSpec, Gossip, Metadata, PubSub};
use tokio::time::{Instant, sleep};

fn builder(name: &str, network: &ChannelNetwork) -> Builder<PubSub> {
    let tasks = Tasks::new().with("worker", |_| std::future::pending::<()>());
    Hub::builder("test", name)
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
    let other = Hub::builder("other", "a").transport(network.transport());
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

#[tokio::test(start_paused = true)]
async fn one_child_is_started_and_stopped_with_a_typed_result() {
    let network = ChannelNetwork::new();
    let hubs = cluster(&["a", "b"], &network).await;
    let pid = hubs[0].start_child(ChildSpec::new("w", "worker")).await;
    let pid = pid.expect("it is known how");
    assert!(pid.as_str().starts_with("a."), "{pid}");
    hubs[1]
        .wait_until(|view| view.lookup("w").is_some())
        .await
        .expect("it runs");
    assert_eq!(hubs[1].stop_child("w").await, Ok(()));
    assert_eq!(
        hubs[1].stop_child("stranger").await,
        Err(StopError::Unknown)
    );
    let refused = hubs[0].start_child(ChildSpec::new("u", "unknown")).await;
    assert!(
        matches!(refused, Err(StartError::Refused(_))),
        "{refused:?}"
    );
    hubs[0].leave().await.expect("it runs");
    let late = hubs[0].start_child(ChildSpec::new("w", "worker")).await;
    assert_eq!(late, Err(StartError::HubStopped(HubStopped)));
}

#[tokio::test(start_paused = true)]
async fn waits_end_when_it_holds_or_in_time_or_with_the_hub() {
    let network = ChannelNetwork::new();
    let a = builder("a", &network).start().await.expect("a free name");
    let hasty = a.with_timeout(Duration::from_secs(3));
    let start = Instant::now();
    assert_eq!(hasty.joined().await, Err(WaitError::TimedOut));
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    let b = builder("b", &network).start().await.expect("a free name");
    assert_eq!(a.joined().await, Ok(()));
    assert_eq!(b.wait_for_members(2).await, Ok(()));
    let (waiting, leaving) = tokio::join!(a.wait_for_members(9), a.leave());
    assert!(leaving.is_ok());
    assert_eq!(waiting, Err(WaitError::HubStopped(HubStopped)));
}

#[tokio::test(start_paused = true)]
async fn a_child_gets_its_surroundings_and_time_to_end() {
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let tasks = Tasks::new()
        .with("flush", move |context: ChildContext| {
            let said = said.clone();
            async move {
                let hub = context.hub.upgrade().expect("it runs");
                let zone: String = context.metadata.iter().map(|(_, value)| value).collect();
                said.send(format!("{} {} {zone}", hub.node(), context.id()))
                    .expect("the test listens");
                drop(hub);
                context.stopping.cancelled().await;
                sleep(Duration::from_secs(1)).await;
                said.send(format!("{} is flushed", context.pid))
                    .expect("the test listens");
            }
        })
        .grace(Duration::from_secs(5));
    let network = ChannelNetwork::new();
    let a = builder("a", &network).supervisor(tasks).start().await;
    let a = a.expect("a free name");
    let metadata: Metadata = [("zone", "north")].into_iter().collect();
    let options = StartOptions::default().metadata(metadata);
    let started = a.start_children_with([ChildSpec::new("f", "flush")], options);
    let pid = started.await.expect("it runs")[0].outcome.clone();
    let pid = pid.expect("it was started");
    assert_eq!(heard.recv().await.as_deref(), Some("a f north"));
    a.leave().await.expect("it runs");
    assert_eq!(heard.recv().await, Some(format!("{pid} is flushed")));
}

#[tokio::test(start_paused = true)]
async fn a_handle_of_a_child_does_not_keep_the_hub() {
    let a = builder("a", &ChannelNetwork::new()).start().await;
    let a = a.expect("a free name");
    let weak = a.downgrade();
    assert!(weak.upgrade().is_some());
    let mut events = a.events();
    drop(a);
    while events.next().await.is_some() {}
    assert!(weak.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn children_that_end_together_are_announced_together() {
    const CHILDREN: usize = 2_000;
    let tasks = Tasks::new().with("short", |_| sleep(Duration::from_secs(60)));
    let network = ChannelNetwork::new();
    let a = builder("a", &network).supervisor(tasks).start().await;
    let a = a.expect("a free name");
    let b = builder("b", &network).start().await.expect("a free name");
    b.joined().await.expect("it runs");
    a.joined().await.expect("it runs");
    let specs = (0..CHILDREN).map(|number| ChildSpec::new(format!("c{number}"), "short"));
    a.start_children(specs).await.expect("it runs");
    until("b has them", || b.stats().rows == CHILDREN).await;
    until("they are gone", || {
        b.stats().rows == 0 && a.stats().children == 0
    })
    .await;
    assert_eq!(a.stop_reason("c1999"), Some(StopReason::Finished));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_refused_at_the_call_and_the_rest_is_started() {
    let network = ChannelNetwork::new();
    let hubs = cluster(&["a", "b"], &network).await;
    let long = "x".repeat(1_025);
    let specs = ["w1", long.as_str(), "w2"].map(|id| ChildSpec::new(id, "worker"));
    let options = StartOptions::default().on(["b", "a", "b"]);
    let started = hubs[0].start_children_with(specs, options);
    let outcomes = started.await.expect("it runs");
    let seen: Vec<_> = outcomes
        .iter()
        .map(|it| {
            (
                it.node.as_str(),
                it.child.as_str().len(),
                it.outcome.is_ok(),
            )
        })
        .collect();
    let of = |node| [(node, 2, true), (node, 1_025, false), (node, 2, true)];
    assert_eq!(seen, [of("b"), of("a")].concat());
    let refused = hubs[0]
        .start_child(ChildSpec::new("k", &"k".repeat(70_000)))
        .await;
    assert!(
        matches!(refused, Err(StartError::TooLarge(_))),
        "{refused:?}"
    );
    assert_eq!(hubs[0].stats().rows, 2);
}
