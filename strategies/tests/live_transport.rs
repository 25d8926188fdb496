//! Who is kept out of a cluster, and what it costs: strangers against two healthy hubs.

#![cfg(feature = "tokio")]

mod live_initiator;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::time::Duration;

use hublab_strategies::live::{
    Builder, Filter, FilterVerdict, Hub, Limits, Secret, SecretError, Tasks,
};
use hublab_strategies::{Channel, ChildSpec, NodeId, PubSub};
use live_initiator::{Answer, Initiator, accept, first, hello, key, name_taken, open, preamble};
use proptest::prelude::*;
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
    Hub::builder(HUB)
        .node(name)
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
    let found = refusals.iter().find(|(what, _)| what.contains(reason));
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
    let (_, answer) = open(&address, &preamble(2, HUB)).await;
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
    let announcement = [vec![0], live_initiator::number(7)].concat();
    let parts = [
        live_initiator::record(0, 3, &announcement[..1]),
        live_initiator::record(1, 3, &announcement[1..]),
    ];
    x.send(&parts.concat()).await;
    until("x is a member", || {
        cluster.a.members().contains(&"x".into())
    })
    .await;
    // b's address is in the records of the next frames.
    let wanted = [
        live_initiator::text("b"),
        live_initiator::text(&cluster.b.local_addr().to_string()),
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
    x.send(&live_initiator::record(1, 3, &[0, 7])).await;
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
        let mut frame = x.seal(&live_initiator::record(1, 3, &[0; 20]));
        frame[2 + bit / 8] ^= 1 << (bit % 8);
        x.send_raw(&frame).await;
        x.closed().await;
        malformed += 1;
        cluster.refused("not what a hub sends", malformed).await;
        until("x is gone", || cluster.a.connected().len() == 1).await;
    }
    let records = [
        live_initiator::record(3, 0, b"unknown tag"),
        vec![1, 0, 0, 9, 1],
        vec![1, 0],
        live_initiator::record(2, 0, &[9]),
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
    let frame = x.seal(&live_initiator::record(1, 3, &[0; 20]));
    x.send_raw(&frame[..frame.len() - 1]).await;
    drop(x);
    until("x is gone", || cluster.a.connected().len() == 1).await;
    cluster.goes_on().await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_not_put_together() {
    let cluster = Cluster::start().await;
    let (mut x, _) = Initiator::greeted(&cluster.address(), HUB, SECRET, "x", 7).await;
    let part = live_initiator::record(0, 1, &[0; 16_000]);
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
    x.send(&live_initiator::record(1, 0, b"no message at all"))
        .await;
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
        assert_eq!(answer, name_taken());
        cluster
            .refused("a node of this name is connected", count)
            .await;
    }
    let (_, answer) = Initiator::greeted(&address, HUB, SECRET, "a", u64::MAX).await;
    assert_eq!(answer, name_taken());
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
    cluster.refused("not what a hub sends", 86).await;
    cluster.goes_on().await;
}

/// A gate in the way of a hub's own task: while it is shut, the hub takes nothing that arrives.
#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, shut: bool) {
        *self.shut.lock().expect("nobody panics here") = shut;
        self.opened.notify_all();
    }
}

/// Starts a hub whose task may block: on threads of its own.
fn elsewhere(builder: Builder<PubSub>) -> (Hub, Elsewhere) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime");
    let (sender, receiver) = std::sync::mpsc::channel();
    runtime.spawn(async move { sender.send(builder.start().await) });
    let hub = receiver.recv().expect("it starts").expect("a free port");
    (hub, Elsewhere(Some(runtime)))
}

/// A runtime that is not waited for.
struct Elsewhere(Option<tokio::runtime::Runtime>);

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Shuts a gate until it is dropped, by a failing test too: what waits at it could never end.
struct Shut<'a>(&'a Gate);

impl<'a> Shut<'a> {
    fn new(gate: &'a Gate) -> Self {
        gate.set(true);
        Self(gate)
    }
}

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Filter for Gate {
    fn judge(&self, _: &NodeId, _: &NodeId, channel: Option<Channel>, _: usize) -> FilterVerdict {
        // Heartbeats pass: the peer is alive, it only does not read.
        if channel.is_some() {
            let shut = self.shut.lock().expect("nobody panics here");
            let open = self.opened.wait_while(shut, |shut| *shut);
            drop(open.expect("nobody panics here"));
        }
        FilterVerdict::Pass
    }
}

