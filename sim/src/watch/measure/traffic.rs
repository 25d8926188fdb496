//! Messages and bytes by node and time.

use std::collections::VecDeque;

use hashbrown::HashMap;
use hublab_strategies::Time;
use rustc_hash::FxBuildHasher;

use super::{Spread, TrafficNumbers, index, ratio};
use crate::model::{NodeIx, Window};
use crate::trace::event::{Event, KindIx, Payload};

const SECOND: u64 = 1_000_000;
/// Seconds begin at multiples of this, in microseconds.
const BUCKET: u64 = 10_000;
/// Buckets of a second.
const BUCKETS: u64 = SECOND / BUCKET;

/// A message: sender, receiver, kind, and its number on their link.
type MessageKey = (NodeIx, NodeIx, KindIx, u64);

/// A message on its way.
#[derive(Debug, Clone, Copy)]
struct Flying {
    bytes: u64,
    hops: u32,
    /// How many copies of it there are.
    copies: u8,
}

/// What a node sent and received within the last second.
#[derive(Debug, Default)]
struct LastSecond {
    /// Bytes by bucket, in order.
    buckets: VecDeque<(u64, u64)>,
    sum: u64,
}

impl LastSecond {
    /// Adds bytes, and returns the sum of the second that ends with their bucket.
    fn add(&mut self, now: Time, bytes: u64) -> u64 {
        let bucket = now.0 / BUCKET;
        while let Some((first, gone)) = self.buckets.front().copied() {
            if first + BUCKETS > bucket {
                break;
            }
            self.sum -= gone;
            self.buckets.pop_front();
        }
        match self.buckets.back_mut() {
            Some((last, sum)) if *last == bucket => *sum += bytes,
            Some(_) | None => self.buckets.push_back((bucket, bytes)),
        }
        self.sum += bytes;
        self.sum
    }
}

/// Traffic in whole intervals of rounds after the first, in stretches without a step.
#[derive(Debug)]
struct Idle {
    interval: u64,
    /// When the stretch began.
    since: Time,
    /// How many whole intervals of it are over.
    over: u64,
    /// Messages, bytes and microseconds of running nodes in the interval that is not over.
    open: [u64; 3],
    /// The same of those that count.
    closed: [u64; 3],
    /// Until when the time of nodes is counted.
    counted: Time,
}

impl Idle {
    /// Time comes to `now`, with so many nodes running until then.
    fn advance(&mut self, now: Time, running: u64) {
        loop {
            let ends = (self.over + 1).saturating_mul(self.interval);
            let ends = Time(self.since.0.saturating_add(ends));
            let until = now.min(ends);
            self.open[2] += until.since(self.counted).saturating_mul(running);
            self.counted = until.max(self.counted);
            if now < ends {
                return;
            }
            let open = std::mem::take(&mut self.open);
            if self.over > 0 {
                for (sum, value) in self.closed.iter_mut().zip(open) {
                    *sum = sum.saturating_add(value);
                }
            }
            self.over += 1;
        }
    }

    fn step(&mut self, now: Time) {
        self.since = now;
        self.counted = now;
        self.over = 0;
        self.open = [0; 3];
    }
}

#[derive(Debug)]
pub(super) struct Traffic {
    window: Window,
    bytes: Vec<u64>,
    messages: Vec<u64>,
    seconds: Vec<LastSecond>,
    peak: u64,
    /// By node: the hops of the message that it handled last.
    hops: Vec<u32>,
    flying: HashMap<MessageKey, Flying, FxBuildHasher>,
    idle: Option<Idle>,
    running: Vec<bool>,
    running_count: u64,
}

