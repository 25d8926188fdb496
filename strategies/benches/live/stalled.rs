//! One of five hubs stops reading: what the others notice of it, and how it comes back.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use hublab_strategies::live::{Filter, FilterVerdict, Hub, Limits};
use hublab_strategies::{Channel, ChildSpec, NodeId, PubSub};
use tokio::time::sleep;

use crate::singles::load;
use crate::{HUBS, REPEATS, builder, idle, percentile, report, until};

const STARTS: usize = 2_000;

/// Children that are left in the end: the large ones would not fit a snapshot within the bound.
const LEFT: usize = 100;

/// What may be queued for a peer.
const BOUND: usize = 2 << 20;

/// A gate in the way of a hub's own task: while it is shut, the hub takes nothing that arrives, but
/// is alive.
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

impl Filter for Gate {
    fn judge(&self, _: &NodeId, _: &NodeId, channel: Option<Channel>, _: usize) -> FilterVerdict {
        if channel.is_some() {
            let shut = self.shut.lock().expect("nobody panics here");
            drop(self.opened.wait_while(shut, |shut| *shut));
        }
        FilterVerdict::Pass
    }
}

fn limits() -> Limits {
    Limits {
        queue_bytes: BOUND,
        message_bytes: BOUND,
        ..Limits::default()
    }
}

pub(crate) async fn measure() {
    let [mut before, mut during, mut growth, mut queued, mut whole] = [const { Vec::new() }; 5];
    for _ in 0..REPEATS {
        let gate = Arc::new(Gate::default());
        let mut hubs: Vec<Hub> = Vec::new();
        for number in 1..HUBS {
            let hub = builder(&format!("n{number}"), PubSub::default(), &hubs);
            hubs.push(hub.limits(limits()).start().await.expect("a free port"));
        }
        let stalled = builder("n5", PubSub::default(), &hubs).limits(limits());
        // It comes to the gate as soon as it has something to say.
        let stalled = stalled.discovery_interval(Duration::from_millis(200));
        let stalled = stalled.filter(Arc::clone(&gate) as Arc<dyn Filter>);
        // It will block its thread: it gets threads of its own.
        let elsewhere = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let stalled = elsewhere.spawn(stalled.start()).await.expect("it ends");
        let stalled = stalled.expect("a free port");
        let members = |hub: &Hub| hub.members().len();
        until(|| {
            hubs.iter()
                .chain([&stalled])
                .all(|hub| members(hub) == HUBS)
        })
        .await;

        let args = [("long".into(), "x".repeat(10_000).into())];
        let spec = |id| ChildSpec::with_args(id, "idle", args.clone().into());
        let quiet = load(&hubs, 0..STARTS, &spec).await;
        gate.set(true);
        sleep(Duration::from_millis(300)).await;
        let most = tokio::spawn(most_queued(hubs[0].clone()));
        let stuck = load(&hubs, STARTS..2 * STARTS, &spec).await;
        until(|| members(&hubs[0]) == HUBS - 1).await;
        let ids = (0..2 * STARTS).map(|number| format!("s{number}"));
        hubs[0].stop_children(ids).await.expect("it runs");
        let left = idle("left", 0..LEFT);
        hubs[0].start_children(left).await.expect("it runs");
        gate.set(false);
        let opened = Instant::now();
        let all = || hubs.iter().chain([&stalled]);
        until(|| all().all(|hub| members(hub) == HUBS)).await;
        // It was back before its debounce was over, so only a round takes away what was stopped
        // meanwhile (M1): this is the next one.
        hubs[0].sync().await.expect("it runs");
        until(|| all().all(|hub| hub.stats().rows == LEFT)).await;
        whole.push(opened.elapsed().as_secs_f64());
        queued.push(most.await.expect("it ends") as f64 / 1_048_576.0);
        let (p99, stuck) = (percentile(&quiet, 0.99), percentile(&stuck, 0.99));
        growth.push(stuck / p99);
        before.push(p99 / 1e3);
        during.push(stuck / 1e3);
        drop(stalled);
        elsewhere.shutdown_background();
    }
    report("stalled: p99 when all read", "ms", "", before);
    report("stalled: p99 when one does not", "ms", "", during);
    report("stalled: growth", "x", "< 2", growth);
    report("stalled: most bytes queued", "MiB", "<= 2", queued);
    report("stalled: whole again", "s", "", whole);
}

/// The most that a hub had queued until it lost a peer.
async fn most_queued(hub: Hub) -> u64 {
    let mut most = 0;
    while hub.connected().len() == HUBS - 1 {
        most = most.max(hub.stats().transport.queued_bytes);
        sleep(Duration::from_millis(2)).await;
    }
    most
}
