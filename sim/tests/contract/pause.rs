//! Pauses: a stopped process handles nothing, the clock goes on, and what comes waits.

use hublab_sim::trace::event::DropReason;

use crate::lab::{Lab, MS, S};

#[test]
fn at_resume_a_node_handles_what_waited_in_the_order_in_which_it_came_due() {
    let past = Lab::of(2)
        .set("strategy.pubsub.sync_interval = '15s'")
        .step("1s", "start_children = { on = 'n1', ids = ['a'] }")
        .step("9s", "pause = { nodes = ['n2'] }")
        .step("22s", "resume = { nodes = ['n2'] }")
        .run();
    let lines = past.lines("n2", &["gets", "timer", "pauses", "resumes", "sends"]);
    let from = lines.iter().position(|line| line == "9s pauses").unwrap();
    let expected = [
        "9s pauses",
        "22s resumes",
        "22s timer Discovery",
        "22s sends hub.discovery n1",
        "22s gets hub.discovery n1",
        "22s timer Sync",
        "22s timer Janitor",
        "22s gets pubsub.sync n1",
        "22s gets hub.discovery n1",
    ];
    assert_eq!(
        lines[from..from + expected.len()],
        expected,
        "an overdue timer fires once"
    );
    let later: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("timer"))
        .skip_while(|line| !line.starts_with("22s"))
        .skip(3)
        .collect();
    assert_eq!(
        later[..3],
        ["32s timer Discovery", "37s timer Sync", "37s timer Janitor"],
        "a full interval from the resume"
    );
}

#[test]
fn a_pause_that_does_not_last_takes_nothing_down() {
    let lab = Lab::of(2)
        .set("cluster.down_after = '10s'")
        .set("cluster.down_spread = 0.0");
    let past = lab
        .step("5s", "pause = { nodes = ['n2'] }")
        .step("14s", "resume = { nodes = ['n2'] }")
        .run();
    assert!(past.all_lines(&["down"]).is_empty());
    assert_eq!(past.report.messages.dropped, 0);
}

#[test]
fn once_the_pair_is_down_waiting_messages_and_new_ones_are_dropped() {
    let lab = Lab::of(2)
        .set("cluster.down_after = '10s'")
        .set("cluster.down_spread = 0.0");
    let past = lab
        .step("5s", "pause = { nodes = ['n2'] }")
        .step("25s", "resume = { nodes = ['n2'] }")
        .run();
    assert_eq!(
        past.msgs_at(10 * S, "n1>n2 *")[0].losses,
        [(15 * S, DropReason::Down)]
    );
    assert_eq!(
        past.msgs_at(20 * S, "n1>n2 *")[0].losses,
        [(20 * S, DropReason::NotConnected)]
    );
}

#[test]
fn after_a_long_pause_both_ends_see_down_and_then_up() {
    let lab = Lab::of(2)
        .set("cluster.down_after = '10s'")
        .set("cluster.down_spread = 0.0");
    let past = lab
        .step("5s", "pause = { nodes = ['n2'] }")
        .step("25s", "resume = { nodes = ['n2'] }")
        .run();
    assert_eq!(
        past.lines("n1", &["up", "down"]),
        ["0s up n2/1", "15s down n2 Silent", "25s up n2/1"]
    );
    assert_eq!(
        past.lines("n2", &["up", "down"]),
        ["0s up n1/1", "25s down n1 Silent", "25s up n1/1"]
    );
    assert_eq!(past.view_of("n1", 15_500 * MS), "n1");
    assert_eq!(
        (past.view_of("n1", 60 * S), past.view_of("n2", 60 * S)),
        ("n1,n2".into(), "n2,n1".into())
    );
}

#[test]
fn after_a_long_pause_the_hub_of_the_paused_node_knows_that_it_is_connected_again() {
    let past = Lab::of(2)
        .set("cluster.down_after = '10s'")
        .set("cluster.down_spread = 0.0")
        .step("5s", "pause = { nodes = ['n2'] }")
        .step("25s", "resume = { nodes = ['n2'] }")
        .step("40s", "start_children = { on = 'n2', ids = ['a'] }")
        .run();
    assert_eq!(
        past.row_of("n1", "a", 40_005 * MS),
        "n2=n2.1.1",
        "requests go to connected nodes only"
    );
}

#[test]
fn a_paused_node_hears_of_a_crash_when_it_goes_on() {
    let past = Lab::of(2)
        .step("5s", "pause = { nodes = ['n2'] }")
        .step("6s", "crash = { nodes = ['n1'] }")
        .step("7s", "restart = { nodes = ['n1'] }")
        .step("8s", "resume = { nodes = ['n2'] }")
        .run();
    assert_eq!(
        past.msgs_at(7 * S, "n1>n2 hub.discovery")[0].lost(),
        Some(DropReason::NotConnected)
    );
    assert_eq!(
        past.lines("n2", &["up", "down"]),
        ["0s up n1/1", "8s down n1 Closed", "10s up n1/2"]
    );
}

