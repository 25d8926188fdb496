//! A campaign's results with what it takes to follow them up: files and commands.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use hublab_sim::campaign::group::Group;
use hublab_sim::campaign::manifest::Parameters;
use hublab_sim::campaign::shard::Shard;
use hublab_sim::campaign::summary::{End, Summary};
use hublab_sim::campaign::trial::GENERATED;

use super::folder::FAILURES;
use crate::cli::exit::ExitStatus;
use crate::cli::output::quoted;
use crate::cli::render::number::{counted, grouped};

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

/// A campaign as it was asked for, and how far it came.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Asked<'a> {
    pub(in crate::cli) parameters: &'a Parameters,
    /// How many runs there should be.
    pub(in crate::cli) planned: u64,
    /// How it ended; `None` for results that were joined.
    pub(in crate::cli) end: Option<End>,
    /// True if runs are missing that nobody asked to leave out.
    pub(in crate::cli) has_holes: bool,
    /// Of joined results, how much of the campaign they are.
    pub(in crate::cli) coverage: Option<&'a str>,
}

impl Asked<'_> {
    /// Why there are fewer runs than planned, where that is known.
    pub(in crate::cli) fn why_fewer(&self) -> Option<&'static str> {
        match self.end? {
            End::Complete => None,
            End::Budget => Some("the time of --budget is over"),
            End::MaxFailures => Some("--max-failures is reached"),
            End::Stopped => Some("interrupted"),
        }
    }
}

/// What runs were asked for.
#[derive(Clone, Copy)]
pub(in crate::cli) enum Source<'a> {
    /// A campaign.
    Campaign(Asked<'a>),
    /// Single runs: the command that makes one of them again, by scenario, strategy and seed.
    Runs(&'a dyn Fn(&str, &str, u64) -> String),
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Campaign(asked) => asked.fmt(f),
            Self::Runs(_) => f.write_str("Runs"),
        }
    }
}

impl Account<'_> {
    /// What was asked for, in a line.
    pub(in crate::cli) fn heading(&self) -> String {
        match self.source {
            Source::Campaign(Asked {
                parameters,
                coverage,
                ..
            }) => {
                let Range { start, end } = parameters.seeds;
                let (shard, oracles) = (self.shard, &parameters.oracles);
                let coverage = coverage.map_or_else(String::new, |text| format!(", {text}"));
                format!("seeds {start}..{end}, shard {shard}, oracles {oracles}{coverage}")
            }
            Source::Runs(_) => counted(self.summary.runs(), "run"),
        }
    }

    /// How many runs there are; of a campaign, of how many that were planned.
    pub(in crate::cli) fn progress(&self) -> String {
        let done = self.summary.runs();
        match self.source {
            Source::Campaign(Asked { planned, .. }) => {
                format!("{} of {}", grouped(done), counted(planned, "run"))
            }
            Source::Runs(_) => counted(done, "run"),
        }
    }

    /// Says that runs are missing, and why if that is known; `None` if all were made.
    pub(in crate::cli) fn incomplete(&self) -> Option<String> {
        let Source::Campaign(asked) = self.source else {
            return None;
        };
        let is_short = self.summary.runs() < asked.planned;
        let why = asked.why_fewer();
        (is_short || why.is_some()).then(|| {
            let made = format!("{} made", self.progress());
            why.map_or(made.clone(), |why| format!("{why}: {made}"))
        })
    }

    /// In a word, why this is less than was asked for, and the exit code that it has at best; `None` if
    /// nothing is missing but what was asked to be left out.
    pub(in crate::cli) fn shortfall(&self) -> Option<(ExitStatus, &'static str)> {
        let Source::Campaign(asked) = self.source else {
            return None;
        };
        if asked.end == Some(End::Stopped) {
            Some((ExitStatus::Interrupted, "interrupted"))
        } else {
            asked
                .has_holes
                .then_some((ExitStatus::Inconclusive, "incomplete"))
        }
    }

    /// The command that makes one run again, alone.
    pub(in crate::cli) fn command(&self, scenario: &str, strategy: &str, seed: u64) -> String {
        match self.source {
            Source::Campaign(Asked { parameters, .. })
                if scenario == GENERATED
                    || parameters.files.iter().any(|file| file.path == scenario) =>
            {
                repeat(parameters, scenario, strategy, seed)
            }
            // A saved failure, which has one seed.
            Source::Campaign(_) => {
                let (file, strategy) = (quoted(scenario), quoted(strategy));
                format!("hublab run {file} --strategy {strategy}")
            }
            Source::Runs(command) => command(scenario, strategy, seed),
        }
    }

    /// The group's scenario files, that of the lowest seed first.
    pub(in crate::cli) fn files(&self, group: &Group<'_>) -> impl Iterator<Item = PathBuf> {
        let failures = self.folder.map(|folder| folder.join(FAILURES));
        let paths = failures.into_iter().flat_map(|failures| {
            let names = group.fingerprints.iter();
            names.map(move |one| failures.join(format!("{one}.toml")))
        });
        paths.filter(|path| path.is_file())
    }

    /// The first of [`Self::files`].
    pub(in crate::cli) fn file(&self, group: &Group<'_>) -> Option<PathBuf> {
        self.files(group).next()
    }

    /// The command that shows a failure of the group again.
    pub(in crate::cli) fn repeat(&self, group: &Group<'_>) -> String {
        match self.file(group) {
            Some(file) => format!("hublab run {}", quoted(&file.to_string_lossy())),
            None => self.command(&group.key.scenario, &group.key.strategy, group.seed),
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
