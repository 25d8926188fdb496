//! Settings and strategy parameters by node: `[cluster]` and `[network]` with the overrides of
//! `[[cluster.node]]`, and the parameters that a `restart` sets.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::script::planned;
use super::tree::{is_default, maybe_us};
use super::{Action, NodeIx, Scenario};

/// Parameters by the name of their strategy, as JSON, for the catalog.
pub type Parameters = BTreeMap<String, Map<String, Value>>;

/// `[[cluster.node]]`: other values for some nodes; `None` keeps the value. Later entries win.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeOverride {
    /// Which nodes.
    pub names: Vec<NodeIx>,
    /// Time a receiver is busy per message.
    #[serde(default, with = "maybe_us", skip_serializing_if = "Option::is_none")]
    pub service_time: Option<Duration>,
    /// Time a sender is busy per message.
    #[serde(default, with = "maybe_us", skip_serializing_if = "Option::is_none")]
    pub send_gap: Option<Duration>,
    /// How many messages may wait for it while it is busy; 0 is unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_limit: Option<u64>,
    /// Time between announcements.
    #[serde(default, with = "maybe_us", skip_serializing_if = "Option::is_none")]
    pub discovery_interval: Option<Duration>,
    /// Quiet time after joins and downs.
    #[serde(default, with = "maybe_us", skip_serializing_if = "Option::is_none")]
    pub join_debounce: Option<Duration>,
    /// Silence until a peer is declared down; of two ends' the smaller counts.
    #[serde(default, with = "maybe_us", skip_serializing_if = "Option::is_none")]
    pub down_after: Option<Duration>,
    /// The wall clock from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockStart>,
    /// Parameters of strategies.
    #[serde(default, skip_serializing_if = "is_default")]
    pub strategy: Parameters,
}

impl NodeOverride {
    /// True if it changes nothing.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        let names = self.names.clone();
        let nothing = Self {
            names,
            ..Self::default()
        };
        *self == nothing
    }
}

/// Offset and drift of a node's wall clock at time 0; both 0 is a right clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClockStart {
    /// By how many microseconds it is ahead.
    #[serde(skip_serializing_if = "is_default")]
    pub jump: i64,
    /// How many microseconds it gains per second.
    #[serde(skip_serializing_if = "is_default")]
    pub rate_ppm: i64,
}

/// The settings of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeSettings {
    /// Time a receiver is busy per message.
    pub service_time: Duration,
    /// Time a sender is busy per message.
    pub send_gap: Duration,
    /// How many messages may wait for it while it is busy; 0 is unlimited.
    pub queue_limit: u64,
    /// Time between announcements.
    pub discovery_interval: Duration,
    /// Quiet time after joins and downs.
    pub join_debounce: Duration,
    /// Silence until a peer is declared down.
    pub down_after: Duration,
    /// The wall clock at time 0.
    pub clock: ClockStart,
}

impl NodeSettings {
    /// True if its wall clock is wrong from the start.
    #[must_use]
    pub(crate) fn has_wrong_clock(&self) -> bool {
        self.clock != ClockStart::default()
    }

    /// True if messages may be dropped because too many wait for it.
    #[must_use]
    pub(crate) fn limits_queue(&self) -> bool {
        self.queue_limit > 0 && !self.service_time.is_zero()
    }

    fn apply(&mut self, change: &NodeOverride) {
        let Self {
            service_time,
            send_gap,
            queue_limit,
            discovery_interval,
            join_debounce,
            down_after,
            clock,
        } = self;
        *service_time = change.service_time.unwrap_or(*service_time);
        *send_gap = change.send_gap.unwrap_or(*send_gap);
        *queue_limit = change.queue_limit.unwrap_or(*queue_limit);
        *discovery_interval = change.discovery_interval.unwrap_or(*discovery_interval);
        *join_debounce = change.join_debounce.unwrap_or(*join_debounce);
        *down_after = change.down_after.unwrap_or(*down_after);
        *clock = change.clock.unwrap_or(*clock);
    }
}

/// The parameters that one strategy has in a scenario: which there are, and whose.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSets {
    sets: Vec<Map<String, Value>>,
    /// By node: the place of the set that it boots with next.
    next: Vec<usize>,
    /// By step and node: the set that a `restart` boots it with, from then on.
    at_restart: BTreeMap<(u32, NodeIx), usize>,
}

impl ParameterSets {
    /// Each set once; the first is that of `[strategy]`.
    #[must_use]
    pub fn sets(&self) -> &[Map<String, Value>] {
        &self.sets
    }

    /// The place of the set that a node boots with next.
    #[must_use]
    pub fn of(&self, node: NodeIx) -> usize {
        self.next[node as usize]
    }

    /// A `restart` boots a node: from now on it has the parameters of that step.
    pub fn restarted(&mut self, step: u32, node: NodeIx) {
        if let Some(set) = self.at_restart.get(&(step, node)) {
            self.next[node as usize] = *set;
        }
    }

    fn number(&mut self, set: Map<String, Value>) -> usize {
        let known = self.sets.iter().position(|known| *known == set);
        known.unwrap_or_else(|| {
            self.sets.push(set);
            self.sets.len() - 1
        })
    }

