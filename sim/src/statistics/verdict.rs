//! Verdicts of comparisons, and the adjustment of p for many tests.

use std::cmp::Ordering;

use super::Better;
use super::describe::Interval;
use super::paired::Paired;

/// The chance of any false `better` or `worse` among all tests of a comparison.
const SIGNIFICANCE: f64 = 0.05;

/// The verdict on a strategy against the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The ratio's interval lies within the margin.
    Equal,
    /// It differs, in the direction that is better.
    Better,
    /// It differs, in the direction that is worse.
    Worse,
    /// Neither was shown.
    Unclear,
}

impl Verdict {
    /// Its word in tables and files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Equal => "equal",
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::Unclear => "unclear",
        }
    }
}

/// Holm's adjustment (1979, Scandinavian Journal of Statistics 6): p values of a family, so that
/// those below a level may be rejected together at that level. In the order given.
#[must_use]
pub fn holm(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|left, right| values[*left].total_cmp(&values[*right]));
    let mut adjusted = vec![0.0; values.len()];
    let mut least = 0.0_f64;
    for (place, which) in order.into_iter().enumerate() {
        let weight = (values.len() - place) as f64;
        least = least.max((values[which] * weight).min(1.0));
        adjusted[which] = least;
    }
    adjusted
}

/// The seeds that a comparison of so many tests takes before any of them can show a difference:
/// ceil(log2(2 `tests` / 0.05)), as the least p of the signed-rank test of n pairs is 2 / 2^n.
#[must_use]
pub fn seeds_needed(tests: u64) -> u32 {
    let ways = u128::from(tests.max(1)) * 40;
    ways.next_power_of_two().ilog2()
}

/// The verdict of one test, in this order: `equal` if the ratio's interval lies within 1 +-
/// `margin`; `better` or `worse` if the adjusted p is below 0.05 and the interval lies on the same
/// side of 1 as the ranks; else `unclear`. Where missing values differ, nothing is equal. Where
/// no seed has both values, the ranks decide alone: they have missing values as worst.
#[must_use]
pub fn judge(paired: &Paired, adjusted_p: f64, margin: f64, better: Better) -> Verdict {
    let interval = paired.ratio.and_then(|ratio| ratio.interval);
    let near = Interval {
        low: 1.0 - margin,
        high: 1.0 + margin,
    };
    if paired.missing_one == 0 && interval.is_some_and(|interval| interval.lies_within(near)) {
        return Verdict::Equal;
    }
    let side = match (paired.ratio, interval) {
        (None, _) => paired.direction,
        (Some(_), Some(interval)) if interval.low > 1.0 => Ordering::Greater,
        (Some(_), Some(interval)) if interval.high < 1.0 => Ordering::Less,
        (Some(_), _) => Ordering::Equal,
    };
    if adjusted_p >= SIGNIFICANCE || side != paired.direction {
        return Verdict::Unclear;
    }
    match (side, better) {
        (Ordering::Equal, _) | (_, Better::Neither) => Verdict::Unclear,
        (Ordering::Less, Better::Low) | (Ordering::Greater, Better::High) => Verdict::Better,
        (Ordering::Greater, Better::Low) | (Ordering::Less, Better::High) => Verdict::Worse,
    }
}

#[cfg(test)]
mod tests {
    use super::super::paired::{Pair, paired};
    use super::*;

