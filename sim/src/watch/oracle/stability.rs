//! `stability`: in the quiet phase, queue lengths do not grow from one interval to the next under
//! constant load.
//!
//! A queue is what waits for a busy receiver: without a `service_time` there is none, and the oracle
//! holds. The length of an interval is the strategy's sync interval (or 1/256 of the run if that is
//! more); the length of a queue in it is the least of 16 looks, so that a burst that drains is no
//! growth. Violated by a node whose queue is longer in each of four intervals than in the one
//! before. Inconclusive if the quiet phase has fewer than six intervals. No excuses: in a quiet
//! phase the load is that of rounds, timers and what they bring about.

use hublab_strategies::Time;

use super::{Conclusion, Oracle, Violation, quiet};
use crate::model::NodeIx;
use crate::watch::ObserverContext;

pub(super) const NAME: &str = "stability";

/// Looks per interval.
const LOOKS: u64 = 16;

/// The most looks in one run.
const LOOKS_MAX: u64 = 4_096;

/// Intervals with a longer queue than the one before, in a row.
const RISES: u32 = 4;

/// Intervals that a quiet phase must have.
const INTERVALS: u64 = 6;

/// One node's queue.
#[derive(Debug, Clone, Copy)]
struct Queue {
    /// The least length in this interval.
    least: u64,
    /// That of the interval before.
    before: u64,
    rises: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            least: u64::MAX,
            before: u64::MAX,
            rises: 0,
        }
    }
}

/// Looks at the queues.
#[derive(Debug, Default)]
pub(super) struct Stability {
    queues: Vec<Queue>,
    looks: u64,
    next_look: Time,
    found: Vec<Violation>,
}

/// The time between two looks, in microseconds.
fn period(cx: &ObserverContext) -> u64 {
    let facts = cx.facts();
    (facts.times.sync / LOOKS)
        .max(facts.duration_us / LOOKS_MAX)
        .max(1)
}

impl Stability {
    fn look(&mut self, at: Time, cx: &ObserverContext) {
        self.queues.resize(cx.len(), Queue::default());
        self.looks += 1;
        let is_over = self.looks.is_multiple_of(LOOKS);
        for (node, queue) in (0..).zip(&mut self.queues) {
            queue.least = queue.least.min(cx.backlog(node, at));
            if is_over {
                let rises = if queue.least > queue.before {
                    queue.rises + 1
                } else {
                    0
                };
                if rises == RISES {
                    self.found.push(grown(node, at, queue, cx));
                }
                *queue = Queue {
                    least: u64::MAX,
                    before: queue.least,
                    rises,
                };
            }
        }
    }
}

fn grown(node: NodeIx, at: Time, queue: &Queue, cx: &ObserverContext) -> Violation {
    let name = cx.name(node);
    let (least, before) = (queue.least, queue.before);
    let detail = format!(
        "{name} never has fewer than {least} messages waiting, {before} in the interval before, and so for {RISES} intervals"
    );
    Violation::new(NAME, at, name.as_str(), detail).with_defect("growth")
}

impl Oracle for Stability {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reads_rows(&self) -> bool {
        false
    }

    fn step_begins(&mut self, now: Time) {
        *self = Self {
            next_look: now,
            ..Self::default()
        };
    }

    fn settle(
        &mut self,
        _now: Time,
        next: Time,
        cx: &ObserverContext,
        _found: &mut Vec<Violation>,
    ) {
        if cx.facts().service_us == 0 {
            return;
        }
        while self.next_look < next {
            self.look(self.next_look, cx);
            self.next_look = Time(self.next_look.0.saturating_add(period(cx)));
        }
    }

    fn pending(&self, cx: &ObserverContext) -> Option<String> {
        let queue = self
            .queues
            .iter()
            .zip(0..)
            .find(|(queue, _)| queue.rises > 0);
        queue.map(|(queue, node)| {
            let name = cx.name(node);
            format!(
                "the queue of {name} has grown for {} intervals",
                queue.rises
            )
        })
    }

    fn bound(&self, cx: &ObserverContext) -> Option<String> {
        let interval = Time(period(cx).saturating_mul(LOOKS));
        Some(format!("{INTERVALS} intervals of {interval}"))
    }

    fn finish(&mut self, end: Time, cx: &ObserverContext) -> Conclusion {
        if cx.facts().service_us == 0 {
            return Conclusion::Held;
        }
        let bound = period(cx).saturating_mul(LOOKS * INTERVALS);
        if let Some(reason) = quiet::missing(bound, end, cx) {
            return Conclusion::Inconclusive(reason);
        }
        if self.found.is_empty() {
            return Conclusion::Held;
        }
        Conclusion::Violated(std::mem::take(&mut self.found))
    }
}
