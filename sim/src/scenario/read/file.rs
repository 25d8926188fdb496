//! The tables that stand once: the file itself, `[run]`, `[cluster]` and `[strategy]`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde_json::{Map, Number, Value as Json};
use toml::de::{DeTable, DeValue};

use super::Reader;
use super::syntax::Value;
use super::table::Table;
use crate::model::{Cluster, Network, Run, Scenario};
use crate::scenario::diagnostic::Problem;
use crate::scenario::shape::{CLUSTER, FILE, NETWORK, RUN};
use crate::scenario::suggest;

/// The only schema.
const SCHEMA: i64 = 1;
/// How deep lists and tables of a strategy's parameter may be nested.
const PARAMETER_DEPTH_MAX: usize = 8;

/// The parameters of the strategies, by name.
type Parameters = BTreeMap<String, Map<String, Json>>;

impl<'t> Reader<'_> {
    /// The whole file, with the name it has if it states none. What is wrong is reported; the
    /// scenario then stands for what could be understood.
    pub(super) fn file(&mut self, root: &'t DeTable<'t>, stem: &str) -> Scenario {
        let file = self.open_entries(root, 0..0, &FILE);
        self.schema(&file);
        let name = self
            .may(&file, "name", Self::name)
            .unwrap_or(stem)
            .to_owned();
        let summary = self.may(&file, "summary", Self::text).map(str::to_owned);
        let cluster = self
            .required(&file, "cluster")
            .and_then(|value| self.open(value, &CLUSTER));
        let cluster = cluster.map_or_else(Cluster::default, |table| self.cluster(&table));
        let run = file.get("run").and_then(|value| self.open(value, &RUN));
        let run = match run {
            Some(table) => self.run(&table),
            None => self.default_run(),
        };
        let strategies = self
            .may(&file, "strategy", Self::parameters)
            .unwrap_or_default();
        let network = file
            .get("network")
            .and_then(|value| self.open(value, &NETWORK));
        let network = network.map_or_else(Network::default, |table| self.network(&table));
        let steps = self.list(&file, "step", Self::steps);
        let expectations = self.list(&file, "expect", Self::expectations);
        Scenario {
            name,
            summary,
            run,
            cluster,
            strategies,
            network,
            steps,
            expectations,
        }
    }

    fn schema(&mut self, file: &Table<'t>) {
        let schema = self.required(file, "schema").and_then(|value| {
            let found = self.integer(value, i64::MIN, i64::MAX)?;
            Some((found, value))
        });
        if let Some((found, value)) = schema.filter(|(found, _)| *found != SCHEMA) {
            let at = self.label(value.span());
            self.report(Problem::UnknownSchema { found, at });
        }
    }

    fn default_run(&self) -> Run {
        Run {
            duration: Duration::from_secs(60),
            seed: 1,
            seeds: 0..200,
            strategies: self
                .catalog
                .names()
                .into_iter()
                .map(str::to_owned)
                .collect(),
        }
    }

    fn run(&mut self, table: &Table<'t>) -> Run {
        let default = self.default_run();
        Run {
            duration: self
                .may(table, "duration", Self::positive)
                .unwrap_or(default.duration),
            seed: self
                .may(table, "seed", |reader, value| reader.count(value, 0))
                .unwrap_or(default.seed),
            seeds: self
                .may(table, "seeds", Self::seeds)
                .unwrap_or(default.seeds),
            strategies: self
                .may(table, "strategies", Self::strategies)
                .unwrap_or(default.strategies),
        }
    }

    /// `"0..200"`.
    fn seeds(&mut self, value: &'t Value<'t>) -> Option<Range<u64>> {
        let text = self.text_as(value, "a range of seeds like \"0..200\"")?;
        let seeds = parse_seeds(text);
        if seeds.is_none() {
            let at = self.label(value.span());
            self.report(Problem::BadSeeds {
                text: suggest::shown(text),
                at,
            });
        }
        seeds
    }

    fn strategies(&mut self, value: &'t Value<'t>) -> Option<Vec<String>> {
        let DeValue::Array(elements) = value.get_ref() else {
            self.wrong_type(value, "a list of strategies", None);
            return None;
        };
        self.not_empty(value, "strategies");
        let mut names: Vec<String> = Vec::new();
        for element in elements.iter() {
            let Some(name) = self.strategy(element) else {
                continue;
            };
            if names.iter().any(|known| known == name) {
                self.repeated(name, element);
            } else {
                names.push(name.to_owned());
            }
        }
        Some(names)
    }