    /// Wikipedia, "Holm-Bonferroni method", example; R 4.5 `p.adjust(c(.01, .04, .03, .005))`.
    #[test]
    fn holms_adjustment_gives_the_worked_example() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (value, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((value - expected).abs() < 1e-15, "{adjusted:?}");
        }
        assert_eq!(holm(&[]), Vec::<f64>::new());
        assert_eq!(holm(&[0.6, 0.9]), [1.0, 1.0]);
    }

    #[test]
    fn adjusted_values_keep_their_order_and_never_fall() {
        let mut state = 1_u64;
        for count in 1..60_usize {
            let values: Vec<f64> = (0..count)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    // Coarse, so that some tie.
                    (state >> 58) as f64 / 640.0
                })
                .collect();
            let adjusted = holm(&values);
            let reversed: Vec<f64> = values.iter().rev().copied().collect();
            let mut mirror = holm(&reversed);
            mirror.reverse();
            assert_eq!(adjusted, mirror, "the order does not matter");
            for (value, after) in values.iter().zip(&adjusted) {
                assert!(after >= value && *after <= 1.0);
                assert!(*after <= value * count as f64 + 1e-15 || *after <= 1.0);
                for (other, behind) in values.iter().zip(&adjusted) {
                    assert!(value > other || after <= behind);
                }
            }
        }
    }

    #[test]
    fn the_seeds_needed_are_those_with_which_all_signs_alike_win() {
        assert_eq!([1, 2, 9, 36].map(seeds_needed), [6, 7, 9, 11]);
        for tests in [1_u64, 2, 3, 10, 51, 52, 1_000] {
            let seeds = seeds_needed(tests);
            let least = |seeds: u32| 2.0 / (1_u64 << seeds) as f64 * tests as f64;
            assert!(least(seeds) < 0.05 && least(seeds - 1) >= 0.05, "{tests}");
        }
        assert_eq!(seeds_needed(0), 6);
        assert_eq!(seeds_needed(u64::MAX), 70);
    }

    fn judged(values: &[(Option<f64>, Option<f64>)], better: Better) -> Verdict {
        let pairs: Vec<Pair> = values
            .iter()
            .map(|&(baseline, other)| Pair { baseline, other })
            .collect();
        let result = paired(&pairs, better);
        judge(&result, result.p, 0.05, better)
    }

    fn times(factor: f64, count: u32) -> Vec<(Option<f64>, Option<f64>)> {
        (1..=count)
            .map(|i| (Some(f64::from(i)), Some(f64::from(i) * factor)))
            .collect()
    }

    #[test]
    fn verdicts_come_in_their_order() {
        assert_eq!(judged(&times(1.04, 10), Better::Low), Verdict::Equal);
        assert_eq!(judged(&times(1.2, 10), Better::Low), Verdict::Worse);
        assert_eq!(judged(&times(1.2, 10), Better::High), Verdict::Better);
        assert_eq!(judged(&times(0.5, 10), Better::Low), Verdict::Better);
        assert_eq!(judged(&times(0.5, 10), Better::High), Verdict::Worse);
        // Too few seeds for any difference, but not to be equal.
        assert_eq!(judged(&times(2.0, 5), Better::Low), Verdict::Unclear);
        assert_eq!(judged(&times(1.0, 5), Better::Low), Verdict::Equal);
        assert_eq!(judged(&times(1.0, 1), Better::Low), Verdict::Unclear);
        assert_eq!(judged(&[], Better::Low), Verdict::Unclear);
    }

    #[test]
    fn ranks_without_the_interval_claim_nothing() {
        // Nine small gains and one great loss: the ranks and the ratio disagree.
        let mut values = times(0.9, 12);
        values[11].1 = Some(1e6);
        assert_eq!(judged(&values, Better::Low), Verdict::Unclear);
    }

    #[test]
    fn missing_values_are_no_equality() {
        let mut values = times(1.0, 10);
        values.extend([(Some(1.0), None); 3]);
        assert_eq!(judged(&values, Better::Low), Verdict::Unclear);
        let never = [(Some(1.0), None); 10];
        assert_eq!(judged(&never, Better::Low), Verdict::Worse);
        assert_eq!(judged(&never, Better::High), Verdict::Worse);
        let settles = [(None, Some(1.0)); 10];
        assert_eq!(judged(&settles, Better::Low), Verdict::Better);
        assert_eq!(judged(&[(None, None); 10], Better::Low), Verdict::Unclear);
    }
}
