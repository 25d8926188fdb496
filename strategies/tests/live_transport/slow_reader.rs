//! A member that is alive and does not read.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use hublab_strategies::live::{Builder, Filter, FilterVerdict, Hub, Limits};
use hublab_strategies::{Channel, ChildSpec, NodeId, PubSub};
use tokio::time::Instant;

use crate::{builder, refusals, until};

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

const BOUND: usize = 2 << 20;

fn patient(name: &str, peers: &[&Hub]) -> Builder<PubSub> {
    builder(name, peers)
        .down_after(Duration::from_secs(60))
        .limits(Limits {
            queue_bytes: BOUND,
            // What a member may hold unread, it reads before it stops.
            message_bytes: BOUND,
            ..Limits::default()
        })
}

/// A cluster of which one member can be kept from reading.
struct Cluster {
    /// Those that read.
    hubs: Vec<Hub>,
    slow: Hub,
    gate: Arc<Gate>,
    _threads: Elsewhere,
}

impl Cluster {
    async fn start(names: &[&str]) -> Self {
        let mut hubs: Vec<Hub> = Vec::new();
        for name in names {
            let first: Vec<&Hub> = hubs.first().into_iter().collect();
            let hub = patient(name, &first).start().await;
            hubs.push(hub.expect("a free port"));
        }
        let gate = Arc::new(Gate::default());
        let slow = patient("slow", &[&hubs[0]]).filter(Arc::clone(&gate) as Arc<dyn Filter>);
        let (slow, threads) = elsewhere(slow);
        let cluster = Self {
            hubs,
            slow,
            gate,
            _threads: threads,
        };
        cluster.is_whole().await;
        cluster
    }

    /// Waits until all are members of all, and know the same number of children.
    async fn is_whole(&self) {
        let all = || self.hubs.iter().chain([&self.slow]);
        until("all are members", || {
            all().all(|hub| hub.members().len() == self.hubs.len() + 1)
        })
        .await;
        until("all have the same", || {
            all().all(|hub| hub.stats().rows == self.hubs[0].stats().rows)
        })
        .await;
    }
}

/// A child whose row takes some room.
fn large(number: usize) -> ChildSpec {
    let args = [("long".into(), "x".repeat(10_000).into())];
    ChildSpec::with_args(format!("child-{number}"), "worker", args.into())
}

#[tokio::test]
async fn a_member_that_stops_reading_is_dropped_costs_no_more_than_its_bound_and_returns_whole() {
    let cluster = Cluster::start(&["a", "b"]).await;
    let (a, b) = (&cluster.hubs[0], &cluster.hubs[1]);
    let shut = Shut::new(&cluster.gate);
    let mut rounds = 0;
    while refusals(a, "reads too slowly") == 0 {
        rounds += 1;
        assert!(rounds < 1000, "the bound was never reached");
        let children = || (0..20).map(large);
        a.start_children(children()).await.expect("it runs");
        until("b is not held up", || b.registry().count() == 20).await;
        a.stop_children(children().map(|spec| spec.id().clone()))
            .await
            .expect("it runs");
        until("b is not held up", || b.registry().count() == 0).await;
        assert!(a.stats().transport.queued_bytes <= 2 * BOUND as u64);
    }
    a.start_children([large(1), large(2)])
        .await
        .expect("it runs");
    until("it is no member", || !a.members().contains(&"slow".into())).await;
    drop(shut);
    let opened = Instant::now();
    cluster.is_whole().await;
    // It notices the loss of its connection, dials, is announced, and joins after the debounce.
    assert!(opened.elapsed() < Duration::from_secs(5));
    assert_eq!(cluster.slow.registry().count(), 2);
}

/// The share of 99 % of some single starts, one after the other, until the other hubs see them.
async fn p99(hubs: &[Hub], numbers: std::ops::Range<usize>) -> Duration {
    let mut delays = Vec::new();
    for number in numbers {
        let spec = large(number);
        let watch = |hub: &Hub| hub.watch(spec.id().as_str());
        let watches: Vec<_> = hubs[1..].iter().map(watch).collect();
        let begin = Instant::now();
        hubs[0].start_children([spec]).await.expect("it runs");
        for mut watch in watches {
            watch.next().await;
        }
        delays.push(begin.elapsed());
    }
    delays.sort_unstable();
    delays[delays.len() * 99 / 100]
}

#[tokio::test]
async fn a_member_that_stops_reading_does_not_make_the_others_wait_twice_as_long() {
    const STARTS: usize = 300;
    // What the machine does besides makes waits longer, never shorter: the least of several counts.
    let (mut quiet, mut stalled) = (Duration::MAX, Duration::MAX);
    for round in 0..8 {
        let cluster = Cluster::start(&["a", "b", "c"]).await;
        quiet = quiet.min(p99(&cluster.hubs, 0..STARTS).await);
        let shut = Shut::new(&cluster.gate);
        let mut started = STARTS;
        // The whole way to its end: unread, queued, dropped.
        while refusals(&cluster.hubs[0], "reads too slowly") == 0 {
            assert!(started < 40 * STARTS, "the bound was never reached");
            stalled = stalled.min(p99(&cluster.hubs, started..started + STARTS).await);
            started += STARTS;
        }
        drop(shut);
        if round > 0 && stalled < 2 * quiet {
            return;
        }
    }
    panic!("{stalled:?} while one does not read, {quiet:?} otherwise");
}
