//! Single values: texts, numbers, durations, words. Each function reports what is wrong and then
//! gives `None`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use hublab_strategies::time::{DurationError, format_duration, micros, parse_duration};
use miette::SourceSpan;
use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::Reader;
use super::syntax::Value;
use crate::scenario::diagnostic::Problem;
use crate::scenario::shape::{NODES_FIELD, TIME_FIELD};
use crate::scenario::suggest;

/// The place of each element of a list, with the number of names that it stands for.
type ElementSpans = Vec<(SourceSpan, usize)>;

/// The longest name, in characters: bounds what counted children can take.
pub(super) const NAME_MAX: usize = 256;
/// The most children that all spans of a file may name together.
const CHILDREN_NAMED_MAX: usize = 1_000_000;

const DURATION: &str = "a duration like \"15s\"";

impl<'t> Reader<'_> {
    /// Reports that a value has the wrong type.
    pub(super) fn wrong_type(&mut self, value: &Value<'_>, expected: &str, help: Option<String>) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let at = self.label(value.span());
        self.report(Problem::WrongType {
            expected: expected.to_owned(),
            found,
            at,
            help,
        });
    }

    /// A text that must be `expected`.
    pub(super) fn text_as(&mut self, value: &'t Value<'t>, expected: &str) -> Option<&'t str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            let quotes = matches!(
                value.get_ref(),
                DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_)
            );
            self.wrong_type(
                value,
                expected,
                quotes.then(|| "put it in quotes".to_owned()),
            );
        }
        text
    }

    /// Any text.
    pub(super) fn text(&mut self, value: &'t Value<'t>) -> Option<&'t str> {
        self.text_as(value, "a text")
    }

    /// A name or id: 1 to 256 characters, no control characters.
    pub(super) fn name(&mut self, value: &'t Value<'t>) -> Option<&'t str> {
        let word = self.text_as(value, "a name")?;
        let reason = if word.is_empty() {
            "it is empty"
        } else if word.chars().any(char::is_control) {
            "it has a control character"
        } else if word.chars().count() > NAME_MAX {
            "it is longer than 256 characters"
        } else {
            return Some(word);
        };
        self.bad_name("name", word, reason, value);
        None
    }

    /// The id of a child: a name in which no two dots make a span.
    pub(super) fn child(&mut self, value: &'t Value<'t>) -> Option<&'t str> {
        let word = self.name(value)?;
        if word.contains("..") {
            let reason = "two dots make a span, which only a list can hold";
            self.bad_name("child id", word, reason, value);
            return None;
        }
        Some(word)
    }

    /// A list of child ids and spans, each child once; and the place of each element, with the
    /// number of children that it stands for.
    pub(super) fn child_list(
        &mut self,
        value: &'t Value<'t>,
    ) -> Option<(Vec<Cow<'t, str>>, ElementSpans)> {
        let DeValue::Array(elements) = value.get_ref() else {
            self.wrong_type(value, "a list of names", None);
            return None;
        };
        let mut seen = BTreeSet::new();
        let (mut ids, mut sites) = (Vec::new(), Vec::new());
        for element in elements.iter() {
            let Some(name) = self.name(element) else {
                continue;
            };
            let before = ids.len();
            let mut again = None;
            for id in self.span_of_children(name, element) {
                if seen.insert(id.clone()) {
                    ids.push(id);
                } else {
                    again = again.or(Some(id));
                }
            }
            if let Some(again) = again {
                self.repeated(&again, element);
            }
            sites.push((self.label(element.span()), ids.len() - before));
        }
        Some((ids, sites))
    }

    /// The children that an element of a list stands for: itself, or `web-1..web-3`.
    fn span_of_children(&mut self, word: &'t str, element: &Value<'_>) -> Vec<Cow<'t, str>> {
        let Some((first, last)) = word.split_once("..") else {
            return vec![Cow::Borrowed(word)];
        };
        let reason = match (numbered(first), numbered(last)) {
            (Some((prefix, from)), Some((same, to))) if prefix == same && from <= to => {
                let count = usize::try_from(to - from).unwrap_or(usize::MAX);
                self.children_named = self.children_named.saturating_add(count);
                if self.children_named <= CHILDREN_NAMED_MAX {
                    let id = |number| Cow::Owned(format!("{prefix}{number}"));
                    return (from..=to).map(id).collect();
                }
                let (what, max) = ("children", CHILDREN_NAMED_MAX);
                let at = self.label(element.span());
                self.report(Problem::TooManyNames { what, max, at });
                return Vec::new();
            }
            (Some((prefix, _)), Some((same, _))) if prefix == same => "it runs backwards",
            _ => "its ends are not one name with two numbers, as in \"web-1..web-3\"",
        };
        self.bad_name("span of children", word, reason, element);
        Vec::new()
    }

    /// Reports a name that cannot be one.
    pub(super) fn bad_name(
        &mut self,
        what: &'static str,
        word: &str,
        reason: &'static str,
        value: &Value<'_>,
    ) {
        let at = self.label(value.span());
        self.report(Problem::BadName {
            what,
            word: suggest::shown(word),
            reason,
            at,
        });
    }

    /// Reports that a word stands in a list for a second time.
    pub(super) fn repeated(&mut self, word: &str, element: &Value<'_>) {
        let at = self.label(element.span());
        self.report(Problem::Repeated {
            word: suggest::shown(word),
            at,
        });
    }

    /// Reports a list without elements.
    pub(super) fn not_empty(&mut self, value: &Value<'_>, what: &'static str) {
        if value
            .get_ref()
            .as_array()
            .is_some_and(|list| list.is_empty())
        {
            let at = self.label(value.span());
            self.report(Problem::EmptyList { what, at });
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, value: &Value<'_>) -> Option<bool> {
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong_type(value, "`true` or `false`", None);
        }
        boolean
    }

    /// An integer of a range.
    pub(super) fn integer(&mut self, value: &Value<'_>, min: i64, max: i64) -> Option<i64> {
        self.integer_within(value, (min, max), (min, max))
    }

    /// An integer of a range, where another range is told.
    pub(super) fn integer_within(
        &mut self,
        value: &Value<'_>,
        (least, most): (i64, i64),
        (min, max): (i64, i64),
    ) -> Option<i64> {
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(value, "an integer", None);
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix());
        match number {
            Ok(number) if (least..=most).contains(&number) => Some(number),
            Ok(_) | Err(_) => {
                let at = self.label(value.span());
                let value = suggest::shown(&integer.to_string());
                self.report(Problem::OutOfRange {
                    value,
                    min,
                    max,
                    at,
                });
                None
            }
        }
    }

    /// A number from 0 to 1.
    pub(super) fn probability(&mut self, value: &Value<'_>) -> Option<f64> {
        let text = match value.get_ref() {
            DeValue::Float(float) => float.as_str().to_owned(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
            DeValue::Integer(_)
            | DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong_type(value, "a number from 0 to 1", None);
                return None;
            }
        };
        let number: f64 = text.parse().unwrap_or(f64::INFINITY);
        if (0.0..=1.0).contains(&number) {
            return Some(number);
        }
        let at = self.label(value.span());
        self.report(if number.is_nan() {
            Problem::Nan { at }
        } else {
            Problem::BadProbability {
                value: suggest::shown(&text),
                at,
            }
        });
        None
    }

    /// One of some words.
    pub(super) fn word(
        &mut self,
        value: &'t Value<'t>,
        what: &'static str,
        words: &'static [&'static str],
    ) -> Option<&'static str> {
        let word = self.text_as(value, "a word in quotes")?;
        let found = words.iter().copied().find(|name| *name == word);
        if found.is_none() {
            let at = self.label(value.span());
            let help = suggest::help(word, words.iter().copied());
            self.report(Problem::UnknownWord {
                what,
                word: suggest::shown(word),
                at,
                help,
            });
        }
        found
    }

    /// A list of some words, not empty.
    pub(super) fn words(
        &mut self,
        value: &'t Value<'t>,
        [one, several]: [&'static str; 2],
        words: &'static [&'static str],
    ) -> Option<Vec<&'static str>> {
        let Some(elements) = value.get_ref().as_array() else {
            self.wrong_type(value, "a list of words in quotes", None);
            return None;
        };
        self.not_empty(value, several);
        let mut found = Vec::new();
        for element in elements.iter() {
            match self.word(element, one, words) {
                Some(word) if found.contains(&word) => self.repeated(word, element),
                Some(word) => found.push(word),
                None => {}
            }
        }
        Some(found)
    }

    /// A duration, or one of some words.
    pub(super) fn duration_or(
        &mut self,
        value: &'t Value<'t>,
        what: &'static str,
        words: &'static [&'static str],
    ) -> Option<Json> {
        let listed: String = words.iter().map(|word| format!("\"{word}\", ")).collect();
        let text = self.text_as(value, &format!("{listed}or a time"))?;
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return self.duration(value).map(|time| json!({ TIME_FIELD: time }));
        }
        self.word(value, what, words).map(Json::from)
    }

    /// A list of nodes, or one of some words.
    pub(super) fn nodes_or(
        &mut self,
        value: &'t Value<'t>,
        what: &'static str,
        words: &'static [&'static str],
    ) -> Option<Json> {
        match value.get_ref().as_str() {
            Some(word) if word != "all" => self.word(value, what, words).map(Json::from),
            Some(_) | None => {
                let named = self.nodes(value)?;
                Some(json!({ NODES_FIELD: named.nodes }))
            }
        }
    }

    /// A duration, in microseconds.
    pub(super) fn duration(&mut self, value: &'t Value<'t>) -> Option<u64> {
        let text = self.time_text(value, DURATION)?;
        if text.contains("..") {
            let at = self.label(value.span());
            self.report(Problem::MisplacedRange {
                text: suggest::shown(text),
                at,
            });
            return None;
        }
        self.duration_text(text, value)
    }

    /// A duration of at least a microsecond, in microseconds.
    pub(super) fn positive(&mut self, value: &'t Value<'t>) -> Option<u64> {
        let duration = self.duration(value)?;
        if duration == 0 {
            let at = self.label(value.span());
            self.report(Problem::ZeroDuration { at });
            return None;
        }
        Some(duration)
    }

    /// Two durations, the first at most the second.
    pub(super) fn durations(&mut self, value: &'t Value<'t>) -> Option<Json> {
        let ends = value.get_ref().as_array();
        let ends = ends.map(|ends| ends.iter().collect::<Vec<_>>());
        let Some(&[low, high]) = ends.as_deref() else {
            self.wrong_type(value, "two durations, like [\"1ms\", \"10ms\"]", None);
            return None;
        };
        let (low, high) = (self.duration(low), self.duration(high));
        let (low, high) = (low?, high?);
        if low > high {
            let at = self.label(value.span());
            self.report(Problem::Disordered {
                smaller: "the first",
                larger: "the second",
                at,
            });
        }
        Some(json!([low, high]))
    }

    /// A duration or a range of durations.
    pub(super) fn when(&mut self, value: &'t Value<'t>) -> Option<Json> {
        let expected = "a duration like \"15s\", or a range like \"1s..3s\"";
        let text = self.time_text(value, expected)?;
        let Some((from, to)) = text.split_once("..") else {
            let time = self.duration_text(text, value)?;
            return Some(json!({ "fixed": time }));
        };
        let (from, to) = (
            self.duration_text(from, value),
            self.duration_text(to, value),
        );
        let (from, to) = (from?, to?);
        if from > to {
            let at = self.label(value.span());
            self.report(Problem::ReversedRange {
                text: suggest::shown(text),
                at,
            });
            return None;
        }
        Some(if from == to {
            json!({ "fixed": from })
        } else {
            json!({ "between": [from, to] })
        })
    }

    /// A range of instants.
    pub(super) fn window(&mut self, value: &'t Value<'t>) -> Option<Json> {
        let ends = self.when(value)?;
        let instant = |end: &Json| end.as_u64();
        match (ends.get("fixed"), ends.get("between")) {
            (Some(at), _) => instant(at).map(|at| json!([at, at])),
            (None, ends) => ends.cloned(),
        }
    }

    /// A duration with an optional sign, in microseconds.
    pub(super) fn jump(&mut self, value: &'t Value<'t>) -> Option<i64> {
        let text = self.time_text(value, "a duration like \"-15s\"")?;
        let (sign, size) = match text.strip_prefix('-') {
            Some(size) => (-1, size),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let duration = self.duration_text(size, value)?;
        i64::try_from(duration).ok().map(|size| sign * size)
    }

    /// The text of a duration; a number without a unit is told so.
    fn time_text(&mut self, value: &'t Value<'t>, expected: &str) -> Option<&'t str> {
        let number = if let DeValue::Integer(integer) = value.get_ref() {
            Some(integer.as_str())
        } else if let DeValue::Float(float) = value.get_ref() {
            Some(float.as_str())
        } else {
            None
        };
        if let Some(number) = number {
            let help = format!("write a unit, and quotes: \"{}s\"", suggest::shown(number));
            self.wrong_type(value, expected, Some(help));
            return None;
        }
        self.text_as(value, expected)
    }

    fn duration_text(&mut self, text: &str, value: &Value<'_>) -> Option<u64> {
        parse_duration(text)
            .map_err(|error| self.bad_duration(text, &error, value))
            .ok()
            .map(micros)
    }

    fn bad_duration(&mut self, text: &str, error: &DurationError, value: &Value<'_>) {
        let reason = match error {
            DurationError::Malformed => "it is not a number and a unit",
            DurationError::Unit(_) => "unknown unit",
            DurationError::TooFine => "time has a resolution of 1us",
            DurationError::TooLong => "it is longer than 10000h",
        };
        let help = match error {
            DurationError::Malformed | DurationError::Unit(_) => {
                let signed = text
                    .strip_prefix(['-', '+'])
                    .is_some_and(|size| parse_duration(size).is_ok());
                Some(if signed {
                    "only the `jump` of a clock can carry a sign".to_owned()
                } else {
                    "write a number and a unit: \"250us\", \"20ms\", \"15s\", \"2m\" or \"1h\""
                        .to_owned()
                })
            }
            DurationError::TooFine | DurationError::TooLong => None,
        };
        let at = self.label(value.span());
        self.report(Problem::BadDuration {
            text: suggest::shown(text),
            reason: reason.to_owned(),
            at,
            help,
        });
    }

    /// A table of texts.
    pub(super) fn texts(&mut self, value: &'t Value<'t>) -> Option<Json> {
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong_type(value, "a table of texts", None);
            return None;
        };
        let mut pairs = serde_json::Map::new();
        for (key, value) in entries {
            if let Some(text) = self.text(value) {
                pairs.insert(key.get_ref().to_string(), text.into());
            }
        }
        Some(Json::Object(pairs))
    }
}

/// A name with a number at its end, without leading zeros: both parts.
pub(in crate::scenario) fn numbered(name: &str) -> Option<(&str, u64)> {
    let prefix = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &name[prefix.len()..];
    let canonical = digits == "0" || !digits.starts_with('0');
    (canonical && !digits.is_empty())
        .then(|| digits.parse().ok())
        .flatten()
        .map(|number| (prefix, number))
}

/// A duration as messages show it.
pub(crate) fn shown_duration(duration: Duration) -> String {
    format_duration(duration)
}
