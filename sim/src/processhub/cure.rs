//! What prevents each anomaly: the scenario without what the anomaly needs.
//!
//! A predicate tells that a mechanism was at work. Whether it is to blame for a view that stays wrong,
//! tells the same scenario without that mechanism: if the view is wrong there, too, something else is
//! to blame. Each cure takes away one thing and leaves all else as it was, faults of other kinds
//! included. Where a mechanism can be set off in several ways, each has its own cure.

use std::collections::BTreeSet;
use std::time::Duration;

use hublab_strategies::{ChildId, Metadata};

use crate::anomaly::Cure;
use crate::model::{
    Action, Children, InFlight, Latency, LinkChange, NodeIx, NodeOverride, Order, Scenario, Step,
    When,
};

/// The latency of a network on which nothing is late, and the debounce of a view that is never
/// behind. Long enough that cause and effect are not at one instant.
const PROMPT: Duration = Duration::from_micros(1);

/// Time between steps that were at one instant.
const SPACE: Duration = Duration::from_millis(1);

const IN_TIME: Cure = Cure::new("every message arrives at once", deliver_at_once);
const NO_LOSS: Cure = Cure::new("no message is lost at random", lose_nothing);
const NO_CLOCK_STEP: Cure = Cure::new("no clock is changed", |scenario| {
    drop_steps(scenario, |action| matches!(action, Action::Clock { .. }));
    change_nodes(scenario, |of_nodes| of_nodes.clock = None);
});
const SPACED: Cure = Cure::new("no two steps are at one instant", space_steps);
const OWN_VIEWS: Cure = Cure::new("no view is overwritten", |scenario| {
    drop_steps(scenario, |action| matches!(action, Action::View { .. }));
});
const CONNECTED: Cure = Cure::new("all nodes stay connected", |scenario| {
    drop_steps(scenario, |action| {
        matches!(
            action,
            Action::Partition { .. }
                | Action::Cut { .. }
                | Action::Heal
                | Action::Pause(_)
                | Action::Resume(_)
        )
    });
});
const RUNNING: Cure = Cure::new("no node stops", |scenario| {
    drop_steps(scenario, |action| {
        matches!(
            action,
            Action::Crash(_) | Action::Leave(_) | Action::Restart { .. }
        )
    });
});
const MEMBERS: Cure = Cure::new("all nodes start together", start_together);
const NOTICED: Cure = Cure::new("views follow at once", follow_at_once);
const HOSTING: Cure = Cure::new("every node hosts a child from its boot on", host_everywhere);
const BY_NODES: Cure = Cure::new("no row or request is made by hand", |scenario| {
    drop_steps(scenario, |action| {
        matches!(action, Action::Rows { .. } | Action::Propagate { .. })
    });
});
const SAME_METADATA: Cure = Cure::new("no child has metadata", |scenario| {
    for step in &mut scenario.steps {
        if let Action::StartChildren { metadata, .. } = &mut step.action {
            *metadata = Metadata::default();
        }
    }
});

/// The changes each of which prevents an anomaly; none for those that keep no view wrong.
pub(super) fn of(id: &str) -> &'static [Cure] {
    match id {
        "A1" | "A2" | "A3" | "A4" | "G5" => &[IN_TIME],
        "A5" => &[
            IN_TIME, RUNNING, CONNECTED, MEMBERS, NO_LOSS, BY_NODES, OWN_VIEWS,
        ],
        "A6" => &[CONNECTED, RUNNING, MEMBERS],
        "A7" => &[NO_CLOCK_STEP],
        "A8" => &[HOSTING],
        "A9" => &[SAME_METADATA],
        "A10" | "G7" => &[NO_LOSS, CONNECTED, RUNNING, OWN_VIEWS],
        "A14" => &[
            OWN_VIEWS, NOTICED, MEMBERS, CONNECTED, RUNNING, NO_LOSS, BY_NODES,
        ],
        "G1" => &[OWN_VIEWS, CONNECTED, RUNNING],
        "G8" => &[HOSTING, OWN_VIEWS, CONNECTED, RUNNING],
        "G6" => &[BY_NODES],
        "G9" => &[MEMBERS, NOTICED, CONNECTED, RUNNING, OWN_VIEWS],
        "G10" => &[IN_TIME, OWN_VIEWS],
        "G11" => &[NO_CLOCK_STEP, SPACED],
        "M1" => &[NOTICED, CONNECTED, RUNNING],
        "M2" => &[OWN_VIEWS, NOTICED, MEMBERS, CONNECTED, RUNNING],
        "M3" => &[NOTICED, RUNNING],
        "M4" => &[IN_TIME, RUNNING],
        _ => &[],
    }
}

