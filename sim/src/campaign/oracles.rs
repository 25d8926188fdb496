//! Which oracles a campaign listens to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;

/// A choice of oracles. `no_crash` is in all of them: a step that panics fails any run.
///
/// Written as `claims`, `all`, or names with commas between them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum OracleSet {
    /// Those that the strategy claims, in each run whose scenario meets the claim's condition.
    #[default]
    Claims,
    /// Every oracle there is.
    All,
    /// These.
    Named(Vec<String>),
}

/// A word that stands for no oracle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no oracle `{0}`: give `claims`, `all`, or names from `hublab list oracles`")]
pub struct UnknownOracle(pub String);

impl OracleSet {
    /// The names of the oracles, for a run in which `claimed` are those whose claim's condition is
    /// met.
    #[must_use]
    pub fn names<'a>(&'a self, claimed: &'a [String], catalog: &Catalog) -> Vec<&'a str> {
        match self {
            Self::Claims => claimed.iter().map(String::as_str).collect(),
            Self::All => catalog.oracle_names().collect(),
            Self::Named(names) => names.iter().map(String::as_str).collect(),
        }
    }

    /// Checks that a catalog has what is named.
    ///
    /// # Errors
    /// The first name that no oracle has.
    pub fn check(&self, catalog: &Catalog) -> Result<(), UnknownOracle> {
        let Self::Named(names) = self else {
            return Ok(());
        };
        let unknown = names.iter().find(|name| catalog.oracle(name).is_none());
        unknown.map_or(Ok(()), |name| Err(UnknownOracle(name.clone())))
    }
}

impl fmt::Display for OracleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claims => f.write_str("claims"),
            Self::All => f.write_str("all"),
            Self::Named(names) => f.write_str(&names.join(",")),
        }
    }
}

impl FromStr for OracleSet {
    type Err = UnknownOracle;

    fn from_str(text: &str) -> Result<Self, UnknownOracle> {
        match text {
            "claims" => return Ok(Self::Claims),
            "all" => return Ok(Self::All),
            _ => {}
        }
        let mut names = Vec::new();
        for name in text.split(',').map(str::trim) {
            if ["", "all", "claims"].contains(&name) {
                return Err(UnknownOracle(name.to_owned()));
            }
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        Ok(Self::Named(names))
    }
}

impl From<OracleSet> for String {
    fn from(set: OracleSet) -> Self {
        set.to_string()
    }
}

impl TryFrom<String> for OracleSet {
    type Error = UnknownOracle;

    fn try_from(text: String) -> Result<Self, UnknownOracle> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["claims", "all", "own_truth", "own_truth,unique_entry"] {
            let set: OracleSet = text.parse().expect("a choice of oracles");
            assert_eq!(set.to_string(), text);
        }
        let twice: OracleSet = "own_truth, own_truth".parse().expect("a name");
        assert_eq!(twice, OracleSet::Named(vec!["own_truth".to_owned()]));
    }

    #[test]
    fn a_name_that_no_oracle_has_is_refused() {
        let catalog = Catalog::default();
        for text in ["", "none", "own_truth,", "own_truth,al", "all,own_truth"] {
            let set = text.parse::<OracleSet>();
            let checked = set.and_then(|set| set.check(&catalog));
            assert!(checked.is_err(), "{text}");
        }
    }
}
