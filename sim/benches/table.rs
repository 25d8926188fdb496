//! The table that the benchmark prints, and how it takes time.

use std::time::{Duration, Instant};

/// Prints one row per measurement; says at the end whether every target was met.
pub(crate) struct Table {
    filter: String,
    missed: usize,
}

impl Table {
    pub(crate) fn new(filter: String) -> Self {
        println!("{:<52} {:>16} {:>16}", "measured", "value", "target");
        Self { filter, missed: 0 }
    }

    /// Whether a row is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        name.contains(&self.filter)
    }

    /// A row whose value must be at most `target`.
    pub(crate) fn at_most(&mut self, name: &str, value: f64, target: f64, unit: &str) {
        self.row(name, value, Some((target, value <= target)), "<=", unit);
    }

    /// A row whose value must be at least `target`.
    pub(crate) fn at_least(&mut self, name: &str, value: f64, target: f64, unit: &str) {
        self.row(name, value, Some((target, value >= target)), ">=", unit);
    }

    /// A row to read beside the others.
    pub(crate) fn note(&mut self, name: &str, value: f64, unit: &str) {
        self.row(name, value, None, "", unit);
    }

    fn row(&mut self, name: &str, value: f64, target: Option<(f64, bool)>, relation: &str, unit: &str) {
        let shown = |value: f64| if value >= 1_000.0 { format!("{value:.0} {unit}") } else { format!("{value:.3} {unit}") };
        let goal = target.map_or(String::new(), |(target, met)| {
            format!("{relation} {} {}", shown(target), if met { "ok" } else { "MISSED" })
        });
        self.missed += usize::from(target.is_some_and(|(_, met)| !met));
        println!("{name:<52} {:>16} {goal:>24}", shown(value));
    }

    pub(crate) fn finish(&self) {
        println!("\n{} targets missed", self.missed);
    }
}

/// The median time of an odd number of runs.
pub(crate) fn median(runs: usize, mut job: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let begun = Instant::now();
            job();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[runs / 2]
}
