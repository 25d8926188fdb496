//! Single values: texts, numbers, durations, words. Each function reports what is wrong and then
//! gives `None`.

use std::time::Duration;

use hublab_strategies::time::{DurationError, format_duration, parse_duration};
use hublab_strategies::{Metadata, Time};
use toml::de::DeValue;

use super::Reader;
use super::syntax::Value;
use crate::model::When;
use crate::scenario::diagnostic::Problem;
use crate::scenario::suggest;

/// The longest name, in characters: bounds what counted children can take.
pub(super) const NAME_MAX: usize = 256;

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
        let at = self.label(value.span());
        self.report(Problem::BadName {
            what: "name",
            word: suggest::shown(word),
            reason,
            at,
        });
        None
    }

    /// A list of names, each once.
    pub(super) fn names(&mut self, value: &'t Value<'t>) -> Option<Vec<&'t str>> {
        let DeValue::Array(elements) = value.get_ref() else {
            self.wrong_type(value, "a list of names", None);
            return None;
        };
        let mut seen = std::collections::BTreeSet::new();
        let mut names = Vec::with_capacity(elements.len());
        for element in elements.iter() {
            let Some(name) = self.name(element) else {
                continue;
            };
            if seen.insert(name) {
                names.push(name);
            } else {
                self.repeated(name, element);
            }
        }
        Some(names)
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
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(value, "an integer", None);
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix());
        match number {
            Ok(number) if (min..=max).contains(&number) => Some(number),
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

    /// An integer from 0 or `min` on.
    pub(super) fn count(&mut self, value: &Value<'_>, min: u32) -> Option<u64> {
        self.integer(value, i64::from(min), i64::MAX)
            .and_then(|count| u64::try_from(count).ok())
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
    pub(super) fn word<T: Clone>(
        &mut self,
        value: &'t Value<'t>,
        what: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let word = self.text_as(value, "a word in quotes")?;
        let found = words
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, meaning)| meaning.clone());
        if found.is_none() {
            let at = self.label(value.span());
            let help = suggest::help(word, words.iter().map(|(name, _)| *name));
            self.report(Problem::UnknownWord {
                what,
                word: suggest::shown(word),
                at,
                help,
            });
        }
        found
    }

    /// A duration.
    pub(super) fn duration(&mut self, value: &'t Value<'t>) -> Option<Duration> {
        let text = self.text_as(value, DURATION)?;
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

    /// A duration of at least a microsecond.
    pub(super) fn positive(&mut self, value: &'t Value<'t>) -> Option<Duration> {
        let duration = self.duration(value)?;
        if duration.is_zero() {
            let at = self.label(value.span());
            self.report(Problem::ZeroDuration { at });
            return None;
        }
        Some(duration)
    }

    /// An instant of the run.
    pub(super) fn time(&mut self, value: &'t Value<'t>) -> Option<Time> {
        self.duration(value)
            .map(|duration| Time::ZERO.after(duration))
    }

    /// A duration or a range of durations.
    pub(super) fn when(&mut self, value: &'t Value<'t>) -> Option<When> {
        let text = self.text_as(value, "a duration like \"15s\", or a range like \"1s..3s\"")?;
        let Some((from, to)) = text.split_once("..") else {
            return self.duration_text(text, value).map(When::Fixed);
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
            When::Fixed(from)
        } else {
            When::Between(from, to)
        })
    }

    /// A duration with an optional sign, in microseconds.
    pub(super) fn jump(&mut self, value: &'t Value<'t>) -> Option<i64> {
        let text = self.text_as(value, "a duration like \"-15s\"")?;
        let (sign, size) = match text.strip_prefix('-') {
            Some(size) => (-1, size),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let duration = self.duration_text(size, value)?;
        i64::try_from(duration.as_micros())
            .ok()
            .map(|size| sign * size)
    }

    fn duration_text(&mut self, text: &str, value: &Value<'_>) -> Option<Duration> {
        parse_duration(text)
            .map_err(|error| self.bad_duration(text, &error, value))
            .ok()
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
    pub(super) fn metadata(&mut self, value: &'t Value<'t>) -> Option<Metadata> {
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong_type(value, "a table of texts", None);
            return None;
        };
        let mut pairs = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            pairs.extend(self.text(value).map(|text| (key.get_ref().as_ref(), text)));
        }
        Some(Metadata::from_iter(pairs))
    }
}

/// A duration as messages show it.
pub(crate) fn shown_duration(duration: Duration) -> String {
    format_duration(duration)
}
