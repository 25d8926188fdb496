//! Times of which some have no end by the end of the run.

use super::Times;
use crate::statistics::{Duration, KaplanMeier, PerMille, Sketch};

/// Times that ended, and those that did not.
#[derive(Debug)]
pub(super) struct Samples {
    ended: Sketch,
    sum: u128,
    censored: Vec<u64>,
}

impl Samples {
    pub(super) fn new() -> Self {
        Self {
            ended: Sketch::new(),
            sum: 0,
            censored: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, time: u64) {
        self.ended.add(time);
        self.sum += u128::from(time);
    }

    /// A time that lasts for longer than this.
    pub(super) fn censor(&mut self, time: u64) {
        self.censored.push(time);
    }

    pub(super) fn censored(&self) -> u64 {
        self.censored.len() as u64
    }

    pub(super) fn finish(mut self) -> Times {
        let count = self.ended.count();
        let is_exact = self.ended.is_exact();
        let curve = Times::CURVE_US;
        let levels = [PerMille::P50, PerMille::P90, PerMille::P99, PerMille::P999];
        let (quantiles, within) = if self.censored.is_empty() {
            let shares = curve.map(|time| per_million(self.ended.count_up_to(time), count));
            (levels.map(|level| self.ended.quantile(level)), shares)
        } else {
            let ended = (1..=count).filter_map(|rank| self.ended.at_rank(rank));
            let mut times: Vec<Duration> = ended
                .map(|length| Duration {
                    length,
                    censored: false,
                })
                .collect();
            times.extend(self.censored.iter().map(|length| Duration {
                length: *length,
                censored: true,
            }));
            let estimate = KaplanMeier::new(times);
            let share = |time| 1_000_000.0 * (1.0 - estimate.share_longer(time));
            let shares = curve.map(|time| millionths(share(time)));
            (levels.map(|level| estimate.quantile(level)), shares)
        };
        let is_empty = count == 0 && self.censored.is_empty();
        let is_whole = self.censored.is_empty() && count > 0;
        let [p50, p90, p99, p999] = quantiles;
        Times {
            p50,
            p90,
            p99,
            p999,
            max: if is_whole { self.ended.max() } else { None },
            mean: if is_whole {
                mean(self.sum, count)
            } else {
                None
            },
            count,
            is_exact,
            within: if is_empty {
                Vec::new()
            } else {
                within.to_vec()
            },
        }
    }
}

/// A share in millionths, rounded down; 0 of nothing.
fn per_million(part: u64, whole: u64) -> u32 {
    let share = (u128::from(part) * 1_000_000).checked_div(whole.into());
    u32::try_from(share.unwrap_or(0)).unwrap_or(u32::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share is 0 to 1"
)]
fn millionths(share: f64) -> u32 {
    share.clamp(0.0, 1_000_000.0) as u32
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a mean is rounded to 53 bits at any rate"
)]
fn mean(sum: u128, count: u64) -> Option<f64> {
    (count > 0).then(|| sum as f64 / count as f64)
}
