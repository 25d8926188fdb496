//! Starting, stopping and restarting children.

use super::*;
use crate::runtime::ChildResult;

fn request(children: &[&str], announce: bool) -> Letter {
    let (specs, metadata) = (specs(children), Metadata::default());
    Envelope::Children(ChildrenMessage::Start {
        ticket: 9,
        specs,
        metadata,
        announce,
    })
}

fn failed(pid: &str) -> ChildEvent {
    ChildEvent::Failed {
        pid: pid.into(),
        reason: "no".to_owned(),
    }
}

#[test]
fn a_start_is_registered_answered_and_propagated_in_this_order() {
    let mut node = Node::new();
    assert_eq!(
        node.start(&["b", "a"], &["n1"], true),
        ["start b as n1.1.1", "start a as n1.1.2"]
    );
    assert!(node.registry().is_empty());
    assert_eq!(
        node.all_started(),
        [
            "row b: n1=Some(n1.1.1)",
            "row a: n1=Some(n1.1.2)",
            "fact 1 b started n1.1.1",
            "spy: local_change 1",
            "fact 2 a started n1.1.2",
            "spy: local_change 2",
            "answered 5 by n1: b=Ok(n1.1.1) a=Ok(n1.1.2)",
            "spy: propagate External: register b a",
        ]
    );
    let running: Vec<_> = node
        .hub
        .children()
        .map(|(child, pid, _)| format!("{child}={pid}"))
        .collect();
    assert_eq!(running, ["a=n1.1.2", "b=n1.1.1"]);
}

#[test]
fn nothing_is_registered_before_all_outcomes_are_known() {
    let mut node = Node::new();
    node.start(&["a", "b"], &["n1"], true);
    assert!(
        node.children(vec![ChildEvent::Started("n1.1.2".into())])
            .is_empty()
    );
    assert_eq!(
        (node.hub.children().count(), node.hub.sizes().queue),
        (0, 1)
    );
    let effects = node.children(vec![failed("n1.1.1")]);
    assert_eq!(
        effects,
        [
            "row b: n1=Some(n1.1.2)",
            "fact 1 b started n1.1.2",
            "spy: local_change 1",
            "answered 5 by n1: a=Err(\"no\") b=Ok(n1.1.2)",
            "spy: propagate External: register b",
        ]
    );
    assert_eq!(node.hub.sizes().queue, 0);
}

#[test]
fn a_start_that_failed_altogether_is_only_answered() {
    let mut node = Node::new();
    node.start(&["a"], &["n1"], true);
    assert_eq!(
        node.children(vec![failed("n1.1.1")]),
        ["answered 5 by n1: a=Err(\"no\")"]
    );
    assert_eq!(node.hub.children().count(), 0);
}

#[test]
fn a_start_without_announcement_is_not_propagated() {
    let mut node = Node::new();
    node.start(&["a"], &["n1"], false);
    assert_eq!(
        node.all_started().last().unwrap(),
        "answered 5 by n1: a=Ok(n1.1.1)"
    );
}

#[test]
fn other_nodes_get_one_request_each_in_the_order_of_the_targets() {
    let mut node = Node::new();
    assert_eq!(
        node.start(&["a", "b"], &["n3", "n1", "n2"], true),
        [
            "send requests to n3: start 5: a b",
            "start a as n1.1.1",
            "start b as n1.1.2",
            "send requests to n2: start 5: a b",
        ]
    );
}

