//! A table of the file against its shape: what comes out is the checked tree of the table, and
//! where its values stand.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use miette::SourceSpan;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json, json};
use toml::de::DeTable;

use super::Reader;
use super::nodes::{NODES_MAX, Named};
use super::syntax::Value;
use super::table::Table;
use crate::catalog::Catalog;
use crate::model::NodeIx;
use crate::scenario::diagnostic::Problem;
use crate::scenario::shape::{EVERY, Key, Kind, RANDOM, Shape};
use crate::scenario::text::Text;

/// Where a value of a step or an expectation stands.
#[derive(Debug, Clone)]
pub(in crate::scenario) struct Spot {
    name: &'static str,
    /// True if the step acts on the nodes that are named here.
    acts: bool,
    pub(in crate::scenario) key: SourceSpan,
    pub(in crate::scenario) value: SourceSpan,
    /// The elements of a list; the nodes only if the step acts on them.
    elements: Named,
}

/// Where the values of a step or an expectation stand, and those of its action or claim.
#[derive(Debug, Clone)]
pub(in crate::scenario) struct Spots {
    /// Where its header stands.
    pub(in crate::scenario) header: SourceSpan,
    spots: Vec<Spot>,
    depth: u8,
}

impl Spots {
    /// How deep values are noted: those of the table, and those of the table of its action.
    const DEPTH: u8 = 2;

    pub(super) fn new(header: SourceSpan) -> Self {
        Self {
            header,
            spots: Vec::new(),
            depth: 0,
        }
    }

    /// For a table of which nobody asks where its values stand.
    fn none() -> Self {
        Self {
            header: SourceSpan::from(0..0),
            spots: Vec::new(),
            depth: Self::DEPTH,
        }
    }

    fn enter(&mut self, key: &Key, at: SourceSpan, value: SourceSpan) {
        if self.depth < Self::DEPTH {
            self.spots.push(Spot {
                name: key.name,
                acts: key.acts,
                key: at,
                value,
                elements: Named::default(),
            });
        }
    }

    /// Notes the elements of the list at the last key.
    fn elements(&mut self, mut named: Named) {
        if self.depth < Self::DEPTH
            && let Some(spot) = self.spots.last_mut()
        {
            if !spot.acts {
                named.nodes = Vec::new();
            }
            spot.elements = named;
        }
    }

    /// Where a key and its value stand, if the file has it.
    pub(in crate::scenario) fn get(&self, name: &str) -> Option<&Spot> {
        self.spots.iter().find(|spot| spot.name == name)
    }

    /// Where a value stands; the header if the file does not have it.
    pub(in crate::scenario) fn value(&self, name: &str) -> SourceSpan {
        self.get(name).map_or(self.header, |spot| spot.value)
    }

    /// Where a key stands; the header if the file does not have it.
    pub(in crate::scenario) fn key(&self, name: &str) -> SourceSpan {
        self.get(name).map_or(self.header, |spot| spot.key)
    }

    /// The nodes that the step acts on, element by element, each with its key and its place.
    pub(in crate::scenario) fn subjects(
        &self,
    ) -> impl Iterator<Item = (&'static str, SourceSpan, &[NodeIx])> {
        let acted = self.spots.iter().filter(|spot| spot.acts);
        acted.flat_map(|spot| {
            let elements = spot.elements.elements();
            elements.map(|(site, nodes)| (spot.name, site, nodes))
        })
    }

    /// The place of each element of a list at a key, as often as it stands for something.
    pub(in crate::scenario) fn places(&self, name: &str) -> impl Iterator<Item = SourceSpan> {
        let sites = self.get(name).map(|spot| spot.elements.sites.as_slice());
        let sites = sites.unwrap_or_default().iter();
        sites.flat_map(|(site, count)| std::iter::repeat_n(*site, *count))
    }
}

/// A checked tree as the part of the model that it stands for.
pub(in crate::scenario) fn model<T: DeserializeOwned>(tree: Json) -> T {
    serde_json::from_value(tree).expect("a checked tree has the form of the model")
}

