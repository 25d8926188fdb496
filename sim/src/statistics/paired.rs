//! Two strategies on the same seeds: how many times the one's value is the other's.

use super::Better;
use super::describe::{Interval, Mean, mean};
use super::rank::{cliffs_delta, signed_rank};

/// The values of the baseline and of another strategy on one seed; `None` is missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The baseline's value.
    pub baseline: Option<f64>,
    /// The other's value.
    pub other: Option<f64>,
}

/// The method that estimated a ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RatioMethod {
    /// The geometric mean of the ratios, with Student's t on their logarithms: all values are
    /// positive.
    LogRatios,
    /// The ratio of the means, with Student's t on the differences, as shares of the baseline's
    /// mean: a value is 0.
    Means,
}

/// The ratio of the other's value to the baseline's, over the seeds on which both have one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The ratio. Infinite if the baseline's values are all 0 and the other's are not.
    pub value: f64,
    /// Its interval; it takes two pairs.
    pub interval: Option<Interval>,
    /// The method.
    pub method: RatioMethod,
    /// The variance of a difference between independent runs over that between runs on one seed:
    /// 4 means that unpaired runs would need four times the seeds for the same interval. On the
    /// scale of the method. `None` if one of the two is 0.
    pub variance_ratio: Option<f64>,
}

/// A strategy against the baseline, in one cell and one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paired {
    /// Seeds.
    pub count: usize,
    /// Seeds on which the baseline has no value.
    pub missing_baseline: usize,
    /// Seeds on which the other has no value.
    pub missing_other: usize,
    /// Seeds on which exactly one of them has a value.
    pub missing_one: usize,
    /// The ratio over seeds on which both have a value; `None` if there is none.
    pub ratio: Option<Ratio>,
    /// Two-sided p of Wilcoxon's signed-rank test, missing values as worst.
    pub p: f64,
    /// The sign of the difference's ranks: whether the other's values are lower or higher.
    pub direction: std::cmp::Ordering,
    /// Cliff's delta of the other's values over the baseline's, missing values as worst.
    pub cliffs_delta: f64,
}

/// Compares a strategy with the baseline, seed by seed.
#[must_use]
pub fn paired(pairs: &[Pair], better: Better) -> Paired {
    let baselines: Vec<f64> = pairs
        .iter()
        .map(|pair| better.or_worst(pair.baseline))
        .collect();
    let others: Vec<f64> = pairs
        .iter()
        .map(|pair| better.or_worst(pair.other))
        .collect();
    // Equal ones first: two infinite values have no difference.
    let difference = |(other, baseline): (&f64, &f64)| {
        if other == baseline {
            0.0
        } else {
            other - baseline
        }
    };
    let differences: Vec<f64> = others.iter().zip(&baselines).map(difference).collect();
    let ranks = signed_rank(&differences);
    let complete: Vec<(f64, f64)> = pairs
        .iter()
        .filter_map(|pair| Some((pair.baseline?, pair.other?)))
        .collect();
    Paired {
        count: pairs.len(),
        missing_baseline: pairs.iter().filter(|pair| pair.baseline.is_none()).count(),
        missing_other: pairs.iter().filter(|pair| pair.other.is_none()).count(),
        missing_one: pairs
            .iter()
            .filter(|pair| pair.baseline.is_none() != pair.other.is_none())
            .count(),
        ratio: ratio(&complete),
        p: ranks.p,
        direction: ranks.positive.total_cmp(&ranks.negative),
        cliffs_delta: cliffs_delta(&others, &baselines),
    }
}

/// The ratio of pairs (baseline, other); `None` of no pairs.
fn ratio(pairs: &[(f64, f64)]) -> Option<Ratio> {
    let positive = pairs
        .iter()
        .all(|(baseline, other)| *baseline > 0.0 && *other > 0.0);
    if positive {
        let logs: Vec<(f64, f64)> = pairs
            .iter()
            .map(|(baseline, other)| (libm::log(*baseline), libm::log(*other)))
            .collect();
        // Of the quotients themselves: equal values have exactly no difference.
        let quotients: Vec<f64> = pairs
            .iter()
            .map(|(baseline, other)| libm::log(other / baseline))
            .collect();
        let quotient = mean(&quotients)?;
        Some(Ratio {
            value: libm::exp(quotient.value),
            interval: quotient.interval.map(|interval| Interval {
                low: libm::exp(interval.low),
                high: libm::exp(interval.high),
            }),
            method: RatioMethod::LogRatios,
            variance_ratio: variance_ratio(&logs, quotient),
        })
    } else {
        let differences: Vec<f64> = pairs
            .iter()
            .map(|(baseline, other)| other - baseline)
            .collect();
        let difference = mean(&differences)?;
        let baselines: Vec<f64> = pairs.iter().map(|(baseline, _)| *baseline).collect();
        let baseline = mean(&baselines)?.value;
        let share = |value: f64| {
            if value == 0.0 {
                1.0
            } else {
                1.0 + value / baseline
            }
        };
        Some(Ratio {
            value: share(difference.value),
            interval: difference.interval.map(|interval| Interval {
                low: share(interval.low),
                high: share(interval.high),
            }),
            method: RatioMethod::Means,
            variance_ratio: variance_ratio(pairs, difference),
        })
    }
}

