//! The runs of one vector, and what they must have in common with the original's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use hublab_sim::catalog::Catalog;
use hublab_sim::run::Simulation;
use hublab_sim::scenario::Scenario;
use hublab_sim::trace::{Event, Payload, Sink};
use hublab_sim::watch::judge::Verdict;
use hublab_strategies::{ChildId, NodeId, Row};

use super::{Outcome, Registries, RowForm, SEEDS, Vector};

/// The share of an outcome, in percent, from which on it must be seen.
const COMMON_PERCENT: u64 = 20;

/// How far a recorded count may lie outside the range of the pool, in percent of its ends.
const SLACK_PERCENT: u64 = 20;

/// What the runs of all latency laws came to.
#[derive(Default)]
pub(super) struct Pool {
    /// How often each outcome was seen.
    outcomes: BTreeMap<Registries, u64>,
    sync_casts: Vec<u64>,
    propagate_casts: Vec<u64>,
}

impl Pool {
    /// Adds the runs of one scenario file.
    pub(super) fn fill(
        &mut self,
        vector: &Vector,
        text: &str,
        catalog: &Catalog,
    ) -> Result<(), String> {
        let scenario = Scenario::read(&vector.name, text.as_bytes(), catalog)
            .map_err(|problems| format!("the translation is refused: {problems:?}\n{text}"))?;
        for seed in 0..SEEDS {
            let fold = Arc::new(Mutex::new(Fold::new(&scenario)));
            let report = Simulation::new(&scenario, catalog)
                .strategy(&vector.strategy.kind)
                .map_err(|error| error.to_string())?
                .seed(seed)
                .sink(Handle(Arc::clone(&fold)))
                .run()
                .map_err(|error| error.to_string())?;
            if report.verdict != Verdict::Pass {
                return Err(format!("seed {seed} ends with {:?}", report.verdict));
            }
            let delivered = |kind: &str| {
                report
                    .messages
                    .by_kind
                    .get(kind)
                    .map_or(0, |counts| counts.delivered)
            };
            self.sync_casts.push(delivered("gossip.sync"));
            self.propagate_casts.push(delivered("gossip.propagate"));
            let registries = fold
                .lock()
                .map_err(|error| error.to_string())?
                .registries(&vector.nodes);
            *self.outcomes.entry(registries).or_insert(0) += 1;
        }
        Ok(())
    }

    /// Compares with what was recorded.
    pub(super) fn judge(&self, vector: &Vector) -> Result<(), String> {
        let mut wrong = Vec::new();
        for (seen, times) in &self.outcomes {
            if !vector
                .outcomes
                .iter()
                .any(|outcome| outcome.registries == *seen)
            {
                wrong.push(format!(
                    "{times} runs came to an outcome that is not recorded: {}",
                    shown(seen)
                ));
            }
        }
        let runs: u64 = vector.outcomes.iter().map(|outcome| outcome.times).sum();
        let is_common = |outcome: &&Outcome| outcome.times * 100 >= runs * COMMON_PERCENT;
        for Outcome { registries, times } in vector.outcomes.iter().filter(is_common) {
            if !self.outcomes.contains_key(registries) {
                let shown = shown(registries);
                wrong.push(format!(
                    "an outcome of {times} of {runs} recorded runs was never seen: {shown}"
                ));
            }
        }
        wrong.extend(out_of_range(
            "sync_casts",
            &vector.sync_casts,
            &self.sync_casts,
        ));
        wrong.extend(out_of_range(
            "propagate_casts",
            &vector.propagate_casts,
            &self.propagate_casts,
        ));
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.join("; "))
        }
    }
}

/// Registries in one line: `n1: a@n2=p[m] b[m] (ttl), n2:`.
fn shown(registries: &Registries) -> String {
    let row = |row: &RowForm| {
        let entry = |(node, pid): &(String, Option<String>)| {
            format!("@{node}={}", pid.as_deref().unwrap_or("nil"))
        };
        let entries: String = row.nodes.iter().map(entry).collect();
        let ttl = if row.ttl { " (ttl)" } else { "" };
        format!(" {}{entries}[{}]{ttl}", row.id, row.meta)
    };
    let node = |(node, rows): (&String, &Vec<RowForm>)| {
        format!("{node}:{}", rows.iter().map(row).collect::<String>())
    };
    registries.iter().map(node).collect::<Vec<_>>().join(", ")
}

/// The recorded counts that the pool's range, widened by the slack, does not hold.
fn out_of_range(what: &str, recorded: &[u64], pool: &[u64]) -> Option<String> {
    let (least, most) = (*pool.iter().min()?, *pool.iter().max()?);
    let is_inside = |count: u64| {
        count * 100 >= least * (100 - SLACK_PERCENT) && count * 100 <= most * (100 + SLACK_PERCENT)
    };
    let outside: Vec<u64> = recorded
        .iter()
        .copied()
        .filter(|count| !is_inside(*count))
        .collect();
    (!outside.is_empty())
        .then(|| format!("{what} {outside:?} were recorded, the runs have {least} to {most}"))
}

/// The registries of all nodes, folded from the changes of their rows.
struct Fold {
    names: Vec<NodeId>,
    rows: BTreeMap<NodeId, BTreeMap<ChildId, Row>>,
}

impl Fold {
    fn new(scenario: &Scenario) -> Self {
        Self {
            names: scenario.cluster.nodes.clone(),
            rows: BTreeMap::new(),
        }
    }

    fn registries(&self, nodes: &[String]) -> Registries {
        let rows = |node: &String| {
            self.rows
                .get(&NodeId::new(node))
                .map(rows_of)
                .unwrap_or_default()
        };
        nodes
            .iter()
            .map(|node| (node.clone(), rows(node)))
            .collect()
    }
}

fn rows_of(rows: &BTreeMap<ChildId, Row>) -> Vec<RowForm> {
    let row = |(child, row): (&ChildId, &Row)| {
        let mut nodes: Vec<_> = row
            .entries
            .iter()
            .map(|entry| {
                (
                    entry.node.to_string(),
                    entry.pid.as_ref().map(ToString::to_string),
                )
            })
            .collect();
        nodes.sort();
        RowForm {
            id: child.to_string(),
            nodes,
            meta: row.metadata.iter().map(|(_, value)| value).collect(),
            ttl: row.expires_at.is_some(),
        }
    };
    let mut rows: Vec<RowForm> = rows.iter().map(row).collect();
    rows.sort();
    rows
}

/// Lets the run feed a fold that the caller reads afterwards.
struct Handle(Arc<Mutex<Fold>>);

impl Sink for Handle {
    fn event(&mut self, event: &Event) {
        let Payload::Row { child, after, .. } = &event.payload else {
            return;
        };
        let mut fold = self
            .0
            .lock()
            .expect("nobody panicked while holding the fold");
        let node = fold.names[event.node as usize].clone();
        let rows = fold.rows.entry(node).or_default();
        match after {
            Some(row) => drop(rows.insert(child.clone(), Row::clone(row))),
            None => drop(rows.remove(child)),
        }
    }
}
