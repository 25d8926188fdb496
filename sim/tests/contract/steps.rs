//! Steps: what each action does, and nothing else.

use hublab_sim::trace::event::DropReason;

use crate::lab::{Lab, MS, Msg, S};

#[test]
fn steps_of_one_instant_come_in_file_order_and_before_what_is_due_then() {
    let past = Lab::of(2)
        .step(
            "5005ms",
            "cut = { from = ['n1'], to = ['n2'], heal_after = '0us' }",
        )
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
        .step("5005ms", "stop_children = { on = 'n1', ids = ['a'] }")
        .step("5005ms", "sync = { on = 'n1' }")
        .run();
    let expected = [
        "5s - step 1 start_children",
        "5.005s - step 0 cut",
        "5.005s - heals 0 cut",
        "5.005s - step 2 stop_children",
        "5.005s - step 3 sync",
    ];
    assert_eq!(past.events_of_script(), expected);
    let requests = past.msgs("n1>n2 pubsub.requests");
    assert_eq!(
        requests[0].losses,
        [(5_005 * MS, DropReason::Cut)],
        "due at that instant, cut before"
    );
    assert_eq!(requests[1].arrived(), Some(5_010 * MS));
}

#[test]
fn deliveries_and_timers_of_one_instant_come_in_the_order_of_scheduling() {
    let past = Lab::of(2)
        .step(
            "1s",
            "link = { from = ['n1'], to = ['n2'], latency = { constant = '8s' } }",
        )
        .step("2s", "start_children = { on = 'n1', ids = ['a'] }")
        .step(
            "3s",
            "link = { from = ['n1'], to = ['n2'], latency = { constant = '15s' } }",
        )
        .step("5s", "start_children = { on = 'n1', ids = ['b'] }")
        .run();
    let lines = past.lines("n2", &["timer", "gets"]);
    let at = |second: &str| {
        lines
            .iter()
            .filter(|line| line.starts_with(second))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        at("10s"),
        ["10s timer Discovery", "10s gets pubsub.requests n1"],
        "set at 0 s, sent at 2 s"
    );
    assert_eq!(
        at("20s"),
        ["20s gets pubsub.requests n1", "20s timer Discovery"],
        "sent at 5 s, set at 10 s"
    );
}

#[test]
fn starting_children_registers_them_here_and_tells_the_others() {
    let past = Lab::of(3)
        .step(
            "5s",
            "start_children = { on = 'n1', count = 3, prefix = 'x', metadata = { team = 'blue' } }",
        )
        .run();
    let lines = past.lines("n1", &["starts", "row", "sends", "answer"]);
    let at_5: Vec<_> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("5s "))
        .collect();
    let expected = [
        "starts x-1 n1.1.1",
        "starts x-2 n1.1.2",
        "starts x-3 n1.1.3",
        "row x-1 n1=n1.1.1",
        "row x-2 n1=n1.1.2",
        "row x-3 n1=n1.1.3",
        "answer n1 x-1=n1.1.1,x-2=n1.1.2,x-3=n1.1.3",
        "sends pubsub.requests n2",
        "sends pubsub.requests n3",
    ];
    assert_eq!(at_5, expected, "members are external: nothing to oneself");
    assert_eq!(past.report.converged_us, Some(5_005 * MS), "metadata too");
}

#[test]
fn without_announce_only_synchronization_spreads_children() {
    let past = Lab::of(2)
        .step(
            "5s",
            "start_children = { on = 'n1', ids = ['a'], announce = false }",
        )
        .run();
    assert!(past.msgs("*>* pubsub.requests").is_empty());
    assert_eq!(
        past.report.converged_us,
        Some(30_005 * MS),
        "the first round"
    );
}

