//! The size of a scenario and of its runs, for `check` and for the limit behind `--big`.
//!
//! A strategy's traffic is known to nobody but the strategy. So a run is *probed*: made, without its
//! claims, until it is over or has had a bounded number of events. Most runs are over by then, and the
//! figures of events, messages and bytes are exact. Of a longer one the rest is taken to go on as its
//! last whole intervals did; of one that is cut off in its first round, as rounds of smaller clusters
//! grow. Memory is modelled on what the probe had at most: rows, connections, messages on their way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hublab_strategies::Time;
use hublab_strategies::time::micros;
use serde::{Deserialize, Serialize};

use super::Simulation;
use crate::catalog::Catalog;
use crate::model::{Action, Children, NodeIx, NodeSettings, Scenario, Step, When};
use crate::scenario::resolve::resolved_steps;
use crate::trace::event::{Event, Payload};
use crate::trace::recorder::Sink;

/// More nodes than this want `--big`, and are not probed.
const NODES_WITHOUT_BIG: usize = 2_000;

/// The most events of a probe, and of one of a smaller cluster.
const PROBE_EVENTS: u64 = 1_000_000;
const SMALLER_EVENTS: u64 = 200_000;

/// The most memory of a probe, in bytes, as it is modelled.
const PROBE_BYTES: u64 = 512 << 20;

/// The sizes of the clusters that rounds are measured in.
const SMALLER: [usize; 5] = [3, 5, 8, 12, 17];

/// Bytes of the program itself: code, stacks, the allocator's reserve.
pub const PROGRAM_BYTES: u64 = 10 << 20;

/// Bytes of a row of a registry, of a pair of nodes in each direction, of a node, of a message on its
/// way, and of the contents of one, which recipients share: measured as resident memory of runs of 5 to
/// 700 nodes, with 1 to 10,000 children on each.
const ROW_BYTES: u64 = 200;
const PAIR_BYTES: u64 = 120;
const NODE_BYTES: u64 = 6_144;
const FLIGHT_BYTES: u64 = 130;
const CONTENTS_BYTES: u64 = 500;

/// The size of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Size {
    /// Nodes in the file.
    pub nodes: usize,
    /// Steps.
    pub steps: usize,
    /// Children that the steps start, counted once per node they start on.
    pub children: u64,
    /// True if `run` wants `--big`: more than 2,000 nodes.
    pub wants_big: bool,
}

/// The size of a run with one strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Estimate {
    /// Events of the trace.
    pub events: u64,
    /// Messages sent, once per recipient.
    pub messages: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// The most memory of a process that makes this run alone, in bytes.
    pub memory_bytes: u64,
    /// True if the probe came to the run's end: events, messages and bytes are exact.
    pub is_exact: bool,
    /// About the real time of the run on this machine, in microseconds, as the probe went on; `None` without
    /// a probe. It is not the same each time.
    pub wall_us: Option<u64>,
}

/// Returns the size of a scenario, its repetitions written out for its own seed.
#[must_use]
pub fn size(scenario: &Scenario) -> Size {
    let nodes = scenario.cluster.nodes.len();
    let steps = resolved_steps(scenario, scenario.run.seed);
    Size {
        nodes,
        steps: steps.len(),
        children: steps
            .iter()
            .map(|step| started(&step.action))
            .fold(0, u64::saturating_add),
        wants_big: nodes > NODES_WITHOUT_BIG,
    }
}

/// Returns the memory of a cluster in which every node knows every child, in bytes. Nothing is run, and
/// no strategy is asked.
#[must_use]
pub fn cluster_bytes(scenario: &Scenario) -> u64 {
    let Size {
        nodes, children, ..
    } = size(scenario);
    let nodes = nodes as u64;
    state_bytes(nodes, children.saturating_mul(nodes))
}

