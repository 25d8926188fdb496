//! Statistics of metrics over many seeds: means and medians with their intervals.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hublab_sim::catalog::Catalog;
use hublab_sim::metric::{Better, Measure, Metric, Number};
use hublab_sim::report::Report;
use hublab_sim::statistics::{Interval, Mean, Moments, PerMille, Sketch, proportion};
use hublab_sim::watch::judge::Verdict;
use hublab_strategies::time::format_duration;

use super::number::{counted, decimal, grouped};
use super::style;

/// The metrics over the runs of one scenario and strategy.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Summary {
    catalog: Arc<Catalog>,
    /// The length of the runs.
    duration: Duration,
    runs: u64,
    passed: u64,
    open: u64,
    /// By metric.
    metrics: BTreeMap<&'static str, Values>,
    /// By metric and kind of message; a run that did not send a kind counts as 0.
    by_kind: BTreeMap<(&'static str, String), Values>,
}

/// The values of one metric.
#[derive(Debug, Clone, Default)]
struct Values {
    sketch: Sketch,
    moments: Moments,
}

/// Quantiles of shares and means are kept in millionths.
const MILLIONTHS: f64 = 1_000_000.0;

impl Values {
    fn add(&mut self, value: Number) {
        let kept = match value {
            Number::Whole(value) => value,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "metrics are not negative, and one beyond 2^64 millionths is cut off"
            )]
            Number::Real(value) => (value * MILLIONTHS) as u64,
        };
        self.sketch.add(kept);
        self.moments.add(value.as_f64());
    }
}

impl Summary {
    /// No runs yet; they will last so long, and be measured by the metrics of a catalog.
    pub(in crate::cli) fn new(catalog: &Arc<Catalog>, duration: Duration) -> Self {
        Self {
            catalog: Arc::clone(catalog),
            duration,
            runs: 0,
            passed: 0,
            open: 0,
            metrics: BTreeMap::new(),
            by_kind: BTreeMap::new(),
        }
    }

    /// Takes in one more run.
    pub(in crate::cli) fn add(&mut self, report: &Report) {
        for metric in self.catalog.metrics() {
            let values = self.metrics.entry(metric.name).or_default();
            if let Some(value) = report.metric(metric.name) {
                values.add(value);
            }
            if !metric.is_per_kind() {
                continue;
            }
            for kind in report.messages.by_kind.keys() {
                let value = report.metric(&format!("{}.{kind}", metric.name));
                let values = self.by_kind.entry((metric.name, kind.clone()));
                let values = values.or_default();
                (values.sketch.count()..self.runs).for_each(|_| values.add(Number::Whole(0)));
                values.add(value.unwrap_or(Number::Whole(0)));
            }
        }
        self.runs += 1;
        self.passed += u64::from(report.verdict == Verdict::Pass);
        self.open += u64::from(report.verdict == Verdict::Inconclusive);
    }

    /// The table: a line per metric, in the order of the catalog, each followed by those of its
    /// kinds that any run sent.
    pub(in crate::cli) fn table(&mut self, title: &str) -> String {
        let heads = [
            "metric", "n", "mean", "95 %", "median", "p5", "p95", "min", "max",
        ];
        let mut rows = vec![(heads.map(str::to_owned), String::new())];
        let catalog = Arc::clone(&self.catalog);
        for metric in catalog.metrics() {
            if let Some(values) = self.metrics.get_mut(metric.name) {
                let row = row(metric.name, metric, values, self.runs, self.duration);
                rows.push(row);
            }
            for ((name, kind), values) in &mut self.by_kind {
                (values.sketch.count()..self.runs).for_each(|_| values.add(Number::Whole(0)));
                if *name == metric.name && values.sketch.max() > Some(0) {
                    let name = format!("{name}.{kind}");
                    rows.push(row(&name, metric, values, self.runs, self.duration));
                }
            }
        }
        let width = |column: usize| {
            let lengths = rows.iter().map(|(cells, _)| cells[column].chars().count());
            lengths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..heads.len()).map(width).collect();
        let mut text = format!(
            "{} over {}\n{}",
            style::bold(title),
            counted(self.runs, "seed"),
            self.pass_rate()
        );
        for (place, (cells, note)) in rows.iter().enumerate() {
            let mut line = format!("  {:1$}", cells[0], widths[0]);
            for (cell, width) in cells.iter().zip(&widths).skip(1) {
                line.push_str(&format!("  {cell:>width$}"));
            }
            if place == 0 {
                line = style::dim(line);
            } else if !note.is_empty() {
                line.push_str(&format!("  {}", style::warn(note)));
            }
            text.push('\n');
            text.push_str(&line);
        }
        text
    }

