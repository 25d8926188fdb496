//! One saved failure: a scenario file for one strategy and one seed, whose first lines say how it
//! fails.
//!
//! ```toml
//! # signature: gossip no_resurrection ghost (deliver gossip.sync)
//! ```
//!
//! The file is a scenario like any other. A line of this kind for each signature is what `corpus`
//! compares by; a file without one counts as saved, however it fails.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hublab_sim::campaign::signature::Signature;
use hublab_sim::run::report::Report;
use hublab_sim::scenario::{Claim, Expectation, Scenario, Style, render};
use hublab_sim::watch::oracle::NO_CRASH;
use tempfile::NamedTempFile;

const MARK: &str = "# signature: ";

/// A saved failure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) scenario: Scenario,
    /// How it failed when it was saved: signatures in words, which start with the strategy.
    pub(super) signatures: BTreeSet<String>,
}

impl Entry {
    /// A scenario file of a corpus.
    pub(super) fn new(path: PathBuf, text: &str, scenario: Scenario) -> Self {
        Self {
            path,
            scenario,
            signatures: signatures(text),
        }
    }

    pub(super) fn name(&self) -> String {
        let stem = self.path.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    }
}

/// The signatures that a file's comments name.
fn signatures(text: &str) -> BTreeSet<String> {
    let comments = text.lines().take_while(|line| line.starts_with('#'));
    let marked = comments.filter_map(|line| line.strip_prefix(MARK));
    marked
        .map(|signature| signature.trim().to_owned())
        .collect()
}

/// How a run fails, in words.
pub(super) fn failures(report: &Report) -> BTreeSet<String> {
    Signature::all(report)
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// A failure to be saved.
#[derive(Debug)]
pub(super) struct New {
    name: String,
    text: String,
}

impl New {
    /// The failure of a run of a scenario. `text` is the scenario's file, if it says all that is
    /// needed: then it is kept with its comments.
    ///
    /// `None` if nothing failed.
    pub(super) fn of(mut scenario: Scenario, text: Option<&str>, report: &Report) -> Option<Self> {
        let all = Signature::all(report);
        let first = all.first()?;
        let unnamed: Vec<Expectation> = report
            .violations
            .iter()
            .map(|violation| &violation.oracle)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(|oracle| *oracle != NO_CRASH && !is_named(&scenario, oracle))
            .map(|oracle| always(oracle))
            .collect();
        let run = &mut scenario.run;
        let alone = run.strategies == [report.strategy.as_str()] && run.seed == report.seed;
        let body = match text {
            Some(text) if alone && unnamed.is_empty() => without_marks(text),
            Some(_) | None => {
                run.strategies = vec![report.strategy.clone()];
                run.seed = report.seed;
                scenario.expectations.extend(unnamed);
                render(&scenario, Style::Brief)
            }
        };
        let mut text = String::new();
        for signature in failures(report) {
            let safe = |c: char| if c.is_control() { '?' } else { c };
            text.push_str(MARK);
            text.extend(signature.chars().map(safe));
            text.push('\n');
        }
        text.push_str(&body);
        let hash = blake3::hash(text.as_bytes()).to_hex();
        let words = [&first.strategy, &first.oracle, &hash[..8]].map(file_word);
        Some(Self {
            name: format!("{}.toml", words.join("-")),
            text,
        })
    }

    /// Saves it; whether it was not there before. The file appears complete or not at all.
    pub(super) fn save(&self, corpus: &Path) -> io::Result<(PathBuf, bool)> {
        fs::create_dir_all(corpus)?;
        let path = corpus.join(&self.name);
        let mut file = NamedTempFile::new_in(corpus)?;
        file.write_all(self.text.as_bytes())?;
        match file.persist_noclobber(&path) {
            Ok(_) => Ok((path, true)),
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => {
                Ok((path, false))
            }
            Err(refused) => Err(refused.error),
        }
    }
}

fn is_named(scenario: &Scenario, oracle: &str) -> bool {
    let names = |claim: &Claim| match claim {
        Claim::Always(name) => name == oracle,
        Claim::Violates(_)
        | Claim::Converged { .. }
        | Claim::Registry { .. }
        | Claim::Entry { .. }
        | Claim::Metric { .. } => false,
    };
    let mut claims = scenario.expectations.iter();
    claims.any(|expectation| names(&expectation.claim))
}

fn always(oracle: &str) -> Expectation {
    Expectation {
        strategy: None,
        claim: Claim::Always(oracle.to_owned()),
        line: 0,
    }
}

/// A file that was in a corpus says how it failed then.
fn without_marks(text: &str) -> String {
    let mut rest = text;
    while rest.starts_with(MARK) {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest.to_owned()
}

/// A word of a file name: strategies may be called anything.
fn file_word(word: impl AsRef<str>) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '_'
        }
    };
    word.as_ref().chars().take(40).map(safe).collect()
}
