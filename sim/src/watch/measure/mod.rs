//! What a run costs, and what those who look children up in it suffer: numbers that are folded over
//! the trace, exact from event to event.
//!
//! A *cell* is what one node, the observer, shows of a child on another node, its owner. It is right
//! if it equals the truth, else it has a *defect*: absent, ghost or wrong. A *change* is one start,
//! stop, restart or change of metadata of a child on its node.
//!
//! | module | owns |
//! | --- | --- |
//! | `cells` | cells, defects, and the time until a change is seen |
//! | `excuse` | defects that no strategy could have avoided |
//! | `detection` | the time until a stopped node is outside the views of others |
//! | `queues` | messages that wait for a busy receiver |
//! | `redundancy` | entries that messages brought in vain |
//! | `state` | how much nodes hold |
//! | `traffic` | messages and bytes by node and time |
//! | `window` | the same of a part of the run |
//!
//! Entries of nodes that are not in the file belong to no cell.

mod cells;
mod detection;
mod excuse;
mod queues;
mod redundancy;
mod samples;
mod state;
mod traffic;
mod window;

use hublab_strategies::Time;
use serde::{Deserialize, Serialize};

use super::ObserverContext;
use super::causes::Cause;
use super::changed::Changed;
use super::facts::Facts;
use crate::model::{NodeIx, Window};
use crate::trace::event::{Event, Payload};

use cells::Cells;
use detection::Detection;
use queues::Queues;
use redundancy::Redundancy;
use state::States;
use traffic::Traffic;
pub(super) use window::Windows;

/// The numbers of a run; `None` for those that it has no value of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Measured {
    /// Defects.
    pub stale: Stale,
    /// The time from changes until observers show them.
    pub propagation: Propagation,
    /// The time from the stop of a node until the first, and the last, connected observer has it
    /// outside its view: medians over stops.
    pub detection_us: [Option<u64>; 2],
    /// Starts, stops, restarts and changes of metadata.
    pub changes: u64,
    /// Traffic.
    pub traffic: TrafficNumbers,
    /// Messages that waited for a busy receiver; `None` if none is busy.
    #[serde(default)]
    pub queue: Option<Queue>,
    /// (child, node) entries that messages brought to those that handled them, and how many of these
    /// changed something there; `None` if not all messages tell their entries.
    #[serde(default)]
    pub entries: Option<[u64; 2]>,
    /// The largest state of a node, in bytes: the encoding of its rows, and what its strategy says that it
    /// keeps beside them.
    #[serde(default)]
    pub state_bytes: u64,
}

/// Defects, over observers that run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stale {
    /// Integrals over time of the number of defects, in row-microseconds: absent, ghost, wrong.
    pub area_us: [u64; 3],
    /// The integral of all of them, without those that are excused.
    #[serde(default)]
    pub unexcused_us: u64,
    /// The integral of the number of cells whose child is true or shown.
    pub looked_up_us: u64,
    /// The longest time that a cell was defective.
    pub longest_us: u64,
    /// The longest time that a cell was absent, ghost and wrong.
    pub longest_of_us: [u64; 3],
    /// Right cells that became defective without a change of their child.
    pub flaps: u64,
}

impl Stale {
    /// All defects together, in row-microseconds.
    #[must_use]
    pub fn total_us(&self) -> u64 {
        self.area_us.iter().sum()
    }

    /// The chance that a look-up is answered wrongly, of a child that is true or shown, at a random
    /// time; `None` if there was none to look up.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        ratio(self.total_us(), self.looked_up_us)
    }
}

/// Times in microseconds; missing where too many are censored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Times {
    /// The median.
    pub p50: Option<u64>,
    /// 90 of 100 are at most this.
    pub p90: Option<u64>,
    /// 99 of 100 are at most this.
    pub p99: Option<u64>,
    /// 999 of 1,000 are at most this.
    pub p999: Option<u64>,
    /// The longest; missing if any is censored.
    pub max: Option<u64>,
    /// The mean; missing if any is censored.
    pub mean: Option<f64>,
    /// How many ended.
    pub count: u64,
    /// False if there were so many that quantiles may be off by 0.5 %.
    pub is_exact: bool,
    /// The share that ended within each of [`Times::CURVE_US`], in millionths; empty without samples.
    #[serde(default)]
    pub within: Vec<u32>,
}

impl Times {
    /// Times of [`Times::within`], in microseconds: ten in each decade from 100 us to 1,000 s.
    pub const CURVE_US: [u64; 71] = {
        const TENTHS: [u64; 10] = [100, 126, 158, 200, 251, 316, 398, 501, 631, 794];
        let (mut times, mut place, mut decade) = ([0; 71], 0, 1);
        while place < times.len() {
            times[place] = TENTHS[place % 10] * decade;
            place += 1;
            if place.is_multiple_of(10) {
                decade *= 10;
            }
        }
        times
    };
}

