//! `hublab report`: runs, campaigns and comparisons as a page for a browser, in one file.
//!
//! | module | owns |
//! | --- | --- |
//! | [`data`] | what a page shows, as data |
//! | [`run`], [`head`] | the data of a run, from its capsule; what is told first |
//! | [`window`] | which events are held in full |
//! | [`record`], [`flights`] | those events and messages, in columns, and the state before them |
//! | [`cells`] | where views differ from the truth |
//! | [`curves`] | what is counted over the whole run |
//! | [`held`] | runs inside pages that are about more |
//! | [`campaign`], [`seeds`], [`comparison`] | the data of those, from their directories |
//! | [`pack`] | numbers and texts in little room |
//! | [`html`], [`output`] | the file: data, style and script; how it comes to its place |
//!
//! The script, under `assets/`, draws; it computes nothing that a command computes, but for sums and the
//! chains of causes, whose links are in the data.

mod campaign;
mod cells;
mod comparison;
mod curves;
mod data;
mod flights;
mod head;
mod held;
mod html;
mod output;
mod pack;
mod record;
mod run;
mod seeds;
mod window;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hublab_sim::capsule::Capsule;
use hublab_sim::capsule::diff::diff as compare;
use hublab_strategies::Time;
use hublab_strategies::time::{format_duration, micros};

use super::args::Size;
use super::args::blame::Search;
use super::args::report::Report;
use super::campaign::known;
use super::exit::ExitStatus;
use super::render::number;
use super::trace::title;
use super::{Context, Stop, blame, capsules, compare as comparisons};
use data::{Content, Difference, Entry, List, Page, Runs, SCHEMA};
use held::Held;
pub(super) use output::PageFile;
use run::{BYTES_MAX, EVENTS_MAX, Origin, ReportError, Source, focus};
use window::Wish;

/// The runs of a list may take this much of its page.
const LIST_BYTES: usize = 9_000_000;

pub(super) fn report(args: &Report, context: &Context) -> Result<ExitStatus, Stop> {
    let output = PageFile::open(&args.output)?;
    match &args.paths[..] {
        [directory] if directory.is_dir() => of_directory(directory, args, output, context),
        paths => {
            refuse(
                &[
                    ("--known", !args.known.known.is_empty()),
                    ("--known-anomaly", !args.known.known_anomalies.is_empty()),
                ],
                "is for the directory of a campaign",
            )?;
            of_capsules(paths, args, output, context)
        }
    }
}

/// Refuses the first of these flags that is given.
fn refuse(flags: &[(&str, bool)], why: &str) -> Result<(), Stop> {
    match flags.iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) => Err(Stop::Usage(format!("{flag} {why}"))),
        None => Ok(()),
    }
}

fn of_directory(
    directory: &Path,
    args: &Report,
    output: PageFile,
    context: &Context,
) -> Result<ExitStatus, Stop> {
    refuse(
        &[
            ("--from", args.from.is_some()),
            ("--to", args.to.is_some()),
            ("--blame", args.blame.is_some()),
        ],
        "is for capsules: a directory is of many runs",
    )?;
    if comparisons::is_there(directory) {
        refuse(
            &[
                ("--known", !args.known.known.is_empty()),
                ("--known-anomaly", !args.known.known_anomalies.is_empty()),
            ],
            "is for campaigns: this directory holds a comparison",
        )?;
        let Some((title, comparison, exit)) =
            comparison::comparison(directory, args.size, context)?
        else {
            return Ok(ExitStatus::Inconclusive);
        };
        write(output, &title, Content::Comparison(&comparison), context)?;
        return Ok(exit);
    }
    if !directory.join(super::campaign::folder::MANIFEST).is_file() {
        let reason = "this directory holds no campaign and no comparison; `fuzz --out` and `compare --out` \
            write one, and a capsule is named by its file";
        return Err(capsules::unusable(directory, reason));
    }
    let known = known::read(&args.known, context)?;
    let (title, campaign) = campaign::campaign(directory, known, args.size, context)?;
    write(output, &title, Content::Campaign(&campaign), context)?;
    Ok(ExitStatus::Held)
}

fn of_capsules(
    paths: &[PathBuf],
    args: &Report,
    output: PageFile,
    context: &Context,
) -> Result<ExitStatus, Stop> {
    let (title, runs, exit) = match paths {
        [one] => of_one(one, args, context)?,
        [left, right] => {
            refuse(
                &[("--blame", args.blame.is_some())],
                "is for one capsule: two are compared",
            )?;
            for path in paths {
                check_times(args, &open(path, args.size)?)?;
            }
            let origins = paths.iter().map(|path| Origin::Capsule(path));
            let origins: Vec<Origin<'_>> = origins.collect();
            let (title, runs) = of_two(
                [left, right],
                [origins[0], origins[1]],
                Part::of(args),
                context,
            )?;
            (title, runs, ExitStatus::Held)
        }
        _ => {
            let reason = "a report is of one capsule, or of two that are compared";
            return Err(Stop::Usage(reason.to_owned()));
        }
    };
    write(output, &title, Content::Runs(&runs), context)?;
    Ok(exit)
}

