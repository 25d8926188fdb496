//! Which [`Feature`]s a scenario has: what the conditions of claims are about.

use std::collections::{BTreeMap, BTreeSet};

use hublab_strategies::strategy::{Claim, Feature};
use hublab_strategies::{ChildId, Metadata};

use super::model::{Action, Children, LinkChange, NodeIx, Order, Scenario};
use crate::catalog::CatalogEntry;

/// The features of a resolved scenario.
#[must_use]
pub fn of(scenario: &Scenario) -> BTreeSet<Feature> {
    let mut found = BTreeSet::new();
    let mut hosts = Hosts::default();
    let base = &scenario.network.base;
    note(&mut found, Feature::Loss, base.loss > 0.0);
    note(&mut found, Feature::Duplication, base.duplicate > 0.0);
    note(&mut found, Feature::Reorder, base.order == Order::Any);
    for change in &scenario.network.links {
        links(change, &mut found);
    }
    let cluster = &scenario.cluster;
    let is_late = cluster.start.len() < cluster.nodes.len();
    note(&mut found, Feature::Churn, is_late);
    let busy = u32::try_from(cluster.nodes.len()).unwrap_or(u32::MAX);
    let debounce = cluster.join_debounce.saturating_mul(busy);
    let is_long = debounce >= cluster.discovery_interval;
    note(&mut found, Feature::LongDebounce, is_long);
    for step in &scenario.steps {
        found.extend(feature(&step.action));
        if let Action::Link(change) = &step.action {
            links(change, &mut found);
        }
        hosts.follow(&step.action);
    }
    note(&mut found, Feature::SharedIds, hosts.share());
    note(&mut found, Feature::NewMetadata, hosts.has_new_metadata);
    let empty: Vec<NodeIx> = (0..)
        .take(cluster.nodes.len())
        .filter(|node| hosts.is_empty(*node))
        .collect();
    let first = (0..).zip(&cluster.nodes).min_by_key(|(_, name)| *name);
    let is_first = |node: &NodeIx| first.is_some_and(|(first, _)| first == *node);
    note(&mut found, Feature::EmptyNode, !empty.is_empty());
    note(&mut found, Feature::EmptyFirst, empty.iter().any(is_first));
    let was_host = empty.iter().any(|node| hosts.ever.contains(node));
    note(&mut found, Feature::VacatedNode, was_host);
    found
}

/// The claims of a strategy whose condition a resolved scenario meets.
#[must_use]
pub fn claims_met(entry: &dyn CatalogEntry, scenario: &Scenario) -> Vec<&'static Claim> {
    let features = of(scenario);
    let is_met = |claim: &&Claim| {
        let mut without = claim.condition.without.iter();
        !without.any(|feature| features.contains(feature))
    };
    entry.claims().iter().filter(is_met).collect()
}

fn note(found: &mut BTreeSet<Feature>, feature: Feature, is_there: bool) {
    if is_there {
        found.insert(feature);
    }
}

fn links(change: &LinkChange, found: &mut BTreeSet<Feature>) {
    let is_some = |chance: Option<f64>| chance.is_some_and(|chance| chance > 0.0);
    note(found, Feature::Loss, is_some(change.loss));
    note(found, Feature::Duplication, is_some(change.duplicate));
    note(found, Feature::Reorder, change.order == Some(Order::Any));
}

/// What a step alone says.
fn feature(action: &Action) -> Option<Feature> {
    match action {
        Action::Join(_) | Action::Leave(_) | Action::Crash(_) | Action::Restart(_) => {
            Some(Feature::Churn)
        }
        Action::Pause(_) | Action::Partition { .. } | Action::Cut { .. } => {
            Some(Feature::Disconnection)
        }
        Action::Clock { .. } => Some(Feature::ClockStep),
        Action::StopChildren { .. } | Action::RestartChild { .. } => Some(Feature::ChildChange),
        Action::StartChildren {
            announce: false, ..
        } => Some(Feature::SilentStart),
        Action::Propagate { .. } => Some(Feature::RawRequests),
        Action::Rows { .. } => Some(Feature::RawRows),
        Action::View { .. } => Some(Feature::WrongView),
        Action::Resume(_)
        | Action::Heal
        | Action::Link(_)
        | Action::StartChildren { .. }
        | Action::Sync(_)
        | Action::Broadcast { .. } => None,
    }
}

/// Where children are started, as far as the script alone tells.
#[derive(Debug, Default)]
struct Hosts {
    /// What each node runs for sure: started there without a message.
    running: BTreeMap<NodeIx, BTreeSet<ChildId>>,
    /// Every node that an id was ever started on.
    owners: BTreeMap<ChildId, BTreeSet<NodeIx>>,
    /// The metadata that an id was started with last on a node.
    metadata: BTreeMap<(NodeIx, ChildId), Metadata>,
    has_new_metadata: bool,
    /// Every node that anything was ever started on.
    ever: BTreeSet<NodeIx>,
}