#[test]
fn replicas_are_asked_by_the_originator_in_order_and_answer_it() {
    let past = Lab::of(3)
        .step(
            "5s",
            "start_children = { on = 'n1', ids = ['a'], replicas = ['n3', 'n2'] }",
        )
        .run();
    let sent: Vec<_> = past
        .msgs("*>* hub.children")
        .iter()
        .map(|message| format!("{}>{}", message.from, message.to))
        .collect();
    assert_eq!(sent, ["n1>n3", "n1>n2", "n3>n1", "n2>n1"]);
    assert!(
        past.msgs("*>* hub.children")
            .iter()
            .all(|message| message.channel == 0),
        "channel `requests`"
    );
    assert_eq!(
        past.lines("n1", &["answer"]),
        [
            "5s answer n1 a=n1.1.1",
            "5.01s answer n3 a=n3.1.1",
            "5.01s answer n2 a=n2.1.1"
        ]
    );
    let order = past.lines("n3", &["starts", "row", "sends"]);
    let at: Vec<_> = order
        .iter()
        .filter_map(|line| line.strip_prefix("5.005s "))
        .collect();
    assert_eq!(at[0], "starts a n3.1.1");
    assert!(
        at.iter().position(|line| *line == "sends hub.children n1")
            < at.iter()
                .position(|line| *line == "sends pubsub.requests n1")
    );
    assert_eq!(past.report.converged_us, Some(5_010 * MS));
}

#[test]
fn with_via_that_node_is_the_originator() {
    let past = Lab::of(3)
        .step(
            "5s",
            "start_children = { on = 'n1', ids = ['a'], replicas = ['n2'], via = 'n2' }",
        )
        .run();
    let sent: Vec<_> = past
        .msgs("*>* hub.children")
        .iter()
        .map(|message| format!("{}>{}", message.from, message.to))
        .collect();
    assert_eq!(
        sent,
        ["n2>n1", "n1>n2"],
        "n2 runs its own replica without a message"
    );
    assert_eq!(
        past.lines("n2", &["starts", "answer"]),
        [
            "5s starts a n2.1.1",
            "5s answer n2 a=n2.1.1",
            "5.01s answer n1 a=n1.1.1"
        ]
    );
    assert_eq!(past.lines("n1", &["starts"]), ["5.005s starts a n1.1.1"]);
}

#[test]
fn more_than_1000_ids_on_another_node_are_sent_as_several_requests() {
    let past = Lab::of(2)
        .step(
            "5s",
            "start_children = { on = 'n1', count = 2500, prefix = 'x', via = 'n2' }",
        )
        .run();
    assert_eq!(
        (
            past.msgs("n2>n1 hub.children").len(),
            past.msgs("n1>n2 hub.children").len()
        ),
        (3, 3)
    );
    assert_eq!(past.report.rows, 5_000);
    let past = Lab::of(2)
        .step(
            "5s",
            "start_children = { on = 'n1', count = 2500, prefix = 'x' }",
        )
        .run();
    assert_eq!(
        (
            past.msgs("*>* hub.children").len(),
            past.msgs("n1>n2 pubsub.requests").len()
        ),
        (0, 1)
    );
}

#[test]
fn starting_an_id_that_runs_replaces_it_with_a_new_pid_and_new_metadata() {
    let past = Lab::of(2)
        .step("5s", "start_children = { on = 'n1', ids = ['a'], metadata = { v = '1' } }")
        .step("6s", "start_children = { on = 'n1', ids = ['a'], metadata = { v = '2' } }")
        .expect("at = '7s'\nentry = { on = 'n2', child = 'a', nodes = ['n1'], pids = { n1 = 'n1.1.2' }, metadata = { v = '2' } }")
        .expect("always = 'own_truth'")
        .run();
    assert_eq!(
        past.lines("n1", &["starts", "ends"]),
        [
            "5s starts a n1.1.1",
            "6s ends a n1.1.1",
            "6s starts a n1.1.2"
        ]
    );
    assert!(past.holds(), "{:?}", past.details());
}

