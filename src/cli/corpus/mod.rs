//! `hublab corpus`: failures that were met once, saved as scenario files and run again.
//!
//! A corpus is a directory to be kept under version control. Everything in it failed when it was
//! saved; that it holds now is what `corpus run` and `fuzz --corpus` ask for.

mod entry;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use hublab_sim::campaign::record::Record;
use hublab_sim::campaign::shard::Shard;
use hublab_sim::campaign::summary::Summary;
use hublab_sim::report::Report;
use hublab_sim::run::failure::{Failure, Signature};
use hublab_sim::run::{RunError, Simulation};
use hublab_sim::scenario::{Scenario, load};
use hublab_sim::watch::judge::Verdict;
use hublab_strategies::time::micros;

use self::entry::{Entry, New, failures};
use super::args::corpus::{Add, Corpus, CorpusCommand, Expect, Run, Which};
use super::args::{Overrides, ReportAs};
use super::campaign::account::{Account, Source as AccountSource};
use super::campaign::joined::line;
use super::capsules;
use super::exit::ExitStatus;
use super::files::{self, Source};
use super::output::quoted;
use super::pool::{self, End, Ended, Limits};
use super::progress::{Meter, Progress};
use super::render::number::counted;
use super::render::style;
use super::report::{Reporters, Run as ReportedRun, Setting, Totals};
use super::{Context, Stop, print_bug};

pub(super) fn corpus(args: &Corpus, context: &Context) -> Result<ExitStatus, Stop> {
    match &args.what {
        CorpusCommand::Add(args) => add(args, context),
        CorpusCommand::List(args) => list(args, context),
        CorpusCommand::Run(args) => run(args, context),
    }
}

/// A run of a saved failure.
struct Job {
    scenario: Scenario,
    strategy: String,
    meter: Meter,
}

/// Makes runs with their own seeds, in order, and hands each to `take` with its number.
fn run_all(
    jobs: Vec<(Scenario, String)>,
    limits: Limits,
    context: &Context,
    take: impl FnMut(usize, Ended<Result<Report, RunError>>) -> Result<(), Stop>,
) -> Result<End, Stop> {
    let length = |scenario: &Scenario| micros(scenario.run.duration);
    let all = jobs.iter().map(|(scenario, _)| length(scenario));
    let all = all.fold(0, u64::saturating_add);
    let progress = Progress::new(&context.output, "run", jobs.len() as u64, all);
    let jobs = jobs.into_iter().map(|(scenario, strategy)| Job {
        meter: progress.meter(length(&scenario)),
        scenario,
        strategy,
    });
    let catalog = Arc::clone(&context.catalog);
    let work = move |job: Job, stop| {
        let seed = job.scenario.run.seed;
        Simulation::new(&job.scenario, &catalog)
            .strategy(&job.strategy)
            .and_then(|run| {
                let run = run.seed(seed).sink(job.meter).stop_when(stop);
                run.unmeasured().run()
            })
    };
    let mut take = take;
    pool::run(jobs, limits, work, |number, ended| {
        progress.part_done();
        take(number, ended)
    })
}

fn add(args: &Add, context: &Context) -> Result<ExitStatus, Stop> {
    for name in &args.oracles {
        if context.catalog.oracle(name).is_none() {
            let known = context
                .catalog
                .oracle_names()
                .collect::<Vec<_>>()
                .join(", ");
            let reason = format!("there is no oracle `{name}`; oracles are {known}");
            return Err(Stop::Usage(reason));
        }
    }
    let mut exit = ExitStatus::Held;
    for path in &args.failures {
        let is_file = path
            .extension()
            .is_some_and(|extension| extension == "toml");
        let added = if is_file || path.is_dir() {
            add_files(path, args, context)
        } else {
            add_capsule(path, args, context)
        };
        exit = exit.max(go_on(added, context)?);
    }
    Ok(exit)
}

/// Prints why one of several cannot be added: the others still can.
fn go_on(added: Result<ExitStatus, Stop>, context: &Context) -> Result<ExitStatus, Stop> {
    if let Err(Stop::Usage(reason)) = &added {
        let error = style::error("error:");
        context.output.note(format_args!("{error} {reason}"));
        return Ok(ExitStatus::Usage);
    }
    added
}

