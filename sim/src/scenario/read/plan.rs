//! The plan file of a comparison.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::Reader;
use super::syntax::{self, Value};
use super::table::Table;
use crate::catalog::Catalog;
use crate::model::plan::{Contestant, Endpoint, MARGIN, Plan, Scalar, Vary};
use crate::scenario::diagnostic::{Problem, Problems};
use crate::scenario::shape::{CLUSTER, CONTESTANT, ENDPOINT, FILE, NETWORK, PLAN, RUN};
use crate::scenario::suggest;
use crate::scenario::text::Text;
use crate::statistics::Better;

/// The seeds of a plan that states none.
pub const PLAN_SEEDS: Range<u64> = 0..30;

/// Keys of plans that no scenario has.
const ONLY_OF_PLANS: [&str; 5] = ["scenarios", "strategies", "baseline", "vary", "endpoint"];

/// Says whether a file is meant as a plan: it has a key that only plans have, and no cluster.
#[must_use]
pub fn is_plan(bytes: &[u8]) -> bool {
    let Ok(source) = std::str::from_utf8(bytes) else {
        return false;
    };
    if source.len() > syntax::FILE_BYTES_MAX {
        return false;
    }
    let (tree, _) = syntax::parse(source, &Text::new("", source));
    tree.is_some_and(|tree| {
        !tree.contains_key("cluster") && ONLY_OF_PLANS.iter().any(|key| tree.contains_key(*key))
    })
}

/// What decides if a plan does not say: how long views are wrong, how soon they are right again after
/// the last step, what that costs, and how long the slow ones wait for a change.
const ENDPOINTS: [&str; 4] = [
    "stale_us",
    "settle_us",
    "bytes_per_change",
    "propagation_us.p99",
];

/// The endpoints of a plan that names none.
#[must_use]
pub fn default_endpoints() -> Vec<Endpoint> {
    let endpoint = |metric: &str| Endpoint {
        metric: metric.to_owned(),
        margin: MARGIN,
    };
    ENDPOINTS.map(endpoint).into()
}

/// Reads and checks a plan.
pub(in crate::scenario) fn read_plan(
    name: &str,
    bytes: &[u8],
    catalog: &Catalog,
) -> Result<Plan, Problems> {
    let source = syntax::decode(name, bytes)?;
    let text = Text::new(name, source);
    let (tree, syntax_errors) = syntax::parse(source, &text);
    let mut reader = Reader::new(&text, catalog);
    let plan = tree.map(|tree| reader.plan(&tree, &super::stem(name)));
    let Reader {
        mut problems, more, ..
    } = reader;
    if !syntax_errors.is_empty() {
        problems.retain(|problem| super::stands_alone(problem, &syntax_errors, &text));
        problems.splice(0..0, syntax_errors);
    }
    match plan {
        Some(plan) if problems.is_empty() => Ok(plan),
        Some(_) | None => Err(Problems::new(text, problems, more)),
    }
}

impl<'t> Reader<'_> {
    fn plan(&mut self, root: &'t DeTable<'t>, stem: &str) -> Plan {
        let plan = self.open_entries(root, 0..0, &PLAN);
        self.required(&plan, "schema")
            .map(|value| self.schema(value));
        let name = plan.get("name").and_then(|value| self.name(value));
        let scenarios = self
            .required(&plan, "scenarios")
            .and_then(|value| self.paths(value));
        let seeds = plan.get("seeds").and_then(|value| self.seeds(value));
        let contestants = plan
            .get("strategies")
            .and_then(|value| self.contestants(value));
        let contestants = contestants.unwrap_or_else(|| {
            let names = self.catalog.names().into_iter();
            names.map(Contestant::plain).collect()
        });
        let baseline = plan
            .get("baseline")
            .and_then(|value| self.baseline(value, &contestants));
        let vary = plan.get("vary").and_then(|value| self.vary(value));
        let endpoints = plan.get("endpoint").and_then(|value| self.endpoints(value));
        Plan {
            name: name.unwrap_or(stem).to_owned(),
            scenarios: scenarios.unwrap_or_default(),
            seeds: seeds.unwrap_or(PLAN_SEEDS),
            contestants,
            baseline: baseline.unwrap_or_default(),
            vary: vary.unwrap_or_default(),
            endpoints: endpoints.unwrap_or_else(default_endpoints),
        }
    }