#[test]
fn each_node_registers_its_own_entry_of_one_id() {
    let past = Lab::of(2)
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
        .step("6s", "start_children = { on = 'n2', ids = ['a'] }")
        .run();
    assert_eq!(past.row_of("n1", "a", 7 * S), "n1=n1.1.1,n2=n2.1.1");
    assert_eq!(past.row_of("n2", "a", 7 * S), "n1=n1.1.1,n2=n2.1.1");
}

#[test]
fn stopping_leaves_out_children_that_do_not_run_and_with_none_left_sends_nothing() {
    let lab = Lab::of(2).step("5s", "start_children = { on = 'n1', ids = ['a'] }");
    let past = lab
        .step("6s", "stop_children = { on = 'n1', ids = ['x', 'a'] }")
        .step("7s", "stop_children = { on = 'n1', ids = ['a'] }")
        .run();
    assert_eq!(
        past.lines("n1", &["skips", "ends"]),
        ["6s skips stop x", "6s ends a n1.1.1", "7s skips stop a"]
    );
    assert_eq!(past.msgs("n1>n2 pubsub.requests").len(), 2);
    assert_eq!(past.row_of("n2", "a", 6_005 * MS), "");
}

#[test]
fn a_stop_via_another_node_is_asked_and_answered_even_if_nothing_runs() {
    let past = Lab::of(2)
        .step(
            "5s",
            "stop_children = { on = 'n1', ids = ['a'], via = 'n2' }",
        )
        .run();
    assert_eq!(
        (
            past.msgs("n2>n1 hub.children").len(),
            past.msgs("n1>n2 hub.children").len()
        ),
        (1, 1)
    );
    assert!(past.msgs("*>* pubsub.requests").is_empty());
    assert_eq!(past.lines("n2", &["answer"]), ["5.01s answer n1 a!"]);
}

#[test]
fn a_restarted_child_gets_a_new_pid_in_front_of_its_row_and_keeps_its_metadata() {
    let past = Lab::of(2)
        .step(
            "5s",
            "start_children = { on = 'n1', ids = ['a'], metadata = { v = '1' } }",
        )
        .step(
            "6s",
            "start_children = { on = 'n2', ids = ['a'], metadata = { v = '1' } }",
        )
        .step("7s", "restart_child = { on = 'n2', id = 'a' }")
        .step("8s", "restart_child = { on = 'n2', id = 'x' }")
        .run();
    for (node, at) in [("n1", 7_005 * MS), ("n2", 7 * S)] {
        assert_eq!(past.row_of(node, "a", at), "n2=n2.1.2,n1=n1.1.1");
    }
    assert_eq!(past.lines("n2", &["skips"]), ["8s skips restart x"]);
    assert_eq!(past.msgs("n2>n1 pubsub.requests").len(), 2);
    assert_eq!(past.report.converged_us, Some(7_005 * MS));
}

#[test]
fn raw_requests_go_to_the_members_named() {
    let register =
        "requests = [{ register = [{ child = 'x', nodes = { n3 = 'p3', n1 = 'p1' } }] }]";
    for (members, reached) in [
        ("'global'", "n1 n2 n3"),
        ("'local'", "n1"),
        ("'external'", "n2 n3"),
        ("['n3', 'n1']", "n1 n3"),
    ] {
        let past = Lab::of(3)
            .step(
                "5s",
                &format!("propagate = {{ from = 'n1', members = {members}, {register} }}"),
            )
            .run();
        let rows = ["n1", "n2", "n3"].map(|node| past.row_of(node, "x", 6 * S));
        for (node, row) in ["n1", "n2", "n3"].iter().zip(rows) {
            let expected = if reached.contains(node) {
                "n3=p3,n1=p1"
            } else {
                ""
            };
            assert_eq!(
                row, expected,
                "{node} of {members}: entries in the order of the file"
            );
        }
        assert!(
            past.msgs("n1>n1 *").is_empty(),
            "an event to oneself is no message"
        );
    }
}

