//! Scenarios as text: files that a person could have written, and that read back as what they
//! were written from.

mod plan;
mod toml;

use std::time::Duration;

use hublab_strategies::time::format_duration;
use hublab_strategies::{NodeId, Time};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use self::toml::{Pairs, list, quoted};
use super::read::{is_default, numbered};
use super::shape::{
    CHANGE, CLUSTER, EXPECT, Key, Kind, NETWORK, NODES_FIELD, RUN, STEP, Shape, TIME_FIELD,
};
use crate::model::{Change, NodeIx, Scenario};

pub use plan::render_plan;

/// How much a rendered file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Only what differs from the defaults.
    Brief,
    /// Every value, defaults too; what `explain` prints.
    Full,
}

/// A scenario as a file. Reading the file gives the scenario again, but for the line numbers.
#[must_use]
pub fn render(scenario: &Scenario, style: Style) -> String {
    let renderer = Renderer {
        names: &scenario.cluster.nodes,
        full: style == Style::Full,
    };
    let mut out = String::new();
    Pairs::default()
        .put("schema", "1")
        .may("resolved", renderer.full.then(|| "true".to_owned()))
        .put("name", quoted(&scenario.name))
        .may("summary", scenario.summary.as_deref().map(quoted))
        .table("", &mut out);
    renderer
        .pairs(tree(&scenario.run), &RUN)
        .table("[run]", &mut out);
    renderer.section(renderer.cluster(scenario), &CLUSTER, "cluster", &mut out);
    for (name, parameters) in &scenario.strategies {
        parameters_of(parameters).table(&format!("[strategy.{name}]"), &mut out);
    }
    renderer.section(tree(&scenario.network), &NETWORK, "network", &mut out);
    for step in &scenario.steps {
        renderer
            .pairs(tree(step), &STEP)
            .table("[[step]]", &mut out);
    }
    for expectation in &scenario.expectations {
        renderer
            .pairs(tree(expectation), &EXPECT)
            .table("[[expect]]", &mut out);
    }
    out
}

/// A change of a run of a scenario, as the element of `[run] changes` that it is.
#[must_use]
pub fn render_change(scenario: &Scenario, change: &Change) -> String {
    let renderer = Renderer {
        names: &scenario.cluster.nodes,
        full: false,
    };
    renderer.pairs(tree(change), &CHANGE).inline()
}

/// A part of a scenario as a tree.
pub(super) fn tree<T: Serialize>(part: &T) -> Json {
    serde_json::to_value(part).expect("texts, numbers, lists and tables have a tree")
}

/// A duration as people write it: `13.759157s`, and not `13759157us`.
fn duration(us: &Json) -> String {
    let us = us.as_u64().unwrap_or_default();
    let duration = Duration::from_micros(us);
    let text = format_duration(duration);
    let long_for = |unit, least| text.ends_with(unit) && duration >= Duration::from_secs(least);
    if long_for("us", 1) || long_for("ms", 10) {
        Time(us).to_string()
    } else {
        text
    }
}

/// The parameters of a strategy.
fn parameters_of(parameters: &Map<String, Json>) -> Pairs {
    let pairs = Pairs::default();
    parameters
        .iter()
        .fold(pairs, |pairs, (key, value)| pairs.may(key, plain(value)))
}

/// A value that is no part of the format; TOML has no null, and what is null is absent.
fn plain(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::Bool(boolean) => Some(boolean.to_string()),
        Json::Number(number) => Some(number.to_string()),
        Json::String(text) => Some(quoted(text)),
        Json::Array(values) => Some(list(values.iter().filter_map(plain))),
        Json::Object(map) => Some(parameters_of(map).inline()),
    }
}

/// The elements of a list.
fn elements(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

struct Renderer<'s> {
    names: &'s [NodeId],
    full: bool,
}

