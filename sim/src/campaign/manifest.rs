//! `campaign.json`: what a campaign was asked for, and which shard of it a directory holds.
//!
//! Results are joined, and a campaign is taken up again, only where this is the same: two ranges
//! of seeds or two builds are two campaigns.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::known::Known;
use super::shard::Shard;
use super::shrinking::Shrinking;
use super::trial::GENERATED;
use crate::capsule::Build;
use crate::model::Scenario;
use crate::scenario::render::{Style, render};

/// The version of the file's shape.
const SCHEMA: u32 = 1;

/// Contents of `campaign.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    schema: u32,
    /// The share of the campaign that is in this directory.
    pub shard: Shard,
    /// True if it went on to its end: through all of its runs, or to what `--budget` or
    /// `--max-failures` allow. Not while it runs, and not after it was interrupted or killed.
    #[serde(default)]
    pub ended: bool,
    /// How many runs the shard has.
    #[serde(default)]
    pub planned: u64,
    /// How many of them were made, once it has ended or was interrupted; `None` while it runs, and in
    /// directories of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// The failures that are no news. They do not change what runs come to, only what is told of
    /// it.
    #[serde(default, skip_serializing_if = "Known::is_empty")]
    pub known: Known,
    /// Which failures are shrunk; absent if none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shrinking: Option<Shrinking>,
    /// The settings that its runs depend on.
    pub campaign: Parameters,
}

/// Everything that decides which runs a campaign has and what they come to. How long it may take
/// and on how many cores is not among it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The program.
    pub build: Build,
    /// The scenario files; empty if scenarios are generated.
    pub files: Vec<FileOf>,
    /// The strategies.
    pub strategies: Vec<String>,
    /// The seeds, all shards together.
    pub seeds: Range<u64>,
    /// The oracles that runs must hold, as given.
    pub oracles: String,
    /// The strategy whose failures are none of the others'.
    #[serde(default)]
    pub baseline: Option<String>,
    /// The fault families that are switched off.
    pub without: Vec<String>,
    /// Changes to the files, as `key=value`.
    pub set: Vec<String>,
    /// The share of runs that is made twice, in percent.
    pub twice_percent: u8,
}

/// A scenario file of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileOf {
    /// Its path, as it was given.
    pub path: String,
    /// BLAKE3 over the scenario with what `--set` changed, in hexadecimal.
    pub digest: String,
    /// The strategies that it runs with; empty for those of the campaign.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strategies: Vec<String>,
}

impl FileOf {
    /// A scenario, read from a path, with its own strategies, if it does not run with all.
    #[must_use]
    pub fn new(path: String, scenario: &Scenario, strategies: Vec<String>) -> Self {
        let text = render(scenario, Style::Full);
        Self {
            path,
            digest: blake3::hash(text.as_bytes()).to_hex().to_string(),
            strategies,
        }
    }
}

impl FileOf {
    fn is_without(&self, strategy: &str) -> bool {
        !self.strategies.is_empty() && !self.strategies.iter().any(|own| own == strategy)
    }
}

/// Why a text is no manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is no JSON, or lacks something.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It is of another version.
    #[error("it has schema {0}, and this version reads {SCHEMA}")]
    Schema(u32),
    /// It is of a campaign without seeds.
    #[error("it has no seeds: {}..{}", .0.start, .0.end)]
    NoSeeds(Range<u64>),
}

impl Manifest {
    /// That of a campaign, or of a shard of it, before its first run.
    #[must_use]
    pub fn new(campaign: Parameters, shard: Shard) -> Self {
        let mut manifest = Self {
            schema: SCHEMA,
            shard,
            ended: false,
            planned: 0,
            done: None,
            known: Known::default(),
            shrinking: None,
            campaign,
        };
        manifest.planned = manifest.runs();
        manifest
    }

