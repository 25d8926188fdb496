//! Shards: a campaign over several machines, each with every n-th seed.
//!
//! A shard is written `i/n`, with `i` from 0: `0/4`, `1/4`, `2/4`, `3/4`. Its seeds are those whose
//! place in the campaign's range, counted from 0, leaves `i` when divided by `n`. So every seed is
//! in exactly one shard, and seeds that are slow together are spread. The runs of a comparison are
//! shared out in the same way, by their numbers.
//!
//! Engines that start many copies of one command tell each its number in the environment. What
//! they say must be complete: a variable that is missing or makes no sense is an error, since a
//! process that quietly took another share would leave holes that nobody sees.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A share of a campaign: the `index`-th of `count`, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Shard {
    index: u64,
    count: u64,
}

/// The most shards of a campaign.
pub(crate) const SHARDS_MAX: u64 = 1_000_000;

/// Why there is no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The text is none.
    #[error(
        "`{0}` is no shard: write its index from 0 and how many there are, as 0/4, 1/4, 2/4, 3/4"
    )]
    Malformed(String),
    /// There are not that many.
    #[error("there is no shard {index}/{count}: indexes begin with 0, so the last is {last}/{count}", last = .count - 1)]
    Beyond {
        /// Which was asked for, from 0.
        index: u64,
        /// How many there are.
        count: u64,
    },
    /// More than 1,000,000.
    #[error("{0} shards are more than {SHARDS_MAX}")]
    TooMany(u64),
    /// The environment has some of an engine's variables.
    #[error(
        "the environment has {present} but not {missing}: which shard this is cannot be told; {HELP}"
    )]
    Incomplete {
        /// One that is there.
        present: &'static str,
        /// One that is not.
        missing: &'static str,
    },
    /// A variable of the environment is no number.
    #[error(
        "{name} is `{value}`, which is not a number: which shard this is cannot be told; {HELP}"
    )]
    NoNumber {
        /// The variable.
        name: &'static str,
        /// Its contents.
        value: String,
    },
    /// The tasks of a Slurm array are not one step apart.
    #[error(
        "the Slurm array does not have one step between its tasks ({what}): which shard this is cannot be told; use --array=0-{last} or {HELP}"
    )]
    Grid {
        /// The values of the variables.
        what: String,
        /// The index of the last shard.
        last: u64,
    },
    /// The index and number of an engine do not fit.
    #[error("{name} is {index}, and counts from {first}, with {count_name} {count}: {HELP}")]
    Completions {
        /// The variable with the index.
        name: &'static str,
        /// The index.
        index: u64,
        /// The first index of that engine.
        first: u64,
        /// The variable with the number.
        count_name: &'static str,
        /// The number.
        count: u64,
    },
    /// Two engines say which shard this is, and do not say the same.
    #[error(
        "the environment has {0} and {1}, which do not say the same: which of them counts cannot be told; {HELP}"
    )]
    Ambiguous(&'static str, &'static str),
}

const HELP: &str = "set it, or give --shard I/N; --shard 0/1 is the whole campaign";

const SLURM_ID: &str = "SLURM_ARRAY_TASK_ID";
const SLURM_MIN: &str = "SLURM_ARRAY_TASK_MIN";
const SLURM_MAX: &str = "SLURM_ARRAY_TASK_MAX";
const SLURM_STEP: &str = "SLURM_ARRAY_TASK_STEP";
const SLURM_COUNT: &str = "SLURM_ARRAY_TASK_COUNT";

/// An engine that tells a copy its index and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Engine {
    /// Its name.
    pub name: &'static str,
    /// The variable with the index.
    pub index: &'static str,
    /// The variable with the number of copies.
    pub count: &'static str,
    /// The first index.
    pub first: u64,
}

/// The engines that tell an index and a number; Slurm tells more.
pub(crate) const ENGINES: [Engine; 7] = [
    Engine {
        name: "Kubernetes Indexed Job",
        index: "JOB_COMPLETION_INDEX",
        count: "JOB_COMPLETIONS",
        first: 0,
    },
    Engine {
        name: "AWS Batch array job",
        index: "AWS_BATCH_JOB_ARRAY_INDEX",
        count: "AWS_BATCH_JOB_ARRAY_SIZE",
        first: 0,
    },
    Engine {
        name: "Buildkite",
        index: "BUILDKITE_PARALLEL_JOB",
        count: "BUILDKITE_PARALLEL_JOB_COUNT",
        first: 0,
    },
    Engine {
        name: "Bitbucket Pipelines",
        index: "BITBUCKET_PARALLEL_STEP",
        count: "BITBUCKET_PARALLEL_STEP_COUNT",
        first: 0,
    },
    Engine {
        name: "CircleCI",
        index: "CIRCLE_NODE_INDEX",
        count: "CIRCLE_NODE_TOTAL",
        first: 0,
    },
    Engine {
        name: "GitLab CI",
        index: "CI_NODE_INDEX",
        count: "CI_NODE_TOTAL",
        first: 1,
    },
    Engine {
        name: "Semaphore",
        index: "SEMAPHORE_JOB_INDEX",
        count: "SEMAPHORE_JOB_COUNT",
        first: 1,
    },
];

