//! How large a scenario is: what `check` prints, and when `run` wants `--big`.

use std::time::Duration;

use crate::catalog::{Catalog, Params};
use crate::model::{Action, Scenario};

/// More nodes than this want `--big`.
const NODES_WITHOUT_BIG: usize = 2_000;

/// The memory of a (node, row) pair, a directed pair of nodes, and a node, in bytes.
const ROW_BYTES: u64 = 100;
const PAIR_BYTES: u64 = 64;
const NODE_BYTES: u64 = 4_096;

/// Messages of one round of a strategy that forwards what it hears, by number of nodes: measured
/// with Gossip at its defaults.
const ROUND_OF_FORWARDERS: &[(f64, f64)] = &[
    (2.0, 6.0),
    (3.0, 20.0),
    (5.0, 170.0),
    (7.0, 1_000.0),
    (20.0, 100_000.0),
];

/// The size of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// Nodes in the file.
    pub nodes: usize,
    /// Steps.
    pub steps: usize,
    /// Children that the steps start, counted once per node they start on.
    pub children: u64,
    /// One line per strategy of the run.
    pub strategies: Vec<StrategyEstimate>,
    /// True if `run` needs `--big`.
    pub wants_big: bool,
}

/// The size of the runs of one strategy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrategyEstimate {
    /// Its name.
    pub strategy: String,
    /// Messages per second of virtual time in the steady state, all kinds together.
    pub messages_per_second: u64,
    /// Memory of the cluster, in bytes, when every node knows every child.
    pub memory_bytes: u64,
}

/// Returns whether `run` wants `--big`: more than 2,000 nodes.
#[must_use]
pub fn wants_big(scenario: &Scenario) -> bool {
    scenario.cluster.nodes.len() > NODES_WITHOUT_BIG
}

/// Estimates a scenario: the order of magnitude, not the number.
#[must_use]
pub fn estimate(scenario: &Scenario, catalog: &Catalog) -> Estimate {
    let nodes = scenario.cluster.nodes.len();
    let children = scenario
        .steps
        .iter()
        .map(|step| started(&step.action))
        .fold(0, u64::saturating_add);
    let strategies = scenario.run.strategies.iter().map(|name| {
        let mut parameters = catalog
            .get(name)
            .map(|entry| entry.defaults())
            .unwrap_or_default();
        parameters.extend(scenario.strategies.get(name).cloned().unwrap_or_default());
        let interval = catalog
            .get(name)
            .and_then(|entry| entry.round_interval(&parameters));
        StrategyEstimate {
            strategy: name.clone(),
            messages_per_second: messages_per_second(scenario, &parameters, interval),
            memory_bytes: memory_bytes(nodes as u64, children),
        }
    });
    Estimate {
        nodes,
        steps: scenario.steps.len(),
        children,
        strategies: strategies.collect(),
        wants_big: wants_big(scenario),
    }
}

fn started(action: &Action) -> u64 {
    if let Action::StartChildren {
        children, replicas, ..
    } = action
    {
        (children.len() as u64).saturating_mul(replicas.len() as u64 + 1)
    } else {
        0
    }
}

fn memory_bytes(nodes: u64, children: u64) -> u64 {
    let rows = children.saturating_mul(nodes).saturating_mul(ROW_BYTES);
    let pairs = nodes.saturating_mul(nodes).saturating_mul(PAIR_BYTES);
    rows.saturating_add(pairs)
        .saturating_add(nodes.saturating_mul(NODE_BYTES))
}

/// Discovery, every node to every other, and the rounds of the strategy.
fn messages_per_second(
    scenario: &Scenario,
    parameters: &Params,
    interval: Option<Duration>,
) -> u64 {
    #[expect(clippy::cast_precision_loss, reason = "at most 10,000 nodes")]
    let nodes = scenario.cluster.nodes.len() as f64;
    let pairs = nodes * (nodes - 1.0);
    let round = if parameters.contains_key("recipients") {
        round_of_forwarders(nodes)
    } else {
        pairs
    };
    let rounds = interval.map_or(0.0, |interval| round * per_second(interval));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and is not negative"
    )]
    let total = (pairs * per_second(scenario.cluster.discovery_interval) + rounds).round() as u64;
    total
}

fn per_second(interval: Duration) -> f64 {
    1.0 / interval.as_secs_f64().max(1e-6)
}

/// Between the measured points, and beyond the last two, a straight line in logarithms.
fn round_of_forwarders(nodes: f64) -> f64 {
    if nodes < 2.0 {
        return 0.0;
    }
    let segment = ROUND_OF_FORWARDERS
        .windows(2)
        .find(|ends| nodes <= ends[1].0);
    let last = || ROUND_OF_FORWARDERS.windows(2).next_back();
    let Some([(from, low), (to, high)]) = segment.or_else(last) else {
        return 0.0;
    };
    let slope = (libm::log(*high) - libm::log(*low)) / (libm::log(*to) - libm::log(*from));
    low * libm::pow(nodes / from, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_of_forwarders_pass_through_the_measured_points_and_grow_beyond_them() {
        for (nodes, messages) in ROUND_OF_FORWARDERS {
            assert!((round_of_forwarders(*nodes) - messages).abs() < messages * 1e-9);
        }
        assert!(round_of_forwarders(50.0) > 1_000_000.0);
        assert!((round_of_forwarders(1.0)).abs() < f64::EPSILON);
    }

    #[test]
    fn a_file_is_estimated_per_strategy_and_large_clusters_want_big() {
        let read = |nodes: u32| {
            let file = format!(
                "schema = 1\n[cluster]\nnodes = {nodes}\n[[step]]\nat = \"1s\"\nstart_children = {{ on = \"n1\", count = 10, prefix = \"x\", replicas = [\"n2\"] }}\n"
            );
            Scenario::read("x.toml", file.as_bytes(), &Catalog::default()).unwrap()
        };
        let small = estimate(&read(5), &Catalog::default());
        assert_eq!(
            (small.nodes, small.steps, small.children, small.wants_big),
            (5, 1, 20, false)
        );
        let pubsub = small
            .strategies
            .iter()
            .find(|one| one.strategy == "pubsub")
            .unwrap();
        assert_eq!(
            pubsub.messages_per_second, 3,
            "20 pairs every 10 s and 20 every 30 s"
        );
        assert!(!estimate(&read(2_000), &Catalog::default()).wants_big);
        assert!(estimate(&read(2_001), &Catalog::default()).wants_big);
    }
}
