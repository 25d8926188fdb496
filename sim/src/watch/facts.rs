//! [`Facts`]: what does not change in a run, and the bounds that follow from it.

use std::collections::BTreeSet;
use std::time::Duration;

use hashbrown::HashMap;
use hublab_strategies::name::NameHasher;
use hublab_strategies::strategy::{Bounds, Conditions, DEFAULT_ROUND_INTERVAL};
use hublab_strategies::time::micros;
use hublab_strategies::{ChildId, NodeId, Time};

use crate::model::{Action, NodeIx, NodeSettings, RawRequest, Scenario};
use crate::network::latency::Law;

/// Names, times and bounds of a run, which do not change.
#[derive(Debug)]
#[non_exhaustive]
pub struct Facts {
    pub(super) names: Vec<NodeId>,
    index: HashMap<NodeId, NodeIx, NameHasher>,
    /// Children named in raw requests or `rows`: outside every oracle that compares with the truth.
    raw: BTreeSet<ChildId>,
    /// The times that bounds are made of.
    pub times: Times,
    /// The terms of [`Times::rounds`] as people read them.
    pub rounds_text: String,
    /// The longest time that a receiver is busy per message, of all nodes, in microseconds.
    pub service_us: u64,
    /// By node: time that it is busy per message that it receives, in microseconds.
    services_us: Vec<u64>,
    /// True if a wall clock is wrong from the start, or a step of action `clock` makes it so.
    pub has_clock_steps: bool,
    /// The length of the run, in microseconds.
    pub duration_us: u64,
}

/// A strategy in a scenario, as far as the observers must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StrategyFacts {
    /// Its name.
    pub name: String,
    /// The time between two rounds of a node; `None` if it has none.
    pub round_interval: Option<Duration>,
    /// Its bounds.
    pub bounds: Bounds,
}

impl StrategyFacts {
    /// Those of a strategy with its parameters in a scenario, its bounds under its [`conditions`].
    #[must_use]
    pub fn new(name: &str, round_interval: Option<Duration>, bounds: Bounds) -> Self {
        Self {
            name: name.to_owned(),
            round_interval,
            bounds,
        }
    }
}

/// Conditions of a scenario that a strategy's bounds may depend on.
#[must_use]
pub fn conditions(scenario: &Scenario) -> Conditions {
    let latency = Duration::from_micros(longest_latency(scenario));
    Conditions::new(scenario.cluster.nodes.len(), latency).with_loss(worst_loss(scenario))
}

/// Latency that all but one in 10,000 messages stay within, over any link at any time of the script.
fn longest_latency(scenario: &Scenario) -> u64 {
    let links = scenario.network.links.iter();
    let changed = scenario.steps.iter().filter_map(|step| {
        if let Action::Link(change) = &step.action {
            Some(change)
        } else {
            None
        }
    });
    let laws = links.chain(changed).filter_map(|change| change.latency);
    laws.chain([scenario.network.base.latency])
        .map(|latency| Law::new(&latency).bound())
        .max()
        .unwrap_or(0)
}

/// The times that bounds are made of, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Times {
    /// `discovery_interval`, the longest of all nodes.
    pub discovery: u64,
    /// `join_debounce`, the longest of all nodes.
    pub debounce: u64,
    /// The 99.99th percentile of the latency, over any link at any time of the script.
    pub latency: u64,
    /// `crash_detected_after`.
    pub crash: u64,
    /// The longest silence: the longest `down_after` of all nodes times 1.25, or times 1 + `down_spread` if
    /// that is more.
    pub silence: u64,
    /// The strategy's time between two rounds; 30 s for one that has none.
    pub sync: u64,
    /// The strategy's bound for repairs among members that know each other.
    pub rounds: u64,
    /// The strategy's bound for a node that joined to have what the others have, once they see each
    /// other.
    pub join: u64,
}

impl Facts {
    /// Those of a resolved scenario under one strategy.
    #[must_use]
    pub fn new(scenario: &Scenario, strategy: &StrategyFacts) -> Self {
        let times = Times::new(scenario, strategy);
        let names = scenario.cluster.nodes.clone();
        let is_clock = |action: &Action| matches!(action, Action::Clock { .. });
        let settings = scenario.node_settings();
        let services = settings.iter().map(|of| micros(of.service_time));
        let services_us: Vec<u64> = services.collect();
        Self {
            index: (0..)
                .zip(&names)
                .map(|(ix, name)| (name.clone(), ix))
                .collect(),
            names,
            raw: raw_children(scenario),
            times,
            rounds_text: strategy.bounds.text.clone(),
            service_us: services_us.iter().copied().max().unwrap_or(0),
            services_us,
            has_clock_steps: settings.iter().any(NodeSettings::has_wrong_clock)
                || scenario.steps.iter().any(|step| is_clock(&step.action)),
            duration_us: micros(scenario.run.duration),
        }
    }

