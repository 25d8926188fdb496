//! Strategies compared on the same seeds: the cells of a plan, and what their runs may claim.
//!
//! It makes no runs. Who does gives an [`Outcome`] for each seed of each contestant in each cell;
//! [`analyze`] makes the table of them. All runs of a cell and a seed have the same network and
//! the same workload, as streams of random numbers are keyed by purpose.

use std::collections::BTreeMap;

use hublab_strategies::time::micros;
use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::metric::Number;
use crate::model::Scenario;
use crate::model::plan::{Contestant, Plan, Scalar};
use crate::report::Report;
use crate::statistics::{
    self, Better, Mean, Median, Pair, Paired, Verdict, holm, judge, mean, median, paired,
    seeds_needed,
};
use crate::watch::judge;
use crate::watch::measure::Times;

/// One combination of a scenario and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The scenario, by its place among those of the comparison.
    pub scenario: usize,
    /// The value of each [`Plan::vary`], by its place among its values.
    pub values: Vec<usize>,
}

impl Cell {
    /// The values, in the order of [`Plan::vary`].
    pub fn scalars<'p>(&'p self, plan: &'p Plan) -> impl Iterator<Item = &'p Scalar> {
        let both = plan.vary.iter().zip(&self.values);
        both.filter_map(|(vary, value)| vary.values.get(*value))
    }

    /// The changes of the scenario file for a contestant: keys and values as of `--set`.
    #[must_use]
    pub fn overrides(&self, plan: &Plan, contestant: &Contestant) -> Vec<(String, String)> {
        let keys = plan.vary.iter().map(|vary| vary.key.clone());
        let varied = keys.zip(self.scalars(plan).map(|scalar| scalar.toml.clone()));
        let own = contestant.set.iter().map(|(key, scalar)| {
            let path = format!("strategy.{}.{key}", contestant.strategy);
            (path, scalar.toml.clone())
        });
        varied.chain(own).collect()
    }
}

/// Every cell of a plan with so many scenarios, in order; the last of `vary` changes first.
#[must_use]
pub fn cells(plan: &Plan, scenarios: usize) -> Vec<Cell> {
    let mut combinations = vec![Vec::new()];
    for vary in &plan.vary {
        let longer = |begun: &Vec<usize>| {
            let begun = begun.clone();
            (0..vary.values.len()).map(move |value| {
                let mut values = begun.clone();
                values.push(value);
                values
            })
        };
        combinations = combinations.iter().flat_map(longer).collect();
    }
    let of_scenario = |scenario| {
        let cell = move |values: &Vec<usize>| Cell {
            scenario,
            values: values.clone(),
        };
        combinations.iter().map(cell).collect::<Vec<_>>()
    };
    (0..scenarios).flat_map(of_scenario).collect()
}

/// The part of a run's report that a comparison keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The digest of the run's events; absent if it was given up.
    pub digest: Option<String>,
    /// The verdict of the scenario's expectations.
    pub verdict: judge::Verdict,
    /// Why the run did not come to its end, if it did not.
    pub reason: Option<String>,
    /// The metrics.
    pub metrics: BTreeMap<String, Option<Number>>,
    /// The share of changes that observers showed within each of [`Times::CURVE_US`], in millionths; empty
    /// if there were none, or if the run was given up.
    #[serde(default)]
    pub propagation: Vec<u32>,
    /// Its real time, in microseconds; not kept in the directory, as it differs each time.
    #[serde(skip)]
    pub wall_us: u64,
}

impl Outcome {
    /// The outcome of a finished run.
    #[must_use]
    pub fn of(report: &Report, scenario: &Scenario) -> Self {
        let is_short = report.virtual_us < micros(scenario.run.duration);
        let panicked = || format!("the strategy panicked at {} us", report.virtual_us);
        Self {
            digest: report.digest.clone(),
            verdict: report.verdict,
            reason: report.reason.clone().or_else(|| is_short.then(panicked)),
            metrics: report.metrics.clone(),
            propagation: propagation_of(report),
            wall_us: report.wall_us,
        }
    }

    /// A run that was given up, for this reason.
    #[must_use]
    pub fn given_up(reason: &str, wall_us: u64) -> Self {
        Self {
            digest: None,
            verdict: judge::Verdict::Inconclusive,
            reason: Some(reason.to_owned()),
            metrics: BTreeMap::new(),
            propagation: Vec::new(),
            wall_us,
        }
    }

    /// The value of a metric; `None` if the run has none.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics
            .get(name)
            .copied()
            .flatten()
            .map(Number::as_f64)
    }
}