fn add_capsule(path: &Path, args: &Add, context: &Context) -> Result<ExitStatus, Stop> {
    let capsule = capsules::open(path, args.size)?;
    let (header, report) = (capsule.header(), &capsule.footer().report);
    let scenario = capsules::scenario(header, path, context)?;
    let new = New::of(scenario, None, report, &args.oracles, args.expect).ok_or_else(|| {
        let reason = "nothing failed in this run: nothing to save; --oracle names a violation that \
                      the scenario documents";
        capsules::unusable(path, reason)
    })?;
    save(&new, &args.which, context)
}

fn add_files(path: &Path, args: &Add, context: &Context) -> Result<ExitStatus, Stop> {
    let none = Overrides::default();
    let sources = files::read_all(&[path.to_owned()], &none, false, context);
    sources.print_repetition(&none, context);
    let mut exit = sources.exit;
    for source in &sources.good {
        exit = exit.max(go_on(add_file(source, args, context), context)?);
    }
    Ok(exit)
}

fn add_file(source: &Source, args: &Add, context: &Context) -> Result<ExitStatus, Stop> {
    let Source {
        path,
        scenario,
        text,
        ..
    } = source;
    let strategies = scenario.run.strategies.iter();
    let jobs = strategies.map(|name| (scenario.clone(), name.clone()));
    let limits = Limits {
        workers: 1,
        wall: args.wall_limit,
    };
    let (mut found, mut exit) = (false, ExitStatus::Held);
    let end = run_all(jobs.collect(), limits, context, |_, ended| {
        let report = match ended {
            Ended::Done(report) => report.map_err(|error| capsules::unusable(path, error))?,
            Ended::Panicked(what) => {
                print_bug(context, &what);
                return Err(Stop::Told(ExitStatus::Bug));
            }
            Ended::Overdue(_) => return Err(capsules::unusable(path, "it outlives --wall-limit")),
        };
        if report.digest.is_none() {
            return Err(capsules::unusable(path, "it outlives --wall-limit"));
        }
        let (named, expect) = (&args.oracles, args.expect);
        if let Some(new) = New::of(scenario.clone(), Some(text), &report, named, expect) {
            found = true;
            exit = exit.max(save(&new, &args.which, context)?);
        }
        Ok(())
    })?;
    match end {
        End::Interrupted => Ok(ExitStatus::Interrupted),
        End::Complete if !found => Err(capsules::unusable(
            path,
            "nothing fails in it: nothing to save; --oracle names a violation that it documents",
        )),
        End::Complete => Ok(exit),
    }
}

fn save(new: &New, which: &Which, context: &Context) -> Result<ExitStatus, Stop> {
    let corpus = &which.corpus;
    let saved = new.save(corpus);
    let (path, is_new) = saved.map_err(|error| {
        Stop::Usage(format!("{}: cannot be written: {error}", corpus.display()))
    })?;
    let word = if is_new {
        style::pass("saved")
    } else {
        style::dim("known")
    };
    context
        .output
        .line(format_args!("{word} {}", path.display()))?;
    Ok(ExitStatus::Held)
}

/// Why a corpus cannot be used.
pub(super) fn no_corpus(directory: &Path) -> Stop {
    let reason = "there is no such directory: `hublab corpus add` makes it";
    Stop::Usage(format!("{}: {reason}", directory.display()))
}

/// What is saved, by name, and whether all of it can be read. What is wrong has been told.
fn entries(which: &Which, context: &Context) -> Result<(Vec<Entry>, ExitStatus), Stop> {
    let directory = &which.corpus;
    if !directory.is_dir() {
        return Err(no_corpus(directory));
    }
    if load::find(std::slice::from_ref(directory)).is_err() {
        let name = directory.display();
        context
            .output
            .note(format_args!("{name}: nothing is saved here"));
        return Ok((Vec::new(), ExitStatus::Held));
    }
    let none = Overrides::default();
    let sources = files::read_all(std::slice::from_ref(directory), &none, false, context);
    sources.print_repetition(&none, context);
    let exit = sources.exit;
    let entry = |source: Source| Entry::new(source.path, &source.text, source.scenario);
    Ok((sources.good.into_iter().map(entry).collect(), exit))
}

