//! The two streams of a command: results on standard output, everything else on standard error.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anstream::{AutoStream, ColorChoice};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

use super::Stop;

/// Where a command writes. Text may carry colours; they are taken out where nobody sees them.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// How standard output is held back while something else is drawn on the terminal.
    guard: Mutex<Option<indicatif::ProgressBar>>,
}

/// Narrower terminals are treated as this wide.
const NARROWEST: usize = 60;
/// The width where there is no terminal.
const WIDTH: usize = 100;

/// The outcome of writing results. If the reader has gone, that is no error of ours.
fn written(result: io::Result<()>) -> Result<(), Stop> {
    result.map_err(|error| {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Stop::Pipe
        } else {
            Stop::Usage(format!("cannot write the results: {error}"))
        }
    })
}

impl Output {
    /// Writes results, and a line break.
    ///
    /// # Errors
    /// [`Stop::Pipe`] if the reader has gone, which is no error of ours.
    pub(super) fn line(&self, text: impl fmt::Display) -> Result<(), Stop> {
        self.write(|out| writeln!(out, "{text}"))
    }

    /// Writes results as they are.
    ///
    /// # Errors
    /// As for [`Self::line`].
    pub(super) fn write(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Stop> {
        let written = self.undisturbed(|| {
            let mut out = AutoStream::auto(io::stdout().lock());
            write(&mut out)?;
            out.flush()
        });
        self::written(written)
    }

    /// Writes results that are no text.
    ///
    /// # Errors
    /// As for [`Self::line`]; or standard output is a terminal.
    pub(super) fn binary(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Stop> {
        if io::stdout().is_terminal() {
            let reason = "this format is binary: send standard output to a file with `> FILE`";
            return Err(Stop::Usage(reason.to_owned()));
        }
        let mut out = io::BufWriter::new(io::stdout().lock());
        written(write(&mut out).and_then(|()| out.flush()))
    }

    /// Writes a note for the person in front of the terminal. If nobody can read it, so be it.
    pub(super) fn note(&self, text: impl fmt::Display) {
        self.undisturbed(|| drop(writeln!(AutoStream::auto(io::stderr().lock()), "{text}")));
    }

    /// Writes what is wrong with an input.
    pub(super) fn diagnostic(&self, problem: &dyn Diagnostic) {
        let coloured = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
        let theme = if coloured {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_links(false)
            .with_width(width().min(WIDTH));
        let mut text = String::new();
        if handler.render_report(&mut text, problem).is_err() {
            text = problem.to_string();
        }
        self.note(text.trim_end_matches('\n'));
    }

    /// From now on a progress bar is on the terminal, or no longer.
    pub(super) fn share_terminal_with(&self, bar: Option<indicatif::ProgressBar>) {
        *self.guard.lock().unwrap_or_else(PoisonError::into_inner) = bar;
    }

    fn undisturbed<T>(&self, write: impl FnOnce() -> T) -> T {
        match &*self.guard.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

/// How wide lines may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    /// Tables are laid out for this width.
    pub(super) layout: usize,
    /// Sentences are broken at this width; they are not where nobody said how wide it is, as for a
    /// pipe.
    pub(super) sentences: usize,
}

/// How wide lines on standard output may be.
pub(super) fn columns() -> Columns {
    let known = known_width();
    Columns {
        layout: known.unwrap_or(WIDTH),
        sentences: known.unwrap_or(usize::MAX),
    }
}

/// The columns of the terminal: those of standard output, or else of standard error.
pub(super) fn width() -> usize {
    columns().layout
}

fn known_width() -> Option<usize> {
    let terminal = terminal_size::terminal_size_of(io::stdout())
        .or_else(|| terminal_size::terminal_size_of(io::stderr()))
        .map(|(terminal_size::Width(columns), _)| usize::from(columns));
    let asked = || std::env::var("COLUMNS").ok()?.parse().ok();
    let known: Option<usize> = terminal.or_else(asked);
    known.map(|width| width.max(NARROWEST))
}

/// True if standard error is a terminal, where a progress bar can be drawn.
pub(super) fn has_terminal() -> bool {
    io::stderr().is_terminal()
}

/// A word of a command line, in quotes if a shell would take it apart.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The path of a file as a word of a command line: one that begins with a dash is no flag.
pub(super) fn quoted_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.starts_with('-') {
        quoted(&format!("./{text}"))
    } else {
        quoted(&text)
    }
}

/// A flag with its value, which may begin with a dash.
pub(super) fn flagged(flag: &str, value: &str) -> String {
    let quoted = quoted(value);
    if value.starts_with('-') {
        format!("{flag}={quoted}")
    } else {
        format!("{flag} {quoted}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_take_them_apart() {
        assert_eq!(
            quoted("scenarios/first-join.toml"),
            "scenarios/first-join.toml"
        );
        assert_eq!(quoted("network.loss=0.02"), "network.loss=0.02");
        assert_eq!(quoted("my file's"), r"'my file'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("start=[\"n1\"]"), "'start=[\"n1\"]'");
    }
}
