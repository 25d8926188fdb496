//! `hublab run`: every scenario with every strategy and seed, on all cores.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use hublab_sim::capsule::twice::record;
use hublab_sim::capsule::{
    Capsule, CapsuleError, FileRecording, Header, Limits as CapsuleLimits, why_it_failed,
};
use hublab_sim::report::Report;
use hublab_sim::run::{RunError, Simulation};
use hublab_sim::watch::judge::Verdict;
use tempfile::TempDir;

use super::args::{Run, Size};
use super::exit::ExitStatus;
use super::files;
use super::page::{self, PageFile};
use super::plan::{Plan, Task};
use super::pool::{self, End, Limits, StopFlag};
use super::progress::{Meter, Progress, Reached};
use super::render::number::counted;
use super::results::Results;
use super::twice;
use super::{Context, Stop};

/// A run with more events is not made again to tell what led to its failure: it takes a second or so.
const EXPLAINED_EVENTS_MAX: u64 = 1_000_000;

/// The runs that `--twice` makes of one: it, another, and it twice again.
const RUNS_OF_TWICE: u32 = 4;

/// A page is of at most so many runs: a page of more is no help.
const PAGE_RUNS_MAX: u64 = 200;

pub(super) fn run(mut args: Run, context: &Context) -> Result<ExitStatus, Stop> {
    // Without --out, the capsules that a page is made of are gone at the end.
    let mut of_page = None;
    if args.page.is_some() && args.out.is_none() {
        let made = tempfile::tempdir().map_err(|error| {
            Stop::Usage(format!("--report: there is no place for capsules: {error}"))
        })?;
        args.out = Some(made.path().to_owned());
        of_page = Some(made);
    }
    let page = match &args.page {
        Some(path) => Some(PageFile::open(path)?),
        None => None,
    };
    let sources = files::read_all(&args.paths, &args.overrides, args.strict, context);
    sources.print_repetition(&args.overrides, context);
    let read = sources.exit;
    let (wall, with_table) = (args.wall_limit, args.seeds.is_some());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = args.jobs.map_or(cores, usize::from);
    let (plan, planned) = Plan::new(&args, sources.good, context)?;
    let plan = Arc::new(plan);
    let before = read.max(planned);
    if plan.count() == 0 {
        return Ok(before);
    }
    if page.is_some() && plan.count() > PAGE_RUNS_MAX {
        let asked = counted(plan.count(), "run");
        return Err(Stop::Usage(format!(
            "--report: a page has at most {PAGE_RUNS_MAX} runs, and this is {asked}"
        )));
    }
    let scratch = scratch(&plan)?;
    let bench = Bench {
        plan: plan.clone(),
        context: context.clone(),
        scratch: scratch
            .as_ref()
            .map(|directory| directory.path().to_owned()),
    };
    let progress = Progress::new(&context.output, "run", plan.count(), plan.length());
    let mut results = Results::new(&plan, context, &args.report, with_table, wall)?;
    let meter = |task| progress.meter(plan.duration(plan.group(task)));
    let reached: RefCell<BTreeMap<usize, Arc<Reached>>> = RefCell::default();
    let begin = |number, task| {
        let meter: Meter = meter(task);
        reached.borrow_mut().insert(number, meter.reached());
        (task, meter)
    };
    let ended = pool::run(
        (0..plan.count())
            .map(|number| plan.task(number))
            .enumerate()
            .map(|(number, task)| begin(number, task)),
        Limits {
            workers,
            wall: wall.saturating_mul(if plan.twice { RUNS_OF_TWICE } else { 1 }),
        },
        move |(task, meter), stop| bench.perform(task, meter, &stop),
        |number, ended| {
            progress.part_done();
            let reached = reached.borrow_mut().remove(&number).unwrap_or_default();
            results.take(number, ended, &reached)
        },
    );
    drop(progress);
    let ended = match ended {
        Ok(end) => results.close(end).map(|()| end),
        Err(stop) => Err(stop),
    };
    let so_far = before.max(results.exit());
    if let (Some(page), Ok(_)) = (page, &ended) {
        let made = made(&plan, of_page.is_none());
        page::of_runs(&made, page, Size { big: plan.big }, context)?;
    }
    match ended {
        Ok(End::Interrupted) => Ok(so_far.max(ExitStatus::Interrupted)),
        Ok(End::Complete) | Err(Stop::Pipe) => Ok(so_far),
        Err(Stop::Told(exit)) => Ok(so_far.max(exit)),
        Err(Stop::Usage(reason)) => Err(Stop::Usage(reason)),
    }
}

