//! Boot, discovery, joining: who runs when, who announces to whom, and when views change.

use crate::lab::{Lab, MS, S};

#[test]
fn at_time_0_all_run_and_are_connected_before_the_first_announces_itself() {
    let past = Lab::of(2).set("cluster.start = ['n2', 'n1']").run();
    let expected = [
        "0s n1 boots 1",
        "0s n2 boots 1",
        "0s n1 up n2/1",
        "0s n2 up n1/1",
        "0s n1 sends hub.discovery n2",
        "0s n2 sends hub.discovery n1",
    ];
    assert_eq!(past.all_lines(&["boots", "up", "sends"])[..6], expected);
    assert_eq!(
        past.view_of("n1", 0),
        "n1",
        "a view starts as the node itself"
    );
}

#[test]
fn timers_are_set_in_the_order_discovery_sync_janitor_node_by_node() {
    let past = Lab::of(2)
        .set("cluster.discovery_interval = '15s'")
        .set("strategy.pubsub.sync_interval = '15s'")
        .run();
    let timers = past.all_lines(&["timer"]);
    let at_15: Vec<_> = timers
        .iter()
        .filter(|line| line.starts_with("15s"))
        .map(String::as_str)
        .collect();
    let expected = [
        "n1 timer Discovery",
        "n1 timer Sync",
        "n1 timer Janitor",
        "n2 timer Discovery",
        "n2 timer Sync",
        "n2 timer Janitor",
    ];
    assert_eq!(at_15, expected.map(|line| format!("15s {line}")));
}

#[test]
fn announcements_repeat_every_interval_and_what_falls_on_the_end_still_happens() {
    let past = Lab::of(2).run();
    let times: Vec<u64> = past
        .msgs("n1>n2 hub.discovery")
        .iter()
        .map(|message| message.at / S)
        .collect();
    assert_eq!(times, [0, 10, 20, 30, 40, 50, 60]);
    assert_eq!(
        past.report.messages.in_flight, 2,
        "those of the last instant"
    );
}

#[test]
fn the_first_round_and_the_first_purge_come_one_interval_after_boot() {
    let past = Lab::of(2)
        .set("cluster.start = ['n1']")
        .step("3s", "join = { nodes = ['n2'] }")
        .run();
    let timers: Vec<_> = past
        .lines("n2", &["timer"])
        .into_iter()
        .filter(|line| !line.ends_with("Debounce"))
        .collect();
    assert_eq!(
        timers[..3],
        [
            "13s timer Discovery",
            "18s timer Janitor",
            "23s timer Discovery"
        ]
    );
    let in_order_of_setting = ["33s timer Sync", "33s timer Janitor", "33s timer Discovery"];
    assert_eq!(
        timers[3..6],
        in_order_of_setting,
        "set at 3 s, at 18 s, and at 23 s"
    );
}