/// The time from changes until observers show them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Propagation {
    /// Of every change and observer that ran and was connected to the owner at the change.
    pub each_us: Times,
    /// Of every change, until the last of those observers.
    pub last_us: Times,
    /// The hops of the delivery by which the last of those observers came to show a change: the median of
    /// the changes that all have shown, the last by a delivery.
    #[serde(default)]
    pub last_hops: Option<u64>,
    /// Changes and observers without an end: censored.
    pub unseen: u64,
    /// Starts that were taken back before the observer showed them.
    pub skipped: u64,
}

/// Messages that waited for a busy receiver.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Queue {
    /// The most that waited for one node, without the one in service.
    pub peak: u64,
    /// The time from the arrival of a message until its service began; of one that was lost meanwhile,
    /// until it would have.
    pub wait_us: Times,
}

/// Traffic.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrafficNumbers {
    /// Bytes sent and received, over nodes.
    pub node_bytes: Spread,
    /// Messages sent and received, over nodes.
    pub node_messages: Spread,
    /// The most bytes that a node sent and received within 1 s from a multiple of 10 ms on.
    pub peak_bytes_1s: u64,
    /// Messages sent per node that runs and second, in whole intervals of rounds after the first,
    /// between steps.
    pub idle_messages: Option<f64>,
    /// The same for bytes.
    pub idle_bytes: Option<f64>,
}

/// How a number spreads over nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The largest.
    pub max: u64,
    /// Gini's coefficient: 0 if all are equal, near 1 if one has everything; `None` if all are 0.
    pub gini: Option<f64>,
}

/// The quotient; `None` if the divisor is 0.
#[expect(
    clippy::cast_precision_loss,
    reason = "a quotient is rounded to 53 bits at any rate"
)]
pub(crate) fn ratio(dividend: u64, divisor: u64) -> Option<f64> {
    (divisor > 0).then(|| dividend as f64 / divisor as f64)
}

/// The fold of one run, or of a window of it. What cannot be cut in time is of the whole run.
#[derive(Debug)]
pub(super) struct Measure {
    cells: Cells,
    detection: Detection,
    traffic: Traffic,
    queues: Queues,
    redundancy: Redundancy,
    states: States,
}

impl Measure {
    pub(super) fn new(facts: &Facts, round_interval: Option<u64>, window: Window) -> Self {
        let nodes = facts.len();
        Self {
            cells: Cells::new(nodes, window),
            detection: Detection::new(nodes),
            traffic: Traffic::new(nodes, round_interval, window),
            queues: Queues::new(window),
            redundancy: Redundancy::new(nodes, window),
            states: States::new(nodes),
        }
    }

    /// Takes in an event that is no change of a row.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a fold looks at the events that concern it"
    )]
    pub(super) fn event(&mut self, event: &Event, cx: &ObserverContext) {
        let (now, node, facts) = (event.at, event.node, cx.facts());
        self.traffic.event(event);
        self.queues.event(event, facts);
        self.redundancy.event(event);
        self.states.event(event);
        match &event.payload {
            Payload::Booted { .. } => {
                self.cells.node_up(now, node, cx);
                self.detection.node_up(node);
            }
            Payload::Stopped(_) => {
                self.detection.node_down(now, node, &self.cells);
                self.cells.node_down(now, node, cx);
            }
            Payload::Connected { peer } => self.cells.pair_changed(now, [node, *peer], true, cx),
            Payload::Disconnected { peer } => {
                self.cells.pair_changed(now, [node, *peer], false, cx)
            }
            Payload::Resumed => self.cells.resumed(now, node, cx),
            Payload::View(view) => {
                let members = view.iter().filter_map(|name| facts.position(name));
                self.detection.view(now, node, members);
            }
            Payload::ChildStarted {
                child,
                pid,
                metadata,
            } => {
                let state = (pid, metadata);
                self.cells.child_started((now, node), child, state, cx);
            }
            Payload::ChildStopped { child, pid } => {
                self.cells.child_stopped((now, node), child, pid, cx);
            }
            _ => {}
        }
    }

    /// A step has changed the network.
    pub(super) fn acted(&mut self, now: Time, cx: &ObserverContext) {
        self.cells.network_changed(now, cx);
    }

    /// Takes in a change of a row.
    pub(super) fn row(&mut self, changed: &Changed<'_>, cx: &ObserverContext) {
        let is_delivery = matches!(changed.origin.cause, Cause::Deliver(..));
        let hops = is_delivery.then(|| self.traffic.hops(changed.node));
        if is_delivery {
            self.redundancy.row(changed.node, changed);
        }
        self.states.row(changed.node, changed);
        self.cells.row(changed, hops, cx);
    }

    /// The run is over.
    pub(super) fn finish(self, end: Time, facts: &Facts) -> Measured {
        let (stale, propagation, changes) = self.cells.finish(end);
        Measured {
            stale,
            propagation,
            detection_us: self.detection.finish(),
            changes,
            traffic: self.traffic.finish(end),
            queue: self.queues.finish(facts),
            entries: self.redundancy.finish(),
            state_bytes: self.states.finish(),
        }
    }
}

/// A node as an index.
pub(super) fn index(node: NodeIx) -> usize {
    node as usize
}
