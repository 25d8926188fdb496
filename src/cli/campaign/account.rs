//! A campaign's results with what it takes to follow them up: files and commands.

use std::path::{Path, PathBuf};

use super::folder::FAILURES;
use super::manifest::Parameters;
use super::shard::Shard;
use super::tally::{Group, Key, Tally};
use crate::cli::output::quoted;

/// What is told of a campaign, in whichever format.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Account<'a> {
    /// What was asked for.
    pub(in crate::cli) parameters: &'a Parameters,
    /// The share of it that this is.
    pub(in crate::cli) shard: Shard,
    /// What came of it.
    pub(in crate::cli) tally: &'a Tally,
    /// Its directory, if it has one.
    pub(in crate::cli) folder: Option<&'a Path>,
}

impl Account<'_> {
    /// The group's scenario file, if there is one.
    pub(in crate::cli) fn file(&self, key: &Key) -> Option<PathBuf> {
        let name = format!("{}.toml", key.what.file_stem()?);
        let path = self.folder?.join(FAILURES).join(name);
        path.is_file().then_some(path)
    }

    /// The command that shows the group's first failure again.
    pub(in crate::cli) fn repeat(&self, key: &Key, group: &Group) -> String {
        match self.file(key) {
            Some(file) => format!("hublab run {}", quoted(&file.to_string_lossy())),
            None => self
                .parameters
                .repeat(&key.scenario, &key.strategy, group.seed),
        }
    }

    /// What a run of a suite is called: the strategy, with the scenario where it is a file.
    pub(in crate::cli) fn suite(strategy: &str, scenario: &str) -> String {
        if scenario == super::manifest::GENERATED {
            strategy.to_owned()
        } else {
            format!("{strategy} {scenario}")
        }
    }
}