/// Estimates the run of a scenario with a strategy and its own seed, within a factor of two of events,
/// bytes and memory for whatever can be probed: up to 2,000 nodes. Takes as long as a million events. A
/// strategy that never returns makes this one never return, either.
///
/// An unknown strategy, or one that refuses its parameters, is estimated to do nothing.
#[must_use]
pub fn estimate(scenario: &Scenario, strategy: &str, catalog: &Catalog) -> Estimate {
    let size = size(scenario);
    let is_small = size.children.saturating_mul(ROW_BYTES) < PROBE_BYTES;
    if size.wants_big || !is_small {
        return unprobed(scenario, strategy, catalog);
    }
    let periods = Periods::new(scenario, strategy, catalog);
    let probe = probe(scenario, strategy, &periods, PROBE_EVENTS, catalog);
    let mut figures = probe.figures;
    let mut flights = probe.flights_max;
    if !probe.is_whole {
        let rest = Rest {
            scenario,
            strategy,
            catalog,
            periods: &periods,
            probe: &probe,
        };
        (figures, flights) = rest.add();
    }
    let nodes = scenario.cluster.nodes.len() as u64;
    let contents = CONTENTS_BYTES.saturating_mul(probe.contents) / probe.figures.messages.max(1);
    let rows = if probe.is_whole {
        probe.rows_max
    } else {
        probe.rows_max.max(size.children.saturating_mul(nodes))
    };
    let memory_bytes = PROGRAM_BYTES
        .saturating_add(state_bytes(nodes, rows))
        .saturating_add(flights.saturating_mul(FLIGHT_BYTES + contents));
    Estimate {
        events: figures.events,
        messages: figures.messages,
        bytes: figures.bytes,
        memory_bytes,
        is_exact: probe.is_whole,
        wall_us: Some(scaled(
            probe.wall_us,
            ratio(figures.events, probe.figures.events),
            0,
        )),
    }
}

fn started(action: &Action) -> u64 {
    if let Action::StartChildren {
        children, replicas, ..
    } = action
    {
        (children.len() as u64).saturating_mul(replicas.len() as u64 + 1)
    } else {
        0
    }
}

fn state_bytes(nodes: u64, rows: u64) -> u64 {
    let pairs = nodes.saturating_mul(nodes).saturating_mul(PAIR_BYTES);
    rows.saturating_mul(ROW_BYTES)
        .saturating_add(pairs)
        .saturating_add(nodes.saturating_mul(NODE_BYTES))
}

/// The estimate of a scenario too large to be probed: each node announces itself to each other, and sends it a snapshot of
/// its rows in each round.
fn unprobed(scenario: &Scenario, strategy: &str, catalog: &Catalog) -> Estimate {
    /// The bytes of an announcement, and of a row in a message.
    const ANNOUNCEMENT: u64 = 2;
    const ROW: u64 = 25;
    let Size {
        nodes, children, ..
    } = size(scenario);
    let nodes = nodes as u64;
    let pairs = nodes.saturating_mul(nodes.saturating_sub(1));
    let periods = Periods::new(scenario, strategy, catalog);
    let times = |period: Duration| micros(scenario.run.duration) / micros(period).max(1);
    let announced = announcements(scenario);
    let rounds = periods.round.map_or(0, times);
    let synced = pairs.saturating_mul(rounds);
    let messages = announced.saturating_add(synced);
    let rows = children.saturating_mul(nodes);
    let in_rounds = rows.saturating_mul(rounds.max(1)).saturating_mul(ROW);
    let flights = pairs.saturating_mul(FLIGHT_BYTES);
    Estimate {
        // Sent and delivered; each pair connects, at both ends; each row changes once.
        events: messages
            .saturating_mul(2)
            .saturating_add(pairs.saturating_mul(2))
            .saturating_add(rows),
        messages,
        bytes: announced
            .saturating_mul(ANNOUNCEMENT)
            .saturating_add(in_rounds),
        memory_bytes: PROGRAM_BYTES
            .saturating_add(cluster_bytes(scenario))
            .saturating_add(flights),
        is_exact: false,
        wall_us: None,
    }
}

/// How many announcements nodes send to each other, all of them up throughout.
fn announcements(scenario: &Scenario) -> u64 {
    let settings = scenario.node_settings();
    let others = (settings.len() as u64).saturating_sub(1);
    let end = micros(scenario.run.duration);
    let of_one = |of: &NodeSettings| 1 + end / micros(of.discovery_interval).max(1);
    let all: u64 = settings.iter().map(of_one).fold(0, u64::saturating_add);
    all.saturating_mul(others)
}

/// The intervals of periodic work.
#[derive(Debug, Clone, Copy)]
struct Periods {
    /// The strategy's rounds; `None` if it has none.
    round: Option<Duration>,
    /// The longest of all.
    longest: Duration,
}