    /// The file's content.
    ///
    /// # Panics
    /// If it cannot be written as JSON, which it can.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("its keys are strings");
        text.push('\n');
        text
    }

    /// Reads the file's content.
    ///
    /// # Errors
    /// It is none, or of another version.
    pub fn from_json(text: &str) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Versioned {
            schema: u32,
        }
        let version: Versioned = serde_json::from_str(text)?;
        if version.schema != SCHEMA {
            return Err(ManifestError::Schema(version.schema));
        }
        let manifest: Self = serde_json::from_str(text)?;
        let seeds = manifest.campaign.seeds.clone();
        if seeds.is_empty() {
            Err(ManifestError::NoSeeds(seeds))
        } else {
            Ok(manifest)
        }
    }

    /// How many runs its shard has.
    #[must_use]
    pub fn runs(&self) -> u64 {
        let Parameters {
            files,
            strategies,
            seeds,
            ..
        } = &self.campaign;
        let own = |file: &FileOf| match file.strategies.len() {
            0 => strategies.len(),
            own => own,
        };
        let per_seed = if files.is_empty() {
            strategies.len()
        } else {
            files.iter().map(own).sum()
        };
        (per_seed as u64).saturating_mul(self.shard.size(seeds))
    }

    /// Why a run is none of its own, if it is none.
    #[must_use]
    pub fn refuses(&self, scenario: &str, strategy: &str, seed: u64) -> Option<String> {
        let Parameters {
            files,
            strategies,
            seeds,
            ..
        } = &self.campaign;
        let known = if files.is_empty() {
            scenario == GENERATED
        } else {
            files.iter().any(|file| file.path == scenario)
        };
        if !known {
            Some(format!("the campaign has no scenario `{scenario}`"))
        } else if !strategies.iter().any(|name| name == strategy) {
            Some(format!("the campaign has no strategy `{strategy}`"))
        } else if files
            .iter()
            .any(|file| file.path == scenario && file.is_without(strategy))
        {
            Some(format!("{scenario} does not run with `{strategy}`"))
        } else if !self.shard.has(seed, seeds) {
            let Range { start, end } = seeds;
            Some(format!(
                "seed {seed} is not of shard {} of seeds {start}..{end}",
                self.shard
            ))
        } else {
            None
        }
    }
}

impl Parameters {
    /// The first thing in which two campaigns differ, in words.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        let table = |parameters: &Self| match serde_json::to_value(parameters) {
            Ok(Value::Object(table)) => table,
            Ok(_) | Err(_) => serde_json::Map::new(),
        };
        let theirs = table(other);
        let differs = |(key, value): (String, Value)| {
            let other = theirs.get(&key).unwrap_or(&Value::Null);
            (*other != value).then(|| format!("`{key}` is {value} here and {other} there"))
        };
        table(self).into_iter().find_map(differs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A campaign over generated scenarios.
    fn parameters(seeds: Range<u64>) -> Parameters {
        Parameters {
            build: Build::current(),
            files: Vec::new(),
            strategies: vec!["pubsub".to_owned(), "gossip".to_owned()],
            seeds,
            oracles: "claims".to_owned(),
            baseline: None,
            without: Vec::new(),
            set: Vec::new(),
            twice_percent: 0,
        }
    }

    fn shard(text: &str) -> Shard {
        text.parse().expect("a shard")
    }

    #[test]
    fn what_is_written_is_read_again() {
        let manifest = Manifest::new(parameters(0..10), shard("1/4"));
        let read = Manifest::from_json(&manifest.to_json()).expect("a manifest");
        assert_eq!(read, manifest);
    }

    #[test]
    fn what_is_no_campaign_is_refused_in_words() {
        let written = Manifest::new(parameters(0..10), Shard::WHOLE).to_json();
        for (from, to, word) in [
            ("\"schema\": 1", "\"schema\": 2", "schema 2"),
            ("\"0/1\"", "\"1/1\"", "no shard 1/1"),
            ("\"end\": 10", "\"end\": 0", "no seeds"),
            ("\"oracles\"", "\"orakles\"", "orakles"),
        ] {
            assert!(written.contains(from), "{written}");
            let error = Manifest::from_json(&written.replace(from, to)).expect_err("changed");
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn a_shard_has_its_share_of_seeds_with_every_strategy() {
        let manifest = Manifest::new(parameters(10..20), shard("1/4"));
        assert_eq!(manifest.runs(), 6, "seeds 11, 15 and 19, twice");
        assert_eq!(manifest.refuses(GENERATED, "gossip", 15), None);
        for (scenario, strategy, seed) in [
            ("other.toml", "gossip", 15),
            (GENERATED, "other", 15),
            (GENERATED, "gossip", 16),
            (GENERATED, "gossip", 23),
        ] {
            assert!(manifest.refuses(scenario, strategy, seed).is_some());
        }
    }

    #[test]
    fn campaigns_that_differ_say_in_what() {
        let (left, right) = (parameters(0..10), parameters(0..20));
        let difference = left.difference(&right).expect("other seeds");
        assert!(
            difference.contains("`seeds`") && difference.contains("20"),
            "{difference}"
        );
        assert_eq!(left.difference(&left.clone()), None);
    }
}
