//! A comparison as data: which strategies are compared, where, and by what.

use std::ops::Range;

/// The plan of a comparison that has passed every check but those of its scenarios.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// `name`.
    pub name: String,
    /// `scenarios`: paths as written.
    pub scenarios: Vec<String>,
    /// `seeds`: every cell has all of them.
    pub seeds: Range<u64>,
    /// `strategies`, in the order of tables.
    pub contestants: Vec<Contestant>,
    /// `baseline`: the contestant that the others are compared with, by its place.
    pub baseline: usize,
    /// `[vary]`: every combination of their values is a cell, the last varies first.
    pub vary: Vec<Vary>,
    /// `[[endpoint]]`: what decides.
    pub endpoints: Vec<Endpoint>,
}

/// A strategy as a comparison knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contestant {
    /// Its name in tables.
    pub name: String,
    /// The strategy.
    pub strategy: String,
    /// Parameters that it has instead of the file's.
    pub set: Vec<(String, Scalar)>,
}

impl Contestant {
    /// A strategy with the parameters of the file.
    #[must_use]
    pub fn plain(strategy: &str) -> Self {
        Self {
            name: strategy.to_owned(),
            strategy: strategy.to_owned(),
            set: Vec::new(),
        }
    }
}

/// A value of the file that takes several values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vary {
    /// Where, dotted: `network.loss`.
    pub key: String,
    /// The values.
    pub values: Vec<Scalar>,
}

/// A single value of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// As TOML.
    pub toml: String,
    /// As tables show it: a text without its quotes.
    pub shown: String,
}

impl Scalar {
    /// A value as it is typed: of TOML, or a text.
    #[must_use]
    pub fn typed(text: &str) -> Self {
        match text.parse::<toml_edit::Value>() {
            Ok(toml_edit::Value::String(inner)) => Self {
                toml: text.to_owned(),
                shown: inner.into_value(),
            },
            Ok(_) => Self {
                toml: text.to_owned(),
                shown: text.to_owned(),
            },
            Err(_) => Self {
                toml: toml_edit::Value::from(text).to_string(),
                shown: text.to_owned(),
            },
        }
    }

    /// Values as they are typed, with commas between them: of TOML, or texts without commas.
    #[must_use]
    pub fn list(text: &str) -> Vec<Self> {
        match format!("[{text}]").parse::<toml_edit::Value>() {
            Ok(toml_edit::Value::Array(values)) if !values.is_empty() => values
                .iter()
                .map(|value| Self::typed(value.to_string().trim()))
                .collect(),
            Ok(_) | Err(_) => text.split(',').map(str::trim).map(Self::typed).collect(),
        }
    }
}

/// A metric that a comparison decides by.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// The metric.
    pub metric: String,
    /// Ratios within 1 +- `margin` count as equal.
    pub margin: f64,
}

/// The margin of an endpoint that states none.
pub const MARGIN: f64 = 0.05;