#[test]
fn raw_requests_unregister_and_update_pids_in_one_list() {
    let past = Lab::of(2)
        .step("5s", "propagate = { from = 'n1', requests = [{ register = [{ child = 'x', nodes = { n1 = 'p1', n2 = 'p2' }, metadata = { tag = 't' } }] }] }")
        .step("6s", "propagate = { from = 'n1', requests = [{ pid_update = { child = 'x', node = 'n2', pid = 'q2' } }] }")
        .step("7s", "propagate = { from = 'n1', requests = [{ unregister = [{ child = 'x', nodes = ['n1'] }] }] }")
        .expect("at = '6500ms'\nentry = { on = 'n2', child = 'x', nodes = ['n1', 'n2'], first = 'n2', pids = { n2 = 'q2' }, metadata = { tag = 't' } }")
        .expect("at = '7500ms'\nentry = { on = 'n2', child = 'x', nodes = ['n2'] }")
        .run();
    assert!(past.holds(), "{:?}", past.details());
    assert!(
        past.all_lines(&["starts", "ends"]).is_empty(),
        "the truth is another matter"
    );
}

#[test]
fn the_order_of_the_requests_of_one_list_is_drawn_at_each_node() {
    let list = "[{ register = [{ child = 'x', nodes = { n1 = 'p' } }] }, { unregister = [{ child = 'x', nodes = ['n1'] }] }]";
    let lab = Lab::of(2).step(
        "5s",
        &format!("propagate = {{ from = 'n1', requests = {list} }}"),
    );
    let mut outcomes: Vec<_> = (0..30)
        .map(|seed| {
            let past = lab.clone().seed(seed).run();
            (past.row_of("n1", "x", 6 * S), past.row_of("n2", "x", 6 * S))
        })
        .collect();
    outcomes.sort();
    outcomes.dedup();
    assert_eq!(
        outcomes.len(),
        4,
        "each node by its own stream: {outcomes:?}"
    );
}

#[test]
fn a_sync_step_starts_a_round_at_once_and_leaves_the_timer_alone() {
    let past = Lab::of(2)
        .step(
            "5s",
            "start_children = { on = 'n1', ids = ['a'], announce = false }",
        )
        .step("6s", "sync = { on = 'n1' }")
        .run();
    let rounds: Vec<_> = past
        .msgs("n1>n2 pubsub.sync")
        .iter()
        .map(|message| message.at / S)
        .collect();
    assert_eq!(rounds, [6, 30, 60]);
}

#[test]
fn a_node_that_never_hosted_a_child_sends_no_snapshot() {
    let lab = Lab::of(2)
        .step("5s", "sync = { on = 'n1' }")
        .step("6s", "broadcast = { on = 'n1', to = ['n2'] }");
    let past = lab.run();
    assert!(past.msgs("*>* pubsub.sync").is_empty() && past.msgs("*>* pubsub.join").is_empty());
}

#[test]
fn a_node_that_hosted_a_child_when_asked_goes_on_sending_snapshots() {
    let lab = |round: &str| {
        Lab::of(2)
            .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
            .step("6s", round)
            .step("7s", "stop_children = { on = 'n1', ids = ['a'] }")
            .step("8s", "sync = { on = 'n1' }")
    };
    assert_eq!(
        lab("sync = { on = 'n1' }")
            .run()
            .msgs_at(8 * S, "n1>n2 pubsub.sync")
            .len(),
        1
    );
    assert_eq!(
        lab("sync = { on = 'n2' }")
            .run()
            .msgs_at(8 * S, "n1>n2 pubsub.sync")
            .len(),
        0,
        "nobody asked while a child was there"
    );
}

#[test]
fn a_broadcast_goes_to_the_targets() {
    let past = Lab::of(3)
        .step(
            "5s",
            "start_children = { on = 'n1', ids = ['a'], announce = false }",
        )
        .step("6s", "broadcast = { on = 'n1', to = ['n3'] }")
        .run();
    assert_eq!(
        past.msgs("*>* pubsub.join")
            .iter()
            .map(|message| message.to.as_str())
            .collect::<Vec<_>>(),
        ["n3"]
    );
    assert_eq!(past.row_of("n3", "a", 6_005 * MS), "n1=n1.1.1");
}

