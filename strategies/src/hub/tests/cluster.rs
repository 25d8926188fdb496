//! Boot, membership, periodic work, and commands that are not about children.

use super::*;
use crate::child::Entry;

#[test]
fn a_boot_initialises_announces_and_sets_three_timers() {
    let mut node = Node::new();
    let effects = node.handle(Input::Start);
    assert_eq!(
        effects,
        [
            "spy: start",
            "announce control: discovery 1",
            "timer Discovery in 10000ms",
            "timer Sync in 30000ms",
            "timer Janitor in 15000ms",
        ]
    );
    assert_eq!(node.view(), "n1");
}

#[test]
fn discovery_announces_again_and_again() {
    let effects = Node::new().timer(TimerKey::Discovery);
    assert_eq!(
        effects,
        [
            "announce control: discovery 1",
            "timer Discovery in 10000ms"
        ]
    );
}

#[test]
fn a_round_takes_place_whether_or_not_a_child_was_hosted() {
    let mut node = Node::new();
    assert_eq!(
        node.timer(TimerKey::Sync),
        ["spy: round in view n1", "timer Sync in 30000ms"]
    );
    assert_eq!(node.command(Command::Sync), ["spy: round in view n1"]);
}

#[test]
fn a_strategy_hears_of_connections() {
    let mut node = Node::new();
    assert_eq!(node.up("n2"), ["spy: peer_up n2 7"]);
}

#[test]
fn announcements_are_collected_until_a_quiet_time_has_passed() {
    let mut node = Node::new();
    node.up("n3");
    node.up("n2");
    assert_eq!(node.announcement_of("n3"), ["timer Debounce in 500ms"]);
    assert_eq!(node.announcement_of("n2"), ["timer Debounce in 500ms"]);
    assert_eq!(node.announcement_of("n3"), ["timer Debounce in 500ms"]);
    assert_eq!(node.view(), "n1");
    assert_eq!(
        node.timer(TimerKey::Debounce),
        [
            "spy: joining n3 n2 with [] in view n1",
            "view n1 n3 n2",
            "spy: member_up n3 7",
            "spy: member_up n2 7",
            "spy: view_changed to n1 n3 n2"
        ]
    );
    assert!(
        node.announcement_of("n2").is_empty(),
        "one of a member changes nothing"
    );
    assert!(node.timer(TimerKey::Debounce).is_empty());
}

#[test]
fn join_data_go_out_before_the_newcomers_are_in_the_view() {
    let mut node = Node::hosting(&["a"]);
    node.up("n2");
    node.announcement_of("n2");
    let effects = node.timer(TimerKey::Debounce);
    assert_eq!(
        effects,
        [
            "spy: joining n2 with [a] in view n1",
            "view n1 n2",
            "spy: member_up n2 7",
            "spy: view_changed to n1 n2"
        ]
    );
}

#[test]
fn a_newcomer_that_is_not_connected_at_the_flush_is_dropped() {
    let mut node = Node::new();
    node.announcement_of("n2");
    node.up("n3");
    node.announcement_of("n3");
    node.down("n3");
    assert!(node.timer(TimerKey::Debounce).is_empty());
    assert_eq!(node.view(), "n1");
}

#[test]
fn members_that_are_down_leave_together_after_the_quiet_time() {
    let mut node = Node::new().with_members(&["n2", "n3", "n4"]);
    node.command(Command::PutRows(vec![
        row("a", &["n2", "n3"]),
        row("b", &["n4", "n2"]),
    ]));
    assert_eq!(
        node.down("n3"),
        ["spy: peer_down n3 Closed", "timer Debounce in 500ms"]
    );
    assert_eq!(
        node.down("n2"),
        ["spy: peer_down n2 Closed", "timer Debounce in 500ms"]
    );
    assert_eq!(
        node.timer(TimerKey::Debounce),
        [
            "view n1 n4",
            "row a: ",
            "row b: n4=Some(p)",
            "spy: member_down n3 Closed",
            "spy: member_down n2 Closed",
            "spy: view_changed to n1 n4",
        ]
    );
    let tombstone = node.hub.registry().get(&"a".into()).unwrap();
    assert_eq!(tombstone.expires_at, Some(Time(30_000_000)));
}

#[test]
fn a_peer_that_is_back_at_the_flush_stays() {
    let mut node = Node::new().with_members(&["n2"]);
    node.down("n2");
    node.up("n2");
    assert!(node.timer(TimerKey::Debounce).is_empty());
    assert_eq!(node.view(), "n1 n2");
}

#[test]
fn a_down_of_a_stranger_restarts_the_quiet_time_and_leaves_its_rows() {
    let mut node = Node::new();
    node.up("n2");
    node.command(Command::PutRows(vec![row("a", &["n2"])]));
    assert_eq!(
        node.down("n2"),
        ["spy: peer_down n2 Closed", "timer Debounce in 500ms"]
    );
    assert!(node.timer(TimerKey::Debounce).is_empty());
    assert_eq!(node.registry(), ["a: n2=Some(p)"]);
}

#[test]
fn a_good_bye_counts_at_once() {
    let mut node = Node::new().with_members(&["n2"]);
    node.command(Command::PutRows(vec![row("a", &["n2"])]));
    assert_eq!(
        node.letter("n2", &Envelope::Leave),
        [
            "view n1",
            "row a: ",
            "spy: member_down n2 Left",
            "spy: view_changed to n1"
        ]
    );
    assert!(
        node.letter("n2", &Envelope::Leave).is_empty(),
        "it is no member any more"
    );
    assert!(
        node.letter("n1", &Envelope::Leave).is_empty(),
        "nobody leaves oneself"
    );
}

