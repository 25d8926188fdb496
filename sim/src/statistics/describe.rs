//! One sample: quantiles, median, mean, proportion.

use super::Better;
use super::special::{NORMAL_CRITICAL, fair_coins_at_most, t_critical};

/// A 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Says whether a value lies within, the ends included.
    #[must_use]
    pub fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Says whether all of it lies within another, the ends included.
    #[must_use]
    pub(crate) fn lies_within(self, other: Self) -> bool {
        other.low <= self.low && self.high <= other.high
    }

    /// Half of its width.
    #[must_use]
    pub fn half_width(self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

/// A quantile's level in thousandths, so that ranks are exact: 500 is the median, 999 is p99.9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PerMille(u16);

impl PerMille {
    /// p5.
    pub const P5: Self = Self(50);
    /// The median.
    pub const P50: Self = Self(500);
    /// p90.
    pub const P90: Self = Self(900);
    /// p95.
    pub const P95: Self = Self(950);
    /// p99.
    pub const P99: Self = Self(990);
    /// p99.9.
    pub const P999: Self = Self(999);

    /// A level of 0..=1000 thousandths; `None` above.
    #[must_use]
    pub const fn new(thousandths: u16) -> Option<Self> {
        if thousandths <= 1_000 {
            Some(Self(thousandths))
        } else {
            None
        }
    }

    /// The level in thousandths.
    #[must_use]
    pub const fn thousandths(self) -> u16 {
        self.0
    }

    /// The rank of this quantile among `count` values, counted from 1.
    #[must_use]
    pub fn rank(self, count: u64) -> u64 {
        let rank = (u128::from(count) * u128::from(self.0)).div_ceil(1_000);
        u64::try_from(rank).unwrap_or(count).max(1)
    }
}

/// The nearest-rank quantile of sorted values: the least value that at least `level` of them do not
/// exceed, so always one that was measured. `None` of no values.
#[must_use]
pub fn nearest_rank<T: Copy>(sorted: &[T], level: PerMille) -> Option<T> {
    let rank = usize::try_from(level.rank(sorted.len() as u64)).ok()?;
    sorted.get(rank - 1).copied()
}

/// A median and where it may lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Median {
    /// The nearest-rank median; infinite if it is a missing value.
    pub value: f64,
    /// From one value of the sample to another, so that the median lies between with a chance of
    /// at least 95 %, whatever the distribution; it takes 6 values. An end is infinite where it
    /// falls among missing values.
    pub interval: Option<Interval>,
}

/// The median with its order-statistic interval (Conover, *Practical Nonparametric Statistics*,
/// 3rd edition, section 3.2). `sorted` has missing values at their end, see [`Better::worst`].
/// `None` of no values.
#[must_use]
pub fn median(sorted: &[f64]) -> Option<Median> {
    let value = nearest_rank(sorted, PerMille::P50)?;
    let count = sorted.len();
    // The largest number of values that may be cut off at each end.
    let (mut cut, mut limit) = (0, count / 2);
    while cut < limit {
        let middle = (cut + limit).div_ceil(2);
        if fair_coins_at_most(middle as u64 - 1, count as u64) <= 0.025 {
            cut = middle;
        } else {
            limit = middle - 1;
        }
    }
    let interval = (cut > 0).then(|| Interval {
        low: sorted[cut - 1],
        high: sorted[count - cut],
    });
    Some(Median { value, interval })
}

/// A mean and where it may lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The number of values.
    pub count: u64,
    /// The mean.
    pub value: f64,
    /// The variance, with n - 1; 0 of a single value.
    pub variance: f64,
    /// Student's t interval; it takes 2 values.
    pub interval: Option<Interval>,
}

/// The mean and the variance of values that come one by one (Welford 1962, Technometrics 4).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    /// The sum of squared distances to the mean.
    squares: f64,
}

impl Moments {
    /// Takes one more value in.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let distance = value - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (value - self.mean);
    }

    /// The mean with Student's t interval: exact for normal values, close for others the more
    /// there are; docs/evaluation.md has the coverage for skewed ones. `None` of no values, or if
    /// they are not finite.
    #[must_use]
    pub fn mean(&self) -> Option<Mean> {
        let (count, value) = (self.count, self.mean);
        let degrees = (count.max(2) - 1) as f64;
        let variance = self.squares / degrees;
        if count == 0 || !value.is_finite() || !variance.is_finite() {
            return None;
        }
        let interval = (count > 1).then(|| {
            let half = if variance > 0.0 {
                t_critical(degrees) * (variance / count as f64).sqrt()
            } else {
                0.0
            };
            Interval {
                low: value - half,
                high: value + half,
            }
        });
        Some(Mean {
            count,
            value,
            variance,
            interval,
        })
    }
}

/// The mean of values, see [`Moments::mean`].
#[must_use]
pub fn mean(values: &[f64]) -> Option<Mean> {
    let mut moments = Moments::default();
    values.iter().for_each(|value| moments.add(*value));
    moments.mean()
}

