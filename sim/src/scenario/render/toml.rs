//! Pieces of TOML text.

use toml_writer::{ToTomlKey, ToTomlValue, TomlKeyBuilder, TomlStringBuilder};

/// A text in quotes, on one line, whatever is in it.
pub(super) fn quoted(text: &str) -> String {
    TomlStringBuilder::new(text).as_basic().to_toml_value()
}

/// A key, in quotes where it needs them.
fn key(text: &str) -> String {
    TomlKeyBuilder::new(text).as_default().to_toml_key()
}

/// A list of values that are TOML text already.
pub(super) fn list(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(", "))
}

/// Key-value pairs: the lines of a table, or an inline table.
#[derive(Debug, Default)]
pub(super) struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Adds a pair; the value is TOML text already.
    pub(super) fn put(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((key(name), value.into()));
        self
    }

    /// Adds a pair if there is a value.
    pub(super) fn may(self, name: &str, value: Option<String>) -> Self {
        match value {
            Some(value) => self.put(name, value),
            None => self,
        }
    }

    /// `{ a = 1, b = 2 }`.
    pub(super) fn inline(self) -> String {
        if self.0.is_empty() {
            return "{}".to_owned();
        }
        let pairs: Vec<String> = self
            .0
            .into_iter()
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        format!("{{ {} }}", pairs.join(", "))
    }

    /// The lines of a table under its header; nothing at all if there are none.
    pub(super) fn table(self, header: &str, out: &mut String) {
        if self.0.is_empty() {
            return;
        }
        if !header.is_empty() {
            out.push('\n');
            out.push_str(header);
            out.push('\n');
        }
        for (key, value) in self.0 {
            out.push_str(&key);
            out.push_str(" = ");
            out.push_str(&value);
            out.push('\n');
        }
    }
}
