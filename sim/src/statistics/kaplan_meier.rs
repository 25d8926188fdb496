//! Times of which some were still going on when observation ended.

use super::describe::PerMille;

/// One time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    /// The length in any unit; of a censored time, its lower bound.
    pub length: u64,
    /// It was not over when observation ended.
    pub censored: bool,
}

/// Quantiles of censored times (Kaplan and Meier 1958, JASA 53).
#[derive(Debug, Clone, PartialEq)]
pub struct KaplanMeier {
    steps: Vec<Step>,
}

/// From `time` on, the share that still goes on is `share * left / of`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    time: u64,
    /// The estimate when a time was last censored.
    share: f64,
    /// Of those at risk since, how many are.
    left: u64,
    of: u64,
}

impl KaplanMeier {
    /// The estimate from times in any order. Of those at one instant, times that end come before
    /// those that were censored.
    #[must_use]
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let (mut share, mut of) = (1.0, times.len() as u64);
        let mut left = of;
        let mut steps = Vec::new();
        for same in times.chunk_by(|one, other| one.length == other.length) {
            let ended = same.iter().filter(|time| !time.censored).count() as u64;
            if ended > 0 {
                left -= ended;
                let time = same[0].length;
                steps.push(Step {
                    time,
                    share,
                    left,
                    of,
                });
            }
            let censored = same.len() as u64 - ended;
            if censored > 0 {
                // Whole numbers as long as nothing is censored: no rounding decides a rank.
                share = share * left as f64 / of as f64;
                left -= censored;
                of = left;
            }
        }
        Self { steps }
    }

    /// The share that goes on for longer than `time`.
    #[must_use]
    pub fn share_longer(&self, time: u64) -> f64 {
        let place = self.steps.partition_point(|step| step.time <= time);
        let step = place.checked_sub(1).map(|last| self.steps[last]);
        step.map_or(1.0, |step| step.share * step.left as f64 / step.of as f64)
    }

    /// The least time by which the share of `level` is over; `None` if the estimate does not reach
    /// it. Without censored times, that is the nearest rank.
    #[must_use]
    pub fn quantile(&self, level: PerMille) -> Option<u64> {
        // Of products that were rounded, one that reaches the level but for the rounding does.
        const SLACK: f64 = 1e-12;
        let beyond = f64::from(1_000 - level.thousandths());
        let reached = |step: &&Step| {
            step.share * 1_000.0 * step.left as f64 <= beyond * step.of as f64 * (1.0 + SLACK)
        };
        self.steps.iter().find(reached).map(|step| step.time)
    }
}

#[cfg(test)]
mod tests {
    use super::super::describe::nearest_rank;
    use super::*;

    /// `6` ended, `-6` was censored.
    fn estimate(times: &[i64]) -> KaplanMeier {
        let time = |time: &i64| Duration {
            length: time.unsigned_abs(),
            censored: *time < 0,
        };
        KaplanMeier::new(times.iter().map(time).collect())
    }

    /// Remission of leukemia in weeks under 6-MP (Freireich et al. 1963; Kalbfleisch and Prentice,
    /// *The Statistical Analysis of Failure Time Data*, 2nd edition, table 1.1 and section 1.4).
    #[test]
    fn the_estimate_is_that_of_the_textbook() {
        let weeks = [
            6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32, -34,
            -35,
        ];
        let estimate = estimate(&weeks);
        let table = [
            (5, 1.0),
            (6, 0.857),
            (7, 0.807),
            (9, 0.807),
            (10, 0.753),
            (13, 0.690),
            (16, 0.627),
            (22, 0.538),
            (23, 0.448),
            (100, 0.448),
        ];
        for (time, share) in table {
            assert!((estimate.share_longer(time) - share).abs() < 6e-4, "{time}");
        }
        assert_eq!(estimate.quantile(PerMille::P50), Some(23));
        assert_eq!(estimate.quantile(PerMille::P90), None);
        assert_eq!(estimate.quantile(PerMille::P5), Some(6));
    }

    #[test]
    fn without_censored_times_quantiles_are_nearest_ranks() {
        for count in 1..120_i64 {
            let mut times: Vec<i64> = (0..count).map(|i| i * 37 % 41 + 1).collect();
            let estimate = estimate(&times);
            times.sort_unstable();
            for thousandths in [1, 50, 100, 250, 333, 500, 700, 900, 950, 990, 999, 1_000] {
                let level = PerMille::new(thousandths).unwrap();
                let rank = nearest_rank(&times, level).unwrap();
                assert_eq!(
                    estimate.quantile(level),
                    Some(rank.unsigned_abs()),
                    "{count} {level:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_all_censored_has_no_quantiles() {
        assert_eq!(estimate(&[]).quantile(PerMille::P50), None);
        assert_eq!(estimate(&[-1, -2]).quantile(PerMille::P5), None);
        assert_eq!(estimate(&[-1, -2]).share_longer(9), 1.0);
        assert_eq!(estimate(&[5, -5]).quantile(PerMille::P50), Some(5));
        assert_eq!(estimate(&[-5, 6]).quantile(PerMille::P999), Some(6));
    }

    #[test]
    fn censored_at_one_instant_they_are_as_if_worse_than_any() {
        let mut times: Vec<i64> = (1..=13).collect();
        times.extend([-20; 7]);
        let estimate = estimate(&times);
        assert_eq!(estimate.quantile(PerMille::P50), Some(10));
        assert_eq!(estimate.quantile(PerMille::new(650).unwrap()), Some(13));
        assert_eq!(estimate.quantile(PerMille::new(651).unwrap()), None);
    }
}
