//! The statistics of series and comparisons.
//!
//! Pure functions of numbers: no I/O, no randomness, the same result on every machine (logarithms
//! and the like come from `libm`, sums go in the order of the data). Every interval has a
//! confidence of 95 %. A value that a run did not come to is *missing*: quantiles and rank tests
//! count it as worse than any value, means and ratios do not exist with it, and both tell how many
//! there were.
//!
//! | file | what |
//! | --- | --- |
//! | `special` | incomplete beta function, Student's t, binomial and normal distribution |
//! | `describe` | quantiles, median, mean, pass rate, each with its interval |
//! | `paired` | ratio to a baseline, seed by seed, and what the pairing won |
//! | `rank` | Wilcoxon's signed-rank test, Cliff's delta |
//! | `number` | a value, whole or real |
//! | `kaplan_meier` | quantiles of times that were cut off |
//! | `sketch` | quantiles of more than 1,000,000 numbers |
//! | `verdict` | Holm's adjustment, and what may be claimed |
//!
//! docs/evaluation.md says how the intervals are made and how often they cover.
//!
//! ```
//! use hublab_sim::statistics::{
//!     Better, Duration, KaplanMeier, PerMille, cliffs_delta, holm, nearest_rank, proportion, signed_rank,
//! };
//!
//! let sorted: Vec<u64> = (1..=1_000).collect();
//! let levels = [PerMille::P90, PerMille::P99, PerMille::P999];
//! let quantiles = levels.map(|level| nearest_rank(&sorted, level));
//! assert_eq!(quantiles, [Some(900), Some(990), Some(999)]);
//!
//! // Three times that ended, and one that was cut off.
//! let ended = |length| Duration { length, censored: false };
//! let cut_off = Duration { length: 25, censored: true };
//! let times = KaplanMeier::new(vec![ended(10), ended(20), cut_off, ended(40)]);
//! assert_eq!(times.quantile(PerMille::P50), Some(20));
//! assert_eq!(times.share_longer(10), 0.75);
//!
//! // Eight pairs, each of them better than the baseline.
//! let better = [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0, -7.0, -8.0];
//! let p = signed_rank(&better).p;
//! assert_eq!((p, holm(&[p, 0.5])), (2.0 / 256.0, vec![2.0 * p, 0.5]));
//! assert_eq!(cliffs_delta(&better, &[0.0]), -1.0);
//!
//! // A run without a value is worse than any other.
//! assert_eq!(Better::Low.or_worst(None), f64::INFINITY);
//! assert_eq!(proportion(8, 10).map(|share| share.value), Some(0.8));
//! ```

mod describe;
mod kaplan_meier;
mod number;
mod paired;
mod rank;
mod sketch;
mod special;
mod verdict;

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod published;

pub use describe::{
    Interval, Mean, Median, Moments, PerMille, Proportion, mean, median, nearest_rank, proportion,
};
pub use kaplan_meier::{Duration, KaplanMeier};
pub use number::Number;
pub use paired::{Pair, Paired, Ratio, RatioMethod, paired};
pub use rank::{SignedRank, cliffs_delta, signed_rank};
pub use sketch::Sketch;
pub use verdict::{Verdict, holm, judge, seeds_needed};

/// The direction in which a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Better {
    /// Less is better: times, costs.
    Low,
    /// More is better.
    High,
    /// Neither: it describes a run.
    Neither,
}

impl Better {
    /// The number that stands for a missing value in ranks: worse than any other.
    #[must_use]
    pub fn worst(self) -> f64 {
        match self {
            Better::Low | Better::Neither => f64::INFINITY,
            Better::High => f64::NEG_INFINITY,
        }
    }

    /// A value for ranks, where a missing one is worse than any other.
    #[must_use]
    pub fn or_worst(self, value: Option<f64>) -> f64 {
        value.unwrap_or(self.worst())
    }
}