#[test]
fn rows_replace_any_row_of_the_child_and_nobody_is_told() {
    let past = Lab::of(3)
        .step("5s", "start_children = { on = 'n1', ids = ['a'], metadata = { v = '1' } }")
        .step("6s", "rows = { on = 'n2', rows = [{ child = 'a', nodes = { n3 = 'p', n2 = 'q' }, metadata = { v = '2' } }] }")
        .expect("at = '6s'\nentry = { on = 'n2', child = 'a', nodes = ['n2', 'n3'], first = 'n3', metadata = { v = '2' } }")
        .expect("at = '6s'\nentry = { on = 'n1', child = 'a', nodes = ['n1'] }")
        .run();
    assert!(past.holds(), "{:?}", past.details());
    assert!(past.msgs_at(6 * S, "*>* *").is_empty());
}

#[test]
fn a_link_step_keeps_what_it_leaves_out_and_heal_restores_the_file() {
    let past = Lab::of(2)
        .link("from = ['n1']\nto = ['n2']\nlatency = { constant = '20ms' }")
        .step(
            "11s",
            "link = { from = ['n1'], to = ['n2'], duplicate = 1.0 }",
        )
        .step(
            "21s",
            "link = { from = ['n1'], to = ['n2'], latency = { constant = '30ms' } }",
        )
        .step("31s", "heal = true")
        .run();
    let seen = |at: u64| {
        let message = &past.msgs_at(at * S, "n1>n2 hub.discovery")[0];
        (
            message.arrivals[0].0 / MS - at * 1_000,
            message.arrivals.len(),
        )
    };
    assert_eq!(
        [seen(10), seen(20), seen(30), seen(40)],
        [(20, 1), (20, 2), (30, 2), (20, 1)]
    );
}

#[test]
fn later_overrides_of_the_file_win_value_by_value() {
    let past = Lab::of(3)
        .link("from = ['n1']\nto = 'all'\nlatency = { constant = '20ms' }\nduplicate = 1.0")
        .link("from = ['n1']\nto = ['n3']\nlatency = { constant = '30ms' }")
        .run();
    let seen = |to: &str| {
        let message = &past.msgs_at(0, &format!("n1>{to} hub.discovery"))[0];
        (message.arrivals[0].0 / MS, message.arrivals.len())
    };
    assert_eq!([seen("n2"), seen("n3")], [(20, 2), (30, 2)]);
}

#[test]
fn heal_leaves_views_clocks_and_pauses_alone() {
    let past = Lab::of(3)
        .step("5s", "view = { on = 'n1', nodes = ['n1', 'n2'] }")
        .step("6s", "pause = { nodes = ['n2'] }")
        .step("7s", "heal = true")
        .run();
    assert_eq!(past.view_of("n1", 7 * S), "n1,n2");
    assert!(
        past.lines("n2", &["resumes", "gets"])
            .iter()
            .all(|line| line.starts_with("0.0")),
        "what came before the pause"
    );
}

/// n1 hosts a and sends join data at 5 s; its clock changes at 6 s; b is in the join data of 7 s.
fn join_data_twice(clock: &str) -> Lab {
    Lab::of(2)
        .step(
            "4s",
            "start_children = { on = 'n1', ids = ['a'], announce = false }",
        )
        .step("5s", "broadcast = { on = 'n1', to = ['n2'] }")
        .step("6s", &format!("clock = {{ nodes = ['n1'], {clock} }}"))
        .step(
            "6s",
            "start_children = { on = 'n1', ids = ['b'], announce = false }",
        )
        .step("7s", "broadcast = { on = 'n1', to = ['n2'] }")
}

fn b_is_taken(lab: &Lab) -> bool {
    !lab.run().row_of("n2", "b", 8 * S).is_empty()
}

