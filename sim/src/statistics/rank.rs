//! Ranks: Wilcoxon's signed-rank test and Cliff's delta.

use super::special::normal_two_sided;

/// Up to so many differences that are not zero, p is exact.
const EXACT_MAX: usize = 25;

/// Result of Wilcoxon's signed-rank test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignedRank {
    /// Differences that are not zero.
    pub count: usize,
    /// The sum of the ranks of positive differences.
    pub positive: f64,
    /// The sum of the ranks of negative differences.
    pub negative: f64,
    /// The two-sided p; 1 if all differences are zero.
    pub p: f64,
}

/// Wilcoxon's signed-rank test of paired differences. Zeros are left out (Wilcoxon 1945), ties have
/// their mean rank. An infinite difference, of a missing value, ranks above every finite one, and
/// such tie. Exact up to 25 differences that are not zero, ties included: all signs of the ranks
/// as they are, p twice the smaller tail. Beyond, the normal approximation with correction for ties
/// and continuity (Hollander, Wolfe and Chicken, *Nonparametric Statistical Methods*, 3rd edition,
/// section 3.1).
#[must_use]
pub fn signed_rank(differences: &[f64]) -> SignedRank {
    let mut signed: Vec<f64> = differences
        .iter()
        .copied()
        .filter(|difference| *difference != 0.0)
        .collect();
    signed.sort_by(|left, right| left.abs().total_cmp(&right.abs()));
    // Ranks times 2, so that those of ties are whole.
    let mut doubled: Vec<usize> = Vec::with_capacity(signed.len());
    let mut ties = 0.0;
    for tied in signed.chunk_by(|left, right| left.abs() == right.abs()) {
        let first = doubled.len() + 1;
        doubled.extend(std::iter::repeat_n(2 * first + tied.len() - 1, tied.len()));
        let length = tied.len() as f64;
        ties += length * length * length - length;
    }
    let total: usize = doubled.iter().sum();
    let positive: usize = doubled
        .iter()
        .zip(&signed)
        .filter(|(_, difference)| **difference > 0.0)
        .map(|(rank, _)| rank)
        .sum();
    let negative = total - positive;
    let smaller = positive.min(negative);
    let p = if signed.len() <= EXACT_MAX {
        exact(&doubled, smaller)
    } else {
        approximate(signed.len(), smaller as f64 / 2.0, ties)
    };
    SignedRank {
        count: signed.len(),
        positive: positive as f64 / 2.0,
        negative: negative as f64 / 2.0,
        p,
    }
}

