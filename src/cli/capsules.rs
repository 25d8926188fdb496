//! Opening capsules, as every command that reads them does; or recording one, in memory.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::time::Duration;

use hublab_sim::capsule::twice::record;
use hublab_sim::capsule::{Capsule, Header, Limits, MemoryCapsule, is_capsule};
use hublab_sim::scenario::{Problems, Scenario};
use hublab_strategies::time::format_duration;

use super::args::{Recorded, Size};
use super::output::quoted_path;
use super::{Context, Stop, files};

/// A run that can be asked about.
#[derive(Debug)]
pub(super) enum Opened {
    /// A capsule.
    File(Capsule<BufReader<File>>),
    /// A scenario file that was run.
    Memory(MemoryCapsule),
}

/// True for a file that is named as scenarios are, and is no capsule.
pub(super) fn is_scenario(path: &Path) -> bool {
    let is_named_so = path.extension().is_some_and(|suffix| suffix == "toml");
    if !is_named_so || !path.is_file() {
        return false;
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut start));
    read.is_ok() && !is_capsule(&start)
}

/// Opens a capsule, or runs a scenario file and records it.
///
/// # Errors
/// It is neither, or the file cannot be run with these settings.
pub(super) fn open_or_run(args: &Recorded, context: &Context) -> Result<Opened, Stop> {
    let path = &args.path;
    if !is_scenario(path) {
        let has_settings = [
            ("--strategy", args.strategy.is_some()),
            ("--seed", args.seed.is_some()),
            ("--set", !args.overrides.values.is_empty()),
        ];
        if let Some((flag, _)) = has_settings.into_iter().find(|(_, given)| *given) {
            let path = path.display();
            return Err(Stop::Usage(format!(
                "{flag} is for scenario files, which are run first; {path} has been run"
            )));
        }
        return open(path, args.size).map(Opened::File);
    }
    let scenario = files::read_one(path, &args.overrides, context)?;
    let strategy = match (&args.strategy, &scenario.run.strategies[..]) {
        (Some(strategy), _) => strategy,
        (None, [only]) => only,
        (None, several) => {
            let several = several.join(", ");
            return Err(Stop::Usage(format!("--strategy: choose one of {several}")));
        }
    };
    let seed = args.seed.unwrap_or(scenario.run.seed);
    let run = record(&scenario, strategy, seed, &context.catalog);
    run.map(|(_, capsule)| Opened::Memory(capsule))
        .map_err(|error| unusable(path, error))
}

/// Opens a capsule.
///
/// # Errors
/// It cannot be read, or is none, or is too large.
pub(super) fn open(path: &Path, size: Size) -> Result<Capsule<BufReader<File>>, Stop> {
    if is_scenario(path) {
        let file = quoted_path(path);
        let reason = format!(
            "this is a scenario; `hublab run {file} --out DIR` runs it and writes a capsule"
        );
        return Err(unusable(path, reason));
    }
    let limits = if size.big {
        Limits::BIG
    } else {
        Limits::default()
    };
    Capsule::open(path, limits).map_err(|error| unusable(path, error))
}

/// The resolved scenario in a capsule.
///
/// # Errors
/// This program does not accept it; its problems have been printed.
pub(super) fn scenario(header: &Header, path: &Path, context: &Context) -> Result<Scenario, Stop> {
    let text = header.scenario.as_bytes();
    let read = Scenario::read("the scenario in the capsule", text, &context.catalog);
    let mut scenario = read.map_err(|problems| refused(path, &problems, context))?;
    scenario.name.clone_from(&header.name);
    Ok(scenario)
}

/// Prints the problems of a capsule's scenario, and says that this program does not accept it.
pub(super) fn refused(path: &Path, problems: &Problems, context: &Context) -> Stop {
    context.output.diagnostic(problems);
    let reason = "its scenario is not accepted by this program; `hublab show --scenario` prints it";
    unusable(path, reason)
}

/// What is wrong with a time that the run of a capsule does not reach.
pub(super) fn behind_end(flag: &str, time: Duration, end: Duration) -> Stop {
    let (time, end) = (format_duration(time), format_duration(end));
    Stop::Usage(format!("{flag} {time} is behind the end of the run, {end}"))
}

/// What is wrong with a capsule, for whoever named it.
pub(super) fn unusable(path: &Path, error: impl std::fmt::Display) -> Stop {
    Stop::Usage(format!("{}: {error}", path.display()))
}