fn of_one(
    path: &Path,
    args: &Report,
    context: &Context,
) -> Result<(String, Runs, ExitStatus), Stop> {
    let mut capsule = open(path, args.size)?;
    check_times(args, &capsule)?;
    let title = title(capsule.footer());
    let mut exit = ExitStatus::Held;
    let answer = match &args.blame {
        None => None,
        Some(None) => {
            let search = Search::default();
            let found = blame::look(&capsule, path, &search, context)?;
            exit = found.end(&search, context);
            Some(found.told)
        }
        Some(Some(from)) => Some(answer_of(from, &capsule, path)?),
    };
    let origin = Origin::Capsule(path);
    let mut run = of_capsule(
        &mut capsule,
        path,
        origin,
        Part::of(args).wish(None, 1),
        context,
    )?;
    run.blame = answer;
    Ok((title, Runs::of(run), exit))
}

/// What `blame` told of this run.
fn answer_of<R: Read + Seek>(
    from: &Path,
    capsule: &Capsule<R>,
    path: &Path,
) -> Result<blame::Told, Stop> {
    let told = blame::read(from)?;
    if told.digest == capsule.footer().digest {
        return Ok(told);
    }
    let (scenario, strategy, seed) = (&told.scenario, &told.strategy, told.seed);
    let reason = format!(
        "it is of a run of {scenario} with {strategy}, seed {seed}, which is not that of {}",
        path.display()
    );
    Err(capsules::unusable(from, reason))
}

fn of_two(
    paths: [&Path; 2],
    origins: [Origin<'_>; 2],
    part: Part,
    context: &Context,
) -> Result<(String, Runs), Stop> {
    let [left, right] = paths;
    let compared =
        compare(open(left, part.size)?, open(right, part.size)?, 1).map_err(|error| {
            let (left, right) = (left.display(), right.display());
            Stop::Usage(format!("{left} and {right}: {error}"))
        })?;
    let headers = compared.headers.iter().map(ToString::to_string).collect();
    let difference = compared.divergence.map(|it| {
        let at = it
            .left
            .iter()
            .chain(&it.right)
            .map(|event| event.at.0)
            .min();
        let line = |events: &[_], names: &hublab_sim::trace::Names| {
            events.first().map(|event| names.line(event))
        };
        Difference {
            event: it.at_event,
            at_us: at.unwrap_or_default(),
            lines: [
                line(&it.left, &it.left_names),
                line(&it.right, &it.right_names),
            ],
            headers,
        }
    });
    let around = difference.as_ref().map(|it| Time(it.at_us));
    let (mut titles, mut runs) = (Vec::new(), Vec::new());
    for (path, origin) in paths.into_iter().zip(origins) {
        let mut capsule = open(path, part.size)?;
        titles.push(title(capsule.footer()));
        let wish = part.wish(around, 2);
        runs.push(of_capsule(&mut capsule, path, origin, wish, context)?);
    }
    Ok((titles.join("; "), Runs { runs, difference }))
}

/// A run that `hublab run` made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) scenario: String,
    pub(super) strategy: String,
    pub(super) seed: u64,
    /// Where its capsule is, if it was made to its end.
    pub(super) capsule: PathBuf,
    /// True if the capsule stays there.
    pub(super) is_kept: bool,
    /// The command that makes it again.
    pub(super) repeat: String,
}

/// The page of these runs: one alone, two of one scenario beside each other, more in a list.
pub(super) fn of_runs(
    made: &[Made],
    output: PageFile,
    size: Size,
    context: &Context,
) -> Result<(), Stop> {
    let part = Part {
        from: None,
        to: None,
        size,
    };
    let are_there = made.iter().all(|made| made.capsule.is_file());
    let told = match made {
        [one] if are_there => {
            let mut capsule = open(&one.capsule, size)?;
            let title = title(capsule.footer());
            let wish = part.wish(None, 1);
            let run = of_capsule(&mut capsule, &one.capsule, one.origin(), wish, context)?;
            write_file(output, &title, Content::Runs(&Runs::of(run)))
        }
        [left, right] if are_there && left.scenario == right.scenario => {
            let paths = [left, right].map(|made| made.capsule.as_path());
            let origins = [left, right].map(Made::origin);
            let (title, runs) = of_two(paths, origins, part, context)?;
            write_file(output, &title, Content::Runs(&runs))
        }
        _ => {
            let list = list(made, size, context);
            let title = number::counted(made.len() as u64, "run");
            write_file(output, &title, Content::List(&list))
        }
    };
    // Results go where they went without a page.
    context.output.note(told?);
    Ok(())
}

