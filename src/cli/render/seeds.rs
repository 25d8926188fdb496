//! What a metric comes to over many seeds: median, 5th and 95th percentile.

use std::collections::BTreeMap;

use hublab_sim::metric;
use hublab_sim::run::report::Report;

use super::number::grouped;
use super::style;

/// The values of every metric over the runs of one scenario and strategy.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Summary {
    runs: usize,
    values: BTreeMap<String, Vec<u64>>,
}

impl Summary {
    /// Takes in one more run.
    pub(in crate::cli) fn add(&mut self, report: &Report) {
        self.runs += 1;
        for metric in metric::LIST {
            self.note(report, metric.name);
            if metric::is_per_kind(metric.name) {
                for kind in report.messages.by_kind.keys() {
                    self.note(report, &format!("{}.{kind}", metric.name));
                }
            }
        }
    }

    fn note(&mut self, report: &Report, name: &str) {
        if let Some(value) = metric::value(report, name) {
            self.values.entry(name.to_owned()).or_default().push(value);
        }
    }

    /// The table, a line per metric: in the order of the list, each followed by its kinds.
    pub(in crate::cli) fn table(&mut self, title: &str) -> String {
        let mut rows = Vec::new();
        for metric in metric::LIST {
            let of_metric =
                |name: &str| name == metric.name || name.starts_with(&format!("{}.", metric.name));
            for (name, values) in self.values.iter_mut().filter(|(name, _)| of_metric(name)) {
                values.sort_unstable();
                if values.last() == Some(&0) && name != metric.name {
                    continue;
                }
                let shares = [50, 5, 95].map(|percent| grouped(percentile(values, percent)));
                rows.push((name.clone(), shares, values.len()));
            }
        }
        let width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        let mut text = format!(
            "{} over {} seeds\n",
            style::bold(title),
            grouped(self.runs as u64)
        );
        let heads = format!(
            "  {:width$}  {:>14}  {:>14}  {:>14}",
            "metric", "median", "p5", "p95"
        );
        text.push_str(&style::dim(heads));
        for (name, [median, low, high], runs) in rows {
            text.push_str(&format!(
                "\n  {name:width$}  {median:>14}  {low:>14}  {high:>14}"
            ));
            if runs < self.runs {
                text.push_str(&style::dim(format_args!(
                    "  in {} runs",
                    grouped(runs as u64)
                )));
            }
        }
        text
    }
}

/// The least value that is not below `percent` per cent of the sorted values: always one that was
/// measured.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!(
            [5, 50, 95, 100].map(|percent| percentile(&values, percent)),
            [5, 50, 95, 100]
        );
        assert_eq!(
            [5, 50, 95].map(|percent| percentile(&[7], percent)),
            [7, 7, 7]
        );
        assert_eq!(percentile(&[1, 9], 50), 1);
        assert_eq!(percentile(&[], 50), 0);
    }
}
