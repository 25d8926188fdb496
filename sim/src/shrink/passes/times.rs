//! Times: less waiting between steps, and rounder numbers.

use std::time::Duration;

use super::numbers::{down, rounded, rounded_above_zero, up};
use crate::model::{Action, ClockChange, Scenario, When};
use crate::shrink::search::{Edit, Search};

/// The units that all times are rounded to at once, before each is on its own.
const GRIDS: &[Duration] = &[
    Duration::from_secs(1),
    Duration::from_millis(100),
    Duration::from_millis(10),
    Duration::from_millis(1),
];

/// No step is moved to before this: at time 0 nodes boot, and what happens then is another story.
const FIRST: Duration = Duration::from_secs(1);

/// Shortens waits and rounds numbers.
pub(super) fn times(search: &mut Search<'_>) {
    let stronger = search.may_strengthen();
    search.edit(|_, _| grids());
    search.edit(move |scenario, _| {
        let mut edits = Vec::new();
        for place in 0..scenario.steps.len() {
            edits.extend(moves(scenario, place));
        }
        edits.extend(values(scenario, stronger));
        edits
    });
}

/// Every time of the script on a grid, rounded down or up.
fn grids() -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for unit in GRIDS {
        for round in [down, up] {
            edits.push(Box::new(move |scenario| {
                let to = |when: &mut When| *when = When::Fixed(round(when.first(), *unit));
                for step in &mut scenario.steps {
                    to(&mut step.at);
                    step.action.heal_after_mut().map(to);
                }
                scenario.run.duration = up(scenario.run.duration, *unit);
            }));
        }
    }
    edits
}

/// Other times of one step: with all that comes behind it, or alone.
fn moves(scenario: &Scenario, place: usize) -> Vec<Edit> {
    let at = scenario.steps[place].at.first();
    let before = place
        .checked_sub(1)
        .map_or(Duration::ZERO, |before| scenario.steps[before].at.first());
    let gap = at.saturating_sub(before);
    let closer = [0, 1, 10, 100, 1_000, 10_000].map(Duration::from_millis);
    let earlier = closer
        .into_iter()
        .filter(|closer| *closer < gap)
        .map(|closer| before + closer)
        .chain([before + gap / 2, FIRST]);
    let mut targets: Vec<Duration> = earlier.chain(rounded(at)).collect();
    targets.retain(|target| *target != at && *target >= FIRST);
    targets
        .into_iter()
        .flat_map(|target| -> [Edit; 2] {
            [
                Box::new(move |scenario| shift(scenario, place, at, target)),
                Box::new(move |scenario| scenario.steps[place].at = When::Fixed(target)),
            ]
        })
        .collect()
}

/// Moves a step, all behind it, and the end of the run.
fn shift(scenario: &mut Scenario, place: usize, from: Duration, to: Duration) {
    let moved = |time: Duration| (time + to).saturating_sub(from);
    for step in &mut scenario.steps[place..] {
        step.at = When::Fixed(moved(step.at.first()));
    }
    scenario.run.duration = moved(scenario.run.duration);
}

/// Rounder durations within steps, and of the run. Of faults, only shorter ones, unless they may get
/// stronger.
fn values(scenario: &Scenario, stronger: bool) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for duration in rounded_above_zero(scenario.run.duration) {
        edits.push(Box::new(move |scenario| scenario.run.duration = duration));
    }
    for (place, step) in scenario.steps.iter().enumerate() {
        if let Some(after) = step.action.heal_after() {
            let before = after.first();
            let allowed = rounded_above_zero(before).into_iter();
            for after in allowed.filter(|after| stronger || *after < before) {
                edits.push(Box::new(move |scenario| {
                    if let Some(when) = scenario.steps[place].action.heal_after_mut() {
                        *when = When::Fixed(after);
                    }
                }));
            }
        }
        if let Action::Clock { change, .. } = step.action {
            let allowed = rounder_clock(change).into_iter();
            for rounder in allowed.filter(|other| stronger || is_weaker(*other, change)) {
                edits.push(Box::new(move |scenario| {
                    if let Action::Clock { change, .. } = &mut scenario.steps[place].action {
                        *change = rounder;
                    }
                }));
            }
        }
    }
    edits
}

/// True if a clock is less wrong with one change than with another.
fn is_weaker(one: ClockChange, other: ClockChange) -> bool {
    let size = |change: ClockChange| match change {
        ClockChange::Jump(by) | ClockChange::RatePpm(by) => by.unsigned_abs(),
    };
    size(one) < size(other)
}

fn rounder_clock(change: ClockChange) -> Vec<ClockChange> {
    match change {
        ClockChange::Jump(by) => rounded_above_zero(Duration::from_micros(by.unsigned_abs()))
            .into_iter()
            .filter_map(|jump| i64::try_from(jump.as_micros()).ok())
            .map(|jump| ClockChange::Jump(jump * by.signum()))
            .collect(),
        ClockChange::RatePpm(rate) => [1_000_i64, 100, 10]
            .map(|unit| ClockChange::RatePpm(rate / unit * unit))
            .into_iter()
            .filter(|rounder| *rounder != change && *rounder != ClockChange::RatePpm(0))
            .collect(),
    }
}
