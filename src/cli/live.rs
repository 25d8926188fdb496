//! `hublab live`: a scenario file on real hubs, one strategy after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hublab_sim::campaign::record::Record;
use hublab_sim::campaign::shard::Shard;
use hublab_sim::campaign::summary::Summary;
use hublab_sim::scenario::Scenario;
use hublab_sim::watch::judge::Verdict;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use super::args::live::Live;
use super::campaign::account::{Account, Source};
use super::exit::ExitStatus;
use super::interrupt::Listening;
use super::output::quoted;
use super::render::human::Tally;
use super::report::{Reporters, Run, Series, Setting, Totals};
use super::{Context, Stop, files};
use crate::live;

/// The time for what is left of the hubs when all runs are over.
const WIND_DOWN: Duration = Duration::from_secs(1);

pub(super) fn live(args: &Live, context: &Context) -> Result<ExitStatus, Stop> {
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
    Err(Stop::Told(ExitStatus::Usage))
}

async fn run_all(
    args: &Live,
    prepared: &Scenario,
    strategies: &[String],
    context: &Context,
) -> Result<ExitStatus, Stop> {
    let longest = strategies.iter().map(|name| name.chars().count()).max();
    let setting = Setting {
        runs: strategies.len() as u64,
        names: prepared.name.chars().count(),
        strategies: longest.unwrap_or(0),
        overrides: args.overrides.values.clone(),
        kinds: Vec::new(),
    };
    let (format, exports) = (args.report.format, &args.report.exports);
    let mut reporters = Reporters::new(format, exports, setting, context)?;
    let bell = Arc::new(Notify::new());
    let ring = Arc::clone(&bell);
    let _listening = Listening::new(move || ring.notify_one());
    let path = args.file.to_string_lossy();
    let begun = Instant::now();
    let (mut exit, mut repeat) = (ExitStatus::Held, None);
    let (mut summary, mut tally) = (Summary::default(), Tally::default());
    for strategy in strategies {
        let interrupted = AtomicBool::new(false);
        let (scale, catalog) = (args.scale, &context.catalog);
        let ended = live::run(prepared, strategy, scale, catalog, Vec::new(), async {
            bell.notified().await;
            interrupted.store(true, Ordering::Relaxed);
        });
        let ended = ended.await.map_err(|error| Stop::Usage(error.to_string()));
        let mut report = ended?.report;
        report.replay = replay(args, strategy, report.seed);
        exit = exit.max(report.verdict.into());
        tally.add(report.verdict);
        if report.verdict != Verdict::Pass {
            repeat.get_or_insert_with(|| report.replay.clone());
        }
        let record = Record::of_run(&path, prepared, &report);
        summary.add(&record);
        reporters.run(&Run {
            record: &record,
            details: Some((&report, prepared)),
            explanation: None,
        })?;
        if interrupted.into_inner() {
            exit = exit.max(ExitStatus::Interrupted);
            break;
        }
    }
    let command = |_: &str, strategy: &str, seed: u64| replay(args, strategy, seed);
    reporters.close(&Totals {
        account: Account {
            title: "hublab live",
            source: Source::Runs(&command),
            shard: Shard::WHOLE,
            summary: &summary,
            folder: None,
        },
        series: Some(Series {
            tally,
            took: begun.elapsed(),
            tables: None,
            repeat: repeat.as_deref(),
        }),
        reach: "",
    })?;
    if !format.is_human() {
        repeat
            .iter()
            .for_each(|command| context.output.note(command));
    }
    Ok(exit)
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
