//! The kinds of values of a key.

use super::Shape;

/// The kind of a key's value.
#[derive(Debug)]
pub enum Kind {
    /// The version of the format: `1`.
    Schema,
    /// Any text.
    Text,
    /// A name: 1 to 256 characters, none of them a control character.
    Name,
    /// A child's id: a name without two dots in it.
    Child,
    /// A list of child ids, and of spans of them.
    Children,
    /// [`Self::Children`], not empty.
    SomeChildren,
    /// `true` or `false`.
    Bool,
    /// `true`.
    True,
    /// An integer.
    Integer(i64, i64),
    /// How much in a second: an integer from 0 on.
    Rate,
    /// A number from 0 to 1.
    Probability,
    /// A duration.
    Duration,
    /// A duration above 0.
    Positive,
    /// A duration, or a range of durations.
    When,
    /// A duration above 0, or the mean of drawn ones.
    Every,
    /// A duration with an optional sign.
    Jump,
    /// A duration, or one of these words, which messages call so.
    DurationOr(&'static str, &'static [&'static str]),
    /// Two durations, the first at most the second.
    Durations,
    /// A range of seeds.
    Seeds,
    /// A number of nodes, which declares them.
    NodeCount,
    /// A list of names, which declares nodes.
    NodeList,
    /// A node.
    Node,
    /// A node, in the tree by its name.
    NodeName,
    /// A list of nodes, or `"all"`.
    Nodes,
    /// [`Self::Nodes`], not empty.
    SomeNodes,
    /// The nodes of a step: [`Self::Nodes`], or a choice of them.
    StepNodes,
    /// [`Self::StepNodes`], not empty.
    SomeStepNodes,
    /// A node, or [`Self::SomeStepNodes`]: the action is done on each.
    OnNodes,
    /// A node, or a list of nodes, not empty: those that a claim is about.
    Subjects,
    /// Two instants, the first at most the second, as `"20s..170s"`.
    Window,
    /// A table from the name of a zone to its nodes; nothing in the tree.
    Zones,
    /// [`Self::SomeNodes`]; `"all"` is nothing in the tree.
    Observers,
    /// [`Self::Nodes`], in the tree by their names.
    NodeNames,
    /// A list of nodes, `"all"`, or one of these words, which messages call so.
    NodesOr(&'static str, &'static [&'static str]),
    /// Lists of nodes that share none; `"rest"` can be one of them.
    Groups,
    /// One of these words, which messages call so.
    Word(&'static str, &'static [&'static str]),
    /// A list of these words, not empty; messages call one, and several, so.
    SomeWords([&'static str; 2], &'static [&'static str]),
    /// The name of an oracle.
    Oracle,
    /// The name of a metric.
    Metric,
    /// The name of a program.
    Program,
    /// The name of a strategy.
    Strategy,
    /// A list of names of strategies.
    Strategies,
    /// The table with a table of parameters for each strategy.
    Parameters,
    /// A list of paths, not empty.
    Paths,
    /// A table of texts.
    Texts,
    /// A table from node to text.
    NodeTexts,
    /// A table.
    Table(&'static Shape),
    /// A list of tables.
    Tables(&'static Shape),
    /// [`Self::Tables`], not empty; messages call its elements so.
    SomeTables(&'static str, &'static Shape),
}

impl Kind {
    /// An example, as TOML text; see [`Key::example`](super::Key::example).
    pub(super) fn example(&self) -> &'static str {
        match self {
            Self::Schema | Self::Integer(..) => "1",
            Self::Text | Self::Name => "\"text\"",
            Self::Child => "\"web-1\"",
            Self::Children | Self::SomeChildren => "[\"web-1..web-3\"]",
            Self::Bool | Self::True => "true",
            Self::Rate => "1_000_000",
            Self::Probability => "0.05",
            Self::Duration | Self::Positive => "\"15s\"",
            Self::When => "\"1s..3s\"",
            Self::Every => "\"100ms\"",
            Self::Jump => "\"-90s\"",
            Self::Zones => "{ eu = [\"n1..n3\"] }",
            Self::DurationOr(..) => "\"30s\"",
            Self::Durations => "[\"1ms\", \"10ms\"]",
            Self::Seeds => "\"0..200\"",
            Self::NodeCount => "5",
            Self::NodeList => "[\"a\", \"b\", \"c\"]",
            Self::Node | Self::NodeName | Self::OnNodes | Self::Subjects => "\"n1\"",
            Self::Window => "\"20s..60s\"",
            Self::Nodes
            | Self::SomeNodes
            | Self::StepNodes
            | Self::SomeStepNodes
            | Self::Observers
            | Self::NodeNames => "[\"n1..n3\"]",
            Self::NodesOr(..) => "[\"n2\"]",
            Self::Groups => "[[\"n1\", \"n2\"], [\"n3..n5\"]]",
            Self::Word(_, words) => words.first().copied().unwrap_or_default(),
            Self::SomeWords(..) => "",
            Self::Oracle => "\"no_resurrection\"",
            Self::Metric => "\"messages_sent\"",
            Self::Program => "\"<program>\"",
            Self::Strategy => "\"<strategy>\"",
            Self::Strategies => "[\"<strategy>\"]",
            Self::Parameters => "{ <strategy> = { <parameter> } }",
            Self::Paths => "[\"steady.toml\"]",
            Self::Texts => "{ team = \"blue\" }",
            Self::NodeTexts => "{ n1 = \"p1\" }",
            Self::Table(_) | Self::Tables(_) | Self::SomeTables(..) => "",
        }
    }

    /// The kind in words, with its range and the words that it takes.
    #[must_use]
    pub fn words(&self) -> String {
        let listed = |words: &[&str]| {
            let quoted: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            quoted.join(", ")
        };
        match self {
            Self::Schema => "`1`".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Name => "name".to_owned(),
            Self::Child => "child id".to_owned(),
            Self::Children | Self::SomeChildren => "list of child ids and spans".to_owned(),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::True => "`true`".to_owned(),
            Self::Integer(min, i64::MAX) => format!("integer from {min} on"),
            Self::Integer(min, max) => format!("integer, {min} to {max}"),
            Self::Rate => "integer from 0 on, per second".to_owned(),
            Self::Probability => "number, 0 to 1".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::Positive => "duration above 0".to_owned(),
            Self::When => "duration, or range of durations".to_owned(),
            Self::Every => "duration above 0, or `{ mean = \"100ms\" }`".to_owned(),
            Self::Jump => "duration with an optional sign".to_owned(),
            Self::DurationOr(_, words) => format!("{}, or duration", listed(words)),
            Self::Durations => "two durations, the smaller first".to_owned(),
            Self::Seeds => "range of seeds".to_owned(),
            Self::NodeCount => "integer, 1 to 10000".to_owned(),
            Self::NodeList => "list of names".to_owned(),
            Self::Node | Self::NodeName => "node".to_owned(),
            Self::Nodes | Self::SomeNodes | Self::Observers | Self::NodeNames => {
                "list of nodes and spans, or `\"all\"`".to_owned()
            }
            Self::StepNodes | Self::SomeStepNodes => {
                "list of nodes, `\"all\"`, or choice".to_owned()
            }
            Self::OnNodes => "node, list of nodes, `\"all\"`, or choice".to_owned(),
            Self::Subjects => "node, list of nodes, or `\"all\"`".to_owned(),
            Self::Window => "range of durations".to_owned(),
            Self::Zones => "table of lists of nodes".to_owned(),
            Self::NodesOr(_, words) => format!("{}, or list of nodes", listed(words)),
            Self::Groups => "list of lists of nodes, and `\"rest\"`".to_owned(),
            Self::Word(_, words) => listed(words),
            Self::SomeWords(_, words) => format!("list of {}", listed(words)),
            Self::Oracle => "name of an oracle".to_owned(),
            Self::Metric => "name of a metric".to_owned(),
            Self::Program => "name of a program".to_owned(),
            Self::Strategy => "name of a strategy".to_owned(),
            Self::Strategies => "list of strategies".to_owned(),
            Self::Parameters => "a table of parameters for each strategy".to_owned(),
            Self::Paths => "list of paths".to_owned(),
            Self::Texts => "table of texts".to_owned(),
            Self::NodeTexts => "table from node to pid".to_owned(),
            Self::Table(shape) => format!("table: {}", shape.name),
            Self::Tables(shape) | Self::SomeTables(_, shape) => {
                format!("list of tables: {}", shape.name)
            }
        }
    }
}
