//! `hublab why`: the chain of events that made a row what it is.

use std::io::{Read, Seek};
use std::time::Duration;

use hublab_sim::capsule::Capsule;
use hublab_sim::capsule::why::why as explain;
use hublab_strategies::Time;
use hublab_strategies::time::micros;

use super::args::{Why, WhyFormat};
use super::capsules::{self, Opened};
use super::exit::ExitStatus;
use super::{Context, Stop};

pub(super) fn why(args: &Why, context: &Context) -> Result<ExitStatus, Stop> {
    match capsules::open_or_run(&args.run, context)? {
        Opened::File(capsule) => why_of(args, capsule, context),
        Opened::Memory(capsule) => why_of(args, capsule, context),
    }
}

fn why_of<R: Read + Seek>(
    args: &Why,
    mut capsule: Capsule<R>,
    context: &Context,
) -> Result<ExitStatus, Stop> {
    let end = Duration::from_micros(capsule.footer().report.virtual_us);
    if let Some(at) = args.at.filter(|at| *at > end) {
        return Err(capsules::behind_end("--at", at, end));
    }
    let at = args.at.map(|time| Time(micros(time)));
    let told = explain(&mut capsule, &args.node, &args.child, at)
        .map_err(|error| capsules::unusable(&args.run.path, error))?;
    match args.format {
        WhyFormat::Text => context.output.line(told)?,
        WhyFormat::Json => context.output.line(told.json())?,
    }
    Ok(ExitStatus::Held)
}