fn list(args: &Which, context: &Context) -> Result<ExitStatus, Stop> {
    let (entries, exit) = entries(args, context)?;
    let width = entries
        .iter()
        .map(|entry| entry.name().chars().count())
        .max();
    for entry in entries {
        let (name, scenario) = (entry.name(), &entry.scenario);
        let gap = " ".repeat(width.unwrap_or(0) - name.chars().count());
        let size = format!(
            "seed {}, {}, {}",
            scenario.run.seed,
            counted(scenario.cluster.nodes.len() as u64, "node"),
            counted(scenario.steps.len() as u64, "step")
        );
        let name = style::bold(&name);
        let known = if entry.expect == Expect::Fails {
            "known: "
        } else {
            ""
        };
        let how = format!("{known}{}", in_words(&entry));
        context
            .output
            .line(format_args!("{name}{gap}  {how}; {size}"))?;
    }
    Ok(exit)
}

fn in_words(entry: &Entry) -> String {
    let signatures: Vec<&str> = entry.signatures.iter().map(String::as_str).collect();
    if signatures.is_empty() {
        format!(
            "{} (no signature)",
            entry.scenario.run.strategies.join(", ")
        )
    } else {
        signatures.join("; ")
    }
}

fn run(args: &Run, context: &Context) -> Result<ExitStatus, Stop> {
    let (entries, mut exit) = entries(&args.which, context)?;
    if entries.is_empty() {
        // Nothing was checked.
        exit = exit.max(ExitStatus::Inconclusive);
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let limits = Limits {
        workers: args.jobs.map_or(cores, usize::from),
        wall: args.wall_limit,
    };
    let jobs: Vec<(&Entry, &String)> = entries
        .iter()
        .flat_map(|entry| {
            entry
                .scenario
                .run
                .strategies
                .iter()
                .map(move |name| (entry, name))
        })
        .collect();
    let runs = jobs
        .iter()
        .map(|(entry, name)| (entry.scenario.clone(), (*name).clone()));
    let (mut repeat, mut held, mut known) = (None, 0, 0);
    let ReportAs { format, exports } = &args.report;
    let setting = Setting::default();
    // For people, a saved failure has words of its own.
    let mut reporters = if format.is_human() {
        Reporters::of_files(exports, setting, context)?
    } else {
        Reporters::new(*format, exports, setting, context)?
    };
    let mut summary = Summary::default();
    let mut records = Records::new(args.records.as_deref())?;
    let end = run_all(runs.collect(), limits, context, |number, ended| {
        let (entry, strategy) = jobs[number];
        let record = record_of(entry, strategy, &ended);
        records.extend(&record)?;
        if let (Some(record), Ended::Done(Ok(report))) = (&record, &ended) {
            summary.add(record);
            reporters.run(&ReportedRun {
                record,
                details: Some((report, &entry.scenario)),
                explanation: None,
            })?;
        }
        let (outcome, line) = judge(entry, strategy, ended, context);
        exit = exit.max(outcome);
        if outcome == ExitStatus::Held && entry.expect == Expect::Fails {
            known += 1;
        } else if outcome == ExitStatus::Held {
            held += 1;
        } else {
            let path = quoted(&entry.path.to_string_lossy());
            let strategy = quoted(strategy);
            repeat.get_or_insert(format!("hublab run {path} --strategy {strategy}"));
        }
        if format.is_human() {
            context.output.line(line)?;
        }
        Ok(())
    })?;
    match end {
        End::Complete => {}
        End::Interrupted => exit = exit.max(ExitStatus::Interrupted),
    }
    let all = counted(jobs.len() as u64, "saved failure");
    let known = if known > 0 {
        format!(", {known} fail as known")
    } else {
        String::new()
    };
    let all = format!("{all}: {held} hold now{known}");
    let command = |scenario: &str, strategy: &str, _: u64| {
        let (path, strategy) = (quoted(scenario), quoted(strategy));
        format!("hublab run {path} --strategy {strategy}")
    };
    reporters.close(&Totals {
        account: Account {
            title: "hublab corpus run",
            source: AccountSource::Runs(&command),
            shard: Shard::WHOLE,
            summary: &summary,
            folder: None,
        },
        series: None,
        reach: "",
    })?;
    for line in std::iter::once(&all).chain(&repeat) {
        if format.is_human() {
            context.output.line(line)?;
        } else {
            context.output.note(line);
        }
    }
    Ok(exit)
}

/// The file of records, if one is asked for.
struct Records(Option<(PathBuf, File)>);

impl Records {
    fn new(path: Option<&Path>) -> Result<Self, Stop> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        let file = File::create(path).map_err(|error| unwritable(path, &error))?;
        Ok(Self(Some((path.to_owned(), file))))
    }

    fn extend(&mut self, record: &Option<Record>) -> Result<(), Stop> {
        let (Some((path, file)), Some(record)) = (&mut self.0, record) else {
            return Ok(());
        };
        let written = line(record).and_then(|line| file.write_all(&line));
        written.map_err(|error| unwritable(path, &error))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Stop {
    Stop::Usage(format!("{}: cannot be written: {error}", path.display()))
}

/// The record of a saved failure's run: it fails if it is not as it is to be. `None` if it cannot be run.
fn record_of(
    entry: &Entry,
    strategy: &str,
    ended: &Ended<Result<Report, RunError>>,
) -> Option<Record> {
    let path = entry.path.to_string_lossy();
    let bare = |ending| Record::bare(&path, strategy, entry.scenario.run.seed, ending);
    let report = match ended {
        Ended::Done(report) => report.as_ref().ok()?,
        Ended::Panicked(_) => return Some(bare(Verdict::Bug)),
        Ended::Overdue(_) => {
            return Some(Record {
                note: Some("it outlives --wall-limit".to_owned()),
                ..bare(Verdict::Inconclusive)
            });
        }
    };
    let mut record = Record::of_run(&path, &entry.scenario, report);
    match (entry.expect, report.verdict) {
        (Expect::Fails, verdict) if verdict.is_failure() => {
            let now = failures(&entry.scenario, report);
            record.expected = entry.fails_as_saved(&now);
        }
        (Expect::Fails, Verdict::Pass) => {
            record.verdict = Verdict::Fail;
            record.findings.push(Failure {
                signature: Signature {
                    strategy: strategy.to_owned(),
                    oracle: "corpus".to_owned(),
                    defect: "holds now".to_owned(),
                    ..Signature::default()
                },
                at_us: report.virtual_us,
                node: String::new(),
                detail: "it is kept as a known failure, and holds now".to_owned(),
                line: 0,
                event: None,
                hint: None,
                fingerprint: None,
                anomaly: None,
            });
        }
        (Expect::Holds | Expect::Fails, _) => {}
    }
    Some(record)
}

/// What became of a saved failure, in a line.
fn judge(
    entry: &Entry,
    strategy: &str,
    ended: Ended<Result<Report, RunError>>,
    context: &Context,
) -> (ExitStatus, String) {
    let name = format!("{} ({strategy})", entry.name());
    let report = match ended {
        Ended::Done(Ok(report)) => report,
        Ended::Done(Err(reason)) => {
            return (
                ExitStatus::Usage,
                format!("{}  {name}: {reason}", style::error("error")),
            );
        }
        Ended::Panicked(what) => {
            print_bug(context, &what);
            return (ExitStatus::Bug, format!("{}  {name}", style::error("bug")));
        }
        Ended::Overdue(_) => {
            let late = style::warn("inconclusive");
            return (
                ExitStatus::Inconclusive,
                format!("{late}  {name}: it outlives --wall-limit"),
            );
        }
    };
    let now = failures(&entry.scenario, &report);
    let as_saved = entry.fails_as_saved(&now);
    let how = now.into_iter().collect::<Vec<_>>().join("; ");
    match (entry.expect, report.verdict) {
        (Expect::Holds, Verdict::Pass) => (
            ExitStatus::Held,
            format!("{}  {name}", style::pass("holds now")),
        ),
        (_, Verdict::Inconclusive) => {
            let why = match report.digest {
                Some(_) => "",
                None => ": it outlives --wall-limit",
            };
            let open = style::warn("inconclusive");
            (ExitStatus::Inconclusive, format!("{open}  {name}{why}"))
        }
        (Expect::Fails, Verdict::Pass) => (
            ExitStatus::Failed,
            format!(
                "{}  {name}: it is kept as a known failure",
                style::error("holds now")
            ),
        ),
        (Expect::Fails, Verdict::Fail) if as_saved => (
            ExitStatus::Held,
            format!("{}  {name}: {how}", style::pass("fails as known")),
        ),
        (Expect::Holds | Expect::Fails, _) => {
            let word = if as_saved { "fails" } else { "fails otherwise" };
            let word = style::error(word);
            (ExitStatus::Failed, format!("{word}  {name}: {how}"))
        }
    }
}
