//! `hublab run`: every scenario with every strategy and seed, on all cores.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use hublab_sim::observe::judge::Verdict;
use hublab_sim::report::{self, Messages, Report};
use hublab_sim::run::{Options, run as simulate};
use hublab_sim::trace::capsule::{CapsuleError, FileRecording, Header, Limits as CapsuleLimits};
use hublab_strategies::time::format_duration;
use tempfile::TempDir;

use super::args::{Format, Run};
use super::exit::Exit;
use super::files;
use super::output;
use super::plan::{Plan, Task};
use super::pool::{self, End, Ended, Limits};
use super::progress::{Meter, Progress};
use super::render::number::{counted, time};
use super::render::seeds::Summary;
use super::render::{csv, human, style};
use super::twice;
use super::{Context, Stop, tell_bug};

/// From this many runs on, one that passes is a line.
const MANY: u64 = 6;

pub(super) fn run(args: Run, context: &Context) -> Result<Exit, Stop> {
    let sources = files::read_all(&args.paths, &args.overrides, context);
    sources.tell_repetition(&args.overrides, context);
    let read = sources.exit;
    let (format, wall, with_table) = (args.format, args.wall_limit, args.seeds.is_some());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = args.jobs.map_or(cores, usize::from);
    let (plan, planned) = Plan::new(args, sources.good, context)?;
    let plan = Arc::new(plan);
    let before = read.max(planned);
    if plan.count() == 0 {
        return Ok(before);
    }
    if let Some(directory) = &plan.out {
        let refused =
            |error| Stop::Usage(format!("{}: cannot be made: {error}", directory.display()));
        fs::create_dir_all(directory).map_err(refused)?;
    }
    let progress = Progress::new(&context.output, "runs", plan.count(), plan.length());
    let mut results = Results::new(&plan, context, format, with_table);
    let (planned, given) = (plan.clone(), context.clone());
    let jobs = plan
        .tasks()
        .map(|task| (task, progress.meter(plan.duration(plan.group(task)))));
    let ended = pool::run(
        jobs,
        Limits { workers, wall },
        move |(task, meter)| perform(&planned, task, meter, &given),
        |number, ended| {
            progress.part_done();
            results.take(number, ended)
        },
    );
    drop(progress);
    let ended = match ended {
        Ok(end) => results.close(end, wall).map(|()| end),
        Err(stop) => Err(stop),
    };
    let so_far = before.max(results.exit);
    match ended {
        Ok(End::Interrupted) => Ok(so_far.max(Exit::Interrupted)),
        Ok(End::Complete | End::Overdue) | Err(Stop::Pipe) => Ok(so_far),
        Err(Stop::Told(exit)) => Ok(so_far.max(exit)),
        Err(Stop::Usage(reason)) => Err(Stop::Usage(reason)),
    }
}

/// What a run comes to beside its report.
#[derive(Debug)]
struct Done {
    report: Report,
    /// Where a second run differed.
    difference: Option<String>,
    /// What else went wrong: a capsule that could not be written.
    trouble: Option<String>,
}

/// Makes one run, with all that was asked for beside it.
fn perform(plan: &Plan, task: Task, meter: Meter, context: &Context) -> Result<Done, String> {
    let group = plan.group(task);
    let scenario = &plan.source(group).scenario;
    let limits = if plan.big {
        CapsuleLimits::BIG
    } else {
        CapsuleLimits::default()
    };
    let kept = Kept::new(plan, task)?;
    let recording = match &kept {
        None => None,
        Some(kept) => {
            let header = Header::new(scenario, &group.strategy, task.seed, &context.catalog);
            Some(
                FileRecording::create(&kept.path, &header, limits)
                    .map_err(|error| kept.refused(&error))?,
            )
        }
    };
    let mut options = Options::default();
    options.sinks.push(Box::new(meter));
    options
        .sinks
        .extend(recording.iter().map(FileRecording::sink));
    let done = simulate(
        scenario,
        &group.strategy,
        task.seed,
        &context.catalog,
        options,
    );
    let mut report = done.map_err(|error| error.to_string())?.report;
    report.replay = plan.replay(task);
    let compared = match (&kept, recording) {
        (Some(kept), Some(recording)) => match recording.finish(&report) {
            Ok(()) if plan.twice => twice::check(plan, task, &kept.path, limits, context),
            Ok(()) => Ok(None),
            Err(error) => Err(kept.refused(&error)),
        },
        (Some(_) | None, _) => Ok(None),
    };
    let (difference, trouble) = match compared {
        Ok(difference) => (difference, None),
        Err(trouble) => (None, Some(trouble)),
    };
    Ok(Done {
        report,
        difference,
        trouble,
    })
}