impl Renderer<'_> {
    /// The shortest run of neighbours that becomes a span.
    const SPAN_MIN: usize = 3;

    /// A table of the file, and after it the tables of its lists, as `[[name.key]]`.
    fn section(&self, mut tree: Json, shape: &'static Shape, name: &str, out: &mut String) {
        let mut lists = Vec::new();
        for key in shape.keys {
            if let Kind::Tables(inner) = key.kind {
                let list = tree
                    .as_object_mut()
                    .and_then(|table| table.remove(key.name));
                lists.push((key.name, inner, list));
            }
        }
        self.pairs(tree, shape).table(&format!("[{name}]"), out);
        for (key, inner, list) in lists {
            for table in list.iter().flat_map(elements) {
                let header = format!("[[{name}.{key}]]");
                self.pairs(table.clone(), inner).table(&header, out);
            }
        }
    }

    fn cluster(&self, scenario: &Scenario) -> Json {
        let mut table = tree(&scenario.cluster);
        let all = (0..).take(self.names.len());
        if !self.full
            && scenario.cluster.start.iter().copied().eq(all)
            && let Some(table) = table.as_object_mut()
        {
            table.remove("start");
        }
        table
    }

    /// The pairs of a table.
    fn pairs(&self, tree: Json, shape: &'static Shape) -> Pairs {
        let (fields, _) = shape.flat(tree);
        let says = |key: &&str| fields.contains_key(*key);
        let mut pairs = Pairs::default();
        for key in shape.keys {
            match fields.get(key.name) {
                None if shape.at_least_one.first() == Some(&key.name)
                    && !shape.at_least_one.iter().any(says) =>
                {
                    pairs = pairs.put(key.name, "[]");
                }
                None => {}
                Some(Json::Null) if !matches!(key.kind, Kind::True) => {}
                Some(value) if self.full || !is_default(key, value) => {
                    let (name, value) = self.pair(key, value);
                    pairs = pairs.put(name, value);
                }
                Some(_) => {}
            }
        }
        pairs
    }

    /// A key and its value; nodes that are numbered stand as their number.
    fn pair(&self, key: &'static Key, value: &Json) -> (&'static str, String) {
        if !matches!(key.kind, Kind::NodeCount) {
            return (key.name, self.value(&key.kind, value));
        }
        let numbered = self
            .names
            .iter()
            .zip(1..)
            .all(|(name, number)| name.as_str() == format!("n{number}"));
        if numbered {
            (key.name, self.names.len().to_string())
        } else {
            let names = self.names.iter().map(|name| quoted(name.as_str()));
            ("names", list(names))
        }
    }

    fn value(&self, kind: &'static Kind, value: &Json) -> String {
        match kind {
            Kind::Schema | Kind::NodeCount | Kind::Bool => value.to_string(),
            Kind::Text
            | Kind::Name
            | Kind::Child
            | Kind::NodeName
            | Kind::Word(..)
            | Kind::Oracle
            | Kind::Metric
            | Kind::Program
            | Kind::Strategy => quoted(text(value)),
            Kind::NodeNames | Kind::NodeList | Kind::Strategies | Kind::SomeWords(..) => {
                list(elements(value).iter().map(|name| quoted(text(name))))
            }
            Kind::Children | Kind::SomeChildren => children(elements(value)),
            Kind::True => "true".to_owned(),
            Kind::Integer(..) | Kind::Rate => {
                // The format ends at `i64::MAX`.
                let most = value
                    .as_u64()
                    .map(|number| number.min(i64::MAX.unsigned_abs()));
                most.map_or_else(|| value.to_string(), |number| number.to_string())
            }
            Kind::Probability => format!("{:?}", value.as_f64().unwrap_or_default()),
            Kind::Duration | Kind::Positive => quoted(&duration(value)),
            Kind::When => quoted(&when(value)),
            Kind::Jump => {
                let by = value.as_i64().unwrap_or_default();
                let sign = if by < 0 { "-" } else { "" };
                quoted(&format!("{sign}{}", duration(&by.unsigned_abs().into())))
            }
            Kind::DurationOr(..) => match value.get(TIME_FIELD) {
                Some(time) => quoted(&duration(time)),
                None => quoted(text(value)),
            },
            Kind::Durations => list(elements(value).iter().map(|end| quoted(&duration(end)))),
            Kind::Seeds => {
                let end = |name| value.get(name).and_then(Json::as_u64).unwrap_or_default();
                quoted(&format!("{}..{}", end("start"), end("end")))
            }
            Kind::Node => quoted(self.name(value)),
            Kind::Nodes | Kind::SomeNodes | Kind::Observers => self.nodes(elements(value)),
            Kind::StepNodes | Kind::SomeStepNodes => self.chosen(value),
            Kind::OnNodes | Kind::Subjects if value.is_number() => quoted(self.name(value)),
            Kind::OnNodes => self.chosen(value),
            Kind::Subjects => self.nodes(elements(value)),
            Kind::Window => match elements(value) {
                [from, to] => quoted(&format!("{}..{}", duration(from), duration(to))),
                _ => String::new(),
            },
            Kind::Zones => String::new(),
            Kind::Every => match (value.get("fixed"), value.get("mean")) {
                (Some(gap), _) => quoted(&duration(gap)),
                (None, mean) => {
                    let mean = quoted(&duration(mean.unwrap_or(&Json::Null)));
                    Pairs::default().put("mean", mean).inline()
                }
            },
            Kind::NodesOr(..) => match value.get(NODES_FIELD) {
                Some(nodes) => self.nodes(elements(nodes)),
                None => quoted(text(value)),
            },
            Kind::Groups => list(elements(value).iter().map(|group| match group.as_str() {
                Some(rest) => quoted(rest),
                None => self.nodes(elements(group)),
            })),
            Kind::Parameters | Kind::Paths | Kind::Texts | Kind::NodeTexts => {
                plain(value).unwrap_or_default()
            }
            Kind::Table(shape) => self.pairs(value.clone(), shape).inline(),
            Kind::Tables(shape) | Kind::SomeTables(_, shape) => {
                let tables = elements(value).iter();
                list(tables.map(|table| self.pairs(table.clone(), shape).inline()))
            }
        }
    }

    /// The name of a node that the tree has as a number.
    fn name(&self, node: &Json) -> &str {
        let place = node.as_u64().and_then(|node| usize::try_from(node).ok());
        place
            .and_then(|place| self.names.get(place))
            .map_or("", NodeId::as_str)
    }

    /// A list of nodes, or a choice of them.
    fn chosen(&self, value: &Json) -> String {
        match (value.get("random"), value.get("of")) {
            (Some(count), Some(of)) => Pairs::default()
                .put("random", count.to_string())
                .put("of", self.nodes(elements(of)))
                .inline(),
            (Some(_) | None, Some(_) | None) => self.nodes(elements(value)),
        }
    }

    fn nodes(&self, nodes: &[Json]) -> String {
        let ix = |node: &Json| node.as_u64().and_then(|node| NodeIx::try_from(node).ok());
        let runs = nodes.chunk_by(|left, right| ix(left).map(|left| left + 1) == ix(right));
        list(runs.flat_map(|run| span(run, |node| self.name(node))))
    }
}

/// Children, neighbours in numbers shortened to spans.
fn children(ids: &[Json]) -> String {
    let follows = |left: &Json, right: &Json| match (numbered(text(left)), numbered(text(right))) {
        (Some((left, number)), Some((right, next))) => {
            left == right && number.checked_add(1) == Some(next)
        }
        (Some(_) | None, Some(_) | None) => false,
    };
    list(ids.chunk_by(follows).flat_map(|run| span(run, text)))
}

/// A run of neighbours: a span if it is long enough.
fn span<'a>(run: &'a [Json], name: impl Fn(&'a Json) -> &'a str) -> Vec<String> {
    match run {
        [first, .., last] if run.len() >= Renderer::SPAN_MIN => {
            vec![quoted(&format!("{}..{}", name(first), name(last)))]
        }
        _ => run.iter().map(|one| quoted(name(one))).collect(),
    }
}

/// An instant, or a range of instants.
fn when(value: &Json) -> String {
    match (value.get("fixed"), value.get("between").map(elements)) {
        (Some(at), _) => duration(at),
        (None, Some([from, to])) => format!("{}..{}", duration(from), duration(to)),
        (None, Some(_) | None) => String::new(),
    }
}
