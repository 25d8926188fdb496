//! What the arguments of `run` mean: which scenario runs with which strategy and which seeds.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use hublab_sim::run::estimate::{cluster_bytes, size};
use hublab_strategies::time::micros;

use super::args::{Overrides, Run};
use super::exit::ExitStatus;
use super::files::{Source, safe_name};
use super::output::{quoted, quoted_path};
use super::render::number::{bytes, counted};
use super::render::style;
use super::{Context, Stop};

/// All runs of a command, in the order in which their results are printed.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) sources: Vec<Source>,
    pub(super) groups: Vec<Group>,
    /// Where capsules go.
    pub(super) out: Option<PathBuf>,
    pub(super) twice: bool,
    pub(super) big: bool,
    /// True if what led to a failure is told.
    pub(super) explains: bool,
    /// True if kinds of messages have columns of their own.
    pub(super) by_kind: bool,
    overrides: Overrides,
}

/// The runs of one scenario with one strategy.
#[derive(Debug)]
pub(super) struct Group {
    /// The number of its first run.
    first: u64,
    /// The scenario, by its place in [`Plan::sources`].
    pub(super) source: usize,
    pub(super) strategy: String,
    pub(super) seeds: Range<u64>,
}

/// One run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Task {
    /// Its scenario and strategy, by their place in [`Plan::groups`].
    pub(super) group: usize,
    pub(super) seed: u64,
}

impl Plan {
    /// Plans the runs; scenarios that want `--big` and do not get it are told of and left out,
    /// and the outcome is part of what is returned.
    ///
    /// # Errors
    /// Two runs would write the same capsule.
    pub(super) fn new(
        args: &Run,
        sources: Vec<Source>,
        context: &Context,
    ) -> Result<(Self, ExitStatus), Stop> {
        let wanted = sources.len();
        let sources: Vec<Source> = sources
            .into_iter()
            .filter(|source| may_run(source, args.big, context))
            .collect();
        let exit = if sources.len() < wanted {
            ExitStatus::Usage
        } else {
            ExitStatus::Held
        };
        let mut groups = Vec::new();
        let mut first: u64 = 0;
        for (place, source) in sources.iter().enumerate() {
            let run = &source.scenario.run;
            let seed = args.seed.unwrap_or(run.seed);
            let seeds = args.seeds.clone().unwrap_or(seed..seed.saturating_add(1));
            let mut strategies: Vec<&String> = Vec::new();
            for name in if args.strategies.is_empty() {
                &run.strategies
            } else {
                &args.strategies
            } {
                if !strategies.contains(&name) {
                    strategies.push(name);
                }
            }
            for strategy in strategies {
                groups.push(Group {
                    first,
                    source: place,
                    strategy: strategy.clone(),
                    seeds: seeds.clone(),
                });
                first = first.saturating_add(seeds.end - seeds.start);
            }
        }
        let plan = Self {
            sources,
            groups,
            out: args.out.clone(),
            twice: args.twice,
            big: args.big,
            by_kind: args.by_kind,
            // Of many seeds, one is chosen by hand.
            explains: args.seeds.is_none() && args.report.tells_people(),
            overrides: args.overrides.clone(),
        };
        if plan.out.is_some() {
            plan.check_names()?;
        }
        Ok((plan, exit))
    }

    /// The run of a number, counted from 0, in the order of files, strategies and seeds.
    pub(super) fn task(&self, number: u64) -> Task {
        let group = self
            .groups
            .partition_point(|group| group.first <= number)
            .saturating_sub(1);
        let Group { first, seeds, .. } = &self.groups[group];
        Task {
            group,
            seed: seeds.start.saturating_add(number - first),
        }
    }

    /// How many runs there are.
    pub(super) fn count(&self) -> u64 {
        self.groups.last().map_or(0, |group| {
            group
                .first
                .saturating_add(group.seeds.end - group.seeds.start)
        })
    }

    /// Their virtual time in all, in microseconds.
    pub(super) fn length(&self) -> u64 {
        let length = |group: &Group| {
            self.duration(group)
                .saturating_mul(group.seeds.end - group.seeds.start)
        };
        self.groups.iter().map(length).fold(0, u64::saturating_add)
    }

    /// The virtual time of one run, in microseconds.
    pub(super) fn duration(&self, group: &Group) -> u64 {
        micros(self.source(group).scenario.run.duration)
    }

    pub(super) fn source(&self, group: &Group) -> &Source {
        &self.sources[group.source]
    }

    pub(super) fn group(&self, task: Task) -> &Group {
        &self.groups[task.group]
    }