fn variance_ratio(pairs: &[(f64, f64)], difference: Mean) -> Option<f64> {
    let variance = |part: fn(&(f64, f64)) -> f64| {
        mean(&pairs.iter().map(part).collect::<Vec<_>>()).map(|mean| mean.variance)
    };
    let unpaired = variance(|pair| pair.0)? + variance(|pair| pair.1)?;
    (unpaired > 0.0 && difference.variance > 0.0).then(|| unpaired / difference.variance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering;

    fn pairs(values: &[(f64, f64)]) -> Vec<Pair> {
        let pair = |&(baseline, other): &(f64, f64)| Pair {
            baseline: Some(baseline).filter(|value: &f64| value.is_finite()),
            other: Some(other).filter(|value: &f64| value.is_finite()),
        };
        values.iter().map(pair).collect()
    }

    const MISSING: f64 = f64::INFINITY;

    #[test]
    fn a_ratio_that_is_always_the_same_has_no_width() {
        let result = paired(
            &pairs(&[(1.0, 2.0), (10.0, 20.0), (7.0, 14.0)]),
            Better::Low,
        );
        let ratio = result.ratio.unwrap();
        assert_eq!(
            (ratio.method, ratio.variance_ratio),
            (RatioMethod::LogRatios, None)
        );
        assert!((ratio.value - 2.0).abs() < 1e-15);
        assert!(ratio.interval.unwrap().half_width() < 1e-15);
        assert_eq!((result.direction, result.p), (Ordering::Greater, 0.25));
    }

    #[test]
    fn a_strategy_equals_itself() {
        for value in [0.0, 3.0] {
            let result = paired(
                &pairs(&[(value, value), (5.0, 5.0), (1.0, 1.0)]),
                Better::Low,
            );
            let ratio = result.ratio.unwrap();
            assert_eq!(ratio.value, 1.0);
            assert_eq!(
                ratio.interval,
                Some(Interval {
                    low: 1.0,
                    high: 1.0
                })
            );
            assert_eq!((result.p, result.cliffs_delta), (1.0, 0.0));
            assert_eq!(result.direction, Ordering::Equal);
        }
    }

    #[test]
    fn swapped_sides_have_the_inverse_ratio() {
        let values = [(3.0, 4.0), (1.0, 1.5), (9.0, 8.0), (2.0, 2.5), (6.0, 7.0)];
        let one = paired(&pairs(&values), Better::Low);
        let other = paired(&pairs(&values.map(|(x, y)| (y, x))), Better::Low);
        let (ratio, inverse) = (one.ratio.unwrap(), other.ratio.unwrap());
        assert!((ratio.value * inverse.value - 1.0).abs() < 1e-14);
        let (left, right) = (ratio.interval.unwrap(), inverse.interval.unwrap());
        assert!((left.low * right.high - 1.0).abs() < 1e-14);
        assert!((ratio.variance_ratio.unwrap() - inverse.variance_ratio.unwrap()).abs() < 1e-9);
        assert_eq!((one.p, one.cliffs_delta), (other.p, -other.cliffs_delta));
    }

    #[test]
    fn with_zeros_it_is_the_ratio_of_means() {
        let result = paired(&pairs(&[(0.0, 1.0), (2.0, 3.0), (4.0, 5.0)]), Better::Low);
        let ratio = result.ratio.unwrap();
        assert_eq!((ratio.method, ratio.value), (RatioMethod::Means, 1.5));
        assert_eq!(
            ratio.interval,
            Some(Interval {
                low: 1.5,
                high: 1.5
            })
        );
        let nothing = paired(&pairs(&[(0.0, 1.0), (0.0, 2.0)]), Better::Low)
            .ratio
            .unwrap();
        assert_eq!(nothing.value, f64::INFINITY);
    }

    #[test]
    fn missing_values_count_as_worst_and_are_told() {
        let values = [
            (1.0, MISSING),
            (2.0, MISSING),
            (MISSING, MISSING),
            (4.0, 2.0),
        ];
        let result = paired(&pairs(&values), Better::Low);
        assert_eq!(
            (
                result.count,
                result.missing_baseline,
                result.missing_other,
                result.missing_one
            ),
            (4, 1, 3, 2)
        );
        assert_eq!(result.ratio.unwrap().value, 0.5);
        assert_eq!(result.ratio.unwrap().interval, None);
        // Ranks: -1, 2.5, 2.5; the pair of missing ones is a zero.
        assert_eq!((result.direction, result.p), (Ordering::Greater, 0.5));
        let never = paired(&pairs(&[(1.0, MISSING); 8]), Better::Low);
        assert_eq!(
            (never.ratio, never.p, never.cliffs_delta),
            (None, 2.0 / 256.0, 1.0)
        );
        let never = paired(&pairs(&[(1.0, MISSING); 8]), Better::High);
        assert_eq!(
            (never.direction, never.cliffs_delta),
            (Ordering::Less, -1.0)
        );
    }

    #[test]
    fn pairing_wins_what_the_seeds_have_in_common() {
        let noise = [0.1, -0.2, 0.05, 0.15, -0.1, 0.0];
        let values: Vec<(f64, f64)> = noise
            .iter()
            .zip([10.0, 20.0, 5.0, 40.0, 80.0, 3.0])
            .map(|(noise, seed)| (seed, seed * libm::exp(*noise)))
            .collect();
        let ratio = paired(&pairs(&values), Better::Low).ratio.unwrap();
        assert!(ratio.variance_ratio.unwrap() > 100.0);
        // In an order of their own, nothing is in common.
        let shuffled: Vec<(f64, f64)> = (0..6)
            .map(|i| (values[i].0, values[(i + 2) % 6].1))
            .collect();
        let ratio = paired(&pairs(&shuffled), Better::Low).ratio.unwrap();
        assert!(ratio.variance_ratio.unwrap() < 2.0);
    }
}
