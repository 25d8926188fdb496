//! The data of a comparison's report, from its directory: the tables and figures that `compare` writes, the
//! value of every run behind them, and some of the runs themselves, which are made again.

use std::path::Path;

use hublab_sim::capsule::twice::record;
use hublab_sim::compare::Outcome;
use hublab_sim::metric::Better;
use serde::Serialize;

use super::data::Run;
use super::held::Held;
use super::pack::Packed;
use super::run::Origin;
use crate::cli::args::Size;
use crate::cli::compare::{self, Comparison as Compared, FIGURES, PLAN, Report, Task, Whole};
use crate::cli::exit::ExitStatus;
use crate::cli::render::style;
use crate::cli::{Context, Stop};

/// The runs in a page may take this much of it.
const RUNS_BYTES: usize = 6_000_000;
/// At most so many runs are made again.
const RUNS_MAX: usize = 40;
/// They are those that took less than this, in all and each.
const WALL_US_MAX: u64 = 20_000_000;
const RUN_US_MAX: u64 = 3_000_000;
/// The values of more runs than that are in the CSV files only.
const VALUES_MAX: usize = 500_000;
/// Figures may take this much of the page.
const FIGURES_BYTES: usize = 1_500_000;

/// A comparison.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    heading: String,
    scores: Vec<String>,
    notes: Vec<String>,
    plan: String,
    strategies: Vec<String>,
    baseline: usize,
    /// Each cell in words.
    cells: Vec<String>,
    /// The first seed, and how many there are; seeds are texts, as a script counts to 2^53.
    seeds: (String, usize),
    endpoints: Vec<Endpoint>,
    figures: Vec<Figure>,
    /// How many figures are only in the directory.
    more_figures: usize,
    /// By cell and strategy: the command that makes the run in this page, or that of the first seed.
    commands: Vec<String>,
    /// By cell and strategy: the run in this page, as its seed and its place.
    held: Vec<Option<(String, usize)>>,
    runs: Vec<Run>,
}

/// What is compared.
#[derive(Debug, Serialize)]
struct Endpoint {
    metric: String,
    heading: String,
    unit: &'static str,
    /// True if less is better.
    is_low_better: bool,
    heads: Vec<String>,
    /// How many of the columns are words.
    words: usize,
    /// The heads of the numbers that are told of a single row.
    detail_heads: Vec<String>,
    rows: Vec<Row>,
    /// The value of each run, by cell, strategy and seed: 64-bit floats, lowest byte first. Not a number where
    /// there is none. Nothing if there are too many.
    values: Option<Packed>,
}

#[derive(Debug, Serialize)]
struct Row {
    cell: usize,
    strategy: usize,
    /// Absent if it is not compared.
    verdict: Option<&'static str>,
    cells: Vec<String>,
    details: Vec<String>,
}

/// A figure as a picture, with its numbers.
#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    svg: String,
    csv: String,
}

/// Reads the directory of a comparison; `None` if runs are missing, which has been told.
///
/// # Errors
/// It cannot be read, or is made by another program.
pub(super) fn comparison(
    directory: &Path,
    size: Size,
    context: &Context,
) -> Result<Option<(String, Comparison, ExitStatus)>, Stop> {
    let path = directory.to_owned();
    let Some(whole) = compare::whole(std::slice::from_ref(&path), context)? else {
        return Ok(None);
    };
    let Whole {
        comparison,
        outcomes,
    } = &whole;
    let report = Report::new(comparison, outcomes, &context.catalog);
    let plan = std::fs::read_to_string(directory.join(PLAN));
    let Again { held, runs, same } = runs(&report, directory, size, context);
    let (figures, more_figures) = figures(&report);
    let contestants = &comparison.plan.contestants;
    let page = Comparison {
        heading: report.title(),
        scores: report.scores(),
        notes: report.notes(),
        plan: plan.unwrap_or_default(),
        strategies: contestants.iter().map(|one| one.name.clone()).collect(),
        baseline: comparison.plan.baseline,
        cells: (0..comparison.cells.len())
            .map(|cell| comparison.cell_name(cell))
            .collect(),
        seeds: (comparison.plan.seeds.start.to_string(), comparison.seeds()),
        endpoints: (0..comparison.plan.endpoints.len())
            .map(|number| endpoint(&report, number))
            .collect(),
        figures,
        more_figures,
        commands: firsts(comparison)
            .zip(&held)
            .map(|(task, held)| {
                let seed = held.as_ref().map_or(task.seed, |(seed, _)| *seed);
                comparison.command(Task { seed, ..task }, directory)
            })
            .collect(),
        held: held
            .into_iter()
            .map(|held| held.map(|(seed, place)| (seed.to_string(), place)))
            .collect(),
        runs,
    };
    let title = page.heading.clone();
    let is_whole = outcomes.iter().all(|outcome| outcome.reason.is_none());
    let exit = match (same, is_whole) {
        (false, _) => ExitStatus::Mismatch,
        (true, false) => ExitStatus::Inconclusive,
        (true, true) => ExitStatus::Held,
    };
    Ok(Some((title, page, exit)))
}

/// The run of the first seed of each cell and strategy.
fn firsts(comparison: &Compared) -> impl Iterator<Item = Task> {
    let seeds = comparison.seeds().max(1);
    let numbers = (0..comparison.count()).step_by(seeds);
    numbers.map(|number| comparison.task(number))
}

