//! A thousand single starts per second: from the call until each hub's look-up sees the child.

#![expect(clippy::wildcard_enum_match_arm, reason = "events may grow")]

use std::ops::Range;
use std::time::{Duration, Instant};

use hublab_strategies::live::{Events, Hub, HubEvent, StartOptions};
use hublab_strategies::{ChildSpec, Synchronization};

use crate::{HUBS, REPEATS, cluster, hub, idle, percentile, report, until};

const STARTS: usize = 3_000;

/// The rows of the snapshot that is sent meanwhile.
const ROWS: usize = 100_000;

/// What else the cluster does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    Nothing,
    /// Another node sends its snapshot to all; they know it all.
    Round,
    /// Another node sends its snapshot to all; they have heard of none of it.
    News,
    /// A sixth node joins, and gets another node's snapshot.
    Join,
}

impl Meanwhile {
    pub(crate) const ALL: [Self; 4] = [Self::Nothing, Self::Round, Self::News, Self::Join];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Round => ", known snapshot",
            Self::News => ", new snapshot",
            Self::Join => ", a node joins",
        }
    }

    async fn prepare(self, hubs: &[Hub]) {
        if self == Self::Nothing {
            return;
        }
        let options = StartOptions::default().announce(self != Self::News);
        let started = hubs[1].start_children_with(idle("old", 0..ROWS), options);
        started.await.expect("it runs");
        let knows = |hub: &Hub| self == Self::News || hub.stats().rows == ROWS;
        until(|| hubs.iter().all(knows)).await;
    }

    /// Answers the node that joined, so that it stays.
    async fn happen<S: Synchronization>(self, hubs: &[Hub], strategy: S) -> Option<Hub> {
        match self {
            Self::Nothing => None,
            Self::Round | Self::News => {
                hubs[1].sync().await.expect("it runs");
                None
            }
            Self::Join => Some(hub("n6", strategy, hubs).await),
        }
    }
}

pub(crate) async fn measure<S: Synchronization>(
    name: &str,
    goal: &str,
    strategy: impl Fn() -> S,
    meanwhile: Meanwhile,
) {
    let (mut medians, mut tails) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        let hubs = cluster(&strategy).await;
        meanwhile.prepare(&hubs).await;
        let other = tokio::spawn({
            let (hubs, strategy) = (hubs.clone(), strategy());
            async move {
                tokio::time::sleep(Duration::from_millis(STARTS as u64 / 2)).await;
                meanwhile.happen(&hubs, strategy).await
            }
        });
        let delays = load(&hubs, 0..STARTS, &|id| ChildSpec::new(id, "idle")).await;
        medians.push(percentile(&delays, 0.5) / 1e3);
        tails.push(percentile(&delays, 0.99) / 1e3);
        let newcomer = other.await.expect("it ends");
        let all = STARTS
            + if meanwhile == Meanwhile::Nothing {
                0
            } else {
                ROWS
            };
        assert!(
            hubs.iter()
                .chain(&newcomer)
                .all(|hub| hub.members().len() >= HUBS)
        );
        until(|| {
            hubs.iter()
                .chain(&newcomer)
                .all(|hub| hub.stats().rows == all)
        })
        .await;
    }
    report(&format!("{name}: median"), "ms", "", medians);
    report(&format!("{name}: p99"), "ms", &format!("<= {goal}"), tails);
}

/// Starts one child each millisecond on the first of some hubs. Answers, in order of length, how
/// long each took until all of them saw it.
pub(crate) async fn load(
    hubs: &[Hub],
    numbers: Range<usize>,
    spec: &impl Fn(String) -> ChildSpec,
) -> Vec<Duration> {
    let watchers: Vec<_> = hubs
        .iter()
        .map(|hub| tokio::spawn(arrivals(hub.clone(), hub.events(), numbers.clone())))
        .collect();
    let begin = tokio::time::Instant::now();
    let mut starts = Vec::new();
    for number in numbers.clone() {
        let at = (number - numbers.start) as u64;
        tokio::time::sleep_until(begin + Duration::from_millis(at)).await;
        let (hub, spec) = (hubs[0].clone(), spec(format!("s{number}")));
        starts.push(Instant::now());
        tokio::spawn(async move { hub.start_children([spec]).await });
    }
    let mut last = vec![begin.into_std(); starts.len()];
    for watcher in watchers {
        let seen = watcher.await.expect("it ends");
        for (last, seen) in last.iter_mut().zip(seen) {
            *last = (*last).max(seen);
        }
    }
    let delays = last.iter().zip(&starts).map(|(last, start)| *last - *start);
    let mut delays: Vec<_> = delays.collect();
    delays.sort_unstable();
    delays
}

/// When each of some children was seen first.
async fn arrivals(hub: Hub, mut events: Events, numbers: Range<usize>) -> Vec<Instant> {
    let mut seen = vec![None; numbers.len()];
    let mut open = seen.len();
    let mut note = |at: usize, open: &mut usize| {
        if seen[at].is_none() {
            seen[at] = Some(Instant::now());
            *open -= 1;
        }
    };
    while open > 0 {
        match events.next().await.expect("it runs") {
            HubEvent::Row { child, .. } => {
                let number = child.as_str().strip_prefix('s');
                let number = number.and_then(|text| text.parse::<usize>().ok());
                if let Some(number) = number.filter(|number| numbers.contains(number)) {
                    note(number - numbers.start, &mut open);
                }
            }
            // Whichever were left out: a look-up tells.
            HubEvent::Missed(_) => {
                for number in numbers.clone() {
                    if hub.lookup(&format!("s{number}")).is_some() {
                        note(number - numbers.start, &mut open);
                    }
                }
            }
            _ => {}
        }
    }
    seen.into_iter().flatten().collect()
}