    /// The set that another becomes with further parameters.
    fn extended(&mut self, from: usize, by: &Map<String, Value>) -> usize {
        let mut set = self.sets[from].clone();
        set.extend(by.clone());
        self.number(set)
    }
}

impl Scenario {
    /// The settings of each node.
    #[must_use]
    pub fn node_settings(&self) -> Vec<NodeSettings> {
        let Self {
            cluster, network, ..
        } = self;
        let all = NodeSettings {
            service_time: network.service_time,
            send_gap: network.send_gap,
            queue_limit: network.queue_limit,
            discovery_interval: cluster.discovery_interval,
            join_debounce: cluster.join_debounce,
            down_after: cluster.down_after,
            clock: ClockStart::default(),
        };
        let mut settings = vec![all; cluster.nodes.len()];
        for change in &cluster.overrides {
            for node in &change.names {
                settings[*node as usize].apply(change);
            }
        }
        settings
    }

    /// The parameters of a strategy in a resolved scenario, before anything boots.
    #[must_use]
    pub fn parameter_sets(&self, strategy: &str) -> ParameterSets {
        let all = self.strategies.get(strategy).cloned().unwrap_or_default();
        let mut found = ParameterSets {
            sets: vec![all],
            next: vec![0; self.cluster.nodes.len()],
            at_restart: BTreeMap::new(),
        };
        for change in &self.cluster.overrides {
            if let Some(by) = change.strategy.get(strategy) {
                for node in &change.names {
                    found.next[*node as usize] = found.extended(found.of(*node), by);
                }
            }
        }
        let mut now = found.next.clone();
        let changes = |action: &Action| matches!(action, Action::Restart { strategy: by, .. } if by.contains_key(strategy));
        if !self.steps.iter().any(|step| changes(&step.action)) {
            return found;
        }
        for entry in planned(self) {
            let Some(step) = self.steps.get(entry.step as usize) else {
                continue;
            };
            if let Action::Restart {
                nodes,
                strategy: by,
            } = &step.action
                && let Some(by) = by.get(strategy)
            {
                for node in nodes {
                    let from = now[*node as usize];
                    now[*node as usize] = found.extended(from, by);
                    let set = now[*node as usize];
                    found.at_restart.insert((entry.step, *node), set);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    /// The file, with nodes n1, n2 and n3.
    fn scenario(lines: &str) -> Scenario {
        let text = format!("schema = 1\n{lines}");
        Scenario::read("lab.toml", text.as_bytes(), &Catalog::default())
            .unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    #[test]
    fn later_entries_win_value_by_value() {
        let scenario = scenario(
            "[cluster]\nnodes = 3\njoin_debounce = '1s'\n\
             [[cluster.node]]\nnames = ['n1..n2']\ndown_after = '20s'\nclock = { rate_ppm = 50 }\n\
             [[cluster.node]]\nnames = ['n2']\ndown_after = '5s'\nsend_gap = '1ms'\n",
        );
        let settings = scenario.node_settings();
        let seconds = settings.iter().map(|of| of.down_after.as_secs());
        assert_eq!(seconds.collect::<Vec<_>>(), [20, 5, 60]);
        let rates = settings.iter().map(|of| of.clock.rate_ppm);
        assert_eq!(rates.collect::<Vec<_>>(), [50, 50, 0]);
        let gaps = settings.iter().map(|of| of.send_gap.as_millis());
        assert_eq!(gaps.collect::<Vec<_>>(), [0, 1, 0]);
        assert!(settings.iter().all(|of| of.join_debounce.as_secs() == 1));
    }

    #[test]
    fn a_restart_changes_parameters_from_then_on() {
        let scenario = scenario(
            "[cluster]\nnodes = 3\n[strategy.gossip]\nrecipients = 2\n\
             [[cluster.node]]\nnames = ['n2..n3']\nstrategy = { gossip = { sync_interval = '5s' } }\n\
             [[step]]\nat = '1s'\ncrash = { nodes = ['n2'] }\n\
             [[step]]\nat = '2s'\nrestart = { nodes = ['n2'], strategy = { gossip = { recipients = 1 } } }\n\
             [[step]]\nat = '3s'\ncrash = { nodes = ['n2'] }\n\
             [[step]]\nat = '4s'\nrestart = { nodes = ['n2'], strategy = { pubsub = { sync_interval = '1s' } } }\n",
        );
        let mut sets = scenario.parameter_sets("gossip");
        let shown = sets
            .sets
            .iter()
            .map(|set| Value::from(set.clone()).to_string());
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                r#"{"recipients":2}"#,
                r#"{"recipients":2,"sync_interval":"5s"}"#,
                r#"{"recipients":1,"sync_interval":"5s"}"#,
            ]
        );
        assert_eq!([0, 1, 2].map(|node| sets.of(node)), [0, 1, 1]);
        for (step, node, then) in [(0, 1, 1), (1, 2, 1), (1, 1, 2), (3, 1, 2)] {
            sets.restarted(step, node);
            assert_eq!(sets.of(node), then, "step {step}");
        }
        let pubsub = scenario.parameter_sets("pubsub");
        assert_eq!((pubsub.sets.len(), pubsub.at_restart.len()), (2, 1));
    }
}
