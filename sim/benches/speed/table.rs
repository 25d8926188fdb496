//! The table that the benchmark prints, and how it takes time.

use cpu_time::ProcessTime;

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

    fn row(
        &mut self,
        name: &str,
        value: f64,
        target: Option<(f64, bool)>,
        relation: &str,
        unit: &str,
    ) {
        let shown = |value: f64| {
            if value >= 1_000.0 {
                format!("{value:.0} {unit}")
            } else {
                format!("{value:.3} {unit}")
            }
        };
        let goal = target.map_or(String::new(), |(target, met)| {
            format!(
                "{relation} {} {}",
                shown(target),
                if met { "ok" } else { "MISSED" }
            )
        });
        self.missed += usize::from(target.is_some_and(|(_, met)| !met));
        println!("{name:<52} {:>16} {goal:>24}", shown(value));
    }

    pub(crate) fn finish(&self) {
        println!("\n{} targets missed", self.missed);
    }
}

/// The least processor time, over all threads, that one of several runs of a job took, in
/// microseconds: what else the machine does does not count.
pub(crate) fn least_us(runs: usize, mut job: impl FnMut()) -> f64 {
    let once = |_| {
        let begun = ProcessTime::now();
        job();
        begun.elapsed().as_secs_f64() * 1e6
    };
    (0..runs).map(once).fold(f64::INFINITY, f64::min)
}

/// A count as a figure for people.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}
