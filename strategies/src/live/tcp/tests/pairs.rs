//! Healthy transports with each other.

use std::sync::atomic::{AtomicBool, Ordering};

use super::super::FilterVerdict;
use super::*;
use crate::live::transport::SendError;

#[tokio::test]
async fn two_nodes_find_each_other_and_talk_both_ways() {
    let (mut a, mut b) = pair().await;
    a.talk(&mut b, "a", "b").await;
    assert_eq!(a.transport.connected(), ["b".into()]);
    let counters = a.transport.counters();
    assert_eq!((counters.messages_sent, counters.messages_received), (1, 1));
    assert_eq!((counters.peers, counters.handshakes), (1, 0));
}

#[tokio::test]
async fn when_both_dial_one_connection_stays() {
    for _ in 0..20 {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let mut second = config("b", &[]);
        second.peers = vec![address.clone()];
        let mut b = Node::start(second).await;
        let mut first = config("a", &[&b]);
        first.listen = address;
        let mut a = Node::start(first).await;
        a.expect_up("b").await;
        b.expect_up("a").await;
        a.talk(&mut b, "a", "b").await;
        assert!(a.incoming.try_recv().is_err(), "nothing else happened");
        assert!(b.incoming.try_recv().is_err(), "nothing else happened");
    }
}

#[tokio::test]
async fn the_rest_of_the_cluster_is_learned() {
    let mut a = Node::start(config("a", &[])).await;
    let mut nodes = Vec::new();
    for name in ["b", "c", "d", "e"] {
        nodes.push(Node::start(config(name, &[&a])).await);
    }
    for node in &nodes {
        eventually("all are connected", || {
            node.transport.connected().len() == 4
        })
        .await;
    }
    let (mut others, mut ups) = (Vec::new(), 0);
    while ups < 4 {
        if let TransportEvent::Up { node, .. } = a.next().await {
            others.push(node);
            ups += 1;
        }
    }
    others.sort();
    assert_eq!(others, ["b", "c", "d", "e"].map(NodeId::new));
}

#[tokio::test]
async fn a_message_of_any_length_up_to_the_limit_arrives_whole() {
    let (a, mut b) = pair_with(|config| config.limits.message_bytes = 1 << 20).await;
    let send = |bytes: Bytes| a.transport.send(&"b".into(), Channel::JOIN, "test", bytes);
    for length in [0, 1, 16_380, 16_381, 100_000, 1 << 20] {
        let sent: Bytes = (0..length).map(|at: u32| at.to_le_bytes()[1]).collect();
        assert_eq!(send(sent.clone()), Ok(()));
        assert_eq!(b.expect_message("a").await, (Channel::JOIN.id, sent));
    }
    let over = Bytes::from(vec![0; (1 << 20) + 1]);
    assert_eq!(send(over), Err(SendError::TooLong));
    let unknown = a
        .transport
        .send(&"x".into(), Channel::JOIN, "test", Bytes::new());
    assert_eq!(unknown, Err(SendError::NotConnected));
}

#[tokio::test]
async fn messages_of_one_channel_keep_their_order_under_load() {
    let (a, mut b) = pair().await;
    for number in 0..20_000_u32 {
        let bytes = Bytes::copy_from_slice(&number.to_be_bytes());
        let channel = if number % 2 == 0 {
            Channel::REQUESTS
        } else {
            Channel::SYNC
        };
        a.transport
            .send(&"b".into(), channel, "test", bytes)
            .unwrap();
    }
    let mut next = [0_u32, 1];
    for _ in 0..20_000 {
        let (channel, bytes) = b.expect_message("a").await;
        let expected = &mut next[usize::from(channel)];
        assert_eq!(bytes, expected.to_be_bytes()[..]);
        *expected += 2;
    }
}

#[tokio::test]
async fn a_later_boot_is_reported_down_and_up_and_an_earlier_one_kept_out() {
    let (mut a, b) = pair().await;
    let mut later = config("b", &[&a]);
    later.local.incarnation = 2;
    let mut new = Node::start(later).await;
    assert_eq!(a.expect_down("b").await, DownReason::Restarted);
    assert_eq!(a.expect_up("b").await, 2);
    new.expect_up("a").await;
    eventually("the old boot is refused", || a.refusals("of this name") > 1).await;
    a.talk(&mut new, "a", "b").await;
    assert!(
        a.incoming.try_recv().is_err(),
        "the old boot changed nothing"
    );
    drop(b);
}

