//! The JSON Schema of scenario files, for editors, from the same declaration as the reader.

use serde_json::{Map, Value as Json, json};

use super::read::NODES_MAX;
use super::shape::{EVERY, FILE, Kind, RANDOM, Shape};
use crate::catalog::Catalog;
use crate::metric::Metric;

const DURATION: &str = r"[0-9]+(\.[0-9]+)?(us|ms|s|m|h)";

/// The JSON Schema (draft 2020-12) of scenario files, with the parameters of the catalog's
/// strategies.
#[must_use]
pub fn json_schema(catalog: &Catalog) -> Json {
    let head = [
        (
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        ),
        ("title".to_owned(), json!("hublab scenario")),
        (
            "description".to_owned(),
            json!("A scripted cluster, and what must hold in it."),
        ),
    ];
    Json::Object(head.into_iter().chain(shape(&FILE, catalog)).collect())
}

fn shape(shape: &Shape, catalog: &Catalog) -> Map<String, Json> {
    let mut properties = Map::new();
    for key in shape.keys {
        let mut property = value(&key.kind, catalog);
        property.insert("description".to_owned(), json!(key.doc));
        if let Some(default) = key.default.and_then(default_json) {
            property.insert("default".to_owned(), default);
        }
        properties.insert(key.name.to_owned(), Json::Object(property));
    }
    let required: Vec<&str> = shape
        .keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let mut table = object(
        json!({ "type": "object", "properties": properties, "additionalProperties": false }),
    );
    if !required.is_empty() {
        table.insert("required".to_owned(), json!(required));
    }
    if !shape.choices.is_empty() {
        table.insert("oneOf".to_owned(), choices(shape));
    }
    table
}

/// The keys of a JSON object; none of another value.
fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(map) => map,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            Map::new()
        }
    }
}

/// Each alternative: its keys, and none of those of the others.
fn choices(shape: &Shape) -> Json {
    let alternative = |keys: &&[&str]| {
        let may_be_absent = |key: &&str| {
            let key = shape.key(key);
            key.is_some_and(|key| key.default.is_some() || key.may_be_absent)
        };
        let mut others: Vec<&str> = shape
            .choices
            .iter()
            .copied()
            .flatten()
            .copied()
            .filter(|key| !keys.contains(key))
            .collect();
        others.sort_unstable();
        others.dedup();
        let others: Vec<Json> = others
            .into_iter()
            .map(|key| json!({ "required": [key] }))
            .collect();
        let needed = keys.iter().filter(|key| !may_be_absent(key));
        let mut alternative =
            json!({ "required": needed.collect::<Vec<_>>(), "not": { "anyOf": others } });
        if keys.contains(&"at") && keys[0] != "owners" {
            let instants = ["at", "during", "by"].map(|key| json!({ "required": [key] }));
            alternative["oneOf"] = json!(instants);
        }
        alternative
    };
    shape.choices.iter().map(alternative).collect()
}

/// The default of a key, which is TOML text, as JSON.
fn default_json(default: &str) -> Option<Json> {
    let table: toml::Table = format!("value = {default}").parse().ok()?;
    serde_json::to_value(table.get("value")?).ok()
}

