//! The instants of a step: its time, its repetitions and its healing, drawn from its stream.

use std::time::Duration;

use hublab_strategies::time::micros;

use crate::model::{Action, End, Every, Scenario, Step, When};
use crate::scenario::read::STEPS_MAX;
use crate::stream::{below, draw, unit};

/// The places of a step's draws of times in its stream: part of what makes a seed reproducible.
const AT: u64 = 0;

/// The draw of the `heal_after` of a repetition, counted from 0.
fn heal_after_of(repetition: u64) -> u64 {
    1 + 2 * repetition
}

/// The draw of the gap before a repetition, the first of which is 1.
fn gap_before(repetition: u64) -> u64 {
    2 * repetition
}

/// One instant of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occurrence {
    pub(super) at: Duration,
    pub(super) heal_after: Option<When>,
    /// The place of the step in the file.
    pub(super) step: usize,
    /// Counted from 0.
    pub(super) repetition: u64,
}

impl Occurrence {
    /// The step at this instant, without its pattern.
    pub(super) fn plain(&self, step: &Step) -> Step {
        self.with(step, self.healing(step.action.clone()))
    }

    pub(super) fn with(&self, step: &Step, action: Action) -> Step {
        Step {
            at: When::Fixed(self.at),
            action,
            pattern: None,
            line: step.line,
        }
    }

    /// The action with the time that was drawn for its healing.
    pub(super) fn healing(&self, mut action: Action) -> Action {
        if let Action::Partition { heal_after, .. } | Action::Cut { heal_after, .. } = &mut action {
            *heal_after = self.heal_after;
        }
        action
    }
}

/// Draws the times of a step.
pub(super) fn times(
    scenario: &Scenario,
    (place, step): (usize, &Step),
    key: Option<u64>,
    occurrences: &mut Vec<Occurrence>,
) {
    let drawn = |when: When, number: u64| within(when, draw(key.unwrap_or_default(), number));
    let heal_after = step.action.heal_after();
    let mut at = drawn(step.at, AT);
    let end = scenario.run.duration;
    let (last, count) = match step.repeat() {
        Some(repeat) => (repeat.last(step.at).min(end), step.count_max()),
        None => (Duration::MAX, 1),
    };
    for repetition in 0..count {
        if let Some(repeat) = step.repeat()
            && repetition > 0
        {
            at = at.saturating_add(match repeat.every {
                Every::Fixed(gap) => gap,
                Every::Mean(mean) => {
                    exponential(mean, draw(key.unwrap_or_default(), gap_before(repetition)))
                }
            });
        }
        let is_over = match step.repeat().map(|repeat| repeat.end) {
            Some(End::Until(until)) => at >= until,
            Some(End::Times(_)) | None => false,
        };
        if is_over || at > last || occurrences.len() >= STEPS_MAX && step.pattern.is_some() {
            break;
        }
        let heal_after = heal_after.map(|after| drawn(after, heal_after_of(repetition)));
        // Where gaps are drawn, the healing can lie behind the end of the run.
        let heal_after = heal_after.filter(|after| step.repeat().is_none() || at + *after <= end);
        occurrences.push(Occurrence {
            at,
            heal_after: heal_after.map(When::Fixed),
            step: place,
            repetition,
        });
    }
}

/// The time that a draw makes of one that may be a range.
fn within(when: When, draw: u64) -> Duration {
    match when {
        When::Fixed(time) => time,
        When::Between(from, to) => {
            let choices = micros(to).saturating_sub(micros(from)).saturating_add(1);
            from + Duration::from_micros(below(draw, choices))
        }
    }
}

/// A draw of an exponential distribution, at least a microsecond.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a mean is far below 2^52 us, and the logarithm of 53 bits is at most 37"
)]
fn exponential(mean: Duration, draw: u64) -> Duration {
    let gap = -libm::log1p(-unit(draw)) * micros(mean) as f64;
    Duration::from_micros((libm::round(gap) as u64).max(1))
}