#[tokio::test]
async fn a_node_that_ends_is_down_at_once_and_up_again_when_it_returns() {
    let (mut a, b) = pair().await;
    let mut again = config("b", &[&a]);
    again.listen = b.address();
    drop(b);
    assert_eq!(a.expect_down("b").await, DownReason::Closed);
    assert!(a.transport.connected().is_empty());
    let mut b = Node::start(again).await;
    a.expect_up("b").await;
    b.expect_up("a").await;
    a.talk(&mut b, "a", "b").await;
}

#[tokio::test]
async fn a_close_flushes_what_is_queued() {
    let (a, mut b) = pair().await;
    let big = Bytes::from(vec![1; 5_000_000]);
    a.transport
        .send(&"b".into(), Channel::JOIN, "test", big.clone())
        .unwrap();
    a.send("b", "last");
    let close = tokio::spawn(async move { a.transport.close(false, PATIENCE).await });
    assert_eq!(b.expect_message("a").await.1, "last");
    assert_eq!(b.expect_message("a").await.1, big);
    assert_eq!(b.expect_down("a").await, DownReason::Closed);
    let ends = close.await.unwrap();
    assert!(ends[0].arrived && ends[0].unsent == 0, "{ends:?}");
}

#[tokio::test]
async fn a_good_bye_is_the_last_of_a_connection_and_says_what_arrived() {
    let (a, mut b) = pair().await;
    let big = Bytes::from(vec![1; 5_000_000]);
    let sent = a.transport.send(&"b".into(), Channel::SYNC, "test", big);
    assert_eq!(sent, Ok(()));
    let close = tokio::spawn(async move { a.transport.close(true, PATIENCE).await });
    assert_eq!(b.expect_message("a").await.0, Channel::SYNC.id);
    assert!(matches!(b.next().await, TransportEvent::Left { node } if node.as_str() == "a"));
    assert_eq!(b.expect_down("a").await, DownReason::Closed);
    let ends = close.await.unwrap();
    assert!(ends[0].arrived && ends[0].unsent == 0, "{ends:?}");
}

#[tokio::test]
async fn what_a_broken_connection_had_queued_counts_as_unsent() {
    let (a, b) = pair_with(|config| config.limits.message_bytes = 64 << 20).await;
    let big = Bytes::from(vec![1; 30 << 20]);
    let sent = a.transport.send(&"b".into(), Channel::SYNC, "test", big);
    assert_eq!(sent, Ok(()));
    let broken = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(b);
    });
    let ends = a.transport.close(true, PATIENCE).await;
    broken.await.unwrap();
    assert!(!ends[0].arrived && ends[0].unsent == 1, "{ends:?}");
}

#[tokio::test]
async fn a_close_does_not_wait_for_a_peer_that_hangs() {
    let (a, b) = pair_with(|config| config.limits.message_bytes = 64 << 20).await;
    let big = Bytes::from(vec![1; 30 << 20]);
    a.transport
        .send(&"b".into(), Channel::JOIN, "test", big)
        .unwrap();
    // Nobody takes what arrives at b.
    for _ in 0..2000 {
        a.transport
            .send(
                &"b".into(),
                Channel::SYNC,
                "test",
                Bytes::from_static(&[0; 1000]),
            )
            .unwrap();
    }
    let begun = tokio::time::Instant::now();
    let ends = a.transport.close(true, Duration::from_millis(200)).await;
    assert!(!ends[0].arrived && ends[0].unsent > 0, "{ends:?}");
    assert!(begun.elapsed() < Duration::from_secs(3));
    drop(b);
}