    /// A list of paths, not empty.
    pub(super) fn paths(&mut self, value: &'t Value<'t>) -> Option<Vec<String>> {
        let DeValue::Array(elements) = value.get_ref() else {
            self.wrong_type(value, "a list of paths", None);
            return None;
        };
        self.not_empty(value, "paths");
        let mut paths: Vec<String> = Vec::with_capacity(elements.len());
        for element in elements.iter() {
            let Some(path) = self.name(element) else {
                continue;
            };
            if paths.iter().any(|known| known == path) {
                self.repeated(path, element);
            } else {
                paths.push(path.to_owned());
            }
        }
        Some(paths)
    }

    fn contestants(&mut self, value: &'t Value<'t>) -> Option<Vec<Contestant>> {
        let DeValue::Array(elements) = value.get_ref() else {
            self.wrong_type(value, "a list of strategies", None);
            return None;
        };
        self.not_empty(value, "strategies");
        let mut all: Vec<Contestant> = Vec::new();
        for element in elements.iter() {
            let contestant = if element.get_ref().is_table() {
                let table = self.open(element, &CONTESTANT)?;
                self.contestant(&table)
            } else {
                self.strategy(element).map(Contestant::plain)
            };
            let Some(contestant) = contestant else {
                continue;
            };
            if all.iter().any(|known| known.name == contestant.name) {
                self.repeated(&contestant.name, element);
            } else {
                all.push(contestant);
            }
        }
        Some(all)
    }

    fn contestant(&mut self, table: &Table<'t>) -> Option<Contestant> {
        let name = self.required(table, "name");
        let name = name.and_then(|value| self.name(value));
        let strategy = self.required(table, "strategy");
        let strategy = strategy.and_then(|value| self.strategy(value));
        let set = table.get("set").map(|value| {
            if let Some(strategy) = strategy {
                self.parameters_of(strategy, value);
            }
            self.scalars(value)
        });
        Some(Contestant {
            name: name?.to_owned(),
            strategy: strategy?.to_owned(),
            set: set.unwrap_or_default(),
        })
    }

    /// The single values of a table.
    fn scalars(&mut self, value: &'t Value<'t>) -> Vec<(String, Scalar)> {
        let DeValue::Table(entries) = value.get_ref() else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for (key, value) in entries {
            if let Some(scalar) = self.scalar(value) {
                all.push((key.get_ref().clone().into_owned(), scalar));
            }
        }
        all
    }

