//! `hublab bisect`: the commit since which a run fails.
//!
//! The run is resolved once, by this program, into a file that says what it expects; every commit's
//! program runs that file. Commits are checked out in a worktree of their own, so that the one of the
//! user is not touched, and git chooses them: this program is the command of its `bisect run`, and its
//! exit codes are git's: 0 passes, 1 fails, 125 cannot be told. That is a commit that does not build,
//! whose program refuses the file, or comes to no verdict.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

use hublab_sim::campaign::trial::claimed;
use hublab_sim::catalog::CatalogEntry;
use hublab_sim::generate::{self, fitting};
use hublab_sim::run::failure::always;
use hublab_sim::scenario::{Scenario, Style, render, resolve};
use hublab_sim::shrink::findings;

use super::args::Overrides;
use super::args::trend::{Bisect, BisectStep};
use super::exit::ExitStatus;
use super::output::quoted;
use super::render::style;
use super::{Context, Stop, files};

/// The exit code of a commit that cannot be tested, as `git bisect run` has it.
const SKIP: u8 = 125;

/// What a commit came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tested {
    Passes,
    Fails,
    /// It cannot be told.
    Open,
}

pub(super) fn bisect(args: &Bisect, context: &Context) -> Result<ExitStatus, Stop> {
    let scenario = scenario(args, context)?;
    let prefix = git(Path::new("."), ["rev-parse", "--show-prefix"])?;
    let commit = |name: &str| {
        let exact = format!("{name}^{{commit}}");
        git(Path::new("."), ["rev-parse", "--verify", "--quiet", &exact])
            .map_err(|_| Stop::Usage(format!("there is no commit `{name}`")))
    };
    let (good, bad) = (commit(&args.good)?, commit(&args.bad)?);
    let scratch = Scratch::new()?;
    let file = scratch.path.join("scenario.toml");
    let text = render(&scenario, Style::Full);
    fs::write(&file, text).map_err(|error| unwritable(&file, &error))?;
    let tree = scratch.checked_out(&bad)?;
    let within = tree.join(prefix);
    // What is asked must be so, or the answer would mean nothing.
    for (name, commit, expected) in [
        (&args.bad, &bad, Tested::Fails),
        (&args.good, &good, Tested::Passes),
    ] {
        git(&tree, ["checkout", "--quiet", "--detach", commit])?;
        let tested = test(&args.build, &within, &args.program, &file, context)?;
        if tested != expected {
            let (is, wanted) = (in_words(tested), in_words(expected));
            let note = format!("{name} {is}, where one that {wanted} is needed");
            context
                .output
                .note(format_args!("{} {note}", style::error("error:")));
            return Ok(ExitStatus::Usage);
        }
    }
    git(&tree, ["bisect", "start", "--quiet", &bad, &good])
        .or_else(|_| git(&tree, ["bisect", "start", &bad, &good]))?;
    let program = std::env::current_exe().map_err(|error| Stop::Usage(error.to_string()))?;
    let step: [&OsStr; 9] = [
        "bisect".as_ref(),
        "run".as_ref(),
        program.as_ref(),
        "__bisect".as_ref(),
        "--file".as_ref(),
        file.as_ref(),
        "--within".as_ref(),
        within.as_ref(),
        "--program".as_ref(),
    ];
    let mut run = command(&tree, step);
    run.arg(&args.program).arg("--").args(&args.build);
    // Its words are progress.
    run.stdout(Stdio::from(io::stderr())).stdin(Stdio::null());
    let ended = run.status().map_err(|error| no_git(&error))?;
    found(&tree, ended, context)
}

/// Tells the first bad commit, or those of which one is it.
fn found(tree: &Path, ended: process::ExitStatus, context: &Context) -> Result<ExitStatus, Stop> {
    if ended.success() {
        let first = git(tree, ["log", "-1", "--format=%H %s", "refs/bisect/bad"])?;
        context
            .output
            .line(format_args!("first bad commit: {first}"))?;
        return Ok(ExitStatus::Held);
    }
    let left = git(
        tree,
        [
            "log",
            "--format=%H %s",
            "refs/bisect/bad",
            "--not",
            "--glob=refs/bisect/good-*",
        ],
    )?;
    context
        .output
        .line("one of these is the first bad commit:")?;
    left.lines()
        .try_for_each(|line| context.output.line(line))?;
    Ok(ExitStatus::Inconclusive)
}

/// Tests one commit, for git.
pub(super) fn step(args: &BisectStep, context: &Context) -> Result<ExitStatus, Stop> {
    let BisectStep {
        file,
        within,
        program,
        build,
    } = args;
    match test(build, within, program, file, context)? {
        Tested::Passes => Ok(ExitStatus::Held),
        Tested::Fails => Ok(ExitStatus::Failed),
        Tested::Open => process::exit(i32::from(SKIP)),
    }
}