impl<'t> Reader<'_> {
    /// The tree of the table that `value` must be.
    pub(super) fn tree(
        &mut self,
        value: &'t Value<'t>,
        shape: &'static Shape,
        spots: &mut Spots,
    ) -> Option<Json> {
        let table = self.open(value, shape)?;
        self.fields(&table, spots)
    }

    /// The tree of an open table: nothing if something that it needs is wrong, which is reported.
    pub(super) fn fields(&mut self, table: &Table<'t>, spots: &mut Spots) -> Option<Json> {
        let shape = table.shape;
        let mut whole = true;
        let mut chosen: &[&str] = &[];
        if !shape.choices.is_empty() {
            let choice = self.choose(table).and_then(|name| shape.choice(name));
            whole = choice.is_some();
            chosen = choice.unwrap_or_default();
        }
        let mut fields = Map::new();
        for key in shape.keys {
            let found = table.get(key.name);
            if found.is_none() && !key.required && key.default.is_none() && chosen.len() < 2 {
                continue;
            }
            let may_be_absent = key.default.is_some() || key.may_be_absent;
            let needed = key.required || !may_be_absent && chosen.contains(&key.name);
            let other = |keys: &&[&str]| keys.contains(&key.name);
            if !needed && !chosen.contains(&key.name) && shape.choices.iter().any(other) {
                continue;
            }
            let told = (self.problems.len(), self.more);
            let read = match found {
                Some(value) => {
                    let at = self.label(table.key_span(key.name));
                    spots.enter(key, at, self.label(value.span()));
                    self.value(value, &key.kind, spots)
                }
                None if needed => {
                    self.required(table, key.name);
                    None
                }
                None => None,
            };
            let read = read.or_else(|| (!needed).then(|| self.default_of(key)).flatten());
            match read {
                Some(value) => drop(fields.insert(key.name.to_owned(), value)),
                // A table may need one of several keys, such as `at`, `during` and `by`: a wrong value is
                // none.
                None => whole &= !needed && told == (self.problems.len(), self.more),
            }
        }
        self.relations(table, &fields);
        whole.then(|| shape.nest(fields, chosen))
    }