impl Periods {
    fn new(scenario: &Scenario, strategy: &str, catalog: &Catalog) -> Self {
        let round = catalog.get(strategy).and_then(|entry| {
            let mut parameters = entry.defaults();
            parameters.extend(
                scenario
                    .strategies
                    .get(strategy)
                    .cloned()
                    .unwrap_or_default(),
            );
            entry.round_interval(&parameters)
        });
        let settings = scenario.node_settings();
        let discovery = settings.iter().map(|of| of.discovery_interval).max();
        let discovery = discovery.unwrap_or_default();
        Self {
            round,
            longest: round.map_or(discovery, |round| round.max(discovery)),
        }
    }
}

/// The figures that grow in the course of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Figures {
    events: u64,
    messages: u64,
    bytes: u64,
}

impl Figures {
    /// Adds what another has more than a third, times a fraction.
    fn grown(self, from: Self, to: Self, times: f64) -> Self {
        let grow = |now: u64, from: u64, to: u64| scaled(to.saturating_sub(from), times, now);
        Self {
            events: grow(self.events, from.events, to.events),
            messages: grow(self.messages, from.messages, to.messages),
            bytes: grow(self.bytes, from.bytes, to.bytes),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate; saturates, and is not negative"
)]
fn scaled(count: u64, times: f64, plus: u64) -> u64 {
    plus.saturating_add((count as f64 * times).round() as u64)
}

/// The figures of a probe.
#[derive(Debug, Clone, Default)]
struct Probe {
    figures: Figures,
    /// The same at the beginning of each of the longest periods that it came to.
    marks: Vec<(Time, Figures)>,
    /// When its last event was.
    at: Time,
    /// Messages with contents of their own.
    contents: u64,
    /// The sender, cause and length of the last event, if it was a send.
    last_sent: Option<(NodeIx, u64, u64)>,
    flights: u64,
    flights_max: u64,
    rows: BTreeMap<NodeIx, u64>,
    rows_now: u64,
    rows_max: u64,
    /// True if the run was over.
    is_whole: bool,
    /// Its real time, in microseconds.
    wall_us: u64,
}

impl Probe {
    fn event(&mut self, event: &Event, period_us: u64) {
        let begun = event.at.0 / period_us;
        if begun > self.marks.last().map_or(0, |(at, _)| at.0 / period_us) || self.marks.is_empty()
        {
            self.marks.push((Time(begun * period_us), self.figures));
        }
        self.at = event.at;
        self.figures.events += 1;
        let last_sent = self.last_sent.take();
        if let Payload::Sent { bytes, .. } = event.payload {
            self.figures.messages += 1;
            self.figures.bytes += bytes;
            self.flights += 1;
            let sent = Some((event.node, event.cause, bytes));
            self.contents += u64::from(last_sent != sent);
            self.last_sent = sent;
        } else if let Payload::Duplicated { .. } = event.payload {
            self.flights += 1;
            self.last_sent = last_sent;
        } else if let Payload::Delivered { .. } | Payload::Dropped { .. } = event.payload {
            self.flights = self.flights.saturating_sub(1);
        } else if let Payload::Row { before, after, .. } = &event.payload {
            let rows = self.rows.entry(event.node).or_default();
            if before.is_none() && after.is_some() {
                *rows += 1;
                self.rows_now += 1;
            } else if before.is_some() && after.is_none() {
                *rows = rows.saturating_sub(1);
                self.rows_now = self.rows_now.saturating_sub(1);
            }
        } else if let Payload::Booted { .. } | Payload::Stopped(_) = event.payload {
            let gone = self.rows.remove(&event.node).unwrap_or(0);
            self.rows_now = self.rows_now.saturating_sub(gone);
        }
        self.flights_max = self.flights_max.max(self.flights);
        self.rows_max = self.rows_max.max(self.rows_now);
    }