/// Twice the share of all signs with which the positive ranks add up to at most `smaller`.
fn exact(doubled: &[usize], smaller: usize) -> f64 {
    let mut ways = vec![0_u64; smaller + 1];
    ways[0] = 1;
    for rank in doubled {
        for sum in (*rank..=smaller).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    let tail: u64 = ways.iter().sum();
    let all = (1_u64 << doubled.len()) as f64;
    (2.0 * tail as f64 / all).min(1.0)
}

fn approximate(count: usize, smaller: f64, ties: f64) -> f64 {
    let n = count as f64;
    let expected = n * (n + 1.0) / 4.0;
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0;
    let distance = (expected - smaller - 0.5).max(0.0);
    normal_two_sided(distance / variance.sqrt())
}

/// Cliff's delta: the chance that one of `values` exceeds one of `others`, less the chance of the
/// reverse; -1..=1, and 0 without values (Cliff 1993, Psychological Bulletin 114). Infinite values
/// tie with each other.
#[must_use]
pub fn cliffs_delta(values: &[f64], others: &[f64]) -> f64 {
    if values.is_empty() || others.is_empty() {
        return 0.0;
    }
    let mut sorted = others.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (mut above, mut below) = (0_u64, 0_u64);
    for value in values {
        above += sorted.partition_point(|other| other < value) as u64;
        below += (sorted.len() - sorted.partition_point(|other| other <= value)) as u64;
    }
    let pairs = values.len() as f64 * others.len() as f64;
    (above as f64 - below as f64) / pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R 4.5, `?wilcox.test`: Hollander and Wolfe (1973), page 29: Hamilton depression scale
    /// factors before and after a tranquilizer; V = 40, one-sided p = 0.01953.
    #[test]
    #[expect(clippy::approx_constant, reason = "3.14 is a factor of a patient")]
    fn wilcoxons_test_gives_the_textbooks_number() {
        let before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
        let after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
        let differences: Vec<f64> = before.iter().zip(after).map(|(x, y)| x - y).collect();
        let result = signed_rank(&differences);
        assert_eq!(
            (result.count, result.positive, result.negative),
            (9, 40.0, 5.0)
        );
        assert_eq!(result.p, 20.0 / 512.0);
    }

    /// All 2^n signs, one by one.
    fn by_brute_force(differences: &[f64]) -> f64 {
        let values: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
        let rank = |value: f64| {
            let below = values
                .iter()
                .filter(|other| other.abs() < value.abs())
                .count();
            let tied = values
                .iter()
                .filter(|other| other.abs() == value.abs())
                .count();
            2 * below + tied + 1
        };
        let sum = |signs: u32| -> usize {
            let chosen = |place: &usize| signs >> place & 1 == 1;
            (0..values.len())
                .filter(chosen)
                .map(|place| rank(values[place]))
                .sum()
        };
        let signs = (0..values.len())
            .map(|place| u32::from(values[place] > 0.0) << place)
            .sum();
        let (all, seen) = (1_u32 << values.len(), sum(signs));
        let tail =
            |holds: &dyn Fn(usize) -> bool| (0..all).filter(|signs| holds(sum(*signs))).count();
        let smaller = tail(&|other| other <= seen).min(tail(&|other| other >= seen));
        (2.0 * smaller as f64 / f64::from(all)).min(1.0)
    }

    #[test]
    fn p_is_exact_with_ties_zeros_and_missing_values() {
        let infinite = f64::INFINITY;
        let cases: &[&[f64]] = &[
            &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
            &[1.0, -1.0, 2.0, 2.0, -2.0, 3.0, 0.0, 0.0],
            &[infinite, infinite, 5.0, -4.0, 1.0, -infinite],
            &[infinite; 8],
            &[-0.5, 0.25, -0.25, 0.25, 7.0, 7.0, 7.0, -7.0, 9.0, 1e-9],
        ];
        for case in cases {
            assert_eq!(signed_rank(case).p, by_brute_force(case), "{case:?}");
        }
        assert_eq!(signed_rank(&[infinite; 8]).p, 2.0 / 256.0);
    }

    #[test]
    fn without_differences_nothing_is_found() {
        assert_eq!(signed_rank(&[]).p, 1.0);
        assert_eq!(signed_rank(&[0.0; 40]).p, 1.0);
        assert_eq!(signed_rank(&[0.0, -0.0]).count, 0);
    }

    #[test]
    fn signs_reversed_leave_p_as_it_is() {
        for count in [3_u32, 10, 25, 26, 60] {
            let values: Vec<f64> = (0..count)
                .map(|i| f64::from(i * 7 % 11) - 4.0 + f64::from(i % 3))
                .collect();
            let reversed: Vec<f64> = values.iter().map(|value| -value).collect();
            let (one, other) = (signed_rank(&values), signed_rank(&reversed));
            assert_eq!((one.p, one.positive), (other.p, other.negative), "{count}");
            assert!((0.0..=1.0).contains(&one.p));
        }
    }

    #[test]
    fn the_approximation_joins_the_exact_test() {
        let values = |count: u32| -> Vec<f64> {
            (1..=count)
                .map(|i| f64::from(i) * if i % 3 == 0 { -1.0 } else { 1.0 })
                .collect()
        };
        let values = values(25);
        let result = signed_rank(&values);
        let approximate = approximate(25, result.negative.min(result.positive), 0.0);
        assert!(
            (result.p - approximate).abs() < 3e-3,
            "{} {approximate}",
            result.p
        );
    }

    /// R package effsize 0.8.1, `?cliff.delta`, after Hogarty and Kromrey (1999): -0.25.
    #[test]
    fn cliffs_delta_gives_the_packages_number() {
        let treatment = [10.0, 10.0, 20.0, 20.0, 20.0, 30.0, 30.0, 30.0, 40.0, 50.0];
        let control = [10.0, 20.0, 30.0, 40.0, 40.0, 50.0];
        assert_eq!(cliffs_delta(&treatment, &control), -0.25);
        assert_eq!(cliffs_delta(&control, &treatment), 0.25);
        let infinite = f64::INFINITY;
        assert_eq!(cliffs_delta(&[infinite, infinite], &[1.0, infinite]), 0.5);
        assert_eq!(cliffs_delta(&[], &[1.0]), 0.0);
    }
}
