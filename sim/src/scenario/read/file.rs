//! The file as a whole, and the values that only it has: seeds, strategies and their parameters.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::{Map, Number, Value as Json, json};
use toml::de::{DeTable, DeValue};

use super::syntax::Value;
use super::table::Table;
use super::walk::{Spots, model};
use super::{Reader, STEPS_MAX};
use crate::catalog::CatalogEntry;
use crate::metric::{DROPPED_BY_REASON, Metric};
use crate::model::{Expectation, Scenario, Step};
use crate::scenario::diagnostic::Problem;
use crate::scenario::shape::{
    CLUSTER, EXPECT, FILE, Kind, NETWORK, NODES as LIFE, RESTART, RUN, STEP,
};
use crate::scenario::suggest;
use crate::trace::event::DropReason;

/// The only schema.
const SCHEMA: i64 = 1;
/// Stands for every strategy.
const EVERY_STRATEGY: &str = "*";
/// How deep lists and tables of a strategy's parameter may be nested.
const PARAMETER_DEPTH_MAX: usize = 8;

impl<'t> Reader<'_> {
    /// The whole file, with the name it has if it states none. What is wrong is reported; the
    /// scenario then stands for what could be understood.
    pub(super) fn file(&mut self, root: &'t DeTable<'t>, stem: &str) -> Scenario {
        let file = self.open_entries(root, 0..0, &FILE);
        for key in ["schema", "cluster"] {
            self.required(&file, key);
        }
        file.get("schema").map(|value| self.schema(value));
        file.get("resolved").map(|value| self.boolean(value));
        let name = file.get("name").and_then(|value| self.name(value));
        let summary = file.get("summary").and_then(|value| self.text(value));
        // Before whatever extends them.
        let strategies = file
            .get("strategy")
            .and_then(|value| self.parameters(value));
        self.parameters = strategies.map(model).unwrap_or_default();
        let mut cluster = self.section(file.get("cluster"), &CLUSTER);
        cluster.insert("nodes".to_owned(), json!(self.nodes.names));
        let mut run = self.section(file.get("run"), &RUN);
        run.entry("strategies")
            .or_insert_with(|| json!(self.catalog.default_names()));
        let branch = file.get("run").and_then(|it| it.get_ref().get("branch"));
        let after = branch.and_then(|it| it.get_ref().get("after"));
        self.sites.branch = after.map(|after| self.label(after.span()));
        let network = self.section(file.get("network"), &NETWORK);
        let nodes = file.get("cluster").and_then(|it| it.get_ref().get("node"));
        let nodes = nodes.and_then(|it| it.get_ref().as_array());
        let mut limited = file
            .get("network")
            .into_iter()
            .chain(nodes.into_iter().flatten());
        let limit = limited.find_map(|it| it.get_ref().get("queue_limit"));
        self.sites.queue_limit = limit.map(|limit| self.label(limit.span()));
        let steps = file.get("step").map(|value| self.steps(value));
        let expectations = file.get("expect").map(|value| self.expectations(value));
        self.sites.unread |= file.is_obscure();
        Scenario {
            name: name.unwrap_or(stem).to_owned(),
            summary: summary.map(str::to_owned),
            run: model(Json::Object(run)),
            cluster: model(Json::Object(cluster)),
            strategies: std::mem::take(&mut self.parameters),
            network: model(Json::Object(network)),
            steps: steps.unwrap_or_default(),
            expectations: expectations.unwrap_or_default(),
        }
    }

    pub(super) fn schema(&mut self, value: &Value<'_>) -> Option<i64> {
        let found = self.integer(value, i64::MIN, i64::MAX)?;
        if found != SCHEMA {
            let at = self.label(value.span());
            self.report(Problem::UnknownSchema { found, at });
        }
        Some(found)
    }

