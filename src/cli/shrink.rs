//! `hublab shrink`: the smallest scenario that fails like a capsule's.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hublab_sim::capsule::Header;
use hublab_sim::classify;
use hublab_sim::run::failure::Signature;
use hublab_sim::scenario::{Claim, Scenario};
use hublab_sim::shrink::{
    self, Budget, Ended, Progress as Step, ShrinkError, Shrunk, Target, Watcher, findings,
};
use hublab_sim::watch::judge::Verdict;

use super::args::Size;
use super::args::shrink::Shrink;
use super::exit::ExitStatus;
use super::output::quoted;
use super::pool::{self, End, Ended as Job, Limits};
use super::progress::Progress;
use super::render::number::counted;
use super::render::style;
use super::{Context, Stop, capsules};

/// How much longer than its limit a search may take before it is given up: it looks at the clock
/// between runs only.
const GRACE: Duration = Duration::from_secs(30);

pub(super) fn shrink(args: &Shrink, context: &Context) -> Result<ExitStatus, Stop> {
    let (header, recorded) = read(args, args.size)?;
    let scenario = capsules::scenario(&header, &args.capsule, context)?;
    let Some(signature) = choose(args, &header, &scenario, context)? else {
        return nothing_fails(args, recorded, context);
    };
    let shrunk = match search(args, &header, scenario, signature, context)? {
        Ok(shrunk) => shrunk,
        Err(exit) => return Ok(exit),
    };
    hand_back(args, &shrunk, context)
}

/// What the capsule says of its run.
fn read(args: &Shrink, size: Size) -> Result<(Header, Verdict), Stop> {
    let capsule = capsules::open(&args.capsule, size)?;
    Ok((capsule.header().clone(), capsule.footer().report.verdict))
}

/// The failure that is meant; `None` if there is none of that name. The others are told.
fn choose(
    args: &Shrink,
    header: &Header,
    scenario: &Scenario,
    context: &Context,
) -> Result<Option<Signature>, Stop> {
    let asked = args.oracle.as_deref();
    if let Some(name) = asked {
        check_name(name, scenario, context)?;
    }
    let (strategy, seed) = (&header.strategy, header.seed);
    let oracles: Vec<&str> = asked.into_iter().collect();
    let mut found = findings(scenario, strategy, seed, &oracles, &context.catalog)
        .map_err(|error| capsules::unusable(&args.capsule, error))?;
    if let Some(name) = asked {
        found.retain(|signature| signature.oracle == name);
    }
    let mut found = found.into_iter();
    let first = found.next();
    for other in found {
        context
            .output
            .note(format_args!("the run also fails with {other}"));
    }
    Ok(first)
}

fn check_name(name: &str, scenario: &Scenario, context: &Context) -> Result<(), Stop> {
    let catalog = &context.catalog;
    let claims = scenario
        .expectations
        .iter()
        .map(|expectation| &expectation.claim);
    if catalog.oracle(name).is_some() || claims.map(Claim::name).any(|claim| claim == name) {
        return Ok(());
    }
    Err(Stop::Usage(format!(
        "`{name}` is neither an oracle nor the kind of an expectation of this scenario; oracles are {}",
        catalog.oracle_names().collect::<Vec<_>>().join(", ")
    )))
}

fn nothing_fails(args: &Shrink, recorded: Verdict, context: &Context) -> Result<ExitStatus, Stop> {
    let what = match (&args.oracle, recorded) {
        (None, recorded) if recorded.is_failure() => {
            let path = quoted(&args.capsule.to_string_lossy());
            context.output.note(format_args!(
                "{} the run failed when it was recorded, and does not now",
                style::error("different:")
            ));
            context.output.note(format_args!("hublab replay {path}"));
            return Ok(ExitStatus::Mismatch);
        }
        (None, _) => {
            "nothing fails in this run; name an oracle to look for: --oracle no_resurrection"
                .to_owned()
        }
        (Some(name), _) => format!("the run does not fail with {name}"),
    };
    Err(capsules::unusable(&args.capsule, what))
}