/// Builds what is checked out, and runs the scenario with it.
fn test(
    build: &[OsString],
    within: &Path,
    program: &Path,
    file: &Path,
    context: &Context,
) -> Result<Tested, Stop> {
    let commit = git(within, ["log", "-1", "--format=%h %s"])?;
    let tell = |text: &str| context.output.note(format_args!("{commit}: {text}"));
    let (first, rest) = build.split_first().expect("clap asks for it");
    let built = Command::new(first)
        .args(rest)
        .current_dir(within)
        .stdin(Stdio::null())
        .stdout(Stdio::from(io::stderr()))
        .status()
        .map_err(|error| {
            Stop::Usage(format!(
                "{}: cannot be run: {error}",
                first.to_string_lossy()
            ))
        })?;
    if !built.success() {
        tell("does not build");
        return Ok(Tested::Open);
    }
    let mut run = Command::new(within.join(program));
    run.arg("run").arg(file).stdin(Stdio::null());
    let ran = run.current_dir(within).output().map_err(|error| {
        let path = program.display();
        Stop::Usage(format!(
            "{path}: the build command did not make it: {error}; give another --program"
        ))
    })?;
    let tested = match ran.status.code() {
        Some(0) => Tested::Passes,
        Some(1) => Tested::Fails,
        Some(_) | None => Tested::Open,
    };
    tell(in_words(tested));
    if tested == Tested::Open {
        let said = String::from_utf8_lossy(&ran.stderr);
        said.lines()
            .take(10)
            .for_each(|line| context.output.note(line));
    }
    Ok(tested)
}

fn in_words(tested: Tested) -> &'static str {
    match tested {
        Tested::Passes => "passes",
        Tested::Fails => "fails",
        Tested::Open => "cannot be tested",
    }
}

/// The run, resolved, with what it is held to.
fn scenario(args: &Bisect, context: &Context) -> Result<Scenario, Stop> {
    let catalog = &context.catalog;
    let path = PathBuf::from(&args.what);
    let number = args.what.to_str().and_then(|text| text.parse::<u64>().ok());
    let Some(seed) = number.filter(|_| !path.exists()) else {
        let mut scenario = files::read_one(&path, &Overrides::default(), context)?;
        if let Some(strategy) = &args.strategy {
            scenario.run.strategies = vec![strategy.clone()];
        }
        let seed = args.seed.unwrap_or(scenario.run.seed);
        return Ok(resolve(&scenario, seed, catalog));
    };
    let Some(strategy) = &args.strategy else {
        let known = catalog.names().join(", ");
        let reason = format!("a seed needs its --strategy: one of {known}");
        return Err(Stop::Usage(reason));
    };
    let entry = entry(strategy, context)?;
    let options = generate::Options::default();
    let generated = fitting(seed, entry, &options, catalog).scenario;
    let mut scenario = resolve(&generated, seed, catalog);
    let checked = args.oracles.check(catalog);
    checked.map_err(|error| Stop::Usage(error.to_string()))?;
    let claimed = claimed(&scenario, strategy, catalog);
    let oracles = args.oracles.names(&claimed, catalog);
    if oracles.is_empty() {
        return Err(Stop::Usage(format!(
            "`{strategy}` claims nothing of this scenario: give --oracles"
        )));
    }
    // If it fails with this program, what fails is what is looked for.
    let failing = findings(&scenario, strategy, seed, &oracles, catalog);
    let failing = failing.map_err(|error| Stop::Usage(error.to_string()))?;
    let failing: Vec<&str> = oracles
        .iter()
        .copied()
        .filter(|name| failing.iter().any(|one| one.oracle == *name))
        .collect();
    let wanted = if failing.is_empty() { oracles } else { failing };
    scenario.expectations = wanted.into_iter().map(always).collect();
    Ok(scenario)
}

fn entry<'a>(strategy: &str, context: &'a Context) -> Result<&'a dyn CatalogEntry, Stop> {
    let catalog = &context.catalog;
    catalog.get(strategy).ok_or_else(|| {
        let known = catalog.names().join(", ");
        Stop::Usage(format!(
            "there is no strategy `{strategy}`; there are {known}"
        ))
    })
}

/// A directory for the time of a bisection, with a worktree in it.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new() -> Result<Self, Stop> {
        let path = std::env::temp_dir().join(format!("hublab-bisect-{}", process::id()));
        fs::create_dir(&path).map_err(|error| unwritable(&path, &error))?;
        Ok(Self { path })
    }

    fn tree(&self) -> PathBuf {
        self.path.join("tree")
    }

    /// A worktree of the repository in which the program was started.
    fn checked_out(&self, commit: &str) -> Result<PathBuf, Stop> {
        let tree = self.tree();
        let name = tree.to_string_lossy().into_owned();
        let add = ["worktree", "add", "--quiet", "--detach", &name, commit];
        git(Path::new("."), add)?;
        Ok(tree)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let tree = self.tree();
        if tree.exists() {
            drop(git(&tree, ["bisect", "reset"]));
            let name = tree.to_string_lossy().into_owned();
            drop(git(
                Path::new("."),
                ["worktree", "remove", "--force", &name],
            ));
        }
        drop(fs::remove_dir_all(&self.path));
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Stop {
    Stop::Usage(format!("{}: cannot be written: {error}", path.display()))
}

fn no_git(error: &io::Error) -> Stop {
    Stop::Usage(format!("git cannot be run: {error}"))
}

fn command<S: AsRef<OsStr>>(within: &Path, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(within).args(args);
    command
}

/// What git prints, without the line break at the end.
///
/// # Errors
/// It does not do it.
fn git<'a>(within: &Path, args: impl IntoIterator<Item = &'a str>) -> Result<String, Stop> {
    let args: Vec<&str> = args.into_iter().collect();
    let done = command(within, &args).stdin(Stdio::null()).output();
    let done = done.map_err(|error| no_git(&error))?;
    if done.status.success() {
        let said = String::from_utf8_lossy(&done.stdout);
        return Ok(said.trim_end().to_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let args: Vec<String> = args
        .into_iter()
        .map(|arg| quoted(arg).to_string())
        .collect();
    Err(Stop::Usage(format!(
        "git {}: {}",
        args.join(" "),
        said.trim()
    )))
}