#[tokio::test]
async fn a_cut_is_silence_and_heals() {
    let cut = Arc::new(AtomicBool::new(false));
    let (mut a, mut b) = pair_with(|config| {
        let cut = Arc::clone(&cut);
        config.down_after = Duration::from_millis(500);
        config.filter = filter(move |_, _, _| match cut.load(Ordering::SeqCst) {
            true => FilterVerdict::Drop,
            false => FilterVerdict::Pass,
        });
    })
    .await;
    a.talk(&mut b, "a", "b").await;
    cut.store(true, Ordering::SeqCst);
    a.send("b", "lost");
    let reasons = [a.expect_down("b").await, b.expect_down("a").await];
    assert!(reasons.contains(&DownReason::Silent), "{reasons:?}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(a.transport.connected().is_empty(), "dials are cut too");
    cut.store(false, Ordering::SeqCst);
    a.expect_up("b").await;
    b.expect_up("a").await;
    a.talk(&mut b, "a", "b").await;
}

#[tokio::test]
async fn idle_peers_stay_up_by_their_heartbeats() {
    let (mut a, mut b) = pair_with(|config| config.down_after = Duration::from_millis(600)).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(a.incoming.try_recv().is_err());
    a.talk(&mut b, "a", "b").await;
}

#[tokio::test]
async fn a_delay_keeps_the_order_of_its_channel() {
    let (mut a, mut b) = pair_with(|config| {
        config.filter = filter(|_, _, channel| match channel {
            Some(Channel::REQUESTS) => FilterVerdict::Delay(Duration::from_millis(200)),
            Some(_) | None => FilterVerdict::Pass,
        });
    })
    .await;
    let begun = tokio::time::Instant::now();
    a.send("b", "one");
    a.send("b", "two");
    let sync = a.transport.send(
        &"b".into(),
        Channel::SYNC,
        "test",
        Bytes::from_static(b"sync"),
    );
    assert_eq!(sync, Ok(()));
    assert_eq!(b.expect_message("a").await.1, "sync");
    assert_eq!(b.expect_message("a").await.1, "one");
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert_eq!(b.expect_message("a").await.1, "two");
    a.talk(&mut b, "a", "b").await;
}

#[tokio::test]
async fn a_peer_that_reads_too_slowly_is_dropped_and_returns() {
    let (a, mut b) = pair_with(|config| config.limits.queue_bytes = 4 << 20).await;
    let message = Bytes::from(vec![0; 100_000]);
    let push = || {
        a.transport
            .send(&"b".into(), Channel::SYNC, "test", message.clone())
    };
    let mut peak = 0;
    let refused = loop {
        match push() {
            Ok(()) => peak = peak.max(a.transport.counters().queued_bytes),
            Err(refused) => break refused,
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(refused, SendError::SlowReader);
    assert!(peak <= 4 << 20, "{peak} bytes were queued");
    assert_eq!(a.refusals("reads too slowly"), 1);
    while !matches!(b.next().await, TransportEvent::Down { .. }) {}
    b.expect_up("a").await;
    eventually("b is connected again", || {
        !a.transport.connected().is_empty()
    })
    .await;
}

#[tokio::test]
async fn both_secrets_are_good_while_they_are_exchanged() {
    let new = Secret::new(&[9; 32]).unwrap();
    let mut first = config("a", &[]);
    first.secrets = vec![secret(), new.clone()];
    let mut a = Node::start(first).await;
    let mut second = config("b", &[&a]);
    second.secrets = vec![new.clone()];
    let mut b = Node::start(second).await;
    let mut third = config("c", &[&a, &b]);
    third.secrets = vec![secret(), new];
    let mut c = Node::start(third).await;
    for node in [&mut a, &mut b, &mut c] {
        for _ in 0..2 {
            assert!(matches!(node.next().await, TransportEvent::Up { .. }));
        }
    }
}

#[tokio::test]
async fn without_a_secret_loopback_only() {
    let open = |mut config: Setup| {
        config.secrets = Vec::new();
        config
    };
    let mut public = open(config("a", &[]));
    public.listen = "0.0.0.0:0".into();
    let refused = public.bind().await.err();
    assert!(
        matches!(refused, Some(BindError::SecretNeeded { .. })),
        "{refused:?}"
    );
    let mut a = Node::start(open(config("a", &[]))).await;
    let mut second = open(config("b", &[&a]));
    second.peers.push("192.0.2.1:7000".into());
    let mut b = Node::start(second).await;
    a.expect_up("b").await;
    b.expect_up("a").await;
    eventually("the dial is refused", || b.refusals("only loopback") > 0).await;
}

#[tokio::test]
async fn a_dropped_transport_leaves_no_task_and_frees_its_address() {
    let (a, b) = pair().await;
    let (address, tasks) = (a.address(), a.transport.shared().unwrap().tasks.clone());
    drop(a);
    tasks.close();
    timeout(PATIENCE, tasks.wait())
        .await
        .expect("all tasks end");
    std::net::TcpListener::bind(address).expect("the address is free");
    drop(b);
}

#[tokio::test]
async fn what_cannot_be_is_refused_at_the_start() {
    let mut long = config("a", &[]);
    long.local.node = "n".repeat(256).into();
    let refused = long.bind().await.err();
    assert!(matches!(
        refused,
        Some(BindError::Length { bytes: 256, .. })
    ));
    let taken = Node::start(config("a", &[])).await;
    let mut second = config("b", &[]);
    second.listen = taken.address();
    let refused = second.bind().await.err();
    assert!(matches!(refused, Some(BindError::Listen { .. })));
    let mut wild = config("a", &[]);
    wild.limits = Limits {
        message_bytes: usize::MAX,
        handshake: Duration::MAX,
        handshakes: usize::MAX,
        handshakes_per_address: usize::MAX,
        child_id_bytes: usize::MAX,
        spec_bytes: usize::MAX,
        metadata_bytes: usize::MAX,
        queue_bytes: usize::MAX,
        channel_queue_bytes: usize::MAX,
        addresses: usize::MAX,
        redial_min: Duration::MAX,
        redial_max: Duration::MAX,
        redial_learned_max: Duration::MAX,
        address_ttl: Duration::MAX,
    };
    wild.down_after = Duration::MAX;
    wild.heartbeat = Duration::MAX;
    let mut a = Node::start(wild).await;
    let mut b = Node::start(config("b", &[&a])).await;
    a.expect_up("b").await;
    b.expect_up("a").await;
}

#[tokio::test]
async fn a_filter_may_have_one_peer_given_up_sooner() {
    struct Impatient;
    impl Filter for Impatient {
        fn judge(&self, _: &NodeId, _: &NodeId, _: Option<Channel>, _: usize) -> FilterVerdict {
            FilterVerdict::Pass
        }

        fn patience(&self, _: &NodeId, peer: &NodeId) -> Option<Duration> {
            (peer.as_str() == "b").then_some(Duration::from_millis(200))
        }
    }
    let mut first = config("a", &[]);
    first.filter = Some(Arc::new(Impatient));
    let mut a = Node::start(first).await;
    let slow = |name: &str, peers: &[&Node]| {
        let mut setup = config(name, peers);
        // It says nothing for longer than `a` waits for `b`.
        setup.heartbeat = Duration::from_secs(5);
        setup
    };
    let (b, c) = (slow("b", &[&a]), slow("c", &[&a]));
    let _c = Node::start(c).await;
    a.expect_up("c").await;
    let _b = Node::start(b).await;
    a.expect_up("b").await;
    assert_eq!(a.expect_down("b").await, DownReason::Silent);
    assert!(a.transport.is_connected(&"c".into()));
}

#[tokio::test]
async fn messages_of_a_node_to_itself_take_as_long_as_its_filter_says() {
    let delay = Duration::from_secs(60);
    let mut first = config("a", &[]);
    first.filter = filter(move |from, to, _| {
        assert_eq!(from, to);
        FilterVerdict::Delay(delay)
    });
    let a = Node::start(first).await;
    let before = tokio::time::Instant::now();
    let arrivals: Vec<_> = a.transport.loopback(Channel::REQUESTS, 10);
    assert!(matches!(arrivals[..], [Some(at)] if at >= before + delay));
    let plain = Node::start(config("b", &[])).await;
    let arrivals: Vec<_> = plain.transport.loopback(Channel::REQUESTS, 10);
    assert_eq!(arrivals, [None]);
}

/// Resolves one name to the addresses of several nodes, each time in another order.
struct Service {
    addresses: Arc<std::sync::Mutex<Vec<std::net::SocketAddr>>>,
    turn: std::sync::atomic::AtomicUsize,
}

impl super::super::Resolver for Service {
    fn resolve<'a>(
        &'a self,
        address: &'a str,
    ) -> crate::live::BoxFuture<'a, std::io::Result<Vec<std::net::SocketAddr>>> {
        Box::pin(async move {
            assert_eq!(address, "orders.example:7000");
            let mut addresses = self.addresses.lock().unwrap().clone();
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let length = addresses.len().max(1);
            addresses.rotate_left(turn % length);
            Ok(addresses)
        })
    }
}

#[tokio::test]
async fn three_nodes_behind_one_name_form_one_cluster_whoever_starts_first() {
    for round in 0..12 {
        let addresses = Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut nodes = Vec::new();
        for number in 0..3 {
            let name = ["a", "b", "c"][(number + round) % 3];
            let mut setup = config(name, &[]);
            setup.peers = vec!["orders.example:7000".into()];
            setup.resolver = Arc::new(Service {
                addresses: Arc::clone(&addresses),
                turn: round.into(),
            });
            let node = Node::start(setup).await;
            // Its own address is the first that the name leads to.
            let address = node.transport.local_addr().unwrap();
            addresses.lock().unwrap().insert(0, address);
            nodes.push(node);
            if round % 2 == 0 {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        }
        for node in &nodes {
            eventually("all are connected", || {
                node.transport.connected().len() == 2
            })
            .await;
        }
    }
}

#[tokio::test]
async fn nodes_with_another_strategy_or_other_parameters_refuse_each_other() {
    let a = Node::start(config("a", &[])).await;
    for strategy in ["test x=2", "other x=1"] {
        let mut second = config("b", &[&a]);
        second.local.strategy = strategy.to_owned();
        let b = Node::start(second).await;
        eventually("b refuses it", || b.refusals("another strategy") > 0).await;
        assert!(a.transport.connected().is_empty());
    }
    let mut mixed = config("c", &[]);
    (mixed.allow_mixed, mixed.local.strategy) = (true, "other x=1".to_owned());
    let c = Node::start(mixed).await;
    let mut second = config("d", &[&c]);
    second.allow_mixed = true;
    let d = Node::start(second).await;
    eventually("they are connected", || {
        !d.transport.connected().is_empty() && !c.transport.connected().is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_newcomer_whose_clock_was_set_back_takes_the_next_incarnation() {
    let mut a = Node::start(config("a", &[])).await;
    let mut first = config("b", &[&a]);
    first.local.incarnation = 100;
    let mut old = Node::start(first).await;
    assert_eq!(a.expect_up("b").await, 100);
    old.expect_up("a").await;
    let mut late = config("b", &[&a]);
    late.local.incarnation = 50;
    let mut new = Node::start(late).await;
    assert_eq!(a.expect_down("b").await, DownReason::Restarted);
    assert_eq!(a.expect_up("b").await, 101);
    new.expect_up("a").await;
    old.expect_down("a").await;
    let evicted = old.next().await;
    assert!(
        matches!(evicted, TransportEvent::Evicted { incarnation: 101 }),
        "{evicted:?}"
    );
    a.talk(&mut new, "a", "b").await;
}

#[tokio::test]
async fn a_node_that_leaves_is_dialled_no_more() {
    let mut a = Node::start(config("a", &[])).await;
    let mut others = Vec::new();
    for name in ["b", "c", "d"] {
        others.push(Node::start(config(name, &[&a])).await);
    }
    eventually("all are connected", || {
        others
            .iter()
            .all(|node| node.transport.connected().len() == 3)
    })
    .await;
    assert_eq!(a.transport.counters().addresses, 3);
    for other in others {
        let taken = tokio::spawn(async move {
            let mut incoming = other.incoming;
            while incoming.recv().await.is_some() {}
        });
        let ends = other.transport.close(true, PATIENCE).await;
        assert!(
            ends.iter()
                .any(|end| end.node.as_str() == "a" && end.arrived)
        );
        drop(other.transport);
        taken.await.unwrap();
    }
    while a.transport.counters().peers > 0 {
        a.next().await;
    }
    assert_eq!(a.transport.counters().addresses, 0);
}

#[tokio::test]
async fn learned_addresses_that_lead_nowhere_are_forgotten() {
    let mut a = Node::start({
        let mut setup = config("a", &[]);
        setup.limits.address_ttl = Duration::from_millis(300);
        setup.limits.redial_learned_max = Duration::from_millis(100);
        setup
    })
    .await;
    let b = Node::start(config("b", &[&a])).await;
    a.expect_up("b").await;
    drop(b);
    a.expect_down("b").await;
    eventually("its address is forgotten", || {
        a.transport.counters().addresses == 0
    })
    .await;
}

#[tokio::test]
async fn new_secrets_reach_standing_connections_and_nothing_is_lost() {
    let (mut a, mut b) = pair().await;
    let new = Secret::new(&[9; 32]).unwrap();
    a.transport
        .set_secrets(vec![new.clone(), secret()])
        .unwrap();
    let count: u32 = 2_000;
    for number in 0..count {
        let bytes = Bytes::copy_from_slice(&number.to_be_bytes());
        let sent = a.transport.send(&"b".into(), Channel::SYNC, "test", bytes);
        assert_eq!(sent, Ok(()));
        if number == count / 2 {
            b.transport.set_secrets(vec![new.clone()]).unwrap();
        }
        if number % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    for number in 0..count {
        assert_eq!(b.expect_message("a").await.1, number.to_be_bytes()[..]);
    }
    let uses_new = |node: &Node, name: &str| {
        let table = node.transport.shared().unwrap().table();
        let peer = table.get(&name.into());
        peer.is_some_and(|peer| peer.secret == new)
    };
    eventually("both use the new secret", || {
        uses_new(&a, "b") && uses_new(&b, "a")
    })
    .await;
    a.talk(&mut b, "a", "b").await;
    assert!(a.incoming.try_recv().is_err() && b.incoming.try_recv().is_err());
    let refused = a.transport.set_secrets(Vec::new());
    assert_eq!(refused, Err(crate::live::SecretsError::None));
}