/// Searches on a thread, so that a step that never returns does not keep the command.
fn search(
    args: &Shrink,
    header: &Header,
    scenario: Scenario,
    signature: Signature,
    context: &Context,
) -> Result<Result<Shrunk, ExitStatus>, Stop> {
    let limits = Limits {
        workers: 1,
        wall: args.wall_limit.saturating_add(GRACE),
    };
    let budget = Budget {
        runs: args.budget,
        ..Budget::default()
    };
    let watcher = Clock {
        end: Instant::now().checked_add(args.wall_limit),
        progress: Progress::new(&context.output, "run", args.budget, args.budget),
    };
    let (strategy, seed, catalog) = (
        header.strategy.clone(),
        header.seed,
        Arc::clone(&context.catalog),
    );
    let stronger = args.stronger;
    let work = move |mut watcher: Clock, _| {
        let anomaly = classify::of_run(&scenario, &strategy, seed, &signature, &catalog);
        let target = Target {
            stronger,
            ..Target::new(&scenario, &strategy, seed, &signature).named(anomaly)
        };
        shrink::shrink(&target, &catalog, budget, &mut watcher)
    };
    let mut result = None;
    let end = pool::run(std::iter::once(watcher), limits, work, |_, ended| {
        result = Some(ended);
        Ok(())
    })?;
    match (result, end) {
        (Some(Job::Done(Ok(shrunk))), _) => Ok(Ok(shrunk)),
        (Some(Job::Done(Err(error))), _) => refused(args, &error, context).map(Err),
        (Some(Job::Panicked(what)), _) => {
            super::print_bug(context, &what);
            Ok(Err(ExitStatus::Bug))
        }
        (_, End::Interrupted) => Ok(Err(ExitStatus::Interrupted)),
        (Some(Job::Overdue(_)) | None, End::Complete) => {
            let limit = "a run did not end within the limit; nothing was shrunk";
            context
                .output
                .note(format_args!("{} {limit}", style::error("error:")));
            Ok(Err(ExitStatus::Inconclusive))
        }
    }
}

fn refused(args: &Shrink, error: &ShrinkError, context: &Context) -> Result<ExitStatus, Stop> {
    match error {
        ShrinkError::Run(error) => Err(capsules::unusable(&args.capsule, error)),
        ShrinkError::NotThere { .. } => {
            context
                .output
                .note(format_args!("{} {error}", style::error("different:")));
            Ok(ExitStatus::Mismatch)
        }
    }
}

/// Ends a search when its time is over, and shows how far it is.
struct Clock {
    /// `None`: never.
    end: Option<Instant>,
    progress: Progress,
}

impl Watcher for Clock {
    fn go_on(&mut self, _step: &Step) -> bool {
        drop(self.progress.meter(1));
        self.progress.part_done();
        self.end.is_none_or(|end| Instant::now() < end)
    }
}

/// Prints the scenario, or writes it and says so.
fn hand_back(args: &Shrink, shrunk: &Shrunk, context: &Context) -> Result<ExitStatus, Stop> {
    let output = &context.output;
    let Some(path) = &args.out else {
        output.write(|out| out.write_all(shrunk.file("FILE").as_bytes()))?;
        print_end(shrunk, context);
        return Ok(ExitStatus::Held);
    };
    let command = quoted(&path.to_string_lossy());
    fs::write(path, shrunk.file(&command))
        .map_err(|error| Stop::Usage(format!("{}: {error}", path.display())))?;
    let size = |size: shrink::Size| {
        let (steps, nodes) = (size.steps as u64, size.nodes as u64);
        format!("{} and {}", counted(steps, "step"), counted(nodes, "node"))
    };
    output.line(format_args!(
        "{}  from {} to {} in {}",
        style::pass("shrunk"),
        size(shrunk.before),
        size(shrunk.after),
        counted(shrunk.runs, "run")
    ))?;
    output.line(format_args!("hublab run {command}"))?;
    print_end(shrunk, context);
    Ok(ExitStatus::Held)
}

fn print_end(shrunk: &Shrunk, context: &Context) {
    let why = match shrunk.ended {
        Ended::Smallest => return,
        Ended::OutOfBudget => "the budget is spent: --budget gives more, and it may get smaller",
        Ended::Stopped => {
            "the time is over: --wall-limit gives more; made again, it may end elsewhere"
        }
    };
    context.output.note(why);
}
