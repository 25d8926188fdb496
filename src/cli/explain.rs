//! `hublab explain`: the resolved scenario of one seed, as a scenario file.

use hublab_sim::scenario::{Style, render, resolve};

use super::args::Explain;
use super::exit::Exit;
use super::files;
use super::{Context, Stop};

pub(super) fn explain(args: &Explain, context: &Context) -> Result<Exit, Stop> {
    let mut scenario = files::read_one(&args.file, &args.overrides, context)?;
    if !args.strategies.is_empty() {
        scenario.run.strategies.clone_from(&args.strategies);
        scenario.run.strategies.dedup();
    }
    let seed = args.seed.unwrap_or(scenario.run.seed);
    let resolved = resolve(&scenario, seed, &context.catalog);
    context
        .output
        .write(|out| out.write_all(render(&resolved, Style::Full).as_bytes()))?;
    Ok(Exit::Held)
}
