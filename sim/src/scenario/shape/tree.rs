//! Between the keys of a table and the fields of the tree.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "JSON has no further types of values"
)]

use serde_json::{Map, Value as Json};

use super::{Key, Kind, Shape};

/// The fields of one table.
type Fields = Map<String, Json>;

/// The field of the tree for a duration where words could stand, and for a list of nodes.
pub(in crate::scenario) const TIME: &str = "time";
pub(in crate::scenario) const NODES: &str = "nodes";

impl Shape {
    /// The tree of a table with these values by key, of which `chosen` is the alternative.
    pub(in crate::scenario) fn nest(&self, mut fields: Fields, chosen: &[&str]) -> Json {
        for (group, keys) in self.groups {
            let inner: Fields = keys
                .iter()
                .filter_map(|key| fields.remove_entry(*key))
                .collect();
            fields.insert((*group).to_owned(), Json::Object(inner));
        }
        let Some((tag, beside)) = chosen.split_first() else {
            return Json::Object(fields);
        };
        let mut value = fields.remove(*tag).unwrap_or_default();
        if !beside.is_empty() {
            let mut inner = match value {
                Json::Object(table) => table,
                other => Fields::from_iter([((*tag).to_owned(), other)]),
            };
            inner.extend(beside.iter().filter_map(|key| fields.remove_entry(*key)));
            value = Json::Object(inner);
        }
        let tagged = Json::Object(Fields::from_iter([((*tag).to_owned(), value)]));
        if self.choice_in.is_empty() {
            return tagged;
        }
        fields.insert(self.choice_in.to_owned(), tagged);
        Json::Object(fields)
    }

    /// The values by key of a tree, and the alternative it has chosen: undoes [`Self::nest`].
    pub(in crate::scenario) fn flat(&self, tree: Json) -> (Fields, &'static [&'static str]) {
        let mut fields = Fields::new();
        let tagged = match tree {
            Json::Object(mut table) if !self.choice_in.is_empty() => {
                let tagged = table.remove(self.choice_in);
                fields = table;
                tagged
            }
            Json::Object(table) if self.choices.is_empty() => {
                fields = table;
                None
            }
            other => Some(other),
        };
        for (group, _) in self.groups {
            if let Some(Json::Object(inner)) = fields.remove(*group) {
                fields.extend(inner);
            }
        }
        let (tag, value) = match tagged {
            Some(Json::String(tag)) => (tag, Json::Null),
            Some(Json::Object(one)) => match one.into_iter().next() {
                Some(entry) => entry,
                None => return (fields, &[]),
            },
            // The names of the nodes, however the file declares them.
            Some(list @ Json::Array(_)) => {
                fields.insert(self.choice_in.to_owned(), list);
                return (fields, &[]);
            }
            Some(Json::Null | Json::Bool(_) | Json::Number(_)) | None => return (fields, &[]),
        };
        let chosen = self.choice(&tag).unwrap_or_default();
        let beside = chosen.get(1..).unwrap_or_default();
        match value {
            Json::Object(mut inner) if !beside.is_empty() => {
                for key in beside {
                    fields.extend(inner.remove_entry(*key));
                }
                let is_table = matches!(self.key(&tag).map(|key| &key.kind), Some(Kind::Table(_)));
                if is_table {
                    fields.insert(tag, Json::Object(inner));
                } else {
                    fields.extend(inner);
                }
            }
            value => drop(fields.insert(tag, value)),
        }
        (fields, chosen)
    }

    /// The tree with what `keep` leaves of each value that is no table; `None` if it needs a value
    /// that is gone. A list that must not be empty goes with its last element. An element of a list
    /// goes when one of its own lists has lost its last element.
    pub(in crate::scenario) fn retain(
        &self,
        tree: Json,
        is_element: bool,
        keep: &mut dyn FnMut(&Key, Json) -> Option<Json>,
    ) -> Option<Json> {
        let (mut fields, chosen) = self.flat(tree);
        for key in self.keys {
            let Some(value) = fields.get_mut(key.name) else {
                continue;
            };
            let old = value.take();
            let was_empty = is_empty(&old);
            let new = match (&key.kind, old) {
                (Kind::Table(shape), old) => shape.retain(old, false, keep),
                (Kind::Tables(shape) | Kind::SomeTables(_, shape), Json::Array(tables)) => {
                    let kept = tables.into_iter();
                    Some(kept.filter_map(|it| shape.retain(it, true, keep)).collect())
                }
                (_, old) => keep(key, old),
            };
            let must_be_some = matches!(
                key.kind,
                Kind::SomeNodes | Kind::SomeStepNodes | Kind::SomeChildren | Kind::SomeTables(..)
            );
            match new {
                Some(new) if !is_empty(&new) => *value = new,
                Some(_) if must_be_some || is_element && !was_empty => return None,
                Some(new) => *value = new,
                None if key.required || chosen.contains(&key.name) => return None,
                None => drop(fields.shift_remove(key.name)),
            }
        }
        Some(self.nest(fields, chosen))
    }

    /// The tree with every value that is no table changed.
    pub(in crate::scenario) fn map(
        &self,
        tree: Json,
        change: &mut dyn FnMut(&Key, Json) -> Json,
    ) -> Json {
        let (mut fields, chosen) = self.flat(tree);
        for key in self.keys {
            if let Some(value) = fields.get_mut(key.name) {
                let old = value.take();
                *value = match (&key.kind, old) {
                    (Kind::Table(shape), old) => shape.map(old, change),
                    (Kind::Tables(shape) | Kind::SomeTables(_, shape), Json::Array(tables)) => {
                        let tables = tables.into_iter().map(|table| shape.map(table, change));
                        Json::Array(tables.collect())
                    }
                    (_, old) => change(key, old),
                };
            }
        }
        self.nest(fields, chosen)
    }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Array(list) => list.is_empty(),
        Json::Object(table) => table.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::step::{CLOCK, START_CHILDREN};
    use super::super::{EXPECT, LATENCY, NETWORK, STEP};
    use super::*;

    #[test]
    fn what_is_nested_is_flat_again() {
        let trees = [
            (
                &STEP,
                json!({ "at": { "fixed": 1 }, "action": { "sync": { "on": 0 } } }),
            ),
            (
                &EXPECT,
                json!({ "claim": { "registry": { "on": 1, "has": ["a"], "at": 5 } } }),
            ),
            (
                &EXPECT,
                json!({ "strategy": "gossip", "claim": { "always": "no_crash" } }),
            ),
            (
                &START_CHILDREN,
                json!({ "on": 0, "children": { "count": { "count": 3, "prefix": "x" } } }),
            ),
            (
                &START_CHILDREN,
                json!({ "on": 0, "children": { "ids": ["a"] } }),
            ),
            (&CLOCK, json!({ "nodes": [0], "change": { "jump": -3 } })),
            (&LATENCY, json!({ "uniform": [1, 2] })),
            (
                &NETWORK,
                json!({ "send_gap": 0, "base": { "loss": 0.5, "order": "any" } }),
            ),
        ];
        for (shape, tree) in trees {
            let (fields, chosen) = shape.flat(tree.clone());
            assert!(
                fields.keys().all(|key| shape.key(key).is_some()),
                "{fields:?}"
            );
            assert_eq!(shape.nest(fields, chosen), tree);
            assert_eq!(shape.map(tree.clone(), &mut |_, value| value), tree);
        }
        let (fields, chosen) = STEP.flat(json!({ "at": { "fixed": 1 }, "action": "heal" }));
        assert_eq!((&fields["heal"], chosen), (&Json::Null, &["heal"][..]));
    }
}
