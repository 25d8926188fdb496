//! What the arguments of `fuzz` mean.

use std::ops::Range;

use hublab_sim::campaign::Campaign;
use hublab_sim::campaign::confirm::Confirm;
use hublab_sim::campaign::manifest::{FileOf, Manifest, Parameters};
use hublab_sim::campaign::shard::Shard;
use hublab_sim::campaign::shrinking::Shrinking;
use hublab_sim::campaign::trial::Source;
use hublab_sim::capsule::Build;
use hublab_sim::generate::Options;
use hublab_sim::run::RunError;

use crate::cli::args::fuzz::Fuzz;
use crate::cli::campaign::known;
use crate::cli::campaign::share::Share;
use crate::cli::exit::ExitStatus;
use crate::cli::{Context, Stop, files};

/// The seeds of campaigns that are told none.
const SEEDS: Range<u64> = 0..1_000;

/// A campaign, ready to be run.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) campaign: Campaign,
    pub(super) manifest: Manifest,
    pub(super) share: Share,
}

impl Request {
    /// Reads files and environment.
    ///
    /// # Errors
    /// An oracle is unknown, a file is not good, the environment has half of a shard, files that are
    /// run together do not agree on seeds, or known failures cannot be read.
    pub(super) fn new(args: &Fuzz, context: &Context) -> Result<Self, Stop> {
        let share = Share::new(args.sharding)?;
        let checked = args.oracles.check(&context.catalog);
        checked.map_err(|error| Stop::Usage(error.to_string()))?;
        let files = read(args, context)?;
        let drawn = args.seeds_from.as_deref().zip(args.count);
        let drawn = drawn.map(|(text, count)| drawn_from(text, count.get()));
        let seeds = match args.seeds.clone().or(drawn) {
            Some(seeds) => seeds,
            None => common(&files, "run.seeds", "--seeds", |file| {
                file.scenario.run.seeds.clone()
            })?
            .unwrap_or(SEEDS),
        };
        let own_strategies = args.strategies.is_empty() && differ(&files);
        let strategies = strategies(args, &files, context)?;
        let parameters = Parameters {
            build: Build::current(),
            files: files
                .iter()
                .map(|file| {
                    let own = own_strategies.then(|| file.scenario.run.strategies.clone());
                    FileOf::new(path(file), &file.scenario, own.unwrap_or_default())
                })
                .collect(),
            strategies,
            seeds,
            oracles: args.oracles.to_string(),
            baseline: args.baseline.clone(),
            without: args
                .without
                .iter()
                .map(|one| one.name().to_owned())
                .collect(),
            set: args
                .overrides
                .values
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect(),
            twice_percent: args.twice_percent,
        };
        let sources = sources(args, &files);
        let mut campaign = campaign(args, &parameters, sources, share.shard, context);
        let mut manifest = Manifest::new(parameters, share.shard);
        manifest.shrinking = (!args.no_shrink).then_some(Shrinking {
            per_signature: args.shrinks_per_signature,
            most: args.shrinks,
        });
        if let Some(shrinking) = manifest.shrinking {
            campaign = campaign.shrink(shrinking);
        }
        manifest.known = known::read(&args.known, context)?;
        campaign = campaign.known(manifest.known.clone());
        Ok(Self {
            campaign,
            manifest,
            share,
        })
    }
}

/// Seeds that a text stands for: so many, from a place that its hash names. The same in every build.
fn drawn_from(text: &str, count: u64) -> Range<u64> {
    /// Seeds of 12 digits: people type them.
    const PLACES: u64 = 1_000_000_000_000;
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..8]);
    let first = u64::from_le_bytes(first) % PLACES;
    first..first.saturating_add(count)
}

fn path(file: &files::Source) -> String {
    file.path.to_string_lossy().into_owned()
}

fn read(args: &Fuzz, context: &Context) -> Result<Vec<files::Source>, Stop> {
    if args.paths.is_empty() {
        if args.overrides.values.is_empty() {
            return Ok(Vec::new());
        }
        return Err(Stop::Usage(
            "--set changes files, and none is given".to_owned(),
        ));
    }
    let sources = files::read_all(&args.paths, &args.overrides, args.strict, context);
    sources.print_repetition(&args.overrides, context);
    // A campaign over some of what was asked for would look like one over all.
    if sources.exit == ExitStatus::Held {
        Ok(sources.good)
    } else {
        Err(Stop::Told(sources.exit))
    }
}