fn propagation_of(report: &Report) -> Vec<u32> {
    let measured = report.measured.as_ref();
    measured.map_or(Vec::new(), |it| it.propagation.each_us.within.clone())
}

/// The mean over runs of the share of changes that observers showed within each of [`Times::CURVE_US`], 0
/// to 1; `None` if no run has changes.
#[must_use]
pub fn propagation_curve(outcomes: &[Outcome]) -> Option<[f64; Times::CURVE_US.len()]> {
    let mut sums = [0_u64; Times::CURVE_US.len()];
    let mut runs = 0_u32;
    for outcome in outcomes.iter().filter(|it| !it.propagation.is_empty()) {
        runs += 1;
        for (sum, share) in sums.iter_mut().zip(&outcome.propagation) {
            *sum += u64::from(*share);
        }
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "millionths over fewer than 2^32 runs stay below 2^53"
    )]
    let mean = |sum: u64| sum as f64 / f64::from(runs) / 1_000_000.0;
    (runs > 0).then(|| sums.map(mean))
}

/// The median and mean of one contestant's values.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// Runs without a value.
    pub missing: usize,
    /// The median, missing values as worst.
    pub median: Median,
    /// The mean; `None` if a value is missing.
    pub mean: Option<Mean>,
}

/// A contestant against the baseline in one cell, by one endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The place of the endpoint in the plan.
    pub endpoint: usize,
    /// The place of the cell.
    pub cell: usize,
    /// The place of the contestant.
    pub contestant: usize,
    /// The test, or why there is none.
    pub result: Result<Test, Untested>,
}

/// Why a contestant and the baseline are not compared in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Untested {
    /// Some runs have no result.
    #[error(
        "runs did not come to their end: {of_baseline} of the baseline, {of_other} of the other"
    )]
    Unfinished {
        /// How many runs of the baseline.
        of_baseline: usize,
        /// How many of the other.
        of_other: usize,
    },
    /// The metric has no value in any run.
    #[error("no run has a value")]
    NoValue,
}

/// One test of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// The baseline's values.
    pub baseline: Side,
    /// The contestant's values.
    pub other: Side,
    /// The paired statistics, seed by seed.
    pub paired: Paired,
    /// p, adjusted by Holm over all tests.
    pub adjusted_p: f64,
    /// The verdict.
    pub verdict: Verdict,
}

/// The table of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// By endpoint, cell and contestant; the baseline has none.
    pub rows: Vec<Row>,
    /// The number of tests.
    pub tests: u64,
    /// The seeds that so many tests need before any can show a difference.
    pub seeds_needed: u32,
    /// There are fewer: verdicts only describe.
    pub is_descriptive: bool,
}

impl Analysis {
    /// Every test with its row.
    pub fn tested(&self) -> impl Iterator<Item = (&Row, &Test)> {
        self.rows
            .iter()
            .filter_map(|row| Some((row, row.result.as_ref().ok()?)))
    }

    /// The nearest-rank median of what pairing by seed won: see
    /// [`variance_ratio`](statistics::Ratio::variance_ratio).
    #[must_use]
    pub fn variance_ratio(&self) -> Option<f64> {
        let ratio = |test: &Test| test.paired.ratio?.variance_ratio;
        let mut ratios: Vec<f64> = self.tested().filter_map(|(_, test)| ratio(test)).collect();
        ratios.sort_by(f64::total_cmp);
        statistics::nearest_rank(&ratios, statistics::PerMille::P50)
    }
}

/// Compares every contestant with the baseline. `outcomes` has, for a cell and a contestant, one
/// outcome per seed in the order of the seeds.
pub fn analyze<'o>(
    plan: &Plan,
    cells: &[Cell],
    catalog: &Catalog,
    outcomes: impl Fn(usize, usize) -> &'o [Outcome],
) -> Analysis {
    let mut rows = Vec::new();
    for (endpoint, declared) in plan.endpoints.iter().enumerate() {
        let better = catalog
            .metric(&declared.metric)
            .map_or(Better::Neither, |metric| metric.better);
        for cell in 0..cells.len() {
            let baseline = outcomes(cell, plan.baseline);
            for contestant in (0..plan.contestants.len()).filter(|place| *place != plan.baseline) {
                let other = outcomes(cell, contestant);
                rows.push(Row {
                    endpoint,
                    cell,
                    contestant,
                    result: test(baseline, other, &declared.metric, better),
                });
            }
        }
    }
    adjust(&mut rows, plan, catalog);
    let tests = rows.iter().filter(|row| row.result.is_ok()).count() as u64;
    let seeds_needed = seeds_needed(tests);
    Analysis {
        rows,
        tests,
        seeds_needed,
        is_descriptive: plan.seeds.end - plan.seeds.start < u64::from(seeds_needed),
    }
}

