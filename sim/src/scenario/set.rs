//! `--set key=value`: single values of a file, changed before it is read, so that they are
//! checked like any other.

use toml_edit::{DocumentMut, Item, Table, Value};

use super::suggest;

/// Why a value cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum SetError {
    /// The path has an empty part, or none.
    #[error("`{path}` is no key: write the table and the key with dots, like `network.loss`")]
    #[diagnostic(code(scenario::bad_set_key))]
    BadPath {
        /// The path.
        path: String,
    },
    /// A part of the path is a value, and has no keys.
    #[error("`{path}` cannot be set: `{part}` is not a table of the file")]
    #[diagnostic(code(scenario::no_such_table))]
    NotATable {
        /// The path.
        path: String,
        /// The part of it.
        part: String,
    },
    /// A step or expectation of that number does not exist.
    #[error("`{path}` cannot be set: `{part}` has {len} elements, counted from 0")]
    #[diagnostic(code(scenario::no_such_element))]
    NoSuchElement {
        /// The path.
        path: String,
        /// The list.
        part: String,
        /// How many elements it has.
        len: usize,
    },
    /// A table cannot be replaced by a value.
    #[error("`{path}` is a table: set one of its keys")]
    #[diagnostic(code(scenario::set_of_a_table))]
    IsATable {
        /// The path.
        path: String,
    },
}

/// Changes values of a file: `network.loss`, `strategy.gossip.recipients`, `step.0.at`. A value
/// is TOML; what is not TOML is a text, so that `run.duration=30s` needs no quotes. A key that
/// the file does not have is added, and judged when the file is read. A text that is not TOML is
/// given back as it is; reading it tells what is wrong.
///
/// # Errors
/// The path leads nowhere.
pub fn apply_overrides(source: &str, overrides: &[(String, String)]) -> Result<String, SetError> {
    if overrides.is_empty() || source.len() > super::RESOLVED_BYTES_MAX {
        return Ok(source.to_owned());
    }
    let Ok(mut document) = source.parse::<DocumentMut>() else {
        return Ok(source.to_owned());
    };
    for (path, value) in overrides {
        set(document.as_table_mut(), path, value)?;
    }
    Ok(document.to_string())
}

/// Splits `key=value` as it is written on a command line.
#[must_use]
pub fn parse_override(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    Some((key.trim().to_owned(), value.trim().to_owned()))
}

fn set(root: &mut Table, path: &str, value: &str) -> Result<(), SetError> {
    let shown = || suggest::shown(path);
    let mut parts: Vec<&str> = path.split('.').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(SetError::BadPath { path: shown() });
    }
    let Some(key) = parts.pop() else {
        return Err(SetError::BadPath { path: shown() });
    };
    let mut place = Place::Table(root);
    for part in parts {
        place = place.enter(part, path)?;
    }
    let value = value
        .parse::<Value>()
        .unwrap_or_else(|_| Value::from(value));
    place.put(key, value, path)
}