    /// Every step, in the order of the file. What cannot be read is left out, and reported.
    fn steps(&mut self, value: &'t Value<'t>) -> Vec<Step> {
        let is_step = |step: &&Value<'_>| step.get_ref().get("left_out").is_none();
        let listed = value.get_ref().as_array();
        let count = listed.map_or(0, |steps| steps.iter().filter(is_step).count());
        if count > STEPS_MAX {
            let at = self.label(value.span());
            self.report(Problem::TooManySteps { count, at });
            return Vec::new();
        }
        let mut steps = Vec::with_capacity(count);
        self.each_table(value, &STEP, |reader, table| {
            let mut spots = Spots::new(reader.label(table.span()));
            reader.repetition(table);
            if let Some(tree) = reader.fields(table, &mut spots) {
                let mut step: Step = model(tree);
                step.line = reader.text.line(table.span().start);
                steps.push(step);
                reader.sites.steps.push(spots);
                return;
            }
            // Without knowing what it does, nobody knows who runs after it.
            let harmless = STEP.keys.iter().any(|key| {
                let moves_life = if let Kind::Table(shape) = key.kind {
                    std::ptr::eq(shape, &LIFE) || std::ptr::eq(shape, &RESTART)
                } else {
                    STEP.choice(key.name).is_none()
                };
                !moves_life && table.get(key.name).is_some()
            });
            reader.sites.unread |= !harmless;
        });
        steps
    }

    /// Reports a repetition without an end, or with two, and an end of no repetition.
    fn repetition(&mut self, table: &Table<'t>) {
        let label = |reader: &Self, key: &str| reader.label(table.key_span(key));
        let ends = ["times", "until"].map(|end| table.get(end).is_some());
        let problem = match (table.get("every").is_some(), ends) {
            (true, [false, false]) => Problem::NoEnd {
                at: label(self, "every"),
            },
            (_, [true, true]) => Problem::SeveralChoices {
                table: table.shape.name,
                first: "times",
                second: "until",
                first_at: label(self, "times"),
                at: label(self, "until"),
            },
            (false, [true, false] | [false, true]) => {
                let end = if ends[0] { "times" } else { "until" };
                Problem::MissingKey {
                    key: "every",
                    table: table.shape.name,
                    at: label(self, end),
                    help: Some(format!("`{end}` is the end of a repetition")),
                }
            }
            (true, [true, false] | [false, true]) | (false, [false, false]) => return,
        };
        self.report(problem);
    }

    /// Every expectation, in the order of the file. What cannot be read is left out, and reported.
    fn expectations(&mut self, value: &'t Value<'t>) -> Vec<Expectation> {
        let mut expectations = Vec::new();
        self.each_table(value, &EXPECT, |reader, table| {
            let mut spots = Spots::new(reader.label(table.span()));
            if !reader.instants(table) {
                return;
            }
            if let Some(tree) = reader.fields(table, &mut spots) {
                let mut expectation: Expectation = model(tree);
                expectation.line = reader.text.line(table.span().start);
                expectations.push(expectation);
                reader.sites.expectations.push(spots);
            }
        });
        expectations
    }

    /// Reports a claim about a state without its instants, or with several of them.
    fn instants(&mut self, table: &Table<'t>) -> bool {
        const KEYS: [&str; 3] = ["at", "during", "by"];
        let mut given = KEYS.into_iter().filter(|key| table.get(key).is_some());
        let (first, second) = (given.next(), given.next());
        let label = |reader: &Self, key: &str| reader.label(table.key_span(key));
        if let (Some(first), Some(second)) = (first, second) {
            self.report(Problem::SeveralChoices {
                table: table.shape.name,
                first,
                second,
                first_at: label(self, first),
                at: label(self, second),
            });
            return false;
        }
        let needs = |tag: &&str| {
            let keys = EXPECT.choice(tag).unwrap_or_default();
            keys.contains(&"at") && *tag != "owners" && table.get(tag).is_some()
        };
        let mut tags = EXPECT.choices.iter().map(|keys| keys[0]);
        if first.is_none() && tags.any(|tag| needs(&tag)) {
            self.report(Problem::MissingKey {
                key: "at",
                table: table.shape.name,
                at: self.label(table.span()),
                help: Some(
                    "an instant; or a range, `during`; or the latest instant, `by`".to_owned(),
                ),
            });
            return false;
        }
        true
    }