fn test(
    baseline: &[Outcome],
    other: &[Outcome],
    metric: &str,
    better: Better,
) -> Result<Test, Untested> {
    let ended = |outcomes: &[Outcome]| outcomes.iter().filter(|one| one.reason.is_some()).count();
    let (of_baseline, of_other) = (ended(baseline), ended(other));
    if of_baseline + of_other > 0 {
        return Err(Untested::Unfinished {
            of_baseline,
            of_other,
        });
    }
    let values = |outcomes: &[Outcome]| -> Vec<Option<f64>> {
        outcomes.iter().map(|one| one.metric(metric)).collect()
    };
    let (baselines, others) = (values(baseline), values(other));
    let pair = |(baseline, other): (&Option<f64>, &Option<f64>)| Pair {
        baseline: *baseline,
        other: *other,
    };
    let pairs: Vec<Pair> = baselines.iter().zip(&others).map(pair).collect();
    if pairs
        .iter()
        .all(|pair| pair.baseline.is_none() && pair.other.is_none())
    {
        return Err(Untested::NoValue);
    }
    let paired = paired(&pairs, better);
    Ok(Test {
        baseline: side(&baselines, better).ok_or(Untested::NoValue)?,
        other: side(&others, better).ok_or(Untested::NoValue)?,
        paired,
        adjusted_p: paired.p,
        verdict: Verdict::Unclear,
    })
}

/// The median and mean of one contestant in a cell; `None` if runs did not come to their end, or
/// there are none.
#[must_use]
pub fn describe(outcomes: &[Outcome], metric: &str, better: Better) -> Option<Side> {
    if outcomes.iter().any(|one| one.reason.is_some()) {
        return None;
    }
    let values: Vec<Option<f64>> = outcomes.iter().map(|one| one.metric(metric)).collect();
    side(&values, better)
}

fn side(values: &[Option<f64>], better: Better) -> Option<Side> {
    let complete: Option<Vec<f64>> = values.iter().copied().collect();
    Some(Side {
        missing: values.iter().filter(|value| value.is_none()).count(),
        median: median(&better.sorted(values))?,
        mean: complete.and_then(|values| mean(&values)),
    })
}

