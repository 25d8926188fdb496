//! From arguments or a plan file to a comparison whose scenarios are all read and checked, each with
//! the values of its cell. Whatever is wrong is told before anything runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hublab_sim::campaign::wire::RunTask;
use hublab_sim::compare::{Cell, Outcome, cells};
use hublab_sim::metric::Better;
use hublab_sim::model::plan::{Contestant, Plan};
use hublab_sim::run::estimate::size;
use hublab_sim::scenario::{
    PLAN_SEEDS, Scenario, apply_overrides, default_endpoints, is_plan, load, render_plan,
};

use crate::cli::args::Overrides;
use crate::cli::args::compare::Compare;
use crate::cli::exit::ExitStatus;
use crate::cli::files::{self, Source};
use crate::cli::output::quoted;
use crate::cli::render::number::{counted, grouped};
use crate::cli::{Context, Stop};

/// The most scenarios that a comparison reads: cells times strategies.
const VARIANTS_MAX: usize = 20_000;

/// A comparison that can be run.
#[derive(Debug)]
pub(in crate::cli) struct Comparison {
    /// Its scenarios are `scenarios/NAME.toml`, see [`Comparison::files`].
    pub(in crate::cli) plan: Plan,
    pub(in crate::cli) cells: Vec<Cell>,
    /// The scenario files as they run, by [`Cell::scenario`]: name and text.
    pub(in crate::cli) files: Vec<(String, String)>,
    /// The cells whose runs are not made, and why: `--memory`.
    pub(in crate::cli) left_out: BTreeMap<usize, String>,
    /// The scenarios that run, by cell and contestant.
    variants: Vec<Variant>,
}

/// The scenario of a cell and a contestant.
#[derive(Debug)]
struct Variant {
    /// The file, and what is changed in it.
    name: Arc<str>,
    text: Arc<str>,
    scenario: Arc<Scenario>,
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Task {
    pub(in crate::cli) cell: usize,
    pub(in crate::cli) contestant: usize,
    pub(in crate::cli) seed: u64,
}

impl Comparison {
    /// Reads what the arguments name.
    ///
    /// # Errors
    /// It cannot be run; what is wrong with files has been told.
    pub(super) fn of_arguments(args: &Compare, context: &Context) -> Result<Self, Stop> {
        let (mut plan, paths) = match &args.paths[..] {
            [path] => match read_plan(path, context)? {
                Some(plan) => plan_of_file(plan, path, args)?,
                None => plan_of_arguments(args, context)?,
            },
            _ => plan_of_arguments(args, context)?,
        };
        if let Some(name) = &args.baseline {
            plan.baseline = place_of(name, &plan.contestants)?;
        }
        if let Some(seeds) = &args.seeds {
            plan.seeds = seeds.clone();
        }
        Self::new(plan, &paths, &args.overrides, args.runs.big, context)
    }

    /// Reads the comparison that a directory holds.
    ///
    /// # Errors
    /// As for [`Self::of_arguments`].
    pub(super) fn of_directory(
        directory: &Path,
        big: bool,
        context: &Context,
    ) -> Result<Self, Stop> {
        let path = directory.join(super::store::PLAN);
        if !path.is_file() {
            return Err(Stop::Usage(format!(
                "{}: no comparison is in this directory: it has no {}",
                directory.display(),
                super::store::PLAN
            )));
        }
        let plan = read_plan(&path, context)?.ok_or_else(|| {
            Stop::Usage(format!(
                "{}: this is no plan of a comparison",
                path.display()
            ))
        })?;
        let paths = beside(&path, &plan);
        Self::new(plan, &paths, &Overrides::default(), big, context)
    }