    /// `"0..200"`.
    pub(super) fn seeds(&mut self, value: &'t Value<'t>) -> Option<Range<u64>> {
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

    pub(super) fn strategies(&mut self, value: &'t Value<'t>) -> Option<Json> {
        let DeValue::Array(elements) = value.get_ref() else {
            self.wrong_type(value, "a list of strategies", None);
            return None;
        };
        self.not_empty(value, "strategies");
        let mut names: Vec<&str> = Vec::new();
        for element in elements.iter() {
            let Some(name) = self.strategy(element) else {
                continue;
            };
            if names.contains(&name) {
                self.repeated(name, element);
            } else {
                names.push(name);
            }
        }
        Some(json!(names))
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

    /// The name of a program of the catalog.
    pub(super) fn program(&mut self, value: &'t Value<'t>) -> Option<&'t str> {
        let name = self.text_as(value, "the name of a program")?;
        if self.catalog.program(name).is_some() {
            return Some(name);
        }
        let at = self.label(value.span());
        let help = suggest::help(name, self.catalog.programs())
            .or_else(|| Some("this catalog has none: `Catalog::with_program` adds one".to_owned()));
        self.report(Problem::UnknownProgram {
            name: suggest::shown(name),
            at,
            help,
        });
        None
    }

    pub(super) fn oracle(&mut self, value: &'t Value<'t>) -> Option<&'t str> {
        let name = self.text_as(value, "the name of an oracle")?;
        if self.catalog.oracle(name).is_some() {
            return Some(name);
        }
        let at = self.label(value.span());
        let help = suggest::help(name, self.catalog.oracle_names());
        self.report(Problem::UnknownOracle {
            name: suggest::shown(name),
            at,
            help,
        });
        None
    }

    pub(super) fn metric(&mut self, value: &'t Value<'t>) -> Option<&'t str> {
        let DeValue::String(name) = value.get_ref() else {
            self.wrong_type(value, "the name of a metric", None);
            return None;
        };
        if let Some(reason) = name.strip_prefix(DROPPED_BY_REASON) {
            let reasons: Vec<String> = DropReason::ALL.into_iter().map(DropReason::key).collect();
            if reasons.iter().any(|known| known == reason) {
                return Some(name);
            }
            let at = self.label(value.span());
            self.report(Problem::UnknownMetric {
                name: suggest::shown(name),
                at,
                help: suggest::help(reason, reasons.iter().map(String::as_str)),
            });
            return None;
        }
        let (base, kind) = name
            .split_once('.')
            .map_or((name.as_ref(), None), |(base, kind)| (base, Some(kind)));
        let metric = self.catalog.metric(base);
        let is_known = self.catalog.metric(name).is_some()
            || kind.is_some_and(|kind| !kind.is_empty() && metric.is_some_and(Metric::is_per_kind));
        if is_known {
            return Some(name);
        }
        let at = self.label(value.span());
        let help = if metric.is_some() {
            Some(format!("`{base}` does not exist per kind of message"))
        } else {
            let metrics = self.catalog.metrics().iter();
            suggest::help(base, metrics.map(|metric| metric.name))
        };
        self.report(Problem::UnknownMetric {
            name: suggest::shown(name),
            at,
            help,
        });
        None
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

