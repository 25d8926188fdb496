//! The results of a comparison: tables, CSV, JSON.

use hublab_sim::catalog::Catalog;
use hublab_sim::compare::{Analysis, Outcome, Row, Side, Test, Untested, analyze};
use hublab_sim::metric::Number;
use hublab_sim::statistics::{Interval, RatioMethod, Verdict};
use serde_json::{Value, json};

use super::figures::figures;
use super::setup::Comparison;
use super::tables::Table;

use crate::cli::render::number::{counted, decimal, grouped};
use crate::cli::render::style;
use crate::cli::report::field;

/// The file with a line per run.
pub(super) const RUNS: &str = "runs.csv";

/// All that the results are made of.
#[derive(Debug)]
pub(in crate::cli) struct Report<'r> {
    pub(in crate::cli) comparison: &'r Comparison,
    pub(in crate::cli) analysis: Analysis,
    pub(in crate::cli) outcomes: &'r [Outcome],
    pub(in crate::cli) catalog: &'r Catalog,
}

impl<'r> Report<'r> {
    /// The results of a comparison of which every run is made.
    pub(in crate::cli) fn new(
        comparison: &'r Comparison,
        outcomes: &'r [Outcome],
        catalog: &'r Catalog,
    ) -> Self {
        let of = |cell, contestant| comparison.of(outcomes, cell, contestant);
        Self {
            comparison,
            analysis: analyze(&comparison.plan, &comparison.cells, catalog, of),
            outcomes,
            catalog,
        }
    }

    /// The files of a directory that are the same each time, by name.
    pub(super) fn files(&self) -> Vec<(String, String)> {
        let mut files = vec![
            (RUNS.to_owned(), self.runs_csv()),
            ("results.csv".to_owned(), self.results_csv()),
            ("cells.csv".to_owned(), self.cells_csv()),
            ("summary.md".to_owned(), self.markdown()),
        ];
        files.extend(figures(self));
        files
    }

    /// For people at a terminal.
    pub(super) fn human(&self) -> String {
        let plan = &self.comparison.plan;
        let mut text = format!("{}\n", style::bold(self.title()));
        text.extend(self.scores().iter().map(|line| format!("  {line}\n")));
        text.extend(self.notes().iter().map(|line| format!("  {line}\n")));
        for endpoint in 0..plan.endpoints.len() {
            text.push_str(&format!("\n{}\n", style::bold(self.heading(endpoint))));
            let (table, verdicts) = self.table(endpoint, false);
            text.push_str(&table.text(|row, line| match row.map(|row| verdicts[row]) {
                None => style::dim(line),
                Some(Some(Verdict::Better)) => style::pass(line),
                Some(Some(Verdict::Worse)) => style::error(line),
                Some(Some(_)) => line,
                Some(None) => style::warn(line),
            }));
        }
        text
    }

