//! Quantiles of more numbers than are worth keeping.

use super::describe::PerMille;

/// Up to so many numbers are kept as they are.
const EXACT_MAX: usize = 1_000_000;
/// Numbers below 2 to this power have a bucket each; above, each doubling has half as many.
const BITS: u32 = 8;
const HALF: u64 = 1 << (BITS - 1);

/// Counts of whole numbers, for quantiles: exact up to 1,000,000 of them; beyond, in buckets whose
/// middle is at most 1/256 away from each of their numbers. Order does not matter, and to merge
/// parts is to count their numbers together. Buckets are linear within each doubling, after
/// `HdrHistogram` (Tene), so that whole numbers suffice.
#[derive(Debug, Clone, Default)]
pub struct Sketch {
    /// All numbers, as long as there are few.
    kept: Vec<u64>,
    /// The first numbers of `kept` that are sorted.
    sorted: usize,
    /// Counts by bucket, if there are many.
    buckets: Vec<u64>,
    count: u64,
    least: Option<u64>,
    greatest: Option<u64>,
}

impl Sketch {
    /// Of no numbers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one number.
    pub fn add(&mut self, number: u64) {
        self.count += 1;
        self.least = Some(self.least.map_or(number, |least| least.min(number)));
        self.greatest = self.greatest.max(Some(number));
        if self.count <= EXACT_MAX as u64 {
            self.kept.push(number);
        } else {
            self.spill();
            self.put(number, 1);
        }
    }

    /// Counts all numbers of another.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.least = [self.least, other.least].into_iter().flatten().min();
        self.greatest = self.greatest.max(other.greatest);
        if self.count <= EXACT_MAX as u64 {
            self.kept.extend_from_slice(&other.kept);
            return;
        }
        self.spill();
        other.kept.iter().for_each(|number| self.put(*number, 1));
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, others) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += others;
        }
    }

    /// The number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// True while quantiles are exact.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.count <= EXACT_MAX as u64
    }

    /// The least number, exactly.
    #[must_use]
    pub fn min(&self) -> Option<u64> {
        self.least
    }

    /// The greatest number, exactly.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        self.greatest
    }

    /// The nearest-rank quantile; at most 0.4 % away from it if [`Sketch::is_exact`] is false.
    pub fn quantile(&mut self, level: PerMille) -> Option<u64> {
        self.at_rank(level.rank(self.count))
    }

    /// How many numbers are at most this one; as exact as [`Sketch::quantile`].
    pub fn count_up_to(&mut self, number: u64) -> u64 {
        if self.is_exact() {
            self.sort();
            return self.kept.partition_point(|kept| *kept <= number) as u64;
        }
        let reached = (0..self.buckets.len()).take_while(|bucket| middle(*bucket) <= number);
        reached.map(|bucket| self.buckets[bucket]).sum()
    }

    fn sort(&mut self) {
        if self.sorted < self.kept.len() {
            self.kept.sort_unstable();
            self.sorted = self.kept.len();
        }
    }

    /// The number of a rank, counted from 1; as exact as [`Sketch::quantile`].
    pub fn at_rank(&mut self, rank: u64) -> Option<u64> {
        let (least, greatest) = (self.least?, self.greatest?);
        if rank == 0 || rank > self.count {
            return None;
        }
        if self.is_exact() {
            self.sort();
            return self.kept.get(usize::try_from(rank).ok()? - 1).copied();
        }
        let mut below = 0;
        let bucket = self.buckets.iter().position(|count| {
            below += count;
            below >= rank
        })?;
        Some(middle(bucket).clamp(least, greatest))
    }

    fn spill(&mut self) {
        for number in std::mem::take(&mut self.kept) {
            self.put(number, 1);
        }
        self.sorted = 0;
    }

    fn put(&mut self, number: u64, count: u64) {
        let bucket = bucket(number);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += count;
    }
}

fn bucket(number: u64) -> usize {
    let doublings = number.checked_ilog2().unwrap_or(0).saturating_sub(BITS - 1);
    usize::try_from(u64::from(doublings) * HALF + (number >> doublings))
        .expect("there are fewer than 8,000 buckets")
}

/// The number in the middle of a bucket.
fn middle(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let doublings = (bucket / HALF).saturating_sub(1);
    let first = (bucket - doublings * HALF) << doublings;
    first + ((1 << doublings) - 1) / 2
}

