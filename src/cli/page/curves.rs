//! Curves over the whole run, however long: messages and bytes by kind in stretches of equal length, queues,
//! and defects. A curve with more points than a screen has is thinned; peaks stay.

use std::collections::BTreeMap;

use hublab_sim::model::NodeIx;
use hublab_sim::trace::Event;
use hublab_sim::trace::event::Payload;
use hublab_strategies::Time;
use serde::Serialize;

use super::cells::{Point, Seen};

/// Into at most so many stretches the run is divided.
const BINS: u64 = 600;
/// A curve keeps this many points.
const POINTS_MAX: usize = 3_000;
/// The curve of one node keeps this many, as there may be a thousand nodes.
const NODE_POINTS: usize = 300_000;

/// The messages of one kind over time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct KindCurve {
    pub(super) kind: String,
    /// By stretch: messages sent, their bytes, and messages lost.
    pub(super) sent: Vec<u64>,
    pub(super) bytes: Vec<u64>,
    pub(super) lost: Vec<u64>,
}

/// The messages that wait at a node over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct QueueCurve {
    pub(super) node: NodeIx,
    /// Instants and lengths.
    pub(super) points: Vec<(u64, u64)>,
}

/// All curves of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Curves {
    /// The length of a stretch, in microseconds.
    pub(super) bin_us: u64,
    pub(super) kinds: Vec<KindCurve>,
    /// Since an instant: absent, ghosts, wrong.
    pub(super) defects: Vec<Point>,
    /// The same by node.
    pub(super) node_defects: Vec<Vec<Point>>,
    pub(super) queues: Vec<QueueCurve>,
}

/// Folds a trace into curves.
#[derive(Debug)]
pub(super) struct CurveFold {
    bin_us: u64,
    kinds: Vec<KindCurve>,
    waiting: Vec<u64>,
    queues: BTreeMap<NodeIx, Vec<(u64, u64)>>,
}

impl CurveFold {
    pub(super) fn new(kinds: &[String], nodes: usize, end: Time) -> Self {
        let bin_us = round(end.0 / BINS + 1);
        let bins = usize::try_from(end.0 / bin_us + 1).unwrap_or(1);
        let curve = |kind: &String| KindCurve {
            kind: kind.clone(),
            sent: vec![0; bins],
            bytes: vec![0; bins],
            lost: vec![0; bins],
        };
        Self {
            bin_us,
            kinds: kinds.iter().map(curve).collect(),
            waiting: vec![0; nodes],
            queues: BTreeMap::new(),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a fold looks at the events that concern it"
    )]
    pub(super) fn event(&mut self, event: &Event) {
        let bin = usize::try_from(event.at.0 / self.bin_us).unwrap_or(usize::MAX);
        let add = |counts: &mut Vec<u64>, much: u64| {
            if let Some(count) = counts.get_mut(bin) {
                *count += much;
            }
        };
        match event.payload {
            Payload::Sent { kind, bytes, .. } => {
                if let Some(curve) = self.kinds.get_mut(usize::from(kind)) {
                    add(&mut curve.sent, 1);
                    add(&mut curve.bytes, bytes);
                }
            }
            Payload::Dropped { kind, .. } => {
                if let Some(curve) = self.kinds.get_mut(usize::from(kind)) {
                    add(&mut curve.lost, 1);
                }
            }
            Payload::Queued { .. } => self.wait(event, true),
            Payload::Delivered { .. } => self.wait(event, false),
            Payload::Stopped(_) => self.forget(event),
            _ => {}
        }
    }

    /// A message more or less waits; at nodes without a service time none ever does.
    fn wait(&mut self, event: &Event, comes: bool) {
        let Some(waiting) = self.waiting.get_mut(event.node as usize) else {
            return;
        };
        if !comes && *waiting == 0 {
            return;
        }
        *waiting = if comes { *waiting + 1 } else { *waiting - 1 };
        let point = (event.at.0, *waiting);
        self.queues.entry(event.node).or_default().push(point);
    }

    fn forget(&mut self, event: &Event) {
        if let Some(waiting) = self.waiting.get_mut(event.node as usize)
            && std::mem::take(waiting) > 0
        {
            let points = self.queues.entry(event.node).or_default();
            points.push((event.at.0, 0));
        }
    }

    pub(super) fn finish(self, seen: &Seen) -> Curves {
        let is_used = |curve: &KindCurve| curve.sent.iter().chain(&curve.lost).any(|n| *n > 0);
        let per_node = NODE_POINTS / seen.nodes.len().max(1);
        let per_node = per_node.clamp(20, POINTS_MAX);
        let highest = |one: &Point, other: &Point| {
            let most = |kind: usize| one.1[kind].max(other.1[kind]);
            (one.0, [most(0), most(1), most(2)])
        };
        let queue = |(node, points): (NodeIx, Vec<(u64, u64)>)| QueueCurve {
            node,
            points: thinned(&points, per_node, |one, other| (one.0, one.1.max(other.1))),
        };
        let node = |points: &Vec<Point>| thinned(points, per_node, highest);
        Curves {
            bin_us: self.bin_us,
            kinds: self.kinds.into_iter().filter(is_used).collect(),
            defects: thinned(&seen.total, POINTS_MAX, highest),
            node_defects: seen.nodes.iter().map(node).collect(),
            queues: self.queues.into_iter().map(queue).collect(),
        }
    }
}

/// The first round number from a number on: 1, 2 or 5 and zeros.
fn round(number: u64) -> u64 {
    let mut ten = 1_u64;
    loop {
        for digit in [1, 2, 5] {
            let round = ten.saturating_mul(digit);
            if round >= number {
                return round;
            }
        }
        ten = ten.saturating_mul(10);
    }
}

/// At most so many points: of neighbours, the highest, and the last as it is.
fn thinned<P: Copy>(points: &[P], most: usize, highest: impl Fn(&P, &P) -> P) -> Vec<P> {
    if points.len() <= most {
        return points.to_vec();
    }
    let each = points.len().div_ceil(most.max(2) - 1);
    let (last, others) = points.split_last().expect("there are more than none");
    let mut thin: Vec<P> = others
        .chunks(each)
        .filter_map(|chunk| {
            chunk
                .iter()
                .copied()
                .reduce(|one, other| highest(&one, &other))
        })
        .collect();
    thin.push(*last);
    thin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_have_round_lengths() {
        let round: Vec<u64> = [1, 3, 56_667, u64::MAX].map(round).to_vec();
        assert_eq!(round, [1, 5, 100_000, u64::MAX]);
    }

    #[test]
    fn a_thinned_curve_keeps_its_peaks_and_its_end() {
        let points: Vec<(u64, u64)> = (0..10_000)
            .map(|at| (at, if at == 5_003 { 9 } else { at % 2 }))
            .collect();
        let thin = thinned(&points, 100, |one, other| (one.0, one.1.max(other.1)));
        assert!(thin.len() <= 100, "{}", thin.len());
        assert!(thin.iter().any(|(_, much)| *much == 9));
        assert_eq!(thin.last(), points.last());
    }
}
