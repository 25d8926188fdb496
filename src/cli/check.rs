//! `hublab check`: reads scenario files, and estimates how large their runs are.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hublab_sim::run::EVENT_BUDGET;
use hublab_sim::run::estimate::{Estimate, Size, estimate, size};
use hublab_strategies::time::format_duration;
use serde_json::json;

use super::args::{Check, CheckFormat};
use super::exit::ExitStatus;
use super::files::{self, Source};
use super::output;
use super::pool::{self, End, Ended, Limits};
use super::render::human::broken;
use super::render::number::{bytes, counted, grouped};
use super::render::style;
use super::{Context, Stop};

/// The time for the estimate of one run. Only a strategy that does not return takes that long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A run needs at most this share of the memory that is free, in percent, without a warning.
const MEMORY_SHARE: u64 = 50;

pub(super) fn check(args: &Check, context: &Context) -> Result<ExitStatus, Stop> {
    let sources = files::read_all(&args.paths, &args.overrides, args.strict, context);
    let runs: Vec<(usize, String)> = (0..)
        .zip(&sources.good)
        .flat_map(|(place, source)| {
            let strategies = source.scenario.run.strategies.iter();
            strategies.map(move |strategy| (place, strategy.clone()))
        })
        .collect();
    let jobs = runs.iter().map(|(place, strategy)| {
        let scenario = sources.good[*place].scenario.clone();
        (scenario, strategy.clone())
    });
    let limits = Limits {
        workers: thread::available_parallelism().map_or(1, usize::from),
        wall: PATIENCE,
    };
    let catalog = Arc::clone(&context.catalog);
    let mut told: Vec<(String, Option<Estimate>)> = Vec::new();
    let end = pool::run(
        jobs.collect::<Vec<_>>().into_iter(),
        limits,
        move |(scenario, strategy), _| estimate(&scenario, &strategy, &catalog),
        |number, ended| {
            let (place, strategy) = &runs[number];
            let estimate = match ended {
                Ended::Done(estimate) => Some(estimate),
                // A panic or an endless run of the strategy is reported by `run`.
                Ended::Panicked(_) | Ended::Overdue(_) => None,
            };
            told.push((strategy.clone(), estimate));
            let is_last = runs.get(number + 1).is_none_or(|(next, _)| next != place);
            if is_last {
                let told = std::mem::take(&mut told);
                print(&sources.good[*place], &told, args.format, context)?;
            }
            Ok(())
        },
    )?;
    sources.print_repetition(&args.overrides, context);
    Ok(match end {
        End::Complete => sources.exit,
        End::Interrupted => sources.exit.max(ExitStatus::Interrupted),
    })
}

type Told = (String, Option<Estimate>);

fn print(
    source: &Source,
    told: &[Told],
    format: CheckFormat,
    context: &Context,
) -> Result<(), Stop> {
    let size = size(&source.scenario);
    match format {
        CheckFormat::Human => {
            let width = output::columns().sentences;
            let mut text = format!("{}: {}", source.path.display(), words(source, &size));
            for (strategy, estimate) in told {
                text.push_str(&format!(
                    "; {strategy} {}",
                    figures(source, estimate.as_ref())
                ));
            }
            // Below one another where a width is known, as for a terminal.
            let lines = broken(&text, width.saturating_sub(3)).join("\n   ");
            context
                .output
                .line(format_args!("{} {lines}", style::pass("ok")))?;
        }
        CheckFormat::Json => context.output.line(object(source, &size, told))?,
    }
    for (strategy, estimate) in told {
        if let Some(estimate) = estimate {
            for warning in warnings(estimate) {
                let (path, word) = (source.path.display(), style::warn("warning:"));
                let output = &context.output;
                output.note(format_args!("{word} {path}, {strategy}: {warning}"));
            }
        }
    }
    Ok(())
}

fn words(source: &Source, size: &Size) -> String {
    let children = match size.children {
        1 => "1 child".to_owned(),
        children => format!("{} children", grouped(children)),
    };
    let big = if size.wants_big { "; needs --big" } else { "" };
    format!(
        "{}, {}, {children} over {}{big}",
        counted(size.nodes as u64, "node"),
        counted(size.steps as u64, "step"),
        format_duration(source.scenario.run.duration),
    )
}

fn figures(source: &Source, estimate: Option<&Estimate>) -> String {
    let Some(estimate) = estimate else {
        return "has no estimate: its code does not come to an end".to_owned();
    };
    let seconds = source.scenario.run.duration.as_secs().max(1);
    format!(
        "about {}, {} ({}/s), {} sent, {} of memory at most",
        counted(estimate.events, "event"),
        counted(estimate.messages, "message"),
        grouped(estimate.messages / seconds),
        bytes(estimate.bytes),
        bytes(estimate.memory_bytes),
    )
}

fn object(source: &Source, size: &Size, told: &[Told]) -> String {
    let estimates = told.iter().map(|(strategy, estimate)| {
        let known = estimate.as_ref();
        json!({
            "strategy": strategy,
            "events": known.map(|one| one.events),
            "messages": known.map(|one| one.messages),
            "bytes": known.map(|one| one.bytes),
            "memory_bytes": known.map(|one| one.memory_bytes),
            "exact": known.map(|one| one.is_exact),
        })
    });
    let line = json!({
        "schema": 1,
        "path": source.path.to_string_lossy(),
        "scenario": source.scenario.name,
        "nodes": size.nodes,
        "steps": size.steps,
        "children": size.children,
        "wants_big": size.wants_big,
        "warnings": source.warnings,
        "estimates": estimates.collect::<Vec<_>>(),
    });
    line.to_string()
}

/// Warnings of memory and of the event budget.
fn warnings(estimate: &Estimate) -> Vec<String> {
    let mut warnings = Vec::new();
    if estimate.events > EVENT_BUDGET {
        let budget = grouped(EVENT_BUDGET);
        warnings.push(format!(
            "a run is ended after {budget} events, inconclusive"
        ));
    }
    let free = free_memory();
    if let Some(free) = free
        && estimate.memory_bytes > free / 100 * MEMORY_SHARE
    {
        let (needs, free) = (bytes(estimate.memory_bytes), bytes(free));
        warnings.push(format!(
            "one run needs about {needs} of memory; {free} are free"
        ));
    }
    warnings
}

/// The memory that this machine has free, in bytes; `None` if it does not tell.
fn free_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes.saturating_mul(1_024))
}