/// Where the capsule of a run goes: it is wanted, or needed to compare.
struct Kept {
    path: PathBuf,
    /// The directory, if it is to go when the run is judged.
    _passing: Option<TempDir>,
}

impl Kept {
    fn new(plan: &Plan, task: Task) -> Result<Option<Self>, String> {
        match plan.capsule(task) {
            Some(path) => Ok(Some(Self {
                path,
                _passing: None,
            })),
            None if plan.twice => {
                let passing = tempfile::tempdir()
                    .map_err(|error| format!("no temporary directory: {error}"))?;
                Ok(Some(Self {
                    path: passing.path().join("first.capsule"),
                    _passing: Some(passing),
                }))
            }
            None => Ok(None),
        }
    }

    fn refused(&self, error: &CapsuleError) -> String {
        format!("{}: {error}", self.path.display())
    }
}

/// Prints results as they come, and remembers what they add up to.
#[derive(Debug)]
struct Results<'a> {
    plan: &'a Plan,
    context: &'a Context,
    format: Format,
    exit: Exit,
    begun: Instant,
    tasks: Vec<u64>,
    counts: [u64; 3],
    /// The command that repeats the first run that did not pass.
    repeat: Option<String>,
    summaries: Option<Vec<Summary>>,
    names: usize,
    strategies: usize,
}