fn value(kind: &Kind, catalog: &Catalog) -> Map<String, Json> {
    let duration = || json!({ "type": "string", "pattern": format!("^{DURATION}$") });
    let nodes = || {
        json!({
            "anyOf": [
                { "const": "all" },
                { "type": "string", "pattern": "^@" },
                { "type": "array", "items": { "type": "string" } },
            ],
        })
    };
    let name = || json!({ "type": "string", "minLength": 1, "maxLength": 256 });
    let names = |min: u64| json!({ "type": "array", "items": name(), "uniqueItems": true, "minItems": min });
    let texts = || json!({ "type": "object", "additionalProperties": { "type": "string" } });
    object(match kind {
        Kind::Schema => json!({ "type": "integer", "const": 1 }),
        Kind::Text | Kind::Node | Kind::NodeName => json!({ "type": "string" }),
        Kind::Name | Kind::Child => name(),
        Kind::Children => names(0),
        Kind::SomeChildren | Kind::NodeList => names(1),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::True => json!({ "const": true }),
        Kind::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Rate => json!({ "type": "integer", "minimum": 0 }),
        Kind::NodeCount => json!({ "type": "integer", "minimum": 1, "maximum": NODES_MAX }),
        Kind::Probability => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Kind::Duration | Kind::Positive => duration(),
        Kind::When => {
            json!({ "type": "string", "pattern": format!(r"^{DURATION}(\.\.{DURATION})?$") })
        }
        Kind::Jump => json!({ "type": "string", "pattern": format!("^[+-]?{DURATION}$") }),
        Kind::DurationOr(_, words) => json!({ "anyOf": [{ "enum": words }, duration()] }),
        Kind::Seeds => json!({ "type": "string", "pattern": r"^[0-9]+\.\.[0-9]+$" }),
        Kind::Nodes | Kind::SomeNodes | Kind::Observers | Kind::NodeNames => nodes(),
        Kind::NodesOr(_, words) => json!({ "anyOf": [{ "enum": words }, nodes()] }),
        Kind::StepNodes | Kind::SomeStepNodes => {
            json!({ "anyOf": [nodes(), shape(&RANDOM, catalog)] })
        }
        Kind::OnNodes => {
            json!({ "anyOf": [{ "type": "string" }, nodes(), shape(&RANDOM, catalog)] })
        }
        Kind::Subjects => json!({ "anyOf": [{ "type": "string" }, nodes()] }),
        Kind::Window => {
            json!({ "type": "string", "pattern": format!(r"^{DURATION}(\.\.{DURATION})?$") })
        }
        Kind::Zones => json!({ "type": "object", "additionalProperties": nodes() }),
        Kind::Every => json!({ "anyOf": [duration(), shape(&EVERY, catalog)] }),
        Kind::Groups => {
            json!({ "type": "array", "items": { "anyOf": [nodes(), { "const": "rest" }] }, "minItems": 1 })
        }
        Kind::Word(_, words) => json!({ "enum": words }),
        Kind::SomeWords(_, words) => {
            json!({ "type": "array", "items": { "enum": words }, "minItems": 1, "uniqueItems": true })
        }
        Kind::Oracle => json!({ "enum": catalog.oracle_names().collect::<Vec<_>>() }),
        Kind::Metric => metric(catalog.metrics()),
        // A list of no words is no schema.
        Kind::Program if catalog.programs().next().is_none() => json!({ "type": "string" }),
        Kind::Program => json!({ "enum": catalog.programs().collect::<Vec<_>>() }),
        Kind::Strategy => json!({ "enum": catalog.names() }),
        Kind::Strategies => {
            json!({ "type": "array", "items": { "enum": catalog.names() }, "minItems": 1, "uniqueItems": true })
        }
        Kind::Parameters => return parameters(catalog),
        Kind::Durations => {
            json!({ "type": "array", "items": duration(), "minItems": 2, "maxItems": 2 })
        }
        Kind::Paths => {
            json!({ "type": "array", "items": { "type": "string" }, "minItems": 1, "uniqueItems": true })
        }
        Kind::Texts | Kind::NodeTexts => texts(),
        Kind::Table(table) => return shape(table, catalog),
        Kind::Tables(table) => json!({ "type": "array", "items": shape(table, catalog) }),
        Kind::SomeTables(_, table) => {
            json!({ "type": "array", "items": shape(table, catalog), "minItems": 1 })
        }
    })
}

fn metric(metrics: &[Metric]) -> Json {
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name).collect();
    let per_kind = metrics.iter().filter(|metric| metric.is_per_kind());
    let per_kind: Vec<&str> = per_kind.map(|metric| metric.name).collect();
    let pattern = format!(r"^({})\..+$", per_kind.join("|"));
    json!({ "anyOf": [{ "enum": names }, { "type": "string", "pattern": pattern }] })
}

/// The tables of parameters, as the catalog declares them: each a schema of its own, so that it
/// can refer to definitions of its own.
fn parameters(catalog: &Catalog) -> Map<String, Json> {
    let mut properties = Map::new();
    for entry in catalog.entries() {
        let mut parameters = object(entry.config_schema());
        parameters.insert(
            "$id".to_owned(),
            json!(format!("urn:hublab:strategy:{}", entry.name())),
        );
        parameters.insert("additionalProperties".to_owned(), json!(false));
        parameters.insert("description".to_owned(), json!(entry.summary()));
        properties.insert(entry.name().to_owned(), Json::Object(parameters));
    }
    properties.insert("*".to_owned(), json!({ "type": "object" }));
    object(json!({ "type": "object", "properties": properties, "additionalProperties": false }))
}
