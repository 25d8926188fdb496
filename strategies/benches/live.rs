//! How fast live hubs are: five of them on loopback, in one process. Each figure is the median of
//! five, with the slowest and the fastest behind it.
//!
//! `cargo bench -p hublab-strategies --features tokio --bench live [FILTER]`

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures time, and says what it measured"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hublab_strategies::live::{Hub, HubEvent, Tasks};
use hublab_strategies::{
    ChildId, ChildSpec, Entry, Gossip, Members, Metadata, NodeId, Pid, PubSub, Registration,
    Request, Synchronization,
};
use tokio::time::sleep;

const REPEATS: usize = 5;
const HUBS: usize = 5;

fn main() {
    let filter = std::env::args()
        .skip(1)
        .find(|word| !word.starts_with("--"))
        .unwrap_or_default();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let wanted = |name: &str| name.contains(&filter);
    runtime.block_on(async {
        if wanted("batches") {
            batches().await;
        }
        for (name, snapshot) in [("singles", false), ("singles-snapshot", true)] {
            if wanted(name) {
                singles(&format!("{name} pubsub"), PubSub::default, snapshot).await;
            }
        }
        if wanted("singles-gossip") {
            singles("singles-gossip", Gossip::default, false).await;
        }
        if wanted("fresh") {
            fresh().await;
        }
        if wanted("lookup") {
            lookups().await;
        }
    });
}

fn report(name: &str, unit: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let (least, median, most) = (
        values[0],
        values[values.len() / 2],
        values[values.len() - 1],
    );
    println!("{name:<34} {median:>12.1} {unit:<7} ({least:.1} .. {most:.1})");
}

/// The share of values below, in microseconds.
fn percentile(sorted: &[Duration], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "below the length"
    )]
    let at = ((sorted.len() as f64 - 1.0) * share) as usize;
    sorted[at].as_secs_f64() * 1e6
}

async fn hub<S: Synchronization>(name: &str, strategy: S, peers: &[Hub]) -> Hub {
    Hub::builder("bench")
        .node(name)
        .peers(peers.iter().map(|peer| peer.local_addr().to_string()))
        .strategy(strategy)
        .supervisor(Tasks::new().with("idle", |_| std::future::pending::<()>()))
        .join_debounce(Duration::from_millis(100))
        .down_after(Duration::from_secs(60))
        .start()
        .await
        .expect("a free port")
}

async fn cluster<S: Synchronization>(strategy: impl Fn() -> S) -> Vec<Hub> {
    let mut hubs = Vec::new();
    for number in 1..=HUBS {
        hubs.push(hub(&format!("n{number}"), strategy(), &hubs).await);
    }
    until(|| hubs.iter().all(|hub| hub.members().len() == HUBS)).await;
    hubs
}

async fn until(holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "it takes for ever"
        );
        sleep(Duration::from_micros(200)).await;
    }
}

fn idle(prefix: &str, numbers: std::ops::Range<usize>) -> Vec<ChildSpec> {
    numbers
        .map(|number| ChildSpec::new(format!("{prefix}{number}"), "idle"))
        .collect()
}

/// Children started in batches of 1,000, until the last hub finds the last of them.
async fn batches() {
    const ROWS: usize = 100_000;
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        let hubs = cluster(PubSub::default).await;
        let specs: Vec<_> = (0..ROWS / 1_000)
            .map(|batch| idle("c", batch * 1_000..(batch + 1) * 1_000))
            .collect();
        let (start, cost) = (Instant::now(), cpu_seconds());
        for batch in specs {
            hubs[0].start_children(batch).await.expect("it runs");
        }
        until(|| hubs.iter().all(|hub| hub.lookup("c99999").is_some())).await;
        rates.push(ROWS as f64 / start.elapsed().as_secs_f64());
        costs.push((cpu_seconds() - cost) * 1e6 / ROWS as f64);
        assert!(hubs.iter().all(|hub| hub.stats().rows == ROWS));
    }
    report("batches of 1,000 children", "rows/s", rates);
    report("batches: processor time, all hubs", "us/row", costs);
}

