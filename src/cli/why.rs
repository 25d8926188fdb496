//! `hublab why`: the chain of events that made a row what it is.

use std::time::Duration;

use hublab_sim::capsule::why::why as explain;
use hublab_strategies::Time;
use hublab_strategies::time::micros;

use super::args::Why;
use super::capsules;
use super::exit::Exit;
use super::{Context, Stop};

pub(super) fn why(args: &Why, context: &Context) -> Result<Exit, Stop> {
    let mut capsule = capsules::open(&args.capsule, args.size)?;
    let end = Duration::from_micros(capsule.footer().report.virtual_us);
    if let Some(at) = args.at.filter(|at| *at > end) {
        return Err(capsules::behind_end("--at", at, end));
    }
    let at = args.at.map(|time| Time(micros(time)));
    let told = explain(&mut capsule, &args.node, &args.child, at)
        .map_err(|error| capsules::unusable(&args.capsule, error))?;
    context.output.line(told)?;
    Ok(Exit::Held)
}