    /// How many nodes the file has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "every file has nodes")]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Time that a node is busy per message that it receives, in microseconds.
    #[must_use]
    pub(crate) fn service_us_of(&self, node: NodeIx) -> u64 {
        self.services_us[node as usize]
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

    /// The terms of [`Times::repair`] as people read them.
    #[must_use]
    pub(crate) fn repair_text(&self) -> String {
        let times = &self.times;
        let [crash, discovery, debounce] = [times.crash, times.discovery, times.debounce].map(Time);
        format!(
            "crash {crash} + discovery {discovery} + 2 x debounce {debounce} + {}",
            self.rounds_text
        )
    }

    /// The terms of [`Times::joining`] as people read them.
    #[must_use]
    pub(crate) fn joining_text(&self) -> String {
        let times = &self.times;
        let [discovery, debounce] = [times.discovery, times.debounce].map(Time);
        let [latency, join] = [times.latency, times.join].map(Time);
        format!("discovery {discovery} + 2 x debounce {debounce} + latency {latency} + join {join}")
    }

    /// True if a child is named in a raw request or in `rows`.
    #[must_use]
    pub(crate) fn is_raw(&self, child: &ChildId) -> bool {
        !self.raw.is_empty() && self.raw.contains(child)
    }
}

impl Times {
    fn new(scenario: &Scenario, strategy: &StrategyFacts) -> Self {
        let cluster = &scenario.cluster;
        let settings = scenario.node_settings();
        let longest = |time: fn(&NodeSettings) -> Duration| {
            settings
                .iter()
                .map(|of| micros(time(of)))
                .max()
                .unwrap_or(0)
        };
        let silence = longest(|of| of.down_after);
        Self {
            discovery: longest(|of| of.discovery_interval),
            debounce: longest(|of| of.join_debounce),
            latency: longest_latency(scenario),
            crash: micros(cluster.crash_detected_after),
            silence: stretched(silence, cluster.down_spread.max(0.25)),
            sync: micros(strategy.round_interval.unwrap_or(DEFAULT_ROUND_INTERVAL)),
            rounds: micros(strategy.bounds.repair),
            join: micros(strategy.bounds.join),
        }
    }

    /// How long membership may take to agree: discovery + debounce + latency.
    #[must_use]
    pub fn membership(&self) -> u64 {
        total(&[self.discovery, self.debounce, self.latency])
    }

    /// How long a crash or a leave may stay unnoticed: `crash_detected_after` + latency + debounce.
    #[must_use]
    pub(crate) fn crash_detection(&self) -> u64 {
        total(&[self.crash, self.latency, self.debounce])
    }

    /// How long any end may stay unnoticed, of a node that could not be heard before it stopped:
    /// the longest silence on top of [`Self::crash_detection`].
    #[must_use]
    pub(crate) fn detection(&self) -> u64 {
        total(&[self.crash_detection(), self.silence])
    }

    /// How long what was missed while a pair was cut may stay unrepaired: discovery + debounce +
    /// latency + sync interval.
    #[must_use]
    pub fn heal(&self) -> u64 {
        total(&[self.membership(), self.sync])
    }

    /// How long a node that boots may take until it has what the others have: all become members of
    /// each other (the debounce counts once more for what interrupted it), and the strategy's own
    /// bound for a join.
    #[must_use]
    pub fn joining(&self) -> u64 {
        total(&[self.membership(), self.debounce, self.join])
    }

    /// How long a cluster that nothing disturbs any more may take until all views are right: an end
    /// is noticed, all are discovered, the debounce passes (once more for what interrupted it), and
    /// the strategy's own bound.
    #[must_use]
    pub fn repair(&self) -> u64 {
        total(&[
            self.crash,
            self.discovery,
            self.debounce.saturating_mul(2),
            self.rounds,
        ])
    }
}

/// The largest share of messages that a link may lose, at any time of the script.
fn worst_loss(scenario: &Scenario) -> f64 {
    let steps = scenario.steps.iter().filter_map(|step| {
        if let Action::Link(change) = &step.action {
            change.loss
        } else {
            None
        }
    });
    let links = scenario.network.links.iter();
    let losses = links.filter_map(|change| change.loss).chain(steps);
    losses.fold(scenario.network.base.loss, f64::max)
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
