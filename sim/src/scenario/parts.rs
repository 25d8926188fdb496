//! The parts of a scenario that shrinking takes away, renames or numbers anew, by the shape of the
//! format: a new step, or a new key, needs no code for it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::read::{default_of, model};
use super::render::tree;
use super::shape::{Key, Kind, NODES_FIELD, STEP, Shape};
use crate::model::Step;

/// Every form of a part of a scenario that lacks one thing: an element of a list, a row, a request,
/// or an option. Options without which a fault does more stay, unless `stronger`.
pub(crate) fn without_one<T>(part: &T, shape: &'static Shape, stronger: bool) -> Vec<T>
where
    T: Serialize + DeserializeOwned,
{
    let lesser = lesser_tables(tree(part), shape, stronger);
    lesser.into_iter().map(model).collect()
}

fn lesser_tables(table: Json, shape: &Shape, stronger: bool) -> Vec<Json> {
    let (fields, chosen) = shape.flat(table);
    let mut found = Vec::new();
    for key in shape.keys {
        let Some(value) = fields.get(key.name) else {
            continue;
        };
        let is_chosen = chosen.contains(&key.name);
        let mut put = |value: Option<Json>| {
            let mut fields = fields.clone();
            match value {
                Some(value) => drop(fields.insert(key.name.to_owned(), value)),
                None => drop(fields.shift_remove(key.name)),
            }
            found.push(shape.nest(fields, chosen));
        };
        if !key.required && !is_chosen && (stronger || !key.weakens) {
            let default = default_of(key);
            if default.as_ref() != Some(value) {
                put(default);
            }
        }
        for value in lesser_values(key, is_chosen, value, stronger) {
            put(Some(value));
        }
    }
    found
}

/// The value without one of its elements.
fn lesser_values(key: &Key, is_chosen: bool, value: &Json, stronger: bool) -> Vec<Json> {
    match (&key.kind, value) {
        (Kind::Table(shape), table) if is_chosen => lesser_tables(table.clone(), shape, stronger),
        (Kind::Tables(shape) | Kind::SomeTables(_, shape), Json::Array(tables)) => {
            let inner = |table: &Json| lesser_tables(table.clone(), shape, stronger);
            let mut found = without_each(tables);
            found.extend(with_each(tables, inner));
            found
        }
        (Kind::Groups, Json::Array(groups)) => with_each(groups, |group| {
            group
                .as_array()
                .map(|nodes| without_each(nodes))
                .unwrap_or_default()
        }),
        (
            Kind::Nodes
            | Kind::SomeNodes
            | Kind::StepNodes
            | Kind::SomeStepNodes
            | Kind::NodeNames
            | Kind::Children
            | Kind::SomeChildren,
            Json::Array(list),
        ) => without_each(list),
        (Kind::NodesOr(..), Json::Object(table)) => match table.get(NODES_FIELD) {
            Some(Json::Array(nodes)) => without_each(nodes)
                .into_iter()
                .map(|nodes| serde_json::json!({ NODES_FIELD: nodes }))
                .collect(),
            _ => Vec::new(),
        },
        (Kind::NodeTexts, Json::Object(texts)) => {
            let without = |gone: &String| {
                let mut texts = texts.clone();
                texts.shift_remove(gone);
                Json::Object(texts)
            };
            texts.keys().map(without).collect()
        }
        (_, _) => Vec::new(),
    }
}

fn without_each(list: &[Json]) -> Vec<Json> {
    let without = |at: usize| {
        let mut list = list.to_vec();
        list.remove(at);
        Json::Array(list)
    };
    (0..list.len()).map(without).collect()
}

/// The list with each lesser form of each element.
fn with_each(list: &[Json], lesser: impl Fn(&Json) -> Vec<Json>) -> Vec<Json> {
    let with = |(at, element): (usize, &Json)| -> Vec<Json> {
        let put = |element| {
            let mut list = list.to_vec();
            list[at] = element;
            Json::Array(list)
        };
        lesser(element).into_iter().map(put).collect()
    };
    list.iter().enumerate().flat_map(with).collect()
}

/// Keeps of a step what `keep` leaves of each value; `false` if it needs something that is gone:
/// see [`Shape::retain`].
pub(crate) fn retain(step: &mut Step, keep: &mut dyn FnMut(&Key, Json) -> Option<Json>) -> bool {
    let Some(kept) = STEP.retain(tree(step), false, keep) else {
        return false;
    };
    step.action = model::<Step>(kept).action;
    true
}

/// Changes every value of a step.
pub(crate) fn change(step: &mut Step, change: &mut dyn FnMut(&Key, Json) -> Json) {
    retain(step, &mut |key, value| Some(change(key, value)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::scenario::{Scenario, Style, render};

    fn steps(step: &str, stronger: bool) -> Vec<String> {
        let text = format!(
            "schema = 1\n[cluster]\nnodes = 3\n[[step]]\nat = '1s'\n{step}\n\
             [[expect]]\nalways = 'no_crash'\n"
        );
        let catalog = Catalog::default();
        let mut scenario =
            Scenario::read("s", text.as_bytes(), &catalog).unwrap_or_else(|it| panic!("{it:?}"));
        let lesser = without_one(&scenario.steps[0], &STEP, stronger);
        let shown = lesser.into_iter().map(|step| {
            scenario.steps[0] = step;
            let text = render(&scenario, Style::Brief);
            let line = text.lines().skip_while(|line| *line != "[[step]]").nth(2);
            line.unwrap_or_default().to_owned()
        });
        shown.collect()
    }

    #[test]
    fn one_thing_is_left_out_at_a_time() {
        let start = "start_children = { on = 'n1', ids = ['a', 'b'], metadata = { v = '1' }, replicas = ['n2'], via = 'n3' }";
        let lesser = steps(start, false);
        assert_eq!(lesser.len(), 6, "{lesser:#?}");
        assert!(lesser.iter().all(|it| it.contains("on = \"n1\"")));
        assert!(lesser.iter().any(|it| !it.contains("metadata")));
        assert!(lesser.iter().any(|it| !it.contains("via")));
        let rows = "propagate = { from = 'n1', requests = [{ unregister = [{ child = 'a', nodes = ['n1', 'n2'] }] }, { pid_update = { child = 'a', node = 'n1', pid = 'p' } }] }";
        // Either request, the child of the first, or one of its two nodes.
        assert_eq!(steps(rows, false).len(), 5, "{:#?}", steps(rows, false));
        assert_eq!(steps("heal = true", true), [""; 0]);
    }

    #[test]
    fn what_weakens_a_fault_stays_unless_it_may_become_stronger() {
        let cut = "cut = { from = ['n1'], to = ['n2'], in_flight = 'hold', heal_after = '5s' }";
        let weaker = steps(cut, false);
        assert!(
            weaker.iter().all(|it| it.contains("heal_after")),
            "{weaker:#?}"
        );
        assert!(weaker.iter().all(|it| it.contains("hold")), "{weaker:#?}");
        assert_eq!(steps(cut, true).len(), weaker.len() + 2);
    }
}
