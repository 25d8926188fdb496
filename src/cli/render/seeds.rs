//! What a metric comes to over many seeds: median, 5th and 95th percentile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hublab_sim::catalog::Catalog;
use hublab_sim::metric::Metric;
use hublab_sim::report::Report;

use super::number::grouped;
use super::style;

/// The values of every metric over the runs of one scenario and strategy.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Summary {
    catalog: Arc<Catalog>,
    runs: Vec<Measured>,
}

/// What of a report a summary needs.
#[derive(Debug, Clone)]
struct Measured {
    metrics: BTreeMap<String, Option<u64>>,
    /// Values by metric and kind of message.
    by_kind: BTreeMap<(&'static str, String), u64>,
}

impl Summary {
    /// No runs, measured by the metrics of a catalog.
    pub(in crate::cli) fn new(catalog: &Arc<Catalog>) -> Self {
        Self {
            catalog: Arc::clone(catalog),
            runs: Vec::new(),
        }
    }

    /// Takes in one more run.
    pub(in crate::cli) fn add(&mut self, report: &Report) {
        let mut by_kind = BTreeMap::new();
        for metric in self.per_kind() {
            for kind in report.messages.by_kind.keys() {
                let value = report.metric(&format!("{}.{kind}", metric.name));
                by_kind.insert((metric.name, kind.clone()), value.unwrap_or_default());
            }
        }
        let metrics = report.metrics.clone();
        self.runs.push(Measured { metrics, by_kind });
    }

    fn per_kind(&self) -> impl Iterator<Item = &Metric> {
        let metrics = self.catalog.metrics().iter();
        metrics.filter(|metric| metric.is_per_kind())
    }

    /// Names and sorted values: the metrics in the order of the catalog, each followed by those of
    /// its kinds that any run sent. A run that did not send a kind counts as 0.
    fn values(&self) -> Vec<(String, Vec<u64>)> {
        let mut all = Vec::new();
        for metric in self.catalog.metrics() {
            let value = |run: &Measured| run.metrics.get(metric.name).copied().flatten();
            let values: Vec<u64> = self.runs.iter().filter_map(value).collect();
            if !values.is_empty() {
                all.push((metric.name.to_owned(), values));
            }
            let keys = self.runs.iter().flat_map(|run| run.by_kind.keys());
            let keys: BTreeSet<_> = keys.filter(|(name, _)| *name == metric.name).collect();
            for key in keys {
                let value = |run: &Measured| run.by_kind.get(key).copied().unwrap_or_default();
                let values: Vec<u64> = self.runs.iter().map(value).collect();
                if values.iter().any(|value| *value > 0) {
                    all.push((format!("{}.{}", metric.name, key.1), values));
                }
            }
        }
        all.iter_mut()
            .for_each(|(_, values)| values.sort_unstable());
        all
    }

    /// The table, a line per metric.
    pub(in crate::cli) fn table(&self, title: &str) -> String {
        let rows = self.values().into_iter().map(|(name, values)| {
            let shares = [50, 5, 95].map(|percent| grouped(percentile(&values, percent)));
            (name, shares, values.len())
        });
        let rows: Vec<_> = rows.collect();
        let width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        let mut text = format!(
            "{} over {} seeds\n",
            style::bold(title),
            grouped(self.runs.len() as u64)
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
            if runs < self.runs.len() {
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