    fn bytes(&self) -> u64 {
        let rows = self.rows_max.saturating_mul(ROW_BYTES);
        let flights = self
            .flights_max
            .saturating_mul(FLIGHT_BYTES + CONTENTS_BYTES);
        rows.saturating_add(flights)
    }
}

/// Feeds a probe, and stops the run where it has had too much memory.
struct Feeler {
    probe: Arc<Mutex<Probe>>,
    period_us: u64,
    stop: Arc<AtomicBool>,
}

impl Sink for Feeler {
    fn reads_contents(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event) {
        let mut probe = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
        probe.event(event, self.period_us);
        if probe.bytes() > PROBE_BYTES {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

fn probe(
    scenario: &Scenario,
    strategy: &str,
    periods: &Periods,
    budget: u64,
    catalog: &Catalog,
) -> Probe {
    let mut unjudged = scenario.clone();
    unjudged.expectations.clear();
    let probe = Arc::new(Mutex::new(Probe::default()));
    let stop = Arc::new(AtomicBool::new(false));
    let feeler = Feeler {
        probe: Arc::clone(&probe),
        period_us: micros(periods.longest).max(1),
        stop: Arc::clone(&stop),
    };
    let run = Simulation::new(&unjudged, catalog).strategy(strategy);
    let made = run.and_then(|run| run.budget(budget).sink(feeler).stop_when(stop).run());
    let mut probe = probe.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // One that a panic ended is over, too.
    probe.is_whole = made.as_ref().map_or(true, |report| report.reason.is_none());
    probe.wall_us = made.map_or(0, |report| report.wall_us);
    probe
}

/// The part of a run that its probe did not come to.
struct Rest<'a> {
    scenario: &'a Scenario,
    strategy: &'a str,
    catalog: &'a Catalog,
    periods: &'a Periods,
    probe: &'a Probe,
}

impl Rest<'_> {
    /// The whole run: what grows, and the most messages on their way.
    fn add(&self) -> (Figures, u64) {
        let Probe { figures, marks, .. } = self.probe;
        let end = micros(self.scenario.run.duration);
        let left_us = end.saturating_sub(self.probe.at.0);
        // The first period has what only a beginning has.
        if let [_, _, rest @ ..] = marks.as_slice()
            && let Some((to, to_figures)) = rest.last()
        {
            let (from, from_figures) = &marks[1.max(marks.len() / 2)];
            let (from, from_figures) = if to > from {
                (from, from_figures)
            } else {
                (&marks[1].0, &marks[1].1)
            };
            let times = ratio(left_us, to.since(*from));
            let figures = figures.grown(*from_figures, *to_figures, times);
            return (figures, self.probe.flights_max);
        }
        match self.periods.round {
            Some(round) if end >= micros(round) => self.rounds(micros(round)),
            Some(_) | None => {
                let times = ratio(left_us, self.probe.at.0);
                let figures = figures.grown(Figures::default(), *figures, times);
                (figures, self.probe.flights_max)
            }
        }
    }

    /// The same for a run that was cut off before its second round was over.
    fn rounds(&self, round_us: u64) -> (Figures, u64) {
        let Probe { figures, at, .. } = self.probe;
        let end = micros(self.scenario.run.duration);
        let messages = self.messages_of_round(round_us);
        let rounds = end / round_us;
        let announced = announcements(self.scenario);
        let all = messages.saturating_mul(rounds).saturating_add(announced);
        let all = all.max(figures.messages);
        let more = ratio(all, figures.messages) - 1.0;
        // In the middle of a round, its messages have only begun to be on their way.
        let begun = figures
            .messages
            .saturating_sub(announced.min(figures.messages / 2));
        let flights = if at.0 >= round_us {
            let times = ratio(messages, begun).max(1.0);
            scaled(self.probe.flights_max, times, 0)
        } else {
            self.probe.flights_max.max(messages / 2)
        };
        (figures.grown(Figures::default(), *figures, more), flights)
    }

    /// The messages of one round of all nodes: measured in smaller clusters, and beyond them a straight
    /// line in logarithms.
    fn messages_of_round(&self, round_us: u64) -> u64 {
        let nodes = self.scenario.cluster.nodes.len();
        let mut points: Vec<(usize, u64)> = Vec::new();
        for count in SMALLER.into_iter().filter(|count| *count < nodes) {
            let Some(messages) = self.measured(count, round_us) else {
                break;
            };
            points.push((count, messages.max(1)));
        }
        let [.., (from, low), (to, high)] = points.as_slice() else {
            let pairs = (nodes as u64).saturating_mul(nodes as u64);
            return pairs.max(self.probe.figures.messages);
        };
        let log = |count: u64| libm::log(ratio(count, 1));
        let size = |count: usize| log(count as u64);
        let slope = (log(*high) - log(*low)) / (size(*to) - size(*from));
        scaled(*high, libm::pow(ratio(nodes as u64, *to as u64), slope), 0)
    }

    /// The messages of the first round of a smaller cluster, beside announcements; `None` if they are too
    /// many.
    fn measured(&self, count: usize, round_us: u64) -> Option<u64> {
        let mut small = self.scenario.clone();
        small.cluster.nodes.truncate(count);
        small.cluster.start = (0..).take(small.cluster.nodes.len()).collect();
        small.cluster.overrides.clear();
        small.network.links.clear();
        small.cluster.discovery_interval = small.run.duration;
        small.run.duration = Duration::from_micros(round_us.saturating_mul(2).saturating_sub(1));
        let start = Action::StartChildren {
            on: 0,
            children: Children::Ids(vec!["a".into()]),
            metadata: Default::default(),
            replicas: Vec::new(),
            announce: true,
            via: None,
        };
        let at = When::Fixed(Duration::from_micros(round_us / 2));
        small.steps = vec![Step::new(at, start)];
        let periods = Periods {
            longest: Duration::from_micros(round_us),
            ..*self.periods
        };
        let probe = probe(
            &small,
            self.strategy,
            &periods,
            SMALLER_EVENTS,
            self.catalog,
        );
        let before = probe.marks.get(1).map(|(_, figures)| figures.messages);
        let sent = probe.figures.messages;
        probe
            .is_whole
            .then_some(sent - before.unwrap_or(sent).min(sent))
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn ratio(count: u64, of: u64) -> f64 {
    count as f64 / of.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Scenario {
        let text = format!("schema = 1\n{text}");
        Scenario::read("x.toml", text.as_bytes(), &Catalog::default()).expect("a scenario")
    }

    fn is_near(estimate: u64, truth: u64) -> bool {
        estimate <= truth.saturating_mul(2) && truth <= estimate.saturating_mul(2)
    }

    #[test]
    fn large_clusters_want_big_and_are_estimated_without_a_run() {
        let file = |nodes: u32| {
            read(&format!(
                "[cluster]\nnodes = {nodes}\n[[step]]\nat = \"1s\"\nstart_children = {{ on = \"n1\", count = 10, prefix = \"x\", replicas = [\"n2\"] }}\n"
            ))
        };
        let small = size(&file(5));
        assert_eq!((small.nodes, small.steps, small.children), (5, 1, 20));
        assert!(!size(&file(2_000)).wants_big && size(&file(2_001)).wants_big);
        let large = estimate(&file(10_000), "gossip", &Catalog::default());
        assert!(
            !large.is_exact && large.memory_bytes > 10 << 30,
            "{large:?}"
        );
    }

    #[test]
    fn a_short_run_is_told_as_it_is() {
        let scenario = read(
            "[cluster]\nnodes = 5\n[[step]]\nat = \"1s\"\nstart_children = { on = \"n1\", count = 10, prefix = \"x\" }\n",
        );
        for strategy in ["pubsub", "gossip"] {
            let catalog = Catalog::default();
            let told = estimate(&scenario, strategy, &catalog);
            let run = Simulation::new(&scenario, &catalog).strategy(strategy);
            let report = run.and_then(|run| run.seed(1).run()).expect("a port");
            assert!(told.is_exact);
            assert_eq!(told.events, report.events);
            assert_eq!(
                (told.messages, told.bytes),
                (report.messages.sent, report.messages.bytes)
            );
        }
    }

    #[test]
    fn the_rest_of_a_long_run_goes_on_as_it_went() {
        let scenario = read(
            "[run]\nduration = \"6000s\"\n[cluster]\nnodes = 40\n[[step]]\nat = \"1s\"\nstart_children = { on = \"n1\", count = 10, prefix = \"x\" }\n",
        );
        let catalog = Catalog::default();
        let told = estimate(&scenario, "pubsub", &catalog);
        let run = Simulation::new(&scenario, &catalog).strategy("pubsub");
        let report = run.and_then(|run| run.seed(1).run()).expect("a port");
        assert!(
            !told.is_exact && is_near(told.events, report.events),
            "{told:?} {report:?}"
        );
        assert!(
            is_near(told.bytes, report.messages.bytes),
            "{told:?} {report:?}"
        );
    }

    #[test]
    fn rounds_that_are_cut_off_are_those_of_smaller_clusters() {
        // The first round of 22 nodes that forward what they hear has more events than a probe.
        let text = |nodes| {
            format!(
                "[run]\nduration = \"20s\"\n[cluster]\nnodes = {nodes}\n[strategy.gossip]\nsync_interval = \"15s\"\n[[step]]\nat = \"1s\"\nstart_children = {{ on = \"n1\", count = 1, prefix = \"x\" }}\n"
            )
        };
        let catalog = Catalog::default();
        let scenario = read(&text(30));
        let told = estimate(&scenario, "gossip", &catalog);
        assert!(!told.is_exact, "{told:?}");
        // Measured: 30 nodes send 1.1 million messages in their first round.
        assert!(told.messages > 500_000, "{told:?}");
    }
}