impl<'a> Results<'a> {
    fn new(plan: &'a Plan, context: &'a Context, format: Format, with_table: bool) -> Self {
        const NAMES_MAX: usize = 40;
        let longest =
            |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0).min(NAMES_MAX);
        let mut first = 0;
        let tasks = plan.groups.iter().map(|group| {
            let begins = first;
            first += group.seeds.end - group.seeds.start;
            begins
        });
        Self {
            plan,
            context,
            format,
            exit: Exit::Held,
            begun: Instant::now(),
            tasks: tasks.collect(),
            counts: [0; 3],
            repeat: None,
            summaries: with_table.then(|| vec![Summary::default(); plan.groups.len()]),
            names: longest(
                &mut plan
                    .sources
                    .iter()
                    .map(|source| source.scenario.name.chars().count()),
            ),
            strategies: longest(
                &mut plan
                    .groups
                    .iter()
                    .map(|group| group.strategy.chars().count()),
            ),
        }
    }

    fn task(&self, number: usize) -> Task {
        let number = number as u64;
        let group = self
            .tasks
            .partition_point(|first| *first <= number)
            .saturating_sub(1);
        Task {
            group,
            seed: self.plan.groups[group].seeds.start + (number - self.tasks[group]),
        }
    }

    fn take(&mut self, number: usize, ended: Ended<Result<Done, String>>) -> Result<(), Stop> {
        let task = self.task(number);
        match ended {
            Ended::Done(Ok(done)) => self.done(task, &done),
            Ended::Done(Err(reason)) => {
                self.exit = self.exit.max(Exit::Usage);
                self.context
                    .output
                    .note(format_args!("{} {reason}", style::error("error:")));
                self.remember(task);
                Ok(())
            }
            Ended::Panicked(what) => {
                self.exit = self.exit.max(Exit::Bug);
                tell_bug(self.context, &what);
                self.remember(task);
                Ok(())
            }
            Ended::Overdue => {
                let report = self.overdue(task);
                self.print(task, &report)
            }
        }
    }

    fn done(&mut self, task: Task, done: &Done) -> Result<(), Stop> {
        self.print(task, &done.report)?;
        if let Some(summaries) = &mut self.summaries {
            summaries[task.group].add(&done.report);
        }
        if let Some(trouble) = &done.trouble {
            self.exit = self.exit.max(Exit::Usage);
            self.context
                .output
                .note(format_args!("{} {trouble}", style::error("error:")));
        }
        if let Some(difference) = &done.difference {
            self.exit = self.exit.max(Exit::Mismatch);
            let command = format!("{} --twice", done.report.replay);
            let text = format!(
                "{}: {difference}\n{command}",
                style::error("not deterministic")
            );
            self.repeat.get_or_insert(command);
            match self.format {
                Format::Human => self.context.output.line(text)?,
                Format::Json | Format::Csv => self.context.output.note(text),
            }
        }
        Ok(())
    }

    /// The report of a run that was given up. The wall clock judged it, so it has no digest.
    fn overdue(&self, task: Task) -> Report {
        let group = self.plan.group(task);
        Report {
            schema: report::SCHEMA,
            scenario: self.plan.source(group).scenario.name.clone(),
            strategy: group.strategy.clone(),
            seed: task.seed,
            verdict: Verdict::Inconclusive,
            digest: None,
            events: 0,
            virtual_us: 0,
            wall_us: u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            messages: Messages::default(),
            converged_us: None,
            rows: 0,
            expectations: Vec::new(),
            violations: Vec::new(),
            violations_suppressed: 0,
            timeline: Vec::new(),
            replay: self.plan.replay(task),
        }
    }

    fn remember(&mut self, task: Task) {
        self.repeat.get_or_insert_with(|| self.plan.replay(task));
    }

    fn print(&mut self, task: Task, report: &Report) -> Result<(), Stop> {
        let first = self.counts == [0; 3];
        self.counts[report.verdict as usize] += 1;
        self.exit = self.exit.max(report.verdict.into());
        if report.verdict != Verdict::Pass {
            self.remember(task);
        }
        let output = &self.context.output;
        match self.format {
            Format::Human => self.print_for_people(task, report, first),
            Format::Json => {
                let line = serde_json::to_string(report)
                    .map_err(|error| Stop::Usage(error.to_string()))?;
                output.line(line)
            }
            Format::Csv => {
                if first {
                    output.line(csv::HEADER)?;
                }
                output.line(csv::line(report))
            }
        }
    }

    fn print_for_people(&self, task: Task, report: &Report, first: bool) -> Result<(), Stop> {
        let output = &self.context.output;
        let many = self.plan.count() >= MANY;
        if many && report.verdict == Verdict::Pass {
            return output.line(human::line(report, self.names, self.strategies));
        }
        let scenario = &self.plan.source(self.plan.group(task)).scenario;
        let block = human::block(report, scenario, output::width());
        let (before, after) = (if first { "" } else { "\n" }, if many { "\n" } else { "" });
        output.line(format_args!("{before}{block}{after}"))
    }

    /// The end of the series: tables, totals, and the command that repeats the first failure.
    fn close(&mut self, end: End, wall: std::time::Duration) -> Result<(), Stop> {
        let output = &self.context.output;
        let finished: u64 = self.counts.iter().sum();
        let of_all = format!("{} of {}", finished, counted(self.plan.count(), "run"));
        match end {
            End::Complete => {}
            End::Interrupted => output.note(format_args!("interrupted: {of_all} finished")),
            End::Overdue => {
                let limit = format_duration(wall);
                output.note(format_args!(
                    "ended: a run took longer than {limit} (--wall-limit); {of_all} judged"
                ));
            }
        }
        match self.format {
            Format::Human => self.close_for_people(finished),
            Format::Json | Format::Csv => {
                self.repeat.iter().for_each(|command| output.note(command));
                Ok(())
            }
        }
    }

    fn close_for_people(&mut self, finished: u64) -> Result<(), Stop> {
        let output = &self.context.output;
        if let Some(summaries) = &mut self.summaries {
            for (group, summary) in self.plan.groups.iter().zip(summaries) {
                let title = format!(
                    "{} {}",
                    self.plan.source(group).scenario.name,
                    group.strategy
                );
                output.line(format_args!("\n{}", summary.table(&title)))?;
            }
        }
        if finished > 1 || self.summaries.is_some() {
            let [pass, inconclusive, fail] = self.counts;
            let took = time(u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX));
            output.line(format_args!(
                "\n{}",
                human::total(pass, fail, inconclusive, &took)
            ))?;
            self.repeat
                .iter()
                .try_for_each(|command| output.line(command))?;
        }
        Ok(())
    }
}