/// A thousand single starts per second, from the call until each hub's look-up sees the child.
async fn singles<S: Synchronization>(name: &str, strategy: impl Fn() -> S, snapshot: bool) {
    const STARTS: usize = 3_000;
    let (mut medians, mut tails) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        let hubs = cluster(&strategy).await;
        if snapshot {
            hubs[1]
                .start_children(idle("old", 0..100_000))
                .await
                .expect("it runs");
            until(|| hubs.iter().all(|hub| hub.lookup("old99999").is_some())).await;
        }
        let watchers: Vec<_> = hubs
            .iter()
            .map(|hub| tokio::spawn(arrivals(hub.events(), STARTS)))
            .collect();
        let begin = tokio::time::Instant::now();
        let mut starts = Vec::new();
        for number in 0..STARTS {
            tokio::time::sleep_until(begin + Duration::from_millis(number as u64)).await;
            if snapshot && number == STARTS / 2 {
                hubs[1].sync().await.expect("it runs");
            }
            starts.push(Instant::now());
            let hub = hubs[0].clone();
            let spec = ChildSpec::new(format!("s{number}"), "idle");
            tokio::spawn(async move { hub.start_children([spec]).await });
        }
        let mut last = vec![begin.into_std(); STARTS];
        for watcher in watchers {
            let seen = watcher.await.expect("it ends");
            for (last, seen) in last.iter_mut().zip(seen) {
                *last = (*last).max(seen);
            }
        }
        let mut delays: Vec<_> = last
            .iter()
            .zip(&starts)
            .map(|(last, start)| *last - *start)
            .collect();
        delays.sort_unstable();
        medians.push(percentile(&delays, 0.5) / 1e3);
        tails.push(percentile(&delays, 0.99) / 1e3);
    }
    report(&format!("{name}: median"), "ms", medians);
    report(&format!("{name}: p99"), "ms", tails);
}

/// When each of the children `s0..` was seen first.
async fn arrivals(mut events: hublab_strategies::live::Events, count: usize) -> Vec<Instant> {
    let (mut seen, mut open) = (vec![None; count], count);
    while open > 0 {
        let Some(HubEvent::Row { child, .. }) = events.next().await else {
            continue;
        };
        let number = child
            .as_str()
            .strip_prefix('s')
            .and_then(|text| text.parse::<usize>().ok());
        if let Some(number) = number
            && seen[number].is_none()
        {
            seen[number] = Some(Instant::now());
            open -= 1;
        }
    }
    seen.into_iter().flatten().collect()
}

/// A sixth node joins a cluster with 100,000 children: from its entry into a view until it has all.
async fn fresh() {
    let mut times = Vec::new();
    for _ in 0..REPEATS {
        let hubs = cluster(PubSub::default).await;
        for (number, hub) in hubs.iter().enumerate() {
            let specs = idle("c", number * 20_000..(number + 1) * 20_000);
            hub.start_children(specs).await.expect("it runs");
        }
        until(|| hubs.iter().all(|hub| hub.stats().rows == 100_000)).await;
        let newcomer = hub("n6", PubSub::default(), &hubs).await;
        until(|| hubs.iter().any(|hub| hub.members().len() == HUBS + 1)).await;
        let flushed = Instant::now();
        until(|| newcomer.stats().rows == 100_000).await;
        times.push(flushed.elapsed().as_secs_f64() * 1e3);
    }
    report("fresh node has 100,000 rows", "ms", times);
    println!(
        "{:<34} {:>12.1} MiB",
        "peak memory of six hubs",
        peak_memory_mib()
    );
}

/// The processor time of this process, in hundredths of seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(f64::NAN)
    };
    (ticks(11) + ticks(12)) / 100.0
}

fn peak_memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1_024.0
}

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
async fn lookups() {
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
    println!(
        "{:<34} {rate:>12.0} writes/s meanwhile",
        "lookup in 1,000,000 rows"
    );
    println!("{:<34} {mean:>12.2} us", "lookup: mean");
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        println!(
            "{:<34} {:>12.2} us",
            format!("lookup: {name}"),
            percentile(&sorted, share)
        );
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