    /// The summary as Markdown.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.title());
        text.extend(self.scores().iter().map(|line| format!("- {line}\n")));
        text.extend(self.notes().iter().map(|line| format!("- {line}\n")));
        for endpoint in 0..self.comparison.plan.endpoints.len() {
            let table = self.table(endpoint, true).0.markdown();
            text.push_str(&format!("\n## {}\n\n{table}", self.heading(endpoint)));
        }
        text
    }

    pub(in crate::cli) fn title(&self) -> String {
        let plan = &self.comparison.plan;
        format!("{}: against {}", plan.name, self.name(plan.baseline))
    }

    pub(in crate::cli) fn heading(&self, endpoint: usize) -> String {
        let declared = &self.comparison.plan.endpoints[endpoint];
        let metric = self.catalog.metric(&declared.metric);
        let unit = metric.map_or("", |metric| metric.unit);
        let summary = metric.map_or("", |metric| metric.summary);
        format!(
            "{} ({unit}): {summary}; equal within {} %",
            declared.metric,
            decimal(declared.margin * 100.0, 1)
        )
    }

    pub(in crate::cli) fn name(&self, contestant: usize) -> &str {
        &self.comparison.plan.contestants[contestant].name
    }

    /// Wins, losses and ties of each strategy.
    pub(in crate::cli) fn scores(&self) -> Vec<String> {
        let plan = &self.comparison.plan;
        let others = (0..plan.contestants.len()).filter(|place| *place != plan.baseline);
        let score = |contestant: usize| {
            let rows = || {
                self.analysis
                    .rows
                    .iter()
                    .filter(move |row| row.contestant == contestant)
            };
            let count = |verdict: Verdict| {
                let same = |row: &&Row| {
                    row.result
                        .as_ref()
                        .is_ok_and(|test| test.verdict == verdict)
                };
                grouped(rows().filter(same).count() as u64)
            };
            let untested = rows().filter(|row| row.result.is_err()).count();
            let mut line = format!(
                "{}: {} better, {} worse, {} equal, {} unclear",
                self.name(contestant),
                count(Verdict::Better),
                count(Verdict::Worse),
                count(Verdict::Equal),
                count(Verdict::Unclear)
            );
            if untested > 0 {
                line.push_str(&format!(", {} not compared", grouped(untested as u64)));
            }
            line
        };
        others.map(score).collect()
    }

    /// Notes on the comparison as a whole.
    pub(in crate::cli) fn notes(&self) -> Vec<String> {
        let plan = &self.comparison.plan;
        let seeds = plan.seeds.end - plan.seeds.start;
        let tests = counted(self.analysis.tests, "test");
        let of_all = format!(
            "{tests} on {}, p adjusted by Holm over all",
            counted(seeds, "seed")
        );
        let mut notes = vec![of_all];
        if self.analysis.is_descriptive && self.analysis.tests > 0 {
            notes.push(format!(
                "descriptive: with fewer than {}, none of the tests can show a difference",
                counted(u64::from(self.analysis.seeds_needed), "seed")
            ));
        }
        if let Some(ratio) = self.analysis.variance_ratio() {
            notes.push(format!(
                "pairing by seed: unpaired runs would need {} times the seeds (variance ratio, median of the tests)",
                decimal(ratio, 1)
            ));
        }
        let left_out = &self.comparison.left_out;
        if !left_out.is_empty() {
            let is = if left_out.len() == 1 { "is" } else { "are" };
            notes.push(format!(
                "{} {is} left out and not compared: runs need more than --memory",
                counted(left_out.len() as u64, "cell")
            ));
        }
        let left_out = left_out.len() * plan.contestants.len() * self.comparison.seeds();
        let ended = self.outcomes.iter().filter(|one| one.reason.is_some());
        let ended = ended.count().saturating_sub(left_out);
        if ended > 0 {
            let runs = counted(ended as u64, "run");
            notes.push(format!(
                "{runs} did not come to an end; their cells are not compared (runs.csv)"
            ));
        }
        notes
    }

    /// Why a row of a cell has no test.
    fn why_not(&self, cell: usize, reason: Untested) -> String {
        let left_out = self.comparison.left_out.get(&cell);
        left_out.map_or_else(|| reason.to_string(), Clone::clone)
    }

    /// The table of an endpoint, and the verdict of each of its rows. `wide`: with intervals and
    /// means.
    pub(in crate::cli) fn table(
        &self,
        endpoint: usize,
        wide: bool,
    ) -> (Table, Vec<Option<Verdict>>) {
        let plan = &self.comparison.plan;
        let mut names = vec!["scenario".to_owned()];
        names.extend(plan.vary.iter().map(|vary| vary.key.clone()));
        names.extend(["strategy".to_owned(), "verdict".to_owned()]);
        let baseline = self.name(plan.baseline);
        let numbers: &[&str] = if wide {
            &[
                "n", "missing", baseline, "its mean", "median", "mean", "ratio", "95 %", "p",
                "delta",
            ]
        } else {
            &["n", baseline, "median", "ratio", "95 %", "p", "delta"]
        };
        let mut table = Table::new(&names, numbers);
        let mut verdicts = Vec::new();
        for row in self
            .analysis
            .rows
            .iter()
            .filter(|row| row.endpoint == endpoint)
        {
            let mut cells = self.place(row.cell);
            cells.push(self.name(row.contestant).to_owned());
            match &row.result {
                Ok(test) => {
                    cells.push(self.verdict_words(test, wide));
                    cells.extend(numbers_of(test, wide));
                }
                Err(reason) => {
                    let reason = self.why_not(row.cell, *reason);
                    cells.push(format!("not compared: {reason}"));
                    cells.extend(numbers.iter().map(|_| String::new()));
                }
            }
            verdicts.push(row.result.as_ref().ok().map(|test| test.verdict));
            table.row(cells);
        }
        (table, verdicts)
    }

    fn verdict_words(&self, test: &Test, wide: bool) -> String {
        let mut words = test.verdict.word().to_owned();
        if self.analysis.is_descriptive {
            words.push_str(" (descriptive)");
        }
        let missing = (test.baseline.missing, test.other.missing);
        if !wide && missing != (0, 0) {
            words.push_str(&format!(", missing {} and {}", missing.0, missing.1));
        }
        words
    }

    /// The scenario and the values of a cell.
    pub(in crate::cli) fn place(&self, cell: usize) -> Vec<String> {
        let (plan, cell) = (&self.comparison.plan, &self.comparison.cells[cell]);
        let scenario = self.comparison.files[cell.scenario].0.clone();
        let values = cell.scalars(plan).map(|scalar| scalar.shown.clone());
        std::iter::once(scenario).chain(values).collect()
    }

    fn place_heads(&self) -> String {
        let keys = self
            .comparison
            .plan
            .vary
            .iter()
            .map(|vary| format!(",{}", field(&vary.key)));
        format!("scenario,strategy{}", keys.collect::<String>())
    }

    fn place_fields(&self, cell: usize, contestant: usize) -> String {
        let place = self.place(cell);
        let values = place[1..].iter().map(|value| format!(",{}", field(value)));
        format!(
            "{},{}{}",
            field(&place[0]),
            field(self.name(contestant)),
            values.collect::<String>()
        )
    }

    /// A line per run.
    fn runs_csv(&self) -> String {
        let mut text = format!("{},seed,verdict,digest,reason\n", self.place_heads());
        for (number, outcome) in self.outcomes.iter().enumerate() {
            let task = self.comparison.task(number);
            text.push_str(&format!(
                "{},{},{},{},{}\n",
                self.place_fields(task.cell, task.contestant),
                task.seed,
                outcome.verdict.word(),
                outcome.digest.as_deref().unwrap_or_default(),
                field(outcome.reason.as_deref().unwrap_or_default())
            ));
        }
        text
    }

    /// A line per run and metric.
    fn results_csv(&self) -> String {
        let mut text = format!("{},seed,metric,value\n", self.place_heads());
        for (number, outcome) in self.outcomes.iter().enumerate() {
            let task = self.comparison.task(number);
            let place = self.place_fields(task.cell, task.contestant);
            for metric in self.catalog.metrics() {
                let value = outcome.metrics.get(metric.name).copied().flatten();
                let value = value.map(Number::exact).unwrap_or_default();
                text.push_str(&format!("{place},{},{},{value}\n", task.seed, metric.name));
            }
        }
        text
    }

    /// A line per endpoint, cell and strategy.
    pub(super) fn cells_csv(&self) -> String {
        let columns = "metric,baseline,n,baseline_missing,missing,baseline_median,baseline_median_low,\
            baseline_median_high,median,median_low,median_high,baseline_mean,baseline_mean_low,\
            baseline_mean_high,mean,mean_low,mean_high,ratio,ratio_low,ratio_high,ratio_method,\
            variance_ratio,p,p_adjusted,cliffs_delta,verdict,descriptive,not_compared\n";
        let mut text = format!("{},{columns}", self.place_heads());
        let plan = &self.comparison.plan;
        for row in &self.analysis.rows {
            let place = self.place_fields(row.cell, row.contestant);
            let metric = &plan.endpoints[row.endpoint].metric;
            let baseline = field(self.name(plan.baseline));
            text.push_str(&format!("{place},{metric},{baseline},"));
            match &row.result {
                Ok(test) => text.push_str(&self.test_fields(test)),
                Err(reason) => {
                    let reason = self.why_not(row.cell, *reason);
                    text.push_str(&format!("{}{}", ",".repeat(25), field(&reason)))
                }
            }
            text.push('\n');
        }
        text
    }

    fn test_fields(&self, test: &Test) -> String {
        let ends = |interval: Option<Interval>| {
            [
                interval.map(|ends| ends.low),
                interval.map(|ends| ends.high),
            ]
        };
        let median = |side: &Side| {
            let [low, high] = ends(side.median.interval);
            [Some(side.median.value), low, high].map(plain)
        };
        let mean = |side: &Side| {
            let [low, high] = ends(side.mean.and_then(|mean| mean.interval));
            [side.mean.map(|mean| mean.value), low, high].map(plain)
        };
        let ratio = test.paired.ratio;
        let [ratio_low, ratio_high] = ends(ratio.and_then(|ratio| ratio.interval));
        let mut fields = vec![
            test.paired.count.to_string(),
            test.baseline.missing.to_string(),
            test.other.missing.to_string(),
        ];
        fields.extend(median(&test.baseline));
        fields.extend(median(&test.other));
        fields.extend(mean(&test.baseline));
        fields.extend(mean(&test.other));
        fields.extend([ratio.map(|ratio| ratio.value), ratio_low, ratio_high].map(plain));
        fields.extend([
            ratio.map_or("", |ratio| method(ratio.method)).to_owned(),
            plain(ratio.and_then(|ratio| ratio.variance_ratio)),
            plain(Some(test.paired.p)),
            plain(Some(test.adjusted_p)),
            plain(Some(test.paired.cliffs_delta)),
            test.verdict.word().to_owned(),
            self.analysis.is_descriptive.to_string(),
            String::new(),
        ]);
        fields.join(",")
    }

    /// One JSON object, on one line.
    pub(super) fn json(&self) -> String {
        let plan = &self.comparison.plan;
        let interval = |interval: Option<Interval>| {
            interval.map(|ends| json!([number(ends.low), number(ends.high)]))
        };
        let side = |side: &Side| {
            json!({
                "missing": side.missing,
                "median": number(side.median.value),
                "median_interval": interval(side.median.interval),
                "mean": side.mean.map(|mean| mean.value),
                "mean_interval": interval(side.mean.and_then(|mean| mean.interval)),
            })
        };
        let test = |test: &Test| {
            let ratio = test.paired.ratio;
            json!({
                "n": test.paired.count,
                "baseline": side(&test.baseline),
                "strategy": side(&test.other),
                "ratio": ratio.map(|ratio| number(ratio.value)),
                "ratio_interval": interval(ratio.and_then(|ratio| ratio.interval)),
                "ratio_method": ratio.map(|ratio| method(ratio.method)),
                "variance_ratio": ratio.and_then(|ratio| ratio.variance_ratio),
                "p": test.paired.p,
                "p_adjusted": test.adjusted_p,
                "cliffs_delta": test.paired.cliffs_delta,
                "verdict": test.verdict.word(),
            })
        };
        let row = |row: &Row| {
            let cell = &self.comparison.cells[row.cell];
            let keys = plan.vary.iter().map(|vary| vary.key.clone());
            let values = cell.scalars(plan).map(|scalar| json!(scalar.shown));
            let vary: serde_json::Map<String, Value> = keys.zip(values).collect();
            json!({
                "scenario": self.comparison.files[cell.scenario].0,
                "vary": vary,
                "strategy": self.name(row.contestant),
                "metric": plan.endpoints[row.endpoint].metric,
                "test": row.result.as_ref().ok().map(test),
                "not_compared": row.result.as_ref().err().map(|reason| self.why_not(row.cell, *reason)),
            })
        };
        json!({
            "schema": 1,
            "name": plan.name,
            "baseline": self.name(plan.baseline),
            "seeds": [plan.seeds.start, plan.seeds.end],
            "tests": self.analysis.tests,
            "seeds_needed": self.analysis.seeds_needed,
            "descriptive": self.analysis.is_descriptive,
            "variance_ratio": self.analysis.variance_ratio(),
            "cells": self.analysis.rows.iter().map(row).collect::<Vec<_>>(),
        })
        .to_string()
    }
}

