//! Which [`Feature`]s a scenario has: what the conditions of claims are about.

mod hosts;

use std::collections::BTreeSet;

use hublab_strategies::strategy::{Claim, Feature};

use crate::catalog::CatalogEntry;
use crate::model::{Action, LinkChange, NodeSettings, Order, Scenario, Step};

/// The features of a resolved scenario under one strategy.
#[must_use]
pub fn of(scenario: &Scenario, entry: &dyn CatalogEntry) -> BTreeSet<Feature> {
    let mut found = BTreeSet::new();
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
    note(
        &mut found,
        Feature::LongDebounce,
        has_long_debounce(scenario),
    );
    let settings = scenario.node_settings();
    let is_wrong = settings.iter().any(NodeSettings::has_wrong_clock);
    note(&mut found, Feature::ClockStep, is_wrong);
    let is_limited = settings.iter().any(NodeSettings::limits_queue);
    let drops = scenario.network.max_message_bytes > 0 || is_limited;
    note(&mut found, Feature::Loss, drops);
    for step in &scenario.steps {
        found.extend(feature(&step.action));
        let is_return = matches!(step.action, Action::Restart { .. });
        note(&mut found, Feature::Return, is_return);
        if let Action::Link(change) = &step.action {
            links(change, &mut found);
        }
        let is_hold = matches!(step.action, Action::Hold { .. });
        note(&mut found, Feature::Reorder, is_hold);
    }
    found.extend(hosts::features(scenario, entry));
    found
}

/// The claims of a strategy whose condition a resolved scenario meets.
#[must_use]
pub fn claims_met(entry: &dyn CatalogEntry, scenario: &Scenario) -> Vec<&'static Claim> {
    let features = of(scenario, entry);
    let is_met = |claim: &&Claim| {
        let mut without = claim.condition.without.iter();
        !without.any(|feature| features.contains(feature))
    };
    entry.claims().iter().filter(is_met).collect()
}

