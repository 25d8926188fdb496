//! `hublab explain`: the resolved scenario of one seed, as a scenario file.

use hublab_sim::catalog::CatalogEntry;
use hublab_sim::generate::{self, together};
use hublab_sim::scenario::{Scenario, Style, render, resolve};

use super::args::Explain;
use super::exit::ExitStatus;
use super::files;
use super::{Context, Stop};

pub(super) fn explain(args: &Explain, context: &Context) -> Result<ExitStatus, Stop> {
    let mut scenario = match &args.file {
        Some(file) => files::read_one(file, &args.overrides, context)?,
        None => generated(args, context)?,
    };
    if !args.strategies.is_empty() && !args.generated {
        scenario.run.strategies.clone_from(&args.strategies);
        scenario.run.strategies.dedup();
    }
    let seed = args.seed.unwrap_or(scenario.run.seed);
    let resolved = resolve(&scenario, seed, &context.catalog);
    context
        .output
        .write(|out| out.write_all(render(&resolved, Style::Full).as_bytes()))?;
    Ok(ExitStatus::Held)
}

/// The scenario that a campaign makes of the seed. Strategies may have different ones: then it is
/// the first strategy's, and the others are told of.
fn generated(args: &Explain, context: &Context) -> Result<Scenario, Stop> {
    if !args.overrides.values.is_empty() {
        return Err(Stop::Usage(
            "--set changes files; `explain --generated` prints one to change".to_owned(),
        ));
    }
    let names: Vec<&str> = if args.strategies.is_empty() {
        context.catalog.default_names()
    } else {
        let asked = |name: &&str| args.strategies.iter().any(|one| one == name);
        context.catalog.names().into_iter().filter(asked).collect()
    };
    let entries: Vec<&dyn CatalogEntry> = names
        .iter()
        .filter_map(|name| context.catalog.get(name))
        .collect();
    let options = generate::Options {
        without: args.without.iter().copied().collect(),
    };
    let seed = args.seed.unwrap_or_default();
    let mut scenarios = together(seed, &entries, &options, &context.catalog).into_iter();
    let first = scenarios
        .next()
        .ok_or_else(|| Stop::Usage("there is no strategy".to_owned()))?;
    for other in scenarios {
        let names = other.run.strategies.join(" --strategy ");
        context.output.note(format_args!(
            "another scenario of this seed: --strategy {names}"
        ));
    }
    Ok(first)
}
