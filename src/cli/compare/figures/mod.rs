//! The figures of a comparison: SVG for a paper, each with its numbers as CSV beside it.

mod curves;
mod frame;
mod heat;
mod lines;
mod pareto;
mod scale;

use hublab_sim::compare::{describe, propagation_curve};
use hublab_sim::metric::Better;

use self::curves::Curves;
use self::heat::Heat;
use self::lines::{Lines, Panel, Point};
use self::pareto::{Pareto, Spots};
use super::render::Report;
use crate::cli::files::safe_name;
use crate::cli::report::field;

/// The directory of the figures.
pub(in crate::cli) const DIRECTORY: &str = "figures";

/// Every figure and its numbers, by file name: the verdicts, staleness against cost, propagation in each
/// cell, and values over each varied key.
pub(in crate::cli) fn figures(report: &Report<'_>) -> Vec<(String, String)> {
    let plan = &report.comparison.plan;
    let mut files = Vec::new();
    let mut put = |name: &str, svg: String, csv: String| {
        files.push((format!("{DIRECTORY}/{name}.svg"), svg));
        files.push((format!("{DIRECTORY}/{name}.csv"), csv));
    };
    let heat = heat(report);
    put("verdicts", heat.svg(), heat.csv(field));
    let pareto = pareto(report);
    put("staleness-and-cost", pareto.svg(), pareto.csv(field));
    for (scenario, (name, _)) in report.comparison.files.iter().enumerate() {
        let curves = curves(report, scenario);
        let name = safe_name(&format!("propagation-{name}"));
        put(&name, curves.svg(), curves.csv(field));
    }
    for (endpoint, declared) in plan.endpoints.iter().enumerate() {
        for (key, vary) in plan.vary.iter().enumerate() {
            if vary.values.len() > 1 {
                let lines = lines(report, endpoint, key);
                let name = safe_name(&format!("{}-over-{}", declared.metric, vary.key));
                put(&name, lines.svg(), lines.csv(field));
            }
        }
    }
    files
}

fn heat(report: &Report<'_>) -> Heat {
    let plan = &report.comparison.plan;
    let columns = plan
        .endpoints
        .iter()
        .map(|endpoint| endpoint.metric.clone());
    let mut rows = Vec::new();
    for cell in 0..report.comparison.cells.len() {
        for (contestant, declared) in plan.contestants.iter().enumerate() {
            let of_both =
                |row: &&hublab_sim::compare::Row| row.cell == cell && row.contestant == contestant;
            let words: Vec<String> = report
                .analysis
                .rows
                .iter()
                .filter(of_both)
                .map(|row| match &row.result {
                    Ok(test) => test.verdict.word().to_owned(),
                    Err(_) => "not compared".to_owned(),
                })
                .collect();
            if !words.is_empty() {
                rows.push((
                    format!("{}: {}", title(report, cell, None), declared.name),
                    words,
                ));
            }
        }
    }
    Heat {
        columns: columns.collect(),
        rows,
    }
}

fn strategies(report: &Report<'_>) -> Vec<String> {
    let contestants = report.comparison.plan.contestants.iter();
    contestants.map(|one| one.name.clone()).collect()
}

/// The cells of a scenario.
fn cells_of(report: &Report<'_>, scenario: usize) -> impl Iterator<Item = usize> {
    let cells = report.comparison.cells.iter().enumerate();
    cells.filter_map(move |(cell, its)| (its.scenario == scenario).then_some(cell))
}

fn curves(report: &Report<'_>, scenario: usize) -> Curves {
    let strategies = strategies(report);
    let panel = |cell: usize| {
        let of = |contestant| report.comparison.of(report.outcomes, cell, contestant);
        let curve = |contestant| propagation_curve(of(contestant));
        let curves = (0..strategies.len()).map(curve).collect();
        (title(report, cell, None), curves)
    };
    let panels = cells_of(report, scenario).map(panel).collect();
    Curves { strategies, panels }
}

/// The metrics of the map: cost, and staleness.
const PARETO: [&str; 2] = ["bytes_per_change", "stale_us"];

fn pareto(report: &Report<'_>) -> Pareto {
    let strategies = strategies(report);
    let median = |cell: usize, contestant: usize, name: &str| {
        let outcomes = report.comparison.of(report.outcomes, cell, contestant);
        let median = describe(outcomes, name, Better::Low)?.median.value;
        median.is_finite().then_some(median)
    };
    let spots = |cell: usize| {
        let place = |contestant: usize| {
            let [cost, staleness] = PARETO.map(|name| median(cell, contestant, name));
            Some([cost?, staleness?])
        };
        Spots {
            title: title(report, cell, None),
            places: (0..strategies.len()).map(place).collect(),
        }
    };
    let files = report.comparison.files.iter().enumerate();
    let panels = files.map(|(scenario, (name, _))| {
        let cells = cells_of(report, scenario).map(spots).collect();
        (name.clone(), cells)
    });
    let unit = |name: &str| report.catalog.metric(name).map_or("", |metric| metric.unit);
    Pareto {
        measures: PARETO.map(|name| format!("{name} ({})", unit(name))),
        panels: panels.collect(),
        strategies,
    }
}

/// A cell in words; without one of the varied keys if a figure varies it.
fn title(report: &Report<'_>, cell: usize, without: Option<usize>) -> String {
    let (plan, cell) = (&report.comparison.plan, &report.comparison.cells[cell]);
    let mut words = vec![report.comparison.files[cell.scenario].0.clone()];
    for (key, (vary, scalar)) in plan.vary.iter().zip(cell.scalars(plan)).enumerate() {
        if Some(key) != without {
            words.push(format!("{}={}", vary.key, scalar.shown));
        }
    }
    words.join(", ")
}

fn lines(report: &Report<'_>, endpoint: usize, key: usize) -> Lines {
    let comparison = report.comparison;
    let (plan, vary) = (&comparison.plan, &comparison.plan.vary[key]);
    let name = &plan.endpoints[endpoint].metric;
    let metric = report.catalog.metric(name);
    let better = metric.map_or(Better::Neither, |metric| metric.better);
    let point = |cell: usize, contestant: usize| {
        let outcomes = comparison.of(report.outcomes, cell, contestant);
        let median = describe(outcomes, name, better)?.median;
        let interval = median.interval;
        let missing = if median.value.is_finite() {
            median.value
        } else {
            f64::INFINITY
        };
        Some(Point {
            value: missing,
            low: interval.map_or(missing, |ends| ends.low),
            high: interval.map_or(missing, |ends| ends.high),
        })
    };
    let mut panels = Vec::new();
    let first = comparison
        .cells
        .iter()
        .enumerate()
        .filter(|(_, cell)| cell.values[key] == 0);
    for (first, begun) in first {
        let same = |value: usize| {
            comparison.cells.iter().position(|cell| {
                let mut values = begun.values.clone();
                values[key] = value;
                cell.scenario == begun.scenario && cell.values == values
            })
        };
        let points = |contestant: usize| {
            let places = (0..vary.values.len()).map(same);
            places.map(|cell| point(cell?, contestant)).collect()
        };
        panels.push(Panel {
            title: title(report, first, Some(key)),
            points: (0..plan.contestants.len()).map(points).collect(),
        });
    }
    Lines {
        key: vary.key.clone(),
        values: vary
            .values
            .iter()
            .map(|value| value.shown.clone())
            .collect(),
        measure: format!("{name} ({})", metric.map_or("", |metric| metric.unit)),
        strategies: strategies(report),
        panels,
    }
}