/// Nodes that boot together announce themselves together; pauses, boots and joins spread that over
/// the interval.
fn has_long_debounce(scenario: &Scenario) -> bool {
    let cluster = &scenario.cluster;
    let shifts = |step: &Step| {
        matches!(
            step.action,
            Action::Pause(_) | Action::Join(_) | Action::Restart { .. }
        )
    };
    let others = u32::try_from(cluster.nodes.len().saturating_sub(1)).unwrap_or(u32::MAX);
    let is_spread = scenario.steps.iter().any(shifts);
    let gaps = if is_spread { others.max(2) } else { 2 };
    let settings = scenario.node_settings();
    let debounce = settings.iter().map(|of| of.join_debounce).max();
    let interval = settings.iter().map(|of| of.discovery_interval).min();
    debounce
        .zip(interval)
        .is_some_and(|(debounce, interval)| debounce.saturating_mul(gaps) >= interval)
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

/// The features of a step alone.
fn feature(action: &Action) -> Option<Feature> {
    match action {
        Action::Join(_) | Action::Leave(_) | Action::Crash(_) | Action::Restart { .. } => {
            Some(Feature::Churn)
        }
        Action::Pause(_) | Action::Partition { .. } | Action::Cut { .. } | Action::Hold { .. } => {
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
        | Action::Release { .. }
        | Action::StartChildren { .. }
        | Action::Sync(_)
        | Action::Broadcast { .. }
        | Action::LeftOut { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    /// Of two nodes with a sync interval of 10 s, in a run of 60 s.
    fn features(lines: &str) -> Vec<Feature> {
        let head = "schema = 1\n[cluster]\nnodes = 2\n[strategy.pubsub]\nsync_interval = '10s'\n";
        let text = format!("{head}{lines}");
        let read = Scenario::read("lab.toml", text.as_bytes(), &Catalog::default());
        let scenario = read.unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        let catalog = Catalog::default();
        let entry = catalog.get("pubsub").expect("a port");
        of(&scenario, entry).into_iter().collect()
    }

    fn step(at: u32, action: &str) -> String {
        format!("[[step]]\nat = '{at}s'\n{action}\n")
    }

    fn start(on: &str, rest: &str) -> String {
        step(
            1,
            &format!("start_children = {{ on = '{on}', ids = ['{on}']{rest} }}"),
        )
    }

    #[test]
    fn a_node_is_empty_unless_it_hosts_a_child_for_a_whole_interval() {
        let stop = |at| step(at, "stop_children = { on = 'n1', ids = ['n1'] }");
        assert_eq!(features(&start("n1", "")), []);
        assert_eq!(features(&start("n2", "")), [Feature::EmptyFirst]);
        assert_eq!(
            features(&(start("n1", "") + &stop(12))),
            [Feature::ChildChange]
        );
        let vacated = [
            Feature::EmptyFirst,
            Feature::VacatedNode,
            Feature::ChildChange,
        ];
        assert_eq!(features(&(start("n1", "") + &stop(10))), vacated);
        assert_eq!(
            features(&start("n1", ", via = 'n2'")),
            [Feature::EmptyFirst, Feature::VacatedNode],
            "a request to start may be lost"
        );
    }

    #[test]
    fn a_pause_does_not_count_as_hosting() {
        let paused = |from, to| {
            step(from, "pause = { nodes = ['n1'] }") + &step(to, "resume = { nodes = ['n1'] }")
        };
        let stop = step(20, "stop_children = { on = 'n1', ids = ['n1'] }");
        let calm = [Feature::Disconnection, Feature::ChildChange];
        assert_eq!(features(&(start("n1", "") + &paused(11, 12) + &stop)), calm);
        let vacated = [
            Feature::Disconnection,
            Feature::EmptyFirst,
            Feature::VacatedNode,
            Feature::ChildChange,
        ];
        assert_eq!(
            features(&(start("n1", "") + &paused(10, 11) + &stop)),
            vacated
        );
    }

    #[test]
    fn each_feature_is_seen_where_it_is_and_only_there() {
        let hosted = start("n1", "") + &start("n2", "");
        let propagate = "propagate = { from = 'n1', requests = [{ unregister = [{ child = 'x', nodes = ['n1'] }] }] }";
        let rows = "rows = { on = 'n1', rows = [{ child = 'x', nodes = { n1 = 'p' } }] }";
        let cases = [
            (step(2, propagate), Feature::RawRequests),
            (step(2, rows), Feature::RawRows),
            (
                step(2, "view = { on = 'n1', nodes = ['n1'] }"),
                Feature::WrongView,
            ),
            (
                step(2, "clock = { nodes = ['n1'], jump = '1s' }"),
                Feature::ClockStep,
            ),
            ("[network]\nloss = 0.1\n".to_owned(), Feature::Loss),
            (
                step(2, "link = { from = ['n1'], to = ['n2'], loss = 0.1 }"),
                Feature::Loss,
            ),
            (
                "[network]\nduplicate = 0.1\n".to_owned(),
                Feature::Duplication,
            ),
            ("[network]\norder = 'any'\n".to_owned(), Feature::Reorder),
            (
                step(20, "pause = { nodes = ['n1'] }"),
                Feature::Disconnection,
            ),
            (
                step(2, "restart_child = { on = 'n1', id = 'n1' }"),
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
        let crash = hosted + &step(20, "crash = { nodes = ['n2'] }");
        assert_eq!(features(&crash), [Feature::Churn, Feature::VacatedNode]);
        let back = crash + &step(30, "restart = { nodes = ['n2'] }");
        assert_eq!(
            features(&back),
            [Feature::Churn, Feature::Return, Feature::VacatedNode]
        );
    }

    #[test]
    fn strategies_speak_of_oracles_and_anomalies_that_there_are() {
        let catalog = Catalog::default();
        for entry in catalog.entries() {
            let claimed = entry.claims().iter();
            let broken = entry.broken().iter();
            let told: Vec<_> = claimed
                .map(|claim| (claim.oracle, claim.narrowed_by))
                .chain(broken.map(|broken| (broken.oracle, broken.by)))
                .collect();
            let mut oracles: Vec<&str> = told.iter().map(|(oracle, _)| *oracle).collect();
            oracles.sort_unstable();
            assert!(
                oracles.windows(2).all(|two| two[0] != two[1]),
                "{oracles:?}"
            );
            for (oracle, anomalies) in told {
                assert!(catalog.oracle(oracle).is_some(), "{oracle}");
                for id in anomalies {
                    assert!(catalog.anomaly(entry.name(), id).is_some(), "{id}");
                }
            }
            // Conditions of a strategy without named anomalies speak for themselves.
            let named = entry
                .claims()
                .iter()
                .filter(|_| entry.anomalies().is_some());
            for claim in named {
                let is_narrow = !claim.condition.without.is_empty();
                assert_eq!(is_narrow, !claim.narrowed_by.is_empty(), "{claim:?}");
            }
        }
    }
}
