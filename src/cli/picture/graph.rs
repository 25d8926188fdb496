//! One event, what led to it, and what came of it, as a graph for Graphviz.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use hublab_sim::model::NodeIx;
use hublab_sim::trace::event::{EventId, WORLD};
use hublab_sim::trace::{Event, Names};

/// How many events a graph has at most: the causes, then the effects, the earliest first.
pub(in crate::cli) const GRAPH_MAX: usize = 500;

/// Collects the events around one.
#[derive(Debug)]
pub(in crate::cli) struct Graph {
    event: EventId,
    /// Those that led to it, and it itself.
    causes: BTreeMap<EventId, Event>,
    effects: Vec<Event>,
    caused: BTreeSet<EventId>,
    left_out: u64,
}

impl Graph {
    /// A graph around the last of `causes`, which are the chain of events that led to it.
    pub(in crate::cli) fn new(event: EventId, causes: Vec<Event>) -> Self {
        Self {
            event,
            causes: causes.into_iter().map(|event| (event.id, event)).collect(),
            effects: Vec::new(),
            caused: BTreeSet::from([event]),
            left_out: 0,
        }
    }

    /// Takes in the next event of the trace.
    pub(in crate::cli) fn event(&mut self, event: &Event) {
        if event.id <= self.event || !self.caused.contains(&event.cause) {
            return;
        }
        if self.causes.len() + self.effects.len() >= GRAPH_MAX {
            self.left_out += 1;
            return;
        }
        self.caused.insert(event.id);
        self.effects.push(event.clone());
    }

    /// The file: a box per event in its node's cluster.
    pub(in crate::cli) fn dot(&self, names: &Names) -> String {
        let mut text = String::from(
            "digraph causes {\n  rankdir = LR;\n  node [shape = box, fontname = \"Helvetica\", fontsize = 10];\n",
        );
        let events = || self.causes.values().chain(&self.effects);
        let nodes: BTreeSet<NodeIx> = events().map(|event| event.node).collect();
        for node in nodes {
            let name = match node {
                WORLD => "script",
                node => names.node(node).unwrap_or("?"),
            };
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "  subgraph cluster_{node} {{\n    label = {};",
                quoted(name)
            );
            for event in events().filter(|event| event.node == node) {
                let style = if event.id == self.event {
                    ", penwidth = 2"
                } else {
                    ""
                };
                let label = quoted(&names.line(event));
                let _ = writeln!(text, "    e{} [label = {label}{style}];", event.id);
            }
            text.push_str("  }\n");
        }
        let known: BTreeSet<EventId> = events().map(|event| event.id).collect();
        for event in events().filter(|event| known.contains(&event.cause)) {
            let _ = writeln!(text, "  e{} -> e{};", event.cause, event.id);
        }
        if self.left_out > 0 {
            let label = quoted(&format!("{} more effects are left out", self.left_out));
            let _ = writeln!(text, "  label = {label};");
        }
        text.push_str("}\n");
        text
    }
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{text}\"")
}
