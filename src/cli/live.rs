//! `hublab live`: a scenario file on real hubs, one strategy after the other.

use std::sync::Arc;
use std::time::Duration;

use hublab_sim::report::Report;
use hublab_sim::scenario::Scenario;
use hublab_sim::watch::judge::Verdict;
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use super::args::live::{Live, LiveFormat};
use super::exit::Exit;
use super::interrupt::Listening;
use super::output::{self, quoted};
use super::render::human;
use super::{Context, Stop, files};
use crate::live;

/// The time for what is left of the hubs when all runs are over.
const WIND_DOWN: Duration = Duration::from_secs(1);

/// A report as `--format json` prints it.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    report: &'a Report,
    runtime: &'static str,
}

pub(super) fn live(args: &Live, context: &Context) -> Result<Exit, Stop> {
    let scenario = files::read_one(&args.file, &args.overrides, context)?;
    let strategies = if args.strategies.is_empty() {
        &scenario.run.strategies
    } else {
        &args.strategies
    };
    let seed = args.seed.unwrap_or(scenario.run.seed);
    let prepared = live::prepared(&scenario, seed, args.scale, &context.catalog);
    refuse(args, &scenario, &prepared, strategies, context)?;
    let runtime = Runtime::new().map_err(|error| Stop::Usage(error.to_string()))?;
    let ended = runtime.block_on(run_all(args, &prepared, strategies, context));
    runtime.shutdown_timeout(WIND_DOWN);
    ended
}

/// Whatever cannot be run is told before anything is.
fn refuse(
    args: &Live,
    scenario: &Scenario,
    prepared: &Scenario,
    strategies: &[String],
    context: &Context,
) -> Result<(), Stop> {
    let mut told: Vec<String> = Vec::new();
    for strategy in strategies {
        for reason in live::refusals(prepared, strategy) {
            if !told.contains(&reason) {
                told.push(reason);
            }
        }
    }
    if told.is_empty() {
        return Ok(());
    }
    let name = &scenario.name;
    for reason in told {
        let error = super::render::style::error("error:");
        context
            .output
            .note(format_args!("{error} `{name}` cannot run live: {reason}"));
    }
    let path = quoted(&args.file.to_string_lossy());
    context.output.note(format_args!("hublab run {path}"));
    Err(Stop::Told(Exit::Usage))
}

async fn run_all(
    args: &Live,
    prepared: &Scenario,
    strategies: &[String],
    context: &Context,
) -> Result<Exit, Stop> {
    let bell = Arc::new(Notify::new());
    let ring = Arc::clone(&bell);
    let _listening = Listening::new(move || ring.notify_one());
    let (mut exit, mut repeat) = (Exit::Held, None);
    for strategy in strategies {
        let interrupted = std::sync::atomic::AtomicBool::new(false);
        let ended = live::run(prepared, strategy, args.scale, &context.catalog, async {
            bell.notified().await;
            interrupted.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let mut report = ended.await.map_err(Stop::Usage)?.report;
        report.replay = replay(args, strategy, report.seed);
        exit = exit.max(report.verdict.into());
        if report.verdict != Verdict::Pass {
            repeat.get_or_insert_with(|| report.replay.clone());
        }
        print(args, &report, prepared, context)?;
        if interrupted.into_inner() {
            exit = exit.max(Exit::Interrupted);
            break;
        }
    }
    if let Some(command) = repeat {
        match args.format {
            LiveFormat::Human if strategies.len() > 1 => context.output.line(command)?,
            // The block ends with it.
            LiveFormat::Human => {}
            LiveFormat::Json => context.output.note(command),
        }
    }
    Ok(exit)
}

fn print(args: &Live, report: &Report, prepared: &Scenario, context: &Context) -> Result<(), Stop> {
    match args.format {
        LiveFormat::Human => {
            let block = human::block(report, prepared, output::columns());
            context.output.line(format_args!("{block}\n"))
        }
        LiveFormat::Json => {
            let runtime = "tokio";
            let line = serde_json::to_string(&Line { report, runtime })
                .map_err(|error| Stop::Usage(error.to_string()))?;
            context.output.line(line)
        }
    }
}

/// The command that repeats one run.
fn replay(args: &Live, strategy: &str, seed: u64) -> String {
    let path = quoted(&args.file.to_string_lossy());
    let (strategy, scale) = (quoted(strategy), args.scale);
    let mut command =
        format!("hublab live {path} --scale {scale} --strategy {strategy} --seed {seed}");
    args.overrides.append_to(&mut command);
    command
}