#[test]
fn the_janitor_removes_what_expired_and_comes_again() {
    let mut node = Node::hosting(&["a"]);
    node.stop(&["a"], "n1");
    node.recorder.now = Time(29_999_999);
    assert_eq!(node.timer(TimerKey::Janitor), ["timer Janitor in 15000ms"]);
    assert_eq!(node.hub.sizes().tombstones, 1);
    node.recorder.now = Time(30_000_000);
    assert_eq!(
        node.timer(TimerKey::Janitor),
        ["row a gone", "timer Janitor in 15000ms"]
    );
    assert_eq!(node.hub.sizes(), Sizes::default());
}

#[test]
fn leaving_says_good_bye_and_stops_everything_without_unregistering() {
    let mut node = Node::hosting(&["a", "b"]).with_members(&["n3", "n2"]);
    assert_eq!(
        node.command(Command::Leave),
        [
            "send requests to n2 n3: leave",
            "stop n1.1.1",
            "fact 3 a stopped n1.1.1",
            "spy: local_change 3",
            "stop n1.1.2",
            "fact 4 b stopped n1.1.2",
            "spy: local_change 4",
        ]
    );
    assert_eq!(node.hub.children().count(), 0);
    assert_eq!(node.registry().len(), 2);
}

#[test]
fn a_view_is_taken_as_it_is_and_pending_joins_are_kept() {
    let mut node = Node::new();
    node.up("n2");
    node.announcement_of("n2");
    assert_eq!(
        node.command(Command::SetView(names(&["n9", "n1", "n9"]))),
        ["view n9 n1 n9", "spy: view_changed to n9 n1 n9"]
    );
    assert_eq!(
        node.timer(TimerKey::Debounce),
        [
            "spy: joining n2 with [] in view n9 n1 n9",
            "view n9 n1 n9 n2",
            "spy: member_up n2 7",
            "spy: view_changed to n9 n1 n9 n2"
        ]
    );
}

#[test]
fn rows_put_in_replace_what_was_there() {
    let mut node = Node::new();
    node.command(Command::PutRows(vec![row("a", &["n2", "n3"])]));
    assert_eq!(
        node.command(Command::PutRows(vec![row("a", &["n4"])])),
        ["row a: n4=Some(p)"]
    );
    assert!(
        node.command(Command::PutRows(vec![row("a", &["n4"])]))
            .is_empty()
    );
}

#[test]
fn broadcast_and_propagate_go_to_the_strategy() {
    let mut node = Node::new();
    node.start(&["a"], &["n1"], false);
    node.all_started();
    assert_eq!(
        node.command(Command::Broadcast(names(&["n2"]))),
        ["spy: joining n2 with [a] in view n1"]
    );
    let update = Request::PidUpdate {
        child: "a".into(),
        node: "n1".into(),
        pid: None,
    };
    assert_eq!(
        node.command(Command::Propagate {
            requests: [update].into(),
            members: Members::Local
        }),
        ["spy: propagate Local: pid_update a n1 None"]
    );
}

#[test]
fn messages_and_timers_of_the_strategy_reach_it() {
    let mut node = Node::new();
    let hello = Envelope::Strategy(Call("hello".into()));
    assert_eq!(node.letter("n2", &hello), ["spy: message hello from n2"]);
    assert_eq!(node.timer(TimerKey::Strategy(3)), ["spy: timer 3"]);
}

#[test]
fn a_suspicion_decides_nothing() {
    let mut node = Node::new().with_members(&["n2"]);
    let suspect = Input::Suspect { node: &"n2".into() };
    assert_eq!(node.handle(suspect), ["spy: suspect n2"]);
    assert_eq!(node.view(), "n1 n2");
}

#[test]
fn a_restarted_peer_is_down_then_up_and_keeps_its_place() {
    let mut node = Node::new().with_members(&["n2"]);
    let reason = DownReason::Restarted;
    node.handle(Input::PeerDown {
        node: &"n2".into(),
        reason,
    });
    node.handle(Input::PeerUp {
        node: &"n2".into(),
        incarnation: 8,
    });
    assert!(
        node.announcement_of("n2").is_empty(),
        "it is still a member: anomaly M1"
    );
    assert!(node.timer(TimerKey::Debounce).is_empty());
}

#[test]
fn rounds_share_one_snapshot_until_a_local_row_changes() {
    let mut node = Node::hosting(&["a"]);
    let snapshot = |node: &mut Node| node.hub.state.local_data().children().as_ptr();
    let first = snapshot(&mut node);
    node.command(Command::PutRows(vec![row("b", &["n2"])]));
    assert_eq!(snapshot(&mut node), first);
    node.command(Command::PutRows(vec![row("b", &["n2", "n1"])]));
    assert_eq!(node.hub.state.local_data().children().len(), 2);
}

fn row(child: &str, nodes: &[&str]) -> Row {
    Row {
        spec: ChildSpec::new(child, "test"),
        entries: names(nodes)
            .into_iter()
            .map(|node| Entry {
                node,
                pid: Some("p".into()),
            })
            .collect(),
        metadata: Metadata::default(),
        entry_metadata: Default::default(),
        expires_at: None,
    }
}