impl Engine {
    /// The shard that its variables name; `None` if there are none.
    fn shard(&self, lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Shard>, ShardError> {
        // GitLab says of every job that there is one of it, and gives an index to one of several only.
        if self.first == 1
            && lookup(self.index).is_none()
            && lookup(self.count).as_deref() == Some("1")
        {
            return Ok(None);
        }
        let Some(Set([index, count])) = Set::read(lookup, &[self.index, self.count])? else {
            return Ok(None);
        };
        let from_zero = index.checked_sub(self.first);
        let shard = from_zero.and_then(|index| Shard::new(index, count).ok());
        shard.map(Some).ok_or(ShardError::Completions {
            name: self.index,
            index,
            first: self.first,
            count_name: self.count,
            count,
        })
    }
}

/// The shard that the environment names, and `None` if it names none.
///
/// Slurm sets `SLURM_ARRAY_TASK_ID`, `_MIN`, `_STEP` and `_COUNT` in each task of an array (and
/// `_MAX`, which is only held against the others). AWS Batch, Bitbucket,
/// Buildkite, `CircleCI`, GitLab, Kubernetes and Semaphore set an index and a number. Of
/// Kubernetes, `JOB_COMPLETIONS` has to be set in the job's template, as Kubernetes does not.
///
/// # Errors
/// Some of an engine's variables are there and others are not, what they say is no shard, or two engines
/// say different ones.
pub fn from_vars(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Shard>, ShardError> {
    let mut found: Option<(&'static str, Shard)> = None;
    let mut agree = |name: &'static str, shard: Option<Shard>| match (found, shard) {
        (_, None) => Ok(()),
        (None, Some(shard)) => {
            found = Some((name, shard));
            Ok(())
        }
        (Some((other, known)), Some(shard)) if known != shard => {
            Err(ShardError::Ambiguous(other, name))
        }
        (Some(_), Some(_)) => Ok(()),
    };
    let slurm = Set::read(&lookup, &[SLURM_ID, SLURM_MIN, SLURM_STEP, SLURM_COUNT])?;
    if let Some(Set([id, min, step, count])) = slurm {
        let max = number(SLURM_MAX, lookup(SLURM_MAX))?;
        agree(SLURM_ID, Some(of_slurm(id, min, step, count, max)?))?;
    }
    for engine in ENGINES {
        agree(engine.index, engine.shard(&lookup)?)?;
    }
    Ok(found.map(|(_, shard)| shard))
}

fn of_slurm(
    id: u64,
    min: u64,
    step: u64,
    count: u64,
    max: Option<u64>,
) -> Result<Shard, ShardError> {
    let astray = |what: String| ShardError::Grid {
        what,
        last: count.saturating_sub(1),
    };
    let last = count
        .checked_sub(1)
        .and_then(|steps| min.checked_add(steps.checked_mul(step)?));
    let whole = step > 0 && last.is_some() && max.is_none_or(|max| Some(max) == last);
    if !whole {
        let to = max.map_or_else(String::new, |max| format!(" to {max}"));
        return Err(astray(format!("{count} tasks from {min}{to}, step {step}")));
    }
    id.checked_sub(min)
        .filter(|above| above % step == 0)
        .and_then(|above| Shard::new(above / step, count).ok())
        .ok_or_else(|| astray(format!("task {id} of {count} from {min}, step {step}")))
}

/// The values of an engine's variables, which are all there.
struct Set<const N: usize>([u64; N]);

impl<const N: usize> Set<N> {
    /// `None` if none of them is there.
    fn read(
        lookup: impl Fn(&str) -> Option<String>,
        names: &[&'static str; N],
    ) -> Result<Option<Self>, ShardError> {
        let texts = names.map(&lookup);
        let Some(present) = texts.iter().position(Option::is_some) else {
            return Ok(None);
        };
        let mut values = [0; N];
        for ((value, text), name) in values.iter_mut().zip(texts).zip(names) {
            *value = number(name, text)?.ok_or(ShardError::Incomplete {
                present: names[present],
                missing: name,
            })?;
        }
        Ok(Some(Self(values)))
    }
}

fn number(name: &'static str, text: Option<String>) -> Result<Option<u64>, ShardError> {
    text.map(|value| plain(&value).ok_or(ShardError::NoNumber { name, value }))
        .transpose()
}

/// Digits only: `u64::from_str` would take `+3`, too.
fn plain(digits: &str) -> Option<u64> {
    let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    only_digits.then(|| digits.parse().ok()).flatten()
}

impl Shard {
    /// The whole campaign.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// The `index`-th of `count`, from 0.
    ///
    /// # Errors
    /// There are not that many, or none, or more than 1,000,000.
    pub fn new(index: u64, count: u64) -> Result<Self, ShardError> {
        match count {
            0 => Err(ShardError::Malformed(format!("{index}/{count}"))),
            _ if count > SHARDS_MAX => Err(ShardError::TooMany(count)),
            _ if index >= count => Err(ShardError::Beyond { index, count }),
            _ => Ok(Self { index, count }),
        }
    }

    /// Which of them it is, from 0.
    #[must_use]
    pub fn index(self) -> u64 {
        self.index
    }

    /// How many shards there are.
    #[must_use]
    pub fn count(self) -> u64 {
        self.count
    }

    /// True if a seed is its own, of a campaign over `seeds`, which may be any range of numbers.
    #[must_use]
    pub fn has(self, seed: u64, seeds: &Range<u64>) -> bool {
        seeds.contains(&seed) && (seed - seeds.start) % self.count == self.index
    }

    /// How many seeds of a campaign over `seeds` are its own.
    #[must_use]
    pub fn size(self, seeds: &Range<u64>) -> u64 {
        let all = seeds.end.saturating_sub(seeds.start);
        all.saturating_sub(self.index).div_ceil(self.count)
    }

    /// The seed at a place among those of its own, of a campaign over `seeds`.
    #[must_use]
    pub fn seed(self, place: u64, seeds: &Range<u64>) -> u64 {
        seeds.start + self.index + place * self.count
    }

    /// The place of a seed among those of its own, of a campaign over `seeds`; `None` if it is none.
    #[must_use]
    pub fn place(self, seed: u64, seeds: &Range<u64>) -> Option<u64> {
        self.has(seed, seeds)
            .then(|| (seed - seeds.start) / self.count)
    }

    /// All shards of a campaign that has this one.
    pub fn all(self) -> impl Iterator<Item = Self> {
        (0..self.count).map(move |index| Self { index, ..self })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let parts = text.split_once('/');
        let numbers = parts.and_then(|(index, count)| Some((plain(index)?, plain(count)?)));
        let (index, count) = numbers.ok_or_else(|| ShardError::Malformed(text.to_owned()))?;
        Self::new(index, count)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl TryFrom<String> for Shard {
    type Error = ShardError;

    fn try_from(text: String) -> Result<Self, ShardError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(set: &[(&str, &str)]) -> Result<Option<Shard>, ShardError> {
        from_vars(|name| {
            let found = set.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn slurm(id: &str, min: &str, step: &str, count: &str) -> Result<Option<Shard>, ShardError> {
        vars(&[
            (SLURM_ID, id),
            (SLURM_MIN, min),
            (SLURM_STEP, step),
            (SLURM_COUNT, count),
        ])
    }

    fn shard(text: &str) -> Shard {
        text.parse().expect("a shard")
    }

    #[test]
    fn every_seed_is_in_exactly_one_shard() {
        for (start, end, count) in [(0, 10, 4), (7, 8, 3), (5, 105, 7), (0, 4, 4), (3, 5, 1)] {
            let seeds = start..end;
            let mut found = Vec::new();
            for shard in Shard::new(0, count).expect("a shard").all() {
                let all = 0..end + count;
                let own: Vec<u64> = all.filter(|seed| shard.has(*seed, &seeds)).collect();
                assert_eq!(own.len() as u64, shard.size(&seeds), "{shard} of {seeds:?}");
                found.extend(own);
            }
            found.sort_unstable();
            assert_eq!(found, seeds.collect::<Vec<u64>>());
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_is() {
        assert_eq!(shard("3/4").to_string(), "3/4");
        assert_eq!(shard("0/1"), Shard::WHOLE);
        for bad in [
            "",
            "/",
            "1",
            "4/4",
            "0/0",
            "-1/4",
            "+1/4",
            "1/4/5",
            "a/4",
            "1/ 4",
            "0/1000001",
            "0/99999999999999999999",
        ] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }

    #[test]
    fn no_variables_are_no_shard() {
        assert_eq!(vars(&[]), Ok(None));
        assert_eq!(vars(&[("PATH", "/bin"), ("SLURM_JOB_ID", "7")]), Ok(None));
    }

    #[test]
    fn slurm_arrays_begin_anywhere_and_step_as_they_like() {
        assert_eq!(slurm("0", "0", "1", "4"), Ok(Some(shard("0/4"))));
        assert_eq!(slurm("4", "1", "1", "4"), Ok(Some(shard("3/4"))));
        assert_eq!(slurm("15", "5", "5", "3"), Ok(Some(shard("2/3"))));
    }

    #[test]
    fn a_slurm_task_beside_the_grid_is_refused() {
        for (id, min, step, count) in [
            ("6", "5", "5", "3"),
            ("20", "5", "5", "3"),
            ("4", "5", "5", "3"),
            ("0", "0", "0", "4"),
            ("0", "0", "1", "0"),
            ("0", "18446744073709551615", "1", "2"),
        ] {
            let error = slurm(id, min, step, count).expect_err("not a grid");
            assert!(matches!(error, ShardError::Grid { .. }), "{error}");
        }
    }

    /// `--array=0,5,9` has three tasks; task 0 alone would look like the first of 0, 1 and 2.
    #[test]
    fn a_slurm_array_with_holes_is_refused_in_every_task() {
        for id in ["0", "5", "9"] {
            let error = vars(&[
                (SLURM_ID, id),
                (SLURM_MIN, "0"),
                (SLURM_MAX, "9"),
                (SLURM_STEP, "1"),
                (SLURM_COUNT, "3"),
            ]);
            assert!(matches!(error, Err(ShardError::Grid { .. })), "{error:?}");
        }
    }

    #[test]
    fn each_engine_counts_in_its_own_way() {
        for engine in ENGINES {
            let Engine {
                name,
                index,
                count,
                first,
            } = engine;
            let job = |at: u64, of: &str| {
                let at = at.to_string();
                vars(&[(index, at.as_str()), (count, of)])
            };
            for at in 0..4 {
                let expected = Shard::new(at, 4).expect("one of four");
                assert_eq!(job(at + first, "4"), Ok(Some(expected)), "{name}");
            }
            for (at, of) in [(4 + first, 4), (first, 0)] {
                let error = job(at, &of.to_string()).expect_err("beyond");
                assert_eq!(
                    error,
                    ShardError::Completions {
                        name: index,
                        index: at,
                        first,
                        count_name: count,
                        count: of,
                    }
                );
                assert!(error.to_string().contains("--shard"), "{error}");
            }
            if first > 0 {
                assert!(job(0, "4").is_err(), "{name} has no index 0");
                assert_eq!(
                    vars(&[(count, "1")]),
                    Ok(None),
                    "{name}: one job, which has no index"
                );
            }
        }
    }

    #[test]
    fn half_of_an_engines_variables_are_an_error_that_names_the_other_half() {
        let slurm = [
            (SLURM_ID, "1"),
            (SLURM_MIN, "0"),
            (SLURM_STEP, "1"),
            (SLURM_COUNT, "4"),
        ];
        for left_out in 0..slurm.len() {
            let rest: Vec<_> = (0..slurm.len())
                .filter(|at| *at != left_out)
                .map(|at| slurm[at])
                .collect();
            let error = vars(&rest).expect_err("incomplete").to_string();
            assert!(
                error.contains(slurm[left_out].0) && error.contains("--shard"),
                "{error}"
            );
        }
        let pairs = ENGINES.map(|engine| (engine.index, engine.count));
        for (name, missing) in pairs
            .into_iter()
            .flat_map(|(one, other)| [(one, other), (other, one)])
        {
            let error = vars(&[(name, "2")]).expect_err("incomplete").to_string();
            assert!(
                error.contains(missing) && error.contains("--shard"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_variable_that_is_no_number_is_an_error_that_names_it() {
        for value in ["", "one", "-1", "1.0", " 1"] {
            let error = slurm("0", value, "1", "4")
                .expect_err("no number")
                .to_string();
            assert!(error.contains(SLURM_MIN), "{error}");
        }
    }

    #[test]
    fn two_engines_that_disagree_are_an_error_that_names_both() {
        for engine in ENGINES {
            let of = |at: u64| {
                let at = (at + engine.first).to_string();
                vars(&[
                    (SLURM_ID, "1"),
                    (SLURM_MIN, "0"),
                    (SLURM_STEP, "1"),
                    (SLURM_COUNT, "4"),
                    (engine.index, &at),
                    (engine.count, "4"),
                ])
            };
            assert_eq!(of(1), Ok(Some(shard("1/4"))), "{}", engine.name);
            let error = of(2).expect_err("another shard");
            assert_eq!(error, ShardError::Ambiguous(SLURM_ID, engine.index));
        }
    }
}