#[test]
fn nodes_of_one_step_all_run_before_the_first_announces_itself_in_the_order_of_the_list() {
    let lab = Lab::of(4)
        .set("cluster.start = ['n1', 'n2']")
        .step("1s", "join = { nodes = ['n4', 'n3'] }");
    let lines = lab.run().all_lines(&["boots", "sends"]);
    let lines: Vec<_> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("1s "))
        .collect();
    let expected = [
        "n4 boots 1",
        "n3 boots 1",
        "n4 sends hub.discovery n1",
        "n4 sends hub.discovery n2",
        "n4 sends hub.discovery n3",
        "n3 sends hub.discovery n1",
        "n3 sends hub.discovery n2",
        "n3 sends hub.discovery n4",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_connection_is_no_join_notice_and_views_grow_by_announcements() {
    let past = Lab::of(3)
        .set("cluster.start = ['n1', 'n2']")
        .step("1s", "join = { nodes = ['n3'] }")
        .run();
    assert_eq!(past.lines("n3", &["up"]), ["1s up n1/1", "1s up n2/1"]);
    assert_eq!(past.view_of("n1", 1_505 * MS - 1), "n1,n2");
    assert_eq!(past.view_of("n1", 1_505 * MS), "n1,n2,n3");
    assert_eq!(
        past.view_of("n3", 10_505 * MS - 1),
        "n3",
        "the others announce themselves at 10 s"
    );
    assert_eq!(past.view_of("n3", 10_505 * MS), "n3,n1,n2");
}

#[test]
fn an_announcement_of_a_non_member_restarts_the_debounce_and_the_first_one_decides_the_order() {
    let lab = Lab::of(4).set("cluster.start = ['n1', 'n2']");
    let past = lab
        .step("1s", "join = { nodes = ['n4'] }")
        .step("1300ms", "join = { nodes = ['n3'] }")
        .run();
    assert_eq!(past.view_of("n1", 1_805 * MS - 1), "n1,n2");
    assert_eq!(past.view_of("n1", 1_805 * MS), "n1,n2,n4,n3");
}

#[test]
fn an_announcement_of_a_member_does_not_restart_the_debounce() {
    let lab = Lab::of(3)
        .set("cluster.start = ['n1', 'n2']")
        .set("cluster.discovery_interval = '400ms'");
    let past = lab
        .set("cluster.join_debounce = '100ms'")
        .step("1190ms", "join = { nodes = ['n3'] }")
        .run();
    assert_eq!(
        past.msgs("n2>n1 hub.discovery")[3].arrived(),
        Some(1_205 * MS),
        "between n3's and the flush"
    );
    assert_eq!(past.view_of("n1", 1_295 * MS), "n1,n2,n3");
}

#[test]
fn a_debounce_longer_than_the_discovery_interval_never_ends() {
    let past = Lab::of(2).set("cluster.discovery_interval = '300ms'").run();
    assert_eq!(
        (past.view_of("n1", 60 * S), past.view_of("n2", 60 * S)),
        ("n1".into(), "n2".into())
    );
}

#[test]
fn at_the_flush_a_joiner_that_is_no_longer_connected_is_dropped() {
    let lab = Lab::of(3).set("cluster.start = ['n1', 'n2']");
    let past = lab
        .step("1s", "join = { nodes = ['n3'] }")
        .step("1200ms", "crash = { nodes = ['n3'] }")
        .run();
    assert_eq!(past.lines("n1", &["down"]), ["1.206s down n3 Closed"]);
    assert_eq!(past.lines("n1", &["view"]), ["0.505s view n1,n2"]);
    assert!(
        past.lines("n1", &["timer"])
            .contains(&"1.706s timer Debounce".to_owned()),
        "a down of a non-member restarts it"
    );
}

#[test]
fn at_the_flush_a_down_that_is_connected_again_is_dropped() {
    let lab = Lab::of(2)
        .step("5s", "crash = { nodes = ['n2'] }")
        .step("5300ms", "restart = { nodes = ['n2'] }");
    let past = lab.run();
    assert_eq!(
        past.lines("n1", &["up", "down"]),
        ["0s up n2/1", "5.006s down n2 Closed", "5.3s up n2/2"]
    );
    assert_eq!(past.lines("n1", &["view"]), ["0.505s view n1,n2"]);
}

#[test]
fn at_the_flush_joins_come_first_and_then_downs() {
    let lab = Lab::of(3).set("cluster.start = ['n1', 'n2']");
    let past = lab
        .step("1s", "join = { nodes = ['n3'] }")
        .step("1200ms", "crash = { nodes = ['n2'] }")
        .run();
    assert_eq!(
        past.lines("n1", &["view"]),
        [
            "0.505s view n1,n2",
            "1.706s view n1,n2,n3",
            "1.706s view n1,n3"
        ]
    );
}

#[test]
fn join_data_are_broadcast_before_the_newcomers_enter_the_view() {
    let lab = Lab::of(3)
        .set("cluster.start = ['n1', 'n2']")
        .step("800ms", "start_children = { on = 'n1', ids = ['a'] }");
    let past = lab.step("1s", "join = { nodes = ['n3'] }").run();
    let lines = past.lines("n1", &["sends", "view"]);
    let flush: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("1.505s"))
        .collect();
    assert_eq!(
        flush,
        ["1.505s sends pubsub.join n3", "1.505s view n1,n2,n3"]
    );
    assert!(
        past.msgs("n2>n3 pubsub.join").is_empty(),
        "n2 never hosted a child"
    );
}

