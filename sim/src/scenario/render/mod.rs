//! Scenarios as text: files that a person could have written, and that read back as what they
//! were written from.

mod step;
mod toml;

use std::time::Duration;

use hublab_strategies::time::format_duration;
use hublab_strategies::{NodeId, Time};
use serde_json::Value as Json;

use self::toml::{Pairs, list, quoted};
use crate::model::{Cluster, Latency, LinkParams, Network, NodeIx, Order, Run, Scenario, Step};

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
    let full = style == Style::Full;
    let nodes = Nodes {
        names: &scenario.cluster.nodes,
        spans: true,
    };
    let mut out = String::new();
    Pairs::default()
        .put("schema", "1")
        .put("name", quoted(&scenario.name))
        .may("summary", scenario.summary.as_deref().map(quoted))
        .table("", &mut out);
    run(&scenario.run, full).table("[run]", &mut out);
    cluster(&scenario.cluster, nodes, full).table("[cluster]", &mut out);
    for (name, parameters) in &scenario.strategies {
        let pairs = parameters
            .iter()
            .fold(Pairs::default(), |pairs, (key, value)| {
                pairs.may(key, json(value))
            });
        pairs.table(&format!("[strategy.{name}]"), &mut out);
    }
    network(&scenario.network, full).table("[network]", &mut out);
    for link in &scenario.network.links {
        step::link(link, nodes).table("[[network.link]]", &mut out);
    }
    for step in &scenario.steps {
        let (key, value) = step::action(&step.action, nodes, full);
        Pairs::default()
            .put("at", step::when(step.at))
            .put(key, value)
            .table("[[step]]", &mut out);
    }
    for expectation in &scenario.expectations {
        step::expectation(expectation, nodes, full).table("[[expect]]", &mut out);
    }
    out
}

/// A step as one line, nodes named one by one: its name for the streams of the script, which a
/// node added to the file does not change.
#[must_use]
pub fn step_line(step: &Step, nodes: &[NodeId]) -> String {
    let (key, value) = step::action(
        &step.action,
        Nodes {
            names: nodes,
            spans: false,
        },
        true,
    );
    Pairs::default()
        .put("at", step::when(step.at))
        .put(key, value)
        .inline()
}

/// A duration in quotes.
fn duration(duration: Duration) -> String {
    quoted(&duration_text(duration))
}

/// A duration as people write it: `13.759157s`, and not `13759157us`.
fn duration_text(duration: Duration) -> String {
    let text = format_duration(duration);
    let long_for = |unit, least| text.ends_with(unit) && duration >= Duration::from_secs(least);
    if long_for("us", 1) || long_for("ms", 10) {
        Time::ZERO.after(duration).to_string()
    } else {
        text
    }
}

/// An integer; the format ends at `i64::MAX`.
fn integer(value: u64) -> String {
    value.min(i64::MAX.unsigned_abs()).to_string()
}

fn run(run: &Run, full: bool) -> Pairs {
    Pairs::default()
        .put("duration", duration(run.duration))
        .unless("seed", integer(run.seed), run.seed == 1 && !full)
        .unless(
            "seeds",
            quoted(&format!("{}..{}", run.seeds.start, run.seeds.end)),
            run.seeds == (0..200) && !full,
        )
        .put(
            "strategies",
            list(run.strategies.iter().map(|name| quoted(name))),
        )
}

fn cluster(cluster: &Cluster, nodes: Nodes<'_>, full: bool) -> Pairs {
    let default = Cluster::default();
    let numbered = cluster
        .nodes
        .iter()
        .zip(1..)
        .all(|(name, number)| name.as_str() == format!("n{number}"));
    let all = cluster
        .start
        .iter()
        .copied()
        .eq((0..).take(cluster.nodes.len()));
    let names = || list(cluster.nodes.iter().map(|name| quoted(name.as_str())));
    let pairs = if numbered {
        Pairs::default().put("nodes", cluster.nodes.len().to_string())
    } else {
        Pairs::default().put("names", names())
    };
    let times = [
        (
            "discovery_interval",
            cluster.discovery_interval,
            default.discovery_interval,
        ),
        (
            "join_debounce",
            cluster.join_debounce,
            default.join_debounce,
        ),
        ("down_after", cluster.down_after, default.down_after),
        (
            "crash_detected_after",
            cluster.crash_detected_after,
            default.crash_detected_after,
        ),
    ];
    let pairs = pairs.unless("start", nodes.list(&cluster.start), all && !full);
    let pairs = times
        .into_iter()
        .fold(pairs, |pairs, (key, value, default)| {
            pairs.unless(key, duration(value), value == default && !full)
        });
    let spread = cluster.down_spread;
    pairs.unless(
        "down_spread",
        format!("{spread:?}"),
        spread == default.down_spread && !full,
    )
}

