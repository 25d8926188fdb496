//! The template of a crate, `template/` of this package, under another name.

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::path::Path;

use hublab_sim::capsule::Build;

use super::super::Stop;
use super::File;
use super::name::Name;

/// The files of the template: where they lie in it, and what stands in them.
macro_rules! template {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/template/", $path)))),*]
    };
}

const FILES: &[(&str, &str)] = template![
    ".cargo/config.toml",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "rust-toolchain.toml",
    "scenarios/one.toml",
    "src/lib.rs",
    "src/main.rs",
    "src/rules.rs",
    "tests/scenario.rs",
];

/// The line of the template's manifest that names hublab.
const HUBLAB: &str = "hublab = { path = \"..\" }\n";
/// The lines before it, for who copies the template by hand.
const COMMENT: &str = "\
# In a repository of your own, name hublab's instead, at the commit you tested with:
# hublab = { git = \"https://github.com/hublab/hublab\", rev = \"...\" }
";
/// The names of the template's package, crate, strategy and type.
const PACKAGE: &str = "my-strategy";
const CRATE: &str = "my_strategy";
const STRATEGY: &str = "mine";
const TYPE: &str = "Mine";

const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// Where the crate has hublab from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dependency {
    /// A directory.
    Directory(String),
    /// A commit of hublab's repository.
    Commit(String),
}

impl Dependency {
    /// hublab in this directory.
    ///
    /// # Errors
    /// It is not there, or its path is not UTF-8 as a manifest must be.
    pub(super) fn on_directory(path: &Path) -> Result<Self, Stop> {
        let named = || format!("--path: {}", path.display());
        let whole = path
            .canonicalize()
            .map_err(|error| Stop::Usage(format!("{}: {error}", named())))?;
        if !is_hublab(&whole) {
            let reason = "there is no Cargo.toml of the package hublab";
            return Err(Stop::Usage(format!("{}: {reason}", named())));
        }
        let text = whole.into_os_string().into_string();
        let text = text.map_err(|_| Stop::Usage(format!("{}: is not UTF-8", named())))?;
        Ok(Self::Directory(text))
    }

    /// The source of this program: its directory as long as that is there, or else its commit.
    ///
    /// # Errors
    /// Neither is known.
    pub(super) fn of_this_build() -> Result<Self, Stop> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
        // What cargo fetched, it may delete again.
        if is_hublab(sources) && !sources.join(".cargo-ok").exists() {
            return Self::on_directory(sources);
        }
        let commit = Build::current().commit.ok_or_else(|| {
            let reason = "this program does not know the commit that it was built from";
            Stop::Usage(format!("{reason}: name hublab's directory with --path"))
        })?;
        let commit = commit.strip_suffix("-dirty").unwrap_or(&commit);
        Ok(Self::Commit(commit.to_owned()))
    }

    /// What stands in the manifest.
    fn lines(&self) -> String {
        match self {
            Self::Directory(path) => {
                format!("{COMMENT}hublab = {{ path = {} }}\n", basic_string(path))
            }
            Self::Commit(commit) => {
                format!("hublab = {{ git = \"{REPOSITORY}\", rev = \"{commit}\" }}\n")
            }
        }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "in {path}"),
            Self::Commit(commit) => write!(f, "at {REPOSITORY}, commit {commit}"),
        }
    }
}

/// True if hublab's manifest is there.
fn is_hublab(directory: &Path) -> bool {
    let manifest = fs::read_to_string(directory.join("Cargo.toml"));
    manifest.is_ok_and(|text| text.lines().any(|line| line == "name = \"hublab\""))
}

/// A string of TOML. JSON's are, but for one character.
fn basic_string(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007F")
}

/// The packages that the template is built of.
pub(super) fn dependencies() -> impl Iterator<Item = &'static str> {
    let names = text_of("Cargo.lock").lines().filter_map(|line| {
        let name = line.strip_prefix("name = \"")?;
        name.strip_suffix('"')
    });
    names.filter(|name| *name != PACKAGE)
}

fn text_of(path: &str) -> &'static str {
    let found = FILES.iter().find(|(name, _)| *name == path);
    found.map_or("", |(_, text)| text)
}

/// The files of the template, for a strategy and a crate of this name.
pub(super) fn files(name: &Name, hublab: &Dependency) -> Vec<File> {
    let mut of_type = name.of_type();
    let sources = FILES.iter().filter(|(path, _)| path.ends_with(".rs"));
    if sources
        .clone()
        .any(|(_, text)| words(text).any(|word| word == of_type))
    {
        of_type.push_str("Strategy");
    }
    let (of_package, of_strategy) = (name.of_package(), name.of_strategy());
    let renamed = |word: &str| match word {
        PACKAGE => Some(of_package.as_str()),
        CRATE | STRATEGY => Some(of_strategy.as_str()),
        TYPE => Some(of_type.as_str()),
        _ => None,
    };
    let file = |(path, text): &(&'static str, &'static str)| {
        let mut new: String = words(text)
            .map(|word| renamed(word).unwrap_or(word))
            .collect();
        if *path == "Cargo.toml" {
            let old = format!("{COMMENT}{HUBLAB}");
            new = new.replace(&old, &hublab.lines());
        }
        (*path, Cow::from(new))
    };
    FILES.iter().map(file).collect()
}

/// A text in pieces: its words, and what lies between them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let in_word = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let ends = |c: char| in_word(c) != in_word(first);
        let (piece, behind) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
        rest = behind;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use hublab_sim::catalog::Catalog;

    use super::*;

    fn made(name: &str, hublab: &Dependency) -> Vec<File> {
        files(&Name::new(name, &Catalog::default()).unwrap(), hublab)
    }

    fn all(files: &[File]) -> String {
        files.iter().map(|(_, text)| text.as_ref()).collect()
    }

    #[test]
    fn pieces_make_the_text_again() {
        for (path, text) in FILES {
            assert_eq!(words(text).collect::<String>(), *text, "{path}");
        }
        assert_eq!(words("a-b.c").collect::<Vec<_>>(), ["a-b", ".", "c"]);
    }

    #[test]
    fn no_name_of_the_template_is_left() {
        let commit = Dependency::Commit("0123abcd".to_owned());
        let text = all(&made("last-writer", &commit));
        for old in [PACKAGE, CRATE, STRATEGY, TYPE] {
            assert!(words(&text).all(|word| word != old), "{old}");
        }
        for new in ["last-writer", "last_writer", "LastWriter"] {
            assert!(words(&text).any(|word| word == new), "{new}");
        }
    }

    #[test]
    fn a_type_that_the_template_uses_otherwise_gets_a_longer_name() {
        let commit = Dependency::Commit("0123abcd".to_owned());
        let text = all(&made("context", &commit));
        assert!(text.contains("for ContextStrategy {"), "{text}");
    }

    #[test]
    fn the_manifest_names_hublab_once() {
        let path = Dependency::Directory("/a \"b\"\\c".to_owned());
        for (hublab, line) in [
            (path, r#"hublab = { path = "/a \"b\"\\c" }"#.to_owned()),
            (
                Dependency::Commit("0123abcd".to_owned()),
                format!("hublab = {{ git = \"{REPOSITORY}\", rev = \"0123abcd\" }}"),
            ),
        ] {
            let files = made("last-writer", &hublab);
            let (_, manifest) = files
                .iter()
                .find(|(path, _)| *path == "Cargo.toml")
                .unwrap();
            let lines = manifest
                .lines()
                .filter(|line| line.starts_with("hublab = "));
            assert_eq!(lines.collect::<Vec<_>>(), [line]);
        }
    }
}
