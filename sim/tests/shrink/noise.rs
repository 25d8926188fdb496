//! What is to vanish.

use std::time::Duration;

use hublab_sim::scenario::{Action, Channels, Children, LinkChange, Order, Scenario, Step, When};
use hublab_strategies::{ChildId, Metadata, NodeId};

/// Adds what has nothing to do with the failure: two nodes, ten steps, six children, settings.
pub(crate) fn noisy(mut scenario: Scenario) -> Scenario {
    let first = u32::try_from(scenario.cluster.nodes.len()).expect("a small cluster");
    for number in 1..=2 {
        scenario
            .cluster
            .nodes
            .push(NodeId::from(format!("z{number}")));
        scenario.cluster.start.push(first + number - 1);
    }
    for groups in scenario.steps.iter_mut().filter_map(|step| {
        if let Action::Partition { groups, .. } = &mut step.action {
            Some(groups)
        } else {
            None
        }
    }) {
        groups
            .last_mut()
            .expect("a group")
            .extend([first, first + 1]);
    }
    let start = |on, child: &str| Action::StartChildren {
        on,
        children: Children::Ids(vec![
            ChildId::from(child),
            ChildId::from(format!("{child}2")),
        ]),
        metadata: Metadata::from_iter([("team", "red")]),
        replicas: Vec::new(),
        announce: true,
        via: None,
    };
    let noise = [
        (2_300, start(first, "noise")),
        (2_700, start(first + 1, "hum")),
        (3_100, Action::Sync(first)),
        (4_150, start(first, "buzz")),
        (
            5_010,
            Action::RestartChild {
                on: first,
                child: ChildId::from("noise"),
            },
        ),
        (6_205, Action::Pause(vec![first + 1])),
        (7_333, Action::Resume(vec![first + 1])),
        (
            8_123,
            Action::StopChildren {
                on: first,
                children: Children::Ids(vec![ChildId::from("noise")]),
                via: None,
            },
        ),
        (
            9_001,
            Action::Link(LinkChange {
                from: vec![first],
                to: vec![first + 1],
                channels: Channels::default(),
                both: false,
                latency: None,
                loss: None,
                duplicate: None,
                order: Some(Order::Any),
                bytes_per_second: None,
            }),
        ),
        (
            9_777,
            Action::Broadcast {
                on: first,
                to: vec![first + 1],
            },
        ),
    ];
    let at = |ms| When::Fixed(Duration::from_millis(ms));
    let steps = noise
        .into_iter()
        .map(|(ms, action)| Step::new(at(ms), action));
    scenario.steps.extend(steps);
    scenario.network.send_gap = Duration::from_micros(20);
    scenario
}