/// A place in the document on the way to a key.
enum Place<'d> {
    /// A table, or the document.
    Table(&'d mut Table),
    /// An inline table.
    Inline(&'d mut toml_edit::InlineTable),
    /// A list of tables.
    Tables(&'d mut toml_edit::ArrayOfTables, String),
    /// A list.
    Array(&'d mut toml_edit::Array, String),
}

impl<'d> Place<'d> {
    fn enter(self, part: &str, path: &str) -> Result<Self, SetError> {
        let not_a_table = || SetError::NotATable {
            path: suggest::shown(path),
            part: suggest::shown(part),
        };
        match self {
            Self::Table(table) => {
                let item = table.entry(part).or_insert_with(toml_edit::table);
                Self::of_item(item, part).ok_or_else(not_a_table)
            }
            Self::Inline(table) => {
                let value = table.get_mut(part).ok_or_else(not_a_table)?;
                Self::of_value(value, part).ok_or_else(not_a_table)
            }
            Self::Tables(tables, name) => {
                let len = tables.len();
                let element = part
                    .parse()
                    .ok()
                    .and_then(|number: usize| tables.get_mut(number));
                element.map(Self::Table).ok_or(SetError::NoSuchElement {
                    path: suggest::shown(path),
                    part: name,
                    len,
                })
            }
            Self::Array(array, name) => {
                let len = array.len();
                let element = part
                    .parse()
                    .ok()
                    .and_then(|number: usize| array.get_mut(number));
                let element = element.ok_or(SetError::NoSuchElement {
                    path: suggest::shown(path),
                    part: name,
                    len,
                })?;
                Self::of_value(element, part).ok_or_else(not_a_table)
            }
        }
    }

    fn of_item(item: &'d mut Item, name: &str) -> Option<Self> {
        match item {
            Item::Table(table) => Some(Self::Table(table)),
            Item::ArrayOfTables(tables) => Some(Self::Tables(tables, suggest::shown(name))),
            Item::Value(value) => Self::of_value(value, name),
            Item::None => None,
        }
    }

    fn of_value(value: &'d mut Value, name: &str) -> Option<Self> {
        match value {
            Value::InlineTable(table) => Some(Self::Inline(table)),
            Value::Array(array) => Some(Self::Array(array, suggest::shown(name))),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => None,
        }
    }

    fn put(self, key: &str, value: Value, path: &str) -> Result<(), SetError> {
        match self {
            Self::Table(table) => {
                let old = table.get(key);
                if old.is_some_and(|old| old.is_table() || old.is_array_of_tables()) {
                    return Err(SetError::IsATable {
                        path: suggest::shown(path),
                    });
                }
                table.insert(key, Item::Value(value));
            }
            Self::Inline(table) => drop(table.insert(key, value)),
            Self::Tables(tables, part) => {
                return Err(SetError::NoSuchElement {
                    path: suggest::shown(path),
                    part,
                    len: tables.len(),
                });
            }
            Self::Array(array, part) => {
                let len = array.len();
                match key
                    .parse()
                    .ok()
                    .and_then(|number: usize| array.get_mut(number))
                {
                    Some(element) => *element = value,
                    None => {
                        return Err(SetError::NoSuchElement {
                            path: suggest::shown(path),
                            part,
                            len,
                        });
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "schema = 1\n[cluster]\nnodes = 3\n[network]\nloss = 0.1 # high\n[[step]]\nat = \"1s\"\ncrash = { nodes = [\"n1\"] }\n";

    fn with(path: &str, value: &str) -> Result<String, SetError> {
        apply_overrides(FILE, &[(path.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_value_is_replaced_where_it_stands_and_added_where_it_is_absent() {
        assert!(
            with("network.loss", "0.02")
                .unwrap()
                .contains("loss = 0.02")
        );
        assert!(
            with("network.order", "any")
                .unwrap()
                .contains("order = \"any\"")
        );
        assert!(
            with("run.duration", "30s")
                .unwrap()
                .contains("[run]\nduration = \"30s\"")
        );
        assert!(
            with("strategy.gossip.recipients", "2")
                .unwrap()
                .contains("[strategy.gossip]\nrecipients = 2")
        );
        assert!(with("step.0.at", "2s").unwrap().contains("at = \"2s\""));
        assert!(
            with("step.0.crash.nodes", "[\"n2\"]")
                .unwrap()
                .contains("nodes = [\"n2\"]")
        );
        assert!(
            with("step.0.crash.nodes.0", "n3")
                .unwrap()
                .contains("nodes = [\"n3\"]")
        );
    }

    #[test]
    fn a_path_that_leads_nowhere_is_an_error() {
        assert!(matches!(
            with("network..loss", "1"),
            Err(SetError::BadPath { .. })
        ));
        assert!(matches!(with("", "1"), Err(SetError::BadPath { .. })));
        assert!(matches!(
            with("cluster.nodes.x", "1"),
            Err(SetError::NotATable { .. })
        ));
        assert!(matches!(
            with("step.4.at", "1s"),
            Err(SetError::NoSuchElement { len: 1, .. })
        ));
        assert!(matches!(
            with("network", "1"),
            Err(SetError::IsATable { .. })
        ));
    }

    #[test]
    fn a_text_that_is_not_toml_is_given_back_for_the_reader_to_refuse() {
        assert_eq!(
            apply_overrides("a = [", &[("a".to_owned(), "1".to_owned())]).unwrap(),
            "a = ["
        );
    }

    #[test]
    fn overrides_are_split_at_the_first_equals_sign() {
        assert_eq!(
            parse_override("a.b = x=y"),
            Some(("a.b".to_owned(), "x=y".to_owned()))
        );
        assert_eq!(parse_override("a.b"), None);
    }
}
