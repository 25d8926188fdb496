//! The name of a strategy that is to be a crate, too.

use hublab_sim::catalog::Catalog;

use super::super::Stop;
use super::template;

/// The longest name: file systems and people have limits.
const LONGEST: usize = 40;

/// Names that cargo or the compiler keep for themselves.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// Why a name cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameError {
    /// It is no name of a crate.
    #[error(
        "`{0}` cannot name a crate: write up to 40 of a-z, 0-9, `-` and `_`, a letter first and no \
         separator last or twice, as in `my-strategy`"
    )]
    Form(String),
    /// It means something else to the compiler or to cargo.
    #[error("`{0}` cannot name a crate: Rust or cargo reserves it; write another, as in `my-{0}`")]
    Reserved(String),
    /// A crate that hublab is built of has it.
    #[error("`{0}` is the name of a crate that hublab is built of; write another, as in `my-{0}`")]
    Crate(String),
    /// A strategy has it, or hubs do.
    #[error("there is a strategy `{0}` (`hublab list strategies`); write another, as in `my-{0}`")]
    Strategy(String),
}

impl From<NameError> for Stop {
    fn from(error: NameError) -> Self {
        Self::Usage(format!("--strategy: {error}"))
    }
}

/// The name of a strategy, as each place writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(String);

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn new(text: &str, catalog: &Catalog) -> Result<Self, NameError> {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        let is_word = text.chars().all(known)
            && text.len() <= LONGEST
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.split(['-', '_']).all(|part| !part.is_empty());
        if !is_word {
            return Err(NameError::Form(text.to_owned()));
        }
        let name = Self(text.to_owned());
        let (package, strategy) = (name.of_package(), name.of_strategy());
        if RESERVED.contains(&strategy.as_str()) {
            return Err(NameError::Reserved(package));
        }
        // Messages of the hubs themselves have kinds that begin with `hub.`.
        if strategy == "hub" || catalog.names().contains(&strategy.as_str()) {
            return Err(NameError::Strategy(strategy));
        }
        let is_crate = |other: &str| other.replace('-', "_") == strategy;
        if template::dependencies().any(is_crate) {
            return Err(NameError::Crate(package));
        }
        Ok(name)
    }

    /// The package: `my-strategy`.
    pub(super) fn of_package(&self) -> String {
        self.0.replace('_', "-")
    }

    /// The strategy in scenario files, and the crate in Rust: `my_strategy`.
    pub(super) fn of_strategy(&self) -> String {
        self.0.replace('-', "_")
    }

    /// The type: `MyStrategy`.
    pub(super) fn of_type(&self) -> String {
        let words = self.0.split(['-', '_']);
        let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
        words.map(capital).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_each_place_writes_it() {
        let name = Name::new("last_writer-2", &Catalog::default()).unwrap();
        assert_eq!(name.of_package(), "last-writer-2");
        assert_eq!(name.of_strategy(), "last_writer_2");
        assert_eq!(name.of_type(), "LastWriter2");
    }

    #[test]
    fn what_cargo_or_a_catalog_would_refuse_is_refused() {
        let refused = |text: &str| Name::new(text, &Catalog::default()).unwrap_err();
        let long = "x".repeat(LONGEST + 1);
        for text in [
            "", "Mine", "2fast", "a b", "a--b", "a_", "-a", "ä", "a/b", &long,
        ] {
            assert_eq!(refused(text), NameError::Form(text.to_owned()));
        }
        for text in ["fn", "test", "std", "deps", "proc-macro"] {
            assert_eq!(refused(text), NameError::Reserved(text.to_owned()));
        }
        for text in ["pubsub", "gossip", "hub"] {
            assert_eq!(refused(text), NameError::Strategy(text.to_owned()));
        }
        for text in ["hublab", "hublab-sim", "serde", "tokio", "serde_json"] {
            assert_eq!(refused(text), NameError::Crate(text.replace('_', "-")));
        }
        assert!(is_sorted(RESERVED), "easier to read");
    }

    fn is_sorted(names: &[&str]) -> bool {
        names.windows(2).all(|pair| pair[0] < pair[1])
    }
}