    fn new(
        mut plan: Plan,
        paths: &[PathBuf],
        overrides: &Overrides,
        big: bool,
        context: &Context,
    ) -> Result<Self, Stop> {
        if plan.contestants.len() < 2 {
            return Err(Stop::Usage("a comparison needs two strategies".to_owned()));
        }
        let sources = files::read_all(paths, overrides, false, context);
        if sources.exit != ExitStatus::Held {
            sources.print_repetition(overrides, context);
            return Err(Stop::Told(sources.exit));
        }
        let files = named(&sources.good)?;
        let cells = cells(&plan, sources.good.len());
        let count = cells.len().saturating_mul(plan.contestants.len());
        if count > VARIANTS_MAX {
            return Err(Stop::Usage(format!(
                "{} with {} strategies are too many: a comparison reads at most {} scenarios",
                counted(cells.len() as u64, "cell"),
                plan.contestants.len(),
                grouped(VARIANTS_MAX as u64)
            )));
        }
        let variants = variants(&plan, &cells, &sources.good, big, context)?;
        plan.scenarios = files
            .iter()
            .map(|(name, _)| format!("scenarios/{name}.toml"))
            .collect();
        Ok(Self {
            plan,
            cells,
            files,
            left_out: BTreeMap::new(),
            variants,
        })
    }

    /// How many runs there are.
    pub(in crate::cli) fn count(&self) -> usize {
        self.variants.len() * self.seeds()
    }

    pub(in crate::cli) fn seeds(&self) -> usize {
        usize::try_from(self.plan.seeds.end - self.plan.seeds.start).unwrap_or(usize::MAX)
    }

    /// A run by its number, in the order of cells, contestants and seeds.
    pub(in crate::cli) fn task(&self, number: usize) -> Task {
        let (variant, seed) = (number / self.seeds(), number % self.seeds());
        let contestants = self.plan.contestants.len();
        Task {
            cell: variant / contestants,
            contestant: variant % contestants,
            seed: self.plan.seeds.start + seed as u64,
        }
    }

    pub(in crate::cli) fn scenario(&self, task: Task) -> &Arc<Scenario> {
        &self.variant(task).scenario
    }

    fn variant(&self, task: Task) -> &Variant {
        &self.variants[task.cell * self.plan.contestants.len() + task.contestant]
    }

    /// A run with each scenario and strategy: that of the first seed.
    pub(super) fn samples(&self) -> impl Iterator<Item = Task> {
        let numbers = (0..self.variants.len()).map(|variant| variant * self.seeds());
        numbers.map(|number| self.task(number))
    }

    /// A run as a worker is told of it.
    pub(super) fn run_task(&self, task: Task) -> RunTask {
        let variant = self.variant(task);
        RunTask {
            path: Arc::clone(&variant.name),
            text: Arc::clone(&variant.text),
            strategy: self.strategy(task).into(),
            seed: task.seed,
        }
    }

    /// The strategy of a run as the catalog calls it.
    pub(in crate::cli) fn strategy(&self, task: Task) -> &str {
        &self.plan.contestants[task.contestant].strategy
    }

    /// The scenario and the values of a cell, in words: `steady, network.loss=0.05`.
    pub(in crate::cli) fn cell_name(&self, cell: usize) -> String {
        let cell = &self.cells[cell];
        let values = self.plan.vary.iter().zip(cell.scalars(&self.plan));
        let values = values.map(|(vary, scalar)| format!(", {}={}", vary.key, scalar.shown));
        let scenario = &self.files[cell.scenario].0;
        format!("{scenario}{}", values.collect::<String>())
    }

    /// The command that makes a run alone, from the directory of a comparison.
    pub(in crate::cli) fn command(&self, task: Task, directory: &Path) -> String {
        let cell = &self.cells[task.cell];
        let name = &self.files[cell.scenario].0;
        let path = directory.join(super::store::SCENARIOS);
        let path = path.join(format!("{name}.toml"));
        let path = quoted(&path.to_string_lossy());
        let strategy = quoted(self.strategy(task));
        let seed = task.seed;
        let mut command = format!("hublab run {path} --strategy {strategy} --seed {seed}");
        let contestant = &self.plan.contestants[task.contestant];
        let overrides = Overrides {
            values: cell.overrides(&self.plan, contestant),
        };
        overrides.append_to(&mut command);
        command
    }