fn network(network: &Network, full: bool) -> Pairs {
    let Network {
        base: default,
        send_gap,
        service_time,
        ..
    } = Network::default();
    let LinkParams {
        latency: law,
        loss,
        duplicate,
        order: kept,
        bytes_per_second,
    } = network.base;
    Pairs::default()
        .unless("latency", latency(law), law == default.latency && !full)
        .unless("loss", format!("{loss:?}"), loss == default.loss && !full)
        .unless(
            "duplicate",
            format!("{duplicate:?}"),
            duplicate == default.duplicate && !full,
        )
        .unless("order", order(kept), kept == default.order && !full)
        .unless(
            "send_gap",
            duration(network.send_gap),
            network.send_gap == send_gap && !full,
        )
        .unless(
            "bytes_per_second",
            integer(bytes_per_second),
            bytes_per_second == default.bytes_per_second && !full,
        )
        .unless(
            "service_time",
            duration(network.service_time),
            network.service_time == service_time && !full,
        )
}

fn latency(law: Latency) -> String {
    let (key, value) = match law {
        Latency::Constant(value) => ("constant", duration(value)),
        Latency::Uniform(low, high) => ("uniform", list([duration(low), duration(high)])),
        Latency::Exponential { min, mean } => (
            "exponential",
            Pairs::default()
                .put("min", duration(min))
                .put("mean", duration(mean))
                .inline(),
        ),
        Latency::Lognormal { median, p99 } => (
            "lognormal",
            Pairs::default()
                .put("median", duration(median))
                .put("p99", duration(p99))
                .inline(),
        ),
        Latency::Bimodal {
            fast,
            slow,
            slow_share,
        } => {
            let pairs = Pairs::default()
                .put("fast", duration(fast))
                .put("slow", duration(slow));
            (
                "bimodal",
                pairs.put("slow_share", format!("{slow_share:?}")).inline(),
            )
        }
    };
    Pairs::default().put(key, value).inline()
}

fn order(order: Order) -> String {
    quoted(match order {
        Order::Fifo => "fifo",
        Order::Any => "any",
    })
}

/// A parameter of a strategy; TOML has no null, and a parameter that is null is absent.
fn json(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::Bool(boolean) => Some(boolean.to_string()),
        Json::Number(number) => Some(number.to_string()),
        Json::String(text) => Some(quoted(text)),
        Json::Array(values) => Some(list(values.iter().filter_map(json))),
        Json::Object(map) => Some(
            map.iter()
                .fold(Pairs::default(), |pairs, (key, value)| {
                    pairs.may(key, json(value))
                })
                .inline(),
        ),
    }
}

/// The names of the nodes, and whether lists are shortened to spans.
#[derive(Debug, Clone, Copy)]
struct Nodes<'s> {
    names: &'s [NodeId],
    spans: bool,
}

impl Nodes<'_> {
    /// The shortest run of neighbours that becomes a span.
    const SPAN_MIN: usize = 3;

    fn text(&self, node: NodeIx) -> &str {
        self.names.get(node as usize).map_or("", NodeId::as_str)
    }

    fn name(&self, node: NodeIx) -> String {
        quoted(self.text(node))
    }

    fn list(&self, nodes: &[NodeIx]) -> String {
        if !self.spans {
            return list(nodes.iter().map(|node| self.name(*node)));
        }
        let runs = nodes.chunk_by(|left, right| left + 1 == *right);
        list(runs.flat_map(|run| match run {
            [first, .., last] if run.len() >= Self::SPAN_MIN => {
                vec![quoted(&format!(
                    "{}..{}",
                    self.text(*first),
                    self.text(*last)
                ))]
            }
            _ => run.iter().map(|node| self.name(*node)).collect(),
        }))
    }
}