#[test]
fn more_than_a_thousand_ids_go_to_another_node_in_several_requests() {
    let ids: Vec<String> = (0..2_001).map(|number| format!("c{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut node = Node::new();
    let sizes = |effects: Vec<String>| {
        effects
            .iter()
            .map(|line| line.split(' ').count() - 6)
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(node.start(&ids, &["n2"], true)), [1_000, 1_000, 1]);
    assert_eq!(sizes(node.stop(&ids, "n2")), [1_000, 1_000, 1]);
}

#[test]
fn registrations_are_propagated_ten_thousand_rows_at_a_time() {
    let ids: Vec<String> = (0..10_001).map(|number| format!("c{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut node = Node::new();
    node.start(&ids, &["n1"], true);
    let effects = node.all_started();
    let propagated: Vec<_> = effects
        .iter()
        .filter(|line| line.starts_with("spy: propagate"))
        .collect();
    assert_eq!(propagated.len(), 2);
    assert_eq!(propagated[1], "spy: propagate External: register c10000");
}

#[test]
fn a_request_of_another_node_is_answered_to_it() {
    let mut node = Node::new();
    assert_eq!(
        node.letter("n2", &request(&["a"], true)),
        ["start a as n1.1.1"]
    );
    assert_eq!(
        node.all_started()[3..],
        [
            "send requests to n2: answer 9: a=Ok(n1.1.1)",
            "spy: propagate External: register a"
        ]
    );
    let results = vec![ChildResult {
        child: "x".into(),
        outcome: Ok("p".into()),
    }];
    let answer = Envelope::Children(ChildrenMessage::Answer { ticket: 4, results });
    assert_eq!(node.letter("n2", &answer), ["answered 4 by n2: x=Ok(p)"]);
}

#[test]
fn starting_what_runs_already_replaces_it() {
    let mut node = Node::hosting(&["a"]);
    let metadata: Metadata = [("team", "blue")].into_iter().collect();
    let command = Command::StartChildren {
        ticket: 8,
        specs: specs(&["a"]),
        metadata: metadata.clone(),
        targets: names(&["n1"]),
        announce: true,
    };
    assert_eq!(
        node.command(command),
        [
            "stop n1.1.1",
            "fact 2 a stopped n1.1.1",
            "spy: local_change 2",
            "start a as n1.1.2"
        ]
    );
    assert!(
        node.children(vec![ChildEvent::Crashed("n1.1.1".into())])
            .is_empty(),
        "it was replaced"
    );
    assert_eq!(
        node.all_started().last().unwrap(),
        "spy: propagate External: register a"
    );
    assert_eq!(
        node.hub.registry().get(&"a".into()).unwrap().metadata,
        &metadata
    );
    assert_eq!(node.registry(), ["a: n1=Some(n1.1.2)"]);
}

#[test]
fn a_failed_replacement_takes_the_old_registration_with_it() {
    let mut node = Node::hosting(&["a"]);
    node.start(&["a"], &["n1"], true);
    assert_eq!(
        node.children(vec![failed("n1.1.2")]),
        [
            "answered 5 by n1: a=Err(\"no\")",
            "spy: propagate Global: unregister a",
            "row a: "
        ]
    );
}

#[test]
fn an_id_twice_in_one_request_runs_once() {
    let mut node = Node::new();
    assert_eq!(
        node.start(&["a", "a"], &["n1"], true),
        ["start a as n1.1.1", "stop n1.1.1", "start a as n1.1.2"]
    );
    let effects = node.all_started();
    assert_eq!(effects[0], "row a: n1=Some(n1.1.2)");
    assert_eq!(
        effects[3],
        "answered 5 by n1: a=Err(\"replaced by a later start\") a=Ok(n1.1.2)"
    );
}

#[test]
fn a_stop_is_unregistered_answered_and_propagated_in_this_order() {
    let mut node = Node::hosting(&["a", "b"]);
    assert_eq!(
        node.stop(&["b", "x", "a"], "n1"),
        [
            "stop n1.1.2",
            "skipped stop x",
            "stop n1.1.1",
            "row b: ",
            "row a: ",
            "fact 3 b stopped n1.1.2",
            "spy: local_change 3",
            "fact 4 a stopped n1.1.1",
            "spy: local_change 4",
            "answered 6 by n1: b=Ok(n1.1.2) x=Err(\"does not run here\") a=Ok(n1.1.1)",
            "spy: propagate External: unregister b a",
        ]
    );
    assert_eq!(node.hub.sizes().tombstones, 2);
}

#[test]
fn a_stop_with_nothing_to_stop_sends_nothing_but_an_answer() {
    let mut node = Node::new();
    assert_eq!(
        node.stop(&["x"], "n1"),
        [
            "skipped stop x",
            "answered 6 by n1: x=Err(\"does not run here\")"
        ]
    );
    let children = vec!["x".into()];
    let stop = Envelope::Children(ChildrenMessage::Stop {
        ticket: 9,
        children,
    });
    assert_eq!(
        node.letter("n2", &stop),
        [
            "skipped stop x",
            "send requests to n2: answer 9: x=Err(\"does not run here\")"
        ]
    );
}

#[test]
fn what_is_stopped_while_it_starts_is_never_registered() {
    let mut node = Node::new();
    node.start(&["a"], &["n1"], true);
    assert_eq!(
        node.stop(&["a"], "n1"),
        [
            "stop n1.1.1",
            "answered 5 by n1: a=Err(\"stopped while it was starting\")",
            "answered 6 by n1: a=Ok(n1.1.1)",
            "spy: propagate External: unregister a",
        ]
    );
    assert!(node.all_started().is_empty());
    assert!(node.registry().is_empty());
}

#[test]
fn a_restart_gives_the_next_pid_and_propagates_it_to_all() {
    let mut node = Node::hosting(&["a"]);
    assert_eq!(
        node.command(Command::RestartChild("a".into())),
        ["stop n1.1.1", "start a as n1.1.2"]
    );
    assert_eq!(node.registry(), ["a: n1=Some(n1.1.1)"]);
    assert_eq!(
        node.all_started(),
        [
            "fact 2 a restarted n1.1.2",
            "spy: local_change 2",
            "spy: propagate Global: pid_update a n1 Some(n1.1.2)",
            "row a: n1=Some(n1.1.2)",
        ]
    );
    assert_eq!(
        node.command(Command::RestartChild("x".into())),
        ["skipped restart x"]
    );
}

#[test]
fn a_second_restart_replaces_the_first() {
    let mut node = Node::hosting(&["a"]);
    node.command(Command::RestartChild("a".into()));
    assert_eq!(
        node.command(Command::RestartChild("a".into())),
        ["stop n1.1.2", "start a as n1.1.3"]
    );
    assert!(
        node.children(vec![ChildEvent::Started("n1.1.2".into())])
            .is_empty(),
        "a late outcome"
    );
    assert_eq!(node.all_started()[0], "fact 2 a restarted n1.1.3");
}

#[test]
fn a_restart_that_fails_ends_the_child() {
    let mut node = Node::hosting(&["a"]);
    node.command(Command::RestartChild("a".into()));
    assert_eq!(
        node.children(vec![failed("n1.1.2")]),
        [
            "fact 2 a stopped n1.1.1",
            "spy: local_change 2",
            "spy: propagate Global: unregister a",
            "row a: ",
        ]
    );
}

#[test]
fn a_crashed_child_gets_a_new_process_and_one_that_ended_is_unregistered() {
    let mut node = Node::hosting(&["a", "b"]);
    let events = vec![
        ChildEvent::Crashed("n1.1.1".into()),
        ChildEvent::Exited("n1.1.2".into()),
    ];
    assert_eq!(
        node.children(events),
        [
            "start a as n1.1.3",
            "fact 3 b stopped n1.1.2",
            "spy: local_change 3",
            "spy: propagate Global: unregister b",
            "row b: ",
        ]
    );
    assert_eq!(node.all_started()[0], "fact 4 a restarted n1.1.3");
}

#[test]
fn a_child_that_ends_before_its_request_is_finished_was_never_started() {
    let mut node = Node::new();
    node.start(&["a", "b"], &["n1"], true);
    let pid = || Pid::new("n1.1.1");
    assert!(
        node.children(vec![ChildEvent::Started(pid()), ChildEvent::Exited(pid())])
            .is_empty()
    );
    let effects = node.children(vec![ChildEvent::Started("n1.1.2".into())]);
    assert_eq!(
        effects[3],
        "answered 5 by n1: a=Err(\"ended while it was starting\") b=Ok(n1.1.2)"
    );
}

#[test]
fn outcomes_of_processes_nobody_asked_for_are_ignored() {
    let mut node = Node::hosting(&["a"]);
    let stranger = || Pid::new("n1.1.77");
    let events = vec![
        ChildEvent::Started(stranger()),
        failed("n1.1.77"),
        ChildEvent::Exited(stranger()),
        ChildEvent::Crashed(stranger()),
        ChildEvent::Started("n1.1.1".into()),
    ];
    assert!(node.children(events).is_empty());
}

#[test]
fn a_stop_during_a_restart_reports_the_pid_that_was_registered() {
    let mut node = Node::hosting(&["a"]);
    node.command(Command::RestartChild("a".into()));
    let effects = node.stop(&["a"], "n1");
    assert_eq!(effects[0], "stop n1.1.2");
    assert!(effects.contains(&"fact 2 a stopped n1.1.1".to_owned()));
    assert!(node.all_started().is_empty());
}
