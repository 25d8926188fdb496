//! What can be typed. What it means is decided by the commands; see [`super::plan`] for `run`.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use hublab_sim::catalog::Catalog;
use hublab_sim::generate::Family;
use hublab_sim::scenario::{parse_override, parse_seeds};
use hublab_sim::trace::EventId;
use hublab_strategies::time::{DurationError, parse_duration};

use super::report::{Export, Format, export, format as report_format, run_format};

pub(super) mod blame;
pub(super) mod compare;
pub(super) mod corpus;
pub(super) mod first;
pub(super) mod fuzz;
pub(super) mod known;
pub(super) mod live;
pub(super) mod merge;
pub(super) mod node;
mod recorded;
pub(super) mod report;
pub(super) mod shard;
pub(super) mod shrink;
pub(super) mod trend;

pub(super) use recorded::{Diff, Recorded, Show, Size, Trace, TraceFormat, Why, WhyFormat};

/// Every oracle, where oracles are named.
pub(super) const ALL: &str = "all";

/// The program.
const NAME: &str = "hublab";

/// The arguments of the program. Public so that completions and manual pages can be made from it:
/// `clap::CommandFactory` gives its definition.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    version,
    about = "Deterministic simulation testbed for the synchronization strategies of a distributed process registry",
    after_help = "One scenario, one strategy and one seed are one run, and that run is always the same.\n\n\
        Exit codes: 0 all held; 1 an expectation or oracle failed; 2 usage or scenario error; 3 inconclusive;\n\
        4 replay mismatch or non-determinism; 70 a bug in hublab; 130 interrupted.\n\n\
        Example: hublab run scenarios --strategy gossip --seed 7",
    max_term_width = 110,
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,

    /// When to use colours; `auto` also heeds `NO_COLOR`.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(super) color: Color,
}

impl Cli {
    /// Reads the arguments of this process.
    pub(super) fn from_environment(catalog: &Catalog) -> Result<Self, clap::Error> {
        Self::from_arg_matches(&Self::definition(catalog).try_get_matches()?)
    }

    /// The definition without commands that are for this program alone.
    pub(super) fn shown(catalog: &Catalog) -> clap::Command {
        let all = Self::definition(catalog);
        let shown = all
            .get_subcommands()
            .filter(|command| !command.is_hide_set());
        clap::Command::new(NAME)
            .version(env!("CARGO_PKG_VERSION"))
            .about(all.get_about().cloned().unwrap_or_default())
            .after_help(all.get_after_help().cloned().unwrap_or_default())
            .disable_help_subcommand(true)
            .subcommand_required(true)
            .args(all.get_arguments())
            .subcommands(shown)
    }

    /// The definition; strategies and oracles are those of the catalog.
    fn definition(catalog: &Catalog) -> clap::Command {
        let names = catalog.names();
        let strategy = |command: clap::Command| {
            let names = names.clone();
            command.mut_arg("strategies", |arg| {
                arg.value_parser(PossibleValuesParser::new(names))
            })
        };
        let oracles: Vec<&str> = catalog.oracle_names().chain([ALL]).collect();
        let oracle = |command: clap::Command| {
            command.mut_arg("oracles", |arg| {
                arg.value_parser(PossibleValuesParser::new(oracles))
            })
        };
        Self::command()
            .mut_subcommand("judge", oracle)
            .mut_subcommand("run", strategy)
            .mut_subcommand("compare", strategy)
            .mut_subcommand("explain", strategy)
            .mut_subcommand("fuzz", strategy)
            .mut_subcommand("live", strategy)
    }
}