#[tokio::test]
async fn a_member_that_stops_reading_is_dropped_costs_no_more_than_its_bound_and_returns_whole() {
    const BOUND: usize = 2 << 20;
    let limits = || Limits {
        queue_bytes: BOUND,
        ..Limits::default()
    };
    let builder = |name, peers: &[&Hub]| {
        let patient = builder(name, peers).down_after(Duration::from_secs(60));
        patient.limits(limits())
    };
    let a = builder("a", &[]).start().await.expect("a free port");
    let b = builder("b", &[&a]).start().await.expect("a free port");
    let gate = Arc::new(Gate::default());
    // What c may hold unread, it reads before it stops.
    let c = builder("c", &[&a])
        .filter(Arc::clone(&gate) as Arc<dyn Filter>)
        .limits(Limits {
            message_bytes: BOUND,
            ..limits()
        });
    let (c, _threads) = elsewhere(c);
    until("all are members", || {
        [&a, &b, &c].iter().all(|hub| hub.members().len() == 3)
    })
    .await;
    let shut = Shut::new(&gate);
    let args = [("long".into(), "x".repeat(10_000).into())];
    let spec =
        |number| ChildSpec::with_args(format!("child-{number}"), "worker", args.clone().into());
    let mut rounds = 0;
    while refusals(&a, "reads too slowly") == 0 {
        rounds += 1;
        assert!(rounds < 1000, "the bound was never reached");
        let children = || (0..20).map(spec);
        a.start_children(children()).await.expect("it runs");
        until("b is not held up", || b.registry().count() == 20).await;
        a.stop_children(children().map(|spec| spec.id().clone()))
            .await
            .expect("it runs");
        until("b is not held up", || b.registry().count() == 0).await;
        assert!(a.stats().transport.queued_bytes <= 2 * BOUND as u64);
    }
    a.start_children([spec(1), spec(2)]).await.expect("it runs");
    until("c is no member", || !a.members().contains(&"c".into())).await;
    drop(shut);
    until("c has what a has", || c.registry().count() == 2).await;
    until("all are members again", || {
        [&a, &b, &c].iter().all(|hub| hub.members().len() == 3)
    })
    .await;
}

/// The memory of this process, in KiB; 0 where the system does not say.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// How many cases: 24 times `HUBLAB_SEEDS`, or 24.
fn cases() -> u32 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the size of a test, not of a run"
    )]
    let wanted = std::env::var("HUBLAB_SEEDS").ok();
    24 * wanted.map_or(1, |text| text.parse::<u32>().expect("a number of seeds"))
}

/// What a stranger, or a member gone mad, sends.
#[derive(Debug, Clone)]
enum Garbage {
    /// In place of the preamble.
    First(Vec<u8>),
    /// Behind the preamble.
    BehindPreamble(Vec<u8>),
    /// Behind the first message.
    BehindFirst(Vec<u8>),
    /// Behind the greeting, not sealed.
    Unsealed(Vec<u8>),
    /// Sealed, in place of the greeting.
    Greeting(Vec<u8>),
    /// Sealed, behind the greeting.
    Sealed(Vec<u8>),
    /// A record of these bytes, behind the greeting.
    Record(u8, u8, Vec<u8>),
}

fn garbage() -> impl Strategy<Value = Garbage> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        bytes().prop_map(Garbage::First),
        bytes().prop_map(Garbage::BehindPreamble),
        bytes().prop_map(Garbage::BehindFirst),
        bytes().prop_map(Garbage::Unsealed),
        bytes().prop_map(Garbage::Greeting),
        bytes().prop_map(Garbage::Sealed),
        (0..4_u8, 0..5_u8, bytes())
            .prop_map(|(tag, channel, body)| { Garbage::Record(tag, channel, body) }),
    ]
}

