//! Where it happens: the cluster, its network and the strategy's parameters, and the instants that
//! a plan's moments stand for.

use std::time::Duration;

use hublab_strategies::NodeId;
use hublab_strategies::strategy::Variation;

use super::character::Character;
use super::family::Family;
use super::plan::{Anchor, Delay, Moment, Parameters, Plan, Reach};
use crate::catalog::CatalogEntry;
use crate::model::{self, Cluster, Latency, LinkParams, Network, NodeIx, NodeOverride, Order};

/// The share by which the spread of silences exceeds `down_after`, in percent.
const SPREAD_PERCENT: u64 = 25;

/// The times of a plan that stay the same throughout, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timings {
    /// The latency of nearly every message at most, with the network's own law.
    pub(super) latency: u64,
    pub(super) debounce: u64,
    pub(super) sync: u64,
    pub(super) discovery: u64,
    pub(super) crash: u64,
    /// The longest silence that is not yet a peer-down.
    pub(super) down: u64,
    /// The end of the active phase.
    pub(super) active: u64,
}

impl Timings {
    pub(super) fn of(plan: &Plan) -> Self {
        let times = plan.times;
        let percent = if plan.families.contains(&Family::LongDebounce) {
            times.long_debounce
        } else {
            times.debounce
        };
        Self {
            latency: longest(plan.net.latency),
            debounce: (times.discovery * percent / 100).max(10),
            sync: times.sync,
            discovery: times.discovery,
            crash: times.crash,
            down: times.down + times.down * SPREAD_PERCENT / 100,
            active: times.active,
        }
    }

    fn reach(self, reach: Reach) -> u64 {
        match reach {
            // Two messages that are to meet leave within what the slower one takes.
            Reach::Latency => self.latency * 2,
            Reach::Debounce => self.crash + self.latency + self.debounce * 2,
            Reach::Sync => self.sync + self.sync / 4,
            Reach::Down => self.down + self.debounce * 2,
            Reach::Active => self.active,
        }
    }

    /// How long a delay is, in milliseconds, at least 1.
    pub(super) fn length(self, delay: Delay) -> u64 {
        (self.reach(delay.reach) * u64::from(delay.share) / 256).max(1)
    }

    /// The instant of a moment, in milliseconds, inside the active phase. A quarter of its reach
    /// lies before the anchor.
    pub(super) fn instant(self, moment: Moment, anchors: &[Anchor]) -> u64 {
        let anchor = anchors.get(usize::from(moment.anchor) % anchors.len().max(1));
        let base = match anchor.copied().unwrap_or(Anchor::Any(0)) {
            Anchor::Any(share) => self.active * u64::from(share) / 256,
            Anchor::Round(number) => self.sync * u64::from(number),
            Anchor::Announcement(number) => self.discovery * u64::from(number),
        };
        let lead = self.reach(moment.delay.reach) / 4;
        // Timers lie beyond a short active phase: there they count from its beginning again.
        let base = base % self.active;
        (base + self.length(moment.delay))
            .saturating_sub(lead)
            .clamp(1, self.active - 1)
    }
}

/// The latency of 99 of 100 messages at most, in milliseconds, at least 1.
fn longest(latency: Latency) -> u64 {
    let longest = match latency {
        Latency::Constant(at) => at,
        Latency::Uniform(_, to) => to,
        // An exponential's 99th percentile is 4.6 times its mean.
        Latency::Exponential { min, mean } => min + mean.saturating_sub(min) * 5,
        Latency::Lognormal { p99, .. } => p99,
        Latency::Bimodal { slow, .. } => slow,
    };
    u64::try_from(longest.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

/// Milliseconds as a duration.
pub(super) const fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// `[cluster]`; `late` nodes are not up at time 0.
pub(super) fn cluster(plan: &Plan, timings: Timings, late: &[NodeIx]) -> Cluster {
    let all = (0..).take(plan.nodes);
    Cluster {
        nodes: (1..=plan.nodes)
            .map(|number| NodeId::from(format!("n{number}")))
            .collect(),
        start: all.filter(|node| !late.contains(node)).collect(),
        discovery_interval: ms(timings.discovery),
        join_debounce: ms(timings.debounce),
        down_after: ms(plan.times.down),
        down_spread: if plan.times.exact_down { 0.0 } else { 0.25 },
        crash_detected_after: ms(timings.crash),
        overrides: Vec::new(),
        program: None,
    }
}

/// `[[cluster.node]]`: some nodes, never all, differ from the others.
pub(super) fn overrides(plan: &Plan, entry: &dyn CatalogEntry) -> Vec<NodeOverride> {
    let Some(mixed) = plan.mixed else {
        return Vec::new();
    };
    let all = NodeIx::try_from(plan.nodes).unwrap_or(NodeIx::MAX);
    let is_chosen = |node: &NodeIx| mixed.nodes >> (node % 32) & 1 == 1;
    let mut names: Vec<NodeIx> = (0..all).filter(is_chosen).collect();
    if names.len() == plan.nodes {
        names.pop();
    } else if names.is_empty() {
        names.push(mixed.nodes % all);
    }
    let of = |whole: u64, percent: u64| ms((whole * percent / 100).max(1));
    let other = NodeOverride {
        names,
        discovery_interval: mixed.discovery.map(|by| of(plan.times.discovery, by)),
        down_after: mixed.down.map(|by| of(plan.times.down, by)),
        service_time: mixed.service_time_us.map(Duration::from_micros),
        strategy: varied(entry, of(plan.times.sync, mixed.sync), mixed.parameters),
        ..NodeOverride::default()
    };
    let is_other = !other.names.is_empty() && !other.is_empty();
    is_other.then_some(other).into_iter().collect()
}

/// `[network]`.
pub(super) fn network(plan: &Plan) -> Network {
    let net = plan.net;
    let on = |family| plan.families.contains(&family);
    let base = LinkParams {
        latency: net.latency,
        loss: if on(Family::Loss) { net.loss } else { 0.0 },
        duplicate: if on(Family::Duplication) {
            net.duplicate
        } else {
            0.0
        },
        order: if on(Family::Reorder) {
            net.order
        } else {
            Order::Fifo
        },
        bytes_per_second: if on(Family::NarrowLink) {
            net.bytes_per_second
        } else {
            0
        },
    };
    let if_on = |family, us| Duration::from_micros(if on(family) { us } else { 0 });
    Network {
        base,
        send_gap: if_on(Family::SendGap, net.send_gap_us),
        service_time: if_on(Family::ServiceTime, net.service_time_us),
        ..Network::default()
    }
}

/// `[strategy.NAME]`: the parameters that this strategy varies.
pub(super) fn parameters(plan: &Plan, entry: &dyn CatalogEntry) -> model::Parameters {
    if plan.character == Character::Defaults {
        return model::Parameters::new();
    }
    varied(entry, ms(plan.times.sync), plan.parameters)
}

/// The parameters that a strategy varies, by its name.
fn varied(entry: &dyn CatalogEntry, sync: Duration, by: Parameters) -> model::Parameters {
    let given = entry.varied(&Variation::new(sync, by.count, by.flag));
    let named = (entry.name().to_owned(), given);
    [named]
        .into_iter()
        .filter(|(_, of)| !of.is_empty())
        .collect()
}
