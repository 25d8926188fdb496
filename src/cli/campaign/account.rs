//! A campaign's results with what it takes to follow them up: files and commands.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use hublab_sim::campaign::manifest::Parameters;
use hublab_sim::campaign::shard::Shard;
use hublab_sim::campaign::summary::{Group, GroupKey, Summary};
use hublab_sim::campaign::trial::GENERATED;

use super::folder::FAILURES;
use crate::cli::output::quoted;
use crate::cli::render::number::counted;

/// What is told of a campaign, in whichever format.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Account<'a> {
    /// The command that made the runs, as reports are called.
    pub(in crate::cli) title: &'static str,
    /// What was asked for.
    pub(in crate::cli) source: Source<'a>,
    /// The share of it that this is.
    pub(in crate::cli) shard: Shard,
    /// What came of it.
    pub(in crate::cli) summary: &'a Summary,
    /// Its directory, if it has one.
    pub(in crate::cli) folder: Option<&'a Path>,
}

/// What runs were asked for.
#[derive(Clone, Copy)]
pub(in crate::cli) enum Source<'a> {
    /// A campaign.
    Campaign(&'a Parameters),
    /// Single runs: the command that makes one of them again, by scenario, strategy and seed.
    Runs(&'a dyn Fn(&str, &str, u64) -> String),
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Campaign(parameters) => parameters.fmt(f),
            Self::Runs(_) => f.write_str("Runs"),
        }
    }
}

impl Account<'_> {
    /// What was asked for, in a line.
    pub(in crate::cli) fn heading(&self) -> String {
        match self.source {
            Source::Campaign(parameters) => {
                let Range { start, end } = parameters.seeds;
                let (shard, oracles) = (self.shard, &parameters.oracles);
                format!("seeds {start}..{end}, shard {shard}, oracles {oracles}")
            }
            Source::Runs(_) => counted(self.summary.runs(), "run"),
        }
    }

    /// The command that makes one run again, alone.
    pub(in crate::cli) fn command(&self, scenario: &str, strategy: &str, seed: u64) -> String {
        match self.source {
            Source::Campaign(parameters) => repeat(parameters, scenario, strategy, seed),
            Source::Runs(command) => command(scenario, strategy, seed),
        }
    }

    /// The group's scenario file, if there is one.
    pub(in crate::cli) fn file(&self, key: &GroupKey) -> Option<PathBuf> {
        let name = format!("{}.toml", key.what.fingerprint()?);
        let path = self.folder?.join(FAILURES).join(name);
        path.is_file().then_some(path)
    }

    /// The command that shows the group's first failure again.
    pub(in crate::cli) fn repeat(&self, key: &GroupKey, group: &Group) -> String {
        match self.file(key) {
            Some(file) => format!("hublab run {}", quoted(&file.to_string_lossy())),
            None => self.command(&key.scenario, &key.strategy, group.seed),
        }
    }

    /// What a run of a suite is called: the strategy, with the scenario where it is a file.
    pub(in crate::cli) fn suite(strategy: &str, scenario: &str) -> String {
        if scenario == GENERATED {
            strategy.to_owned()
        } else {
            format!("{strategy} {scenario}")
        }
    }
}

/// The command that makes one run again, alone.
fn repeat(parameters: &Parameters, scenario: &str, strategy: &str, seed: u64) -> String {
    let mut command = "hublab fuzz".to_owned();
    let mut add = |word: &str| {
        command.push(' ');
        command.push_str(&quoted(word));
    };
    if scenario != GENERATED {
        add(scenario);
    }
    let seeds = format!("{seed}..{}", seed.saturating_add(1));
    let strategy = ["--strategy", strategy];
    for word in ["--seeds", &seeds].into_iter().chain(strategy) {
        add(word);
    }
    for word in ["--oracles", &parameters.oracles, "--shard", "0/1"] {
        add(word);
    }
    for (flag, values) in [
        ("--without", &parameters.without),
        ("--set", &parameters.set),
    ] {
        for value in values {
            add(flag);
            add(value);
        }
    }
    command
}
