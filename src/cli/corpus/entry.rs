//! One saved failure: a scenario file for one strategy and one seed, whose first lines say how it
//! fails.
//!
//! ```toml
//! # signature: gossip no_resurrection ghost (deliver gossip.sync)
//! ```
//!
//! The file is a scenario like any other. A line of this kind for each signature is what `corpus`
//! compares by; a file without one counts as saved, however it fails. A line `# expect = "fails"`
//! above it says that the failure is a known one, which is to stay as it is.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hublab_sim::report::Report;
use hublab_sim::run::failure::{Signature, always};
use hublab_sim::scenario::{Claim, Scenario, Style, render};
use hublab_sim::watch::oracle::NO_CRASH;
use tempfile::NamedTempFile;

use crate::cli::args::corpus::Expect;

const MARK: &str = "# signature: ";
const FAILS: &str = "# expect = \"fails\"";

/// A saved failure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) scenario: Scenario,
    /// How it failed when it was saved: signatures in words, which start with the strategy.
    pub(super) signatures: BTreeSet<String>,
    /// What it is to do now.
    pub(super) expect: Expect,
}

impl Entry {
    /// A scenario file of a corpus.
    pub(super) fn new(path: PathBuf, text: &str, scenario: Scenario) -> Self {
        Self {
            path,
            scenario,
            signatures: signatures(text),
            expect: if marks(text).any(|line| line.trim_end() == FAILS) {
                Expect::Fails
            } else {
                Expect::Holds
            },
        }
    }

    /// True if a run of it fails as it was saved.
    pub(super) fn fails_as_saved(&self, now: &BTreeSet<String>) -> bool {
        let is_one = |saved: &String| now.iter().any(|now| is_same(saved, now));
        self.signatures.is_empty() || self.signatures.iter().any(is_one)
    }

    pub(super) fn name(&self) -> String {
        let stem = self.path.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    }
}

/// The comments on top of a file.
fn marks(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| line.starts_with('#'))
}

/// The signatures that a file's comments name.
fn signatures(text: &str) -> BTreeSet<String> {
    let marked = marks(text).filter_map(|line| line.strip_prefix(MARK));
    marked
        .map(|signature| signature.trim().to_owned())
        .collect()
}

/// True if a saved signature is that of a failure. Files of earlier versions name an expectation by its
/// strategy and kind alone.
fn is_same(saved: &str, now: &str) -> bool {
    let kind = |text: &str| {
        let words: Vec<&str> = text.split(' ').take(2).collect();
        words.join(" ")
    };
    let is_of_claim = now.contains(" #");
    saved == now || is_of_claim && !saved.contains('#') && saved == kind(now)
}

/// How a run fails, in words.
pub(super) fn failures(scenario: &Scenario, report: &Report) -> BTreeSet<String> {
    Signature::all(scenario, report)
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
    /// needed: then it is kept with its comments. Violations of the oracles `named` are failures even
    /// where the scenario documents them.
    ///
    /// `None` if nothing failed.
    pub(super) fn of(
        mut scenario: Scenario,
        text: Option<&str>,
        report: &Report,
        named: &[String],
        expect: Expect,
    ) -> Option<Self> {
        let before = scenario.expectations.clone();
        let documents =
            |claim: &Claim| matches!(claim, Claim::Violates(oracle) if named.contains(oracle));
        // Beside the others, so that verdicts and expectations stay in step.
        let forbidden = named.iter().map(|oracle| always(oracle));
        scenario.expectations.extend(forbidden);
        let all = Signature::all(&scenario, report);
        let first = all.first()?;
        let violated: BTreeSet<&String> = all
            .iter()
            .filter(|signature| !signature.is_of_claim() && signature.oracle != NO_CRASH)
            .map(|signature| &signature.oracle)
            .collect();
        scenario.expectations = before.clone();
        let claims = &mut scenario.expectations;
        claims.retain(|expectation| !documents(&expectation.claim));
        for oracle in violated {
            let is_named = |claim: &Claim| matches!(claim, Claim::Always(name) if name == oracle);
            if !claims
                .iter()
                .any(|expectation| is_named(&expectation.claim))
            {
                claims.push(always(oracle));
            }
        }
        let run = &mut scenario.run;
        let alone = run.strategies == [report.strategy.as_str()] && run.seed == report.seed;
        let body = match text {
            Some(text) if alone && scenario.expectations == before => without_marks(text),
            Some(_) | None => {
                run.strategies = vec![report.strategy.clone()];
                run.seed = report.seed;
                render(&scenario, Style::Brief)
            }
        };
        let mut text = String::new();
        if expect == Expect::Fails {
            text.push_str(FAILS);
            text.push('\n');
        }
        for signature in &all {
            let safe = |c: char| if c.is_control() { '?' } else { c };
            text.push_str(MARK);
            text.extend(signature.to_string().chars().map(safe));
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

/// A file that was in a corpus says how it failed then.
fn without_marks(text: &str) -> String {
    let mut rest = text;
    while rest.starts_with(MARK) || rest.starts_with(FAILS) {
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