#[test]
fn commands_to_a_paused_node_wait() {
    let past = Lab::of(2)
        .step("1s", "start_children = { on = 'n1', ids = ['a', 'b'] }")
        .step("5s", "pause = { nodes = ['n1'] }")
        .step("5100ms", "start_children = { on = 'n1', ids = ['c'] }")
        .step("5200ms", "stop_children = { on = 'n1', ids = ['a'] }")
        .step("5300ms", "restart_child = { on = 'n1', id = 'b' }")
        .step("5400ms", "propagate = { from = 'n1', requests = [{ register = [{ child = 'x', nodes = { n2 = 'p' } }] }] }")
        .step("5500ms", "sync = { on = 'n1' }")
        .step("5600ms", "broadcast = { on = 'n1', to = ['n2'] }")
        .step("8s", "resume = { nodes = ['n1'] }")
        .run();
    let lines = past.lines("n1", &["starts", "ends", "sends"]);
    let lines: Vec<_> = lines
        .iter()
        .filter(|line| !line.starts_with('0') && !line.starts_with("1s"))
        .take(9)
        .collect();
    let expected = [
        "8s starts c n1.1.3",
        "8s sends pubsub.requests n2",
        "8s ends a n1.1.1",
        "8s sends pubsub.requests n2",
        "8s ends b n1.1.2",
        "8s starts b n1.1.4",
        "8s sends pubsub.requests n2",
        "8s sends pubsub.requests n2",
        "8s sends pubsub.sync n2",
    ];
    assert_eq!(lines, expected);
    assert_eq!(past.msgs_at(8 * S, "n1>n2 pubsub.join").len(), 1);
}

#[test]
fn a_request_from_another_node_waits_like_any_message() {
    let past = Lab::of(2)
        .step("5s", "pause = { nodes = ['n1'] }")
        .step(
            "6s",
            "start_children = { on = 'n1', ids = ['a'], via = 'n2' }",
        )
        .step("8s", "resume = { nodes = ['n1'] }")
        .run();
    assert_eq!(past.lines("n1", &["starts"]), ["8s starts a n1.1.1"]);
    assert_eq!(past.lines("n2", &["answer"]), ["8.005s answer n1 a=n1.1.1"]);
}

#[test]
fn rows_view_crash_and_leave_act_on_a_paused_node_at_once() {
    let lab = Lab::of(3)
        .step("5s", "pause = { nodes = ['n1', 'n2'] }")
        .step(
            "6s",
            "rows = { on = 'n1', rows = [{ child = 'x', nodes = { n3 = 'p' } }] }",
        )
        .step("7s", "view = { on = 'n1', nodes = ['n1', 'n3'] }")
        .step("8s", "crash = { nodes = ['n1'] }")
        .step("9s", "leave = { nodes = ['n2'] }");
    let past = lab.run();
    assert_eq!(
        past.lines("n1", &["row", "view", "stops"])[1..],
        ["6s row x n3=p", "7s view n1,n3", "8s stops crash"]
    );
    assert_eq!(
        past.lines("n3", &["down"]),
        ["8.006s down n1 Closed", "9.006s down n2 Closed"]
    );
    assert_eq!(past.msgs("n2>n3 hub.leave")[0].arrived(), Some(9_005 * MS));
}

#[test]
fn a_crash_loses_what_waited_for_a_paused_node() {
    let past = Lab::of(2)
        .step("9s", "pause = { nodes = ['n2'] }")
        .step("9500ms", "start_children = { on = 'n2', ids = ['a'] }")
        .step("11s", "crash = { nodes = ['n2'] }")
        .step("12s", "restart = { nodes = ['n2'] }")
        .step("13s", "pause = { nodes = ['n2'] }")
        .step("14s", "resume = { nodes = ['n2'] }")
        .run();
    assert_eq!(
        past.msgs_at(10 * S, "n1>n2 *")[0].losses,
        [(11 * S, DropReason::Stopped)]
    );
    assert!(past.lines("n2", &["starts"]).is_empty());
}

#[test]
fn a_pause_does_not_let_later_messages_overtake_those_that_a_busy_receiver_has() {
    let mut lab = Lab::of(2)
        .set("network.service_time = '1s'")
        .set("cluster.discovery_interval = '100s'");
    for k in 0..3 {
        lab = lab.step(
            "5s",
            &format!("start_children = {{ on = 'n1', ids = ['c{k}'] }}"),
        );
    }
    let past = lab
        .step("5500ms", "pause = { nodes = ['n2'] }")
        .step("6200ms", "start_children = { on = 'n1', ids = ['late'] }")
        .step("6500ms", "resume = { nodes = ['n2'] }")
        .run();
    let arrivals: Vec<_> = past
        .msgs("n1>n2 pubsub.requests")
        .iter()
        .map(|message| message.arrived().unwrap() / MS)
        .collect();
    assert_eq!(
        arrivals,
        [6_500, 7_005, 8_005, 9_005],
        "the first was done at 6.005 s"
    );
}

#[test]
fn an_overdue_timer_that_is_set_anew_by_what_came_before_it_does_not_fire() {
    let lab = |discovery: &str| {
        Lab::of(2)
            .set(&format!("cluster.discovery_interval = '{discovery}'"))
            .step("300ms", "pause = { nodes = ['n1'] }")
            .step("1s", "resume = { nodes = ['n1'] }")
    };
    // The debounce is due at 0.505 s. An announcement that came at 0.405 s starts it anew.
    assert_eq!(lab("10s").run().view_of("n1", S), "n1,n2");
    assert_eq!(lab("400ms").run().view_of("n1", S), "n1");
}