    /// The outcomes of a cell and a contestant, of all that are there.
    pub(in crate::cli) fn of<'o>(
        &self,
        outcomes: &'o [Outcome],
        cell: usize,
        contestant: usize,
    ) -> &'o [Outcome] {
        let first = (cell * self.plan.contestants.len() + contestant) * self.seeds();
        outcomes
            .get(first..first + self.seeds())
            .unwrap_or_default()
    }

    /// A hash of the plan and the scenario files.
    pub(super) fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut part = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        part(&render_plan(&self.plan));
        for (name, text) in &self.files {
            part(name);
            part(text);
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// The plan of a file; `None` if it is meant as a scenario, or is no file.
fn read_plan(path: &Path, context: &Context) -> Result<Option<Plan>, Stop> {
    if !path.is_file() {
        return Ok(None);
    }
    let told = |problem: &dyn miette::Diagnostic| {
        context.output.diagnostic(problem);
        Stop::Told(ExitStatus::Usage)
    };
    let bytes = load::read_bytes(path).map_err(|error| told(&error))?;
    if !is_plan(&bytes) {
        return Ok(None);
    }
    let plan = Plan::read(&path.to_string_lossy(), &bytes, &context.catalog);
    plan.map(Some).map_err(|problems| told(&problems))
}

/// The scenarios of a plan, from its own directory.
fn beside(path: &Path, plan: &Plan) -> Vec<PathBuf> {
    let directory = path.parent().unwrap_or(Path::new(""));
    plan.scenarios
        .iter()
        .map(|scenario| directory.join(scenario))
        .collect()
}

fn plan_of_file(plan: Plan, path: &Path, args: &Compare) -> Result<(Plan, Vec<PathBuf>), Stop> {
    let said = [
        ("--strategy", args.strategies.is_empty()),
        ("--vary", args.vary.is_empty()),
        ("--endpoint", args.endpoints.is_empty()),
    ];
    if let Some((flag, _)) = said.iter().find(|(_, absent)| !absent) {
        return Err(Stop::Usage(format!(
            "{flag} does not go with a plan: write it into {}",
            path.display()
        )));
    }
    let paths = beside(path, &plan);
    Ok((plan, paths))
}

fn plan_of_arguments(args: &Compare, context: &Context) -> Result<(Plan, Vec<PathBuf>), Stop> {
    let catalog = &context.catalog;
    let mut contestants: Vec<Contestant> = Vec::new();
    let names: Vec<&str> = if args.strategies.is_empty() {
        catalog.default_names()
    } else {
        args.strategies.iter().map(String::as_str).collect()
    };
    for name in names {
        if !contestants.iter().any(|known| known.name == name) {
            contestants.push(Contestant::plain(name));
        }
    }
    for (place, vary) in args.vary.iter().enumerate() {
        if args.vary[..place].iter().any(|known| known.key == vary.key) {
            return Err(Stop::Usage(format!("--vary {} is there twice", vary.key)));
        }
    }
    for (place, endpoint) in args.endpoints.iter().enumerate() {
        let name = &endpoint.metric;
        match catalog.metric(name).map(|metric| metric.better) {
            None => {
                let all: Vec<&str> = catalog.metrics().iter().map(|metric| metric.name).collect();
                return Err(Stop::Usage(format!(
                    "--endpoint {name}: unknown metric; there are {}",
                    all.join(", ")
                )));
            }
            Some(Better::Neither) => {
                return Err(Stop::Usage(format!(
                    "--endpoint {name}: neither less nor more of it is better"
                )));
            }
            Some(Better::Low | Better::High) => {}
        }
        if args.endpoints[..place]
            .iter()
            .any(|known| known.metric == *name)
        {
            return Err(Stop::Usage(format!("--endpoint {name} is there twice")));
        }
    }
    let plan = Plan {
        name: "comparison".to_owned(),
        scenarios: Vec::new(),
        seeds: PLAN_SEEDS,
        contestants,
        baseline: 0,
        vary: args.vary.clone(),
        endpoints: if args.endpoints.is_empty() {
            default_endpoints()
        } else {
            args.endpoints.clone()
        },
    };
    Ok((plan, args.paths.clone()))
}

fn place_of(name: &str, contestants: &[Contestant]) -> Result<usize, Stop> {
    let place = contestants
        .iter()
        .position(|contestant| contestant.name == name);
    place.ok_or_else(|| {
        let all: Vec<&str> = contestants.iter().map(|one| one.name.as_str()).collect();
        Stop::Usage(format!(
            "--baseline {name}: the strategies of the comparison are {}",
            all.join(", ")
        ))
    })
}

/// The scenarios' names and texts; the names are those of files to be.
fn named(sources: &[Source]) -> Result<Vec<(String, String)>, Stop> {
    let mut files: Vec<(String, String)> = Vec::new();
    for source in sources {
        let name = files::safe_name(&source.scenario.name);
        if files.iter().any(|(known, _)| *known == name) {
            return Err(Stop::Usage(format!(
                "two files hold a scenario `{name}`: their results could not be told apart"
            )));
        }
        files.push((name, source.text.clone()));
    }
    Ok(files)
}

/// The scenario of each cell and contestant. Of a file that is wrong in several cells, the first
/// is told.
fn variants(
    plan: &Plan,
    cells: &[Cell],
    sources: &[Source],
    big: bool,
    context: &Context,
) -> Result<Vec<Variant>, Stop> {
    let mut variants = Vec::with_capacity(cells.len() * plan.contestants.len());
    let mut told: Vec<usize> = Vec::new();
    for cell in cells {
        for contestant in &plan.contestants {
            let source = &sources[cell.scenario];
            let overrides = cell.overrides(plan, contestant);
            match variant(source, &overrides, big, context) {
                Ok(variant) => variants.push(variant),
                Err(_) if told.contains(&cell.scenario) => {}
                Err(tell) => {
                    told.push(cell.scenario);
                    tell.tell(context);
                }
            }
        }
    }
    if told.is_empty() {
        Ok(variants)
    } else {
        Err(Stop::Told(ExitStatus::Usage))
    }
}

/// Why a scenario cannot run with the values of a cell.
enum Refusal {
    Problem(Box<dyn miette::Diagnostic>, String),
    TooLarge(String),
}

impl Refusal {
    fn tell(&self, context: &Context) {
        match self {
            Self::Problem(problem, name) => {
                context.output.note(format_args!("{name}:"));
                context.output.diagnostic(problem.as_ref());
            }
            Self::TooLarge(reason) => {
                let error = crate::cli::render::style::error("error:");
                context.output.note(format_args!("{error} {reason}"));
            }
        }
    }
}

fn variant(
    source: &Source,
    overrides: &[(String, String)],
    big: bool,
    context: &Context,
) -> Result<Variant, Refusal> {
    let values: Vec<String> = overrides
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let name = match values.is_empty() {
        true => source.path.display().to_string(),
        false => format!("{} with {}", source.path.display(), values.join(", ")),
    };
    let text = apply_overrides(&source.text, overrides)
        .map_err(|error| Refusal::Problem(Box::new(error), name.clone()))?;
    let path = source.path.to_string_lossy();
    let scenario = Scenario::read(&path, text.as_bytes(), &context.catalog)
        .map_err(|problems| Refusal::Problem(Box::new(problems), name.clone()))?;
    if !big && size(&scenario).wants_big {
        return Err(Refusal::TooLarge(format!(
            "{name}: more than 2,000 nodes need --big"
        )));
    }
    Ok(Variant {
        name: name.into(),
        text: text.into(),
        scenario: Arc::new(scenario),
    })
}
