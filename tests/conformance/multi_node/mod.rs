//! `multi_node.json`: whole clusters, as scenario files on many seeds.
//!
//! A vector is translated to a scenario file, which is run under two latency laws on 200 seeds
//! each. The original's choices were really random, so a vector is a sample: what the runs come to
//! must be among its outcomes, must show those that were not rare, and must bracket its counts.

mod action;
mod file;
mod pool;

use std::collections::BTreeMap;

use hublab_sim::catalog::Catalog;
use hublab_strategies::Profile;
use serde::Deserialize;

use crate::Outcomes;
use pool::Pool;

/// Seeds of each latency law.
const SEEDS: u64 = 200;

/// The latency laws, as `[network]` writes them.
const LAWS: [&str; 2] = [
    r#"{ uniform = ["1ms", "10ms"] }"#,
    r#"{ exponential = { min = "100us", mean = "1100us" } }"#,
];

#[derive(Deserialize)]
struct File {
    format: u32,
    scenarios: Vec<Vector>,
}

/// One scenario and what became of it on real nodes.
#[derive(Deserialize)]
struct Vector {
    name: String,
    nodes: Vec<String>,
    strategy: StrategyForm,
    #[serde(default)]
    initial_rows: Vec<InitialRow>,
    #[serde(default)]
    views: BTreeMap<String, Vec<String>>,
    actions: Vec<String>,
    outcomes: Vec<Outcome>,
    sync_casts: Vec<u64>,
    propagate_casts: Vec<u64>,
}

#[derive(Deserialize)]
struct StrategyForm {
    kind: String,
    #[serde(flatten)]
    parameters: BTreeMap<String, serde_json::Value>,
}

/// A row put into the registry of node `at`.
#[derive(Deserialize)]
struct InitialRow {
    at: String,
    id: String,
    nodes: Vec<(String, String)>,
    meta: String,
}

#[derive(Deserialize)]
struct Outcome {
    registries: Registries,
    times: u64,
}

/// The rows of every node, by node and child.
type Registries = BTreeMap<String, Vec<RowForm>>;

/// A row as the vectors show it, its nodes sorted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct RowForm {
    id: String,
    nodes: Vec<(String, Option<String>)>,
    meta: String,
    ttl: bool,
}

pub(crate) fn run(text: &str, profile: Profile) -> Result<Outcomes, String> {
    let mut file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for vector in &mut file.scenarios {
        let parameters = &mut vector.strategy.parameters;
        parameters.insert("profile".to_owned(), profile.as_str().into());
    }
    match file.format {
        1 => Ok(file
            .scenarios
            .into_iter()
            .map(|vector| (vector.name.clone(), check(vector)))
            .collect()),
        other => Err(format!("format {other}: only 1 is known")),
    }
}

fn check(mut vector: Vector) -> Result<(), String> {
    for rows in vector
        .outcomes
        .iter_mut()
        .flat_map(|outcome| outcome.registries.values_mut())
    {
        rows.iter_mut().for_each(|row| row.nodes.sort());
        rows.sort();
    }
    let catalog = Catalog::default();
    let mut pool = Pool::default();
    for law in LAWS {
        pool.fill(&vector, &file::text(&vector, law)?, &catalog)?;
    }
    pool.judge(&vector)
}
