//! The share of branches that fail, over the instant after which they begin.

use std::collections::BTreeMap;
use std::time::Duration;

use hublab_strategies::Time;
use serde::Serialize;

use super::Question;
use super::lab::Lab;
use crate::statistics::{Interval, proportion};

/// The branches after one instant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Point {
    /// The last instant that is as it was, in microseconds.
    pub after_us: u64,
    /// How many of the branches fail.
    pub fails: u32,
    /// How many branches there are.
    pub of: u32,
    /// The 95 % interval of the share, by Wilson.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Point {
    fn new(after_us: u64, fails: u32, of: u32) -> Self {
        let whole = Interval {
            low: 0.0,
            high: 1.0,
        };
        let share = proportion(fails.into(), of.into());
        let Interval { low, high } = share.map_or(whole, |share| share.interval);
        Self {
            after_us,
            fails,
            of,
            low,
            high,
        }
    }

    /// The share of the branches that fail.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.fails) / f64::from(self.of.max(1))
    }
}

/// One in so many of the points is laid evenly over the run; the others go where the share changes.
const EVENLY: u32 = 4;

/// For how many instants branches are made at once.
const AT_ONCE: usize = 2;

/// The curve of a question: with fewer points if the runs are used up, or if no two neighbouring points
/// differ that have an instant between them.
pub(super) fn curve(question: &Question, lab: &mut Lab<'_>) -> Vec<Point> {
    let instants = question.instants();
    let mut fails: BTreeMap<usize, u32> = BTreeMap::new();
    let mut next = first(question, &instants, lab.limits.points);
    while !next.is_empty() {
        // The runs or the time that are left may be enough for some of the points only.
        for places in next.chunks(AT_ONCE) {
            let after = |place: &usize| Duration::from_micros(instants[*place]);
            let asked: Vec<_> = places.iter().map(|place| (after(place), &[][..])).collect();
            let Some(shares) = lab.shares(&asked) else {
                return points(&instants, fails, lab.limits.branches);
            };
            fails.extend(places.iter().copied().zip(shares));
        }
        let room = (lab.limits.points as usize).saturating_sub(fails.len());
        next = cuts(&fails, lab.limits.branches);
        next.truncate(room.min(AT_ONCE));
    }
    points(&instants, fails, lab.limits.branches)
}

fn points(instants: &[u64], fails: BTreeMap<usize, u32>, branches: u32) -> Vec<Point> {
    let point = |(at, fails): (usize, u32)| Point::new(instants[at], fails, branches);
    fails.into_iter().map(point).collect()
}

/// The places of the first points among the instants: evenly over the run, and the failure with the
/// instant before it.
fn first(question: &Question, instants: &[u64], points: u32) -> Vec<usize> {
    let Some(last) = instants.len().checked_sub(1) else {
        return Vec::new();
    };
    let even = u64::from((points / EVENLY).max(2));
    let end = instants[last];
    let at_or_before = |time: u64| instants.partition_point(|at| *at <= time).saturating_sub(1);
    let mut places: Vec<usize> = (0..=even)
        .map(|part| {
            at_or_before(
                u64::try_from(u128::from(end) * u128::from(part) / u128::from(even)).unwrap_or(end),
            )
        })
        .collect();
    let failure = at_or_before(question.failure().at_us);
    places.extend([failure, failure.saturating_sub(1)]);
    places.sort_unstable();
    places.dedup();
    places.truncate(points as usize);
    places
}

/// Places between neighbouring points that differ, those that differ most first; of equal ones the
/// widest first.
fn cuts(fails: &BTreeMap<usize, u32>, branches: u32) -> Vec<usize> {
    let pairs = fails.iter().zip(fails.iter().skip(1));
    let mut gaps: Vec<(u32, usize, usize)> = pairs
        .filter(|((from, _), (to, _))| **to - **from > 1)
        .map(|((from, before), (to, after))| (before.abs_diff(*after), to - from, (from + to) / 2))
        // A difference that chance alone gives often enough is not looked into.
        .filter(|(difference, ..)| *difference * 10 > branches)
        .collect();
    gaps.sort_unstable_by(|a, b| b.cmp(a));
    gaps.into_iter().map(|(.., middle)| middle).collect()
}

/// Between which neighbouring points the share rises most, if it does by a quarter of the branches. What
/// comes behind the failure did not decide it.
pub(super) fn jump(curve: &[Point], failed_at: Time) -> Option<(Time, Time)> {
    let rise = |pair: &[Point]| pair[1].fails.saturating_sub(pair[0].fails);
    let mut steepest: Option<&[Point]> = None;
    for pair in curve.windows(2) {
        if pair[0].after_us < failed_at.0
            && rise(pair) * 4 >= pair[0].of.max(1)
            && steepest.is_none_or(|best| rise(pair) > rise(best))
        {
            steepest = Some(pair);
        }
    }
    steepest.map(|pair| (Time(pair[0].after_us), Time(pair[1].after_us)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(shares: &[u32]) -> Vec<Point> {
        let points = (0..).zip(shares);
        points
            .map(|(at, fails)| Point::new(at * 10, *fails, 32))
            .collect()
    }

    #[test]
    fn the_jump_is_the_steepest_rise() {
        assert_eq!(
            jump(&points(&[0, 8, 30, 32]), Time(99)),
            Some((Time(10), Time(20)))
        );
        let early = jump(&points(&[0, 8, 30, 32]), Time(10));
        assert_eq!(early, Some((Time(0), Time(10))), "not behind the failure");
        assert_eq!(jump(&points(&[0, 5, 10, 12]), Time(99)), None);
        assert_eq!(jump(&points(&[32, 0, 0]), Time(99)), None, "a fall is none");
        assert_eq!(jump(&[], Time(99)), None);
    }

    #[test]
    fn points_are_added_where_neighbours_differ() {
        let fails = BTreeMap::from([(0, 0), (10, 2), (20, 30), (21, 32)]);
        assert_eq!(cuts(&fails, 32), [15]);
    }
}
