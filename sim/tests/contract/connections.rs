//! Connections: what closes them, when who learns of it, and what brings them back.

use hublab_sim::trace::event::DropReason;

use crate::lab::{Lab, MS, S};

/// Three nodes; a silence of exactly 10 s is a peer that is down.
fn strict(nodes: usize) -> Lab {
    Lab::of(nodes)
        .set("cluster.down_after = '10s'")
        .set("cluster.down_spread = 0.0")
}

#[test]
fn a_crash_is_known_after_the_delay_of_detection_and_the_latency_from_the_crashed_node() {
    let lab = Lab::of(3).link("from = ['n2']\nto = ['n1']\nlatency = { constant = '40ms' }");
    let past = lab
        .set("cluster.crash_detected_after = '3ms'")
        .step("5s", "crash = { nodes = ['n2'] }")
        .run();
    assert_eq!(past.lines("n1", &["down"]), ["5.043s down n2 Closed"]);
    assert_eq!(past.lines("n3", &["down"]), ["5.008s down n2 Closed"]);
    assert!(
        past.msgs_at(5 * S, "*>* *").is_empty(),
        "the news is a message of no kind"
    );
}

#[test]
fn the_notice_of_a_crash_waits_while_its_link_is_cut() {
    let lab = Lab::of(2)
        .step("4s", "cut = { from = ['n2'], to = ['n1'] }")
        .step("5s", "crash = { nodes = ['n2'] }");
    let past = lab.step("20s", "heal = true").run();
    assert_eq!(past.lines("n1", &["down"]), ["20s down n2 Closed"]);
}

#[test]
fn a_cut_of_the_other_direction_does_not_hold_the_notice_of_a_crash() {
    let lab = Lab::of(2)
        .step("4s", "cut = { from = ['n1'], to = ['n2'] }")
        .step("5s", "crash = { nodes = ['n2'] }");
    assert_eq!(lab.run().lines("n1", &["down"]), ["5.006s down n2 Closed"]);
}

#[test]
fn the_silence_that_runs_meanwhile_may_come_before_the_notice() {
    let lab = strict(2)
        .step("4s", "cut = { from = ['n2'], to = ['n1'] }")
        .step("5s", "crash = { nodes = ['n2'] }");
    assert_eq!(
        lab.step("20s", "heal = true").run().lines("n1", &["down"]),
        ["14s down n2 Silent"]
    );
}

#[test]
fn a_one_way_cut_takes_the_pair_down_at_both_ends() {
    let lab = strict(2).set("strategy.pubsub.sync_interval = '8s'");
    let lab = lab
        .step("1s", "start_children = { on = 'n1', ids = ['a'] }")
        .step("5s", "cut = { from = ['n1'], to = ['n2'] }");
    let past = lab.run();
    assert_eq!(past.lines("n1", &["down"]), ["15s down n2 Silent"]);
    assert_eq!(past.lines("n2", &["down"]), ["15s down n1 Silent"]);
    assert_eq!(
        past.msgs_at(10 * S, "n2>n1 *")[0].arrived(),
        Some(10_005 * MS),
        "until then the other direction delivers"
    );
    assert_eq!(
        past.msgs_at(8 * S, "n1>n2 pubsub.sync")[0].losses,
        [(8 * S, DropReason::Cut)],
        "what is sent into a cut is lost"
    );
}

#[test]
fn loss_and_latency_never_change_a_connection() {
    let lab = strict(2).step(
        "1s",
        "link = { from = ['n1'], to = ['n2'], loss = 1.0, latency = { constant = '30s' } }",
    );
    assert_eq!(lab.run().all_lines(&["down"]).len(), 0);
}

#[test]
fn a_cut_that_does_not_last_takes_nothing_down() {
    let lab = strict(2)
        .step("5s", "partition = { groups = [['n1'], ['n2']] }")
        .step("14999ms", "heal = true");
    assert_eq!(lab.run().all_lines(&["down"]).len(), 0);
}

