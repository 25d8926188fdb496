//! What commands that make runs print, and write into files (`--export`): results are folded by
//! reporters, one per format.
//!
//! A new format is one file that implements [`Reporter`], and a line of [`FORMATS`].

mod campaign;
mod csv;
mod github;
mod human;
mod json;
mod junit;
mod markdown;
mod tap;

use std::fmt::Display;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anstream::adapter::strip_str;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use hublab_sim::campaign::record::Record;
use hublab_sim::report::Report;
use hublab_sim::scenario::Scenario;

use super::args::BadArgument;
use super::campaign::account::Account;
use super::output::Output;
use super::render::human::Tally;
use super::{Context, Stop};

pub(super) use csv::field;
pub(super) use github::cell;

/// Folds the results of a command into one output.
pub(super) trait Reporter {
    /// Takes a run, in the order of the command's runs.
    ///
    /// # Errors
    /// The output cannot be written.
    fn run(&mut self, _run: &Run<'_>, _to: &mut Target) -> Result<(), Stop> {
        Ok(())
    }

    /// Writes what is left when all runs are over.
    ///
    /// # Errors
    /// The output cannot be written.
    fn close(&mut self, _totals: &Totals<'_>, _to: &mut Target) -> Result<(), Stop> {
        Ok(())
    }

    /// True if it needs each run, and not only what they add up to.
    fn wants_runs(&self) -> bool {
        false
    }
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'a> {
    /// Its result, as campaigns record it.
    pub(super) record: &'a Record,
    /// All that is known of it, and its scenario; not of the runs of campaigns.
    pub(super) details: Option<(&'a Report, &'a Scenario)>,
    /// The explanation of its first failure, in lines, if that is told.
    pub(super) explanation: Option<&'a str>,
}

/// What all runs of a command add up to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Totals<'a> {
    /// Failures, suites, and the commands that show them again.
    pub(super) account: Account<'a>,
    /// What else is known of the runs of `run`.
    pub(super) series: Option<Series<'a>>,
    /// What a campaign exercised, and runs that no oracle judged; empty for joined campaigns.
    pub(super) reach: &'a str,
}

/// The runs of a command that is not a campaign.
#[derive(Debug, Clone, Copy)]
pub(super) struct Series<'a> {
    /// How many came to which verdict.
    pub(super) tally: Tally,
    /// How long all of them took.
    pub(super) took: Duration,
    /// The tables of metrics over seeds.
    pub(super) tables: Option<&'a [String]>,
    /// The command that repeats the first run that did not pass.
    pub(super) repeat: Option<&'a str>,
}

/// What is known before the first run.
#[derive(Debug, Clone, Default)]
pub(super) struct Setting {
    /// How many runs there will be.
    pub(super) runs: u64,
    /// The longest name of a scenario.
    pub(super) names: usize,
    /// The longest name of a strategy.
    pub(super) strategies: usize,
    /// The values that were changed in every file.
    pub(super) overrides: Vec<(String, String)>,
    /// The kinds of messages that have columns of their own.
    pub(super) kinds: Vec<&'static str>,
}

type Make = fn(Setting, &Context) -> Box<dyn Reporter>;

/// Every format: its name, what it is, and its reporter.
const FORMATS: &[(&str, &str, Make)] = &[
    ("human", "A summary for people", human::make),
    ("json", "One JSON object per run and line", json::make),
    ("csv", "A header, and one line per run", csv::make),
    ("junit", "A test report for CI systems", junit::make),
    (
        "github",
        "A summary, annotations for GitHub Actions, and a summary of its step",
        github::make,
    ),
    ("markdown", "A summary in Markdown", markdown::make),
    (
        "tap",
        "A point per run, in the Test Anything Protocol",
        tap::make,
    ),
];

/// A format, by its place in [`FORMATS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format(usize);

impl Format {
    /// What people read.
    pub(super) const HUMAN: &str = "human";

    fn by_name(name: &str) -> Option<Self> {
        FORMATS
            .iter()
            .position(|(known, ..)| *known == name)
            .map(Self)
    }

    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        FORMATS[self.0].0
    }

    /// True if there is room for words beside the results: otherwise, they go to standard error.
    pub(super) fn has_room_for_words(self) -> bool {
        matches!(self.name(), Self::HUMAN | "github")
    }

    /// True if it is the one for people.
    pub(super) fn is_human(self) -> bool {
        self.name() == Self::HUMAN
    }
}

/// Prints the report of a single run that no summary follows.
///
/// # Errors
/// The output cannot be written.
pub(super) fn print_one(
    format: Format,
    scenario: &Scenario,
    report: &Report,
    context: &Context,
) -> Result<(), Stop> {
    let setting = Setting {
        runs: 1,
        ..Setting::default()
    };
    let mut reporters = Reporters::new(format, &[], setting, context)?;
    reporters.run(&Run {
        record: &Record::of_run("", scenario, report),
        details: Some((report, scenario)),
        explanation: None,
    })?;
    reporters.flush()
}

/// The value of `--format`.
pub(super) fn format() -> impl TypedValueParser<Value = Format> {
    among(|_| true)
}

/// The value of `--format` of a command about a single run, which no summary follows.
pub(super) fn run_format() -> impl TypedValueParser<Value = Format> {
    among(|name| matches!(name, Format::HUMAN | "json" | "csv"))
}

fn among(is_allowed: fn(&str) -> bool) -> impl TypedValueParser<Value = Format> {
    let values = FORMATS
        .iter()
        .filter(|(name, ..)| is_allowed(name))
        .map(|(name, help, _)| PossibleValue::new(*name).help(*help));
    PossibleValuesParser::new(values)
        .map(|name| Format::by_name(&name).expect("one of the possible values"))
}