fn endpoint(report: &Report<'_>, number: usize) -> Endpoint {
    let declared = &report.comparison.plan.endpoints[number];
    let metric = report.catalog.metric(&declared.metric);
    let (table, _) = report.table(number, false);
    let (details, _) = report.table(number, true);
    let rows = report.analysis.rows.iter();
    let rows = rows.filter(|row| row.endpoint == number);
    let is_told = report.outcomes.len() <= VALUES_MAX;
    Endpoint {
        metric: declared.metric.clone(),
        heading: report.heading(number),
        unit: metric.map_or("", |metric| metric.unit),
        is_low_better: metric.is_none_or(|metric| metric.better != Better::High),
        words: table.names,
        rows: rows
            .zip(table.rows.into_iter().zip(details.rows))
            .map(|(row, (cells, mut details))| Row {
                cell: row.cell,
                strategy: row.contestant,
                verdict: row.result.as_ref().ok().map(|test| test.verdict.word()),
                cells,
                details: details.split_off(table.names),
            })
            .collect(),
        detail_heads: details.heads[details.names..].to_vec(),
        heads: table.heads,
        values: is_told.then(|| values(report.outcomes, &declared.metric)),
    }
}

fn values(outcomes: &[Outcome], metric: &str) -> Packed {
    let value = |outcome: &Outcome| {
        let is_ended = outcome.reason.is_none();
        outcome.metric(metric).filter(|_| is_ended)
    };
    let values = outcomes.iter().map(|one| value(one).unwrap_or(f64::NAN));
    let bytes: Vec<u8> = values.flat_map(f64::to_le_bytes).collect();
    Packed::of(&bytes)
}

/// The figures, as many as there is room for.
fn figures(report: &Report<'_>) -> (Vec<Figure>, usize) {
    let (mut told, mut left, mut room) = (Vec::new(), 0, FIGURES_BYTES);
    let mut files = compare::figures(report).into_iter();
    while let (Some((path, svg)), Some((_, csv))) = (files.next(), files.next()) {
        let name = path.trim_start_matches(FIGURES).trim_start_matches('/');
        let bytes = svg.len() + csv.len();
        if bytes > room {
            left += 1;
            continue;
        }
        room -= bytes;
        told.push(Figure {
            name: name.trim_end_matches(".svg").to_owned(),
            svg,
            csv,
        });
    }
    (told, left)
}

/// Runs that were made again.
struct Again {
    /// By cell and strategy: the seed and the place among the runs.
    held: Vec<Option<(u64, usize)>>,
    runs: Vec<Run>,
    /// False if one came to another digest than it had.
    same: bool,
}

/// Of each cell and strategy, the run with the worst value of the first endpoint, made again: as many as
/// there is time and room for.
fn runs(report: &Report<'_>, directory: &Path, size: Size, context: &Context) -> Again {
    let comparison = report.comparison;
    let wanted: Vec<Option<Task>> = firsts(comparison).map(|task| worst(report, task)).collect();
    let mut left = wanted.iter().flatten().count().min(RUNS_MAX);
    let mut time = WALL_US_MAX;
    let mut held = Held::new(RUNS_BYTES, size, context);
    let (mut places, mut same) = (Vec::new(), true);
    for task in wanted {
        let place = task.filter(|_| left > 0).and_then(|task| {
            let took = report.outcomes[number(comparison, task)].wall_us;
            time = time.checked_sub(took)?;
            left -= 1;
            let strategy = comparison.strategy(task);
            let scenario = comparison.scenario(task);
            let (again, mut capsule) =
                record(scenario, strategy, task.seed, &context.catalog).ok()?;
            if again.digest != report.outcomes[number(comparison, task)].digest {
                same = false;
                let command = comparison.command(task, directory);
                context.output.note(format_args!(
                    "{} this run is not the same again, and is not in the page: {command}",
                    style::error("mismatch:")
                ));
                return None;
            }
            let command = comparison.command(task, directory);
            let place = held
                .add(&mut capsule, Origin::Command(&command), left)
                .ok()?;
            Some((task.seed, place))
        });
        places.push(place);
    }
    Again {
        held: places,
        runs: held.into_runs(),
        same,
    }
}

/// The number of a run, in the order of cells, strategies and seeds.
fn number(comparison: &Compared, task: Task) -> usize {
    let variant = task.cell * comparison.plan.contestants.len() + task.contestant;
    let seed = task.seed - comparison.plan.seeds.start;
    variant * comparison.seeds() + usize::try_from(seed).unwrap_or(0)
}

/// The run of a cell and a strategy with the worst value, of those that do not take long.
fn worst(report: &Report<'_>, first: Task) -> Option<Task> {
    let comparison = report.comparison;
    let metric = &comparison.plan.endpoints.first()?.metric;
    let better = report.catalog.metric(metric).map(|metric| metric.better);
    let outcomes = comparison.of(report.outcomes, first.cell, first.contestant);
    // A run without a value is worse than any with one.
    let badness = |outcome: &Outcome| match (outcome.metric(metric), better) {
        (None, _) => f64::INFINITY,
        (Some(value), Some(Better::High)) => -value,
        (Some(value), _) => value,
    };
    let mut found: Option<(f64, u64)> = None;
    for (seed, outcome) in (comparison.plan.seeds.start..).zip(outcomes) {
        let bad = badness(outcome);
        let is_short = outcome.reason.is_none() && outcome.wall_us <= RUN_US_MAX;
        if is_short && found.is_none_or(|(known, _)| bad > known) {
            found = Some((bad, seed));
        }
    }
    found.map(|(_, seed)| Task { seed, ..first })
}