/// What all files say; `None` without files.
fn common<T: PartialEq>(
    files: &[files::Source],
    key: &str,
    flag: &str,
    of: impl Fn(&files::Source) -> T,
) -> Result<Option<T>, Stop> {
    let Some(first) = files.first() else {
        return Ok(None);
    };
    let value = of(first);
    match files.iter().find(|file| of(file) != value) {
        None => Ok(Some(value)),
        Some(other) => Err(Stop::Usage(format!(
            "{} and {} differ in `{key}`: give {flag}",
            first.path.display(),
            other.path.display()
        ))),
    }
}

/// True if files list other strategies than one another: then each runs with its own.
fn differ(files: &[files::Source]) -> bool {
    let mut lists = files.iter().map(|file| &file.scenario.run.strategies);
    let first = lists.next();
    lists.any(|list| Some(list) != first)
}

/// Every strategy of the campaign, each once: those that were asked for, or those of the files. Without
/// either, the baseline is none of them.
fn strategies(
    args: &Fuzz,
    files: &[files::Source],
    context: &Context,
) -> Result<Vec<String>, Stop> {
    let baseline = args.baseline.as_deref();
    if let Some(name) = baseline.filter(|name| context.catalog.get(name).is_none()) {
        let unknown = RunError::UnknownStrategy(name.to_owned());
        return Err(Stop::Usage(format!("--baseline: {unknown}")));
    }
    let mut wanted = args.strategies.clone();
    if wanted.is_empty() && files.is_empty() {
        let names = context.catalog.default_names().into_iter();
        let others = names.filter(|name| baseline != Some(*name));
        wanted.extend(others.map(str::to_owned));
    } else if wanted.is_empty() {
        let listed = files.iter().map(|file| &file.scenario.run.strategies);
        wanted.extend(listed.flatten().cloned());
    }
    let mut strategies: Vec<String> = Vec::new();
    for name in wanted {
        if !strategies.contains(&name) {
            strategies.push(name);
        }
    }
    if strategies.iter().all(|name| baseline == Some(name)) {
        let reason = "the baseline is the only strategy: there is nothing to hold against it";
        return Err(Stop::Usage(reason.to_owned()));
    }
    Ok(strategies)
}

fn sources(args: &Fuzz, files: &[files::Source]) -> Vec<Source> {
    if files.is_empty() {
        return vec![Source::Generated(Options {
            without: args.without.iter().copied().collect(),
        })];
    }
    let one = |file: &files::Source| Source::File {
        path: path(file),
        text: file.text.clone(),
        scenario: Box::new(file.scenario.clone()),
    };
    files.iter().map(one).collect()
}

fn campaign(
    args: &Fuzz,
    parameters: &Parameters,
    sources: Vec<Source>,
    shard: Shard,
    context: &Context,
) -> Campaign {
    let mut campaign = Campaign::new(&parameters.strategies[0])
        .catalog(context.catalog.clone())
        .seeds(parameters.seeds.clone())
        .shard(shard.index(), shard.count())
        .oracles(args.oracles.clone())
        .wall_limit(args.wall_limit)
        .allow_inconclusive(args.allow_inconclusive)
        .recycle(!args.no_recycle)
        .confirm(Confirm {
            per_signature: args.confirm_per_signature,
            twice_percent: args.twice_percent,
        });
    if parameters
        .files
        .iter()
        .any(|file| !file.strategies.is_empty())
    {
        campaign = campaign.strategies_of_files();
    }
    for strategy in &parameters.strategies {
        campaign = campaign.strategy(strategy);
    }
    for source in sources {
        campaign = campaign.source(source);
    }
    if let Some(baseline) = &args.baseline {
        campaign = campaign.baseline(baseline);
    }
    if let Some(jobs) = args.jobs {
        campaign = campaign.jobs(jobs.get());
    }
    if let Some(budget) = args.budget {
        campaign = campaign.budget(budget);
    }
    if let Some(most) = args.max_failures {
        campaign = campaign.max_failures(most.get());
    }
    campaign
}
