//! [`Facts`]: what does not change in a run, and the bounds that follow from it.

use std::collections::BTreeSet;
use std::fmt;

use hashbrown::HashMap;
use hublab_strategies::name::NameHasher;
use hublab_strategies::time::{micros, parse_duration};
use hublab_strategies::{ChildId, NodeId, Time};

use crate::model::{Action, NodeIx, RawRequest, Scenario};
use crate::network::latency::Law;

/// Names, times and bounds of a run, which do not change.
#[derive(Debug)]
pub struct Facts {
    pub(super) names: Vec<NodeId>,
    index: HashMap<NodeId, NodeIx, NameHasher>,
    /// Children named in raw requests or `rows`: outside every oracle that compares with the truth.
    raw: BTreeSet<ChildId>,
    /// The times that bounds are made of.
    pub times: Times,
    /// Time a receiver is busy per message, in microseconds.
    pub service_us: u64,
    /// True if the script has a step of action `clock`.
    pub has_clock_steps: bool,
    /// The length of the run, in microseconds.
    pub duration_us: u64,
}

/// The times that bounds are made of, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// `discovery_interval`.
    pub discovery: u64,
    /// `join_debounce`.
    pub debounce: u64,
    /// The 99.99th percentile of the latency, over any link at any time of the script.
    pub latency: u64,
    /// `crash_detected_after`.
    pub crash: u64,
    /// The longest silence: `down_after` times 1.25, or times 1 + `down_spread` if that is more.
    pub silence: u64,
    /// The strategy's `sync_interval`; 30 s for a strategy that has none.
    pub sync: u64,
}

/// The interval for a strategy without a `sync_interval`: that of PubSub.
const SYNC_US: u64 = 30_000_000;

impl Facts {
    /// Those of a resolved scenario under one strategy.
    #[must_use]
    pub fn new(scenario: &Scenario, strategy: &str) -> Self {
        let names = scenario.cluster.nodes.clone();
        let is_clock = |action: &Action| matches!(action, Action::Clock { .. });
        Self {
            index: (0..)
                .zip(&names)
                .map(|(ix, name)| (name.clone(), ix))
                .collect(),
            names,
            raw: raw_children(scenario),
            times: Times::new(scenario, strategy),
            service_us: micros(scenario.network.service_time),
            has_clock_steps: scenario.steps.iter().any(|step| is_clock(&step.action)),
            duration_us: micros(scenario.run.duration),
        }
    }

    /// The position of a name; `None` if no node of the file has it.
    #[must_use]
    pub fn position(&self, name: &NodeId) -> Option<NodeIx> {
        self.index.get(name).copied()
    }

    /// The name of a node.
    #[must_use]
    pub fn name(&self, node: NodeIx) -> &NodeId {
        &self.names[node as usize]
    }

    /// The children named in raw requests or `rows`.
    #[must_use]
    pub fn raw(&self) -> &BTreeSet<ChildId> {
        &self.raw
    }

    /// True if a child is named in a raw request or in `rows`.
    #[must_use]
    pub fn is_raw(&self, child: &ChildId) -> bool {
        !self.raw.is_empty() && self.raw.contains(child)
    }
}

impl Times {
    fn new(scenario: &Scenario, strategy: &str) -> Self {
        let cluster = &scenario.cluster;
        let links = scenario.network.links.iter();
        let changed = scenario.steps.iter().filter_map(|step| {
            if let Action::Link(change) = &step.action {
                Some(change)
            } else {
                None
            }
        });
        let laws = links.chain(changed).filter_map(|change| change.latency);
        let latency = laws
            .chain([scenario.network.base.latency])
            .map(|latency| Law::new(&latency).bound())
            .max()
            .unwrap_or(0);
        let params = scenario.strategies.get(strategy);
        let sync = params
            .and_then(|params| params.get("sync_interval")?.as_str())
            .and_then(|text| parse_duration(text).ok())
            .map_or(SYNC_US, micros);
        Self {
            discovery: micros(cluster.discovery_interval),
            debounce: micros(cluster.join_debounce),
            latency,
            crash: micros(cluster.crash_detected_after),
            silence: stretched(micros(cluster.down_after), cluster.down_spread.max(0.25)),
            sync,
        }
    }

    /// How long membership may take to agree: discovery + debounce + latency.
    #[must_use]
    pub fn membership(&self) -> u64 {
        total(&[self.discovery, self.debounce, self.latency])
    }

    /// How long a crash or a leave may stay unnoticed: `crash_detected_after` + latency + debounce.
    #[must_use]
    pub fn crash_detection(&self) -> u64 {
        total(&[self.crash, self.latency, self.debounce])
    }

    /// How long any end may stay unnoticed, of a node that could not be heard before it stopped:
    /// the longest silence on top of [`Self::crash_detection`].
    #[must_use]
    pub fn detection(&self) -> u64 {
        total(&[self.crash_detection(), self.silence])
    }

    /// How long what was missed while a pair was cut may stay unrepaired: discovery + debounce +
    /// latency + sync interval.
    #[must_use]
    pub fn heal(&self) -> u64 {
        total(&[self.membership(), self.sync])
    }

    /// How long rounds may take to repair what they can among members that know each other: two
    /// rounds, and eight messages one after the other.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        total(&[self.sync.saturating_mul(2), self.latency.saturating_mul(8)])
    }

    /// How long a cluster that nothing disturbs any more may take until all views are right: an end
    /// is noticed, all are discovered, the debounce passes (once more for what interrupted it), and
    /// [`Self::rounds`].
    #[must_use]
    pub fn repair(&self) -> u64 {
        total(&[
            self.crash,
            self.discovery,
            self.debounce.saturating_mul(2),
            self.rounds(),
        ])
    }
}

/// The bound of [`Times::repair`] as people read it.
impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [crash, discovery, debounce, sync, latency] = [
            self.crash,
            self.discovery,
            self.debounce,
            self.sync,
            self.latency,
        ]
        .map(Time);
        write!(
            f,
            "crash {crash} + discovery {discovery} + 2 x debounce {debounce} + 2 x sync {sync} + 8 x latency {latency}"
        )
    }
}

fn total(times: &[u64]) -> u64 {
    times.iter().fold(0, |sum, time| sum.saturating_add(*time))
}

/// `time x (1 + spread)`, rounded up to a thousandth of it.
fn stretched(time: u64, spread: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a spread is 0 to 1"
    )]
    let thousandths = libm::ceil(spread.clamp(0.0, 1.0) * 1_000.0) as u64;
    time.saturating_add((time / 1_000).saturating_add(1).saturating_mul(thousandths))
}

/// The children that raw requests and `rows` steps name: no oracle compares them with the truth.
pub(crate) fn raw_children(scenario: &Scenario) -> BTreeSet<ChildId> {
    let mut raw = BTreeSet::new();
    for step in &scenario.steps {
        if let Action::Rows { rows, .. } = &step.action {
            raw.extend(rows.iter().map(|row| row.child.clone()));
        } else if let Action::Propagate { requests, .. } = &step.action {
            requests.iter().for_each(|request| named(request, &mut raw));
        }
    }
    raw
}

fn named(request: &RawRequest, raw: &mut BTreeSet<ChildId>) {
    match request {
        RawRequest::Register(rows) => raw.extend(rows.iter().map(|row| row.child.clone())),
        RawRequest::Unregister(rows) => raw.extend(rows.iter().map(|(child, _)| child.clone())),
        RawRequest::PidUpdate { child, .. } => drop(raw.insert(child.clone())),
    }
}
