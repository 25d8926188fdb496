//! How fast live hubs are: five of them on loopback, in one process. Each figure is the median of
//! five, with the slowest and the fastest behind it, and the goal.
//!
//! `cargo bench -p hublab-strategies --features tokio --bench live [FILTER]`

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures time, and says what it measured"
)]

mod lookups;
mod rows;
mod rt;
mod singles;
mod stalled;

use std::time::{Duration, Instant};

use hublab_strategies::live::{Builder, Hub, Tasks};
use hublab_strategies::{ChildSpec, Gossip, PubSub, Synchronization};
use tokio::time::sleep;

use singles::Meanwhile;

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
            rows::batches().await;
        }
        for meanwhile in Meanwhile::ALL {
            let name = format!("singles pubsub{}", meanwhile.name());
            if wanted(&name) {
                singles::measure(&name, "8", PubSub::default, meanwhile).await;
            }
        }
        if wanted("singles gossip") {
            let nothing = Meanwhile::Nothing;
            singles::measure("singles gossip", "20", Gossip::default, nothing).await;
        }
        if wanted("stalled") {
            stalled::measure().await;
        }
        if wanted("fresh") {
            rows::fresh().await;
        }
        if wanted("rt") {
            rt::measure().await;
        }
        if wanted("lookup") {
            lookups::measure().await;
        }
    });
}

/// Prints the median of some values, the least and the most of them, and the goal.
fn report(name: &str, unit: &str, goal: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let (least, most) = (values[0], values[values.len() - 1]);
    let median = values[values.len() / 2];
    let spread = format!("({least:.2} .. {most:.2})");
    println!("{name:<42} {median:>11.2} {unit:<6} {spread:<26} {goal}");
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

fn builder<S: Synchronization>(name: &str, strategy: S, peers: &[Hub]) -> Builder<S> {
    Hub::builder("bench", name)
        .peers(peers.iter().map(|peer| peer.local_addr().to_string()))
        .strategy(strategy)
        .supervisor(Tasks::new().with("idle", |_| std::future::pending::<()>()))
        .join_debounce(Duration::from_millis(100))
        .down_after(Duration::from_secs(60))
}

async fn hub<S: Synchronization>(name: &str, strategy: S, peers: &[Hub]) -> Hub {
    let hub = builder(name, strategy, peers).start().await;
    hub.expect("a free port")
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