#[test]
fn incarnations_count_boots_and_pids_count_from_1_in_each() {
    let lab = Lab::of(2)
        .step("1s", "start_children = { on = 'n1', ids = ['a', 'b'] }")
        .step("2s", "crash = { nodes = ['n1'] }")
        .step("3s", "restart = { nodes = ['n1'] }")
        .step("4s", "start_children = { on = 'n1', ids = ['c'] }")
        .step("5s", "restart_child = { on = 'n1', id = 'c' }");
    let lines = lab.run().lines("n1", &["boots", "starts"]);
    let expected = [
        "0s boots 1",
        "1s starts a n1.1.1",
        "1s starts b n1.1.2",
        "3s boots 2",
        "4s starts c n1.2.1",
        "5s starts c n1.2.2",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn discovery_addresses_paused_nodes_too() {
    let past = Lab::of(2)
        .step("1s", "pause = { nodes = ['n2'] }")
        .step("15s", "resume = { nodes = ['n2'] }")
        .run();
    assert_eq!(
        past.msgs_at(10 * S, "n1>n2 hub.discovery")[0].arrived(),
        Some(15 * S)
    );
}

#[test]
fn discovery_does_not_address_over_a_cut_link() {
    let past = Lab::of(2)
        .step("5s", "cut = { from = ['n1'], to = ['n2'] }")
        .run();
    assert!(past.msgs_at(10 * S, "n1>n2 hub.discovery").is_empty());
    assert_eq!(
        past.msgs_at(10 * S, "n2>n1 hub.discovery")[0].arrived(),
        Some(10_005 * MS),
        "the way back is open"
    );
}

#[test]
fn discovery_does_not_address_a_pair_that_is_down_while_the_way_back_is_cut() {
    let lab = Lab::of(2)
        .set("cluster.down_after = '3s'")
        .set("cluster.down_spread = 0.0");
    let past = lab.step("5s", "cut = { from = ['n1'], to = ['n2'] }").run();
    assert_eq!(past.lines("n2", &["down"]), ["8s down n1 Silent"]);
    assert!(past.msgs_at(10 * S, "*>* hub.discovery").is_empty());
    assert_eq!(
        past.report.messages.by_kind["hub.discovery"].sent, 2,
        "those of the boot"
    );
}

#[test]
fn discovery_does_not_address_nodes_that_do_not_run() {
    let past = Lab::of(3)
        .set("cluster.start = ['n1', 'n2']")
        .step("5s", "crash = { nodes = ['n2'] }")
        .run();
    assert!(past.msgs_at(10 * S, "n1>* hub.discovery").is_empty());
}

#[test]
fn a_down_or_a_good_bye_of_a_node_outside_the_view_changes_nothing() {
    for end in ["crash", "leave"] {
        let past = Lab::of(2)
            .step("1s", "start_children = { on = 'n2', ids = ['a'] }")
            .step("2s", "view = { on = 'n1', nodes = ['n1'] }")
            .step("3s", &format!("{end} = {{ nodes = ['n2'] }}"))
            .run();
        assert_eq!(
            past.row_of("n1", "a", 60 * S),
            "n2=n2.1.1",
            "its entries stay after a {end}"
        );
        assert_eq!(past.view_of("n1", 60 * S), "n1");
    }
}

#[test]
fn a_down_of_a_member_takes_its_entries_away_and_leaves_tombstones_to_the_janitor() {
    let lab = Lab::of(2)
        .step("1s", "start_children = { on = 'n2', ids = ['a'] }")
        .step("5s", "crash = { nodes = ['n2'] }");
    let past = lab.run();
    let rows = past.lines("n1", &["row", "view"]);
    // The tombstone is 30 s old at 35.506 s; the janitor comes at 45 s.
    assert_eq!(
        rows,
        [
            "0.505s view n1,n2",
            "1.005s row a n2=n2.1.1",
            "5.506s view n1",
            "5.506s row a ",
            "45s row a "
        ]
    );
}