async fn throw(address: &str, garbage: &Garbage) {
    let greeted = || async { Initiator::greeted(address, HUB, SECRET, "x", 7).await.0 };
    match garbage {
        Garbage::First(bytes) => drop(raw(address, bytes).await),
        Garbage::BehindPreamble(bytes) => {
            drop(raw(address, &[preamble(1, HUB), bytes.clone()].concat()).await);
        }
        Garbage::BehindFirst(bytes) => {
            let (first, _) = first(&key(SECRET), HUB);
            drop(raw(address, &[first, bytes.clone()].concat()).await);
        }
        Garbage::Unsealed(bytes) => greeted().await.send_raw(bytes).await,
        Garbage::Greeting(bytes) => {
            let session = Initiator::connect(address, HUB, SECRET).await;
            let mut session = session.map_err(|_| "refused").expect("the secret is right");
            session.send(bytes).await;
        }
        Garbage::Sealed(bytes) => greeted().await.send(bytes).await,
        Garbage::Record(tag, channel, body) => {
            let record = live_initiator::record(*tag, *channel, body);
            greeted().await.send(&record).await;
        }
    }
}

async fn raw(address: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    drop(stream.write_all(bytes).await);
    stream
}

#[test]
fn garbage_before_and_after_the_handshake_changes_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let cluster = runtime.block_on(Cluster::start());
    let before = resident_kib();
    proptest!(ProptestConfig::with_cases(cases()), |(garbage in proptest::collection::vec(garbage(), 1..8))| {
        runtime.block_on(async {
            for one in &garbage {
                throw(&cluster.address(), one).await;
                until("x is gone", || cluster.a.connected().len() == 1).await;
            }
            cluster.goes_on().await;
        });
    });
    assert!(resident_kib().saturating_sub(before) < 64 << 10);
}

/// What all tests of this program log.
static LOG: LazyLock<Arc<Mutex<Vec<u8>>>> = LazyLock::new(|| {
    let log = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&log);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || Sink(Arc::clone(&writer)))
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("no other is set");
    log
});

struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().expect("no writer panics");
        log.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged() -> String {
    let log = LOG.lock().expect("no writer panics");
    String::from_utf8_lossy(&log).into_owned()
}

#[tokio::test]
async fn a_refusal_is_logged_once_with_its_reason_a_flood_a_few_times_and_the_secret_never() {
    LazyLock::force(&LOG);
    let cluster = Cluster::start().await;
    let socket = raw(&cluster.address(), b"GET / HTTP/1.1\r\n\r\n").await;
    let stranger = format!("peer={} ", socket.local_addr().expect("an address"));
    cluster.refused("not those of a hub", 1).await;
    let lines = |wanted: &str| {
        logged()
            .lines()
            .filter(|line| line.contains(wanted))
            .count()
    };
    until("it is logged", || lines(&stranger) == 1).await;
    let line = logged();
    let line = line.lines().find(|line| line.contains(&stranger));
    let line = line.expect("it is logged");
    assert!(
        line.contains("WARN") && line.contains("not those of a hub"),
        "{line}"
    );
    let (mut flood, begun) = (Vec::new(), Instant::now());
    for _ in 0..300 {
        let socket = raw(&cluster.address(), b"GET / HTTP/1.1\r\n\r\n").await;
        let port = socket.local_addr().expect("an address").port();
        flood.push(format!("peer=127.0.0.1:{port} "));
    }
    cluster.refused("not those of a hub", 301).await;
    let of_flood = flood.iter().filter(|stranger| lines(stranger) > 0).count();
    let seconds = usize::try_from(begun.elapsed().as_secs()).expect("a short test");
    assert!(
        (1..=10 * (seconds + 2)).contains(&of_flood),
        "{of_flood} lines"
    );
    drop(Initiator::greeted(&cluster.address(), HUB, SECRET, "x", 7).await);
    let log = logged();
    assert!(!log.contains(&*String::from_utf8_lossy(SECRET)));
    for bytes in [&SECRET[..], &key(SECRET)] {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!log.contains(&hex));
        assert!(!log.contains(&format!("{bytes:?}")));
    }
    assert_eq!(format!("{:?}", secret()), "Secret(..)");
}
