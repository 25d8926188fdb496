//! From bytes to a TOML tree, within bounds of memory and depth.
//!
//! The TOML parser needs some hundred times the memory of a key for the table that holds it, and
//! keeps every error. So a first pass over the parser's events, which keeps nothing, counts keys
//! and errors; the tree is built only if there are few enough.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml_parser::parser::{EventReceiver, RecursionGuard};
use toml_parser::{ErrorSink, ParseError, Source, Span};

use crate::scenario::diagnostic::{PROBLEMS_MAX, Problem, Problems};
use crate::scenario::text::Text;

/// The longest file as people write them, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// The longest file that says `resolved = true`, in bytes.
pub const RESOLVED_BYTES_MAX: usize = 64 << 20;
/// The most keys of a file: more than 1 MiB of a useful file can hold.
const KEYS_MAX: usize = 250_000;
/// The most keys of a resolved file: more than 100,000 useful steps have.
const RESOLVED_KEYS_MAX: usize = 3_000_000;
/// In how many lines at the beginning of a file `resolved` is looked for.
const LINES_BEFORE_RESOLVED: usize = 100;
/// The deepest nesting of arrays and inline tables; the format itself needs 8.
const DEPTH_MAX: u32 = 32;

/// A value of the tree with its place in the text.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// How long a file may be: the longer if it says, before its first table, that a program wrote it.
pub(in crate::scenario) fn bytes_max(bytes: &[u8]) -> usize {
    let lines = bytes
        .split(|byte| *byte == b'\n')
        .take(LINES_BEFORE_RESOLVED);
    let lines = lines.map(<[u8]>::trim_ascii);
    let mut keys = lines.take_while(|line| !line.starts_with(b"["));
    let says_so = keys.any(|line| {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let mut pair = line.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
        pair.next() == Some(b"resolved") && pair.next() == Some(b"true")
    });
    if says_so {
        RESOLVED_BYTES_MAX
    } else {
        FILE_BYTES_MAX
    }
}

/// The text of a file.
///
/// # Errors
/// The problem that makes it no text.
pub(super) fn decode<'b>(name: &str, bytes: &'b [u8]) -> Result<&'b str, Problems> {
    if bytes.len() > bytes_max(bytes) {
        return Err(Problems::new(
            Text::new(name, ""),
            vec![Problem::FileTooLarge],
            0,
        ));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let text = Text::new(name, &String::from_utf8_lossy(bytes));
        let start = error.valid_up_to();
        let at = text.label(start..start + char::REPLACEMENT_CHARACTER.len_utf8());
        Problems::new(text, vec![Problem::NotUtf8 { at }], 0)
    })
}

/// The tree of a text, as far as it can be told, and the syntax errors; no tree if the text is
/// beyond the bounds.
pub(super) fn parse<'t>(source: &'t str, text: &Text) -> (Option<DeTable<'t>>, Vec<Problem>) {
    let (keys, errors) = count(source);
    let max = if source.len() > FILE_BYTES_MAX {
        RESOLVED_KEYS_MAX
    } else {
        KEYS_MAX
    };
    if keys > max {
        return (None, vec![Problem::TooManyKeys { max }]);
    }
    if errors.len() >= PROBLEMS_MAX || !errors.iter().all(|error| error.recoverable) {
        let problems = errors
            .into_iter()
            .map(|error| syntax(text, error.message, Some(error.span)))
            .collect();
        return (None, problems);
    }
    let (tree, errors) = DeTable::parse_recoverable(source);
    let kept = errors.iter().take(PROBLEMS_MAX);
    let problems = kept
        .map(|error| syntax(text, error.message().to_owned(), error.span()))
        .collect();
    (Some(tree.into_inner()), problems)
}

fn syntax(text: &Text, message: String, span: Option<Range<usize>>) -> Problem {
    Problem::Syntax {
        message: super::shown_long(&message),
        at: text.label(span.unwrap_or(0..0)),
    }
}

/// Counts the keys, and keeps the first errors.
fn count(source: &str) -> (usize, Vec<Mistake>) {
    let source = Source::new(source);
    let tokens = source.lex().into_vec();
    let mut keys = KeyCount(0);
    let mut errors = Errors(Vec::new());
    let mut guard = RecursionGuard::new(&mut keys, DEPTH_MAX);
    toml_parser::parser::parse_document(&tokens, &mut guard, &mut errors);
    (keys.0, errors.0)
}

struct KeyCount(usize);

impl EventReceiver for KeyCount {
    fn simple_key(
        &mut self,
        _: Span,
        _: Option<toml_parser::decoder::Encoding>,
        _: &mut dyn ErrorSink,
    ) {
        self.0 += 1;
    }
}

/// A syntax error of the first pass.
struct Mistake {
    message: String,
    span: Range<usize>,
    /// True if the tree is worth building despite it: not if the nesting is too deep.
    recoverable: bool,
}

struct Errors(Vec<Mistake>);

impl ErrorSink for Errors {
    fn report_error(&mut self, error: ParseError) {
        if self.0.len() < PROBLEMS_MAX {
            let too_deep = error.description().contains("recurs");
            let message = if too_deep {
                format!("nested deeper than {DEPTH_MAX} levels")
            } else {
                error.description().to_owned()
            };
            let span = error
                .unexpected()
                .map_or(0..0, |span| span.start()..span.end());
            self.0.push(Mistake {
                message,
                span,
                recoverable: !too_deep,
            });
        }
    }
}
