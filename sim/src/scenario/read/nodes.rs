//! Node names: those that `[cluster]` declares, and the lists that name them.

use std::collections::BTreeMap;

use hublab_strategies::NodeId;
use miette::SourceSpan;
use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::Reader;
use super::syntax::Value;
use crate::model::NodeIx;
use crate::scenario::diagnostic::Problem;
use crate::scenario::suggest;

/// The most nodes of a scenario.
pub const NODES_MAX: usize = 10_000;
/// The most nodes that all lists of a file may name together.
pub const NAMED_MAX: usize = 5_000_000;
/// All running nodes that no other group of a partition has.
const REST: &str = "rest";
/// The longest name of a node, in characters.
const NODE_NAME_MAX: usize = 64;

/// The nodes of the file.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    pub(super) names: Vec<NodeId>,
    by_name: BTreeMap<String, NodeIx>,
    /// The number of the last list that named each node: tells repetitions without a set.
    last_list: Vec<u32>,
    lists: u32,
    /// How many nodes all lists have named.
    named: usize,
    /// The nodes of each zone.
    zones: BTreeMap<String, Vec<NodeIx>>,
}

impl Nodes {
    fn add(&mut self, name: &str) -> bool {
        let next = self.names.len();
        let Ok(ix) = NodeIx::try_from(next) else {
            return false;
        };
        if self.by_name.contains_key(name) {
            return false;
        }
        self.by_name.insert(name.to_owned(), ix);
        self.names.push(NodeId::new(name));
        self.last_list.push(0);
        true
    }
}

/// A list of nodes, and where its elements stand: element k of `sites` is `sites[k].1`
/// consecutive nodes.
#[derive(Debug, Default, Clone)]
pub(in crate::scenario) struct Named {
    pub(in crate::scenario) nodes: Vec<NodeIx>,
    pub(in crate::scenario) sites: Vec<(SourceSpan, usize)>,
}

impl Named {
    /// The nodes of each element, with its place.
    pub(in crate::scenario) fn elements(&self) -> impl Iterator<Item = (SourceSpan, &[NodeIx])> {
        let mut rest = self.nodes.as_slice();
        self.sites.iter().map(move |(site, count)| {
            let (nodes, after) = rest.split_at((*count).min(rest.len()));
            rest = after;
            (*site, nodes)
        })
    }
}

impl<'t> Reader<'_> {
    /// `nodes = 5`: n1 to n5.
    pub(super) fn declare_count(&mut self, value: &Value<'_>) -> Option<u64> {
        let most = i64::try_from(NODES_MAX).unwrap_or(i64::MAX);
        let count = self.integer_within(value, (1, i64::MAX), (1, most))?;
        let count = u64::try_from(count).ok()?;
        if !self.few_nodes(count, value) {
            return None;
        }
        for number in 1..=count {
            self.nodes.add(&format!("n{number}"));
        }
        Some(count)
    }

    fn few_nodes(&mut self, count: u64, value: &Value<'_>) -> bool {
        let few = count <= NODES_MAX as u64;
        if !few {
            let at = self.label(value.span());
            self.report(Problem::TooManyNodes { count, at });
        }
        few
    }

    /// `names = [...]`.
    pub(super) fn declare_names(&mut self, value: &'t Value<'t>) -> Option<Json> {
        let DeValue::Array(elements) = value.get_ref() else {
            self.wrong_type(value, "a list of names", None);
            return None;
        };
        self.not_empty(value, "names");
        if !self.few_nodes(elements.len() as u64, value) {
            return None;
        }
        for element in elements.iter() {
            let Some(name) = self.name(element) else {
                continue;
            };
            if let Some(reason) = not_a_node_name(name) {
                self.bad_name("node name", name, reason, element);
            } else if !self.nodes.add(name) {
                self.repeated(name, element);
            }
        }
        Some(Json::Null)
    }

    /// A node by its name; for a misspelled one, the node that was meant.
    fn lookup(&mut self, name: &str, value: &Value<'_>) -> Option<NodeIx> {
        if let Some(node) = self.nodes.by_name.get(name) {
            return Some(*node);
        }
        if self.nodes.names.is_empty() {
            return None; // The problem of [cluster] is reported already.
        }
        let names = self.nodes.names.iter().map(NodeId::as_str);
        let help = suggest::help(name, names.clone());
        let meant =
            suggest::nearest(name, names).and_then(|meant| self.nodes.by_name.get(meant).copied());
        let at = self.label(value.span());
        self.report(Problem::UnknownNode {
            name: suggest::shown(name),
            at,
            help,
        });
        self.sites.guessed.extend(meant);
        meant
    }

    /// One node.
    pub(super) fn node(&mut self, value: &'t Value<'t>) -> Option<NodeIx> {
        let name = self.text_as(value, "the name of a node")?;
        self.lookup(name, value)
    }