/// All runs of a plan, for a page.
fn made(plan: &Plan, is_kept: bool) -> Vec<page::Made> {
    let tasks = (0..plan.count()).map(|number| plan.task(number));
    let made = tasks.filter_map(|task| {
        let group = plan.group(task);
        Some(page::Made {
            scenario: plan.source(group).scenario.name.clone(),
            strategy: group.strategy.clone(),
            seed: task.seed,
            capsule: plan.capsule(task)?,
            is_kept,
            repeat: plan.replay(task),
        })
    });
    made.collect()
}

/// What a run comes to.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) report: Report,
    /// The explanation of its first failure, in lines, if that is told.
    pub(super) explanation: Option<String>,
    /// Where a second run differed.
    pub(super) difference: Option<String>,
    /// What else went wrong: a capsule that could not be written.
    pub(super) trouble: Option<Trouble>,
}

/// Why a run, or something beside it, came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The run could not begin.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Its capsule cannot be written.
    #[error("{}: {error}", path.display())]
    Capsule {
        path: PathBuf,
        #[source]
        error: CapsuleError,
    },
    /// Its capsule cannot be moved to its place.
    #[error("{}: {error}", path.display())]
    File {
        path: PathBuf,
        #[source]
        error: io::Error,
    },
    /// It could not be compared with another.
    #[error("--twice: {0}")]
    Twice(#[from] twice::TwiceError),
}

/// A directory for capsules that are not finished or only compared: gone at the end, also of runs
/// that were given up. Beside the capsules that are kept, so that those are only moved.
fn scratch(plan: &Plan) -> Result<Option<TempDir>, Stop> {
    let made = match &plan.out {
        Some(out) => fs::create_dir_all(out).and_then(|()| tempfile::tempdir_in(out)),
        None if plan.twice => tempfile::tempdir(),
        None => return Ok(None),
    };
    let place = plan.out.clone().unwrap_or_else(std::env::temp_dir);
    made.map(Some).map_err(|error| {
        Stop::Usage(format!(
            "{}: cannot hold capsules: {error}",
            place.display()
        ))
    })
}

/// Where runs are made: what every one of them needs.
struct Bench {
    plan: Arc<Plan>,
    context: Context,
    /// The directory for unfinished capsules, if there are any.
    scratch: Option<PathBuf>,
}

impl Bench {
    /// Makes one run, with all that was asked for beside it.
    fn perform(&self, task: Task, meter: Meter, stop: &StopFlag) -> Result<Done, Trouble> {
        let Some(scratch) = &self.scratch else {
            let report = self.simulate(task, meter, None, stop)?;
            let explanation = self.explain(task, &report, stop, None);
            return Ok(Done {
                report,
                explanation,
                difference: None,
                trouble: None,
            });
        };
        let path = scratch.join(format!("{}-{}.capsule", task.group, task.seed));
        let refused = |error| Trouble::Capsule {
            path: path.clone(),
            error,
        };
        let group = self.plan.group(task);
        let scenario = &self.plan.source(group).scenario;
        let header = Header::new(scenario, &group.strategy, task.seed, &self.context.catalog);
        let recording = FileRecording::create(&path, &header, self.limits()).map_err(refused)?;
        let report = self.simulate(task, meter, Some(&recording), stop)?;
        if stop.load(Ordering::Relaxed) {
            // A capsule is of a whole run: the other would not be the same again.
            drop(recording);
            drop(fs::remove_file(&path));
            return Ok(Done {
                report,
                explanation: None,
                difference: None,
                trouble: None,
            });
        }
        let (explanation, judged) = match recording.finish(&report) {
            Ok(()) => {
                let explanation = self.explain(task, &report, stop, Some(&path));
                (explanation, self.compare_and_keep(task, &path))
            }
            Err(error) => (None, Err(refused(error))),
        };
        let (difference, trouble) = match judged {
            Ok(difference) => (difference, None),
            Err(trouble) => (None, Some(trouble)),
        };
        Ok(Done {
            report,
            explanation,
            difference,
            trouble,
        })
    }

