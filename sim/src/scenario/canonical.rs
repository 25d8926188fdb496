//! A step as text for a machine: what names its streams of chance.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a fold over kinds of values looks at those that concern it"
)]

use std::fmt::Write;

use hublab_strategies::NodeId;
use serde_json::Value as Json;

use super::read::is_default;
use super::render::tree;
use super::shape::{Key, Kind, NODES_FIELD, STEP, Shape};
use crate::model::Step;

/// The canonical text of a step: keys in the order of their names without those that say what their
/// absence says, times in microseconds, nodes by name and one by one. How files are written does not
/// touch it, nor does a node that is added to the file, or a key that is added to the format.
pub(super) fn canonical(step: &Step, names: &[NodeId]) -> String {
    let mut out = String::new();
    table(&mut out, tree(step), &STEP, names);
    out
}

fn table(out: &mut String, tree: Json, shape: &'static Shape, names: &[NodeId]) {
    let (fields, _) = shape.flat(tree);
    let mut keys: Vec<&'static Key> = shape.keys.iter().collect();
    keys.sort_by_key(|key| key.name);
    out.push('{');
    for key in keys {
        let Some(value) = fields.get(key.name) else {
            continue;
        };
        if is_default(key, value) {
            continue;
        }
        out.push_str(key.name);
        out.push('=');
        match &key.kind {
            Kind::Table(shape) => table(out, value.clone(), shape, names),
            Kind::Tables(shape) | Kind::SomeTables(_, shape) => {
                out.push('[');
                for element in value.as_array().into_iter().flatten() {
                    table(out, element.clone(), shape, names);
                }
                out.push(']');
            }
            Kind::Node
            | Kind::Nodes
            | Kind::SomeNodes
            | Kind::StepNodes
            | Kind::SomeStepNodes
            | Kind::OnNodes
            | Kind::Observers
            | Kind::Groups => put(out, &chosen(value, names)),
            Kind::NodesOr(..) => put(out, &named(value.get(NODES_FIELD).unwrap_or(value), names)),
            _ => put(out, value),
        }
        out.push(';');
    }
    out.push('}');
}

fn put(out: &mut String, value: &Json) {
    write!(out, "{value}").expect("a string takes all text");
}

/// [`named`], of a choice, too.
fn chosen(value: &Json, names: &[NodeId]) -> Json {
    match (value.get("random"), value.get("of")) {
        (Some(count), Some(of)) => serde_json::json!({ "of": named(of, names), "random": count }),
        (Some(_) | None, Some(_) | None) => named(value, names),
    }
}

/// A value with the names of the nodes that it has as numbers.
fn named(value: &Json, names: &[NodeId]) -> Json {
    match value {
        Json::Number(node) => {
            let place = node.as_u64().and_then(|node| usize::try_from(node).ok());
            let name = place.and_then(|place| names.get(place));
            name.map_or("", NodeId::as_str).into()
        }
        Json::Array(values) => values.iter().map(|value| named(value, names)).collect(),
        Json::Null | Json::Bool(_) | Json::String(_) | Json::Object(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::scenario::Scenario;

    /// The canonical texts of the steps of a cluster of so many nodes.
    fn texts(nodes: &str, steps: &str) -> Vec<String> {
        let file = format!("schema = 1\n[cluster]\n{nodes}\n{steps}");
        let scenario = Scenario::read("x.toml", file.as_bytes(), &Catalog::default());
        let scenario = scenario.unwrap_or_else(|problems| panic!("{:?}", problems.problems()));
        let names = &scenario.cluster.nodes;
        let steps = scenario.steps.iter();
        steps.map(|step| canonical(step, names)).collect()
    }

    #[test]
    fn golden_texts_do_not_change() {
        // A change here is SEED-BREAKING.
        let steps = r#"
[[step]]
at = "1s..2s"
partition = { groups = [["b..a"], ["c"]], in_flight = "hold", heal_after = "1s..3s" }
[[step]]
at = "2s..3s"
start_children = { on = "a", ids = ["x", "y-1..y-2"], metadata = { k = "v" }, via = "b" }
[[step]]
at = "3s..4s"
propagate = { from = "a", members = ["b", "a"], requests = [{ register = [{ child = "r", nodes = { c = "p", a = "q" } }] }, { pid_update = { child = "r", node = "a", pid = "p" } }] }
[[step]]
at = "4s"
heal = true
"#;
        expect_test::expect![[r#"
            {at={"between":[1000000,2000000]};partition={groups=[["b","a"],["c"]];heal_after={"between":[1000000,3000000]};in_flight="hold";};}
            {at={"between":[2000000,3000000]};start_children={ids=["x","y-1","y-2"];metadata={"k":"v"};on="a";via="b";};}
            {at={"between":[3000000,4000000]};propagate={from="a";members=["b","a"];requests=[{register=[{child="r";nodes={"c":"p","a":"q"};}];}{pid_update={child="r";node="a";pid="p";};}];};}
            {at={"fixed":4000000};heal=null;}"#]]
        .assert_eq(&texts("names = [\"b\", \"a\", \"c\"]", steps).join("\n"));
    }

    #[test]
    fn what_a_step_says_in_other_words_has_the_same_text() {
        let text = |nodes: u32, step: &str| {
            let step = format!("[[step]]\n{step}\n");
            let nodes = format!("nodes = {nodes}\nstart = [\"n1..n3\"]");
            texts(&nodes, &step).remove(0)
        };
        let cut = text(
            3,
            "at = \"1s\"\ncut = { from = [\"n1..n3\"], to = [\"n2\"] }",
        );
        for other in [
            "at = \"1000ms\"\ncut = { to = [\"n2\"], from = [\"n1\", \"n2\", \"n3\"] }",
            "at = \"1s\"\ncut = { from = \"all\", to = [\"n2\"], in_flight = \"drop\" }",
        ] {
            assert_eq!(text(3, other), cut);
        }
        let spelled = "at = \"1s\"\ncut = { from = [\"n1..n3\"], to = [\"n2\"] }";
        assert_eq!(text(5, spelled), cut);
        let held = "at = \"1s\"\ncut = { from = \"all\", to = [\"n2\"], in_flight = \"hold\" }";
        assert_ne!(text(3, held), cut);
    }
}
