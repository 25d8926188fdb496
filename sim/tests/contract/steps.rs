//! Steps: what each action does, and nothing else.

use hublab_sim::trace::event::DropReason;

use crate::lab::{Lab, MS, S};

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

#[test]
fn an_unregistered_row_goes_with_the_purge_at_which_its_30_seconds_are_over() {
    let past = Lab::of(1)
        .step("5s", "start_children = { on = 'n1', ids = ['a'] }")
        .step("15s", "stop_children = { on = 'n1', ids = ['a'] }")
        .run();
    let rows = past.lines("n1", &["row"]);
    let expected = ["5s row a n1=n1.1.1", "15s row a ", "45s row a "];
    assert_eq!(rows, expected, "expiry 45 s is over at 45 s");
}

#[test]
fn the_guard_looks_at_a_flush_that_has_new_nodes() {
    let lab = |joiner: &str| {
        Lab::of(3)
            .set("cluster.start = ['n1', 'n2']")
            .step("1s", joiner)
            .step("1400ms", "start_children = { on = 'n1', ids = ['a'] }")
            .step("1600ms", "stop_children = { on = 'n1', ids = ['a'] }")
            .step("8s", "sync = { on = 'n1' }")
    };
    let past = lab("join = { nodes = ['n3'] }").run();
    assert!(
        !past.msgs_at(8 * S, "n1>n2 pubsub.sync").is_empty(),
        "it saw a at 1.505 s"
    );
    let past = lab("sync = { on = 'n2' }").run();
    assert!(past.msgs_at(8 * S, "n1>n2 pubsub.sync").is_empty());
}

#[test]
fn the_guard_looks_at_every_periodic_round_on_every_node() {
    let lab = |sync_interval: &str| {
        Lab::of(2)
            .gossip()
            .set(&format!(
                "strategy.gossip.sync_interval = '{sync_interval}'"
            ))
            .step("8s", "start_children = { on = 'n2', ids = ['a'] }")
            .step("12s", "stop_children = { on = 'n2', ids = ['a'] }")
            .step("13s", "start_children = { on = 'n1', ids = ['b'] }")
            .step(
                "14s",
                "rows = { on = 'n1', rows = [{ child = 'a', nodes = { n2 = 'n2.1.1' } }] }",
            )
    };
    // n1 hosts nothing at 10 s and starts no round then, but n2 looks at its own children.
    assert_eq!(
        lab("10s").run().row_of("n1", "a", 25 * S),
        "",
        "n2 says that it has none"
    );
    assert_eq!(
        lab("20s").run().row_of("n1", "a", 25 * S),
        "n2=n2.1.1",
        "n2 says nothing"
    );
}

#[test]
fn gossip_ignores_the_members_of_a_raw_request_and_handles_its_own_at_once() {
    let register = "requests = [{ register = [{ child = 'x', nodes = { n1 = 'p1' } }] }]";
    let lab = Lab::of(3).gossip().step(
        "5s",
        &format!("propagate = {{ from = 'n1', members = ['n2'], {register} }}"),
    );
    let past = lab.run();
    assert_eq!(past.row_of("n1", "x", 5 * S), "n1=p1");
    assert_eq!(past.row_of("n3", "x", 6 * S), "n1=p1");
}
