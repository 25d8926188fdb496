//! `hublab replay`: runs a capsule again and compares, event by event.

use hublab_sim::capsule::replay::{ReplayError, replay as run_again};

use super::args::Replay;
use super::capsules;
use super::exit::ExitStatus;
use super::output::quoted;
use super::progress::Progress;
use super::render::number::counted;
use super::render::style;
use super::{Context, Stop};

pub(super) fn replay(args: &Replay, context: &Context) -> Result<ExitStatus, Stop> {
    let output = &context.output;
    let capsule = capsules::open(&args.capsule, args.size)?;
    let progress = Progress::new(output, "replay", 1, 1);
    let replayed = match run_again(capsule, &context.catalog) {
        Ok(replayed) => replayed,
        Err(ReplayError::Scenario(problems)) => {
            return Err(capsules::refused(&args.capsule, &problems, context));
        }
        Err(error @ (ReplayError::Capsule(_) | ReplayError::Run(_))) => {
            return Err(capsules::unusable(&args.capsule, error));
        }
    };
    drop(progress);
    if let Some(build) = &replayed.other_build {
        output.note(format_args!(
            "the capsule is from another build, {build}; compared all the same"
        ));
    }
    let report = &replayed.report;
    let run = format!(
        "{}  {}  seed {}",
        report.scenario, report.strategy, report.seed
    );
    let Some(divergence) = replayed.divergence else {
        let events = counted(report.events, "event");
        let was = replayed.recorded.verdict.word();
        output.line(format_args!(
            "{}  {run}: {events}, verdict {was}",
            style::pass("same")
        ))?;
        output.line(format_args!(
            "digest {}",
            report.digest.as_deref().unwrap_or("none")
        ))?;
        return Ok(ExitStatus::Held);
    };
    output.line(format_args!(
        "{}  {run}: {divergence}",
        style::error("different")
    ))?;
    output.line("< the capsule, > the run of now")?;
    output.line(format_args!(
        "hublab replay {}",
        quoted(&args.capsule.to_string_lossy())
    ))?;
    Ok(ExitStatus::Mismatch)
}