#[test]
fn strategies_see_a_wall_clock_that_jumps() {
    assert!(
        b_is_taken(&join_data_twice("jump = '-1999999us'")),
        "7 s - 2 s + 1 us is later than 5 s"
    );
    assert!(
        !b_is_taken(&join_data_twice("jump = '-2s'")),
        "a timestamp must be strictly greater"
    );
}

#[test]
fn drift_is_added_rounded_down_since_the_last_clock_step() {
    assert!(!b_is_taken(
        &join_data_twice("jump = '-2s'").step("6s", "clock = { nodes = ['n1'], rate_ppm = -1 }")
    ));
    let steady = Lab::of(2)
        .step(
            "4s",
            "start_children = { on = 'n1', ids = ['a'], announce = false }",
        )
        .step("5s", "clock = { nodes = ['n1'], rate_ppm = -1000000 }")
        .step("5s", "broadcast = { on = 'n1', to = ['n2'] }")
        .step(
            "6s",
            "start_children = { on = 'n1', ids = ['b'], announce = false }",
        )
        .step("7s", "broadcast = { on = 'n1', to = ['n2'] }");
    assert!(!b_is_taken(&steady), "a clock that stands still");
}

#[test]
fn wall_clocks_keep_their_offset_over_crash_and_restart() {
    let lab = |jump: &str| {
        Lab::of(2)
            .step(
                "4s",
                "start_children = { on = 'n1', ids = ['a'], announce = false }",
            )
            .step("5s", "broadcast = { on = 'n1', to = ['n2'] }")
            .step(
                "5s",
                &format!("clock = {{ nodes = ['n1'], jump = '{jump}' }}"),
            )
            .step("5100ms", "crash = { nodes = ['n1'] }")
            .step("5200ms", "restart = { nodes = ['n1'] }")
            .step(
                "6s",
                "start_children = { on = 'n1', ids = ['b'], announce = false }",
            )
            .step("7s", "broadcast = { on = 'n1', to = ['n2'] }")
    };
    assert!(!b_is_taken(&lab("-1h")));
    assert!(b_is_taken(&lab("1h")));
}

#[test]
fn timers_do_not_notice_a_jump_of_the_wall_clock() {
    let past = Lab::of(2)
        .step("5s", "clock = { nodes = ['n1'], jump = '1h' }")
        .run();
    assert_eq!(past.msgs("n1>n2 hub.discovery").len(), 7);
}

#[test]
fn a_sender_is_busy_for_the_send_gap_with_each_message_to_others() {
    let past = Lab::of(4).set("network.send_gap = '100ms'").run();
    let dues = |from: &str| {
        past.msgs_at(0, &format!("{from}>* *"))
            .iter()
            .map(|message| message.due.unwrap() / MS)
            .collect::<Vec<_>>()
    };
    assert_eq!(dues("n1"), [5, 105, 205]);
    assert_eq!(dues("n4"), [5, 105, 205], "each sender by itself");
}

#[test]
fn messages_to_oneself_are_exempt_from_the_send_gap_and_never_lost_and_take_the_default_latency() {
    let past = Lab::of(3)
        .gossip()
        .set("network.send_gap = '1ms'")
        .set("network.loss = 0.3")
        .link("from = 'all'\nto = 'all'\nlatency = { constant = '9ms' }")
        .step(
            "1s",
            "link = { from = ['n1'], to = ['n1'], latency = { constant = '70ms' }, loss = 1.0 }",
        )
        .step("2s", "start_children = { on = 'n1', ids = ['a'] }")
        .run();
    let own: Vec<Msg> = ["n1", "n2", "n3"]
        .iter()
        .flat_map(|node| past.msgs(&format!("{node}>{node} *")))
        .collect();
    assert!(!own.is_empty(), "gossip sends to itself");
    assert!(
        own.iter()
            .all(|message| message.arrived() == Some(message.at + 5 * MS)),
        "{own:?}"
    );
    assert!(past.report.messages.dropped > 0);
}