fn numbers_of(test: &Test, wide: bool) -> Vec<String> {
    let median = |side: &Side| {
        let value = shown(side.median.value);
        match side.median.interval.filter(|_| wide) {
            Some(Interval { low, high }) => format!("{value} [{}, {}]", shown(low), shown(high)),
            None => value,
        }
    };
    let mean = |side: &Side| match side.mean {
        None => "-".to_owned(),
        Some(mean) => match mean.interval {
            Some(interval) => format!("{} +- {}", shown(mean.value), shown(interval.half_width())),
            None => shown(mean.value),
        },
    };
    let ratio = test.paired.ratio;
    let interval = ratio.and_then(|ratio| ratio.interval);
    let ends =
        interval.map(|Interval { low, high }| format!("[{}, {}]", digits(low), digits(high)));
    let last = [
        ratio.map_or_else(|| "-".to_owned(), |ratio| digits(ratio.value)),
        ends.unwrap_or_else(|| "-".to_owned()),
        probability(test.adjusted_p),
        decimal(test.paired.cliffs_delta, 2),
    ];
    let mut cells = vec![grouped(test.paired.count as u64)];
    if wide {
        cells.push(format!(
            "{} and {}",
            test.baseline.missing, test.other.missing
        ));
        cells.extend([median(&test.baseline), mean(&test.baseline)]);
        cells.extend([median(&test.other), mean(&test.other)]);
    } else {
        cells.extend([median(&test.baseline), median(&test.other)]);
    }
    cells.extend(last);
    cells
}

