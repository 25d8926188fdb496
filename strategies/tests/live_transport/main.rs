//! Who is kept out of a cluster, and what it costs: strangers against two healthy hubs.

#![cfg(feature = "tokio")]
#![expect(
    clippy::disallowed_types,
    reason = "these tests are about threads and sockets"
)]

mod garbage;
mod initiator;
mod logs;
mod slow_reader;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hublab_strategies::live::{Builder, Hub, HubEvent, Limits, Secret, SecretError, Tasks};
use hublab_strategies::{ChildSpec, PubSub};
use initiator::{Answer, Initiator, accept, first, hello, key, name_taken, open, preamble};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

const HUB: &str = "orders";
const SECRET: &[u8; 32] = b"a secret that only members know.";

fn secret() -> Secret {
    Secret::new(SECRET).expect("it is long enough")
}

fn builder(name: &str, peers: &[&Hub]) -> Builder<PubSub> {
    let tasks = Tasks::new().with("worker", |_| std::future::pending::<()>());
    Hub::builder(HUB, name)
        .peers(peers.iter().map(|peer| peer.local_addr().to_string()))
        .secret(secret())
        .supervisor(tasks)
        .join_debounce(Duration::from_millis(20))
        .discovery_interval(Duration::from_millis(200))
        .limits(Limits {
            handshake: Duration::from_millis(500),
            ..Limits::default()
        })
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Two hubs that form a cluster, one of which hosts a child.
struct Cluster {
    a: Hub,
    b: Hub,
    started: AtomicU64,
}

impl Cluster {
    async fn start() -> Self {
        let a = builder("a", &[]).start().await.expect("a free port");
        let b = builder("b", &[&a]).start().await.expect("a free port");
        until("both are members", || {
            [&a, &b].iter().all(|hub| hub.members().len() == 2)
        })
        .await;
        let cluster = Self {
            a,
            b,
            started: AtomicU64::new(0),
        };
        cluster.goes_on().await;
        cluster
    }

    fn address(&self) -> String {
        self.a.local_addr().to_string()
    }

    /// Nothing was added by strangers, and what the cluster is for still works.
    async fn goes_on(&self) {
        let number = self.started.fetch_add(1, Ordering::SeqCst);
        assert_eq!(self.a.members().len(), 2);
        assert_eq!(self.a.connected(), ["b".into()]);
        assert_eq!(self.a.registry().count() as u64, number);
        let child = format!("child-{number}");
        self.b
            .start_children([ChildSpec::new(child.as_str(), "worker")])
            .await
            .expect("it runs");
        until("a finds the child", || self.a.lookup(&child).is_some()).await;
    }

    /// Waits until `a` has refused so many for a reason.
    async fn refused(&self, reason: &str, count: u64) {
        until(reason, || refusals(&self.a, reason) >= count).await;
        assert_eq!(refusals(&self.a, reason), count, "{reason}");
    }
}

fn refusals(hub: &Hub, reason: &str) -> u64 {
    let refusals = hub.stats().transport.refusals;
    let found = refusals
        .iter()
        .find(|(what, _)| what.to_string().contains(reason));
    found.map_or(0, |(_, count)| *count)
}

#[tokio::test]
async fn a_wrong_secret_another_hub_and_another_version_are_refused() {
    let cluster = Cluster::start().await;
    let address = cluster.address();
    let wrong = Initiator::connect(&address, HUB, &[0; 32]).await;
    assert_eq!(wrong.err(), Some(Answer::Closed));
    cluster.refused("prove the cluster's secret", 1).await;
    let other = Initiator::connect(&address, "invoices", SECRET).await;
    assert_eq!(other.err(), Some(Answer::Refused(2)));
    cluster.refused("another hub id", 1).await;
    let (_, answer) = open(&address, &preamble(3, HUB)).await;
    assert_eq!(answer, Answer::Refused(1));
    cluster.refused("another protocol version", 1).await;
    let (_, answer) = open(&address, b"GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(answer, Answer::Closed);
    cluster.refused("not those of a hub", 1).await;
    cluster.goes_on().await;
}

#[tokio::test]
async fn hubs_without_the_secret_never_become_members() {
    let cluster = Cluster::start().await;
    let wrong = Secret::new(&[1; 32]).expect("it is long enough");
    let dial = |name: &str| builder(name, &[&cluster.a]);
    let strangers = [
        dial("c").secret(wrong).start().await.expect("a free port"),
        dial("d").secrets([]).start().await.expect("a free port"),
    ];
    until("both were refused", || {
        refusals(&cluster.a, "prove the cluster's secret") >= 4
    })
    .await;
    for stranger in &strangers {
        assert_eq!(stranger.members().len(), 1);
        assert!(refusals(stranger, "prove the cluster's secret") > 0);
    }
    cluster.goes_on().await;
}

#[test]
fn a_short_secret_is_refused() {
    assert!(matches!(
        Secret::new(&SECRET[1..]),
        Err(SecretError::Short(31))
    ));
}

#[tokio::test]
async fn a_second_implementation_joins_the_cluster_and_is_told_where_the_others_are() {
    let cluster = Cluster::start().await;
    let (mut x, answer) = Initiator::greeted(&cluster.address(), HUB, SECRET, "x", 7).await;
    assert_eq!((answer, x.listener.as_str()), (accept(), "a"));
    // An announcement, on the control channel, in two parts.
    let announcement = [vec![0], initiator::number(7)].concat();
    let parts = [
        initiator::record(0, 3, &announcement[..1]),
        initiator::record(1, 3, &announcement[1..]),
    ];
    x.send(&parts.concat()).await;
    until("x is a member", || {
        cluster.a.members().contains(&"x".into())
    })
    .await;
    // b's address is in the records of the next frames.
    let wanted = [
        initiator::text("b"),
        initiator::number(cluster.b.incarnation()),
        initiator::text(&cluster.b.local_addr().to_string()),
    ]
    .concat();
    loop {
        let frame = x.receive().await.expect("a lives");
        if frame.windows(wanted.len()).any(|window| window == wanted) {
            break;
        }
    }
    drop(x);
    until("x is gone", || cluster.a.members().len() == 2).await;
    cluster.goes_on().await;
}

#[tokio::test]
async fn a_first_message_may_be_replayed_and_gains_nothing() {
    let cluster = Cluster::start().await;
    let address = cluster.address();
    let session = Initiator::connect(&address, HUB, SECRET).await;
    let recorded = session
        .map_err(|_| "refused")
        .expect("the secret is right")
        .written;
    for count in 1..=3 {
        let (mut stream, answer) = open(&address, &recorded).await;
        assert_eq!(answer, Answer::GoOn);
        let frame = [&[0, 40][..], &[count; 40]].concat();
        stream.write_all(&frame).await.expect("it is open");
        // The first session of this test closed without a frame; then each replay is refused.
        cluster
            .refused("prove the cluster's secret", u64::from(count))
            .await;
    }
    cluster.goes_on().await;
}

#[tokio::test]
async fn a_recorded_session_cannot_be_played_back() {
    let cluster = Cluster::start().await;
    let (mut x, answer) = Initiator::greeted(&cluster.address(), HUB, SECRET, "x", 7).await;
    assert_eq!(answer, accept());
    x.send(&initiator::record(1, 3, &[0, 7])).await;
    until("x is a member", || cluster.a.members().len() == 3).await;
    let recorded = x.written.clone();
    drop(x);
    until("x is gone", || cluster.a.members().len() == 2).await;
    let (_stream, answer) = open(&cluster.address(), &recorded).await;
    assert_eq!(answer, Answer::GoOn);
    cluster.refused("prove the cluster's secret", 1).await;
    cluster.goes_on().await;
}

#[tokio::test]
async fn frames_that_are_damaged_cut_off_or_too_long_end_their_connection_only() {
    let cluster = Cluster::start().await;
    let address = cluster.address();
    let greeted = || Initiator::greeted(&address, HUB, SECRET, "x", 7);
    let mut malformed = 0;
    for bit in [0, 7, 16, 100, 200] {
        let (mut x, _) = greeted().await;
        let mut frame = x.seal(&initiator::record(1, 3, &[0; 20]));
        frame[2 + bit / 8] ^= 1 << (bit % 8);
        x.send_raw(&frame).await;
        x.closed().await;
        malformed += 1;
        cluster.refused("not what a hub sends", malformed).await;
        until("x is gone", || cluster.a.connected().len() == 1).await;
    }
    let records = [
        initiator::record(3, 0, b"unknown tag"),
        vec![1, 0, 0, 9, 1],
        vec![1, 0],
        initiator::record(2, 0, &[9]),
        hello("x", 8),
    ];
    for record in records {
        let (mut x, _) = greeted().await;
        x.send(&record).await;
        x.closed().await;
        malformed += 1;
        cluster.refused("not what a hub sends", malformed).await;
        until("x is gone", || cluster.a.connected().len() == 1).await;
    }
    let (mut x, _) = greeted().await;
    x.send_raw(&[0xff, 0xff]).await;
    x.closed().await;
    cluster.refused("not what a hub sends", malformed + 1).await;
    let (mut x, _) = greeted().await;
    let frame = x.seal(&initiator::record(1, 3, &[0; 20]));
    x.send_raw(&frame[..frame.len() - 1]).await;
    drop(x);
    until("x is gone", || cluster.a.connected().len() == 1).await;
    cluster.goes_on().await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_not_put_together() {
    let cluster = Cluster::start().await;
    let (mut x, _) = Initiator::greeted(&cluster.address(), HUB, SECRET, "x", 7).await;
    let part = initiator::record(0, 1, &[0; 16_000]);
    for _ in 0..(16 << 20) / 16_000 + 1 {
        x.send(&part).await;
    }
    x.closed().await;
    cluster.refused("not what a hub sends", 1).await;
    cluster.goes_on().await;
}

#[tokio::test]
async fn bytes_that_are_no_message_change_nothing() {
    let cluster = Cluster::start().await;
    let (mut x, _) = Initiator::greeted(&cluster.address(), HUB, SECRET, "x", 7).await;
    x.send(&initiator::record(1, 0, b"no message at all")).await;
    until("it is counted", || cluster.a.stats().malformed == 1).await;
    drop(x);
    until("x is gone", || cluster.a.connected().len() == 1).await;
    cluster.goes_on().await;
}

#[tokio::test]
async fn an_equal_or_older_boot_of_a_live_name_is_refused() {
    let cluster = Cluster::start().await;
    let address = cluster.address();
    let live = cluster.b.incarnation();
    for (count, incarnation) in [(1, live), (2, live - 1), (3, 0)] {
        let (_, answer) = Initiator::greeted(&address, HUB, SECRET, "b", incarnation).await;
        assert_eq!(answer, name_taken(live));
        cluster
            .refused("a node of this name is connected", count)
            .await;
    }
    let (_, answer) = Initiator::greeted(&address, HUB, SECRET, "a", u64::MAX).await;
    assert_eq!(answer, name_taken(cluster.a.incarnation()));
    cluster.goes_on().await;
}

#[tokio::test]
async fn a_second_connection_of_the_same_boot_replaces_a_silent_one_without_down_and_up() {
    let cluster = Cluster::start().await;
    let address = cluster.address();
    let (silent, answer) = Initiator::greeted(&address, HUB, SECRET, "x", 7).await;
    assert_eq!(answer, accept());
    until("x is connected", || cluster.a.connected().len() == 2).await;
    let mut events = cluster.a.events();
    let (mut second, answer) = Initiator::greeted(&address, HUB, SECRET, "x", 7).await;
    assert_eq!(answer, accept());
    second.send(&initiator::record(1, 3, &[0, 7])).await;
    until("x is a member", || cluster.a.members().len() == 3).await;
    while let Some(event) = events.try_next() {
        assert!(matches!(event, HubEvent::Members(_)), "{event:?}");
    }
    drop((silent, second));
    until("x is gone", || cluster.a.members().len() == 2).await;
    cluster.goes_on().await;
}

#[tokio::test]
async fn two_hundred_slow_handshakes_at_once_hold_up_neither_members_nor_newcomers() {
    let cluster = Cluster::start().await;
    let before = resident_kib();
    let (bytes, _) = first(&key(SECRET), HUB);
    let mut slow = Vec::new();
    for number in 0..200 {
        let stream = TcpStream::connect(cluster.address()).await;
        let mut stream = stream.expect("it listens");
        drop(stream.write_all(&bytes[..number % bytes.len()]).await);
        slow.push(stream);
        assert!(cluster.a.stats().transport.handshakes <= 64);
    }
    cluster.goes_on().await;
    until("most were turned away", || {
        refusals(&cluster.a, "too many") >= 100
    })
    .await;
    let c = builder("c", &[&cluster.a])
        .start()
        .await
        .expect("a free port");
    until("the newcomer is a member", || {
        cluster.a.members().len() == 3
    })
    .await;
    until("all slots are free", || {
        cluster.a.stats().transport.handshakes == 0
    })
    .await;
    assert!(resident_kib().saturating_sub(before) < 64 << 10);
    c.leave().await.expect("it runs");
    until("c is gone", || cluster.a.connected().len() == 1).await;
    cluster.goes_on().await;
}

#[tokio::test]
async fn a_handshake_cut_off_anywhere_is_no_connection() {
    let cluster = Cluster::start().await;
    for length in 0..86 {
        let (bytes, _) = first(&key(SECRET), HUB);
        let stream = TcpStream::connect(cluster.address()).await;
        let mut stream = stream.expect("it listens");
        stream
            .write_all(&bytes[..length])
            .await
            .expect("it is open");
    }
    // One that says nothing at all is a check of the port, and no refusal.
    cluster.refused("not what a hub sends", 85).await;
    cluster.goes_on().await;
}

/// The memory of this process, in KiB; 0 where the system does not say.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// A connection on which these bytes were sent.
async fn raw(address: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    drop(stream.write_all(bytes).await);
    stream
}