    /// The values that were changed in every file.
    pub(super) fn overrides(&self) -> &[(String, String)] {
        &self.overrides.values
    }

    /// The command that repeats one run.
    pub(super) fn replay(&self, task: Task) -> String {
        let group = self.group(task);
        let path = self.source(group).path.to_string_lossy();
        self.command(&path, &group.strategy, task.seed)
    }

    /// The command that repeats the run of a file.
    pub(super) fn command(&self, path: &str, strategy: &str, seed: u64) -> String {
        let (path, strategy) = (quoted_path(Path::new(path)), quoted(strategy));
        let mut command = format!("hublab run {path} --strategy {strategy} --seed {seed}");
        self.overrides.append_to(&mut command);
        if self.big {
            command.push_str(" --big");
        }
        command
    }

    /// The arguments that have a fresh process make the same run and write a capsule.
    pub(super) fn arguments_of_capsule(
        &self,
        task: Task,
        capsule: &Path,
    ) -> Vec<std::ffi::OsString> {
        let group = self.group(task);
        let mut arguments = vec![
            "__capsule".into(),
            "--strategy".into(),
            group.strategy.clone().into(),
        ];
        arguments.extend(["--seed".into(), task.seed.to_string().into()]);
        for (key, value) in &self.overrides.values {
            arguments.extend(["--set".into(), format!("{key}={value}").into()]);
        }
        arguments.extend(["--capsule".into(), capsule.into(), "--".into()]);
        arguments.push(self.source(group).path.clone().into());
        arguments
    }

    /// Where the capsule of a run goes, if one is wanted.
    pub(super) fn capsule(&self, task: Task) -> Option<PathBuf> {
        let group = self.group(task);
        let stem = file_name(&self.source(group).scenario.name, &group.strategy);
        let settings = settings(&self.overrides);
        let name = format!("{stem}-{}{settings}.capsule", task.seed);
        Some(self.out.as_ref()?.join(name))
    }

    fn check_names(&self) -> Result<(), Stop> {
        let mut seen = BTreeSet::new();
        for group in &self.groups {
            let scenario = &self.source(group).scenario.name;
            if !seen.insert(file_name(scenario, &group.strategy)) {
                let reason = format!(
                    "two files hold a scenario `{scenario}`: with --out or --report, one would overwrite the other"
                );
                return Err(Stop::Usage(reason));
            }
        }
        Ok(())
    }
}

/// Returns whether the file may run, and prints why if not. No strategy is asked: one that panics must
/// not end the command.
fn may_run(source: &Source, big: bool, context: &Context) -> bool {
    let size = size(&source.scenario);
    if big || !size.wants_big {
        return true;
    }
    let (path, nodes) = (source.path.display(), counted(size.nodes as u64, "node"));
    let memory = bytes(cluster_bytes(&source.scenario));
    let error = style::error("error:");
    context.output.note(format_args!(
        "{error} {path}: {nodes}, about {memory} of memory: more than 2,000 nodes need --big"
    ));
    false
}

/// The last part of a capsule's name, which tells what `--set` changed: `-network.loss=0.02`. Of many
/// changes, a hash.
fn settings(overrides: &Overrides) -> String {
    const LONGEST: usize = 60;
    let values = overrides.values.iter();
    let words: String = values
        .map(|(key, value)| format!("-{key}={value}"))
        .collect();
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
    if words.len() <= LONGEST && words.chars().all(safe) {
        words
    } else {
        let hash = blake3::hash(words.as_bytes()).to_hex();
        format!("-set-{}", &hash[..8])
    }
}

/// The first part of a capsule's name.
fn file_name(scenario: &str, strategy: &str) -> String {
    safe_name(&format!("{scenario}-{strategy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_capsules_tell_the_settings() {
        let set = |values: &[(&str, &str)]| {
            let values = values.iter();
            let values = values.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            settings(&Overrides {
                values: values.collect(),
            })
        };
        assert_eq!(set(&[]), "");
        assert_eq!(
            set(&[("network.loss", "0.1"), ("run.seed", "2")]),
            "-network.loss=0.1-run.seed=2"
        );
        let one = set(&[("cluster.names", "[\"a\", \"b\"]")]);
        let other = set(&[("cluster.names", "[\"a\", \"c\"]")]);
        assert!(
            one.starts_with("-set-") && one != other && one.len() == 13,
            "{one}"
        );
    }

    #[test]
    fn names_of_capsules_stay_in_their_directory() {
        assert_eq!(file_name("first-join", "pubsub"), "first-join-pubsub");
        assert_eq!(file_name("../a b", "x/y"), ".._a_b-x_y");
    }
}