fn method(method: RatioMethod) -> &'static str {
    match method {
        RatioMethod::LogRatios => "log_ratios",
        RatioMethod::Means => "means",
    }
}

/// A value of a metric for people; infinite ones are missing.
fn shown(value: f64) -> String {
    if value.is_infinite() {
        "none".to_owned()
    } else if value.fract() == 0.0 || value.abs() >= 100.0 {
        decimal(value, 0)
    } else {
        decimal(value, 2)
    }
}

/// A ratio with three digits that matter.
fn digits(value: f64) -> String {
    let places = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        0.1.. => 3,
        _ => 4,
    };
    decimal(value, places)
}

fn probability(p: f64) -> String {
    if p < 0.0001 {
        "< 0.0001".to_owned()
    } else {
        decimal(p, 4)
    }
}

/// A number for a file: empty if there is none or it is missing.
fn plain(value: Option<f64>) -> String {
    value
        .filter(|value| value.is_finite())
        .map(|value| value.to_string())
        .unwrap_or_default()
}

fn number(value: f64) -> Value {
    if value.is_finite() {
        json!(value)
    } else {
        Value::Null
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_matter() {
        assert_eq!(
            [0.01234, 0.5, 1.0, 25.49, 12_345.6].map(digits),
            ["0.0123", "0.500", "1.00", "25.5", "12,346"]
        );
        assert_eq!([f64::INFINITY, 3.0, 0.5].map(shown), ["none", "3", "0.50"]);
        assert_eq!([0.00001, 0.05].map(probability), ["< 0.0001", "0.0500"]);
        assert_eq!(
            [Some(f64::INFINITY), Some(0.1), None].map(plain),
            ["", "0.1", ""]
        );
    }
}