impl Made {
    fn origin(&self) -> Origin<'_> {
        if self.is_kept {
            Origin::Capsule(&self.capsule)
        } else {
            Origin::Command(&self.repeat)
        }
    }
}

fn list(made: &[Made], size: Size, context: &Context) -> List {
    let mut held = Held::new(LIST_BYTES, size, context);
    let mut left = made.len();
    let entry = |made: &Made| {
        left -= 1;
        let run = if made.capsule.is_file() {
            capsules::open(&made.capsule, size)
                .map_err(held::in_words)
                .and_then(|mut capsule| held.add(&mut capsule, made.origin(), left))
        } else {
            Err("it did not come to its end".to_owned())
        };
        Entry {
            scenario: made.scenario.clone(),
            strategy: made.strategy.clone(),
            seed: made.seed.to_string(),
            repeat: made.repeat.clone(),
            no_run: run.as_ref().err().cloned(),
            run: run.ok(),
        }
    };
    let entries = made.iter().map(entry).collect();
    List {
        entries,
        runs: held.into_runs(),
    }
}

fn of_capsule<R: Read + Seek>(
    capsule: &mut Capsule<R>,
    path: &Path,
    origin: Origin<'_>,
    mut wish: Wish,
    context: &Context,
) -> Result<data::Run, Stop> {
    let scenario = capsules::scenario(capsule.header(), path, context)?;
    if wish.focus.is_none() {
        wish.focus = focus(&scenario, &capsule.footer().report);
    }
    let source = Source {
        origin,
        scenario: &scenario,
        catalog: &context.catalog,
        wish,
    };
    run::run(capsule, source).map_err(|error: ReportError| capsules::unusable(path, error))
}

/// The part of each run that a page holds in full, and how large capsules may be.
#[derive(Debug, Clone, Copy)]
struct Part {
    from: Option<Duration>,
    to: Option<Duration>,
    size: Size,
}

impl Part {
    fn of(args: &Report) -> Self {
        Self {
            from: args.from,
            to: args.to,
            size: args.size,
        }
    }

    /// What a page of so many runs holds of each.
    fn wish(self, focus: Option<Time>, runs: u64) -> Wish {
        Wish {
            from: self.from.map(|time| Time(micros(time))),
            to: self.to.map(|time| Time(micros(time))),
            focus,
            most: EVENTS_MAX / runs,
            bytes: BYTES_MAX,
        }
    }
}

/// Opens a capsule, or says what else the file is.
fn open(path: &Path, size: Size) -> Result<Capsule<std::io::BufReader<File>>, Stop> {
    if path.is_dir() {
        let reason = "it is a directory, which has a report of its own; `hublab merge` joins those of shards, \
            and two capsules are compared";
        return Err(capsules::unusable(path, reason));
    }
    if capsules::is_scenario(path) {
        let name = super::output::quoted_path(path);
        let reason = format!(
            "this is a scenario; `hublab run {name} --report report.html` runs it and makes its report"
        );
        return Err(capsules::unusable(path, reason));
    }
    capsules::open(path, size)
}

/// Times between which nothing can be.
fn check_times<R>(args: &Report, capsule: &Capsule<R>) -> Result<(), Stop>
where
    R: Read + Seek,
{
    let end = Duration::from_micros(capsule.footer().report.virtual_us);
    match (args.from, args.to) {
        (Some(from), Some(to)) if from > to => {
            let (from, to) = (format_duration(from), format_duration(to));
            Err(Stop::Usage(format!(
                "--from {from} is later than --to {to}"
            )))
        }
        (Some(from), _) if from > end => Err(capsules::behind_end("--from", from, end)),
        _ => Ok(()),
    }
}

/// Writes a page, and says how large it is.
fn write(
    output: PageFile,
    title: &str,
    content: Content<'_>,
    context: &Context,
) -> Result<(), Stop> {
    let told = write_file(output, title, content)?;
    context.output.line(told)
}

/// Writes a page: its path and how large it is.
fn write_file(output: PageFile, title: &str, content: Content<'_>) -> Result<String, Stop> {
    let page = Page {
        schema: SCHEMA,
        title,
        content,
    };
    let path = output.path().display().to_string();
    let size = output.write(|out| html::write(title, &page, out))?;
    Ok(format!("{path}: {}", number::bytes(size)))
}