    fn scalar(&mut self, value: &Value<'_>) -> Option<Scalar> {
        let plain = |text: String| Scalar {
            toml: text.clone(),
            shown: text,
        };
        match value.get_ref() {
            DeValue::String(text) => Some(Scalar {
                toml: toml_edit::Value::from(text.as_ref()).to_string(),
                shown: text.clone().into_owned(),
            }),
            DeValue::Integer(integer) => Some(plain(integer.to_string())),
            DeValue::Float(float) => Some(plain(float.as_str().to_owned())),
            DeValue::Boolean(boolean) => Some(plain(boolean.to_string())),
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                self.wrong_type(value, "a single value", None);
                None
            }
        }
    }

    fn baseline(&mut self, value: &'t Value<'t>, contestants: &[Contestant]) -> Option<usize> {
        let name = self.text_as(value, "one of `strategies`")?;
        let place = contestants
            .iter()
            .position(|contestant| contestant.name == name);
        if place.is_none() {
            let names = contestants
                .iter()
                .map(|contestant| contestant.name.as_str());
            let at = self.label(value.span());
            self.report(Problem::UnknownWord {
                what: "baseline",
                word: suggest::shown(name),
                at,
                help: suggest::help(name, names),
            });
        }
        place
    }

    fn vary(&mut self, value: &'t Value<'t>) -> Option<Vec<Vary>> {
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong_type(value, "a table of lists", None);
            return None;
        };
        let mut all = Vec::new();
        for (key, value) in entries {
            let word = key.get_ref().as_ref();
            if word.split('.').any(str::is_empty) {
                let at = self.label(key.span());
                self.report(Problem::BadName {
                    what: "key",
                    word: suggest::shown(word),
                    reason: "a part of it is empty",
                    at,
                });
            } else {
                self.path(word, key.span());
            }
            let DeValue::Array(elements) = value.get_ref() else {
                let help = value.get_ref().is_table().then(|| {
                    "put the whole key in quotes: \"network.loss\" = [0.0, 0.05]".to_owned()
                });
                self.wrong_type(value, "a list of values", help);
                continue;
            };
            self.not_empty(value, "values");
            let mut values: Vec<Scalar> = Vec::new();
            for element in elements.iter() {
                let Some(scalar) = self.scalar(element) else {
                    continue;
                };
                if values.iter().any(|known| known.shown == scalar.shown) {
                    self.repeated(&scalar.shown, element);
                } else {
                    values.push(scalar);
                }
            }
            all.push(Vary {
                key: word.to_owned(),
                values,
            });
        }
        Some(all)
    }

    /// Reports a path of which the first parts are no keys of scenario files. What it says of a strategy
    /// or within a list, the files that it is set in tell.
    fn path(&mut self, path: &str, place: Range<usize>) {
        let mut parts = path.split('.');
        let first = parts.next().unwrap_or_default();
        let tables = [("run", &RUN), ("cluster", &CLUSTER), ("network", &NETWORK)];
        let table = tables.into_iter().find(|(name, _)| *name == first);
        let (shape, key) = match table {
            Some((_, shape)) => (shape, parts.next()),
            None => (&FILE, Some(first)),
        };
        if let Some(key) = key.filter(|key| shape.key(key).is_none()) {
            let at = self.label(place);
            self.report(Problem::UnknownKey {
                key: suggest::shown(key),
                table: shape.name.to_owned(),
                at,
                help: suggest::help(key, shape.names()),
            });
        }
    }

    fn endpoints(&mut self, value: &'t Value<'t>) -> Option<Vec<Endpoint>> {
        self.not_empty(value, "endpoints");
        let mut all: Vec<Endpoint> = Vec::new();
        self.each_table(value, &ENDPOINT, |reader, table| {
            let metric = reader.required(table, "metric");
            let named = metric.and_then(|value| Some((value, reader.decisive_metric(value)?)));
            let margin = table
                .get("margin")
                .and_then(|value| reader.probability(value));
            let Some((value, metric)) = named else {
                return;
            };
            if all.iter().any(|known| known.metric == metric) {
                reader.repeated(&metric, value);
                return;
            }
            let margin = margin.unwrap_or(MARGIN);
            all.push(Endpoint { metric, margin });
        })?;
        Some(all)
    }

    /// A metric of which lower or higher is better.
    fn decisive_metric(&mut self, value: &'t Value<'t>) -> Option<String> {
        let name = self.text_as(value, "the name of a metric")?;
        let at = self.label(value.span());
        let catalog = self.catalog;
        match catalog.metric(name) {
            Some(metric) if metric.better != Better::Neither => return Some(name.to_owned()),
            Some(_) => self.report(Problem::BadName {
                what: "endpoint",
                word: suggest::shown(name),
                reason: "neither less nor more of it is better",
                at,
            }),
            None => {
                let help = suggest::help(name, catalog.metrics().iter().map(|metric| metric.name));
                self.report(Problem::UnknownMetric {
                    name: suggest::shown(name),
                    at,
                    help,
                });
            }
        }
        None
    }
}