/// Adjusts the p of all tests together, and judges them.
fn adjust(rows: &mut [Row], plan: &Plan, catalog: &Catalog) {
    let mut tests: Vec<(usize, &mut Test)> = rows
        .iter_mut()
        .filter_map(|row| Some((row.endpoint, row.result.as_mut().ok()?)))
        .collect();
    let values: Vec<f64> = tests.iter().map(|(_, test)| test.paired.p).collect();
    for ((endpoint, test), adjusted) in tests.iter_mut().zip(holm(&values)) {
        let declared = &plan.endpoints[*endpoint];
        let better = catalog
            .metric(&declared.metric)
            .map_or(Better::Neither, |metric| metric.better);
        test.adjusted_p = adjusted;
        test.verdict = judge(&test.paired, adjusted, declared.margin, better);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::{Endpoint, Vary};

    fn plan(vary: &[(&str, &[&str])], seeds: u64) -> Plan {
        let vary = vary.iter().map(|(key, values)| Vary {
            key: (*key).to_owned(),
            values: values.iter().map(|value| Scalar::typed(value)).collect(),
        });
        let mut lone = Contestant::plain("gossip");
        lone.name = "lone".to_owned();
        lone.set = vec![("recipients".to_owned(), Scalar::typed("1"))];
        Plan {
            name: "test".to_owned(),
            scenarios: vec!["a.toml".to_owned(), "b.toml".to_owned()],
            seeds: 0..seeds,
            contestants: vec![
                Contestant::plain("gossip"),
                Contestant::plain("pubsub"),
                lone,
            ],
            baseline: 1,
            vary: vary.collect(),
            endpoints: vec![Endpoint {
                metric: "converged_us".to_owned(),
                margin: 0.05,
            }],
        }
    }

    #[test]
    fn cells_are_all_combinations_the_last_value_changes_first() {
        let plan = plan(
            &[
                ("network.loss", &["0", "0.1"]),
                ("cluster.nodes", &["3", "5", "9"]),
            ],
            1,
        );
        let cells = cells(&plan, 2);
        assert_eq!(cells.len(), 12);
        let shown = |cell: &Cell| {
            let values: Vec<&str> = cell
                .scalars(&plan)
                .map(|scalar| scalar.shown.as_str())
                .collect();
            format!("{} {}", cell.scenario, values.join(" "))
        };
        assert_eq!(
            [0, 1, 3, 11].map(|place: usize| shown(&cells[place])),
            ["0 0 3", "0 0 5", "0 0.1 3", "1 0.1 9"]
        );
        let overrides = cells[3].overrides(&plan, &plan.contestants[2]);
        let written: Vec<String> = overrides
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(
            written,
            [
                "network.loss=0.1",
                "cluster.nodes=3",
                "strategy.gossip.recipients=1"
            ]
        );
        let without = super::tests::plan(&[], 1);
        assert_eq!(
            super::cells(&without, 1),
            [Cell {
                scenario: 0,
                values: vec![]
            }]
        );
    }

    fn outcome(value: Option<u64>) -> Outcome {
        let value = value.map(Number::Whole);
        Outcome {
            digest: Some("digest".to_owned()),
            verdict: judge::Verdict::Pass,
            reason: None,
            metrics: BTreeMap::from([("converged_us".to_owned(), value)]),
            propagation: Vec::new(),
            wall_us: 1,
        }
    }

    fn analyzed(outcomes: [Vec<Outcome>; 3]) -> Analysis {
        let plan = plan(&[], outcomes[0].len() as u64);
        let cells = cells(&plan, 1);
        analyze(&plan, &cells, &Catalog::default(), |_, contestant| {
            &outcomes[contestant]
        })
    }

    #[test]
    fn every_contestant_is_tested_against_the_baseline() {
        let times = |factor: u64| (1..=12).map(|i| outcome(Some(i * factor))).collect();
        let analysis = analyzed([times(5), times(10), times(11)]);
        let told: Vec<_> = analysis
            .tested()
            .map(|(row, test)| (row.contestant, test.verdict))
            .collect();
        assert_eq!(told, [(0, Verdict::Better), (2, Verdict::Worse)]);
        assert_eq!(
            (
                analysis.tests,
                analysis.seeds_needed,
                analysis.is_descriptive
            ),
            (2, 7, false)
        );
        let (_, test) = analysis.tested().next().unwrap();
        assert_eq!(
            (test.paired.p, test.adjusted_p),
            (2.0 / 4096.0, 4.0 / 4096.0)
        );
        assert_eq!(
            (test.baseline.median.value, test.other.median.value),
            (60.0, 30.0)
        );
        // Ratios that are all the same leave nothing to compare variances with.
        assert!(analysis.variance_ratio().is_none_or(|ratio| ratio > 1e6));
    }

    #[test]
    fn few_seeds_only_describe() {
        let times = |factor: u64| (1..=5).map(|i| outcome(Some(i * factor))).collect();
        let analysis = analyzed([times(1), times(10), times(10)]);
        assert!(analysis.is_descriptive);
        let told: Vec<_> = analysis.tested().map(|(_, test)| test.verdict).collect();
        assert_eq!(told, [Verdict::Unclear, Verdict::Equal]);
    }

    #[test]
    fn cells_with_runs_that_ended_early_and_those_without_values_are_not_compared() {
        let times = || (1..=8).map(|i| outcome(Some(i))).collect::<Vec<_>>();
        let mut ended = times();
        ended[3] = Outcome::given_up("it took longer than 1s", 1_000_000);
        let nothing = vec![outcome(None); 8];
        let analysis = analyzed([ended, times(), nothing.clone()]);
        let reason = analysis.rows[0].result.as_ref().unwrap_err();
        assert_eq!(
            reason.to_string(),
            "runs did not come to their end: 0 of the baseline, 1 of the other"
        );
        // Never to converge is worst, and told.
        let test = analysis.rows[1].result.as_ref().unwrap();
        assert_eq!((test.other.missing, test.verdict), (8, Verdict::Worse));
        assert_eq!(
            (test.other.mean, test.other.median.value),
            (None, f64::INFINITY)
        );
        assert_eq!(analysis.tests, 1);
        let analysis = analyzed([nothing.clone(), nothing.clone(), nothing]);
        assert_eq!(
            analysis.rows[0].result.as_ref().unwrap_err().to_string(),
            "no run has a value"
        );
    }

    #[test]
    fn a_typed_value_is_toml_or_a_text() {
        let both = |text| {
            let scalar = Scalar::typed(text);
            (scalar.toml, scalar.shown)
        };
        assert_eq!(both("0.05"), ("0.05".to_owned(), "0.05".to_owned()));
        assert_eq!(both("40ms"), ("\"40ms\"".to_owned(), "40ms".to_owned()));
        assert_eq!(both("\"40ms\""), ("\"40ms\"".to_owned(), "40ms".to_owned()));
        assert_eq!(both("true"), ("true".to_owned(), "true".to_owned()));
    }
}