    pub(super) fn parameters(&mut self, value: &'t Value<'t>) -> Option<Json> {
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong_type(value, "a table for each strategy", None);
            return None;
        };
        let mut all = Map::new();
        for (name, value) in entries {
            if name.get_ref() == EVERY_STRATEGY {
                continue;
            }
            if self.catalog.get(name.get_ref()).is_none() {
                self.unknown_strategy(name.get_ref(), name.span());
            } else if let Some(parameters) = self
                .parameters_of(name.get_ref(), value)
                .filter(|parameters| !parameters.is_empty())
            {
                all.insert(name.get_ref().to_string(), Json::Object(parameters));
            }
        }
        let of_every = entries.iter();
        let mut of_every = of_every.filter(|(name, _)| name.get_ref() == EVERY_STRATEGY);
        if let Some((_, value)) = of_every.next() {
            self.parameters_of_every(value, &mut all);
        }
        Some(Json::Object(all))
    }

    /// `[strategy."*"]`: each parameter for every strategy that has it and states none of its own.
    fn parameters_of_every(&mut self, value: &'t Value<'t>, all: &mut Map<String, Json>) {
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong_type(value, "a table of parameters", None);
            return;
        };
        let catalog = self.catalog;
        for (key, value) in entries {
            let key_text = key.get_ref().as_ref();
            let has = |entry: &&dyn CatalogEntry| entry.defaults().contains_key(key_text);
            let mut with = catalog.entries().filter(has).peekable();
            if with.peek().is_none() {
                let known = catalog.entries().flat_map(|entry| entry.defaults());
                let known: BTreeSet<String> = known.map(|(key, _)| key).collect();
                let help = suggest::help(key_text, known.iter().map(String::as_str));
                let at = self.label(key.span());
                self.report(Problem::UnknownKey {
                    key: suggest::shown(key_text),
                    table: "[strategy.\"*\"]".to_owned(),
                    at,
                    help,
                });
                continue;
            }
            for entry in with {
                let own = all.entry(entry.name()).or_insert_with(|| json!({}));
                let Some(own) = own
                    .as_object_mut()
                    .filter(|own| !own.contains_key(key_text))
                else {
                    continue;
                };
                let checked = parameter(entry, key_text, value.get_ref());
                match checked {
                    Ok(json) => drop(own.insert(key_text.to_owned(), json)),
                    Err(reason) => {
                        self.bad_parameter(EVERY_STRATEGY, key_text, reason, value.span());
                        break;
                    }
                }
            }
        }
        all.retain(|_, own| own.as_object().is_some_and(|own| !own.is_empty()));
    }

    /// The parameters of one strategy: each on its own, then all of them together, those of `[strategy]`
    /// below those of some nodes.
    pub(super) fn parameters_of(
        &mut self,
        name: &str,
        value: &'t Value<'t>,
    ) -> Option<Map<String, Json>> {
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
            let checked = parameter(entry, key_text, value.get_ref());
            match checked {
                Ok(json) => drop(parameters.insert(key_text.to_owned(), json)),
                Err(reason) => {
                    all_right = false;
                    self.bad_parameter(name, key_text, reason, value.span());
                }
            }
        }
        let mut together = self.parameters.get(name).cloned().unwrap_or_default();
        together.extend(parameters.clone());
        if all_right && let Err(error) = entry.configure(&together) {
            let span = entries
                .get(error.key.as_str())
                .map_or_else(|| value.span(), toml::Spanned::span);
            self.bad_parameter(name, &error.key, error.reason, span);
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

/// A parameter of a strategy as JSON, or the reason why it is none.
fn parameter(entry: &dyn CatalogEntry, key: &str, value: &DeValue<'_>) -> Result<Json, String> {
    let json = json(value, PARAMETER_DEPTH_MAX).map_err(|error| error.to_string())?;
    match entry.check_key(key, &json) {
        Ok(()) => Ok(json),
        Err(error) => Err(error.reason),
    }
}

/// Why a TOML value has no JSON.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoJson(&'static str);

/// A TOML value as JSON.
fn json(value: &DeValue<'_>, depth: usize) -> Result<Json, NoJson> {
    let deeper = || depth.checked_sub(1).ok_or(NoJson("it is nested too deep"));
    match value {
        DeValue::String(text) => Ok(Json::String(text.clone().into_owned())),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map(Json::from)
            .map_err(|_| NoJson("the integer is too large")),
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map(Json::Number)
            .ok_or(NoJson("it is not a finite number")),
        DeValue::Boolean(boolean) => Ok(Json::Bool(*boolean)),
        DeValue::Datetime(_) => Err(NoJson("no parameter is a date; put it in quotes")),
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