/// A share of runs and where its probability may lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proportion {
    /// The share, 0..=1.
    pub value: f64,
    /// Wilson's interval.
    pub interval: Interval,
}

/// The share of `hits` among `count` trials with Wilson's score interval, without continuity
/// correction (Wilson 1927, JASA 22; Newcombe 1998, Statistics in Medicine 17, method 3). `None`
/// of no trials.
#[must_use]
pub fn proportion(hits: u64, count: u64) -> Option<Proportion> {
    if count == 0 {
        return None;
    }
    let hits = hits.min(count);
    let (n, square) = (count as f64, NORMAL_CRITICAL * NORMAL_CRITICAL);
    let value = hits as f64 / n;
    let center = (value + square / (2.0 * n)) / (1.0 + square / n);
    let spread = value * (1.0 - value) / n + square / (4.0 * n * n);
    let half = NORMAL_CRITICAL * spread.sqrt() / (1.0 + square / n);
    Some(Proportion {
        value,
        interval: Interval {
            low: if hits == 0 { 0.0 } else { center - half },
            high: if hits == count { 1.0 } else { center + half },
        },
    })
}

impl Better {
    /// Sorts values, missing ones as worse than any.
    #[must_use]
    pub fn sorted(self, values: &[Option<f64>]) -> Vec<f64> {
        let mut sorted: Vec<f64> = values.iter().map(|value| self.or_worst(*value)).collect();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values: Vec<u32> = (1..=100).collect();
        let quantile = |thousandths| nearest_rank(&values, PerMille::new(thousandths)?);
        assert_eq!(
            [0, 1, 50, 70, 500, 501, 950, 999, 1_000].map(quantile),
            [1, 1, 5, 7, 50, 51, 95, 100, 100].map(Some)
        );
        assert_eq!(quantile(1_001), None);
        assert_eq!(nearest_rank(&[7], PerMille::P5), Some(7));
        assert_eq!(nearest_rank(&[1, 9], PerMille::P50), Some(1));
        assert_eq!(nearest_rank::<u8>(&[], PerMille::P50), None);
        assert_eq!(PerMille::P999.rank(u64::MAX), u64::MAX / 1_000 * 999 + 615);
    }

    /// Conover's table A3, as in any table of the sign test: for n, which order statistics.
    #[test]
    fn a_median_lies_between_the_order_statistics_of_the_sign_test() {
        let table = [
            (5, 0),
            (6, 1),
            (8, 1),
            (9, 2),
            (10, 2),
            (15, 4),
            (20, 6),
            (25, 8),
            (30, 10),
        ];
        for (count, cut) in table {
            let values: Vec<f64> = (1..=count).map(f64::from).collect();
            let interval = (cut > 0).then(|| Interval {
                low: f64::from(cut),
                high: f64::from(count + 1 - cut),
            });
            assert_eq!(median(&values).unwrap().interval, interval, "{count}");
        }
    }

    #[test]
    fn a_median_among_missing_values_is_missing() {
        let values = [Some(3.0), None, Some(1.0), None, None, Some(2.0), None];
        let low = median(&Better::Low.sorted(&values)).unwrap();
        assert_eq!(low.value, f64::INFINITY);
        assert_eq!(low.interval.unwrap().low, 1.0);
        let high = median(&Better::High.sorted(&values)).unwrap();
        assert_eq!(high.value, f64::NEG_INFINITY);
        assert_eq!(high.interval.unwrap().high, 3.0);
    }

    #[test]
    fn few_values_have_no_interval_and_equal_ones_one_of_no_width() {
        assert_eq!(mean(&[]), None);
        let one = mean(&[5.0]).unwrap();
        assert_eq!((one.value, one.variance, one.interval), (5.0, 0.0, None));
        let same = mean(&[0.1; 7]).unwrap();
        assert_eq!((same.value, same.variance), (0.1, 0.0));
        assert_eq!(
            same.interval.unwrap(),
            Interval {
                low: 0.1,
                high: 0.1
            }
        );
        assert_eq!(mean(&[1.0, f64::INFINITY]), None);
        assert_eq!(mean(&[1.0, f64::NAN]), None);
    }

    #[test]
    fn a_mean_of_large_numbers_keeps_its_digits() {
        let mean = mean(&[1e15 + 1.0, 1e15 + 2.0, 1e15 + 3.0]).unwrap();
        assert_eq!((mean.value, mean.variance), (1e15 + 2.0, 1.0));
    }

    /// Newcombe 1998, table I, method 3.
    #[test]
    fn pass_rates_have_newcombes_intervals() {
        let table = [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0000, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ];
        for (hits, count, low, high) in table {
            let interval = proportion(hits, count).unwrap().interval;
            assert!((interval.low - low).abs() < 5e-5, "{interval:?}");
            assert!((interval.high - high).abs() < 5e-5, "{interval:?}");
            let mirror = proportion(count - hits, count).unwrap().interval;
            assert!((mirror.low + interval.high - 1.0).abs() < 1e-12);
        }
        assert_eq!(proportion(0, 0), None);
    }
}