fn drop_steps(scenario: &mut Scenario, is_dropped: impl Fn(&Action) -> bool) {
    scenario.steps.retain(|step| !is_dropped(&step.action));
}

/// Changes what links do, in the network and by steps; what then does nothing goes.
fn change_links(scenario: &mut Scenario, change: impl Fn(&mut LinkChange)) {
    let mut keeps = |link: &mut LinkChange| {
        change(link);
        let LinkChange {
            from: _,
            to: _,
            channels: _,
            both: _,
            latency,
            loss,
            duplicate,
            order,
            bytes_per_second,
        } = link;
        latency.is_some()
            || loss.is_some()
            || duplicate.is_some()
            || order.is_some()
            || bytes_per_second.is_some()
    };
    scenario.network.links.retain_mut(&mut keeps);
    scenario.steps.retain_mut(|step| {
        if let Action::Link(link) = &mut step.action {
            keeps(link)
        } else {
            true
        }
    });
}

/// Changes how nodes differ; what then changes nothing goes.
fn change_nodes(scenario: &mut Scenario, change: impl Fn(&mut NodeOverride)) {
    scenario.cluster.overrides.retain_mut(|of_nodes| {
        change(of_nodes);
        !of_nodes.is_empty()
    });
}

fn deliver_at_once(scenario: &mut Scenario) {
    change_links(scenario, |link| {
        link.latency = None;
        link.duplicate = None;
        link.order = None;
        link.bytes_per_second = None;
    });
    let network = &mut scenario.network;
    network.base.latency = Latency::Constant(PROMPT);
    network.base.duplicate = 0.0;
    network.base.order = Order::Fifo;
    network.base.bytes_per_second = 0;
    network.send_gap = Duration::ZERO;
    network.service_time = Duration::ZERO;
    change_nodes(scenario, |of_nodes| {
        of_nodes.send_gap = None;
        of_nodes.service_time = None;
    });
    drop_steps(scenario, |action| {
        matches!(action, Action::Hold { .. } | Action::Release { .. })
    });
    for step in &mut scenario.steps {
        if let Action::Partition { in_flight, .. } | Action::Cut { in_flight, .. } =
            &mut step.action
            && *in_flight == InFlight::Hold
        {
            *in_flight = InFlight::Deliver;
        }
    }
}

fn lose_nothing(scenario: &mut Scenario) {
    let network = &mut scenario.network;
    network.base.loss = 0.0;
    network.max_message_bytes = 0;
    network.queue_limit = 0;
    change_nodes(scenario, |of_nodes| of_nodes.queue_limit = None);
    change_links(scenario, |link| link.loss = None);
}

fn space_steps(scenario: &mut Scenario) {
    let mut earliest = Duration::ZERO;
    for step in &mut scenario.steps {
        let at = step.at.first().max(earliest);
        if at != step.at.first() {
            step.at = When::Fixed(at);
        }
        earliest = at + SPACE;
    }
}

fn start_together(scenario: &mut Scenario) {
    for step in &scenario.steps {
        if let Action::Join(nodes) = &step.action {
            let start = &mut scenario.cluster.start;
            start.extend(nodes);
            let mut met = BTreeSet::new();
            start.retain(|node| met.insert(*node));
        }
    }
    drop_steps(scenario, |action| matches!(action, Action::Join(_)));
}

fn follow_at_once(scenario: &mut Scenario) {
    scenario.cluster.join_debounce = PROMPT;
    scenario.cluster.crash_detected_after = PROMPT;
    change_nodes(scenario, |of_nodes| of_nodes.join_debounce = None);
}