#[cfg(test)]
mod tests {
    use super::super::describe::nearest_rank;
    use super::*;

    const LEVELS: [u16; 9] = [1, 10, 50, 250, 500, 900, 950, 990, 999];

    struct Numbers(u64);

    impl Iterator for Numbers {
        type Item = u64;

        /// Of all sizes.
        fn next(&mut self) -> Option<u64> {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            Some((self.0 ^ (self.0 >> 29)) >> (self.0 >> 58))
        }
    }

    fn of(numbers: impl IntoIterator<Item = u64>) -> Sketch {
        let mut sketch = Sketch::new();
        numbers.into_iter().for_each(|number| sketch.add(number));
        sketch
    }

    fn quantiles(sketch: &mut Sketch) -> Vec<Option<u64>> {
        LEVELS
            .map(|level| sketch.quantile(PerMille::new(level).unwrap()))
            .to_vec()
    }

    #[test]
    fn a_buckets_middle_is_near_all_of_its_numbers() {
        let edges = (0..64).flat_map(|bit| {
            let power = 1_u64 << bit;
            [
                power - 1,
                power,
                power + 1,
                power + power / 3,
                power + (power - 1),
            ]
        });
        for number in edges.chain(Numbers(3).take(100_000)) {
            let found = middle(bucket(number));
            assert!(found.abs_diff(number) <= number / 256, "{number} {found}");
            assert_eq!(bucket(found), bucket(number));
            assert!(number == 0 || bucket(number - 1) <= bucket(number));
        }
        assert!(bucket(u64::MAX) < 8_000);
    }

    #[test]
    fn up_to_a_million_numbers_quantiles_are_exact() {
        let mut sketch = of(Numbers(5).take(EXACT_MAX));
        assert!(sketch.is_exact());
        let mut sorted: Vec<u64> = Numbers(5).take(EXACT_MAX).collect();
        sorted.sort_unstable();
        for level in LEVELS.map(|level| PerMille::new(level).unwrap()) {
            assert_eq!(sketch.quantile(level), nearest_rank(&sorted, level));
        }
        assert_eq!(
            (sketch.min(), sketch.max()),
            (Some(sorted[0]), sorted.last().copied())
        );
        assert_eq!(of([]).quantile(PerMille::P50), None);
        assert_eq!(
            (sketch.at_rank(0), sketch.at_rank(EXACT_MAX as u64 + 1)),
            (None, None)
        );
    }

    #[test]
    fn beyond_they_are_within_half_a_percent() {
        let many = EXACT_MAX + 200_000;
        let mut sketch = of(Numbers(7).take(many));
        assert!(!sketch.is_exact());
        let mut sorted: Vec<u64> = Numbers(7).take(many).collect();
        sorted.sort_unstable();
        for level in LEVELS.map(|level| PerMille::new(level).unwrap()) {
            let (found, exact) = (
                sketch.quantile(level).unwrap(),
                nearest_rank(&sorted, level).unwrap(),
            );
            assert!(
                found.abs_diff(exact) <= exact / 200,
                "{level:?} {found} {exact}"
            );
        }
    }

    #[test]
    fn merged_parts_are_the_whole_in_any_order() {
        for sizes in [
            [10, 0, 400],
            [700_000, 200_000, 99_999],
            [600_000, 600_000, 5],
            [1_200_000, 3, 1_100_000],
        ] {
            let mut numbers = Numbers(sizes[0] as u64);
            let parts = sizes.map(|size| numbers.by_ref().take(size).collect::<Vec<u64>>());
            let mut whole = of(parts.iter().flatten().copied());
            let expected = (
                whole.count(),
                whole.min(),
                whole.max(),
                quantiles(&mut whole),
            );
            let [a, b, c] = parts.map(of);
            let merged = |order: [&Sketch; 3]| {
                let mut left = order[0].clone();
                left.merge(order[1]);
                left.merge(order[2]);
                let mut right = order[1].clone();
                right.merge(order[2]);
                let mut other = order[0].clone();
                other.merge(&right);
                [left, other]
            };
            for mut sketch in merged([&a, &b, &c]).into_iter().chain(merged([&c, &a, &b])) {
                let found = (
                    sketch.count(),
                    sketch.min(),
                    sketch.max(),
                    quantiles(&mut sketch),
                );
                assert_eq!(found, expected, "{sizes:?}");
            }
        }
    }
}