    fn pass_rate(&self) -> String {
        let Some(rate) = proportion(self.passed, self.runs) else {
            return "  no runs".to_owned();
        };
        let percent = |share: f64| decimal(share * 100.0, 1);
        let Interval { low, high } = rate.interval;
        let mut text = format!(
            "  {} of {} passed: {} % (95 %: {} to {} %)",
            grouped(self.passed),
            grouped(self.runs),
            percent(rate.value),
            percent(low),
            percent(high)
        );
        if self.open > 0 {
            text.push_str(&format!(", {} inconclusive", grouped(self.open)));
        }
        text
    }
}

/// The cells of a metric's line, and what is to be said of runs without a value. Quantiles count
/// them as worse than any; there is no mean with them, as that of the others would be too good.
fn row(
    name: &str,
    metric: &Metric,
    values: &mut Values,
    runs: u64,
    duration: Duration,
) -> ([String; 9], String) {
    let count = values.sketch.count();
    let missing = runs - count;
    let beyond = if metric.measure == Measure::Time {
        format!("> {}", format_duration(duration))
    } else {
        "none".to_owned()
    };
    let missing_first = metric.better == Better::High;
    let quantile = |kept: u64| {
        if metric.is_real() {
            let value = kept as f64 / MILLIONTHS;
            decimal(value, if value < 1.0 { 4 } else { 1 })
        } else {
            grouped(kept)
        }
    };
    let mut at = |rank: u64| {
        let rank = if missing_first {
            rank.saturating_sub(missing)
        } else {
            rank
        };
        values
            .sketch
            .at_rank(rank)
            .map_or_else(|| beyond.clone(), quantile)
    };
    let quantiles = [PerMille::P50, PerMille::P5, PerMille::P95].map(|level| at(level.rank(runs)));
    let ends = [at(1), at(runs)];
    let note = if missing == 0 {
        if values.sketch.is_exact() {
            String::new()
        } else {
            "quantiles within 0.4 %".to_owned()
        }
    } else {
        let of_all = format!("{beyond} in {} of {}", grouped(missing), grouped(runs));
        if metric.missing.is_empty() {
            of_all
        } else {
            format!("{of_all}: {}", metric.missing)
        }
    };
    let (mean, half) = match values.moments.mean().filter(|_| missing == 0) {
        Some(mean) => shown(&mean),
        None => ("-".to_owned(), "-".to_owned()),
    };
    let [median, low, high] = quantiles;
    let [least, greatest] = ends;
    let cells = [
        name.to_owned(),
        grouped(count),
        mean,
        half,
        median,
        low,
        high,
        least,
        greatest,
    ];
    (cells, note)
}

/// A mean and half of its interval, with as many digits as the interval lets matter.
fn shown(mean: &Mean) -> (String, String) {
    let Some(interval) = mean.interval else {
        return (decimal(mean.value, 0), "-".to_owned());
    };
    let half = interval.half_width();
    let places = match half {
        0.0 if mean.value.fract() == 0.0 => 0,
        10.0.. => 0,
        1.0.. => 1,
        0.1.. => 2,
        0.01.. => 3,
        _ => 4,
    };
    (
        decimal(mean.value, places),
        format!("+- {}", decimal(half, places)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str) -> Metric {
        let catalog = Catalog::default();
        *catalog.metric(name).expect("a metric of every catalog")
    }

    fn line(name: &str, numbers: &[u64], runs: u64) -> String {
        let mut values = Values::default();
        numbers
            .iter()
            .for_each(|number| values.add(Number::Whole(*number)));
        let duration = Duration::from_secs(90);
        let (cells, note) = row(name, &metric(name), &mut values, runs, duration);
        format!("{} | {note}", cells[1..].join(" "))
    }

    #[test]
    fn a_line_has_every_number_of_a_series() {
        let numbers: Vec<u64> = (1..=20).collect();
        assert_eq!(
            line("events", &numbers, 20),
            "20 10.5 +- 2.8 10 1 19 1 20 | "
        );
        assert_eq!(line("events", &[7, 7], 2), "2 7 +- 0 7 7 7 7 7 | ");
        assert_eq!(line("events", &[7], 1), "1 7 - 7 7 7 7 7 | ");
    }

    #[test]
    fn missing_values_are_worse_than_any_and_leave_no_mean() {
        let numbers: Vec<u64> = (1..=13).collect();
        assert_eq!(
            line("converged_us", &numbers, 20),
            "13 - - 10 1 > 90s 1 > 90s | > 90s in 7 of 20: the views did not converge"
        );
        assert_eq!(
            line("converged_us", &[], 3),
            "0 - - > 90s > 90s > 90s > 90s > 90s | > 90s in 3 of 3: the views did not converge"
        );
    }
}