fn host_everywhere(scenario: &mut Scenario) {
    let mut boots = 0_u32;
    let mut hosting = |at: When, on: NodeIx| {
        boots += 1;
        let children = Children::Ids(vec![ChildId::from(format!("hosted-{boots}"))]);
        let start = Action::StartChildren {
            on,
            children,
            metadata: Metadata::default(),
            replicas: Vec::new(),
            announce: true,
            via: None,
        };
        Step::new(at, start)
    };
    let at_first = scenario.cluster.start.iter();
    let at_first = at_first.map(|node| hosting(When::Fixed(Duration::ZERO), *node));
    let mut steps: Vec<Step> = at_first.collect();
    for step in scenario.steps.drain(..) {
        let booted = if let Action::Join(nodes) | Action::Restart { nodes, .. } = &step.action {
            nodes.clone()
        } else {
            Vec::new()
        };
        let at = step.at;
        steps.push(step);
        steps.extend(booted.into_iter().map(|node| hosting(at, node)));
    }
    scenario.steps = steps;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::Shown;
    use crate::catalog::Catalog;
    use crate::processhub::anomaly::LIST;
    use crate::scenario::resolve;

    #[test]
    fn what_keeps_views_wrong_has_a_cure() {
        let lasts = ["convergence", "no_permanent_ghost", "repair_progress"];
        for anomaly in LIST {
            let is_seen = anomaly.seen_by.iter().any(|name| lasts.contains(name));
            if is_seen && matches!(anomaly.shown, Shown::By(_)) {
                assert!(!of(anomaly.id).is_empty(), "{}", anomaly.id);
            }
        }
    }

    #[test]
    fn a_cure_takes_one_thing_away_and_leaves_the_rest() {
        let text = r#"
            schema = 1
            [cluster]
            nodes = 3
            start = ["n1", "n2"]
            [network]
            latency = { uniform = ["1ms", "9ms"] }
            loss = 0.1
            duplicate = 0.2
            [[network.link]]
            from = ["n1"]
            to = ["n2"]
            loss = 0.5
            latency = { constant = "1s" }
            [[step]]
            at = "1s"
            join = { nodes = ["n3"] }
            [[step]]
            at = "2s"
            start_children = { on = "n1", ids = ["a"], metadata = { k = "v" } }
            [[step]]
            at = "2s"
            clock = { nodes = ["n1"], jump = "-1s" }
            [[step]]
            at = "3s"
            link = { from = ["n1"], to = ["n2"], latency = { constant = "2s" } }
            [[step]]
            at = "4s"
            crash = { nodes = ["n2"] }
            [[step]]
            at = "9s"
            restart = { nodes = ["n2"] }
        "#;
        let catalog = Catalog::default();
        let scenario = Scenario::read("t.toml", text.as_bytes(), &catalog).expect("a scenario");
        let scenario = resolve(&scenario, 1, &catalog);
        let cured = |cure: Cure| {
            let mut cured = scenario.clone();
            (cure.change)(&mut cured);
            cured
        };
        let names = |scenario: &Scenario| -> Vec<&str> {
            let steps = scenario.steps.iter();
            steps.map(|step| step.action.name()).collect()
        };

        let prompt = cured(IN_TIME);
        assert_eq!(prompt.network.base.latency, Latency::Constant(PROMPT));
        assert!(prompt.network.base.loss > 0.0 && prompt.network.base.duplicate == 0.0);
        let link = &prompt.network.links[0];
        assert_eq!((link.loss, link.latency), (Some(0.5), None));
        let kept = ["join", "start_children", "clock", "crash", "restart"];
        assert_eq!(names(&prompt), kept, "the link step has nothing left");

        let whole = cured(NO_LOSS);
        assert_eq!(
            (whole.network.base.loss, whole.network.links[0].loss),
            (0.0, None)
        );
        assert_eq!(names(&whole), names(&scenario));
        assert_eq!(
            names(&cured(RUNNING)),
            ["join", "start_children", "clock", "link"]
        );
        assert_eq!(cured(MEMBERS).cluster.start, [0, 1, 2]);
        assert!(!names(&cured(NO_CLOCK_STEP)).contains(&"clock"));

        let spaced = cured(SPACED);
        let at: Vec<u128> = spaced
            .steps
            .iter()
            .map(|step| step.at.first().as_millis())
            .collect();
        assert_eq!(at, [1_000, 2_000, 2_001, 3_000, 4_000, 9_000]);

        let hosting = cured(HOSTING);
        let on: Vec<NodeIx> = hosting
            .steps
            .iter()
            .filter_map(|step| {
                if let Action::StartChildren { on, .. } = step.action {
                    Some(on)
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(
            on,
            [0, 1, 2, 0, 1],
            "both at first, n3 and n2 when they boot"
        );
    }
}
