//! From paths to checked scenarios. Everything wrong is told before anything runs.

use std::path::{Path, PathBuf};
use std::str;

use hublab_sim::capsule::is_capsule;
use hublab_sim::scenario::{Note, Scenario, Warnings, apply_overrides, load};

use super::args::Overrides;
use super::exit::ExitStatus;
use super::output::quoted;
use super::render::style;
use super::{Context, Stop};

/// A scenario and the file it is from.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// What was read, with overrides applied.
    pub(super) text: String,
    pub(super) scenario: Scenario,
    /// What the file says to no effect.
    pub(super) warnings: Vec<Note>,
}

/// The scenarios of some paths that are good, and whether all were.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) good: Vec<Source>,
    /// The files that are not.
    bad: Vec<PathBuf>,
    /// True if files with warnings are bad, too.
    strict: bool,
    pub(super) exit: ExitStatus,
}

/// Finds, reads and checks the files of all paths, and tells what is wrong with those that are
/// not good.
pub(super) fn read_all(
    paths: &[PathBuf],
    overrides: &Overrides,
    strict: bool,
    context: &Context,
) -> Sources {
    let mut sources = Sources {
        good: Vec::new(),
        bad: Vec::new(),
        strict,
        exit: ExitStatus::Held,
    };
    let mut files: Vec<PathBuf> = Vec::new();
    for path in paths {
        match load::find(std::slice::from_ref(path)) {
            Ok(found) => files.extend(found),
            Err(errors) => {
                errors
                    .iter()
                    .for_each(|error| context.output.diagnostic(error));
                sources.exit = ExitStatus::Usage;
            }
        }
    }
    for (place, path) in files.iter().enumerate() {
        if files[..place].contains(path) {
            continue;
        }
        match read(path, overrides, context) {
            Ok((scenario, text, warnings)) => {
                if !warnings.is_empty() {
                    context.output.diagnostic(&warnings);
                    if strict {
                        sources.bad.push(path.clone());
                        sources.exit = ExitStatus::Usage;
                        continue;
                    }
                }
                sources.good.push(Source {
                    path: path.clone(),
                    text,
                    scenario,
                    warnings: warnings.notes().collect(),
                });
            }
            Err(refused) => {
                if refused == Refused::Problems {
                    sources.bad.push(path.clone());
                }
                sources.exit = ExitStatus::Usage;
            }
        }
    }
    sources
}

/// Reads and checks one file.
///
/// # Errors
/// It is not good; what is wrong has been told.
pub(super) fn read_one(
    path: &Path,
    overrides: &Overrides,
    context: &Context,
) -> Result<Scenario, Stop> {
    let read = read(path, overrides, context);
    read.map(|(scenario, ..)| scenario)
        .map_err(|_| Stop::Told(ExitStatus::Usage))
}

/// A name for a file: characters that file systems dislike become `_`.
pub(super) fn safe_name(name: &str) -> String {
    let safe = |c: char| {
        if c.is_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '_'
        }
    };
    name.chars().map(safe).collect()
}

impl Sources {
    /// Says how to see the problems of a bad file again.
    pub(super) fn print_repetition(&self, overrides: &Overrides, context: &Context) {
        if let Some(path) = self.bad.first() {
            let mut command = format!("hublab check {}", quoted(&path.to_string_lossy()));
            overrides.append_to(&mut command);
            if self.strict {
                command.push_str(" --strict");
            }
            context.output.note(command);
        }
    }
}

impl Overrides {
    /// Adds the flags that give these overrides to a command line.
    pub(super) fn append_to(&self, command: &mut String) {
        for (key, value) in &self.values {
            command.push_str(" --set ");
            command.push_str(&quoted(&format!("{key}={value}")));
        }
    }
}

/// Why a file is not good, which has been printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// `check` shows its problems.
    Problems,
    /// It is no scenario at all.
    Capsule,
}

/// Also returns the text, with overrides applied.
fn read(
    path: &Path,
    overrides: &Overrides,
    context: &Context,
) -> Result<(Scenario, String, Warnings), Refused> {
    let output = &context.output;
    let bytes = load::read_bytes(path)
        .map_err(|error| output.diagnostic(&error))
        .map_err(|()| Refused::Problems)?;
    if is_capsule(&bytes) {
        let path = quoted(&path.to_string_lossy());
        let error = style::error("error:");
        output.note(format_args!(
            "{error} {path} is a capsule, the record of a run, and no scenario file; to run it again:"
        ));
        output.note(format_args!("hublab replay {path}"));
        return Err(Refused::Capsule);
    }
    let bytes = match str::from_utf8(&bytes) {
        Ok(text) => match apply_overrides(text, &overrides.values) {
            Ok(text) => text.into_bytes(),
            Err(error) => {
                output.note(format_args!("{}:", path.display()));
                output.diagnostic(&error);
                return Err(Refused::Problems);
            }
        },
        // The reader says where the text goes wrong.
        Err(_) => bytes,
    };
    let name = path.to_string_lossy();
    let (scenario, warnings) = Scenario::read_with_warnings(&name, &bytes, &context.catalog)
        .map_err(|problems| {
            output.diagnostic(&problems);
            if !overrides.values.is_empty() {
                output.note("the lines are those of the file with what --set changes");
            }
            Refused::Problems
        })?;
    // A scenario that could be read was UTF-8.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok((scenario, text, warnings))
}
