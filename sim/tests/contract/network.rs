//! Links: what messages meet on their way, and at their receiver.

use crate::lab::{Lab, MS, Msg, S};

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

#[test]
fn a_new_incarnation_is_busy_with_nothing() {
    let lab = Lab::of(3)
        .step("1s", "crash = { nodes = ['n1'] }")
        .step("2s", "restart = { nodes = ['n1'] }");
    let past = lab.clone().set("network.send_gap = '30s'").run();
    let dues = |at: u64| {
        past.msgs_at(at, "n1>* *")
            .iter()
            .map(|message| message.due.unwrap_or_default() / MS)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (dues(0), dues(2 * S)),
        (vec![5, 30_005], vec![2_005, 32_005])
    );
    let past = lab
        .set("network.service_time = '20s'")
        .step(
            "3s",
            "start_children = { on = 'n1', ids = ['a'], via = 'n2' }",
        )
        .run();
    assert_eq!(
        past.msgs("n2>n1 hub.children")[0].arrived(),
        Some(23_005 * MS)
    );
}

#[test]
fn what_is_sent_into_a_cut_uses_no_bandwidth() {
    let past = Lab::of(2)
        .set("network.bytes_per_second = 10")
        .step("5s", "cut = { from = ['n1'], to = ['n2'], heal_after = '1s' }")
        .step("5500ms", "start_children = { on = 'n1', count = 20, prefix = 'x' }")
        .step("7s", "propagate = { from = 'n1', requests = [{ unregister = [{ child = 'y', nodes = ['n1'] }] }] }")
        .run();
    let message = &past.msgs_at(7 * S, "n1>n2 *")[0];
    assert_eq!(message.due, Some(7 * S + message.bytes * 100 * MS + 5 * MS));
}
