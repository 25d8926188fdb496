//! The command line.
//!
//! It reads arguments and files, has [`hublab_sim`] compute, and renders what comes of it: it
//! never judges. Results go to standard output, progress and diagnostics to standard error.
//!
//! | module | owns |
//! | --- | --- |
//! | `args` | what can be typed |
//! | `exit` | the numbers that a command ends with, and which of several counts |
//! | `output`, `progress` | the two streams, colours, width, progress |
//! | `files`, `plan` | what the arguments of `run` mean: scenarios, strategies, seeds |
//! | `results` | what becomes of the runs of `run` |
//! | `pool`, `interrupt`, `panics` | jobs on threads, and how they can end early |
//! | `lock` | one writer per directory |
//! | `compare` | strategies on the same seeds |
//! | `picture`, `svg` | a trace as a space-time diagram, for Perfetto, for ShiViz, as a graph |
//! | `campaign` | what campaigns leave behind: directories, shards, JUnit, GitHub |
//! | `report` | a reporter per format: for people, JSON, CSV, JUnit, GitHub, Markdown |
//! | `render` | words and tables |
//! | the others | one command each |

use std::env;
use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use anstream::ColorChoice;
use hublab_sim::campaign::CampaignError;
use hublab_sim::catalog::Catalog;

mod args;
mod bisect;
mod blame;
mod campaign;
mod capsules;
mod check;
mod compare;
mod completions;
mod corpus;
mod ctl;
mod diff;
mod exit;
mod explain;
mod files;
mod fuzz;
mod init;
mod interrupt;
mod judge;
mod list;
mod live;
mod lock;
mod man;
mod merge;
mod node;
mod output;
mod page;
mod panics;
mod picture;
mod plan;
mod pool;
mod progress;
mod render;
mod replay;
mod report;
mod results;
mod run;
mod schema;
mod show;
mod shrink;
mod svg;
mod trace;
mod trend;
mod twice;
mod why;

pub use args::Cli;
use args::{Color, Command};
pub use exit::ExitStatus;
use output::Output;

/// What every command is given.
#[derive(Debug, Clone)]
struct Context {
    catalog: Arc<Catalog>,
    output: Arc<Output>,
}

/// Why a command ends before it is through.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    /// Nobody reads the results any more. That is no error.
    Pipe,
    /// It cannot be done, for this reason.
    Usage(String),
    /// The reason has been told.
    Told(ExitStatus),
}

impl From<std::io::Error> for Stop {
    /// The system grants no thread.
    fn from(error: std::io::Error) -> Self {
        Self::Usage(format!("the system grants no thread: {error}"))
    }
}

impl From<CampaignError> for Stop {
    fn from(error: CampaignError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// The whole program, with the strategies of a catalog. Reads the arguments, the environment and
/// the files they name; changes the process's panic hook and interrupt handler.
///
/// Runs that were given up may still occupy threads when this returns: leave `main` with what it
/// returns.
#[must_use]
pub fn main(catalog: Catalog) -> ExitCode {
    let cli = match Cli::from_environment(&catalog) {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to a pipe that may be closed, like any other output.
            drop(error.print());
            if let Some(hint) = args::dash_hint(&error) {
                Output::default().note(hint);
            }
            return if error.use_stderr() {
                ExitStatus::Usage.into()
            } else {
                ExitStatus::Held.into()
            };
        }
    };
    match cli.color {
        Color::Auto => {}
        Color::Always => ColorChoice::Always.write_global(),
        Color::Never => ColorChoice::Never.write_global(),
    }
    let context = Context {
        catalog: Arc::new(catalog),
        output: Arc::default(),
    };
    panics::install();
    interrupt::install();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        log_to_stderr(&cli.command)?;
        dispatch(cli.command, &context)
    }));
    let exit = match ended {
        Ok(Ok(exit)) => exit,
        Ok(Err(Stop::Pipe)) => ExitStatus::Held,
        Ok(Err(Stop::Told(exit))) => exit,
        Ok(Err(Stop::Usage(reason))) => {
            context
                .output
                .note(format_args!("{} {reason}", render::style::error("error:")));
            ExitStatus::Usage
        }
        Err(panic) => {
            print_bug(&context, &panics::describe(panic.as_ref()));
            ExitStatus::Bug
        }
    };
    exit.into()
}

fn dispatch(command: Command, context: &Context) -> Result<ExitStatus, Stop> {
    match command {
        Command::Run(args) => run::run(args, context),
        Command::Check(args) => check::check(&args, context),
        Command::Compare(args) => compare::compare(&args, context),
        Command::Reproduce(args) => compare::reproduce(&args, context),
        Command::Explain(args) => explain::explain(&args, context),
        Command::Replay(args) => replay::replay(&args, context),
        Command::Judge(args) => judge::judge(&args, context),
        Command::Diff(args) => diff::diff(&args, context),
        Command::Show(args) => show::show(&args, context),
        Command::Trace(args) => trace::trace(&args, context),
        Command::Report(args) => page::report(&args, context),
        Command::Why(args) => why::why(&args, context),
        Command::Blame(args) => blame::blame(&args, context),
        Command::List(args) => list::list(&args, context),
        Command::Corpus(args) => corpus::corpus(&args, context),
        Command::Fuzz(args) => fuzz::fuzz(&args, context),
        Command::Merge(args) => merge::merge(&args, context),
        Command::Trend(args) => trend::trend(&args, context),
        Command::Bisect(args) => bisect::bisect(&args, context),
        Command::BisectStep(args) => bisect::step(&args, context),
        Command::Shrink(args) => shrink::shrink(&args, context),
        Command::Schema => schema::schema(context),
        Command::Init(args) => init::init(&args, context),
        Command::Completions(args) => completions::completions(&args, context),
        Command::Man(args) => man::man(&args, context),
        Command::Live(args) => live::live(&args, context),
        Command::Node(args) => node::node(&args, context),
        Command::Ctl(args) => ctl::ctl(&args, context),
        Command::Capsule(args) => twice::capsule(&args, context),
        Command::Worker(args) => fuzz::worker::worker(&args, context),
    }
}

/// Sends the log to standard error if `HUBLAB_LOG` asks for one: `HUBLAB_LOG=hublab_sim=debug`. A
/// node logs what happens to its connections unless that says otherwise.
/// Times are left out elsewhere: on the threads of runs they would be virtual.
fn log_to_stderr(command: &Command) -> Result<(), Stop> {
    const VARIABLE: &str = "HUBLAB_LOG";
    let is_node = matches!(command, Command::Node(_));
    let asked = env::var_os(VARIABLE).map(|asked| asked.to_string_lossy().into_owned());
    let Some(asked) = asked.or_else(|| is_node.then(|| "info".to_owned())) else {
        return Ok(());
    };
    let filter = tracing_subscriber::EnvFilter::try_new(asked)
        .map_err(|error| Stop::Usage(format!("{VARIABLE}: {error}")))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal());
    // A program around this one may have a log of its own: then that one is used.
    if is_node {
        let log = log.with_writer(|| node::lossy::Lossy::stderr().line());
        drop(log.try_init());
    } else {
        let log = log.with_writer(std::io::stderr).without_time();
        drop(log.try_init());
    }
    Ok(())
}

/// A panic that is no verdict: nothing a scenario says may lead here.
fn print_bug(context: &Context, what: &str) {
    let error = render::style::error("this is a bug in hublab:");
    context.output.note(format_args!("{error} {what}"));
    context
        .output
        .note("please report it, with the command, the files it names, and this version");
}