    /// Explains the first failure of a run, if it is one of few and short enough: from its capsule, or by
    /// making it again.
    fn explain(
        &self,
        task: Task,
        report: &Report,
        stop: &StopFlag,
        capsule: Option<&Path>,
    ) -> Option<String> {
        let is_short = report.events <= EXPLAINED_EVENTS_MAX && !report.ended_early;
        let is_wanted = self.plan.explains && report.verdict == Verdict::Fail && is_short;
        if !is_wanted || stop.load(Ordering::Relaxed) {
            return None;
        }
        // Without an explanation the failure is told all the same.
        let explained = match capsule {
            Some(path) => why_it_failed(&mut Capsule::open(path, self.limits()).ok()?),
            None => {
                let group = self.plan.group(task);
                let scenario = &self.plan.source(group).scenario;
                let catalog = &self.context.catalog;
                let recorded = record(scenario, &group.strategy, task.seed, catalog);
                why_it_failed(&mut recorded.ok()?.1)
            }
        };
        explained.ok().flatten()
    }

    fn simulate(
        &self,
        task: Task,
        meter: Meter,
        recording: Option<&FileRecording>,
        stop: &StopFlag,
    ) -> Result<Report, RunError> {
        let group = self.plan.group(task);
        let source = self.plan.source(group);
        let scenario = &source.scenario;
        let run = Simulation::new(scenario, &self.context.catalog)
            .strategy(&group.strategy)
            .map(|run| run.seed(task.seed).sink(meter).stop_when(stop.clone()))
            .and_then(|run| run.sinks(recording.map(FileRecording::sink)).run());
        let mut report = run?;
        report.replay = self.plan.replay(task);
        report.warnings.clone_from(&source.warnings);
        Ok(report)
    }

    /// Compares the run with two more if that is asked for; then the capsule goes to its place,
    /// or away.
    fn compare_and_keep(&self, task: Task, capsule: &Path) -> Result<Option<String>, Trouble> {
        let compared = if self.plan.twice {
            let compared = twice::check(&self.plan, task, capsule, self.limits(), &self.context);
            compared.map_err(Trouble::from)
        } else {
            Ok(None)
        };
        let (moved, to) = match self.plan.capsule(task) {
            Some(place) => {
                self.note_replacement(capsule, &place);
                (fs::rename(capsule, &place), place)
            }
            None => (fs::remove_file(capsule), capsule.to_owned()),
        };
        let difference = compared?;
        moved.map_err(|error| Trouble::File { path: to, error })?;
        Ok(difference)
    }

    /// Says so where the capsule of another run is about to be replaced.
    fn note_replacement(&self, new: &Path, place: &Path) {
        let header = |path: &Path| {
            let capsule = Capsule::open(path, CapsuleLimits::BIG).ok()?;
            let digest = capsule.footer().report.digest.clone();
            Some((capsule.header().clone(), digest))
        };
        if place.exists() && header(new) != header(place) {
            let place = place.display();
            self.context
                .output
                .note(format_args!("{place}: replaced, it was of another run"));
        }
    }

    fn limits(&self) -> CapsuleLimits {
        if self.plan.big {
            CapsuleLimits::BIG
        } else {
            CapsuleLimits::default()
        }
    }
}