    /// The tree of a table of the file, or that of one without keys.
    pub(super) fn section(
        &mut self,
        value: Option<&'t Value<'t>>,
        shape: &'static Shape,
    ) -> Map<String, Json> {
        let spots = &mut Spots::none();
        let read = value.and_then(|value| self.tree(value, shape, spots));
        let tree = read.unwrap_or_else(|| {
            let defaults = shape.keys.iter().filter_map(|key| {
                let default = self.default_of(key)?;
                Some((key.name.to_owned(), default))
            });
            let defaults = defaults.collect();
            shape.nest(defaults, &[])
        });
        match tree {
            Json::Object(fields) => fields,
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                Map::new()
            }
        }
    }

    /// The value of a key that is absent.
    pub(super) fn default_of(&mut self, key: &'static Key) -> Option<Json> {
        let text = key.default?;
        let address = std::ptr::from_ref(key).addr();
        if let Some(known) = self.defaults.get(&address) {
            return Some(known.clone());
        }
        let text = format!("default = {text}");
        let table = DeTable::parse(&text).ok()?;
        let value = table.get_ref().get("default")?;
        let default = self.value(value, &key.kind, &mut Spots::none())?;
        self.defaults.insert(address, default.clone());
        Some(default)
    }

    /// Reports keys that contradict each other, or that are missing together.
    fn relations(&mut self, table: &Table<'t>, fields: &Map<String, Json>) {
        let at = self.label(table.span());
        let number = |key: &str| fields.get(key).and_then(Json::as_u64);
        for (smaller, larger) in table.shape.ordered {
            if number(smaller)
                .zip(number(larger))
                .is_some_and(|(low, high)| low > high)
            {
                self.report(Problem::Disordered {
                    smaller,
                    larger,
                    at,
                });
            }
        }
        for (one, other) in table.shape.apart {
            if let (Some(_), Some(value)) = (table.get(one), table.get(other)) {
                let at = self.label(value.span());
                self.report(Problem::NotTogether { one, other, at });
            }
        }
        let demanded = table.shape.at_least_one;
        if !demanded.is_empty() && demanded.iter().all(|key| table.get(key).is_none()) {
            let keys: Vec<String> = demanded.iter().map(|key| format!("`{key}`")).collect();
            self.report(Problem::ClaimsNothing {
                claim: table.shape.name,
                needs: keys.join(" or "),
                at,
            });
        }
    }

    /// The tree of a value of some kind.
    pub(super) fn value(
        &mut self,
        value: &'t Value<'t>,
        kind: &'static Kind,
        spots: &mut Spots,
    ) -> Option<Json> {
        Some(match kind {
            Kind::Schema => self.schema(value)?.into(),
            Kind::Text => self.text(value)?.into(),
            Kind::Name => self.name(value)?.into(),
            Kind::Child => self.child(value)?.into(),
            Kind::Children => return self.children(value, spots),
            Kind::SomeChildren => {
                self.not_empty(value, "children");
                return self.children(value, spots);
            }
            Kind::Bool => self.boolean(value)?.into(),
            Kind::True => {
                if self.boolean(value) == Some(false) {
                    let at = self.label(value.span());
                    self.report(Problem::HealFalse { at });
                }
                Json::Null
            }
            Kind::Integer(min, max) => self.integer(value, *min, *max)?.into(),
            Kind::Rate => self.integer(value, 0, i64::MAX)?.into(),
            Kind::Probability => self.probability(value)?.into(),
            Kind::Duration => self.duration(value)?.into(),
            Kind::Positive => self.positive(value)?.into(),
            Kind::When => self.when(value)?,
            Kind::Jump => self.jump(value)?.into(),
            Kind::DurationOr(what, words) => return self.duration_or(value, what, words),
            Kind::Durations => self.durations(value)?,
            Kind::Seeds => json!(self.seeds(value)?),
            Kind::NodeCount => self.declare_count(value)?.into(),
            Kind::NodeList => return self.declare_names(value),
            Kind::Node => {
                let named = self.one(value)?;
                let node = named.nodes[0];
                spots.elements(named);
                node.into()
            }
            Kind::NodeName => self.node(value).map(|node| self.node_tree(node))?,
            Kind::Nodes => return self.node_list(value, spots),
            Kind::SomeNodes => {
                self.not_empty(value, "nodes");
                return self.node_list(value, spots);
            }
            Kind::Observers if value.get_ref().as_str() == Some("all") => Json::Null,
            Kind::Observers => {
                self.not_empty(value, "nodes");
                return self.node_list(value, spots);
            }
            Kind::StepNodes => return self.step_nodes(value, spots),
            Kind::SomeStepNodes => {
                self.not_empty(value, "nodes");
                return self.step_nodes(value, spots);
            }
            Kind::OnNodes if self.is_node(value) => {
                let named = self.one(value)?;
                let node = named.nodes[0];
                spots.elements(named);
                node.into()
            }
            Kind::OnNodes => {
                self.not_empty(value, "nodes");
                let tree = self.step_nodes(value, spots)?;
                // A list of which nothing could be read has no first.
                let list = tree.get("of").unwrap_or(&tree);
                let is_empty = list.as_array().is_none_or(Vec::is_empty);
                (!is_empty).then_some(tree)?
            }
            Kind::Subjects if self.is_node(value) => {
                let named = self.one(value)?;
                let node = named.nodes[0];
                spots.elements(named);
                node.into()
            }
            Kind::Subjects => {
                self.not_empty(value, "nodes");
                return self.node_list(value, spots);
            }
            Kind::Window => self.window(value)?,
            Kind::Zones => {
                self.zones(value);
                return None;
            }
            Kind::Every if value.get_ref().is_table() => {
                self.tree(value, &EVERY, &mut Spots::none())?
            }
            Kind::Every => json!({ "fixed": self.positive(value)? }),
            Kind::NodeNames => {
                let named = self.nodes(value)?;
                let names = named.nodes.into_iter().map(|node| self.node_tree(node));
                names.collect()
            }
            Kind::NodesOr(what, words) => return self.nodes_or(value, what, words),
            Kind::Groups => self.groups(value)?,
            Kind::Word(what, words) => self.word(value, what, words)?.into(),
            Kind::SomeWords(what, words) => self.words(value, *what, words)?.into(),
            Kind::Oracle => self.oracle(value)?.into(),
            Kind::Metric => self.metric(value)?.into(),
            Kind::Program => self.program(value)?.into(),
            Kind::Strategy => self.strategy(value)?.into(),
            Kind::Strategies => return self.strategies(value),
            Kind::Parameters => return self.parameters(value),
            Kind::Paths => json!(self.paths(value)?),
            Kind::Texts => self.texts(value)?,
            Kind::NodeTexts => self.node_texts(value)?,
            Kind::Table(shape) => {
                spots.depth += 1;
                let tree = self.tree(value, shape, spots);
                spots.depth -= 1;
                return tree;
            }
            Kind::Tables(shape) => return self.tables(value, shape),
            Kind::SomeTables(what, shape) => {
                self.not_empty(value, what);
                return self.tables(value, shape);
            }
        })
    }

    fn tables(&mut self, value: &'t Value<'t>, shape: &'static Shape) -> Option<Json> {
        let mut trees = Vec::new();
        self.each_table(value, shape, |reader, table| {
            trees.extend(reader.fields(table, &mut Spots::none()));
        })?;
        Some(Json::Array(trees))
    }

    fn node_list(&mut self, value: &'t Value<'t>, spots: &mut Spots) -> Option<Json> {
        let named = self.nodes(value)?;
        let tree = json!(named.nodes);
        spots.elements(named);
        Some(tree)
    }

    /// A list of nodes, or a choice of them.
    fn step_nodes(&mut self, value: &'t Value<'t>, spots: &mut Spots) -> Option<Json> {
        if !value.get_ref().is_table() {
            return self.node_list(value, spots);
        }
        let table = self.open(value, &RANDOM)?;
        let count = self.required(&table, "random");
        let count = count.and_then(|count| self.integer(count, 1, NODES_MAX as i64));
        let of = self.required(&table, "of")?;
        self.not_empty(of, "nodes");
        let of = self.node_list(of, spots)?;
        Some(json!({ "random": count?, "of": of }))
    }

    fn children(&mut self, value: &'t Value<'t>, spots: &mut Spots) -> Option<Json> {
        let (ids, sites) = self.child_list(value)?;
        let nodes = Vec::new();
        spots.elements(Named { nodes, sites });
        Some(Json::Array(ids.into_iter().map(Json::from).collect()))
    }
}

/// The tree of a table without keys: its defaults.
pub(in crate::scenario) fn default_tree(shape: &'static Shape) -> Map<String, Json> {
    let text = Text::new("", "");
    let catalog = Catalog::empty();
    Reader::new(&text, &catalog).section(None, shape)
}

/// True if a value is what the absence of its key means.
pub(in crate::scenario) fn is_default(key: &'static Key, value: &Json) -> bool {
    default_of(key).is_some_and(|default| default == *value)
}

/// The value of a key that is absent; `None` if its absence is a value of its own.
pub(in crate::scenario) fn default_of(key: &'static Key) -> Option<Json> {
    /// The defaults of keys by their address; the same in every run.
    static KNOWN: Mutex<BTreeMap<usize, Json>> = Mutex::new(BTreeMap::new());
    key.default?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let default = known
        .entry(std::ptr::from_ref(key).addr())
        .or_insert_with(|| {
            let text = Text::new("", "");
            let catalog = Catalog::empty();
            let default = Reader::new(&text, &catalog).default_of(key);
            default.unwrap_or_default()
        });
    Some(default.clone())
}