#[test]
fn a_receiver_serves_one_message_after_the_other_whatever_their_channel() {
    let past = Lab::of(4).set("network.service_time = '100ms'").run();
    let handled: Vec<_> = past
        .msgs_at(0, "*>n1 *")
        .iter()
        .map(|message| message.arrived().unwrap() / MS)
        .collect();
    assert_eq!(
        handled,
        [105, 205, 305],
        "a message is handled when its service ends"
    );
    let past = Lab::of(3)
        .set("network.service_time = '100ms'")
        .step("5s", "start_children = { on = 'n2', ids = ['a'] }")
        .step("5s", "broadcast = { on = 'n2', to = ['n1'] }")
        .step("5s", "start_children = { on = 'n1', ids = ['b'] }")
        .run();
    assert_eq!(
        past.msgs_at(5 * S, "n2>n1 pubsub.requests")[0].arrived(),
        Some(5_105 * MS)
    );
    assert_eq!(
        past.msgs_at(5 * S, "n2>n1 pubsub.join")[0].arrived(),
        Some(5_205 * MS)
    );
    assert_eq!(
        past.lines("n1", &["starts"]),
        ["5s starts b n1.1.1"],
        "commands do not queue"
    );
}

#[test]
fn timers_do_not_queue_behind_messages() {
    let past = Lab::of(2).set("network.service_time = '20s'").run();
    assert!(
        past.lines("n1", &["timer"])
            .contains(&"10s timer Discovery".to_owned())
    );
    assert_eq!(
        past.msgs("n2>n1 hub.discovery")[1].arrived(),
        Some(40_005 * MS),
        "behind the first, which took from 0.005 s to 20.005 s"
    );
}

#[test]
fn bandwidth_is_shared_by_all_channels_of_a_directed_link() {
    let past = Lab::of(3)
        .set("network.bytes_per_second = 1000")
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
        .step("5s", "broadcast = { on = 'n1', to = ['n2'] }")
        .run();
    let on_link = past.msgs_at(5 * S, "n1>n2 *");
    assert_eq!(
        on_link
            .iter()
            .map(|message| message.kind.as_str())
            .collect::<Vec<_>>(),
        ["pubsub.requests", "pubsub.join"]
    );
    let mut free = 5 * S;
    for message in &on_link {
        free += message.bytes * 1_000;
        assert_eq!(message.due, Some(free + 5 * MS), "{message:?}");
    }
    let other = &past.msgs_at(5 * S, "n1>n3 *")[0];
    assert_eq!(
        other.due,
        Some(5 * S + other.bytes * 1_000 + 5 * MS),
        "each link by itself"
    );
}

#[test]
fn a_link_that_a_cut_emptied_is_free_again() {
    let past = Lab::of(2)
        .step(
            "4s",
            "link = { from = ['n1'], to = ['n2'], bytes_per_second = 1 }",
        )
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
        .step(
            "5s",
            "link = { from = ['n1'], to = ['n2'], bytes_per_second = 1000000 }",
        )
        .step(
            "5s",
            "cut = { from = ['n1'], to = ['n2'], heal_after = '1s' }",
        )
        .step("7s", "sync = { on = 'n1' }")
        .run();
    assert!(past.msgs_at(7 * S, "n1>n2 *")[0].due.unwrap() < 7_006 * MS);
}

#[test]
fn a_thousand_messages_of_one_instant_arrive_together() {
    let mut lab = Lab::of(2).step("4s", "start_children = { on = 'n1', ids = ['a'] }");
    for _ in 0..1_000 {
        lab = lab.step("5s", "sync = { on = 'n1' }");
    }
    let past = lab.run();
    let arrivals: Vec<_> = past
        .msgs_at(5 * S, "n1>n2 pubsub.sync")
        .iter()
        .map(|message| message.arrived().unwrap())
        .collect();
    assert_eq!(arrivals, vec![5_005 * MS; 1_000]);
}
