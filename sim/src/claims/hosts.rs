//! Which node hosts what and when, as far as the script alone tells: a start that is not asked for
//! by message is sure, a message may be lost.

use std::collections::{BTreeMap, BTreeSet};

use hublab_strategies::strategy::Feature;
use hublab_strategies::time::micros;
use hublab_strategies::{ChildId, Metadata, Time};

use crate::catalog::CatalogEntry;
use crate::model::{Action, Children, Lifecycle, NodeIx, Scenario};
use crate::watch::facts::Facts;

/// The features that are about hosting, of a resolved scenario.
pub(super) fn features(scenario: &Scenario, entry: &dyn CatalogEntry) -> BTreeSet<Feature> {
    let mut hosts = Hosts::new(scenario.cluster.nodes.len());
    for step in &scenario.steps {
        hosts.follow(Time(micros(step.at.first())), &step.action);
    }
    let interval = Facts::new(scenario, &entry.facts(scenario)).times.sync;
    hosts.features(scenario, interval)
}

#[derive(Debug, Default)]
struct Host {
    /// The children that it runs for sure.
    running: BTreeSet<ChildId>,
    /// Anything was ever started on it.
    ever: bool,
    life: Lifecycle,
    /// Since when it has run something without being paused.
    since: Option<Time>,
    /// The longest time for which it did, in microseconds.
    longest: u64,
}

impl Host {
    /// Ends or begins a time of hosting, whichever the state asks for.
    fn refresh(&mut self, now: Time) {
        let hosts = !self.life.is_paused() && !self.running.is_empty();
        match self.since {
            None if hosts => self.since = Some(now),
            Some(since) if !hosts => {
                self.longest = self.longest.max(now.since(since));
                self.since = None;
            }
            None | Some(_) => {}
        }
    }
}

#[derive(Debug)]
struct Hosts {
    nodes: Vec<Host>,
    /// Every node that an id was ever started on.
    owners: BTreeMap<ChildId, BTreeSet<NodeIx>>,
    /// The metadata that an id was started with last on a node.
    metadata: BTreeMap<(NodeIx, ChildId), Metadata>,
    has_new_metadata: bool,
}

impl Hosts {
    fn new(nodes: usize) -> Self {
        Self {
            nodes: (0..nodes).map(|_| Host::default()).collect(),
            owners: BTreeMap::new(),
            metadata: BTreeMap::new(),
            has_new_metadata: false,
        }
    }

    fn change(&mut self, now: Time, nodes: &[NodeIx], change: impl Fn(&mut Host)) {
        for node in nodes {
            let host = &mut self.nodes[*node as usize];
            change(host);
            host.refresh(now);
        }
    }

    fn follow(&mut self, now: Time, action: &Action) {
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
                let is_sure = via.unwrap_or(*on) == *node;
                self.start(now, *node, (children, metadata), is_sure);
            }
        } else if let Action::StopChildren { on, children, .. } = action {
            let ids = children.ids();
            self.change(now, &[*on], |host| {
                host.running.retain(|id| !ids.contains(id));
            });
        } else if let Some((transition, nodes)) = action.transition() {
            self.change(now, nodes, |host| {
                host.life = transition.target();
                if !host.life.runs() {
                    *host = Host {
                        ever: host.ever,
                        life: host.life,
                        ..Host::default()
                    };
                }
            });
        }
    }

    fn start(
        &mut self,
        now: Time,
        node: NodeIx,
        (children, metadata): (&Children, &Metadata),
        is_sure: bool,
    ) {
        let ids = children.ids();
        for id in &ids {
            self.owners.entry(id.clone()).or_default().insert(node);
            let before = self.metadata.insert((node, id.clone()), metadata.clone());
            self.has_new_metadata |= before.is_some_and(|before| before != *metadata);
        }
        self.change(now, &[node], |host| {
            host.ever = true;
            if is_sure {
                host.running.extend(ids.iter().cloned());
            }
        });
    }

    fn features(mut self, scenario: &Scenario, interval: u64) -> BTreeSet<Feature> {
        let end = Time(micros(scenario.run.duration));
        for host in &mut self.nodes {
            let since = host.since.map_or(0, |since| end.since(since));
            host.longest = host.longest.max(since);
        }
        let names = scenario.cluster.nodes.iter();
        let first = self.nodes.iter().zip(names).min_by_key(|(_, name)| *name);
        let is_empty = |host: &Host| host.longest < interval;
        let found = [
            (
                Feature::SharedIds,
                self.owners.values().any(|owners| owners.len() > 1),
            ),
            (Feature::NewMetadata, self.has_new_metadata),
            (
                Feature::EmptyFirst,
                first.is_some_and(|(host, _)| is_empty(host)),
            ),
            (
                Feature::VacatedNode,
                self.nodes.iter().any(|host| host.ever && is_empty(host)),
            ),
        ];
        found
            .into_iter()
            .filter_map(|(feature, is_there)| is_there.then_some(feature))
            .collect()
    }
}