    /// The name of a strategy of the catalog.
    pub(super) fn strategy(&mut self, value: &'t Value<'t>) -> Option<&'t str> {
        let name = self.text_as(value, "the name of a strategy")?;
        if self.catalog.get(name).is_none() {
            self.unknown_strategy(name, value.span());
            return None;
        }
        Some(name)
    }

    fn unknown_strategy(&mut self, name: &str, span: Range<usize>) {
        let at = self.label(span);
        let help = suggest::help(name, self.catalog.names());
        self.report(Problem::UnknownStrategy {
            name: suggest::shown(name),
            at,
            help,
        });
    }

    fn cluster(&mut self, table: &Table<'t>) -> Cluster {
        self.declare_nodes(table);
        let default = Cluster::default();
        let start = self
            .may(table, "start", Self::nodes)
            .map(|named| named.nodes);
        Cluster {
            start: start.unwrap_or_else(|| self.all_nodes()),
            discovery_interval: self
                .may(table, "discovery_interval", Self::positive)
                .unwrap_or(default.discovery_interval),
            join_debounce: self
                .may(table, "join_debounce", Self::duration)
                .unwrap_or(default.join_debounce),
            down_after: self
                .may(table, "down_after", Self::duration)
                .unwrap_or(default.down_after),
            down_spread: self
                .may(table, "down_spread", Self::probability)
                .unwrap_or(default.down_spread),
            crash_detected_after: self
                .may(table, "crash_detected_after", Self::duration)
                .unwrap_or(default.crash_detected_after),
            nodes: self.nodes.names.clone(),
        }
    }

    fn parameters(&mut self, value: &'t Value<'t>) -> Option<Parameters> {
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong_type(value, "a table for each strategy", None);
            return None;
        };
        let mut all = Parameters::new();
        for (name, value) in entries {
            if self.catalog.get(name.get_ref()).is_none() {
                self.unknown_strategy(name.get_ref(), name.span());
            } else if let Some(parameters) = self
                .parameters_of(name.get_ref(), value)
                .filter(|parameters| !parameters.is_empty())
            {
                all.insert(name.get_ref().clone().into_owned(), parameters);
            }
        }
        Some(all)
    }

    /// One `[strategy.NAME]`: each key on its own, then all of them together.
    fn parameters_of(&mut self, name: &str, value: &'t Value<'t>) -> Option<Map<String, Json>> {
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong_type(value, "a table of parameters", None);
            return None;
        };
        let entry = self.catalog.get(name)?;
        let known = entry.defaults();
        let mut parameters = Map::new();
        let mut all_right = true;
        for (key, value) in entries {
            let key_text = key.get_ref().as_ref();
            if !known.contains_key(key_text) {
                let absent = known
                    .keys()
                    .map(String::as_str)
                    .filter(|key| !entries.contains_key(*key));
                let help = suggest::help(key_text, absent);
                let at = self.label(key.span());
                let table = format!("[strategy.{name}]");
                self.report(Problem::UnknownKey {
                    key: suggest::shown(key_text),
                    table,
                    at,
                    help,
                });
                continue;
            }
            let checked = json(value.get_ref(), PARAMETER_DEPTH_MAX)
                .and_then(|json| entry.check_key(key_text, &json).map(|()| json));
            match checked {
                Ok(json) => drop(parameters.insert(key_text.to_owned(), json)),
                Err(reason) => {
                    all_right = false;
                    self.bad_parameter(name, key_text, reason, value.span());
                }
            }
        }
        if all_right && let Err((key, reason)) = entry.configure(&parameters) {
            let span = entries
                .get(key.as_str())
                .map_or_else(|| value.span(), toml::Spanned::span);
            self.bad_parameter(name, &key, reason, span);
        }
        Some(parameters)
    }

    fn bad_parameter(&mut self, strategy: &str, key: &str, reason: String, span: Range<usize>) {
        let at = self.label(span);
        let (strategy, key) = (suggest::shown(strategy), suggest::shown(key));
        self.report(Problem::BadParameter {
            strategy,
            key,
            reason: super::shown_long(&reason),
            at,
        });
    }
}

/// Reads `A..B`, the end not included, at least one seed, none above `i64::MAX`, which is what
/// `seed` can hold.
#[must_use]
pub fn parse_seeds(text: &str) -> Option<Range<u64>> {
    const END_MAX: u64 = 1 << 63;
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let (from, end) = text.split_once("..")?;
    let seeds = number(from)?..number(end)?;
    (!seeds.is_empty() && seeds.end <= END_MAX).then_some(seeds)
}

/// A TOML value as JSON.
fn json(value: &DeValue<'_>, depth: usize) -> Result<Json, String> {
    let deeper = || {
        depth
            .checked_sub(1)
            .ok_or_else(|| "it is nested too deep".to_owned())
    };
    match value {
        DeValue::String(text) => Ok(Json::String(text.clone().into_owned())),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map(Json::from)
            .map_err(|_| "the integer is too large".to_owned()),
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map(Json::Number)
            .ok_or_else(|| "it is not a finite number".to_owned()),
        DeValue::Boolean(boolean) => Ok(Json::Bool(*boolean)),
        DeValue::Datetime(_) => Err("no parameter is a date; put it in quotes".to_owned()),
        DeValue::Array(elements) => {
            let depth = deeper()?;
            elements
                .iter()
                .map(|element| json(element.get_ref(), depth))
                .collect()
        }
        DeValue::Table(entries) => {
            let depth = deeper()?;
            entries
                .iter()
                .map(|(key, value)| Ok((key.get_ref().to_string(), json(value.get_ref(), depth)?)))
                .collect()
        }
    }
}
