//! A table of the file while it is read: which keys it may have, which it has, and which of them
//! are slips of the keyboard.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Reader;
use super::syntax::Value;
use crate::scenario::diagnostic::Problem;
use crate::scenario::shape::{RESERVED, Shape};
use crate::scenario::suggest;

/// An open table. A misspelled key that has a near name is read as that name: its problem is
/// recorded, and what stands there is still checked.
#[derive(Debug)]
pub(super) struct Table<'t> {
    pub(super) shape: &'static Shape,
    entries: &'t DeTable<'t>,
    span: Range<usize>,
    misspelled: Vec<(&'static str, &'t Value<'t>)>,
    /// True if it has unknown keys.
    obscure: bool,
}

impl<'t> Table<'t> {
    /// The value at `key`.
    pub(super) fn get(&self, key: &str) -> Option<&'t Value<'t>> {
        let meant = || {
            self.misspelled
                .iter()
                .find(|(meant, _)| *meant == key)
                .map(|(_, value)| *value)
        };
        self.entries.get(key).or_else(meant)
    }

    /// True if it has unknown keys.
    pub(super) fn is_obscure(&self) -> bool {
        self.obscure
    }

    /// Where it stands: its header, or all of an inline table.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Where a key stands; where the table stands, if it has no such key.
    pub(super) fn key_span(&self, key: &str) -> Range<usize> {
        self.entries.get_key_value(key).map_or_else(
            || self.get(key).map_or_else(|| self.span(), Spanned::span),
            |(key, _)| key.span(),
        )
    }
}

impl<'t> Reader<'_> {
    /// Opens the table that `value` must be, and reports the keys that it must not have.
    pub(super) fn open(
        &mut self,
        value: &'t Value<'t>,
        shape: &'static Shape,
    ) -> Option<Table<'t>> {
        match value.get_ref() {
            DeValue::Table(entries) => Some(self.open_entries(entries, value.span(), shape)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                let help = format!(
                    "write {} as a table with {}",
                    shape.name,
                    listed(shape.names())
                );
                self.wrong_type(value, "a table", Some(help));
                None
            }
        }
    }

    /// Opens a table whose entries are known.
    pub(super) fn open_entries(
        &mut self,
        entries: &'t DeTable<'t>,
        span: Range<usize>,
        shape: &'static Shape,
    ) -> Table<'t> {
        let mut table = Table {
            shape,
            entries,
            span,
            misspelled: Vec::new(),
            obscure: false,
        };
        for (key, value) in entries {
            if shape.key(key.get_ref()).is_none() {
                self.unknown_key(&mut table, key, value);
            }
        }
        table
    }

    fn unknown_key(
        &mut self,
        table: &mut Table<'t>,
        key: &Spanned<std::borrow::Cow<'t, str>>,
        value: &'t Value<'t>,
    ) {
        let (word, at) = (key.get_ref(), self.label(key.span()));
        let absent = table
            .shape
            .names()
            .filter(|name| !table.entries.contains_key(*name));
        if let Some((_, key)) = RESERVED
            .iter()
            .find(|(place, key)| *place == table.shape.name && key == word)
        {
            table.obscure = true;
            let near = suggest::nearest(word, absent);
            let help = near.map_or_else(
                || "this version has nothing of that name; leave it out".to_owned(),
                |near| format!("did you mean `{near}`? This version has nothing of that name"),
            );
            return self.report(Problem::ReservedKey { key, help, at });
        }
        let meant = suggest::nearest(word, absent.clone());
        match meant {
            Some(meant) => table.misspelled.push((meant, value)),
            None => table.obscure = true,
        }
        let near = suggest::nearest(word, table.shape.names());
        let help = match (meant, near) {
            (None, Some(_)) => suggest::help(word, table.shape.names()),
            (Some(_), _) | (None, None) => suggest::help(word, absent),
        };
        self.report(Problem::UnknownKey {
            key: suggest::shown(word),
            table: table.shape.name.to_owned(),
            at,
            help,
        });
    }

    /// The value at a key that must be there.
    pub(super) fn required(
        &mut self,
        table: &Table<'t>,
        key: &'static str,
    ) -> Option<&'t Value<'t>> {
        let value = table.get(key);
        if value.is_none() {
            let at = self.label(table.span());
            let help = table.shape.key(key).map(|key| key.doc.to_owned());
            self.report(Problem::MissingKey {
                key,
                table: table.shape.name,
                at,
                help,
            });
        }
        value
    }

    /// The key of the one alternative that the table makes use of.
    pub(super) fn choose(&mut self, table: &Table<'t>) -> Option<&'static str> {
        let choices = table.shape.choices;
        let mut present = choices.iter().filter(|keys| table.get(keys[0]).is_some());
        let Some(chosen) = present.next() else {
            if !table.obscure {
                let allowed = listed(choices.iter().map(|keys| keys[0]));
                let at = self.label(table.span());
                self.report(Problem::NoChoice {
                    table: table.shape.name,
                    allowed,
                    at,
                });
            }
            return None;
        };
        for other in present {
            let (first_at, at) = (
                self.label(table.key_span(chosen[0])),
                self.label(table.key_span(other[0])),
            );
            self.report(Problem::SeveralChoices {
                table: table.shape.name,
                first: chosen[0],
                second: other[0],
                first_at,
                at,
            });
        }
        let beside = choices.iter().flat_map(|keys| &keys[1..]);
        let misplaced = beside.filter(|key| !chosen.contains(key) && table.get(key).is_some());
        if let Some(key) = misplaced.min() {
            let at = self.label(table.key_span(key));
            self.report(Problem::MisplacedKey {
                key,
                chosen: chosen[0],
                at,
            });
        }
        Some(chosen[0])
    }

    /// Opens every element of a list of tables.
    pub(super) fn each_table(
        &mut self,
        value: &'t Value<'t>,
        shape: &'static Shape,
        mut read: impl FnMut(&mut Self, &Table<'t>),
    ) -> Option<()> {
        let DeValue::Array(elements) = value.get_ref() else {
            self.wrong_type(value, "a list of tables", None);
            return None;
        };
        for element in elements.iter() {
            if let Some(table) = self.open(element, shape) {
                read(self, &table);
            }
        }
        Some(())
    }
}

/// Names in backquotes, one after another.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
