//! The numbers of published packages: `data/published.txt` says which, `data/make.py` made it.

use super::special;
use super::{
    Better, Duration, KaplanMeier, Pair, PerMille, RatioMethod, cliffs_delta, holm, mean, median,
    paired, proportion, signed_rank,
};

/// The relative difference that rounding explains.
const CLOSE: f64 = 1e-9;

/// The project's own result for the arguments of a line.
fn computed(name: &str, arguments: &[f64]) -> Vec<f64> {
    let first = arguments[0];
    match name {
        "incomplete_beta" => vec![special::incomplete_beta(first, arguments[1], arguments[2])],
        "t_critical" => vec![special::t_critical(first)],
        "t_two_sided" => vec![special::t_two_sided(first, arguments[1])],
        "normal_two_sided" => vec![special::normal_two_sided(first)],
        "fair_coins_at_most" => vec![special::fair_coins_at_most(
            whole(first),
            whole(arguments[1]),
        )],
        "proportion" => {
            let interval = proportion(whole(first), whole(arguments[1]))
                .unwrap()
                .interval;
            vec![interval.low, interval.high]
        }
        "mean" => {
            let mean = mean(arguments).unwrap();
            let interval = mean.interval.unwrap();
            vec![mean.value, mean.variance, interval.low, interval.high]
        }
        "median_interval" => {
            let mut sorted = arguments.to_vec();
            sorted.sort_by(f64::total_cmp);
            let interval = median(&sorted).unwrap().interval.unwrap();
            vec![interval.low, interval.high]
        }
        "log_ratios" => ratio(arguments, RatioMethod::LogRatios),
        "means" => ratio(arguments, RatioMethod::Means),
        "signed_rank" => {
            let result = signed_rank(arguments);
            // SciPy tells the smaller sum, and of all permutations the positive one.
            vec![result.positive.min(result.negative), result.p]
        }
        "cliffs_delta" => {
            let (x, y) = arguments[1..].split_at(usize::try_from(whole(first)).unwrap());
            vec![cliffs_delta(x, y)]
        }
        "holm" => holm(arguments),
        "kaplan_meier" => {
            let duration = |length: &f64| Duration {
                length: whole(length.abs()),
                censored: *length < 0.0,
            };
            let estimate = KaplanMeier::new(arguments.iter().map(duration).collect());
            let quantile = |level| {
                estimate
                    .quantile(level)
                    .map_or(f64::INFINITY, |time| time as f64)
            };
            let quantiles = [PerMille::P5, PerMille::P50, PerMille::P90].map(quantile);
            let curve = [5, 20, 60].map(|time| estimate.share_longer(time));
            quantiles.into_iter().chain(curve).collect()
        }
        other => panic!("no such line: {other}"),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole numbers of the file")]
fn whole(number: f64) -> u64 {
    assert!(number >= 0.0 && number.fract() == 0.0, "{number}");
    number as u64
}

fn ratio(arguments: &[f64], method: RatioMethod) -> Vec<f64> {
    let (baselines, others) = arguments.split_at(arguments.len() / 2);
    let pair = |(baseline, other): (&f64, &f64)| Pair {
        baseline: Some(*baseline),
        other: Some(*other),
    };
    let pairs: Vec<Pair> = baselines.iter().zip(others).map(pair).collect();
    let ratio = paired(&pairs, Better::Low).ratio.unwrap();
    assert_eq!(ratio.method, method);
    let interval = ratio.interval.unwrap();
    vec![
        ratio.value,
        interval.low,
        interval.high,
        ratio.variance_ratio.unwrap(),
    ]
}

#[test]
fn every_number_is_that_of_the_package() {
    let mut lines = 0;
    for line in include_str!("data/published.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (left, arguments) = line.split_once(" : ").unwrap();
        let (name, results) = left.split_once(' ').unwrap();
        let numbers = |text: &str| -> Vec<f64> {
            text.split_whitespace()
                .map(|number| number.parse().unwrap())
                .collect()
        };
        let (expected, arguments) = (numbers(results), numbers(arguments));
        let found = computed(name, &arguments);
        assert_eq!(found.len(), expected.len(), "{line}");
        for (one, other) in found.iter().zip(&expected) {
            let near = (one - other).abs() <= CLOSE * one.abs().max(other.abs()).max(1e-300);
            assert!(
                one == other || near,
                "{found:?} is not {expected:?}: {line}"
            );
        }
        lines += 1;
    }
    assert!(lines > 200, "{lines}");
}
