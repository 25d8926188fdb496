//! `hublab report`: a run as a page for a browser, in one file.
//!
//! | module | owns |
//! | --- | --- |
//! | [`data`] | what a page shows, as data |
//! | [`run`] | the data of a run, from its capsule |
//! | [`window`] | which events are held in full |
//! | [`record`] | those events, in columns, and the state before them |
//! | [`cells`] | where views differ from the truth |
//! | [`curves`] | what is counted over the whole run |
//! | [`pack`] | numbers and texts in little room |
//! | [`html`] | the file: data, style and script |
//!
//! The script, under `assets/`, draws; it computes nothing that a command computes, but for sums and the
//! chains of causes, whose links are in the data.

mod cells;
mod curves;
mod data;
mod html;
mod pack;
mod record;
mod run;
mod window;

use std::fs::{self, File};
use std::io::{BufWriter, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use hublab_sim::capsule::Capsule;
use hublab_sim::capsule::diff::diff as compare;
use hublab_strategies::Time;
use hublab_strategies::time::{format_duration, micros};

use super::args::report::Report;
use super::exit::ExitStatus;
use super::render::number;
use super::trace::title;
use super::{Context, Stop, capsules};
use data::{Content, Difference, Page, Runs, SCHEMA};
use run::{EVENTS_MAX, ReportError, Source, focus};
use window::Wish;

pub(super) fn report(args: &Report, context: &Context) -> Result<ExitStatus, Stop> {
    if let Some(input) = args.paths.iter().find(|path| is_same(path, &args.output)) {
        let path = input.display();
        return Err(Stop::Usage(format!(
            "{path}: the report would replace it; -o names another file"
        )));
    }
    let (title, runs) = match &args.paths[..] {
        [one] => of_one(one, args, context)?,
        [left, right] => of_two(left, right, args, context)?,
        _ => {
            let reason = "a report is of one capsule, or of two that are compared";
            return Err(Stop::Usage(reason.to_owned()));
        }
    };
    let content = Content::Runs(&runs);
    let page = Page {
        schema: SCHEMA,
        title: &title,
        content,
    };
    write(&args.output, &title, &page)?;
    tell(&args.output, context)?;
    Ok(ExitStatus::Held)
}

fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| fs::canonicalize(path).ok();
    whole(one).is_some_and(|one| Some(one) == whole(other))
}

fn of_one(path: &Path, args: &Report, context: &Context) -> Result<(String, Runs), Stop> {
    let mut capsule = open(path, args)?;
    check_times(args, &capsule)?;
    let title = title(capsule.footer());
    let run = of_capsule(&mut capsule, path, wish(args, None, EVENTS_MAX), context)?;
    let runs = Runs {
        runs: vec![run],
        difference: None,
    };
    Ok((title, runs))
}

fn of_two(
    left: &Path,
    right: &Path,
    args: &Report,
    context: &Context,
) -> Result<(String, Runs), Stop> {
    let compared = compare(open(left, args)?, open(right, args)?, 1).map_err(|error| {
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
    for path in [left, right] {
        let mut capsule = open(path, args)?;
        check_times(args, &capsule)?;
        titles.push(title(capsule.footer()));
        let wish = wish(args, around, EVENTS_MAX / 2);
        runs.push(of_capsule(&mut capsule, path, wish, context)?);
    }
    Ok((titles.join("; "), Runs { runs, difference }))
}

fn of_capsule<R: Read + Seek>(
    capsule: &mut Capsule<R>,
    path: &Path,
    mut wish: Wish,
    context: &Context,
) -> Result<data::Run, Stop> {
    let scenario = capsules::scenario(capsule.header(), path, context)?;
    if wish.focus.is_none() {
        wish.focus = focus(&scenario, &capsule.footer().report);
    }
    let source = Source {
        path,
        scenario: &scenario,
        catalog: &context.catalog,
        wish,
    };
    run::run(capsule, source).map_err(|error: ReportError| capsules::unusable(path, error))
}

fn wish(args: &Report, focus: Option<Time>, most: u64) -> Wish {
    Wish {
        from: args.from.map(|time| Time(micros(time))),
        to: args.to.map(|time| Time(micros(time))),
        focus,
        most,
    }
}

/// Opens a capsule, or says what else the file is.
fn open(path: &Path, args: &Report) -> Result<Capsule<std::io::BufReader<File>>, Stop> {
    if path.is_dir() {
        let reason =
            "it is a directory; a report is made of a capsule, which `run --out DIR` writes";
        return Err(capsules::unusable(path, reason));
    }
    if capsules::is_scenario(path) {
        let name = super::output::quoted(&path.to_string_lossy());
        let reason = format!(
            "this is a scenario; `hublab run {name} --out DIR` runs it and writes a capsule"
        );
        return Err(capsules::unusable(path, reason));
    }
    capsules::open(path, args.size)
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
            Err(Stop::Usage(format!("--from {from} is behind --to {to}")))
        }
        (Some(from), _) if from > end => Err(capsules::behind_end("--from", from, end)),
        _ => Ok(()),
    }
}

/// Writes a page. A file of that name is replaced, as by `--export`.
fn write(output: &Path, title: &str, page: &Page<'_>) -> Result<(), Stop> {
    let unwritable = |error: std::io::Error| {
        Stop::Usage(format!("{}: cannot be written: {error}", output.display()))
    };
    let mut file = BufWriter::new(File::create(output).map_err(unwritable)?);
    html::write(title, page, &mut file)
        .and_then(|()| file.flush())
        .map_err(unwritable)
}

fn tell(output: &Path, context: &Context) -> Result<(), Stop> {
    let size = fs::metadata(output).map_or(0, |file| file.len());
    let (path, size) = (output.display(), number::bytes(size));
    context.output.line(format_args!("{path}: {size}"))
}