/// What to say where the name of a file was taken for a flag, as it begins with a dash.
pub(super) fn dash_hint(error: &clap::Error) -> Option<String> {
    if error.kind() != clap::error::ErrorKind::UnknownArgument {
        return None;
    }
    let arguments = std::env::args_os().skip(1);
    let mut names = arguments.filter_map(|argument| argument.into_string().ok());
    let file = names.find(|name| name.starts_with('-') && std::path::Path::new(name).exists())?;
    Some(format!("`{file}` is a file here: write ./{file}"))
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run scenario files and judge what they expect
    #[command(after_help = "Examples:\n  hublab run scenarios\n  \
        hublab run scenarios/partition-and-heal.toml --strategy gossip --seed 7\n  \
        hublab run scenarios/partition-and-heal.toml --strategy gossip --report partition.html\n  \
        hublab run scenarios/lossy-wan.toml --seeds 0..200 --set network.loss=0.02 --format csv\n  \
        hublab run scenarios --export junit=junit.xml --export csv=runs.csv")]
    Run(Run),
    /// Compare strategies on the same seeds, and tell which differences may be claimed
    #[command(
        after_help = "Every combination of scenario and values of --vary is a cell. In each, every strategy runs with\n\
        every seed; runs of one seed have the same network and workload. Verdicts are equal, better, worse\n\
        or unclear; p is adjusted by Holm over all cells and endpoints. A shard has no table: `merge` makes\n\
        it. Exit code 3: runs did not end, cells were left out (--memory), the time was over (--budget).\n\nExamples:\n  \
        hublab compare scenarios/lossy-wan.toml --strategy pubsub --strategy gossip --vary network.loss=0,0.05\n  \
        hublab compare plan.toml --out results\n  hublab compare plan.toml --out results --resume\n  \
        hublab compare plan.toml --shard 0/4 --out shards/0"
    )]
    Compare(compare::Compare),
    /// Run a comparison's directory again, and compare every digest and number
    #[command(after_help = "Example: hublab reproduce results")]
    Reproduce(compare::Reproduce),
    /// Read and check scenario files without running them, and estimate their size
    #[command(after_help = "Example: hublab check scenarios")]
    Check(Check),
    /// Print the resolved scenario of one seed: every range drawn, every default written out
    #[command(
        after_help = "Examples:\n  hublab explain scenarios/partition-and-heal.toml --seed 7 > resolved.toml\n  \
            hublab explain --generated --seed 42 --strategy pubsub > generated-42.toml"
    )]
    Explain(Explain),
    /// Run a capsule again and compare, event by event
    #[command(after_help = "Example: hublab replay out/partition-and-heal-gossip-7.capsule")]
    Replay(Replay),
    /// Judge the trace of a capsule again, without running anything
    #[command(
        after_help = "Examples:\n  hublab judge run.capsule --oracle no_resurrection\n  \
        hublab judge run.capsule --oracle all --format json\n\n\
        The expectations in the capsule are judged as the run judged them, and so is each oracle\n\
        that is asked for. Exit codes as of run: 1 a claim does not hold; 3 something is open."
    )]
    Judge(Judge),
    /// Show the first difference between two capsules, with the events around it
    #[command(after_help = "Example: hublab diff left.capsule right.capsule --around 5")]
    Diff(Diff),
    /// Print what a capsule holds: the report of its run, its scenario, the program that made it
    #[command(
        after_help = "Examples:\n  hublab show run.capsule\n  hublab show run.capsule --scenario > scenario.toml"
    )]
    Show(Show),
    /// Print the trace of a capsule, or draw it
    #[command(
        after_help = "Examples:\n  hublab trace run.capsule --node n3 --from 10s --to 12s\n  \
        hublab trace run.capsule --kind gossip.sync --format ndjson\n  \
        hublab trace run.capsule --format svg --from 29s --to 31s > rounds.svg\n  \
        hublab trace run.capsule --format perfetto > run.perfetto-trace\n  \
        hublab trace run.capsule --format dot --event e134 | dot -Tsvg > causes.svg"
    )]
    Trace(Trace),
    /// Write a page for a browser: of a run, two runs, a campaign or a comparison
    #[command(after_help = "Examples:\n  hublab report run.capsule\n  \
        hublab report run.capsule --blame\n  \
        hublab report run.capsule --from 29s --to 31s -o rounds.html\n  \
        hublab report left.capsule right.capsule -o difference.html\n  \
        hublab report campaign -o campaign.html\n  \
        hublab report results -o comparison.html\n\n\
        The page is one file and needs no network. A run's has its events over time, what nodes believed, what\n\
        failed and why; of long runs, the events around the first failure are held in full, and curves and\n\
        findings are of the whole run. A campaign's has its groups of failures with their runs, all seeds by\n\
        verdict, reach and speed; a comparison's its tables and figures, with the worst run of each cell.\n\
        Exit code 3: --blame came to a part of its answer, or runs of a comparison are missing.")]
    Report(report::Report),
    /// Tell why a child's row stands in a node's registry, or why it does not
    #[command(after_help = "Example: hublab why run.capsule --node n3 --child web-1 --at 31s")]
    Why(Why),
    /// Tell when a failure became likely, and which message, timer or choice decided it
    #[command(
        after_help = "The run is made again up to many instants, and goes on from each with other draws: the share of\n\
        these branches that fail is the curve. Then single events are changed while every other draw stays.\n\
        Exit code 3: the runs or the time were not enough, and the answer is a part.\n\nExamples:\n  \
        hublab blame out/lossy-wan-gossip-7.capsule\n  \
        hublab blame race.toml --strategy gossip --seed 7 --oracle no_resurrection --out race"
    )]
    Blame(blame::Blame),
    /// List strategies, steps, claims, laws, oracles, metrics or anomalies, one line each
    #[command(
        after_help = "Examples:\n  hublab list steps\n  hublab list claims --format markdown"
    )]
    List(List),
    /// Save failures as scenario files, list them, and run them again
    #[command(
        after_help = "Examples:\n  hublab corpus add out/failures/*.toml --corpus tests/corpus\n  \
        hublab corpus run --corpus tests/corpus"
    )]
    Corpus(corpus::Corpus),
    /// Run a campaign: generated scenarios, or files, over many seeds
    #[command(
        after_help = "Examples:\n  hublab fuzz --seeds 0..10000 --budget 10m --out campaign\n  \
        hublab fuzz --strategy gossip --oracles all --seeds 0..200\n  \
        hublab fuzz scenarios/partition-and-heal.toml --seeds 0..1000\n\n\
        Every failure is made again in a fresh process before it is told, and shrunk to a small\n\
        scenario file. Exit codes: 1 a failure; 4 a run is not the same again; 3 something is open."
    )]
    Fuzz(fuzz::Fuzz),
    /// Join the results of sharded campaigns and comparisons
    #[command(
        after_help = "Examples:\n  hublab merge shard-0 shard-1 shard-2 shard-3 --out all\n  \
        hublab merge shard-* --format github\n\n\
        Exit code 3: shards or runs are missing. Of a comparison, nothing is written then."
    )]
    Merge(merge::Merge),
    /// Tell what fails over several campaigns: what is new, what stands, what is gone
    #[command(after_help = "Examples:\n  hublab trend nights/*\n  \
        hublab trend nights/* --format markdown > trend.md\n\n\
        Failures are the same ones if they are the same anomaly of the same strategy, or else fail the\n\
        same way. The directories are in the order of time.")]
    Trend(trend::Trend),
    /// Find the commit since which a seed of a campaign, or a scenario file, fails
    #[command(after_help = "Examples:\n  \
        hublab bisect 1234 v0.1.0 HEAD --strategy gossip -- cargo build --release\n  \
        hublab bisect failures/ghost.toml HEAD~20 HEAD --program target/campaign/hublab -- \\\n    \
        cargo build --profile campaign\n\n\
        The run is resolved once, by this program. Commits are checked out in a worktree of their own, and\n\
        git chooses them. A commit that does not build, or whose program refuses the file, is left out.\n\
        Exit codes: 0 it is found; 3 it is one of several.")]
    Bisect(trend::Bisect),
    /// Find the smallest scenario that fails as a capsule's does
    #[command(
        after_help = "Examples:\n  hublab shrink out/lossy-wan-gossip-7.capsule > small.toml\n  \
        hublab shrink run.capsule --oracle no_resurrection --out small.toml"
    )]
    Shrink(shrink::Shrink),
    /// Print the JSON Schema of scenario files, for editors
    #[command(after_help = "Example: hublab schema > scenario.schema.json")]
    Schema,
    /// Write a first scenario, or a crate with a strategy of one's own, into a directory
    #[command(
        after_help = "Nothing is overwritten. A crate is a copy of the template under another name: an example of a\n\
        strategy, an oracle and a metric, with tests and the command line.\n\nExamples:\n  \
        hublab init first\n  hublab init --strategy last-writer last-writer\n  \
        hublab init --strategy last-writer last-writer --path ../hublab"
    )]
    Init(first::Init),
    /// Print what a shell needs to complete command lines
    #[command(after_help = "Examples:\n  \
        hublab completions bash > ~/.local/share/bash-completion/completions/hublab\n  \
        hublab completions zsh > ~/.zfunc/_hublab\n  \
        hublab completions fish > ~/.config/fish/completions/hublab.fish")]
    Completions(first::Completions),
    /// Write a manual page per command into a directory
    #[command(after_help = "Example: hublab man ~/.local/share/man/man1")]
    Man(first::Man),
    /// Run a scenario file with real hubs on loopback sockets, in real time
    #[command(
        after_help = "Example: hublab live scenarios/partition-and-heal.toml --scale 0.1 --strategy gossip"
    )]
    Live(live::Live),
    /// Run one node of a real cluster, until SIGTERM or Ctrl-C: then it leaves
    #[command(
        after_help = "Log: HUBLAB_LOG=debug says more, HUBLAB_LOG=off nothing.\n\nExamples:\n  \
        hublab node --new-secret > cluster.secret\n  \
        hublab node --hub orders --name a --listen 10.0.0.1:7000 --secret-file cluster.secret --control a.sock\n  \
        hublab node --hub orders --name b --listen 10.0.0.2:7000 --peer 10.0.0.1:7000 --secret-file cluster.secret"
    )]
    Node(node::Node),
    /// Ask a running node: start and stop children, look them up, watch, have it leave
    #[command(
        after_help = "Exit code 1: a child was not started, stopped or found.\n\n\
        Example: hublab ctl --control a.sock start web-1 web-2"
    )]
    Ctl(node::Ctl),
    /// Run once and write the capsule: what `--twice` starts in a fresh process
    #[command(name = "__capsule", hide = true)]
    Capsule(Capsule),
    /// Test one commit: what `bisect` has git start
    #[command(name = "__bisect", hide = true)]
    BisectStep(trend::BisectStep),
    /// Make runs of a campaign: what `fuzz` and `compare` start, once per core
    #[command(name = "__worker", hide = true)]
    Worker(fuzz::Worker),
}

/// When to use colours.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

/// The scenario file of one run, and the changes to it.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Overrides {
    /// Change a value of the files, dotted: `network.loss=0.02`; can be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = overriding)]
    pub(super) values: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// Scenario files, and directories to search for them
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// The seed; default: the file's
    #[arg(long, value_name = "N", value_parser = seed(), conflicts_with = "seeds")]
    pub(super) seed: Option<u64>,
    /// A range of seeds, its end not included: runs them all, and sums the metrics up over them
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub(super) seeds: Option<Range<u64>>,
    /// Only this strategy; can be given several times; default: the file's list
    #[arg(long = "strategy", value_name = "NAME")]
    pub(super) strategies: Vec<String>,
    #[command(flatten)]
    pub(super) overrides: Overrides,
    /// Refuse files that have warnings
    #[arg(long)]
    pub(super) strict: bool,
    /// Write a capsule per run into this directory
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Write a page of the runs for a browser, as `hublab report` makes it of capsules: of one run, of two
    /// beside each other, or of a list
    #[arg(long = "report", value_name = "FILE")]
    pub(super) page: Option<PathBuf>,
    /// Run everything again, in a fresh process and in this one after another run, and compare
    #[arg(long)]
    pub(super) twice: bool,
    /// Runs at the same time; default: the number of cores
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<NonZeroUsize>,
    /// Allow more than 2,000 nodes
    #[arg(long)]
    pub(super) big: bool,
    /// In CSV, columns for each kind of message, too
    #[arg(long)]
    pub(super) by_kind: bool,
    #[command(flatten)]
    pub(super) report: ReportAs,
    /// Real time that one run may take; one that takes longer is ended, and judged by what it came to
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(super) wall_limit: Duration,
}

/// How a command that makes runs tells of them.
#[derive(Debug, Args)]
pub(super) struct ReportAs {
    /// How to print the results
    #[arg(long, default_value = Format::HUMAN, value_name = "FORMAT", value_parser = report_format())]
    pub(super) format: Format,
    /// Write the results into a file, too, in any of the formats; can be given several times
    #[arg(long = "export", value_name = "FORMAT=PATH", value_parser = export)]
    pub(super) exports: Vec<Export>,
}

impl ReportAs {
    /// True if a format for people is among those that are written.
    pub(super) fn tells_people(&self) -> bool {
        self.format.is_human() || self.exports.iter().any(Export::is_human)
    }
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Scenario files, and directories to search for them
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) overrides: Overrides,
    /// Refuse files that have warnings
    #[arg(long)]
    pub(super) strict: bool,
    /// The format of the sizes
    #[arg(long, value_enum, default_value_t = CheckFormat::Human, value_name = "FORMAT")]
    pub(super) format: CheckFormat,
}

/// The formats of `check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CheckFormat {
    /// A line per file, and one per strategy.
    Human,
    /// One JSON object per file and line.
    Json,
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The scenario file
    #[arg(value_name = "FILE", required_unless_present = "generated")]
    pub(super) file: Option<PathBuf>,
    /// Print the scenario that `fuzz` makes of this seed, instead of a file's
    #[arg(long, requires = "seed", conflicts_with = "file")]
    pub(super) generated: bool,
    /// Without this family of faults; can be given several times
    #[arg(long, value_name = "FAMILY", requires = "generated", value_parser = family())]
    pub(super) without: Vec<Family>,
    /// The seed; default: the file's
    #[arg(long, value_name = "N", value_parser = seed())]
    pub(super) seed: Option<u64>,
    /// Only this strategy; can be given several times; default: the file's list, or all
    #[arg(long = "strategy", value_name = "NAME")]
    pub(super) strategies: Vec<String>,
    #[command(flatten)]
    pub(super) overrides: Overrides,
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// The capsule
    #[arg(value_name = "CAPSULE")]
    pub(super) capsule: PathBuf,
    #[command(flatten)]
    pub(super) size: Size,
}

#[derive(Debug, Args)]
pub(super) struct Judge {
    /// The capsule
    #[arg(value_name = "CAPSULE")]
    pub(super) capsule: PathBuf,
    /// Hold the run to this oracle, too, or to all of them; can be given several times
    #[arg(long = "oracle", value_name = "NAME", value_delimiter = ',')]
    pub(super) oracles: Vec<String>,
    /// How to print the report
    #[arg(long, default_value = Format::HUMAN, value_name = "FORMAT", value_parser = run_format())]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) size: Size,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// What to list
    #[arg(value_enum, value_name = "WHAT")]
    pub(super) what: What,
    /// How to print it; Markdown only for parts of scenario files, with keys, defaults and examples
    #[arg(long, value_enum, default_value_t = ListFormat::Human, value_name = "FORMAT")]
    pub(super) format: ListFormat,
}

/// How `list` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// One line each.
    Human,
    /// The reference of scenario files.
    Markdown,
}

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    /// The strategies of this program.
    Strategies,
    /// The actions of steps in scenario files.
    Steps,
    /// The claims of expectations in scenario files.
    Claims,
    /// The latency laws of scenario files.
    Laws,
    /// The rules that runs can be held to.
    Oracles,
    /// What can be measured.
    Metrics,
    /// The known faults of the original.
    Anomalies,
}

#[derive(Debug, Args)]
pub(super) struct Capsule {
    pub(super) file: PathBuf,
    #[arg(long)]
    pub(super) strategy: String,
    #[arg(long)]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) overrides: Overrides,
    #[arg(long)]
    pub(super) capsule: PathBuf,
}

/// Seeds end where TOML's integers do: a seed can always be written into a file.
fn seed() -> impl clap::builder::TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(..=i64::MAX.unsigned_abs())
}

/// A family of what generated scenarios may contain.
fn family() -> impl clap::builder::TypedValueParser<Value = Family> {
    use clap::builder::TypedValueParser;
    PossibleValuesParser::new(Family::ALL.map(Family::name))
        .map(|name| Family::by_name(&name).expect("one of the possible values"))
}

/// An argument that cannot be read; the text says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadArgument {
    /// A form like this one.
    #[error("write {0}")]
    Write(&'static str),
    /// A format that there is.
    #[error("no format `{0}`; formats are {1}")]
    Format(String, String),
    /// Values that differ.
    #[error("{0} is there twice")]
    Twice(String),
    /// A margin in its range.
    #[error("the margin is a number from 0 to 1")]
    Margin,
}

fn seeds(text: &str) -> Result<Range<u64>, BadArgument> {
    let form = "the first and the end, which is not included: 0..200";
    parse_seeds(text).ok_or(BadArgument::Write(form))
}

/// The number of an event, as lines of the trace have it: `e17`.
fn event(text: &str) -> Result<EventId, BadArgument> {
    let digits = text.strip_prefix('e').unwrap_or(text);
    let id = digits.parse().ok().filter(|id| *id > 0);
    id.ok_or(BadArgument::Write("an event as `trace` prints it: e17"))
}

fn duration(text: &str) -> Result<Duration, DurationError> {
    parse_duration(text)
}

fn overriding(text: &str) -> Result<(String, String), BadArgument> {
    let form = "a key and a value: network.loss=0.02";
    parse_override(text).ok_or(BadArgument::Write(form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn examples_name_scenario_files_that_are_there() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut named = 0;
        let mut commands: Vec<clap::Command> = Cli::command().get_subcommands().cloned().collect();
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands().cloned());
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            let is_input = |word: &&str| word.starts_with("scenarios") || word.starts_with("tests");
            for path in help.split_whitespace().filter(is_input) {
                assert!(root.join(path).exists() || path == "tests/corpus", "{path}");
                named += 1;
            }
        }
        assert!(named > 5, "{named}");
    }

    #[test]
    fn every_command_has_an_example() {
        for command in Cli::command()
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
        {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let call = format!("hublab {}", command.get_name());
            assert!(
                help.contains(&call),
                "`{}` has no example",
                command.get_name()
            );
        }
    }
}
