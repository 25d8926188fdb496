//! Look-ups in many rows that change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hublab_strategies::live::Hub;
use hublab_strategies::{
    ChildId, ChildSpec, Entry, Members, Metadata, NodeId, Pid, PubSub, Registration, Request,
};

use crate::{hub, percentile, report};

fn registration(number: usize, boot: usize) -> Registration {
    Registration {
        spec: ChildSpec::new(format!("child-{number}"), "idle"),
        entries: [Entry {
            node: NodeId::new("n9"),
            pid: Some(Pid::new(&format!("n9.{boot}.{number}"))),
        }]
        .into_iter()
        .collect(),
        metadata: Metadata::default(),
    }
}

/// Look-ups in a million rows while 100,000 of them change per second.
pub(crate) async fn measure() {
    const ROWS: usize = 1_000_000;
    let hub = hub("n1", PubSub::default(), &[]).await;
    for chunk in 0..ROWS / 10_000 {
        let rows = (chunk * 10_000..(chunk + 1) * 10_000).map(|number| registration(number, 0));
        let request = Request::Register(rows.collect());
        hub.propagate([request], Members::Local)
            .await
            .expect("it runs");
    }
    assert_eq!(hub.stats().rows, ROWS);
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(hub.clone(), Arc::clone(&done)));
    let reader = tokio::task::spawn_blocking(move || read(&hub, ROWS));
    let sorted = reader.await.expect("it ends");
    done.store(true, Ordering::Release);
    let rate = writer.await.expect("it ends");
    let mean = sorted.iter().sum::<Duration>().as_secs_f64() * 1e6 / sorted.len() as f64;
    report("lookup: writes meanwhile", "per s", "100000", vec![rate]);
    report("lookup: mean", "us", "< 1", vec![mean]);
    for (name, share, goal) in [
        ("p50", 0.5, ""),
        ("p99", 0.99, "< 2"),
        ("p99.9", 0.999, "< 50"),
    ] {
        let value = percentile(&sorted, share);
        report(&format!("lookup: {name}"), "us", goal, vec![value]);
    }
}

/// Changes 1,000 rows every 10 ms. Answers how many it really changed per second.
async fn write(hub: Hub, done: Arc<AtomicBool>) -> f64 {
    let start = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let mut written = 0;
    while !done.load(Ordering::Acquire) {
        ticks.tick().await;
        let rows =
            (0..1_000).map(|row| registration((written + row) * 7_919 % 1_000_000, 1 + written));
        let request = Request::Register(rows.collect());
        hub.propagate([request], Members::Local)
            .await
            .expect("it runs");
        written += 1_000;
    }
    written as f64 / start.elapsed().as_secs_f64()
}

fn read(hub: &Hub, rows: usize) -> Vec<Duration> {
    let ids: Vec<ChildId> = (0..100_000)
        .map(|k| format!("child-{}", k * 104_729 % rows).into())
        .collect();
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        for id in &ids {
            let before = Instant::now();
            let row = hub.lookup(id.as_str());
            times.push(before.elapsed());
            assert!(row.is_some());
        }
    }
    times.sort_unstable();
    times
}