impl Traffic {
    /// With what is sent and received in a window.
    pub(super) fn new(nodes: usize, round_interval: Option<u64>, window: Window) -> Self {
        let interval = round_interval.filter(|interval| *interval > 0);
        Self {
            window,
            bytes: vec![0; nodes],
            messages: vec![0; nodes],
            seconds: (0..nodes).map(|_| LastSecond::default()).collect(),
            peak: 0,
            hops: vec![0; nodes],
            flying: HashMap::default(),
            idle: interval.map(|interval| Idle {
                interval,
                since: Time::ZERO,
                over: 0,
                open: [0; 3],
                closed: [0; 3],
                counted: Time::ZERO,
            }),
            running: vec![false; nodes],
            running_count: 0,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a fold looks at the events that concern it"
    )]
    pub(super) fn event(&mut self, event: &Event) {
        let (now, node) = (event.at, event.node);
        if let Some(idle) = &mut self.idle {
            idle.advance(now, self.running_count);
        }
        match &event.payload {
            Payload::Step { .. } => {
                if let Some(idle) = &mut self.idle {
                    idle.step(now);
                }
            }
            Payload::Booted { .. } => self.set_running(node, true),
            Payload::Stopped(_) => self.set_running(node, false),
            Payload::Sent {
                to,
                kind,
                number,
                bytes,
                hops,
                due,
                ..
            } => {
                if let Some(idle) = &mut self.idle {
                    idle.open[0] += 1;
                    idle.open[1] += bytes;
                }
                self.count(now, node, *bytes);
                if due.is_some() {
                    let flying = Flying {
                        bytes: *bytes,
                        hops: *hops,
                        copies: 1,
                    };
                    self.flying.insert((node, *to, *kind, *number), flying);
                }
            }
            Payload::Duplicated {
                to, kind, number, ..
            } => {
                if let Some(flying) = self.flying.get_mut(&(node, *to, *kind, *number)) {
                    flying.copies = flying.copies.saturating_add(1);
                }
            }
            Payload::Delivered {
                from, kind, number, ..
            } => {
                if let Some(landed) = self.landed((*from, node, *kind, *number)) {
                    self.hops[index(node)] = landed.hops;
                    self.count(now, node, landed.bytes);
                }
            }
            Payload::Dropped {
                from, kind, number, ..
            } => drop(self.landed((*from, node, *kind, *number))),
            _ => {}
        }
    }

    fn set_running(&mut self, node: NodeIx, runs: bool) {
        let was = std::mem::replace(&mut self.running[index(node)], runs);
        if runs && !was {
            self.running_count += 1;
        } else if was && !runs {
            self.running_count -= 1;
        }
    }

    /// The hops of the message that a node handled last.
    pub(super) fn hops(&self, node: NodeIx) -> u32 {
        self.hops[index(node)]
    }

    /// A copy of a message is no longer on its way.
    fn landed(&mut self, key: MessageKey) -> Option<Flying> {
        let flying = self.flying.get_mut(&key)?;
        let landed = *flying;
        flying.copies -= 1;
        if flying.copies == 0 {
            self.flying.remove(&key);
        }
        Some(landed)
    }

    fn count(&mut self, now: Time, node: NodeIx, bytes: u64) {
        if !self.window.contains(now) {
            return;
        }
        self.bytes[index(node)] += bytes;
        self.messages[index(node)] += 1;
        let within = self.seconds[index(node)].add(now, bytes);
        self.peak = self.peak.max(within);
    }

    pub(super) fn finish(mut self, end: Time) -> TrafficNumbers {
        if let Some(idle) = &mut self.idle {
            idle.advance(end, self.running_count);
        }
        let idle = self.idle.map(|idle| idle.closed);
        let per_second = |place: usize| {
            let [messages, bytes, micros] = idle?;
            let per_micro = ratio([messages, bytes][place], micros)?;
            Some(per_micro * 1_000_000.0)
        };
        TrafficNumbers {
            node_bytes: spread(self.bytes),
            node_messages: spread(self.messages),
            peak_bytes_1s: self.peak,
            idle_messages: per_second(0),
            idle_bytes: per_second(1),
        }
    }
}

/// How numbers spread.
#[expect(
    clippy::cast_precision_loss,
    reason = "shares are rounded to 53 bits at any rate"
)]
fn spread(mut values: Vec<u64>) -> Spread {
    values.sort_unstable();
    let count = values.len() as u64;
    let sum: u64 = values.iter().sum();
    let weighted: i128 = (1..)
        .zip(&values)
        .map(|(rank, value)| (2 * rank - i128::from(count) - 1) * i128::from(*value))
        .sum();
    Spread {
        mean: ratio(sum, count).unwrap_or_default(),
        max: values.last().copied().unwrap_or_default(),
        gini: (sum > 0).then(|| weighted as f64 / (count as f64 * sum as f64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ginis_coefficient_is_0_for_equals_and_near_1_for_one_who_has_everything() {
        assert_eq!(spread(vec![5; 4]).gini, Some(0.0));
        assert_eq!(spread(vec![0, 0, 0, 8]).gini, Some(0.75));
        assert_eq!(spread(vec![0; 3]).gini, None);
        // Worked by hand: the mean difference is 16/9, and 16/9 / (2 x 2) = 4/9 for (0, 2, 4).
        let gini = spread(vec![4, 0, 2]).gini.unwrap_or_default();
        assert!((gini - 4.0 / 9.0).abs() < 1e-12, "{gini}");
    }

    #[test]
    fn a_second_is_counted_from_a_multiple_of_10_ms_on() {
        let mut second = LastSecond::default();
        assert_eq!(second.add(Time(9_999), 1), 1);
        assert_eq!(second.add(Time(999_999), 10), 11);
        assert_eq!(second.add(Time(1_000_000), 100), 110);
        assert_eq!(second.add(Time(1_990_000), 1_000), 1_100);
        assert_eq!(second.add(Time(5_000_000), 7), 7);
    }
}
