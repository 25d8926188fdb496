//! A vector as a scenario file.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Vector;
use super::action::{self, Audience, Request, What};

/// Longer than any run: nothing periodic happens in it, and Gossip forgets nothing.
const NEVER: &str = "1h";

/// When the scene is set: joins are over.
const SCENE_S: usize = 5;

/// The quiet that each action waits for, far longer than all it can lead to.
const QUIET_S: usize = 1;

/// The scenario file of a vector under a latency law, given as `[network]` writes it.
pub(super) fn text(vector: &Vector, latency: &str) -> Result<String, String> {
    let actions = vector
        .actions
        .iter()
        .map(|text| action::parse(text))
        .collect::<Result<Vec<_>, String>>()?;
    let end = SCENE_S + QUIET_S * (actions.len() + 1);
    let strategy = &vector.strategy.kind;
    let mut file = format!("schema = 1\nname = {}\n\n", quoted(&vector.name));
    let _ = writeln!(
        file,
        "[run]\nduration = \"{end}s\"\nstrategies = [{}]\n",
        quoted(strategy)
    );
    let _ = writeln!(
        file,
        "[cluster]\nnames = {}\nstart = {}\ndiscovery_interval = \"{NEVER}\"\n",
        names(&all_names(vector, &actions)),
        names(&vector.nodes),
    );
    let _ = writeln!(file, "[strategy.{strategy}]\nsync_interval = \"{NEVER}\"");
    for (key, value) in &vector.strategy.parameters {
        let _ = writeln!(file, "{key} = {value}");
    }
    let _ = writeln!(file, "\n[network]\nlatency = {latency}");
    for row in &vector.initial_rows {
        let nodes: BTreeMap<&str, &str> = row
            .nodes
            .iter()
            .map(|(node, pid)| (node.as_str(), pid.as_str()))
            .collect();
        if nodes.len() < row.nodes.len() {
            return Err(format!("the row of {} names a node twice", row.id));
        }
        let rows = format!(
            "[{}]",
            raw_row(
                &row.id,
                row.nodes.iter().map(|(node, pid)| (node, pid)),
                &row.meta
            )
        );
        step(
            &mut file,
            SCENE_S,
            &format!("rows = {{ on = {}, rows = {rows} }}", quoted(&row.at)),
        );
    }
    for (node, view) in &vector.views {
        step(
            &mut file,
            SCENE_S,
            &format!(
                "view = {{ on = {}, nodes = {} }}",
                quoted(node),
                names(view)
            ),
        );
    }
    for (number, action) in actions.iter().enumerate() {
        step(
            &mut file,
            SCENE_S + QUIET_S * (number + 1),
            &written(action),
        );
    }
    // Nothing is claimed by the file itself; the caller compares.
    let _ = writeln!(file, "\n[[expect]]\nalways = \"no_crash\"");
    Ok(file)
}

/// The nodes that run, then those that are only spoken of.
fn all_names(vector: &Vector, actions: &[action::Action]) -> Vec<String> {
    let in_rows = vector
        .initial_rows
        .iter()
        .flat_map(|row| row.nodes.iter().map(|(node, _)| node));
    let in_views = vector.views.values().flatten();
    let in_actions = actions.iter().flat_map(action::Action::nodes);
    let mut all = vector.nodes.clone();
    for name in in_rows.chain(in_views).chain(in_actions) {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

fn step(file: &mut String, at_s: usize, action: &str) {
    let _ = writeln!(file, "\n[[step]]\nat = \"{at_s}s\"\n{action}");
}

fn written(action: &action::Action) -> String {
    let at = quoted(&action.at);
    match &action.what {
        What::Sync => format!("sync = {{ on = {at} }}"),
        What::Broadcast { to } => format!("broadcast = {{ on = {at}, to = {} }}", names(to)),
        What::Propagate { members, requests } => {
            let members = match members {
                Audience::Word(word) => quoted(word),
                Audience::Nodes(nodes) => names(nodes),
            };
            let requests = requests.iter().map(request).collect::<Vec<_>>().join(", ");
            format!("propagate = {{ from = {at}, members = {members}, requests = [{requests}] }}")
        }
    }
}

fn request(request: &Request) -> String {
    match request {
        Request::Register {
            child,
            nodes,
            pid,
            tag,
        } => {
            format!(
                "{{ register = [{}] }}",
                raw_row(child, nodes.iter().map(|node| (node, pid)), tag)
            )
        }
        Request::Unregister { child, nodes } => {
            format!(
                "{{ unregister = [{{ child = {}, nodes = {} }}] }}",
                quoted(child),
                names(nodes)
            )
        }
        Request::PidUpdate { child, node, pid } => format!(
            "{{ pid_update = {{ child = {}, node = {}, pid = {} }} }}",
            quoted(child),
            quoted(node),
            quoted(pid)
        ),
    }
}

fn raw_row<'a>(
    child: &str,
    entries: impl Iterator<Item = (&'a String, &'a String)>,
    tag: &str,
) -> String {
    let entries = entries
        .map(|(node, pid)| format!("{} = {}", quoted(node), quoted(pid)))
        .collect::<Vec<_>>()
        .join(", ");
    format!(
        "{{ child = {}, nodes = {{ {entries} }}, metadata = {{ tag = {} }} }}",
        quoted(child),
        quoted(tag)
    )
}

fn names(names: &[String]) -> String {
    format!(
        "[{}]",
        names
            .iter()
            .map(|name| quoted(name))
            .collect::<Vec<_>>()
            .join(", ")
    )
}

/// A text as a basic string of TOML, which JSON's strings are.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