#[test]
fn a_silence_lasts_while_any_cut_or_pause_does() {
    let lab = strict(2)
        .step(
            "5s",
            "partition = { groups = [['n1'], ['n2']], heal_after = '3s' }",
        )
        .step(
            "7s",
            "cut = { from = ['n2'], to = ['n1'], heal_after = '5s' }",
        )
        .step("11s", "pause = { nodes = ['n2'] }");
    assert_eq!(
        lab.run().lines("n1", &["down"]),
        ["15s down n2 Silent"],
        "10 s from the start of the first"
    );
}

#[test]
fn a_silence_that_was_broken_starts_anew() {
    let lab = strict(2)
        .step(
            "5s",
            "partition = { groups = [['n1'], ['n2']], heal_after = '3s' }",
        )
        .step("9s", "partition = { groups = [['n1'], ['n2']] }");
    assert_eq!(lab.run().lines("n1", &["down"]), ["19s down n2 Silent"]);
}

#[test]
fn each_silence_is_spread_by_a_factor_of_its_own() {
    let lab = strict(4)
        .set("cluster.down_spread = 0.5")
        .step("5s", "partition = { groups = [['n1'], ['n2..n4']] }");
    let past = lab.run();
    let downs = past.all_lines(&["down"]);
    let mut times: Vec<f64> = downs
        .iter()
        .map(|line| line.split('s').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(times.len(), 6, "both ends of three pairs");
    assert!(
        times.iter().all(|time| (10.0..=20.0).contains(time)),
        "{times:?}"
    );
    times.dedup();
    assert_eq!(
        times.len(),
        3,
        "both ends at one instant, each pair at its own"
    );
}

#[test]
fn a_pair_that_was_never_connected_gives_no_peer_down() {
    let lab = strict(3).set("cluster.start = ['n1', 'n2']");
    let lab = lab
        .step("5s", "partition = { groups = [['n1', 'n2'], ['n3']] }")
        .step("6s", "join = { nodes = ['n3'] }");
    let past = lab.step("7s", "crash = { nodes = ['n3'] }").run();
    assert!(past.lines("n3", &["up", "down"]).is_empty());
    assert!(past.all_lines(&["down"]).is_empty());
}

#[test]
fn after_healing_the_next_discovery_connects_at_the_send_and_is_itself_delivered() {
    let past = strict(2)
        .step("5s", "partition = { groups = [['n1'], ['n2']] }")
        .step("22s", "heal = true")
        .run();
    assert_eq!(
        past.lines("n1", &["up", "down"]),
        ["0s up n2/1", "15s down n2 Silent", "30s up n2/1"]
    );
    assert_eq!(
        past.lines("n2", &["up", "down"]),
        ["0s up n1/1", "15s down n1 Silent", "30s up n1/1"]
    );
    assert_eq!(
        past.msgs_at(30 * S, "n1>n2 *")[0].arrived(),
        Some(30_005 * MS)
    );
}

/// Two nodes whose pair is down from 15 s on, the network open again at 22 s.
fn estranged() -> Lab {
    strict(2)
        .step("1s", "start_children = { on = 'n1', ids = ['a'] }")
        .step("5s", "partition = { groups = [['n1'], ['n2']] }")
        .step("22s", "heal = true")
}

#[test]
fn a_request_to_start_children_connects() {
    let past = estranged()
        .step(
            "23s",
            "start_children = { on = 'n2', ids = ['b'], via = 'n1' }",
        )
        .run();
    assert_eq!(past.lines("n2", &["up"]), ["0s up n1/1", "23s up n1/1"]);
    assert_eq!(
        past.msgs_at(23 * S, "n1>n2 hub.children")[0].arrived(),
        Some(23_005 * MS)
    );
}

#[test]
fn a_snapshot_connects() {
    let lab = estranged()
        .step("23s", "view = { on = 'n1', nodes = ['n1', 'n2'] }")
        .step("24s", "sync = { on = 'n1' }");
    let past = lab.run();
    assert_eq!(past.lines("n2", &["up"]), ["0s up n1/1", "24s up n1/1"]);
    assert_eq!(
        past.msgs_at(24 * S, "n1>n2 pubsub.sync")[0].arrived(),
        Some(24_005 * MS)
    );
}

#[test]
fn requests_and_join_data_of_pubsub_never_connect_and_count_nothing_for_the_others() {
    let past = estranged()
        .step("23s", "start_children = { on = 'n1', ids = ['b'] }")
        .step("24s", "broadcast = { on = 'n1', to = ['n2'] }")
        .step("25s", "propagate = { from = 'n1', members = ['n2'], requests = [{ unregister = [{ child = 'a', nodes = ['n1'] }] }] }")
        .run();
    assert_eq!(past.lines("n2", &["up"]), ["0s up n1/1", "30s up n1/1"]);
    assert_eq!(
        past.msgs("n1>n2 pubsub.requests").len(),
        1,
        "that of the first start"
    );
    assert!(
        past.msgs("*>* pubsub.join")
            .iter()
            .all(|message| message.at > 25 * S)
    );
}

#[test]
fn requests_of_pubsub_reach_connected_nodes_outside_the_view() {
    let lab = Lab::of(3)
        .set("cluster.start = ['n1', 'n2']")
        .step("1s", "join = { nodes = ['n3'] }");
    let past = lab
        .step("1100ms", "start_children = { on = 'n1', ids = ['a'] }")
        .run();
    assert_eq!(past.view_of("n1", 1_100 * MS), "n1,n2");
    assert_eq!(past.row_of("n3", "a", 1_105 * MS), "n1=n1.1.1");
}

#[test]
fn messages_to_a_node_that_does_not_run_are_sent_and_lost() {
    let lab = strict(2)
        .set("strategy.pubsub.sync_interval = '8s'")
        .step("1s", "start_children = { on = 'n1', ids = ['a'] }");
    let past = lab.step("7999ms", "crash = { nodes = ['n2'] }").run();
    assert_eq!(
        past.msgs_at(8 * S, "n1>n2 pubsub.sync")[0].losses,
        [(8 * S, DropReason::NotRunning)]
    );
    assert_eq!(past.lines("n1", &["down"]), ["8.005s down n2 Closed"]);
}

#[test]
fn a_restart_before_the_notice_is_seen_as_down_then_up() {
    let past = Lab::of(2)
        .step("5s", "crash = { nodes = ['n2'] }")
        .step("5001ms", "restart = { nodes = ['n2'] }")
        .run();
    assert_eq!(
        past.lines("n1", &["up", "down"]),
        ["0s up n2/1", "5.001s down n2 Restarted", "5.001s up n2/2"]
    );
    assert_eq!(
        past.lines("n2", &["up", "down"]),
        ["0s up n1/1", "5.001s up n1/1"]
    );
}

#[test]
fn a_restart_behind_a_partition_is_seen_at_healing_as_down_then_up() {
    let lab = Lab::of(2)
        .step("4s", "partition = { groups = [['n1'], ['n2']] }")
        .step("5s", "crash = { nodes = ['n2'] }")
        .step("6s", "restart = { nodes = ['n2'] }")
        .step("15s", "heal = true");
    let past = lab.run();
    assert_eq!(
        past.lines("n1", &["up", "down"]),
        ["0s up n2/1", "15s down n2 Closed", "16s up n2/2"]
    );
}

#[test]
fn a_crash_loses_what_is_on_the_way_from_and_to_the_node() {
    let past = Lab::of(3)
        .step("10002ms", "crash = { nodes = ['n2'] }")
        .run();
    for message in past.msgs_at(10 * S, "*>* hub.discovery") {
        let expected = (message.from == "n2" || message.to == "n2")
            .then_some((10_002 * MS, DropReason::Stopped));
        assert_eq!(message.losses.first().copied(), expected, "{message:?}");
    }
}

#[test]
fn a_crash_loses_all_memory() {
    let lab = Lab::of(2)
        .step("1s", "start_children = { on = 'n1', ids = ['a'] }")
        .step("5s", "crash = { nodes = ['n2'] }");
    let past = lab.step("8s", "restart = { nodes = ['n2'] }").run();
    assert_eq!(
        (past.view_of("n2", 8 * S), past.row_of("n2", "a", 8 * S)),
        ("n2".into(), String::new())
    );
    assert_eq!(
        past.row_of("n2", "a", 60 * S),
        "n1=n1.1.1",
        "the others tell it again"
    );
}

#[test]
fn who_leaves_says_so_stops_its_children_and_unregisters_nothing() {
    let lab = Lab::of(3)
        .step("1s", "start_children = { on = 'n2', ids = ['a'] }")
        .step("5s", "leave = { nodes = ['n2'] }");
    let past = lab.run();
    let end = past.lines("n2", &["sends", "ends", "stops"]);
    let end: Vec<_> = end
        .iter()
        .filter_map(|line| line.strip_prefix("5s "))
        .collect();
    assert_eq!(
        end,
        [
            "sends hub.leave n1",
            "sends hub.leave n3",
            "ends a n2.1.1",
            "stops leave"
        ]
    );
    assert_eq!(
        past.lines("n1", &["down"]),
        ["5.006s down n2 Closed"],
        "as after a crash"
    );
    assert_eq!(
        past.view_of("n1", 5_005 * MS),
        "n1,n3",
        "a good-bye is not collected"
    );
    assert_eq!(past.row_of("n1", "a", 5_005 * MS), "");
}

#[test]
fn what_a_leaver_had_sent_is_still_delivered() {
    let past = Lab::of(2)
        .step(
            "4s",
            "link = { from = ['n2'], to = ['n1'], latency = { constant = '2s' } }",
        )
        .step("5s", "start_children = { on = 'n2', ids = ['a'] }")
        .step(
            "5100ms",
            "link = { from = ['n2'], to = ['n1'], latency = { constant = '1ms' } }",
        )
        .step("5200ms", "leave = { nodes = ['n2'] }")
        .run();
    assert_eq!(past.lines("n1", &["down"]), ["5.202s down n2 Closed"]);
    assert_eq!(
        past.msgs_at(5 * S, "n2>n1 pubsub.requests")[0].arrived(),
        Some(7 * S)
    );
    assert_eq!(
        past.msgs("n2>n1 hub.leave")[0].arrived(),
        Some(7 * S),
        "behind the requests, on their channel"
    );
}

#[test]
fn a_good_bye_goes_to_connected_nodes_only() {
    let past = strict(3)
        .step("5s", "pause = { nodes = ['n2'] }")
        .step("20s", "leave = { nodes = ['n2'] }")
        .run();
    assert_eq!(past.lines("n1", &["down"]), ["15s down n2 Silent"]);
    assert!(past.msgs("n2>* hub.leave").is_empty());
    assert_eq!(past.lines("n1", &["up"]), ["0s up n2/1", "0s up n3/1"]);
}

#[test]
fn a_node_that_left_may_return_as_a_new_incarnation() {
    let lab = Lab::of(2)
        .step("5s", "leave = { nodes = ['n2'] }")
        .step("8s", "restart = { nodes = ['n2'] }");
    let past = lab.run();
    assert_eq!(
        past.lines("n1", &["up", "down"]),
        ["0s up n2/1", "5.006s down n2 Closed", "8s up n2/2"]
    );
    assert_eq!(past.view_of("n1", 60 * S), "n1,n2");
}

#[test]
fn a_node_in_no_group_is_cut_off_from_nobody() {
    let lab = strict(3).set("cluster.start = ['n1', 'n2']");
    let past = lab
        .step("5s", "partition = { groups = [['n1'], ['n2']] }")
        .step("6s", "join = { nodes = ['n3'] }")
        .run();
    assert_eq!(
        past.lines("n3", &["up", "down"]),
        ["6s up n1/1", "6s up n2/1"]
    );
}

#[test]
fn a_connected_node_left_out_of_a_view_returns_with_its_next_announcement() {
    let past = Lab::of(2)
        .step("5s", "view = { on = 'n1', nodes = ['n1'] }")
        .run();
    assert_eq!(
        past.lines("n1", &["view"]),
        ["0.505s view n1,n2", "5s view n1", "10.505s view n1,n2"]
    );
}

#[test]
fn a_node_put_into_a_view_that_is_not_there_stays() {
    let lab = Lab::of(3)
        .set("cluster.start = ['n1', 'n2']")
        .step("5s", "view = { on = 'n1', nodes = ['n3', 'n2'] }");
    let past = lab.run();
    assert_eq!(
        past.view_of("n1", 60 * S),
        "n3,n2",
        "in the order given, with or without the node itself"
    );
}

#[test]
fn joins_pending_in_the_debounce_outlive_a_view_step() {
    let lab = Lab::of(3)
        .set("cluster.start = ['n1', 'n2']")
        .step("1s", "join = { nodes = ['n3'] }");
    let past = lab
        .step("1200ms", "view = { on = 'n1', nodes = ['n1'] }")
        .run();
    assert_eq!(past.view_of("n1", 1_505 * MS), "n1,n3");
}

#[test]
fn a_pair_does_not_connect_while_either_direction_is_cut() {
    let past = strict(2)
        .step("5s", "cut = { from = ['n1'], to = ['n2'] }")
        .step(
            "20s",
            "start_children = { on = 'n1', ids = ['a'], via = 'n2' }",
        )
        .run();
    let request = &past.msgs("n2>n1 hub.children")[0];
    assert_eq!(
        request.losses,
        [(20 * S, DropReason::Cut)],
        "n2 could send, but not connect"
    );
    assert_eq!(past.lines("n1", &["up"]), ["0s up n2/1"]);
}

#[test]
fn the_end_of_a_silence_is_no_news_for_an_end_that_restarted_meanwhile() {
    let past = strict(2)
        .step("5s", "partition = { groups = [['n1'], ['n2']] }")
        .step("6s", "crash = { nodes = ['n2'] }")
        .step("7s", "restart = { nodes = ['n2'] }")
        .run();
    assert_eq!(past.lines("n1", &["down"]), ["15s down n2 Silent"]);
    assert!(
        past.lines("n2", &["down"]).is_empty(),
        "its second incarnation was never connected"
    );
}

#[test]
fn a_new_incarnation_gets_nothing_that_was_sent_to_the_one_before() {
    for end in ["leave", "crash"] {
        let past = Lab::of(2)
            .step(
                "4s",
                "link = { from = ['n1'], to = ['n2'], latency = { constant = '2s' } }",
            )
            .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
            .step("6s", &format!("{end} = {{ nodes = ['n2'] }}"))
            .step("6500ms", "restart = { nodes = ['n2'] }")
            .run();
        let request = &past.msgs("n1>n2 pubsub.requests")[0];
        assert_eq!(request.losses, [(6 * S, DropReason::Stopped)], "{end}");
    }
}

#[test]
fn a_crash_of_its_next_incarnation_does_not_lose_what_a_leaver_had_sent() {
    let past = Lab::of(2)
        .step(
            "4s",
            "link = { from = ['n2'], to = ['n1'], latency = { constant = '4s' } }",
        )
        .step("5s", "start_children = { on = 'n2', ids = ['a'] }")
        .step("6s", "leave = { nodes = ['n2'] }")
        .step("6500ms", "restart = { nodes = ['n2'] }")
        .step("7s", "crash = { nodes = ['n2'] }")
        .run();
    assert_eq!(past.msgs("n2>n1 pubsub.requests")[0].arrived(), Some(9 * S));
    assert_eq!(
        past.msgs_at(6_500 * MS, "n2>n1 hub.discovery")[0].lost(),
        Some(DropReason::Stopped)
    );
}

#[test]
fn a_crash_does_not_take_back_what_its_receiver_already_has() {
    let past = Lab::of(2)
        .set("network.service_time = '1s'")
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
        .step("5500ms", "crash = { nodes = ['n1'] }")
        .run();
    assert_eq!(
        past.msgs("n1>n2 pubsub.requests")[0].arrived(),
        Some(6_005 * MS)
    );
}