/// The value of `--export`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Export {
    format: Format,
    path: PathBuf,
}

impl Export {
    /// True if it is for people.
    pub(super) fn is_human(&self) -> bool {
        self.format.is_human()
    }
}

/// Reads the value of `--export`.
///
/// # Errors
/// It is not a format, `=`, and a path.
pub(super) fn export(text: &str) -> Result<Export, BadArgument> {
    let names: Vec<&str> = FORMATS.iter().map(|(name, ..)| *name).collect();
    let (name, path) = text
        .split_once('=')
        .filter(|(_, path)| !path.is_empty())
        .ok_or(BadArgument::Write("a format and a path: junit=results.xml"))?;
    let format = Format::by_name(name)
        .ok_or_else(|| BadArgument::Format(name.to_owned(), names.join(", ")))?;
    Ok(Export {
        format,
        path: path.into(),
    })
}

/// Where a reporter writes.
#[derive(Debug)]
pub(super) enum Target {
    /// Standard output.
    Output(Arc<Output>),
    /// A file, without colours.
    File {
        /// Its path.
        path: PathBuf,
        /// It, open.
        file: BufWriter<File>,
    },
}

impl Target {
    /// A new file.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn file(path: PathBuf) -> Result<Self, Stop> {
        match File::create(&path) {
            Ok(file) => Ok(Self::File {
                file: BufWriter::new(file),
                path,
            }),
            Err(error) => Err(unwritable(&path, &error)),
        }
    }

    /// Writes a line.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn line(&mut self, text: impl Display) -> Result<(), Stop> {
        match self {
            Self::Output(output) => output.line(text),
            Self::File { path, file } => writeln!(file, "{}", strip_str(&text.to_string()))
                .map_err(|error| unwritable(path, &error)),
        }
    }

    /// Writes a text that has its line breaks.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Stop> {
        match self {
            Self::Output(output) => output.write(|out| out.write_all(text.as_bytes())),
            Self::File { path, file } => {
                write!(file, "{}", strip_str(text)).map_err(|error| unwritable(path, &error))
            }
        }
    }

    fn flush(&mut self) -> Result<(), Stop> {
        match self {
            Self::Output(_) => Ok(()),
            Self::File { path, file } => file.flush().map_err(|error| unwritable(path, &error)),
        }
    }
}

fn unwritable(path: &std::path::Path, error: &std::io::Error) -> Stop {
    Stop::Usage(format!("{}: cannot be written: {error}", path.display()))
}

/// All reporters of a command.
pub(super) struct Reporters {
    all: Vec<(Box<dyn Reporter>, Target)>,
}

impl std::fmt::Debug for Reporters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reporters").field(&self.all.len()).finish()
    }
}

impl Reporters {
    /// One for standard output, and one for each file, which is made now.
    ///
    /// # Errors
    /// A file cannot be made.
    pub(super) fn new(
        format: Format,
        exports: &[Export],
        setting: Setting,
        context: &Context,
    ) -> Result<Self, Stop> {
        let make = |format: Format| FORMATS[format.0].2(setting.clone(), context);
        let stdout = Target::Output(Arc::clone(&context.output));
        let mut all = vec![(make(format), stdout)];
        for Export { format, path } in exports {
            all.push((make(*format), Target::file(path.clone())?));
        }
        Ok(Self { all })
    }

    /// Only those for files: the command itself writes to standard output.
    ///
    /// # Errors
    /// A file cannot be made.
    pub(super) fn of_files(
        exports: &[Export],
        setting: Setting,
        context: &Context,
    ) -> Result<Self, Stop> {
        let mut reporters = Self::new(Format(0), exports, setting, context)?;
        reporters.all.remove(0);
        Ok(reporters)
    }

    /// True if any of them needs each run.
    pub(super) fn want_runs(&self) -> bool {
        self.all.iter().any(|(reporter, _)| reporter.wants_runs())
    }

    /// Hands a run to all of them.
    ///
    /// # Errors
    /// An output cannot be written.
    pub(super) fn run(&mut self, run: &Run<'_>) -> Result<(), Stop> {
        let mut all = self.all.iter_mut();
        all.try_for_each(|(reporter, to)| reporter.run(run, to))
    }

    /// Has all of them write out what they have, where nothing is left to add up.
    ///
    /// # Errors
    /// An output cannot be written.
    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        self.all.iter_mut().try_for_each(|(_, to)| to.flush())
    }

    /// Has all of them write what is left.
    ///
    /// # Errors
    /// An output cannot be written.
    pub(super) fn close(&mut self, totals: &Totals<'_>) -> Result<(), Stop> {
        self.all.iter_mut().try_for_each(|(reporter, to)| {
            reporter.close(totals, to)?;
            to.flush()
        })
    }
}

/// Writes `junit.xml` of a campaign's directory.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_junit(path: PathBuf, account: Account<'_>) -> Result<(), Stop> {
    let mut to = Target::file(path)?;
    to.text(&junit::text(account)?)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_a_format_and_a_path() {
        let one = export("csv=out/a=b.csv").expect("an export");
        assert_eq!(one.path, PathBuf::from("out/a=b.csv"));
        assert_eq!(Some(one.format), Format::by_name("csv"));
        for (text, word) in [
            ("csv", "junit="),
            ("csv=", "junit="),
            ("cvs=x", "no format `cvs`"),
        ] {
            let error = export(text).expect_err("none").to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