    /// One node, as a list with its place.
    pub(super) fn one(&mut self, value: &'t Value<'t>) -> Option<Named> {
        let at = self.label(value.span());
        self.node(value).map(|node| Named {
            nodes: vec![node],
            sites: vec![(at, 1)],
        })
    }

    /// A list of nodes: names, spans, or `"all"`.
    pub(super) fn nodes(&mut self, value: &'t Value<'t>) -> Option<Named> {
        self.nodes.lists += 1;
        self.more_nodes(value, Named::default())
    }

    /// Goes on with a list: a node that it has already is reported.
    fn more_nodes(&mut self, value: &'t Value<'t>, mut named: Named) -> Option<Named> {
        match value.get_ref() {
            DeValue::String(word) if word == "all" => {
                self.add_span(value, (0, self.nodes.names.len()), &mut named)
            }
            DeValue::String(word) if self.zone_name(word).is_some() => {
                self.element(value, 1, &mut named);
            }
            DeValue::Array(elements) => {
                for element in elements.iter() {
                    self.element(element, elements.len(), &mut named);
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                let help = "write [\"n1\", \"n3..n5\"], or \"all\"".to_owned();
                self.wrong_type(value, "a list of nodes", Some(help));
                return None;
            }
        }
        Some(named)
    }

    fn element(&mut self, element: &'t Value<'t>, elements: usize, named: &mut Named) {
        let Some(word) = self.text_as(element, "the name of a node") else {
            return;
        };
        if word == "all" {
            if elements == 1 {
                return self.add_span(element, (0, self.nodes.names.len()), named);
            }
            let at = self.label(element.span());
            return self.report(Problem::AllAmongOthers { at });
        }
        if let Some(zone) = self.zone_name(word) {
            return self.add_zone(zone, element, named);
        }
        let Some((first, last)) = word.split_once("..") else {
            if let Some(node) = self.lookup(word, element) {
                self.add_span(element, (node as usize, node as usize + 1), named);
            }
            return;
        };
        let (Some(from), Some(to)) = (self.lookup(first, element), self.lookup(last, element))
        else {
            return;
        };
        if from > to {
            let at = self.label(element.span());
            let (first, last) = (suggest::shown(first), suggest::shown(last));
            return self.report(Problem::ReversedSpan {
                span: suggest::shown(word),
                first,
                last,
                at,
            });
        }
        self.add_span(element, (from as usize, to as usize + 1), named);
    }

    /// The name of the zone that an element of a list stands for.
    fn zone_name<'w>(&self, word: &'w str) -> Option<&'w str> {
        let zone = word.strip_prefix('@')?;
        (!self.nodes.by_name.contains_key(word)).then_some(zone)
    }

    /// True if a value is the name of a node, and no list.
    pub(super) fn is_node(&self, value: &Value<'_>) -> bool {
        match value.get_ref() {
            DeValue::String(word) => word != "all" && self.zone_name(word).is_none(),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => true,
            DeValue::Array(_) | DeValue::Table(_) => false,
        }
    }

    /// `[cluster.zones]`: a zone can name those above it.
    pub(super) fn zones(&mut self, value: &'t Value<'t>) {
        let DeValue::Table(zones) = value.get_ref() else {
            let help = "write { eu = [\"n1..n3\"] }".to_owned();
            return self.wrong_type(value, "a table of lists of nodes", Some(help));
        };
        for (name, value) in zones {
            if let Some(reason) = not_a_zone_name(name.get_ref()) {
                let at = self.label(name.span());
                self.report(Problem::BadName {
                    what: "name of a zone",
                    word: suggest::shown(name.get_ref()),
                    reason,
                    at,
                });
            }
            self.not_empty(value, "nodes");
            let nodes = self.nodes(value).map(|named| named.nodes);
            let name = name.get_ref().to_string();
            self.nodes.zones.insert(name, nodes.unwrap_or_default());
        }
    }

    fn add_zone(&mut self, zone: &str, element: &Value<'_>, named: &mut Named) {
        let known = self.nodes.zones.keys().map(String::as_str);
        let meant = if self.nodes.zones.contains_key(zone) {
            Some(zone)
        } else {
            let (near, help) = (
                suggest::nearest(zone, known.clone()),
                suggest::help(zone, known),
            );
            let near = near.map(str::to_owned);
            let at = self.label(element.span());
            let name = suggest::shown(zone);
            self.report(Problem::UnknownZone { name, at, help });
            let nodes = near.and_then(|near| self.nodes.zones.get(&near)).cloned();
            self.sites.guessed.extend(nodes.iter().flatten());
            return self.add(element, nodes.unwrap_or_default().into_iter(), named);
        };
        let nodes = meant.and_then(|zone| self.nodes.zones.get(zone)).cloned();
        self.add(element, nodes.unwrap_or_default().into_iter(), named);
    }

    fn add_span(&mut self, element: &Value<'_>, (from, end): (usize, usize), named: &mut Named) {
        let ix = |place: usize| NodeIx::try_from(place).unwrap_or(NodeIx::MAX);
        self.add(element, ix(from)..ix(end), named);
    }

    fn add(
        &mut self,
        element: &Value<'_>,
        nodes: impl ExactSizeIterator<Item = NodeIx>,
        named: &mut Named,
    ) {
        let at = self.label(element.span());
        let count = nodes.len();
        self.nodes.named += count;
        if self.nodes.named > NAMED_MAX {
            if self.nodes.named - count <= NAMED_MAX {
                self.report(Problem::TooManyNames {
                    what: "nodes",
                    max: NAMED_MAX,
                    at,
                });
            }
            return;
        }
        let before = named.nodes.len();
        let mut again = None;
        for node in nodes {
            let last = &mut self.nodes.last_list[node as usize];
            if *last == self.nodes.lists {
                again = again.or(Some(node));
            } else {
                *last = self.nodes.lists;
                named.nodes.push(node);
            }
        }
        named.sites.push((at, named.nodes.len() - before));
        if let Some(again) = again {
            let word = self.nodes.names[again as usize].as_str().to_owned();
            self.repeated(&word, element);
        }
    }

    /// The groups of a partition: lists that share no node, and `"rest"`.
    pub(super) fn groups(&mut self, value: &'t Value<'t>) -> Option<Json> {
        let DeValue::Array(elements) = value.get_ref() else {
            self.wrong_type(
                value,
                "a list of groups",
                Some("write [[\"n1\", \"n2\"], [\"n3\"]]".to_owned()),
            );
            return None;
        };
        self.not_empty(value, "groups");
        let mut groups: Vec<Json> = Vec::with_capacity(elements.len());
        let mut homes: BTreeMap<NodeIx, SourceSpan> = BTreeMap::new();
        for element in elements.iter() {
            if element.get_ref().as_str() == Some(REST) {
                if groups.iter().any(Json::is_string) {
                    self.repeated(REST, element);
                } else {
                    groups.push(REST.into());
                }
            } else if let Some(group) = self.nodes(element) {
                self.apart(&group, &mut homes);
                groups.push(json!(group.nodes));
            }
        }
        Some(Json::Array(groups))
    }

    /// Reports the first node of each element that is in an earlier group.
    fn apart(&mut self, group: &Named, homes: &mut BTreeMap<NodeIx, SourceSpan>) {
        for (at, nodes) in group.elements() {
            let taken = nodes
                .iter()
                .find_map(|node| homes.get(node).map(|home| (*node, *home)));
            if let Some((node, first_at)) = taken {
                self.report(Problem::GroupsOverlap {
                    node: self.node_name(node),
                    first_at,
                    at,
                });
            }
        }
        for (at, nodes) in group.elements() {
            for node in nodes {
                homes.entry(*node).or_insert(at);
            }
        }
    }

    /// A table from node to text, in the order of the file.
    pub(super) fn node_texts(&mut self, value: &'t Value<'t>) -> Option<Json> {
        let DeValue::Table(entries) = value.get_ref() else {
            self.wrong_type(value, "a table like { n1 = \"p1\" }", None);
            return None;
        };
        let mut pairs = serde_json::Map::new();
        for (key, value) in entries {
            let name = key.get_ref();
            let place =
                toml::Spanned::new(key.span(), DeValue::String(std::borrow::Cow::Borrowed("")));
            let (node, text) = (self.lookup(name, &place), self.name(value));
            if let (Some(node), Some(text)) = (node, text) {
                let name = self.nodes.names[node as usize].as_str().to_owned();
                pairs.insert(name, text.into());
            }
        }
        Some(Json::Object(pairs))
    }

    /// A node as the tree has it where its name stands.
    pub(super) fn node_tree(&self, node: NodeIx) -> Json {
        self.nodes.names[node as usize].as_str().into()
    }

    fn node_name(&self, node: NodeIx) -> String {
        suggest::shown(self.nodes.names[node as usize].as_str())
    }
}

fn not_a_zone_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.chars().any(char::is_control) {
        Some("it has a control character")
    } else if name.starts_with('@') {
        Some("the `@` stands where the zone is named in a list")
    } else {
        not_a_node_name(name)
    }
}

fn not_a_node_name(name: &str) -> Option<&'static str> {
    if name == "all" {
        Some("`all` stands for every node")
    } else if name.contains("..") {
        Some("two dots make a span")
    } else if name.contains(char::is_whitespace) {
        Some("it has a space in it")
    } else if name.chars().count() > NODE_NAME_MAX {
        Some("it is longer than 64 characters")
    } else {
        None
    }
}
