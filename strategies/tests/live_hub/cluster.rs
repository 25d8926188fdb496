//! Several hubs: members, look-ups, requests to other nodes, streams.

#![expect(clippy::wildcard_enum_match_arm, reason = "events may grow")]

use std::time::Duration;

use hublab_strategies::live::{ChildError, Hub, HubEvent, StartOptions};
use hublab_strategies::{DownReason, Gossip, Metadata, NodeId, PubSub, PubSubConfig, Strategy};

use super::{builder, cluster, hub, hung, places, until, workers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hubs_find_one_another_and_look_up_what_one_of_them_started() {
    let hubs = cluster(&["a", "b", "c"]).await;
    let outcomes = hubs[1]
        .start_children(workers(["w1"]))
        .await
        .expect("it runs");
    let pid = outcomes[0].outcome.clone().expect("it was started");
    until("everyone finds it", || {
        let finds = |hub: &Hub| {
            hub.lookup("w1")
                .is_some_and(|row| row.entries[0].pid.as_ref() == Some(&pid))
        };
        hubs.iter().all(finds)
    })
    .await;
    let farewell = hubs[1].leave().await.expect("it runs");
    assert!(farewell.flushed(), "{farewell:?}");
    let peers: Vec<&str> = farewell
        .peers
        .iter()
        .map(|peer| peer.node.as_str())
        .collect();
    assert_eq!((farewell.children, peers), (1, vec!["a", "c"]));
    until("nobody finds it", || {
        hubs[0].lookup("w1").is_none() && hubs[2].lookup("w1").is_none()
    })
    .await;
    assert_eq!(hubs[0].members(), [NodeId::new("a"), "c".into()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gossip_cluster_spreads_a_child() {
    let mut hubs: Vec<Hub> = Vec::new();
    for name in ["a", "b", "c"] {
        let hub = Hub::builder("gossip", name)
            .peers(hubs.first().map(|hub| hub.local_addr().to_string()))
            .strategy(Gossip::default())
            .supervisor(super::tasks())
            .join_debounce(Duration::from_millis(50));
        hubs.push(hub.start().await.expect("a free port"));
    }
    until("everyone is a member", || {
        hubs.iter().all(|hub| hub.members().len() == 3)
    })
    .await;
    hubs[2]
        .start_children(workers(["w1"]))
        .await
        .expect("it runs");
    until("everyone finds it", || {
        hubs.iter().all(|hub| places(hub, "w1") == ["c".into()])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_are_started_and_stopped_on_other_nodes_with_an_outcome_for_each() {
    let hubs = cluster(&["a", "b"]).await;
    let metadata: Metadata = [("zone", "north")].into_iter().collect();
    let options = StartOptions::default()
        .on(["b", "a", "b", "nowhere"])
        .metadata(metadata.clone());
    let outcomes = hubs[0]
        .start_children_with(workers(["w1", "w2"]), options)
        .await
        .expect("it runs");
    let seen: Vec<_> = outcomes
        .iter()
        .map(|it| format!("{} {} {}", it.node, it.child, it.outcome.is_ok()))
        .collect();
    let expected = [
        "b w1 true",
        "b w2 true",
        "a w1 true",
        "a w2 true",
        "nowhere w1 false",
        "nowhere w2 false",
    ];
    assert_eq!(seen, expected);
    assert_eq!(outcomes[5].outcome, Err(ChildError::NotConnected));
    until("both entries are everywhere", || {
        hubs.iter().all(|hub| places(hub, "w2").len() == 2)
    })
    .await;
    assert_eq!(hubs[0].lookup("w1").expect("a row").metadata, metadata);
    assert_eq!(hubs[1].stats().children, 2);

    let stopped = hubs[1]
        .stop_children(["w1", "stranger"])
        .await
        .expect("it runs");
    let seen: Vec<_> = stopped
        .iter()
        .map(|it| (it.child.as_str(), it.outcome.is_ok()))
        .collect();
    assert_eq!(seen, [("stranger", false), ("w1", true), ("w1", true)]);
    assert_eq!(stopped[0].outcome, Err(ChildError::Unknown));
    until("it is gone everywhere", || {
        hubs.iter().all(|hub| hub.lookup("w1").is_none())
    })
    .await;
    assert_eq!(
        hubs[0]
            .registry()
            .map(|row| row.spec.id().to_string())
            .collect::<Vec<_>>(),
        ["w2"]
    );

    let refused = hubs[0]
        .stop_children_on(["w1"], ["b"])
        .await
        .expect("it runs");
    assert!(
        matches!(&refused[0].outcome, Err(ChildError::Refused(_))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_children_in_one_request_arrive_whole() {
    let hubs = cluster(&["a", "b"]).await;
    let names: Vec<String> = (0..3_500).map(|number| format!("w{number}")).collect();
    let options = StartOptions::default().on(["b"]);
    let outcomes = hubs[0]
        .start_children_with(workers(&names), options)
        .await
        .expect("it runs");
    assert!(outcomes.iter().all(|it| it.outcome.is_ok()));
    assert!(
        outcomes
            .iter()
            .zip(&names)
            .all(|(it, name)| it.child.as_str() == name)
    );
    until("all rows are everywhere", || {
        hubs.iter().all(|hub| hub.stats().rows == 3_500)
    })
    .await;
    hubs[0].stop_children(names).await.expect("it runs");
    until("no rows are left", || {
        hubs.iter().all(|hub| hub.registry().len() == 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_node_learns_the_cluster_and_its_children_at_once() {
    let hubs = cluster(&["a", "b"]).await;
    hubs[0]
        .start_children(workers(["w1"]))
        .await
        .expect("it runs");
    hubs[1]
        .start_children(workers(["w2"]))
        .await
        .expect("it runs");
    let c = hub("c", &[&hubs[0]]).await;
    until("it knows everybody", || c.members().len() == 3).await;
    until("it has their children", || {
        places(&c, "w1") == ["a".into()] && places(&c, "w2") == ["b".into()]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_is_cleaned_up_after_and_a_later_boot_of_it_joins_again() {
    let mut hubs = cluster(&["a", "b"]).await;
    let mut events = hubs[0].events();
    hubs[1]
        .start_children(workers(["w1"]))
        .await
        .expect("it runs");
    until("it is known", || hubs[0].lookup("w1").is_some()).await;
    drop(hubs.pop());
    until("it is cleaned up after", || hubs[0].lookup("w1").is_none()).await;
    assert_eq!(hubs[0].members(), ["a".into()]);
    let b = hub("b", &[&hubs[0]]).await;
    until("it is back", || {
        hubs[0].members().len() == 2 && b.members().len() == 2
    })
    .await;
    assert_eq!(hubs[0].stats().reconnects, 1);

    let mut seen = Vec::new();
    while let Some(event) = events.try_next() {
        seen.push(match event {
            HubEvent::Row { child, after, .. } => format!("row {child} {}", after.is_some()),
            HubEvent::Members(nodes) => format!("members {}", nodes.len()),
            HubEvent::PeerUp { node, .. } => format!("up {node}"),
            HubEvent::PeerDown { node, reason } => {
                assert_eq!(reason, DownReason::Closed);
                format!("down {node}")
            }
            event => panic!("nothing happens to children of a: {event:?}"),
        });
    }
    let expected = [
        "row w1 true",
        "down b",
        "members 1",
        "row w1 false",
        "up b",
        "members 2",
    ];
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_begins_with_the_row_and_ends_with_the_hub() {
    let a = hub("a", &[]).await;
    a.start_children(workers(["w1", "w2"]))
        .await
        .expect("it runs");
    let mut watch = a.watch("w1");
    let first = watch.next().await.expect("the hub runs");
    assert!(
        matches!(
            first,
            HubEvent::Row {
                before: None,
                after: Some(_),
                ..
            }
        ),
        "{first:?}"
    );
    a.restart_child("w2").await.expect("it runs");
    a.restart_child("w1").await.expect("it runs");
    let restarted = watch.next().await.expect("the hub runs");
    assert!(
        matches!(&restarted, HubEvent::ChildRestarted { child, .. } if child.as_str() == "w1"),
        "{restarted:?}"
    );
    let row = watch.next().await.expect("the hub runs");
    assert!(
        matches!(
            row,
            HubEvent::Row {
                before: Some(_),
                after: Some(_),
                ..
            }
        ),
        "{row:?}"
    );
    a.leave().await.expect("it runs");
    let ended = watch.next().await.expect("the last word");
    assert!(matches!(ended, HubEvent::ChildEnded { .. }), "{ended:?}");
    assert_eq!(watch.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hubs_of_another_id_stay_apart() {
    let a = hub("a", &[]).await;
    let stranger = Hub::builder("other", "s").peers([a.local_addr().to_string()]);
    let stranger = stranger.start().await.expect("a free port");
    until("it was refused", || {
        !stranger.stats().transport.refusals.is_empty()
    })
    .await;
    assert!(a.connected().is_empty() && a.members().len() == 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_counters_tell_messages_bytes_and_rows() {
    let hubs = cluster(&["a", "b"]).await;
    hubs[0]
        .start_children(workers(["w1"]))
        .await
        .expect("it runs");
    until("it arrived", || hubs[1].lookup("w1").is_some()).await;
    let (a, b) = (hubs[0].stats(), hubs[1].stats());
    let (sent, received) = (a.messages["pubsub.requests"], b.messages["pubsub.requests"]);
    assert_eq!(
        (sent.sent, sent.sent_bytes),
        (received.delivered, received.delivered_bytes)
    );
    assert!(sent.sent == 1 && sent.sent_bytes > 10);
    assert_eq!((a.rows, a.children, b.rows, b.children), (1, 1, 1, 0));
    assert_eq!((a.malformed, a.unsent, a.transport.peers), (0, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_to_a_node_that_dies_ends_with_the_reason() {
    let hubs = cluster(&["a", "b"]).await;
    let slow = builder("slow", &[&hubs[0]]).down_after(Duration::from_secs(1));
    let hung = hung(slow, 3).await;
    until("a has it", || hubs[0].connected().len() == 2).await;
    let options = StartOptions::default().on(["slow", "a"]);
    let outcomes = hubs[0]
        .start_children_with(workers(["w1"]), options)
        .await
        .expect("it runs");
    assert_eq!(outcomes[0].outcome, Err(ChildError::WentDown));
    assert!(outcomes[1].outcome.is_ok());
    tokio::task::spawn_blocking(move || drop(hung))
        .await
        .expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_round_is_followed_by_what_was_sent_behind_it() {
    const ROWS: usize = 5_000;
    let hubs = cluster(&["a", "b"]).await;
    let names = (0..ROWS).map(|number| format!("w{number}"));
    let quietly = StartOptions::default().announce(false);
    let started = hubs[0].start_children_with(workers(names), quietly);
    started.await.expect("it runs");
    assert_eq!(hubs[1].stats().rows, 0);
    hubs[0].sync().await.expect("it runs");
    hubs[0].stop_children(["w7"]).await.expect("it runs");
    hubs[0].sync().await.expect("it runs");
    let rounds = |hub: &Hub| {
        let traffic = hub.stats().messages;
        traffic.get("pubsub.sync").copied().unwrap_or_default()
    };
    until("both rounds are there", || {
        let both = rounds(&hubs[0]).sent == 2 && rounds(&hubs[1]).delivered == 2;
        both && hubs[1].stats().rows == ROWS - 1 && hubs[1].lookup("w7").is_none()
    })
    .await;
    assert_eq!(
        rounds(&hubs[0]).sent_bytes,
        rounds(&hubs[1]).delivered_bytes
    );
    hubs[0].sync().await.expect("it runs");
    let farewell = hubs[0].leave().await.expect("it runs");
    assert!(farewell.flushed());
    // It comes before the leave, which is the last of the connection.
    until("the rows are gone", || hubs[1].stats().rows == 0).await;
    assert_eq!(rounds(&hubs[1]).delivered, 3);
    assert_eq!(hubs[1].members(), ["b".into()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leave_amid_long_rounds_leaves_no_row_behind() {
    const ROWS: usize = 20_000;
    let strategy = || {
        let config = PubSubConfig {
            sync_interval: Duration::from_millis(60),
            ..PubSubConfig::default()
        };
        PubSub::new(&config).expect("an interval that is long enough")
    };
    let a = builder("a", &[]).strategy(strategy());
    let a = a.start().await.expect("a free port");
    let b = builder("b", &[&a]).strategy(strategy());
    let b = b.start().await.expect("a free port");
    for round in 0..6 {
        let c = builder("c", &[&a, &b]).strategy(strategy());
        let c = c.start().await.expect("a free port");
        until("everyone is a member", || {
            [&a, &b, &c].iter().all(|hub| hub.members().len() == 3)
        })
        .await;
        let names = (0..ROWS).map(|number| format!("w{number}"));
        c.start_children(workers(names)).await.expect("it runs");
        until("the rows are there", || {
            a.stats().rows == ROWS && b.stats().rows == ROWS
        })
        .await;
        tokio::time::sleep(Duration::from_millis(20 * round)).await;
        let report = c.leave().await.expect("it runs");
        assert!(report.flushed(), "{report:?}");
        until("it left, and its rows are gone", || {
            [&a, &b]
                .iter()
                .all(|hub| hub.members().len() == 2 && hub.stats().rows == 0)
        })
        .await;
        // Rounds that were on their way have had time to arrive.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let ghosts = [&a, &b].map(|hub| hub.stats().rows);
        assert_eq!(ghosts, [0, 0], "round {round}");
    }
}
