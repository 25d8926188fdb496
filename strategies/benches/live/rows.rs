//! Many rows at once.

use std::time::Instant;

use hublab_strategies::PubSub;

use crate::{HUBS, REPEATS, cluster, hub, idle, report, until};

/// Children started in batches of 1,000, until the last hub finds the last of them.
pub(crate) async fn batches() {
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
    report("batches of 1,000 children", "rows/s", ">= 100000", rates);
    report("batches: processor time, all hubs", "us/row", "", costs);
}

/// A sixth node joins a cluster with 100,000 children: from its entry into a view until it has all.
pub(crate) async fn fresh() {
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
    report("fresh node has 100,000 rows", "ms", "<= 2000", times);
    // Of the whole process: of these hubs alone, if nothing was measured before.
    report("fresh: peak memory", "MiB", "", vec![peak_memory_mib()]);
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