impl Hosts {
    fn follow(&mut self, action: &Action) {
        if let Action::StartChildren {
            on,
            children,
            metadata,
            replicas,
            via,
            ..
        } = action
        {
            for node in std::iter::once(on).chain(replicas) {
                self.start(*node, children, metadata, via.unwrap_or(*on) == *node);
            }
        } else if let Action::StopChildren { on, children, .. } = action {
            let running = self.running.entry(*on).or_default();
            for id in children.ids() {
                running.remove(&id);
            }
        } else if let Action::Crash(nodes) | Action::Leave(nodes) = action {
            self.running.retain(|node, _| !nodes.contains(node));
        }
    }

    fn start(&mut self, node: NodeIx, children: &Children, metadata: &Metadata, is_sure: bool) {
        self.ever.insert(node);
        for id in children.ids() {
            self.owners.entry(id.clone()).or_default().insert(node);
            let before = self.metadata.insert((node, id.clone()), metadata.clone());
            self.has_new_metadata |= before.is_some_and(|before| before != *metadata);
            if is_sure {
                self.running.entry(node).or_default().insert(id);
            }
        }
    }

    fn share(&self) -> bool {
        self.owners.values().any(|owners| owners.len() > 1)
    }

    fn is_empty(&self, node: NodeIx) -> bool {
        self.running.get(&node).is_none_or(BTreeSet::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn features(lines: &str) -> Vec<Feature> {
        let text = format!("schema = 1\n[cluster]\nnodes = 2\n{lines}");
        let read = Scenario::read("lab.toml", text.as_bytes(), &Catalog::default());
        let scenario = read.expect("a good file");
        of(&scenario).into_iter().collect()
    }

    fn step(action: &str) -> String {
        format!("[[step]]\nat = '1s'\n{action}\n")
    }

    fn start(on: &str, rest: &str) -> String {
        step(&format!(
            "start_children = {{ on = '{on}', ids = ['{on}']{rest} }}"
        ))
    }

    #[test]
    fn a_quiet_cluster_whose_nodes_all_host_has_no_features() {
        assert_eq!(features(&(start("n1", "") + &start("n2", ""))), []);
        assert_eq!(features(&start("n1", "")), [Feature::EmptyNode]);
        assert_eq!(
            features(&start("n2", "")),
            [Feature::EmptyNode, Feature::EmptyFirst]
        );
        assert_eq!(
            features(&(start("n1", "") + &start("n2", ", via = 'n1'"))),
            [Feature::EmptyNode, Feature::VacatedNode],
            "a request to start may be lost"
        );
    }

    #[test]
    fn each_feature_is_seen_where_it_is_and_only_there() {
        let hosted = start("n1", "") + &start("n2", "");
        let propagate = "propagate = { from = 'n1', requests = [{ unregister = [{ child = 'x', nodes = ['n1'] }] }] }";
        let rows = "rows = { on = 'n1', rows = [{ child = 'x', nodes = { n1 = 'p' } }] }";
        let cases = [
            (step(propagate), Feature::RawRequests),
            (step(rows), Feature::RawRows),
            (
                step("view = { on = 'n1', nodes = ['n1'] }"),
                Feature::WrongView,
            ),
            (
                step("clock = { nodes = ['n1'], jump = '1s' }"),
                Feature::ClockStep,
            ),
            ("[network]\nloss = 0.1\n".to_owned(), Feature::Loss),
            (
                step("link = { from = ['n1'], to = ['n2'], loss = 0.1 }"),
                Feature::Loss,
            ),
            (
                "[network]\nduplicate = 0.1\n".to_owned(),
                Feature::Duplication,
            ),
            ("[network]\norder = 'any'\n".to_owned(), Feature::Reorder),
            (step("pause = { nodes = ['n1'] }"), Feature::Disconnection),
            (
                step("restart_child = { on = 'n1', id = 'n1' }"),
                Feature::ChildChange,
            ),
            (start("n1", ", announce = false"), Feature::SilentStart),
            (start("n1", ", replicas = ['n2']"), Feature::SharedIds),
            (
                start("n1", ", metadata = { v = '1' }"),
                Feature::NewMetadata,
            ),
        ];
        for (lines, feature) in cases {
            let text = if lines.starts_with("[network]") {
                lines.clone() + &hosted
            } else {
                hosted.clone() + &lines
            };
            assert_eq!(features(&text), [feature], "{lines}");
        }
        let crashed = hosted + &step("crash = { nodes = ['n1'] }");
        let empty = [
            Feature::EmptyNode,
            Feature::EmptyFirst,
            Feature::VacatedNode,
        ];
        assert_eq!(features(&crashed)[1..], empty);
        assert_eq!(features(&crashed)[0], Feature::Churn);
    }
}
